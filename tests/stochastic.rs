//! The stochastic solver: estimators, averages, stopping, argmin's side of it.
#![cfg(feature = "serde")]

use argmin::core::checkpointing::{Checkpoint, CheckpointingFrequency};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, Gradient, KV, Solver, State as _, TerminationReason};
use argmin_checkpointing_file::FileCheckpoint;
use curvkit::Stop;
use curvkit::counts::Counts;
use curvkit::curvature::{Curvature, Subsampled};
use curvkit::linalg::Operator;
use curvkit::linalg::operator::Diagonal;
use curvkit::problem::{At, FiniteSum};
use curvkit::stochastic::average::Averaging;
use curvkit::stochastic::estimator::{FullBatch, GradientEstimator, MiniBatch, Sampling};
use curvkit::stochastic::rule::LearningRate;
use curvkit::stochastic::{Cadence, Protocol, State, Stochastic, methods};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::sync::{Arc, Mutex};

type Point = Vec<f64>;

/// `f(x) = (1/n) Σ ½ (aᵢᵀx − bᵢ)²`, the rows that were asked for, and validation data of its own.
#[derive(Clone, Default)]
struct Lines {
    a: Vec<[f64; 3]>,
    b: Vec<f64>,
    held_out: Option<(Vec<[f64; 3]>, Vec<f64>)>,
    asked: Arc<Mutex<Vec<Vec<usize>>>>,
}

fn half_squares(a: &[[f64; 3]], b: &[f64], x: &[f64]) -> f64 {
    let residual = |(a, b): (&[f64; 3], &f64)| a.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() - b;
    a.iter().zip(b).map(|row| 0.5 * residual(row).powi(2)).sum::<f64>() / b.len() as f64
}

impl Lines {
    fn new(n: usize, noise: f64, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let a: Vec<[f64; 3]> = (0..n).map(|_| std::array::from_fn(|_| random.sample(StandardNormal))).collect();
        let b = a.iter().map(|a| a[0] - 2.0 * a[1] + 0.5 * a[2] + noise * random.sample::<f64, _>(StandardNormal)).collect();
        Self { a, b, ..Self::default() }
    }
    fn asked(&self) -> Vec<Vec<usize>> {
        self.asked.lock().unwrap().clone()
    }
}

impl CostFunction for Lines {
    type Param = Point;
    type Output = f64;
    fn cost(&self, x: &Point) -> Result<f64, Error> {
        Ok(half_squares(&self.a, &self.b, x))
    }
}
impl Gradient for Lines {
    type Param = Point;
    type Gradient = Point;
    fn gradient(&self, x: &Point) -> Result<Point, Error> {
        let mut g = vec![0.0; 3];
        let all: Vec<usize> = (0..self.b.len()).collect();
        self.partial(x, &all, &mut g)?;
        Ok(g)
    }
}
impl FiniteSum for Lines {
    fn n_terms(&self) -> usize {
        self.b.len()
    }
    fn partial(&self, x: &[f64], rows: &[usize], gradient: &mut [f64]) -> curvkit::Result<f64> {
        self.asked.lock().unwrap().push(rows.to_vec());
        gradient.fill(0.0);
        let mut value = 0.0;
        for &i in rows {
            let residual = self.a[i].iter().zip(x).map(|(a, x)| a * x).sum::<f64>() - self.b[i];
            value += 0.5 * residual * residual;
            gradient.iter_mut().zip(&self.a[i]).for_each(|(g, a)| *g += residual * a);
        }
        let n = rows.len() as f64;
        gradient.iter_mut().for_each(|g| *g /= n);
        Ok(value / n)
    }
    fn validation(&self, x: &[f64]) -> Option<curvkit::Result<f64>> {
        self.held_out.as_ref().map(|(a, b)| Ok(half_squares(a, b, x)))
    }
}

fn run<S: Solver<Lines, State<Point>>>(
    problem: Lines,
    solver: S,
    iterations: u64,
) -> argmin::core::OptimizationResult<Lines, S, State<Point>> {
    Executor::new(problem, solver).configure(|s| s.param(vec![0.0; 3]).max_iters(iterations)).run().unwrap()
}

fn accumulating(mut batches: MiniBatch, accumulate: usize) -> MiniBatch {
    batches.accumulate = accumulate;
    batches
}

fn full_batch(rate: f64) -> Stochastic<FullBatch, curvkit::curvature::Identity, LearningRate> {
    Stochastic::new(FullBatch::default(), LearningRate(rate.into()))
}

