//! Trust-region radius control: `ρ = actual / predicted` decides acceptance and the next radius.
//!
//! Conn, Gould & Toint, *Trust-Region Methods* (2000): basic rules §6.1, ratio under rounding §17.4.2, non-monotone
//! rule Algorithm 10.1.2 (Toint 1996). Shrinking by interpolation follows Moré (1978).

use super::interpolate::{quadratic, safeguard};
use super::{Globalization, Start, Trial, Verdict, relaxed_ratio};
use crate::error::{Error, Result};
use crate::second_order::Ball;

/// Accepts a step whose actual reduction is a fair part of the predicted one and adapts the radius to the ratio.
///
/// There is no practical upper bound of the radius, and the first radius comes from the problem's own scale: a start far
/// from the solution in a badly scaled problem costs a few growing steps, not thousands of small ones.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrustRegion {
    /// First radius. Default `None`: 3.5 times the Cauchy step `‖g₀‖³ / g₀ᵀB₀g₀` where the curvature along the gradient
    /// is known and positive (so that a Newton step a few times longer than the Cauchy step fits), else
    /// `‖x₀‖`, from the origin `|f(x₀)| / ‖g₀‖`; in scaled variables [`relative_radius`](Self::relative_radius) times `‖D x₀‖`.
    pub initial_radius: Option<f64>,
    /// First radius in scaled variables, as a part of `‖D x₀‖`. Default 1.
    pub relative_radius: f64,
    /// Largest radius: beyond 1e154 its square overflows. Default 1e100.
    pub max_radius: f64,
    /// A step is taken when `ρ ≥ accept`. Default 1e-4.
    pub accept: f64,
    /// The radius shrinks when `ρ < shrink_below`. Default 0.25.
    pub shrink_below: f64,
    /// The radius grows when `ρ > grow_above` and the step reached the boundary. Default 0.75.
    pub grow_above: f64,
    /// Factor of growth; its square when `ρ` shows the model to be right within 10 %. Default 1.9.
    pub grow: f64,
    /// Consecutive steps that may miss a new lowest cost before the reference cost is lowered (Toint 1996). Default 0:
    /// monotone.
    pub nonmonotone: usize,
    /// Progress of the run; leave it at its default.
    pub state: TrustRegionState,
}

/// What a [`TrustRegion`] remembers between trials.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrustRegionState {
    /// Trials of the present search.
    pub trials: u64,
    history: Option<History>,
}

/// Costs and accumulated predictions of the non-monotone rule: lowest, reference and candidate.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct History {
    lowest: f64,
    reference: f64,
    candidate: f64,
    since_reference: f64,
    since_candidate: f64,
    misses: usize,
}

impl Default for TrustRegion {
    fn default() -> Self {
        Self {
            initial_radius: None,
            relative_radius: 1.0,
            max_radius: 1e100,
            accept: 1e-4,
            shrink_below: 0.25,
            grow_above: 0.75,
            grow: 1.9,
            nonmonotone: 0,
            state: TrustRegionState::default(),
        }
    }
}

impl TrustRegion {
    /// Checks the ranges: `0 ≤ accept < shrink_below ≤ grow_above < 1 < grow`, radii positive.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let radius = self.initial_radius.unwrap_or(1.0);
        Error::check_option(radius.is_finite() && radius > 0.0, "initial_radius", "positive and finite", radius)?;
        let relative = self.relative_radius;
        Error::check_option(relative.is_finite() && relative > 0.0, "relative_radius", "positive and finite", relative)?;
        let max = self.max_radius;
        Error::check_option(max.is_finite() && max >= radius, "max_radius", "finite and at least the initial radius", max)?;
        let in_order = |a: f64, b: f64, c: f64| a <= b && b < c;
        Error::check_option(in_order(0.0, self.accept, self.shrink_below), "accept", "in [0, shrink_below)", self.accept)?;
        let above = self.grow_above;
        Error::check_option(in_order(self.shrink_below, above, 1.0), "grow_above", "in [shrink_below, 1)", above)?;
        Error::check_option(self.grow.is_finite() && self.grow > 1.0, "grow", "finite and above 1", self.grow)
    }

    /// The radius after a step that was taken.
    fn next_radius(&self, trial: &Trial, ratio: f64) -> f64 {
        let radius = trial.size;
        if ratio < self.shrink_below {
            return shrunk(trial);
        }
        if ratio <= self.grow_above || !on_boundary(trial) {
            return radius;
        }
        let good = (ratio - 1.0).abs() <= 0.1;
        (radius * if good { self.grow * self.grow } else { self.grow }).min(self.max_radius)
    }
}

