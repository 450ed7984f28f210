//! The Gauss–Newton matrix `JᵀJ` of a sum of squares.

use super::Curvature;
use crate::counts::{self, Counts};
use crate::error::{Error, Result};
use crate::linalg::operator::Form;
use crate::linalg::{Operator, SymmetricOperator};
use crate::problem::{At, Linearization, Linearize};
use std::sync::Arc;

/// `B = JᵀJ`, handed on by its factor `J`: positive semidefinite, exact where the residuals vanish or are linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GaussNewton;

/// A shared linearization whose Jacobian is known.
struct Shared<'a> {
    point: Arc<dyn Linearization>,
    counts: &'a Counts,
}

impl SymmetricOperator for Shared<'_> {
    fn dim(&self) -> usize {
        match self.point.form() {
            Ok(Form::Gram(gram)) => gram.dim(),
            Ok(Form::SparseGram(gram)) => gram.dim(),
            _ => 0,
        }
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        match self.point.form()? {
            Form::Gram(gram) => gram.apply(v, out),
            Form::SparseGram(gram) => gram.apply(v, out),
            _ => Err(Error::Unsupported { what: "a Gauss–Newton matrix", requirement: "a Jacobian" }),
        }
    }
    fn form(&self) -> Form<'_> {
        self.point.form().unwrap_or(Form::Product)
    }
    fn bend(&self, v: &[f64], out: &mut [f64]) -> Option<Result<()>> {
        counts::add(&self.counts.cost, 1);
        Some(self.point.bend(v, out))
    }
}

impl<O: Linearize> Curvature<O> for GaussNewton {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let shared = Shared { point: at.problem.linearize(at.x)?, counts: at.counts };
        counts::add(&at.counts.jacobian, 1);
        shared.point.form()?;
        Ok(Box::new(shared))
    }
}
