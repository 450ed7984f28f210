//! `½ ‖z − y‖²`: the negative log-likelihood of normal targets of unit variance.

use super::{EntryDistribution, EntryLoss};
use crate::linalg::normal;
use rand::{Rng, RngCore};
use rand_distr::StandardNormal;

/// `½ ‖z − y‖²`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SquaredError;

impl EntryLoss for SquaredError {
    fn value(&self, z: f64, y: f64) -> f64 {
        0.5 * (z - y) * (z - y)
    }
    fn slope(&self, z: f64, y: f64) -> f64 {
        z - y
    }
    fn curvature(&self, _: f64, _: f64) -> f64 {
        1.0
    }
    fn distribution(&self) -> Option<&dyn EntryDistribution> {
        Some(self)
    }
}

impl EntryDistribution for SquaredError {
    fn sample_slope(&self, _: f64, random: &mut dyn RngCore) -> f64 {
        random.sample(StandardNormal)
    }
    fn sample_slopes(&self, _: &[f64], random: &mut dyn RngCore, out: &mut [f64]) {
        // z − y is standard normal, whatever z is.
        normal::fill(random, out);
    }
    fn information(&self, _: f64) -> f64 {
        1.0
    }
}
