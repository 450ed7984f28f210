//! Matrices that are sums of outer products of per-sample gradients, `B = w Σ_k Σᵢ g_{ik} g_{ik}ᵀ`, `g_{ik} = Jᵢᵀu_{ik}`.
//!
//! What differs is only the output vectors `u`: the columns of a square root of the loss's Hessian (generalized
//! Gauss–Newton), of the Fisher matrix of the outputs (Fisher), loss gradients at labels drawn from the model (Monte-Carlo
//! Fisher) or at the observed ones (empirical Fisher). Diagonals, blocks and Kronecker factors are made from the same
//! backward passes. Formulas: Martens (2020), Kunstner, Balles & Hennig (2019).

use super::{Curvature, GaussNewton};
use crate::counts::{self, Counts};
use crate::error::Result;
use crate::linalg::buffer::Buffer;
use crate::linalg::parallel::map;
use crate::linalg::vector::{axpy, scale};
use crate::linalg::{Operator, SymmetricOperator, Vector};
use crate::model::Backward;
use crate::problem::{At, Evaluation, Supervised};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Where the output vectors of `B = w Σ g gᵀ` come from.
pub trait OuterProducts: Send + Sync {
    /// Calls `visit` with one backward pass after the other, each to be read once; returns `w`, without which they are.
    ///
    /// # Errors
    /// A loss that is not a likelihood where one is needed; what the model or `visit` reports.
    fn each(&self, at: &Evaluation, visit: &mut dyn FnMut(Arc<dyn Backward>) -> Result<()>) -> Result<f64>;

    /// The matrix by its products, with as few sweeps as there can be; without the regulariser.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    fn products(&self, at: Arc<Evaluation>) -> Result<Box<dyn SymmetricOperator>>;

    /// Draws other labels the next time, if it draws any.
    fn redraw(&mut self) {}
}

/// The exact (type-2) Fisher matrix `R Σ Jᵢᵀ E[∇ℓ ∇ℓᵀ] Jᵢ`, with the expectation over labels of the model's own distribution.
/// It is the generalized Gauss–Newton matrix where the outputs are natural parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Fisher;

/// The Monte-Carlo (type-1) Fisher matrix: [`Fisher`] with the expectation replaced by a mean over labels drawn from the
/// model. Unbiased; the same labels as long as the seed is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MonteCarloFisher {
    /// Labels drawn for each sample.
    pub samples: usize,
    /// Seed of the labels.
    pub seed: u64,
}

impl Default for MonteCarloFisher {
    fn default() -> Self {
        Self { samples: 1, seed: 0 }
    }
}

/// The empirical Fisher matrix `R Σ gᵢ gᵢᵀ` of the observed labels. It scales as the square of the loss and is no
/// approximation of the Hessian away from a well-specified optimum (Kunstner et al. 2019).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EmpiricalFisher;

/// Sums over the samples of passes, one for each part of them.
pub(super) struct OverParts<T>(Vec<T>);

impl<T> Default for OverParts<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default + Send> OverParts<T> {
    /// Adds a pass, each part of it to a sum of its own.
    pub fn add(&mut self, pass: &dyn Backward, add: impl Fn(&dyn Backward, &mut T) -> Result<()> + Send + Sync) -> Result<()> {
        let mut parts = pass.parts();
        if parts.is_empty() {
            parts.push(pass);
        }
        self.0.resize_with(parts.len().max(self.0.len()), T::default);
        map(parts.into_iter().zip(&mut self.0).collect(), |(part, sum)| add(part, sum)).into_iter().collect()
    }

    /// The sum of all, in order; nothing if no pass was added.
    pub fn total(self, join: impl FnMut(T, T) -> T) -> Option<T> {
        self.0.into_iter().reduce(join)
    }
}

/// Backward passes of the columns of a square root of the outputs' matrix.
fn each_root(
    at: &Evaluation,
    root: impl Fn(usize, &mut [f64]),
    visit: &mut dyn FnMut(Arc<dyn Backward>) -> Result<()>,
) -> Result<f64> {
    let outcome = at.outcome();
    for j in 0..at.loss().n_roots(outcome.n_outputs) {
        let mut u = vec![0.0; outcome.outputs.len()];
        root(j, &mut u);
        visit(at.forward().clone().backward_once(u)?)?;
    }
    Ok(at.weight())
}

impl OuterProducts for GaussNewton {
    fn each(&self, at: &Evaluation, visit: &mut dyn FnMut(Arc<dyn Backward>) -> Result<()>) -> Result<f64> {
        each_root(at, |j, u| at.loss().root(&at.outcome(), j, u), visit)
    }
    fn products(&self, at: Arc<Evaluation>) -> Result<Box<dyn SymmetricOperator>> {
        Ok(Box::new(Sandwich { at, middle: Middle::Hessian }))
    }
}

