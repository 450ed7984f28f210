//! Training by a solver of the registry, on all samples in every iteration.

use super::task::Task;
use super::{EpochPoint, Finished, Log, Training, first_error};
use crate::error::{Result, Stop};
use crate::linalg::vector::all_finite;
use crate::problem::{Erased, FiniteSum};
use crate::study::Setup;
use crate::study::run::Ending;
use crate::study::solver::{AnySolver, VecState};
use argmin::core::{Error as ArgminError, Executor, KV, Problem, Solver, State, TerminationReason, TerminationStatus};
use std::sync::Arc;
use std::time::Duration;

/// Runs a solver from `start`.
pub(super) fn run(training: &Training, setup: &Setup, task: &Task, start: &[f64], log: &Log) -> Result<Finished> {
    setup.check_size(start.len())?;
    let seconds = training.seconds.or(setup.seconds());
    let solver = Watched {
        inner: setup.build(seconds)?,
        task: task.clone(),
        log: log.clone(),
        patience: training.patience,
        iterations: 0,
        lowest: f64::INFINITY,
        best: None,
        without_gain: 0,
        stop: None,
    };
    let timeout = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(Duration::MAX);
    let result = Executor::new(Erased(Arc::new(task.clone())), solver)
        .configure(|state| state.param(start.to_vec()).max_iters(training.epochs))
        .timeout(timeout)
        .ctrlc(false)
        .run()
        .map_err(first_error)?;
    let (state, solver) = (result.state(), result.solver());
    let counts = solver.inner.tally();
    let epochs = solver.iterations as f64;
    let stop = match (solver.stop.as_ref().or(solver.inner.stop()), state.get_termination_status()) {
        (Some(Stop::Iterations { .. }), _) => Stop::Epochs { count: epochs, bound: training.epochs as f64 },
        (Some(stop), _) => stop.clone(),
        (None, TerminationStatus::Terminated(TerminationReason::Timeout)) => {
            Stop::Deadline { seconds: log.seconds(), bound: seconds.unwrap_or(f64::INFINITY) }
        }
        (None, _) => Stop::Epochs { count: epochs, bound: training.epochs as f64 },
    };
    let answer = || state.get_best_param().or(state.get_param()).cloned();
    Ok(Finished {
        parameters: solver.best.clone().or_else(answer).unwrap_or_else(|| start.to_vec()),
        sound: !matches!(
            stop,
            Stop::NoProgress { .. } | Stop::Unbounded { .. } | Stop::InconsistentDerivatives { .. } | Stop::Failed { .. }
        ),
        stop: Ending::of(&stop),
        epochs,
        samples: counts.gradient * task.n_terms() as u64,
        counts,
    })
}

/// A solver whose iterations are noted and ended by patience; with validation samples the best point is kept.
struct Watched {
    inner: AnySolver,
    task: Task,
    log: Log,
    patience: Option<u64>,
    iterations: u64,
    lowest: f64,
    /// The point of the lowest validation loss.
    best: Option<Vec<f64>>,
    without_gain: u64,
    stop: Option<Stop>,
}

impl Watched {
    /// Notes where the run stands.
    fn note(&mut self, state: &VecState) -> Result<()> {
        let x = state.get_param().map_or(&[][..], |x| x);
        let validation = self.task.validation(x).transpose()?;
        let objective = state.get_cost();
        let loss = validation.unwrap_or(objective);
        if loss < self.lowest && all_finite(x) {
            (self.lowest, self.without_gain) = (loss, 0);
            self.best = validation.map(|_| x.to_vec());
        } else {
            self.without_gain += 1;
        }
        self.log.push(EpochPoint {
            epoch: self.iterations as f64,
            samples: self.inner.tally().gradient * self.task.n_terms() as u64,
            work: self.inner.tally().gradient_equivalents(x.len()),
            seconds: self.log.seconds(),
            objective,
            validation,
            learning_rate: None,
        });
        Ok(())
    }
}

type Stepped = std::result::Result<(VecState, Option<KV>), ArgminError>;

impl Solver<Erased, VecState> for Watched {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn init(&mut self, problem: &mut Problem<Erased>, state: VecState) -> Stepped {
        let (state, kv) = self.inner.init(problem, state)?;
        self.note(&state)?;
        Ok((state, kv))
    }
    fn next_iter(&mut self, problem: &mut Problem<Erased>, state: VecState) -> Stepped {
        let (state, kv) = self.inner.next_iter(problem, state)?;
        self.iterations += 1;
        self.note(&state)?;
        let tired = self.patience.filter(|patience| self.without_gain >= *patience && !state.terminated());
        let Some(bound) = tired else { return Ok((state, kv)) };
        let stop = Stop::Patience { lowest: self.lowest, count: self.without_gain, bound };
        let state = state.terminate_with(TerminationReason::SolverExit(stop.to_string()));
        self.stop = Some(stop);
        Ok((state, kv))
    }
    fn terminate(&mut self, state: &VecState) -> TerminationStatus {
        self.inner.terminate(state)
    }
}
