//! What is shown of a generalized linear model: the table people know, criteria, warnings, the certificate; or JSON.

use super::input::Case;
use crate::fit::show::significant;
use crate::output::{duration, number};
use comfy_table::{CellAlignment, Table, presets};
use curvkit::fit::glm::{Alias, Boundary, Separation};
use curvkit::fit::{GlmCovariance, GlmFit, GlmWarning, Interval};
use serde_json::{Value, json};
use std::fmt::Write;

/// Rows of a separation that are listed.
const LISTED: usize = 6;

/// A finished fit with what is shown of it.
pub struct Report<'a> {
    pub case: &'a Case,
    pub fit: &'a GlmFit,
    pub level: f64,
    pub intervals: Vec<Interval>,
    pub seconds: f64,
}

impl Report<'_> {
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut say = |label: &str, line: &str| {
            let _ = writeln!(out, "{}", format!("{label:13}{line}").trim_end());
        };
        let (fit, s, d) = (self.fit, &self.fit.statistics, self.case.model.data());
        say("glm", &self.case.title);
        say("family", &format!("{}, link {}", d.family, d.link));
        say("", "");
        let _ = write!(out, "{}\n\n", self.table());
        let mut say = |label: &str, line: &str| {
            let _ = writeln!(out, "{}", format!("{label:13}{line}").trim_end());
        };
        let kind = match s.covariance_kind {
            GlmCovariance::Expected => "expected information",
            GlmCovariance::Observed => "observed information",
            GlmCovariance::Sandwich => "sandwich (HC0)",
            GlmCovariance::SandwichHc1 => "sandwich (HC1)",
        };
        say("errors", &format!("from the {kind}, tests by {}", if s.normal { "the normal distribution" } else { "Student's t" }));
        let taken = if s.normal { "known" } else { "Pearson's χ² by the degrees of freedom" };
        say("dispersion", &format!("{} ({taken})", significant(s.dispersion, 9)));
        let freedom = |v: f64| format!("{} degrees of freedom", number(v));
        say("deviance", &format!("{} on {}", significant(s.deviance, 10), freedom(s.degrees_of_freedom)));
        say("null", &format!("{} on {}", significant(s.null_deviance, 10), freedom(s.null_degrees_of_freedom)));
        say("", &format!("Pearson's χ² {}, log-likelihood {}", significant(s.pearson, 8), significant(s.log_likelihood, 10)));
        say("", &format!("AIC {}, BIC {}", significant(s.aic, 8), significant(s.bic, 8)));
        say(
            "iterations",
            &format!("{} of scoring, {} of Newton, {}", fit.iterations, fit.polished.steps, duration(self.seconds)),
        );
        say("certificate", &self.certificate());
        self.warnings().iter().for_each(|warning| say("warning", warning));
        out
    }

    fn table(&self) -> String {
        let (fit, s) = (self.fit, &self.fit.statistics);
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let level = format!("{}% INTERVAL", number(100.0 * self.level));
        let test = if s.normal { "Z" } else { "T" };
        table.set_header(vec!["", "ESTIMATE", "STD ERROR", test, "P", level.as_str(), ""]);
        let tests = s.test_values(&fit.coefficients);
        for (j, name) in self.case.names.iter().enumerate() {
            let (t, p) = tests[j];
            table.add_row(vec![
                name.clone(),
                significant(fit.coefficients[j], 10),
                significant(s.standard_errors[j], 6),
                if t.is_nan() { "-".into() } else { format!("{t:.3}") },
                if p.is_nan() { "-".into() } else { format!("{p:.2e}") },
                significant(self.intervals[j].lower, 6),
                significant(self.intervals[j].upper, 6),
            ]);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table.trim_fmt()
    }

    fn certificate(&self) -> String {
        let p = &self.fit.polished;
        if self.fit.separation().is_some() {
            return "no maximum: the likelihood grows without end along the direction below".into();
        }
        let kind = match (self.fit.converged(), self.fit.boundary()) {
            (true, None) => "maximum of the likelihood".into(),
            (true, Some(boundary)) => format!("maximum of the likelihood on the boundary: {}", self.on_boundary(boundary)),
            (false, _) => "not verified".into(),
        };
        // A point without an admissible Newton step has neither.
        let mut parts = vec![kind];
        if p.excess.is_finite() {
            parts.push(format!("half the deviance within {:.1e} of its minimum", p.excess));
        }
        if p.curvature[0].is_finite() {
            parts.push(format!("scaled information from {:.3e} to {:.3e}", p.curvature[0], p.curvature[1]));
        }
        parts.join("; ").replacen("; scaled", ", scaled", 1)
    }

    pub fn warnings(&self) -> Vec<String> {
        let of = |warning: &GlmWarning| match warning {
            GlmWarning::Aliased(alias) => self.aliased(alias),
            GlmWarning::Separated(separation) => self.separated(separation),
            GlmWarning::OnBoundary(boundary) => {
                format!("{}: no standard errors", self.on_boundary(boundary))
            }
            GlmWarning::NotConverged => "not verified as a maximum of the likelihood".into(),
            GlmWarning::ObservedNotDefinite => "the observed information is not positive definite: no standard errors".into(),
            GlmWarning::Saturated => "as many coefficients as observations: no standard errors".into(),
            other => format!("{other:?}"),
        };
        self.fit.warnings.iter().map(of).collect()
    }

    fn aliased(&self, alias: &Alias) -> String {
        let terms: Vec<String> =
            alias.combination.iter().map(|(j, c)| format!("{} {}", number(*c), self.case.names[*j])).collect();
        let equal = if terms.is_empty() { "is zero everywhere".into() } else { format!("equals {}", terms.join(" + ")) };
        format!("{} cannot be identified and is left out: it {equal}", self.case.names[alias.column])
    }

    fn on_boundary(&self, b: &Boundary) -> String {
        let at = |mean: f64| -> Option<String> {
            let rows: Vec<usize> = b.rows.iter().zip(&b.means).filter(|(_, m)| **m == mean).map(|(row, _)| row + 1).collect();
            let list: Vec<String> = rows.iter().take(LISTED).map(usize::to_string).collect();
            let more = if rows.len() > LISTED { ", …" } else { "" };
            let what = if rows.len() == 1 { "row" } else { "rows" };
            (!rows.is_empty()).then(|| format!("the fitted mean of {what} {}{more} is {}", list.join(", "), significant(mean, 1)))
        };
        [0.0, 1.0, f64::INFINITY].into_iter().filter_map(at).collect::<Vec<_>>().join(", ")
    }

    fn separated(&self, s: &Separation) -> String {
        let part = |&j: &usize| format!("{} {}", number(s.direction[j]), self.case.names[j]);
        let direction: Vec<String> = s.columns.iter().map(part).collect();
        let kind = if s.complete { "complete separation" } else { "quasi-complete separation" };
        let rows: Vec<String> = s.rows.iter().take(LISTED).map(|row| (row + 1).to_string()).collect();
        let more = if s.rows.len() > LISTED { ", …" } else { "" };
        format!(
            "{kind}: no finite estimate along {}; {} of {} rows are predicted perfectly ({}{more})",
            direction.join(" + "),
            s.rows.len(),
            self.case.model.data().n_rows(),
            rows.join(", ")
        )
    }

    pub fn json(&self) -> Value {
        let (fit, s, d) = (self.fit, &self.fit.statistics, self.case.model.data());
        let tests = s.test_values(&fit.coefficients);
        let coefficients: Vec<Value> = (0..self.case.names.len())
            .map(|j| {
                json!({
                    "name": self.case.names[j],
                    "estimate": fit.coefficients[j],
                    "std_error": s.standard_errors[j],
                    "test": tests[j].0,
                    "p": tests[j].1,
                    "lower": self.intervals[j].lower,
                    "upper": self.intervals[j].upper,
                })
            })
            .collect();
        let value_and_bound = fit.stop.value_and_bound();
        json!({
            "problem": self.case.title,
            "family": d.family.to_string(),
            "link": d.link.to_string(),
            "converged": fit.converged(),
            "stop": { "reason": fit.stop.reason(), "value": value_and_bound.map(|v| v.0), "bound": value_and_bound.map(|v| v.1), "text": fit.stop.to_string() },
            "coefficients": coefficients,
            "level": self.level,
            "test": if s.normal { "z" } else { "t" },
            "statistics": s,
            "iterations": fit.iterations,
            "counts": fit.counts,
            "seconds": self.seconds,
            "certificate": fit.polished,
            "separation": fit.separation(),
            "boundary": fit.boundary(),
            "aliased": fit.aliases().collect::<Vec<_>>(),
            "warnings": self.warnings(),
        })
    }
}
