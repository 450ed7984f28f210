//! Line search with approximate Wolfe conditions: reaches the accuracy of the gradient where `f` has lost its digits.
//!
//! Hager & Zhang, SIAM J. Optim. 16 (2005) and *Algorithm 851: CG_DESCENT*, ACM TOMS 32 (2006). Names of steps (B0–B3,
//! U0–U3, S1–S4, L1–L3) are those of the papers. A length is accepted if it meets the Wolfe conditions (T1)
//!
//! ```text
//! φ(α) − φ(0) ≤ δ α φ′(0),   φ′(α) ≥ σ φ′(0)
//! ```
//!
//! or the approximate ones (T2), where the first is replaced by `φ′(α) ≤ (2δ − 1) φ′(0)` and `φ(α) ≤ φ(0) + ε |φ(0)|`.

use super::{Globalization, InitialStep, Start, Trial, Verdict, retreat};
use crate::error::{Error, Result};
use crate::second_order::Line;

/// Finds a length that meets the Wolfe or the approximate Wolfe conditions.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HagerZhang {
    /// `δ`, sufficient decrease, below 1/2. Default 0.1.
    pub delta: f64,
    /// `σ`, curvature, from `δ` to 1. Default 0.9.
    pub sigma: f64,
    /// `ε`: an increase of the cost by `ε |φ(0)|` still counts as rounding. Default 1e-6.
    pub epsilon: f64,
    /// `θ`: where (U3) divides an interval. Default 0.5.
    pub theta: f64,
    /// `γ`: an interval that is not shortened by this factor is bisected. Default 2/3.
    pub gamma: f64,
    /// `ρ`: factor of expansion while bracketing. Default 5.
    pub rho: f64,
    /// First step length of each search. Default 1.
    pub initial: InitialStep,
    /// Progress of the run; leave it at its default.
    pub state: HagerZhangState,
}

/// What a [`HagerZhang`] search remembers between trials.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HagerZhangState {
    /// Trials of the present search.
    pub trials: u64,
    /// Trials in a row that were not finite.
    failures: u64,
    phase: Phase,
    /// The interval: `φ(a) ≤ φ(0) + ε`, `φ′(a) < 0 ≤ φ′(b)`.
    a: End,
    b: End,
    /// The interval at the start of the present round, L1.
    old_a: End,
    old_b: End,
    /// The trial with the lowest cost so far, if it is below `φ(0)`.
    best: Option<End>,
}

/// A length with `φ(α) − φ(0)` and `φ′(α)`; `value` is `None` where `φ` is not finite.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct End {
    size: f64,
    value: Option<f64>,
    slope: f64,
}

/// What the present trial is for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Phase {
    /// B: expand until an interval is found.
    #[default]
    Bracket,
    /// U0–U2 of an update; the round goes on after it.
    Update(Round),
    /// U3 of an update: close in on a length with non-negative slope, below the end `b`.
    Narrow(Round),
}

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Round {
    /// The first interval.
    Begin,
    /// S1: the first secant step.
    First,
    /// S4: the second secant step.
    Second,
    /// L2: bisection.
    Bisection,
}

/// Which end an update replaced by its own argument.
#[derive(PartialEq)]
enum Replaced {
    A,
    B,
    Neither,
}

/// Trials of one search.
const MAX_TRIALS: u64 = 100;

impl Default for HagerZhang {
    fn default() -> Self {
        Self {
            delta: 0.1,
            sigma: 0.9,
            epsilon: 1e-6,
            theta: 0.5,
            gamma: 2.0 / 3.0,
            rho: 5.0,
            initial: InitialStep::Unit,
            state: HagerZhangState::default(),
        }
    }
}

