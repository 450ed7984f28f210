//! Block-tridiagonal K-FAC: a curvature whose *inverse* is block-tridiagonal and which agrees with the Kronecker blocks on the
//! diagonal and beside it (Martens & Grosse 2015, section 4.3).
//!
//! With `Ψᵢ = (A_{i,i+1} A_{i+1,i+1}⁻¹) ⊗ (G_{i,i+1} G_{i+1,i+1}⁻¹)` for neighbouring layers,
//! `F̂⁻¹ = Ξᵀ diag(Σᵢ)⁻¹ Ξ`, `Ξ` unit upper bidiagonal with `−Ψᵢ` beside its diagonal, and
//! `Σᵢ = A_{ii} ⊗ G_{ii} − Cᵢ ⊗ Dᵢ`, `Cᵢ = A_{i,i+1} A_{i+1,i+1}⁻¹ A_{i,i+1}ᵀ`, `Dᵢ` likewise from `G`; the last `Σ` is the block itself.
//! Damping is added to the factors first (their section 6.3).

use super::outer::OverParts;
use super::{Averaged, Curvature, GaussNewton, Invertible, OuterProducts};
use crate::counts::{self, Counts};
use crate::error::{Error, Result};
use crate::linalg::factor::SymmetricEigen;
use crate::linalg::matrix::{multiply, view};
use crate::linalg::vector::{axpy, scale};
use crate::linalg::{Operator, SymmetricOperator, Vector};
use crate::model::{Backward, Block as Part, Layer};
use crate::problem::{At, Evaluation, Supervised};
use std::sync::OnceLock;

/// Block-tridiagonal K-FAC for networks of dense layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TridiagonalKfac<S = GaussNewton> {
    /// Which signals.
    pub source: S,
}

/// The factors of every layer and of every pair of neighbours.
#[derive(Debug, Clone)]
pub struct TridiagonalFactors {
    layers: Vec<Pair>,
    /// `A_{i,i+1}` and `G_{i,i+1}`.
    between: Vec<Pair>,
}

/// `A` of `p.0 × p.1` and `G` of `q.0 × q.1`.
#[derive(Debug, Clone)]
struct Pair {
    p: (usize, usize),
    q: (usize, usize),
    a: Vec<f64>,
    g: Vec<f64>,
}

impl Pair {
    fn zeros(p: (usize, usize), q: (usize, usize)) -> Self {
        Self { p, q, a: vec![0.0; p.0 * p.1], g: vec![0.0; q.0 * q.1] }
    }
    fn dim(&self) -> usize {
        self.p.0 * self.q.0
    }
}

/// `Σ ā b̄ᵀ` for inputs with a trailing 1.
fn with_ones(a: &Layer<'_>, b: &Layer<'_>) -> Vec<f64> {
    let (k, l) = (a.inputs.nrows(), b.inputs.nrows());
    let sums = |layer: &Layer<'_>| {
        let mut sums = vec![0.0; layer.inputs.nrows()];
        layer.inputs.col_iter().for_each(|column| sums.iter_mut().zip(column.iter()).for_each(|(s, v)| *s += v));
        sums
    };
    let mut inner = vec![0.0; k * l];
    multiply(a.inputs, b.inputs.transpose(), &mut inner);
    let (left, right) = (sums(a), sums(b));
    let mut out = Vec::with_capacity((k + 1) * (l + 1));
    for (column, right) in inner.chunks_exact(k).zip(&right) {
        out.extend_from_slice(column);
        out.push(*right);
    }
    out.extend_from_slice(&left);
    out.push(a.inputs.ncols() as f64);
    out
}

fn product(l: faer::MatRef<'_, f64>, r: faer::MatRef<'_, f64>) -> Vec<f64> {
    let mut out = vec![0.0; l.nrows() * r.ncols()];
    multiply(l, r, &mut out);
    out
}

