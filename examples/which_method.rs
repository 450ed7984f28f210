//! Which method suits which problem? One table: iterations, evaluations and the certificate of several methods on a
//! narrow valley, a badly scaled problem, a singular minimum and a saddle.

use argmin::core::{Error, Executor, IterState, Solver};
use curvkit::counts::Tally;
use curvkit::problem::Erased;
use curvkit::second_order::methods;
use curvkit::testbed::{self, TestProblem};

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

fn row(name: &str, iterations: u64, tally: Tally, verdict: &str, stop: &str) {
    println!(
        "  {name:22} {iterations:>5} {:>6} {:>6} {:>6} {:>6}  {verdict:13} {stop}",
        tally.cost, tally.gradient, tally.hessian, tally.hessian_product
    );
}

fn run<S: Solver<Erased, State>>(problem: &TestProblem, solver: S) -> Result<(u64, S), Error> {
    let done =
        Executor::new(problem.erased(), solver).configure(|s: State| s.param(problem.start.clone()).max_iters(2000)).run()?;
    Ok((done.state.iter, done.solver))
}

fn main() -> Result<(), Error> {
    for name in ["rosenbrock", "brown_badly_scaled", "powell_singular", "saddle_origin"] {
        let problem = testbed::problem(name, None)?;
        println!(
            "{}\n  {:22} {:>5} {:>6} {:>6} {:>6} {:>6}  certificate   stop",
            problem.title, "method", "it", "f", "g", "H", "Hv"
        );
        macro_rules! rows {
            ($($method:ident),*) => {$({
                let (iterations, solver) = run(&problem, methods::$method())?;
                let verdict = solver.certificate().map_or("none".to_string(), |c| format!("{:?}", c.verdict));
                let stop = solver.stop().map_or("iteration limit".to_string(), ToString::to_string);
                row(stringify!($method), iterations, solver.tally(), &verdict, &stop);
            })*};
        }
        rows!(
            newton,
            newton_cg,
            trust_region_exact,
            trust_region_gltr,
            cubic_regularization,
            saddle_free_newton,
            lbfgs,
            gradient_descent
        );
    }
    Ok(())
}
