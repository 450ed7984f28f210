//! What a solver says where it stops is true: the stop, the certificate and the returned point are one, whatever the units of the
//! cost and of the variables; functions without a minimum and gradients that are not the cost's are told.
#![cfg(all(feature = "study", feature = "expression", feature = "serde"))]

use argmin::core::{Executor, IterState};
use curvkit::error::Stop;
use curvkit::linalg::operator::DenseMatrix;
use curvkit::linalg::vector::{dot, norm, norm_inf};
use curvkit::problem::{Erased, Expression, Function, HessianMatrix};
use curvkit::second_order::certificate::PointKind;
use curvkit::second_order::nonlinear_cg::NonlinearCg;
use curvkit::second_order::{Minimizer, methods};
use curvkit::study::{Case, Outcome, Settings, Setup, names, run};
use curvkit::testbed;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

const SECOND_ORDER: [&str; 10] = [
    "newton",
    "newton_cg",
    "trust_region_exact",
    "trust_region_steihaug",
    "trust_region_gltr",
    "dogleg",
    "two_dimensional",
    "cubic_regularization",
    "cubic_lanczos",
    "saddle_free_newton",
];

fn case(text: &str, start: &[f64]) -> Case {
    let function = Expression::parse(text).unwrap();
    Case { name: text.into(), function: Arc::new(function), start: start.to_vec(), minima: Vec::new() }
}

fn solve(case: &Case, solver: &str, max_iters: u64) -> Outcome {
    let settings = Settings { seconds: 20.0, max_iters: Some(max_iters), repeats: 1, trace: false };
    run(case, &Setup::parse(solver).unwrap(), &settings).unwrap()
}

fn entries(function: &dyn Function, x: &[f64]) -> DMatrix<f64> {
    let (n, hessian) = (x.len(), function.hessian(x).unwrap());
    let mut all = vec![0.0; n * n];
    curvkit::linalg::operator::write_dense(&hessian, &mut all).unwrap();
    DMatrix::from_vec(n, n, all)
}

/// A sum of waves in a bowl, with dents and hills.
fn wiggly(seed: u64) -> Case {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = rng.random_range(1..=3);
    let mut terms = Vec::new();
    for i in 1..=n {
        let [a, b, w, phase]: [f64; 4] =
            [rng.random_range(0.01..0.5), rng.random_range(0.1..3.0), rng.random_range(1.0..9.0), rng.random_range(0.0..6.0)];
        terms.push(format!("{a:.3}*x{i}^2 + {b:.3}*sin({w:.3}*x{i}+{phase:.3})"));
        let (depth, at) = (rng.random_range(-3.0..3.0), rng.random_range(-3.0..3.0));
        terms.push(format!("({depth:.3})*exp(-20*(x{i}-({at:.3}))^2)"));
        if i > 1 {
            terms.push(format!("0.3*sin(x{i}*x{})", i - 1));
        }
    }
    let start: Vec<f64> = (0..n).map(|_| rng.random_range(-4.0..4.0)).collect();
    case(&terms.join(" + "), &start)
}

/// Everything the outcome claims, against the problem at the returned point.
fn refute(case: &Case, o: &Outcome) -> Option<String> {
    let rounding = 1e-12 * (1.0 + o.cost.abs());
    let scale = entries(case.function.as_ref(), &o.x).norm();
    if matches!(o.stop.reason.as_str(), "gradient" | "no_progress")
        && let Some(claimed) = o.stop.value.or(Some(f64::NAN))
        && o.stop.reason == "gradient"
        && (claimed - o.gradient_norm).abs() > 1e-13 * (1.0 + scale)
    {
        return Some(format!("stop says {claimed:e}, the point has {:e}", o.gradient_norm));
    }
    let certificate = o.certificate.as_ref()?;
    if (certificate.gradient_norm - o.gradient_norm).abs() > 1e-13 * (1.0 + scale) {
        return Some(format!("certificate of |g| {:e}, the point has {:e}", certificate.gradient_norm, o.gradient_norm));
    }
    let eigen = SymmetricEigen::new(entries(case.function.as_ref(), &o.x));
    let lowest = eigen.eigenvalues.min();
    if certificate.verdict == PointKind::Minimum {
        if lowest <= 0.0 {
            return Some(format!("a minimum with curvature {lowest:e}"));
        }
        let mut g = vec![0.0; o.x.len()];
        case.function.gradient(&o.x, &mut g).unwrap();
        let g = DVector::from_vec(g);
        let d = entries(case.function.as_ref(), &o.x).cholesky().unwrap().solve(&g);
        // The bowl's variables are of order one.
        if d.norm() > 1e-4 || 0.5 * g.dot(&d) > 1e-9 + rounding {
            return Some(format!("a minimum that is {:e} away", d.norm()));
        }
    }
    if certificate.verdict == PointKind::Saddle && lowest >= 0.0 {
        return Some(format!("a saddle with curvature {lowest:e}"));
    }
    None
}

