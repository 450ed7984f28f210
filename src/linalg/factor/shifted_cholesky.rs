//! Cholesky factorization of `B + σI` for an operator of any form, refactored cheaply for many shifts.
//!
//! # Reference
//! Golub & Van Loan (2013), §4.2 (Cholesky) and §4.3 (band); Davis (2005), ACM TOMS 31(4) (sparse `LDLᵀ`); the
//! direction of negative curvature from a failed pivot is that of Moré & Sorensen (1983), §3.

use super::banded::Banded;
use super::dense::{DenseCholesky, check_entries};
use super::norms::MatrixNorms;
use super::ordering::{Order, check_pattern};
use super::simplicial::Simplicial;
use super::supernodal::Supernodal;
use crate::error::{Error, Result};
use crate::linalg::operator::{Form, SparseView, SymmetricOperator};

/// Why a Cholesky factorization stopped: the matrix is not positive definite.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("not positive definite at pivot {pivot}: {deficit:.3e} is missing")]
pub struct NotPositiveDefinite {
    /// Zero-based row of the pivot that is not positive.
    pub pivot: usize,
    /// What must be added to that diagonal entry to make the pivot zero; not negative.
    pub deficit: f64,
}

/// Flops per entry of `L` from which on supernodes are faster than one row at a time.
const SUPERNODAL_RATIO: f64 = 40.0;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kernel {
    #[default]
    Diagonal,
    Dense,
    Banded,
    Simplicial,
    Supernodal,
}

/// Cholesky factorization of `B + σI` that keeps its buffers, and for sparse matrices the symbolic analysis, while the
/// dimension and the pattern stay.
///
/// [`load`](Self::load) copies the entries, [`factor`](Self::factor) may then be called for any number of shifts. It
/// is scratch: nothing in it needs to be saved with a run.
///
/// # Example
/// ```
/// use curvkit::linalg::{factor::ShiftedCholesky, operator::DenseMatrix};
/// let b = DenseMatrix::new(2, vec![1.0, 2.0, 2.0, 1.0])?; // eigenvalues 3 and −1
/// let mut cholesky = ShiftedCholesky::default();
/// cholesky.load(&b)?;
/// assert_eq!(cholesky.factor(0.0).unwrap_err().deficit, 3.0);
/// assert!(cholesky.factor(3.0).is_ok()); // B + 3I = [4 2; 2 4]
/// let mut x = [0.0; 2];
/// cholesky.solve(&[6.0, 6.0], &mut x);
/// assert!((x[0] - 1.0).abs() < 1e-15 && (x[1] - 1.0).abs() < 1e-15);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ShiftedCholesky {
    n: usize,
    kernel: Kernel,
    state: State,
    count: u64,
    /// Entries of a diagonal matrix, and its factor.
    diagonal: Vec<f64>,
    pivots: Vec<f64>,
    dense: DenseCholesky,
    /// Pattern of the last sparse matrix, and its values.
    starts: Vec<usize>,
    rows: Vec<usize>,
    values: Vec<f64>,
    sparse: Option<Kernel>,
    banded: Banded,
    order: Order,
    simplicial: Simplicial,
    supernodal: Supernodal,
    permuted: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Unfactored,
    Factored,
    /// The pivot counts in the kernel's own order.
    Failed(usize),
}

impl ShiftedCholesky {
    /// Copies the entries of `B`; product-only operators cost `n` products.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if an entry is not finite, [`Error::Dimension`] if a sparse matrix is malformed,
    /// errors of the operator's products.
    pub fn load(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        self.state = State::Unfactored;
        self.n = operator.dim();
        match operator.form() {
            Form::ScaledIdentity(c) => {
                self.kernel = Kernel::Diagonal;
                self.diagonal.clear();
                self.diagonal.resize(self.n, c);
                check_entries(&self.diagonal)
            }
            Form::Diagonal(d) => {
                self.kernel = Kernel::Diagonal;
                self.diagonal.clear();
                self.diagonal.extend_from_slice(d);
                check_entries(d)
            }
            Form::Sparse(view) => self.load_sparse(view),
            _ => {
                self.kernel = Kernel::Dense;
                self.dense.load(operator)
            }
        }
    }

    fn load_sparse(&mut self, view: SparseView<'_>) -> Result<()> {
        let known = self
            .sparse
            .filter(|_| self.starts == view.starts && self.rows == view.rows && self.values.len() == view.values.len());
        self.kernel = match known {
            Some(kernel) => kernel,
            None => {
                self.sparse = None;
                check_pattern(view)?;
                Error::check_len("sparse matrix", self.n, view.dim())?;
                self.analyse(view)?
            }
        };
        self.sparse = Some(self.kernel);
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
        self.permuted.resize(self.n, 0.0);
        if self.order.flops > SUPERNODAL_RATIO * self.order.fill {
            self.supernodal.analyse(view, &self.order)?;
            Ok(Kernel::Supernodal)
        } else {
            self.simplicial.analyse(view, &self.order)?;
            Ok(Kernel::Simplicial)
        }
    }

