//! Momentum (Polyak 1964): steps along a decaying sum of gradients.

use super::moments::{Debias, Memory, check_not_negative, clear, each2};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::stochastic::schedule::Schedule;

/// The weight of a new gradient in the velocity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Dampening {
    /// `v ← μv + g`.
    #[default]
    None,
    /// `v ← μv + (1 − τ)g`.
    Constant(f64),
    /// The same, but the first velocity is the first gradient, undampened (torch's form).
    AfterFirst(f64),
    /// `v ← μv + (1 − μ)g`, an exponential average.
    Average,
    /// The average, divided by the sum of its weights, `1 − Πμₜ`.
    DebiasedAverage,
}

impl Dampening {
    /// The weight of a gradient.
    pub(super) fn weight(self, mu: f64, first: bool) -> f64 {
        match self {
            Self::None => 1.0,
            Self::Constant(tau) => 1.0 - tau,
            Self::AfterFirst(tau) => {
                if first {
                    1.0
                } else {
                    1.0 - tau
                }
            }
            Self::Average | Self::DebiasedAverage => 1.0 - mu,
        }
    }

    pub(super) fn validate(self) -> Result<()> {
        match self {
            Self::Constant(tau) | Self::AfterFirst(tau) => check_not_negative("dampening", tau),
            _ => Ok(()),
        }
    }
}

/// `v ← μv + g`; the update is `v`.
///
/// The learning rate's place in the chain says what is accumulated: `(Momentum, LearningRate)` steps by `α v` (torch, optax),
/// `(LearningRate, Momentum)` accumulates `α g` (the heavy ball). Under constant rates the two are the same, up to `α/(1 − μ)`
/// also the average; they differ as soon as a rate changes.
///
/// No setting of it accelerates gradient descent beyond quadratics (Goujaud, Taylor & Dieuleveut 2023); on quadratics
/// `α = 4/(√L + √m)²`, `μ = ((√κ − 1)/(√κ + 1))²` is optimal.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Momentum {
    /// `μ`. Default 0.9.
    pub coefficient: Schedule,
    /// The weight of a new gradient. Default 1.
    pub dampening: Dampening,
    /// What it remembers.
    pub memory: Memory<Velocity>,
}

/// A velocity, and what its averages need.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Velocity {
    pub(super) v: Vec<f64>,
    pub(super) started: bool,
    debias: Debias,
    /// The coefficient of Nesterov's shift.
    pub(super) shift: f64,
}

impl Velocity {
    pub(super) fn begin(&mut self, n: usize) {
        clear(&mut self.v, n);
        (self.started, self.debias, self.shift) = (false, Debias::default(), 0.0);
    }
}

impl Default for Momentum {
    fn default() -> Self {
        Self::new(0.9)
    }
}

impl Momentum {
    /// Without dampening.
    pub fn new(coefficient: impl Into<Schedule>) -> Self {
        Self { coefficient: coefficient.into(), dampening: Dampening::None, memory: Memory::default() }
    }

    /// An exponential average of the gradients, from zero.
    pub fn average(coefficient: impl Into<Schedule>) -> Self {
        Self::new(coefficient).dampening(Dampening::Average)
    }

    /// The same with another weight of new gradients.
    pub fn dampening(self, dampening: Dampening) -> Self {
        Self { dampening, ..self }
    }

    /// `v`, after the last step.
    pub fn velocity(&self) -> &[f64] {
        &self.memory.0.v
    }
}

impl UpdateRule for Momentum {
    fn validate(&self) -> Result<()> {
        self.coefficient.validate("momentum")?;
        self.dampening.validate()
    }

    fn begin(&mut self, n: usize) {
        self.memory.0.begin(n);
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let mu = self.coefficient.at(&context.clock);
        let memory = &mut self.memory.0;
        let weight = self.dampening.weight(mu, !memory.started);
        let factor = match self.dampening {
            Dampening::DebiasedAverage => 1.0 / memory.debias.push(mu),
            _ => 1.0,
        };
        memory.started = true;
        each2(update, &mut memory.v, |u, v| {
            *v = mu * *v + weight * *u;
            *u = factor * *v;
        });
        Ok(())
    }
}
