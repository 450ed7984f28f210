//! Averages of iterates: apart from the rule, which never sees them.

use crate::error::{Error, Result};

/// What becomes of the iterates `x₁, x₂, …`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Averaging {
    /// The last iterate is the answer.
    #[default]
    Last,
    /// `x̄ₖ = (1/k) Σ xᵢ` (Ruppert 1988; Polyak & Juditsky 1992).
    Uniform,
    /// The mean of the iterates after the given number of epochs.
    Tail {
        /// Epochs that are left out.
        after: f64,
    },
    /// `x̄ₖ = Σ βᵏ⁻ⁱ (1 − β) xᵢ / (1 − βᵏ)`: exponential, without the bias towards zero of the first steps. It has a floor of
    /// its own, unlike the uniform mean.
    Exponential {
        /// `β`, in `[0, 1)`.
        decay: f64,
    },
}

/// An average under way.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Average {
    mean: Vec<f64>,
    /// Iterates in the mean.
    count: u64,
    /// `βᵏ`.
    power: f64,
}

impl Averaging {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Exponential { decay } => {
                Error::check_option((0.0..1.0).contains(&decay), "decay of the average", "at least 0 and below 1", decay)
            }
            Self::Tail { after } => Error::check_option(after >= 0.0, "start of the tail average", "at least 0", after),
            Self::Last | Self::Uniform => Ok(()),
        }
    }
}

impl Average {
    /// The mean so far; none before the first iterate that counts.
    pub fn mean(&self) -> Option<&[f64]> {
        (self.count > 0).then_some(&self.mean)
    }

    /// Takes in an iterate, reached after `epoch` passes.
    pub fn push(&mut self, averaging: Averaging, epoch: f64, x: &[f64]) {
        let counts = match averaging {
            Averaging::Last => false,
            Averaging::Tail { after } => epoch > after,
            Averaging::Uniform | Averaging::Exponential { .. } => true,
        };
        if !counts {
            return;
        }
        if self.count == 0 {
            self.mean.clear();
            self.mean.extend_from_slice(x);
            (self.count, self.power) = (1, if let Averaging::Exponential { decay } = averaging { decay } else { 0.0 });
            return;
        }
        self.count += 1;
        let weight = match averaging {
            Averaging::Exponential { decay } => {
                // x̄ₖ = x̄ₖ₋₁ + (1 − β)/(1 − βᵏ) (xₖ − x̄ₖ₋₁).
                self.power *= decay;
                (1.0 - decay) / (1.0 - self.power)
            }
            _ => 1.0 / self.count as f64,
        };
        self.mean.iter_mut().zip(x).for_each(|(m, x)| *m += weight * (x - *m));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(averaging: Averaging) -> Vec<f64> {
        let mut average = Average::default();
        (1..=20).for_each(|k| average.push(averaging, k as f64, &[(k * k) as f64, -1.0]));
        average.mean().unwrap_or(&[]).to_vec()
    }

    #[test]
    fn means_have_their_closed_forms() {
        let squares = |from: u32| (from..=20).map(|k| f64::from(k * k)).sum::<f64>() / f64::from(21 - from);
        assert!((run(Averaging::Uniform)[0] - squares(1)).abs() < 1e-12 * squares(1));
        assert!((run(Averaging::Tail { after: 14.0 })[0] - squares(15)).abs() < 1e-12 * squares(15));
        assert_eq!(run(Averaging::Last), Vec::<f64>::new());
        let decay: f64 = 0.7;
        let weights: Vec<f64> = (1..=20).map(|k| decay.powi(20 - k)).collect();
        let exponential = weights.iter().zip(1..).map(|(w, k)| w * f64::from(k * k)).sum::<f64>() / weights.iter().sum::<f64>();
        assert!((run(Averaging::Exponential { decay })[0] - exponential).abs() < 1e-12 * exponential);
        for averaging in [Averaging::Uniform, Averaging::Tail { after: 3.0 }, Averaging::Exponential { decay }] {
            assert!((run(averaging)[1] + 1.0).abs() < 1e-15, "a constant is its own mean");
        }
    }
}
