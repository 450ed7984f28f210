//! Nonlinear conjugate gradients: `d₊ = −g₊ + β d` along line searches, without a matrix.
//!
//! The rule for `β` and its restarts follow Hager & Zhang (SIAM J. Optim. 16, 2005; *A survey of nonlinear conjugate
//! gradient methods*, Pac. J. Optim. 2, 2006; the truncation *The limited memory conjugate gradient method*, SIAM J. Optim.
//! 23, 2013, which does not depend on the units of `f` and `x` as the first one does), the first length of each search steps I0–I2 of *Algorithm 851*
//! (ACM TOMS 32, 2006). On a quadratic the probe of I1 makes the line search exact, and the method ends after `n` steps.

use super::Line;
use super::convergence::{Convergence, Left, Taken};
use super::evaluation::{Point, ROUNDING};
use super::globalization::{Globalization, HagerZhang, Start, StrongWolfe, Trial, Verdict};
use super::state::{
    ArgminResult, State, borrow, drain, first_point, limit, overtime, record, take_start, terminate, wants_counts,
    wants_first_counts,
};
use super::stopping::Stopping;
use super::watch::{Fall, SUSPICIOUS, Watch, inconsistent, lower_point, unbounded};
use crate::counts::{Counts, Tally};
use crate::curvature::Order;
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::vector::{add_scaled, all_finite, dot, norm, norm_inf, scale, xpby};
use crate::problem::{At, Objective};
use argmin::core::{KV, Problem, Solver, TerminationStatus};
use std::time::Instant;

mod ray;

use ray::{Buffers, Ray};

/// The formula for `β`, with `y = g₊ − g`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rule {
    /// `max(β, η dᵀg / ‖d‖²)` with `β = (y − 2 d ‖y‖² / dᵀy)ᵀ g₊ / dᵀy` and the [`NonlinearCg::eta`] of the truncation
    /// (Hager & Zhang 2005, 2013): descent whatever the line search does.
    #[default]
    HagerZhang,
    /// `max(0, g₊ᵀy / gᵀg)` (Polak & Ribière 1969, Polyak 1969; Powell 1986): restarts by itself after a poor step.
    PolakRibierePlus,
    /// `g₊ᵀg₊ / gᵀg` (Fletcher & Reeves 1964).
    FletcherReeves,
    /// `g₊ᵀy / dᵀy` (Hestenes & Stiefel 1952).
    HestenesStiefel,
    /// `g₊ᵀg₊ / dᵀy` (Dai & Yuan 1999).
    DaiYuan,
}

/// Nonlinear conjugate gradients as an argmin solver.
///
/// # Example
/// ```
/// use argmin::core::{CostFunction, Error, Executor, Gradient, State};
/// use curvkit::second_order::nonlinear_cg::NonlinearCg;
///
/// struct Bowl;
/// impl CostFunction for Bowl {
///     type Param = Vec<f64>;
///     type Output = f64;
///     fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
///         Ok((x[0] - 1.0).powi(2) + 10.0 * (x[1] + 2.0).powi(2))
///     }
/// }
/// impl Gradient for Bowl {
///     type Param = Vec<f64>;
///     type Gradient = Vec<f64>;
///     fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
///         Ok(vec![2.0 * (x[0] - 1.0), 20.0 * (x[1] + 2.0)])
///     }
/// }
///
/// let run = Executor::new(Bowl, NonlinearCg::default()).configure(|s| s.param(vec![0.0, 0.0])).run()?;
/// let x = run.state.get_best_param().unwrap();
/// assert!((x[0] - 1.0).abs() < 1e-8 && (x[1] + 2.0).abs() < 1e-8);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NonlinearCg<G> {
    /// The formula for `β`. Default [`Rule::HagerZhang`].
    pub rule: Rule,
    /// The line search. Its own first length is overruled by steps I0–I2.
    pub line_search: G,
    /// `η > 0` of the truncation `β ≥ η dᵀg / ‖d‖²` of Hager & Zhang's rule. Default 0.4 (Hager & Zhang 2013).
    pub eta: f64,
    /// Restart with `−g₊` when `|g₊ᵀg| ≥ powell ‖g₊‖²`: consecutive gradients are far from orthogonal (Powell 1977).
    /// Default `None`, never.
    pub powell: Option<f64>,
    /// Restart after so many steps. Default `None`, never.
    pub restart_every: Option<u64>,
    /// `ψ₀`: the first length of a run makes the largest entry of the step `ψ₀ ‖x₀‖∞` (I0). Default 0.01.
    pub psi0: f64,
    /// `ψ₁`: part of the last length at which the cost is probed for a quadratic fit (I1); zero: no probe. Default 0.1.
    pub psi1: f64,
    /// `ψ₂`: factor on the last length where the fit has no minimizer (I2). Default 2.
    pub psi2: f64,
    /// Stopping tests.
    pub stopping: Stopping,
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
    direction: Vec<f64>,
    /// Steps since the last restart.
    age: u64,
    last_size: Option<f64>,
    gradient_norm: f64,
    gradient_bound: f64,
    convergence: Convergence,
    watch: Watch,
    restarts: u64,
    counts: Counts,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    p: Vec<f64>,
    y: Vec<f64>,
    started: Option<Instant>,
}

