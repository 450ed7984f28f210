//! What is shown of a fit: the table people know, warnings, the certificate; or all of it as JSON.

use super::input::Case;
use crate::output::{duration, number};
use comfy_table::{CellAlignment, Table, presets};
use curvkit::fit::{Fit, FitVerdict, Interval, MultiFit, Profiles, Role};
use serde_json::{Value, json};
use std::fmt::Write;

/// Correlations from which a pair of parameters is shown.
const HIGH_CORRELATION: f64 = 0.99;

/// A finished fit with what is shown of it.
pub struct Report<'a> {
    pub case: &'a Case,
    pub fit: &'a Fit,
    pub solver: &'a str,
    pub level: f64,
    pub intervals: Vec<Interval>,
    pub profiles: Option<Profiles>,
    pub starts: Option<MultiFit>,
    pub seconds: f64,
    pub robust: Option<String>,
}

impl Report<'_> {
    fn r_squared(&self) -> Option<f64> {
        let rows = &self.case.response;
        let mean = rows.iter().map(|(y, w)| w * y).sum::<f64>() / rows.iter().map(|(_, w)| w).sum::<f64>();
        let total: f64 = rows.iter().map(|(y, w)| w * (y - mean) * (y - mean)).sum();
        (total > 0.0).then(|| 1.0 - self.fit.statistics.residual_sum_of_squares / total)
    }

    /// The text for the terminal and the page.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut say = |line: &str| {
            let _ = writeln!(out, "{line}");
        };
        let (fit, s) = (self.fit, &self.fit.statistics);
        say(&format!("fit          {}", self.case.title));
        say(&format!("solver       {}, then {} exact Newton steps", self.solver, fit.finish.steps));
        if let Some(robust) = &self.robust {
            say(&format!("loss         {robust}"));
        }
        say("");
        say(&self.table());
        say("");
        say(&format!(
            "residuals    standard deviation {} on {} degrees of freedom",
            significant(s.residual_standard_deviation, 10),
            s.degrees_of_freedom
        ));
        let r = self.r_squared().map_or(String::new(), |r| format!("R² {r:.6}, "));
        let (aic, bic) = s.information_criteria();
        say(&format!(
            "             sum of squares {}, {r}AIC {aic:.2}, BIC {bic:.2}",
            significant(s.residual_sum_of_squares, 10)
        ));
        say(&format!(
            "iterations   {}, {} costs, {} Jacobians, {}",
            fit.iterations,
            fit.counts.cost,
            fit.counts.jacobian,
            duration(self.seconds)
        ));
        say(&format!("certificate  {}", self.certificate()));
        if let Some(starts) = &self.starts {
            say(&format!("starts       {}", self.starts_found(starts)));
        }
        self.warnings().iter().for_each(|warning| say(&format!("warning      {warning}")));
        out
    }

    fn starts_found(&self, starts: &MultiFit) -> String {
        let total = starts.failed + starts.minima.iter().map(|m| m.hits).sum::<usize>();
        let list: Vec<String> =
            starts.minima.iter().take(5).map(|m| format!("{} × {}", m.hits, significant(2.0 * m.cost, 8))).collect();
        let more = if starts.minima.len() > 5 { ", …" } else { "" };
        let failed = if starts.failed > 0 { format!("; {} reached none", starts.failed) } else { String::new() };
        format!("{total}; sums of squares of the minima found: {}{more}{failed}", list.join(", "))
    }

    fn table(&self) -> String {
        let (fit, s) = (self.fit, &self.fit.statistics);
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let level = format!("{}% INTERVAL", number(100.0 * self.level));
        let mut header = vec!["", "ESTIMATE", "STD ERROR", "T", "P", level.as_str(), ""];
        if self.profiles.is_some() {
            header.extend(["PROFILE", ""]);
        }
        if self.case.certified.is_some() {
            header.extend(["CERTIFIED", "DIGITS"]);
        }
        let constrained = fit.roles.iter().any(|role| *role != Role::Free);
        if constrained {
            header.push("");
        }
        table.set_header(header);
        let t_values = s.t_values(&fit.parameters);
        for (j, name) in self.case.names.iter().enumerate() {
            let (t, p) = t_values[j];
            let interval = self.intervals[j];
            let mut row = vec![
                name.clone(),
                significant(fit.parameters[j], 12),
                significant(s.standard_errors[j], 5),
                if t.is_nan() { "-".into() } else { format!("{t:.2}") },
                if p.is_nan() { "-".into() } else { format!("{p:.1e}") },
                significant(interval.lower, 6),
                significant(interval.upper, 6),
            ];
            if let Some(profiles) = &self.profiles {
                let ends = profiles.intervals[j];
                row.extend([significant(ends.lower, 6), significant(ends.upper, 6)]);
            }
            if let Some(values) = &self.case.certified {
                row.push(significant(values[j], 11));
                row.push(format!("{:.1}", -((fit.parameters[j] - values[j]).abs() / values[j].abs()).max(1e-11).log10()));
            }
            if constrained {
                row.push(role(fit.roles[j]).into());
            }
            table.add_row(row);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table.trim_fmt()
    }

    fn certificate(&self) -> String {
        let f = &self.fit.finish;
        let kind = match self.fit.verdict() {
            FitVerdict::Minimum => "minimum".into(),
            FitVerdict::DegenerateMinimum => format!("minimum, degenerate along {}", self.flat()),
            FitVerdict::NegativeCurvature => "not a minimum: negative curvature".into(),
            _ if f.curvature[1].is_nan() => "not verified: the second derivatives have no value there".into(),
            _ if f.degenerate.len() == self.case.names.len() => "not verified: no parameter moves a residual there".into(),
            _ => "not verified".into(),
        };
        let mut parts = Vec::new();
        // Where the quadratic model has no minimum there is nothing to be near to.
        if f.decrement.is_finite() {
            parts.push(format!("cost within {:.1e} of its minimum", self.fit.cost * f.decrement * f.decrement));
        }
        if f.curvature.iter().all(|c| c.is_finite()) {
            parts.push(format!("scaled curvature from {:.3e} to {:.3e}", f.curvature[0], f.curvature[1]));
        }
        let condition = self.fit.statistics.condition_number;
        if !condition.is_nan() {
            parts.push(format!(
                "condition number of J {}",
                if condition.is_infinite() { "∞".into() } else { format!("{condition:.3e}") }
            ));
        }
        if f.nonlinearity.is_finite() {
            parts.push(format!("‖H − JᵀJ‖/‖H‖ {:.1e}", f.nonlinearity));
        }
        if parts.is_empty() { kind } else { format!("{kind}; {}", parts.join(", ")) }
    }

    /// The flat directions, as combinations of the parameters.
    fn flat(&self) -> String {
        let one = |d: &Vec<f64>| combination(&self.case.names, d);
        self.fit.finish.degenerate.iter().map(one).collect::<Vec<_>>().join(", and along ")
    }

    fn named(&self, indices: &[usize]) -> String {
        indices.iter().map(|&j| self.case.names[j].as_str()).collect::<Vec<_>>().join(", ")
    }

    pub fn warnings(&self) -> Vec<String> {
        let s = &self.fit.statistics;
        let mut found = Vec::new();
        if self.fit.verdict() == FitVerdict::DegenerateMinimum && s.unidentified.is_empty() {
            found.push(format!("the sum of squares does not change along {}", self.flat()));
        }
        if !s.unidentified.is_empty() {
            found.push(format!("the data do not determine {}: only combinations of them", self.named(&s.unidentified)));
        }
        if !s.collinear.is_empty() {
            found.push(format!(
                "{} are nearly collinear (condition number {:.1e})",
                self.named(&s.collinear),
                s.condition_number
            ));
        }
        if !self.fit.moved.is_empty() {
            found.push(format!("the start of {} lay outside its bounds and was moved onto them", self.named(&self.fit.moved)));
        }
        let at_bound: Vec<usize> = self.fit.active.iter().map(|a| a.index).collect();
        if !at_bound.is_empty() {
            found.push(format!("{} at a bound: the other standard errors are conditional on that", self.named(&at_bound)));
        }
        if s.degrees_of_freedom == 0 {
            found.push("as many parameters as observations: no standard errors".into());
        }
        let (n, correlation) = (self.case.names.len(), s.correlation());
        let pairs = (0..n).flat_map(|i| (0..i).map(move |j| (j, i)));
        let high: Vec<String> = pairs
            .filter(|&(i, j)| correlation[i * n + j].abs() >= HIGH_CORRELATION)
            .map(|(i, j)| format!("{} and {}: {:.4}", self.case.names[i], self.case.names[j], correlation[i * n + j]))
            .collect();
        if !high.is_empty() {
            found.push(format!("high correlation of {}", high.join("; ")));
        }
        if self.fit.finish.nonlinearity > 0.1 {
            found.push("large residual curvature: the standard errors, which linearize the model, may be too small".into());
        }
        if let Some(better) = self.profiles.as_ref().and_then(|p| p.better.as_ref()) {
            let at: Vec<String> = self.case.names.iter().zip(better).map(|(name, v)| format!("{name}={}", number(*v))).collect();
            found.push(format!("only a local minimum: a lower sum of squares lies near {}", at.join(",")));
        }
        found
    }

    pub fn json(&self) -> Value {
        let (fit, s) = (self.fit, &self.fit.statistics);
        let value_and_bound = fit.stop.value_and_bound();
        let parameters: Vec<Value> = (0..self.case.names.len())
            .map(|j| {
                let (t, p) = s.t_values(&fit.parameters)[j];
                json!({
                    "name": self.case.names[j],
                    "role": fit.roles[j],
                    "estimate": fit.parameters[j],
                    "std_error": s.standard_errors[j],
                    "t": t,
                    "p": p,
                    "lower": self.intervals[j].lower,
                    "upper": self.intervals[j].upper,
                })
            })
            .collect();
        json!({
            "problem": self.case.title,
            "solver": self.solver,
            "converged": fit.converged(),
            "stop": { "reason": fit.stop.reason(), "value": value_and_bound.map(|v| v.0), "bound": value_and_bound.map(|v| v.1), "text": fit.stop.to_string() },
            "x": fit.parameters,
            "cost": fit.cost,
            "iterations": fit.iterations,
            "counts": fit.counts,
            "seconds": self.seconds,
            "certificate": fit.finish,
            "verdict": fit.verdict(),
            "active_bounds": fit.active,
            "level": self.level,
            "parameters": parameters,
            "rss": s.residual_sum_of_squares,
            "residual_std_dev": s.residual_standard_deviation,
            "degrees_of_freedom": s.degrees_of_freedom,
            "condition_number": s.condition_number,
            "correlation": s.correlation(),
            "r_squared": self.r_squared(),
            "loss": self.robust,
            "profile_intervals": self.profiles.as_ref().map(|p| p.intervals.iter().map(|i| [i.lower, i.upper]).collect::<Vec<_>>()),
            "minima": self.starts.as_ref().map(|s| &s.minima),
            "warnings": self.warnings(),
        })
    }
}

