//! Krylov subproblem solvers against their optimality conditions, closed forms, and the failures they must survive.

use curvkit::Error;
use curvkit::linalg::SymmetricOperator;
use curvkit::linalg::krylov::{Cg, CgEnd, CgLimits};
use curvkit::linalg::operator::{DenseMatrix, Diagonal};
use curvkit::problem::{Erased, Function, HessianMatrix};
use curvkit::second_order::methods;
use curvkit::second_order::subproblem::{
    CubicExact, CubicLanczos, Gltr, Model, MoreSorensen, Steihaug, Step, Subproblem, TruncatedCg,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;
use std::sync::Arc;

type Mat = nalgebra::DMatrix<f64>;

/// Counts products.
struct Counted<'a>(&'a dyn SymmetricOperator, Cell<u64>);

impl SymmetricOperator for Counted<'_> {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        self.1.set(self.1.get() + 1);
        self.0.apply(v, out)
    }
}

/// An operator with a preconditioner.
struct With<'a>(&'a dyn SymmetricOperator, &'a dyn SymmetricOperator);

impl SymmetricOperator for With<'_> {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        self.0.apply(v, out)
    }
    fn preconditioner(&self) -> Option<&dyn SymmetricOperator> {
        Some(self.1)
    }
}

fn model<'a>(g: &'a [f64], b: &'a dyn SymmetricOperator, x: &'a [f64]) -> Model<'a> {
    Model { value: 0.0, x, gradient: g, curvature: b }
}

fn length(v: &[f64]) -> f64 {
    let m = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if m == 0.0 { 0.0 } else { m * v.iter().map(|x| (x / m) * (x / m)).sum::<f64>().sqrt() }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Whole part of the binary logarithm: scaling by such powers of two is exact.
fn log2(x: f64) -> f64 {
    if x == 0.0 { f64::NEG_INFINITY } else { x.log2().floor() }
}

/// Extreme eigenvalues by an independent solver, at any scale.
fn spectrum(h: &Mat) -> (f64, f64) {
    let scale = h.amax();
    if scale == 0.0 {
        return (0.0, 0.0);
    }
    let w = (h / scale).symmetric_eigen().eigenvalues * scale;
    (w.min(), w.amax())
}

struct Residuals {
    stationary: f64,
    definite: f64,
    complementary: f64,
    feasible: f64,
}

/// All four, relative: `‖(H+λI)s+g‖`, `−min(0, λ₁+λ, λ)`, `λ(target − ‖s‖)`, `‖s‖ − target`.
fn kkt(h: &Mat, g: &[f64], s: &[f64], lambda: f64, radius: f64, cubic: bool) -> Residuals {
    let (low, norm) = spectrum(h);
    let n = g.len();
    let size = length(s);
    // Terms as unit vectors times a product of lengths over the largest product, so that no scale overflows.
    let largest = log2(norm) + log2(size);
    let largest = largest.max(log2(length(g)));
    let factor = |a: f64, b: f64| {
        let (ea, eb) = (log2(a).max(-1000.0), log2(b).max(-1000.0));
        a * 2f64.powf(-ea) * (b * 2f64.powf(-eb)) * 2f64.powf(ea + eb - largest)
    };
    let (hs, ls, gg) = (factor(norm, size), factor(lambda, size), factor(length(g), 1.0));
    let unit = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
    let r: Vec<f64> = (0..n)
        .map(|i| {
            let row: f64 = (0..n).map(|j| unit(h[(i, j)], norm) * unit(s[j], size)).sum();
            hs * row + ls * unit(s[i], size) + gg * unit(g[i], length(g))
        })
        .collect();
    let scale = hs + gg;
    let over = |a: f64, b: f64| if a <= 0.0 { 0.0 } else { a / b };
    Residuals {
        stationary: over(length(&r), scale),
        definite: over(-(low + lambda).min(lambda), norm),
        complementary: if cubic { 0.0 } else { over((lambda * (1.0 - size / radius)).abs(), norm + lambda) },
        feasible: if cubic {
            // λ = σ‖s‖, radius is 1/σ.
            over((lambda - size / radius).abs(), lambda + norm)
        } else {
            over(size - radius, radius)
        },
    }
}

fn check(h: &Mat, g: &[f64], size: f64, cubic: bool, what: &str) -> (Vec<f64>, f64, Step) {
    let n = g.len();
    let x = vec![0.0; n];
    let mut s = vec![0.0; n];
    let m = model(g, h, &x);
    let (step, lambda) = if cubic {
        let mut solver = CubicLanczos::exact();
        solver.prepare(&m).unwrap();
        (solver.step(&m, size, &mut s).unwrap(), solver.multiplier())
    } else {
        let mut solver = Gltr::exact();
        solver.prepare(&m).unwrap();
        (solver.step(&m, size, &mut s).unwrap(), solver.multiplier())
    };
    let r = kkt(h, g, &s, lambda, size, cubic);
    for (name, value) in
        [("stationary", r.stationary), ("definite", r.definite), ("complementary", r.complementary), ("feasible", r.feasible)]
    {
        assert!(value <= 1e-12, "{what}: {name} {value:e}, lambda {lambda:e}, size {size:e}, n {n}");
    }
    (s, lambda, step)
}

fn random_case(rng: &mut ChaCha8Rng, kind: usize) -> (Mat, Vec<f64>) {
    let n = rng.random_range(1..=20);
    let q = Mat::from_fn(n, n, |_, _| rng.random_range(-1.0..1.0)).qr().q();
    let mut w: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
    match kind {
        1 => w.iter_mut().for_each(|v| *v = v.abs() + 1e-3),
        2 => w.iter_mut().for_each(|v| *v = (*v * 2.0).round()),
        3 => w.iter_mut().for_each(|v| *v = v.abs()),
        4 => (0..n.div_ceil(2)).for_each(|i| w[i] = 0.0),
        5 => w.iter_mut().for_each(|v| *v = -1.0 + 1e-9 * *v),
        6 => w.iter_mut().for_each(|v| *v *= 10f64.powf(-8.0 * v.abs())),
        _ => {}
    }
    let lowest = (0..n).fold(0, |m, i| if w[i] < w[m] { i } else { m });
    let mut c: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
    match kind {
        7 => c[lowest] = 0.0,
        8 => c[lowest] = 10f64.powf(rng.random_range(-18.0..-4.0)),
        9 => c.fill(0.0),
        _ => {}
    }
    let mut h = &q * Mat::from_diagonal(&nalgebra::DVector::from_vec(w)) * q.transpose();
    h = (&h + h.transpose()) * 0.5;
    if kind == 10 {
        h.fill(0.0);
    }
    let g = &q * nalgebra::DVector::from_vec(c);
    (h, g.as_slice().to_vec())
}

#[test]
fn gltr_on_ten_thousand_random_cases_meets_optimality_conditions() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for case in 0..10_000 {
        let kind = case % 12;
        let (h, g) = random_case(&mut rng, kind);
        let size = 10f64.powf(rng.random_range(-3.0..3.0));
        check(&h, &g, size, false, &format!("case {case}, kind {kind}"));
    }
}