impl Globalization<Ball> for TrustRegion {
    fn first_size(&mut self, start: &Start) -> f64 {
        self.state = TrustRegionState::default();
        if let (None, Some(length)) = (self.initial_radius, start.scaled_x_norm) {
            let length = self.relative_radius * length;
            return if length > 0.0 && length.is_finite() { length } else { start.length() }.min(self.max_radius);
        }
        let cauchy = start.gradient_curvature.filter(|c| *c > 0.0).map(|c| 3.5 * start.gradient_norm / c);
        let usable = |r: &f64| r.is_finite() && *r > 0.0;
        let automatic = cauchy.filter(usable).unwrap_or_else(|| start.length());
        self.initial_radius.unwrap_or(automatic).min(self.max_radius)
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        self.state.trials += 1;
        if trial.is_negligible(trial.length) {
            return Verdict::give_up(std::mem::take(&mut self.state.trials));
        }
        let plain = trial.relaxed_ratio();
        let ratio = match &self.state.history {
            Some(h) if self.nonmonotone > 0 && trial.is_finite() => plain.max(h.ratio(trial)),
            _ => plain,
        };
        if trial.is_finite() && ratio >= self.accept {
            self.state.trials = 0;
            if self.nonmonotone > 0 {
                let m = self.nonmonotone;
                self.state.history.get_or_insert_with(|| History::new(trial.cost)).accepted(trial, m);
            }
            return Verdict::Accept { size: trial.size, next: self.next_radius(trial, ratio) };
        }
        let radius = if trial.is_finite() { shrunk(trial) } else { 0.1 * trial.size.min(trial.length) };
        if trial.is_negligible(radius) {
            return Verdict::give_up(std::mem::take(&mut self.state.trials));
        }
        Verdict::Retry { size: radius }
    }
}

/// True if the constraint `‖p‖ ≤ size` was active. A radius in a scaled norm does not show in `‖p‖₂`, but an active
/// constraint with multiplier `λ` does in the prediction: it exceeds `−½ gᵀp` by `½ λ ‖p‖²`.
fn on_boundary(trial: &Trial) -> bool {
    trial.length >= 0.9 * trial.size || trial.predicted > -0.5 * trial.slope * (1.0 + 1e-3)
}

/// A radius between 0.1 and 0.5 of the step: the minimizer of the quadratic through `φ(0)`, `φ′(0)` and `φ(1)` along it.
fn shrunk(trial: &Trial) -> f64 {
    let reach = if on_boundary(trial) { trial.size } else { trial.length.min(trial.size) };
    reach * safeguard(quadratic(trial.slope, 1.0, -trial.actual), 0.1, 0.5, 0.25)
}

impl History {
    fn new(cost: f64) -> Self {
        Self { lowest: cost, reference: cost, candidate: cost, since_reference: 0.0, since_candidate: 0.0, misses: 0 }
    }

    /// Reduction from the reference cost over what was predicted since then.
    fn ratio(&self, trial: &Trial) -> f64 {
        let actual = self.reference - trial.cost + trial.actual;
        relaxed_ratio(actual, self.since_reference + trial.predicted, trial.rounding)
    }

