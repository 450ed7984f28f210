//! Linear models as finite sums: derivatives, sparse against dense, terms against the whole, errors, and the Newton methods on
//! them.

use argmin::core::{CostFunction, Executor, Gradient, Hessian, IterState, Solver};
use curvkit::Error;
use curvkit::linalg::SymmetricOperator;
use curvkit::linalg::vector::{axpy, dot, norm_inf};
use curvkit::problem::{Family, Features, FiniteSum, FisherInformation, Glm, HessianPreconditioner, HessianProduct};
use curvkit::problem::{LinearLoss, LinearOptions, LinearSum, Link, PartialHessian};
use curvkit::second_order::methods;
use curvkit::stochastic::SampleNewton;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

const LOSSES: [LinearLoss; 5] = [
    LinearLoss::Logistic,
    LinearLoss::Softmax { classes: 4 },
    LinearLoss::Squared,
    LinearLoss::SquaredHinge,
    LinearLoss::Poisson,
];

struct Data {
    n: usize,
    p: usize,
    /// By rows; about half are zero.
    x: Vec<f64>,
    y: Vec<f64>,
    weights: Vec<f64>,
}

fn data(loss: LinearLoss, n: usize, p: usize) -> Data {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let x: Vec<f64> = (0..n * p).map(|_| if rng.random::<bool>() { rng.random_range(-1.0..1.0) } else { 0.0 }).collect();
    let classes = match loss {
        LinearLoss::Softmax { classes } => classes,
        LinearLoss::Poisson => 7,
        _ => 2,
    };
    let y = (0..n).map(|i| if i < classes { i as f64 } else { rng.random_range(0..classes) as f64 }).collect();
    let weights = (0..n).map(|_| rng.random_range(0.2..3.0)).collect();
    Data { n, p, x, y, weights }
}

impl Data {
    fn dense(&self) -> Features {
        Features::dense(self.p, self.x.clone()).expect("features")
    }

    fn sparse(&self) -> Features {
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in self.x.chunks(self.p) {
            for (j, x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                columns.push(j as u32);
                values.push(*x);
            }
            starts.push(columns.len());
        }
        Features::sparse(self.p, starts, columns, values).expect("features")
    }

    fn problem(&self, loss: LinearLoss, features: Features, intercept: bool, l2: f64) -> LinearSum {
        let options = LinearOptions { l2, intercept, weights: Some(self.weights.clone()) };
        LinearSum::new(loss, features, self.y.clone(), &options).expect("a problem")
    }
}

fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.4 * (1.7 * i as f64 + 0.3).sin()).collect()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let difference: Vec<f64> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    assert!(norm_inf(&difference) <= tolerance * norm_inf(expected).max(1e-300), "{what}: {:e}", norm_inf(&difference));
}

/// Every case: loss, storage, intercept; sizes that fill and do not fill blocks.
fn cases(mut f: impl FnMut(LinearLoss, &LinearSum, &Data, &str)) {
    for loss in LOSSES {
        for (n, p) in [(37, 3), (150, 11), (1031, 33)] {
            let data = data(loss, n, p);
            for intercept in [true, false] {
                f(loss, &data.problem(loss, data.dense(), intercept, 0.03), &data, &format!("{loss:?} {n} dense {intercept}"));
                f(loss, &data.problem(loss, data.sparse(), intercept, 0.03), &data, &format!("{loss:?} {n} sparse {intercept}"));
            }
        }
    }
}

/// The loss of one sample by its definition.
fn loss_of(loss: LinearLoss, y: f64, z: &[f64]) -> f64 {
    match loss {
        LinearLoss::Logistic => (1.0 + z[0].exp()).ln() - y * z[0],
        LinearLoss::Softmax { .. } => z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[y as usize],
        LinearLoss::Squared => 0.5 * (z[0] - y) * (z[0] - y),
        LinearLoss::SquaredHinge => 0.5 * (1.0 - (2.0 * y - 1.0) * z[0]).max(0.0).powi(2),
        _ => z[0].exp() - y * z[0],
    }
}

/// Outputs by the definition of the parameters' order.
fn outputs(problem: &LinearSum, x: &[f64], w: &[f64]) -> Vec<f64> {
    let k = problem.n_outputs();
    let bias = |c: usize| if problem.has_intercept() { w[k * x.len() + c] } else { 0.0 };
    (0..k).map(|c| bias(c) + x.iter().enumerate().map(|(j, x)| x * w[c + k * j]).sum::<f64>()).collect()
}