#[test]
fn cubic_lanczos_on_ten_thousand_random_cases_meets_optimality_conditions() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for case in 0..10_000 {
        let kind = case % 12;
        let (h, g) = random_case(&mut rng, kind);
        let size = 10f64.powf(rng.random_range(-3.0..3.0));
        check(&h, &g, size, true, &format!("case {case}, kind {kind}"));
    }
}

#[test]
fn both_at_extreme_scales_meet_optimality_conditions() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for case in 0..2400 {
        let kind = case % 12;
        let (h, g) = random_case(&mut rng, kind);
        let mut scale = || 10f64.powi([-150, -75, -12, 0, 12, 75, 150][rng.random_range(0..7)]);
        let (a, b, size) = (scale(), scale(), scale());
        let h = h * a;
        let g: Vec<f64> = g.iter().map(|v| v * b).collect();
        check(&h, &g, size, false, &format!("ball {case}, kind {kind}, scales {a:e} {b:e}"));
        check(&h, &g, size, true, &format!("cubic {case}, kind {kind}, scales {a:e} {b:e}"));
    }
}

fn diagonal(d: &[f64]) -> Mat {
    Mat::from_diagonal(&nalgebra::DVector::from_row_slice(d))
}

#[test]
fn gltr_on_fixed_cases_equals_published_values() {
    let cases: [(&[f64], &[f64], f64, f64); 4] = [
        (&[-2.0, 1.0], &[0.0, 1.0], 2.0, -7.0 / 6.0),
        (&[0.0, -20.0, 0.0], &[1.0, 0.0, -1.0], 20.0, -10.05),
        (&[-2.0, 1.0], &[1.0, 1.0], 3.03224755112299, -2.1245040322069757),
        (&[-1.0, 2.0], &[0.0, 0.0], 1.0, -0.5),
    ];
    for (d, g, lambda, q) in cases {
        let h = diagonal(d);
        let (s, found, step) = check(&h, g, 1.0, false, "fixed");
        let value = dot(g, &s) + 0.5 * (0..d.len()).map(|i| d[i] * s[i] * s[i]).sum::<f64>();
        assert!((found - lambda).abs() <= 1e-13 * lambda, "{found}");
        assert!((value - q).abs() <= 1e-14 * q.abs() && (step.predicted + q).abs() <= 1e-14 * q.abs(), "{value} {step:?}");
    }
}

#[test]
fn cubic_lanczos_on_fixed_cases_equals_published_values() {
    let cases: [(&[f64], &[f64], f64, f64, f64); 3] = [
        (&[-2.0, 1.0], &[0.0, 1.0], 2.0, -25.0 / 6.0, -1.5),
        (&[-2.0, 1.0], &[1.0, 1.0], 2.416832297634849, -8.404310952426814, -3.69868),
        (&[0.0, -20.0, 0.0], &[1.0, 0.0, -1.0], 20.0, -4000.05, -1333.383),
    ];
    for (d, g, lambda, quadratic, cubic) in cases {
        let h = diagonal(d);
        let (s, found, step) = check(&h, g, 1.0, true, "fixed");
        let value = dot(g, &s) + 0.5 * (0..d.len()).map(|i| d[i] * s[i] * s[i]).sum::<f64>();
        assert!((found - lambda).abs() <= 1e-13 * lambda, "{found}");
        assert!((value - quadratic).abs() <= 2e-14 * quadratic.abs(), "{value}");
        let whole = value + length(&s).powi(3) / 3.0;
        assert!((step.predicted + whole).abs() <= 1e-13 * quadratic.abs() && (whole - cubic).abs() < 1e-3, "{step:?}");
    }
}

