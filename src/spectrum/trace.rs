//! Trace and Frobenius norm from random probes.
//!
//! Hutchinson (1990): `tr B ≈ m⁻¹ Σ zᵀBz` with random signs `z`, of variance `2 (‖B‖_F² − Σ b_ii²)/m`. Hutch++ (Meyer, Musco,
//! Musco & Woodruff 2021, Algorithm 1) takes the trace on a sketched range exactly and probes the rest. XTrace (Epperly, Tropp
//! & Webber 2024) lets every probe serve both purposes: probe `i` is judged against the range of the others.
//!
//! Where the products asked for would do for all unit vectors, these are taken: `n` products, no error.

use super::leave_one_out::{LeaveOneOut, Range};
use super::{Estimate, check, for_columns, normals, probes, product, products, signs};
use crate::error::Result;
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::{dot, norm};

fn exact_trace(operator: &dyn SymmetricOperator) -> Result<Estimate> {
    let mut trace = 0.0;
    for_columns(operator, |j, column| trace += column[j])?;
    Ok(Estimate::exact(trace, operator.dim()))
}

/// `tr B` as the mean of `zᵀBz` over `n_products` vectors of random signs.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for fewer than two products (there is no error bar); errors of products.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::Diagonal;
/// use curvkit::spectrum::hutchinson_trace;
/// // Of a diagonal matrix every probe gives the exact trace.
/// let trace = hutchinson_trace(&Diagonal(vec![0.5; 100]), 2, 0)?;
/// assert_eq!((trace.value, trace.error, trace.products), (50.0, 0.0, 2));
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn hutchinson_trace(operator: &dyn SymmetricOperator, n_products: usize, seed: u64) -> Result<Estimate> {
    check(operator, "products", "at least 2", n_products, 2)?;
    let n = operator.dim();
    if n_products >= n {
        return exact_trace(operator);
    }
    let (mut z, mut bz) = (vec![0.0; n], vec![0.0; n]);
    let mut samples = Vec::with_capacity(n_products);
    for i in 0..n_products {
        signs(seed, i, &mut z);
        product(operator, &z, &mut bz)?;
        samples.push(dot(&z, &bz));
    }
    Ok(Estimate::of(&samples, n_products))
}

/// `tr B` by Hutch++: a third of the products sketch the range, a third give the trace on it, a third probe the rest.
/// Unbiased; for positive semidefinite matrices the error falls like `1/products` instead of its square root.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for fewer than six products; errors of products.
pub fn hutch_plus_plus(operator: &dyn SymmetricOperator, n_products: usize, seed: u64) -> Result<Estimate> {
    check(operator, "products", "at least 6", n_products, 6)?;
    let (n, k) = (operator.dim(), n_products / 3);
    if n_products >= n {
        return exact_trace(operator);
    }
    let range = Range::of(n, &products(operator, &probes(n, k, |i, v| signs(seed, i, v)))?);
    let q = range.basis();
    let image = products(operator, q)?;
    let on_range: f64 = q.chunks_exact(n).zip(image.chunks_exact(n)).map(|(q, z)| dot(q, z)).sum();
    let (mut z, mut bz) = (vec![0.0; n], vec![0.0; n]);
    let mut samples = Vec::with_capacity(k);
    for i in 0..k {
        signs(seed, k + i, &mut z);
        range.project_out(&mut z);
        product(operator, &z, &mut bz)?;
        samples.push(dot(&z, &bz));
    }
    let rest = Estimate::of(&samples, 2 * k + range.rank());
    Ok(Estimate { value: on_range + rest.value, ..rest })
}

