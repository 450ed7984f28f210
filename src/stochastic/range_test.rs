//! The learning-rate range test (Smith 2017): steps with a rate that grows from tiny to too large, and what the loss did.

use super::Stochastic;
use super::estimator::GradientEstimator;
use super::rule::UpdateRule;
use super::schedule::Schedule;
use super::stopping::{Cadence, Protocol};
use crate::curvature::Subsampled;
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::problem::FiniteSum;
use crate::problem::state::State;
use argmin::core::{Problem, Solver};

/// The range of rates, and when it is left.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RangeTest {
    /// The first rate. Default 1e-7.
    pub lowest: f64,
    /// The last rate. Default 10.
    pub highest: f64,
    /// Steps. Default 100.
    pub steps: u64,
    /// Decay of the average of batch losses, debiased. Default 0.9.
    pub smoothing: f64,
    /// The test ends when the smoothed loss exceeds its lowest value by this share of the fall from the first to the lowest, or
    /// of the first loss where it did not fall. Default 1.
    pub divergence: f64,
}

impl Default for RangeTest {
    fn default() -> Self {
        Self { lowest: 1e-7, highest: 10.0, steps: 100, smoothing: 0.9, divergence: 1.0 }
    }
}

/// A step of a range test.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tried {
    /// The rate of the step.
    pub rate: f64,
    /// The loss of the batch before the step.
    pub loss: f64,
    /// The smoothed loss.
    pub smoothed: f64,
}

/// What a range test found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RateCurve {
    /// The steps, with rising rates.
    pub steps: Vec<Tried>,
    /// The rate where the smoothed loss fell most steeply over `log(rate)`; `None` if it never fell.
    pub suggested: Option<f64>,
    /// The rate at which the loss diverged, if it did.
    pub diverged: Option<f64>,
}

impl RangeTest {
    /// Checks the range.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.lowest > 0.0 && self.lowest.is_finite(), "lowest", "finite and positive", self.lowest)?;
        let higher = self.highest > self.lowest && self.highest.is_finite();
        Error::check_option(higher, "highest", "finite and above the lowest rate", self.highest)?;
        Error::check_option(self.steps >= 2, "steps", "at least 2", self.steps)?;
        Error::check_option((0.0..1.0).contains(&self.smoothing), "smoothing", "at least 0 and below 1", self.smoothing)?;
        Error::check_option(self.divergence > 0.0, "divergence", "positive", self.divergence)
    }

    /// The rates, from the lowest to the highest.
    pub fn schedule(&self) -> Schedule {
        let every = (self.steps.max(2) - 1) as f64;
        Schedule::Exponential { initial: self.lowest, factor: self.highest / self.lowest, every }
    }

    /// Runs the method that `method` makes of the growing rate from `start`, and returns the problem with the curve.
    ///
    /// # Errors
    /// [`Error::Config`] for a wrong range, what the first evaluation reports, [`Error::Unsupported`] for an estimator that does not
    /// know the loss of its batch.
    ///
    /// # Example
    /// ```
    /// use curvkit::loss::SquaredError;
    /// use curvkit::model::{Activation, Batch, Network};
    /// use curvkit::problem::Supervised;
    /// use curvkit::stochastic::{RangeTest, estimator::FullBatch, methods};
    ///
    /// // ½ mean (w x − x)² over x = ±1: curvature 1 (and 1 for the bias), so that rates above 2 diverge.
    /// let x = vec![-1.0, 1.0];
    /// let line = Network::vector(1)?.dense(1, Activation::Identity)?;
    /// let problem = Supervised::new(line, SquaredError, Batch::new(1, x.clone())?, Batch::new(1, x)?)?;
    /// let range = RangeTest { lowest: 0.01, highest: 100.0, steps: 20, ..RangeTest::default() };
    /// let (_, curve) = range.run(problem, vec![3.0, 1.0], |rate| methods::sgd(FullBatch::default(), rate))?;
    /// let (suggested, diverged) = (curve.suggested.unwrap(), curve.diverged.unwrap());
    /// assert!(suggested < 2.0 && diverged > 2.0);
    /// # Ok::<(), argmin::core::Error>(())
    /// ```
    pub fn run<O, P, E, C, R>(
        &self,
        problem: O,
        start: P,
        method: impl FnOnce(Schedule) -> Stochastic<E, C, R>,
    ) -> Result<(O, RateCurve)>
    where
        O: FiniteSum<Point = P>,
        P: Vector,
        E: GradientEstimator<O>,
        C: Subsampled<O>,
        R: UpdateRule,
    {
        self.validate()?;
        let schedule = self.schedule();
        let protocol = Protocol { iteration: Cadence::Steps(1), evaluate: Cadence::Never, ..Protocol::default() };
        let mut solver = method(schedule.clone()).protocol(protocol);
        solver.report = true;
        let mut problem = Problem::new(problem);
        let failed = |error: argmin::core::Error| match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::Problem { what: "range test", source: error.into() },
        };
        let state = argmin::core::State::new();
        let (mut state, _) = solver.init(&mut problem, State::param(state, start)).map_err(failed)?;
        let mut curve = Curve::new(self);
        // argmin's iterations are counted by its executor; here nobody asks for the last one.
        state.max_iters = u64::MAX;
        for k in 0..self.steps {
            let (next, report) = solver.next_iter(&mut problem, state).map_err(failed)?;
            state = next;
            let loss = report.as_ref().and_then(|kv| kv.get("batch_cost")).and_then(|v| v.get_float());
            let missing =
                Error::Unsupported { what: "a range test", requirement: "an estimator that knows the loss of its batch" };
            let ended = curve.push(schedule.value(k as f64), loss.ok_or(missing)?);
            if ended || solver.stop().is_some() {
                curve.diverged(schedule.value(k as f64));
                break;
            }
        }
        let problem = problem.take_problem().ok_or(Error::Unsupported { what: "a run", requirement: "a problem" })?;
        Ok((problem, curve.finish()))
    }
}

/// A curve in the making.
struct Curve<'a> {
    range: &'a RangeTest,
    found: RateCurve,
    average: f64,
    weight: f64,
    lowest: f64,
}

impl<'a> Curve<'a> {
    fn new(range: &'a RangeTest) -> Self {
        let found = RateCurve { steps: Vec::new(), suggested: None, diverged: None };
        Self { range, found, average: 0.0, weight: 0.0, lowest: f64::INFINITY }
    }

    /// Takes in a step; true if the loss diverged.
    fn push(&mut self, rate: f64, loss: f64) -> bool {
        let beta = self.range.smoothing;
        self.average = beta * self.average + (1.0 - beta) * loss;
        self.weight = beta * self.weight + (1.0 - beta);
        let smoothed = self.average / self.weight;
        let first = self.found.steps.first().map_or(smoothed, |s| s.smoothed);
        self.lowest = self.lowest.min(smoothed);
        self.found.steps.push(Tried { rate, loss, smoothed });
        let fall = if first > self.lowest { first - self.lowest } else { first.abs() };
        !(smoothed - self.lowest <= self.range.divergence * fall)
    }

    fn diverged(&mut self, rate: f64) {
        self.found.diverged = Some(rate);
    }

    /// Rates are evenly spaced in their logarithm: the steepest fall is the largest difference across two steps.
    fn finish(mut self) -> RateCurve {
        let slope = |w: &[Tried]| w[2].smoothed - w[0].smoothed;
        let steepest = self.found.steps.windows(3).filter(|w| slope(w) < 0.0).min_by(|a, b| slope(a).total_cmp(&slope(b)));
        self.found.suggested = steepest.map(|w| w[1].rate);
        self.found
    }
}
