//! The named methods: the usual estimator, preconditioner and chain of rules, ready to run.

use super::Stochastic;
use super::estimator::{MiniBatch, Svrg, Tabulated};
use super::rule::LearningRate;
use super::schedule::Schedule;
use crate::curvature::Identity;

/// Stochastic gradient descent on mini-batches (Robbins & Monro 1951): `x ← x − α g`.
pub fn sgd(batch: MiniBatch, learning_rate: impl Into<Schedule>) -> Stochastic<MiniBatch, Identity, LearningRate> {
    Stochastic::new(batch, LearningRate(learning_rate.into()))
}

/// The stochastic average gradient, one term a step (Schmidt, Le Roux & Bach 2017); `1/L` is the usual learning rate.
/// [`LinearSag`](super::LinearSag) is the same for linear models, and faster.
pub fn sag(seed: u64, learning_rate: impl Into<Schedule>) -> Stochastic<Tabulated, Identity, LearningRate> {
    Stochastic::new(Tabulated::sag(seed), LearningRate(learning_rate.into()))
}

/// SAGA, one term a step (Defazio, Bach & Lacoste-Julien 2014); `1/(3L)` is the usual learning rate.
pub fn saga(seed: u64, learning_rate: impl Into<Schedule>) -> Stochastic<Tabulated, Identity, LearningRate> {
    Stochastic::new(Tabulated::saga(seed), LearningRate(learning_rate.into()))
}

/// SVRG with snapshots at the last iterate after `2n` steps of one term (Johnson & Zhang 2013).
pub fn svrg(seed: u64, learning_rate: impl Into<Schedule>) -> Stochastic<Svrg, Identity, LearningRate> {
    Stochastic::new(Svrg::new(seed), LearningRate(learning_rate.into()))
}
