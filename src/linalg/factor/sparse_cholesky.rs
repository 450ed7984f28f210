//! Sparse Cholesky factorization of `B + σI`: banded, by rows, or by supernodes, whichever suits the pattern.
//!
//! The symbolic analysis is kept while the pattern stays.

use super::banded::Banded;
use super::dense::check_entries;
use super::norms::MatrixNorms;
use super::ordering::{Order, check_pattern};
use super::shifted_cholesky::NotPositiveDefinite;
use super::simplicial::Simplicial;
use super::supernodal::Supernodal;
use crate::error::{Error, Result};
use crate::linalg::operator::SparseView;

/// Flops per entry of `L` from which on supernodes are faster than one row at a time.
const SUPERNODAL_RATIO: f64 = 20.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Banded,
    Simplicial,
    Supernodal,
}

/// A sparse matrix, its analysis and its factor.
#[derive(Debug, Clone, Default)]
pub(super) struct SparseCholesky {
    starts: Vec<usize>,
    rows: Vec<usize>,
    values: Vec<f64>,
    /// `None` until the stored pattern is analysed.
    kernel: Option<Kernel>,
    banded: Banded,
    order: Order,
    simplicial: Simplicial,
    supernodal: Supernodal,
    permuted: Vec<f64>,
}

impl SparseCholesky {
    /// Copies the entries, and analyses the pattern unless it is the last one.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a malformed matrix, [`Error::NonFinite`] for an entry that is not finite.
    pub fn load(&mut self, n: usize, view: SparseView<'_>) -> Result<()> {
        let same = self.starts == view.starts && self.rows == view.rows && self.values.len() == view.values.len();
        if self.kernel.is_none() || !same {
            self.kernel = None;
            check_pattern(view)?;
            Error::check_len("sparse matrix", n, view.dim())?;
            self.kernel = Some(self.analyse(view)?);
        }
        self.values.clear();
        self.values.extend_from_slice(view.values);
        check_entries(view.values)
    }

    fn analyse(&mut self, view: SparseView<'_>) -> Result<Kernel> {
        self.starts.clear();
        self.starts.extend_from_slice(view.starts);
        self.rows.clear();
        self.rows.extend_from_slice(view.rows);
        if self.banded.analyse(view) {
            return Ok(Kernel::Banded);
        }
        self.order = Order::choose(view)?;
        self.permuted.resize(view.dim(), 0.0);
        if self.order.flops > SUPERNODAL_RATIO * self.order.fill {
            self.supernodal.analyse(view, &mut self.order)?;
            Ok(Kernel::Supernodal)
        } else {
            self.simplicial.analyse(view, &self.order)?;
            Ok(Kernel::Simplicial)
        }
    }

    fn is_permuted(&self) -> bool {
        self.kernel != Some(Kernel::Banded)
    }

    /// Factors `B + shift·I`; the pivot of an error counts in the kernel's own order, see
    /// [`original`](Self::original).
    pub fn factor(&mut self, shift: f64) -> std::result::Result<(), NotPositiveDefinite> {
        match self.kernel {
            Some(Kernel::Banded) => self.banded.factor(&self.values, shift),
            Some(Kernel::Simplicial) => self.simplicial.factor(&self.values, shift),
            Some(Kernel::Supernodal) => self.supernodal.factor(&self.values, shift),
            None => Ok(()),
        }
    }

    /// The row of the matrix that a pivot stands for.
    pub fn original(&self, pivot: usize) -> usize {
        if self.is_permuted() { self.order.old[pivot] } else { pivot }
    }

    /// `x ← (B + σI)⁻¹ b`.
    pub fn solve(&mut self, b: &[f64], x: &mut [f64]) {
        if !self.is_permuted() {
            x.copy_from_slice(b);
            self.banded.forward(x);
            self.banded.scale(false, x);
            return self.banded.backward(x);
        }
        let y = &mut self.permuted;
        y.iter_mut().zip(&self.order.old).for_each(|(y, &i)| *y = b[i]);
        if self.kernel == Some(Kernel::Supernodal) {
            self.supernodal.forward(y);
            self.supernodal.backward(y);
        } else {
            self.simplicial.forward(y);
            self.simplicial.scale(false, y);
            self.simplicial.backward(y);
        }
        y.iter().zip(&self.order.old).for_each(|(y, &i)| x[i] = *y);
    }

    /// `w ← L⁻¹ b` up to a permutation.
    pub fn half_solve(&mut self, b: &[f64], w: &mut [f64]) {
        if self.is_permuted() {
            w.iter_mut().zip(&self.order.old).for_each(|(w, &i)| *w = b[i]);
        } else {
            w.copy_from_slice(b);
        }
        match self.kernel {
            Some(Kernel::Banded) => {
                self.banded.forward(w);
                self.banded.scale(true, w);
            }
            Some(Kernel::Simplicial) => {
                self.simplicial.forward(w);
                self.simplicial.scale(true, w);
            }
            Some(Kernel::Supernodal) => self.supernodal.forward(w),
            None => {}
        }
    }

    /// A direction of negative curvature from the pivot (in the kernel's order) where the factorization failed.
    pub fn negative_curvature(&mut self, pivot: usize, v: &mut [f64]) {
        match self.kernel {
            Some(Kernel::Simplicial) => self.simplicial.negative_curvature(pivot, &mut self.permuted),
            Some(Kernel::Supernodal) => self.supernodal.negative_curvature(pivot, &mut self.permuted),
            _ => return self.banded.negative_curvature(pivot, v),
        }
        self.permuted.iter().zip(&self.order.old).for_each(|(y, &i)| v[i] = *y);
    }

    /// Norms and Gershgorin bounds of `B`.
    pub fn norms(&self) -> MatrixNorms {
        MatrixNorms::sparse(SparseView { starts: &self.starts, rows: &self.rows, values: &self.values })
    }

    /// Which kernel the loaded matrix takes.
    #[cfg(test)]
    pub fn kernel_name(&self) -> String {
        self.kernel.map_or("none".into(), |kernel| format!("{kernel:?}"))
    }
}
