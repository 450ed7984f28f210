//! Supervised learning: a model's loss over samples as a problem, `L(θ) = R Σᵢ ℓ(f(xᵢ; θ), yᵢ) + ½ λ ‖θ‖²`.
//!
//! `R` is `1/n` ([`Reduction::Mean`]) or 1. Everything at one `θ` shares one [`Evaluation`]: a forward pass, and the backward
//! pass of the loss once it was asked for. An evaluation may see only `m` of the samples; its `R` is then `1/m`, or `n/m` for
//! the sum, so that over random rows it is an unbiased estimate of `L` either way.

use super::kept::same_bits;
use super::{FiniteSum, HessianProduct};
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::buffer::Buffer;
use crate::linalg::matrix::for_blocks;
use crate::linalg::vector::{axpy, dot, scale};
use crate::loss::{Loss, Outcome};
use crate::model::{Backward, Batch, Block, Forward, Model};
use argmin::core::{CostFunction, Error as ArgminError, Gradient};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How the samples' losses are put together. It matters beyond the scale of the loss: an empirical Fisher matrix of a sum is
/// `n` times that of a mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reduction {
    /// `(1/n) Σ`.
    #[default]
    Mean,
    /// `Σ`.
    Sum,
}

/// A model, a loss and samples as an argmin problem over points of type `P`.
///
/// # Example
/// ```
/// use argmin::core::CostFunction;
/// use curvkit::loss::SquaredError;
/// use curvkit::model::{Activation, Batch, Network};
/// use curvkit::problem::Supervised;
///
/// // y = w x + b through (0, 1) and (1, 3).
/// let line = Network::vector(1)?.dense(1, Activation::Identity)?;
/// let problem = Supervised::new(line, SquaredError, Batch::new(1, vec![0.0, 1.0])?, Batch::new(1, vec![1.0, 3.0])?)?;
/// assert_eq!(problem.cost(&vec![2.0, 1.0])?, 0.0);
/// assert_eq!(problem.cost(&vec![0.0, 1.0])?, 0.5 * (0.0 + 4.0) / 2.0);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct Supervised<P = Vec<f64>> {
    model: Arc<dyn Model>,
    terms: Arc<Terms>,
    samples: Samples,
    /// The last point and rows; locked to look up or replace, never while a pass is computed.
    kept: Mutex<Option<Arc<Evaluation>>>,
    point: PhantomData<fn() -> P>,
}

/// What the outputs are judged by.
#[derive(Clone)]
struct Terms {
    loss: Arc<dyn Loss>,
    reduction: Reduction,
    l2: f64,
    layout: Vec<Block>,
}

/// Inputs and targets.
#[derive(Clone)]
struct Samples {
    inputs: Arc<Batch>,
    targets: Arc<Batch>,
}

impl Samples {
    fn select(&self, rows: &[usize]) -> Result<Self> {
        Ok(Self { inputs: Arc::new(self.inputs.select(rows)?), targets: Arc::new(self.targets.select(rows)?) })
    }
}

impl Supervised {
    /// The mean loss without regulariser.
    ///
    /// # Errors
    /// [`Error::Dimension`] if numbers of samples, inputs or targets do not fit together, [`Error::Target`] for a target out
    /// of range.
    pub fn new(model: impl Model + 'static, loss: impl Loss + 'static, inputs: Batch, targets: Batch) -> Result<Self> {
        Error::check_len("values per input sample", model.n_inputs(), inputs.dim())?;
        Error::check_len("targets", inputs.n(), targets.n())?;
        loss.check(&targets, model.n_outputs())?;
        let layout = model.layout();
        let terms = Terms { loss: Arc::new(loss), reduction: Reduction::Mean, l2: 0.0, layout };
        Ok(Self {
            model: Arc::new(model),
            terms: Arc::new(terms),
            samples: Samples { inputs: Arc::new(inputs), targets: Arc::new(targets) },
            kept: Mutex::default(),
            point: PhantomData,
        })
    }

    /// The same problem over another container, for example `nalgebra::DVector<f64>`.
    pub fn over<P: Vector>(self) -> Supervised<P> {
        Supervised { model: self.model, terms: self.terms, samples: self.samples, kept: self.kept, point: PhantomData }
    }
}

