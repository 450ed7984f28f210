//! Networks of dense and convolutional layers: architecture, parameters, and the [`Model`] interface.
//!
//! Layer `l` maps `a` to `φ(W ā)`, `ā = (a; 1)`, at each position it sees; then its dropout mask and skip connection.
//! The parameters are the concatenation over layers of `vec([W b])`, columns stacked, `W` outputs × inputs.

use super::gather::{Convolution, Gather, Shape};
use super::{Activation, Batch, Block, Forward, Model, parts};
use crate::error::{Error, Result};
use std::sync::Arc;

/// A feed-forward network, built layer by layer. A linear or generalized linear model is one layer.
///
/// # Example
/// ```
/// use curvkit::model::{Activation, Batch, Model, Network};
/// use std::sync::Arc;
///
/// let net = Network::vector(2)?.dense(3, Activation::Tanh)?.dense(1, Activation::Identity)?;
/// assert_eq!(net.n_params(), (2 + 1) * 3 + (3 + 1));
/// let x = Arc::new(Batch::new(2, vec![1.0, -1.0])?);
/// let zero = net.forward(&[0.0; 13].into(), &x)?;
/// assert_eq!(zero.outputs(), [0.0]);
/// # Ok::<(), curvkit::error::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network {
    pub(super) architecture: Arc<Architecture>,
}

/// Which layers' results a pass keeps for later products. The others are computed again, bit for bit, when a product needs
/// them (Griewank 1992; Chen et al. 2016). Besides, the outputs and whatever a skip connection adds are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Checkpoints {
    /// All results, and the signals of a backward pass.
    #[default]
    All,
    /// Every `k`-th result and no signals: a backward sweep holds `k` layers at a time and costs at most one more forward sweep.
    Every(usize),
    /// No result: a backward sweep holds one layer at a time and starts again from the inputs for each.
    None,
}

/// What a network is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Architecture {
    pub stages: Vec<Stage>,
    /// Of the inputs and after each stage.
    pub shapes: Vec<Shape>,
    pub n_params: usize,
    /// Seed of the dropout masks.
    pub seed: u64,
    pub checkpoints: Checkpoints,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stage {
    /// Patches of what the layer sees; `None` if it is the previous result as it stands.
    pub gather: Option<Gather>,
    pub inputs: usize,
    pub outputs: usize,
    pub positions: usize,
    pub activation: Activation,
    /// Adds the result of an earlier stage (counted from 1; 0 is the input).
    pub skip: Option<usize>,
    /// Probability with which a result is set to zero.
    pub dropout: f64,
    /// First parameter.
    pub offset: usize,
}

impl Stage {
    /// True if the derivatives of the activation can be computed from the result.
    pub fn shows_basis(&self) -> bool {
        !self.activation.keeps_argument() && self.dropout == 0.0 && self.skip.is_none()
    }
    pub fn weights<'a>(&self, theta: &'a [f64]) -> &'a [f64] {
        &theta[self.offset..self.offset + self.outputs * self.inputs]
    }
    pub fn bias<'a>(&self, theta: &'a [f64]) -> &'a [f64] {
        let start = self.offset + self.outputs * self.inputs;
        &theta[start..start + self.outputs]
    }
    /// Weights and bias.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.outputs * (self.inputs + 1)
    }
    /// Weights and bias, writable.
    pub fn split_mut<'a>(&self, theta: &'a mut [f64]) -> (&'a mut [f64], &'a mut [f64]) {
        theta[self.range()].split_at_mut(self.outputs * self.inputs)
    }
}

impl Network {
    fn start(shape: Shape) -> Result<Self> {
        Error::check_option(shape.len() > 0, "values per sample", "positive", shape.len())?;
        let architecture =
            Architecture { stages: Vec::new(), shapes: vec![shape], n_params: 0, seed: 0, checkpoints: Checkpoints::All };
        Ok(Self { architecture: Arc::new(architecture) })
    }

    /// Over vectors of `n` values.
    ///
    /// # Errors
    /// [`Error::Config`] if `n` is zero.
    pub fn vector(n: usize) -> Result<Self> {
        Self::start(Shape::Flat(n))
    }

    /// Over images of `channels × height × width` values, channel after channel, each row after row.
    ///
    /// # Errors
    /// [`Error::Config`] if a size is zero.
    pub fn image(channels: usize, height: usize, width: usize) -> Result<Self> {
        Self::start(Shape::Image { channels, height, width, by_position: false })
    }

    /// Dense layers of the sizes `dims[0] → dims[1] → …`; the last one without activation.
    ///
    /// # Errors
    /// [`Error::Config`] if there are fewer than two sizes or one is zero.
    pub fn perceptron(dims: &[usize], activation: Activation) -> Result<Self> {
        Error::check_option(dims.len() >= 2, "layer sizes", "at least two", dims.len())?;
        let hidden = &dims[1..dims.len() - 1];
        let net = hidden.iter().try_fold(Self::vector(dims[0])?, |net, &n| net.dense(n, activation))?;
        net.dense(dims[dims.len() - 1], Activation::Identity)
    }

    fn with(self, change: impl FnOnce(&mut Architecture) -> Result<()>) -> Result<Self> {
        let mut architecture = Arc::unwrap_or_clone(self.architecture);
        change(&mut architecture)?;
        Ok(Self { architecture: Arc::new(architecture) })
    }

