//! The models of NIST's 27 nonlinear regressions, generic over dual numbers; the data are in [`crate::dataset::nist`].
//!
//! A model predicts one observation; the residual is `rᵢ(b) = model(b, xᵢ) − yᵢ`, with `yᵢ` the data set's
//! [`target`](crate::dataset::nist::NistDataset::target) and `xᵢ` one of its rows. 27 names share 20 formulas.
//!
//! Powers are written with what they need: Horner's rule for polynomials, reciprocals and roots for fixed exponents, one
//! exponential of a logarithm where the exponent is a parameter. Where a logarithm is of a predictor alone it is a real one.
//!
//! # Reference
//! National Institute of Standards and Technology, *StRD: Nonlinear Least Squares Regression*.

use crate::dataset::nist::{self, NistDataset};
use crate::error::{Error, Result};
use crate::problem::{AutoResiduals, DualNum, DualResiduals};
use num_dual::Dual64;
use std::f64::consts::{FRAC_1_PI, PI, TAU};

/// A regression model over numbers of type `D`: `f64`, or duals for derivatives by the parameters.
#[derive(Debug, Clone, Copy)]
pub struct Model<D> {
    /// NIST's name of the data set.
    pub name: &'static str,
    /// Entries of `b`.
    pub n_parameters: usize,
    /// Entries of `x`.
    pub n_predictors: usize,
    /// `(b, x) ↦` the prediction of one observation; NaN if a length is wrong.
    pub predict: fn(&[D], &[f64]) -> D,
}

/// The 27 models.
pub fn models<D: DualNum<f64> + Copy>() -> [Model<D>; 27] {
    fn with<D>(name: &'static str, n_parameters: usize, predict: fn(&[D], &[f64]) -> D) -> Model<D> {
        Model { name, n_parameters, n_predictors: 1, predict }
    }
    [
        with("Misra1a", 2, saturation),
        with("Chwirut2", 3, chwirut),
        with("Chwirut1", 3, chwirut),
        with("Lanczos3", 6, three_exponentials),
        with("Gauss1", 8, two_gaussians),
        with("Gauss2", 8, two_gaussians),
        with("DanWood", 2, power),
        with("Misra1b", 2, misra1b),
        with("Kirby2", 5, quadratic_ratio),
        with("Hahn1", 7, cubic_ratio),
        Model { n_predictors: 2, ..with("Nelson", 3, nelson) },
        with("MGH17", 5, mgh17),
        with("Lanczos1", 6, three_exponentials),
        with("Lanczos2", 6, three_exponentials),
        with("Gauss3", 8, two_gaussians),
        with("Misra1c", 2, misra1c),
        with("Misra1d", 2, misra1d),
        with("Roszman1", 4, roszman),
        with("ENSO", 9, enso),
        with("MGH09", 4, mgh09),
        with("Thurber", 7, cubic_ratio),
        with("BoxBOD", 2, saturation),
        with("Rat42", 3, logistic),
        with("MGH10", 3, mgh10),
        with("Eckerle4", 3, eckerle),
        with("Rat43", 4, richards),
        with("Bennett5", 3, bennett),
    ]
}

/// The model of a data set.
///
/// # Errors
/// [`Error::Unknown`] with the nearest name.
///
/// # Example
/// ```
/// let model = curvkit::testbed::nist::model::<f64>("DanWood")?;
/// assert_eq!((model.predict)(&[0.5, 3.0], &[1.0]), 0.5);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn model<D: DualNum<f64> + Copy>(name: &str) -> Result<Model<D>> {
    let models = models::<D>();
    let known = models.iter().map(|model| model.name);
    models.iter().find(|model| model.name == name).copied().ok_or_else(|| Error::unknown("model", name, known))
}

/// Opens slices of parameters and predictors, or leaves with NaN.
macro_rules! open {
    ([$($b:ident),*] = $parameters:ident, [$($x:ident),*] = $predictors:ident) => {
        let (&[$($b),*], &[$($x),*]) = ($parameters, $predictors) else { return D::from(f64::NAN) };
    };
}

/// Misra1a, BoxBOD: `b₁ (1 − exp(−b₂x))`.
fn saturation<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2] = b, [x] = x);
    b1 * (-(b2 * -x).exp() + 1.0)
}

