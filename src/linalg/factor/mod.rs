//! Factorizations of symmetric matrices, dense and sparse.

mod eigen;

pub use eigen::SymmetricEigen;