impl HagerZhang {
    /// Checks the ranges: `0 < δ < ½`, `δ ≤ σ < 1`, `ε ≥ 0`, `θ` and `γ` in (0, 1), `ρ > 1`.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.delta > 0.0 && self.delta < 0.5, "delta", "in (0, 0.5)", self.delta)?;
        Error::check_option(self.sigma >= self.delta && self.sigma < 1.0, "sigma", "in [delta, 1)", self.sigma)?;
        Error::check_option(self.epsilon >= 0.0 && self.epsilon.is_finite(), "epsilon", "not negative", self.epsilon)?;
        Error::check_option(self.theta > 0.0 && self.theta < 1.0, "theta", "in (0, 1)", self.theta)?;
        Error::check_option(self.gamma > 0.0 && self.gamma < 1.0, "gamma", "in (0, 1)", self.gamma)?;
        Error::check_option(self.rho > 1.0 && self.rho.is_finite(), "rho", "above 1 and finite", self.rho)?;
        self.initial.validate()
    }

    fn accepts(&self, trial: &Trial, end: &End) -> bool {
        let (value, slope, first) = (end.value.unwrap_or(f64::INFINITY), end.slope, trial.slope);
        let flat = slope >= self.sigma * first;
        let wolfe = value <= self.delta * end.size * first;
        let approximate = slope <= (2.0 * self.delta - 1.0) * first && value <= self.tolerance(trial);
        flat && (wolfe || approximate)
    }

    fn tolerance(&self, trial: &Trial) -> f64 {
        self.epsilon * trial.cost.abs()
    }

    /// Ends the search at the best length found, if it decreases the cost.
    fn finish(&mut self, trial: &Trial) -> Verdict {
        let state = std::mem::take(&mut self.state);
        match state.best {
            Some(best) => {
                let next = self.initial.after_return_to(best.size, trial, best.slope > trial.slope);
                Verdict::Accept { size: best.size, next }
            }
            None => Verdict::give_up(state.trials),
        }
    }

    /// Asks for a length inside the interval, or ends if rounding leaves none.
    fn ask(&mut self, trial: &Trial, phase: Phase, size: f64) -> Verdict {
        let s = &mut self.state;
        let size = trial.perceptible(size, s.b.size);
        if !(size > s.a.size && size < s.b.size) || s.b.size - s.a.size <= f64::EPSILON * s.b.size {
            return self.finish(trial);
        }
        s.phase = phase;
        Verdict::Retry { size }
    }

    /// B1–B3.
    fn bracket(&mut self, trial: &Trial, c: End) -> Verdict {
        let low = c.value.is_some_and(|v| v <= self.tolerance(trial));
        if c.value.is_some() && c.slope >= 0.0 {
            self.state.b = c; // B1; `a` is the last length that was low
            return self.updated(trial, Round::Begin, Replaced::Neither);
        }
        if !low {
            return self.narrow(trial, c, Round::Begin); // B2
        }
        self.state.a = c; // B3
        let next = self.rho * c.size;
        if next.is_finite() { Verdict::Retry { size: next } } else { self.finish(trial) }
    }

    /// U0–U2, and the entry of U3.
    fn update(&mut self, trial: &Trial, c: End, round: Round) -> Verdict {
        if c.value.is_some() && c.slope >= 0.0 {
            self.state.b = c; // U1
            return self.updated(trial, round, Replaced::B);
        }
        if c.value.is_some_and(|v| v <= self.tolerance(trial)) {
            self.state.a = c; // U2
            return self.updated(trial, round, Replaced::A);
        }
        self.narrow(trial, c, round)
    }

    /// U3: the next length between `a` and a length `b` that is too high, or outside the domain of `φ`.
    fn narrow(&mut self, trial: &Trial, b: End, round: Round) -> Verdict {
        self.state.b = b;
        let theta = if b.value.is_some() { self.theta } else { retreat(self.state.failures.max(1)) };
        let a = self.state.a.size;
        self.ask(trial, Phase::Narrow(round), a + theta * (b.size - a))
    }

    /// U3 a–c.
    fn narrowed(&mut self, trial: &Trial, d: End, round: Round) -> Verdict {
        if d.value.is_some() && d.slope >= 0.0 {
            self.state.b = d;
            return self.updated(trial, round, Replaced::Neither);
        }
        if d.value.is_some_and(|v| v <= self.tolerance(trial)) {
            self.state.a = d;
            let b = self.state.b;
            return self.narrow(trial, b, round);
        }
        self.narrow(trial, d, round)
    }

    /// Goes on with the round after an update is complete: S2–S4, then L2, then the next round, L1.
    fn updated(&mut self, trial: &Trial, round: Round, replaced: Replaced) -> Verdict {
        let s = &self.state;
        if round == Round::First {
            let second = match replaced {
                Replaced::B => secant(s.old_b, s.b), // S2
                Replaced::A => secant(s.old_a, s.a), // S3
                Replaced::Neither => f64::NAN,
            };
            if second > s.a.size && second < s.b.size {
                return self.ask(trial, Phase::Update(Round::Second), second); // S4
            }
        }
        let long = s.b.size - s.a.size > self.gamma * (s.old_b.size - s.old_a.size);
        if long && matches!(round, Round::First | Round::Second) {
            return self.bisect(trial); // L2
        }
        let s = &mut self.state;
        (s.old_a, s.old_b) = (s.a, s.b); // L3, L1
        let first = secant(s.a, s.b);
        if first > s.a.size && first < s.b.size {
            return self.ask(trial, Phase::Update(Round::First), first);
        }
        self.bisect(trial)
    }

    fn bisect(&mut self, trial: &Trial) -> Verdict {
        let (a, b) = (self.state.a.size, self.state.b.size);
        self.ask(trial, Phase::Update(Round::Bisection), a + 0.5 * (b - a))
    }
}

