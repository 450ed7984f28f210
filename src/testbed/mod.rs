//! Test problems with their starts, minima and condition numbers.
//!
//! A family is a file with a table of [`Entry`] lines; [`names`], [`problem`] and [`all`] read the tables.

#[cfg(feature = "autodiff")]
pub mod bundle_adjustment;
pub mod chained;
mod local;
pub mod low_rank;
pub mod mgh;
#[cfg(feature = "autodiff")]
pub mod nist;
pub mod quadratic;
pub mod saddles;
mod sum_of_squares;
pub mod variational;
mod work;

use crate::error::{Error, Result};
use crate::problem::{Erased, Function};
use std::sync::Arc;

pub use crate::problem::Residuals;
pub use sum_of_squares::{Bend, ResidualFunction, SumOfSquares, Terms};
pub use work::Work;

/// The tables of all families.
const TABLES: &[&[Entry]] = &[mgh::TABLE, chained::TABLE, low_rank::TABLE, variational::TABLE, quadratic::TABLE, saddles::TABLE];

/// A problem with what is known about it.
#[derive(Clone)]
pub struct TestProblem {
    /// Name in snake case, with the dimension where it is free: `rosenbrock`, `watson6`, `penalty1_10`.
    pub name: String,
    /// Published number and name.
    pub title: String,
    /// The function with gradient, exact Hessian and its product.
    pub function: Arc<dyn Function>,
    /// Its residuals, if it is a sum of squares `f = Σ rᵢ²`.
    pub residuals: Option<Arc<dyn Residuals>>,
    /// The published start.
    pub start: Vec<f64>,
    /// Known values of `f` at local minima, the global one first.
    pub minima: Vec<f64>,
    /// A global minimizer, where known.
    pub solution: Option<Vec<f64>>,
    /// Condition number of the Hessian at that solution, where known.
    pub condition: Option<f64>,
}

impl TestProblem {
    /// A problem with neither residuals nor a known solution.
    pub fn new(name: &str, title: &str, function: Arc<dyn Function>, start: Vec<f64>, minima: Vec<f64>) -> Self {
        Self { name: name.into(), title: title.into(), function, residuals: None, start, minima, solution: None, condition: None }
    }

    /// The problem `f = Σ rᵢ²`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the start has not `n` entries or a residual names a variable that is not there.
    pub fn least_squares<R: ResidualFunction>(name: &str, title: &str, r: R, start: Vec<f64>, minima: Vec<f64>) -> Result<Self> {
        Error::check_len("start", r.n(), start.len())?;
        let sum = Arc::new(SumOfSquares::new(r)?);
        Ok(Self { residuals: Some(sum.clone()), ..Self::new(name, title, sum, start, minima) })
    }

    /// The same with a global minimizer.
    pub fn with_solution(self, solution: Vec<f64>) -> Self {
        Self { solution: Some(solution), ..self }
    }

    /// The same with the condition number of the Hessian at the solution.
    pub fn with_condition(self, condition: f64) -> Self {
        Self { condition: Some(condition), ..self }
    }

    /// Number of variables.
    pub fn dim(&self) -> usize {
        self.function.dim()
    }

    /// The function as an argmin problem over `Vec<f64>`.
    pub fn erased(&self) -> Erased {
        Erased(self.function.clone())
    }

    /// The start times `factor` (published runs use 1, 10 and 100).
    ///
    /// A start at the origin becomes `(factor, …, factor)` unless `factor` is 1, as in the authors' own program
    /// (Moré, Garbow & Hillstrom, Algorithm 566, TOMS 7, 1981).
    pub fn start_scaled(&self, factor: f64) -> Vec<f64> {
        if factor != 1.0 && self.start.iter().all(|s| *s == 0.0) {
            return vec![factor; self.start.len()];
        }
        self.start.iter().map(|s| factor * s).collect()
    }
}

/// One line of a family's table.
pub struct Entry {
    /// Name without a dimension.
    pub family: &'static str,
    /// The listed names and their dimensions, the default first.
    pub instances: &'static [(&'static str, usize)],
    /// Builds the problem with `n` variables, or says which `n` it admits.
    pub build: fn(usize) -> Result<TestProblem>,
}

/// What methods are compared on by default: two variables to a hundred, ill-conditioned problems, saddles and degenerate minima.
pub const COMPARISON: [&str; 28] = [
    "rosenbrock",
    "beale",
    "freudenstein_roth",
    "powell_badly_scaled",
    "brown_badly_scaled",
    "helical_valley",
    "box3d",
    "powell_singular",
    "wood",
    "kowalik_osborne",
    "brown_dennis",
    "biggs_exp6",
    "watson6",
    "penalty2_10",
    "trigonometric_10",
    "broyden_tridiag_10",
    "chebyquad_8",
    "osborne2",
    "saddle_origin",
    "monkey_saddle",
    "double_well_ridge",
    "quartic_10",
    "chained_rosenbrock_100",
    "extended_wood_100",
    "quadratic_geometric_rotated_100",
    "quadratic_clusters_rotated_100",
    "indefinite_quartic_100",
    "large_trigonometric_100",
];

fn entries() -> impl Iterator<Item = &'static Entry> {
    TABLES.iter().flat_map(|table| table.iter())
}

fn instances() -> impl Iterator<Item = (&'static str, usize, &'static Entry)> {
    entries().flat_map(|entry| entry.instances.iter().map(move |(name, n)| (*name, *n, entry)))
}

/// The listed names, in the order of the tables.
pub fn names() -> Vec<&'static str> {
    instances().map(|(name, ..)| name).collect()
}

/// Every listed problem.
///
/// # Errors
/// None of its own; see [`problem`].
pub fn all() -> Result<Vec<TestProblem>> {
    instances().map(|(_, n, entry)| (entry.build)(n)).collect()
}

/// The problem of a listed name (`penalty1_10`) or of a family (`penalty1`), with `n` variables if `n` is given.
///
/// # Errors
/// [`Error::Unknown`] with the nearest name; [`Error::Config`] if the problem does not admit `n` variables.
pub fn problem(name: &str, n: Option<usize>) -> Result<TestProblem> {
    let listed = instances().find(|(listed, ..)| *listed == name).map(|(_, size, entry)| (size, entry));
    let family = || entries().find(|e| e.family == name).and_then(|e| Some((e.instances.first()?.1, e)));
    match listed.or_else(family) {
        Some((size, entry)) => (entry.build)(n.unwrap_or(size)),
        None => Err(Error::unknown("problem", name, instances().flat_map(|(listed, _, entry)| [listed, entry.family]))),
    }
}

/// `Ok` if `ok`, else [`Error::Config`] that tells which `n` a problem admits.
pub fn check_dim(ok: bool, requirement: &'static str, n: usize) -> Result<()> {
    Error::check_option(ok, "n", requirement, n)
}
