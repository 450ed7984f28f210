//! The certificate: what was verified about the curvature at the answer.
//!
//! Dense matrices up to [`EIGEN_LIMIT`] are decomposed; larger ones and sparse ones are factorized for the sign and
//! probed by Lanczos for the extremes; product-only operators are probed by Lanczos within [`PRODUCTS`] products, and
//! what that cannot settle is reported as not determined.

use crate::error::{Error, Result};
use crate::linalg::factor::{ShiftedCholesky, SymmetricEigen};
use crate::linalg::krylov::lanczos::{Leftmost, leftmost};
use crate::linalg::operator::{DenseMatrix, Masked};
use crate::linalg::vector::{dot, norm, scale};
use crate::linalg::{Form, SymmetricOperator, operator};
use crate::problem::ActiveBound;
use std::cell::RefCell;

/// Largest dimension whose spectrum is computed in full.
pub const EIGEN_LIMIT: usize = 300;
/// Products spent on a product-only operator.
pub const PRODUCTS: usize = 50;
/// Seed of the Lanczos starting vectors.
const SEED: u64 = 0;
/// Relative accuracy asked of Lanczos.
const LANCZOS_TOLERANCE: f64 = 1e-6;
/// Curvatures below this multiple of the largest count as zero.
pub const ZERO: f64 = 1e-10;

/// What a stationary point is, judged by its exact curvature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum PointKind {
    /// All curvatures are positive: a strict local minimum.
    Minimum,
    /// No curvature is negative but some vanish: a minimum or a higher-order saddle.
    Degenerate,
    /// Some curvature is negative.
    Saddle,
    /// Not determined: no exact curvature, or too few products.
    Undetermined,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only whether there is negative curvature.
    Sign,
    /// Extreme curvatures and condition number as well.
    Full,
}

/// What was verified at the answer.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Certificate {
    /// `‖g‖∞`; within bounds that of the projected gradient.
    pub gradient_norm: f64,
    /// Variables at their bounds, with multipliers; curvatures are those of the variables that no bound holds.
    pub active: Vec<ActiveBound>,
    /// Smallest eigenvalue of the exact Hessian; an upper bound of it if `exact` is false.
    pub smallest_curvature: Option<f64>,
    /// Largest eigenvalue; a lower bound of it if `exact` is false.
    pub largest_curvature: Option<f64>,
    /// Ratio of the two, for a minimum.
    pub condition_number: Option<f64>,
    /// Minimum, degenerate, saddle or not determined.
    pub verdict: PointKind,
    /// Whether the extremes are eigenvalues to rounding (a full decomposition) or estimates by Lanczos.
    pub exact: bool,
}

impl Certificate {
    /// The certificate where there is no exact curvature to look at.
    pub fn undetermined(gradient_norm: f64) -> Self {
        Self {
            gradient_norm,
            active: Vec::new(),
            smallest_curvature: None,
            largest_curvature: None,
            condition_number: None,
            verdict: PointKind::Undetermined,
            exact: false,
        }
    }
}

/// Examines exact curvatures; keeps its buffers and, after a saddle, the direction to leave along.
#[derive(Debug, Clone, Default)]
pub struct Certifier {
    entries: Vec<f64>,
    eigen: SymmetricEigen,
    cholesky: ShiftedCholesky,
    direction: Vec<f64>,
    leftmost: f64,
    factorizations: u64,
}

impl Certifier {
    /// The certificate of a point whose exact curvature is `operator`.
    ///
    /// # Errors
    /// A failing product; non-finite entries.
    pub fn examine(&mut self, operator: &dyn SymmetricOperator, gradient_norm: f64, depth: Depth) -> Result<Certificate> {
        self.factorizations = 0;
        match operator.form() {
            Form::Product => self.probe(operator, gradient_norm),
            _ if operator.dim() <= EIGEN_LIMIT => self.decompose(operator, gradient_norm),
            _ => self.factorize(operator, gradient_norm, depth),
        }
    }

