//! Regression that gross outliers do not spoil: an M-estimator with its scale and standard errors.
//!
//! # Reference
//! Huber & Ronchetti (2009), *Robust Statistics*, §7.6 (covariance, eq. 7.81 and the correction `K`), §7.8 (scale by the
//! median of the absolute residuals).

use super::constraints::statistics_of;
use super::{Fit, FitOptions, Role, fit};
use crate::error::{Error, Result};
use crate::linalg::vector::dot;
use crate::problem::{LeastSquares, ResidualHessian, Robust, RobustLoss};
use std::sync::Arc;

/// Standard deviation of a normal variable over its median absolute value.
const NORMAL: f64 = 0.674_489_750_196_081_7;
/// Rounds in which scale and parameters settle on each other.
const ROUNDS: usize = 50;
/// Relative change of the scale at which they have.
const SETTLED: f64 = 1e-6;

/// A robust fit.
#[derive(Debug, Clone, PartialEq)]
pub struct RobustFit {
    /// The fit; its residuals are the plain ones, its statistics those of the M-estimator.
    pub fit: Fit,
    /// `c`, the residual from which on the loss leaves the square.
    pub scale: f64,
    /// Influence of each residual against that in least squares, `ψ(t)/t`: near 0 for an outlier.
    pub weights: Vec<f64>,
}

/// Fits by the loss. `scale` is `c` in units of the residuals; without it, `c` is the loss's tuning constant times the
/// median absolute residual over 0.6745, found together with the parameters.
///
/// # Errors
/// As [`fit`]; [`Error::Unsupported`] if most residuals are zero, so that they have no scale.
pub fn fit_robust<R: ResidualHessian + 'static>(
    residuals: R,
    start: &[f64],
    loss: RobustLoss,
    scale: Option<f64>,
    options: &FitOptions,
) -> Result<RobustFit> {
    let shared = Arc::new(residuals);
    let plain = LeastSquares::new(shared.clone());
    let at = |x: &[f64], loss, c| fit(&LeastSquares::new(Robust::new(shared.clone(), loss, c)?), x, options);
    let (mut found, scale) = match scale {
        Some(c) => (at(start, loss, c)?, c),
        None => {
            // From least squares over a convex loss to the one wanted, each from the answer of the last.
            let mut sigma = deviation(&fit(&plain, start, options)?.residuals)?;
            let mut x = start.to_vec();
            for _ in 0..3 {
                x = at(&x, RobustLoss::SoftL1, RobustLoss::SoftL1.tuning() * sigma)?.parameters;
                sigma = deviation(&plain.residuals_at(&x)?)?;
            }
            let mut round = 0;
            loop {
                let found = at(&x, loss, loss.tuning() * sigma)?;
                let next = deviation(&plain.residuals_at(&found.parameters)?)?;
                round += 1;
                if (next - sigma).abs() <= SETTLED * sigma || round == ROUNDS {
                    break (found, loss.tuning() * sigma);
                }
                (x, sigma) = (found.parameters, next);
            }
        }
    };
    found.residuals = plain.residuals_at(&found.parameters)?;
    let n_free = found.roles.iter().filter(|role| **role == Role::Free).count();
    let (s, weights) = spread(&found.residuals, loss, scale, n_free);
    let cost = 0.5 * dot(&found.residuals, &found.residuals);
    found.statistics = statistics_of(&plain, &options.constraints, &found.active, &found.parameters, cost)?.with_deviation(s);
    Ok(RobustFit { fit: found, scale, weights })
}

/// Median of `|r|` over that of a standard normal variable.
fn deviation(residuals: &[f64]) -> Result<f64> {
    let mut sizes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    let middle = sizes.len() / 2;
    let median = match sizes.get(middle) {
        Some(upper) if sizes.len().is_multiple_of(2) => 0.5 * (upper + sizes[middle - 1]),
        Some(upper) => *upper,
        None => 0.0,
    };
    if median > 0.0 && median.is_finite() {
        return Ok(median / NORMAL);
    }
    Err(Error::Unsupported { what: "an automatic scale", requirement: "residuals of which more than half differ from zero" })
}

/// `s` with covariance `s² (JᵀJ)⁻¹`, and the weights.
fn spread(residuals: &[f64], loss: RobustLoss, scale: f64, n: usize) -> (f64, Vec<f64>) {
    let m = residuals.len() as f64;
    let influence: Vec<(f64, f64)> = residuals.iter().map(|r| loss.influence(r / scale)).collect();
    let squares: f64 = influence.iter().map(|(psi, _)| psi * psi).sum();
    let mean = influence.iter().map(|(_, slope)| slope).sum::<f64>() / m;
    let variance = influence.iter().map(|(_, slope)| (slope - mean) * (slope - mean)).sum::<f64>() / m;
    let correction = 1.0 + n as f64 / m * variance / (mean * mean);
    let freedom = m - n as f64;
    let s = if freedom > 0.0 { correction * scale * (squares / freedom).sqrt() / mean.abs() } else { f64::NAN };
    let weight = |(r, (psi, _)): (&f64, &(f64, f64))| if *r == 0.0 { 1.0 } else { psi * scale / r };
    (s, residuals.iter().zip(&influence).map(weight).collect())
}
