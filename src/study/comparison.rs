//! Every solver on every problem: outcomes, totals and profiles.

use super::profile::{Histories, Staircase, data_profile, performance_profile};
use super::run::{Case, Ending, Outcome, Settings, evaluate, run};
use super::solver::{Family, Setup};
use crate::counts::Tally;
use crate::error::Error;
use crate::linalg::vector::norm_inf;

/// What a run is charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Seconds, the certificate left out.
    Seconds,
    /// Gradient equivalents ([`Tally::gradient_equivalents`]), the certificate left out.
    Work,
}

/// A problem of a comparison.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ProblemRow {
    /// Its name.
    pub name: String,
    /// Number of variables.
    pub n: usize,
    /// `f` at the start.
    pub first_cost: f64,
    /// `‖∇f‖∞` at the start.
    pub first_gradient_norm: f64,
    /// The lowest cost known: the known global minimum, or the best found by any solver here.
    pub lowest_cost: f64,
}

/// A solver of a comparison.
#[derive(Debug, Clone, serde::Serialize)]
pub struct SolverColumn {
    /// Its name with options.
    pub name: String,
    /// What it uses.
    pub family: Family,
    /// Its iteration limit.
    pub max_iters: u64,
}

/// Sums of one solver over all problems, failed runs included.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Total {
    /// The solver.
    pub solver: String,
    /// What it uses.
    pub family: Family,
    /// Problems solved, recomputed from the problem.
    pub solved: usize,
    /// Problems whose answer has the cost of the lowest known minimum.
    pub at_known_minimum: usize,
    /// Problems.
    pub problems: usize,
    /// Accepted steps.
    pub iterations: u64,
    /// Median of the accepted steps over the solved problems.
    pub median_iterations: Option<u64>,
    /// Evaluations.
    pub counts: Tally,
    /// Gradient equivalents.
    pub work: f64,
    /// Seconds.
    pub seconds: f64,
}

/// Outcomes of every solver on every problem.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Comparison {
    /// The problems.
    pub problems: Vec<ProblemRow>,
    /// The solvers.
    pub solvers: Vec<SolverColumn>,
    /// How runs were bounded and measured.
    pub settings: Settings,
    /// `outcomes[problem][solver]`.
    pub outcomes: Vec<Vec<Outcome>>,
}

impl Comparison {
    /// Runs all pairs, one after the other; `progress` sees each outcome. A pair that cannot run is a failed outcome.
    pub fn run(cases: &[Case], setups: &[Setup], settings: &Settings, progress: &mut dyn FnMut(&Outcome)) -> Self {
        let outcomes: Vec<Vec<Outcome>> = cases
            .iter()
            .map(|case| {
                let one = |setup| {
                    let outcome = run(case, setup, settings).unwrap_or_else(|error| failed(case, setup, &error));
                    progress(&outcome);
                    outcome
                };
                setups.iter().map(one).collect()
            })
            .collect();
        Self {
            problems: cases.iter().zip(&outcomes).map(|(case, row)| problem_row(case, row)).collect(),
            solvers: setups.iter().map(SolverColumn::from).collect(),
            settings: settings.clone(),
            outcomes,
        }
    }

    /// Sums per solver.
    pub fn totals(&self) -> Vec<Total> {
        self.solvers
            .iter()
            .enumerate()
            .map(|(s, solver)| {
                let column = || self.outcomes.iter().filter_map(move |row| row.get(s));
                let mut steps: Vec<u64> = column().filter(|o| o.solved).map(|o| o.iterations).collect();
                steps.sort_unstable();
                Total {
                    solver: solver.name.clone(),
                    family: solver.family,
                    solved: steps.len(),
                    at_known_minimum: column().filter(|o| o.at_known_minimum == Some(true)).count(),
                    problems: self.problems.len(),
                    iterations: column().map(|o| o.iterations).sum(),
                    median_iterations: steps.get(steps.len() / 2).copied(),
                    counts: column().fold(Tally::default(), |sum, o| sum.plus(&o.counts)),
                    work: column().map(Outcome::work).sum(),
                    seconds: column().map(|o| o.seconds).sum(),
                }
            })
            .collect()
    }

    /// Performance profiles, one per solver.
    pub fn performance(&self, measure: Measure) -> Vec<Staircase> {
        let cost = |o: &Outcome| match (o.solved, measure) {
            (false, _) => f64::INFINITY,
            (true, Measure::Seconds) => o.seconds,
            (true, Measure::Work) => o.work(),
        };
        let table: Vec<Vec<f64>> = self.outcomes.iter().map(|row| row.iter().map(cost).collect()).collect();
        performance_profile(&table)
    }

    /// Data profiles at accuracy `tolerance`, one per solver; they need the traces.
    pub fn data(&self, tolerance: f64) -> Vec<Staircase> {
        let history = |o: &Outcome| o.trace.iter().map(|p| (p.counts.gradient_equivalents(o.n), p.cost)).collect();
        let problems: Vec<Histories> = self
            .problems
            .iter()
            .zip(&self.outcomes)
            .map(|(problem, row)| Histories {
                n: problem.n,
                first: problem.first_cost,
                lowest: problem.lowest_cost,
                solvers: row.iter().map(history).collect(),
            })
            .collect();
        data_profile(&problems, tolerance)
    }
}

impl Outcome {
    /// Gradient equivalents of the run.
    pub fn work(&self) -> f64 {
        self.counts.gradient_equivalents(self.n)
    }
}

impl From<&Setup> for SolverColumn {
    fn from(setup: &Setup) -> Self {
        Self { name: setup.name.clone(), family: setup.family(), max_iters: setup.max_iters }
    }
}

fn problem_row(case: &Case, row: &[Outcome]) -> ProblemRow {
    let (first_cost, first_gradient_norm) = match evaluate(case.function.as_ref(), &case.start) {
        Ok((cost, gradient)) => (cost, norm_inf(&gradient)),
        Err(_) => (f64::NAN, f64::NAN),
    };
    let found = row.iter().map(|o| o.cost).chain(case.minima.iter().copied());
    let lowest_cost = found.filter(|c| c.is_finite()).fold(first_cost, f64::min);
    ProblemRow { name: case.name.clone(), n: case.dim(), first_cost, first_gradient_norm, lowest_cost }
}

fn failed(case: &Case, setup: &Setup, error: &Error) -> Outcome {
    Outcome {
        problem: case.name.clone(),
        solver: setup.name.clone(),
        n: case.dim(),
        converged: false,
        solved: false,
        at_known_minimum: None,
        stop: Ending { reason: "failed".into(), value: None, bound: None, text: error.to_string() },
        x: case.start.clone(),
        cost: f64::NAN,
        gradient_norm: f64::NAN,
        iterations: 0,
        counts: Tally::default(),
        seconds: 0.0,
        certificate: None,
        certificate_counts: Tally::default(),
        certificate_seconds: 0.0,
        trace: Vec::new(),
    }
}
