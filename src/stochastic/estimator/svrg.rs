//! SVRG: gradients corrected by those at a snapshot, whose full gradient is known.
//!
//! ```text
//! μ = ∇f(x̃);  for m steps: g = (1/b) Σ (∇fᵢ(x) − ∇fᵢ(x̃)) + μ;  then a new snapshot x̃
//! ```
//!
//! The snapshot is taken after the loop, never in it. For terms with linear structure the slopes at the snapshot are kept, `O(n K)`
//! numbers, and a step costs one evaluation a term instead of two.
//!
//! # Reference
//! Johnson & Zhang (2013), NeurIPS, options I and II; Xiao & Zhang (2014), SIAM J. Optim. 24(4) (the mean of the loop).

use super::draw::{Draw, Selection};
use super::{Estimate, GradientEstimator};
use crate::counts;
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::vector::{axpy, norm_inf};
use crate::problem::{At, FiniteSum};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The point of the next snapshot, where the next loop starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Snapshot {
    /// The last iterate of the loop.
    #[default]
    Last,
    /// One of the loop's iterates `x₁, …, x_m`, all equally likely: the one that is analysed.
    Random,
    /// The mean of the loop's iterates `x₁, …, x_m`.
    Average,
}

/// SVRG as an estimator of gradients.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Svrg {
    /// Where snapshots are taken. Default: at the last iterate.
    pub snapshot: Snapshot,
    /// Steps `m` between snapshots; `None` is `2n/b`.
    pub inner: Option<usize>,
    /// Terms a step, `b`. Default 1.
    pub batch: usize,
    /// How terms are chosen. Default: uniformly.
    pub selection: Selection,
    /// Seed of the choice. Default 0.
    pub seed: u64,
    draw: Draw,
    random: Option<ChaCha8Rng>,
    rows: Vec<usize>,
    /// Steps since the snapshot; none before the first.
    position: Option<usize>,
    point: Vec<f64>,
    mean: Vec<f64>,
    /// Slopes of all terms at the snapshot, if they have linear structure.
    slopes: Vec<f64>,
    /// The step whose iterate is chosen, and that iterate or the sum of all.
    chosen: usize,
    candidate: Vec<f64>,
    gradient_norm: Option<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Vec<f64>,
}

impl Svrg {
    /// One term a step, snapshots at the last iterate after `2n` steps.
    pub fn new(seed: u64) -> Self {
        Self {
            snapshot: Snapshot::Last,
            inner: None,
            batch: 1,
            selection: Selection::Uniform,
            seed,
            draw: Draw::default(),
            random: None,
            rows: Vec::new(),
            position: None,
            point: Vec::new(),
            mean: Vec::new(),
            slopes: Vec::new(),
            chosen: 0,
            candidate: Vec::new(),
            gradient_norm: None,
            work: Vec::new(),
        }
    }

    /// The same with other snapshots.
    pub fn snapshot(self, snapshot: Snapshot) -> Self {
        Self { snapshot, ..self }
    }

    /// The same with `steps` between snapshots.
    pub fn inner(self, steps: usize) -> Self {
        Self { inner: Some(steps), ..self }
    }

    /// The same with several terms a step.
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The same with terms chosen in another way.
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    fn length(&self, n: usize) -> usize {
        self.inner.unwrap_or((2 * n).div_ceil(self.batch.clamp(1, n)))
    }

    /// Takes a snapshot at `x`.
    fn take<O: FiniteSum>(&mut self, problem: &O, x: &[f64]) -> Result<()> {
        let n = problem.n_terms();
        self.point.clear();
        self.point.extend_from_slice(x);
        self.mean.resize(x.len(), 0.0);
        match problem.linear_terms() {
            Some(terms) => {
                let k = terms.n_outputs();
                self.slopes.resize(n * k, 0.0);
                self.mean.fill(0.0);
                for (i, slopes) in self.slopes.chunks_exact_mut(k).enumerate() {
                    terms.outputs(x, i, slopes);
                    terms.slopes(i, slopes);
                    terms.add_adjoint(i, slopes, &mut self.mean);
                }
                self.mean.iter_mut().for_each(|m| *m /= n as f64);
                self.work.clear();
                self.work.extend_from_slice(&self.mean);
                terms.add_shared(x, &mut self.work);
                self.gradient_norm = Some(norm_inf(&self.work));
            }
            None => {
                let rows: Vec<usize> = (0..n).collect();
                problem.partial(x, &rows, &mut self.mean)?;
                self.gradient_norm = Some(norm_inf(&self.mean));
            }
        }
        let seed = self.seed;
        let length = self.length(n);
        let random = self.random.get_or_insert_with(|| ChaCha8Rng::seed_from_u64(seed ^ 0x5eed));
        self.chosen = if self.snapshot == Snapshot::Random { random.random_range(1..=length) } else { 0 };
        self.candidate.clear();
        self.candidate.resize(if self.snapshot == Snapshot::Last { 0 } else { x.len() }, 0.0);
        self.position = Some(0);
        Ok(())
    }