    /// Algorithm 10.1.2, step 4.
    fn accepted(&mut self, trial: &Trial, allowed_misses: usize) {
        let cost = trial.cost - trial.actual;
        self.since_candidate += trial.predicted;
        self.since_reference += trial.predicted;
        if cost < self.lowest {
            (self.lowest, self.candidate, self.since_candidate, self.misses) = (cost, cost, 0.0, 0);
            return;
        }
        self.misses += 1;
        if cost > self.candidate {
            (self.candidate, self.since_candidate) = (cost, 0.0);
        }
        if self.misses >= allowed_misses {
            (self.reference, self.since_reference) = (self.candidate, self.since_candidate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{START, ball};
    use super::*;

    fn judge(trial: &Trial) -> Verdict {
        TrustRegion { grow: 2.0, ..TrustRegion::default() }.judge(trial)
    }

    #[test]
    fn first_radius_comes_from_the_scale_of_the_problem() {
        let start = Start { gradient_norm: 2e6, gradient_curvature: Some(2.0), ..START };
        assert_eq!(TrustRegion::default().first_size(&start), 3.5e6);
        assert_eq!(TrustRegion { initial_radius: Some(3.0), ..TrustRegion::default() }.first_size(&start), 3.0);
        let unknown = Start { gradient_curvature: None, x_norm: 40.0, ..start };
        assert_eq!(TrustRegion::default().first_size(&unknown), 40.0);
        let small = Start { x_norm: 4e-9, ..unknown };
        assert_eq!(TrustRegion::default().first_size(&small), 4e-9);
        let origin = Start { x_norm: 0.0, cost: -3e6, ..unknown };
        assert_eq!(TrustRegion::default().first_size(&origin), 1.5);
        let scaled = Start { scaled_x_norm: Some(8.0), ..start };
        assert_eq!(TrustRegion::default().first_size(&scaled), 8.0);
        assert_eq!(TrustRegion { relative_radius: 0.25, ..TrustRegion::default() }.first_size(&scaled), 2.0);
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let odd = Start {
                cost: 0.0,
                gradient_norm: odd,
                gradient_curvature: Some(1.0),
                x_norm: odd,
                scaled_x_norm: None,
                largest_diagonal: None,
            };
            assert_eq!(TrustRegion::default().first_size(&odd), 1.0);
        }
    }

    #[test]
    fn radius_grows_on_the_boundary_only_and_most_for_a_model_that_is_right() {
        // Arguments: radius, length, predicted, actual; the slope is −2 predicted, as for an interior Newton step.
        for (length, actual, radius) in [
            (1.0, 1.0, 4.0), // right: twice doubled
            (1.0, 0.8, 2.0), // good
            (1.0, 1.5, 2.0), // better than predicted
            (1.0, 0.5, 1.0), // fair
            (0.3, 1.0, 1.0), // interior: the radius was not in the way
        ] {
            let verdict = judge(&ball(1.0, length, 1.0, actual));
            assert_eq!(verdict, Verdict::Accept { size: 1.0, next: radius }, "{length} {actual}");
        }
    }

    #[test]
    fn active_constraint_in_a_scaled_norm_is_recognised_by_its_prediction() {
        let trial = Trial { slope: -1.5, ..ball(1.0, 0.01, 1.0, 1.0) };
        assert_eq!(judge(&trial), Verdict::Accept { size: 1.0, next: 4.0 });
    }

    #[test]
    fn radius_never_exceeds_its_maximum() {
        let mut region = TrustRegion { max_radius: 1.5, ..TrustRegion::default() };
        assert_eq!(region.judge(&ball(1.0, 1.0, 1.0, 1.0)), Verdict::Accept { size: 1.0, next: 1.5 });
    }

    #[test]
    fn poor_step_is_taken_with_a_smaller_radius() {
        // φ(t) = −2t + 1.9 t²: minimizer 1/1.9, clamped to one half of the step.
        assert_eq!(judge(&ball(1.0, 1.0, 1.0, 0.1)), Verdict::Accept { size: 1.0, next: 0.5 });
    }

    #[test]
    fn rejected_step_shrinks_by_interpolation_from_its_own_length() {
        // φ(1) − φ(0) = 3, slope −2: minimizer 0.2 of the step 0.5.
        assert_eq!(judge(&ball(8.0, 0.5, 1.0, -3.0)), Verdict::Retry { size: 0.1 });
        assert_eq!(judge(&ball(8.0, 0.5, 1.0, -1e9)), Verdict::Retry { size: 0.05 });
        assert_eq!(judge(&ball(8.0, 0.5, 1.0, 0.0)), Verdict::Retry { size: 0.25 });
    }

    #[test]
    fn non_finite_trial_shrinks_to_a_tenth_of_the_step() {
        for actual in [f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(judge(&ball(8.0, 5.0, 1.0, actual)), Verdict::Retry { size: 0.5 });
        }
    }

    #[test]
    fn zero_gradient_with_negative_curvature_is_judged_like_any_other_step() {
        let escape = Trial { slope: 0.0, ..ball(1.0, 1.0, 0.5, 0.4) };
        assert_eq!(judge(&escape), Verdict::Accept { size: 1.0, next: 2.0 });
        assert_eq!(judge(&Trial { actual: -1.0, ..escape }), Verdict::Retry { size: 0.1 });
    }

    #[test]
    fn reduction_lost_in_rounding_is_accepted_without_shrinking() {
        let drowned = Trial { cost: 1e6, rounding: 1e-9, ..ball(1.0, 1e-8, 1e-14, -2e-12) };
        assert_eq!(judge(&drowned), Verdict::Accept { size: 1.0, next: 1.0 });
        // The same numbers without rounding are a rejection.
        assert!(matches!(judge(&Trial { rounding: 0.0, ..drowned }), Verdict::Retry { .. }));
        // With the reduction measured by gradients there is nothing to forgive.
        assert!(matches!(judge(&Trial { trial_slope: Some(1e-13), ..drowned }), Verdict::Retry { .. }));
    }

    #[test]
    fn model_that_predicts_an_increase_is_rejected() {
        assert!(matches!(judge(&ball(1.0, 1.0, -1.0, -1.0)), Verdict::Retry { .. }));
        assert!(matches!(judge(&ball(1.0, 1.0, f64::NAN, 1.0)), Verdict::Retry { .. }));
    }

    #[test]
    fn radius_below_the_rounding_of_x_stops_after_finitely_many_trials() {
        let mut region = TrustRegion::default();
        let mut radius = 1.0;
        for n in 1..150 {
            match region.judge(&Trial { x_norm: 1e6, ..ball(radius, radius, radius, -radius) }) {
                Verdict::Retry { size } => radius = size,
                Verdict::Stop(crate::Stop::NoProgress { trials, .. }) => {
                    assert_eq!(trials, n);
                    assert_eq!(region.state.trials, 0);
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("no end");
    }

    #[test]
    fn zero_step_stops() {
        assert!(matches!(judge(&ball(1.0, 0.0, 0.0, 0.0)), Verdict::Stop(_)));
        assert!(matches!(judge(&ball(1.0, f64::NAN, 1.0, 1.0)), Verdict::Stop(_)));
    }

    #[test]
    fn nonmonotone_region_takes_an_increase_below_its_reference_and_lowers_it_after_enough_misses() {
        let mut region = TrustRegion { nonmonotone: 2, ..TrustRegion::default() };
        let at = |cost: f64, actual: f64| Trial { cost, ..ball(1.0, 0.5, 1.0, actual) };
        let accepts = |region: &mut TrustRegion, cost, actual| matches!(region.judge(&at(cost, actual)), Verdict::Accept { .. });
        assert!(accepts(&mut region, 100.0, 50.0)); // lowest 50; the reference stays 100
        assert!(accepts(&mut region, 50.0, -20.0)); // 70 < 100: first miss, candidate 70
        assert!(!accepts(&mut region, 70.0, -40.0)); // 110 > 100
        assert!(accepts(&mut region, 70.0, 5.0)); // 65: second miss, the reference drops to 70
        assert!(!accepts(&mut region, 65.0, -10.0)); // 75 > 70
        assert!(!accepts(&mut TrustRegion::default(), 50.0, -20.0));
    }

    #[test]
    fn trust_region_options_out_of_order_are_refused() {
        let ok = TrustRegion::default();
        assert!(ok.validate().is_ok());
        for bad in [
            TrustRegion { initial_radius: Some(0.0), ..ok.clone() },
            TrustRegion { max_radius: f64::INFINITY, ..ok.clone() },
            TrustRegion { accept: 0.3, ..ok.clone() },
            TrustRegion { accept: f64::NAN, ..ok.clone() },
            TrustRegion { grow_above: 1.0, ..ok.clone() },
            TrustRegion { shrink_below: 0.9, ..ok.clone() },
            TrustRegion { grow: 1.0, ..ok.clone() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
