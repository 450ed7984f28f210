//! The line-search Newton-CG direction: conjugate gradients truncated by a forcing test or at negative curvature.
//!
//! At negative curvature the iterate reached so far is the direction; if that happens at the first step, it is the
//! preconditioned steepest descent direction, scaled by the size of the curvature found along it. Always `gᵀd < 0`
//! unless `g = 0`.
//!
//! Dembo & Steihaug, Math. Program. 26, 1983; Nocedal & Wright 2006, Algorithm 7.1.

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::forcing::FirstGradient;
use super::{Along, Forcing, Model, Step, Subproblem, finished};
use crate::error::{Error, Result};
use crate::linalg::krylov::{Cg, CgEnd, CgLimits};
use crate::linalg::power::times_power;
use crate::linalg::vector::{Ranged, dot_in_range, norm};
use crate::second_order::Line;

/// Truncated conjugate gradients for a line search: `p = size · d`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TruncatedCg {
    /// Relative residual at which CG stops. Default `min(½, (‖g‖/‖g₀‖)^0.5)`.
    pub forcing: Forcing,
    /// Bound on CG steps; `None` is `2n + 20`.
    pub max_iterations: Option<u64>,
    first: FirstGradient,
    #[cfg_attr(feature = "serde", serde(skip))]
    cg: Cg,
    #[cfg_attr(feature = "serde", serde(skip))]
    direction: Vec<f64>,
    /// What the model says along `d`, and `‖d‖`.
    #[cfg_attr(feature = "serde", serde(skip))]
    along: Along,
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
            first: FirstGradient::default(),
            cg: Cg::default(),
            direction: Vec::new(),
            along: Along::default(),
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
        times_power(self.along.curvature, self.along.exponent)
    }

    /// `d ← factor · p₀`, the first CG direction, which satisfies `gᵀp₀ < 0` for any positive definite preconditioner.
    /// Returns `dᵀBd` in the units of CG.
    fn take_first(&mut self, model: &Model<'_>) -> f64 {
        let curvature = self.cg.curvature().unwrap_or(0.0);
        let rz = self.cg.residual_norm() * self.cg.residual_norm();
        let length = norm(self.cg.direction());
        // Where the curvature is but slightly negative its size says nothing about the length: that of x does, or what B
        // makes of the direction.
        let image = self.cg.image() * length;
        let known = (self.cg.inner_length(norm(model.x)) / length).max(if image > 0.0 { rz / (image * length) } else { 0.0 });
        let longest = if known > 0.0 { 10.0 * known } else { 1.0 };
        let factor = (rz / curvature.abs()).min(longest);
        self.direction.iter_mut().zip(self.cg.direction()).for_each(|(d, p)| *d = factor * p);
        self.cg.write(&mut self.direction);
        curvature * factor * factor
    }
}

impl Subproblem for TruncatedCg {
    type Region = Line;

    fn begin(&mut self) {
        self.first.forget();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let (g, n) = (model.gradient, model.gradient.len());
        self.direction.resize(n, 0.0);
        let preconditioner = model.curvature.preconditioner();
        // Only the iterate is wanted, never its path: two directions are enough.
        self.cg.start(g, preconditioner, 0)?;
        let limits = CgLimits {
            tolerance: self.first.tolerance(&self.forcing, norm(g)),
            radius: f64::INFINITY,
            max_iterations: self.max_iterations.unwrap_or(2 * n as u64 + 20),
        };
        let end = self.cg.advance(model.curvature, preconditioner, &limits)?;
        let curvature = if end == CgEnd::NegativeCurvature && self.cg.iterations() == 0 {
            self.take_first(model)
        } else {
            self.cg.solution(&mut self.direction)?;
            2.0 * self.cg.reduction()
        };
        let curvature = Ranged { significand: curvature, exponent: self.cg.reduction_exponent() };
        self.along = Along::new(dot_in_range(g, &self.direction), curvature);
        self.length = norm(&self.direction);
        self.spent = self.cg.products();
        if !(self.along.slope <= 0.0) || !self.length.is_finite() {
            // Lost to rounding (a nearly singular matrix): steepest descent, whose curvature is left out of the model.
            self.direction.iter_mut().zip(g).for_each(|(d, g)| *d = -g);
            self.along = Along::new(dot_in_range(g, g).negated(), Ranged::default());
            self.length = norm(g);
        }
        Ok(())
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        Error::check_len("step", model.gradient.len(), p.len())?;
        p.iter_mut().zip(&self.direction).for_each(|(p, d)| *p = size * d);
        let inner = std::mem::take(&mut self.spent);
        let step = Step { predicted: self.along.predicted(size), slope: self.along.slope(), length: size * self.length, inner };
        finished(step, p)
    }
}
