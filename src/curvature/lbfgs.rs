//! Limited-memory BFGS: the last `memory` pairs, applied as an inverse (two-loop recursion, Nocedal 1980) or as a
//! matrix (unrolled rank-two updates, Nocedal & Wright 2006, procedure 7.6). Before the first pair `B = 0`: nothing is known,
//! not even a scale, and line searches go along `−g` with a length of their own.

use super::{Curvature, Order};
use crate::error::{Error, Result};
use crate::linalg::operator::ScaledIdentity;
use crate::linalg::vector::{axpy, dot, norm, scale};
use crate::linalg::{Operator, SymmetricOperator};
use crate::problem::{At, Objective};
use std::cell::OnceCell;
use std::cell::RefCell;
use std::collections::VecDeque;

/// L-BFGS with `B₀ = (yᵀy / yᵀs) I` from the latest pair.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lbfgs {
    /// Number of pairs kept. Default 10.
    pub memory: usize,
    /// Relative curvature `yᵀs / (‖y‖‖s‖)` below which a pair is skipped. Default 1e-10.
    pub skip: f64,
    pairs: VecDeque<LearnedPair>,
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct LearnedPair {
    s: Vec<f64>,
    y: Vec<f64>,
    ys: f64,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Self { memory: 10, skip: 1e-10, pairs: VecDeque::new() }
    }
}

impl Lbfgs {
    /// L-BFGS that keeps `memory` pairs.
    ///
    /// # Errors
    /// [`Error::Config`] if `memory` is zero.
    pub fn with_memory(memory: usize) -> Result<Self> {
        Error::check_option(memory > 0, "memory", "at least 1", memory)?;
        Ok(Self { memory, ..Self::default() })
    }

    /// Learns one pair: `s` the step, `y` the change of the gradient.
    pub fn update(&mut self, s: &[f64], y: &[f64]) {
        let ys = dot(y, s);
        if !(ys > self.skip * norm(y) * norm(s)) {
            return;
        }
        // The oldest pair's buffers take the new values.
        let full = self.pairs.len() >= self.memory.max(1);
        let mut pair = if full { self.pairs.pop_front() } else { None }.unwrap_or(LearnedPair { s: vec![], y: vec![], ys });
        pair.s.clear();
        pair.s.extend_from_slice(s);
        pair.y.clear();
        pair.y.extend_from_slice(y);
        pair.ys = ys;
        self.pairs.push_back(pair);
    }

    fn initial(&self) -> f64 {
        self.pairs.back().map_or(1.0, |p| dot(&p.y, &p.y) / p.ys)
    }
}

impl<O: Objective> Curvature<O> for Lbfgs {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let n = at.dim();
        if self.pairs.back().is_none_or(|p| p.s.len() != n) {
            self.pairs.clear();
            return Ok(Box::new(ScaledIdentity { n, c: 0.0 }));
        }
        Ok(Box::new(LbfgsMatrix { n, initial: self.initial(), pairs: &self.pairs, unrolled: OnceCell::new() }))
    }

    fn begin(&mut self) {
        self.pairs.clear();
    }

    fn order(&self) -> Order {
        Order::QuasiNewton
    }

    fn accepted(&mut self, step: &[f64], change: &[f64]) {
        self.update(step, change);
    }
}

/// `B`, by `B v = B₀ v + Σ (bᵢbᵢᵀ − aᵢaᵢᵀ) v`.
struct LbfgsMatrix<'a> {
    n: usize,
    initial: f64,
    pairs: &'a VecDeque<LearnedPair>,
    unrolled: OnceCell<Vec<(Vec<f64>, Vec<f64>)>>,
}

impl LbfgsMatrix<'_> {
    fn unroll(&self) -> Vec<(Vec<f64>, Vec<f64>)> {
        let mut done: Vec<(Vec<f64>, Vec<f64>)> = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs {
            let mut a = vec![0.0; self.n];
            apply_unrolled(self.initial, &done, &pair.s, &mut a);
            scale(1.0 / dot(&pair.s, &a).sqrt(), &mut a);
            let mut b = pair.y.clone();
            scale(1.0 / pair.ys.sqrt(), &mut b);
            done.push((a, b));
        }
        done
    }
}

fn apply_unrolled(initial: f64, pairs: &[(Vec<f64>, Vec<f64>)], v: &[f64], out: &mut [f64]) {
    out.iter_mut().zip(v).for_each(|(o, v)| *o = initial * v);
    for (a, b) in pairs {
        axpy(-dot(a, v), a, out);
        axpy(dot(b, v), b, out);
    }
}

impl SymmetricOperator for LbfgsMatrix<'_> {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        apply_unrolled(self.initial, self.unrolled.get_or_init(|| self.unroll()), v, out);
        Ok(())
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        (damping == 0.0).then(|| {
            let alpha = RefCell::new(vec![0.0; self.pairs.len()]);
            Ok(Box::new(LbfgsInverse { matrix: self, alpha }) as Operator<'_>)
        })
    }
}

/// `B⁻¹` by the two-loop recursion.
struct LbfgsInverse<'a> {
    matrix: &'a LbfgsMatrix<'a>,
    alpha: RefCell<Vec<f64>>,
}

