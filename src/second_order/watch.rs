//! What ends a run that would otherwise go on for ever: a cost without a lower bound, a gradient that is not the cost's, steps
//! that lead nowhere.

use super::convergence::Convergence;
use super::evaluation::{DROWNED, Point, ROUNDING};
use crate::counts::{self, Counts};
use crate::curvature::Order;
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::vector::{add_scaled, dot, norm};
use crate::problem::{At, Bounds, Objective};

/// A cost must fall at least half as fast as its slope says over ten decades of the step, counted from the sizes of the
/// variables on: shorter steps say nothing of what is far away.
const DECADES: f64 = 1e10;
/// Consecutive steps along which the cost falls as a line would, before the ray ahead is looked at; looked at again after
/// twice as many.
const FALLING: u64 = 8;
/// How far a slope must stand out from the rounding of the cost to be measured by differences of it.
const CLEAR: f64 = 1e4;
/// Failed trials of one search, or steps that raise the cost, after which the gradient is held against the cost.
pub(super) const SUSPICIOUS: u64 = 10;
/// Steps within rounding that make a floor, with second derivatives or a model of them and without.
const FLOOR: u64 = 3;
const FIRST_ORDER_FLOOR: u64 = 10;
/// Steps without a new lowest cost or gradient, in units of those within rounding, that end a run.
const IDLE: u64 = 30;

/// Counters of a run.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Watch {
    lowest_gradient: f64,
    lowest_cost: f64,
    stalled: u64,
    idle: u64,
    climbs: u64,
    falling: u64,
    /// The run went back to a lower point and only goes down from there.
    pub(super) returned: bool,
}

/// How far the trials of one search fell like a line.
pub(super) struct Fall {
    reach: f64,
    from: Option<f64>,
}

impl Fall {
    /// For variables of size `reach`.
    pub(super) fn new(reach: f64) -> Self {
        Self { reach, from: None }
    }

    /// Takes note of a trial of length `length` with `gᵀp = slope`; true once the fall spans ten decades.
    pub(super) fn is_endless(&mut self, actual: f64, slope: f64, length: f64) -> bool {
        if !(slope < 0.0 && actual >= -0.5 * slope) {
            self.from = None;
            return false;
        }
        length >= DECADES * self.from.get_or_insert(length).max(self.reach)
    }
}

impl Watch {
    /// Whether the last steps were all within rounding, and the gradient fell no more.
    pub(super) fn at_floor(&self, order: Order) -> bool {
        self.stalled >= if order == Order::First { FIRST_ORDER_FLOOR } else { FLOOR }
    }

    pub(super) fn begin(&mut self, cost: f64, gradient_norm: f64) {
        *self = Self { lowest_cost: cost, lowest_gradient: gradient_norm, ..Self::default() };
    }

