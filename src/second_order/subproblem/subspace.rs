//! The quadratic model in the span of at most three vectors, minimized over a ball exactly.

use crate::error::Result;
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::{axpy, dot, norm, scale};

/// The model `gᵀp + ½ pᵀBp` in an orthonormal basis in which it is diagonal: `Σ γᵢ yᵢ + ½ wᵢ yᵢ²`.
#[derive(Debug, Clone, Default)]
pub(super) struct Subspace {
    basis: [Vec<f64>; 3],
    products: [Vec<f64>; 3],
    size: usize,
    w: [f64; 3],
    gamma: [f64; 3],
}

impl Subspace {
    pub(super) fn resize(&mut self, n: usize) {
        self.basis.iter_mut().chain(&mut self.products).for_each(|buffer| buffer.resize(n, 0.0));
    }

    /// One of the three vectors to be spanned; a zero one takes no part.
    pub(super) fn vector(&mut self, k: usize) -> &mut Vec<f64> {
        &mut self.basis[k]
    }

    /// Orthonormalizes the vectors, projects `B` and diagonalizes the projection.
    pub(super) fn project(&mut self, g: &[f64], b: &dyn SymmetricOperator) -> Result<()> {
        self.orthonormalize();
        let m = self.size;
        let mut projected = [[0.0; 3]; 3];
        for j in 0..m {
            b.apply(&self.basis[j], &mut self.products[j])?;
        }
        for i in 0..m {
            for j in 0..m {
                projected[i][j] = 0.5 * (dot(&self.basis[i], &self.products[j]) + dot(&self.basis[j], &self.products[i]));
            }
        }
        let rotation = diagonalize(&mut projected, m);
        for i in 0..m {
            self.w[i] = projected[i][i];
            self.products[i].fill(0.0);
            for (q, r) in self.basis[..m].iter().zip(&rotation) {
                axpy(r[i], q, &mut self.products[i]);
            }
        }
        for i in 0..m {
            std::mem::swap(&mut self.basis[i], &mut self.products[i]);
            self.gamma[i] = dot(&self.basis[i], g);
        }
        Ok(())
    }

    fn orthonormalize(&mut self) {
        self.size = 0;
        for k in 0..3 {
            let (kept, rest) = self.basis.split_at_mut(k);
            let candidate = &mut rest[0];
            let before = norm(candidate);
            if !(before > 0.0 && before.is_finite()) {
                continue;
            }
            scale(1.0 / before, candidate);
            // Twice is enough (Kahan and Parlett).
            for _ in 0..2 {
                for q in &kept[..self.size] {
                    axpy(-dot(q, candidate), q, candidate);
                }
            }
            let after = norm(candidate);
            if after <= 1e-10 {
                continue;
            }
            scale(1.0 / after, candidate);
            self.basis.swap(self.size, k);
            self.size += 1;
        }
    }

    /// Writes the minimizer over `‖p‖ ≤ radius` in the span; the reduction of the model.
    pub(super) fn minimize(&self, radius: f64, p: &mut [f64]) -> f64 {
        let mut y = [0.0; 3];
        minimize_diagonal(&self.w[..self.size], &self.gamma[..self.size], radius, &mut y);
        p.fill(0.0);
        let mut value = 0.0;
        for i in 0..self.size {
            axpy(y[i], &self.basis[i], p);
            value += y[i] * (self.gamma[i] + 0.5 * self.w[i] * y[i]);
        }
        -value
    }
}

/// Jacobi's rotations on the leading `m × m` part of a symmetric matrix; the eigenvectors are the columns returned.
fn diagonalize(a: &mut [[f64; 3]; 3], m: usize) -> [[f64; 3]; 3] {
    let mut vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for _ in 0..30 {
        let mut done = true;
        for p in 0..m {
            for q in p + 1..m {
                if a[p][q].abs() <= f64::EPSILON * 1e-3 * (a[p][p].abs() + a[q][q].abs()) {
                    (a[p][q], a[q][p]) = (0.0, 0.0);
                    continue;
                }
                done = false;
                let theta = (0.5 * a[q][q] - 0.5 * a[p][p]) / a[p][q];
                let t = if theta >= 0.0 { 1.0 } else { -1.0 } / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for row in a.iter_mut().take(m) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                for k in 0..m {
                    (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]);
                }
                for row in vectors.iter_mut().take(m) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
        if done {
            break;
        }
    }
    vectors
}

/// Minimizer of `Σ γ_i y_i + ½ w_i y_i²` over `‖y‖ ≤ radius`, exact: with `μ = λ + min w`, `y_i = −γ_i/(w_i − min w + μ)`.
pub(super) fn minimize_diagonal(w: &[f64], gamma: &[f64], radius: f64, y: &mut [f64]) {
    let m = w.len();
    let Some(lowest) = (0..m).min_by(|&i, &j| w[i].total_cmp(&w[j])) else { return };
    let fill = |mu: f64, y: &mut [f64]| {
        for i in 0..m {
            let d = w[i] - w[lowest] + mu;
            y[i] = if gamma[i] == 0.0 { 0.0 } else { -gamma[i] / d };
        }
        norm(&y[..m])
    };
    let floor = w[lowest].max(0.0);
    if floor > 0.0 && fill(floor, y) <= radius {
        return;
    }
    // Each term alone bounds the root from below, so Newton's method on 1/‖y‖ − 1/radius rises monotonically to it.
    let mut mu = (0..m).map(|i| gamma[i].abs() / radius - (w[i] - w[lowest])).fold(floor, f64::max);
    let mut length = fill(mu, y);
    if length < radius && mu == 0.0 {
        // The hard case: nothing pulls along the lowest eigenvector, whose curvature is not positive.
        let missing = ((radius - length) * (radius + length)).sqrt();
        y[lowest] = if w[lowest] < 0.0 { missing } else { 0.0 };
        return;
    }
    for _ in 0..100 {
        if length <= radius * (1.0 + 1e-15) {
            break;
        }
        let slope: f64 = (0..m).filter(|&i| y[i] != 0.0).map(|i| (y[i] / length).powi(2) / (w[i] - w[lowest] + mu)).sum();
        let next = mu + (length - radius) / (radius * slope);
        if !(next > mu) {
            break;
        }
        mu = next;
        length = fill(mu, y);
    }
    y[..m].iter_mut().for_each(|y| *y *= radius / length);
}
