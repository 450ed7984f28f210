//! The page of a fit: data with the fitted curve and its bands, residuals three ways, correlations, convergence.

use super::charts::Figure;
use super::html::{STYLE, escape};
use super::plot::{Axis, Chart, Line, Mark, Scale, style};
use super::{io, save, write_numbers};
use crate::error::{Error, Result};
use crate::fit::Fit;
use statrs::distribution::{ContinuousCDF, Normal};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The fitted curve at one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// The place.
    pub x: f64,
    /// The prediction.
    pub value: f64,
    /// Half the width of the confidence band of the curve.
    pub mean: f64,
    /// Half the width of the band of a new observation.
    pub observation: f64,
}

/// What a report of a fit shows.
#[derive(Debug, Clone)]
pub struct Regression<'a> {
    /// Heading.
    pub title: &'a str,
    /// What the terminal shows: the table of parameters and what else was found.
    pub summary: &'a str,
    /// Names of the parameters.
    pub names: &'a [String],
    /// The fit.
    pub fit: &'a Fit,
    /// Level of the bands.
    pub level: f64,
    /// Name and values of the horizontal axis, one for each observation.
    pub x: (&'a str, &'a [f64]),
    /// Name and values of the observations.
    pub y: (&'a str, &'a [f64]),
    /// The fitted values, one for each observation.
    pub fitted: &'a [f64],
    /// The curve from left to right; empty if the model has more than one predictor.
    pub curve: &'a [CurvePoint],
}

/// Limits of the axes: everything that is finite.
const ALL: (f64, f64) = (-f64::MAX, f64::MAX);

fn line(name: impl Into<String>, index: usize, dash: &'static str, points: Vec<(f64, f64)>, mark: Mark) -> Line {
    Line { name: name.into(), style: style(index, dash), points, mark }
}

/// Axes around all points of the lines.
fn chart(title: &str, x: (&str, Scale), y: (&str, Scale), lines: Vec<Line>) -> Chart {
    let axis = |(label, scale): (&str, Scale), pick: fn(&(f64, f64)) -> f64| {
        let limits = if scale == Scale::Log { (1e-300, f64::MAX) } else { ALL };
        Axis::around(label, scale, lines.iter().flat_map(|l| l.points.iter().map(pick)), limits).roomy()
    };
    let (x, y) = (axis(x, |p| p.0), axis(y, |p| p.1));
    Chart { title: title.into(), x, y, lines }
}

/// A horizontal line over all `x` of some points.
fn level_line(name: &str, points: &[(f64, f64)]) -> Line {
    let ends = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.0), h.max(p.0)));
    line(name, 19, "4 3", vec![(ends.0, 0.0), (ends.1, 0.0)], Mark::None)
}