/// Misra1b: `b₁ (1 − (1 + b₂x/2)⁻²)`.
fn misra1b<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2] = b, [x] = x);
    let u = (b2 * (0.5 * x) + 1.0).recip();
    b1 * (-(u * u) + 1.0)
}

/// Misra1c: `b₁ (1 − (1 + 2b₂x)^−½)`.
fn misra1c<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2] = b, [x] = x);
    b1 * (-(b2 * (2.0 * x) + 1.0).sqrt().recip() + 1.0)
}

/// Misra1d: `b₁ b₂x / (1 + b₂x)`.
fn misra1d<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2] = b, [x] = x);
    let u = b2 * x;
    b1 * u / (u + 1.0)
}

/// Chwirut1, Chwirut2: `exp(−b₁x) / (b₂ + b₃x)`.
fn chwirut<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3] = b, [x] = x);
    (b1 * -x).exp() / (b2 + b3 * x)
}

/// Lanczos1, Lanczos2, Lanczos3: `b₁ exp(−b₂x) + b₃ exp(−b₄x) + b₅ exp(−b₆x)`.
fn three_exponentials<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4, b5, b6] = b, [x] = x);
    b1 * (b2 * -x).exp() + b3 * (b4 * -x).exp() + b5 * (b6 * -x).exp()
}

/// Gauss1, Gauss2, Gauss3: `b₁ exp(−b₂x) + b₃ exp(−(x − b₄)²/b₅²) + b₆ exp(−(x − b₇)²/b₈²)`.
fn two_gaussians<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4, b5, b6, b7, b8] = b, [x] = x);
    let (u, v) = ((b4 - x) / b5, (b7 - x) / b8);
    b1 * (b2 * -x).exp() + b3 * (-(u * u)).exp() + b6 * (-(v * v)).exp()
}

/// DanWood: `b₁ x^b₂`, `x > 0`.
fn power<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2] = b, [x] = x);
    b1 * (b2 * x.ln()).exp()
}

/// Kirby2: `(b₁ + b₂x + b₃x²) / (1 + b₄x + b₅x²)`.
fn quadratic_ratio<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4, b5] = b, [x] = x);
    ((b3 * x + b2) * x + b1) / ((b5 * x + b4) * x + 1.0)
}

/// Hahn1, Thurber: `(b₁ + b₂x + b₃x² + b₄x³) / (1 + b₅x + b₆x² + b₇x³)`.
fn cubic_ratio<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4, b5, b6, b7] = b, [x] = x);
    (((b4 * x + b3) * x + b2) * x + b1) / (((b7 * x + b6) * x + b5) * x + 1.0)
}

/// Nelson, for `ln y`: `b₁ − b₂x₁ exp(−b₃x₂)`.
fn nelson<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3] = b, [x1, x2] = x);
    b1 - b2 * x1 * (b3 * -x2).exp()
}

/// MGH17: `b₁ + b₂ exp(−b₄x) + b₃ exp(−b₅x)`.
fn mgh17<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4, b5] = b, [x] = x);
    b1 + b2 * (b4 * -x).exp() + b3 * (b5 * -x).exp()
}

/// Roszman1: `b₁ − b₂x − arctan(b₃/(x − b₄))/π`.
fn roszman<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4] = b, [x] = x);
    b1 - b2 * x - (b3 / (-b4 + x)).atan() * FRAC_1_PI
}

/// ENSO: `b₁` plus cycles of `12`, `b₄` and `b₇` months, `c cos(2πx/T) + s sin(2πx/T)`, `(c, s)` = `(b₂, b₃)`, `(b₅, b₆)`,
/// `(b₈, b₉)`.
fn enso<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4, b5, b6, b7, b8, b9] = b, [x] = x);
    let (sin, cos) = (x * (PI / 6.0)).sin_cos();
    let (sin4, cos4) = (b4.recip() * (TAU * x)).sin_cos();
    let (sin7, cos7) = (b7.recip() * (TAU * x)).sin_cos();
    b1 + b2 * cos + b3 * sin + b5 * cos4 + b6 * sin4 + b8 * cos7 + b9 * sin7
}

