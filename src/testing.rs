//! Contract checks for parts of this crate and for parts a user writes: each returns the worst relative violation it
//! measured, or a sentence saying which condition is violated.
//!
//! A verdict needs dense eigenvalues of the matrix (`n³` operations, from `nalgebra`, which no solver here uses).

use crate::linalg::SymmetricOperator;
use crate::linalg::operator::write_dense;
use crate::linalg::vector::{norm, norm_inf};

/// The worst relative violation, or what is violated.
pub type Verdict = std::result::Result<f64, String>;

/// Checks that `s` with multiplier `lambda` solves `min gᵀs + ½sᵀBs` over `‖s‖ ≤ radius` globally.
///
/// The conditions (Moré & Sorensen 1983, Lemmas 2.1 and 2.3), each relative to `tolerance`:
/// `‖(B + λI)s + g‖ ≤ tol (‖B‖‖s‖ + ‖g‖)`, `‖s‖ ≤ Δ(1 + tol)`, `|‖s‖ − Δ| ≤ tol Δ` if `λ > 0`, `λ ≥ 0` and
/// `λ ≥ −λ₁ − tol ‖B‖`, with the spectral norm of `B`. Right at every scale that `f64` can hold.
///
/// # Errors
/// A sentence with the first violated condition and its value.
pub fn assert_trust_region_kkt(
    operator: &dyn SymmetricOperator,
    gradient: &[f64],
    radius: f64,
    s: &[f64],
    lambda: f64,
    tolerance: f64,
) -> Verdict {
    let spectrum = Spectrum::of(operator)?;
    let mut worst = stationarity(operator, &spectrum, gradient, s, lambda, tolerance)?;
    let ratio = norm(s) / radius;
    worst = worst.max(hold("feasibility: (‖s‖ − Δ)/Δ", (ratio - 1.0).max(0.0), tolerance)?);
    if lambda > 0.0 {
        worst = worst.max(hold("complementarity: |‖s‖ − Δ|/Δ", (ratio - 1.0).abs(), tolerance)?);
    }
    Ok(worst)
}

/// Checks that `s` with multiplier `lambda` minimizes `gᵀs + ½sᵀBs + (σ/3)‖s‖³` globally: the residual and the
/// definiteness of [`assert_trust_region_kkt`] and `|λ − σ‖s‖| ≤ tol λ` (Nesterov & Polyak 2006, Theorem 10).
///
/// # Errors
/// A sentence with the first violated condition and its value.
pub fn assert_cubic_kkt(
    operator: &dyn SymmetricOperator,
    gradient: &[f64],
    sigma: f64,
    s: &[f64],
    lambda: f64,
    tolerance: f64,
) -> Verdict {
    let spectrum = Spectrum::of(operator)?;
    let worst = stationarity(operator, &spectrum, gradient, s, lambda, tolerance)?;
    // Where the product or the step underflow, an absolute error of some smallest numbers is all that can be asked for.
    let product = sigma * norm(s);
    let gap = (lambda - product).abs();
    let quantum = 2.0 * f64::MIN_POSITIVE + sigma * f64::from_bits(1) * s.len() as f64;
    let relative = if gap <= quantum { 0.0 } else { gap / lambda.max(product) };
    Ok(worst.max(hold("multiplier: |λ − σ‖s‖|/λ", relative, tolerance)?))
}

/// Extreme eigenvalues in units of `2^exponent`.
struct Spectrum {
    exponent: i32,
    lowest: f64,
    norm: f64,
}

impl Spectrum {
    fn of(operator: &dyn SymmetricOperator) -> std::result::Result<Self, String> {
        let n = operator.dim();
        let mut entries = vec![0.0; n * n];
        write_dense(operator, &mut entries).map_err(|e| e.to_string())?;
        let exponent = exponent(norm_inf(&entries));
        entries.iter_mut().for_each(|v| *v = times_power(*v, -exponent));
        let values = nalgebra::DMatrix::from_vec(n, n, entries).symmetric_eigenvalues();
        let lowest = values.iter().fold(f64::INFINITY, |m, v| m.min(*v));
        Ok(Self { exponent, lowest, norm: values.iter().fold(0.0f64, |m, v| m.max(v.abs())) })
    }
}

