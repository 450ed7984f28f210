//! L2-regularised logistic regression to a relative excess of 1e-10 over the minimum: time of each method, beside scikit-learn's.
//!
//! ```sh
//! python -m pip install scikit-learn==1.9.1
//! CURVKIT_SKLEARN=python RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
//!     taskset -c 1 cargo bench --all-features --bench logistic
//! ```
//!
//! `CURVKIT_SKLEARN` names a Python with scikit-learn: it writes the data (breast cancer raw and standardised, digits, a synthetic set of
//! 100 000 samples and 200 features of scales 10⁻³ … 10³) and runs scikit-learn's solvers in turn. Without it only a smaller synthetic set
//! is solved. `CURVKIT_LOGISTIC` names a folder with data that were written before, `CURVKIT_REPEATS` (default 5) how often each run is
//! repeated; the least time counts. Times include the construction of the problem, as those of scikit-learn include its checks.

use argmin::core::{CostFunction, Executor, IterState, Problem, Solver, State as _};
use curvkit::problem::{Features, LinearLoss, LinearOptions, LinearSum};
use curvkit::second_order::methods;
use curvkit::stochastic::estimator::TableMethod;
use curvkit::stochastic::{LinearSag, LinearStep, SampleNewton};
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

const SETS: [&str; 4] = ["cancer_raw", "cancer_standardised", "digits", "ill_conditioned"];
const TARGET: f64 = 1e-10;
/// Seconds after which a method is given up.
const LIMIT: f64 = 30.0;

/// A set of samples.
struct Data {
    p: usize,
    loss: LinearLoss,
    l2: f64,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Data {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("data");
        let mut values = bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b));
        let mut next = || values.next().expect("a head");
        let (n, p, classes, l2) = (next() as usize, next() as usize, next() as usize, next());
        let x = values.by_ref().take(n * p).collect();
        let loss = if classes == 2 { LinearLoss::Logistic } else { LinearLoss::Softmax { classes } };
        Self { p, loss, l2, x, y: values.collect() }
    }

    fn synthetic(n: usize, p: usize) -> Self {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let scales: Vec<f64> = (0..p).map(|_| 10f64.powf(rng.random_range(-3.0..3.0))).collect();
        let w: Vec<f64> =
            scales.iter().map(|s| -> f64 { 2.0 / (s * (p as f64).sqrt()) * rng.sample::<f64, _>(StandardNormal) }).collect();
        let mut x = vec![0.0; n * p];
        x.iter_mut().enumerate().for_each(|(at, x)| {
            let normal: f64 = StandardNormal.sample(&mut rng);
            *x = normal * scales[at % p];
        });
        let margin = |row: &[f64]| row.iter().zip(&w).map(|(x, w)| x * w).sum::<f64>();
        let y = x.chunks(p).map(|row| f64::from(rng.random::<f64>() < 1.0 / (1.0 + (-margin(row)).exp()))).collect();
        Self { p, loss: LinearLoss::Logistic, l2: 1e-6, x, y }
    }

    fn problem(&self, x: Vec<f64>) -> LinearSum {
        let options = LinearOptions { l2: self.l2, ..LinearOptions::default() };
        let features = Features::dense(self.p, x).expect("features");
        LinearSum::new(self.loss, features, self.y.clone(), &options).expect("a problem")
    }
}

/// Iterations that a solver needs, by one run with a look at the cost after each; none if it does not get there.
fn needed<S: Solver<LinearSum, State>>(data: &Data, mut solver: S, fstar: f64) -> Result<u64, f64> {
    let problem = data.problem(data.x.clone());
    let judge = problem.clone();
    let mut problem = Problem::new(problem);
    let state = State::new().param(vec![0.0; judge.n_params()]).max_iters(u64::MAX);
    let mut state = solver.init(&mut problem, state).expect("a start").0;
    let (began, mut least) = (Instant::now(), f64::INFINITY);
    for k in 1.. {
        state = solver.next_iter(&mut problem, state).expect("an iteration").0;
        state.iter = k;
        let cost = judge.cost(state.param.as_ref().expect("a point")).expect("a cost");
        least = least.min((cost - fstar) / fstar.abs().max(1.0));
        if least <= TARGET {
            return Ok(k);
        }
        if state.terminated() || began.elapsed().as_secs_f64() > LIMIT {
            break;
        }
    }
    Err(least)
}

struct Row {
    name: String,
    iterations: u64,
    seconds: f64,
    excess: f64,
}

fn ours<S: Solver<LinearSum, State>>(data: &Data, name: &str, make: impl Fn() -> S, fstar: f64, repeats: usize) -> Row {
    let iterations = match needed(data, make(), fstar) {
        Ok(iterations) => iterations,
        Err(excess) => return Row { name: name.into(), iterations: 0, seconds: f64::NAN, excess },
    };
    let (mut seconds, mut excess) = (f64::INFINITY, f64::NAN);
    for _ in 0..repeats {
        let (x, solver) = (data.x.clone(), make());
        let began = Instant::now();
        let problem = data.problem(x);
        let start = vec![0.0; problem.n_params()];
        let run = Executor::new(problem, solver)
            .configure(|s: State| s.param(start).max_iters(iterations))
            .timer(false)
            .run()
            .expect("a run");
        seconds = f64::min(seconds, began.elapsed().as_secs_f64());
        excess = (run.state.best_cost - fstar) / fstar.abs().max(1.0);
    }
    Row { name: name.into(), iterations, seconds, excess }
}

