//! Losses of a linear model's outputs, with first and second derivatives, for blocks of samples.

use crate::error::{Error, Result};
use crate::linalg::elementwise::{exp, log_loss};
use rand::Rng;
use rand_distr::{Poisson, StandardNormal};

/// The loss of one sample as a function of its outputs `z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum LinearLoss {
    /// `ln(1 + eᶻ) − y z` for `y ∈ {0, 1}`.
    Logistic,
    /// `ln Σₖ e^{zₖ} − z_y` for labels `y` below `classes`; an output for each class.
    Softmax {
        /// Number of classes.
        classes: usize,
    },
    /// `½ (z − y)²`.
    Squared,
    /// `½ max(0, 1 − t)²` with `t = (2y − 1) z`, for `y ∈ {0, 1}`: the squared hinge of a support vector machine.
    SquaredHinge,
    /// `eᶻ − y z` for counts `y ≥ 0`.
    Poisson,
}

impl LinearLoss {
    /// Outputs that the loss looks at.
    pub fn n_outputs(&self) -> usize {
        match self {
            Self::Softmax { classes } => *classes,
            _ => 1,
        }
    }

    /// A bound on the second derivative by the outputs, where there is one.
    pub fn curvature_bound(&self) -> Option<f64> {
        match self {
            Self::Logistic => Some(0.25),
            Self::Softmax { .. } => Some(0.5),
            Self::Squared | Self::SquaredHinge => Some(1.0),
            Self::Poisson => None,
        }
    }

    /// Outputs become `∇ℓ` at a response drawn from the distribution that they stand for.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for the squared hinge, which is no likelihood.
    pub(super) fn drawn_slope(&self, random: &mut impl Rng, outputs: &mut [f64]) -> Result<()> {
        let z = outputs[0];
        let y = match self {
            // `z − y` is normal whatever `z` is.
            Self::Squared => z + random.sample::<f64, _>(StandardNormal),
            Self::Logistic => f64::from(u8::from(random.random::<f64>() < 1.0 / (1.0 + (-z).exp()))),
            Self::Poisson => {
                let mean = z.exp();
                // The sampler's domain ends where a count has no units left; there and at zero the mean is the best integer.
                Poisson::new(mean).map_or(mean, |poisson| random.sample(poisson))
            }
            Self::Softmax { .. } => {
                let largest = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let total: f64 = outputs.iter().map(|z| (z - largest).exp()).sum();
                let mut left = random.random::<f64>() * total;
                let drawn = outputs.iter().position(|z| {
                    left -= (z - largest).exp();
                    left < 0.0
                });
                drawn.unwrap_or(outputs.len() - 1) as f64
            }
            Self::SquaredHinge => {
                let requirement = "a loss that is a negative log-likelihood";
                return Err(Error::Unsupported { what: "a gradient with drawn targets", requirement });
            }
        };
        self.slope(y, outputs);
        Ok(())
    }

    /// Checks responses.
    ///
    /// # Errors
    /// [`Error::Observation`] with the first row that the loss cannot take; [`Error::Config`] for fewer than two classes.
    pub fn check(&self, response: &[f64]) -> Result<()> {
        let class = |y: f64, below: f64| y >= 0.0 && y < below && y.fract() == 0.0;
        let requirement = match self {
            Self::Logistic | Self::SquaredHinge => "0 or 1",
            Self::Softmax { .. } => "a class below the number of classes",
            Self::Squared => "finite",
            Self::Poisson => "finite and not negative",
        };
        let admits = |y: f64| match self {
            Self::Logistic | Self::SquaredHinge => y == 0.0 || y == 1.0,
            Self::Softmax { classes } => class(y, *classes as f64),
            Self::Squared => y.is_finite(),
            Self::Poisson => y >= 0.0 && y.is_finite(),
        };
        if let Self::Softmax { classes } = self {
            Error::check_option(*classes >= 2, "classes", "at least 2", classes)?;
        }
        match response.iter().position(|y| !admits(*y)) {
            None => Ok(()),
            Some(row) => Err(Error::Observation { what: "response", row, requirement, value: response[row] }),
        }
    }

