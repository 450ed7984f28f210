//! Training by the stochastic solver.

use super::rules::{Entry, Estimation};
use super::task::Task;
use super::{EpochPoint, Finished, Log, Training, first_error};
use crate::error::{Result, Stop};
use crate::problem::FiniteSum;
use crate::stochastic::estimator::{GradientEstimator, LipschitzSearch, MiniBatch, Svrg, Tabulated};
use crate::stochastic::rule::UpdateRule;
use crate::stochastic::{Protocol, Stochastic};
use crate::study::run::Ending;
use crate::study::solver::VecState;
use crate::study::spec::Options;
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{Error as ArgminError, Executor, KV, State};

/// Runs a stochastic method from `start`.
pub(super) fn run(
    training: &Training,
    entry: &Entry,
    options: &Options,
    task: &Task,
    start: &[f64],
    log: &Log,
) -> Result<Finished> {
    let n = task.n_terms();
    let batch = training.batch.unwrap_or(n).min(n);
    let seed = training.seed;
    let chain = |unit: f64| {
        let (epochs, per_epoch) = (training.epochs as f64, n.div_ceil(batch) as f64);
        entry.rule(options, unit, epochs * per_epoch, per_epoch)
    };
    let begin = Begin { training, options, task, start, log };
    match entry.estimation {
        Estimation::MiniBatch => begin.run(MiniBatch::new(batch, seed), chain(1.0)?),
        Estimation::Sag => begin.run(Tabulated::sag(seed).batch(batch).search(LipschitzSearch::default()), chain(1.0)?),
        Estimation::Saga => begin.run(Tabulated::saga(seed).batch(batch).search(LipschitzSearch::default()), chain(1.0)?),
        Estimation::Svrg => {
            let largest = (0..n).map(|i| task.lipschitz(i)).try_fold(0.0, |largest: f64, l| Some(largest.max(l?)));
            let unit = largest.filter(|l| *l > 0.0).map_or(1.0, |l| 1.0 / l);
            begin.run(Svrg::new(seed).batch(batch), chain(unit)?)
        }
    }
}

/// Everything but the estimator and the rule.
struct Begin<'a> {
    training: &'a Training,
    options: &'a Options,
    task: &'a Task,
    start: &'a [f64],
    log: &'a Log,
}

impl Begin<'_> {
    fn run<E: GradientEstimator<Task>>(self, estimator: E, rule: Box<dyn UpdateRule>) -> Result<Finished> {
        let Self { training, options, task, start, log } = self;
        let epochs = training.epochs as f64;
        let protocol =
            Protocol { epochs: Some(epochs), patience: training.patience, deadline: training.seconds, ..Protocol::default() };
        let solver = Stochastic::new(estimator, rule).averaged(Entry::averaging(options, epochs)).protocol(protocol);
        let recorder = Recorder { task: task.clone(), log: log.clone(), batch: training.batch.unwrap_or(task.n_terms()) };
        let result = Executor::new(task.clone(), solver)
            .configure(|state| state.param(start.to_vec()).max_iters(u64::MAX))
            .add_observer(recorder, ObserverMode::Always)
            .ctrlc(false)
            .run()
            .map_err(first_error)?;
        let (state, solver) = (result.state(), result.solver());
        let stop = solver.stop().cloned().unwrap_or(Stop::Epochs { count: solver.clock().epoch, bound: epochs });
        Ok(Finished {
            parameters: state.get_best_param().or(state.get_param()).cloned().unwrap_or_else(|| start.to_vec()),
            sound: !matches!(stop, Stop::Diverged { .. } | Stop::Failed { .. }),
            stop: Ending::of(&stop),
            epochs: solver.clock().epoch,
            samples: solver.samples(),
            counts: solver.tally(),
        })
    }
}

/// Notes the course of a run from argmin's state and the solver's key-values.
struct Recorder {
    task: Task,
    log: Log,
    /// Samples that a product looks at.
    batch: usize,
}

impl Observe<VecState> for Recorder {
    fn observe_init(&mut self, _name: &str, state: &VecState, _kv: &KV) -> std::result::Result<(), ArgminError> {
        let validation = state.get_param().and_then(|x| self.task.validation(x));
        let validation = validation.transpose()?;
        let (objective, seconds) = (state.get_cost(), self.log.seconds());
        self.log.push(EpochPoint { epoch: 0.0, samples: 0, work: 0.0, seconds, objective, validation, learning_rate: None });
        Ok(())
    }
    fn observe_iter(&mut self, _state: &VecState, kv: &KV) -> std::result::Result<(), ArgminError> {
        let number = |key| kv.get(key).and_then(|value| value.get_float());
        let count = |key| kv.get(key).and_then(|value| value.get_uint()).unwrap_or(0);
        let (n, products) = (self.task.n_terms() as f64, count("hessian_products") as f64);
        self.log.push(EpochPoint {
            epoch: number("epoch").unwrap_or(f64::NAN),
            samples: count("samples"),
            work: (count("sample_gradients") as f64 + products * self.batch as f64) / n,
            seconds: self.log.seconds(),
            objective: number("cost").unwrap_or(f64::NAN),
            validation: number("validation"),
            learning_rate: number("learning_rate"),
        });
        Ok(())
    }
}
