//! Poisson counts with logarithmic link, `eᶻ − y z`.

use super::{EntryDistribution, EntryLoss};
use rand::{Rng, RngCore};

/// `Σ eᶻ − y z` with targets at least zero: the negative log-likelihood of counts of mean `eᶻ`, less `log y!`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Poisson;

impl EntryLoss for Poisson {
    const TARGET: &'static str = "at least 0";
    fn possible(&self, y: f64) -> bool {
        y >= 0.0 && y.is_finite()
    }
    fn value(&self, z: f64, y: f64) -> f64 {
        z.exp() - y * z
    }
    fn slope(&self, z: f64, y: f64) -> f64 {
        z.exp() - y
    }
    fn curvature(&self, z: f64, _: f64) -> f64 {
        z.exp()
    }
    fn distribution(&self) -> Option<&dyn EntryDistribution> {
        Some(self)
    }
}

impl EntryDistribution for Poisson {
    fn sample_slope(&self, z: f64, random: &mut dyn RngCore) -> f64 {
        let mean = z.exp();
        // The sampler's domain ends where a count has no units left; there and at zero the mean itself is the best integer.
        mean - rand_distr::Poisson::new(mean).map_or(mean, |poisson| random.sample(poisson))
    }
    fn information(&self, z: f64) -> f64 {
        z.exp()
    }
}
