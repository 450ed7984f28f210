use super::*;
use crate::linalg::SymmetricOperator;

/// `(x₀ x₁ − k, x₂² + x₀)` of three variables.
struct Product;
impl ResidualElement<3, 2> for Product {
    fn residuals(&self, k: usize, x: &[f64; 3]) -> [f64; 2] {
        [x[0] * x[1] - k as f64, x[2] * x[2] + x[0]]
    }
    fn linearize(&self, k: usize, x: &[f64; 3]) -> ([f64; 2], [[f64; 3]; 2]) {
        (self.residuals(k, x), [[x[1], x[0], 0.0], [1.0, 0.0, 2.0 * x[2]]])
    }
}

/// `x − k`.
struct Prior;
impl ResidualElement<1, 1> for Prior {
    fn residuals(&self, k: usize, x: &[f64; 1]) -> [f64; 1] {
        [x[0] - k as f64]
    }
    fn linearize(&self, k: usize, x: &[f64; 1]) -> ([f64; 1], [[f64; 1]; 1]) {
        (self.residuals(k, x), [[1.0]])
    }
}

const TUPLES: [[usize; 3]; 4] = [[0, 1, 2], [3, 1, 4], [4, 0, 3], [2, 3, 1]];
const X: [f64; 5] = [0.7, -1.3, 0.4, 2.1, -0.6];

fn norms(x: &[f64]) -> [f64; 4] {
    std::array::from_fn(|k| {
        let r = Product.residuals(k, &TUPLES[k].map(|i| x[i]));
        r[0] * r[0] + r[1] * r[1]
    })
}

#[test]
fn cost_is_half_the_sum_of_weighted_squares() {
    let weights = [1.0, 4.0, 0.0, 0.25];
    let problem = ResidualElements::builder(5).group(Product, TUPLES).weights(&weights).group(Prior, [[4]]).build().unwrap();
    let want: f64 = norms(&X).iter().zip(weights).map(|(s, w)| 0.5 * w * s).sum::<f64>() + 0.5 * X[4] * X[4];
    assert!((problem.cost(&X.to_vec()).unwrap() - want).abs() < 1e-14 * want);
    let plain = problem.residuals_at(&X).unwrap();
    assert_eq!(plain.len(), 9);
    assert_eq!(plain[2], X[3] * X[1] - 1.0);
    assert_eq!(plain[8], X[4]);
}

#[test]
fn gradient_is_the_slope_of_the_cost_for_every_loss() {
    let losses = RobustLoss::NAMES.map(|(_, loss)| Some(loss)).into_iter().chain([None]);
    for loss in losses {
        // One scale with residuals on both sides of it, and one beyond all.
        for scale in [1.1, 10.0] {
            let mut builder = ResidualElements::builder(5).group(Product, TUPLES).weights(&[1.0, 2.0, 0.5, 1.0]);
            if let Some(loss) = loss {
                builder = builder.robust(loss, scale);
            }
            let problem = builder.build().unwrap();
            let g = problem.gradient(&X.to_vec()).unwrap();
            for i in 0..5 {
                let at = |h: f64| {
                    let mut x = X.to_vec();
                    x[i] += h;
                    problem.cost(&x).unwrap()
                };
                // A difference of fourth order.
                let h = 1e-3;
                let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
                assert!((g[i] - slope).abs() <= 1e-9 * (1.0 + slope.abs()), "{loss:?} {scale} {i}: {} {slope}", g[i]);
            }
        }
    }
}

