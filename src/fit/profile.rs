//! Profile-likelihood intervals: how far each parameter can go before the best fit of all the others becomes too poor.
//!
//! With `S(v)` the least sum of squares where parameter `j` is held at `v`, the interval holds all `v` with
//! `τ(v)² = (S(v) − S(b̂))/s² ≤ t²`, `t` being Student's quantile. Unlike `b̂ ± t·se` it bends with the model: it may be
//! lopsided or open to one side.
//!
//! # Reference
//! Bates & Watts (1988), *Nonlinear Regression Analysis and Its Applications*, §6.1.2.

use super::{Constraints, Fit, FitOptions, Interval, Statistics, fit};
use crate::error::Result;
use crate::problem::{Bounds, LeastSquares, ResidualHessian, Tie, Tied, Ties};
use rayon::prelude::*;
use std::sync::Arc;

/// `|τ| = t` is met to this part of `t`.
const TOLERANCE: f64 = 1e-7;
/// Fits along one side at most.
const MAX_FITS: usize = 60;
/// An interval that reaches this many standard errors is open.
const OPEN: f64 = 1e8;
/// Part of `S` by which a conditional fit must be better for the fit not to be the best.
const BETTER: f64 = 1e-8;

/// Profile-likelihood intervals of a fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Profiles {
    /// One for each parameter; an open side is infinite, and a side that meets a bound first ends there. NaN for a parameter
    /// that the data do not determine, for a fixed one, and for one tied other than by `offset + factor · parameter`.
    pub intervals: Vec<Interval>,
    /// Parameters of a lower sum of squares, if the search came upon one: the fit is only a local minimum.
    pub better: Option<Vec<f64>>,
}

/// What every side starts from: the answer in the free parameters, none of which is held by a bound.
struct Answer<R> {
    residuals: Arc<R>,
    parameters: Vec<f64>,
    statistics: Statistics,
    bounds: Bounds,
}

/// One side of one parameter's profile, from the answer outwards.
struct Side<'a, R> {
    answer: &'a Answer<R>,
    index: usize,
    sign: f64,
    options: &'a FitOptions,
    /// The last conditional fit: its distance in standard errors and its free parameters.
    last: (f64, Vec<f64>),
    better: Option<Vec<f64>>,
}

/// Intervals of the given level, parameters in parallel.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for a level outside (0, 1) or an option out of range.
///
/// # Example
/// ```
/// # use curvkit::fit::{FitOptions, fit, profile_intervals};
/// # use curvkit::problem::{LeastSquares, ResidualHessian, Residuals};
/// # use curvkit::error::Result;
/// struct Mean; // a linear model: both kinds of interval agree
/// impl Residuals for Mean {
///     fn n(&self) -> usize { 1 }
///     fn m(&self) -> usize { 3 }
///     fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
///         out.copy_from_slice(&[b[0] - 1.0, b[0] - 2.0, b[0] - 6.0]);
///         Ok(())
///     }
///     fn jacobian(&self, _: &[f64], out: &mut [f64]) -> Result<()> { out.fill(1.0); Ok(()) }
/// }
/// impl ResidualHessian for Mean {
///     fn weighted_hessian(&self, _: &[f64], _: &[f64], out: &mut [f64]) -> Result<()> { out.fill(0.0); Ok(()) }
/// }
/// let problem = LeastSquares::new(Mean);
/// let found = fit(&problem, &[0.0], &FitOptions::default())?;
/// let profile = profile_intervals(&problem, &found, 0.95, &FitOptions::default())?.intervals[0];
/// let wald = found.statistics.intervals(&found.parameters, 0.95)?[0];
/// assert!((profile.lower - wald.lower).abs() < 1e-5 && (profile.upper - wald.upper).abs() < 1e-5);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn profile_intervals<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    fit: &Fit,
    level: f64,
    options: &FitOptions,
) -> Result<Profiles> {
    options.validate()?;
    let t = fit.statistics.quantile(level)?;
    let ties = options.constraints.ties_of(fit.parameters.len());
    let residuals = Arc::new(Tied::new(problem.shared_residuals(), ties.clone())?);
    let parameters = ties.restrict(&fit.parameters);
    let s = Statistics::at_answer(&LeastSquares::new(residuals.clone()), &parameters, fit.cost);
    let statistics = s.with_deviation(fit.statistics.residual_standard_deviation);
    let answer = Answer { residuals, parameters, statistics, bounds: options.constraints.free_bounds(&ties)? };
    let end = |index: usize, sign: f64| {
        let free: Vec<f64> = others(&answer.parameters, index);
        let mut side = Side { answer: &answer, index, sign, options, last: (0.0, free), better: None };
        (side.end(t), side.better)
    };
    let both: Vec<_> = (0..answer.parameters.len()).into_par_iter().map(|j| (end(j, -1.0), end(j, 1.0))).collect();
    let free: Vec<Interval> = both.iter().map(|((lower, _), (upper, _))| Interval { lower: *lower, upper: *upper }).collect();
    let better = both.into_iter().flat_map(|(a, b)| [a.1, b.1]).flatten().next();
    let better = better.map(|z| ties.expand(&z)).transpose()?;
    Ok(Profiles { intervals: of_all(&ties, &free), better })
}

