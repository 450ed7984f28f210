//! A curvature with a preconditioner: [`Preconditioned`].

use super::Curvature;
use crate::error::Result;
use crate::linalg::preconditioner::Preconditioner;
use crate::linalg::{Form, Operator, SymmetricOperator};
use crate::problem::{At, Objective};

/// The curvature `C`, whose operators offer the preconditioner `P` to Krylov methods; `P` is rebuilt at each point.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Preconditioned<C, P>(pub C, pub P);

struct WithPreconditioner<'a> {
    operator: Operator<'a>,
    preconditioner: &'a dyn SymmetricOperator,
}

impl SymmetricOperator for WithPreconditioner<'_> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.operator.apply(v, out)
    }
    fn form(&self) -> Form<'_> {
        self.operator.form()
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        self.operator.inverse(damping)
    }
    fn preconditioner(&self) -> Option<&dyn SymmetricOperator> {
        Some(self.preconditioner)
    }
}

impl<O: Objective, C: Curvature<O>, P: Preconditioner> Curvature<O> for Preconditioned<C, P> {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let operator = self.0.at(at)?;
        self.1.update(&*operator)?;
        Ok(Box::new(WithPreconditioner { operator, preconditioner: &self.1 }))
    }
    fn accepted(&mut self, step: &[f64], gradient_change: &[f64]) {
        self.0.accepted(step, gradient_change);
        self.1.accepted(step, gradient_change);
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        self.0.exact(at)
    }
}
