//! Multinomial logistic regression: coefficients of every class against the baseline ([`multinomial`]).

use super::aliases;
use super::information::{Information, Polished, Sharp, movement, polish, sharp_predictor};
use super::separation::{self, Separation};
use super::{GlmOptions, GlmWarning, run_scoring};
use crate::error::{Error, Result};
use crate::linalg::vector::{dot, dot_compensated};
use crate::problem::glm::{Multinomial, MultinomialData};
use crate::problem::{Family, Glm, Link};
use statrs::distribution::{ContinuousCDF, Normal};

/// A finished multinomial fit. Coefficients of class `k` (from 1) stand at `(k − 1) p …`, those of an aliased column are NaN.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MultinomialFit {
    /// Coefficients, `p` for each class behind the baseline.
    pub coefficients: Vec<f64>,
    /// Standard errors, from the information (expected and observed agree).
    pub standard_errors: Vec<f64>,
    /// Covariance of the coefficients of the columns that were estimated, in their order.
    pub covariance: Vec<f64>,
    /// `ℓ`.
    pub log_likelihood: f64,
    /// `ℓ` of the constants alone: the classes at their frequencies.
    pub null_log_likelihood: f64,
    /// `−2ℓ + 2k`.
    pub aic: f64,
    /// `−2ℓ + k ln n`.
    pub bic: f64,
    /// Observations: the sum of weights.
    pub n_observations: f64,
    /// What to know; a separating direction is over all `(K − 1) p` coefficients.
    pub warnings: Vec<GlmWarning>,
    /// What the Newton steps verified.
    pub polished: Polished,
    /// Scoring steps.
    pub iterations: u64,
}

impl MultinomialFit {
    /// `z` of each coefficient against zero, with its two-sided p value.
    pub fn test_values(&self) -> Vec<(f64, f64)> {
        let p = |z: f64| if z.is_nan() { f64::NAN } else { 2.0 * Normal::standard().sf(z.abs()) };
        self.coefficients.iter().zip(&self.standard_errors).map(|(b, e)| b / e).map(|z| (z, p(z))).collect()
    }
}

impl Sharp for Multinomial {
    fn sharp(&self, x: &[f64]) -> Result<Option<(Information, Vec<f64>)>> {
        let d = self.data();
        let (n, p, blocks) = (d.n_rows(), d.n_columns, d.n_classes - 1);
        let probabilities = d.probabilities(x).0;
        let Some(information) = Information::of_matrix(d.n_parameters(), &d.information(&probabilities)) else { return Ok(None) };
        let (mut scores, plain) = (d.scores(&probabilities), d.predictors(x));
        // What the predictors miss, carried into the scores to first order.
        let missed: Vec<f64> = (0..blocks)
            .flat_map(|k| {
                let (high, low) = sharp_predictor(n, &vec![0.0; n], |j| d.column(j), &x[k * p..(k + 1) * p]);
                (0..n).map(|i| (high[i] - plain[k * n + i]) + low[i]).collect::<Vec<_>>()
            })
            .collect();
        for i in 0..n {
            let mean: f64 = (0..blocks).map(|k| probabilities[k * n + i] * missed[k * n + i]).sum();
            (0..blocks).for_each(|k| scores[k * n + i] -= d.weights[i] * probabilities[k * n + i] * (missed[k * n + i] - mean));
        }
        let entry = |at: usize| -dot_compensated(d.column(at % p), &scores[at / p * n..(at / p + 1) * n]);
        Ok(Some((information, (0..d.n_parameters()).map(entry).collect())))
    }

    fn movement(&self, step: &[f64], beta: &[f64]) -> f64 {
        let d = self.data();
        let p = d.n_columns.max(1);
        let of = |(s, b): (&[f64], &[f64])| movement(d.n_rows(), |j| d.column(j), s, b);
        step.chunks(p).zip(beta.chunks(p)).map(of).fold(0.0, f64::max)
    }
}

/// A probability of another class below this says that the row is predicted almost perfectly.
const PREDICTED: f64 = 1e-6;

