//! Runs a named method on a test problem and recomputes what it claims.
#![allow(dead_code)]

use argmin::core::{Executor, IterState, Solver};
use curvkit::counts::Tally;
use curvkit::curvature::Curvature;
use curvkit::linalg::vector::norm_inf;
use curvkit::problem::Erased;
use curvkit::second_order::globalization::Globalization;
use curvkit::second_order::minimizer::Minimizer;
use curvkit::second_order::subproblem::Subproblem;
use curvkit::testbed::TestProblem;

pub type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// One run, judged by the problem and not by the solver.
pub struct Outcome {
    pub x: Vec<f64>,
    pub cost: f64,
    pub gradient_norm: f64,
    pub first_gradient_norm: f64,
    pub iterations: u64,
    pub tally: Tally,
    pub stop: String,
    pub escapes: u64,
    pub seconds: f64,
}

impl Outcome {
    /// `‖g‖∞ ≤ 1e-8 max(1, ‖g₀‖∞)`, recomputed at the returned point.
    pub fn stationary(&self) -> bool {
        self.gradient_norm <= 1e-8 * self.first_gradient_norm.max(1.0)
    }
}

pub fn gradient_norm(problem: &TestProblem, x: &[f64]) -> f64 {
    let mut g = vec![0.0; x.len()];
    problem.function.gradient(x, &mut g).unwrap();
    norm_inf(&g)
}

/// The run, or `None` from a start whose cost is not finite.
pub fn try_run<C, S, G>(problem: &TestProblem, start: &[f64], solver: Minimizer<C, S, G>, max_iters: u64) -> Option<Outcome>
where
    C: Curvature<Erased>,
    S: Subproblem,
    G: Globalization<S::Region>,
    Minimizer<C, S, G>: Solver<Erased, Vectors>,
{
    let finite = problem.function.cost(start).unwrap().is_finite() && gradient_norm(problem, start).is_finite();
    finite.then(|| run(problem, start, solver, max_iters))
}

pub fn run<C, S, G>(problem: &TestProblem, start: &[f64], solver: Minimizer<C, S, G>, max_iters: u64) -> Outcome
where
    C: Curvature<Erased>,
    S: Subproblem,
    G: Globalization<S::Region>,
    Minimizer<C, S, G>: Solver<Erased, Vectors>,
{
    let began = std::time::Instant::now();
    let result = Executor::new(problem.erased(), solver)
        .configure(|s: Vectors| s.param(start.to_vec()).max_iters(max_iters))
        .run()
        .unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let solver = result.solver;
    let x = result.state.best_param.unwrap();
    Outcome {
        cost: problem.function.cost(&x).unwrap(),
        gradient_norm: gradient_norm(problem, &x),
        first_gradient_norm: gradient_norm(problem, start),
        iterations: result.state.iter,
        tally: solver.tally(),
        stop: solver.stop().map_or_else(|| "limit".to_string(), ToString::to_string),
        escapes: solver.escapes(),
        seconds,
        x,
    }
}
