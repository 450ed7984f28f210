//! RMSProp (Hinton 2012, lecture 6e): steps over the root of the exponentially averaged squared gradient.

use super::moments::{Debias, Memory, check_decay, check_epsilons, check_not_negative, clear, each2, each3, quotient};
use super::{Context, UpdateRule};
use crate::error::{Error, Result};

/// What the averages start from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Start {
    /// Zero: early steps are large.
    #[default]
    Zero,
    /// A number, for the squares; the average of gradients starts from zero.
    Value(f64),
    /// The first gradient: `v₁ = g₁²`, `m₁ = g₁`.
    FirstGradient,
}

/// `v ← βv + (1 − β)g²`; the update is `g / (√(v + ε_root) + ε)`. Centred, `v − m²` takes the place of `v`, with
/// `m ← βm + (1 − β)g`; it is kept up to date as a variance, `s ← β(s + (1 − β)(g − m)²)`, which does not cancel (West 1979).
///
/// With momentum as a chain: `(RmsProp, LearningRate, Momentum)` in optax, `(RmsProp, Momentum, LearningRate)` in torch.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RmsProp {
    /// `β`. Default 0.9.
    pub decay: f64,
    /// Added to the root. Default 0.
    pub eps: f64,
    /// Added under the root. Default 1e-8.
    pub eps_root: f64,
    /// What the averages start from. Default: zero.
    pub start: Start,
    /// Divide by the deviation instead of the root mean square (Graves 2013). Off by default.
    pub centered: bool,
    /// Divide the averages by the sums of their weights; only with the start at zero. Off by default.
    pub debias: bool,
    /// What it remembers.
    pub memory: Memory<Averages>,
}

/// Averages of squares, or variances and averages of gradients if centred, and the sum of their weights.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Averages {
    squares: Vec<f64>,
    means: Vec<f64>,
    started: bool,
    correction: Debias,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            decay: 0.9,
            eps: 0.0,
            eps_root: 1e-8,
            start: Start::Zero,
            centered: false,
            debias: false,
            memory: Memory::default(),
        }
    }
}

impl RmsProp {
    /// Hinton's slide: `β = 0.9`, no constants.
    pub fn paper() -> Self {
        Self { eps_root: 0.0, ..Self::default() }
    }

    /// torch's: `β = 0.99`, `ε = 1e-8` added to the root.
    pub fn like_torch() -> Self {
        Self { decay: 0.99, eps: 1e-8, eps_root: 0.0, ..Self::default() }
    }

    /// optax's: `β = 0.9`, `ε = 1e-8` under the root; the default.
    pub fn like_optax() -> Self {
        Self::default()
    }
}

impl UpdateRule for RmsProp {
    fn validate(&self) -> Result<()> {
        check_decay("decay", self.decay)?;
        check_epsilons(self.eps, self.eps_root)?;
        if let Start::Value(value) = self.start {
            check_not_negative("start", value)?;
        }
        // Both corrections at once would be one too many.
        Error::check_option(!self.debias || self.start == Start::Zero, "debias", "off unless the averages start at zero", "on")
    }

    fn begin(&mut self, n: usize) {
        let Memory(averages) = &mut self.memory;
        clear(&mut averages.squares, n);
        if let Start::Value(value) = self.start {
            averages.squares.fill(value);
        }
        clear(&mut averages.means, if self.centered { n } else { 0 });
        (averages.started, averages.correction) = (false, Debias::default());
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let (eps, eps_root) = (self.eps, self.eps_root);
        let Memory(Averages { squares, means, started, correction }) = &mut self.memory;
        let taken = self.start == Start::FirstGradient && !*started;
        let (beta, weight) = if taken { (0.0, 1.0) } else { (self.decay, 1.0 - self.decay) };
        *started = true;
        // The weights so far sum to `before` and then to `now`; without debiasing the start makes them one.
        let (before, now) = match self.debias {
            true => (correction.value(), correction.push(self.decay)),
            false => (1.0, 1.0),
        };
        if self.centered {
            let (gain, spread) = (weight / now, weight * beta * before / now);
            each3(update, squares, means, |u, s, m| {
                let change = *u - *m;
                *m += gain * change;
                *s = beta * *s + spread * (change * change);
                *u = quotient(*u, *s / now, eps, eps_root);
            });
        } else {
            each2(update, squares, |u, v| {
                *v = beta * *v + weight * (*u * *u);
                *u = quotient(*u, *v / now, eps, eps_root);
            });
        }
        Ok(())
    }
}
