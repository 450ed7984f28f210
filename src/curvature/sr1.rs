//! Symmetric rank one: a quasi-Newton matrix that may be indefinite, for trust-region subproblems.
//!
//! Before the first pair `B = 0`; the first one starts from `yᵀy / yᵀs`, or `‖y‖ / ‖s‖` along negative curvature.
//! `B₊ = B + rrᵀ / rᵀs`, `r = y − Bs`; skipped if `|rᵀs| < skip ‖r‖‖s‖` (Nocedal & Wright 2006, eqs. 6.24, 6.26).

use super::Curvature;
use crate::error::Result;
use crate::linalg::operator::ScaledIdentity;
use crate::linalg::vector::{axpy, dot, norm};
use crate::linalg::{Operator, SymmetricOperator};
use crate::problem::{At, Objective};

/// Dense SR1.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sr1 {
    /// Relative denominator below which a pair is skipped. Default 1e-8.
    pub skip: f64,
    matrix: Vec<f64>,
    work: Vec<f64>,
}

impl Default for Sr1 {
    fn default() -> Self {
        Self { skip: 1e-8, matrix: Vec::new(), work: Vec::new() }
    }
}

impl<O: Objective> Curvature<O> for Sr1 {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let n = at.dim();
        if self.matrix.len() != n * n {
            return Ok(Box::new(ScaledIdentity { n, c: 0.0 }));
        }
        Ok(Box::new(View { n, entries: &self.matrix }))
    }
    fn begin(&mut self) {
        self.matrix.clear();
    }
    fn accepted(&mut self, step: &[f64], change: &[f64]) {
        self.update(step, change);
    }
}

impl Sr1 {
    /// Learns one pair: `s` the step, `y` the change of the gradient.
    pub fn update(&mut self, s: &[f64], y: &[f64]) {
        let n = s.len();
        if self.matrix.len() != n * n {
            let (ys, yy) = (dot(y, s), dot(y, y));
            // Along negative curvature its magnitude: a number in the units of f and x.
            let scale = if ys > 0.0 { yy / ys } else { norm(y) / norm(s) };
            self.matrix = vec![0.0; n * n];
            (0..n).for_each(|i| self.matrix[i * (n + 1)] = scale);
        }
        self.work.resize(n, 0.0);
        let r = &mut self.work;
        r.iter_mut().zip(self.matrix.chunks_exact(n)).zip(y).for_each(|((r, row), y)| *r = y - dot(row, s));
        let rs = dot(r, s);
        if !(rs.abs() >= self.skip * norm(r) * norm(s)) || rs == 0.0 {
            return;
        }
        for (j, column) in self.matrix.chunks_exact_mut(n).enumerate() {
            axpy(r[j] / rs, r, column);
        }
    }
}

/// A dense symmetric matrix borrowed from a curvature.
struct View<'a> {
    n: usize,
    entries: &'a [f64],
}

impl SymmetricOperator for View<'_> {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(self.entries.chunks_exact(self.n)).for_each(|(o, row)| *o = dot(row, v));
        Ok(())
    }
    fn form(&self) -> crate::linalg::Form<'_> {
        crate::linalg::Form::Dense(faer::MatRef::from_column_major_slice(self.entries, self.n, self.n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr1_after_n_independent_steps_is_the_hessian_even_if_indefinite() {
        let a = [[2.0, 1.0, 0.0], [1.0, -3.0, 0.5], [0.0, 0.5, 1.0]];
        let times = |v: &[f64; 3]| -> Vec<f64> { a.iter().map(|r| dot(r, v)).collect() };
        let mut sr1 = Sr1::default();
        for s in [[1.0, 0.2, 0.0], [0.0, 1.0, 0.3], [0.4, 0.0, 1.0], [1.0, 1.0, 1.0]] {
            sr1.update(&s, &times(&s));
        }
        for i in 0..3 {
            for j in 0..3 {
                assert!((sr1.matrix[3 * j + i] - a[i][j]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn sr1_skips_exactly_below_its_relative_denominator() {
        // r = y − s = (t, √(1 − t²)): rᵀs = t ‖r‖‖s‖.
        for (t, learns) in [(0.11, true), (-0.11, true), (0.09, false), (-0.09, false)] {
            let mut sr1 = Sr1 { skip: 0.1, ..Sr1::default() };
            sr1.update(&[1.0, 0.0], &[1.0, 0.0]);
            let before = sr1.matrix.clone();
            sr1.update(&[1.0, 0.0], &[1.0 + t, f64::sqrt(1.0 - t * t)]);
            assert_eq!(sr1.matrix != before, learns, "{t}");
        }
        assert_eq!(Sr1::default().skip, 1e-8);
    }

    #[test]
    fn sr1_first_pair_sets_the_scale_also_along_negative_curvature() {
        for c in [1.0, 1e-200, 1e200] {
            let mut sr1 = Sr1::default();
            sr1.update(&[2.0, 0.0], &[-6.0 * c, 0.0]);
            // B₀ = 3c, then exact along s.
            for (entry, wanted) in sr1.matrix.iter().zip([-3.0, 0.0, 0.0, 3.0]) {
                assert!((entry / c - wanted).abs() < 1e-14, "{entry:e}");
            }
        }
    }

    #[test]
    fn sr1_with_vanishing_denominator_skips() {
        let mut sr1 = Sr1::default();
        sr1.update(&[1.0, 0.0], &[1.0, 0.0]);
        let before = sr1.matrix.clone();
        // r = y − s is orthogonal to s.
        sr1.update(&[1.0, 0.0], &[1.0, 1.0]);
        assert_eq!(before, sr1.matrix);
    }
}
