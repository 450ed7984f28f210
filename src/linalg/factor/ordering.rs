//! Fill-reducing orders of a symmetric pattern, and the pattern in that order.
//!
//! The natural order is kept where it costs no more than approximate minimum degree (Amestoy, Davis, Duff 1996), as it
//! does for banded matrices.

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

/// Elimination tree and column counts of `L` (diagonal included) for an upper triangle; `None` once the flops
/// `Σ c(c+1)/2` exceed `limit` (Liu 1990: row subtrees, each entry of `L` visited once).
fn column_counts(upper: &Triangle, limit: f64) -> Option<(Vec<usize>, f64)> {
    let n = upper.starts.len() - 1;
    let (mut parent, mut visited) = (vec![usize::MAX; n], vec![usize::MAX; n]);
    let mut counts = vec![1usize; n];
    let mut flops = n as f64;
    for j in 0..n {
        visited[j] = j;
        for &row in &upper.rows[upper.starts[j]..upper.starts[j + 1]] {
            let mut i = row;
            while visited[i] != j {
                if parent[i] == usize::MAX {
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
    Some((counts, flops))
}

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
    /// The natural order or minimum degree, whichever costs less.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the matrix is too large to be analysed.
    pub fn choose(m: SparseView<'_>) -> Result<Self> {
        let n = m.dim();
        let degree = Self::minimum_degree(m)?;
        let natural: Vec<usize> = (0..n).collect();
        let upper = Triangle::new(m, &natural, true);
        if let Some((counts, flops)) = column_counts(&upper, 1.1 * degree.flops) {
            let fill = counts.iter().map(|&c| c as f64).sum();
            return Ok(Self { old: natural.clone(), position: natural, flops, fill });
        }
        Ok(degree)
    }

    fn minimum_degree(m: SparseView<'_>) -> Result<Self> {
        let n = m.dim();
        let too_large = |_| Error::Unsupported { what: "the sparse ordering", requirement: "a smaller matrix" };
        let pattern = SymbolicSparseColMatRef::<usize>::new_checked(n, n, m.starts, None, m.rows);
        let mut memory = MemBuffer::new(amd::order_maybe_unsorted_scratch::<usize>(n, m.rows.len()));
        let (mut old, mut position) = (vec![0usize; n], vec![0usize; n]);
        let stack = MemStack::new(&mut memory);
        let cost = amd::order_maybe_unsorted(&mut old, &mut position, pattern, Default::default(), stack).map_err(too_large)?;
        let fill = cost.n_div + n as f64;
        Ok(Self { old, position, flops: cost.n_mult_subs_ldl + fill, fill })
    }
}
