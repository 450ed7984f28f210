//! Solvers by name: one boxed type for all of them, and what a text `NAME[:key=value,…]` turns into.

use super::registry::ENTRIES;
use super::spec::{Key, Kind, Options, Spec};
use crate::counts::Tally;
use crate::error::{Error, Result, Stop};
use crate::problem::Erased;
use crate::second_order::certificate::Certificate;
use crate::second_order::minimizer::State;
use crate::second_order::stopping::Stopping;
use argmin::core::{Error as ArgminError, KV, Problem, Solver, TerminationStatus};

/// argmin's state over plain vectors.
pub type VecState = State<Vec<f64>>;

/// What a solver must tell beside being an argmin solver; object safe.
pub trait StudySolver: Solver<Erased, VecState> {
    /// Why the run ended; `None` if argmin's own limits ended it.
    fn stop(&self) -> Option<&Stop>;
    /// Evaluations of the run, those of the certificate left out.
    fn tally(&self) -> Tally;
    /// Evaluations for the certificate.
    fn certificate_tally(&self) -> Tally {
        Tally::default()
    }
    /// Seconds for the certificate.
    fn certificate_seconds(&self) -> f64 {
        0.0
    }
    /// What was verified at the answer.
    fn certificate(&self) -> Option<&Certificate> {
        None
    }
    /// Whether the solver makes its own certificate; if not, the study makes one.
    fn knows_curvature(&self) -> bool {
        true
    }
}

/// Any solver of the registry (argmin has no `Solver` for boxes).
pub struct AnySolver(Box<dyn StudySolver>);

impl AnySolver {
    /// Boxes a solver.
    pub fn new(solver: impl StudySolver + 'static) -> Self {
        Self(Box::new(solver))
    }
    /// Why the run ended; `None` if argmin's own limits ended it.
    pub fn stop(&self) -> Option<&Stop> {
        self.0.stop()
    }
    /// Evaluations of the run, those of the certificate left out.
    pub fn tally(&self) -> Tally {
        self.0.tally()
    }
    /// Evaluations for the certificate.
    pub fn certificate_tally(&self) -> Tally {
        self.0.certificate_tally()
    }
    /// Seconds for the certificate.
    pub fn certificate_seconds(&self) -> f64 {
        self.0.certificate_seconds()
    }
    /// What was verified at the answer.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.0.certificate()
    }
    /// Whether the solver makes its own certificate.
    pub fn knows_curvature(&self) -> bool {
        self.0.knows_curvature()
    }
}

type Stepped = std::result::Result<(VecState, Option<KV>), ArgminError>;

impl Solver<Erased, VecState> for AnySolver {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn init(&mut self, problem: &mut Problem<Erased>, state: VecState) -> Stepped {
        self.0.init(problem, state)
    }
    fn next_iter(&mut self, problem: &mut Problem<Erased>, state: VecState) -> Stepped {
        self.0.next_iter(problem, state)
    }
    fn terminate(&mut self, state: &VecState) -> TerminationStatus {
        self.0.terminate(state)
    }
}

/// What a solver uses of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// The exact Hessian or its products.
    SecondOrder,
    /// A matrix learned from gradients.
    QuasiNewton,
    /// Gradients only, no matrix.
    FirstOrder,
}

impl Family {
    /// Its name in words.
    pub fn label(self) -> &'static str {
        match self {
            Family::SecondOrder => "second order",
            Family::QuasiNewton => "quasi-Newton",
            Family::FirstOrder => "first order",
        }
    }
}

/// One named solver.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// What it uses.
    pub family: Family,
    /// Its default iteration limit.
    pub max_iters: u64,
    /// Whether it stores matrices with `n²` entries whatever the problem's Hessian is.
    pub dense: bool,
    /// Its options beside the common ones.
    pub keys: &'static [Key],
    /// Builds it.
    pub build: fn(&Options, Stopping) -> Result<AnySolver>,
}

