//! Lanczos: an orthonormal Krylov basis `Q`, the tridiagonal `T = QᵀBQ`, and extreme eigenvalues with residual bounds.
//!
//! Each new vector is orthogonalised twice against all earlier ones that are kept. At an invariant subspace the basis
//! can be restarted with a random vector orthogonal to it, so that eigenvectors orthogonal to the first vector are met.
//!
//! Lanczos 1950; Paige 1972; Parlett 1998, §13 (residual bounds `|e_k u_k|`).

use super::tridiagonal::{self, Factor};
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::{axpy, dot, norm};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A coupling below this multiple of `‖T‖` is rounding: the basis spans an invariant subspace.
const BREAKDOWN: f64 = 64.0 * f64::EPSILON;
/// Products before a random block is believed: its lowest Ritz value settles late where it is not the first to stand out
/// (Kuczyński & Woźniakowski 1992 bound the probability of an error by `√n exp(−(2k − 1)√ε)`).
const LEAST: usize = 12;

/// The growing basis and its tridiagonal matrix.
#[derive(Debug, Clone, Default)]
pub(crate) struct Basis {
    n: usize,
    capacity: usize,
    /// Orthonormal columns, the next one included.
    columns: Vec<f64>,
    pub(crate) diagonal: Vec<f64>,
    /// `off[i]` couples `i` and `i + 1`; the last one couples the next vector. Zero at an invariant subspace.
    pub(crate) off: Vec<f64>,
    work: Vec<f64>,
    bound: f64,
    /// First vector of the present block.
    start: usize,
    /// Whether it began with a random vector, which has a part along everything outside of the blocks before.
    random: bool,
    factor: Factor,
    lowest: Vec<f64>,
}

/// The smallest Ritz value of a block, and the residual of its vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BlockEnd {
    pub(crate) value: f64,
    pub(crate) residual: f64,
}

impl Basis {
    /// Forgets everything; at most `capacity` products will be made.
    pub(crate) fn clear(&mut self, n: usize, capacity: usize) {
        self.n = n;
        self.capacity = capacity.clamp(1, n.max(1));
        self.diagonal.clear();
        self.off.clear();
        self.work.resize(n, 0.0);
        (self.bound, self.start, self.random) = (0.0, 0, false);
    }

    /// Number of products made: the order of `T`.
    pub(crate) fn len(&self) -> usize {
        self.diagonal.len()
    }
    /// True if no further vector can be kept.
    pub(crate) fn full(&self) -> bool {
        self.len() >= self.capacity
    }
    /// Upper bound on the modulus of every Ritz value.
    pub(crate) fn norm_bound(&self) -> f64 {
        self.bound
    }
    /// The coupling to the next vector; zero at an invariant subspace.
    pub(crate) fn coupling(&self) -> f64 {
        self.off.last().copied().unwrap_or(0.0)
    }
    /// Off-diagonal of `T`, without the coupling to the next vector.
    pub(crate) fn off_diagonal(&self) -> &[f64] {
        &self.off[..self.len().saturating_sub(1)]
    }

    /// Counts what follows as a block of its own: the couplings before it say nothing about it.
    pub(crate) fn begin_block(&mut self) {
        (self.start, self.random) = (self.len(), false);
    }

    /// The smallest Ritz value of the present block and its residual; `None` while it has too few vectors to be believed.
    ///
    /// It is judged for itself: an eigenvector of an earlier block has a residual of zero and proves nothing outside.
    pub(crate) fn block_end(&mut self) -> Option<BlockEnd> {
        let m = self.len() - self.start;
        if m == 0 || (m < LEAST && self.coupling() > 0.0 && !self.full()) {
            return None;
        }
        let (d, e) = (&self.diagonal[self.start..], &self.off[self.start..self.start + m - 1]);
        let value = tridiagonal::eigenvalue(d, e, 0);
        tridiagonal::lowest_vector(d, e, value, &mut self.factor, &mut self.lowest);
        let residual = self.coupling() * self.lowest.last().map_or(0.0, |v| v.abs());
        Some(BlockEnd { value, residual })
    }

