//! Fits within bounds, with fixed and tied parameters ([`Constraints`]).
//!
//! Ties are substituted, so that the method works on the free parameters; bounds are kept at every evaluation. Parameters
//! that end at a bound are held there while exact-Newton steps finish the others, and the multipliers are checked.
//!
//! Standard errors of free parameters are conditional on those at a bound and on the fixed ones, which have none; tied
//! ones follow by the delta method, exactly for affine ties.

use super::{Finish, Finished, Fit, FitOptions, Solved, Statistics, assemble, solve};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, norm};
use crate::problem::{ActiveBound, Bounds, LeastSquares, Linearize, ResidualHessian, Residuals, Side, Tie, Tied, Ties};

/// A multiplier of the wrong sign counts as zero up to this part of `‖J eᵢ‖ ‖r‖`.
const ZERO_MULTIPLIER: f64 = 1e-10;

/// What is known of the parameters beforehand.
///
/// # Example
/// ```
/// # use curvkit::problem::{LeastSquares, ResidualHessian, Residuals};
/// # use curvkit::error::Result;
/// use curvkit::fit::{Constraints, FitOptions, Role, fit};
/// use curvkit::problem::Bounds;
/// # struct Line; // y = a + b t through (0, 1), (1, 0), (2, −1.3)
/// # impl Residuals for Line {
/// #     fn n(&self) -> usize { 2 }
/// #     fn m(&self) -> usize { 3 }
/// #     fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
/// #         out.copy_from_slice(&[b[0] - 1.0, b[0] + b[1], b[0] + 2.0 * b[1] + 1.3]);
/// #         Ok(())
/// #     }
/// #     fn jacobian(&self, _: &[f64], out: &mut [f64]) -> Result<()> {
/// #         out.copy_from_slice(&[1.0, 1.0, 1.0, 0.0, 1.0, 2.0]);
/// #         Ok(())
/// #     }
/// # }
/// # impl ResidualHessian for Line {
/// #     fn weighted_hessian(&self, _: &[f64], _: &[f64], out: &mut [f64]) -> Result<()> { out.fill(0.0); Ok(()) }
/// # }
/// // A line a + b t through (0, 1), (1, 0) and (2, −1.3), of slope −1 at the least.
/// let bounds = Bounds::new(vec![f64::NEG_INFINITY, -1.0], vec![f64::INFINITY; 2])?;
/// let options = FitOptions { constraints: Constraints { bounds: Some(bounds), ties: None }, ..FitOptions::default() };
/// let found = fit(&LeastSquares::new(Line), &[0.0, 0.0], &options)?;
/// assert_eq!((found.parameters[1], found.roles[1]), (-1.0, Role::AtLower));
/// assert!((found.parameters[0] - 0.9).abs() < 1e-14 && found.converged());
/// assert!(found.statistics.standard_errors[1].is_nan()); // a parameter at its bound has none
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Constraints {
    /// Bounds on the parameters. A start outside is moved to the nearest feasible point and the fit says so.
    pub bounds: Option<Bounds>,
    /// Fixed and tied parameters; their starts do not matter.
    pub ties: Option<Ties>,
}

/// What a parameter of a fit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Role {
    /// Estimated.
    Free,
    /// Given; it has no standard error.
    Fixed,
    /// It follows from others, and its standard error from theirs.
    Tied,
    /// At its lower bound; it has no standard error.
    AtLower,
    /// At its upper bound; it has no standard error.
    AtUpper,
}

impl Constraints {
    /// Whether nothing is constrained.
    pub fn is_none(&self) -> bool {
        self.bounds.is_none() && self.ties.is_none()
    }

    /// The same with a parameter fixed.
    ///
    /// # Errors
    /// As [`Ties::new`].
    pub fn holding(&self, n: usize, index: usize, value: f64) -> Result<Self> {
        Ok(Self { bounds: self.bounds.clone(), ties: Some(self.ties_of(n).holding(index, value)?) })
    }

    pub(super) fn ties_of(&self, n: usize) -> Ties {
        self.ties.clone().unwrap_or_else(|| Ties::none(n))
    }

