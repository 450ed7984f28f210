//! Weight control of adaptive cubic regularization: `size = 1/σ`.
//!
//! Acceptance and the classes of success follow Cartis, Gould & Toint (Math. Program. 127, 2011). The new weight within
//! each class comes from interpolation, in the spirit of Gould, Porcelli & Toint (Comput. Optim. Appl. 53, 2012): the
//! weight that would have made the model exact at the trial point,
//!
//! ```text
//! σ_f = 3 (f(x + s) − f(x) − gᵀs − ½ sᵀBs) / ‖s‖³ .
//! ```

use super::{Globalization, Start, Trial, Verdict};
use crate::error::{Error, Result};
use crate::second_order::Cubic;

/// Accepts a step of the cubic model by the ratio of actual to predicted reduction and adapts the weight `σ`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CubicWeight {
    /// First weight `σ₀`. Default `None`: `0.1 κ² / ‖g₀‖` with the curvature `κ` along the gradient, where it is known
    /// (the cubic term then adds about a tenth of `κ` to the matrix for the Cauchy step), else `‖g₀‖ / ‖x₀‖²`, from the origin
    /// `‖g₀‖³ / f(x₀)²`.
    pub initial_weight: Option<f64>,
    /// Smallest weight. Default the smallest normal number: weights have units.
    pub min_weight: f64,
    /// A step is taken when `ρ ≥ accept`. Default 1e-4.
    pub accept: f64,
    /// The weight grows when `ρ < successful`. Default 0.1.
    pub successful: f64,
    /// The weight falls when `ρ ≥ very_successful`. Default 0.9.
    pub very_successful: f64,
    /// Choose the new weight by interpolation within the bounds below; else take the bound that changes least. Default
    /// true.
    pub interpolate: bool,
    /// Smallest and largest factor of growth. Default (2, 10).
    pub growth: (f64, f64),
    /// Smallest and largest factor of fall. Default (0.1, 0.5).
    pub fall: (f64, f64),
    /// Progress of the run; leave it at its default.
    pub state: CubicWeightState,
}

/// What a [`CubicWeight`] remembers between trials.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CubicWeightState {
    /// Trials of the present search.
    pub trials: u64,
}

impl Default for CubicWeight {
    fn default() -> Self {
        Self {
            initial_weight: None,
            min_weight: f64::MIN_POSITIVE,
            accept: 1e-4,
            successful: 0.1,
            very_successful: 0.9,
            interpolate: true,
            growth: (2.0, 10.0),
            fall: (0.1, 0.5),
            state: CubicWeightState::default(),
        }
    }
}

impl CubicWeight {
    /// Checks the ranges: weights positive, `0 ≤ accept ≤ successful ≤ very_successful`, factors on their side of 1.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let positive = |w: f64| w.is_finite() && w > 0.0;
        let initial = self.initial_weight.unwrap_or(1.0);
        Error::check_option(positive(initial), "initial_weight", "positive and finite", initial)?;
        Error::check_option(positive(self.min_weight), "min_weight", "positive and finite", self.min_weight)?;
        Error::check_option(self.accept >= 0.0, "accept", "not negative", self.accept)?;
        Error::check_option(self.successful >= self.accept, "successful", "at least `accept`", self.successful)?;
        let very = self.very_successful;
        Error::check_option(very >= self.successful, "very_successful", "at least `successful`", very)?;
        let (least, most) = self.growth;
        Error::check_option(1.0 < least && least <= most && most.is_finite(), "growth", "above 1, in order", least)?;
        let (most, least) = self.fall;
        Error::check_option(0.0 < most && most <= least && least < 1.0, "fall", "in (0, 1), in order", most)
    }

    /// The weight that would have made the cubic model exact at the trial.
    fn interpolated(trial: &Trial) -> f64 {
        // `predicted` contains −(σ/3)‖s‖³, so the difference to `actual` corrects the present weight.
        1.0 / trial.size + 3.0 * (trial.predicted - trial.actual) / trial.length.powi(3)
    }

    fn heavier(&self, trial: &Trial) -> f64 {
        let (least, most) = self.growth;
        let weight = 1.0 / trial.size;
        if !trial.is_finite() {
            return most * weight;
        }
        let fitted = if self.interpolate { Self::interpolated(trial) } else { least * weight };
        // The smallest admissible growth if the fit overflows to NaN.
        fitted.min(most * weight).max(least * weight)
    }

    fn lighter(&self, trial: &Trial) -> f64 {
        let (most, least) = self.fall;
        let weight = 1.0 / trial.size;
        let fitted = if self.interpolate { Self::interpolated(trial) } else { least * weight };
        fitted.min(least * weight).max(most * weight).max(self.min_weight)
    }
}

/// `1/σ` as a positive finite number.
fn size(weight: f64) -> f64 {
    1.0 / weight.clamp(f64::MIN_POSITIVE, f64::MAX)
}

