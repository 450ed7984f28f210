//! Diagonal operators `diag(d)` and `c I`.

use super::{Form, Operator, SymmetricOperator};
use crate::error::Result;

/// `diag(d)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagonal(pub Vec<f64>);

impl SymmetricOperator for Diagonal {
    fn dim(&self) -> usize {
        self.0.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(v).zip(&self.0).for_each(|((o, v), d)| *o = d * v);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Diagonal(&self.0)
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(Ok(Box::new(Diagonal(self.0.iter().map(|d| 1.0 / (d + damping)).collect()))))
    }
}

/// `c I`, of dimension `n`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaledIdentity {
    /// Dimension.
    pub n: usize,
    /// Factor.
    pub c: f64,
}

impl SymmetricOperator for ScaledIdentity {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(v).for_each(|(o, v)| *o = self.c * v);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::ScaledIdentity(self.c)
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(Ok(Box::new(ScaledIdentity { n: self.n, c: 1.0 / (self.c + damping) })))
    }
}