    /// After an invariant block: begins a random one outside of all of them. `false` if there is no room, or if the present
    /// block was random itself and showed nothing below the blocks before it: then there is nothing to be seen outside.
    pub(crate) fn look_outside(&mut self, seed: u64) -> bool {
        if self.random && self.start > 0 {
            let before = tridiagonal::eigenvalue(&self.diagonal[..self.start], &self.off[..self.start - 1], 0);
            let lower = self.block_end().is_some_and(|end| end.value < before - BREAKDOWN * self.bound);
            if !lower {
                return false;
            }
        }
        self.begin_random(seed)
    }

    fn column(&self, j: usize) -> &[f64] {
        &self.columns[j * self.n..(j + 1) * self.n]
    }

    /// Takes `v / length` as the first vector; `length` is `‖v‖`, not zero.
    pub(crate) fn begin(&mut self, v: &[f64], length: f64) {
        grow(&mut self.columns, self.n);
        self.columns[..self.n].iter_mut().zip(v).for_each(|(q, v)| *q = v / length);
    }

    /// Takes a random vector orthogonal to the basis as the next one; `false` if there is no room or no such vector.
    pub(crate) fn begin_random(&mut self, seed: u64) -> bool {
        let (k, n) = (self.len(), self.n);
        if self.full() || k >= n {
            return false;
        }
        if let Some(last) = self.off.last_mut() {
            *last = 0.0;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (k as u64).rotate_left(32));
        for _ in 0..5 {
            self.work.iter_mut().for_each(|w| *w = StandardNormal.sample(&mut rng));
            let before = norm(&self.work);
            self.orthogonalize(k);
            let length = norm(&self.work);
            // A vector that lost nearly all its length is mostly rounding.
            if length > 1e-8 * before {
                grow(&mut self.columns, (k + 1) * n);
                self.columns[k * n..(k + 1) * n].iter_mut().zip(&self.work).for_each(|(q, w)| *q = w / length);
                (self.start, self.random) = (k, true);
                return true;
            }
        }
        false
    }

    /// Makes the product of the next vector: one more row of `T`, and the vector after it.
    pub(crate) fn extend(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        let (k, n) = (self.len(), self.n);
        let q = &self.columns[k * n..(k + 1) * n];
        operator.apply(q, &mut self.work)?;
        let delta = dot(q, &self.work);
        if !delta.is_finite() {
            Error::check_finite("curvature product", &self.work)?;
            return Err(Error::NonFinite { what: "curvature along a direction", index: None });
        }
        self.diagonal.push(delta);
        self.orthogonalize(k + 1);
        let mut gamma = norm(&self.work);
        let before = if k > 0 { self.off[k - 1].abs() } else { 0.0 };
        self.bound = self.bound.max(delta.abs() + gamma + before);
        if !self.bound.is_finite() {
            self.diagonal.pop();
            return Err(Error::NonFinite { what: "curvature product", index: None });
        }
        if k + 1 == n || gamma <= BREAKDOWN * self.bound {
            gamma = 0.0;
        } else {
            grow(&mut self.columns, (k + 2) * n);
            self.columns[(k + 1) * n..(k + 2) * n].iter_mut().zip(&self.work).for_each(|(q, w)| *q = w / gamma);
        }
        self.off.push(gamma);
        Ok(())
    }

    /// `work ← (I − QQᵀ) work` over the first `k` vectors, twice ("twice is enough", Kahan and Parlett).
    fn orthogonalize(&mut self, k: usize) {
        for _ in 0..2 {
            for j in (0..k).rev() {
                let q = &self.columns[j * self.n..(j + 1) * self.n];
                let along = dot(q, &self.work);
                axpy(-along, q, &mut self.work);
            }
        }
    }

    /// `out ← Q y`.
    pub(crate) fn combine(&self, y: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (j, y) in y.iter().enumerate() {
            axpy(*y, self.column(j), out);
        }
    }
}

fn grow(storage: &mut Vec<f64>, length: usize) {
    if storage.len() < length {
        storage.resize(length, 0.0);
    }
}