#[test]
fn stop_certificate_and_returned_point_are_one_on_two_hundred_wiggly_functions() {
    let mut refuted = Vec::new();
    let (mut runs, mut converged) = (0, 0);
    for seed in 0..200 {
        let case = wiggly(seed);
        for solver in names() {
            let outcome = solve(&case, solver, 300);
            runs += 1;
            converged += u32::from(outcome.converged);
            if let Some(why) = refute(&case, &outcome) {
                refuted.push(format!("{solver} on {} from {:?}: {why}; {}", case.name, case.start, outcome.stop.text));
            }
        }
    }
    println!("{runs} runs, {converged} converged, {} refuted", refuted.len());
    assert!(refuted.is_empty(), "{refuted:#?}");
    assert!(converged > 9 * runs / 10 - 200, "{converged} of {runs}");
}

#[test]
fn a_search_that_went_up_ends_at_the_point_that_its_stop_speaks_of() {
    let case = case("0.05*x^2-3*exp(-50*(x-3)^2)+0.3*sin(9*x)", &[3.34]);
    for solver in names() {
        let outcome = solve(&case, solver, 5000);
        assert_eq!(refute(&case, &outcome), None, "{solver}");
    }
    let outcome = solve(&case, "gradient_descent", 5000);
    assert!(outcome.converged && (outcome.x[0] - 3.0017653540).abs() < 1e-8, "{:?} {}", outcome.x, outcome.stop.text);
    assert!(outcome.gradient_norm < 1e-7);
}

#[test]
fn a_small_unit_of_the_cost_is_no_minimum() {
    for solver in names().filter(|name| *name != "gradient_descent_fixed") {
        let at_five = solve(&case("1e-10*(x-5)^2", &[0.0]), solver, 500);
        assert!((at_five.x[0] - 5.0).abs() < 1e-6, "{solver}: {:?} {}", at_five.x, at_five.stop.text);
        let quartic = solve(&case("1e-12*(x-1)^2+1e-12*(y+2)^4", &[50.0, 50.0]), solver, 5000);
        assert!((quartic.x[0] - 1.0).abs() < 1e-4, "{solver}: {:?} {}", quartic.x, quartic.stop.text);
        assert!((quartic.x[1] + 2.0).abs() < 1.5e-2, "{solver}: {:?} {}", quartic.x, quartic.stop.text);
    }
    for solver in SECOND_ORDER.into_iter().chain(["bfgs", "lbfgs", "sr1"]) {
        let valley = solve(&case("1e-12*(x^2-y^2+y^4)", &[1.0, 0.0]), solver, 500);
        assert!(valley.x[0].abs() < 1e-6 && (valley.x[1].abs() - 0.5f64.sqrt()).abs() < 1e-6, "{solver}: {:?}", valley.x);
        assert_eq!(valley.verdict(), Some("minimum"), "{solver}");
    }
}

#[test]
fn quartic_minima_are_degenerate_along_their_direction() {
    for solver in ["newton", "newton_cg", "trust_region_exact", "dogleg", "cubic_regularization"] {
        let outcome = solve(&case("1e-12*(x-1)^2+1e-12*(y+2)^4", &[50.0, 50.0]), solver, 500);
        let certificate = outcome.certificate.as_ref().unwrap();
        assert_eq!((outcome.verdict(), certificate.flat_variables()), (Some("degenerate"), vec![1]), "{solver}");
        let flat = solve(&case("(x-y)^2", &[-1.2, 1.0]), solver, 500);
        assert_eq!(flat.verdict(), Some("degenerate"), "{solver}");
        let along = &flat.certificate.unwrap().flat;
        assert!((along[0] - along[1]).abs() < 1e-8 && (norm(along) - 1.0).abs() < 1e-12, "{along:?}");
    }
}

