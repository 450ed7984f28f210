//! The trust-region and the cubic subproblem for a tridiagonal matrix: `min γ y₁ + ½ yᵀTy` with `‖y‖ ≤ Δ` or plus
//! `(σ/3)‖y‖³`, hard case included.
//!
//! `(T + λI) y = −γ e₁`, `T + λI ⪰ 0`, with `λ(Δ − ‖y‖) = 0` or `λ = σ‖y‖`. Newton's method on `1/‖y(λ)‖` minus its
//! target; both functions are concave, so from the left of the root the iterates rise to it and never pass it.
//! The matrix is scaled to norm one and the right-hand side to length one, so that every scale of data is one case.
//!
//! Gould, Lucidi, Roma & Toint, SIAM J. Optim. 9(2), 1999, §5; Cartis, Gould & Toint, Math. Program. 127, 2011, §6.1.

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use crate::linalg::krylov::tridiagonal::{Factor, eigenvalue, lowest_vector, norm_bound};
use crate::linalg::power::times_power;
use crate::linalg::vector::norm;

/// Ratios beyond this are decided by one side alone to full precision.
const EXTREME: f64 = 1e40;
/// Relative distance of `‖y‖` from its target that counts as met.
const MET: f64 = 8.0 * f64::EPSILON;

/// What holds the step back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Hold {
    /// `‖y‖ ≤ Δ`.
    Radius(f64),
    /// `+ (σ/3)‖y‖³`.
    Weight(f64),
}

/// A solution; `y` itself is in `TridiagonalModel::y`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Solution {
    /// `λ`.
    pub multiplier: f64,
    /// `‖y‖`.
    pub length: f64,
    /// Reduction of the model.
    pub predicted: f64,
}

/// Buffers, and the last multiplier as the next starting point.
#[derive(Debug, Clone, Default)]
pub(crate) struct TridiagonalModel {
    d: Vec<f64>,
    e: Vec<f64>,
    factor: Factor,
    w: Vec<f64>,
    u: Vec<f64>,
    warm: f64,
    /// The solution.
    pub y: Vec<f64>,
}

impl TridiagonalModel {
    /// Forgets the last multiplier.
    pub(crate) fn reset(&mut self) {
        self.warm = 0.0;
    }

    /// Solves for the matrix with diagonal `d` and off-diagonal `e`, and `γ = gamma ≥ 0`.
    pub(crate) fn solve(&mut self, d: &[f64], e: &[f64], gamma: f64, hold: Hold) -> Solution {
        let k = d.len();
        let scale = norm_bound(d, e);
        self.y.clear();
        self.y.resize(k, 0.0);
        let flat = scale == 0.0;
        let (multiplier, length) = if k == 0 || (flat && gamma == 0.0) {
            (0.0, 0.0)
        } else if flat {
            self.y[0] = -1.0;
            gradient_only(gamma, hold)
        } else {
            self.d.clear();
            self.d.extend(d.iter().map(|v| v / scale));
            self.e.clear();
            self.e.extend(e.iter().map(|v| v / scale));
            self.solve_scaled(scale, gamma, hold)
        };
        self.warm = multiplier;
        let size = norm(&self.y);
        if size > 0.0 {
            // Two steps: the quotient alone may leave the range.
            self.y.iter_mut().for_each(|v| *v = *v / size * length);
        }
        // yᵀTy = −γ y₁ − λ‖y‖², so the reduction is a sum of positive terms.
        let share = if matches!(hold, Hold::Radius(_)) { 0.5 } else { 1.0 / 6.0 };
        let along = self.y.first().map_or(0.0, |y| -gamma * y);
        // Beyond range it dwarfs the matrix: λ‖y‖² = −γ y₁.
        let held = if multiplier.is_finite() { (multiplier * length) * length } else { along };
        Solution { multiplier, length, predicted: 0.5 * along + share * held }
    }

