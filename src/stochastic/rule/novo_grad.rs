//! NovoGrad (Ginsburg et al. 2019): gradients normalised layer by layer, one second moment a layer.

use super::moments::{Memory, check_decay, check_epsilons, check_not_negative, clear, parts, quotient};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::linalg::vector::dot;

/// For each part of the layout: `v ← β₂v + (1 − β₂)‖g‖²`, `m ← β₁m + g/(√(v + ε_root) + ε) + d x`; the update is `m`.
///
/// The first step has `v = ‖g‖²` and `m` without decay of an earlier one; it is not processed again, as the paper's loop has it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NovoGrad {
    /// `β₁`. Default 0.95.
    pub beta1: f64,
    /// `β₂`. Default 0.98.
    pub beta2: f64,
    /// Added to the root. Default 1e-8.
    pub eps: f64,
    /// Added under the root. Default 0.
    pub eps_root: f64,
    /// `d`, decay inside of the moment. Default 0.
    pub weight_decay: f64,
    /// `m ← β₁m + (1 − β₁)(…)`, from the second step on. Off by default.
    pub averaging: bool,
    /// What it remembers.
    pub memory: Memory<(Vec<f64>, Vec<f64>, bool)>,
}

impl Default for NovoGrad {
    fn default() -> Self {
        Self {
            beta1: 0.95,
            beta2: 0.98,
            eps: 1e-8,
            eps_root: 0.0,
            weight_decay: 0.0,
            averaging: false,
            memory: Memory::default(),
        }
    }
}

impl NovoGrad {
    /// The authors' code: `ε = 1e-8` under the root.
    pub fn paper() -> Self {
        Self { eps: 0.0, eps_root: 1e-8, ..Self::default() }
    }

    /// optax's: `β₁ = 0.9`, `β₂ = 0.25`, `ε = 1e-6`.
    pub fn like_optax() -> Self {
        Self { beta1: 0.9, beta2: 0.25, eps: 1e-6, ..Self::default() }
    }
}

impl UpdateRule for NovoGrad {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        check_epsilons(self.eps, self.eps_root)
    }

    fn begin(&mut self, n: usize) {
        let Memory((means, squares, started)) = &mut self.memory;
        clear(means, n);
        squares.clear();
        *started = false;
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2, decay) = (self.beta1, self.beta2, self.weight_decay);
        let Memory((means, squares, started)) = &mut self.memory;
        squares.resize(context.layout.len().max(1), 0.0);
        let weight = if self.averaging && *started { 1.0 - beta1 } else { 1.0 };
        let (old, new) = if *started { (beta2, 1.0 - beta2) } else { (0.0, 1.0) };
        *started = true;
        for (part, v) in parts(context.layout, update.len()).zip(squares) {
            let (u, m, x) = (&mut update[part.clone()], &mut means[part.clone()], &context.x[part]);
            *v = old * *v + new * dot(u, u);
            let scale = quotient(1.0, *v, self.eps, self.eps_root);
            for ((u, m), x) in u.iter_mut().zip(m).zip(x) {
                *m = beta1 * *m + weight * (scale * *u + decay * x);
                *u = *m;
            }
        }
        Ok(())
    }
}
