//! Log-likelihoods with all constants, in the conventions of R's `glm`.
//!
//! Families with a dispersion are taken at `φ̂ = D/Σw` (gamma, inverse Gaussian) or `D/n` (Gaussian), and that dispersion
//! counts as one more parameter in the criteria, as in R's `family$aic` and `logLik`.
//!
//! # Reference
//! McCullagh & Nelder (1989), §2.2.2; Tweedie (1957) (inverse Gaussian); R Core Team, *stats: family*.

use crate::problem::Family;
use crate::problem::glm::{GlmData, Mean};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// `ℓ` at the means `means`, where the deviance is `deviance`; `n` is the number of observations.
pub(super) fn log_likelihood(data: &GlmData, means: &[Mean], deviance: f64, n: f64) -> f64 {
    let rows = (0..data.n_rows()).filter(|&i| data.total_weight(i) > 0.0);
    let total: f64 = rows.clone().map(|i| data.total_weight(i)).sum();
    let phi = if data.family == Family::Gaussian { deviance / n } else { deviance / total };
    rows.map(|i| row(data, i, &means[i], phi)).sum()
}

/// The part of row `i`.
fn row(data: &GlmData, i: usize, m: &Mean, phi: f64) -> f64 {
    let (y, mean, w, f) = (data.response[i], m.value, data.weights[i], data.frequencies[i]);
    let part = |count: f64, ln: f64| if count == 0.0 { 0.0 } else { count * ln };
    match data.family {
        Family::Gaussian => -0.5 * f * ((2.0 * PI * phi / w).ln() + w * (y - mean) * (y - mean) / phi),
        Family::Binomial => {
            let (yes, no) = (w * y, w * (1.0 - y));
            let choose = ln_gamma(w + 1.0) - ln_gamma(yes + 1.0) - ln_gamma(no + 1.0);
            f * (choose + part(yes, m.ln_value) + part(no, m.ln_complement))
        }
        Family::Poisson => w * f * (part(y, m.ln_value) - mean - ln_gamma(y + 1.0)),
        Family::Gamma => {
            let shape = 1.0 / phi;
            w * f * (shape * (shape * y / mean).ln() - shape * y / mean - y.ln() - ln_gamma(shape))
        }
        Family::InverseGaussian => {
            let r = (y - mean) / mean;
            -0.5 * w * f * ((2.0 * PI * phi).ln() + 3.0 * y.ln() + r * r / (phi * y))
        }
        Family::NegativeBinomial { alpha } => {
            let size = 1.0 / alpha;
            let choose = ln_gamma(y + size) - ln_gamma(size) - ln_gamma(y + 1.0);
            w * f * (choose + part(y, m.ln_value + alpha.ln()) - (y + size) * (alpha * mean).ln_1p())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Glm, Link};

    fn at(family: Family, y: f64, mean: f64, weight: f64, deviance: f64) -> f64 {
        let model = Glm::new(family, Link::Identity, 1, vec![1.0], vec![y]).unwrap().with_weights(vec![weight]).unwrap();
        log_likelihood(model.data(), &[Link::Identity.mean(mean)], deviance, 1.0)
    }

    #[test]
    fn densities_and_masses_sum_to_one() {
        let counts = |family, weight: f64, n: usize, unit: f64| -> f64 {
            (0..=n).map(|k| at(family, k as f64 * unit, 0.3 / unit.max(0.1) * 0.1 + 0.2, weight, 1.0).exp()).sum()
        };
        assert!((counts(Family::Binomial, 8.0, 8, 0.125) - 1.0).abs() < 1e-12);
        assert!((counts(Family::Poisson, 1.0, 60, 1.0) - 1.0).abs() < 1e-12);
        assert!((counts(Family::NegativeBinomial { alpha: 0.7 }, 1.0, 300, 1.0) - 1.0).abs() < 1e-12);
        // Densities by the trapezoidal rule in ln y.
        for family in [Family::Gamma, Family::InverseGaussian] {
            let h = 1e-3;
            let density = |k: i32| {
                let y = (f64::from(k) * h).exp();
                at(family, y, 1.3, 1.0, 0.4).exp() * y
            };
            let sum: f64 = (-15_000..8_000).map(density).sum::<f64>() * h;
            assert!((sum - 1.0).abs() < 1e-10, "{family}: {sum}");
        }
        let sum: f64 =
            (-9_000..9_000).map(|k| at(Family::Gaussian, f64::from(k) * 1e-3, 0.3, 2.0, 0.8).exp()).sum::<f64>() * 1e-3;
        assert!((sum - 1.0).abs() < 1e-10);
    }
}
