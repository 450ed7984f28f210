//! Least-squares subproblems against dense references, the methods on published problems, and faulty residuals.

use argmin::core::{Executor, IterState, Solver};
use curvkit::linalg::operator::{DenseMatrix, Gram};
use curvkit::linalg::{Form, Operator};
use curvkit::problem::{FromArgmin, LeastSquares, Residuals};
use curvkit::second_order::subproblem::{Damped, Model, MoreHebden, MoreSorensen, Steihaug, Subproblem};
use curvkit::second_order::{globalization, methods, minimizer::Minimizer};
use curvkit::{Error, curvature, testbed};
use nalgebra::{DMatrix, DVector};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

struct Case {
    m: usize,
    n: usize,
    j: Vec<f64>,
    r: Vec<f64>,
}

impl Case {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let (m, n) = (rng.random_range(1..30), rng.random_range(1..9));
        let scale: Vec<f64> = (0..n).map(|_| 10f64.powf(rng.random_range(-6.0..6.0))).collect();
        let j = (0..m * n).map(|k| scale[k / m] * rng.random_range(-1.0..1.0)).collect();
        Self { m, n, j, r: (0..m).map(|_| rng.random_range(-1.0..1.0)).collect() }
    }
    fn gram(&self) -> Gram<'_> {
        Gram::new(self.n, &self.j, &self.r).unwrap()
    }
    fn matrix(&self) -> DMatrix<f64> {
        DMatrix::from_column_slice(self.m, self.n, &self.j)
    }
    fn gradient(&self) -> Vec<f64> {
        let mut g = vec![0.0; self.n];
        self.gram().gradient(&mut g);
        g
    }
    fn scale(&self) -> Vec<f64> {
        self.matrix().column_iter().map(|c| c.norm()).collect()
    }
}

/// `‖D⁻¹ (Jᵀ(Jp + r) + μ D²p)‖` against its parts, and `‖D p‖`.
fn optimality(case: &Case, p: &[f64], mu: f64) -> (f64, f64) {
    let (j, d) = (case.matrix(), case.scale());
    let q = DVector::from_iterator(case.n, p.iter().zip(&d).map(|(p, d)| p * d));
    let scaled = DMatrix::from_fn(case.m, case.n, |a, b| j[(a, b)] / d[b]);
    let residual = scaled.transpose() * (&scaled * &q + DVector::from_row_slice(&case.r)) + &q * mu;
    let size = (1.0 + mu) * q.norm() + DVector::from_row_slice(&case.r).norm();
    (residual.norm() / size, q.norm())
}

#[test]
fn steps_in_the_scaled_ball_meet_the_optimality_conditions() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut worst = [0.0f64; 2];
    for _ in 0..5000 {
        let case = Case::random(&mut rng);
        let (gram, g, x) = (case.gram(), case.gradient(), vec![0.0; case.n]);
        let model = Model { value: 0.0, x: &x, gradient: &g, curvature: &gram };
        let mut solver = MoreHebden::default();
        solver.tolerance = 1e-10;
        solver.begin();
        solver.prepare(&model).unwrap();
        let mut p = vec![0.0; case.n];
        for radius in [1e3, 0.3, 1e-2, 1e-6, 0.3] {
            let step = solver.step(&model, radius, &mut p).unwrap();
            let (kkt, length) = optimality(&case, &p, solver.multiplier());
            worst[0] = worst[0].max(kkt);
            assert!(kkt <= 1e-12, "{kkt:e} at radius {radius}");
            let on_boundary = ((length - radius) / radius).abs();
            if solver.multiplier() > 0.0 && case.m < case.n {
                // A deficient rank may have its shortest solution inside the ball: complementarity holds.
                let slack = solver.multiplier() * (length - radius).abs();
                assert!(slack <= 1e-10 * (solver.multiplier() * radius).max(1e-2), "{length} {radius}");
            } else if solver.multiplier() > 0.0 {
                worst[1] = worst[1].max(on_boundary);
                assert!(on_boundary <= 2e-10, "{length} {radius}");
            } else {
                assert!(length <= radius * (1.0 + 1e-12));
            }
            let (jp, gp) = (case.matrix() * DVector::from_row_slice(&p), g.iter().zip(&p).map(|(g, p)| g * p).sum::<f64>());
            let predicted = -gp - 0.5 * jp.norm_squared();
            assert!((step.predicted - predicted).abs() <= 1e-11 * (gp.abs() + jp.norm_squared()), "{step:?} {predicted}");
        }
    }
    println!("worst: optimality {:.1e}, boundary {:.1e}", worst[0], worst[1]);
}