#[test]
fn powers_are_degenerate_and_no_strict_minima() {
    for (text, start) in [("(x-1)^4", 3.0), ("(x-1)^6", 3.0), ("(x+2)^8", 40.0), ("1e-9*(x-1)^10", -7.0)] {
        for solver in ["newton", "newton_cg", "trust_region_exact", "dogleg", "cubic_regularization"] {
            let outcome = solve(&case(text, &[start]), solver, 500);
            assert!(outcome.converged, "{solver} on {text}: {}", outcome.stop.text);
            assert_eq!(outcome.verdict(), Some("degenerate"), "{solver} on {text}: {:?}", outcome.certificate);
            assert!(outcome.iterations <= 60, "{solver} on {text}: {}", outcome.iterations);
        }
    }
}

#[test]
fn functions_without_a_minimum_recede() {
    let receding = [("exp(-x)", 1.0), ("1/x", 1.0), ("exp(x)", 1.0), ("exp(-x)+1", 1.0), ("1/(1+x^2)", 0.7), ("atan(x)", 1.0)];
    for (text, start) in receding {
        for solver in names().filter(|name| *name != "gradient_descent_fixed") {
            let outcome = solve(&case(text, &[start]), solver, 2000);
            // A long step of a first-order method may land where cost and gradient vanish for it: no minimum is claimed there.
            let first_order = solver.starts_with("nonlinear_cg") || solver == "gradient_descent";
            let vanished = (first_order || outcome.gradient_norm == 0.0) && outcome.verdict() != Some("minimum");
            assert!(!outcome.converged || vanished, "{solver} on {text}: {} at {:?}", outcome.stop.text, outcome.x);
        }
        for solver in ["newton", "newton_cg", "trust_region_exact", "trust_region_steihaug", "cubic_regularization", "lbfgs"] {
            let outcome = solve(&case(text, &[start]), solver, 2000);
            if text != "atan(x)" {
                assert_eq!(outcome.stop.reason, "receding", "{solver} on {text}: {}", outcome.stop.text);
            }
            assert!(outcome.iterations <= 200, "{solver} on {text}: {}", outcome.iterations);
        }
    }
}

#[test]
fn a_minimum_behind_a_long_slope_is_found() {
    // Where exp(−x) = 2 c x.
    for (c, start, at) in [("1e-6", -50.0, 10.747674016775), ("1e-10", 1.0, 19.369028431628), ("1e-10", -30.0, 19.369028431628)] {
        let case = case(&format!("exp(-x)+{c}*x^2"), &[start]);
        for solver in ["newton", "trust_region_exact", "newton_cg", "bfgs", "lbfgs"] {
            let outcome = solve(&case, solver, 500);
            assert!((outcome.x[0] - at).abs() < 1e-6, "{solver} {c} {start}: {:?} {}", outcome.x, outcome.stop.text);
            assert_eq!(outcome.verdict(), Some("minimum"), "{solver} {c} {start}");
        }
    }
}

