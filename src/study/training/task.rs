//! What is minimized when a model is trained, with the samples it is validated on ([`Task`]), and scores.

use super::model::{Learner, LossKind, ModelKind};
use crate::dataset::{self, Samples};
use crate::error::{Error, Result};
use crate::linalg::operator::DenseMatrix;
use crate::loss::{BinaryCrossEntropy, Huber, Loss, MulticlassHinge, Outcome, Poisson, SoftmaxCrossEntropy, SquaredError};
use crate::model::{Activation, Batch, Block, Initialization, Model, Network};
use crate::problem::{
    Features, FiniteSum, Function, HessianMatrix, HessianProduct, LinearLoss, LinearOptions, LinearSum, LinearTerms, Supervised,
};
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use std::sync::Arc;

/// Most parameters for which a network's Hessian is stored.
const DENSE_LIMIT: usize = 5000;

/// A model's loss over the training samples as a finite sum, and the mean loss over others as validation; clones share them.
#[derive(Clone)]
pub struct Task(Arc<Inner>);

struct Inner {
    body: Body,
    loss: LossKind,
    object: Option<Box<dyn Loss>>,
    n_outputs: usize,
    validation: Option<Judge>,
}

enum Body {
    /// An affine map, its features as they are stored.
    Linear(LinearSum),
    /// A network, dense features.
    Network { problem: Supervised, network: Network },
}

/// Samples that a model is judged by.
pub struct Judge {
    inputs: Inputs,
    targets: Batch,
}

enum Inputs {
    Linear(Features),
    Network(Arc<Batch>),
}

/// How good a model is on some samples.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Score {
    /// Number of samples.
    pub n: usize,
    /// Mean loss, without the penalty.
    pub loss: f64,
    /// Share of samples whose class is found, for classes.
    pub accuracy: Option<f64>,
    /// Root of the mean squared error of the predicted numbers.
    pub rmse: Option<f64>,
    /// `1 − Σ (y − ŷ)² / Σ (y − ȳ)²`, where the targets differ.
    pub r2: Option<f64>,
}

impl Task {
    /// The problem and its start.
    ///
    /// # Errors
    /// What the model, the loss and the samples refuse; above all [`Error::Config`] for too few classes.
    pub fn new(learner: &Learner, train: &Samples, validation: Option<&Samples>) -> Result<(Self, Vec<f64>)> {
        let (loss, n_outputs) = learner.loss_for(train.target())?;
        let (body, start) = match linear_loss(loss, n_outputs) {
            Some(kind) if learner.model != ModelKind::Mlp => {
                let options = LinearOptions { l2: learner.penalty(), ..LinearOptions::default() };
                let sum = LinearSum::new(kind, features(train)?, train.target().to_values(), &options)?;
                let start = vec![0.0; sum.n_params()];
                (Body::Linear(sum), start)
            }
            _ => network(learner, loss, n_outputs, train)?,
        };
        let validation = validation.map(|samples| body.judge(samples)).transpose()?;
        Ok((Self(Arc::new(Inner { body, loss, object: object(loss)?, n_outputs, validation })), start))
    }

    /// The loss.
    pub fn loss(&self) -> LossKind {
        self.0.loss
    }

    /// What is minimized.
    ///
    /// # Errors
    /// [`Error::Dimension`] for parameters of another length.
    pub fn objective(&self, x: &[f64]) -> Result<f64> {
        Function::cost(self, x)
    }

    /// Samples as this model takes them.
    ///
    /// # Errors
    /// As [`Features::to_batch`](dataset::Features::to_batch); [`Error::Dimension`] for another number of features.
    pub fn judge(&self, samples: &Samples) -> Result<Judge> {
        self.0.body.judge(samples)
    }

    /// The mean loss, without the penalty.
    ///
    /// # Errors
    /// [`Error::Dimension`] for parameters of another length.
    pub fn mean_loss(&self, x: &[f64], judge: &Judge) -> Result<f64> {
        Ok(self.mean(&self.0.body.outputs(x, &judge.inputs)?, &judge.targets))
    }

    fn mean(&self, outputs: &[f64], targets: &Batch) -> f64 {
        let at = Outcome { outputs, n_outputs: self.0.n_outputs, targets };
        let missed = |(z, y): (&[f64], &[f64])| (1.0 - (2.0 * y[0] - 1.0) * z[0]).max(0.0);
        let total = match &self.0.object {
            Some(loss) => loss.value(&at),
            None => at.samples().map(|sample| 0.5 * missed(sample).powi(2)).sum(),
        };
        total / targets.n() as f64
    }

