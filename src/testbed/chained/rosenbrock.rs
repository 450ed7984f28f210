//! Chained Rosenbrock: `f(x) = Σᵢ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²`, `i = 1 … n−1`; tridiagonal Hessian.

use crate::error::Result;
use crate::linalg::operator::Pattern;
use crate::testbed::local::{Kernel, band, one_if, stencil, sum_lanes};
use std::ops::Range;

pub(super) struct ChainedRosenbrock(pub(super) usize);

impl Kernel for ChainedRosenbrock {
    fn dim(&self) -> usize {
        self.0
    }

    fn pattern(&self) -> Result<Pattern> {
        Pattern::from_pairs(self.0, (1..self.0).map(|j| (j - 1, j)))
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let end = range.end.min(x.len() - 1);
        let (a, b) = (&x[range.start..end], &x[range.start + 1..end + 1]);
        sum_lanes(a, b, b, |a, b, _| {
            let (t, u) = (b - a * a, 1.0 - a);
            100.0 * (t * t) + u * u
        })
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        stencil(x, x, first, out, |&[a, b, c], _, left, right| {
            one_if(right) * (-400.0 * b * (c - b * b) - 2.0 * (1.0 - b)) + one_if(left) * (200.0 * (b - a * a))
        });
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        stencil(x, v, first, out, |&[a, b, c], &[u, v, w], left, right| {
            one_if(right) * ((1200.0 * b * b - 400.0 * c + 2.0) * v - 400.0 * b * w) + one_if(left) * (200.0 * v - 400.0 * a * u)
        });
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        band(x, columns, out, |&[a, b, c], left, right| {
            let diagonal = one_if(right) * (1200.0 * b * b - 400.0 * c + 2.0) + one_if(left) * 200.0;
            [-400.0 * a, diagonal, -400.0 * b]
        });
    }
}
