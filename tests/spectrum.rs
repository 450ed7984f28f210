//! Eigenvalues, condition numbers, low rank, quadrature and densities against full decompositions.

use curvkit::error::{Error, Result};
use curvkit::linalg::factor::SymmetricEigen;
use curvkit::linalg::krylov::lanczos::leftmost;
use curvkit::linalg::operator::{ClosedForm, Combination, DenseMatrix, Diagonal, LowRank, ScaledIdentity};
use curvkit::linalg::{SymmetricOperator, vector};
use curvkit::spectrum::{Axis, Lanczos, Quadrature, frobenius_norm, xtrace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn gaussian(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| StandardNormal.sample(&mut rng)).collect()
}

/// `(G + Gᵀ)/2` for a Gaussian matrix.
fn random_matrix(n: usize, seed: u64) -> DenseMatrix {
    let g = gaussian(n * n, seed);
    DenseMatrix::new(n, (0..n * n).map(|k| 0.5 * (g[k] + g[k % n * n + k / n])).collect()).unwrap()
}

/// Eigenvectors of a random matrix, `values` for eigenvalues.
fn with_spectrum(values: &[f64], seed: u64) -> DenseMatrix {
    let n = values.len();
    let mut eigen = SymmetricEigen::default();
    eigen.factor(n, random_matrix(n, seed).entries()).unwrap();
    let full = LowRank::new(n, eigen.vectors().to_vec(), values.to_vec()).unwrap();
    let mut entries = vec![0.0; n * n];
    full.write_entries(&mut entries).unwrap();
    (0..n).for_each(|j| (0..j).for_each(|i| entries[j * n + i] = entries[i * n + j]));
    DenseMatrix::new(n, entries).unwrap()
}

fn eigenvalues(matrix: &DenseMatrix) -> Vec<f64> {
    let mut eigen = SymmetricEigen::default();
    eigen.factor(matrix.dim(), matrix.entries()).unwrap();
    eigen.values().to_vec()
}

/// Hides what an operator knows beyond its products.
struct Products<'a>(&'a dyn SymmetricOperator);
impl SymmetricOperator for Products<'_> {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.0.apply(v, out)
    }
}

#[test]
fn extremes_equal_dense_eigenvalues_within_their_errors() {
    for (n, seed) in [(1, 1), (2, 2), (5, 3), (61, 4), (300, 5)] {
        let matrix = random_matrix(n, seed);
        let exact = eigenvalues(&matrix);
        for lanczos_seed in 0..5 {
            let options = Lanczos { lowest: 3, highest: 4, vectors: true, seed: lanczos_seed, ..Lanczos::default() };
            let found = options.extremes(&Products(&matrix)).unwrap();
            assert!(found.converged, "{n}");
            assert_eq!((found.lowest.len(), found.highest.len()), (3.min(n), 4.min(n)));
            let pairs = found.lowest.iter().zip(&exact).chain(found.highest.iter().zip(exact.iter().rev()));
            for (ritz, exact) in pairs {
                // The reference has a rounding error of its own.
                let slack = 32.0 * f64::EPSILON * exact.abs();
                assert!((ritz.value - exact).abs() <= ritz.error + slack, "{n}: {} {exact} {:e}", ritz.value, ritz.error);
                assert!(ritz.error <= 2e-10 * exact.abs().max(exact.abs() + 30.0), "{n}: {:e}", ritz.error);
                let mut r = vec![0.0; n];
                matrix.apply(&ritz.vector, &mut r).unwrap();
                vector::axpy(-ritz.value, &ritz.vector, &mut r);
                assert!(vector::norm(&r) <= ritz.error * (1.0 + 1e-12));
                assert!((vector::norm(&ritz.vector) - 1.0).abs() < 1e-12);
            }
        }
    }
}

