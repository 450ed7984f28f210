//! Trials for the tests of the searches.

use super::{Globalization, Start, Trial, Verdict};
use crate::second_order::Line;

/// A start of which nothing is known but its unit gradient.
pub const START: Start =
    Start { cost: 0.0, gradient_norm: 1.0, x_norm: 1.0, scaled_x_norm: None, largest_diagonal: None, gradient_curvature: None };

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

/// The six functions of Moré & Thuente (TOMS 20, 1994), §5: value and slope.
pub fn more_thuente(function: usize, a: f64) -> (f64, f64) {
    match function {
        1 => {
            let b = 2.0;
            (-a / (a * a + b), (a * a - b) / (a * a + b).powi(2))
        }
        2 => {
            let t = a + 0.004;
            (t.powi(5) - 2.0 * t.powi(4), 5.0 * t.powi(4) - 8.0 * t.powi(3))
        }
        3 => {
            let (b, l, pi) = (0.01, 39.0, std::f64::consts::PI);
            let (f, d) = match a {
                a if a <= 1.0 - b => (1.0 - a, -1.0),
                a if a >= 1.0 + b => (a - 1.0, 1.0),
                a => ((a - 1.0).powi(2) / (2.0 * b) + b / 2.0, (a - 1.0) / b),
            };
            (f + 2.0 * (1.0 - b) / (l * pi) * (l * pi / 2.0 * a).sin(), d + (1.0 - b) * (l * pi / 2.0 * a).cos())
        }
        4 => yanai(0.001, 0.001, a),
        5 => yanai(0.01, 0.001, a),
        6 => yanai(0.001, 0.01, a),
        other => panic!("no function {other}"),
    }
}

fn yanai(b1: f64, b2: f64, a: f64) -> (f64, f64) {
    let gamma = |b: f64| (1.0 + b * b).sqrt() - b;
    let (p, q) = (((1.0 - a).powi(2) + b2 * b2).sqrt(), (a * a + b1 * b1).sqrt());
    (gamma(b1) * p + gamma(b2) * q, gamma(b1) * (a - 1.0) / p + gamma(b2) * a / q)
}
