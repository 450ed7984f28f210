//! Lion (Chen et al. 2023): the sign of an interpolated momentum.

use super::moments::{Memory, check_decay, clear, each2};
use super::{Context, UpdateRule};
use crate::error::Result;

/// The update is `sign(β₁m + (1 − β₁)g)`, 0 for 0; then `m ← β₂m + (1 − β₂)g`.
///
/// All entries are of one size: its learning rates are three to ten times smaller than Adam's, its decoupled decays larger by
/// as much.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lion {
    /// `β₁`. Default 0.9.
    pub beta1: f64,
    /// `β₂`. Default 0.99.
    pub beta2: f64,
    /// What it remembers.
    pub memory: Memory<Vec<f64>>,
}

impl Default for Lion {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.99, memory: Memory::default() }
    }
}

impl UpdateRule for Lion {
    fn validate(&self) -> Result<()> {
        check_decay("beta1", self.beta1)?;
        check_decay("beta2", self.beta2)
    }

    fn begin(&mut self, n: usize) {
        clear(&mut self.memory.0, n);
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (beta1, beta2) = (self.beta1, self.beta2);
        each2(update, &mut self.memory.0, |u, m| {
            let direction = beta1 * *m + (1.0 - beta1) * *u;
            *m = beta2 * *m + (1.0 - beta2) * *u;
            // A zero stays one, and a NaN as well.
            *u = if direction > 0.0 {
                1.0
            } else if direction < 0.0 {
                -1.0
            } else {
                direction
            };
        });
        Ok(())
    }
}
