//! The half-line that a search of nonlinear conjugate gradients looks along: trial points, and the first length of a search by
//! steps I0 and I1 of Hager & Zhang, *Algorithm 851* (ACM TOMS 32, 2006).

use crate::counts::{self, Counts};
use crate::error::Result;
use crate::linalg::Vector;
use crate::linalg::vector::{add_scaled, dot, norm, norm_inf};
use crate::problem::{At, Objective};
use crate::second_order::evaluation::{Point, Trials, Tried};
use crate::second_order::globalization::interpolate::quadratic;
use crate::second_order::subproblem::Step;

/// A trial point and its numbers; `None` if the step is lost in the rounding of the current point.
pub(super) type TrialPoint<P> = Option<(P, Tried<P>)>;

/// Buffers of one iteration: the step and a trial point.
pub(super) struct Buffers<P> {
    pub(super) p: Vec<f64>,
    pub(super) spare: Option<P>,
}

/// The half-line a search looks along.
pub(super) struct Ray<'a, O: Objective> {
    here: &'a Point<O::Point>,
    direction: &'a [f64],
    slope: f64,
    length: f64,
    pub(super) from: At<'a, O>,
}

impl<'a, O: Objective> Ray<'a, O> {
    pub(super) fn new(problem: &'a O, here: &'a Point<O::Point>, direction: &'a [f64], counts: &'a Counts) -> Self {
        let slope = dot(here.gradient.as_slice(), direction);
        let from = At { problem, x: &here.x, rows: None, counts };
        Self { here, direction, slope, length: norm(direction), from }
    }

    pub(super) fn at<'b>(&'b self, x: &'b O::Point) -> At<'b, O> {
        At { x, ..self.from }
    }

    /// The trial point for a length with its numbers.
    pub(super) fn evaluate(&self, size: f64, slopes: bool, buffers: &mut Buffers<O::Point>) -> Result<TrialPoint<O::Point>> {
        let x = self.here.x.as_slice();
        let mut trial = buffers.spare.take().unwrap_or_else(|| self.here.x.clone());
        buffers.p.clear();
        buffers.p.extend(self.direction.iter().map(|d| size * d));
        add_scaled(x, 1.0, &buffers.p, trial.as_mut_slice());
        if trial.as_slice() == x {
            return Ok(None);
        }
        // What a quadratic would give whose minimizer is the trial point.
        let predicted = -0.5 * size * self.slope;
        let step = Step { predicted, slope: self.slope, length: size * self.length, inner: 0 };
        let mut trials = Trials::new(self.here, norm(x), slopes);
        let tried = trials.evaluate(self.at(&trial), &buffers.p, size, &step);
        counts::add(&self.from.counts.cost, trials.costs);
        counts::add(&self.from.counts.gradient, trials.gradients);
        Ok(Some((trial, tried?)))
    }

    /// I0: the first length of a run, or after a restart that forgot the last one.
    pub(super) fn initial_size(&self, psi0: f64) -> f64 {
        let by_point = psi0 * norm_inf(self.here.x.as_slice()) / norm_inf(self.direction);
        let by_cost = psi0 * (self.here.cost.abs() / self.length) / self.length;
        let usable = |size: &f64| size.is_finite() && *size > 0.0;
        // Where point and cost are zero nothing tells the units: a step of length one.
        [by_point, by_cost, 1.0 / self.length].into_iter().find(usable).unwrap_or(1.0)
    }

    /// I1: the minimizer of the quadratic through a probe at length `size`; `otherwise` where it has none.
    pub(super) fn probed(&self, size: f64, otherwise: f64, buffers: &mut Buffers<O::Point>) -> Result<f64> {
        let Some((x, probe)) = self.evaluate(size, false, buffers)? else { return Ok(otherwise) };
        buffers.spare = Some(x);
        if !probe.numbers.is_finite() {
            return Ok(0.1 * size);
        }
        // Near a minimum the probe's reduction is measured by gradients, and the fit is a secant step.
        let minimizer = quadratic(self.slope, size, -probe.numbers.actual);
        let usable = probe.numbers.actual >= 0.0 && minimizer.is_finite();
        Ok(if usable { minimizer } else { otherwise })
    }
}
