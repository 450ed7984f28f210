//! A shift `τ ≥ 0` that makes `B + τI` positive definite, found with few factorizations.
//!
//! # Reference
//! Nocedal & Wright (2006), Algorithm 3.3, with two changes: a failed factorization gives a direction of negative
//! curvature and with it a lower bound for the shift (Moré & Sorensen 1983), and the last shift is remembered.

use super::ShiftedCholesky;
use crate::error::{Error, Result};
use crate::linalg::vector::{norm, scale};

/// Finds shifts; remembers the last positive one, so that the next search starts near it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DefiniteShift {
    last: f64,
}

/// Smallest shift tried, relative to the largest entry: `√ε`.
const FLOOR: f64 = 1.5e-8;
/// The search covers more than the whole range of doubles from [`FLOOR`].
const MAX_TRIALS: usize = 400;

impl DefiniteShift {
    /// Factors the loaded matrix with the first shift that works, zero being tried first, and returns the shift. If
    /// it is positive, `v` is a unit vector along the most negative curvature that was met and the second value is
    /// `vᵀBv`; else `v` is untouched.
    ///
    /// # Errors
    /// [`Error::Factorization`] if no representable shift works.
    pub fn factor(&mut self, cholesky: &mut ShiftedCholesky, v: &mut [f64], spare: &mut [f64]) -> Result<(f64, Option<f64>)> {
        let Err(mut failure) = cholesky.factor(0.0) else {
            self.last = 0.0;
            return Ok((0.0, None));
        };
        let norms = cholesky.norms();
        let floor = if norms.max_abs > 0.0 { (FLOOR * norms.max_abs).max(f64::MIN_POSITIVE) } else { 1.0 };
        let gershgorin = (-norms.gershgorin_lower).max(0.0) + floor;
        let mut curvature = None;
        let mut tau = 0.0;
        for _ in 0..MAX_TRIALS {
            // The failed factorization of B + τI shows a unit w with wᵀBw = −deficit/‖w‖² − τ ≥ λ₁.
            let mut needed = tau;
            if cholesky.negative_curvature(spare) {
                let length = norm(spare);
                let value = -(failure.deficit / length) / length - tau;
                needed = -value;
                if curvature.is_none_or(|c| value < c) {
                    curvature = Some(value);
                    v.copy_from_slice(spare);
                    scale(1.0 / length, v);
                }
            }
            let next = if tau == 0.0 { (2.0 * needed).max(0.25 * self.last).max(floor) } else { (4.0 * tau).max(2.0 * needed) };
            // Gershgorin's bound always works but for rounding; never go beyond it before it was tried.
            tau = if tau < gershgorin { next.min(gershgorin) } else { next };
            match cholesky.factor(tau) {
                Ok(()) => {
                    self.last = tau;
                    return Ok((tau, curvature));
                }
                Err(e) => failure = e,
            }
        }
        Err(Error::Factorization { what: "shifted Cholesky", pivot: failure.pivot })
    }
}
