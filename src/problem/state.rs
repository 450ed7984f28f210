//! argmin's state and counters, as the solvers of this crate keep them.

use crate::counts::Tally;
use crate::error::{Error, Result, Stop};
use argmin::core::{Error as ArgminError, IterState, KV, Problem, TerminationReason, TerminationStatus};

/// argmin's state as this crate's solvers use it: parameter, gradient and cost.
pub type State<P> = IterState<P, P, (), (), (), f64>;

pub(crate) type ArgminResult<P> = std::result::Result<(State<P>, Option<KV>), ArgminError>;

pub(crate) fn borrow<O>(problem: &Problem<O>) -> Result<&O> {
    problem.problem.as_ref().ok_or(Error::Unsupported { what: "a run", requirement: "a problem" })
}

/// The point that meets the gradient test is the answer, although steps accepted in the rounding of `f` may have let an
/// earlier point have a cost lower by this relative amount: argmin would hand out that one.
const ANSWER: f64 = 1e-8;

/// Whether the point of cost `cost` where a run ended, and not the `best` one before, is its answer.
pub(crate) fn is_answer(stop: &Stop, cost: f64, best: f64) -> bool {
    matches!(stop, Stop::Gradient { .. }) && cost - best <= ANSWER * cost.abs()
}

/// Ends the run: records the reason in argmin's state.
pub(crate) fn terminate<P>(state: &mut State<P>, stop: &Stop) {
    if state.cost > state.best_cost && is_answer(stop, state.cost, state.best_cost) {
        state.best_cost = f64::INFINITY;
    }
    let reason = match stop.converged() {
        true => TerminationReason::SolverConverged,
        false => TerminationReason::SolverExit(stop.to_string()),
    };
    state.termination_status = TerminationStatus::Terminated(reason);
}

/// Writes a run's totals into argmin's counters; only evaluations of the problem, under argmin's names.
pub(crate) fn drain<O>(total: &Tally, problem: &mut Problem<O>) {
    if problem.counts.is_empty() {
        problem.counts.reserve(7);
    }
    for (name, count) in total.entries().filter(|(_, count)| *count > 0) {
        problem.counts.insert(name, count);
    }
}

/// True if the totals must be current in argmin's counters after `init`, where the run may end at once.
pub(crate) fn wants_first_counts<P>(state: &State<P>, cost: f64) -> bool {
    state.counting_enabled || state.max_iters == 0 || cost <= state.target_cost
}

/// True if the totals must be current in argmin's counters after this iteration.
pub(crate) fn wants_counts<P>(state: &State<P>) -> bool {
    let last = state.termination_status.terminated() || state.iter + 1 >= state.max_iters;
    // argmin's clock stays at zero while its timer is off.
    let timed = state.iter == 0 || state.time.is_some_and(|t| !t.is_zero());
    last || state.counting_enabled || timed
}
