//! When a run has converged: what is left of the decrease and of the way, estimated from numbers the solver has anyway.
//!
//! No tolerance here has a unit. With `Δ = f₀ − f` the whole decrease so far, `sᵢ` the largest `|xᵢ|` and `|xᵢ − x₀ᵢ|` of the
//! run, `p` the accepted step and `ρ = ‖g₊‖/‖g‖`, each accepted step gives an estimate `E` of the decrease that is left and `L`
//! of the distance that is left:
//!
//! ```text
//! second order, region not binding   E = predicted ρ²/(1 − ρ²),  L = ‖p‖ ρ/(1 − ρ)
//! quasi-Newton                       E = ½ gᵀHg,                 L = ‖Hg‖
//! first order                        E = ½ κ ‖g‖²,               L = κ ‖g‖,   κ = max sᵀs/sᵀy over ten steps
//! ```
//!
//! The gate to the certificate opens where `E ≤ max(10⁻¹⁶ Δ, 10 ε |f|)` and `L ≤ 10⁻³ ‖s‖`, or where the step itself is lost
//! beside `s`, once the gradient has fallen by `gtol_rel` or falls no more; where the step is lost beside `x`; and at the gradient
//! test. Where the decrease dries up while the way does not, the run recedes: it follows a valley to infinity, and there is no
//! minimum in sight.
//!
//! `E` of a second-order step is the decrement that the next Newton step would see (Nesterov & Nemirovskii 1994, §2.2; Dennis &
//! Schnabel 1983, §7.2, on relative sizes of steps).

use super::evaluation::ROUNDING;
use crate::curvature::Order;
use crate::linalg::vector::{norm, norm_inf};
use std::collections::VecDeque;

/// Part of `‖s‖` that may be left of the way.
const NEAR: f64 = 1e-3;
/// Part of `sᵢ` below which a step is lost beside the sizes of the run.
const LOST: f64 = 1e-8;
/// Steps whose decrease measures that of a cost which is flat to higher order: Newton's steps on `xᵏ` divide it by at least `e`
/// each, so that 37 of them bring it to 1e-16.
const RECENT: usize = 40;
/// The horizon of a run from the origin, which has no sizes yet.
const UNKNOWN: f64 = 1e10;
/// Steps that the curvature along the run and the slowing down of a receding run are judged by.
const WINDOW: usize = 10;
/// A receding run has this part of the whole decrease left at most (at 1e-8 a minimum that is a little further on is still to be
/// had, and quasi-Newton matrices think slow valleys long),
const DRY: f64 = 1e-12;
/// of the first gradient this part,
const GONE: f64 = 1e-8;
/// at least this part of `‖s‖` to go,
const FAR: f64 = 1e-2;
/// and its `‖x‖` is the largest of the run and grew by this factor over the window.
const GROWTH: f64 = 1.2;
/// Least part of `s` that counts as a variable's size at the end of a superlinear run.
const LOCAL: f64 = 1e-3;
/// A quasi-Newton matrix is asked once the slope left of the step is within this many bounds.
const LIKELY: f64 = 1e8;
/// How much steeper than `½ gᵀp` the model of an interior step may predict: a regularized step is a little.
const INTERIOR: f64 = 1.1;

/// The last values of something, the oldest first to go.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Window {
    values: VecDeque<f64>,
}

impl Window {
    /// Empties it, and makes room for `length` values.
    fn begin(&mut self, length: usize) {
        self.values.clear();
        self.values.reserve(length + 1);
    }

    fn push(&mut self, value: f64, length: usize) {
        if self.values.len() >= length {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    fn max(&self) -> f64 {
        self.values.iter().fold(0.0, |m: f64, v| m.max(*v))
    }

    /// The first of `length` values, once there are so many.
    fn oldest(&self, length: usize) -> Option<f64> {
        self.values.front().copied().filter(|_| self.values.len() >= length)
    }

    fn last(&self) -> f64 {
        self.values.back().copied().unwrap_or(0.0)
    }
}

/// The numbers of an accepted step from `x` to `x₊`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'a> {
    /// `p = x₊ − x`.
    pub(super) step: &'a [f64],
    /// What the model predicted.
    pub(super) predicted: f64,
    /// `gᵀp`.
    pub(super) slope: f64,
    /// `pᵀ(g₊ − g)`.
    pub(super) bend: f64,
    /// `‖g₊‖/‖g‖`.
    pub(super) ratio: f64,
    /// `‖g₊‖₂`.
    pub(super) gradient_norm: f64,
    /// `f(x₊)`.
    pub(super) cost: f64,
}

/// What is left, as far as a run can tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Left {
    /// `E`, of the cost.
    pub(super) decrease: f64,
    /// `L`, of the way.
    pub(super) distance: f64,
    /// Whether the step, or `L`, is lost beside the sizes of the variables.
    pub(super) lost: bool,
    /// Whether the step is lost beside the variables themselves.
    pub(super) rests: bool,
    /// Whether that says something only together with a certificate: the region may have made the step short.
    pub(super) bound: bool,
}