/// How a line search ended.
enum Found<P> {
    Moved(Point<P>, Trial),
    Stayed(Stop),
}

impl Default for NonlinearCg<HagerZhang> {
    /// Hager & Zhang's rule and line search.
    fn default() -> Self {
        Self::new(Rule::HagerZhang, HagerZhang::default())
    }
}

impl NonlinearCg<StrongWolfe> {
    /// Polak & Ribière's rule, never negative, with a strong Wolfe search (`c₂ = 0.1`).
    pub fn polak_ribiere() -> Self {
        Self::new(Rule::PolakRibierePlus, StrongWolfe { curvature: 0.1, ..StrongWolfe::default() })
    }
}

impl<G: Globalization<Line>> NonlinearCg<G> {
    /// The method with a rule and a line search, other options at their defaults.
    pub fn new(rule: Rule, line_search: G) -> Self {
        Self {
            rule,
            line_search,
            eta: 0.4,
            powell: None,
            restart_every: None,
            psi0: 0.01,
            psi1: 0.1,
            psi2: 2.0,
            stopping: Stopping::default(),
            report: true,
            run: Run::default(),
            scratch: Scratch::default(),
        }
    }
}

impl<G> NonlinearCg<G> {
    /// Checks the ranges of the options, those of the line search excepted.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        Error::check_option(positive(self.eta), "eta", "positive and finite", self.eta)?;
        Error::check_option(positive(self.psi0), "psi0", "positive and finite", self.psi0)?;
        Error::check_option(self.psi1 >= 0.0 && self.psi1.is_finite(), "psi1", "finite and not negative", self.psi1)?;
        Error::check_option(positive(self.psi2), "psi2", "positive and finite", self.psi2)?;
        let powell = self.powell.unwrap_or(1.0);
        Error::check_option(positive(powell), "powell", "positive and finite", powell)?;
        let every = self.restart_every.unwrap_or(1);
        Error::check_option(every > 0, "restart_every", "positive", every)?;
        self.stopping.validate()
    }

    /// Why the run ended, once it has; argmin's iteration limit and target included. `None` while running, and where a timeout or an
    /// interrupt ended it: those argmin keeps to its state.
    pub fn stop(&self) -> Option<&Stop> {
        self.run.stop.as_ref()
    }

    /// Evaluations of the run.
    pub fn tally(&self) -> Tally {
        self.run.counts.tally()
    }

    /// Number of times the direction went back to `−g`.
    pub fn restarts(&self) -> u64 {
        self.run.restarts
    }

    /// `‖g‖∞` at the current point.
    pub fn gradient_norm(&self) -> f64 {
        self.run.gradient_norm
    }
}

/// What one iteration found: the accepted point with the numbers of its trial, and the stop.
type Iteration<P> = (Option<(Point<P>, Option<Trial>)>, Option<Stop>);

