//! Regression: from residuals and a start to parameters with standard errors, and whether to trust them ([`fit`]).
//!
//! Levenberg–Marquardt brings the parameters near, exact-Newton steps give them the digits that the data allow
//! ([`finish`]), and [`Statistics`] says how well each is determined.

pub mod basis;
mod constraints;
pub mod finish;
#[cfg(all(feature = "expression", feature = "dataset"))]
mod formula;
pub mod glm;
mod multi_start;
mod profile;
mod robust;
mod separable;
mod statistics;
#[cfg(all(feature = "expression", feature = "dataset"))]
mod terms;

use crate::counts::Tally;
use crate::error::{Error, Result, Stop};
use crate::linalg::vector::dot;
use crate::problem::{ActiveBound, Bounds, LeastSquares, ResidualHessian, Residuals};
use crate::second_order::methods;
use crate::second_order::minimizer::{Minimizer, State};
use crate::second_order::stopping::Stopping;
use crate::second_order::{globalization::Globalization, subproblem::Subproblem};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, KV, Solver};
use std::sync::{Arc, Mutex};

pub use basis::Design;
pub use constraints::{Constraints, Role};
pub use finish::{Finish, Finished};
#[cfg(all(feature = "expression", feature = "dataset"))]
pub use formula::Formula;
pub use glm::{GlmCovariance, GlmFit, GlmOptions, GlmWarning, glm};
pub use multi_start::{Minimum, MultiFit, MultiStart};
pub use profile::{Profiles, profile_intervals};
pub use robust::{RobustFit, fit_robust};
pub use separable::fit_separable;
pub use statistics::{Interval, Statistics};
#[cfg(all(feature = "expression", feature = "dataset"))]
pub use terms::{Terms, Value};

/// The method of the first phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Method {
    /// Levenberg–Marquardt as a trust region in scaled variables (Moré 1978), with geodesic acceleration.
    #[default]
    LevenbergMarquardt,
    /// Levenberg–Marquardt with Nielsen's damping.
    Nielsen,
    /// Gauss–Newton with a line search.
    GaussNewton,
}

impl Method {
    /// Names, as options take them.
    pub const NAMES: [(&'static str, Method); 3] = [
        ("levenberg_marquardt", Method::LevenbergMarquardt),
        ("levenberg_marquardt_nielsen", Method::Nielsen),
        ("gauss_newton", Method::GaussNewton),
    ];

    /// The method of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        Error::look_up("solver", name, &Self::NAMES)
    }
}

/// How to fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FitOptions {
    /// Method of the first phase.
    pub method: Method,
    /// Iterations of the first phase. Default 1000.
    pub max_iterations: u64,
    /// The first phase ends when a step reduces the cost by less than this part of it. Default 1e-9: what is left is the
    /// work of the second phase, which converges quadratically.
    pub ftol: f64,
    /// The second phase.
    pub finish: Finish,
    /// Bounds on the parameters, fixed and tied ones. None by default.
    pub constraints: Constraints,
    /// Keep the cost of every step ([`Fit::trace`]). Off by default.
    pub trace: bool,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            method: Method::default(),
            max_iterations: 1000,
            ftol: 1e-9,
            finish: Finish::default(),
            constraints: Constraints::default(),
            trace: false,
        }
    }
}

impl FitOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.max_iterations > 0, "max_iterations", "positive", self.max_iterations)?;
        Error::check_option(self.ftol >= 0.0 && self.ftol < 1.0, "ftol", "in [0, 1)", self.ftol)?;
        self.finish.validate()
    }
}

/// A finished fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Fit {
    /// The parameters.
    pub parameters: Vec<f64>,
    /// `½ ‖r‖²` at the parameters.
    pub cost: f64,
    /// Residuals at the parameters.
    pub residuals: Vec<f64>,
    /// What the second phase did and verified.
    pub finish: Finished,
    /// Accepted steps of the first phase.
    pub iterations: u64,
    /// Evaluations of the first phase.
    pub counts: Tally,
    /// Cost at the start and after each step of the first phase; empty unless [`FitOptions::trace`] is on.
    pub trace: Vec<f64>,
    /// Why the first phase ended.
    #[cfg_attr(feature = "serde", serde(serialize_with = "display"))]
    pub stop: Stop,
    /// How well the parameters are determined.
    pub statistics: Statistics,
    /// What each parameter is: estimated freely, fixed, tied, or at a bound.
    pub roles: Vec<Role>,
    /// Parameters at their bounds, with multipliers.
    pub active: Vec<ActiveBound>,
    /// Parameters whose start lay outside its bounds and was moved to the nearest one.
    pub moved: Vec<usize>,
}

