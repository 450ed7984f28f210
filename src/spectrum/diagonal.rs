//! The diagonal from random probes.
//!
//! Hutchinson: `diag B ≈ m⁻¹ Σ z ⊙ Bz` with random signs (Bekas, Kokiopoulou & Saad 2007). XDiag (Epperly, Tropp & Webber 2024)
//! takes the diagonal of `Qᵢ QᵢᵀB` exactly, on the range of all probes but the `i`-th, and what probe `i` says of
//! the rest.

use super::leave_one_out::LeaveOneOut;
use super::{check, for_columns, product, signs};
use crate::error::Result;
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::{axpy, dot, norm_inf};

/// An estimate of every diagonal entry.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DiagonalEstimate {
    /// The entries.
    pub values: Vec<f64>,
    /// Their standard errors, estimated from the spread of the probes; zero where exact, infinite for a single probe.
    pub errors: Vec<f64>,
    /// Products made.
    pub products: u64,
}

/// Running mean and sum of squared deviations of vectors (Welford 1962), in units of the first sample's largest entry.
struct Moments {
    count: f64,
    unit: f64,
    mean: Vec<f64>,
    spread: Vec<f64>,
}

impl Moments {
    fn new(n: usize) -> Self {
        Self { count: 0.0, unit: 0.0, mean: vec![0.0; n], spread: vec![0.0; n] }
    }

    fn add(&mut self, sample: &[f64]) {
        self.count += 1.0;
        if self.unit == 0.0 {
            self.unit = norm_inf(sample);
        }
        if self.unit == 0.0 {
            return;
        }
        for ((mean, spread), v) in self.mean.iter_mut().zip(&mut self.spread).zip(sample) {
            let v = v / self.unit;
            let change = v - *mean;
            *mean += change / self.count;
            *spread += change * (v - *mean);
        }
    }

    /// Mean and standard error, for samples that share the `covariance` (in squared units).
    fn finish(self, products: usize, covariance: &[f64]) -> DiagonalEstimate {
        let Self { count, unit, mean, spread } = self;
        if count < 2.0 {
            let values: Vec<f64> = mean.iter().map(|v| v * unit).collect();
            return DiagonalEstimate { errors: vec![f64::INFINITY; values.len()], values, products: products as u64 };
        }
        let error = |(s, c): (&f64, &f64)| unit * (s / (count - 1.0) / count + c.max(0.0)).sqrt();
        let errors = spread.iter().zip(covariance).map(error).collect();
        DiagonalEstimate { values: mean.iter().map(|v| v * unit).collect(), errors, products: products as u64 }
    }
}

fn exact(operator: &dyn SymmetricOperator) -> Result<DiagonalEstimate> {
    let n = operator.dim();
    let mut values = vec![0.0; n];
    for_columns(operator, |j, column| values[j] = column[j])?;
    Ok(DiagonalEstimate { values, errors: vec![0.0; n], products: n as u64 })
}

/// `diag B` as the mean of `z ⊙ Bz` over `n_products` vectors of random signs; by unit vectors where these are no more.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for no products; errors of products.
pub fn hutchinson_diagonal(operator: &dyn SymmetricOperator, n_products: usize, seed: u64) -> Result<DiagonalEstimate> {
    check(operator, "products", "at least 1", n_products, 1)?;
    let n = operator.dim();
    if n_products >= n {
        return exact(operator);
    }
    let (mut z, mut bz) = (vec![0.0; n], vec![0.0; n]);
    let mut moments = Moments::new(n);
    for i in 0..n_products {
        signs(seed, i, &mut z);
        product(operator, &z, &mut bz)?;
        bz.iter_mut().zip(&z).for_each(|(b, z)| *b *= z);
        moments.add(&bz);
    }
    Ok(moments.finish(n_products, &vec![0.0; n]))
}

