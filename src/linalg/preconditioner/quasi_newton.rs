//! The limited-memory BFGS inverse as a preconditioner, built from the steps of the run.
//!
//! Nocedal, Math. Comp. 35, 1980 (two-loop recursion); Morales & Nocedal, SIAM J. Optim. 10(4), 2000 (its use as a
//! preconditioner).

// Negated comparisons are meant: a NaN must fail the test.
#![allow(clippy::neg_cmp_op_on_partial_ord)]

use super::Preconditioner;
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::{axpy, dot, norm, scale};

/// Most pairs kept: the coefficients of the recursion live on the stack.
const MOST: usize = 32;

/// L-BFGS inverse from pairs `(s, y)`; the identity until the first pair.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QuasiNewton {
    memory: usize,
    n: usize,
    /// Oldest first: `(s, y, 1 / sᵀy)`.
    pairs: std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl QuasiNewton {
    /// Keeps the last `memory` pairs.
    ///
    /// # Errors
    /// [`Error::Config`] unless `1 ≤ memory ≤ 32`.
    pub fn new(memory: usize) -> Result<Self> {
        Error::check_option((1..=MOST).contains(&memory), "memory", "between 1 and 32", memory)?;
        Ok(Self { memory, n: 0, pairs: Default::default() })
    }

    /// Takes a pair, `y ≈ B s`; returns whether it was kept: a pair with `sᵀy ≤ 1e-10 ‖s‖‖y‖` would spoil definiteness.
    pub fn push(&mut self, s: &[f64], y: &[f64]) -> bool {
        let product = dot(s, y);
        let reference = norm(s) * norm(y);
        if s.len() != y.len() || !(product > 1e-10 * reference) || !reference.is_finite() {
            return false;
        }
        if s.len() != self.n {
            self.pairs.clear();
            self.n = s.len();
        }
        // The oldest pair's buffers serve the new one.
        let (mut old_s, mut old_y) = match self.pairs.len() >= self.memory {
            true => self.pairs.pop_front().map_or((Vec::new(), Vec::new()), |(s, y, _)| (s, y)),
            false => (Vec::new(), Vec::new()),
        };
        old_s.clear();
        old_s.extend_from_slice(s);
        old_y.clear();
        old_y.extend_from_slice(y);
        self.pairs.push_back((old_s, old_y, 1.0 / product));
        true
    }

    /// Number of pairs held.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }
    /// True before the first pair.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl Preconditioner for QuasiNewton {
    /// Only the dimension is taken from the operator: the pairs carry what is known of its entries.
    fn update(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        if self.n != operator.dim() {
            self.pairs.clear();
            self.n = operator.dim();
        }
        Ok(())
    }
    fn begin(&mut self) {
        self.pairs.clear();
    }
    fn accepted(&mut self, step: &[f64], gradient_change: &[f64]) {
        self.push(step, gradient_change);
    }
}

impl SymmetricOperator for QuasiNewton {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.copy_from_slice(v);
        let mut coefficients = [0.0; MOST];
        for ((s, y, rho), a) in self.pairs.iter().zip(&mut coefficients).rev() {
            *a = rho * dot(s, out);
            axpy(-*a, y, out);
        }
        if let Some((_, y, rho)) = self.pairs.back() {
            scale(1.0 / (rho * dot(y, y)), out);
        }
        for ((s, y, rho), a) in self.pairs.iter().zip(&coefficients) {
            axpy(a - rho * dot(y, out), s, out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::Diagonal;

    #[test]
    fn quasi_newton_with_conjugate_pairs_of_diagonal_matrix_is_its_inverse() {
        let d = [2.0, 5.0, 0.5];
        let mut m = QuasiNewton::new(3).unwrap();
        m.update(&Diagonal(d.to_vec())).unwrap();
        let mut out = [0.0; 3];
        m.apply(&[1.0, 2.0, 3.0], &mut out).unwrap();
        assert_eq!(out, [1.0, 2.0, 3.0]);
        for i in 0..3 {
            let (mut s, mut y) = ([0.0; 3], [0.0; 3]);
            (s[i], y[i]) = (1.0, d[i]);
            m.accepted(&s, &y);
        }
        m.apply(&[1.0, 2.0, 3.0], &mut out).unwrap();
        for ((o, d), v) in out.iter().zip(&d).zip([1.0, 2.0, 3.0]) {
            assert!((o - v / d).abs() < 1e-14);
        }
    }

    #[test]
    fn quasi_newton_satisfies_secant_equation_and_refuses_negative_curvature() {
        let mut m = QuasiNewton::new(2).unwrap();
        assert!(!m.push(&[1.0, 0.0], &[-1.0, 0.0]) && m.is_empty());
        assert!(m.push(&[1.0, 0.5], &[2.0, 0.1]) && m.push(&[0.3, 1.0], &[0.1, 4.0]) && m.push(&[0.1, 0.7], &[0.4, 1.0]));
        assert_eq!(m.len(), 2);
        let mut out = [0.0; 2];
        m.apply(&[0.4, 1.0], &mut out).unwrap();
        assert!((out[0] - 0.1).abs() < 1e-15 && (out[1] - 0.7).abs() < 1e-15);
        assert!(QuasiNewton::new(0).is_err() && QuasiNewton::new(33).is_err());
    }
}