#[test]
fn full_batch_is_gradient_descent_step_by_step() {
    let problem = Lines::new(20, 0.3, 1);
    let mut x = vec![0.0; 3];
    for k in 1..=10 {
        let g = problem.gradient(&x).unwrap();
        x.iter_mut().zip(&g).for_each(|(x, g)| *x -= 0.1 * g);
        let result = run(problem.clone(), full_batch(0.1), k);
        assert_eq!(result.state.param.as_ref().unwrap(), &x);
        assert_eq!(result.state.cost, problem.cost(&x).unwrap());
        assert_eq!(result.solver.samples(), 20 * k);
    }
}

#[test]
fn shuffled_batches_take_every_term_once_an_epoch_in_a_new_order() {
    let problem = Lines::new(10, 0.3, 2);
    run(problem.clone(), methods::sgd(MiniBatch::new(4, 7), 0.01), 3);
    let batches = problem.asked();
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2, 4, 4, 2]);
    let epochs: Vec<Vec<usize>> = batches.chunks(3).map(|c| c.concat()).collect();
    for epoch in &epochs {
        let mut sorted = epoch.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
    }
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
}

#[test]
fn every_sampling_is_reproducible_and_keeps_its_promise() {
    for sampling in [Sampling::ShuffledWhole, Sampling::Sequential, Sampling::WithReplacement, Sampling::WithoutReplacement] {
        let drawn = |seed| {
            let problem = Lines::new(10, 0.3, 2);
            let mut solver = methods::sgd(MiniBatch::new(4, seed).sampling(sampling), 0.01);
            solver.protocol.iteration = Cadence::Steps(1);
            run(problem.clone(), solver, 200);
            problem.asked()
        };
        let batches = drawn(1);
        assert_eq!(batches, drawn(1), "{sampling:?}");
        let distinct = |b: &Vec<usize>| b.iter().collect::<std::collections::BTreeSet<_>>().len();
        match sampling {
            Sampling::ShuffledWhole => {
                assert!(batches.iter().all(|b| b.len() == 4));
                assert!(batches.chunks(2).all(|c| distinct(&c.concat()) == 8));
            }
            Sampling::Sequential => assert_eq!(batches[..3].concat(), (0..10).collect::<Vec<_>>()),
            Sampling::WithReplacement => assert!(batches.iter().any(|b| distinct(b) < 4) && batches.iter().all(|b| b.len() == 4)),
            _ => assert!(batches.iter().all(|b| distinct(b) == 4)),
        }
        if sampling != Sampling::Sequential {
            assert_ne!(batches, drawn(2), "{sampling:?}");
            // Every term has its share: 800 draws of 10, five standard deviations.
            for i in 0..10 {
                let share = batches.iter().flatten().filter(|&&row| row == i).count() as f64;
                assert!((share - 80.0).abs() < 43.0, "{sampling:?}: term {i} {share} times");
            }
        }
    }
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let sequential = |size: usize| MiniBatch::new(size, 0).sampling(Sampling::Sequential);
    let whole = run(Lines::new(12, 0.3, 3), methods::sgd(sequential(6), 0.05), 5);
    let parts = run(Lines::new(12, 0.3, 3), methods::sgd(accumulating(sequential(2), 3), 0.05), 5);
    let (a, b) = (whole.state.param.unwrap(), parts.state.param.unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-14), "{a:?} {b:?}");
    assert_eq!(whole.solver.samples(), parts.solver.samples());
    assert_eq!(whole.solver.clock().step, parts.solver.clock().step);
}

#[test]
fn batches_larger_than_the_sum_and_sums_of_one_term_are_the_full_gradient() {
    for n in [1, 7] {
        let problem = Lines::new(n, 0.3, 4);
        let result = run(problem.clone(), methods::sgd(MiniBatch::new(100, 0), 0.1), 20);
        let full = run(problem, full_batch(0.1), 20);
        let (a, b) = (result.state.param.unwrap(), full.state.param.unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-14), "{a:?} {b:?}");
    }
}

#[test]
fn the_cost_argmin_sees_is_the_full_one() {
    let problem = Lines::new(30, 1.0, 5);
    let result = run(problem.clone(), methods::sgd(MiniBatch::new(3, 1), 0.3), 40);
    let best = result.state.best_param.unwrap();
    assert_eq!(result.state.best_cost, problem.cost(&best).unwrap());
    assert_eq!(result.state.cost, problem.cost(&result.state.param.unwrap()).unwrap());
    // Once at the start and once an epoch.
    assert_eq!(result.solver.tally().cost, 41);
    assert_eq!(result.problem.counts["sample_gradient_count"], 40 * 30);
}

