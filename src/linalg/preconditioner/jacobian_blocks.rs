//! Block Jacobi for a sparse Jacobian: triangular factors of the diagonal blocks of `JᵀJ + μD²`, a block for each run of
//! variables that always stand together.
//!
//! As a factor `R` with `RᵀR ≈ JᵀJ + μD²` it preconditions the least-squares problem itself: LSMR runs on
//! `[J; √μ D] R⁻¹`.

use crate::linalg::operator::SparseGram;

/// Runs longer than this take their diagonal only.
const MAX_BLOCK: usize = 32;

/// The factor `R` of the diagonal blocks.
#[derive(Debug, Clone, Default)]
pub struct JacobianBlocks {
    /// First variable of each block, and `n`.
    blocks: Vec<usize>,
    /// Where each block's lower factor begins, by columns.
    starts: Vec<usize>,
    factors: Vec<f64>,
}

impl JacobianBlocks {
    /// Forms and factors the blocks of `JᵀJ + damping D²` for `D = diag(scale)`. A block that is not positive definite is
    /// replaced by its diagonal.
    pub fn update(&mut self, gram: &SparseGram<'_>, scale: &[f64], damping: f64) {
        let pattern = gram.pattern;
        if self.blocks != pattern.runs() {
            self.blocks = pattern.runs().to_vec();
            self.starts = vec![0];
            for ends in self.blocks.windows(2) {
                let n = ends[1] - ends[0];
                let size = if n > MAX_BLOCK { n } else { n * n };
                self.starts.push(self.starts.last().map_or(0, |s| s + size));
            }
        }
        let (blocks, starts) = (&self.blocks, &self.starts);
        self.factors.resize(starts.last().copied().unwrap_or(0), 0.0);
        pattern.by_runs(&mut self.factors, &|run| starts[run], &|runs, out| {
            let first = starts[runs.start];
            for run in runs {
                let (own, n) = (&mut out[starts[run] - first..starts[run + 1] - first], blocks[run + 1] - blocks[run]);
                own.fill(0.0);
                for group in pattern.groups() {
                    for &(k, place) in group.touching(run) {
                        for row in gram.values[group.values(k as usize)].chunks_exact(group.width()) {
                            add_square(&row[place as usize..place as usize + n], own);
                        }
                    }
                }
                factor(own, n, &scale[blocks[run]..blocks[run + 1]], damping);
            }
        });
    }

    /// `x ← R⁻¹ x`.
    pub fn solve(&self, x: &mut [f64]) {
        self.each(x, |l, x| {
            let n = x.len();
            for j in (0..n).rev() {
                let below: f64 = (j + 1..n).map(|i| l[j * n + i] * x[i]).sum();
                x[j] = (x[j] - below) / l[j * n + j];
            }
        });
    }

    /// `x ← R⁻ᵀ x`.
    pub fn solve_transposed(&self, x: &mut [f64]) {
        self.each(x, |l, x| {
            let n = x.len();
            for j in 0..n {
                x[j] /= l[j * n + j];
                for i in j + 1..n {
                    x[i] -= l[j * n + i] * x[j];
                }
            }
        });
    }

    fn each(&self, x: &mut [f64], solve: impl Fn(&[f64], &mut [f64])) {
        for (ends, places) in self.blocks.windows(2).zip(self.starts.windows(2)) {
            let (l, x) = (&self.factors[places[0]..places[1]], &mut x[ends[0]..ends[1]]);
            if l.len() == x.len() {
                x.iter_mut().zip(l).for_each(|(x, d)| *x /= d);
            } else {
                solve(l, x);
            }
        }
    }
}

/// Adds `a aᵀ` (its lower triangle), or the squares alone where `out` is a diagonal.
fn add_square(a: &[f64], out: &mut [f64]) {
    let n = a.len();
    if out.len() == n {
        return out.iter_mut().zip(a).for_each(|(o, a)| *o += a * a);
    }
    for j in 0..n {
        (j..n).for_each(|i| out[j * n + i] += a[i] * a[j]);
    }
}

