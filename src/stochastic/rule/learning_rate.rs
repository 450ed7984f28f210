//! The learning rate: a factor, constant or scheduled.

use super::{Context, UpdateRule};
use crate::error::Result;
use crate::linalg::vector::scale;
use crate::stochastic::Clock;
use crate::stochastic::schedule::Schedule;

/// Multiplies by a scheduled factor.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LearningRate(pub Schedule);

impl LearningRate {
    /// With this rate.
    pub fn new(rate: impl Into<Schedule>) -> Self {
        Self(rate.into())
    }
}

impl UpdateRule for LearningRate {
    fn validate(&self) -> Result<()> {
        self.0.validate("learning_rate")
    }
    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        scale(self.rate(&context.clock), update);
        Ok(())
    }
    fn rate(&self, clock: &Clock) -> f64 {
        self.0.at(clock)
    }
}
