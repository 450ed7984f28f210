//! A learning rate that falls when the loss does not: the one rule with a memory of losses.

use super::moments::{check_not_negative, check_positive};
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
    current: f64,
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
            current: rate,
            lowest: None,
            without_gain: 0,
            cooling: 0,
        }
    }

    /// The present rate.
    pub fn current(&self) -> f64 {
        self.current
    }

    fn gains(&self, loss: f64) -> bool {
        let margin = |lowest: f64| if self.relative { self.threshold * lowest.abs() } else { self.threshold };
        self.lowest.map_or(!loss.is_nan(), |lowest| loss < lowest - margin(lowest))
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
        (self.current, self.lowest, self.without_gain, self.cooling) = (self.rate, None, 0, 0);
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        scale(self.current, update);
        Ok(())
    }

    fn evaluated(&mut self, loss: f64) {
        if self.gains(loss) {
            (self.lowest, self.without_gain) = (Some(loss), 0);
        } else {
            self.without_gain += 1;
        }
        if self.cooling > 0 {
            (self.cooling, self.without_gain) = (self.cooling - 1, 0);
        }
        if self.without_gain > self.patience {
            // A rate that starts below the lowest is left alone.
            self.current = self.current.min((self.factor * self.current).max(self.min_rate));
            (self.cooling, self.without_gain) = (self.cooldown, 0);
        }
    }

    fn rate(&self, _clock: &Clock) -> f64 {
        self.current
    }
}
