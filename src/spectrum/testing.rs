//! Matrices with known eigenvalues.

use super::leave_one_out::Range;
use super::{normals, probes};
use crate::linalg::operator::DenseMatrix;

/// `Q diag(values) Qᵀ` with a random orthogonal `Q`.
pub(super) fn with_spectrum(values: &[f64], seed: u64) -> DenseMatrix {
    let n = values.len();
    let range = Range::of(n, &probes(n, n, |i, v| normals(seed ^ 0x51ec, i, v)));
    let q = range.basis();
    let mut entries = vec![0.0; n * n];
    for (value, q) in values.iter().zip(q.chunks_exact(n)) {
        for (column, qj) in entries.chunks_exact_mut(n).zip(q) {
            column.iter_mut().zip(q).for_each(|(e, qi)| *e += value * qi * qj);
        }
    }
    DenseMatrix::new(n, entries).unwrap()
}

/// A symmetric matrix of standard normal entries.
pub(super) fn random_matrix(n: usize, seed: u64) -> DenseMatrix {
    let g = probes(n, n, |i, v| normals(seed ^ 0xa11, i, v));
    let entries = (0..n * n).map(|k| 0.5 * (g[k] + g[k % n * n + k / n])).collect();
    DenseMatrix::new(n, entries).unwrap()
}