#[cfg(feature = "serde")]
fn display<S: serde::Serializer>(stop: &Stop, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(stop)
}

impl Fit {
    /// Whether the parameters are a verified local minimum, to rounding.
    pub fn converged(&self) -> bool {
        self.finish.converged
    }
}

/// What the first phase leaves.
struct Phase {
    x: Vec<f64>,
    iterations: u64,
    counts: Tally,
    trace: Vec<f64>,
    stop: Stop,
}

/// Notes the cost of every iterate.
struct Recorder(Arc<Mutex<Vec<f64>>>);

impl Observe<State<Vec<f64>>> for Recorder {
    fn observe_init(&mut self, _: &str, state: &State<Vec<f64>>, _: &KV) -> std::result::Result<(), argmin::core::Error> {
        self.observe_iter(state, &KV::new())
    }
    fn observe_iter(&mut self, state: &State<Vec<f64>>, _: &KV) -> std::result::Result<(), argmin::core::Error> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(state.cost);
        Ok(())
    }
}

/// Fits from `start`.
///
/// # Errors
/// [`Error::Dimension`] or [`Error::NonFinite`] if the residuals cannot be evaluated at the start, [`Error::Config`] for an
/// option out of range, whatever the residuals report at the answer.
///
/// # Example
/// ```
/// use curvkit::fit::{FitOptions, fit};
/// use curvkit::problem::{LeastSquares, ResidualHessian, Residuals};
/// use curvkit::error::Result;
///
/// struct Decay; // y = b e^{−t} at t = 0, 1, 2
/// const Y: [f64; 3] = [2.0, 0.7, 0.3];
/// impl Residuals for Decay {
///     fn n(&self) -> usize { 1 }
///     fn m(&self) -> usize { 3 }
///     fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
///         (0..3).for_each(|t| out[t] = b[0] * (-(t as f64)).exp() - Y[t]);
///         Ok(())
///     }
///     fn jacobian(&self, _: &[f64], out: &mut [f64]) -> Result<()> {
///         (0..3).for_each(|t| out[t] = (-(t as f64)).exp());
///         Ok(())
///     }
/// }
/// impl ResidualHessian for Decay {
///     fn weighted_hessian(&self, _: &[f64], _: &[f64], out: &mut [f64]) -> Result<()> {
///         out.fill(0.0);
///         Ok(())
///     }
/// }
/// let fit = fit(&LeastSquares::new(Decay), &[1.0], &FitOptions::default())?;
/// let (e1, e2) = ((-1.0f64).exp(), (-2.0f64).exp());
/// let exact = (2.0 + 0.7 * e1 + 0.3 * e2) / (1.0 + e1 * e1 + e2 * e2);
/// assert!((fit.parameters[0] - exact).abs() < 1e-14 && fit.converged());
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn fit<R: ResidualHessian + 'static>(problem: &LeastSquares<R>, start: &[f64], options: &FitOptions) -> Result<Fit> {
    options.validate()?;
    if !options.constraints.is_none() {
        return constraints::fit_constrained(problem, start, options);
    }
    let Solved { x, first, finished } = solve(problem, start, None, options)?;
    let statistics = Statistics::at(problem, &x)?;
    assemble(problem, x, first, finished, statistics)
}

/// A fit without roles but free ones.
fn assemble<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    x: Vec<f64>,
    first: Phase,
    finish: Finished,
    statistics: Statistics,
) -> Result<Fit> {
    let residuals = problem.residuals_at(&x)?;
    Ok(Fit {
        roles: vec![Role::Free; x.len()],
        parameters: x,
        cost: 0.5 * dot(&residuals, &residuals),
        residuals,
        finish,
        iterations: first.iterations,
        counts: first.counts,
        trace: first.trace,
        stop: first.stop,
        statistics,
        active: Vec::new(),
        moved: Vec::new(),
    })
}

