//! Problems: argmin's own traits under one name ([`Objective`]), and the capabilities that argmin lacks.

#[cfg(feature = "autodiff")]
mod autodiff;
#[cfg(feature = "autodiff")]
mod autodiff_residuals;
mod bounds;
pub mod check;
mod elements;
#[cfg(feature = "expression")]
mod expression;
mod finite_sum;
mod function;
pub mod glm;
mod kept;
mod least_squares;
mod linear;
mod residual_elements;
mod residuals;
mod robust;
mod separable;
pub(crate) mod state;
mod supervised;
mod ties;

use crate::counts::{self, Counts};
use crate::error::{Error, Result};
use crate::linalg::{Operator, Vector};
use argmin::core::{CostFunction, Gradient};

#[cfg(feature = "autodiff")]
pub use autodiff::{AutoDiff, DualFunction, DualNum};
#[cfg(feature = "autodiff")]
pub use autodiff_residuals::{AutoResiduals, DualResiduals};
pub use bounds::{ActiveBound, Bounds, Side};
#[cfg(feature = "autodiff")]
pub use elements::{AutoElement, DualElement};
pub use elements::{Element, Elements, ElementsBuilder};
#[cfg(feature = "expression")]
pub use expression::Expression;
pub use finite_sum::{FiniteSum, LinearTerms, PartialHessian};
pub use function::{Erased, Function, HessianMatrix};
pub use glm::{Family, Glm, Link};
pub use least_squares::LeastSquares;
pub use linear::{Features, LinearLoss, LinearOptions, LinearSum, Row};
#[cfg(feature = "autodiff")]
pub use residual_elements::{AutoResidualElement, DualResidualElement};
pub use residual_elements::{ResidualElement, ResidualElements, ResidualElementsBuilder};
pub use residuals::{FromArgmin, JacobianMatrix, Linearization, Linearize, ResidualHessian, Residuals};
pub use robust::{Robust, RobustLoss};
pub use separable::Separable;
pub use supervised::{Evaluation, Reduction, Supervised};
pub use ties::{Tie, Tied, Ties};

/// A smooth function `f: ℝⁿ → ℝ` with its gradient: any type with argmin's [`CostFunction`] and [`Gradient`] over one
/// [`Vector`] type. It is implemented for you; implement argmin's two traits.
pub trait Objective:
    CostFunction<Param = <Self as Objective>::Point, Output = f64>
    + Gradient<Param = <Self as Objective>::Point, Gradient = <Self as Objective>::Point>
{
    /// Points and gradients.
    type Point: Vector;
}

impl<P, O> Objective for O
where
    P: Vector,
    O: CostFunction<Param = P, Output = f64> + Gradient<Param = P, Gradient = P>,
{
    type Point = P;
}

/// A capability argmin lacks: products with the exact Hessian, without forming it.
pub trait HessianProduct: Objective {
    /// `out ← ∇²f(x) v`; `v` and `out` have the length of `x`.
    ///
    /// # Errors
    /// Whatever the user's function reports; the solver ends cleanly and keeps its best point.
    fn hessian_product(&self, x: &Self::Point, v: &[f64], out: &mut [f64]) -> Result<()>;

    /// The same for the mean over some terms of a finite sum, which may be named more than once.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless the problem is a finite sum that says so; else as for all terms.
    fn hessian_product_on(&self, x: &Self::Point, rows: &[usize], v: &[f64], out: &mut [f64]) -> Result<()> {
        let _ = (x, rows, v, out);
        Err(Error::Unsupported { what: "a Hessian product on some rows", requirement: "a problem that is a finite sum" })
    }
}

/// A capability: an approximate inverse of the Hessian that is made for the problem.
pub trait HessianPreconditioner: HessianProduct {
    /// An operator near `∇²f(x)⁻¹`, symmetric and positive definite.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a point of another length, [`Error::Factorization`].
    fn hessian_preconditioner<'a>(&'a self, x: &'a Self::Point) -> Result<Operator<'a>>;
}

/// A capability: the problem is a negative log-likelihood (up to a factor) and knows its expected second derivative.
pub trait FisherInformation: Objective {
    /// The expected information `E[∇²f(x)]` under the responses that the model predicts at `x`; by its factor
    /// ([`Form::Gram`](crate::linalg::Form::Gram), whose gradient must be that of `f`) where it has one.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a point of another length; whatever the model reports.
    fn fisher_information<'a>(&'a self, x: &'a Self::Point) -> Result<Operator<'a>>;
}

/// A problem at a point: what a curvature is made from.
pub struct At<'a, O: Objective> {
    /// The problem.
    pub problem: &'a O,
    /// The point.
    pub x: &'a O::Point,
    /// Terms of a finite sum that the curvature is made from; `None` means all.
    pub rows: Option<&'a [usize]>,
    /// Where evaluations are counted.
    pub counts: &'a Counts,
}

impl<O: Objective> Clone for At<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<O: Objective> Copy for At<'_, O> {}

impl<'a, O: Objective> At<'a, O> {
    /// Dimension of the point.
    pub fn dim(&self) -> usize {
        self.x.as_slice().len()
    }

    /// `f(x)`, counted. A non-finite value is returned as it is.
    ///
    /// # Errors
    /// [`Error::Problem`] with the user's error.
    pub fn cost(&self) -> Result<f64> {
        counts::add(&self.counts.cost, 1);
        self.uncounted_cost()
    }

    /// `f(x)`, for a caller that counts it.
    pub(crate) fn uncounted_cost(&self) -> Result<f64> {
        self.problem.cost(self.x).map_err(|e| Error::Problem { what: "cost", source: e.into() })
    }

    /// `∇f(x)`, counted.
    ///
    /// # Errors
    /// [`Error::Problem`] with the user's error, [`Error::Dimension`] if its length is not that of `x`.
    pub fn gradient(&self) -> Result<O::Point> {
        counts::add(&self.counts.gradient, 1);
        self.uncounted_gradient()
    }

    /// `∇f(x)`, for a caller that counts it.
    pub(crate) fn uncounted_gradient(&self) -> Result<O::Point> {
        let g = self.problem.gradient(self.x).map_err(|e| Error::Problem { what: "gradient", source: e.into() })?;
        Error::check_len("gradient", self.dim(), g.as_slice().len())?;
        Ok(g)
    }
}
