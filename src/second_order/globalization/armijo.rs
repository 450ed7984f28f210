//! Backtracking to sufficient decrease, `f(x + αd) ≤ f_ref + c₁ α gᵀd`, with interpolation.
//!
//! Armijo (1966); interpolation as in Dennis & Schnabel (1983, Algorithm A6.3.1); non-monotone reference value of
//! Grippo, Lampariello & Lucidi (SIAM J. Numer. Anal. 23, 1986).

use super::interpolate::{cubic_hermite, cubic_through_two, quadratic, safeguard};
use super::{Globalization, InitialStep, Start, Trial, Verdict, retreat};
use crate::error::{Error, Result};
use crate::second_order::Line;
use std::collections::VecDeque;

/// Backtracks until the cost has decreased enough.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Armijo {
    /// `c₁`: the part of the linear prediction that must be achieved. Default 1e-4.
    pub sufficient_decrease: f64,
    /// Number of earlier accepted costs whose maximum is the reference value. Default 0: monotone.
    pub nonmonotone: usize,
    /// First step length of each search. Default 1.
    pub initial: InitialStep,
    /// Progress of the run; leave it at its default.
    pub state: ArmijoState,
}

/// What an [`Armijo`] search remembers between trials.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ArmijoState {
    /// Trials of the present search.
    pub trials: u64,
    /// Size and reduction of the last finite trial of this search.
    last: Option<(f64, f64)>,
    /// Size and reduction of the best trial of this search that reduced the cost.
    best: Option<(f64, f64)>,
    /// Trials in a row that were not finite.
    failures: u64,
    /// Costs of the last accepted points.
    window: VecDeque<f64>,
}

impl Default for Armijo {
    fn default() -> Self {
        Self { sufficient_decrease: 1e-4, nonmonotone: 0, initial: InitialStep::Unit, state: ArmijoState::default() }
    }
}

impl Armijo {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let c1 = self.sufficient_decrease;
        Error::check_option(c1 > 0.0 && c1 < 1.0, "sufficient_decrease", "in (0, 1)", c1)?;
        self.initial.validate()
    }

    /// How far the reference value lies above the present cost.
    fn slack(&self, cost: f64) -> f64 {
        self.state.window.iter().fold(0.0, |slack: f64, f| slack.max(f - cost))
    }

    fn accept(&mut self, size: f64, next: f64, cost: f64) -> Verdict {
        if self.nonmonotone > 0 {
            while self.state.window.len() >= self.nonmonotone {
                self.state.window.pop_front();
            }
            self.state.window.push_back(cost);
        }
        self.forget_search();
        Verdict::Accept { size, next }
    }

    fn forget_search(&mut self) {
        let state = &mut self.state;
        (state.trials, state.last, state.best, state.failures) = (0, None, None, 0);
    }

    /// The next shorter length, in [0.1, 0.5] of the present one.
    fn shorter(&self, trial: &Trial) -> f64 {
        let (a, f) = (trial.size, -trial.actual);
        let t = match (trial.trial_slope, self.state.last) {
            (Some(d), _) if d.is_finite() => cubic_hermite(trial.slope, a, f, d),
            (_, Some((b, reduction))) => cubic_through_two(trial.slope, a, f, b, -reduction),
            _ => quadratic(trial.slope, a, f),
        };
        safeguard(t, 0.1 * a, 0.5 * a, 0.5 * a)
    }
}

