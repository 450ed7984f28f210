//! Columns of a design that are combinations of columns before them: coefficients that no data could tell apart.
//!
//! Gram–Schmidt, each vector orthogonalized twice (Giraud, Langou & Rozložník 2005), in the order of the columns, so that it
//! is always the later column that is named.

use crate::linalg::vector::{axpy, dot, norm, scale};
use crate::problem::glm::GlmData;

/// A column that depends on the ones before it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Alias {
    /// The column.
    pub column: usize,
    /// The combination that it equals, as column and factor; empty for a column of zeros.
    pub combination: Vec<(usize, f64)>,
}

/// An orthonormal basis that grows by one vector at a time.
#[derive(Default)]
pub(super) struct Basis {
    /// The basis.
    pub vectors: Vec<Vec<f64>>,
    /// Column `k` of the triangle: the parts of the `k`-th vector taken in.
    triangle: Vec<Vec<f64>>,
}

impl Basis {
    /// Takes `v` in if more than `tolerance` of it lies outside of the span; else returns its coefficients on the vectors
    /// that were taken in.
    pub fn take(&mut self, v: &[f64], tolerance: f64) -> Option<Vec<f64>> {
        let (mut rest, mut parts) = (v.to_vec(), vec![0.0; self.vectors.len()]);
        for _ in 0..2 {
            for (q, part) in self.vectors.iter().zip(&mut parts) {
                let along = dot(q, &rest);
                axpy(-along, q, &mut rest);
                *part += along;
            }
        }
        let (length, whole) = (norm(&rest), norm(v));
        if length > tolerance * whole {
            scale(1.0 / length, &mut rest);
            self.vectors.push(rest);
            parts.push(length);
            self.triangle.push(parts);
            return None;
        }
        for k in (0..parts.len()).rev() {
            parts[k] /= self.triangle[k][k];
            let (known, head) = (parts[k], &self.triangle[k][..k]);
            axpy(-known, head, &mut parts[..k]);
        }
        Some(parts)
    }
}

/// The columns that can be told apart, and the others with what they equal. Rows without weight do not count.
pub(super) fn find(data: &GlmData, tolerance: f64) -> (Vec<usize>, Vec<Alias>) {
    let rows: Vec<usize> = (0..data.n_rows()).filter(|&i| data.total_weight(i) > 0.0).collect();
    let (mut basis, mut kept, mut aliases) = (Basis::default(), Vec::new(), Vec::new());
    let mut lengths = Vec::new();
    for j in 0..data.n_columns {
        let mut column: Vec<f64> = rows.iter().map(|&i| data.column(j)[i]).collect();
        let length = norm(&column);
        if length > 0.0 {
            scale(1.0 / length, &mut column);
        }
        match basis.take(&column, tolerance) {
            None => {
                kept.push(j);
                lengths.push(length);
            }
            Some(parts) => {
                // A factor that moves the column by no more than the tolerance is none.
                let part = |(k, c): (usize, &f64)| (c.abs() > tolerance).then(|| (kept[k], c * length / lengths[k]));
                aliases.push(Alias { column: j, combination: parts.iter().enumerate().filter_map(part).collect() });
            }
        }
    }
    (kept, aliases)
}

/// Whether the constant is a combination of the columns.
pub(super) fn spans_constant(data: &GlmData, kept: &[usize]) -> bool {
    let rows: Vec<usize> = (0..data.n_rows()).filter(|&i| data.total_weight(i) > 0.0).collect();
    let mut basis = Basis::default();
    for &j in kept {
        let column: Vec<f64> = rows.iter().map(|&i| data.column(j)[i]).collect();
        basis.take(&column, 0.0);
    }
    basis.take(&vec![1.0; rows.len()], 1e-8).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Family, Glm, Link};

    fn data(columns: &[Vec<f64>]) -> GlmData {
        let n = columns[0].len();
        Glm::new(Family::Gaussian, Link::Identity, columns.len(), columns.concat(), vec![0.0; n]).unwrap().data().clone()
    }

    #[test]
    fn dependent_columns_are_named_with_their_combination() {
        let x: Vec<f64> = (0..7).map(|i| (i as f64 * 1.3).sin() * 1e3).collect();
        let z: Vec<f64> = (0..7).map(|i| (i as f64).powi(2)).collect();
        let both = x.iter().zip(&z).map(|(x, z)| 2.0 * x - 0.5 * z).collect();
        let d = data(&[vec![1.0; 7], x, z, both, vec![0.0; 7]]);
        let (kept, aliases) = find(&d, 1e-11);
        assert_eq!((kept.as_slice(), aliases.len()), (&[0, 1, 2][..], 2));
        let [(a, two), (b, half)] = aliases[0].combination[..] else { panic!("{aliases:?}") };
        assert_eq!((aliases[0].column, a, b), (3, 1, 2));
        assert!((two - 2.0).abs() < 1e-12 && (half + 0.5).abs() < 1e-12);
        assert!(aliases[1].column == 4 && aliases[1].combination.is_empty());
        assert!(spans_constant(&d, &kept) && !spans_constant(&d, &[1, 2]));
    }
}