#[test]
fn cost_is_the_weighted_mean_of_the_losses_and_the_regulariser() {
    cases(|loss, problem, data, what| {
        let w = point(problem.n_params());
        let mut expected = 0.0;
        for i in 0..data.n {
            let z = outputs(problem, &data.x[i * data.p..(i + 1) * data.p], &w);
            expected += data.weights[i] * loss_of(loss, data.y[i], &z) / data.n as f64;
        }
        let free = if problem.has_intercept() { problem.n_outputs() } else { 0 };
        let weights = &w[..w.len() - free];
        expected += 0.5 * 0.03 * dot(weights, weights);
        let found = problem.cost(&w).expect("a cost");
        assert!((found - expected).abs() < 1e-13 * expected.abs(), "{what}: {found} {expected}");
    });
}

#[test]
fn gradients_and_products_equal_differences() {
    cases(|_, problem, _, what| {
        let w = point(problem.n_params());
        let v: Vec<f64> = (0..w.len()).map(|i| (0.9 * i as f64).cos()).collect();
        let at = |t: f64| {
            let mut x = w.clone();
            axpy(t, &v, &mut x);
            x
        };
        // Five points: errors of h⁴ and of rounding are both below 1e-9.
        let h = 1e-3;
        let slope = |f: &dyn Fn(f64) -> f64| (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h);
        let gradient = problem.gradient(&w).expect("a gradient");
        let found = dot(&gradient, &v);
        let expected = slope(&|t| problem.cost(&at(t)).expect("a cost"));
        // A squared hinge has kinks in its second derivative.
        let smooth = problem.loss() != LinearLoss::SquaredHinge;
        let tolerance = if smooth { 1e-8 } else { 1e-4 };
        assert!((found - expected).abs() < tolerance * (1.0 + expected.abs()), "{what}: {found} {expected}");
        if smooth {
            let mut product = vec![0.0; w.len()];
            problem.hessian_product(&w, &v, &mut product).expect("a product");
            let expected: Vec<f64> = (0..w.len()).map(|j| slope(&|t| problem.gradient(&at(t)).expect("a gradient")[j])).collect();
            assert_close(&product, &expected, 1e-7, what);
        }
    });
}

#[test]
fn hessian_matrix_equals_its_products_and_fisher_information() {
    cases(|loss, problem, _, what| {
        let w = point(problem.n_params());
        let hessian = problem.hessian(&w).expect("a Hessian");
        let v: Vec<f64> = (0..w.len()).map(|i| (0.9 * i as f64).cos()).collect();
        let (mut a, mut b) = (vec![0.0; w.len()], vec![0.0; w.len()]);
        problem.hessian_product(&w, &v, &mut a).expect("a product");
        hessian.apply(&v, &mut b).expect("a product");
        assert_close(&a, &b, 1e-12, what);
        match problem.fisher_information(&w) {
            Ok(fisher) => {
                fisher.apply(&v, &mut b).expect("a product");
                assert_close(&a, &b, 1e-12, what);
            }
            Err(_) => assert_eq!(loss, LinearLoss::SquaredHinge),
        }
        let rows: Vec<usize> = (0..problem.n_terms()).rev().collect();
        let mut partial = vec![0.0; w.len() * w.len()];
        problem.partial_hessian(&w, &rows, &mut partial).expect("a Hessian");
        assert_close(&partial, hessian.entries(), 1e-12, what);
        problem.partial_product(&w, &rows, &v, &mut b).expect("a product");
        assert_close(&b, &a, 1e-12, what);
    });
}

#[test]
fn terms_add_up_to_the_whole() {
    cases(|_, problem, data, what| {
        let w = point(problem.n_params());
        let whole = problem.gradient(&w).expect("a gradient");
        let (mut sum, mut term) = (vec![0.0; w.len()], vec![0.0; w.len()]);
        let mut cost = 0.0;
        for i in 0..data.n {
            cost += problem.partial(&w, &[i], &mut term).expect("a term") / data.n as f64;
            axpy(1.0 / data.n as f64, &term, &mut sum);
        }
        assert_close(&sum, &whole, 1e-12, what);
        assert!((cost - problem.cost(&w).expect("a cost")).abs() < 1e-12 * cost.abs(), "{what}");
        let rows: Vec<usize> = (0..data.n).rev().collect();
        let partial = problem.partial(&w, &rows, &mut term).expect("terms");
        assert_close(&term, &whole, 1e-12, what);
        assert!((partial - cost).abs() < 1e-12 * cost.abs(), "{what}");
        assert!((problem.partial_cost(&w, &rows).expect("a cost") - cost).abs() < 1e-12 * cost.abs(), "{what}");
        let weights: Vec<f64> = rows.iter().map(|_| 1.0 / data.n as f64).collect();
        problem.weighted_partial(&w, &rows, &weights, &mut term).expect("terms");
        assert_close(&term, &whole, 1e-12, what);
    });
}