#[test]
fn evaluations_on_a_cadence_cost_no_more_than_they_are_asked_for() {
    for (evaluate, expected) in [(Cadence::Never, 2), (Cadence::Epochs(10.0), 5), (Cadence::Steps(100), 5)] {
        let mut solver = methods::sgd(MiniBatch::new(3, 1), 0.1);
        solver.protocol.evaluate = evaluate;
        let problem = Lines::new(30, 1.0, 5);
        let result = run(problem.clone(), solver, 40);
        assert_eq!(result.solver.tally().cost, expected, "{evaluate:?}");
        assert_eq!(result.state.cost, problem.cost(&result.state.param.unwrap()).unwrap());
    }
}

#[test]
fn a_rate_that_diverges_ends_with_the_last_finite_point_and_says_so() {
    let problem = Lines::new(30, 0.1, 6);
    for (rate, divergence) in [(1e3, 1e6), (1e200, f64::MAX)] {
        let mut solver = methods::sgd(MiniBatch::new(3, 1), rate);
        solver.protocol.divergence = divergence;
        let result = run(problem.clone(), solver, 1000);
        assert!(matches!(result.solver.stop(), Some(Stop::Diverged { .. })), "{:?}", result.solver.stop());
        let Some(TerminationReason::SolverExit(text)) = result.state.get_termination_reason() else { panic!("no reason") };
        assert!(text.contains("learning rate"), "{text}");
        assert!(result.state.param.as_ref().unwrap().iter().all(|v| v.is_finite()));
        let best = result.state.best_param.as_ref().unwrap();
        assert!(problem.cost(best).unwrap() <= problem.cost(&vec![0.0; 3]).unwrap());
    }
}

#[test]
fn averages_are_argmins_parameter_and_the_raw_iterate_stays_readable() {
    let problem = Lines::new(30, 1.0, 7);
    let solver = |averaging| {
        let mut solver = methods::sgd(MiniBatch::new(1, 3), 0.05).averaged(averaging);
        solver.protocol.iteration = Cadence::Steps(1);
        solver
    };
    let iterates: Vec<Point> = (1..=50).map(|k| run(problem.clone(), solver(Averaging::Last), k).state.param.unwrap()).collect();
    let result = run(problem.clone(), solver(Averaging::Uniform), 50);
    assert_eq!(result.solver.iterate().unwrap(), iterates[49], "averaging leaves the iterates alone");
    let mean: Vec<f64> = (0..3).map(|j| iterates.iter().map(|x| x[j]).sum::<f64>() / 50.0).collect();
    let param = result.state.param.unwrap();
    assert!(param.iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-14), "{param:?} {mean:?}");
    assert_eq!(result.state.cost, problem.cost(&param).unwrap());
}

#[test]
fn early_stopping_returns_the_point_of_the_lowest_validation_loss() {
    // Few noisy terms, many variables' worth of noise: training on and on gets worse on other data.
    let other = Lines::new(200, 3.0, 9);
    let mut problem = Lines::new(4, 3.0, 8);
    problem.held_out = Some((other.a, other.b));
    let protocol = Protocol { patience: Some(20), ..Protocol::default() };
    let result = run(problem.clone(), full_batch(0.02).protocol(protocol), 5000);
    let Some(Stop::Patience { lowest, count, .. }) = result.solver.stop() else { panic!("{:?}", result.solver.stop()) };
    assert_eq!(*count, 20);
    let x = result.state.best_param.as_ref().unwrap();
    assert_eq!(problem.validation(x).unwrap().unwrap(), *lowest);
    assert_eq!(result.state.best_cost, problem.cost(x).unwrap());
    let first = problem.validation(&[0.0; 3]).unwrap().unwrap();
    assert!(*lowest < first && result.solver.validation().unwrap() > *lowest);
}

#[test]
fn targets_epochs_gradient_norms_and_deadlines_end_a_run() {
    let problem = Lines::new(30, 0.0, 10);
    let stop = |protocol: Protocol| {
        let result = run(problem.clone(), full_batch(0.3).protocol(protocol), 100_000);
        result.solver.stop().cloned().unwrap()
    };
    let base = Protocol::default;
    assert!(matches!(stop(Protocol { target: Some(1e-9), ..base() }), Stop::Target { cost, bound } if cost <= bound));
    assert!(matches!(stop(Protocol { epochs: Some(7.0), ..base() }), Stop::Epochs { count, .. } if count == 7.0));
    let gradient = stop(Protocol { gradient_tolerance: 1e-10, ..base() });
    assert!(matches!(gradient, Stop::Gradient { norm, bound } if norm <= bound && gradient.converged()));
    let deadline = Protocol { deadline: Some(0.05), ..base() };
    assert!(matches!(stop(deadline), Stop::Deadline { seconds, .. } if seconds > 0.05));
}

