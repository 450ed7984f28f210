//! Chained Wood: overlapping copies of Wood's function, one for each pair of neighbours `(a, b), (c, d)` among the
//! `n/2` pairs of variables: `100(b−a²)² + (1−a)² + 90(d−c²)² + (1−c)² + 10(b+d−2)² + (b−d)²/10`.
//!
//! Summed by pairs: a pair that starts a copy has the weights 100 and 1, one that ends a copy 90 and 1, all inner pairs both.
//! Conn, Gould and Toint (1988), Math. Comp. 50, without their additive constant 1.

use crate::error::Result;
use crate::linalg::operator::Pattern;
use crate::testbed::local::{Kernel, one_if, stencil};
use std::ops::Range;

pub(super) struct ChainedWood(pub(super) usize);

/// Weights of `(b − a²)²` and of `(1 − a)²` in a pair.
#[inline(always)]
fn weights(left: bool, right: bool) -> (f64, f64) {
    (100.0 * one_if(right) + 90.0 * one_if(left), one_if(right) + one_if(left))
}

impl Kernel for ChainedWood {
    fn dim(&self) -> usize {
        self.0
    }

    fn unit(&self) -> usize {
        2
    }

    fn pattern(&self) -> Result<Pattern> {
        let n = self.0;
        let within = (0..n / 2).map(|p| (2 * p, 2 * p + 1));
        let between = (1..n / 2).map(|p| (2 * p - 1, 2 * p + 1));
        Pattern::from_pairs(n, within.chain(between))
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let (x, pairs) = (x.as_chunks::<2>().0, range.start / 2..range.end / 2);
        let own = |&[a, b]: &[f64; 2], (alpha, beta): (f64, f64)| {
            let (t, u) = (b - a * a, 1.0 - a);
            alpha * (t * t) + beta * (u * u)
        };
        let mut sum = 0.0;
        for p in pairs {
            let next = x.get(p + 1);
            sum += own(&x[p], weights(p > 0, next.is_some()));
            if let Some(&[_, d]) = next {
                let (s, t) = (x[p][1] + d - 2.0, x[p][1] - d);
                sum += 10.0 * (s * s) + 0.1 * (t * t);
            }
        }
        sum
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        let (x, out) = (x.as_chunks::<2>().0, out.as_chunks_mut::<2>().0);
        stencil(x, x, first / 2, out, |&[[_, before], [a, b], [_, after]], _, left, right| {
            let (alpha, beta) = weights(left, right);
            let t = b - a * a;
            let tie = |d: f64| 20.0 * (b + d - 2.0) + 0.2 * (b - d);
            [
                -4.0 * alpha * a * t - 2.0 * beta * (1.0 - a),
                2.0 * alpha * t + one_if(left) * tie(before) + one_if(right) * tie(after),
            ]
        });
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        let (x, v, out) = (x.as_chunks::<2>().0, v.as_chunks::<2>().0, out.as_chunks_mut::<2>().0);
        stencil(x, v, first / 2, out, |&[_, [a, b], _], &[[_, before], [va, vb], [_, after]], left, right| {
            let (alpha, beta) = weights(left, right);
            let cross = -4.0 * alpha * a;
            let ties = one_if(left) * (20.2 * vb + 19.8 * before) + one_if(right) * (20.2 * vb + 19.8 * after);
            [(alpha * (12.0 * a * a - 4.0 * b) + 2.0 * beta) * va + cross * vb, cross * va + 2.0 * alpha * vb + ties]
        });
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        let (n_pairs, mut out) = (x.len() / 2, out.iter_mut());
        let mut push = |value: f64| {
            if let Some(o) = out.next() {
                *o = value;
            }
        };
        for (p, &[a, b]) in (columns.start / 2..columns.end / 2).zip(&x.as_chunks::<2>().0[columns.start / 2..]) {
            let (left, right) = (p > 0, p + 1 < n_pairs);
            let (alpha, beta) = weights(left, right);
            let cross = -4.0 * alpha * a;
            push(alpha * (12.0 * a * a - 4.0 * b) + 2.0 * beta);
            push(cross);
            if left {
                push(19.8);
            }
            push(cross);
            push(2.0 * alpha + 20.2 * (one_if(left) + one_if(right)));
            if right {
                push(19.8);
            }
        }
    }
}
