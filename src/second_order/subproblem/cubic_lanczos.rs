//! The cubic subproblem over a Krylov space: `min gᵀp + ½ pᵀBp + (σ/3)‖p‖³` with `σ = 1/size`.
//!
//! Restricted to the Lanczos basis of `(B, g)` it is the same problem for a tridiagonal matrix, solved there exactly;
//! the hard case is found by a restart with a random vector. A preconditioner of the curvature is not used.
//!
//! Cartis, Gould & Toint, Math. Program. 127, 2011, §6.2 (GLRT).

use super::forcing::FirstGradient;
use super::lanczos_model::{LanczosModel, Test};
use super::tridiagonal_model::Hold;
use super::{Forcing, Model, Step, Subproblem, check_size, finished};
use crate::error::{Error, Result};
use crate::linalg::vector::norm;
use crate::second_order::Cubic;

/// Cubic subproblem by Lanczos.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CubicLanczos {
    /// `‖(B+λI)p + g‖ ≤ tolerance · (‖B‖‖p‖ + ‖g‖)`; `None` (default) uses [`forcing`](Self::forcing).
    pub tolerance: Option<f64>,
    /// `‖(B+λI)p + g‖ ≤ η ‖g‖` with this `η`. Default `min(0.1, (‖g‖/‖g₀‖)^0.5)`.
    pub forcing: Forcing,
    /// Products spent, once the residual test is met, to see eigenvectors that `g` nearly misses. Default 0: only an
    /// invariant subspace makes it look further.
    pub certify: u64,
    /// Bound on products per point; `None` is `n`.
    pub max_iterations: Option<u64>,
    /// Bytes of basis vectors kept; at the bound the best step over the basis is returned. Default 256 MiB.
    pub memory: usize,
    first: FirstGradient,
    #[cfg_attr(feature = "serde", serde(skip))]
    rough: f64,
    #[cfg_attr(feature = "serde", serde(skip))]
    inner: LanczosModel,
}

impl Default for CubicLanczos {
    fn default() -> Self {
        Self {
            tolerance: None,
            forcing: Forcing { max: 0.1, exponent: 0.5 },
            certify: 0,
            max_iterations: None,
            memory: 256 << 20,
            first: FirstGradient::default(),
            rough: 0.0,
            inner: LanczosModel::default(),
        }
    }
}

impl CubicLanczos {
    /// Solves to the last digits: `tolerance` 1e-12, 100 products beyond to see what `g` nearly misses.
    pub fn exact() -> Self {
        Self { tolerance: Some(1e-12), certify: 100, ..Self::default() }
    }

    /// With another forcing term.
    pub fn with_forcing(max: f64, exponent: f64) -> Self {
        Self { forcing: Forcing { max, exponent }, ..Self::default() }
    }

    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        self.forcing.validate()?;
        let tolerance = self.tolerance.unwrap_or(1e-12);
        Error::check_option(tolerance > 0.0 && tolerance < 1.0, "tolerance", "between 0 and 1", tolerance)?;
        Error::check_option(self.max_iterations != Some(0), "max_iterations", "positive", 0)
    }

    /// `λ = σ‖p‖` of the last step.
    pub fn multiplier(&self) -> f64 {
        self.inner.solution.multiplier
    }
}

impl Subproblem for CubicLanczos {
    type Region = Cubic;

    fn begin(&mut self) {
        self.first.forget();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        self.rough = self.first.tolerance(&self.forcing, norm(model.gradient));
        self.inner.prepare(model, self.max_iterations, self.memory)
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let test = match self.tolerance {
            Some(eta) => Test::Backward(eta),
            None => Test::Gradient(self.rough),
        };
        let weight = check_size(1.0 / check_size(size)?)?;
        let step = self.inner.step(model, Hold::Weight(weight), test, self.certify, p)?;
        finished(step, p)
    }
}
