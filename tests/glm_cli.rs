//! `curvkit glm`: its table, its JSON, its exit codes, and bad input.
#![cfg(feature = "cli")]

#[path = "common/glm.rs"]
mod support;

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;
use std::path::{Path, PathBuf};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn curvkit(args: &[&str]) -> Ran {
    let output = cargo_bin_cmd!("curvkit").args(args).current_dir(env!("CARGO_TARGET_TMPDIR")).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(args: &[&str], code: i32) -> Value {
    let ran = curvkit(&[args, &["--json"]].concat());
    assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{}", ran.out))
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/glm").join(name).display().to_string()
}

fn data(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(path, text).unwrap();
    name.into()
}

fn estimate(run: &Value, name: &str) -> f64 {
    let rows = run["coefficients"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {run}"));
    row["estimate"].as_f64().unwrap_or(f64::NAN)
}

#[test]
fn counts_of_successes_with_trials_give_the_printed_coefficients() {
    let file = fixture("star98.csv");
    let names: Vec<String> =
        std::fs::read_to_string(&file).unwrap().lines().next().unwrap().split(',').map(|n| n.replace('"', "")).collect();
    let terms = names[2..].join(" + ");
    let args = ["glm", &file, "--response", "PR50M", "--trials", "MATHTOT", "--terms", &terms, "--family", "binomial"];
    let run = json(&args, 0);
    let found: Vec<f64> = names[2..].iter().map(|n| estimate(&run, n)).chain([estimate(&run, "(Intercept)")]).collect();
    let off = support::differences("params", &found, &support::printed("star98", "params"));
    assert!(off.is_empty(), "{}", off.join("\n"));
    assert!((run["statistics"]["aic"].as_f64().unwrap() - 6039.22511799).abs() < 5e-9);
    assert_eq!((&run["converged"], &run["test"], &run["link"]), (&true.into(), &"z".into(), &"logit".into()));
    for field in ["stop", "iterations", "counts", "seconds", "certificate", "warnings", "level", "family", "problem"] {
        assert!(!run[field].is_null(), "{field} is missing: {run}");
    }
    let text = curvkit(&args).out;
    for part in [
        "ESTIMATE",
        "95% INTERVAL",
        "deviance     4078.765418 on 282",
        "null         34345.36889 on 302",
        "AIC 6039.2251",
        "maximum of the likelihood",
    ] {
        assert!(text.contains(part), "`{part}` in\n{text}");
    }
}

#[test]
fn factors_of_text_expressions_offsets_and_links_are_read() {
    let lbw = fixture("lbw.csv");
    let run = json(
        &[
            "glm",
            &lbw,
            "--response",
            "low",
            "--terms",
            "age + lwt + factor(race) + smoke + ptl + ht + ui",
            "--family",
            "binomial",
        ],
        0,
    );
    // The same fit with another first level.
    assert!((estimate(&run, "age") + 0.02710031).abs() < 1e-8 && (estimate(&run, "race=white") + 1.26264728).abs() < 1e-7);
    let cpunish = fixture("cpunish.csv");
    let terms = "INCOME + PERPOVERTY + PERBLACK + log(VC100k96) + SOUTH + DEGREE";
    let args = ["glm", &cpunish, "--response", "EXECUTIONS", "--terms", terms, "--family", "poisson", "--offset", "log(100)"];
    let run = json(&args, 0);
    assert!(
        (estimate(&run, "(Intercept)") + 11.40665).abs() < 1e-5 && (estimate(&run, "log(VC100k96)") - 0.2969349).abs() < 1e-7
    );
    let scot = fixture("scotvote.csv");
    let terms = "COUTAX + UNEMPF + MOR + ACT + GDP + AGE + COUTAX:UNEMPF";
    let run = json(&["glm", &scot, "--response", "YES", "--terms", terms, "--family", "gamma"], 0);
    assert!((estimate(&run, "COUTAX:UNEMPF") + 2.42717498e-6).abs() < 5e-15 && run["test"] == "t");
    let sandwich = |se: &str| json(&["glm", &scot, "--response", "YES", "--terms", terms, "--family", "gamma", "--se", se], 0);
    let errors: Vec<f64> = ["expected", "observed", "sandwich", "sandwich_hc1"]
        .map(|se| sandwich(se)["coefficients"][1]["std_error"].as_f64().unwrap())
        .to_vec();
    assert!((errors[0] / errors[1] - 1.0).abs() < 1e-10 && (errors[3] / errors[2] - (32.0f64 / 24.0).sqrt()).abs() < 1e-10);
    let cancer = fixture("cancer.csv");
    let run = json(
        &["glm", &cancer, "--response", "studytime", "--terms", "age + factor(drug) - 1", "--family", "gamma", "--link", "log"],
        0,
    );
    let (one, two) = (estimate(&run, "drug=1"), estimate(&run, "drug=2"));
    assert!((one - 4.64610793412).abs() < 1e-10 && (two - one - 0.57436885953).abs() < 1e-10);
}

#[test]
fn separation_and_aliases_are_said() {
    let file = data("separated.csv", "x,y\n1,0\n2,0\n3,0\n5,1\n6,1\n");
    let args = ["glm", &file, "--response", "y", "--terms", "x", "--family", "binomial"];
    let ran = curvkit(&args);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("complete separation: no finite estimate along"), "{}", ran.out);
    assert!(ran.out.contains("5 of 5 rows") && ran.err.contains("no verified maximum"), "{} {}", ran.out, ran.err);
    let run = json(&args, 1);
    assert!(run["separation"]["complete"] == true && run["converged"] == false);
    let file = data("aliased.csv", "x,y\n1,1\n2,3\n3,2\n5,6\n6,9\n");
    let args = ["glm", &file, "--response", "y", "--terms", "x + I(2*x + 1)", "--family", "poisson"];
    let ran = curvkit(&args);
    assert!(
        ran.code == 0 && ran.out.contains("2*x + 1 cannot be identified and is left out: it equals 1 (Intercept) + 2 x"),
        "{}",
        ran.out
    );
    assert!(json(&args, 0)["coefficients"][2]["estimate"].is_null());
}

#[test]
fn bad_input_exits_with_two_and_says_what_where_expected_and_found() {
    let good = data("good.csv", "x,y,n,g\n1,2,3,a\n2,1,2,b\n\n3,4,9,a\n");
    let none = data("none.csv", "x,y\n");
    let low = data("low.csv", "x,y,w\n1,2,1\n# comment\n2,-1,1\n3,4,-1\n");
    let nan = data("nan-glm.csv", "x,y\n1,2\nNaN,3\n4,5\n");
    let short = data("short-glm.csv", "x,y\n1,2\n1\n");
    for (args, parts) in [
        (&["nowhere.csv", "--response", "y", "--terms", "x"][..], &["nowhere.csv"][..]),
        (&[&none, "--response", "y", "--terms", "x"], &["none.csv", "rows"]),
        (&[&short, "--response", "y", "--terms", "x"], &["short-glm.csv:3", "2 fields", "1"]),
        (&[&good, "--response", "q", "--terms", "x"], &["unknown name `q`"]),
        (&[&good, "--response", "y", "--terms", "x + q"], &["character 4", "`q`"]),
        (&[&good, "--response", "y", "--terms", "x + factor(h)"], &["character 11", "unknown column `h`"]),
        (&[&good, "--response", "y", "--terms", "g"], &["good.csv:2", "`g`", "number", "`a`"]),
        (&[&good, "--response", "y", "--terms", "x", "--family", "poisssn"], &["unknown family", "poisson"]),
        (&[&good, "--response", "y", "--terms", "x", "--link", "logg"], &["unknown link", "log"]),
        (&[&good, "--response", "y", "--terms", "x", "--se", "hc9"], &["unknown covariance"]),
        (&[&good, "--response", "y", "--terms", "x", "--level", "1"], &["level"]),
        (&[&good, "--response", "y", "--terms", "x", "--trials", "n"], &["--trials", "binomial"]),
        (
            &[&good, "--response", "n", "--terms", "x", "--family", "binomial", "--trials", "y"],
            &["good.csv:2", "`n`", "between 0 and 2"],
        ),
        (
            &[&good, "--response", "y", "--terms", "x", "--family", "binomial"],
            &["good.csv:2", "`y`", "in [0, 1] (binomial)", "2"],
        ),
        (
            &[&low, "--response", "y", "--terms", "x", "--family", "poisson"],
            &["low.csv:4", "`y`", "not negative (poisson)", "-1"],
        ),
        (&[&low, "--response", "y", "--terms", "x", "--weights", "w"], &["low.csv:5", "`w`", "not negative"]),
        (&[&low, "--response", "y", "--terms", "x", "--offset", "log(y)"], &["low.csv:4", "finite"]),
        (&[&nan, "--response", "y", "--terms", "x"], &["nan-glm.csv:3", "`x`", "finite"]),
    ] {
        let ran = curvkit(&[&["glm"], args].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        parts.iter().for_each(|part| assert!(ran.err.contains(part), "{part} not in: {}", ran.err));
    }
}

#[test]
fn maximum_on_the_boundary_is_named_with_its_rows() {
    let file = data("zero_mean.csv", "x,y\n0,0\n1,1\n2,5\n");
    let args = ["glm", &file, "--response", "y", "--terms", "x", "--family", "poisson", "--link", "identity"];
    let ran = curvkit(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let certificate = ran.out.lines().find(|l| l.starts_with("certificate")).unwrap();
    assert!(certificate.contains("maximum of the likelihood on the boundary: the fitted mean of row 1 is 0"), "{certificate}");
    assert!(!ran.out.contains("NaN") && ran.out.contains("no standard errors"), "{}", ran.out);
    let run = json(&args, 0);
    assert!((estimate(&run, "x") - 2.0).abs() < 1e-12 && run["boundary"]["rows"][0] == 0 && run["converged"] == true);
}
