//! What can go wrong ([`Error`]) and how a run ends ([`Stop`]): data first, text only through `Display`.

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Bad input or a failing user function: what, where, expected and found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A vector or matrix has the wrong length.
    #[error("{what}: expected length {expected}, found {found}")]
    Dimension {
        /// The object whose length is wrong.
        what: &'static str,
        /// Length that was required.
        expected: usize,
        /// Length that was given.
        found: usize,
    },
    /// An option is outside its range.
    #[error("option `{name}` must be {requirement}, found {value}")]
    Config {
        /// Name of the option.
        name: String,
        /// The range or form that is required.
        requirement: &'static str,
        /// The value that was given.
        value: String,
    },
    /// A value that must be finite is NaN or infinite.
    #[error("{what} is not finite{}", index.map(|i| format!(" (entry {i})")).unwrap_or_default())]
    NonFinite {
        /// The quantity.
        what: &'static str,
        /// First offending entry of a vector.
        index: Option<usize>,
    },
    /// A name that does not exist.
    #[error("unknown {kind} `{name}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// What was looked up: problem, solver, option, ….
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The closest existing name.
        nearest: Option<String>,
    },
    /// A text that cannot be read.
    #[error("cannot read {what} at character {position}: {reason}")]
    Parse {
        /// What was being read: expression, option, number, ….
        what: &'static str,
        /// Zero-based character position of the offence.
        position: usize,
        /// Why it cannot be read.
        reason: String,
    },
    /// A data file that does not say what it should.
    #[error("{file}:{line}: {}expected {expected}, found {found}", column.as_ref().map(|c| format!("column `{c}`: ")).unwrap_or_default())]
    Data {
        /// The file, or the name of the text.
        file: Box<str>,
        /// One-based line; one past the last where something is missing at the end.
        line: usize,
        /// The column's name or one-based number, where the offence is one column's.
        column: Option<Box<str>>,
        /// What should be there.
        expected: Box<str>,
        /// What is there.
        found: Box<str>,
    },
    /// A binary data file that does not say what it should.
    #[error("{file}: byte {offset}: expected {expected}, found {found}")]
    Bytes {
        /// The file, or the name of the bytes.
        file: Box<str>,
        /// Zero-based position of the offence, after unpacking.
        offset: usize,
        /// What should be there.
        expected: Box<str>,
        /// What is there.
        found: Box<str>,
    },
    /// A row of observations that the model does not admit.
    #[error("{what} must be {requirement}, found {value} in row {}", row + 1)]
    Observation {
        /// What is wrong: response, weights, offset, ….
        what: &'static str,
        /// Zero-based row; shown one-based.
        row: usize,
        /// The range that is required.
        requirement: &'static str,
        /// The value that was given.
        value: f64,
    },
    /// A function of the user's problem failed.
    #[error("the problem's {what} failed: {source}")]
    Problem {
        /// The function: cost, gradient, hessian, ….
        what: &'static str,
        /// The user's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A capability that the operator or problem does not have.
    #[error("{what} needs {requirement}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// What would have to be there.
        requirement: &'static str,
    },
    /// A factorization that broke down.
    #[error("{what} broke down at pivot {pivot}")]
    Factorization {
        /// The factorization.
        what: &'static str,
        /// Zero-based pivot.
        pivot: usize,
    },
    /// A target that the loss cannot take.
    #[error("target of sample {sample} must be {requirement}, found {found}")]
    Target {
        /// Zero-based sample.
        sample: usize,
        /// What a target must be.
        requirement: &'static str,
        /// The value that was given.
        found: f64,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// `Ok` if `found == expected`, else [`Error::Dimension`].
    pub fn check_len(what: &'static str, expected: usize, found: usize) -> Result<()> {
        if expected == found { Ok(()) } else { Err(Error::Dimension { what, expected, found }) }
    }

    /// `Ok` if every entry is finite, else [`Error::NonFinite`] naming the first offender.
    pub fn check_finite(what: &'static str, values: &[f64]) -> Result<()> {
        match values.iter().position(|v| !v.is_finite()) {
            None => Ok(()),
            index => Err(Error::NonFinite { what, index }),
        }
    }

    /// [`Error::Unknown`] with the nearest of the `known` names, if one is within a third of the letters.
    pub fn unknown<'a>(kind: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let bound = name.chars().count().div_ceil(3);
        let nearest = known.into_iter().map(|k| (edit_distance(name, k), k)).min().filter(|(d, _)| *d <= bound);
        Error::Unknown { kind, name: name.into(), nearest: nearest.map(|(_, k)| k.into()) }
    }

    /// What `table` holds under `name`, else [`Error::Unknown`] with the nearest name.
    pub fn look_up<T: Copy>(kind: &'static str, name: &str, table: &[(&str, T)]) -> Result<T> {
        let found = table.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        found.ok_or_else(|| Self::unknown(kind, name, table.iter().map(|(known, _)| *known)))
    }

    /// `Ok` if `ok`, else [`Error::Config`]; for the `validate` functions of options.
    pub fn check_option(ok: bool, name: &str, requirement: &'static str, value: impl std::fmt::Display) -> Result<()> {
        if ok { Ok(()) } else { Err(Error::Config { name: name.into(), requirement, value: value.to_string() }) }
    }
}

