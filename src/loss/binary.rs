//! Independent binary cross-entropies on logits, `log(1 + eᶻ) − y z`, `y ∈ [0, 1]`.

use super::{EntryDistribution, EntryLoss};
use rand::{Rng, RngCore};

/// `Σ log(1 + eᶻ) − y z` with targets in `[0, 1]`; each output is a logit of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct BinaryCrossEntropy;

/// `σ(z)` and `1 − σ(z)`, each with all its digits.
fn probabilities(z: f64) -> (f64, f64) {
    let e = (-z.abs()).exp();
    let (likely, unlikely) = (1.0 / (1.0 + e), e / (1.0 + e));
    if z >= 0.0 { (likely, unlikely) } else { (unlikely, likely) }
}

impl EntryLoss for BinaryCrossEntropy {
    const TARGET: &'static str = "between 0 and 1";
    fn possible(&self, y: f64) -> bool {
        (0.0..=1.0).contains(&y)
    }
    fn value(&self, z: f64, y: f64) -> f64 {
        // max(z, 0) − y z, without subtracting large numbers: z is either worth (1 − y) of itself or −y.
        let linear = if z >= 0.0 { z * (1.0 - y) } else { -z * y };
        linear + (-z.abs()).exp().ln_1p()
    }
    fn slope(&self, z: f64, y: f64) -> f64 {
        let (p, q) = probabilities(z);
        // p − y = p (1 − y) − q y keeps its digits where p is near y = 1.
        p * (1.0 - y) - q * y
    }
    fn curvature(&self, z: f64, _: f64) -> f64 {
        let (p, q) = probabilities(z);
        p * q
    }
    fn distribution(&self) -> Option<&dyn EntryDistribution> {
        Some(self)
    }
}

impl EntryDistribution for BinaryCrossEntropy {
    fn sample_slope(&self, z: f64, random: &mut dyn RngCore) -> f64 {
        let (p, q) = probabilities(z);
        if random.random::<f64>() < p { -q } else { p }
    }
    fn information(&self, z: f64) -> f64 {
        self.curvature(z, 0.0)
    }
}