/// The zero of the line through the slopes at two lengths.
fn secant(a: End, b: End) -> f64 {
    (a.size * b.slope - b.size * a.slope) / (b.slope - a.slope)
}

impl Globalization<Line> for HagerZhang {
    fn first_size(&mut self, start: &Start) -> f64 {
        self.state = HagerZhangState::default();
        self.initial.of_run(start)
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        if self.state.trials == 0 {
            self.state = HagerZhangState::default();
            self.state.a = End { size: 0.0, value: Some(0.0), slope: trial.slope };
        }
        self.state.trials += 1;
        // NaN is no descent either.
        let descent = trial.slope < 0.0;
        if !descent {
            return self.finish(trial);
        }
        let slope = trial.trial_slope.filter(|d| trial.is_finite() && d.is_finite());
        let c = End { size: trial.size, value: slope.map(|_| -trial.actual), slope: slope.unwrap_or(f64::NAN) };
        if slope.is_some() && self.accepts(trial, &c) {
            self.state = HagerZhangState::default();
            return Verdict::Accept { size: trial.size, next: self.initial.after(trial) };
        }
        if c.value.is_some_and(|v| v < self.state.best.and_then(|b| b.value).unwrap_or(0.0)) {
            self.state.best = Some(c);
        }
        self.state.failures = if c.value.is_some() { 0 } else { self.state.failures + 1 };
        if self.state.trials >= MAX_TRIALS {
            return self.finish(trial);
        }
        match self.state.phase {
            Phase::Bracket => self.bracket(trial, c),
            Phase::Update(round) => self.update(trial, c, round),
            Phase::Narrow(round) => self.narrowed(trial, c, round),
        }
    }

