//! `f(x) = ½ Σ rᵢ(x)²` over [`Residuals`], with the last point's residuals and Jacobian shared by everything at that point.
//!
//! `∇f = Jᵀr`; the Gauss–Newton matrix is `JᵀJ`, the exact Hessian `JᵀJ + Σ rᵢ ∇²rᵢ`.

use super::kept::{Kept, same_bits};
use super::residuals::{Linearization, Linearize, ResidualHessian, Residuals};
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::operator::{DenseMatrix, Gram};
use crate::linalg::vector::{axpy, dot, scale};
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A nonlinear least-squares problem as an argmin problem over points of type `P`.
///
/// # Example
/// ```
/// use argmin::core::{CostFunction, Gradient};
/// use curvkit::problem::{LeastSquares, Residuals};
///
/// struct Line; // r = (x − 1, x − 3)
/// impl Residuals for Line {
///     fn n(&self) -> usize { 1 }
///     fn m(&self) -> usize { 2 }
///     fn residuals(&self, x: &[f64], out: &mut [f64]) -> curvkit::error::Result<()> {
///         out.copy_from_slice(&[x[0] - 1.0, x[0] - 3.0]);
///         Ok(())
///     }
///     fn jacobian(&self, _: &[f64], out: &mut [f64]) -> curvkit::error::Result<()> {
///         out.fill(1.0);
///         Ok(())
///     }
/// }
/// let problem = LeastSquares::new(Line);
/// assert_eq!(problem.cost(&vec![2.0])?, 1.0);
/// assert_eq!(problem.gradient(&vec![3.0])?, [2.0]);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct LeastSquares<R, P = Vec<f64>> {
    residuals: Arc<R>,
    kept: Kept<Pass<R>>,
    point: PhantomData<fn() -> P>,
}

impl<R, P> Clone for LeastSquares<R, P> {
    fn clone(&self) -> Self {
        Self { residuals: self.residuals.clone(), kept: Kept::default(), point: PhantomData }
    }
}

impl<R: Residuals> LeastSquares<R> {
    /// Over points `Vec<f64>`; see [`over`](Self::over) for others.
    pub fn new(residuals: R) -> Self {
        Self { residuals: Arc::new(residuals), kept: Kept::default(), point: PhantomData }
    }

    /// The same problem over another container, for example `nalgebra::DVector<f64>`.
    pub fn over<P: Vector>(self) -> LeastSquares<R, P> {
        LeastSquares { residuals: self.residuals, kept: self.kept, point: PhantomData }
    }
}

/// Part of the step over which the second derivative is taken: it is wanted to a digit or two.
const BEND: f64 = 0.1;

/// Residuals at a point, and their Jacobian once it was asked for.
struct Pass<R> {
    residuals: Arc<R>,
    x: Vec<f64>,
    residual: Vec<f64>,
    cost: f64,
    jacobian: OnceLock<Vec<f64>>,
    /// The buffer of an earlier Jacobian, for the next one.
    spare: Mutex<Vec<f64>>,
}

impl<R: Residuals> Pass<R> {
    fn new(residuals: Arc<R>, x: &[f64]) -> Result<Self> {
        Error::check_len("point", residuals.n(), x.len())?;
        let mut residual = vec![0.0; residuals.m()];
        residuals.residuals(x, &mut residual)?;
        let cost = 0.5 * dot(&residual, &residual);
        Ok(Self { residuals, x: x.to_vec(), residual, cost, jacobian: OnceLock::new(), spare: Mutex::default() })
    }

    /// Moves to another point, in the same buffers.
    fn renew(&mut self, x: &[f64]) -> Result<()> {
        Error::check_len("point", self.x.len(), x.len())?;
        if let Some(jacobian) = self.jacobian.take() {
            self.spare = Mutex::new(jacobian);
        }
        self.x.copy_from_slice(x);
        self.residuals.residuals(x, &mut self.residual)?;
        self.cost = 0.5 * dot(&self.residual, &self.residual);
        Ok(())
    }

