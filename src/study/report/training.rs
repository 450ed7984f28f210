//! The page of a training run: curves of the loss by epochs and seconds, the learning rate.

use super::charts::Figure;
use super::html::{STYLE, escape};
use super::plot::{Axis, Chart, Line, Mark, Scale, style};
use super::{io, save};
use crate::error::Result;
use crate::study::training::{EpochPoint, Trained};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Writes `index.html`, `history.csv`, `report.json` and the charts into `directory`, which is made if it is not there; returns
/// the page's path. `summary` is what the terminal shows, `document` what `--json` does.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) with the path that could not be written.
pub fn write_training(
    trained: &Trained,
    title: &str,
    summary: &str,
    document: &serde_json::Value,
    directory: &Path,
) -> Result<PathBuf> {
    let charts = directory.join("charts");
    std::fs::create_dir_all(&charts).map_err(|e| io(&charts, e))?;
    let figures = figures(&trained.history)?;
    for figure in &figures {
        save(&charts.join(format!("{}.svg", figure.name)), figure.svg.as_bytes())?;
    }
    save(&directory.join("history.csv"), table(&trained.history).as_bytes())?;
    save(&directory.join("report.json"), format!("{document:#}").as_bytes())?;
    let page = directory.join("index.html");
    save(&page, self::page(title, summary, &figures).as_bytes())?;
    Ok(page)
}

/// The course as CSV; what was not measured is left empty.
fn table(history: &[EpochPoint]) -> String {
    let mut out = "epoch,samples,seconds,objective,validation,learning_rate\n".to_string();
    let optional = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
    for p in history {
        let (validation, rate) = (optional(p.validation), optional(p.learning_rate));
        let _ = writeln!(out, "{},{},{},{},{validation},{rate}", p.epoch, p.samples, p.seconds, p.objective);
    }
    out
}

fn figures(history: &[EpochPoint]) -> Result<Vec<Figure>> {
    let mut figures = vec![
        losses(history, "loss_by_epoch", "epochs", |p| p.epoch)?,
        losses(history, "loss_by_time", "seconds", |p| p.seconds)?,
    ];
    let rates: Vec<(f64, f64)> = history.iter().filter_map(|p| Some((p.epoch, p.learning_rate?))).collect();
    if !rates.is_empty() {
        figures.push(chart("learning_rate", "Learning rate", "epochs", "learning rate", vec![line("learning rate", 2, rates)])?);
    }
    Ok(figures)
}

fn line(name: &str, index: usize, points: Vec<(f64, f64)>) -> Line {
    Line { name: name.into(), style: style(index, if index == 1 { "7 4" } else { "" }), points, mark: Mark::None }
}

fn losses(history: &[EpochPoint], name: &str, unit: &str, x: impl Fn(&EpochPoint) -> f64) -> Result<Figure> {
    let mut lines = vec![line("objective (training)", 0, history.iter().map(|p| (x(p), p.objective)).collect())];
    let validation: Vec<(f64, f64)> = history.iter().filter_map(|p| Some((x(p), p.validation?))).collect();
    if !validation.is_empty() {
        lines.push(line("validation loss", 1, validation));
    }
    chart(name, &format!("Loss by {unit}"), unit, "loss", lines)
}

/// A chart with a logarithmic vertical axis if all values are positive.
fn chart(name: &str, title: &str, unit: &str, label: &str, lines: Vec<Line>) -> Result<Figure> {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let positive = points().all(|p| !(p.1 <= 0.0));
    let (scale, limits) = if positive { (Scale::Log, (1e-300, 1e300)) } else { (Scale::Linear, (-1e300, 1e300)) };
    let x = Axis::around(unit, Scale::Linear, points().map(|p| p.0), (-1e300, 1e300));
    let y = Axis::around(label, scale, points().map(|p| p.1), limits).roomy();
    Figure::new(name.into(), &Chart { title: title.into(), x, y, lines })
}

fn page(title: &str, summary: &str, figures: &[Figure]) -> String {
    let title = escape(title);
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>curvkit train: {title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n\
         <div class=\"scroll\"><pre>{}</pre></div>\n<h2>Course</h2>\n\
         <p>The objective is the mean loss of the training samples and the penalty, the validation loss has no penalty. The test \
         samples were scored once, at the answer.</p>\n",
        escape(summary)
    );
    for figure in figures {
        let _ = writeln!(out, "<figure>{}</figure>", figure.svg);
    }
    out.push_str("</main></body></html>\n");
    out
}
