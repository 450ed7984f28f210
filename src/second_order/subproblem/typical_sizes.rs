//! Sizes of the variables, learned over a run: steps in their units, where the units differ much.
//!
//! # Reference
//! Dennis & Schnabel (1983), *Numerical Methods for Unconstrained Optimization and Nonlinear Equations*, §7.1, ask the
//! user for typical sizes of the variables; here the start and the iterates tell them.

use crate::linalg::vector::{norm_inf, scaled_norm};

/// Sizes at the start within this factor of the largest ask for no scaling.
const EVEN: f64 = 10.0;
/// A variable may become this much larger than it was so far before it counts as of another size.
const ROOM: f64 = 1.5;
/// A variable counts as no smaller than this part of the largest.
const LEAST: f64 = 1e-8;

/// `D = diag(max(1, V / 1.5 vᵢ))` with `V` the largest `|xᵢ|` at the start and `vᵢ` that of each variable so far; a variable
/// that starts at zero tells no size and has `Dᵢ = 1`. `D = I` if all start within a factor ten of `V`.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct TypicalSizes {
    top: f64,
    even: bool,
    largest: Vec<f64>,
    scale: Vec<f64>,
}

impl TypicalSizes {
    /// A new run begins.
    pub fn forget(&mut self) {
        self.largest.clear();
    }

    /// Takes a new point into account and returns `D`; `None` for `D = I`.
    pub fn update(&mut self, x: &[f64]) -> Option<&[f64]> {
        if self.largest.len() != x.len() {
            self.begin(x);
        }
        if self.even {
            return None;
        }
        let top = self.top;
        for ((largest, d), x) in self.largest.iter_mut().zip(&mut self.scale).zip(x) {
            *largest = largest.max(x.abs());
            *d = (top / (ROOM * *largest).max(LEAST * top)).max(1.0);
        }
        self.scale()
    }

    fn begin(&mut self, x: &[f64]) {
        self.top = norm_inf(x);
        self.even = x.iter().all(|&x| x == 0.0 || EVEN * x.abs() >= self.top);
        self.largest.clear();
        self.largest.extend(x.iter().map(|&x| if x == 0.0 { self.top } else { x.abs() }));
        self.scale.clear();
        self.scale.resize(x.len(), 1.0);
    }

    /// `D` of the present point; `None` for `D = I` and before the first point.
    pub fn scale(&self) -> Option<&[f64]> {
        (!self.largest.is_empty() && !self.even).then_some(&self.scale)
    }

    /// `‖D x‖`; `None` where `D = I`.
    pub fn length(&self, x: &[f64]) -> Option<f64> {
        self.scale().filter(|d| d.len() == x.len()).map(|d| scaled_norm(d, x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_one_order_are_left_alone() {
        let mut sizes = TypicalSizes::default();
        assert_eq!(sizes.update(&[-10.0, 1.0, 0.0]), None);
        assert_eq!(sizes.update(&[-10.0, 1e-3, 1e-9]), None, "the start decides");
        assert_eq!(sizes.length(&[1.0; 3]), None);
    }

    #[test]
    fn small_variables_have_small_units_until_they_grow() {
        let mut sizes = TypicalSizes::default();
        assert_eq!(sizes.update(&[300.0, -2.0, 0.0, 1e-20]), Some(&[1.0, 100.0, 1.0, 1e8][..]));
        assert_eq!(sizes.update(&[0.0, 20.0, 1.0, 0.0]), Some(&[1.0, 10.0, 1.0, 1e8][..]));
        assert_eq!(sizes.update(&[1e9, -1e9, 1.0, 2e-3]), Some(&[1.0, 1.0, 1.0, 1e5][..]));
        assert_eq!(sizes.length(&[3.0, 0.0, 0.0, 4e-5]), Some(5.0));
        sizes.forget();
        assert_eq!(sizes.length(&[1.0; 4]), None);
        assert_eq!(sizes.update(&[1.0, 2.0, 3.0, 4.0]), None);
    }
}
