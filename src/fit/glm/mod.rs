//! Generalized linear models: coefficients with standard errors, deviances, criteria, and what cannot be estimated
//! ([`glm`]).
//!
//! 1. Columns that depend on earlier ones are set aside and named ([`Alias`]).
//! 2. Fisher scoring by QR of `√W X` with a line search on the deviance, from one least-squares step on the linearized link.
//! 3. Newton steps with the observed information and gradients in twice the precision, to the last digit ([`Polished`]).
//! 4. Where estimates diverge, the direction is proved and named ([`Separation`]).
//! 5. Where the maximum has fitted means at an end of their range, it is found there and certified ([`Boundary`]).
//!
//! # Reference
//! Nelder & Wedderburn (1972); McCullagh & Nelder (1989), *Generalized Linear Models*; Albert & Anderson (1984),
//! Biometrika 71 (existence); White (1982), Econometrica 50 (sandwich); R's `glm` for the conventions of the criteria.

mod aliases;
mod boundary;
mod information;
mod likelihood;
mod multinomial;
mod predict;
mod separation;
mod statistics;

use crate::counts::Tally;
use crate::error::{Error, Result, Stop};
use crate::linalg::operator::DenseMatrix;
use crate::problem::glm::GlmData;
use crate::problem::{FisherInformation, Glm};
use crate::second_order::methods;
use crate::second_order::minimizer::State;
use crate::second_order::stopping::Stopping;
use argmin::core::{Executor, Hessian};

pub use aliases::Alias;
pub use boundary::Boundary;
pub use information::Polished;
pub use multinomial::{MultinomialFit, multinomial};
pub use predict::GlmPrediction;
pub use separation::Separation;
pub use statistics::{GlmStatistics, ResidualKind};

/// What the covariance of the coefficients is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum GlmCovariance {
    /// `φ (XᵀWX)⁻¹`, as R and most programs report.
    #[default]
    Expected,
    /// `φ H⁻¹` with the exact Hessian; the same under canonical links.
    Observed,
    /// `A⁻¹ (Σ sᵢ² xᵢxᵢᵀ) A⁻¹`, right where only the mean is (White 1982; HC0). `A` is the expected information.
    Sandwich,
    /// The same times `n/(n − p)` (HC1).
    SandwichHc1,
}

impl GlmCovariance {
    /// Names, as options take them.
    pub const NAMES: [(&'static str, GlmCovariance); 4] = [
        ("expected", GlmCovariance::Expected),
        ("observed", GlmCovariance::Observed),
        ("sandwich", GlmCovariance::Sandwich),
        ("sandwich_hc1", GlmCovariance::SandwichHc1),
    ];

    /// The covariance of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        Error::look_up("covariance", name, &Self::NAMES)
    }
}

/// How to fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GlmOptions {
    /// What standard errors are made of. Default expected information.
    pub covariance: GlmCovariance,
    /// Scoring steps at most. Default 100.
    pub max_iterations: u64,
    /// Scoring ends when a step lowers the deviance by less than this part of it. Default 1e-9: the rest is the work of
    /// the Newton steps.
    pub ftol: f64,
    /// A column of which no more than this part lies outside of the span of earlier ones is aliased. Default 1e-11.
    pub alias_tolerance: f64,
    /// Coefficients to start from, one for each column.
    pub start: Option<Vec<f64>>,
}

impl Default for GlmOptions {
    fn default() -> Self {
        Self { covariance: GlmCovariance::Expected, max_iterations: 100, ftol: 1e-9, alias_tolerance: 1e-11, start: None }
    }
}

impl GlmOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.max_iterations > 0, "max_iterations", "positive", self.max_iterations)?;
        Error::check_option(self.ftol >= 0.0 && self.ftol < 1.0, "ftol", "in [0, 1)", self.ftol)?;
        let tolerance = self.alias_tolerance;
        Error::check_option((0.0..1.0).contains(&tolerance), "alias_tolerance", "in [0, 1)", tolerance)
    }
}

