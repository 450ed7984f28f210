//! `PAPᵀ = LDLᵀ` of a dense symmetric indefinite matrix with rook pivoting: `L` unit lower triangular with bounded
//! entries, `D` block diagonal with blocks of order one and two.
//!
//! # Reference
//! Bunch & Kaufman (1977), Math. Comp. 31; Ashcraft, Grimes & Lewis (1998), SIMAX 20(2) (rook pivoting); Cheng & Higham
//! (1998), SIMAX 19(4) (modified factorization); Moré & Sorensen (1979), Math. Prog. 16 (negative curvature).

use super::dense::{load_entries, parallelism};
use super::scratch::Scratch;
use crate::error::Result;
use crate::linalg::operator::SymmetricOperator;
use crate::linalg::vector::{axpy, dot, norm, norm_inf, scale};
use faer::linalg::cholesky::lblt::factor as lblt;
use faer::{Auto, MatMut};
use pulp::Arch;

/// Up to this dimension the plain loops are faster than the blocked factorization.
const SMALL: usize = 64;

/// Numbers of positive, negative and zero eigenvalues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inertia {
    /// Positive eigenvalues.
    pub positive: usize,
    /// Negative eigenvalues.
    pub negative: usize,
    /// Eigenvalues of `D` within `n ε max|D|` of zero.
    pub zero: usize,
}

/// How [`BunchKaufman::solve_modified`] makes the eigenvalues `λ` of the blocks of `D` positive, with
/// `δ = √ε ‖A‖_F`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Modification {
    /// `max(|λ|, δ)`: a step along negative curvature keeps the scale of the curvature.
    #[default]
    Absolute,
    /// `max(λ, δ)` (Cheng & Higham 1998): the smallest change of `A`, and long steps along negative curvature.
    Smallest,
}

/// Dense `LDLᵀ`, with rook pivoting up to dimension 64 and partial pivoting beyond; keeps its buffers between calls.
///
/// # Example
/// ```
/// use curvkit::linalg::{factor::BunchKaufman, operator::DenseMatrix};
/// let a = DenseMatrix::new(2, vec![0.0, 1.0, 1.0, 0.0])?; // eigenvalues 1 and −1
/// let mut factor = BunchKaufman::default();
/// factor.factor(&a)?;
/// let inertia = factor.inertia();
/// assert_eq!((inertia.positive, inertia.negative, inertia.zero), (1, 1, 0));
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct BunchKaufman {
    n: usize,
    /// `L` below the diagonal, by columns; what is on and above it means nothing.
    l: Vec<f64>,
    /// Diagonal of `D`, and its subdiagonal: `e_k ≠ 0` makes `k, k+1` a block.
    d: Vec<f64>,
    e: Vec<f64>,
    /// Old index of each new one.
    order: Vec<usize>,
    inverse: Vec<usize>,
    frobenius: f64,
    work: Vec<f64>,
    scratch: Scratch,
}

/// A block of `D` through its eigenvalues and unit eigenvectors: `λ₁` with `(c, s)`, `λ₂` with `(−s, c)`.
#[derive(Debug, Clone, Copy)]
struct Block {
    values: [f64; 2],
    c: f64,
    s: f64,
    size: usize,
}

impl Block {
    /// Of `[a b; b d]`, or `[a]` where `b = 0`.
    fn new(a: f64, b: f64, d: f64) -> Self {
        if b == 0.0 {
            return Self { values: [a, a], c: 1.0, s: 0.0, size: 1 };
        }
        let half = 0.5 * a - 0.5 * d;
        let radius = half.hypot(b);
        let mean = 0.5 * a + 0.5 * d;
        // The angle of the eigenvector of the larger eigenvalue: tan 2θ = 2b/(a − d).
        let theta = 0.5 * b.atan2(half);
        // The smaller eigenvalue in magnitude through the determinant would overflow; the sum is exact enough here,
        // since pivoting makes the off-diagonal entry dominate.
        Self { values: [mean + radius, mean - radius], c: theta.cos(), s: theta.sin(), size: 2 }
    }

    /// Writes `Σ_i q_i f(λ_i) q_iᵀ y` over `y`.
    fn map(&self, f: impl Fn(f64) -> f64, y: &mut [f64]) {
        if self.size == 1 {
            y[0] *= f(self.values[0]);
            return;
        }
        let u = (self.c * y[0] + self.s * y[1]) * f(self.values[0]);
        let w = (self.c * y[1] - self.s * y[0]) * f(self.values[1]);
        y[0] = self.c * u - self.s * w;
        y[1] = self.s * u + self.c * w;
    }
}

