//! First parameters of networks, drawn from a seed.

use super::{Model, Network};
use crate::error::Result;
use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// How weights are drawn; biases start at zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Initialization {
    /// Normal with variance `2/(inputs + outputs)` (Glorot & Bengio 2010, eq. 12).
    #[default]
    Glorot,
    /// Normal with variance `2/inputs`, for rectifiers (He et al. 2015, eq. 10).
    He,
    /// `links` standard normal weights for each output, the others zero (Martens 2010, section 5 of the supplement).
    Sparse {
        /// Nonzero weights of an output, 15 as published.
        links: usize,
    },
    /// Orthonormal rows or columns (Saxe, McClelland & Ganguli 2014).
    Orthogonal,
}

impl Network {
    /// First parameters.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for a sparse initialisation without links.
    ///
    /// # Example
    /// ```
    /// use curvkit::model::{Activation, Initialization, Network};
    /// let net = Network::perceptron(&[4, 8, 2], Activation::Tanh)?;
    /// let theta = net.initialize(Initialization::Glorot, 1)?;
    /// assert_eq!(theta.len(), 5 * 8 + 9 * 2);
    /// # Ok::<(), curvkit::error::Error>(())
    /// ```
    pub fn initialize(&self, rule: Initialization, seed: u64) -> Result<Vec<f64>> {
        if let Initialization::Sparse { links } = rule {
            crate::error::Error::check_option(links > 0, "links", "positive", links)?;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut theta = vec![0.0; self.n_params()];
        for stage in &self.architecture.stages {
            let (weights, _) = stage.split_mut(&mut theta);
            draw(rule, stage.outputs, stage.inputs, &mut rng, weights);
        }
        Ok(theta)
    }
}

fn draw(rule: Initialization, outputs: usize, inputs: usize, rng: &mut ChaCha8Rng, weights: &mut [f64]) {
    let mut normal = |deviation: f64| deviation * rng.sample::<f64, _>(StandardNormal);
    match rule {
        Initialization::Glorot => {
            let deviation = (2.0 / (inputs + outputs) as f64).sqrt();
            weights.iter_mut().for_each(|w| *w = normal(deviation));
        }
        Initialization::He => {
            let deviation = (2.0 / inputs as f64).sqrt();
            weights.iter_mut().for_each(|w| *w = normal(deviation));
        }
        Initialization::Sparse { links } => {
            for output in 0..outputs {
                for input in rand::seq::index::sample(rng, inputs, links.min(inputs)) {
                    weights[input * outputs + output] = rng.sample(StandardNormal);
                }
            }
        }
        Initialization::Orthogonal => {
            let (long, short) = (outputs.max(inputs), outputs.min(inputs));
            let gaussian = Mat::from_fn(long, short, |_, _| normal(1.0));
            let qr = gaussian.qr();
            let (q, r) = (qr.compute_thin_Q(), qr.R());
            // Signs of R's diagonal make the factorization unique and Q uniform (Mezzadri 2007).
            for (k, w) in weights.iter_mut().enumerate() {
                let (i, j) = (k % outputs, k / outputs);
                let (i, j) = if outputs >= inputs { (i, j) } else { (j, i) };
                *w = q[(i, j)] * r[(j, j)].signum();
            }
        }
    }
}
