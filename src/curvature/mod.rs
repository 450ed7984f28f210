//! Curvature matrices: each is one type with one interface, usable by every solver.

mod absolute;
mod bfgs;
mod ekfac;
mod explicit;
mod fisher;
mod gauss_newton;
mod hessian;
mod hessian_preconditioned;
mod hutchinson;
mod hybrid;
mod identity;
mod kfac;
mod lbfgs;
mod outer;
mod preconditioned;
mod residual_term;
mod running;
mod sr1;
mod subsampled;
mod tridiagonal_kfac;

use crate::error::Result;
use crate::linalg::Operator;
use crate::problem::{At, Objective};

pub use absolute::Absolute;
pub use bfgs::Bfgs;
pub use ekfac::Ekfac;
pub use explicit::{Blocks, Dense, Diagonal, Explicit};
pub use gauss_newton::GaussNewton;
pub use hessian::{Hessian, HessianProducts};
pub use hessian_preconditioned::PreconditionedProducts;
pub use hutchinson::HutchinsonDiagonal;
pub use hybrid::Hybrid;
pub use identity::Identity;
pub use kfac::{Kfac, KroneckerDamping, OutputFactor, Sharing};
pub use lbfgs::Lbfgs;
pub use outer::{EmpiricalFisher, Fisher, MonteCarloFisher, OuterProducts};
pub use preconditioned::Preconditioned;
pub use residual_term::ResidualTerm;
pub use running::{Averaged, Averaging, Invertible, Running};
pub use sr1::Sr1;
pub use subsampled::Subsampled;
pub use tridiagonal_kfac::{Tridiagonal, TridiagonalFactors, TridiagonalKfac};

/// What a curvature knows, which decides how a run estimates the decrease that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Order {
    /// Second derivatives, exact or approximate: the model's prediction and the fall of the gradient tell.
    Second,
    /// A quasi-Newton matrix whose inverse is at hand: its own Newton step tells.
    QuasiNewton,
    /// Nothing: the curvature met along the run tells.
    First,
}

/// A rule that gives the matrix `B` of the quadratic model at a point.
///
/// A curvature keeps its own state (a quasi-Newton memory, a running average), never the operator it hands out.
pub trait Curvature<O: Objective> {
    /// The operator at the point; it may borrow the curvature, the problem and the point.
    ///
    /// # Errors
    /// A failing user function, a matrix of the wrong size.
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>>;

    /// A run begins: forgets what was learned in an earlier one.
    fn begin(&mut self) {}

    /// What the matrix knows of the curvature. Default [`Order::Second`].
    fn order(&self) -> Order {
        Order::Second
    }

    /// Told after each accepted step: `step = x₊ − x`, `gradient_change = ∇f(x₊) − ∇f(x)`.
    fn accepted(&mut self, step: &[f64], gradient_change: &[f64]) {
        let _ = (step, gradient_change);
    }

    /// The exact second-order operator, where this curvature can supply it: what certificates and the escape from
    /// saddles look at. A quasi-Newton matrix has none unless it is wrapped in [`Certified`].
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        let _ = at;
        None
    }
}

/// A curvature with a second one that supplies the exact Hessian for certificates and the escape from saddles.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Certified<C, H> {
    /// Used in the model.
    pub model: C,
    /// Used for certificates.
    pub exact: H,
}

impl<O: Objective, C: Curvature<O>, H: Curvature<O>> Curvature<O> for Certified<C, H> {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        self.model.at(at)
    }
    fn begin(&mut self) {
        self.model.begin();
        self.exact.begin();
    }
    fn order(&self) -> Order {
        self.model.order()
    }
    fn accepted(&mut self, step: &[f64], gradient_change: &[f64]) {
        self.model.accepted(step, gradient_change);
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        Some(self.exact.at(at))
    }
}
