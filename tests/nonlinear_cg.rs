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
    (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-8, 0.0);
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
            let ended =
                run(quadratic(lambda, 0.0), tight(NonlinearCg::new(rule, HagerZhang::default())), &vec![0.3; lambda.len()]);
            assert!(matches!(ended.stop, Some(Stop::Gradient { .. })), "{rule:?}: {:?}", ended.stop);
            assert_eq!(ended.iterations, steps, "{rule:?}");
            // A probe and a trial each step; one gradient each.
            assert_eq!(ended.counts, (2 * steps + 1, steps + 1), "{rule:?}");
            for (x, l) in ended.x.iter().zip(lambda) {
                assert!((x - 1.0 / l).abs() < 1e-8);
            }
        }
    }
}

#[test]
fn cg_where_the_cost_has_lost_its_digits_still_meets_the_gradient_test() {
    // At 1e9 a reduction below 1e-7 does not show in the cost; the gradient test asks for 1e-16 of it.
    let lambda: Vec<f64> = (1..=20).map(|i| f64::from(i * i)).collect();
    for rule in RULES {
        let ended = run(quadratic(&lambda, 1e9), tight(NonlinearCg::new(rule, HagerZhang::default())), &[0.0; 20]);
        assert!(matches!(ended.stop, Some(Stop::Gradient { .. })), "{rule:?}: {:?}", ended.stop);
        for (x, l) in ended.x.iter().zip(&lambda) {
            assert!((l * x - 1.0).abs() <= 1e-8, "{rule:?}");
        }
        assert!(ended.iterations < 60, "{rule:?}: {}", ended.iterations);
    }
}

/// Gradient norm recomputed at the returned point, for the two named methods.
fn named(name: &str, n: Option<usize>) -> [(f64, Ended); 2] {
    let problem = testbed::problem(name, n).expect("a listed problem");
    let gradient = |x: &Vec<f64>| norm_inf(&problem.erased().gradient(x).expect("a gradient"));
    let hz = run(problem.erased(), tight(NonlinearCg::default()), &problem.start);
    let pr = run(problem.erased(), tight(NonlinearCg::polak_ribiere()), &problem.start);
    [(gradient(&hz.x), hz), (gradient(&pr.x), pr)]
}

#[test]
fn cg_solves_the_classical_problems_to_a_small_gradient() {
    for name in ["rosenbrock", "beale", "helical_valley", "freudenstein_roth", "wood", "powell_badly_scaled"] {
        for (norm, ended) in named(name, None) {
            assert!(matches!(ended.stop, Some(Stop::Gradient { .. })), "{name}: {:?}", ended.stop);
            assert!(norm <= 1e-8, "{name}: {norm:e}");
            assert!(ended.iterations < 1000, "{name}: {}", ended.iterations);
        }
    }
}

#[test]
fn cg_with_every_rule_and_search_reaches_the_minimum_of_rosenbrock() {
    fn solves<G: Globalization<Line> + Clone>(search: &G) {
        for rule in RULES {
            for (powell, every) in [(None, None), (Some(0.2), None), (None, Some(2))] {
                let problem = testbed::problem("rosenbrock", None).expect("a listed problem");
                let mut solver = tight(NonlinearCg::new(rule, search.clone()));
                (solver.powell, solver.restart_every) = (powell, every);
                let ended = run(problem.erased(), solver, &problem.start);
                let right = ended.x.iter().all(|x| (x - 1.0).abs() < 1e-7);
                assert!(right, "{rule:?} {powell:?} {every:?}: {:?} after {}", ended.stop, ended.iterations);
            }
        }
    }
    solves(&HagerZhang::default());
    solves(&StrongWolfe { curvature: 0.1, ..StrongWolfe::default() });
    solves(&Armijo::default());
    solves(&Armijo { nonmonotone: 5, initial: InitialStep::BarzilaiBorwein, ..Armijo::default() });
}

