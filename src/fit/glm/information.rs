//! `A = Xᵀ diag(w) X` by a triangle, and Newton's method to the last digit with it.
//!
//! Where no weight is negative the triangle comes from the pivoted QR of `√w X`, so that the condition number is not
//! squared; otherwise from Cholesky of `A` in scaled variables. Steps solve `RᵀR p = −g` with a gradient summed in twice
//! the precision from predictors carried in twice the precision: corrected semi-normal equations, which reach the
//! accuracy of the gradient (Björck 1987, Linear Algebra Appl. 88/89).

use crate::error::Result;
use crate::linalg::factor::PivotedQr;
use crate::linalg::operator::Gram;
use crate::linalg::vector::{dot, dot_compensated, norm};
use crate::problem::Glm;
use crate::problem::glm::{GlmData, GlmPass, weighted_gram};
use nalgebra::{DMatrix, DVector};

/// Newton steps at most.
const MAX_STEPS: u64 = 30;
/// Reduction of the squared decrement that counts as slow, and how many steps of it in a row are waited for.
const SLOW: f64 = 0.1;
const MAX_SLOW: u64 = 4;
/// Rounding of a coefficient at which the steps end, and of predictors at which the floor is reached.
const ROUNDING: f64 = 4.0 * f64::EPSILON;
pub(super) const FLOOR: f64 = 256.0 * f64::EPSILON;

/// A positive definite information matrix: `A = D Pᵀ RᵀR P D`.
pub(super) struct Information {
    r: DMatrix<f64>,
    order: Vec<usize>,
    scale: Vec<f64>,
}

impl Information {
    /// Of the weights; `None` if it is not positive definite to rounding.
    pub fn new(data: &GlmData, weights: &[f64]) -> Result<Option<Self>> {
        if weights.iter().any(|w| !w.is_finite()) {
            return Ok(None);
        }
        if weights.iter().all(|w| *w >= 0.0) { Self::by_qr(data, weights) } else { Ok(Self::by_cholesky(data, weights)) }
    }

    fn by_qr(data: &GlmData, weights: &[f64]) -> Result<Option<Self>> {
        let (n, p) = (data.n_rows(), data.n_columns);
        let roots: Vec<f64> = weights.iter().map(|w| w.sqrt()).collect();
        let jacobian: Vec<f64> = (0..p).flat_map(|j| data.column(j).iter().zip(&roots).map(|(x, r)| x * r)).collect();
        let residual = vec![0.0; n];
        let gram = Gram::new(p, &jacobian, &residual)?;
        let scale: Vec<f64> = (0..p).map(|j| norm(gram.column(j))).collect();
        if scale.contains(&0.0) {
            return Ok(None);
        }
        let mut qr = PivotedQr::default();
        qr.factor(gram, &scale)?;
        let r = DMatrix::from_fn(p, p, |i, j| if i <= j { qr.entry(i, j) } else { 0.0 });
        Ok((qr.rank() == p).then(|| Self { r, order: qr.order().to_vec(), scale }))
    }

    fn by_cholesky(data: &GlmData, weights: &[f64]) -> Option<Self> {
        let p = data.n_columns;
        let mut entries = vec![0.0; p * p];
        weighted_gram(data, weights, &mut entries);
        Self::of_matrix(p, &entries)
    }

    /// Of a dense matrix, `p × p`; `None` if it is not positive definite.
    pub fn of_matrix(p: usize, entries: &[f64]) -> Option<Self> {
        let scale: Vec<f64> = (0..p).map(|j| entries[j * p + j].sqrt()).collect();
        if !scale.iter().all(|d| *d > 0.0 && d.is_finite()) {
            return None;
        }
        let scaled = DMatrix::from_fn(p, p, |i, j| entries[j * p + i] / (scale[i] * scale[j]));
        let r = scaled.cholesky()?.l().transpose();
        Some(Self { r, order: (0..p).collect(), scale })
    }

