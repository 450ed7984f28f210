//! One solver on one problem: the outcome as recomputed from the problem, the counts, the time, the trace.
//!
//! What a solver says of itself is recorded (`converged`, `stop`); whether it *solved* the problem is decided here, from
//! the problem, at the point it returned: `‖∇f(x)‖∞ ≤ 10⁻⁸ max(1, ‖∇f(x₀)‖∞)`.

use super::solver::{AnySolver, Setup, VecState};
use super::trace::{Counted, Recorder, TracePoint};
use crate::counts::{Counts, Tally};
use crate::error::{Error, Result, Stop};
use crate::linalg::vector::norm_inf;
use crate::problem::{Erased, Function};
use crate::second_order::certificate::{Certificate, Certifier, Depth, PointKind, Stationary};
use crate::testbed::TestProblem;
use argmin::core::observers::ObserverMode;
use argmin::core::{Executor, OptimizationResult, State, TerminationReason, TerminationStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Relative size of the gradient at which a problem counts as solved.
pub const SOLVED: f64 = 1e-8;

/// A problem with its start.
#[derive(Clone)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The function.
    pub function: Arc<dyn Function>,
    /// Where runs start.
    pub start: Vec<f64>,
    /// Known values at local minima, the global one first; may be empty.
    pub minima: Vec<f64>,
}

impl From<&TestProblem> for Case {
    fn from(p: &TestProblem) -> Self {
        Self { name: p.name.clone(), function: p.function.clone(), start: p.start.clone(), minima: p.minima.clone() }
    }
}

impl Case {
    /// Number of variables.
    pub fn dim(&self) -> usize {
        self.function.dim()
    }

    /// `f` and `‖∇f‖∞` at the start.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a start of the wrong length, [`Error::NonFinite`] if the start, the cost or the gradient
    /// there is not finite, and what the function reports.
    pub fn check(&self) -> Result<(f64, f64)> {
        Error::check_len("start", self.dim(), self.start.len())?;
        Error::check_finite("start", &self.start)?;
        let (cost, gradient) = evaluate(self.function.as_ref(), &self.start)?;
        Error::check_finite("cost at the start", &[cost])?;
        Error::check_finite("gradient at the start", &gradient)?;
        Ok((cost, norm_inf(&gradient)))
    }

    /// Whether `cost` agrees with the lowest known minimum to four digits (absolutely if it is zero), the criterion of
    /// the published comparisons on these problems; `None` if no minimum is known.
    pub fn at_known_minimum(&self, cost: f64) -> Option<bool> {
        let lowest = self.minima.iter().copied().filter(|m| m.is_finite()).reduce(f64::min)?;
        Some(cost - lowest <= if lowest == 0.0 { 1e-4 } else { 1e-4 * lowest.abs() })
    }
}

/// What bounds and measures a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Seconds after which a run ends.
    pub seconds: f64,
    /// Iterations after which a run ends, instead of the solver's own limit.
    pub max_iters: Option<u64>,
    /// Runs below ten milliseconds are repeated this often and the shortest time counts.
    pub repeats: usize,
    /// Whether a trace is recorded (by a run of its own, so that it does not spoil the time).
    pub trace: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seconds: 2.0, max_iters: None, repeats: 1, trace: false }
    }
}

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Ending {
    /// One word: `gradient`, `iterations`, `no_progress`, ….
    pub reason: String,
    /// The measured value, where the test has one.
    pub value: Option<f64>,
    /// What it was held against.
    pub bound: Option<f64>,
    /// A sentence.
    pub text: String,
}

impl Ending {
    /// What a stop says.
    pub fn of(stop: &Stop) -> Self {
        let (value, bound) = stop.value_and_bound().unzip();
        Self { reason: stop.reason().into(), value, bound, text: stop.to_string() }
    }
}

/// What came out of one run.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Outcome {
    /// The problem.
    pub problem: String,
    /// The solver with its options.
    pub solver: String,
    /// Number of variables.
    pub n: usize,
    /// Whether the solver says that one of its tests for success was met.
    pub converged: bool,
    /// Whether the gradient at the answer, recomputed, is at most [`SOLVED`] times `max(1, ‖g₀‖∞)`.
    pub solved: bool,
    /// Whether the cost at the answer is that of the lowest known minimum; `None` if none is known.
    pub at_known_minimum: Option<bool>,
    /// Why the run ended.
    pub stop: Ending,
    /// The best point.
    pub x: Vec<f64>,
    /// `f(x)`, recomputed.
    pub cost: f64,
    /// `‖∇f(x)‖∞`, recomputed.
    pub gradient_norm: f64,
    /// Accepted steps.
    pub iterations: u64,
    /// Evaluations of the run, the certificate's left out.
    pub counts: Tally,
    /// Seconds of the run, the certificate's left out.
    pub seconds: f64,
    /// What was verified at the answer.
    pub certificate: Option<Certificate>,
    /// Evaluations for the certificate.
    pub certificate_counts: Tally,
    /// Seconds for the certificate.
    pub certificate_seconds: f64,
    /// The course of the run, if it was recorded.
    pub trace: Vec<TracePoint>,
}

