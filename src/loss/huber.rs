//! Huber's loss (1964): `½ r²` for `|r| ≤ δ`, `δ |r| − ½ δ²` beyond, `r = z − y`. It is not used as a likelihood.

use super::EntryLoss;
use crate::error::{Error, Result};

/// `Σ ½ r²` for `|r| ≤ δ`, `Σ δ |r| − ½ δ²` beyond.
#[derive(Debug, Clone, Copy)]
pub struct Huber {
    delta: f64,
}

impl Huber {
    /// Quadratic up to `delta`.
    ///
    /// # Errors
    /// [`Error::Config`] if it is not positive and finite.
    pub fn new(delta: f64) -> Result<Self> {
        Error::check_option(delta > 0.0 && delta.is_finite(), "delta", "positive", delta)?;
        Ok(Self { delta })
    }
}

impl EntryLoss for Huber {
    fn value(&self, z: f64, y: f64) -> f64 {
        let r = (z - y).abs();
        if r <= self.delta { 0.5 * r * r } else { self.delta * (r - 0.5 * self.delta) }
    }
    fn slope(&self, z: f64, y: f64) -> f64 {
        (z - y).clamp(-self.delta, self.delta)
    }
    fn curvature(&self, z: f64, y: f64) -> f64 {
        f64::from((z - y).abs() <= self.delta)
    }
}
