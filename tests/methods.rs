//! The named methods and the rules inside of the solver.

#[path = "rules/cases.rs"]
mod cases;
#[path = "rules/problems.rs"]
#[allow(dead_code)]
mod problems;

use argmin::core::{CostFunction, Executor, Gradient, Solver, State as _};
use curvkit::curvature::Identity;
use curvkit::loss::{BinaryCrossEntropy, MulticlassHinge, SquaredError};
use curvkit::model::{Activation, Batch, Block, Network};
use curvkit::problem::{At, FiniteSum, Supervised};
use curvkit::stochastic::estimator::{Estimate, FullBatch, GradientEstimator, MiniBatch};
use curvkit::stochastic::rule::UpdateRule;
use curvkit::stochastic::schedule::Schedule;
use curvkit::stochastic::{RangeTest, State, Stochastic, methods};
use curvkit::{Error, Result};
use problems::{Kind, Problem, difference, fixture, iterates, numbers, sections};

type Point = Vec<f64>;

/// The logistic regression of the fixtures, over the steps: term `t` is what step `t` sees.
struct Steps(Problem);

impl CostFunction for Steps {
    type Param = Point;
    type Output = f64;
    fn cost(&self, _: &Point) -> std::result::Result<f64, argmin::core::Error> {
        Ok(0.0)
    }
}
impl Gradient for Steps {
    type Param = Point;
    type Gradient = Point;
    fn gradient(&self, x: &Point) -> std::result::Result<Point, argmin::core::Error> {
        Ok(vec![0.0; x.len()])
    }
}
impl FiniteSum for Steps {
    fn n_terms(&self) -> usize {
        80
    }
    fn partial(&self, x: &[f64], rows: &[usize], gradient: &mut [f64]) -> Result<f64> {
        self.0.gradient(rows[0], x, gradient);
        Ok(0.0)
    }
    fn layout(&self) -> &[Block] {
        &self.0.layout
    }
}

/// Term after term.
#[derive(Default)]
struct InOrder([usize; 1]);

impl GradientEstimator<Steps> for InOrder {
    fn begin(&mut self, _: At<'_, Steps>) -> Result<()> {
        self.0 = [usize::MAX];
        Ok(())
    }
    fn estimate<'a>(&'a mut self, at: At<'_, Steps>, _: f64, gradient: &mut [f64]) -> Result<Estimate<'a>> {
        self.0[0] = self.0[0].wrapping_add(1);
        let cost = at.problem.partial(at.x, &self.0, gradient)?;
        Ok(Estimate { rows: &self.0, cost: Some(cost), evaluated: 1 })
    }
}

fn run<O, S>(problem: O, solver: S, x0: Point, iterations: u64) -> State<Point>
where
    S: Solver<O, State<Point>>,
{
    let executor = Executor::new(problem, solver).configure(|s| s.param(x0).max_iters(iterations));
    executor.timer(false).run().expect("a run").state
}

#[test]
fn solver_takes_the_steps_of_every_rule() {
    let logistic = || Problem::all().remove(2);
    let mut count = 0;
    for (name, _, rule) in cases::all() {
        let text = fixture(&format!("rules/{name}.txt"));
        let found = sections(&text).into_iter().find(|(on, _)| *on == "logistic");
        let Some((_, lines)) = found else { continue };
        let problem = logistic();
        let x0 = problem.x0.clone();
        let rule: Box<dyn UpdateRule> = Box::new(rule);
        let state = run(Steps(problem), Stochastic::new(InOrder::default(), rule), x0, 1);
        let x = state.get_param().expect("a point");
        let worst = difference(x, &numbers(lines[79]));
        assert!(worst <= 1e-12, "{name}: {worst:.1e}");
        count += 1;
    }
    assert!(count > 60, "{count}");
}

#[test]
fn solver_and_plain_loop_differ_by_rounding_only() {
    let problem = Problem::all().remove(2);
    let expected = iterates(&problem, Box::new(curvkit::stochastic::rule::LearningRate::new(0.3)), 80, &[]);
    let x0 = problem.x0.clone();
    let state = run(Steps(problem), methods::sgd(InOrder::default(), 0.3), x0, 1);
    assert!(difference(state.get_param().expect("a point"), &expected[79]) <= 1e-15);
}

/// Two clouds of the fixtures' rows, as a regularised logistic regression.
fn logistic() -> Supervised {
    let Problem { kind: Kind::Logistic { rows, .. }, .. } = Problem::all().remove(2) else { panic!("the logistic") };
    let inputs = Batch::new(3, rows.iter().flat_map(|row| row[..3].to_vec()).collect()).unwrap();
    let targets = Batch::new(1, rows.iter().map(|row| if row[4] > 0.0 { 1.0 } else { 0.0 }).collect()).unwrap();
    let model = Network::vector(3).and_then(|n| n.dense(1, Activation::Identity)).unwrap();
    Supervised::new(model, BinaryCrossEntropy, inputs, targets).and_then(|p| p.l2(0.01)).unwrap()
}

