//! The Levenberg–Marquardt step in a scaled ball, `min ‖J p + r‖, ‖D p‖ ≤ Δ`, by pivoted QR of `J`.
//!
//! The multiplier is found by safeguarded Newton steps on `1/‖D p(μ)‖ − 1/Δ`, each a few rotations.
//!
//! # Reference
//! Moré (1978), *The Levenberg–Marquardt algorithm: implementation and theory*, §3 and Algorithm 5.5; Hebden (1973).

use super::jacobian_scale::JacobianScale;
use super::{Model, Step, Subproblem, check_size};
use crate::error::{Error, Result};
use crate::linalg::Form;
use crate::linalg::factor::PivotedQr;
use crate::linalg::vector::{all_finite, axpy};
use crate::second_order::Ball;

/// The least-squares step in the ball `‖D p‖ ≤ Δ`, with `D` the largest lengths so far of the columns of `J`.
///
/// It needs a Gauss–Newton matrix ([`Form::Gram`]).
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MoreHebden {
    /// Relative tolerance on `‖D p‖ = Δ`; an undamped step that is longer than `Δ` by no more than that is taken as it is.
    /// Default 0.1 (Moré).
    pub tolerance: f64,
    /// Bend the step along the second derivative of the residuals (geodesic acceleration): one evaluation of the residuals
    /// a trial, which pays in curved valleys. Default false.
    pub accelerate: bool,
    multiplier: f64,
    /// The radius the multiplier belongs to.
    radius: f64,
    scale: JacobianScale,
    #[cfg_attr(feature = "serde", serde(skip))]
    qr: PivotedQr,
    #[cfg_attr(feature = "serde", serde(skip))]
    newton: NewtonStep,
    #[cfg_attr(feature = "serde", serde(skip))]
    bent: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    acceleration: Vec<f64>,
}

/// Longest acceleration, against the step, that is trusted: `2 ‖D a‖ ≤ 0.75 ‖D p‖` (Transtrum & Sethna 2012).
const TRUSTED: f64 = 0.75;

/// Solves for the multiplier of one step; Moré needed two or three.
const MAX_SOLVES: u64 = 20;

/// The undamped step: its scaled length, and whether the rank is full; what a search needs beside, once it was asked for.
#[derive(Debug, Clone, Copy, Default)]
struct NewtonStep {
    length: f64,
    full_rank: bool,
    bounds: Option<Bounds>,
}

/// The rate of [`PivotedQr::rate`] at the undamped step of full rank, and the length of the scaled gradient.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    rate: Option<f64>,
    gradient: f64,
}

impl Default for MoreHebden {
    fn default() -> Self {
        Self {
            tolerance: 0.1,
            accelerate: false,
            multiplier: 0.0,
            radius: 0.0,
            scale: JacobianScale::default(),
            qr: PivotedQr::default(),
            newton: NewtonStep::default(),
            bent: Vec::new(),
            acceleration: Vec::new(),
        }
    }
}

impl MoreHebden {
    /// With geodesic acceleration.
    pub fn accelerated() -> Self {
        Self { accelerate: true, ..Self::default() }
    }

    /// The multiplier `μ` of the last step; zero for an interior one.
    pub fn multiplier(&self) -> f64 {
        self.multiplier
    }

    /// Adds half the acceleration `a`, the damped solution for the residuals' second derivative along the step.
    fn bend(&mut self, model: &Model<'_>, mu: f64, scaled: f64, p: &mut [f64]) -> Result<()> {
        let Form::Gram(gram) = model.curvature.form() else { return Ok(()) };
        self.bent.resize(gram.residual.len(), 0.0);
        // Residuals that fail or overflow there say nothing of the step itself.
        let Some(Ok(())) = model.curvature.bend(p, &mut self.bent) else { return Ok(()) };
        if !all_finite(&self.bent) {
            return Ok(());
        }
        self.qr.set_residual(&self.bent);
        let length = if mu > 0.0 { self.qr.solve_damped(mu) } else { self.qr.solve_undamped().0 };
        if 2.0 * length <= TRUSTED * scaled {
            self.acceleration.resize(p.len(), 0.0);
            self.qr.step(&mut self.acceleration);
            axpy(0.5, &self.acceleration, p);
        }
        self.qr.set_residual(gram.residual);
        Ok(())
    }

