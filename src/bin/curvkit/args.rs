//! Commands and their flags.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Second-order optimization: minimize a function, or compare solvers on test problems.
///
/// Exit code 0: converged or done; 1: ran but did not converge; 2: bad input.
#[derive(Debug, Parser)]
#[command(name = "curvkit", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the names of problems, solvers, data sets, optimizers and schedules.
    List(ListArgs),
    /// Minimize a test problem or an expression.
    Minimize(MinimizeArgs),
    /// Run solvers on problems and write a report.
    Compare(CompareArgs),
    /// Fit a formula to data: estimates, standard errors, and whether to trust them.
    Fit(Box<FitArgs>),
    /// Apply a saved fit to new data.
    Predict(PredictArgs),
    /// Fit a generalized linear model: coefficients, deviances, and what cannot be estimated.
    Glm(crate::glm::GlmArgs),
    /// Train a model on data, by a first-order, stochastic or second-order method.
    Train(Box<crate::train::TrainArgs>),
    /// Look at the curvature of a model on data: eigenvalues, condition numbers, and how good approximations are.
    Spectrum(SpectrumArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Category {
    Problems,
    Solvers,
    Datasets,
    Optimizers,
    Rules,
    Schedules,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// What to list; everything if left out.
    pub category: Option<Category>,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["problem", "expr"])))]
