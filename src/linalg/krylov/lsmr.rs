//! LSMR for `min ‖b − Ax‖² + damping² ‖x‖²`: MINRES on the normal equations without forming them, so that `‖Aᵀr‖`
//! decreases monotonically. One product with `A` and one with `Aᵀ` a step.
//!
//! Fong & Saunders, SIAM J. Sci. Comput. 33(5), 2011: the bidiagonalization of §2, the two rotations of §3, the
//! estimates of §4, damping of §5.

use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot, norm, scale};

/// A linear map `A` with its transpose, known through products.
pub trait RectangularOperator {
    /// Rows.
    fn nrows(&self) -> usize;
    /// Columns.
    fn ncols(&self) -> usize;
    /// `out ← A v`: `v` has [`ncols`](Self::ncols) entries, `out` [`nrows`](Self::nrows).
    ///
    /// # Errors
    /// A product that calls a user's function may fail.
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()>;
    /// `out ← Aᵀ u`.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    fn apply_transposed(&self, u: &[f64], out: &mut [f64]) -> Result<()>;
}

impl<T: RectangularOperator + ?Sized> RectangularOperator for &T {
    fn nrows(&self) -> usize {
        (**self).nrows()
    }
    fn ncols(&self) -> usize {
        (**self).ncols()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        (**self).apply(v, out)
    }
    fn apply_transposed(&self, u: &[f64], out: &mut [f64]) -> Result<()> {
        (**self).apply_transposed(u, out)
    }
}

impl RectangularOperator for nalgebra::DMatrix<f64> {
    fn nrows(&self) -> usize {
        nalgebra::DMatrix::nrows(self)
    }
    fn ncols(&self) -> usize {
        nalgebra::DMatrix::ncols(self)
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.fill(0.0);
        for (column, v) in self.as_slice().chunks_exact(self.nrows().max(1)).zip(v) {
            axpy(*v, column, out);
        }
        Ok(())
    }
    fn apply_transposed(&self, u: &[f64], out: &mut [f64]) -> Result<()> {
        out.fill(0.0);
        for (column, o) in self.as_slice().chunks_exact(self.nrows().max(1)).zip(out) {
            *o = dot(column, u);
        }
        Ok(())
    }
}

impl RectangularOperator for sprs::CsMat<f64> {
    fn nrows(&self) -> usize {
        self.rows()
    }
    fn ncols(&self) -> usize {
        self.cols()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        if self.is_csr() {
            gather(self, v, out)
        } else {
            scatter(self, v, out)
        }
        Ok(())
    }
    fn apply_transposed(&self, u: &[f64], out: &mut [f64]) -> Result<()> {
        if self.is_csr() {
            scatter(self, u, out)
        } else {
            gather(self, u, out)
        }
        Ok(())
    }
}

fn gather(m: &sprs::CsMat<f64>, v: &[f64], out: &mut [f64]) {
    for (o, outer) in out.iter_mut().zip(m.outer_iterator()) {
        *o = outer.iter().map(|(i, a)| a * v[i]).sum();
    }
}

fn scatter(m: &sprs::CsMat<f64>, v: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    for (v, outer) in v.iter().zip(m.outer_iterator()) {
        outer.iter().for_each(|(i, a)| out[i] += a * v);
    }
}

/// When LSMR ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LsmrLimits {
    /// `‖Aᵀr‖ ≤ a_tolerance ‖A‖‖r‖` (least squares); relative error of `A`. Default 1e-12.
    pub a_tolerance: f64,
    /// `‖r‖ ≤ b_tolerance ‖b‖ + a_tolerance ‖A‖‖x‖` (compatible system); relative error of `b`. Default 1e-12.
    pub b_tolerance: f64,
    /// `‖Aᵀr‖ ≤ normal_tolerance ‖Aᵀb‖`: how far the normal equations are solved in an inexact Newton method. Default 0.
    pub normal_tolerance: f64,
    /// Largest condition number estimated. Default infinite.
    pub condition_limit: f64,
    /// Bound on steps. Default 10 000.
    pub max_iterations: u64,
}

impl Default for LsmrLimits {
    fn default() -> Self {
        Self {
            a_tolerance: 1e-12,
            b_tolerance: 1e-12,
            normal_tolerance: 0.0,
            condition_limit: f64::INFINITY,
            max_iterations: 10_000,
        }
    }
}

/// Why LSMR ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LsmrEnd {
    /// `x = 0` is the solution: `Aᵀb = 0`.
    Zero,
    /// The residual is as small as its tolerance: the system is compatible.
    Compatible,
    /// The normal equations hold to their tolerance.
    LeastSquares,
    /// The estimated condition number passed its limit.
    Condition,
    /// Out of iterations.
    MaxIterations,
}