#[test]
fn lipschitz_constants_bound_the_curvature_of_their_terms() {
    cases(|loss, problem, data, what| {
        for i in [0, 7, data.n - 1] {
            let Some(bound) = problem.lipschitz(i) else {
                assert_eq!(loss, LinearLoss::Poisson);
                continue;
            };
            let w = vec![0.0; problem.n_params()];
            // Power iteration on the term's Hessian.
            let mut v: Vec<f64> = (0..w.len()).map(|j| 1.0 + (j as f64).sin()).collect();
            let mut image = vec![0.0; w.len()];
            let mut largest = 0.0;
            for _ in 0..50 {
                problem.partial_product(&w, &[i], &v, &mut image).expect("a product");
                largest = dot(&v, &image) / dot(&v, &v);
                let scale = 1.0 / norm_inf(&image).max(1e-300);
                v.iter_mut().zip(&image).for_each(|(v, i)| *v = scale * i);
            }
            assert!(largest <= bound * (1.0 + 1e-12), "{what}: {largest} > {bound}");
            // A free intercept has no share in the regulariser.
            if matches!(loss, LinearLoss::Squared | LinearLoss::Logistic) && !problem.has_intercept() {
                assert!(largest > 0.99 * bound, "{what}: {largest} far below {bound}");
            }
        }
    });
}

#[test]
fn tiny_losses_keep_their_digits() {
    let one = |loss, y: f64, w: Vec<f64>| {
        let options = LinearOptions { intercept: false, ..LinearOptions::default() };
        let problem =
            LinearSum::new(loss, Features::dense(1, vec![1.0]).expect("features"), vec![y], &options).expect("a problem");
        (problem.cost(&w).expect("a cost"), problem.gradient(&w).expect("a gradient"))
    };
    let tiny = (-40f64).exp();
    for (y, z) in [(1.0, 40.0), (0.0, -40.0)] {
        let (cost, gradient) = one(LinearLoss::Logistic, y, vec![z]);
        assert!((cost / tiny - 1.0).abs() < 1e-14 && (gradient[0].abs() / tiny - 1.0).abs() < 1e-14, "{cost:e} {gradient:?}");
    }
    let (cost, gradient) = one(LinearLoss::Softmax { classes: 2 }, 1.0, vec![0.0, 40.0]);
    assert!((cost / tiny - 1.0).abs() < 1e-14 && (-gradient[1] / tiny - 1.0).abs() < 1e-14, "{cost:e} {gradient:?}");
    let (cost, _) = one(LinearLoss::Logistic, 0.0, vec![1e5]);
    assert_eq!(cost, 1e5);
}

#[test]
fn data_that_cannot_be_are_reported() {
    let features = || Features::dense(1, vec![1.0, 2.0, 3.0]).expect("features");
    let options = LinearOptions::default();
    let new = |loss, y: Vec<f64>, options: &LinearOptions| LinearSum::new(loss, features(), y, options).map(|_| ());
    assert!(matches!(new(LinearLoss::Logistic, vec![0.0, 1.0], &options), Err(Error::Dimension { .. })));
    assert!(matches!(new(LinearLoss::Logistic, vec![0.0, 1.0, 2.0], &options), Err(Error::Observation { row: 2, .. })));
    assert!(matches!(new(LinearLoss::Softmax { classes: 1 }, vec![0.0; 3], &options), Err(Error::Config { .. })));
    assert!(matches!(
        new(LinearLoss::Softmax { classes: 3 }, vec![0.0, 1.5, 2.0], &options),
        Err(Error::Observation { row: 1, .. })
    ));
    assert!(matches!(new(LinearLoss::Poisson, vec![0.0, -1.0, 2.0], &options), Err(Error::Observation { row: 1, .. })));
    assert!(matches!(new(LinearLoss::Squared, vec![0.0, f64::NAN, 2.0], &options), Err(Error::Observation { row: 1, .. })));
    let l2 = LinearOptions { l2: -1.0, ..LinearOptions::default() };
    assert!(matches!(new(LinearLoss::Squared, vec![0.0; 3], &l2), Err(Error::Config { .. })));
    let weights = LinearOptions { weights: Some(vec![1.0, -1.0, 1.0]), ..LinearOptions::default() };
    assert!(matches!(new(LinearLoss::Squared, vec![0.0; 3], &weights), Err(Error::Observation { row: 1, .. })));
    assert!(matches!(Features::dense(1, vec![1.0, f64::NAN]), Err(Error::NonFinite { .. })));
    assert!(matches!(Features::dense(2, vec![1.0; 3]), Err(Error::Dimension { .. })));
    assert!(matches!(Features::dense(0, vec![]), Err(Error::Config { .. })));
    assert!(matches!(Features::sparse(2, vec![0, 2, 1], vec![0, 1], vec![1.0; 2]), Err(Error::Config { .. })));
    assert!(matches!(Features::sparse(2, vec![0, 1], vec![2], vec![1.0]), Err(Error::Dimension { .. })));
    let empty = Features::dense(1, vec![]).expect("no rows");
    assert!(matches!(LinearSum::new(LinearLoss::Squared, empty, vec![], &options), Err(Error::Config { .. })));
}

