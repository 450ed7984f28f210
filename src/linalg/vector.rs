//! Containers at the door ([`Vector`]) and arithmetic on slices behind it.
//!
//! Reductions run over eight accumulators under [`pulp`]'s run-time dispatch, so that a dot product uses the widest
//! vectors of the machine; the summation order depends on the length only.

use super::power::{exponent, times_power};
use pulp::Arch;

/// A contiguous vector of `f64`: the type of points and gradients.
pub trait Vector: Clone {
    /// The entries.
    fn as_slice(&self) -> &[f64];
    /// The entries, writable.
    fn as_mut_slice(&mut self) -> &mut [f64];
}

impl Vector for Vec<f64> {
    #[inline]
    fn as_slice(&self) -> &[f64] {
        self
    }
    #[inline]
    fn as_mut_slice(&mut self) -> &mut [f64] {
        self
    }
}

impl Vector for nalgebra::DVector<f64> {
    #[inline]
    fn as_slice(&self) -> &[f64] {
        self.data.as_slice()
    }
    #[inline]
    fn as_mut_slice(&mut self) -> &mut [f64] {
        self.data.as_mut_slice()
    }
}

impl<const N: usize> Vector for nalgebra::SVector<f64, N> {
    #[inline]
    fn as_slice(&self) -> &[f64] {
        &self.data.0[0]
    }
    #[inline]
    fn as_mut_slice(&mut self) -> &mut [f64] {
        &mut self.data.0[0]
    }
}

impl Vector for faer::Col<f64> {
    fn as_slice(&self) -> &[f64] {
        self.try_as_col_major().map_or(&[], |c| c.as_slice())
    }
    fn as_mut_slice(&mut self) -> &mut [f64] {
        self.try_as_col_major_mut().map_or(&mut [], |c| c.as_slice_mut())
    }
}

#[cfg(feature = "ndarray")]
impl Vector for ndarray::Array1<f64> {
    fn as_slice(&self) -> &[f64] {
        ndarray::ArrayRef::as_slice(self).unwrap_or(&[])
    }
    fn as_mut_slice(&mut self) -> &mut [f64] {
        ndarray::ArrayRef::as_slice_mut(self).unwrap_or(&mut [])
    }
}

/// Below this length plain loops beat dispatch.
const SHORT: usize = 32;

#[inline(always)]
fn lanes(n: usize, mut term: impl FnMut(usize) -> f64) -> f64 {
    let mut s = [0.0f64; 8];
    let full = n / 8 * 8;
    let mut i = 0;
    while i < full {
        for (k, sk) in s.iter_mut().enumerate() {
            *sk += term(i + k);
        }
        i += 8;
    }
    let mut tail = 0.0;
    for j in full..n {
        tail += term(j);
    }
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + tail
}

/// `xᵀy`.
#[inline]
pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len().min(y.len());
    let (x, y) = (&x[..n], &y[..n]);
    if n < SHORT { x.iter().zip(y).map(|(a, b)| a * b).sum() } else { dot_long(x, y) }
}

fn dot_long(x: &[f64], y: &[f64]) -> f64 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (xs, xt) = x.as_chunks::<8>();
            let (ys, yt) = y.as_chunks::<8>();
            let mut s = [0.0f64; 8];
            for (a, b) in xs.iter().zip(ys) {
                for k in 0..8 {
                    s[k] += a[k] * b[k];
                }
            }
            let tail: f64 = xt.iter().zip(yt).map(|(a, b)| a * b).sum();
            ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + tail
        },
    )
}

/// `xᵀy` as if summed in twice the precision and rounded once (Ogita, Rump & Oishi 2005, Algorithm 5.3).
pub fn dot_compensated(x: &[f64], y: &[f64]) -> f64 {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (mut sum, mut error) = (0.0f64, 0.0f64);
            for (a, b) in x.iter().zip(y) {
                let product = a * b;
                let total = sum + product;
                let part = total - sum;
                error += a.mul_add(*b, -product) + ((sum - (total - part)) + (product - part));
                sum = total;
            }
            sum + error
        },
    )
}

/// A number `significand · 2^exponent` that may lie beyond the range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Ranged {
    pub significand: f64,
    pub exponent: i32,
}

impl Ranged {
    /// The number; infinite or zero beyond the range.
    pub fn value(self) -> f64 {
        times_power(self.significand, self.exponent)
    }

    /// A product whose factors are in range.
    pub fn product(factors: &[f64]) -> Self {
        factors.iter().fold(Self { significand: 1.0, exponent: 0 }, |all, factor| {
            let e = exponent(*factor);
            Self { significand: all.significand * times_power(*factor, -e), exponent: all.exponent + e }
        })
    }

    /// The sum, in units of the larger exponent.
    pub fn plus(self, other: Self) -> Self {
        if self.significand == 0.0 {
            return other;
        }
        let (large, small) =
            if other.exponent > self.exponent && other.significand != 0.0 { (other, self) } else { (self, other) };
        let added = times_power(small.significand, small.exponent - large.exponent);
        Self { significand: large.significand + added, ..large }
    }

    pub fn negated(self) -> Self {
        Self { significand: -self.significand, ..self }
    }
}

/// `xᵀy` at every scale: the products are taken in units in which they stay in range, where they do not without.
#[inline]
pub(crate) fn dot_in_range(x: &[f64], y: &[f64]) -> Ranged {
    let s = dot(x, y);
    if s.is_finite() && s.abs() > 1e-200 { Ranged { significand: s, exponent: 0 } } else { dot_rescaled(x, y) }
}

