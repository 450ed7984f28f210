//! The charts of a comparison.

use super::plot::{Axis, Chart, Line, Mark, Scale, Style, style};
use crate::error::Result;
use crate::study::comparison::{Comparison, Measure};
use crate::study::profile::Staircase;
use crate::study::run::Outcome;
use crate::study::solver::Family;

/// A chart with its file name (without ending).
#[derive(Debug, Clone)]
pub struct Figure {
    /// File name without ending: `performance_time`, `data_1e-3`, `convergence_rosenbrock`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The SVG element.
    pub svg: String,
}

/// Accuracies of the data profiles.
pub const TOLERANCES: [f64; 4] = [1e-1, 1e-3, 1e-5, 1e-7];

/// All charts: two performance profiles, the data profiles if there are traces, one convergence chart per problem.
///
/// # Errors
/// What the drawing reports.
pub fn figures(comparison: &Comparison) -> Result<Vec<Figure>> {
    let mut figures = vec![
        performance(comparison, Measure::Work, "performance_work", "gradient equivalents")?,
        performance(comparison, Measure::Seconds, "performance_time", "time")?,
    ];
    if comparison.settings.trace {
        for tolerance in TOLERANCES {
            figures.push(data(comparison, tolerance)?);
        }
        for problem in 0..comparison.problems.len() {
            figures.push(convergence(comparison, problem)?);
        }
    }
    Ok(figures)
}

impl Figure {
    pub(super) fn new(name: String, chart: &Chart) -> Result<Self> {
        Ok(Self { name, title: chart.title.clone(), svg: chart.svg()? })
    }
}

/// Colour by solver, dash by family.
fn styles(comparison: &Comparison) -> Vec<Style> {
    let dash = |family| match family {
        Family::SecondOrder => "",
        Family::QuasiNewton => "9 4",
        Family::FirstOrder => "2 3",
    };
    comparison.solvers.iter().enumerate().map(|(i, s)| style(i, dash(s.family))).collect()
}

/// Profiles as stairs, the best one first in the legend.
fn profile_lines(comparison: &Comparison, profiles: &[Staircase], to: f64) -> Vec<Line> {
    let styles = styles(comparison);
    let mut lines: Vec<(f64, Line)> = profiles
        .iter()
        .zip(&comparison.solvers)
        .zip(styles)
        .map(|((stairs, solver), style)| {
            let name = format!("{} ({:.0}%)", solver.name, 100.0 * stairs.limit());
            (stairs.limit(), Line { name, style, points: stairs.polyline(1.0f64.min(to), to), mark: Mark::None })
        })
        .collect();
    lines.sort_by(|a, b| b.0.total_cmp(&a.0));
    lines.into_iter().map(|(_, line)| line).collect()
}

fn share(label: &str) -> Axis {
    Axis { label: label.into(), scale: Scale::Linear, range: (0.0, 1.02) }
}

fn performance(comparison: &Comparison, measure: Measure, name: &str, unit: &str) -> Result<Figure> {
    let profiles = comparison.performance(measure);
    let corners = profiles.iter().flat_map(|p| p.corners.iter().map(|c| c.0));
    let x = Axis::around(format!("ratio to the best solver ({unit})"), Scale::Log, corners, (1.0, 1e2));
    let lines = profile_lines(comparison, &profiles, x.range.1);
    let title = format!("Performance profile by {unit}");
    Figure::new(name.into(), &Chart { title, x, y: share("share of problems solved within the ratio"), lines })
}

fn data(comparison: &Comparison, tolerance: f64) -> Result<Figure> {
    let profiles = comparison.data(tolerance);
    let corners = profiles.iter().flat_map(|p| p.corners.iter().map(|c| c.0));
    let x = Axis::around("gradient equivalents / (n + 1)", Scale::Log, corners, (0.1, 1e5));
    let mut lines = profile_lines(comparison, &profiles, x.range.1);
    for (line, stairs) in lines.iter_mut().zip(sorted(&profiles)) {
        line.points = stairs.polyline(x.range.0, x.range.1);
    }
    let title = format!("Data profile, f − f_L ≤ {tolerance:e} (f₀ − f_L)");
    Figure::new(format!("data_{tolerance:e}"), &Chart { title, x, y: share("share of problems within the budget"), lines })
}

/// The profiles in the order of [`profile_lines`].
fn sorted(profiles: &[Staircase]) -> Vec<&Staircase> {
    let mut sorted: Vec<&Staircase> = profiles.iter().collect();
    sorted.sort_by(|a, b| b.limit().total_cmp(&a.limit()));
    sorted
}

fn convergence(comparison: &Comparison, problem: usize) -> Result<Figure> {
    let (row, about) = (&comparison.outcomes[problem], &comparison.problems[problem]);
    let scale = about.first_gradient_norm.max(1.0);
    let lines: Vec<Line> = row
        .iter()
        .zip(styles(comparison))
        .map(|(outcome, style)| Line {
            name: format!("{}{}", outcome.solver, if outcome.solved { "" } else { " ✗" }),
            style,
            points: smallest_so_far(outcome, scale),
            mark: Mark::End,
        })
        .collect();
    let xs = lines.iter().flat_map(|l| l.points.iter().map(|p| p.0));
    let ys = lines.iter().flat_map(|l| l.points.iter().map(|p| p.1));
    let x = Axis::around("gradient equivalents", Scale::Log, xs, (1.0, 1e9));
    let y = Axis::around("smallest ‖g‖∞ so far / max(1, ‖g₀‖∞)", Scale::Log, ys, (FLOOR, 1e8));
    let title = format!("{} (n = {})", about.name, about.n);
    Figure::new(format!("convergence_{}", file_name(&about.name)), &Chart { title, x, y, lines })
}

/// Work and the smallest gradient up to there; a gradient itself jumps up and down by orders of magnitude.
fn smallest_so_far(outcome: &Outcome, scale: f64) -> Vec<(f64, f64)> {
    let mut smallest = f64::INFINITY;
    let mut lower = |norm: f64| {
        smallest = smallest.min(norm);
        // A gradient that vanishes exactly belongs at the bottom of the chart, not nowhere.
        (smallest / scale).max(FLOOR)
    };
    outcome.trace.iter().map(|p| (p.counts.gradient_equivalents(outcome.n), lower(p.gradient_norm))).collect()
}

/// The lowest gradient that is drawn.
const FLOOR: f64 = 1e-18;

/// The name with everything that does not belong in a file name replaced.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}