impl<G: Globalization<Line>> NonlinearCg<G> {
    /// One step from `here`: a search along the direction, and along `−g` should that fail.
    fn iterate<O: Objective>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        buffers: &mut Buffers<O::Point>,
    ) -> Result<Iteration<O::Point>> {
        if self.stopping.at_rest(self.run.gradient_norm) {
            // Only a start that leaves nothing to do comes here.
            return Ok((None, Some(self.run.success(Left::NOTHING))));
        }
        let mut found = self.search(problem, here, buffers)?;
        if matches!(found, Found::Stayed(Stop::NoProgress { .. })) && self.run.age > 0 {
            self.run.restart(here.gradient.as_slice());
            self.run.last_size = None;
            found = self.search(problem, here, buffers)?;
        }
        let (there, numbers) = match found {
            Found::Stayed(stop) => return Ok((None, Some(self.explain(problem, here, stop)?))),
            Found::Moved(there, numbers) => (there, numbers),
        };
        self.run.last_size = Some(numbers.size);
        let left = self.note(here, &there, &buffers.p);
        let change = Some(here.cost - there.cost);
        let still = self.run.gradient_norm <= self.run.gradient_bound || self.run.watch.at_floor(Order::First);
        let estimated =
            self.stopping.by_decrement() && self.run.convergence.little_left(left, still, self.stopping.decrease, there.cost);
        let flat = self.stopping.by_decrement() && self.run.convergence.far(left);
        if estimated || !flat && self.stopping.gradient_met(self.run.gradient_norm, self.run.gradient_bound, change, there.cost) {
            let stop = self.run.success(left);
            return Ok((Some((there, Some(numbers))), Some(stop)));
        }
        self.turn(here.gradient.as_slice(), there.gradient.as_slice());
        let stop = self.after_step(problem, here, &there, &buffers.p, numbers.length, left)?;
        Ok((Some((there, Some(numbers))), stop))
    }

    /// Estimates what is left after the step `p`.
    fn note<P: Vector>(&mut self, here: &Point<P>, there: &Point<P>, p: &[f64]) -> Left {
        let (before, after) = (here.gradient.as_slice(), there.gradient.as_slice());
        let last = self.run.gradient_norm;
        self.run.gradient_norm = norm_inf(after);
        let taken = Taken {
            step: p,
            predicted: 0.0,
            slope: dot(before, p),
            bend: dot(after, p) - dot(before, p),
            ratio: self.run.gradient_norm / last,
            gradient_norm: norm(after),
            cost: there.cost,
        };
        self.run.convergence.accepted(there.x.as_slice(), &taken, Order::First, self.stopping.decrease, || None)
    }

    /// The tests after a step that did not end in an answer.
    fn after_step<O: Objective>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        there: &Point<O::Point>,
        p: &[f64],
        length: f64,
        left: Left,
    ) -> Result<Option<Stop>> {
        let x_norm = || norm(there.x.as_slice());
        if let Some(stop) = self.stopping.after_step(length, x_norm, here.cost, there.cost) {
            return Ok(Some(stop));
        }
        if there.cost < self.stopping.unbounded_below {
            return Ok(Some(unbounded(there.cost, p)));
        }
        if self.run.convergence.recedes(left, self.run.gradient_norm, there.cost) {
            return Ok(Some(Stop::Receding { decrease: left.decrease, distance: left.distance, x_norm: x_norm() }));
        }
        let (run, allowed) = (&mut self.run, self.stopping.max_stalled);
        let at = At { problem, x: &there.x, rows: None, counts: &run.counts };
        if let Some(stop) = run.watch.accepted(at, None, [here, there], p, &run.convergence)? {
            return Ok(Some(stop));
        }
        let idle = run.watch.idle(here.cost - there.cost, there.cost, run.gradient_norm, allowed);
        Ok(idle.map(|steps| run.no_progress(steps)))
    }

    /// Why a search found nothing: perhaps the gradient is not the cost's.
    fn explain<O: Objective>(&mut self, problem: &O, here: &Point<O::Point>, stop: Stop) -> Result<Stop> {
        if !matches!(stop, Stop::NoProgress { .. }) {
            return Ok(stop);
        }
        let at = At { problem, x: &here.x, rows: None, counts: &self.run.counts };
        Ok(inconsistent(at, None, here, &self.run.direction, &self.run.convergence)?.unwrap_or(stop))
    }

    /// As [`Minimizer`](super::minimizer::Minimizer) does: if a run ends above an earlier point by more than rounding, it goes on
    /// from that one, once, and only down.
    fn conclude<O: Objective>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        end: Iteration<O::Point>,
        best: Option<(&O::Point, f64)>,
    ) -> Result<Iteration<O::Point>> {
        let (there, Some(stop)) = &end else { return Ok(end) };
        let cost = there.as_ref().map_or(here.cost, |(there, _)| there.cost);
        let numbers = there.as_ref().and_then(|(_, numbers)| *numbers);
        let run = &mut self.run;
        let Some(lowest) = lower_point(problem, &run.counts, &mut run.watch, (stop, cost), best)? else { return Ok(end) };
        (run.last_size, run.gradient_norm) = (None, norm_inf(lowest.gradient.as_slice()));
        run.restart(lowest.gradient.as_slice());
        Ok((Some((lowest, numbers)), None))
    }

    /// Searches along the present direction.
    fn search<O: Objective>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        buffers: &mut Buffers<O::Point>,
    ) -> Result<Found<O::Point>> {
        let ray = Ray::new(problem, here, &self.run.direction, &self.run.counts);
        let slopes = self.line_search.needs_trial_slope();
        // The probe serves the first search as well: without it the first step of a quadratic is not exact, and all
        // later directions are spoiled.
        let (probe, otherwise) = match self.run.last_size {
            None => (ray.initial_size(self.psi0), ray.initial_size(self.psi0)), // I0
            Some(last) => (self.psi1 * last, self.psi2 * last),                 // I2
        };
        let mut size = if self.psi1 > 0.0 { ray.probed(probe, otherwise, buffers)? } else { otherwise };
        let (mut trials, mut fall) = (0, Fall::new(self.run.convergence.horizon()));
        while trials < self.stopping.max_trials {
            trials += 1;
            if let Some(stop) = overtime(&self.stopping, self.scratch.started) {
                return Ok(Found::Stayed(stop));
            }
            let Some((mut x, mut tried)) = ray.evaluate(size, slopes, buffers)? else { break };
            let mut verdict = self.line_search.judge(&tried.numbers);
            let slope = dot(here.gradient.as_slice(), &buffers.p);
            if fall.is_endless(tried.numbers.actual, slope, tried.numbers.length) {
                return Ok(Found::Stayed(unbounded(here.cost, &buffers.p)));
            }
            if trials == SUSPICIOUS
                && let Some(stop) = inconsistent(ray.from, None, here, &buffers.p, &self.run.convergence)?
            {
                return Ok(Found::Stayed(stop));
            }
            if let Verdict::Accept { size: chosen, .. } = verdict {
                if chosen != size {
                    // The search returns to an earlier trial: made again, since that is rare and storing each is not.
                    buffers.spare = Some(x);
                    let Some(again) = ray.evaluate(chosen, slopes, buffers)? else { break };
                    (x, tried) = again;
                }
                let gradient = match tried.gradient.take() {
                    Some(gradient) => gradient,
                    None => ray.at(&x).gradient()?,
                };
                let rises = tried.cost > here.cost + ROUNDING * f64::EPSILON * here.cost.abs();
                let refused = rises && self.run.watch.returned;
                if tried.cost.is_finite() && all_finite(gradient.as_slice()) && !refused {
                    return Ok(Found::Moved(Point { x, cost: tried.cost, gradient }, tried.numbers));
                }
                // A broken gradient (or, made again, a broken cost) is no place to continue from: a failed trial.
                verdict = self.line_search.judge(&Trial { actual: f64::NEG_INFINITY, ..tried.numbers });
            }
            buffers.spare = Some(x);
            match verdict {
                Verdict::Retry { size: next } => size = next,
                Verdict::Stop(Stop::NoProgress { .. }) | Verdict::Accept { .. } => break,
                Verdict::Stop(stop) => return Ok(Found::Stayed(stop)),
            }
        }
        Ok(Found::Stayed(self.run.no_progress(trials)))
    }
}

