//! Test problems of any dimension: derivatives, values, structure, spectra, independence of the number of threads.

use curvkit::linalg::SymmetricOperator;
use curvkit::linalg::operator::write_dense;
use curvkit::linalg::vector::norm;
use curvkit::problem::{Function, HessianMatrix};
use curvkit::testbed::quadratic::{Quadratic, Spacing, Spectrum, quadratic};
use curvkit::testbed::{TestProblem, chained, low_rank, names, problem, saddles, variational};
use nalgebra::DMatrix;
use std::sync::Arc;

/// Every constructor at small dimensions, the smallest it admits among them.
fn small() -> Vec<TestProblem> {
    let spectrum = |spacing| Spectrum { kappa: 100.0, spacing };
    let mut all = Vec::new();
    let mut add = |build: &dyn Fn(usize) -> curvkit::Result<TestProblem>, sizes: &[usize]| {
        all.extend(sizes.iter().map(|n| build(*n).unwrap()));
    };
    add(&chained::chained_rosenbrock, &[2, 3, 4, 17]);
    add(&chained::extended_rosenbrock, &[2, 14]);
    add(&chained::extended_powell, &[4, 24]);
    add(&chained::extended_wood, &[4, 20]);
    add(&chained::chained_wood, &[4, 6, 18]);
    add(&chained::broyden_tridiagonal, &[2, 3, 4, 5, 19]);
    add(&low_rank::trigonometric, &[1, 2, 13]);
    add(&low_rank::penalty1, &[1, 2, 9]);
    add(&low_rank::penalty2, &[2, 3, 11]);
    add(&variational::minimal_surface, &[1, 4, 9, 36, 68 * 68]);
    add(&variational::bratu, &[1, 4, 9, 36]);
    add(&|n| quadratic(n, &spectrum(Spacing::Geometric), false, 7), &[1, 12]);
    add(&|n| quadratic(n, &spectrum(Spacing::Uniform), true, 7), &[1, 2, 12]);
    add(&saddles::monkey_saddle, &[2]);
    add(&saddles::saddle_origin, &[2]);
    add(&saddles::double_well, &[2]);
    add(&saddles::quartic, &[1, 11]);
    add(&|n| saddles::indefinite_quartic(n, 3), &[2, 15]);
    all
}

/// A point without symmetry near the start (which may lie far out) or near the origin.
fn points(p: &TestProblem) -> [Vec<f64>; 2] {
    let bend = |i: usize| (1.0 + 0.7 * i as f64).sin();
    let near = p.start.iter().enumerate().map(|(i, s)| s + 0.05 * bend(i)).collect();
    [near, (0..p.dim()).map(|i| 0.4 * bend(i)).collect()]
}

fn direction(n: usize) -> Vec<f64> {
    (0..n).map(|i| (0.3 * i as f64 + 0.2).cos()).collect()
}

fn gradient(f: &dyn Function, x: &[f64]) -> Vec<f64> {
    let mut g = vec![f64::NAN; x.len()];
    f.gradient(x, &mut g).unwrap();
    g
}

fn product(f: &dyn Function, x: &[f64], v: &[f64]) -> Vec<f64> {
    let mut out = vec![f64::NAN; x.len()];
    f.hessian_product(x, v, &mut out).unwrap();
    out
}

fn matrix(f: &dyn Function, x: &[f64]) -> DMatrix<f64> {
    let n = x.len();
    let mut out = vec![0.0; n * n];
    write_dense(&f.hessian(x).unwrap(), &mut out).unwrap();
    DMatrix::from_vec(n, n, out)
}

/// Central differences of order six along `v`.
fn difference<T>(x: &[f64], v: &[f64], h: f64, f: impl Fn(&[f64]) -> T, combine: impl Fn(&[(f64, T)]) -> T) -> T {
    let at = |t: f64| f(&x.iter().zip(v).map(|(x, v)| x + t * h * v).collect::<Vec<_>>());
    let weights = [(-3.0, -1.0), (-2.0, 9.0), (-1.0, -45.0), (1.0, 45.0), (2.0, -9.0), (3.0, 1.0)];
    combine(&weights.map(|(t, w)| (w / (60.0 * h), at(t))))
}

