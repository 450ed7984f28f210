//! The numbers of a comparison as CSV and JSON.

use super::{io, save};
use crate::error::{Error, Result};
use crate::study::comparison::Comparison;
use std::path::Path;

/// Writes `summary.csv`, `runs.csv`, `traces.csv` and `report.json`.
pub(super) fn write(comparison: &Comparison, directory: &Path) -> Result<()> {
    summary(comparison, &directory.join("summary.csv"))?;
    runs(comparison, &directory.join("runs.csv"))?;
    traces(comparison, &directory.join("traces.csv"))?;
    let path = directory.join("report.json");
    let text = serde_json::to_string_pretty(&comparison.to_json()).map_err(|e| io(&path, e.into()))?;
    save(&path, text.as_bytes())
}

type Table<'a> = (&'a [&'a str], Box<dyn Iterator<Item = Vec<String>> + 'a>);

fn csv(path: &Path, (header, rows): Table<'_>) -> Result<()> {
    let failed = |e: csv::Error| io(path, e.into());
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    writer.flush().map_err(|source| Error::Io { path: path.display().to_string(), source })
}

fn summary(comparison: &Comparison, path: &Path) -> Result<()> {
    let header = [
        "solver",
        "family",
        "solved",
        "at_known_minimum",
        "problems",
        "iterations",
        "median_iterations",
        "cost_count",
        "gradient_count",
        "hessian_count",
        "hessian_product_count",
        "factorization_count",
        "gradient_equivalents",
        "seconds",
    ];
    let rows = comparison.totals().into_iter().map(|t| {
        let mut row = vec![t.solver, t.family.label().into(), t.solved.to_string(), t.at_known_minimum.to_string()];
        row.extend([
            t.problems.to_string(),
            t.iterations.to_string(),
            t.median_iterations.map_or(String::new(), |m| m.to_string()),
        ]);
        let c = t.counts;
        row.extend([c.cost, c.gradient, c.hessian, c.hessian_product, c.factorization].map(|v| v.to_string()));
        row.extend([t.work.to_string(), t.seconds.to_string()]);
        row
    });
    csv(path, (&header, Box::new(rows)))
}

fn runs(comparison: &Comparison, path: &Path) -> Result<()> {
    let header = [
        "problem",
        "n",
        "solver",
        "converged",
        "solved",
        "at_known_minimum",
        "stop",
        "cost",
        "gradient_norm",
        "iterations",
        "cost_count",
        "gradient_count",
        "hessian_count",
        "hessian_product_count",
        "factorization_count",
        "inner_count",
        "gradient_equivalents",
        "seconds",
        "certificate",
        "certificate_seconds",
    ];
    let rows = comparison.outcomes.iter().flatten().map(|o| {
        let mut row = vec![o.problem.clone(), o.n.to_string(), o.solver.clone(), o.converged.to_string(), o.solved.to_string()];
        row.push(o.at_known_minimum.map_or(String::new(), |b| b.to_string()));
        row.extend([o.stop.reason.clone(), o.cost.to_string(), o.gradient_norm.to_string(), o.iterations.to_string()]);
        let c = o.counts;
        row.extend([c.cost, c.gradient, c.hessian, c.hessian_product, c.factorization, c.inner].map(|v| v.to_string()));
        row.extend([
            o.work().to_string(),
            o.seconds.to_string(),
            o.verdict().unwrap_or_default().into(),
            o.certificate_seconds.to_string(),
        ]);
        row
    });
    csv(path, (&header, Box::new(rows)))
}

fn traces(comparison: &Comparison, path: &Path) -> Result<()> {
    let header = ["problem", "solver", "iteration", "seconds", "gradient_equivalents", "cost", "gradient_norm"];
    let rows = comparison.outcomes.iter().flatten().flat_map(|o| {
        o.trace.iter().map(move |p| {
            let work = p.counts.gradient_equivalents(o.n);
            let mut row = vec![o.problem.clone(), o.solver.clone(), p.iteration.to_string()];
            row.extend([p.seconds, work, p.cost, p.gradient_norm].map(|v| v.to_string()));
            row
        })
    });
    csv(path, (&header, Box::new(rows)))
}
