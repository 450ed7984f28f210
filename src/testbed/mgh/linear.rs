//! Problems 32 to 35: linear functions with `m = 2n` residuals, and Chebyquad.

use crate::error::Result;
use crate::testbed::{Bend, ResidualFunction, Terms, TestProblem, Work, check_dim};

/// MGH 32, linear, full rank: `rᵢ = xᵢ − (2/m) Σ xⱼ − 1` for `i ≤ n`, `−(2/m) Σ xⱼ − 1` beyond, start `(1, …, 1)`, `f = m − n`
/// at `(−1, …, −1)`, `∇²f = 2 I`.
pub(super) fn linear_full_rank(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let (name, minima) = (format!("linear_full_rank_{n}"), vec![n as f64]);
    let problem = TestProblem::least_squares(&name, "MGH 32: Linear, full rank", FullRank(n), vec![1.0; n], minima)?;
    Ok(problem.with_solution(vec![-1.0; n]).with_condition(1.0))
}

struct FullRank(usize);

impl ResidualFunction for FullRank {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        2 * self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let slope = -2.0 / self.m() as f64;
        let common = slope * x.iter().sum::<f64>() - 1.0;
        for i in 0..self.m() {
            let own = x.get(i).copied().unwrap_or(0.0);
            terms.dense(own + common, &|j| if i == j { 1.0 + slope } else { slope }, Bend::Zero);
        }
    }
}

/// MGH 33, linear, rank 1: `rᵢ = i Σ j xⱼ − 1`, start `(1, …, 1)`, `f = m (m − 1)/(2 (2m + 1))` wherever
/// `Σ j xⱼ = 3/(2m + 1)`.
pub(super) fn linear_rank1(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let m = (2 * n) as f64;
    let minima = vec![m * (m - 1.0) / (2.0 * (2.0 * m + 1.0))];
    let (name, r) = (format!("linear_rank1_{n}"), RankOne(n));
    let problem = TestProblem::least_squares(&name, "MGH 33: Linear, rank 1", r, vec![1.0; n], minima)?;
    let mut solution = vec![0.0; n];
    solution[0] = 3.0 / (2.0 * m + 1.0);
    Ok(problem.with_solution(solution).with_condition(if n == 1 { 1.0 } else { f64::INFINITY }))
}

struct RankOne(usize);

impl ResidualFunction for RankOne {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        2 * self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let a = |j: usize| (j + 1) as f64;
        let s: f64 = x.iter().enumerate().map(|(j, x)| a(j) * x).sum();
        for i in 0..self.m() {
            terms.dense(a(i) * s - 1.0, &|j| a(i) * a(j), Bend::Zero);
        }
    }
}

/// MGH 34, linear, rank 1 with zero columns and rows: `r₁ = rₘ = −1`, else `rᵢ = (i − 1) Σ_{j=2}^{n−1} j xⱼ − 1`, start
/// `(1, …, 1)`, `f = (m² + 3m − 6)/(2 (2m − 3))` wherever `Σ_{j=2}^{n−1} j xⱼ = 3/(2m − 3)`.
pub(super) fn linear_rank1_zero(n: usize) -> Result<TestProblem> {
    check_dim(n >= 3, "at least 3", n)?;
    let m = (2 * n) as f64;
    let minima = vec![(m * m + 3.0 * m - 6.0) / (2.0 * (2.0 * m - 3.0))];
    let (name, r) = (format!("linear_rank1_zero_{n}"), RankOneZero(n));
    let title = "MGH 34: Linear, rank 1 with zero columns and rows";
    let problem = TestProblem::least_squares(&name, title, r, vec![1.0; n], minima)?;
    let mut solution = vec![0.0; n];
    solution[1] = 1.5 / (2.0 * m - 3.0);
    Ok(problem.with_solution(solution).with_condition(f64::INFINITY))
}

struct RankOneZero(usize);

