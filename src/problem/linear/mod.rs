//! Linear models as finite sums: `f(w) = (1/n) Σᵢ ωᵢ ℓ(W xᵢ + b, yᵢ) + ½ λ ‖W‖²` with free intercepts `b`.
//!
//! Everything is a pass over the features in blocks that stay in the cache: one pass gives value and gradient, and leaves the
//! second derivatives by the outputs for Hessians `(1/n) Xᵀ D X + λI` and their products. Sums over blocks are put together
//! in an order that does not depend on the number of threads.
//!
//! # Reference
//! McCullagh & Nelder (1989), *Generalized Linear Models*; Böhning (1992), Ann. Inst. Statist. Math. 44 (the multinomial Hessian).

mod features;
mod hessian;
mod loss;
mod pass;
mod preconditioner;
mod terms;

pub use features::{Features, Row};
pub use loss::LinearLoss;

use super::{FisherInformation, HessianProduct};
use crate::error::{Error, Result};
use crate::linalg::operator::DenseMatrix;
use crate::linalg::{Operator, Vector};
use crate::model::Block;
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use features::Map;
use pass::Pass;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// Options of a [`LinearSum`].
#[derive(Debug, Clone, PartialEq)]
pub struct LinearOptions {
    /// `λ`. Default 0.
    pub l2: f64,
    /// Whether each output has an intercept, which is not penalised. On by default.
    pub intercept: bool,
    /// `ω`, one for each sample; the mean is over the number of samples, not over the weights. Default: ones.
    pub weights: Option<Vec<f64>>,
}

impl Default for LinearOptions {
    fn default() -> Self {
        Self { l2: 0.0, intercept: true, weights: None }
    }
}

/// A linear model with its data as an argmin problem over points of type `P`.
///
/// A point holds a `K × (p + 1)` matrix by columns: entry `k + K j` is what feature `j` adds to output `k`; the last `K` are the
/// intercepts, where there are some.
///
/// # Example
/// ```
/// use argmin::core::{CostFunction, Gradient};
/// use curvkit::problem::{Features, LinearLoss, LinearOptions, LinearSum};
///
/// let features = Features::dense(1, vec![-1.0, 0.0, 2.0])?;
/// let options = LinearOptions { l2: 0.1, ..LinearOptions::default() };
/// let model = LinearSum::new(LinearLoss::Logistic, features, vec![0.0, 1.0, 1.0], &options)?;
/// assert!((model.cost(&vec![0.0, 0.0])? - 2f64.ln()).abs() < 1e-15);
/// assert!((model.gradient(&vec![0.0, 0.0])?[1] + 1.0 / 6.0).abs() < 1e-15); // mean of ½ − y
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct LinearSum<P = Vec<f64>> {
    data: Arc<Data>,
    /// The last point; locked to look up or replace, never during a pass.
    kept: Mutex<Option<Arc<Pass>>>,
    point: PhantomData<fn() -> P>,
}

#[derive(Debug)]
struct Data {
    loss: LinearLoss,
    features: Features,
    response: Vec<f64>,
    weights: Option<Vec<f64>>,
    l2: f64,
    map: Map,
    layout: Vec<Block>,
}

impl<P> Clone for LinearSum<P> {
    fn clone(&self) -> Self {
        Self { data: self.data.clone(), kept: Mutex::default(), point: PhantomData }
    }
}

impl LinearSum {
    /// A model of `response` by `features`; over points `Vec<f64>`, see [`over`](Self::over) for others.
    ///
    /// # Errors
    /// [`Error::Dimension`] for lengths that do not agree; [`Error::Config`] for no samples or a wrong option;
    /// [`Error::Observation`] with the row of a response or weight that cannot be; [`Error::Unsupported`] if free intercepts have
    /// no minimum, because a class has no samples (or all counts are zero).
    pub fn new(loss: LinearLoss, features: Features, response: Vec<f64>, options: &LinearOptions) -> Result<Self> {
        let n = features.n_samples();
        Error::check_option(n > 0, "samples", "positive", n)?;
        Error::check_len("response", n, response.len())?;
        loss.check(&response)?;
        let l2 = options.l2;
        Error::check_option(l2 >= 0.0 && l2.is_finite(), "l2", "finite and not negative", l2)?;
        if let Some(weights) = &options.weights {
            Error::check_len("weights", n, weights.len())?;
            if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
                let (requirement, value) = ("finite and not negative", weights[row]);
                return Err(Error::Observation { what: "weights", row, requirement, value });
            }
        }
        let weight = |i: usize| options.weights.as_ref().map_or(1.0, |w| w[i]);
        if options.intercept && loss.is_degenerate(&response, weight) {
            return Err(Error::Unsupported {
                what: "a free intercept for labels of one class only, or for a class without samples",
                requirement: "samples of every class (counts that are not all zero), or no intercept",
            });
        }
        let map = Map { outputs: loss.n_outputs(), features: features.n_features(), intercept: options.intercept };
        let columns = map.features + usize::from(map.intercept);
        let layout = vec![Block { name: "linear".into(), offset: 0, rows: map.outputs, columns }];
        let data = Data { loss, features, response, weights: options.weights.clone(), l2, map, layout };
        Ok(Self { data: Arc::new(data), kept: Mutex::default(), point: PhantomData })
    }

    /// The same model over another container of points, for example `nalgebra::DVector<f64>`.
    pub fn over<P: Vector>(self) -> LinearSum<P> {
        LinearSum { data: self.data, kept: self.kept, point: PhantomData }
    }
}

