//! The solvers are argmin solvers: problems go both ways, observers, checkpoints and limits work as argmin's users expect.

use argmin::core::checkpointing::{Checkpoint, CheckpointingFrequency};
use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, KV, Solver, State, TerminationReason};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use argmin_checkpointing_file::FileCheckpoint;
use curvkit::Stop;
use curvkit::problem::Erased;
use curvkit::second_order::methods;
use curvkit::testbed;
use nalgebra::{DMatrix, DVector};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A problem as written for argmin's own Newton and trust-region solvers: it knows nothing of this crate.
#[derive(Clone)]
struct Rosenbrock;

impl CostFunction for Rosenbrock {
    type Param = DVector<f64>;
    type Output = f64;
    fn cost(&self, p: &Self::Param) -> Result<f64, Error> {
        Ok((1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2))
    }
}
impl Gradient for Rosenbrock {
    type Param = DVector<f64>;
    type Gradient = DVector<f64>;
    fn gradient(&self, p: &Self::Param) -> Result<Self::Gradient, Error> {
        let t = p[1] - p[0] * p[0];
        Ok(DVector::from_vec(vec![-2.0 * (1.0 - p[0]) - 400.0 * p[0] * t, 200.0 * t]))
    }
}
impl Hessian for Rosenbrock {
    type Param = DVector<f64>;
    type Hessian = DMatrix<f64>;
    fn hessian(&self, p: &Self::Param) -> Result<Self::Hessian, Error> {
        let off = -400.0 * p[0];
        Ok(DMatrix::from_row_slice(2, 2, &[2.0 - 400.0 * p[1] + 1200.0 * p[0] * p[0], off, off, 200.0]))
    }
}

fn start() -> DVector<f64> {
    DVector::from_vec(vec![-1.2, 1.0])
}

#[test]
fn argmin_problem_runs_unchanged_on_argmins_solver_and_on_curvkits() {
    use argmin::solver::trustregion::{Steihaug, TrustRegion};
    let theirs = Executor::new(Rosenbrock, TrustRegion::new(Steihaug::<DVector<f64>, f64>::new()))
        .configure(|s| s.param(start()).max_iters(50))
        .run()
        .unwrap();
    assert!(theirs.state().get_best_cost() < 1e-12);
    for result in [
        Executor::new(Rosenbrock, methods::trust_region_exact()).configure(|s| s.param(start())).run().unwrap().state.best_cost,
        Executor::new(Rosenbrock, methods::newton()).configure(|s| s.param(start())).run().unwrap().state.best_cost,
        Executor::new(Rosenbrock, methods::lbfgs()).configure(|s| s.param(start())).run().unwrap().state.best_cost,
    ] {
        assert!(result < 1e-12, "{result}");
    }
}

#[test]
fn curvkit_problem_over_vec_runs_on_argmins_solver() {
    let problem = testbed::problem("rosenbrock", None).unwrap();
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 7);
    let result = Executor::new(problem.erased(), solver)
        .configure(|s: IterState<Vec<f64>, Vec<f64>, (), (), (), f64>| s.param(problem.start.clone()).max_iters(100))
        .run()
        .unwrap();
    assert!(result.state().get_best_cost() < 1e-12);
}

#[test]
fn gradient_test_ends_the_run_with_its_value_and_counts_agree_with_argmins() {
    let result =
        Executor::new(Rosenbrock, methods::trust_region_exact()).configure(|s| s.param(start()).counting(true)).run().unwrap();
    assert_eq!(result.state().get_termination_reason(), Some(&TerminationReason::SolverConverged));
    let solver = &result.solver;
    let Some(Stop::Gradient { norm, bound }) = solver.stop() else { panic!("{:?}", solver.stop()) };
    assert!(norm <= bound);
    let total = solver.tally().plus(&solver.certificate_tally());
    let counts = result.state().get_func_counts();
    assert_eq!(counts["cost_count"], total.cost);
    assert_eq!(counts["gradient_count"], total.gradient);
    assert_eq!(counts["hessian_count"], total.hessian);
    assert_eq!(solver.certificate_tally().hessian, 1);
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<KV>>>);
impl<I: State> Observe<I> for Seen {
    fn observe_iter(&mut self, _: &I, kv: &KV) -> Result<(), Error> {
        self.0.lock().unwrap().push(kv.clone());
        Ok(())
    }
}

