//! Ball- and cubic-constrained models by a few factorizations of `B + λI`.
//!
//! Looks for `λ` with `‖s(λ)‖ = R(λ)`, `s(λ) = −(B + λI)⁻¹g`, where `R = Δ` for the ball and `λ/σ` for the cubic. The
//! tangent of the concave function `1/‖s(λ)‖` lies above it, so where it meets `1/R` is a lower bound of the root from
//! every `λ > −λ₁`, and from the left the bounds rise quadratically to the root. Every factored point of the present
//! model is kept: a new size starts from the best of their bounds. Inverse iteration with the factor at hand gives the
//! leftmost eigenvector `z`; in the hard case `s + τz` ends the search as soon as its residual `|τ| ‖(B + λI)z‖` is small.
//!
//! # Reference
//! Moré & Sorensen (1983); Conn, Gould & Toint (2000), Algorithm 7.3.4; Dollar, Gould & Robinson (2010); Cartis, Gould
//! & Toint (2011), §6.1.

use super::spectral::Solution;
use super::{Model, Step};
use crate::error::{Error, Result};
use crate::linalg::factor::{MatrixNorms, ShiftedCholesky};
use crate::linalg::power::{exponent, times_power};
use crate::linalg::vector::{Ranged, axpy, dot, dot_in_range, norm, norm_inf};

/// Factorizations allowed for one size.
const MAX_FACTORIZATIONS: u64 = 100;
/// Largest binary exponent of a step in units of the gradient.
const STEP_RANGE: i32 = 900;
/// Factored points remembered.
const MEMORY: usize = 24;

/// The region and its size.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// `‖p‖ ≤ radius`; a boundary step may miss it by `relaxed · radius`.
    Ball { radius: f64, relaxed: f64 },
    /// `(σ/3)‖p‖³` is added.
    Cubic { sigma: f64 },
}

impl Wanted {
    /// `R(λ)`.
    fn length(self, lambda: f64) -> f64 {
        match self {
            Wanted::Ball { radius, .. } => radius,
            Wanted::Cubic { sigma } => lambda / sigma,
        }
    }

    /// In the scale where the gradient is divided by `2ᵉ`.
    fn scaled(self, e: i32) -> Self {
        match self {
            Wanted::Ball { radius, relaxed } => Wanted::Ball { radius: times_power(radius, -e), relaxed },
            Wanted::Cubic { sigma } => Wanted::Cubic { sigma: times_power(sigma, e) },
        }
    }
}

/// A factored point: `λ`, `‖s‖` and `ŝᵀ(B + λI)⁻¹ŝ` with `ŝ = s/‖s‖`.
#[derive(Debug, Clone, Copy)]
struct Point {
    lambda: f64,
    length: f64,
    rate: f64,
}

impl Point {
    /// Where the tangent of `1/‖s‖` meets `1/R`: a lower bound of the root.
    fn bound(&self, wanted: Wanted) -> f64 {
        match wanted {
            Wanted::Ball { radius, .. } => self.lambda + (self.length - radius) / radius / self.rate,
            Wanted::Cubic { sigma } => {
                // (1 + rate (λ − λₖ)) λ = σ ‖sₖ‖.
                let (a, b, c) = (self.rate, 1.0 - self.rate * self.lambda, sigma * self.length);
                positive_root(a, b, c)
            }
        }
    }
}

/// Bracket of the root.
#[derive(Debug, Clone, Copy)]
struct Bracket {
    low: f64,
    high: f64,
}

/// Model, factorization and what the factorizations have told about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Shifted {
    cholesky: ShiftedCholesky,
    norms: Option<MatrixNorms>,
    raw: Vec<f64>,
    /// `2⁻ᵉ g`, in whose scale everything here happens.
    gradient: Vec<f64>,
    gradient_norm: f64,
    exponent: i32,
    points: Vec<Point>,
    /// `−λ₁` is at least this.
    leftmost: f64,
    /// Shift of the factor at hand.
    factored: Option<f64>,
    s: Vec<f64>,
    z: Vec<f64>,
    work: Vec<f64>,
    half: Vec<f64>,
    /// `‖(B + λI)z‖` and `zᵀ(B + λI)z`.
    residual: f64,
    curvature: f64,
    factorizations: u64,
}

