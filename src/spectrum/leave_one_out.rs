//! Orthonormal bases of sketched ranges, and of the ranges of all but one column, as XTrace and XDiag need them.
//!
//! With `BΩ = QR` the range of all columns but the `i`-th has the projector `Q (I − sᵢsᵢᵀ) Qᵀ`, where `sᵢ` is the unit vector
//! orthogonal to all columns of `R` but the `i`-th: the `i`-th column of `R⁻ᵀ`, normalised (Epperly, Tropp & Webber
//! 2024). Where `BΩ` has lower rank than columns, `R` has fewer rows; then `sᵢ` is the `i`-th column of `(R⁺)ᵀ` if
//! column `i` is indispensable (its leverage `rᵢᵀ(RRᵀ)⁻¹rᵢ` is one), and there is none if the others span the same range.

use super::{normalize, probes, products};
use crate::error::Result;
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::{axpy, dot, norm};

/// A column that loses all but this part of the longest column's length adds nothing to the range.
const DEPENDENT: f64 = 1e3 * f64::EPSILON;
/// A leverage this near to one makes a column indispensable.
const INDISPENSABLE: f64 = 1e-10;

/// `Y = QR` with `Q` of `n × rank`, orthonormal, and `R` of `rank × k`.
pub(super) struct Range {
    n: usize,
    q: Vec<f64>,
    /// Columns of `rank` entries each.
    r: Vec<f64>,
}

impl Range {
    /// Of columns of length `n`.
    pub fn of(n: usize, columns: &[f64]) -> Self {
        let longest = columns.chunks_exact(n).map(norm).fold(0.0, f64::max);
        let (mut q, mut coefficients) = (Vec::with_capacity(columns.len()), Vec::new());
        let mut v = vec![0.0; n];
        for column in columns.chunks_exact(n) {
            v.copy_from_slice(column);
            let mut along = project_out(n, &q, &mut v);
            let length = norm(&v);
            if length > DEPENDENT * longest {
                normalize(&mut v);
                q.extend_from_slice(&v);
                along.push(length);
            }
            coefficients.push(along);
        }
        let rank = q.len() / n;
        coefficients.iter_mut().for_each(|c: &mut Vec<f64>| c.resize(rank, 0.0));
        Self { n, q, r: coefficients.concat() }
    }

    /// `Q`, columns stacked.
    pub fn basis(&self) -> &[f64] {
        &self.q
    }

    /// Columns of `Q`.
    pub fn rank(&self) -> usize {
        self.q.len() / self.n
    }

    /// Column `i` of `R`.
    pub fn coordinates(&self, i: usize) -> &[f64] {
        let rank = self.rank();
        &self.r[i * rank..(i + 1) * rank]
    }

    /// `v ← (I − QQᵀ) v`.
    pub fn project_out(&self, v: &mut [f64]) {
        project_out(self.n, &self.q, v);
    }

    /// `s₁ … s_k`; empty where there is none.
    fn directions(&self) -> Vec<Vec<f64>> {
        let rank = self.rank();
        if rank == 0 {
            return Vec::new();
        }
        let k = self.r.len() / rank;
        if rank == k { (0..k).map(|i| self.dual(i)).collect() } else { self.indispensable(k) }
    }

    /// The `i`-th column of `R⁻ᵀ` of a square `R`, normalised.
    fn dual(&self, i: usize) -> Vec<f64> {
        let k = self.rank();
        let column = |j: usize| &self.r[j * k..(j + 1) * k];
        let mut x = vec![0.0; k];
        // Any multiple will do: from 1 at the pivot, rescaled on the way where it grows.
        x[i] = 1.0;
        for j in i + 1..k {
            x[j] = -dot(&column(j)[i..j], &x[i..j]) / column(j)[j];
            if x[j].abs() > 1e100 {
                let size = x[j].abs();
                x.iter_mut().for_each(|x| *x /= size);
            }
        }
        normalize(&mut x);
        x
    }

    /// Directions of a wide `R`: `Rᵀ = U T` gives the leverages `‖uᵢ‖²` and `(RRᵀ)⁻¹rᵢ = T⁻¹uᵢ`.
    fn indispensable(&self, k: usize) -> Vec<Vec<f64>> {
        let rank = self.rank();
        // Rows of R of very different lengths (a decaying spectrum) are scaled first; s of the scaled rows is scaled back.
        let row = |i: usize| self.r.iter().skip(i).step_by(rank).copied().collect::<Vec<f64>>();
        let mut lengths = Vec::new();
        let rows: Vec<f64> = (0..rank)
            .flat_map(|i| {
                let mut row = row(i);
                lengths.push(normalize(&mut row));
                row
            })
            .collect();
        let transposed = Range::of(k, &rows);
        if transposed.rank() < rank {
            return vec![Vec::new(); k];
        }
        let direction = |i: usize| {
            let mut s: Vec<f64> = transposed.q.iter().skip(i).step_by(k).copied().collect();
            if dot(&s, &s) < 1.0 - INDISPENSABLE {
                return Vec::new();
            }
            for j in (0..rank).rev() {
                let column = &transposed.r[j * rank..(j + 1) * rank];
                s[j] /= column[j];
                let sj = s[j];
                axpy(-sj, &column[..j], &mut s[..j]);
            }
            s.iter_mut().zip(&lengths).for_each(|(s, length)| *s /= length);
            normalize(&mut s);
            s
        };
        (0..k).map(direction).collect()
    }
}

/// `v ← (I − QQᵀ) v`, twice for orthogonality to rounding; the coefficients `Qᵀv`.
fn project_out(n: usize, q: &[f64], v: &mut [f64]) -> Vec<f64> {
    let mut along = vec![0.0; q.len() / n];
    for _ in 0..2 {
        for (column, sum) in q.chunks_exact(n).zip(&mut along) {
            let c = dot(column, v);
            axpy(-c, column, v);
            *sum += c;
        }
    }
    along
}

