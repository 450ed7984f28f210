//! The page of a race: excess by work with bands, by seconds, and the tables.

use super::charts::Figure;
use super::html::{STYLE, escape};
use super::plot::{Axis, Chart, Line, Mark, Scale, Style, style};
use super::{io, save};
use crate::error::Result;
use crate::study::training::{Band, Raced};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Points of each curve.
const POINTS: usize = 120;
/// What a chart shows at the lowest.
const FLOOR: f64 = 1e-14;

/// Writes `index.html`, `bands.csv`, `report.json` and the chart into `directory`, which is made if it is not there; returns the
/// page's path. `summary` is what the terminal shows, `document` what `--json` does.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) with the path that could not be written.
pub fn write_race(raced: &Raced, title: &str, summary: &str, document: &serde_json::Value, directory: &Path) -> Result<PathBuf> {
    let charts = directory.join("charts");
    std::fs::create_dir_all(&charts).map_err(|e| io(&charts, e))?;
    let curves = curves(raced);
    let figure = chart(raced, &curves)?;
    save(&charts.join(format!("{}.svg", figure.name)), figure.svg.as_bytes())?;
    bands(raced, &curves, &directory.join("bands.csv"))?;
    save(&directory.join("report.json"), format!("{document:#}").as_bytes())?;
    let page = directory.join("index.html");
    save(&page, self::page(title, summary, &figure).as_bytes())?;
    Ok(page)
}

/// A method's band at each amount of work.
type Curve = Vec<(f64, Band)>;

fn curves(raced: &Raced) -> Vec<Curve> {
    let at = |i: usize| raced.budget * (i as f64) / (POINTS as f64);
    raced.lanes.iter().map(|lane| (0..=POINTS).filter_map(|i| Some((at(i), raced.at(lane, at(i))?))).collect()).collect()
}

fn chart(raced: &Raced, curves: &[Curve]) -> Result<Figure> {
    let mut lines = Vec::new();
    for (i, (lane, curve)) in raced.lanes.iter().zip(curves).enumerate() {
        let solid = style(i, "");
        let values = |of: fn(&Band) -> f64| curve.iter().map(|(work, band)| (*work, of(band).max(FLOOR))).collect::<Vec<_>>();
        lines.push(Line { name: lane.optimizer.clone(), style: solid, points: values(|b| b.median), mark: Mark::None });
        if lane.runs.len() > 1 {
            // Half way to white: dashes are told apart by colours.
            let (r, g, b) = solid.colour;
            let pale = |c: u8| 128 + c / 2;
            let thin = Style { colour: (pale(r), pale(g), pale(b)), dash: "1 4" };
            for points in [values(|b| b.low), values(|b| b.high)] {
                lines.push(Line { name: String::new(), style: thin, points, mark: Mark::None });
            }
        }
    }
    let finite = |lines: &[Line]| lines.iter().flat_map(|l| &l.points).map(|p| p.1).filter(|v| v.is_finite()).collect::<Vec<_>>();
    let x = Axis::around("gradient equivalents", Scale::Linear, [0.0, raced.budget], (0.0, 1e300));
    let y = Axis::around("(f − f*) / max(1, |f*|)", Scale::Log, finite(&lines), (FLOOR, 1e300)).roomy();
    Figure::new(
        "excess".into(),
        &Chart { title: "Excess over the lowest objective: median, and the middle 80 %".into(), x, y, lines },
    )
}

fn bands(raced: &Raced, curves: &[Curve], path: &Path) -> Result<()> {
    let failed = |e: csv::Error| io(path, e.into());
    let mut writer = csv::Writer::from_path(path).map_err(failed)?;
    writer.write_record(["method", "gradient_equivalents", "tenth", "median", "ninth_tenth"]).map_err(failed)?;
    for (lane, curve) in raced.lanes.iter().zip(curves) {
        for (work, band) in curve {
            let numbers = [*work, band.low, band.median, band.high].map(|v| v.to_string());
            writer.write_record(std::iter::once(lane.optimizer.clone()).chain(numbers)).map_err(failed)?;
        }
    }
    writer.flush().map_err(|source| io(path, source))
}

fn page(title: &str, summary: &str, figure: &Figure) -> String {
    let title = escape(title);
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>curvkit compare: {title}</title><style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n\
         <div class=\"scroll\"><pre>{}</pre></div>\n<figure>{}</figure>\n</main></body></html>\n",
        escape(summary),
        figure.svg
    );
    out
}