impl Left {
    const UNKNOWN: Self = Self { decrease: f64::INFINITY, distance: f64::INFINITY, lost: false, rests: false, bound: false };
    /// Where the gradient vanishes.
    pub(super) const NOTHING: Self = Self { decrease: 0.0, distance: 0.0, lost: true, rests: true, bound: false };
}

/// The scales of a run.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Convergence {
    first_cost: f64,
    first_gradient: f64,
    origin: Vec<f64>,
    /// `s`.
    sizes: Vec<f64>,
    sizes_norm: f64,
    /// The largest `‖x‖` of the run.
    outermost: f64,
    /// `sᵀs/sᵀy` of the last steps.
    lengths: Window,
    /// `min(L, ‖p‖)/‖s‖` and `‖x‖` of the last steps.
    to_go: Window,
    norms: Window,
    costs: Window,
}

impl Convergence {
    /// Begins at `x`; the buffers of an earlier run are used again.
    pub(super) fn begin(&mut self, x: &[f64], cost: f64, gradient_norm: f64) {
        (self.first_cost, self.first_gradient) = (cost, gradient_norm);
        self.origin.clear();
        self.origin.extend_from_slice(x);
        self.sizes.clear();
        self.sizes.extend(x.iter().map(|x| x.abs()));
        self.sizes_norm = norm(&self.sizes);
        self.outermost = self.sizes_norm;
        [&mut self.lengths, &mut self.to_go, &mut self.norms].into_iter().for_each(|window| window.begin(WINDOW));
        self.costs.begin(RECENT);
        self.costs.push(cost, RECENT);
    }

    /// What Newton's step at the answer `x` is measured by: `s`; where superlinear convergence makes it cheap `|x|`, but no less than
    /// a thousandth of `s`, which from far out says little of the end.
    pub(super) fn sizes(&self, x: &[f64], order: Order) -> Vec<f64> {
        match order {
            Order::First => self.sizes.clone(),
            _ => self.sizes.iter().zip(x).map(|(s, x)| x.abs().max(LOCAL * s)).collect(),
        }
    }

    /// `Δ` at a point of cost `cost`.
    pub(super) fn decrease(&self, cost: f64) -> f64 {
        (self.first_cost - cost).max(0.0)
    }

    /// The same for the decrease of the last steps: a run from far out has come down by so much that any part of it is a lot.
    pub(super) fn recent_bound(&self, part: f64, cost: f64) -> f64 {
        let before = self.costs.values.front().copied().unwrap_or(self.first_cost);
        (part * (before - cost)).max(ROUNDING * f64::EPSILON * cost.abs())
    }

    /// `max(part · Δ, 10 ε |f|)`: what may be left of the decrease.
    pub(super) fn bound(&self, part: f64, cost: f64) -> f64 {
        (part * self.decrease(cost)).max(ROUNDING * f64::EPSILON * cost.abs())
    }

