//! One erased problem type: what is known by name at run time (test problems, expressions) runs on every solver.

use super::HessianProduct;
use crate::error::{Error, Result};
use crate::linalg::operator::{DenseMatrix, SparseMatrix};
use crate::linalg::{Form, SymmetricOperator};
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use std::sync::Arc;

/// A twice differentiable function over slices; object safe.
pub trait Function: Send + Sync {
    /// Number of variables.
    fn dim(&self) -> usize;
    /// `f(x)`.
    ///
    /// # Errors
    /// Whatever the function reports.
    fn cost(&self, x: &[f64]) -> Result<f64>;
    /// `out ← ∇f(x)`.
    ///
    /// # Errors
    /// Whatever the function reports.
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()>;
    /// `∇²f(x)`, dense or sparse.
    ///
    /// # Errors
    /// Whatever the function reports.
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix>;
    /// `out ← ∇²f(x) v`; by default through the matrix.
    ///
    /// # Errors
    /// Whatever the function reports.
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.hessian(x)?.apply(v, out)
    }
}

/// A Hessian whose storage is decided at run time.
#[derive(Debug, Clone, PartialEq)]
pub enum HessianMatrix {
    /// Dense.
    Dense(DenseMatrix),
    /// Sparse.
    Sparse(SparseMatrix),
}

impl SymmetricOperator for HessianMatrix {
    fn dim(&self) -> usize {
        match self {
            Self::Dense(m) => m.dim(),
            Self::Sparse(m) => m.dim(),
        }
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        match self {
            Self::Dense(m) => m.apply(v, out),
            Self::Sparse(m) => m.apply(v, out),
        }
    }
    fn form(&self) -> Form<'_> {
        match self {
            Self::Dense(m) => m.form(),
            Self::Sparse(m) => m.form(),
        }
    }
}

/// A shared [`Function`] as an argmin problem over `Vec<f64>`.
#[derive(Clone)]
pub struct Erased(pub Arc<dyn Function>);

impl Erased {
    fn check(&self, x: &[f64]) -> Result<()> {
        Error::check_len("point", self.0.dim(), x.len())
    }
}

impl CostFunction for Erased {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
        self.check(x)?;
        Ok(self.0.cost(x)?)
    }
}

impl Gradient for Erased {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
        self.check(x)?;
        let mut g = vec![0.0; x.len()];
        self.0.gradient(x, &mut g)?;
        Ok(g)
    }
}

impl Hessian for Erased {
    type Param = Vec<f64>;
    type Hessian = HessianMatrix;
    fn hessian(&self, x: &Vec<f64>) -> std::result::Result<HessianMatrix, ArgminError> {
        self.check(x)?;
        Ok(self.0.hessian(x)?)
    }
}

impl HessianProduct for Erased {
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x)?;
        self.0.hessian_product(x, v, out)
    }
}
