//! `V diag(w) Vᵀ` with orthonormal `V`: matrices known by a few eigenpairs.

use super::closed_form::check_positive;
use super::{ClosedForm, Operator, SymmetricOperator};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot, norm, scale};

/// How far columns may be from orthonormal.
const ORTHONORMAL: f64 = 1e-8;

/// `B = V diag(w) Vᵀ`, `V` of `n × r` with orthonormal columns. Damped by `δ > 0` it has the inverse
/// `δ⁻¹ (I − V diag(w/(w + δ)) Vᵀ)` (Woodbury's formula for orthonormal columns).
///
/// # Example
/// ```
/// use curvkit::linalg::operator::{ClosedForm, LowRank};
/// let matrix = LowRank::new(3, vec![0.0, 0.6, 0.8], vec![5.0])?;
/// assert_eq!((matrix.trace(), matrix.frobenius_norm()), (5.0, 5.0));
/// // Eigenvalues 5.5, 0.5 and 0.5.
/// assert!((matrix.log_determinant(0.5)? - (5.5f64 * 0.25).ln()).abs() < 1e-15);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LowRank {
    n: usize,
    vectors: Vec<f64>,
    values: Vec<f64>,
}

impl LowRank {
    /// From the `r` columns of `V`, stacked, and `w`; `r` may be zero.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the lengths do not fit, [`Error::NonFinite`], [`Error::Config`] if the columns are not
    /// orthonormal.
    pub fn new(n: usize, vectors: Vec<f64>, values: Vec<f64>) -> Result<Self> {
        Error::check_len("eigenvectors", n * values.len(), vectors.len())?;
        Error::check_finite("eigenvectors", &vectors)?;
        Error::check_finite("eigenvalues", &values)?;
        let columns = || vectors.chunks_exact(n.max(1)).enumerate();
        let off =
            columns().flat_map(|(i, a)| columns().take(i + 1).map(move |(j, b)| (dot(a, b) - f64::from(u8::from(i == j))).abs()));
        let worst = off.fold(0.0, f64::max);
        Error::check_option(worst <= ORTHONORMAL, "eigenvectors", "orthonormal to 1e-8", worst)?;
        Ok(Self { n, vectors, values })
    }

    /// `w`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// `V`, columns stacked.
    pub fn vectors(&self) -> &[f64] {
        &self.vectors
    }

    /// `out ← c v + V diag(f(w)) Vᵀ v`.
    fn combine(&self, c: f64, f: impl Fn(f64) -> f64, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.n, v.len())?;
        Error::check_len("product", self.n, out.len())?;
        out.copy_from_slice(v);
        scale(c, out);
        for (q, w) in self.vectors.chunks_exact(self.n.max(1)).zip(&self.values) {
            axpy(f(*w) * dot(q, v), q, out);
        }
        Ok(())
    }

    /// The damped eigenvalues: those of `V`, then the damping for the rest of the space.
    fn check_damped(&self, damping: f64) -> Result<()> {
        let rest = (self.values.len() < self.n).then_some(damping);
        check_positive("a damped matrix of low rank", self.values.iter().map(|w| w + damping).chain(rest))
    }
}

impl SymmetricOperator for LowRank {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.combine(0.0, |w| w, v, out)
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(self.damped_inverse(damping).map(|inverse| inverse as Operator<'_>))
    }
}

impl ClosedForm for LowRank {
    fn write_entries(&self, out: &mut [f64]) -> Result<()> {
        super::write_dense(self, out)
    }
    fn write_diagonal(&self, out: &mut [f64]) -> Result<()> {
        Error::check_len("diagonal", self.n, out.len())?;
        out.fill(0.0);
        for (q, w) in self.vectors.chunks_exact(self.n.max(1)).zip(&self.values) {
            out.iter_mut().zip(q).for_each(|(o, q)| *o += w * q * q);
        }
        Ok(())
    }
    fn trace(&self) -> f64 {
        self.values.iter().sum()
    }
    fn frobenius_norm(&self) -> f64 {
        norm(&self.values)
    }
    fn log_determinant(&self, damping: f64) -> Result<f64> {
        self.check_damped(damping)?;
        let rest = self.n - self.values.len();
        let outside = if rest > 0 { rest as f64 * damping.ln() } else { 0.0 };
        Ok(outside + self.values.iter().map(|w| (w + damping).ln()).sum::<f64>())
    }
    fn damped_inverse(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        self.check_damped(damping)?;
        Ok(Box::new(Inverse { matrix: self.clone(), damping }))
    }
}

/// `(B + δI)⁻¹`.
struct Inverse {
    matrix: LowRank,
    damping: f64,
}

impl SymmetricOperator for Inverse {
    fn dim(&self) -> usize {
        self.matrix.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let damping = self.damping;
        if self.matrix.values.len() == self.matrix.n {
            // No rest of the space: the damping may be zero.
            return self.matrix.combine(0.0, |w| 1.0 / (w + damping), v, out);
        }
        self.matrix.combine(1.0 / damping, |w| -(w / (w + damping)) / damping, v, out)
    }
}
