//! Factorizations of symmetric matrices, dense and sparse.
