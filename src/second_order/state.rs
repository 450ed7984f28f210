//! The points of a run in argmin's state.

use super::evaluation::{Point, ROUNDING};
use super::stopping::Stopping;
use crate::counts::Counts;
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::problem::{At, Objective};
use std::time::Instant;

pub use crate::problem::state::State;
pub(super) use crate::problem::state::{ArgminResult, borrow, drain, limit, terminate, wants_counts, wants_first_counts};

/// Takes the starting point out of argmin's state.
pub(super) fn take_start<P>(state: &mut State<P>) -> Result<P> {
    state.param.take().ok_or(Error::Unsupported { what: "a run", requirement: "a starting point" })
}

/// Evaluates the starting point.
pub(super) fn first_point<O: Objective>(problem: &O, x: O::Point, counts: &Counts) -> Result<Point<O::Point>> {
    Error::check_finite("the starting point", x.as_slice())?;
    let at = At { problem, x: &x, rows: None, counts };
    let cost = at.cost()?;
    if !cost.is_finite() {
        return Err(Error::NonFinite { what: "the cost at the starting point", index: None });
    }
    let gradient = at.gradient()?;
    Error::check_finite("the gradient at the starting point", gradient.as_slice())?;
    Ok(Point { x, cost, gradient })
}

/// Moves the accepted point into argmin's state; without one, the point where the iteration began.
pub(super) fn record<P: Vector>(state: &mut State<P>, here: Point<P>, there: Option<Point<P>>) {
    let Some(there) = there else {
        (state.param, state.grad, state.cost) = (Some(here.x), Some(here.gradient), here.cost);
        return;
    };
    if is_best(there.cost, state.best_cost) {
        keep_best(state, &there);
    }
    (state.prev_param, state.prev_grad, state.prev_cost) = (Some(here.x), Some(here.gradient), here.cost);
    (state.param, state.grad, state.cost) = (Some(there.x), Some(there.gradient), there.cost);
}

/// Whether a point of cost `cost` replaces the best so far. argmin keeps as best the lowest cost; a step accepted within the
/// rounding of `f` has the smaller gradient and is the better answer although its cost may be a few units in the last place
/// higher.
pub(super) fn is_best(cost: f64, best: f64) -> bool {
    cost <= best || cost.is_finite() && cost - best <= ROUNDING * f64::EPSILON * cost.abs()
}

/// Does what argmin does with a new best point, but in the buffer of the best point before the last.
fn keep_best<P: Vector>(state: &mut State<P>, there: &Point<P>) {
    let x = match state.prev_best_param.take() {
        Some(mut buffer) => {
            buffer.as_mut_slice().copy_from_slice(there.x.as_slice());
            buffer
        }
        None => there.x.clone(),
    };
    state.prev_best_param = state.best_param.replace(x);
    state.prev_best_cost = std::mem::replace(&mut state.best_cost, there.cost);
    state.last_best_iter = state.iter;
}

/// [`Stop::Deadline`] once the time limit has passed.
pub(super) fn overtime(stopping: &Stopping, started: Option<Instant>) -> Option<Stop> {
    let (bound, started) = (stopping.deadline?, started?);
    let seconds = started.elapsed().as_secs_f64();
    (seconds > bound).then_some(Stop::Deadline { seconds, bound })
}

#[cfg(test)]
mod tests {
    use super::is_best;

    #[test]
    fn a_point_within_the_rounding_of_the_best_replaces_it_and_one_above_does_not() {
        assert!(
            is_best(1.0, 1.0) && is_best(0.9, 1.0) && is_best(1.0 + f64::EPSILON, 1.0) && is_best(1.0 + 9.0 * f64::EPSILON, 1.0)
        );
        assert!(
            !is_best(1.0 + 1e-14, 1.0) && !is_best(1.0 + 1e-10, 1.0) && !is_best(f64::INFINITY, 1.0) && !is_best(f64::NAN, 1.0)
        );
        assert!(is_best(-1.0, -1.0 + f64::EPSILON) && is_best(-1.0 + 2.0 * f64::EPSILON, -1.0));
    }
}
