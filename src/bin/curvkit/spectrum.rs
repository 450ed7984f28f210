//! `curvkit spectrum`.

use crate::Done;
use crate::args::SpectrumArgs;
use crate::failure::Failure;
use crate::output::{number, say, say_json};
use comfy_table::{CellAlignment, Table, presets};
use curvkit::Error;
use curvkit::dataset;
use curvkit::spectrum::{ConditionNumber, Estimate, Quadrature};
use curvkit::study::report::{prepare, write_spectrum};
use curvkit::study::spectrum::{CurvatureStudy, Findings, Learning, LossKind, ModelKind, Samples, activation};
use serde_json::{Value, json};
use std::fmt::Write;

/// Looks at the curvature of a model on data.
pub fn spectrum(args: &SpectrumArgs) -> Result<Done, Failure> {
    let learning = learning(args)?;
    let study = CurvatureStudy {
        damping: args.damping,
        quadrature: Quadrature { steps: args.steps, probes: args.probes, seed: args.seed },
        seed: args.seed,
        ..CurvatureStudy::default()
    };
    let samples = samples(args, learning.loss()?)?;
    let samples = if args.standardize { samples.standardized()? } else { samples };
    if let Some(directory) = &args.out {
        prepare(directory)?;
    }
    let (problem, theta) = learning.problem(&samples)?;
    let (problem, theta, steps) = learning.train(problem, theta, args.train)?;
    let findings = study.run(&problem, &theta)?;
    let title = format!("{} with {} loss on {}", model_text(args), learning.loss()?.name(), samples.title);
    let text = text(&title, steps, &findings);
    let page = match &args.out {
        Some(directory) => Some(write_spectrum(&findings, &title, &text, directory)?.display().to_string()),
        None => None,
    };
    if args.json {
        say_json(&document(&title, args, steps, &findings, page)?);
    } else {
        say(text.trim_end());
        page.iter().for_each(|page| say(&format!("report       {page}")));
    }
    Ok(Done::Success)
}

fn learning(args: &SpectrumArgs) -> Result<Learning, Failure> {
    Ok(Learning {
        model: ModelKind::named(&args.model)?,
        layers: layers(&args.layers).map_err(Failure::in_text(&args.layers))?,
        activation: activation(&args.activation)?,
        loss: args.loss.as_deref().map(LossKind::named).transpose()?,
        l2: args.l2,
        seed: args.seed,
    })
}

/// Reads `n1,n2,…`.
pub fn layers(text: &str) -> Result<Vec<usize>, Error> {
    let mut position = 0;
    let one = |part: &str| {
        let here = position;
        position += part.chars().count() + 1;
        part.trim().parse::<usize>().ok().filter(|n| (1..=100_000).contains(n)).ok_or_else(|| Error::Parse {
            what: "layers",
            position: here,
            reason: format!("expected a number of units from 1 to 100000, found `{}`", part.trim()),
        })
    };
    text.split(',').map(one).collect()
}

fn samples(args: &SpectrumArgs, loss: LossKind) -> Result<Samples, Failure> {
    let Some(file) = &args.data else {
        return Ok(Samples::synthetic(args.samples, args.inputs, loss, args.seed)?);
    };
    let table = dataset::Table::read(file)?;
    let names = table.names();
    let name = args.y.as_deref().or(names.last().map(String::as_str)).unwrap_or_default();
    let response = table.column(name)?;
    let predictors: Vec<&[f64]> =
        names.iter().zip(table.columns()).filter(|(other, _)| *other != name).map(|(_, column)| &column[..]).collect();
    Ok(Samples::from_columns(file, &predictors, response)?)
}

fn model_text(args: &SpectrumArgs) -> String {
    match args.model.as_str() {
        "mlp" => format!("mlp {} ({})", args.layers, args.activation),
        model => format!("{model} model"),
    }
}

/// A number with what it may be off by.
fn estimate(e: &Estimate) -> String {
    if e.error == 0.0 { short(e.value) } else { format!("{} ± {:.0e}", short(e.value), e.error) }
}

fn short(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) { format!("{value:.4}") } else { format!("{value:.3e}") }
}

/// A condition number; where the smallest eigenvalue is not known, a lower bound.
fn condition(k: Option<ConditionNumber>) -> String {
    match k {
        None => "not positive definite".into(),
        Some(k) if k.at_most > 1.01 * k.value => format!("at least {}", short(k.value)),
        Some(k) => short(k.value),
    }
}