/// What the table says of a parameter that is not free.
fn role(role: Role) -> &'static str {
    match role {
        Role::Free => "",
        Role::Fixed => "fixed",
        Role::Tied => "tied",
        Role::AtLower => "at lower bound",
        Role::AtUpper => "at upper bound",
    }
}

/// Such as `b - 0.67174 m`, with five digits and without the terms that are zero.
fn combination(names: &[String], factors: &[f64]) -> String {
    let mut text = String::new();
    for (name, factor) in names.iter().zip(factors).filter(|(_, factor)| **factor != 0.0) {
        let size = number(format!("{:.4e}", factor.abs()).parse().unwrap_or(factor.abs()));
        let sign = match (text.is_empty(), *factor < 0.0) {
            (true, false) => "",
            (true, true) => "-",
            (false, false) => " + ",
            (false, true) => " - ",
        };
        let _ = if size == "1" { write!(text, "{sign}{name}") } else { write!(text, "{sign}{size} {name}") };
    }
    text
}

/// `digits` significant digits, as a plain number where that is short.
pub fn significant(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "-".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞".into() } else { "−∞".into() };
    }
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if (-4..8).contains(&magnitude) {
        let decimals = (digits as i32 - 1 - magnitude).max(0) as usize;
        return format!("{value:.decimals$}");
    }
    format!("{value:.*e}", digits - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_asked_for() {
        assert_eq!(significant(213.80940889, 11), "213.80940889");
        assert_eq!(significant(5.6e-9, 3), "5.60e-9");
        assert_eq!(significant(0.0, 3), "0.00");
        assert_eq!(significant(f64::NAN, 3), "-");
    }

    #[test]
    fn combinations_read_as_sums() {
        let names = ["a", "b", "c"].map(String::from);
        assert_eq!(combination(&names, &[1.0, 0.0, -0.671_741_9]), "a - 0.67174 c");
        assert_eq!(combination(&names, &[-0.5, 1.0, 2e-9]), "-0.5 a + b + 2.000000e-9 c");
    }
}
