//! Energies of functions on the unit square, discretised by linear triangles on a grid: sparse Hessians of two-dimensional
//! structure, any size `n = m²`.

mod bratu;
mod minimal_surface;

use super::local::Local;
use super::{Entry, TestProblem, check_dim};
use crate::error::Result;
use crate::problem::Function;
use std::sync::Arc;

/// The family's table.
pub const TABLE: &[Entry] = &[
    Entry {
        family: "minimal_surface",
        instances: &[("minimal_surface_400", 400), ("minimal_surface_40000", 40_000)],
        build: minimal_surface,
    },
    Entry { family: "bratu", instances: &[("bratu_400", 400), ("bratu_40000", 40_000)], build: bratu },
];

/// The side `m` of a grid with `n = m²` nodes.
fn side(n: usize) -> Result<usize> {
    let m = n.isqrt();
    check_dim(n > 0 && m * m == n, "a positive square number m²", n)?;
    Ok(m)
}

/// Minimal surface over the unit square on an `m × m` grid, `n = m²`, with boundary values `1 − (2x−1)²` on two opposite
/// sides and zero on the others, from zero.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n` is a square.
pub fn minimal_surface(n: usize) -> Result<TestProblem> {
    let function = Arc::new(Local::new(minimal_surface::MinimalSurface::new(side(n)?)));
    let known = match n {
        400 => Some((1.893899429403356, 746.1197304916)),
        40_000 => Some((1.89115688972585, 74487.86962)),
        _ => None,
    };
    Ok(from_zero("minimal_surface", "Minimal surface", function, known))
}

/// Bratu-type energy `∫ ½‖∇u‖² − 5 exp(u)` over the unit square on an `m × m` grid, `n = m²`, zero on the boundary, from
/// zero. It is unbounded below (large `u`); the start lies in the basin of its local minimum.
///
/// # Errors
/// [`Error::Config`](crate::Error::Config) unless `n` is a square.
pub fn bratu(n: usize) -> Result<TestProblem> {
    let function = Arc::new(Local::new(bratu::Bratu::new(side(n)?)));
    let known = match n {
        400 => Some((-5.142868227639371, 291.2572794051)),
        40_000 => Some((-5.561821027437, 26815.4374)),
        _ => None,
    };
    Ok(from_zero("bratu", "Bratu-type energy", function, known))
}

/// A problem started at zero; `known` is its minimum and the condition number there, found by Newton's method with
/// another program's sparse factorization and eigenvalues.
fn from_zero(name: &str, title: &str, function: Arc<dyn Function>, known: Option<(f64, f64)>) -> TestProblem {
    let n = function.dim();
    let minima = known.map(|(minimum, _)| minimum).into_iter().collect();
    let problem = TestProblem::new(&format!("{name}_{n}"), title, function, vec![0.0; n], minima);
    TestProblem { condition: known.map(|(_, condition)| condition), ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::local::tests::check_pieces;

    #[test]
    fn pieces_of_every_grid_join_without_seams() {
        for m in [1, 2, 3, 9] {
            check_pieces(&minimal_surface::MinimalSurface::new(m));
            check_pieces(&bratu::Bratu::new(m));
        }
    }
}
