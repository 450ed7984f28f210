//! How well the parameters of a least-squares fit are determined.
//!
//! With `J = Q R` (columns scaled to unit length, pivoted) the covariance is `s² (JᵀJ)⁻¹ = s² R⁻¹R⁻ᵀ` in the scaled
//! variables, `s² = ‖r‖²/(m − rank)`; `JᵀJ` is never formed.
//!
//! # Reference
//! Seber & Wild (1989), *Nonlinear Regression*, §2.8 and §5.2; White (1980), Econometrica 48(4) (robust covariance);
//! Belsley, Kuh & Welsch (1980), §3.2 (condition number of scaled columns).

use super::finish::column_norms;
use crate::error::{Error, Result};
use crate::linalg::factor::PivotedQr;
use crate::linalg::vector::dot;
use crate::problem::{LeastSquares, Linearize, Residuals};
use nalgebra::DMatrix;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Entries of a unit direction that name a parameter as taking part in it.
const TAKES_PART: f64 = 0.3;
/// Condition number from which the columns count as nearly collinear (Belsley, Kuh & Welsch: 30 is moderate, 1000 severe).
const COLLINEAR: f64 = 1e3;

/// Precision of the parameters, from the Jacobian at the answer.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Statistics {
    /// Residuals.
    pub n_observations: usize,
    /// Numerical rank of the scaled Jacobian.
    pub rank: usize,
    /// `m − rank`.
    pub degrees_of_freedom: usize,
    /// `‖r‖²`.
    pub residual_sum_of_squares: f64,
    /// `s = √(‖r‖²/(m − rank))`; NaN without degrees of freedom.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "nullable::number"))]
    pub residual_standard_deviation: f64,
    /// Standard error of each parameter; NaN for one that the data do not determine.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "nullable::numbers"))]
    pub standard_errors: Vec<f64>,
    /// Covariance of the parameters, `n × n`; NaN in the rows of those that are not determined.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "nullable::numbers"))]
    pub covariance: Vec<f64>,
    /// The same from the residuals themselves, right under unequal variances (White 1980, HC0).
    #[cfg_attr(feature = "serde", serde(deserialize_with = "nullable::numbers"))]
    pub robust_covariance: Vec<f64>,
    /// Parameters that the data do not determine, by index.
    pub unidentified: Vec<usize>,
    /// Condition number of the Jacobian with columns of unit length; infinite if the rank is deficient.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "nullable::infinite"))]
    pub condition_number: f64,
    /// Parameters that take part in a near-collinearity, by index; empty if the condition number is below 1000.
    pub collinear: Vec<usize>,
}

/// JSON has neither NaN nor infinity: both are written as null.
#[cfg(feature = "serde")]
mod nullable {
    use serde::{Deserialize, Deserializer};

