//! Imports point one way: a module uses only modules to its left in the order below.

use std::path::{Path, PathBuf};

const ORDER: [&[&str]; 12] = [
    &["error", "counts"],
    &["linalg"],
    &["spectrum"],
    &["model", "loss"],
    &["problem"],
    &["curvature"],
    // Neither engine imports the other: see `engines_do_not_import_each_other`.
    &["second_order", "stochastic"],
    &["testing"],
    &["testbed", "dataset"],
    &["fit"],
    &["study"],
    &["bin"],
];

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|group| group.contains(&module))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// `(file, its top module, the module it imports)` for every `crate::…` path in code (comments and doc links are skipped).
fn arrows() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut arrows = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).expect("under src").to_string_lossy().replace('\\', "/");
        let own = relative.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_string();
        if own == "lib" {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable source");
        // Unit tests at the end of a file may look anywhere.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for line in code.lines().map(str::trim).filter(|l| !l.starts_with("//")) {
            for prefix in ["crate::", "curvkit::"] {
                for (at, _) in line.match_indices(prefix) {
                    if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                        continue;
                    }
                    let rest = &line[at + prefix.len()..];
                    let names: Vec<&str> = match rest.strip_prefix('{') {
                        Some(group) => group.split(',').map(str::trim).collect(),
                        None => vec![rest],
                    };
                    for name in names {
                        let module: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                        arrows.push((relative.clone(), own.clone(), module));
                    }
                }
            }
        }
    }
    assert!(arrows.len() > 50, "the scan found only {} imports", arrows.len());
    arrows
}

#[test]
fn imports_point_to_the_left_only() {
    let offences: Vec<String> = arrows()
        .into_iter()
        .filter_map(|(file, from, to)| {
            let (a, b) = (rank(&from)?, rank(&to)?);
            (b > a).then(|| format!("{file}: {from} -> {to}"))
        })
        .collect();
    assert!(offences.is_empty(), "imports to the right:\n{}", offences.join("\n"));
}

#[test]
fn every_module_has_its_place_in_the_order() {
    for (file, from, _) in arrows() {
        assert!(rank(&from).is_some(), "{file}: `{from}` has no place in the order");
    }
}

#[test]
fn engines_do_not_import_each_other() {
    for (file, from, to) in arrows() {
        let engines = ["second_order", "stochastic"];
        assert!(from == to || !(engines.contains(&from.as_str()) && engines.contains(&to.as_str())), "{file}: {from} -> {to}");
    }
}

#[test]
fn argmin_is_named_only_where_problems_and_solvers_meet_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let allowed = [
        "problem/",
        "curvature/hessian.rs",
        "second_order/minimizer",
        "second_order/nonlinear_cg",
        "second_order/state.rs",
        "stochastic/range_test.rs",
        "stochastic/solver",
        "testbed/",
        "fit/phases.rs",
        "fit/glm/mod.rs",
        "study/",
        "bin/",
        "lib.rs",
        "testing",
    ];
    for file in files {
        let relative = file.strip_prefix(&root).expect("under src").to_string_lossy().replace('\\', "/");
        if allowed.iter().any(|a| relative.starts_with(a)) {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable source");
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, l)| !l.trim().starts_with("//")) {
            assert!(!line.contains("argmin::"), "{relative}:{}: {line}", number + 1);
        }
    }
}