/// A positive definite matrix with a spread spectrum, by Householder reflection of a diagonal.
fn definite(n: usize) -> Mat {
    let v = nalgebra::DVector::from_fn(n, |i, _| (i as f64 + 1.0).sin());
    let q = Mat::identity(n, n) - (&v * v.transpose()) * (2.0 / v.norm_squared());
    let h = &q * Mat::from_fn(n, n, |i, j| if i == j { 1.0 + i as f64 } else { 0.0 }) * &q;
    (&h + h.transpose()) * 0.5
}

fn gradient(n: usize) -> Vec<f64> {
    (0..n).map(|i| 1.0 + (i as f64 * 0.7).cos()).collect()
}

fn quadratic(h: &Mat, g: &[f64], s: &[f64]) -> f64 {
    let s = nalgebra::DVector::from_row_slice(s);
    nalgebra::DVector::from_row_slice(g).dot(&s) + 0.5 * s.dot(&(h * &s))
}

#[test]
fn cg_plain_and_preconditioned_equal_dense_solve() {
    let (h, g) = (definite(40), gradient(40));
    let want = -h.clone().cholesky().unwrap().solve(&nalgebra::DVector::from_vec(g.clone()));
    let inverse_diagonal = Diagonal((0..40).map(|i| 1.0 / h[(i, i)]).collect());
    for m in [None, Some(&inverse_diagonal as &dyn SymmetricOperator)] {
        let mut cg = Cg::default();
        cg.start(&g, m, usize::MAX / 16).unwrap();
        let end = cg.advance(&h, m, &CgLimits { tolerance: 1e-14, ..Default::default() }).unwrap();
        assert_eq!(end, CgEnd::Converged);
        let error = (nalgebra::DVector::from_row_slice(cg.x()) - &want).norm();
        assert!(error <= 1e-10 * want.norm(), "{error:e}");
        assert!((cg.reduction() + quadratic(&h, &g, cg.x())).abs() <= 1e-12 * cg.reduction());
    }
}

#[test]
fn cg_reports_boundary_negative_curvature_iterations_and_zero() {
    let (h, g) = (definite(20), gradient(20));
    let mut cg = Cg::default();
    cg.start(&g, None, 1 << 20).unwrap();
    assert_eq!(cg.advance(&h, None, &CgLimits { radius: 1e-3, ..Default::default() }).unwrap(), CgEnd::Boundary);
    assert_eq!((cg.iterations(), cg.products()), (0, 1));
    assert_eq!(cg.advance(&h, None, &CgLimits { max_iterations: 4, ..Default::default() }).unwrap(), CgEnd::MaxIterations);
    assert_eq!((cg.iterations(), cg.products()), (4, 4));
    let saddle = Diagonal((0..20).map(|i| i as f64 - 2.5).collect());
    cg.start(&g, None, 1 << 20).unwrap();
    assert_eq!(cg.advance(&saddle, None, &CgLimits::default()).unwrap(), CgEnd::NegativeCurvature);
    let mut product = vec![0.0; 20];
    saddle.apply(cg.direction(), &mut product).unwrap();
    let curvature = dot(cg.direction(), &product);
    assert!(curvature < 0.0 && (cg.curvature().unwrap() - curvature).abs() < 1e-12 * curvature.abs());
    cg.start(&[0.0; 20], None, 1 << 20).unwrap();
    assert_eq!(cg.advance(&h, None, &CgLimits::default()).unwrap(), CgEnd::Converged);
    assert_eq!((cg.products(), cg.x()), (0, &[0.0; 20][..]));
}

#[test]
fn cg_on_bad_input_is_a_typed_error() {
    let g = gradient(3);
    let mut cg = Cg::default();
    cg.start(&g, None, 0).unwrap();
    assert!(matches!(cg.advance(&Diagonal(vec![f64::NAN; 3]), None, &CgLimits::default()), Err(Error::NonFinite { .. })));
    assert!(matches!(cg.advance(&Diagonal(vec![1.0; 2]), None, &CgLimits::default()), Err(Error::Dimension { .. })));
    assert!(matches!(cg.start(&[1.0, f64::NAN], None, 0), Err(Error::NonFinite { .. })));
    assert!(matches!(cg.start(&g, Some(&Diagonal(vec![-1.0; 3])), 0), Err(Error::Unsupported { .. })));
    let x = [0.0; 3];
    let nan = Diagonal(vec![f64::NAN; 3]);
    let m = model(&g, &nan, &x);
    let mut p = [0.0; 3];
    let (mut a, mut b, mut c, mut d) = (Steihaug::default(), TruncatedCg::default(), Gltr::default(), CubicLanczos::default());
    a.prepare(&m).unwrap();
    assert!(matches!(a.step(&m, 1.0, &mut p), Err(Error::NonFinite { .. })));
    assert!(matches!(b.prepare(&m), Err(Error::NonFinite { .. })));
    c.prepare(&m).unwrap();
    assert!(matches!(c.step(&m, 1.0, &mut p), Err(Error::NonFinite { .. })));
    d.prepare(&m).unwrap();
    assert!(matches!(d.step(&m, 1.0, &mut p), Err(Error::NonFinite { .. })));
}

