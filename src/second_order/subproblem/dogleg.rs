//! Powell's dogleg for trust regions, with an exact subspace step where `B` is not positive definite.
//!
//! Positive definite `B`: the path goes from the origin to the Cauchy point `−(gᵀg/gᵀBg) g` and on to the Newton point;
//! the step is where it leaves the ball. Otherwise the model is minimized exactly over the ball in the span of `g`, of a
//! shifted Newton direction and of a direction of negative curvature. Either way a new radius costs no factorization
//! and no product, and the decrease is at least that of the Cauchy point.
//!
//! # Reference
//! Powell (1970); Nocedal & Wright (2006), §4.1; Byrd, Schnabel & Shultz (1988), Math. Prog. 40 (indefinite case).

use super::{Model, Step, Subproblem};
use crate::error::{Error, Result};
use crate::linalg::factor::{DefiniteShift, ShiftedCholesky};
use crate::linalg::vector::{all_finite, axpy, dot, norm, scale};
use crate::linalg::{Form, SymmetricOperator};
use crate::second_order::Ball;

/// Solves with the shifted matrix that refine the direction of negative curvature.
const INVERSE_ITERATIONS: usize = 3;

/// Dogleg steps, `‖p‖ ≤ size`.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::DenseMatrix;
/// use curvkit::second_order::subproblem::{Dogleg, Model, Subproblem};
/// let b = DenseMatrix::new(2, vec![1.0, 0.0, 0.0, 4.0])?;
/// let model = Model { value: 0.0, x: &[0.0, 0.0], gradient: &[1.0, 4.0], curvature: &b };
/// let mut dogleg = Dogleg::default();
/// dogleg.prepare(&model)?;
/// let mut p = [0.0; 2];
/// let step = dogleg.step(&model, 10.0, &mut p)?; // the Newton point (−1, −1) is inside
/// assert!((p[0] + 1.0).abs() < 1e-15 && (step.predicted - 2.5).abs() < 1e-15);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Dogleg {
    shift: DefiniteShift,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

/// What `prepare` makes anew for each point.
#[derive(Debug, Clone, Default)]
struct Scratch {
    cholesky: ShiftedCholesky,
    factorizations: u64,
    shape: Shape,
    gradient_norm: f64,
    /// Newton's point and its length, `gᵀp_N`, and `uᵀBu` for `u = g/‖g‖`.
    newton: Vec<f64>,
    newton_length: f64,
    newton_slope: f64,
    gradient_curvature: f64,
    /// An orthonormal basis in which the projected model is diagonal: `γ_i y_i + ½ w_i y_i²`.
    basis: [Vec<f64>; 3],
    products: [Vec<f64>; 3],
    size: usize,
    w: [f64; 3],
    gamma: [f64; 3],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Shape {
    /// `B` is positive definite: Powell's path.
    #[default]
    Path,
    /// `B` is not: exact minimization over a subspace.
    Subspace,
}

impl Dogleg {
    fn prepare_at(&mut self, model: &Model<'_>) -> Result<()> {
        let (g, b) = (model.gradient, model.curvature);
        let s = &mut self.scratch;
        let u = &mut s.basis[0];
        u.copy_from_slice(g);
        if s.gradient_norm > 0.0 {
            u.iter_mut().for_each(|u| *u /= s.gradient_norm);
        }
        b.apply(u, &mut s.products[0])?;
        s.gradient_curvature = dot(u, &s.products[0]);
        // A quasi-Newton matrix known through products has its inverse at hand.
        if matches!(b.form(), Form::Product)
            && let Some(inverse) = b.inverse(0.0)
        {
            inverse?.apply(g, &mut s.newton)?;
            scale(-1.0, &mut s.newton);
            if s.gradient_curvature > 0.0 && dot(g, &s.newton) < 0.0 && all_finite(&s.newton) {
                s.set_path(g);
                return Ok(());
            }
        }
        s.cholesky.load(b)?;
        let [_, v, spare] = &mut s.basis;
        let (tau, curvature) = self.shift.factor(&mut s.cholesky, v, spare)?;
        s.cholesky.solve(g, &mut s.newton);
        scale(-1.0, &mut s.newton);
        if tau == 0.0 {
            if all_finite(&s.newton) {
                s.set_path(g);
                return Ok(());
            }
            s.newton.fill(0.0);
            s.basis[1].fill(0.0);
        } else if curvature.is_some() {
            s.refine_negative_direction();
        } else {
            s.basis[1].fill(0.0);
        }
        s.set_subspace(g, b)
    }
}

impl Scratch {
    fn set_path(&mut self, g: &[f64]) {
        self.shape = Shape::Path;
        self.newton_length = norm(&self.newton);
        self.newton_slope = dot(g, &self.newton);
    }

