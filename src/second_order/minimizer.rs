//! The one argmin solver of all classical second-order methods: curvature × subproblem × globalization.
//!
//! One iteration is one accepted step:
//!
//! ```text
//! B = curvature at x          (once per accepted point)
//! prepare the subproblem      (factorize, or nothing)
//! repeat   p = step(size);  judge(predicted, actual, slopes)   until a size is accepted
//! x ← x + p, g ← ∇f(x), tell the curvature
//! estimate what is left; certificate; leave a saddle along negative curvature
//! ```
//!
//! Rejected trials evaluate costs only: no curvature, no gradient, no new factorization where one can be reused.
//! Where a reduction drowns in the rounding of `f`, it is measured by the gradients at both ends,
//! `−½ (g + g₊)ᵀp` (exact for quadratics; compare Conn, Gould & Toint 2000, §17.4.2).

use super::bounded::{Face, Use, propose};
use super::certificate::{Certificate, Certifier};
use super::convergence::{Convergence, Left, Taken};
use super::evaluation::{Point, ROUNDING, Trials, start};
use super::globalization::{Globalization, Trial, Verdict};
use super::state::{
    ArgminResult, borrow, drain, first_point, limit, overtime, record, take_start, terminate, wants_counts, wants_first_counts,
};
use super::stopping::Stopping;
use super::subproblem::{Model, Subproblem};
use super::watch::{Fall, SUSPICIOUS, Watch, inconsistent, unbounded};
use crate::counts::{Counts, Tally};
use crate::curvature::{Curvature, Order};
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::vector::{add_scaled, all_finite, dot, norm};
use crate::problem::{At, Bounds, Objective};
use argmin::core::{Problem, Solver, TerminationStatus};
use std::borrow::Cow;
use std::time::Instant;

mod access;
mod answer;
mod direct;

pub use super::state::State;
pub use direct::Solution;

/// An argmin solver made of a curvature, a subproblem and a globalization.
///
/// The named methods ([`methods`](super::methods)) build the usual triples.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Minimizer<C, S, G> {
    /// The matrix of the quadratic model.
    pub curvature: C,
    /// Solves the quadratic model for one size.
    pub subproblem: S,
    /// Judges trial steps.
    pub globalization: G,
    /// Stopping tests.
    pub stopping: Stopping,
    /// Leave a point that meets the gradient test along negative curvature, where the exact curvature is available.
    /// On by default.
    pub escape_saddles: bool,
    /// Compute the full [`Certificate`] at the answer. On by default.
    pub certify: bool,
    /// Hand key-values to argmin's observers. On by default.
    pub report: bool,
    bounds: Option<Bounds>,
    run: Run,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

/// What a run must remember between iterations (and across a checkpoint).
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Run {
    size: Option<f64>,
    gradient_bound: f64,
    gradient_norm: f64,
    /// Change of the cost by the last step.
    change: Option<f64>,
    convergence: Convergence,
    watch: Watch,
    /// Certificates after which the run had to go on, and `‖g‖∞` at the last one.
    vain: u64,
    vain_gradient: f64,
    counts: Counts,
    certificate_counts: Counts,
    certificate_seconds: f64,
    certificate: Option<Certificate>,
    escapes: u64,
    /// Entries of the start that lay outside the bounds.
    moved: Vec<usize>,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    p: Vec<f64>,
    change: Vec<f64>,
    /// Boxed, and made when first needed: solvers are moved about by value.
    certifier: Option<Box<Certifier>>,
    started: Option<Instant>,
}

/// An accepted step, for observers.
#[derive(Default)]
struct Accepted {
    trials: u64,
    inner: u64,
    used: Use,
    numbers: Option<Trial>,
}

/// How an iteration ended.
enum Outcome<P> {
    Moved(Point<P>, Accepted),
    Stayed(Stop),
}

