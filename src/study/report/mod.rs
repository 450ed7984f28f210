//! Reports: SVG charts, one self-contained HTML page, CSV and JSON files. [`write()`] is for a comparison of solvers,
//! `Regression::write` (feature `fit`) for a fit, [`write_spectrum`] for a curvature study, [`write_training`] for a training
//! run, [`write_race`] for methods of training side by side.

mod charts;
mod files;
mod heat;
mod html;
pub mod plot;
mod race;
#[cfg(feature = "fit")]
mod regression;
mod spectrum;
mod training;

use super::comparison::Comparison;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

pub use charts::{Figure, figures};
pub use race::write_race;
#[cfg(feature = "fit")]
pub use regression::{CurvePoint, Regression};
pub use spectrum::write_spectrum;
pub use training::write_training;

/// Writes the report into `directory`, which is made if it is not there, and returns the page's path:
/// `index.html`, `summary.csv`, `runs.csv`, `traces.csv`, `report.json` and the charts as `*.svg`.
///
/// # Errors
/// [`Error::Io`] with the path that could not be written.
pub fn write(comparison: &Comparison, directory: &Path) -> Result<PathBuf> {
    let charts = directory.join("charts");
    std::fs::create_dir_all(&charts).map_err(|e| io(&charts, e))?;
    let figures = figures(comparison)?;
    for figure in &figures {
        save(&charts.join(format!("{}.svg", figure.name)), figure.svg.as_bytes())?;
    }
    files::write(comparison, directory)?;
    let page = directory.join("index.html");
    save(&page, html::page(comparison, &figures).as_bytes())?;
    Ok(page)
}

/// Makes `directory` and proves that files can be written there, so that a long run is not lost at its end.
///
/// # Errors
/// [`Error::Io`] if it cannot be made or written to.
pub fn prepare(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|e| io(directory, e))?;
    let probe = directory.join(".curvkit-probe");
    save(&probe, b"")?;
    std::fs::remove_file(&probe).map_err(|e| io(&probe, e))
}

fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|e| io(path, e))
}

fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { path: path.display().to_string(), source }
}

/// A table of numbers as CSV.
fn write_numbers(path: &Path, header: &[&str], rows: impl Iterator<Item = Vec<f64>>) -> Result<()> {
    let failed = |e: csv::Error| io(path, e.into());
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(row.iter().map(f64::to_string)).map_err(failed)?;
    }
    writer.flush().map_err(|source| io(path, source))
}