impl Outcome {
    /// The certificate's verdict in one word.
    pub fn verdict(&self) -> Option<&'static str> {
        self.certificate.as_ref().map(|c| match c.verdict {
            PointKind::Minimum => "minimum",
            PointKind::Degenerate => "degenerate",
            PointKind::Saddle => "saddle",
            PointKind::Undetermined => "not determined",
        })
    }
}

/// Runs the solver from the case's start.
///
/// # Errors
/// What [`Case::check`] reports, and options that do not fit the problem. A run that fails later is an outcome.
pub fn run(case: &Case, setup: &Setup, settings: &Settings) -> Result<Outcome> {
    setup.check_size(case.dim())?;
    let (_, initial) = case.check()?;
    let trace = if settings.trace { traced(case, setup, settings)? } else { Vec::new() };
    let (mut result, mut seconds) = timed(case, setup, settings)?;
    for _ in 1..settings.repeats.max(1) {
        if seconds > 1e-2 {
            break;
        }
        let again = timed(case, setup, settings)?;
        if again.1 < seconds {
            (result, seconds) = again;
        }
    }
    let state = result.state();
    let x = state.get_best_param().or(state.get_param()).unwrap_or(&case.start).clone();
    let (cost, gradient_norm) = match evaluate(case.function.as_ref(), &x) {
        Ok((cost, gradient)) => (cost, norm_inf(&gradient)),
        Err(_) => (f64::NAN, f64::NAN),
    };
    let solver = result.solver();
    let own = (solver.certificate().cloned(), solver.certificate_tally(), solver.certificate_seconds());
    let converged = solver.stop().is_some_and(Stop::converged);
    let (certificate, certificate_counts, certificate_seconds) =
        if converged && !solver.knows_curvature() { certify(case, &x) } else { own };
    Ok(Outcome {
        problem: case.name.clone(),
        solver: setup.name.clone(),
        n: case.dim(),
        converged,
        solved: gradient_norm <= SOLVED * initial.max(1.0),
        at_known_minimum: case.at_known_minimum(cost),
        stop: ending(solver.stop(), state, settings),
        x,
        cost,
        gradient_norm,
        iterations: state.get_iter(),
        counts: solver.tally(),
        seconds,
        certificate,
        certificate_counts,
        certificate_seconds,
        trace,
    })
}

/// The certificate for a solver that has no curvature of its own.
fn certify(case: &Case, x: &[f64]) -> (Option<Certificate>, Tally, f64) {
    let began = Instant::now();
    let examined = examine(case, x);
    let certificate = examined.unwrap_or_else(|_| Certificate::undetermined(f64::NAN));
    (Some(certificate), Tally { hessian: 1, ..Tally::default() }, began.elapsed().as_secs_f64())
}

fn examine(case: &Case, x: &[f64]) -> Result<Certificate> {
    let (cost, gradient) = evaluate(case.function.as_ref(), x)?;
    let sizes: Vec<f64> = x.iter().zip(&case.start).map(|(x, x0)| x.abs().max((x - x0).abs())).collect();
    let at = Stationary {
        gradient: &gradient,
        gradient_norm: norm_inf(&gradient),
        sizes: &sizes,
        decrease: (case.function.cost(&case.start)? - cost).max(0.0),
        negligible: 10.0 * f64::EPSILON * cost.abs(),
    };
    let mut certificate = Certifier::default().examine(&case.function.hessian(x)?, &at, Depth::Full)?;
    // The sign of the curvature tells little far from the minimum.
    if certificate.relative_distance.is_some_and(|share| share > 1e-3) && certificate.verdict != PointKind::Saddle {
        certificate.verdict = PointKind::Undetermined;
    }
    Ok(certificate)
}

type Finished = OptimizationResult<Erased, AnySolver, VecState>;

fn executor(
    function: Arc<dyn Function>,
    case: &Case,
    setup: &Setup,
    settings: &Settings,
) -> Result<Executor<Erased, AnySolver, VecState>> {
    let solver = setup.build(Some(settings.seconds))?;
    let limit = settings.max_iters.unwrap_or(setup.max_iters);
    Ok(Executor::new(Erased(function), solver)
        .configure(|state| state.param(case.start.clone()).max_iters(limit))
        .timeout(Duration::try_from_secs_f64(settings.seconds).unwrap_or(Duration::MAX))
        .ctrlc(false))
}

