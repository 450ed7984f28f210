//! Results as JSON values; numbers that are not finite become `null`.

use super::comparison::{Comparison, Total};
use super::run::Outcome;
use crate::counts::Tally;
use serde_json::{Map, Value, json};

/// The counters under their published names.
pub fn counts(tally: &Tally) -> Value {
    Value::Object(tally.entries().map(|(name, count)| (name.to_string(), count.into())).collect::<Map<_, _>>())
}

impl Outcome {
    /// The run: `problem, solver, n, converged, solved, at_known_minimum, stop{reason, value, bound, text}, x, cost,
    /// gradient_norm, iterations, counts, seconds, certificate, certificate_counts, certificate_seconds`.
    pub fn to_json(&self) -> Value {
        json!({
            "problem": self.problem,
            "solver": self.solver,
            "n": self.n,
            "converged": self.converged,
            "solved": self.solved,
            "at_known_minimum": self.at_known_minimum,
            "stop": self.stop,
            "x": self.x,
            "cost": self.cost,
            "gradient_norm": self.gradient_norm,
            "iterations": self.iterations,
            "counts": counts(&self.counts),
            "seconds": self.seconds,
            "certificate": self.certificate,
            "certificate_counts": counts(&self.certificate_counts),
            "certificate_seconds": self.certificate_seconds,
        })
    }
}

impl Total {
    /// The sums of one solver.
    pub fn to_json(&self) -> Value {
        json!({
            "solver": self.solver,
            "family": self.family,
            "solved": self.solved,
            "at_known_minimum": self.at_known_minimum,
            "problems": self.problems,
            "iterations": self.iterations,
            "median_iterations": self.median_iterations,
            "counts": counts(&self.counts),
            "gradient_equivalents": self.work,
            "seconds": self.seconds,
        })
    }
}

impl Comparison {
    /// Settings, problems, solvers, totals and every run (without traces).
    pub fn to_json(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "settings": self.settings,
            "problems": self.problems,
            "solvers": self.solvers,
            "totals": self.totals().iter().map(Total::to_json).collect::<Vec<_>>(),
            "runs": self.outcomes.iter().flatten().map(Outcome::to_json).collect::<Vec<_>>(),
        })
    }
}
