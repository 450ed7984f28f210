//! `f(x) = Σ rᵢ(x)²` with exact derivatives, assembled from residuals that are written once.
//!
//! A [`ResidualFunction`] visits its residuals in order and hands each one's value, gradient and Hessian to [`Terms`].
//! Each quantity is one kind of `Terms`, compiled together with the formulas, so that what it does not use is not
//! computed: `f = Σ r²`, `∇f = 2 Jᵀr`, `∇²f = 2 (JᵀJ + Σ rᵢ ∇²rᵢ)`.

use super::{Residuals, Work};
use crate::error::{Error, Result};
use crate::linalg::operator::{DenseMatrix, Pattern, SparseMatrix};
use crate::problem::{Function, HessianMatrix};
use std::sync::Arc;

/// A vector function `r: ℝⁿ → ℝᵐ` whose residuals are written with their first and second derivatives.
pub trait ResidualFunction: Send + Sync + 'static {
    /// Number of variables.
    fn n(&self) -> usize;
    /// Number of residuals.
    fn m(&self) -> usize;
    /// Gives every residual at `x` to `terms`, always in the same order and with the same indices.
    fn visit(&self, x: &[f64], terms: &mut impl Terms);
}

/// What becomes of the residuals that a [`ResidualFunction`] visits.
pub trait Terms {
    /// A residual of the few variables `at` (distinct): its value, `∂r/∂x` at those, and the lower triangle of its Hessian
    /// by rows (`h₀₀, h₁₀, h₁₁, h₂₀, …`), empty if it is linear.
    #[inline(always)]
    fn local<const K: usize>(&mut self, value: f64, at: [usize; K], gradient: [f64; K], hessian: &[f64]) {
        self.sparse(value, &at, &gradient, hessian);
    }
    /// The same for a number of variables that is known at run time; `at` and `gradient` have the same length.
    fn sparse(&mut self, value: f64, at: &[usize], gradient: &[f64], hessian: &[f64]);
    /// A residual of all variables: its value, `j ↦ ∂r/∂xⱼ`, and its Hessian.
    fn dense(&mut self, value: f64, gradient: &dyn Fn(usize) -> f64, hessian: Bend<'_>);
}

/// The Hessian of a residual of all variables.
#[derive(Clone, Copy)]
pub enum Bend<'a> {
    /// Zero: the residual is linear.
    Zero,
    /// `diag(d)`.
    Diagonal(&'a dyn Fn(usize) -> f64),
    /// `c a aᵀ`.
    Outer(f64, &'a dyn Fn(usize) -> f64),
    /// Entry `(j, k)`, symmetric.
    Full(&'a dyn Fn(usize, usize) -> f64),
}

/// `f = Σ rᵢ²` of a [`ResidualFunction`]: a [`Function`] and [`Residuals`].
pub struct SumOfSquares<R> {
    r: R,
    sparse: Option<Scatter>,
}

/// Where each second derivative goes in the values of a sparse Hessian, in the order of the visit.
struct Scatter {
    pattern: Arc<Pattern>,
    positions: Vec<[usize; 2]>,
}

/// Dense Hessians are as fast below this dimension.
const SPARSE_FROM: usize = 32;

impl<R: ResidualFunction> SumOfSquares<R> {
    /// Prepares the Hessian's storage: sparse from 32 variables if at most a quarter of it is filled, else dense.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a residual names a variable that is not there.
    pub fn new(r: R) -> Result<Self> {
        let n = r.n();
        if n < SPARSE_FROM {
            return Ok(Self { r, sparse: None });
        }
        let mut pairs = Pairs { list: Vec::new(), dense: false };
        r.visit(&vec![0.0; n], &mut pairs);
        if pairs.dense {
            return Ok(Self { r, sparse: None });
        }
        let pattern = Pattern::from_pairs(n, pairs.list.iter().copied())?;
        if 4 * pattern.nnz() > n * n {
            return Ok(Self { r, sparse: None });
        }
        let place = |i, j| pattern.position(i, j).ok_or(Error::Dimension { what: "sparse index", expected: n, found: i.max(j) });
        let positions = pairs.list.iter().map(|&(i, j)| Ok([place(i, j)?, place(j, i)?])).collect::<Result<_>>()?;
        Ok(Self { r, sparse: Some(Scatter { pattern: Arc::new(pattern), positions }) })
    }

    fn check(&self, x: &[f64]) -> Result<()> {
        Error::check_len("point", self.r.n(), x.len())
    }
}

impl<R: ResidualFunction> Function for SumOfSquares<R> {
    fn dim(&self) -> usize {
        self.r.n()
    }

    fn cost(&self, x: &[f64]) -> Result<f64> {
        self.check(x)?;
        let mut value = Value(0.0);
        self.r.visit(x, &mut value);
        Ok(value.0)
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x)?;
        Error::check_len("gradient", x.len(), out.len())?;
        out.fill(0.0);
        self.r.visit(x, &mut Gradient(out));
        Ok(())
    }

    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        self.check(x)?;
        if let Some(Scatter { pattern, positions }) = &self.sparse {
            let mut values = vec![0.0; pattern.nnz()];
            self.r.visit(x, &mut SparseHessian { values: &mut values, positions: positions.iter() });
            return Ok(HessianMatrix::Sparse(SparseMatrix::new(pattern.clone(), values)?));
        }
        // Not `x.len()`: for most problems this is a constant, which unrolls the loops below.
        let n = self.r.n();
        let mut entries = vec![0.0; n * n];
        self.r.visit(x, &mut DenseHessian { upper: &mut entries, n });
        for j in 1..n {
            for k in 0..j {
                entries[k * n + j] = entries[j * n + k];
            }
        }
        Ok(HessianMatrix::Dense(DenseMatrix::new(n, entries)?))
    }

    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x)?;
        Error::check_len("vector", x.len(), v.len())?;
        Error::check_len("product", x.len(), out.len())?;
        out.fill(0.0);
        self.r.visit(x, &mut Product { v, out });
        Ok(())
    }
}

