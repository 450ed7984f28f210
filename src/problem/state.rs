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

/// Ends the run: records the reason in argmin's state. A stop that speaks of the point where the run ended makes that the
/// answer, although steps accepted in the rounding of `f` may have let an earlier point have a cost lower by a few digits:
/// argmin would hand out that one.
pub(crate) fn terminate<P>(state: &mut State<P>, stop: &Stop) {
    if state.cost > state.best_cost && stop.speaks_of_a_point() {
        state.best_cost = f64::INFINITY;
    }
    let reason = match stop.converged() {
        true => TerminationReason::SolverConverged,
        false => TerminationReason::SolverExit(stop.to_string()),
    };
    state.termination_status = TerminationStatus::Terminated(reason);
}

/// The end that argmin is about to make: its iteration limit or its target.
pub(crate) fn limit<P>(state: &State<P>) -> Option<Stop> {
    if state.iter >= state.max_iters {
        return Some(Stop::Iterations { count: state.iter, bound: state.max_iters });
    }
    (state.best_cost <= state.target_cost).then_some(Stop::Target { cost: state.best_cost, bound: state.target_cost })
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