    fn gram(&self) -> Result<Gram<'_>> {
        let jacobian = match self.jacobian.get() {
            Some(jacobian) => jacobian,
            None => {
                let mut jacobian = std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner));
                jacobian.clear();
                jacobian.resize(self.residual.len() * self.x.len(), 0.0);
                self.residuals.jacobian(&self.x, &mut jacobian)?;
                self.jacobian.get_or_init(|| jacobian)
            }
        };
        Gram::new(self.x.len(), jacobian, &self.residual)
    }
}

impl<R: Residuals> Linearization for Pass<R> {
    fn cost(&self) -> f64 {
        self.cost
    }
    fn gram(&self) -> Result<Gram<'_>> {
        Pass::gram(self)
    }

    /// A forward difference beside the exact slope, `(2/h) ((r(x + hv) − r)/h − Jv)` (Transtrum & Sethna 2012).
    fn bend(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let there: Vec<f64> = self.x.iter().zip(v).map(|(x, v)| x + BEND * v).collect();
        self.residuals.residuals(&there, out)?;
        for (o, r) in out.iter_mut().zip(&self.residual) {
            *o = (*o - r) / BEND;
        }
        let gram = Pass::gram(self)?;
        v.iter().enumerate().for_each(|(j, v)| axpy(-v, gram.column(j), out));
        scale(2.0 / BEND, out);
        Ok(())
    }
}

impl<R: Residuals, P> LeastSquares<R, P> {
    /// The residuals, shared.
    pub fn shared_residuals(&self) -> Arc<R> {
        self.residuals.clone()
    }

    /// The residuals.
    pub fn residuals(&self) -> &R {
        &self.residuals
    }

    /// `r(x)`.
    ///
    /// # Errors
    /// Whatever the residuals report.
    pub fn residuals_at(&self, x: &[f64]) -> Result<Vec<f64>> {
        Ok(self.pass(x)?.residual.clone())
    }

    fn pass(&self, x: &[f64]) -> Result<Arc<Pass<R>>> {
        self.look(x, Arc::clone)
    }

    fn look<V>(&self, x: &[f64], look: impl FnOnce(&Arc<Pass<R>>) -> V) -> Result<V> {
        self.kept.at(|pass| same_bits(&pass.x, x), |pass| pass.renew(x), || Pass::new(self.residuals.clone(), x), look)
    }
}

impl<R: ResidualHessian, P> LeastSquares<R, P> {
    /// `Σ rᵢ ∇²rᵢ`: what Gauss–Newton leaves out of the Hessian, `n × n`.
    ///
    /// # Errors
    /// Whatever the residuals report.
    pub fn residual_term(&self, x: &[f64]) -> Result<Vec<f64>> {
        let pass = self.pass(x)?;
        let mut out = vec![0.0; x.len() * x.len()];
        self.residuals.weighted_hessian(x, &pass.residual, &mut out)?;
        Ok(out)
    }
}

impl<R: Residuals, P: Vector> CostFunction for LeastSquares<R, P> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> std::result::Result<f64, ArgminError> {
        Ok(self.look(x.as_slice(), |pass| pass.cost)?)
    }
}

impl<R: Residuals, P: Vector> Gradient for LeastSquares<R, P> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> std::result::Result<P, ArgminError> {
        let pass = self.pass(x.as_slice())?;
        let mut g = x.clone();
        pass.gram()?.gradient(g.as_mut_slice());
        Ok(g)
    }
}

impl<R: ResidualHessian, P: Vector> Hessian for LeastSquares<R, P> {
    type Param = P;
    type Hessian = DenseMatrix;
    fn hessian(&self, x: &P) -> std::result::Result<DenseMatrix, ArgminError> {
        let x = x.as_slice();
        let n = x.len();
        let mut h = vec![0.0; n * n];
        self.pass(x)?.gram()?.write(&mut h);
        axpy(1.0, &self.residual_term(x)?, &mut h);
        Ok(DenseMatrix::new(n, h)?)
    }
}

impl<R: Residuals + 'static, P: Vector> Linearize for LeastSquares<R, P> {
    fn linearize(&self, x: &P) -> Result<Arc<dyn Linearization>> {
        Ok(self.pass(x.as_slice())?)
    }
}
