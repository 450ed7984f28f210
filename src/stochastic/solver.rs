//! The one argmin solver of all first-order and stochastic methods: estimator × preconditioner × rule.
//!
//! A step is
//!
//! ```text
//! g = estimate of ∇f at x (at the point ahead, if the rule asks for one)
//! u = (B + λI)⁻¹ g              B the curvature on the rows of g; nothing for the identity
//! u ← rule(u);  x ← x − u
//! average, clock, tests
//! ```
//!
//! and one iteration of argmin is a number of steps, by default one pass through the data. The full cost is evaluated on a
//! cadence and is what argmin sees; the cost of a mini-batch never is.

use super::Clock;
use super::average::{Average, Averaging};
use super::estimator::GradientEstimator;
use super::rule::{Context, Oracle, UpdateRule};
use super::schedule::Schedule;
use super::stopping::{Cadence, Evaluations, Protocol};
use crate::counts::{self, Counts, Tally};
use crate::curvature::{Identity, Subsampled};
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::vector::{all_finite, norm};
use crate::problem::state::{ArgminResult, State, borrow, drain, limit, terminate, wants_counts, wants_first_counts};
use crate::problem::{At, FiniteSum};
use argmin::core::{KV, Problem, Solver, TerminationStatus};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// An argmin solver made of an estimator of gradients, a preconditioner and a rule.
///
/// The named methods ([`methods`](super::methods)) build the usual chains. With averaging on, the averaged point is argmin's
/// `param`; the raw one is [`iterate`](Self::iterate).
///
/// # Example
/// ```
/// use argmin::core::Executor;
/// use curvkit::loss::SquaredError;
/// use curvkit::model::{Activation, Batch, Network};
/// use curvkit::problem::Supervised;
/// use curvkit::stochastic::{estimator::MiniBatch, methods};
///
/// // y = 2 x + 1 without noise: constant steps converge.
/// let x: Vec<f64> = (0..50).map(|i| f64::from(i) / 25.0 - 1.0).collect();
/// let y: Vec<f64> = x.iter().map(|x| 2.0 * x + 1.0).collect();
/// let line = Network::vector(1)?.dense(1, Activation::Identity)?;
/// let problem = Supervised::new(line, SquaredError, Batch::new(1, x)?, Batch::new(1, y)?)?;
/// let solver = methods::sgd(MiniBatch::new(5, 1), 0.5);
/// let run = Executor::new(problem, solver).configure(|s| s.param(vec![0.0, 0.0]).max_iters(100)).run()?;
/// assert!(run.state.best_cost < 1e-20); // argmin's iterations are passes through the data
/// # Ok::<(), argmin::core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stochastic<E, C, R> {
    /// Estimates the gradient.
    pub estimator: E,
    /// The preconditioner.
    pub curvature: C,
    /// Turns gradients into steps.
    pub rule: R,
    /// `λ`, added to the preconditioner. Default 0.
    pub damping: Schedule,
    /// What becomes of the iterates. Default: the last is the answer.
    pub averaging: Averaging,
    /// Stopping tests and cadences.
    pub protocol: Protocol,
    /// The answer is the point with the lowest validation loss instead of the last, where the problem has validation data. On
    /// by default.
    pub keep_best: bool,
    /// Hand key-values to argmin's observers. On by default.
    pub report: bool,
    run: Run,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

/// What a run must remember between iterations (and across a checkpoint).
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Run {
    clock: Clock,
    /// Gradients of terms evaluated.
    samples: u64,
    n_terms: usize,
    /// The raw iterate, while argmin's state holds an average.
    raw: Option<Vec<f64>>,
    average: Average,
    evaluations: Evaluations,
    /// The last full cost and validation loss, and where the clock stood.
    cost: f64,
    validation: Option<f64>,
    evaluated: Clock,
    /// The point of the lowest validation loss, and its cost.
    best: Option<Vec<f64>>,
    best_cost: f64,
    gradient_norm: f64,
    update_norm: f64,
    batch_cost: Option<f64>,
    counts: Counts,
    /// Seconds of the iterations done.
    seconds: f64,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    gradient: Vec<f64>,
    update: Vec<f64>,
    started: Option<Instant>,
}

impl<E, R> Stochastic<E, Identity, R> {
    /// A first-order method: no preconditioner.
    pub fn new(estimator: E, rule: R) -> Self {
        Self {
            estimator,
            curvature: Identity,
            rule,
            damping: Schedule::Constant(0.0),
            averaging: Averaging::Last,
            protocol: Protocol::default(),
            keep_best: true,
            report: true,
            run: Run::default(),
            scratch: Scratch::default(),
        }
    }
}