fn timed(case: &Case, setup: &Setup, settings: &Settings) -> Result<(Finished, f64)> {
    let executor = executor(case.function.clone(), case, setup, settings)?;
    let start = Instant::now();
    let result = executor.run().map_err(own_error)?;
    let seconds = start.elapsed().as_secs_f64();
    let certificate = result.solver().certificate_seconds();
    Ok((result, (seconds - certificate).max(0.0)))
}

fn traced(case: &Case, setup: &Setup, settings: &Settings) -> Result<Vec<TracePoint>> {
    let counts = Arc::new(Counts::default());
    let points = Arc::new(Mutex::new(Vec::new()));
    let function = Arc::new(Counted { function: case.function.clone(), counts: counts.clone() });
    let recorder = Recorder::new(points.clone(), counts);
    let result =
        executor(function, case, setup, settings)?.add_observer(recorder, ObserverMode::Always).run().map_err(own_error)?;
    let mut points = std::mem::take(&mut *points.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    if let Some(last) = points.last_mut() {
        // The certificate is made inside the last iteration; its evaluations are no part of the run.
        last.counts = last.counts.since(&result.solver().certificate_tally());
        last.seconds = (last.seconds - result.solver().certificate_seconds()).max(0.0);
    }
    Ok(points)
}

fn own_error(error: argmin::core::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|other| Error::Problem { what: "first evaluation", source: other.into() })
}

/// `f(x)` and `∇f(x)`.
pub(super) fn evaluate(function: &dyn Function, x: &[f64]) -> Result<(f64, Vec<f64>)> {
    let mut gradient = vec![0.0; x.len()];
    function.gradient(x, &mut gradient)?;
    Ok((function.cost(x)?, gradient))
}

fn ending(stop: Option<&Stop>, state: &VecState, settings: &Settings) -> Ending {
    let of =
        |reason: &str, value: Option<f64>, bound: Option<f64>, text: String| Ending { reason: reason.into(), value, bound, text };
    if let Some(stop) = stop {
        return Ending::of(stop);
    }
    match state.get_termination_status() {
        TerminationStatus::Terminated(TerminationReason::Timeout) => {
            let seconds = state.get_time().map_or(f64::NAN, |t| t.as_secs_f64());
            of(
                "deadline",
                Some(seconds),
                Some(settings.seconds),
                format!("time limit: {seconds:.3} s > {:.3} s", settings.seconds),
            )
        }
        other => of("other", None, None, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::names;
    use crate::testbed::problem;

    /// The solvers' own counters against the calls that the problem itself saw.
    #[test]
    fn counts_of_every_solver_are_those_the_problem_saw() {
        let settings = Settings { seconds: 20.0, max_iters: Some(40), repeats: 1, trace: true };
        for name in ["rosenbrock", "wood", "saddle_origin"] {
            let case = Case::from(&problem(name, None).unwrap());
            for solver in names() {
                let outcome = run(&case, &Setup::parse(solver).unwrap(), &settings).unwrap();
                let seen = outcome.trace.last().unwrap().counts;
                let own = Tally { factorization: 0, inner: 0, ..outcome.counts };
                assert_eq!(own, seen, "{solver} on {name}");
                assert_eq!(outcome.trace.last().unwrap().iteration, outcome.iterations, "{solver} on {name}");
            }
        }
    }

    #[test]
    fn solved_is_decided_by_the_problem_and_not_by_the_solver() {
        let case = Case::from(&problem("rosenbrock", None).unwrap());
        let lax = Setup::parse("trust_region_exact:gtol=1e-1").unwrap();
        let outcome = run(&case, &lax, &Settings::default()).unwrap();
        assert!(outcome.converged && !outcome.solved);
        assert_eq!(outcome.at_known_minimum, Some(outcome.cost <= 1e-4));
    }

    #[test]
    fn a_start_that_cannot_be_evaluated_is_an_error() {
        let mut case = Case::from(&problem("rosenbrock", None).unwrap());
        let setup = Setup::parse("newton").unwrap();
        case.start[1] = f64::NAN;
        let error = run(&case, &setup, &Settings::default()).unwrap_err();
        assert!(matches!(error, Error::NonFinite { what: "start", index: Some(1) }));
        case.start.pop();
        assert!(matches!(run(&case, &setup, &Settings::default()).unwrap_err(), Error::Dimension { expected: 2, found: 1, .. }));
    }
}
