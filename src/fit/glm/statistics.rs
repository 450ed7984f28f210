//! How well the coefficients are determined, and how well the model fits.

use super::information::Information;
use super::likelihood::log_likelihood;
use super::{GlmCovariance, GlmFit, GlmWarning};
use crate::error::{Error, Result};
use crate::fit::Interval;
use crate::linalg::vector::{axpy, dot};
use crate::problem::Glm;
use crate::problem::glm::{GlmData, GlmPass, Mean};
use nalgebra::DMatrix;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Precision of the coefficients and quality of the fit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GlmStatistics {
    /// Observations: the sum of frequencies of rows with weight.
    pub n_observations: f64,
    /// Coefficients that were estimated.
    pub rank: usize,
    /// `n − rank`.
    pub degrees_of_freedom: f64,
    /// `n − 1`, or `n` without a constant.
    pub null_degrees_of_freedom: f64,
    /// `φ`: 1 for binomial, Poisson and negative binomial, else Pearson's `χ²/(n − rank)`.
    pub dispersion: f64,
    /// `D`.
    pub deviance: f64,
    /// Deviance of the constant alone (of the offset alone where the design has no constant in its span).
    pub null_deviance: f64,
    /// `Σ w (y − μ)²/V(μ)`.
    pub pearson: f64,
    /// With all constants; families with a dispersion at its plug-in value (see the module `likelihood`'s conventions,
    /// which are R's).
    pub log_likelihood: f64,
    /// `−2ℓ + 2k`, where `k` counts the dispersion of families that have one (R's convention).
    pub aic: f64,
    /// `−2ℓ + k ln n`.
    pub bic: f64,
    /// Standard error of each coefficient; NaN for aliased ones.
    pub standard_errors: Vec<f64>,
    /// Covariance of the coefficients, `p × p`; NaN for aliased ones.
    pub covariance: Vec<f64>,
    /// Which covariance that is.
    pub covariance_kind: GlmCovariance,
    /// Whether tests compare with the normal distribution (dispersion known) or with Student's t.
    pub normal: bool,
}

/// Kinds of residuals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResidualKind {
    /// `y − μ`.
    Response,
    /// `(y − μ) √(w/V(μ))`.
    Pearson,
    /// `sign(y − μ) √(w d(y, μ))`.
    Deviance,
    /// `(y − μ)/μ'`.
    Working,
}

impl GlmStatistics {
    /// At the coefficients `x` of a model of full rank.
    pub(super) fn at(
        model: &Glm,
        x: &[f64],
        (null_deviance, has_constant): (f64, bool),
        kind: GlmCovariance,
        warnings: &mut Vec<GlmWarning>,
    ) -> Result<Self> {
        let (data, pass) = (model.data(), model.pass(x)?);
        let means: Vec<Mean> = pass.predictor.iter().map(|eta| data.link.mean(*eta)).collect();
        let n: f64 = (0..data.n_rows()).filter(|&i| data.total_weight(i) > 0.0).map(|i| data.frequencies[i]).sum();
        let rank = data.n_columns;
        let freedom = n - rank as f64;
        let pearson =
            (0..data.n_rows()).map(|i| residual(data, &pass, i, ResidualKind::Pearson).powi(2) * data.frequencies[i]).sum();
        let unit = data.family.has_unit_dispersion();
        let dispersion = if unit {
            1.0
        } else if freedom > 0.0 {
            pearson / freedom
        } else {
            f64::NAN
        };
        if !unit && !(freedom > 0.0) {
            warnings.push(GlmWarning::Saturated);
        }
        let covariance = covariance(data, &pass, kind, dispersion, n, warnings)?;
        let deviance = 2.0 * pass.cost;
        let log_likelihood = log_likelihood(data, &means, deviance, n);
        let k = rank as f64 + if unit { 0.0 } else { 1.0 };
        Ok(Self {
            n_observations: n,
            rank,
            degrees_of_freedom: freedom,
            null_degrees_of_freedom: n - if has_constant { 1.0 } else { 0.0 },
            dispersion,
            deviance,
            null_deviance,
            pearson,
            log_likelihood,
            aic: -2.0 * log_likelihood + 2.0 * k,
            bic: -2.0 * log_likelihood + k * n.ln(),
            standard_errors: (0..rank).map(|j| covariance[(j, j)].sqrt()).collect(),
            covariance: covariance.as_slice().to_vec(),
            covariance_kind: kind,
            normal: unit,
        })
    }

