//! The 35 problems of Moré, Garbow & Hillstrom, *Testing unconstrained optimization software*, ACM TOMS 7(1), 1981.
//!
//! All are `f(x) = Σ rᵢ(x)²` with the published residuals, starts and minima; numbers in titles are those of the paper.

mod two_variables;

use super::Entry;

/// The family's table.
pub const TABLE: &[Entry] = &[
    Entry { family: "rosenbrock", instances: &[("rosenbrock", 2)], build: two_variables::rosenbrock },
    Entry { family: "freudenstein_roth", instances: &[("freudenstein_roth", 2)], build: two_variables::freudenstein_roth },
    Entry { family: "powell_badly_scaled", instances: &[("powell_badly_scaled", 2)], build: two_variables::powell_badly_scaled },
];
