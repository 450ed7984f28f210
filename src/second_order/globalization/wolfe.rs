//! Strong Wolfe line search: `φ(α) ≤ φ(0) + c₁ α φ′(0)` and `|φ′(α)| ≤ c₂ |φ′(0)|`.
//!
//! Moré & Thuente, *Line search algorithms with guaranteed sufficient decrease*, ACM TOMS 20 (1994): a sequence of
//! intervals that contain an acceptable length; until one is seen to satisfy the first condition with a non-negative
//! slope, the auxiliary function `ψ(α) = φ(α) − φ(0) − c₁ α φ′(0)` replaces `φ` where it is lower.

use super::interpolate::{cubic_hermite, quadratic};
use super::{Globalization, InitialStep, Start, Trial, Verdict, retreat};
use crate::error::{Error, Result};
use crate::second_order::Line;

/// Finds a length that meets the strong Wolfe conditions.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StrongWolfe {
    /// `c₁`, sufficient decrease. Default 1e-4.
    pub sufficient_decrease: f64,
    /// `c₂`, curvature. Default 0.9, for Newton and quasi-Newton directions; 0.1 for conjugate gradients.
    pub curvature: f64,
    /// Relative width of the bracket at which the search takes the best length found. Default 1e-14.
    pub width: f64,
    /// How far beyond a length that is too short the next one may lie, in units of the last increase. Default 4 (Moré &
    /// Thuente); quasi-Newton methods use 10.
    pub extrapolation: f64,
    /// Largest length, in units of the first length of the search. Default 1e20.
    pub max_size: f64,
    /// First step length of each search. Default 1.
    pub initial: InitialStep,
    /// Progress of the run; leave it at its default.
    pub state: StrongWolfeState,
}

/// What a [`StrongWolfe`] search remembers between trials.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StrongWolfeState {
    /// Trials of the present search.
    pub trials: u64,
    /// Best end of the interval; the other end.
    x: End,
    y: End,
    bracketed: bool,
    /// True once a length met the first condition with a non-negative slope: from then on `φ` itself is interpolated.
    second_stage: bool,
    width: f64,
    previous_width: f64,
    /// The smallest length at which `φ` was not finite, and the trials in a row that found such a one.
    ceiling: Option<f64>,
    failures: u64,
    /// The largest length of this search.
    max_size: f64,
}

/// A length with `φ(α) − φ(0)` and `φ′(α)`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct End {
    size: f64,
    value: f64,
    slope: f64,
}

/// Trials of one search.
const MAX_TRIALS: u64 = 60;

impl Default for StrongWolfe {
    fn default() -> Self {
        Self {
            sufficient_decrease: 1e-4,
            curvature: 0.9,
            width: 1e-14,
            extrapolation: 4.0,
            max_size: 1e20,
            initial: InitialStep::Unit,
            state: StrongWolfeState::default(),
        }
    }
}

