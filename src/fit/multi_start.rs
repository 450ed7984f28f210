//! Fits from many starts: a guard against local minima.
//!
//! The starts fill a box evenly (a Latin hypercube), the fits run in parallel, and what they find is grouped into distinct
//! minima. The answer does not depend on the number of threads.
//!
//! # Reference
//! McKay, Beckman & Conover (1979), Technometrics 21(2) (Latin hypercube sampling).

use super::{Fit, FitOptions, FitVerdict, fit};
use crate::error::{Error, Result};
use crate::problem::{Bounds, LeastSquares, ResidualHessian};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Costs that agree to this part belong to one minimum if the parameters do.
const SAME_COST: f64 = 1e-8;
/// Parameters that agree to this part are the same.
const SAME_PARAMETER: f64 = 1e-4;

/// Where to start from.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MultiStart {
    /// Starts, the given one included. Default 50.
    pub starts: usize,
    /// Each parameter is multiplied by a factor between `1/spread` and `spread`, evenly in its logarithm; a parameter that
    /// starts at zero lies evenly between `−1` and `1`. One with a lower and an upper bound lies evenly between these. Starts
    /// outside a bound are moved onto it. Default 10.
    pub spread: f64,
    /// A box instead, lower and upper ends: starts lie evenly in it.
    pub region: Option<(Vec<f64>, Vec<f64>)>,
    /// Seed of the starts. Default 0.
    pub seed: u64,
}

impl Default for MultiStart {
    fn default() -> Self {
        Self { starts: 50, spread: 10.0, region: None, seed: 0 }
    }
}

/// One of the minima found.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Minimum {
    /// Its parameters.
    pub parameters: Vec<f64>,
    /// `½ ‖r‖²`.
    pub cost: f64,
    /// Starts that led there.
    pub hits: usize,
}

/// What the starts led to.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MultiFit {
    /// The fit of the lowest cost.
    pub best: Fit,
    /// Distinct verified minima, the lowest first.
    pub minima: Vec<Minimum>,
    /// Starts where the residuals have no value, or from where no minimum was reached.
    pub failed: usize,
}

impl MultiStart {
    /// Checks the ranges, for a start of `n` parameters.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option; [`Error::Dimension`] for a region of another length.
    pub fn validate(&self, n: usize) -> Result<()> {
        Error::check_option(self.starts > 0, "starts", "positive", self.starts)?;
        Error::check_option(self.spread.is_finite() && self.spread > 1.0, "spread", "finite and above 1", self.spread)?;
        if let Some((lower, upper)) = &self.region {
            Error::check_len("lower ends of the region", n, lower.len())?;
            Error::check_len("upper ends of the region", n, upper.len())?;
            let wrong = lower.iter().zip(upper).find(|(l, u)| !(l.is_finite() && u.is_finite() && l <= u));
            if let Some((l, u)) = wrong {
                return Err(Error::Config {
                    name: "region".into(),
                    requirement: "finite ends in order",
                    value: format!("{l}:{u}"),
                });
            }
        }
        Ok(())
    }

    /// All starts, the given one first.
    fn points(&self, start: &[f64], bounds: Option<&Bounds>) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let others = self.starts - 1;
        let mut points = vec![start.to_vec(); self.starts];
        for j in 0..start.len() {
            let ends = |b: &Bounds| Some((*b.lower().get(j)?, *b.upper().get(j)?));
            let ends = bounds.and_then(ends).unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            let mut strata: Vec<usize> = (0..others).collect();
            strata.shuffle(&mut rng);
            for (point, stratum) in points[1..].iter_mut().zip(strata) {
                let u = (stratum as f64 + rng.random::<f64>()) / others as f64;
                let drawn = match &self.region {
                    Some((lower, upper)) => lower[j] + u * (upper[j] - lower[j]),
                    None if ends.0.is_finite() && ends.1.is_finite() => ends.0 + u * (ends.1 - ends.0),
                    None if start[j] == 0.0 => 2.0 * u - 1.0,
                    None => start[j] * self.spread.powf(2.0 * u - 1.0),
                };
                point[j] = drawn.max(ends.0).min(ends.1);
            }
        }
        points
    }

    /// Fits from all starts.
    ///
    /// # Errors
    /// As [`fit`] at the given start, if no other start has a value either; [`Error::Config`] for options out of range.
    pub fn fit<R: ResidualHessian + 'static>(
        &self,
        problem: &LeastSquares<R>,
        start: &[f64],
        options: &FitOptions,
    ) -> Result<MultiFit> {
        self.validate(start.len())?;
        options.validate()?;
        let bounds = options.constraints.bounds.as_ref();
        let fits: Vec<Result<Fit>> = self.points(start, bounds).par_iter().map(|x| fit(&problem.clone(), x, options)).collect();
        let mut minima: Vec<Minimum> = Vec::new();
        for found in fits.iter().flatten().filter(|found| found.converged()) {
            match minima.iter_mut().find(|known| known.is(found)) {
                Some(known) => known.hits += 1,
                None => minima.push(Minimum { parameters: found.parameters.clone(), cost: found.cost, hits: 1 }),
            }
        }
        minima.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        let failed = self.starts - minima.iter().map(|minimum| minimum.hits).sum::<usize>();
        // A verified minimum before anything that is not one, then by cost.
        let better = |a: &Fit, b: &Fit| b.converged().cmp(&a.converged()).then(a.cost.total_cmp(&b.cost));
        let mut best: Option<Result<Fit>> = None;
        for found in fits {
            let wins = match (&best, &found) {
                (Some(Ok(best)), Ok(found)) => better(found, best).is_lt(),
                (Some(Ok(_)), Err(_)) | (Some(Err(_)), Err(_)) => false,
                (None, _) | (Some(Err(_)), Ok(_)) => true,
            };
            if wins {
                best = Some(found);
            }
        }
        match best {
            Some(best) => Ok(MultiFit { best: best?, minima, failed }),
            None => fit(problem, start, options).map(|best| MultiFit { best, minima, failed }),
        }
    }
}

