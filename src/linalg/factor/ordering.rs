//! Fill-reducing orders of a symmetric pattern, and the pattern in that order.
//!
//! The natural order is kept where it costs no more than approximate minimum degree (Amestoy, Davis, Duff 1996), as it
//! does for banded matrices. Where minimum degree leaves much work, nested dissection is tried too.

use super::nested_dissection::nested_dissection;
use crate::error::{Error, Result};
use crate::linalg::operator::SparseView;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::SymbolicSparseColMatRef;
use faer::sparse::linalg::amd;

/// Source of an entry that the pattern does not store.
pub(super) const NOT_STORED: usize = usize::MAX;

/// One triangle of a permuted symmetric pattern by columns, each entry with its source among the stored values.
#[derive(Debug, Clone, Default)]
pub(super) struct Triangle {
    pub starts: Vec<usize>,
    pub rows: Vec<usize>,
    pub sources: Vec<usize>,
}

impl Triangle {
    /// The upper (`upper`) or lower triangle of `m` with new index `position[i]` for old `i`; diagonal included.
    pub fn new(m: SparseView<'_>, position: &[usize], upper: bool) -> Self {
        let n = m.dim();
        let place = |i: usize, j: usize| {
            let (a, b) = (position[i].min(position[j]), position[i].max(position[j]));
            if upper { (b, a) } else { (a, b) }
        };
        let mut starts = vec![0usize; n + 1];
        let each = |visit: &mut dyn FnMut(usize, usize, usize)| {
            for j in 0..n {
                let mut diagonal = false;
                for k in m.starts[j]..m.starts[j + 1] {
                    let i = m.rows[k];
                    if i >= j {
                        let (column, row) = place(i, j);
                        visit(column, row, k);
                        diagonal |= i == j;
                    }
                }
                if !diagonal {
                    visit(position[j], position[j], NOT_STORED);
                }
            }
        };
        each(&mut |column, _, _| starts[column + 1] += 1);
        for j in 0..n {
            starts[j + 1] += starts[j];
        }
        let mut next = starts.clone();
        let (mut rows, mut sources) = (vec![0; starts[n]], vec![0; starts[n]]);
        each(&mut |column, row, source| {
            rows[next[column]] = row;
            sources[next[column]] = source;
            next[column] += 1;
        });
        Self { starts, rows, sources }
    }
}

/// Checks the arrays of a sparse matrix so that no later index can be out of range.
///
/// # Errors
/// [`Error::Dimension`] if starts, rows and values do not fit together.
pub(super) fn check_pattern(m: SparseView<'_>) -> Result<()> {
    let (n, stored) = (m.dim(), m.rows.len());
    Error::check_len("sparse values", stored, m.values.len())?;
    Error::check_len("sparse column starts", stored, *m.starts.last().unwrap_or(&stored))?;
    Error::check_len("first sparse column start", 0, *m.starts.first().unwrap_or(&0))?;
    if let Some(w) = m.starts.windows(2).find(|w| w[0] > w[1]) {
        return Err(Error::Dimension { what: "sparse column start", expected: w[0], found: w[1] });
    }
    if let Some(&i) = m.rows.iter().find(|&&i| i >= n) {
        return Err(Error::Dimension { what: "sparse index", expected: n, found: i });
    }
    if (0..n).any(|j| m.column(j).0.windows(2).any(|w| w[0] >= w[1])) {
        return Err(Error::Unsupported { what: "a sparse factorization", requirement: "ascending row indices in each column" });
    }
    Ok(())
}

/// No parent: a root of the elimination tree.
pub(super) const ROOT: usize = usize::MAX;

/// Elimination tree and size of the factor `L`.
pub(super) struct ColumnCounts {
    /// Parent of each column, or [`ROOT`].
    pub parent: Vec<usize>,
    /// Entries of `L` in each column, diagonal included.
    pub counts: Vec<usize>,
    /// `Σ c(c+1)/2`.
    pub flops: f64,
}