impl<P> Supervised<P> {
    fn with(mut self, change: impl FnOnce(&mut Terms)) -> Self {
        self.kept = Mutex::default();
        change(Arc::make_mut(&mut self.terms));
        self
    }

    /// Sums or averages the samples' losses.
    pub fn reduction(self, reduction: Reduction) -> Self {
        self.with(|terms| terms.reduction = reduction)
    }

    /// Adds `½ λ ‖θ‖²`.
    ///
    /// # Errors
    /// [`Error::Config`] if `λ` is negative or not finite.
    pub fn l2(self, lambda: f64) -> Result<Self> {
        Error::check_option(lambda >= 0.0 && lambda.is_finite(), "l2", "at least 0", lambda)?;
        Ok(self.with(|terms| terms.l2 = lambda))
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The parameters' parts.
    pub fn layout(&self) -> &[Block] {
        &self.terms.layout
    }

    /// `λ` of the regulariser `½ λ ‖θ‖²`.
    pub fn regularizer(&self) -> f64 {
        self.terms.l2
    }

    /// Number of samples.
    pub fn n_terms(&self) -> usize {
        self.samples.targets.n()
    }

    /// The model and the loss's derivatives at `theta`; the last one is kept, so asking again at the same point costs nothing.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is wrong.
    pub fn evaluate(&self, theta: &[f64]) -> Result<Arc<Evaluation>> {
        self.evaluate_rows(theta, None)
    }

    /// [`evaluate`](Self::evaluate) on some of the samples, in the order given and as often as they are named; `None` means
    /// all. The last evaluation is kept, whatever its rows are.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length of `theta` is wrong; [`Error::Config`] if there is no such sample or none is asked
    /// for.
    pub fn evaluate_rows(&self, theta: &[f64], rows: Option<&[usize]>) -> Result<Arc<Evaluation>> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |at: &Arc<Evaluation>| at.rows.as_deref() == rows && same_bits(&at.theta, theta);
        if let Some(at) = lock().as_ref().filter(|at| same(at)) {
            return Ok(at.clone());
        }
        let samples = rows.map_or_else(|| Ok(self.samples.clone()), |rows| self.samples.select(rows))?;
        let theta: Arc<[f64]> = theta.into();
        let forward = self.model.forward(&theta, &samples.inputs)?;
        let mut at = Evaluation::new(self.terms.clone(), theta, samples.targets, forward);
        if let Some(rows) = rows {
            at.rows = Some(rows.to_vec());
            at.n_all = self.n_terms();
        }
        let at = Arc::new(at.with_cost());
        *lock() = Some(at.clone());
        Ok(at)
    }

    /// The mean over `rows` of the terms `fᵢ` of `L = n⁻¹ Σ fᵢ`, and its gradient: `fᵢ = ℓᵢ + ½ λ‖θ‖²` for the mean of the
    /// losses, `n ℓᵢ + ½ λ‖θ‖²` for their sum.
    ///
    /// # Errors
    /// As [`evaluate_rows`](Self::evaluate_rows); [`Error::Dimension`] if the gradient's length is wrong.
    pub fn partial(&self, theta: &[f64], rows: &[usize], gradient: &mut [f64]) -> Result<f64> {
        let at = self.evaluate_rows(theta, Some(rows))?;
        at.gradient(gradient)?;
        Ok(at.cost())
    }

    /// `Σ_k w_k f_{rows[k]}` and its gradient; the terms are those of [`partial`](Self::partial).
    ///
    /// # Errors
    /// As [`partial`](Self::partial); [`Error::Dimension`] unless there is one weight for each row.
    pub fn weighted_partial(&self, theta: &[f64], rows: &[usize], weights: &[f64], gradient: &mut [f64]) -> Result<f64> {
        Error::check_len("weights of rows", rows.len(), weights.len())?;
        self.evaluate_rows(theta, Some(rows))?.weighted(weights, gradient)
    }

