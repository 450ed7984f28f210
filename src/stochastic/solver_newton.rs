//! Newton's method on a growing sample of a finite sum.
//!
//! The mean over a random sample of `m` terms is minimised by damped Newton steps no further than its own statistical accuracy,
//! about `d/(2m)` of the cost for `d` parameters; then the sample grows. The last sample is the whole sum. Few steps are left
//! there, because the start is good, and these keep the last factorization as long as the squared decrement `gᵀH⁻¹g` falls fast
//! enough with it: a step then costs a pass through the data and no Hessian. Nothing depends on how the variables are scaled.
//!
//! # Reference
//! Mokhtari, Daneshmand, Lucchi, Hofmann & Ribeiro (2016), NeurIPS (adaptive sample sizes); Nocedal & Wright (2006), §3.1
//! (backtracking); Shamanskii (1967), Ukr. Math. J. 19 (kept factorizations).

use crate::counts::{self, Counts, Tally};
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::factor::ShiftedCholesky;
use crate::linalg::operator::DenseMatrix;
use crate::linalg::vector::{add_scaled, dot, norm_inf};
use crate::problem::state::{ArgminResult, State, borrow, drain, limit, terminate, wants_counts, wants_first_counts};
use crate::problem::{At, PartialHessian};
use argmin::core::{KV, Problem, Solver, TerminationStatus};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Sufficient decrease along a step (Nocedal & Wright 2006, §3.1).
const ARMIJO: f64 = 1e-4;
/// Halvings of a step.
const HALVINGS: u32 = 60;
/// Relative rounding of the cost: differences below it mean nothing.
const ROUNDING: f64 = 1e-14;

/// Newton's method on a growing sample; one iteration is one accepted step.
///
/// # Example
/// ```
/// use argmin::core::Executor;
/// use curvkit::problem::{Features, LinearLoss, LinearOptions, LinearSum};
/// use curvkit::stochastic::SampleNewton;
///
/// let x: Vec<f64> = (0..4000).map(|i| (f64::from(i) * 0.7).sin()).collect();
/// let y: Vec<f64> = x.iter().enumerate().map(|(i, x)| f64::from((i % 3) as f64 - 1.0 < *x)).collect();
/// let model = LinearSum::new(LinearLoss::Logistic, Features::dense(1, x)?, y, &LinearOptions::default())?;
/// let run = Executor::new(model, SampleNewton::default()).configure(|s| s.param(vec![0.0, 0.0]).max_iters(50)).run()?;
/// assert!(run.solver.stop().is_some_and(|stop| stop.converged()));
/// # Ok::<(), argmin::core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SampleNewton {
    /// Terms of the first sample; `None` is `10 d`, at least 1000. A sum not four times as long is not sampled at all.
    pub first: Option<usize>,
    /// How many times larger the next sample is. Default 10.
    pub growth: f64,
    /// Half the squared decrement, in units of `max(1, |f|)`, with which the run has converged. Default 1e-14.
    pub tolerance: f64,
    /// Reduction of the squared decrement from step to step for which the last factorization is kept. Default 0.1.
    pub keep: f64,
    /// Seed of the samples. Default 0.
    pub seed: u64,
    run: Run,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Run {
    /// A random order of all terms; a sample is its beginning.
    order: Vec<usize>,
    sample: usize,
    /// Entries of the Hessian whose factorization is kept; empty for none.
    hessian: Vec<f64>,
    /// Half the squared decrement of the last step on the present sample.
    decrement: Option<f64>,
    shift: f64,
    counts: Counts,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    cholesky: ShiftedCholesky,
    /// Whether the factorization is that of the kept Hessian.
    current: bool,
    rows: Vec<usize>,
    gradient: Vec<f64>,
    direction: Vec<f64>,
}

impl Default for SampleNewton {
    fn default() -> Self {
        Self { first: None, growth: 10.0, tolerance: 1e-14, keep: 0.1, seed: 0, run: Run::default(), scratch: Scratch::default() }
    }
}

impl SampleNewton {
    /// Terms of the present sample.
    pub fn sample(&self) -> usize {
        self.run.sample
    }

    /// The evaluations of the run.
    pub fn tally(&self) -> Tally {
        self.run.counts.tally()
    }

    /// Why the run ended, once it has.
    pub fn stop(&self) -> Option<&Stop> {
        self.run.stop.as_ref()
    }

    fn validate(&self) -> Result<()> {
        Error::check_option(self.first != Some(0), "first", "positive", 0)?;
        Error::check_option(self.growth > 1.0, "growth", "greater than 1", self.growth)?;
        let tolerance = self.tolerance;
        Error::check_option(tolerance > 0.0 && tolerance < 1.0, "tolerance", "between 0 and 1", tolerance)?;
        Error::check_option((0.0..1.0).contains(&self.keep), "keep", "at least 0 and below 1", self.keep)
    }

