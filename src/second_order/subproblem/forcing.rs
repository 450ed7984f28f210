//! How exactly an inner Krylov solver solves: the forcing sequence of inexact Newton methods.

use crate::error::{Error, Result};

/// Relative residual `η = min(max, ‖g‖^exponent)`: superlinear convergence for `0 < exponent < 1`, quadratic for 1.
///
/// Dembo, Eisenstat & Steihaug, SIAM J. Numer. Anal. 19(2), 1982.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Forcing {
    /// Largest relative residual, in `(0, 1)`.
    pub max: f64,
    /// Power of `‖g‖`; 0 keeps `max` throughout.
    pub exponent: f64,
}

impl Forcing {
    /// The relative residual for a gradient of norm `gradient_norm`; never below 1e-14, which rounding may not reach.
    pub fn tolerance(&self, gradient_norm: f64) -> f64 {
        self.max.min(gradient_norm.powf(self.exponent)).max(1e-14)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.max > 0.0 && self.max < 1.0, "forcing.max", "between 0 and 1", self.max)?;
        Error::check_option((0.0..=2.0).contains(&self.exponent), "forcing.exponent", "between 0 and 2", self.exponent)
    }
}
