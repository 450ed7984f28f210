//! Problems whose Hessian is dense but has structure (a band plus low rank): products cost `O(n)`, the matrix `O(n²)`.

mod penalty1;
mod penalty2;
mod trigonometric;

use super::{Entry, TestProblem, check_dim};
use crate::error::{Error, Result};
use crate::linalg::operator::DenseMatrix;
use crate::problem::HessianMatrix;
use std::sync::Arc;

/// The family's table.
pub const TABLE: &[Entry] = &[
    Entry { family: "large_trigonometric", instances: &[("large_trigonometric_100", 100)], build: trigonometric },
    Entry { family: "large_penalty1", instances: &[("large_penalty1_100", 100)], build: penalty1 },
    Entry { family: "large_penalty2", instances: &[("large_penalty2_100", 100)], build: penalty2 },
];

/// Largest dimension at which these problems form their dense Hessian (200 MB); products have no limit.
pub const DENSE_LIMIT: usize = 5000;

/// The weight `a` of the penalty functions.
const WEIGHT: f64 = 1e-5;

/// The trigonometric function of any dimension, from `xⱼ = 1/n`.
///
/// # Errors
/// [`Error::Config`] unless `n ≥ 1`.
pub fn trigonometric(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let function = Arc::new(trigonometric::Trigonometric(n));
    let start = vec![1.0 / n as f64; n];
    Ok(TestProblem::new(&format!("large_trigonometric_{n}"), "Trigonometric", function, start, vec![0.0]))
}

/// Penalty I of any dimension, from `xⱼ = j`. The minimizer has equal entries.
///
/// # Errors
/// [`Error::Config`] unless `n ≥ 1`.
pub fn penalty1(n: usize) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let (size, start) = (n as f64, (1..=n).map(|j| j as f64).collect());
    let t = penalty1_root(size);
    let (excess, gap) = (size * t * t - 0.25, t - 1.0);
    let minimum = WEIGHT * size * gap * gap + excess * excess;
    // Stationarity says a + 2s = a/t, so the n−1 small eigenvalues 2a + 4s are 2a/t, free of the cancellation in s.
    let small = 2.0 * WEIGHT / t;
    let condition = if n > 1 { (small + 8.0 * size * t * t) / small } else { 1.0 };
    let function = Arc::new(penalty1::Penalty1(n));
    let problem = TestProblem::new(&format!("large_penalty1_{n}"), "Penalty I", function, start, vec![minimum]);
    Ok(problem.with_solution(vec![t; n]).with_condition(condition))
}

/// The positive root of `a (t − 1) + 2t (n t² − ¼)` by Newton's method from its right, where the cubic is convex.
fn penalty1_root(n: f64) -> f64 {
    let mut t = 1.0f64;
    for _ in 0..200 {
        let value = WEIGHT * (t - 1.0) + 2.0 * t * (n * t * t - 0.25);
        let next = t - value / (WEIGHT + 6.0 * n * t * t - 0.5);
        if next >= t {
            break;
        }
        t = next;
    }
    t
}

/// Penalty II of any dimension up to 3500, from `xⱼ = ½`.
///
/// # Errors
/// [`Error::Config`] unless `2 ≤ n ≤ 3500`: beyond, its constants overflow.
pub fn penalty2(n: usize) -> Result<TestProblem> {
    check_dim((2..=penalty2::LARGEST).contains(&n), "from 2 to 3500", n)?;
    let function = Arc::new(penalty2::Penalty2::new(n));
    let minima = vec![];
    Ok(TestProblem::new(&format!("large_penalty2_{n}"), "Penalty II", function, vec![0.5; n], minima))
}

fn dense_allowed(n: usize) -> Result<()> {
    if n <= DENSE_LIMIT {
        return Ok(());
    }
    Err(Error::Unsupported { what: "the dense Hessian of this problem", requirement: "at most 5000 variables; use its product" })
}

/// The dense matrix of a symmetric `entry(i, j)`.
fn dense(n: usize, entry: impl Fn(usize, usize) -> f64) -> Result<HessianMatrix> {
    let mut entries = Vec::with_capacity(n * n);
    for j in 0..n {
        entries.extend((0..n).map(|i| entry(i, j)));
    }
    Ok(HessianMatrix::Dense(DenseMatrix::new(n, entries)?))
}
