//! Sparse Cholesky by supernodes, through faer, for factors with much fill: dense blocks run at matrix-product speed.
//!
//! The triangular solves with one right-hand side are plain loops over the supernodes, which also gives the half solve
//! and, from the part computed before a failed pivot, a direction of negative curvature.

use super::NotPositiveDefinite;
use super::ordering::{NOT_STORED, Order, Triangle};
use super::scratch::Scratch;
use crate::error::{Error, Result};
use crate::linalg::operator::SparseView;
use crate::linalg::vector::{axpy, dot};
use faer::Par;
use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::cholesky::llt::factor::LltError;
use faer::sparse::linalg::cholesky::{simplicial, supernodal};
use faer::sparse::{SparseColMatRef, SymbolicSparseColMatRef};
use std::sync::Arc;

/// Multiplications from which on a factorization uses all threads.
const PARALLEL_FLOPS: f64 = 2e7;

/// Symbolic analysis and values of a supernodal factorization.
#[derive(Debug, Clone, Default)]
pub(super) struct Supernodal {
    symbolic: Option<Arc<supernodal::SymbolicSupernodalCholesky<usize>>>,
    lower: Triangle,
    entries: Vec<f64>,
    values: Vec<f64>,
    gathered: Vec<f64>,
    parallel: bool,
    need: Option<StackReq>,
    scratch: Scratch,
}

impl Supernodal {
    /// Symbolic factorization of `m` in the given order.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the factor is too large for memory.
    pub fn analyse(&mut self, m: SparseView<'_>, order: &Order) -> Result<()> {
        let n = m.dim();
        let upper = Triangle::new(m, &order.position, true);
        let pattern = SymbolicSparseColMatRef::<usize>::new_unsorted_checked(n, n, &upper.starts, None, &upper.rows);
        let need = StackReq::any_of(&[
            simplicial::prefactorize_symbolic_cholesky_scratch::<usize>(n, upper.rows.len()),
            supernodal::factorize_supernodal_symbolic_cholesky_scratch::<usize>(n),
        ]);
        let mut memory = MemBuffer::new(need);
        let stack = MemStack::new(&mut memory);
        let (mut tree, mut counts) = (vec![0isize; n], vec![0usize; n]);
        let tree = simplicial::prefactorize_symbolic_cholesky(&mut tree, &mut counts, pattern, stack);
        let symbolic = supernodal::factorize_supernodal_symbolic_cholesky(pattern, tree, &counts, stack, Default::default())
            .map_err(|_| Error::Unsupported { what: "the sparse factorization", requirement: "a smaller factor" })?;
        self.parallel = order.flops >= PARALLEL_FLOPS;
        self.need =
            Some(supernodal::factorize_supernodal_numeric_llt_scratch::<usize, f64>(&symbolic, self.par(), Default::default()));
        self.values.clear();
        self.values.resize(symbolic.len_val(), 0.0);
        self.symbolic = Some(Arc::new(symbolic));
        self.lower = Triangle::new(m, &order.position, false);
        self.entries.clear();
        self.entries.resize(self.lower.rows.len(), 0.0);
        self.gathered.clear();
        self.gathered.resize(n, 0.0);
        Ok(())
    }

    fn par(&self) -> Par {
        if self.parallel { Par::rayon(0) } else { Par::Seq }
    }

    /// Factors; the pivot of an error counts in the permuted order.
    pub fn factor(&mut self, a: &[f64], shift: f64) -> std::result::Result<(), NotPositiveDefinite> {
        let (Some(symbolic), Some(need)) = (self.symbolic.clone(), self.need) else {
            return Ok(());
        };
        let n = symbolic.nrows();
        for j in 0..n {
            for k in self.lower.starts[j]..self.lower.starts[j + 1] {
                let value = if self.lower.sources[k] == NOT_STORED { 0.0 } else { a[self.lower.sources[k]] };
                self.entries[k] = value + if self.lower.rows[k] == j { shift } else { 0.0 };
            }
        }
        let par = self.par();
        let pattern = SymbolicSparseColMatRef::new_unsorted_checked(n, n, &self.lower.starts, None, &self.lower.rows);
        let matrix = SparseColMatRef::new(pattern, &self.entries[..]);
        let stack = self.scratch.stack(need);
        let result = supernodal::factorize_supernodal_numeric_llt(
            &mut self.values,
            matrix,
            Default::default(),
            &symbolic,
            par,
            stack,
            Default::default(),
        );
        match result {
            Ok(_) => Ok(()),
            Err(LltError::NonPositivePivot { index }) => {
                Err(NotPositiveDefinite { pivot: index, deficit: self.deficit(&symbolic, index) })
            }
        }
    }