#[test]
fn labels_of_one_class_are_reported_or_have_a_minimum() {
    let features = || Features::dense(1, vec![1.0, 2.0, 3.0]).expect("features");
    let free = LinearOptions { l2: 0.1, ..LinearOptions::default() };
    for (loss, y) in [
        (LinearLoss::Logistic, vec![1.0; 3]),
        (LinearLoss::Softmax { classes: 3 }, vec![0.0, 2.0, 2.0]),
        (LinearLoss::Poisson, vec![0.0; 3]),
    ] {
        let message = LinearSum::new(loss, features(), y.clone(), &free).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("one class only"), "{message}");
        let fixed = LinearOptions { intercept: false, ..free.clone() };
        let problem = LinearSum::new(loss, features(), y, &fixed).expect("a problem");
        let (x, ..) = solve(&problem, newton(None, 1e-20));
        assert!(norm_inf(&problem.gradient(&x).expect("a gradient")) < 1e-8);
    }
    // One sample, and a constant feature.
    let one = LinearSum::new(LinearLoss::Squared, Features::dense(1, vec![2.0]).expect("features"), vec![3.0], &free);
    assert_eq!(one.expect("a problem").cost(&vec![0.0, 3.0]).expect("a cost"), 0.0);
}

fn newton(first: Option<usize>, tolerance: f64) -> SampleNewton {
    let mut solver = SampleNewton::default();
    (solver.first, solver.tolerance) = (first, tolerance);
    solver
}

fn solve<S: Solver<LinearSum, Vectors>>(problem: &LinearSum, solver: S) -> (Vec<f64>, S, u64) {
    let start = vec![0.0; problem.n_params()];
    let run = Executor::new(problem.clone(), solver).configure(|s: Vectors| s.param(start).max_iters(300)).run().expect("a run");
    let mut x = run.state.best_param.expect("a point");
    // A softmax leaves a common part of its intercepts open.
    let (k, n) = (problem.n_outputs(), x.len());
    if k > 1 && problem.has_intercept() {
        let mean = x[n - k..].iter().sum::<f64>() / k as f64;
        x[n - k..].iter_mut().for_each(|b| *b -= mean);
    }
    (x, run.solver, run.state.iter)
}

#[test]
fn logistic_minimum_is_that_of_the_generalized_linear_model() {
    let data = data(LinearLoss::Logistic, 200, 4);
    let mut columns: Vec<f64> = (0..4).flat_map(|j| (0..200).map(move |i| (i, j))).map(|(i, j)| data.x[i * 4 + j]).collect();
    columns.extend(vec![1.0; 200]);
    let glm = Glm::new(Family::Binomial, Link::Logit, 5, columns, data.y.clone()).expect("a model");
    let glm = glm.with_weights(data.weights.clone()).expect("weights");
    let start = glm.start().expect("a start");
    let mut solver = methods::newton();
    (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-11, 0.0);
    let run = Executor::new(glm, solver).configure(|s: Vectors| s.param(start).max_iters(50)).run().expect("a run");
    let (found, ..) = solve(&data.problem(LinearLoss::Logistic, data.dense(), true, 0.0), newton(None, 1e-22));
    assert_close(&found, &run.state.best_param.expect("a point"), 1e-9, "coefficients");
}

