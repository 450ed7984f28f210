//! Conjugate gradients for `B x = −g`: one loop, plain, preconditioned, truncated and ball-constrained.
//!
//! Each iterate minimises `m(x) = gᵀx + ½ xᵀBx` over a growing Krylov space, so the reduction `−m(x)` and `xᵀBx` come
//! from CG's own scalars and no product is spent on them. The iterates do not depend on the radius: their path (step
//! lengths, norms, directions) is kept up to a memory bound, and the answer for a smaller radius is read from it
//! without products; a larger one continues where the loop stopped.
//!
//! Where gradient, operator or preconditioner are so large or small that squares would leave the range, the loop runs on
//! `2⁻ᵉg`, `2⁻ʰB` and `2⁻ʷM⁻¹`: powers of two, which change no digit.
//!
//! Hestenes & Stiefel 1952; Steihaug, SIAM J. Numer. Anal. 20(3), 1983, Algorithm of §2 (ball and negative curvature).

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::kernels::{gram, next_direction, step_and_residual};
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::power::{exponent, scale_by_power, times_power};
use crate::linalg::vector::{axpy, dot, norm, norm_inf};

/// Relative size of `pᵀBp / pᵀp`, against the largest met so far, below which it counts as not positive.
const FLAT: f64 = 16.0 * f64::EPSILON;
/// Lengths of gradients up to `2¹⁰⁰`, and ratios up to `2²⁰⁰`, are taken as they are; likewise their reciprocals.
const GRADIENT_RANGE: i32 = 100;
const RATIO_RANGE: i32 = 200;
/// Against a radius beyond this the iterates of order one are nothing, and its square comes near the end of the range.
const FAR: f64 = 1e120;

/// When the loop ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CgLimits {
    /// Bound on `‖r‖` (`√(rᵀM⁻¹r)` when preconditioned), relative to its first value.
    pub tolerance: f64,
    /// Bound on `‖x‖` (`√(xᵀMx)` when preconditioned); infinite for a plain solve.
    pub radius: f64,
    /// Iterations since [`Cg::start`].
    pub max_iterations: u64,
}

impl Default for CgLimits {
    /// To 1e-10, without a ball, within 100 000 iterations: a residual that rounding keeps above its bound ends too.
    fn default() -> Self {
        Self { tolerance: 1e-10, radius: f64::INFINITY, max_iterations: 100_000 }
    }
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgEnd {
    /// The residual test is met at the iterate.
    Converged,
    /// The next iterate would leave the ball.
    Boundary,
    /// The present direction has `pᵀBp ≤ 0`.
    NegativeCurvature,
    /// Out of iterations.
    MaxIterations,
}

/// The point that [`Cg::point_within`] wrote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CgPoint {
    /// `−gᵀx − ½ xᵀBx`.
    pub reduction: f64,
    /// `‖x‖`, in the norm of the preconditioner.
    pub norm: f64,
    /// What decided it.
    pub end: CgEnd,
}

/// Scalars of one finished step, from `x_j` to `x_{j+1} = x_j + α p_j`.
#[derive(Debug, Clone, Copy)]
struct Record {
    alpha: f64,
    /// `p_jᵀ B p_j` and `r_jᵀ z_j`.
    curvature: f64,
    rz: f64,
    /// `‖x_j‖²_M`, `x_jᵀ M p_j`, `‖p_j‖²_M` before the step; `‖x_{j+1}‖²_M` after it.
    xx: f64,
    xp: f64,
    pp: f64,
    xx_next: f64,
    /// Reduction before the step.
    reduction: f64,
}

/// State and buffers of conjugate gradients; nothing is allocated once the buffers have grown.
#[derive(Debug, Clone, Default)]
pub struct Cg {
    n: usize,
    x: Vec<f64>,
    r: Vec<f64>,
    z: Vec<f64>,
    q: Vec<f64>,
    directions: Vec<f64>,
    path: Vec<Record>,
    slots: usize,
    preconditioned: bool,
    /// The loop runs on `2⁻ᵉg`, `2⁻ʰB`, `2⁻ʷM⁻¹` (`w` even): zero in the ordinary range.
    gradient_exponent: i32,
    operator_exponent: i32,
    inverse_exponent: i32,
    rr: f64,
    rz: f64,
    rz_first: f64,
    xx: f64,
    xp: f64,
    pp: f64,
    reduction: f64,
    /// `pᵀBp` of the present direction, once its product is known.
    curvature: Option<f64>,
    largest_quotient: f64,
    products: u64,
}