    /// `A⁻¹ g`.
    pub fn solve(&self, g: &[f64]) -> Option<Vec<f64>> {
        let y = DVector::from_iterator(g.len(), self.order.iter().map(|&j| g[j] / self.scale[j]));
        let z = self.r.solve_upper_triangular(&self.r.tr_solve_upper_triangular(&y)?)?;
        let mut p = vec![0.0; g.len()];
        self.order.iter().zip(z.iter()).for_each(|(&j, z)| p[j] = z / self.scale[j]);
        Some(p)
    }

    /// `T` with `A⁻¹ = T Tᵀ`.
    pub fn inverse_root(&self) -> DMatrix<f64> {
        let p = self.order.len();
        let inverse = self.r.solve_upper_triangular(&DMatrix::identity(p, p));
        let inverse = inverse.unwrap_or_else(|| DMatrix::from_element(p, p, f64::NAN));
        let mut rows = DMatrix::zeros(p, p);
        self.order.iter().enumerate().for_each(|(i, &j)| rows.set_row(j, &(inverse.row(i) / self.scale[j])));
        rows
    }

    /// Smallest and largest eigenvalue in variables scaled to a unit diagonal.
    pub fn curvature(&self) -> [f64; 2] {
        if self.order.is_empty() {
            return [1.0, 1.0];
        }
        let values = self.r.singular_values();
        [values.min().powi(2), values.max().powi(2)]
    }
}

/// What Newton's method verified.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Polished {
    /// Newton steps taken.
    pub steps: u64,
    /// Whether the steps shrank to rounding at a point of positive observed information.
    pub converged: bool,
    /// `½ gᵀH⁻¹g` at the answer: how far half the deviance is above its minimum.
    pub excess: f64,
    /// Smallest and largest eigenvalue of the observed information in variables scaled to a unit diagonal.
    pub curvature: [f64; 2],
}

/// A cost whose exact Newton steps can be had with a gradient that keeps its digits.
pub(super) trait Sharp {
    /// The observed information at `x` and the gradient there; `None` if the former is not positive definite.
    fn sharp(&self, x: &[f64]) -> Result<Option<(Information, Vec<f64>)>>;
    /// `maxᵢ |xᵢᵀ p|` against `maxᵢ Σⱼ |xᵢⱼ βⱼ|`: what the step moves predictors by, relative to their terms.
    fn movement(&self, p: &[f64], beta: &[f64]) -> f64;
}

impl Sharp for Glm {
    fn sharp(&self, x: &[f64]) -> Result<Option<(Information, Vec<f64>)>> {
        let data = self.data();
        let pass = self.pass(x)?;
        let Some(information) = Information::new(data, &pass.observed)? else { return Ok(None) };
        let scores = sharp_scores(data, x, &pass);
        let g = (0..data.n_columns).map(|j| -dot_compensated(data.column(j), &scores)).collect();
        Ok(Some((information, g)))
    }

    fn movement(&self, p: &[f64], beta: &[f64]) -> f64 {
        let data = self.data();
        movement(data.n_rows(), |j| data.column(j), p, beta)
    }
}

/// See [`Sharp::movement`].
pub(super) fn movement<'a>(n: usize, column: impl Fn(usize) -> &'a [f64], p: &[f64], beta: &[f64]) -> f64 {
    let (mut moved, mut size) = (vec![0.0; n], vec![0.0; n]);
    for (j, (p, b)) in p.iter().zip(beta).enumerate() {
        for ((m, s), x) in moved.iter_mut().zip(&mut size).zip(column(j)) {
            *m += x * p;
            *s += (x * b).abs();
        }
    }
    let largest = |v: &[f64]| v.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    // Predictors of size one are as sharp as they need to be even where the terms are smaller.
    largest(&moved) / largest(&size).max(f64::MIN_POSITIVE)
}

/// Scores at predictors summed in twice the precision: `s(η + δ) ≈ s(η) − δ ∂²f/∂η²`.
fn sharp_scores(data: &GlmData, x: &[f64], pass: &GlmPass) -> Vec<f64> {
    let (high, low) = sharp_predictor(data.n_rows(), &data.offset, |j| data.column(j), x);
    let score = |i: usize| pass.scores[i] - pass.observed[i] * ((high[i] - pass.predictor[i]) + low[i]);
    (0..data.n_rows()).map(score).collect()
}

