//! Problems 1 to 6: two variables.

use crate::error::Result;
use crate::testbed::{ResidualFunction, Terms, TestProblem, check_dim};

/// MGH 1, Rosenbrock: `r = (10 (x₂ − x₁²), 1 − x₁)`, start `(−1.2, 1)`, `f = 0` at `(1, 1)`.
pub(super) fn rosenbrock(n: usize) -> Result<TestProblem> {
    check_dim(n == 2, "2", n)?;
    let problem = TestProblem::least_squares("rosenbrock", "MGH 1: Rosenbrock", Rosenbrock, vec![-1.2, 1.0], vec![0.0])?;
    Ok(problem.with_solution(vec![1.0, 1.0]).with_condition(2508.009601277337))
}

struct Rosenbrock;

impl ResidualFunction for Rosenbrock {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        2
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b] = x else { return };
        terms.local(10.0 * (b - a * a), [0, 1], [-20.0 * a, 10.0], &[-20.0, 0.0, 0.0]);
        terms.local(1.0 - a, [0], [-1.0], &[]);
    }
}

/// MGH 2, Freudenstein and Roth: `r₁ = −13 + x₁ + ((5 − x₂) x₂ − 2) x₂`, `r₂ = −29 + x₁ + ((x₂ + 1) x₂ − 14) x₂`,
/// start `(0.5, −2)`, `f = 0` at `(5, 4)` and a local minimum `48.9842…` at `(11.41…, −0.8968…)`.
pub(super) fn freudenstein_roth(n: usize) -> Result<TestProblem> {
    check_dim(n == 2, "2", n)?;
    let minima = vec![0.0, 48.98425367924];
    let problem = TestProblem::least_squares(
        "freudenstein_roth",
        "MGH 2: Freudenstein and Roth",
        FreudensteinRoth,
        vec![0.5, -2.0],
        minima,
    )?;
    Ok(problem.with_solution(vec![5.0, 4.0]).with_condition(1285.70484352))
}

struct FreudensteinRoth;

impl ResidualFunction for FreudensteinRoth {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        2
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b] = x else { return };
        let (r1, r2) = (-13.0 + a + ((5.0 - b) * b - 2.0) * b, -29.0 + a + ((b + 1.0) * b - 14.0) * b);
        terms.local(r1, [0, 1], [1.0, (10.0 - 3.0 * b) * b - 2.0], &[0.0, 0.0, 10.0 - 6.0 * b]);
        terms.local(r2, [0, 1], [1.0, (3.0 * b + 2.0) * b - 14.0], &[0.0, 0.0, 6.0 * b + 2.0]);
    }
}

/// MGH 3, Powell badly scaled: `r = (10⁴ x₁ x₂ − 1, e^{−x₁} + e^{−x₂} − 1.0001)`, start `(0, 1)`,
/// `f = 0` at `(1.098…e−5, 9.106…)`.
pub(super) fn powell_badly_scaled(n: usize) -> Result<TestProblem> {
    check_dim(n == 2, "2", n)?;
    let problem = TestProblem::least_squares(
        "powell_badly_scaled",
        "MGH 3: Powell badly scaled",
        PowellBadlyScaled,
        vec![0.0, 1.0],
        vec![0.0],
    )?;
    Ok(problem.with_solution(vec![1.0981593296998175e-5, 9.106146739866524]).with_condition(6.88109748572e17))
}

struct PowellBadlyScaled;

impl ResidualFunction for PowellBadlyScaled {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        2
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b] = x else { return };
        let (ea, eb) = ((-a).exp(), (-b).exp());
        terms.local(1e4 * a * b - 1.0, [0, 1], [1e4 * b, 1e4 * a], &[0.0, 1e4, 0.0]);
        terms.local(ea + eb - 1.0001, [0, 1], [-ea, -eb], &[ea, 0.0, eb]);
    }
}

/// MGH 4, Brown badly scaled: `r = (x₁ − 10⁶, x₂ − 2·10⁻⁶, x₁ x₂ − 2)`, start `(1, 1)`, `f = 0` at `(10⁶, 2·10⁻⁶)`.
pub(super) fn brown_badly_scaled(n: usize) -> Result<TestProblem> {
    check_dim(n == 2, "2", n)?;
    let problem = TestProblem::least_squares(
        "brown_badly_scaled",
        "MGH 4: Brown badly scaled",
        BrownBadlyScaled,
        vec![1.0, 1.0],
        vec![0.0],
    )?;
    Ok(problem.with_solution(vec![1e6, 2e-6]).with_condition(1000000000000.0))
}

struct BrownBadlyScaled;

impl ResidualFunction for BrownBadlyScaled {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        3
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b] = x else { return };
        terms.local(a - 1e6, [0], [1.0], &[]);
        terms.local(b - 2e-6, [1], [1.0], &[]);
        terms.local(a * b - 2.0, [0, 1], [b, a], &[0.0, 1.0, 0.0]);
    }
}

/// MGH 5, Beale: `rᵢ = yᵢ − x₁ (1 − x₂ⁱ)` with `y = (1.5, 2.25, 2.625)`, start `(1, 1)`, `f = 0` at `(3, 0.5)`.
pub(super) fn beale(n: usize) -> Result<TestProblem> {
    check_dim(n == 2, "2", n)?;
    let problem = TestProblem::least_squares("beale", "MGH 5: Beale", Beale, vec![1.0, 1.0], vec![0.0])?;
    Ok(problem.with_solution(vec![3.0, 0.5]).with_condition(162.473276359))
}

struct Beale;

impl ResidualFunction for Beale {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        3
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b] = x else { return };
        let b2 = b * b;
        terms.local(1.5 - a * (1.0 - b), [0, 1], [b - 1.0, a], &[0.0, 1.0, 0.0]);
        terms.local(2.25 - a * (1.0 - b2), [0, 1], [b2 - 1.0, 2.0 * a * b], &[0.0, 2.0 * b, 2.0 * a]);
        terms.local(2.625 - a * (1.0 - b2 * b), [0, 1], [b2 * b - 1.0, 3.0 * a * b2], &[0.0, 3.0 * b2, 6.0 * a * b]);
    }
}

/// MGH 6, Jennrich and Sampson: `rᵢ = 2 + 2i − (e^{i x₁} + e^{i x₂})`, `i = 1, …, 10`, start `(0.3, 0.4)`,
/// `f = 124.362…` at `x₁ = x₂ = 0.2578…`.
pub(super) fn jennrich_sampson(n: usize) -> Result<TestProblem> {
    check_dim(n == 2, "2", n)?;
    let problem = TestProblem::least_squares(
        "jennrich_sampson",
        "MGH 6: Jennrich and Sampson",
        JennrichSampson,
        vec![0.3, 0.4],
        vec![124.36218235562],
    )?;
    Ok(problem.with_solution(vec![0.2578252136703641, 0.2578252136703641]).with_condition(30.2806771324))
}

struct JennrichSampson;

impl ResidualFunction for JennrichSampson {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        10
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b] = x else { return };
        for i in 1..=10 {
            let i = f64::from(i);
            let (ea, eb) = ((i * a).exp(), (i * b).exp());
            terms.local(2.0 + 2.0 * i - (ea + eb), [0, 1], [-i * ea, -i * eb], &[-i * i * ea, 0.0, -i * i * eb]);
        }
    }
}
