//! Supervised problems and their curvatures on some of the samples: all rows are the whole, parts average to the whole, some
//! rows are the problem of these samples, and bad rows are told apart.

use argmin::core::{CostFunction, Gradient};
use curvkit::Error;
use curvkit::counts::Counts;
use curvkit::curvature::{Blocks, Curvature, Dense, Diagonal, Ekfac, EmpiricalFisher, Fisher, GaussNewton, HessianProducts};
use curvkit::curvature::{HutchinsonDiagonal, Kfac, KroneckerDamping, MonteCarloFisher, OutputFactor, Sharing, TridiagonalKfac};
use curvkit::linalg::Form;
use curvkit::linalg::operator::write_dense;
use curvkit::loss::{Loss, MulticlassHinge, SoftmaxCrossEntropy, SquaredError};
use curvkit::model::{Activation, Batch, Convolution, Initialization, Network};
use curvkit::problem::{At, HessianProduct, Reduction, Supervised};
use curvkit::testbed;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::sync::Arc;

const N: usize = 12;
/// With one sample twice, and out of order.
const SOME: [usize; 5] = [7, 2, 11, 2, 0];

fn normal(dim: usize, n: usize, seed: u64) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Batch::new(dim, (0..dim * n).map(|_| random.sample(StandardNormal)).collect()).expect("batch")
}

/// A network of dense layers with labels, or a convolution with squared errors.
struct Case {
    network: Network,
    labels: bool,
    inputs: Batch,
    targets: Batch,
    theta: Vec<f64>,
}

fn cases() -> Vec<Case> {
    let dense = Network::perceptron(&[3, 4, 3], Activation::Tanh).expect("network");
    let labels = Batch::new(1, (0..N).map(|i| (i * i % 3) as f64).collect()).expect("labels");
    let line = Network::image(2, 1, 5).and_then(|net| net.convolution(Convolution::line(2, 3), Activation::Sigmoid));
    let line = line.and_then(|net| net.dense(2, Activation::Identity)).expect("network");
    let case = |network: Network, labels, inputs, targets| {
        let theta = network.initialize(Initialization::Glorot, 5).expect("parameters");
        Case { network, labels, inputs, targets, theta }
    };
    vec![case(dense, true, normal(3, N, 1), labels), case(line, false, normal(10, N, 2), normal(2, N, 3))]
}

impl Case {
    fn on(&self, rows: Option<&[usize]>, reduction: Reduction) -> Supervised {
        let select = |batch: &Batch| rows.map_or_else(|| batch.clone(), |rows| batch.select(rows).expect("rows"));
        let (x, y) = (select(&self.inputs), select(&self.targets));
        let problem = if self.labels {
            Supervised::new(self.network.clone(), SoftmaxCrossEntropy, x, y)
        } else {
            Supervised::new(self.network.clone(), SquaredError, x, y)
        };
        problem.expect("problem").reduction(reduction).l2(0.1).expect("regulariser")
    }
}