    /// Whether free intercepts alone run off to infinity: a class without a sample, counts that are all zero.
    pub(super) fn is_degenerate(&self, response: &[f64], weight: impl Fn(usize) -> f64) -> bool {
        let total = |is: &dyn Fn(f64) -> bool| (0..response.len()).filter(|i| is(response[*i])).map(&weight).sum::<f64>();
        match self {
            Self::Logistic => total(&|y| y == 0.0) == 0.0 || total(&|y| y == 1.0) == 0.0,
            Self::Softmax { classes } => {
                let mut weights = vec![0.0; *classes];
                (0..response.len()).for_each(|i| weights[response[i] as usize] += weight(i));
                weights.contains(&0.0)
            }
            Self::Poisson => total(&|y| y > 0.0) == 0.0,
            Self::Squared | Self::SquaredHinge => false,
        }
    }

    /// `Σ ωᵢ ℓᵢ` over a block of samples; `z`, their outputs, becomes `ωᵢ ∇ℓᵢ`. `curvature` becomes `ωᵢ ℓᵢ''`, of a softmax
    /// the probabilities.
    pub(super) fn evaluate(&self, y: &[f64], weights: Option<&[f64]>, z: &mut [f64], curvature: &mut [f64]) -> f64 {
        let value = match self {
            Self::Logistic => logistic(y, weights, z, curvature),
            Self::Softmax { classes } => softmax(*classes, y, weights, z, curvature),
            Self::Squared => scalar(y, weights, z, curvature, squared),
            Self::SquaredHinge => scalar(y, weights, z, curvature, squared_hinge),
            Self::Poisson => scalar(y, weights, z, curvature, poisson),
        };
        if let (Some(w), 1) = (weights, self.n_outputs()) {
            z.iter_mut().zip(w).for_each(|(z, w)| *z *= w);
            curvature.iter_mut().zip(w).for_each(|(c, w)| *c *= w);
        }
        value
    }

    /// `ℓ` of one sample at the outputs `z`.
    #[inline]
    pub(super) fn value(&self, y: f64, z: &[f64]) -> f64 {
        match self {
            Self::Logistic => {
                let t = (2.0 * y - 1.0) * z[0];
                (-t).max(0.0) + (-t.abs()).exp().ln_1p()
            }
            Self::Softmax { .. } => {
                let top = z.iter().fold(f64::NEG_INFINITY, |m, z| m.max(*z));
                let own = y as usize;
                let others: f64 = z.iter().enumerate().filter(|(c, _)| *c != own).map(|(_, z)| (z - top).exp()).sum();
                let gap = top - z[own];
                if gap == 0.0 { others.ln_1p() } else { gap + ((-gap).exp() + others).ln() }
            }
            Self::Squared => squared(z[0], y).0,
            Self::SquaredHinge => squared_hinge(z[0], y).0,
            Self::Poisson => poisson(z[0], y).0,
        }
    }

    /// `z ← ∇ℓ(z)` of one sample.
    #[inline]
    pub(super) fn slope(&self, y: f64, z: &mut [f64]) {
        match self {
            Self::Logistic => {
                let sign = 2.0 * y - 1.0;
                let t = sign * z[0];
                let e = (-t.abs()).exp();
                z[0] = -sign * if t > 0.0 { e } else { 1.0 } / (1.0 + e);
            }
            Self::Softmax { .. } => {
                let top = z.iter().fold(f64::NEG_INFINITY, |m, z| m.max(*z));
                let own = y as usize;
                z.iter_mut().for_each(|z| *z = (*z - top).exp());
                let mine = std::mem::replace(&mut z[own], 0.0);
                let others: f64 = z.iter().sum();
                let sum = mine + others;
                z.iter_mut().for_each(|z| *z /= sum);
                z[own] = -others / sum;
            }
            Self::Squared => z[0] -= y,
            Self::SquaredHinge => z[0] = squared_hinge(z[0], y).1,
            Self::Poisson => z[0] = poisson(z[0], y).1,
        }
    }
}