#[test]
fn steihaug_at_every_radius_answers_from_its_path_and_equals_a_fresh_solve() {
    let (h, g) = (definite(30), gradient(30));
    let x = vec![0.0; 30];
    let saddle = {
        let mut s = h.clone();
        s[(29, 29)] -= 60.0;
        s
    };
    for h in [&h, &saddle] {
        let counted = Counted(h, Cell::new(0));
        let m = model(&g, &counted, &x);
        let (mut solver, mut p, mut q) = (Steihaug::with_forcing(1e-10, 0.0), vec![0.0; 30], vec![0.0; 30]);
        solver.prepare(&m).unwrap();
        solver.step(&m, 1e3, &mut p).unwrap();
        let made = counted.1.get();
        for k in 0..40 {
            let size = 10.0 * 0.7f64.powi(k);
            let step = solver.step(&m, size, &mut p).unwrap();
            assert_eq!((counted.1.get(), step.inner), (made, 0), "a smaller radius must cost no product");
            assert!((length(&p) - step.length).abs() <= 1e-13 * step.length && step.length <= size * (1.0 + 1e-14));
            assert!((step.predicted + quadratic(h, &g, &p)).abs() <= 1e-12 * step.predicted, "{step:?}");
            assert!((step.slope - dot(&g, &p)).abs() <= 1e-14 * step.slope.abs());
            let mut fresh = Steihaug::with_forcing(1e-10, 0.0);
            let plain = model(&g, h, &x);
            fresh.prepare(&plain).unwrap();
            let again = fresh.step(&plain, size, &mut q).unwrap();
            assert_eq!((again.predicted, again.length), (step.predicted, step.length));
            assert_eq!(p, q);
            // At least the decrease of the best point along −g.
            let gg = dot(&g, &g);
            let curvature = 2.0 * (quadratic(h, &g, &g) - gg) / gg;
            let t = if curvature > 0.0 { (1.0 / curvature).min(size / gg.sqrt()) } else { size / gg.sqrt() };
            assert!(step.predicted >= (t * gg - 0.5 * t * t * curvature * gg) * (1.0 - 1e-12));
        }
    }
}

#[test]
fn steihaug_continues_for_a_larger_radius_without_repeating_products() {
    let (h, g) = (definite(30), gradient(30));
    let x = vec![0.0; 30];
    let counted = Counted(&h, Cell::new(0));
    let m = model(&g, &counted, &x);
    let (mut solver, mut p) = (Steihaug::with_forcing(1e-12, 0.0), vec![0.0; 30]);
    solver.prepare(&m).unwrap();
    for size in [0.1, 1.0, 2.0, 4.0, 8.0, 100.0] {
        solver.step(&m, size, &mut p).unwrap();
    }
    let made = counted.1.get();
    solver.prepare(&m).unwrap();
    solver.step(&m, 100.0, &mut p).unwrap();
    assert_eq!(counted.1.get(), 2 * made);
    let want = -h.clone().cholesky().unwrap().solve(&nalgebra::DVector::from_vec(g.clone()));
    assert!((nalgebra::DVector::from_vec(p) - &want).norm() <= 1e-10 * want.norm());
}

#[test]
fn steihaug_beyond_its_memory_gives_the_same_steps() {
    let (h, g) = (definite(30), gradient(30));
    let x = vec![0.0; 30];
    let m = model(&g, &h, &x);
    for vectors in [0, 3, 4, 7, 20] {
        let mut small = Steihaug::with_forcing(1e-10, 0.0);
        small.memory = vectors * 8 * 30;
        let mut large = Steihaug::with_forcing(1e-10, 0.0);
        small.prepare(&m).unwrap();
        large.prepare(&m).unwrap();
        let (mut p, mut q) = (vec![0.0; 30], vec![0.0; 30]);
        for size in [50.0, 2.0, 0.9, 1.5, 0.3, 0.05, 40.0, 1.1] {
            let a = small.step(&m, size, &mut p).unwrap();
            let b = large.step(&m, size, &mut q).unwrap();
            assert_eq!((a.predicted, a.length, &p), (b.predicted, b.length, &q), "{vectors} vectors, size {size}");
        }
    }
}

#[test]
fn steihaug_preconditioned_stays_in_the_ball_of_the_preconditioner() {
    let (h, g) = (definite(30), gradient(30));
    let x = vec![0.0; 30];
    let weights: Vec<f64> = (0..30).map(|i| 1.0 + (i % 7) as f64).collect();
    let inverse = Diagonal(weights.iter().map(|w| 1.0 / w).collect());
    let b = With(&h, &inverse);
    let m = model(&g, &b, &x);
    let (mut solver, mut p) = (Steihaug::with_forcing(1e-12, 0.0), vec![0.0; 30]);
    solver.prepare(&m).unwrap();
    for size in [1e3, 2.0, 0.5, 0.01] {
        let step = solver.step(&m, size, &mut p).unwrap();
        let norm = p.iter().zip(&weights).map(|(p, w)| w * p * p).sum::<f64>().sqrt();
        assert!((norm - step.length).abs() <= 1e-10 * norm && norm <= size * (1.0 + 1e-10), "{norm} {step:?}");
        assert!((step.predicted + quadratic(&h, &g, &p)).abs() <= 1e-10 * step.predicted);
        assert!(size > 100.0 || (norm - size).abs() <= 1e-10 * size);
    }
}

