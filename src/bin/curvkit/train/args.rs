//! Flags of `curvkit train`.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// An embedded data set (`curvkit list datasets`) or a file: .csv, .tsv, .txt, .dat, .svm, .libsvm, .svmlight, .npy, .idx or
    /// -ubyte, also packed as .gz.
    #[arg(long, value_name = "NAME|FILE")]
    pub data: String,
    /// The target: a column of a table, its last one if left out; for npy and IDX files the file that holds it.
    #[arg(long, value_name = "NAME|FILE")]
    pub target: Option<String>,
    /// linear, logistic, multinomial, svm or mlp.
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// Units of the hidden layers of an mlp.
    #[arg(long, value_name = "N1,N2,…", default_value = "16")]
    pub layers: String,
    /// Activation of the hidden layers: tanh, sigmoid, relu, softplus, gelu, silu or identity.
    #[arg(long, value_name = "NAME", default_value = "tanh")]
    pub activation: String,
    /// squared, huber, poisson, binary, softmax, squared_hinge or hinge, where it does not follow from model and target.
    #[arg(long, value_name = "NAME")]
    pub loss: Option<String>,
    /// Weight of the penalty ½ λ ‖w‖² [default: 0, svm: 1e-3].
    #[arg(long, value_name = "L", allow_hyphen_values = true)]
    pub l2: Option<f64>,
    /// The method with its options (`curvkit list optimizers`).
    #[arg(long, value_name = "NAME[:KEY=VALUE,…]", default_value = "adam")]
    pub optimizer: String,
    /// Passes through the training samples; iterations of a method that takes all samples at once.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub epochs: u64,
    /// Samples in a batch of a stochastic method, or `all` [default: 32; sag, saga, svrg: 1].
    #[arg(long, value_name = "B")]
    pub batch: Option<String>,
    /// Share of the samples that choices are made by: the answer is the point with the lowest loss on them.
    #[arg(long, value_name = "F", default_value_t = 0.15, allow_hyphen_values = true)]
    pub validation: f64,
    /// Share of the samples that is scored once, at the end.
    #[arg(long, value_name = "F", default_value_t = 0.15, allow_hyphen_values = true)]
    pub test: f64,
    /// Shift and scale features to mean zero and deviation one, as measured on the training samples.
    #[arg(long)]
    pub standardize: bool,
    /// End after this many epochs without a new lowest validation loss.
    #[arg(long, value_name = "N")]
    pub patience: Option<u64>,
    /// Time limit.
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub seconds: Option<f64>,
    /// Seed of the parts, the first parameters and the batches.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Write a report into a directory: curves of the loss, CSV and JSON.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}