impl Minimum {
    fn is(&self, fit: &Fit) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= SAME_PARAMETER * a.abs().max(b.abs()).max(f64::MIN_POSITIVE);
        // Of a degenerate minimum any point along its flat directions is one.
        let anywhere = fit.verdict() == FitVerdict::DegenerateMinimum;
        (self.cost - fit.cost).abs() <= SAME_COST * self.cost.max(fit.cost)
            && (anywhere || self.parameters.iter().zip(&fit.parameters).all(near))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r = (x² − 1, (x + 1)/10)`: zero at −1, a second and higher minimum near 1.
    struct TwoValleys;
    impl crate::problem::Residuals for TwoValleys {
        fn n(&self) -> usize {
            1
        }
        fn m(&self) -> usize {
            2
        }
        fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            (out[0], out[1]) = (x[0] * x[0] - 1.0, 0.1 * (x[0] + 1.0));
            Ok(())
        }
        fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            (out[0], out[1]) = (2.0 * x[0], 0.1);
            Ok(())
        }
    }
    impl ResidualHessian for TwoValleys {
        fn weighted_hessian(&self, _: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
            out[0] = 2.0 * weights[0];
            Ok(())
        }
    }

    #[test]
    fn lowest_of_two_valleys_is_found_from_a_start_in_the_other() {
        let problem = LeastSquares::new(TwoValleys);
        let single = fit(&problem, &[1.5], &FitOptions::default()).unwrap();
        let search = MultiStart { region: Some((vec![-3.0], vec![3.0])), starts: 20, ..MultiStart::default() };
        let found = search.fit(&problem, &[1.5], &FitOptions::default()).unwrap();
        assert!(single.parameters[0] > 0.5 && found.best.parameters[0] == -1.0 && found.best.cost == 0.0);
        assert_eq!(found.minima.len(), 2);
        assert_eq!(found.minima.iter().map(|m| m.hits).sum::<usize>() + found.failed, 20);
        assert!(found.minima[0].cost < found.minima[1].cost);
        assert_eq!(search.fit(&problem, &[1.5], &FitOptions::default()).unwrap(), found);
    }

    #[test]
    fn starts_fill_every_stratum_once_and_keep_their_signs() {
        let search = MultiStart { starts: 11, ..MultiStart::default() };
        let points = search.points(&[-2.0, 0.0], None);
        assert_eq!(points[0], [-2.0, 0.0]);
        let mut strata: Vec<usize> = points[1..].iter().map(|p| (5.0 * ((p[0] / -2.0).log10() + 1.0)) as usize).collect();
        strata.sort_unstable();
        assert_eq!(strata, (0..10).collect::<Vec<_>>());
        assert!(points.iter().all(|p| p[0] < 0.0 && p[1].abs() <= 1.0));
    }

    #[test]
    fn starts_lie_within_bounds_and_fill_a_box() {
        let search = MultiStart { starts: 11, ..MultiStart::default() };
        let bounds = Bounds::new(vec![1.0, 0.5], vec![3.0, f64::INFINITY]).unwrap();
        let points = search.points(&[2.0, 1.0], Some(&bounds));
        assert!(points.iter().all(|p| bounds.contains(p)));
        let mut strata: Vec<usize> = points[1..].iter().map(|p| (5.0 * (p[0] - 1.0)) as usize).collect();
        strata.sort_unstable();
        assert_eq!(strata, (0..10).collect::<Vec<_>>());
        assert!(points[1..].iter().any(|p| p[1] == 0.5) && points[1..].iter().any(|p| p[1] > 1.0));
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let with = |change: fn(&mut MultiStart)| {
            let mut search = MultiStart::default();
            change(&mut search);
            search.validate(1)
        };
        assert!(with(|s| s.starts = 0).is_err() && with(|s| s.spread = 1.0).is_err());
        assert!(with(|s| s.region = Some((vec![2.0], vec![1.0]))).is_err());
        assert!(with(|s| s.region = Some((vec![1.0, 2.0], vec![2.0, 3.0]))).is_err());
        assert!(MultiStart::default().validate(7).is_ok());
    }
}