/// Thick restarts: eigenvalues that crowd together at the lower end, with a basis far smaller than the matrix.
#[test]
fn extremes_of_ill_conditioned_matrix_are_found_through_restarts() {
    let matrix = Diagonal((0..200).map(|i| 1.0 + 999.0 * (f64::from(i) / 199.0).powi(2)).collect());
    let options = Lanczos { basis: 24, max_products: 5000, tolerance: 1e-10, ..Lanczos::default() };
    let found = options.extremes(&matrix).unwrap();
    assert!(found.converged && found.products > 250, "{found:?}");
    let kappa = found.condition_number().unwrap();
    assert!((kappa.value / 1e3 - 1.0).abs() < 1e-9 && kappa.at_most >= 1e3 && kappa.at_most < 1e3 * (1.0 + 1e-6), "{kappa:?}");
    let few = Lanczos { basis: 24, max_products: 40, ..Lanczos::default() };
    let found = few.extremes(&matrix).unwrap();
    assert!(!found.converged && found.products == 42);
    let kappa = found.condition_number().unwrap();
    assert!(kappa.value <= 1e3 && kappa.at_most > 1e3, "{kappa:?}");
}

/// Each product is nearly the vector itself: what is left of it after one orthogonalisation is a billionth, and mostly not
/// orthogonal.
#[test]
fn ritz_vectors_of_nearly_multiple_of_identity_are_orthonormal() {
    let matrix = Diagonal((0..120).map(|i| 1.0 + 1e-9 * (f64::from(i) / 119.0)).collect());
    let options = Lanczos { lowest: 3, highest: 3, basis: 40, vectors: true, tolerance: 1e-14, ..Lanczos::default() };
    let found = options.extremes(&matrix).unwrap();
    let vectors: Vec<&[f64]> = found.lowest.iter().chain(&found.highest).map(|ritz| &ritz.vector[..]).collect();
    for (i, v) in vectors.iter().enumerate() {
        for (j, w) in vectors.iter().enumerate() {
            let expected = if i == j { 1.0 } else { 0.0 };
            assert!((vector::dot(v, w) - expected).abs() < 1e-13, "{i} {j}: {:e}", vector::dot(v, w) - expected);
        }
    }
    let found = leftmost(&matrix, 30, 1, 1e-15).unwrap();
    assert!((vector::norm(&found.vector) - 1.0).abs() < 1e-13, "{:e}", vector::norm(&found.vector) - 1.0);
}

/// Once the large eigenvalues have been found, three terms of the recurrence let them come back, in place of the others.
#[test]
fn leftmost_of_graded_matrix_is_exact_after_as_many_products_as_variables() {
    let n = 60;
    let matrix = Diagonal((0..n).map(|i| 10f64.powf(8.0 * i as f64 / (n - 1) as f64)).collect());
    let found = leftmost(&matrix, n as u64, 1, 0.0).unwrap();
    assert!(found.converged && found.products == n as u64);
    // Rounding is relative to the largest eigenvalue.
    assert!((found.value - 1.0).abs() < 1e-6 && (found.largest / 1e8 - 1.0).abs() < 1e-14, "{found:?}");
    assert!((found.vector[0].abs() - 1.0).abs() < 1e-6 && (vector::norm(&found.vector) - 1.0).abs() < 1e-13);
}

#[test]
fn extremes_of_simple_matrices_are_exact_at_every_scale() {
    for c in [0.0, 1.0, -2.5, 1e-300, 1e300] {
        let found = Lanczos { highest: 2, ..Lanczos::default() }.extremes(&ScaledIdentity { n: 40, c }).unwrap();
        assert!(found.converged && found.highest.len() == 2, "{c}: {found:?}");
        for ritz in found.lowest.iter().chain(&found.highest) {
            assert!((ritz.value - c).abs() <= 1e-14 * c.abs() && ritz.error <= 1e-13 * c.abs(), "{c}: {ritz:?}");
        }
    }
    let base = random_matrix(80, 3);
    let exact = eigenvalues(&base);
    for scale in [1e-280, 1e280] {
        let scaled = DenseMatrix::new(80, base.entries().iter().map(|v| v * scale).collect()).unwrap();
        let found = Lanczos::default().extremes(&scaled).unwrap();
        assert!(found.converged);
        assert!((found.lowest[0].value / scale / exact[0] - 1.0).abs() < 1e-12);
        assert!((found.highest[0].value / scale / exact[79] - 1.0).abs() < 1e-12);
    }
    assert_eq!(Lanczos::default().extremes(&Diagonal(vec![-7.5])).unwrap().highest[0].value, -7.5);
}

