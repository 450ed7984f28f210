//! Problems 21 to 25: extended functions and penalties of any dimension.

use super::four_variables::powell_block;
use crate::error::Result;
use crate::testbed::{Bend, ResidualFunction, Terms, TestProblem, check_dim};

/// MGH 21, extended Rosenbrock: `r = (10 (x₂ᵢ − x₂ᵢ₋₁²), 1 − x₂ᵢ₋₁)` for each pair, `n` even, start `(−1.2, 1, …)`, `f = 0` at
/// `(1, …, 1)`.
pub(super) fn ext_rosenbrock(n: usize) -> Result<TestProblem> {
    check_dim(n >= 2 && n.is_multiple_of(2), "even and at least 2", n)?;
    let (name, start) = (format!("ext_rosenbrock_{n}"), [-1.2, 1.0].repeat(n / 2));
    let r = ExtendedRosenbrock(n);
    let problem = TestProblem::least_squares(&name, "MGH 21: Extended Rosenbrock", r, start, vec![0.0])?;
    Ok(problem.with_solution(vec![1.0; n]).with_condition(2508.009601277337))
}

struct ExtendedRosenbrock(usize);

impl ResidualFunction for ExtendedRosenbrock {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        for (i, pair) in x.chunks_exact(2).enumerate() {
            let (a, b, at) = (pair[0], pair[1], 2 * i);
            terms.local(10.0 * (b - a * a), [at, at + 1], [-20.0 * a, 10.0], &[-20.0, 0.0, 0.0]);
            terms.local(1.0 - a, [at], [-1.0], &[]);
        }
    }
}

/// MGH 22, extended Powell singular: the residuals of MGH 13 for each four variables, `n` a multiple of 4, start
/// `(3, −1, 0, 1, …)`, `f = 0` at the origin, where the Hessian is singular.
pub(super) fn ext_powell(n: usize) -> Result<TestProblem> {
    check_dim(n >= 4 && n.is_multiple_of(4), "a multiple of 4", n)?;
    let (name, start) = (format!("ext_powell_{n}"), [3.0, -1.0, 0.0, 1.0].repeat(n / 4));
    let problem = TestProblem::least_squares(&name, "MGH 22: Extended Powell singular", ExtendedPowell(n), start, vec![0.0])?;
    Ok(problem.with_solution(vec![0.0; n]).with_condition(f64::INFINITY))
}

struct ExtendedPowell(usize);

impl ResidualFunction for ExtendedPowell {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        for (i, block) in x.chunks_exact(4).enumerate() {
            powell_block([block[0], block[1], block[2], block[3]], 4 * i, terms);
        }
    }
}

/// Weight `a` of the penalty functions.
const PENALTY: f64 = 1e-5;

/// MGH 23, penalty I: `r = (√a (xᵢ − 1), Σ xⱼ² − ¼)`, `a = 10⁻⁵`, start `(1, 2, …, n)`; `f = 2.24997…e−5` (`n = 4`),
/// `7.08765…e−5` (10).
///
/// A stationary point has all entries equal, `s`, with `a (s − 1) + 2 s (n s² − ¼) = 0`; the minimizer is the positive root,
/// which Newton's method finds here, and there `∇²f = 2a/s I + 8 x xᵀ`.
pub(super) fn penalty1(n: usize) -> Result<TestProblem> {
    check_dim(n >= 2, "at least 2", n)?;
    let count = n as f64;
    let mut s = 0.5 / count.sqrt() + PENALTY;
    for _ in 0..8 {
        s -= (PENALTY * (s - 1.0) + 2.0 * s * (count * s * s - 0.25)) / (PENALTY + 6.0 * count * s * s - 0.5);
    }
    let minimum = count * PENALTY * (s - 1.0).powi(2) + (count * s * s - 0.25).powi(2);
    let start = (1..=n).map(|i| i as f64).collect();
    let r = Penalty1(n);
    let problem = TestProblem::least_squares(&format!("penalty1_{n}"), "MGH 23: Penalty I", r, start, vec![minimum])?;
    Ok(problem.with_solution(vec![s; n]).with_condition(1.0 + 4.0 * count * s.powi(3) / PENALTY))
}

struct Penalty1(usize);

impl ResidualFunction for Penalty1 {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0 + 1
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let root = PENALTY.sqrt();
        for (i, x) in x.iter().enumerate() {
            terms.local(root * (x - 1.0), [i], [root], &[]);
        }
        let square: f64 = x.iter().map(|x| x * x).sum();
        terms.dense(square - 0.25, &|j| 2.0 * x[j], Bend::Diagonal(&|_| 2.0));
    }
}