type Named = (&'static str, Box<dyn Curvature<Supervised>>);

macro_rules! named {
    ($($curvature:expr),* $(,)?) => { vec![$((stringify!($curvature), Box::new($curvature) as Box<dyn Curvature<Supervised>>)),*] };
}

/// Matrices that are means over samples.
fn means() -> Vec<Named> {
    // As many probes as variables: exact.
    let mut hutchinson = HutchinsonDiagonal::new(1000, 3);
    hutchinson.absolute = false;
    named![
        HessianProducts,
        GaussNewton,
        Fisher,
        EmpiricalFisher,
        Dense(GaussNewton),
        Dense(EmpiricalFisher),
        Diagonal(Fisher),
        Blocks(GaussNewton),
        hutchinson,
    ]
}

/// Matrices that are not: products of two means, or drawn at random.
fn others() -> Vec<Named> {
    named![
        MonteCarloFisher { samples: 3, seed: 4 },
        Dense(MonteCarloFisher { samples: 2, seed: 1 }),
        Kfac::<GaussNewton>::default(),
        Kfac::<EmpiricalFisher> { damping: KroneckerDamping::Factored, ..Default::default() },
        Kfac::<GaussNewton> { outputs: OutputFactor::Identity, ..Default::default() },
        Kfac::<MonteCarloFisher> { sharing: Sharing::Reduce, ..Default::default() },
        Ekfac::<GaussNewton>::default(),
    ]
}

/// All that the case's network has.
fn curvatures(case: &Case) -> Vec<Named> {
    let dense = if case.labels { named![TridiagonalKfac::<GaussNewton>::default()] } else { Vec::new() };
    means().into_iter().chain(others()).chain(dense).collect()
}

fn matrix(curvature: &mut dyn Curvature<Supervised>, problem: &Supervised, x: &Vec<f64>, rows: Option<&[usize]>) -> Vec<f64> {
    let mut entries = vec![0.0; x.len() * x.len()];
    let counts = Counts::default();
    let operator = curvature.at(At { problem, x, rows, counts: &counts }).expect("curvature");
    write_dense(&*operator, &mut entries).expect("entries");
    entries
}

/// Greatest difference relative to the largest entry.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn all_rows_are_the_whole_bit_for_bit() {
    let all: Vec<usize> = (0..N).collect();
    for (case, reduction) in cases().iter().flat_map(|case| [(case, Reduction::Mean), (case, Reduction::Sum)]) {
        let problem = case.on(None, reduction);
        for (name, mut curvature) in curvatures(case) {
            let whole = matrix(&mut *curvature, &problem, &case.theta, None);
            let found = matrix(&mut *curvature, &problem, &case.theta, Some(&all));
            if name.starts_with("hutchinson") {
                // Other probes at every point.
                assert!(difference(&found, &whole) <= 1e-13);
            } else {
                assert_eq!(found, whole, "{name}");
            }
        }
        let mut gradient = vec![0.0; case.theta.len()];
        assert_eq!(problem.partial(&case.theta, &all, &mut gradient).expect("partial"), problem.cost(&case.theta).expect("cost"));
        assert_eq!(gradient, problem.gradient(&case.theta).expect("gradient"));
    }
}

/// The ledger holds each product once, and none where the entries were counted instead.
#[test]
fn products_of_matrices_without_entries_are_counted_one_by_one() {
    for case in &cases() {
        let problem = case.on(None, Reduction::Mean);
        for (name, mut curvature) in curvatures(case) {
            let counts = Counts::default();
            let operator =
                curvature.at(At { problem: &problem, x: &case.theta, rows: None, counts: &counts }).expect("curvature");
            let before = counts.tally().hessian_product;
            let mut product = vec![0.0; case.theta.len()];
            (0..3).for_each(|_| operator.apply(&case.theta, &mut product).expect("product"));
            let expected = if matches!(operator.form(), Form::Product) { 3 } else { 0 };
            assert_eq!(counts.tally().hessian_product - before, expected, "{name}");
        }
    }
}

#[test]
fn parts_average_to_the_whole() {
    // Of different sizes: the mean over a part counts as often as it has rows.
    let parts: [&[usize]; 3] = [&[3, 0, 8], &[11, 1, 2, 4, 9, 5], &[6, 10, 7]];
    for (case, reduction) in cases().iter().flat_map(|case| [(case, Reduction::Mean), (case, Reduction::Sum)]) {
        let problem = case.on(None, reduction);
        let average = |of: &mut dyn FnMut(&[usize]) -> Vec<f64>| {
            let mut sum: Vec<f64> = Vec::new();
            for rows in parts {
                let part = of(rows);
                sum.resize(part.len(), 0.0);
                sum.iter_mut().zip(&part).for_each(|(s, p)| *s += rows.len() as f64 / N as f64 * p);
            }
            sum
        };
        for (name, mut curvature) in means() {
            let whole = matrix(&mut *curvature, &problem, &case.theta, None);
            let found = average(&mut |rows| matrix(&mut *curvature, &problem, &case.theta, Some(rows)));
            let e = difference(&found, &whole);
            assert!(e <= 1e-13, "{name}: {e:e}");
        }
        let mut whole = problem.gradient(&case.theta).expect("gradient");
        whole.push(problem.cost(&case.theta).expect("cost"));
        let found = average(&mut |rows| {
            let mut gradient = vec![0.0; case.theta.len()];
            let value = problem.partial(&case.theta, rows, &mut gradient).expect("partial");
            gradient.push(value);
            gradient
        });
        assert!(difference(&found, &whole) <= 1e-14);
    }
}

