//! `B + σI` without forming it.

use super::SymmetricOperator;
use crate::error::Result;
use crate::linalg::vector::axpy;

/// `B + shift I`, by its products.
#[derive(Debug, Clone, Copy)]
pub struct Shifted<B> {
    /// `B`.
    pub matrix: B,
    /// `σ`.
    pub shift: f64,
}

impl<B: SymmetricOperator> SymmetricOperator for Shifted<B> {
    fn dim(&self) -> usize {
        self.matrix.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.matrix.apply(v, out)?;
        axpy(self.shift, v, out);
        Ok(())
    }
}