#[test]
fn a_run_from_far_out_does_not_recede_where_there_is_a_minimum() {
    // Power sums: costs of 10⁸ at the start, minima with a cost of order one and zero.
    let sums = |n: usize| {
        let term = |k: i32, c: f64| {
            let powers: Vec<String> = (1..=n).map(|i| format!("x{i}^{k}")).collect();
            format!("({}-{c})^2", powers.join("+"))
        };
        [(1, 8.0), (2, 18.0), (3, 44.0), (4, 114.0)].map(|(k, c)| term(k, c)).join("+")
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for n in [3, 6] {
        let text = sums(n);
        for _ in 0..100 {
            let start: Vec<f64> = (0..n).map(|_| rng.random_range(-9.0..9.0)).collect();
            let outcome = solve(&case(&text, &start), "trust_region_exact", 2000);
            assert!(outcome.stop.reason != "receding", "{start:?}: {}", outcome.stop.text);
        }
    }
}

#[test]
fn costs_without_a_lower_bound_are_told_within_few_evaluations() {
    let shapes: [(&str, &[f64]); 5] =
        [("-x^2", &[1.0]), ("x", &[1.0]), ("-x^2+y^2", &[1.0, 1.0]), ("1e-8*x+y^2", &[0.0, 3.0]), ("x^3", &[-1.0])];
    for (text, start) in shapes {
        for solver in names().filter(|name| *name != "gradient_descent_fixed") {
            if text.starts_with("1e-8*x") && solver.starts_with("nonlinear_cg") {
                // Gradients alone do not show a slope of 1e-8 of the first one.
                continue;
            }
            let outcome = solve(&case(text, start), solver, u64::MAX);
            assert_eq!(outcome.stop.reason, "unbounded", "{solver} on {text}: {}", outcome.stop.text);
            assert!(outcome.counts.cost <= 1000, "{solver} on {text}: {} costs", outcome.counts.cost);
        }
    }
    let problem = Erased(Arc::new(Expression::parse("-x^2+y^2").unwrap()));
    let mut solver = methods::newton();
    let solution = solver.minimize(&problem, vec![1.0, 1.0], 1000).unwrap();
    let Stop::Unbounded { cost, direction } = &solution.stop else { panic!("{}", solution.stop) };
    assert!(*cost == solution.cost && (direction[0].abs() - 1.0).abs() < 1e-6 && direction[1].abs() < 1e-3, "{direction:?}");
}

/// A function one of whose gradient entries has the wrong sign, or is wrong by a factor.
struct Wrong {
    inner: Expression,
    entry: usize,
    factor: f64,
    costs: AtomicU64,
}

impl Function for Wrong {
    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn cost(&self, x: &[f64]) -> curvkit::Result<f64> {
        self.costs.fetch_add(1, Relaxed);
        self.inner.cost(x)
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        self.inner.gradient(x, out)?;
        out[self.entry] *= self.factor;
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> curvkit::Result<HessianMatrix> {
        self.inner.hessian(x)
    }
}

#[test]
fn a_gradient_that_is_not_the_costs_is_named_within_a_few_dozen_trials() {
    for text in ["(x-3)^2 + y^4", "(x-3)^2 + (y-1)^2 + 0.1*x*y", "(1-x)^2 + 100*(y-x^2)^2"] {
        for entry in 0..2 {
            for solver in names().filter(|name| *name != "gradient_descent_fixed") {
                let function =
                    Arc::new(Wrong { inner: Expression::parse(text).unwrap(), entry, factor: -1.0, costs: AtomicU64::new(0) });
                let case = Case { name: text.into(), function: function.clone(), start: vec![0.0, 1.2], minima: Vec::new() };
                let outcome = solve(&case, solver, u64::MAX);
                let costs = function.costs.load(Relaxed);
                assert!(costs <= 1000, "{solver} on {text}, entry {entry}: {costs} costs, {}", outcome.stop.text);
                // Where the faulty gradient vanishes the true one does: such a point may be found.
                let told = outcome.stop.reason == "inconsistent_derivatives" || outcome.gradient_norm < 1e-6;
                assert!(told, "{solver} on {text}, entry {entry}: {} at {:?}", outcome.stop.text, outcome.x);
            }
        }
    }
    let function = Wrong { inner: Expression::parse("(x-3)^2 + y^4").unwrap(), entry: 1, factor: -1.0, costs: AtomicU64::new(0) };
    let solution = methods::trust_region_exact().minimize(&Erased(Arc::new(function)), vec![0.0, 1.0], u64::MAX).unwrap();
    assert!(solution.stop.to_string().contains("problem::check"), "{}", solution.stop);
}

#[test]
fn a_rerun_from_its_own_answer_ends_at_once() {
    let (mut longer, mut runs) = (Vec::new(), 0);
    for name in ["rosenbrock", "beale", "helical_valley", "wood", "bard", "kowalik_osborne", "trigonometric_10", "chebyquad_8"] {
        let problem = testbed::problem(name, None).unwrap();
        for solver in SECOND_ORDER {
            let first = solve(&Case::from(&problem), solver, 2000);
            assert!(first.converged, "{solver} on {name}: {}", first.stop.text);
            let again = solve(&Case { start: first.x.clone(), ..Case::from(&problem) }, solver, 2000);
            runs += 1;
            assert!(again.iterations <= 8, "{solver} on {name}: {} iterations, {}", again.iterations, again.stop.text);
            if again.iterations > 2 {
                longer.push(format!("{solver} on {name}: {} iterations, {}", again.iterations, again.stop.text));
            }
            assert!(again.converged, "{solver} on {name}: {}", again.stop.text);
        }
    }
    // More than two only where the cost is zero to rounding, so that nothing is left to compare with.
    println!("{} of {runs} reruns took more than two iterations: {longer:#?}", longer.len());
    assert!(longer.len() <= 6, "{longer:#?}");
}

#[test]
fn the_certificate_of_products_finds_one_negative_curvature_among_large_ones() {
    let text = "0.5e6*a^2 + 0.4*(b^2+c^2+d^2+g^2+h^2) - 0.1*z^2 + z^4";
    for solver in ["newton_cg", "trust_region_steihaug", "trust_region_gltr"] {
        let outcome = solve(&case(text, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), &format!("{solver}:gtol=1e-9"), 1000);
        assert!((outcome.cost + 0.0025).abs() < 1e-12, "{solver}: {} {}", outcome.cost, outcome.stop.text);
        let certificate = outcome.certificate.unwrap();
        assert_eq!(certificate.verdict, PointKind::Minimum);
        assert!((certificate.smallest_curvature.unwrap() - 0.4).abs() < 1e-6);
    }
}

/// `½ Σ wᵢ xᵢ² + xₙ⁴` with one weight negative, through products only.
struct Hidden {
    weights: Vec<f64>,
}

impl argmin::core::CostFunction for Hidden {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let last = x[x.len() - 1];
        Ok(0.5 * x.iter().zip(&self.weights).map(|(x, w)| w * x * x).sum::<f64>() + last.powi(4))
    }
}
impl argmin::core::Gradient for Hidden {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let mut g: Vec<f64> = x.iter().zip(&self.weights).map(|(x, w)| w * x).collect();
        *g.last_mut().unwrap() += 4.0 * x[x.len() - 1].powi(3);
        Ok(g)
    }
}
impl curvkit::problem::HessianProduct for Hidden {
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        out.iter_mut().zip(v).zip(&self.weights).for_each(|((o, v), w)| *o = w * v);
        let n = x.len() - 1;
        out[n] += 12.0 * x[n] * x[n] * v[n];
        Ok(())
    }
}