/// Probes, their products, the range of these, and its image.
pub(super) struct LeaveOneOut {
    n: usize,
    /// Number of probes.
    pub k: usize,
    /// `Ω`.
    pub omega: Vec<f64>,
    /// `BΩ`.
    sketch: Vec<f64>,
    /// `BΩ = QR`.
    pub range: Range,
    /// `BQ`.
    pub image: Vec<f64>,
    directions: Vec<Vec<f64>>,
}

impl LeaveOneOut {
    /// Makes `k + rank` products.
    pub fn new(operator: &dyn SymmetricOperator, k: usize, fill: impl Fn(usize, &mut [f64])) -> Result<Self> {
        let n = operator.dim();
        let omega = probes(n, k, fill);
        let sketch = products(operator, &omega)?;
        let range = Range::of(n, &sketch);
        let image = products(operator, range.basis())?;
        let directions = range.directions();
        Ok(Self { n, k, omega, sketch, range, image, directions })
    }

    /// Probe `i`.
    pub fn probe(&self, i: usize) -> &[f64] {
        &self.omega[i * self.n..(i + 1) * self.n]
    }

    /// `sᵢ`, if the range of the others is smaller.
    pub fn direction(&self, i: usize) -> Option<&[f64]> {
        self.directions.get(i).filter(|s| !s.is_empty()).map(Vec::as_slice)
    }

    /// What probe `j` adds to the range of all but `i` and `j`: `sⱼ` without its part along `sᵢ`, as the weights of `sⱼ` and
    /// `sᵢ` in it. `None` if the others span the same range.
    pub fn beyond(&self, i: usize, j: usize) -> Option<(f64, f64)> {
        let sj = self.direction(j)?;
        let Some(si) = self.direction(i) else {
            return Some((1.0, 0.0));
        };
        let mut u = sj.to_vec();
        let mut along = 0.0;
        for _ in 0..2 {
            let c = dot(si, &u);
            axpy(-c, si, &mut u);
            along += c;
        }
        let length = norm(&u);
        (length > 0.0).then(|| (1.0 / length, -along / length))
    }

    /// `Qᵀv` without its part along `sᵢ`.
    fn coefficients(&self, i: usize, v: &[f64]) -> Vec<f64> {
        let mut c: Vec<f64> = self.range.q.chunks_exact(self.n).map(|q| dot(q, v)).collect();
        if let Some(s) = self.direction(i) {
            let along = dot(s, &c);
            axpy(-along, s, &mut c);
        }
        c
    }

    /// `(I − QᵢQᵢᵀ) ωᵢ` and `B` times it.
    pub fn outside(&self, i: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut v, mut bv) = (self.probe(i).to_vec(), self.sketch[i * self.n..(i + 1) * self.n].to_vec());
        for _ in 0..2 {
            let c = self.coefficients(i, &v);
            subtract(&self.range.q, &c, &mut v);
            subtract(&self.image, &c, &mut bv);
        }
        (v, bv)
    }

    /// `(I − QᵢQᵢᵀ) B ωᵢ`.
    pub fn sketch_outside(&self, i: usize) -> Vec<f64> {
        let mut v = self.sketch[i * self.n..(i + 1) * self.n].to_vec();
        let c = self.coefficients(i, &v);
        subtract(&self.range.q, &c, &mut v);
        v
    }
}

/// `v ← v − Σ cⱼ columnⱼ`.
fn subtract(columns: &[f64], c: &[f64], v: &mut [f64]) {
    let n = v.len();
    columns.chunks_exact(n).zip(c).for_each(|(column, c)| axpy(-c, column, v));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns `a, b, a + b, c` span three dimensions; only `c` cannot be spared.
    #[test]
    fn directions_of_dependent_columns_exist_for_indispensable_ones_only() {
        let a = [1.0, 2.0, 0.0, 1.0, 0.0];
        let b = [0.0, 1.0, 1.0, 0.0, 3.0];
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let c = [2.0, 0.0, 1.0, 0.0, 0.0];
        let range = Range::of(5, &[&a[..], &b, &sum, &c].concat());
        assert_eq!(range.rank(), 3);
        let s = range.directions();
        assert!(s[0].is_empty() && s[1].is_empty() && s[2].is_empty());
        for (j, column) in range.r.chunks_exact(3).enumerate() {
            assert_eq!(dot(&s[3], column).abs() > 1e-12, j == 3);
        }
        assert!((norm(&s[3]) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn range_of_columns_of_any_length_is_orthonormal_and_factors_them() {
        for size in [1e-250, 1.0, 1e250] {
            let columns: Vec<f64> = (0..40).map(|i| ((i * i) as f64 * 0.37).sin() * size).collect();
            let range = Range::of(10, &columns);
            assert_eq!(range.rank(), 4);
            for (i, a) in range.q.chunks_exact(10).enumerate() {
                for (j, b) in range.q.chunks_exact(10).enumerate() {
                    assert!((dot(a, b) - f64::from(u8::from(i == j))).abs() < 1e-15);
                }
            }
            for (column, r) in columns.chunks_exact(10).zip(range.r.chunks_exact(4)) {
                let mut rest = column.to_vec();
                subtract(&range.q, r, &mut rest);
                assert!(norm(&rest) <= 1e-15 * norm(column));
            }
        }
        assert_eq!(Range::of(3, &[0.0; 6]).rank(), 0);
        assert!(Range::of(3, &[0.0; 6]).directions().is_empty());
    }
}
