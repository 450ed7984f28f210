//! The diagonal of the Hessian by random products, `E[z ⊙ ∇²f z]` (Bekas, Kokiopoulou & Saad 2007).

use super::Context;
use super::moments::clear;
use crate::error::{Error, Result};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Random numbers that depend on a seed and the step only, so that nothing has to be remembered.
pub(super) fn stream(seed: u64, step: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(step);
    random
}

/// The distribution of the entries of `z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Probe {
    /// Signs: exact for a diagonal Hessian, and of the least variance.
    #[default]
    Signs,
    /// Standard normal.
    Normal,
}

/// A probe, its product and their entrywise product; buffers only.
#[derive(Debug, Clone, Default)]
pub struct Hutchinson {
    z: Vec<f64>,
    product: Vec<f64>,
    /// The estimate of the diagonal.
    pub(super) diagonal: Vec<f64>,
}

impl Hutchinson {
    /// `diagonal ←` the mean of `z ⊙ ∇²f(x) z` over `samples` probes.
    pub(super) fn estimate(&mut self, context: &Context<'_>, probe: Probe, samples: usize, seed: u64) -> Result<()> {
        let n = context.x.len();
        let mut random = stream(seed, context.clock.step);
        clear(&mut self.diagonal, n);
        self.z.resize(n, 0.0);
        self.product.resize(n, 0.0);
        for _ in 0..samples {
            match probe {
                Probe::Signs => {
                    for entries in self.z.chunks_mut(64) {
                        let bits = random.next_u64();
                        let sign = |k: usize| if bits >> k & 1 == 0 { 1.0 } else { -1.0 };
                        entries.iter_mut().enumerate().for_each(|(k, z)| *z = sign(k));
                    }
                }
                Probe::Normal => self.z.iter_mut().for_each(|z| *z = StandardNormal.sample(&mut random)),
            }
            context.oracle.hessian_product(context.x, &self.z, &mut self.product)?;
            let terms = self.z.iter().zip(&self.product);
            self.diagonal.iter_mut().zip(terms).for_each(|(d, (z, p))| *d += z * p);
        }
        if samples > 1 {
            self.diagonal.iter_mut().for_each(|d| *d /= samples as f64);
        }
        Ok(())
    }

    /// `diagonal ← b ĝ ⊙ ĝ` for the mean gradient `ĝ` of `b` rows whose targets are drawn from the model's own distribution.
    pub(super) fn gauss_newton_bartlett(&mut self, context: &Context<'_>, seed: u64) -> Result<()> {
        clear(&mut self.diagonal, context.x.len());
        let seed = stream(seed, context.clock.step).next_u64();
        let rows = context.oracle.sampled_gradient(context.x, seed, &mut self.diagonal)?;
        self.diagonal.iter_mut().for_each(|d| *d = rows as f64 * (*d * *d));
        Ok(())
    }
}

/// Checks that a count is positive.
pub(super) fn check_count(name: &str, count: u64) -> Result<()> {
    Error::check_option(count > 0, name, "positive", count)
}