    /// Takes note of a step to `x`; what is left by `order`'s rule, where a quasi-Newton matrix is asked by `inverse`, if that
    /// is worth it, for `(½ gᵀHg, ‖Hg‖)`.
    pub(super) fn accepted(
        &mut self,
        x: &[f64],
        taken: &Taken<'_>,
        order: Order,
        part: f64,
        inverse: impl FnOnce() -> Option<(f64, f64)>,
    ) -> Left {
        for ((s, x), x0) in self.sizes.iter_mut().zip(x).zip(&self.origin) {
            *s = s.max(x.abs()).max((x - x0).abs());
        }
        self.sizes_norm = norm(&self.sizes);
        let length = norm(taken.step);
        let mut left = match order {
            Order::Second => self.by_model(x, taken, length),
            Order::QuasiNewton => {
                // The matrix is asked only where the step makes it likely that little is left.
                let likely = -taken.slope * taken.ratio * taken.ratio <= LIKELY * self.bound(part, taken.cost);
                let left = |(decrease, distance)| Left { decrease, distance, ..Left::UNKNOWN };
                likely.then(inverse).flatten().map_or(Left::UNKNOWN, left)
            }
            Order::First => {
                // Along negative curvature the step says nothing of the way to a minimum, and a long one little.
                self.lengths.push(if taken.bend > 0.0 { length * (length / taken.bend) } else { f64::MAX }, WINDOW);
                let distance = self.lengths.max() * taken.gradient_norm;
                match length <= NEAR * self.sizes_norm {
                    true => Left { decrease: 0.5 * distance * taken.gradient_norm, distance, ..Left::UNKNOWN },
                    false => Left::UNKNOWN,
                }
            }
        };
        left.lost |= left.distance <= LOST * self.sizes_norm;
        let to_go = left.distance.min(length) / self.sizes_norm;
        self.to_go.push(if to_go.is_finite() { to_go } else { 0.0 }, WINDOW);
        let x_norm = norm(x);
        self.outermost = self.outermost.max(x_norm);
        self.norms.push(x_norm, WINDOW);
        self.costs.push(taken.cost, RECENT);
        left
    }

    fn by_model(&self, x: &[f64], taken: &Taken<'_>, length: f64) -> Left {
        let (rate, square) = (taken.ratio, taken.ratio * taken.ratio);
        let interior = taken.predicted > 0.0 && taken.predicted <= -0.5 * INTERIOR * taken.slope;
        // Zeros have no size of their own.
        let floor = LOCAL * norm_inf(x);
        let nearly = taken.step.iter().zip(x).all(|(p, x)| p.abs() <= LOST * x.abs().max(floor));
        let beside = |sizes: &[f64]| rate <= 1.0 && taken.step.iter().zip(sizes).all(|(p, s)| p.abs() <= LOST * s.abs());
        if !interior {
            // A first radius comes from the start's gradient and curvature: that small, the start was an answer.
            return Left { rests: self.norms.values.is_empty() && nearly, bound: true, ..Left::UNKNOWN };
        }
        let (lost, rests) = (beside(&self.sizes), beside(x));
        if rate >= 1.0 {
            return Left { rests: nearly, bound: true, ..Left::UNKNOWN };
        }
        let (decrease, distance) = (taken.predicted * (square / (1.0 - square)), length * (rate / (1.0 - rate)));
        Left { decrease, distance, lost, rests: nearly, bound: !rests }
    }

    /// Whether little enough is left; `still` where the gradient has fallen far enough, or falls no more. Superlinear methods give
    /// the last digits away in a step or two, and the sizes of a run from far out say little of its end.
    pub(super) fn little_left(&self, left: Left, still: bool, part: f64, cost: f64) -> bool {
        let near = left.decrease <= self.bound(part, cost) && left.distance <= NEAR * self.sizes_norm;
        left.rests || (still && (left.lost || near))
    }

    /// Whether the way left is known to be long, so that a small gradient means a flat valley.
    pub(super) fn far(&self, left: Left) -> bool {
        left.distance.is_finite() && left.distance > FAR * self.sizes_norm
    }

    /// `maxᵢ |dᵢ|/sᵢ` over the variables that have a size.
    pub(super) fn share(&self, d: &[f64]) -> f64 {
        d.iter().zip(&self.sizes).filter(|(_, s)| **s > 0.0).fold(0.0, |m: f64, (d, s)| m.max(d.abs() / s))
    }

    /// A length from which on a fall says something of what is far away: `‖s‖`, and much more where nothing is known.
    pub(super) fn horizon(&self) -> f64 {
        if self.sizes_norm > 0.0 { self.sizes_norm } else { UNKNOWN }
    }

    /// A length that means something in the variables: `‖s‖`, or one where nothing is known.
    pub(super) fn reach(&self) -> f64 {
        if self.sizes_norm > 0.0 && self.sizes_norm.is_finite() { self.sizes_norm } else { 1.0 }
    }

