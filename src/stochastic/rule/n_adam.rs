//! NAdam (Dozat 2016): Adam with Nesterov's momentum.

use super::moments::{
    Debias, EpsilonPlace, Memory, Moments, check_decay, check_epsilons, check_not_negative, debiased, quotient,
};
use super::{Context, UpdateRule};
use crate::error::Result;

/// Adam's moments; the update is `((1 − μₜ)/(1 − Π₁ᵗμ) g + μₜ₊₁/(1 − Π₁ᵗ⁺¹μ) m) / (√(v̂ + ε_root) + ε)` with
/// `μₜ = β₁(1 − ½ 0.96^(ψt))`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NAdam {
    /// `β₁`. Default 0.9.
    pub beta1: f64,
    /// `β₂`. Default 0.999.
    pub beta2: f64,
    /// Added to the root. Default 1e-8.
    pub eps: f64,
    /// Added under the root. Default 0.
    pub eps_root: f64,
    /// `ψ`; `None` holds `μₜ` at `β₁`. Default 0.004, the paper's warm-up of the momentum.
    pub momentum_decay: Option<f64>,
    /// What it remembers.
    pub memory: Memory<(Moments, Debias)>,
}

impl Default for NAdam {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8, eps_root: 0.0, momentum_decay: Some(0.004), memory: Memory::default() }
    }
}

impl NAdam {
    /// The paper's: `β₁ = 0.99` with the warm-up.
    pub fn paper() -> Self {
        Self { beta1: 0.99, ..Self::default() }
    }

    /// torch's; the default.
    pub fn like_torch() -> Self {
        Self::default()
    }

    /// optax's: constant momentum.
    pub fn like_optax() -> Self {
        Self { momentum_decay: None, ..Self::default() }
    }

    /// `μₜ`, one-based.
    fn coefficient(&self, t: u64) -> f64 {
        self.momentum_decay.map_or(self.beta1, |psi| self.beta1 * (1.0 - 0.5 * 0.96f64.powf(psi * t as f64)))
    }
}

impl UpdateRule for NAdam {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        check_not_negative("momentum_decay", self.momentum_decay.unwrap_or(0.0))?;
        check_epsilons(self.eps, self.eps_root)
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.0.begin(n);
        self.memory.0.1 = Debias::default();
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, eps, eps_root) = (self.beta1, self.beta2, self.eps, self.eps_root);
        let steps = self.memory.0.0.steps + 1;
        let (mu, next) = (self.coefficient(steps), self.coefficient(steps + 1));
        let Memory((moments, product)) = &mut self.memory;
        let (_, b) = debiased(EpsilonPlace::Debiased, moments.advance(beta1, beta2));
        let of_gradient = (1.0 - mu) / product.push(mu);
        let of_mean = next / product.after(next);
        moments.each(beta1, beta2, update, |g, m, v| quotient(of_gradient * g + of_mean * m, b * v, eps, eps_root));
        Ok(())
    }
}
