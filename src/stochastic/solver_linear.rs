//! SAG and SAGA for linear models, fused: one iteration of argmin is one epoch.
//!
//! The steps are those of [`Tabulated`](super::estimator::Tabulated) under a constant learning rate, with the table of slopes, the
//! choice of terms and the search for `L` that it has, too. Two things are different. A step on dense features is two sweeps over the
//! parameters, and a step on sparse ones touches only the entries of its sample: with `w = σ v` the decay by the regulariser is
//! a factor on `σ`, and the mean gradient's part of a step waits, as a difference of the running sum `C` of step sizes, until its
//! parameter is next looked at (Schmidt, Le Roux & Bach 2017, §4.1; Defazio, Bach & Lacoste-Julien 2014).
//!
//! ```text
//! x ← (1 − αλ) x − α ḡ − α (1/(n p) − 1/n) Aᵢᵀ(s − sᵢ)        the last term for SAGA only; ḡ the table's mean with s in it
//! ```

use super::estimator::{Draw, LipschitzSearch, Selection, Table, TableMethod, TableStart};
use crate::counts::{self, Counts};
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::vector::{all_finite, axpy, norm_inf};
use crate::problem::state::{ArgminResult, State, borrow, drain, limit, terminate, wants_counts, wants_first_counts};
use crate::problem::{At, FiniteSum, LinearSum, LinearTerms, Row};
use argmin::core::{Problem, Solver, TerminationStatus};
use pulp::Arch;

/// How long steps are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum LinearStep {
    /// From the greatest Lipschitz constant `L` of a term (with the mean constant for terms in proportion to theirs): `1/L` for
    /// SAG, `1/(2L + min(2nλ, L))` for SAGA, which lies between `1/(3L)` and `1/(2L)`.
    #[default]
    Lipschitz,
    /// This length.
    Constant(f64),
    /// `1/(L + λ)`, for SAGA a third of that, with `L` found on the way.
    Search(LipschitzSearch),
}

/// SAG or SAGA on a [`LinearSum`].
///
/// # Example
/// ```
/// use argmin::core::Executor;
/// use curvkit::problem::{Features, LinearLoss, LinearOptions, LinearSum};
/// use curvkit::stochastic::LinearSag;
///
/// let features = Features::dense(1, vec![-1.0, 0.5, 0.1, 2.0])?;
/// let options = LinearOptions { l2: 0.1, ..LinearOptions::default() };
/// let model = LinearSum::new(LinearLoss::Logistic, features, vec![0.0, 1.0, 0.0, 1.0], &options)?;
/// let mut solver = LinearSag::saga(1);
/// solver.gradient_tolerance = 1e-10;
/// let run = Executor::new(model, solver).configure(|s| s.param(vec![0.0, 0.0]).max_iters(2000)).run()?;
/// assert!(run.state.iter < 2000);
/// # Ok::<(), argmin::core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LinearSag {
    /// SAG or SAGA.
    pub method: TableMethod,
    /// What the table holds at first. Default: zeros, its mean over the terms seen.
    pub start: TableStart,
    /// How terms are chosen. Default: uniformly.
    pub selection: Selection,
    /// How long steps are. Default: by Lipschitz constants.
    pub step: LinearStep,
    /// Factor on the table's mean for intercepts; scikit-learn takes 0.01 for sparse data. Default 1.
    pub intercept_decay: f64,
    /// Seed of the choice. Default 0.
    pub seed: u64,
    /// The run converged when the table's mean gradient is at most this in `‖·‖∞` after an epoch. Off at zero.
    pub gradient_tolerance: f64,
    /// Epochs between evaluations of the full cost; 0 for the end of a run only. Default 1.
    pub evaluate_every: u64,
    table: Table,
    draw: Draw,
    rate: f64,
    stop: Option<Stop>,
    counts: Counts,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    outputs: Vec<f64>,
    slopes: Vec<f64>,
    trial: Vec<f64>,
    /// The running sums that each feature has been brought up to.
    caught_up: Vec<[f64; 2]>,
}

