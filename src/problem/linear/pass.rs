//! Value, gradient and second derivatives of a linear model at one point, and products with its Hessian.

use super::Data;
use crate::linalg::vector::{axpy, dot, scale};
use rayon::prelude::*;
use std::ops::Range;

/// Multiplications of one of the parts that a pass is split into.
const PART: usize = 1 << 19;

/// A linear model at one point.
pub(super) struct Pass {
    x: Vec<f64>,
    pub cost: f64,
    pub gradient: Vec<f64>,
    /// `ωᵢ ℓᵢ''` of each sample, of a softmax the probabilities.
    pub curvature: Vec<f64>,
}

impl Pass {
    /// One pass over the features.
    pub fn new(data: &Data, x: &[f64]) -> Self {
        let (n, k) = (data.n(), data.map.outputs);
        let mut curvature = vec![0.0; n * k];
        let parts = data.over_parts(&mut curvature[..], |rows, curvature| data.evaluate(rows, x, curvature));
        let (mut cost, mut gradient) = data.sum(parts);
        scale(1.0 / n as f64, &mut gradient);
        cost /= n as f64;
        let weights = data.map.n_weights();
        cost += 0.5 * data.l2 * dot(&x[..weights], &x[..weights]);
        axpy(data.l2, &x[..weights], &mut gradient[..weights]);
        Self { x: x.to_vec(), cost, gradient, curvature }
    }

    /// Whether this is the point, bit for bit.
    pub fn is_at(&self, x: &[f64]) -> bool {
        self.x.iter().map(|v| v.to_bits()).eq(x.iter().map(|v| v.to_bits()))
    }

    /// `out ← ∇²f v`, again in one pass over the features.
    pub fn hessian_product(&self, data: &Data, v: &[f64], out: &mut [f64]) {
        let parts = data.over_parts(&self.curvature[..], |rows, curvature| (0.0, data.product(rows, curvature, v)));
        let (_, sum) = data.sum(parts);
        out.copy_from_slice(&sum);
        scale(1.0 / data.n() as f64, out);
        let weights = data.map.n_weights();
        axpy(data.l2, &v[..weights], &mut out[..weights]);
    }
}

/// Something of which each sample has its share: `&[f64]` or `&mut [f64]`.
pub(super) trait Shares: Send + Sized {
    /// The shares of the samples before `at`, and the others.
    fn split(self, at: usize) -> (Self, Self);
}

impl Shares for &[f64] {
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }
}

impl Shares for &mut [f64] {
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

impl Data {
    /// Rows of a part: as many whole blocks as make its work outweigh its vector of results.
    fn part(&self) -> usize {
        let block = self.features.block();
        let per_row = (self.features.n_entries() / self.n() + 1) * self.map.outputs;
        let work = PART.max(8 * self.map.n_params());
        (work / per_row).div_ceil(block).max(1) * block
    }

    /// `f` on parts of the samples, at once where there are several; their results in order.
    fn over_parts<S: Shares, T: Send>(&self, shares: S, f: impl Fn(Range<usize>, S) -> T + Sync) -> Vec<T> {
        let (n, k, part) = (self.n(), self.map.outputs, self.part());
        let mut rest = shares;
        let mut parts = Vec::with_capacity(n.div_ceil(part));
        for start in (0..n).step_by(part) {
            let rows = start..(start + part).min(n);
            let (own, others) = rest.split(rows.len() * k);
            parts.push((rows, own));
            rest = others;
        }
        if parts.len() == 1 || rayon::current_num_threads() == 1 {
            return parts.into_iter().map(|(rows, own)| f(rows, own)).collect();
        }
        parts.into_par_iter().map(|(rows, own)| f(rows, own)).collect()
    }

    /// Sums of values and vectors, in order.
    fn sum(&self, parts: Vec<(f64, Vec<f64>)>) -> (f64, Vec<f64>) {
        let mut parts = parts.into_iter();
        let (mut value, mut total) = parts.next().unwrap_or_else(|| (0.0, vec![0.0; self.map.n_params()]));
        for (v, vector) in parts {
            value += v;
            axpy(1.0, &vector, &mut total);
        }
        (value, total)
    }

    /// Sums of `ωᵢ ℓᵢ` and their gradients over some samples, block after block.
    fn evaluate(&self, rows: Range<usize>, x: &[f64], curvature: &mut [f64]) -> (f64, Vec<f64>) {
        let (k, block) = (self.map.outputs, self.features.block());
        let (mut value, mut gradient) = (0.0, vec![0.0; self.map.n_params()]);
        let mut slopes = vec![0.0; k * block.min(rows.len())];
        for (start, curvature) in rows.clone().step_by(block).zip(curvature.chunks_mut(block * k)) {
            let rows = start..(start + block).min(rows.end);
            let slopes = &mut slopes[..rows.len() * k];
            self.features.outputs(&self.map, rows.clone(), x, slopes);
            let weights = self.weights.as_ref().map(|w| &w[rows.clone()]);
            value += self.loss.evaluate(&self.response[rows.clone()], weights, slopes, curvature);
            self.features.add_adjoint(&self.map, rows, slopes, &mut gradient);
        }
        (value, gradient)
    }

    /// `Σ Aᵢᵀ Dᵢ Aᵢ v` over some samples.
    fn product(&self, rows: Range<usize>, curvature: &[f64], v: &[f64]) -> Vec<f64> {
        let (k, block) = (self.map.outputs, self.features.block());
        let mut out = vec![0.0; self.map.n_params()];
        let mut turned = vec![0.0; k * block.min(rows.len())];
        for (start, curvature) in rows.clone().step_by(block).zip(curvature.chunks(block * k)) {
            let rows = start..(start + block).min(rows.end);
            let turned = &mut turned[..rows.len() * k];
            self.features.outputs(&self.map, rows.clone(), v, turned);
            self.turn(rows.clone(), curvature, turned);
            self.features.add_adjoint(&self.map, rows, turned, &mut out);
        }
        out
    }

    /// `z ← D z` for the second derivatives `D` by the outputs.
    pub(super) fn turn(&self, rows: Range<usize>, curvature: &[f64], z: &mut [f64]) {
        let k = self.map.outputs;
        if k == 1 {
            z.iter_mut().zip(curvature).for_each(|(z, d)| *z *= d);
            return;
        }
        for ((z, p), i) in z.chunks_exact_mut(k).zip(curvature.chunks_exact(k)).zip(rows) {
            let mean: f64 = z.iter().zip(p).map(|(z, p)| z * p).sum();
            let weight = self.weight(i);
            z.iter_mut().zip(p).for_each(|(z, p)| *z = weight * p * (*z - mean));
        }
    }
}