/// Damps and factors in place.
fn factor(own: &mut [f64], n: usize, scale: &[f64], damping: f64) {
    let positive = |v: f64| if v > 0.0 && v <= f64::MAX { v.sqrt() } else { 1.0 };
    if own.len() == n {
        return own.iter_mut().zip(scale).for_each(|(o, d)| *o = positive(*o + damping * d * d));
    }
    let diagonal: [f64; MAX_BLOCK] =
        std::array::from_fn(|j| if j < n { own[j * n + j] + damping * scale[j] * scale[j] } else { 0.0 });
    for j in 0..n {
        own[j * n + j] = diagonal[j];
        for k in 0..j {
            let f = own[k * n + j];
            (j..n).for_each(|i| own[j * n + i] -= f * own[k * n + i]);
        }
        let pivot = own[j * n + j];
        if !(pivot > 1e-14 * diagonal[j] && pivot <= f64::MAX) {
            own.fill(0.0);
            return (0..n).for_each(|j| own[j * n + j] = positive(diagonal[j]));
        }
        let root = pivot.sqrt();
        own[j * n + j] = root;
        own[j * n + j + 1..(j + 1) * n].iter_mut().for_each(|v| *v /= root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::JacobianPattern;
    use nalgebra::{DMatrix, DVector};
    use std::sync::Arc;

    #[test]
    fn factors_are_those_of_the_diagonal_blocks() {
        // Runs 0..3 and 3..5, coupled by one block and each in one of its own.
        let groups = vec![(2, 5, vec![0, 1, 2, 3, 4]), (3, 3, vec![0, 1, 2]), (2, 2, vec![3, 4])];
        let pattern = Arc::new(JacobianPattern::new(5, groups).unwrap());
        let values: Vec<f64> = (0..pattern.nnz()).map(|i| (1.7 * i as f64).sin()).collect();
        let (residual, scale, damping) = (vec![0.0; pattern.m()], [1.0, 2.0, 0.5, 3.0, 1.0], 0.3);
        let gram = SparseGram::new(&pattern, &values, &residual).unwrap();
        let mut whole = vec![0.0; 25];
        gram.write(&mut whole);
        let apart = |i: usize, j: usize| (i < 3) != (j < 3);
        let blocks = DMatrix::from_fn(5, 5, |i, j| {
            if apart(i, j) { 0.0 } else { whole[5 * j + i] + if i == j { damping * scale[i] * scale[i] } else { 0.0 } }
        });
        let mut factor = JacobianBlocks::default();
        factor.update(&gram, &scale, damping);
        // R⁻¹ R⁻ᵀ is the inverse.
        let v = DVector::from_fn(5, |i, _| (i as f64).cos());
        let mut x = (&blocks * &v).as_slice().to_vec();
        factor.solve_transposed(&mut x);
        factor.solve(&mut x);
        assert!(x.iter().zip(&v).all(|(x, v)| (x - v).abs() < 1e-13), "{x:?}");
    }

    #[test]
    fn singular_and_long_blocks_take_their_diagonal() {
        let long = MAX_BLOCK + 1;
        let groups = vec![(1, 2, vec![0, 1]), (1, long, (2..2 + long as u32).collect())];
        let pattern = Arc::new(JacobianPattern::new(3 + long, groups).unwrap());
        let values: Vec<f64> = [2.0, 2.0].into_iter().chain((0..long).map(|i| 1.0 + i as f64)).collect();
        let gram = SparseGram::new(&pattern, &values, &[0.0; 2]).unwrap();
        let mut factor = JacobianBlocks::default();
        factor.update(&gram, &vec![1.0; 3 + long], 0.0);
        let mut x = vec![6.0; 3 + long];
        factor.solve(&mut x);
        assert_eq!((x[0], x[1], x[2], x[4], x[2 + long]), (3.0, 3.0, 6.0, 2.0, 6.0));
    }
}