    /// The same without standard errors and covariance.
    pub(super) fn without_errors(mut self) -> Self {
        self.standard_errors.fill(f64::NAN);
        self.covariance.fill(f64::NAN);
        self
    }

    /// The same with NaN in the places of aliased coefficients.
    pub(super) fn expanded(self, kept: &[usize], n: usize) -> Self {
        let k = kept.len();
        let (mut errors, mut covariance) = (vec![f64::NAN; n], vec![f64::NAN; n * n]);
        for (a, &i) in kept.iter().enumerate() {
            errors[i] = self.standard_errors[a];
            kept.iter().enumerate().for_each(|(b, &j)| covariance[j * n + i] = self.covariance[b * k + a]);
        }
        Self { standard_errors: errors, covariance, ..self }
    }

    /// `P(|T| > |t|)` under the distribution of the tests.
    pub fn p_value(&self, t: f64) -> f64 {
        if t.is_nan() {
            return f64::NAN;
        }
        match (self.normal, StudentsT::new(0.0, 1.0, self.degrees_of_freedom)) {
            (true, _) => 2.0 * Normal::standard().sf(t.abs()),
            (false, Ok(student)) => 2.0 * student.sf(t.abs()),
            _ => f64::NAN,
        }
    }

    /// `z` or `t` of each coefficient against zero, with its two-sided p value.
    pub fn test_values(&self, coefficients: &[f64]) -> Vec<(f64, f64)> {
        coefficients.iter().zip(&self.standard_errors).map(|(b, e)| b / e).map(|t| (t, self.p_value(t))).collect()
    }

    /// Quantile for a two-sided interval of the given level; NaN without degrees of freedom.
    ///
    /// # Errors
    /// [`Error::Config`] for a level outside (0, 1).
    pub fn quantile(&self, level: f64) -> Result<f64> {
        Error::check_option(level > 0.0 && level < 1.0, "level", "in (0, 1)", level)?;
        let p = 0.5 + 0.5 * level;
        if self.normal {
            return Ok(Normal::standard().inverse_cdf(p));
        }
        Ok(StudentsT::new(0.0, 1.0, self.degrees_of_freedom).map_or(f64::NAN, |s| s.inverse_cdf(p)))
    }

    /// Wald's confidence interval of each coefficient.
    ///
    /// # Errors
    /// [`Error::Config`] for a level outside (0, 1).
    pub fn intervals(&self, coefficients: &[f64], level: f64) -> Result<Vec<Interval>> {
        let q = self.quantile(level)?;
        let around = |(b, e): (&f64, &f64)| Interval { lower: b - q * e, upper: b + q * e };
        Ok(coefficients.iter().zip(&self.standard_errors).map(around).collect())
    }
}

/// The covariance of the estimated coefficients; NaN where there is none.
fn covariance(
    data: &GlmData,
    pass: &GlmPass,
    kind: GlmCovariance,
    dispersion: f64,
    n: f64,
    warnings: &mut Vec<GlmWarning>,
) -> Result<DMatrix<f64>> {
    let p = data.n_columns;
    let weights = if kind == GlmCovariance::Observed { &pass.observed } else { &pass.expected };
    let Some(information) = Information::new(data, weights)? else {
        if kind == GlmCovariance::Observed {
            warnings.push(GlmWarning::ObservedNotDefinite);
        }
        return Ok(DMatrix::from_element(p, p, f64::NAN));
    };
    let root = information.inverse_root();
    let inverse = &root * root.transpose();
    let factor = match kind {
        GlmCovariance::Expected | GlmCovariance::Observed => return Ok(inverse * dispersion),
        GlmCovariance::Sandwich => 1.0,
        GlmCovariance::SandwichHc1 => n / (n - p as f64),
    };
    // Rows of frequency f are f rows with the f-th part of the score.
    let size = |i: usize| if data.total_weight(i) > 0.0 { pass.scores[i] / data.frequencies[i].sqrt() } else { 0.0 };
    let scores = DMatrix::from_fn(data.n_rows(), p, |i, j| size(i) * data.column(j)[i]);
    let half = scores * inverse;
    Ok(half.tr_mul(&half) * factor)
}