/// Least number of inserted, deleted or replaced characters that makes `b` of `a` (Levenshtein 1966), by one row of the table.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, cb) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}

/// Why a run ended, with the measured value and the bound it was held against.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Stop {
    /// The gradient test: `‖g‖∞ ≤ bound`.
    Gradient {
        /// `‖g‖∞` at the answer.
        norm: f64,
        /// `max(gtol_abs, gtol_rel ‖g₀‖∞)`.
        bound: f64,
    },
    /// The decrement test: as far as the solver's own numbers tell, the cost is within `decrease` of its minimum.
    Decrement {
        /// What is left of the decrease: a negligible part of that of the run, or of the rounding of the cost, or what a step that is
        /// lost beside the variables promises.
        decrease: f64,
        /// `‖·‖₂` of the way that is left.
        distance: f64,
    },
    /// The step test: `‖step‖ ≤ bound`.
    Step {
        /// Length of the last accepted step.
        norm: f64,
        /// Its bound.
        bound: f64,
    },
    /// The cost test: relative decrease `≤ bound`.
    Cost {
        /// Last relative decrease.
        change: f64,
        /// Its bound.
        bound: f64,
    },
    /// No acceptable point could be found although the gradient test is not met.
    NoProgress {
        /// `‖g‖∞` where the search gave up.
        gradient_norm: f64,
        /// The bound that was not met.
        bound: f64,
        /// Trials of the last search.
        trials: u64,
    },
    /// The cost falls without end: at least half as fast as its slope says, over ten decades of the step along a direction, or
    /// below the bound that was set.
    Unbounded {
        /// The cost reached.
        cost: f64,
        /// Unit direction along which it falls.
        direction: Vec<f64>,
    },
    /// No minimum within reach: the decrease has dried up while the variables go on growing, as along `exp(−x)`.
    Receding {
        /// What the model still sees to gain.
        decrease: f64,
        /// The distance to a minimum that the model sees.
        distance: f64,
        /// `‖x‖₂` where the run ended.
        x_norm: f64,
    },
    /// The gradient disagrees with the cost: the slope it gives along a step is not the one that differences of the cost show.
    /// [`problem::check`](crate::problem::check) compares them entry by entry.
    InconsistentDerivatives {
        /// Slope along the step, of length one, by the gradient.
        slope: f64,
        /// The same by a central difference of the cost.
        difference: f64,
    },
    /// The iteration limit was reached.
    Iterations {
        /// Iterations done.
        count: u64,
        /// Iterations allowed.
        bound: u64,
    },
    /// The time limit passed inside an iteration.
    Deadline {
        /// Seconds used.
        seconds: f64,
        /// Seconds allowed.
        bound: f64,
    },
    /// The cost fell to a given value.
    Target {
        /// The cost.
        cost: f64,
        /// The value asked for.
        bound: f64,
    },
    /// As many passes through the data as were allowed.
    Epochs {
        /// Passes done.
        count: f64,
        /// Passes allowed.
        bound: f64,
    },
    /// Early stopping: no better validation loss for too long.
    Patience {
        /// The lowest loss, whose point is the answer.
        lowest: f64,
        /// Evaluations since then.
        count: u64,
        /// Evaluations allowed.
        bound: u64,
    },
    /// The iterates ran away; the last finite point is kept.
    Diverged {
        /// The cost, or NaN where a step was not finite.
        value: f64,
        /// What it may be.
        bound: f64,
    },
    /// A user function failed or a curvature could not be formed; the best point is kept.
    Failed {
        /// The error's text.
        message: String,
    },
}

impl Stop {
    /// True for the tests that mean success.
    pub fn converged(&self) -> bool {
        matches!(
            self,
            Stop::Gradient { .. } | Stop::Decrement { .. } | Stop::Step { .. } | Stop::Cost { .. } | Stop::Target { .. }
        )
    }

    /// True for the tests whose numbers are those of the point where the run ended, which is then the answer.
    pub(crate) fn speaks_of_a_point(&self) -> bool {
        matches!(
            self,
            Stop::Gradient { .. }
                | Stop::Decrement { .. }
                | Stop::Step { .. }
                | Stop::Cost { .. }
                | Stop::NoProgress { .. }
                | Stop::Unbounded { .. }
                | Stop::Receding { .. }
                | Stop::InconsistentDerivatives { .. }
        )
    }

