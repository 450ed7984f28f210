//! B-splines and natural cubic splines.
//!
//! # Reference
//! de Boor (1978), *A Practical Guide to Splines*, ch. IX–X (the recurrence of B-splines) and IV (natural splines).

use super::{Basis, check_increasing};
use crate::error::{Error, Result};

/// B-splines of a degree over knots: not negative, of sum one; each vanishes outside of `degree + 1` intervals.
///
/// Beyond the ends the outermost polynomials are continued.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BSpline {
    degree: usize,
    /// The knots, the ends repeated `degree + 1` times.
    knots: Vec<f64>,
}

impl BSpline {
    /// On `[low, high]` with simple knots inside.
    ///
    /// # Errors
    /// [`Error::Config`] unless the ends with the knots between them are finite and increase.
    pub fn new(degree: usize, low: f64, high: f64, interior: &[f64]) -> Result<Self> {
        check_increasing("knots", &[&[low], interior, &[high]].concat())?;
        let ends = |v: f64| vec![v; degree + 1];
        Ok(Self { degree, knots: [ends(low), interior.to_vec(), ends(high)].concat() })
    }

    /// The last knot not above `x`, inside of the range.
    fn interval(&self, x: f64) -> usize {
        let (first, last) = (self.degree, self.len() - 1);
        self.knots[first..=last].partition_point(|t| *t <= x).saturating_sub(1) + first
    }
}

impl Basis for BSpline {
    fn len(&self) -> usize {
        self.knots.len() - self.degree - 1
    }

    /// de Boor's recurrence `B_{i,k} = ω_{i,k} B_{i,k−1} + (1 − ω_{i+1,k}) B_{i+1,k−1}`, `ω_{i,k} = (x − tᵢ)/(t_{i+k} − tᵢ)`.
    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        let (x, t) = (x[0], &self.knots);
        let at = self.interval(x);
        out.fill(0.0);
        out[at] = 1.0;
        for k in 1..=self.degree {
            for i in at - k..=at {
                let omega = |i: usize| (x - t[i]) / (t[i + k] - t[i]);
                let left = if i + k > at && i > at - k { omega(i) * out[i] } else { 0.0 };
                let right = if i < at { (1.0 - omega(i + 1)) * out[i + 1] } else { 0.0 };
                out[i] = left + right;
            }
        }
    }

    fn names(&self, variable: &str) -> Vec<String> {
        (1..=self.len()).map(|k| format!("B{k}({variable})")).collect()
    }
}

/// Cubic splines that are straight beyond their outer knots, by their values at the knots: function `k` is 1 at knot `k` and 0
/// at the others, so that a coefficient is the height of the curve at its knot.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NaturalSpline {
    knots: Vec<f64>,
    /// Second derivatives at the knots, those of one function after the other.
    bends: Vec<f64>,
}

impl NaturalSpline {
    /// With two or more knots.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer, or unless they are finite and increase.
    pub fn new(knots: &[f64]) -> Result<Self> {
        Error::check_option(knots.len() >= 2, "knots", "at least 2", knots.len())?;
        check_increasing("knots", knots)?;
        let n = knots.len();
        let bends = (0..n).flat_map(|k| second_derivatives(knots, &(0..n).map(|i| f64::from(i == k)).collect::<Vec<_>>()));
        Ok(Self { knots: knots.to_vec(), bends: bends.collect() })
    }
}

/// Second derivatives `M` of the natural interpolant: `hᵢ₋₁ Mᵢ₋₁ + 2 (hᵢ₋₁ + hᵢ) Mᵢ + hᵢ Mᵢ₊₁ = 6 (sᵢ − sᵢ₋₁)` with the slopes
/// `s` of the data, by elimination.
fn second_derivatives(knots: &[f64], y: &[f64]) -> Vec<f64> {
    let n = knots.len();
    let h = |i: usize| knots[i + 1] - knots[i];
    let slope = |i: usize| (y[i + 1] - y[i]) / h(i);
    let (mut upper, mut m) = (vec![0.0; n], vec![0.0; n]);
    for i in 1..n - 1 {
        let pivot = 2.0 * (h(i - 1) + h(i)) - h(i - 1) * upper[i - 1];
        upper[i] = h(i) / pivot;
        m[i] = (6.0 * (slope(i) - slope(i - 1)) - h(i - 1) * m[i - 1]) / pivot;
    }
    for i in (1..n - 1).rev() {
        m[i] -= upper[i] * m[i + 1];
    }
    m
}

