//! Where a run seems to be at its end: the certificate, the way out of a saddle, the way back to a lower point.

use super::{Accepted, Iteration, Minimizer};
use crate::counts;
use crate::curvature::{Curvature, Order};
use crate::error::{Error, Result, Stop};
use crate::linalg::vector::{add_scaled, all_finite, norm, scale};
use crate::linalg::{Form, Operator, SymmetricOperator, Vector};
use crate::problem::{At, Objective};
use crate::second_order::bounded::binding;
use crate::second_order::certificate::{Certificate, Depth, PointKind, Stationary};
use crate::second_order::convergence::Left;
use crate::second_order::escape::leave_saddle;
use crate::second_order::evaluation::{Point, ROUNDING};
use crate::second_order::globalization::Globalization;
use crate::second_order::subproblem::Subproblem;
use crate::second_order::watch::{inconsistent, lower_point};
use std::time::Instant;

/// Saddles left in one run before the run ends at the next one.
const MAX_ESCAPES: u64 = 50;
/// Certificates after which a run went on, before it ends at the next one.
const MAX_VAIN: u64 = 10;
/// What the gradient must have fallen to since a vain certificate before the next.
const NEXT: f64 = 0.1;
/// Newton's step is at its end below this part of the variables' sizes,
const CLOSE: f64 = 1e-8;
/// or below this part where the decrease it promises does not count.
const NEAR: f64 = 1e-3;
/// `q` of a cost that is flat to higher order (0.088 for `x⁴`; a quadratic has 0).
const CONTACT: f64 = 0.05;

/// What the examination of a point leads to.
enum Examined<P> {
    /// The run ends here.
    Answer,
    /// A point below a saddle.
    Better(Point<P>),
    /// The minimum of the model is still too far away.
    GoOn,
}

