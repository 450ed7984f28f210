//! The gradient itself.

use super::{Estimate, GradientEstimator};
use crate::counts;
use crate::error::Result;
use crate::linalg::Vector;
use crate::linalg::vector::norm_inf;
use crate::problem::{At, FiniteSum};

/// All terms, in every step.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FullBatch {
    rows: Vec<usize>,
    gradient_norm: Option<f64>,
}

impl<O: FiniteSum> GradientEstimator<O> for FullBatch {
    fn begin(&mut self, at: At<'_, O>) -> Result<()> {
        self.rows = (0..at.problem.n_terms()).collect();
        self.gradient_norm = None;
        Ok(())
    }

    fn estimate<'a>(&'a mut self, at: At<'_, O>, _epoch: f64, gradient: &mut [f64]) -> Result<Estimate<'a>> {
        let n = self.rows.len() as u64;
        counts::add(&at.counts.sample_gradient, n);
        let cost = at.problem.partial(at.x.as_slice(), &self.rows, gradient)?;
        self.gradient_norm = Some(norm_inf(gradient));
        Ok(Estimate { rows: &self.rows, cost: Some(cost), evaluated: n })
    }

    fn gradient_norm(&self) -> Option<f64> {
        self.gradient_norm
    }
}