/// Step of the differences: the area's slopes feel a step in units of the grid's spacing.
fn step(p: &TestProblem) -> f64 {
    if p.name.starts_with("minimal_surface") { 8e-3 / ((p.dim() as f64).sqrt() + 1.0) } else { 2e-3 }
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let gap: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    norm(&gap) / norm(a).max(norm(b)).max(1e-12)
}

#[test]
fn gradient_of_every_problem_equals_differences_of_values() {
    for p in small() {
        for x in points(&p) {
            let (f, g) = (&p.function, gradient(&*p.function, &x));
            for i in (0..p.dim()).step_by(p.dim().div_ceil(25)) {
                let mut unit = vec![0.0; p.dim()];
                unit[i] = 1.0;
                let sum = |terms: &[(f64, f64)]| terms.iter().map(|(w, f)| w * f).sum::<f64>();
                let slope = difference(&x, &unit, step(&p), |x| f.cost(x).unwrap(), sum);
                // Rounding of the values, divided by the step, beside the truncation.
                let bound = 1e-12 * f.cost(&x).unwrap().abs() + 1e-9 * norm(&g) + 1e-12;
                assert!((slope - g[i]).abs() <= bound, "{} entry {i}: {slope} and {}", p.name, g[i]);
            }
        }
    }
}

#[test]
fn hessian_of_every_problem_equals_differences_of_gradients_and_products() {
    for p in small() {
        for x in points(&p) {
            let (f, v) = (&p.function, direction(p.dim()));
            let from_product = product(&**f, &x, &v);
            let mut from_matrix = vec![f64::NAN; p.dim()];
            f.hessian(&x).unwrap().apply(&v, &mut from_matrix).unwrap();
            assert!(relative(&from_product, &from_matrix) <= 1e-12, "{}: {:e}", p.name, relative(&from_product, &from_matrix));
            let sum =
                |terms: &[(f64, Vec<f64>)]| (0..p.dim()).map(|i| terms.iter().map(|(w, g)| w * g[i]).sum()).collect::<Vec<f64>>();
            let slope = difference(&x, &v, step(&p), |x| gradient(&**f, x), sum);
            assert!(relative(&slope, &from_product) <= 2e-10, "{}: {:e}", p.name, relative(&slope, &from_product));
            if p.dim() <= 40 {
                let h = matrix(&**f, &x);
                assert_eq!(h, h.transpose(), "{}", p.name);
                for i in 0..p.dim() {
                    let mut unit = vec![0.0; p.dim()];
                    unit[i] = 1.0;
                    let column = product(&**f, &x, &unit);
                    assert!(relative(&column, h.column(i).as_slice()) <= 1e-12, "{} column {i}", p.name);
                }
            }
        }
    }
}

#[test]
fn value_at_the_start_equals_the_closed_form() {
    let close = |p: curvkit::Result<TestProblem>, expected: f64| {
        let p = p.unwrap();
        let f = p.function.cost(&p.start).unwrap();
        assert!((f - expected).abs() <= 1e-13 * expected.abs(), "{}: {f} and {expected}", p.name);
    };
    for n in [2usize, 8, 100, 1000] {
        let half = n as f64 / 2.0;
        close(chained::chained_rosenbrock(n), 24.2 * half + 484.0 * (half - 1.0));
        close(chained::extended_rosenbrock(n), 24.2 * half);
    }
    for n in [4, 100] {
        close(chained::extended_powell(n), 215.0 * n as f64 / 4.0);
        close(chained::extended_wood(n), 19192.0 * n as f64 / 4.0);
    }
    close(chained::chained_wood(4), 19192.0);
    // (−3, −1) with (−2, 0): 10016 + 1449 + 90 + 0.1; (−2, 0) twice: 1609 + 1449 + 40.
    close(chained::chained_wood(10), 19192.0 + 11555.1 + 2.0 * 3098.0);
    close(chained::broyden_tridiagonal(1000), 1011.0);
    close(low_rank::penalty1(4), 885.0625 + 14e-5);
    close(saddles::monkey_saddle(2), 1.0 - 0.75 + 0.25 * 1.5625);
    close(saddles::saddle_ridge(2), 1.0);
    close(saddles::double_well(2), 0.25e-4 - 0.005 + 0.25);
    close(saddles::quartic(7), 7.0);
    let plain = |n: usize| {
        let x = 1.0 / n as f64;
        let r = |i: usize| n as f64 * (1.0 - x.cos()) + i as f64 * (1.0 - x.cos()) - x.sin();
        (1..=n).map(|i| r(i) * r(i)).sum::<f64>()
    };
    close(low_rank::trigonometric(20), plain(20));
}

