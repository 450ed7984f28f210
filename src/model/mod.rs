//! Models `f(x; θ)` over batches of inputs: values, Jacobian products and what Kronecker factors are made from.
//!
//! A [`Model`] at `θ` over a [`Batch`] is a [`Forward`] pass: immutable, shared, made once a point. For output adjoints `u`
//! (one column per sample) it gives a [`Backward`] pass, which keeps the signals that per-sample gradients `gᵢ = Jᵢᵀuᵢ`,
//! exact second-order products and Kronecker factors need. A model of one's own implements the three traits;
//! [`Network`] is dense and convolutional layers.

mod activation;
mod gather;
mod initialize;
mod network;
mod parts;
mod pass;
mod second_order;
mod signals;

use crate::error::{Error, Result};
use std::sync::Arc;

pub use activation::Activation;
pub use gather::Convolution;
pub use initialize::Initialization;
pub use network::{Checkpoints, Network};

/// Samples as the columns of a `dim × n` matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    dim: usize,
    n: usize,
    values: Vec<f64>,
}

impl Batch {
    /// From `dim · n` values, sample after sample.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the values are not whole samples, [`Error::Config`] for an empty batch,
    /// [`Error::NonFinite`] with the first offending entry.
    pub fn new(dim: usize, values: Vec<f64>) -> Result<Self> {
        Error::check_option(dim > 0, "values per sample", "positive", dim)?;
        Error::check_option(!values.is_empty(), "samples in a batch", "positive", 0)?;
        let n = values.len().div_ceil(dim);
        Error::check_len("batch", n * dim, values.len())?;
        Error::check_finite("batch", &values)?;
        Ok(Self { dim, n, values })
    }

    /// Values per sample.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of samples, at least one.
    pub fn n(&self) -> usize {
        self.n
    }

    /// All values, sample after sample.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One sample.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn sample(&self, i: usize) -> &[f64] {
        &self.values[i * self.dim..(i + 1) * self.dim]
    }

    /// Some of the samples, in the order given.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such sample or none is asked for.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        for row in rows {
            Error::check_option(*row < self.n, "sample", "one of the batch", row)?;
        }
        Self::new(self.dim, rows.iter().flat_map(|&row| self.sample(row).iter().copied()).collect())
    }
}

/// A named part of the parameters, a matrix with its columns stacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name, such as `layer 1`.
    pub name: String,
    /// First parameter.
    pub offset: usize,
    /// Rows: a layer's outputs.
    pub rows: usize,
    /// Columns: a layer's inputs and, last, its bias.
    pub columns: usize,
}

impl Block {
    /// The parameters of the block.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.rows * self.columns
    }
}

/// A function of parameters and inputs, evaluated for whole batches; object safe.
pub trait Model: Send + Sync {
    /// Number of parameters.
    fn n_params(&self) -> usize;
    /// Values per input sample.
    fn n_inputs(&self) -> usize;
    /// Outputs per sample.
    fn n_outputs(&self) -> usize;
    /// The parameters' parts, in order and without gaps; by default one block.
    fn layout(&self) -> Vec<Block> {
        vec![Block { name: "parameters".into(), offset: 0, rows: self.n_params(), columns: 1 }]
    }
    /// The model at `theta` for all samples; the pass may share both.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the parameters or the samples do not fit.
    fn forward(&self, theta: &Arc<[f64]>, inputs: &Arc<Batch>) -> Result<Arc<dyn Forward>>;
}

/// A model's values at one point, with what its derivatives need; `n` samples, `c` outputs each.
pub trait Forward: Send + Sync {
    /// `f`, `c × n`.
    fn outputs(&self) -> &[f64];
    /// `out ← J v`, `c × n`, for a parameter direction `v`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong.
    fn jacobian_product(&self, v: &[f64], out: &mut [f64]) -> Result<()>;
    /// `out ← Jᵀu = Σᵢ Jᵢᵀuᵢ` for output adjoints `u`, `c × n`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong.
    fn transposed_product(&self, u: &[f64], out: &mut [f64]) -> Result<()>;
    /// The backward pass for output adjoints `u`, `c × n`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is wrong.
    fn backward(self: Arc<Self>, u: &[f64]) -> Result<Arc<dyn Backward>>;
    /// The same to be read once: a model may keep no signals and make them again for every call. By default it keeps them.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the length is wrong.
    fn backward_once(self: Arc<Self>, u: Vec<f64>) -> Result<Arc<dyn Backward>> {
        self.backward(&u)
    }
}

/// A backward pass: per-sample gradients `gᵢ = Jᵢᵀuᵢ` without forming them.
pub trait Backward: Send + Sync {
    /// `out ← Σᵢ gᵢ`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong.
    fn gradient(&self, out: &mut [f64]) -> Result<()>;
    /// `out ← (gᵢᵀv)ᵢ`, `n` values.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong.
    fn slopes(&self, v: &[f64], out: &mut [f64]) -> Result<()>;
    /// `out ← Σᵢ wᵢ gᵢ`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong.
    fn weighted_gradient(&self, weights: &[f64], out: &mut [f64]) -> Result<()>;
    /// `out ← gᵢ`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong, [`Error::Config`] if there is no such sample.
    fn sample_gradient(&self, i: usize, out: &mut [f64]) -> Result<()>;
    /// `out ← out + Σᵢ gᵢ ⊙ gᵢ`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong.
    fn add_squares(&self, out: &mut [f64]) -> Result<()>;
    /// `out ← Jᵀu̇ + Σᵢ Σ_c (uᵢ)_c ∇²f_{i,c} v` where `turn(Jv, u̇)` says how `u` changes with the outputs: for `u = ∇ℓ`, the
    /// product with the exact Hessian of `Σᵢ ℓ` (Pearlmutter 1994).
    ///
    /// # Errors
    /// [`Error::Dimension`] if a length is wrong; what `turn` reports.
    fn second_product(&self, v: &[f64], turn: &mut Turn<'_>, out: &mut [f64]) -> Result<()>;
    /// Inputs and output signals of each affine layer, if the model has such; one per [`Block`] of the layout.
    fn layers(&self) -> Vec<Layer<'_>> {
        Vec::new()
    }
    /// Calls `visit(block, layer)` for each of the [`layers`](Self::layers) from the last one, so that no two of them need be held
    /// at a time.
    fn each_layer(&self, visit: &mut dyn FnMut(usize, Layer<'_>)) {
        self.layers().into_iter().enumerate().rev().for_each(|(l, layer)| visit(l, layer));
    }
    /// Passes over parts of the samples, one after the other, if this one is made of such: sums over samples can be made from
    /// them, each part on a thread of its own, and need no [layer](Self::layers) in one piece. By default none.
    fn parts(&self) -> Vec<&dyn Backward> {
        Vec::new()
    }
}

/// Writes the change of the output adjoints for a given change of the outputs.
pub type Turn<'a> = dyn FnMut(&[f64], &mut [f64]) -> Result<()> + 'a;

/// An affine layer `z = W ā`, `ā = (a; 1)`, at `positions` shared positions of each sample: the gradient of sample `i` is
/// `Σₛ g_{i,s} ā_{i,s}ᵀ`.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// `a`, `inputs × (positions · n)`, without the trailing 1.
    pub inputs: faer::MatRef<'a, f64>,
    /// `g`, `outputs × (positions · n)`.
    pub signals: faer::MatRef<'a, f64>,
    /// Positions per sample.
    pub positions: usize,
}
