//! A Bratu-type energy: `∫ ½‖∇u‖² − λ exp(u)` over the unit square, `λ = 5`, `u = 0` on the boundary.
//!
//! P1 triangles on an `m × m` grid of interior nodes, `h = 1/(m+1)`, the exponential lumped at the nodes. The gradient's
//! energy is then half the sum of squared differences along the grid's edges, and the Hessian the five-point matrix
//! `4, −1` minus `λh² diag(exp u)`.

use crate::error::Result;
use crate::linalg::operator::Pattern;
use crate::testbed::local::{Kernel, sum_lanes};
use std::ops::Range;

const LAMBDA: f64 = 5.0;

pub(super) struct Bratu {
    m: usize,
    /// `λh²`.
    source: f64,
}

impl Bratu {
    pub(super) fn new(m: usize) -> Self {
        let h = 1.0 / (m as f64 + 1.0);
        Self { m, source: LAMBDA * h * h }
    }
}

/// `out ← out − row`.
#[inline(always)]
fn subtract(row: &[f64], out: &mut [f64]) {
    out.iter_mut().zip(row).for_each(|(o, u)| *o -= u);
}

/// Subtracts the four neighbours of each node in `u` from the rows of `out`, which begin at node `first`.
#[inline(always)]
fn subtract_neighbours(m: usize, u: &[f64], first: usize, out: &mut [f64]) {
    for (k, out) in out.chunks_exact_mut(m).enumerate() {
        let at = first + k * m;
        subtract(&u[at..at + m - 1], &mut out[1..]);
        subtract(&u[at + 1..at + m], &mut out[..m - 1]);
        if at >= m {
            subtract(&u[at - m..at], out);
        }
        if at + m < u.len() {
            subtract(&u[at + m..at + 2 * m], out);
        }
    }
}

impl Kernel for Bratu {
    fn dim(&self) -> usize {
        self.m * self.m
    }

    fn unit(&self) -> usize {
        self.m
    }

    fn pattern(&self) -> Result<Pattern> {
        let (m, n) = (self.m, self.m * self.m);
        let beside = (0..n).filter(move |k| (k + 1) % m != 0).map(|k| (k, k + 1));
        Pattern::from_pairs(n, beside.chain((m..n).map(|k| (k - m, k))))
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let m = self.m;
        let square = |a: f64, b: f64, _: f64| (b - a) * (b - a);
        let (mut edges, mut exponentials) = (0.0, 0.0);
        for at in range.step_by(m) {
            let row = &x[at..at + m];
            // A row owns its horizontal edges and those to the row below; the first one also those to the boundary above.
            edges += row[0] * row[0] + sum_lanes(&row[..m - 1], &row[1..], &row[1..], square) + row[m - 1] * row[m - 1];
            if at == 0 {
                edges += sum_lanes(row, row, row, |u, _, _| u * u);
            }
            edges += match x.get(at + m..at + 2 * m) {
                Some(below) => sum_lanes(row, below, below, square),
                None => sum_lanes(row, row, row, |u, _, _| u * u),
            };
            exponentials += sum_lanes(row, row, row, |u, _, _| u.exp());
        }
        0.5 * edges - self.source * exponentials
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        out.iter_mut().zip(&x[first..]).for_each(|(o, u)| *o = 4.0 * u - self.source * u.exp());
        subtract_neighbours(self.m, x, first, out);
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        for (o, (u, v)) in out.iter_mut().zip(x[first..].iter().zip(&v[first..])) {
            *o = (4.0 - self.source * u.exp()) * v;
        }
        subtract_neighbours(self.m, v, first, out);
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        let (m, n) = (self.m, x.len());
        out.fill(-1.0);
        let mut at = 0;
        for k in columns {
            let before = usize::from(k >= m) + usize::from(k % m != 0);
            let after = usize::from((k + 1) % m != 0) + usize::from(k + m < n);
            out[at + before] = 4.0 - self.source * x[k].exp();
            at += before + 1 + after;
        }
    }
}