/// MGH09: `b₁ (x² + b₂x) / (x² + b₃x + b₄)`.
fn mgh09<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4] = b, [x] = x);
    b1 * ((b2 + x) * x) / ((b3 + x) * x + b4)
}

/// MGH10: `b₁ exp(b₂/(x + b₃))`.
fn mgh10<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3] = b, [x] = x);
    b1 * (b2 / (b3 + x)).exp()
}

/// Eckerle4: `(b₁/b₂) exp(−½ ((x − b₃)/b₂)²)`.
fn eckerle<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3] = b, [x] = x);
    let inverse = b2.recip();
    let u = (b3 - x) * inverse;
    b1 * inverse * (u * u * -0.5).exp()
}

/// Rat42: `b₁ / (1 + exp(b₂ − b₃x))`.
fn logistic<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3] = b, [x] = x);
    b1 / ((b2 - b3 * x).exp() + 1.0)
}

/// Rat43: `b₁ / (1 + exp(b₂ − b₃x))^(1/b₄)`.
fn richards<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3, b4] = b, [x] = x);
    b1 * (-(b2 - b3 * x).exp().ln_1p() / b4).exp()
}

/// Bennett5: `b₁ (b₂ + x)^(−1/b₃)`, NaN where `b₂ + x < 0`.
fn bennett<D: DualNum<f64> + Copy>(b: &[D], x: &[f64]) -> D {
    open!([b1, b2, b3] = b, [x] = x);
    b1 * (-(b2 + x).ln() / b3).exp()
}

/// A regression with its data: residuals with exact derivatives.
#[derive(Debug, Clone)]
pub struct Regression {
    data: NistDataset,
    target: Vec<f64>,
}

impl Regression {
    /// The data set and what is certified about it.
    pub fn data(&self) -> &NistDataset {
        &self.data
    }

    /// The prediction at one row of predictors, with its gradient by the parameters; NaN if a length is wrong.
    pub fn predict(&self, b: &[f64], x: &[f64]) -> (f64, Vec<f64>) {
        let Ok(model) = model::<Dual64>(&self.data.name) else { return (f64::NAN, Vec::new()) };
        let along = |j: usize| {
            let b: Vec<Dual64> = b.iter().enumerate().map(|(k, v)| Dual64::new(*v, f64::from(u8::from(j == k)))).collect();
            (model.predict)(&b, x)
        };
        (along(0).re, (0..b.len()).map(|j| along(j).eps).collect())
    }
}

/// One of the 27 regressions as [`Residuals`](crate::problem::Residuals).
///
/// # Errors
/// [`Error::Unknown`] with the nearest name.
pub fn regression(name: &str) -> Result<AutoResiduals<Regression>> {
    model::<f64>(name)?;
    let data = nist::load(name)?;
    let target = data.target();
    Ok(AutoResiduals(Regression { data, target }))
}