impl<S: OuterProducts> TridiagonalKfac<S> {
    /// The factors at a point.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for models that are not made of dense layers, or a loss that is no likelihood where one is
    /// needed.
    pub fn factors(&self, at: &Evaluation) -> Result<TridiagonalFactors> {
        let mut sums = OverParts::<Option<TridiagonalFactors>>::default();
        let weight = self.source.each(at, &mut |pass| {
            sums.add(&*pass, |part, sums| {
                let layers = dense_layers(part, at)?;
                let factors = sums.get_or_insert_with(|| TridiagonalFactors::of_inputs(&layers, at.weight()));
                for (layer, pair) in layers.iter().zip(&mut factors.layers) {
                    axpy(1.0, &product(layer.signals, layer.signals.transpose()), &mut pair.g);
                }
                for (layer, pair) in layers.windows(2).zip(&mut factors.between) {
                    axpy(1.0, &product(layer[0].signals, layer[1].signals.transpose()), &mut pair.g);
                }
                Ok(())
            })
        })?;
        let missing = Error::Unsupported { what: "a K-FAC matrix", requirement: "a loss with curvature" };
        let mut factors = sums.total(|a, b| Some(a?.join(b?))).flatten().ok_or(missing)?;
        let each = weight / (at.weight() * at.n() as f64);
        factors.layers.iter_mut().chain(&mut factors.between).for_each(|pair| scale(each, &mut pair.g));
        Ok(factors)
    }
}

fn dense_layers<'a>(pass: &'a dyn Backward, at: &Evaluation) -> Result<Vec<Layer<'a>>> {
    let layers = pass.layers();
    let dense = layers.len() == at.layout().len() && layers.iter().all(|layer| layer.positions == 1);
    let missing = Error::Unsupported { what: "a block-tridiagonal K-FAC matrix", requirement: "a model made of dense layers" };
    if dense { Ok(layers) } else { Err(missing) }
}