/// Against the eigenvalues of `P^{-1/2} B P^{-1/2}`.
#[test]
fn pencil_equals_the_symmetrized_matrix() {
    let (n, spread) = (90, |i: usize| 10f64.powf(3.0 * i as f64 / 89.0));
    let p: Vec<f64> = (0..n).map(|i| spread(i * 37 % n)).collect();
    for shift in [0.0, 40.0] {
        let core = random_matrix(n, 9);
        let mut entries = core.entries().to_vec();
        (0..n).for_each(|i| entries[i * n + i] += shift);
        let symmetrized = DenseMatrix::new(n, entries.clone()).unwrap();
        (0..n * n).for_each(|k| entries[k] *= (p[k % n] * p[k / n]).sqrt());
        let matrix = DenseMatrix::new(n, entries).unwrap();
        let inverse = Diagonal(p.iter().map(|p| 1.0 / p).collect());
        let exact = eigenvalues(&symmetrized);
        let found = Lanczos { vectors: true, ..Lanczos::default() }.pencil(&matrix, &inverse).unwrap();
        assert!(found.converged);
        for (ritz, exact) in [(&found.lowest[0], exact[0]), (&found.highest[0], exact[n - 1])] {
            assert!((ritz.value - exact).abs() <= ritz.error, "{} {exact} {:e}", ritz.value, ritz.error);
            assert!(ritz.error <= 1e-8 * exact.abs());
            let length: f64 = ritz.vector.iter().zip(&p).map(|(v, p)| v * v * p).sum();
            assert!((length - 1.0).abs() < 1e-10);
        }
        let kappa = found.condition_number();
        if shift > 0.0 {
            assert!((kappa.unwrap().value / (exact[n - 1] / exact[0]) - 1.0).abs() < 1e-8);
        } else {
            assert!(kappa.is_none(), "indefinite: no condition number");
        }
    }
}

#[test]
fn bad_input_of_lanczos_is_a_typed_error() {
    let identity = ScaledIdentity { n: 4, c: 1.0 };
    let config = |options: Lanczos| assert!(matches!(options.extremes(&identity), Err(Error::Config { .. })));
    config(Lanczos { lowest: 0, highest: 0, ..Lanczos::default() });
    config(Lanczos { max_products: 0, ..Lanczos::default() });
    config(Lanczos { tolerance: f64::NAN, ..Lanczos::default() });
    assert!(matches!(Lanczos::default().extremes(&Diagonal(vec![])), Err(Error::Config { .. })));
    assert!(matches!(Lanczos::default().extremes(&Diagonal(vec![1.0, f64::NAN])), Err(Error::NonFinite { .. })));
    assert!(matches!(Lanczos::default().low_rank(&identity, 0), Err(Error::Config { .. })));
    let other = ScaledIdentity { n: 3, c: 1.0 };
    assert!(matches!(Lanczos::default().pencil(&identity, &other), Err(Error::Dimension { expected: 4, found: 3, .. })));
    let negative = ScaledIdentity { n: 4, c: -1.0 };
    assert!(matches!(Lanczos::default().pencil(&identity, &negative), Err(Error::Unsupported { .. })));
}

#[test]
fn low_rank_is_the_best_of_its_rank() {
    let values: Vec<f64> = (0..150).map(|i| 0.8f64.powi(i) * if i % 3 == 1 { -1.0 } else { 1.0 }).collect();
    let matrix = with_spectrum(&values, 7);
    let found = Lanczos::default().low_rank(&matrix, 12).unwrap();
    assert!(found.converged);
    for (w, exact) in found.matrix.values().iter().zip(&values) {
        assert!((w - exact).abs() < 1e-12, "{w} {exact}");
    }
    let rest = vector::norm(&values[12..]);
    let difference = Combination::new(vec![(1.0, Box::new(&matrix)), (-1.0, Box::new(&found.matrix))]).unwrap();
    let difference = frobenius_norm(&difference, 150, 0).unwrap();
    assert!((difference.value / rest - 1.0).abs() < 1e-8, "{} {rest}", difference.value);
}

