//! SAG, SAGA and SVRG: against scikit-learn epoch by epoch, their invariants, and runs that are stopped and go on.

use argmin::core::checkpointing::{Checkpoint, CheckpointingFrequency};
use argmin::core::{CostFunction, Executor, Gradient, IterState, Solver, State};
use argmin_checkpointing_file::FileCheckpoint;
use curvkit::counts::Counts;
use curvkit::linalg::vector::{axpy, norm_inf};
use curvkit::problem::{At, Features, FiniteSum, LinearLoss, LinearOptions, LinearSum};
use curvkit::stochastic::estimator::{GradientEstimator, LipschitzSearch, Selection, Snapshot, Svrg};
use curvkit::stochastic::estimator::{TableMethod, TableStart, Tabulated};
use curvkit::stochastic::rule::LearningRate;
use curvkit::stochastic::{LinearSag, LinearStep, Stochastic};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// The same with other options.
fn with<T>(mut value: T, set: impl FnOnce(&mut T)) -> T {
    set(&mut value);
    value
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().expect("an array").iter().map(|v| v.as_u64().expect("an index") as usize).collect()
}

/// A fixture's data and its runs.
fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/sag/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}

fn problem(fixture: &Value, run: &Value) -> LinearSum {
    let p = fixture["p"].as_u64().expect("p") as usize;
    let values = numbers(&fixture["values"]);
    let features = match fixture.get("starts") {
        Some(starts) => {
            let columns = indices(&fixture["columns"]).into_iter().map(|j| j as u32).collect();
            Features::sparse(p, indices(starts), columns, values)
        }
        None => Features::dense(p, values),
    };
    let y = numbers(&fixture["y"]);
    let loss = match fixture["loss"].as_str() {
        Some("log") => LinearLoss::Logistic,
        Some("multinomial") => LinearLoss::Softmax { classes: y.iter().fold(0.0f64, |m, y| m.max(*y)) as usize + 1 },
        _ => LinearLoss::Squared,
    };
    let options = LinearOptions {
        l2: run["l2"].as_f64().expect("l2"),
        intercept: run["intercept"].as_bool().expect("intercept"),
        weights: fixture.get("weights").map(numbers),
    };
    LinearSum::new(loss, features.expect("features"), y, &options).expect("a problem")
}

fn method(run: &Value) -> TableMethod {
    if run["saga"].as_bool() == Some(true) { TableMethod::Saga } else { TableMethod::Sag }
}

/// Largest difference of all epochs, relative to the largest coefficient.
fn compare(found: &[f64], run: &Value, epoch: usize) -> f64 {
    let expected = numbers(&run["coef"][epoch]);
    assert_eq!(found.len(), expected.len());
    let difference: Vec<f64> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
    norm_inf(&difference) / norm_inf(&expected)
}

const FIXTURES: [&str; 5] = ["binary", "multinomial", "squared", "sparse_binary", "sparse_multinomial"];

#[test]
fn fused_epochs_equal_those_of_scikit_learn() {
    for name in FIXTURES {
        let data = fixture(name);
        for run in data["runs"].as_array().expect("runs") {
            let step = LinearStep::Constant(run["step"].as_f64().expect("step"));
            for epoch in 0..6 {
                let solver = with(LinearSag::sag(0), |s| {
                    (s.method, s.step) = (method(run), step);
                    s.selection = Selection::Given(indices(&run["order"]));
                    s.intercept_decay = run["decay"].as_f64().expect("decay");
                });
                let problem = problem(&data, run);
                let start = vec![0.0; problem.n_params()];
                let run_ = Executor::new(problem, solver).configure(|s: Vectors| s.param(start).max_iters(epoch as u64 + 1));
                let state = run_.run().expect("a run").state;
                let error = compare(state.param.as_ref().expect("a point"), run, epoch);
                assert!(error < 1e-12, "{name}, {:?}, epoch {epoch}: {error:e}", method(run));
            }
        }
    }
}

