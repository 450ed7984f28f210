//! Powell's dogleg for trust regions, with an exact subspace step where `B` is not positive definite.
//!
//! Positive definite `B`: the path goes from the origin to the Cauchy point `−(gᵀg/gᵀBg) g` and on to the Newton point;
//! the step is where it leaves the ball. Otherwise the model is minimized exactly over the ball in the span of `g`, of a
//! shifted Newton direction and of a direction of negative curvature. Either way a new radius costs no factorization
//! and no product, and the decrease is at least that of the Cauchy point.
//!
//! [`TwoDimensional`] minimizes over the whole of the span where [`Dogleg`] follows the path in it.
//!
//! For a Gauss–Newton matrix the Newton point comes from a pivoted QR of `J`, never from `JᵀJ`, and the ball is that of the
//! variables scaled by the columns of `J`.
//!
//! # Reference
//! Powell (1970); Nocedal & Wright (2006), §4.1; Byrd, Schnabel & Shultz (1988), Math. Prog. 40 (the span, and the
//! indefinite case).

use super::jacobian_scale::JacobianScale;
use super::scaled::Scaled;
use super::subspace::Subspace;
use super::{Model, Step, Subproblem, check_size, finished};
use crate::error::{Error, Result};
use crate::linalg::factor::{DefiniteShift, PivotedQr, ShiftedCholesky};
use crate::linalg::operator::Gram;
use crate::linalg::power::{exponent, scale_by_power, times_power};
use crate::linalg::vector::{all_finite, dot, norm, norm_inf, scale};
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
    columns: JacobianScale,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

/// Steps that minimize the model over the ball in the span of the gradient and the Newton point, `‖p‖ ≤ size`: at least
/// the decrease of the dogleg path, which lies in it.
///
/// Where `B` is not positive definite they are those of [`Dogleg`], whose span holds a direction of negative curvature.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::DenseMatrix;
/// use curvkit::second_order::subproblem::{Model, Subproblem, TwoDimensional};
/// let b = DenseMatrix::new(2, vec![1.0, 0.0, 0.0, 4.0])?;
/// let model = Model { value: 0.0, x: &[0.0, 0.0], gradient: &[2.0, 5.0], curvature: &b };
/// let mut subspace = TwoDimensional::default();
/// subspace.prepare(&model)?;
/// let mut p = [0.0; 2];
/// let step = subspace.step(&model, 2f64.sqrt(), &mut p)?; // (B + I) p = −g for p = −(1, 1)
/// assert!((p[0] + 1.0).abs() < 1e-14 && (p[1] + 1.0).abs() < 1e-14 && (step.predicted - 4.5).abs() < 1e-14);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TwoDimensional(Dogleg);

/// What `prepare` makes anew for each point.
#[derive(Debug, Clone, Default)]
struct Scratch {
    cholesky: ShiftedCholesky,
    qr: PivotedQr,
    factorizations: u64,
    shape: Shape,
    /// The gradient over `2^exponent` in the variables of the ball, and what these are multiplied by: `D`, or nothing.
    gradient: Vec<f64>,
    exponent: i32,
    scale: Vec<f64>,
    gradient_norm: f64,
    /// Newton's point over `2^exponent` and its length, `gᵀp_N`, and `uᵀBu` for `u = g/‖g‖`.
    newton: Vec<f64>,
    newton_length: f64,
    newton_slope: f64,
    gradient_curvature: f64,
    subspace: Subspace,
    spare: Vec<f64>,
    /// Entries of a scaled matrix.
    entries: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Shape {
    /// `B` is positive definite: Powell's path.
    #[default]
    Path,
    /// Exact minimization over a subspace.
    Subspace,
    /// The same beyond a Newton point that is the minimizer.
    Around,
}

impl Dogleg {
    /// Prepares for steps along the path, or over the whole span.
    fn prepare_for(&mut self, model: &Model<'_>, shape: Shape) -> Result<()> {
        let n = model.gradient.len();
        Error::check_len("curvature matrix", n, model.curvature.dim())?;
        let s = &mut self.scratch;
        s.subspace.resize(n);
        [&mut s.newton, &mut s.spare].into_iter().for_each(|buffer| buffer.resize(n, 0.0));
        s.gradient.clear();
        s.gradient.extend_from_slice(model.gradient);
        Error::check_finite("gradient", model.gradient)?;
        s.scale.clear();
        if let Form::Gram(gram) = model.curvature.form() {
            return self.prepare_gram(gram, shape);
        }
        let before = s.cholesky.count();
        match self.columns.known(n) {
            // A Hessian after Gauss–Newton matrices of the same run: the variables of the ball stay the same.
            Some(scale) => {
                s.scale.extend_from_slice(scale);
                s.gradient.iter_mut().zip(scale).for_each(|(g, d)| *g /= d);
                s.reduce_to_order_one();
                let (mut entries, scale) = (std::mem::take(&mut s.entries), std::mem::take(&mut s.scale));
                let prepared =
                    Scaled::stored(model.curvature, &scale, &mut entries).and_then(|b| self.prepare_general(&b, shape));
                (self.scratch.entries, self.scratch.scale) = (entries, scale);
                prepared?;
            }
            None => {
                s.reduce_to_order_one();
                self.prepare_general(model.curvature, shape)?;
            }
        }
        self.scratch.factorizations = self.scratch.cholesky.count() - before;
        Ok(())
    }

