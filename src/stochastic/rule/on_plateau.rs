//! A learning rate that falls when the loss does not: the one rule with a memory of losses.

use super::moments::{Memory, check_not_negative, check_positive};
use super::{Context, UpdateRule};
use crate::error::{Error, Result};
use crate::linalg::vector::scale;
use crate::stochastic::Clock;

/// Multiplies by a rate that is multiplied by `factor` after more than `patience` evaluations in a row without a new lowest loss.
///
/// What it is told is the validation loss, or the full cost without validation data, whenever the solver evaluated it. With
/// `rate` 1 it scales a scheduled learning rate in the same chain.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OnPlateau {
    /// The first rate.
    pub rate: f64,
    /// Default 0.1.
    pub factor: f64,
    /// Evaluations without gain that are still accepted. Default 10.
    pub patience: u64,
    /// A gain is a loss below the lowest by this much. Default 1e-4.
    pub threshold: f64,
    /// Whether the threshold is relative to `|lowest|`. On by default.
    pub relative: bool,
    /// Evaluations after a reduction that do not count. Default 0.
    pub cooldown: u64,
    /// The lowest rate. Default 0.
    pub min_rate: f64,
    /// What it remembers.
    pub memory: Memory<Losses>,
}

/// What the losses have been like.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Losses {
    /// The rate, once it was reduced.
    current: Option<f64>,
    lowest: Option<f64>,
    without_gain: u64,
    cooling: u64,
}

impl OnPlateau {
    /// From this rate.
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            relative: true,
            cooldown: 0,
            min_rate: 0.0,
            memory: Memory::default(),
        }
    }

    /// The present rate.
    pub fn current(&self) -> f64 {
        self.memory.0.current.unwrap_or(self.rate)
    }

    fn gains(&self, loss: f64) -> bool {
        let margin = |lowest: f64| if self.relative { self.threshold * lowest.abs() } else { self.threshold };
        self.memory.0.lowest.map_or(!loss.is_nan(), |lowest| loss < lowest - margin(lowest))
    }
}

impl UpdateRule for OnPlateau {
    fn validate(&self) -> Result<()> {
        check_positive("rate", self.rate)?;
        Error::check_option(self.factor > 0.0 && self.factor < 1.0, "factor", "above 0 and below 1", self.factor)?;
        check_not_negative("threshold", self.threshold)?;
        check_not_negative("min_rate", self.min_rate)
    }

    fn begin(&mut self, _n: usize) {
        self.memory = Memory::default();
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        scale(self.current(), update);
        Ok(())
    }

    fn evaluated(&mut self, loss: f64) {
        let (gained, rate) = (self.gains(loss), self.current());
        let Memory(losses) = &mut self.memory;
        if gained {
            (losses.lowest, losses.without_gain) = (Some(loss), 0);
        } else {
            losses.without_gain += 1;
        }
        if losses.cooling > 0 {
            (losses.cooling, losses.without_gain) = (losses.cooling - 1, 0);
        }
        if losses.without_gain > self.patience {
            // A rate that starts below the lowest is left alone.
            losses.current = Some(rate.min((self.factor * rate).max(self.min_rate)));
            (losses.cooling, losses.without_gain) = (self.cooldown, 0);
        }
    }

    fn rate(&self, _clock: &Clock) -> f64 {
        self.current()
    }
}