#[test]
fn cg_beyond_the_domain_and_with_a_broken_gradient_keeps_its_best_point() {
    // −log(1 − x²): finite inside (−1, 1) only; the first length leads far outside.
    let barrier = Problem(|x: &[f64]| -(1.0 - x[0] * x[0]).ln(), |x: &[f64]| vec![2.0 * x[0] / (1.0 - x[0] * x[0])]);
    let mut bold = tight(NonlinearCg::default());
    bold.psi0 = 1e6;
    let ended = run(barrier, bold, &[0.9]);
    assert!(matches!(ended.stop, Some(Stop::Gradient { .. })) && ended.x[0].abs() < 1e-8);

    // No gradient below 1/2: the run ends there with the lowest point that has one.
    let cut = |x: &[f64]| vec![if x[0] < 0.5 { f64::NAN } else { 2.0 * x[0] }];
    let ended = run(Problem(|x: &[f64]| x[0] * x[0], cut), tight(NonlinearCg::default()), &[2.0]);
    assert!(matches!(ended.stop, Some(Stop::NoProgress { .. })), "{:?}", ended.stop);
    assert!(ended.x[0] >= 0.5 && ended.x[0] < 1.0, "{:?}", ended.x);

    let flat = run(Problem(|_: &[f64]| 1.0, |_: &[f64]| vec![1.0]), tight(NonlinearCg::default()), &[2.0]);
    assert_eq!(flat.stop, Some(Stop::InconsistentDerivatives { slope: -1.0, difference: 0.0 }));
}

#[test]
fn cg_on_an_unbounded_cost_says_so() {
    let ended = run(Problem(|x: &[f64]| -x[0], |_: &[f64]| vec![-1.0]), NonlinearCg::default(), &[1.0]);
    assert!(matches!(ended.stop, Some(Stop::Unbounded { .. })), "{:?}", ended.stop);
}

#[test]
fn cg_with_a_failing_function_ends_cleanly() {
    struct Fails;
    impl CostFunction for Fails {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
            if x[0] < 1.0 { Err(Error::msg("no licence")) } else { Ok(x[0] * x[0]) }
        }
    }
    impl Gradient for Fails {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
            Ok(vec![2.0 * x[0]])
        }
    }
    let ended = run(Fails, NonlinearCg::default(), &[2.0]);
    assert!(matches!(&ended.stop, Some(Stop::Failed { message }) if message.contains("no licence")), "{:?}", ended.stop);
    assert!(ended.x[0] >= 1.0);
    assert!(ended.counts.0 >= 2 && ended.counts.1 >= 1);
}

#[test]
fn cg_options_out_of_range_and_bad_starts_are_errors_of_init() {
    fn refused(x: f64, change: impl Fn(&mut NonlinearCg<HagerZhang>)) -> bool {
        let mut solver = NonlinearCg::default();
        change(&mut solver);
        Executor::new(quadratic(&[1.0], 0.0), solver).configure(|s: IterState<Vec<f64>>| s.param(vec![x])).run().is_err()
    }
    assert!(!refused(1.0, |_| {}));
    assert!(refused(f64::NAN, |_| {}));
    assert!(refused(1.0, |s| s.eta = 0.0));
    assert!(refused(1.0, |s| s.psi0 = f64::NAN));
    assert!(refused(1.0, |s| s.psi1 = -1.0));
    assert!(refused(1.0, |s| s.psi2 = 0.0));
    assert!(refused(1.0, |s| s.powell = Some(0.0)));
    assert!(refused(1.0, |s| s.restart_every = Some(0)));
}

#[test]
fn cg_of_a_saved_run_goes_on_with_the_same_iterates() {
    let problem = testbed::problem("rosenbrock", None).expect("a listed problem");
    let ended = |iterations: u64, solver: NonlinearCg<HagerZhang>, state: Option<IterState<Vec<f64>>>| {
        Executor::new(problem.erased(), solver)
            .configure(|s: IterState<Vec<f64>>| state.unwrap_or_else(|| s.param(problem.start.clone())).max_iters(iterations))
            .run()
            .expect("no error after init")
    };
    let whole = ended(20, NonlinearCg::default(), None);
    let half = ended(9, NonlinearCg::default(), None);
    #[cfg(feature = "study")]
    let solver = {
        let text = serde_json::to_string(&half.solver).expect("a solver is plain data");
        serde_json::from_str(&text).expect("what was written")
    };
    #[cfg(not(feature = "study"))]
    let solver = half.solver;
    let state = IterState::<Vec<f64>> { termination_status: argmin::core::TerminationStatus::NotTerminated, ..half.state };
    let resumed = ended(20, solver, Some(state));
    assert_eq!(whole.state.param, resumed.state.param);
    assert_eq!(whole.state.get_best_cost(), resumed.state.get_best_cost());
}
