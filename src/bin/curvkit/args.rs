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
    /// Show the names of problems, solvers and data sets.
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Category {
    Problems,
    Solvers,
    Datasets,
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
    #[arg(long, value_name = "A,B,…")]
    pub problems: Option<String>,
    /// Solvers with options, or `all`.
    #[arg(long, value_name = "A[:KEY=VALUE,…],B,…", default_value = "all")]
    pub solvers: String,
    /// Directory of the report.
    #[arg(long, value_name = "DIR", default_value = "curvkit-report")]
    pub out: PathBuf,
    /// Time limit of each run.
    #[arg(long, value_name = "S", default_value_t = 0.5, allow_hyphen_values = true)]
    pub seconds: f64,
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