/// Intervals of all parameters from those of the free ones.
fn of_all(ties: &Ties, free: &[Interval]) -> Vec<Interval> {
    let of = |j: usize| ties.free().iter().position(|f| *f == j).map(|k| free[k]);
    let undetermined = Interval { lower: f64::NAN, upper: f64::NAN };
    let interval = |(i, rule): (usize, &Tie)| match rule {
        Tie::Affine { offset, terms } if terms.len() == 1 => of(terms[0].0).map(|z| {
            let ends = [offset + terms[0].1 * z.lower, offset + terms[0].1 * z.upper];
            Interval { lower: ends[0].min(ends[1]), upper: ends[0].max(ends[1]) }
        }),
        _ => of(i),
    };
    ties.rules().iter().enumerate().map(|(i, rule)| interval((i, rule)).unwrap_or(undetermined)).collect()
}

/// All entries but one.
fn others(x: &[f64], index: usize) -> Vec<f64> {
    x.iter().enumerate().filter(|(k, _)| *k != index).map(|(_, v)| *v).collect()
}

impl<R: ResidualHessian + 'static> Side<'_, R> {
    /// The value at which `τ = t`, or the bound that comes before it; infinite if there is none.
    fn end(&mut self, t: f64) -> f64 {
        let Answer { parameters, statistics, bounds, .. } = self.answer;
        let (value, se) = (parameters[self.index], statistics.standard_errors[self.index]);
        let bound = if self.sign < 0.0 { bounds.lower()[self.index] } else { bounds.upper()[self.index] };
        let limit = (bound - value).abs() / se;
        let d = self.reach(t, if limit.is_nan() { f64::INFINITY } else { limit });
        if d == limit { bound } else { value + self.sign * d * se }
    }

    /// The distance, in standard errors, at which `τ = t`, `limit` at most; infinite if there is none.
    fn reach(&mut self, t: f64, limit: f64) -> f64 {
        let se = self.answer.statistics.standard_errors[self.index];
        if !(se > 0.0 && t > 0.0) {
            return if t > 0.0 && se == 0.0 { 0.0 } else { f64::NAN };
        }
        if limit == 0.0 {
            return limit;
        }
        // `inside` and `outside` enclose the end; τ is nearly linear between.
        let (mut inside, mut outside) = ((0.0, 0.0), None::<(f64, f64)>);
        let mut d = t.min(limit);
        for _ in 0..MAX_FITS {
            let tau = self.tau(d);
            if (tau - t).abs() <= TOLERANCE * t || (tau < t && d == limit) {
                return d;
            }
            if tau < t {
                inside = (d, tau);
            } else {
                outside = Some((d, tau));
            }
            d = match outside {
                None if d >= OPEN => return f64::INFINITY,
                None => (d * (t / tau).clamp(1.5, 10.0)).min(limit),
                Some(outside) if (outside.0 - inside.0) <= TOLERANCE * inside.0 => return inside.0,
                Some(outside) => between(inside, outside, t),
            };
        }
        d
    }

    /// `τ` at a distance; infinite where the model has no value.
    fn tau(&mut self, d: f64) -> f64 {
        let s = &self.answer.statistics;
        let value = self.answer.parameters[self.index] + self.sign * d * s.standard_errors[self.index];
        let value = self.answer.bounds.nearest(self.index, value);
        let Some((sum, free)) = self.conditional(value, d) else { return f64::INFINITY };
        let excess = sum - s.residual_sum_of_squares;
        if excess < -BETTER * s.residual_sum_of_squares {
            let mut x = free.clone();
            x.insert(self.index, value);
            self.better = Some(x);
        }
        self.last = (d, free);
        excess.max(0.0).sqrt() / s.residual_standard_deviation
    }

    /// Sum of squares and free parameters of the best fit found with one parameter held: from the line of the covariance,
    /// and where that has no value from the last one.
    fn conditional(&self, value: f64, d: f64) -> Option<(f64, Vec<f64>)> {
        let Answer { residuals, parameters, statistics: s, bounds } = self.answer;
        let n = parameters.len();
        let held = Tied::new(residuals.clone(), Ties::none(n).holding(self.index, value).ok()?).ok()?;
        let problem = LeastSquares::new(held);
        let (last, free) = &self.last;
        if free.is_empty() {
            let r = problem.residuals_at(&[]).ok()?;
            return Some((r.iter().map(|r| r * r).sum::<f64>(), Vec::new())).filter(|(sum, _)| sum.is_finite());
        }
        let bounds = self
            .options
            .constraints
            .bounds
            .as_ref()
            .and_then(|_| Bounds::new(others(bounds.lower(), self.index), others(bounds.upper(), self.index)).ok());
        let options = FitOptions { constraints: Constraints { bounds, ties: None }, ..self.options.clone() };
        let column = others(&s.covariance[self.index * n..(self.index + 1) * n], self.index);
        let step = self.sign * (d - last) / s.standard_errors[self.index];
        let ahead: Vec<f64> = free.iter().zip(&column).map(|(x, c)| x + step * c).collect();
        [&ahead, free]
            .into_iter()
            .filter(|start| start.iter().all(|v| v.is_finite()))
            .find_map(|start| fit(&problem, start, &options).ok())
            .map(|found| (2.0 * found.cost, found.parameters))
    }
}