impl<E, C, R> Stochastic<E, C, R> {
    /// The same method with a preconditioner `(B + λI)⁻¹`.
    pub fn preconditioned<D>(self, curvature: D, damping: impl Into<Schedule>) -> Stochastic<E, D, R> {
        Stochastic {
            estimator: self.estimator,
            curvature,
            rule: self.rule,
            damping: damping.into(),
            averaging: self.averaging,
            protocol: self.protocol,
            keep_best: self.keep_best,
            report: self.report,
            run: self.run,
            scratch: self.scratch,
        }
    }

    /// The same method with averaged iterates.
    pub fn averaged(self, averaging: Averaging) -> Self {
        Self { averaging, ..self }
    }

    /// The same method under another protocol.
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// The same method for at most so many passes through the data.
    pub fn epochs(mut self, epochs: f64) -> Self {
        self.protocol.epochs = Some(epochs);
        self
    }

    /// Why the last run ended; `None` while it runs, and where argmin ended it.
    pub fn stop(&self) -> Option<&Stop> {
        self.run.stop.as_ref()
    }

    /// Steps and passes so far.
    pub fn clock(&self) -> Clock {
        self.run.clock
    }

    /// Gradients of single terms evaluated for the steps so far.
    pub fn samples(&self) -> u64 {
        self.run.samples
    }

    /// The evaluations of the run.
    pub fn tally(&self) -> Tally {
        self.run.counts.tally()
    }

    /// The raw iterate of an averaging run; without averaging it is argmin's `param`.
    pub fn iterate(&self) -> Option<&[f64]> {
        self.run.raw.as_deref()
    }

    /// The lowest validation loss so far (cost, without validation data), and the point it belongs to where one was kept.
    pub fn best(&self) -> (f64, Option<&[f64]>) {
        (self.run.evaluations.lowest, self.run.best.as_deref())
    }

    /// The validation loss of the last evaluation.
    pub fn validation(&self) -> Option<f64> {
        self.run.validation
    }
}

/// Evaluations on the rows of a step.
struct OnRows<'a, O> {
    problem: &'a O,
    rows: &'a [usize],
    counts: &'a Counts,
}

impl<O: FiniteSum> Oracle for OnRows<'_, O> {
    fn cost(&self, x: &[f64]) -> Result<f64> {
        counts::add(&self.counts.cost, 1);
        self.problem.partial_cost(x, self.rows)
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<f64> {
        counts::add(&self.counts.sample_gradient, self.rows.len() as u64);
        self.problem.partial(x, self.rows, out)
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        counts::add(&self.counts.hessian_product, 1);
        self.problem.partial_product(x, self.rows, v, out)
    }
    fn sampled_gradient(&self, x: &[f64], seed: u64, out: &mut [f64]) -> Result<usize> {
        counts::add(&self.counts.sample_gradient, self.rows.len() as u64);
        self.problem.sampled_partial(x, self.rows, seed, out)?;
        Ok(self.rows.len())
    }
}

impl<E, C, R> Stochastic<E, C, R> {
    /// One step from `x`; a stop if it is not finite, and `x` is then as it was.
    fn step<O>(&mut self, problem: &O, x: &mut O::Point, ahead: &mut Option<O::Point>) -> Result<Option<Stop>>
    where
        O: FiniteSum,
        E: GradientEstimator<O>,
        C: Subsampled<O>,
        R: UpdateRule,
    {
        let (run, n) = (&mut self.run, x.as_slice().len());
        let Scratch { gradient, update, .. } = &mut self.scratch;
        gradient.resize(n, 0.0);
        update.resize(n, 0.0);
        if let Some(start) = self.estimator.restart(At { problem, x: &*x, rows: None, counts: &run.counts }) {
            // Copied first: the estimator is told the point that it replaces.
            update.copy_from_slice(start);
            x.as_mut_slice().copy_from_slice(update);
        }
        let point = match ahead {
            None => &*x,
            Some(point) => {
                point.as_mut_slice().copy_from_slice(x.as_slice());
                self.rule.look_ahead(&run.clock, x.as_slice(), point.as_mut_slice());
                &*point
            }
        };
        let at = At { problem, x: point, rows: None, counts: &run.counts };
        let estimate = self.estimator.estimate(at, run.clock.epoch, gradient)?;
        update.copy_from_slice(gradient);
        let damping = self.damping.at(&run.clock);
        self.curvature.precondition(At { rows: Some(estimate.rows), ..at }, damping, update)?;
        let oracle = OnRows { problem, rows: estimate.rows, counts: &run.counts };
        let context = Context {
            clock: run.clock,
            x: x.as_slice(),
            gradient,
            cost: estimate.cost,
            damping,
            layout: problem.layout(),
            oracle: &oracle,
        };
        self.rule.transform(&context, update)?;
        let (evaluated, batch_cost) = (estimate.evaluated, estimate.cost);
        if self.report {
            run.update_norm = norm(update);
        }
        run.batch_cost = batch_cost;
        update.iter_mut().zip(x.as_slice()).for_each(|(u, x)| *u = x - *u);
        if !all_finite(update) {
            return Ok(Some(Stop::Diverged { value: f64::NAN, bound: f64::MAX }));
        }
        x.as_mut_slice().copy_from_slice(update);
        run.samples += evaluated;
        run.clock.step += 1;
        run.clock.epoch = run.samples as f64 / run.n_terms as f64;
        run.average.push(self.averaging, run.clock.epoch, x.as_slice());
        Ok(self.after_step::<O>())
    }

