//! Elements whose derivatives come from dual numbers.
//!
//! Scalar dual numbers, one evaluation for each entry: for few variables they stay in registers, which measures faster
//! than fewer evaluations with num-dual's vectors.

use super::Element;
use num_dual::{Dual64, DualNum, HyperDual64};

/// A function of `N` variables, in as many variants `k` as there are elements, written once for real and dual numbers.
pub trait DualElement<const N: usize>: Send + Sync {
    /// `fₖ(x)`.
    fn eval<D: DualNum<f64> + Copy>(&self, k: usize, x: &[D; N]) -> D;
}

/// A [`DualElement`] as an [`Element`] with exact derivatives.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AutoElement<T>(pub T);

impl<T: DualElement<N>, const N: usize> Element<N> for AutoElement<T> {
    #[inline]
    fn value(&self, k: usize, x: &[f64; N]) -> f64 {
        self.0.eval(k, x)
    }

    #[inline]
    fn gradient(&self, k: usize, x: &[f64; N]) -> [f64; N] {
        std::array::from_fn(|j| self.0.eval(k, &std::array::from_fn(|i| Dual64::new(x[i], f64::from(i == j)))).eps)
    }

    #[inline]
    fn hessian(&self, k: usize, x: &[f64; N]) -> [[f64; N]; N] {
        let mut h = [[0.0; N]; N];
        for j in 0..N {
            for i in 0..=j {
                let numbers = std::array::from_fn(|l| HyperDual64::new(x[l], f64::from(l == i), f64::from(l == j), 0.0));
                let entry = self.0.eval(k, &numbers).eps1eps2;
                h[j][i] = entry;
                h[i][j] = entry;
            }
        }
        h
    }

    #[inline]
    fn hessian_product(&self, k: usize, x: &[f64; N], v: &[f64; N]) -> [f64; N] {
        std::array::from_fn(|j| {
            self.0.eval(k, &std::array::from_fn(|l| HyperDual64::new(x[l], f64::from(l == j), v[l], 0.0))).eps1eps2
        })
    }
}