impl BunchKaufman {
    /// Factors the operator's matrix (product-only operators are formed first). Never fails on a finite matrix.
    ///
    /// # Errors
    /// [`Error::NonFinite`](crate::Error::NonFinite), [`Error::Dimension`](crate::Error::Dimension), errors of products.
    pub fn factor(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        let n = operator.dim();
        self.n = n;
        load_entries(operator, &mut self.l)?;
        let largest = norm_inf(&self.l);
        self.frobenius = norm(&self.l).max(largest);
        for buffer in [&mut self.d, &mut self.e, &mut self.work] {
            buffer.clear();
            buffer.resize(n, 0.0);
        }
        self.order.clear();
        self.order.extend(0..n);
        if n <= SMALL {
            let Self { l, d, e, order, .. } = self;
            Arch::new().dispatch(
                #[inline(always)]
                || factor_rook(l, n, d, e, order),
            );
            return Ok(());
        }
        self.inverse.resize(n, 0);
        let mut parameters = <lblt::LbltParams as Auto<f64>>::auto();
        // Partial (Bunch–Kaufman) pivoting: a run with rook pivoting on a matrix of low rank was not seen to end, for
        // a cause not isolated. The entries of L are then not bounded.
        parameters.pivoting = lblt::PivotingStrategy::Partial;
        let par = parallelism(n);
        let stack = self.scratch.stack(lblt::cholesky_in_place_scratch::<usize, f64>(n, par, parameters.into()));
        let matrix = MatMut::from_column_major_slice_mut(&mut self.l, n, n);
        let e = faer::diag::DiagMut::from_slice_mut(&mut self.e);
        lblt::cholesky_in_place(matrix, e, &mut self.order, &mut self.inverse, par, stack, parameters.into());
        for k in 0..n {
            self.d[k] = self.l[k * n + k];
        }
        Ok(())
    }

    /// Dimension.
    pub fn dim(&self) -> usize {
        self.n
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, Block)> + '_ {
        let mut k = 0;
        std::iter::from_fn(move || {
            if k >= self.n {
                return None;
            }
            let at = k;
            let next = if k + 1 < self.n { self.d[k + 1] } else { 0.0 };
            let block = Block::new(self.d[k], if k + 1 < self.n { self.e[k] } else { 0.0 }, next);
            k += block.size;
            Some((at, block))
        })
    }

    /// Signs of the eigenvalues of `A` (Sylvester's law).
    pub fn inertia(&self) -> Inertia {
        let values = || self.blocks().flat_map(|(_, b)| b.values.into_iter().take(b.size));
        let zero = self.n as f64 * f64::EPSILON * values().fold(0.0f64, |m, v| m.max(v.abs()));
        let mut inertia = Inertia::default();
        for v in values() {
            if v.abs() <= zero {
                inertia.zero += 1;
            } else if v > 0.0 {
                inertia.positive += 1;
            } else {
                inertia.negative += 1;
            }
        }
        inertia
    }

    /// `δ = √ε ‖A‖_F`, the smallest eigenvalue a modified block may have (1 for `A = 0`).
    pub fn threshold(&self) -> f64 {
        let delta = f64::EPSILON.sqrt() * self.frobenius;
        if delta > 0.0 { delta } else { 1.0 }
    }

    /// `x ← A⁻¹ b`; entries are infinite or NaN if `A` is singular.
    ///
    /// `b` and `x` have length [`dim`](Self::dim).
    pub fn solve(&mut self, b: &[f64], x: &mut [f64]) {
        self.solve_with(|v| 1.0 / v, b, x);
    }

    /// `x ← Ã⁻¹ b` where `Ã` is `A` with the eigenvalues of the blocks of `D` made positive, so that `bᵀx > 0`.
    ///
    /// `b` and `x` have length [`dim`](Self::dim).
    pub fn solve_modified(&mut self, rule: Modification, b: &[f64], x: &mut [f64]) {
        let delta = self.threshold();
        match rule {
            Modification::Absolute => self.solve_with(|v| 1.0 / v.abs().max(delta), b, x),
            Modification::Smallest => self.solve_with(|v| 1.0 / v.max(delta), b, x),
        }
    }

    fn solve_with(&mut self, f: impl Fn(f64) -> f64, b: &[f64], x: &mut [f64]) {
        if b.len() != self.n || x.len() != self.n {
            x.fill(f64::NAN);
            return;
        }
        let mut y = std::mem::take(&mut self.work);
        y.iter_mut().zip(&self.order).for_each(|(y, &i)| *y = b[i]);
        self.forward(&mut y);
        self.blocks().for_each(|(k, block)| block.map(&f, &mut y[k..k + block.size]));
        self.backward(&mut y);
        y.iter().zip(&self.order).for_each(|(y, &i)| x[i] = *y);
        self.work = y;
    }

    fn forward(&self, y: &mut [f64]) {
        let n = self.n;
        for (k, block) in self.blocks() {
            let first = k + block.size;
            let (head, tail) = y.split_at_mut(first);
            for j in k..first {
                axpy(-head[j], &self.l[j * n + first..(j + 1) * n], tail);
            }
        }
    }

    fn backward(&self, y: &mut [f64]) {
        let n = self.n;
        let mut k = n;
        while k > 0 {
            let size = if k >= 2 && self.e[k - 2] != 0.0 { 2 } else { 1 };
            let (head, tail) = y.split_at_mut(k);
            for j in k - size..k {
                head[j] -= dot(&self.l[j * n + k..(j + 1) * n], tail);
            }
            k -= size;
        }
    }

    /// Writes a unit vector of negative curvature and returns `vᵀAv < 0`; `None`, `v` untouched, if `A` has none
    /// beyond rounding. It solves `LᵀPv = z` with `z` the eigenvector of the most negative block.
    pub fn negative_direction(&mut self, v: &mut [f64]) -> Option<f64> {
        if v.len() != self.n || self.inertia().negative == 0 {
            return None;
        }
        let lowest = |b: &Block| if b.size == 1 { b.values[0] } else { b.values[1] };
        let (k, block) = self.blocks().min_by(|a, b| lowest(&a.1).total_cmp(&lowest(&b.1)))?;
        let mut y = std::mem::take(&mut self.work);
        y.fill(0.0);
        if block.size == 1 {
            y[k] = 1.0;
        } else {
            (y[k], y[k + 1]) = (-block.s, block.c);
        }
        self.backward(&mut y);
        let length = norm(&y);
        scale(1.0 / length, &mut y);
        y.iter().zip(&self.order).for_each(|(y, &i)| v[i] = *y);
        self.work = y;
        Some(lowest(&block) / length / length)
    }
}

