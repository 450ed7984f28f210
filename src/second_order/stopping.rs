//! Stopping tests shared by every deterministic solver.

use crate::error::{Error, Result, Stop};

/// When to stop. Tests that are off have bound zero.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stopping {
    /// Gradient test, absolute: `‖g‖∞ ≤ max(gtol_abs, gtol_rel ‖g₀‖∞)`. Default 1e-8.
    pub gtol_abs: f64,
    /// Gradient test, relative to the start. Default 1e-8. A start far out has a huge gradient, of which 1e-8 may be far
    /// from a minimum; so this part of the test counts only once the cost has [`settled`](Self::settled).
    pub gtol_rel: f64,
    /// The cost has settled when the last step changed it by no more than this part of itself. Default 1e-3.
    pub settled: f64,
    /// Step test: `‖p‖ ≤ xtol (xtol + ‖x‖)`. Off by default.
    pub xtol: f64,
    /// Cost test: `f − f₊ ≤ ftol max(|f|, |f₊|)`. Off by default.
    pub ftol: f64,
    /// The cost below which the problem counts as unbounded. Default −1e300.
    pub unbounded_below: f64,
    /// Trials of one search after which it gives up. Default 100.
    pub max_trials: u64,
    /// Consecutive steps that change the cost by no more than its rounding and reach no new lowest gradient, after which
    /// the run ends without progress. Default 30.
    pub max_stalled: u64,
    /// Seconds after which a search inside an iteration gives up (argmin looks at its own limit only between iterations).
    pub deadline: Option<f64>,
}

impl Default for Stopping {
    fn default() -> Self {
        Self {
            gtol_abs: 1e-8,
            gtol_rel: 1e-8,
            settled: 1e-3,
            xtol: 0.0,
            ftol: 0.0,
            unbounded_below: -1e300,
            max_trials: 100,
            max_stalled: 30,
            deadline: None,
        }
    }
}

impl Stopping {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let tolerances = [
            ("gtol_abs", self.gtol_abs),
            ("gtol_rel", self.gtol_rel),
            ("settled", self.settled),
            ("xtol", self.xtol),
            ("ftol", self.ftol),
        ];
        for (name, value) in tolerances {
            Error::check_option(value.is_finite() && value >= 0.0, name, "finite and not negative", value)?;
        }
        Error::check_option(self.max_trials > 0, "max_trials", "positive", self.max_trials)?;
        Error::check_option(self.max_stalled > 0, "max_stalled", "positive", self.max_stalled)?;
        let deadline = self.deadline.unwrap_or(1.0);
        Error::check_option(deadline > 0.0, "deadline", "a positive number of seconds", deadline)
    }

    /// The bound of the gradient test for a run that started with `‖g₀‖∞ = initial`.
    pub fn gradient_bound(&self, initial: f64) -> f64 {
        self.gtol_abs.max(self.gtol_rel * initial)
    }

    /// The gradient test at a point of cost `cost` and `‖g‖∞ = norm`, reached by a step that changed the cost by `change`
    /// (none at the start), in a run whose bound is `bound`.
    pub fn gradient_met(&self, norm: f64, bound: f64, change: Option<f64>, cost: f64) -> bool {
        let settled = change.is_some_and(|change| change.abs() <= self.settled * cost.abs());
        norm <= self.gtol_abs || (norm <= bound && settled)
    }

    /// The step and cost tests, after a step of length `length` to `x` (its norm is asked for if there is a step test) that
    /// changed the cost from `before` to `after`.
    pub fn after_step(&self, length: f64, x_norm: impl FnOnce() -> f64, before: f64, after: f64) -> Option<Stop> {
        if self.xtol > 0.0 {
            let bound = self.xtol * (self.xtol + x_norm());
            if length <= bound {
                return Some(Stop::Step { norm: length, bound });
            }
        }
        let change = (before - after).abs() / before.abs().max(after.abs()).max(f64::MIN_POSITIVE);
        if self.ftol > 0.0 && change <= self.ftol {
            return Some(Stop::Cost { change, bound: self.ftol });
        }
        (after < self.unbounded_below).then_some(Stop::Unbounded { cost: after })
    }
}