impl<R: ResidualFunction> Residuals for SumOfSquares<R> {
    fn n(&self) -> usize {
        self.r.n()
    }

    fn m(&self) -> usize {
        self.r.m()
    }

    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x)?;
        Error::check_len("residuals", self.r.m(), out.len())?;
        self.r.visit(x, &mut Values(out.iter_mut()));
        Ok(())
    }

    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x)?;
        Error::check_len("Jacobian", self.r.m() * x.len(), out.len())?;
        out.fill(0.0);
        self.r.visit(x, &mut Jacobian { out, m: self.r.m(), row: 0 });
        Ok(())
    }
}

/// `Σ r²`.
struct Value(f64);

impl Terms for Value {
    #[inline(always)]
    fn sparse(&mut self, value: f64, _: &[usize], _: &[f64], _: &[f64]) {
        self.0 += value * value;
    }
    #[inline]
    fn dense(&mut self, value: f64, _: &dyn Fn(usize) -> f64, _: Bend<'_>) {
        self.0 += value * value;
    }
}

/// `r`.
struct Values<'a>(std::slice::IterMut<'a, f64>);

impl Terms for Values<'_> {
    #[inline(always)]
    fn sparse(&mut self, value: f64, _: &[usize], _: &[f64], _: &[f64]) {
        if let Some(o) = self.0.next() {
            *o = value;
        }
    }
    #[inline]
    fn dense(&mut self, value: f64, _: &dyn Fn(usize) -> f64, _: Bend<'_>) {
        if let Some(o) = self.0.next() {
            *o = value;
        }
    }
}

/// `J`, column-major.
struct Jacobian<'a> {
    out: &'a mut [f64],
    m: usize,
    row: usize,
}

impl Terms for Jacobian<'_> {
    #[inline(always)]
    fn sparse(&mut self, _: f64, at: &[usize], gradient: &[f64], _: &[f64]) {
        for (&j, g) in at.iter().zip(gradient) {
            self.out[j * self.m + self.row] = *g;
        }
        self.row += 1;
    }
    #[inline]
    fn dense(&mut self, _: f64, gradient: &dyn Fn(usize) -> f64, _: Bend<'_>) {
        for (j, column) in self.out.chunks_exact_mut(self.m).enumerate() {
            column[self.row] = gradient(j);
        }
        self.row += 1;
    }
}

/// `2 Jᵀr`.
struct Gradient<'a>(&'a mut [f64]);

impl Terms for Gradient<'_> {
    #[inline(always)]
    fn sparse(&mut self, value: f64, at: &[usize], gradient: &[f64], _: &[f64]) {
        for (&j, g) in at.iter().zip(gradient) {
            self.0[j] += 2.0 * value * g;
        }
    }
    #[inline]
    fn dense(&mut self, value: f64, gradient: &dyn Fn(usize) -> f64, _: Bend<'_>) {
        self.0.iter_mut().enumerate().for_each(|(j, o)| *o += 2.0 * value * gradient(j));
    }
}

/// Entry `(a, b)`, `b ≤ a`, of a packed lower triangle; zero if it is empty.
#[inline(always)]
fn packed(hessian: &[f64], a: usize, b: usize) -> f64 {
    hessian.get(a * (a + 1) / 2 + b).copied().unwrap_or(0.0)
}

/// The upper triangle of `2 (JᵀJ + Σ r ∇²r)` in a column-major square.
struct DenseHessian<'a> {
    upper: &'a mut [f64],
    n: usize,
}

