//! Penalty I: `f(x) = a Σ (xᵢ − 1)² + (Σ xᵢ² − ¼)²`, `a = 10⁻⁵`; Hessian `(2a + 4s) I + 8 xxᵀ` with `s = Σ xᵢ² − ¼`.
//! Moré, Garbow and Hillstrom (1981), problem 23.

use super::{WEIGHT, dense, dense_allowed};
use crate::error::{Error, Result};
use crate::linalg::vector::dot;
use crate::problem::{Function, HessianMatrix};
use crate::testbed::local::{fill, sum, sum_lanes};

pub(super) struct Penalty1(pub(super) usize);

/// `Σ xᵢ² − ¼` and `xᵀv`.
fn sums(x: &[f64], v: &[f64]) -> (f64, f64) {
    let [xx, xv] = sum(0..x.len(), 1, &|range| {
        let (x, v) = (&x[range.clone()], &v[range]);
        [dot(x, x), dot(x, v)]
    });
    (xx - 0.25, xv)
}

impl Function for Penalty1 {
    fn dim(&self) -> usize {
        self.0
    }

    fn cost(&self, x: &[f64]) -> Result<f64> {
        Error::check_len("point", self.0, x.len())?;
        let [distance, squares] = sum(0..x.len(), 1, &|range| {
            let x = &x[range];
            [sum_lanes(x, x, x, |x, _, _| (x - 1.0) * (x - 1.0)), dot(x, x)]
        });
        let s = squares - 0.25;
        Ok(WEIGHT * distance + s * s)
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.0, x.len())?;
        Error::check_len("gradient", self.0, out.len())?;
        let s = 4.0 * sums(x, x).0;
        fill(out, 1, &|first, out| {
            out.iter_mut().zip(&x[first..]).for_each(|(o, x)| *o = 2.0 * WEIGHT * (x - 1.0) + s * x);
        });
        Ok(())
    }

    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        Error::check_len("point", self.0, x.len())?;
        dense_allowed(self.0)?;
        let shift = 2.0 * WEIGHT + 4.0 * sums(x, x).0;
        dense(self.0, |i, j| {
            let low_rank = 8.0 * (x[i] * x[j]);
            if i == j { shift + low_rank } else { low_rank }
        })
    }

    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.0, x.len())?;
        Error::check_len("direction", self.0, v.len())?;
        Error::check_len("product", self.0, out.len())?;
        let (s, xv) = sums(x, v);
        let (shift, along) = (2.0 * WEIGHT + 4.0 * s, 8.0 * xv);
        fill(out, 1, &|first, out| {
            for (o, (x, v)) in out.iter_mut().zip(x[first..].iter().zip(&v[first..])) {
                *o = shift * v + along * x;
            }
        });
        Ok(())
    }
}
