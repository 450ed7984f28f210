//! The line-search Newton-CG direction: conjugate gradients truncated by a forcing test or at negative curvature.
//!
//! At negative curvature the iterate reached so far is the direction; if that happens at the first step, it is the
//! preconditioned steepest descent direction, scaled by the size of the curvature found along it. Always `gᵀd < 0`
//! unless `g = 0`.
//!
//! Dembo & Steihaug, Math. Program. 26, 1983; Nocedal & Wright 2006, Algorithm 7.1.

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::{Forcing, Model, Step, Subproblem};
use crate::error::{Error, Result};
use crate::linalg::krylov::{Cg, CgEnd, CgLimits};
use crate::linalg::vector::{dot, norm};
use crate::second_order::Line;

/// Truncated conjugate gradients for a line search: `p = size · d`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TruncatedCg {
    /// Relative residual at which CG stops. Default `min(½, ‖g‖^0.5)`.
    pub forcing: Forcing,
    /// Bound on CG steps; `None` is `2n + 20`.
    pub max_iterations: Option<u64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    cg: Cg,
    #[cfg_attr(feature = "serde", serde(skip))]
    direction: Vec<f64>,
    /// `gᵀd`, `dᵀBd`, `‖d‖`.
    #[cfg_attr(feature = "serde", serde(skip))]
    slope: f64,
    #[cfg_attr(feature = "serde", serde(skip))]
    curvature: f64,
    #[cfg_attr(feature = "serde", serde(skip))]
    length: f64,
    /// Products of `prepare`, reported with the first step.
    #[cfg_attr(feature = "serde", serde(skip))]
    spent: u64,
}

impl Default for TruncatedCg {
    fn default() -> Self {
        Self {
            forcing: Forcing { max: 0.5, exponent: 0.5 },
            max_iterations: None,
            cg: Cg::default(),
            direction: Vec::new(),
            slope: 0.0,
            curvature: 0.0,
            length: 0.0,
            spent: 0,
        }
    }
}

impl TruncatedCg {
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

    /// `dᵀBd` of the direction: negative where the direction is one of negative curvature.
    pub fn curvature(&self) -> f64 {
        self.curvature
    }

    /// `d ← factor · p₀`, the first CG direction, which satisfies `gᵀp₀ < 0` for any positive definite preconditioner.
    fn take_first(&mut self, model: &Model<'_>) {
        let curvature = self.cg.curvature().unwrap_or(0.0);
        let unit = self.cg.unit();
        self.direction.copy_from_slice(self.cg.direction());
        let length = norm(&self.direction);
        let rz = self.cg.residual_norm() * self.cg.residual_norm();
        // Where the curvature is but slightly negative its size says nothing about the length.
        let longest = 10.0 * norm(model.x).max(1.0) / (unit * length);
        let factor = (rz / curvature.abs()).min(longest);
        self.direction.iter_mut().for_each(|d| *d *= factor * unit);
        self.curvature = curvature * factor * factor * unit * unit;
    }
}

impl Subproblem for TruncatedCg {
    type Region = Line;

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let n = model.gradient.len();
        self.direction.resize(n, 0.0);
        let preconditioner = model.curvature.preconditioner();
        // Only the iterate is wanted, never its path: two directions are enough.
        self.cg.start(model.gradient, preconditioner, 0)?;
        let limits = CgLimits {
            tolerance: self.forcing.tolerance(norm(model.gradient)),
            radius: f64::INFINITY,
            max_iterations: self.max_iterations.unwrap_or(2 * n as u64 + 20),
        };
        let end = self.cg.advance(model.curvature, preconditioner, &limits)?;
        if end == CgEnd::NegativeCurvature && self.cg.iterations() == 0 {
            self.take_first(model);
        } else {
            let unit = self.cg.unit();
            self.direction.iter_mut().zip(self.cg.x()).for_each(|(d, x)| *d = unit * x);
            self.curvature = 2.0 * self.cg.reduction() * unit * unit;
        }
        self.slope = dot(model.gradient, &self.direction);
        self.length = norm(&self.direction);
        self.spent = self.cg.products();
        if !(self.slope <= 0.0) || !self.length.is_finite() {
            // Lost to rounding (a nearly singular matrix): steepest descent, whose curvature is left out of the model.
            self.direction.iter_mut().zip(model.gradient).for_each(|(d, g)| *d = -g);
            self.slope = -dot(model.gradient, model.gradient);
            self.length = norm(model.gradient);
            self.curvature = 0.0;
        }
        Ok(())
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        Error::check_len("step", model.gradient.len(), p.len())?;
        p.iter_mut().zip(&self.direction).for_each(|(p, d)| *p = size * d);
        Ok(Step {
            predicted: -size * (self.slope + 0.5 * size * self.curvature),
            slope: self.slope,
            length: size * self.length,
            inner: std::mem::take(&mut self.spent),
        })
    }
}