impl Cg {
    /// Begins at `x = 0` for the gradient `g`; `memory` bounds the bytes kept for directions (at least two are kept).
    ///
    /// # Errors
    /// [`Error::NonFinite`] if `g` is not finite, errors of the preconditioner, [`Error::Unsupported`] if it is not
    /// positive definite.
    pub fn start(&mut self, g: &[f64], preconditioner: Option<&dyn SymmetricOperator>, memory: usize) -> Result<()> {
        let n = g.len();
        self.n = n;
        for buffer in [&mut self.x, &mut self.r, &mut self.q] {
            buffer.resize(n, 0.0);
        }
        self.slots = (memory / (8 * n.max(1))).max(2);
        self.path.clear();
        self.x.fill(0.0);
        (self.gradient_exponent, self.operator_exponent, self.inverse_exponent) = (0, 0, 0);
        self.rr = dot(g, g);
        let ordinary = self.rr > 0.0 && exponent(self.rr).abs() <= 2 * GRADIENT_RANGE;
        if !ordinary {
            Error::check_finite("gradient", g)?;
            self.gradient_exponent = exponent(norm(g));
        }
        let e = -self.gradient_exponent;
        self.r.iter_mut().zip(g).for_each(|(r, g)| *r = -times_power(*g, e));
        if !ordinary {
            self.rr = dot(&self.r, &self.r);
        }
        self.preconditioned = preconditioner.is_some();
        self.rz = self.precondition(preconditioner, true)?;
        self.rz_first = self.rz;
        let first = column(&mut self.directions, 0, n);
        first.copy_from_slice(if self.preconditioned { &self.z } else { &self.r });
        (self.xx, self.xp, self.pp, self.reduction) = (0.0, 0.0, self.rz, 0.0);
        (self.curvature, self.largest_quotient, self.products) = (None, 0.0, 0);
        Ok(())
    }

    /// Runs until a limit is met; may be called again with other limits.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the operator does not fit, errors of products, [`Error::NonFinite`] if one is not finite.
    pub fn advance(
        &mut self,
        operator: &dyn SymmetricOperator,
        preconditioner: Option<&dyn SymmetricOperator>,
        limits: &CgLimits,
    ) -> Result<CgEnd> {
        Error::check_len("operator", self.n, operator.dim())?;
        let bound = self.rz_first * limits.tolerance * limits.tolerance;
        loop {
            if self.rz <= bound || self.rz == 0.0 {
                return Ok(CgEnd::Converged);
            }
            if self.path.len() as u64 >= limits.max_iterations {
                return Ok(CgEnd::MaxIterations);
            }
            let curvature = self.direction_curvature(operator)?;
            if curvature <= FLAT * self.largest_quotient * self.pp {
                return Ok(CgEnd::NegativeCurvature);
            }
            let alpha = self.rz / curvature;
            let xx_next = self.xx + alpha * (2.0 * self.xp + alpha * self.pp);
            // Known once the first product is; written so that an overflow to NaN counts as outside.
            let radius = self.inner_radius(limits.radius);
            if !(xx_next < radius * radius) {
                return Ok(CgEnd::Boundary);
            }
            self.take(alpha, curvature, xx_next, preconditioner)?;
        }
    }

