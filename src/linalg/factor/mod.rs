//! Factorizations of symmetric matrices, dense and sparse.
//!
//! [`ShiftedCholesky`] factors `B + σI` for any storage and picks the kernel by size and pattern: plain loops, faer's
//! blocked Cholesky, a band, a simplicial `LDLᵀ`, or supernodes. [`BunchKaufman`] takes dense indefinite matrices,
//! [`SymmetricEigen`] gives eigenvalues and eigenvectors, [`PivotedQr`] solves damped least squares with a dense Jacobian,
//! [`NormalEquations`] with a sparse one.

mod banded;
mod bunch_kaufman;
mod dense;
mod eigen;
mod elimination;
mod nested_dissection;
mod normal_equations;
mod norms;
mod ordering;
mod qr;
mod scratch;
mod shift;
mod shifted_cholesky;
mod simplicial;
mod sparse_cholesky;
mod supernodal;

pub use bunch_kaufman::{BunchKaufman, Inertia, Modification};
pub use eigen::SymmetricEigen;
pub use normal_equations::{NormalEquations, NormalMethod};
pub use norms::MatrixNorms;
pub use qr::PivotedQr;
pub use shift::DefiniteShift;
pub use shifted_cholesky::{NotPositiveDefinite, ShiftedCholesky};

#[cfg(test)]
mod tests;