    /// Loss and metrics on some samples.
    ///
    /// # Errors
    /// As [`mean_loss`](Self::mean_loss).
    pub fn score(&self, x: &[f64], judge: &Judge) -> Result<Score> {
        let outputs = self.0.body.outputs(x, &judge.inputs)?;
        let (targets, n) = (judge.targets.values(), judge.targets.n());
        let loss = self.mean(&outputs, &judge.targets);
        if self.0.loss.classifies() {
            let right = outputs.chunks_exact(self.0.n_outputs).zip(targets).filter(|(z, y)| class(z) as f64 == **y).count();
            return Ok(Score { n, loss, accuracy: Some(right as f64 / n as f64), rmse: None, r2: None });
        }
        let predict = |z: &f64| if self.0.loss == LossKind::Poisson { z.exp() } else { *z };
        let errors: f64 = outputs.iter().zip(targets).map(|(z, y)| (predict(z) - y).powi(2)).sum();
        let mean = targets.iter().sum::<f64>() / n as f64;
        let spread: f64 = targets.iter().map(|y| (y - mean).powi(2)).sum();
        let r2 = (spread > 0.0).then(|| 1.0 - errors / spread);
        Ok(Score { n, loss, accuracy: None, rmse: Some((errors / n as f64).sqrt()), r2 })
    }

    /// Number of parameters.
    pub fn n_params(&self) -> usize {
        match &self.0.body {
            Body::Linear(sum) => sum.n_params(),
            Body::Network { network, .. } => network.n_params(),
        }
    }
}

impl Body {
    fn judge(&self, samples: &Samples) -> Result<Judge> {
        let inputs = match self {
            Self::Linear(sum) => {
                Error::check_len("features", sum.features().n_features(), samples.dim())?;
                Inputs::Linear(features(samples)?)
            }
            Self::Network { network, .. } => {
                Error::check_len("features", network.n_inputs(), samples.dim())?;
                Inputs::Network(Arc::new(samples.features().to_batch()?))
            }
        };
        Ok(Judge { inputs, targets: Batch::new(1, samples.target().to_values())? })
    }

    /// The model's outputs, `K` a sample.
    fn outputs(&self, x: &[f64], inputs: &Inputs) -> Result<Vec<f64>> {
        match (self, inputs) {
            (Self::Linear(sum), Inputs::Linear(features)) => sum.predict(x, features),
            (Self::Network { network, .. }, Inputs::Network(batch)) => Ok(network.forward(&x.into(), batch)?.outputs().to_vec()),
            _ => Err(Error::Unsupported { what: "a score", requirement: "samples that were made for the model" }),
        }
    }
}

impl CostFunction for Task {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
        match &self.0.body {
            Body::Linear(sum) => sum.cost(x),
            Body::Network { problem, .. } => problem.cost(x),
        }
    }
}

impl Gradient for Task {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
        match &self.0.body {
            Body::Linear(sum) => sum.gradient(x),
            Body::Network { problem, .. } => problem.gradient(x),
        }
    }
}

impl FiniteSum for Task {
    fn n_terms(&self) -> usize {
        match &self.0.body {
            Body::Linear(sum) => sum.n_terms(),
            Body::Network { problem, .. } => problem.n_terms(),
        }
    }
    fn partial(&self, x: &[f64], rows: &[usize], gradient: &mut [f64]) -> Result<f64> {
        match &self.0.body {
            Body::Linear(sum) => sum.partial(x, rows, gradient),
            Body::Network { problem, .. } => problem.partial(x, rows, gradient),
        }
    }
    fn partial_cost(&self, x: &[f64], rows: &[usize]) -> Result<f64> {
        match &self.0.body {
            Body::Linear(sum) => sum.partial_cost(x, rows),
            Body::Network { problem, .. } => Ok(problem.evaluate_rows(x, Some(rows))?.cost()),
        }
    }
    fn partial_product(&self, x: &[f64], rows: &[usize], v: &[f64], out: &mut [f64]) -> Result<()> {
        match &self.0.body {
            Body::Linear(sum) => sum.partial_product(x, rows, v, out),
            Body::Network { problem, .. } => problem.hessian_product_on(&x.to_vec(), rows, v, out),
        }
    }
    fn lipschitz(&self, i: usize) -> Option<f64> {
        match &self.0.body {
            Body::Linear(sum) => sum.lipschitz(i),
            Body::Network { .. } => None,
        }
    }
    fn linear_terms(&self) -> Option<&dyn LinearTerms> {
        match &self.0.body {
            Body::Linear(sum) => sum.linear_terms(),
            Body::Network { .. } => None,
        }
    }
    fn layout(&self) -> &[Block] {
        match &self.0.body {
            Body::Linear(sum) => sum.layout(),
            Body::Network { problem, .. } => problem.layout(),
        }
    }
    fn validation(&self, x: &[f64]) -> Option<Result<f64>> {
        self.0.validation.as_ref().map(|judge| self.mean_loss(x, judge))
    }
}

