//! Preconditioners for Krylov methods: approximations of `B⁻¹`, symmetric and positive definite.
//!
//! A [`Preconditioner`] is an operator (its product is `M⁻¹ v`) that can be rebuilt for a new matrix.

mod block_jacobi;
mod incomplete_cholesky;
mod jacobi;
mod jacobian_blocks;
mod quasi_newton;

use super::SymmetricOperator;
use crate::error::Result;

pub use block_jacobi::BlockJacobi;
pub use incomplete_cholesky::IncompleteCholesky;
pub use jacobi::Jacobi;
pub use jacobian_blocks::JacobianBlocks;
pub use quasi_newton::QuasiNewton;

/// An approximate inverse that follows a changing matrix: [`apply`](SymmetricOperator::apply) is `out ← M⁻¹ v`.
pub trait Preconditioner: SymmetricOperator {
    /// Rebuilds itself for `operator`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) if the form of the operator does not show the entries needed.
    fn update(&mut self, operator: &dyn SymmetricOperator) -> Result<()>;

    /// A run begins: forgets what was learned in an earlier one.
    fn begin(&mut self) {}

    /// Told after each accepted step: `step = x₊ − x`, `gradient_change = ∇f(x₊) − ∇f(x)`.
    fn accepted(&mut self, step: &[f64], gradient_change: &[f64]) {
        let _ = (step, gradient_change);
    }
}

/// Calls `entry(i, j, value)` for the stored entries of column `j`; `false` for an operator known by products only.
fn for_column(operator: &dyn SymmetricOperator, j: usize, mut entry: impl FnMut(usize, f64)) -> bool {
    use super::Form;
    match operator.form() {
        Form::Dense(m) => (0..m.nrows()).for_each(|i| entry(i, m[(i, j)])),
        Form::Rows(rows) => rows[j].iter().enumerate().for_each(|(i, v)| entry(i, *v)),
        Form::Sparse(m) => {
            let (rows, values) = m.column(j);
            rows.iter().zip(values).for_each(|(i, v)| entry(*i, *v));
        }
        Form::Diagonal(d) => entry(j, d[j]),
        Form::ScaledIdentity(c) => entry(j, c),
        _ => return false,
    }
    true
}
