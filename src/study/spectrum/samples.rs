//! Inputs and responses: columns of a table, or drawn from a random network.

use crate::error::{Error, Result};
use crate::loss::{BinaryCrossEntropy, Loss, Outcome, Poisson, SoftmaxCrossEntropy, SquaredError};
use crate::model::{Activation, Batch, Initialization, Model, Network};
use crate::study::spectrum::LossKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// Inputs with one response each.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// What they are, for headings.
    pub title: String,
    /// One column per sample.
    pub inputs: Batch,
    /// One value per sample: a number, a label 0, 1, … or a count.
    pub response: Vec<f64>,
}

/// Classes of drawn labels.
const CLASSES: usize = 3;

impl Samples {
    /// From columns of predictors and a column of responses.
    ///
    /// # Errors
    /// [`Error::Config`] without predictors or rows, [`Error::Dimension`] if the columns' lengths differ.
    pub fn from_columns(title: &str, predictors: &[&[f64]], response: &[f64]) -> Result<Self> {
        Error::check_option(!predictors.is_empty(), "predictors", "at least one column", 0)?;
        for column in predictors {
            Error::check_len("predictor column", response.len(), column.len())?;
        }
        let values = (0..response.len()).flat_map(|i| predictors.iter().map(move |column| column[i])).collect();
        Ok(Self { title: title.into(), inputs: Batch::new(predictors.len(), values)?, response: response.to_vec() })
    }

    /// Drawn: standard normal inputs, the `j`-th of `k` with standard deviation `10^(−j/k)`, and responses with the distribution
    /// that the loss stands for around the outputs of a random network with eight hidden units.
    ///
    /// # Errors
    /// [`Error::Config`] if there are to be no samples or inputs.
    pub fn synthetic(n: usize, n_inputs: usize, loss: LossKind, seed: u64) -> Result<Self> {
        Error::check_option(n > 0, "samples", "positive", n)?;
        Error::check_option(n_inputs > 0, "inputs", "positive", n_inputs)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let deviation = |j: usize| 10f64.powf(-(j as f64) / n_inputs as f64);
        let mut draw = |j: usize| -> f64 { deviation(j) * Distribution::<f64>::sample(&StandardNormal, &mut rng) };
        let inputs = Batch::new(n_inputs, (0..n * n_inputs).map(|k| draw(k % n_inputs)).collect())?;
        let c = if loss == LossKind::Softmax { CLASSES } else { 1 };
        let teacher = Network::perceptron(&[n_inputs, 8, c], Activation::Tanh)?;
        let theta = teacher.initialize(Initialization::Glorot, seed ^ 0x07ea_c4e5)?;
        let forward = teacher.forward(&theta.into(), &Arc::new(inputs.clone()))?;
        // Outputs of unit size leave labels nearly to chance.
        let outputs: Vec<f64> = forward.outputs().iter().map(|z| 2.0 * z).collect();
        let response = responses(loss, &outputs, c, n, &mut rng)?;
        Ok(Self { title: format!("{n} synthetic samples with {n_inputs} inputs"), inputs, response })
    }

    /// The inputs shifted and scaled to mean zero and deviation one; constant columns become zero.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if a column's deviation overflows.
    pub fn standardized(mut self) -> Result<Self> {
        let (d, n) = (self.inputs.dim(), self.inputs.n() as f64);
        let mut values = self.inputs.values().to_vec();
        for j in 0..d {
            let column = || self.inputs.values().iter().skip(j).step_by(d);
            let mean = column().sum::<f64>() / n;
            let deviation = (column().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
            values.iter_mut().skip(j).step_by(d).for_each(|v| *v = (*v - mean) * scale);
        }
        self.inputs = Batch::new(d, values)?;
        Ok(self)
    }
}

/// Draws from the output distribution: for targets `y` of exponential families `∇ℓ = mean − y`, so `y = mean − ∇ℓ` with the
/// gradient at a drawn label.
fn responses(loss: LossKind, outputs: &[f64], c: usize, n: usize, rng: &mut ChaCha8Rng) -> Result<Vec<f64>> {
    if loss == LossKind::Squared {
        let noise = |z: &f64| -> f64 { z + 0.1 * Distribution::<f64>::sample(&StandardNormal, rng) };
        return Ok(outputs.iter().map(noise).collect());
    }
    let zero = Batch::new(1, vec![0.0; n])?;
    let at = Outcome { outputs, n_outputs: c, targets: &zero };
    let (mut mean, mut drawn) = (vec![0.0; outputs.len()], vec![0.0; outputs.len()]);
    let loss: &dyn Loss = match loss {
        LossKind::Squared => &SquaredError,
        LossKind::Binary => &BinaryCrossEntropy,
        LossKind::Softmax => &SoftmaxCrossEntropy,
        LossKind::Poisson => &Poisson,
    };
    // ∇ℓ at the target 0: the mean, for a softmax less one in the first class.
    loss.gradient(&at, &mut mean);
    loss.likelihood()?.sample_gradient(&at, rng, &mut drawn);
    let sample = |(mean, drawn): (&[f64], &[f64])| match c {
        1 => (mean[0] - drawn[0]).round(),
        // The drawn class is where the gradient at it is negative.
        _ => drawn.iter().position(|g| *g < 0.0).unwrap_or(0) as f64,
    };
    Ok(mean.chunks_exact(c).zip(drawn.chunks_exact(c)).map(sample).collect())
}
