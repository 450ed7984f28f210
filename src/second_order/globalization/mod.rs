//! Globalizations: they judge trial steps by numbers alone and choose the next size.

mod armijo;
mod cubic_weight;
mod damping;
mod fixed;
mod hager_zhang;
mod initial_step;
pub(crate) mod interpolate;
mod minpack_radius;
#[cfg(test)]
mod testing;
mod trust_region;
mod wolfe;

use super::Region;
use crate::error::Stop;

pub use armijo::{Armijo, ArmijoState};
pub use cubic_weight::{CubicWeight, CubicWeightState};
pub use damping::{DampingControl, DampingControlState};
pub use fixed::Fixed;
pub use hager_zhang::{HagerZhang, HagerZhangState};
pub use initial_step::InitialStep;
pub use minpack_radius::MinpackRadius;
pub use trust_region::{TrustRegion, TrustRegionState};
pub use wolfe::{StrongWolfe, StrongWolfeState};

/// The numbers of one trial step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The size the step was made for.
    pub size: f64,
    /// Predicted reduction of the model; positive is good.
    pub predicted: f64,
    /// Actual reduction `f(x) − f(x + p)`; `−∞` if the trial is not finite. When the reduction drowns in the rounding
    /// of `f`, the minimizer computes it from the two gradients instead, as `−½ (g + g₊)ᵀp`.
    pub actual: f64,
    /// Directional derivative at the current point: `φ′(0)` for a line, `gᵀp` otherwise.
    pub slope: f64,
    /// The same at the trial point (`φ′(size)` for a line), if the gradient was evaluated there.
    pub trial_slope: Option<f64>,
    /// `‖p‖₂`, or `‖D p‖₂` where sizes are measured in scaled variables.
    pub length: f64,
    /// `‖x‖₂` (`‖D x‖₂`) at the current point.
    pub x_norm: f64,
    /// Cost at the current point, `f(x)`.
    pub cost: f64,
    /// Rounding level of `f`: reductions below it mean nothing.
    pub rounding: f64,
}

impl Trial {
    /// True if the trial can be compared at all: a finite cost at the end of a finite step.
    pub fn is_finite(&self) -> bool {
        self.actual.is_finite() && self.length.is_finite() && self.predicted.is_finite()
    }

    /// True if a step of length `length` is lost in the rounding of `x`. The bound is far below `ε ‖x‖`, because the
    /// entries of `x` may differ by many orders of magnitude.
    pub(crate) fn is_negligible(&self, length: f64) -> bool {
        // Written so that NaN counts as negligible: a search that is fed NaN must end.
        !(length > f64::EPSILON * f64::EPSILON * self.x_norm && length > f64::MIN_POSITIVE)
    }

    /// A shorter size than `size`, the length of this trial, where it is sure to move the point: from `ε ‖x‖` on at least one
    /// entry of `x + p` differs from that of `x`. A fit that asks for less has seen nothing of the function near the point;
    /// the middle between the two, on a scale of orders of magnitude, takes its place.
    pub(crate) fn perceptible(&self, wanted: f64, high: f64) -> f64 {
        let least = f64::EPSILON * self.x_norm * (self.size / self.length);
        if wanted < least && least < 0.25 * high { high * (least / high).sqrt() } else { wanted }
    }

    /// True if the model knew no curvature, so that the direction has no length of its own.
    pub(crate) fn is_linear(&self) -> bool {
        self.predicted == -self.size * self.slope
    }

    /// What rounding may take from `actual`: nothing if the gradient at the trial is known, because then a reduction
    /// that drowns in `f` was measured by gradients.
    pub(crate) fn forgiven(&self) -> f64 {
        if self.trial_slope.is_some() { 0.0 } else { self.rounding }
    }

    /// `ρ = actual / predicted`, relaxed where both drown in rounding; `−∞` if the trial is not finite.
    pub(crate) fn relaxed_ratio(&self) -> f64 {
        if self.is_finite() { relaxed_ratio(self.actual, self.predicted, self.forgiven()) } else { f64::NEG_INFINITY }
    }
}

/// `(actual + δ) / (predicted + δ)`: with the rounding `δ` of `f` it tends to 1 where both drown in it (Conn, Gould &
/// Toint 2000, §17.4.2). A model that predicts an increase gets `−∞`.
pub(crate) fn relaxed_ratio(actual: f64, predicted: f64, rounding: f64) -> f64 {
    let below = predicted + rounding;
    if below > 0.0 { (actual + rounding) / below } else { f64::NEG_INFINITY }
}

/// The factor on a size after `failures` trials in a row outside the domain of the function: `¼` to their number. Ever faster,
/// because the domain may end many orders of magnitude earlier.
pub(crate) fn retreat(failures: u64) -> f64 {
    0.25f64.powi(failures.min(500) as i32)
}

/// What to do with a trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Move to the trial that was made with `size` (any size tried since the last accepted point), and start the next
    /// iteration with size `next`.
    Accept {
        /// A size already tried.
        size: f64,
        /// First size of the next iteration.
        next: f64,
    },
    /// Try another size.
    Retry {
        /// The size to try.
        size: f64,
    },
    /// No size will do. A search knows no gradient: in [`Stop::NoProgress`] it fills `trials` only, the solver the rest.
    Stop(Stop),
}

impl Verdict {
    /// The end of a search that found no acceptable size in `trials` trials.
    pub(crate) fn give_up(trials: u64) -> Self {
        Self::Stop(Stop::NoProgress { gradient_norm: f64::NAN, bound: f64::NAN, trials })
    }
}

/// What is known before the first trial of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// `f(x₀)`.
    pub cost: f64,
    /// `‖g₀‖₂`.
    pub gradient_norm: f64,
    /// `‖x₀‖₂`.
    pub x_norm: f64,
    /// `‖D x₀‖` if sizes are measured in scaled variables.
    pub scaled_x_norm: Option<f64>,
    /// Largest diagonal entry of `B₀`, where the form shows it.
    pub largest_diagonal: Option<f64>,
    /// `g₀ᵀB₀g₀ / ‖g₀‖²`: the curvature along the gradient, where it is known. Zero for a matrix that has learned nothing yet.
    pub gradient_curvature: Option<f64>,
}

impl Start {
    /// A length in the units of `x` to measure first steps by: `‖x₀‖`, and `|f(x₀)| / ‖g₀‖` from the origin (Hager & Zhang
    /// 2006, step I0). Without either there is nothing to tell the units by, and the length is 1.
    pub(crate) fn length(&self) -> f64 {
        let usable = |length: &f64| length.is_finite() && *length > 0.0;
        [self.x_norm, self.cost.abs() / self.gradient_norm].into_iter().find(usable).unwrap_or(1.0)
    }
}

/// Judges trials. Sees numbers, never vectors or the problem.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot globalize steps over `{R}`",
    note = "line searches take `Line` subproblems, `TrustRegion` and `MinpackRadius` take `Ball`, `CubicWeight` takes `Cubic`, `DampingControl` takes `Damping`"
)]
pub trait Globalization<R: Region> {
    /// The first size of a run.
    fn first_size(&mut self, start: &Start) -> f64;

    /// Judges one trial. After `Accept` or `Stop` the next call belongs to a new search.
    fn judge(&mut self, trial: &Trial) -> Verdict;

    /// Whether the gradient must be evaluated at each trial (Wolfe conditions).
    fn needs_trial_slope(&self) -> bool {
        false
    }
}
