//! Gradient noise (Neelakantan et al. 2015): normal noise that dies out.

use super::moments::check_not_negative;
use super::probe::stream;
use super::{Context, UpdateRule};
use crate::error::Result;
use rand_distr::{Distribution, StandardNormal};

/// Adds `N(0, σ²)` to each entry, `σ² = η/(1 + t)^γ` in the zero-based step `t`.
///
/// The noise is a function of the seed and the step.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GradientNoise {
    /// `η`. Default 0.01; the paper also has 0.3 and 1.
    pub variance: f64,
    /// `γ`. Default 0.55.
    pub decay: f64,
    /// Seed of the noise. Default 0.
    pub seed: u64,
}

impl Default for GradientNoise {
    fn default() -> Self {
        Self { variance: 0.01, decay: 0.55, seed: 0 }
    }
}

impl UpdateRule for GradientNoise {
    fn validate(&self) -> Result<()> {
        check_not_negative("variance", self.variance)?;
        check_not_negative("decay", self.decay)
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let t = context.clock.step as f64;
        let deviation = (self.variance / (1.0 + t).powf(self.decay)).sqrt();
        let mut random = stream(self.seed, context.clock.step);
        for u in update {
            let noise: f64 = StandardNormal.sample(&mut random);
            *u += deviation * noise;
        }
        Ok(())
    }
}