/// What a step does: `w ← shrink · w − mean · Σ − direct · δ x − centre · c`, with `Σ` the table's sum.
#[derive(Debug, Clone, Copy)]
struct Move {
    term: usize,
    shrink: f64,
    mean: f64,
    direct: f64,
    centre: f64,
}

impl LinearSag {
    /// SAG from an empty table.
    pub fn sag(seed: u64) -> Self {
        Self {
            method: TableMethod::Sag,
            start: TableStart::Seen,
            selection: Selection::Uniform,
            step: LinearStep::Lipschitz,
            intercept_decay: 1.0,
            seed,
            gradient_tolerance: 0.0,
            evaluate_every: 1,
            table: Table::default(),
            draw: Draw::default(),
            rate: 0.0,
            stop: None,
            counts: Counts::default(),
            scratch: Scratch::default(),
        }
    }

    /// SAGA from an empty table.
    pub fn saga(seed: u64) -> Self {
        Self { method: TableMethod::Saga, ..Self::sag(seed) }
    }

    /// The step length of the last step.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Why the run ended, once it has.
    pub fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    fn validate(&self) -> Result<()> {
        let decay = self.intercept_decay;
        Error::check_option(decay > 0.0 && decay.is_finite(), "intercept_decay", "finite and positive", decay)?;
        let tolerance = self.gradient_tolerance;
        Error::check_option(
            tolerance >= 0.0 && tolerance.is_finite(),
            "gradient_tolerance",
            "finite and not negative",
            tolerance,
        )?;
        match self.step {
            LinearStep::Lipschitz => Ok(()),
            LinearStep::Constant(rate) => {
                Error::check_option(rate > 0.0 && rate.is_finite(), "step", "finite and positive", rate)
            }
            LinearStep::Search(search) => search.validate(),
        }
    }

    /// The first step length.
    fn first_rate<P: Vector>(&self, problem: &LinearSum<P>) -> Result<f64> {
        let (n, l2) = (problem.n_terms(), problem.l2());
        let rate = match self.step {
            LinearStep::Constant(rate) => rate,
            LinearStep::Search(search) => self.searched(search.constant, l2),
            LinearStep::Lipschitz => {
                let constants: Option<Vec<f64>> = (0..n).map(|i| problem.lipschitz(i)).collect();
                let constants = constants.ok_or(Error::Unsupported {
                    what: "a step from Lipschitz constants",
                    requirement: "a loss with bounded second derivatives, a constant step or the search",
                })?;
                let largest = constants.iter().fold(0.0f64, |m, l| m.max(*l));
                let mean = constants.iter().sum::<f64>() / n as f64;
                // Half of the terms come in proportion to their constants: those count no more than twice the mean.
                let l = if self.selection == Selection::Lipschitz { largest.min(2.0 * mean) } else { largest };
                match self.method {
                    TableMethod::Sag => 1.0 / l,
                    TableMethod::Saga => 1.0 / (2.0 * l + (2.0 * n as f64 * l2).min(l)),
                }
            }
        };
        // Features that are all zero leave nothing, or only the regulariser, to bound.
        let rate = match self.step {
            LinearStep::Lipschitz if !rate.is_finite() => 1.0,
            LinearStep::Lipschitz if rate * l2 >= 1.0 => 0.5 / l2,
            _ => rate,
        };
        Error::check_option(rate * l2 < 1.0, "step", "less than 1/l2", rate)?;
        Ok(rate)
    }

    fn searched(&self, constant: f64, l2: f64) -> f64 {
        let share = if self.method == TableMethod::Saga { 1.0 / 3.0 } else { 1.0 };
        share / (constant + l2)
    }

