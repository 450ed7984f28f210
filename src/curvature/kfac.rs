//! Kronecker-factored curvature: one block `A ⊗ G` an affine layer, `A` from its inputs, `G` from its output signals.
//!
//! With `ā = (a; 1)`, signals `g` over the columns of the outputs' square root (or sampled, or observed), `N` samples and `S`
//! shared positions (Martens & Grosse 2015, section 3; Eschenhagen et al. 2023 for shared positions):
//! expand `A = R Σ ā āᵀ`, `G = (NS)⁻¹ Σ g gᵀ`; reduce `A = R Σ (Σₛ ā)(Σₛ ā)ᵀ`, `G = N⁻¹ Σ (S⁻¹ Σₛ g)(S⁻¹ Σₛ g)ᵀ`.
//! The block is exact for one sample, and for linear networks with squared error.

use super::explicit::Shifted;
use super::outer::OverParts;
use super::{Averaged, Curvature, Explicit, GaussNewton, Invertible, OuterProducts};
use crate::error::{Error, Result};
use crate::linalg::buffer::Buffer;
use crate::linalg::gram::{add_gram, gram, mirror_scaled};
use crate::linalg::matrix::view;
use crate::linalg::operator::{BlockDiagonal, ClosedForm, Kronecker};
use crate::linalg::parallel::map;
use crate::linalg::vector::axpy;
use crate::linalg::{Operator, Vector};
use crate::model::{Backward, Block, Layer};
use crate::problem::{At, Evaluation, Supervised};
use faer::MatRef;

/// What is assumed of a layer's shared positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Sharing {
    /// Every position is a sample of its own.
    #[default]
    Expand,
    /// Positions are summed before the outer product: for outputs that are averaged or summed over positions.
    Reduce,
}

/// Where `G` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum OutputFactor {
    /// From the signals of the source.
    #[default]
    Signals,
    /// The identity: curvature of the inputs only (Benzing 2022).
    Identity,
}

/// How a damping `λ` enters a Kronecker block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum KroneckerDamping {
    /// `(A ⊗ G + λI)⁻¹`, in the eigenbasis.
    #[default]
    Exact,
    /// `((A + π√λ I) ⊗ (G + π⁻¹√λ I))⁻¹` (Martens & Grosse 2015, section 6.3).
    Factored,
}

/// Kronecker-factored approximation of the curvature `S`: [`GaussNewton`] and [`Fisher`](super::Fisher) are type-2,
/// [`MonteCarloFisher`](super::MonteCarloFisher) is type-1, [`EmpiricalFisher`](super::EmpiricalFisher) takes the observed
/// labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Kfac<S = GaussNewton> {
    /// Which signals.
    pub source: S,
    /// Shared positions.
    pub sharing: Sharing,
    /// Signals, or none at all.
    pub outputs: OutputFactor,
    /// Damping of the inverse.
    pub damping: KroneckerDamping,
}

/// The sums that factors are made from, for one layer.
#[derive(Default)]
struct Sums {
    /// `p = inputs + 1`; 0 before the first pass.
    p: usize,
    /// Outputs.
    q: usize,
    positions: usize,
    /// Lower triangles; above them stands whatever it is.
    a: Buffer,
    g: Buffer,
}

/// Sums over the positions of each sample.
fn over_positions(values: MatRef<'_, f64>, positions: usize) -> Vec<f64> {
    let mut sums = vec![0.0; values.nrows() * (values.ncols() / positions)];
    for (j, column) in values.col_iter().enumerate() {
        let sum = &mut sums[j / positions * values.nrows()..][..values.nrows()];
        sum.iter_mut().zip(column.iter()).for_each(|(s, v)| *s += v);
    }
    sums
}

impl Sums {
    /// `Σ ā āᵀ`, lower triangle: inputs, and their sums beside the trailing 1 (or `S` of reduced positions).
    fn inputs(&mut self, layer: &Layer<'_>, sharing: Sharing) {
        let k = layer.inputs.nrows();
        (self.p, self.q, self.positions) = (k + 1, layer.signals.nrows(), layer.positions);
        self.a = Buffer::new(self.p * self.p);
        let reduced = (sharing == Sharing::Reduce && layer.positions > 1).then(|| over_positions(layer.inputs, layer.positions));
        let (inputs, one) = match &reduced {
            Some(sums) => (view(sums, k), layer.positions as f64),
            None => (layer.inputs, 1.0),
        };
        gram(inputs, self.p, &mut self.a);
        let mut sums = vec![0.0; k];
        inputs.col_iter().for_each(|column| sums.iter_mut().zip(column.iter()).for_each(|(s, v)| *s += v));
        for (j, sum) in sums.iter().enumerate() {
            self.a[j * self.p + k] = one * sum;
        }
        self.a[self.p * self.p - 1] = one * one * inputs.ncols() as f64;
    }

    /// Adds `Σ g gᵀ`, lower triangle.
    fn signals(&mut self, layer: &Layer<'_>, sharing: Sharing) {
        let reduced = (sharing == Sharing::Reduce && layer.positions > 1).then(|| over_positions(layer.signals, layer.positions));
        let signals = reduced.as_ref().map_or(layer.signals, |sums| view(sums, self.q));
        if self.g.is_empty() {
            self.g = Buffer::new(self.q * self.q);
            gram(signals, self.q, &mut self.g);
        } else {
            add_gram(signals, self.q, &mut self.g);
        }
    }

    /// Adds the sums over other samples.
    fn join(mut self, other: Self) -> Self {
        axpy(1.0, &other.a, &mut self.a);
        axpy(1.0, &other.g, &mut self.g);
        self
    }

