//! Second-order methods: curvature × subproblem × globalization, run by one argmin solver.
//!
//! A [`Subproblem`](subproblem::Subproblem) proposes a step of the quadratic model for one scalar `size`; a
//! [`Globalization`](globalization::Globalization) sees numbers only and accepts, asks for another size, or stops.

pub mod certificate;
mod escape;
mod evaluation;
pub mod globalization;
pub mod methods;
pub mod minimizer;
pub mod nonlinear_cg;
mod state;
pub mod stopping;
pub mod subproblem;

/// What the scalar `size` means to a subproblem: a marker that makes senseless pairings fail to compile.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a region: use `Line`, `Ball`, `Damping` or `Cubic`")]
pub trait Region {}

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

impl Region for Line {}
impl Region for Ball {}
impl Region for Damping {}
impl Region for Cubic {}