    /// In variables scaled by the columns of `J`, the Newton point by QR; the shortest basic one of a deficient rank.
    fn prepare_gram(&mut self, gram: Gram<'_>, shape: Shape) -> Result<()> {
        let s = &mut self.scratch;
        s.scale.extend_from_slice(self.columns.update(gram));
        s.qr.factor(gram, &s.scale)?;
        s.factorizations = 1;
        s.gradient.iter_mut().zip(&s.scale).for_each(|(g, d)| *g /= d);
        s.reduce_to_order_one();
        s.qr.solve_damped(0.0);
        s.qr.step(&mut s.newton);
        s.newton.iter_mut().zip(&s.scale).for_each(|(p, d)| *p *= d);
        scale_by_power(&mut s.newton, -s.exponent);
        let scale = std::mem::take(&mut s.scale);
        let scaled = Scaled::products(&gram, &scale);
        let prepared = s.set_gradient_curvature(&scaled).and_then(|()| s.set(shape, &scaled));
        s.scale = scale;
        prepared
    }

    fn prepare_general(&mut self, b: &dyn SymmetricOperator, shape: Shape) -> Result<()> {
        let s = &mut self.scratch;
        s.set_gradient_curvature(b)?;
        // A quasi-Newton matrix known through products has its inverse at hand.
        if matches!(b.form(), Form::Product)
            && let Some(inverse) = b.inverse(0.0)
        {
            inverse?.apply(&s.gradient, &mut s.newton)?;
            scale(-1.0, &mut s.newton);
            if s.gradient_curvature > 0.0 && dot(&s.gradient, &s.newton) < 0.0 && all_finite(&s.newton) {
                return s.set(shape, b);
            }
        }
        s.cholesky.load(b)?;
        let (tau, curvature) = self.shift.factor(&mut s.cholesky, s.subspace.vector(1), &mut s.spare)?;
        s.cholesky.solve(&s.gradient, &mut s.newton);
        scale(-1.0, &mut s.newton);
        if tau == 0.0 {
            if all_finite(&s.newton) {
                return s.set(shape, b);
            }
            s.newton.fill(0.0);
            s.subspace.vector(1).fill(0.0);
        } else if curvature.is_some() {
            s.refine_negative_direction();
        } else {
            s.subspace.vector(1).fill(0.0);
        }
        s.shape = Shape::Subspace;
        s.span(b)
    }
}

impl Scratch {
    /// Divides the gradient by the power of two next to its size, which changes no digit.
    fn reduce_to_order_one(&mut self) {
        self.exponent = exponent(norm_inf(&self.gradient));
        scale_by_power(&mut self.gradient, -self.exponent);
        self.gradient_norm = norm(&self.gradient);
    }

    /// `uᵀBu` for `u = g/‖g‖`.
    fn set_gradient_curvature(&mut self, b: &dyn SymmetricOperator) -> Result<()> {
        let u = self.subspace.vector(0);
        u.copy_from_slice(&self.gradient);
        if self.gradient_norm > 0.0 {
            u.iter_mut().for_each(|u| *u /= self.gradient_norm);
        }
        b.apply(u, &mut self.spare)?;
        self.gradient_curvature = dot(u, &self.spare);
        Ok(())
    }

    /// For a Newton point that minimizes the model.
    fn set(&mut self, shape: Shape, b: &dyn SymmetricOperator) -> Result<()> {
        self.shape = shape;
        self.newton_length = norm(&self.newton);
        self.newton_slope = dot(&self.gradient, &self.newton);
        if shape == Shape::Path {
            return Ok(());
        }
        self.subspace.vector(1).fill(0.0);
        self.span(b)
    }

    /// The span of `g`, a direction of negative curvature and `p_N`.
    fn span(&mut self, b: &dyn SymmetricOperator) -> Result<()> {
        self.subspace.vector(0).copy_from_slice(&self.gradient);
        self.subspace.vector(2).copy_from_slice(&self.newton);
        self.subspace.project(&self.gradient, self.exponent, b)
    }