impl TridiagonalFactors {
    fn of_inputs(layers: &[Layer<'_>], weight: f64) -> Self {
        let pair = |a: &Layer<'_>, b: &Layer<'_>| {
            let (p, q) = ((a.inputs.nrows() + 1, b.inputs.nrows() + 1), (a.signals.nrows(), b.signals.nrows()));
            let mut pair = Pair::zeros(p, q);
            pair.a = with_ones(a, b);
            scale(weight, &mut pair.a);
            pair
        };
        let between = layers.windows(2).map(|l| pair(&l[0], &l[1])).collect();
        Self { layers: layers.iter().map(|l| pair(l, l)).collect(), between }
    }

    /// Adds the sums over other samples.
    fn join(mut self, other: Self) -> Self {
        let pairs = self.layers.iter_mut().chain(&mut self.between);
        for (these, those) in pairs.zip(other.layers.iter().chain(&other.between)) {
            axpy(1.0, &those.a, &mut these.a);
            axpy(1.0, &those.g, &mut these.g);
        }
        self
    }

    /// `F̂` for factors damped by `λ`, as `A + π√λ I` and `G + π⁻¹√λ I`; with no damping, singular factors are inverted on
    /// their range.
    ///
    /// # Errors
    /// [`Error::Config`] for a negative damping; what the eigendecompositions report.
    pub fn damped(&self, damping: f64) -> Result<Tridiagonal> {
        Error::check_option(damping >= 0.0, "damping", "at least 0", damping)?;
        let mut layers = self.layers.clone();
        for pair in &mut layers {
            let (p, q, root) = (pair.p.0, pair.q.0, damping.sqrt());
            let mean = |m: &[f64], n: usize| m.iter().step_by(n + 1).sum::<f64>() / n as f64;
            let ratio = mean(&pair.a, p) / mean(&pair.g, q);
            let pi = if ratio > 0.0 && ratio.is_finite() { ratio.sqrt() } else { 1.0 };
            pair.a.iter_mut().step_by(p + 1).for_each(|d| *d += pi * root);
            pair.g.iter_mut().step_by(q + 1).for_each(|d| *d += root / pi);
        }
        let mut blocks = Vec::with_capacity(layers.len());
        for (i, pair) in layers.iter().enumerate() {
            let next = self.between.get(i).map(|between| Link::new(between, &layers[i + 1])).transpose()?;
            blocks.push(Block::new(pair, next)?);
        }
        Ok(Tridiagonal { blocks })
    }
}

/// `X = Q diag(1/λ) Qᵀ` on the range of a positive semidefinite matrix, as the factor `Q diag(λ^{-1/2})`.
fn inverse_root(n: usize, matrix: &[f64]) -> Result<Vec<f64>> {
    let mut eigen = SymmetricEigen::default();
    eigen.factor(n, matrix)?;
    let smallest = eigen.values()[n - 1] * n as f64 * f64::EPSILON;
    let mut root = eigen.vectors().to_vec();
    for (column, value) in root.chunks_exact_mut(n).zip(eigen.values()) {
        scale(if *value > smallest { 1.0 / value.sqrt() } else { 0.0 }, column);
    }
    Ok(root)
}

/// `Ψ` of a layer and its neighbour: `left ⊗ right`, and `C`, `D`.
#[derive(Debug, Clone)]
struct Link {
    p: (usize, usize),
    q: (usize, usize),
    /// `A_{i,i+1} A_{i+1,i+1}⁻¹`.
    a: Vec<f64>,
    /// `G_{i,i+1} G_{i+1,i+1}⁻¹`.
    g: Vec<f64>,
    c: Vec<f64>,
    d: Vec<f64>,
}

impl Link {
    fn new(between: &Pair, next: &Pair) -> Result<Self> {
        let half = |cross: &[f64], rows: usize, n: usize, matrix: &[f64]| -> Result<(Vec<f64>, Vec<f64>)> {
            let root = inverse_root(n, matrix)?;
            let half = product(view(cross, rows), view(&root, n));
            let whole = product(view(&half, rows), view(&root, n).transpose());
            let gram = product(view(&half, rows), view(&half, rows).transpose());
            Ok((whole, gram))
        };
        let (a, c) = half(&between.a, between.p.0, next.p.0, &next.a)?;
        let (g, d) = half(&between.g, between.q.0, next.q.0, &next.g)?;
        Ok(Self { p: between.p, q: between.q, a, g, c, d })
    }

    /// `Ψ v` for a vector of the neighbour.
    fn forward(&self, v: &[f64]) -> Vec<f64> {
        let half = product(view(&self.g, self.q.0), view(v, self.q.1));
        product(view(&half, self.q.0), view(&self.a, self.p.0).transpose())
    }

    /// `Ψᵀ v` for a vector of the layer.
    fn back(&self, v: &[f64]) -> Vec<f64> {
        let half = product(view(&self.g, self.q.0).transpose(), view(v, self.q.0));
        product(view(&half, self.q.1), view(&self.a, self.p.0))
    }
}

/// `Σᵢ` with its inverse, and the link to the next layer.
#[derive(Debug, Clone)]
struct Block {
    pair: Pair,
    next: Option<Link>,
    /// `K` with `K₁ᵀ A K₁ = I` and `K₁ᵀ C K₁` diagonal, and the same for `G` and `D`.
    inputs: Vec<f64>,
    outputs: Vec<f64>,
    /// `1/(1 − s₂s₁ᵀ)`.
    values: Vec<f64>,
}

impl Block {
    fn new(pair: &Pair, next: Option<Link>) -> Result<Self> {
        let diagonalize = |n: usize, matrix: &[f64], minus: Option<&[f64]>| -> Result<(Vec<f64>, Vec<f64>)> {
            let root = inverse_root(n, matrix)?;
            let Some(minus) = minus else { return Ok((root, vec![0.0; n])) };
            let half = product(view(&root, n).transpose(), view(minus, n));
            let mut eigen = SymmetricEigen::default();
            eigen.factor(n, &symmetrized(n, product(view(&half, n), view(&root, n))))?;
            Ok((product(view(&root, n), view(eigen.vectors(), n)), eigen.values().to_vec()))
        };
        let (inputs, s1) = diagonalize(pair.p.0, &pair.a, next.as_ref().map(|link| &link.c[..]))?;
        let (outputs, s2) = diagonalize(pair.q.0, &pair.g, next.as_ref().map(|link| &link.d[..]))?;
        let values = s1.iter().flat_map(|s1| s2.iter().map(move |s2| 1.0 / (1.0 - s1 * s2))).collect();
        Ok(Self { pair: pair.clone(), next, inputs, outputs, values })
    }