impl Regression<'_> {
    /// Writes `index.html`, `data.csv`, `curve.csv` and the charts into `directory`, which is made if it is not there;
    /// returns the page's path.
    ///
    /// # Errors
    /// [`Error::Io`] with the path that could not be written; [`Error::Dimension`] if the parts do not fit together.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let m = self.y.1.len();
        Error::check_len("horizontal values", m, self.x.1.len())?;
        Error::check_len("fitted values", m, self.fitted.len())?;
        let charts = directory.join("charts");
        std::fs::create_dir_all(&charts).map_err(|e| io(&charts, e))?;
        let figures = self.figures()?;
        for figure in &figures {
            save(&charts.join(format!("{}.svg", figure.name)), figure.svg.as_bytes())?;
        }
        self.tables(directory)?;
        let page = directory.join("index.html");
        save(&page, self.page(&figures).as_bytes())?;
        Ok(page)
    }

    fn residuals(&self) -> Vec<f64> {
        self.y.1.iter().zip(self.fitted).map(|(y, f)| y - f).collect()
    }

    fn figures(&self) -> Result<Vec<Figure>> {
        let mut figures = vec![
            ("fit", self.data_chart()),
            ("residuals", self.residual_chart("Residuals", self.x.0, self.x.1)),
            ("residuals_fitted", self.residual_chart("Residuals by fitted value", "fitted value", self.fitted)),
            ("normal_quantiles", self.quantile_chart()),
        ];
        if self.fit.trace.len() > 1 {
            figures.push(("convergence", self.convergence_chart()));
        }
        figures.into_iter().map(|(name, chart)| Figure::new(name.into(), &chart)).collect()
    }

    /// Data and curve; observed against fitted where there is no curve to draw.
    fn data_chart(&self) -> Chart {
        let pairs = |x: &[f64]| x.iter().copied().zip(self.y.1.iter().copied()).collect();
        if self.curve.is_empty() {
            let ends = self.fitted.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
            let lines = vec![
                line("observed", 0, "", pairs(self.fitted), Mark::Points),
                line("observed = fitted", 19, "4 3", vec![(ends.0, ends.0), (ends.1, ends.1)], Mark::None),
            ];
            return chart("Observed and fitted", ("fitted value", Scale::Linear), (self.y.0, Scale::Linear), lines);
        }
        let along = |height: fn(&CurvePoint) -> f64| self.curve.iter().map(|p| (p.x, height(p))).collect::<Vec<_>>();
        let percent = 100.0 * self.level;
        let mut lines = vec![line("fit", 1, "", along(|p| p.value), Mark::None)];
        if self.curve.iter().any(|p| p.mean.is_finite()) {
            lines.push(line(format!("{percent}% band of the curve"), 4, "7 4", along(|p| p.value - p.mean), Mark::None));
            lines.push(line("", 4, "7 4", along(|p| p.value + p.mean), Mark::None));
            lines.push(line(
                format!("{percent}% band of observations"),
                5,
                "2 3",
                along(|p| p.value - p.observation),
                Mark::None,
            ));
            lines.push(line("", 5, "2 3", along(|p| p.value + p.observation), Mark::None));
        }
        lines.push(line("data", 0, "", pairs(self.x.1), Mark::Points));
        chart("Data and fit", (self.x.0, Scale::Linear), (self.y.0, Scale::Linear), lines)
    }

    fn residual_chart(&self, title: &str, label: &str, x: &[f64]) -> Chart {
        let points: Vec<_> = x.iter().copied().zip(self.residuals()).collect();
        let lines = vec![level_line("zero", &points), line("observed − fitted", 0, "", points, Mark::Points)];
        chart(title, (label, Scale::Linear), ("residual", Scale::Linear), lines)
    }

    /// Sorted residuals against the quantiles of a normal distribution (Blom's positions).
    fn quantile_chart(&self) -> Chart {
        let mut sorted = self.residuals();
        sorted.sort_by(f64::total_cmp);
        let m = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / m;
        let deviation = (sorted.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / m).sqrt();
        let normal = Normal::standard();
        let quantile = |i: usize| normal.inverse_cdf((i as f64 + 0.625) / (m + 0.25));
        let points: Vec<_> = sorted.iter().enumerate().map(|(i, r)| (quantile(i), *r)).collect();
        let ends = [0, sorted.len().saturating_sub(1)].map(quantile);
        let straight = ends.iter().map(|q| (*q, mean + deviation * q)).collect();
        let lines = vec![line("normal", 19, "4 3", straight, Mark::None), line("residuals", 0, "", points, Mark::Points)];
        chart("Normal quantiles", ("quantile of the normal distribution", Scale::Linear), ("residual", Scale::Linear), lines)
    }

    /// How far above the answer each step of the first phase was.
    fn convergence_chart(&self) -> Chart {
        let last = self.fit.cost;
        let above = |cost: &f64| (cost - last).max(f64::EPSILON * last.abs().max(f64::MIN_POSITIVE));
        let points = self.fit.trace.iter().enumerate().map(|(i, cost)| (i as f64, above(cost))).collect();
        let lines = vec![line("first phase", 0, "", points, Mark::End)];
        chart("Convergence", ("iteration", Scale::Linear), ("cost above that of the answer", Scale::Log), lines)
    }

    fn tables(&self, directory: &Path) -> Result<()> {
        let data = (0..self.y.1.len()).map(|i| vec![self.x.1[i], self.y.1[i], self.fitted[i], self.y.1[i] - self.fitted[i]]);
        write_numbers(&directory.join("data.csv"), &[self.x.0, self.y.0, "fitted", "residual"], data)?;
        let bands = |p: &CurvePoint| [-p.mean, p.mean, -p.observation, p.observation].map(|half| p.value + half);
        let curve = self.curve.iter().map(|p| [&[p.x, p.value][..], &bands(p)].concat());
        write_numbers(
            &directory.join("curve.csv"),
            &[self.x.0, "prediction", "mean_lower", "mean_upper", "lower", "upper"],
            curve,
        )
    }

    fn page(&self, figures: &[Figure]) -> String {
        let mut out = String::new();
        let title = escape(self.title);
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>curvkit fit: {title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n\
             <div class=\"scroll\"><pre>{}</pre></div>\n",
            escape(self.summary)
        );
        for figure in figures {
            let _ = writeln!(out, "<figure>{}</figure>", figure.svg);
        }
        self.correlations(&mut out);
        out.push_str("</main></body></html>\n");
        out
    }

    /// Blue for positive, red for negative, the stronger the darker.
    fn correlations(&self, out: &mut String) {
        let (n, correlation) = (self.names.len(), self.fit.statistics.correlation());
        out.push_str("<h2>Correlation of the estimates</h2>\n<div class=\"scroll\"><table><thead><tr><th></th>");
        self.names.iter().for_each(|name| {
            let _ = write!(out, "<th>{}</th>", escape(name));
        });
        out.push_str("</tr></thead><tbody>\n");
        for i in 0..n {
            let _ = write!(out, "<tr><th class=\"l\">{}</th>", escape(&self.names[i]));
            for j in 0..n {
                let c = correlation[i * n + j];
                let (hue, text) = (if c < 0.0 { "214,39,40" } else { "31,119,180" }, if c.abs() > 0.7 { "#fff" } else { "#000" });
                let _ = match c.is_finite() {
                    true => write!(out, "<td style=\"background:rgba({hue},{:.2});color:{text}\">{c:.3}</td>", c.abs()),
                    false => write!(out, "<td>–</td>"),
                };
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
    }
}