    /// Chooses a term, for which `predict` writes the outputs; `δ`, the change of its slopes, is left in the scratch.
    #[inline(always)]
    fn next(&mut self, terms: &dyn LinearTerms, l2: f64, mut predict: impl FnMut(usize, &mut [f64], &mut Scratch)) -> Move {
        let n = self.table.n;
        let (i, weight) = self.draw.next(&self.selection, self.seed, n);
        let mut slopes = std::mem::take(&mut self.scratch.slopes);
        predict(i, &mut slopes, &mut self.scratch);
        let searching = matches!(self.step, LinearStep::Search(_));
        if searching {
            self.scratch.outputs.copy_from_slice(&slopes);
        }
        terms.slopes(i, &mut slopes);
        if let LinearStep::Search(search) = &mut self.step {
            search.raise_linear(terms, i, &self.scratch.outputs, &slopes, &mut self.scratch.trial);
            let constant = search.constant;
            search.relax(n);
            self.rate = self.searched(constant, l2);
        }
        let width = self.table.width;
        for (slope, entry) in slopes.iter_mut().zip(&mut self.table.entries[i * width..(i + 1) * width]) {
            let new = *slope;
            *slope -= *entry;
            *entry = new;
        }
        self.scratch.slopes = slopes;
        let first = self.table.mark(i);
        let mean = self.rate / self.table.divisor();
        let direct = match self.method {
            TableMethod::Sag => 0.0,
            TableMethod::Saga => self.rate * (weight - 1.0 / self.table.divisor()),
        };
        let centre = match self.start {
            TableStart::Centred => direct * f64::from(u8::from(first)) - mean * self.table.n_centred(),
            TableStart::Seen | TableStart::AtStart => 0.0,
        };
        Move { term: i, shrink: 1.0 - self.rate * l2, mean, direct, centre }
    }

    /// The step for the parameters behind the features.
    #[inline(always)]
    fn move_intercepts(&mut self, w: &mut [f64], at: usize, step: &Move) {
        let (mean, centre) = (step.mean * self.intercept_decay, step.centre);
        for (c, delta) in self.scratch.slopes.iter().enumerate().take(w.len() - at) {
            self.table.sum[at + c] += delta;
            w[at + c] -= mean * self.table.sum[at + c] + step.direct * delta;
            if centre != 0.0 {
                w[at + c] -= centre * self.table.centre[at + c];
            }
        }
    }