/// For the second-order methods by name.
impl Function for Task {
    fn dim(&self) -> usize {
        self.n_params()
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        CostFunction::cost(self, &x.to_vec()).map_err(own)
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        out.copy_from_slice(&Gradient::gradient(self, &x.to_vec()).map_err(own)?);
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        let n = self.n_params();
        if n > DENSE_LIMIT {
            let requirement = "at most 5000 parameters; methods such as newton_cg and trust_region_steihaug only multiply";
            return Err(Error::Unsupported { what: "a Hessian matrix", requirement });
        }
        if let Body::Linear(sum) = &self.0.body {
            return Ok(HessianMatrix::Dense(sum.hessian(&x.to_vec()).map_err(own)?));
        }
        let (mut entries, mut unit) = (vec![0.0; n * n], vec![0.0; n]);
        for (j, column) in entries.chunks_exact_mut(n).enumerate() {
            unit[j] = 1.0;
            self.hessian_product(x, &unit, column)?;
            unit[j] = 0.0;
        }
        // Symmetric but for rounding.
        for j in 0..n {
            for i in 0..j {
                let mean = 0.5 * (entries[i + n * j] + entries[j + n * i]);
                (entries[i + n * j], entries[j + n * i]) = (mean, mean);
            }
        }
        Ok(HessianMatrix::Dense(DenseMatrix::new(n, entries)?))
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        match &self.0.body {
            Body::Linear(sum) => sum.hessian_product(&x.to_vec(), v, out),
            Body::Network { problem, .. } => problem.hessian_product(&x.to_vec(), v, out),
        }
    }
}

/// This crate's error in argmin's.
fn own(error: ArgminError) -> Error {
    error.downcast::<Error>().unwrap_or_else(|other| Error::Problem { what: "evaluation", source: other.into() })
}

/// The class that outputs stand for; the first of equals.
fn class(z: &[f64]) -> usize {
    if let [z] = z {
        return usize::from(*z > 0.0);
    }
    (1..z.len()).fold(0, |best, k| if z[k] > z[best] { k } else { best })
}

/// The loss as an object; the squared hinge has none.
fn object(loss: LossKind) -> Result<Option<Box<dyn Loss>>> {
    Ok(Some(match loss {
        LossKind::Squared => Box::new(SquaredError),
        LossKind::Huber => Box::new(Huber::new(1.0)?),
        LossKind::Poisson => Box::new(Poisson),
        LossKind::Binary => Box::new(BinaryCrossEntropy),
        LossKind::Softmax => Box::new(SoftmaxCrossEntropy),
        LossKind::Hinge => Box::new(MulticlassHinge),
        LossKind::SquaredHinge => return Ok(None),
    }))
}

/// The loss of a linear sum, if it has it.
fn linear_loss(loss: LossKind, classes: usize) -> Option<LinearLoss> {
    match loss {
        LossKind::Squared => Some(LinearLoss::Squared),
        LossKind::Poisson => Some(LinearLoss::Poisson),
        LossKind::Binary => Some(LinearLoss::Logistic),
        LossKind::Softmax => Some(LinearLoss::Softmax { classes }),
        LossKind::SquaredHinge => Some(LinearLoss::SquaredHinge),
        LossKind::Huber | LossKind::Hinge => None,
    }
}

fn features(samples: &Samples) -> Result<Features> {
    match samples.features() {
        dataset::Features::Dense(batch) => Features::dense(batch.dim(), batch.values().to_vec()),
        dataset::Features::Sparse(rows) => {
            let starts: Vec<usize> = rows.indptr().to_proper().to_vec();
            let columns = rows.indices().iter().map(|&j| u32::try_from(j).unwrap_or(u32::MAX)).collect();
            Features::sparse(rows.cols(), starts, columns, rows.data().to_vec())
        }
    }
}

fn network(learner: &Learner, loss: LossKind, n_outputs: usize, train: &Samples) -> Result<(Body, Vec<f64>)> {
    let (inputs, targets) = train.to_batches()?;
    let is_mlp = learner.model == ModelKind::Mlp;
    let hidden = if is_mlp { &learner.layers[..] } else { &[] };
    let sizes = [&[inputs.dim()][..], hidden, &[n_outputs]].concat();
    let network = Network::perceptron(&sizes, learner.activation)?;
    let rectifies = learner.activation == Activation::Relu;
    let initialization = if rectifies { Initialization::He } else { Initialization::Glorot };
    let start = if is_mlp { network.initialize(initialization, learner.seed)? } else { vec![0.0; network.n_params()] };
    let problem = match loss {
        LossKind::Squared => Supervised::new(network.clone(), SquaredError, inputs, targets),
        LossKind::Huber => Supervised::new(network.clone(), Huber::new(1.0)?, inputs, targets),
        LossKind::Poisson => Supervised::new(network.clone(), Poisson, inputs, targets),
        LossKind::Binary => Supervised::new(network.clone(), BinaryCrossEntropy, inputs, targets),
        LossKind::Softmax => Supervised::new(network.clone(), SoftmaxCrossEntropy, inputs, targets),
        LossKind::Hinge => Supervised::new(network.clone(), MulticlassHinge, inputs, targets),
        LossKind::SquaredHinge => {
            return Err(Error::Unsupported { what: "the squared hinge", requirement: "a linear model" });
        }
    }?;
    Ok((Body::Network { problem: problem.l2(learner.penalty())?, network }, start))
}
