//! Data: the reference regressions of NIST ([`nist`]), bundle adjustment problems ([`bal`]) and tables from text files
//! (`Table`, `Records`, feature `dataset`).
//!
//! Everything that is read is judged: an error names the file, the line, the column, what was expected and what was found.

pub mod bal;
pub mod nist;
#[cfg(feature = "dataset")]
mod table;
mod text;

#[cfg(feature = "dataset")]
pub use table::{Records, Table};