/// `λ ≥ max(0, −λ₁)` and the residual of `(B + λI)s = −g`.
fn stationarity(
    operator: &dyn SymmetricOperator,
    spectrum: &Spectrum,
    gradient: &[f64],
    s: &[f64],
    lambda: f64,
    tolerance: f64,
) -> Verdict {
    if !(lambda >= 0.0 && lambda.is_finite()) {
        return Err(format!("the multiplier {lambda:e} is negative or not finite"));
    }
    if !s.iter().all(|v| v.is_finite()) {
        return Err("the step is not finite".into());
    }
    let scaled = times_power(lambda, -spectrum.exponent);
    let missing = (-spectrum.lowest - scaled).max(0.0);
    let definite = if missing == 0.0 { 0.0 } else { missing / spectrum.norm };
    hold("definiteness: (−λ₁ − λ)/‖B‖", definite, tolerance)?;
    // Everything in units of 2^unit = max(‖B‖‖s‖, ‖g‖), so that neither products nor squares leave the range.
    let (e, f, l) = (exponent(norm_inf(s)), exponent(norm_inf(gradient)), exponent(lambda));
    let step: Vec<f64> = s.iter().map(|v| times_power(*v, -e)).collect();
    let mut product = vec![0.0; s.len()];
    operator.apply(&step, &mut product).map_err(|e| e.to_string())?;
    let zero = |v: &[f64]| v.iter().all(|x| *x == 0.0);
    let mut unit = i32::MIN;
    if !zero(s) && spectrum.norm > 0.0 {
        unit = unit.max(spectrum.exponent + e);
    }
    if !zero(gradient) {
        unit = unit.max(f);
    }
    if unit == i32::MIN {
        return Ok(definite);
    }
    let multiplier = times_power(lambda, -l);
    let residual: Vec<f64> = (0..s.len())
        .map(|i| {
            let curved = times_power(times_power(product[i], -spectrum.exponent), spectrum.exponent + e - unit);
            curved + times_power(multiplier * step[i], l + e - unit) + times_power(times_power(gradient[i], -f), f - unit)
        })
        .collect();
    let gradient_norm = norm(&gradient.iter().map(|g| times_power(*g, -f)).collect::<Vec<_>>());
    let bound = times_power(spectrum.norm * norm(&step), spectrum.exponent + e - unit) + times_power(gradient_norm, f - unit);
    let relative = hold("residual: ‖(B + λI)s + g‖/(‖B‖‖s‖ + ‖g‖)", norm(&residual) / bound, tolerance)?;
    Ok(relative.max(definite))
}

fn hold(what: &str, value: f64, tolerance: f64) -> Verdict {
    if value <= tolerance { Ok(value) } else { Err(format!("{what} is {value:.3e}, above {tolerance:.1e}")) }
}

/// `⌊log₂ |x|⌋`; zero for zero.
fn exponent(x: f64) -> i32 {
    if x == 0.0 { 0 } else { x.abs().log2().floor() as i32 }
}

/// `x 2ᵉ` in three factors, each in range.
fn times_power(x: f64, e: i32) -> f64 {
    let e = e.clamp(-2400, 2400);
    let third = e / 3;
    x * 2f64.powi(third) * 2f64.powi(third) * 2f64.powi(e - 2 * third)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::Diagonal;

    #[test]
    fn trust_region_check_accepts_the_solution_and_names_each_violation() {
        let b = Diagonal(vec![-2.0, 1.0]);
        let g = [0.0, 1.0];
        let s = [(8.0f64 / 9.0).sqrt(), -1.0 / 3.0];
        assert!(assert_trust_region_kkt(&b, &g, 1.0, &s, 2.0, 1e-12).unwrap() < 1e-15);
        let fails = |s: &[f64], radius: f64, lambda: f64| assert_trust_region_kkt(&b, &g, radius, s, lambda, 1e-12).unwrap_err();
        assert!(fails(&s, 1.0, 1.9).contains("definiteness"));
        assert!(fails(&[s[0], 1.0 / 3.0], 1.0, 2.0).contains("residual"));
        assert!(fails(&s, 0.9, 2.0).contains("feasibility"));
        assert!(fails(&s, 1.1, 2.0).contains("complementarity"));
        assert!(fails(&s, 1.0, f64::NAN).contains("multiplier"));
        assert!(fails(&[f64::NAN, 0.0], 1.0, 2.0).contains("finite"));
    }

    #[test]
    fn cubic_check_accepts_the_solution_and_names_a_wrong_multiplier() {
        // w = 1, γ = 2, σ = 1: λ(λ + 1) = 2, λ = 1, s = −1.
        let b = Diagonal(vec![1.0]);
        assert!(assert_cubic_kkt(&b, &[2.0], 1.0, &[-1.0], 1.0, 1e-12).unwrap() < 1e-15);
        assert!(assert_cubic_kkt(&b, &[2.0], 2.0, &[-1.0], 1.0, 1e-12).unwrap_err().contains("multiplier"));
    }

    #[test]
    fn checks_hold_at_scales_whose_products_overflow() {
        let b = Diagonal(vec![-1e150, 1e150]);
        // σ = 1e-150, g negligible: λ = 1e150, ‖s‖ = 1e300, and ‖B‖‖s‖ is beyond the range.
        assert!(assert_cubic_kkt(&b, &[0.0, 1.0], 1e-150, &[1e300, 0.0], 1e150, 1e-12).unwrap() < 1e-15);
        assert!(assert_cubic_kkt(&b, &[0.0, 1.0], 1e-150, &[1e300, 1e290], 1e150, 1e-12).is_err());
    }
}
