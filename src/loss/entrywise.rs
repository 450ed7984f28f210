//! Losses that are sums over outputs of functions of one output and one target.

use super::{Loss, Outcome, OutputDistribution, check_targets};
use crate::error::{Error, Result};
use crate::linalg::matrix::for_blocks;
use crate::model::Batch;
use rand::RngCore;

/// `ℓ(z, y) = Σ_c e(z_c, y_c)`: give `e` and its derivatives, and it is a [`Loss`] with a diagonal Hessian.
pub trait EntryLoss: Send + Sync {
    /// What a target must be, in words.
    const TARGET: &'static str = "finite";
    /// Whether a target is possible.
    fn possible(&self, y: f64) -> bool {
        y.is_finite()
    }
    /// `e(z, y)`.
    fn value(&self, z: f64, y: f64) -> f64;
    /// `∂e/∂z`.
    fn slope(&self, z: f64, y: f64) -> f64;
    /// `∂²e/∂z²`, at least zero if the loss is convex.
    fn curvature(&self, z: f64, y: f64) -> f64;
    /// The distribution of a target, if `e` is its negative log-density.
    fn distribution(&self) -> Option<&dyn EntryDistribution> {
        None
    }
}

/// The distribution `p(y | z)` of one target.
pub trait EntryDistribution {
    /// `∂e/∂z` at a target drawn from `p(y | z)`.
    fn sample_slope(&self, z: f64, random: &mut dyn RngCore) -> f64;
    /// `out ← ∂e/∂z` for all of `z`, each at a target of its own.
    fn sample_slopes(&self, z: &[f64], random: &mut dyn RngCore, out: &mut [f64]) {
        out.iter_mut().zip(z).for_each(|(o, z)| *o = self.sample_slope(*z, random));
    }
    /// The Fisher information `E[(∂e/∂z)²]`.
    fn information(&self, z: f64) -> f64;
}

impl<E: EntryLoss> Loss for E {
    fn check(&self, targets: &Batch, c: usize) -> Result<()> {
        Error::check_len("targets per sample", c, targets.dim())?;
        check_targets(targets, E::TARGET, |y| self.possible(y))
    }
    fn value(&self, at: &Outcome<'_>) -> f64 {
        at.outputs.iter().zip(at.targets.values()).map(|(z, y)| EntryLoss::value(self, *z, *y)).sum()
    }
    fn values(&self, at: &Outcome<'_>, out: &mut [f64]) {
        for (o, (z, y)) in out.iter_mut().zip(at.samples()) {
            *o = z.iter().zip(y).map(|(z, y)| EntryLoss::value(self, *z, *y)).sum();
        }
    }
    fn gradient(&self, at: &Outcome<'_>, out: &mut [f64]) {
        let targets = at.targets.values();
        for_blocks(1, out, |first, block| {
            let (outputs, targets) = (&at.outputs[first..], &targets[first..]);
            block.iter_mut().zip(outputs).zip(targets).for_each(|((o, z), y)| *o = self.slope(*z, *y));
        });
    }
    fn hessian_product(&self, at: &Outcome<'_>, v: &[f64], out: &mut [f64]) {
        for (((o, z), y), v) in out.iter_mut().zip(at.outputs).zip(at.targets.values()).zip(v) {
            *o = self.curvature(*z, *y) * v;
        }
    }
    fn root(&self, at: &Outcome<'_>, j: usize, out: &mut [f64]) {
        out.fill(0.0);
        let c = at.n_outputs;
        for ((o, z), y) in out.iter_mut().zip(at.outputs).zip(at.targets.values()).skip(j).step_by(c) {
            *o = self.curvature(*z, *y).sqrt();
        }
    }
    fn distribution(&self) -> Option<&dyn OutputDistribution> {
        EntryLoss::distribution(self).map(|_| self as &dyn OutputDistribution)
    }
}

impl<E: EntryLoss> OutputDistribution for E {
    fn sample_gradient(&self, at: &Outcome<'_>, random: &mut dyn RngCore, out: &mut [f64]) {
        if let Some(distribution) = EntryLoss::distribution(self) {
            distribution.sample_slopes(at.outputs, random, out);
        }
    }
    fn fisher_product(&self, at: &Outcome<'_>, v: &[f64], out: &mut [f64]) {
        if let Some(distribution) = EntryLoss::distribution(self) {
            out.iter_mut().zip(at.outputs).zip(v).for_each(|((o, z), v)| *o = distribution.information(*z) * v);
        }
    }
    fn fisher_root(&self, at: &Outcome<'_>, j: usize, out: &mut [f64]) {
        out.fill(0.0);
        if let Some(distribution) = EntryLoss::distribution(self) {
            for (o, z) in out.iter_mut().zip(at.outputs).skip(j).step_by(at.n_outputs) {
                *o = distribution.information(*z).sqrt();
            }
        }
    }
}
