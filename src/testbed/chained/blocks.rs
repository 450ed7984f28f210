//! Sums of one function over disjoint blocks of variables; block diagonal Hessians. Moré, Garbow and Hillstrom (1981),
//! problems 21 (extended Rosenbrock), 22 (extended Powell singular) and copies of 14 (Wood).

use crate::error::Result;
use crate::linalg::operator::Pattern;
use crate::testbed::local::Kernel;
use std::ops::Range;

/// A function of `N` variables whose Hessian has `NNZ` stored entries.
pub(super) trait Block<const N: usize, const NNZ: usize>: Send + Sync {
    /// Off-diagonal entries of the Hessian, one of each symmetric pair.
    const PAIRS: &'static [(usize, usize)];
    fn value(b: &[f64; N]) -> f64;
    fn gradient(b: &[f64; N]) -> [f64; N];
    fn product(b: &[f64; N], v: &[f64; N]) -> [f64; N];
    /// Stored values by columns, rows in order.
    fn entries(b: &[f64; N]) -> [f64; NNZ];
}

/// Disjoint copies of a block over all variables.
pub(super) struct Blocks<B, const N: usize, const NNZ: usize> {
    n: usize,
    block: std::marker::PhantomData<B>,
}

impl<B, const N: usize, const NNZ: usize> Blocks<B, N, NNZ> {
    pub(super) fn new(n: usize) -> Self {
        Self { n, block: std::marker::PhantomData }
    }
}

impl<B: Block<N, NNZ>, const N: usize, const NNZ: usize> Kernel for Blocks<B, N, NNZ> {
    fn dim(&self) -> usize {
        self.n
    }

    fn unit(&self) -> usize {
        N
    }

    fn pattern(&self) -> Result<Pattern> {
        let copies = (0..self.n / N).map(|k| k * N);
        Pattern::from_pairs(self.n, copies.flat_map(|at| B::PAIRS.iter().map(move |&(i, j)| (at + i, at + j))))
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let (fours, rest) = x[range].as_chunks::<N>().0.as_chunks::<4>();
        let mut s = [0.0; 4];
        for blocks in fours {
            for (s, block) in s.iter_mut().zip(blocks) {
                *s += B::value(block);
            }
        }
        (s[0] + s[1]) + (s[2] + s[3]) + rest.iter().map(B::value).sum::<f64>()
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        for (o, b) in out.as_chunks_mut::<N>().0.iter_mut().zip(x[first..].as_chunks::<N>().0) {
            *o = B::gradient(b);
        }
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        let points = x[first..].as_chunks::<N>().0.iter().zip(v[first..].as_chunks::<N>().0);
        for (o, (b, v)) in out.as_chunks_mut::<N>().0.iter_mut().zip(points) {
            *o = B::product(b, v);
        }
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        for (o, b) in out.as_chunks_mut::<NNZ>().0.iter_mut().zip(x[columns].as_chunks::<N>().0) {
            *o = B::entries(b);
        }
    }
}

/// `100 (b − a²)² + (1 − a)²`.
pub(super) struct Rosenbrock;

impl Block<2, 4> for Rosenbrock {
    const PAIRS: &'static [(usize, usize)] = &[(0, 1)];

    #[inline(always)]
    fn value(&[a, b]: &[f64; 2]) -> f64 {
        let (t, u) = (b - a * a, 1.0 - a);
        100.0 * (t * t) + u * u
    }

    #[inline(always)]
    fn gradient(&[a, b]: &[f64; 2]) -> [f64; 2] {
        let t = b - a * a;
        [-400.0 * a * t - 2.0 * (1.0 - a), 200.0 * t]
    }

    #[inline(always)]
    fn product(&[a, b]: &[f64; 2], &[va, vb]: &[f64; 2]) -> [f64; 2] {
        [(1200.0 * a * a - 400.0 * b + 2.0) * va - 400.0 * a * vb, 200.0 * vb - 400.0 * a * va]
    }

    #[inline(always)]
    fn entries(&[a, b]: &[f64; 2]) -> [f64; 4] {
        let cross = -400.0 * a;
        [1200.0 * a * a - 400.0 * b + 2.0, cross, cross, 200.0]
    }
}

