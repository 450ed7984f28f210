//! `curvkit train`: its table, its JSON, its report, its exit codes, and bad input.
#![cfg(feature = "cli")]

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;
use std::path::PathBuf;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn curvkit(args: &[&str]) -> Ran {
    let output = cargo_bin_cmd!("curvkit").args(args).current_dir(folder()).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn train(args: &[&str]) -> Ran {
    curvkit(&[&["train"], args].concat())
}

fn json(args: &[&str], code: i32) -> Value {
    let ran = train(&[args, &["--json"]].concat());
    assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
    // A number that is not finite would be null.
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{}", ran.out));
    for part in ["train", "validation", "test"] {
        assert!(document[part].is_null() || document[part]["loss"].is_f64(), "{args:?}: {document}");
    }
    assert!(document["objective"].is_f64(), "{document}");
    document
}

fn data(name: &str, bytes: &[u8]) -> String {
    std::fs::write(folder().join(name), bytes).unwrap();
    name.into()
}

fn accuracy(run: &Value, part: &str) -> f64 {
    run[part]["accuracy"].as_f64().unwrap_or(f64::NAN)
}

#[test]
fn embedded_sets_are_learned_by_every_model() {
    for (args, least) in [
        (
            &["--data", "digits", "--model", "multinomial", "--optimizer", "adam:lr=0.01", "--epochs", "20", "--standardize"][..],
            0.94,
        ),
        (&["--data", "breast_cancer", "--model", "logistic", "--optimizer", "newton_cg", "--l2", "1e-3", "--standardize"], 0.94),
        (&["--data", "breast_cancer", "--model", "svm", "--optimizer", "lbfgs", "--standardize"], 0.94),
        (&["--data", "wine", "--model", "svm", "--loss", "hinge", "--optimizer", "sgd", "--epochs", "50", "--standardize"], 0.9),
        (&["--data", "iris", "--model", "mlp", "--layers", "8,8", "--optimizer", "adam:lr=0.02", "--standardize"], 0.85),
        (&["--data", "wine", "--model", "mlp", "--optimizer", "trust_region_steihaug", "--epochs", "20", "--standardize"], 0.9),
    ] {
        let run = json(args, 0);
        assert!(accuracy(&run, "test") >= least, "{args:?}: {}", run["test"]);
        assert_eq!(run["converged"], true);
        let sizes: u64 = ["train", "validation", "test"].iter().map(|part| run["samples"][part].as_u64().unwrap()).sum();
        assert!([1797, 569, 178, 150].contains(&sizes));
        assert_eq!(run["history"][0]["epoch"], 0.0);
    }
    let run = json(&["--data", "diabetes", "--model", "linear", "--optimizer", "newton", "--standardize"], 0);
    assert!(run["test"]["r2"].as_f64().unwrap() > 0.3 && run["stop"]["reason"] == "gradient", "{run}");
}

#[test]
fn table_says_what_was_done_and_test_is_scored_beside_train_and_validation() {
    let ran = train(&["--data", "iris", "--model", "multinomial", "--optimizer", "adam:lr=0.05", "--epochs", "30"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for piece in [
        "multinomial model with softmax loss on iris by adam:lr=0.05",
        "104 training, 23 validation, 23 test (seed 0); 4 features, 3 classes",
        "parameters   15",
        "30 epochs, 3120 samples seen",
        "lowest validation loss, at epoch",
        "ACCURACY",
        "\n train ",
        "\n validation ",
        "\n test ",
    ] {
        assert!(ran.out.contains(piece), "no `{piece}` in\n{}", ran.out);
    }
    let ran = train(&["--data", "diabetes", "--model", "linear", "--epochs", "2", "--validation", "0", "--test", "0"]);
    assert!(ran.out.contains("RMSE") && !ran.out.contains("validation loss"), "{}", ran.out);
    assert!(!ran.out.contains("\n test "), "{}", ran.out);
}

#[test]
fn same_seed_gives_the_same_document_but_for_times() {
    let args = ["--data", "wine", "--model", "mlp", "--epochs", "5", "--standardize", "--seed", "4"];
    let (a, b) = (json(&args, 0), json(&args, 0));
    for key in ["parameters", "test", "train", "validation", "objective", "samples_seen", "counts", "chosen_epoch"] {
        assert_eq!(a[key], b[key], "{key}");
    }
    let other = json(&["--data", "wine", "--model", "mlp", "--epochs", "5", "--standardize", "--seed", "5"], 0);
    assert_ne!(a["parameters"], other["parameters"]);
}

#[test]
fn files_of_every_format_are_trained_on() {
    let rows: Vec<(f64, f64, usize)> = (0..60).map(|i| (f64::from(i % 10), f64::from(i / 10), usize::from(i % 10 > 4))).collect();
    let table: String = rows.iter().map(|(x, y, c)| format!("{x},{},{y}\n", ["low", "high"][*c])).collect();
    let table = data("train.csv", format!("x,kind,y\n{table}").as_bytes());
    let svm: String = rows.iter().map(|(x, y, c)| format!("{} 1:{x} 2:{y}\n", 2 * *c as i32 - 1)).collect();
    let svm = data("train.svm", svm.as_bytes());
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 2][..],
        &rows.iter().flat_map(|r| [r.0 as u8, r.1 as u8]).collect::<Vec<_>>(),
    ];
    let images = data("train-images-idx3-ubyte", &images.concat());
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 60][..], &rows.iter().map(|r| r.2 as u8).collect::<Vec<_>>()];
    let labels = data("train-labels-idx1-ubyte", &labels.concat());
    let common = ["--model", "logistic", "--optimizer", "lbfgs", "--l2", "1e-4"];
    for (source, classes) in [
        (&["--data", &table, "--target", "kind"][..], ["high", "low"]),
        (&["--data", &svm], ["-1", "1"]),
        (&["--data", &images, "--target", &labels], ["0", "1"]),
    ] {
        let run = json(&[source, &common].concat(), 0);
        assert_eq!(accuracy(&run, "test"), 1.0, "{source:?}");
        assert_eq!((&run["classes"][0], &run["classes"][1]), (&classes[0].into(), &classes[1].into()));
    }
}