    /// `n` steps on dense features.
    fn dense_epoch<P: Vector>(&mut self, problem: &LinearSum<P>, w: &mut [f64]) {
        let Some(terms) = problem.linear_terms() else { return };
        let (l2, k) = (problem.l2(), problem.n_outputs());
        let at = k * problem.features().n_features();
        for _ in 0..self.table.n {
            let step = self.next(terms, l2, |i, out, _| terms.outputs(w, i, out));
            let Row::Dense(x) = problem.features().row(step.term) else { continue };
            let (sum, delta) = (&mut self.table.sum[..at], &self.scratch.slopes);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    if k == 1 {
                        let (delta, direct) = (delta[0], step.direct * delta[0]);
                        for ((w, s), x) in w[..at].iter_mut().zip(sum).zip(x) {
                            *s += delta * x;
                            *w = step.shrink * *w - (step.mean * *s + direct * x);
                        }
                        return;
                    }
                    // Features that are zero, as many are, only take part in the long loop.
                    for (s, x) in sum.chunks_exact_mut(k).zip(x).filter(|(_, x)| **x != 0.0) {
                        s.iter_mut().zip(delta).for_each(|(s, d)| *s += d * x);
                    }
                    for (w, s) in w[..at].iter_mut().zip(&*sum) {
                        *w = step.shrink * *w - step.mean * s;
                    }
                    if step.direct != 0.0 {
                        for (w, x) in w[..at].chunks_exact_mut(k).zip(x).filter(|(_, x)| **x != 0.0) {
                            let direct = step.direct * x;
                            w.iter_mut().zip(delta).for_each(|(w, d)| *w -= direct * d);
                        }
                    }
                },
            );
            if step.centre != 0.0 {
                axpy(-step.centre, &self.table.centre[..at], &mut w[..at]);
            }
            self.move_intercepts(w, at, &step);
        }
    }

    /// `n` steps on sparse features.
    fn sparse_epoch<P: Vector>(&mut self, problem: &LinearSum<P>, w: &mut [f64]) {
        let Some(terms) = problem.linear_terms() else { return };
        let (l2, k) = (problem.l2(), problem.n_outputs());
        let at = k * problem.features().n_features();
        let (mut scale, mut waiting) = (1.0, [0.0f64; 2]);
        self.scratch.caught_up.clear();
        self.scratch.caught_up.resize(problem.features().n_features(), [0.0; 2]);
        for _ in 0..self.table.n {
            let (sum, centre) = (std::mem::take(&mut self.table.sum), std::mem::take(&mut self.table.centre));
            let step = self.next(terms, l2, |i, out, scratch| {
                out.fill(0.0);
                problem.features().row(i).for_each(|j, x| {
                    catch_up(j, k, waiting, &mut scratch.caught_up, &sum, &centre, w);
                    out.iter_mut().zip(&w[j * k..]).for_each(|(o, w)| *o += x * w);
                });
                let intercepts = w[at..].iter().chain(std::iter::repeat(&0.0));
                out.iter_mut().zip(intercepts).for_each(|(o, b)| *o = scale * *o + b);
            });
            (self.table.sum, self.table.centre) = (sum, centre);
            scale *= step.shrink;
            let (delta, sum) = (&self.scratch.slopes, &mut self.table.sum);
            let direct = step.direct / scale;
            problem.features().row(step.term).for_each(|j, x| {
                for ((w, s), d) in w[j * k..(j + 1) * k].iter_mut().zip(&mut sum[j * k..]).zip(delta) {
                    *s += x * d;
                    *w -= direct * x * d;
                }
            });
            waiting = [waiting[0] + step.mean / scale, waiting[1] + step.centre / scale];
            self.move_intercepts(w, at, &step);
            // The scaled parameters must not grow without bound.
            if !(scale > 1e-9) {
                self.settle(k, at, scale, &mut waiting, w);
                scale = 1.0;
            }
        }
        self.settle(k, at, scale, &mut waiting, w);
    }

    /// Brings all features up to date and takes the scale into them.
    fn settle(&mut self, k: usize, at: usize, scale: f64, waiting: &mut [f64; 2], w: &mut [f64]) {
        for j in 0..at / k {
            catch_up(j, k, *waiting, &mut self.scratch.caught_up, &self.table.sum, &self.table.centre, w);
        }
        w[..at].iter_mut().for_each(|w| *w *= scale);
        self.scratch.caught_up.fill([0.0; 2]);
        *waiting = [0.0; 2];
    }

    /// One epoch; a stop if a parameter is not finite, and `x` is then as it was.
    fn epoch<P: Vector>(&mut self, problem: &LinearSum<P>, x: &mut P) -> Option<Stop> {
        let before = x.clone();
        let k = problem.n_outputs();
        let Scratch { outputs, slopes, trial, .. } = &mut self.scratch;
        [outputs, slopes, trial].into_iter().for_each(|v| v.resize(k, 0.0));
        match problem.features().is_sparse() {
            true => self.sparse_epoch(problem, x.as_mut_slice()),
            false => self.dense_epoch(problem, x.as_mut_slice()),
        }
        counts::add(&self.counts.sample_gradient, self.table.n as u64);
        if !all_finite(x.as_slice()) {
            *x = before;
            return Some(Stop::Diverged { value: f64::NAN, bound: f64::MAX });
        }
        if !(self.gradient_tolerance > 0.0 && self.table.is_full()) {
            return None;
        }
        let mut mean = x.as_slice().to_vec();
        self.table.mean(&mut mean);
        problem.linear_terms()?.add_shared(x.as_slice(), &mut mean);
        let (norm, bound) = (norm_inf(&mean), self.gradient_tolerance);
        (norm <= bound).then_some(Stop::Gradient { norm, bound })
    }

    fn cost<P: Vector>(&self, problem: &LinearSum<P>, x: &P) -> Result<f64> {
        At { problem, x, rows: None, counts: &self.counts }.cost()
    }
}

