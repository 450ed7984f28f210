//! AMSGrad (Reddi, Kale & Kumar 2018): Adam with a second moment that never falls.

use super::moments::{EpsilonPlace, Memory, Moments, check_decay, check_epsilons, clear, debiased, quotient};
use super::{Context, UpdateRule};
use crate::error::Result;

/// What the maximum is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Maximum {
    /// Of `v`, and the maximum is debiased as `v` would be (torch, burn).
    #[default]
    OfRaw,
    /// Of the debiased `v̂` (optax).
    OfDebiased,
    /// Of `v`, and neither moment is debiased (the paper).
    Undebiased,
}

/// Adam's moments; the update is `m̂ / (√(max v + ε_root) + ε)`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AmsGrad {
    /// `β₁`. Default 0.9.
    pub beta1: f64,
    /// `β₂`. Default 0.999.
    pub beta2: f64,
    /// Added to the root. Default 1e-8.
    pub eps: f64,
    /// Added under the root. Default 0.
    pub eps_root: f64,
    /// What the maximum is taken of. Default: the raw moment.
    pub maximum: Maximum,
    /// What it remembers.
    pub memory: Memory<(Moments, Vec<f64>)>,
}

impl Default for AmsGrad {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, eps_root: 0.0, maximum: Maximum::OfRaw, memory: Memory::default() }
    }
}

impl AmsGrad {
    /// The paper's: nothing is debiased, `β₂ = 0.99`, no constants.
    pub fn paper() -> Self {
        Self { beta2: 0.99, eps: 0.0, maximum: Maximum::Undebiased, ..Self::default() }
    }

    /// torch's; the default.
    pub fn like_torch() -> Self {
        Self::default()
    }

    /// optax's: the maximum of debiased moments.
    pub fn like_optax() -> Self {
        Self { maximum: Maximum::OfDebiased, ..Self::default() }
    }
}

impl UpdateRule for AmsGrad {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        check_epsilons(self.eps, self.eps_root)
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.0.begin(n);
        clear(&mut self.memory.0.1, n);
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, eps, eps_root) = (self.beta1, self.beta2, self.eps, self.eps_root);
        let Memory((moments, maxima)) = &mut self.memory;
        let (a, b) = debiased(EpsilonPlace::Debiased, moments.advance(beta1, beta2));
        let (a, before, after) = match self.maximum {
            Maximum::OfRaw => (a, 1.0, b),
            Maximum::OfDebiased => (a, b, 1.0),
            Maximum::Undebiased => (1.0, 1.0, 1.0),
        };
        moments.each_with(beta1, beta2, update, maxima, |_, m, v, top| {
            *top = top.max(before * v);
            quotient(a * m, after * *top, eps, eps_root)
        });
        Ok(())
    }
}