impl<G> NonlinearCg<G> {
    /// The next direction, from the gradients at both ends of the last step.
    fn turn(&mut self, before: &[f64], after: &[f64]) {
        let y = &mut self.scratch.y;
        y.resize(after.len(), 0.0);
        add_scaled(after, -1.0, before, y);
        let far_from_orthogonal = |nu: f64| dot(after, before).abs() >= nu * dot(after, after);
        let due = self.restart_every.is_some_and(|every| self.run.age + 1 >= every);
        if due || self.powell.is_some_and(far_from_orthogonal) {
            return self.run.restart(after);
        }
        let d = &mut self.run.direction;
        let beta = self.rule.beta(d, before, after, y, self.eta);
        xpby(after, -beta, d);
        scale(-1.0, d);
        self.run.age += 1;
        // Also catches NaN: a direction that hardly descends, or none at all.
        let descends = dot(after, d) < -1e-10 * norm(after) * norm(d);
        if !descends {
            self.run.restart(after);
        }
    }
}

impl Rule {
    /// `β` for the direction `d` of the last step and the gradients before and after it; NaN where it is not defined.
    fn beta(self, d: &[f64], before: &[f64], after: &[f64], y: &[f64], eta: f64) -> f64 {
        // Positive after any search that meets a Wolfe condition.
        let curvature = || Some(dot(d, y)).filter(|c| *c > 0.0).unwrap_or(f64::NAN);
        match self {
            Self::HagerZhang => {
                let dy = curvature();
                let beta = (dot(y, after) - 2.0 * dot(y, y) / dy * dot(d, after)) / dy;
                if beta.is_nan() { beta } else { beta.max(eta * dot(d, before) / dot(d, d)) }
            }
            Self::PolakRibierePlus => {
                let beta = dot(after, y) / dot(before, before);
                if beta.is_nan() { beta } else { beta.max(0.0) }
            }
            Self::FletcherReeves => dot(after, after) / dot(before, before),
            Self::HestenesStiefel => dot(after, y) / curvature(),
            Self::DaiYuan => dot(after, after) / curvature(),
        }
    }
}

