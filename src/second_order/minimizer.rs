//! The one argmin solver of all classical second-order methods: curvature × subproblem × globalization.
//!
//! One iteration is one accepted step:
//!
//! ```text
//! B = curvature at x          (once per accepted point)
//! prepare the subproblem      (factorize, or nothing)
//! repeat   p = step(size);  judge(predicted, actual, slopes)   until a size is accepted
//! x ← x + p, g ← ∇f(x), tell the curvature
//! gradient test; certificate; leave a saddle along negative curvature
//! ```
//!
//! Rejected trials evaluate costs only: no curvature, no gradient, no new factorization where one can be reused.
//! Where a reduction drowns in the rounding of `f`, it is measured by the gradients at both ends,
//! `−½ (g + g₊)ᵀp` (exact for quadratics; compare Conn, Gould & Toint 2000, §17.4.2).

use super::bounded::{Face, Use, binding, propose};
use super::certificate::{Certificate, Certifier, Depth, PointKind};
use super::escape::leave_saddle;
use super::evaluation::{Point, ROUNDING, Trials, start};
use super::globalization::{Globalization, Trial, Verdict};
use super::state::{
    ArgminResult, borrow, drain, first_point, overtime, record, take_start, terminate, wants_counts, wants_first_counts,
};
use super::stopping::Stopping;
use super::subproblem::{Model, Subproblem};
use crate::counts::{self, Counts, Tally};
use crate::curvature::Curvature;
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::vector::{add_scaled, all_finite, norm};
use crate::problem::{At, Bounds, Objective};
use argmin::core::{Problem, Solver};
use std::time::Instant;

mod access;
mod direct;

pub use super::state::State;
pub use direct::Solution;

