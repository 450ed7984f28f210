//! argmin's state and counters, as all solvers of this module keep them.

use super::evaluation::{Point, ROUNDING};
use super::stopping::Stopping;
use crate::counts::{Counts, Tally};
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::problem::{At, Objective};
use argmin::core::{Error as ArgminError, IterState, KV, Problem, TerminationReason, TerminationStatus};
use std::time::Instant;

/// argmin's state as this crate's solvers use it: parameter, gradient and cost.
pub type State<P> = IterState<P, P, (), (), (), f64>;

pub(super) type ArgminResult<P> = std::result::Result<(State<P>, Option<KV>), ArgminError>;

pub(super) fn borrow<O>(problem: &Problem<O>) -> Result<&O> {
    problem.problem.as_ref().ok_or(Error::Unsupported { what: "a run", requirement: "a problem" })
}

/// Takes the starting point out of argmin's state and evaluates it.
pub(super) fn first_point<O: Objective>(problem: &O, state: &mut State<O::Point>, counts: &Counts) -> Result<Point<O::Point>> {
    let x = state.param.take().ok_or(Error::Unsupported { what: "a run", requirement: "a starting point" })?;
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
    // argmin keeps as best the lowest cost; a step accepted within the rounding of `f` has the smaller gradient
    // and is the better answer although its cost may be a few units in the last place higher.
    let noise = ROUNDING * f64::EPSILON * there.cost.abs();
    if there.cost - state.best_cost <= noise {
        keep_best(state, &there);
    }
    (state.prev_param, state.prev_grad, state.prev_cost) = (Some(here.x), Some(here.gradient), here.cost);
    (state.param, state.grad, state.cost) = (Some(there.x), Some(there.gradient), there.cost);
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

/// The point that meets the gradient test is the answer, although steps accepted in the rounding of `f` may have let an
/// earlier point have a cost lower by this relative amount: argmin would hand out that one.
const ANSWER: f64 = 1e-8;

/// Ends the run: records the reason in argmin's state.
pub(super) fn terminate<P>(state: &mut State<P>, stop: &Stop) {
    let behind = state.cost - state.best_cost;
    if matches!(stop, Stop::Gradient { .. }) && behind > 0.0 && behind <= ANSWER * state.cost.abs() {
        state.best_cost = f64::INFINITY;
    }
    let reason = match stop.converged() {
        true => TerminationReason::SolverConverged,
        false => TerminationReason::SolverExit(stop.to_string()),
    };
    state.termination_status = TerminationStatus::Terminated(reason);
}

/// Writes a run's totals into argmin's counters; only evaluations of the problem, under argmin's names.
pub(super) fn drain<O>(total: &Tally, problem: &mut Problem<O>) {
    if problem.counts.is_empty() {
        problem.counts.reserve(7);
    }
    for (name, count) in total.entries().filter(|(_, count)| *count > 0) {
        problem.counts.insert(name, count);
    }
}

/// True if the totals must be current in argmin's counters after `init`, where the run may end at once.
pub(super) fn wants_first_counts<P>(state: &State<P>, cost: f64) -> bool {
    state.counting_enabled || state.max_iters == 0 || cost <= state.target_cost
}

/// True if the totals must be current in argmin's counters after this iteration.
pub(super) fn wants_counts<P>(state: &State<P>) -> bool {
    let last = state.termination_status.terminated() || state.iter + 1 >= state.max_iters;
    // argmin's clock stays at zero while its timer is off.
    let timed = state.iter == 0 || state.time.is_some_and(|t| !t.is_zero());
    last || state.counting_enabled || timed
}

/// [`Stop::Deadline`] once the time limit has passed.
pub(super) fn overtime(stopping: &Stopping, started: Option<Instant>) -> Option<Stop> {
    let (bound, started) = (stopping.deadline?, started?);
    let seconds = started.elapsed().as_secs_f64();
    (seconds > bound).then_some(Stop::Deadline { seconds, bound })
}
