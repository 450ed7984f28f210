//! Near-exact subproblem solvers judged by their optimality conditions, at every scale and in every degenerate case.

use curvkit::linalg::SymmetricOperator;
use curvkit::linalg::operator::{DenseMatrix, Diagonal, Gram, Pattern, SparseMatrix};
use curvkit::linalg::vector::{dot, norm};
use curvkit::second_order::subproblem::{
    CubicExact, CubicLanczos, Damped, Dogleg, Factorized, Gltr, Model, MoreHebden, MoreSorensen, Steihaug, Step, Subproblem,
    TruncatedCg, TwoDimensional,
};
use curvkit::testing::{assert_cubic_kkt, assert_trust_region_kkt};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

#[path = "subproblems/wide.rs"]
mod wide;

use wide::{Wide, WideModel};

const TOLERANCE: f64 = 1e-12;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Path {
    Eigen,
    FactoredDense,
    FactoredSparse,
}

const PATHS: [Path; 3] = [Path::Eigen, Path::FactoredDense, Path::FactoredSparse];

fn ball_solver(path: Path) -> MoreSorensen {
    let mut solver = MoreSorensen::default();
    solver.eigen_limit = if path == Path::Eigen { 1000 } else { 0 };
    solver
}

fn cubic_solver(path: Path) -> CubicExact {
    let mut solver = CubicExact::default();
    solver.eigen_limit = if path == Path::Eigen { 1000 } else { 0 };
    solver
}

fn operator(path: Path, n: usize, entries: &[f64]) -> Box<dyn SymmetricOperator> {
    if path != Path::FactoredSparse {
        return Box::new(DenseMatrix::new(n, entries.to_vec()).unwrap());
    }
    let pairs = (0..n * n).filter(|k| entries[*k] != 0.0).map(|k| (k % n, k / n));
    let pattern = Arc::new(Pattern::from_pairs(n, pairs).unwrap());
    let mut values = vec![0.0; pattern.nnz()];
    for j in 0..n {
        for i in 0..n {
            if let Some(k) = pattern.position(i, j) {
                values[k] = entries[j * n + i];
            }
        }
    }
    Box::new(SparseMatrix::new(pattern, values).unwrap())
}

fn model<'a>(gradient: &'a [f64], curvature: &'a dyn SymmetricOperator) -> Model<'a> {
    Model { value: 0.0, x: gradient, gradient, curvature }
}

fn solve_ball(solver: &mut MoreSorensen, b: &dyn SymmetricOperator, g: &[f64], radius: f64) -> (Vec<f64>, Step) {
    let mut p = vec![f64::NAN; g.len()];
    solver.prepare(&model(g, b)).unwrap();
    let step = solver.step(&model(g, b), radius, &mut p).unwrap();
    (p, step)
}

fn solve_cubic(solver: &mut CubicExact, b: &dyn SymmetricOperator, g: &[f64], sigma: f64) -> (Vec<f64>, Step) {
    let mut p = vec![f64::NAN; g.len()];
    solver.prepare(&model(g, b)).unwrap();
    let step = solver.step(&model(g, b), 1.0 / sigma, &mut p).unwrap();
    (p, step)
}

/// `gᵀs + ½ sᵀBs`.
fn quadratic(b: &dyn SymmetricOperator, g: &[f64], s: &[f64]) -> f64 {
    let mut bs = vec![0.0; s.len()];
    b.apply(s, &mut bs).unwrap();
    dot(g, s) + 0.5 * dot(s, &bs)
}

const SPECTRA: [&str; 8] = ["definite", "indefinite", "low rank", "clustered", "singular", "ill-conditioned", "negative", "zero"];
const GRADIENTS: [&str; 4] = ["easy", "nearly hard", "hard", "zero"];

