//! The trust-region rules of MINPACK's `lmder`: a generous first radius in scaled variables, halving and doubling.
//!
//! # Reference
//! Moré (1978), *The Levenberg–Marquardt algorithm: implementation and theory*, §4 and Algorithm 7.1.

use super::{Globalization, Start, Trial, Verdict};
use crate::error::{Error, Result};
use crate::second_order::Ball;

/// Radius control for least-squares steps in scaled variables.
///
/// The first step is nearly a full Gauss–Newton step and becomes the unit of the radius. Should even the first radius be far
/// too small, it is not doubled but quadrupled until a step is interior or no longer good (not in MINPACK). This is the fastest choice from
/// starts that make sense; [`TrustRegion`](super::TrustRegion), which starts at `‖D x₀‖`, is more careful far out.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MinpackRadius {
    /// First radius in units of `‖D x₀‖`. Default 10: from 100 (MINPACK) more searches start with vain trials.
    pub factor: f64,
    /// A step is taken when `ρ = actual / predicted ≥ accept`. Default 1e-4.
    pub accept: f64,
    /// Whether the first trial is still to come.
    first: bool,
    /// Whether every trial so far was good, and the radius alone held it back.
    opening: bool,
    trials: u64,
}

impl Default for MinpackRadius {
    fn default() -> Self {
        Self { factor: 10.0, accept: 1e-4, first: true, opening: true, trials: 0 }
    }
}

impl MinpackRadius {
    /// Checks the ranges: `factor > 0`, `0 ≤ accept < 1/4`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.factor.is_finite() && self.factor > 0.0, "factor", "positive and finite", self.factor)?;
        Error::check_option((0.0..0.25).contains(&self.accept), "accept", "in [0, 0.25)", self.accept)
    }
}

impl Globalization<Ball> for MinpackRadius {
    fn first_size(&mut self, start: &Start) -> f64 {
        (self.first, self.opening, self.trials) = (true, true, 0);
        let radius = self.factor * start.scaled_x_norm.unwrap_or(start.x_norm);
        if radius > 0.0 && radius.is_finite() { radius } else { self.factor }
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        self.trials += 1;
        if trial.is_negligible(trial.length) {
            return Verdict::give_up(std::mem::take(&mut self.trials));
        }
        let radius = if std::mem::take(&mut self.first) { trial.size.min(trial.length) } else { trial.size };
        let ratio = trial.relaxed_ratio();
        // An interior step is one without a multiplier: its prediction is the undamped one.
        let interior = trial.predicted <= -0.5 * trial.slope * (1.0 + 1e-12);
        self.opening &= ratio >= 0.75 && !interior;
        let next = if ratio <= 0.25 {
            shrink(trial) * radius.min(10.0 * trial.length)
        } else if self.opening {
            4.0 * trial.length
        } else if interior || ratio >= 0.75 {
            2.0 * trial.length
        } else {
            radius
        };
        if trial.is_finite() && ratio >= self.accept {
            self.trials = 0;
            return Verdict::Accept { size: trial.size, next };
        }
        // MINPACK ends where nothing is left to gain; so does this.
        let nothing_left = trial.predicted <= f64::EPSILON * trial.cost && trial.is_finite();
        if nothing_left || trial.is_negligible(next) {
            return Verdict::give_up(std::mem::take(&mut self.trials));
        }
        Verdict::Retry { size: next }
    }
}

/// Between 0.1 and 0.5: the minimizer of the parabola through the cost and slope here and the cost at the trial; a trial
/// whose residuals are ten times as long is not looked at so closely.
fn shrink(trial: &Trial) -> f64 {
    let worse = -trial.actual;
    if worse <= 0.0 {
        return 0.5;
    }
    let factor = 0.5 * trial.slope / (trial.slope - worse);
    if trial.cost + worse >= 100.0 * trial.cost || !(factor >= 0.1) { 0.1 } else { factor }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{START, ball};
    use super::*;

    fn started() -> MinpackRadius {
        MinpackRadius { first: false, opening: false, ..MinpackRadius::default() }
    }

    fn next(verdict: Verdict) -> f64 {
        match verdict {
            Verdict::Accept { next, .. } => next,
            Verdict::Retry { size } => size,
            Verdict::Stop(stop) => panic!("{stop}"),
        }
    }

    #[test]
    fn first_radius_is_the_scaled_start_and_shrinks_to_the_first_step() {
        let mut rules = MinpackRadius::default();
        assert_eq!(rules.first_size(&Start { scaled_x_norm: Some(2.0), ..START }), 20.0);
        // A poor first step of length 3: a radius of half that, not of 20.
        assert_eq!(next(rules.judge(&Trial { slope: -2.0, ..ball(20.0, 3.0, 1.0, 0.1) })), 1.5);
        assert_eq!(rules.first_size(&Start { scaled_x_norm: Some(0.0), ..START }), 10.0);
    }

    /// On the boundary the multiplier makes the prediction larger than half the slope.
    fn boundary(actual: f64) -> Trial {
        Trial { slope: -1.5, ..ball(2.0, 1.9, 1.0, actual) }
    }

    #[test]
    fn radius_quadruples_until_a_step_is_interior_or_no_longer_good() {
        let interior = Trial { slope: -2.0, ..boundary(0.8) };
        for (last, then) in [(boundary(0.5), 2.0), (interior, 3.8)] {
            let mut rules = MinpackRadius::default();
            rules.first_size(&START);
            assert_eq!(next(rules.judge(&boundary(0.8))), 7.6);
            assert_eq!(next(rules.judge(&boundary(0.9))), 7.6);
            assert_eq!(next(rules.judge(&last)), then);
            assert_eq!(next(rules.judge(&boundary(0.8))), 3.8);
        }
    }

    #[test]
    fn good_and_interior_steps_double_fair_ones_keep_poor_ones_halve() {
        assert_eq!(next(started().judge(&boundary(0.8))), 3.8);
        assert_eq!(next(started().judge(&boundary(0.5))), 2.0);
        assert_eq!(next(started().judge(&Trial { slope: -2.0, ..boundary(0.5) })), 3.8);
        assert_eq!(next(started().judge(&boundary(0.1))), 1.0);
    }

    #[test]
    fn a_worse_trial_shrinks_by_interpolation_and_a_broken_one_to_a_tenth() {
        let worse = |by: f64| Trial { slope: -2.0, cost: 1e3, ..ball(2.0, 2.0, 1.0, -by) };
        assert!((next(started().judge(&worse(2.0))) - 0.5).abs() < 1e-15);
        assert_eq!(next(started().judge(&worse(1e6))), 0.2);
        assert!((next(started().judge(&worse(f64::INFINITY))) - 0.2).abs() < 1e-15);
    }

    #[test]
    fn options_out_of_range_are_refused() {
        for wrong in [MinpackRadius { factor: 0.0, ..started() }, MinpackRadius { accept: 0.25, ..started() }] {
            assert!(wrong.validate().is_err());
        }
        assert!(started().validate().is_ok());
    }
}