impl Terms for DenseHessian<'_> {
    #[inline(always)]
    fn sparse(&mut self, value: f64, at: &[usize], gradient: &[f64], hessian: &[f64]) {
        let consecutive = at.windows(2).all(|pair| pair[1] == pair[0] + 1);
        for (a, (&i, ga)) in at.iter().zip(gradient).enumerate() {
            let (ga, bend) = (2.0 * ga, hessian.get(a * (a + 1) / 2..).unwrap_or(&[]));
            if consecutive {
                let column = &mut self.upper[i * self.n + i - a..=i * self.n + i];
                column.iter_mut().zip(gradient).for_each(|(o, gb)| *o += ga * gb);
                column.iter_mut().zip(bend).for_each(|(o, h)| *o += 2.0 * value * h);
                continue;
            }
            for (b, (&j, gb)) in at.iter().zip(gradient).take(a + 1).enumerate() {
                let bent = bend.get(b).copied().unwrap_or(0.0);
                self.upper[i.max(j) * self.n + i.min(j)] += ga * gb + 2.0 * value * bent;
            }
        }
    }

    fn dense(&mut self, value: f64, gradient: &dyn Fn(usize) -> f64, hessian: Bend<'_>) {
        let mut g = Work::zeros(self.n);
        g.fill_with(gradient);
        add_outer(2.0, &g, self.upper);
        match hessian {
            Bend::Zero => {}
            Bend::Diagonal(d) => {
                for (k, o) in self.upper.iter_mut().step_by(self.n + 1).enumerate() {
                    *o += 2.0 * value * d(k);
                }
            }
            Bend::Outer(c, a) => {
                g.fill_with(a);
                add_outer(2.0 * value * c, &g, self.upper);
            }
            Bend::Full(h) => {
                for (k, column) in self.upper.chunks_exact_mut(self.n).enumerate() {
                    column.iter_mut().take(k + 1).enumerate().for_each(|(j, o)| *o += 2.0 * value * h(j, k));
                }
            }
        }
    }
}

/// Adds the upper triangle of `c a aᵀ`.
fn add_outer(c: f64, a: &[f64], upper: &mut [f64]) {
    for (k, (column, ak)) in upper.chunks_exact_mut(a.len()).zip(a).enumerate() {
        column[..=k].iter_mut().zip(a).for_each(|(o, aj)| *o += c * ak * aj);
    }
}

/// `2 (JᵀJ + Σ r ∇²r)` in the values of a sparse matrix.
struct SparseHessian<'a> {
    values: &'a mut [f64],
    positions: std::slice::Iter<'a, [usize; 2]>,
}

impl Terms for SparseHessian<'_> {
    #[inline(always)]
    fn sparse(&mut self, value: f64, _: &[usize], gradient: &[f64], hessian: &[f64]) {
        for a in 0..gradient.len() {
            for b in 0..=a {
                let entry = 2.0 * (gradient[a] * gradient[b] + value * packed(hessian, a, b));
                if let Some(&[p, q]) = self.positions.next() {
                    self.values[p] += entry;
                    if p != q {
                        self.values[q] += entry;
                    }
                }
            }
        }
    }

    /// Not called: a function with such a residual has a dense Hessian.
    fn dense(&mut self, _: f64, _: &dyn Fn(usize) -> f64, _: Bend<'_>) {}
}

/// `2 (Jᵀ(Jv) + Σ r ∇²r v)`.
struct Product<'a> {
    v: &'a [f64],
    out: &'a mut [f64],
}

impl Terms for Product<'_> {
    #[inline(always)]
    fn sparse(&mut self, value: f64, at: &[usize], gradient: &[f64], hessian: &[f64]) {
        let along: f64 = at.iter().zip(gradient).map(|(&j, g)| g * self.v[j]).sum();
        for (a, (&i, g)) in at.iter().zip(gradient).enumerate() {
            self.out[i] += 2.0 * along * g;
            let bend = hessian.get(a * (a + 1) / 2..).unwrap_or(&[]);
            for (&j, h) in at.iter().zip(bend).take(a + 1) {
                let bent = 2.0 * value * h;
                self.out[i] += bent * self.v[j];
                if i != j {
                    self.out[j] += bent * self.v[i];
                }
            }
        }
    }

    fn dense(&mut self, value: f64, gradient: &dyn Fn(usize) -> f64, hessian: Bend<'_>) {
        let inner = |f: &dyn Fn(usize) -> f64| self.v.iter().enumerate().map(|(j, vj)| f(j) * vj).sum::<f64>();
        let along = inner(gradient);
        let across = if let Bend::Outer(c, a) = hessian { c * inner(a) } else { 0.0 };
        for (j, o) in self.out.iter_mut().enumerate() {
            let bent = match hessian {
                Bend::Zero => 0.0,
                Bend::Diagonal(d) => d(j) * self.v[j],
                Bend::Outer(_, a) => across * a(j),
                Bend::Full(h) => self.v.iter().enumerate().map(|(k, vk)| h(j, k) * vk).sum(),
            };
            *o += 2.0 * (along * gradient(j) + value * bent);
        }
    }
}

/// The pairs of variables that a residual couples, in the order of the visit.
struct Pairs {
    list: Vec<(usize, usize)>,
    dense: bool,
}

impl Terms for Pairs {
    fn sparse(&mut self, _: f64, at: &[usize], _: &[f64], _: &[f64]) {
        self.list.extend((0..at.len()).flat_map(|a| (0..=a).map(move |b| (at[a], at[b]))));
    }
    fn dense(&mut self, _: f64, _: &dyn Fn(usize) -> f64, _: Bend<'_>) {
        self.dense = true;
    }
}
