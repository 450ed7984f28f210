//! Krylov methods on symmetric operators.

pub mod cg;
mod kernels;
pub mod lanczos;
pub(crate) mod tridiagonal;

pub use cg::{Cg, CgEnd, CgLimits, CgPoint};
pub use lanczos::{Leftmost, leftmost};