/// Fits a multinomial logistic model by Fisher scoring and Newton steps to the last digit.
///
/// # Errors
/// [`Error::Config`] for an option out of range, [`Error::Dimension`] for a start of another length,
/// [`Error::Unsupported`] if there is no row with weight.
pub fn multinomial(model: &Multinomial, options: &GlmOptions) -> Result<MultinomialFit> {
    options.validate()?;
    let data = model.data();
    let n: f64 = data.weights.iter().sum();
    if n == 0.0 {
        return Err(Error::Unsupported { what: "a fit", requirement: "rows with positive weight" });
    }
    // The columns are judged as those of any linear model.
    let linear = Glm::new(Family::Gaussian, Link::Identity, data.n_columns, data.design.clone(), vec![0.0; data.n_rows()])?
        .with_weights(data.weights.clone())?;
    let (kept, found) = aliases::find(linear.data(), options.alias_tolerance);
    let mut warnings: Vec<GlmWarning> = found.into_iter().map(GlmWarning::Aliased).collect();
    let design = kept.iter().flat_map(|&j| data.column(j)).copied().collect();
    let reduced =
        Multinomial::new(data.n_classes, kept.len(), design, data.classes.clone())?.with_weights(data.weights.clone())?;
    let (p, blocks) = (data.n_columns, data.n_classes - 1);
    let places: Vec<usize> = (0..blocks).flat_map(|k| kept.iter().map(move |j| k * p + j)).collect();
    let start = match &options.start {
        Some(start) => {
            Error::check_len("start", data.n_parameters(), start.len())?;
            places.iter().map(|&at| start[at]).collect()
        }
        None => vec![0.0; places.len()],
    };
    let run = run_scoring(&reduced, start, options)?;
    let (x, polished) = polish(&reduced, &run.x)?;
    let (probabilities, losses) = reduced.data().probabilities(&x);
    let interior = losses.iter().zip(&data.weights).all(|(loss, w)| *w == 0.0 || *loss > PREDICTED);
    let direction = if polished.converged && interior { None } else { separation::find_multinomial(reduced.data()) };
    match direction {
        Some(found) => warnings.push(GlmWarning::Separated(expand(found, &places, data))),
        None if !polished.converged => warnings.push(GlmWarning::NotConverged),
        None => {}
    }
    let log_likelihood = -dot(&losses, &data.weights);
    let root = Information::of_matrix(places.len(), &reduced.data().information(&probabilities)).map(|i| i.inverse_root());
    let (mut coefficients, mut standard_errors) = (vec![f64::NAN; data.n_parameters()], vec![f64::NAN; data.n_parameters()]);
    for (a, &at) in places.iter().enumerate() {
        coefficients[at] = x[a];
        standard_errors[at] = root.as_ref().map_or(f64::NAN, |root| root.row(a).norm());
    }
    let k = places.len() as f64;
    Ok(MultinomialFit {
        coefficients,
        standard_errors,
        covariance: root.map_or_else(Vec::new, |root| (&root * root.transpose()).as_slice().to_vec()),
        log_likelihood,
        null_log_likelihood: null(data, n),
        aic: -2.0 * log_likelihood + 2.0 * k,
        bic: -2.0 * log_likelihood + k * n.ln(),
        n_observations: n,
        warnings,
        polished,
        iterations: run.iterations,
    })
}

fn null(data: &MultinomialData, n: f64) -> f64 {
    let mut counts = vec![0.0; data.n_classes];
    data.classes.iter().zip(&data.weights).for_each(|(c, w)| counts[*c] += w);
    counts.iter().filter(|c| **c > 0.0).map(|c| c * (c / n).ln()).sum()
}

fn expand(found: Separation, places: &[usize], data: &MultinomialData) -> Separation {
    let mut direction = vec![0.0; data.n_parameters()];
    places.iter().zip(&found.direction).for_each(|(&at, d)| direction[at] = *d);
    Separation { direction, columns: found.columns.iter().map(|&c| places[c]).collect(), ..found }
}
