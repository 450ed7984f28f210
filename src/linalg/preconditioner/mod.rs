//! Preconditioners for Krylov methods.
