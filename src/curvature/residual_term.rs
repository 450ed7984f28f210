//! `Σ rᵢ ∇²rᵢ`: what Gauss–Newton leaves out of the Hessian of a sum of squares, by itself.

use super::Curvature;
use crate::counts;
use crate::error::Result;
use crate::linalg::operator::DenseMatrix;
use crate::linalg::vector::norm;
use crate::linalg::{Operator, Vector};
use crate::problem::{At, LeastSquares, Linearize, ResidualHessian};

/// `B = Σ rᵢ ∇²rᵢ`, indefinite in general; with [`GaussNewton`](super::GaussNewton) it adds up to the exact Hessian.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ResidualTerm;

impl ResidualTerm {
    /// `‖Σ rᵢ ∇²rᵢ‖ / ‖H‖` (Frobenius) in variables scaled by the columns of `J`, which no change of units alters: how much
    /// of the Hessian Gauss–Newton leaves out. 0 where that is nothing at all.
    ///
    /// # Errors
    /// Whatever the residuals report.
    pub fn share<R: ResidualHessian + 'static>(problem: &LeastSquares<R>, x: &[f64]) -> Result<f64> {
        let n = x.len();
        let point = problem.linearize(&x.to_vec())?;
        let gram = point.gram()?;
        let scale: Vec<f64> = (0..n).map(|j| norm(gram.column(j))).map(|l| if l > 0.0 { l } else { 1.0 }).collect();
        let mut rest = problem.residual_term(x)?;
        let mut whole = vec![0.0; n * n];
        gram.write(&mut whole);
        for (k, (whole, rest)) in whole.iter_mut().zip(&mut rest).enumerate() {
            *rest = *rest / scale[k % n] / scale[k / n];
            *whole = *whole / scale[k % n] / scale[k / n] + *rest;
        }
        let (part, total) = (norm(&rest), norm(&whole));
        Ok(if part > 0.0 { part / total } else { 0.0 })
    }
}

impl<R: ResidualHessian, P: Vector> Curvature<LeastSquares<R, P>> for ResidualTerm {
    fn at<'a>(&'a mut self, at: At<'a, LeastSquares<R, P>>) -> Result<Operator<'a>> {
        counts::add(&at.counts.hessian, 1);
        let entries = at.problem.residual_term(at.x.as_slice())?;
        Ok(Box::new(DenseMatrix::new(at.dim(), entries)?))
    }
}