    pub fn number<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(source)?.unwrap_or(f64::NAN))
    }
    pub fn infinite<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(source)?.unwrap_or(f64::INFINITY))
    }
    pub fn numbers<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<f64>, D::Error> {
        let values: Vec<Option<f64>> = Vec::deserialize(source)?;
        Ok(values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
}

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

impl Statistics {
    /// At the point `x`, which should be the minimizer.
    ///
    /// # Errors
    /// Whatever the residuals report, [`Error::NonFinite`].
    pub fn at<R: Residuals + 'static>(problem: &LeastSquares<R>, x: &[f64]) -> Result<Self> {
        let shared = problem.linearize(&x.to_vec())?;
        let gram = shared.gram()?;
        let (m, n) = (gram.residual.len(), gram.n);
        let scale = column_norms(gram);
        let mut qr = PivotedQr::default();
        qr.factor(gram, &scale)?;
        let rank = qr.rank();
        let r = DMatrix::from_fn(rank, n, |i, j| if i <= j { qr.entry(i, j) } else { 0.0 });
        let unidentified = unidentified(&r, qr.order());
        let (condition_number, collinear) = condition(&r, qr.order());
        let degrees_of_freedom = m.saturating_sub(rank);
        let rss = dot(gram.residual, gram.residual);
        let s = if degrees_of_freedom > 0 { (rss / degrees_of_freedom as f64).sqrt() } else { f64::NAN };

        // (JᵀJ)⁻¹ of the determined columns, in the order and scale of the parameters.
        let inverse = r
            .columns(0, rank)
            .into_owned()
            .solve_upper_triangular(&DMatrix::identity(rank, rank))
            .unwrap_or_else(|| DMatrix::from_element(rank, rank, f64::NAN));
        let mut rows = DMatrix::zeros(n, rank);
        for i in 0..rank {
            let j = qr.order()[i];
            rows.set_row(j, &(inverse.row(i) / scale[j]));
        }
        unidentified.iter().for_each(|&j| rows.row_mut(j).fill(f64::NAN));
        let unscaled = &rows * rows.transpose();
        let covariance = &unscaled * (s * s);

        let mut weighted = DMatrix::from_column_slice(m, n, gram.jacobian);
        for (i, mut row) in weighted.row_iter_mut().enumerate() {
            row *= gram.residual[i];
        }
        let sandwich = &weighted * &unscaled;
        let robust = sandwich.transpose() * &sandwich;
        Ok(Self {
            n_observations: m,
            rank,
            degrees_of_freedom,
            residual_sum_of_squares: rss,
            residual_standard_deviation: s,
            standard_errors: (0..n).map(|j| s * rows.row(j).norm()).collect(),
            covariance: covariance.as_slice().to_vec(),
            robust_covariance: robust.as_slice().to_vec(),
            unidentified,
            condition_number,
            collinear,
        })
    }

    /// At the answer of a fit, whose cost is known: where residuals or Jacobian have no value there any more, all that needs them
    /// is NaN.
    pub(super) fn at_answer<R: Residuals + 'static>(problem: &LeastSquares<R>, x: &[f64], cost: f64) -> Self {
        let (m, n) = (problem.residuals().m(), x.len());
        Self::at(problem, x).unwrap_or_else(|_| Self {
            n_observations: m,
            rank: 0,
            degrees_of_freedom: m,
            residual_sum_of_squares: 2.0 * cost,
            residual_standard_deviation: f64::NAN,
            standard_errors: vec![f64::NAN; n],
            covariance: vec![f64::NAN; n * n],
            robust_covariance: vec![f64::NAN; n * n],
            unidentified: Vec::new(),
            condition_number: f64::NAN,
            collinear: Vec::new(),
        })
    }

    /// The same with another residual standard deviation: that of an M-estimator, or one known beforehand.
    pub fn with_deviation(mut self, s: f64) -> Self {
        let factor = s / self.residual_standard_deviation;
        self.covariance.iter_mut().for_each(|v| *v *= factor * factor);
        self.standard_errors.iter_mut().for_each(|v| *v *= factor);
        self.residual_standard_deviation = s;
        self
    }

    /// Correlation of the parameters, `n × n`.
    pub fn correlation(&self) -> Vec<f64> {
        let n = self.standard_errors.len();
        let e = &self.standard_errors;
        (0..n * n).map(|k| if k % n == k / n { 1.0 } else { self.covariance[k] / (e[k % n] * e[k / n]) }).collect()
    }

    /// Student's t for each parameter, against zero, with its two-sided p value.
    pub fn t_values(&self, parameters: &[f64]) -> Vec<(f64, f64)> {
        let t = |(b, e): (&f64, &f64)| b / e;
        let student = self.student();
        let p = |t: f64| student.map_or(f64::NAN, |s| if t.is_nan() { f64::NAN } else { 2.0 * s.sf(t.abs()) });
        parameters.iter().zip(&self.standard_errors).map(t).map(|t| (t, p(t))).collect()
    }

    fn student(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.degrees_of_freedom as f64).ok()
    }

    /// Student's quantile for a two-sided interval of the given level; NaN without degrees of freedom.
    ///
    /// # Errors
    /// [`Error::Config`] for a level outside (0, 1).
    pub fn quantile(&self, level: f64) -> Result<f64> {
        Error::check_option(level > 0.0 && level < 1.0, "level", "in (0, 1)", level)?;
        Ok(self.student().map_or(f64::NAN, |s| s.inverse_cdf(0.5 + 0.5 * level)))
    }

    /// Confidence interval of each parameter (Wald, linearized).
    ///
    /// # Errors
    /// [`Error::Config`] for a level outside (0, 1).
    pub fn intervals(&self, parameters: &[f64], level: f64) -> Result<Vec<Interval>> {
        let t = self.quantile(level)?;
        let around = |(b, e): (&f64, &f64)| Interval { lower: b - t * e, upper: b + t * e };
        Ok(parameters.iter().zip(&self.standard_errors).map(around).collect())
    }

    /// Standard error of a prediction whose gradient by the parameters is `gradient`; with `observation` that of a new
    /// observation there. NaN if a parameter is not determined.
    pub fn prediction_error(&self, gradient: &[f64], observation: bool) -> f64 {
        let n = gradient.len();
        let variance: f64 = (0..n).map(|j| gradient[j] * dot(&self.covariance[j * n..(j + 1) * n], gradient)).sum();
        let s = self.residual_standard_deviation;
        // Rounding may leave a variance slightly negative; NaN, of a parameter that is not determined, stays.
        let variance = if variance < 0.0 { 0.0 } else { variance };
        (variance + if observation { s * s } else { 0.0 }).sqrt()
    }

    /// Akaike's and the Bayesian information criterion for normal errors of unknown variance, which counts as one more
    /// parameter.
    pub fn information_criteria(&self) -> (f64, f64) {
        let m = self.n_observations as f64;
        let k = self.rank as f64 + 1.0;
        let deviance = m * ((2.0 * std::f64::consts::PI * self.residual_sum_of_squares / m).ln() + 1.0);
        (deviance + 2.0 * k, deviance + k * m.ln())
    }
}

