//! AdaBound (Luo, Xiong, Liu & Sun 2019): Adam with rates between bounds that close in on a final rate.

use super::moments::{EpsilonPlace, Memory, Moments, check_decay, check_epsilons, check_positive, clear, debiased};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::stochastic::Clock;
use crate::stochastic::schedule::Schedule;

/// Adam's moments; the update is `ηᵢ m`, where `η = clamp(α √(1 − β₂ᵗ)/(1 − β₁ᵗ) / (√(v + ε_root) + ε), α*(1 − 1/(γt + 1)), α*(1 + 1/(γt)))`.
///
/// The rate is clamped, so it lives in the rule: no learning rate follows. `α*` is `final_rate` and follows the schedule of `α`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AdaBound {
    /// `α`. Default 1e-3.
    pub rate: Schedule,
    /// `α*` at the first step. Default 0.1.
    pub final_rate: f64,
    /// `γ`. Default 1e-3.
    pub gamma: f64,
    /// `β₁`. Default 0.9.
    pub beta1: f64,
    /// `β₂`. Default 0.999.
    pub beta2: f64,
    /// Added to the root, of the raw moment. Default 1e-8.
    pub eps: f64,
    /// Added under the root. Default 0.
    pub eps_root: f64,
    /// Debias the moments, as the authors' code does and their Algorithm 2 does not. On by default.
    pub debias: bool,
    /// Never let the second moment fall (AMSBound). Off by default.
    pub maximum: bool,
    /// What it remembers.
    pub memory: Memory<(Moments, Vec<f64>)>,
}

impl Default for AdaBound {
    fn default() -> Self {
        Self {
            rate: Schedule::Constant(1e-3),
            final_rate: 0.1,
            gamma: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            eps_root: 0.0,
            debias: true,
            maximum: false,
            memory: Memory::default(),
        }
    }
}

impl AdaBound {
    /// The paper's Algorithm 2: nothing is debiased, no constants.
    pub fn paper() -> Self {
        Self { debias: false, eps: 0.0, ..Self::default() }
    }
}

impl UpdateRule for AdaBound {
    fn validate(&self) -> Result<()> {
        self.rate.validate("rate")?;
        check_positive("final_rate", self.final_rate)?;
        check_positive("gamma", self.gamma)?;
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        check_epsilons(self.eps, self.eps_root)
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.0.begin(n);
        clear(&mut self.memory.0.1, if self.maximum { n } else { 0 });
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, eps, eps_root) = (self.beta1, self.beta2, self.eps, self.eps_root);
        let Memory((moments, maxima)) = &mut self.memory;
        let corrections = moments.advance(beta1, beta2);
        let alpha = self.rate.at(&context.clock);
        let first = self.rate.at(&Clock::default());
        let last = self.final_rate * if first == 0.0 { 1.0 } else { alpha / first };
        let gamma = self.gamma * moments.steps as f64;
        let (low, high) = (last * (1.0 - 1.0 / (gamma + 1.0)), last * (1.0 + 1.0 / gamma));
        let scale = if self.debias { alpha * debiased(EpsilonPlace::Raw, corrections).0 } else { alpha };
        // A root of zero has no upper bound but `high`; `m` keeps a NaN that the bounds leave out.
        let step = |m: f64, v: f64| m * (scale / ((v + eps_root).sqrt() + eps)).max(low).min(high);
        if self.maximum {
            moments.each_with(beta1, beta2, update, maxima, |_, m, v, top| {
                *top = top.max(v);
                step(m, *top)
            });
        } else {
            moments.each(beta1, beta2, update, |_, m, v| step(m, v));
        }
        Ok(())
    }

    fn rate(&self, clock: &Clock) -> f64 {
        self.rate.at(clock)
    }
}