#[test]
fn penalty2_equals_its_residuals_as_published() {
    let p = low_rank::penalty2(6).unwrap();
    let x = &points(&p)[0];
    let (n, e) = (6usize, |t: f64| (t / 10.0).exp());
    let x1 = |i: usize| x[i - 1];
    let mut f = (x1(1) - 0.2).powi(2);
    f += (2..=n).map(|i| 1e-5 * (e(x1(i)) + e(x1(i - 1)) - e(i as f64) - e((i - 1) as f64)).powi(2)).sum::<f64>();
    f += (n + 1..2 * n).map(|i| 1e-5 * (e(x1(i - n + 1)) - e(-1.0)).powi(2)).sum::<f64>();
    f += ((1..=n).map(|j| (n - j + 1) as f64 * x1(j).powi(2)).sum::<f64>() - 1.0).powi(2);
    assert!((p.function.cost(x).unwrap() - f).abs() <= 1e-14 * f);
}

/// Values of an independent program of the same discretisations: grid, point, `f`, `‖g‖`, `‖Hv‖`, `g₁`.
const GRIDS: &[(&str, usize, &str, f64, f64, f64, f64)] = &[
    ("minimal_surface", 1, "zero", 2.118033988749895, 0.7805469288332912, 1.7218414997851346, -0.7805469288332912),
    ("minimal_surface", 2, "wave", 2.0620892606657657, 0.6615818659615941, 1.3438077364784757, -0.6210251551195562),
    ("minimal_surface", 5, "zero", 2.1827167219801757, 0.4895073412931677, 6.780386627886135, -0.14902342364654592),
    ("minimal_surface", 5, "wave", 3.204293177342789, 1.503531727269532, 2.36607851389856, -0.217254516788073),
    ("minimal_surface", 70, "zero", 2.308477980671763, 0.16526457425260546, 155.4893203615191, -0.011795945064978339),
    ("minimal_surface", 70, "bend", 21.16896281647318, 1.0604446472934963, 14.129488529902908, 0.035860848871592084),
    ("minimal_surface", 200, "bend", 123.18184343619053, 1.8104120427268622, 15.958364209952004, 0.01319347587225866),
    ("bratu", 1, "bend", -1.5609015883751605, 0.060901588375160465, 1.9390984116248395, -0.060901588375160465),
    ("bratu", 2, "wave", -2.438963672452365, 1.0851842293958462, 2.5271576521486216, -1.044455780723401),
    ("bratu", 5, "wave", -1.3343844940971428, 4.297835809577586, 8.50889617354165, -0.22691922675331028),
    ("bratu", 70, "bend", 250.86313515565084, 21.345501455965483, 158.62694904604348, 1.1905340629459367),
    ("bratu", 200, "wave", 2579.38337056085, 121.97419759547347, 565.1791533772239, -0.4874609633162891),
];

#[test]
fn grid_energies_equal_those_of_an_independent_program() {
    for &(name, m, point, f, g_norm, product_norm, first) in GRIDS {
        let p = problem(name, Some(m * m)).unwrap();
        let x: Vec<f64> = (0..m * m)
            .map(|k| match point {
                "wave" => 0.3 * (0.7 * k as f64).sin(),
                "bend" => 0.5 * (0.013 * k as f64).cos() + 0.001 * (k % 7) as f64,
                _ => 0.0,
            })
            .collect();
        let v: Vec<f64> = (0..m * m).map(|k| (0.3 * k as f64).cos()).collect();
        let g = gradient(&*p.function, &x);
        let near = |what: &str, a: f64, b: f64| {
            assert!((a - b).abs() <= 2e-12 * b.abs(), "{name} {m} {point} {what}: {a} and {b}");
        };
        near("value", p.function.cost(&x).unwrap(), f);
        near("gradient", norm(&g), g_norm);
        near("product", norm(&product(&*p.function, &x, &v)), product_norm);
        near("first", g[0], first);
        let mut through = vec![0.0; m * m];
        p.function.hessian(&x).unwrap().apply(&v, &mut through).unwrap();
        near("matrix", norm(&through), product_norm);
    }
}