/// What LSMR reports; norms come from the recurrences and belong to the damped system `[A; damping I]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LsmrReport {
    /// Why it ended.
    pub end: LsmrEnd,
    /// Steps: products with `A`, and as many with `Aᵀ` plus one.
    pub iterations: u64,
    /// `‖r‖`, the damping row included.
    pub residual: f64,
    /// `‖Aᵀr − damping² x‖`.
    pub normal_residual: f64,
    /// Estimate of `‖A‖` (Frobenius, of the bidiagonal).
    pub operator_norm: f64,
    /// Estimate of the condition number.
    pub condition: f64,
}

/// Buffers, reused from solve to solve.
#[derive(Debug, Clone, Default)]
pub struct Lsmr {
    u: Vec<f64>,
    v: Vec<f64>,
    h: Vec<f64>,
    h_bar: Vec<f64>,
    rows: Vec<f64>,
    columns: Vec<f64>,
}

/// `(c, s, r)` with `c a + s b = r` and `−s a + c b = 0`.
fn rotation(a: f64, b: f64) -> (f64, f64, f64) {
    let r = a.hypot(b);
    if r == 0.0 { (1.0, 0.0, 0.0) } else { (a / r, b / r, r) }
}

/// The estimate of `‖r‖` (§4, from the QR factorization of the rotated bidiagonal).
struct ResidualNorm {
    beta_double: f64,
    beta_dot: f64,
    rho_dot: f64,
    tau_old: f64,
    theta_tilde: f64,
    zeta_old: f64,
    damped: f64,
}

impl ResidualNorm {
    fn update(&mut self, damping: (f64, f64), (c, s): (f64, f64), theta_bar: f64, rho_bar: f64, zeta: f64) -> f64 {
        let (c_damp, s_damp) = damping;
        let beta_acute = c_damp * self.beta_double;
        self.damped = self.damped.hypot(s_damp * self.beta_double);
        let beta_hat = c * beta_acute;
        self.beta_double = -s * beta_acute;
        let theta_tilde_old = self.theta_tilde;
        let (c_tilde, s_tilde, rho_tilde) = rotation(self.rho_dot, theta_bar);
        self.theta_tilde = s_tilde * rho_bar;
        self.rho_dot = c_tilde * rho_bar;
        self.beta_dot = -s_tilde * self.beta_dot + c_tilde * beta_hat;
        self.tau_old = (self.zeta_old - theta_tilde_old * self.tau_old) / rho_tilde;
        let tau = (zeta - self.theta_tilde * self.tau_old) / self.rho_dot;
        self.zeta_old = zeta;
        self.damped.hypot(self.beta_dot - tau).hypot(self.beta_double)
    }
}