#[test]
fn damped_steps_solve_their_equation_for_both_kinds_of_matrix() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for _ in 0..2000 {
        let case = Case::random(&mut rng);
        let (gram, g, x) = (case.gram(), case.gradient(), vec![0.0; case.n]);
        let model = Model { value: 0.0, x: &x, gradient: &g, curvature: &gram };
        let (mut solver, mut p) = (Damped::default(), vec![0.0; case.n]);
        solver.prepare(&model).unwrap();
        for size in [1e8, 1.0, 1e-3] {
            solver.step(&model, size, &mut p).unwrap();
            assert!(optimality(&case, &p, 1.0 / size).0 <= 1e-12);
        }
    }
    // Any other matrix: B + μI, damped more where that is indefinite.
    let b = DenseMatrix::new(2, vec![1.0, 0.0, 0.0, -4.0]).unwrap();
    let model = Model { value: 0.0, x: &[0.0; 2], gradient: &[2.0, 1.0], curvature: &b };
    let (mut solver, mut p) = (Damped::default(), [0.0; 2]);
    solver.prepare(&model).unwrap();
    solver.step(&model, 0.1, &mut p).unwrap();
    assert!((p[0] + 2.0 / 11.0).abs() < 1e-15 && (p[1] + 1.0 / 6.0).abs() < 1e-15, "{p:?}");
    let step = solver.step(&model, 1.0, &mut p).unwrap();
    assert!(step.slope < 0.0 && p.iter().all(|p| p.is_finite()));
}

#[test]
fn gauss_newton_matrix_works_under_every_subproblem() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let case =
        Case { j: (0..60).map(|_| rng.random_range(-1.0..1.0)).collect(), ..Case { m: 12, n: 5, j: vec![], r: vec![1.0; 12] } };
    let (gram, g) = (case.gram(), case.gradient());
    let dense = case.matrix().transpose() * case.matrix();
    let dense = DenseMatrix::new(5, dense.as_slice().to_vec()).unwrap();
    let both: [Operator<'_>; 2] = [Box::new(gram), Box::new(dense)];
    assert!(matches!(both[0].form(), Form::Gram(_)));
    let steps: Vec<[Vec<f64>; 2]> = both
        .iter()
        .map(|b| {
            let model = Model { value: 0.0, x: &[0.0; 5], gradient: &g, curvature: &**b };
            let (mut p, mut q) = (vec![0.0; 5], vec![0.0; 5]);
            let (mut exact, mut steihaug) = (MoreSorensen::default(), Steihaug::default());
            exact.prepare(&model).unwrap();
            exact.step(&model, 0.3, &mut p).unwrap();
            steihaug.prepare(&model).unwrap();
            steihaug.step(&model, 0.3, &mut q).unwrap();
            [p, q]
        })
        .collect();
    for (a, b) in steps[0].iter().flatten().zip(steps[1].iter().flatten()) {
        assert!((a - b).abs() < 1e-13, "{a} {b}");
    }
}

fn run<S: Solver<LeastSquares<Arc<dyn Residuals>>, State>>(name: &str, solver: S) -> (f64, u64) {
    let p = testbed::problem(name, None).unwrap();
    let problem = LeastSquares::new(p.residuals.clone().unwrap());
    let run = Executor::new(problem, solver).configure(|s: State| s.param(p.start.clone()).max_iters(1000)).run().unwrap();
    (2.0 * run.state.best_cost, run.state.iter)
}