impl Shifted {
    /// Copies the matrix and the gradient.
    pub fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let n = model.gradient.len();
        Error::check_len("curvature", n, model.curvature.dim())?;
        Error::check_finite("gradient", model.gradient)?;
        self.cholesky.load(model.curvature)?;
        self.raw.clear();
        self.raw.extend_from_slice(model.gradient);
        self.rescale(exponent(norm_inf(model.gradient)));
        for v in [&mut self.s, &mut self.z, &mut self.work] {
            v.clear();
            v.resize(n, 0.0);
        }
        self.points.clear();
        self.points.reserve(MEMORY);
        (self.norms, self.factored, self.leftmost, self.factorizations) = (None, None, f64::NEG_INFINITY, 0);
        Ok(())
    }

    /// Takes `2ᵉ` as the unit of the gradient and of the step.
    fn rescale(&mut self, e: i32) {
        self.exponent = e;
        self.gradient.clear();
        self.gradient.extend(self.raw.iter().map(|g| times_power(*g, -e)));
        self.gradient_norm = norm(&self.gradient);
        self.points.clear();
        self.factored = None;
    }

    /// The unit: that of the gradient, or one where a step of the wanted length would overflow in it.
    fn unit(&mut self, wanted: Wanted) -> i32 {
        let e = exponent(norm_inf(&self.raw));
        let reach = match wanted {
            Wanted::Ball { radius, .. } => exponent(radius),
            Wanted::Cubic { sigma } => {
                let size = exponent(self.norms().max_abs) - exponent(sigma);
                size.max((e - exponent(sigma)) / 2) + 2
            }
        };
        if reach - e > STEP_RANGE { 0 } else { e }
    }

    fn norms(&mut self) -> MatrixNorms {
        *self.norms.get_or_insert_with(|| self.cholesky.norms())
    }

    /// Matrix factorizations since `prepare`.
    pub fn factorizations(&self) -> u64 {
        self.factorizations
    }

    /// The step for one size; `hint` is the multiplier of an earlier, similar problem.
    pub fn solve(&mut self, wanted: Wanted, tolerance: f64, hint: f64, p: &mut [f64]) -> Result<Solution> {
        Error::check_len("step", self.gradient.len(), p.len())?;
        let before = self.factorizations;
        let unit = self.unit(wanted);
        if unit != self.exponent {
            self.rescale(unit);
        }
        let scaled = wanted.scaled(self.exponent);
        let (lambda, onto) = self.search(scaled, tolerance, hint);
        let inner = self.factorizations - before;
        Ok(self.finish(wanted, lambda, onto, inner, p))
    }

    /// Leaves the step in `s` (scaled by `2⁻ᵉ`); returns its multiplier and whether it is to be put onto the sphere.
    fn search(&mut self, wanted: Wanted, tolerance: f64, hint: f64) -> (f64, bool) {
        let (ball, relaxed) = match wanted {
            Wanted::Ball { relaxed, .. } => (true, relaxed),
            Wanted::Cubic { .. } => (false, 0.0),
        };
        if ball && hint == 0.0 && self.points.is_empty() && self.factor(0.0) && self.inside(wanted) {
            return (0.0, false);
        }
        let norms = self.norms();
        let size = norms.frobenius.min(norms.infinity);
        if norms.max_abs == 0.0 {
            return (self.descend(wanted), true);
        }
        // A shift of this size is rounding: as good as none.
        let negligible = 8.0 * f64::EPSILON * size;
        let mut bracket = self.bracket(wanted, &norms, size);
        let mut lambda = self.first(wanted, &bracket, hint);
        let mut widen = 4.0 * f64::EPSILON * size;
        let limit = self.factorizations + MAX_FACTORIZATIONS;
        while self.factorizations < limit {
            if !self.at(lambda) {
                bracket.low = bracket.low.max(self.leftmost).max(lambda);
                if bracket.high <= bracket.low * (1.0 + 4.0 * f64::EPSILON) {
                    bracket.high = bracket.low.max(bracket.low * (1.0 + 8.0 * f64::EPSILON)) + widen;
                    widen *= 4.0;
                    lambda = bracket.high;
                } else {
                    lambda = between(&bracket);
                }
                continue;
            }
            let Some(point) = self.points.last().copied() else { break };
            let goal = wanted.length(lambda);
            let miss = point.length - goal;
            if ball && lambda <= negligible && miss <= 0.0 {
                return (0.0, false);
            }
            if let Wanted::Cubic { sigma } = wanted {
                // The multiplier that s asks for differs from λ by rounding of B (or underflows).
                let implied = sigma * point.length;
                if (implied - lambda).abs() <= f64::EPSILON * norms.max_abs {
                    return (implied, false);
                }
            }
            if miss.abs() <= relaxed.max(0.1 * tolerance).max(4.0 * f64::EPSILON) * goal {
                return (lambda, relaxed == 0.0);
            }
            let next = point.bound(wanted).max(0.0);
            if miss > 0.0 {
                bracket.low = bracket.low.max(lambda);
                let tight = next - lambda <= 1e-8 * size || bracket.high - lambda <= 1e-8 * size;
                if tight && next - lambda <= 1e-8 * lambda {
                    self.inverse_iteration();
                    if self.complete(goal, 0.1 * tolerance, norms.max_abs) {
                        return (lambda, relaxed == 0.0);
                    }
                }
                lambda = self.inner(next, &bracket, size, lambda);
                continue;
            }
            bracket.high = bracket.high.min(lambda);
            self.inverse_iteration();
            if self.complete(goal, 0.1 * tolerance, norms.max_abs) {
                return (lambda, relaxed == 0.0);
            }
            // The Rayleigh quotient of z bounds λ₁ from above; once z has converged it is λ₁ to rounding.
            self.leftmost = self.leftmost.max(lambda - self.curvature);
            bracket.low = bracket.low.max(self.leftmost);
            let spread = (self.residual * self.residual - self.curvature * self.curvature).max(0.0).sqrt();
            let least = self.leftmost + spread.max(2.0 * f64::EPSILON * size);
            lambda = if next >= least && next < lambda {
                next
            } else if bracket.low == 0.0 && next <= 0.0 && self.leftmost < 0.0 && ball {
                0.0
            } else if least > bracket.low && least < lambda {
                least
            } else {
                between(&bracket)
            };
        }
        (lambda, true)
    }

    /// `B = 0`: steepest descent.
    fn descend(&mut self, wanted: Wanted) -> f64 {
        if self.gradient_norm == 0.0 {
            self.s.fill(0.0);
            return 0.0;
        }
        let (length, lambda) = match wanted {
            Wanted::Ball { radius, .. } => (radius, self.gradient_norm / radius),
            Wanted::Cubic { sigma } => {
                let length = self.gradient_norm.sqrt() / sigma.sqrt();
                (length, sigma * length)
            }
        };
        let unit = self.gradient_norm;
        self.s.iter_mut().zip(&self.gradient).for_each(|(s, g)| *s = -(g / unit) * length);
        self.factored = None;
        lambda
    }

    /// The next shift right of the present one: the tangent bound, kept inside the bracket and moving.
    fn inner(&self, next: f64, bracket: &Bracket, size: f64, lambda: f64) -> f64 {
        if next > lambda && next < bracket.high {
            return next;
        }
        let middle = between(bracket);
        if middle > lambda { middle } else { lambda + 2.0 * f64::EPSILON * size.max(lambda) }
    }

    /// Makes the factor and `s` belong to `λ`; false if `B + λI` is not positive definite.
    fn at(&mut self, lambda: f64) -> bool {
        match self.points.last() {
            Some(point) if point.lambda == lambda && self.factored == Some(lambda) => true,
            _ => self.factor(lambda),
        }
    }

    fn factor(&mut self, lambda: f64) -> bool {
        self.factorizations += 1;
        self.factored = None;
        match self.cholesky.factor(lambda) {
            Ok(()) => {
                self.cholesky.solve(&self.gradient, &mut self.s);
                self.s.iter_mut().for_each(|s| *s = -*s);
                let length = norm(&self.s);
                if !length.is_finite() {
                    self.leftmost = self.leftmost.max(lambda);
                    return false;
                }
                let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
                self.work.iter_mut().zip(&self.s).for_each(|(w, s)| *w = s * scale);
                let rate = self.rate();
                if self.points.len() == MEMORY {
                    self.points.remove(0);
                }
                self.points.push(Point { lambda, length, rate });
                self.factored = Some(lambda);
                true
            }
            Err(failure) => {
                if self.cholesky.negative_curvature(&mut self.work) {
                    let length = norm(&self.work);
                    self.leftmost = self.leftmost.max(lambda + failure.deficit / length / length);
                }
                false
            }
        }
    }

    /// `wᵀ(B + λI)⁻¹w` for `w = work`.
    fn rate(&mut self) -> f64 {
        let mut half = std::mem::take(&mut self.half);
        half.resize(self.work.len(), 0.0);
        self.cholesky.half_solve(&self.work, &mut half);
        let square = norm(&half);
        self.half = half;
        square * square
    }

    fn inside(&self, wanted: Wanted) -> bool {
        self.points.last().is_some_and(|point| point.length <= wanted.length(0.0))
    }

    /// Bounds of the root that the norms of `B` give, and of what the points tell.
    fn bracket(&self, wanted: Wanted, norms: &MatrixNorms, size: f64) -> Bracket {
        let upper = norms.gershgorin_upper.min(size);
        let lower = norms.gershgorin_lower.max(-size);
        let (low, high) = match wanted {
            Wanted::Ball { radius, .. } => {
                let ratio = self.gradient_norm / radius;
                (ratio - upper, ratio - lower)
            }
            Wanted::Cubic { sigma } => {
                let c = sigma * self.gradient_norm;
                (positive_root(1.0, upper, c), positive_root(1.0, lower, c))
            }
        };
        let mut bracket = Bracket { low: low.max(-norms.min_diagonal).max(self.leftmost).max(0.0), high: high.max(0.0) };
        for point in &self.points {
            bracket.low = bracket.low.max(point.bound(wanted));
            if point.length <= wanted.length(point.lambda) {
                bracket.high = bracket.high.min(point.lambda);
            }
        }
        bracket.low = bracket.low.min(bracket.high);
        bracket
    }

    /// Where to factor first.
    fn first(&self, wanted: Wanted, bracket: &Bracket, hint: f64) -> f64 {
        if self.points.iter().any(|p| p.length >= wanted.length(p.lambda)) && bracket.low > 0.0 {
            return bracket.low;
        }
        if self.points.is_empty() && hint > bracket.low && hint < bracket.high {
            return hint;
        }
        if bracket.low == 0.0 && matches!(wanted, Wanted::Ball { .. }) && self.leftmost < 0.0 {
            return 0.0;
        }
        between(bracket)
    }

    /// Two steps of inverse iteration for the leftmost eigenvector.
    fn inverse_iteration(&mut self) {
        if norm_inf(&self.z) == 0.0 {
            // Any start with a part along the eigenvector; signs of an irrational rotation favour no axis.
            for (i, z) in self.z.iter_mut().enumerate() {
                *z = 0.5 + (i as f64 * 0.618_033_988_749_894_9).fract();
                if i % 2 == 1 {
                    *z = -*z;
                }
            }
        }
        for _ in 0..2 {
            let size = norm(&self.z);
            self.z.iter_mut().for_each(|z| *z /= size);
            self.cholesky.solve(&self.z, &mut self.work);
            let length = norm(&self.work);
            if !(length > 0.0 && length.is_finite()) {
                self.residual = f64::INFINITY;
                return;
            }
            self.residual = 1.0 / length;
            self.curvature = dot(&self.z, &self.work) / length / length;
            self.z.iter_mut().zip(&self.work).for_each(|(z, w)| *z = w / length);
        }
    }

    /// Adds `τz` with `‖s + τz‖ = goal` if the residual stays below `tolerance (‖B‖ goal + ‖g‖)`.
    fn complete(&mut self, goal: f64, tolerance: f64, size: f64) -> bool {
        let length = norm(&self.s);
        let along = dot(&self.s, &self.z);
        // τ² + 2 along τ = (goal − ‖s‖)(goal + ‖s‖), in units of the goal.
        let (b, c) = (along / goal, (1.0 - length / goal) * (1.0 + length / goal));
        let square = b * b + c;
        if !(square >= 0.0 && square.is_finite()) {
            return false;
        }
        let far = -(b + square.sqrt().copysign(b));
        let mut tau = if far == 0.0 { 0.0 } else { -c / far };
        if (tau.abs() - far.abs()).abs() <= 1e-8 * far.abs() && tau * dot(&self.gradient, &self.z) > 0.0 {
            tau = far;
        }
        // Relative to the goal: the products themselves may overflow. The solve that gave s has an error of its own.
        let error = tau.abs() * self.residual + 4.0 * f64::EPSILON * size * (length / goal);
        if error > tolerance * (size + self.gradient_norm / goal) || error.is_nan() {
            return false;
        }
        tau *= goal;
        axpy(tau, &self.z, &mut self.s);
        // s belongs to no factor any more.
        self.factored = None;
        true
    }

    /// `p = 2ᵉ s`, of length `R(λ)` exactly if it belongs `onto` the sphere.
    fn finish(&self, wanted: Wanted, lambda: f64, onto: bool, inner: u64, p: &mut [f64]) -> Solution {
        let found = norm(&self.s);
        let length = if onto && found > 0.0 { wanted.length(lambda) } else { times_power(found, self.exponent) };
        if onto && found > 0.0 {
            p.iter_mut().zip(&self.s).for_each(|(p, s)| *p = s / found * length);
        } else {
            p.iter_mut().zip(&self.s).for_each(|(p, s)| *p = times_power(*s, self.exponent));
        }
        let along = dot_in_range(&self.gradient, p);
        let descent = Ranged { significand: -along.significand, exponent: along.exponent + self.exponent };
        let share = if let Wanted::Cubic { .. } = wanted { 1.0 / 6.0 } else { 0.5 };
        let half = Ranged { significand: 0.5 * descent.significand, ..descent };
        let predicted = half.plus(Ranged::product(&[share, lambda, length, length])).value();
        let descent = descent.value();
        Solution { step: Step { predicted, slope: -descent, length, inner }, multiplier: lambda }
    }
}

/// A point between the bounds, biased to the lower one (Conn, Gould & Toint, §7.3.6).
fn between(bracket: &Bracket) -> f64 {
    let Bracket { low, high } = *bracket;
    (low.sqrt() * high.sqrt()).max(low + 0.01 * (high - low))
}

/// The positive root of `aλ² + bλ = c` for `a, c ≥ 0`.
fn positive_root(a: f64, b: f64, c: f64) -> f64 {
    let size = (b * b + 4.0 * a * c).sqrt();
    let size = if size.is_finite() && size > 1e-140 { size } else { b.hypot(2.0 * a.sqrt() * c.sqrt()) };
    if b > 0.0 {
        2.0 * c / (b + size)
    } else if a > 0.0 {
        (size - b) / (2.0 * a)
    } else {
        0.0
    }
}