#[test]
fn estimators_under_a_learning_rate_equal_scikit_learn() {
    for name in FIXTURES {
        let data = fixture(name);
        // Its intercepts decay on sparse data; the estimators know no such thing.
        for run in data["runs"]
            .as_array()
            .expect("runs")
            .iter()
            .filter(|run| run["decay"].as_f64() == Some(1.0) || run["intercept"].as_bool() == Some(false))
        {
            let problem = problem(&data, run);
            let estimator = with(Tabulated::sag(0), |s| s.method = method(run));
            let estimator = estimator.start(TableStart::Seen).selection(Selection::Given(indices(&run["order"])));
            let solver = Stochastic::new(estimator, LearningRate(run["step"].as_f64().expect("step").into()));
            let start = vec![0.0; problem.n_params()];
            let state =
                Executor::new(problem, solver).configure(|s: Vectors| s.param(start).max_iters(6)).run().expect("a run").state;
            let error = compare(state.param.as_ref().expect("a point"), run, 5);
            assert!(error < 1e-12, "{name}, {:?}: {error:e}", method(run));
        }
    }
}

/// A random problem with an intercept, weights and a regulariser.
fn random(loss: LinearLoss, n: usize, p: usize, sparse: bool) -> LinearSum {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut dense = vec![0.0; n * p];
    dense.iter_mut().for_each(|x| {
        let keep = !sparse || rng.random::<f64>() < 0.3;
        *x = if keep { rng.random_range(-1.5..1.5) } else { 0.0 };
    });
    let classes = match loss {
        LinearLoss::Softmax { classes } => classes,
        _ => 2,
    };
    let y = (0..n).map(|i| if i < classes { i as f64 } else { rng.random_range(0..classes) as f64 }).collect();
    let weights = (0..n).map(|_| rng.random_range(0.3..2.0)).collect();
    let options = LinearOptions { l2: 0.05, weights: Some(weights), ..LinearOptions::default() };
    let features = if sparse {
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in dense.chunks(p) {
            for (j, x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                columns.push(j as u32);
                values.push(*x);
            }
            starts.push(columns.len());
        }
        Features::sparse(p, starts, columns, values)
    } else {
        Features::dense(p, dense)
    };
    LinearSum::new(loss, features.expect("features"), y, &options).expect("a problem")
}

/// The same terms without their linear structure, so that full tables are used.
struct Plain(LinearSum);

impl CostFunction for Plain {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        self.0.cost(x)
    }
}
impl Gradient for Plain {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        self.0.gradient(x)
    }
}
impl FiniteSum for Plain {
    fn n_terms(&self) -> usize {
        self.0.n_terms()
    }
    fn partial(&self, x: &[f64], rows: &[usize], gradient: &mut [f64]) -> curvkit::error::Result<f64> {
        self.0.partial(x, rows, gradient)
    }
}

const LOSSES: [LinearLoss; 4] =
    [LinearLoss::Logistic, LinearLoss::Softmax { classes: 3 }, LinearLoss::SquaredHinge, LinearLoss::Squared];

fn walk<O: FiniteSum<Point = Vec<f64>>, E: GradientEstimator<O>>(problem: &O, estimator: &mut E, x: &mut Vec<f64>, steps: usize) {
    let counts = Counts::default();
    estimator.begin(At { problem, x, rows: None, counts: &counts }).expect("a beginning");
    let mut gradient = vec![0.0; x.len()];
    for _ in 0..steps {
        let start = estimator.restart(At { problem, x, rows: None, counts: &counts }).map(<[f64]>::to_vec);
        if let Some(start) = start {
            x.copy_from_slice(&start);
        }
        estimator.estimate(At { problem, x, rows: None, counts: &counts }, 0.0, &mut gradient).expect("an estimate");
        axpy(-0.05, &gradient, x);
    }
}