/// What a user should know about a fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum GlmWarning {
    /// A coefficient that cannot be told apart from others; it is left out.
    Aliased(Alias),
    /// No finite estimate exists: the coefficients shown are where the run stopped on the way to infinity.
    Separated(Separation),
    /// The maximum lies where fitted means reach the end of their range: coefficients there have no standard errors.
    OnBoundary(Boundary),
    /// The coefficients are not verified as a maximum of the likelihood.
    NotConverged,
    /// The observed information is not positive definite there, so that it gives no covariance.
    ObservedNotDefinite,
    /// As many coefficients as observations: no dispersion, no standard errors.
    Saturated,
}

/// A finished fit.
#[derive(Clone)]
pub struct GlmFit {
    /// The model that was fitted.
    pub model: Glm,
    /// Coefficients; NaN for aliased ones.
    pub coefficients: Vec<f64>,
    /// Standard errors, covariance, deviances, criteria.
    pub statistics: GlmStatistics,
    /// What to know.
    pub warnings: Vec<GlmWarning>,
    /// What the Newton steps verified.
    pub polished: Polished,
    /// Scoring steps.
    pub iterations: u64,
    /// Evaluations of the scoring steps.
    pub counts: Tally,
    /// Why scoring ended.
    pub stop: Stop,
    /// Columns that were estimated.
    kept: Vec<usize>,
    tolerance: f64,
}

impl GlmFit {
    /// Whether the coefficients are verified as a maximum of the likelihood, to rounding.
    pub fn converged(&self) -> bool {
        !self.warnings.iter().any(|w| matches!(w, GlmWarning::NotConverged | GlmWarning::Separated(_)))
    }

    /// The separating direction, if there is one.
    pub fn separation(&self) -> Option<&Separation> {
        self.warnings.iter().find_map(|w| match w {
            GlmWarning::Separated(separation) => Some(separation),
            _ => None,
        })
    }

    /// Where the maximum lies on the boundary of the admissible means.
    pub fn boundary(&self) -> Option<&Boundary> {
        self.warnings.iter().find_map(|w| match w {
            GlmWarning::OnBoundary(boundary) => Some(boundary),
            _ => None,
        })
    }

    /// Aliased coefficients.
    pub fn aliases(&self) -> impl Iterator<Item = &Alias> {
        self.warnings.iter().filter_map(|w| match w {
            GlmWarning::Aliased(alias) => Some(alias),
            _ => None,
        })
    }

    /// Columns that were estimated.
    pub fn estimated(&self) -> &[usize] {
        &self.kept
    }
}

