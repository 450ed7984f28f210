//! Minimization within bounds: known answers, feasibility of every evaluation, and optimality by multipliers.

mod common;

use argmin::core::{CostFunction, Executor, Gradient};
use curvkit::problem::{Bounds, LeastSquares, ResidualHessian, Residuals};
use curvkit::second_order::globalization::Globalization;
use curvkit::second_order::methods;
use curvkit::second_order::minimizer::{Minimizer, State};
use curvkit::second_order::subproblem::Subproblem;
use curvkit::{Result, Stop};

const INF: f64 = f64::INFINITY;

/// Residuals that may not be evaluated outside their bounds.
struct Fenced<R> {
    inner: R,
    bounds: Bounds,
}

impl<R: Residuals> Residuals for Fenced<R> {
    fn n(&self) -> usize {
        self.inner.n()
    }
    fn m(&self) -> usize {
        self.inner.m()
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "residuals outside the bounds at {x:?}");
        self.inner.residuals(x, out)
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "Jacobian outside the bounds at {x:?}");
        self.inner.jacobian(x, out)
    }
}

impl<R: ResidualHessian> ResidualHessian for Fenced<R> {
    fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "Hessian outside the bounds at {x:?}");
        self.inner.weighted_hessian(x, weights, out)
    }
}

type Run<C, S, G> = (Vec<f64>, f64, Minimizer<C, S, G>);

fn run<O, C, S, G>(problem: O, start: &[f64], solver: Minimizer<C, S, G>) -> Run<C, S, G>
where
    O: CostFunction<Param = Vec<f64>, Output = f64> + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>,
    S: Subproblem,
    G: Globalization<S::Region>,
    C: curvkit::curvature::Curvature<O>,
{
    let run = Executor::new(problem, solver)
        .configure(|state: State<Vec<f64>>| state.param(start.to_vec()).max_iters(500))
        .run()
        .unwrap();
    (run.state.best_param.unwrap(), run.state.best_cost, run.solver)
}

/// `100 (x₂ − x₁²)² + (1 − x₁)²` as residuals times √2, so that `½‖r‖²` is the function itself.
struct Rosenbrock;
impl Residuals for Rosenbrock {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        2
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let s = 2f64.sqrt();
        out.copy_from_slice(&[10.0 * s * (x[1] - x[0] * x[0]), s * (1.0 - x[0])]);
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let s = 2f64.sqrt();
        out.copy_from_slice(&[-20.0 * s * x[0], -s, 10.0 * s, 0.0]);
        Ok(())
    }
}
impl ResidualHessian for Rosenbrock {
    fn weighted_hessian(&self, _: &[f64], w: &[f64], out: &mut [f64]) -> Result<()> {
        out.copy_from_slice(&[-20.0 * 2f64.sqrt() * w[0], 0.0, 0.0, 0.0]);
        Ok(())
    }
}

fn fenced<R: ResidualHessian + 'static>(residuals: R, lower: &[f64], upper: &[f64]) -> (LeastSquares<Fenced<R>>, Bounds) {
    let bounds = Bounds::new(lower.to_vec(), upper.to_vec()).unwrap();
    (LeastSquares::new(Fenced { inner: residuals, bounds: bounds.clone() }), bounds)
}

/// Every method that takes bounds, on one least-squares problem.
fn each_method<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    bounds: &Bounds,
    start: &[f64],
    check: impl Fn(&str, &[f64], f64, &Stop),
) {
    macro_rules! methods {
        ($($name:ident),*) => {$({
            let mut solver = methods::$name().within(bounds.clone());
            solver.stopping.gtol_rel = 0.0;
            solver.stopping.gtol_abs = 1e-10;
            let (x, cost, solver) = run(problem.clone(), start, solver);
            let stop = solver.stop().cloned().unwrap_or(Stop::Iterations { count: 500, bound: 500 });
            println!("{:32} {:?} {cost:.12e} {} {stop}", stringify!($name), x, solver.tally().cost);
            check(stringify!($name), &x, cost, &stop);
        })*};
    }
    methods!(
        newton, trust_region_exact, dogleg, cubic_regularization, gauss_newton, levenberg_marquardt,
        levenberg_marquardt_geodesic, levenberg_marquardt_nielsen
    );
}

/// Hock & Schittkowski 1 and 2: Rosenbrock's function with `x₂ ≥ −1.5` (inactive) and `x₂ ≥ 1.5` (active).
#[test]
fn hock_schittkowski_1_and_2_are_solved_by_every_method() {
    let (problem, bounds) = fenced(Rosenbrock, &[-INF, -1.5], &[INF, INF]);
    each_method(&problem, &bounds, &[-2.0, 1.0], |name, x, _, _| {
        assert!((x[0] - 1.0).abs() < 1e-9 && (x[1] - 1.0).abs() < 1e-9, "{name}: {x:?}");
    });
    let (problem, bounds) = fenced(Rosenbrock, &[-INF, 1.5], &[INF, INF]);
    // With x₂ = 3/2: 400 x³ − 598 x − 2 = 0; the minimum is the largest root 2a cos(⅓ arccos(1/b)).
    let (a, b) = ((598.0f64 / 1200.0).sqrt(), 400.0 * (598.0f64 / 1200.0).powf(1.5));
    let best = 2.0 * a * ((1.0 / b).acos() / 3.0).cos();
    assert!((400.0 * best.powi(3) - 598.0 * best - 2.0).abs() < 1e-11);
    each_method(&problem, &bounds, &[-2.0, 1.0], |name, x, cost, _| {
        let root = if x[0] > 0.0 { best } else { x[0] };
        assert!((400.0 * root.powi(3) - 598.0 * root - 2.0).abs() < 1e-7, "{name}: {x:?}");
        assert!(x[1] == 1.5 && (x[0] < 0.0 || (cost - 0.0504261879).abs() < 1e-9), "{name}: {x:?} {cost}");
        assert!((x[0] - root).abs() < 1e-10, "{name}: {x:?}");
    });
}