/// Mean of the next estimate over all terms, each equally likely.
fn mean_estimate<O: FiniteSum<Point = Vec<f64>>, E: GradientEstimator<O> + Clone>(
    problem: &O,
    estimator: &E,
    select: impl Fn(&mut E, usize),
    x: &Vec<f64>,
) -> Vec<f64> {
    let (n, counts) = (problem.n_terms(), Counts::default());
    let (mut mean, mut gradient) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    for i in 0..n {
        let mut copy = estimator.clone();
        select(&mut copy, i);
        copy.estimate(At { problem, x, rows: None, counts: &counts }, 0.0, &mut gradient).expect("an estimate");
        axpy(1.0 / n as f64, &gradient, &mut mean);
    }
    mean
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let difference: Vec<f64> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    assert!(norm_inf(&difference) <= tolerance * norm_inf(expected).max(1.0), "{what}: {:e}", norm_inf(&difference));
}

fn check_unbiased<O: FiniteSum<Point = Vec<f64>>>(problem: &O, dim: usize, what: &str) {
    for start in [TableStart::AtStart, TableStart::Centred] {
        let mut x = vec![0.1; dim];
        let mut saga = Tabulated::saga(3).start(start);
        walk(problem, &mut saga, &mut x, 40);
        let mean = mean_estimate(problem, &saga, |e, i| e.selection = Selection::Given(vec![i]), &x);
        assert_close(&mean, &problem.gradient(&x).expect("a gradient"), 1e-14, &format!("SAGA {start:?} {what}"));
    }
    let mut x = vec![0.1; dim];
    let mut svrg = Svrg::new(3).inner(25);
    walk(problem, &mut svrg, &mut x, 40);
    let mean = mean_estimate(problem, &svrg, |e, i| e.selection = Selection::Given(vec![i]), &x);
    assert_close(&mean, &problem.gradient(&x).expect("a gradient"), 1e-14, &format!("SVRG {what}"));
}

#[test]
fn estimates_of_saga_and_svrg_are_unbiased_with_either_table() {
    for loss in LOSSES {
        let problem = random(loss, 30, 4, false);
        let dim = problem.n_params();
        check_unbiased(&problem, dim, &format!("{loss:?}, slopes"));
        check_unbiased(&Plain(problem), dim, &format!("{loss:?}, gradients"));
    }
}

#[test]
fn saga_with_terms_by_lipschitz_constants_is_unbiased() {
    let problem = random(LinearLoss::Logistic, 20, 3, false);
    let (dim, n) = (problem.n_params(), 20);
    let constants: Vec<f64> = (0..n).map(|i| problem.lipschitz(i).expect("a constant")).collect();
    let total: f64 = constants.iter().sum();
    let (first, x) = (vec![0.0; dim], vec![0.4; dim]);
    let counts = Counts::default();
    let (mut found, mut mean, mut gradient) = (vec![false; n], vec![0.0; dim], vec![0.0; dim]);
    // Seeds until every term came; Σ p g over the terms.
    for seed in 0..2000 {
        let mut saga = Tabulated::saga(seed).selection(Selection::Lipschitz);
        saga.begin(At { problem: &problem, x: &first, rows: None, counts: &counts }).expect("a beginning");
        let at = At { problem: &problem, x: &x, rows: None, counts: &counts };
        let row = saga.estimate(at, 0.0, &mut gradient).expect("an estimate").rows[0];
        if !found[row] {
            found[row] = true;
            axpy(0.5 / n as f64 + 0.5 * constants[row] / total, &gradient, &mut mean);
        }
    }
    assert!(found.iter().all(|f| *f), "every term came");
    assert_close(&mean, &problem.gradient(&x).expect("a gradient"), 1e-14, "weighted mean");
}