    /// Inverse iteration with `B + τI` on the direction in `basis[1]`.
    fn refine_negative_direction(&mut self) {
        for _ in 0..INVERSE_ITERATIONS {
            let [_, v, spare] = &mut self.basis;
            self.cholesky.solve(v, spare);
            let length = norm(spare);
            if !(length > 0.0 && length.is_finite()) {
                return;
            }
            scale(1.0 / length, spare);
            std::mem::swap(v, spare);
        }
    }

    /// Orthonormalizes `g, v, p_N`, projects `B` and diagonalizes the projection.
    fn set_subspace(&mut self, g: &[f64], b: &dyn SymmetricOperator) -> Result<()> {
        self.shape = Shape::Subspace;
        self.basis[2].copy_from_slice(&self.newton);
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

    /// Where Powell's path leaves the ball, as `p = a u + c p_N`.
    fn path(&self, radius: f64) -> (f64, f64) {
        if self.newton_length <= radius {
            return (0.0, 1.0);
        }
        let cauchy = if self.gradient_curvature > 0.0 { self.gradient_norm / self.gradient_curvature } else { f64::INFINITY };
        if cauchy >= radius {
            return (-radius, 0.0);
        }
        // ‖p_U + t (p_N − p_U)‖ = radius, the positive root in its stable form.
        let cosine = self.newton_slope / self.gradient_norm; // uᵀp_N, negative
        let (c, n) = (cauchy / radius, self.newton_length / radius);
        let inner = -c * cosine / radius; // p_Uᵀp_N / radius²
        let quadratic = (n * n - 2.0 * inner + c * c).max(0.0);
        let linear = inner - c * c;
        let constant = 1.0 - c * c;
        let root = (linear * linear + quadratic * constant).max(0.0).sqrt();
        let t = if linear > 0.0 { constant / (linear + root) } else { (root - linear) / quadratic };
        let t = if t.is_finite() { t.clamp(0.0, 1.0) } else { 0.0 };
        (-cauchy * (1.0 - t), t)
    }
}

impl Subproblem for Dogleg {
    type Region = Ball;

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let n = model.gradient.len();
        Error::check_len("curvature matrix", n, model.curvature.dim())?;
        let s = &mut self.scratch;
        for buffer in s.basis.iter_mut().chain(&mut s.products).chain([&mut s.newton]) {
            buffer.resize(n, 0.0);
        }
        s.gradient_norm = norm(model.gradient);
        let before = s.cholesky.count();
        self.prepare_at(model)?;
        self.scratch.factorizations = self.scratch.cholesky.count() - before;
        Ok(())
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let s = &self.scratch;
        Error::check_len("step", s.newton.len(), p.len())?;
        let predicted = match s.shape {
            Shape::Path => {
                let (a, c) = s.path(size);
                let u = if s.gradient_norm > 0.0 { a / s.gradient_norm } else { 0.0 };
                for ((p, g), newton) in p.iter_mut().zip(model.gradient).zip(&s.newton) {
                    *p = u * g + c * newton;
                }
                // B p_N = −g gives every term of the model.
                let slope = a * s.gradient_norm + c * s.newton_slope;
                let curvature = a * a * s.gradient_curvature - 2.0 * a * c * s.gradient_norm - c * c * s.newton_slope;
                -slope - 0.5 * curvature
            }
            Shape::Subspace => {
                let mut y = [0.0; 3];
                minimize_diagonal(&s.w[..s.size], &s.gamma[..s.size], size, &mut y);
                p.fill(0.0);
                let mut value = 0.0;
                for i in 0..s.size {
                    axpy(y[i], &s.basis[i], p);
                    value += y[i] * (s.gamma[i] + 0.5 * s.w[i] * y[i]);
                }
                -value
            }
        };
        Ok(Step { predicted, slope: dot(model.gradient, p), length: norm(p), inner: 0 })
    }

    fn factorizations(&self) -> u64 {
        self.scratch.factorizations
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
fn minimize_diagonal(w: &[f64], gamma: &[f64], radius: f64, y: &mut [f64]) {
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

#[cfg(test)]
mod tests;
