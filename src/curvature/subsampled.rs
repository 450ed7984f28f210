//! Curvatures over some rows of a finite sum, and their damped inverses applied to gradients.

use super::{
    Blocks, Curvature, Dense, Diagonal, Ekfac, EmpiricalFisher, Fisher, GaussNewton, Identity, Kfac, MonteCarloFisher,
    OuterProducts, TridiagonalKfac,
};
use crate::error::Result;
use crate::linalg::krylov::cg::{Cg, CgEnd, CgLimits};
use crate::linalg::operator::{Combination, ScaledIdentity};
use crate::linalg::vector::scale;
use crate::linalg::{SymmetricOperator, Vector};
use crate::problem::{At, Objective, Supervised};

/// Relative residual to which a matrix without an inverse in closed form is solved.
const TOLERANCE: f64 = 1e-6;

/// A curvature that looks at the rows it is given ([`At::rows`]): what a stochastic method may be preconditioned with.
pub trait Subsampled<O: Objective>: Curvature<O> {
    /// `update ← (B + damping I)⁻¹ update`, with `B` at the point and the rows; returns the inner iterations it took.
    ///
    /// By default in closed form where the operator has one, else by conjugate gradients to a relative residual of 1e-6. Where
    /// they meet negative curvature the answer is what they found up to there, the gradient itself if that is nothing.
    ///
    /// # Errors
    /// Those of the curvature and of its products.
    fn precondition(&mut self, at: At<'_, O>, damping: f64, update: &mut [f64]) -> Result<u64> {
        let operator = self.at(at)?;
        if let Some(inverse) = operator.inverse(damping) {
            let gradient = update.to_vec();
            inverse?.apply(&gradient, update)?;
            return Ok(0);
        }
        let shift = ScaledIdentity { n: operator.dim(), c: damping };
        solve(&Combination::new(vec![(1.0, Box::new(&*operator)), (1.0, Box::new(shift))])?, operator.preconditioner(), update)
    }
}

/// `update ← B⁻¹ update` by conjugate gradients.
fn solve(matrix: &dyn SymmetricOperator, preconditioner: Option<&dyn SymmetricOperator>, update: &mut [f64]) -> Result<u64> {
    let mut cg = Cg::default();
    cg.start(update, preconditioner, 0)?;
    let limits = CgLimits { tolerance: TOLERANCE, max_iterations: 2 * update.len() as u64 + 20, ..CgLimits::default() };
    let end = cg.advance(matrix, preconditioner, &limits)?;
    if end != CgEnd::NegativeCurvature || cg.iterations() > 0 {
        // The loop solves B x = −g.
        let unit = -cg.unit();
        update.iter_mut().zip(cg.x()).for_each(|(u, x)| *u = unit * x);
    }
    Ok(cg.iterations())
}

impl<O: Objective> Subsampled<O> for Identity {
    fn precondition(&mut self, _at: At<'_, O>, damping: f64, update: &mut [f64]) -> Result<u64> {
        if damping != 0.0 {
            scale(1.0 / (1.0 + damping), update);
        }
        Ok(0)
    }
}

macro_rules! over_rows_of_supervised_problems {
    ($($curvature:ident),* ; $($of:ident),*) => {
        $(impl<P: Vector> Subsampled<Supervised<P>> for $curvature {})*
        $(impl<P: Vector, S: OuterProducts> Subsampled<Supervised<P>> for $of<S> {})*
    };
}
over_rows_of_supervised_problems!(
    GaussNewton, Fisher, MonteCarloFisher, EmpiricalFisher;
    Dense, Diagonal, Blocks, Kfac, Ekfac, TridiagonalKfac
);
