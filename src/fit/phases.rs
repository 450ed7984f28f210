//! The phases of a fit: a method that brings the parameters near, exact-Newton steps, and other methods where those fail.
//!
//! Whatever happens after the start has been evaluated, the best point comes out.

use super::constraints;
use super::{Finished, FitOptions, FitVerdict, Method};
use crate::counts::Tally;
use crate::error::{Error, Result, Stop};
use crate::linalg::vector::dot;
use crate::problem::{Bounds, LeastSquares, ResidualHessian, Residuals};
use crate::second_order::methods;
use crate::second_order::minimizer::{Minimizer, State};
use crate::second_order::stopping::Stopping;
use crate::second_order::{globalization::Globalization, subproblem::Subproblem};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Executor, KV, Solver};
use std::sync::{Arc, Mutex};

/// What the first phase leaves.
pub(super) struct Phase {
    pub x: Vec<f64>,
    pub cost: f64,
    pub iterations: u64,
    pub counts: Tally,
    pub trace: Vec<f64>,
    pub stop: Stop,
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

/// Both phases of a fit.
pub(super) struct Solved {
    pub x: Vec<f64>,
    pub cost: f64,
    pub first: Phase,
    pub finished: Finished,
}

/// What is tried where the finish fails, in this order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rescue {
    /// The exact Hessian with a line search, from the best point: another idea of the valley where Gauss–Newton stalls.
    Newton,
    /// Nielsen's damping from the start: a gradual way where a radius collapses.
    Nielsen,
    /// MINPACK's radius from the start: a bold first step.
    Minpack,
    /// The exact Hessian in a trust region, from the start.
    Exact,
    /// The same from the best point, and down from saddles.
    Escape,
}

impl Rescue {
    const ALL: [Rescue; 5] = [Rescue::Newton, Rescue::Nielsen, Rescue::Minpack, Rescue::Exact, Rescue::Escape];

    /// Whether it takes another way; from a minimum, degenerate as it may be, the others only come back to it.
    fn begins_anew(self) -> bool {
        matches!(self, Rescue::Nielsen | Rescue::Minpack | Rescue::Exact)
    }
}

/// Iterations of all rescues together, times those of the first phase at most.
const BUDGET: u64 = 5;
/// Runs of Newton's method until the parameters at their bounds are the right ones.
const BOUNDED_TRIES: usize = 4;
/// Costs that agree to this part are one minimum, of which the verified point is the better.
const SAME_COST: f64 = 1e-9;

/// Both phases, from a start that is feasible.
pub(super) fn solve<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    start: &[f64],
    bounds: Option<&Bounds>,
    options: &FitOptions,
) -> Result<Solved> {
    let first = first_phase(problem, start, bounds, options)?;
    Ok(second_phase(problem, start, first, bounds, options))
}

pub(super) fn first_phase<R: Residuals + 'static>(
    problem: &LeastSquares<R>,
    start: &[f64],
    bounds: Option<&Bounds>,
    options: &FitOptions,
) -> Result<Phase> {
    match options.method {
        Method::LevenbergMarquardt => approach(problem, start, methods::levenberg_marquardt_geodesic().bare(), bounds, options),
        Method::Nielsen => approach(problem, start, methods::levenberg_marquardt_nielsen().bare(), bounds, options),
        Method::GaussNewton => approach(problem, start, methods::gauss_newton().bare(), bounds, options),
    }
}

/// A point with what is known of it.
struct Judged {
    x: Vec<f64>,
    cost: f64,
    finished: Finished,
    stop: Stop,
}

impl Judged {
    /// A lower cost, or at the same one a verified point.
    fn beats(&self, other: &Self) -> bool {
        if (self.cost - other.cost).abs() <= SAME_COST * self.cost.min(other.cost) {
            return self.finished.converged && !other.finished.converged;
        }
        self.cost < other.cost || !other.cost.is_finite()
    }
}

