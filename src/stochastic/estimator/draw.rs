//! Which term comes next: uniformly, by shuffled epochs, in proportion to Lipschitz constants, or as told.

use crate::error::{Error, Result};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How single terms are chosen.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Selection {
    /// Each from all of them; a batch of several is a random subset.
    #[default]
    Uniform,
    /// In an order that is shuffled anew for each epoch. The theory of SAG does not cover it: at its usual step `1/L` it may fail.
    Shuffled,
    /// Half the time uniformly, half the time in proportion to the Lipschitz constants of the terms' gradients, which the
    /// problem must know (Schmidt, Babanezhad, Ahmed, Defazio, Clifton & Sarkar 2015).
    Lipschitz,
    /// These, over and over.
    Given(Vec<usize>),
}

/// A seeded stream of terms.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Draw {
    random: Option<ChaCha8Rng>,
    order: Vec<usize>,
    position: usize,
    constants: Fenwick,
}

impl Draw {
    /// Begins the stream over `n` terms.
    ///
    /// # Errors
    /// [`Error::Config`] for a given term that is not there or a batch that cannot be drawn; [`Error::Unsupported`] for Lipschitz
    /// constants that the problem does not know.
    pub fn begin(
        &mut self,
        selection: &Selection,
        seed: u64,
        n: usize,
        batch: usize,
        lipschitz: impl Fn(usize) -> Option<f64>,
    ) -> Result<()> {
        Error::check_option(n > 0, "terms of the sum", "positive", n)?;
        Error::check_option(batch > 0, "batch", "positive", batch)?;
        *self = Self { random: Some(ChaCha8Rng::seed_from_u64(seed)), ..Self::default() };
        match selection {
            Selection::Uniform if batch == 1 => {}
            Selection::Uniform | Selection::Shuffled => self.order = (0..n).collect(),
            Selection::Lipschitz => {
                Error::check_option(batch == 1, "batch", "1 with terms in proportion to their Lipschitz constants", batch)?;
                let constants: Option<Vec<f64>> = (0..n).map(lipschitz).collect();
                let missing = Error::Unsupported {
                    what: "terms in proportion to their Lipschitz constants",
                    requirement: "a problem that knows them",
                };
                self.constants = Fenwick::new(&constants.ok_or(missing)?);
            }
            Selection::Given(terms) => {
                Error::check_option(!terms.is_empty(), "given terms", "at least one", 0)?;
                if let Some(term) = terms.iter().find(|i| **i >= n) {
                    Error::check_option(false, "given term", "below the number of terms", term)?;
                }
            }
        }
        Ok(())
    }

    /// The next term of `n`, and `1/(n p)` for its probability `p`.
    #[inline]
    pub fn next(&mut self, selection: &Selection, seed: u64, n: usize) -> (usize, f64) {
        let random = self.random.get_or_insert_with(|| ChaCha8Rng::seed_from_u64(seed));
        match selection {
            Selection::Uniform => (random.random_range(0..n), 1.0),
            Selection::Shuffled => {
                if self.position == 0 {
                    self.order.shuffle(random);
                }
                let i = self.order[self.position];
                self.position = (self.position + 1) % n;
                (i, 1.0)
            }
            Selection::Lipschitz => {
                let total = self.constants.total();
                let i = if random.random::<bool>() || !(total > 0.0) {
                    random.random_range(0..n)
                } else {
                    self.constants.find(random.random::<f64>() * total)
                };
                let share = if total > 0.0 { n as f64 * self.constants.get(i) / total } else { 1.0 };
                (i, 2.0 / (1.0 + share))
            }
            Selection::Given(terms) => {
                let i = terms[self.position % terms.len()];
                self.position = (self.position + 1) % terms.len();
                (i, 1.0)
            }
        }
    }