#[test]
fn report_holds_curves_table_and_document() {
    let run = json(&["--data", "iris", "--model", "multinomial", "--epochs", "4", "--out", "train-report"], 0);
    let folder = folder().join("train-report");
    assert!(run["report"].as_str().unwrap().ends_with("index.html"));
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("validation loss") && !page.contains("NaN"), "{page}");
    let history = std::fs::read_to_string(folder.join("history.csv")).unwrap();
    assert_eq!(history.lines().count(), 6);
    assert!(history.starts_with("epoch,samples,seconds,objective,validation,learning_rate\n"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(document["test"], run["test"]);
    for chart in ["loss_by_epoch", "loss_by_time", "learning_rate"] {
        assert!(folder.join("charts").join(format!("{chart}.svg")).exists(), "{chart}");
    }
}

#[test]
fn diverging_run_ends_with_code_1_and_its_best_point() {
    let args = ["--data", "diabetes", "--model", "linear", "--optimizer", "sgd:lr=1000", "--standardize", "--epochs", "50"];
    let run = json(&args, 1);
    assert_eq!((&run["stop"]["reason"], &run["converged"]), (&"diverged".into(), &false.into()));
    assert!(run["parameters"].as_array().unwrap().iter().all(Value::is_f64));
    let ran = train(&args);
    assert!(ran.code == 1 && ran.err.contains("did not end well: ") && ran.err.contains("best point"), "{}", ran.err);
}

#[test]
fn batches_larger_than_the_data_and_constant_features_are_noted() {
    let text: String = (0..20).map(|i| format!("{i},7,{}\n", 2 * i + 1)).collect();
    let file = data("constant.csv", format!("x,same,y\n{text}").as_bytes());
    let ran = train(&["--data", &file, "--model", "linear", "--batch", "500", "--standardize"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("note: a batch of 500 is all 14 training samples"), "{}", ran.err);
    assert!(ran.err.contains("note: constant in the training samples and set to 0: `same`"), "{}", ran.err);
    let all = json(&["--data", &file, "--model", "linear", "--batch", "all", "--standardize"], 0);
    assert_eq!(all["constant_features"][0], "same");
}

#[test]
fn single_sample_is_trained_on_or_refused_with_a_reason() {
    let file = data("one.csv", b"x,y\n2,3\n");
    let run = json(&["--data", &file, "--model", "linear", "--optimizer", "newton", "--validation", "0", "--test", "0"], 0);
    assert!(run["train"]["loss"].as_f64().unwrap() < 1e-20 && run["train"]["r2"].is_null(), "{run}");
    let ran = train(&["--data", &file, "--model", "linear"]);
    assert!(ran.code == 2 && ran.err.contains("`samples` must be enough for one in every part, found 1"), "{}", ran.err);
}

#[test]
fn bad_input_ends_with_code_2_and_a_line_that_says_what_and_where() {
    let one_class = data("one-class.csv", b"x,kind\n1,a\n2,a\n3,a\n4,a\n5,a\n6,a\n7,a\n8,a\n");
    let missing = data("missing.csv", b"x,y\n1,2\n?,3\n");
    let three = data("three.csv", b"x,kind\n1,a\n2,b\n3,c\n4,a\n5,b\n6,c\n7,a\n8,b\n9,c\n");
    let truncated = data("truncated.npy", b"\x93NUMPY\x01\x00v\x00");
    let iris = ["--data", "iris", "--model", "multinomial"];
    let cases: [(&[&str], &str); 19] = [
        (&["--data", "irises", "--model", "mlp"], "unknown data set or file `irises`; did you mean `iris`?"),
        (&["--data", "no-such.csv", "--model", "mlp"], "no-such.csv: "),
        (&["--data", &missing, "--model", "linear"], "missing.csv:3: column `x`: expected a number, found a missing value: `?`"),
        (&["--data", &truncated, "--model", "linear", "--target", &truncated], "truncated.npy: byte 10: expected the header"),
        (&["--data", &one_class, "--model", "logistic"], "`classes of the target` must be at least two, found 1 (`a`)"),
        (&["--data", &three, "--model", "logistic"], "two for a binary loss"),
        (&["--data", &three, "--model", "linear"], "column `kind`: expected a number, found `a`"),
        (&["--data", &three, "--model", "mlp", "--target", "sort"], "expected a column of this name, found `x`, `kind`"),
        (&["--data", "iris", "--model", "tree"], "unknown model `tree`"),
        (&[&iris[..], &["--loss", "squared"]].concat(), "`loss` must be one that goes with the model"),
        (&[&iris[..], &["--optimizer", "adma"]].concat(), "unknown optimizer `adma`; did you mean `adam`?"),
        (&[&iris[..], &["--optimizer", "adam:lr=0"]].concat(), "option `adam:lr` must be a finite number above 0, found 0"),
        (&[&iris[..], &["--optimizer", "adam:lr"]].concat(), "expected key=value, found `lr`"),
        (&[&iris[..], &["--batch", "0"]].concat(), "`batch` must be a positive number of samples, or `all`, found 0"),
        (&[&iris[..], &["--batch", "8", "--optimizer", "newton"]].concat(), "`batch` must be left out"),
        (&[&iris[..], &["--epochs", "0"]].concat(), "`epochs` must be positive, found 0"),
        (&[&iris[..], &["--test", "0.6", "--validation", "0.5"]].concat(), "`validation + test` must be below 1"),
        (&[&iris[..], &["--l2", "-1"]].concat(), "`l2` must be"),
        (&["--data", "iris", "--model", "svm", "--loss", "hinge", "--optimizer", "newton"], "the hinge is piecewise linear"),
    ];
    for (args, piece) in cases {
        let ran = train(args);
        assert_eq!(ran.code, 2, "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.starts_with("error: ") && ran.err.contains(piece), "{args:?}: {}", ran.err);
        assert!(ran.out.is_empty(), "{args:?}: {}", ran.out);
    }
}

#[test]
fn lists_show_optimizers_schedules_and_embedded_sets() {
    let list = |category: &str| curvkit(&["list", category]).out;
    assert!(list("optimizers").contains("adam_w") && list("optimizers").contains("newton_cg"));
    assert!(list("rules").contains("saga") && !list("rules").contains("newton_cg"));
    assert!(list("schedules").contains("one_cycle"));
    assert!(list("datasets").contains("breast_cancer") && list("datasets").contains("Bennett5"));
    let document: Value = serde_json::from_str(&curvkit(&["list", "--json"]).out).unwrap();
    for key in ["problems", "solvers", "datasets", "embedded", "optimizers", "schedules", "stochastic_options"] {
        assert!(document[key].as_array().is_some_and(|list| !list.is_empty()), "{key}");
    }
}