    /// Whether the run follows a valley to infinity: the decrease has dried up, the way has not, and `‖x‖` grows.
    pub(super) fn recedes(&self, left: Left, gradient_norm: f64, cost: f64) -> bool {
        let (Some(first), Some(start)) = (self.to_go.oldest(WINDOW), self.norms.oldest(WINDOW)) else { return false };
        let (now, at) = (self.to_go.last(), self.norms.last());
        // Where the usual test of the gradient would see a minimum: from far out any part of the whole decrease is a lot.
        gradient_norm <= GONE * self.first_gradient
            && left.decrease <= DRY * self.decrease(cost)
            && now > FAR
            && now > 0.5 * first
            && at >= self.outermost
            && at >= GROWTH * start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(step: &[f64], predicted: f64, slope: f64, ratio: f64, cost: f64) -> Taken<'_> {
        Taken { step, predicted, slope, bend: 1.0, ratio, gradient_norm: 0.5, cost }
    }

    fn begun() -> Convergence {
        let mut convergence = Convergence::default();
        convergence.begin(&[3.0, 0.0], 100.0, 1e9);
        convergence
    }

    #[test]
    fn an_interior_step_of_second_order_leaves_the_next_decrement() {
        let mut c = begun();
        let left = c.accepted(&[3.0, -4.0], &taken(&[0.0, -4.0], 2.0, -4.0, 0.1, 60.0), Order::Second, 1e-16, || None);
        assert!((left.decrease - 2.0 * 0.01 / 0.99).abs() < 1e-15 && (left.distance - 4.0 * 0.1 / 0.9).abs() < 1e-15);
        assert_eq!(c.decrease(60.0), 40.0);
        assert!((c.share(&[0.3, 0.2]) - 0.1).abs() < 1e-15 && c.reach() == 5.0);
        // Bound by the region, or a gradient that grew: nothing is known.
        for (predicted, ratio) in [(2.3, 0.1), (2.0, 1.0), (-2.0, 0.1)] {
            let left =
                c.accepted(&[3.0, -4.0], &taken(&[0.0, -4.0], predicted, -4.0, ratio, 60.0), Order::Second, 1e-16, || None);
            assert_eq!(left.decrease, f64::INFINITY);
        }
    }

    #[test]
    fn a_quasi_newton_matrix_is_asked_only_where_little_may_be_left() {
        let mut c = begun();
        let far =
            c.accepted(&[3.0, 1.0], &taken(&[0.0, 1.0], 1.0, -2.0, 0.5, 50.0), Order::QuasiNewton, 1e-16, || panic!("asked"));
        assert_eq!(far.decrease, f64::INFINITY);
        let near = taken(&[0.0, 1e-6], 1e-9, -2e-9, 0.1, 50.0);
        let left = c.accepted(&[3.0, 1.0], &near, Order::QuasiNewton, 1e-16, || Some((7.0, 8.0)));
        assert_eq!((left.decrease, left.distance), (7.0, 8.0));
    }

    #[test]
    fn without_a_matrix_the_flattest_of_ten_steps_tells() {
        let mut c = begun();
        for k in 0..12 {
            // sᵀs/sᵀy: 1e-6 but once, in the third step, 1e-4.
            let step = [if k == 2 { 1e-2 } else { 1e-3 }, 0.0];
            let left = c.accepted(&[3.0, 0.0], &taken(&step, 0.0, -1.0, 0.9, 50.0), Order::First, 1e-16, || None);
            let kappa = if (2..12).contains(&k) { 1e-4 } else { 1e-6 };
            let known = step[0] <= 1e-3 * c.reach();
            assert_eq!(left.decrease.is_finite(), known, "{k}");
            if known {
                assert!(
                    (left.distance / (kappa * 0.5) - 1.0).abs() < 1e-12 && (left.decrease / (kappa * 0.125) - 1.0).abs() < 1e-12,
                    "{k}"
                );
            }
        }
    }

    #[test]
    fn a_valley_to_infinity_recedes_and_one_with_an_end_does_not() {
        for (growing, recedes) in [(1.0, true), (0.0, false)] {
            let mut c = begun();
            let mut told = false;
            for k in 0..30 {
                let x = [3.0 + growing * f64::from(k), 1.0];
                let cost = (-f64::from(k)).exp();
                let step = [1.0, 0.0];
                let taken = Taken { cost, ..taken(&step, 0.5 * cost, -cost, (-1.0f64).exp(), cost) };
                let left = c.accepted(&x, &taken, Order::Second, 1e-16, || None);
                told |= c.recedes(left, cost, cost);
                assert!(!c.recedes(left, 100.0, cost));
            }
            assert_eq!(told, recedes);
        }
    }
}