/// The finish, and where it fails other methods until it does not. What ends a fit is the decrement that the finish found,
/// not that the first phase moved little.
pub(super) fn second_phase<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    start: &[f64],
    mut first: Phase,
    bounds: Option<&Bounds>,
    options: &FitOptions,
) -> Solved {
    let judge = |run: &Phase| -> Judged {
        let found = match bounds {
            None => options.finish.run(problem, &run.x),
            Some(bounds) => constraints::finish_on_face(problem, &run.x, bounds, &options.finish),
        };
        let here = |(x, finished): (Vec<f64>, Finished)| {
            let r = problem.residuals_at(&x).ok()?;
            let cost = 0.5 * dot(&r, &r);
            cost.is_finite().then(|| Judged { x, cost, finished, stop: run.stop.clone() })
        };
        let kept = || Judged { x: run.x.clone(), cost: run.cost, finished: Finished::unverified(), stop: run.stop.clone() };
        found.ok().and_then(here).unwrap_or_else(kept)
    };
    let mut best = judge(&first);
    let mut left = options.max_iterations.saturating_mul(BUDGET);
    for rescue in Rescue::ALL {
        for _ in 0..if rescue == Rescue::Newton && bounds.is_some() { BOUNDED_TRIES } else { 1 } {
            let enough = match best.finished.verdict() {
                FitVerdict::Minimum => true,
                // A flat direction may lead on to a lower place that another way finds at once.
                FitVerdict::DegenerateMinimum => !rescue.begins_anew() || best.cost == 0.0,
                _ => false,
            };
            if enough || options.finish.max_steps == 0 || left == 0 {
                break;
            }
            let options = FitOptions { max_iterations: options.max_iterations.min(left), ..options.clone() };
            let run = match rescue {
                Rescue::Newton => approach(problem, &best.x, methods::newton().bare(), bounds, &options),
                Rescue::Nielsen => approach(problem, start, methods::levenberg_marquardt_nielsen().bare(), bounds, &options),
                Rescue::Minpack => approach(problem, start, methods::levenberg_marquardt().bare(), bounds, &options),
                Rescue::Exact => approach(problem, start, methods::trust_region_exact().bare(), bounds, &options),
                Rescue::Escape => {
                    let mut solver = methods::trust_region_exact().bare();
                    solver.escape_saddles = true;
                    approach(problem, &best.x, solver, bounds, &options)
                }
            };
            // A method that cannot begin there leaves the best point as it is.
            let Ok(run) = run else { break };
            left = left.saturating_sub(run.iterations);
            (first.iterations, first.counts) = (first.iterations + run.iterations, first.counts.plus(&run.counts));
            let found = judge(&run);
            first.trace.extend(run.trace.iter().skip(1));
            if found.beats(&best) {
                best = found;
            }
        }
    }
    first.stop = best.stop;
    Solved { x: best.x, cost: best.cost, first, finished: best.finished }
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
        None => solver,
        Some(bounds) => solver.within(bounds.clone()),
    };
    // Gradients have the units of the parameters: the tests that end a fit must not depend on them.
    solver.stopping = Stopping { gtol_rel: 0.0, decrease: 0.0, ftol: options.ftol, ..Stopping::default() };
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
    let cost = run.state.best_cost;
    let x = run.state.best_param.or(run.state.param).unwrap_or_else(|| start.to_vec());
    Ok(Phase { x, cost, iterations, counts: run.solver.tally(), trace, stop })
}

