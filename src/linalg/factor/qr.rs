//! Column-pivoted QR of a scaled Jacobian, `J D⁻¹ P = Q R`, and damped least squares by it, refactored cheaply for many
//! dampings.
//!
//! `min ‖J p + r‖² + μ ‖D p‖²` becomes `min ‖R z + Qᵀr‖² + μ ‖z‖²` with `z = Pᵀ D p`: rotations bring the rows `√μ I` into
//! `R`, so that `JᵀJ` and its squared condition number never appear.
//!
//! # Reference
//! Businger & Golub (1965), Numer. Math. 7; Moré (1978), *The Levenberg–Marquardt algorithm*, §3.

use crate::error::{Error, Result};
use crate::linalg::operator::Gram;
use crate::linalg::vector::{all_finite, axpy, dot, hypot, norm};

/// QR factorization with column pivoting of `J D⁻¹`, with `Qᵀr`; keeps its buffers between calls.
///
/// # Example
/// ```
/// use curvkit::linalg::{factor::PivotedQr, operator::Gram};
/// let (j, r) = ([1.0, 1.0, 0.0, 1.0], [1.0, 3.0]); // columns (1, 1) and (0, 1)
/// let mut qr = PivotedQr::default();
/// qr.factor(Gram::new(2, &j, &r)?, &[1.0, 1.0])?;
/// qr.solve_damped(0.0);
/// let mut p = [0.0; 2];
/// qr.step(&mut p);
/// assert!((p[0] + 1.0).abs() < 1e-14 && (p[1] + 2.0).abs() < 1e-14); // J p = −r
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PivotedQr {
    n: usize,
    m: usize,
    rank: usize,
    /// Working copy of `J D⁻¹`, by columns.
    columns: Vec<f64>,
    /// `R`, upper triangular, by rows.
    r: Vec<f64>,
    /// `Qᵀr`, followed by zeros up to `n` entries.
    rotated: Vec<f64>,
    /// Column of `J` at each position.
    order: Vec<usize>,
    scale: Vec<f64>,
    /// The triangle of `[R; √μ I]` by rows.
    s: Vec<f64>,
    z: Vec<f64>,
    /// Lengths of the remaining columns; the row that is rotated in; the solution with the transposed triangle.
    work: Vec<f64>,
    /// Damping, size and length of the solution in `z`, if it is still that of the right-hand side.
    solved: Option<(f64, usize, f64)>,
}

impl PivotedQr {
    /// Factors; `scale` are the positive entries of `D`.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if an entry of `J` or `r` is not finite, [`Error::Dimension`] for a scale of another length.
    pub fn factor(&mut self, gram: Gram<'_>, scale: &[f64]) -> Result<()> {
        let (n, m) = (gram.n, gram.residual.len());
        Error::check_len("scale", n, scale.len())?;
        if !all_finite(gram.jacobian) {
            Error::check_finite("Jacobian", gram.jacobian)?;
        }
        Error::check_finite("residual", gram.residual)?;
        self.solved = None;
        if (self.n, self.m) != (n, m) {
            self.resize(n, m);
        }
        self.scale.copy_from_slice(scale);
        self.order.clear();
        self.order.extend(0..n);
        if m > 0 {
            for (j, d) in scale.iter().enumerate() {
                let column = &mut self.columns[j * m..(j + 1) * m];
                column.iter_mut().zip(gram.column(j)).for_each(|(v, a)| *v = a / d);
                self.work[j] = short_norm(column);
            }
            self.triangularize(m, gram.residual);
        }
        let tolerance = n.max(m) as f64 * f64::EPSILON * self.r.first().map_or(0.0, |v| v.abs());
        self.rank = (0..n.min(m)).take_while(|&k| self.r[k * n + k].abs() > tolerance).count();
        Ok(())
    }