/// A random problem of the kinds named: the entries of `B` (column-major) and `g`.
fn problem(rng: &mut ChaCha8Rng, n: usize, spectrum: &str, gradient: &str) -> (Vec<f64>, Vec<f64>) {
    let mut w: Vec<f64> = (0..n)
        .map(|i| match spectrum {
            "definite" => rng.random_range(0.1..1.0),
            "low rank" => [0.0, rng.random_range(-1.0..1.0)][usize::from(i < n.div_ceil(3))],
            "clustered" => [-0.7, 0.3, 1.0][i % 3] + 1e-14 * rng.random_range(-1.0..1.0),
            "singular" => [rng.random_range(0.1..1.0), 0.0][usize::from(i % 4 == 0)],
            "ill-conditioned" => 10f64.powf(rng.random_range(-14.0..0.0)),
            "negative" => rng.random_range(-1.0..-0.1),
            "zero" => 0.0,
            _ => rng.random_range(-1.0..1.0),
        })
        .collect();
    w.sort_by(f64::total_cmp);
    let part = 10f64.powf(rng.random_range(-16.0..-2.0));
    let gamma: Vec<f64> = w
        .iter()
        .map(|wi| {
            let leftmost = wi - w[0] <= 1e-12;
            let c = rng.random_range(-1.0..1.0);
            match gradient {
                "nearly hard" if leftmost => c * part,
                "hard" if leftmost => 0.0,
                "zero" => 0.0,
                _ => c,
            }
        })
        .collect();
    // Q is a product of three reflections, or the identity for a quarter of the cases.
    let mut entries: Vec<f64> = (0..n * n).map(|k| if k % (n + 1) == 0 { w[k % n] } else { 0.0 }).collect();
    let mut g = gamma;
    if rng.random_range(0..4) > 0 {
        for _ in 0..3 {
            let v: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
            let beta = 2.0 / dot(&v, &v);
            let reflect = |x: &mut [f64]| {
                let c = beta * dot(&v, x);
                x.iter_mut().zip(&v).for_each(|(x, v)| *x -= c * v);
            };
            entries.chunks_exact_mut(n).for_each(reflect);
            transpose(n, &mut entries);
            entries.chunks_exact_mut(n).for_each(reflect);
            reflect(&mut g);
        }
    }
    for j in 0..n {
        for i in 0..j {
            let mean = 0.5 * (entries[j * n + i] + entries[i * n + j]);
            (entries[j * n + i], entries[i * n + j]) = (mean, mean);
        }
    }
    (entries, g)
}

fn transpose(n: usize, a: &mut [f64]) {
    for j in 0..n {
        for i in 0..j {
            a.swap(j * n + i, i * n + j);
        }
    }
}

fn scaled(v: &[f64], factor: f64) -> Vec<f64> {
    v.iter().map(|x| x * factor).collect()
}

#[test]
fn published_trust_region_cases_have_their_known_values() {
    let third = 1.0 / 3.0;
    let cases: [(Vec<f64>, Vec<f64>, f64, f64); 4] = [
        (vec![-2.0, 1.0], vec![0.0, 1.0], 2.0, -3.5 * third),
        (vec![0.0, -20.0, 0.0], vec![1.0, 0.0, -1.0], 20.0, -10.05),
        (vec![-2.0, 1.0], vec![1.0, 1.0], 3.03224755112299, -2.1245040322069757),
        (vec![-1.0, 2.0], vec![0.0, 0.0], 1.0, -0.5),
    ];
    for (d, g, lambda, value) in cases {
        let n = d.len();
        let dense: Vec<f64> = (0..n * n).map(|k| if k % (n + 1) == 0 { d[k % n] } else { 0.0 }).collect();
        for path in PATHS {
            for scale in [1.0, 1e-12, 1e12, 1e-150, 1e150] {
                let b = operator(path, n, &scaled(&dense, scale));
                let g = scaled(&g, scale);
                let mut solver = ball_solver(path);
                let (s, step) = solve_ball(&mut solver, &*b, &g, 1.0);
                let ok = assert_trust_region_kkt(&*b, &g, 1.0, &s, solver.multiplier(), TOLERANCE);
                assert!(ok.is_ok(), "{path:?} {d:?} {scale}: {ok:?}");
                assert!((solver.multiplier() / scale - lambda).abs() <= 1e-12 * lambda, "{path:?} {}", solver.multiplier());
                assert!((quadratic(&*b, &g, &s) / scale - value).abs() <= 4e-15 * value.abs(), "{path:?} {d:?}");
                assert!((step.predicted / scale + value).abs() <= 4e-15 * value.abs(), "{path:?} {d:?} {step:?}");
            }
        }
        let mut solver = MoreSorensen::default();
        let (s, _) = solve_ball(&mut solver, &Diagonal(d.clone()), &g, 1.0);
        assert!((quadratic(&Diagonal(d), &g, &s) - value).abs() <= 4e-15 * value.abs());
    }
}