#[test]
fn steihaug_of_zero_gradient_and_zero_matrix_and_extreme_scales_is_finite() {
    let x = [0.0; 2];
    let mut p = [1.0; 2];
    let zero = Diagonal(vec![0.0; 2]);
    let mut solver = Steihaug::default();
    let m = model(&[0.0, 0.0], &zero, &x);
    solver.prepare(&m).unwrap();
    let step = solver.step(&m, 1.0, &mut p).unwrap();
    assert_eq!((step.predicted, p), (0.0, [0.0; 2]));
    let m = model(&[3.0, 4.0], &zero, &x);
    solver.prepare(&m).unwrap();
    solver.step(&m, 2.0, &mut p).unwrap();
    assert!((p[0] + 1.2).abs() < 1e-15 && (p[1] + 1.6).abs() < 1e-15);
    for a in [1e-150, 1.0, 1e150] {
        for b in [1e-150, 1.0, 1e150] {
            let h = Diagonal(vec![2.0 * a, 0.5 * a]);
            let g = [b, -b];
            let m = model(&g, &h, &x);
            let mut solver = Steihaug::with_forcing(1e-13, 0.0);
            solver.prepare(&m).unwrap();
            solver.step(&m, 1.0, &mut p).unwrap();
            if b / a < 0.1 {
                assert!((p[0] / (-0.5 * b / a) - 1.0).abs() < 1e-12 && (p[1] / (2.0 * b / a) - 1.0).abs() < 1e-12, "{p:?}");
            } else {
                assert!((length(&p) - 1.0).abs() < 1e-14 && p[0] < 0.0 && p[1] > 0.0, "{p:?}");
            }
        }
    }
}