/// `tr B` by XTrace with `n_products / 2` probes, their components outside the others' range scaled to the expected
/// length. Unbiased; exact for matrices of rank below the number of probes.
///
/// The samples `tᵢ` are not independent: `tᵢ` and `tⱼ` share what depends on both probes. Beside the spread of the samples the
/// error therefore holds an estimate of their covariance, from the changes of `tᵢ` when probe `j` is left out as well and of
/// `tⱼ` when `i` is. Without it, the published error bar is too short by up to `√2` and more.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for fewer than four products; errors of products.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::Diagonal;
/// use curvkit::spectrum::xtrace;
/// let decaying = Diagonal((1..=200).map(|i| 0.7f64.powi(i)).collect());
/// let exact = (0.7 - 0.7f64.powi(201)) / 0.3;
/// let trace = xtrace(&decaying, 80, 0)?;
/// assert!((trace.value - exact).abs() < 1e-5 && trace.error < 1e-5);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn xtrace(operator: &dyn SymmetricOperator, n_products: usize, seed: u64) -> Result<Estimate> {
    check(operator, "products", "at least 4", n_products, 4)?;
    if n_products >= operator.dim() {
        return exact_trace(operator);
    }
    let parts = LeaveOneOut::new(operator, n_products / 2, |i, v| normals(seed, i, v))?;
    let samples = Samples::new(&parts);
    let values: Vec<f64> = samples.all.iter().map(|sample| sample.value).collect();
    let independent = Estimate::of(&values, parts.k + parts.range.rank());
    Ok(Estimate { error: independent.error.hypot(samples.shared_error()), ..independent })
}

/// The samples of XTrace, with what is needed to leave out a second probe.
struct Samples<'a> {
    parts: &'a LeaveOneOut,
    trace: f64,
    /// `H sᵢ`, `H = QᵀBQ`; empty where there is no `sᵢ`.
    images: Vec<Vec<f64>>,
    all: Vec<Sample>,
}

struct Sample {
    value: f64,
    /// `sᵢᵀHsᵢ`.
    left_out: f64,
    /// `‖v‖²` and `vᵀBv` of `v = (I − QᵢQᵢᵀ) ωᵢ`.
    square: f64,
    form: f64,
    /// `QᵀBv` and `Qᵀωᵢ`.
    cross: Vec<f64>,
    along: Vec<f64>,
}

impl<'a> Samples<'a> {
    fn new(parts: &'a LeaveOneOut) -> Self {
        let (n, q) = (parts.probe(0).len(), parts.range.basis());
        let coordinates = |v: &[f64]| q.chunks_exact(n).map(|q| dot(q, v)).collect::<Vec<f64>>();
        let h: Vec<Vec<f64>> = parts.image.chunks_exact(n).map(coordinates).collect();
        let trace = h.iter().enumerate().map(|(j, column)| column[j]).sum();
        let apply = |s: &[f64]| h.iter().map(|row| dot(row, s)).collect::<Vec<f64>>();
        let images = (0..parts.k).map(|i| parts.direction(i).map_or(Vec::new(), apply)).collect();
        let mut samples = Self { parts, trace, images, all: Vec::new() };
        for i in 0..parts.k {
            let left_out = parts.direction(i).map_or(0.0, |s| dot(s, &samples.images[i]));
            let (v, bv) = parts.outside(i);
            let (square, form, cross) = (dot(&v, &v), dot(&v, &bv), coordinates(&bv));
            let dimension = n - parts.range.rank() + usize::from(parts.direction(i).is_some());
            let value = samples.value(left_out, dimension, square, form);
            samples.all.push(Sample { value, left_out, square, form, cross, along: coordinates(parts.probe(i)) });
        }
        samples
    }

    /// The trace on a range, and that outside of it as one probe sees it.
    fn value(&self, left_out: f64, dimension: usize, square: f64, form: f64) -> f64 {
        self.trace - left_out + if square > 0.0 { dimension as f64 * (form / square) } else { 0.0 }
    }

