//! The command line: every documented command, its JSON, its exit codes, and bad input of every kind.
#![cfg(feature = "cli")]

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;
use std::path::{Path, PathBuf};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn curvkit(args: &[&str]) -> Ran {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let output = cargo_bin_cmd!("curvkit").args(args).current_dir(directory).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(args: &[&str], code: i32) -> Value {
    let ran = curvkit(args);
    assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{}", ran.out))
}

fn fresh(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

#[test]
fn list_shows_problems_and_solvers_as_text_and_as_json() {
    let both = curvkit(&["list"]);
    assert_eq!((both.code, both.err.as_str()), (0, ""));
    assert!(both.out.contains("rosenbrock") && both.out.contains("trust_region_exact"));
    let problems = curvkit(&["list", "problems"]);
    assert!(problems.out.contains("rosenbrock") && !problems.out.contains("trust_region_exact"));
    let solvers = curvkit(&["list", "solvers"]);
    assert!(!solvers.out.contains("powell_badly_scaled") && solvers.out.contains("memory"));
    let document = json(&["list", "--json"], 0);
    assert!(document["solvers"].as_array().unwrap().len() >= 12);
    assert!(document["problems"].as_array().unwrap().len() >= 20);
}

#[test]
fn minimize_a_test_problem_reports_the_documented_fields() {
    let run = json(&["minimize", "--problem", "rosenbrock", "--json"], 0);
    for field in
        ["problem", "solver", "converged", "stop", "x", "cost", "gradient_norm", "iterations", "counts", "seconds", "certificate"]
    {
        assert!(!run[field].is_null(), "{field} is missing: {run}");
    }
    assert_eq!((&run["problem"], &run["converged"]), (&"rosenbrock".into(), &true.into()));
    assert_eq!(run["stop"]["reason"], "gradient");
    assert!(run["stop"]["value"].as_f64().unwrap() <= run["stop"]["bound"].as_f64().unwrap());
    for entry in run["x"].as_array().unwrap() {
        assert!((entry.as_f64().unwrap() - 1.0).abs() < 1e-6, "{run}");
    }
    assert!(run["counts"]["cost_count"].as_u64().unwrap() > 5);
    // The Hessian at (1, 1) is [[802, −400], [−400, 200]].
    let (low, high) = (501.0 - 250_601f64.sqrt(), 501.0 + 250_601f64.sqrt());
    let certificate = &run["certificate"];
    assert_eq!(certificate["verdict"], "minimum");
    assert!((certificate["smallest_curvature"].as_f64().unwrap() / low - 1.0).abs() < 1e-3);
    assert!((certificate["largest_curvature"].as_f64().unwrap() / high - 1.0).abs() < 1e-3);
}

#[test]
fn minimize_as_text_shows_stop_point_and_certificate() {
    let ran = curvkit(&["minimize", "--expr", "(a - 3)^2 + 2*(b + 1)^2", "--start", "-5,7", "--solver", "newton"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for part in ["gradient test met", "a = 3", "b = -1", "minimum, curvature from 2 to 4", "condition number 2"] {
        assert!(ran.out.contains(part), "`{part}` in\n{}", ran.out);
    }
}

#[test]
fn every_solver_minimizes_a_quadratic_given_as_text() {
    let solvers = json(&["list", "solvers", "--json"], 0);
    for solver in solvers["solvers"].as_array().unwrap() {
        let name = solver["name"].as_str().unwrap();
        let run = json(&["minimize", "--expr", "2*(x-1)^2 + (y+2)^2 + x*y", "--solver", name, "--json"], 0);
        // ∇f = 0 means 4x + y = 4 and x + 2y = −4.
        let x: Vec<f64> = run["x"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert!((x[0] - 12.0 / 7.0).abs() < 1e-6 && (x[1] + 20.0 / 7.0).abs() < 1e-6, "{name}: {x:?}");
        assert_eq!(run["solved"], true, "{name}");
    }
}

#[test]
fn minimize_from_a_saddle_finds_a_minimum() {
    for start in ["0,0", "1,0"] {
        for solver in ["trust_region_exact", "newton", "newton_cg", "lbfgs", "bfgs"] {
            let run = json(&["minimize", "--expr", "x^2 - y^2 + y^4/4", "--start", start, "--solver", solver, "--json"], 0);
            assert!((run["cost"].as_f64().unwrap() + 1.0).abs() < 1e-9, "{solver} from {start}: {run}");
            assert_eq!(run["certificate"]["verdict"], "minimum", "{solver} from {start}");
        }
    }
}

#[test]
fn a_run_that_does_not_converge_exits_with_one() {
    let run = json(&["minimize", "--problem", "rosenbrock", "--max-iters", "2", "--json"], 1);
    assert_eq!((&run["converged"], &run["stop"]["reason"]), (&false.into(), &"iterations".into()));
    assert_eq!((&run["stop"]["bound"], &run["iterations"]), (&2.0.into(), &2.into()));
    let unbounded = json(&["minimize", "--expr", "-x^2", "--json"], 1);
    assert_eq!(unbounded["converged"], false);
}

#[test]
fn gtol_and_solver_options_are_obeyed() {
    let loose = json(&["minimize", "--problem", "rosenbrock", "--solver", "lbfgs:memory=3", "--gtol", "1e-2", "--json"], 0);
    let tight = json(&["minimize", "--problem", "rosenbrock", "--solver", "lbfgs:memory=3,gtol=1e-11", "--json"], 0);
    assert!(loose["iterations"].as_u64() < tight["iterations"].as_u64());
    assert_eq!(loose["solver"], "lbfgs:memory=3,gtol=1e-2");
    assert_eq!(loose["solved"], false, "a bound of 1e-2 is not the bound that counts as solved");
}

#[test]
fn bad_input_exits_with_two_and_says_what_where_expected_and_found() {
    let long = "x+".repeat(5000);
    let cases: &[(&[&str], &[&str])] = &[
        (&["minimize", "--problem", "rosenbrok"], &["unknown problem `rosenbrok`", "`rosenbrock`"]),
        (&["minimize", "--problem", ""], &["unknown problem"]),
        (&["minimize", "--problem", "rosenbrock", "--solver", "newtn"], &["unknown solver `newtn`", "`newton`"]),
        (&["minimize", "--problem", "rosenbrock", "--solver", "qqqqqqqq"], &["curvkit list solvers"]),
        (&["minimize", "--problem", "rosenbrock", "--solver", "lbfgs:memry=3"], &["lbfgs:memry", "`memory`"]),
        (&["minimize", "--problem", "rosenbrock", "--solver", "lbfgs:memory=0"], &["from 1 to 1000", "found 0"]),
        (&["minimize", "--problem", "rosenbrock", "--solver", "lbfgs:memory"], &["character 6", "key=value"]),
        (&["minimize", "--problem", "rosenbrock", "--solver", "trust_region_exact:radius=-1"], &["above 0", "found -1"]),
        (&["minimize", "--problem", "rosenbrock", "--gtol", "-1"], &["gtol", "found -1"]),
        (&["minimize", "--problem", "rosenbrock", "--gtol", "NaN"], &["gtol", "found NaN"]),
        (&["minimize", "--problem", "rosenbrock", "--seconds", "0"], &["--seconds", "found 0"]),
        (&["minimize", "--problem", "rosenbrock", "--start", "1,2,3"], &["start", "expected length 2, found 3"]),
        (&["minimize", "--problem", "rosenbrock", "--start", "NaN,1"], &["start is not finite (entry 0)"]),
        (&["minimize", "--problem", "rosenbrock", "--start", "1,inf"], &["start is not finite (entry 1)"]),
        (&["minimize", "--problem", "rosenbrock", "--start", "1,two"], &["start at character 2", "`two`", "^"]),
        (&["minimize", "--problem", "rosenbrock", "--n", "3"], &["`n`", "found 3"]),
        (&["minimize", "--problem", "rosenbrock", "--n", "0"], &["--n", "found 0"]),
        (&["minimize", "--problem", "vardim", "--n", "1000000"], &["--n", "at most 5000", "found 1000000"]),
        (&["minimize", "--problem", "extended_wood_100", "--n", "100000", "--solver", "bfgs"], &["bfgs", "at most 5000"]),
        (&["minimize", "--expr", "x^2 + * y"], &["expression at character 6", "^"]),
        (&["minimize", "--expr", "log(x)", "--start", "-1"], &["cost at the start is not finite"]),
        (&["minimize", "--expr", ""], &["expression"]),
        (&["minimize", "--expr", &long], &["expression"]),
        (&["minimize"], &["--problem"]),
        (&["minimize", "--problem", "a", "--expr", "x"], &["--expr"]),
        (&["compare", "--problems", "rosenbrock,rosenbrok"], &["unknown problem `rosenbrok`"]),
        (&["compare", "--problems", ""], &["unknown problem"]),
        (&["compare", "--problems", "rosenbrock", "--solvers", "newton,,bfgs"], &["character 7", "name is missing"]),
        (&["compare", "--problems", "rosenbrock", "--solvers", "newton:gtol=x"], &["newton:gtol", "found x"]),
        (&["compare", "--problems", "rosenbrock", "--out", "/dev/null/nowhere"], &["/dev/null/nowhere"]),
        (&["list", "dragons"], &["dragons"]),
        (&["fly"], &["fly"]),
    ];
    for (args, parts) in cases {
        let ran = curvkit(args);
        assert_eq!(ran.code, 2, "{args:?}: {}{}", ran.out, ran.err);
        assert_eq!(ran.out, "", "{args:?}: nothing belongs on stdout");
        for part in *parts {
            assert!(ran.err.contains(part), "`{part}` in {args:?}: {}", ran.err);
        }
    }
}

#[test]
fn messages_about_bad_input_are_one_line_and_a_caret_stands_under_the_place() {
    assert_eq!(curvkit(&["minimize", "--problem", "rosen\nbrock"]).err.lines().count(), 1);
    let ran = curvkit(&["minimize", "--expr", "x^2 + * y"]);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.err);
    assert_eq!(lines[1].chars().nth(lines[2].find('^').unwrap()), Some('*'));
}

#[test]
fn compare_writes_the_whole_report() {
    let out = fresh("report");
    let ran = curvkit(&[
        "compare",
        "--problems",
        "rosenbrock,beale,wood",
        "--solvers",
        "trust_region_exact,lbfgs:memory=5,gradient_descent",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for part in ["trust_region_exact", "lbfgs:memory=5", "gradient_descent", "3/3", "index.html"] {
        assert!(ran.out.contains(part), "`{part}` in\n{}", ran.out);
    }
    for file in ["index.html", "summary.csv", "runs.csv", "traces.csv", "report.json"] {
        assert!(out.join(file).metadata().unwrap().len() > 100, "{file}");
    }
    let charts = ["performance_work", "performance_time", "data_1e-1", "data_1e-3", "data_1e-5", "data_1e-7", "convergence_wood"];
    for chart in charts {
        let svg = std::fs::read_to_string(out.join("charts").join(format!("{chart}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("lbfgs:memory=5") && !svg.contains("NaN"), "{chart}");
    }
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 2 + 4 + 3);
    assert!(!page.contains("src=") && !page.contains("href="), "the page loads nothing");
    let rows = csv::Reader::from_path(out.join("runs.csv")).unwrap().records().count();
    assert_eq!(rows, 9);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["runs"].as_array().unwrap().len(), 9);
}

#[test]
fn compare_json_is_one_document_whose_totals_add_up() {
    let out = fresh("json-report");
    let report = json(
        &[
            "compare",
            "--problems",
            "rosenbrock,beale",
            "--solvers",
            "newton,nonlinear_cg_hz",
            "--json",
            "--out",
            out.to_str().unwrap(),
        ],
        0,
    );
    assert_eq!(report["totals"].as_array().unwrap().len(), 2);
    for (s, total) in report["totals"].as_array().unwrap().iter().enumerate() {
        let runs: Vec<&Value> = report["runs"].as_array().unwrap().iter().skip(s).step_by(2).collect();
        let sum = |field: &str| runs.iter().map(|r| r["counts"][field].as_u64().unwrap()).sum::<u64>();
        for field in ["cost_count", "gradient_count", "hessian_count", "hessian_product_count"] {
            assert_eq!(total["counts"][field].as_u64().unwrap(), sum(field), "{field}");
        }
        assert_eq!(total["solved"], 2, "{total}");
    }
}

#[test]
fn compare_goes_to_its_documented_directory_by_default() {
    let out = fresh("curvkit-report");
    let ran = curvkit(&["compare", "--problems", "beale", "--solvers", "newton"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(out.join("index.html").is_file());
}

fn data(name: &str, text: &str) -> String {
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), text).unwrap();
    name.to_string()
}

const DECAY: &str = "t,conc\n0.5,9.1\n1,8.3\n2,6.6\n4,4.6\n8,2.1\n12,1.02\n16,0.41\n24,0.13\n";

#[test]
fn fit_reports_the_documented_fields_and_the_fit_predicts_new_rows() {
    let file = data("decay.csv", DECAY);
    let model = ["fit", "--model", "conc = a*exp(-k*t)", "--data", &file, "--params", "a=1,k=1"];
    let run = json(&[&model[..], &["--json", "--save", "decay.json"]].concat(), 0);
    for field in [
        "problem",
        "solver",
        "converged",
        "stop",
        "x",
        "cost",
        "iterations",
        "counts",
        "seconds",
        "certificate",
        "parameters",
        "rss",
        "residual_std_dev",
        "degrees_of_freedom",
        "condition_number",
        "correlation",
    ] {
        assert!(!run[field].is_null(), "{field} is missing: {run}");
    }
    // Independent: the normal equations hold at the answer.
    let (a, k) = (run["x"][0].as_f64().unwrap(), run["x"][1].as_f64().unwrap());
    let rows: Vec<(f64, f64)> = DECAY
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').map(|(t, y)| (t.parse().unwrap(), y.parse().unwrap())).unwrap())
        .collect();
    let g = rows.iter().fold([0.0, 0.0], |g, (t, y)| {
        let e = (-k * t).exp();
        [g[0] + (a * e - y) * e, g[1] - (a * e - y) * a * t * e]
    });
    assert!(g[0].abs() < 1e-13 && g[1].abs() < 1e-11, "{g:?}");
    let text = curvkit(&model);
    assert!(text.code == 0 && text.out.contains("STD ERROR") && text.out.contains("certificate  minimum"), "{}", text.out);

    let new = data("new.csv", "t\n1\n30\n");
    let predicted = curvkit(&["predict", "--fit", "decay.json", "--data", &new]);
    assert_eq!((predicted.code, predicted.out.lines().count()), (0, 3), "{}", predicted.err);
    let first: Vec<f64> = predicted.out.lines().nth(1).unwrap().split(',').map(|v| v.parse().unwrap()).collect();
    assert!((first[1] - a * (-k).exp()).abs() < 1e-12 && first[4] < first[2] && first[3] < first[5]);
}

#[test]
fn fit_of_a_certified_regression_shows_its_digits() {
    let run = json(&["fit", "--nist", "misra1a", "--start", "2", "--json"], 0);
    assert!((run["x"][0].as_f64().unwrap() / 2.3894212918e2 - 1.0).abs() < 1e-10);
    assert!(curvkit(&["fit", "--nist", "BoxBOD"]).out.contains("DIGITS"));
    assert!(curvkit(&["list", "datasets"]).out.contains("Bennett5"));
}

#[test]
fn fit_names_what_cannot_be_identified() {
    let file = data("decay2.csv", DECAY);
    let args = ["fit", "--model", "conc = a*b*exp(-k*t)", "--data", &file, "--params", "a=1,b=1,k=1"];
    let ran = curvkit(&args);
    assert!(ran.code == 0 || ran.code == 1, "{}", ran.err);
    assert!(ran.out.contains("the data do not determine a, b"), "{}", ran.out);
    // What JSON writes as null is read again.
    let saved = curvkit(&[&args[..], &["--save", "tied.json"]].concat());
    assert!(saved.code <= 1, "{}", saved.err);
    assert_eq!(curvkit(&["predict", "--fit", "tied.json", "--data", &file]).code, 0);
}

#[test]
fn bad_fits_exit_with_two_and_say_what_where_expected_and_found() {
    let file = data("decay3.csv", DECAY);
    let text = data("text.csv", "t,conc\n1,2\n2,high\n");
    let nan = data("nan.csv", "t,conc\n1,NaN\n2,3\n");
    let empty = data("empty.csv", "t,conc\n");
    let short = data("short.csv", "t,conc\n1,2\n");
    let good = "conc = a*exp(-k*t)";
    for (model, file, params, parts) in [
        (good, "nowhere.csv", "a=1,k=1", &["nowhere.csv"][..]),
        (good, &text, "a=1,k=1", &["text.csv:3", "`conc`", "number", "`high`"]),
        (good, &nan, "a=1,k=1", &["nan.csv:2", "`conc`"]),
        (good, &empty, "a=1,k=1", &["empty.csv", "rows"]),
        (good, &short, "a=1,k=1", &["1 rows for 2 parameters"]),
        ("dose = a*t", &file, "a=1", &["decay3.csv:1", "`dose`"]),
        ("conc = a*exp(-k*q)", &file, "a=1,k=1", &["unknown name `q`", "character 16"]),
        ("conc = a*exp(-k*t", &file, "a=1,k=1", &["character 17"]),
        ("a*t", &file, "a=1", &["--y"]),
        (good, &file, "a=1,k", &["NAME=START", "`k`"]),
        (good, &file, "a=1,k=-1000", &["starting point is not finite"]),
    ] {
        let ran = curvkit(&["fit", "--model", model, "--data", file, "--params", params]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{model} {file} {params}: {}", ran.err);
        parts.iter().for_each(|part| assert!(ran.err.contains(part), "{part} not in: {}", ran.err));
    }
    for args in [&["--nist", "Misra1"][..], &["--nist", "Misra1a", "--start", "3"], &["--nist", "Misra1a", "--level", "1"]] {
        assert_eq!(curvkit(&[&["fit"], args].concat()).code, 2, "{args:?}");
    }
    assert_eq!(curvkit(&["predict", "--fit", &file, "--data", &file]).code, 2);
}

#[test]
fn fit_takes_bounds_fixed_and_tied_parameters_and_says_which_they_are() {
    let file = data("bounded.csv", DECAY);
    let fit = |params: &str, model: &str, flags: &[&str]| {
        [&["fit", "--model", model, "--data", &file, "--params", params], flags]
            .concat()
            .iter()
            .map(|s| s.to_string())
            .collect::<Vec<_>>()
    };
    let ran = |args: &[String]| curvkit(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let document = |args: &[String]| {
        let ran = ran(&[args, &["--json".to_string()]].concat());
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        serde_json::from_str::<Value>(&ran.out).unwrap()
    };
    let good = "conc = a*exp(-k*t)";
    let args = fit("a=1,k=1", good, &["--bounds", "a=:9.5,k=0:10", "--profile", "--starts", "5"]);
    let run = document(&args);
    assert_eq!(
        (&run["x"][0], &run["parameters"][0]["role"], &run["parameters"][1]["role"]),
        (&9.5.into(), &"at_upper".into(), &"free".into())
    );
    assert_eq!((&run["parameters"][0]["std_error"], &run["active_bounds"][0]["side"]), (&Value::Null, &"upper".into()));
    assert!(run["active_bounds"][0]["multiplier"].as_f64().unwrap() > 0.0);
    assert_eq!(run["profile_intervals"][0][1], 9.5);
    let shown = ran(&args);
    assert!(shown.out.contains("at upper bound") && shown.out.contains("a at a bound"), "{}", shown.out);

    let fixed = document(&fit("a=1,k=1", good, &["--fix", "k=0.2"]));
    assert_eq!(
        (&fixed["x"][1], &fixed["parameters"][1]["role"], &fixed["degrees_of_freedom"]),
        (&0.2.into(), &"fixed".into(), &7.into())
    );
    // Amplitudes tied to each other, against one amplitude.
    let two = document(&fit("a=1,b=1,k=1", "conc = a*exp(-k*t) + b*exp(-k*t)", &["--tie", "b=3*a"]));
    let one = document(&fit("a=1,k=1", good, &[]));
    let (a, b) = (two["x"][0].as_f64().unwrap(), two["x"][1].as_f64().unwrap());
    assert!(
        (a + b - one["x"][0].as_f64().unwrap()).abs() < 1e-11
            && (b - 3.0 * a).abs() < 1e-13
            && two["parameters"][1]["role"] == "tied"
    );
    let error = |run: &Value, j: usize| run["parameters"][j]["std_error"].as_f64().unwrap();
    assert!((4.0 * error(&two, 0) / error(&one, 0) - 1.0).abs() < 1e-9 && (error(&two, 1) / error(&two, 0) - 3.0).abs() < 1e-12);

    let page = fresh("bounded-report");
    let ran = ran(&fit("a=20,k=1", good, &["--bounds", "a=:9.5", "--out", page.to_str().unwrap()]));
    assert!(ran.code == 0 && ran.out.contains("start of a lay outside"), "{}{}", ran.out, ran.err);
}

#[test]
fn constraints_that_cannot_be_read_exit_with_two_and_show_the_place() {
    let file = data("bounded2.csv", DECAY);
    for (flag, text, parts) in [
        ("--bounds", "a=0:1,q=0:1", &["--bounds", "character 6", "`q`", "a, k"][..]),
        ("--bounds", "a=2:1", &["above"]),
        ("--bounds", "a=0:x", &["character 4", "number"]),
        ("--fix", "k", &["NAME=VALUE"]),
        ("--fix", "k=", &["number"]),
        ("--tie", "k=2*q", &["character 4", "`q`"]),
        ("--tie", "k=2*k", &["itself"]),
        ("--tie", "k=a,a=k", &["--tie", "circle"]),
        ("--bounds", "a=5:", &[]),
    ] {
        let ran = curvkit(&["fit", "--model", "conc = a*exp(-k*t)", "--data", &file, "--params", "a=1,k=1", flag, text]);
        if parts.is_empty() {
            assert_eq!(ran.code, 0, "{}", ran.err);
            continue;
        }
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{flag} {text}: {}", ran.err);
        parts.iter().for_each(|part| assert!(ran.err.contains(part), "{part} not in: {}", ran.err));
    }
}

#[test]
fn robust_fit_ignores_an_outlier_and_says_so() {
    let file = data("outlier.csv", &DECAY.replace("4,4.6", "4,46"));
    let fit = |loss: &[&str]| {
        let args = ["fit", "--model", "conc = a*exp(-k*t)", "--data", &file, "--params", "a=9,k=0.2", "--json"];
        json(&[&args[..], loss].concat(), 0)
    };
    let (plain, robust) = (fit(&[]), fit(&["--loss", "tukey"]));
    assert!(plain["x"][0].as_f64().unwrap() > 15.0);
    assert!((robust["x"][0].as_f64().unwrap() - 10.0).abs() < 0.3, "{robust}");
    assert!(robust["loss"].as_str().unwrap().contains("1 of 8 residuals"), "{}", robust["loss"]);
    assert!(fit(&["--loss", "huber:0.2"])["loss"].as_str().unwrap().contains("scale 0.2"));
    for loss in ["hubert", "huber:0", "huber:x"] {
        let args = ["fit", "--model", "conc = a*t", "--data", &file, "--params", "a=1", "--loss", loss];
        assert_eq!(curvkit(&args).code, 2, "{loss}");
    }
}

#[test]
fn r_squared_of_a_weighted_fit_is_weighted() {
    // Weights 2, 1, 1 are the first row given twice.
    let weighted = data("weighted.csv", "x,y,w\n0,1,2\n1,4,1\n2,5,1\n");
    let twice = data("twice.csv", "x,y\n0,1\n0,1\n1,4\n2,5\n");
    let args = |file: &str| ["fit", "--model", "y = a + b*x", "--params", "a=0,b=0", "--json", "--data", file].map(String::from);
    let run = |args: &[String]| json(&args.iter().map(String::as_str).collect::<Vec<_>>(), 0)["r_squared"].as_f64().unwrap();
    let with_weights = [&args(&weighted)[..], &["--weights".into(), "w".into()]].concat();
    let (a, b) = (run(&with_weights), run(&args(&twice)));
    assert!((a - b).abs() < 1e-13 && a > 0.9, "{a} {b}");
}

#[test]
fn fit_report_holds_data_curve_and_charts() {
    let (file, out) = (data("curve.csv", DECAY), fresh("fit-report"));
    let out = out.to_str().unwrap();
    let model = ["fit", "--data", &file, "--params", "a=9,k=0.2", "--out", out];
    let run = json(&[&model[..], &["--model", "conc = a*exp(-k*t)", "--json"]].concat(), 0);
    let (a, k) = (run["x"][0].as_f64().unwrap(), run["x"][1].as_f64().unwrap());
    let read = |name: &str| std::fs::read_to_string(Path::new(out).join(name)).unwrap();
    let rows = |name: &str| -> Vec<Vec<f64>> {
        read(name).lines().skip(1).map(|line| line.split(',').map(|v| v.parse().unwrap()).collect()).collect()
    };
    let (observed, curve) = (rows("data.csv"), rows("curve.csv"));
    assert_eq!((observed.len(), curve.len()), (8, 400));
    assert!(observed.iter().all(|r| (r[2] - a * (-k * r[0]).exp()).abs() < 1e-12 && (r[1] - r[2] - r[3]).abs() < 1e-15));
    assert!(curve.iter().all(|r| r[4] < r[2] && r[2] < r[1] && r[1] < r[3] && r[3] < r[5]));
    let page = read("index.html");
    assert!(page.contains("Data and fit") && page.contains("Normal quantiles") && page.contains("Convergence"));
    assert!(Path::new(out).join("charts/residuals_fitted.svg").is_file());
    // Two predictors have no curve; the axis is the one asked for.
    let two = data("two.csv", "x,z,y\n1,2,3.1\n2,1,4.2\n3,5,9.3\n4,2,8.1\n5,6,13\n");
    let args = ["fit", "--model", "y = a + b*x + c*z", "--data", &two, "--params", "a=0,b=0,c=0", "--x", "z", "--out", out];
    assert_eq!(curvkit(&args).code, 0);
    assert!(read("data.csv").starts_with("z,y,fitted,residual") && read("index.html").contains("Observed and fitted"));
    assert_eq!(curvkit(&[&args[..9], &["--x", "w"]].concat()).code, 2);
    assert_eq!(curvkit(&[&args[..9], &["--out", "two.csv"]].concat()).code, 2);
}

#[test]
fn many_starts_find_a_lower_minimum_and_profiles_have_open_ends() {
    let one = json(&["fit", "--nist", "MGH09", "--starts", "40", "--seed", "1", "--json"], 0);
    let minima = one["minima"].as_array().unwrap();
    assert!((one["rss"].as_f64().unwrap() - 3.0750560385e-4).abs() < 1e-13 && minima[0]["hits"].as_u64().unwrap() > 5);
    let flat = data("flat.csv", "x,y\n0,3.0\n1,1.02\n2,0.99\n3,1.01\n4,1.0\n");
    let args = ["fit", "--model", "y = 1 + a*exp(-c*x)", "--data", &flat, "--params", "a=2,c=3", "--profile"];
    let run = json(&[&args[..], &["--json"]].concat(), 0);
    assert!(run["profile_intervals"][1][0].as_f64().unwrap() > 1.0 && run["profile_intervals"][1][1].is_null());
    assert!(curvkit(&args).out.contains('∞'));
    assert_eq!(curvkit(&[&args[..], &["--loss", "huber"]].concat()).code, 2);
    assert_eq!(curvkit(&["fit", "--nist", "MGH09", "--starts", "0"]).code, 2);
}

#[test]
fn spectrum_of_a_linear_model_has_the_closed_form_of_its_normal_equations() {
    // Inputs on two orthogonal axes: XᵀX/n with the bias is diag(2, 1/2, 1).
    let file = data("spectrum.csv", "a,b,y\n2,0,1\n-2,0,0\n0,1,2\n0,-1,5\n");
    let found = json(&["spectrum", "--data", &file, "--model", "linear", "--train", "5", "--json"], 0);
    assert_eq!((found["n_params"].as_u64(), found["n_samples"].as_u64()), (Some(3), Some(4)));
    assert!(found["gradient_norm"].as_f64().unwrap() < 1e-8);
    for matrix in found["matrices"].as_array().unwrap() {
        let end = |end: &str| matrix["extremes"][end][0]["value"].as_f64().unwrap();
        assert!((end("lowest") - 0.5).abs() < 1e-12 && (end("highest") - 2.0).abs() < 1e-12);
        assert!((matrix["trace"]["value"].as_f64().unwrap() - 3.5).abs() < 1e-12);
        assert!((matrix["norm"]["value"].as_f64().unwrap() - 5.25f64.sqrt()).abs() < 1e-12);
        let damped = matrix["damped_condition"]["value"].as_f64().unwrap();
        assert!((damped - 2.002 / 0.502).abs() < 1e-10);
        assert_eq!(matrix["negative_share"], 0.0);
    }
    let kappa = |name: &str| {
        let rows = found["conditioning"].as_array().unwrap();
        let row = rows.iter().find(|row| row["preconditioner"] == name).unwrap();
        row["condition"]["value"].as_f64().unwrap()
    };
    assert!((kappa("none") - 2.002 / 0.502).abs() < 1e-10);
    // A linear model with squared error: K-FAC is exact, and so is the diagonal of a diagonal matrix.
    for name in ["diagonal", "kfac", "ekfac", "blocks"] {
        assert!((kappa(name) - 1.0).abs() < 1e-10, "{name}: {}", kappa(name));
    }
    for row in found["approximations"].as_array().unwrap() {
        let exact = ["gauss_newton", "hessian", "fisher", "diagonal", "blocks", "kfac", "ekfac"];
        let distance = row["to_gauss_newton"]["value"].as_f64().unwrap();
        // The block-tridiagonal matrix of one layer is its only block, damped by nothing here.
        assert!(distance < 1e-12 || !exact.contains(&row["name"].as_str().unwrap_or_default()), "{row}");
    }
}

#[test]
fn spectrum_report_holds_densities_heat_maps_and_tables() {
    let directory = fresh("spectrum-report");
    let out = directory.to_str().unwrap();
    let args =
        ["spectrum", "--layers", "4,3", "--loss", "softmax", "--samples", "60", "--inputs", "3", "--train", "5", "--out", out];
    let ran = curvkit(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("kfac") && ran.out.contains("δ") && ran.out.contains("index.html"));
    let page = std::fs::read_to_string(directory.join("index.html")).unwrap();
    // Two densities, one map of the whole, one for each of three layers.
    assert_eq!(page.matches("<figure>").count(), 6);
    assert!(!page.contains("NaN"));
    for file in ["density.csv", "log_density.csv", "eigenvalues.csv", "blocks.csv", "charts/heat.svg", "charts/density.svg"] {
        assert!(directory.join(file).exists(), "{file}");
    }
    let blocks = std::fs::read_to_string(directory.join("blocks.csv")).unwrap();
    assert_eq!(blocks.lines().count(), 10);
    // The same seed gives the same numbers, another one others.
    let json_of = |seed: &str| json(&["spectrum", "--layers", "4", "--samples", "40", "--seed", seed, "--json"], 0);
    assert_eq!(json_of("1"), json_of("1"));
    assert_ne!(json_of("1")["cost"], json_of("2")["cost"]);
}

#[test]
fn every_model_and_loss_has_a_spectrum() {
    let cases: [&[&str]; 7] = [
        &["--model", "linear"],
        &["--model", "linear", "--loss", "poisson"],
        &["--model", "logistic"],
        &["--model", "multinomial"],
        &["--loss", "binary", "--activation", "gelu", "--standardize"],
        &["--loss", "poisson", "--activation", "sigmoid", "--l2", "0.01"],
        &["--layers", "5", "--samples", "1", "--inputs", "1"],
    ];
    for case in cases {
        let small = ["spectrum", "--samples", "50", "--inputs", "3", "--train", "3", "--json"];
        let args: Vec<&str> = if case.contains(&"--samples") { vec!["spectrum", "--json"] } else { small.to_vec() };
        let found = json(&[&args[..], case].concat(), 0);
        let fisher = found["approximations"].as_array().unwrap().iter().find(|row| row["name"] == "fisher").unwrap().clone();
        // All these losses have natural parameters: the Fisher matrix is the Gauss–Newton matrix.
        assert!(fisher["to_gauss_newton"]["value"].as_f64().unwrap() < 1e-12, "{case:?}");
    }
}

#[test]
fn bad_spectra_exit_with_two_and_say_what_where_expected_and_found() {
    let labels = data("labels.csv", "a,y\n1,0\n2,1.5\n");
    let counts = data("counts.csv", "a,y\n1,0\n2,-1\n");
    let single = data("single.csv", "y\n1\n2\n");
    let cases: [(&[&str], &str); 17] = [
        (&["--model", "mlpp"], "did you mean `mlp`"),
        (&["--model", "forest"], "--help"),
        (&["--loss", "huge"], "unknown loss `huge`"),
        (&["--activation", "tanhh"], "did you mean `tanh`"),
        (&["--model", "linear", "--loss", "softmax"], "goes with the model"),
        (&["--layers", "8,x"], "character 2"),
        (&["--layers", "0"], "from 1 to 100000, found `0`"),
        (&["--samples", "0"], "`samples` must be positive"),
        (&["--inputs", "0"], "`inputs` must be positive"),
        (&["--damping", "0"], "`damping` must be positive, found 0"),
        (&["--damping", "nan"], "`damping` must be positive, found NaN"),
        (&["--l2", "-1"], "`l2` must be at least 0, found -1"),
        (&["--steps", "0"], "`steps` must be at least 1"),
        (&["--probes", "1", "--layers", "20"], "`probes` must be at least 2, found 1"),
        (&["--data", "/nowhere.csv"], "/nowhere.csv"),
        (&["--data", &labels, "--model", "multinomial"], "target of sample 1 must be a class label"),
        (&["--data", &single], "`predictors` must be at least one column"),
    ];
    for (args, part) in cases {
        let ran = curvkit(&[&["spectrum"], args].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {}", ran.err);
    }
    let negative = curvkit(&["spectrum", "--data", &counts, "--model", "linear", "--loss", "poisson"]);
    assert!(negative.code == 2 && negative.err.contains("target of sample 1"), "{}", negative.err);
    let column = curvkit(&["spectrum", "--data", &counts, "--y", "z"]);
    assert!(column.code == 2 && column.err.contains("`z`"), "{}", column.err);
    assert_eq!(curvkit(&["spectrum", "--y", "a"]).code, 2);
    assert_eq!(curvkit(&["spectrum", "--data", &counts, "--samples", "5"]).code, 2);
}