impl DualResiduals for Regression {
    fn n(&self) -> usize {
        self.data.n_parameters()
    }
    fn m(&self) -> usize {
        self.target.len()
    }
    fn visit<D: DualNum<f64> + Copy>(&self, b: &[D], each: &mut impl FnMut(D)) {
        let Ok(model) = model::<D>(&self.data.name) else { return };
        self.data.rows().zip(&self.target).for_each(|(x, y)| each((model.predict)(b, x) - *y));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::nist::{self, NistDataset};
    use nalgebra::{DMatrix, SVector};
    use num_dual::{Derivative, DualSVec64};
    use std::collections::BTreeSet;

    fn residuals(set: &NistDataset, b: &[f64]) -> Vec<f64> {
        let model = model::<f64>(&set.name).unwrap();
        set.rows().zip(set.target()).map(|(x, y)| (model.predict)(b, x) - y).collect()
    }

    fn jacobian(set: &NistDataset, b: &[f64]) -> DMatrix<f64> {
        let model = model::<DualSVec64<9>>(&set.name).unwrap();
        let tangent = |j| Derivative::some(SVector::from_fn(|i, _| f64::from(i == j)));
        let b: Vec<_> = b.iter().enumerate().map(|(j, v)| DualSVec64::<9>::new(*v, tangent(j))).collect();
        let mut jacobian = DMatrix::zeros(set.n_observations(), b.len());
        for (i, x) in set.rows().enumerate() {
            let tangents = (model.predict)(&b, x).eps.unwrap_generic(nalgebra::Const::<9>, nalgebra::U1);
            (0..b.len()).for_each(|j| jacobian[(i, j)] = tangents[j]);
        }
        jacobian
    }

    #[test]
    fn table_has_a_model_of_the_right_shape_for_every_data_set() {
        assert!(models::<f64>().iter().map(|model| model.name).eq(nist::names()));
        for model in models::<f64>() {
            let set = nist::load(model.name).unwrap();
            assert_eq!((set.n_parameters(), set.n_predictors()), (model.n_parameters, model.n_predictors), "{}", model.name);
            // The parameters that the printed model names: b1, b2, ….
            let after_b = set.model.split('b').skip(1);
            let named: BTreeSet<usize> = after_b.filter_map(|t| t.get(..1)?.parse().ok()).collect();
            assert!(named.iter().copied().eq(1..=model.n_parameters), "{}: {named:?}", model.name);
        }
    }

    #[test]
    fn sum_of_squares_at_the_certified_parameters_is_the_certified_one() {
        for name in nist::names() {
            let set = nist::load(name).unwrap();
            let sum: f64 = residuals(&set, &set.certified).iter().map(|r| r * r).sum();
            // Half a unit of the sum's 11th digit, and of the parameters': ‖Jδ‖², the gradient being zero.
            let half_unit = |v: f64| 0.5 * 10f64.powf(v.abs().log10().floor() - 10.0);
            let jacobian = jacobian(&set, &set.certified);
            let shift: f64 = set.certified.iter().zip(jacobian.column_iter()).map(|(b, c)| half_unit(*b) * c.norm()).sum();
            let bound = half_unit(set.residual_sum_of_squares) + shift * shift;
            let error = (sum - set.residual_sum_of_squares).abs();
            assert!(error <= bound, "{name}: {sum:e} instead of {:e}", set.residual_sum_of_squares);
            // Lanczos1's residuals, 1e-13, lie below the last printed digit of its parameters.
            let sharp = if name == "Lanczos1" { 1e-19 } else { 1e-9 * set.residual_sum_of_squares };
            assert!(bound <= sharp, "{name}: {bound:e}");
        }
    }

    #[test]
    fn standard_deviations_from_the_dual_jacobian_are_the_certified_ones() {
        for name in nist::names() {
            let set = nist::load(name).unwrap();
            let jacobian = jacobian(&set, &set.certified);
            // Unit columns, so that the parameters' units do not matter to the rounding: (JᵀJ)⁻¹ = D R⁻¹R⁻ᵀ D.
            let norms: Vec<f64> = jacobian.column_iter().map(|column| column.norm()).collect();
            let scaled = DMatrix::from_fn(jacobian.nrows(), jacobian.ncols(), |i, j| jacobian[(i, j)] / norms[j]);
            let inverse = scaled.qr().r().try_inverse().unwrap();
            let mut worst = 0.0f64;
            for (j, certified) in set.standard_deviations.iter().enumerate() {
                let deviation = set.residual_standard_deviation * inverse.row(j).norm() / norms[j];
                worst = worst.max((deviation / certified - 1.0).abs());
            }
            assert!(worst <= 1e-9, "{name}: {worst:e}");
        }
    }

    #[test]
    fn wrong_lengths_predict_nan() {
        for model in models::<f64>() {
            let (b, x) = ([1.0; 10], [1.0; 3]);
            let predict = |n: usize, k: usize| (model.predict)(&b[..n], &x[..k]);
            assert!(predict(model.n_parameters, model.n_predictors).is_finite(), "{}", model.name);
            assert!(predict(model.n_parameters + 1, model.n_predictors).is_nan());
            assert!(predict(model.n_parameters - 1, model.n_predictors).is_nan());
            assert!(predict(model.n_parameters, model.n_predictors + 1).is_nan());
            assert!(predict(0, 0).is_nan());
        }
    }

    #[test]
    fn unknown_model_is_answered_with_the_nearest() {
        let error = model::<f64>("Rat45").unwrap_err();
        assert_eq!(error.to_string(), "unknown model `Rat45`; did you mean `Rat42`?");
    }
}
