//! Runs, traces, profiles and reports.
//!
//! [`run`] takes one solver through one problem, [`Comparison`] every solver through every problem, [`report::write`]
//! turns that into a page. Solvers are made from texts ([`Setup::parse`]).

mod comparison;
mod json;
mod profile;
mod registry;
pub mod report;
mod run;
mod solver;
mod spec;
pub mod spectrum;
mod trace;
pub mod training;

pub use comparison::{Comparison, Measure, ProblemRow, SolverColumn, Total};
pub use json::counts;
pub use profile::{Histories, History, Staircase, data_profile, performance_profile, work_to_reach};
pub use registry::ENTRIES;
pub use run::{Case, Ending, Outcome, SOLVED, Settings, run};
pub use solver::{AnySolver, COMMON, Entry, Family, Setup, StudySolver, VecState, names};
pub use spec::{Key, Kind, Options, Spec, Value};
pub use trace::{Counted, Recorder, TracePoint};
