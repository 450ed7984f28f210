//! Leaving a saddle along negative curvature.

use super::bounded::place;
use super::evaluation::Point;
use crate::error::Result;
use crate::linalg::Vector;
use crate::linalg::vector::{add_scaled, all_finite, dot, norm};
use crate::problem::{At, Bounds, Objective};

/// A point with lower cost along `±direction` from a stationary point with curvature `leftmost < 0`, bent at the bounds.
pub(super) fn leave_saddle<O: Objective>(
    at: At<'_, O>,
    bounds: Option<&Bounds>,
    here: &Point<O::Point>,
    direction: &[f64],
    leftmost: f64,
) -> Result<Option<Point<O::Point>>> {
    let mut x = here.x.clone();
    let mut length = 1.0 + norm(here.x.as_slice());
    let smallest = length * f64::EPSILON.cbrt();
    let descending = if dot(here.gradient.as_slice(), direction) > 0.0 { -1.0 } else { 1.0 };
    while length > smallest {
        let enough = 1e-4 * 0.5 * leftmost.abs() * length * length;
        for sign in [descending, -descending] {
            match bounds {
                None => add_scaled(here.x.as_slice(), sign * length, direction, x.as_mut_slice()),
                Some(bounds) => {
                    let p: Vec<f64> = direction.iter().map(|d| sign * length * d).collect();
                    place(bounds, here.x.as_slice(), &p, x.as_mut_slice());
                }
            }
            let there = At { x: &x, ..at };
            let cost = there.cost()?;
            if here.cost - cost > enough && cost.is_finite() {
                let gradient = there.gradient()?;
                if all_finite(gradient.as_slice()) {
                    return Ok(Some(Point { x, cost, gradient }));
                }
            }
        }
        length *= 0.5;
    }
    Ok(None)
}