/// `diag B` by XDiag with `n_products / 2` vectors of random signs; by unit vectors where these are no more.
/// Unbiased; exact for matrices whose range the probes span without one of them.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) for fewer than four products; errors of products.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::DenseMatrix;
/// use curvkit::spectrum::xdiag;
/// // The rank-one matrix uuᵀ.
/// let u: Vec<f64> = (0..50).map(|i| (i as f64).cos()).collect();
/// let matrix = DenseMatrix::new(50, u.iter().flat_map(|a| u.iter().map(move |b| a * b)).collect())?;
/// let found = xdiag(&matrix, 8, 0)?;
/// assert!(found.values.iter().zip(&u).all(|(d, u)| (d - u * u).abs() < 1e-12));
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn xdiag(operator: &dyn SymmetricOperator, n_products: usize, seed: u64) -> Result<DiagonalEstimate> {
    check(operator, "products", "at least 4", n_products, 4)?;
    let n = operator.dim();
    if n_products >= n {
        return exact(operator);
    }
    let parts = LeaveOneOut::new(operator, n_products / 2, |i, v| signs(seed, i, v))?;
    // diag(QQᵀB), with QᵀB = (BQ)ᵀ.
    let mut on_range = vec![0.0; n];
    for (q, z) in parts.range.basis().chunks_exact(n).zip(parts.image.chunks_exact(n)) {
        on_range.iter_mut().zip(q).zip(z).for_each(|((d, q), z)| *d += q * z);
    }
    let turned: Vec<Turned> = (0..parts.k).map(|i| Turned::new(&parts, i)).collect();
    let mut moments = Moments::new(n);
    for (i, turned) in turned.iter().enumerate() {
        let mut sample = parts.sketch_outside(i);
        // The probes are signs: dividing by ω² is no change.
        sample.iter_mut().zip(parts.probe(i)).zip(&on_range).for_each(|((d, w), r)| *d = *d * w + r);
        sample.iter_mut().zip(&turned.qs).zip(&turned.bqs).for_each(|((d, q), z)| *d -= q * z);
        moments.add(&sample);
    }
    let covariance = covariance(&parts, &turned, moments.unit);
    Ok(moments.finish(parts.k + parts.range.rank(), &covariance))
}

/// `Q sᵢ`, `BQ sᵢ` and `Qᵀ B ωᵢ`; the first two empty where there is no `sᵢ`.
struct Turned {
    qs: Vec<f64>,
    bqs: Vec<f64>,
    sketch: Vec<f64>,
}

impl Turned {
    fn new(parts: &LeaveOneOut, i: usize) -> Self {
        let n = parts.probe(i).len();
        let combine = |columns: &[f64]| {
            parts.direction(i).map_or(Vec::new(), |s| {
                let mut sum = vec![0.0; n];
                columns.chunks_exact(n).zip(s).for_each(|(column, s)| axpy(*s, column, &mut sum));
                sum
            })
        };
        let sketch = parts.range.coordinates(i).to_vec();
        Self { qs: combine(parts.range.basis()), bqs: combine(&parts.image), sketch }
    }
}

/// Mean over the pairs of the product of the changes of sample `i` without probe `j` and of sample `j` without `i`, in
/// squared units (as for [`xtrace`](super::xtrace)).
fn covariance(parts: &LeaveOneOut, turned: &[Turned], unit: f64) -> Vec<f64> {
    let (n, k) = (parts.probe(0).len(), parts.k);
    let mut sum = vec![0.0; n];
    // What j adds to the range, u: Qu ⊙ BQu enters the exact part, ω ⊙ Qu (uᵀQᵀBω) leaves the rest.
    let change = |i: usize, j: usize| -> Option<Vec<f64>> {
        let (a, b) = parts.beyond(i, j)?;
        let s = |i: usize| parts.direction(i).unwrap_or_default();
        let along = a * dot(s(j), &turned[i].sketch) + b * dot(s(i), &turned[i].sketch);
        let own = |values: &[f64], l: usize| values.get(l).map_or(0.0, |v| b * v);
        let at = |(l, w): (usize, &f64)| {
            let qu = a * turned[j].qs[l] + own(&turned[i].qs, l);
            let bqu = a * turned[j].bqs[l] + own(&turned[i].bqs, l);
            qu * (bqu - w * along) / unit
        };
        Some(parts.probe(i).iter().enumerate().map(at).collect())
    };
    for i in 1..k {
        for j in 0..i {
            if let (Some(one), Some(other)) = (change(i, j), change(j, i)) {
                sum.iter_mut().zip(&one).zip(&other).for_each(|((s, a), b)| *s += a * b);
            }
        }
    }
    let pairs = (k * (k - 1) / 2) as f64;
    sum.iter_mut().for_each(|s| *s /= pairs);
    sum
}

