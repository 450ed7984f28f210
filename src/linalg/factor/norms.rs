//! Norms and Gershgorin bounds of a symmetric matrix, for the brackets of shifted factorizations.

use crate::linalg::operator::SparseView;

/// Cheap size measures of a symmetric matrix `B`; all zero for `n = 0`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MatrixNorms {
    /// `‖B‖_F`.
    pub frobenius: f64,
    /// `‖B‖_∞`, the largest absolute row sum.
    pub infinity: f64,
    /// `min_i b_ii`.
    pub min_diagonal: f64,
    /// `max_i b_ii`.
    pub max_diagonal: f64,
    /// `min_i (b_ii − Σ_{j≠i} |b_ij|)`: no eigenvalue is below it.
    pub gershgorin_lower: f64,
    /// `max_i (b_ii + Σ_{j≠i} |b_ij|)`: no eigenvalue is above it.
    pub gershgorin_upper: f64,
    /// `max_ij |b_ij|`.
    pub max_abs: f64,
}

impl MatrixNorms {
    /// From rows given one by one as (diagonal entry, the other entries). Two passes, so that no square overflows.
    fn collect<'a, I: Iterator<Item = &'a f64>>(n: usize, max_abs: f64, row: impl Fn(usize) -> (f64, I)) -> Self {
        if n == 0 {
            return Self::default();
        }
        let mut norms = Self {
            min_diagonal: f64::INFINITY,
            max_diagonal: f64::NEG_INFINITY,
            gershgorin_lower: f64::INFINITY,
            gershgorin_upper: f64::NEG_INFINITY,
            max_abs,
            ..Self::default()
        };
        let unit = if max_abs > 0.0 { max_abs } else { 1.0 };
        let mut squares = 0.0;
        for i in 0..n {
            let (diagonal, others) = row(i);
            let mut radius = 0.0;
            squares += (diagonal / unit) * (diagonal / unit);
            for v in others {
                radius += v.abs();
                squares += (v / unit) * (v / unit);
            }
            norms.infinity = norms.infinity.max(diagonal.abs() + radius);
            norms.min_diagonal = norms.min_diagonal.min(diagonal);
            norms.max_diagonal = norms.max_diagonal.max(diagonal);
            norms.gershgorin_lower = norms.gershgorin_lower.min(diagonal - radius);
            norms.gershgorin_upper = norms.gershgorin_upper.max(diagonal + radius);
        }
        norms.frobenius = unit * squares.sqrt();
        norms
    }

    /// Of `n²` column-major entries.
    pub(super) fn dense(n: usize, a: &[f64]) -> Self {
        let max_abs = max_abs(a);
        Self::collect(n, max_abs, |i| {
            let column = &a[i * n..(i + 1) * n];
            (column[i], column[..i].iter().chain(&column[i + 1..]))
        })
    }

    /// Of a diagonal matrix.
    pub(super) fn diagonal(d: &[f64]) -> Self {
        Self::collect(d.len(), max_abs(d), |i| (d[i], [].iter()))
    }

    /// Of compressed columns with both triangles.
    pub(super) fn sparse(m: SparseView<'_>) -> Self {
        Self::collect(m.dim(), max_abs(m.values), |i| {
            let (rows, values) = m.column(i);
            let (low, high) = (rows.partition_point(|&r| r < i), rows.partition_point(|&r| r <= i));
            (values[low..high].iter().sum(), values[..low].iter().chain(&values[high..]))
        })
    }
}

fn max_abs(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}