impl OuterProducts for Fisher {
    fn each(&self, at: &Evaluation, visit: &mut dyn FnMut(Arc<dyn Backward>) -> Result<()>) -> Result<f64> {
        let distribution = at.loss().likelihood()?;
        each_root(at, |j, u| distribution.fisher_root(&at.outcome(), j, u), visit)
    }
    fn products(&self, at: Arc<Evaluation>) -> Result<Box<dyn SymmetricOperator>> {
        at.loss().likelihood()?;
        Ok(Box::new(Sandwich { at, middle: Middle::Fisher }))
    }
}

impl MonteCarloFisher {
    /// Calls `visit` with the loss gradients at drawn labels; returns the weight of a draw.
    fn draw(&self, at: &Evaluation, mut visit: impl FnMut(Vec<f64>) -> Result<()>) -> Result<f64> {
        crate::Error::check_option(self.samples > 0, "samples", "positive", self.samples)?;
        let distribution = at.loss().likelihood()?;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        for _ in 0..self.samples {
            let mut u = vec![0.0; at.outcome().outputs.len()];
            distribution.sample_gradient(&at.outcome(), &mut random, &mut u);
            visit(u)?;
        }
        Ok(at.weight() / self.samples as f64)
    }
}

impl OuterProducts for MonteCarloFisher {
    fn each(&self, at: &Evaluation, visit: &mut dyn FnMut(Arc<dyn Backward>) -> Result<()>) -> Result<f64> {
        self.draw(at, |u| visit(at.forward().clone().backward_once(u)?))
    }
    fn products(&self, at: Arc<Evaluation>) -> Result<Box<dyn SymmetricOperator>> {
        let mut passes = Vec::with_capacity(self.samples);
        let weight = self.draw(&at, |u| {
            passes.push(at.forward().clone().backward(&u)?);
            Ok(())
        })?;
        Ok(Box::new(Outer { passes, weight, n: at.n(), n_params: at.n_params() }))
    }
    fn redraw(&mut self) {
        // A step by an odd constant, so that neighbouring seeds have no labels in common for long.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
}

impl OuterProducts for EmpiricalFisher {
    fn each(&self, at: &Evaluation, visit: &mut dyn FnMut(Arc<dyn Backward>) -> Result<()>) -> Result<f64> {
        visit(at.backward()?.clone())?;
        Ok(at.weight())
    }
    fn products(&self, at: Arc<Evaluation>) -> Result<Box<dyn SymmetricOperator>> {
        Ok(Box::new(Outer { passes: vec![at.backward()?.clone()], weight: at.weight(), n: at.n(), n_params: at.n_params() }))
    }
}

/// The matrix between the Jacobians.
enum Middle {
    Hessian,
    Fisher,
}

/// `R JᵀMJ`: a forward and a backward sweep a product.
struct Sandwich {
    at: Arc<Evaluation>,
    middle: Middle,
}

impl SymmetricOperator for Sandwich {
    fn dim(&self) -> usize {
        self.at.n_params()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let outcome = self.at.outcome();
        let mut jv = Buffer::new(outcome.outputs.len());
        let mut u = Buffer::zeros(outcome.outputs.len());
        self.at.forward().jacobian_product(v, &mut jv)?;
        match self.middle {
            Middle::Hessian => self.at.loss().hessian_product(&outcome, &jv, &mut u),
            Middle::Fisher => self.at.loss().likelihood()?.fisher_product(&outcome, &jv, &mut u),
        }
        scale(self.at.weight(), &mut u);
        self.at.forward().transposed_product(&u, out)
    }
}

/// `w Σ g gᵀ` on kept backward passes: per-sample slopes `gᵀv`, then one weighted sum.
struct Outer {
    passes: Vec<Arc<dyn Backward>>,
    weight: f64,
    n: usize,
    n_params: usize,
}

impl SymmetricOperator for Outer {
    fn dim(&self) -> usize {
        self.n_params
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let mut slopes = vec![0.0; self.n];
        let mut part = vec![0.0; if self.passes.len() > 1 { out.len() } else { 0 }];
        for (k, pass) in self.passes.iter().enumerate() {
            pass.slopes(v, &mut slopes)?;
            scale(self.weight, &mut slopes);
            if k == 0 {
                pass.weighted_gradient(&slopes, out)?;
            } else {
                pass.weighted_gradient(&slopes, &mut part)?;
                axpy(1.0, &part, out);
            }
        }
        Ok(())
    }
}

/// A matrix of the data term plus the regulariser's `λ I`, with counted products.
struct Regularized<'a> {
    data: Box<dyn SymmetricOperator>,
    l2: f64,
    counts: &'a Counts,
}

impl SymmetricOperator for Regularized<'_> {
    fn dim(&self) -> usize {
        self.data.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        counts::add(&self.counts.hessian_product, 1);
        self.data.apply(v, out)?;
        axpy(self.l2, v, out);
        Ok(())
    }
}

macro_rules! curvature_of_supervised_problems {
    ($($source:ty),*) => {$(
        impl<P: Vector> Curvature<Supervised<P>> for $source {
            fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
                let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
                let l2 = here.l2();
                Ok(Box::new(Regularized { data: self.products(here)?, l2, counts: at.counts }))
            }
        }
    )*};
}
curvature_of_supervised_problems!(GaussNewton, Fisher, MonteCarloFisher, EmpiricalFisher);
