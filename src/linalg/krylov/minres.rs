//! MINRES for `B x = b` with symmetric, possibly indefinite or singular `B`: minimises `‖b − Bx‖` over the Krylov space.
//!
//! One product a step, three-term recurrences, optional positive definite preconditioner `M⁻¹` (norms are then those
//! of `M⁻¹`). On an inconsistent system it ends at a least-squares solution.
//!
//! Paige & Saunders, SIAM J. Numer. Anal. 12(4), 1975, §5.

use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::power::{exponent, scale_by_power, times_power};
use crate::linalg::vector::{axpy, dot, hypot, norm, norm_inf};

/// When MINRES ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinresLimits {
    /// `‖r‖ ≤ tolerance (‖B‖‖x‖ + ‖b‖)`, and `‖Br‖ ≤ tolerance ‖B‖‖r‖` for inconsistent systems.
    pub tolerance: f64,
    /// Bound on products.
    pub max_iterations: u64,
}

impl Default for MinresLimits {
    fn default() -> Self {
        Self { tolerance: 1e-12, max_iterations: 10_000 }
    }
}

/// Why MINRES ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinresEnd {
    /// The system is solved.
    Solved,
    /// The system is inconsistent; `x` is a least-squares solution.
    LeastSquares,
    /// Out of iterations.
    MaxIterations,
}

/// What MINRES reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinresReport {
    /// Why it ended.
    pub end: MinresEnd,
    /// Products.
    pub iterations: u64,
    /// `‖b − Bx‖`, from the recurrence.
    pub residual: f64,
    /// Frobenius norm of the tridiagonal matrix: an estimate of `‖B‖` from below up to √k.
    pub operator_norm: f64,
}

/// Buffers, reused from solve to solve.
#[derive(Debug, Clone, Default)]
pub struct Minres {
    r_old: Vec<f64>,
    r: Vec<f64>,
    y: Vec<f64>,
    v: Vec<f64>,
    w: Vec<f64>,
    w_old: Vec<f64>,
    w_older: Vec<f64>,
}

impl Minres {
    /// Solves `B x = b` from `x = 0`.
    ///
    /// # Errors
    /// [`Error::Dimension`], errors of products, [`Error::NonFinite`] if one is not finite, [`Error::Unsupported`] if the
    /// preconditioner is not positive definite.
    pub fn solve(
        &mut self,
        operator: &dyn SymmetricOperator,
        preconditioner: Option<&dyn SymmetricOperator>,
        b: &[f64],
        limits: &MinresLimits,
        x: &mut [f64],
    ) -> Result<MinresReport> {
        let n = operator.dim();
        Error::check_len("right-hand side", n, b.len())?;
        Error::check_len("solution", n, x.len())?;
        Error::check_finite("right-hand side", b)?;
        // In units of a power of two next to ‖b‖, which changes no digit.
        let e = exponent(norm_inf(b));
        let mut report = self.solve_scaled(operator, preconditioner, b, e, limits, x)?;
        scale_by_power(x, e);
        report.residual = times_power(report.residual, e);
        Ok(report)
    }