    /// The tests that need no evaluation.
    fn after_step<O>(&mut self) -> Option<Stop>
    where
        O: FiniteSum,
        E: GradientEstimator<O>,
    {
        let protocol = &self.protocol;
        if let Some(norm) = self.estimator.gradient_norm() {
            self.run.gradient_norm = norm;
            if norm <= protocol.gradient_tolerance && protocol.gradient_tolerance > 0.0 {
                return Some(Stop::Gradient { norm, bound: protocol.gradient_tolerance });
            }
        }
        if let Some(bound) = protocol.epochs.filter(|epochs| self.run.clock.epoch >= *epochs * (1.0 - 1e-12)) {
            return Some(Stop::Epochs { count: self.run.clock.epoch, bound });
        }
        let (bound, started) = (protocol.deadline?, self.scratch.started?);
        let seconds = self.run.seconds + started.elapsed().as_secs_f64();
        (seconds > bound).then_some(Stop::Deadline { seconds, bound })
    }

    /// The full cost at the reported point.
    fn cost<O: FiniteSum>(&mut self, problem: &O, point: &O::Point) -> Result<()> {
        self.run.cost = At { problem, x: point, rows: None, counts: &self.run.counts }.cost()?;
        Ok(())
    }

    /// The full cost at the reported point, the validation loss where there is one, and what they mean for the run.
    fn evaluate<O>(&mut self, problem: &O, point: &O::Point) -> Result<Option<Stop>>
    where
        O: FiniteSum,
        R: UpdateRule,
    {
        self.cost(problem, point)?;
        let run = &mut self.run;
        run.evaluated = run.clock;
        run.validation = problem.validation(point.as_slice()).transpose()?;
        let loss = run.validation.unwrap_or(run.cost);
        if run.clock == Clock::default() {
            run.evaluations = Evaluations { first: run.cost, lowest: f64::INFINITY, without_gain: 0 };
        }
        if run.evaluations.judge(loss, self.protocol.improvement) && run.validation.is_some() && self.keep_best {
            let best = run.best.get_or_insert_default();
            best.clear();
            best.extend_from_slice(point.as_slice());
            run.best_cost = run.cost;
        }
        self.rule.evaluated(loss);
        Ok(self.protocol.after_evaluation(&run.evaluations, run.cost))
    }

    /// Whether a cadence has come round since an earlier moment.
    fn due(&self, cadence: Cadence, since: Clock) -> bool {
        match cadence {
            Cadence::Never => false,
            Cadence::Steps(k) => self.run.clock.step >= since.step + k,
            // Counts of samples add up in rounding only.
            Cadence::Epochs(e) => self.run.clock.epoch >= since.epoch + e * (1.0 - 1e-12),
        }
    }

    /// The steps of one iteration. Returns the stop, if any.
    fn iterate_from<O>(&mut self, problem: &O, x: &mut O::Point) -> Result<Option<Stop>>
    where
        O: FiniteSum,
        E: GradientEstimator<O>,
        C: Subsampled<O>,
        R: UpdateRule,
    {
        let began = self.run.clock;
        let mut ahead = Some(x.clone());
        let moved = ahead.as_mut().is_some_and(|p| self.rule.look_ahead(&began, x.as_slice(), p.as_mut_slice()));
        ahead = ahead.filter(|_| moved);
        loop {
            if let Some(stop) = self.step(problem, x, &mut ahead)? {
                return Ok(Some(stop));
            }
            if self.due(self.protocol.iteration, began) {
                return Ok(None);
            }
        }
    }

