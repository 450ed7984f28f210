//! The certificate: what was verified about the curvature at the answer, and how far its minimum still is.
//!
//! Dense matrices up to [`EIGEN_LIMIT`], and product-only operators up to [`EXHAUSTED`], are decomposed; larger matrices are
//! factorized for the sign and probed by Lanczos for the extremes. Of a larger product-only operator only what products can
//! prove is said: that there is negative curvature, or that with a probability of 99 % there is none below `−η`,
//!
//! ```text
//! η = M (ln(2.75 n/δ²) / (2 (k − 1)))²,   δ = 0.01,  M the largest |Ritz value|,
//! ```
//!
//! after `k` products from a random vector (Kuczyński & Woźniakowski 1992; Royer & Wright 2018): a Ritz value with a small
//! residual has some eigenvalue near it, not the smallest.
//!
//! Whether curvature counts as zero is decided on `D⁻¹HD⁻¹` with `D = diag(|Hᵢᵢ|)^½`, which no change of the variables' units
//! changes. Newton's step `d = −H⁻¹g` with the same factor says what is left: `½ λ² = −½ gᵀd` of the cost, `maxᵢ |dᵢ|/sᵢ` of the
//! way, `s` the sizes of the variables.

mod certifier;

use crate::problem::ActiveBound;

pub use certifier::{Certifier, EIGEN_LIMIT, EXHAUSTED, PRODUCTS, ZERO};

/// What a stationary point is, judged by its exact curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum PointKind {
    /// All curvatures are positive: a strict local minimum.
    Minimum,
    /// No curvature is negative but some vanish, or the cost bends up by its higher derivatives only: a minimum or a
    /// higher-order saddle. [`Certificate::flat`] is the direction.
    Degenerate,
    /// Some curvature is negative.
    Saddle,
    /// Not determined: no exact curvature, too few products, or the point is not where the model's minimum is.
    Undetermined,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only whether there is negative curvature, and what is left.
    Sign,
    /// Extreme curvatures and condition number as well.
    Full,
}

/// The point that is examined.
#[derive(Debug, Clone, Copy)]
pub struct Stationary<'a> {
    /// `g`.
    pub gradient: &'a [f64],
    /// `‖g‖∞`; within bounds that of the projected gradient.
    pub gradient_norm: f64,
    /// `s`: a step counts by its parts of these. Zero where nothing is known of a variable.
    pub sizes: &'a [f64],
    /// The decrease of the run, which measures a variable whose size is zero: `√(2Δ/Hᵢᵢ)`.
    pub decrease: f64,
    /// A decrease of the cost that does not count, such as its rounding: directions of vanishing curvature that promise no
    /// more take no part in Newton's step.
    pub negligible: f64,
}

/// What was verified at the answer.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Certificate {
    /// `‖g‖∞`; within bounds that of the projected gradient.
    pub gradient_norm: f64,
    /// Variables at their bounds, with multipliers; curvatures are those of the variables that no bound holds.
    pub active: Vec<ActiveBound>,
    /// Smallest eigenvalue of the exact Hessian; an upper bound of it if `exact` is false.
    pub smallest_curvature: Option<f64>,
    /// Largest eigenvalue; a lower bound of it if `exact` is false.
    pub largest_curvature: Option<f64>,
    /// Ratio of the two, for a minimum.
    pub condition_number: Option<f64>,
    /// With a probability of 99 % no curvature lies below minus this; where only products were to be had.
    pub no_curvature_below: Option<f64>,
    /// Minimum, degenerate, saddle or not determined.
    pub verdict: PointKind,
    /// Whether the extremes are eigenvalues to rounding (a full decomposition) or estimates by Lanczos.
    pub exact: bool,
    /// `½ λ²`: the cost is within this of its minimum, as far as the quadratic model tells; a lower bound if
    /// [`at_least`](Self::at_least).
    pub decrease_left: Option<f64>,
    /// `‖d‖₂`: the distance to that minimum.
    pub distance_left: Option<f64>,
    /// `maxᵢ |dᵢ|/sᵢ`: the same in parts of the variables' sizes.
    pub relative_distance: Option<f64>,
    /// Whether what is left comes from conjugate gradients that were not run to the end.
    pub at_least: bool,
    /// Unit direction along which the curvature vanishes; empty unless the verdict is degenerate.
    pub flat: Vec<f64>,
}

impl Certificate {
    /// The certificate where there is no exact curvature to look at.
    pub fn undetermined(gradient_norm: f64) -> Self {
        Self {
            gradient_norm,
            active: Vec::new(),
            smallest_curvature: None,
            largest_curvature: None,
            condition_number: None,
            no_curvature_below: None,
            verdict: PointKind::Undetermined,
            exact: false,
            decrease_left: None,
            distance_left: None,
            relative_distance: None,
            at_least: false,
            flat: Vec::new(),
        }
    }

    /// The variables that take part in the flat direction, by index, the largest share first: those with at least 0.3 of its
    /// largest entry.
    pub fn flat_variables(&self) -> Vec<usize> {
        let largest = self.flat.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let mut part: Vec<usize> =
            (0..self.flat.len()).filter(|&i| largest > 0.0 && self.flat[i].abs() >= 0.3 * largest).collect();
        part.sort_by(|&i, &j| self.flat[j].abs().total_cmp(&self.flat[i].abs()));
        part
    }
}

#[cfg(test)]
mod tests;
