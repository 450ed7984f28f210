//! Schedules: pure functions of the clock, shared by learning rates, momentum, batch sizes and damping.
//!
//! Steps are counted from zero. A schedule that leads from one value to another stays there afterwards.

mod cycle;
mod shape;

use super::Clock;
use crate::error::{Error, Result};

pub use cycle::{Envelope, OneCycle};
pub use shape::Shape;

/// A number that depends on the step, or on the epoch, only.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Schedule {
    /// The same at every step.
    Constant(f64),
    /// `c / (k + k₀)`. On an objective of strong convexity `m`, `c ≥ 1/(2m)` is needed for the rate `1/k` (with a smaller one the
    /// error falls as `k^(−2mc)`).
    InverseTime {
        /// `c`.
        scale: f64,
        /// `k₀`, positive.
        offset: f64,
    },
    /// `(2k + 1) / (2m(k + 1)²)`, for objectives of strong convexity `m`.
    StronglyConvex {
        /// `m`.
        modulus: f64,
    },
    /// `c / √(k + k₀)`.
    InverseSqrt {
        /// `c`.
        scale: f64,
        /// `k₀`, positive; 1 makes `c` the first value.
        offset: f64,
    },
    /// `c γ^⌊k/T⌋`.
    Steps {
        /// `c`.
        initial: f64,
        /// `γ`.
        factor: f64,
        /// `T`.
        every: f64,
    },
    /// `c` times the factors of all milestones `≤ k`.
    Milestones {
        /// `c`.
        initial: f64,
        /// Steps and factors.
        milestones: Vec<(f64, f64)>,
    },
    /// `c γ^(k/T)`: decay, or growth for `γ > 1`.
    Exponential {
        /// `c`.
        initial: f64,
        /// `γ`.
        factor: f64,
        /// `T`.
        every: f64,
    },
    /// From one value to another over some steps.
    Between {
        /// The first value.
        initial: f64,
        /// The value from the last of the steps on.
        end: f64,
        /// Number of steps.
        steps: f64,
        /// How.
        shape: Shape,
    },
    /// Up and down between two values, again and again (Smith 2017).
    Cyclical {
        /// The lower value, where it starts.
        base: f64,
        /// The upper value.
        peak: f64,
        /// Steps up.
        up: f64,
        /// Steps down.
        down: f64,
        /// What becomes of the height.
        envelope: Envelope,
    },
    /// Cosine decays with warm restarts (SGDR; Loshchilov & Hutter 2017).
    WarmRestarts {
        /// The value at each restart.
        initial: f64,
        /// The value that each period leads to.
        end: f64,
        /// Steps of the first period.
        period: f64,
        /// Each period is longer than the one before by this factor, at least 1.
        factor: f64,
    },
    /// Up, and down to far below the start (Smith & Topin 2019).
    OneCycle(OneCycle),
    /// `min(1 − ½/(⌊k/T⌋ + 1), μ)`, a momentum (Sutskever, Martens, Dahl & Hinton 2013).
    Sutskever {
        /// `μ`.
        max: f64,
        /// `T`; 250 in the paper.
        every: f64,
    },
    /// `k/(k + d)`: Nesterov's momentum for convex objectives that need not be strongly convex; `d = 3` is usual.
    Accelerated {
        /// `d`, positive.
        offset: f64,
    },
    /// A line from `from` to the start of another schedule, which begins after these steps.
    WarmUp {
        /// The first value.
        from: f64,
        /// Steps of the line.
        steps: f64,
        /// What follows.
        then: Box<Schedule>,
    },
    /// Schedules one after another; each counts its steps from its start.
    Join {
        /// The schedules.
        parts: Vec<Schedule>,
        /// First steps of all but the first, rising.
        boundaries: Vec<f64>,
    },
    /// The product of schedules.
    Product(Vec<Schedule>),
    /// Another schedule's values, kept in an interval.
    Clamped {
        /// The schedule.
        inner: Box<Schedule>,
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    },
    /// The inner schedule, with whole epochs in place of steps.
    PerEpoch(Box<Schedule>),
}

impl Schedule {
    /// `c / √(k + 1)`.
    pub fn inverse_sqrt(scale: f64) -> Self {
        Self::InverseSqrt { scale, offset: 1.0 }
    }

