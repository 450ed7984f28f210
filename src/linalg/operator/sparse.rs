//! Sparse symmetric matrices: `sprs::CsMat` of the user, and [`SparseMatrix`] with a shared [`Pattern`].

use super::{Form, SymmetricOperator};
use crate::error::{Error, Result};
use std::sync::Arc;

/// Structure of a symmetric sparse matrix: compressed columns, both triangles, row indices sorted.
///
/// Matrices that share one pattern (through [`Arc`]) share its symbolic factorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    n: usize,
    column_starts: Vec<usize>,
    row_indices: Vec<usize>,
}

impl Pattern {
    /// The smallest symmetric pattern that holds the diagonal and every `(i, j)` given, in both triangles.
    ///
    /// # Errors
    /// [`Error::Dimension`] if an index is not below `n`.
    pub fn from_pairs(n: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Result<Self> {
        let mut found = Vec::new();
        let mut starts: Vec<usize> = vec![1; n + 1];
        for (i, j) in pairs {
            if i.max(j) >= n {
                return Err(Error::Dimension { what: "sparse index", expected: n, found: i.max(j) });
            }
            if i != j {
                found.push((i, j));
                starts[i] += 1;
                starts[j] += 1;
            }
        }
        // Counting sort by column, the diagonal first; then each column is sorted, and repeated entries are dropped.
        let mut total = 0;
        for start in &mut starts {
            total += std::mem::replace(start, total);
        }
        let mut row_indices = vec![0; total - 1];
        let mut ends = starts.clone();
        let mut put = |i: usize, j: usize| {
            row_indices[ends[j]] = i;
            ends[j] += 1;
        };
        (0..n).for_each(|j| put(j, j));
        for (i, j) in found {
            put(i, j);
            put(j, i);
        }
        let mut column_starts = Vec::with_capacity(n + 1);
        column_starts.push(0);
        let mut filled = 0;
        for j in 0..n {
            let begin = filled;
            row_indices[starts[j]..starts[j + 1]].sort_unstable();
            for k in starts[j]..starts[j + 1] {
                if filled == begin || row_indices[filled - 1] != row_indices[k] {
                    row_indices[filled] = row_indices[k];
                    filled += 1;
                }
            }
            column_starts.push(filled);
        }
        row_indices.truncate(filled);
        Ok(Pattern { n, column_starts, row_indices })
    }

    /// From columns that are known to be sorted, symmetric and to hold the diagonal.
    pub(super) fn from_columns(column_starts: Vec<usize>, row_indices: Vec<usize>) -> Self {
        Self { n: column_starts.len() - 1, column_starts, row_indices }
    }

    /// Dimension.
    pub fn dim(&self) -> usize {
        self.n
    }
    /// Start of each column in [`row_indices`](Self::row_indices); `n + 1` values.
    pub fn column_starts(&self) -> &[usize] {
        &self.column_starts
    }
    /// Row index of each stored entry.
    pub fn row_indices(&self) -> &[usize] {
        &self.row_indices
    }
    /// Number of stored entries.
    pub fn nnz(&self) -> usize {
        self.row_indices.len()
    }
    /// Position of entry `(i, j)` among the stored ones.
    pub fn position(&self, i: usize, j: usize) -> Option<usize> {
        let range = *self.column_starts.get(j)?..*self.column_starts.get(j + 1)?;
        self.row_indices[range.clone()].binary_search(&i).ok().map(|k| range.start + k)
    }
}

/// Borrowed compressed columns of a symmetric matrix: both triangles, row indices sorted in each column.
#[derive(Debug, Clone, Copy)]
pub struct SparseView<'a> {
    /// Start of each column in `rows` and `values`; `n + 1` entries, the first zero.
    pub starts: &'a [usize],
    /// Row index of each entry.
    pub rows: &'a [usize],
    /// Value of each entry.
    pub values: &'a [f64],
}

impl<'a> SparseView<'a> {
    /// Dimension.
    pub fn dim(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }
    /// Row indices and values of column `j`.
    pub fn column(&self, j: usize) -> (&'a [usize], &'a [f64]) {
        let range = self.starts[j]..self.starts[j + 1];
        (&self.rows[range.clone()], &self.values[range])
    }
}

/// Sparse symmetric matrix: values in the order of a shared [`Pattern`].
#[derive(Debug, Clone, PartialEq)]
pub struct SparseMatrix {
    pattern: Arc<Pattern>,
    values: Vec<f64>,
}

impl SparseMatrix {
    /// From a pattern and its values.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the lengths differ.
    pub fn new(pattern: Arc<Pattern>, values: Vec<f64>) -> Result<Self> {
        Error::check_len("sparse values", pattern.nnz(), values.len())?;
        Ok(Self { pattern, values })
    }
    /// The pattern.
    pub fn pattern(&self) -> &Arc<Pattern> {
        &self.pattern
    }
    /// The values in pattern order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
    /// The values in pattern order, writable.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }
}

/// `out ← A v` for symmetric compressed columns: column `j` is row `j`, so each output is one gather.
#[inline]
fn apply_symmetric(starts: &[usize], rows: &[usize], values: &[f64], v: &[f64], out: &mut [f64]) {
    for (o, range) in out.iter_mut().zip(starts.windows(2)) {
        let (r, a) = (&rows[range[0]..range[1]], &values[range[0]..range[1]]);
        *o = r.iter().zip(a).map(|(&i, &a)| a * v[i]).sum();
    }
}

impl SymmetricOperator for SparseMatrix {
    fn dim(&self) -> usize {
        self.pattern.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        apply_symmetric(&self.pattern.column_starts, &self.pattern.row_indices, &self.values, v, out);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Sparse(SparseView { starts: &self.pattern.column_starts, rows: &self.pattern.row_indices, values: &self.values })
    }
}

impl SymmetricOperator for sprs::CsMat<f64> {
    fn dim(&self) -> usize {
        self.rows()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        for (o, row) in out.iter_mut().zip(self.outer_iterator()) {
            *o = row.iter().map(|(i, a)| a * v[i]).sum();
        }
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        // Symmetric, so CSR and CSC are the same arrays. A slice of a larger matrix may not start at zero: products only.
        let starts = self.indptr().into_raw_storage();
        if starts.first() != Some(&0) || self.rows() != self.cols() {
            return Form::Product;
        }
        Form::Sparse(SparseView { starts, rows: self.indices(), values: self.data() })
    }
}