/// This crate's error out of argmin's, whose type hides it.
pub(super) fn into_error(error: argmin::core::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|other| Error::Problem { what: "residuals", source: other.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{MultiStart, fit, profile_intervals};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Part {
        Residuals,
        Jacobian,
        Hessian,
    }

    #[derive(Clone, Copy, Debug)]
    enum Fault {
        Error,
        NotFinite,
    }

    /// `y = a e^{−bt}` at five times, of which a part fails from its `after`-th evaluation on.
    struct Failing {
        part: Part,
        fault: Fault,
        after: u64,
        calls: AtomicU64,
    }
    impl Failing {
        fn check(&self, part: Part, out: &mut [f64]) -> Result<()> {
            if part != self.part || self.calls.fetch_add(1, Ordering::Relaxed) < self.after {
                return Ok(());
            }
            match self.fault {
                Fault::Error => Err(Error::Problem { what: "model", source: "out of order".into() }),
                Fault::NotFinite => {
                    out.fill(f64::NAN);
                    Ok(())
                }
            }
        }
    }
    impl Residuals for Failing {
        fn n(&self) -> usize {
            2
        }
        fn m(&self) -> usize {
            5
        }
        fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
            let y = [3.1, 1.7, 1.2, 0.7, 0.3];
            (0..5).for_each(|t| out[t] = b[0] * (-b[1] * t as f64).exp() - y[t]);
            self.check(Part::Residuals, out)
        }
        fn jacobian(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
            for t in 0..5 {
                let e = (-b[1] * t as f64).exp();
                (out[t], out[5 + t]) = (e, -b[0] * t as f64 * e);
            }
            self.check(Part::Jacobian, out)
        }
    }
    impl ResidualHessian for Failing {
        fn weighted_hessian(&self, b: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
            out.fill(0.0);
            for (t, w) in weights.iter().enumerate() {
                let (t, e) = (t as f64, (-b[1] * t as f64).exp());
                out[1] -= w * t * e;
                out[3] += w * b[0] * t * t * e;
            }
            out[2] = out[1];
            self.check(Part::Hessian, out)
        }
    }

    #[test]
    fn failures_after_the_start_never_lose_the_best_point() {
        let start = [1.0, 2.0];
        let first = |start: &[f64]| {
            let whole = Failing { part: Part::Hessian, fault: Fault::Error, after: u64::MAX, calls: AtomicU64::new(0) };
            fit(&LeastSquares::new(whole), start, &FitOptions::default()).unwrap()
        };
        let (answer, mut verified) = (first(&start), 0);
        for part in [Part::Residuals, Part::Jacobian, Part::Hessian] {
            for fault in [Fault::Error, Fault::NotFinite] {
                for after in 1..40 {
                    let failing = Failing { part, fault, after, calls: AtomicU64::new(0) };
                    let problem = LeastSquares::new(failing);
                    let found = fit(&problem, &start, &FitOptions::default())
                        .unwrap_or_else(|error| panic!("{part:?} {fault:?} {after}: {error}"));
                    let known = 0.5 * [2.1f64, 1.7 - (-2f64).exp(), 1.2 - (-4f64).exp()].iter().map(|r| r * r).sum::<f64>();
                    assert!(
                        found.cost <= known + 0.4 && found.cost >= answer.cost * (1.0 - 1e-12),
                        "{part:?} {fault:?} {after}: {}",
                        found.cost
                    );
                    verified += usize::from(found.converged());
                    assert!(!found.converged() || (found.cost - answer.cost).abs() <= 1e-12 * answer.cost);
                    // What needs more evaluations says that it does not know, and does not fail either.
                    let profiles = profile_intervals(&problem, &found, 0.95, &FitOptions::default());
                    assert!(profiles.is_ok(), "{part:?} {fault:?} {after}: {profiles:?}");
                }
            }
        }
        assert!(verified > 0);
    }

    #[test]
    fn many_starts_of_which_most_fail_keep_the_best_point() {
        let failing = Failing { part: Part::Hessian, fault: Fault::NotFinite, after: 0, calls: AtomicU64::new(0) };
        let search = MultiStart { starts: 6, ..MultiStart::default() };
        let found = search.fit(&LeastSquares::new(failing), &[1.0, 2.0], &FitOptions::default()).unwrap();
        assert!(!found.best.converged() && found.minima.is_empty() && found.failed == 6);
        assert!((found.best.parameters[1] - 0.56).abs() < 0.1, "{:?}", found.best.parameters);
    }
}
