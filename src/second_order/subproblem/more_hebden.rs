//! The Levenberg–Marquardt step in a scaled ball, `min ‖J p + r‖, ‖D p‖ ≤ Δ`, by pivoted QR of `J`.
//!
//! The multiplier is found by safeguarded Newton steps on `1/‖D p(μ)‖ − 1/Δ`, each a few rotations.
//!
//! # Reference
//! Moré (1978), *The Levenberg–Marquardt algorithm: implementation and theory*, §3 and Algorithm 5.5; Hebden (1973).

use super::jacobian_scale::JacobianScale;
use super::{Model, Step, Subproblem, check_size, finished};
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
        finished(Step { predicted: 0.5 * image + damped, slope: -(image + damped), length: scaled, inner }, p)
    }

    fn factorizations(&self) -> u64 {
        1
    }

    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        self.scale.length(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::SymmetricOperator;
    use crate::linalg::operator::Gram;
    use crate::linalg::vector::{dot, norm};

    /// `JᵀJ` for residuals whose second derivative along every step is `bent`.
    struct Curved<'a> {
        gram: Gram<'a>,
        bent: &'a [f64],
    }

    impl SymmetricOperator for Curved<'_> {
        fn dim(&self) -> usize {
            self.gram.n
        }
        fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
            self.gram.apply(v, out)
        }
        fn form(&self) -> Form<'_> {
            Form::Gram(self.gram)
        }
        fn bend(&self, _: &[f64], out: &mut [f64]) -> Option<Result<()>> {
            out.copy_from_slice(self.bent);
            Some(Ok(()))
        }
    }

    #[test]
    fn acceleration_adds_half_of_the_damped_solution_for_the_bend() {
        // J = 2, r = 2: p₁ = −1; r″ = 0.4: a = −0.2, and p = p₁ + a/2.
        let curved = Curved { gram: Gram::new(1, &[2.0], &[2.0]).unwrap(), bent: &[0.4] };
        let model = Model { value: 2.0, x: &[0.0], gradient: &[4.0], curvature: &curved };
        let mut solver = MoreHebden::accelerated();
        solver.prepare(&model).unwrap();
        let mut p = [0.0];
        solver.step(&model, 10.0, &mut p).unwrap();
        assert!((p[0] + 1.1).abs() < 1e-15, "{p:?}");
        // In a ball of ‖D p‖ ≤ 1 with D = 2: (4 + 4μ) p₁ = −4 and (4 + 4μ) a = −0.8.
        solver.tolerance = 1e-14;
        solver.step(&model, 1.0, &mut p).unwrap();
        let mu = solver.multiplier();
        assert!((mu - 1.0).abs() < 1e-12 && (p[0] + (4.0 + 0.4) / (4.0 + 4.0 * mu)).abs() < 1e-14, "{mu} {p:?}");
        // One that is too long against the step is left out.
        let curved = Curved { bent: &[4.0], ..curved };
        let model = Model { curvature: &curved, ..model };
        solver.prepare(&model).unwrap();
        solver.step(&model, 10.0, &mut p).unwrap();
        assert!((p[0] + 1.0).abs() < 1e-15, "{p:?}");
    }

    #[test]
    fn predicted_reduction_and_slope_are_those_of_the_linear_model() {
        let columns = [1.0, 2.0, -1.0, 0.5, 0.3, 4.0, 1.0, -2.0];
        let r = [1.0, -3.0, 2.0, 0.7];
        let gram = Gram::new(2, &columns, &r).unwrap();
        let mut g = [0.0; 2];
        gram.gradient(&mut g);
        let model = Model { value: 0.0, x: &[0.0; 2], gradient: &g, curvature: &gram };
        let mut solver = MoreHebden::default();
        solver.prepare(&model).unwrap();
        for radius in [1e-3, 0.1, 1.0, 2.0, 100.0] {
            let mut p = [0.0; 2];
            let step = solver.step(&model, radius, &mut p).unwrap();
            let image: Vec<f64> = (0..4).map(|i| columns[i] * p[0] + columns[4 + i] * p[1]).collect();
            let reduction = -dot(&image, &r) - 0.5 * dot(&image, &image);
            assert!((step.predicted - reduction).abs() <= 1e-13 * reduction, "{radius}: {step:?} {reduction}");
            assert!((step.slope - dot(&image, &r)).abs() <= 1e-13 * reduction);
            let length = norm(&[norm(&columns[..4]) * p[0], norm(&columns[4..]) * p[1]]);
            assert!((step.length - length).abs() <= 1e-14 * length && length <= 1.1 * radius);
            assert!(solver.multiplier() > 0.0 || radius > 2.0);
        }
    }
}