#[cold]
fn dot_rescaled(x: &[f64], y: &[f64]) -> Ranged {
    let (e, f) = (exponent(norm_inf(x)), exponent(norm_inf(y)));
    let n = x.len().min(y.len());
    let product = |i: usize| times_power(x[i], -e) * times_power(y[i], -f);
    let significand = if n < SHORT { (0..n).map(product).sum() } else { lanes(n, product) };
    Ranged { significand, exponent: e + f }
}

/// `‖x‖₂`, safe against overflow and underflow of the squares.
#[inline]
pub fn norm(x: &[f64]) -> f64 {
    let s = dot(x, x);
    if s.is_finite() && s > 1e-280 { s.sqrt() } else { norm_rescaled(x) }
}

#[cold]
fn norm_rescaled(x: &[f64]) -> f64 {
    let m = norm_inf(x);
    if m == 0.0 || !m.is_finite() {
        return m;
    }
    // By a power of two and in the order of `dot`, so that a change of units changes no digit.
    let e = exponent(m);
    let square = |i: usize| {
        let v = times_power(x[i], -e);
        v * v
    };
    let s = if x.len() < SHORT { (0..x.len()).map(square).sum() } else { lanes(x.len(), square) };
    times_power(f64::sqrt(s), e)
}

/// `‖D x‖₂` for `D = diag(d)`, safe against overflow and underflow of the squares.
pub fn scaled_norm(d: &[f64], x: &[f64]) -> f64 {
    let n = d.len().min(x.len());
    let s = lanes(n, |i| (d[i] * x[i]) * (d[i] * x[i]));
    if s.is_finite() && s > 1e-280 { s.sqrt() } else { d.iter().zip(x).fold(0.0, |s, (d, x)| hypot(s, d * x)) }
}

/// `√(a² + b²)`, safe against overflow and underflow of the squares; several times faster than the library's where they
/// are in range, at an error of one unit in the last place instead of half.
#[inline]
pub fn hypot(a: f64, b: f64) -> f64 {
    let s = a * a + b * b;
    if s > 1e-280 && s < f64::INFINITY { s.sqrt() } else { a.hypot(b) }
}

/// `‖x‖∞`; NaN if an entry is NaN.
#[inline]
pub fn norm_inf(x: &[f64]) -> f64 {
    let mut m = 0.0f64;
    let mut nan = false;
    for v in x {
        nan |= v.is_nan();
        m = m.max(v.abs());
    }
    if nan { f64::NAN } else { m }
}

/// `‖x − y‖₂`.
pub fn distance(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len().min(y.len());
    lanes(n, |i| (x[i] - y[i]) * (x[i] - y[i])).sqrt()
}

/// `y ← y + a x`.
#[inline]
pub fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    let n = x.len().min(y.len());
    let (x, y) = (&x[..n], &mut y[..n]);
    if n < SHORT {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
    } else {
        axpy_long(a, x, y);
    }
}

fn axpy_long(a: f64, x: &[f64], y: &mut [f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x),
    );
}

/// `y ← x + b y` (the direction update of conjugate gradients).
#[inline]
pub fn xpby(x: &[f64], b: f64, y: &mut [f64]) {
    let n = x.len().min(y.len());
    let (x, y) = (&x[..n], &mut y[..n]);
    if n < SHORT {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = x + b * *y);
        return;
    }
    Arch::new().dispatch(
        #[inline(always)]
        || y.iter_mut().zip(x).for_each(|(y, x)| *y = x + b * *y),
    );
}

/// `out ← x + a p`.
#[inline]
pub fn add_scaled(x: &[f64], a: f64, p: &[f64], out: &mut [f64]) {
    for ((o, x), p) in out.iter_mut().zip(x).zip(p) {
        *o = x + a * p;
    }
}

/// `x ← a x`.
#[inline]
pub fn scale(a: f64, x: &mut [f64]) {
    x.iter_mut().for_each(|v| *v *= a);
}

/// True if every entry is finite.
#[inline]
pub fn all_finite(x: &[f64]) -> bool {
    x.iter().all(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_of_long_vectors_equals_plain_sum() {
        for n in [0, 1, 7, 31, 32, 33, 100, 1003] {
            let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin()).collect();
            let y: Vec<f64> = (0..n).map(|i| (i as f64 * 0.11).cos()).collect();
            let plain: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
            assert!((dot(&x, &y) - plain).abs() <= 1e-13 * (n.max(1) as f64));
        }
    }

    #[test]
    fn norm_of_extreme_entries_neither_overflows_nor_underflows() {
        assert!((norm(&[3e200, 4e200]) / 5e200 - 1.0).abs() < 1e-15);
        assert!((norm(&[3e-200, 4e-200]) / 5e-200 - 1.0).abs() < 1e-15);
        assert_eq!(norm(&[0.0; 3]), 0.0);
        for n in [3, 31, 77] {
            let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin()).collect();
            for e in [-900, -600, -3, 5, 700, 1000] {
                let scaled: Vec<f64> = x.iter().map(|x| times_power(*x, e)).collect();
                assert_eq!(norm(&scaled), times_power(norm(&x), e), "{n} {e}");
            }
        }
        assert!(norm_inf(&[1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn containers_of_each_kind_show_their_entries() {
        let mut a = vec![1.0, 2.0];
        let mut b = nalgebra::DVector::from_vec(a.clone());
        let mut c = nalgebra::SVector::<f64, 2>::new(1.0, 2.0);
        let mut d = faer::Col::from_fn(2, |i| 1.0 + i as f64);
        for v in [a.as_mut_slice(), Vector::as_mut_slice(&mut b), Vector::as_mut_slice(&mut c), Vector::as_mut_slice(&mut d)] {
            assert_eq!(v, [1.0, 2.0]);
            v[1] = 5.0;
        }
        assert_eq!(Vector::as_slice(&d), [1.0, 5.0]);
    }
}