    /// Bounds on the free parameters.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of parameters, [`Error::Config`] for a parameter fixed outside its bounds,
    /// [`Error::Unsupported`] for bounds on a parameter that is tied other than to one free parameter.
    pub(super) fn free_bounds(&self, ties: &Ties) -> Result<Bounds> {
        let n = ties.rules().len();
        let none = Bounds::none(n);
        let bounds = self.bounds.as_ref().unwrap_or(&none);
        Error::check_len("bounds", n, bounds.dim())?;
        let (mut lower, mut upper) = (bounds.lower().to_vec(), bounds.upper().to_vec());
        for (i, rule) in ties.rules().iter().enumerate() {
            let (l, u) = (bounds.lower()[i], bounds.upper()[i]);
            match rule {
                Tie::Free => {}
                Tie::Fixed(value) => {
                    Error::check_option(l <= *value && *value <= u, &format!("parameter {i}"), "fixed within its bounds", value)?;
                }
                _ if l == f64::NEG_INFINITY && u == f64::INFINITY => {}
                Tie::Affine { offset, terms } if matches!(terms[..], [(j, f)] if f != 0.0 && ties.rules()[j] == Tie::Free) => {
                    let (j, factor) = terms[0];
                    let ends = [(l - offset) / factor, (u - offset) / factor];
                    lower[j] = lower[j].max(ends[0].min(ends[1]));
                    upper[j] = upper[j].min(ends[0].max(ends[1]));
                }
                _ => {
                    let requirement = "a tie `offset + factor * parameter` to one free parameter";
                    return Err(Error::Unsupported { what: "a bound on a tied parameter", requirement });
                }
            }
        }
        Bounds::new(ties.restrict(&lower), ties.restrict(&upper))
    }
}

/// A fit with constraints.
pub(super) fn fit_constrained<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    start: &[f64],
    options: &FitOptions,
) -> Result<Fit> {
    let n = problem.residuals().n();
    Error::check_len("start", n, start.len())?;
    let ties = options.constraints.ties_of(n);
    Error::check_len("ties", n, ties.rules().len())?;
    let bounds = options.constraints.free_bounds(&ties)?;
    let reduced = LeastSquares::new(Tied::new(problem.shared_residuals(), ties.clone())?);
    let mut z = ties.restrict(start);
    let moved = bounds.project(&mut z)?.into_iter().map(|k| ties.free()[k]).collect();
    let solved = solve(&reduced, &z, Some(&bounds), options)?;
    describe(problem, &reduced, &ties, &bounds, solved, options, moved)
}

/// The fit that was found in the free parameters, told of all.
pub(super) fn describe<R: ResidualHessian + 'static, S: Residuals + 'static>(
    problem: &LeastSquares<R>,
    reduced: &LeastSquares<S>,
    ties: &Ties,
    bounds: &Bounds,
    solved: Solved,
    options: &FitOptions,
    moved: Vec<usize>,
) -> Result<Fit> {
    let Solved { x: z, cost, first, mut finished } = solved;
    let active = active_bounds(reduced, &z, bounds);
    let x = ties.expand(&z)?;
    if let Ok(tangent) = ties.tangent(&x) {
        finished.degenerate.iter_mut().for_each(|d| *d = carried(d, &tangent));
    }
    let active: Vec<ActiveBound> = active.into_iter().map(|a| ActiveBound { index: ties.free()[a.index], ..a }).collect();
    let statistics = statistics_of(problem, &options.constraints, &active, &x, cost)?;
    let found = assemble(problem, x, Solved { x: z, cost, first, finished }, statistics);
    Ok(Fit { roles: roles(ties, &active), active, moved, ..found })
}

/// The roles of all parameters.
fn roles(ties: &Ties, active: &[ActiveBound]) -> Vec<Role> {
    let role = |rule: &Tie| match rule {
        Tie::Free => Role::Free,
        Tie::Fixed(_) => Role::Fixed,
        _ => Role::Tied,
    };
    let mut roles: Vec<Role> = ties.rules().iter().map(role).collect();
    for a in active {
        roles[a.index] = match a.side {
            Side::Lower => Role::AtLower,
            Side::Upper => Role::AtUpper,
            Side::Both => Role::Fixed,
        };
    }
    roles
}

/// The parameters at their bounds.
fn active_bounds<R: Residuals + 'static>(problem: &LeastSquares<R>, z: &[f64], bounds: &Bounds) -> Vec<ActiveBound> {
    let mut gradient = vec![0.0; z.len()];
    // Where the Jacobian has no value the multipliers are unknown; the parameters are at their bounds all the same.
    if let Ok(point) = problem.linearize(&z.to_vec())
        && let Ok(gram) = point.gram()
    {
        gram.gradient(&mut gradient);
    }
    bounds.active(z, &gradient)
}