#[test]
fn low_rank_closed_forms_equal_the_dense_matrix() {
    let matrix = with_spectrum(&[4.0, 1.0, 0.25, 0.0, 0.0, 0.0, 0.0], 2);
    let low = Lanczos::default().low_rank(&matrix, 3).unwrap().matrix;
    let mut entries = vec![0.0; 49];
    low.write_entries(&mut entries).unwrap();
    assert!(vector::distance(&entries, matrix.entries()) < 1e-13);
    let (mut d, mut e) = (vec![0.0; 7], vec![0.0; 7]);
    low.write_diagonal(&mut d).unwrap();
    matrix.write_diagonal(&mut e).unwrap();
    assert!(vector::distance(&d, &e) < 1e-14);
    assert!((low.trace() - 5.25).abs() < 1e-13 && (low.frobenius_norm() - matrix.frobenius_norm()).abs() < 1e-13);
    assert!((low.log_determinant(0.1).unwrap() - matrix.log_determinant(0.1).unwrap()).abs() < 1e-11);
    let v = gaussian(7, 3);
    for damping in [1e-6, 0.3, 1e4] {
        let (mut x, mut back) = (vec![0.0; 7], vec![0.0; 7]);
        low.damped_inverse(damping).unwrap().apply(&v, &mut x).unwrap();
        low.apply(&x, &mut back).unwrap();
        vector::axpy(damping, &x, &mut back);
        assert!(vector::distance(&back, &v) <= 1e-9 * vector::norm(&v), "{damping}");
    }
    assert!(matches!(low.damped_inverse(0.0), Err(Error::Factorization { .. })));
    assert!(matches!(low.log_determinant(-0.1), Err(Error::Factorization { .. })));
    assert!(matches!(LowRank::new(2, vec![1.0, 0.0, 1.0, 0.0], vec![1.0, 1.0]), Err(Error::Config { .. })));
    assert!(matches!(LowRank::new(2, vec![1.0], vec![1.0]), Err(Error::Dimension { .. })));
    // A full set of eigenvectors needs no damping.
    let full = Lanczos::default().low_rank(&random_matrix(6, 5), 6).unwrap().matrix;
    assert_eq!(full.values().len(), 6);
}

#[test]
fn quadrature_weights_sum_to_one_and_integrate_polynomials_exactly() {
    for (n, steps) in [(1, 5), (2, 2), (40, 1), (40, 6), (200, 30)] {
        let matrix = random_matrix(n, 11);
        let measure = Quadrature { steps, probes: 4, seed: 2 }.measure(&matrix).unwrap();
        let total: f64 = measure.nodes().map(|(_, w)| w).sum();
        assert!((total - 1.0).abs() < 1e-12, "{n} {steps}: {total}");
        assert!(measure.nodes().all(|(_, w)| w >= 0.0));
        let spectrum = eigenvalues(&matrix);
        let (low, high) = measure.range();
        assert!(low >= spectrum[0] - 1e-12 && high <= spectrum[n - 1] + 1e-12);
    }
    // All unit vectors for probes: tr B and tr B² without any error but rounding.
    let matrix = random_matrix(30, 12);
    let measure = Quadrature { steps: 2, probes: 30, seed: 0 }.measure(&matrix).unwrap();
    assert!((measure.trace_of(|x| x).unwrap().value - matrix.trace()).abs() < 1e-12);
    let square = measure.trace_of(|x| x * x).unwrap().value;
    assert!((square - matrix.frobenius_norm().powi(2)).abs() < 1e-10 * square);
}

#[test]
fn log_determinants_lie_within_their_errors_as_often_as_stated() {
    let values: Vec<f64> = (0..200).map(|i| 1.0 + 0.05 * f64::from(i)).collect();
    let (matrix, exact) = (with_spectrum(&values, 3), values.iter().map(|v| (v + 0.5).ln()).sum::<f64>());
    let (mut misses, mut squares, mut bars) = (0, 0.0, 0.0);
    for seed in 0..100 {
        let found = Quadrature { steps: 25, probes: 20, seed }.measure(&matrix).unwrap().log_determinant(0.5).unwrap();
        assert_eq!(found.products, 500);
        misses += u32::from((found.value - exact).abs() > 2.09 * found.error);
        squares += (found.value - exact).powi(2);
        bars += found.error.powi(2);
    }
    // 5% of 100 are 5 ± 2.2.
    assert!((1..=15).contains(&misses), "{misses}");
    let ratio = (squares / bars).sqrt();
    assert!((0.75..1.3).contains(&ratio), "true error is {ratio} times the stated one");
}

