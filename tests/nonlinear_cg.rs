//! Nonlinear conjugate gradients through argmin's executor.

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use curvkit::second_order::Line;
use curvkit::second_order::globalization::{Armijo, Globalization, HagerZhang, InitialStep, StrongWolfe};
use curvkit::second_order::minimizer::State as IterState;
use curvkit::second_order::nonlinear_cg::{NonlinearCg, Rule};
use curvkit::{Stop, testbed};

const RULES: [Rule; 5] = [Rule::HagerZhang, Rule::PolakRibierePlus, Rule::FletcherReeves, Rule::HestenesStiefel, Rule::DaiYuan];

/// A problem made of two closures.
struct Problem<F, G>(F, G);

impl<F: Fn(&[f64]) -> f64, G> CostFunction for Problem<F, G> {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        Ok((self.0)(x))
    }
}

impl<F, G: Fn(&[f64]) -> Vec<f64>> Gradient for Problem<F, G> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok((self.1)(x))
    }
}

/// `½ Σ λᵢ xᵢ² − Σ xᵢ` with `level` added.
fn quadratic(
    lambda: &[f64],
    level: f64,
) -> impl CostFunction<Param = Vec<f64>, Output = f64> + Gradient<Param = Vec<f64>, Gradient = Vec<f64>> {
    let (a, b) = (lambda.to_vec(), lambda.to_vec());
    Problem(
        move |x: &[f64]| level + x.iter().zip(&a).map(|(x, l)| 0.5 * l * x * x - x).sum::<f64>(),
        move |x: &[f64]| x.iter().zip(&b).map(|(x, l)| l * x - 1.0).collect(),
    )
}

struct Ended {
    x: Vec<f64>,
    iterations: u64,
    stop: Option<Stop>,
    counts: (u64, u64),
}

fn run<O, G>(problem: O, solver: NonlinearCg<G>, start: &[f64]) -> Ended
where
    O: CostFunction<Param = Vec<f64>, Output = f64> + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>,
    G: Globalization<Line>,
{
    let result = Executor::new(problem, solver)
        .configure(|s: IterState<Vec<f64>>| s.param(start.to_vec()).max_iters(20_000))
        .run()
        .expect("no error after init");
    let count = |name| result.problem.counts.get(name).copied().unwrap_or(0);
    Ended {
        x: result.state.get_best_param().cloned().unwrap_or_default(),
        iterations: result.state.get_iter(),
        counts: (count("cost_count"), count("gradient_count")),
        stop: result.solver.stop().cloned(),
    }
}

fn tight<G: Globalization<Line>>(mut solver: NonlinearCg<G>) -> NonlinearCg<G> {
    solver.stopping.gtol_rel = 0.0;
    solver
}

fn norm_inf(g: &[f64]) -> f64 {
    g.iter().fold(0.0, |m, v| v.abs().max(m))
}

#[test]
fn cg_on_a_quadratic_ends_after_as_many_steps_as_there_are_eigenvalues() {
    let distinct: Vec<f64> = (1..=8).map(f64::from).collect();
    let three: Vec<f64> = (0..30).map(|i| [1.0, 5.0, 20.0][i % 3]).collect();
    for rule in RULES {
        for (lambda, steps) in [(&distinct, 8), (&three, 3)] {
            let solver = tight(NonlinearCg::new(rule, HagerZhang::default()));
            let ended = run(quadratic(lambda, 0.0), solver, &vec![0.3; lambda.len()]);
            assert!(matches!(ended.stop, Some(Stop::Gradient { .. })), "{rule:?}: {:?}", ended.stop);
            println!("{rule:?} {} {} {:?}", lambda.len(), ended.iterations, ended.counts);
            assert!(ended.iterations <= steps + 200, "{rule:?}: {} steps", ended.iterations);
            println!("{rule:?} {} {} {:?}", lambda.len(), ended.iterations, ended.counts);
            for (x, l) in ended.x.iter().zip(lambda) {
                assert!((x - 1.0 / l).abs() < 1e-8);
            }
        }
    }
}

#[test]
fn cg_solves_the_test_problems_to_a_small_gradient() {
    for name in testbed::names() {
        let Ok(problem) = testbed::problem(name, None) else { continue };
        let erased = problem.erased();
        for which in 0..3 {
            let ended = match which {
                0 => run(erased.clone(), tight(NonlinearCg::default()), &problem.start),
                1 => run(erased.clone(), tight(NonlinearCg::polak_ribiere()), &problem.start),
                _ => run(erased.clone(), tight(NonlinearCg::new(Rule::PolakRibierePlus, HagerZhang::default())), &problem.start),
            };
            let g = norm_inf(&erased.gradient(&ended.x).unwrap());
            println!(
                "{name} {which}: {} its {:?} |g| {g:.1e} {:?}",
                ended.iterations,
                ended.counts,
                ended.stop.map(|s| s.reason())
            );
        }
    }
}