impl<C, S, G> Minimizer<C, S, G>
where
    S: Subproblem,
    G: Globalization<S::Region>,
{
    /// Begins a run at `x`.
    fn begin<O>(&mut self, problem: &O, mut x: O::Point) -> Result<Point<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        self.stopping.validate()?;
        let convergence = std::mem::take(&mut self.run.convergence);
        self.run = Run { convergence, ..Run::default() };
        self.curvature.begin();
        self.subproblem.begin();
        self.scratch.started = self.stopping.deadline.map(|_| Instant::now());
        self.enter(&mut x)?;
        let point = first_point(problem, x, &self.run.counts)?;
        self.run.gradient_norm = self.measure(point.x.as_slice(), point.gradient.as_slice());
        self.run.gradient_bound = self.stopping.gradient_bound(self.run.gradient_norm);
        self.run.convergence.begin(point.x.as_slice(), point.cost, self.run.gradient_norm);
        self.run.watch.begin(point.cost, self.run.gradient_norm);
        Ok(point)
    }

    /// One iteration from `here`, where `best` is a lower point of the run, if there is one; an error ends the run, since it must
    /// not lose the best point.
    fn advance<O>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        spare: Option<O::Point>,
        best: Option<(&O::Point, f64)>,
    ) -> Iteration<O::Point>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let iteration = self.iterate(problem, here, spare).and_then(|end| self.conclude(problem, here, end, best));
        iteration.unwrap_or_else(|error| (None, Accepted::default(), Some(Stop::Failed { message: error.to_string() })))
    }

    /// One search from `here` to an accepted point; `spare` is a buffer for trial points.
    fn search<O>(&mut self, problem: &O, here: &Point<O::Point>, spare: Option<O::Point>) -> Result<Outcome<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let mut trials = Trials::new(here, f64::NAN, self.globalization.needs_trial_slope());
        let mut done = Accepted::default();
        let outcome = self.search_with(problem, here, spare, &mut trials, &mut done);
        self.run.counts.add_evaluations(trials.costs, trials.gradients);
        if done.trials > 0 {
            self.run.counts.add_inner(self.subproblem.factorizations() + done.used.factorizations, done.inner);
        }
        Ok(match outcome? {
            Err(stop) => Outcome::Stayed(stop),
            Ok(there) => Outcome::Moved(there, done),
        })
    }

    /// The search itself; `trials` and `done` are right on every way out.
    fn search_with<O>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        mut spare: Option<O::Point>,
        trials: &mut Trials<'_, O::Point>,
        done: &mut Accepted,
    ) -> Result<std::result::Result<Point<O::Point>, Stop>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let at = At { problem, x: &here.x, rows: None, counts: &self.run.counts };
        let operator = self.curvature.at(at)?;
        let (x, g) = (here.x.as_slice(), here.gradient.as_slice());
        let whole = Model { value: here.cost, x, gradient: g, curvature: &*operator };
        let face = self.bounds.as_ref().map(|bounds| Face::new(bounds, &whole)).transpose()?;
        let on_face = face.as_ref().map(Face::model);
        let model = on_face.as_ref().unwrap_or(&whole);
        self.subproblem.prepare(model)?;
        let scaled_norm = match &face {
            None => self.subproblem.scaled_norm(x),
            Some(face) => self.subproblem.scaled_norm(&face.free_point()),
        };
        trials.x_norm = scaled_norm.unwrap_or_else(|| norm(x));
        let mut size = match self.run.size {
            Some(size) => size,
            None => self.globalization.first_size(&start(model, norm(x), scaled_norm)?),
        };
        let p = &mut self.scratch.p;
        p.resize(x.len(), 0.0);
        let mut fall = Fall::new(self.run.convergence.horizon());
        loop {
            let mut trial = spare.take().unwrap_or_else(|| here.x.clone());
            let step = propose(&mut self.subproblem, model, face.as_ref(), &mut done.used, size, p, trial.as_mut_slice())?;
            done.trials += 1;
            done.inner += step.inner;
            if let Some(stop) = overtime(&self.stopping, self.scratch.started) {
                return Ok(Err(stop));
            }
            // NaN lengths fail this test too.
            let moves = step.length > 0.0 && trial.as_slice() != x;
            if !moves || done.trials > self.stopping.max_trials {
                return Ok(Err(self.run.no_progress(done.trials)));
            }
            let mut tried = trials.evaluate(At { x: &trial, ..at }, p, size, &step)?;
            let mut verdict = self.globalization.judge(&tried.numbers);
            if fall.is_endless(tried.numbers.actual, dot(g, p), tried.numbers.length) {
                return Ok(Err(unbounded(here.cost, p)));
            }
            if done.trials == SUSPICIOUS
                && let Some(stop) = inconsistent(at, self.bounds.as_ref(), here, p, &self.run.convergence)?
            {
                return Ok(Err(stop));
            }
            if let Verdict::Accept { size: chosen, next } = verdict {
                if chosen != size {
                    // The search returns to an earlier trial: made again, since that is rare and storing each is not.
                    let step =
                        propose(&mut self.subproblem, model, face.as_ref(), &mut done.used, chosen, p, trial.as_mut_slice())?;
                    tried = trials.evaluate(At { x: &trial, ..at }, p, chosen, &step)?;
                }
                let gradient = match tried.gradient.take() {
                    Some(gradient) => gradient,
                    None => trials.gradient(At { x: &trial, ..at })?,
                };
                let rises = tried.cost > here.cost + ROUNDING * f64::EPSILON * here.cost.abs();
                let refused = rises && self.run.watch.returned;
                if tried.cost.is_finite() && all_finite(gradient.as_slice()) && !refused {
                    done.numbers = Some(tried.numbers);
                    self.run.size = Some(next);
                    return Ok(Ok(Point { x: trial, cost: tried.cost, gradient }));
                }
                // A broken gradient (or, made again, a broken cost) is no place to continue from: a failed trial.
                verdict = self.globalization.judge(&Trial { actual: f64::NEG_INFINITY, ..tried.numbers });
            }
            spare = Some(trial);
            match verdict {
                Verdict::Retry { size: next } => size = next,
                Verdict::Stop(Stop::NoProgress { .. }) | Verdict::Accept { .. } => {
                    return Ok(Err(self.run.no_progress(done.trials)));
                }
                Verdict::Stop(stop) => return Ok(Err(stop)),
            }
        }
    }

    /// Everything of one iteration but the bookkeeping of argmin's state. Returns the new point, if any, with the
    /// numbers of the step, and the stop, if any.
    fn iterate<O>(&mut self, problem: &O, here: &Point<O::Point>, spare: Option<O::Point>) -> Result<Iteration<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        if self.stopping.at_rest(self.run.gradient_norm) {
            // Only a start (or a reloaded state) that leaves nothing to do comes here.
            return self.arrive(problem, here, None, Accepted::default(), Left::NOTHING);
        }
        let (there, accepted) = match self.search(problem, here, spare)? {
            Outcome::Stayed(stop) => return self.stuck(problem, here, stop),
            Outcome::Moved(there, accepted) => (there, accepted),
        };
        let left = self.note(problem, here, &there, &accepted)?;
        if self.seems_done(left, self.curvature.order(), there.cost) {
            return self.arrive(problem, here, Some(there), accepted, left);
        }
        match self.after_step(problem, here, &there, &accepted, left)? {
            Some(stop @ Stop::NoProgress { .. }) => {
                let (better, stop) = self.last_look(problem, &there, stop)?;
                Ok((better.or(Some(there)), accepted, stop))
            }
            stop => Ok((Some(there), accepted, stop)),
        }
    }

    /// Takes note of an accepted step: tells the curvature, and estimates what is left.
    fn note<O>(&mut self, problem: &O, here: &Point<O::Point>, there: &Point<O::Point>, accepted: &Accepted) -> Result<Left>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let (x, g) = (there.x.as_slice(), there.gradient.as_slice());
        self.scratch.change.resize(x.len(), 0.0);
        add_scaled(g, -1.0, here.gradient.as_slice(), &mut self.scratch.change);
        let (p, change) = (&self.scratch.p, &self.scratch.change);
        self.curvature.accepted(p, change);
        let order = self.curvature.order();
        let before = self.run.gradient_norm;
        let free = match &self.bounds {
            None => Cow::Borrowed(g),
            Some(bounds) => {
                let free = |(i, (x, g)): (usize, (&f64, &f64))| if bounds.binds(i, *x, *g) { 0.0 } else { *g };
                Cow::Owned(x.iter().zip(g).enumerate().map(free).collect())
            }
        };
        self.run.gradient_norm = self.measure(x, g);
        self.run.change = Some(here.cost - there.cost);
        let taken = Taken {
            step: p,
            predicted: accepted.numbers.map_or(0.0, |t| t.predicted),
            slope: dot(here.gradient.as_slice(), p),
            bend: if order == Order::First { dot(p, change) } else { 0.0 },
            ratio: self.run.gradient_norm / before,
            gradient_norm: if order == Order::First { norm(&free) } else { 0.0 },
            cost: there.cost,
        };
        let at = At { problem, x: &there.x, rows: None, counts: &self.run.counts };
        let curvature = &mut self.curvature;
        let newton = || {
            let operator = curvature.at(at).ok()?;
            let mut step = vec![0.0; free.len()];
            operator.inverse(0.0)?.ok()?.apply(&free, &mut step).ok()?;
            Some((0.5 * dot(&free, &step), norm(&step)))
        };
        Ok(self.run.convergence.accepted(x, &taken, order, self.stopping.decrease, newton))
    }

    /// The tests after a step that did not end in an answer.
    fn after_step<O>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        there: &Point<O::Point>,
        accepted: &Accepted,
        left: Left,
    ) -> Result<Option<Stop>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let length = accepted.numbers.map_or(0.0, |t| t.length);
        let x = there.x.as_slice();
        let x_norm = || self.subproblem.scaled_norm(x).unwrap_or_else(|| norm(x));
        if let Some(stop) = self.stopping.after_step(length, x_norm, here.cost, there.cost) {
            return Ok(Some(stop));
        }
        if there.cost < self.stopping.unbounded_below {
            return Ok(Some(unbounded(there.cost, &self.scratch.p)));
        }
        if self.run.convergence.recedes(left, self.run.gradient_norm, there.cost) {
            return Ok(Some(Stop::Receding { decrease: left.decrease, distance: left.distance, x_norm: norm(x) }));
        }
        let (bounds, allowed) = (self.bounds.as_ref(), self.stopping.max_stalled);
        let run = &mut self.run;
        let at = At { problem, x: &there.x, rows: None, counts: &run.counts };
        if let Some(stop) = run.watch.accepted(at, bounds, [here, there], &self.scratch.p, &run.convergence)? {
            return Ok(Some(stop));
        }
        let idle = run.watch.idle(here.cost - there.cost, there.cost, run.gradient_norm, allowed);
        Ok(idle.map(|steps| run.no_progress(steps)))
    }
}

