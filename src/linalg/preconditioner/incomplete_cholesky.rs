//! Incomplete Cholesky without fill-in, IC(0), of a sparse matrix.
//!
//! The matrix is scaled symmetrically by its column norms; `αI` is added and enlarged until no pivot breaks down, so
//! that an indefinite matrix has a preconditioner too.
//!
//! Meijerink & van der Vorst 1977; Manteuffel 1980 (the shift); Lin & Moré, SIAM J. Sci. Comput. 21(1), 1999, §4.

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::{Preconditioner, for_column};
use crate::error::{Error, Result};
use crate::linalg::{Form, SymmetricOperator};

/// IC(0) with a shift on breakdown.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct IncompleteCholesky {
    /// First shift of the scaled matrix after a breakdown; doubled until the factorization exists. Default 1e-3.
    pub first_shift: f64,
    /// The shift that was needed for the last matrix.
    #[cfg_attr(feature = "serde", serde(skip))]
    shift: f64,
    #[cfg_attr(feature = "serde", serde(skip))]
    scale: Vec<f64>,
    /// Lower triangle by columns, the diagonal first in each.
    #[cfg_attr(feature = "serde", serde(skip))]
    starts: Vec<usize>,
    #[cfg_attr(feature = "serde", serde(skip))]
    rows: Vec<usize>,
    #[cfg_attr(feature = "serde", serde(skip))]
    scaled: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    factor: Vec<f64>,
}

impl Default for IncompleteCholesky {
    fn default() -> Self {
        Self {
            first_shift: 1e-3,
            shift: 0.0,
            scale: Vec::new(),
            starts: Vec::new(),
            rows: Vec::new(),
            scaled: Vec::new(),
            factor: Vec::new(),
        }
    }
}

impl IncompleteCholesky {
    /// The shift that the last matrix needed, relative to its scaled entries; zero for most positive definite ones.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// Copies the lower triangle, scaled by `1/√‖a_j‖` on both sides.
    fn load(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        let n = operator.dim();
        if !matches!(operator.form(), Form::Sparse(_) | Form::Diagonal(_) | Form::ScaledIdentity(_)) {
            return Err(Error::Unsupported { what: "incomplete Cholesky", requirement: "a sparse matrix" });
        }
        self.scale.clear();
        self.starts.clear();
        self.rows.clear();
        self.scaled.clear();
        self.starts.push(0);
        for j in 0..n {
            let (mut largest, mut sum) = (0.0f64, 0.0f64);
            let first = self.rows.len();
            self.rows.push(j);
            self.scaled.push(0.0);
            for_column(operator, j, |i, v| {
                largest = largest.max(if v.is_nan() { f64::INFINITY } else { v.abs() });
                sum += v * v;
                if i == j {
                    self.scaled[first] += v;
                } else if i > j {
                    self.rows.push(i);
                    self.scaled.push(v);
                }
            });
            if !largest.is_finite() {
                return Err(Error::NonFinite { what: "sparse matrix", index: None });
            }
            let norm = if sum.is_finite() && sum > 1e-280 { sum.sqrt() } else { largest };
            self.scale.push(if norm > 0.0 { 1.0 / norm.sqrt() } else { 1.0 });
            self.starts.push(self.rows.len());
        }
        for j in 0..n {
            for k in self.starts[j]..self.starts[j + 1] {
                self.scaled[k] *= self.scale[j] * self.scale[self.rows[k]];
            }
        }
        Ok(())
    }

    /// Right-looking IC(0) of the scaled matrix plus `shift I`; `false` at a pivot that is not positive.
    fn try_factor(&mut self, shift: f64) -> bool {
        let n = self.scale.len();
        self.factor.clear();
        self.factor.extend_from_slice(&self.scaled);
        for k in 0..n {
            let range = self.starts[k]..self.starts[k + 1];
            let pivot = self.factor[range.start] + shift;
            if !(pivot > 1e-14) {
                return false;
            }
            let root = pivot.sqrt();
            self.factor[range.start] = root;
            self.factor[range.start + 1..range.end].iter_mut().for_each(|v| *v /= root);
            for a in range.start + 1..range.end {
                let (i, l) = (self.rows[a], self.factor[a]);
                // Column i loses l times the part of column k at and below row i, where both are stored.
                let mut target = self.starts[i];
                let end = self.starts[i + 1];
                for b in a..range.end {
                    let row = self.rows[b];
                    while target < end && self.rows[target] < row {
                        target += 1;
                    }
                    if target < end && self.rows[target] == row {
                        self.factor[target] -= l * self.factor[b];
                    }
                }
            }
        }
        true
    }
}

impl Preconditioner for IncompleteCholesky {
    fn update(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        Error::check_option(self.first_shift > 0.0, "first_shift", "positive", self.first_shift)?;
        self.load(operator)?;
        let lowest = self.starts.iter().take(self.scale.len()).fold(f64::INFINITY, |m, s| m.min(self.scaled[*s]));
        self.shift = if lowest > 0.0 || self.scale.is_empty() { 0.0 } else { self.first_shift - lowest };
        while !self.try_factor(self.shift) {
            self.shift = (2.0 * self.shift).max(self.first_shift);
            if !self.shift.is_finite() {
                return Err(Error::NonFinite { what: "shift of the incomplete factorization", index: None });
            }
        }
        Ok(())
    }
}