impl Globalization<Cubic> for CubicWeight {
    fn first_size(&mut self, start: &Start) -> f64 {
        self.state = CubicWeightState::default();
        let usable = |w: &f64| w.is_finite() && *w > 0.0;
        let by_curvature = start.gradient_curvature.map(|c| 0.1 * c * c / start.gradient_norm);
        let length = start.length();
        let by_scale = start.gradient_norm / length / length;
        let automatic = by_curvature.filter(usable).or(Some(by_scale).filter(usable)).unwrap_or(1.0);
        size(self.initial_weight.unwrap_or(automatic).max(self.min_weight))
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        self.state.trials += 1;
        let ratio = trial.relaxed_ratio();
        let moves = !trial.is_negligible(trial.length);
        if moves && ratio >= self.accept {
            self.state.trials = 0;
            let weight = match ratio {
                r if r >= self.very_successful => self.lighter(trial),
                r if r < self.successful => self.heavier(trial),
                _ => 1.0 / trial.size,
            };
            return Verdict::Accept { size: trial.size, next: size(weight) };
        }
        let size = 1.0 / self.heavier(trial);
        if !moves || size < f64::MIN_POSITIVE {
            return Verdict::give_up(std::mem::take(&mut self.state.trials));
        }
        Verdict::Retry { size }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{START, ball};
    use super::*;

    /// A step of length 1 for weight 4 that reduces the quadratic model by `5/3 + 4/3` and `f` by `actual`.
    fn trial(actual: f64) -> Trial {
        ball(0.25, 1.0, 5.0 / 3.0, actual)
    }

    fn weight(verdict: Verdict) -> (bool, f64) {
        match verdict {
            Verdict::Accept { next, .. } => (true, 1.0 / next),
            Verdict::Retry { size } => (false, 1.0 / size),
            Verdict::Stop(stop) => panic!("{stop}"),
        }
    }

    fn judged(control: &CubicWeight, actual: f64) -> (bool, f64) {
        let (accepted, w) = weight(control.clone().judge(&trial(actual)));
        (accepted, (w * 1e9).round() / 1e9)
    }

    #[test]
    fn weight_follows_the_interpolated_cubic_within_its_bounds() {
        let control = CubicWeight::default();
        // σ_f = 4 + 3 (5/3 − actual)
        assert_eq!(judged(&control, 5.0 / 3.0), (true, 2.0)); // σ_f = 4: at least halved when very successful
        assert_eq!(judged(&control, 2.5), (true, 1.5)); // σ_f = 1.5
        assert_eq!(judged(&control, 9.0), (true, 0.4)); // σ_f < 0: at most a tenth
        assert_eq!(judged(&control, 1.0), (true, 4.0)); // successful: kept
        assert_eq!(judged(&control, 0.1), (true, 8.7)); // poor, but taken
        assert_eq!(judged(&control, -1.0), (false, 12.0)); // σ_f = 12
        assert_eq!(judged(&control, -100.0), (false, 40.0)); // at most tenfold
        assert_eq!(judged(&control, f64::NEG_INFINITY), (false, 40.0));
    }

    #[test]
    fn plain_rules_change_by_the_least_factor() {
        let control = CubicWeight { interpolate: false, ..CubicWeight::default() };
        assert_eq!(judged(&control, 9.0), (true, 2.0));
        assert_eq!(judged(&control, 1.0), (true, 4.0));
        assert_eq!(judged(&control, -100.0), (false, 8.0));
    }

    #[test]
    fn weight_stays_above_its_minimum() {
        let control = CubicWeight { min_weight: 3.0, ..CubicWeight::default() };
        assert_eq!(judged(&control, 9.0), (true, 3.0));
    }

    #[test]
    fn first_weight_scales_with_the_problem() {
        let start = Start { gradient_norm: 20.0, gradient_curvature: Some(-10.0), x_norm: 2.0, ..START };
        assert_eq!(CubicWeight::default().first_size(&start), 2.0); // σ₀ = 0.1·100/20
        let unknown = Start { gradient_curvature: None, ..start };
        assert_eq!(CubicWeight::default().first_size(&unknown), 0.2);
        let small = Start { x_norm: 0.125, ..unknown };
        assert_eq!(CubicWeight::default().first_size(&small), 1.0 / 1280.0);
        let origin = Start { x_norm: 0.0, cost: 10.0, ..unknown };
        assert_eq!(CubicWeight::default().first_size(&origin), 1.0 / 80.0);
        assert_eq!(CubicWeight { initial_weight: Some(8.0), ..CubicWeight::default() }.first_size(&start), 0.125);
        let nothing = Start {
            cost: 0.0,
            gradient_norm: 0.0,
            x_norm: f64::NAN,
            gradient_curvature: Some(0.0),
            scaled_x_norm: None,
            largest_diagonal: None,
        };
        assert_eq!(CubicWeight::default().first_size(&nothing), 1.0);
    }

    #[test]
    fn weight_without_progress_stops_after_finitely_many_trials() {
        let mut control = CubicWeight::default();
        let mut size = 1.0;
        for _ in 0..2000 {
            // A step of length √size, as the cubic term alone dictates.
            match control.judge(&ball(size, f64::sqrt(size), size, -size)) {
                Verdict::Retry { size: smaller } => size = smaller,
                Verdict::Stop(_) => return,
                other => panic!("{other:?}"),
            }
        }
        panic!("no end");
    }

    #[test]
    fn zero_step_stops() {
        assert!(matches!(CubicWeight::default().judge(&ball(1.0, 0.0, 0.0, 0.0)), Verdict::Stop(_)));
    }

    #[test]
    fn cubic_weight_options_out_of_range_are_refused() {
        let ok = CubicWeight::default();
        assert!(ok.validate().is_ok());
        for bad in [
            CubicWeight { initial_weight: Some(-1.0), ..ok.clone() },
            CubicWeight { min_weight: 0.0, ..ok.clone() },
            CubicWeight { accept: f64::NAN, ..ok.clone() },
            CubicWeight { successful: 0.0, ..ok.clone() },
            CubicWeight { very_successful: 0.05, ..ok.clone() },
            CubicWeight { growth: (1.0, 2.0), ..ok.clone() },
            CubicWeight { fall: (0.5, 0.1), ..ok.clone() },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
