//! Arithmetic in twice the precision: numbers as unevaluated sums of two doubles.
//!
//! # Reference
//! Dekker (1971), Numer. Math. 18; Joldes, Muller & Popescu (2017), ACM Trans. Math. Softw. 44(2).

use std::ops::{Add, Div, Mul, Neg, Sub};

/// `high + low` with `|low| ≤ ½ ulp(high)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Double {
    high: f64,
    low: f64,
}

/// The sum and its rounding error.
fn two_sum(a: f64, b: f64) -> Double {
    let high = a + b;
    let part = high - a;
    Double { high, low: (a - (high - part)) + (b - part) }
}

/// The same where `|a| ≥ |b|`.
fn quick_sum(a: f64, b: f64) -> Double {
    let high = a + b;
    Double { high, low: b - (high - a) }
}

impl Double {
    /// Zero.
    pub const ZERO: Self = Self { high: 0.0, low: 0.0 };

    /// Rounded to one double.
    pub fn value(self) -> f64 {
        self.high + self.low
    }

    /// Of a sequence.
    pub fn sum(terms: impl Iterator<Item = Self>) -> Self {
        terms.fold(Self::ZERO, |a, b| a + b)
    }
}

impl From<f64> for Double {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl Add for Double {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        let (s, t) = (two_sum(self.high, b.high), two_sum(self.low, b.low));
        let v = quick_sum(s.high, s.low + t.high);
        quick_sum(v.high, t.low + v.low)
    }
}

impl Neg for Double {
    type Output = Self;
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Sub for Double {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        self + -b
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        let product = self.high * b.high;
        let error = self.high.mul_add(b.high, -product);
        quick_sum(product, error + (self.high * b.low + self.low * b.high))
    }
}

impl Div for Double {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        let q = self.high / b.high;
        let rest = self - b * q.into();
        let second = rest.high / b.high;
        let rest = rest - b * second.into();
        quick_sum(q, second) + (rest.high / b.high).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_products_and_quotients_have_twice_the_digits() {
        let (a, b) = (Double::from(1.0), Double::from(3.0));
        let third = a / b;
        assert!(((third * b) - a).value().abs() < 1e-31);
        let tiny = Double::from(1e-25);
        assert_eq!((a + tiny - a).value(), 1e-25);
        // (1 + e)(1 − e) = 1 − e².
        let e = Double::from(1e-10);
        assert!((((a + e) * (a - e) - a).value() / -1e-20 - 1.0).abs() < 1e-11);
    }
}
