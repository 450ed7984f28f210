//! Lookahead (Zhang, Lucas, Hinton & Ba 2019): slow weights that follow a fast rule.

use super::moments::{Memory, check_positive};
use super::probe::check_count;
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::stochastic::Clock;

/// After every `k` steps of the inner rule, `φ ← φ + α(θ − φ)` and `θ ← φ`. The iterates are the fast weights `θ`; the inner
/// rule is the whole chain, learning rate included.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lookahead<R> {
    /// The fast rule.
    pub inner: R,
    /// `k`. Default 5.
    pub every: u64,
    /// `α`. Default 0.5.
    pub slow_step: f64,
    /// Whether the inner rule forgets its state after `θ ← φ`. Off by default.
    pub reset: bool,
    /// What it remembers.
    pub memory: Memory<(Vec<f64>, u64)>,
}

impl<R> Lookahead<R> {
    /// With `k = 5`, `α = 0.5`, the inner state kept.
    pub fn new(inner: R) -> Self {
        Self { inner, every: 5, slow_step: 0.5, reset: false, memory: Memory::default() }
    }

    /// `φ`; empty before the first step.
    pub fn slow(&self) -> &[f64] {
        &self.memory.0.0
    }
}

impl<R: UpdateRule> UpdateRule for Lookahead<R> {
    fn validate(&self) -> Result<()> {
        check_count("every", self.every)?;
        check_positive("slow_step", self.slow_step)?;
        self.inner.validate()
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.0.clear();
        self.memory.0.1 = 0;
        self.inner.begin(n);
    }

    fn look_ahead(&self, clock: &Clock, x: &[f64], point: &mut [f64]) -> bool {
        self.inner.look_ahead(clock, x, point)
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let Memory((slow, steps)) = &mut self.memory;
        if slow.is_empty() {
            slow.extend_from_slice(context.x);
        }
        self.inner.transform(context, update)?;
        *steps += 1;
        if *steps % self.every == 0 {
            for ((slow, u), x) in slow.iter_mut().zip(update.iter_mut()).zip(context.x) {
                *slow += self.slow_step * (x - *u - *slow);
                *u = x - *slow;
            }
            if self.reset {
                self.inner.begin(update.len());
            }
        }
        Ok(())
    }

    fn evaluated(&mut self, loss: f64) {
        self.inner.evaluated(loss);
    }

    fn rate(&self, clock: &Clock) -> f64 {
        self.inner.rate(clock)
    }
}
