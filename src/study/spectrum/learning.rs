//! A model with its loss by name, and its training by a few second-order steps.

use super::Samples;
use crate::error::{Error, Result};
use crate::loss::{BinaryCrossEntropy, Poisson, SoftmaxCrossEntropy, SquaredError};
use crate::model::{Activation, Batch, Initialization, Network};
use crate::problem::Supervised;
use crate::second_order::methods::trust_region_steihaug;

/// What is between inputs and outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// One affine layer.
    Linear,
    /// One affine layer under a binary cross-entropy.
    Logistic,
    /// One affine layer under a softmax cross-entropy.
    Multinomial,
    /// Hidden layers with an activation.
    Mlp,
}

/// What outputs are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// `½ (z − y)²`.
    Squared,
    /// Softmax cross-entropy; responses are labels 0, 1, ….
    Softmax,
    /// Binary cross-entropy; responses between 0 and 1.
    Binary,
    /// Poisson with logarithmic link; responses are counts.
    Poisson,
}

const MODELS: [(&str, ModelKind); 4] = [
    ("linear", ModelKind::Linear),
    ("logistic", ModelKind::Logistic),
    ("multinomial", ModelKind::Multinomial),
    ("mlp", ModelKind::Mlp),
];
const LOSSES: [(&str, LossKind); 4] = [
    ("squared", LossKind::Squared),
    ("softmax", LossKind::Softmax),
    ("binary", LossKind::Binary),
    ("poisson", LossKind::Poisson),
];
const ACTIVATIONS: [(&str, Activation); 7] = [
    ("identity", Activation::Identity),
    ("tanh", Activation::Tanh),
    ("sigmoid", Activation::Sigmoid),
    ("relu", Activation::Relu),
    ("softplus", Activation::Softplus),
    ("gelu", Activation::Gelu),
    ("silu", Activation::Silu),
];

impl ModelKind {
    /// The model of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        Error::look_up("model", name, &MODELS)
    }
}

impl LossKind {
    /// The loss of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        Error::look_up("loss", name, &LOSSES)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        LOSSES.iter().find(|(_, loss)| *loss == self).map_or("", |(name, _)| name)
    }
}

/// The activation of that name.
///
/// # Errors
/// [`Error::Unknown`] with the nearest name.
pub fn activation(name: &str) -> Result<Activation> {
    Error::look_up("activation", name, &ACTIVATIONS)
}

/// A model, its loss and how it is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Learning {
    /// The model.
    pub model: ModelKind,
    /// Units of the hidden layers of [`ModelKind::Mlp`].
    pub layers: Vec<usize>,
    /// Their activation.
    pub activation: Activation,
    /// The loss, where it does not follow from the model.
    pub loss: Option<LossKind>,
    /// `λ` of `½ λ ‖θ‖²`.
    pub l2: f64,
    /// Seed of the first parameters.
    pub seed: u64,
}

impl Learning {
    /// The loss: given, or the model's own.
    ///
    /// # Errors
    /// [`Error::Config`] if the model does not go with the given loss.
    pub fn loss(&self) -> Result<LossKind> {
        let (own, others): (_, &[LossKind]) = match self.model {
            ModelKind::Linear => (LossKind::Squared, &[LossKind::Poisson]),
            ModelKind::Logistic => (LossKind::Binary, &[]),
            ModelKind::Multinomial => (LossKind::Softmax, &[]),
            ModelKind::Mlp => (LossKind::Squared, &[LossKind::Softmax, LossKind::Binary, LossKind::Poisson]),
        };
        let loss = self.loss.unwrap_or(own);
        let requirement = "one that goes with the model (linear: squared or poisson; logistic: binary; multinomial: softmax)";
        Error::check_option(loss == own || others.contains(&loss), "loss", requirement, loss.name())?;
        Ok(loss)
    }

    /// The problem and its first parameters.
    ///
    /// # Errors
    /// [`Error::Config`] for sizes out of range, [`Error::Target`] for a response that the loss cannot take.
    pub fn problem(&self, samples: &Samples) -> Result<(Supervised, Vec<f64>)> {
        let loss = self.loss()?;
        let targets = Batch::new(1, samples.response.clone())?;
        let largest = samples.response.iter().copied().fold(0.0, f64::max);
        let outputs = match loss {
            LossKind::Softmax if largest <= 1e4 => (largest as usize + 1).max(2),
            LossKind::Softmax => {
                return Err(Error::Config {
                    name: "response".into(),
                    requirement: "class labels 0, 1, … up to 10000",
                    value: largest.to_string(),
                });
            }
            _ => 1,
        };
        let hidden = if self.model == ModelKind::Mlp { &self.layers[..] } else { &[] };
        let sizes: Vec<usize> = [&[samples.inputs.dim()][..], hidden, &[outputs]].concat();
        let net = Network::perceptron(&sizes, self.activation)?;
        let theta = net.initialize(Initialization::Glorot, self.seed)?;
        let inputs = samples.inputs.clone();
        let problem = match loss {
            LossKind::Squared => Supervised::new(net, SquaredError, inputs, targets),
            LossKind::Softmax => Supervised::new(net, SoftmaxCrossEntropy, inputs, targets),
            LossKind::Binary => Supervised::new(net, BinaryCrossEntropy, inputs, targets),
            LossKind::Poisson => Supervised::new(net, Poisson, inputs, targets),
        }?;
        Ok((problem.l2(self.l2)?, theta))
    }

    /// At most `iterations` steps of a trust-region Newton-CG method; the parameters where it ended and the steps made.
    ///
    /// # Errors
    /// A start where the loss or its gradient cannot be evaluated.
    pub fn train(&self, problem: Supervised, theta: Vec<f64>, iterations: u64) -> Result<(Supervised, Vec<f64>, u64)> {
        if iterations == 0 {
            return Ok((problem, theta, 0));
        }
        let mut solver = trust_region_steihaug();
        (solver.certify, solver.report) = (false, false);
        let solution = solver.minimize(&problem, theta, iterations)?;
        Ok((problem, solution.x, solution.iterations))
    }
}
