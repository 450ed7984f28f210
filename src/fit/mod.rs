//! Regression: from residuals and a start to parameters with standard errors, and whether to trust them ([`fit`]).
//!
//! Levenberg–Marquardt brings the parameters near, exact-Newton steps give them the digits that the data allow
//! ([`finish`]), and [`Statistics`] says how well each is determined.

pub mod basis;
mod constraints;
mod curved;
pub mod finish;
#[cfg(all(feature = "expression", feature = "dataset"))]
mod formula;
pub mod glm;
mod multi_start;
mod phases;
mod profile;
mod robust;
mod separable;
mod statistics;
#[cfg(all(feature = "expression", feature = "dataset"))]
mod terms;

use crate::counts::Tally;
use crate::error::{Error, Result, Stop};
use crate::linalg::vector::dot;
use crate::problem::{ActiveBound, LeastSquares, ResidualHessian};
use phases::{Phase, Solved, first_phase, into_error, second_phase, solve};

pub use basis::Design;
pub use constraints::{Constraints, Role};
pub use finish::{Finish, Finished, FitVerdict};
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
    /// Residuals at the parameters; NaN if they could not be evaluated there again.
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
    /// Whether the parameters are a verified local minimum, to rounding; it may be degenerate ([`verdict`](Self::verdict)).
    pub fn converged(&self) -> bool {
        self.finish.converged
    }

    /// What the parameters are.
    pub fn verdict(&self) -> FitVerdict {
        self.finish.verdict()
    }
}

/// Fits from `start`.
///
/// # Errors
/// [`Error::Dimension`] or [`Error::NonFinite`] if the residuals cannot be evaluated at the start, [`Error::Config`] for an
/// option out of range. What fails later ends the fit at its best point.
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
    let solved = solve(problem, start, None, options)?;
    let statistics = Statistics::at_answer(problem, &solved.x, solved.cost);
    Ok(assemble(problem, solved.x.clone(), solved, statistics))
}

/// A fit without roles but free ones, at the parameters `x`.
fn assemble<R: ResidualHessian + 'static>(problem: &LeastSquares<R>, x: Vec<f64>, solved: Solved, statistics: Statistics) -> Fit {
    let Solved { cost, first, finished, .. } = solved;
    let at = problem.residuals_at(&x).ok().filter(|r| r.iter().all(|r| r.is_finite()));
    Fit {
        roles: vec![Role::Free; x.len()],
        parameters: x,
        cost: at.as_ref().map_or(cost, |r| 0.5 * dot(r, r)),
        residuals: at.unwrap_or_else(|| vec![f64::NAN; problem.residuals().m()]),
        finish: finished,
        iterations: first.iterations,
        counts: first.counts,
        trace: first.trace,
        stop: first.stop,
        statistics,
        active: Vec::new(),
        moved: Vec::new(),
    }
}
