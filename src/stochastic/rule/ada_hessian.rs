//! AdaHessian (Yao, Gholami, Shen, Mustafa, Keutzer & Mahoney 2021): Adam with the Hessian's diagonal in place of the gradient
//! in the second moment.

use super::moments::{EpsilonPlace, Memory, Moments, check_decay, check_epsilons, check_positive, debiased, parts};
use super::probe::{Hutchinson, Probe, check_count};
use super::{Context, UpdateRule};
use crate::error::Result;

/// `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)D²` with `D ≈ diag ∇²f` from one random product, averaged over runs of parameters; the
/// update is `m̂ / ((v̂ + ε_root)^(k/2) + ε)`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdaHessian {
    /// `β₁`. Default 0.9.
    pub beta1: f64,
    /// `β₂`. Default 0.999.
    pub beta2: f64,
    /// Added to the root. Default 1e-4.
    pub eps: f64,
    /// Added under the root. Default 0.
    pub eps_root: f64,
    /// `k`: 1 divides by the curvature, 0.5 by its root. Default 1.
    pub power: f64,
    /// Moduli of `D` are averaged over runs of so many neighbouring parameters of a part; 1 leaves it as it is. Default 1.
    pub spatial: usize,
    /// Products for an estimate. Default 1.
    pub samples: usize,
    /// Steps between estimates; `D` stays in between. Default 1.
    pub every: u64,
    /// Seed of the probes. Default 0.
    pub seed: u64,
    /// What it remembers.
    pub memory: Memory<(Moments, Vec<f64>)>,
    /// Buffers.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub buffers: Hutchinson,
}

impl Default for AdaHessian {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-4,
            eps_root: 0.0,
            power: 1.0,
            spatial: 1,
            samples: 1,
            every: 1,
            seed: 0,
            memory: Memory::default(),
            buffers: Hutchinson::default(),
        }
    }
}

impl UpdateRule for AdaHessian {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        check_epsilons(self.eps, self.eps_root)?;
        check_positive("power", self.power)?;
        check_count("spatial", self.spatial as u64)?;
        check_count("samples", self.samples as u64)?;
        check_count("every", self.every)
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.0.begin(n);
        self.memory.0.1.clear();
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let Memory((moments, diagonal)) = &mut self.memory;
        if moments.steps % self.every == 0 {
            self.buffers.estimate(context, Probe::Signs, self.samples, self.seed)?;
            diagonal.clear();
            diagonal.extend_from_slice(&self.buffers.diagonal);
            if self.spatial > 1 {
                for part in parts(context.layout, update.len()) {
                    for run in diagonal[part].chunks_mut(self.spatial) {
                        let mean = run.iter().map(|d| d.abs()).sum::<f64>() / run.len() as f64;
                        run.fill(mean);
                    }
                }
            }
        }
        let (beta1, beta2, eps, eps_root, half) = (self.beta1, self.beta2, self.eps, self.eps_root, 0.5 * self.power);
        let (a, b) = debiased(EpsilonPlace::Debiased, moments.advance(beta1, beta2));
        let Moments { m, v, .. } = moments;
        for (((u, m), v), d) in update.iter_mut().zip(m).zip(v).zip(diagonal.iter()) {
            *m = beta1 * *m + (1.0 - beta1) * *u;
            *v = beta2 * *v + (1.0 - beta2) * (d * d);
            let square = b * *v + eps_root;
            let root = if half == 0.5 { square.sqrt() } else { square.powf(half) };
            *u = if root + eps == 0.0 { 0.0 * *m } else { a * *m / (root + eps) };
        }
        Ok(())
    }
}
