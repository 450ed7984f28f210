//! The Moré–Garbow–Hillstrom problems: derivatives against automatic differentiation of a separate transcription, against
//! differences and against one another; published minima, solutions, condition numbers; look-up.

use curvkit::Error;
use curvkit::linalg::{SymmetricOperator, operator::write_dense};
use curvkit::problem::HessianMatrix;
use curvkit::testbed::{self, TestProblem};
use std::collections::BTreeMap;

fn all() -> Vec<TestProblem> {
    testbed::mgh::TABLE.iter().flat_map(|e| e.instances.iter().map(|(_, n)| (e.build)(*n).unwrap())).collect()
}

fn small() -> impl Iterator<Item = TestProblem> {
    all().into_iter().filter(|p| p.dim() <= 100)
}

/// A point near the start where no derivative vanishes by symmetry.
fn near(p: &TestProblem) -> Vec<f64> {
    p.start.iter().enumerate().map(|(i, s)| s + 0.02 * (1.0 + s.abs()) * (2.0 + i as f64).cos()).collect()
}

fn gradient(p: &TestProblem, x: &[f64]) -> Vec<f64> {
    let mut g = vec![0.0; x.len()];
    p.function.gradient(x, &mut g).unwrap();
    g
}

fn hessian(p: &TestProblem, x: &[f64]) -> Vec<f64> {
    let mut h = vec![0.0; x.len() * x.len()];
    write_dense(&p.function.hessian(x).unwrap(), &mut h).unwrap();
    h
}

fn residuals(p: &TestProblem, x: &[f64]) -> Vec<f64> {
    let r = p.residuals.as_ref().unwrap();
    let mut out = vec![f64::NAN; r.m()];
    r.residuals(x, &mut out).unwrap();
    out
}

fn jacobian(p: &TestProblem, x: &[f64]) -> Vec<f64> {
    let r = p.residuals.as_ref().unwrap();
    let mut out = vec![f64::NAN; r.m() * r.n()];
    r.jacobian(x, &mut out).unwrap();
    out
}

fn largest(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = largest(expected).max(f64::MIN_POSITIVE);
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "{what}, entry {i}: {a:e} is not {b:e} (largest {scale:e})");
    }
}

#[derive(Default)]
struct Reference {
    x: Vec<f64>,
    f: f64,
    g: Vec<f64>,
    h: Vec<(usize, usize, f64)>,
}

#[test]
fn values_gradients_and_hessians_equal_automatic_differentiation() {
    let mut references: BTreeMap<(&str, usize, &str), Reference> = BTreeMap::new();
    for line in include_str!("fixtures/mgh.csv").lines().skip(1) {
        let &[name, n, point, quantity, i, j, value] = &line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let reference = references.entry((name, n.parse().unwrap(), point)).or_default();
        let value: f64 = value.parse().unwrap();
        match quantity {
            "x" => reference.x.push(value),
            "f" => reference.f = value,
            "g" => reference.g.push(value),
            _ => reference.h.push((i.parse().unwrap(), j.parse().unwrap(), value)),
        }
    }
    assert_eq!(references.len(), 2 * 53);
    for ((name, n, point), reference) in references {
        let family = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        let p = testbed::problem(name, None).or_else(|_| testbed::problem(family, Some(n))).unwrap();
        assert_eq!((p.name.as_str(), p.dim()), (name, n));
        let what = format!("{name} {point}");
        if point == "start" {
            assert_close(&what, &p.start, &reference.x, 1e-15);
        }
        assert_close(&what, &[p.function.cost(&reference.x).unwrap()], &[reference.f], 1e-12);
        assert_close(&what, &gradient(&p, &reference.x), &reference.g, 1e-12);
        let mut h = vec![0.0; n * n];
        for (i, j, value) in reference.h {
            h[j * n + i] = value;
            h[i * n + j] = value;
        }
        assert_close(&what, &hessian(&p, &reference.x), &h, 1e-12);
    }
}

#[test]
fn cost_and_gradient_are_those_of_the_residuals() {
    for p in small() {
        let x = near(&p);
        let (r, j) = (residuals(&p, &x), jacobian(&p, &x));
        assert_close(&p.name, &[r.iter().map(|r| r * r).sum()], &[p.function.cost(&x).unwrap()], 1e-13);
        let product = |column: &[f64]| column.iter().zip(&r).map(|(j, r)| 2.0 * j * r).sum();
        let transposed: Vec<f64> = j.chunks_exact(r.len()).map(product).collect();
        assert_close(&p.name, &gradient(&p, &x), &transposed, 1e-13);
    }
}