#[test]
fn some_rows_are_the_problem_of_these_samples() {
    for case in &cases() {
        let (problem, part) = (case.on(None, Reduction::Mean), case.on(Some(&SOME), Reduction::Mean));
        for (name, mut curvature) in curvatures(case).into_iter().filter(|(name, _)| !name.starts_with("hutchinson")) {
            let expected = matrix(&mut *curvature, &part, &case.theta, None);
            assert_eq!(matrix(&mut *curvature, &problem, &case.theta, Some(&SOME)), expected, "{name}");
        }
        let (mut gradient, mut product) = (vec![0.0; case.theta.len()], vec![0.0; case.theta.len()]);
        let value = problem.partial(&case.theta, &SOME, &mut gradient).expect("partial");
        assert_eq!(value, part.cost(&case.theta).expect("cost"));
        assert_eq!(gradient, part.gradient(&case.theta).expect("gradient"));
        problem.partial_product(&case.theta, &SOME, &gradient, &mut product).expect("product");
        let mut expected = vec![0.0; case.theta.len()];
        part.hessian_product(&case.theta, &gradient, &mut expected).expect("product");
        assert_eq!(product, expected);
        assert_eq!((problem.n_terms(), part.n_terms()), (N, SOME.len()));
        assert_eq!(problem.layout(), part.layout());
    }
}

#[test]
fn some_rows_of_a_sum_estimate_the_whole_sum() {
    for case in &cases() {
        let (mean, sum) = (case.on(None, Reduction::Mean), case.on(None, Reduction::Sum));
        let (of_mean, of_sum) = (mean.evaluate_rows(&case.theta, Some(&SOME)), sum.evaluate_rows(&case.theta, Some(&SOME)));
        let (of_mean, of_sum) = (of_mean.expect("evaluation"), of_sum.expect("evaluation"));
        assert_eq!(of_sum.rows(), Some(&SOME[..]));
        let n = N as f64;
        let regularizer = 0.05 * case.theta.iter().map(|t| t * t).sum::<f64>();
        assert!((of_sum.cost() - regularizer - n * (of_mean.cost() - regularizer)).abs() <= 1e-14 * of_sum.cost());
        for (name, mut curvature) in curvatures(case).into_iter().filter(|(name, _)| !name.starts_with("Tridiagonal")) {
            let (size, mut expected) = (case.theta.len(), matrix(&mut *curvature, &mean, &case.theta, Some(&SOME)));
            // The regulariser is not scaled. The identity as output factor leaves all of it to the inputs.
            let l2 = |k: usize| if k.is_multiple_of(size + 1) { 0.1 } else { 0.0 };
            expected.iter_mut().enumerate().for_each(|(k, e)| *e = n * (*e - l2(k)) + l2(k));
            let e = difference(&matrix(&mut *curvature, &sum, &case.theta, Some(&SOME)), &expected);
            assert!(e <= 1e-13, "{name}: {e:e}");
        }
    }
}

