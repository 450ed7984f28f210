//! `curvkit fit`.

use crate::Done;
use crate::args::FitArgs;
use crate::failure::Failure;
use crate::output::{duration, number, say, say_json, warn};
use comfy_table::{CellAlignment, Table as Shown, presets};
use curvkit::dataset::{Table, nist};
use curvkit::fit::{Fit, FitOptions, Formula, Interval, Method, fit, fit_robust};
use curvkit::problem::{LeastSquares, ResidualHessian, RobustLoss};
use curvkit::{Error, testbed};
use serde_json::{Value, json};
use std::time::Instant;

/// Correlations from which a pair of parameters is shown.
const HIGH_CORRELATION: f64 = 0.99;

/// Influence, against least squares, below which a residual is shown as an outlier.
const OUTLIER: f64 = 0.1;

/// What is fitted, and from where.
struct Case {
    title: String,
    names: Vec<String>,
    start: Vec<f64>,
    /// Observations with their weights.
    response: Vec<(f64, f64)>,
    certified: Option<(Vec<f64>, Vec<f64>)>,
}

/// A finished fit with what is shown of it.
struct Report<'a> {
    case: &'a Case,
    fit: &'a Fit,
    solver: &'a str,
    level: f64,
    intervals: Vec<Interval>,
    seconds: f64,
    robust: Option<String>,
}

/// Fits a formula to a table, or one of NIST's regressions.
pub fn fit_command(args: &FitArgs) -> Result<Done, Failure> {
    let options = FitOptions { method: Method::named(&args.solver)?, max_iterations: args.max_iters, ..FitOptions::default() };
    if let Some(name) = &args.nist {
        let (case, problem) = nist_case(name, args.start)?;
        return run(&case, &problem, &options, args, None);
    }
    let (text, file) = (args.model.as_deref().unwrap_or_default(), args.data.as_deref().unwrap_or_default());
    let table = Table::read(file)?;
    let (names, start) = parameters(args.params.as_deref().unwrap_or_default())?;
    let formula =
        Formula::new(text, &names, &table, args.y.as_deref(), args.weights.as_deref()).map_err(Failure::in_text(text))?;
    let Some(response) = formula.response().map(<[f64]>::to_vec) else {
        return Err(Error::Config {
            name: "--y".into(),
            requirement: "given, or the model written as `y = …`",
            value: text.into(),
        }
        .into());
    };
    if response.len() < names.len() {
        let found = format!("{} rows for {} parameters", response.len(), names.len());
        return Err(Error::Config {
            name: "--data".into(),
            requirement: "a table with at least as many rows as parameters",
            value: found,
        }
        .into());
    }
    let response = response.into_iter().enumerate().map(|(i, y)| (y, formula.weight(i))).collect();
    let case = Case { title: format!("{text} on {file}"), names, start, response, certified: None };
    run(&case, &LeastSquares::new(formula.clone()), &options, args, Some(&formula))
}

fn nist_case(name: &str, start: usize) -> Result<(Case, LeastSquares<impl ResidualHessian + 'static>), Failure> {
    let known = nist::names().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name);
    let data = nist::load(known)?;
    Error::check_option((1..=2).contains(&start), "--start", "1 or 2", start)?;
    let names = (1..=data.n_parameters()).map(|j| format!("b{j}")).collect();
    let case = Case {
        title: format!("NIST {known}, start {start}"),
        names,
        start: data.starts[start - 1].clone(),
        response: data.target().into_iter().map(|y| (y, 1.0)).collect(),
        certified: Some((data.certified.clone(), data.standard_deviations.clone())),
    };
    Ok((case, LeastSquares::new(testbed::nist::regression(known)?)))
}

/// Reads `NAME` or `NAME:SCALE`.
fn loss(text: &str) -> Result<(RobustLoss, Option<f64>), Failure> {
    let (name, scale) = text.split_once(':').map_or((text, None), |(name, scale)| (name, Some(scale)));
    let number = |scale: &str| {
        let value = scale.trim().parse::<f64>().ok().filter(|v| *v > 0.0 && v.is_finite());
        value.ok_or(Error::Config {
            name: "--loss".into(),
            requirement: "NAME or NAME:SCALE with a positive scale",
            value: text.into(),
        })
    };
    Ok((RobustLoss::named(name.trim())?, scale.map(number).transpose()?))
}

/// Reads `b1=v,b2=v`.
fn parameters(text: &str) -> Result<(Vec<String>, Vec<f64>), Failure> {
    let (mut names, mut start) = (Vec::new(), Vec::new());
    let mut position = 0;
    for part in text.split(',') {
        let wrong = |reason: String| Failure::in_text(text)(Error::Parse { what: "parameters", position, reason });
        let Some((name, value)) = part.split_once('=') else {
            return Err(wrong(format!("expected NAME=START, found `{}`", part.trim())));
        };
        let (name, value) = (name.trim(), value.trim());
        let value: f64 = value.parse().map_err(|_| wrong(format!("expected a number for `{name}`, found `{value}`")))?;
        if !value.is_finite() {
            return Err(wrong(format!("the start of `{name}` must be finite")));
        }
        if name.is_empty() || names.iter().any(|known| known == name) {
            return Err(wrong(format!("`{name}` must be a name that is given once")));
        }
        names.push(name.to_string());
        start.push(value);
        position += part.chars().count() + 1;
    }
    Ok((names, start))
}

