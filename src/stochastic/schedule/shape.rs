//! Ways from one value to another.

use crate::error::{Error, Result};
use std::f64::consts::PI;

/// How a schedule leads from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Shape {
    /// A straight line.
    Linear,
    /// Half a wave: flat at both ends.
    Cosine,
    /// `(1 − s)^p` of the way remains at the fraction `s`.
    Polynomial(f64),
}

impl Shape {
    /// The value at a fraction of the way, which stays within `[0, 1]`.
    pub(super) fn between(self, initial: f64, end: f64, fraction: f64) -> f64 {
        let s = fraction.clamp(0.0, 1.0);
        let remaining = match self {
            Self::Linear => 1.0 - s,
            Self::Cosine => 0.5 * (1.0 + (PI * s).cos()),
            Self::Polynomial(power) => (1.0 - s).powf(power),
        };
        // Exact at both ends.
        if s == 1.0 { end } else { end + (initial - end) * remaining }
    }

    pub(super) fn validate(self, name: &str) -> Result<()> {
        match self {
            Self::Polynomial(power) => {
                Error::check_option(power > 0.0 && power.is_finite(), name, "made with a positive power", power)
            }
            _ => Ok(()),
        }
    }
}
