//! The first step length of a line search.

use super::{Start, Trial};
use crate::error::{Error, Result};

/// The first step length of each line search.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum InitialStep {
    /// Always 1: for Newton and quasi-Newton directions, whose own length is right in the end.
    #[default]
    Unit,
    /// The last accepted length times `growth`: for directions without a length of their own.
    Previous {
        /// Factor on the last length.
        growth: f64,
    },
    /// `−φ′(0) / φ″`, with `φ″` measured along the last step. For `d = −g` this is the Barzilai–Borwein step `sᵀs / sᵀy`
    /// (IMA J. Numer. Anal. 8, 1988); with a non-monotone window, Raydan's method (SIAM J. Optim. 7, 1997).
    BarzilaiBorwein,
}

impl InitialStep {
    /// The first length of a run: for directions without a length of their own `1/κ` with the curvature `κ` along the
    /// gradient, else `1/‖g₀‖` but at most 1.
    pub(crate) fn of_run(self, start: &Start) -> f64 {
        let from_scale = || {
            let newton = start.gradient_curvature.filter(|c| *c > 0.0).map(|c| 1.0 / c);
            let length = newton.unwrap_or(1.0 / start.gradient_norm.max(1.0));
            if length.is_finite() && length > 0.0 { length } else { 1.0 }
        };
        if self == Self::Unit { 1.0 } else { from_scale() }
    }

    /// The first length after `trial` was accepted.
    pub(crate) fn after(self, trial: &Trial) -> f64 {
        let size = trial.size;
        let next = match self {
            Self::Unit => 1.0,
            Self::Previous { growth } => growth * size,
            Self::BarzilaiBorwein => {
                let bend = match trial.trial_slope {
                    Some(d) => (d - trial.slope) / size,
                    None => 2.0 * (-trial.actual - trial.slope * size) / (size * size),
                };
                // Without positive curvature the length is free: grow. Raydan's bounds on the change keep a
                // vanishing measured curvature from throwing the next step to infinity.
                let step = if bend > 0.0 { -trial.slope / bend } else { f64::INFINITY };
                step.max(1e-5 * size).min(1e5 * size)
            }
        };
        if next.is_finite() && next > 0.0 { next } else { size }
    }

    /// The first length after a search that returned to an earlier trial.
    pub(crate) fn after_return_to(self, size: f64) -> f64 {
        if self == Self::Unit { 1.0 } else { size }
    }

    pub(crate) fn validate(self) -> Result<()> {
        match self {
            Self::Previous { growth } => {
                Error::check_option(growth.is_finite() && growth > 0.0, "initial.growth", "positive and finite", growth)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{START, line};
    use super::*;

    #[test]
    fn initial_steps_follow_their_rules() {
        let accepted = line(0.5, -4.0, 0.875); // φ(α) = 4.5 α² − 4α: curvature 9
        assert_eq!(InitialStep::Unit.after(&accepted), 1.0);
        assert_eq!(InitialStep::Previous { growth: 2.0 }.after(&accepted), 1.0);
        assert!((InitialStep::BarzilaiBorwein.after(&accepted) - 4.0 / 9.0).abs() < 1e-15);
        let with_slope = Trial { trial_slope: Some(0.5), ..accepted };
        assert!((InitialStep::BarzilaiBorwein.after(&with_slope) - 4.0 / 9.0).abs() < 1e-15);
        assert_eq!(InitialStep::BarzilaiBorwein.after(&line(0.5, -4.0, 3.0)), 0.5e5);
        assert_eq!(InitialStep::Unit.of_run(&START), 1.0);
        let start = Start { gradient_norm: 50.0, gradient_curvature: Some(8.0), ..START };
        assert_eq!(InitialStep::BarzilaiBorwein.of_run(&start), 0.125);
        assert_eq!(InitialStep::BarzilaiBorwein.of_run(&Start { gradient_curvature: Some(-1.0), ..start }), 0.02);
    }
}