#[cfg(test)]
mod tests {
    use super::super::leave_one_out::Range;
    use super::super::testing::{random_matrix, with_spectrum};
    use super::super::{probes, products};
    use super::*;
    use crate::error::Error;
    use crate::linalg::operator::{ClosedForm, DenseMatrix, Diagonal, ScaledIdentity};
    use crate::linalg::vector::{distance, norm};

    type Estimator = fn(&dyn SymmetricOperator, usize, u64) -> Result<DiagonalEstimate>;
    const ESTIMATORS: [(&str, Estimator); 2] = [("hutchinson", hutchinson_diagonal), ("xdiag", xdiag)];

    fn diagonal(matrix: &DenseMatrix) -> Vec<f64> {
        let mut d = vec![0.0; matrix.dim()];
        matrix.write_diagonal(&mut d).unwrap();
        d
    }

    /// XDiag's sample `i` from its definition, without the probes `left_out`.
    fn naive_sample(matrix: &DenseMatrix, omega: &[f64], i: usize, left_out: &[usize]) -> Vec<f64> {
        let n = matrix.dim();
        let probes = omega.chunks_exact(n).enumerate().filter(|(j, _)| *j != i && !left_out.contains(j));
        let others: Vec<f64> = probes.flat_map(|(_, w)| w.iter().copied()).collect();
        let range = Range::of(n, &products(matrix, &others).unwrap());
        let image = products(matrix, range.basis()).unwrap();
        let w = &omega[i * n..(i + 1) * n];
        let mut rest = products(matrix, w).unwrap();
        range.project_out(&mut rest);
        let exact =
            |j: usize| -> f64 { range.basis().chunks_exact(n).zip(image.chunks_exact(n)).map(|(q, z)| q[j] * z[j]).sum() };
        (0..n).map(|j| exact(j) + w[j] * rest[j] / (w[j] * w[j])).collect()
    }

    #[test]
    fn xdiag_equals_the_naive_leave_one_out_form() {
        let decaying: Vec<f64> = (0..60).map(|i| 0.8f64.powi(i)).collect();
        let low_rank: Vec<f64> = (0..60).map(|i| if i < 4 { 3.0 - i as f64 } else { 0.0 }).collect();
        for values in [decaying, low_rank] {
            let matrix = with_spectrum(&values, 5);
            for (k, seed) in [(2, 1), (7, 2), (20, 3)] {
                let omega = probes(60, k, |i, v| signs(seed, i, v));
                let mut naive = Moments::new(60);
                let samples: Vec<Vec<f64>> = (0..k).map(|i| naive_sample(&matrix, &omega, i, &[])).collect();
                samples.iter().for_each(|sample| naive.add(sample));
                let mut covariance = vec![0.0; 60];
                let share = 1.0 / (k * (k - 1) / 2) as f64 / naive.unit / naive.unit;
                for (i, j) in (0..k * k).map(|p| (p % k, p / k)).filter(|(i, j)| i < j) {
                    let (one, other) = (naive_sample(&matrix, &omega, i, &[j]), naive_sample(&matrix, &omega, j, &[i]));
                    for l in 0..60 {
                        covariance[l] += share * (samples[i][l] - one[l]) * (samples[j][l] - other[l]);
                    }
                }
                let (naive, fast) = (naive.finish(2 * k, &covariance), xdiag(&matrix, 2 * k, seed).unwrap());
                assert!(distance(&naive.values, &fast.values) <= 1e-11 * norm(&naive.values), "{k}");
                assert!(distance(&naive.errors, &fast.errors) <= 1e-11 * norm(&naive.values), "{k}");
            }
        }
    }