#[test]
fn products_find_a_hidden_saddle_or_say_what_they_prove() {
    let weights = |n: usize| (0..n - 1).map(|i| 1.0 + 999.0 * i as f64 / (n - 2) as f64).chain([-0.3]).collect::<Vec<f64>>();
    let mut start = vec![1.0; 301];
    start[300] = 0.0;
    let mut solver = methods::newton_cg();
    let solution = solver.minimize(&Hidden { weights: weights(301) }, start, 500).unwrap();
    // 4 z³ = 0.3 z: z² = 0.075, cost −0.3²/16.
    assert!((solution.cost + 0.09 / 16.0).abs() < 1e-12, "{} {}", solution.cost, solution.stop);
    assert_eq!(solver.certificate().unwrap().verdict, PointKind::Minimum);
    assert!(solver.escapes() >= 1);

    let mut start = vec![1.0; 2001];
    start[2000] = 0.0;
    let mut solver = methods::newton_cg();
    solver.minimize(&Hidden { weights: weights(2001) }, start, 500).unwrap();
    let certificate = solver.certificate().unwrap();
    match certificate.verdict {
        PointKind::Minimum => assert!(solver.escapes() >= 1),
        PointKind::Undetermined if solver.escapes() == 0 => {
            // What is said must hold: the true curvature lies above the bound.
            assert!(certificate.no_curvature_below.is_some_and(|floor| floor >= 0.3), "{certificate:?}");
        }
        PointKind::Undetermined => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn denormal_curvatures_neither_hang_nor_lie() {
    for solver in names() {
        let outcome = solve(&case("1e-310*(x^2+2*y^2+3*z^2+x*y)", &[1.0, 1.0, 1.0]), solver, 200);
        assert!(!outcome.converged || norm(&outcome.x) < 1e-2, "{solver}: {:?} {}", outcome.x, outcome.stop.text);
    }
}

#[test]
fn every_end_that_argmin_tells_the_solver_of_is_a_stop() {
    let problem = testbed::problem("rosenbrock", None).unwrap();
    let start = problem.start.clone();
    macro_rules! ends {
        ($($solver:expr),*) => {$({
            let limited = Executor::new(problem.erased(), $solver)
                .configure(|s: Vectors| s.param(start.clone()).max_iters(3))
                .run()
                .unwrap();
            assert_eq!(limited.solver.stop(), Some(&Stop::Iterations { count: 3, bound: 3 }));
            let target = Executor::new(problem.erased(), $solver)
                .configure(|s: Vectors| s.param(start.clone()).max_iters(3000).target_cost(1.0))
                .run()
                .unwrap();
            let stop = target.solver.stop().unwrap();
            assert!(matches!(stop, Stop::Target { cost, bound } if *cost <= 1.0 && *bound == 1.0), "{stop}");
        })*};
    }
    ends!(methods::newton(), methods::lbfgs(), NonlinearCg::default());
}

/// A cost that is infinite where a search that returns to an earlier trial looks again.
struct Flickering {
    calls: AtomicU64,
}

impl argmin::core::CostFunction for Flickering {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let call = self.calls.fetch_add(1, Relaxed);
        Ok(if call % 5 == 4 { f64::INFINITY } else { (x[0] - 2.0).abs() + 0.1 * x[0] * x[0] })
    }
}
impl argmin::core::Gradient for Flickering {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        Ok(vec![(x[0] - 2.0).signum() + 0.2 * x[0]])
    }
}