impl Basis for NaturalSpline {
    fn len(&self) -> usize {
        self.knots.len()
    }

    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        let (x, t, n) = (x[0], &self.knots, self.knots.len());
        let i = t.partition_point(|t| *t <= x).clamp(1, n - 1) - 1;
        let h = t[i + 1] - t[i];
        // Beyond the ends: the straight line of the outer knot's slope.
        let place = x.clamp(t[0], t[n - 1]);
        let (a, b) = ((t[i + 1] - place) / h, (place - t[i]) / h);
        for (k, o) in out.iter_mut().enumerate() {
            let unit = |j: usize| f64::from(j == k);
            let (low, high) = (self.bends[k * n + i], self.bends[k * n + i + 1]);
            let value = a * unit(i) + b * unit(i + 1) + ((a * a * a - a) * low + (b * b * b - b) * high) * h * h / 6.0;
            let slope = (unit(i + 1) - unit(i)) / h + ((3.0 * b * b - 1.0) * high - (3.0 * a * a - 1.0) * low) * h / 6.0;
            *o = value + slope * (x - place);
        }
    }

    fn names(&self, variable: &str) -> Vec<String> {
        self.knots.iter().map(|t| format!("{variable}@{t}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(basis: &dyn Basis, x: f64) -> Vec<f64> {
        let mut out = vec![0.0; basis.len()];
        basis.evaluate(&[x], &mut out);
        out
    }

    #[test]
    fn b_splines_sum_to_one_and_reproduce_polynomials() {
        for degree in 0..5 {
            let basis = BSpline::new(degree, -1.0, 3.0, &[-0.5, 0.1, 0.2, 2.0]).unwrap();
            assert_eq!(basis.len(), degree + 5);
            for k in 0..=50 {
                let x = -1.0 + 4.0 * f64::from(k) / 50.0;
                let b = values(&basis, x);
                assert!((b.iter().sum::<f64>() - 1.0).abs() < 1e-14 && b.iter().all(|b| *b >= 0.0), "{degree} {x} {b:?}");
                assert!(b.iter().filter(|b| **b > 0.0).count() <= degree + 1);
                // Marsden's identity: Σ ψᵢ Bᵢ = (x − c)^degree with ψᵢ = Π (t_{i+j} − c).
                let c = 0.37;
                let power: f64 =
                    b.iter().enumerate().map(|(i, b)| b * (1..=degree).map(|j| basis.knots[i + j] - c).product::<f64>()).sum();
                assert!((power - (x - c).powi(degree as i32)).abs() < 1e-12, "{degree} {x}");
            }
        }
        // Quadratic without inner knots: Bernstein polynomials, continued beyond the ends.
        let bernstein = |x: f64| [(1.0 - x) * (1.0 - x), 2.0 * x * (1.0 - x), x * x];
        let basis = BSpline::new(2, 0.0, 1.0, &[]).unwrap();
        for x in [0.0, 0.3, 1.0, 1.5, -0.5] {
            assert!(values(&basis, x).iter().zip(bernstein(x)).all(|(a, b)| (a - b).abs() < 1e-15), "{x}");
        }
        assert!(BSpline::new(3, 0.0, 1.0, &[1.0]).is_err() && BSpline::new(1, 0.0, f64::NAN, &[]).is_err());
    }

    #[test]
    fn natural_splines_interpolate_are_smooth_and_straight_outside() {
        let knots = [0.0, 1.0, 1.5, 4.0, 4.2];
        let basis = NaturalSpline::new(&knots).unwrap();
        for (k, t) in knots.iter().enumerate() {
            assert!(values(&basis, *t).iter().enumerate().all(|(j, v)| (v - f64::from(j == k)).abs() < 1e-14));
        }
        let second = |x: f64, h: f64| -> Vec<f64> {
            let (a, b, c) = (values(&basis, x - h), values(&basis, x), values(&basis, x + h));
            (0..5).map(|k| (a[k] - 2.0 * b[k] + c[k]) / (h * h)).collect()
        };
        let slope = |x: f64, h: f64| -> Vec<f64> {
            values(&basis, x + h).iter().zip(values(&basis, x)).map(|(a, b)| (a - b) / h).collect()
        };
        for t in &knots[1..4] {
            let (left, right) = (slope(*t, -1e-6), slope(*t, 1e-6));
            assert!(left.iter().zip(&right).all(|(a, b)| (a - b).abs() < 1e-3), "{t}");
            let (left, right) = (second(t - 2e-4, 1e-4), second(t + 2e-4, 1e-4));
            assert!(left.iter().zip(&right).all(|(a, b)| (a - b).abs() < 0.3), "{t} {left:?} {right:?}");
        }
        assert!(second(-1.0, 0.5).iter().chain(&second(6.0, 0.5)).all(|v| v.abs() < 1e-11));
        // Constants and lines are natural splines.
        for x in [-2.0, 0.3, 3.0, 9.0] {
            let v = values(&basis, x);
            assert!((v.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!((v.iter().zip(knots).map(|(v, t)| v * t).sum::<f64>() - x).abs() < 1e-12);
        }
        assert!(NaturalSpline::new(&[1.0]).is_err() && NaturalSpline::new(&[1.0, 1.0]).is_err());
    }
}