    /// Rows of `R` beyond `m` stay zero from here on.
    fn resize(&mut self, n: usize, m: usize) {
        (self.n, self.m) = (n, m);
        (self.z, self.work, self.scale, self.rotated) = (vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n.max(m)]);
        (self.r, self.s, self.columns) = (vec![0.0; n * n], vec![0.0; n * n], vec![0.0; n * m]);
    }

    /// Householder reflections, one column at a time, the longest remaining first.
    fn triangularize(&mut self, m: usize, residual: &[f64]) {
        let n = self.n;
        self.rotated[..m].copy_from_slice(residual);
        for k in 0..n.min(m) {
            let longest = (k..n).fold(k, |best, j| if self.work[j] > self.work[best] { j } else { best });
            if longest != k {
                self.swap_columns(k, longest, m);
            }
            let (head, tail) = self.columns.split_at_mut((k + 1) * m);
            let v = &mut head[k * m + k..];
            let length = self.work[k];
            let diagonal = if v[0] > 0.0 { -length } else { length };
            self.r[k * n + k] = diagonal;
            if length > 0.0 {
                // v ← v/‖v‖ + e₁ up to sign; H = I − v vᵀ / v₁.
                v.iter_mut().for_each(|v| *v /= -diagonal);
                v[0] += 1.0;
                let inverse = 1.0 / v[0];
                reflect(v, inverse, &mut self.rotated[k..m]);
                for j in k + 1..n {
                    let column = &mut tail[(j - k - 1) * m + k..(j - k) * m];
                    reflect(v, inverse, column);
                    self.r[k * n + j] = column[0];
                    // Recomputed, not updated: updates cancel, and columns are short.
                    self.work[j] = short_norm(&column[1..]);
                }
            } else {
                self.r[k * n + k + 1..(k + 1) * n].fill(0.0);
            }
        }
    }

    #[inline(never)]
    fn swap_columns(&mut self, a: usize, b: usize, m: usize) {
        let (head, tail) = self.columns.split_at_mut(b * m);
        head[a * m..(a + 1) * m].swap_with_slice(&mut tail[..m]);
        self.order.swap(a, b);
        self.work.swap(a, b);
        for i in 0..a {
            self.r.swap(i * self.n + a, i * self.n + b);
        }
    }

    /// Numerical rank of `J D⁻¹`.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Columns of `J` in the order of elimination: those behind [`rank`](Self::rank) depend on the ones before.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Entry `(i, j)`, `i ≤ j`, of `R`.
    pub fn entry(&self, i: usize, j: usize) -> f64 {
        self.r[i * self.n + j]
    }

    /// `‖D⁻¹Jᵀr‖`, the length of the scaled gradient.
    pub fn gradient_norm(&self) -> f64 {
        let n = self.n;
        let g = |j: usize| (0..=j).map(|i| self.r[i * n + j] * self.rotated[i]).sum::<f64>();
        (0..n).fold(0.0f64, |length, j| hypot(length, g(j)))
    }

    /// Replaces the right-hand side: `Qᵀr` of another `r` (`m` values, as many as the factored matrix has rows) for the
    /// solves to come.
    pub fn set_residual(&mut self, residual: &[f64]) {
        let (n, m) = (self.n, residual.len());
        self.solved = None;
        self.rotated[..m].copy_from_slice(residual);
        for k in 0..n.min(m) {
            let v = &self.columns[k * m + k..(k + 1) * m];
            if v[0] != 0.0 {
                let rest = &mut self.rotated[k..m];
                axpy(-dot(v, rest) / v[0], v, rest);
            }
        }
    }

    /// Solves for the damping `μ ≥ 0`; the shortest basic solution where `μ = 0` and the rank is deficient. Returns
    /// `‖D p‖`.
    pub fn solve_damped(&mut self, damping: f64) -> f64 {
        let size = if damping > 0.0 { self.n } else { self.rank };
        self.solve(damping, size)
    }

    /// Solves without damping with every column whose pivot is not exactly zero, however small: what a caller wants that
    /// bounds the length itself. Returns `‖D p‖`, and whether that were all columns.
    pub fn solve_undamped(&mut self) -> (f64, bool) {
        let n = self.n;
        let size = (0..n).take_while(|&k| self.r[k * n + k] != 0.0).count();
        (self.solve(0.0, size), size == n)
    }

    fn solve(&mut self, damping: f64, size: usize) -> f64 {
        let n = self.n;
        if let Some((.., length)) = self.solved.filter(|solved| (solved.0, solved.1) == (damping, size)) {
            return length;
        }
        self.z.copy_from_slice(&self.rotated[..n]);
        if damping > 0.0 {
            self.s.copy_from_slice(&self.r);
            self.rotate_in(damping.sqrt());
        }
        self.z[size..].fill(0.0);
        let triangle = if damping > 0.0 { &self.s } else { &self.r };
        for i in (0..size).rev() {
            let row = &triangle[i * n..i * n + size];
            let known: f64 = row[i + 1..].iter().zip(&self.z[i + 1..size]).map(|(a, z)| a * z).sum();
            // The right-hand side is −Qᵀr; solved entries are already negated.
            self.z[i] = -(self.z[i] + known) / row[i];
        }
        let length = norm(&self.z);
        self.solved = Some((damping, size, length));
        length
    }

    /// Brings the rows `root·I` into the triangle by rotations.
    fn rotate_in(&mut self, root: f64) {
        let n = self.n;
        for j in 0..n {
            self.work[j..].fill(0.0);
            self.work[j] = root;
            let mut rhs = 0.0;
            for k in j..n {
                let e = self.work[k];
                if e == 0.0 {
                    continue;
                }
                let a = self.s[k * n + k];
                let h = hypot(a, e);
                let (c, s) = (a / h, e / h);
                for (x, y) in self.s[k * n + k..(k + 1) * n].iter_mut().zip(&mut self.work[k..]) {
                    (*x, *y) = (c * *x + s * *y, c * *y - s * *x);
                }
                (self.z[k], rhs) = (c * self.z[k] + s * rhs, c * rhs - s * self.z[k]);
            }
        }
    }

    /// `‖S⁻ᵀ z‖²/‖z‖²` with the triangle and solution of the last [`solve_damped`](Self::solve_damped): the derivative of
    /// `‖z‖` by the damping is `−‖z‖` times this.
    pub fn rate(&mut self) -> f64 {
        let n = self.n;
        let length = norm(&self.z);
        if length == 0.0 {
            return 0.0;
        }
        let damped = self.solved.is_some_and(|(damping, ..)| damping > 0.0);
        let triangle = if damped { &self.s } else { &self.r };
        for i in 0..n {
            let known: f64 = (0..i).map(|k| triangle[k * n + i] * self.work[k]).sum();
            self.work[i] = (self.z[i] / length - known) / triangle[i * n + i];
        }
        dot(&self.work, &self.work)
    }

    /// `‖J p‖²` of the last solution.
    pub fn image(&self) -> f64 {
        let n = self.n;
        (0..n).map(|i| dot(&self.r[i * n + i..(i + 1) * n], &self.z[i..]).powi(2)).sum()
    }

    /// Writes the last solution `p`.
    pub fn step(&self, p: &mut [f64]) {
        for (&j, z) in self.order.iter().zip(&self.z) {
            p[j] = z / self.scale[j];
        }
    }
}

