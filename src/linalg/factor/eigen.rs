//! Eigendecomposition `A = Q diag(w) Qᵀ` of a dense symmetric matrix, with buffers that are kept between calls.
//!
//! `n ≤ 2` in closed form (one Jacobi rotation); up to [`SMALL`] Householder tridiagonalisation and implicit QL with
//! Wilkinson's shift (Golub & Van Loan, Matrix Computations, §8.3); beyond that `faer`'s divide and conquer.

use crate::error::{Error, Result};
use faer::dyn_stack::MemStack;
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatMut, MatRef, Par, Spec, diag::DiagMut};
use std::mem::MaybeUninit;

/// Largest dimension for the plain loops; beyond it `faer` is faster (measured).
const SMALL: usize = 32;
/// QL sweeps allowed for one eigenvalue; two or three is usual.
const MAX_SWEEPS: usize = 60;

/// Eigenvalues (ascending) and orthonormal eigenvectors of a symmetric matrix.
///
/// # Example
/// ```
/// use curvkit::linalg::factor::SymmetricEigen;
/// let mut eigen = SymmetricEigen::default();
/// eigen.factor(2, &[2.0, 1.0, 1.0, 2.0])?;
/// assert!((eigen.values()[0] - 1.0).abs() < 1e-15 && (eigen.values()[1] - 3.0).abs() < 1e-15);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SymmetricEigen {
    n: usize,
    values: Vec<f64>,
    vectors: Vec<f64>,
    off: Vec<f64>,
    work: Vec<f64>,
    stack: Vec<MaybeUninit<u8>>,
}

impl SymmetricEigen {
    /// Decomposes the `n × n` column-major matrix `entries` (both triangles filled).
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is not `n²`, [`Error::NonFinite`] for NaN or ∞ among the entries,
    /// [`Error::Factorization`] if the iteration does not converge.
    pub fn factor(&mut self, n: usize, entries: &[f64]) -> Result<()> {
        Error::check_len("dense matrix", n * n, entries.len())?;
        Error::check_finite("matrix", entries)?;
        self.n = n;
        self.values.resize(n, 0.0);
        self.vectors.resize(n * n, 0.0);
        match n {
            0 => {}
            1 => (self.values[0], self.vectors[0]) = (entries[0], 1.0),
            2 => self.rotate_once(entries[0], entries[1], entries[3]),
            _ if n <= SMALL => self.tridiagonal_ql(entries)?,
            _ => self.divide_and_conquer(entries)?,
        }
        Ok(())
    }

    /// Dimension of the last matrix.
    pub fn dim(&self) -> usize {
        self.n
    }
    /// Eigenvalues, ascending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
    /// Eigenvectors: column `i` (contiguous, length `n`) belongs to value `i`.
    pub fn vectors(&self) -> &[f64] {
        &self.vectors
    }

    /// Multiplies the eigenvalues: of `a` times the matrix, `a` positive.
    pub(crate) fn scale(&mut self, a: f64) {
        self.values.iter_mut().for_each(|v| *v *= a);
    }

    /// `out ← Qᵀ x`: coordinates in the eigenbasis.
    pub fn to_basis(&self, x: &[f64], out: &mut [f64]) {
        if let (&[a, b, c, d], &[x, y], [p, q]) = (&self.vectors[..], x, &mut *out) {
            (*p, *q) = (a * x + b * y, c * x + d * y);
            return;
        }
        for (o, q) in out.iter_mut().zip(self.vectors.chunks_exact(self.n.max(1))) {
            *o = crate::linalg::vector::dot(q, x);
        }
    }

    /// `out ← Q y`.
    pub fn from_basis(&self, y: &[f64], out: &mut [f64]) {
        if let (&[a, b, c, d], &[x, y], [p, q]) = (&self.vectors[..], y, &mut *out) {
            (*p, *q) = (a * x + c * y, b * x + d * y);
            return;
        }
        out.fill(0.0);
        for (y, q) in y.iter().zip(self.vectors.chunks_exact(self.n.max(1))) {
            crate::linalg::vector::axpy(*y, q, out);
        }
    }

