//! The first step length of a line search.

use super::{Start, Trial};
use crate::error::{Error, Result};

/// The first step length of each line search.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum InitialStep {
    /// Always 1: for Newton and quasi-Newton directions, whose own length is right in the end. While a quasi-Newton matrix has
    /// learned nothing, the direction is `−g`, without a length of its own, and the step is a tenth of `‖x₀‖`.
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

/// The first step of a run along `−g`, as a part of the start's length (Hager & Zhang 2006, step I0, `ψ₀`).
const FIRST: f64 = 0.1;

impl InitialStep {
    /// The first length of a run. Along `−g`, which has no length of its own, the step is a tenth of the start's
    /// ([`Start::length`]): the same step whatever the units of `f` and `x`.
    pub(crate) fn of_run(self, start: &Start) -> f64 {
        if self == Self::Unit && start.gradient_curvature != Some(0.0) {
            return 1.0;
        }
        let usable = |size: &f64| size.is_finite() && *size > 0.0;
        let sizes = [FIRST * start.length() / start.gradient_norm, 1.0 / start.gradient_norm];
        sizes.into_iter().find(usable).unwrap_or(1.0)
    }

    /// The first length after `trial` was accepted.
    pub(crate) fn after(self, trial: &Trial) -> f64 {
        let size = trial.size;
        let next = match self {
            Self::Unit => return self.after_return_to(size, trial, rise(trial) > 0.0),
            Self::Previous { growth } => growth * size,
            Self::BarzilaiBorwein => {
                let rise = rise(trial);
                // Without positive curvature the length is free: grow. Raydan's bounds on the change keep a
                // vanishing measured curvature from throwing the next step to infinity.
                let step = if rise > 0.0 { size * (-trial.slope / rise) } else { f64::INFINITY };
                step.max(1e-5 * size).min(1e5 * size)
            }
        };
        if next.is_finite() && next > 0.0 { next } else { size }
    }

    /// The first length after a search that ends at `size`, its last trial being `trial`; `bent`: the slope rose on the way,
    /// which is what quasi-Newton matrices learn from.
    pub(crate) fn after_return_to(self, size: f64, trial: &Trial, bent: bool) -> f64 {
        if self == Self::Unit && (bent || !trial.is_linear()) { 1.0 } else { size }
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

/// `φ′(size) − φ′(0)`, measured or from the values at both ends as on a parabola. Not divided by the length, which may be of
/// any order of magnitude along `−g`.
fn rise(trial: &Trial) -> f64 {
    match trial.trial_slope {
        Some(d) => d - trial.slope,
        None => 2.0 * (-trial.actual / trial.size - trial.slope),
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
        // A tenth of the start's length, of the cost's scale from the origin, of one where there is neither.
        let start = Start { gradient_norm: 50.0, x_norm: 4.0, cost: -200.0, gradient_curvature: Some(8.0), ..START };
        assert_eq!(InitialStep::BarzilaiBorwein.of_run(&start), 0.1 * 4.0 / 50.0);
        assert_eq!(InitialStep::Unit.of_run(&start), 1.0);
        let unlearned = Start { gradient_curvature: Some(0.0), ..start };
        assert_eq!(InitialStep::Unit.of_run(&unlearned), 0.1 * 4.0 / 50.0);
        let origin = Start { x_norm: 0.0, ..unlearned };
        assert_eq!(InitialStep::Unit.of_run(&origin), 0.1 * 4.0 / 50.0);
        assert_eq!(InitialStep::Unit.of_run(&Start { cost: 0.0, ..origin }), 0.1 / 50.0);
        assert_eq!(InitialStep::Unit.of_run(&Start { gradient_norm: 0.0, ..unlearned }), 1.0);
    }

    #[test]
    fn unit_step_returns_to_the_last_length_while_nothing_was_learned() {
        // No curvature in the model: the prediction is the slope's.
        let concave = Trial { predicted: 2.0, ..line(0.5, -4.0, 2.5) };
        assert_eq!(InitialStep::Unit.after(&concave), 0.5);
        assert_eq!(InitialStep::Unit.after(&Trial { actual: 1.5, ..concave }), 1.0);
        assert_eq!(InitialStep::Unit.after(&Trial { trial_slope: Some(-4.5), ..concave }), 0.5);
        assert_eq!(InitialStep::Unit.after(&Trial { trial_slope: Some(-3.5), ..concave }), 1.0);
        assert_eq!(InitialStep::Unit.after(&Trial { predicted: 1.0, ..concave }), 1.0);
    }
}