impl<P> LinearSum<P> {
    /// The loss.
    pub fn loss(&self) -> LinearLoss {
        self.data.loss
    }

    /// The features.
    pub fn features(&self) -> &Features {
        &self.data.features
    }

    /// The responses.
    pub fn response(&self) -> &[f64] {
        &self.data.response
    }

    /// `λ`.
    pub fn l2(&self) -> f64 {
        self.data.l2
    }

    /// Whether there are intercepts.
    pub fn has_intercept(&self) -> bool {
        self.data.map.intercept
    }

    /// Outputs `K`: 1, or the classes of a softmax.
    pub fn n_outputs(&self) -> usize {
        self.data.map.outputs
    }

    /// Number of parameters.
    pub fn n_params(&self) -> usize {
        self.data.map.n_params()
    }

    /// The outputs `W xᵢ + b` of other samples, `K` values each.
    ///
    /// # Errors
    /// [`Error::Dimension`] for parameters or features of another length.
    pub fn predict(&self, x: &[f64], features: &Features) -> Result<Vec<f64>> {
        self.data.check(x)?;
        Error::check_len("features", self.data.map.features, features.n_features())?;
        let mut outputs = vec![0.0; features.n_samples() * self.data.map.outputs];
        features.outputs(&self.data.map, 0..features.n_samples(), x, &mut outputs);
        Ok(outputs)
    }

    /// Everything at `x`; the last point is kept.
    fn pass(&self, x: &[f64]) -> Result<Arc<Pass>> {
        self.data.check(x)?;
        let lock = || self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(pass) = lock().as_ref().filter(|pass| pass.is_at(x)) {
            return Ok(pass.clone());
        }
        let pass = Arc::new(Pass::new(&self.data, x));
        *lock() = Some(pass.clone());
        Ok(pass)
    }
}

impl Data {
    fn check(&self, x: &[f64]) -> Result<()> {
        Error::check_len("point", self.map.n_params(), x.len())
    }

    fn n(&self) -> usize {
        self.response.len()
    }

    fn weight(&self, i: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |w| w[i])
    }
}

impl<P: Vector> CostFunction for LinearSum<P> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> std::result::Result<f64, ArgminError> {
        Ok(self.pass(x.as_slice())?.cost)
    }
}

impl<P: Vector> Gradient for LinearSum<P> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> std::result::Result<P, ArgminError> {
        let mut g = x.clone();
        g.as_mut_slice().copy_from_slice(&self.pass(x.as_slice())?.gradient);
        Ok(g)
    }
}

impl<P: Vector> Hessian for LinearSum<P> {
    type Param = P;
    type Hessian = DenseMatrix;
    fn hessian(&self, x: &P) -> std::result::Result<DenseMatrix, ArgminError> {
        let n = self.n_params();
        let mut h = vec![0.0; n * n];
        hessian::write(&self.data, 0..self.data.n(), &self.pass(x.as_slice())?.curvature, &mut h);
        hessian::finish(&self.data, self.data.n(), &mut h);
        Ok(DenseMatrix::new(n, h)?)
    }
}

impl<P: Vector> HessianProduct for LinearSum<P> {
    fn hessian_product(&self, x: &P, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("direction", self.n_params(), v.len())?;
        Error::check_len("product", self.n_params(), out.len())?;
        self.pass(x.as_slice())?.hessian_product(&self.data, v, out);
        Ok(())
    }
}

/// The Hessian, for the losses that are negative log-likelihoods: their links are canonical. A regulariser counts as information.
impl<P: Vector> FisherInformation for LinearSum<P> {
    fn fisher_information<'a>(&'a self, x: &'a P) -> Result<Operator<'a>> {
        if self.data.loss == LinearLoss::SquaredHinge {
            return Err(Error::Unsupported { what: "the Fisher information of a squared hinge", requirement: "a likelihood" });
        }
        let hessian = self.hessian(x).map_err(|e| Error::Problem { what: "hessian", source: e.into() })?;
        Ok(Box::new(hessian))
    }
}
