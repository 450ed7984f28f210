//! Gauss–Newton while it converges fast, the exact Hessian of the sum of squares where it does not.
//!
//! Where residuals vanish at the answer, Gauss–Newton reduces the cost by ever larger parts of itself; where they do not, the
//! parts tend to zero and `Σ rᵢ ∇²rᵢ` decides the rate of convergence.
//!
//! # Reference
//! Fletcher & Xu (1987), IMA J. Numer. Anal. 7(3), test 2.10: a step is Gauss–Newton's while the last one reduced the cost
//! by a fifth of itself. They change to BFGS, this to the exact matrix.

use super::{Curvature, GaussNewton, Hessian};
use crate::error::Result;
use crate::linalg::Operator;
use crate::problem::{At, Linearize};

/// `JᵀJ`, or `JᵀJ + Σ rᵢ ∇²rᵢ` after a step that reduced the cost by less than [`sufficient`](Self::sufficient) of itself.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Hybrid {
    /// The relative reduction of the cost from which on Gauss–Newton is trusted. Default 0.2.
    pub sufficient: f64,
    /// Cost at the last point.
    last: Option<f64>,
    exact: bool,
    gauss_newton: GaussNewton,
    hessian: Hessian,
}

impl Default for Hybrid {
    fn default() -> Self {
        Self { sufficient: 0.2, last: None, exact: false, gauss_newton: GaussNewton, hessian: Hessian }
    }
}

impl Hybrid {
    /// Whether the last matrix was the exact Hessian.
    pub fn is_exact(&self) -> bool {
        self.exact
    }
}

impl<O: Linearize> Curvature<O> for Hybrid
where
    Hessian: Curvature<O>,
{
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let cost = at.problem.linearize(at.x)?.cost();
        // A step that raised the cost says nothing of the rate of convergence.
        self.exact = self.last.is_some_and(|last| cost <= last && last - cost < self.sufficient * last);
        self.last = Some(cost);
        if self.exact { self.hessian.at(at) } else { self.gauss_newton.at(at) }
    }
    fn begin(&mut self) {
        (self.last, self.exact) = (None, false);
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        Some(self.hessian.at(at))
    }
}
