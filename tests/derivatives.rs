//! One function, four ways to its derivatives: by hand, by dual numbers, by elements, from a text.
#![cfg(all(feature = "autodiff", feature = "expression"))]

use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use curvkit::Result;
use curvkit::linalg::operator::{DenseMatrix, write_dense};
use curvkit::problem::{
    AutoDiff, AutoElement, DualElement, DualFunction, DualNum, Elements, Erased, Expression, Function, HessianMatrix, check,
};
use std::sync::Arc;

/// `Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²`.
struct Rosenbrock(usize);
impl DualElement<2> for Rosenbrock {
    fn eval<D: DualNum<f64> + Copy>(&self, _: usize, &[a, b]: &[D; 2]) -> D {
        (b - a * a).powi(2) * 100.0 + (a - 1.0).powi(2)
    }
}
impl DualFunction for Rosenbrock {
    fn dim(&self) -> usize {
        self.0
    }
    fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D {
        x.windows(2).enumerate().map(|(k, w)| DualElement::eval(self, k, &[w[0], w[1]])).sum()
    }
}
impl Function for Rosenbrock {
    fn dim(&self) -> usize {
        self.0
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        Ok(x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2)).sum())
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        out.fill(0.0);
        for i in 0..x.len() - 1 {
            let r = x[i + 1] - x[i] * x[i];
            out[i] += -400.0 * x[i] * r - 2.0 * (1.0 - x[i]);
            out[i + 1] += 200.0 * r;
        }
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        let n = x.len();
        let mut h = vec![0.0; n * n];
        for i in 0..n - 1 {
            h[i * n + i] += 1200.0 * x[i] * x[i] - 400.0 * x[i + 1] + 2.0;
            h[(i + 1) * n + i + 1] += 200.0;
            h[i * n + i + 1] -= 400.0 * x[i];
            h[(i + 1) * n + i] -= 400.0 * x[i];
        }
        Ok(HessianMatrix::Dense(DenseMatrix::new(n, h)?))
    }
}

/// `Σ exp(sin(xᵢ) cos(xᵢ₊₁)) + ln(1 + xᵢ²) tanh(xᵢ₊₂)`.
struct Transcendental(usize);
impl DualElement<3> for Transcendental {
    fn eval<D: DualNum<f64> + Copy>(&self, _: usize, &[a, b, c]: &[D; 3]) -> D {
        (a.sin() * b.cos()).exp() + (a * a + 1.0).ln() * c.tanh()
    }
}
impl DualFunction for Transcendental {
    fn dim(&self) -> usize {
        self.0
    }
    fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D {
        x.windows(3).enumerate().map(|(k, w)| DualElement::eval(self, k, &[w[0], w[1], w[2]])).sum()
    }
}
impl Function for Transcendental {
    fn dim(&self) -> usize {
        self.0
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        Ok(x.windows(3).map(|w| (w[0].sin() * w[1].cos()).exp() + (1.0 + w[0] * w[0]).ln() * w[2].tanh()).sum())
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        out.fill(0.0);
        for i in 0..x.len() - 2 {
            let (a, b, c) = (x[i], x[i + 1], x[i + 2]);
            let e = (a.sin() * b.cos()).exp();
            out[i] += e * a.cos() * b.cos() + 2.0 * a / (1.0 + a * a) * c.tanh();
            out[i + 1] -= e * a.sin() * b.sin();
            out[i + 2] += (1.0 + a * a).ln() / c.cosh().powi(2);
        }
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        let n = x.len();
        let mut h = vec![0.0; n * n];
        for i in 0..n - 2 {
            let (a, b, c) = (x[i], x[i + 1], x[i + 2]);
            let (e, s) = ((a.sin() * b.cos()).exp(), 1.0 + a * a);
            let (u, v) = (a.cos() * b.cos(), -a.sin() * b.sin());
            let mut add = |p: usize, q: usize, value: f64| {
                h[(i + p) * n + i + q] += value;
                if p != q {
                    h[(i + q) * n + i + p] += value;
                }
            };
            add(0, 0, e * (u * u - a.sin() * b.cos()) + 2.0 * (1.0 - a * a) / (s * s) * c.tanh());
            add(1, 1, e * (v * v - a.sin() * b.cos()));
            add(0, 1, e * (u * v - a.cos() * b.sin()));
            add(0, 2, 2.0 * a / s / c.cosh().powi(2));
            add(2, 2, -2.0 * s.ln() * c.tanh() / c.cosh().powi(2));
        }
        Ok(HessianMatrix::Dense(DenseMatrix::new(n, h)?))
    }
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-12 * scale, "{what} [{i}]: {a} instead of {b}");
    }
}

