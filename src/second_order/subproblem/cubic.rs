//! Cubic subproblem `min gᵀp + ½pᵀBp + (σ/3)‖p‖³`, solved to rounding, hard case included.
//!
//! `p` is a global minimizer if and only if `(B + λI)p = −g`, `B + λI ⪰ 0` and `λ = σ‖p‖`. The size of the region is
//! `1/σ`.
//!
//! # Reference
//! Nesterov & Polyak (2006), Math. Program. 108; Cartis, Gould & Toint (2011), Math. Program. 127, §6.1.

use super::more_sorensen::{EIGEN_LIMIT, decomposes};
use super::shifted::{Shifted, Wanted};
use super::spectral::Spectral;
use super::{Model, Step, Subproblem, check_size, finished};
use crate::error::{Error, Result};
use crate::second_order::Cubic;

/// The near-exact step of the cubic model.
///
/// Up to dimension [`eigen_limit`](Self::eigen_limit) (and for a diagonal `B`) through one eigendecomposition per model
/// and a scalar equation per size, beyond through factorizations of `B + λI`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CubicExact {
    /// Relative tolerance of the factorized path on `λ = σ‖p‖` and on the residual of the hard case. Default 1e-12.
    pub tolerance: f64,
    /// Largest dimension solved through an eigendecomposition. Default 16.
    pub eigen_limit: usize,
    multiplier: f64,
    #[cfg_attr(feature = "serde", serde(skip))]
    by_eigenvalues: bool,
    #[cfg_attr(feature = "serde", serde(skip))]
    spectral: Spectral,
    #[cfg_attr(feature = "serde", serde(skip))]
    shifted: Shifted,
}

impl Default for CubicExact {
    fn default() -> Self {
        Self {
            tolerance: 1e-12,
            eigen_limit: EIGEN_LIMIT,
            multiplier: 0.0,
            by_eigenvalues: false,
            spectral: Spectral::default(),
            shifted: Shifted::default(),
        }
    }
}

impl CubicExact {
    /// The multiplier `λ = σ‖p‖` of the last step.
    pub fn multiplier(&self) -> f64 {
        self.multiplier
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.tolerance > 0.0 && self.tolerance < 1.0, "tolerance", "in (0, 1)", self.tolerance)
    }
}

impl Subproblem for CubicExact {
    type Region = Cubic;

    fn begin(&mut self) {
        self.multiplier = 0.0;
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        self.by_eigenvalues = decomposes(model.curvature, self.eigen_limit);
        if self.by_eigenvalues { self.spectral.prepare(model) } else { self.shifted.prepare(model) }
    }

    fn step(&mut self, _: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let sigma = check_size(1.0 / check_size(size)?)?;
        let solution = if self.by_eigenvalues {
            self.spectral.cubic(sigma, p)?
        } else {
            self.shifted.solve(Wanted::Cubic { sigma }, self.tolerance, self.multiplier, p)?
        };
        self.multiplier = solution.multiplier;
        finished(solution.step, p)
    }

    fn factorizations(&self) -> u64 {
        if self.by_eigenvalues { self.spectral.factorizations() } else { self.shifted.factorizations() }
    }
}