    /// One word that names the test, as used in JSON and tables.
    pub fn reason(&self) -> &'static str {
        match self {
            Stop::Gradient { .. } => "gradient",
            Stop::Decrement { .. } => "decrement",
            Stop::Step { .. } => "step",
            Stop::Cost { .. } => "cost",
            Stop::NoProgress { .. } => "no_progress",
            Stop::Unbounded { .. } => "unbounded",
            Stop::Receding { .. } => "receding",
            Stop::InconsistentDerivatives { .. } => "inconsistent_derivatives",
            Stop::Iterations { .. } => "iterations",
            Stop::Deadline { .. } => "deadline",
            Stop::Target { .. } => "target",
            Stop::Epochs { .. } => "epochs",
            Stop::Patience { .. } => "patience",
            Stop::Diverged { .. } => "diverged",
            Stop::Failed { .. } => "failed",
        }
    }

    /// The measured value and its bound, where the test has them.
    pub fn value_and_bound(&self) -> Option<(f64, f64)> {
        match *self {
            Stop::Gradient { norm, bound } | Stop::Step { norm, bound } => Some((norm, bound)),
            Stop::Cost { change, bound } => Some((change, bound)),
            Stop::NoProgress { gradient_norm, bound, .. } => Some((gradient_norm, bound)),
            Stop::Iterations { count, bound } => Some((count as f64, bound as f64)),
            Stop::Deadline { seconds, bound } => Some((seconds, bound)),
            Stop::Target { cost, bound } => Some((cost, bound)),
            Stop::Epochs { count, bound } => Some((count, bound)),
            Stop::Patience { count, bound, .. } => Some((count as f64, bound as f64)),
            Stop::Diverged { value, bound } => Some((value, bound)),
            Stop::InconsistentDerivatives { slope, difference } => Some((slope, difference)),
            Stop::Decrement { .. } | Stop::Unbounded { .. } | Stop::Receding { .. } | Stop::Failed { .. } => None,
        }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Gradient { norm, bound } => write!(f, "gradient test met: {norm:.3e} <= {bound:.3e}"),
            Stop::Decrement { decrease, distance } => {
                write!(f, "decrement test met: {decrease:.3e} of the cost and {distance:.3e} of the way are left")
            }
            Stop::Step { norm, bound } => write!(f, "step test met: {norm:.3e} <= {bound:.3e}"),
            Stop::Cost { change, bound } => write!(f, "cost test met: {change:.3e} <= {bound:.3e}"),
            Stop::NoProgress { gradient_norm, bound, trials } => {
                write!(f, "no progress after {trials} trials: gradient norm {gradient_norm:.3e}")?;
                if gradient_norm > bound { write!(f, " > {bound:.3e}") } else { Ok(()) }
            }
            Stop::Unbounded { cost, direction } => {
                write!(
                    f,
                    "the cost appears unbounded below: {cost:.3e}, and falling over ten decades of the step along {}",
                    Direction(direction)
                )
            }
            Stop::Receding { decrease, distance, x_norm } => write!(
                f,
                "no minimum in sight: the model sees {decrease:.3e} to gain at a distance of {distance:.3e}, and |x| = {x_norm:.3e} keeps growing"
            ),
            Stop::InconsistentDerivatives { slope, difference } => write!(
                f,
                "the gradient disagrees with the cost: slope {slope:.3e} along the step, {difference:.3e} by differences of the cost (see problem::check)"
            ),
            Stop::Iterations { count, bound } => write!(f, "iteration limit: {count} of {bound}"),
            Stop::Deadline { seconds, bound } => write!(f, "time limit: {seconds:.3} s > {bound:.3} s"),
            Stop::Target { cost, bound } => write!(f, "target reached: {cost:.6e} <= {bound:.6e}"),
            Stop::Epochs { count, bound } => write!(f, "epochs: {count:.2} of {bound:.2}"),
            Stop::Patience { lowest, count, bound } => {
                write!(f, "no loss below {lowest:.6e} in {count} evaluations, {bound} allowed")
            }
            Stop::Diverged { value, bound } => {
                write!(f, "diverged (a smaller learning rate may help): cost {value:.3e}, bound {bound:.3e}")
            }
            Stop::Failed { message } => write!(f, "failed: {message}"),
        }
    }
}

/// A direction in text: its largest entries.
struct Direction<'a>(&'a [f64]);

impl std::fmt::Display for Direction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 4;
        if self.0.len() <= SHOWN {
            let entries: Vec<String> = self.0.iter().map(|v| format!("{v:.3}")).collect();
            return write!(f, "({})", entries.join(", "));
        }
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by(|&i, &j| self.0[j].abs().total_cmp(&self.0[i].abs()));
        let entries: Vec<String> = order[..SHOWN].iter().map(|&i| format!("{:.3} of variable {}", self.0[i], i + 1)).collect();
        write!(f, "({}, …)", entries.join(", "))
    }
}
