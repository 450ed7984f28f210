//! Eigenvalue-corrected K-FAC: the eigenvectors of the Kronecker factors, and as eigenvalues the block's own diagonal in their
//! basis, `E = R Σ (Q_Gᵀ (Σₛ g āᵀ) Q_A)²` (George et al. 2018): the best diagonal there is in that basis.

use super::explicit::Shifted;
use super::kfac::{both_factors, each_layer, factors, kroneckers};
use super::outer::OverParts;
use super::{Curvature, Explicit, GaussNewton, OuterProducts, OutputFactor, Sharing};
use crate::error::{Error, Result};
use crate::linalg::matrix::{add_multiply, multiply, view};
use crate::linalg::operator::{BlockDiagonal, ClosedForm, Kronecker, KroneckerBasis, KroneckerDiagonal};
use crate::linalg::vector::{axpy, scale};
use crate::linalg::{Operator, Vector};
use crate::model::{Block, Layer};
use crate::problem::{At, Evaluation, Supervised};
use std::sync::Arc;

/// [`Kfac`](super::Kfac) with corrected eigenvalues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ekfac<S = GaussNewton> {
    /// Which signals.
    pub source: S,
    /// Shared positions, for the basis.
    pub sharing: Sharing,
}

impl<S: OuterProducts> Ekfac<S> {
    /// `A` and `G` of one layer after the other.
    pub(super) fn factors(&self, at: &Evaluation) -> Result<Vec<Vec<f64>>> {
        Ok(both_factors(factors(&self.source, self.sharing, OutputFactor::Signals, at)?))
    }
}

impl<S: OuterProducts> Explicit for Ekfac<S> {
    fn matrix(&self, at: &Evaluation) -> Result<Box<dyn ClosedForm>> {
        let bases = bases(at.layout(), self.factors(at)?)?;
        Ok(Box::new(corrected(&bases, squares(&self.source, at, &bases)?)?))
    }
}

impl<P: Vector, S: OuterProducts> Curvature<Supervised<P>> for Ekfac<S> {
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
        Ok(Box::new(Shifted::new(self.matrix(&here)?, here.l2(), at.counts)))
    }
}

/// The eigenbases of factors.
pub(super) fn bases(layout: &[Block], factors: Vec<Vec<f64>>) -> Result<Vec<Arc<KroneckerBasis>>> {
    kroneckers(layout, factors)?.iter().map(|k: &Kronecker| k.basis().cloned()).collect()
}

/// `E` of every layer.
pub(super) fn squares(source: &dyn OuterProducts, at: &Evaluation, bases: &[Arc<KroneckerBasis>]) -> Result<Vec<Vec<f64>>> {
    let mut sums = OverParts::<Vec<Rotated>>::default();
    let weight = source.each(at, &mut |pass| {
        sums.add(&*pass, |part, rotated| {
            if rotated.is_empty() {
                rotated.extend(bases.iter().map(|basis| Rotated::new(basis.clone())));
            }
            each_layer(part, at, |l, layer| rotated[l].add(layer))
        })
    })?;
    let join = |these: Vec<Rotated>, those: Vec<Rotated>| these.into_iter().zip(those).map(|(a, b)| a.join(b)).collect();
    let missing = Error::Unsupported { what: "an eigenvalue-corrected K-FAC matrix", requirement: "a loss with curvature" };
    let finish = |mut rotated: Rotated| {
        scale(weight, &mut rotated.squares);
        rotated.squares
    };
    Ok(sums.total(join).ok_or(missing)?.into_iter().map(finish).collect())
}

/// The matrix with these eigenvalues.
pub(super) fn corrected(bases: &[Arc<KroneckerBasis>], values: Vec<Vec<f64>>) -> Result<BlockDiagonal> {
    let block = |(basis, values): (&Arc<KroneckerBasis>, Vec<f64>)| {
        let block = KroneckerDiagonal::new(basis.clone(), values)?;
        Ok(Box::new(block) as Box<dyn ClosedForm>)
    };
    Ok(BlockDiagonal::new(bases.iter().zip(values).map(block).collect::<Result<_>>()?))
}

/// A layer in the eigenbasis of its factors.
struct Rotated {
    basis: Arc<KroneckerBasis>,
    /// `Q_Aᵀ ā`, `p × (S N)`; empty before the first pass.
    inputs: Vec<f64>,
    /// `Σ (Q_Gᵀ (Σₛ g āᵀ) Q_A)²`, `q × p`.
    squares: Vec<f64>,
}

impl Rotated {
    fn new(basis: Arc<KroneckerBasis>) -> Self {
        let squares = vec![0.0; basis.inputs.dim() * basis.outputs.dim()];
        Self { basis, inputs: Vec::new(), squares }
    }

    /// `Q_Aᵀ ā` of a layer's inputs.
    fn turned_inputs(&self, layer: &Layer<'_>) -> Vec<f64> {
        let (p, k) = (self.basis.inputs.dim(), layer.inputs.nrows());
        let vectors = view(self.basis.inputs.vectors(), p);
        let mut inputs = vec![0.0; p * layer.inputs.ncols()];
        let bias: Vec<f64> = vectors.row(k).iter().copied().collect();
        inputs.chunks_exact_mut(p).for_each(|column| column.copy_from_slice(&bias));
        add_multiply(vectors.subrows(0, k).transpose(), layer.inputs, &mut inputs);
        inputs
    }

    /// Adds the squares of other samples.
    fn join(mut self, other: Self) -> Self {
        axpy(1.0, &other.squares, &mut self.squares);
        self
    }

    /// Adds the squares of one pass.
    fn add(&mut self, layer: &Layer<'_>) {
        if self.inputs.is_empty() {
            self.inputs = self.turned_inputs(layer);
        }
        let (p, q) = (self.basis.inputs.dim(), self.basis.outputs.dim());
        let mut signals = vec![0.0; q * layer.signals.ncols()];
        multiply(view(self.basis.outputs.vectors(), q).transpose(), layer.signals, &mut signals);
        if layer.positions == 1 {
            let squares = |values: &[f64]| values.iter().map(|v| v * v).collect::<Vec<f64>>();
            let (signals, inputs) = (squares(&signals), squares(&self.inputs));
            add_multiply(view(&signals, q), view(&inputs, p).transpose(), &mut self.squares);
            return;
        }
        let mut gradient = vec![0.0; p * q];
        let samples = signals.chunks_exact(q * layer.positions).zip(self.inputs.chunks_exact(p * layer.positions));
        for (signals, inputs) in samples {
            multiply(view(signals, q), view(inputs, p).transpose(), &mut gradient);
            self.squares.iter_mut().zip(&gradient).for_each(|(s, g)| *s += g * g);
        }
    }
}
