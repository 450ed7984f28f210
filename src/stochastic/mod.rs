//! First-order and stochastic methods: estimator × preconditioner × rule × schedule, as one argmin solver.
//!
//! ```text
//! finite sum ── at x: rows, ESTIMATE g of ∇f ── PRECONDITIONER (B + λI)⁻¹ g ── RULE turns it into a step ── x ← x − step
//! ```
//!
//! - [`estimator`]: full batch, mini-batches, SAG, SAGA, SVRG;
//! - the preconditioner is any curvature over the same rows; [`Identity`](crate::curvature::Identity) for the plain methods;
//! - [`rule`]: momentum, Adam, clipping, decay, learning rates, …; a tuple of rules is a rule;
//! - [`schedule`]: numbers that depend on the step only;
//! - [`average`]: what becomes of the iterates.

pub mod average;
mod clock;
pub mod estimator;
pub mod methods;
mod range_test;
pub mod rule;
pub mod schedule;
mod solver;
mod solver_linear;
mod solver_newton;
mod stopping;

pub use crate::problem::state::State;
pub use clock::Clock;
pub use range_test::{RangeTest, RateCurve, Tried};
pub use solver::Stochastic;
pub use solver_linear::{LinearSag, LinearStep};
pub use solver_newton::SampleNewton;
pub use stopping::{Cadence, Protocol};