/// Options that every solver understands.
pub const COMMON: [Key; 10] = [
    Key { name: "gtol", kind: Kind::NonNegative, about: "gradient test, absolute and relative bound (default: relative 1e-8)" },
    Key { name: "gtol_abs", kind: Kind::NonNegative, about: "gradient test, absolute bound (default 0: off)" },
    Key { name: "gtol_rel", kind: Kind::NonNegative, about: "gradient test, bound relative to the start only" },
    Key {
        name: "settled",
        kind: Kind::NonNegative,
        about: "change of the cost, relative, from which the relative bound counts (default 1e-7)",
    },
    Key {
        name: "decrease",
        kind: Kind::NonNegative,
        about: "decrement test: what may be left of the whole decrease, as a part of it (default 1e-16)",
    },
    Key { name: "xtol", kind: Kind::NonNegative, about: "step test (default 0: off)" },
    Key { name: "ftol", kind: Kind::NonNegative, about: "cost test (default 0: off)" },
    Key { name: "max_iters", kind: Kind::Count { min: 0, max: u64::MAX }, about: "iteration limit" },
    Key { name: "max_trials", kind: Kind::Count { min: 1, max: u64::MAX }, about: "trials of one search (default 100)" },
    Key { name: "seconds", kind: Kind::Positive, about: "time limit" },
];

impl Entry {
    /// The solver's own options followed by the common ones.
    pub fn all_keys(&self) -> Vec<Key> {
        self.keys.iter().chain(&COMMON).copied().collect()
    }
}

/// A solver with its options, ready to be built for as many runs as wanted.
#[derive(Clone)]
pub struct Setup {
    /// Name with options.
    pub name: String,
    /// Iteration limit.
    pub max_iters: u64,
    entry: &'static Entry,
    options: Options,
}

impl Setup {
    /// Reads a parsed text against the registry.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest solver or option, [`Error::Config`] for a value outside its range.
    pub fn new(spec: &Spec) -> Result<Self> {
        let Some(entry) = ENTRIES.iter().find(|e| e.name == spec.name) else {
            return Err(Error::unknown("solver", &spec.name, names()));
        };
        let options = spec.read(&entry.all_keys())?;
        let max_iters = options.count("max_iters").unwrap_or(entry.max_iters);
        let setup = Self { name: spec.to_string(), max_iters, entry, options };
        // Ranges that only the parts themselves know are found now, not in the middle of a comparison.
        setup.build(None)?;
        Ok(setup)
    }

    /// Reads `NAME[:key=value,…]`.
    ///
    /// # Errors
    /// As [`Spec::parse`] and [`Setup::new`].
    pub fn parse(text: &str) -> Result<Self> {
        Self::new(&Spec::parse(text)?)
    }

    /// Reads a list of them, or `all`.
    ///
    /// # Errors
    /// As [`Spec::parse_list`] and [`Setup::new`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        match text.trim() {
            "all" => names().map(Self::parse).collect(),
            list => Spec::parse_list(list)?.iter().map(Self::new).collect(),
        }
    }

    /// What the solver uses.
    pub fn family(&self) -> Family {
        self.entry.family
    }

    /// A fresh solver; `seconds` bounds the searches inside an iteration unless the options do.
    ///
    /// # Errors
    /// [`Error::Config`] for options that the parts refuse.
    pub fn build(&self, seconds: Option<f64>) -> Result<AnySolver> {
        let mut stopping = Stopping { deadline: seconds, ..Stopping::default() };
        self.options.number("gtol", &mut stopping.gtol_abs);
        self.options.number("gtol", &mut stopping.gtol_rel);
        self.options.number("gtol_abs", &mut stopping.gtol_abs);
        self.options.number("gtol_rel", &mut stopping.gtol_rel);
        self.options.number("settled", &mut stopping.settled);
        self.options.number("decrease", &mut stopping.decrease);
        self.options.number("xtol", &mut stopping.xtol);
        self.options.number("ftol", &mut stopping.ftol);
        stopping.max_trials = self.options.count("max_trials").unwrap_or(stopping.max_trials);
        if let Some(limit) = self.seconds() {
            stopping.deadline = Some(limit);
        }
        stopping.validate()?;
        (self.entry.build)(&self.options, stopping)
    }

    /// `Ok` if the solver can take `n` variables.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it would store matrices of more than 200 MB.
    pub fn check_size(&self, n: usize) -> Result<()> {
        if self.entry.dense && n > 5000 {
            return Err(Error::Unsupported {
                what: self.entry.name,
                requirement: "at most 5000 variables: its matrices are dense",
            });
        }
        Ok(())
    }

    /// The time limit among the options.
    pub fn seconds(&self) -> Option<f64> {
        let mut seconds = 0.0;
        self.options.number("seconds", &mut seconds);
        (seconds > 0.0).then_some(seconds)
    }
}

/// The names of all solvers, second-order ones first.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|e| e.name)
}