/// Exact-Newton steps with the parameters at their bounds held there; it has converged only if they want to stay.
pub(super) fn finish_on_face<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    x: &[f64],
    bounds: &Bounds,
    finish: &Finish,
) -> Result<(Vec<f64>, Finished)> {
    let mut ties = Ties::none(x.len());
    for a in active_bounds(problem, x, bounds).iter().filter(|a| a.multiplier > 0.0 || a.side == Side::Both) {
        ties = ties.holding(a.index, x[a.index])?;
    }
    let free = Bounds::new(ties.restrict(bounds.lower()), ties.restrict(bounds.upper()))?;
    let held = LeastSquares::new(Tied::new(problem.shared_residuals(), ties.clone())?);
    let (z, mut finished) = finish.run_within(&held, &ties.restrict(x), Some(&free))?;
    let x = ties.expand(&z)?;
    let tangent = ties.tangent(&x)?;
    finished.degenerate.iter_mut().for_each(|d| *d = carried(d, &tangent));
    let unknown = Finished { converged: false, ..finished.clone() };
    let Ok(point) = problem.linearize(&x.to_vec()) else { return Ok((x, unknown)) };
    let Ok(gram) = point.gram() else { return Ok((x, unknown)) };
    let level = |i: usize| ZERO_MULTIPLIER * norm(gram.column(i)) * norm(gram.residual);
    let stays = |a: &ActiveBound| ties.free().contains(&a.index) || a.multiplier >= -level(a.index);
    finished.converged &= active_bounds(problem, &x, bounds).iter().all(stays);
    Ok((x, finished))
}

/// A direction in the free parameters as one in all, by their derivatives `tangent` (`n × k`); the largest entry stays 1.
fn carried(d: &[f64], tangent: &[f64]) -> Vec<f64> {
    let n = tangent.len() / d.len().max(1);
    let mut all = vec![0.0; n];
    d.iter().zip(tangent.chunks(n.max(1))).for_each(|(d, column)| axpy(*d, column, &mut all));
    let largest = all.iter().copied().fold(0.0f64, |a, v| if v.abs() > a.abs() { v } else { a });
    all.iter_mut().for_each(|v| *v /= largest);
    all
}

/// Statistics of the parameters that nothing holds, and by the delta method of the tied ones.
pub(super) fn statistics_of<R: Residuals + 'static>(
    problem: &LeastSquares<R>,
    constraints: &Constraints,
    active: &[ActiveBound],
    x: &[f64],
    cost: f64,
) -> Result<Statistics> {
    if constraints.is_none() {
        return Ok(Statistics::at_answer(problem, x, cost));
    }
    let mut held = constraints.ties_of(x.len());
    for a in active {
        held = held.holding(a.index, x[a.index])?;
    }
    let reduced = LeastSquares::new(Tied::new(problem.shared_residuals(), held.clone())?);
    let statistics = Statistics::at_answer(&reduced, &held.restrict(x), cost);
    Ok(lift(statistics, held.free(), &held.tangent(x)?, x.len()))
}

/// From the free parameters to all `n`, with their derivatives `tangent` (`n × k`).
fn lift(s: Statistics, free: &[usize], tangent: &[f64], n: usize) -> Statistics {
    let k = free.len();
    // A parameter that does not depend on another takes no part in its covariance, NaN or not.
    let product = |small: &[f64]| {
        let mut large = vec![0.0; n * n];
        for b in 0..k {
            for a in 0..k {
                for j in (0..n).filter(|j| tangent[b * n + j] != 0.0) {
                    for i in (0..n).filter(|i| tangent[a * n + i] != 0.0) {
                        large[j * n + i] += tangent[a * n + i] * small[b * k + a] * tangent[b * n + j];
                    }
                }
            }
        }
        large
    };
    let (covariance, robust_covariance) = (product(&s.covariance), product(&s.robust_covariance));
    let moves = |i: usize| (0..k).any(|b| tangent[b * n + i] != 0.0);
    let error = |i: usize| match free.iter().position(|f| *f == i) {
        Some(b) => s.standard_errors[b],
        None if moves(i) => covariance[i * n + i].sqrt(),
        None => f64::NAN,
    };
    Statistics {
        standard_errors: (0..n).map(error).collect(),
        unidentified: s.unidentified.iter().map(|&b| free[b]).collect(),
        collinear: s.collinear.iter().map(|&b| free[b]).collect(),
        covariance,
        robust_covariance,
        ..s
    }
}