/// MGH 24, penalty II: `r₁ = x₁ − 0.2`; for `i = 2, …, n` `√a (e^{xᵢ/10} + e^{xᵢ₋₁/10} − e^{i/10} − e^{(i−1)/10})`; for the same
/// `i` `√a (e^{xᵢ/10} − e^{−1/10})`; `Σ (n − j + 1) xⱼ² − 1`; `a = 10⁻⁵`, start `(½, …, ½)`; `f = 9.37629…e−6` (`n = 4`),
/// `2.93660…e−4` (10).
pub(super) fn penalty2(n: usize) -> Result<TestProblem> {
    check_dim(n >= 2, "at least 2", n)?;
    let minima = match n {
        4 => vec![9.37629300735544e-6],
        10 => vec![0.000293660537456746],
        _ => Vec::new(),
    };
    let r = Penalty2(n);
    let problem = TestProblem::least_squares(&format!("penalty2_{n}"), "MGH 24: Penalty II", r, vec![0.5; n], minima)?;
    Ok(match n {
        4 => problem
            .with_solution(vec![0.1999993333503804, 0.19131670099277245, 0.48010148533262315, 0.5188454043902005])
            .with_condition(5839902.40461),
        10 => problem
            .with_solution(vec![
                0.1999836051978236,
                0.010350648471292297,
                0.019604934480438402,
                0.03208906722068565,
                0.049932677399641294,
                0.07651399515399361,
                0.11862407286950417,
                0.19214487233557667,
                0.34732058694184365,
                0.3691643741593508,
            ])
            .with_condition(2402224.91224),
        _ => problem,
    })
}

struct Penalty2(usize);

impl ResidualFunction for Penalty2 {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        2 * self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let (n, root) = (self.0, PENALTY.sqrt());
        terms.local(x[0] - 0.2, [0], [1.0], &[]);
        for i in 1..n {
            let (e, before) = ((x[i] / 10.0).exp(), (x[i - 1] / 10.0).exp());
            let y = ((i + 1) as f64 / 10.0).exp() + (i as f64 / 10.0).exp();
            let (first, second) = (root / 10.0, root / 100.0);
            terms.local(root * (e + before - y), [i - 1, i], [first * before, first * e], &[second * before, 0.0, second * e]);
        }
        for (i, xi) in x.iter().enumerate().skip(1) {
            let e = (xi / 10.0).exp();
            terms.local(root * (e - (-0.1_f64).exp()), [i], [root * e / 10.0], &[root * e / 100.0]);
        }
        let weight = |j: usize| (n - j) as f64;
        let square: f64 = x.iter().enumerate().map(|(j, x)| weight(j) * x * x).sum();
        terms.dense(square - 1.0, &|j| 2.0 * weight(j) * x[j], Bend::Diagonal(&|j| 2.0 * weight(j)));
    }
}

/// MGH 25, variably dimensioned: `r = (xᵢ − 1, s, s²)`, `s = Σ j (xⱼ − 1)`, start `xⱼ = 1 − j/n`, `f = 0` at `(1, …, 1)`, where
/// `∇²f = 2 (I + a aᵀ)`, `aⱼ = j`.
pub(super) fn vardim(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let start = (1..=n).map(|j| 1.0 - j as f64 / n as f64).collect();
    let r = VariablyDimensioned(n);
    let problem = TestProblem::least_squares(&format!("vardim_{n}"), "MGH 25: Variably dimensioned", r, start, vec![0.0])?;
    let square: f64 = (1..=n).map(|j| (j * j) as f64).sum();
    Ok(problem.with_solution(vec![1.0; n]).with_condition(1.0 + if n > 1 { square } else { 0.0 }))
}

struct VariablyDimensioned(usize);

impl ResidualFunction for VariablyDimensioned {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0 + 2
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        for (i, x) in x.iter().enumerate() {
            terms.local(x - 1.0, [i], [1.0], &[]);
        }
        let a = |j: usize| (j + 1) as f64;
        let s: f64 = x.iter().enumerate().map(|(j, x)| a(j) * (x - 1.0)).sum();
        terms.dense(s, &a, Bend::Zero);
        terms.dense(s * s, &|j| 2.0 * s * a(j), Bend::Outer(2.0, &a));
    }
}