    /// `A ⊗ G` for `n` samples of weight `R`, and signals of weight `w`.
    fn factors(mut self, n: usize, r: f64, w: f64, sharing: Sharing) -> Result<Kronecker> {
        let s = self.positions as f64;
        let shared = if sharing == Sharing::Reduce { s * s } else { s };
        mirror_scaled(self.p, r, &mut self.a);
        mirror_scaled(self.q, w / r / (n as f64 * shared), &mut self.g);
        Kronecker::new(self.p, self.a.into_vec(), self.q, self.g.into_vec())
    }
}

/// Calls `visit(l, layer)` with the layers of a pass, one for each part of the parameters, from the last one.
pub(super) fn each_layer(pass: &dyn Backward, at: &Evaluation, mut visit: impl FnMut(usize, &Layer<'_>)) -> Result<()> {
    let (parts, mut found) = (at.layout().len(), 0);
    pass.each_layer(&mut |l, layer| {
        found += 1;
        if l < parts {
            visit(l, &layer);
        }
    });
    let missing = Error::Unsupported { what: "a Kronecker-factored curvature", requirement: "a model made of affine layers" };
    if found == parts { Ok(()) } else { Err(missing) }
}

/// Kronecker factors of every layer.
pub(super) fn factors(
    source: &dyn OuterProducts,
    sharing: Sharing,
    outputs: OutputFactor,
    at: &Evaluation,
) -> Result<Vec<Kronecker>> {
    let mut sums = OverParts::<Vec<Sums>>::default();
    let inputs = |l: usize, layer: &Layer<'_>, sums: &mut Vec<Sums>| {
        sums.resize_with(at.layout().len(), Sums::default);
        if sums[l].p == 0 {
            sums[l].inputs(layer, sharing);
        }
    };
    let total = |sums: OverParts<Vec<Sums>>| {
        let join = |these: Vec<Sums>, those: Vec<Sums>| these.into_iter().zip(those).map(|(a, b)| a.join(b)).collect();
        let missing = Error::Unsupported { what: "a Kronecker-factored curvature", requirement: "a loss with curvature" };
        sums.total(join).filter(|sums| sums.iter().all(|sum| sum.p > 0)).ok_or(missing)
    };
    if outputs == OutputFactor::Identity {
        sums.add(&**at.backward()?, |part, sums| each_layer(part, at, |l, layer| inputs(l, layer, sums)))?;
        let identity = |mut sum: Sums| {
            let unit = |k: usize| f64::from(k.is_multiple_of(sum.q + 1));
            mirror_scaled(sum.p, at.weight(), &mut sum.a);
            Kronecker::new(sum.p, sum.a.into_vec(), sum.q, (0..sum.q * sum.q).map(unit).collect())
        };
        return total(sums)?.into_iter().map(identity).collect();
    }
    let weight = source.each(at, &mut |pass| {
        sums.add(&*pass, |part, sums| {
            each_layer(part, at, |l, layer| {
                inputs(l, layer, sums);
                sums[l].signals(layer, sharing);
            })
        })
    })?;
    map(total(sums)?, |sum| sum.factors(at.n(), at.weight(), weight, sharing)).into_iter().collect()
}

impl<S: OuterProducts> Kfac<S> {
    /// `A` and `G` of every layer.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model without affine layers or a loss that is no likelihood where one is needed.
    pub fn factors(&self, at: &Evaluation) -> Result<Vec<Kronecker>> {
        factors(&self.source, self.sharing, self.outputs, at)
    }
}

impl<S> Kfac<S> {
    fn blocks(&self, layers: Vec<Kronecker>) -> BlockDiagonal {
        let block = |k: Kronecker| match self.damping {
            KroneckerDamping::Exact => Box::new(k) as Box<dyn ClosedForm>,
            KroneckerDamping::Factored => Box::new(k.with_factored_damping()),
        };
        BlockDiagonal::new(layers.into_iter().map(block).collect())
    }
}

impl<S: OuterProducts> Explicit for Kfac<S> {
    fn matrix(&self, at: &Evaluation) -> Result<Box<dyn ClosedForm>> {
        Ok(Box::new(self.blocks(self.factors(at)?)))
    }
}

impl<S: OuterProducts> Averaged for Kfac<S> {
    fn statistics(&self, at: &Evaluation) -> Result<Vec<Vec<f64>>> {
        Ok(both_factors(self.factors(at)?))
    }
    fn of_means(&self, layout: &[Block], l2: f64, means: Vec<Vec<f64>>) -> Result<(Box<dyn Invertible>, f64)> {
        Ok((Box::new(self.blocks(kroneckers(layout, means)?)), l2))
    }
    fn redraw(&mut self) {
        self.source.redraw();
    }
}

/// `A` and `G` of one layer after the other.
pub(super) fn both_factors(layers: Vec<Kronecker>) -> Vec<Vec<f64>> {
    layers.into_iter().flat_map(Kronecker::into_factors).collect()
}

/// The inverse of [`both_factors`].
pub(super) fn kroneckers(layout: &[Block], factors: Vec<Vec<f64>>) -> Result<Vec<Kronecker>> {
    Error::check_len("factors of a Kronecker-factored curvature", 2 * layout.len(), factors.len())?;
    let mut factors = factors.into_iter();
    let mut next = || factors.next().unwrap_or_default();
    layout.iter().map(|block| Kronecker::new(block.columns, next(), block.rows, next())).collect()
}

impl<P: Vector, S: OuterProducts> Curvature<Supervised<P>> for Kfac<S> {
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
        Ok(Box::new(Shifted::new(self.matrix(&here)?, here.l2(), at.counts)))
    }
}
