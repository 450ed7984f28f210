//! Problems 26 to 31: systems of `n` equations in `n` unknowns.

use crate::error::Result;
use crate::testbed::{Bend, ResidualFunction, Terms, TestProblem, Work, check_dim};

/// MGH 26, trigonometric: `rᵢ = n − Σ cos xⱼ + i (1 − cos xᵢ) − sin xᵢ`, start `(1/n, …, 1/n)`, `f = 0` at the origin, where
/// `∇²f = 2 I`; a local minimum `2.79505…e−5` for `n = 10`.
pub(super) fn trigonometric(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let minima = if n == 10 { vec![0.0, 2.795056121876e-5] } else { vec![0.0] };
    let (name, start) = (format!("trigonometric_{n}"), vec![1.0 / n as f64; n]);
    let problem = TestProblem::least_squares(&name, "MGH 26: Trigonometric", Trigonometric(n), start, minima)?;
    Ok(problem.with_solution(vec![0.0; n]).with_condition(1.0))
}

struct Trigonometric(usize);

impl ResidualFunction for Trigonometric {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let (mut sines, mut cosines) = (Work::zeros(x.len()), Work::zeros(x.len()));
        sines.fill_with(|j| x[j].sin());
        cosines.fill_with(|j| x[j].cos());
        let total = self.0 as f64 - cosines.iter().sum::<f64>();
        for (i, (s, c)) in sines.iter().zip(cosines.iter()).enumerate() {
            let weight = (i + 1) as f64;
            let own = |j: usize, extra: f64| if i == j { extra } else { 0.0 };
            let gradient = |j: usize| sines[j] + own(j, weight * s - c);
            let bend = |j: usize| cosines[j] + own(j, weight * c + s);
            terms.dense(total + weight * (1.0 - c) - s, &gradient, Bend::Diagonal(&bend));
        }
    }
}

/// MGH 27, Brown almost-linear: `rᵢ = xᵢ + Σ xⱼ − (n + 1)` for `i < n`, `rₙ = Π xⱼ − 1`, start `(½, …, ½)`, `f = 0` at
/// `(1, …, 1)` among others; `1` at `(0, …, 0, n + 1)`.
pub(super) fn brown_almost_linear(n: usize) -> Result<TestProblem> {
    check_dim(n >= 2, "at least 2", n)?;
    let (name, r) = (format!("brown_almost_linear_{n}"), BrownAlmostLinear(n));
    let problem = TestProblem::least_squares(&name, "MGH 27: Brown almost-linear", r, vec![0.5; n], vec![0.0, 1.0])?;
    let problem = problem.with_solution(vec![1.0; n]);
    Ok(if n == 10 { problem.with_condition(14158.9999294) } else { problem })
}

struct BrownAlmostLinear(usize);

impl ResidualFunction for BrownAlmostLinear {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let n = self.0;
        let excess = x.iter().sum::<f64>() - (n + 1) as f64;
        for (i, x) in x.iter().enumerate().take(n - 1) {
            terms.dense(x + excess, &|j| if i == j { 2.0 } else { 1.0 }, Bend::Zero);
        }
        let without =
            |j: usize, k: usize| -> f64 { x.iter().enumerate().filter(|(l, _)| *l != j && *l != k).map(|(_, x)| x).product() };
        let bend = |j: usize, k: usize| if j == k { 0.0 } else { without(j, k) };
        terms.dense(x.iter().product::<f64>() - 1.0, &|j| without(j, j), Bend::Full(&bend));
    }
}

/// Gives `terms` a residual of `xᵢ₋₁, xᵢ, xᵢ₊₁` (those that exist) whose only second derivative is that in `xᵢ`.
fn tridiagonal(terms: &mut impl Terms, value: f64, i: usize, n: usize, [left, own, right]: [f64; 3], bend: f64) {
    match (i > 0, i + 1 < n) {
        (true, true) => terms.local(value, [i, i - 1, i + 1], [own, left, right], &[bend, 0.0, 0.0, 0.0, 0.0, 0.0]),
        (true, false) => terms.local(value, [i, i - 1], [own, left], &[bend, 0.0, 0.0]),
        (false, true) => terms.local(value, [i, i + 1], [own, right], &[bend, 0.0, 0.0]),
        (false, false) => terms.local(value, [i], [own], &[bend]),
    }
}

/// `(xᵢ₋₁, xᵢ₊₁)`, zero outside.
fn neighbours(x: &[f64], i: usize) -> (f64, f64) {
    (if i > 0 { x[i - 1] } else { 0.0 }, x.get(i + 1).copied().unwrap_or(0.0))
}

/// Start `tⱼ (tⱼ − 1)`, `tⱼ = j/(n + 1)`, of the discretized equations.
fn parabola(n: usize) -> Vec<f64> {
    (1..=n).map(|j| j as f64 / (n + 1) as f64).map(|t| t * (t - 1.0)).collect()
}

/// MGH 28, discrete boundary value: `rᵢ = 2xᵢ − xᵢ₋₁ − xᵢ₊₁ + h² (xᵢ + tᵢ + 1)³/2`, `tᵢ = i h`, `h = 1/(n + 1)`,
/// `x₀ = xₙ₊₁ = 0`, start `tᵢ (tᵢ − 1)`, `f = 0`.
pub(super) fn disc_boundary(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let (name, r) = (format!("disc_boundary_{n}"), DiscreteBoundary(n));
    TestProblem::least_squares(&name, "MGH 28: Discrete boundary value", r, parabola(n), vec![0.0])
}