/// `(q(x + h eⱼ) − q(x − h eⱼ))/2h`, with the fourth-order correction from step `2h`.
fn difference(q: impl Fn(&[f64]) -> Vec<f64>, x: &[f64], j: usize) -> Vec<f64> {
    let step = 2e-4 * x[j].abs().max(0.1);
    let at = |t: f64| {
        let mut y = x.to_vec();
        y[j] += t * step;
        q(&y)
    };
    let (a, b, c, d) = (at(1.0), at(-1.0), at(2.0), at(-2.0));
    (0..a.len()).map(|i| (8.0 * (a[i] - b[i]) - (c[i] - d[i])) / (12.0 * step)).collect()
}

#[test]
fn jacobians_and_hessians_equal_central_differences() {
    for p in small() {
        let x = near(&p);
        let (j, h, m, n) = (jacobian(&p, &x), hessian(&p, &x), residuals(&p, &x).len(), x.len());
        for k in 0..n {
            let slope = difference(|x| residuals(&p, x), &x, k);
            let scale = largest(&j).max(1e-3 * largest(&residuals(&p, &x)));
            for (a, b) in slope.iter().zip(&j[k * m..(k + 1) * m]) {
                assert!((a - b).abs() <= 1e-6 * scale, "{} Jacobian column {k}: {b:e}, by differences {a:e}", p.name);
            }
            let bend = difference(|x| gradient(&p, x), &x, k);
            for (a, b) in bend.iter().zip(&h[k * n..(k + 1) * n]) {
                assert!((a - b).abs() <= 1e-6 * largest(&h), "{} Hessian column {k}: {b:e}, by differences {a:e}", p.name);
            }
        }
    }
}

#[test]
fn hessians_are_symmetric_and_their_products_those_of_the_matrix() {
    for p in all() {
        let (x, n) = (near(&p), p.dim());
        let matrix = p.function.hessian(&x).unwrap();
        assert_eq!(matches!(matrix, HessianMatrix::Sparse(_)), n >= 32, "{}", p.name);
        let h = hessian(&p, &x);
        assert!((0..n).all(|i| (0..i).all(|j| h[i * n + j] == h[j * n + i])), "{}", p.name);
        let v: Vec<f64> = (0..n).map(|i| (1.0 + 3.0 * i as f64).sin()).collect();
        let (mut direct, mut through) = (vec![0.0; n], vec![0.0; n]);
        p.function.hessian_product(&x, &v, &mut direct).unwrap();
        matrix.apply(&v, &mut through).unwrap();
        let scale = largest(&h) * n as f64;
        assert!(direct.iter().zip(&through).all(|(a, b)| (a - b).abs() <= 1e-14 * scale), "{}", p.name);
    }
}

#[test]
fn solutions_have_the_published_minimum_and_no_gradient() {
    for p in all() {
        let Some(x) = &p.solution else { continue };
        let r = residuals(&p, x);
        let scale: f64 = r.iter().map(|r| r * r).sum::<f64>().max(1e-24);
        let f = p.function.cost(x).unwrap();
        // Published with 10 to 14 digits; a zero is reached to the rounding of the solution.
        let bound = if p.minima[0] == 0.0 { 1e-20 } else { 2e-10 * p.minima[0] };
        assert!((f - p.minima[0]).abs() <= bound, "{}: {f:e} is not {:e}", p.name, p.minima[0]);
        let j = jacobian(&p, x);
        for (g, column) in gradient(&p, x).iter().zip(j.chunks_exact(r.len())) {
            let length = column.iter().map(|j| j * j).sum::<f64>().sqrt();
            assert!(g.abs() <= 1e-10 * length * (scale.sqrt() + length), "{}: gradient {g:e}", p.name);
        }
    }
}

#[test]
fn condition_numbers_are_those_of_the_hessian_at_the_solution() {
    let mut checked = 0;
    for p in small() {
        let (Some(x), Some(condition)) = (&p.solution, p.condition) else { continue };
        let h = nalgebra::DMatrix::from_column_slice(x.len(), x.len(), &hessian(&p, x));
        let w = h.symmetric_eigen().eigenvalues;
        if condition.is_infinite() {
            assert!(w.amin() <= 1e-14 * w.amax(), "{}", p.name);
        } else {
            // Eigenvalues have absolute errors of a few ε‖H‖, hence the smallest one relative errors of κ ε.
            let inverse = w.min() / w.max();
            assert!((inverse - 1.0 / condition).abs() <= 1e-10 / condition + 4e-15, "{}: {:e}", p.name, 1.0 / inverse);
        }
        checked += 1;
    }
    assert_eq!(checked, 32);
}

