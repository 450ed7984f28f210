//! `A − B` without forming it.

use super::SymmetricOperator;
use crate::error::{Error, Result};
use crate::linalg::vector::axpy;

/// `A − B`, by their products.
#[derive(Debug, Clone, Copy)]
pub struct Difference<A, B>(pub A, pub B);

impl<A: SymmetricOperator, B: SymmetricOperator> SymmetricOperator for Difference<A, B> {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("subtracted operator", self.0.dim(), self.1.dim())?;
        let mut other = vec![0.0; out.len()];
        self.0.apply(v, out)?;
        self.1.apply(v, &mut other)?;
        axpy(-1.0, &other, out);
        Ok(())
    }
}
