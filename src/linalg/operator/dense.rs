//! Dense matrices as operators: `nalgebra` (dynamic and static), `faer`, `Vec<Vec<f64>>`, `ndarray`, and this crate's own.

use super::{Form, SymmetricOperator};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot};
use faer::MatRef;

/// Dense symmetric matrix, column-major, both triangles filled.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseMatrix {
    n: usize,
    entries: Vec<f64>,
}

impl DenseMatrix {
    /// From `n²` column-major entries.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is not `n²`.
    pub fn new(n: usize, entries: Vec<f64>) -> Result<Self> {
        Error::check_len("dense matrix", n * n, entries.len())?;
        Ok(Self { n, entries })
    }

    /// The entries, column-major.
    pub fn entries(&self) -> &[f64] {
        &self.entries
    }

    /// The entries, column-major, owned.
    pub fn into_entries(self) -> Vec<f64> {
        self.entries
    }

    /// The entries, column-major, writable.
    pub fn entries_mut(&mut self) -> &mut [f64] {
        &mut self.entries
    }
}

/// `out ← A v` for `n` contiguous columns.
fn apply_columns(entries: &[f64], n: usize, v: &[f64], out: &mut [f64]) {
    if n < 16 {
        // A is symmetric: rows are columns, so each output is one short dot product.
        for (o, column) in out.iter_mut().zip(entries.chunks_exact(n.max(1))) {
            *o = column.iter().zip(v).map(|(a, b)| a * b).sum();
        }
        return;
    }
    for (o, column) in out.iter_mut().zip(entries.chunks_exact(n)) {
        *o = dot(column, v);
    }
}

impl SymmetricOperator for DenseMatrix {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        apply_columns(&self.entries, self.n, v, out);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Dense(MatRef::from_column_major_slice(&self.entries, self.n, self.n))
    }
}

impl SymmetricOperator for nalgebra::DMatrix<f64> {
    fn dim(&self) -> usize {
        self.nrows()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        apply_columns(self.as_slice(), self.nrows(), v, out);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Dense(MatRef::from_column_major_slice(self.as_slice(), self.nrows(), self.ncols()))
    }
}

impl<const N: usize> SymmetricOperator for nalgebra::SMatrix<f64, N, N> {
    fn dim(&self) -> usize {
        N
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        apply_columns(self.as_slice(), N, v, out);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Dense(MatRef::from_column_major_slice(self.as_slice(), N, N))
    }
}

impl SymmetricOperator for faer::Mat<f64> {
    fn dim(&self) -> usize {
        self.nrows()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.fill(0.0);
        for (j, vj) in v.iter().enumerate() {
            axpy(*vj, self.col_as_slice(j), out);
        }
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Dense(self.as_ref())
    }
}

impl SymmetricOperator for Vec<Vec<f64>> {
    fn dim(&self) -> usize {
        self.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        for (o, row) in out.iter_mut().zip(self) {
            Error::check_len("Hessian row", v.len(), row.len())?;
            *o = dot(row, v);
        }
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Rows(self)
    }
}

#[cfg(feature = "ndarray")]
impl SymmetricOperator for ndarray::Array2<f64> {
    fn dim(&self) -> usize {
        self.nrows()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        for (o, row) in out.iter_mut().zip(self.rows()) {
            *o = row.iter().zip(v).map(|(a, b)| a * b).sum();
        }
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        // Symmetric, so a row-major buffer read by columns is the same matrix.
        match self.as_slice_memory_order() {
            Some(entries) => Form::Dense(MatRef::from_column_major_slice(entries, self.nrows(), self.ncols())),
            None => Form::Product,
        }
    }
}