impl Globalization<Line> for Armijo {
    fn first_size(&mut self, start: &Start) -> f64 {
        self.state = ArmijoState::default();
        self.initial.of_run(start)
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        self.state.trials += 1;
        // Written so that a NaN slope is refused as well.
        let descent = trial.slope < 0.0;
        let finite = trial.is_finite();
        let needed = -self.sufficient_decrease * trial.size * trial.slope;
        if descent && finite && trial.actual + self.slack(trial.cost) >= needed - trial.forgiven() {
            return self.accept(trial.size, self.initial.after(trial), trial.cost);
        }
        if finite && trial.actual > self.state.best.map_or(0.0, |(_, reduction)| reduction) {
            self.state.best = Some((trial.size, trial.actual));
        }
        self.state.failures = if finite { 0 } else { self.state.failures + 1 };
        let size =
            if finite { self.shorter(trial) } else { trial.perceptible(retreat(self.state.failures) * trial.size, trial.size) };
        let exhausted = trial.is_negligible(trial.length * (size / trial.size)) || size < f64::MIN_POSITIVE;
        if !descent || exhausted {
            // No length decreases the cost enough; a length that decreases it at all is still progress.
            return match self.state.best {
                Some((size, reduction)) => {
                    let next = self.initial.after_return_to(size, trial, -reduction > size * trial.slope);
                    self.accept(size, next, trial.cost)
                }
                None => {
                    let trials = self.state.trials;
                    self.forget_search();
                    Verdict::give_up(trials)
                }
            };
        }
        self.state.last = finite.then_some((trial.size, trial.actual));
        Verdict::Retry { size }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{line, search};
    use super::*;

    fn rejected_then(verdict: Verdict) -> f64 {
        match verdict {
            Verdict::Retry { size } => size,
            other => panic!("expected another size, got {other:?}"),
        }
    }

    #[test]
    fn armijo_accepts_exactly_what_the_condition_allows() {
        // slope −2, size 1: needs a reduction of 2e-4.
        for (actual, accepted) in [(2.001e-4, true), (1.999e-4, false), (-1.0, false)] {
            let verdict = Armijo::default().judge(&line(1.0, -2.0, actual));
            assert_eq!(matches!(verdict, Verdict::Accept { .. }), accepted, "{actual}");
        }
    }

    #[test]
    fn armijo_backtracks_to_the_quadratic_minimizer() {
        // φ(α) = α² ·5/2 − α: minimizer 0.2, φ(1) = 1.5.
        let size = rejected_then(Armijo::default().judge(&line(1.0, -1.0, -1.5)));
        assert!((size - 0.2).abs() < 1e-15);
    }

    #[test]
    fn armijo_backtracks_to_the_cubic_minimizer_from_the_second_trial_on() {
        // φ(α) = α³ − α/100, minimizer at 1/√300.
        let phi = |a: f64| a.powi(3) - 0.01 * a;
        let mut armijo = Armijo::default();
        let a = rejected_then(armijo.judge(&line(1.0, -0.01, -phi(1.0))));
        assert_eq!(a, 0.1);
        let a = 0.15; // a second rejected length for which the cubic model is exact
        let b = rejected_then(armijo.judge(&line(a, -0.01, -phi(a))));
        assert!((b - 1.0 / 300f64.sqrt()).abs() < 1e-13);
    }

    #[test]
    fn armijo_with_a_trial_slope_uses_it() {
        let phi = |a: f64| a.powi(3) - 0.03 * a;
        let trial = Trial { trial_slope: Some(3.0 * 0.25 - 0.03), ..line(0.5, -0.03, -phi(0.5)) };
        assert!((rejected_then(Armijo::default().judge(&trial)) - 0.1).abs() < 1e-13);
    }

    #[test]
    fn armijo_interpolation_stays_between_a_tenth_and_a_half() {
        assert_eq!(rejected_then(Armijo::default().judge(&line(1.0, -1.0, -1e9))), 0.1);
        assert_eq!(rejected_then(Armijo::default().judge(&line(1.0, -1.0, -1e-9))), 0.5 / (1.0 + 1e-9));
        assert_eq!(rejected_then(Armijo::default().judge(&line(1.0, -1.0, 1e-5))), 0.5);
    }

    #[test]
    fn armijo_at_a_non_finite_trial_shortens_without_interpolating() {
        let mut armijo = Armijo::default();
        assert_eq!(rejected_then(armijo.judge(&line(1.0, -1.0, f64::NEG_INFINITY))), 0.25);
        assert_eq!(rejected_then(armijo.judge(&line(0.25, -1.0, f64::NAN))), 0.015625);
        let (accepted, _) = search(&mut Armijo::default(), 1.0, |a| if a > 1e-6 { (f64::NAN, f64::NAN) } else { (-a, -1.0) });
        assert!(accepted.is_some_and(|a| a <= 1e-6));
    }

    #[test]
    fn armijo_window_allows_an_increase_below_the_reference() {
        let mut armijo = Armijo { nonmonotone: 2, ..Armijo::default() };
        let at = |cost: f64, actual: f64| Trial { cost, ..line(1.0, -1.0, actual) };
        assert!(matches!(armijo.judge(&at(10.0, 5.0)), Verdict::Accept { .. }));
        // From 5 to 9 is allowed below 10; from 9 to 10.5 is not.
        assert!(matches!(armijo.judge(&at(5.0, -4.0)), Verdict::Accept { .. }));
        assert!(matches!(armijo.judge(&at(9.0, -1.5)), Verdict::Retry { .. }));
        assert!(matches!(armijo.judge(&at(9.0, 1.0)), Verdict::Accept { .. }));
        // The window now holds 5 and 9: the 10 has left it.
        assert!(matches!(armijo.judge(&at(8.0, -1.5)), Verdict::Retry { .. }));
        assert!(matches!(Armijo::default().judge(&at(5.0, -4.0)), Verdict::Retry { .. }));
    }

    #[test]
    fn armijo_uphill_direction_stops_unless_its_first_trial_went_down() {
        for slope in [1.0, 0.0, f64::NAN] {
            let trial = Trial { predicted: 1.0, ..line(1.0, slope, -1.0) };
            assert!(matches!(Armijo::default().judge(&trial), Verdict::Stop(_)));
            let lucky = Trial { actual: 1.0, ..trial };
            assert_eq!(Armijo::default().judge(&lucky), Verdict::Accept { size: 1.0, next: 1.0 });
        }
    }

    #[test]
    fn armijo_without_decrease_stops_and_with_a_little_takes_the_best() {
        let (accepted, trials) = search(&mut Armijo::default(), 1.0, |a| (a, -1.0));
        assert_eq!(accepted, None);
        assert!(trials < 150);
        // Decrease of 1e-5 where 1e-4 is needed: never sufficient, but the first length gives most.
        let (accepted, _) = search(&mut Armijo::default(), 1.0, |a| (-1e-5 * a, -1.0));
        assert_eq!(accepted, Some(1.0));
    }

    #[test]
    fn armijo_within_rounding_accepts() {
        let trial = Trial { cost: 1e8, rounding: 1e-7, ..line(1.0, -1e-9, -1e-8) };
        assert!(matches!(Armijo::default().judge(&trial), Verdict::Accept { .. }));
        let measured = Trial { trial_slope: Some(1.1e-9), ..trial };
        assert!(matches!(Armijo::default().judge(&measured), Verdict::Retry { .. }));
    }

    #[test]
    fn armijo_options_out_of_range_are_refused() {
        assert!(Armijo::default().validate().is_ok());
        for c in [0.0, 1.0, f64::NAN] {
            assert!(Armijo { sufficient_decrease: c, ..Armijo::default() }.validate().is_err());
        }
        let initial = InitialStep::Previous { growth: 0.0 };
        assert!(Armijo { initial, ..Armijo::default() }.validate().is_err());
    }
}
