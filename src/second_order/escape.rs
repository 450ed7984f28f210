//! Leaving a saddle along negative curvature.

use super::bounded::place;
use super::evaluation::Point;
use crate::error::Result;
use crate::linalg::Vector;
use crate::linalg::vector::{add_scaled, all_finite, dot};
use crate::problem::{At, Bounds, Objective};

/// A point with lower cost along `±direction`, within `reach`, from a stationary point with curvature `leftmost < 0`, bent at the
/// bounds.
pub(super) fn leave_saddle<O: Objective>(
    at: At<'_, O>,
    bounds: Option<&Bounds>,
    here: &Point<O::Point>,
    direction: &[f64],
    leftmost: f64,
    reach: f64,
) -> Result<Option<Point<O::Point>>> {
    let mut x = here.x.clone();
    let mut length = reach;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;

    /// `a x² + b x⁴`.
    struct Line {
        a: f64,
        b: f64,
    }
    impl argmin::core::CostFunction for Line {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, argmin::core::Error> {
            Ok(self.a * x[0].powi(2) + self.b * x[0].powi(4))
        }
    }
    impl argmin::core::Gradient for Line {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, argmin::core::Error> {
            Ok(vec![2.0 * self.a * x[0] + 4.0 * self.b * x[0].powi(3)])
        }
    }

    fn leave(problem: &Line, gradient: f64, reach: f64) -> Option<f64> {
        let here = Point { x: vec![0.0], cost: 0.0, gradient: vec![gradient] };
        let counts = Counts::default();
        let at = At { problem, x: &here.x, rows: None, counts: &counts };
        leave_saddle(at, None, &here, &[1.0], -2.0, reach).unwrap().map(|there| there.x[0])
    }

    #[test]
    fn a_claimed_saddle_is_not_left_where_the_cost_rises_on_both_sides_or_falls_too_little() {
        assert_eq!(leave(&Line { a: 1.0, b: 0.0 }, 0.0, 4.0), None);
        // The claim promises ½ · 2 t², of which 1e-4 is asked.
        assert_eq!(leave(&Line { a: -0.9e-4, b: 0.0 }, 0.0, 4.0), None);
        assert_eq!(leave(&Line { a: -1.1e-4, b: 0.0 }, 0.0, 4.0), Some(4.0));
    }

    #[test]
    fn a_saddle_is_left_downhill_within_reach_by_halves() {
        // −x² + x⁴: lower than the origin inside of (−1, 1) only.
        let hill = Line { a: -1.0, b: 1.0 };
        assert_eq!(leave(&hill, 0.0, 4.0), Some(0.5));
        assert_eq!(leave(&hill, 1e-9, 4.0), Some(-0.5));
        assert_eq!(leave(&hill, -1e-9, 0.25), Some(0.25));
    }
}