    /// `c γᵏ`.
    pub fn exponential(initial: f64, factor: f64) -> Self {
        Self::Exponential { initial, factor, every: 1.0 }
    }

    /// A line from one value to another.
    pub fn linear(initial: f64, end: f64, steps: f64) -> Self {
        Self::Between { initial, end, steps, shape: Shape::Linear }
    }

    /// Half a cosine wave from one value to another.
    pub fn cosine(initial: f64, end: f64, steps: f64) -> Self {
        Self::Between { initial, end, steps, shape: Shape::Cosine }
    }

    /// `end + (initial − end)(1 − k/T)^power`.
    pub fn polynomial(initial: f64, end: f64, steps: f64, power: f64) -> Self {
        Self::Between { initial, end, steps, shape: Shape::Polynomial(power) }
    }

    /// One cycle with its peak at 30 % of the steps, from a 25th of it, to that over 10⁴, along cosines.
    pub fn one_cycle(peak: f64, steps: f64) -> Self {
        Self::OneCycle(OneCycle::new(peak, steps))
    }

    /// The same schedule after a line that leads up to its start from zero.
    pub fn warmed_up(self, steps: f64) -> Self {
        Self::WarmUp { from: 0.0, steps, then: Box::new(self) }
    }

    /// The same schedule times a factor.
    pub fn scaled(self, factor: f64) -> Self {
        Self::Product(vec![Self::Constant(factor), self])
    }

    /// The same schedule, with whole epochs in place of steps.
    pub fn per_epoch(self) -> Self {
        Self::PerEpoch(Box::new(self))
    }

    /// The value at step `k`, zero-based; whole epochs count as steps.
    pub fn value(&self, k: f64) -> f64 {
        self.evaluate(k, k)
    }

    /// The value at a moment of a run.
    pub fn at(&self, clock: &Clock) -> f64 {
        self.evaluate(clock.step as f64, clock.epoch)
    }

