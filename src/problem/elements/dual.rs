//! Elements whose derivatives come from dual numbers.

use super::Element;
use nalgebra::{Const, SMatrix, SVector, U1};
use num_dual::{Derivative, Dual2SVec64, DualNum, DualSVec64, HyperDualSVec64};

/// A function of `N` variables, in as many variants `k` as there are elements, written once for real and dual numbers.
pub trait DualElement<const N: usize>: Send + Sync {
    /// `fₖ(x)`.
    fn eval<D: DualNum<f64> + Copy>(&self, k: usize, x: &[D; N]) -> D;
}

/// A [`DualElement`] as an [`Element`] with exact derivatives.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct AutoElement<T>(pub T);

fn unit<const N: usize>(k: usize) -> SVector<f64, N> {
    SVector::from_fn(|i, _| f64::from(i == k))
}

impl<T: DualElement<N>, const N: usize> Element<N> for AutoElement<T> {
    #[inline]
    fn value(&self, k: usize, x: &[f64; N]) -> f64 {
        self.0.eval(k, x)
    }

    #[inline]
    fn gradient(&self, k: usize, x: &[f64; N]) -> [f64; N] {
        let numbers = std::array::from_fn(|i| DualSVec64::<N>::new(x[i], Derivative::some(unit(i))));
        let g = self.0.eval(k, &numbers).eps.unwrap_generic(Const::<N>, U1);
        std::array::from_fn(|i| g[i])
    }

    #[inline]
    fn hessian(&self, k: usize, x: &[f64; N]) -> [[f64; N]; N] {
        let numbers = std::array::from_fn(|i| Dual2SVec64::<N>::from_re(x[i]).derivative(i));
        let h = self.0.eval(k, &numbers).v2.unwrap_generic(Const::<N>, Const::<N>);
        // One triangle only: the two may differ in the last bit.
        std::array::from_fn(|j| std::array::from_fn(|i| h[(i.max(j), i.min(j))]))
    }

    #[inline]
    fn hessian_product(&self, k: usize, x: &[f64; N], v: &[f64; N]) -> [f64; N] {
        let numbers = std::array::from_fn(|i| {
            let direction = Derivative::some(SMatrix::from_element(v[i]));
            HyperDualSVec64::<N, 1>::new(x[i], Derivative::some(unit(i)), direction, Derivative::none())
        });
        let product = self.0.eval(k, &numbers).eps1eps2.unwrap_generic(Const::<N>, U1);
        std::array::from_fn(|i| product[i])
    }
}