#[test]
fn preconditioner_of_one_output_is_the_inverse_hessian() {
    for loss in [LinearLoss::Logistic, LinearLoss::Squared, LinearLoss::Poisson] {
        let data = data(loss, 150, 11);
        for features in [data.dense(), data.sparse()] {
            let problem = data.problem(loss, features, true, 0.03);
            let w = point(problem.n_params());
            let v: Vec<f64> = (0..w.len()).map(|i| (0.9 * i as f64).cos()).collect();
            let (mut image, mut back) = (vec![0.0; w.len()], vec![0.0; w.len()]);
            problem.hessian_product(&w, &v, &mut image).expect("a product");
            problem.hessian_preconditioner(&w).expect("an inverse").apply(&image, &mut back).expect("a product");
            assert_close(&back, &v, 1e-11, &format!("{loss:?}"));
        }
    }
}

#[test]
fn newton_methods_agree_on_the_minimum() {
    cases(|loss, problem, _, what| {
        let (expected, ..) = solve(problem, methods::trust_region_exact());
        let (preconditioned, ..) = solve(problem, methods::newton_cg_preconditioned());
        let (plain, ..) = solve(problem, methods::newton_cg());
        let (sampled, solver, iterations) = solve(problem, newton(Some(8), 1e-20));
        // The gradient test of the classical methods is 1e-8.
        let tolerance = if loss == LinearLoss::Poisson { 1e-5 } else { 1e-6 };
        assert_close(&preconditioned, &expected, tolerance, what);
        assert_close(&plain, &expected, tolerance, what);
        assert_close(&sampled, &expected, tolerance, what);
        assert!(iterations < 100 && solver.sample() == problem.n_terms(), "{what}: {iterations}");
        assert!(norm_inf(&problem.gradient(&sampled).expect("a gradient")) < 1e-8, "{what}");
    });
}

#[test]
fn preconditioning_saves_products_on_badly_scaled_features() {
    let mut data = data(LinearLoss::Softmax { classes: 4 }, 500, 20);
    let p = data.p;
    data.x.iter_mut().enumerate().for_each(|(at, x)| *x *= 10f64.powf((at % p) as f64 / 5.0 - 2.0));
    let problem = data.problem(LinearLoss::Softmax { classes: 4 }, data.dense(), true, 1e-3);
    let (a, plain, _) = solve(&problem, methods::newton_cg());
    let (b, preconditioned, _) = solve(&problem, methods::newton_cg_preconditioned());
    let (fa, fb) = (problem.cost(&a).expect("a cost"), problem.cost(&b).expect("a cost"));
    // Gradients of 1e-6 over curvatures from 1e-3 on.
    assert!(fb <= fa + 1e-8, "{fb} {fa}");
    let (many, few) = (plain.tally().hessian_product, preconditioned.tally().hessian_product);
    assert!(4 * few < many, "{few} products with, {many} without");
}

#[test]
fn growing_samples_need_few_hessians_of_the_whole() {
    let data = data(LinearLoss::Logistic, 40_000, 6);
    let mut x = data.x.clone();
    x.iter_mut().enumerate().for_each(|(at, x)| *x *= 10f64.powi((at % 6) as i32 - 3));
    let options = LinearOptions { l2: 1e-6, ..LinearOptions::default() };
    let problem =
        LinearSum::new(LinearLoss::Logistic, Features::dense(6, x).expect("features"), data.y, &options).expect("a problem");
    let (whole, ..) = solve(&problem, newton(Some(40_000), 1e-14));
    let (grown, solver, _) = solve(&problem, SampleNewton::default());
    let (a, b) = (problem.cost(&whole).expect("a cost"), problem.cost(&grown).expect("a cost"));
    assert!((a - b).abs() < 1e-14, "{a} {b}");
    // Steps on the whole with the factorization of the last sample: each takes its error down by about d/m, and costs a pass.
    assert!(solver.tally().sample_gradient < 8 * 40_000, "{}", solver.tally().sample_gradient);
    assert!(solver.stop().expect("a stop").converged());
}

#[test]
fn results_have_the_same_bits_on_one_and_two_threads() {
    for loss in LOSSES {
        let data = data(loss, 30_000, 40);
        let problem = data.problem(loss, data.dense(), true, 0.01);
        let w = point(problem.n_params());
        let all = || {
            let fresh = problem.clone();
            let mut bits = vec![fresh.cost(&w).expect("a cost")];
            bits.extend(fresh.gradient(&w).expect("a gradient"));
            let mut product = vec![0.0; w.len()];
            fresh.hessian_product(&w, &w, &mut product).expect("a product");
            bits.extend(product);
            if problem.n_outputs() == 1 {
                bits.extend(fresh.hessian(&w).expect("a Hessian").entries());
            }
            bits.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        };
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads").install(all);
        assert!(on(1) == on(2), "{loss:?}");
    }
}