/// Fits a generalized linear model.
///
/// # Errors
/// [`Error::Config`] for an option out of range, [`Error::Dimension`] for a start of another length,
/// [`Error::Unsupported`] if there is no row with weight, or if no coefficients of finite deviance are found to start from.
///
/// # Example
/// ```
/// use curvkit::fit::{GlmOptions, glm};
/// use curvkit::problem::{Family, Glm, Link};
///
/// // 3 of 10 answer at x = 0, 8 of 10 at x = 1: the slope is the logarithm of the odds ratio.
/// let design = vec![1.0, 1.0, 0.0, 1.0];
/// let model = Glm::new(Family::Binomial, Link::Logit, 2, design, vec![0.3, 0.8])?.with_weights(vec![10.0, 10.0])?;
/// let fit = glm(&model, &GlmOptions::default())?;
/// let odds = (8.0 * 7.0 / (2.0 * 3.0f64)).ln();
/// assert!((fit.coefficients[1] - odds).abs() < 1e-14 && fit.converged());
/// let error = (1.0 / 3.0 + 1.0 / 7.0 + 1.0 / 8.0 + 0.5f64).sqrt();
/// assert!((fit.statistics.standard_errors[1] - error).abs() < 1e-14);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn glm(model: &Glm, options: &GlmOptions) -> Result<GlmFit> {
    options.validate()?;
    let data = model.data();
    if (0..data.n_rows()).all(|i| data.total_weight(i) == 0.0) {
        return Err(Error::Unsupported { what: "a fit", requirement: "rows with positive weight" });
    }
    let (kept, aliases) = aliases::find(data, options.alias_tolerance);
    let reduced = if aliases.is_empty() { model.clone() } else { restrict(model, &kept)? };
    let start = match &options.start {
        Some(start) => {
            Error::check_len("start", data.n_columns, start.len())?;
            kept.iter().map(|&j| start[j]).collect()
        }
        None => match reduced.start() {
            Ok(start) => start,
            Err(error) => boundary::start(&reduced).ok_or(error)?,
        },
    };
    let Estimate { x, polished, run, separation, boundary } = estimate(&reduced, start, options)?;
    let mut warnings: Vec<GlmWarning> = aliases.into_iter().map(GlmWarning::Aliased).collect();
    match separation {
        Some(separation) => warnings.push(GlmWarning::Separated(expand_separation(separation, &kept, data.n_columns))),
        None if !polished.converged => warnings.push(GlmWarning::NotConverged),
        None => {}
    }
    let null = null_deviance(data, &kept, options)?;
    let mut statistics = GlmStatistics::at(&reduced, &x, null, options.covariance, &mut warnings)?;
    if let Some(boundary) = boundary {
        // Information says nothing of an estimate that does not vary freely.
        statistics = statistics.without_errors();
        warnings.retain(|w| *w != GlmWarning::ObservedNotDefinite);
        warnings.push(GlmWarning::OnBoundary(boundary));
    }
    let statistics = statistics.expanded(&kept, data.n_columns);
    let mut coefficients = vec![f64::NAN; data.n_columns];
    kept.iter().zip(&x).for_each(|(&j, v)| coefficients[j] = *v);
    Ok(GlmFit {
        model: model.clone(),
        coefficients,
        statistics,
        warnings,
        polished,
        iterations: run.iterations,
        counts: run.counts,
        stop: run.stop,
        kept,
        tolerance: options.alias_tolerance,
    })
}

/// The coefficients of a model of full rank, or where they go.
struct Estimate {
    x: Vec<f64>,
    polished: Polished,
    run: Run,
    separation: Option<Separation>,
    boundary: Option<Boundary>,
}

fn estimate(model: &Glm, start: Vec<f64>, options: &GlmOptions) -> Result<Estimate> {
    let mut run = run_scoring(model, start.clone(), options)?;
    let (mut x, mut polished) = information::polish(model, &run.x)?;
    let separation = if polished.converged && is_interior(model, &x)? { None } else { separation::find(model.data()) };
    if !polished.converged && separation.is_none() {
        // Newton's method began too far out: scoring goes on as far as the deviance can tell.
        let second = run_scoring(model, run.x, &GlmOptions { ftol: 0.0, ..options.clone() })?;
        run = Run { iterations: run.iterations + second.iterations, counts: run.counts.plus(&second.counts), ..second };
        (x, polished) = information::polish(model, &run.x)?;
    }
    // Where Newton's method was led astray, the answer of scoring stands.
    if !polished.converged {
        x.clone_from(&run.x);
    }
    if !polished.converged
        && separation.is_none()
        && let Some(found) = boundary::maximize(model, &x, &start)?
    {
        let polished = Polished { steps: polished.steps + found.polished.steps, ..found.polished };
        return Ok(Estimate { x: found.x, polished, run, separation, boundary: Some(found.boundary) });
    }
    Ok(Estimate { x, polished, run, separation, boundary: None })
}

/// The model over some of its columns.
fn restrict(model: &Glm, columns: &[usize]) -> Result<Glm> {
    let data = model.data();
    model.with_design(columns.len(), columns.iter().flat_map(|&j| data.column(j)).copied().collect())
}

/// What scoring leaves.
struct Run {
    x: Vec<f64>,
    iterations: u64,
    counts: Tally,
    stop: Stop,
}

/// Part of the first deviance below which the rest is a perfect fit.
const PERFECT: f64 = 1e-14;