/// Value, gradient, a product and the Hessian of `other` against those of `reference` at `x`.
fn assert_same_at(name: &str, other: &dyn Function, reference: &dyn Function, x: &[f64]) {
    let n = reference.dim();
    assert_eq!(other.dim(), n, "{name}");
    let v: Vec<f64> = (0..n).map(|i| (0.9 * i as f64 - x[0]).cos()).collect();
    assert_close(&format!("{name} value"), &[other.cost(x).unwrap()], &[reference.cost(x).unwrap()]);
    let (mut a, mut b) = (vec![7.0; n], vec![7.0; n]);
    other.gradient(x, &mut a).unwrap();
    reference.gradient(x, &mut b).unwrap();
    assert_close(&format!("{name} gradient"), &a, &b);
    other.hessian_product(x, &v, &mut a).unwrap();
    reference.hessian_product(x, &v, &mut b).unwrap();
    assert_close(&format!("{name} product"), &a, &b);
    let (mut a, mut b) = (vec![7.0; n * n], vec![7.0; n * n]);
    write_dense(&other.hessian(x).unwrap(), &mut a).unwrap();
    write_dense(&reference.hessian(x).unwrap(), &mut b).unwrap();
    assert_close(&format!("{name} Hessian"), &a, &b);
}

fn assert_same(name: &str, other: &dyn Function, reference: &dyn Function) {
    for shift in [0.0, 0.9, 2.0] {
        let x: Vec<f64> = (0..reference.dim()).map(|i| (1.7 * i as f64 + shift).sin() * 1.5).collect();
        assert_same_at(name, other, reference, &x);
    }
}

fn chain(n: usize) -> Elements {
    Elements::builder(n).group(AutoElement(Rosenbrock(n)), (0..n - 1).map(|i| [i, i + 1])).build().unwrap()
}

#[test]
fn chained_rosenbrock_is_the_same_in_all_four_forms() {
    for n in [2, 5, 13, 40] {
        let term = |i: usize| format!("100*(x{} - x{i}^2)^2 + (1 - x{i})^2", i + 1);
        let text = (1..n).map(term).collect::<Vec<_>>().join(" + ");
        assert_same("dual numbers", &AutoDiff::new(Rosenbrock(n)), &Rosenbrock(n));
        assert_same("elements", &chain(n), &Rosenbrock(n));
        assert_same("text", &Expression::parse(&text).unwrap(), &Rosenbrock(n));
    }
}

#[test]
fn transcendental_function_is_the_same_in_all_four_forms() {
    for n in [3, 6, 21] {
        let term = |i: usize| format!("exp(sin(x{i})*cos(x{})) + ln(1 + x{i}^2)*tanh(x{})", i + 1, i + 2);
        let text = (1..n - 1).map(term).collect::<Vec<_>>().join(" + ");
        let element = AutoElement(Transcendental(n));
        let elements = Elements::builder(n).group(element, (0..n - 2).map(|i| [i, i + 1, i + 2])).build().unwrap();
        assert_same("dual numbers", &AutoDiff::new(Transcendental(n)), &Transcendental(n));
        assert_same("elements", &elements, &Transcendental(n));
        assert_same("text", &Expression::parse(&text).unwrap(), &Transcendental(n));
    }
}