#[test]
fn observers_see_the_numbers_of_each_step() {
    let seen = Seen::default();
    let run = Executor::new(Rosenbrock, methods::newton())
        .configure(|s| s.param(start()))
        .add_observer(seen.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    let rows = seen.0.lock().unwrap();
    assert_eq!(rows.len() as u64, run.state().get_iter());
    for key in ["gradient_norm", "trials", "size", "predicted", "actual", "step_length"] {
        assert!(rows.iter().all(|kv| kv.get(key).is_some()), "{key}");
    }
}

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Runs to the end in one go, and again with a stop in the middle and a reload; compares bits.
fn resume_equals_one_run<S>(name: &str, make: impl Fn() -> S)
where
    S: Solver<Erased, IterState<Vec<f64>, Vec<f64>, (), (), (), f64>> + serde::Serialize + serde::de::DeserializeOwned,
{
    let problem = testbed::problem("wood", None).unwrap();
    let run = |solver: S, limit: u64, file: Option<FileCheckpoint>| {
        let executor = Executor::new(problem.erased(), solver)
            .configure(|s: IterState<Vec<f64>, Vec<f64>, (), (), (), f64>| s.param(problem.start.clone()).max_iters(limit));
        match file {
            Some(file) => executor.checkpointing(file).run().unwrap(),
            None => executor.run().unwrap(),
        }
    };
    let whole = run(make(), 12, None);
    let folder =
        std::env::temp_dir().join(format!("curvkit-resume-{}-{name}", std::process::id())).to_string_lossy().into_owned();
    let checkpoint = || FileCheckpoint::new(folder.as_str(), name, CheckpointingFrequency::Always);
    run(make(), 5, Some(checkpoint()));
    // argmin restores the old limit with the state: write the checkpoint back with the new one.
    let (solver, state): (S, Vectors) = checkpoint().load().unwrap().unwrap();
    assert_eq!(state.get_iter(), 5);
    checkpoint().save(&solver, &state.max_iters(12)).unwrap();
    let resumed = run(make(), 12, Some(checkpoint()));
    std::fs::remove_dir_all(&folder).unwrap();
    let bits = |x: &Vec<f64>| x.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(whole.state.iter, resumed.state.iter, "{name}");
    assert_eq!(bits(whole.state.param.as_ref().unwrap()), bits(resumed.state.param.as_ref().unwrap()), "{name}");
    assert_eq!(bits(whole.state.grad.as_ref().unwrap()), bits(resumed.state.grad.as_ref().unwrap()), "{name}");
}

#[test]
fn resumed_runs_equal_one_run_bit_for_bit() {
    resume_equals_one_run("newton", methods::newton);
    resume_equals_one_run("newton_cg", methods::newton_cg);
    resume_equals_one_run("exact", methods::trust_region_exact);
    resume_equals_one_run("steihaug", methods::trust_region_steihaug);
    resume_equals_one_run("gltr", methods::trust_region_gltr);
    resume_equals_one_run("dogleg", methods::dogleg);
    resume_equals_one_run("cubic", methods::cubic_regularization);
    resume_equals_one_run("cubic_lanczos", methods::cubic_lanczos);
    resume_equals_one_run("saddle_free", methods::saddle_free_newton);
    resume_equals_one_run("bfgs", methods::bfgs);
    resume_equals_one_run("lbfgs", methods::lbfgs);
    resume_equals_one_run("sr1", methods::sr1);
    resume_equals_one_run("gradient", methods::gradient_descent);
}

#[test]
fn max_iterations_end_cleanly_with_the_best_point_kept() {
    let result = Executor::new(Rosenbrock, methods::newton()).configure(|s| s.param(start()).max_iters(3)).run().unwrap();
    assert_eq!(result.state().get_termination_reason(), Some(&TerminationReason::MaxItersReached));
    assert!(result.state().get_best_cost() < 24.2 && result.state().get_best_param().is_some());
    assert_eq!(result.solver.stop(), Some(&Stop::Iterations { count: 3, bound: 3 }));
    assert!(result.problem.counts["cost_count"] >= 4);
}

/// Rosenbrock whose cost takes its time.
struct Slow;
impl CostFunction for Slow {
    type Param = DVector<f64>;
    type Output = f64;
    fn cost(&self, p: &Self::Param) -> Result<f64, Error> {
        std::thread::sleep(Duration::from_millis(5));
        Rosenbrock.cost(p)
    }
}
impl Gradient for Slow {
    type Param = DVector<f64>;
    type Gradient = DVector<f64>;
    fn gradient(&self, p: &Self::Param) -> Result<Self::Gradient, Error> {
        Rosenbrock.gradient(p)
    }
}

#[test]
fn timeouts_end_cleanly_with_the_best_point_kept() {
    let result = Executor::new(Slow, methods::gradient_descent_fixed(1e-4))
        .configure(|s| s.param(start()).max_iters(1_000_000))
        .timeout(Duration::from_millis(60))
        .run()
        .unwrap();
    assert_eq!(result.state().get_termination_reason(), Some(&TerminationReason::Timeout));
    assert!(result.state().get_best_cost() < 24.2);
    assert!(result.problem.counts["gradient_count"] > 1);

    let mut solver = methods::gradient_descent_fixed(1e-4);
    solver.stopping.deadline = Some(0.06);
    let began = Instant::now();
    let result = Executor::new(Slow, solver).configure(|s| s.param(start()).max_iters(1_000_000)).run().unwrap();
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(matches!(result.solver.stop(), Some(Stop::Deadline { .. })));
    assert!(result.state().get_best_param().is_some());
}