    /// Adds a dense layer.
    ///
    /// # Errors
    /// [`Error::Config`] if it has no outputs.
    pub fn dense(self, outputs: usize, activation: Activation) -> Result<Self> {
        Error::check_option(outputs > 0, "outputs", "positive", outputs)?;
        self.with(|net| {
            let before = net.shape();
            let gather = Gather::flatten(before);
            net.push(gather, before.len(), outputs, 1, activation);
            net.shapes.push(Shape::Flat(outputs));
            Ok(())
        })
    }

    /// Adds a convolution; the same weights act at all positions.
    ///
    /// # Errors
    /// [`Error::Unsupported`] after a dense layer, [`Error::Config`] if the kernel does not fit or a size is zero.
    pub fn convolution(self, convolution: Convolution, activation: Activation) -> Result<Self> {
        self.with(|net| {
            let (gather, shape) = Gather::convolution(net.shape(), &convolution)?;
            let (inputs, positions) = (gather.inputs, gather.positions);
            net.push(Some(gather), inputs, convolution.channels, positions, activation);
            net.shapes.push(shape);
            Ok(())
        })
    }

    /// Adds the result of layer `from` (counted from 1; 0 is the input) to that of the last layer, after its activation.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such layer before it or the sizes differ.
    pub fn skip(self, from: usize) -> Result<Self> {
        self.with(|net| {
            let last = net.stages.len();
            Error::check_option(from < last, "skip", "an earlier layer than the last", from)?;
            Error::check_option(net.shapes[from] == net.shapes[last], "skip", "from a layer of the same shape", from)?;
            net.stages[last - 1].skip = Some(from);
            Ok(())
        })
    }

    /// Sets each result of the last layer to zero with probability `p` and divides the others by `1 − p` (inverted dropout);
    /// the mask depends on the [seed](Self::seed) and the place in the batch only, so it is fixed for all products.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no layer or `p` is not in `[0, 1)`.
    pub fn dropout(self, p: f64) -> Result<Self> {
        Error::check_option((0.0..1.0).contains(&p), "dropout", "in [0, 1)", p)?;
        self.with(|net| {
            let last = net.stages.last_mut().ok_or(Error::Unsupported { what: "dropout", requirement: "a layer before it" })?;
            last.dropout = p;
            Ok(())
        })
    }

    /// The same network with other dropout masks.
    pub fn seed(mut self, seed: u64) -> Self {
        Arc::make_mut(&mut self.architecture).seed = seed;
        self
    }

    /// The same network with other results kept by its passes. Values and products do not change by a bit; single samples'
    /// gradients and the layers of a backward pass keep everything from when they are first asked for.
    ///
    /// # Errors
    /// [`Error::Config`] for `Every(0)`.
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Result<Self> {
        Error::check_option(checkpoints != Checkpoints::Every(0), "checkpoints", "every k-th layer for a positive k", 0)?;
        Arc::make_mut(&mut self.architecture).checkpoints = checkpoints;
        Ok(self)
    }

    /// The same network without dropout: what is used to predict.
    pub fn without_dropout(mut self) -> Self {
        Arc::make_mut(&mut self.architecture).stages.iter_mut().for_each(|stage| stage.dropout = 0.0);
        self
    }
}

impl Architecture {
    /// Of the outputs.
    pub fn shape(&self) -> Shape {
        self.shapes[self.shapes.len() - 1]
    }

    fn push(&mut self, gather: Option<Gather>, inputs: usize, outputs: usize, positions: usize, activation: Activation) {
        let offset = self.n_params;
        self.stages.push(Stage { gather, inputs, outputs, positions, activation, skip: None, dropout: 0.0, offset });
        self.n_params += outputs * (inputs + 1);
    }

    /// True if passes keep the result of stage `l` (counted from 1).
    pub fn keeps_result(&self, l: usize) -> bool {
        let kept = match self.checkpoints {
            Checkpoints::All => true,
            Checkpoints::Every(k) => l.is_multiple_of(k),
            Checkpoints::None => false,
        };
        kept || l == self.stages.len() || self.is_skipped_from(l)
    }

    /// True if a later stage adds the result of stage `l` (counted from 1) to its own.
    pub fn is_skipped_from(&self, l: usize) -> bool {
        self.stages.iter().any(|stage| stage.skip == Some(l))
    }
}

impl Model for Network {
    fn n_params(&self) -> usize {
        self.architecture.n_params
    }
    fn n_inputs(&self) -> usize {
        self.architecture.shapes[0].len()
    }
    fn n_outputs(&self) -> usize {
        self.architecture.shape().len()
    }
    fn layout(&self) -> Vec<Block> {
        let block = |(l, s): (usize, &Stage)| Block {
            name: format!("layer {}", l + 1),
            offset: s.offset,
            rows: s.outputs,
            columns: s.inputs + 1,
        };
        self.architecture.stages.iter().enumerate().map(block).collect()
    }
    fn forward(&self, theta: &Arc<[f64]>, inputs: &Arc<Batch>) -> Result<Arc<dyn Forward>> {
        Error::check_option(!self.architecture.stages.is_empty(), "layers", "at least one", 0)?;
        Error::check_len("parameters", self.n_params(), theta.len())?;
        Error::check_len("values per input sample", self.n_inputs(), inputs.dim())?;
        Ok(parts::forward(&self.architecture, theta, inputs))
    }
}