    /// Writes the minimiser along the path within `radius` into `out`: products are made only where the path recorded
    /// so far does not reach.
    ///
    /// # Errors
    /// As [`advance`](Self::advance); [`Error::Dimension`] if `out` or `g` has another length than the path.
    pub fn point_within(
        &mut self,
        operator: &dyn SymmetricOperator,
        preconditioner: Option<&dyn SymmetricOperator>,
        g: &[f64],
        limits: &CgLimits,
        out: &mut [f64],
    ) -> Result<CgPoint> {
        Error::check_len("step", self.n, out.len())?;
        Error::check_len("gradient", self.n, g.len())?;
        let radius = self.inner_radius(limits.radius);
        let bound = radius * radius;
        let crossing = self.path.iter().position(|step| !(step.xx_next < bound));
        let (point, end) = match crossing {
            Some(j) if self.kept(j) => {
                let step = self.path[j];
                out.fill(0.0);
                for (i, earlier) in self.path[..j].iter().enumerate() {
                    axpy(earlier.alpha, &self.directions[i * self.n..(i + 1) * self.n], out);
                }
                (step, CgEnd::Boundary)
            }
            _ => {
                if crossing.is_some() {
                    // The directions that led here were not kept.
                    let memory = self.slots * 8 * self.n;
                    self.start(g, preconditioner, memory)?;
                }
                let end = self.advance(operator, preconditioner, limits)?;
                out.copy_from_slice(&self.x);
                (self.present(), end)
            }
        };
        let onto = limits.radius < f64::INFINITY && matches!(end, CgEnd::Boundary | CgEnd::NegativeCurvature);
        if !onto {
            self.write(out);
            let reduction = times_power(point.reduction, self.reduction_exponent());
            return Ok(CgPoint { reduction, norm: self.outer_norm(point.xx.max(0.0).sqrt()), end });
        }
        let j = crossing.filter(|&j| self.kept(j)).unwrap_or(self.path.len());
        let inner = self.inner_radius(limits.radius);
        let reduction = if j == 0 || inner > FAR {
            self.far_along(&point, j, limits.radius, out)
        } else {
            let found = self.to_boundary(&point, j, inner, end, out);
            self.write(out);
            times_power(found, self.reduction_exponent())
        };
        Ok(CgPoint { reduction, norm: limits.radius, end })
    }

    /// The solution found: `out ← unit · out`.
    pub(crate) fn write(&self, out: &mut [f64]) {
        scale_by_power(out, self.gradient_exponent - self.operator_exponent);
    }

    /// The present iterate, of the problem in units of [`unit`](Self::unit).
    pub fn x(&self) -> &[f64] {
        &self.x
    }
    /// The present direction: after [`CgEnd::NegativeCurvature`], one with `pᵀBp ≤ 0`.
    pub fn direction(&self) -> &[f64] {
        let j = self.slot(self.path.len());
        &self.directions[j * self.n..(j + 1) * self.n]
    }
    /// `pᵀBp` of [`direction`](Self::direction), where its product was made.
    pub fn curvature(&self) -> Option<f64> {
        self.curvature
    }
    /// The factor that turns [`x`](Self::x) into the solution: a power of two, 1 unless the squares of `‖g‖` or `‖B‖` would
    /// come near the ends of the range.
    pub fn unit(&self) -> f64 {
        times_power(1.0, self.gradient_exponent - self.operator_exponent)
    }
    /// Writes the solution as it stands, [`unit`](Self::unit) times [`x`](Self::x).
    ///
    /// # Errors
    /// [`Error::Dimension`] if `out` has another length.
    pub fn solution(&self, out: &mut [f64]) -> Result<()> {
        Error::check_len("solution", self.n, out.len())?;
        out.copy_from_slice(&self.x);
        self.write(out);
        Ok(())
    }
    /// `−gᵀx − ½ xᵀBx` at [`x`](Self::x), for the scaled problem. Twice this is `xᵀBx`.
    pub fn reduction(&self) -> f64 {
        self.reduction
    }
    /// The power of two that turns reductions of the scaled problem into those of the true one.
    pub(crate) fn reduction_exponent(&self) -> i32 {
        2 * self.gradient_exponent - self.operator_exponent
    }
    /// `√(rᵀM⁻¹r)`, for the scaled problem.
    pub fn residual_norm(&self) -> f64 {
        self.rz.sqrt()
    }
    /// A length in units of [`unit`](Self::unit).
    pub(crate) fn inner_length(&self, length: f64) -> f64 {
        times_power(length, self.operator_exponent - self.gradient_exponent)
    }
    /// `‖B p‖ / ‖p‖` of the present direction, for the scaled problem, where its product was made.
    pub(crate) fn image(&self) -> f64 {
        if self.curvature.is_none() {
            return 0.0;
        }
        norm(&self.q) / norm(self.direction())
    }
    /// Iterations since the start.
    pub fn iterations(&self) -> u64 {
        self.path.len() as u64
    }
    /// Products since the start.
    pub fn products(&self) -> u64 {
        self.products
    }

    /// A radius in the units of the loop: zero or infinite where it is out of all proportion, and then it compares rightly.
    fn inner_radius(&self, radius: f64) -> f64 {
        times_power(radius, self.operator_exponent - self.gradient_exponent + self.inverse_exponent / 2)
    }

