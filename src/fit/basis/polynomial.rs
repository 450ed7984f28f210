//! Polynomial regression through polynomials orthogonal on the data, reported in monomials.
//!
//! `p₀ = 1`, `p_{k+1} = (x − a_k) p_k − b_k p_{k−1}` with `a_k = ⟨x p_k, p_k⟩/⟨p_k, p_k⟩`, `b_k = ⟨p_k, p_k⟩/⟨p_{k−1}, p_{k−1}⟩` in
//! `⟨u, v⟩ = Σ wᵢ uᵢ vᵢ`, so that every coefficient is a quotient of two sums. In monomials the same polynomial can be
//! conditioned arbitrarily badly; recurrence, projection and conversion therefore run in twice the precision.
//!
//! # Reference
//! Forsythe (1957), *Generation and use of orthogonal polynomials for data-fitting with a digital computer*, J. SIAM 5(2).

use super::Basis;
use super::double::Double;
use crate::error::{Error, Result};

/// Part of `Σ w x²ᵏ` below which the next polynomial vanishes on the data: the square of what twice the precision resolves.
const VANISHES: f64 = 1e-54;

/// A fitted polynomial.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Polynomial {
    /// Coefficients of `1, x, x², …`.
    pub coefficients: Vec<f64>,
    /// Their standard errors; NaN without degrees of freedom.
    pub standard_errors: Vec<f64>,
    /// Coefficients of the orthogonal polynomials, which do not change when the degree grows.
    pub orthogonal: Vec<f64>,
    /// Standard errors of the same; they are uncorrelated.
    pub orthogonal_errors: Vec<f64>,
    /// `Σ w (y − p(x))²`.
    pub residual_sum_of_squares: f64,
    /// Observations with weight less coefficients.
    pub degrees_of_freedom: usize,
    /// `a_k` and `b_k` of the recurrence.
    recurrence: Vec<(f64, f64)>,
}

/// Fits a polynomial by (weighted) least squares.
///
/// # Errors
/// [`Error::Dimension`], [`Error::NonFinite`]; [`Error::Config`] for negative weights or a degree that the data do not
/// determine: not less than the number of different `x` with weight.
///
/// # Example
/// ```
/// let x = [0.0, 1.0, 2.0, 3.0];
/// let fit = curvkit::fit::basis::polynomial(&x, &[1.0, 2.0, 5.0, 10.0], None, 2)?; // 1 + x²
/// assert!((fit.coefficients[2] - 1.0).abs() < 1e-15 && fit.coefficients[1].abs() < 1e-15);
/// assert!((fit.predict(4.0).0 - 17.0).abs() < 1e-13);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn polynomial(x: &[f64], y: &[f64], weights: Option<&[f64]>, degree: usize) -> Result<Polynomial> {
    Error::check_len("response", x.len(), y.len())?;
    Error::check_finite("points", x)?;
    Error::check_finite("response", y)?;
    let ones = vec![1.0; x.len()];
    let w = weights.unwrap_or(&ones);
    Error::check_len("weights", x.len(), w.len())?;
    if let Some(bad) = w.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
        Error::check_option(false, "weights", "finite and not negative", bad)?;
    }
    let dot = |u: &[Double], v: &[Double]| Double::sum((0..x.len()).map(|i| u[i] * v[i] * w[i].into()));

    let (mut before, mut now) = (vec![Double::ZERO; x.len()], vec![Double::from(1.0); x.len()]);
    let mut rest: Vec<Double> = y.iter().map(|y| (*y).into()).collect();
    // Monomial coefficients of p_{k−1} and p_k, and of the fit.
    let (mut mono_before, mut mono): (Vec<Double>, Vec<Double>) = (Vec::new(), vec![1.0.into()]);
    let mut fit = vec![Double::ZERO; degree + 1];
    let (mut orthogonal, mut norms, mut recurrence, mut rows) = (Vec::new(), Vec::<Double>::new(), Vec::new(), Vec::new());
    for k in 0..=degree {
        let norm = dot(&now, &now);
        let scale: f64 = (0..x.len()).map(|i| w[i] * x[i].abs().powi(k as i32).max(f64::MIN_POSITIVE).powi(2)).sum();
        if !(norm.value() > VANISHES * scale) {
            return Err(Error::Config {
                name: "degree".into(),
                requirement: "less than the number of different points with weight",
                value: degree.to_string(),
            });
        }
        let c = dot(&rest, &now) / norm;
        rest.iter_mut().zip(&now).for_each(|(r, p)| *r = *r - c * *p);
        fit.iter_mut().zip(&mono).for_each(|(f, m)| *f = *f + c * *m);
        let shifted: Vec<Double> = now.iter().zip(x).map(|(p, x)| *p * (*x).into()).collect();
        let a = dot(&shifted, &now) / norm;
        let b = norms.last().map_or(Double::ZERO, |last| norm / *last);
        let next = (0..x.len()).map(|i| shifted[i] - a * now[i] - b * before[i]).collect();
        before = std::mem::replace(&mut now, next);
        rows.push(mono.iter().map(|m| m.value()).collect::<Vec<f64>>());
        let entry = |j: usize, v: &[Double]| v.get(j).copied().unwrap_or(Double::ZERO);
        let up = |j: usize| if j == 0 { Double::ZERO } else { entry(j - 1, &mono) };
        let raised = (0..=k + 1).map(|j| up(j) - a * entry(j, &mono) - b * entry(j, &mono_before)).collect();
        mono_before = std::mem::replace(&mut mono, raised);
        orthogonal.push(c.value());
        norms.push(norm);
        recurrence.push((a.value(), b.value()));
    }
    let residual_sum_of_squares = dot(&rest, &rest).value();
    let degrees_of_freedom = w.iter().filter(|w| **w > 0.0).count().saturating_sub(degree + 1);
    let s = if degrees_of_freedom > 0 { (residual_sum_of_squares / degrees_of_freedom as f64).sqrt() } else { f64::NAN };
    let orthogonal_errors: Vec<f64> = norms.iter().map(|n| s / n.value().sqrt()).collect();
    let variance = |j: usize| (j..=degree).map(|k| (rows[k][j] * orthogonal_errors[k]).powi(2)).sum::<f64>();
    Ok(Polynomial {
        coefficients: fit.into_iter().map(Double::value).collect(),
        standard_errors: (0..=degree).map(|j| variance(j).sqrt()).collect(),
        orthogonal,
        orthogonal_errors,
        residual_sum_of_squares,
        degrees_of_freedom,
        recurrence,
    })
}

