//! Cross-entropy of a softmax: `log Σ eᶻ − Σ y z` for labels or target probabilities.
//!
//! `∇ℓ = p − y`, `Λ = diag(p) − ppᵀ = SSᵀ` with `S = diag(√p) − p√pᵀ`.

use super::{Loss, Outcome, OutputDistribution, check_targets};
use crate::error::{Error, Result};
use crate::model::Batch;
use rand::{Rng, RngCore};

/// Softmax cross-entropy on logits. Targets are class labels `0, 1, …` (one value per sample) or, with one value per
/// output, probabilities that sum to one.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoftmaxCrossEntropy;

/// Writes the probabilities; returns `log Σ eᶻ`.
fn softmax(z: &[f64], p: &mut [f64]) -> f64 {
    let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    p.iter_mut().zip(z).for_each(|(p, z)| *p = (z - top).exp());
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    top + sum.ln()
}

/// True if targets of this many values are labels.
fn are_labels(targets: &Batch, c: usize) -> bool {
    targets.dim() == 1 && c > 1
}

/// `Σ y z` for labels or probabilities, relative to the log-sum so that nothing cancels.
fn sample_value(z: &[f64], y: &[f64], p: &mut [f64]) -> f64 {
    let total = softmax(z, p);
    match y {
        [label] if z.len() > 1 => total - z[*label as usize],
        y => y.iter().zip(z).map(|(y, z)| if *y == 0.0 { 0.0 } else { y * (total - z) }).sum(),
    }
}

impl Loss for SoftmaxCrossEntropy {
    fn check(&self, targets: &Batch, c: usize) -> Result<()> {
        if are_labels(targets, c) {
            let label = |y: f64| y >= 0.0 && y.fract() == 0.0 && y < c as f64;
            return check_targets(targets, "a class label below the number of outputs", label);
        }
        Error::check_len("targets per sample", c, targets.dim())?;
        check_targets(targets, "a probability", |y| (0.0..=1.0).contains(&y))?;
        for (sample, y) in targets.values().chunks_exact(c).enumerate() {
            let found: f64 = y.iter().sum();
            if (found - 1.0).abs() > 1e-8 {
                return Err(Error::Target { sample, requirement: "probabilities that sum to one", found });
            }
        }
        Ok(())
    }
    fn value(&self, at: &Outcome<'_>) -> f64 {
        let mut p = vec![0.0; at.n_outputs];
        at.samples().map(|(z, y)| sample_value(z, y, &mut p)).sum()
    }
    fn values(&self, at: &Outcome<'_>, out: &mut [f64]) {
        let mut p = vec![0.0; at.n_outputs];
        out.iter_mut().zip(at.samples()).for_each(|(o, (z, y))| *o = sample_value(z, y, &mut p));
    }
    fn gradient(&self, at: &Outcome<'_>, out: &mut [f64]) {
        for ((z, y), out) in at.samples().zip(out.chunks_exact_mut(at.n_outputs)) {
            softmax(z, out);
            match y {
                [label] if z.len() > 1 => {
                    // p − 1 = −Σ of the others, which has more digits.
                    let k = *label as usize;
                    out[k] = 0.0;
                    out[k] = -out.iter().sum::<f64>();
                }
                y => out.iter_mut().zip(y).for_each(|(o, y)| *o -= y),
            }
        }
    }
    fn hessian_product(&self, at: &Outcome<'_>, v: &[f64], out: &mut [f64]) {
        let c = at.n_outputs;
        for (((z, _), v), out) in at.samples().zip(v.chunks_exact(c)).zip(out.chunks_exact_mut(c)) {
            softmax(z, out);
            let mean: f64 = out.iter().zip(v).map(|(p, v)| p * v).sum();
            out.iter_mut().zip(v).for_each(|(o, v)| *o *= v - mean);
        }
    }
    fn root(&self, at: &Outcome<'_>, j: usize, out: &mut [f64]) {
        for ((z, _), out) in at.samples().zip(out.chunks_exact_mut(at.n_outputs)) {
            softmax(z, out);
            let root = out[j].sqrt();
            out.iter_mut().for_each(|p| *p *= -root);
            out[j] += root;
        }
    }
    fn distribution(&self) -> Option<&dyn OutputDistribution> {
        Some(self)
    }
}

impl OutputDistribution for SoftmaxCrossEntropy {
    fn sample_gradient(&self, at: &Outcome<'_>, random: &mut dyn RngCore, out: &mut [f64]) {
        for ((z, _), out) in at.samples().zip(out.chunks_exact_mut(at.n_outputs)) {
            softmax(z, out);
            let mut left: f64 = random.random();
            let drawn = out.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            // Rounding may leave a crumb beyond the last class.
            out[drawn.unwrap_or(at.n_outputs - 1)] -= 1.0;
        }
    }
    fn fisher_product(&self, at: &Outcome<'_>, v: &[f64], out: &mut [f64]) {
        self.hessian_product(at, v, out);
    }
    fn fisher_root(&self, at: &Outcome<'_>, j: usize, out: &mut [f64]) {
        self.root(at, j, out);
    }
}