/// Value and two derivatives.
fn squared(z: f64, y: f64) -> (f64, f64, f64) {
    (0.5 * (z - y) * (z - y), z - y, 1.0)
}

fn squared_hinge(z: f64, y: f64) -> (f64, f64, f64) {
    let sign = 2.0 * y - 1.0;
    let missed = 1.0 - sign * z;
    // A NaN is missed, too.
    if missed <= 0.0 { (0.0, 0.0, 0.0) } else { (0.5 * missed * missed, -sign * missed, 1.0) }
}

fn poisson(z: f64, y: f64) -> (f64, f64, f64) {
    let mean = z.exp();
    (mean - y * z, mean - y, mean)
}

/// A loss of one output from its value and two derivatives.
fn scalar(
    y: &[f64],
    weights: Option<&[f64]>,
    z: &mut [f64],
    curvature: &mut [f64],
    term: impl Fn(f64, f64) -> (f64, f64, f64),
) -> f64 {
    let mut sum = 0.0;
    for (i, ((y, z), c)) in y.iter().zip(z).zip(curvature).enumerate() {
        let (value, slope, bend) = term(*z, *y);
        sum += weights.map_or(1.0, |w| w[i]) * value;
        (*z, *c) = (slope, bend);
    }
    sum
}

/// In margins `t = (2y − 1) z`: value `ln(1 + e⁻ᵗ)`, slope `−(2y − 1) σ(−t)`, curvature `σ(t) σ(−t)`.
fn logistic(y: &[f64], weights: Option<&[f64]>, z: &mut [f64], curvature: &mut [f64]) -> f64 {
    z.iter_mut().zip(y).for_each(|(z, y)| *z *= 2.0 * y - 1.0);
    log_loss(z, curvature);
    let sum = match weights {
        None => curvature.iter().sum(),
        Some(w) => curvature.iter().zip(w).map(|(v, w)| v * w).sum(),
    };
    for ((z, y), c) in z.iter_mut().zip(y).zip(curvature) {
        // σ(−t) came out relatively accurate, and so is 1 − σ(−t) where it counts: near 1 the product is small with σ(−t).
        *c = *z * (1.0 - *z);
        *z *= 1.0 - 2.0 * y;
    }
    sum
}

/// Softmax by columns of `k` outputs: `z ← ω (p − e_y)`, `probabilities ← p`.
fn softmax(k: usize, y: &[f64], weights: Option<&[f64]>, z: &mut [f64], probabilities: &mut [f64]) -> f64 {
    for (z, e) in z.chunks_exact_mut(k).zip(probabilities.chunks_exact_mut(k)) {
        let top = z.iter().fold(f64::NEG_INFINITY, |m, z| m.max(*z));
        z.iter_mut().zip(e).for_each(|(z, e)| {
            *z -= top;
            *e = *z;
        });
    }
    exp(probabilities);
    let mut value = 0.0;
    for (i, (z, p)) in z.chunks_exact_mut(k).zip(probabilities.chunks_exact_mut(k)).enumerate() {
        let (own, weight) = (y[i] as usize, weights.map_or(1.0, |w| w[i]));
        let sum: f64 = p.iter().sum();
        // Where the own class is the largest its 1 is taken out of the sum, so that tiny losses and slopes keep their digits.
        let others: f64 = p.iter().enumerate().filter(|(c, _)| *c != own).map(|(_, e)| e).sum();
        value += weight * if z[own] == 0.0 { others.ln_1p() } else { sum.ln() - z[own] };
        p.iter_mut().for_each(|p| *p /= sum);
        z.iter_mut().zip(&*p).for_each(|(z, p)| *z = weight * p);
        z[own] = -weight * others / sum;
    }
    value
}
