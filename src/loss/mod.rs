//! Losses `ℓ(z, y)` of outputs `z` and targets `y`: value, gradient, Hessian `Λ = ∇²ℓ` and its square root `S`, `Λ = SSᵀ`.
//!
//! Every constant is inside `ℓ`; sums and means over samples are the problem's business. A loss that is a negative
//! log-likelihood also has the model's output distribution ([`OutputDistribution`]), which the Fisher matrices are made from.

mod binary;
mod entrywise;
mod gamma;
mod hinge;
mod huber;
mod poisson;
mod softmax;
mod squared;

use crate::error::{Error, Result};
use crate::model::Batch;
use rand::RngCore;

pub use binary::BinaryCrossEntropy;
pub use entrywise::{EntryDistribution, EntryLoss};
pub use gamma::Gamma;
pub use hinge::MulticlassHinge;
pub use huber::Huber;
pub use poisson::Poisson;
pub use softmax::SoftmaxCrossEntropy;
pub use squared::SquaredError;

/// Outputs and targets of `n` samples.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// `z`, `c × n`.
    pub outputs: &'a [f64],
    /// `c`.
    pub n_outputs: usize,
    /// `y`, one column per sample.
    pub targets: &'a Batch,
}

impl<'a> Outcome<'a> {
    /// Each sample's outputs and targets.
    pub fn samples(&self) -> impl Iterator<Item = (&'a [f64], &'a [f64])> {
        self.outputs.chunks_exact(self.n_outputs).zip(self.targets.values().chunks_exact(self.targets.dim()))
    }
}

/// A loss of outputs and targets; object safe. All matrices are `c × n` for `c` outputs of `n` samples, sample after sample.
pub trait Loss: Send + Sync {
    /// Whether the targets are possible for `c` outputs.
    ///
    /// # Errors
    /// [`Error::Dimension`] or [`Error::Target`] with the sample that is out of range.
    fn check(&self, targets: &Batch, c: usize) -> Result<()>;
    /// `Σᵢ ℓ(zᵢ, yᵢ)`.
    fn value(&self, at: &Outcome<'_>) -> f64;
    /// `out ← (ℓ(zᵢ, yᵢ))ᵢ`, one value a sample.
    fn values(&self, at: &Outcome<'_>, out: &mut [f64]) {
        for (i, o) in out.iter_mut().enumerate() {
            let Ok(targets) = at.targets.select(&[i]) else { return };
            let outputs = &at.outputs[i * at.n_outputs..(i + 1) * at.n_outputs];
            *o = self.value(&Outcome { outputs, targets: &targets, ..*at });
        }
    }
    /// `out ← ∇_z ℓ`.
    fn gradient(&self, at: &Outcome<'_>, out: &mut [f64]);
    /// `out ← Λ v`.
    fn hessian_product(&self, at: &Outcome<'_>, v: &[f64], out: &mut [f64]);
    /// Columns of `S` for `c` outputs.
    fn n_roots(&self, c: usize) -> usize {
        c
    }
    /// `out ←` column `j` of every sample's `S`.
    fn root(&self, at: &Outcome<'_>, j: usize, out: &mut [f64]);
    /// The output distribution whose negative log-density the loss is, up to a constant.
    fn distribution(&self) -> Option<&dyn OutputDistribution> {
        None
    }
    /// [`distribution`](Self::distribution), or why there is none.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    fn likelihood(&self) -> Result<&dyn OutputDistribution> {
        let missing = Error::Unsupported { what: "a Fisher matrix", requirement: "a loss that is a negative log-likelihood" };
        self.distribution().ok_or(missing)
    }
}

/// The distribution `p(y | z)` that a model's outputs stand for.
pub trait OutputDistribution {
    /// `out ← ∇_z ℓ(zᵢ, ỹᵢ)` with labels `ỹᵢ ~ p(y | zᵢ)` drawn from the generator.
    fn sample_gradient(&self, at: &Outcome<'_>, random: &mut dyn RngCore, out: &mut [f64]);
    /// `out ← E[∇ℓ ∇ℓᵀ] v`, the Fisher matrix of the outputs.
    fn fisher_product(&self, at: &Outcome<'_>, v: &[f64], out: &mut [f64]);
    /// `out ←` column `j` of a square root of the Fisher matrix of the outputs; as many columns as [`Loss::n_roots`].
    fn fisher_root(&self, at: &Outcome<'_>, j: usize, out: &mut [f64]);
}

/// `Ok` if every target passes `possible`, else [`Error::Target`].
fn check_targets(targets: &Batch, requirement: &'static str, possible: impl Fn(f64) -> bool) -> Result<()> {
    match targets.values().iter().position(|y| !possible(*y)) {
        None => Ok(()),
        Some(k) => Err(Error::Target { sample: k / targets.dim(), requirement, found: targets.values()[k] }),
    }
}
