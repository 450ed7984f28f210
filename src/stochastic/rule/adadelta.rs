//! Adadelta (Zeiler 2012): steps in the units of the variables, without a learning rate.

use super::moments::{Memory, check_decay, check_epsilons, clear, each3, quotient};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::stochastic::schedule::Schedule;

/// `v ← γv + (1 − γ)g²`, `u = RMS(Δ)/RMS(v) g`, `Δ ← ρΔ + (1 − ρ)u²` with `RMS(z) = √(z + ε_root) + ε`; the update is `u`.
///
/// The usual learning rate behind it is 1.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Adadelta {
    /// `γ`, of the squared gradients. Default 0.95.
    pub decay: f64,
    /// `ρ`, of the squared updates. Default 0.95.
    pub update_decay: f64,
    /// Added to the roots. Default 0.
    pub eps: f64,
    /// Added under the roots; with neither constant the method never moves. Default 1e-6.
    pub eps_root: f64,
    /// Factor of the updates in `Δ`. Default 1, as in all libraries; the learning rate that follows, to accumulate the steps
    /// really taken.
    pub accumulated: Schedule,
    /// What it remembers.
    pub memory: Memory<(Vec<f64>, Vec<f64>)>,
}

impl Default for Adadelta {
    fn default() -> Self {
        Self {
            decay: 0.95,
            update_decay: 0.95,
            eps: 0.0,
            eps_root: 1e-6,
            accumulated: Schedule::Constant(1.0),
            memory: Memory::default(),
        }
    }
}

impl Adadelta {
    /// The paper's: `ρ = 0.95`, `ε = 1e-6`; the default.
    pub fn paper() -> Self {
        Self::default()
    }

    /// torch's: `ρ = 0.9`, `ε = 1e-6`.
    pub fn like_torch() -> Self {
        Self { decay: 0.9, update_decay: 0.9, ..Self::default() }
    }

    /// optax's, which is torch's.
    pub fn like_optax() -> Self {
        Self::like_torch()
    }
}

impl UpdateRule for Adadelta {
    fn validate(&self) -> Result<()> {
        check_decay("decay", self.decay)?;
        check_decay("update_decay", self.update_decay)?;
        self.accumulated.validate("accumulated")?;
        check_epsilons(self.eps, self.eps_root)
    }

    fn begin(&mut self, n: usize) {
        let Memory((squares, updates)) = &mut self.memory;
        clear(squares, n);
        clear(updates, n);
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (gamma, rho, eps, eps_root) = (self.decay, self.update_decay, self.eps, self.eps_root);
        let scale = self.accumulated.at(&context.clock);
        let Memory((squares, updates)) = &mut self.memory;
        each3(update, squares, updates, |u, v, d| {
            *v = gamma * *v + (1.0 - gamma) * (*u * *u);
            *u = quotient(((*d + eps_root).sqrt() + eps) * *u, *v, eps, eps_root);
            let taken = scale * *u;
            *d = rho * *d + (1.0 - rho) * (taken * taken);
        });
        Ok(())
    }
}