fn run<R: ResidualHessian + 'static>(
    case: &Case,
    problem: &LeastSquares<R>,
    options: &FitOptions,
    args: &FitArgs,
    formula: Option<&Formula>,
) -> Result<Done, Failure> {
    let began = Instant::now();
    let (fit, robust) = match &args.loss {
        None => (fit(problem, &case.start, options)?, None),
        Some(text) => {
            let (loss, scale) = loss(text)?;
            let found = fit_robust(problem.shared_residuals(), &case.start, loss, scale, options)?;
            let outliers = found.weights.iter().filter(|w| w.abs() < OUTLIER).count();
            (
                found.fit,
                Some(format!(
                    "{text}, scale {}; {outliers} of {} residuals count less than a tenth",
                    number(found.scale),
                    found.weights.len()
                )),
            )
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let intervals = fit.statistics.intervals(&fit.parameters, args.level)?;
    let report = Report { case, fit: &fit, solver: &args.solver, level: args.level, intervals, seconds, robust };
    if let Some(path) = &args.save {
        let Some(formula) = formula else {
            return Err(Error::Config { name: "--save".into(), requirement: "used with --model", value: path.clone() }.into());
        };
        save(path, formula, args, &fit)?;
    }
    if args.json {
        say_json(&report.json());
    } else {
        report.describe();
    }
    if !fit.converged() {
        warn(&format!("not verified as a minimum; the first phase ended with: {}", fit.stop));
        return Ok(Done::NotConverged);
    }
    Ok(Done::Success)
}

fn save(path: &str, formula: &Formula, args: &FitArgs, fit: &Fit) -> Result<(), Failure> {
    let document = json!({
        "curvkit_fit": 1,
        "model": args.model,
        "parameters": formula.parameters(),
        "estimates": fit.parameters,
        "statistics": fit.statistics,
    });
    std::fs::write(path, format!("{document:#}\n")).map_err(|source| Error::Io { path: path.into(), source })?;
    Ok(())
}

impl Report<'_> {
    fn r_squared(&self) -> Option<f64> {
        let rows = &self.case.response;
        let mean = rows.iter().map(|(y, w)| w * y).sum::<f64>() / rows.iter().map(|(_, w)| w).sum::<f64>();
        let total: f64 = rows.iter().map(|(y, w)| w * (y - mean) * (y - mean)).sum();
        (total > 0.0).then(|| 1.0 - self.fit.statistics.residual_sum_of_squares / total)
    }

    fn describe(&self) {
        let (fit, s) = (self.fit, &self.fit.statistics);
        say(&format!("fit          {}", self.case.title));
        say(&format!("solver       {}, then {} exact Newton steps", self.solver, fit.finish.steps));
        if let Some(robust) = &self.robust {
            say(&format!("loss         {robust}"));
        }
        say("");
        self.table();
        say("");
        say(&format!(
            "residuals    standard deviation {} on {} degrees of freedom",
            significant(s.residual_standard_deviation, 10),
            s.degrees_of_freedom
        ));
        let r = self.r_squared().map_or(String::new(), |r| format!("R² {r:.6}, "));
        let (aic, bic) = s.information_criteria();
        say(&format!(
            "             sum of squares {}, {r}AIC {aic:.2}, BIC {bic:.2}",
            significant(s.residual_sum_of_squares, 10)
        ));
        say(&format!(
            "iterations   {}, {} costs, {} Jacobians, {}",
            fit.iterations,
            fit.counts.cost,
            fit.counts.jacobian,
            duration(self.seconds)
        ));
        say(&format!("certificate  {}", self.certificate()));
        self.warnings().iter().for_each(|warning| say(&format!("warning      {warning}")));
    }

    fn table(&self) {
        let (fit, s) = (self.fit, &self.fit.statistics);
        let mut table = Shown::new();
        table.load_style(presets::NOTHING);
        let level = format!("{}% INTERVAL", number(100.0 * self.level));
        let mut header = vec!["", "ESTIMATE", "STD ERROR", "T", "P", level.as_str(), ""];
        if self.case.certified.is_some() {
            header.extend(["CERTIFIED", "DIGITS"]);
        }
        table.set_header(header);
        let t_values = s.t_values(&fit.parameters);
        for (j, name) in self.case.names.iter().enumerate() {
            let (t, p) = t_values[j];
            let interval = self.intervals[j];
            let mut row = vec![
                name.clone(),
                significant(fit.parameters[j], 12),
                significant(s.standard_errors[j], 5),
                if t.is_nan() { "-".into() } else { format!("{t:.2}") },
                if p.is_nan() { "-".into() } else { format!("{p:.1e}") },
                significant(interval.lower, 6),
                significant(interval.upper, 6),
            ];
            if let Some((values, _)) = &self.case.certified {
                row.push(significant(values[j], 11));
                row.push(format!("{:.1}", -((fit.parameters[j] - values[j]).abs() / values[j].abs()).max(1e-11).log10()));
            }
            table.add_row(row);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        say(&table.trim_fmt());
    }

    fn certificate(&self) -> String {
        let f = &self.fit.finish;
        let kind = if self.fit.converged() {
            "minimum"
        } else if f.curvature[0] < 0.0 {
            "not a minimum: negative curvature"
        } else {
            "not verified"
        };
        let condition = self.fit.statistics.condition_number;
        format!(
            "{kind}; cost within {:.1e} of its minimum, scaled curvature from {:.3e} to {:.3e}, condition number of J {condition:.3e}, ‖H − JᵀJ‖/‖H‖ {:.1e}",
            self.fit.cost * f.decrement * f.decrement,
            f.curvature[0],
            f.curvature[1],
            f.nonlinearity
        )
    }

    fn named(&self, indices: &[usize]) -> String {
        indices.iter().map(|&j| self.case.names[j].as_str()).collect::<Vec<_>>().join(", ")
    }

    fn warnings(&self) -> Vec<String> {
        let s = &self.fit.statistics;
        let mut found = Vec::new();
        if !s.unidentified.is_empty() {
            found.push(format!("the data do not determine {}: only combinations of them", self.named(&s.unidentified)));
        }
        if !s.collinear.is_empty() {
            found.push(format!(
                "{} are nearly collinear (condition number {:.1e})",
                self.named(&s.collinear),
                s.condition_number
            ));
        }
        if s.degrees_of_freedom == 0 {
            found.push("as many parameters as observations: no standard errors".into());
        }
        let (n, correlation) = (self.case.names.len(), s.correlation());
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (j, i)));
        let high: Vec<String> = pairs
            .filter(|&(i, j)| correlation[i * n + j].abs() >= HIGH_CORRELATION)
            .map(|(i, j)| format!("{} and {}: {:.4}", self.case.names[i], self.case.names[j], correlation[i * n + j]))
            .collect();
        if !high.is_empty() {
            found.push(format!("high correlation of {}", high.join("; ")));
        }
        if self.fit.finish.nonlinearity > 0.1 {
            found.push("large residual curvature: the standard errors, which linearize the model, may be too small".into());
        }
        found
    }

    fn json(&self) -> Value {
        let (fit, s) = (self.fit, &self.fit.statistics);
        let value_and_bound = fit.stop.value_and_bound();
        let parameters: Vec<Value> = (0..self.case.names.len())
            .map(|j| {
                let (t, p) = s.t_values(&fit.parameters)[j];
                json!({
                    "name": self.case.names[j],
                    "estimate": fit.parameters[j],
                    "std_error": s.standard_errors[j],
                    "t": t,
                    "p": p,
                    "lower": self.intervals[j].lower,
                    "upper": self.intervals[j].upper,
                })
            })
            .collect();
        json!({
            "problem": self.case.title,
            "solver": self.solver,
            "converged": fit.converged(),
            "stop": { "reason": fit.stop.reason(), "value": value_and_bound.map(|v| v.0), "bound": value_and_bound.map(|v| v.1), "text": fit.stop.to_string() },
            "x": fit.parameters,
            "cost": fit.cost,
            "iterations": fit.iterations,
            "counts": fit.counts,
            "seconds": self.seconds,
            "certificate": fit.finish,
            "level": self.level,
            "parameters": parameters,
            "rss": s.residual_sum_of_squares,
            "residual_std_dev": s.residual_standard_deviation,
            "degrees_of_freedom": s.degrees_of_freedom,
            "condition_number": s.condition_number,
            "correlation": s.correlation(),
            "r_squared": self.r_squared(),
            "loss": self.robust,
            "warnings": self.warnings(),
        })
    }
}

/// `digits` significant digits, as a plain number where that is short.
fn significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "-".into();
    }
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..8).contains(&magnitude) {
        let decimals = (digits as i32 - 1 - magnitude).max(0) as usize;
        return format!("{value:.decimals$}");
    }
    format!("{value:.*e}", digits - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_names_with_starts() {
        let read = parameters("b1=1.5, b2=-2e3");
        assert_eq!(read.map_err(|e| e.to_string()).unwrap(), (vec!["b1".to_string(), "b2".to_string()], vec![1.5, -2e3]));
        for (text, part) in [("b1", "character 0"), ("a=1,b=x", "character 4"), ("a=1,a=2", "given once"), ("a=inf", "finite")] {
            let message = parameters(text).map_err(|e| e.to_string()).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn numbers_have_the_digits_asked_for() {
        assert_eq!(significant(213.80940889, 11), "213.80940889");
        assert_eq!(significant(5.6e-9, 3), "5.60e-9");
        assert_eq!(significant(0.0, 3), "0.00");
        assert_eq!(significant(f64::NAN, 3), "-");
    }
}