    /// Leaves a multiple of the solution in `y`; returns `λ` and `‖y‖`.
    fn solve_scaled(&mut self, scale: f64, gamma: f64, hold: Hold) -> (f64, f64) {
        if gamma == 0.0 {
            let lowest = eigenvalue(&self.d, &self.e, 0);
            if lowest >= -16.0 * f64::EPSILON {
                return (0.0, 0.0);
            }
            lowest_vector(&self.d, &self.e, lowest, &mut self.factor, &mut self.u);
            self.y.copy_from_slice(&self.u);
            let multiplier = -lowest * scale;
            return (multiplier, at_multiplier(multiplier, hold));
        }
        // With (T/scale + λ) w = e₁: y = −(γ/scale) w. The target of ‖w‖ is `ratio`, or λ / `ratio`.
        let ratio = match hold {
            Hold::Radius(radius) => radius / gamma * scale,
            Hold::Weight(sigma) => sigma / scale * (gamma / scale),
        };
        let target = match hold {
            Hold::Radius(_) => Target::Norm(ratio.clamp(1.0 / EXTREME, EXTREME)),
            Hold::Weight(_) => Target::Slope(ratio.clamp(1.0 / EXTREME, EXTREME)),
        };
        let decided = match hold {
            Hold::Radius(_) => ratio < 1.0 / EXTREME,
            Hold::Weight(_) => ratio > EXTREME,
        };
        if decided {
            self.y[0] = -1.0;
            return gradient_only(gamma, hold);
        }
        if ratio <= 1.0 / EXTREME {
            // The target was clamped: a multiplier found for the true one means nothing.
            self.warm = 0.0;
        }
        let left = match self.left_start(scale, target) {
            Left::Start(left) => left,
            Left::Interior => {
                let length = self.size_of_w() * (gamma / scale);
                let inside = match hold {
                    Hold::Radius(radius) => length <= radius,
                    Hold::Weight(_) => ratio <= 1.0 / EXTREME,
                };
                if inside {
                    self.y.iter_mut().zip(&self.w).for_each(|(y, w)| *y = -w);
                    let multiplier = if let Hold::Weight(sigma) = hold { sigma * length } else { 0.0 };
                    return (multiplier, length);
                }
                target.lower_bound()
            }
        };
        let lambda = self.newton(left, target);
        let multiplier = lambda * scale;
        (multiplier, at_multiplier(multiplier, hold))
    }

    /// A multiplier left of the root at which `T + λI` is positive definite, or the interior solution in `w`.
    fn left_start(&mut self, scale: f64, target: Target) -> Left {
        let warm = self.warm / scale;
        if warm > 0.0 && self.excess(warm, target).is_some_and(|x| x >= 0.0) {
            return Left::Start(warm);
        }
        if self.excess(0.0, target).is_some() {
            return Left::Interior;
        }
        let lowest = eigenvalue(&self.d, &self.e, 0);
        // The matrix has norm one: the last of these gaps makes it diagonally dominant.
        let mut left = (-lowest).max(0.0);
        for power in -50..=3 {
            left = (-lowest).max(0.0) + times_power(1.0, power);
            if self.excess(left, target).is_some() {
                break;
            }
        }
        if matches!(target, Target::Norm(_))
            && lowest > -16.0 * f64::EPSILON
            && self.excess(left, target).is_some_and(|x| x <= 0.0)
        {
            // Positive semidefinite up to rounding, and the right-hand side lies in its range.
            return Left::Interior;
        }
        Left::Start(left.max(target.lower_bound()))
    }