#[test]
fn chained_rosenbrock_equals_an_independent_program() {
    let p = chained::chained_rosenbrock(1000).unwrap();
    let x: Vec<f64> = (0..1000).map(|k| 0.3 * (0.7 * k as f64).sin()).collect();
    let v: Vec<f64> = (0..1000).map(|k| (0.3 * k as f64).cos()).collect();
    assert!((p.function.cost(&x).unwrap() / 5842.144937170032 - 1.0).abs() <= 1e-13);
    assert!((norm(&gradient(&*p.function, &x)) / 1757.5226395387253 - 1.0).abs() <= 1e-13);
    assert!((norm(&product(&*p.function, &x, &v)) / 7414.655875852735 - 1.0).abs() <= 1e-13);
}

/// Plain Newton steps with a dense factorization.
fn newton(f: &dyn Function, mut x: Vec<f64>) -> Vec<f64> {
    for _ in 0..60 {
        let g = nalgebra::DVector::from_vec(gradient(f, &x));
        let step = matrix(f, &x).lu().solve(&g).unwrap();
        x.iter_mut().zip(step.iter()).for_each(|(x, s)| *x -= s);
        if step.amax() <= 1e-13 {
            break;
        }
    }
    x
}

#[test]
fn second_minimum_of_chained_rosenbrock_has_the_stated_value() {
    for n in [10, 20, 100] {
        let p = chained::chained_rosenbrock(n).unwrap();
        let mut x = vec![1.0; n];
        x[0] = -1.0;
        let x = newton(&*p.function, x);
        assert!(x[0] < 0.0);
        assert!((p.function.cost(&x).unwrap() - p.minima[1]).abs() <= 1e-10, "{n}");
        assert!(matrix(&*p.function, &x).symmetric_eigen().eigenvalues.min() > 0.4);
    }
}

#[test]
fn grid_minima_and_condition_numbers_are_as_stated() {
    for name in ["minimal_surface", "bratu"] {
        let p = problem(name, Some(400)).unwrap();
        let x = newton(&*p.function, p.start.clone());
        assert!((p.function.cost(&x).unwrap() - p.minima[0]).abs() <= 1e-12);
        let e = matrix(&*p.function, &x).symmetric_eigen().eigenvalues;
        assert!((e.max() / e.min() / p.condition.unwrap() - 1.0).abs() <= 1e-9, "{name}");
    }
}

#[test]
fn stated_solutions_are_stationary_with_the_stated_value_and_condition_number() {
    let mut all = small();
    all.extend([10, 100].map(|n| chained::chained_rosenbrock(n).unwrap()));
    all.push(low_rank::penalty1(100).unwrap());
    for p in all {
        let Some(x) = &p.solution else { continue };
        let g = gradient(&*p.function, x);
        let h = matrix(&*p.function, x);
        assert!(norm(&g) <= 1e-14 * (1.0 + h.norm()) * (1.0 + norm(x)), "{}: {:e}", p.name, norm(&g));
        assert!((p.function.cost(x).unwrap() - p.minima[0]).abs() <= 1e-14 * (1.0 + p.minima[0].abs()), "{}", p.name);
        let Some(condition) = p.condition else { continue };
        let e = h.symmetric_eigen().eigenvalues;
        if condition.is_finite() {
            assert!((e.max() / e.min() / condition - 1.0).abs() <= 1e-9, "{}: {} and {condition}", p.name, e.max() / e.min());
        } else {
            assert!(e.min().abs() <= 1e-12 && e.max() >= 0.0, "{}", p.name);
        }
    }
}

#[test]
fn pattern_is_shared_between_hessians() {
    for p in small() {
        let x = points(&p);
        let (HessianMatrix::Sparse(a), HessianMatrix::Sparse(b)) =
            (p.function.hessian(&x[0]).unwrap(), p.function.hessian(&x[1]).unwrap())
        else {
            continue;
        };
        assert!(Arc::ptr_eq(a.pattern(), b.pattern()), "{}", p.name);
        assert_eq!(a.pattern().nnz(), a.values().len());
    }
}

