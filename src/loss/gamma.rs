//! Gamma-distributed targets with logarithmic link, `ν (z + y e⁻ᶻ)`.
//!
//! The link is not the canonical one, so the Hessian `ν y e⁻ᶻ` depends on the target and the Fisher information is `ν`.

use super::{EntryDistribution, EntryLoss};
use crate::error::{Error, Result};
use rand::{Rng, RngCore};

/// `Σ ν (z + y e⁻ᶻ)` with positive targets: the negative log-likelihood of gamma targets of mean `eᶻ` and shape `ν`, less
/// what does not depend on `z`.
#[derive(Debug, Clone, Copy)]
pub struct Gamma {
    shape: f64,
}

impl Gamma {
    /// With shape `ν`, the reciprocal of the dispersion.
    ///
    /// # Errors
    /// [`Error::Config`] if it is not positive and finite.
    pub fn new(shape: f64) -> Result<Self> {
        Error::check_option(shape > 0.0 && shape.is_finite(), "shape", "positive", shape)?;
        Ok(Self { shape })
    }
}

impl Default for Gamma {
    /// Shape 1: exponential targets.
    fn default() -> Self {
        Self { shape: 1.0 }
    }
}

impl EntryLoss for Gamma {
    const TARGET: &'static str = "positive";
    fn possible(&self, y: f64) -> bool {
        y > 0.0 && y.is_finite()
    }
    fn value(&self, z: f64, y: f64) -> f64 {
        self.shape * (z + y * (-z).exp())
    }
    fn slope(&self, z: f64, y: f64) -> f64 {
        self.shape * (1.0 - y * (-z).exp())
    }
    fn curvature(&self, z: f64, y: f64) -> f64 {
        self.shape * y * (-z).exp()
    }
    fn distribution(&self) -> Option<&dyn EntryDistribution> {
        Some(self)
    }
}

impl EntryDistribution for Gamma {
    fn sample_slope(&self, _: f64, random: &mut dyn RngCore) -> f64 {
        // y e⁻ᶻ has shape ν and mean 1, whatever z is.
        let ratio = rand_distr::Gamma::new(self.shape, 1.0 / self.shape).map_or(1.0, |gamma| random.sample(gamma));
        self.shape * (1.0 - ratio)
    }
    fn information(&self, _: f64) -> f64 {
        self.shape
    }
}