    /// A length in the units of the loop, turned back.
    fn outer_norm(&self, length: f64) -> f64 {
        times_power(length, self.gradient_exponent - self.operator_exponent - self.inverse_exponent / 2)
    }

    fn slot(&self, j: usize) -> usize {
        if j < self.slots { j } else { self.slots - 2 + (j - self.slots) % 2 }
    }

    /// Whether the directions up to `p_j` are all still there.
    fn kept(&self, j: usize) -> bool {
        self.path.len() < self.slots || j + 2 < self.slots
    }

    fn present(&self) -> Record {
        let curvature = self.curvature.unwrap_or(0.0);
        Record {
            alpha: 0.0,
            curvature,
            rz: self.rz,
            xx: self.xx,
            xp: self.xp,
            pp: self.pp,
            xx_next: self.xx,
            reduction: self.reduction,
        }
    }

    /// `z ← M⁻¹ r`; returns `rᵀz`.
    fn precondition(&mut self, preconditioner: Option<&dyn SymmetricOperator>, first: bool) -> Result<f64> {
        let Some(m) = preconditioner else { return Ok(self.rr) };
        Error::check_len("preconditioner", self.n, m.dim())?;
        self.z.resize(self.n, 0.0);
        m.apply(&self.r, &mut self.z)?;
        if first {
            let ratio = exponent(norm_inf(&self.z)) - exponent(norm_inf(&self.r));
            self.inverse_exponent = if ratio.abs() > RATIO_RANGE { ratio & !1 } else { 0 };
        }
        scale_by_power(&mut self.z, -self.inverse_exponent);
        let rz = dot(&self.r, &self.z);
        if !rz.is_finite() {
            return Err(Error::NonFinite { what: "preconditioned residual", index: None });
        }
        if rz < 0.0 || (rz == 0.0 && self.rr > 0.0) {
            return Err(Error::Unsupported { what: "conjugate gradients", requirement: "a positive definite preconditioner" });
        }
        Ok(rz)
    }

    /// `pᵀBp` of the present direction; its product is made once.
    fn direction_curvature(&mut self, operator: &dyn SymmetricOperator) -> Result<f64> {
        if let Some(known) = self.curvature {
            return Ok(known);
        }
        let j = self.slot(self.path.len());
        let p = &self.directions[j * self.n..(j + 1) * self.n];
        operator.apply(p, &mut self.q)?;
        self.products += 1;
        if self.path.is_empty() {
            let largest = norm_inf(&self.q);
            let ratio = if largest > 0.0 { exponent(largest) - exponent(norm_inf(p)) } else { 0 };
            self.operator_exponent = if largest.is_finite() && ratio.abs() > RATIO_RANGE { ratio } else { 0 };
        }
        scale_by_power(&mut self.q, -self.operator_exponent);
        let curvature = dot(p, &self.q);
        if !curvature.is_finite() {
            Error::check_finite("curvature product", &self.q)?;
            return Err(Error::NonFinite { what: "curvature along a direction", index: None });
        }
        self.curvature = Some(curvature);
        self.largest_quotient = self.largest_quotient.max(curvature.abs() / self.pp);
        Ok(curvature)
    }

    /// One CG step, and the next direction.
    fn take(&mut self, alpha: f64, curvature: f64, xx_next: f64, preconditioner: Option<&dyn SymmetricOperator>) -> Result<()> {
        let n = self.n;
        let j = self.path.len();
        let (old, new) = (self.slot(j), self.slot(j + 1));
        self.path.push(Record {
            alpha,
            curvature,
            rz: self.rz,
            xx: self.xx,
            xp: self.xp,
            pp: self.pp,
            xx_next,
            reduction: self.reduction,
        });
        let p = &self.directions[old * n..(old + 1) * n];
        self.rr = step_and_residual(alpha, p, &self.q, &mut self.x, &mut self.r);
        self.reduction += 0.5 * alpha * self.rz;
        let rz = self.precondition(preconditioner, false)?;
        let beta = rz / self.rz;
        // ‖·‖_M by recurrences: exact while the residuals stay orthogonal, and M itself is never needed.
        self.xx = xx_next;
        self.xp = beta * (self.xp + alpha * self.pp);
        self.pp = rz + beta * beta * self.pp;
        self.rz = rz;
        self.curvature = None;
        let z = if self.preconditioned { &self.z } else { &self.r };
        column(&mut self.directions, new, n);
        let (p, next) = two_columns(&mut self.directions, old, new, n);
        next_direction(z, beta, p, next);
        Ok(())
    }