impl StrongWolfe {
    /// Checks the ranges: `0 < c₁ < 1`, `0 < c₂ < 1`, width and largest length positive, extrapolation above 1.1.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let (c1, c2) = (self.sufficient_decrease, self.curvature);
        Error::check_option(c1 > 0.0 && c1 < 1.0, "sufficient_decrease", "in (0, 1)", c1)?;
        Error::check_option(c2 > 0.0 && c2 < 1.0, "curvature", "in (0, 1)", c2)?;
        Error::check_option(self.width > 0.0 && self.width < 1.0, "width", "in (0, 1)", self.width)?;
        let (beyond, max) = (self.extrapolation, self.max_size);
        Error::check_option(beyond > 1.1 && beyond.is_finite(), "extrapolation", "above 1.1 and finite", beyond)?;
        Error::check_option(max >= 1.0 && max.is_finite(), "max_size", "at least 1 and finite", max)?;
        self.initial.validate()
    }

    /// Ends the search at the best length found, if it decreases the cost.
    fn finish(&mut self, trial: &Trial) -> Verdict {
        let state = std::mem::take(&mut self.state);
        let best = state.x;
        if best.size > 0.0 && best.value < 0.0 {
            let next = self.initial.after_return_to(best.size, trial, best.slope > trial.slope);
            return Verdict::Accept { size: best.size, next };
        }
        Verdict::give_up(state.trials)
    }

    fn begin(&mut self, trial: &Trial) {
        let origin = End { size: 0.0, value: 0.0, slope: trial.slope };
        self.state = StrongWolfeState {
            trials: 1,
            x: origin,
            y: origin,
            width: f64::INFINITY,
            previous_width: f64::INFINITY,
            max_size: (self.max_size * trial.size).min(f64::MAX),
            ..StrongWolfeState::default()
        };
    }

    /// The next length after a non-finite one: a quarter of the way from the best length, and less after each failure.
    fn shorter(&mut self, trial: &Trial) -> Verdict {
        let (s, size) = (&mut self.state, trial.size);
        if size <= s.x.size {
            return self.finish(trial);
        }
        s.bracketed = false;
        s.ceiling = Some(size);
        s.failures += 1;
        let next = trial.perceptible(s.x.size + retreat(s.failures) * (size - s.x.size), size);
        if next - s.x.size <= self.width * next || next < f64::MIN_POSITIVE {
            return self.finish(trial);
        }
        Verdict::Retry { size: next }
    }

    /// The next length after a finite one: interpolation, extrapolation, or the middle of a bracket that shrinks slowly.
    fn advance(&mut self, trial: &Trial, new: End, test_slope: f64) -> Verdict {
        let s = &mut self.state;
        s.failures = 0;
        let (low, high) = match s.bracketed {
            true => (s.x.size.min(s.y.size), s.x.size.max(s.y.size)),
            // The first trial may be too long by orders of magnitude; a later one that still descends is too short.
            false if s.trials == 1 => (0.0, new.size + self.extrapolation * new.size),
            false => {
                let increase = new.size - s.x.size;
                (new.size + 1.1 * increase, new.size + self.extrapolation * increase)
            }
        };
        // ψ differs from φ by a linear function, which the step must see at all three points.
        let psi = |e: End| End { value: e.value - e.size * test_slope, slope: e.slope - test_slope, ..e };
        let auxiliary = !s.second_stage && new.value <= s.x.value && new.value > new.size * test_slope;
        let (x, y, t) = if auxiliary { (psi(s.x), psi(s.y), psi(new)) } else { (s.x, s.y, new) };
        let step = next_length(x, y, t, s.bracketed, low, high);
        let (crossed, worse) = (opposed(t.slope, x.slope), t.value > x.value);
        s.bracketed |= crossed || worse;
        match (worse, crossed) {
            (true, _) => s.y = new,
            (false, true) => (s.y, s.x) = (s.x, new),
            (false, false) => s.x = new,
        }
        let mut size = step.min(s.max_size);
        if s.bracketed {
            let width = (s.y.size - s.x.size).abs();
            let (low, high) = (s.x.size.min(s.y.size), s.x.size.max(s.y.size));
            let outside = !(size > low && size < high);
            if outside || width >= 0.66 * s.previous_width {
                size = low + 0.5 * width;
            }
            (s.previous_width, s.width) = (s.width, width);
            size = trial.perceptible(size, high);
            if !(size > low && size < high) || width <= self.width * high {
                return self.finish(trial);
            }
        } else if let Some(ceiling) = s.ceiling.filter(|c| size >= *c) {
            size = 0.5 * (s.x.size + ceiling);
            if ceiling - s.x.size <= self.width * ceiling {
                return self.finish(trial);
            }
        }
        // At the largest length there is nowhere to go on; NaN from interpolating absurd values ends here too.
        if size == new.size || !size.is_finite() || size < f64::MIN_POSITIVE {
            return self.finish(trial);
        }
        Verdict::Retry { size }
    }
}