impl ResidualFunction for RankOneZero {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        2 * self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let a = |j: usize| if (1..self.0 - 1).contains(&j) { (j + 1) as f64 } else { 0.0 };
        let s: f64 = x.iter().enumerate().map(|(j, x)| a(j) * x).sum();
        terms.local(-1.0, [], [], &[]);
        for i in 1..self.m() - 1 {
            let weight = i as f64;
            terms.dense(weight * s - 1.0, &|j| weight * a(j), Bend::Zero);
        }
        terms.local(-1.0, [], [], &[]);
    }
}

/// MGH 35, Chebyquad: `rᵢ = (1/n) Σⱼ Tᵢ(xⱼ) − ∫₀¹ Tᵢ`, `i = 1, …, n`, with the Chebyshev polynomials shifted to `[0, 1]`
/// (the integral is `−1/(i² − 1)` for even `i`, else 0), start `xⱼ = j/(n + 1)`; `f = 0` for `n ≤ 7` and `n = 9`,
/// `3.51687…e−3` (8), `4.77271…e−3` (10; the paper gives the local minimum `6.50395…e−3`).
pub(super) fn chebyquad(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let minima = match n {
        1..=7 | 9 => vec![0.0],
        8 => vec![0.00351687372567793],
        10 => vec![0.00477271369637535, 0.00650395480088231],
        _ => Vec::new(),
    };
    let start = (1..=n).map(|j| j as f64 / (n + 1) as f64).collect();
    let problem = TestProblem::least_squares(&format!("chebyquad_{n}"), "MGH 35: Chebyquad", Chebyquad(n), start, minima)?;
    Ok(match n {
        8 => problem
            .with_solution(vec![
                0.04315276015101663,
                0.1930908403841861,
                0.26632870689027294,
                0.5,
                0.5,
                0.7336712931097271,
                0.8069091596158139,
                0.9568472398489833,
            ])
            .with_condition(54.4769004628),
        10 => problem
            .with_solution(vec![
                0.032993373018074465,
                0.15514535775907337,
                0.20018919846138622,
                0.38326166496125497,
                0.38326166496125497,
                0.5292494771334065,
                0.6403535493710659,
                0.7135658474159999,
                0.8284818230519073,
                0.9252518337853975,
            ])
            .with_condition(340.063773224),
        _ => problem,
    })
}

struct Chebyquad(usize);

impl ResidualFunction for Chebyquad {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        self.0
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let count = x.len() as f64;
        // Tᵢ(xⱼ) and its two derivatives in xⱼ, each for the last two degrees: T_{i+1} = 2 y Tᵢ − T_{i−1}, y = 2x − 1.
        let [mut t, mut before] = [Work::zeros(x.len()), Work::zeros(x.len())];
        let [mut dt, mut d_before] = [Work::zeros(x.len()), Work::zeros(x.len())];
        let [mut ddt, mut dd_before] = [Work::zeros(x.len()), Work::zeros(x.len())];
        before.fill(1.0);
        t.fill_with(|j| 2.0 * x[j] - 1.0);
        dt.fill(2.0);
        for i in 1..=self.0 {
            let integral = if i % 2 == 0 { -1.0 / (i * i - 1) as f64 } else { 0.0 };
            let value = t.iter().sum::<f64>() / count - integral;
            terms.dense(value, &|j| dt[j] / count, Bend::Diagonal(&|j| ddt[j] / count));
            for (j, x) in x.iter().enumerate() {
                let y2 = 2.0 * (2.0 * x - 1.0);
                (ddt[j], dd_before[j]) = (8.0 * dt[j] + y2 * ddt[j] - dd_before[j], ddt[j]);
                (dt[j], d_before[j]) = (4.0 * t[j] + y2 * dt[j] - d_before[j], dt[j]);
                (t[j], before[j]) = (y2 * t[j] - before[j], t[j]);
            }
        }
    }
}
