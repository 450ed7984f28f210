//! Krylov methods on symmetric operators.

pub mod cg;
mod kernels;

pub use cg::{Cg, CgEnd, CgLimits, CgPoint};