    /// `tᵢ` minus the same without probe `j`.
    fn change(&self, i: usize, j: usize) -> f64 {
        let Some((a, b)) = self.parts.beyond(i, j) else {
            return 0.0;
        };
        let combine = |own: &[f64], other: &[f64]| match own {
            [] => other.iter().map(|o| a * o).collect::<Vec<f64>>(),
            _ => own.iter().zip(other).map(|(s, o)| a * o + b * s).collect(),
        };
        let s = |i: usize| self.parts.direction(i).unwrap_or_default();
        let (u, hu) = (combine(s(i), s(j)), combine(&self.images[i], &self.images[j]));
        let sample = &self.all[i];
        // v grows by Qu (uᵀQᵀωᵢ).
        let (beta, curvature) = (dot(&u, &sample.along), dot(&u, &hu));
        let form = sample.form + beta * (2.0 * dot(&u, &sample.cross) + beta * curvature);
        let dimension = self.parts.probe(i).len() - self.parts.range.rank() + 1 + usize::from(!s(i).is_empty());
        sample.value - self.value(sample.left_out + curvature, dimension, sample.square + beta * beta, form)
    }

    /// The root of the mean of `(tᵢ − tᵢ without j)(tⱼ − tⱼ without i)` over the pairs; zero if that is negative.
    fn shared_error(&self) -> f64 {
        let k = self.parts.k;
        let pairs = (1..k).flat_map(|i| (0..i).map(move |j| (i, j)));
        let changes: Vec<(f64, f64)> = pairs.map(|(i, j)| (self.change(i, j), self.change(j, i))).collect();
        let size = changes.iter().fold(0.0f64, |m, (a, b)| m.max(a.abs()).max(b.abs()));
        if size == 0.0 {
            return 0.0;
        }
        let mean = changes.iter().map(|(a, b)| (a / size) * (b / size)).sum::<f64>() / changes.len() as f64;
        size * mean.max(0.0).sqrt()
    }
}

/// `‖B‖_F` from the mean of `‖Bz‖²` over `n_products` vectors of random signs.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for fewer than two products; errors of products.
pub fn frobenius_norm(operator: &dyn SymmetricOperator, n_products: usize, seed: u64) -> Result<Estimate> {
    check(operator, "products", "at least 2", n_products, 2)?;
    let n = operator.dim();
    if n_products >= n {
        let mut lengths = Vec::with_capacity(n);
        for_columns(operator, |_, column| lengths.push(norm(column)))?;
        return Ok(Estimate::exact(norm(&lengths), n));
    }
    let (mut z, mut bz) = (vec![0.0; n], vec![0.0; n]);
    let mut lengths = Vec::with_capacity(n_products);
    for i in 0..n_products {
        signs(seed, i, &mut z);
        product(operator, &z, &mut bz)?;
        lengths.push(norm(&bz));
    }
    let size = lengths.iter().fold(0.0f64, |m, v| m.max(*v));
    if size == 0.0 {
        return Ok(Estimate::exact(0.0, n_products));
    }
    let squares: Vec<f64> = lengths.iter().map(|v| (v / size) * (v / size)).collect();
    let mean = Estimate::of(&squares, n_products);
    // √ has the slope 1/(2√).
    let value = mean.value.sqrt();
    Ok(Estimate { value: size * value, error: size * mean.error / (2.0 * value), products: mean.products })
}

