//! Predictions of a generalized linear model with errors and intervals.

use super::GlmFit;
use crate::error::{Error, Result};
use crate::fit::Interval;
use crate::linalg::vector::dot;

/// Tolerance on a relation between columns, times that on which the columns were found dependent.
const SLACK: f64 = 1e3;

/// A prediction of one mean.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GlmPrediction {
    /// `η`.
    pub predictor: f64,
    /// Its standard error.
    pub predictor_error: f64,
    /// `μ`.
    pub mean: f64,
    /// Its standard error by the delta method, `|dμ/dη| se(η)`.
    pub mean_error: f64,
    /// The interval of `η`, carried over by the link, so that it stays in the range of the mean.
    pub interval: Interval,
}

impl GlmFit {
    /// Predicts rows given as columns: `design` is `m × p`, column-major, with an offset for each row (none: zero).
    ///
    /// A row that breaks the relation behind an aliased coefficient has no prediction: NaN.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another shape, [`Error::Config`] for a level outside (0, 1).
    pub fn predict(&self, design: &[f64], offset: Option<&[f64]>, level: f64) -> Result<Vec<GlmPrediction>> {
        let p = self.coefficients.len();
        let m = offset.map_or(design.len() / p.max(1), <[f64]>::len);
        Error::check_len("design", m * p, design.len())?;
        let q = self.statistics.quantile(level)?;
        let row = |i: usize| -> Vec<f64> { (0..p).map(|j| design[j * m + i]).collect() };
        Ok((0..m).map(|i| self.predict_row(&row(i), offset.map_or(0.0, |o| o[i]), q)).collect())
    }

    fn predict_row(&self, row: &[f64], offset: f64, q: f64) -> GlmPrediction {
        let link = self.model.data().link;
        let used: Vec<f64> = self.coefficients.iter().map(|b| if b.is_nan() { 0.0 } else { *b }).collect();
        let eta = if self.is_estimable(row) { dot(row, &used) + offset } else { f64::NAN };
        let error = self.predictor_variance(row).sqrt();
        let m = link.mean(eta);
        let ends = [link.mean(eta - q * error).value, link.mean(eta + q * error).value];
        // Beyond the pole of an inverse link the interval is open.
        let end = |v: f64| if v.is_nan() && !eta.is_nan() { f64::INFINITY } else { v };
        let interval = Interval { lower: ends[0].min(ends[1]), upper: end(ends[0]).max(end(ends[1])) };
        GlmPrediction { predictor: eta, predictor_error: error, mean: m.value, mean_error: m.slope.abs() * error, interval }
    }

    /// Whether the row fulfils the relations that made columns dependent.
    fn is_estimable(&self, row: &[f64]) -> bool {
        self.aliases().all(|alias| {
            let terms: Vec<f64> = alias.combination.iter().map(|&(j, c)| c * row[j]).collect();
            let size = terms.iter().fold(row[alias.column].abs(), |s, t| s + t.abs());
            (row[alias.column] - terms.iter().sum::<f64>()).abs() <= SLACK * self.tolerance * size
        })
    }
}
