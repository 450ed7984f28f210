//! Subproblems: solvers of the quadratic model `m(p) = f + gᵀp + ½ pᵀBp` for one scalar size.

mod cubic;
mod cubic_lanczos;
mod damped;
mod damped_sparse;
mod dogleg;
mod factorized;
mod forcing;
mod gltr;
mod jacobian_scale;
mod lanczos_model;
mod more_hebden;
mod more_sorensen;
mod scaled;
mod secular;
mod shifted;
mod spectral;
mod steihaug;
mod subspace;
mod tridiagonal_model;
mod truncated_cg;
mod typical_sizes;

use super::Region;
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::power::times_power;
use crate::linalg::vector::{Ranged, all_finite, dot_in_range};

pub use cubic::CubicExact;
pub use cubic_lanczos::CubicLanczos;
pub use damped::Damped;
pub use damped_sparse::SparseSolver;
pub use dogleg::{Dogleg, TwoDimensional};
pub use factorized::Factorized;
pub use forcing::Forcing;
pub use gltr::Gltr;
pub use more_hebden::MoreHebden;
pub use more_sorensen::MoreSorensen;
pub use steihaug::Steihaug;
pub use truncated_cg::TruncatedCg;

/// The quadratic model at the current point.
pub struct Model<'a> {
    /// `f(x)`.
    pub value: f64,
    /// `x`.
    pub x: &'a [f64],
    /// `g = ∇f(x)`.
    pub gradient: &'a [f64],
    /// `B`.
    pub curvature: &'a dyn SymmetricOperator,
}

/// What a subproblem says of the step it proposes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Step {
    /// Predicted reduction `−gᵀp − ½ pᵀBp` (cubic: minus `(σ/3)‖p‖³` as well); positive is good.
    pub predicted: f64,
    /// `gᵀp / size` for a [`Line`](super::Line) (the directional derivative `φ′(0)`), `gᵀp` otherwise.
    pub slope: f64,
    /// `‖p‖₂`, or `‖D p‖₂` where sizes are measured in scaled variables.
    pub length: f64,
    /// Inner iterations (CG steps, factorizations) spent on this call.
    pub inner: u64,
}

/// Proposes steps of the quadratic model.
///
/// [`prepare`](Self::prepare) runs once per accepted point and does the expensive part; [`step`](Self::step) may be
/// called several times with different sizes and allocates nothing. Larger `size` is bolder.
pub trait Subproblem {
    /// The meaning of `size`.
    type Region: Region;

    /// A run begins: forgets what was learned in an earlier one.
    fn begin(&mut self) {}

    /// Does the work that all sizes share: a factorization, a search direction. Forgets the previous model.
    ///
    /// # Errors
    /// A failing product, a matrix with non-finite entries.
    fn prepare(&mut self, model: &Model<'_>) -> Result<()>;

    /// Writes the step for `size > 0` into `p` (length of `x`).
    ///
    /// # Errors
    /// A failing product; [`Error::NonFinite`] where no step of finite numbers exists.
    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step>;

    /// Matrix factorizations done since the last call of `prepare`, that one included.
    fn factorizations(&self) -> u64 {
        0
    }

    /// `‖D x‖₂` if sizes and lengths are measured in scaled variables, known once a model was prepared.
    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        let _ = x;
        None
    }
}

/// A size as a finite positive number: infinity becomes the largest one.
fn check_size(size: f64) -> Result<f64> {
    Error::check_option(size > 0.0, "size", "positive", size)?;
    Ok(size.clamp(f64::MIN_POSITIVE, f64::MAX))
}

/// A step as it may be handed on: made of finite numbers, a reduction or slope beyond the range being the largest number.
fn finished(step: Step, p: &[f64]) -> Result<Step> {
    if !all_finite(p) {
        Error::check_finite("step", p)?;
    }
    if [step.predicted, step.slope, step.length].iter().any(|v| v.is_nan()) {
        return Err(Error::NonFinite { what: "model of a step", index: None });
    }
    let within = |v: f64| v.clamp(-f64::MAX, f64::MAX);
    Ok(Step { predicted: within(step.predicted), slope: within(step.slope), length: within(step.length), ..step })
}

/// What the model says along a direction: `dᵀg` and `dᵀBd`, both over `2^exponent`, so that neither leaves the range.
#[derive(Debug, Clone, Copy, Default)]
struct Along {
    exponent: i32,
    slope: f64,
    curvature: f64,
}

impl Along {
    fn new(slope: Ranged, curvature: Ranged) -> Self {
        let exponent = slope.exponent;
        let curvature = times_power(curvature.significand, curvature.exponent - exponent);
        Self { exponent, slope: slope.significand, curvature }
    }

    /// With the product `Bd`.
    fn of(g: &[f64], d: &[f64], bd: &[f64]) -> Self {
        Self::new(dot_in_range(g, d), dot_in_range(d, bd))
    }

    /// Reduction of the model at `size · d`.
    fn predicted(&self, size: f64) -> f64 {
        times_power(-size * (self.slope + 0.5 * size * self.curvature), self.exponent)
    }

    fn slope(&self) -> f64 {
        times_power(self.slope, self.exponent)
    }
}