/// Too few steps for a wide spectrum: the error bar sees the quadrature's own error, not only the probes' spread.
#[test]
fn log_determinant_by_too_few_steps_has_a_wide_error_bar() {
    let values: Vec<f64> = (0..200).map(|i| 10f64.powf(-6.0 * f64::from(i) / 199.0)).collect();
    let (matrix, exact) = (with_spectrum(&values, 3), values.iter().map(|v| v.ln()).sum::<f64>());
    for steps in [8, 16, 32, 64] {
        let found = Quadrature { steps, probes: 200, seed: 0 }.measure(&matrix).unwrap().log_determinant(0.0).unwrap();
        eprintln!("{steps} steps: {} ± {} against {exact}", found.value, found.error);
        assert!((found.value - exact).abs() <= 3.0 * found.error, "{steps}: {} {exact} {}", found.value, found.error);
    }
    let full = Quadrature { steps: 200, probes: 200, seed: 0 }.measure(&matrix).unwrap().log_determinant(0.0).unwrap();
    assert!((full.value / exact - 1.0).abs() < 1e-9, "{} {exact}", full.value);
}

#[test]
fn bad_input_of_quadrature_is_a_typed_error() {
    let identity = ScaledIdentity { n: 10, c: 1.0 };
    for (steps, probes) in [(0, 5), (5, 0), (5, 1)] {
        assert!(matches!(Quadrature { steps, probes, seed: 0 }.measure(&identity), Err(Error::Config { .. })));
    }
    let measure = Quadrature::default().measure(&Diagonal((0..50).map(|i| f64::from(i) - 10.0).collect())).unwrap();
    assert!(matches!(measure.log_determinant(0.0), Err(Error::Unsupported { .. })));
    assert!(matches!(measure.trace_of(f64::ln), Err(Error::NonFinite { .. })));
    assert!(matches!(measure.density(Axis::Linear, Some(0.0)), Err(Error::Config { .. })));
    assert!(matches!(measure.density(Axis::Linear, Some(1e-9)), Err(Error::Config { .. })));
    assert!(matches!(measure.density(Axis::Logarithmic { floor: 0.0 }, None), Err(Error::Config { .. })));
    assert!(matches!(Quadrature::default().measure(&Diagonal(vec![f64::NAN; 50])), Err(Error::NonFinite { .. })));
}

#[test]
fn densities_integrate_to_one_on_both_axes() {
    let wide: Vec<f64> = (0..100).map(|i| 10f64.powf(-8.0 * f64::from(i) / 99.0)).collect();
    let operators: [Box<dyn SymmetricOperator>; 5] = [
        Box::new(random_matrix(100, 1)),
        Box::new(Diagonal(wide)),
        Box::new(ScaledIdentity { n: 50, c: 0.0 }),
        Box::new(ScaledIdentity { n: 50, c: 3e200 }),
        Box::new(Diagonal(vec![-2e-200])),
    ];
    for operator in &operators {
        let measure = Quadrature { steps: 40, probes: 5, seed: 1 }.measure(&**operator).unwrap();
        for axis in [Axis::Linear, Axis::Logarithmic { floor: 1e-12 }] {
            let density = measure.density(axis, None).unwrap();
            assert!((density.integral() - 1.0).abs() < 1e-10, "{axis:?}: {}", density.integral());
        }
    }
    // One node smoothed is the Gaussian itself.
    let one =
        Quadrature::default().measure(&ScaledIdentity { n: 50, c: 2.0 }).unwrap().density(Axis::Linear, Some(0.25)).unwrap();
    for (t, p) in one.at.iter().zip(&one.values) {
        let u = (t - 2.0) / 0.25;
        let normal = (-0.5 * u * u).exp() / (0.25 * std::f64::consts::TAU.sqrt());
        assert!((p - normal).abs() < 1e-12);
    }
}