    /// Solves `B x = 2⁻ᵉ b`.
    fn solve_scaled(
        &mut self,
        operator: &dyn SymmetricOperator,
        preconditioner: Option<&dyn SymmetricOperator>,
        b: &[f64],
        e: i32,
        limits: &MinresLimits,
        x: &mut [f64],
    ) -> Result<MinresReport> {
        let n = b.len();
        for buffer in [&mut self.r_old, &mut self.r, &mut self.y, &mut self.v, &mut self.w, &mut self.w_old, &mut self.w_older] {
            buffer.clear();
            buffer.resize(n, 0.0);
        }
        x.fill(0.0);
        self.r.iter_mut().zip(b).for_each(|(r, b)| *r = times_power(*b, -e));
        let first = self.precondition(preconditioner)?;
        let mut report = MinresReport { end: MinresEnd::Solved, iterations: 0, residual: first, operator_norm: 0.0 };
        if first == 0.0 {
            return Ok(report);
        }
        // Lanczos coefficient, last row of the triangular factor, last plane rotation, transformed right-hand side.
        let (mut beta, mut beta_old) = (first, 0.0);
        let (mut delta_bar, mut epsilon) = (0.0, 0.0);
        let (mut c, mut s) = (-1.0f64, 0.0f64);
        let mut phi_bar = first;
        let mut frobenius = 0.0f64;
        while report.iterations < limits.max_iterations {
            // Lanczos step.
            self.v.iter_mut().zip(&self.y).for_each(|(v, y)| *v = y / beta);
            operator.apply(&self.v, &mut self.y)?;
            report.iterations += 1;
            if beta_old > 0.0 {
                axpy(-beta / beta_old, &self.r_old, &mut self.y);
            }
            let alpha = dot(&self.v, &self.y);
            if !alpha.is_finite() {
                return Err(Error::NonFinite { what: "product", index: None });
            }
            axpy(-alpha / beta, &self.r, &mut self.y);
            std::mem::swap(&mut self.r_old, &mut self.r);
            std::mem::swap(&mut self.r, &mut self.y);
            beta_old = beta;
            beta = self.precondition(preconditioner)?;
            frobenius = hypot(hypot(frobenius, alpha), hypot(beta_old, beta));
            if report.iterations == 1 {
                frobenius = alpha.hypot(beta);
            }
            // The previous rotation acts on the new column, a new one removes beta.
            let epsilon_old = epsilon;
            let delta = c * delta_bar + s * alpha;
            let gamma_bar = s * delta_bar - c * alpha;
            epsilon = s * beta;
            delta_bar = -c * beta;
            // ‖B r‖ of the previous iterate.
            let normal = phi_bar * gamma_bar.hypot(delta_bar);
            if normal <= limits.tolerance * frobenius * phi_bar {
                report.end = MinresEnd::LeastSquares;
                break;
            }
            let gamma = gamma_bar.hypot(beta).max(f64::MIN_POSITIVE);
            c = gamma_bar / gamma;
            s = beta / gamma;
            let phi = c * phi_bar;
            phi_bar *= s.abs();
            // Directions w = V R⁻¹, three columns at a time.
            std::mem::swap(&mut self.w_older, &mut self.w_old);
            std::mem::swap(&mut self.w_old, &mut self.w);
            for i in 0..n {
                self.w[i] = (self.v[i] - epsilon_old * self.w_older[i] - delta * self.w_old[i]) / gamma;
            }
            axpy(phi, &self.w, x);
            report.residual = phi_bar;
            if phi_bar <= limits.tolerance * (frobenius * norm(x) + first) || beta <= f64::EPSILON * frobenius {
                report.end = if phi_bar <= limits.tolerance.max(1e-14) * (frobenius * norm(x) + first) {
                    MinresEnd::Solved
                } else {
                    MinresEnd::LeastSquares
                };
                report.operator_norm = frobenius;
                return Ok(report);
            }
            report.end = MinresEnd::MaxIterations;
        }
        report.operator_norm = frobenius;
        Ok(report)
    }

    /// `y ← M⁻¹ r`; returns `√(rᵀy)`.
    fn precondition(&mut self, preconditioner: Option<&dyn SymmetricOperator>) -> Result<f64> {
        match preconditioner {
            None => self.y.copy_from_slice(&self.r),
            Some(m) => {
                Error::check_len("preconditioner", self.r.len(), m.dim())?;
                m.apply(&self.r, &mut self.y)?;
            }
        }
        if preconditioner.is_none() {
            return Ok(norm(&self.r));
        }
        let square = dot(&self.r, &self.y);
        if !square.is_finite() {
            return Err(Error::NonFinite { what: "preconditioned residual", index: None });
        }
        if square < 0.0 {
            return Err(Error::Unsupported { what: "MINRES", requirement: "a positive definite preconditioner" });
        }
        Ok(square.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{DenseMatrix, Diagonal};

    /// A symmetric indefinite matrix, and a solution.
    fn case(n: usize) -> (DenseMatrix, Vec<f64>, Vec<f64>) {
        let mut entries = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                entries[i * n + j] = ((i * j) as f64 * 0.7 + (i + j) as f64).cos();
            }
            entries[i * n + i] += if i % 2 == 0 { 6.0 } else { -5.0 };
        }
        let a = DenseMatrix::new(n, entries).unwrap();
        let x: Vec<f64> = (0..n).map(|i| (i as f64 + 1.0).sin()).collect();
        let mut b = vec![0.0; n];
        a.apply(&x, &mut b).unwrap();
        (a, x, b)
    }

