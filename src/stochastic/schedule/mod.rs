//! Schedules: pure functions of the clock, shared by learning rates, momentum, batch sizes and damping.

use super::Clock;
use crate::error::{Error, Result};

/// A number that depends on the step, or on the epoch, only.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Schedule {
    /// The same at every step.
    Constant(f64),
    /// The inner schedule, with whole epochs in place of steps.
    PerEpoch(Box<Schedule>),
}

impl Schedule {
    /// The value at step `k`, zero-based.
    pub fn value(&self, k: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::PerEpoch(inner) => inner.value(k),
        }
    }

    /// The value at a moment of a run.
    pub fn at(&self, clock: &Clock) -> f64 {
        match self {
            Self::PerEpoch(inner) => inner.value(clock.epoch.floor()),
            other => other.value(clock.step as f64),
        }
    }

    /// Checks the numbers of a schedule.
    ///
    /// # Errors
    /// [`Error::Config`] with `name` and what is wrong.
    pub fn validate(&self, name: &str) -> Result<()> {
        match self {
            Self::Constant(value) => Error::check_option(value.is_finite(), name, "finite", value),
            Self::PerEpoch(inner) => inner.validate(name),
        }
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}