#[test]
fn steihaug_takes_the_lower_end_of_a_line_of_negative_curvature() {
    // After one step to x₁ the next direction has negative curvature and the point behind is on the far side of the ball.
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut seen = 0;
    for _ in 0..2000 {
        let (h, g) = random_case(&mut rng, 0);
        let n = g.len();
        let mut cg = Cg::default();
        cg.start(&g, None, 1 << 20).unwrap();
        let limits = CgLimits { radius: 3.0, tolerance: 1e-8, max_iterations: 100 };
        let mut p = vec![0.0; n];
        let point = cg.point_within(&h, None, &g, &limits, &mut p).unwrap();
        if point.end != CgEnd::NegativeCurvature {
            continue;
        }
        seen += 1;
        let (base, d) = (cg.x(), cg.direction());
        let (a, b, c) = (dot(d, d), dot(base, d), dot(base, base) - 9.0);
        let root = (b * b - a * c).sqrt();
        let lowest = [(-b + root) / a, (-b - root) / a]
            .map(|t| quadratic(&h, &g, &base.iter().zip(d).map(|(x, d)| x + t * d).collect::<Vec<_>>()));
        let found = quadratic(&h, &g, &p);
        assert!((found - lowest[0].min(lowest[1])).abs() <= 1e-9 * found.abs(), "{found} {lowest:?}");
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn truncated_cg_on_definite_matrix_is_newton_and_predicts_every_length() {
    let (h, g) = (definite(30), gradient(30));
    let x = vec![0.0; 30];
    let m = model(&g, &h, &x);
    let (mut solver, mut p) = (TruncatedCg::with_forcing(1e-13, 0.0), vec![0.0; 30]);
    solver.prepare(&m).unwrap();
    let step = solver.step(&m, 1.0, &mut p).unwrap();
    let want = -h.clone().cholesky().unwrap().solve(&nalgebra::DVector::from_vec(g.clone()));
    assert!((nalgebra::DVector::from_row_slice(&p) - &want).norm() <= 1e-10 * want.norm());
    assert!((step.slope - dot(&g, &p)).abs() <= 1e-13 * step.slope.abs() && step.inner > 0);
    for size in [0.25, 1.0, 1.7, 3.0] {
        let step = solver.step(&m, size, &mut p).unwrap();
        assert!((step.predicted + quadratic(&h, &g, &p)).abs() <= 1e-11 * step.predicted.abs().max(1.0));
        assert!((step.length - length(&p)).abs() <= 1e-13 * step.length && step.inner == 0);
    }
}

#[test]
fn truncated_cg_direction_always_descends_and_reports_negative_curvature() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for case in 0..3000 {
        let (h, g) = random_case(&mut rng, case % 12);
        if length(&g) == 0.0 {
            continue;
        }
        let n = g.len();
        let x = vec![1.0; n];
        let m = model(&g, &h, &x);
        let (mut solver, mut p) = (TruncatedCg::default(), vec![0.0; n]);
        solver.prepare(&m).unwrap();
        let step = solver.step(&m, 1.0, &mut p).unwrap();
        assert!(step.slope < 0.0 && step.length > 0.0 && step.length.is_finite(), "{case} {step:?}");
        // Along a nearly flat direction the step is long, and ½ pᵀHp itself is known to rounding of H only.
        let bound = 1e-10 * step.predicted.abs().max(step.slope.abs()) + 1e-14 * h.norm() * step.length * step.length;
        let error = (step.predicted + quadratic(&h, &g, &p)).abs();
        assert!(error <= bound, "{case} {step:?} {error:e} {bound:e}");
    }
    let x = [0.0; 2];
    let h = Diagonal(vec![-4.0, -4.0]);
    let m = model(&[2.0, 0.0], &h, &x);
    let (mut solver, mut p) = (TruncatedCg::default(), [0.0; 2]);
    solver.prepare(&m).unwrap();
    let step = solver.step(&m, 1.0, &mut p).unwrap();
    assert_eq!((p, solver.curvature(), step.predicted), ([-0.5, 0.0], -1.0, 1.5));
}

#[test]
fn gltr_answers_other_radii_from_its_basis() {
    let (h, g) = (definite(30), gradient(30));
    let x = vec![0.0; 30];
    let counted = Counted(&h, Cell::new(0));
    let m = model(&g, &counted, &x);
    let (mut ball, mut cubic, mut p) = (Gltr::exact(), CubicLanczos::exact(), vec![0.0; 30]);
    ball.prepare(&m).unwrap();
    ball.step(&m, 10.0, &mut p).unwrap();
    let made = counted.1.get();
    assert!(made <= 30);
    for size in [1.0, 0.1, 1e-4, 3.0] {
        let step = ball.step(&m, size, &mut p).unwrap();
        assert_eq!((counted.1.get(), step.inner), (made, 0));
        let r = kkt(&h, &g, &p, ball.multiplier(), size, false);
        assert!(r.stationary <= 1e-12 && r.feasible <= 1e-13 && r.complementary <= 1e-12);
        assert!((step.predicted + quadratic(&h, &g, &p)).abs() <= 1e-12 * step.predicted);
    }
    cubic.prepare(&m).unwrap();
    for size in [10.0, 1.0, 1e-4] {
        cubic.step(&m, size, &mut p).unwrap();
        let r = kkt(&h, &g, &p, cubic.multiplier(), size, true);
        assert!(r.stationary <= 1e-12 && r.feasible <= 1e-12);
    }
    assert_eq!(counted.1.get(), 2 * made);
}

#[test]
fn gltr_with_forcing_spends_fewer_products_and_stays_better_than_steihaug_on_saddles() {
    let d: Vec<f64> = (0..400).map(|i| -1.0 + i as f64 * 0.05).collect();
    let h = DenseMatrix::new(400, Mat::from_diagonal(&nalgebra::DVector::from_vec(d)).as_slice().to_vec()).unwrap();
    let (g, x) = (gradient(400), vec![0.0; 400]);
    let m = model(&g, &h, &x);
    let mut p = vec![0.0; 400];
    let (mut rough, mut exact, mut conjugate) = (Gltr::default(), Gltr::exact(), Steihaug::default());
    rough.prepare(&m).unwrap();
    exact.prepare(&m).unwrap();
    conjugate.prepare(&m).unwrap();
    let a = rough.step(&m, 20.0, &mut p).unwrap();
    let b = exact.step(&m, 20.0, &mut p).unwrap();
    let c = conjugate.step(&m, 20.0, &mut p).unwrap();
    assert!(a.inner < b.inner && b.predicted >= a.predicted && a.predicted > 0.9 * b.predicted, "{a:?} {b:?}");
    assert!(a.predicted > c.predicted, "{a:?} {c:?}");
    let mut limited = Gltr::exact();
    limited.max_iterations = Some(3);
    limited.prepare(&m).unwrap();
    let step = limited.step(&m, 1.0, &mut p).unwrap();
    assert!(step.inner == 3 && step.predicted > 0.0 && (length(&p) - 1.0).abs() < 1e-12, "{step:?}");
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    for (max, exponent) in [(0.0, 0.5), (1.0, 0.5), (f64::NAN, 0.5), (0.1, -1.0), (0.1, f64::NAN)] {
        assert!(matches!(Steihaug::with_forcing(max, exponent).validate(), Err(Error::Config { .. })));
        assert!(matches!(TruncatedCg::with_forcing(max, exponent).validate(), Err(Error::Config { .. })));
        assert!(matches!(Gltr::with_forcing(max, exponent).validate(), Err(Error::Config { .. })));
        assert!(matches!(CubicLanczos::with_forcing(max, exponent).validate(), Err(Error::Config { .. })));
    }
    let (mut a, mut b) = (Gltr::default(), Steihaug::default());
    a.tolerance = Some(2.0);
    b.max_iterations = Some(0);
    assert!(a.validate().is_err() && b.validate().is_err());
    assert!(Steihaug::default().validate().is_ok() && Gltr::exact().validate().is_ok());
}

/// The reduction for one size by a solver that starts afresh.
fn reduction<S: Subproblem>(mut solver: S, b: &dyn SymmetricOperator, g: &[f64], size: f64) -> (f64, Vec<f64>) {
    let (x, mut p) = (vec![0.0; g.len()], vec![0.0; g.len()]);
    let m = model(g, b, &x);
    solver.prepare(&m).unwrap();
    (solver.step(&m, size, &mut p).unwrap().predicted, p)
}

#[test]
fn lanczos_solvers_see_the_negative_curvature_outside_the_gradients_invariant_subspace() {
    let b = Diagonal(vec![1.0, 5.0, -0.5]);
    let g = [1.0, 0.0, 0.0];
    // λ = ½: p₁ = −1/1.5, and the reduction is ½ (γ |p₁| + λ Δ²).
    let expected = 0.5 / 1.5 + 0.25 * 100.0;
    for solver in [Gltr::default(), Gltr::exact()] {
        let (found, p) = reduction(solver, &b, &g, 10.0);
        assert!((found - expected).abs() < 1e-13 * expected, "{found} {p:?}");
        assert!((p[0] + 2.0 / 3.0).abs() < 1e-14 && p[1].abs() < 1e-7);
    }
    for size in [0.1, 1.0, 10.0] {
        let (expected, _) = reduction(CubicExact::default(), &b, &g, size);
        for solver in [CubicLanczos::default(), CubicLanczos::exact()] {
            let (found, _) = reduction(solver, &b, &g, size);
            assert!((found - expected).abs() < 1e-13 * expected, "{size}: {found} {expected}");
        }
    }
}

#[test]
fn lanczos_solvers_in_every_invariant_subspace_find_what_the_dense_solvers_find() {
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    for case in 0..4000 {
        let n = rng.random_range(2..=12);
        // Eigenvalues with many copies, whole numbers and halves, zero among them, or all different.
        let w: Vec<f64> = (0..n)
            .map(|_| match case % 4 {
                0 => rng.random_range(-2i32..=4) as f64,
                1 => [1.0, -0.5][usize::from(rng.random_range(0..4) == 0)],
                2 => 10f64.powi(rng.random_range(-3..=3)) * [1.0, -1.0][rng.random_range(0..2)],
                _ => rng.random_range(-1.0..2.0),
            })
            .collect();
        // The gradient in a subspace of some axes, in one only for a half of the cases.
        let single = rng.random_range(0..n);
        let alone = case % 8 < 4;
        let c: Vec<f64> = (0..n)
            .map(|i| if i == single || (!alone && rng.random_range(0..2) == 0) { rng.random_range(0.5..2.0) } else { 0.0 })
            .collect();
        let rotated = rng.random_range(0..2) == 0;
        let q = if rotated { Mat::from_fn(n, n, |_, _| rng.random_range(-1.0..1.0)).qr().q() } else { Mat::identity(n, n) };
        let mut h = &q * Mat::from_diagonal(&nalgebra::DVector::from_vec(w.clone())) * q.transpose();
        h = (&h + h.transpose()) * 0.5;
        let g = (&q * nalgebra::DVector::from_vec(c.clone())).as_slice().to_vec();
        let size = 10f64.powf(rng.random_range(-2.0..2.0));
        let ball = reduction(MoreSorensen::default(), &h, &g, size);
        let cubic = reduction(CubicExact::default(), &h, &g, size);
        let agree = |name: &str, (found, _): (f64, Vec<f64>), (expected, p): &(f64, Vec<f64>), tolerance: f64| {
            // Entries of H are known to rounding.
            let allowed = tolerance * expected + 1e-14 * h.norm() * length(p).powi(2);
            let gap = (found - expected).abs();
            assert!(gap <= allowed, "case {case} {name}: {found} {expected}, size {size}, {w:?} {c:?}");
        };
        agree("exact ball", reduction(Gltr::exact(), &h, &g, size), &ball, 1e-11);
        agree("exact cubic", reduction(CubicLanczos::exact(), &h, &g, size), &cubic, 1e-11);
        if alone {
            agree("ball", reduction(Gltr::default(), &h, &g, size), &ball, 1e-6);
            agree("cubic", reduction(CubicLanczos::default(), &h, &g, size), &cubic, 1e-6);
        }
    }
}

#[test]
fn cubic_lanczos_predicts_the_decrease_of_the_cubic_model() {
    let mut rng = ChaCha8Rng::seed_from_u64(37);
    for case in 0..500 {
        let (h, g) = random_case(&mut rng, case % 12);
        let size = 10f64.powf(rng.random_range(-2.0..2.0));
        for solver in [CubicLanczos::exact(), CubicLanczos::with_forcing(1e-12, 0.0)] {
            let (predicted, p) = reduction(solver, &h, &g, size);
            let decrease = -quadratic(&h, &g, &p) - length(&p).powi(3) / (3.0 * size);
            let terms = length(&g) * length(&p) + h.norm() * length(&p).powi(2);
            assert!((predicted - decrease).abs() <= 1e-11 * terms, "{case}: {predicted} {decrease}");
        }
    }
}

/// Three models of a run in units where `f` is multiplied by `2^c` and `x` by `2^s`; the steps and reductions turned back.
fn in_units<S: Subproblem>(mut solver: S, kind: usize, c: i32, s: i32, size_power: i32) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(kind as u64);
    let mut told = Vec::new();
    solver.begin();
    for round in 0..3 {
        let n = 14;
        let mut h = Mat::from_fn(n, n, |_, _| rng.random_range(-1.0..1.0));
        h = if kind == 0 { &h * h.transpose() } else { (&h + h.transpose()) * 0.5 };
        if kind == 2 {
            h -= Mat::identity(n, n) * 2.0;
        }
        let unit = |v: &f64, power: i32| v * 2f64.powi(power);
        let g: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0) * 0.03f64.powi(round)).collect();
        let x: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
        let x: Vec<f64> = if kind == 2 && round == 0 { vec![0.0; n] } else { x.iter().map(|v| unit(v, s)).collect() };
        let g: Vec<f64> = g.iter().map(|v| unit(v, c - s)).collect();
        let h = h.map(|v| unit(&v, c - 2 * s));
        let m = model(&g, &h, &x);
        solver.prepare(&m).unwrap();
        for size in [1.0, 0.25, 0.01] {
            let mut p = vec![0.0; n];
            let step = solver.step(&m, unit(&size, size_power), &mut p).unwrap();
            told.extend(p.iter().map(|p| unit(p, -s)));
            told.extend([unit(&step.predicted, -c), step.inner as f64]);
        }
    }
    told
}