/// The cost after thirty epochs, over that of the start.
fn reached<R: UpdateRule>(name: &str, solver: Stochastic<MiniBatch, Identity, R>) -> f64 {
    let problem = logistic();
    let x0 = vec![0.8, -1.0, 1.2, 0.7];
    let start = problem.cost(&x0).unwrap();
    let state = run(problem, solver, x0, 30);
    let cost = logistic().cost(state.get_param().expect("a point")).unwrap();
    println!("{name:<22} {start:.4} -> {cost:.4}");
    cost / start
}

#[test]
fn named_methods_reduce_the_cost() {
    let batch = || MiniBatch::new(6, 3);
    let eta = || Schedule::cosine(1.0, 0.0, 120.0);
    let found = [
        ("sgd", reached("sgd", methods::sgd(batch(), 0.3))),
        ("momentum", reached("momentum", methods::momentum(batch(), 0.1, 0.9))),
        ("heavy_ball", reached("heavy_ball", methods::heavy_ball(batch(), 0.1, 0.9))),
        ("nesterov", reached("nesterov", methods::nesterov(batch(), 0.1, 0.9))),
        ("nesterov_look_ahead", reached("nesterov_look_ahead", methods::nesterov_look_ahead(batch(), 0.1, 0.9))),
        ("adagrad", reached("adagrad", methods::adagrad(batch(), 0.3))),
        ("rms_prop", reached("rms_prop", methods::rms_prop(batch(), 0.02))),
        ("adadelta", reached("adadelta", methods::adadelta(batch()))),
        ("adam", reached("adam", methods::adam(batch(), 0.05))),
        ("ada_max", reached("ada_max", methods::ada_max(batch(), 0.05))),
        ("ams_grad", reached("ams_grad", methods::ams_grad(batch(), 0.05))),
        ("ada_bound", reached("ada_bound", methods::ada_bound(batch(), 0.05))),
        ("adam_l2", reached("adam_l2", methods::adam_l2(batch(), 0.05, 0.01))),
        ("adam_w", reached("adam_w", methods::adam_w(batch(), 0.05, 0.01))),
        ("adam_w_by_schedule", reached("adam_w_by_schedule", methods::adam_w_by_schedule(batch(), 0.05, 0.001, eta()))),
        ("sgd_w", reached("sgd_w", methods::sgd_w(batch(), 0.1, 0.9, 0.01))),
        ("sgd_w_by_schedule", reached("sgd_w_by_schedule", methods::sgd_w_by_schedule(batch(), 0.1, 0.9, 0.001, eta()))),
        // Rectified rates are small at first.
        ("r_adam", reached("r_adam", methods::r_adam(batch(), 0.2))),
        ("n_adam", reached("n_adam", methods::n_adam(batch(), 0.05))),
        ("novo_grad", reached("novo_grad", methods::novo_grad(batch(), 0.02, 0.001))),
        ("lars", reached("lars", methods::lars(batch(), 10.0, 0.001))),
        ("lamb", reached("lamb", methods::lamb(batch(), 0.02, 0.01))),
        ("lion", reached("lion", methods::lion(batch(), 0.02, 0.01))),
        ("sophia_g", reached("sophia_g", methods::sophia_g(batch(), 0.02, 0.01))),
        ("sophia_h", reached("sophia_h", methods::sophia_h(batch(), 0.02, 0.01))),
        ("ada_hessian", reached("ada_hessian", methods::ada_hessian(batch(), 0.05))),
        ("ranger", reached("ranger", methods::ranger(batch(), 0.2))),
        ("sharpness_aware", reached("sharpness_aware", methods::sharpness_aware(batch(), 0.1, 0.05))),
    ];
    for (name, ratio) in found {
        assert!(ratio < if name == "adadelta" { 0.97 } else { 0.6 }, "{name}: {ratio}");
    }
}

#[test]
fn gradient_descent_contracts_a_quadratic_at_its_rate() {
    // ½ mean (w x + b)² over x = ±1: curvature 1 in both variables.
    let x = vec![-1.0, 1.0];
    let line = Network::vector(1).and_then(|n| n.dense(1, Activation::Identity)).unwrap();
    let zero = Batch::new(1, vec![0.0, 0.0]).unwrap();
    let problem = Supervised::new(line, SquaredError, Batch::new(1, x).unwrap(), zero).unwrap();
    let state = run(problem, methods::gradient_descent(0.25), vec![1.0, -2.0], 10);
    let expected = 0.75f64.powi(10);
    assert!(difference(state.get_param().unwrap(), &[expected, -2.0 * expected]) < 1e-15);
}