impl Polynomial {
    /// The value at `x` and its standard error, through the orthogonal polynomials: as sharp as the data allow wherever the
    /// monomials cancel.
    pub fn predict(&self, x: f64) -> (f64, f64) {
        let mut values = vec![0.0; self.len()];
        self.evaluate(&[x], &mut values);
        let value = values.iter().zip(&self.orthogonal).map(|(p, c)| p * c).sum();
        let variance: f64 = values.iter().zip(&self.orthogonal_errors).map(|(p, e)| (p * e).powi(2)).sum();
        (value, variance.sqrt())
    }
}

/// The orthogonal polynomials themselves: columns for other families, without the conditioning of monomials.
impl Basis for Polynomial {
    fn len(&self) -> usize {
        self.orthogonal.len()
    }
    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        let (mut before, mut now) = (0.0, 1.0);
        for (o, (a, b)) in out.iter_mut().zip(&self.recurrence) {
            *o = now;
            (before, now) = (now, (x[0] - a) * now - b * before);
        }
    }
    fn names(&self, variable: &str) -> Vec<String> {
        (0..self.len()).map(|k| format!("p{k}({variable})")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degree_ten_far_from_the_origin_has_all_digits() {
        // x from −9 in steps of about 3/40, rounded to 1/1024, y without any order: solved in rational arithmetic.
        let x: Vec<f64> = (0..82).map(|i| -9.0 + f64::from(i) * 0.075).map(|x| (x * 1024.0).round() / 1024.0).collect();
        let y: Vec<f64> = (0..82).map(|i| f64::from(i * i * 7919 % 1009) / 1024.0).collect();
        let fit = polynomial(&x, &y, None, 10).unwrap();
        for (j, (found, exact)) in fit.coefficients.iter().zip(EXACT).enumerate() {
            assert!((found / exact.0 - 1.0).abs() < 1e-15, "{j}: {found:e} {:e}", exact.0);
            assert!((fit.standard_errors[j] / exact.1 - 1.0).abs() < 1e-13, "{j}");
        }
        assert_eq!(fit.degrees_of_freedom, 71);
    }

    const EXACT: [(f64, f64); 11] = [
        (8381.811869781546, 10798.40708150812),
        (16206.862628395194, 20772.221686329813),
        (13792.363828041618, 17682.63369289682),
        (6805.899218894517, 8773.750374963247),
        (2157.8744554223044, 2810.862525980998),
        (459.67729261959096, 607.779011276432),
        (66.68179459154355, 89.86423604458905),
        (6.509618826742606, 8.975915741962785),
        (0.409625974942797, 0.5799255971766059),
        (0.015015744070144894, 0.021897204161668574),
        (0.00024368777161428906, 0.0003671330238156533),
    ];

    #[test]
    fn weights_are_repetitions_and_predictions_have_errors() {
        let (x, y) = ([0.0, 1.0, 2.0, 4.0], [1.0, 3.0, 2.0, 6.0]);
        let weighted = polynomial(&x, &y, Some(&[1.0, 2.0, 1.0, 1.0]), 1).unwrap();
        let twice = polynomial(&[0.0, 1.0, 1.0, 2.0, 4.0], &[1.0, 3.0, 3.0, 2.0, 6.0], None, 1).unwrap();
        assert!((weighted.coefficients[1] - twice.coefficients[1]).abs() < 1e-15);
        // A line has var(p(x)) = s² (1/n + (x − x̄)²/Sxx).
        let line = polynomial(&x, &y, None, 1).unwrap();
        let s2 = line.residual_sum_of_squares / 2.0;
        let exact = (s2 * (0.25 + (3.0f64 - 1.75).powi(2) / 8.75)).sqrt();
        assert!((line.predict(3.0).1 - exact).abs() < 1e-14);
        assert!((line.predict(3.0).0 - line.coefficients[0] - 3.0 * line.coefficients[1]).abs() < 1e-14);
    }

    #[test]
    fn degrees_that_the_points_do_not_determine_are_refused() {
        let x = [1.0, 1.0, 2.0];
        assert!(polynomial(&x, &[1.0, 2.0, 3.0], None, 1).is_ok());
        assert!(matches!(polynomial(&x, &[1.0, 2.0, 3.0], None, 2), Err(Error::Config { .. })));
        assert!(matches!(polynomial(&[1.0, 1e8], &[1.0, 2.0], None, 2), Err(Error::Config { .. })));
        assert!(matches!(polynomial(&x, &[1.0], None, 0), Err(Error::Dimension { .. })));
        assert!(polynomial(&x, &[1.0, 2.0, f64::NAN], None, 0).is_err());
        assert!(polynomial(&x, &[1.0, 2.0, 3.0], Some(&[1.0, -1.0, 1.0]), 0).is_err());
    }
}