    /// Newton from the left; leaves `y` at the target length up to a factor; returns `λ`.
    fn newton(&mut self, left: f64, target: Target) -> f64 {
        let mut lambda = left;
        let mut excess = self.excess(lambda, target).unwrap_or(0.0);
        for _ in 0..200 {
            if excess <= MET {
                break;
            }
            let size = self.size_of_w();
            let form = self.factor.inverse_form(&self.w);
            let next = match target {
                Target::Norm(r) => lambda + size * size / form * ((size - r) / r),
                Target::Slope(c) => {
                    let slope = form / (size * size * size) + c / (lambda * lambda);
                    lambda - (1.0 / size - c / lambda) / slope
                }
            };
            if !(next > lambda) {
                break;
            }
            match self.excess(next, target) {
                Some(value) => (lambda, excess) = (next, value),
                None => break,
            }
        }
        // Where ‖w‖ changes by more than its tolerance from one floating-point λ to the next: pass to the right side.
        let mut step = f64::EPSILON * lambda.max(1.0);
        while excess > 64.0 * MET && lambda.is_finite() {
            lambda += step;
            step *= 2.0;
            excess = self.excess(lambda, target).unwrap_or(0.0);
        }
        if excess < -64.0 * MET {
            self.add_lowest(lambda, target);
        } else {
            self.excess(lambda, target);
            self.y.iter_mut().zip(&self.w).for_each(|(y, w)| *y = -w);
        }
        lambda
    }

    /// The hard case: `y = −w + τ u` at the target length, `u` the lowest eigenvector.
    fn add_lowest(&mut self, lambda: f64, target: Target) {
        self.y.iter_mut().zip(&self.w).for_each(|(y, w)| *y = -w);
        let lowest = eigenvalue(&self.d, &self.e, 0);
        lowest_vector(&self.d, &self.e, lowest, &mut self.factor, &mut self.u);
        let goal = target.norm(lambda);
        let size = self.size_of_w();
        let along: f64 = self.y.iter().zip(&self.u).map(|(y, u)| y * u).sum();
        let gap = (goal - size) * (goal + size);
        let root = (along * along + gap).max(0.0).sqrt();
        // The root of smaller modulus, in the form without cancellation; both lower the model equally.
        let tau = if along >= 0.0 { gap / (along + root) } else { gap / (along - root) };
        self.y.iter_mut().zip(&self.u).for_each(|(y, u)| *y += tau * u);
    }

    /// `‖w(λ)‖ / target − 1`, with `w` left behind; `None` if `T + λI` is not positive definite.
    fn excess(&mut self, lambda: f64, target: Target) -> Option<f64> {
        if !self.factor.factor(&self.d, &self.e, lambda) {
            return None;
        }
        self.w.clear();
        self.w.resize(self.d.len(), 0.0);
        self.w[0] = 1.0;
        self.factor.solve(&mut self.w);
        let goal = target.norm(lambda);
        Some(if goal > 0.0 { self.size_of_w() / goal - 1.0 } else { f64::INFINITY })
    }

    fn size_of_w(&self) -> f64 {
        norm(&self.w)
    }
}

enum Left {
    Start(f64),
    Interior,
}

/// What `‖w(λ)‖` must equal.
#[derive(Clone, Copy)]
enum Target {
    /// A number.
    Norm(f64),
    /// `λ / c`.
    Slope(f64),
}

impl Target {
    fn norm(self, lambda: f64) -> f64 {
        match self {
            Target::Norm(r) => r,
            Target::Slope(c) => lambda / c,
        }
    }
    /// Left of the root because `‖w(λ)‖ ≥ 1 / (1 + λ)` for a matrix of norm at most one.
    fn lower_bound(self) -> f64 {
        match self {
            Target::Norm(r) => (1.0 / r - 1.0).max(0.0),
            Target::Slope(c) => 2.0 * c / (1.0 + (1.0 + 4.0 * c).sqrt()),
        }
    }
}

/// `λ` and `‖y‖` where the matrix is negligible beside `λ`.
fn gradient_only(gamma: f64, hold: Hold) -> (f64, f64) {
    match hold {
        Hold::Radius(radius) => (gamma / radius, radius),
        Hold::Weight(sigma) => (gamma.sqrt() * sigma.sqrt(), gamma.sqrt() / sigma.sqrt()),
    }
}

/// `‖y‖` of a solution with multiplier `λ > 0`.
fn at_multiplier(multiplier: f64, hold: Hold) -> f64 {
    match hold {
        Hold::Radius(radius) => radius,
        Hold::Weight(sigma) => multiplier / sigma,
    }
}
