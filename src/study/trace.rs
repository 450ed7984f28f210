//! The course of a run, recorded from outside: the problem is wrapped and counts its own calls, an argmin observer notes
//! the state after each iteration.

use super::solver::VecState;
use crate::counts::{Counts, Tally, add};
use crate::error::Result;
use crate::linalg::vector::norm_inf;
use crate::problem::{Function, HessianMatrix};
use argmin::core::observers::Observe;
use argmin::core::{Error as ArgminError, KV, State};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Where a run stood after an iteration.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TracePoint {
    /// Iterations done; zero is the start.
    pub iteration: u64,
    /// Seconds since the start.
    pub seconds: f64,
    /// `f` at the iterate.
    pub cost: f64,
    /// `‖∇f‖∞` at the iterate.
    pub gradient_norm: f64,
    /// Calls of the problem's functions so far.
    pub counts: Tally,
}

/// A function that counts its calls.
pub struct Counted {
    /// The function.
    pub function: Arc<dyn Function>,
    /// Where the calls are counted.
    pub counts: Arc<Counts>,
}

impl Function for Counted {
    fn dim(&self) -> usize {
        self.function.dim()
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        add(&self.counts.cost, 1);
        self.function.cost(x)
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        add(&self.counts.gradient, 1);
        self.function.gradient(x, out)
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        add(&self.counts.hessian, 1);
        self.function.hessian(x)
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        add(&self.counts.hessian_product, 1);
        self.function.hessian_product(x, v, out)
    }
}

/// An argmin observer that keeps trace points.
pub struct Recorder {
    points: Arc<Mutex<Vec<TracePoint>>>,
    counts: Arc<Counts>,
    start: Instant,
}

impl Recorder {
    /// A recorder that appends to `points` and reads the work from `counts`.
    pub fn new(points: Arc<Mutex<Vec<TracePoint>>>, counts: Arc<Counts>) -> Self {
        Self { points, counts, start: Instant::now() }
    }

    fn record(&self, iteration: u64, state: &VecState) {
        let point = TracePoint {
            iteration,
            seconds: self.start.elapsed().as_secs_f64(),
            cost: state.get_cost(),
            gradient_norm: state.get_gradient().map_or(f64::NAN, |g| norm_inf(g)),
            counts: self.counts.tally(),
        };
        let mut points = self.points.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Long runs are thinned to one point per two percent; the last one is always there.
        if points.len() > DENSE
            && let [.., before, last] = points.as_mut_slice()
            && (last.iteration as f64) < 1.02 * before.iteration as f64
        {
            *last = point;
            return;
        }
        points.push(point);
    }
}

/// Iterations that are all kept.
const DENSE: usize = 100;

impl Observe<VecState> for Recorder {
    fn observe_init(&mut self, _name: &str, state: &VecState, _kv: &KV) -> std::result::Result<(), ArgminError> {
        self.record(0, state);
        Ok(())
    }
    fn observe_iter(&mut self, state: &VecState, _kv: &KV) -> std::result::Result<(), ArgminError> {
        // argmin raises its counter after the observers.
        self.record(state.get_iter() + 1, state);
        Ok(())
    }
}
