//! Krylov subproblem solvers against their optimality conditions, closed forms, and the failures they must survive.

use curvkit::Error;
use curvkit::linalg::SymmetricOperator;
use curvkit::linalg::krylov::{Cg, CgEnd, CgLimits};
use curvkit::linalg::operator::{DenseMatrix, Diagonal};
use curvkit::second_order::subproblem::{CubicLanczos, Gltr, Model, Steihaug, Step, Subproblem, TruncatedCg};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;

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