/// Saddles left in one run before the run ends at the next one.
const MAX_ESCAPES: u64 = 50;

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
    /// Lowest `‖g‖∞` so far, and the steps since then that changed the cost by rounding only.
    lowest_gradient: f64,
    stalled: u64,
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
        self.run = Run::default();
        self.curvature.begin();
        self.subproblem.begin();
        self.scratch.started = self.stopping.deadline.map(|_| Instant::now());
        self.enter(&mut x)?;
        let point = first_point(problem, x, &self.run.counts)?;
        self.run.gradient_norm = self.measure(point.x.as_slice(), point.gradient.as_slice());
        self.run.gradient_bound = self.stopping.gradient_bound(self.run.gradient_norm);
        Ok(point)
    }

    /// One iteration; an error ends the run, since it must not lose the best point.
    fn advance<O>(&mut self, problem: &O, here: &Point<O::Point>, spare: Option<O::Point>) -> Iteration<O::Point>
    where
        O: Objective,
        C: Curvature<O>,
    {
        self.iterate(problem, here, spare)
            .unwrap_or_else(|error| (None, Accepted::default(), Some(Stop::Failed { message: error.to_string() })))
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
                if tried.cost.is_finite() && all_finite(gradient.as_slice()) {
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

    /// Looks at the exact curvature of a stationary point: fills the certificate, and returns a better point if
    /// there is negative curvature to leave along.
    fn examine<O>(&mut self, problem: &O, here: &Point<O::Point>) -> Result<Option<Point<O::Point>>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        if !self.certify && !self.escape_saddles {
            return Ok(None);
        }
        let began = Instant::now();
        let at = At { problem, x: &here.x, rows: None, counts: &self.run.certificate_counts };
        let depth = if self.certify { Depth::Full } else { Depth::Sign };
        let certifier = self.scratch.certifier.get_or_insert_with(Box::default);
        let (x, g) = (here.x.as_slice(), here.gradient.as_slice());
        let mut examined = match (self.curvature.exact(at), &self.bounds) {
            (None, _) => Certificate::undetermined(self.run.gradient_norm),
            (Some(operator), None) => certifier.examine(&*operator?, self.run.gradient_norm, depth)?,
            (Some(operator), Some(bounds)) => {
                certifier.examine_free(&*operator?, &binding(bounds, x, g), self.run.gradient_norm, depth)?
            }
        };
        examined.active = self.bounds.as_ref().map_or(Vec::new(), |bounds| bounds.active(x, g));
        counts::add(&self.run.certificate_counts.factorization, certifier.factorizations());
        self.run.certificate_seconds += began.elapsed().as_secs_f64();
        let saddle = examined.verdict == PointKind::Saddle;
        self.run.certificate = self.certify.then_some(examined);
        if !saddle || !self.escape_saddles || self.run.escapes >= MAX_ESCAPES {
            return Ok(None);
        }
        let at = At { counts: &self.run.counts, ..at };
        let better = leave_saddle(at, self.bounds.as_ref(), here, certifier.direction(), certifier.leftmost())?;
        if better.is_some() {
            self.run.escapes += 1;
            self.run.certificate = None;
        }
        Ok(better)
    }

    /// Everything of one iteration but the bookkeeping of argmin's state. Returns the new point, if any, with the
    /// numbers of the step, and the stop, if any.
    fn iterate<O>(&mut self, problem: &O, here: &Point<O::Point>, spare: Option<O::Point>) -> Result<Iteration<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        if self.stopping.gradient_met(self.run.gradient_norm, self.run.gradient_bound, self.run.change, here.cost) {
            // Only a start (or a reloaded state) that already meets the gradient test comes here.
            return self.stationary(problem, here, None, Accepted::default());
        }
        let (there, accepted) = match self.search(problem, here, spare)? {
            Outcome::Stayed(stop) => return Ok((None, Accepted::default(), Some(stop))),
            Outcome::Moved(there, accepted) => (there, accepted),
        };
        let change = &mut self.scratch.change;
        change.resize(there.x.as_slice().len(), 0.0);
        add_scaled(there.gradient.as_slice(), -1.0, here.gradient.as_slice(), change);
        self.curvature.accepted(&self.scratch.p, change);
        self.run.gradient_norm = self.measure(there.x.as_slice(), there.gradient.as_slice());
        self.run.change = Some(here.cost - there.cost);
        if self.stopping.gradient_met(self.run.gradient_norm, self.run.gradient_bound, self.run.change, there.cost) {
            return self.stationary(problem, here, Some(there), accepted);
        }
        let length = accepted.numbers.map_or(0.0, |t| t.length);
        let x = there.x.as_slice();
        let x_norm = || self.subproblem.scaled_norm(x).unwrap_or_else(|| norm(x));
        let stop = self
            .stopping
            .after_step(length, x_norm, here.cost, there.cost)
            .or_else(|| self.run.stall(here.cost - there.cost, there.cost, self.stopping.max_stalled));
        Ok((Some(there), accepted, stop))
    }

    /// The gradient test is met at `there` (or at `here`, the start): stop, or leave along negative curvature.
    fn stationary<O>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        there: Option<Point<O::Point>>,
        accepted: Accepted,
    ) -> Result<Iteration<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let stop = Stop::Gradient { norm: self.run.gradient_norm, bound: self.run.gradient_bound };
        match self.examine(problem, there.as_ref().unwrap_or(here)) {
            Ok(None) => Ok((there, accepted, Some(stop))),
            Ok(Some(better)) => {
                self.run.gradient_norm = self.measure(better.x.as_slice(), better.gradient.as_slice());
                self.run.change = None;
                Ok((Some(better), accepted, None))
            }
            // The answer stands even if the curvature cannot be had there.
            Err(_) => {
                self.run.certificate = self.certify.then(|| Certificate::undetermined(self.run.gradient_norm));
                Ok((there, accepted, Some(stop)))
            }
        }
    }
}

type Iteration<P> = (Option<Point<P>>, Accepted, Option<Stop>);

impl Run {
    fn total(&self) -> Tally {
        self.counts.tally().plus(&self.certificate_counts.tally())
    }

    /// Counts steps at the noise floor of `f`; a stop when there were too many in a row.
    fn stall(&mut self, change: f64, cost: f64, allowed: u64) -> Option<Stop> {
        let lowered = self.gradient_norm < self.lowest_gradient || self.lowest_gradient == 0.0;
        if lowered {
            self.lowest_gradient = self.gradient_norm;
        }
        let noise = change.abs() <= ROUNDING * f64::EPSILON * cost.abs();
        self.stalled = if lowered || !noise { 0 } else { self.stalled + 1 };
        (self.stalled >= allowed).then(|| self.no_progress(self.stalled))
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
        let (there, accepted, stop) = self.advance(borrow(problem)?, &here, spare);
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
}
