//! AdaMax (Kingma & Ba 2015, §7.1): Adam with the decaying maximum in place of the second moment.

use super::moments::{Debias, Memory, check_decay, check_not_negative, clear, each3};
use super::{Context, UpdateRule};
use crate::error::Result;

/// `m ← β₁m + (1 − β₁)g`, `u ← max(β₂u, |g| + ε)`; the update is `m̂ / u`. There is no root for a constant to be under.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdaMax {
    /// `β₁`. Default 0.9.
    pub beta1: f64,
    /// `β₂`. Default 0.999.
    pub beta2: f64,
    /// `ε`, added to the moduli of gradients. Default 1e-8.
    pub eps: f64,
    /// What it remembers.
    pub memory: Memory<(Vec<f64>, Vec<f64>, Debias)>,
}

impl Default for AdaMax {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, memory: Memory::default() }
    }
}

impl AdaMax {
    /// The paper's, without a constant.
    pub fn paper() -> Self {
        Self { eps: 0.0, ..Self::default() }
    }

    /// torch's; the default.
    pub fn like_torch() -> Self {
        Self::default()
    }

    /// optax's; the default.
    pub fn like_optax() -> Self {
        Self::default()
    }
}

impl UpdateRule for AdaMax {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        check_not_negative("eps", self.eps)
    }

    fn begin(&mut self, n: usize) {
        let Memory((means, maxima, correction)) = &mut self.memory;
        clear(means, n);
        clear(maxima, n);
        *correction = Debias::default();
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, eps) = (self.beta1, self.beta2, self.eps);
        let Memory((means, maxima, correction)) = &mut self.memory;
        let c = 1.0 / correction.push(beta1);
        each3(update, means, maxima, |u, m, w| {
            *m = beta1 * *m + (1.0 - beta1) * *u;
            // The maximum leaves out a NaN, the mean keeps it.
            *w = (beta2 * *w).max(u.abs() + eps);
            *u = if *w == 0.0 { 0.0 * *m } else { c * *m / *w };
        });
        Ok(())
    }
}
