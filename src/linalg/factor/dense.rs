//! Dense Cholesky `B + σI = LLᵀ`: plain loops for small `n`, faer's blocked factorization in place beyond.
//!
//! `L` is stored by columns. The small kernel is left-looking: column `j` receives four earlier columns at a time, so
//! that the loop is a plain vectorizable sum.

use super::ordering::check_pattern;
use super::scratch::Scratch;
use super::{MatrixNorms, NotPositiveDefinite};
use crate::error::{Error, Result};
use crate::linalg::operator::{Form, SymmetricOperator, write_dense};
use crate::linalg::vector::{axpy, dot};
use faer::linalg::cholesky::llt::factor as llt;
use faer::{MatMut, Par};
use pulp::Arch;

/// Up to this dimension the plain loops are faster than the blocked factorization.
pub(super) const SMALL: usize = 112;
/// From this dimension on the blocked factorization uses all threads.
pub(super) const PARALLEL: usize = 512;

/// Threads for a dense kernel of dimension `n`.
pub(super) fn parallelism(n: usize) -> Par {
    if n < PARALLEL { Par::Seq } else { Par::rayon(0) }
}

/// Buffers of a dense Cholesky factorization.
#[derive(Debug, Clone, Default)]
pub(super) struct DenseCholesky {
    n: usize,
    entries: Vec<f64>,
    l: Vec<f64>,
    scratch: Scratch,
}

impl DenseCholesky {
    pub fn load(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        self.n = operator.dim();
        load_entries(operator, &mut self.entries)
    }

    /// The `n × n` entries, to be written; the lower triangle is all that a factorization reads.
    pub fn entries_mut(&mut self, n: usize) -> &mut [f64] {
        self.n = n;
        self.entries.resize(n * n, 0.0);
        &mut self.entries
    }

    pub fn norms(&self) -> MatrixNorms {
        MatrixNorms::dense(self.n, &self.entries)
    }

    pub fn factor(&mut self, shift: f64) -> std::result::Result<(), NotPositiveDefinite> {
        let n = self.n;
        self.l.clear();
        self.l.extend_from_slice(&self.entries);
        for i in 0..n {
            self.l[i * n + i] += shift;
        }
        let failed = if n <= SMALL {
            if n < 6 {
                factor_columns(&mut self.l, n)
            } else {
                let l = &mut self.l;
                Arch::new().dispatch(
                    #[inline(always)]
                    || factor_columns(l, n),
                )
            }
        } else {
            let par = parallelism(n);
            let stack = self.scratch.stack(llt::cholesky_in_place_scratch::<f64>(n, par, Default::default()));
            let matrix = MatMut::from_column_major_slice_mut(&mut self.l, n, n);
            match llt::cholesky_in_place(matrix, Default::default(), par, stack, Default::default()) {
                Ok(_) => None,
                Err(llt::LltError::NonPositivePivot { index }) => Some(index),
            }
        };
        match failed {
            None => Ok(()),
            Some(pivot) => {
                let row: f64 = (0..pivot).map(|k| self.l[k * n + pivot] * self.l[k * n + pivot]).sum();
                let deficit = row - (self.entries[pivot * n + pivot] + shift);
                Err(NotPositiveDefinite { pivot, deficit: deficit.max(0.0) })
            }
        }
    }

    /// `x ← L⁻¹ x`.
    pub fn forward(&self, x: &mut [f64]) {
        let n = self.n;
        for (j, column) in self.l.chunks_exact(n.max(1)).enumerate() {
            let (head, tail) = x.split_at_mut(j + 1);
            head[j] /= column[j];
            axpy(-head[j], &column[j + 1..], tail);
        }
    }

    /// `x ← L⁻ᵀ x`.
    pub fn backward(&self, x: &mut [f64]) {
        self.backward_from(self.n, x);
    }

    /// Back substitution with the leading `m × m` part of `Lᵀ`, entries of `x` from `m` on being known.
    fn backward_from(&self, m: usize, x: &mut [f64]) {
        let n = self.n;
        for j in (0..m).rev() {
            let column = &self.l[j * n..(j + 1) * n];
            x[j] = (x[j] - dot(&column[j + 1..], &x[j + 1..])) / column[j];
        }
    }

    /// `v` with `v_k = 1`, zero behind, and `L₁₁ᵀ v₁ = −l_k` ahead of the failed pivot `k`.
    pub fn negative_curvature(&self, pivot: usize, v: &mut [f64]) {
        let n = self.n;
        v.fill(0.0);
        v[pivot] = 1.0;
        for j in (0..pivot).rev() {
            // Rows behind the pivot are unfinished, so the sum ends at it.
            let column = &self.l[j * n..j * n + pivot + 1];
            v[j] = -dot(&column[j + 1..], &v[j + 1..pivot + 1]) / column[j];
        }
    }
}

/// Copies the entries of any operator, column-major.
pub(super) fn load_entries(operator: &dyn SymmetricOperator, entries: &mut Vec<f64>) -> Result<()> {
    let n = operator.dim();
    match operator.form() {
        Form::Dense(m) => {
            Error::check_len("matrix rows", n, m.nrows())?;
            Error::check_len("matrix columns", n, m.ncols())?;
        }
        Form::Rows(rows) => rows.iter().try_for_each(|row| Error::check_len("matrix row", n, row.len()))?,
        Form::Sparse(m) => check_pattern(m).and_then(|()| Error::check_len("sparse matrix", n, m.dim()))?,
        _ => {}
    }
    entries.resize(n * n, 0.0);
    write_dense(operator, entries)?;
    check_entries(entries)
}

/// [`Error::NonFinite`] if an entry is NaN or infinite; branch-free over the entries.
pub(super) fn check_entries(values: &[f64]) -> Result<()> {
    if values.iter().fold(true, |ok, v| ok & (v.abs() <= f64::MAX)) {
        return Ok(());
    }
    Error::check_finite("curvature matrix", values)
}

/// Left-looking Cholesky of the lower triangle, in place; the pivot that failed, if one did.
#[inline(always)]
fn factor_columns(l: &mut [f64], n: usize) -> Option<usize> {
    for j in 0..n {
        let (done, rest) = l.split_at_mut(j * n);
        let column = &mut rest[j..n];
        let mut k = 0;
        while k + 4 <= j {
            let c0 = &done[k * n + j..k * n + n];
            let c1 = &done[(k + 1) * n + j..(k + 1) * n + n];
            let c2 = &done[(k + 2) * n + j..(k + 2) * n + n];
            let c3 = &done[(k + 3) * n + j..(k + 3) * n + n];
            let (f0, f1, f2, f3) = (c0[0], c1[0], c2[0], c3[0]);
            for ((((x, a), b), c), d) in column.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
                *x -= (a * f0 + b * f1) + (c * f2 + d * f3);
            }
            k += 4;
        }
        while k < j {
            let c = &done[k * n + j..k * n + n];
            let f = c[0];
            column.iter_mut().zip(c).for_each(|(x, a)| *x -= a * f);
            k += 1;
        }
        let pivot = column[0];
        if !(pivot > 0.0 && pivot <= f64::MAX) {
            return Some(j);
        }
        let root = pivot.sqrt();
        column[0] = root;
        column[1..].iter_mut().for_each(|x| *x /= root);
    }
    None
}
