//! Cholesky factorization of `B + σI` for an operator of any form, refactored cheaply for many shifts.
//!
//! # Reference
//! Golub & Van Loan (2013), §4.2 (Cholesky) and §4.3 (band); Davis (2005), ACM TOMS 31(4) (sparse `LDLᵀ`); the
//! direction of negative curvature from a failed pivot is that of Moré & Sorensen (1983), §3.

use super::dense::{DenseCholesky, check_entries};
use super::norms::MatrixNorms;
use super::sparse_cholesky::SparseCholesky;
use crate::error::Result;
use crate::linalg::operator::{Form, SparseGram, SparseView, SymmetricOperator};

/// Why a Cholesky factorization stopped: the matrix is not positive definite.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("not positive definite at pivot {pivot}: {deficit:.3e} is missing")]
pub struct NotPositiveDefinite {
    /// Zero-based row of the pivot that is not positive.
    pub pivot: usize,
    /// What must be added to that diagonal entry to make the pivot zero; not negative.
    pub deficit: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kernel {
    #[default]
    Diagonal,
    Dense,
    Sparse,
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
    /// Entries of a matrix that came as its factor.
    formed: Vec<f64>,
    dense: DenseCholesky,
    /// Boxed, and made when first needed: most of the size, and solvers are moved about by value.
    sparse: Option<Box<SparseCholesky>>,
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
    /// [`Error::NonFinite`](crate::Error::NonFinite) if an entry is not finite,
    /// [`Error::Dimension`](crate::Error::Dimension) if a sparse matrix is malformed,
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
            Form::Sparse(view) => {
                self.kernel = Kernel::Sparse;
                self.sparse.get_or_insert_with(Box::default).load(self.n, view)
            }
            Form::SparseGram(gram) => self.load_scaled(&gram, None),
            _ => {
                self.kernel = Kernel::Dense;
                self.dense.load(operator)
            }
        }
    }

    /// Forms and loads `D⁻¹ JᵀJ D⁻¹` for `D = diag(scale)`, or `JᵀJ`.
    pub(super) fn load_scaled(&mut self, gram: &SparseGram<'_>, scale: Option<&[f64]>) -> Result<()> {
        (self.state, self.kernel, self.n) = (State::Unfactored, Kernel::Sparse, gram.pattern.n());
        let pattern = gram.pattern.gram();
        self.formed.resize(pattern.nnz(), 0.0);
        gram.write_sparse(scale, &mut self.formed);
        let view = SparseView { starts: pattern.column_starts(), rows: pattern.row_indices(), values: &self.formed };
        self.sparse.get_or_insert_with(Box::default).load(self.n, view)
    }

    /// Factors `B + shift·I`. After the first call for a pattern nothing is allocated.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] at the first pivot that is not positive (or overflows).
    pub fn factor(&mut self, shift: f64) -> std::result::Result<(), NotPositiveDefinite> {
        self.count += 1;
        let result = match (self.kernel, &mut self.sparse) {
            (Kernel::Dense, _) => self.dense.factor(shift),
            (Kernel::Sparse, Some(sparse)) => sparse.factor(shift),
            _ => {
                self.pivots.clear();
                self.pivots.extend(self.diagonal.iter().map(|d| d + shift));
                match self.pivots.iter().position(|d| !(*d > 0.0 && *d <= f64::MAX)) {
                    None => Ok(()),
                    Some(pivot) => Err(NotPositiveDefinite { pivot, deficit: (-self.pivots[pivot]).max(0.0) }),
                }
            }
        };
        self.state = match result {
            Ok(()) => State::Factored,
            Err(e) => State::Failed(e.pivot),
        };
        let original = |pivot| match (self.kernel, &self.sparse) {
            (Kernel::Sparse, Some(sparse)) => sparse.original(pivot),
            _ => pivot,
        };
        result.map_err(|e| NotPositiveDefinite { pivot: original(e.pivot), ..e })
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
        match (self.kernel, &mut self.sparse) {
            (Kernel::Dense, _) => {
                x.copy_from_slice(b);
                self.dense.forward(x);
                self.dense.backward(x);
            }
            (Kernel::Sparse, Some(sparse)) => sparse.solve(b, x),
            _ => x.iter_mut().zip(b).zip(&self.pivots).for_each(|((x, b), d)| *x = b / d),
        }
    }

    /// `w` with `‖w‖² = bᵀ(B + σI)⁻¹b`: `L⁻¹b` up to a permutation. NaN if there is no factor.
    pub fn half_solve(&mut self, b: &[f64], w: &mut [f64]) {
        if !self.ready(b, w) {
            return;
        }
        match (self.kernel, &mut self.sparse) {
            (Kernel::Dense, _) => {
                w.copy_from_slice(b);
                self.dense.forward(w);
            }
            (Kernel::Sparse, Some(sparse)) => sparse.half_solve(b, w),
            _ => w.iter_mut().zip(b).zip(&self.pivots).for_each(|((w, b), d)| *w = b / d.sqrt()),
        }
    }

    /// After a failed [`factor`](Self::factor): writes `v` with `vᵀ(B + σI)v = −deficit` and `v_pivot = 1`. `false`
    /// if the last factorization did not fail or the result is not finite; then `v` means nothing.
    pub fn negative_curvature(&mut self, v: &mut [f64]) -> bool {
        let State::Failed(pivot) = self.state else { return false };
        if v.len() != self.n {
            return false;
        }
        match (self.kernel, &mut self.sparse) {
            (Kernel::Dense, _) => self.dense.negative_curvature(pivot, v),
            (Kernel::Sparse, Some(sparse)) => sparse.negative_curvature(pivot, v),
            _ => {
                v.fill(0.0);
                v[pivot] = 1.0;
            }
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
        match (self.kernel, &self.sparse) {
            (Kernel::Dense, _) => self.dense.norms(),
            (Kernel::Sparse, Some(sparse)) => sparse.norms(),
            _ => MatrixNorms::diagonal(&self.diagonal),
        }
    }

    /// Factorizations attempted since construction.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Which kernel the loaded matrix takes.
    #[cfg(test)]
    pub(super) fn kernel_name(&self) -> String {
        match (self.kernel, &self.sparse) {
            (Kernel::Sparse, Some(sparse)) => sparse.kernel_name(),
            _ => format!("{:?}", self.kernel),
        }
    }
}
