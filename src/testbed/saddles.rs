//! Saddles and degenerate minima: what a solver meets where the Hessian is indefinite or singular.

use super::local::{Kernel, Local, sum_lanes};
use super::{Entry, TestProblem, check_dim};
use crate::error::{Error, Result};
use crate::linalg::operator::{DenseMatrix, Pattern};
use crate::problem::{Function, HessianMatrix};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f64::consts::SQRT_2;
use std::ops::Range;
use std::sync::Arc;

/// The family's table. The indefinite quadratic with a quartic has seed 0; others are made by [`indefinite_quartic`].
pub const TABLE: &[Entry] = &[
    Entry { family: "monkey_saddle", instances: &[("monkey_saddle", 2)], build: monkey_saddle },
    Entry { family: "saddle_origin", instances: &[("saddle_origin", 2)], build: saddle_origin },
    Entry { family: "saddle_ridge", instances: &[("saddle_ridge", 2)], build: saddle_ridge },
    Entry { family: "double_well", instances: &[("double_well", 2)], build: double_well },
    Entry { family: "double_well_ridge", instances: &[("double_well_ridge", 2)], build: double_well_ridge },
    Entry { family: "quartic", instances: &[("quartic_10", 10)], build: quartic },
    Entry { family: "indefinite_quartic", instances: &[("indefinite_quartic_100", 100)], build: |n| indefinite_quartic(n, 0) },
];

/// A function of two variables: value, gradient, and the Hessian's entries `xx, xy, yy`.
struct Planar {
    value: fn(f64, f64) -> f64,
    gradient: fn(f64, f64) -> [f64; 2],
    hessian: fn(f64, f64) -> [f64; 3],
}

fn pair(what: &'static str, x: &[f64]) -> Result<[f64; 2]> {
    <[f64; 2]>::try_from(x).map_err(|_| Error::Dimension { what, expected: 2, found: x.len() })
}

impl Function for Planar {
    fn dim(&self) -> usize {
        2
    }

    fn cost(&self, x: &[f64]) -> Result<f64> {
        let [x, y] = pair("point", x)?;
        Ok((self.value)(x, y))
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let [x, y] = pair("point", x)?;
        Error::check_len("gradient", 2, out.len())?;
        out.copy_from_slice(&(self.gradient)(x, y));
        Ok(())
    }

    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        let [x, y] = pair("point", x)?;
        let [xx, xy, yy] = (self.hessian)(x, y);
        Ok(HessianMatrix::Dense(DenseMatrix::new(2, vec![xx, xy, xy, yy])?))
    }

    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        let ([x, y], [u, w]) = (pair("point", x)?, pair("direction", v)?);
        Error::check_len("product", 2, out.len())?;
        let [xx, xy, yy] = (self.hessian)(x, y);
        out.copy_from_slice(&[xx * u + xy * w, xy * u + yy * w]);
        Ok(())
    }
}

fn planar(name: &str, title: &str, n: usize, function: Planar, start: [f64; 2], minimum: f64) -> Result<TestProblem> {
    check_dim(n == 2, "2", n)?;
    Ok(TestProblem::new(name, title, Arc::new(function), start.to_vec(), vec![minimum]))
}

/// Monkey saddle with a confining quartic, `x³ − 3xy² + ¼(x² + y²)²`, from `(1, 0.5)`.
///
/// In polar coordinates `r³ cos 3θ + ¼r⁴`: the Hessian vanishes at the origin, where three valleys begin; the three
/// minima lie in them at `r = 3` with the value `−27/4`, one at `(−3, 0)`. The quartic is added so that there are minima.
///
/// # Errors
/// [`Error::Config`] unless `n = 2`.
pub fn monkey_saddle(n: usize) -> Result<TestProblem> {
    let function = Planar {
        value: |x, y| x * (x * x - 3.0 * y * y) + 0.25 * (x * x + y * y).powi(2),
        gradient: |x, y| {
            let s = x * x + y * y;
            [3.0 * (x * x - y * y) + s * x, -6.0 * x * y + s * y]
        },
        hessian: |x, y| {
            let s = x * x + y * y;
            [6.0 * x + s + 2.0 * x * x, -6.0 * y + 2.0 * x * y, -6.0 * x + s + 2.0 * y * y]
        },
    };
    let problem = planar("monkey_saddle", "Monkey saddle, confined", n, function, [1.0, 0.5], -6.75)?;
    // There ∇²f = diag(9, 27).
    Ok(problem.with_solution(vec![-3.0, 0.0]).with_condition(3.0))
}

