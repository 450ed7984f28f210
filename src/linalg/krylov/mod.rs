//! Krylov methods on symmetric operators.