/// The secant's root, kept off the ends; the middle where the outside has no value.
fn between(inside: (f64, f64), outside: (f64, f64), t: f64) -> f64 {
    let width = outside.0 - inside.0;
    let part = if outside.1.is_finite() { (t - inside.1) / (outside.1 - inside.1) } else { 0.5 };
    inside.0 + width * part.clamp(0.01, 0.99)
}

#[cfg(all(test, feature = "expression", feature = "dataset"))]
mod tests {
    use super::*;
    use crate::dataset::Table;
    use crate::fit::{Formula, fit};

    fn problem(model: &str, parameters: &[&str], data: &str) -> LeastSquares<Formula> {
        let names: Vec<String> = parameters.iter().map(|p| p.to_string()).collect();
        LeastSquares::new(Formula::new(model, &names, &Table::parse("t.csv", data).unwrap(), None, None).unwrap())
    }

    fn profiles(problem: &LeastSquares<Formula>, start: &[f64]) -> (Fit, Profiles) {
        let found = fit(problem, start, &FitOptions::default()).unwrap();
        let profiles = profile_intervals(problem, &found, 0.95, &FitOptions::default()).unwrap();
        (found, profiles)
    }

    const DATA: &str = "x,y\n1,2.1\n2,3.9\n3,6.2\n4,7.8\n5,10.1\n6,11.9\n";

    #[test]
    fn profiles_of_a_linear_model_are_the_wald_intervals() {
        let problem = problem("y = a + b*x", &["a", "b"], DATA);
        let (found, profiles) = profiles(&problem, &[0.0, 0.0]);
        for (profile, wald) in profiles.intervals.iter().zip(found.statistics.intervals(&found.parameters, 0.95).unwrap()) {
            let width = wald.upper - wald.lower;
            assert!((profile.lower - wald.lower).abs() <= 1e-6 * width && (profile.upper - wald.upper).abs() <= 1e-6 * width);
        }
        assert_eq!(profiles.better, None);
    }

    /// A monotone function of a parameter has the function of the interval.
    #[test]
    fn profiles_follow_a_nonlinear_change_of_the_parameter() {
        let (plain, plain_profiles) = profiles(&problem("y = b*x", &["b"], DATA), &[1.0]);
        let (bent, bent_profiles) = profiles(&problem("y = exp(c)*x", &["c"], DATA), &[0.0]);
        assert!((bent.parameters[0] - plain.parameters[0].ln()).abs() < 1e-12);
        let (a, b) = (plain_profiles.intervals[0], bent_profiles.intervals[0]);
        assert!((a.lower.ln() - b.lower).abs() < 1e-8 && (a.upper.ln() - b.upper).abs() < 1e-8, "{a:?} {b:?}");
    }

    #[test]
    fn ends_have_the_sum_of_squares_that_defines_them() {
        let data = "x,y\n0,1.1\n1,1.9\n2,2.4\n3,2.65\n4,2.9\n6,2.85\n8,3.05\n";
        let problem = problem("y = a - b*exp(-c*x)", &["a", "b", "c"], data);
        let (found, profiles) = profiles(&problem, &[3.0, 2.0, 0.5]);
        let s = &found.statistics;
        let t = s.quantile(0.95).unwrap();
        let residuals = problem.shared_residuals();
        for (index, interval) in profiles.intervals.iter().enumerate() {
            for end in [interval.lower, interval.upper] {
                let ties = Ties::none(3).holding(index, end).unwrap();
                let held = LeastSquares::new(Tied::new(residuals.clone(), ties).unwrap());
                let there = fit(&held, &others(&found.parameters, index), &FitOptions::default()).unwrap();
                let tau = ((2.0 * there.cost - s.residual_sum_of_squares) / s.residual_standard_deviation.powi(2)).sqrt();
                assert!((tau - t).abs() <= 1e-6 * t, "{index}: {tau} {t}");
            }
        }
        let rate = profiles.intervals[2];
        let (below, above) = (found.parameters[2] - rate.lower, rate.upper - found.parameters[2]);
        assert!(above > 1.05 * below, "the interval of the rate is lopsided: {below} {above}");
    }

    #[test]
    fn interval_that_never_ends_is_open() {
        // From x = 1 on the exponential has died out for every large rate: no upper end.
        let data = "x,y\n0,3.0\n1,1.02\n2,0.99\n3,1.01\n4,1.0\n";
        let problem = problem("y = 1 + a*exp(-c*x)", &["a", "c"], data);
        let (_, profiles) = profiles(&problem, &[2.0, 3.0]);
        let rate = profiles.intervals[1];
        assert!(rate.lower > 1.0 && rate.lower < 6.0 && rate.upper == f64::INFINITY, "{rate:?}");
    }
}
