//! `curvkit list`.

use crate::Done;
use crate::args::{Category, ListArgs};
use crate::failure::Failure;
use crate::output::{number, say, say_json};
use comfy_table::{Table, presets};
use curvkit::dataset::EMBEDDED;
use curvkit::dataset::nist::{self, NistDataset};
use curvkit::study::training::{self, SCHEDULES, STOCHASTIC_COMMON};
use curvkit::study::{COMMON, ENTRIES, Key};
use curvkit::testbed::{self, TestProblem};
use serde_json::{Value, json};

/// Lists problems, solvers, data sets, optimizers, schedules, or all of them.
pub fn list(args: &ListArgs) -> Result<Done, Failure> {
    let wants = |category| args.category.is_none_or(|c| c == category);
    let problems = if wants(Category::Problems) { Some(testbed::all()?) } else { None };
    let datasets = if wants(Category::Datasets) { Some(datasets()?) } else { None };
    if args.json {
        let mut document = serde_json::Map::new();
        if let Some(problems) = &problems {
            document.insert("problems".into(), problems.iter().map(problem_json).collect());
        }
        if wants(Category::Solvers) {
            document.insert("solvers".into(), solvers_json());
            document.insert("common_options".into(), COMMON.iter().map(key_json).collect());
        }
        if let Some(datasets) = &datasets {
            document.insert("datasets".into(), datasets.iter().map(dataset_json).collect());
            document.insert("embedded".into(), EMBEDDED.iter().map(about_json).collect());
        }
        if wants_rules(args) {
            document.insert("optimizers".into(), optimizers_json());
            document.insert("stochastic_options".into(), STOCHASTIC_COMMON.iter().map(key_json).collect());
        }
        if wants(Category::Schedules) {
            document.insert("schedules".into(), SCHEDULES.iter().map(about_json).collect());
        }
        say_json(&Value::Object(document));
        return Ok(Done::Success);
    }
    if let Some(problems) = &problems {
        say_problems(problems);
    }
    if wants(Category::Solvers) {
        say_solvers();
    }
    if let Some(datasets) = &datasets {
        say_datasets(datasets);
    }
    if wants_rules(args) {
        say_rules(args.category != Some(Category::Rules));
    }
    if wants(Category::Schedules) {
        say("\nSchedules of a learning rate, as `schedule=NAME`:");
        SCHEDULES.iter().for_each(say_about);
    }
    Ok(Done::Success)
}

/// Stochastic methods are listed under either name.
fn wants_rules(args: &ListArgs) -> bool {
    args.category.is_none_or(|c| matches!(c, Category::Optimizers | Category::Rules))
}

fn say_rules(with_solvers: bool) {
    say("\nStochastic methods, for `curvkit train --optimizer NAME[:key=value,…]`:");
    for entry in training::ENTRIES {
        say(&format!("{:24} {} [learning rate {}]", entry.name, entry.about, entry.rate));
        entry.keys.iter().for_each(say_key);
    }
    say("\nOptions of every one of them:");
    STOCHASTIC_COMMON.iter().for_each(say_key);
    if with_solvers {
        say("\nMethods that take all samples at once are those of `curvkit list solvers`:");
        ENTRIES.iter().for_each(|entry| say(&format!("    {}", entry.name)));
    }
}

fn say_about((name, about): &(&str, &str)) {
    say(&format!("    {name:20} {about}"));
}

fn about_json((name, about): &(&str, &str)) -> Value {
    json!({ "name": name, "about": about })
}

fn optimizers_json() -> Value {
    let one = |e: &training::Entry| {
        json!({ "name": e.name, "about": e.about, "learning_rate": e.rate, "needs_hessian": e.needs_hessian,
                "options": e.keys.iter().map(key_json).collect::<Vec<_>>() })
    };
    training::ENTRIES.iter().map(one).collect()
}

fn datasets() -> Result<Vec<NistDataset>, Failure> {
    Ok(nist::names().map(nist::load).collect::<Result<_, _>>()?)
}

fn say_datasets(datasets: &[NistDataset]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["DATA SET", "ROWS", "PARAMETERS", "MODEL"]);
    for d in datasets {
        table.add_row([d.name.as_str(), &d.n_observations().to_string(), &d.n_parameters().to_string(), &d.model]);
    }
    say(&format!("\n{}\n\nNIST's certified regressions, for `curvkit fit --nist NAME`.", table.trim_fmt()));
    say("\nEmbedded sets, for `curvkit train --data NAME`:");
    EMBEDDED.iter().for_each(say_about);
}

fn dataset_json(d: &NistDataset) -> Value {
    json!({ "name": d.name, "rows": d.n_observations(), "parameters": d.n_parameters(), "model": d.model })
}

fn say_problems(problems: &[TestProblem]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["PROBLEM", "N", "LOWEST f", "DEFAULT", "TITLE"]);
    for p in problems {
        let chosen = if testbed::COMPARISON.contains(&p.name.as_str()) { "yes" } else { "" };
        let lowest = p.minima.first().map_or(String::new(), |m| number(*m));
        table.add_row([p.name.as_str(), &p.dim().to_string(), &lowest, chosen, &p.title]);
    }
    say(&table.trim_fmt());
    say("\nDEFAULT: part of `curvkit compare` without --problems.\n");
}

fn say_solvers() {
    for entry in ENTRIES {
        say(&format!("{:24} {} [{}; at most {} iterations]", entry.name, entry.about, entry.family.label(), entry.max_iters));
        entry.keys.iter().for_each(say_key);
    }
    say("\nOptions of every solver, as NAME:key=value,key=value:");
    COMMON.iter().for_each(say_key);
}

fn say_key(key: &Key) {
    say(&format!("    {:20} {}: {}", key.name, key.about, key.kind.requirement()));
}

fn problem_json(p: &TestProblem) -> Value {
    json!({ "name": p.name, "title": p.title, "n": p.dim(), "start": p.start, "minima": p.minima, "condition": p.condition })
}

fn key_json(key: &Key) -> Value {
    json!({ "name": key.name, "about": key.about, "value": key.kind.requirement() })
}

fn solvers_json() -> Value {
    let one = |e: &curvkit::study::Entry| {
        json!({ "name": e.name, "about": e.about, "family": e.family, "max_iters": e.max_iters,
                "options": e.keys.iter().map(key_json).collect::<Vec<_>>() })
    };
    ENTRIES.iter().map(one).collect()
}
