//! The exact Hessian through products, with the preconditioner that the problem makes for it.

use super::Curvature;
use super::hessian::products;
use crate::counts;
use crate::error::{Error, Result};
use crate::linalg::{Operator, SymmetricOperator};
use crate::problem::{At, HessianPreconditioner};

/// The Hessian through [`HessianProduct`](crate::problem::HessianProduct), preconditioned by the problem
/// ([`HessianPreconditioner`]) anew at each point.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PreconditionedProducts;

struct Pair<'a> {
    products: Operator<'a>,
    preconditioner: Operator<'a>,
}

impl SymmetricOperator for Pair<'_> {
    fn dim(&self) -> usize {
        self.products.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.products.apply(v, out)
    }
    fn preconditioner(&self) -> Option<&dyn SymmetricOperator> {
        Some(&*self.preconditioner)
    }
}

impl<O: HessianPreconditioner> Curvature<O> for PreconditionedProducts {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let preconditioner = at.problem.hessian_preconditioner(at.x)?;
        Error::check_len("preconditioner", at.dim(), preconditioner.dim())?;
        counts::add(&at.counts.factorization, 1);
        Ok(Box::new(Pair { products: products(at), preconditioner }))
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        Some(Ok(products(at)))
    }
}