    /// Inverse iteration with `B + τI` on the direction of negative curvature.
    fn refine_negative_direction(&mut self) {
        for _ in 0..INVERSE_ITERATIONS {
            let v = self.subspace.vector(1);
            self.cholesky.solve(v, &mut self.spare);
            let length = norm(&self.spare);
            if !(length > 0.0 && length.is_finite()) {
                return;
            }
            self.spare.iter_mut().for_each(|v| *v /= length);
            std::mem::swap(v, &mut self.spare);
        }
    }

    /// Length of the step to the minimizer along `−g`.
    fn cauchy(&self) -> f64 {
        if self.gradient_curvature > 0.0 { self.gradient_norm / self.gradient_curvature } else { f64::INFINITY }
    }

    /// Where Powell's path leaves a ball that the Cauchy point lies in, as `p = a u + c p_N`.
    fn path(&self, radius: f64) -> (f64, f64) {
        if self.newton_length <= radius {
            return (0.0, 1.0);
        }
        let cauchy = self.cauchy();
        // ‖p_U + t (p_N − p_U)‖ = radius, the positive root in its stable form.
        let cosine = self.newton_slope / self.gradient_norm; // uᵀp_N, negative
        let (c, n) = (cauchy / radius, self.newton_length / radius);
        let inner = -c * (cosine / radius); // p_Uᵀp_N / radius²
        let quadratic = (n * n - 2.0 * inner + c * c).max(0.0);
        let linear = inner - c * c;
        let constant = 1.0 - c * c;
        let root = (linear * linear + quadratic * constant).max(0.0).sqrt();
        let t = if linear > 0.0 { constant / (linear + root) } else { (root - linear) / quadratic };
        let t = if t.is_finite() { t.clamp(0.0, 1.0) } else { 0.0 };
        (-cauchy * (1.0 - t), t)
    }

    /// The step in the variables of the ball.
    fn step(&mut self, radius: f64, p: &mut [f64]) -> Result<Step> {
        let e = self.exponent;
        // Zero or infinite where it is out of all proportion to the Newton point, and then it compares rightly.
        let reach = times_power(radius, -e);
        let inside = self.newton_length <= reach;
        if self.shape == Shape::Subspace || (self.shape == Shape::Around && !inside) {
            return self.subspace.minimize(radius, p);
        }
        if !inside && self.cauchy() >= reach {
            let (n, k) = (self.gradient_norm, self.gradient_curvature);
            p.iter_mut().zip(&self.gradient).for_each(|(p, g)| *p = -(g / n) * radius);
            let linear = times_power(n * radius, e);
            // In this order: the first product is at most ‖g‖.
            return Ok(Step { predicted: linear - 0.5 * (k * radius * radius), slope: -linear, length: norm(p), inner: 0 });
        }
        let (a, c) = self.path(reach);
        let u = if self.gradient_norm > 0.0 { a / self.gradient_norm } else { 0.0 };
        for ((p, g), newton) in p.iter_mut().zip(&self.gradient).zip(&self.newton) {
            *p = u * g + c * newton;
        }
        // B p_N = −g gives every term of the model.
        let slope = a * self.gradient_norm + c * self.newton_slope;
        let curvature = a * (a * self.gradient_curvature) - 2.0 * a * c * self.gradient_norm - c * c * self.newton_slope;
        let (slope, predicted) = (dot(&self.gradient, p), -slope - 0.5 * curvature);
        scale_by_power(p, e);
        let twice = |v: f64| times_power(v, 2 * e);
        Ok(Step { predicted: twice(predicted), slope: twice(slope), length: norm(p), inner: 0 })
    }
}

impl Subproblem for Dogleg {
    type Region = Ball;

    fn begin(&mut self) {
        self.columns.forget();
        self.shift = DefiniteShift::default();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        self.prepare_for(model, Shape::Path)
    }

    fn step(&mut self, _: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let s = &mut self.scratch;
        Error::check_len("step", s.newton.len(), p.len())?;
        let step = s.step(check_size(size)?, p)?;
        p.iter_mut().zip(&s.scale).for_each(|(p, d)| *p /= d);
        finished(step, p)
    }

    fn factorizations(&self) -> u64 {
        self.scratch.factorizations
    }

    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        (!self.scratch.scale.is_empty()).then(|| self.columns.length(x)).flatten()
    }
}

impl Subproblem for TwoDimensional {
    type Region = Ball;

    fn begin(&mut self) {
        self.0.begin();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        self.0.prepare_for(model, Shape::Around)
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        self.0.step(model, size, p)
    }

    fn factorizations(&self) -> u64 {
        self.0.factorizations()
    }

    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        self.0.scaled_norm(x)
    }
}

#[cfg(test)]
mod tests;
