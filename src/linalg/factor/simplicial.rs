//! Sparse `LDLᵀ` one row at a time (up-looking; Davis 2005, ACM TOMS 31(4), Algorithm 849), for factors with little fill.
//!
//! The pattern of `L` is found once, by rows and by columns, so that a numerical factorization walks no tree.

use super::NotPositiveDefinite;
use super::ordering::{NOT_STORED, Order, Triangle};
use crate::error::{Error, Result};
use crate::linalg::operator::SparseView;

/// Symbolic analysis and values of a simplicial factorization.
#[derive(Debug, Clone, Default)]
pub(super) struct Simplicial {
    upper: Triangle,
    /// Columns of the entries of `L` in each row, ascending.
    row_starts: Vec<usize>,
    row_columns: Vec<u32>,
    /// Rows and values of the entries of `L` in each column, ascending.
    column_starts: Vec<usize>,
    column_rows: Vec<u32>,
    values: Vec<f64>,
    /// End of the part of each column that is computed.
    filled: Vec<usize>,
    d: Vec<f64>,
    work: Vec<f64>,
}

impl Simplicial {
    /// Symbolic factorization of `m` in the given order.
    ///
    /// # Errors
    /// [`Error::Unsupported`] beyond 2³² rows.
    pub fn analyse(&mut self, m: SparseView<'_>, order: &Order) -> Result<()> {
        let n = m.dim();
        if n > u32::MAX as usize {
            return Err(Error::Unsupported { what: "the sparse factorization", requirement: "fewer than 2^32 rows" });
        }
        self.upper = Triangle::new(m, &order.position, true);
        let (mut parent, mut visited) = (vec![usize::MAX; n], vec![usize::MAX; n]);
        let mut counts = vec![0usize; n];
        self.row_columns.clear();
        self.row_starts.clear();
        self.row_starts.push(0);
        for k in 0..n {
            visited[k] = k;
            let begin = self.row_columns.len();
            for &row in &self.upper.rows[self.upper.starts[k]..self.upper.starts[k + 1]] {
                let mut i = row;
                while visited[i] != k {
                    if parent[i] == usize::MAX {
                        parent[i] = k;
                    }
                    counts[i] += 1;
                    self.row_columns.push(i as u32);
                    visited[i] = k;
                    i = parent[i];
                }
            }
            // Ascending columns are a topological order of the row's subtree.
            self.row_columns[begin..].sort_unstable();
            self.row_starts.push(self.row_columns.len());
        }
        self.column_starts.clear();
        self.column_starts.push(0);
        for c in &counts {
            self.column_starts.push(self.column_starts.last().unwrap_or(&0) + c);
        }
        let total = self.row_columns.len();
        self.filled.clear();
        self.filled.extend_from_slice(&self.column_starts[..n]);
        self.column_rows.clear();
        self.column_rows.resize(total, 0);
        for k in 0..n {
            for &i in &self.row_columns[self.row_starts[k]..self.row_starts[k + 1]] {
                self.column_rows[self.filled[i as usize]] = k as u32;
                self.filled[i as usize] += 1;
            }
        }
        self.values.clear();
        self.values.resize(total, 0.0);
        self.d.clear();
        self.d.resize(n, 0.0);
        self.work.clear();
        self.work.resize(n, 0.0);
        Ok(())
    }

    /// Factors; the pivot of an error counts in the permuted order.
    pub fn factor(&mut self, a: &[f64], shift: f64) -> std::result::Result<(), NotPositiveDefinite> {
        let n = self.d.len();
        self.filled.copy_from_slice(&self.column_starts[..n]);
        self.work.fill(0.0);
        let y = &mut self.work[..];
        for k in 0..n {
            let range = self.upper.starts[k]..self.upper.starts[k + 1];
            for (&i, &source) in self.upper.rows[range.clone()].iter().zip(&self.upper.sources[range]) {
                if source != NOT_STORED {
                    y[i] += a[source];
                }
            }
            let mut pivot = y[k] + shift;
            y[k] = 0.0;
            for &i in &self.row_columns[self.row_starts[k]..self.row_starts[k + 1]] {
                let i = i as usize;
                let yi = std::mem::take(&mut y[i]);
                let (begin, end) = (self.column_starts[i], self.filled[i]);
                for (&row, l) in self.column_rows[begin..end].iter().zip(&self.values[begin..end]) {
                    y[row as usize] -= l * yi;
                }
                let l = yi / self.d[i];
                pivot -= l * yi;
                self.values[end] = l;
                self.filled[i] = end + 1;
            }
            self.d[k] = pivot;
            if !(pivot > 0.0 && pivot <= f64::MAX) {
                return Err(NotPositiveDefinite { pivot: k, deficit: (-pivot).max(0.0) });
            }
        }
        Ok(())
    }

    /// `x ← L⁻¹ x`.
    pub fn forward(&self, x: &mut [f64]) {
        for j in 0..x.len() {
            let xj = x[j];
            let range = self.column_starts[j]..self.column_starts[j + 1];
            for (&i, l) in self.column_rows[range.clone()].iter().zip(&self.values[range]) {
                x[i as usize] -= l * xj;
            }
        }
    }

    /// `x ← D⁻¹ x`, or `D^{−1/2} x`.
    pub fn scale(&self, root: bool, x: &mut [f64]) {
        if root {
            x.iter_mut().zip(&self.d).for_each(|(x, d)| *x /= d.sqrt());
        } else {
            x.iter_mut().zip(&self.d).for_each(|(x, d)| *x /= d);
        }
    }

    /// `x ← L⁻ᵀ x`.
    pub fn backward(&self, x: &mut [f64]) {
        self.backward_from(x.len(), x);
    }

    /// Back substitution with the first `m` columns, over the entries computed so far.
    fn backward_from(&self, m: usize, x: &mut [f64]) {
        for j in (0..m).rev() {
            let range = self.column_starts[j]..self.filled[j];
            let mut s = x[j];
            for (&i, l) in self.column_rows[range.clone()].iter().zip(&self.values[range]) {
                s -= l * x[i as usize];
            }
            x[j] = s;
        }
    }

    /// `v` (permuted) with `v_k = 1` at the failed pivot, zero behind it and `(Lᵀv)_j = 0` ahead of it.
    pub fn negative_curvature(&self, pivot: usize, v: &mut [f64]) {
        v.fill(0.0);
        v[pivot] = 1.0;
        self.backward_from(pivot, v);
    }
}
