//! Stopping tests shared by every deterministic solver.

use crate::error::{Error, Result, Stop};

/// When to stop. Tests that are off have bound zero.
///
/// By default a run ends by the decrement test: as far as the solver's own numbers tell, the cost is within 1e-16 of the whole
/// decrease, or within its rounding, of the minimum, and the variables within 1e-3 of their sizes; or by the relative gradient
/// test. Where the exact curvature can be had, the certificate then has the last word: the run goes on unless Newton's step
/// there is below 1e-8 of the variables' sizes, or the decrease it promises is lost in the rounding of the cost, or the cost
/// turns out to be flat to higher order. None of these depends on the units of the cost or of the variables.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stopping {
    /// Gradient test, absolute: `‖g‖∞ ≤ gtol_abs` ends the run, whatever else is known. Off by default, since no number fits every
    /// unit of the cost; where it is set, the decrement test is off.
    pub gtol_abs: f64,
    /// Gradient test, relative to the start: `‖g‖∞ ≤ gtol_rel ‖g₀‖∞`. Default 1e-8. A start far out has a huge gradient, of which
    /// 1e-8 may be far from a minimum; so this test counts only once the cost has [`settled`](Self::settled).
    pub gtol_rel: f64,
    /// The cost has settled when the last step changed it by no more than this part of itself. Default 1e-7.
    pub settled: f64,
    /// Decrement test: what may be left of the whole decrease of the run, as a part of it. Default 1e-16.
    pub decrease: f64,
    /// Step test: `‖p‖ ≤ xtol (xtol + ‖x‖)`. Off by default.
    pub xtol: f64,
    /// Cost test: `f − f₊ ≤ ftol max(|f|, |f₊|)`. Off by default.
    pub ftol: f64,
    /// The cost below which the problem counts as unbounded. Default −1e300. A cost that falls at least linearly over ten
    /// decades of the step counts as unbounded, too.
    pub unbounded_below: f64,
    /// Trials of one search after which it gives up. Default 100.
    pub max_trials: u64,
    /// Consecutive steps that change the cost by no more than its rounding and reach neither a new lowest cost nor a new lowest
    /// gradient, after which the run ends without progress. Default 30; thirty times as many steps of any size end it, too.
    pub max_stalled: u64,
    /// Seconds after which a search inside an iteration gives up (argmin looks at its own limit only between iterations).
    pub deadline: Option<f64>,
}

impl Default for Stopping {
    fn default() -> Self {
        Self {
            gtol_abs: 0.0,
            gtol_rel: 1e-8,
            settled: 1e-7,
            decrease: 1e-16,
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
            ("decrease", self.decrease),
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

    /// Whether `‖g‖∞ = norm` ends a run whatever else is known: nothing is left of it, or the absolute test is met.
    pub fn at_rest(&self, norm: f64) -> bool {
        norm <= self.gtol_abs
    }

    /// The gradient test at a point of cost `cost` and `‖g‖∞ = norm`, reached by a step that changed the cost by `change`
    /// (none at the start), in a run whose bound is `bound`.
    pub fn gradient_met(&self, norm: f64, bound: f64, change: Option<f64>, cost: f64) -> bool {
        let settled = change.is_some_and(|change| change.abs() <= self.settled * cost.abs());
        self.at_rest(norm) || (norm <= bound && settled)
    }

    /// Whether the decrement test is on.
    pub fn by_decrement(&self) -> bool {
        self.decrease > 0.0 && self.gtol_abs == 0.0
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
        (self.ftol > 0.0 && change <= self.ftol).then_some(Stop::Cost { change, bound: self.ftol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradient_tests_take_the_larger_bound_and_wait_for_the_cost_to_settle() {
        let stopping = Stopping { gtol_abs: 1e-6, gtol_rel: 1e-3, settled: 1e-2, ..Stopping::default() };
        assert_eq!((stopping.gradient_bound(1.0), stopping.gradient_bound(1e-5)), (1e-3, 1e-6));
        let bound = stopping.gradient_bound(1.0);
        // Settled: a change of at most a hundredth of the cost.
        assert!(stopping.gradient_met(1e-3, bound, Some(-0.05), 5.0));
        assert!(!stopping.gradient_met(1e-3, bound, Some(0.06), 5.0));
        assert!(!stopping.gradient_met(1e-3, bound, None, 5.0));
        assert!(!stopping.gradient_met(1.1e-3, bound, Some(0.0), 5.0));
        // The absolute test waits for nothing.
        assert!(stopping.gradient_met(1e-6, bound, None, 5.0) && stopping.at_rest(1e-6) && !stopping.at_rest(1.1e-6));
        assert!(!stopping.gradient_met(f64::NAN, bound, Some(0.0), 5.0));
        // By default only a vanishing gradient is at rest.
        assert!(Stopping::default().at_rest(0.0) && !Stopping::default().at_rest(f64::MIN_POSITIVE));
    }

    #[test]
    fn the_decrement_test_is_on_unless_it_or_an_absolute_tolerance_says_otherwise() {
        assert!(Stopping::default().by_decrement());
        assert!(!Stopping { decrease: 0.0, ..Stopping::default() }.by_decrement());
        assert!(!Stopping { gtol_abs: 1e-8, ..Stopping::default() }.by_decrement());
    }

    #[test]
    fn step_and_cost_tests_hold_their_bounds() {
        let stopping = Stopping { xtol: 1e-2, ftol: 1e-3, ..Stopping::default() };
        let step = stopping.after_step(1e-2, || 1.0, 2.0, 1.0);
        assert!(matches!(step, Some(Stop::Step { norm: 1e-2, .. })));
        let cost = stopping.after_step(1.0, || 1.0, 1000.0, 999.5);
        assert!(matches!(cost, Some(Stop::Cost { change, bound: 1e-3 }) if (change - 5e-4).abs() < 1e-15));
        assert_eq!(stopping.after_step(1.0, || 1.0, 1000.0, 990.0), None);
        assert!(Stopping { decrease: -1.0, ..Stopping::default() }.validate().is_err());
    }
}