/// `x ← x − v (vᵀx)/v₁`. Out of line, like [`short_norm`]: unrolled into the loops around them, columns of a few entries cost more.
#[inline(never)]
fn reflect(v: &[f64], inverse: f64, x: &mut [f64]) {
    axpy(-dot(v, x) * inverse, v, x);
}

#[inline(never)]
fn short_norm(x: &[f64]) -> f64 {
    norm(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{DMatrix, DVector};

    fn case(m: usize, n: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
        let wave = |k: u64| ((k * 7919 + seed * 104_729) as f64 * 0.618_033_988_7).sin() * 43758.5453 % 1.0;
        ((0..m * n).map(|k| wave(k as u64) - 0.2).collect(), (0..m).map(|k| wave(k as u64 + 1000) + 0.1).collect())
    }

    #[test]
    fn damped_solution_satisfies_the_normal_equations_in_both_scalings() {
        for (m, n) in [(1, 1), (2, 2), (5, 3), (3, 5), (40, 9), (100, 20)] {
            for damping in [1e-8, 1e-3, 1.0, 1e5] {
                let (j, r) = case(m, n, (m + n) as u64);
                let d: Vec<f64> = (0..n).map(|i| 10f64.powi(i as i32 % 7 - 3)).collect();
                let mut qr = PivotedQr::default();
                qr.factor(Gram::new(n, &j, &r).unwrap(), &d).unwrap();
                let length = qr.solve_damped(damping);
                let mut p = vec![0.0; n];
                qr.step(&mut p);
                let (jm, p) = (DMatrix::from_column_slice(m, n, &j), DVector::from_vec(p));
                let dp = DVector::from_iterator(n, p.iter().zip(&d).map(|(p, d)| p * d));
                let ddp = DVector::from_iterator(n, dp.iter().zip(&d).map(|(p, d)| p * d * damping));
                let residual = jm.transpose() * (&jm * &p + DVector::from_vec(r.clone())) + &ddp;
                // Entry by entry: each row in the scale of its own column.
                for i in 0..n {
                    let scale = jm.column(i).norm() * DVector::from_vec(r.clone()).norm() + ddp[i].abs();
                    assert!(residual[i].abs() <= 1e-12 * scale, "{m} {n} {damping}: {}", residual[i]);
                }
                assert!((length - dp.norm()).abs() <= 1e-13 * length);
                assert!((qr.image() - (&jm * &p).norm_squared()).abs() <= 1e-12 * qr.image().max(1e-30));
            }
        }
    }

    #[test]
    fn rate_is_the_derivative_of_the_length() {
        let (j, r) = case(30, 6, 3);
        let mut qr = PivotedQr::default();
        qr.factor(Gram::new(6, &j, &r).unwrap(), &[1.0; 6]).unwrap();
        let (a, h) = (0.7, 1e-5);
        let slope = (qr.solve_damped(a + h) - qr.solve_damped(a - h)) / (2.0 * h);
        let length = qr.solve_damped(a);
        assert!((slope + length * qr.rate()).abs() <= 1e-9 * length, "{slope}");
    }

    #[test]
    fn rank_deficient_columns_come_last_and_the_residual_is_still_least() {
        let (j, r) = case(10, 3, 5);
        let (a, b) = (&j[..10], &j[10..20]);
        let third: Vec<f64> = a.iter().zip(b).map(|(a, b)| 2.0 * a - b).collect();
        let full = [a, b, &third].concat();
        let mut qr = PivotedQr::default();
        qr.factor(Gram::new(3, &full, &r).unwrap(), &[1.0; 3]).unwrap();
        assert_eq!(qr.rank(), 2);
        qr.solve_damped(0.0);
        let mut p = [0.0; 3];
        qr.step(&mut p);
        let jm = DMatrix::from_column_slice(10, 3, &full);
        let left = jm.transpose() * (&jm * DVector::from_row_slice(&p) + DVector::from_vec(r));
        assert!(left.norm() < 1e-12, "{left}");
    }

    #[test]
    fn non_finite_entries_are_errors() {
        let mut qr = PivotedQr::default();
        let bad = Gram::new(1, &[f64::NAN], &[1.0]).unwrap();
        assert!(matches!(qr.factor(bad, &[1.0]), Err(Error::NonFinite { what: "Jacobian", .. })));
        let bad = Gram::new(1, &[1.0], &[f64::INFINITY]).unwrap();
        assert!(matches!(qr.factor(bad, &[1.0]), Err(Error::NonFinite { what: "residual", .. })));
    }
}