/// `Xβ + o` as an unevaluated sum of two vectors (Ogita, Rump & Oishi 2005).
pub(super) fn sharp_predictor<'a>(
    n: usize,
    offset: &[f64],
    column: impl Fn(usize) -> &'a [f64],
    x: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (mut high, mut low) = (offset.to_vec(), vec![0.0; n]);
    for (j, b) in x.iter().enumerate() {
        for ((h, l), a) in high.iter_mut().zip(&mut low).zip(column(j)) {
            let product = a * b;
            let total = *h + product;
            let part = total - *h;
            *l += a.mul_add(*b, -product) + ((*h - (total - part)) + (product - part));
            *h = total;
        }
    }
    (high, low)
}

/// Newton steps from near a minimum until they no longer change the coefficients.
pub(super) fn polish<P: Sharp>(problem: &P, start: &[f64]) -> Result<(Vec<f64>, Polished)> {
    let mut x = start.to_vec();
    let mut done = Polished { steps: 0, converged: false, excess: f64::NAN, curvature: [f64::NAN; 2] };
    let (mut best, mut last, mut slow) = (x.clone(), f64::INFINITY, 0);
    loop {
        let Some((information, g)) = problem.sharp(&x)? else { break };
        let Some(q) = information.solve(&g) else { break };
        let square = dot(&q, &g);
        let p: Vec<f64> = q.iter().map(|q| -q).collect();
        if !(square >= 0.0) || p.iter().any(|p| !p.is_finite()) {
            break;
        }
        let settled = p.iter().zip(&x).all(|(p, x)| p.abs() <= ROUNDING * x.abs());
        let at_floor = problem.movement(&p, &x) <= FLOOR;
        if square < last {
            best.clone_from(&x);
            (done.excess, done.curvature) = (0.5 * square, information.curvature());
        }
        done.converged = settled || at_floor;
        // The decrement squares at every step until rounding stops it; then the best point is the answer.
        if settled || done.steps == MAX_STEPS || (square >= 0.25 * last && (at_floor || square > last)) {
            break;
        }
        // Near a minimum of positive curvature the decrement cannot fall this slowly: the estimate is on its way to infinity.
        slow = if square >= SLOW * last { slow + 1 } else { 0 };
        if slow > MAX_SLOW && !at_floor {
            break;
        }
        last = last.min(square);
        x.iter_mut().zip(&p).for_each(|(x, p)| *x += p);
        done.steps += 1;
    }
    Ok((best, done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Family, Link};

    #[test]
    fn both_factorizations_give_the_same_inverse() {
        let design: Vec<f64> = (0..30).map(|k| ((k * k) as f64 * 0.37).sin() + if k < 10 { 2.0 } else { 0.0 }).collect();
        let y = vec![1.0; 10];
        let model = Glm::new(Family::Poisson, Link::Log, 3, design, y).unwrap();
        let weights: Vec<f64> = (0..10).map(|i| 0.3 + i as f64).collect();
        let qr = Information::by_qr(model.data(), &weights).unwrap().unwrap();
        let cholesky = Information::by_cholesky(model.data(), &weights).unwrap();
        let (a, b) = (qr.inverse_root(), cholesky.inverse_root());
        let (a, b) = (&a * a.transpose(), &b * b.transpose());
        assert!((&a - &b).norm() < 1e-13 * a.norm());
        let g = [1.0, -2.0, 0.5];
        let direct = &a * DVector::from_row_slice(&g);
        let solved = DVector::from_vec(qr.solve(&g).unwrap());
        assert!((direct - solved).norm() < 1e-13 * a.norm());
        let (c, d) = (qr.curvature(), cholesky.curvature());
        assert!((c[0] / d[0] - 1.0).abs() < 1e-11 && (c[1] / d[1] - 1.0).abs() < 1e-13);
    }

    #[test]
    fn indefinite_information_is_refused() {
        assert!(Information::of_matrix(2, &[1.0, 2.0, 2.0, 1.0]).is_none());
        assert!(Information::of_matrix(2, &[1.0, 0.0, 0.0, -1.0]).is_none());
    }
}
