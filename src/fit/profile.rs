//! Profile-likelihood intervals: how far each parameter can go before the best fit of all the others becomes too poor.
//!
//! With `S(v)` the least sum of squares where parameter `j` is held at `v`, the interval holds all `v` with
//! `τ(v)² = (S(v) − S(b̂))/s² ≤ t²`, `t` being Student's quantile. Unlike `b̂ ± t·se` it bends with the model: it may be
//! lopsided or open to one side.
//!
//! # Reference
//! Bates & Watts (1988), *Nonlinear Regression Analysis and Its Applications*, §6.1.2.

use super::{Fit, FitOptions, Interval, fit};
use crate::error::Result;
use crate::problem::{LeastSquares, ResidualHessian, Residuals};
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
    /// One for each parameter; an open side is infinite. NaN for a parameter that the data do not determine.
    pub intervals: Vec<Interval>,
    /// Parameters of a lower sum of squares, if the search came upon one: the fit is only a local minimum.
    pub better: Option<Vec<f64>>,
}

/// The residuals with one parameter held.
struct Held<R> {
    residuals: Arc<R>,
    index: usize,
    value: f64,
}

impl<R: Residuals> Held<R> {
    /// All parameters from the free ones.
    fn whole(&self, free: &[f64]) -> Vec<f64> {
        let mut x = free.to_vec();
        x.insert(self.index.min(free.len()), self.value);
        x
    }
}

impl<R: Residuals> Residuals for Held<R> {
    fn n(&self) -> usize {
        self.residuals.n() - 1
    }
    fn m(&self) -> usize {
        self.residuals.m()
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.residuals.residuals(&self.whole(x), out)
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let m = self.m();
        let mut all = vec![0.0; m * (x.len() + 1)];
        self.residuals.jacobian(&self.whole(x), &mut all)?;
        all.drain(self.index * m..(self.index + 1) * m);
        out.copy_from_slice(&all);
        Ok(())
    }
}

impl<R: ResidualHessian> ResidualHessian for Held<R> {
    fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        let n = x.len() + 1;
        let mut all = vec![0.0; n * n];
        self.residuals.weighted_hessian(&self.whole(x), weights, &mut all)?;
        let free = (0..n * n).filter(|k| k % n != self.index && k / n != self.index);
        out.iter_mut().zip(free).for_each(|(o, k)| *o = all[k]);
        Ok(())
    }
}

/// One side of one parameter's profile, from the answer outwards.
struct Side<'a, R> {
    residuals: &'a Arc<R>,
    fit: &'a Fit,
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
    let residuals = problem.shared_residuals();
    let end = |index: usize, sign: f64| {
        let free: Vec<f64> = others(&fit.parameters, index);
        let mut side = Side { residuals: &residuals, fit, index, sign, options, last: (0.0, free), better: None };
        let end = fit.parameters[index] + sign * side.reach(t) * fit.statistics.standard_errors[index];
        (end, side.better)
    };
    let both: Vec<_> = (0..fit.parameters.len()).into_par_iter().map(|j| (end(j, -1.0), end(j, 1.0))).collect();
    let intervals = both.iter().map(|((lower, _), (upper, _))| Interval { lower: *lower, upper: *upper }).collect();
    let better = both.into_iter().flat_map(|(a, b)| [a.1, b.1]).flatten().next();
    Ok(Profiles { intervals, better })
}

/// All entries but one.
fn others(x: &[f64], index: usize) -> Vec<f64> {
    x.iter().enumerate().filter(|(k, _)| *k != index).map(|(_, v)| *v).collect()
}

impl<R: ResidualHessian + 'static> Side<'_, R> {
    /// The distance, in standard errors, at which `τ = t`; infinite if there is none.
    fn reach(&mut self, t: f64) -> f64 {
        let se = self.fit.statistics.standard_errors[self.index];
        if !(se > 0.0 && t > 0.0) {
            return if t > 0.0 && se == 0.0 { 0.0 } else { f64::NAN };
        }
        // `inside` and `outside` enclose the end; τ is nearly linear between.
        let (mut inside, mut outside) = ((0.0, 0.0), None::<(f64, f64)>);
        let mut d = t;
        for _ in 0..MAX_FITS {
            let tau = self.tau(d);
            if (tau - t).abs() <= TOLERANCE * t {
                return d;
            }
            if tau < t {
                inside = (d, tau);
            } else {
                outside = Some((d, tau));
            }
            d = match outside {
                None if d >= OPEN => return f64::INFINITY,
                None => d * (t / tau).clamp(1.5, 10.0),
                Some(outside) if (outside.0 - inside.0) <= TOLERANCE * inside.0 => return inside.0,
                Some(outside) => between(inside, outside, t),
            };
        }
        d
    }

    /// `τ` at a distance; infinite where the model has no value.
    fn tau(&mut self, d: f64) -> f64 {
        let s = &self.fit.statistics;
        let value = self.fit.parameters[self.index] + self.sign * d * s.standard_errors[self.index];
        let held = Held { residuals: self.residuals.clone(), index: self.index, value };
        let Some((sum, free)) = self.conditional(held, d) else { return f64::INFINITY };
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
    fn conditional(&self, held: Held<R>, d: f64) -> Option<(f64, Vec<f64>)> {
        let problem = LeastSquares::new(held);
        let (last, free) = &self.last;
        if free.is_empty() {
            let r = problem.residuals_at(&[]).ok()?;
            return Some((r.iter().map(|r| r * r).sum::<f64>(), Vec::new())).filter(|(sum, _)| sum.is_finite());
        }
        let n = self.fit.parameters.len();
        let s = &self.fit.statistics;
        let column = others(&s.covariance[self.index * n..(self.index + 1) * n], self.index);
        let step = self.sign * (d - last) / s.standard_errors[self.index];
        let ahead: Vec<f64> = free.iter().zip(&column).map(|(x, c)| x + step * c).collect();
        [&ahead, free]
            .into_iter()
            .filter(|start| start.iter().all(|v| v.is_finite()))
            .find_map(|start| fit(&problem, start, self.options).ok())
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
                let held = LeastSquares::new(Held { residuals: residuals.clone(), index, value: end });
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
