//! Problems 13 to 16: four variables.

use crate::error::Result;
use crate::testbed::{ResidualFunction, Terms, TestProblem, check_dim};

/// MGH 13, Powell singular: `r = (x₁ + 10 x₂, √5 (x₃ − x₄), (x₂ − 2x₃)², √10 (x₁ − x₄)²)`, start `(3, −1, 0, 1)`, `f = 0` at
/// the origin, where the Hessian has rank 2.
pub(super) fn powell_singular(n: usize) -> Result<TestProblem> {
    check_dim(n == 4, "4", n)?;
    let problem = TestProblem::least_squares(
        "powell_singular",
        "MGH 13: Powell singular",
        PowellSingular,
        vec![3.0, -1.0, 0.0, 1.0],
        vec![0.0],
    )?;
    Ok(problem.with_solution(vec![0.0; 4]).with_condition(f64::INFINITY))
}

struct PowellSingular;

impl ResidualFunction for PowellSingular {
    fn n(&self) -> usize {
        4
    }
    fn m(&self) -> usize {
        4
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c, d] = x else { return };
        powell_block([a, b, c, d], 0, terms);
    }
}

/// The four residuals of Powell's singular function in the variables from index `at` on.
#[inline]
pub(super) fn powell_block([a, b, c, d]: [f64; 4], at: usize, terms: &mut impl Terms) {
    let (root5, root10) = (5_f64.sqrt(), 10_f64.sqrt());
    let (p, q) = (b - 2.0 * c, a - d);
    terms.local(a + 10.0 * b, [at, at + 1], [1.0, 10.0], &[]);
    terms.local(root5 * (c - d), [at + 2, at + 3], [root5, -root5], &[]);
    terms.local(p * p, [at + 1, at + 2], [2.0 * p, -4.0 * p], &[2.0, -4.0, 8.0]);
    let slope = 2.0 * root10 * q;
    terms.local(root10 * q * q, [at, at + 3], [slope, -slope], &[2.0 * root10, -2.0 * root10, 2.0 * root10]);
}

/// MGH 14, Wood: `r = (10 (x₂ − x₁²), 1 − x₁, √90 (x₄ − x₃²), 1 − x₃, √10 (x₂ + x₄ − 2), (x₂ − x₄)/√10)`, start
/// `(−3, −1, −3, −1)`, `f = 0` at `(1, 1, 1, 1)`.
pub(super) fn wood(n: usize) -> Result<TestProblem> {
    check_dim(n == 4, "4", n)?;
    let problem = TestProblem::least_squares("wood", "MGH 14: Wood", Wood, vec![-3.0, -1.0, -3.0, -1.0], vec![0.0])?;
    Ok(problem.with_solution(vec![1.0; 4]).with_condition(1397.95656541))
}

struct Wood;

impl ResidualFunction for Wood {
    fn n(&self) -> usize {
        4
    }
    fn m(&self) -> usize {
        6
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c, d] = x else { return };
        let (root90, root10) = (90_f64.sqrt(), 10_f64.sqrt());
        terms.local(10.0 * (b - a * a), [0, 1], [-20.0 * a, 10.0], &[-20.0, 0.0, 0.0]);
        terms.local(1.0 - a, [0], [-1.0], &[]);
        terms.local(root90 * (d - c * c), [2, 3], [-2.0 * root90 * c, root90], &[-2.0 * root90, 0.0, 0.0]);
        terms.local(1.0 - c, [2], [-1.0], &[]);
        terms.local(root10 * (b + d - 2.0), [1, 3], [root10, root10], &[]);
        terms.local((b - d) / root10, [1, 3], [1.0 / root10, -1.0 / root10], &[]);
    }
}

/// MGH 15, Kowalik and Osborne: `rᵢ = yᵢ − x₁ (uᵢ² + uᵢ x₂)/(uᵢ² + uᵢ x₃ + x₄)`, start `(0.25, 0.39, 0.415, 0.39)`,
/// `f = 3.07505…e−4` at `(0.1928…, 0.1912…, 0.1230…, 0.1360…)`; `1.02734…e−3` at infinity.
pub(super) fn kowalik_osborne(n: usize) -> Result<TestProblem> {
    check_dim(n == 4, "4", n)?;
    let problem = TestProblem::least_squares(
        "kowalik_osborne",
        "MGH 15: Kowalik and Osborne",
        KowalikOsborne,
        vec![0.25, 0.39, 0.415, 0.39],
        vec![3.0750560384924e-4, 1.02734e-3],
    )?;
    Ok(problem
        .with_solution(vec![0.1928069345790379, 0.19128232873436676, 0.12305650692632074, 0.13606233068379475])
        .with_condition(3053.68905793))
}

struct KowalikOsborne;

impl ResidualFunction for KowalikOsborne {
    fn n(&self) -> usize {
        4
    }
    fn m(&self) -> usize {
        11
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c, d] = x else { return };
        for (u, y) in KOWALIK_U.into_iter().zip(KOWALIK_Y) {
            let (top, bottom) = (u * (u + b), u * (u + c) + d);
            let q = top / bottom;
            let (p, s, z) = (u / bottom, a / bottom, q / bottom);
            let gradient = [-q, -a * p, a * p * q, s * q];
            let bend = [0.0, -p, 0.0, p * q, a * p * p, -2.0 * a * p * p * q, z, s * p, -2.0 * s * p * q, -2.0 * s * z];
            terms.local(y - a * q, [0, 1, 2, 3], gradient, &bend);
        }
    }
}

const KOWALIK_U: [f64; 11] = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625];
const KOWALIK_Y: [f64; 11] = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246];

/// MGH 16, Brown and Dennis: `rᵢ = (x₁ + tᵢ x₂ − e^{tᵢ})² + (x₃ + x₄ sin tᵢ − cos tᵢ)²`, `tᵢ = i/5`, `m = 20`, start
/// `(25, 5, −5, −1)`, `f = 85822.2…` at `(−11.59…, 13.20…, −0.4034…, 0.2368…)`.
pub(super) fn brown_dennis(n: usize) -> Result<TestProblem> {
    check_dim(n == 4, "4", n)?;
    let problem = TestProblem::least_squares(
        "brown_dennis",
        "MGH 16: Brown and Dennis",
        BrownDennis,
        vec![25.0, 5.0, -5.0, -1.0],
        vec![85822.201626356],
    )?;
    Ok(problem
        .with_solution(vec![-11.594439904762165, 13.203630051207204, -0.40343948817685954, 0.2367787744557363])
        .with_condition(75.5945229528))
}

struct BrownDennis;

impl ResidualFunction for BrownDennis {
    fn n(&self) -> usize {
        4
    }
    fn m(&self) -> usize {
        20
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c, d] = x else { return };
        for i in 1..=20 {
            let t = f64::from(i) / 5.0;
            let s = t.sin();
            let (p, q) = (a + t * b - t.exp(), c + d * s - t.cos());
            let gradient = [2.0 * p, 2.0 * p * t, 2.0 * q, 2.0 * q * s];
            let bend = [2.0, 2.0 * t, 2.0 * t * t, 0.0, 0.0, 2.0, 0.0, 0.0, 2.0 * s, 2.0 * s * s];
            terms.local(p * p + q * q, [0, 1, 2, 3], gradient, &bend);
        }
    }
}