#[test]
fn spectrum_of_quadratics_equals_the_prescription() {
    for spacing in [Spacing::Geometric, Spacing::Uniform, Spacing::Clusters(4)] {
        for n in [5, 40, 120] {
            let expected = Spectrum { kappa: 1e4, spacing }.eigenvalues(n).unwrap();
            assert_eq!((expected[0], expected[n - 1]), (1.0, 1e4));
            let q = Quadratic::new(expected.clone(), true, 11);
            let h = matrix(&q, &vec![0.0; n]);
            assert!(h[(0, n - 1)] != 0.0);
            let mut e: Vec<f64> = h.symmetric_eigen().eigenvalues.iter().copied().collect();
            e.sort_by(f64::total_cmp);
            for (a, b) in e.iter().zip(&expected) {
                assert!((a - b).abs() <= 1e-12 * 1e4, "{spacing:?} {n}: {a} and {b}");
            }
            let aligned = Quadratic::new(expected.clone(), false, 11);
            assert_eq!(matrix(&aligned, &vec![0.0; n]).diagonal().as_slice(), expected);
        }
    }
    let e = Spectrum { kappa: 16.0, spacing: Spacing::Clusters(3) }.eigenvalues(9).unwrap();
    assert_eq!(e, [1.0, 1.0, 1.0, 4.0, 4.0, 4.0, 16.0, 16.0, 16.0]);
    let e = Spectrum { kappa: 16.0, spacing: Spacing::Geometric }.eigenvalues(5).unwrap();
    assert!(e.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0]).all(|(a, b)| (a - b).abs() < 1e-14));
}

#[test]
fn seeds_decide_quadratics_and_quartics() {
    let start = |seed| saddles::indefinite_quartic(30, seed).unwrap().start;
    assert_eq!(start(1), start(1));
    assert_ne!(start(1), start(2));
    let point = |seed| Quadratic::new(vec![1.0; 8], true, seed).stationary_point().to_vec();
    assert_eq!(point(5), point(5));
    assert_ne!(point(5), point(6));
}

#[test]
fn saddles_are_saddles_and_indefinite_quartic_is_indefinite() {
    let origin = saddles::saddle_origin(2).unwrap();
    assert_eq!(gradient(&*origin.function, &origin.start), [0.0, 0.0]);
    assert_eq!(matrix(&*origin.function, &origin.start).as_slice(), [2.0, 0.0, 0.0, -2.0]);
    assert_eq!(gradient(&*saddles::saddle_ridge(2).unwrap().function, &[1.0, 0.0])[1], 0.0);
    assert_eq!(gradient(&*saddles::double_well_ridge(2).unwrap().function, &[0.0, 0.5])[0], 0.0);
    let monkey = saddles::monkey_saddle(2).unwrap();
    assert_eq!(matrix(&*monkey.function, &[0.0, 0.0]).as_slice(), [0.0; 4]);
    let quartic = saddles::indefinite_quartic(100, 0).unwrap();
    let e = matrix(&*quartic.function, &[0.0; 100]).symmetric_eigen().eigenvalues;
    assert!(e.min() < -0.5 && e.max() > 0.5);
}