#[test]
fn no_run_accepts_an_infinite_cost() {
    for start in [-3.0, 0.5, 1.9, 7.0] {
        let problem = Flickering { calls: AtomicU64::new(0) };
        let run = Executor::new(problem, NonlinearCg::default())
            .configure(|s: Vectors| s.param(vec![start]).max_iters(100))
            .run()
            .unwrap();
        assert!(run.state.best_cost.is_finite() && run.state.cost.is_finite());
    }
}

#[test]
fn a_gradient_tolerance_of_the_users_is_met_or_said_not_to_be() {
    let problem = testbed::problem("wood", None).unwrap();
    let outcome = solve(&Case::from(&problem), "trust_region_exact:gtol=1e-2", 1000);
    assert!(outcome.converged && outcome.gradient_norm <= 1e-2f64.max(1e-2 * 12_000.0));
    let certificate = outcome.certificate.unwrap();
    // What is left is told, and no minimum is claimed at a point that is far from it.
    assert!(certificate.verdict != PointKind::Minimum || certificate.relative_distance.unwrap() <= 1e-3);
    let mut solver = methods::newton();
    solver.stopping.gtol_abs = 1e-300;
    let solution = solver.minimize(&problem.erased(), problem.start.clone(), 200).unwrap();
    assert!(matches!(solution.stop, Stop::Gradient { .. } | Stop::NoProgress { .. }), "{}", solution.stop);
}

#[test]
fn steep_functions_end_near_their_minimum() {
    // First gradients of 10⁸: 10⁻⁸ of them says little.
    let scaled = [
        ("1e4*((1-x)^2+100*(y-x^2)^2)", vec![-120.0, 100.0], vec![1.0, 1.0]),
        ("(x-1)^4 + 1e3*(y-x)^2 + (x-1)^2", vec![300.0, -200.0], vec![1.0, 1.0]),
    ];
    for (text, start, minimum) in scaled {
        for solver in SECOND_ORDER.into_iter().chain(["bfgs", "lbfgs"]) {
            let outcome = solve(&case(text, &start), solver, 5000);
            let away: Vec<f64> = outcome.x.iter().zip(&minimum).map(|(x, m)| x - m).collect();
            let close = norm_inf(&away) < 1e-5;
            assert!(close || !outcome.converged, "{solver} on {text}: {:?} {}", outcome.x, outcome.stop.text);
        }
    }
}

#[test]
fn minimizer_is_exported_and_its_answer_is_that_of_the_executor() {
    fn newton() -> Minimizer<
        curvkit::curvature::Hessian,
        curvkit::second_order::subproblem::Factorized,
        curvkit::second_order::globalization::Armijo,
    > {
        methods::newton()
    }
    let problem = Erased(Arc::new(Expression::parse("x^2+y^4").unwrap()));
    let direct = newton().minimize(&problem, vec![1.0, 1.0], 100).unwrap();
    let run = Executor::new(problem, newton()).configure(|s: Vectors| s.param(vec![1.0, 1.0]).max_iters(100)).run().unwrap();
    assert_eq!(run.state.best_param, Some(direct.x));
    assert_eq!(run.solver.stop(), Some(&direct.stop));
    let _ = (DenseMatrix::new(1, vec![1.0]), dot(&[1.0], &[1.0]));
}
