//! Broyden tridiagonal: `f(x) = Σ rᵢ²`, `rᵢ = (3 − 2xᵢ) xᵢ − xᵢ₋₁ − 2xᵢ₊₁ + 1`, `x₀ = xₙ₊₁ = 0`; pentadiagonal Hessian
//! `2 (JᵀJ − 4 diag(r))` with `Jᵢᵢ = 3 − 4xᵢ`, `Jᵢ,ᵢ₋₁ = −1`, `Jᵢ,ᵢ₊₁ = −2`. Moré, Garbow and Hillstrom (1981), problem 30.

use crate::error::Result;
use crate::linalg::operator::Pattern;
use crate::testbed::local::{Kernel, band, one_if, stencil, sum_lanes};
use std::ops::Range;

pub(super) struct BroydenTridiagonal(pub(super) usize);

#[inline(always)]
fn residual(a: f64, b: f64, c: f64) -> f64 {
    (3.0 - 2.0 * b) * b - a - 2.0 * c + 1.0
}

impl Kernel for BroydenTridiagonal {
    fn dim(&self) -> usize {
        self.0
    }

    fn pattern(&self) -> Result<Pattern> {
        let n = self.0;
        Pattern::from_pairs(n, (0..n).flat_map(move |j| [(j, j + 1), (j, j + 2)]).filter(move |&(_, i)| i < n))
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let n = x.len();
        let inner = range.start.max(1)..range.end.min(n - 1).max(range.start.max(1));
        let square = |a, b, c| {
            let r = residual(a, b, c);
            r * r
        };
        let at = |j: usize| square(if j > 0 { x[j - 1] } else { 0.0 }, x[j], x.get(j + 1).copied().unwrap_or(0.0));
        let mut sum =
            sum_lanes(&x[inner.start - 1..inner.end - 1], &x[inner.clone()], &x[inner.start + 1..inner.end + 1], square);
        for j in (range.start..inner.start.min(range.end)).chain(inner.end..range.end) {
            sum += at(j);
        }
        sum
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        stencil(x, x, first, out, |&[a, b, c, d, e], _, left, right| {
            let own = (3.0 - 4.0 * c) * residual(b, c, d);
            2.0 * (own - one_if(right) * residual(c, d, e) - 2.0 * one_if(left) * residual(a, b, c))
        });
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        stencil(x, v, first, out, |&[_, b, c, d, _], &[p, q, r, s, t], left, right| {
            // The three rows of J v that meet this column of J.
            let above = (3.0 - 4.0 * b) * q - p - 2.0 * r;
            let own = (3.0 - 4.0 * c) * r - q - 2.0 * s;
            let below = (3.0 - 4.0 * d) * s - r - 2.0 * t;
            let curved = 4.0 * residual(b, c, d) * r;
            2.0 * ((3.0 - 4.0 * c) * own - one_if(right) * below - 2.0 * one_if(left) * above - curved)
        });
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        band(x, columns, out, |&[_, b, c, d, _], left, right| {
            let (s, t, u) = (3.0 - 4.0 * b, 3.0 - 4.0 * c, 3.0 - 4.0 * d);
            let diagonal = t * t + 4.0 * one_if(left) + one_if(right) - 4.0 * residual(b, c, d);
            [4.0, -4.0 * s - 2.0 * t, 2.0 * diagonal, -4.0 * t - 2.0 * u, 4.0]
        });
    }
}
