//! Adam (Kingma & Ba 2015): momentum over the root of the second moment, both debiased.

use super::moments::{EpsilonPlace, Memory, Moments, check_decay, check_epsilons, debiased, quotient};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::stochastic::schedule::Schedule;

/// `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`; the update is `m̂ / (√(v̂ + ε_root) + ε)`, with the moments divided by the
/// sums of their weights.
///
/// No entry is larger than `(1 − β₁)/√(1 − β₂)` after gradients that vanish, nor much larger than 1 otherwise.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Adam {
    /// `β₁`. Default 0.9.
    pub beta1: Schedule,
    /// `β₂`. Default 0.999.
    pub beta2: f64,
    /// Added to the root. Default 1e-8.
    pub eps: f64,
    /// Added under the root. Default 0.
    pub eps_root: f64,
    /// Whether they are added to the debiased or the raw moment. Default: debiased.
    pub place: EpsilonPlace,
    /// What it remembers.
    pub memory: Memory<Moments>,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: Schedule::Constant(0.9),
            beta2: 0.999,
            eps: 1e-8,
            eps_root: 0.0,
            place: EpsilonPlace::Debiased,
            memory: Memory::default(),
        }
    }
}

impl Adam {
    /// The paper's Algorithm 1; the default.
    pub fn paper() -> Self {
        Self::default()
    }

    /// The paper's §2 in its more efficient order, `ε̂` added before debiasing (TensorFlow 1, scikit-learn).
    pub fn epsilon_hat() -> Self {
        Self { place: EpsilonPlace::Raw, ..Self::default() }
    }

    /// torch's, which is the paper's.
    pub fn like_torch() -> Self {
        Self::default()
    }

    /// optax's, which is the paper's.
    pub fn like_optax() -> Self {
        Self::default()
    }
}

impl UpdateRule for Adam {
    fn validate(&self) -> Result<()> {
        self.beta1.validate("beta1")?;
        check_decay("beta2", self.beta2)?;
        check_epsilons(self.eps, self.eps_root)
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.begin(n);
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, eps, eps_root) = (self.beta1.at(&context.clock), self.beta2, self.eps, self.eps_root);
        let (a, b) = debiased(self.place, self.memory.0.advance(beta1, beta2));
        self.memory.0.each(beta1, beta2, update, |_, m, v| quotient(a * m, b * v, eps, eps_root));
        Ok(())
    }
}