impl Run {
    fn success(&self, left: Left) -> Stop {
        if self.gradient_norm <= self.gradient_bound {
            return Stop::Gradient { norm: self.gradient_norm, bound: self.gradient_bound };
        }
        Stop::Decrement { decrease: left.decrease, distance: left.distance }
    }

    fn no_progress(&self, trials: u64) -> Stop {
        Stop::NoProgress { gradient_norm: self.gradient_norm, bound: self.gradient_bound, trials }
    }

    fn steepest(&mut self, gradient: &[f64]) {
        self.direction.clear();
        self.direction.extend_from_slice(gradient);
        scale(-1.0, &mut self.direction);
        self.age = 0;
    }

    fn restart(&mut self, gradient: &[f64]) {
        self.steepest(gradient);
        self.restarts += 1;
    }
}

impl<O, P, G> Solver<O, State<P>> for NonlinearCg<G>
where
    O: Objective<Point = P>,
    P: Vector,
    G: Globalization<Line>,
{
    fn name(&self) -> &str {
        "curvkit nonlinear conjugate gradients"
    }

    fn init(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        self.validate()?;
        self.run = Run::default();
        self.scratch.started = self.stopping.deadline.map(|_| Instant::now());
        let point = first_point(borrow(problem)?, take_start(&mut state)?, &self.run.counts)?;
        let (x, g) = (point.x.as_slice(), point.gradient.as_slice());
        self.run.gradient_norm = norm_inf(g);
        self.run.gradient_bound = self.stopping.gradient_bound(self.run.gradient_norm);
        self.run.steepest(g);
        self.run.convergence.begin(x, point.cost, self.run.gradient_norm);
        self.run.watch.begin(point.cost, self.run.gradient_norm);
        // Only to tell the search that a run begins: its first length is overruled.
        let (gradient_norm, x_norm) = (norm(g), norm(x));
        self.line_search.first_size(&Start {
            cost: point.cost,
            gradient_norm,
            x_norm,
            scaled_x_norm: None,
            largest_diagonal: None,
            gradient_curvature: None,
        });
        if wants_first_counts(&state, point.cost) {
            drain(&self.run.counts.tally(), problem);
        }
        record(&mut state, point, None);
        Ok((state, None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        let (Some(x), Some(gradient)) = (state.param.take(), state.grad.take()) else {
            return Err(Error::Unsupported { what: "an iteration", requirement: "a point and its gradient in the state" }.into());
        };
        let here = Point { x, cost: state.cost, gradient };
        let mut buffers = Buffers { p: std::mem::take(&mut self.scratch.p), spare: state.prev_param.take() };
        self.run.stop = None;
        let best = state.best_param.as_ref().map(|x| (x, state.best_cost));
        let iteration = borrow(problem).and_then(|o| {
            let end = self.iterate(o, &here, &mut buffers)?;
            self.conclude(o, &here, end, best)
        });
        let (moved, stop) = match iteration {
            Ok(iteration) => iteration,
            // An error here would lose the state, and the best point with it.
            Err(error) => (None, Some(Stop::Failed { message: error.to_string() })),
        };
        self.scratch.p = buffers.p;
        let (there, numbers) = moved.unzip();
        let numbers = numbers.flatten();
        record(&mut state, here, there);
        if let Some(stop) = stop {
            terminate(&mut state, &stop);
            self.run.stop = Some(stop);
        }
        if wants_counts(&state) {
            drain(&self.run.counts.tally(), problem);
        }
        Ok((state, self.report.then(|| self.key_values(numbers))))
    }

    fn terminate(&mut self, state: &State<P>) -> TerminationStatus {
        if self.run.stop.is_none() {
            self.run.stop = limit(state);
        }
        TerminationStatus::NotTerminated
    }
}

impl<G> NonlinearCg<G> {
    fn key_values(&self, numbers: Option<Trial>) -> KV {
        let kv = argmin::kv!(
            "gradient_norm" => self.run.gradient_norm;
            "restarts" => self.run.restarts;
        );
        match numbers {
            None => kv,
            Some(t) => kv.merge(argmin::kv!("size" => t.size; "actual" => t.actual; "step_length" => t.length;)),
        }
    }
}
