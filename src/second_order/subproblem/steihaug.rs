//! Steihaug–Toint: conjugate gradients in a ball, stopped at the boundary, at negative curvature or by a forcing test.
//!
//! `min gᵀp + ½ pᵀBp` over `‖p‖_M ≤ size`, `M⁻¹` the curvature's preconditioner (`M = I` without one). The path of CG
//! does not depend on the radius, so a smaller radius is answered from the path kept, without products, and a larger
//! one continues it.
//!
//! Steihaug, SIAM J. Numer. Anal. 20(3), 1983; Toint 1981.

use super::forcing::FirstGradient;
use super::{Forcing, Model, Step, Subproblem, check_size, finished};
use crate::error::{Error, Result};
use crate::linalg::krylov::{Cg, CgLimits};
use crate::linalg::vector::{dot_in_range, norm};
use crate::second_order::Ball;

/// Truncated conjugate gradients in a ball.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Steihaug {
    /// Relative residual at which CG stops inside the ball. Default `min(0.01, (‖g‖/‖g₀‖)^0.5)`.
    pub forcing: Forcing,
    /// Bound on CG steps; `None` is `2n + 20`.
    pub max_iterations: Option<u64>,
    /// Bytes kept for directions, so that a smaller radius costs no products. Default 32 MiB.
    pub memory: usize,
    first: FirstGradient,
    #[cfg_attr(feature = "serde", serde(skip))]
    cg: Cg,
    #[cfg_attr(feature = "serde", serde(skip))]
    tolerance: f64,
}

impl Default for Steihaug {
    fn default() -> Self {
        Self {
            forcing: Forcing { max: 0.01, exponent: 0.5 },
            max_iterations: None,
            memory: 32 << 20,
            first: FirstGradient::default(),
            cg: Cg::default(),
            tolerance: 0.0,
        }
    }
}

impl Steihaug {
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
        Error::check_option(self.max_iterations != Some(0), "max_iterations", "positive", 0)
    }
}

impl Subproblem for Steihaug {
    type Region = Ball;

    fn begin(&mut self) {
        self.first.forget();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        self.tolerance = self.first.tolerance(&self.forcing, norm(model.gradient));
        self.cg.start(model.gradient, model.curvature.preconditioner(), self.memory)
    }

    /// `length` is the norm of the ball, that of the preconditioner if there is one.
    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let max_iterations = self.max_iterations.unwrap_or(2 * model.gradient.len() as u64 + 20);
        let limits = CgLimits { tolerance: self.tolerance, radius: check_size(size)?, max_iterations };
        let before = self.cg.products();
        let point = self.cg.point_within(model.curvature, model.curvature.preconditioner(), model.gradient, &limits, p)?;
        let inner = self.cg.products().saturating_sub(before);
        let slope = dot_in_range(model.gradient, p).value();
        finished(Step { predicted: point.reduction, slope, length: point.norm, inner }, p)
    }
}