    #[test]
    fn diagonals_lie_within_their_error_bars_as_often_as_stated() {
        let values: Vec<f64> = (1..=120).map(|i| 10.0 / (i as f64).powf(1.5)).collect();
        for (name, estimator) in ESTIMATORS {
            for matrix in [with_spectrum(&values, 3), random_matrix(120, 4)] {
                let exact = diagonal(&matrix);
                let (mut misses, mut squares, mut bars) = (0, 0.0, 0.0);
                for seed in 0..40 {
                    let found = estimator(&matrix, 60, seed).unwrap();
                    for ((d, e), x) in found.values.iter().zip(&found.errors).zip(&exact) {
                        misses += usize::from((d - x).abs() > 2.045 * e);
                        squares += (d - x).powi(2);
                        bars += e * e;
                    }
                }
                // 5% of 4800, correlated within a run.
                let share = misses as f64 / 4800.0;
                assert!((0.03..0.08).contains(&share), "{name}: {share}");
                let ratio = (squares / bars).sqrt();
                assert!((0.85..1.2).contains(&ratio), "{name}: true error is {ratio} times the stated one");
            }
        }
    }

    #[test]
    fn xdiag_beats_hutchinson_on_decaying_spectra() {
        let values: Vec<f64> = (1..=300).map(|i| (i as f64).powi(-2)).collect();
        let matrix = with_spectrum(&values, 9);
        let exact = diagonal(&matrix);
        let error = |estimator: Estimator| distance(&estimator(&matrix, 80, 1).unwrap().values, &exact);
        assert!(error(xdiag) < 0.15 * error(hutchinson_diagonal));
    }

    #[test]
    fn hutchinson_diagonal_of_one_probe_has_no_error_bar() {
        let found = hutchinson_diagonal(&ScaledIdentity { n: 40, c: 3.0 }, 1, 0).unwrap();
        assert!(found.values == [3.0; 40] && found.errors == [f64::INFINITY; 40] && found.products == 1);
        assert!(matches!(xdiag(&ScaledIdentity { n: 40, c: 3.0 }, 3, 0), Err(Error::Config { .. })));
    }

    #[test]
    fn easy_matrices_are_exact_and_bad_input_is_refused() {
        for (name, estimator) in ESTIMATORS {
            let matrix = random_matrix(9, 1);
            let found = estimator(&matrix, 9, 0).unwrap();
            assert!(found.values == diagonal(&matrix) && found.errors == [0.0; 9] && found.products == 9, "{name}");
            for c in [0.0, 1.0, -1e200, 1e-200] {
                let found = estimator(&ScaledIdentity { n: 40, c }, 10, 0).unwrap();
                // Signs see the identity exactly, XDiag's random range does not.
                let slack = if name == "xdiag" { 6.0 } else { 0.0 };
                for (v, e) in found.values.iter().zip(&found.errors) {
                    assert!((v - c).abs() <= 1e-13 * c.abs() + slack * e && *e <= c.abs(), "{name} {c}: {v} {e}");
                }
            }
            assert_eq!(estimator(&Diagonal(vec![-3.5]), 4, 0).unwrap().values, [-3.5]);
            assert!(matches!(estimator(&ScaledIdentity { n: 40, c: 1.0 }, 0, 0), Err(Error::Config { .. })));
            assert!(matches!(estimator(&Diagonal(vec![]), 10, 0), Err(Error::Config { .. })));
            assert!(matches!(estimator(&Diagonal(vec![f64::INFINITY; 40]), 10, 0), Err(Error::NonFinite { .. })));
        }
    }
}
