//! The page of a curvature study: densities, condition numbers, distances, heat maps.

use super::charts::Figure;
use super::heat::{HeatMap, row};
use super::html::{STYLE, escape};
use super::plot::{Axis, Chart, Line, Mark, Scale, style};
use super::{io, save, write_numbers};
use crate::error::Result;
use crate::study::spectrum::{Findings, Pictures};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Decades of density that are drawn.
const DECADES: f64 = 1e6;

/// Writes `index.html`, `density.csv`, `log_density.csv`, `eigenvalues.csv`, `blocks.csv` and the charts into `directory`, which
/// is made if it is not there; returns the page's path. `summary` is what the terminal shows.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) with the path that could not be written.
pub fn write_spectrum(findings: &Findings, title: &str, summary: &str, directory: &Path) -> Result<PathBuf> {
    let charts = directory.join("charts");
    std::fs::create_dir_all(&charts).map_err(|e| io(&charts, e))?;
    let mut figures = vec![density(findings)?, log_density(findings)?];
    if let Some(pictures) = &findings.pictures {
        figures.extend(heat_maps(pictures));
        write_numbers(&directory.join("blocks.csv"), &BLOCK_COLUMNS, blocks(pictures).into_iter())?;
    }
    for figure in &figures {
        save(&charts.join(format!("{}.svg", figure.name)), figure.svg.as_bytes())?;
    }
    tables(findings, directory)?;
    let page = directory.join("index.html");
    save(&page, self::page(title, summary, &figures).as_bytes())?;
    Ok(page)
}

fn line(name: String, index: usize, dash: &'static str, points: Vec<(f64, f64)>) -> Line {
    Line { name, style: style(index, dash), points, mark: Mark::None }
}

/// A chart with a logarithmic vertical axis.
fn chart(name: &str, title: &str, label: &str, lines: Vec<Line>) -> Result<Figure> {
    let points = || lines.iter().flat_map(|l| l.points.iter());
    let top = points().map(|p| p.1).fold(f64::MIN_POSITIVE, f64::max);
    let floor = (top / DECADES).max(1e-300);
    let all = (-f64::MAX, f64::MAX);
    let x = Axis::around(label, Scale::Linear, points().filter(|p| p.1 >= floor).map(|p| p.0), all).roomy();
    let y = Axis::around("density", Scale::Log, points().map(|p| p.1.max(floor)), (1e-300, f64::MAX));
    Figure::new(name.into(), &Chart { title: title.into(), x, y, lines })
}

/// The points, none below what is drawn: a logarithmic axis has no place for zero.
fn above(at: &[f64], values: &[f64]) -> Vec<(f64, f64)> {
    let floor = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max) / DECADES / 10.0;
    at.iter().zip(values).map(|(t, p)| (*t, p.max(floor))).collect()
}

fn label(name: &str) -> &str {
    if name == "hessian" { "Hessian" } else { "Gauss–Newton" }
}

fn density(findings: &Findings) -> Result<Figure> {
    let lines = findings.matrices.iter().enumerate().map(|(i, m)| {
        let dash = if i == 0 { "" } else { "7 4" };
        line(format!("{}, σ = {:.2e}", label(m.name), m.density.width), i, dash, above(&m.density.at, &m.density.values))
    });
    chart("density", "Density of the eigenvalues", "eigenvalue", lines.collect())
}

fn log_density(findings: &Findings) -> Result<Figure> {
    let mut lines = Vec::new();
    for (i, m) in findings.matrices.iter().enumerate() {
        for (k, part) in m.log_density.iter().enumerate() {
            let share = part.integral();
            if share < 1e-6 {
                continue;
            }
            let (sign, dash) = if k == 0 { ("λ > 0", "") } else { ("λ < 0", "3 3") };
            let name = format!("{}, {sign} ({:.1}%)", label(m.name), 100.0 * share);
            lines.push(line(name, i + 2 * k, dash, above(&part.at, &part.values)));
        }
    }
    chart("log_density", "Density of the moduli of the eigenvalues", "log₁₀ |eigenvalue|", lines)
}

fn map<'a>(title: &str, n: usize, entries: &'a [f64], largest: f64, cuts: Vec<usize>) -> HeatMap<'a> {
    HeatMap { title: title.into(), n, entries, largest, cuts }
}