#[test]
fn all_35_problems_are_there_under_the_names_of_the_paper() {
    let titles: Vec<String> = all().into_iter().map(|p| p.title).collect();
    for number in 1..=35 {
        assert!(titles.iter().any(|t| t.starts_with(&format!("MGH {number}: "))), "{number}");
    }
    for name in testbed::names() {
        let p = testbed::problem(name, None).unwrap();
        assert_eq!((p.name.as_str(), p.dim()), (name, p.start.len()));
    }
}

#[test]
fn lookup_of_a_wrong_name_gives_the_nearest_one() {
    let nearest = |name: &str| match testbed::problem(name, None) {
        Err(Error::Unknown { nearest, .. }) => nearest,
        _ => panic!("{name} exists"),
    };
    assert_eq!(nearest("rosenbrok").as_deref(), Some("rosenbrock"));
    assert_eq!(nearest("watsen").as_deref(), Some("watson"));
    assert_eq!(nearest("qqqqqqqqqqqq"), None);
}

#[test]
fn dimensions_that_a_problem_does_not_admit_are_refused() {
    for (name, n) in
        [("rosenbrock", 3), ("watson", 32), ("watson", 1), ("ext_rosenbrock", 7), ("ext_powell_100", 6), ("linear_rank1_zero", 2)]
    {
        assert!(matches!(testbed::problem(name, Some(n)), Err(Error::Config { .. })), "{name} {n}");
    }
    for entry in testbed::mgh::TABLE {
        assert!(matches!((entry.build)(0), Err(Error::Config { .. })), "{}", entry.family);
    }
    assert_eq!(testbed::problem("penalty1_10", Some(4)).unwrap().name, "penalty1_4");
}

#[test]
fn points_of_the_wrong_length_are_refused() {
    for p in small() {
        let x = vec![1.0; p.dim() + 1];
        assert!(matches!(p.function.cost(&x), Err(Error::Dimension { .. })), "{}", p.name);
        assert!(matches!(p.function.gradient(&x, &mut vec![0.0; p.dim()]), Err(Error::Dimension { .. })));
        assert!(matches!(p.function.gradient(&p.start, &mut vec![0.0; p.dim() + 1]), Err(Error::Dimension { .. })));
        assert!(matches!(p.function.hessian(&x), Err(Error::Dimension { .. })));
        assert!(matches!(p.function.hessian_product(&p.start, &x, &mut vec![0.0; p.dim()]), Err(Error::Dimension { .. })));
    }
}

#[test]
fn scaled_starts_follow_the_published_convention() {
    let scaled = |name: &str, factor| testbed::problem(name, None).unwrap().start_scaled(factor);
    assert_eq!(scaled("rosenbrock", 10.0), [-12.0, 10.0]);
    assert_eq!(scaled("watson6", 1.0), [0.0; 6]);
    assert_eq!(scaled("watson6", 100.0), [100.0; 6]);
}

#[test]
fn helical_valley_is_continuous_where_the_angle_passes_a_quarter() {
    let p = testbed::problem("helical_valley", None).unwrap();
    for (y, sign) in [(2.0, 1.0), (-2.0, -1.0)] {
        let angle = 10.0 * (1.0 - 2.5 * sign);
        let expected = angle * angle + 100.0 + 1.0;
        for x in [-1e-14, 0.0, 1e-14] {
            let f = p.function.cost(&[x, y, 1.0]).unwrap();
            // From the left the lower half reaches 3/4 instead: the cut is the negative second axis.
            let lower = 10.0 * (1.0 - 7.5);
            let expected = if x < 0.0 && y < 0.0 { lower * lower + 101.0 } else { expected };
            assert!((f - expected).abs() <= 1e-10 * expected, "{x:e} {y}: {f}");
        }
    }
}

#[test]
fn dimensions_without_published_values_have_consistent_derivatives() {
    for (family, n) in
        [("brown_almost_linear", 40), ("trigonometric", 40), ("disc_integral", 40), ("chebyquad", 40), ("vardim", 40)]
    {
        let p = testbed::problem(family, Some(n)).unwrap();
        let x = near(&p);
        let v: Vec<f64> = (0..n).map(|i| (1.0 + i as f64).sin()).collect();
        let mut product = vec![0.0; n];
        p.function.hessian_product(&x, &v, &mut product).unwrap();
        let along = |t: f64| gradient(&p, &x.iter().zip(&v).map(|(x, v)| x + t * v).collect::<Vec<_>>());
        let step = 1e-5;
        let slope: Vec<f64> = along(step).iter().zip(along(-step)).map(|(a, b)| (a - b) / (2.0 * step)).collect();
        assert_close(family, &product, &slope, 1e-6);
    }
}
