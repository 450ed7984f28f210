//! Matrices about which everything can be said in closed form: entries, trace, norm, damped solve, log-determinant.

use super::{DenseMatrix, Diagonal, SymmetricOperator, write_dense};
use crate::error::{Error, Result};
use crate::linalg::factor::ShiftedCholesky;
use crate::linalg::vector::{axpy, norm};
use std::sync::Mutex;

/// A positive semidefinite `n × n` matrix whose form gives more than products. Damping belongs to the call, never to the
/// matrix.
pub trait ClosedForm: SymmetricOperator + Send + Sync {
    /// `out ← B`, `n²` values, column-major.
    ///
    /// # Errors
    /// [`Error::Dimension`] if `out` is not `n²` long.
    fn write_entries(&self, out: &mut [f64]) -> Result<()>;
    /// `out ← diag B`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if `out` is not `n` long.
    fn write_diagonal(&self, out: &mut [f64]) -> Result<()>;
    /// `tr B`.
    fn trace(&self) -> f64;
    /// `‖B‖_F`.
    fn frobenius_norm(&self) -> f64;
    /// `log det(B + damping I)`.
    ///
    /// # Errors
    /// [`Error::Factorization`] if the damped matrix is not positive definite.
    fn log_determinant(&self, damping: f64) -> Result<f64>;
    /// `(B + damping I)⁻¹`. Its products `x` with `b` leave a residual of a few `ε (‖B‖ + damping) ‖x‖`, which is what rounding the
    /// exact `x` leaves, and the error of a computed `B x`: next to nothing beside `‖b‖` where `b` is in the range of `B`, but up
    /// to `ε ‖B‖ ‖b‖ / damping` where a part of `b` is in its null space.
    ///
    /// # Errors
    /// [`Error::Factorization`] if the damped matrix is not positive definite.
    fn damped_inverse(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>>;
}

impl ClosedForm for Diagonal {
    fn write_entries(&self, out: &mut [f64]) -> Result<()> {
        write_dense(self, out)
    }
    fn write_diagonal(&self, out: &mut [f64]) -> Result<()> {
        Error::check_len("diagonal", self.0.len(), out.len())?;
        out.copy_from_slice(&self.0);
        Ok(())
    }
    fn trace(&self) -> f64 {
        self.0.iter().sum()
    }
    fn frobenius_norm(&self) -> f64 {
        norm(&self.0)
    }
    fn log_determinant(&self, damping: f64) -> Result<f64> {
        log_product("a diagonal matrix", self.0.iter().map(|d| d + damping))
    }
    fn damped_inverse(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        check_positive("a diagonal matrix", self.0.iter().map(|d| d + damping))?;
        Ok(Box::new(Diagonal(self.0.iter().map(|d| 1.0 / (d + damping)).collect())))
    }
}

/// [`Error::Factorization`] at the first value that is not positive.
pub(super) fn check_positive(what: &'static str, mut values: impl Iterator<Item = f64>) -> Result<()> {
    match values.position(|v| !(v > 0.0 && v.is_finite())) {
        None => Ok(()),
        Some(pivot) => Err(Error::Factorization { what, pivot }),
    }
}

/// `Σ log v` of positive values.
pub(super) fn log_product(what: &'static str, values: impl Iterator<Item = f64> + Clone) -> Result<f64> {
    check_positive(what, values.clone())?;
    Ok(values.map(f64::ln).sum())
}

/// The inverse of a damped dense matrix by its Cholesky factor, with one step of refinement.
struct DenseInverse {
    matrix: DenseMatrix,
    damping: f64,
    /// Solves need scratch space.
    factor: Mutex<ShiftedCholesky>,
}

impl SymmetricOperator for DenseInverse {
    fn dim(&self) -> usize {
        self.matrix.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let mut factor = self.factor.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        factor.solve(v, out);
        let (mut residual, mut correction) = (vec![0.0; v.len()], vec![0.0; v.len()]);
        self.matrix.apply(out, &mut residual)?;
        axpy(self.damping, out, &mut residual);
        residual.iter_mut().zip(v).for_each(|(r, v)| *r = v - *r);
        factor.solve(&residual, &mut correction);
        axpy(1.0, &correction, out);
        Ok(())
    }
}

impl DenseMatrix {
    fn cholesky(&self, damping: f64) -> Result<ShiftedCholesky> {
        let mut factor = ShiftedCholesky::default();
        factor.load(self)?;
        let broken = |e: crate::linalg::factor::NotPositiveDefinite| Error::Factorization {
            what: "Cholesky factorization",
            pivot: e.pivot,
        };
        factor.factor(damping).map_err(broken)?;
        Ok(factor)
    }
}

impl ClosedForm for DenseMatrix {
    fn write_entries(&self, out: &mut [f64]) -> Result<()> {
        write_dense(self, out)
    }
    fn write_diagonal(&self, out: &mut [f64]) -> Result<()> {
        let n = self.dim();
        Error::check_len("diagonal", n, out.len())?;
        out.iter_mut().enumerate().for_each(|(i, o)| *o = self.entries()[i * (n + 1)]);
        Ok(())
    }
    fn trace(&self) -> f64 {
        self.entries().iter().step_by(self.dim() + 1).sum()
    }
    fn frobenius_norm(&self) -> f64 {
        norm(self.entries())
    }
    fn log_determinant(&self, damping: f64) -> Result<f64> {
        let mut eigen = crate::linalg::factor::SymmetricEigen::default();
        eigen.factor(self.dim(), self.entries())?;
        log_product("a dense matrix", eigen.values().iter().map(|v| v + damping))
    }
    fn damped_inverse(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        let factor = Mutex::new(self.cholesky(damping)?);
        Ok(Box::new(DenseInverse { matrix: self.clone(), damping, factor }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `B = vvᵀ` without rounding, `b` in its null space: `(B + λI)x = b` for `x = b/λ`.
    #[test]
    fn outside_the_range_the_residual_is_that_of_the_rounded_exact_solution() {
        let v = [1.0 + 2f64.powi(-20), 1.0 - 3.0 * 2f64.powi(-22)];
        let b = [v[1], -v[0]];
        let matrix = DenseMatrix::new(2, vec![v[0] * v[0], v[0] * v[1], v[0] * v[1], v[1] * v[1]]).unwrap();
        let largest = v[0] * v[0] + v[1] * v[1];
        // ‖(B + λI)x − b‖ / ‖b‖, with vᵀx to twice the precision: its two products nearly cancel.
        let residual = |x: &[f64], damping: f64| {
            let product = v[1] * x[1];
            let along = v[0].mul_add(x[0], product) + v[1].mul_add(x[1], -product);
            norm(&[0, 1].map(|i| along * v[i] + damping.mul_add(x[i], -b[i]))) / norm(&b)
        };
        let mut beyond = 0;
        for k in 0..100 {
            let damping = 1e-8 * largest * (1.0 + k as f64 / 100.0);
            let rounded = residual(&b.map(|b| b / damping), damping);
            let mut x = [0.0; 2];
            matrix.damped_inverse(damping).unwrap().apply(&b, &mut x).unwrap();
            let bound = f64::EPSILON * largest / damping;
            assert!(rounded <= bound && residual(&x, damping) <= 4.0 * bound, "{k}: {rounded:e} {:e}", residual(&x, damping));
            beyond += u32::from(rounded > 1e-10);
        }
        assert!(beyond > 60, "{beyond}");
    }
}