/// Exact, K-FAC, difference; then every layer's own block.
fn heat_maps(pictures: &Pictures) -> Vec<Figure> {
    let n = pictures.layout.last().map_or(0, |b| b.range().end);
    let cuts: Vec<usize> = pictures.layout.iter().skip(1).map(|b| b.offset).collect();
    let difference: Vec<f64> = pictures.exact.iter().zip(&pictures.kfac).map(|(a, b)| a - b).collect();
    let largest = pictures.exact.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let whole = row(&[
        map("Fisher", n, &pictures.exact, largest, cuts.clone()),
        map("K-FAC", n, &pictures.kfac, largest, cuts.clone()),
        map("difference", n, &difference, largest, cuts),
    ]);
    let mut figures = vec![Figure { name: "heat".into(), title: "Fisher matrix and K-FAC, whole".into(), svg: whole }];
    for (k, block) in pictures.layout.iter().enumerate() {
        let part = |matrix: &[f64]| {
            block.range().flat_map(|j| matrix[j * n..(j + 1) * n][block.range()].iter().copied()).collect::<Vec<f64>>()
        };
        let (exact, kfac, rest) = (part(&pictures.exact), part(&pictures.kfac), part(&difference));
        let (size, m) = (exact.iter().fold(0.0f64, |m, v| m.max(v.abs())), block.range().len());
        // A line after each input's column of weights.
        let cuts: Vec<usize> =
            if block.columns <= 40 { (1..block.columns).map(|c| c * block.rows).collect() } else { Vec::new() };
        let svg = row(&[
            map("Fisher", m, &exact, size, cuts.clone()),
            map("K-FAC", m, &kfac, size, cuts.clone()),
            map("difference", m, &rest, size, cuts),
        ]);
        let title = format!("{}: {} outputs, {} inputs and bias", block.name, block.rows, block.columns - 1);
        figures.push(Figure { name: format!("heat_block_{}", k + 1), title, svg });
    }
    figures
}

const BLOCK_COLUMNS: [&str; 5] = ["row_block", "column_block", "exact_norm", "kfac_norm", "relative_error"];

/// Frobenius norms of every pair of layers, counted from 1.
fn blocks(pictures: &Pictures) -> Vec<Vec<f64>> {
    let n = pictures.layout.last().map_or(0, |b| b.range().end);
    let mut rows = Vec::new();
    for (i, a) in pictures.layout.iter().enumerate() {
        for (j, b) in pictures.layout.iter().enumerate() {
            let norm = |f: &dyn Fn(usize) -> f64| {
                let places = b.range().flat_map(|column| a.range().map(move |row| column * n + row));
                places.fold(0.0, |norm, k| f64::hypot(norm, f(k)))
            };
            let exact = norm(&|k| pictures.exact[k]);
            let difference = norm(&|k| pictures.exact[k] - pictures.kfac[k]);
            rows.push(vec![(i + 1) as f64, (j + 1) as f64, exact, norm(&|k| pictures.kfac[k]), difference / exact]);
        }
    }
    rows
}

fn tables(findings: &Findings, directory: &Path) -> Result<()> {
    let index = |m: usize| m as f64;
    let density = findings
        .matrices
        .iter()
        .enumerate()
        .flat_map(|(i, m)| m.density.at.iter().zip(&m.density.values).map(move |(t, p)| vec![index(i), *t, *p]));
    write_numbers(&directory.join("density.csv"), &["gauss_newton", "eigenvalue", "density"], density)?;
    let logs = findings.matrices.iter().enumerate().flat_map(|(i, m)| {
        let [positive, negative] = &m.log_density;
        let points = positive.at.iter().zip(&positive.values).zip(&negative.values);
        points.map(move |((t, p), q)| vec![index(i), *t, *p, *q])
    });
    write_numbers(&directory.join("log_density.csv"), &["gauss_newton", "log10_modulus", "positive", "negative"], logs)?;
    let values = findings.matrices.iter().enumerate().flat_map(|(i, m)| {
        let pairs = m.extremes.lowest.iter().chain(m.extremes.highest.iter().rev());
        pairs.map(move |ritz| vec![index(i), ritz.value, ritz.error])
    });
    write_numbers(&directory.join("eigenvalues.csv"), &["gauss_newton", "eigenvalue", "error"], values)
}

fn page(title: &str, summary: &str, figures: &[Figure]) -> String {
    let mut out = String::new();
    let title = escape(title);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>curvkit spectrum: {title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n\
         <div class=\"scroll\"><pre>{}</pre></div>\n<h2>Eigenvalues</h2>\n\
         <p>Densities by stochastic Lanczos quadrature, smoothed by Gaussians of standard deviation σ. On the logarithmic axis \
         what is below 10⁻⁸ of the largest modulus stands at that place.</p>\n",
        escape(summary)
    );
    let (densities, maps) = figures.split_at(figures.len().min(2));
    for figure in densities {
        let _ = writeln!(out, "<figure>{}</figure>", figure.svg);
    }
    if !maps.is_empty() {
        out.push_str(
            "<h2>Fisher matrix and K-FAC</h2>\n<p>Moduli of the entries on a logarithmic scale over four decades, white \
             to dark; lines between layers, or between the inputs of a layer.</p>\n",
        );
    }
    for figure in maps {
        let _ = writeln!(out, "<figure><figcaption>{}</figcaption>{}</figure>", escape(&figure.title), figure.svg);
    }
    out.push_str("</main></body></html>\n");
    out
}
