//! The quadratic model in the span of at most three vectors, minimized over a ball exactly.

use super::spectral::Spectral;
use super::{Model, Step};
use crate::error::Result;
use crate::linalg::Form;
use crate::linalg::SymmetricOperator;
use crate::linalg::power::times_power;
use crate::linalg::vector::{axpy, dot, norm};

/// The model `gᵀp + ½ pᵀBp` in an orthonormal basis in which it is diagonal: `Σ γᵢ yᵢ + ½ wᵢ yᵢ²`.
#[derive(Debug, Clone, Default)]
pub(super) struct Subspace {
    basis: [Vec<f64>; 3],
    products: [Vec<f64>; 3],
    size: usize,
    w: [f64; 3],
    gamma: [f64; 3],
    spectral: Spectral,
}

/// `diag(w)`.
struct Axes<'a>(&'a [f64]);

impl SymmetricOperator for Axes<'_> {
    fn dim(&self) -> usize {
        self.0.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(v).zip(self.0).for_each(|((o, v), w)| *o = w * v);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Diagonal(self.0)
    }
}

impl Subspace {
    pub(super) fn resize(&mut self, n: usize) {
        self.basis.iter_mut().chain(&mut self.products).for_each(|buffer| buffer.resize(n, 0.0));
        self.spectral.reserve(3);
    }

    /// One of the three vectors to be spanned; a zero one takes no part.
    pub(super) fn vector(&mut self, k: usize) -> &mut Vec<f64> {
        &mut self.basis[k]
    }

    /// Orthonormalizes the vectors, projects `B` and diagonalizes the projection.
    /// The gradient is `2^exponent g`.
    pub(super) fn project(&mut self, g: &[f64], exponent: i32, b: &dyn SymmetricOperator) -> Result<()> {
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
            self.gamma[i] = times_power(dot(&self.basis[i], g), exponent);
        }
        let (gradient, curvature) = (&self.gamma[..m], &Axes(&self.w[..m]));
        self.spectral.prepare(&Model { value: 0.0, x: gradient, gradient, curvature })?;
        self.spectral.try_newton();
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
            candidate.iter_mut().for_each(|v| *v /= before);
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
            candidate.iter_mut().for_each(|v| *v /= after);
            self.basis.swap(self.size, k);
            self.size += 1;
        }
    }

    /// Writes the minimizer over `‖p‖ ≤ radius` in the span.
    pub(super) fn minimize(&mut self, radius: f64, p: &mut [f64]) -> Result<Step> {
        let mut y = [0.0; 3];
        let step = self.spectral.ball(radius, &mut y[..self.size])?.step;
        p.fill(0.0);
        y.iter().zip(&self.basis[..self.size]).for_each(|(y, q)| axpy(*y, q, p));
        Ok(step)
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