#[test]
fn weighted_rows_are_the_weighted_sum_of_single_rows() {
    let weights = [0.5, -1.0, 2.0, 0.0, 3.5];
    for (case, reduction) in cases().iter().flat_map(|case| [(case, Reduction::Mean), (case, Reduction::Sum)]) {
        let problem = case.on(None, reduction);
        let (mut expected, mut gradient) = (vec![0.0; case.theta.len() + 1], vec![0.0; case.theta.len()]);
        for (row, weight) in SOME.iter().zip(weights) {
            let value = problem.partial(&case.theta, &[*row], &mut gradient).expect("partial");
            let part = gradient.iter().chain([&value]);
            expected.iter_mut().zip(part).for_each(|(e, p)| *e += weight * p);
        }
        let value = problem.weighted_partial(&case.theta, &SOME, &weights, &mut gradient).expect("partial");
        gradient.push(value);
        assert!(difference(&gradient, &expected) <= 1e-14);
        let short = problem.weighted_partial(&case.theta, &SOME, &weights[1..], &mut gradient[1..]);
        assert!(matches!(short, Err(Error::Dimension { expected: 5, found: 4, .. })));
    }
}

#[test]
fn values_of_single_samples_add_up() {
    let (outputs, labels) = (normal(3, N, 7), cases()[0].targets.clone());
    let losses: [(&dyn Loss, &Batch); 3] =
        [(&SoftmaxCrossEntropy, &labels), (&SquaredError, &normal(3, N, 8)), (&MulticlassHinge, &labels)];
    for (loss, targets) in losses {
        let at = curvkit::loss::Outcome { outputs: outputs.values(), n_outputs: 3, targets };
        let mut values = vec![0.0; N];
        loss.values(&at, &mut values);
        assert!(values.iter().all(|v| *v >= 0.0) && values.iter().any(|v| *v > 0.0));
        assert!((values.iter().sum::<f64>() - loss.value(&at)).abs() <= 1e-13 * loss.value(&at));
    }
}

#[test]
fn the_last_evaluation_is_kept_by_point_and_rows() {
    let case = &cases()[0];
    let problem = case.on(None, Reduction::Mean);
    let here = problem.evaluate_rows(&case.theta, Some(&SOME)).expect("evaluation");
    assert!(Arc::ptr_eq(&here, &problem.evaluate_rows(&case.theta, Some(&SOME)).expect("evaluation")));
    let reordered = [2, 7, 11, 2, 0];
    for rows in [None, Some(&SOME[1..]), Some(&reordered[..])] {
        let other = problem.evaluate_rows(&case.theta, rows).expect("evaluation");
        assert!(!Arc::ptr_eq(&here, &other));
        assert_eq!(other.rows(), rows);
    }
    // An option set while an evaluation is held is not lost.
    let held = problem.evaluate(&case.theta).expect("evaluation");
    let other = problem.reduction(Reduction::Sum).evaluate(&case.theta).expect("evaluation");
    assert_eq!((held.weight(), other.weight()), (1.0 / N as f64, 1.0));
}

#[test]
fn bad_rows_are_told_apart() {
    let case = &cases()[0];
    let problem = case.on(None, Reduction::Mean);
    let mut gradient = vec![0.0; case.theta.len()];
    for rows in [&[][..], &[0, N]] {
        for error in [
            problem.evaluate_rows(&case.theta, Some(rows)).err(),
            problem.partial(&case.theta, rows, &mut gradient).err(),
            GaussNewton.at(At { problem: &problem, x: &case.theta, rows: Some(rows), counts: &Counts::default() }).err(),
        ] {
            let Some(Error::Config { name, value, .. }) = error else { panic!("{error:?}") };
            let expected = if rows.is_empty() { ("samples in a batch", "0".into()) } else { ("sample", N.to_string()) };
            assert_eq!((&*name, value), expected);
        }
    }
    let short = problem.partial(&case.theta, &SOME, &mut gradient[1..]);
    assert!(matches!(short, Err(Error::Dimension { .. })));
    // A function that is no finite sum has no products on rows.
    let wood = testbed::problem("wood", None).expect("problem");
    let counts = Counts::default();
    let erased = curvkit::problem::Erased(wood.function.clone());
    let operator =
        HessianProducts.at(At { problem: &erased, x: &wood.start, rows: Some(&[0]), counts: &counts }).map(|operator| {
            let mut out = vec![0.0; 4];
            operator.apply(&wood.start, &mut out)
        });
    assert!(matches!(operator, Ok(Err(Error::Unsupported { .. }))));
}