    /// The certificate of a point where some variables are held by their bounds: what the others can do.
    ///
    /// # Errors
    /// As [`examine`](Self::examine).
    pub fn examine_free(
        &mut self,
        operator: &dyn SymmetricOperator,
        held: &[bool],
        gradient_norm: f64,
        depth: Depth,
    ) -> Result<Certificate> {
        let n = operator.dim();
        let free: Vec<usize> = (0..n).filter(|&i| !held[i]).collect();
        if free.len() == n {
            return self.examine(operator, gradient_norm, depth);
        }
        if free.is_empty() {
            // Nothing can move: the multipliers say it all.
            return Ok(Certificate { verdict: PointKind::Minimum, exact: true, ..Certificate::undetermined(gradient_norm) });
        }
        let product_only = matches!(operator.form(), Form::Product);
        if n > EIGEN_LIMIT && !product_only {
            return self.examine(&Masked::new(operator, held, &vec![0.0; n])?, gradient_norm, depth);
        }
        let certificate = if product_only {
            self.examine(&FreeBlock { operator, free: &free }, gradient_norm, depth)
        } else {
            let mut entries = vec![0.0; n * n];
            operator::write_dense(operator, &mut entries)?;
            let block = free.iter().flat_map(|&j| free.iter().map(move |&i| (i, j))).map(|(i, j)| entries[j * n + i]).collect();
            self.examine(&DenseMatrix::new(free.len(), block)?, gradient_norm, depth)
        }?;
        self.direction = embed(&self.direction, &free, n);
        Ok(certificate)
    }

    /// Unit vector along the most negative curvature found by the last examination.
    pub fn direction(&self) -> &[f64] {
        &self.direction
    }

    /// The curvature along [`direction`](Self::direction).
    pub fn leftmost(&self) -> f64 {
        self.leftmost
    }

    /// Factorizations of the last examination.
    pub fn factorizations(&self) -> u64 {
        self.factorizations
    }

    /// All eigenvalues.
    fn decompose(&mut self, operator: &dyn SymmetricOperator, gradient_norm: f64) -> Result<Certificate> {
        let n = operator.dim();
        self.entries.resize(n * n, 0.0);
        operator::write_dense(operator, &mut self.entries)?;
        self.eigen.factor(n, &self.entries)?;
        self.factorizations = 1;
        let values = self.eigen.values();
        let (smallest, largest) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0));
        self.direction.clear();
        self.direction.extend_from_slice(&self.eigen.vectors()[..n]);
        self.leftmost = smallest;
        Ok(classify(smallest, largest, gradient_norm, true))
    }

    /// The sign by Cholesky; the extremes by Lanczos on the matrix and on its inverse.
    fn factorize(&mut self, operator: &dyn SymmetricOperator, gradient_norm: f64, depth: Depth) -> Result<Certificate> {
        self.cholesky.load(operator)?;
        let size = self.cholesky.norms().infinity;
        self.factorizations = 1;
        if self.cholesky.factor(0.0).is_err() {
            return self.not_definite(operator, gradient_norm, size);
        }
        let definite = Certificate { verdict: PointKind::Minimum, ..Certificate::undetermined(gradient_norm) };
        if depth == Depth::Sign {
            return Ok(definite);
        }
        let largest = leftmost(operator, PRODUCTS as u64, SEED, LANCZOS_TOLERANCE)?.largest;
        let inverse = NegatedInverse { n: operator.dim(), cholesky: RefCell::new(&mut self.cholesky) };
        let smallest = -1.0 / leftmost(&inverse, PRODUCTS as u64, SEED, LANCZOS_TOLERANCE)?.value;
        Ok(classify(smallest, largest, gradient_norm, false))
    }

    /// Cholesky broke down: negative curvature, or none beyond rounding.
    fn not_definite(&mut self, operator: &dyn SymmetricOperator, gradient_norm: f64, size: f64) -> Result<Certificate> {
        let n = operator.dim();
        self.direction.resize(n, 0.0);
        let found = self.cholesky.negative_curvature(&mut self.direction);
        if found {
            let length = norm(&self.direction);
            scale(1.0 / length, &mut self.direction);
            let mut product = vec![0.0; n];
            operator.apply(&self.direction, &mut product)?;
            self.leftmost = dot(&self.direction, &product);
        }
        // The pivot's direction shows negative curvature, Lanczos the most negative one.
        let probed = leftmost(operator, PRODUCTS as u64, SEED, LANCZOS_TOLERANCE)?;
        let largest = probed.largest;
        if !found || probed.value < self.leftmost {
            self.take(&probed);
        }
        self.factorizations += 1;
        if self.leftmost >= -ZERO * size && self.cholesky.factor(2.0 * ZERO * size).is_ok() {
            self.leftmost = self.leftmost.max(-ZERO * largest.abs());
        }
        Ok(classify(self.leftmost, largest, gradient_norm, false))
    }

    /// Lanczos within [`PRODUCTS`] products. A negative Ritz value proves negative curvature; a positive one proves
    /// nothing until it has converged.
    fn probe(&mut self, operator: &dyn SymmetricOperator, gradient_norm: f64) -> Result<Certificate> {
        let probed = leftmost(operator, PRODUCTS as u64, SEED, LANCZOS_TOLERANCE)?;
        self.take(&probed);
        let mut certificate = classify(probed.value, probed.largest, gradient_norm, false);
        if !probed.converged && certificate.verdict != PointKind::Saddle {
            certificate.verdict = PointKind::Undetermined;
            certificate.condition_number = None;
        }
        Ok(certificate)
    }

    fn take(&mut self, probed: &Leftmost) {
        self.direction.clear();
        self.direction.extend_from_slice(&probed.vector);
        self.leftmost = probed.value;
    }
}