    #[test]
    fn minres_on_indefinite_matrix_equals_solution() {
        let (a, want, b) = case(30);
        let precondition = Diagonal((0..30).map(|i| 1.0 / (5.0 + (i % 3) as f64)).collect());
        for m in [None, Some(&precondition as &dyn SymmetricOperator)] {
            let mut x = vec![0.0; 30];
            let report = Minres::default().solve(&a, m, &b, &MinresLimits { tolerance: 1e-15, ..Default::default() }, &mut x);
            let report = report.unwrap();
            assert_ne!(report.end, MinresEnd::MaxIterations);
            for (x, want) in x.iter().zip(&want) {
                assert!((x - want).abs() < 1e-11, "{x} {want} {report:?}");
            }
        }
    }

    #[test]
    fn minres_at_extreme_scales_equals_solution() {
        let (a, want, b) = case(12);
        let limits = MinresLimits { tolerance: 1e-15, ..Default::default() };
        for p in [-1000, -500, 0, 500, 1000] {
            for q in [-500, 0, 500] {
                let scaled = DenseMatrix::new(12, a.entries().iter().map(|v| times_power(*v, q)).collect()).unwrap();
                let right: Vec<f64> = b.iter().map(|v| times_power(*v, p)).collect();
                if (p - q).abs() > 1000 {
                    continue;
                }
                let mut x = vec![0.0; 12];
                let report = Minres::default().solve(&scaled, None, &right, &limits, &mut x).unwrap();
                assert_ne!(report.end, MinresEnd::MaxIterations, "{p} {q}");
                for (x, want) in x.iter().zip(&want) {
                    assert!((times_power(*x, q - p) - want).abs() < 1e-11, "{p} {q}: {x} {want} {report:?}");
                }
            }
        }
    }

    #[test]
    fn minres_on_inconsistent_singular_matrix_ends_at_least_squares() {
        let a = Diagonal(vec![1.0, -2.0, 0.0]);
        let mut x = vec![0.0; 3];
        let report = Minres::default().solve(&a, None, &[1.0, 1.0, 1.0], &MinresLimits::default(), &mut x).unwrap();
        assert_eq!(report.end, MinresEnd::LeastSquares);
        assert!((report.residual - 1.0).abs() < 1e-12, "{report:?}");
        assert!((x[0] - 1.0).abs() < 1e-12 && (x[1] + 0.5).abs() < 1e-12, "{x:?}");
    }

    #[test]
    fn minres_branches_report_what_happened() {
        let (a, _, b) = case(30);
        let mut x = vec![1.0; 30];
        let mut solver = Minres::default();
        assert_eq!(solver.solve(&a, None, &vec![0.0; 30], &MinresLimits::default(), &mut x).unwrap().iterations, 0);
        assert_eq!(x, vec![0.0; 30]);
        let short = MinresLimits { max_iterations: 3, ..Default::default() };
        let report = solver.solve(&a, None, &b, &short, &mut x).unwrap();
        assert_eq!((report.end, report.iterations), (MinresEnd::MaxIterations, 3));
        let mut bx = vec![0.0; 30];
        a.apply(&x, &mut bx).unwrap();
        let residual = norm(&bx.iter().zip(&b).map(|(a, b)| a - b).collect::<Vec<_>>());
        assert!((residual - report.residual).abs() < 1e-12 * norm(&b));
        let bad = Diagonal(vec![-1.0; 30]);
        assert!(matches!(solver.solve(&a, Some(&bad), &b, &short, &mut x), Err(Error::Unsupported { .. })));
        let nan = Diagonal(vec![f64::NAN; 30]);
        assert!(matches!(solver.solve(&nan, None, &b, &short, &mut x), Err(Error::NonFinite { .. })));
        assert!(matches!(solver.solve(&a, None, &b[1..], &short, &mut x), Err(Error::Dimension { .. })));
    }
}