/// Fisher scoring until the deviance settles.
fn run_scoring<O>(model: &O, start: Vec<f64>, options: &GlmOptions) -> Result<Run>
where
    O: FisherInformation<Point = Vec<f64>> + Hessian<Param = Vec<f64>, Hessian = DenseMatrix> + Clone,
{
    let cost = |x: &Vec<f64>| model.cost(x).map_err(super::into_error);
    let mut solver = methods::fisher_scoring().bare();
    // Gradients have the units of the columns: the test that ends scoring must not depend on them.
    solver.stopping = Stopping { gtol_rel: 0.0, decrease: 0.0, ftol: options.ftol, ..Stopping::default() };
    let first = cost(&start)?;
    if !first.is_finite() {
        return Err(Error::Unsupported { what: "a fit", requirement: "a start whose means lie in the family's range" });
    }
    if start.is_empty() || first == 0.0 {
        let stop = Stop::Cost { change: 0.0, bound: options.ftol };
        return Ok(Run { x: start, iterations: 0, counts: Tally::default(), stop });
    }
    let run = Executor::new(model.clone(), solver)
        .configure(|s: State<Vec<f64>>| s.param(start.clone()).max_iters(options.max_iterations).target_cost(PERFECT * first))
        .timer(false)
        .run()
        .map_err(super::into_error)?;
    let iterations = run.state.iter;
    let x = run.state.best_param.or(run.state.param).unwrap_or(start);
    let last = cost(&x)?;
    let stop = run.solver.stop().cloned().unwrap_or(match last <= PERFECT * first {
        true => Stop::Cost { change: last, bound: PERFECT * first },
        false => Stop::Iterations { count: iterations, bound: options.max_iterations },
    });
    Ok(Run { x, iterations, counts: run.solver.tally(), stop })
}

/// A score below this part of its largest value says that the row is predicted almost perfectly.
const PREDICTED: f64 = 1e-6;

/// Whether every observation at an end of its range keeps a score: then a stationary point is the finite maximum
/// (Stiemke's alternative: positive multipliers exclude a separating direction).
fn is_interior(model: &Glm, x: &[f64]) -> Result<bool> {
    let (data, pass) = (model.data(), model.pass(x)?);
    let row = |i: usize| {
        let m = data.link.mean(pass.predictor[i]);
        data.total_weight(i) == 0.0 || (m.value.abs() > PREDICTED && (data.response[i] != 1.0 || m.complement.abs() > PREDICTED))
    };
    Ok(!data.family.has_unit_dispersion() || (0..data.n_rows()).all(row))
}

fn expand_separation(found: Separation, kept: &[usize], n: usize) -> Separation {
    let mut direction = vec![0.0; n];
    kept.iter().zip(&found.direction).for_each(|(&j, d)| direction[j] = *d);
    Separation { direction, columns: found.columns.iter().map(|&k| kept[k]).collect(), ..found }
}

/// Deviance of the model with a constant only, or with the offset alone where the design has no constant in its span.
fn null_deviance(data: &GlmData, kept: &[usize], options: &GlmOptions) -> Result<(f64, bool)> {
    let of = |columns: usize, design: Vec<f64>| -> Result<Glm> {
        Glm::new(data.family, data.link, columns, design, data.response.clone())?
            .with_offset(data.offset.clone())?
            .with_weights(data.weights.clone())?
            .with_frequencies(data.frequencies.clone())
    };
    if !aliases::spans_constant(data, kept) {
        return Ok((2.0 * of(0, Vec::new())?.pass(&[])?.cost, false));
    }
    let constant = of(1, vec![1.0; data.n_rows()])?;
    let known = data.offset.iter().all(|o| *o == data.offset[0]);
    let total: f64 = (0..data.n_rows()).map(|i| data.total_weight(i)).sum();
    let mean = (0..data.n_rows()).map(|i| data.total_weight(i) * data.response[i]).sum::<f64>() / total;
    let x = if known {
        // The score equation of a constant is Σ w (y − μ) = 0.
        vec![data.link.predictor(mean) - data.offset[0]]
    } else {
        let start = constant.start()?;
        information::polish(&constant, &run_scoring(&constant, start, options)?.x)?.0
    };
    let deviance = 2.0 * constant.pass(&x)?.cost;
    // All responses at an end of the range: the mean is no mean of the family, the fit is perfect.
    Ok((if x[0].is_finite() { deviance } else { 0.0 }, true))
}
