//! Exact Jacobians and second derivatives of residuals that are generic over dual numbers ([`AutoResiduals`]).

use super::autodiff::{DualFunction, unit, unit_row, with_lifted, write_hessian};
use super::{DualNum, ResidualHessian, Residuals};
use crate::error::{Error, Result};
use nalgebra::{Const, SMatrix, U1};
use num_dual::{Derivative, Dual2SVec64, DualSVec64};

/// Residuals written once for real and dual numbers.
pub trait DualResiduals: Send + Sync {
    /// Number of variables.
    fn n(&self) -> usize;
    /// Number of residuals.
    fn m(&self) -> usize;
    /// Hands `r₁(x), …, r_m(x)` to `each`, in order.
    fn visit<D: DualNum<f64> + Copy>(&self, x: &[D], each: &mut impl FnMut(D));
}

/// [`DualResiduals`] with derivatives by forward mode: a Jacobian is one sweep up to nine variables, and a sweep per eight
/// beyond.
#[derive(Debug, Clone)]
pub struct AutoResiduals<F>(pub F);

impl<F: DualResiduals> AutoResiduals<F> {
    fn check(&self, x: &[f64], what: &'static str, expected: usize, found: usize) -> Result<()> {
        Error::check_len("point", self.0.n(), x.len())?;
        Error::check_len(what, expected, found)
    }
}

/// Writes `J`, column-major, in chunks of `N` tangents.
fn jacobian_chunked<F: DualResiduals, const N: usize>(f: &F, x: &[f64], out: &mut [f64]) {
    let (n, m) = (x.len(), f.m());
    let sweep = |numbers: &mut [DualSVec64<N>]| {
        for first in (0..n).step_by(N) {
            let width = N.min(n - first);
            for k in 0..width {
                numbers[first + k].eps = Derivative::some(unit(k));
            }
            let mut i = 0;
            f.visit(numbers, &mut |r| {
                if i < m {
                    let tangents = r.eps.unwrap_generic(Const::<N>, U1);
                    (0..width).for_each(|k| out[(first + k) * m + i] = tangents[k]);
                }
                i += 1;
            });
            for number in &mut numbers[first..first + width] {
                number.eps = Derivative::none();
            }
        }
    };
    with_lifted::<_, _, N>(n, sweep, |i| DualSVec64::<N>::from_re(x[i]));
}

/// `out ← Σ wᵢ ∇²rᵢ` in one sweep over second-order dual numbers of up to `N` variables.
fn hessian_whole<F: DualResiduals, const N: usize>(f: &F, x: &[f64], weights: &[f64], out: &mut [f64]) {
    let n = x.len();
    let mut weights = weights.iter();
    let mut sum = SMatrix::<f64, N, N>::zeros();
    let sweep = |numbers: &mut [Dual2SVec64<N>]| {
        f.visit(numbers, &mut |r| {
            if let Some(&w) = weights.next() {
                let second = r.v2.unwrap_generic(Const::<N>, Const::<N>);
                sum += second * w;
            }
        });
    };
    with_lifted::<_, _, N>(n, sweep, |i| Dual2SVec64::<N>::new(x[i], Derivative::some(unit_row(i)), Derivative::none()));
    for j in 0..n {
        (0..n).for_each(|i| out[j * n + i] = sum[(i, j)]);
    }
}

impl<F: DualResiduals> Residuals for AutoResiduals<F> {
    fn n(&self) -> usize {
        self.0.n()
    }
    fn m(&self) -> usize {
        self.0.m()
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x, "residuals", self.0.m(), out.len())?;
        let mut places = out.iter_mut();
        self.0.visit(x, &mut |r: f64| {
            if let Some(place) = places.next() {
                *place = r;
            }
        });
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x, "Jacobian", self.0.m() * self.0.n(), out.len())?;
        match x.len() {
            0..=2 => jacobian_chunked::<F, 2>(&self.0, x, out),
            3 => jacobian_chunked::<F, 3>(&self.0, x, out),
            4 => jacobian_chunked::<F, 4>(&self.0, x, out),
            5..=6 => jacobian_chunked::<F, 6>(&self.0, x, out),
            9 => jacobian_chunked::<F, 9>(&self.0, x, out),
            _ => jacobian_chunked::<F, 8>(&self.0, x, out),
        }
        Ok(())
    }
}