struct DiscreteBoundary(usize);

impl ResidualFunction for DiscreteBoundary {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let h = 1.0 / (self.0 + 1) as f64;
        for (i, xi) in x.iter().enumerate() {
            let (left, right) = neighbours(x, i);
            let c = xi + (i + 1) as f64 * h + 1.0;
            let value = 2.0 * xi - left - right + h * h * c * c * c / 2.0;
            tridiagonal(terms, value, i, self.0, [-1.0, 2.0 + 1.5 * h * h * c * c, -1.0], 3.0 * h * h * c);
        }
    }
}

/// MGH 29, discrete integral equation: `rᵢ = xᵢ + h/2 ((1 − tᵢ) Σ_{j≤i} tⱼ cⱼ + tᵢ Σ_{j>i} (1 − tⱼ) cⱼ)`,
/// `cⱼ = (xⱼ + tⱼ + 1)³`, `tᵢ = i h`, `h = 1/(n + 1)`, start `tᵢ (tᵢ − 1)`, `f = 0`.
pub(super) fn disc_integral(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let (name, r) = (format!("disc_integral_{n}"), DiscreteIntegral(n));
    TestProblem::least_squares(&name, "MGH 29: Discrete integral equation", r, parabola(n), vec![0.0])
}

struct DiscreteIntegral(usize);

impl ResidualFunction for DiscreteIntegral {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let n = self.0;
        let h = 1.0 / (n + 1) as f64;
        let t = |j: usize| (j + 1) as f64 * h;
        let shifted = |j: usize| x[j] + t(j) + 1.0;
        let cube = |j: usize| shifted(j).powi(3);
        // before = Σ_{j≤i} tⱼ cⱼ and after = Σ_{j>i} (1 − tⱼ) cⱼ, updated along i.
        let mut before = 0.0;
        let mut after: f64 = (0..n).map(|j| (1.0 - t(j)) * cube(j)).sum();
        for (i, xi) in x.iter().enumerate() {
            before += t(i) * cube(i);
            after -= (1.0 - t(i)) * cube(i);
            let kernel = |j: usize| h / 2.0 * if j <= i { (1.0 - t(i)) * t(j) } else { t(i) * (1.0 - t(j)) };
            let gradient = |j: usize| kernel(j) * 3.0 * shifted(j).powi(2) + if i == j { 1.0 } else { 0.0 };
            let bend = |j: usize| kernel(j) * 6.0 * shifted(j);
            let value = xi + h / 2.0 * ((1.0 - t(i)) * before + t(i) * after);
            terms.dense(value, &gradient, Bend::Diagonal(&bend));
        }
    }
}

/// MGH 30, Broyden tridiagonal: `rᵢ = (3 − 2xᵢ) xᵢ − xᵢ₋₁ − 2xᵢ₊₁ + 1`, `x₀ = xₙ₊₁ = 0`, start `(−1, …, −1)`, `f = 0`.
pub(super) fn broyden_tridiag(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let (name, r) = (format!("broyden_tridiag_{n}"), BroydenTridiagonal(n));
    TestProblem::least_squares(&name, "MGH 30: Broyden tridiagonal", r, vec![-1.0; n], vec![0.0])
}

struct BroydenTridiagonal(usize);

impl ResidualFunction for BroydenTridiagonal {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        for (i, xi) in x.iter().enumerate() {
            let (left, right) = neighbours(x, i);
            let value = (3.0 - 2.0 * xi) * xi - left - 2.0 * right + 1.0;
            tridiagonal(terms, value, i, self.0, [-1.0, 3.0 - 4.0 * xi, -2.0], -4.0);
        }
    }
}

/// MGH 31, Broyden banded: `rᵢ = xᵢ (2 + 5xᵢ²) + 1 − Σⱼ xⱼ (1 + xⱼ)` over `j ≠ i` from `i − 5` to `i + 1`, start
/// `(−1, …, −1)`, `f = 0`.
pub(super) fn broyden_band(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let (name, r) = (format!("broyden_band_{n}"), BroydenBanded(n));
    TestProblem::least_squares(&name, "MGH 31: Broyden banded", r, vec![-1.0; n], vec![0.0])
}

struct BroydenBanded(usize);

impl ResidualFunction for BroydenBanded {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        for (i, xi) in x.iter().enumerate() {
            let mut value = xi * (2.0 + 5.0 * xi * xi) + 1.0;
            let (mut at, mut gradient, mut bend) = ([0; 7], [0.0; 7], [0.0; 28]);
            let first = i.saturating_sub(5);
            let band = first..(i + 2).min(self.0);
            let width = band.len();
            for (l, j) in band.enumerate() {
                let (slope, second) = if i == j { (2.0 + 15.0 * xi * xi, 30.0 * xi) } else { (-1.0 - 2.0 * x[j], -2.0) };
                value -= if i == j { 0.0 } else { x[j] * (1.0 + x[j]) };
                (at[l], gradient[l], bend[l * (l + 3) / 2]) = (j, slope, second);
            }
            terms.sparse(value, &at[..width], &gradient[..width], &bend);
        }
    }
}
