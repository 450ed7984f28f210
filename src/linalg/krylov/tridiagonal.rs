//! Symmetric tridiagonal matrices: shifted `LDLᵀ` solves, extreme eigenvalues by bisection, their eigenvectors by inverse
//! iteration. Everything is `O(k)` per sweep and allocates nothing once the buffers have grown.
//!
//! Diagonal `d` has `k` entries, off-diagonal `e` at least `k − 1`; `e[i]` couples `i` and `i + 1` and may be zero.
//! Barth, Martin & Wilkinson 1967 (Sturm counts); Golub & Van Loan 2013, §8.4.

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use crate::linalg::power::{exponent, times_power};

/// `max_i |d_i| + |e_{i−1}| + |e_i|`, which bounds every eigenvalue in modulus.
pub(crate) fn norm_bound(d: &[f64], e: &[f64]) -> f64 {
    norm_bound_times(d, e, 1.0)
}

/// The same for the matrix times `unit`.
fn norm_bound_times(d: &[f64], e: &[f64], unit: f64) -> f64 {
    let k = d.len();
    (0..k).fold(0.0, |m: f64, i| {
        let left = if i > 0 { (e[i - 1] * unit).abs() } else { 0.0 };
        let right = if i + 1 < k { (e[i] * unit).abs() } else { 0.0 };
        m.max((d[i] * unit).abs() + left + right)
    })
}

/// A power of two that brings the largest entry into `[1, 2)`, as far as one factor can: products with it are exact, and
/// what follows runs on numbers of order one at every scale of the matrix, subnormal ones included.
fn lift(d: &[f64], e: &[f64]) -> f64 {
    let largest = d.iter().chain(&e[..d.len().saturating_sub(1)]).fold(0.0f64, |m, v| m.max(v.abs()));
    if largest == 0.0 || !largest.is_finite() { 1.0 } else { times_power(1.0, -exponent(largest).max(-1000)) }
}

/// Number of eigenvalues below `x`, with entries multiplied by `unit` and then by `scale`.
fn count_below(d: &[f64], e: &[f64], (unit, scale): (f64, f64), x: f64) -> usize {
    let mut count = 0;
    let mut pivot = 1.0f64;
    for (i, di) in d.iter().enumerate() {
        let off = if i > 0 { e[i - 1] * unit * scale } else { 0.0 };
        pivot = di * unit * scale - x - if off == 0.0 { 0.0 } else { off * off / pivot };
        if pivot == 0.0 {
            // Moved by less than a rounding error of the matrix (whose norm is at most one).
            pivot = -f64::EPSILON * f64::EPSILON;
        }
        if pivot < 0.0 {
            count += 1;
        }
    }
    count
}

/// The `index`-th smallest eigenvalue (zero-based) by bisection, to the last digits of the norm.
pub(crate) fn eigenvalue(d: &[f64], e: &[f64], index: usize) -> f64 {
    let unit = lift(d, e);
    let norm = norm_bound_times(d, e, unit);
    if norm == 0.0 || d.is_empty() {
        return 0.0;
    }
    let scale = (unit, 1.0 / norm);
    let (mut low, mut high) = (-1.0 - 1e-15, 1.0 + 1e-15);
    while high - low > 0.5 * f64::EPSILON {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if count_below(d, e, scale, middle) > index { high = middle } else { low = middle }
    }
    0.5 * (low + high) * norm / unit
}

/// `LDLᵀ` of `T + shift I` where that is positive definite.
#[derive(Debug, Clone, Default)]
pub(crate) struct Factor {
    pivots: Vec<f64>,
    multipliers: Vec<f64>,
}

impl Factor {
    /// Factors; `false` (and no usable factor) if a pivot is not positive.
    pub(crate) fn factor(&mut self, d: &[f64], e: &[f64], shift: f64) -> bool {
        self.factor_times(d, e, 1.0, shift)
    }

    /// Factors `unit T + shift I`.
    fn factor_times(&mut self, d: &[f64], e: &[f64], unit: f64, shift: f64) -> bool {
        let k = d.len();
        self.pivots.resize(k, 0.0);
        self.multipliers.resize(k, 0.0);
        for i in 0..k {
            let mut pivot = d[i] * unit + shift;
            if i > 0 {
                let off = e[i - 1] * unit;
                let l = off / self.pivots[i - 1];
                self.multipliers[i] = l;
                pivot -= l * off;
            }
            if !(pivot > 0.0) {
                return false;
            }
            self.pivots[i] = pivot;
        }
        true
    }

    /// `b ← (T + shift I)⁻¹ b`.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        let k = b.len();
        for i in 1..k {
            b[i] -= self.multipliers[i] * b[i - 1];
        }
        for i in (0..k).rev() {
            b[i] /= self.pivots[i];
            if i + 1 < k {
                b[i] -= self.multipliers[i + 1] * b[i + 1];
            }
        }
    }

    /// `bᵀ (T + shift I)⁻¹ b`.
    pub(crate) fn inverse_form(&self, b: &[f64]) -> f64 {
        let mut sum = 0.0;
        let mut c = 0.0;
        for (i, bi) in b.iter().enumerate() {
            c = bi - if i > 0 { self.multipliers[i] * c } else { 0.0 };
            sum += c * c / self.pivots[i];
        }
        sum
    }
}