    /// `Σ v`.
    fn apply(&self, v: &[f64]) -> Vec<f64> {
        let (p, q) = (self.pair.p.0, self.pair.q.0);
        let sandwich = |g: &[f64], a: &[f64]| product(view(&product(view(g, q), view(v, q)), q), view(a, p));
        let mut out = sandwich(&self.pair.g, &self.pair.a);
        if let Some(link) = &self.next {
            axpy(-1.0, &sandwich(&link.d, &link.c), &mut out);
        }
        out
    }

    /// `Σ⁻¹ v = vec(K₂ [(K₂ᵀ V K₁) ⊘ (1 − s₂s₁ᵀ)] K₁ᵀ)`.
    fn solve(&self, v: &[f64]) -> Vec<f64> {
        let (p, q) = (self.pair.p.0, self.pair.q.0);
        let (inputs, outputs) = (view(&self.inputs, p), view(&self.outputs, q));
        let mut turned = product(view(&product(outputs.transpose(), view(v, q)), q), inputs);
        turned.iter_mut().zip(&self.values).for_each(|(t, e)| *t *= e);
        product(view(&product(outputs, view(&turned, q)), q), inputs.transpose())
    }
}

fn symmetrized(n: usize, mut matrix: Vec<f64>) -> Vec<f64> {
    for j in 0..n {
        for i in 0..j {
            let mean = 0.5 * (matrix[j * n + i] + matrix[i * n + j]);
            (matrix[j * n + i], matrix[i * n + j]) = (mean, mean);
        }
    }
    matrix
}

/// `F̂` for given factors: products with it and with its block-tridiagonal inverse.
#[derive(Debug, Clone)]
pub struct Tridiagonal {
    blocks: Vec<Block>,
}

impl Tridiagonal {
    fn dim(&self) -> usize {
        self.blocks.iter().map(|block| block.pair.dim()).sum()
    }

    fn parts<'v>(&self, v: &'v [f64]) -> Vec<&'v [f64]> {
        let mut rest = v;
        let mut part = |block: &Block| {
            let (first, others) = rest.split_at(block.pair.dim());
            rest = others;
            first
        };
        self.blocks.iter().map(&mut part).collect()
    }

    /// `out ← F̂⁻¹ v = Ξᵀ diag(Σᵢ)⁻¹ Ξ v`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong.
    pub fn apply_inverse(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        let parts = self.parts(v);
        let mut carried: Option<Vec<f64>> = None;
        let mut start = 0;
        for (i, block) in self.blocks.iter().enumerate() {
            let mut w = parts[i].to_vec();
            if let Some(link) = &block.next {
                axpy(-1.0, &link.forward(parts[i + 1]), &mut w);
            }
            let solved = block.solve(&w);
            let part = &mut out[start..start + solved.len()];
            start += solved.len();
            part.copy_from_slice(&solved);
            if let Some(before) = carried.take() {
                axpy(-1.0, &before, part);
            }
            carried = block.next.as_ref().map(|link| link.back(&solved));
        }
        Ok(())
    }
}

impl SymmetricOperator for Tridiagonal {
    fn dim(&self) -> usize {
        Tridiagonal::dim(self)
    }

