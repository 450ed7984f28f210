//! Flags of `curvkit glm`.

use clap::Args;

#[derive(Debug, Args)]
pub struct GlmArgs {
    /// A table with a header: CSV, TSV, or columns separated by semicolons or blanks. Columns that are not used may be text.
    #[arg(value_name = "FILE")]
    pub data: String,
    /// The response: a column, or an expression of columns. With --trials the number of successes.
    #[arg(long, value_name = "NAME")]
    pub response: String,
    /// The terms, such as "x1 + log(x2) + factor(group) + x1:x2"; "- 1" leaves the constant out.
    #[arg(long, value_name = "TERMS", allow_hyphen_values = true)]
    pub terms: String,
    /// Distribution: gaussian, binomial, poisson, gamma, inverse_gaussian or negative_binomial:ALPHA.
    #[arg(long, value_name = "NAME", default_value = "gaussian")]
    pub family: String,
    /// Link: identity, log, logit, probit, cloglog, cauchit, inverse, inverse_squared, sqrt or power:P; the family's own if
    /// left out.
    #[arg(long, value_name = "NAME")]
    pub link: Option<String>,
    /// A column or expression that is added to the predictor, such as "log(exposure)".
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub offset: Option<String>,
    /// A column of prior weights: inverse variances up to a factor, or trials where the response is a proportion.
    #[arg(long, value_name = "NAME", conflicts_with = "trials")]
    pub weights: Option<String>,
    /// A column of numbers of trials, where the response counts successes (binomial).
    #[arg(long, value_name = "NAME")]
    pub trials: Option<String>,
    /// A column that says how often each row was observed.
    #[arg(long, value_name = "NAME")]
    pub frequencies: Option<String>,
    /// What standard errors are made of: expected or observed information, sandwich or sandwich_hc1.
    #[arg(long, value_name = "NAME", default_value = "expected")]
    pub se: String,
    /// Level of the intervals.
    #[arg(long, value_name = "P", default_value_t = 0.95, allow_hyphen_values = true)]
    pub level: f64,
    /// Iteration limit of the scoring steps.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_iters: u64,
    /// Write one JSON document to stdout.
    #[arg(long)]
    pub json: bool,
}