    /// `−(a_kk + σ − Σ_{j<k} l_kj²)` from the finished part of row `k`. The block that holds the pivot was assembled
    /// before its dense factorization failed, so what earlier supernodes contribute is summed again.
    fn deficit(&self, symbolic: &supernodal::SymbolicSupernodalCholesky<usize>, k: usize) -> f64 {
        let diagonal: f64 =
            (self.lower.starts[k]..self.lower.starts[k + 1]).filter(|&e| self.lower.rows[e] == k).map(|e| self.entries[e]).sum();
        let mut squares = 0.0;
        for s in 0..symbolic.n_supernodes() {
            let (start, end) = (symbolic.supernode_begin()[s], symbolic.supernode_end()[s]);
            if start > k {
                break;
            }
            let rows = symbolic.supernode(s).pattern();
            let block = self.block(symbolic, s);
            let height = end - start + rows.len();
            let at = if k < end { Some(k - start) } else { rows.binary_search(&k).ok().map(|p| end - start + p) };
            if let Some(at) = at {
                let columns = (end - start).min(k - start);
                squares += (0..columns).map(|j| block[j * height + at] * block[j * height + at]).sum::<f64>();
            }
        }
        (squares - diagonal).max(0.0)
    }

    fn block(&self, symbolic: &supernodal::SymbolicSupernodalCholesky<usize>, s: usize) -> &[f64] {
        &self.values[symbolic.col_ptr_for_val()[s]..symbolic.col_ptr_for_val()[s + 1]]
    }

    /// `x ← L⁻¹ x`.
    pub fn forward(&mut self, x: &mut [f64]) {
        let Some(symbolic) = self.symbolic.clone() else { return };
        let mut sums = std::mem::take(&mut self.gathered);
        for s in 0..symbolic.n_supernodes() {
            let (start, end) = (symbolic.supernode_begin()[s], symbolic.supernode_end()[s]);
            let rows = symbolic.supernode(s).pattern();
            let block = self.block(&symbolic, s);
            let (width, height) = (end - start, end - start + rows.len());
            let sums = &mut sums[..rows.len()];
            sums.fill(0.0);
            for j in 0..width {
                let column = &block[j * height..(j + 1) * height];
                let (head, tail) = x[start..end].split_at_mut(j + 1);
                head[j] /= column[j];
                axpy(-head[j], &column[j + 1..width], tail);
                axpy(head[j], &column[width..], sums);
            }
            rows.iter().zip(sums).for_each(|(&i, v)| x[i] -= *v);
        }
        self.gathered = sums;
    }

    /// `x ← L⁻ᵀ x`.
    pub fn backward(&mut self, x: &mut [f64]) {
        self.backward_from(x.len(), x);
    }

    /// Back substitution with the first `m` columns; entries of `x` from `m` on are known.
    fn backward_from(&mut self, m: usize, x: &mut [f64]) {
        let Some(symbolic) = self.symbolic.clone() else { return };
        let mut values = std::mem::take(&mut self.gathered);
        for s in (0..symbolic.n_supernodes()).rev() {
            let (start, end) = (symbolic.supernode_begin()[s], symbolic.supernode_end()[s]);
            if start >= m {
                continue;
            }
            let rows = symbolic.supernode(s).pattern();
            let block = self.block(&symbolic, s);
            let (width, height) = (end - start, end - start + rows.len());
            // In the supernode of a failed pivot the rows behind it are unfinished; there `x` is zero.
            let finished = if end <= m { rows.len() } else { 0 };
            let inside = if end <= m { width } else { m - start + 1 };
            rows[..finished].iter().zip(values.iter_mut()).for_each(|(&i, v)| *v = x[i]);
            for j in (0..width.min(m - start)).rev() {
                let column = &block[j * height..(j + 1) * height];
                let here = &x[start..end];
                let s = here[j]
                    - dot(&column[j + 1..inside], &here[j + 1..inside])
                    - dot(&column[width..width + finished], &values[..finished]);
                x[start + j] = s / column[j];
            }
        }
        self.gathered = values;
    }

    /// `v` (permuted) with `v_k = 1` at the failed pivot, zero behind it and `(Lᵀv)_j = 0` ahead of it.
    pub fn negative_curvature(&mut self, pivot: usize, v: &mut [f64]) {
        v.fill(0.0);
        v[pivot] = 1.0;
        self.backward_from(pivot, v);
    }
}
