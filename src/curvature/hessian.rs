//! The exact Hessian, as a matrix ([`Hessian`]) or through products only ([`HessianProducts`]).

use super::{Curvature, Subsampled};
use crate::counts::{self, Counts};
use crate::error::{Error, Result};
use crate::linalg::{Operator, SymmetricOperator, Vector};
use crate::problem::{At, HessianProduct, Objective};

/// The Hessian matrix that the problem returns through argmin's `Hessian` trait: dense or sparse, used as a view.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Hessian;

impl<O> Curvature<O> for Hessian
where
    O: Objective + argmin::core::Hessian<Param = <O as Objective>::Point>,
    O::Hessian: SymmetricOperator,
{
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        counts::add(&at.counts.hessian, 1);
        let matrix = at.problem.hessian(at.x).map_err(|e| Error::Problem { what: "hessian", source: e.into() })?;
        Error::check_len("Hessian", at.dim(), matrix.dim())?;
        Ok(Box::new(matrix))
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        Some(self.at(at))
    }
}

/// The Hessian through [`HessianProduct`]: nothing is formed, each product is counted.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HessianProducts;

struct Products<'a, O: Objective> {
    problem: &'a O,
    x: &'a O::Point,
    rows: Option<&'a [usize]>,
    counts: &'a Counts,
}

impl<O: HessianProduct> SymmetricOperator for Products<'_, O> {
    fn dim(&self) -> usize {
        self.x.as_slice().len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        counts::add(&self.counts.hessian_product, 1);
        match self.rows {
            None => self.problem.hessian_product(self.x, v, out),
            Some(rows) => self.problem.hessian_product_on(self.x, rows, v, out),
        }
    }
}

/// The Hessian at a point by its products.
pub(super) fn products<O: HessianProduct>(at: At<'_, O>) -> Operator<'_> {
    Box::new(Products { problem: at.problem, x: at.x, rows: at.rows, counts: at.counts })
}

impl<O: HessianProduct> Curvature<O> for HessianProducts {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        Ok(products(at))
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        Some(self.at(at))
    }
}

impl<O: HessianProduct> Subsampled<O> for HessianProducts {}
