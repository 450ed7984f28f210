//! Nesterov's momentum (1983), with the gradient at the point ahead or in the shifted variable.
//!
//! With `mₜ = μₜmₜ₋₁ + α∇f(θₜ₋₁ − μₜmₜ₋₁)` and `θₜ = θₜ₋₁ − mₜ`, the points `θ′ₜ = θₜ − μₜ₊₁mₜ` where gradients are taken satisfy
//! `θ′ₜ = θ′ₜ₋₁ − α∇f(θ′ₜ₋₁) − μₜ₊₁mₜ`. [`Nesterov`] steps from `θ′` to `θ′` and evaluates where it stands; [`LookAheadMomentum`] steps
//! from `θ` to `θ` and evaluates ahead.

use super::moments::{Memory, each2};
use super::momentum::{Dampening, Momentum, Velocity};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::linalg::vector::axpy;
use crate::stochastic::Clock;
use crate::stochastic::schedule::Schedule;

/// Nesterov's momentum in the shifted variable, as in torch and optax: `v ← μv + g`; the update is `g + μ₊v`, with `μ₊` the
/// coefficient of the next step (the same, when constant).
///
/// The iterates are the points ahead; [`unshifted`](Self::unshifted) gives the others. The learning rate may stand on either
/// side, as for [`Momentum`].
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Nesterov {
    /// `μ`. Default 0.9.
    pub coefficient: Schedule,
    /// The weight of a new gradient in the velocity. Default 1.
    pub dampening: Dampening,
    /// What it remembers.
    pub memory: Memory<Velocity>,
}

impl Default for Nesterov {
    fn default() -> Self {
        Self::new(0.9)
    }
}

impl Nesterov {
    /// Without dampening.
    pub fn new(coefficient: impl Into<Schedule>) -> Self {
        Self { coefficient: coefficient.into(), dampening: Dampening::None, memory: Memory::default() }
    }

    /// `out ← θ = θ′ + α μ₊ v`: the point whose steps are the velocities, from an iterate `x = θ′`.
    ///
    /// `rate` is the learning rate that stood behind this rule in the last step; 1 if it stands before.
    pub fn unshifted(&self, x: &[f64], rate: f64, out: &mut [f64]) {
        out.copy_from_slice(x);
        axpy(rate * self.memory.0.shift, &self.memory.0.v, out);
    }
}

impl UpdateRule for Nesterov {
    fn validate(&self) -> Result<()> {
        self.coefficient.validate("momentum")?;
        self.dampening.validate()
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.begin(n);
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let mu = self.coefficient.at(&context.clock);
        let next = self.coefficient.at(&Clock { step: context.clock.step + 1, ..context.clock });
        let memory = &mut self.memory.0;
        let weight = self.dampening.weight(mu, !memory.started);
        (memory.started, memory.shift) = (true, next);
        each2(update, &mut memory.v, |u, v| {
            *v = mu * *v + weight * *u;
            *u += next * *v;
        });
        Ok(())
    }
}

/// Nesterov's momentum with the gradient at the point ahead, `∇f(x − s μ m)`: `m ← μm + u`; the update is `m`.
///
/// Stands behind the learning rate, `(LearningRate, LookAheadMomentum)`; before it, `scale` must be that learning rate.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LookAheadMomentum {
    /// The velocity.
    pub momentum: Momentum,
    /// `s`, what the update is multiplied with behind this rule. Default 1.
    pub scale: Schedule,
}

impl LookAheadMomentum {
    /// With this coefficient, behind the learning rate.
    pub fn new(coefficient: impl Into<Schedule>) -> Self {
        Self { momentum: Momentum::new(coefficient), scale: Schedule::Constant(1.0) }
    }
}

impl UpdateRule for LookAheadMomentum {
    fn validate(&self) -> Result<()> {
        self.momentum.validate()?;
        self.scale.validate("look-ahead scale")
    }

    fn begin(&mut self, n: usize) {
        self.momentum.begin(n);
    }

    fn look_ahead(&self, clock: &Clock, _x: &[f64], point: &mut [f64]) -> bool {
        let ahead = self.scale.at(clock) * self.momentum.coefficient.at(clock);
        axpy(-ahead, self.momentum.velocity(), point);
        true
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        self.momentum.transform(context, update)
    }
}
