//! An approximate inverse of a linear model's Hessian: the same `q × q` block for every output,
//!
//! ```text
//! M = I_K ⊗ ((1/n) Σ d̄ᵢ [xᵢ 1][xᵢ 1]ᵀ + λI),    d̄ᵢ the mean over the outputs of ωᵢ ∂²ℓᵢ/∂z²
//! ```
//!
//! one product of weighted features and one factorization, whatever `K` is. For one output it is the Hessian itself.

use super::{Data, LinearSum, hessian};
use crate::error::{Error, Result};
use crate::linalg::factor::ShiftedCholesky;
use crate::linalg::gram::mirror;
use crate::linalg::operator::DenseMatrix;
use crate::linalg::{Operator, SymmetricOperator, Vector};
use crate::problem::HessianPreconditioner;
use std::cell::RefCell;

struct SharedBlock {
    outputs: usize,
    n: usize,
    cholesky: RefCell<(ShiftedCholesky, Vec<f64>)>,
}

impl SharedBlock {
    fn new(data: &Data, curvature: &[f64]) -> Result<Self> {
        let k = data.map.outputs;
        let q = data.map.n_params() / k;
        let mean = |i: usize| match k {
            1 => curvature[i].max(0.0),
            _ => {
                let p = &curvature[i * k..(i + 1) * k];
                data.weight(i) * p.iter().map(|p| p * (1.0 - p)).sum::<f64>().max(0.0) / k as f64
            }
        };
        let mut block = vec![0.0; q * q];
        hessian::weighted_gram(data, 0..data.n(), |_, i| mean(i).sqrt(), &mut block);
        mirror(q, &mut block);
        block.iter_mut().for_each(|v| *v /= data.n() as f64);
        (0..data.map.features).for_each(|j| block[j * q + j] += data.l2);
        let largest = (0..q).map(|j| block[j * q + j]).fold(0.0, f64::max);
        let mut cholesky = ShiftedCholesky::default();
        cholesky.load(&DenseMatrix::new(q, block)?)?;
        let mut shift = 0.0;
        while let Err(failure) = cholesky.factor(shift) {
            shift = f64::max(10.0 * shift, 1e-12 * largest).max(2.0 * failure.deficit).max(f64::MIN_POSITIVE);
            if !shift.is_finite() {
                return Err(Error::Factorization { what: "the preconditioner of a linear model", pivot: failure.pivot });
            }
        }
        Ok(Self { outputs: k, n: data.map.n_params(), cholesky: RefCell::new((cholesky, vec![0.0; 2 * q])) })
    }
}

impl SymmetricOperator for SharedBlock {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let mut kept = self.cholesky.borrow_mut();
        let (cholesky, work) = &mut *kept;
        let (right, solution) = work.split_at_mut(self.n / self.outputs);
        for k in 0..self.outputs {
            right.iter_mut().zip(v[k..].iter().step_by(self.outputs)).for_each(|(r, v)| *r = *v);
            cholesky.solve(right, solution);
            out[k..].iter_mut().step_by(self.outputs).zip(&*solution).for_each(|(o, s)| *o = *s);
        }
        Ok(())
    }
}

impl<P: Vector> HessianPreconditioner for LinearSum<P> {
    fn hessian_preconditioner<'a>(&'a self, x: &'a P) -> Result<Operator<'a>> {
        Ok(Box::new(SharedBlock::new(&self.data, &self.pass(x.as_slice())?.curvature)?))
    }
}
