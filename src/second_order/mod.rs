//! Second-order methods: curvature × subproblem × globalization, run by one argmin solver.
//!
//! A [`Subproblem`](subproblem::Subproblem) proposes a step of the quadratic model for one scalar `size`; a
//! [`Globalization`](globalization::Globalization) sees numbers only and accepts, asks for another size, or stops.

mod bounded;
pub mod certificate;
mod convergence;
mod escape;
mod evaluation;
pub mod globalization;
pub mod methods;
pub mod minimizer;
pub mod nonlinear_cg;
mod state;
pub mod stopping;
pub mod subproblem;
mod watch;

pub use minimizer::Minimizer;

/// What the scalar `size` means to a subproblem: a marker that makes senseless pairings fail to compile.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a region: use `Line`, `Ball`, `Damping` or `Cubic`")]
pub trait Region {
    /// The size left to the other variables once some have moved by a step of this length.
    fn remaining(size: f64, length: f64) -> f64 {
        let _ = length;
        size
    }

    /// What [`Step::slope`](subproblem::Step::slope) says of a step with `gᵀp = slope` that bounds have shortened.
    fn slope(slope: f64, predicted: f64, size: f64) -> f64 {
        let _ = (predicted, size);
        slope
    }

    /// What the region adds to the model for a step of this length.
    fn penalty(size: f64, length: f64) -> f64 {
        let _ = (size, length);
        0.0
    }
}

/// `size` is a step length `α` along one direction: `p = α d`.
#[derive(Debug, Clone, Copy)]
pub enum Line {}
/// `size` is a trust-region radius: `‖p‖ ≤ size`.
#[derive(Debug, Clone, Copy)]
pub enum Ball {}
/// `size` is `1/μ` in `(B + μ M) p = −g`.
#[derive(Debug, Clone, Copy)]
pub enum Damping {}
/// `size` is `1/σ` in `m(p) + (σ/3) ‖p‖³`.
#[derive(Debug, Clone, Copy)]
pub enum Cubic {}

impl Region for Line {
    fn slope(slope: f64, _: f64, size: f64) -> f64 {
        slope / size
    }
}

impl Region for Ball {
    fn remaining(size: f64, length: f64) -> f64 {
        let part = (length / size).min(1.0);
        size * ((1.0 - part) * (1.0 + part)).sqrt()
    }

    /// That of an interior step: the radius was not in the way.
    fn slope(_: f64, predicted: f64, _: f64) -> f64 {
        -2.0 * predicted
    }
}

impl Region for Damping {}

impl Region for Cubic {
    fn penalty(size: f64, length: f64) -> f64 {
        length * length * length / (3.0 * size)
    }
}