    /// `[a b; b c]` by the one rotation that annihilates `b`.
    fn rotate_once(&mut self, a: f64, b: f64, c: f64) {
        let (mut t, mut cos) = (0.0, 1.0);
        if b != 0.0 {
            // The smaller root of t² + 2θt − 1 = 0 (rotation by at most π/4); halves first, so that c − a cannot overflow.
            let theta = (0.5 * c - 0.5 * a) / b;
            let size = if theta.abs() < 1e150 { (theta * theta + 1.0).sqrt() } else { theta.abs() };
            t = 1.0f64.copysign(theta) / (theta.abs() + size);
            cos = 1.0 / (t * t + 1.0).sqrt();
        }
        let sin = t * cos;
        let (first, second) = (a - t * b, c + t * b);
        if first <= second {
            self.values.copy_from_slice(&[first, second]);
            self.vectors.copy_from_slice(&[cos, -sin, sin, cos]);
        } else {
            self.values.copy_from_slice(&[second, first]);
            self.vectors.copy_from_slice(&[sin, cos, cos, -sin]);
        }
    }

    fn tridiagonal_ql(&mut self, entries: &[f64]) -> Result<()> {
        let n = self.n;
        self.off.resize(n, 0.0);
        self.work.resize(2 * n, 0.0);
        self.vectors.copy_from_slice(entries);
        tridiagonalise(n, &mut self.vectors, &mut self.values, &mut self.off, &mut self.work);
        implicit_ql(n, &mut self.values, &mut self.off, &mut self.vectors)?;
        self.sort();
        Ok(())
    }

    /// Ascending order by selection: at most `n` column swaps.
    fn sort(&mut self) {
        let n = self.n;
        for i in 0..n {
            let mut least = i;
            for j in i + 1..n {
                if self.values[j] < self.values[least] {
                    least = j;
                }
            }
            if least != i {
                self.values.swap(i, least);
                let (head, tail) = self.vectors.split_at_mut(least * n);
                head[i * n..(i + 1) * n].swap_with_slice(&mut tail[..n]);
            }
        }
    }

    fn divide_and_conquer(&mut self, entries: &[f64]) -> Result<()> {
        let n = self.n;
        let need = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Spec::default());
        let bytes = need.unaligned_bytes_required();
        if self.stack.len() < bytes {
            self.stack.resize(bytes, MaybeUninit::uninit());
        }
        let matrix = MatRef::from_column_major_slice(entries, n, n);
        let vectors = MatMut::from_column_major_slice_mut(&mut self.vectors, n, n);
        let values = DiagMut::from_slice_mut(&mut self.values);
        self_adjoint_evd(matrix, values, Some(vectors), Par::Seq, MemStack::new(&mut self.stack), Spec::default())
            .map_err(|_| Error::Factorization { what: "eigendecomposition", pivot: 0 })
    }
}

