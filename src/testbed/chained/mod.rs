//! Sums of small functions along a chain of variables or over disjoint blocks, of any dimension, with banded or
//! block diagonal sparse Hessians.

mod blocks;
mod broyden;
mod rosenbrock;
mod wood;

use super::local::{Kernel, Local};
use super::{Entry, TestProblem, check_dim};
use crate::error::Result;
use std::sync::Arc;

/// The family's table.
pub const TABLE: &[Entry] = &[
    Entry {
        family: "chained_rosenbrock",
        instances: &[("chained_rosenbrock_100", 100), ("chained_rosenbrock_10", 10), ("chained_rosenbrock_1000", 1000)],
        build: chained_rosenbrock,
    },
    Entry { family: "extended_rosenbrock", instances: &[("extended_rosenbrock_1000", 1000)], build: extended_rosenbrock },
    Entry { family: "extended_powell", instances: &[("extended_powell_1000", 1000)], build: extended_powell },
    Entry { family: "extended_wood", instances: &[("extended_wood_100", 100)], build: extended_wood },
    Entry { family: "chained_wood", instances: &[("chained_wood_100", 100)], build: chained_wood },
    Entry { family: "broyden_tridiagonal", instances: &[("broyden_tridiagonal_1000", 1000)], build: broyden_tridiagonal },
];

fn cycled(n: usize, values: &[f64]) -> Vec<f64> {
    values.iter().copied().cycle().take(n).collect()
}

fn local(name: &str, title: &str, kernel: impl Kernel + 'static, start: Vec<f64>, minima: Vec<f64>) -> TestProblem {
    let name = format!("{name}_{}", start.len());
    TestProblem::new(&name, title, Arc::new(Local::new(kernel)), start, minima)
}

/// Chained Rosenbrock, `f = Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²`, from `−1.2, 1, −1.2, …`. From four variables on it has a
/// second minimum near `(−1, 1, …, 1)`, whose value grows to 3.986623854 (to all digits shown from `n = 20` on).
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n ≥ 2`.
pub fn chained_rosenbrock(n: usize) -> Result<TestProblem> {
    check_dim(n >= 2, "at least 2", n)?;
    // Second minimum by Newton's method from (−1, 1, …, 1); condition numbers from the eigenvalues at (1, …, 1).
    let (minima, condition) = match n {
        10 => (vec![0.0, 3.9865791123471], Some(3534.5056593590)),
        100 => (vec![0.0, 3.9866238543009], Some(3612.2185140470)),
        1000 => (vec![0.0, 3.9866238543009], Some(3613.0020845748)),
        20.. => (vec![0.0, 3.9866238543], None),
        _ => (vec![0.0], None),
    };
    let kernel = rosenbrock::ChainedRosenbrock(n);
    let problem = local("chained_rosenbrock", "Chained Rosenbrock", kernel, cycled(n, &[-1.2, 1.0]), minima);
    Ok(TestProblem { condition, ..problem.with_solution(vec![1.0; n]) })
}

/// Extended Rosenbrock: Rosenbrock's function on `n/2` disjoint pairs, from `−1.2, 1, −1.2, …`.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n` is even and positive.
pub fn extended_rosenbrock(n: usize) -> Result<TestProblem> {
    check_dim(n >= 2 && n.is_multiple_of(2), "even and at least 2", n)?;
    let kernel = blocks::Blocks::<blocks::Rosenbrock, 2, 4>::new(n);
    // The 2 × 2 Hessian [802, −400; −400, 200] has trace 1002 and determinant 400.
    let largest = 501.0 + (501.0f64 * 501.0 - 400.0).sqrt();
    let problem = local("extended_rosenbrock", "Extended Rosenbrock", kernel, cycled(n, &[-1.2, 1.0]), vec![0.0]);
    Ok(problem.with_solution(vec![1.0; n]).with_condition(largest * largest / 400.0))
}

/// Extended Powell singular: Powell's function on `n/4` disjoint quadruples, from `3, −1, 0, 1, …`; the Hessian is
/// singular at the minimum.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n` is a positive multiple of 4.
pub fn extended_powell(n: usize) -> Result<TestProblem> {
    check_dim(n >= 4 && n.is_multiple_of(4), "a positive multiple of 4", n)?;
    let kernel = blocks::Blocks::<blocks::Powell, 4, 12>::new(n);
    let start = cycled(n, &[3.0, -1.0, 0.0, 1.0]);
    let problem = local("extended_powell", "Extended Powell singular", kernel, start, vec![0.0]);
    Ok(problem.with_solution(vec![0.0; n]).with_condition(f64::INFINITY))
}

/// Extended Wood: Wood's function on `n/4` disjoint quadruples, from `−3, −1, −3, −1, …`.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n` is a positive multiple of 4.
pub fn extended_wood(n: usize) -> Result<TestProblem> {
    check_dim(n >= 4 && n.is_multiple_of(4), "a positive multiple of 4", n)?;
    let kernel = blocks::Blocks::<blocks::Wood, 4, 10>::new(n);
    let problem = local("extended_wood", "Extended Wood", kernel, cycled(n, &[-3.0, -1.0]), vec![0.0]);
    Ok(problem.with_solution(vec![1.0; n]))
}

/// Chained Wood: Wood's function on each two neighbouring pairs of variables, from `−3, −1, −3, −1, −2, 0, −2, 0, …`.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n` is even and at least 4.
pub fn chained_wood(n: usize) -> Result<TestProblem> {
    check_dim(n >= 4 && n.is_multiple_of(2), "even and at least 4", n)?;
    let mut start = cycled(n, &[-2.0, 0.0]);
    start[..4].copy_from_slice(&[-3.0, -1.0, -3.0, -1.0]);
    let problem = local("chained_wood", "Chained Wood", wood::ChainedWood(n), start, vec![0.0]);
    Ok(problem.with_solution(vec![1.0; n]))
}

/// Broyden tridiagonal as a sum of squares, from `−1, …, −1`.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n ≥ 2`.
pub fn broyden_tridiagonal(n: usize) -> Result<TestProblem> {
    check_dim(n >= 2, "at least 2", n)?;
    let kernel = broyden::BroydenTridiagonal(n);
    Ok(local("broyden_tridiagonal", "Broyden tridiagonal", kernel, vec![-1.0; n], vec![0.0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::local::tests::check_pieces;

    #[test]
    fn pieces_of_every_chain_join_without_seams() {
        for n in [2, 3, 5, 20] {
            check_pieces(&rosenbrock::ChainedRosenbrock(n));
            check_pieces(&broyden::BroydenTridiagonal(n));
        }
        for n in [4, 8, 28] {
            check_pieces(&wood::ChainedWood(n));
            check_pieces(&blocks::Blocks::<blocks::Rosenbrock, 2, 4>::new(n));
            check_pieces(&blocks::Blocks::<blocks::Powell, 4, 12>::new(n));
            check_pieces(&blocks::Blocks::<blocks::Wood, 4, 10>::new(n));
        }
    }
}