/// Applies to feature `j` what has waited since it was last looked at.
#[inline(always)]
fn catch_up(j: usize, k: usize, now: [f64; 2], seen: &mut [[f64; 2]], sum: &[f64], centre: &[f64], v: &mut [f64]) {
    let [mean, off] = [now[0] - seen[j][0], now[1] - seen[j][1]];
    seen[j] = now;
    let range = j * k..(j + 1) * k;
    if mean != 0.0 {
        v[range.clone()].iter_mut().zip(&sum[range.clone()]).for_each(|(v, s)| *v -= mean * s);
    }
    if off != 0.0 {
        v[range.clone()].iter_mut().zip(&centre[range]).for_each(|(v, c)| *v -= off * c);
    }
}

impl<P: Vector> Solver<LinearSum<P>, State<P>> for LinearSag {
    fn name(&self) -> &str {
        match self.method {
            TableMethod::Sag => "curvkit SAG",
            TableMethod::Saga => "curvkit SAGA",
        }
    }

    fn init(&mut self, problem: &mut Problem<LinearSum<P>>, mut state: State<P>) -> ArgminResult<P> {
        self.validate()?;
        let x = state.param.take().ok_or(Error::Unsupported { what: "a run", requirement: "a starting point" })?;
        Error::check_finite("the starting point", x.as_slice())?;
        let o = borrow(problem)?;
        Error::check_len("the starting point", o.n_params(), x.as_slice().len())?;
        (self.stop, self.counts) = (None, Counts::default());
        self.rate = self.first_rate(o)?;
        self.draw.begin(&self.selection, self.seed, o.n_terms(), 1, |i| o.lipschitz(i))?;
        let evaluated = self.table.begin(o, x.as_slice(), self.start)?;
        counts::add(&self.counts.sample_gradient, evaluated);
        state.cost = self.cost(o, &x)?;
        if !state.cost.is_finite() {
            return Err(Error::NonFinite { what: "the cost at the starting point", index: None }.into());
        }
        state.param = Some(x);
        if wants_first_counts(&state, state.cost) {
            drain(&self.counts.tally(), problem);
        }
        Ok((state, None))
    }

    fn next_iter(&mut self, problem: &mut Problem<LinearSum<P>>, mut state: State<P>) -> ArgminResult<P> {
        let Some(mut x) = state.param.take() else {
            return Err(Error::Unsupported { what: "an iteration", requirement: "a point in the state" }.into());
        };
        self.stop = None;
        let mut stop = borrow(problem).map(|o| self.epoch(o, &mut x))?;
        let last = stop.is_some() || state.iter + 1 >= state.max_iters;
        if last || (self.evaluate_every > 0 && (state.iter + 1).is_multiple_of(self.evaluate_every)) {
            match borrow(problem).and_then(|o| self.cost(o, &x)) {
                Ok(cost) if cost.is_finite() => state.cost = cost,
                Ok(value) => stop = Some(Stop::Diverged { value, bound: f64::MAX }),
                // An error here would lose the state, and the best point with it.
                Err(error) => stop = stop.or(Some(Stop::Failed { message: error.to_string() })),
            }
        }
        state.param = Some(x);
        if let Some(stop) = stop {
            terminate(&mut state, &stop);
            self.stop = Some(stop);
        }
        if wants_counts(&state) {
            drain(&self.counts.tally(), problem);
        }
        Ok((state, None))
    }

    fn terminate(&mut self, state: &State<P>) -> TerminationStatus {
        if self.stop.is_none() {
            self.stop = limit(state);
        }
        TerminationStatus::NotTerminated
    }
}
