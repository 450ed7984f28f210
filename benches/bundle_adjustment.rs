//! Bundle adjustment: 16 cameras, 22 106 points, 83 718 observations, each method in a process of its own.
//!
//! ```sh
//! wget https://grail.cs.washington.edu/projects/bal/data/ladybug/problem-16-22106-pre.txt.bz2 && bunzip2 problem-16-22106-pre.txt.bz2
//! CURVKIT_BAL=problem-16-22106-pre.txt cargo bench --all-features --bench bundle_adjustment
//! ```
//!
//! Without a file a synthetic scene of the same size is solved. `CURVKIT_CERES` may name a program that solves a BAL file with
//! Ceres when called as `program FILE dense_schur lm THREADS 50 1e-9` and prints one JSON object with `final_cost`,
//! `successful`, `unsuccessful` and `total_s`: it then runs in turn with ours, and the ratio of the times is printed.
//! `CURVKIT_REPEATS` (default 5) is how often each runs; the least time counts.

use argmin::core::{Executor, IterState};
use curvkit::dataset::bal;
use curvkit::linalg::factor::NormalMethod;
use curvkit::second_order::methods;
use curvkit::second_order::subproblem::SparseSolver;
use curvkit::testbed::bundle_adjustment::{self as scene, Scene};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// What one run says.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    cost: f64,
    steps: u64,
    evaluations: u64,
    seconds: f64,
    /// Of the process, in megabytes.
    peak: f64,
}

const METHODS: [&str; 3] = ["elimination", "cholesky", "lsmr"];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["solve", method, file] => solve(method, file),
        [file] => compare(file.to_string()),
        _ => compare(std::env::var("CURVKIT_BAL").unwrap_or_else(|_| synthetic())),
    }
}

/// A scene of the same size, written to a temporary file.
fn synthetic() -> String {
    println!("CURVKIT_BAL names no file (see https://grail.cs.washington.edu/projects/bal/): a synthetic scene instead.");
    let size = Scene { cameras: 16, points: 22_106, observations: 83_718, noise: 0.5, perturbation: 0.01, seed: 1 };
    let (data, _) = size.generate().expect("numbers that fit");
    let path = std::env::temp_dir().join("curvkit-bundle-adjustment.txt");
    std::fs::write(&path, data.to_string()).expect("a writable temporary folder");
    path.display().to_string()
}

/// One run in this process: cost, steps, evaluations, seconds, peak memory. Its time includes the analysis of the problem.
fn solve(method: &str, file: &str) {
    let data = bal::read(file).expect("a BAL file");
    let began = Instant::now();
    let problem = scene::problem(&data).expect("a problem");
    let mut solver = methods::levenberg_marquardt_sparse().bare();
    solver.subproblem.sparse = match method {
        "cholesky" => SparseSolver::Factorized(NormalMethod::Cholesky),
        "lsmr" => SparseSolver::lsmr(),
        _ => SparseSolver::default(),
    };
    (solver.stopping.ftol, solver.stopping.gtol_rel, solver.stopping.decrease) = (1e-9, 0.0, 0.0);
    let run = Executor::new(problem, solver)
        .configure(|state: State| state.param(scene::variables(&data)).max_iters(50))
        .timer(false)
        .run()
        .expect("a run");
    let seconds = began.elapsed().as_secs_f64();
    let tally = run.solver.tally();
    println!("{:e} {} {} {seconds} {}", run.state.best_cost, run.state.iter, tally.cost, peak("self").unwrap_or(f64::NAN));
}

/// The largest memory a process has held, in megabytes, where the system tells.
fn peak(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1024.0)
}

fn ours(method: &str, file: &str, threads: usize) -> Outcome {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).args(["solve", method, file]).env("RAYON_NUM_THREADS", threads.to_string()).output();
    let text = String::from_utf8(output.expect("a second process").stdout).expect("text");
    let n: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert_eq!(n.len(), 5, "the run failed: {text}");
    Outcome { cost: n[0], steps: n[1] as u64, evaluations: n[2] as u64, seconds: n[3], peak: n[4] }
}

fn ceres(program: &str, file: &str, threads: usize) -> Outcome {
    let threads = threads.to_string();
    let arguments = [file, "dense_schur", "lm", &threads, "50", "1e-9"];
    let mut child = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().expect("the Ceres program");
    let mut largest = f64::NAN;
    while child.try_wait().expect("a status").is_none() {
        largest = peak(&child.id().to_string()).unwrap_or(largest);
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = String::from_utf8(child.wait_with_output().expect("its output").stdout).expect("text");
    let value = |name: &str| {
        let rest = text.split_once(&format!("\"{name}\":")).map_or("", |(_, rest)| rest);
        rest.split([',', '}']).next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(f64::NAN)
    };
    let steps = value("successful") as u64;
    let evaluations = 1 + steps + value("unsuccessful") as u64;
    Outcome { cost: value("final_cost"), steps, evaluations, seconds: value("total_s"), peak: largest }
}

/// The outcome of the fastest.
fn best(outcomes: &[Outcome]) -> Outcome {
    let first = outcomes[0];
    outcomes.iter().fold(first, |a, b| if b.seconds < a.seconds { *b } else { a })
}

fn compare(file: String) {
    let peer = std::env::var("CURVKIT_CERES").ok();
    let repeats = std::env::var("CURVKIT_REPEATS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    println!(
        "{:24} {:>7} {:>20} {:>6} {:>11} {:>9} {:>9}",
        file, "threads", "cost", "steps", "evaluations", "seconds", "peak MB"
    );
    let show = |name: &str, threads: usize, o: &Outcome| {
        println!("{name:24} {threads:7} {:20.12e} {:6} {:11} {:9.3} {:9.0}", o.cost, o.steps, o.evaluations, o.seconds, o.peak);
    };
    for threads in [1, 2] {
        let mut found: [Vec<Outcome>; 2] = Default::default();
        for _ in 0..repeats {
            found[0].push(ours(METHODS[0], &file, threads));
            found[1].extend(peer.as_ref().map(|program| ceres(program, &file, threads)));
        }
        let own = best(&found[0]);
        show(METHODS[0], threads, &own);
        if peer.is_some() {
            let theirs = best(&found[1]);
            show("Ceres, dense Schur", threads, &theirs);
            println!("{:24} {threads:7} time {:.2}, memory {:.2}", "ratio", own.seconds / theirs.seconds, own.peak / theirs.peak);
        }
        METHODS[1..].iter().for_each(|method| show(method, threads, &ours(method, &file, threads)));
    }
}