/// `(a + 10b)² + 5 (c − d)² + (b − 2c)⁴ + 10 (a − d)⁴`; its Hessian is singular at the minimum.
pub(super) struct Powell;

impl Block<4, 12> for Powell {
    const PAIRS: &'static [(usize, usize)] = &[(0, 1), (1, 2), (2, 3), (0, 3)];

    #[inline(always)]
    fn value(&[a, b, c, d]: &[f64; 4]) -> f64 {
        let (s, t, u, w) = (a + 10.0 * b, c - d, b - 2.0 * c, a - d);
        let (u, w) = (u * u, w * w);
        s * s + 5.0 * (t * t) + u * u + 10.0 * (w * w)
    }

    #[inline(always)]
    fn gradient(&[a, b, c, d]: &[f64; 4]) -> [f64; 4] {
        let (s, t, u, w) = (a + 10.0 * b, c - d, b - 2.0 * c, a - d);
        let (u, w) = (4.0 * u * u * u, 40.0 * w * w * w);
        [2.0 * s + w, 20.0 * s + u, 10.0 * t - 2.0 * u, -10.0 * t - w]
    }

    #[inline(always)]
    fn product(&[a, b, c, d]: &[f64; 4], &[p, q, r, t]: &[f64; 4]) -> [f64; 4] {
        let (u, w) = (b - 2.0 * c, a - d);
        let (su, sw) = (12.0 * u * u * (q - 2.0 * r), 120.0 * w * w * (p - t));
        let (s, e) = (p + 10.0 * q, 10.0 * (r - t));
        [2.0 * s + sw, 20.0 * s + su, e - 2.0 * su, -e - sw]
    }

    #[inline(always)]
    fn entries(&[a, b, c, d]: &[f64; 4]) -> [f64; 12] {
        let (u, w) = (b - 2.0 * c, a - d);
        let (u, w) = (12.0 * u * u, 120.0 * w * w);
        [2.0 + w, 20.0, -w, 20.0, 200.0 + u, -2.0 * u, -2.0 * u, 10.0 + 4.0 * u, -10.0, -w, -10.0, 10.0 + w]
    }
}

/// `100 (b−a²)² + (1−a)² + 90 (d−c²)² + (1−c)² + 10 (b+d−2)² + (b−d)²/10`.
pub(super) struct Wood;

impl Block<4, 10> for Wood {
    const PAIRS: &'static [(usize, usize)] = &[(0, 1), (2, 3), (1, 3)];

    #[inline(always)]
    fn value(&[a, b, c, d]: &[f64; 4]) -> f64 {
        let (p, q, r, s, t, u) = (b - a * a, 1.0 - a, d - c * c, 1.0 - c, b + d - 2.0, b - d);
        100.0 * (p * p) + q * q + 90.0 * (r * r) + s * s + 10.0 * (t * t) + 0.1 * (u * u)
    }

    #[inline(always)]
    fn gradient(&[a, b, c, d]: &[f64; 4]) -> [f64; 4] {
        let (p, r, s, t) = (b - a * a, d - c * c, 20.0 * (b + d - 2.0), 0.2 * (b - d));
        [-400.0 * a * p - 2.0 * (1.0 - a), 200.0 * p + s + t, -360.0 * c * r - 2.0 * (1.0 - c), 180.0 * r + s - t]
    }

    #[inline(always)]
    fn product(&[a, b, c, d]: &[f64; 4], &[p, q, r, s]: &[f64; 4]) -> [f64; 4] {
        [
            (1200.0 * a * a - 400.0 * b + 2.0) * p - 400.0 * a * q,
            -400.0 * a * p + 220.2 * q + 19.8 * s,
            (1080.0 * c * c - 360.0 * d + 2.0) * r - 360.0 * c * s,
            -360.0 * c * r + 200.2 * s + 19.8 * q,
        ]
    }

    #[inline(always)]
    fn entries(&[a, b, c, d]: &[f64; 4]) -> [f64; 10] {
        let (ab, cd) = (-400.0 * a, -360.0 * c);
        let (aa, cc) = (1200.0 * a * a - 400.0 * b + 2.0, 1080.0 * c * c - 360.0 * d + 2.0);
        [aa, ab, ab, 220.2, 19.8, cc, cd, 19.8, cd, 200.2]
    }
}