    fn key_values(&self) -> KV
    where
        R: UpdateRule,
    {
        let run = &self.run;
        let mut kv = argmin::kv!(
            "epoch" => run.clock.epoch;
            "step" => run.clock.step;
            "samples" => run.samples;
            "sample_gradients" => run.counts.sample_gradient.load(Relaxed);
            "hessian_products" => run.counts.hessian_product.load(Relaxed);
            "cost" => run.cost;
            "learning_rate" => self.rule.rate(&run.clock);
            "update_norm" => run.update_norm;
            "gradient_norm" => norm(&self.scratch.gradient);
        );
        if let Some(cost) = run.batch_cost {
            kv = kv.merge(argmin::kv!("batch_cost" => cost;));
        }
        if let Some(loss) = run.validation {
            kv = kv.merge(argmin::kv!("validation" => loss;));
        }
        kv
    }
}

impl<O, P, E, C, R> Solver<O, State<P>> for Stochastic<E, C, R>
where
    O: FiniteSum<Point = P>,
    P: Vector,
    E: GradientEstimator<O>,
    C: Subsampled<O>,
    R: UpdateRule,
{
    fn name(&self) -> &str {
        "curvkit stochastic"
    }

    fn init(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        self.protocol.validate()?;
        self.averaging.validate()?;
        self.damping.validate("damping")?;
        self.rule.validate()?;
        self.run = Run::default();
        let x = state.param.take().ok_or(Error::Unsupported { what: "a run", requirement: "a starting point" })?;
        Error::check_finite("the starting point", x.as_slice())?;
        let o = borrow(problem)?;
        self.run.n_terms = o.n_terms();
        Error::check_option(self.run.n_terms > 0, "terms of the sum", "positive", self.run.n_terms)?;
        self.rule.begin(x.as_slice().len());
        self.curvature.begin();
        self.estimator.begin(At { problem: o, x: &x, rows: None, counts: &self.run.counts })?;
        let stop = self.evaluate(o, &x)?;
        if !self.run.cost.is_finite() {
            return Err(Error::NonFinite { what: "the cost at the starting point", index: None }.into());
        }
        state.cost = self.run.cost;
        state.param = Some(x);
        if wants_first_counts(&state, self.run.cost) {
            drain(&self.run.counts.tally(), problem);
        }
        if let Some(stop) = stop {
            terminate(&mut state, &stop);
            self.run.stop = Some(stop);
        }
        Ok((state, None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        let Some(mut x) = state.param.take() else {
            return Err(Error::Unsupported { what: "an iteration", requirement: "a point in the state" }.into());
        };
        self.scratch.started = Some(Instant::now());
        self.run.stop = None;
        let reported = x.clone();
        if let Some(raw) = self.run.raw.take() {
            x.as_mut_slice().copy_from_slice(&raw);
        }
        let outcome = borrow(problem).and_then(|o| self.iterate_from(o, &mut x));
        // An error here would lose the state, and the best point with it.
        let mut stop = outcome.unwrap_or_else(|error| Some(Stop::Failed { message: error.to_string() }));
        if let Some(mean) = self.run.average.mean() {
            self.run.raw = Some(x.as_slice().to_vec());
            x.as_mut_slice().copy_from_slice(mean);
        }
        let last = stop.is_some() || state.iter + 1 >= state.max_iters;
        let evaluated = match borrow(problem) {
            Ok(o) if self.due(self.protocol.evaluate, self.run.evaluated) => self.evaluate(o, &x),
            Ok(o) if last => self.cost(o, &x).map(|()| None),
            other => other.map(|_| None),
        };
        stop = stop.or(evaluated.unwrap_or_else(|error| Some(Stop::Failed { message: error.to_string() })));
        state.cost = self.run.cost;
        state.prev_param = Some(reported);
        state.param = Some(x);
        if last || stop.is_some() {
            self.answer(&mut state);
        }
        let kv = if self.report { Some(self.key_values()) } else { None };
        if let Some(stop) = stop {
            terminate(&mut state, &stop);
            self.run.stop = Some(stop);
        }
        if wants_counts(&state) {
            drain(&self.run.counts.tally(), problem);
        }
        self.run.seconds += self.scratch.started.map_or(0.0, |started| started.elapsed().as_secs_f64());
        Ok((state, kv))
    }

    fn terminate(&mut self, state: &State<P>) -> TerminationStatus {
        if self.run.stop.is_none() {
            self.run.stop = limit(state);
        }
        TerminationStatus::NotTerminated
    }
}

impl<E, C, R> Stochastic<E, C, R> {
    /// At the end: the point with the lowest validation loss is the answer. The raw iterate is kept: the run may go on.
    fn answer<P: Vector>(&mut self, state: &mut State<P>) {
        if let (Some(best), Some(x)) = (&self.run.best, state.param.as_mut()) {
            self.run.raw.get_or_insert_with(|| x.as_slice().to_vec());
            x.as_mut_slice().copy_from_slice(best);
            (state.cost, state.best_cost) = (self.run.best_cost, f64::INFINITY);
        }
    }
}