#[test]
fn published_cubic_cases_have_their_known_values() {
    // Multiplier, quadratic part, value with the cubic term.
    let cases = [
        (vec![-2.0, 1.0], vec![0.0, 1.0], [2.0, -25.0 / 6.0, -1.5]),
        (vec![-2.0, 1.0], vec![1.0, 1.0], [2.416832297634849, -8.404310952426814, -3.69868]),
        (vec![0.0, -20.0, 0.0], vec![1.0, 0.0, -1.0], [20.0, -4000.05, -1333.383333333333]),
    ];
    for (d, g, [lambda, value, whole]) in cases {
        let n = d.len();
        let dense: Vec<f64> = (0..n * n).map(|k| if k % (n + 1) == 0 { d[k % n] } else { 0.0 }).collect();
        for path in PATHS {
            let b = operator(path, n, &dense);
            let mut solver = cubic_solver(path);
            let (s, step) = solve_cubic(&mut solver, &*b, &g, 1.0);
            assert_cubic_kkt(&*b, &g, 1.0, &s, solver.multiplier(), TOLERANCE).unwrap();
            let q = quadratic(&*b, &g, &s);
            assert!((solver.multiplier() - lambda).abs() <= 1e-12 * lambda, "{path:?} {}", solver.multiplier());
            // The reference values carry the 1e-13 of the solver they come from.
            assert!((q - value).abs() <= 1e-12 * value.abs(), "{path:?} {q}");
            let cubic = q + norm(&s).powi(3) / 3.0;
            assert!((cubic - whole).abs() <= 3e-6 * whole.abs(), "{path:?} {cubic}");
            assert!((step.predicted + cubic).abs() <= 1e-13 * cubic.abs(), "{path:?} {step:?} {cubic}");
        }
    }
}

/// Runs one problem on one path for ball and cubic; the worst violation.
fn judge(path: Path, n: usize, entries: &[f64], g: &[f64], size: f64, label: &str) -> [f64; 2] {
    let b = operator(path, n, entries);
    let mut ball = ball_solver(path);
    let (s, _) = solve_ball(&mut ball, &*b, g, size);
    let first = assert_trust_region_kkt(&*b, g, size, &s, ball.multiplier(), TOLERANCE);
    let sigma = 1.0 / size;
    let mut cubic = cubic_solver(path);
    let (s, _) = solve_cubic(&mut cubic, &*b, g, sigma);
    let second = assert_cubic_kkt(&*b, g, sigma, &s, cubic.multiplier(), TOLERANCE);
    [first, second].map(|verdict| verdict.unwrap_or_else(|e| panic!("{path:?} {label} n = {n}, size {size:e}: {e}")))
}

#[test]
fn ten_thousand_random_problems_meet_the_optimality_conditions() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut worst = [[0.0f64; 2]; 3];
    for case in 0..10_000 {
        let n = rng.random_range(1..=30);
        let (spectrum, gradient) = (SPECTRA[rng.random_range(0..8)], GRADIENTS[rng.random_range(0..4)]);
        let (entries, g) = problem(&mut rng, n, spectrum, gradient);
        let size = 10f64.powf(rng.random_range(-3.0..4.0));
        // The eigenvalue path every time, the factorized ones in turn.
        let other = PATHS[1 + case % 2];
        for path in [Path::Eigen, other] {
            let found = judge(path, n, &entries, &g, size, &format!("case {case}: {spectrum}, {gradient}"));
            let worst = &mut worst[PATHS.iter().position(|p| *p == path).unwrap()];
            *worst = [worst[0].max(found[0]), worst[1].max(found[1])];
        }
    }
    for (path, [ball, cubic]) in PATHS.iter().zip(worst) {
        println!("random problems, {path:?}: worst violation ball {ball:.2e}, cubic {cubic:.2e}");
    }
}

#[test]
fn every_kind_at_every_scale_meets_the_optimality_conditions() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let scales = [-150, -100, -30, -8, 0, 8, 30, 100, 150];
    let mut worst = [[0.0f64; 2]; 3];
    for spectrum in SPECTRA {
        for gradient in GRADIENTS {
            let n = rng.random_range(1..=6);
            let (entries, g) = problem(&mut rng, n, spectrum, gradient);
            for (i, a) in scales.iter().enumerate() {
                for (j, b) in scales.iter().enumerate() {
                    for (k, c) in scales.iter().enumerate() {
                        let entries = scaled(&entries, 10f64.powi(*a));
                        let g = scaled(&g, 10f64.powi(*b));
                        let label = format!("{spectrum}, {gradient}, B 1e{a}, g 1e{b}");
                        for path in [Path::Eigen, PATHS[1 + (i + j + k) % 2]] {
                            let found = judge(path, n, &entries, &g, 10f64.powi(*c), &label);
                            let worst = &mut worst[PATHS.iter().position(|p| *p == path).unwrap()];
                            *worst = [worst[0].max(found[0]), worst[1].max(found[1])];
                        }
                    }
                }
            }
        }
    }
    for (path, [ball, cubic]) in PATHS.iter().zip(worst) {
        println!("all scales, {path:?}: worst violation ball {ball:.2e}, cubic {cubic:.2e}");
    }
}