/// Both phases of a fit.
struct Solved {
    x: Vec<f64>,
    first: Phase,
    finished: Finished,
}

/// Times that Newton with a line search is asked where the finish fails; only bounds need more than one.
const SECOND_TRIES: usize = 4;

/// Both phases, from a start that is feasible.
fn solve<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    start: &[f64],
    bounds: Option<&Bounds>,
    options: &FitOptions,
) -> Result<Solved> {
    let first = first_phase(problem, start, bounds, options)?;
    second_phase(problem, first, bounds, options)
}

fn first_phase<R: Residuals + 'static>(
    problem: &LeastSquares<R>,
    start: &[f64],
    bounds: Option<&Bounds>,
    options: &FitOptions,
) -> Result<Phase> {
    match options.method {
        Method::LevenbergMarquardt => approach(problem, start, methods::levenberg_marquardt_geodesic(), bounds, options),
        Method::Nielsen => approach(problem, start, methods::levenberg_marquardt_nielsen(), bounds, options),
        Method::GaussNewton => approach(problem, start, methods::gauss_newton(), bounds, options),
    }
}

fn second_phase<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    mut first: Phase,
    bounds: Option<&Bounds>,
    options: &FitOptions,
) -> Result<Solved> {
    let finish = |x: &[f64]| match bounds {
        None => options.finish.run(problem, x),
        Some(bounds) => constraints::finish_on_face(problem, x, bounds, &options.finish),
    };
    let (mut x, mut finished) = finish(&first.x)?;
    for _ in 0..if bounds.is_some() { SECOND_TRIES } else { 1 } {
        if finished.converged || options.finish.max_steps == 0 {
            break;
        }
        // Gauss–Newton stalled too far out: the exact Hessian, globalized, has another idea of the valley.
        let second = approach(problem, &x, methods::newton(), bounds, options)?;
        (first.iterations, first.counts) = (first.iterations + second.iterations, first.counts.plus(&second.counts));
        first.trace.extend(second.trace.into_iter().skip(1));
        (x, finished) = finish(&second.x)?;
        if matches!(second.stop, Stop::Iterations { .. }) {
            break;
        }
    }
    Ok(Solved { x, first, finished })
}

/// Runs one of the named methods until the cost settles.
fn approach<R, C, S, G>(
    problem: &LeastSquares<R>,
    start: &[f64],
    solver: Minimizer<C, S, G>,
    bounds: Option<&Bounds>,
    options: &FitOptions,
) -> Result<Phase>
where
    R: Residuals + 'static,
    S: Subproblem,
    G: Globalization<S::Region>,
    Minimizer<C, S, G>: Solver<LeastSquares<R>, State<Vec<f64>>>,
{
    let mut solver = match bounds {
        None => solver.bare(),
        Some(bounds) => solver.bare().within(bounds.clone()),
    };
    // Gradients have the units of the parameters: the tests that end a fit must not depend on them.
    solver.stopping = Stopping { gtol_abs: 0.0, gtol_rel: 0.0, ftol: options.ftol, ..Stopping::default() };
    let costs = Arc::default();
    let mut executor = Executor::new(problem.clone(), solver)
        .configure(|state: State<Vec<f64>>| state.param(start.to_vec()).max_iters(options.max_iterations))
        .timer(false);
    if options.trace {
        executor = executor.add_observer(Recorder(Arc::clone(&costs)), ObserverMode::Always);
    }
    let run = executor.run().map_err(into_error)?;
    let trace = std::mem::take(&mut *costs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    let iterations = run.state.iter;
    let stop = run.solver.stop().cloned().unwrap_or(Stop::Iterations { count: iterations, bound: options.max_iterations });
    let x = run.state.best_param.or(run.state.param).unwrap_or_else(|| start.to_vec());
    Ok(Phase { x, iterations, counts: run.solver.tally(), trace, stop })
}

/// This crate's error out of argmin's, whose type hides it.
fn into_error(error: argmin::core::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|other| Error::Problem { what: "residuals", source: other.into() })
}