/// Householder reduction `A = Q T Qᵀ`: `a` (both triangles, column-major) becomes `Q`, `d` and `e` the diagonal and
/// sub-diagonal (`e[i] = T[i + 1, i]`). Reflector `k` acts on rows `k + 1..n`.
fn tridiagonalise(n: usize, a: &mut [f64], d: &mut [f64], e: &mut [f64], work: &mut [f64]) {
    let (betas, p) = work.split_at_mut(n);
    for k in 0..n - 1 {
        d[k] = a[k * n + k];
        let (column, rest) = a[k * n..].split_at_mut(n);
        let v = &mut column[k + 1..];
        let m = v.len();
        let head = v[0];
        let tail: f64 = v[1..].iter().map(|x| x * x).sum();
        betas[k] = 0.0;
        e[k] = head;
        if tail <= f64::MIN_POSITIVE {
            // Nothing (or less than a normal number) to annihilate.
            v.fill(0.0);
            continue;
        }
        let alpha = -(head * head + tail).sqrt().copysign(head);
        e[k] = alpha;
        v[0] = head - alpha;
        let beta = 2.0 / (v[0] * v[0] + tail);
        betas[k] = beta;
        // Two-sided update of the trailing block: A ← A − v wᵀ − w vᵀ, w = p − (β vᵀp / 2) v, p = β A v.
        let p = &mut p[..m];
        p.fill(0.0);
        for (j, vj) in v.iter().enumerate() {
            let c = &rest[j * n + k + 1..j * n + n];
            p.iter_mut().zip(c).for_each(|(p, c)| *p += beta * vj * c);
        }
        let half = 0.5 * beta * p.iter().zip(v.iter()).map(|(p, v)| p * v).sum::<f64>();
        p.iter_mut().zip(v.iter()).for_each(|(p, v)| *p -= half * v);
        for j in 0..m {
            let (vj, wj) = (v[j], p[j]);
            let c = &mut rest[j * n + k + 1..j * n + n];
            c.iter_mut().zip(v.iter().zip(p.iter())).for_each(|(c, (v, w))| *c -= v * wj + w * vj);
        }
    }
    d[n - 1] = a[n * n - 1];
    e[n - 1] = 0.0;
    accumulate(n, a, betas);
}

/// Replaces the reflectors stored below the diagonal of `a` by their product `Q`, last reflector first.
fn accumulate(n: usize, a: &mut [f64], betas: &[f64]) {
    a[n * n - n..].fill(0.0);
    a[n * n - 1] = 1.0;
    for k in (0..n - 1).rev() {
        let (head, tail) = a.split_at_mut((k + 1) * n);
        let column = &mut head[k * n..];
        let v = &column[k + 1..];
        if betas[k] != 0.0 {
            for c in tail.chunks_exact_mut(n) {
                let c = &mut c[k + 1..];
                let s = betas[k] * v.iter().zip(c.iter()).map(|(v, c)| v * c).sum::<f64>();
                c.iter_mut().zip(v).for_each(|(c, v)| *c -= s * v);
            }
        }
        column.fill(0.0);
        column[k] = 1.0;
    }
}

/// QL with implicit Wilkinson shifts on the tridiagonal matrix `(d, e)`; `q` collects the rotations.
fn implicit_ql(n: usize, d: &mut [f64], e: &mut [f64], q: &mut [f64]) -> Result<()> {
    let norm = d.iter().chain(e.iter()).fold(0.0f64, |m, x| m.max(x.abs()));
    let floor = f64::EPSILON * f64::EPSILON * norm;
    for l in 0..n {
        for sweep in 0.. {
            // Deflate at the first negligible off-diagonal entry.
            let small = |m: usize| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs()) + floor;
            let m = (l..n - 1).find(|&m| small(m)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if sweep == MAX_SWEEPS {
                return Err(Error::Factorization { what: "eigendecomposition", pivot: l });
            }
            sweep_block(n, l, m, d, e, q);
        }
    }
    Ok(())
}

