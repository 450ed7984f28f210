//! Where a generalized linear model starts: one weighted least-squares step from means near the observations.

use super::Glm;
use crate::error::{Error, Result};
use crate::linalg::factor::PivotedQr;
use crate::linalg::operator::Gram;
use crate::linalg::vector::norm;

/// Halvings of the way from the constant predictor to the first step.
const HALVINGS: usize = 40;

impl<P> Glm<P> {
    /// Coefficients of finite deviance to start from: least squares on the linearized link around means near the
    /// observations (McCullagh & Nelder 1989, §2.5), moved towards a constant predictor where some mean would leave the
    /// family's range.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if no such coefficients are found.
    pub fn start(&self) -> Result<Vec<f64>> {
        let data = self.data();
        let n = data.n_rows();
        let (mut eta, mut weights) = (vec![0.0; n], vec![0.0; n]);
        let (mut total, mut sum) = (0.0, 0.0);
        for i in 0..n {
            let (w, y) = (data.total_weight(i), data.response[i]);
            if w == 0.0 {
                continue;
            }
            let mean = self.inner_mean(data.family.first_mean(y, data.weights[i]));
            let at = data.link.predictor(mean);
            let m = data.link.mean(at);
            let expected = data.family.term(mean, &m).expected;
            let working = at + (y - mean) / m.slope;
            if working.is_finite() && expected.is_finite() {
                (eta[i], weights[i]) = (working, w * expected);
            }
            (total, sum) = (total + w, sum + w * y);
        }
        let center = data.link.predictor(self.inner_mean(if total > 0.0 { sum / total } else { 0.5 }));
        let constant = self.least_squares(&vec![center; n], &vec![1.0; n])?;
        let mut beta = self.least_squares(&eta, &weights)?;
        for _ in 0..HALVINGS {
            if self.pass(&beta)?.cost.is_finite() {
                return Ok(beta);
            }
            beta.iter_mut().zip(&constant).for_each(|(b, c)| *b = 0.5 * (*b + c));
        }
        if self.pass(&constant)?.cost.is_finite() {
            return Ok(constant);
        }
        Err(Error::Unsupported {
            what: "a start for this family, link and design",
            requirement: "coefficients whose means lie in the family's range; give a start",
        })
    }

    /// The mean itself, or one inside of the link's domain.
    fn inner_mean(&self, mean: f64) -> f64 {
        let data = self.data();
        let inside =
            |m: f64| data.link.predictor(m).is_finite() && data.family.admits(data.link.mean(data.link.predictor(m)).value);
        [mean, mean.clamp(0.01, 0.99), mean.max(0.01)].into_iter().find(|m| inside(*m)).unwrap_or(0.5)
    }

    /// `β` with `Xβ + o ≈ η` in the weighted least-squares sense.
    fn least_squares(&self, eta: &[f64], weights: &[f64]) -> Result<Vec<f64>> {
        let data = self.data();
        let (n, p) = (data.n_rows(), data.n_columns);
        let roots: Vec<f64> = weights.iter().map(|w| w.sqrt()).collect();
        let jacobian: Vec<f64> = (0..p).flat_map(|j| data.column(j).iter().zip(&roots).map(|(x, r)| x * r)).collect();
        let residual: Vec<f64> = (0..n).map(|i| roots[i] * (data.offset[i] - eta[i])).collect();
        let gram = Gram::new(p, &jacobian, &residual)?;
        let scale: Vec<f64> = (0..p).map(|j| norm(gram.column(j))).map(|l| if l > 0.0 { l } else { 1.0 }).collect();
        let mut qr = PivotedQr::default();
        qr.factor(gram, &scale)?;
        qr.solve_damped(0.0);
        let mut beta = vec![0.0; p];
        qr.step(&mut beta);
        Ok(beta)
    }
}