    /// Moves `x = x_j`, whose length is nothing against `radius`, along `p_j` to the sphere, in true units whatever these
    /// are; returns the reduction there.
    fn far_along(&self, point: &Record, j: usize, radius: f64, x: &mut [f64]) -> f64 {
        self.write(x);
        let slot = self.slot(j);
        let length = point.pp.sqrt();
        let radius = times_power(radius, self.inverse_exponent / 2);
        x.iter_mut().zip(&self.directions[slot * self.n..(slot + 1) * self.n]).for_each(|(x, p)| *x += p / length * radius);
        let linear = times_power(point.rz / length * radius, self.gradient_exponent);
        // In this order: along positive curvature the first factor is no larger than the slope.
        let bend = times_power(point.curvature / point.pp * radius, self.operator_exponent) * radius;
        times_power(point.reduction, self.reduction_exponent()) + linear - 0.5 * bend
    }

    /// Moves `x = x_j` along `p_j` to the sphere of `radius`; returns the reduction there.
    fn to_boundary(&self, point: &Record, j: usize, radius: f64, end: CgEnd, x: &mut [f64]) -> f64 {
        let slot = self.slot(j);
        let p = &self.directions[slot * self.n..(slot + 1) * self.n];
        // Without a preconditioner the norms can be had exactly: the recurrences drift with orthogonality.
        let (xx, xp, pp) = if self.preconditioned { (point.xx, point.xp, point.pp) } else { gram(x, p) };
        let gap = ((radius - xx.max(0.0).sqrt()) * (radius + xx.max(0.0).sqrt())).max(0.0);
        let root = (xp * xp + pp * gap).sqrt();
        let (ahead, behind) =
            if xp >= 0.0 { (gap / (xp + root), -(xp + root) / pp) } else { ((root - xp) / pp, gap / (xp - root)) };
        let gain = |tau: f64| tau * (point.rz - 0.5 * tau * point.curvature);
        // Along negative curvature the far side of the ball may be lower.
        let tau = if end == CgEnd::NegativeCurvature && gain(behind) > gain(ahead) { behind } else { ahead };
        axpy(tau, p, x);
        point.reduction + gain(tau)
    }
}

/// Column `j`, growing the storage to hold it.
fn column(storage: &mut Vec<f64>, j: usize, n: usize) -> &mut [f64] {
    if storage.len() < (j + 1) * n {
        storage.resize((j + 1) * n, 0.0);
    }
    &mut storage[j * n..(j + 1) * n]
}

/// Column `old` for reading and another column `new` for writing.
fn two_columns(storage: &mut [f64], old: usize, new: usize, n: usize) -> (&[f64], &mut [f64]) {
    if old < new {
        let (head, tail) = storage.split_at_mut(new * n);
        (&head[old * n..(old + 1) * n], &mut tail[..n])
    } else {
        let (head, tail) = storage.split_at_mut(old * n);
        (&tail[..n], &mut head[new * n..(new + 1) * n])
    }
}

/// Solves `B x = b` for positive definite `B`; returns the iterations used.
///
/// # Errors
/// [`Error::Unsupported`] if `B` is not positive definite or `max_iterations` do not suffice; errors of products.
pub fn solve(
    operator: &dyn SymmetricOperator,
    preconditioner: Option<&dyn SymmetricOperator>,
    b: &[f64],
    limits: &CgLimits,
    workspace: &mut Cg,
    x: &mut [f64],
) -> Result<u64> {
    Error::check_len("solution", b.len(), x.len())?;
    workspace.start(b, preconditioner, 0)?;
    match workspace.advance(operator, preconditioner, &CgLimits { radius: f64::INFINITY, ..*limits })? {
        CgEnd::Converged => {
            // The loop solves B x = −g.
            workspace.solution(x)?;
            x.iter_mut().for_each(|x| *x = -*x);
            Ok(workspace.iterations())
        }
        CgEnd::MaxIterations => Err(Error::Unsupported { what: "conjugate gradients", requirement: "more iterations" }),
        _ => Err(Error::Unsupported { what: "conjugate gradients", requirement: "a positive definite operator" }),
    }
}
