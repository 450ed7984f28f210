//! When a stochastic run looks at the whole objective, and when it ends.

use crate::error::{Error, Result, Stop};

/// How often something happens.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Cadence {
    /// Only at the end of the run.
    Never,
    /// Every so many steps.
    Steps(u64),
    /// Every so many passes through the data.
    Epochs(f64),
}

impl Cadence {
    fn validate(self, name: &str) -> Result<()> {
        match self {
            Self::Never => Ok(()),
            Self::Steps(k) => Error::check_option(k > 0, name, "a positive number of steps", k),
            Self::Epochs(e) => Error::check_option(e > 0.0 && e.is_finite(), name, "a positive number of epochs", e),
        }
    }
}

/// The protocol of a stochastic run.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Protocol {
    /// One iteration of argmin is so much. Default: one epoch.
    pub iteration: Cadence,
    /// When the full cost is evaluated, in whole iterations; always at the end. Default: every epoch. A mini-batch's cost never
    /// takes its place.
    pub evaluate: Cadence,
    /// Passes through the data after which the run ends. Default: no limit but argmin's.
    pub epochs: Option<f64>,
    /// The run converged when the full cost is at most this.
    pub target: Option<f64>,
    /// The run converged when the estimator's gradient norm (full batch, or a table's mean) is at most this. Off at zero.
    pub gradient_tolerance: f64,
    /// Evaluations in a row without a new lowest validation loss (cost, without validation data) after which the run ends.
    pub patience: Option<u64>,
    /// Relative reduction that counts as a new lowest. Default 0.
    pub improvement: f64,
    /// The run diverged when the full cost exceeds `max(|f₀|, 1)` by this factor. Default 1e6.
    pub divergence: f64,
    /// Seconds after which the run ends, looked at after every step.
    pub deadline: Option<f64>,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            iteration: Cadence::Epochs(1.0),
            evaluate: Cadence::Epochs(1.0),
            epochs: None,
            target: None,
            gradient_tolerance: 0.0,
            patience: None,
            improvement: 0.0,
            divergence: 1e6,
            deadline: None,
        }
    }
}

impl Protocol {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        if self.iteration == Cadence::Never {
            Error::check_option(false, "iteration", "a number of steps or epochs", "never")?;
        }
        self.iteration.validate("iteration")?;
        self.evaluate.validate("evaluate")?;
        let epochs = self.epochs.unwrap_or(1.0);
        Error::check_option(epochs > 0.0, "epochs", "positive", epochs)?;
        let tolerance = self.gradient_tolerance;
        Error::check_option(
            tolerance >= 0.0 && tolerance.is_finite(),
            "gradient_tolerance",
            "finite and not negative",
            tolerance,
        )?;
        Error::check_option(self.patience != Some(0), "patience", "positive", 0)?;
        Error::check_option((0.0..1.0).contains(&self.improvement), "improvement", "at least 0 and below 1", self.improvement)?;
        Error::check_option(self.divergence > 1.0, "divergence", "greater than 1", self.divergence)?;
        let deadline = self.deadline.unwrap_or(1.0);
        Error::check_option(deadline > 0.0, "deadline", "a positive number of seconds", deadline)
    }

    /// What full evaluations say about the end of the run.
    pub(super) fn after_evaluation(&self, seen: &Evaluations, cost: f64) -> Option<Stop> {
        if let Some(target) = self.target.filter(|target| cost <= *target) {
            return Some(Stop::Target { cost, bound: target });
        }
        let bound = self.divergence * seen.first.abs().max(1.0);
        if !(cost <= bound) {
            return Some(Stop::Diverged { value: cost, bound });
        }
        let patience = self.patience.filter(|patience| seen.without_gain >= *patience)?;
        Some(Stop::Patience { lowest: seen.lowest, count: seen.without_gain, bound: patience })
    }
}

/// The full evaluations of a run so far.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Evaluations {
    /// The cost at the start.
    pub first: f64,
    /// The lowest validation loss (cost, without validation data).
    pub lowest: f64,
    /// Evaluations since then.
    pub without_gain: u64,
}

impl Evaluations {
    /// Takes in a validation loss; true if it is a new lowest.
    pub fn judge(&mut self, loss: f64, improvement: f64) -> bool {
        let gained = loss < self.lowest - improvement * self.lowest.abs();
        if gained {
            (self.lowest, self.without_gain) = (loss, 0);
        } else {
            self.without_gain += 1;
        }
        gained
    }
}