#[test]
fn bad_options_are_named() {
    let problem = Lines::new(5, 0.1, 1);
    let message = |solver: Stochastic<MiniBatch, curvkit::curvature::Identity, LearningRate>| {
        let run = Executor::new(problem.clone(), solver).configure(|s| s.param(vec![0.0; 3]).max_iters(2)).run();
        run.err().map(|e| e.to_string()).unwrap_or_default()
    };
    let solver = || methods::sgd(MiniBatch::new(2, 0), 0.1);
    assert!(message(methods::sgd(MiniBatch::new(2, 0), f64::NAN)).contains("learning_rate"));
    assert!(message(methods::sgd(accumulating(MiniBatch::new(2, 0), 0), 0.1)).contains("accumulate"));
    assert!(message(solver().averaged(Averaging::Exponential { decay: 1.0 })).contains("decay"));
    assert!(message(solver().protocol(Protocol { patience: Some(0), ..Protocol::default() })).contains("patience"));
    assert!(message(solver().protocol(Protocol { iteration: Cadence::Never, ..Protocol::default() })).contains("iteration"));
    let empty = Executor::new(Lines::default(), solver()).configure(|s| s.param(vec![0.0; 3]).max_iters(2)).run();
    assert!(empty.err().unwrap().to_string().contains("terms"));
}

/// `B = diag(mean aᵢ²)` over the rows.
#[derive(Clone)]
struct Squares;
impl Curvature<Lines> for Squares {
    fn at<'a>(&'a mut self, at: At<'a, Lines>) -> curvkit::Result<Operator<'a>> {
        let rows = at.rows.unwrap();
        let mean = |j: usize| rows.iter().map(|&i| at.problem.a[i][j].powi(2)).sum::<f64>() / rows.len() as f64;
        Ok(Box::new(Diagonal((0..3).map(mean).collect())))
    }
}
impl Subsampled<Lines> for Squares {}

#[test]
fn a_preconditioner_sees_the_rows_of_the_step_and_the_damping() {
    let problem = Lines::new(12, 0.3, 11);
    let mut solver = methods::sgd(MiniBatch::new(4, 0), 1.0).preconditioned(Squares, 0.5);
    solver.protocol.iteration = Cadence::Steps(1);
    let x = run(problem.clone(), solver, 1).state.param.unwrap();
    let rows = &problem.asked()[0];
    let (mut g, counts) = (vec![0.0; 3], Counts::default());
    problem.partial(&[0.0; 3], rows, &mut g).unwrap();
    let mut estimator = FullBatch::default();
    let zero = vec![0.0; 3];
    let at = At { problem: &problem, x: &zero, rows: Some(rows), counts: &counts };
    estimator.begin(at).unwrap();
    let mut expected = g.clone();
    Squares.precondition(at, 0.5, &mut expected).unwrap();
    for j in 0..3 {
        let d = rows.iter().map(|&i| problem.a[i][j].powi(2)).sum::<f64>() / 4.0;
        assert!((expected[j] - g[j] / (d + 0.5)).abs() < 1e-15);
        assert_eq!(x[j], -expected[j]);
    }
}

#[test]
fn constant_steps_stall_at_the_level_that_theory_predicts() {
    // Terms ½ (x − bᵢ)²: with replacement, E[(x − mean b)²] → α σ² / (2 − α) exactly (a scalar AR(1) process).
    let mut problem = Lines::new(200, 0.0, 12);
    problem.a = vec![[1.0, 0.0, 0.0]; 200];
    let mean = problem.b.iter().sum::<f64>() / 200.0;
    let variance = problem.b.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / 200.0;
    let alpha = 0.3;
    let mut solver = methods::sgd(MiniBatch::new(1, 5).sampling(Sampling::WithReplacement), alpha);
    (solver.protocol.iteration, solver.protocol.evaluate) = (Cadence::Steps(1), Cadence::Never);
    solver.report = false;
    let seen = Squared::default();
    Executor::new(problem, solver)
        .configure(|s: State<Point>| s.param(vec![mean, 0.0, 0.0]).max_iters(200_000))
        .add_observer(Spy { mean, seen: seen.clone() }, ObserverMode::Always)
        .run()
        .unwrap();
    let (sum, count) = *seen.0.lock().unwrap();
    let ratio = sum / count / (alpha * variance / (2.0 - alpha));
    println!("floor: measured / predicted = {ratio:.4}");
    // 2e5 correlated values (correlation time 1/α): about 1 % standard error.
    assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
}