impl Globalization<Line> for StrongWolfe {
    fn first_size(&mut self, start: &Start) -> f64 {
        self.state = StrongWolfeState::default();
        self.initial.of_run(start)
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        if self.state.trials == 0 {
            self.begin(trial);
        } else {
            self.state.trials += 1;
        }
        // NaN is no descent either.
        let descent = trial.slope < 0.0;
        if !descent || self.state.trials > MAX_TRIALS {
            return self.finish(trial);
        }
        let slope = match trial.trial_slope {
            Some(slope) if trial.is_finite() && slope.is_finite() => slope,
            _ => return self.shorter(trial),
        };
        let new = End { size: trial.size, value: -trial.actual, slope };
        let test_slope = self.sufficient_decrease * trial.slope;
        let decreased = new.value <= new.size * test_slope;
        if decreased && slope.abs() <= -self.curvature * trial.slope {
            self.state = StrongWolfeState::default();
            return Verdict::Accept { size: trial.size, next: self.initial.after(trial) };
        }
        self.state.second_stage |= decreased && slope >= 0.0;
        self.advance(trial, new, test_slope)
    }

    fn needs_trial_slope(&self) -> bool {
        true
    }
}

/// True for numbers of opposite sign; a product would vanish or overflow.
fn opposed(a: f64, b: f64) -> bool {
    (a < 0.0 && b > 0.0) || (a > 0.0 && b < 0.0)
}

