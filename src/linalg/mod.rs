//! Linear algebra on slices: vectors, symmetric operators, Krylov methods, factorizations, preconditioners.

pub(crate) mod buffer;
pub mod elementwise;
pub mod factor;
pub(crate) mod gram;
pub mod krylov;
pub(crate) mod matrix;
pub(crate) mod normal;
pub mod operator;
pub(crate) mod outer;
mod panels;
pub(crate) mod parallel;
pub(crate) mod power;
pub mod preconditioner;
pub mod vector;

pub use operator::{Form, Operator, SymmetricOperator};
pub use vector::Vector;
