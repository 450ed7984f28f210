#![doc = include_str!("../README.md")]
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod counts;
pub mod curvature;
pub mod dataset;
pub mod error;
#[cfg(feature = "fit")]
pub mod fit;
pub mod linalg;
pub mod loss;
pub mod model;
pub mod problem;
pub mod second_order;
pub mod spectrum;
pub mod stochastic;
#[cfg(feature = "study")]
pub mod study;
pub mod testbed;
pub mod testing;

pub use error::{Error, Result, Stop};