/// XTrace's sample `i` from its definition, without the probes `left_out`.
#[cfg(test)]
fn naive_sample(operator: &dyn SymmetricOperator, omega: &[f64], i: usize, left_out: &[usize]) -> f64 {
    let n = operator.dim();
    let probes = omega.chunks_exact(n).enumerate().filter(|(j, _)| *j != i && !left_out.contains(j));
    let others: Vec<f64> = probes.flat_map(|(_, w)| w.iter().copied()).collect();
    let range = Range::of(n, &products(operator, &others).unwrap());
    let image = products(operator, range.basis()).unwrap();
    let trace: f64 = range.basis().chunks_exact(n).zip(image.chunks_exact(n)).map(|(q, z)| dot(q, z)).sum();
    let mut v = omega[i * n..(i + 1) * n].to_vec();
    range.project_out(&mut v);
    let mut bv = vec![0.0; n];
    operator.apply(&v, &mut bv).unwrap();
    trace + (n - range.rank()) as f64 / dot(&v, &v) * dot(&v, &bv)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{random_matrix, with_spectrum};
    use super::*;
    use crate::error::Error;
    use crate::linalg::operator::{ClosedForm, DenseMatrix, Diagonal, ScaledIdentity};

    type Estimator = fn(&dyn SymmetricOperator, usize, u64) -> Result<Estimate>;
    const ESTIMATORS: [(&str, Estimator); 3] =
        [("hutchinson", hutchinson_trace), ("hutch++", hutch_plus_plus), ("xtrace", xtrace)];

    #[test]
    fn xtrace_equals_the_naive_leave_one_out_form() {
        let decaying: Vec<f64> = (0..60).map(|i| 0.75f64.powi(i)).collect();
        let indefinite: Vec<f64> = (0..60).map(|i| (i as f64 * 1.7).sin() * 3.0).collect();
        for values in [decaying, indefinite] {
            let matrix = with_spectrum(&values, 5);
            for (k, seed) in [(2, 1), (7, 2), (20, 3)] {
                let omega = probes(60, k, |i, v| normals(seed, i, v));
                let samples: Vec<f64> = (0..k).map(|i| naive_sample(&matrix, &omega, i, &[])).collect();
                let mut naive = Estimate::of(&samples, 2 * k);
                let change = |i: usize, j: usize| samples[i] - naive_sample(&matrix, &omega, i, &[j]);
                let pairs = (0..k * k).map(|p| (p % k, p / k)).filter(|(i, j)| i < j);
                let covariance = pairs.map(|(i, j)| change(i, j) * change(j, i)).sum::<f64>() / (k * (k - 1) / 2) as f64;
                naive.error = naive.error.hypot(covariance.max(0.0).sqrt());
                let fast = xtrace(&matrix, 2 * k, seed).unwrap();
                let size = matrix.frobenius_norm();
                assert!((naive.value - fast.value).abs() <= 1e-11 * size, "{k}: {naive:?} {fast:?}");
                assert!((naive.error - fast.error).abs() <= 1e-11 * size, "{k}: {naive:?} {fast:?}");
                assert_eq!(fast.products, 2 * k as u64);
            }
        }
    }

    #[test]
    fn traces_lie_within_their_error_bars_as_often_as_stated() {
        let values: Vec<f64> = (1..=150).map(|i| 10.0 / (i as f64).powf(1.2)).collect();
        let (psd, exact) = (with_spectrum(&values, 3), values.iter().sum::<f64>());
        let mixed = random_matrix(150, 8);
        for (name, estimator) in ESTIMATORS {
            for (matrix, exact) in [(&psd, exact), (&mixed, mixed.trace())] {
                let (runs, mut misses, mut squares, mut bars) = (200, 0, 0.0, 0.0);
                for seed in 0..runs {
                    let found = estimator(matrix, 60, seed).unwrap();
                    // t quantiles at 95%: 2.09 for the 20 samples of Hutch++, 2.05 for 30, 2.00 for 60.
                    misses += usize::from((found.value - exact).abs() > 2.09 * found.error);
                    squares += (found.value - exact).powi(2);
                    bars += found.error.powi(2);
                }
                // 5% of 200 are 10 ± 3.1; six deviations below, and above also room for the tails of small samples.
                assert!((1..=28).contains(&misses), "{name}: {misses} misses");
                let ratio = (squares / bars).sqrt();
                assert!((0.8..1.3).contains(&ratio), "{name}: true error is {ratio} times the stated one");
            }
        }
    }

    #[test]
    fn better_estimators_are_better_on_decaying_spectra() {
        let values: Vec<f64> = (1..=300).map(|i| (i as f64).powi(-2)).collect();
        let (matrix, exact) = (with_spectrum(&values, 9), values.iter().sum::<f64>());
        let error = |estimator: Estimator| {
            let squares = (0..40).map(|seed| (estimator(&matrix, 60, seed).unwrap().value - exact).powi(2));
            (squares.sum::<f64>() / 40.0).sqrt()
        };
        let [plain, plus, x] = ESTIMATORS.map(|(_, estimator)| error(estimator));
        assert!(plus < 0.02 * plain && x < plus, "{plain} {plus} {x}");
    }

    #[test]
    fn trace_of_low_rank_matrix_is_exact_by_xtrace_and_hutch_plus_plus() {
        let mut values = vec![0.0; 80];
        values[..4].copy_from_slice(&[5.0, -2.0, 1.0, 1e-3]);
        let matrix = with_spectrum(&values, 4);
        for estimator in [xtrace, hutch_plus_plus] {
            let found = estimator(&matrix, 30, 6).unwrap();
            assert!((found.value - 4.001).abs() < 1e-12 && found.error < 1e-12, "{found:?}");
        }
        // Products with the basis of the range only: rank 4.
        assert_eq!(xtrace(&matrix, 30, 6).unwrap().products, 19);
    }

    #[test]
    fn estimators_take_unit_vectors_where_these_are_cheaper() {
        let matrix = random_matrix(12, 1);
        for (_, estimator) in ESTIMATORS {
            let found = estimator(&matrix, 12, 0).unwrap();
            assert!((found.value - matrix.trace()).abs() < 1e-13 && found.error == 0.0 && found.products == 12);
        }
        let found = frobenius_norm(&matrix, 50, 0).unwrap();
        assert!((found.value / matrix.frobenius_norm() - 1.0).abs() < 1e-14 && found.error == 0.0);
        assert_eq!(xtrace(&Diagonal(vec![-3.5]), 4, 0).unwrap().value, -3.5);
    }

    #[test]
    fn estimates_scale_with_the_matrix_at_every_size() {
        let matrix = random_matrix(40, 2);
        for factor in [1e-200, 1e-3, 1e200] {
            let entries = matrix.entries().iter().map(|v| v * factor).collect();
            let scaled = DenseMatrix::new(40, entries).unwrap();
            for (name, estimator) in ESTIMATORS.into_iter().chain([("norm", frobenius_norm as Estimator)]) {
                let (one, other) = (estimator(&matrix, 20, 3).unwrap(), estimator(&scaled, 20, 3).unwrap());
                assert!((other.value / factor / one.value - 1.0).abs() < 1e-10, "{name} {factor}: {one:?} {other:?}");
                assert!((other.error / factor / one.error - 1.0).abs() < 1e-10, "{name} {factor}: {one:?} {other:?}");
            }
        }
    }

    #[test]
    fn zero_and_identity_are_exact_and_bad_input_is_refused() {
        for (name, estimator) in ESTIMATORS {
            let zero = estimator(&ScaledIdentity { n: 50, c: 0.0 }, 12, 0).unwrap();
            assert!(zero.value == 0.0 && zero.error == 0.0, "{name}: {zero:?}");
            // Hutch++ projects its signs, whose lengths then vary.
            let (one, slack) =
                (estimator(&ScaledIdentity { n: 50, c: 2.0 }, 12, 0).unwrap(), f64::from(u8::from(name == "hutch++")));
            assert!((one.value - 100.0).abs() < 1e-12 + 4.0 * slack * one.error, "{name}: {one:?}");
            assert!(one.error < 1e-12 + 2.0 * slack, "{name}: {one:?}");
            let few = estimator(&ScaledIdentity { n: 50, c: 1.0 }, 1, 0);
            assert!(matches!(few, Err(Error::Config { .. })));
            assert!(matches!(estimator(&Diagonal(vec![]), 12, 0), Err(Error::Config { .. })));
            let mut entries = vec![1.0; 50];
            entries[3] = f64::NAN;
            assert!(matches!(estimator(&Diagonal(entries), 12, 0), Err(Error::NonFinite { .. })));
        }
        assert!(matches!(frobenius_norm(&ScaledIdentity { n: 5, c: 1.0 }, 0, 0), Err(Error::Config { .. })));
        assert_eq!(frobenius_norm(&ScaledIdentity { n: 50, c: 0.0 }, 4, 0).unwrap().value, 0.0);
    }
}