#[test]
fn robust_cost_and_curvature_are_those_of_the_definition() {
    // A linear residual (x₀, x₁) from (3, 4): ‖r‖ = 5, and the model's curvature along r is ρ′ + 2 s ρ″ where that is positive.
    struct Plane;
    impl ResidualElement<2, 2> for Plane {
        fn residuals(&self, _: usize, x: &[f64; 2]) -> [f64; 2] {
            *x
        }
        fn linearize(&self, _: usize, x: &[f64; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
            (*x, [[1.0, 0.0], [0.0, 1.0]])
        }
    }
    for (_, loss) in RobustLoss::NAMES {
        for c in [2.0, 7.0, 40.0] {
            let problem = ResidualElements::builder(2).group(Plane, [[0, 1]]).robust(loss, c).build().unwrap();
            let x = vec![3.0, 4.0];
            let s = 25.0 / (c * c);
            let [value, first, second] = loss.rho(s);
            assert!((problem.cost(&x).unwrap() - 0.5 * c * c * value).abs() < 1e-13);
            let pass = problem.linearize(&x).unwrap();
            let Form::SparseGram(gram) = pass.form().unwrap() else { panic!("not sparse") };
            let mut out = [0.0; 2];
            let mut along = |v: [f64; 2]| {
                gram.apply(&v, &mut out).unwrap();
                out[0] * v[0] + out[1] * v[1]
            };
            let least = 0.01 * first;
            assert!((along([0.6, 0.8]) - (first + 2.0 * s * second).max(least)).abs() < 1e-13, "{loss:?} {c}");
            assert!((along([0.8, -0.6]) - first).abs() < 1e-13);
        }
    }
}

#[test]
fn many_blocks_in_parallel_give_the_same_bits_as_on_one_thread() {
    let n = 3000;
    let tuples: Vec<[usize; 3]> = (0..20_000).map(|k| [k % n, (7 * k + 1) % n, (13 * k + 2) % n]).filter(distinct).collect();
    fn distinct(t: &[usize; 3]) -> bool {
        t[0] != t[1] && t[0] != t[2] && t[1] != t[2]
    }
    let problem = ResidualElements::builder(n).group(Product, tuples).build().unwrap();
    let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin()).collect();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let problem = problem.clone();
        pool.install(|| (problem.cost(&x).unwrap(), problem.gradient(&x).unwrap()))
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == one);
    }
}

#[test]
fn wrong_input_is_refused_with_a_typed_error() {
    let build = |tuples: &[[usize; 3]]| ResidualElements::builder(5).group(Product, tuples.to_vec()).build();
    assert!(matches!(build(&[[0, 1, 5]]).err(), Some(Error::Dimension { .. })));
    assert!(matches!(build(&[[0, 1, 0]]).err(), Some(Error::Config { .. })));
    let weights = |w: &[f64]| ResidualElements::builder(5).group(Product, TUPLES).weights(w).build().err();
    assert!(matches!(weights(&[1.0; 3]), Some(Error::Dimension { .. })));
    assert!(matches!(weights(&[1.0, 1.0, -1.0, 1.0]), Some(Error::Config { .. })));
    assert!(matches!(ResidualElements::builder(5).weights(&[]).build().err(), Some(Error::Unsupported { .. })));
    let robust = |c: f64| ResidualElements::builder(5).group(Product, TUPLES).robust(RobustLoss::Huber, c).build().err();
    assert!(matches!(robust(0.0), Some(Error::Config { .. })));
    let good = build(&TUPLES).unwrap();
    assert!(good.cost(&vec![0.0; 4]).is_err() && good.gradient(&vec![0.0; 6]).is_err());
    assert!(matches!(good.linearize(&X.to_vec()).unwrap().gram(), Err(Error::Unsupported { .. })));
}

#[test]
fn the_same_point_is_evaluated_once_and_buffers_are_used_again() {
    let problem = ResidualElements::builder(5).group(Product, TUPLES).build().unwrap();
    let pass = problem.pass(&X).unwrap();
    assert!(Arc::ptr_eq(&pass, &problem.pass(&X).unwrap()));
    let values = pass.sparse_gram().unwrap().values.as_ptr();
    drop(pass);
    problem.cost(&vec![1.0; 5]).unwrap();
    let other = problem.pass(&[2.0; 5]).unwrap();
    assert_eq!(other.sparse_gram().unwrap().values.as_ptr(), values);
}
