//! Points and trials: what one evaluation yields, and how a reduction is measured where `f` has lost its digits.

use super::globalization::{Start, Trial};
use super::subproblem::{Model, Step};
use crate::error::Result;
use crate::linalg::vector::{all_finite, dot, norm};
use crate::linalg::{Form, Vector, operator};
use crate::problem::{At, Objective};

/// Reductions below this multiple of `ε |f|` are measured by gradients.
pub(super) const DROWNED: f64 = 1e6;
/// Rounding level of `f` in units of `ε |f|`.
pub(super) const ROUNDING: f64 = 10.0;
/// A point with its cost and gradient.
pub(super) struct Point<P> {
    pub(super) x: P,
    pub(super) cost: f64,
    pub(super) gradient: P,
}

/// A trial point as the search sees it.
pub(super) struct Tried<P> {
    pub(super) numbers: Trial,
    pub(super) cost: f64,
    pub(super) gradient: Option<P>,
}

/// Evaluates the trials of one search from `here`, and counts what they cost.
pub(super) struct Trials<'a, P> {
    here: &'a Point<P>,
    /// `‖x‖` in the norm of the subproblem's region, known once that is prepared.
    pub(super) x_norm: f64,
    slopes: bool,
    /// Cost evaluations so far.
    pub(super) costs: u64,
    /// Gradient evaluations so far.
    pub(super) gradients: u64,
}

impl<'a, P: Vector> Trials<'a, P> {
    /// For a search that wants the slope at every trial, or not.
    pub(super) fn new(here: &'a Point<P>, x_norm: f64, slopes: bool) -> Self {
        Self { here, x_norm, slopes, costs: 0, gradients: 0 }
    }

    /// The gradient at `there`, counted.
    pub(super) fn gradient<O: Objective<Point = P>>(&mut self, there: At<'_, O>) -> Result<P> {
        self.gradients += 1;
        there.uncounted_gradient()
    }

    /// Evaluates a trial: its cost, and its gradient where the search or the rounding of `f` asks for it.
    pub(super) fn evaluate<O: Objective<Point = P>>(
        &mut self,
        there: At<'_, O>,
        p: &[f64],
        size: f64,
        step: &Step,
    ) -> Result<Tried<P>> {
        let here = self.here;
        self.costs += 1;
        let cost = there.uncounted_cost()?;
        let finite = cost.is_finite();
        let drowned = DROWNED * f64::EPSILON * here.cost.abs();
        let mut numbers = Trial {
            size,
            predicted: step.predicted,
            actual: if finite { here.cost - cost } else { f64::NEG_INFINITY },
            slope: step.slope,
            trial_slope: None,
            length: step.length,
            x_norm: self.x_norm,
            cost: here.cost,
            rounding: ROUNDING * f64::EPSILON * here.cost.abs(),
        };
        let by_gradient = finite && numbers.predicted.abs() <= drowned && numbers.actual.abs() <= drowned;
        if !finite || !(by_gradient || self.slopes) {
            return Ok(Tried { numbers, cost, gradient: None });
        }
        let gradient = self.gradient(there)?;
        if !all_finite(gradient.as_slice()) {
            numbers.actual = f64::NEG_INFINITY;
            return Ok(Tried { numbers, cost, gradient: None });
        }
        let (before, after) = (dot(here.gradient.as_slice(), p), dot(gradient.as_slice(), p));
        if by_gradient {
            numbers.actual = -0.5 * (before + after);
        }
        // A line's slopes are per unit of size; a ball's are not.
        let per_size = if step.slope == 0.0 { 1.0 } else { before / step.slope };
        numbers.trial_slope = Some(after / per_size);
        Ok(Tried { numbers, cost, gradient: Some(gradient) })
    }
}

/// What globalizations want to know before the first trial of a run.
pub(super) fn start(model: &Model<'_>, x_norm: f64, scaled_x_norm: Option<f64>) -> Result<Start> {
    let g = model.gradient;
    let gradient_norm = norm(g);
    if scaled_x_norm.is_some() {
        // In variables scaled by the columns of J the diagonal of JᵀJ is 1.
        return Ok(Start {
            cost: model.value,
            gradient_norm,
            x_norm,
            scaled_x_norm,
            largest_diagonal: Some(1.0),
            gradient_curvature: None,
        });
    }
    // A product-only operator is not charged for a first guess.
    if matches!(model.curvature.form(), Form::Product) || gradient_norm == 0.0 {
        return Ok(Start {
            cost: model.value,
            gradient_norm,
            x_norm,
            scaled_x_norm,
            largest_diagonal: None,
            gradient_curvature: None,
        });
    }
    let mut work = vec![0.0; g.len()];
    let largest_diagonal =
        operator::write_diagonal(model.curvature, &mut work).then(|| work.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    model.curvature.apply(g, &mut work)?;
    let along = g.iter().zip(&work).map(|(g, b)| (g / gradient_norm) * (b / gradient_norm)).sum();
    Ok(Start { cost: model.value, gradient_norm, x_norm, scaled_x_norm, largest_diagonal, gradient_curvature: Some(along) })
}
