//! Adagrad (Duchi, Hazan & Singer 2011): each variable's steps shrink with the sum of its squared gradients.

use super::moments::{Memory, check_epsilons, check_not_negative, clear, each2, quotient};
use super::{Context, UpdateRule};
use crate::error::Result;

/// `s ← s + g²`; the update is `g / (√(s + ε_root) + ε)`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Adagrad {
    /// Added to the root. Default 0.
    pub eps: f64,
    /// Added under the root. Default 1e-6.
    pub eps_root: f64,
    /// What the sums start from. Default 0.
    pub initial: f64,
    /// What it remembers.
    pub memory: Memory<Vec<f64>>,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { eps: 0.0, eps_root: 1e-6, initial: 0.0, memory: Memory::default() }
    }
}

impl Adagrad {
    /// The paper's form, `δ = 1e-8` added to the root.
    pub fn paper() -> Self {
        Self { eps: 1e-8, eps_root: 0.0, ..Self::default() }
    }

    /// torch's: `ε = 1e-10` added to the root.
    pub fn like_torch() -> Self {
        Self { eps: 1e-10, eps_root: 0.0, ..Self::default() }
    }

    /// optax's: sums start from 0.1, `ε = 1e-7` under the root.
    pub fn like_optax() -> Self {
        Self { eps_root: 1e-7, initial: 0.1, ..Self::default() }
    }
}

impl UpdateRule for Adagrad {
    fn validate(&self) -> Result<()> {
        check_epsilons(self.eps, self.eps_root)?;
        check_not_negative("initial", self.initial)
    }

    fn begin(&mut self, n: usize) {
        clear(&mut self.memory.0, n);
        self.memory.0.fill(self.initial);
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (eps, eps_root) = (self.eps, self.eps_root);
        each2(update, &mut self.memory.0, |u, s| {
            *s += *u * *u;
            *u = quotient(*u, *s, eps, eps_root);
        });
        Ok(())
    }
}
