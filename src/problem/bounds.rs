//! Bounds `l ≤ x ≤ u` on the variables, and what first-order optimality means within them.
//!
//! At a minimizer the gradient vanishes in the free variables, is `≥ 0` at a lower and `≤ 0` at an upper bound; its size
//! there is the multiplier of the bound.

use crate::error::{Error, Result};

/// Lower and upper bounds of every variable; an infinite one is none.
///
/// # Example
/// ```
/// use curvkit::problem::Bounds;
/// let bounds = Bounds::new(vec![0.0, f64::NEG_INFINITY], vec![1.0, 5.0])?;
/// let mut x = [-2.0, 3.0];
/// assert_eq!(bounds.project(&mut x)?, [0]); // the first variable moved
/// assert_eq!(x, [0.0, 3.0]);
/// // At its lower bound a positive derivative is no way down.
/// assert_eq!(bounds.projected_gradient_norm(&x, &[4.0, 0.5]), 0.5);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bounds {
    lower: Vec<f64>,
    upper: Vec<f64>,
}

/// Which of its bounds a variable is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Side {
    /// The lower bound.
    Lower,
    /// The upper bound.
    Upper,
    /// Both: they are equal.
    Both,
}

/// A variable at its bound.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ActiveBound {
    /// Index of the variable.
    pub index: usize,
    /// The bound it is at.
    pub side: Side,
    /// The multiplier: what the cost would fall by per unit if the bound gave way. Not negative at a minimizer; at two
    /// equal bounds `|gᵢ|`.
    pub multiplier: f64,
}

impl Bounds {
    /// From both ends.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the lengths differ, [`Error::Config`] naming the first variable whose bounds are NaN, out of
    /// order, or leave it no finite value.
    pub fn new(lower: Vec<f64>, upper: Vec<f64>) -> Result<Self> {
        Error::check_len("upper bounds", lower.len(), upper.len())?;
        for (i, (l, u)) in lower.iter().zip(&upper).enumerate() {
            // Written so that NaN is refused.
            if !(l <= u && *l < f64::INFINITY && *u > f64::NEG_INFINITY) {
                return Err(Error::Config {
                    name: format!("bounds of variable {i}"),
                    requirement: "in order, with a finite value between them",
                    value: format!("{l}:{u}"),
                });
            }
        }
        Ok(Self { lower, upper })
    }

    /// No bounds on `n` variables.
    pub fn none(n: usize) -> Self {
        Self { lower: vec![f64::NEG_INFINITY; n], upper: vec![f64::INFINITY; n] }
    }

    /// Number of variables.
    pub fn dim(&self) -> usize {
        self.lower.len()
    }

    /// Lower bounds.
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    /// Upper bounds.
    pub fn upper(&self) -> &[f64] {
        &self.upper
    }

    /// Whether every variable is within its bounds; false for NaN.
    pub fn contains(&self, x: &[f64]) -> bool {
        x.len() == self.dim() && x.iter().enumerate().all(|(i, x)| self.lower[i] <= *x && *x <= self.upper[i])
    }

    /// Moves `x` to the nearest feasible point; the indices of the entries that moved.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another length, [`Error::NonFinite`] for an entry without a nearest value.
    pub fn project(&self, x: &mut [f64]) -> Result<Vec<usize>> {
        Error::check_len("point within bounds", self.dim(), x.len())?;
        Error::check_finite("the starting point", x)?;
        let mut moved = Vec::new();
        for (i, x) in x.iter_mut().enumerate() {
            let nearest = self.nearest(i, *x);
            if nearest != *x {
                moved.push(i);
                *x = nearest;
            }
        }
        Ok(moved)
    }

    /// The feasible value of variable `i` nearest to `value`.
    pub(crate) fn nearest(&self, i: usize, value: f64) -> f64 {
        value.max(self.lower[i]).min(self.upper[i])
    }

    /// The bound that variable `i` is at, exactly.
    pub fn side(&self, i: usize, value: f64) -> Option<Side> {
        match (value <= self.lower[i], value >= self.upper[i]) {
            (true, true) => Some(Side::Both),
            (true, false) => Some(Side::Lower),
            (false, true) => Some(Side::Upper),
            (false, false) => None,
        }
    }

    /// Whether variable `i` is at a bound that its derivative `slope` pushes it against.
    pub fn binds(&self, i: usize, value: f64, slope: f64) -> bool {
        match self.side(i, value) {
            Some(Side::Lower) => slope > 0.0,
            Some(Side::Upper) => slope < 0.0,
            Some(Side::Both) => true,
            None => false,
        }
    }

