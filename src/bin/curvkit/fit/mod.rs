//! `curvkit fit`.

mod input;
pub mod show;

use crate::Done;
use crate::args::FitArgs;
use crate::constraints::{Texts, constraints};
use crate::failure::Failure;
use crate::output::{number, say, say_json, warn};
use curvkit::Error;
use curvkit::fit::{Fit, FitOptions, Formula, Method, MultiStart, RobustFit, fit, fit_robust, profile_intervals};
use curvkit::problem::{LeastSquares, ResidualHessian};
use curvkit::study::report::{CurvePoint, Regression, prepare};
use input::{Case, formula_case, loss, nist_case};
use serde_json::{Value, json};
use show::Report;
use std::path::Path;
use std::time::Instant;

/// Influence, against least squares, below which a residual is shown as an outlier.
const OUTLIER: f64 = 0.1;
/// Points of a drawn curve.
const CURVE_POINTS: usize = 400;

/// Fits a formula to a table, or one of NIST's regressions.
pub fn fit_command(args: &FitArgs) -> Result<Done, Failure> {
    if let Some(directory) = &args.out {
        prepare(directory)?;
    }
    if let Some(name) = &args.nist {
        let (case, problem) = nist_case(name, args.start)?;
        return run(&case, &problem, args, None);
    }
    let (case, formula) = formula_case(args)?;
    run(&case, &LeastSquares::new(formula.clone()), args, Some(&formula))
}

fn run<R: ResidualHessian + 'static>(
    case: &Case,
    problem: &LeastSquares<R>,
    args: &FitArgs,
    formula: Option<&Formula>,
) -> Result<Done, Failure> {
    let texts = Texts { bounds: args.bounds.as_deref(), fix: args.fix.as_deref(), tie: args.tie.as_deref() };
    let options = FitOptions {
        method: Method::named(&args.solver)?,
        max_iterations: args.max_iters,
        constraints: constraints(&case.names, texts)?,
        trace: args.out.is_some(),
        ..FitOptions::default()
    };
    let began = Instant::now();
    let search = MultiStart { starts: args.starts, seed: args.seed, ..MultiStart::default() };
    search.validate(case.start.len())?;
    let starts = if args.starts > 1 { Some(search.fit(problem, &case.start, &options)?) } else { None };
    let start = starts.as_ref().map_or(&case.start, |found| &found.best.parameters);
    let (found, robust) = match (&args.loss, &starts) {
        (None, Some(starts)) => (starts.best.clone(), None),
        (None, None) => (fit(problem, start, &options)?, None),
        (Some(text), _) => {
            let (loss, scale) = loss(text)?;
            let found = fit_robust(problem.shared_residuals(), start, loss, scale, &options)?;
            let described = outliers(text, &found);
            (found.fit, Some(described))
        }
    };
    let profiles = match (args.profile, &robust) {
        (false, _) => None,
        (true, None) => Some(profile_intervals(problem, &found, args.level, &options)?),
        (true, Some(_)) => {
            return Err(Error::Unsupported { what: "--profile", requirement: "least squares, without --loss" }.into());
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let intervals = found.statistics.intervals(&found.parameters, args.level)?;
    let report =
        Report { case, fit: &found, solver: &args.solver, level: args.level, intervals, profiles, starts, seconds, robust };
    if let Some(path) = &args.save {
        let Some(formula) = formula else {
            return Err(Error::Config { name: "--save".into(), requirement: "used with --model", value: path.clone() }.into());
        };
        save(path, formula, args, &found)?;
    }
    let text = report.text();
    let page = match &args.out {
        Some(directory) => Some(write_page(case, &found, args.level, &text, directory)?),
        None => None,
    };
    if args.json {
        let mut document = report.json();
        if let (Value::Object(fields), Some(page)) = (&mut document, page) {
            fields.insert("report".into(), page.into());
        }
        say_json(&document);
    } else {
        say(text.trim_end());
        page.iter().for_each(|page| say(&format!("report       {page}")));
    }
    if !found.converged() {
        warn(&format!("not verified as a minimum; the first phase ended with: {}", found.stop));
        return Ok(Done::NotConverged);
    }
    Ok(Done::Success)
}

fn outliers(text: &str, found: &RobustFit) -> String {
    let outliers = found.weights.iter().filter(|w| w.abs() < OUTLIER).count();
    let scale = number(found.scale);
    format!("{text}, scale {scale}; {outliers} of {} residuals count less than a tenth", found.weights.len())
}

/// Writes the report and returns the path of its page.
fn write_page(case: &Case, fit: &Fit, level: f64, summary: &str, directory: &Path) -> Result<String, Failure> {
    let s = &fit.statistics;
    let t = s.quantile(level)?;
    let ends = case.x.1.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let place = |k: usize| ends.0 + (ends.1 - ends.0) * k as f64 / (CURVE_POINTS - 1) as f64;
    let point = |x: f64| {
        let (value, gradient) = case.curve.as_ref().and_then(|curve| curve(&fit.parameters, x))?;
        let half = |observation| t * s.prediction_error(&gradient, observation);
        value.is_finite().then(|| CurvePoint { x, value, mean: half(false), observation: half(true) })
    };
    let curve: Vec<CurvePoint> = (0..CURVE_POINTS).map(place).filter_map(point).collect();
    let y: Vec<f64> = case.response.iter().map(|(y, _)| *y).collect();
    // r = √w (f − y): an observation without weight has no fitted value.
    let fitted: Vec<f64> = case.response.iter().zip(&fit.residuals).map(|((y, w), r)| y + r / w.sqrt()).collect();
    let page = Regression {
        title: &case.title,
        summary,
        names: &case.names,
        fit,
        level,
        x: (&case.x.0, &case.x.1),
        y: (&case.response_name, &y),
        fitted: &fitted,
        curve: &curve,
    };
    Ok(page.write(directory)?.display().to_string())
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