#[test]
fn nearly_hard_problems_of_every_degree_meet_the_optimality_conditions() {
    let mut rng = ChaCha8Rng::seed_from_u64(13);
    for exponent in 0..=32 {
        let part = if exponent == 32 { 0.0 } else { 10f64.powf(-2.0 - 0.5 * exponent as f64) };
        for n in [2, 3, 8, 20] {
            // ‖s(−λ₁)‖ without the leftmost part, so that radii below, at and above it can be asked for.
            let w: Vec<f64> = (0..n).map(|i| if i == 0 { -1.0 } else { rng.random_range(-0.5..2.0) }).collect();
            let g: Vec<f64> = (0..n).map(|i| if i == 0 { part } else { rng.random_range(-1.0..1.0) }).collect();
            let rest: Vec<f64> = (1..n).map(|i| g[i] / (w[i] + 1.0)).collect();
            let entries: Vec<f64> = (0..n * n).map(|k| if k % (n + 1) == 0 { w[k % n] } else { 0.0 }).collect();
            for factor in [0.5, 1.0 - 1e-12, 1.0, 1.0 + 1e-15, 1.0 + 1e-10, 1.001, 2.0, 1e3] {
                for path in PATHS {
                    judge(path, n, &entries, &g, factor * norm(&rest), &format!("leftmost part {part:e}, factor {factor}"));
                }
            }
        }
    }
}

#[test]
fn predictions_equal_the_models_decrease_and_slope_and_length_the_steps() {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    for case in 0..600 {
        let n = rng.random_range(1..=12);
        let (spectrum, gradient) = (SPECTRA[case % 8], GRADIENTS[case / 8 % 4]);
        let (entries, g) = problem(&mut rng, n, spectrum, gradient);
        let size = 10f64.powf(rng.random_range(-2.0..2.0));
        for path in PATHS {
            let b = operator(path, n, &entries);
            let mut cubic = cubic_solver(path);
            let pairs = [
                (solve_ball(&mut ball_solver(path), &*b, &g, size), 0.0),
                (solve_cubic(&mut cubic, &*b, &g, 1.0 / size), 1.0 / (3.0 * size)),
            ];
            for ((s, step), weight) in pairs {
                let length = norm(&s);
                let terms = norm(&g) * length + length * length + weight * length.powi(3);
                let value = quadratic(&*b, &g, &s) + weight * length.powi(3);
                assert!((step.predicted + value).abs() <= 1e-12 * terms, "{path:?} {spectrum} {gradient} {step:?} {value}");
                assert!(step.predicted >= 0.0);
                assert!((step.slope - dot(&g, &s)).abs() <= 1e-13 * norm(&g) * length);
                assert!((step.length - length).abs() <= 1e-13 * length);
            }
        }
    }
}