/// `diag(8, 7, 6, 5, 4, 0, …) + ZZᵀ/2000` (after Papyan 2019, figure 15): five outliers beside a bulk on `[0, 4]`.
fn outliers() -> DenseMatrix {
    const N: usize = 2000;
    let z = faer::MatRef::from_column_major_slice(&gaussian(N * N, 15), N, N).to_owned();
    let product = &z * z.transpose();
    let mut entries = vec![0.0; N * N];
    for (k, e) in entries.iter_mut().enumerate() {
        let (i, j) = (k % N, k / N);
        // Exactly symmetric.
        *e = product[(i.max(j), i.min(j))] / N as f64;
    }
    (0..5).for_each(|i| entries[i * (N + 1)] += 8.0 - i as f64);
    DenseMatrix::new(N, entries).unwrap()
}

/// Distances between the distribution of `values`, ascending, and of weighted nodes: `∫|F − G|` (Wasserstein) and
/// `max |F − G|` (Kolmogorov).
fn distances(values: &[f64], nodes: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let share = 1.0 / values.len() as f64;
    let mut jumps: Vec<(f64, f64)> = values.iter().map(|v| (*v, share)).chain(nodes.map(|(x, w)| (x, -w))).collect();
    jumps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut gap, mut area, mut worst) = (0.0f64, 0.0, 0.0f64);
    for pair in jumps.windows(2) {
        gap += pair[0].1;
        area += gap.abs() * (pair[1].0 - pair[0].0);
        worst = worst.max(gap.abs());
    }
    (area, worst)
}

#[test]
fn density_of_large_matrix_with_outliers_is_that_of_its_eigenvalues() {
    let matrix = outliers();
    let exact = eigenvalues(&matrix);
    let measure = Quadrature { steps: 128, probes: 10, seed: 0 }.measure(&matrix).unwrap();
    assert_eq!(measure.products, 1280);
    let (wasserstein, kolmogorov) = distances(&exact, measure.nodes());
    eprintln!("Wasserstein {wasserstein:.3e}, Kolmogorov {kolmogorov:.3e}");
    assert!(wasserstein < 0.01, "{wasserstein}");
    assert!(kolmogorov < 0.02, "{kolmogorov}");
    // The smoothed density against the equally smoothed histogram of eigenvalues.
    let density = measure.density(Axis::Linear, None).unwrap();
    let width = density.width;
    let smooth = |t: f64| -> f64 {
        let terms = exact.iter().map(|x| (-0.5 * ((t - x) / width).powi(2)).exp());
        terms.sum::<f64>() / (2000.0 * width * std::f64::consts::TAU.sqrt())
    };
    let step = density.at[1] - density.at[0];
    let area: f64 = density.at.iter().zip(&density.values).map(|(t, p)| (p - smooth(*t)).abs() * step).sum();
    eprintln!("L1 distance of the smoothed densities {area:.3e}, width {width:.3e}");
    assert!(area < 0.06, "{area}");
    // Every outlier is a node of its own to rounding, and Lanczos finds the five of them.
    let found = Lanczos { lowest: 0, highest: 5, ..Lanczos::default() }.extremes(&matrix).unwrap();
    assert!(found.converged && found.products < 200, "{}", found.products);
    for (ritz, exact) in found.highest.iter().zip(exact.iter().rev()) {
        let slack = 1e-14 * 2000f64.sqrt();
        assert!((ritz.value - exact).abs() <= ritz.error + slack, "{} {exact} {:e}", ritz.value, ritz.error);
        assert!(ritz.error < 1e-8, "{:e}", ritz.error);
        assert!(measure.nodes().filter(|(x, _)| (x - exact).abs() < 1e-8).count() == 10);
    }
    let trace = xtrace(&matrix, 120, 0).unwrap();
    assert!((trace.value - matrix.trace()).abs() < 4.0 * trace.error);
    let (determinant, sum) = (measure.log_determinant(0.1).unwrap(), exact.iter().map(|x| (x + 0.1).ln()).sum::<f64>());
    eprintln!("log det: {} ± {} against {sum}", determinant.value, determinant.error);
    assert!((determinant.value - sum).abs() < 3.0 * determinant.error);
}
