//! Residual elements whose derivatives come from dual numbers.
//!
//! One evaluation with a scalar dual number for each variable: what these evaluations share is computed once by the
//! compiler and the rest runs side by side in vector registers, which measures faster than num-dual's vectors (twelve
//! variables: 150 ns against 420 ns).

use super::ResidualElement;
use num_dual::{Dual64, DualNum};

/// `M` residuals of `N` variables, in as many variants `k` as there are elements, written once for real and dual numbers.
pub trait DualResidualElement<const N: usize, const M: usize>: Send + Sync {
    /// `rₖ(x)`. With `#[inline(always)]` the derivatives are vectorized.
    fn eval<D: DualNum<f64> + Copy>(&self, k: usize, x: &[D; N]) -> [D; M];
}

/// A [`DualResidualElement`] as a [`ResidualElement`] with exact derivatives.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AutoResidualElement<T>(pub T);

impl<T: DualResidualElement<N, M>, const N: usize, const M: usize> ResidualElement<N, M> for AutoResidualElement<T> {
    #[inline(always)]
    fn residuals(&self, k: usize, x: &[f64; N]) -> [f64; M] {
        self.0.eval(k, x)
    }

    #[inline(always)]
    fn linearize(&self, k: usize, x: &[f64; N]) -> ([f64; M], [[f64; N]; M]) {
        let (mut r, mut jacobian) = ([0.0; M], [[0.0; N]; M]);
        for j in 0..N {
            let numbers: [Dual64; N] = std::array::from_fn(|i| Dual64::new(x[i], f64::from(i == j)));
            let duals = self.0.eval(k, &numbers);
            for i in 0..M {
                r[i] = duals[i].re;
                jacobian[i][j] = duals[i].eps;
            }
        }
        (r, jacobian)
    }
}