#[test]
fn repeated_sizes_in_any_order_give_what_fresh_solves_give() {
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let descending: Vec<f64> = (0..16).map(|k| 10f64.powf(2.0 - 0.3 * k as f64)).collect();
    let ascending: Vec<f64> = descending.iter().rev().copied().collect();
    for case in 0..64 {
        let n = rng.random_range(2..=12);
        let (entries, g) = problem(&mut rng, n, SPECTRA[case % 8], GRADIENTS[case / 8 % 4]);
        for path in PATHS {
            let b = operator(path, n, &entries);
            for sizes in [&descending, &ascending] {
                let (mut ball, mut cubic) = (ball_solver(path), cubic_solver(path));
                let m = model(&g, &*b);
                ball.prepare(&m).unwrap();
                cubic.prepare(&m).unwrap();
                for size in sizes {
                    let (mut p, mut q) = (vec![0.0; n], vec![0.0; n]);
                    let steps = [ball.step(&m, *size, &mut p).unwrap(), cubic.step(&m, *size, &mut q).unwrap()];
                    assert_trust_region_kkt(&*b, &g, *size, &p, ball.multiplier(), TOLERANCE).unwrap();
                    assert_cubic_kkt(&*b, &g, 1.0 / size, &q, cubic.multiplier(), TOLERANCE).unwrap();
                    let fresh = [
                        solve_ball(&mut ball_solver(path), &*b, &g, *size),
                        solve_cubic(&mut cubic_solver(path), &*b, &g, 1.0 / size),
                    ];
                    for ((step, mine), (other, theirs)) in steps.iter().zip([&p, &q]).zip(fresh.iter().map(|(p, s)| (s, p))) {
                        if path == Path::Eigen {
                            assert_eq!(mine, theirs);
                        }
                        // A model whose decrease is rounding of B (g = 0, B singular) has no digits to compare.
                        let rounding = 1e-12 * norm(&entries) * step.length.max(other.length).powi(2);
                        let gap = (step.predicted - other.predicted).abs();
                        assert!(gap <= 1e-11 * other.predicted + rounding, "{path:?} {step:?} {other:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn solvers_that_start_from_the_multiplier_of_another_model_are_as_exact() {
    let mut rng = ChaCha8Rng::seed_from_u64(29);
    for path in PATHS {
        let (mut ball, mut cubic) = (ball_solver(path), cubic_solver(path));
        for case in 0..1500 {
            let n = rng.random_range(1..=8);
            let (entries, g) = problem(&mut rng, n, SPECTRA[case % 8], GRADIENTS[case / 8 % 4]);
            let b = operator(path, n, &entries);
            let size = 10f64.powf(rng.random_range(-2.0..3.0));
            let (s, _) = solve_ball(&mut ball, &*b, &g, size);
            assert_trust_region_kkt(&*b, &g, size, &s, ball.multiplier(), TOLERANCE).unwrap();
            let (s, _) = solve_cubic(&mut cubic, &*b, &g, 1.0 / size);
            assert_cubic_kkt(&*b, &g, 1.0 / size, &s, cubic.multiplier(), TOLERANCE).unwrap();
        }
    }
}

#[test]
fn relaxed_steps_stay_within_the_allowance_and_save_factorizations() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let (mut exact_count, mut relaxed_count) = (0, 0);
    for _ in 0..50 {
        let (entries, g) = problem(&mut rng, 20, "indefinite", "easy");
        let b = operator(Path::FactoredDense, 20, &entries);
        let mut exact = ball_solver(Path::FactoredDense);
        let mut relaxed = ball_solver(Path::FactoredDense);
        relaxed.relaxed = Some(0.1);
        let (_, full) = solve_ball(&mut exact, &*b, &g, 1.0);
        let (s, step) = solve_ball(&mut relaxed, &*b, &g, 1.0);
        assert!((norm(&s) - 1.0).abs() <= 0.1 + 1e-12);
        assert!(step.predicted >= 0.8 * full.predicted);
        exact_count += exact.factorizations();
        relaxed_count += relaxed.factorizations();
    }
    assert!(relaxed_count < exact_count, "{relaxed_count} {exact_count}");
}

#[test]
fn bad_input_is_a_typed_error() {
    let good = DenseMatrix::new(2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
    for path in PATHS {
        let limit = if path == Path::Eigen { 1000 } else { 0 };
        for bad in [f64::NAN, f64::INFINITY] {
            let mut solver = MoreSorensen::default();
            solver.eigen_limit = limit;
            let b = operator(path, 2, &[1.0, bad, bad, 1.0]);
            assert!(solver.prepare(&model(&[1.0, 1.0], &*b)).is_err());
            assert!(solver.prepare(&model(&[1.0, bad], &good)).is_err());
            let mut solver = CubicExact::default();
            solver.eigen_limit = limit;
            assert!(solver.prepare(&model(&[1.0, 1.0], &*b)).is_err());
        }
        let mut solver = ball_solver(path);
        assert!(solver.prepare(&model(&[1.0; 3], &good)).is_err());
        solver.prepare(&model(&[1.0; 2], &good)).unwrap();
        for size in [0.0, -1.0, f64::NAN] {
            assert!(solver.step(&model(&[1.0; 2], &good), size, &mut [0.0; 2]).is_err());
        }
        assert!(solver.step(&model(&[1.0; 2], &good), 1.0, &mut [0.0; 3]).is_err());
        let mut p = [0.0; 2];
        solver.step(&model(&[1.0; 2], &good), f64::INFINITY, &mut p).unwrap();
        assert_eq!(p, [-1.0, -1.0]);
    }
}

const ALL_SCALES: [i32; 5] = [-150, -80, 0, 80, 150];

/// Matrices of order one: definite, indefinite, negative definite, and singular.
fn small_models() -> Vec<(Vec<f64>, Vec<f64>)> {
    vec![
        (vec![4.0, 1.0, 0.0, 1.0, 3.0, 0.5, 0.0, 0.5, 2.0], vec![1.0, -2.0, 0.7]),
        (vec![1.0, 2.0, 0.3, 2.0, -1.0, 0.1, 0.3, 0.1, 0.5], vec![0.3, 1.0, -1.0]),
        (vec![-1.0, 0.2, 0.0, 0.2, -2.0, 0.1, 0.0, 0.1, -3.0], vec![1.0, 0.5, 0.2]),
        (vec![1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0], vec![1.0, -1.0, 0.3]),
    ]
}

fn judge_ball<S: Subproblem>(mut solver: S, name: &str, entries: &[f64], g: &[f64], radius: f64) {
    let b = DenseMatrix::new(3, entries.to_vec()).unwrap();
    let m = Model { value: 0.0, x: &[0.0; 3], gradient: g, curvature: &b };
    let label = || format!("{name}: B {:e}, g {:e}, radius {radius:e}", entries[0], g[0]);
    let mut p = [f64::NAN; 3];
    solver.prepare(&m).unwrap_or_else(|e| panic!("{}: {e}", label()));
    let step = solver.step(&m, radius, &mut p).unwrap_or_else(|e| panic!("{}: {e}", label()));
    let (wide, model) = (Wide::all(&p), WideModel::new(entries, g));
    let size = Wide::dot(&wide, &wide).root();
    assert!(size.at_most(Wide::new(radius * (1.0 + 1e-12))), "{}: {p:?}", label());
    let (found, least) = (model.decrease(&wide), model.cauchy(Some(Wide::new(radius))));
    let rounding = model.rounding(&wide);
    let enough = least.times(Wide::new(1.0 - 1e-9)).at_most(found.plus(rounding));
    assert!(enough, "{}: {p:?} {found:?} {least:?}", label());
    let (told, exact) = (step.predicted, found.value());
    // Reductions that underflow have lost digits, or all of them.
    let allowed = 1e-9 * exact.abs() + rounding.value() + 1e-300;
    assert!((told - exact).abs() <= allowed, "{}: {told:e} {exact:e}", label());
    assert!((step.length - size.value()).abs() <= 1e-9 * size.value(), "{}: {step:?}", label());
    let slope = Wide::dot(&model.g, &wide).value();
    assert!((step.slope - slope).abs() <= 1e-9 * slope.abs() + rounding.value() + 1e-300, "{}: {step:?} {slope:e}", label());
}

#[test]
fn ball_steps_at_every_scale_stay_inside_and_decrease_at_least_as_the_cauchy_point() {
    for (b, g) in small_models() {
        for (i, j, k) in triples() {
            let (b, g, radius) = (scaled(&b, 10f64.powi(i)), scaled(&g, 10f64.powi(j)), 10f64.powi(k));
            judge_ball(Steihaug::default(), "steihaug", &b, &g, radius);
            judge_ball(Gltr::default(), "gltr", &b, &g, radius);
            judge_ball(Gltr::exact(), "exact gltr", &b, &g, radius);
            judge_ball(Dogleg::default(), "dogleg", &b, &g, radius);
            judge_ball(TwoDimensional::default(), "plane", &b, &g, radius);
            for path in PATHS {
                judge_ball(ball_solver(path), "exact", &b, &g, radius);
            }
            let mut gltr = Gltr::exact();
            let dense = DenseMatrix::new(3, b.clone()).unwrap();
            let mut p = [0.0; 3];
            gltr.prepare(&model(&g, &dense)).unwrap();
            gltr.step(&model(&g, &dense), radius, &mut p).unwrap();
            assert_trust_region_kkt(&dense, &g, radius, &p, gltr.multiplier(), TOLERANCE).unwrap();
            let mut cubic = CubicLanczos::exact();
            cubic.prepare(&model(&g, &dense)).unwrap();
            let step = cubic.step(&model(&g, &dense), radius, &mut p).unwrap();
            assert_cubic_kkt(&dense, &g, 1.0 / radius, &p, cubic.multiplier(), TOLERANCE).unwrap();
            assert!(step.predicted.is_finite() && step.predicted >= 0.0 && step.slope.is_finite());
        }
    }
    // Gradients beyond the square root of the range.
    for (scale, radius) in [(1e160, 1.0), (1e300, 1.0), (1e-160, 1.0), (1e-300, 1e-305), (1e300, 1e-300), (1e-300, 1e300)] {
        for (b, g) in small_models() {
            let g = scaled(&g, scale);
            judge_ball(Steihaug::default(), "steihaug", &b, &g, radius);
            judge_ball(Gltr::default(), "gltr", &b, &g, radius);
            judge_ball(Dogleg::default(), "dogleg", &b, &g, radius);
            judge_ball(TwoDimensional::default(), "plane", &b, &g, radius);
        }
    }
}

fn triples() -> impl Iterator<Item = (i32, i32, i32)> {
    ALL_SCALES.into_iter().flat_map(|i| ALL_SCALES.into_iter().flat_map(move |j| ALL_SCALES.into_iter().map(move |k| (i, j, k))))
}

#[test]
fn newton_directions_at_every_scale_decrease_at_least_as_the_cauchy_point() {
    fn judge<S: Subproblem>(mut solver: S, name: &str, entries: &[f64], g: &[f64], definite: bool) {
        let b = DenseMatrix::new(3, entries.to_vec()).unwrap();
        let m = Model { value: 0.0, x: &[0.0; 3], gradient: g, curvature: &b };
        let mut p = [f64::NAN; 3];
        solver.prepare(&m).unwrap();
        let step = solver.step(&m, 1.0, &mut p).unwrap();
        let (wide, model) = (Wide::all(&p), WideModel::new(entries, g));
        let slope = Wide::dot(&wide, &model.g);
        assert!(slope.0 < 0.0, "{name} {entries:?} {g:?}: {p:?}");
        let found = model.decrease(&wide);
        for (told, exact) in [(step.slope, slope.value()), (step.predicted, found.value())] {
            let allowed = 1e-9 * slope.value().abs() + model.rounding(&wide).value() + 1e-300;
            assert!((told - exact).abs() <= allowed, "{name} {entries:?} {g:?}: {step:?} {exact:e}");
        }
        if definite {
            let least = model.cauchy(None).times(Wide::new(1.0 - 1e-9));
            assert!(least.at_most(found), "{name} {entries:?} {g:?}: {p:?}");
        }
    }
    for (kind, (b, g)) in small_models().into_iter().enumerate() {
        for i in ALL_SCALES {
            for j in ALL_SCALES {
                let (b, g) = (scaled(&b, 10f64.powi(i)), scaled(&g, 10f64.powi(j)));
                judge(Factorized::default(), "factorized", &b, &g, kind == 0);
                judge(TruncatedCg::default(), "truncated", &b, &g, kind == 0);
                if kind > 0 {
                    continue;
                }
                // The damped step minimizes the model with `B + μI`.
                for k in ALL_SCALES {
                    let mu = 10f64.powi(k);
                    let sum: Vec<f64> = b.iter().enumerate().map(|(k, v)| if k % 4 == 0 { v + mu } else { *v }).collect();
                    let dense = DenseMatrix::new(3, b.clone()).unwrap();
                    let m = Model { value: 0.0, x: &[0.0; 3], gradient: &g, curvature: &dense };
                    let (mut solver, mut p) = (Damped::default(), [0.0; 3]);
                    solver.prepare(&m).unwrap();
                    let step = solver.step(&m, 1.0 / mu, &mut p).unwrap();
                    let (damped, plain) = (WideModel::new(&sum, &g), WideModel::new(&b, &g));
                    let least = damped.cauchy(None).times(Wide::new(1.0 - 1e-9));
                    assert!(least.at_most(damped.decrease(&Wide::all(&p))), "{b:?} {g:?} {mu:e}: {p:?}");
                    let exact = plain.decrease(&Wide::all(&p)).value();
                    assert!((step.predicted - exact).abs() <= 1e-9 * exact + 1e-300, "{step:?} {exact:e}");
                }
            }
        }
    }
}

#[test]
fn least_squares_steps_at_every_scale_stay_inside_and_decrease_at_least_as_the_cauchy_point() {
    let columns = [1.0, 2.0, -1.0, 0.5, 0.3, 4.0, 1.0, -2.0];
    for i in [-75, -40, 0, 40, 75] {
        for j in ALL_SCALES {
            for k in ALL_SCALES {
                let (jacobian, r) = (scaled(&columns, 10f64.powi(i)), scaled(&[1.0, -3.0, 2.0, 0.7], 10f64.powi(j)));
                let gram = Gram::new(2, &jacobian, &r).unwrap();
                let mut g = [0.0; 2];
                gram.gradient(&mut g);
                let m = Model { value: 0.0, x: &[0.0; 2], gradient: &g, curvature: &gram };
                let wide = Wide::all(&jacobian);
                let d = [Wide::dot(&wide[..4], &wide[..4]).root(), Wide::dot(&wide[4..], &wide[4..]).root()];
                // In the variables D p.
                let unit: Vec<Wide> = wide.iter().enumerate().map(|(k, v)| v.over(d[k / 4])).collect();
                let entry = |a: usize, b: usize| Wide::dot(&unit[4 * a..4 * a + 4], &unit[4 * b..4 * b + 4]);
                let residual = Wide::all(&r);
                let g = (0..2).map(|a| Wide::dot(&unit[4 * a..4 * a + 4], &residual)).collect();
                let model = WideModel { b: vec![entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1)], g };
                let size = 10f64.powi(k);
                let judge = |p: &[f64], step: Step, damping: f64| {
                    if step.length / 10f64.powi(i) < 1e-290 {
                        // No numbers hold such a step.
                        return Wide(0.0, 0);
                    }
                    let z: Vec<Wide> = p.iter().zip(&d).map(|(p, d)| Wide::new(*p).times(*d)).collect();
                    let length = Wide::dot(&z, &z).root();
                    let label = format!("J 1e{i}, r 1e{j}, size 1e{k}: {p:?} {step:?}");
                    assert!((step.length - length.value()).abs() <= 1e-9 * length.value(), "{label}");
                    let found = model.decrease(&z);
                    let exact = found.value();
                    assert!((step.predicted - exact).abs() <= 1e-9 * exact + 1e-300, "{label} {exact:e}");
                    let mut damped = WideModel { b: model.b.clone(), g: model.g.clone() };
                    (damped.b[0], damped.b[3]) = (damped.b[0].plus(Wide::new(damping)), damped.b[3].plus(Wide::new(damping)));
                    let (found, least) = match damping {
                        0.0 => (found, model.cauchy(Some(length))),
                        _ => (damped.decrease(&z), damped.cauchy(None)),
                    };
                    assert!(least.times(Wide::new(1.0 - 1e-9)).at_most(found), "{label}");
                    length
                };
                let (mut solver, mut p) = (MoreHebden::default(), [0.0; 2]);
                solver.prepare(&m).unwrap();
                let step = solver.step(&m, size, &mut p).unwrap();
                assert!(judge(&p, step, 0.0).at_most(Wide::new(1.1 * size)));
                for mut solver in
                    [Box::new(Dogleg::default()) as Box<dyn Subproblem<Region = _>>, Box::new(TwoDimensional::default())]
                {
                    solver.prepare(&m).unwrap();
                    let step = solver.step(&m, size, &mut p).unwrap();
                    assert!(judge(&p, step, 0.0).at_most(Wide::new((1.0 + 1e-12) * size)));
                }
                let mut solver = Damped::default();
                solver.prepare(&m).unwrap();
                let step = solver.step(&m, size, &mut p).unwrap();
                judge(&p, step, 1.0 / size);
            }
        }
    }
}

#[test]
fn steps_that_no_finite_numbers_hold_are_typed_errors() {
    let b = DenseMatrix::new(2, vec![1e-300, 0.0, 0.0, 1e-300]).unwrap();
    let g = [1e200, -1e200];
    let m = Model { value: 0.0, x: &[0.0; 2], gradient: &g, curvature: &b };
    let mut p = [0.0; 2];
    fn ends<S: Subproblem>(mut solver: S, m: &Model<'_>, size: f64, p: &mut [f64]) {
        if let Ok(step) = solver.prepare(m).and_then(|()| solver.step(m, size, p)) {
            assert!(p.iter().all(|p| p.is_finite()), "{p:?}");
            assert!(step.predicted.is_finite() && step.slope.is_finite() && step.length.is_finite(), "{step:?}");
        }
    }
    for size in [1e-300, 1.0, 1e300, f64::INFINITY] {
        ends(Factorized::default(), &m, size, &mut p);
        ends(TruncatedCg::default(), &m, size, &mut p);
        ends(Steihaug::default(), &m, size, &mut p);
        ends(Gltr::default(), &m, size, &mut p);
        ends(CubicLanczos::default(), &m, size, &mut p);
        ends(CubicExact::default(), &m, size, &mut p);
        ends(MoreSorensen::default(), &m, size, &mut p);
        ends(Dogleg::default(), &m, size, &mut p);
        ends(TwoDimensional::default(), &m, size, &mut p);
        ends(Damped::default(), &m, size, &mut p);
    }
}
