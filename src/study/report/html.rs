//! The page: one HTML text with its charts and styles inside, nothing loaded from elsewhere.

use super::charts::Figure;
use crate::study::comparison::{Comparison, Total};
use crate::study::run::{Outcome, SOLVED};
use std::fmt::Write;

pub(super) const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn page(comparison: &Comparison, figures: &[Figure]) -> String {
    let mut out = String::new();
    let (p, s) = (comparison.problems.len(), comparison.solvers.len());
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>curvkit: {s} solvers on {p} problems</title><style>{STYLE}</style></head><body><main>\n\
         <h1>{s} solvers on {p} problems</h1>\n"
    );
    settings(&mut out, comparison);
    out.push_str("<h2>Totals</h2>\n");
    totals(&mut out, &comparison.totals());
    out.push_str("<h2>Work per problem</h2>\n");
    matrix(&mut out, comparison);
    profiles(&mut out, figures);
    problems(&mut out, comparison, figures);
    out.push_str("</main></body></html>\n");
    out
}

fn settings(out: &mut String, comparison: &Comparison) {
    let s = &comparison.settings;
    let limit = s.max_iters.map_or("the solver's own iteration limit".into(), |m| format!("{m} iterations"));
    let _ = write!(
        out,
        "<p>curvkit {} on {} {}. Each run ends at its own stopping test, after {limit}, or after {} s. \
         Runs shorter than 10 ms are timed {} times and the shortest time counts; problems run one after the other.</p>\n\
         <p><b>Solved</b> is recomputed from the problem at the returned point: ‖∇f(x)‖∞ ≤ {SOLVED:e} · max(1, ‖∇f(x₀)‖∞). \
         It is never the solver’s own flag, and any stationary point counts. <b>Lowest</b> counts answers whose cost agrees with \
         the lowest known minimum to four digits (absolutely, if that is zero). \
         Evaluations and times leave out the <b>certificate</b>, the check of the exact curvature at the answer.</p>\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        s.seconds,
        s.repeats,
    );
}

fn totals(out: &mut String, totals: &[Total]) {
    out.push_str(
        "<p>Sums over all problems, failed runs included; the median is over solved problems. Work is in gradient equivalents: \
         a cost, a gradient and a Hessian–vector product count one each, a Hessian matrix <i>n</i>.</p>\n\
         <div class=\"scroll\"><table><thead><tr><th class=\"l\">solver</th><th class=\"l\">uses</th><th>solved</th><th>lowest</th>\
         <th>iterations</th><th>median</th><th>costs</th><th>gradients</th><th>Hessians</th><th>products</th>\
         <th>factorizations</th><th>work</th><th>time</th></tr></thead><tbody>\n",
    );
    let best = totals.iter().map(|t| t.solved).max().unwrap_or(0);
    for t in totals {
        let class = if t.solved == best { " class=\"best\"" } else { "" };
        let _ = write!(
            out,
            "<tr><td class=\"l\">{}</td><td class=\"l\">{}</td><td{class}>{} / {}</td><td>{}</td><td>{}</td><td>{}</td>",
            escape(&t.solver),
            t.family.label(),
            t.solved,
            t.problems,
            t.at_known_minimum,
            thousands(t.iterations as f64),
            t.median_iterations.map_or("–".into(), |m| m.to_string()),
        );
        let c = t.counts;
        for count in [c.cost, c.gradient, c.hessian, c.hessian_product, c.factorization] {
            let _ = write!(out, "<td>{}</td>", thousands(count as f64));
        }
        let _ = writeln!(out, "<td>{}</td><td>{}</td></tr>", thousands(t.work), seconds(t.seconds));
    }
    out.push_str("</tbody></table></div>\n");
}