#[test]
fn drawn_targets_give_the_diagonal_of_the_fisher_matrix() {
    // For logits the Fisher matrix is Σ p(1 − p) a aᵀ / m.
    let problem = logistic();
    let (theta, rows) = (vec![0.3, -0.2, 0.5, 0.1], [0, 3, 7, 7, 20]);
    let Problem { kind: Kind::Logistic { rows: data, .. }, .. } = Problem::all().remove(2) else { panic!("the logistic") };
    let mut expected = [0.0; 4];
    for &i in &rows {
        let a = [data[i][0], data[i][1], data[i][2], 1.0];
        let z: f64 = a.iter().zip(&theta).map(|(a, t)| a * t).sum();
        let p = 1.0 / (1.0 + (-z).exp());
        expected.iter_mut().zip(a).for_each(|(e, a)| *e += p * (1.0 - p) * a * a / rows.len() as f64);
    }
    let draws = 20_000;
    let (mut mean, mut square, mut g) = ([0.0; 4], [0.0; 4], vec![0.0; 4]);
    for seed in 0..draws {
        problem.sampled_partial(&theta, &rows, seed, &mut g).unwrap();
        for i in 0..4 {
            let estimate = rows.len() as f64 * g[i] * g[i];
            mean[i] += estimate / draws as f64;
            square[i] += estimate * estimate / draws as f64;
        }
    }
    for i in 0..4 {
        let error = ((square[i] - mean[i] * mean[i]) / draws as f64).sqrt();
        assert!((mean[i] - expected[i]).abs() < 5.0 * error, "entry {i}: {} for {}, {error:.1e}", mean[i], expected[i]);
        assert!(error < 0.03 * expected[i]);
    }
}

#[test]
fn sophia_g_on_a_loss_without_distribution_says_so() {
    let model = Network::vector(1).and_then(|n| n.dense(2, Activation::Identity)).unwrap();
    let (x, y) = (Batch::new(1, vec![-1.0, 1.0]).unwrap(), Batch::new(1, vec![0.0, 1.0]).unwrap());
    let problem = Supervised::new(model, MulticlassHinge, x, y).unwrap();
    let solver = methods::sophia_g(FullBatch::default(), 0.1, 0.0);
    let result = Executor::new(problem, solver).configure(|s| s.param(vec![0.1; 4]).max_iters(3)).run().expect("a run");
    let reason = format!("{}", result.state.termination_status);
    assert!(reason.contains("log-likelihood"), "{reason}");
}

#[test]
fn rate_that_diverges_ends_the_run_at_a_finite_point() {
    for rate in [1e6, 1e300] {
        let state = run(logistic(), methods::heavy_ball(MiniBatch::new(6, 3), rate, 0.9), vec![0.1; 4], 50);
        assert!(state.get_param().unwrap().iter().all(|x| x.is_finite()));
        assert!(state.termination_status.terminated() && format!("{}", state.termination_status).contains("diverge"), "{rate}");
    }
}

#[test]
fn range_test_suggests_a_rate_that_works_and_stops_at_divergence() {
    let range = RangeTest { lowest: 1e-5, highest: 1e5, ..RangeTest::default() };
    let (problem, curve) = range.run(logistic(), vec![0.8, -1.0, 1.2, 0.7], methods::gradient_descent).unwrap();
    let (suggested, diverged) = (curve.suggested.expect("a rate"), curve.diverged.expect("divergence"));
    assert!(curve.steps.len() < 100 && suggested < diverged);
    assert!((curve.steps[0].rate / 1e-5 - 1.0).abs() < 1e-12);
    assert!(curve.steps.windows(2).all(|w| (w[1].rate / w[0].rate - 1e10f64.powf(1.0 / 99.0)).abs() < 1e-9));
    // The rate it suggests descends.
    let x0 = vec![0.8, -1.0, 1.2, 0.7];
    let start = problem.cost(&x0).unwrap();
    let state = run(problem, methods::gradient_descent(suggested), x0, 20);
    assert!(logistic().cost(state.get_param().unwrap()).unwrap() < 0.5 * start);
}

#[test]
fn range_test_without_divergence_goes_to_the_end() {
    let range = RangeTest { lowest: 1e-6, highest: 1e-3, steps: 20, ..RangeTest::default() };
    let (_, curve) = range.run(logistic(), vec![0.8, -1.0, 1.2, 0.7], |rate| methods::adam(FullBatch::default(), rate)).unwrap();
    assert_eq!((curve.steps.len(), curve.diverged), (20, None));
    assert!((curve.steps[19].rate / 1e-3 - 1.0).abs() < 1e-12);
}

#[test]
fn range_test_with_a_wrong_range_is_an_error() {
    let wrong = [
        ("lowest", RangeTest { lowest: 0.0, ..RangeTest::default() }),
        ("highest", RangeTest { highest: 1e-9, ..RangeTest::default() }),
        ("steps", RangeTest { steps: 1, ..RangeTest::default() }),
        ("smoothing", RangeTest { smoothing: 1.0, ..RangeTest::default() }),
        ("divergence", RangeTest { divergence: f64::NAN, ..RangeTest::default() }),
    ];
    for (option, range) in wrong {
        match range.run(logistic(), vec![0.0; 4], |rate| methods::sgd(FullBatch::default(), rate)) {
            Err(Error::Config { name, .. }) => assert_eq!(name, option),
            _ => panic!("{option}"),
        }
    }
}