/// Parameters with a part in the null space of `R = [R₁₁ R₁₂]`: the dependent columns, and those they depend on.
fn unidentified(r: &DMatrix<f64>, order: &[usize]) -> Vec<usize> {
    let (rank, n) = (r.nrows(), order.len());
    if rank == n {
        return Vec::new();
    }
    let tied = r.columns(0, rank).into_owned().solve_upper_triangular(&r.columns(rank, n - rank).into_owned());
    let takes_part = |i: usize| tied.as_ref().is_none_or(|tied| tied.row(i).amax() > f64::EPSILON.sqrt());
    let mut found: Vec<usize> = (0..rank).filter(|&i| takes_part(i)).chain(rank..n).map(|i| order[i]).collect();
    found.sort_unstable();
    found
}

/// Condition number of `R`, and the parameters in the direction of its smallest singular value if that is small.
fn condition(r: &DMatrix<f64>, order: &[usize]) -> (f64, Vec<usize>) {
    let n = order.len();
    if n == 0 || r.nrows() < n {
        return (f64::INFINITY, Vec::new());
    }
    let svd = r.clone().svd(false, true);
    let (low, high) = (svd.singular_values.min(), svd.singular_values.max());
    let condition = high / low;
    let smallest = svd.singular_values.imin();
    let mut collinear: Vec<usize> = match &svd.v_t {
        Some(v) if condition >= COLLINEAR => (0..n).filter(|&i| v[(smallest, i)].abs() >= TAKES_PART).map(|i| order[i]).collect(),
        _ => Vec::new(),
    };
    collinear.sort_unstable();
    (condition, collinear)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linear model with given columns.
    struct Linear(Vec<Vec<f64>>, Vec<f64>);
    impl Residuals for Linear {
        fn n(&self) -> usize {
            self.0.len()
        }
        fn m(&self) -> usize {
            self.1.len()
        }
        fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
            for i in 0..self.m() {
                out[i] = self.0.iter().zip(b).map(|(c, b)| c[i] * b).sum::<f64>() - self.1[i];
            }
            Ok(())
        }
        fn jacobian(&self, _: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(&self.0.concat());
            Ok(())
        }
    }

    #[test]
    fn straight_line_has_the_textbook_statistics() {
        // y on x = 1…5: slope 0.6, intercept 2.2, s² = 2.4/3, var(slope) = s²/10, var(intercept) = s² (1/5 + 9/10).
        let x: Vec<f64> = (1..=5).map(f64::from).collect();
        let problem = LeastSquares::new(Linear(vec![vec![1.0; 5], x], vec![2.0, 4.0, 5.0, 4.0, 5.0]));
        let s = Statistics::at(&problem, &[2.2, 0.6]).unwrap();
        assert!((s.residual_sum_of_squares - 2.4).abs() < 1e-13 && s.degrees_of_freedom == 3);
        for (found, exact) in [
            (s.standard_errors[1], (0.08f64).sqrt()),
            (s.standard_errors[0], (0.88f64).sqrt()),
            (s.covariance[1], -0.24),
            (s.quantile(0.95).unwrap(), 3.182446305284263),
            (s.t_values(&[2.2, 0.6])[1].0, 0.6 / (0.08f64).sqrt()),
            (s.prediction_error(&[1.0, 3.0], false), (0.16f64).sqrt()),
            (s.prediction_error(&[1.0, 3.0], true), (0.96f64).sqrt()),
        ] {
            assert!((found - exact).abs() < 1e-12, "{found} {exact}");
        }
        assert!(s.unidentified.is_empty() && s.collinear.is_empty());
    }

    #[test]
    fn parameters_that_cannot_be_told_apart_are_named_and_the_others_keep_their_errors() {
        let x: Vec<f64> = (1..=5).map(f64::from).collect();
        let twice = x.iter().map(|x| 2.0 * x).collect();
        let problem = LeastSquares::new(Linear(vec![x, vec![1.0; 5], twice], vec![2.0, 4.0, 5.0, 4.0, 5.0]));
        let s = Statistics::at(&problem, &[0.6, 2.2, 0.0]).unwrap();
        assert_eq!((s.rank, s.unidentified.as_slice()), (2, &[0, 2][..]));
        assert!((s.standard_errors[1] - (0.88f64).sqrt()).abs() < 1e-12 && s.standard_errors[0].is_nan());
        assert_eq!(s.condition_number, f64::INFINITY);
        assert!(s.prediction_error(&[1.0, 1.0, 2.0], false).is_nan());
    }

    #[test]
    fn robust_covariance_and_criteria_of_a_line_equal_those_by_hand() {
        // Residuals 0.8, −0.6, −1, 0.6, 0.2; rows of (XᵀX)⁻¹Xᵀ: (8, 5, 2, −1, −4)/10 and (−2, −1, 0, 1, 2)/10.
        let x: Vec<f64> = (1..=5).map(f64::from).collect();
        let problem = LeastSquares::new(Linear(vec![vec![1.0; 5], x], vec![2.0, 4.0, 5.0, 4.0, 5.0]));
        let s = Statistics::at(&problem, &[2.2, 0.6]).unwrap();
        for (found, exact) in s.robust_covariance.iter().zip([0.5496, -0.1272, -0.1272, 0.0344]) {
            assert!((found - exact).abs() < 1e-13, "{found} {exact}");
        }
        // R's AIC and BIC of lm(y ~ x): two coefficients and the variance.
        let (aic, bic) = s.information_criteria();
        assert!((aic - 16.519_539_456_645_724).abs() < 1e-12 && (bic - 15.347_853_193_948_026).abs() < 1e-12, "{aic} {bic}");
    }

    #[test]
    fn statistics_at_an_answer_without_a_jacobian_keep_what_the_residuals_give() {
        struct Kink;
        impl Residuals for Kink {
            fn n(&self) -> usize {
                1
            }
            fn m(&self) -> usize {
                2
            }
            fn residuals(&self, _: &[f64], out: &mut [f64]) -> Result<()> {
                out.copy_from_slice(&[3.0, 4.0]);
                Ok(())
            }
            fn jacobian(&self, _: &[f64], out: &mut [f64]) -> Result<()> {
                out.fill(f64::INFINITY);
                Ok(())
            }
        }
        let s = Statistics::at_answer(&LeastSquares::new(Kink), &[0.0], 12.5);
        assert_eq!((s.residual_sum_of_squares, s.n_observations), (25.0, 2));
        assert!(s.standard_errors[0].is_nan() && s.unidentified.is_empty());
    }

    #[test]
    fn no_degrees_of_freedom_give_nan_and_no_panic() {
        let problem = LeastSquares::new(Linear(vec![vec![1.0, 0.0], vec![1.0, 1.0]], vec![2.0, 4.0]));
        let s = Statistics::at(&problem, &[-2.0, 4.0]).unwrap();
        assert!(s.residual_standard_deviation.is_nan() && s.quantile(0.95).unwrap().is_nan());
        assert!(s.quantile(1.0).is_err());
    }
}