    /// `F̂ v = Ξ⁻¹ diag(Σᵢ) Ξ⁻ᵀ v`.
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        let mut w: Vec<Vec<f64>> = self.parts(v).into_iter().map(<[f64]>::to_vec).collect();
        for (i, block) in self.blocks.iter().enumerate() {
            if let Some(link) = &block.next {
                let carried = link.back(&w[i]);
                axpy(1.0, &carried, &mut w[i + 1]);
            }
        }
        let mut end = out.len();
        let mut below: Option<Vec<f64>> = None;
        for (block, w) in self.blocks.iter().zip(&w).rev() {
            let mut x = block.apply(w);
            if let (Some(link), Some(below)) = (&block.next, &below) {
                axpy(1.0, &link.forward(below), &mut x);
            }
            out[end - x.len()..end].copy_from_slice(&x);
            end -= x.len();
            below = Some(x);
        }
        Ok(())
    }
}

/// The inverse of a [`Tridiagonal`].
struct Inverse(Tridiagonal);

impl SymmetricOperator for Inverse {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.0.apply_inverse(v, out)
    }
}

/// The factors with the regulariser as their least damping.
struct Regularized {
    factors: TridiagonalFactors,
    l2: f64,
    /// For products.
    matrix: OnceLock<Tridiagonal>,
}

impl Regularized {
    fn new(factors: TridiagonalFactors, l2: f64) -> Self {
        Self { factors, l2, matrix: OnceLock::new() }
    }
}

impl SymmetricOperator for Regularized {
    fn dim(&self) -> usize {
        self.factors.layers.iter().map(Pair::dim).sum()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        if let Some(matrix) = self.matrix.get() {
            return matrix.apply(v, out);
        }
        let matrix = self.factors.damped(self.l2)?;
        self.matrix.get_or_init(|| matrix).apply(v, out)
    }
}

impl Invertible for Regularized {
    fn inverted(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        Ok(Box::new(Inverse(self.factors.damped(damping + self.l2)?)))
    }
}

impl<S: OuterProducts> Averaged for TridiagonalKfac<S> {
    fn statistics(&self, at: &Evaluation) -> Result<Vec<Vec<f64>>> {
        let factors = self.factors(at)?;
        Ok(factors.layers.into_iter().chain(factors.between).flat_map(|pair| [pair.a, pair.g]).collect())
    }
    fn of_means(&self, layout: &[Part], l2: f64, means: Vec<Vec<f64>>) -> Result<(Box<dyn Invertible>, f64)> {
        Error::check_len("factors of a block-tridiagonal K-FAC matrix", 4 * layout.len() - 2, means.len())?;
        let mut means = means.into_iter();
        let mut pair = |l: &Part, r: &Part| {
            let (p, q) = ((l.columns, r.columns), (l.rows, r.rows));
            let (a, g) = (means.next().unwrap_or_default(), means.next().unwrap_or_default());
            Error::check_len("Kronecker factor A", p.0 * p.1, a.len())?;
            Error::check_len("Kronecker factor G", q.0 * q.1, g.len())?;
            Ok(Pair { p, q, a, g })
        };
        let layers = layout.iter().map(|part| pair(part, part)).collect::<Result<_>>()?;
        let between = layout.windows(2).map(|parts| pair(&parts[0], &parts[1])).collect::<Result<_>>()?;
        // The regulariser is in the factors.
        Ok((Box::new(Regularized::new(TridiagonalFactors { layers, between }, l2)), 0.0))
    }
    fn redraw(&mut self) {
        self.source.redraw();
    }
}

/// With counted products.
struct Counted<'a> {
    matrix: Regularized,
    counts: &'a Counts,
}

impl SymmetricOperator for Counted<'_> {
    fn dim(&self) -> usize {
        self.matrix.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        counts::add(&self.counts.hessian_product, 1);
        self.matrix.apply(v, out)
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(self.matrix.inverted(damping).map(|inverse| inverse as Operator<'_>))
    }
}

impl<P: Vector, S: OuterProducts> Curvature<Supervised<P>> for TridiagonalKfac<S> {
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
        let matrix = Regularized::new(self.factors(&here)?, here.l2());
        Ok(Box::new(Counted { matrix, counts: at.counts }))
    }
}
