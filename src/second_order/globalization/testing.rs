//! Trials for the tests of the searches.

use super::{Globalization, Start, Trial, Verdict};
use crate::second_order::Line;

/// A start of which nothing is known but its unit gradient.
pub const START: Start = Start { gradient_norm: 1.0, x_norm: 1.0, largest_diagonal: None, gradient_curvature: None };

/// A trial within a ball, with the slope of an interior Newton step.
pub fn ball(size: f64, length: f64, predicted: f64, actual: f64) -> Trial {
    let slope = -2.0 * predicted;
    Trial { size, predicted, actual, slope, trial_slope: None, length, x_norm: 1.0, cost: 0.0, rounding: 0.0 }
}

/// A trial along a unit direction.
pub fn line(size: f64, slope: f64, actual: f64) -> Trial {
    let predicted = -slope * size;
    Trial { size, predicted, actual, slope, trial_slope: None, length: size, x_norm: 1.0, cost: 0.0, rounding: 0.0 }
}

/// Runs one search on `phi` (value and slope at a length) from a first length. Returns the accepted length, if any, and
/// the number of trials; fails the test if a search does not end or accepts a length it never tried.
pub fn search(search: &mut impl Globalization<Line>, first: f64, phi: impl Fn(f64) -> (f64, f64)) -> (Option<f64>, usize) {
    let (cost, slope) = phi(0.0);
    let (mut size, mut tried) = (first, Vec::new());
    for trials in 1..500 {
        let (f, d) = phi(size);
        tried.push(size);
        let actual = if f.is_finite() { cost - f } else { f64::NEG_INFINITY };
        let trial_slope = search.needs_trial_slope().then_some(d);
        match search.judge(&Trial { cost, trial_slope, ..line(size, slope, actual) }) {
            Verdict::Accept { size, next } => {
                assert!(tried.contains(&size) && next > 0.0);
                return (Some(size), trials);
            }
            Verdict::Stop(_) => return (None, trials),
            Verdict::Retry { size: another } => {
                assert!(another > 0.0 && another.is_finite(), "{another}");
                size = another;
            }
        }
    }
    panic!("the search does not end: {:?}", &tried[tried.len() - 20..]);
}