impl SymmetricOperator for LbfgsInverse<'_> {
    fn dim(&self) -> usize {
        self.matrix.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let mut alpha = self.alpha.borrow_mut();
        let pairs = self.matrix.pairs;
        out.copy_from_slice(v);
        for (pair, alpha) in pairs.iter().zip(alpha.iter_mut()).rev() {
            *alpha = dot(&pair.s, out) / pair.ys;
            axpy(-*alpha, &pair.y, out);
        }
        scale(1.0 / self.matrix.initial, out);
        for (pair, alpha) in pairs.iter().zip(alpha.iter()) {
            let beta = dot(&pair.y, out) / pair.ys;
            axpy(*alpha - beta, &pair.s, out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curvature::Bfgs;

    fn pairs(n: usize, count: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
        (0..count)
            .map(|k| {
                let s: Vec<f64> = (0..n).map(|i| ((i * 5 + k * 3 + 1) as f64).sin()).collect();
                let y = (0..n).map(|i| (2.0 + i as f64) * s[i] + 0.1 * s[(i + 1) % n] + 0.1 * s[(i + n - 1) % n]).collect();
                (s, y)
            })
            .collect()
    }

    #[test]
    fn lbfgs_matrix_and_inverse_are_inverse_to_each_other() {
        let (n, mut lbfgs) = (9, Lbfgs::with_memory(4).unwrap());
        pairs(n, 7).iter().for_each(|(s, y)| lbfgs.update(s, y));
        let matrix = LbfgsMatrix { n, initial: lbfgs.initial(), pairs: &lbfgs.pairs, unrolled: OnceCell::new() };
        let v: Vec<f64> = (0..n).map(|i| 1.0 / (1.0 + i as f64)).collect();
        let (mut w, mut back) = (vec![0.0; n], vec![0.0; n]);
        matrix.inverse(0.0).unwrap().unwrap().apply(&v, &mut w).unwrap();
        matrix.apply(&w, &mut back).unwrap();
        back.iter().zip(&v).for_each(|(b, v)| assert!((b - v).abs() < 1e-12));
        // Secant equation for the latest pair.
        let (s, y) = pairs(n, 7).pop().unwrap();
        matrix.apply(&s, &mut w).unwrap();
        w.iter().zip(&y).for_each(|(w, y)| assert!((w - y).abs() < 1e-11));
    }

    #[test]
    fn lbfgs_keeps_and_uses_its_last_pairs_only() {
        let n = 9;
        let v: Vec<f64> = (0..n).map(|i| (0.3 + i as f64).cos()).collect();
        let solved = |memory: usize, pairs: &[(Vec<f64>, Vec<f64>)]| {
            let mut lbfgs = Lbfgs::with_memory(memory).unwrap();
            pairs.iter().for_each(|(s, y)| lbfgs.update(s, y));
            assert_eq!(lbfgs.pairs.len(), memory.min(pairs.len()));
            let matrix = LbfgsMatrix { n, initial: lbfgs.initial(), pairs: &lbfgs.pairs, unrolled: OnceCell::new() };
            let (mut w, mut product) = (vec![0.0; n], vec![0.0; n]);
            matrix.inverse(0.0).unwrap().unwrap().apply(&v, &mut w).unwrap();
            matrix.apply(&v, &mut product).unwrap();
            (w, product)
        };
        let all = pairs(n, 7);
        for memory in 1..=7 {
            let last = &all[7 - memory..];
            assert_eq!(solved(memory, &all), solved(7, last), "{memory}");
            // The pair before those is not without effect.
            if memory < 7 {
                assert_ne!(solved(memory, &all).0, solved(memory + 1, &all).0, "{memory}");
            }
        }
        assert_eq!((Lbfgs::default().memory, Lbfgs::default().skip), (10, 1e-10));
        assert!(Lbfgs::with_memory(0).is_err());
    }

    #[test]
    fn lbfgs_skips_exactly_below_its_relative_curvature() {
        for (t, learns) in [(0.11, true), (0.09, false), (-0.11, false)] {
            let mut lbfgs = Lbfgs { skip: 0.1, ..Lbfgs::default() };
            lbfgs.update(&[2.0, 0.0], &[3.0 * t, 3.0 * f64::sqrt(1.0 - t * t)]);
            assert_eq!(lbfgs.pairs.len(), usize::from(learns), "{t}");
        }
    }

    #[test]
    fn lbfgs_with_one_pair_equals_dense_bfgs() {
        let n = 5;
        let (s, y) = pairs(n, 1).pop().unwrap();
        let (mut lbfgs, mut bfgs) = (Lbfgs::default(), Bfgs::default());
        lbfgs.update(&s, &y);
        bfgs.update(&s, &y);
        let limited = LbfgsMatrix { n, initial: lbfgs.initial(), pairs: &lbfgs.pairs, unrolled: OnceCell::new() };
        let v: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
        let mut w = vec![0.0; n];
        limited.apply(&v, &mut w).unwrap();
        for (i, w) in w.iter().enumerate() {
            let dense: f64 = (0..n).map(|j| bfgs.entry(i, j) * v[j]).sum();
            assert!((w - dense).abs() < 1e-12);
        }
    }
}
