//! Block-diagonal scaling: Cholesky factors of consecutive diagonal blocks.

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::{Preconditioner, for_column};
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;

/// `blockdiag(B)⁻¹`, with a multiple of the identity added to a block that is not positive definite.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BlockJacobi {
    /// Size of the consecutive blocks (the last may be smaller).
    pub block: usize,
    #[cfg_attr(feature = "serde", serde(skip))]
    n: usize,
    /// Lower factors by columns, `block²` values each.
    #[cfg_attr(feature = "serde", serde(skip))]
    factors: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Vec<f64>,
}

impl BlockJacobi {
    /// Blocks of `block` consecutive variables.
    ///
    /// # Errors
    /// [`Error::Config`] if `block` is zero.
    pub fn new(block: usize) -> Result<Self> {
        Error::check_option(block > 0, "block", "positive", block)?;
        Ok(Self { block, n: 0, factors: Vec::new(), work: Vec::new() })
    }
}

impl Preconditioner for BlockJacobi {
    fn update(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        let (n, size) = (operator.dim(), self.block);
        self.n = n;
        let blocks = n.div_ceil(size);
        self.factors.clear();
        self.factors.resize(blocks * size * size, 0.0);
        self.work.resize(size * size, 0.0);
        for (b, factor) in self.factors.chunks_exact_mut(size * size).enumerate() {
            let start = b * size;
            let k = size.min(n - start);
            self.work.fill(0.0);
            for j in 0..k {
                let column = &mut self.work[j * size..(j + 1) * size];
                let shown = for_column(operator, start + j, |i, v| {
                    if (start..start + k).contains(&i) {
                        column[i - start] += v;
                    }
                });
                if !shown {
                    return Err(Error::Unsupported {
                        what: "block Jacobi preconditioner",
                        requirement: "an operator that shows its entries",
                    });
                }
            }
            Error::check_finite("diagonal block of the operator", &self.work)?;
            let largest = self.work.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let mut shift = 0.0;
            while !cholesky(&self.work, shift, k, size, factor) {
                // Denormal entries have no hundred-millionth part; those near the largest number no multiple.
                shift = match (shift > 0.0, largest > 0.0) {
                    (true, _) => 4.0 * shift,
                    (false, true) => (1e-8 * largest).max(f64::MIN_POSITIVE),
                    (false, false) => 1.0,
                };
                if !shift.is_finite() {
                    return Err(Error::NonFinite { what: "shift of a diagonal block of the operator", index: None });
                }
            }
        }
        Ok(())
    }
}

/// `L Lᵀ = A + shift I` for the leading `k × k` part; `false` at a pivot that is not safely positive.
fn cholesky(a: &[f64], shift: f64, k: usize, stride: usize, l: &mut [f64]) -> bool {
    for j in 0..k {
        for i in j..k {
            let sum: f64 = (0..j).map(|m| l[m * stride + i] * l[m * stride + j]).sum();
            let value = a[j * stride + i] - sum;
            if i == j {
                let pivot = value + shift;
                if !(pivot > 1e-12 * (a[j * stride + j].abs() + shift)) || pivot == 0.0 {
                    return false;
                }
                l[j * stride + j] = pivot.sqrt();
            } else {
                l[j * stride + i] = value / l[j * stride + j];
            }
        }
    }
    true
}

impl SymmetricOperator for BlockJacobi {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let size = self.block;
        out.copy_from_slice(v);
        for (l, x) in self.factors.chunks_exact(size * size).zip(out.chunks_mut(size)) {
            let k = x.len();
            for j in 0..k {
                x[j] /= l[j * size + j];
                for i in j + 1..k {
                    x[i] -= l[j * size + i] * x[j];
                }
            }
            for j in (0..k).rev() {
                for i in j + 1..k {
                    x[j] -= l[j * size + i] * x[i];
                }
                x[j] /= l[j * size + j];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DMatrix;

    #[test]
    fn block_jacobi_of_block_diagonal_matrix_is_its_inverse() {
        let a = DMatrix::from_fn(7, 7, |i, j| {
            if i / 3 != j / 3 { 0.0 } else { ((i * j) as f64).cos() + ((i + j) as f64).sin() + if i == j { 5.0 } else { 0.0 } }
        });
        let a = (&a + a.transpose()) * 0.5;
        let mut m = BlockJacobi::new(3).unwrap();
        m.update(&a).unwrap();
        let v: Vec<f64> = (0..7).map(|i| i as f64 - 2.5).collect();
        let mut product = vec![0.0; 7];
        a.apply(&v, &mut product).unwrap();
        let mut back = vec![0.0; 7];
        m.apply(&product, &mut back).unwrap();
        assert!(back.iter().zip(&v).all(|(b, v)| (b - v).abs() < 1e-13));
    }

    #[test]
    fn block_jacobi_of_indefinite_or_zero_block_is_positive_definite() {
        let a = DMatrix::from_row_slice(4, 4, &[1.0, 3.0, 0.0, 0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let mut m = BlockJacobi::new(2).unwrap();
        m.update(&a).unwrap();
        let mut out = vec![0.0; 4];
        m.apply(&[1.0, -1.0, 1.0, 2.0], &mut out).unwrap();
        assert!(out[0] - out[1] > 0.0 && out[2] + 2.0 * out[3] > 0.0);
        assert!(BlockJacobi::new(0).is_err());
    }
}
