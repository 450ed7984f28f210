//! Residual vectors `r: ℝⁿ → ℝᵐ`, and a problem at a point as its residual and Jacobian ([`Linearization`]).

use super::Objective;
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::operator::{Form, Gram};
use std::sync::Arc;

/// Residuals `r: ℝⁿ → ℝᵐ` and their Jacobian; object safe.
pub trait Residuals: Send + Sync {
    /// Number of variables.
    fn n(&self) -> usize;
    /// Number of residuals.
    fn m(&self) -> usize;
    /// `out ← r(x)`, `m` values.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong; whatever the user's function reports.
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()>;
    /// `out ← J(x)`, `m × n`, column-major.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong; whatever the user's function reports.
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()>;
}

/// Second derivatives of residuals: what the exact Hessian of their sum of squares needs beside the Jacobian.
pub trait ResidualHessian: Residuals {
    /// `out ← Σ wᵢ ∇²rᵢ(x)`, `n × n`, both triangles.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong; whatever the user's function reports.
    fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()>;
}

macro_rules! forward_residuals {
    ($pointer:ty) => {
        impl<R: Residuals + ?Sized> Residuals for $pointer {
            fn n(&self) -> usize {
                (**self).n()
            }
            fn m(&self) -> usize {
                (**self).m()
            }
            fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
                (**self).residuals(x, out)
            }
            fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
                (**self).jacobian(x, out)
            }
        }
        impl<R: ResidualHessian + ?Sized> ResidualHessian for $pointer {
            fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
                (**self).weighted_hessian(x, weights, out)
            }
        }
    };
}
forward_residuals!(Arc<R>);
forward_residuals!(Box<R>);

/// A matrix that argmin's `Jacobian` trait may return: its entries can be copied out.
pub trait JacobianMatrix {
    /// `out ← J`, `m × n`, column-major.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the matrix is not `m × n`.
    fn write(&self, m: usize, n: usize, out: &mut [f64]) -> Result<()>;
}

impl JacobianMatrix for nalgebra::DMatrix<f64> {
    fn write(&self, m: usize, n: usize, out: &mut [f64]) -> Result<()> {
        Error::check_len("Jacobian rows", m, self.nrows())?;
        Error::check_len("Jacobian columns", n, self.ncols())?;
        out.copy_from_slice(self.as_slice());
        Ok(())
    }
}

impl JacobianMatrix for faer::Mat<f64> {
    fn write(&self, m: usize, n: usize, out: &mut [f64]) -> Result<()> {
        Error::check_len("Jacobian rows", m, self.nrows())?;
        Error::check_len("Jacobian columns", n, self.ncols())?;
        for j in 0..n {
            (0..m).for_each(|i| out[j * m + i] = self[(i, j)]);
        }
        Ok(())
    }
}

impl JacobianMatrix for Vec<Vec<f64>> {
    fn write(&self, m: usize, n: usize, out: &mut [f64]) -> Result<()> {
        Error::check_len("Jacobian rows", m, self.len())?;
        for (i, row) in self.iter().enumerate() {
            Error::check_len("Jacobian row", n, row.len())?;
            row.iter().enumerate().for_each(|(j, v)| out[j * m + i] = *v);
        }
        Ok(())
    }
}

/// A problem written for argmin's least-squares solvers (`Operator` for the residuals, `Jacobian` for their derivatives)
/// as [`Residuals`].
pub struct FromArgmin<O> {
    problem: O,
    n: usize,
    m: usize,
}

impl<O> FromArgmin<O> {
    /// With `n` variables and `m` residuals.
    pub fn new(problem: O, n: usize, m: usize) -> Self {
        Self { problem, n, m }
    }
}

impl<O, P, J> Residuals for FromArgmin<O>
where
    P: Vector + From<Vec<f64>>,
    J: JacobianMatrix,
    O: argmin::core::Operator<Param = P, Output = P> + argmin::core::Jacobian<Param = P, Jacobian = J> + Send + Sync,
{
    fn n(&self) -> usize {
        self.n
    }
    fn m(&self) -> usize {
        self.m
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let failed = |e: argmin::core::Error| Error::Problem { what: "residuals", source: e.into() };
        let r = self.problem.apply(&P::from(x.to_vec())).map_err(failed)?;
        Error::check_len("residuals", self.m, r.as_slice().len())?;
        Error::check_len("residual buffer", self.m, out.len())?;
        out.copy_from_slice(r.as_slice());
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let failed = |e: argmin::core::Error| Error::Problem { what: "jacobian", source: e.into() };
        Error::check_len("Jacobian buffer", self.m * self.n, out.len())?;
        self.problem.jacobian(&P::from(x.to_vec())).map_err(failed)?.write(self.m, self.n, out)
    }
}

/// A problem at one point as `f = ½ ‖r‖²` with the linear model `r + J p`: immutable, shared by cost, gradient and
/// curvature.
pub trait Linearization: Send + Sync {
    /// `½ ‖r‖²`.
    fn cost(&self) -> f64;
    /// `r`, `J` and their Gram matrix `JᵀJ`; the Jacobian is evaluated when first asked for.
    ///
    /// # Errors
    /// Whatever the user's Jacobian reports.
    fn gram(&self) -> Result<Gram<'_>>;
    /// The Gram matrix as it is stored: [`Form::Gram`], or [`Form::SparseGram`] where the Jacobian is sparse and
    /// [`gram`](Self::gram) is [`Error::Unsupported`].
    ///
    /// # Errors
    /// Whatever the user's Jacobian reports.
    fn form(&self) -> Result<Form<'_>> {
        self.gram().map(Form::Gram)
    }
    /// `out ← ∂²r(x)[v, v]`, at the cost of one evaluation of the residuals.
    ///
    /// # Errors
    /// Whatever the user's residuals report.
    fn bend(&self, v: &[f64], out: &mut [f64]) -> Result<()>;
}

/// A capability: the problem is a sum of squares and can be linearized.
pub trait Linearize: Objective {
    /// The linearization at `x`; the last one is kept, so asking again at the same point costs nothing.
    ///
    /// # Errors
    /// Whatever the user's residuals report.
    fn linearize(&self, x: &Self::Point) -> Result<Arc<dyn Linearization>>;
}