    /// Newton's iteration for the multiplier, from the last one; returns it, its number of solves and `‖D p‖` of the last,
    /// whose solution is left in the factorization.
    fn search(&mut self, radius: f64) -> (f64, u64, f64) {
        let NewtonStep { length, full_rank, bounds } = self.newton;
        let Bounds { rate, gradient } = bounds.unwrap_or_else(|| {
            // The first search at this point; the undamped step is mostly still there.
            self.qr.solve_undamped();
            let rate = full_rank.then(|| self.qr.rate()).filter(|rate| rate.is_finite());
            Bounds { rate, gradient: self.qr.gradient_norm() }
        });
        self.newton.bounds = Some(Bounds { rate, gradient });
        let mut lower = rate.map_or(0.0, |rate| (length - radius) / (radius * rate));
        let mut upper = gradient / radius;
        if upper == 0.0 {
            upper = f64::MIN_POSITIVE / radius.min(0.1);
        }
        let mut mu = self.multiplier.max(lower).min(upper.max(lower));
        if mu == 0.0 {
            mu = gradient / length;
        }
        let mut before = f64::INFINITY;
        let mut solves = 0;
        loop {
            solves += 1;
            mu = mu.max(0.001 * upper).min(upper).max(lower).max(f64::MIN_POSITIVE);
            let scaled = self.qr.solve_damped(mu);
            let excess = scaled - radius;
            let met = excess.abs() <= self.tolerance * radius;
            let flat = lower == 0.0 && excess <= before && before < 0.0;
            if met || flat || solves == MAX_SOLVES {
                return (mu, solves, scaled);
            }
            before = excess;
            let next = mu + excess / (radius * self.qr.rate());
            if excess > 0.0 {
                lower = lower.max(mu)
            } else {
                upper = upper.min(mu)
            }
            mu = if next.is_finite() { next.max(lower) } else { (lower * upper).sqrt() };
        }
    }
}

impl Subproblem for MoreHebden {
    type Region = Ball;

    fn begin(&mut self) {
        self.scale.forget();
        (self.multiplier, self.radius) = (0.0, 0.0);
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let Form::Gram(gram) = model.curvature.form() else {
            return Err(Error::Unsupported {
                what: "a Moré–Hebden step",
                requirement: "the Gauss–Newton matrix of a sum of squares",
            });
        };
        self.qr.factor(gram, self.scale.update(gram))?;
        // A nearly dependent column makes this step long, not short: the ball decides how much of it is taken.
        let (length, all) = self.qr.solve_undamped();
        self.newton = NewtonStep { length, full_rank: all && length.is_finite(), bounds: None };
        Ok(())
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let radius = check_size(size)?;
        if self.radius > 0.0 {
            // The multiplier falls as the ball grows, about in proportion.
            self.multiplier *= self.radius / radius;
        }
        self.radius = radius;
        Error::check_len("step", model.gradient.len(), p.len())?;
        let (mu, inner, scaled) = if self.newton.length <= (1.0 + self.tolerance) * radius {
            (0.0, 0, self.qr.solve_undamped().0)
        } else {
            self.search(radius)
        };
        self.multiplier = mu;
        self.qr.step(p);
        let (image, damped) = (self.qr.image(), mu * scaled * scaled);
        if self.accelerate {
            self.bend(model, mu, scaled, p)?;
        }
        Ok(Step { predicted: 0.5 * image + damped, slope: -(image + damped), length: scaled, inner })
    }

    fn factorizations(&self) -> u64 {
        1
    }

    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        self.scale.length(x)
    }
}
