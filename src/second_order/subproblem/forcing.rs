//! How exactly an inner Krylov solver solves: the forcing sequence of inexact Newton methods.

use crate::error::{Error, Result};

/// Relative residual `η = min(max, (‖g‖/‖g₀‖)^exponent)` with the first gradient `g₀` of the run: superlinear convergence for
/// `0 < exponent < 1`, quadratic for 1. A ratio, so that neither the unit of `f` nor that of `x` has a say.
///
/// Dembo, Eisenstat & Steihaug, SIAM J. Numer. Anal. 19(2), 1982; the ratio to a reference gradient as in Eisenstat & Walker,
/// SIAM J. Sci. Comput. 17(1), 1996.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Forcing {
    /// Largest relative residual, in `(0, 1)`.
    pub max: f64,
    /// Power of `‖g‖/‖g₀‖`; 0 keeps `max` throughout.
    pub exponent: f64,
}

impl Forcing {
    /// The relative residual for a gradient of norm `gradient_norm` in a run that began with `first_norm`; never below 1e-14,
    /// which rounding may not reach.
    pub fn tolerance(&self, gradient_norm: f64, first_norm: f64) -> f64 {
        let ratio = if first_norm > 0.0 { gradient_norm / first_norm } else { 1.0 };
        self.max.min(ratio.powf(self.exponent)).max(1e-14)
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

/// The first gradient norm of a run that is not zero: what later ones are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct FirstGradient(f64);

impl FirstGradient {
    /// A new run begins.
    pub fn forget(&mut self) {
        self.0 = 0.0;
    }

    /// The relative residual at a gradient of norm `gradient_norm`, the first one of a run being the reference.
    pub fn tolerance(&mut self, forcing: &Forcing, gradient_norm: f64) -> f64 {
        if self.0 == 0.0 {
            self.0 = gradient_norm;
        }
        forcing.tolerance(gradient_norm, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerance_depends_on_the_ratio_to_the_first_gradient_alone() {
        let forcing = Forcing { max: 0.5, exponent: 0.5 };
        let norms = [3.0, 7.0, 1.0, 1e-3, 3e-9, 1e-40];
        let of = |unit: f64| {
            let mut first = FirstGradient::default();
            norms.map(|g| first.tolerance(&forcing, g * unit))
        };
        let plain = of(1.0);
        assert_eq!(plain[..3], [0.5; 3]);
        assert!((plain[3] / (1e-3f64 / 3.0).sqrt() - 1.0).abs() < 1e-15);
        assert!((plain[4] / 1e-9f64.sqrt() - 1.0).abs() < 1e-15);
        assert_eq!(plain[5], 1e-14);
        for e in [-330, -66, 66, 330] {
            assert_eq!(of(2f64.powi(e)), plain);
        }
        let mut first = FirstGradient::default();
        assert_eq!(first.tolerance(&forcing, 0.0), 0.5);
        assert_eq!(first.tolerance(&forcing, 1e-6), 0.5, "the first gradient that is not zero is the reference");
        first.forget();
        assert_eq!(first.tolerance(&forcing, 1e-9), 0.5);
    }
}