/// Problem by solver: the work of solved runs, shaded by the ratio to the best.
fn matrix(out: &mut String, comparison: &Comparison) {
    out.push_str(
        "<p>Gradient equivalents of each solved run, darker the nearer to the best on that problem; \
         a word says why a run that did not solve it ended.</p>\n<div class=\"scroll\"><table class=\"matrix\"><thead><tr>\
         <th class=\"l\">problem</th><th>n</th>",
    );
    for solver in &comparison.solvers {
        let _ = write!(out, "<th class=\"turn\"><span>{}</span></th>", escape(&solver.name));
    }
    out.push_str("</tr></thead><tbody>\n");
    for (problem, row) in comparison.problems.iter().zip(&comparison.outcomes) {
        let _ = write!(out, "<tr><td class=\"l\">{}</td><td>{}</td>", escape(&problem.name), problem.n);
        let best = row.iter().filter(|o| o.solved).map(Outcome::work).fold(f64::INFINITY, f64::min);
        for o in row {
            if o.solved {
                let ratio = o.work() / best;
                let class = ["q0", "q1", "q2", "q3", "q4"][[1.0, 2.0, 5.0, 20.0].iter().filter(|b| ratio > **b).count()];
                let other = if o.at_known_minimum == Some(false) { "*" } else { "" };
                let _ = write!(out, "<td class=\"{class}\">{}{other}</td>", thousands(o.work()));
            } else {
                let _ = write!(out, "<td class=\"no\" title=\"{}\">{}</td>", escape(&o.stop.text), short(&o.stop.reason));
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n<p class=\"note\">* another stationary point than the lowest known minimum.</p>\n");
}

fn profiles(out: &mut String, figures: &[Figure]) {
    out.push_str(
        "<h2>Performance profiles</h2>\n<p>Height at ratio τ: the share of problems that a solver solved with at most τ times the \
         cost of the best solver on each (Dolan &amp; Moré 2002). The left end shows how often a solver is the best, the right end \
         how often it solves the problem at all. Solid lines use the exact Hessian or its products, dashed ones are quasi-Newton, \
         dotted ones first-order methods.</p>\n",
    );
    for figure in figures.iter().filter(|f| f.name.starts_with("performance")) {
        chart(out, figure);
    }
    if figures.iter().any(|f| f.name.starts_with("data")) {
        out.push_str(
            "<h2>Data profiles</h2>\n<p>Height at κ: the share of problems that a solver brought within the accuracy \
             f − f_L ≤ τ (f₀ − f_L) in κ (n + 1) gradient equivalents (Moré &amp; Wild 2009); f_L is the lowest cost known, so that \
             a higher local minimum does not count at small τ.</p>\n",
        );
    }
    for figure in figures.iter().filter(|f| f.name.starts_with("data")) {
        chart(out, figure);
    }
}

fn chart(out: &mut String, figure: &Figure) {
    let _ = writeln!(out, "<figure>{}</figure>", figure.svg);
}

fn problems(out: &mut String, comparison: &Comparison, figures: &[Figure]) {
    out.push_str("<h2>Problem by problem</h2>\n<p>Click a problem for its convergence curves and runs.</p>\n");
    let mut curves = figures.iter().filter(|f| f.name.starts_with("convergence"));
    for (problem, row) in comparison.problems.iter().zip(&comparison.outcomes) {
        let solved = row.iter().filter(|o| o.solved).count();
        let _ = writeln!(
            out,
            "<details><summary>{} <span class=\"note\">n = {}, f(x₀) = {}, lowest known {}, solved by {} of {}</span></summary>",
            escape(&problem.name),
            problem.n,
            number(problem.first_cost),
            number(problem.lowest_cost),
            solved,
            row.len(),
        );
        if let Some(figure) = curves.next() {
            chart(out, figure);
        }
        runs(out, row);
        out.push_str("</details>\n");
    }
}

fn runs(out: &mut String, row: &[Outcome]) {
    out.push_str(
        "<div class=\"scroll\"><table><thead><tr><th class=\"l\">solver</th><th class=\"l\">solved</th><th>cost</th><th>‖g‖∞</th>\
         <th>iterations</th><th>costs</th><th>gradients</th><th>Hessians</th><th>products</th><th>time</th>\
         <th class=\"l\">certificate</th><th class=\"l\">stop</th></tr></thead><tbody>\n",
    );
    for o in row {
        let (word, class) = if o.solved { ("yes", "l") } else { ("no", "l no") };
        let c = o.counts;
        let _ = writeln!(
            out,
            "<tr><td class=\"l\">{}</td><td class=\"{class}\">{word}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{}</td><td class=\"l\">{}</td><td class=\"l\">{}</td></tr>",
            escape(&o.solver),
            number(o.cost),
            number(o.gradient_norm),
            o.iterations,
            c.cost,
            c.gradient,
            c.hessian,
            c.hessian_product,
            seconds(o.seconds),
            o.verdict().unwrap_or("–"),
            escape(&o.stop.text),
        );
    }
    out.push_str("</tbody></table></div>\n");
}

/// One word that fits a narrow column.
fn short(reason: &str) -> &str {
    match reason {
        "iterations" => "limit",
        "decrement" => "decr.",
        "inconsistent_derivatives" => "slopes",
        "deadline" => "time",
        "no_progress" => "stuck",
        "unbounded" => "−∞",
        other => other,
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) { format!("{value:.5}") } else { format!("{value:.3e}") }
}

/// Whole numbers in groups of three digits.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 && digits.len() > 4 {
            out.push('\u{2009}');
        }
        out.push(c);
    }
    out
}

fn seconds(value: f64) -> String {
    match value {
        v if v >= 1.0 => format!("{v:.2} s"),
        v if v >= 1e-3 => format!("{:.1} ms", v * 1e3),
        v => format!("{:.0} µs", v * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_are_readable() {
        assert_eq!(thousands(1234567.0), "1\u{2009}234\u{2009}567");
        assert_eq!(thousands(9999.0), "9999");
        assert_eq!(seconds(0.0000123), "12 µs");
        assert_eq!(seconds(0.25), "250.0 ms");
        assert_eq!(number(1e-12), "1.000e-12");
        assert_eq!(number(3.98658), "3.98658");
    }

    #[test]
    fn texts_cannot_break_out_of_the_page() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
