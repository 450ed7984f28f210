//! Mini-batches: the mean gradient of a few terms.

use super::{Estimate, GradientEstimator};
use crate::counts;
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::vector::{axpy, scale};
use crate::problem::{At, FiniteSum};
use crate::stochastic::Clock;
use crate::stochastic::schedule::Schedule;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the terms of a batch are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Sampling {
    /// All terms are shuffled at the start of each epoch and taken in that order; the last batch of an epoch may be smaller.
    #[default]
    Shuffled,
    /// [`Shuffled`](Self::Shuffled), and terms that fill no whole batch are left out of the epoch.
    ShuffledWhole,
    /// In the order of the data, epoch after epoch.
    Sequential,
    /// Each term of a batch is drawn from all of them.
    WithReplacement,
    /// Each batch is a random subset, whatever the ones before it were.
    WithoutReplacement,
}

/// The mean gradient of a batch of terms.
///
/// The batch size is a schedule: constant, growing (Friedlander & Schmidt 2012), by steps or by epochs; it is rounded and kept
/// between one and the number of terms.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MiniBatch {
    /// Terms in a batch. Default 32.
    pub size: Schedule,
    /// How they are chosen. Default: shuffled once an epoch.
    pub sampling: Sampling,
    /// Batches whose gradients are averaged, term by term, for one step: what fits into memory may be less than what a step
    /// should see. Default 1.
    pub accumulate: usize,
    /// Seed of the choice. Default 0.
    pub seed: u64,
    random: Option<ChaCha8Rng>,
    order: Vec<usize>,
    position: usize,
    rows: Vec<usize>,
    part: Vec<f64>,
    step: u64,
}

impl Default for MiniBatch {
    fn default() -> Self {
        Self::new(32, 0)
    }
}

impl MiniBatch {
    /// Shuffled batches of a constant size.
    pub fn new(size: usize, seed: u64) -> Self {
        Self {
            size: Schedule::Constant(size as f64),
            sampling: Sampling::default(),
            accumulate: 1,
            seed,
            random: None,
            order: Vec::new(),
            position: 0,
            rows: Vec::new(),
            part: Vec::new(),
            step: 0,
        }
    }

    /// The same with another way to choose.
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Chooses the next batch of at most `size` terms.
    fn draw(&mut self, size: usize) {
        let n = self.order.len();
        let size = size.min(n);
        let seed = self.seed;
        let random = self.random.get_or_insert_with(|| ChaCha8Rng::seed_from_u64(seed));
        self.rows.clear();
        match self.sampling {
            Sampling::WithReplacement => self.rows.extend((0..size).map(|_| random.random_range(0..n))),
            Sampling::WithoutReplacement => {
                // The first entries of a shuffle: each subset is equally likely, whatever order was left behind.
                let (chosen, _) = self.order.partial_shuffle(random, size);
                self.rows.extend_from_slice(chosen);
            }
            Sampling::Shuffled | Sampling::ShuffledWhole | Sampling::Sequential => {
                let short = self.sampling == Sampling::ShuffledWhole && n - self.position < size;
                if self.position == n || short {
                    self.position = 0;
                }
                if self.position == 0 && self.sampling != Sampling::Sequential {
                    self.order.shuffle(random);
                }
                let end = (self.position + size).min(n);
                self.rows.extend_from_slice(&self.order[self.position..end]);
                self.position = end;
            }
        }
    }
}

impl<O: FiniteSum> GradientEstimator<O> for MiniBatch {
    fn begin(&mut self, at: At<'_, O>) -> Result<()> {
        self.size.validate("batch size")?;
        let n = at.problem.n_terms();
        Error::check_option(n > 0, "terms of the sum", "positive", n)?;
        Error::check_option(self.accumulate > 0, "accumulate", "positive", self.accumulate)?;
        self.random = None;
        self.order = (0..n).collect();
        (self.position, self.step) = (0, 0);
        Ok(())
    }

    fn estimate<'a>(&'a mut self, at: At<'_, O>, epoch: f64, gradient: &mut [f64]) -> Result<Estimate<'a>> {
        let size = self.size.at(&Clock { step: self.step, epoch });
        // NaN and what is below one become one.
        let size = if size >= 1.0 { size.round() as usize } else { 1 };
        self.step += 1;
        self.draw(size);
        let x = at.x.as_slice();
        let mut cost = at.problem.partial(x, &self.rows, gradient)?;
        let mut evaluated = self.rows.len();
        if self.accumulate > 1 {
            let mut all = std::mem::take(&mut self.rows);
            let mut part = std::mem::take(&mut self.part);
            part.resize(gradient.len(), 0.0);
            scale(evaluated as f64, gradient);
            cost *= evaluated as f64;
            for _ in 1..self.accumulate {
                self.draw(size);
                let weight = self.rows.len() as f64;
                cost += weight * at.problem.partial(x, &self.rows, &mut part)?;
                axpy(weight, &part, gradient);
                all.append(&mut self.rows);
            }
            evaluated = all.len();
            scale(1.0 / evaluated as f64, gradient);
            cost /= evaluated as f64;
            (self.rows, self.part) = (all, part);
        }
        counts::add(&at.counts.sample_gradient, evaluated as u64);
        Ok(Estimate { rows: &self.rows, cost: Some(cost), evaluated: evaluated as u64 })
    }
}