    /// The next sample, of about `size` terms; all of them if fewer than as many again would be left.
    fn grow(&mut self, size: f64) {
        let n = self.run.order.len();
        self.run.sample = if 2.0 * size >= n as f64 { n } else { size as usize };
        self.run.decrement = None;
        let rows = &mut self.scratch.rows;
        rows.clear();
        rows.extend_from_slice(&self.run.order[..self.run.sample]);
        // In the order of memory.
        rows.sort_unstable();
    }

    fn is_whole(&self) -> bool {
        self.run.sample == self.run.order.len()
    }

    /// Cost of the sample.
    fn value<O: PartialHessian>(&self, problem: &O, x: &O::Point) -> Result<f64> {
        if self.is_whole() {
            return At { problem, x, rows: None, counts: &self.run.counts }.cost();
        }
        counts::add(&self.run.counts.cost, 1);
        problem.partial_cost(x.as_slice(), &self.scratch.rows)
    }

    /// Cost and gradient of the sample.
    fn evaluate<O: PartialHessian>(&mut self, problem: &O, x: &O::Point) -> Result<f64> {
        counts::add(&self.run.counts.sample_gradient, self.run.sample as u64);
        if self.is_whole() {
            let at = At { problem, x, rows: None, counts: &self.run.counts };
            let value = at.uncounted_cost()?;
            self.scratch.gradient.copy_from_slice(at.uncounted_gradient()?.as_slice());
            return Ok(value);
        }
        problem.partial(x.as_slice(), &self.scratch.rows, &mut self.scratch.gradient)
    }

    /// Forms the Hessian of the sample at `x`.
    fn renew<O: PartialHessian>(&mut self, problem: &O, x: &O::Point) -> Result<()> {
        let n = x.as_slice().len();
        counts::add(&self.run.counts.hessian, 1);
        self.run.hessian.resize(n * n, 0.0);
        problem.partial_hessian(x.as_slice(), &self.scratch.rows, &mut self.run.hessian)?;
        self.run.shift = 0.0;
        self.scratch.current = false;
        self.factor(n)
    }

    /// Factors the kept Hessian, with as much of the identity added as makes it positive definite.
    fn factor(&mut self, n: usize) -> Result<()> {
        if self.scratch.current {
            return Ok(());
        }
        let matrix = DenseMatrix::new(n, std::mem::take(&mut self.run.hessian))?;
        let loaded = self.scratch.cholesky.load(&matrix);
        let largest = (0..n).map(|i| matrix.entries()[i * n + i].abs()).fold(0.0, f64::max);
        self.run.hessian = matrix.entries().to_vec();
        loaded?;
        while let Err(failure) = self.scratch.cholesky.factor(self.run.shift) {
            self.run.shift = (2.0 * failure.deficit).max(10.0 * self.run.shift).max(1e-14 * largest).max(f64::MIN_POSITIVE);
            if !(self.run.shift < 1e3 * largest) {
                return Err(Error::Factorization { what: "the Hessian of a sample", pivot: failure.pivot });
            }
        }
        counts::add(&self.run.counts.factorization, 1);
        self.scratch.current = true;
        Ok(())
    }

    /// `d = −H⁻¹g`; half the squared decrement.
    fn direct(&mut self) -> f64 {
        let Scratch { cholesky, gradient, direction, .. } = &mut self.scratch;
        cholesky.solve(gradient, direction);
        direction.iter_mut().for_each(|d| *d = -*d);
        -0.5 * dot(gradient, direction)
    }