    fn needs_trial_slope(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{line, more_thuente, search};
    use super::*;

    fn conditions_hold(options: &HagerZhang, phi: impl Fn(f64) -> (f64, f64), size: f64) -> bool {
        let ((f0, d0), (f, d)) = (phi(0.0), phi(size));
        let wolfe = f - f0 <= options.delta * size * d0;
        let approximate = d <= (2.0 * options.delta - 1.0) * d0 && f <= f0 + options.epsilon * f0.abs();
        d >= options.sigma * d0 && (wolfe || approximate)
    }

    #[test]
    fn hager_zhang_ends_with_its_conditions_on_the_functions_of_more_and_thuente() {
        for sigma in [0.9, 0.1] {
            let options = HagerZhang { sigma, ..HagerZhang::default() };
            for function in 1..=6 {
                for first in [1e-3, 1e-1, 1e1, 1e3] {
                    let phi = |a| more_thuente(function, a);
                    let mut used = options.clone();
                    let (found, trials) = search(&mut used, first, phi);
                    let found = found.unwrap_or(f64::NAN);
                    assert!(conditions_hold(&options, phi, found), "function {function} from {first}: {found}");
                    assert!(trials <= 20, "function {function} from {first}: {trials} trials");
                    assert_eq!(used.state, HagerZhangState::default());
                }
            }
        }
    }

    #[test]
    fn hager_zhang_on_a_quadratic_finds_the_minimizer_by_one_secant_step() {
        let options = HagerZhang { sigma: 0.1, ..HagerZhang::default() };
        let (found, trials) = search(&mut options.clone(), 5.0, |a| ((a - 1.5).powi(2), 2.0 * (a - 1.5)));
        assert_eq!((found, trials), (Some(1.5), 2));
    }

    #[test]
    fn hager_zhang_where_differences_of_the_cost_vanish_decides_by_slopes() {
        // f = 1e9 + (α − 1)² near its minimum: the differences of f are pure rounding, of either sign.
        for (noise, accepted) in [(1e-7, true), (-1e-7, true)] {
            let trial = Trial { cost: 1e9, trial_slope: Some(1e-10), ..line(1.0, -2e-9, noise) };
            let verdict = HagerZhang::default().judge(&trial);
            assert_eq!(matches!(verdict, Verdict::Accept { .. }), accepted);
            // Exactly this fails the plain condition.
            let exact = HagerZhang { epsilon: 0.0, ..HagerZhang::default() }.judge(&trial);
            assert_eq!(matches!(exact, Verdict::Accept { .. }), noise > 0.0);
        }
    }

    #[test]
    fn hager_zhang_constants_are_where_its_conditions_begin_and_end() {
        let accepts = |cost: f64, value: f64, slope: f64| {
            let trial = Trial { cost, trial_slope: Some(slope), ..line(0.5, -1.0, -value) };
            matches!(HagerZhang::default().judge(&trial), Verdict::Accept { .. })
        };
        // σ = 0.9 of the first slope, with a decrease beyond δ α φ′(0) = −0.05.
        assert!(accepts(0.0, -0.06, -0.89) && !accepts(0.0, -0.06, -0.91));
        assert!(accepts(0.0, -0.0501, -0.5) && !accepts(0.0, -0.0499, 0.9));
        // Without decrease the slope may be at most (2δ − 1) φ′(0) = 0.8, and the cost may rise by 1e-6 of itself.
        assert!(accepts(1.0, 0.0, 0.79) && !accepts(1.0, 0.0, 0.81));
        assert!(accepts(-2.0, 1.9e-6, 0.0) && !accepts(-2.0, 2.1e-6, 0.0));
    }

    #[test]
    fn hager_zhang_beyond_the_domain_comes_back_into_it() {
        // φ(α) = −log(1 − α) − 4α: minimizer 3/4, infinite from 1 on.
        let phi = |a: f64| (-(1.0 - a).ln() - 4.0 * a, 1.0 / (1.0 - a) - 4.0);
        let options = HagerZhang { sigma: 0.1, ..HagerZhang::default() };
        for first in [1e-3, 0.5, 0.99, 1.0, 7.0, 1e8] {
            let (found, trials) = search(&mut options.clone(), first, phi);
            let found = found.unwrap_or(f64::NAN);
            assert!(conditions_hold(&options, phi, found) && trials < 25, "{first}: {found} after {trials}");
        }
    }

    #[test]
    fn hager_zhang_many_orders_beyond_the_minimum_comes_back() {
        // A fit at a length 10¹² times too long asks for lengths that would not move the point.
        let unit = 1e-12;
        let phi = |a: f64| ((a / unit).powi(8) / 8.0 - a / unit, ((a / unit).powi(7) - 1.0) / unit);
        let (found, trials) = search(&mut HagerZhang::default(), 1.0, |a| {
            assert!(a == 0.0 || a > f64::EPSILON, "{a:e}");
            phi(a)
        });
        assert!(found.is_some_and(|a| phi(a).1.abs() <= 0.9 / unit) && trials <= 15, "{found:?} after {trials}");
    }

    #[test]
    fn hager_zhang_on_a_high_length_with_negative_slope_bisects_below_it() {
        // Up to 10 beyond α = 2, falling again from there: B2 and U3 find the valley at 1.
        let phi = |a: f64| match a {
            a if a < 2.0 => ((a - 1.0).powi(2) - 1.0, 2.0 * (a - 1.0)),
            a => (10.0 - 0.1 * (a - 2.0), -0.1),
        };
        let options = HagerZhang { sigma: 0.1, ..HagerZhang::default() };
        for first in [3.0, 50.0] {
            let (found, _) = search(&mut options.clone(), first, phi);
            let found = found.unwrap_or(f64::NAN);
            assert!(found < 2.0 && conditions_hold(&options, phi, found), "{first}: {found}");
        }
    }

    #[test]
    fn hager_zhang_at_a_jump_takes_the_best_length_when_the_interval_collapses() {
        // Falls to a third, jumps up there and falls again: no length meets the conditions.
        let third = 1.0 / 3.0;
        let phi = |a: f64| (if a < third { -a } else { 1.0 - 1e-3 * a }, if a < third { -1.0 } else { -1e-3 });
        let (found, trials) = search(&mut HagerZhang::default(), 1.0, phi);
        let found = found.unwrap_or(f64::NAN);
        assert!(found < third && third - found < 1e-9 && trials <= 100, "{found} after {trials}");
    }

    #[test]
    fn hager_zhang_on_an_unbounded_line_ends() {
        let (found, trials) = search(&mut HagerZhang::default(), 1.0, |a| (-a, -1.0));
        assert!(found.is_some_and(|a| a > 1e30) && trials <= 100);
    }

    #[test]
    fn hager_zhang_without_decrease_or_descent_stops() {
        assert_eq!(search(&mut HagerZhang::default(), 1.0, |a| (a, -1.0 + 2.0 * f64::from(a > 0.0))).0, None);
        assert_eq!(search(&mut HagerZhang::default(), 1.0, |a| (a, 1.0)), (None, 1));
        assert_eq!(search(&mut HagerZhang::default(), 1.0, |a| if a > 0.0 { (f64::NAN, 0.0) } else { (0.0, -1.0) }).0, None);
        assert_eq!(search(&mut HagerZhang::default(), 1.0, |_| (0.0, f64::NAN)).0, None);
    }

    #[test]
    fn hager_zhang_options_out_of_range_are_refused() {
        let ok = HagerZhang::default();
        assert!(ok.validate().is_ok() && ok.needs_trial_slope());
        for bad in [
            HagerZhang { delta: 0.5, ..ok.clone() },
            HagerZhang { sigma: 0.05, ..ok.clone() },
            HagerZhang { epsilon: -1.0, ..ok.clone() },
            HagerZhang { theta: 1.0, ..ok.clone() },
            HagerZhang { gamma: 0.0, ..ok.clone() },
            HagerZhang { rho: 1.0, ..ok.clone() },
            HagerZhang { initial: InitialStep::Previous { growth: f64::NAN }, ..ok.clone() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