#[test]
fn least_squares_methods_find_the_published_minima() {
    for (name, best) in [
        ("rosenbrock", 0.0),
        ("helical_valley", 0.0),
        ("bard", 8.214877306578e-3),
        ("kowalik_osborne", 3.0750560384924e-4),
        ("brown_dennis", 8.58222016263563e4),
        ("osborne1", 5.464894697e-5),
    ] {
        let found = [
            run(name, methods::levenberg_marquardt()),
            run(name, methods::levenberg_marquardt_geodesic()),
            run(name, methods::levenberg_marquardt_nielsen()),
            // Gauss–Newton under the other searches and regions.
            run(name, Minimizer::new(curvature::GaussNewton, MoreSorensen::default(), globalization::TrustRegion::default())),
        ];
        println!("{name}: {found:?}");
        for (f, _) in found {
            assert!((f - best).abs() <= 1e-6 * best.max(1e-6), "{name}: {f}");
        }
    }
    let (f, iterations) = run("rosenbrock", methods::gauss_newton());
    assert!(f < 1e-20 && iterations < 50);
}

#[test]
fn acceleration_pays_in_a_curved_valley() {
    let mut straight = methods::levenberg_marquardt_geodesic();
    straight.subproblem.accelerate = false;
    let (f, plain) = run("meyer", straight);
    let (g, bent) = run("meyer", methods::levenberg_marquardt_geodesic());
    println!("meyer: {plain} straight, {bent} accelerated iterations");
    assert!((f - 87.9458).abs() < 1e-3 && (g - 87.9458).abs() < 1e-3 && bent < plain);
}

#[test]
fn argmin_pairs_enter_as_residuals() {
    struct Pair;
    impl argmin::core::Operator for Pair {
        type Param = Vec<f64>;
        type Output = Vec<f64>;
        fn apply(&self, x: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
            Ok(vec![10.0 * (x[1] - x[0] * x[0]), 1.0 - x[0]])
        }
    }
    impl argmin::core::Jacobian for Pair {
        type Param = Vec<f64>;
        type Jacobian = Vec<Vec<f64>>;
        fn jacobian(&self, x: &Vec<f64>) -> Result<Vec<Vec<f64>>, argmin::core::Error> {
            Ok(vec![vec![-20.0 * x[0], 10.0], vec![-1.0, 0.0]])
        }
    }
    let problem = LeastSquares::new(FromArgmin::new(Pair, 2, 2));
    let run = Executor::new(problem, methods::levenberg_marquardt())
        .configure(|s: State| s.param(vec![-1.2, 1.0]).max_iters(100))
        .run()
        .unwrap();
    assert!(run.state.best_cost < 1e-20);
    let wrong = FromArgmin::new(Pair, 2, 3);
    assert!(matches!(wrong.residuals(&[0.0; 2], &mut [0.0; 3]), Err(Error::Dimension { .. })));
}

/// `r = (ln x, x − 2)`: no number for negative `x`; fails beyond 100.
struct Logarithm;
impl Residuals for Logarithm {
    fn n(&self) -> usize {
        1
    }
    fn m(&self) -> usize {
        2
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        if x[0] > 100.0 {
            return Err(Error::Unsupported { what: "the model", requirement: "x up to 100" });
        }
        (out[0], out[1]) = (x[0].ln(), x[0] - 2.0);
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        (out[0], out[1]) = (1.0 / x[0], 1.0);
        Ok(())
    }
}

#[test]
fn trial_points_without_a_value_are_rejected_and_failures_keep_the_best_point() {
    let solve = |start: f64| {
        let mut solver = methods::levenberg_marquardt();
        solver.stopping.gtol_rel = 0.0;
        Executor::new(LeastSquares::new(Logarithm), solver).configure(|s: State| s.param(vec![start]).max_iters(100)).run()
    };
    let run = solve(50.0).unwrap(); // the full Gauss–Newton step goes below zero
    let x = run.state.best_param.unwrap()[0];
    assert!((x.ln() / x + x - 2.0).abs() < 1e-8, "{x}");
    assert!(solve(-1.0).is_err() && solve(1e9).is_err());
    let mismatch = Model { value: 0.0, x: &[0.0], gradient: &[1.0], curvature: &DenseMatrix::new(1, vec![1.0]).unwrap() };
    assert!(matches!(MoreHebden::default().prepare(&mismatch), Err(Error::Unsupported { .. })));
}