type Iteration<P> = (Option<Point<P>>, Accepted, Option<Stop>);

impl Run {
    fn total(&self) -> Tally {
        self.counts.tally().plus(&self.certificate_counts.tally())
    }

    fn no_progress(&self, trials: u64) -> Stop {
        Stop::NoProgress { gradient_norm: self.gradient_norm, bound: self.gradient_bound, trials }
    }
}

impl<O, P, C, S, G> Solver<O, State<P>> for Minimizer<C, S, G>
where
    O: Objective<Point = P>,
    P: Vector,
    C: Curvature<O>,
    S: Subproblem,
    G: Globalization<S::Region>,
{
    fn name(&self) -> &str {
        "curvkit minimizer"
    }

    fn init(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        let start = take_start(&mut state)?;
        let point = self.begin(borrow(problem)?, start)?;
        if wants_first_counts(&state, point.cost) {
            drain(&self.run.total(), problem);
        }
        record(&mut state, point, None);
        Ok((state, None))
    }

    fn next_iter(&mut self, problem: &mut Problem<O>, mut state: State<P>) -> ArgminResult<P> {
        let (Some(x), Some(gradient)) = (state.param.take(), state.grad.take()) else {
            return Err(Error::Unsupported { what: "an iteration", requirement: "a point and its gradient in the state" }.into());
        };
        let here = Point { x, cost: state.cost, gradient };
        let spare = state.prev_param.take();
        self.run.stop = None;
        let best = state.best_param.as_ref().map(|x| (x, state.best_cost));
        let (there, accepted, stop) = self.advance(borrow(problem)?, &here, spare, best);
        record(&mut state, here, there);
        let kv = if self.report { Some(self.key_values(&accepted)) } else { None };
        if let Some(stop) = stop {
            terminate(&mut state, &stop);
            self.run.stop = Some(stop);
        }
        if wants_counts(&state) {
            drain(&self.run.total(), problem);
        }
        Ok((state, kv))
    }

    fn terminate(&mut self, state: &State<P>) -> TerminationStatus {
        if self.run.stop.is_none() {
            self.run.stop = limit(state);
        }
        TerminationStatus::NotTerminated
    }
}