    fn evaluate(&self, k: f64, epoch: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::InverseTime { scale, offset } => scale / (k + offset),
            Self::StronglyConvex { modulus } => (2.0 * k + 1.0) / (2.0 * modulus * (k + 1.0) * (k + 1.0)),
            Self::InverseSqrt { scale, offset } => scale / (k + offset).sqrt(),
            Self::Steps { initial, factor, every } => initial * factor.powf((k / every).floor()),
            Self::Milestones { initial, milestones } => {
                milestones.iter().filter(|(step, _)| *step <= k).fold(*initial, |value, (_, factor)| value * factor)
            }
            Self::Exponential { initial, factor, every } => initial * factor.powf(k / every),
            Self::Between { initial, end, steps, shape } => shape.between(*initial, *end, k / steps),
            Self::Cyclical { base, peak, up, down, envelope } => base + (peak - base) * envelope.height(k, *up, *down),
            Self::WarmRestarts { initial, end, period, factor } => {
                Shape::Cosine.between(*initial, *end, cycle::position(k, *period, *factor))
            }
            Self::OneCycle(cycle) => cycle.value(k),
            Self::Sutskever { max, every } => (1.0 - 0.5 / ((k / every).floor() + 1.0)).min(*max),
            Self::Accelerated { offset } => k / (k + offset),
            Self::WarmUp { from, steps, then } => {
                if k < *steps {
                    let to = then.evaluate(0.0, 0.0);
                    from + (to - from) * (k / steps)
                } else {
                    then.evaluate(k - steps, epoch)
                }
            }
            Self::Join { parts, boundaries } => {
                let part = boundaries.iter().filter(|b| **b <= k).count().min(parts.len().saturating_sub(1));
                let began = if part == 0 { 0.0 } else { boundaries[part - 1] };
                parts.get(part).map_or(f64::NAN, |p| p.evaluate(k - began, epoch))
            }
            Self::Product(factors) => factors.iter().map(|f| f.evaluate(k, epoch)).product(),
            Self::Clamped { inner, low, high } => inner.evaluate(k, epoch).max(*low).min(*high),
            Self::PerEpoch(inner) => inner.evaluate(epoch.floor(), epoch),
        }
    }

    /// Checks the numbers of a schedule.
    ///
    /// # Errors
    /// [`Error::Config`] with `name` and what is wrong.
    pub fn validate(&self, name: &str) -> Result<()> {
        let finite = |value: f64| Error::check_option(value.is_finite(), name, "finite", value);
        let positive = |value: f64, what: &'static str| Error::check_option(value > 0.0 && value.is_finite(), name, what, value);
        match self {
            Self::Constant(value) => finite(*value),
            Self::InverseTime { scale, offset } | Self::InverseSqrt { scale, offset } => {
                finite(*scale)?;
                positive(*offset, "finite, with a positive offset")
            }
            Self::StronglyConvex { modulus } => positive(*modulus, "made with a positive modulus"),
            Self::Steps { initial, factor, every } | Self::Exponential { initial, factor, every } => {
                finite(*initial)?;
                positive(*factor, "made with a positive factor")?;
                positive(*every, "made with a positive number of steps")
            }
            Self::Milestones { initial, milestones } => {
                finite(*initial)?;
                for (step, factor) in milestones {
                    finite(*step)?;
                    finite(*factor)?;
                }
                Ok(())
            }
            Self::Between { initial, end, steps, shape } => {
                finite(*initial)?;
                finite(*end)?;
                positive(*steps, "made with a positive number of steps")?;
                shape.validate(name)
            }
            Self::Cyclical { base, peak, up, down, envelope } => {
                finite(*base)?;
                finite(*peak)?;
                positive(*up, "made with a positive number of steps up")?;
                positive(*down, "made with a positive number of steps down")?;
                envelope.validate(name)
            }
            Self::WarmRestarts { initial, end, period, factor } => {
                finite(*initial)?;
                finite(*end)?;
                positive(*period, "made with a positive period")?;
                Error::check_option(
                    *factor >= 1.0 && factor.is_finite(),
                    name,
                    "made with a factor of periods of at least 1",
                    factor,
                )
            }
            Self::OneCycle(cycle) => cycle.validate(name),
            Self::Sutskever { max, every } => {
                finite(*max)?;
                positive(*every, "made with a positive number of steps")
            }
            Self::Accelerated { offset } => positive(*offset, "made with a positive offset"),
            Self::WarmUp { from, steps, then } => {
                finite(*from)?;
                positive(*steps, "made with a positive number of warm-up steps")?;
                Error::check_option(!then.counts_epochs(), name, "joined of schedules of steps", "one of epochs")?;
                then.validate(name)
            }
            Self::Join { parts, boundaries } => {
                let fits = !parts.is_empty() && boundaries.len() + 1 == parts.len();
                Error::check_option(fits, name, "joined with one boundary between two schedules", boundaries.len())?;
                let rising = boundaries.windows(2).all(|b| b[0] < b[1]) && boundaries.first().is_none_or(|b| *b >= 0.0);
                Error::check_option(rising, name, "joined at rising steps", format!("{boundaries:?}"))?;
                let epochs = parts.iter().any(Self::counts_epochs);
                Error::check_option(!epochs, name, "joined of schedules of steps", "one of epochs")?;
                boundaries.iter().try_for_each(|b| finite(*b))?;
                parts.iter().try_for_each(|part| part.validate(name))
            }
            Self::Product(factors) => factors.iter().try_for_each(|factor| factor.validate(name)),
            Self::Clamped { inner, low, high } => {
                Error::check_option(low <= high, name, "clamped between bounds in order", format!("{low}, {high}"))?;
                inner.validate(name)
            }
            Self::PerEpoch(inner) => inner.validate(name),
        }
    }

    /// Whether a part counts epochs: it cannot be shifted by steps. ([`PerEpoch`](Self::PerEpoch) goes around the whole.)
    fn counts_epochs(&self) -> bool {
        match self {
            Self::PerEpoch(_) => true,
            Self::WarmUp { then, .. } => then.counts_epochs(),
            Self::Join { parts, .. } | Self::Product(parts) => parts.iter().any(Self::counts_epochs),
            Self::Clamped { inner, .. } => inner.counts_epochs(),
            _ => false,
        }
    }
}

impl From<f64> for Schedule {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}
