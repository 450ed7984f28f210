//! Trust-region subproblem `min gᵀp + ½pᵀBp, ‖p‖ ≤ Δ`, solved to rounding, hard case included.
//!
//! `p` solves it exactly if and only if `(B + λI)p = −g`, `B + λI ⪰ 0`, `λ ≥ 0` and `λ(Δ − ‖p‖) = 0`.
//!
//! # Reference
//! Moré & Sorensen (1983), SIAM J. Sci. Stat. Comput. 4(3); Conn, Gould & Toint (2000), Trust-Region Methods, §7.3.

use super::shifted::{Shifted, Wanted};
use super::spectral::Spectral;
use super::{Model, Step, Subproblem, check_size};
use crate::error::{Error, Result};
use crate::linalg::operator::{Form, SymmetricOperator};
use crate::second_order::Ball;

/// Largest dimension of the eigenvalue path by default (measured: beyond it a few factorizations are faster).
pub(super) const EIGEN_LIMIT: usize = 16;

/// The near-exact trust-region step.
///
/// A positive definite `B` whose Newton step fits is done after one Cholesky factorization. Otherwise a matrix of
/// dimension up to [`eigen_limit`](Self::eigen_limit) (or a diagonal one) is decomposed once, and each size costs the
/// root of a scalar equation; a larger one is factored as `B + λI` for a few `λ` per size.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MoreSorensen {
    /// Relative tolerance of the factorized path on `‖p‖ = Δ` and on the residual of the hard case. Default 1e-12.
    pub tolerance: f64,
    /// If given, a boundary step of the factorized path with `|‖p‖ − Δ| ≤ relaxed Δ` is accepted as it is. Default none.
    pub relaxed: Option<f64>,
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

impl Default for MoreSorensen {
    fn default() -> Self {
        Self {
            tolerance: 1e-12,
            relaxed: None,
            eigen_limit: EIGEN_LIMIT,
            multiplier: 0.0,
            by_eigenvalues: false,
            spectral: Spectral::default(),
            shifted: Shifted::default(),
        }
    }
}

impl MoreSorensen {
    /// The multiplier `λ` of the last step; zero for an interior one.
    pub fn multiplier(&self) -> f64 {
        self.multiplier
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.tolerance > 0.0 && self.tolerance < 1.0, "tolerance", "in (0, 1)", self.tolerance)?;
        let relaxed = self.relaxed.unwrap_or(0.0);
        Error::check_option((0.0..1.0).contains(&relaxed), "relaxed", "in [0, 1)", relaxed)
    }
}

impl Subproblem for MoreSorensen {
    type Region = Ball;

    fn begin(&mut self) {
        self.multiplier = 0.0;
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        self.by_eigenvalues = decomposes(model.curvature, self.eigen_limit);
        if self.by_eigenvalues {
            self.spectral.prepare(model)?;
            self.spectral.try_newton();
            return Ok(());
        }
        self.shifted.prepare(model)
    }

    fn step(&mut self, _: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let radius = check_size(size)?;
        let solution = if self.by_eigenvalues {
            self.spectral.ball(radius, p)?
        } else {
            let tolerance = self.tolerance;
            self.shifted.solve(Wanted::Ball { radius, relaxed: self.relaxed.unwrap_or(0.0) }, tolerance, self.multiplier, p)?
        };
        self.multiplier = solution.multiplier;
        Ok(solution.step)
    }

    fn factorizations(&self) -> u64 {
        if self.by_eigenvalues { self.spectral.factorizations() } else { self.shifted.factorizations() }
    }
}

/// Whether the eigenvalue path is taken.
pub(super) fn decomposes(operator: &dyn SymmetricOperator, limit: usize) -> bool {
    operator.dim() <= limit || matches!(operator.form(), Form::Diagonal(_) | Form::ScaledIdentity(_))
}