    /// After the step `p` from `here` to `there`: a stop, if the cost has no lower bound or the gradient is not the cost's.
    pub(super) fn accepted<O: Objective>(
        &mut self,
        at: At<'_, O>,
        bounds: Option<&Bounds>,
        [here, there]: [&Point<O::Point>; 2],
        p: &[f64],
        convergence: &Convergence,
    ) -> Result<Option<Stop>> {
        let (fall, size) = (here.cost - there.cost, there.cost.abs());
        let slope = dot(here.gradient.as_slice(), p);
        if self.leads_on(fall, slope) && endless(at, bounds, there, p, convergence.horizon())? {
            return Ok(Some(unbounded(there.cost, p)));
        }
        self.climbs = if fall < -ROUNDING * f64::EPSILON * size { self.climbs + 1 } else { 0 };
        // A step that the gradient calls downhill and the cost does not.
        if self.climbs >= 2 && self.climbs.is_power_of_two() && slope < 0.0 && fall.abs() <= DROWNED * f64::EPSILON * size {
            let at = At { x: &here.x, ..at };
            if let Some(stop) = inconsistent(at, bounds, here, p, convergence)? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// Whether the last steps fell like a line; asks rarely.
    fn leads_on(&mut self, fall: f64, slope: f64) -> bool {
        self.falling = if slope < 0.0 && fall >= -0.75 * slope { self.falling + 1 } else { 0 };
        self.falling >= FALLING && self.falling.is_power_of_two()
    }

    /// After a step that lowered the cost by `fall` to `cost`, where `‖g‖∞` is `gradient_norm`: the steps without gain, if they are
    /// too many.
    pub(super) fn idle(&mut self, fall: f64, cost: f64, gradient_norm: f64, allowed: u64) -> Option<u64> {
        let lower_gradient = gradient_norm < self.lowest_gradient;
        let lower_cost = cost < self.lowest_cost - ROUNDING * f64::EPSILON * cost.abs();
        self.lowest_gradient = self.lowest_gradient.min(gradient_norm);
        self.lowest_cost = self.lowest_cost.min(cost);
        if lower_gradient || lower_cost {
            (self.stalled, self.idle) = (0, 0);
            return None;
        }
        self.idle += 1;
        self.stalled = if fall.abs() <= DROWNED * f64::EPSILON * cost.abs() { self.stalled + 1 } else { 0 };
        let ends = self.stalled >= allowed || self.idle >= IDLE.saturating_mul(allowed);
        ends.then_some(self.idle)
    }
}

/// The lowest point of a run that is about to end, by a stop that speaks of its point of cost `cost`, above it by more than
/// rounding: from there the run goes on once, and only down.
pub(super) fn lower_point<O: Objective>(
    problem: &O,
    counts: &Counts,
    watch: &mut Watch,
    (stop, cost): (&Stop, f64),
    best: Option<(&O::Point, f64)>,
) -> Result<Option<Point<O::Point>>> {
    let lower = |lowest: f64| lowest < cost - DROWNED * f64::EPSILON * cost.abs();
    let Some((x, lowest)) = best.filter(|(_, lowest)| lower(*lowest)) else { return Ok(None) };
    if watch.returned || !stop.speaks_of_a_point() {
        return Ok(None);
    }
    let x = x.clone();
    let gradient = At { problem, x: &x, rows: None, counts }.gradient()?;
    Error::check_finite("gradient", gradient.as_slice())?;
    watch.returned = true;
    Ok(Some(Point { x, cost: lowest, gradient }))
}

/// [`Stop::Unbounded`] at a point of cost `cost`, along `p`.
pub(super) fn unbounded(cost: f64, p: &[f64]) -> Stop {
    let length = norm(p);
    Stop::Unbounded { cost, direction: p.iter().map(|p| p / length).collect() }
}

/// Whether `f(x + tp) ≤ f(x) + ½ t gᵀp` for `t = 10, 100, …` over ten decades beyond `reach`.
fn endless<O: Objective>(at: At<'_, O>, bounds: Option<&Bounds>, from: &Point<O::Point>, p: &[f64], reach: f64) -> Result<bool> {
    let (slope, length) = (dot(from.gradient.as_slice(), p), norm(p));
    let mut x = from.x.clone();
    let mut t = 1.0;
    while t * length < DECADES * reach.max(length) {
        t *= 10.0;
        add_scaled(from.x.as_slice(), t, p, x.as_mut_slice());
        let feasible = bounds.is_none_or(|bounds| bounds.contains(x.as_slice()));
        if !(slope < 0.0 && feasible && x.as_slice().iter().all(|v| v.is_finite())) {
            return Ok(false);
        }
        // Written so that NaN is no fall; −∞ is one.
        let falls = At { x: &x, ..at }.cost()? <= from.cost + 0.5 * t * slope;
        if !falls {
            return Ok(false);
        }
    }
    Ok(true)
}

/// [`Stop::InconsistentDerivatives`] if central differences of the cost along `p` show another slope than the gradient, at two
/// lengths alike. Nothing is said where rounding, bounds or a failing cost leave it open.
pub(super) fn inconsistent<O: Objective>(
    at: At<'_, O>,
    bounds: Option<&Bounds>,
    from: &Point<O::Point>,
    p: &[f64],
    convergence: &Convergence,
) -> Result<Option<Stop>> {
    let (slope, length, x_norm) = (dot(from.gradient.as_slice(), p), norm(p), norm(from.x.as_slice()));
    // Near zero the cost's own size does not tell its rounding.
    let noise = convergence.bound(f64::EPSILON, from.cost);
    let t = (CLEAR * noise / slope.abs()).max(CLEAR * f64::EPSILON * x_norm / length);
    if !(slope < 0.0 && t > 0.0 && t.is_finite()) {
        return Ok(None);
    }
    let mut x = from.x.clone();
    let mut difference = |t: f64| -> Result<Option<f64>> {
        let mut ends = [0.0f64; 2];
        for (end, t) in ends.iter_mut().zip([t, -t]) {
            add_scaled(from.x.as_slice(), t, p, x.as_mut_slice());
            if !bounds.is_none_or(|bounds| bounds.contains(x.as_slice())) {
                return Ok(None);
            }
            counts::add(&at.counts.cost, 1);
            *end = At { x: &x, ..at }.uncounted_cost()?;
        }
        let quotient = (ends[0] - ends[1]) / (2.0 * t);
        let rounding = ROUNDING * f64::EPSILON * ends[0].abs().max(ends[1].abs());
        Ok((quotient.is_finite() && 100.0 * rounding <= slope.abs() * t).then_some(quotient))
    };
    // What the cost's higher derivatives do to a difference falls with the square of the length; a wrong gradient stays.
    let (Some(long), Some(short)) = (difference(4.0 * t)?, difference(t)?) else { return Ok(None) };
    let (far, near) = ((long - slope).abs(), (short - slope).abs());
    let wrong = near > 0.5 * slope.abs() && near >= 0.5 * far && (long - short).abs() <= 0.05 * short.abs().max(slope.abs());
    Ok(wrong.then(|| Stop::InconsistentDerivatives { slope: slope / length, difference: short / length }))
}