impl ColumnCounts {
    /// Of an upper triangle; `None` once the flops exceed `limit` (Liu 1990: row subtrees, each entry of `L` visited
    /// once).
    pub fn new(upper: &Triangle, limit: f64) -> Option<Self> {
        let n = upper.starts.len() - 1;
        let (mut parent, mut visited) = (vec![ROOT; n], vec![ROOT; n]);
        let mut counts = vec![1usize; n];
        let mut flops = n as f64;
        for j in 0..n {
            visited[j] = j;
            for &row in &upper.rows[upper.starts[j]..upper.starts[j + 1]] {
                let mut i = row;
                while visited[i] != j {
                    if parent[i] == ROOT {
                        parent[i] = j;
                    }
                    counts[i] += 1;
                    flops += counts[i] as f64;
                    visited[i] = j;
                    i = parent[i];
                }
            }
            if flops > limit {
                return None;
            }
        }
        Some(Self { parent, counts, flops })
    }
}

/// Minimum degree's old index of each new one and new index of each old one, flops and entries of `L`.
///
/// # Errors
/// [`Error::Unsupported`] if the matrix is too large to be analysed.
pub(super) fn minimum_degree(starts: &[usize], rows: &[usize]) -> Result<Order> {
    let n = starts.len().saturating_sub(1);
    let too_large = |_| Error::Unsupported { what: "the sparse ordering", requirement: "a smaller matrix" };
    let pattern = SymbolicSparseColMatRef::<usize>::new_checked(n, n, starts, None, rows);
    let mut memory = MemBuffer::new(amd::order_maybe_unsorted_scratch::<usize>(n, rows.len()));
    let (mut old, mut position) = (vec![0usize; n], vec![0usize; n]);
    let stack = MemStack::new(&mut memory);
    let cost = amd::order_maybe_unsorted(&mut old, &mut position, pattern, Default::default(), stack).map_err(too_large)?;
    let fill = cost.n_div + n as f64;
    Ok(Order { old, position, flops: cost.n_mult_subs_ldl + fill, fill })
}

/// Flops per row from which on nested dissection is tried.
const DISSECT_FROM: f64 = 6000.0;

/// An elimination order and what it costs.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// Old index of each new one.
    pub old: Vec<usize>,
    /// New index of each old one.
    pub position: Vec<usize>,
    /// Multiplications of the numerical factorization, about `Σ c(c+1)/2` over the column counts of `L`.
    pub flops: f64,
    /// Stored entries of `L`.
    pub fill: f64,
}

impl Order {
    /// The natural order, minimum degree or nested dissection, whichever costs least.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the matrix is too large to be analysed.
    pub fn choose(m: SparseView<'_>) -> Result<Self> {
        let n = m.dim();
        let degree = minimum_degree(m.starts, m.rows)?;
        if let Some(natural) = Self::costing((0..n).collect(), m, 1.1 * degree.flops) {
            return Ok(natural);
        }
        if degree.flops < DISSECT_FROM * n as f64 {
            return Ok(degree);
        }
        let dissected = nested_dissection(m.starts, m.rows)?.and_then(|old| Self::costing(old, m, degree.flops));
        Ok(dissected.unwrap_or(degree))
    }

    /// An order with its exact cost; `None` if that is above `limit`.
    pub fn costing(old: Vec<usize>, m: SparseView<'_>, limit: f64) -> Option<Self> {
        let mut order = Self { position: vec![0; old.len()], old, ..Self::default() };
        order.place();
        let cost = ColumnCounts::new(&Triangle::new(m, &order.position, true), limit)?;
        let fill = cost.counts.iter().map(|&c| c as f64).sum();
        Some(Self { flops: cost.flops, fill, ..order })
    }

    /// The order that takes its columns in the sequence `then`.
    pub fn permute(&mut self, then: &[usize]) {
        self.old = then.iter().map(|&j| self.old[j]).collect();
        self.place();
    }

    fn place(&mut self) {
        self.old.iter().enumerate().for_each(|(j, &i)| self.position[i] = j);
    }
}