fn text(title: &str, steps: u64, findings: &Findings) -> String {
    let mut out = format!("{title}\n");
    let (p, n) = (findings.n_params, findings.n_samples);
    let _ = writeln!(out, "point        {p} parameters, {n} samples, after {steps} training steps");
    let (cost, gradient) = (number(findings.cost), findings.gradient_norm);
    let _ = writeln!(out, "loss         {cost}, gradient {gradient:.3e} (largest entry)");
    let _ = writeln!(out, "damping δ    {:.3e}", findings.damping);
    out.push('\n');
    out.push_str(&matrices(findings));
    out.push_str("\n\nPreconditioned: (P + δI)⁻¹ (G + δI) for the Gauss–Newton matrix G\n");
    out.push_str(&conditioning(findings));
    out.push_str("\n\nApproximations, by relative Frobenius norm, and their damped steps against that of G\n");
    out.push_str(&distances(findings));
    out.push('\n');
    out
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    rows.for_each(|row| {
        table.add_row(row);
    });
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.trim_fmt()
}

fn matrices(findings: &Findings) -> String {
    let end =
        |ritz: Option<&curvkit::spectrum::Ritz>| ritz.map_or(String::new(), |r| format!("{} ± {:.0e}", short(r.value), r.error));
    let rows = findings.matrices.iter().map(|m| {
        vec![
            m.name.replace('_', "-"),
            end(m.extremes.lowest.first()),
            end(m.extremes.highest.first()),
            estimate(&m.trace),
            estimate(&m.norm),
            format!("{:.1}%", 100.0 * m.negative_share),
            condition(m.damped_condition),
        ]
    });
    table(&["MATRIX", "SMALLEST", "LARGEST", "TRACE", "FROBENIUS", "NEGATIVE", "κ(B + δI)"], rows)
}

fn conditioning(findings: &Findings) -> String {
    let rows = findings.conditioning.iter().map(|c| {
        let note = if c.converged { "" } else { "not converged" };
        vec![
            c.preconditioner.into(),
            condition(c.condition),
            short(c.range.0),
            short(c.range.1),
            c.products.to_string(),
            note.into(),
        ]
    });
    table(&["P", "κ", "SMALLEST", "LARGEST", "PRODUCTS", ""], rows)
}

fn distances(findings: &Findings) -> String {
    let angle = |a: Option<f64>| a.map_or("–".into(), |a| format!("{a:.2}°"));
    let rows = findings.approximations.iter().map(|a| {
        vec![
            a.name.replace('_', "-"),
            estimate(&a.to_gauss_newton),
            estimate(&a.to_hessian),
            angle(a.angle),
            a.length_ratio.map_or("–".into(), short),
        ]
    });
    table(&["MATRIX", "TO GAUSS-NEWTON", "TO HESSIAN", "ANGLE OF STEP", "LENGTH OF STEP"], rows)
}

fn document(title: &str, args: &SpectrumArgs, steps: u64, findings: &Findings, page: Option<String>) -> Result<Value, Failure> {
    let mut document = serde_json::to_value(findings).map_err(|e| Error::Io { path: "JSON".into(), source: e.into() })?;
    if let Value::Object(fields) = &mut document {
        fields.insert("title".into(), title.into());
        fields.insert("seed".into(), args.seed.into());
        fields.insert("training_steps".into(), steps.into());
        if let Some(page) = page {
            fields.insert("report".into(), json!(page));
        }
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_reads_numbers_and_says_where_one_is_not() {
        assert_eq!(layers("8, 16").unwrap(), [8, 16]);
        for (text, at) in [("8,x", 2), ("0", 0), ("8,,8", 2), ("", 0), ("-1", 0), ("1e9", 0)] {
            assert!(matches!(layers(text), Err(Error::Parse { position, .. }) if position == at), "{text}");
        }
    }

    #[test]
    fn condition_numbers_say_what_they_are() {
        let found = |value, at_most| Some(ConditionNumber { value, at_most });
        assert_eq!(condition(found(12.0, 12.0)), "12.0000");
        assert_eq!(condition(found(12.0, f64::INFINITY)), "at least 12.0000");
        assert_eq!(condition(None), "not positive definite");
    }
}