/// The residual of a row; zero where it has no weight, but for response and working residuals.
fn residual(data: &GlmData, pass: &GlmPass, i: usize, kind: ResidualKind) -> f64 {
    let m = data.link.mean(pass.predictor[i]);
    let (y, w) = (data.response[i], data.weights[i]);
    let term = data.term(i, pass.predictor[i]);
    match kind {
        ResidualKind::Response => y - m.value,
        ResidualKind::Working => (y - m.value) / m.slope,
        // (y − μ)/√V = score/√W, which stays finite where V underflows.
        ResidualKind::Pearson if term.expected > 0.0 => w.sqrt() * term.score / term.expected.sqrt() * m.slope.signum(),
        ResidualKind::Pearson => 0.0,
        ResidualKind::Deviance => (2.0 * w * term.half_deviance).sqrt().copysign(y - m.value),
    }
}

impl GlmFit {
    /// Fitted coefficients with zero for aliased ones: what predicts.
    fn used(&self) -> Vec<f64> {
        self.coefficients.iter().map(|b| if b.is_nan() { 0.0 } else { *b }).collect()
    }

    /// Fitted means.
    ///
    /// # Errors
    /// None in a finished fit.
    pub fn fitted(&self) -> Result<Vec<f64>> {
        let pass = self.model.pass(&self.used())?;
        Ok(pass.predictor.iter().map(|eta| self.model.data().link.mean(*eta).value).collect())
    }

    /// Residuals of every row.
    ///
    /// # Errors
    /// None in a finished fit.
    pub fn residuals(&self, kind: ResidualKind) -> Result<Vec<f64>> {
        let (data, pass) = (self.model.data(), self.model.pass(&self.used())?);
        Ok((0..data.n_rows()).map(|i| residual(data, &pass, i, kind)).collect())
    }

    /// Leverages: the diagonal of `√W X (XᵀWX)⁻¹ Xᵀ √W`, whose sum is the rank.
    ///
    /// # Errors
    /// None in a finished fit; NaN where the information is singular.
    pub fn leverages(&self) -> Result<Vec<f64>> {
        let reduced = super::restrict(&self.model, &self.kept)?;
        let x: Vec<f64> = self.kept.iter().map(|&j| self.coefficients[j]).collect();
        let (data, pass) = (reduced.data(), reduced.pass(&x)?);
        let Some(information) = Information::new(data, &pass.expected)? else { return Ok(vec![f64::NAN; data.n_rows()]) };
        let root = information.inverse_root();
        let mut found = vec![0.0; data.n_rows()];
        for k in 0..x.len() {
            let mut image = vec![0.0; data.n_rows()];
            (0..x.len()).for_each(|j| axpy(root[(j, k)], data.column(j), &mut image));
            found.iter_mut().zip(&image).zip(&pass.expected).for_each(|((f, v), w)| *f += w * v * v);
        }
        Ok(found)
    }

    /// Variance of `xᵀβ`.
    pub(super) fn predictor_variance(&self, row: &[f64]) -> f64 {
        let n = self.coefficients.len();
        let covariance = |j: usize| -> Vec<f64> { self.kept.iter().map(|&i| self.statistics.covariance[j * n + i]).collect() };
        let x: Vec<f64> = self.kept.iter().map(|&j| row[j]).collect();
        self.kept.iter().map(|&j| row[j] * dot(&covariance(j), &x)).sum::<f64>().max(0.0)
    }
}
