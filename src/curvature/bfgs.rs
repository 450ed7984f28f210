//! Dense BFGS: the matrix and its inverse, learned from accepted steps.
//!
//! With `s = x₊ − x`, `y = g₊ − g`, `ρ = 1/yᵀs`:
//! `B₊ = B − (Bs)(Bs)ᵀ/sᵀBs + ρ yyᵀ`, `H₊ = (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ ssᵀ`
//! (Nocedal & Wright 2006, eqs. 6.17 and 6.19). Before the first update `B = 0`: nothing is known, not even a scale, and
//! line searches go along `−g` with a length of their own. The first update starts from `yᵀy / yᵀs` (eq. 6.20).

use super::{Curvature, Order};
use crate::error::Result;
use crate::linalg::operator::ScaledIdentity;
use crate::linalg::vector::{axpy, dot, norm};
use crate::linalg::{Form, Operator, SymmetricOperator};
use crate::problem::{At, Objective};
use faer::MatRef;

/// Dense BFGS. A pair with `yᵀs ≤ skip ‖y‖‖s‖` is skipped, so the matrix stays positive definite.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Bfgs {
    /// Relative curvature below which a pair is skipped. Default 1e-10.
    pub skip: f64,
    matrix: Vec<f64>,
    inverse: Vec<f64>,
    work: Vec<f64>,
}

impl Default for Bfgs {
    fn default() -> Self {
        Self { skip: 1e-10, matrix: Vec::new(), inverse: Vec::new(), work: Vec::new() }
    }
}

/// `B` with its inverse, both borrowed from the curvature.
struct Pair<'a> {
    n: usize,
    matrix: &'a [f64],
    inverse: &'a [f64],
}

impl SymmetricOperator for Pair<'_> {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(self.matrix.chunks_exact(self.n)).for_each(|(o, row)| *o = dot(row, v));
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Dense(MatRef::from_column_major_slice(self.matrix, self.n, self.n))
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        // A shifted inverse is a new factorization: left to the subproblem, which has the entries.
        (damping == 0.0).then(|| Ok(Box::new(Pair { n: self.n, matrix: self.inverse, inverse: self.matrix }) as Operator<'_>))
    }
}

impl<O: Objective> Curvature<O> for Bfgs {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let n = at.dim();
        if self.matrix.len() != n * n {
            return Ok(Box::new(ScaledIdentity { n, c: 0.0 }));
        }
        Ok(Box::new(Pair { n, matrix: &self.matrix, inverse: &self.inverse }))
    }

    fn begin(&mut self) {
        self.matrix.clear();
        self.inverse.clear();
    }

    fn order(&self) -> Order {
        Order::QuasiNewton
    }

    fn accepted(&mut self, step: &[f64], change: &[f64]) {
        self.update(step, change);
    }
}

impl Bfgs {
    /// Entry `(i, j)` of the matrix, once a pair was learned.
    #[cfg(test)]
    pub(super) fn entry(&self, i: usize, j: usize) -> f64 {
        let n = self.work.len();
        self.matrix[j * n + i]
    }

    /// Learns one pair: `s` the step, `y` the change of the gradient.
    pub fn update(&mut self, s: &[f64], y: &[f64]) {
        let n = s.len();
        let ys = dot(y, s);
        if !(ys > self.skip * norm(y) * norm(s)) {
            return;
        }
        if self.matrix.len() != n * n {
            let scale = dot(y, y) / ys;
            self.matrix = vec![0.0; n * n];
            self.inverse = vec![0.0; n * n];
            for i in 0..n {
                self.matrix[i * (n + 1)] = scale;
                self.inverse[i * (n + 1)] = 1.0 / scale;
            }
        }
        self.work.resize(n, 0.0);
        let work = &mut self.work;
        work.iter_mut().zip(self.matrix.chunks_exact(n)).for_each(|(w, row)| *w = dot(row, s));
        let sbs = dot(s, work);
        for (j, column) in self.matrix.chunks_exact_mut(n).enumerate() {
            axpy(-work[j] / sbs, work, column);
            axpy(y[j] / ys, y, column);
        }
        // H₊ = H − ρ (Hy sᵀ + s (Hy)ᵀ) + ρ (1 + ρ yᵀHy) s sᵀ
        work.iter_mut().zip(self.inverse.chunks_exact(n)).for_each(|(w, row)| *w = dot(row, y));
        let factor = (1.0 + dot(y, work) / ys) / ys;
        for (j, column) in self.inverse.chunks_exact_mut(n).enumerate() {
            axpy(factor * s[j] - work[j] / ys, s, column);
            axpy(-s[j] / ys, work, column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfgs_after_n_conjugate_pairs_of_a_quadratic_is_its_hessian() {
        // A = tridiag(-1, 3, -1); steps along A-conjugate directions by Gram–Schmidt.
        let n = 6;
        let a = |v: &[f64]| -> Vec<f64> {
            (0..n).map(|i| 3.0 * v[i] - if i > 0 { v[i - 1] } else { 0.0 } - if i + 1 < n { v[i + 1] } else { 0.0 }).collect()
        };
        let mut bfgs = Bfgs::default();
        let mut directions: Vec<Vec<f64>> = Vec::new();
        for k in 0..n {
            let mut d: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == k)) + 0.1 * (i as f64 - k as f64).cos()).collect();
            for e in &directions {
                let ae = a(e);
                let c = dot(&d, &ae) / dot(e, &ae);
                axpy(-c, e, &mut d);
            }
            bfgs.update(&d, &a(&d));
            directions.push(d);
        }
        for k in 0..n {
            let mut unit = vec![0.0; n];
            unit[k] = 1.0;
            for (i, exact) in a(&unit).iter().enumerate() {
                assert!((bfgs.matrix[k * n + i] - exact).abs() < 1e-11);
            }
        }
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n).map(|k| bfgs.matrix[i * n + k] * bfgs.inverse[k * n + j]).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-11);
            }
        }
    }

    #[test]
    fn bfgs_skips_exactly_below_its_relative_curvature() {
        // yᵀs = t ‖y‖‖s‖.
        for (t, learns) in [(0.11, true), (0.09, false), (-0.11, false)] {
            let mut bfgs = Bfgs { skip: 0.1, ..Bfgs::default() };
            bfgs.update(&[1.0, 0.0], &[2.0, 0.0]);
            let before = (bfgs.matrix.clone(), bfgs.inverse.clone());
            bfgs.update(&[2.0, 0.0], &[3.0 * t, 3.0 * f64::sqrt(1.0 - t * t)]);
            assert_eq!((bfgs.matrix.clone(), bfgs.inverse.clone()) != before, learns, "{t}");
            if learns {
                // The secant equation.
                assert!((2.0 * bfgs.matrix[0] - 3.0 * t).abs() < 1e-14);
            }
        }
        assert_eq!(Bfgs::default().skip, 1e-10);
    }

    #[test]
    fn bfgs_on_negative_curvature_pair_keeps_its_matrix() {
        let mut bfgs = Bfgs::default();
        bfgs.update(&[1.0, 0.0], &[2.0, 0.0]);
        let before = bfgs.matrix.clone();
        bfgs.update(&[1.0, 1.0], &[-1.0, 0.0]);
        assert_eq!(before, bfgs.matrix);
    }
}