/// `Σ wᵢ rᵢ(x)`, whose Hessian is the weighted sum of theirs.
struct Weighted<'a, F> {
    residuals: &'a F,
    weights: &'a [f64],
}

impl<F: DualResiduals> DualFunction for Weighted<'_, F> {
    fn dim(&self) -> usize {
        self.residuals.n()
    }
    fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D {
        let mut sum = D::from(0.0);
        let mut weights = self.weights.iter();
        self.residuals.visit(x, &mut |r| {
            if let Some(&w) = weights.next() {
                sum += r * w;
            }
        });
        sum
    }
}

impl<F: DualResiduals> ResidualHessian for AutoResiduals<F> {
    fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x, "Hessian", x.len() * x.len(), out.len())?;
        Error::check_len("weights", self.0.m(), weights.len())?;
        match x.len() {
            0..=2 => hessian_whole::<F, 2>(&self.0, x, weights, out),
            3 => hessian_whole::<F, 3>(&self.0, x, weights, out),
            4 => hessian_whole::<F, 4>(&self.0, x, weights, out),
            5..=6 => hessian_whole::<F, 6>(&self.0, x, weights, out),
            // In between, blocks of four cost less.
            9 => hessian_whole::<F, 9>(&self.0, x, weights, out),
            _ => write_hessian(&Weighted { residuals: &self.0, weights }, x, out),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `r₁ = x₀² x₁, r₂ = exp(x₂) + x₀ x₁`, and a sum over all variables.
    struct Three(usize);
    impl DualResiduals for Three {
        fn n(&self) -> usize {
            self.0
        }
        fn m(&self) -> usize {
            3
        }
        fn visit<D: DualNum<f64> + Copy>(&self, x: &[D], each: &mut impl FnMut(D)) {
            each(x[0] * x[0] * x[1]);
            each(x[2].exp() + x[0] * x[1]);
            let mut sum = D::from(0.0);
            x.iter().enumerate().for_each(|(k, x)| sum += *x * (k as f64));
            each(sum);
        }
    }

    #[test]
    fn derivatives_equal_the_closed_forms_for_every_width() {
        for n in [3, 4, 5, 6, 7, 9, 11, 20] {
            let f = AutoResiduals(Three(n));
            let x: Vec<f64> = (0..n).map(|k| 0.5 + 0.25 * k as f64).collect();
            let mut j = vec![f64::NAN; 3 * n];
            f.jacobian(&x, &mut j).unwrap();
            for k in 0..n {
                let first = [2.0 * x[0] * x[1], x[0] * x[0]].get(k).copied().unwrap_or(0.0);
                let second = [x[1], x[0], x[2].exp()].get(k).copied().unwrap_or(0.0);
                assert_eq!(j[3 * k..3 * k + 3], [first, second, k as f64], "{n} {k}");
            }
            let mut h = vec![f64::NAN; n * n];
            f.weighted_hessian(&x, &[2.0, -1.0, 5.0], &mut h).unwrap();
            for (a, b, value) in [(0, 0, 4.0 * x[1]), (0, 1, 4.0 * x[0] - 1.0), (1, 1, 0.0), (2, 2, -x[2].exp()), (0, n - 1, 0.0)]
            {
                assert!((h[a * n + b] - value).abs() < 1e-14 && (h[b * n + a] - value).abs() < 1e-14, "{n} {a} {b}");
            }
        }
    }

    #[test]
    fn wrong_lengths_are_errors() {
        let f = AutoResiduals(Three(3));
        assert!(f.residuals(&[0.0; 2], &mut [0.0; 3]).is_err());
        assert!(f.residuals(&[0.0; 3], &mut [0.0; 2]).is_err());
        assert!(f.jacobian(&[0.0; 3], &mut [0.0; 2]).is_err());
        assert!(f.weighted_hessian(&[0.0; 3], &[1.0; 2], &mut [0.0; 9]).is_err());
    }
}
