//! Schedules that go up and down.

use super::Shape;
use crate::error::{Error, Result};

/// What becomes of the height of a cycle (Smith 2017).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Envelope {
    /// All cycles are of one height.
    Triangular,
    /// Each cycle is half as high as the one before.
    Halving,
    /// The height is multiplied by `γ` with every step.
    Exponential(f64),
}

impl Envelope {
    /// The height at step `k`, of 1.
    pub(super) fn height(self, k: f64, up: f64, down: f64) -> f64 {
        let cycle = (k / (up + down)).floor();
        let within = k - cycle * (up + down);
        let triangle = if within <= up { within / up } else { (up + down - within) / down };
        triangle
            * match self {
                Self::Triangular => 1.0,
                Self::Halving => 0.5f64.powf(cycle),
                Self::Exponential(gamma) => gamma.powf(k),
            }
    }

    pub(super) fn validate(self, name: &str) -> Result<()> {
        match self {
            Self::Exponential(gamma) => {
                Error::check_option(gamma > 0.0 && gamma.is_finite(), name, "made with a positive factor", gamma)
            }
            _ => Ok(()),
        }
    }
}

/// The fraction of the present period that has passed, for periods that grow by a factor.
pub(super) fn position(k: f64, period: f64, factor: f64) -> f64 {
    if factor == 1.0 {
        return k / period - (k / period).floor();
    }
    // Period `i` begins at `T (fⁱ − 1)/(f − 1)`; the logarithm may be off by one at a boundary.
    let begins = |i: f64| period * (factor.powf(i) - 1.0) / (factor - 1.0);
    let mut i = (1.0 + k / period * (factor - 1.0)).log(factor).floor().max(0.0);
    if begins(i) > k {
        i -= 1.0;
    } else if begins(i + 1.0) <= k {
        i += 1.0;
    }
    (k - begins(i)) / (period * factor.powf(i))
}

/// From a start to a peak, and on to an end (Smith & Topin 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OneCycle {
    /// The first value.
    pub initial: f64,
    /// The value at the peak.
    pub peak: f64,
    /// The last value.
    pub end: f64,
    /// The step of the peak.
    pub rise: f64,
    /// The step of the end.
    pub steps: f64,
    /// Both ways' shape.
    pub shape: Shape,
}

impl OneCycle {
    /// The peak at 30 % of the steps, from a 25th of it, to that over 10⁴; along cosines.
    pub fn new(peak: f64, steps: f64) -> Self {
        let initial = peak / 25.0;
        Self { initial, peak, end: initial / 1e4, rise: 0.3 * steps, steps, shape: Shape::Cosine }
    }

    /// torch's clock: the end is reached in the last of `steps` steps, and the peak one step before 30 % of them.
    pub fn like_torch(peak: f64, steps: f64) -> Self {
        Self { rise: 0.3 * steps - 1.0, steps: steps - 1.0, ..Self::new(peak, steps) }
    }

    /// The momentum that goes with it: from 0.95 down to 0.85, and back.
    pub fn momentum(self) -> Self {
        Self { initial: 0.95, peak: 0.85, end: 0.95, ..self }
    }

    pub(super) fn value(&self, k: f64) -> f64 {
        if k < self.rise {
            self.shape.between(self.initial, self.peak, k / self.rise)
        } else {
            self.shape.between(self.peak, self.end, (k - self.rise) / (self.steps - self.rise))
        }
    }

    pub(super) fn validate(&self, name: &str) -> Result<()> {
        for value in [self.initial, self.peak, self.end, self.steps] {
            Error::check_option(value.is_finite(), name, "finite", value)?;
        }
        let ordered = self.rise >= 0.0 && self.rise < self.steps;
        Error::check_option(ordered, name, "a cycle with its peak before its end", self.rise)?;
        self.shape.validate(name)
    }
}