#[test]
fn table_mean_equals_the_mean_of_the_terms_it_has_seen() {
    for (loss, start) in LOSSES.into_iter().zip([TableStart::AtStart, TableStart::Centred, TableStart::Seen, TableStart::AtStart])
    {
        let problem = random(loss, 25, 4, true);
        let dim = problem.n_params();
        let (n, mut x) = (25, vec![0.2; dim]);
        // One term twice, the others once each, at points that are remembered here.
        let order: Vec<usize> = (0..=n).map(|k| (k * 7) % n).collect();
        let mut sag = Tabulated::sag(0).start(start).selection(Selection::Given(order.clone()));
        let counts = Counts::default();
        sag.begin(At { problem: &problem, x: &x, rows: None, counts: &counts }).expect("a beginning");
        let mut at = vec![x.clone(); n];
        let mut gradient = vec![0.0; dim];
        for row in &order {
            at[*row].clone_from(&x);
            sag.estimate(At { problem: &problem, x: &x, rows: None, counts: &counts }, 0.0, &mut gradient).expect("an estimate");
            let old = x.clone();
            axpy(-0.05, &gradient, &mut x);
            let mut mean = vec![0.0; dim];
            sag.table_mean(&problem, &old, &mut mean);
            assert_close(&mean, &gradient, 1e-14, "SAG is the mean of its table");
        }
        // The regulariser is taken at the present point, so it is taken out of the terms' own.
        let mut expected = vec![0.0; dim];
        for (row, point) in at.iter().enumerate() {
            let mut term = vec![0.0; dim];
            problem.partial(point, &[row], &mut term).expect("a gradient");
            axpy(-problem.l2(), &point[..dim - problem.n_outputs()], &mut term[..dim - problem.n_outputs()]);
            axpy(1.0 / n as f64, &term, &mut expected);
        }
        axpy(problem.l2(), &x[..dim - problem.n_outputs()], &mut expected[..dim - problem.n_outputs()]);
        let mut mean = vec![0.0; dim];
        sag.table_mean(&problem, &x, &mut mean);
        assert_close(&mean, &expected, 1e-14, "the table after every term was seen");
    }
}

/// Steps of gradient descent.
fn descend(problem: &LinearSum, x: &mut [f64], rate: f64, steps: usize) {
    for _ in 0..steps {
        let gradient = problem.gradient(&x.to_vec()).expect("a gradient");
        axpy(-rate, &gradient, x);
    }
}

fn run<E: GradientEstimator<LinearSum>>(problem: &LinearSum, estimator: E, steps: u64) -> Vec<f64> {
    let mut solver = Stochastic::new(estimator, LearningRate(0.2.into()));
    solver.protocol.iteration = curvkit::stochastic::Cadence::Steps(1);
    let start = vec![0.3; problem.n_params()];
    let run =
        Executor::new(problem.clone(), solver).configure(|s: Vectors| s.param(start).max_iters(steps)).run().expect("a run");
    run.state.param.expect("a point")
}

#[test]
fn all_terms_in_every_step_make_gradient_descent() {
    for loss in LOSSES {
        let problem = random(loss, 12, 3, false);
        let mut expected = vec![0.3; problem.n_params()];
        descend(&problem, &mut expected, 0.2, 10);
        for start in [TableStart::Seen, TableStart::AtStart, TableStart::Centred] {
            assert_close(&run(&problem, Tabulated::sag(1).batch(12).start(start), 10), &expected, 1e-13, "SAG");
            assert_close(&run(&problem, Tabulated::saga(1).batch(12).start(start), 10), &expected, 1e-13, "SAGA");
        }
        assert_close(&run(&problem, Svrg::new(1).batch(12), 10), &expected, 1e-13, "SVRG, all terms");
        for snapshot in [Snapshot::Last, Snapshot::Random, Snapshot::Average] {
            assert_close(&run(&problem, Svrg::new(1).inner(1).snapshot(snapshot), 10), &expected, 1e-13, "SVRG, one step");
        }
    }
}

