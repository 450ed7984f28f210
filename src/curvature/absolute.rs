//! The absolute-eigenvalue Hessian `|H| = Q |Λ| Qᵀ` of saddle-free Newton methods (Dauphin et al. 2014).

use super::{Curvature, Order};
use crate::counts;
use crate::error::{Error, Result};
use crate::linalg::vector::dot;
use crate::linalg::{Form, Operator, SymmetricOperator, operator};
use crate::problem::{At, Objective};
use faer::MatRef;

/// `|H|` of another curvature's matrix, with small eigenvalues raised to `floor` times the largest.
///
/// Dense: one eigendecomposition per accepted point.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Absolute<C> {
    /// The curvature whose eigenvalues are made positive.
    pub of: C,
    /// Smallest eigenvalue relative to the largest. Default 1e-10.
    pub floor: f64,
}

impl<C: Default> Default for Absolute<C> {
    fn default() -> Self {
        Self { of: C::default(), floor: 1e-10 }
    }
}

impl<O: Objective, C: Curvature<O>> Curvature<O> for Absolute<C> {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let n = at.dim();
        let inner = self.of.at(at)?;
        let mut entries = vec![0.0; n * n];
        operator::write_dense(&*inner, &mut entries)?;
        Error::check_finite("curvature matrix", &entries)?;
        counts::add(&at.counts.factorization, 1);
        let eigen = MatRef::from_column_major_slice(&entries, n, n)
            .self_adjoint_eigen(faer::Side::Lower)
            .map_err(|_| Error::Factorization { what: "eigendecomposition", pivot: 0 })?;
        let mut values: Vec<f64> = (0..n).map(|i| eigen.S().column_vector()[i].abs()).collect();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let floor = if largest > 0.0 { self.floor * largest } else { 1.0 };
        values.iter_mut().for_each(|v| *v = v.max(floor));
        for j in 0..n {
            (0..n).for_each(|i| entries[j * n + i] = eigen.U()[(i, j)]);
        }
        Ok(Box::new(Spectral::new(entries, values)))
    }
    fn begin(&mut self) {
        self.of.begin();
    }
    fn order(&self) -> Order {
        self.of.order()
    }
    fn accepted(&mut self, step: &[f64], gradient_change: &[f64]) {
        self.of.accepted(step, gradient_change);
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        self.of.exact(at)
    }
}

/// `Q diag(λ) Qᵀ` with its entries.
struct Spectral {
    vectors: Vec<f64>,
    values: Vec<f64>,
    entries: Vec<f64>,
}

impl Spectral {
    fn new(vectors: Vec<f64>, values: Vec<f64>) -> Self {
        let n = values.len();
        let mut entries = vec![0.0; n * n];
        for (k, value) in values.iter().enumerate() {
            let q = &vectors[k * n..(k + 1) * n];
            for (j, column) in entries.chunks_exact_mut(n).enumerate() {
                crate::linalg::vector::axpy(value * q[j], q, column);
            }
        }
        Self { vectors, values, entries }
    }
}

impl SymmetricOperator for Spectral {
    fn dim(&self) -> usize {
        self.values.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let n = self.dim();
        out.iter_mut().zip(self.entries.chunks_exact(n)).for_each(|(o, row)| *o = dot(row, v));
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Dense(MatRef::from_column_major_slice(&self.entries, self.dim(), self.dim()))
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        let values = self.values.iter().map(|v| 1.0 / (v + damping)).collect();
        Some(Ok(Box::new(Spectral::new(self.vectors.clone(), values))))
    }
}