    /// Factors `B + shift·I`. After the first call for a pattern nothing is allocated.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] at the first pivot that is not positive (or overflows).
    pub fn factor(&mut self, shift: f64) -> std::result::Result<(), NotPositiveDefinite> {
        self.count += 1;
        let result = match self.kernel {
            Kernel::Diagonal => {
                self.pivots.clear();
                self.pivots.extend(self.diagonal.iter().map(|d| d + shift));
                match self.pivots.iter().position(|d| !(*d > 0.0 && *d <= f64::MAX)) {
                    None => Ok(()),
                    Some(pivot) => Err(NotPositiveDefinite { pivot, deficit: (-self.pivots[pivot]).max(0.0) }),
                }
            }
            Kernel::Dense => self.dense.factor(shift),
            Kernel::Banded => self.banded.factor(&self.values, shift),
            Kernel::Simplicial => self.simplicial.factor(&self.values, shift),
            Kernel::Supernodal => self.supernodal.factor(&self.values, shift),
        };
        self.state = match result {
            Ok(()) => State::Factored,
            Err(e) => State::Failed(e.pivot),
        };
        result.map_err(|e| NotPositiveDefinite { pivot: if self.is_permuted() { self.order.old[e.pivot] } else { e.pivot }, ..e })
    }

    fn is_permuted(&self) -> bool {
        matches!(self.kernel, Kernel::Simplicial | Kernel::Supernodal)
    }

    /// Whether a solve is possible: a factorization succeeded and the lengths fit. Otherwise the result is NaN.
    fn ready(&self, b: &[f64], x: &mut [f64]) -> bool {
        let ready = self.state == State::Factored && b.len() == self.n && x.len() == self.n;
        if !ready {
            x.fill(f64::NAN);
        }
        ready
    }

    /// `x ← (B + σI)⁻¹ b` with the last factor; NaN if there is none.
    pub fn solve(&mut self, b: &[f64], x: &mut [f64]) {
        if !self.ready(b, x) {
            return;
        }
        if !self.is_permuted() {
            x.copy_from_slice(b);
        }
        match self.kernel {
            Kernel::Diagonal => x.iter_mut().zip(&self.pivots).for_each(|(x, d)| *x /= d),
            Kernel::Dense => {
                self.dense.forward(x);
                self.dense.backward(x);
            }
            Kernel::Banded => {
                self.banded.forward(x);
                self.banded.scale(false, x);
                self.banded.backward(x);
            }
            Kernel::Simplicial => {
                let y = &mut self.permuted;
                y.iter_mut().zip(&self.order.old).for_each(|(y, &i)| *y = b[i]);
                self.simplicial.forward(y);
                self.simplicial.scale(false, y);
                self.simplicial.backward(y);
                y.iter().zip(&self.order.old).for_each(|(y, &i)| x[i] = *y);
            }
            Kernel::Supernodal => {
                let y = &mut self.permuted;
                y.iter_mut().zip(&self.order.old).for_each(|(y, &i)| *y = b[i]);
                self.supernodal.forward(y);
                self.supernodal.backward(y);
                y.iter().zip(&self.order.old).for_each(|(y, &i)| x[i] = *y);
            }
        }
    }

    /// `w` with `‖w‖² = bᵀ(B + σI)⁻¹b`: `L⁻¹b` up to a permutation. NaN if there is no factor.
    pub fn half_solve(&mut self, b: &[f64], w: &mut [f64]) {
        if !self.ready(b, w) {
            return;
        }
        if self.is_permuted() {
            w.iter_mut().zip(&self.order.old).for_each(|(w, &i)| *w = b[i]);
        } else {
            w.copy_from_slice(b);
        }
        match self.kernel {
            Kernel::Diagonal => w.iter_mut().zip(&self.pivots).for_each(|(w, d)| *w /= d.sqrt()),
            Kernel::Dense => self.dense.forward(w),
            Kernel::Banded => {
                self.banded.forward(w);
                self.banded.scale(true, w);
            }
            Kernel::Simplicial => {
                self.simplicial.forward(w);
                self.simplicial.scale(true, w);
            }
            Kernel::Supernodal => self.supernodal.forward(w),
        }
    }

    /// After a failed [`factor`](Self::factor): writes `v` with `vᵀ(B + σI)v = −deficit` and `v_pivot = 1`. `false`
    /// if the last factorization did not fail or the result is not finite; then `v` means nothing.
    pub fn negative_curvature(&mut self, v: &mut [f64]) -> bool {
        let State::Failed(pivot) = self.state else { return false };
        if v.len() != self.n {
            return false;
        }
        match self.kernel {
            Kernel::Diagonal => {
                v.fill(0.0);
                v[pivot] = 1.0;
            }
            Kernel::Dense => self.dense.negative_curvature(pivot, v),
            Kernel::Banded => self.banded.negative_curvature(pivot, v),
            Kernel::Simplicial => self.simplicial.negative_curvature(pivot, &mut self.permuted),
            Kernel::Supernodal => self.supernodal.negative_curvature(pivot, &mut self.permuted),
        }
        if self.is_permuted() {
            self.permuted.iter().zip(&self.order.old).for_each(|(y, &i)| v[i] = *y);
        }
        v.iter().all(|x| x.is_finite())
    }

    /// Dimension of the matrix loaded last.
    pub fn dim(&self) -> usize {
        self.n
    }

    /// True if the entries are stored sparsely (or as a diagonal).
    pub fn is_sparse(&self) -> bool {
        self.kernel != Kernel::Dense
    }

    /// Norms and Gershgorin bounds of `B` (without a shift).
    pub fn norms(&self) -> MatrixNorms {
        match self.kernel {
            Kernel::Diagonal => MatrixNorms::diagonal(&self.diagonal),
            Kernel::Dense => self.dense.norms(),
            _ => MatrixNorms::sparse(SparseView { starts: &self.starts, rows: &self.rows, values: &self.values }),
        }
    }

    /// Factorizations attempted since construction.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Which kernel the loaded matrix takes.
    #[cfg(test)]
    pub(super) fn kernel_name(&self) -> String {
        format!("{:?}", self.kernel)
    }
}
