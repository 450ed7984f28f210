//! The scaling `D = diag(max over the run of ‖J eⱼ‖)` that makes least-squares steps independent of the parameters' units.
//!
//! Moré (1978), *The Levenberg–Marquardt algorithm*, §6.

use crate::linalg::operator::{Gram, SparseGram};
use crate::linalg::vector::{norm, scaled_norm};

/// The largest length so far of each column of `J`; 1 for a column that was always zero.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct JacobianScale {
    longest: Vec<f64>,
    scale: Vec<f64>,
}

impl JacobianScale {
    /// A new run begins.
    pub fn forget(&mut self) {
        self.longest.clear();
    }

    /// Takes the columns at a new point into account and returns `D`.
    pub fn update(&mut self, gram: Gram<'_>) -> &[f64] {
        self.lengthen(gram.n, |j| norm(gram.column(j)))
    }

    /// The same for a sparse `J`; `work` has `n` entries.
    pub fn update_sparse(&mut self, gram: SparseGram<'_>, work: &mut [f64]) -> &[f64] {
        gram.column_squares(work);
        self.lengthen(work.len(), |j| work[j].sqrt())
    }

    fn lengthen(&mut self, n: usize, length: impl Fn(usize) -> f64) -> &[f64] {
        if self.longest.len() != n {
            self.longest.clear();
            self.longest.resize(n, 0.0);
        }
        for (j, longest) in self.longest.iter_mut().enumerate() {
            *longest = longest.max(length(j));
        }
        self.scale.clear();
        self.scale.extend(self.longest.iter().map(|&l| if l > 0.0 && l.is_finite() { l } else { 1.0 }));
        &self.scale
    }

    /// `D` of `n` variables, if a Jacobian was seen in this run.
    pub fn known(&self, n: usize) -> Option<&[f64]> {
        (self.longest.len() == n && n > 0).then_some(&self.scale)
    }

    /// `‖D x‖`; `None` before the first point.
    pub fn length(&self, x: &[f64]) -> Option<f64> {
        (self.scale.len() == x.len()).then(|| scaled_norm(&self.scale, x))
    }
}