impl<C, S, G> Minimizer<C, S, G>
where
    S: Subproblem,
    G: Globalization<S::Region>,
{
    /// Whether the point of cost `cost` just reached deserves to be examined.
    pub(super) fn seems_done(&self, left: Left, order: Order, cost: f64) -> bool {
        let run = &self.run;
        if self.stopping.at_rest(run.gradient_norm) {
            return true;
        }
        if run.vain > 0 && run.gradient_norm > NEXT * run.vain_gradient {
            return false;
        }
        let still = run.gradient_norm <= run.gradient_bound || run.watch.at_floor(order);
        let estimated = self.stopping.by_decrement() && run.convergence.little_left(left, still, self.stopping.decrease, cost);
        let flat = self.stopping.by_decrement() && run.convergence.far(left);
        estimated || !flat && self.stopping.gradient_met(run.gradient_norm, run.gradient_bound, run.change, cost)
    }

    /// The run seems to be at its end at `there` (or at `here`, the start): stop, go on, or leave along negative curvature.
    pub(super) fn arrive<O>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        there: Option<Point<O::Point>>,
        accepted: Accepted,
        left: Left,
    ) -> Result<Iteration<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let point = there.as_ref().unwrap_or(here);
        let examined = self.examine(problem, point);
        let only_rests = left.bound && left.rests && self.run.gradient_norm > self.run.gradient_bound;
        if only_rests && !self.answers() && matches!(examined, Ok(Examined::Answer)) {
            self.run.certificate = None;
            return Ok((there, accepted, None));
        }
        match examined {
            Ok(Examined::Answer) | Err(_) => Ok((there, accepted, Some(self.success(left)))),
            Ok(Examined::Better(better)) => {
                self.run.gradient_norm = self.measure(better.x.as_slice(), better.gradient.as_slice());
                self.run.change = None;
                Ok((Some(better), accepted, None))
            }
            Ok(Examined::GoOn) => {
                self.run.certificate = None;
                Ok((there, accepted, None))
            }
        }
    }

    /// The search found nothing. Is the point an answer within rounding? Is the gradient the cost's?
    pub(super) fn stuck<O>(&mut self, problem: &O, here: &Point<O::Point>, stop: Stop) -> Result<Iteration<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        if !matches!(stop, Stop::NoProgress { .. }) {
            return Ok((None, Accepted::default(), Some(stop)));
        }
        let (better, stop) = self.last_look(problem, here, stop)?;
        Ok((better, Accepted::default(), stop))
    }

    /// The run has come to its end at `here` without success: a better point below a saddle, or the stop.
    pub(super) fn last_look<O>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        stop: Stop,
    ) -> Result<(Option<Point<O::Point>>, Option<Stop>)>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let end = |stop| Ok((None, Some(stop)));
        if self.stopping.by_decrement() && self.certify {
            match self.examine(problem, here) {
                Ok(Examined::Answer) if self.answers() => return end(self.success(Left::NOTHING)),
                Ok(Examined::Better(better)) => {
                    self.run.gradient_norm = self.measure(better.x.as_slice(), better.gradient.as_slice());
                    self.run.change = None;
                    return Ok((Some(better), None));
                }
                _ => {}
            }
            if let Some(certificate) = &mut self.run.certificate {
                (certificate.verdict, certificate.condition_number) = (PointKind::Undetermined, None);
            }
        }
        let mut p = self.scratch.p.clone();
        if !(norm(&p) > 0.0 && all_finite(&p)) {
            p.clear();
            p.extend(here.gradient.as_slice().iter().map(|g| -g));
        }
        let at = At { problem, x: &here.x, rows: None, counts: &self.run.counts };
        let wrong = inconsistent(at, self.bounds.as_ref(), here, &p, &self.run.convergence)?;
        end(wrong.unwrap_or(stop))
    }

    /// Whether the certificate speaks of a point that may count as an answer.
    fn answers(&self) -> bool {
        self.run.certificate.as_ref().is_some_and(|c| c.verdict != PointKind::Undetermined && c.decrease_left.is_some())
    }

    /// The stop of a run that ends with success.
    fn success(&self, left: Left) -> Stop {
        let run = &self.run;
        if run.gradient_norm <= run.gradient_bound {
            return Stop::Gradient { norm: run.gradient_norm, bound: run.gradient_bound };
        }
        let certified = run.certificate.as_ref().and_then(|c| c.decrease_left.zip(c.distance_left));
        let (decrease, distance) = certified.unwrap_or((left.decrease, left.distance));
        Stop::Decrement { decrease, distance }
    }

    /// Looks at the exact curvature of a point and at what is left: fills the certificate.
    fn examine<O>(&mut self, problem: &O, here: &Point<O::Point>) -> Result<Examined<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        if !self.certify && !self.escape_saddles {
            return Ok(Examined::Answer);
        }
        let began = Instant::now();
        let (norm, here_cost) = (self.run.gradient_norm, here.cost);
        let certified = self.certificate_at(problem, here);
        let mut certificate = match certified {
            Ok(certificate) => certificate,
            // The answer stands even if the curvature cannot be had there.
            Err(_) => Certificate::undetermined(norm),
        };
        let outcome = if certificate.verdict == PointKind::Saddle || certificate.relative_distance.is_none() {
            Ok(Examined::Answer)
        } else {
            self.judge(problem, here, &mut certificate)
        };
        self.run.certificate_seconds += began.elapsed().as_secs_f64();
        let saddle = certificate.verdict == PointKind::Saddle;
        self.run.certificate = self.certify.then_some(certificate);
        if matches!(outcome, Ok(Examined::GoOn)) {
            self.run.vain += 1;
            self.run.vain_gradient = norm;
            return Ok(Examined::GoOn);
        }
        if !saddle || !self.escape_saddles || self.run.escapes >= MAX_ESCAPES {
            return outcome;
        }
        let at = At { problem, x: &here.x, rows: None, counts: &self.run.counts };
        let Some(certifier) = &self.scratch.certifier else { return Ok(Examined::Answer) };
        let reach = self.run.convergence.reach();
        let better = leave_saddle(at, self.bounds.as_ref(), here, certifier.direction(), certifier.leftmost(), reach)?;
        let Some(better) = better else { return Ok(Examined::Answer) };
        debug_assert!(better.cost < here_cost);
        self.run.escapes += 1;
        self.run.vain = 0;
        self.run.certificate = None;
        Ok(Examined::Better(better))
    }

    /// The certificate of `here`.
    fn certificate_at<O>(&mut self, problem: &O, here: &Point<O::Point>) -> Result<Certificate>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let at = At { problem, x: &here.x, rows: None, counts: &self.run.certificate_counts };
        let depth = if self.certify { Depth::Full } else { Depth::Sign };
        let certifier = self.scratch.certifier.get_or_insert_with(Box::default);
        let (x, g) = (here.x.as_slice(), here.gradient.as_slice());
        let sizes = self.run.convergence.sizes(x, self.curvature.order());
        let stationary = Stationary {
            gradient: g,
            gradient_norm: self.run.gradient_norm,
            sizes: &sizes,
            decrease: self.run.convergence.decrease(here.cost),
            negligible: self.run.convergence.bound(self.stopping.decrease, here.cost),
        };
        let deadline = self.stopping.deadline.zip(self.scratch.started);
        let mut certificate = match (self.curvature.exact(at), &self.bounds) {
            (None, _) => Certificate::undetermined(self.run.gradient_norm),
            (Some(operator), None) => certifier.examine(&Timed { operator: operator?, deadline }, &stationary, depth)?,
            (Some(operator), Some(bounds)) => {
                certifier.examine_free(&Timed { operator: operator?, deadline }, &binding(bounds, x, g), &stationary, depth)?
            }
        };
        certificate.active = self.bounds.as_ref().map_or(Vec::new(), |bounds| bounds.active(x, g));
        counts::add(&self.run.certificate_counts.factorization, certifier.factorizations());
        Ok(certificate)
    }

    /// Whether what Newton's step at `here` promises is little enough to end with; if the cost is flat to higher order, notes so.
    fn judge<O>(&mut self, problem: &O, here: &Point<O::Point>, certificate: &mut Certificate) -> Result<Examined<O::Point>>
    where
        O: Objective,
    {
        let (Some(decrease), Some(share)) = (certificate.decrease_left, certificate.relative_distance) else {
            return Ok(Examined::Answer);
        };
        let rounding = ROUNDING * f64::EPSILON * here.cost.abs();
        let certifier = self.scratch.certifier.get_or_insert_with(Box::default);
        let wide = share.min(self.run.convergence.share(certifier.newton()));
        if share <= CLOSE || (decrease <= rounding && wide <= NEAR) || (certificate.at_least && wide <= NEAR) {
            return Ok(Examined::Answer);
        }
        let little = decrease <= self.run.convergence.recent_bound(self.stopping.decrease, here.cost);
        // The user's test is met, or there is no getting closer.
        let last = self.stopping.at_rest(self.run.gradient_norm) || self.run.vain >= MAX_VAIN;
        if wide <= NEAR && (little || last) && self.touches(problem, here, decrease) {
            if certificate.verdict == PointKind::Minimum {
                let mut flat = self.scratch.certifier.get_or_insert_with(Box::default).newton().to_vec();
                scale(1.0 / norm(&flat), &mut flat);
                (certificate.verdict, certificate.flat) = (PointKind::Degenerate, flat);
            }
            certificate.condition_number = None;
            return Ok(Examined::Answer);
        }
        if !last {
            return Ok(Examined::GoOn);
        }
        // The sign of the curvature tells little far from the minimum.
        if wide > NEAR {
            certificate.verdict = PointKind::Undetermined;
            certificate.condition_number = None;
        }
        Ok(Examined::Answer)
    }

    /// Whether the gradient at the end of Newton's step is that of a cost which is flat to higher order.
    fn touches<O: Objective>(&mut self, problem: &O, here: &Point<O::Point>, decrease: f64) -> bool {
        let certifier = self.scratch.certifier.get_or_insert_with(Box::default);
        let mut x = here.x.clone();
        add_scaled(here.x.as_slice(), 1.0, certifier.newton(), x.as_mut_slice());
        if self.bounds.as_ref().is_some_and(|bounds| !bounds.contains(x.as_slice())) {
            return false;
        }
        let at = At { problem, x: &x, rows: None, counts: &self.run.certificate_counts };
        let Ok(gradient) = at.gradient() else { return false };
        certifier.contact(gradient.as_slice(), decrease).is_some_and(|q| q > CONTACT)
    }

    /// The point of the answer is the one that the stop and the certificate speak of. If an earlier one is lower by more than
    /// rounding, the run goes on from there, once, and only down.
    pub(super) fn conclude<O>(
        &mut self,
        problem: &O,
        here: &Point<O::Point>,
        end: Iteration<O::Point>,
        best: Option<(&O::Point, f64)>,
    ) -> Result<Iteration<O::Point>>
    where
        O: Objective,
    {
        let (there, _, Some(stop)) = &end else { return Ok(end) };
        let cost = there.as_ref().unwrap_or(here).cost;
        let run = &mut self.run;
        let Some(lowest) = lower_point(problem, &run.counts, &mut run.watch, (stop, cost), best)? else { return Ok(end) };
        (run.vain, run.certificate, run.size, run.change) = (0, None, None, None);
        self.run.gradient_norm = self.measure(lowest.x.as_slice(), lowest.gradient.as_slice());
        Ok((Some(lowest), Accepted::default(), None))
    }
}

/// An operator whose products end with the time limit.
struct Timed<'a> {
    operator: Operator<'a>,
    deadline: Option<(f64, Instant)>,
}

impl SymmetricOperator for Timed<'_> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        if self.deadline.is_some_and(|(seconds, started)| started.elapsed().as_secs_f64() > seconds) {
            return Err(Error::Unsupported { what: "the certificate", requirement: "more time than the limit leaves" });
        }
        self.operator.apply(v, out)
    }
    fn form(&self) -> Form<'_> {
        self.operator.form()
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        self.operator.inverse(damping)
    }
    fn preconditioner(&self) -> Option<&dyn SymmetricOperator> {
        self.operator.preconditioner()
    }
}