    /// `out ← ∇²(m⁻¹ Σ fᵢ) v` over `m` rows; the terms are those of [`partial`](Self::partial).
    ///
    /// # Errors
    /// As [`partial`](Self::partial).
    pub fn partial_product(&self, theta: &[f64], rows: &[usize], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.regularized_product(theta, Some(rows), v, out)
    }

    fn regularized_product(&self, theta: &[f64], rows: Option<&[usize]>, v: &[f64], out: &mut [f64]) -> Result<()> {
        let at = self.evaluate_rows(theta, rows)?;
        at.hessian_product(v, out)?;
        axpy(at.l2(), v, out);
        Ok(())
    }
}

/// A supervised problem at one point: immutable, shared by cost, gradient and every curvature.
pub struct Evaluation {
    terms: Arc<Terms>,
    theta: Arc<[f64]>,
    /// Which samples; `None` if all.
    rows: Option<Vec<usize>>,
    /// Samples of the problem, seen or not.
    n_all: usize,
    targets: Arc<Batch>,
    forward: Arc<dyn Forward>,
    data_cost: f64,
    backward: OnceLock<Arc<dyn Backward>>,
}

impl Evaluation {
    /// On all the samples of the targets; the cost is still to come.
    fn new(terms: Arc<Terms>, theta: Arc<[f64]>, targets: Arc<Batch>, forward: Arc<dyn Forward>) -> Self {
        let n_all = targets.n();
        let backward = OnceLock::new();
        Self { terms, theta, rows: None, n_all, targets, forward, data_cost: 0.0, backward }
    }

    fn with_cost(mut self) -> Self {
        self.data_cost = self.weight() * self.loss().value(&self.outcome());
        self
    }

    /// Number of parameters.
    pub fn n_params(&self) -> usize {
        self.theta.len()
    }

    /// Number of samples `m` that it sees.
    pub fn n(&self) -> usize {
        self.targets.n()
    }

    /// Which samples it sees; `None` if all.
    pub fn rows(&self) -> Option<&[usize]> {
        self.rows.as_deref()
    }

    /// `R`: what each sample's loss is multiplied by; `1/m` for the mean, `n/m` for the sum (1 if all samples are seen).
    pub fn weight(&self) -> f64 {
        match self.terms.reduction {
            Reduction::Mean => 1.0 / self.n() as f64,
            Reduction::Sum => self.n_all as f64 / self.n() as f64,
        }
    }

    /// `λ` of the regulariser `½ λ ‖θ‖²`.
    pub fn l2(&self) -> f64 {
        self.terms.l2
    }

    /// The parameters' parts.
    pub fn layout(&self) -> &[Block] {
        &self.terms.layout
    }

    /// The loss.
    pub fn loss(&self) -> &dyn Loss {
        &*self.terms.loss
    }