#[test]
fn krylov_steps_in_other_units_of_cost_and_variables_are_the_same_bit_for_bit() {
    for kind in 0..3 {
        let cg = in_units(TruncatedCg::default(), kind, 0, 0, 0);
        let steihaug = in_units(Steihaug::default(), kind, 0, 0, 0);
        let gltr = in_units(Gltr::default(), kind, 0, 0, 0);
        let cubic = in_units(CubicLanczos::default(), kind, 0, 0, 0);
        for c in [-330, -66, 66, 330] {
            for s in [-18, 0, 18] {
                assert_eq!(in_units(TruncatedCg::default(), kind, c, s, 0), cg, "{kind} {c} {s}");
                assert_eq!(in_units(Steihaug::default(), kind, c, s, s), steihaug, "{kind} {c} {s}");
                assert_eq!(in_units(Gltr::default(), kind, c, s, s), gltr, "{kind} {c} {s}");
                assert_eq!(in_units(CubicLanczos::default(), kind, c, s, 3 * s - c), cubic, "{kind} {c} {s}");
            }
        }
    }
}

/// `2^c f(2^-s x)`.
struct InUnits {
    function: Arc<dyn Function>,
    c: i32,
    s: i32,
}

impl InUnits {
    fn inner(&self, x: &[f64]) -> Vec<f64> {
        x.iter().map(|x| x * 2f64.powi(-self.s)).collect()
    }
}