pub struct MinimizeArgs {
    /// A test problem (`curvkit list problems`).
    #[arg(long, value_name = "NAME")]
    pub problem: Option<String>,
    /// Number of variables of a test problem that comes in any size.
    #[arg(long, value_name = "N", conflicts_with = "expr")]
    pub n: Option<usize>,
    /// A function as text, such as "(1-x)^2 + 100*(y-x^2)^2"; its variables in alphabetical order.
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true)]
    pub expr: Option<String>,
    /// Where to start; the problem's own start, or 1 in every variable of an expression.
    #[arg(long, value_name = "V1,V2,…", allow_hyphen_values = true)]
    pub start: Option<String>,
    /// The solver with its options (`curvkit list solvers`).
    #[arg(long, value_name = "NAME[:KEY=VALUE,…]", default_value = "trust_region_exact")]
    pub solver: String,
    /// Bound of the gradient test, absolute and relative to the start [default: 1e-8].
    #[arg(long, value_name = "G", allow_hyphen_values = true)]
    pub gtol: Option<String>,
    /// Iteration limit instead of the solver's own.
    #[arg(long, value_name = "N")]
    pub max_iters: Option<u64>,
    /// Time limit.
    #[arg(long, value_name = "S", default_value_t = 600.0, allow_hyphen_values = true)]
    pub seconds: f64,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Problems, or `all`; the default set has more than twenty, from two variables to a hundred.
    #[arg(long, value_name = "A,B,…", conflicts_with = "data")]
    pub problems: Option<String>,
    /// Solvers with options, or `all`; with --data, methods of training (`curvkit list optimizers`).
    #[arg(long, value_name = "A[:KEY=VALUE,…],B,…")]
    pub solvers: Option<String>,
    #[command(flatten)]
    pub race: crate::race::RaceArgs,
    /// Directory of the report.
    #[arg(long, value_name = "DIR", default_value = "curvkit-report")]
    pub out: PathBuf,
    /// Time limit of each run [default: 0.5; with --data none].
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    pub seconds: Option<f64>,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["nist", "model"])))]
pub struct FitArgs {
    /// One of NIST's 27 certified regressions.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["data", "params", "y", "weights"])]
    pub nist: Option<String>,
    /// Which of NIST's two starts.
    #[arg(long, value_name = "1|2", default_value_t = 1, requires = "nist")]
    pub start: usize,
    /// The model, such as "y = b1*(1 - exp(-b2*x))": names are parameters or columns of the data.
    #[arg(long, value_name = "EXPR", allow_hyphen_values = true, requires_all = ["data", "params"])]
    pub model: Option<String>,
    /// A table with a header: CSV, TSV, or columns separated by semicolons or blanks.
    #[arg(long, value_name = "FILE")]
    pub data: Option<String>,
    /// The parameters with their starts.
    #[arg(long, value_name = "B1=V,B2=V", allow_hyphen_values = true)]
    pub params: Option<String>,
    /// The column of observations, where the model has no left side.
    #[arg(long, value_name = "NAME")]
    pub y: Option<String>,
    /// The column along the horizontal axis of the report, where the model uses several.
    #[arg(long, value_name = "NAME", requires = "model")]
    pub x: Option<String>,
    /// A column of prior weights: inverse variances, up to a factor.
    #[arg(long, value_name = "NAME")]
    pub weights: Option<String>,
    /// A loss for data with outliers: huber, soft_l1, cauchy, arctan or tukey; its scale is found unless it is given.
    #[arg(long, value_name = "NAME[:SCALE]")]
    pub loss: Option<String>,
    /// Lower and upper bounds of parameters; either end may be left out.
    #[arg(long, value_name = "B1=LO:HI,B2=:HI", allow_hyphen_values = true)]
    pub bounds: Option<String>,
    /// Parameters that are known.
    #[arg(long, value_name = "B3=V", allow_hyphen_values = true)]
    pub fix: Option<String>,
    /// Parameters that follow from others.
    #[arg(long, value_name = "B4=EXPR", allow_hyphen_values = true)]
    pub tie: Option<String>,
    /// Method of the first phase: levenberg_marquardt, levenberg_marquardt_nielsen or gauss_newton.
    #[arg(long, value_name = "NAME", default_value = "levenberg_marquardt")]
    pub solver: String,
    /// Iteration limit of the first phase.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_iters: u64,
    /// Level of the intervals.
    #[arg(long, value_name = "P", default_value_t = 0.95, allow_hyphen_values = true)]
    pub level: f64,
    /// Also find profile-likelihood intervals, which bend with the model.
    #[arg(long)]
    pub profile: bool,
    /// Fit from this many starts and keep the lowest minimum; all but the first are drawn around the given one.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub starts: usize,
    /// Seed of the starts that are drawn.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Write a report into a directory: data and curve, residuals, correlations, convergence.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the fit to a file, for `curvkit predict`.
    #[arg(long, value_name = "FILE")]
    pub save: Option<String>,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// What `curvkit fit --save` wrote.
    #[arg(long, value_name = "FILE")]
    pub fit: String,
    /// A table with the columns that the model uses.
    #[arg(long, value_name = "FILE")]
    pub data: String,
    /// Level of the intervals.
    #[arg(long, value_name = "P", default_value_t = 0.95, allow_hyphen_values = true)]
    pub level: f64,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct SpectrumArgs {
    /// A table with a header; without it, samples are drawn from a random network.
    #[arg(long, value_name = "FILE")]
    pub data: Option<String>,
    /// The column of responses: numbers, labels 0, 1, … or counts; the last one if left out.
    #[arg(long, value_name = "NAME", requires = "data")]
    pub y: Option<String>,
    /// Number of samples that are drawn.
    #[arg(long, value_name = "N", default_value_t = 200, conflicts_with = "data")]
    pub samples: usize,
    /// Inputs of samples that are drawn.
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with = "data")]
    pub inputs: usize,
    /// Shift and scale every input to mean zero and deviation one.
    #[arg(long)]
    pub standardize: bool,
    /// linear, logistic, multinomial or mlp.
    #[arg(long, value_name = "NAME", default_value = "mlp")]
    pub model: String,
    /// Units of the hidden layers of an mlp.
    #[arg(long, value_name = "N1,N2,…", default_value = "8,8")]
    pub layers: String,
    /// Activation of the hidden layers: tanh, sigmoid, relu, softplus, gelu, silu or identity.
    #[arg(long, value_name = "NAME", default_value = "tanh")]
    pub activation: String,
    /// squared, softmax, binary or poisson, where it does not follow from the model.
    #[arg(long, value_name = "NAME")]
    pub loss: Option<String>,
    /// Weight of the penalty ½ λ ‖θ‖².
    #[arg(long, value_name = "L", default_value_t = 0.0, allow_hyphen_values = true)]
    pub l2: f64,
    /// Steps of a trust-region Newton-CG method before looking.
    #[arg(long, value_name = "ITERS", default_value_t = 0)]
    pub train: u64,
    /// Damping of condition numbers and steps, relative to the largest eigenvalue of the Gauss–Newton matrix.
    #[arg(long, value_name = "D", default_value_t = 1e-3, allow_hyphen_values = true)]
    pub damping: f64,
    /// Lanczos steps of each probe of the densities.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub steps: usize,
    /// Probes of the densities of models with more than a hundred parameters.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub probes: usize,
    /// Seed of the samples, the first parameters and all probes.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Write a report into a directory: densities, heat maps, tables.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}
