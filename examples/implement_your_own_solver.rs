//! How do I write an argmin solver of my own from curvkit's parts? A curvature, a subproblem and a line search in a
//! dozen lines: here a Newton method that reuses one factorization for several steps (Shamanskii 1967).

use argmin::core::{Error, Executor, IterState, KV, Problem, Solver, State, TerminationReason, TerminationStatus};
use curvkit::counts::Counts;
use curvkit::curvature::{Curvature, Hessian};
use curvkit::linalg::vector::{add_scaled, norm, norm_inf};
use curvkit::problem::{At, Erased};
use curvkit::second_order::globalization::{Armijo, Globalization, Trial, Verdict};
use curvkit::second_order::subproblem::{Factorized, Model, Subproblem};
use curvkit::testbed;

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Newton's method whose Hessian is renewed only every `reuse` steps.
struct Shamanskii {
    reuse: u64,
    curvature: Hessian,
    subproblem: Factorized,
    search: Armijo,
    counts: Counts,
}

impl Solver<Erased, Vectors> for Shamanskii {
    fn name(&self) -> &str {
        "Shamanskii"
    }

    fn next_iter(&mut self, problem: &mut Problem<Erased>, mut state: Vectors) -> Result<(Vectors, Option<KV>), Error> {
        let problem = problem.problem.as_ref().expect("a problem");
        let mut x = state.take_param().expect("a start");
        // One operator and one factorization …
        let anchor = x.clone();
        let at = At { problem, x: &anchor, rows: None, counts: &self.counts };
        let operator = self.curvature.at(at)?;
        for _ in 0..self.reuse {
            // … for several gradients.
            let here = At { x: &x, ..at };
            let (value, gradient) = (here.cost()?, here.gradient()?);
            let model = Model { value, x: &x, gradient: &gradient, curvature: &*operator };
            self.subproblem.prepare(&model)?;
            let (mut size, mut p, mut trial) = (1.0, vec![0.0; x.len()], x.clone());
            loop {
                let step = self.subproblem.step(&model, size, &mut p)?;
                add_scaled(&x, 1.0, &p, &mut trial);
                let actual = value - At { x: &trial, ..at }.cost()?;
                let (predicted, slope, length) = (step.predicted, step.slope, step.length);
                let numbers = Trial {
                    size,
                    predicted,
                    actual,
                    slope,
                    trial_slope: None,
                    length,
                    x_norm: norm(&x),
                    cost: value,
                    rounding: 0.0,
                };
                match self.search.judge(&numbers) {
                    Verdict::Accept { .. } => break,
                    Verdict::Retry { size: next } => size = next,
                    Verdict::Stop(_) => return Ok((state.param(x).terminate_with(TerminationReason::SolverConverged), None)),
                }
            }
            x = trial;
        }
        let here = At { x: &x, ..at };
        let (cost, gradient) = (here.cost()?, here.gradient()?);
        let done = norm_inf(&gradient) <= 1e-8;
        let mut state = state.param(x.clone()).gradient(gradient).cost(cost);
        if done {
            state.termination_status = TerminationStatus::Terminated(TerminationReason::SolverConverged);
        }
        Ok((state, None))
    }
}

fn main() -> Result<(), Error> {
    println!("{:24} {:>10} {:>9} {:>9} {:>12}", "problem", "iterations", "gradients", "Hessians", "f");
    for name in ["rosenbrock", "wood", "brown_dennis", "ext_rosenbrock_100"] {
        let problem = testbed::problem(name, None)?;
        let (subproblem, search) = (Factorized::default(), Armijo::default());
        let solver = Shamanskii { reuse: 2, curvature: Hessian, subproblem, search, counts: Counts::default() };
        let run = Executor::new(problem.erased(), solver)
            .configure(|s: Vectors| s.param(problem.start.clone()).max_iters(200))
            .run()?;
        let tally = run.solver.counts.tally();
        println!("{name:24} {:>10} {:>9} {:>9} {:>12.3e}", run.state.iter, tally.gradient, tally.hessian, run.state.best_cost);
    }
    Ok(())
}