/// `−B⁻¹` through a Cholesky factor: its leftmost eigenvalue is `−1/λ₁`.
struct NegatedInverse<'a> {
    n: usize,
    cholesky: RefCell<&'a mut ShiftedCholesky>,
}

impl SymmetricOperator for NegatedInverse<'_> {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.cholesky.borrow_mut().solve(v, out);
        scale(-1.0, out);
        Error::check_finite("inverse curvature product", out)
    }
}

/// The block of a product-only operator between free variables.
struct FreeBlock<'a> {
    operator: &'a dyn SymmetricOperator,
    free: &'a [usize],
}

impl SymmetricOperator for FreeBlock<'_> {
    fn dim(&self) -> usize {
        self.free.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let n = self.operator.dim();
        let mut product = vec![0.0; n];
        self.operator.apply(&embed(v, self.free, n), &mut product)?;
        out.iter_mut().zip(self.free).for_each(|(o, &i)| *o = product[i]);
        Ok(())
    }
}

/// A vector of the free variables among all `n`, zero elsewhere.
fn embed(v: &[f64], free: &[usize], n: usize) -> Vec<f64> {
    let mut whole = vec![0.0; n];
    free.iter().zip(v).for_each(|(&i, v)| whole[i] = *v);
    whole
}

/// The verdict on the extreme curvatures, with a tolerance relative to the larger one.
fn classify(smallest: f64, largest: f64, gradient_norm: f64, exact: bool) -> Certificate {
    let zero = ZERO * smallest.abs().max(largest.abs());
    let verdict = if smallest < -zero {
        PointKind::Saddle
    } else if smallest <= zero {
        PointKind::Degenerate
    } else {
        PointKind::Minimum
    };
    Certificate {
        gradient_norm,
        active: Vec::new(),
        smallest_curvature: Some(smallest),
        largest_curvature: Some(largest),
        condition_number: (verdict == PointKind::Minimum).then(|| largest / smallest),
        verdict,
        exact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{Pattern, SparseMatrix};
    use std::sync::Arc;

    /// Tridiagonal (−1, d, −1) of dimension `n`: eigenvalues `d − 2 cos(kπ/(n+1))`.
    fn tridiagonal(n: usize, d: f64) -> SparseMatrix {
        let pattern = Arc::new(Pattern::from_pairs(n, (1..n).map(|i| (i, i - 1))).unwrap());
        let mut values = vec![-1.0; pattern.nnz()];
        (0..n).for_each(|i| values[pattern.position(i, i).unwrap()] = d);
        SparseMatrix::new(pattern, values).unwrap()
    }

    struct ProductOnly(SparseMatrix);
    impl SymmetricOperator for ProductOnly {
        fn dim(&self) -> usize {
            self.0.dim()
        }
        fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
            self.0.apply(v, out)
        }
    }

    fn extremes(n: usize, d: f64) -> (f64, f64) {
        let c = 2.0 * (std::f64::consts::PI / (n + 1) as f64).cos();
        (d - c, d + c)
    }

    #[test]
    fn certificate_of_small_matrix_holds_its_eigenvalues() {
        let n = 40;
        let c = Certifier::default().examine(&tridiagonal(n, 2.5), 0.0, Depth::Full).unwrap();
        let (a, b) = extremes(n, 2.5);
        assert_eq!(c.verdict, PointKind::Minimum);
        assert!(c.exact && (c.smallest_curvature.unwrap() - a).abs() < 1e-13 && (c.largest_curvature.unwrap() - b).abs() < 1e-13);
        assert!((c.condition_number.unwrap() / (b / a) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn certificate_of_large_sparse_matrix_finds_both_ends_and_the_sign() {
        let n = 2000;
        let mut certifier = Certifier::default();
        let c = certifier.examine(&tridiagonal(n, 2.5), 0.0, Depth::Full).unwrap();
        let (a, b) = extremes(n, 2.5);
        assert_eq!(c.verdict, PointKind::Minimum);
        assert!((c.smallest_curvature.unwrap() / a - 1.0).abs() < 1e-2 && (c.largest_curvature.unwrap() / b - 1.0).abs() < 1e-2);
        let c = certifier.examine(&tridiagonal(n, 1.0), 0.0, Depth::Sign).unwrap();
        assert_eq!(c.verdict, PointKind::Saddle);
        assert!(certifier.leftmost() < 0.0 && (norm(certifier.direction()) - 1.0).abs() < 1e-12);
        let mut product = vec![0.0; n];
        tridiagonal(n, 1.0).apply(certifier.direction(), &mut product).unwrap();
        assert!((dot(&product, certifier.direction()) - certifier.leftmost()).abs() < 1e-8);
    }

    #[test]
    fn certificate_of_product_only_operator_says_when_it_cannot_tell() {
        let c = Certifier::default().examine(&ProductOnly(tridiagonal(30, 2.5)), 0.0, Depth::Full).unwrap();
        assert_eq!(c.verdict, PointKind::Minimum);
        assert!((c.smallest_curvature.unwrap() - extremes(30, 2.5).0).abs() < 1e-6);
        let c = Certifier::default().examine(&ProductOnly(tridiagonal(2000, 1.0)), 0.0, Depth::Full).unwrap();
        assert_eq!(c.verdict, PointKind::Saddle);
        // The smallest eigenvalue 2.5e-6 is out of reach of fifty products.
        let c = Certifier::default().examine(&ProductOnly(tridiagonal(2000, 2.0)), 0.0, Depth::Full).unwrap();
        assert!(c.verdict != PointKind::Saddle && c.condition_number.is_none_or(|k| k > 1e3));
    }

    #[test]
    fn certificate_of_singular_matrix_is_degenerate() {
        for n in [3, 400] {
            let pattern = Arc::new(Pattern::from_pairs(n, []).unwrap());
            let values = (0..n).map(|i| i as f64).collect();
            let singular = SparseMatrix::new(pattern, values).unwrap();
            let c = Certifier::default().examine(&singular, 0.0, Depth::Full).unwrap();
            assert_eq!(c.verdict, PointKind::Degenerate, "{n}: {c:?}");
        }
    }
}
