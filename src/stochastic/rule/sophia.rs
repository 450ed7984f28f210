//! Sophia (Liu, Li, Hall, Liang & Ma 2024): momentum over an occasional estimate of the Hessian's diagonal, clipped.

use super::moments::{Memory, check_decay, check_positive, clear};
use super::probe::{Hutchinson, Probe, check_count};
use super::{Context, UpdateRule};
use crate::error::Result;

/// What estimates the diagonal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum DiagonalEstimator {
    /// `b ĝ ⊙ ĝ`, `ĝ` the mean gradient of the `b` rows with targets drawn from the model (Gauss–Newton–Bartlett, Sophia-G).
    #[default]
    GaussNewtonBartlett,
    /// `z ⊙ ∇²f z` (Sophia-H).
    Hutchinson(Probe),
}

/// `m ← β₁m + (1 − β₁)g`; every `k` steps `h ← β₂h + (1 − β₂)ĥ`; the update is `clip(m / max(γh, ε), ±1)`.
///
/// As `(Sophia, WeightDecay, LearningRate)`: decay is decoupled.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sophia {
    /// `β₁`. Default 0.96.
    pub beta1: f64,
    /// `β₂`. Default 0.99.
    pub beta2: f64,
    /// `γ`. Default 0.05.
    pub gamma: f64,
    /// `ε`, the least denominator. Default 1e-12.
    pub eps: f64,
    /// `k`. Default 10.
    pub every: u64,
    /// What estimates the diagonal. Default: Gauss–Newton–Bartlett.
    pub estimator: DiagonalEstimator,
    /// Seed of probes or targets. Default 0.
    pub seed: u64,
    /// What it remembers.
    pub memory: Memory<(Vec<f64>, Vec<f64>, u64)>,
    /// Buffers.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub buffers: Hutchinson,
}

impl Default for Sophia {
    fn default() -> Self {
        Self::gauss_newton()
    }
}

impl Sophia {
    /// Sophia-G, with the paper's `γ = 0.05`.
    pub fn gauss_newton() -> Self {
        Self {
            beta1: 0.96,
            beta2: 0.99,
            gamma: 0.05,
            eps: 1e-12,
            every: 10,
            estimator: DiagonalEstimator::GaussNewtonBartlett,
            seed: 0,
            memory: Memory::default(),
            buffers: Hutchinson::default(),
        }
    }

    /// Sophia-H, with the paper's normal probes and `γ = 0.01`.
    pub fn hutchinson() -> Self {
        Self { gamma: 0.01, estimator: DiagonalEstimator::Hutchinson(Probe::Normal), ..Self::gauss_newton() }
    }
}

impl UpdateRule for Sophia {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        check_positive("gamma", self.gamma)?;
        check_positive("eps", self.eps)?;
        check_count("every", self.every)
    }

    fn begin(&mut self, n: usize) {
        let Memory((means, curvature, steps)) = &mut self.memory;
        clear(means, n);
        clear(curvature, n);
        *steps = 0;
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, gamma, eps) = (self.beta1, self.beta2, self.gamma, self.eps);
        let Memory((means, curvature, steps)) = &mut self.memory;
        if *steps % self.every == 0 {
            match self.estimator {
                DiagonalEstimator::GaussNewtonBartlett => self.buffers.gauss_newton_bartlett(context, self.seed)?,
                DiagonalEstimator::Hutchinson(probe) => self.buffers.estimate(context, probe, 1, self.seed)?,
            }
            let estimate = &self.buffers.diagonal;
            curvature.iter_mut().zip(estimate).for_each(|(h, e)| *h = beta2 * *h + (1.0 - beta2) * e);
        }
        *steps += 1;
        for ((u, m), h) in update.iter_mut().zip(means).zip(curvature.iter()) {
            *m = beta1 * *m + (1.0 - beta1) * *u;
            // Comparisons that let a NaN through.
            let scaled = gamma * h;
            *u = (*m / if scaled < eps { eps } else { scaled }).clamp(-1.0, 1.0);
        }
        Ok(())
    }
}
