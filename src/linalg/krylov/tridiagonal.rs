//! Symmetric tridiagonal matrices: shifted `LDLᵀ` solves, extreme eigenvalues by bisection, their eigenvectors by inverse
//! iteration. Everything is `O(k)` per sweep and allocates nothing once the buffers have grown.
//!
//! Diagonal `d` has `k` entries, off-diagonal `e` at least `k − 1`; `e[i]` couples `i` and `i + 1` and may be zero.
//! Barth, Martin & Wilkinson 1967 (Sturm counts); Golub & Van Loan 2013, §8.4.

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

/// `max_i |d_i| + |e_{i−1}| + |e_i|`, which bounds every eigenvalue in modulus.
pub(crate) fn norm_bound(d: &[f64], e: &[f64]) -> f64 {
    let k = d.len();
    (0..k).fold(0.0, |m: f64, i| {
        let left = if i > 0 { e[i - 1].abs() } else { 0.0 };
        let right = if i + 1 < k { e[i].abs() } else { 0.0 };
        m.max(d[i].abs() + left + right)
    })
}

/// Number of eigenvalues below `x`, with entries multiplied by `scale`.
fn count_below(d: &[f64], e: &[f64], scale: f64, x: f64) -> usize {
    let mut count = 0;
    let mut pivot = 1.0f64;
    for (i, di) in d.iter().enumerate() {
        let off = if i > 0 { e[i - 1] * scale } else { 0.0 };
        pivot = di * scale - x - if off == 0.0 { 0.0 } else { off * off / pivot };
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
    let norm = norm_bound(d, e);
    if norm == 0.0 || d.is_empty() {
        return 0.0;
    }
    // Two divisions: the reciprocal of a subnormal norm overflows.
    let scale = 1.0 / norm;
    let (mut low, mut high) = (-1.0 - 1e-15, 1.0 + 1e-15);
    while high - low > 0.5 * f64::EPSILON {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if count_below(d, e, scale, middle) > index { high = middle } else { low = middle }
    }
    0.5 * (low + high) * norm
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
        let k = d.len();
        self.pivots.resize(k, 0.0);
        self.multipliers.resize(k, 0.0);
        for i in 0..k {
            let mut pivot = d[i] + shift;
            if i > 0 {
                let l = e[i - 1] / self.pivots[i - 1];
                self.multipliers[i] = l;
                pivot -= l * e[i - 1];
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
    let norm = norm_bound(d, e);
    if norm == 0.0 {
        u.fill(0.0);
        u[0] = 1.0;
        return 0.0;
    }
    // Just left of the eigenvalue the shifted matrix is positive definite, and LDLᵀ stable without pivoting.
    let mut gap = 2.0 * f64::EPSILON * norm;
    while !factor.factor(d, e, gap - lowest) {
        gap *= 2.0;
    }
    for _ in 0..4 {
        normalize(u);
        factor.solve(u);
    }
    normalize(u);
    let mut residual = 0.0;
    for i in 0..k {
        let mut t = (d[i] - lowest) * u[i];
        if i > 0 {
            t += e[i - 1] * u[i - 1];
        }
        if i + 1 < k {
            t += e[i] * u[i + 1];
        }
        residual += (t / norm) * (t / norm);
    }
    residual.sqrt() * norm
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
    fn lowest_vector_of_decoupled_blocks_lies_in_its_block() {
        let (d, e) = (vec![1.0, 2.0, -3.0], vec![0.1, 0.0]);
        let mut u = Vec::new();
        let residual = lowest_vector(&d, &e, eigenvalue(&d, &e, 0), &mut Factor::default(), &mut u);
        assert!(residual < 1e-14 && (u[2].abs() - 1.0).abs() < 1e-15);
    }
}