#[derive(Clone, Default)]
struct Squared(Arc<Mutex<(f64, f64)>>);
struct Spy {
    mean: f64,
    seen: Squared,
}
impl Observe<State<Point>> for Spy {
    fn observe_iter(&mut self, state: &State<Point>, _: &KV) -> Result<(), Error> {
        let x = state.param.as_ref().unwrap()[0];
        let mut seen = self.seen.0.lock().unwrap();
        *seen = (seen.0 + (x - self.mean).powi(2), seen.1 + 1.0);
        Ok(())
    }
}

#[test]
fn observers_see_epoch_rate_costs_and_norms() {
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<KV>>>);
    impl Observe<State<Point>> for Seen {
        fn observe_iter(&mut self, _: &State<Point>, kv: &KV) -> Result<(), Error> {
            self.0.lock().unwrap().push(kv.clone());
            Ok(())
        }
    }
    let seen = Seen::default();
    Executor::new(Lines::new(30, 0.3, 13), methods::sgd(MiniBatch::new(3, 1), 0.1))
        .configure(|s| s.param(vec![0.0; 3]).max_iters(4))
        .add_observer(seen.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    let rows = seen.0.lock().unwrap();
    assert_eq!(rows.len(), 4);
    for key in ["epoch", "step", "samples", "cost", "batch_cost", "learning_rate", "gradient_norm", "update_norm"] {
        assert!(rows.iter().all(|kv| kv.get(key).is_some()), "{key}");
    }
}

/// Runs to the end in one go, and again with a stop in the middle and a reload; compares bits.
fn resume_equals_one_run<S>(name: &str, problem: &Lines, make: impl Fn() -> S)
where
    S: Solver<Lines, State<Point>> + serde::Serialize + serde::de::DeserializeOwned,
{
    let run = |solver: S, limit: u64, file: Option<FileCheckpoint>| {
        let executor = Executor::new(problem.clone(), solver).configure(|s: State<Point>| s.param(vec![0.0; 3]).max_iters(limit));
        match file {
            Some(file) => executor.checkpointing(file).run().unwrap(),
            None => executor.run().unwrap(),
        }
    };
    let whole = run(make(), 23, None);
    let folder = std::env::temp_dir().join(format!("curvkit-stochastic-{}-{name}", std::process::id()));
    let folder = folder.to_string_lossy().into_owned();
    let checkpoint = || FileCheckpoint::new(folder.as_str(), name, CheckpointingFrequency::Always);
    run(make(), 10, Some(checkpoint()));
    let (solver, state): (S, State<Point>) = checkpoint().load().unwrap().unwrap();
    checkpoint().save(&solver, &state.max_iters(23)).unwrap();
    let resumed = run(make(), 23, Some(checkpoint()));
    std::fs::remove_dir_all(&folder).unwrap();
    let bits = |x: &Option<Point>| x.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(whole.state.iter, resumed.state.iter, "{name}");
    assert_eq!(bits(&whole.state.param), bits(&resumed.state.param), "{name}");
    assert_eq!(bits(&whole.state.best_param), bits(&resumed.state.best_param), "{name}");
    assert_eq!(whole.state.cost.to_bits(), resumed.state.cost.to_bits(), "{name}");
}

#[test]
fn resumed_runs_equal_one_run_bit_for_bit() {
    let plain = Lines::new(20, 0.5, 14);
    let other = Lines::new(50, 0.5, 15);
    let validated = Lines { held_out: Some((other.a, other.b)), ..plain.clone() };
    for problem in [plain, validated] {
        for sampling in [Sampling::Shuffled, Sampling::Sequential, Sampling::WithReplacement, Sampling::WithoutReplacement] {
            for averaging in [Averaging::Last, Averaging::Uniform, Averaging::Exponential { decay: 0.9 }] {
                for iteration in [Cadence::Steps(1), Cadence::Epochs(1.0)] {
                    resume_equals_one_run("mini", &problem, || {
                        let batches = MiniBatch::new(3, 5).sampling(sampling);
                        let mut solver = methods::sgd(batches, 0.05).averaged(averaging);
                        solver.protocol.iteration = iteration;
                        solver.protocol.evaluate = Cadence::Epochs(2.0);
                        solver
                    });
                }
            }
        }
        resume_equals_one_run("full", &problem, || full_batch(0.1));
    }
}
