//! Estimators of the gradient of a finite sum: which terms are looked at, and what is made of them.
//!
//! Indices are drawn from a seeded ChaCha stream. Its state, tables and snapshots are part of the estimator and are serialised
//! with it: a run that is stopped and reloaded goes on with the same terms.

mod draw;
mod full_batch;
mod mini_batch;
mod svrg;
mod table;
mod tabulated;

use crate::error::Result;
use crate::problem::{At, FiniteSum};

pub(super) use draw::Draw;
pub use draw::Selection;
pub use full_batch::FullBatch;
pub use mini_batch::{MiniBatch, Sampling};
pub use svrg::{Snapshot, Svrg};
pub(super) use table::Table;
pub use table::{LipschitzSearch, TableStart};
pub use tabulated::{TableMethod, Tabulated};

/// What an estimate was made of.
#[derive(Debug, Clone, Copy)]
pub struct Estimate<'a> {
    /// The terms of this step.
    pub rows: &'a [usize],
    /// Their mean cost at the point, where it came along.
    pub cost: Option<f64>,
    /// Gradients of single terms evaluated, passes at snapshots included; what the clock counts.
    pub evaluated: u64,
}

/// An estimate of `∇f` from some of its terms.
pub trait GradientEstimator<O: FiniteSum> {
    /// Checks the options and forgets everything: a run begins at `at`.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) naming the option; what the problem reports.
    fn begin(&mut self, at: At<'_, O>) -> Result<()>;

    /// A point to go on from instead of `at`, asked for before each step: where an average or a chosen iterate takes the place of
    /// the last one.
    fn restart(&mut self, at: At<'_, O>) -> Option<&[f64]> {
        let _ = at;
        None
    }

    /// `gradient ←` an estimate of `∇f` at the point; `epoch` is the number of passes through the data so far.
    ///
    /// # Errors
    /// What the problem reports.
    fn estimate<'a>(&'a mut self, at: At<'_, O>, epoch: f64, gradient: &mut [f64]) -> Result<Estimate<'a>>;

    /// A gradient norm `‖·‖∞` that vanishes at a minimum, if this estimator has one: of the full gradient, or of a table's mean.
    fn gradient_norm(&self) -> Option<f64> {
        None
    }
}
