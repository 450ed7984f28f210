//! Weight decay: towards zero by a fraction of the parameters.

use super::{Context, UpdateRule};
use crate::error::Result;
use crate::linalg::vector::axpy;
use crate::stochastic::schedule::Schedule;

/// Adds `λ x`, the gradient of `½λ‖x‖²`. Its place in the chain says which decay it is:
///
/// | chain | decay |
/// |---|---|
/// | `(WeightDecay, Adam, LearningRate)` | L2: the penalty's gradient goes through the method |
/// | `(Adam, WeightDecay, LearningRate)` | decoupled, times the learning rate (torch, optax) |
/// | `(Adam, LearningRate, WeightDecay)` | decoupled, times its own schedule (Loshchilov & Hutter 2019) |
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct WeightDecay(pub Schedule);

impl WeightDecay {
    /// With `λ`.
    pub fn new(decay: impl Into<Schedule>) -> Self {
        Self(decay.into())
    }
}

impl UpdateRule for WeightDecay {
    fn validate(&self) -> Result<()> {
        self.0.validate("weight_decay")
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        axpy(self.0.at(&context.clock), context.x, update);
        Ok(())
    }
}