impl Function for InUnits {
    fn dim(&self) -> usize {
        self.function.dim()
    }
    fn cost(&self, x: &[f64]) -> curvkit::Result<f64> {
        Ok(self.function.cost(&self.inner(x))? * 2f64.powi(self.c))
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        self.function.gradient(&self.inner(x), out)?;
        out.iter_mut().for_each(|g| *g *= 2f64.powi(self.c - self.s));
        Ok(())
    }
    fn hessian(&self, _: &[f64]) -> curvkit::Result<HessianMatrix> {
        Err(Error::Unsupported { what: "this function", requirement: "products" })
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        self.function.hessian_product(&self.inner(x), v, out)?;
        out.iter_mut().for_each(|h| *h *= 2f64.powi(self.c - 2 * self.s));
        Ok(())
    }
}

/// Where some iterations lead from the start of a test problem, turned back into its own units.
fn run_in_units(name: &str, method: &str, c: i32, s: i32) -> Vec<f64> {
    let problem = curvkit::testbed::problem(name, None).unwrap();
    let start: Vec<f64> = problem.start.iter().map(|x| x * 2f64.powi(s)).collect();
    let erased = Erased(Arc::new(InUnits { function: problem.function, c, s }));
    macro_rules! run {
        ($method:ident, $solver:ident => $first:block) => {{
            let mut $solver = methods::$method();
            $first($solver.stopping.gtol_rel, $solver.stopping.decrease) = (0.0, 0.0);
            ($solver.certify, $solver.escape_saddles) = (false, false);
            $solver.minimize(&erased, start, 12).unwrap().x
        }};
    }
    // The first sizes are given: what is asked for here is what the subproblems make of them.
    let radius = Some(0.5 * 2f64.powi(s));
    let x = match method {
        "newton_cg" => run!(newton_cg, solver => {}),
        "steihaug" => run!(trust_region_steihaug, solver => { solver.globalization.initial_radius = radius }),
        "gltr" => run!(trust_region_gltr, solver => { solver.globalization.initial_radius = radius }),
        _ => run!(cubic_lanczos, solver => {
            solver.globalization.initial_weight = Some(2f64.powi(c - 3 * s));
            solver.globalization.min_weight = 1e-10 * 2f64.powi(c - 3 * s);
        }),
    };
    x.iter().map(|x| x * 2f64.powi(-s)).collect()
}

#[test]
fn inexact_methods_in_other_units_of_cost_and_variables_take_the_same_steps_bit_for_bit() {
    for name in ["rosenbrock", "beale", "wood", "biggs_exp6"] {
        for method in ["newton_cg", "steihaug", "gltr", "cubic"] {
            let plain = run_in_units(name, method, 0, 0);
            for c in [-330, -66, 66, 330] {
                for s in [-18, 0, 18] {
                    assert_eq!(run_in_units(name, method, c, s), plain, "{name} {method} 2^{c} 2^{s}");
                }
            }
        }
    }
}

/// `scale (x² + 2y² + 3z² + xy)`.
struct Bowl(f64);

impl Function for Bowl {
    fn dim(&self) -> usize {
        3
    }
    fn cost(&self, x: &[f64]) -> curvkit::Result<f64> {
        Ok(self.0 * (x[0] * x[0] + 2.0 * x[1] * x[1] + 3.0 * x[2] * x[2] + x[0] * x[1]))
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        self.hessian_product(x, x, out)
    }
    fn hessian(&self, _: &[f64]) -> curvkit::Result<HessianMatrix> {
        Err(Error::Unsupported { what: "this function", requirement: "products" })
    }
    fn hessian_product(&self, _: &[f64], v: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        out.copy_from_slice(&[2.0 * v[0] + v[1], v[0] + 4.0 * v[1], 6.0 * v[2]].map(|w| self.0 * w));
        Ok(())
    }
}

#[test]
fn runs_on_subnormal_zero_huge_and_broken_functions_end() {
    for scale in [0.0, 5e-324, 1e-320, 1e-310, 1e-300, 1e-160, 1.0, 1e160, 1e300, 1e307, f64::INFINITY, f64::NAN] {
        let bowl = Erased(Arc::new(Bowl(scale)));
        macro_rules! ends {
            ($($method:ident),*) => {$(
                let found = methods::$method().minimize(&bowl, vec![1.0; 3], 200);
                match found {
                    Ok(found) => assert!(found.x.iter().all(|x| x.is_finite()), "{scale:e} {}", stringify!($method)),
                    Err(_) => assert!(!scale.is_finite(), "{scale:e} {}", stringify!($method)),
                }
            )*};
        }
        ends!(newton_cg, trust_region_steihaug, trust_region_gltr, cubic_lanczos);
    }
}