/// One implicit QL sweep on the unreduced block `l..=m`.
fn sweep_block(n: usize, l: usize, m: usize, d: &mut [f64], e: &mut [f64], q: &mut [f64]) {
    // Wilkinson's shift: the eigenvalue of the leading 2 × 2 block closest to d[l].
    let theta = (d[l + 1] - d[l]) / (2.0 * e[l]);
    let size = if theta.abs() < 1e150 { (theta * theta + 1.0).sqrt() } else { theta.abs() };
    let mut g = d[m] - d[l] + e[l] / (theta + size.copysign(theta));
    let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
    for i in (l..m).rev() {
        let f = s * e[i];
        let b = c * e[i];
        let r = length(f, g);
        e[i + 1] = r;
        if r == 0.0 {
            // The bulge vanished: the block splits here.
            d[i + 1] -= p;
            e[m] = 0.0;
            return;
        }
        (s, c) = (f / r, g / r);
        g = d[i + 1] - p;
        let h = (d[i] - g) * s + 2.0 * c * b;
        p = s * h;
        d[i + 1] = g + p;
        g = c * h - b;
        let (left, right) = q[i * n..(i + 2) * n].split_at_mut(n);
        for (x, y) in left.iter_mut().zip(right) {
            (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
        }
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0.0;
}

/// `√(x² + y²)`, by the plain formula where it is safe.
#[inline]
fn length(x: f64, y: f64) -> f64 {
    let s = x * x + y * y;
    if s > 1e-280 && s < 1e280 { s.sqrt() } else { x.hypot(y) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(n: usize, scale: f64, mut seed: u64) -> Vec<f64> {
        let mut a = vec![0.0; n * n];
        for j in 0..n {
            for i in 0..=j {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let x = ((seed >> 11) as f64 / (1u64 << 53) as f64 - 0.5) * scale;
                (a[i * n + j], a[j * n + i]) = (x, x);
            }
        }
        a
    }

    /// Largest of the relative residual `|AQ − Qw|` and the departure from orthogonality.
    fn defect(n: usize, a: &[f64], eigen: &SymmetricEigen) -> f64 {
        let norm = a.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
        let (q, w) = (eigen.vectors(), eigen.values());
        let mut worst = 0.0f64;
        for j in 0..n {
            for i in 0..n {
                let aq: f64 = (0..n).map(|k| a[k * n + i] / norm * q[j * n + k]).sum();
                let qq: f64 = (0..n).map(|k| q[i * n + k] * q[j * n + k]).sum();
                worst = worst.max((aq - w[j] / norm * q[j * n + i]).abs());
                worst = worst.max((qq - if i == j { 1.0 } else { 0.0 }).abs());
            }
        }
        assert!(w.windows(2).all(|w| w[0] <= w[1]), "ascending");
        worst
    }

    #[test]
    fn decomposition_of_random_matrices_reproduces_them_at_every_size_and_scale() {
        let mut eigen = SymmetricEigen::default();
        for n in (1..=40).chain([64, 100]) {
            for scale in [1.0, 1e-120, 1e120] {
                let a = matrix(n, scale, n as u64);
                eigen.factor(n, &a).unwrap();
                assert!(defect(n, &a, &eigen) < 4e-15 * (n as f64).max(4.0), "n = {n}, scale {scale}: {}", defect(n, &a, &eigen));
            }
        }
    }

    #[test]
    fn decomposition_of_special_matrices_reproduces_them() {
        let mut eigen = SymmetricEigen::default();
        for n in [2, 3, 5, 12, 30] {
            let ones = vec![1.0; n * n];
            let zero = vec![0.0; n * n];
            let identity: Vec<f64> = (0..n * n).map(|k| if k % (n + 1) == 0 { 1.0 } else { 0.0 }).collect();
            let graded: Vec<f64> = (0..n * n).map(|k| 10f64.powi(-2 * (k % n + k / n) as i32)).collect();
            for a in [ones, zero, identity, graded] {
                eigen.factor(n, &a).unwrap();
                assert!(defect(n, &a, &eigen) < 1e-14 * n as f64);
            }
        }
        eigen.factor(3, &[2.0, -1.0, 0.0, -1.0, 2.0, -1.0, 0.0, -1.0, 2.0]).unwrap();
        for (w, expected) in eigen.values().iter().zip([2.0 - 2f64.sqrt(), 2.0, 2.0 + 2f64.sqrt()]) {
            assert!((w - expected).abs() < 4e-15);
        }
    }

    #[test]
    fn non_finite_entries_and_wrong_lengths_are_errors() {
        let mut eigen = SymmetricEigen::default();
        assert!(matches!(eigen.factor(2, &[1.0, f64::NAN, f64::NAN, 1.0]), Err(Error::NonFinite { .. })));
        assert!(matches!(eigen.factor(2, &[1.0; 3]), Err(Error::Dimension { .. })));
    }
}