/// Unblocked rook factorization of the full symmetric `n × n` matrix `a`, column-major.
#[inline(always)]
fn factor_rook(a: &mut [f64], n: usize, d: &mut [f64], e: &mut [f64], order: &mut [usize]) {
    let alpha = (1.0 + 17.0f64.sqrt()) / 8.0;
    let mut k = 0;
    while k < n {
        // Largest entry of column j from row k on, the diagonal left out.
        let largest = |a: &[f64], j: usize| {
            let mut best = (j, 0.0);
            for i in (k..n).filter(|&i| i != j) {
                if a[j * n + i].abs() > best.1 {
                    best = (i, a[j * n + i].abs());
                }
            }
            best
        };
        let (mut r, mut column) = largest(a, k);
        let mut size = 1;
        if a[k * n + k].abs() < alpha * column {
            let mut p = k;
            loop {
                let (c, row) = largest(a, r);
                if a[r * n + r].abs() >= alpha * row {
                    swap(a, n, k, k, r, order);
                    break;
                }
                // The maxima rise strictly, so the search ends; the test is written to end on NaN too.
                if c == p || !(row > column) {
                    swap(a, n, k, k, p, order);
                    swap(a, n, k, k + 1, if r == k { p } else { r }, order);
                    size = 2;
                    break;
                }
                (p, column, r) = (r, row, c);
            }
        }
        if size == 1 {
            eliminate_one(a, n, k);
            d[k] = a[k * n + k];
        } else {
            (d[k], d[k + 1], e[k]) = (a[k * n + k], a[(k + 1) * n + k + 1], a[k * n + k + 1]);
            eliminate_two(a, n, k);
        }
        k += size;
    }
}

/// Symmetric interchange of `i` and `j` in the trailing matrix from `k` on, and of the rows of `L` ahead of it.
#[inline(always)]
fn swap(a: &mut [f64], n: usize, k: usize, i: usize, j: usize, order: &mut [usize]) {
    if i == j {
        return;
    }
    order.swap(i, j);
    for row in k..n {
        a.swap(i * n + row, j * n + row);
    }
    for column in 0..n {
        a.swap(column * n + i, column * n + j);
    }
}

#[inline(always)]
fn eliminate_one(a: &mut [f64], n: usize, k: usize) {
    let pivot = a[k * n + k];
    if pivot == 0.0 {
        return;
    }
    let (head, tail) = a.split_at_mut((k + 1) * n);
    let column = &mut head[k * n + k + 1..(k + 1) * n];
    for (next, &c) in tail.chunks_exact_mut(n).zip(column.iter()) {
        let f = c / pivot;
        next[k + 1..].iter_mut().zip(column.iter()).for_each(|(x, c)| *x -= f * c);
    }
    column.iter_mut().for_each(|c| *c /= pivot);
}

#[inline(always)]
fn eliminate_two(a: &mut [f64], n: usize, k: usize) {
    // Scaled by the off-diagonal entry, which dominates: D = b [p 1; 1 q].
    let b = a[k * n + k + 1];
    let (p, q) = (a[k * n + k] / b, a[(k + 1) * n + k + 1] / b);
    let t = 1.0 / (p * q - 1.0);
    let (head, tail) = a.split_at_mut((k + 2) * n);
    let (first, second) = head[k * n..].split_at_mut(n);
    let (c0, c1) = (&mut first[k + 2..], &mut second[k + 2..n]);
    let multipliers = |x: f64, y: f64| (t * (q * (x / b) - y / b), t * (p * (y / b) - x / b));
    for (j, next) in tail.chunks_exact_mut(n).enumerate() {
        let (f0, f1) = multipliers(c0[j], c1[j]);
        next[k + 2..].iter_mut().zip(c0.iter().zip(c1.iter())).for_each(|(x, (u, v))| *x -= f0 * u + f1 * v);
    }
    for (x, y) in c0.iter_mut().zip(c1.iter_mut()) {
        (*x, *y) = multipliers(*x, *y);
    }
}