#[test]
fn results_of_large_problems_do_not_depend_on_the_number_of_threads() {
    let n = 500 * 500;
    let spectrum = Spectrum { kappa: 1e3, spacing: Spacing::Geometric };
    let large = [
        chained::chained_rosenbrock(n + 1),
        chained::extended_rosenbrock(n),
        chained::extended_powell(n),
        chained::extended_wood(n),
        chained::chained_wood(n + 2),
        chained::broyden_tridiagonal(n + 3),
        low_rank::trigonometric(n),
        low_rank::penalty1(n),
        variational::minimal_surface(n),
        variational::bratu(n),
        quadratic(n, &spectrum, true, 1),
        saddles::quartic(n),
        saddles::indefinite_quartic(n + 1, 1),
    ];
    for p in large {
        let p = p.unwrap();
        let x: Vec<f64> = (0..p.dim()).map(|i| 0.4 * (1.0 + 0.7 * i as f64).sin()).collect();
        let v = direction(p.dim());
        let all = || {
            let values = match p.function.hessian(&x) {
                Ok(HessianMatrix::Sparse(h)) => {
                    let mut through = vec![0.0; p.dim()];
                    h.apply(&v, &mut through).unwrap();
                    assert!(relative(&through, &product(&*p.function, &x, &v)) <= 1e-12, "{}", p.name);
                    h.values().to_vec()
                }
                _ => vec![],
            };
            (p.function.cost(&x).unwrap(), gradient(&*p.function, &x), product(&*p.function, &x, &v), values)
        };
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let (one, two) = (pool(1).install(all), pool(2).install(all));
        assert_eq!(one.0.to_bits(), two.0.to_bits(), "{}", p.name);
        assert!(bits(&one.1) == bits(&two.1) && bits(&one.2) == bits(&two.2) && bits(&one.3) == bits(&two.3), "{}", p.name);
        // Chunks join without seams: the slope along v agrees with differences across the whole vector.
        let sum = |terms: &[(f64, f64)]| terms.iter().map(|(w, f)| w * f).sum::<f64>();
        let slope = difference(&x, &v, step(&p), |x| p.function.cost(x).unwrap(), sum);
        let exact: f64 = one.1.iter().zip(&v).map(|(g, v)| g * v).sum();
        // Rounding of the value over the step, and truncation.
        let bound = 1e-15 / step(&p) * one.0.abs() + 1e-8 * exact.abs();
        assert!((slope - exact).abs() <= bound, "{}: {slope} and {exact}", p.name);
    }
}

#[test]
fn dense_hessian_beyond_the_limit_is_an_error_but_its_product_is_not() {
    let spectrum = Spectrum { kappa: 10.0, spacing: Spacing::Uniform };
    for p in [low_rank::trigonometric(5001), low_rank::penalty1(5001), quadratic(5001, &spectrum, true, 0)] {
        let p = p.unwrap();
        assert!(matches!(p.function.hessian(&p.start), Err(curvkit::Error::Unsupported { .. })), "{}", p.name);
        assert!(product(&*p.function, &p.start, &direction(5001)).iter().all(|v| v.is_finite()));
    }
}

#[test]
fn wrong_dimensions_and_lengths_are_errors() {
    let refused = [
        chained::chained_rosenbrock(1),
        chained::extended_rosenbrock(3),
        chained::extended_powell(6),
        chained::extended_wood(0),
        chained::chained_wood(5),
        chained::chained_wood(2),
        chained::broyden_tridiagonal(1),
        low_rank::trigonometric(0),
        low_rank::penalty1(0),
        low_rank::penalty2(1),
        low_rank::penalty2(4000),
        variational::minimal_surface(8),
        variational::bratu(0),
        saddles::monkey_saddle(3),
        saddles::quartic(0),
        saddles::indefinite_quartic(1, 0),
        quadratic(0, &Spectrum { kappa: 2.0, spacing: Spacing::Uniform }, true, 0),
        quadratic(5, &Spectrum { kappa: 0.5, spacing: Spacing::Uniform }, true, 0),
        quadratic(5, &Spectrum { kappa: f64::NAN, spacing: Spacing::Uniform }, true, 0),
        quadratic(5, &Spectrum { kappa: 2.0, spacing: Spacing::Clusters(6) }, true, 0),
    ];
    assert!(refused.iter().all(|r| matches!(r, Err(curvkit::Error::Config { .. }))));
    for p in small() {
        let (x, long) = (&p.start, vec![0.0; p.dim() + 1]);
        let wrong = |r: curvkit::Result<()>| assert!(matches!(r, Err(curvkit::Error::Dimension { .. })), "{}", p.name);
        wrong(p.function.cost(&long).map(drop));
        wrong(p.function.gradient(&long, &mut x.clone()));
        wrong(p.function.gradient(x, &mut long.clone()));
        wrong(p.function.hessian(&long).map(drop));
        wrong(p.function.hessian_product(&long, x, &mut x.clone()));
        wrong(p.function.hessian_product(x, &long, &mut x.clone()));
        wrong(p.function.hessian_product(x, x, &mut long.clone()));
    }
}

#[test]
fn listed_names_are_unique_and_build_problems_of_that_name() {
    let mut listed = names();
    for name in &listed {
        let p = problem(name, None).unwrap();
        assert_eq!(p.name, *name);
        assert_eq!(p.start.len(), p.function.dim());
    }
    let count = listed.len();
    listed.sort_unstable();
    listed.dedup();
    assert_eq!(listed.len(), count);
}