/// `x² − y² + ¼y⁴`: a saddle at the origin, minima `(0, ±√2)` with the value −1.
fn saddle() -> Planar {
    Planar {
        value: |x, y| x * x - y * y + 0.25 * (y * y) * (y * y),
        gradient: |x, y| [2.0 * x, -2.0 * y + y * y * y],
        hessian: |_, y| [2.0, 0.0, -2.0 + 3.0 * y * y],
    }
}

/// `x² − y² + ¼y⁴` started at its saddle `(0, 0)`: the gradient is zero there, only curvature shows the way.
///
/// # Errors
/// [`Error::Config`] unless `n = 2`.
pub fn saddle_origin(n: usize) -> Result<TestProblem> {
    let problem = planar("saddle_origin", "Saddle, from the saddle", n, saddle(), [0.0, 0.0], -1.0)?;
    Ok(problem.with_solution(vec![0.0, SQRT_2]).with_condition(2.0))
}

/// `x² − y² + ¼y⁴` started at `(1, 0)`, on the line from which every gradient step leads to the saddle.
///
/// # Errors
/// [`Error::Config`] unless `n = 2`.
pub fn saddle_ridge(n: usize) -> Result<TestProblem> {
    let problem = planar("saddle_ridge", "Saddle, from its ridge", n, saddle(), [1.0, 0.0], -1.0)?;
    Ok(problem.with_solution(vec![0.0, SQRT_2]).with_condition(2.0))
}

/// `¼x⁴ − ½x² + y²`: a saddle at the origin, minima `(±1, 0)` with the value −¼.
fn wells() -> Planar {
    Planar {
        value: |x, y| 0.25 * (x * x) * (x * x) - 0.5 * x * x + y * y,
        gradient: |x, y| [x * x * x - x, 2.0 * y],
        hessian: |x, _| [3.0 * x * x - 1.0, 0.0, 2.0],
    }
}

/// `¼x⁴ − ½x² + y²` from `(0.1, 0.5)`, where the Hessian is indefinite and Newton's step leads to the saddle.
///
/// # Errors
/// [`Error::Config`] unless `n = 2`.
pub fn double_well(n: usize) -> Result<TestProblem> {
    // At (1, 0) the Hessian is 2 I.
    let problem = planar("double_well", "Double well", n, wells(), [0.1, 0.5], -0.25)?;
    Ok(problem.with_solution(vec![1.0, 0.0]).with_condition(1.0))
}

/// `¼x⁴ − ½x² + y²` from `(0, 0.5)`, on the ridge between the wells.
///
/// # Errors
/// [`Error::Config`] unless `n = 2`.
pub fn double_well_ridge(n: usize) -> Result<TestProblem> {
    let problem = planar("double_well_ridge", "Double well, from its ridge", n, wells(), [0.0, 0.5], -0.25)?;
    Ok(problem.with_solution(vec![1.0, 0.0]).with_condition(1.0))
}

/// `Σ xᵢ⁴`: the Hessian vanishes at the minimum, where Newton's method converges linearly with the factor ⅔.
struct Quartic(usize);

impl Kernel for Quartic {
    fn dim(&self) -> usize {
        self.0
    }

    fn pattern(&self) -> Result<Pattern> {
        Pattern::from_pairs(self.0, [])
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let x = &x[range];
        sum_lanes(x, x, x, |x, _, _| (x * x) * (x * x))
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        out.iter_mut().zip(&x[first..]).for_each(|(o, x)| *o = 4.0 * (x * x) * x);
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        for (o, (x, v)) in out.iter_mut().zip(x[first..].iter().zip(&v[first..])) {
            *o = 12.0 * (x * x) * v;
        }
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        out.iter_mut().zip(&x[columns]).for_each(|(o, x)| *o = 12.0 * (x * x));
    }
}

