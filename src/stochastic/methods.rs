//! The named methods: the usual estimator, preconditioner and chain of rules, ready to run.

use super::Stochastic;
use super::estimator::MiniBatch;
use super::rule::LearningRate;
use super::schedule::Schedule;
use crate::curvature::Identity;

/// Stochastic gradient descent on mini-batches (Robbins & Monro 1951): `x ← x − α g`.
pub fn sgd(batch: MiniBatch, learning_rate: impl Into<Schedule>) -> Stochastic<MiniBatch, Identity, LearningRate> {
    Stochastic::new(batch, LearningRate(learning_rate.into()))
}