/// The safeguarded length of Moré & Thuente §4 from the best end `x`, the other end `y` and the trial `t`.
fn next_length(x: End, y: End, t: End, bracketed: bool, low: f64, high: f64) -> f64 {
    let gap = t.size - x.size;
    let relative = |to: End| t.value - to.value;
    // Minimizers from x's side, and the secant through the slopes.
    let cubic = || x.size + cubic_hermite(x.slope, gap, relative(x), t.slope);
    let secant = || t.size + t.slope / (t.slope - x.slope) * -gap;
    if t.value > x.value {
        // Case 1: a higher value. The cubic, or halfway to the quadratic if that is closer to x.
        let (c, q) = (cubic(), x.size + quadratic(x.slope, gap, relative(x)));
        return if (c - x.size).abs() < (q - x.size).abs() { c } else { c + 0.5 * (q - c) };
    }
    if opposed(t.slope, x.slope) {
        // Case 2: a lower value, slopes of opposite sign. The one farther from the trial.
        let (c, s) = (cubic(), secant());
        return if (c - t.size).abs() > (s - t.size).abs() { c } else { s };
    }
    if t.slope.abs() < x.slope.abs() {
        // Case 3: a lower value, a flatter slope. The cubic counts only if its minimizer lies beyond the trial.
        let (c, s) = (cubic(), secant());
        let beyond = opposed(c - t.size, -gap);
        let c = if beyond {
            c
        } else if gap > 0.0 {
            high
        } else {
            low
        };
        let closer = (c - t.size).abs() < (s - t.size).abs();
        if !bracketed {
            return if closer { s } else { c }.max(low).min(high);
        }
        let step = if closer { c } else { s };
        let limit = t.size + 0.66 * (y.size - t.size);
        return if gap > 0.0 { step.min(limit) } else { step.max(limit) };
    }
    // Case 4: a lower value, a slope at least as steep: extrapolate, within the bracket by the cubic through y.
    match (bracketed, gap > 0.0) {
        (true, _) => t.size + cubic_hermite(t.slope, y.size - t.size, -relative(y), y.slope),
        (false, true) => high,
        (false, false) => low,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{line, more_thuente, search};
    use super::*;

    fn wolfe(c1: f64, c2: f64) -> StrongWolfe {
        StrongWolfe { sufficient_decrease: c1, curvature: c2, ..StrongWolfe::default() }
    }

    /// Tables I–VI of Moré & Thuente (1994): the lengths found from 1e-3, 1e-1, 1e1 and 1e3, to the digits printed there,
    /// and the numbers of evaluations.
    #[test]
    fn wolfe_on_the_functions_of_more_and_thuente_reproduces_their_tables() {
        let tables = [
            (1, 0.001, 0.1, [1.4, 1.4, 10.0, 37.0], [6, 3, 1, 4]),
            (2, 0.1, 0.1, [1.6, 1.6, 1.6, 1.6], [12, 8, 8, 11]),
            (3, 0.1, 0.1, [1.0, 1.0, 1.0, 1.0], [12, 12, 10, 13]),
            (4, 0.001, 0.001, [0.085, 0.10, 0.35, 0.83], [4, 1, 3, 4]),
            (5, 0.001, 0.001, [0.075, 0.078, 0.073, 0.076], [6, 3, 7, 8]),
            (6, 0.001, 0.001, [0.93, 0.93, 0.92, 0.92], [13, 11, 8, 11]),
        ];
        for (function, c1, c2, lengths, counts) in tables {
            for (k, first) in [1e-3, 1e-1, 1e1, 1e3].into_iter().enumerate() {
                let phi = |a| more_thuente(function, a);
                let (found, trials) = search(&mut wolfe(c1, c2), first, phi);
                let found = found.unwrap_or(f64::NAN);
                let ((f0, d0), (f, d)) = (phi(0.0), phi(found));
                assert!(f <= f0 + c1 * found * d0 && d.abs() <= c2 * d0.abs(), "function {function} from {first}: {found}");
                assert!((found / lengths[k] - 1.0).abs() < 0.04, "function {function} from {first}: {found}");
                assert_eq!(trials, counts[k], "function {function} from {first}");
            }
        }
    }

    #[test]
    fn wolfe_constants_are_where_its_conditions_begin_and_end() {
        let accepts = |value: f64, slope: f64| {
            let trial = Trial { trial_slope: Some(slope), ..line(0.5, -1.0, -value) };
            matches!(StrongWolfe::default().judge(&trial), Verdict::Accept { .. })
        };
        assert!(accepts(-1.0, -0.89) && accepts(-1.0, 0.89) && !accepts(-1.0, -0.91) && !accepts(-1.0, 0.91));
        assert!(accepts(-0.51e-4, 0.0) && !accepts(-0.49e-4, 0.0));
    }

    #[test]
    fn wolfe_extrapolates_as_far_as_it_may() {
        // Falls ever more steeply: each increase is the largest allowed multiple of the last.
        let lengths = |extrapolation: f64| {
            let mut search = StrongWolfe { extrapolation, ..StrongWolfe::default() };
            let mut next = |size: f64| {
                let trial = Trial { trial_slope: Some(-1.0 - 2.0 * size), ..line(size, -1.0, size + size * size) };
                match search.judge(&trial) {
                    Verdict::Retry { size } => size,
                    other => panic!("{other:?}"),
                }
            };
            let second = next(1.0);
            (second, next(second))
        };
        assert_eq!(lengths(4.0), (5.0, 21.0));
        assert_eq!(lengths(10.0), (11.0, 111.0));
    }

    #[test]
    fn wolfe_does_not_depend_on_the_level_of_the_cost() {
        // At |f| = 1e12 only 1e-4 of the value survives in f; the search sees reductions only.
        let mut judged = wolfe(1e-4, 0.1);
        let phi = |a: f64| ((a - 3.0).powi(2) - 9.0, 2.0 * (a - 3.0));
        let (found, _) = search(&mut judged, 1.0, phi);
        let mut size = 1.0;
        loop {
            let (f, d) = phi(size);
            match judged.judge(&Trial { cost: 1e12, trial_slope: Some(d), ..line(size, -6.0, -f) }) {
                Verdict::Retry { size: next } => size = next,
                verdict => break assert!(matches!(verdict, Verdict::Accept { size, .. } if Some(size) == found)),
            }
        }
    }

    #[test]
    fn wolfe_beyond_the_domain_comes_back_into_it() {
        // φ(α) = −log(1 − α) − 4α: minimizer 3/4, infinite from 1 on.
        let phi = |a: f64| (-(1.0 - a).ln() - 4.0 * a, 1.0 / (1.0 - a) - 4.0);
        for first in [1e-3, 0.5, 0.99, 1.0, 7.0, 1e8] {
            let (found, trials) = search(&mut wolfe(1e-4, 0.1), first, phi);
            let found = found.unwrap_or(f64::NAN);
            assert!(phi(found).1.abs() <= 0.3 && trials < 30, "{first}: {found} after {trials}");
        }
    }

    #[test]
    fn wolfe_many_orders_beyond_the_minimum_comes_back_in_tens_of_trials() {
        // A fit at a length 10¹² times too long asks for lengths that would not move the point.
        let unit = 1e-12;
        let phi = |a: f64| ((a / unit).powi(8) / 8.0 - a / unit, ((a / unit).powi(7) - 1.0) / unit);
        let (found, trials) = search(&mut StrongWolfe::default(), 1.0, |a| {
            assert!(a == 0.0 || a > f64::EPSILON, "{a:e}");
            phi(a)
        });
        assert!(found.is_some_and(|a| phi(a).1.abs() <= 0.9 / unit) && trials <= 30, "{found:?} after {trials}");
    }

    #[test]
    fn wolfe_with_a_hole_in_the_bracket_takes_the_best_length() {
        // Lower towards the hole at (1, 1.5), high beyond it.
        let phi = |a: f64| match a {
            a if a <= 1.0 => (-a, -1.0),
            a if a < 1.5 => (f64::NAN, f64::NAN),
            a => (a * a, 2.0 * a),
        };
        let (found, _) = search(&mut wolfe(1e-4, 0.1), 4.0, phi);
        assert!(found.is_some_and(|a| a > 0.9 && a <= 1.0), "{found:?}");
    }

    #[test]
    fn wolfe_on_an_unbounded_line_ends_at_the_largest_length() {
        let mut bounded = StrongWolfe { max_size: 1e3, ..StrongWolfe::default() };
        for first in [1e-12, 1.0, 1e12] {
            assert_eq!(search(&mut bounded, first, |a| (-a, -1.0)).0, Some(1e3 * first));
        }
    }

    #[test]
    fn wolfe_at_a_kink_takes_the_best_length_when_the_bracket_collapses() {
        // |α − 1/3| has no length with a small slope.
        let third = 1.0 / 3.0;
        let (found, trials) = search(&mut wolfe(1e-4, 0.1), 1.0, |a| ((a - third).abs(), if a < third { -1.0 } else { 1.0 }));
        assert!((found.unwrap_or(f64::NAN) - third).abs() < 1e-9 && trials <= 60);
    }

    #[test]
    fn wolfe_without_decrease_or_descent_stops() {
        assert_eq!(search(&mut StrongWolfe::default(), 1.0, |a| (a, -1.0 + 2.0 * f64::from(a > 0.0))).0, None);
        assert_eq!(search(&mut StrongWolfe::default(), 1.0, |a| (a, 1.0)), (None, 1));
        assert_eq!(search(&mut StrongWolfe::default(), 1.0, |a| if a > 0.0 { (f64::NAN, 0.0) } else { (0.0, -1.0) }).0, None);
        assert_eq!(search(&mut StrongWolfe::default(), 1.0, |_| (0.0, f64::NAN)).0, None);
    }

    #[test]
    fn wolfe_search_leaves_nothing_behind() {
        let mut used = wolfe(1e-4, 0.1);
        for function in 1..=6 {
            search(&mut used, 1e3, |a| more_thuente(function, a));
            assert_eq!(used.state, StrongWolfeState::default());
        }
    }

    #[test]
    fn wolfe_options_out_of_range_are_refused() {
        let ok = StrongWolfe::default();
        assert!(ok.validate().is_ok() && ok.needs_trial_slope());
        for bad in [wolfe(0.0, 0.9), wolfe(1e-4, 1.0), wolfe(f64::NAN, 0.9)] {
            assert!(bad.validate().is_err());
        }
        assert!(StrongWolfe { width: 0.0, ..ok.clone() }.validate().is_err());
        assert!(StrongWolfe { extrapolation: 1.0, ..ok.clone() }.validate().is_err());
        assert!(StrongWolfe { max_size: f64::INFINITY, ..ok }.validate().is_err());
    }
}