fn theirs(python: &str, folder: &Path, name: &str, fstar: f64, repeats: usize) -> Vec<Row> {
    let folder = folder.display().to_string();
    let (fstar, repeats) = (format!("{fstar:e}"), repeats.to_string());
    let arguments = [concat!(env!("CARGO_MANIFEST_DIR"), "/benches/logistic.py"), "run", &folder, name, &fstar, &repeats];
    let output = Command::new(python).args(arguments).output().expect("a Python with scikit-learn");
    let rows = String::from_utf8(output.stdout).expect("text");
    rows.lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words[at].parse().unwrap_or(f64::NAN);
            Row {
                name: format!("scikit-learn {}", words[0]),
                iterations: number(1) as u64,
                seconds: number(2),
                excess: number(3),
            }
        })
        .collect()
}

/// The cost at the minimum, by Newton steps on the whole sum until they change nothing.
fn minimum(data: &Data) -> f64 {
    let mut solver = SampleNewton::default();
    (solver.first, solver.tolerance, solver.keep) = (Some(data.y.len()), 1e-18, 0.0);
    let problem = data.problem(data.x.clone());
    let start = vec![0.0; problem.n_params()];
    let run = Executor::new(problem, solver).configure(|s: State| s.param(start).max_iters(60)).run().expect("a run");
    run.state.best_cost
}

fn main() {
    let repeats = std::env::var("CURVKIT_REPEATS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let only = std::env::var("CURVKIT_SET").ok();
    let python = std::env::var("CURVKIT_SKLEARN").ok();
    let folder = std::env::var("CURVKIT_LOGISTIC").map_or_else(|_| std::env::temp_dir().join("curvkit-logistic"), PathBuf::from);
    if let Some(python) = python.as_ref().filter(|_| !folder.join("ill_conditioned.bin").exists()) {
        std::fs::create_dir_all(&folder).expect("a folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/logistic.py");
        Command::new(python).args([script, "export"]).arg(&folder).status().expect("a Python with scikit-learn");
    }
    if !folder.join("ill_conditioned.bin").exists() {
        println!("No data (see the head of this file): a synthetic set of 20 000 samples and 100 features.");
        table("synthetic", &Data::synthetic(20_000, 100), Vec::new, repeats);
        return;
    }
    for name in SETS.into_iter().filter(|name| only.as_ref().is_none_or(|only| only == name)) {
        let data = Data::read(&folder.join(format!("{name}.bin")));
        let fstar = minimum(&data);
        let peer = || python.as_ref().map_or_else(Vec::new, |python| theirs(python, &folder, name, fstar, repeats));
        table(name, &data, peer, repeats);
    }
}

/// Without evaluations of the cost on the way, in steps as long as scikit-learn's, which takes ¼ as the bound on the curvature of
/// softmax cross-entropies too (½ is the one that is proved).
fn bare(mut solver: LinearSag, data: &Data) -> LinearSag {
    let largest = data.x.chunks(data.p).map(|row| row.iter().map(|x| x * x).sum::<f64>()).fold(0.0, f64::max);
    let l = 0.25 * (largest + 1.0) + data.l2;
    let saga = 2.0 * l + l.min(2.0 * data.y.len() as f64 * data.l2);
    solver.step = LinearStep::Constant(1.0 / if solver.method == TableMethod::Saga { saga } else { l });
    solver.evaluate_every = 0;
    solver
}

/// Every method on one set.
fn table(name: &str, data: &Data, peer: impl FnOnce() -> Vec<Row>, repeats: usize) {
    let fstar = minimum(data);
    println!("\n{name}: {} samples, {} features, lambda {:e}, minimum {fstar:.15e}", data.y.len(), data.p, data.l2);
    println!("{:34} {:>10} {:>12} {:>10}", "", "iterations", "seconds", "excess");
    let show = |row: &Row| println!("{:34} {:10} {:12.6} {:10.1e}", row.name, row.iterations, row.seconds, row.excess);
    let large = data.y.len() > 50_000;
    let mut own = vec![
        ours(data, "Newton on a growing sample", SampleNewton::default, fstar, repeats),
        ours(data, "Newton-CG, preconditioned", || methods::newton_cg_preconditioned().bare(), fstar, repeats),
        ours(data, "Newton", || methods::newton().bare(), fstar, repeats),
        ours(data, "Newton-CG", || methods::newton_cg().bare(), fstar, repeats),
        ours(data, "L-BFGS", || methods::lbfgs().bare(), fstar, repeats),
    ];
    own.iter().for_each(show);
    if !large {
        let sags = [
            ours(data, "SAG", || bare(LinearSag::sag(1), data), fstar, repeats),
            ours(data, "SAGA", || bare(LinearSag::saga(1), data), fstar, repeats),
        ];
        sags.iter().for_each(show);
        own.extend(sags);
    }
    let peers = peer();
    peers.iter().for_each(show);
    if peers.is_empty() {
        return;
    }
    let best = |rows: &[Row]| rows.iter().map(|row| row.seconds).fold(f64::NAN, f64::min);
    println!("{:34} {:23.2}", "ratio of the best, theirs to ours", best(&peers) / best(&own));
    for (mine, other) in [("SAG", "scikit-learn sag"), ("SAGA", "scikit-learn saga")] {
        let of = |rows: &[Row], name: &str| {
            rows.iter().find(|row| row.name == name).map_or((f64::NAN, 0), |row| (row.seconds, row.iterations))
        };
        let ((a, m), (b, k)) = (of(&own, mine), of(&peers, other));
        println!("{:34} {:23.2}   an epoch {:.2}", format!("{mine}, theirs to ours"), b / a, b / k as f64 / (a / m as f64));
    }
}