impl Lsmr {
    /// Solves from `x = 0`.
    ///
    /// # Errors
    /// [`Error::Dimension`], errors of products, [`Error::NonFinite`] if one is not finite.
    pub fn solve(
        &mut self,
        operator: &dyn RectangularOperator,
        b: &[f64],
        damping: f64,
        limits: &LsmrLimits,
        x: &mut [f64],
    ) -> Result<LsmrReport> {
        let (m, n) = (operator.nrows(), operator.ncols());
        Error::check_len("right-hand side", m, b.len())?;
        Error::check_len("solution", n, x.len())?;
        Error::check_finite("right-hand side", b)?;
        x.fill(0.0);
        for (buffer, length) in [(&mut self.u, m), (&mut self.rows, m)] {
            buffer.resize(length, 0.0);
        }
        for buffer in [&mut self.v, &mut self.columns, &mut self.h, &mut self.h_bar] {
            buffer.resize(n, 0.0);
        }
        self.h_bar.fill(0.0);
        // β₁ u₁ = b, α₁ v₁ = Aᵀ u₁.
        let b_norm = norm(b);
        let mut report = LsmrReport {
            end: LsmrEnd::Zero,
            iterations: 0,
            residual: b_norm,
            normal_residual: 0.0,
            operator_norm: 0.0,
            condition: 1.0,
        };
        if b_norm == 0.0 {
            return Ok(report);
        }
        self.u.iter_mut().zip(b).for_each(|(u, b)| *u = b / b_norm);
        operator.apply_transposed(&self.u, &mut self.v)?;
        let mut alpha = unit(&mut self.v)?;
        if alpha == 0.0 {
            return Ok(report);
        }
        self.h.copy_from_slice(&self.v);
        let mut alpha_bar = alpha;
        let mut zeta_bar = alpha * b_norm;
        let forced = limits.normal_tolerance * zeta_bar;
        let (mut rho, mut rho_bar, mut c_bar, mut s_bar) = (1.0, 1.0, 1.0, 0.0);
        let mut frobenius = alpha;
        let (mut largest, mut smallest) = (0.0f64, f64::INFINITY);
        let mut residual = ResidualNorm {
            beta_double: b_norm,
            beta_dot: 0.0,
            rho_dot: 1.0,
            tau_old: 0.0,
            theta_tilde: 0.0,
            zeta_old: 0.0,
            damped: 0.0,
        };
        report.end = LsmrEnd::MaxIterations;
        while report.iterations < limits.max_iterations {
            report.iterations += 1;
            // Golub–Kahan: β u ← A v − α u, α v ← Aᵀ u − β v.
            operator.apply(&self.v, &mut self.rows)?;
            axpy(-alpha, &self.u, &mut self.rows);
            std::mem::swap(&mut self.u, &mut self.rows);
            let beta = unit(&mut self.u)?;
            if beta > 0.0 {
                operator.apply_transposed(&self.u, &mut self.columns)?;
                axpy(-beta, &self.v, &mut self.columns);
                std::mem::swap(&mut self.v, &mut self.columns);
                alpha = unit(&mut self.v)?;
            } else {
                alpha = 0.0;
            }
            // Rotations: the damping row, the bidiagonal, its transpose.
            let (c_damp, s_damp, alpha_hat) = rotation(alpha_bar, damping);
            let rho_old = rho;
            let (c, s);
            (c, s, rho) = rotation(alpha_hat, beta);
            let theta = s * alpha;
            alpha_bar = c * alpha;
            let rho_bar_old = rho_bar;
            let theta_bar = s_bar * rho;
            let rho_temporary = c_bar * rho;
            (c_bar, s_bar, rho_bar) = rotation(rho_temporary, theta);
            let zeta = c_bar * zeta_bar;
            zeta_bar *= -s_bar;
            if rho == 0.0 || rho_bar == 0.0 {
                report.end = LsmrEnd::LeastSquares;
                break;
            }
            // x ← x + ζ/(ρ ρ̄) h̄.
            let back = theta_bar * rho / (rho_old * rho_bar_old);
            let forward = theta / rho;
            let along = zeta / (rho * rho_bar);
            for (((x, h_bar), h), v) in x.iter_mut().zip(&mut self.h_bar).zip(&mut self.h).zip(&self.v) {
                *h_bar = *h - back * *h_bar;
                *x += along * *h_bar;
                *h = v - forward * *h;
            }
            // Estimates and tests of §4 and §5.
            report.residual = residual.update((c_damp, s_damp), (c, s), theta_bar, rho_bar, zeta);
            report.normal_residual = zeta_bar.abs();
            report.operator_norm = frobenius.hypot(beta);
            frobenius = report.operator_norm.hypot(alpha);
            largest = largest.max(rho_bar_old);
            if report.iterations > 1 {
                smallest = smallest.min(rho_bar_old);
            }
            report.condition = largest.max(rho_temporary) / smallest.min(rho_temporary);
            let x_norm = norm(x);
            if report.residual <= limits.b_tolerance * b_norm + limits.a_tolerance * report.operator_norm * x_norm {
                report.end = LsmrEnd::Compatible;
                break;
            }
            let normal_bound = limits.a_tolerance * report.operator_norm * report.residual;
            if report.normal_residual <= normal_bound.max(forced) || alpha == 0.0 {
                report.end = LsmrEnd::LeastSquares;
                break;
            }
            if report.condition >= limits.condition_limit {
                report.end = LsmrEnd::Condition;
                break;
            }
        }
        Ok(report)
    }
}