    /// Outputs and targets.
    pub fn outcome(&self) -> Outcome<'_> {
        let outputs = self.forward.outputs();
        Outcome { outputs, n_outputs: outputs.len() / self.n(), targets: &self.targets }
    }

    /// The model's forward pass.
    pub fn forward(&self) -> &Arc<dyn Forward> {
        &self.forward
    }

    /// The backward pass of the loss: per-sample gradients `gᵢ = Jᵢᵀ∇ℓᵢ`, without `R`.
    ///
    /// # Errors
    /// Whatever the model reports.
    pub fn backward(&self) -> Result<&Arc<dyn Backward>> {
        if let Some(backward) = self.backward.get() {
            return Ok(backward);
        }
        let mut slopes = Buffer::zeros(self.forward.outputs().len());
        self.loss().gradient(&self.outcome(), &mut slopes);
        let backward = self.forward.clone().backward(&slopes)?;
        Ok(self.backward.get_or_init(|| backward))
    }

    /// `L(θ)`.
    pub fn cost(&self) -> f64 {
        self.data_cost + self.penalty(self.l2())
    }

    /// `out ← ∇L(θ)`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is wrong; whatever the model reports.
    pub fn gradient(&self, out: &mut [f64]) -> Result<()> {
        self.backward()?.gradient(out)?;
        for_blocks(1, out, |_, block| scale(self.weight(), block));
        self.add_penalty_gradient(self.l2(), out);
        Ok(())
    }

    /// `½ λ‖θ‖²`.
    fn penalty(&self, l2: f64) -> f64 {
        if l2 == 0.0 { 0.0 } else { 0.5 * l2 * dot(&self.theta, &self.theta) }
    }

    /// `out ← out + λ θ`.
    fn add_penalty_gradient(&self, l2: f64, out: &mut [f64]) {
        if l2 != 0.0 {
            axpy(l2, &self.theta, out);
        }
    }

    /// The value and gradient of the sum of the terms that the samples are, each with a weight.
    fn weighted(&self, weights: &[f64], gradient: &mut [f64]) -> Result<f64> {
        self.backward()?.weighted_gradient(weights, gradient)?;
        let each = self.weight() * self.n() as f64;
        scale(each, gradient);
        let mut values = vec![0.0; self.n()];
        self.loss().values(&self.outcome(), &mut values);
        let l2 = self.l2() * weights.iter().sum::<f64>();
        self.add_penalty_gradient(l2, gradient);
        Ok(each * dot(weights, &values) + self.penalty(l2))
    }

    /// `out ← ∇²(L − ½ λ‖θ‖²) v`, the exact Hessian of the data term times `v`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong; whatever the model reports.
    pub fn hessian_product(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let mut turn = |change: &[f64], out: &mut [f64]| {
            self.loss().hessian_product(&self.outcome(), change, out);
            Ok(())
        };
        self.backward()?.second_product(v, &mut turn, out)?;
        scale(self.weight(), out);
        Ok(())
    }

    /// `out ← R Σᵢ Σ_c (∇ℓᵢ)_c ∇²f_{i,c} v`: what the generalized Gauss–Newton matrix leaves out of the Hessian.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong; whatever the model reports.
    pub fn residual_product(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let mut still = |_: &[f64], out: &mut [f64]| {
            out.fill(0.0);
            Ok(())
        };
        self.backward()?.second_product(v, &mut still, out)?;
        scale(self.weight(), out);
        Ok(())
    }
}

impl<P: Vector> CostFunction for Supervised<P> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> std::result::Result<f64, ArgminError> {
        Ok(self.evaluate(x.as_slice())?.cost())
    }
}

impl<P: Vector> Gradient for Supervised<P> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> std::result::Result<P, ArgminError> {
        let mut g = x.clone();
        self.evaluate(x.as_slice())?.gradient(g.as_mut_slice())?;
        Ok(g)
    }
}

impl<P: Vector> HessianProduct for Supervised<P> {
    fn hessian_product(&self, x: &P, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.regularized_product(x.as_slice(), None, v, out)
    }
    fn hessian_product_on(&self, x: &P, rows: &[usize], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.regularized_product(x.as_slice(), Some(rows), v, out)
    }
}

impl<P: Vector> FiniteSum for Supervised<P> {
    fn n_terms(&self) -> usize {
        self.n_terms()
    }
    fn partial(&self, x: &[f64], rows: &[usize], gradient: &mut [f64]) -> Result<f64> {
        self.partial(x, rows, gradient)
    }
    fn partial_cost(&self, x: &[f64], rows: &[usize]) -> Result<f64> {
        Ok(self.evaluate_rows(x, Some(rows))?.cost())
    }
    fn weighted_partial(&self, x: &[f64], rows: &[usize], weights: &[f64], gradient: &mut [f64]) -> Result<f64> {
        self.weighted_partial(x, rows, weights, gradient)
    }
    fn partial_product(&self, x: &[f64], rows: &[usize], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.partial_product(x, rows, v, out)
    }
    fn sampled_partial(&self, x: &[f64], rows: &[usize], seed: u64, out: &mut [f64]) -> Result<()> {
        let at = self.evaluate_rows(x, Some(rows))?;
        let mut slopes = vec![0.0; at.outcome().outputs.len()];
        at.loss().likelihood()?.sample_gradient(&at.outcome(), &mut ChaCha8Rng::seed_from_u64(seed), &mut slopes);
        at.forward().clone().backward(&slopes)?.gradient(out)?;
        scale((at.weight() / at.n() as f64).sqrt(), out);
        Ok(())
    }
    fn layout(&self) -> &[Block] {
        self.layout()
    }
}
