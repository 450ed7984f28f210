//! Krylov methods on symmetric operators.

pub mod cg;
mod kernels;
pub mod lanczos;
pub mod lsmr;
pub mod minres;
pub(crate) mod tridiagonal;

pub use cg::{Cg, CgEnd, CgLimits, CgPoint};
pub use lanczos::{Leftmost, leftmost};
pub use lsmr::{Lsmr, LsmrEnd, LsmrLimits, LsmrReport, RectangularOperator};
pub use minres::{Minres, MinresEnd, MinresLimits, MinresReport};