    /// One step from `x`, where the sample may grow first; the cost of the sample at the new point.
    fn step<O: PartialHessian>(&mut self, problem: &O, x: &mut O::Point) -> Result<(f64, Option<Stop>)> {
        let n = x.as_slice().len();
        self.scratch.gradient.resize(n, 0.0);
        self.scratch.direction.resize(n, 0.0);
        if self.scratch.rows.len() != self.run.sample {
            // After a checkpoint.
            let (size, decrement) = (self.run.sample, self.run.decrement);
            self.grow(size as f64);
            self.run.decrement = decrement;
        }
        let value = self.evaluate(problem, x)?;
        let mut fresh = self.run.hessian.is_empty();
        if fresh {
            self.renew(problem, x)?;
        }
        self.factor(n)?;
        let mut decrement = self.direct();
        // A factorization of a smaller sample is given one step to prove itself.
        let bound = self.run.decrement.map_or(f64::INFINITY, |last| self.keep * last);
        if !fresh && !(decrement <= bound) {
            self.renew(problem, x)?;
            fresh = true;
            decrement = self.direct();
        }
        let unit = value.abs().max(1.0);
        let goal = if self.is_whole() { self.tolerance } else { 0.5 * n as f64 / self.run.sample as f64 } * unit;
        let met = decrement <= goal;
        let new = match self.search(problem, x, value, decrement)? {
            Some(new) => new,
            None if met || decrement <= ROUNDING * unit => value,
            None if !fresh => {
                self.run.hessian.clear();
                return Ok((value, None));
            }
            None => {
                let gradient_norm = norm_inf(&self.scratch.gradient);
                return Ok((value, Some(Stop::NoProgress { gradient_norm, bound: goal, trials: u64::from(HALVINGS) })));
            }
        };
        self.run.decrement = Some(decrement);
        if !met {
            return Ok((new, None));
        }
        if self.is_whole() {
            return Ok((new, Some(Stop::Cost { change: decrement / unit, bound: self.tolerance })));
        }
        self.grow(self.growth * self.run.sample as f64);
        Ok((new, None))
    }

    /// Backtracks along the direction; the cost reached, or nothing where the cost does not fall.
    fn search<O: PartialHessian>(&mut self, problem: &O, x: &mut O::Point, value: f64, decrement: f64) -> Result<Option<f64>> {
        let mut trial = x.clone();
        let mut size = 1.0;
        for _ in 0..HALVINGS {
            add_scaled(x.as_slice(), size, &self.scratch.direction, trial.as_mut_slice());
            let new = self.value(problem, &trial)?;
            // Within rounding of the cost the model is trusted.
            if new <= value - 2.0 * ARMIJO * size * decrement + ROUNDING * value.abs() {
                *x = trial;
                return Ok(Some(new));
            }
            size *= 0.5;
        }
        Ok(None)
    }
}

impl<O, P> Solver<O, State<P>> for SampleNewton
where
    O: PartialHessian<Point = P>,
    P: Vector,
{
    fn name(&self) -> &str {
        "curvkit Newton on a growing sample"
    }

    fn init(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        self.validate()?;
        let x = state.param.take().ok_or(Error::Unsupported { what: "a run", requirement: "a starting point" })?;
        Error::check_finite("the starting point", x.as_slice())?;
        let o = borrow(problem)?;
        let n = o.n_terms();
        Error::check_option(n > 0, "terms of the sum", "positive", n)?;
        (self.run, self.scratch) = (Run::default(), Scratch::default());
        self.run.order = (0..n).collect();
        let first = self.first.unwrap_or((10 * x.as_slice().len()).max(1000));
        if 4 * first <= n {
            self.run.order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        }
        self.grow(if 4 * first <= n { first as f64 } else { n as f64 });
        let value = self.value(o, &x)?;
        if !value.is_finite() {
            return Err(Error::NonFinite { what: "the cost at the starting point", index: None }.into());
        }
        // The cost of a sample is not that of the sum.
        state.cost = if self.is_whole() { value } else { f64::INFINITY };
        state.param = Some(x);
        if wants_first_counts(&state, state.cost) {
            drain(&self.run.counts.tally(), problem);
        }
        Ok((state, None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        let Some(mut x) = state.param.take() else {
            return Err(Error::Unsupported { what: "an iteration", requirement: "a point in the state" }.into());
        };
        self.run.stop = None;
        let whole = self.is_whole();
        let outcome = borrow(problem).and_then(|o| self.step(o, &mut x));
        // An error here would lose the state, and the best point with it.
        let (value, stop) = outcome.unwrap_or_else(|error| (state.cost, Some(Stop::Failed { message: error.to_string() })));
        let last = stop.is_some() || state.iter + 1 >= state.max_iters;
        state.cost = match whole {
            true => value,
            false if last => borrow(problem)
                .and_then(|problem| At { problem, x: &x, rows: None, counts: &self.run.counts }.cost())
                .unwrap_or(f64::INFINITY),
            false => f64::INFINITY,
        };
        state.param = Some(x);
        let kv: KV = argmin::kv!("sample" => self.run.sample as u64; "decrement" => self.run.decrement.unwrap_or(f64::NAN););
        if let Some(stop) = stop {
            terminate(&mut state, &stop);
            self.run.stop = Some(stop);
        }
        if wants_counts(&state) {
            drain(&self.run.counts.tally(), problem);
        }
        Ok((state, Some(kv)))
    }

    fn terminate(&mut self, state: &State<P>) -> TerminationStatus {
        if self.run.stop.is_none() {
            self.run.stop = limit(state);
        }
        TerminationStatus::NotTerminated
    }
}