/// The function of a given name, of `u = 0.3 + 0.4 x y`, by dual numbers.
struct Named(&'static str);
impl DualFunction for Named {
    fn dim(&self) -> usize {
        2
    }
    fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D {
        let (x, y) = (x[0], x[1]);
        let u = x * y * 0.4 + 0.3;
        match self.0 {
            "sin(u)" => u.sin(),
            "cos(u)" => u.cos(),
            "tan(u)" => u.tan(),
            "asin(u)" => u.asin(),
            "acos(u)" => u.acos(),
            "atan(u)" => u.atan(),
            "sinh(u)" => u.sinh(),
            "cosh(u)" => u.cosh(),
            "tanh(u)" => u.tanh(),
            "asinh(u)" => u.asinh(),
            "acosh(1 + u)" => (u + 1.0).acosh(),
            "atanh(u)" => u.atanh(),
            "exp(u)" => u.exp(),
            "expm1(u)" => u.exp_m1(),
            "log(u)" => u.ln(),
            "log2(u)" => u.log2(),
            "log10(u)" => u.log10(),
            "log1p(u)" => u.ln_1p(),
            "sqrt(u)" => u.sqrt(),
            "cbrt(u)" => u.cbrt(),
            "abs(u - 1)" => (u - 1.0).abs(),
            "atan2(u, x)" => u.atan2(x),
            "u^y" => u.powd(y),
            "x/u" => x / u,
            "u^1.5" => u.powf(1.5),
            other => panic!("{other} has no counterpart"),
        }
    }
}

#[test]
fn every_function_of_a_text_agrees_with_dual_numbers() {
    let all = "sin(u); cos(u); tan(u); asin(u); acos(u); atan(u); sinh(u); cosh(u); tanh(u); asinh(u); acosh(1 + u); atanh(u); \
        exp(u); expm1(u); log(u); log2(u); log10(u); log1p(u); sqrt(u); cbrt(u); abs(u - 1); atan2(u, x); u^y; x/u; u^1.5";
    for name in all.split("; ") {
        // The name `u` stands in no function's name but in `u` itself.
        let text = Expression::parse(&name.replace('u', "(0.3 + 0.4*x*y)")).unwrap();
        for x in [[0.9, 1.3], [-0.2, 0.8]] {
            assert_same_at(name, &text, &AutoDiff::new(Named(name)), &x);
        }
    }
}

/// Chained Rosenbrock with an error planted in one gradient entry or one pair of Hessian entries.
#[derive(Default)]
struct Planted {
    gradient: f64,
    hessian: f64,
}
impl CostFunction for Planted {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
        Ok(Function::cost(&Rosenbrock(x.len()), x)?)
    }
}
impl Gradient for Planted {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
        let mut g = vec![0.0; x.len()];
        Function::gradient(&Rosenbrock(x.len()), x, &mut g)?;
        g[4] += self.gradient;
        Ok(g)
    }
}
impl Hessian for Planted {
    type Param = Vec<f64>;
    type Hessian = nalgebra::DMatrix<f64>;
    fn hessian(&self, x: &Vec<f64>) -> std::result::Result<nalgebra::DMatrix<f64>, ArgminError> {
        let n = x.len();
        let mut h = nalgebra::DMatrix::zeros(n, n);
        write_dense(&Function::hessian(&Rosenbrock(n), x)?, h.as_mut_slice())?;
        h[(6, 7)] += self.hessian;
        h[(7, 6)] += self.hessian;
        Ok(h)
    }
}

#[test]
fn checker_names_the_planted_entry_and_nothing_else() {
    let x: Vec<f64> = (0..10).map(|i| (i as f64).sin()).collect();
    assert!(check::derivatives(&Planted::default(), &x).unwrap().passed());
    let gradient = check::gradient(&Planted { gradient: 0.01, ..Default::default() }, &x).unwrap();
    assert_eq!(gradient.offenders.iter().map(|e| e.row).collect::<Vec<_>>(), [4]);
    let report = check::derivatives(&Planted { hessian: 0.01, ..Default::default() }, &x).unwrap();
    let mut places: Vec<_> = report.checks[1].offenders.iter().map(|e| (e.row, e.column)).collect();
    places.sort_unstable();
    assert_eq!(places, [(6, Some(7)), (7, Some(6))]);
    assert!(report.checks[0].passed() && report.checks[2].passed());
}

#[test]
fn checker_passes_elements_entry_by_entry_and_by_directions() {
    for n in [12, 700] {
        let x: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let report = check::derivatives(&chain(n), &x).unwrap();
        assert!(report.passed() && report.checks.iter().all(|c| c.compared > 0), "{report}");
        assert!(check::hessian_product(&chain(n), &x).unwrap().passed());
        assert!(check::derivatives(&Erased(Arc::new(chain(n))), &x).unwrap().passed());
    }
}
