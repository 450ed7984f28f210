//! `curvkit compare`.

use crate::Done;
use crate::args::CompareArgs;
use crate::failure::Failure;
use crate::minimize::positive_seconds;
use crate::output::{duration, say, say_json, warn};
use crate::progress::bar;
use crate::race::race;
use comfy_table::{CellAlignment, LineStyle, Table, presets};
use curvkit::study::{Case, Comparison, Settings, Setup, Total, report};
use curvkit::{Error, testbed};
use serde_json::Value;

/// Runs every solver on every problem, shows one table and writes the report.
pub fn compare(args: &CompareArgs) -> Result<Done, Failure> {
    if let Some(data) = &args.race.data {
        return race(args, data);
    }
    let cases = cases(args.problems.as_deref())?;
    let solvers = args.solvers.as_deref().unwrap_or("all");
    let setups = Setup::parse_list(solvers).map_err(Failure::in_text(solvers))?;
    let seconds = args.seconds.unwrap_or(0.5);
    positive_seconds(seconds)?;
    report::prepare(&args.out)?;
    let settings = Settings { seconds, max_iters: None, repeats: 5, trace: true };
    let bar = bar(cases.len() * setups.len());
    let comparison = Comparison::run(&cases, &setups, &settings, &mut |outcome| {
        bar.set_message(format!("{} / {}", outcome.problem, outcome.solver));
        bar.inc(1);
    });
    bar.finish_and_clear();
    let page = report::write(&comparison, &args.out)?;
    if args.json {
        let mut document = comparison.to_json();
        if let Value::Object(fields) = &mut document {
            fields.insert("report".into(), page.display().to_string().into());
        }
        say_json(&document);
    } else {
        say(&table(&comparison.totals()));
        say("Sums over all problems, failed runs included; the median is over solved ones. Certificates are not counted.");
        say("solved: ‖g‖∞ ≤ 1e-8·max(1, ‖g₀‖∞), recomputed; lowest: at the lowest known minimum, to four digits.");
        say(&format!("report: {}", page.display()));
    }
    Ok(Done::Success)
}

fn cases(list: Option<&str>) -> Result<Vec<Case>, Failure> {
    let names: Vec<String> = match list.map(str::trim) {
        None => testbed::COMPARISON.iter().map(|n| n.to_string()).collect(),
        Some("all") => testbed::names().iter().map(|n| n.to_string()).collect(),
        Some(list) => list.split(',').map(|n| n.trim().to_string()).collect(),
    };
    let mut cases: Vec<Case> = Vec::new();
    for name in names {
        let problem = testbed::problem(&name, None)?;
        if cases.iter().any(|c| c.name == problem.name) {
            warn(&format!("warning: problem `{}` is listed twice and runs once", problem.name));
            continue;
        }
        cases.push(Case::from(&problem));
    }
    if cases.is_empty() {
        return Err(Error::Config { name: "--problems".into(), requirement: "at least one name", value: String::new() }.into());
    }
    Ok(cases)
}

fn table(totals: &[Total]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.style_mut().row_separator = LineStyle::none();
    table.set_header([
        "solver",
        "uses",
        "solved",
        "lowest",
        "iterations",
        "median",
        "costs",
        "gradients",
        "Hessians",
        "products",
        "time",
    ]);
    for t in totals {
        let c = t.counts;
        table.add_row([
            t.solver.clone(),
            t.family.label().into(),
            format!("{}/{}", t.solved, t.problems),
            t.at_known_minimum.to_string(),
            t.iterations.to_string(),
            t.median_iterations.map_or("–".into(), |m| m.to_string()),
            c.cost.to_string(),
            c.gradient.to_string(),
            c.hessian.to_string(),
            c.hessian_product.to_string(),
            duration(t.seconds),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