/// The leftmost eigenpair as far as it was found, and the other end of the spectrum.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Leftmost {
    /// Smallest Ritz value: an upper bound on the smallest eigenvalue; some eigenvalue lies within `residual` of it.
    pub value: f64,
    /// Its unit vector.
    pub vector: Vec<f64>,
    /// `‖B v − value v‖`.
    pub residual: f64,
    /// Products made.
    pub products: u64,
    /// Largest Ritz value: a lower bound on the largest eigenvalue.
    pub largest: f64,
    /// True if `residual` met the tolerance or the basis spans the whole space.
    pub converged: bool,
}

/// The smallest eigenvalue of `operator` by Lanczos from a random start (`seed`) with full reorthogonalisation.
///
/// Stops when the residual is at most `tol` times the largest Ritz modulus, or after `max_products`. The residual
/// bounds the distance to *some* eigenvalue; that it is the smallest holds with probability one, not with certainty.
///
/// # Errors
/// Errors of products; [`Error::NonFinite`] if one is not finite; [`Error::Config`] if `max_products` is zero or the
/// operator is empty.
pub fn leftmost(operator: &dyn SymmetricOperator, max_products: u64, seed: u64, tol: f64) -> Result<Leftmost> {
    let n = operator.dim();
    Error::check_option(n > 0 && max_products > 0, "max_products", "positive, on a non-empty operator", max_products)?;
    let mut basis = Basis::default();
    basis.clear(n, usize::try_from(max_products).unwrap_or(usize::MAX));
    basis.begin_random(seed);
    loop {
        basis.extend(operator)?;
        let invariant = basis.coupling() == 0.0;
        // An invariant subspace that is not the whole space may miss eigenvectors.
        if invariant && basis.len() < n && basis.look_outside(seed) {
            continue;
        }
        let end = basis.block_end();
        let met = end.is_some_and(|end| end.residual <= tol * basis.norm_bound());
        if met || invariant || basis.full() {
            let (d, e) = (&basis.diagonal[..], basis.off_diagonal());
            let (value, largest) = (tridiagonal::eigenvalue(d, e, 0), tridiagonal::eigenvalue(d, e, d.len() - 1));
            let (mut u, mut vector) = (Vec::new(), vec![0.0; n]);
            tridiagonal::lowest_vector(d, e, value, &mut Factor::default(), &mut u);
            basis.combine(&u, &mut vector);
            let residual = basis.coupling() * u.last().copied().unwrap_or(0.0).abs();
            // The recurrence's value may be far below rounding, the true residual is not.
            let residual = residual.max(f64::EPSILON * basis.norm_bound());
            let products = basis.len() as u64;
            return Ok(Leftmost { value, vector, residual, products, largest, converged: met || basis.len() == n });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{DenseMatrix, Diagonal, ScaledIdentity};

    #[test]
    fn leftmost_of_diagonal_matrix_equals_its_smallest_entry() {
        let d: Vec<f64> = (0..200).map(|i| 1.0 + i as f64 * 0.05).chain([-3.0]).collect();
        let found = leftmost(&Diagonal(d), 60, 7, 1e-10).unwrap();
        assert!(found.converged && found.products <= 60);
        assert!((found.value + 3.0).abs() < 1e-12, "{}", found.value);
        assert!((found.vector[200].abs() - 1.0).abs() < 1e-12);
        assert!(found.largest > 10.5 && found.largest <= 10.95 + 1e-12);
    }

    #[test]
    fn leftmost_of_small_matrix_is_exact_with_both_ends() {
        let found = leftmost(&Diagonal(vec![3.0, -1.0, 7.0, 2.0]), 50, 1, 1e-14).unwrap();
        assert_eq!(found.products, 4);
        assert!((found.value + 1.0).abs() < 1e-14 && (found.largest - 7.0).abs() < 1e-13);
    }

    #[test]
    fn leftmost_within_too_few_products_says_not_converged() {
        let d: Vec<f64> = (0..1000).map(|i| i as f64).collect();
        let found = leftmost(&Diagonal(d), 5, 3, 1e-12).unwrap();
        assert!(!found.converged && found.products == 5 && found.residual > 1.0);
    }

    #[test]
    fn leftmost_of_multiple_of_identity_needs_two_products() {
        let found = leftmost(&ScaledIdentity { n: 30, c: -2.5 }, 50, 3, 1e-10).unwrap();
        assert_eq!(found.products, 2);
        assert!((found.largest + 2.5).abs() < 1e-14 && (found.value + 2.5).abs() < 1e-14);
    }

    #[test]
    fn basis_stays_orthonormal_and_reduces_the_matrix_after_ritz_values_have_converged() {
        // The three outliers converge within ten steps; without orthogonalization their vectors come back.
        let d: Vec<f64> = (0..80).map(|i| 1.0 + i as f64 / 80.0).chain([1e2, -3e4, 1e6]).collect();
        let (operator, n) = (Diagonal(d.clone()), d.len());
        let mut basis = Basis::default();
        basis.clear(n, 40);
        basis.begin_random(11);
        while !basis.full() {
            basis.extend(&operator).unwrap();
        }
        for i in 0..40 {
            for j in 0..40 {
                let (q, r) = (basis.column(i), basis.column(j));
                assert!((dot(q, r) - f64::from(u8::from(i == j))).abs() < 1e-13, "{i} {j}");
                let entry: f64 = (0..n).map(|k| q[k] * d[k] * r[k]).sum();
                let expected = match i.abs_diff(j) {
                    0 => basis.diagonal[i],
                    1 => basis.off[i.min(j)],
                    _ => 0.0,
                };
                assert!((entry - expected).abs() < 1e-13 * 1e6 * 8.0, "{i} {j}: {entry} {expected}");
            }
        }
    }

    #[test]
    fn leftmost_at_every_scale_ends_and_is_right() {
        // x² + 2y² + 3z² + xy: eigenvalues of [2 1; 1 4] and 6.
        let entries = [2.0, 1.0, 0.0, 1.0, 4.0, 0.0, 0.0, 0.0, 6.0];
        let exact = 3.0 - 2f64.sqrt();
        for scale in [1e-310, 1e-300, 1e-150, 1.0, 1e150, 1e300] {
            let b = DenseMatrix::new(3, entries.map(|v| v * scale).to_vec()).unwrap();
            let found = leftmost(&b, 50, 0, 1e-6).unwrap();
            let rounding = if scale < 1e-305 { 1e-12 } else { 1e-14 };
            assert!((found.value / scale - exact).abs() < rounding && found.converged, "{scale:e} {found:?}");
            assert!((found.largest / scale - 6.0).abs() < rounding, "{scale:e} {found:?}");
        }
        let zero = leftmost(&Diagonal(vec![0.0; 5]), 50, 0, 1e-6).unwrap();
        assert_eq!((zero.value, zero.largest), (0.0, 0.0));
        assert!(leftmost(&DenseMatrix::new(2, vec![f64::INFINITY; 4]).unwrap(), 50, 0, 1e-6).is_err());
        // Ends, whatever it finds: an eigenvalue is beyond the range.
        let _ = leftmost(&DenseMatrix::new(2, vec![f64::MAX; 4]).unwrap(), 50, 0, 1e-6);
    }

    #[test]
    fn leftmost_outside_an_invariant_block_is_judged_for_itself() {
        // Many distinct eigenvalues, so that a random block of one vector says nothing yet.
        let d: Vec<f64> = (0..60).map(|i| 1.0 + i as f64).chain([-1e-3]).collect();
        let mut basis = Basis::default();
        basis.clear(61, 61);
        let mut first = vec![0.0; 61];
        first[3] = 2.0;
        basis.begin(&first, 2.0);
        basis.extend(&Diagonal(d.clone())).unwrap();
        assert_eq!(basis.coupling(), 0.0);
        assert!(basis.look_outside(5));
        basis.extend(&Diagonal(d.clone())).unwrap();
        assert_eq!(basis.block_end(), None);
        while basis.coupling() > 0.0 && !basis.full() {
            basis.extend(&Diagonal(d.clone())).unwrap();
        }
        assert!((basis.block_end().unwrap().value + 1e-3).abs() < 1e-12);
    }

    #[test]
    fn leftmost_of_failing_product_is_a_typed_error() {
        assert!(matches!(leftmost(&Diagonal(vec![f64::NAN, 1.0]), 5, 1, 1e-8), Err(Error::NonFinite { .. })));
        assert!(matches!(leftmost(&Diagonal(vec![]), 5, 1, 1e-8), Err(Error::Config { .. })));
    }
}
