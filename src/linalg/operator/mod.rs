//! Symmetric operators: the one interface that every curvature matrix has.
//!
//! An operator multiplies; what else is cheap about it (its entries, its diagonal, an inverse) it tells through
//! [`Form`] and the optional methods, so that a subproblem can pick the fastest exact way to solve with it.

mod block_diagonal;
mod closed_form;
mod combination;
mod dense;
mod diagonal;
mod gram;
mod jacobian_pattern;
mod kronecker;
mod low_rank;
mod masked;
mod sparse;
mod sparse_gram;

use crate::error::{Error, Result};
use crate::linalg::vector::dot;

pub use block_diagonal::BlockDiagonal;
pub use closed_form::ClosedForm;
pub use combination::{Combination, Restricted};
pub use dense::DenseMatrix;
pub use diagonal::{Diagonal, ScaledIdentity};
pub use gram::Gram;
pub use jacobian_pattern::{JacobianPattern, RowGroup};
pub use kronecker::{Kronecker, KroneckerBasis, KroneckerDiagonal};
pub use low_rank::LowRank;
pub use masked::Masked;
pub use sparse::{Pattern, SparseMatrix, SparseView};
pub use sparse_gram::SparseGram;

/// A boxed operator that may borrow the curvature, the problem and the point it was made from.
pub type Operator<'a> = Box<dyn SymmetricOperator + 'a>;

/// A symmetric `n × n` matrix `B`, known at least through its products.
pub trait SymmetricOperator {
    /// `n`.
    fn dim(&self) -> usize;

    /// `out ← B v`, both of length [`dim`](Self::dim).
    ///
    /// # Errors
    /// A product that calls a user's function may fail.
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()>;

    /// How the entries are stored, if they are.
    fn form(&self) -> Form<'_> {
        Form::Product
    }

    /// `(B + damping I)⁻¹` where it is available in closed form (quasi-Newton, diagonal, Kronecker).
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        let _ = damping;
        None
    }

    /// For a Gauss–Newton matrix: `out ← ∂²r(x)[v, v]`, the second derivative of the residuals along `v`, if it can be had.
    /// `out` has one entry per residual.
    fn bend(&self, v: &[f64], out: &mut [f64]) -> Option<Result<()>> {
        let _ = (v, out);
        None
    }

    /// An approximation of `B⁻¹` for preconditioned Krylov methods, symmetric positive definite.
    fn preconditioner(&self) -> Option<&dyn SymmetricOperator> {
        None
    }
}

/// The storage of an operator's entries. Matrices are borrowed, never copied.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Form<'a> {
    /// Only products.
    Product,
    /// `c I`.
    ScaledIdentity(f64),
    /// `diag(d)`.
    Diagonal(&'a [f64]),
    /// Dense and column-major; both triangles are filled.
    Dense(faer::MatRef<'a, f64>),
    /// Dense by rows; both triangles are filled.
    Rows(&'a [Vec<f64>]),
    /// Compressed sparse columns; both triangles are stored, row indices sorted in each column.
    Sparse(SparseView<'a>),
    /// `JᵀJ` by its factor.
    Gram(Gram<'a>),
    /// `JᵀJ` by its sparse factor.
    SparseGram(SparseGram<'a>),
}

impl<T: SymmetricOperator + ?Sized> SymmetricOperator for &T {
    fn dim(&self) -> usize {
        (**self).dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        (**self).apply(v, out)
    }
    fn form(&self) -> Form<'_> {
        (**self).form()
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        (**self).inverse(damping)
    }
    fn bend(&self, v: &[f64], out: &mut [f64]) -> Option<Result<()>> {
        (**self).bend(v, out)
    }
    fn preconditioner(&self) -> Option<&dyn SymmetricOperator> {
        (**self).preconditioner()
    }
}

/// Writes the `n × n` entries of `operator` into `out` (column-major, `n²` values, both triangles).
///
/// A product-only operator costs `n` products.
///
/// # Errors
/// [`Error::Dimension`] if `out` is not `n²` long; errors of the operator's products.
pub fn write_dense(operator: &dyn SymmetricOperator, out: &mut [f64]) -> Result<()> {
    let n = operator.dim();
    Error::check_len("dense matrix", n * n, out.len())?;
    match operator.form() {
        Form::Dense(m) => {
            for j in 0..n {
                match m.col(j).try_as_col_major() {
                    Some(column) => out[j * n..(j + 1) * n].copy_from_slice(column.as_slice()),
                    None => (0..n).for_each(|i| out[j * n + i] = m[(i, j)]),
                }
            }
        }
        Form::Rows(rows) => {
            for (j, row) in rows.iter().enumerate() {
                Error::check_len("matrix row", n, row.len())?;
                out[j * n..(j + 1) * n].copy_from_slice(row);
            }
        }
        Form::Sparse(m) => {
            out.fill(0.0);
            for j in 0..n {
                let (rows, values) = m.column(j);
                rows.iter().zip(values).for_each(|(&i, v)| out[j * n + i] += v);
            }
        }
        Form::Gram(gram) => gram.write(out),
        Form::SparseGram(gram) => gram.write(out),
        Form::Diagonal(d) => {
            out.fill(0.0);
            d.iter().enumerate().for_each(|(i, v)| out[i * n + i] = *v);
        }
        Form::ScaledIdentity(c) => {
            out.fill(0.0);
            (0..n).for_each(|i| out[i * n + i] = c);
        }
        Form::Product => {
            let mut unit = vec![0.0; n];
            for j in 0..n {
                unit[j] = 1.0;
                operator.apply(&unit, &mut out[j * n..(j + 1) * n])?;
                unit[j] = 0.0;
            }
        }
    }
    Ok(())
}

/// Writes the diagonal of `operator` into `out`; `false` if the form does not show it (product only).
pub fn write_diagonal(operator: &dyn SymmetricOperator, out: &mut [f64]) -> bool {
    match operator.form() {
        Form::Dense(m) => out.iter_mut().enumerate().for_each(|(i, o)| *o = m[(i, i)]),
        Form::Rows(rows) => {
            out.iter_mut().zip(rows).enumerate().for_each(|(i, (o, row))| *o = row.get(i).copied().unwrap_or(f64::NAN))
        }
        Form::Diagonal(d) => out.copy_from_slice(d),
        Form::ScaledIdentity(c) => out.fill(c),
        Form::Sparse(m) => {
            for (j, o) in out.iter_mut().enumerate() {
                let (rows, values) = m.column(j);
                *o = rows.binary_search(&j).map_or(0.0, |k| values[k]);
            }
        }
        Form::Gram(gram) => out.iter_mut().enumerate().for_each(|(j, o)| *o = dot(gram.column(j), gram.column(j))),
        Form::SparseGram(gram) => gram.column_squares(out),
        Form::Product => return false,
    }
    true
}