/// Unit eigenvector of the smallest eigenvalue `lowest`, into `u`; returns `‖T u − lowest u‖`.
pub(crate) fn lowest_vector(d: &[f64], e: &[f64], lowest: f64, factor: &mut Factor, u: &mut Vec<f64>) -> f64 {
    let k = d.len();
    u.clear();
    // A fixed start without symmetry: no eigenvector is orthogonal to it by structure.
    u.extend((0..k).map(|i| 1.0 + 0.5 * ((i as f64 + 1.0) * 0.754_877_666).fract()));
    let unit = lift(d, e);
    let (norm, lowest) = (norm_bound_times(d, e, unit), lowest * unit);
    // Just left of the eigenvalue the shifted matrix is positive definite, and LDLᵀ stable without pivoting. The gap of
    // 4‖T‖ that this list ends with makes it diagonally dominant.
    let gaps = (-51..=2).map(|power| times_power(norm, power));
    if norm == 0.0 || !gaps.into_iter().any(|gap| factor.factor_times(d, e, unit, gap - lowest)) {
        // No matrix, or one that is not finite.
        u.fill(0.0);
        u[0] = 1.0;
        return if norm == 0.0 { 0.0 } else { f64::INFINITY };
    }
    for _ in 0..4 {
        normalize(u);
        factor.solve(u);
    }
    normalize(u);
    let mut residual = 0.0;
    for i in 0..k {
        let mut t = (d[i] * unit - lowest) * u[i];
        if i > 0 {
            t += e[i - 1] * unit * u[i - 1];
        }
        if i + 1 < k {
            t += e[i] * unit * u[i + 1];
        }
        residual += (t / norm) * (t / norm);
    }
    residual.sqrt() * norm / unit
}

/// Scales to unit length through the largest entry, which may be of any size.
fn normalize(u: &mut [f64]) {
    let largest = u.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if largest == 0.0 || !largest.is_finite() {
        u.iter_mut().for_each(|v| *v = if v.is_finite() { 0.0 } else { v.signum() });
        if largest == 0.0 {
            return;
        }
    } else {
        u.iter_mut().for_each(|v| *v /= largest);
    }
    let length = u.iter().map(|v| v * v).sum::<f64>().sqrt();
    u.iter_mut().for_each(|v| *v /= length);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second difference matrix: eigenvalues `2 − 2 cos(jπ/(k+1))`.
    fn laplacian(k: usize, scale: f64) -> (Vec<f64>, Vec<f64>) {
        (vec![2.0 * scale; k], vec![-scale; k - 1])
    }

    #[test]
    fn eigenvalues_of_second_difference_equal_closed_form_at_every_scale() {
        for scale in [1e-150, 1.0, 1e150] {
            let (d, e) = laplacian(9, scale);
            for j in 0..9 {
                let exact = 2.0 - 2.0 * (std::f64::consts::PI * (j as f64 + 1.0) / 10.0).cos();
                assert!((eigenvalue(&d, &e, j) / scale - exact).abs() <= 4e-15);
            }
            let mut u = Vec::new();
            let residual = lowest_vector(&d, &e, eigenvalue(&d, &e, 0), &mut Factor::default(), &mut u);
            assert!(residual <= 1e-14 * scale);
            let middle = (std::f64::consts::PI / 2.0).sin() / 5f64.sqrt();
            assert!((u[4].abs() - middle).abs() <= 1e-13);
        }
    }

    #[test]
    fn shifted_solve_has_small_residual_and_indefinite_shift_is_refused() {
        let (d, e) = laplacian(6, 1.0);
        let mut f = Factor::default();
        assert!(!f.factor(&d, &e, -1.0));
        assert!(f.factor(&d, &e, 0.5));
        let b = [1.0, -2.0, 0.5, 3.0, 0.0, 1.0];
        let mut x = b;
        f.solve(&mut x);
        for i in 0..6 {
            let neighbours = if i > 0 { x[i - 1] } else { 0.0 } + if i < 5 { x[i + 1] } else { 0.0 };
            assert!((2.5 * x[i] - neighbours - b[i]).abs() < 1e-14);
        }
        let form: f64 = b.iter().zip(&x).map(|(b, x)| b * x).sum();
        assert!((f.inverse_form(&b) - form).abs() < 1e-13);
    }

    #[test]
    fn extreme_and_broken_matrices_end_at_once() {
        // Eigenvalues of [2 1; 1 2] with 1 alone: 1, 1 and 3.
        for scale in [1e-320, 1e-310, 1e-300, 1.0, 1e300, 5e307] {
            let (d, e) = ([2.0 * scale, 2.0 * scale, scale], [scale, 0.0]);
            let rounding = if scale < 1e-307 { 2.0 * 5e-324 / scale } else { 4e-15 };
            for (j, exact) in [(0, 1.0), (2, 3.0)] {
                let found = eigenvalue(&d, &e, j) / scale;
                assert!((found - exact).abs() <= rounding * 3.0, "{scale:e} {j}: {found}");
            }
            let mut u = Vec::new();
            let residual = lowest_vector(&d, &e, eigenvalue(&d, &e, 0), &mut Factor::default(), &mut u);
            assert!(residual <= rounding * 4.0 * scale, "{scale:e}: {residual:e}");
            assert!((u.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-14);
        }
        for bad in [0.0, 5e-324, f64::MAX, f64::INFINITY, f64::NAN] {
            for (d, e) in [([bad, 1.0, bad], [1.0, bad]), ([bad; 3], [bad; 2]), ([bad; 3], [0.0; 2])] {
                let lowest = eigenvalue(&d, &e, 0);
                let mut u = Vec::new();
                lowest_vector(&d, &e, lowest, &mut Factor::default(), &mut u);
                assert_eq!(u.len(), 3);
            }
        }
    }

    #[test]
    fn lowest_vector_of_decoupled_blocks_lies_in_its_block() {
        let (d, e) = (vec![1.0, 2.0, -3.0], vec![0.1, 0.0]);
        let mut u = Vec::new();
        let residual = lowest_vector(&d, &e, eigenvalue(&d, &e, 0), &mut Factor::default(), &mut u);
        assert!(residual < 1e-14 && (u[2].abs() - 1.0).abs() < 1e-15);
    }
}