impl SymmetricOperator for IncompleteCholesky {
    fn dim(&self) -> usize {
        self.scale.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let n = self.scale.len();
        out.iter_mut().zip(v).zip(&self.scale).for_each(|((o, v), s)| *o = v * s);
        for j in 0..n {
            let range = self.starts[j]..self.starts[j + 1];
            let x = out[j] / self.factor[range.start];
            out[j] = x;
            for k in range.start + 1..range.end {
                out[self.rows[k]] -= self.factor[k] * x;
            }
        }
        for j in (0..n).rev() {
            let range = self.starts[j]..self.starts[j + 1];
            let sum: f64 = (range.start + 1..range.end).map(|k| self.factor[k] * out[self.rows[k]]).sum();
            out[j] = (out[j] - sum) / self.factor[range.start];
        }
        out.iter_mut().zip(&self.scale).for_each(|(o, s)| *o *= s);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::krylov::{Cg, CgLimits, cg};
    use crate::linalg::operator::{DenseMatrix, Pattern, SparseMatrix};
    use std::sync::Arc;

    fn matrix(n: usize, pairs: &[(usize, usize)], value: impl Fn(usize, usize) -> f64) -> SparseMatrix {
        let pattern = Pattern::from_pairs(n, pairs.iter().copied()).unwrap();
        let mut values = Vec::new();
        for j in 0..n {
            for &i in &pattern.row_indices()[pattern.column_starts()[j]..pattern.column_starts()[j + 1]] {
                values.push(value(i.max(j), i.min(j)));
            }
        }
        SparseMatrix::new(Arc::new(pattern), values).unwrap()
    }

    /// Five-point Laplacian on a k × k grid.
    fn laplacian(k: usize) -> SparseMatrix {
        let mut pairs = Vec::new();
        for i in 0..k {
            for j in 0..k {
                if i + 1 < k {
                    pairs.push((i * k + j, (i + 1) * k + j));
                }
                if j + 1 < k {
                    pairs.push((i * k + j, i * k + j + 1));
                }
            }
        }
        matrix(k * k, &pairs, |i, j| if i == j { 4.0 } else { -1.0 })
    }

    #[test]
    fn ic_of_matrix_without_fill_is_its_inverse() {
        // Tridiagonal matrices fill nothing in: IC(0) is Cholesky.
        let pairs: Vec<_> = (0..19).map(|i| (i, i + 1)).collect();
        let a = matrix(20, &pairs, |i, j| if i == j { 3.0 + i as f64 } else { -1.0 - 0.1 * j as f64 });
        let mut m = IncompleteCholesky::default();
        m.update(&a).unwrap();
        let v: Vec<f64> = (0..20).map(|i| (i as f64).sin()).collect();
        let (mut product, mut back) = (vec![0.0; 20], vec![0.0; 20]);
        a.apply(&v, &mut product).unwrap();
        m.apply(&product, &mut back).unwrap();
        assert!(m.shift() == 0.0 && back.iter().zip(&v).all(|(b, v)| (b - v).abs() < 1e-13));
    }

    #[test]
    fn cg_with_ic_on_laplacian_needs_less_than_half_the_iterations() {
        let a = laplacian(30);
        let b: Vec<f64> = (0..900).map(|i| ((i * i) as f64 * 0.37).sin()).collect();
        let mut m = IncompleteCholesky::default();
        m.update(&a).unwrap();
        let (mut x, mut y, mut work) = (vec![0.0; 900], vec![0.0; 900], Cg::default());
        let limits = CgLimits { tolerance: 1e-13, ..Default::default() };
        let plain = cg::solve(&a, None, &b, &limits, &mut work, &mut x).unwrap();
        let fast = cg::solve(&a, Some(&m), &b, &limits, &mut work, &mut y).unwrap();
        assert!(2 * fast < plain, "{fast} {plain}");
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-10));
    }

    #[test]
    fn ic_of_indefinite_matrix_shifts_and_stays_positive_definite() {
        let a = matrix(4, &[(0, 1), (1, 2), (2, 3), (0, 3)], |i, j| if i == j { 1.0 - i as f64 } else { 2.0 });
        let mut m = IncompleteCholesky::default();
        m.update(&a).unwrap();
        assert!(m.shift() > 0.0);
        for k in 0..8 {
            let v: Vec<f64> = (0..4).map(|i| ((i * (k + 1)) as f64 + 0.3).sin()).collect();
            let mut out = vec![0.0; 4];
            m.apply(&v, &mut out).unwrap();
            assert!(out.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>() > 0.0);
        }
    }

    #[test]
    fn ic_of_dense_or_non_finite_matrix_is_a_typed_error() {
        let dense = DenseMatrix::new(1, vec![1.0]).unwrap();
        assert!(matches!(IncompleteCholesky::default().update(&dense), Err(Error::Unsupported { .. })));
        let nan = matrix(2, &[(0, 1)], |_, _| f64::NAN);
        assert!(matches!(IncompleteCholesky::default().update(&nan), Err(Error::NonFinite { .. })));
    }
}
