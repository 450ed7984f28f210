//! Training by name: a model, a loss, samples in parts, a method; the course of the run and the scores at its end.
//!
//! All choices are made by the validation samples: with them the answer is the point with the lowest validation loss, and
//! [`Training::patience`] ends a run that no longer gains. The test samples are scored once, at the answer. A run that diverges
//! keeps the lowest point it has seen.

mod full_batch;
mod model;
mod optimizer;
mod race;
mod rules;
mod stochastic;
mod task;

use super::run::Ending;
use crate::counts::Tally;
use crate::dataset::{Parts, Samples};
use crate::error::{Error, Result};
use crate::linalg::vector::all_finite;
use std::sync::{Arc, Mutex};
use std::time::Instant;

pub use model::{LOSSES, Learner, LossKind, MODELS, ModelKind};
pub use optimizer::{Optimizer, Rate, SCHEDULES, STOCHASTIC_COMMON, names};
pub use race::{Band, EXCESSES, Lane, Race, Raced, half_decades};
pub use rules::{ENTRIES, Entry, Estimation};
pub use task::{Judge, Score, Task};

/// How a model is trained.
#[derive(Clone)]
pub struct Training {
    /// The model.
    pub learner: Learner,
    /// The method.
    pub optimizer: Optimizer,
    /// Passes through the data, or iterations of a full-batch method.
    pub epochs: u64,
    /// Samples in a batch of a stochastic method, at most all; `None` takes all of them.
    pub batch: Option<usize>,
    /// Seed of the batches.
    pub seed: u64,
    /// Evaluations in a row (one an epoch) without a new lowest validation loss, training loss without validation samples,
    /// after which the run ends.
    pub patience: Option<u64>,
    /// Time limit in seconds.
    pub seconds: Option<f64>,
}

/// Where a run stood after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct EpochPoint {
    /// Passes through the data, or iterations of a full-batch method; zero is the start.
    pub epoch: f64,
    /// Gradients of single samples evaluated so far.
    pub samples: u64,
    /// Gradient equivalents so far; evaluations of the whole objective that are made to look at a stochastic run are left out.
    pub work: f64,
    /// Seconds since the start.
    pub seconds: f64,
    /// What is minimized: mean loss of the training samples and penalty.
    pub objective: f64,
    /// Mean loss of the validation samples.
    pub validation: Option<f64>,
    /// Learning rate of the next step, of a stochastic method.
    pub learning_rate: Option<f64>,
}

/// What came out.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Trained {
    /// The loss.
    pub loss: LossKind,
    /// The parameters.
    #[serde(skip)]
    pub parameters: Vec<f64>,
    /// How many there are.
    pub n_parameters: usize,
    /// The objective at the answer.
    pub objective: f64,
    /// On the training samples.
    pub train: Score,
    /// On the validation samples.
    pub validation: Option<Score>,
    /// On the test samples.
    pub test: Option<Score>,
    /// Why the run ended.
    pub stop: Ending,
    /// Whether it ended by its budget or a test for success, not because it diverged, failed or got stuck.
    pub sound: bool,
    /// Passes through the data, or iterations of a full-batch method.
    pub epochs: f64,
    /// Gradients of single samples evaluated.
    pub samples: u64,
    /// Evaluations.
    #[serde(skip)]
    pub counts: Tally,
    /// Seconds of the run, evaluations of the whole objective and of the validation loss included.
    pub seconds: f64,
    /// The course of the run.
    pub history: Vec<EpochPoint>,
}

/// Called after each epoch.
pub type Progress = Box<dyn FnMut(&EpochPoint) + Send>;

/// The course of a run so far, shared by the run and who watches it.
#[derive(Clone)]
struct Log {
    points: Arc<Mutex<Vec<EpochPoint>>>,
    progress: Arc<Mutex<Progress>>,
    start: Instant,
}

impl Log {
    fn new(progress: Progress) -> Self {
        Self { points: Arc::default(), progress: Arc::new(Mutex::new(progress)), start: Instant::now() }
    }

    fn push(&self, point: EpochPoint) {
        self.progress.lock().unwrap_or_else(|poisoned| poisoned.into_inner())(&point);
        self.points.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(point);
    }

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn take(&self) -> Vec<EpochPoint> {
        std::mem::take(&mut *self.points.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// What an engine leaves.
struct Finished {
    parameters: Vec<f64>,
    stop: Ending,
    sound: bool,
    epochs: f64,
    samples: u64,
    counts: Tally,
}

/// What argmin says of a start that cannot be evaluated.
fn first_error(error: argmin::core::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|other| Error::Problem { what: "first evaluation", source: other.into() })
}

impl Training {
    /// Checks what needs no samples.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option, [`Error::Unsupported`] for second derivatives of a loss that has none.
    pub fn validate(&self) -> Result<()> {
        self.learner.target_kind()?;
        Error::check_option(self.epochs > 0, "epochs", "positive", self.epochs)?;
        Error::check_option(self.batch != Some(0), "batch", "positive", 0)?;
        Error::check_option(self.patience != Some(0), "patience", "positive", 0)?;
        let seconds = self.seconds.unwrap_or(1.0);
        Error::check_option(seconds > 0.0, "seconds", "a positive number", seconds)?;
        if self.learner.loss == Some(LossKind::Hinge) && self.optimizer.needs_hessian() {
            let requirement = "a loss with second derivatives; the hinge is piecewise linear";
            return Err(Error::Unsupported { what: "a method of second order", requirement });
        }
        Ok(())
    }

    /// Trains on one part, chooses by the second, and scores all three.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), what the model refuses of the samples, and a start that cannot be evaluated. A run that
    /// fails later is an outcome.
    pub fn run(&self, parts: &Parts, progress: Progress) -> Result<Trained> {
        self.validate()?;
        let (task, start) = Task::new(&self.learner, &parts.train, parts.validation.as_ref())?;
        let log = Log::new(progress);
        let finished = match &self.optimizer {
            Optimizer::Stochastic { entry, options, .. } => stochastic::run(self, entry, options, &task, &start, &log),
            Optimizer::FullBatch(setup) => full_batch::run(self, setup, &task, &start, &log),
        }?;
        let seconds = log.seconds();
        let x = if all_finite(&finished.parameters) { finished.parameters } else { start };
        let score = |samples: &Samples| task.score(&x, &task.judge(samples)?);
        Ok(Trained {
            loss: task.loss(),
            n_parameters: x.len(),
            objective: task.objective(&x)?,
            train: score(&parts.train)?,
            validation: parts.validation.as_ref().map(score).transpose()?,
            test: parts.test.as_ref().map(score).transpose()?,
            stop: finished.stop,
            sound: finished.sound,
            epochs: finished.epochs,
            samples: finished.samples,
            counts: finished.counts,
            seconds,
            history: log.take(),
            parameters: x,
        })
    }
}