    /// The next `batch` terms, distinct unless they are given or the end of an epoch is passed.
    pub fn batch(&mut self, selection: &Selection, seed: u64, n: usize, batch: usize, rows: &mut Vec<usize>) {
        rows.clear();
        let batch = batch.min(n);
        if batch > 1 && *selection == Selection::Uniform {
            let random = self.random.get_or_insert_with(|| ChaCha8Rng::seed_from_u64(seed));
            rows.extend_from_slice(self.order.partial_shuffle(random, batch).0);
            return;
        }
        rows.extend((0..batch).map(|_| self.next(selection, seed, n).0));
    }
}

/// Partial sums of numbers that are not negative, in a tree: looking one up by its place on the line, and changing one, take
/// `O(log n)` (Fenwick 1994).
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Fenwick {
    values: Vec<f64>,
    /// `sums[k]` is over the `lowest set bit of k + 1` values that end with `k`.
    sums: Vec<f64>,
}

impl Fenwick {
    pub fn new(values: &[f64]) -> Self {
        let mut sums = values.to_vec();
        for k in 0..sums.len() {
            let parent = k | (k + 1);
            if parent < sums.len() {
                sums[parent] += sums[k];
            }
        }
        Self { values: values.to_vec(), sums }
    }

    pub fn get(&self, i: usize) -> f64 {
        self.values[i]
    }

    pub fn total(&self) -> f64 {
        let (mut end, mut sum) = (self.sums.len(), 0.0);
        while end > 0 {
            sum += self.sums[end - 1];
            end &= end - 1;
        }
        sum
    }

    /// The value in whose stretch of the line `place` lies.
    pub fn find(&self, place: f64) -> usize {
        let n = self.sums.len();
        let (mut before, mut rest) = (0, place);
        let mut step = n.next_power_of_two();
        while step > 0 {
            let next = before + step;
            if next <= n && self.sums[next - 1] <= rest {
                rest -= self.sums[next - 1];
                before = next;
            }
            step /= 2;
        }
        // Rounding may lead past the end, or to a value of zero there.
        let last = self.values.iter().rposition(|v| *v > 0.0).unwrap_or(0);
        if before > last { last } else { before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_finds_the_stretch_of_every_place() {
        let values = [0.5, 0.0, 2.0, 1.0, 0.0, 3.0, 0.25];
        let tree = Fenwick::new(&values);
        assert!((tree.total() - 6.75).abs() < 1e-15);
        for k in 0..6750 {
            let place = (f64::from(k) + 0.5) * 1e-3;
            let mut end = 0.0;
            let expected = values.iter().position(|v| {
                end += v;
                place < end
            });
            assert_eq!(Some(tree.find(place)), expected, "{place}");
        }
        assert_eq!(tree.find(7.0), 6);
        assert_eq!(Fenwick::new(&[1.0, 0.0]).find(1.0), 0);
    }

    #[test]
    fn terms_come_as_often_as_their_constants_say() {
        let constants = [1.0, 3.0, 0.0, 4.0];
        let mut draw = Draw::default();
        draw.begin(&Selection::Lipschitz, 1, 4, 1, |i| Some(constants[i])).unwrap();
        let (mut counts, mut weights) = ([0.0f64; 4], [0.0f64; 4]);
        let n = 200_000;
        for _ in 0..n {
            let (i, weight) = draw.next(&Selection::Lipschitz, 1, 4);
            counts[i] += 1.0;
            weights[i] = weight;
        }
        for i in 0..4 {
            let p = 0.125 + 0.5 * constants[i] / 8.0;
            assert!((weights[i] - 0.25 / p).abs() < 1e-15, "{weights:?}");
            let deviation = (counts[i] - n as f64 * p) / (n as f64 * p * (1.0 - p)).sqrt();
            assert!(deviation.abs() < 4.5, "term {i}: {deviation} standard deviations");
        }
    }

    #[test]
    fn shuffled_epochs_hold_each_term_once() {
        let mut draw = Draw::default();
        draw.begin(&Selection::Shuffled, 5, 7, 1, |_| None).unwrap();
        for _ in 0..3 {
            let mut epoch: Vec<usize> = (0..7).map(|_| draw.next(&Selection::Shuffled, 5, 7).0).collect();
            epoch.sort_unstable();
            assert_eq!(epoch, (0..7).collect::<Vec<_>>());
        }
    }
}