    /// `gradient ←` the correction at `x` for the chosen rows.
    fn correct<O: FiniteSum>(&mut self, problem: &O, x: &[f64], gradient: &mut [f64]) -> Result<u64> {
        let weight = 1.0 / self.rows.len() as f64;
        let Some(terms) = problem.linear_terms() else {
            self.work.resize(x.len(), 0.0);
            problem.partial(x, &self.rows, gradient)?;
            problem.partial(&self.point, &self.rows, &mut self.work)?;
            axpy(-1.0, &self.work, gradient);
            axpy(1.0, &self.mean, gradient);
            return Ok(2 * self.rows.len() as u64);
        };
        let k = terms.n_outputs();
        self.work.resize(k, 0.0);
        gradient.copy_from_slice(&self.mean);
        for &i in &self.rows {
            terms.outputs(x, i, &mut self.work[..k]);
            terms.slopes(i, &mut self.work[..k]);
            let old = &self.slopes[i * k..(i + 1) * k];
            self.work.iter_mut().zip(old).for_each(|(w, old)| *w = weight * (*w - old));
            terms.add_adjoint(i, &self.work[..k], gradient);
        }
        terms.add_shared(x, gradient);
        Ok(self.rows.len() as u64)
    }
}

impl<O: FiniteSum> GradientEstimator<O> for Svrg {
    fn begin(&mut self, at: At<'_, O>) -> Result<()> {
        let n = at.problem.n_terms();
        Error::check_option(self.inner != Some(0), "inner", "positive", 0)?;
        self.draw.begin(&self.selection, self.seed, n, self.batch, |i| at.problem.lipschitz(i))?;
        let lipschitz = self.selection == Selection::Lipschitz;
        Error::check_option(!lipschitz, "selection", "uniform, shuffled or given", "Lipschitz")?;
        (self.random, self.position, self.gradient_norm) = (None, None, None);
        Ok(())
    }

    fn restart(&mut self, at: At<'_, O>) -> Option<&[f64]> {
        let (x, length) = (at.x.as_slice(), self.length(at.problem.n_terms()));
        let position = self.position.filter(|t| *t > 0)?;
        match self.snapshot {
            Snapshot::Last => return None,
            Snapshot::Random if position == self.chosen => self.candidate.copy_from_slice(x),
            Snapshot::Random => {}
            Snapshot::Average => axpy(1.0 / length as f64, x, &mut self.candidate),
        }
        (position == length).then_some(&self.candidate)
    }

    fn estimate<'a>(&'a mut self, at: At<'_, O>, _epoch: f64, gradient: &mut [f64]) -> Result<Estimate<'a>> {
        let (problem, x, n) = (at.problem, at.x.as_slice(), at.problem.n_terms());
        let mut evaluated = 0;
        if self.position.is_none_or(|t| t == self.length(n)) {
            self.take(problem, x)?;
            evaluated = n as u64;
        }
        self.draw.batch(&self.selection, self.seed, n, self.batch, &mut self.rows);
        evaluated += self.correct(problem, x, gradient)?;
        self.position = self.position.map(|t| t + 1);
        counts::add(&at.counts.sample_gradient, evaluated);
        Ok(Estimate { rows: &self.rows, cost: None, evaluated })
    }

    /// Of the full gradient at the last snapshot.
    fn gradient_norm(&self) -> Option<f64> {
        self.gradient_norm
    }
}
