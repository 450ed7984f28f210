//! Features shifted and scaled column by column ([`Scaling`]), by what one part of the data knows.

use super::{Features, Samples};
use crate::error::{Error, Result};
use crate::model::Batch;

/// `x ← (x − shift) · scale`, fitted on some samples and applied to these and others.
///
/// A column that was constant where the scaling was fitted says nothing about the target: it becomes zero, everywhere.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Scaling {
    /// What is subtracted from each column.
    pub shift: Vec<f64>,
    /// What each column is then multiplied by; 0 for constant ones.
    pub scale: Vec<f64>,
    /// Zero-based numbers of the constant columns.
    pub constant: Vec<usize>,
}

impl Scaling {
    /// To mean 0 and variance 1, `(1/n) Σ x²`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for sparse features, which a shift would fill, [`Error::NonFinite`] on overflow.
    pub fn standard(features: &Features) -> Result<Self> {
        let batch = dense(features)?;
        let n = batch.n() as f64;
        let rough: Vec<f64> = fold(batch, 0.0, |_, sum, v| sum + v).iter().map(|sum| sum / n).collect();
        // The mean of what is left corrects the rounding of the mean.
        let rest = fold(batch, 0.0, |j, sum, v| sum + (v - rough[j]));
        let mean: Vec<f64> = rough.iter().zip(rest).map(|(rough, rest)| rough + rest / n).collect();
        let squares = fold(batch, 0.0, |j, sum, v| sum + (v - mean[j]).powi(2));
        Self::new(batch, mean, squares.iter().map(|sum| (sum / n).sqrt()).collect())
    }

    /// To the range from 0 to 1.
    ///
    /// # Errors
    /// As [`standard`](Self::standard).
    pub fn min_max(features: &Features) -> Result<Self> {
        let batch = dense(features)?;
        let low = fold(batch, f64::INFINITY, |_, low, v| low.min(v));
        let high = fold(batch, f64::NEG_INFINITY, |_, high, v| high.max(v));
        let width = high.iter().zip(&low).map(|(high, low)| high - low).collect();
        Self::new(batch, low, width)
    }

    /// To largest absolute value 1, without a shift, so that zeros stay zeros; dense or sparse. Only columns of zeros count as
    /// constant.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the largest value of a column is too small to have an inverse.
    pub fn max_abs(features: &Features) -> Result<Self> {
        let mut largest = vec![0.0f64; features.dim()];
        match features {
            Features::Dense(batch) => largest = fold(batch, 0.0, |_, largest, v| largest.max(v.abs())),
            Features::Sparse(rows) => rows.iter().for_each(|(v, (_, j))| largest[j] = largest[j].max(v.abs())),
        }
        let constant = (0..largest.len()).filter(|&j| largest[j] == 0.0).collect();
        let scale: Vec<f64> = largest.iter().map(|&v| if v > 0.0 { 1.0 / v } else { 0.0 }).collect();
        Error::check_finite("scale of a feature", &scale)?;
        Ok(Self { shift: vec![0.0; largest.len()], scale, constant })
    }

    /// From the shift and the width of every column.
    fn new(batch: &Batch, mut shift: Vec<f64>, width: Vec<f64>) -> Result<Self> {
        let mut scale: Vec<f64> = width.iter().map(|width| 1.0 / width).collect();
        // Rounding gives a column of equal numbers a width, so it is not asked.
        let first = batch.sample(0);
        let varies = fold(batch, 0.0, |j, varies, v| if v == first[j] { varies } else { 1.0 });
        let constant: Vec<usize> = (0..first.len()).filter(|&j| varies[j] == 0.0).collect();
        for &j in &constant {
            (shift[j], scale[j]) = (first[j], 0.0);
        }
        Error::check_finite("shift of a feature", &shift)?;
        // A width that overflows has the inverse 0, too.
        let lost = (0..first.len()).find(|&j| !scale[j].is_finite() || (scale[j] == 0.0 && varies[j] != 0.0));
        match lost {
            None => Ok(Self { shift, scale, constant }),
            index => Err(Error::NonFinite { what: "scale of a feature", index }),
        }
    }

    /// The samples with scaled features.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of features, [`Error::Unsupported`] to shift sparse ones, [`Error::NonFinite`] if
    /// a scaled value overflows.
    pub fn apply(&self, samples: &Samples) -> Result<Samples> {
        Error::check_len("features", self.scale.len(), samples.dim())?;
        Error::check_len("shift", self.scale.len(), self.shift.len())?;
        let features = match samples.features() {
            Features::Dense(batch) => {
                let mut values = batch.values().to_vec();
                for sample in values.chunks_exact_mut(batch.dim()) {
                    for ((v, shift), scale) in sample.iter_mut().zip(&self.shift).zip(&self.scale) {
                        *v = if *scale == 0.0 { 0.0 } else { (*v - shift) * scale };
                    }
                }
                Features::Dense(Batch::new(batch.dim(), values)?)
            }
            Features::Sparse(rows) if self.shift.iter().zip(&self.scale).all(|(shift, scale)| shift * scale == 0.0) => {
                let mut rows = rows.clone();
                let columns = rows.indices().to_vec();
                rows.data_mut().iter_mut().zip(columns).for_each(|(v, j)| *v *= self.scale[j]);
                Features::Sparse(rows)
            }
            Features::Sparse(_) => return Err(SHIFTED),
        };
        Samples::new(&samples.title, features, samples.names.clone(), samples.target.clone())
    }
}

/// What `step(j, state, value)` makes of each column `j`.
fn fold(batch: &Batch, start: f64, step: impl Fn(usize, f64, f64) -> f64) -> Vec<f64> {
    let mut states = vec![start; batch.dim()];
    for sample in batch.values().chunks_exact(batch.dim()) {
        states.iter_mut().zip(sample).enumerate().for_each(|(j, (state, v))| *state = step(j, *state, *v));
    }
    states
}

const SHIFTED: Error = Error::Unsupported { what: "a shift of features", requirement: "dense features" };

fn dense(features: &Features) -> Result<&Batch> {
    match features {
        Features::Dense(batch) => Ok(batch),
        Features::Sparse(_) => Err(SHIFTED),
    }
}