    /// The largest derivative along which the cost can fall: `max |gᵢ|` over the variables that no bound holds back.
    pub fn projected_gradient_norm(&self, x: &[f64], gradient: &[f64]) -> f64 {
        let free = |(i, (x, g)): (usize, (&f64, &f64))| if self.binds(i, *x, *g) { 0.0 } else { g.abs() };
        // NaN is larger than anything: a test on it fails.
        x.iter().zip(gradient).enumerate().map(free).fold(0.0, |a: f64, b| if b.is_nan() || b > a { b } else { a })
    }

    /// The variables at their bounds, with multipliers.
    pub fn active(&self, x: &[f64], gradient: &[f64]) -> Vec<ActiveBound> {
        let at = |(index, (x, g)): (usize, (&f64, &f64))| {
            let side = self.side(index, *x)?;
            let multiplier = match side {
                Side::Lower => *g,
                Side::Upper => -g,
                Side::Both => g.abs(),
            };
            Some(ActiveBound { index, side, multiplier })
        };
        x.iter().zip(gradient).enumerate().filter_map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    #[test]
    fn bounds_that_are_nan_out_of_order_or_empty_are_refused_by_index() {
        for (l, u) in [(1.0, 0.0), (f64::NAN, 1.0), (0.0, f64::NAN), (INF, INF), (-INF, -INF)] {
            match Bounds::new(vec![0.0, l], vec![1.0, u]) {
                Err(Error::Config { name, .. }) => assert_eq!(name, "bounds of variable 1"),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(Bounds::new(vec![0.0], vec![]), Err(Error::Dimension { expected: 1, found: 0, .. })));
        assert!(Bounds::new(vec![2.0, -INF], vec![2.0, INF]).is_ok());
    }

    #[test]
    fn projection_moves_to_the_nearest_point_and_refuses_nan_and_other_lengths() {
        let b = Bounds::new(vec![0.0, -INF, 2.0], vec![1.0, 0.0, 2.0]).unwrap();
        let mut x = [3.0, -7.0, 5.0];
        assert_eq!(b.project(&mut x).unwrap(), [0, 2]);
        assert_eq!(x, [1.0, -7.0, 2.0]);
        assert!(b.contains(&x) && !b.contains(&[0.5, 0.1, 2.0]) && !b.contains(&[f64::NAN, 0.0, 2.0]) && !b.contains(&[0.5]));
        assert!(matches!(b.project(&mut [0.0, f64::NAN, 2.0]), Err(Error::NonFinite { index: Some(1), .. })));
        assert!(matches!(b.project(&mut [0.0]), Err(Error::Dimension { .. })));
    }

    #[test]
    fn bounds_bind_only_where_the_derivative_pushes_against_them() {
        let b = Bounds::new(vec![0.0, -INF, 3.0], vec![1.0, 2.0, 3.0]).unwrap();
        for (i, value, slopes, binding) in [
            (0, 0.0, [-1e-300, 0.0, 1e-300], [false, false, true]),
            (0, 1.0, [-1e-300, 0.0, 1e-300], [true, false, false]),
            (0, 0.5, [-1.0, 0.0, 1.0], [false; 3]),
            (1, -1e300, [-1.0, 0.0, 1.0], [false; 3]),
            (2, 3.0, [-1.0, 0.0, 1.0], [true; 3]),
        ] {
            assert_eq!(slopes.map(|slope| b.binds(i, value, slope)), binding, "variable {i} at {value}");
        }
    }

    #[test]
    fn projected_gradient_ignores_what_a_bound_holds_back() {
        let b = Bounds::new(vec![0.0, 0.0, 0.0, 3.0], vec![1.0, 1.0, 1.0, 3.0]).unwrap();
        let x = [0.0, 1.0, 0.5, 3.0];
        assert_eq!(b.projected_gradient_norm(&x, &[5.0, -5.0, 0.25, 9.0]), 0.25);
        assert_eq!(b.projected_gradient_norm(&x, &[-5.0, 0.0, 0.25, 9.0]), 5.0);
        assert!(b.projected_gradient_norm(&x, &[0.0, 0.0, f64::NAN, 0.0]).is_nan());
        let active = b.active(&x, &[5.0, -4.0, 0.0, -2.0]);
        let found: Vec<_> = active.iter().map(|a| (a.index, a.side, a.multiplier)).collect();
        assert_eq!(found, [(0, Side::Lower, 5.0), (1, Side::Upper, 4.0), (3, Side::Both, 2.0)]);
    }
}