/// `Σ xᵢ⁴` of any dimension, from `1, …, 1`.
///
/// # Errors
/// [`Error::Config`] unless `n ≥ 1`.
pub fn quartic(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let function = Arc::new(Local::new(Quartic(n)));
    let problem = TestProblem::new(&format!("quartic_{n}"), "Sum of fourth powers", function, vec![1.0; n], vec![0.0]);
    Ok(problem.with_solution(vec![0.0; n]).with_condition(f64::INFINITY))
}

/// `½ xᵀTx + ¼ Σ xᵢ⁴` with a tridiagonal `T`.
struct IndefiniteQuartic {
    diagonal: Vec<f64>,
    /// `Tⱼ,ⱼ₋₁`; the first is zero.
    beside: Vec<f64>,
}

impl IndefiniteQuartic {
    /// `f(j's diagonal, Tⱼ,ⱼ₋₁, Tⱼ,ⱼ₊₁)`.
    #[inline(always)]
    fn row(&self, j: usize) -> (f64, f64, f64) {
        (self.diagonal[j], self.beside[j], self.beside.get(j + 1).copied().unwrap_or(0.0))
    }
}

impl Kernel for IndefiniteQuartic {
    fn dim(&self) -> usize {
        self.diagonal.len()
    }

    fn pattern(&self) -> Result<Pattern> {
        Pattern::from_pairs(self.dim(), (1..self.dim()).map(|j| (j - 1, j)))
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let own = sum_lanes(&x[range.clone()], &self.diagonal[range.clone()], &x[range.clone()], |x, d, _| {
            (0.5 * d + 0.25 * (x * x)) * (x * x)
        });
        let first = range.start.max(1);
        own + sum_lanes(&x[first - 1..range.end - 1], &x[first..range.end], &self.beside[first..range.end], |a, b, t| t * (a * b))
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        for (j, o) in (first..).zip(out) {
            let (d, left, right) = self.row(j);
            let before = if j > 0 { x[j - 1] } else { 0.0 };
            let after = x.get(j + 1).copied().unwrap_or(0.0);
            *o = (d + x[j] * x[j]) * x[j] + (left * before + right * after);
        }
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        for (j, o) in (first..).zip(out) {
            let (d, left, right) = self.row(j);
            let before = if j > 0 { v[j - 1] } else { 0.0 };
            let after = v.get(j + 1).copied().unwrap_or(0.0);
            *o = (d + 3.0 * x[j] * x[j]) * v[j] + (left * before + right * after);
        }
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        let (n, mut out) = (x.len(), out.iter_mut());
        for j in columns {
            let (d, left, right) = self.row(j);
            let column = [(j > 0, left), (true, d + 3.0 * x[j] * x[j]), (j + 1 < n, right)];
            for (_, value) in column.into_iter().filter(|(stored, _)| *stored) {
                if let Some(o) = out.next() {
                    *o = value;
                }
            }
        }
    }
}

/// `½ xᵀTx + ¼ Σ xᵢ⁴` with a seeded tridiagonal `T` whose entries are uniform in `[−1, 1]`: indefinite (for `n` beyond a
/// few), bounded below, with many saddles; from a seeded point uniform in `[−0.1, 0.1]ⁿ` near the saddle at the origin.
///
/// # Errors
/// [`Error::Config`] unless `n ≥ 2`.
pub fn indefinite_quartic(n: usize, seed: u64) -> Result<TestProblem> {
    check_dim(n >= 2, "at least 2", n)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = |bound: f64| -> Vec<f64> { (0..n).map(|_| rng.random_range(-bound..=bound)).collect() };
    let (diagonal, mut beside, start) = (uniform(1.0), uniform(1.0), uniform(0.1));
    beside[0] = 0.0;
    let function = Arc::new(Local::new(IndefiniteQuartic { diagonal, beside }));
    let name = format!("indefinite_quartic_{n}");
    Ok(TestProblem::new(&name, "Indefinite quadratic plus quartic", function, start, vec![]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::local::tests::check_pieces;

    #[test]
    fn pieces_of_every_long_sum_join_without_seams() {
        check_pieces(&Quartic(13));
        check_pieces(&IndefiniteQuartic { diagonal: vec![0.5; 13], beside: (0..13).map(|j| -0.1 * j as f64).collect() });
    }
}
