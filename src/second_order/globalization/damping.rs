//! Damping control of Nielsen (*Damping Parameter in Marquardt's Method*, IMM-REP-1999-05): `size = 1/μ`.
//!
//! ```text
//! accepted:  μ ← μ max(1/3, 1 − (2ρ − 1)³),  ν ← 2
//! rejected:  μ ← μ ν,                         ν ← 2 ν
//! ```

use super::{Globalization, Start, Trial, Verdict};
use crate::error::{Error, Result};
use crate::second_order::Damping;

/// Accepts a damped step by the ratio of actual to predicted reduction and adapts the damping `μ` smoothly.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DampingControl {
    /// First damping `μ₀`. Default `None`: `tau` times the largest diagonal entry of the matrix, where it is known, else
    /// times the curvature along the gradient, else times `‖g₀‖ / ‖x₀‖`, from the origin `‖g₀‖² / |f(x₀)|`.
    pub initial_damping: Option<f64>,
    /// Factor of the automatic first damping. Default 1e-3.
    pub tau: f64,
    /// Smallest damping. Default the smallest normal number: dampings have units.
    pub min_damping: f64,
    /// A step is taken when `ρ ≥ accept`. Default 1e-4.
    pub accept: f64,
    /// Progress of the run; leave it at its default.
    pub state: DampingControlState,
}

/// What a [`DampingControl`] remembers between trials.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DampingControlState {
    /// Trials of the present search.
    pub trials: u64,
    /// `ν`, the factor of the next increase.
    pub nu: f64,
}

impl Default for DampingControlState {
    fn default() -> Self {
        Self { trials: 0, nu: 2.0 }
    }
}

impl Default for DampingControl {
    fn default() -> Self {
        let state = DampingControlState::default();
        Self { initial_damping: None, tau: 1e-3, min_damping: f64::MIN_POSITIVE, accept: 1e-4, state }
    }
}

impl DampingControl {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let positive = |w: f64| w.is_finite() && w > 0.0;
        let initial = self.initial_damping.unwrap_or(1.0);
        Error::check_option(positive(initial), "initial_damping", "positive and finite", initial)?;
        Error::check_option(positive(self.tau), "tau", "positive and finite", self.tau)?;
        Error::check_option(positive(self.min_damping), "min_damping", "positive and finite", self.min_damping)?;
        Error::check_option(self.accept >= 0.0 && self.accept < 0.5, "accept", "in [0, 0.5)", self.accept)
    }
}

impl Globalization<Damping> for DampingControl {
    fn first_size(&mut self, start: &Start) -> f64 {
        self.state = DampingControlState::default();
        let usable = |w: &f64| w.is_finite() && *w > 0.0;
        let by_scale = Some(start.gradient_norm / start.length());
        let curvature = [start.largest_diagonal, start.gradient_curvature, by_scale].into_iter().flatten().find(usable);
        1.0 / self.initial_damping.unwrap_or(self.tau * curvature.unwrap_or(1.0)).max(self.min_damping)
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        self.state.trials += 1;
        let ratio = trial.relaxed_ratio();
        let damping = 1.0 / trial.size;
        let moves = !trial.is_negligible(trial.length);
        if moves && ratio >= self.accept {
            self.state = DampingControlState::default();
            let factor = (1.0 - (2.0 * ratio - 1.0).powi(3)).max(1.0 / 3.0);
            return Verdict::Accept { size: trial.size, next: 1.0 / (damping * factor).max(self.min_damping) };
        }
        // Beyond the domain of f there is no ratio to learn from: leave at once.
        let factor = if trial.is_finite() { self.state.nu } else { self.state.nu.max(10.0) };
        self.state.nu *= 2.0;
        let size = 1.0 / (damping * factor);
        if !moves || size < f64::MIN_POSITIVE {
            return Verdict::give_up(std::mem::take(&mut self.state).trials);
        }
        Verdict::Retry { size }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{START, ball};
    use super::*;

    fn trial(size: f64, ratio: f64) -> Trial {
        ball(size, 1.0, 2.0, 2.0 * ratio)
    }

    #[test]
    fn accepted_step_scales_the_damping_by_nielsens_cubic() {
        for (ratio, factor) in [(1.0, 1.0 / 3.0), (0.5, 1.0), (0.75, 0.875), (0.25, 1.125), (5.0, 1.0 / 3.0)] {
            match DampingControl::default().judge(&trial(0.5, ratio)) {
                Verdict::Accept { size, next } => {
                    assert_eq!(size, 0.5);
                    assert!((next * 2.0 * factor - 1.0).abs() < 1e-15, "{ratio}: {next}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn rejections_in_a_row_raise_the_damping_faster_and_faster() {
        let mut control = DampingControl::default();
        let mut size = 1.0;
        for damping in [2.0, 8.0, 64.0, 1024.0] {
            match control.judge(&trial(size, -1.0)) {
                Verdict::Retry { size: next } => size = next,
                other => panic!("{other:?}"),
            }
            assert_eq!(size, 1.0 / damping);
        }
        assert!(matches!(control.judge(&trial(size, 0.5)), Verdict::Accept { .. }));
        assert_eq!(control.judge(&trial(1.0, -1.0)), Verdict::Retry { size: 0.5 });
    }

    #[test]
    fn non_finite_trial_raises_the_damping_at_least_tenfold() {
        assert_eq!(DampingControl::default().judge(&trial(1.0, f64::NEG_INFINITY)), Verdict::Retry { size: 0.1 });
    }

    #[test]
    fn first_damping_is_a_part_of_the_largest_diagonal_entry() {
        let start = Start { largest_diagonal: Some(250.0), gradient_curvature: Some(8.0), ..START };
        assert_eq!(DampingControl::default().first_size(&start), 4.0);
        let start = Start { largest_diagonal: None, ..start };
        assert_eq!(DampingControl::default().first_size(&start), 125.0);
        let start = Start { gradient_curvature: None, gradient_norm: 4.0, x_norm: 2.0, ..start };
        assert_eq!(DampingControl::default().first_size(&start), 500.0);
        let small = Start { x_norm: 0.125, ..start };
        assert_eq!(DampingControl::default().first_size(&small), 31.25);
        let origin = Start { x_norm: 0.0, cost: 2.0, ..start };
        assert_eq!(DampingControl::default().first_size(&origin), 125.0);
        let set = DampingControl { initial_damping: Some(0.5), ..DampingControl::default() };
        assert_eq!(set.clone().first_size(&start), 2.0);
    }

    #[test]
    fn damping_without_progress_stops_after_finitely_many_trials() {
        let mut control = DampingControl::default();
        let mut size = 1.0;
        for _ in 0..200 {
            match control.judge(&ball(size, size, size, -size)) {
                Verdict::Retry { size: smaller } => size = smaller,
                Verdict::Stop(_) => return assert_eq!(control.state, DampingControlState::default()),
                other => panic!("{other:?}"),
            }
        }
        panic!("no end");
    }

    #[test]
    fn damping_options_out_of_range_are_refused() {
        let ok = DampingControl::default();
        assert!(ok.validate().is_ok());
        for bad in [
            DampingControl { initial_damping: Some(0.0), ..ok.clone() },
            DampingControl { tau: f64::NAN, ..ok.clone() },
            DampingControl { min_damping: -1.0, ..ok.clone() },
            DampingControl { accept: 0.5, ..ok.clone() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
