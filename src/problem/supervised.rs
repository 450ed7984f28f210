//! Supervised learning: a model's loss over samples as a problem, `L(θ) = R Σᵢ ℓ(f(xᵢ; θ), yᵢ) + ½ λ ‖θ‖²`.
//!
//! `R` is `1/n` ([`Reduction::Mean`]) or 1. Everything at one `θ` shares one [`Evaluation`]: a forward pass, and the backward
//! pass of the loss once it was asked for.

use super::HessianProduct;
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::vector::{axpy, dot, scale};
use crate::loss::{Loss, Outcome};
use crate::model::{Backward, Batch, Block, Forward, Model};
use argmin::core::{CostFunction, Error as ArgminError, Gradient};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock};

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
    inputs: Arc<Batch>,
    /// The last point; locked to look up or replace, never while a pass is computed.
    kept: Mutex<Option<Arc<Evaluation>>>,
    point: PhantomData<fn() -> P>,
}

/// What the outputs are judged by.
struct Terms {
    loss: Box<dyn Loss>,
    targets: Batch,
    reduction: Reduction,
    l2: f64,
    layout: Vec<Block>,
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
        let terms = Terms { loss: Box::new(loss), targets, reduction: Reduction::Mean, l2: 0.0, layout };
        Ok(Self {
            model: Arc::new(model),
            terms: Arc::new(terms),
            inputs: Arc::new(inputs),
            kept: Mutex::default(),
            point: PhantomData,
        })
    }

    /// The same problem over another container, for example `nalgebra::DVector<f64>`.
    pub fn over<P: Vector>(self) -> Supervised<P> {
        Supervised { model: self.model, terms: self.terms, inputs: self.inputs, kept: self.kept, point: PhantomData }
    }
}

impl<P> Supervised<P> {
    fn with(mut self, change: impl FnOnce(&mut Terms)) -> Self {
        self.kept = Mutex::default();
        if let Some(terms) = Arc::get_mut(&mut self.terms) {
            change(terms);
        }
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

    /// The model and the loss's derivatives at `theta`; the last one is kept, so asking again at the same point costs nothing.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is wrong.
    pub fn evaluate(&self, theta: &[f64]) -> Result<Arc<Evaluation>> {
        let lock = || self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let same = |at: &Arc<Evaluation>| at.theta.iter().map(|v| v.to_bits()).eq(theta.iter().map(|v| v.to_bits()));
        if let Some(at) = lock().as_ref().filter(|at| same(at)) {
            return Ok(at.clone());
        }
        let forward = self.model.forward(theta, &self.inputs)?;
        let at = Arc::new(Evaluation::new(self.terms.clone(), theta, forward));
        *lock() = Some(at.clone());
        Ok(at)
    }
}

/// A supervised problem at one point: immutable, shared by cost, gradient and every curvature.
pub struct Evaluation {
    terms: Arc<Terms>,
    theta: Vec<f64>,
    forward: Arc<dyn Forward>,
    data_cost: f64,
    backward: OnceLock<Arc<dyn Backward>>,
}

impl Evaluation {
    fn new(terms: Arc<Terms>, theta: &[f64], forward: Arc<dyn Forward>) -> Self {
        let mut at = Self { terms, theta: theta.to_vec(), forward, data_cost: 0.0, backward: OnceLock::new() };
        at.data_cost = at.weight() * at.loss().value(&at.outcome());
        at
    }

    /// Number of parameters.
    pub fn n_params(&self) -> usize {
        self.theta.len()
    }

    /// Number of samples.
    pub fn n(&self) -> usize {
        self.terms.targets.n()
    }

    /// `R`: what each sample's loss is multiplied by.
    pub fn weight(&self) -> f64 {
        match self.terms.reduction {
            Reduction::Mean => 1.0 / self.n() as f64,
            Reduction::Sum => 1.0,
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
        Outcome { outputs, n_outputs: outputs.len() / self.n(), targets: &self.terms.targets }
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
        let mut slopes = vec![0.0; self.forward.outputs().len()];
        self.loss().gradient(&self.outcome(), &mut slopes);
        let backward = self.forward.clone().backward(&slopes)?;
        Ok(self.backward.get_or_init(|| backward))
    }

    /// `L(θ)`.
    pub fn cost(&self) -> f64 {
        self.data_cost + 0.5 * self.l2() * dot(&self.theta, &self.theta)
    }

    /// `out ← ∇L(θ)`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is wrong; whatever the model reports.
    pub fn gradient(&self, out: &mut [f64]) -> Result<()> {
        self.backward()?.gradient(out)?;
        scale(self.weight(), out);
        axpy(self.l2(), &self.theta, out);
        Ok(())
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
        let at = self.evaluate(x.as_slice())?;
        at.hessian_product(v, out)?;
        axpy(at.l2(), v, out);
        Ok(())
    }
}