#[test]
fn svrg_goes_on_from_the_mean_or_a_chosen_iterate_of_its_loop() {
    let problem = random(LinearLoss::Logistic, 12, 3, false);
    let order: Vec<usize> = vec![3, 1, 7, 7];
    for snapshot in [Snapshot::Average, Snapshot::Random] {
        let estimator = Svrg::new(2).inner(4).snapshot(snapshot).selection(Selection::Given(order.clone()));
        // The loop by hand.
        let start = vec![0.3; problem.n_params()];
        let full = problem.gradient(&start).expect("a gradient");
        let (mut x, mut iterates) = (start.clone(), Vec::new());
        for row in &order {
            let (mut new, mut old) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            problem.partial(&x, &[*row], &mut new).expect("a gradient");
            problem.partial(&start, &[*row], &mut old).expect("a gradient");
            for j in 0..x.len() {
                x[j] -= 0.2 * (new[j] - old[j] + full[j]);
            }
            iterates.push(x.clone());
        }
        assert_close(&run(&problem, estimator.clone(), 4), &x, 1e-14, "the last iterate of the loop");
        // The fifth step is a full gradient step from the snapshot.
        let found = run(&problem, estimator, 5);
        let after = |mut point: Vec<f64>| {
            descend(&problem, &mut point, 0.2, 1);
            point
        };
        if snapshot == Snapshot::Average {
            let mean = (0..x.len()).map(|j| iterates.iter().map(|x| x[j]).sum::<f64>() / 4.0).collect();
            assert_close(&found, &after(mean), 1e-14, "from the mean");
        } else {
            let matches = iterates.into_iter().filter(|x| {
                let expected = after(x.clone());
                found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-14)
            });
            assert_eq!(matches.count(), 1, "from one of the iterates");
        }
    }
}

/// A minimum by a method that shares nothing with these.
fn minimum(problem: &LinearSum) -> Vec<f64> {
    let start = vec![0.0; problem.n_params()];
    let mut solver = curvkit::second_order::methods::trust_region_exact();
    (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-12, 0.0);
    let run = Executor::new(problem.clone(), solver).configure(|s: Vectors| s.param(start).max_iters(200)).run().expect("a run");
    centred(problem, run.state.best_param.expect("a point"))
}

/// A softmax leaves a common part of its intercepts open: without it.
fn centred(problem: &LinearSum, mut x: Vec<f64>) -> Vec<f64> {
    let k = problem.n_outputs();
    if k > 1 {
        let at = x.len() - k;
        let mean = x[at..].iter().sum::<f64>() / k as f64;
        x[at..].iter_mut().for_each(|b| *b -= mean);
    }
    x
}