/// Scales to unit length and returns the former length.
fn unit(v: &mut [f64]) -> Result<f64> {
    let length = norm(v);
    if !length.is_finite() {
        return Err(Error::NonFinite { what: "product", index: None });
    }
    if length > 0.0 {
        scale(1.0 / length, v);
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{DMatrix, DVector};

    fn case(m: usize, n: usize) -> (DMatrix<f64>, DVector<f64>) {
        let a = DMatrix::from_fn(m, n, |i, j| ((i * (j + 1)) as f64 * 0.37 + j as f64).sin() + if i == j { 2.0 } else { 0.0 });
        (a, DVector::from_fn(m, |i, _| (i as f64 * 0.9).cos()))
    }

    #[test]
    fn lsmr_equals_normal_equations_with_and_without_damping() {
        for (m, n) in [(12, 5), (5, 12), (8, 8)] {
            let (a, b) = case(m, n);
            for damping in [0.0, 0.7] {
                let mut x = vec![0.0; n];
                let report = Lsmr::default().solve(&a, b.as_slice(), damping, &LsmrLimits::default(), &mut x).unwrap();
                assert_ne!(report.end, LsmrEnd::MaxIterations);
                let xv = DVector::from_vec(x);
                let r = &b - &a * &xv;
                let normal = a.tr_mul(&r) - damping * damping * &xv;
                assert!(normal.norm() <= 1e-10 * a.norm() * b.norm(), "{m} {n} {damping} {:e}", normal.norm());
                let full = r.norm().hypot(damping * xv.norm());
                assert!((full - report.residual).abs() <= 1e-9 * b.norm(), "{full} {report:?}");
                if damping > 0.0 {
                    let normal = a.tr_mul(&a) + DMatrix::identity(n, n) * damping * damping;
                    let want = normal.cholesky().unwrap().solve(&a.tr_mul(&b));
                    assert!((xv - &want).norm() <= 1e-10 * want.norm());
                }
            }
        }
    }

    #[test]
    fn lsmr_on_underdetermined_system_gives_minimum_norm_solution() {
        let (a, b) = case(5, 12);
        let mut x = vec![0.0; 12];
        let report = Lsmr::default().solve(&a, b.as_slice(), 0.0, &LsmrLimits::default(), &mut x).unwrap();
        assert_eq!(report.end, LsmrEnd::Compatible);
        let want = a.transpose() * (&a * a.transpose()).cholesky().unwrap().solve(&b);
        assert!((DVector::from_vec(x) - &want).norm() <= 1e-10 * want.norm());
    }

    #[test]
    fn lsmr_of_sparse_matrix_equals_dense_one_in_both_orders() {
        let (a, b) = case(9, 4);
        let mut triplets = sprs::TriMat::new((9, 4));
        (0..9).for_each(|i| (0..4).for_each(|j| triplets.add_triplet(i, j, a[(i, j)])));
        let mut want = vec![0.0; 4];
        Lsmr::default().solve(&a, b.as_slice(), 0.1, &LsmrLimits::default(), &mut want).unwrap();
        for s in [triplets.to_csr::<usize>(), triplets.to_csc::<usize>()] {
            let mut x = vec![0.0; 4];
            Lsmr::default().solve(&s, b.as_slice(), 0.1, &LsmrLimits::default(), &mut x).unwrap();
            assert!(x.iter().zip(&want).all(|(x, w)| (x - w).abs() < 1e-12));
        }
    }

    #[test]
    fn lsmr_stops_where_the_normal_equations_are_solved_far_enough() {
        let (a, b) = case(12, 5);
        let mut steps = Vec::new();
        for wanted in [0.5, 1e-2, 1e-6] {
            let limits = LsmrLimits { a_tolerance: 0.0, b_tolerance: 0.0, normal_tolerance: wanted, ..LsmrLimits::default() };
            let mut x = vec![0.0; 5];
            let report = Lsmr::default().solve(&a, b.as_slice(), 0.0, &limits, &mut x).unwrap();
            let normal = a.tr_mul(&(&b - &a * DVector::from_vec(x)));
            assert!(normal.norm() <= wanted * a.tr_mul(&b).norm() * (1.0 + 1e-10));
            assert_eq!(report.end, LsmrEnd::LeastSquares);
            steps.push(report.iterations);
        }
        assert!(steps.is_sorted() && steps[0] < steps[2] && steps[2] <= 5, "{steps:?}");
    }

    #[test]
    fn lsmr_branches_report_what_happened() {
        let (a, b) = case(12, 5);
        let mut x = vec![1.0; 5];
        let mut solver = Lsmr::default();
        assert_eq!(solver.solve(&a, &[0.0; 12], 0.0, &LsmrLimits::default(), &mut x).unwrap().end, LsmrEnd::Zero);
        assert_eq!(x, [0.0; 5]);
        let end = |limits: LsmrLimits| Lsmr::default().solve(&a, b.as_slice(), 0.0, &limits, &mut [0.0; 5]).unwrap().end;
        assert_eq!(end(LsmrLimits { max_iterations: 2, ..Default::default() }), LsmrEnd::MaxIterations);
        assert_eq!(end(LsmrLimits { condition_limit: 1.01, ..Default::default() }), LsmrEnd::Condition);
        assert_eq!(end(LsmrLimits::default()), LsmrEnd::LeastSquares);
        let nan = DMatrix::from_element(12, 5, f64::NAN);
        let failed = solver.solve(&nan, b.as_slice(), 0.0, &LsmrLimits::default(), &mut x);
        assert!(matches!(failed, Err(Error::NonFinite { .. })));
        assert!(matches!(solver.solve(&a, &[1.0], 0.0, &LsmrLimits::default(), &mut x), Err(Error::Dimension { .. })));
    }
}
