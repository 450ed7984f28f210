//! Samples in parts for training, validation and test ([`Split`]).

use super::{Samples, Target};
use crate::error::{Error, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// How samples are parted: shuffled, then dealt out so that every part has its share, of every class if so wished.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Split {
    /// Share of the validation part, 0 by default; rounded to whole samples, at least one if positive.
    pub validation: f64,
    /// Share of the test part, 0 by default; rounded to whole samples, at least one if positive.
    pub test: f64,
    /// Seed of the shuffling, 0 by default.
    pub seed: u64,
    /// Whether every class has its share of every part, up to one sample; on by default, without meaning for numbers.
    pub stratified: bool,
}

impl Default for Split {
    fn default() -> Self {
        Self { validation: 0.0, test: 0.0, seed: 0, stratified: true }
    }
}

impl Split {
    /// # Errors
    /// [`Error::Config`] unless the shares are at least 0 and leave something to train on.
    pub fn validate(&self) -> Result<()> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        Error::check_option(share(self.validation), "validation", "at least 0 and below 1", self.validation)?;
        Error::check_option(share(self.test), "test", "at least 0 and below 1", self.test)?;
        let sum = self.validation + self.test;
        Error::check_option(sum < 1.0, "validation + test", "below 1", sum)
    }
}

/// Samples in parts; those without a share are none.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// What is left for training.
    pub train: Samples,
    /// For choices while training.
    pub validation: Option<Samples>,
    /// For the one judgement at the end.
    pub test: Option<Samples>,
}

impl Samples {
    /// The samples in parts, each in shuffled order.
    ///
    /// # Errors
    /// [`Error::Config`] as for [`Split::validate`], and if there are too few samples for every part to have one.
    pub fn split(&self, split: &Split) -> Result<Parts> {
        split.validate()?;
        let n = self.n();
        let count = |share: f64| if share > 0.0 { ((share * n as f64).round() as usize).max(1) } else { 0 };
        let (n_validation, n_test) = (count(split.validation), count(split.test));
        Error::check_option(n_validation + n_test < n, "samples", "enough for one in every part", n)?;

        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(split.seed));
        let class = |i: usize| match &self.target {
            Target::Classes { labels, .. } if split.stratified => labels[i],
            _ => 0,
        };
        let (rest, test) = deal(order, n_test, class);
        let (train, validation) = deal(rest, n_validation, class);
        let part = |rows: &[usize]| if rows.is_empty() { Ok(None) } else { self.select(rows).map(Some) };
        Ok(Parts { train: self.select(&train)?, validation: part(&validation)?, test: part(&test)? })
    }
}

/// `k` of the rows, evenly from the classes, and the others before them; both in the order given.
///
/// Of `m` neighbours in the order of classes, `⌊m k / n⌋` or one more are taken.
fn deal(rows: Vec<usize>, k: usize, class: impl Fn(usize) -> usize) -> (Vec<usize>, Vec<usize>) {
    let n = rows.len();
    let mut places: Vec<usize> = (0..n).collect();
    places.sort_by_key(|&place| class(rows[place]));
    let mut taken = vec![false; n];
    let share = |position: usize| (position as u128 * k as u128) / (n as u128).max(1);
    for (position, place) in places.into_iter().enumerate() {
        taken[place] = share(position + 1) > share(position);
    }
    let (mut others, mut some) = (Vec::with_capacity(n - k), Vec::with_capacity(k));
    for (row, taken) in rows.into_iter().zip(taken) {
        if taken { some.push(row) } else { others.push(row) }
    }
    (others, some)
}