#[test]
fn fused_solver_reaches_the_minimum_in_every_variant() {
    for (loss, sparse) in LOSSES.into_iter().flat_map(|loss| [(loss, false), (loss, true)]) {
        let problem = random(loss, 80, 5, sparse);
        let expected = minimum(&problem);
        for method in [TableMethod::Sag, TableMethod::Saga] {
            for start in [TableStart::Seen, TableStart::AtStart, TableStart::Centred] {
                // SAG at 1/L needs terms that are drawn independently of each other.
                let shuffled = if method == TableMethod::Saga { Selection::Shuffled } else { Selection::Uniform };
                for selection in [shuffled, Selection::Uniform, Selection::Lipschitz] {
                    for step in [LinearStep::Lipschitz, LinearStep::Search(LipschitzSearch::default())] {
                        let what = format!("{loss:?} {sparse} {method:?} {start:?} {selection:?} {step:?}");
                        let solver = with(LinearSag::sag(4), |s| {
                            (s.method, s.start, s.step, s.gradient_tolerance) = (method, start, step, 1e-12);
                            s.selection = selection.clone();
                        });
                        let first = vec![0.5; problem.n_params()];
                        let run = Executor::new(problem.clone(), solver).configure(|s: Vectors| s.param(first).max_iters(4000));
                        let state = run.run().expect("a run").state;
                        assert!(state.iter < 4000, "{what}");
                        assert_close(&centred(&problem, state.param.expect("a point")), &expected, 1e-9, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn fused_steps_equal_the_estimators_in_every_variant() {
    for (loss, sparse) in LOSSES.into_iter().flat_map(|loss| [(loss, false), (loss, true)]) {
        let problem = random(loss, 30, 5, sparse);
        for method in [TableMethod::Sag, TableMethod::Saga] {
            for start in [TableStart::Seen, TableStart::AtStart, TableStart::Centred] {
                for selection in [Selection::Uniform, Selection::Shuffled, Selection::Lipschitz] {
                    let what = format!("{loss:?} {sparse} {method:?} {start:?} {selection:?}");
                    let fused = with(LinearSag::sag(9), |s| {
                        (s.method, s.start, s.step) = (method, start, LinearStep::Constant(0.07));
                        s.selection = selection.clone();
                    });
                    let estimator = with(Tabulated::sag(9), |s| s.method = method).start(start).selection(selection);
                    let general = {
                        let mut solver = Stochastic::new(estimator, LearningRate(0.07.into()));
                        solver.protocol.iteration = curvkit::stochastic::Cadence::Steps(30);
                        solver
                    };
                    let first = vec![0.2; problem.n_params()];
                    let run = |s: Vectors| s.param(first.clone()).max_iters(5);
                    let a = Executor::new(problem.clone(), fused).configure(run).run().expect("a run").state.param;
                    let b = Executor::new(problem.clone(), general).configure(run).run().expect("a run").state.param;
                    assert_close(&a.expect("a point"), &b.expect("a point"), 1e-12, &what);
                }
            }
        }
    }
}

#[test]
fn search_finds_a_constant_below_the_bound_and_above_a_term() {
    let problem = random(LinearLoss::Squared, 40, 3, false);
    // Of a squared loss each term has its constant exactly, so the search stays within a factor of two of the largest.
    let largest = (0..40).map(|i| problem.lipschitz(i).expect("a constant") - problem.l2()).fold(0.0, f64::max);
    let mut estimator = Tabulated::sag(2).search(LipschitzSearch { constant: 1e-3 });
    let mut x = vec![0.0; problem.n_params()];
    walk(&problem, &mut estimator, &mut x, 400);
    let found = estimator.search.expect("a search").constant;
    assert!(found < 2.0 * largest && found > 0.2 * largest, "{found} {largest}");
    let mut plain = Tabulated::sag(2).search(LipschitzSearch { constant: 1e-3 });
    walk(&Plain(problem), &mut plain, &mut x, 400);
    let found = plain.search.expect("a search").constant;
    assert!(found < 2.0 * (largest + 0.05) && found > 0.2 * largest, "{found} {largest}");
}

/// Solver and state after a trip through argmin's checkpoint files.
fn reload<S>(solver: &S, state: &Vectors, name: &str) -> (S, Vectors)
where
    S: serde::Serialize + serde::de::DeserializeOwned,
{
    let folder = std::env::temp_dir().join("curvkit_variance_reduction").display().to_string();
    let file = FileCheckpoint::new(folder.as_str(), name, CheckpointingFrequency::Always);
    file.save(solver, state).expect("a checkpoint");
    file.load().expect("a readable checkpoint").expect("a checkpoint")
}

/// Bits of the point after some iterations, in one run or with a stop and a reload in between.
fn bits<S>(problem: &LinearSum, solver: S, iterations: u64, split: Option<u64>, name: &str) -> Vec<u64>
where
    S: Solver<LinearSum, Vectors> + serde::Serialize + serde::de::DeserializeOwned,
{
    let mut problem = argmin::core::Problem::new(problem.clone());
    let mut solver = solver;
    let mut state =
        Vectors::new().param(vec![0.1; problem.problem.as_ref().expect("a problem").n_params()]).max_iters(iterations);
    state = solver.init(&mut problem, state).expect("a start").0;
    for k in 0..iterations {
        if split == Some(k) {
            (solver, state) = reload(&solver, &state, name);
        }
        state = solver.next_iter(&mut problem, state).expect("an iteration").0;
        state.iter += 1;
    }
    state.param.expect("a point").iter().map(|v| v.to_bits()).collect()
}

#[test]
fn stopped_and_reloaded_runs_go_on_bit_for_bit() {
    let problem = random(LinearLoss::Softmax { classes: 3 }, 30, 4, true);
    fn check<S>(problem: &LinearSum, solver: S, what: &str)
    where
        S: Solver<LinearSum, Vectors> + serde::Serialize + serde::de::DeserializeOwned + Clone,
    {
        let whole = bits(problem, solver.clone(), 7, None, what);
        for split in [1, 3, 6] {
            assert_eq!(whole, bits(problem, solver.clone(), 7, Some(split), what), "{what}, split at {split}");
        }
    }
    for selection in [Selection::Uniform, Selection::Shuffled, Selection::Lipschitz] {
        for start in [TableStart::Seen, TableStart::AtStart, TableStart::Centred] {
            for estimator in [Tabulated::sag(1), Tabulated::saga(1), Tabulated::saga(1).search(LipschitzSearch::default())] {
                let estimator = estimator.start(start).selection(selection.clone());
                check(&problem, Stochastic::new(estimator, LearningRate(0.05.into())), &format!("{selection:?}_{start:?}"));
            }
            let fused = with(LinearSag::saga(1), |s| (s.start, s.selection) = (start, selection.clone()));
            check(&problem, fused, "fused");
        }
    }
    for snapshot in [Snapshot::Last, Snapshot::Random, Snapshot::Average] {
        let mut solver = Stochastic::new(Svrg::new(1).snapshot(snapshot), LearningRate(0.05.into()));
        solver.protocol.iteration = curvkit::stochastic::Cadence::Steps(13);
        check(&problem, solver, &format!("{snapshot:?}"));
    }
}

#[test]
fn options_out_of_range_are_reported() {
    let problem = random(LinearLoss::Logistic, 10, 3, false);
    let start = || vec![0.0; problem.n_params()];
    let fails = |set: &dyn Fn(&mut LinearSag)| {
        let run = Executor::new(problem.clone(), with(LinearSag::sag(0), set))
            .configure(|s: Vectors| s.param(start()).max_iters(3))
            .run();
        run.err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(fails(&|s| s.step = LinearStep::Constant(100.0)).contains("step"));
    assert!(fails(&|s| s.step = LinearStep::Constant(f64::NAN)).contains("step"));
    assert!(fails(&|s| s.selection = Selection::Given(vec![10])).contains("given term"));
    assert!(fails(&|s| s.intercept_decay = 0.0).contains("intercept_decay"));
    let counts = Counts::default();
    let x = start();
    let at = || At { problem: &problem, x: &x, rows: None, counts: &counts };
    assert!(Tabulated::sag(0).batch(0).begin(at()).is_err());
    assert!(Tabulated::saga(0).batch(2).selection(Selection::Lipschitz).begin(at()).is_err());
    assert!(Svrg::new(0).inner(0).begin(at()).is_err());
    // More terms than there are: all of them.
    let mut large = Tabulated::sag(0).batch(1000);
    let mut gradient = vec![0.0; x.len()];
    large.begin(at()).expect("a beginning");
    assert_eq!(large.estimate(at(), 0.0, &mut gradient).expect("an estimate").rows.len(), 10);
}

#[test]
fn step_that_diverges_keeps_the_last_finite_point() {
    let problem = random(LinearLoss::Squared, 20, 3, false);
    let options = LinearOptions { l2: 0.0, ..LinearOptions::default() };
    let problem = LinearSum::new(LinearLoss::Squared, problem.features().clone(), problem.response().to_vec(), &options)
        .expect("a problem");
    let solver = with(LinearSag::saga(0), |s| s.step = LinearStep::Constant(1e3));
    let start = vec![0.1; problem.n_params()];
    let run = Executor::new(problem, solver).configure(|s: Vectors| s.param(start).max_iters(1000)).run().expect("a run");
    assert!(run.state.iter < 1000);
    assert!(run.solver.stop().expect("a stop").to_string().contains("diverged"));
    assert!(run.state.best_param.expect("a point").iter().all(|v| v.is_finite()));
    assert!(run.state.best_cost.is_finite());
}
