//! RAdam (Liu et al. 2020): Adam that adapts only once the variance of its rates is known, and in proportion.

use super::moments::{EpsilonPlace, Memory, Moments, check_decay, check_epsilons, debiased, quotient};
use super::{Context, UpdateRule};
use crate::error::{Error, Result};

/// What is done while the variance is intractable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Degenerate {
    /// The update is `m̂`, momentum without adaptation (the paper, torch, optax).
    #[default]
    Momentum,
    /// No step (the authors' code).
    Skip,
}

/// Adam's moments and `ρₜ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ)`, `ρ∞ = 2/(1 − β₂) − 1`. Where `ρₜ` exceeds the threshold the update is
/// `r m̂/(√(v̂ + ε_root) + ε)`, `r² = (ρₜ − 4)(ρₜ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρₜ)`; else it does not adapt.
///
/// With `β₂ ≤ 0.6`, `ρ∞ ≤ 4`: it never adapts.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RAdam {
    /// `β₁`. Default 0.9.
    pub beta1: f64,
    /// `β₂`. Default 0.999.
    pub beta2: f64,
    /// Added to the root. Default 1e-8.
    pub eps: f64,
    /// Added under the root. Default 0.
    pub eps_root: f64,
    /// Whether they are added to the debiased or the raw moment. Default: debiased.
    pub place: EpsilonPlace,
    /// `ρₜ` above which the step is adaptive, at least 4. Default 5, as in all code; the paper says 4, one step earlier.
    pub threshold: f64,
    /// What is done until then. Default: momentum.
    pub degenerate: Degenerate,
    /// What it remembers.
    pub memory: Memory<Moments>,
}

impl Default for RAdam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            eps_root: 0.0,
            place: EpsilonPlace::Debiased,
            threshold: 5.0,
            degenerate: Degenerate::Momentum,
            memory: Memory::default(),
        }
    }
}

impl RAdam {
    /// The paper's Algorithm 2: threshold 4, no constants.
    pub fn paper() -> Self {
        Self { eps: 0.0, threshold: 4.0, ..Self::default() }
    }

    /// torch's: `ε` added to the root of the raw moment.
    pub fn like_torch() -> Self {
        Self { place: EpsilonPlace::Raw, ..Self::default() }
    }

    /// optax's; the default.
    pub fn like_optax() -> Self {
        Self::default()
    }

    /// `r` in step `t`, one-based; `None` while the variance is intractable.
    pub fn rectification(&self, t: u64) -> Option<f64> {
        let limit = 2.0 / (1.0 - self.beta2) - 1.0;
        let t = t as f64;
        let power = t * self.beta2.ln();
        let rho = limit - 2.0 * t * power.exp() / -power.exp_m1();
        let square = ((rho - 4.0) * (rho - 2.0) * limit) / ((limit - 4.0) * (limit - 2.0) * rho);
        (rho > self.threshold).then(|| square.sqrt())
    }
}

impl UpdateRule for RAdam {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        Error::check_option(self.threshold >= 4.0, "threshold", "at least 4", self.threshold)?;
        check_epsilons(self.eps, self.eps_root)
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.begin(n);
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, eps, eps_root) = (self.beta1, self.beta2, self.eps, self.eps_root);
        let corrections = self.memory.0.advance(beta1, beta2);
        match self.rectification(self.memory.0.steps) {
            Some(r) => {
                let (a, b) = debiased(self.place, corrections);
                let a = a * r;
                self.memory.0.each(beta1, beta2, update, |_, m, v| quotient(a * m, b * v, eps, eps_root));
            }
            None => {
                let a = match self.degenerate {
                    Degenerate::Momentum => 1.0 / corrections.0,
                    Degenerate::Skip => 0.0,
                };
                self.memory.0.each(beta1, beta2, update, |_, m, _| a * m);
            }
        }
        Ok(())
    }
}
