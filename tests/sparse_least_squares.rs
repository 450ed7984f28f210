//! Least squares with sparse Jacobians: bundle adjustment by every method that takes one.
#![cfg(feature = "autodiff")]

use argmin::core::{CostFunction, Executor, Gradient, IterState, Solver};
use curvkit::Error;
use curvkit::curvature::GaussNewton;
use curvkit::dataset::bal;
use curvkit::linalg::factor::NormalMethod;
use curvkit::problem::{AutoResidualElement, Bounds, DualNum, DualResidualElement, Linearize, ResidualElements, RobustLoss};
use curvkit::second_order::globalization::{Armijo, TrustRegion};
use curvkit::second_order::methods;
use curvkit::second_order::minimizer::Minimizer;
use curvkit::second_order::subproblem::{
    Damped, Dogleg, Factorized, Gltr, Model, MoreHebden, MoreSorensen, SparseSolver, Steihaug, Subproblem,
};
use curvkit::testbed::bundle_adjustment::{Reprojection, Scene, problem, project, variables};

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// The lowest cost, where it is, and the iterations.
fn run<S: Solver<ResidualElements, State>>(problem: &ResidualElements, x: &[f64], solver: S) -> (f64, Vec<f64>, u64) {
    let run =
        Executor::new(problem.clone(), solver).configure(|state: State| state.param(x.to_vec()).max_iters(200)).run().unwrap();
    (run.state.best_cost, run.state.best_param.unwrap(), run.state.iter)
}

#[test]
fn camera_projects_as_the_definition_says() {
    // A quarter turn about the third axis takes (1, 2, 3) to (−2, 1, 3).
    let quarter = std::f64::consts::FRAC_PI_2;
    let x = [0.0, 0.0, quarter, 0.5, 0.25, -5.0, 100.0, 0.1, 0.01, 1.0, 2.0, 3.0];
    let (u, v) = (-1.5 / 2.0, 1.25 / 2.0);
    let s: f64 = u * u + v * v;
    let factor = 100.0 * (1.0 + 0.1 * s + 0.01 * s * s);
    let pixel = project(&x);
    assert!((pixel[0] - factor * u).abs() < 1e-12 && (pixel[1] - factor * v).abs() < 1e-12, "{pixel:?}");
    // Rotations that are none, or almost: continuous, with the right slope.
    for tiny in [0.0, 1e-17, 1e-9] {
        let mut near = x;
        near[2] = tiny;
        let pixel = project(&near);
        let (u, v) = ((1.5 - 2.0 * tiny) / 2.0, (2.25 + tiny) / 2.0);
        let s: f64 = u * u + v * v;
        let factor = 100.0 * (1.0 + 0.1 * s + 0.01 * s * s);
        assert!((pixel[0] - factor * u).abs() < 1e-12 && (pixel[1] - factor * v).abs() < 1e-12, "{tiny:e}");
    }
}

#[test]
fn gradient_of_a_scene_equals_differences_of_its_cost() {
    let (mut data, _) = Scene { noise: 1.0, ..Scene::default() }.generate().unwrap();
    data.cameras[0][..3].fill(0.0);
    let (problem, x) = (problem(&data).unwrap(), variables(&data));
    let g = problem.gradient(&x).unwrap();
    for i in (0..x.len()).step_by(5).chain(0..9) {
        let h = 1e-4 * (1.0 + x[i].abs()).min(1.0) / if i < 54 && i % 9 < 3 { 10.0 } else { 1.0 };
        let at = |h: f64| {
            let mut x = x.clone();
            x[i] += h;
            problem.cost(&x).unwrap()
        };
        let slope = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
        assert!((g[i] - slope).abs() <= 1e-6 * (1.0 + slope.abs()), "{i}: {} {slope}", g[i]);
    }
}

#[test]
fn exact_scene_is_recovered_from_a_perturbed_start_by_every_solver() {
    let (data, truth) = Scene::default().generate().unwrap();
    let (problem, x) = (problem(&data).unwrap(), variables(&data));
    assert!(problem.cost(&truth).unwrap() < 1e-20 && problem.cost(&x).unwrap() > 1e3);
    let points = 9 * data.cameras.len()..x.len();
    for sparse in [
        SparseSolver::default(),
        SparseSolver::Factorized(NormalMethod::Cholesky),
        SparseSolver::Factorized(NormalMethod::Eliminate(points.collect())),
        SparseSolver::lsmr(),
    ] {
        let mut solver = methods::levenberg_marquardt_sparse();
        solver.subproblem = Damped::sparse(sparse.clone());
        // To the last digits, not to 1e-16 of the whole decrease.
        solver.stopping.gtol_abs = 1e-8;
        let (cost, _, iterations) = run(&problem, &x, solver);
        println!("{sparse:?}: {cost:.1e} after {iterations} iterations");
        assert!(cost < 1e-16, "{sparse:?}: {cost:e}");
    }
    let mut solver = methods::levenberg_marquardt_inexact();
    solver.stopping.gtol_abs = 1e-8;
    let (cost, ..) = run(&problem, &x, solver);
    assert!(cost < 1e-16, "{cost:e}");
}

#[test]
fn sparse_gauss_newton_matrix_works_under_the_other_subproblems() {
    let (data, _) = Scene { points: 20, observations: 80, noise: 0.5, ..Scene::default() }.generate().unwrap();
    let (problem, x) = (problem(&data).unwrap(), variables(&data));
    let best = run(&problem, &x, methods::levenberg_marquardt_sparse()).0;
    let near = |name: &str, found: (f64, Vec<f64>, u64)| {
        println!("{name}: {} after {} iterations", found.0, found.2);
        assert!((found.0 - best).abs() <= 1e-6 * best, "{name}: {} {best}", found.0);
    };
    let region = TrustRegion::default;
    near("Factorized", run(&problem, &x, Minimizer::new(GaussNewton, Factorized::default(), Armijo::default())));
    near("Dogleg", run(&problem, &x, Minimizer::new(GaussNewton, Dogleg::default(), region())));
    near("MoreSorensen", run(&problem, &x, Minimizer::new(GaussNewton, MoreSorensen::default(), region())));
    // Without scaling conjugate gradients are slow; they must go down and be matrix-free.
    for (cost, ..) in [
        run(&problem, &x, Minimizer::new(GaussNewton, Steihaug::default(), region())),
        run(&problem, &x, Minimizer::new(GaussNewton, Gltr::default(), region())),
    ] {
        assert!(cost < 1.1 * best, "{cost} {best}");
    }
}

#[test]
fn dense_only_subproblem_refuses_a_sparse_jacobian() {
    let (data, _) = Scene::default().generate().unwrap();
    let (problem, x) = (problem(&data).unwrap(), variables(&data));
    let (g, shared) = (problem.gradient(&x).unwrap(), problem.linearize(&x).unwrap());
    let curvkit::linalg::Form::SparseGram(gram) = shared.form().unwrap() else { panic!("not sparse") };
    let model = Model { value: 0.0, x: &x, gradient: &g, curvature: &gram };
    assert!(matches!(MoreHebden::default().prepare(&model), Err(Error::Unsupported { .. })));
}

#[test]
fn steps_meet_their_equation_and_predict_the_model() {
    let (data, _) = Scene { noise: 1.0, ..Scene::default() }.generate().unwrap();
    let (problem, x) = (problem(&data).unwrap(), variables(&data));
    let (g, shared) = (problem.gradient(&x).unwrap(), problem.linearize(&x).unwrap());
    let curvkit::linalg::Form::SparseGram(gram) = shared.form().unwrap() else { panic!("not sparse") };
    let model = Model { value: 0.0, x: &x, gradient: &g, curvature: &gram };
    let mut squares = vec![0.0; x.len()];
    gram.column_squares(&mut squares);
    let exact = SparseSolver::Lsmr {
        forcing: curvkit::second_order::subproblem::Forcing { max: 1e-12, exponent: 0.0 },
        max_iterations: 5000,
    };
    for (sparse, tolerance) in
        [(SparseSolver::default(), 1e-12), (SparseSolver::Factorized(NormalMethod::Cholesky), 1e-12), (exact, 1e-10)]
    {
        let (mut solver, mut p, mut image) = (Damped::sparse(sparse.clone()), vec![0.0; x.len()], vec![0.0; gram.pattern.m()]);
        solver.begin();
        solver.prepare(&model).unwrap();
        for mu in [1e-3, 1.0] {
            let step = solver.step(&model, 1.0 / mu, &mut p).unwrap();
            gram.product(&p, &mut image);
            let mut residual = vec![0.0; x.len()];
            gram.transposed_product(&image, &mut residual);
            // In scaled variables, where all columns have length 1.
            let dual: Vec<f64> =
                (0..x.len()).map(|i| (residual[i] + g[i]) / squares[i].sqrt() + mu * p[i] * squares[i].sqrt()).collect();
            let size = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
            let error = size(&mut dual.into_iter()) / size(&mut (0..x.len()).map(|i| g[i] / squares[i].sqrt()));
            assert!(error <= tolerance, "{sparse:?} {mu}: {error:e}");
            let slope: f64 = g.iter().zip(&p).map(|(g, p)| g * p).sum();
            let predicted = -slope - 0.5 * image.iter().map(|v| v * v).sum::<f64>();
            assert!((step.predicted - predicted).abs() <= 1e-9 * predicted, "{sparse:?} {mu}: {step:?} {predicted}");
        }
    }
}

/// The same scene in other units: variable `i` is multiplied by `2^units[i]`.
struct Units {
    inner: Reprojection,
    factors: Vec<[f64; 12]>,
}

impl DualResidualElement<12, 2> for Units {
    fn eval<D: DualNum<f64> + Copy>(&self, k: usize, x: &[D; 12]) -> [D; 2] {
        self.inner.eval(k, &std::array::from_fn(|i| x[i] * self.factors[k][i]))
    }
}

#[test]
fn runs_do_not_depend_on_the_units_of_the_variables() {
    let (data, _) = Scene { noise: 0.5, ..Scene::default() }.generate().unwrap();
    let (plain, x) = (problem(&data).unwrap(), variables(&data));
    let units: Vec<f64> = (0..x.len()).map(|i| 2f64.powi((7 * i as i32) % 41 - 20)).collect();
    let tuples: Vec<[usize; 12]> = data
        .observations
        .iter()
        .map(|o| std::array::from_fn(|i| if i < 9 { 9 * o.camera + i } else { 54 + 3 * o.point + i - 9 }))
        .collect();
    let factors = tuples.iter().map(|tuple| tuple.map(|i| units[i])).collect();
    let inner = Reprojection(data.observations.iter().map(|o| o.pixel).collect());
    let scaled = ResidualElements::builder(x.len()).group(AutoResidualElement(Units { inner, factors }), tuples).build().unwrap();
    let start: Vec<f64> = x.iter().zip(&units).map(|(x, u)| x / u).collect();
    for method in [NormalMethod::Automatic, NormalMethod::Cholesky] {
        let solver = || {
            let mut solver = methods::levenberg_marquardt_sparse();
            solver.subproblem = Damped::sparse(SparseSolver::Factorized(method.clone()));
            // The gradient's own test has units.
            (solver.stopping.gtol_abs, solver.stopping.gtol_rel, solver.stopping.ftol) = (0.0, 0.0, 1e-10);
            solver
        };
        let (a, b) = (run(&plain, &x, solver()), run(&scaled, &start, solver()));
        // Powers of two are exact: so is the agreement.
        assert_eq!((a.0, a.2), (b.0, b.2), "{method:?}");
        assert!(a.1.iter().zip(&b.1).zip(&units).all(|((a, b), u)| *a == b * u), "{method:?}");
    }
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    let scene = Scene { cameras: 10, points: 1500, observations: 6000, noise: 0.5, ..Scene::default() };
    let (data, _) = scene.generate().unwrap();
    let (problem, x) = (problem(&data).unwrap(), variables(&data));
    for sparse in [SparseSolver::default(), SparseSolver::Factorized(NormalMethod::Cholesky), SparseSolver::lsmr()] {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut solver = methods::levenberg_marquardt_sparse();
            solver.subproblem = Damped::sparse(sparse.clone());
            solver.stopping.ftol = 1e-6;
            pool.install(|| run(&problem, &x, solver))
        };
        let one = on(1);
        println!("{sparse:?}: {} after {} iterations", one.0, one.2);
        assert!([2, 4].into_iter().all(|threads| on(threads) == one), "{sparse:?}");
    }
}

#[test]
fn robust_losses_see_through_gross_errors() {
    let (mut data, _) = Scene { points: 100, observations: 500, noise: 0.1, ..Scene::default() }.generate().unwrap();
    // Every twelfth observation is off by a hundred pixels or so.
    data.observations.iter_mut().step_by(12).for_each(|o| o.pixel = o.pixel.map(|p| p + 90.0 + 10.0 * p.sin()));
    let (plain, x) = (problem(&data).unwrap(), variables(&data));
    let tuples: Vec<[usize; 12]> = data
        .observations
        .iter()
        .map(|o| std::array::from_fn(|i| if i < 9 { 9 * o.camera + i } else { 54 + 3 * o.point + i - 9 }))
        .collect();
    // Mean square error of the good observations, in pixels.
    let good = |x: &[f64]| {
        let r = plain.residuals_at(x).unwrap();
        let kept: Vec<f64> =
            r.chunks(2).enumerate().filter(|(k, _)| k % 12 != 0).map(|(_, r)| r[0] * r[0] + r[1] * r[1]).collect();
        (kept.iter().sum::<f64>() / (2 * kept.len()) as f64).sqrt()
    };
    let squares = good(&run(&plain, &x, methods::levenberg_marquardt_sparse()).1);
    // A convex loss bounds what a gross error does, one that falls off forgets it.
    for (loss, bound) in [(RobustLoss::Huber, 0.05 * squares), (RobustLoss::SoftL1, 0.05 * squares), (RobustLoss::Cauchy, 0.2)] {
        let element = AutoResidualElement(Reprojection(data.observations.iter().map(|o| o.pixel).collect()));
        let robust = ResidualElements::builder(x.len()).group(element, tuples.clone()).robust(loss, 0.5).build().unwrap();
        let found = good(&run(&robust, &x, methods::levenberg_marquardt_sparse()).1);
        println!("{loss:?}: {found:.3} pixels, least squares {squares:.3}");
        assert!(found < bound && squares > 2.0, "{loss:?}: {found} {squares}");
    }
}

#[test]
fn scenes_and_data_that_do_not_fit_together_are_errors() {
    let scene = |cameras, points, observations| Scene { cameras, points, observations, ..Scene::default() }.generate();
    assert!(scene(1, 5, 5).is_err() && scene(3, 5, 9).is_err() && scene(3, 5, 16).is_err());
    assert!(Scene { noise: f64::NAN, ..Scene::default() }.generate().is_err());
    let (data, truth) = scene(3, 5, 12).unwrap();
    assert_eq!((data.observations.len(), truth.len()), (12, 42));
    assert_eq!(bal::parse("scene", &data.to_string()).unwrap(), data);
    let mut wrong = data.clone();
    wrong.observations[3].point = 5;
    assert!(matches!(problem(&wrong).err(), Some(Error::Dimension { .. })));
}

#[test]
fn bounds_hold_over_sparse_jacobians() {
    let (data, truth) = Scene { noise: 0.5, ..Scene::default() }.generate().unwrap();
    let (problem, x) = (problem(&data).unwrap(), variables(&data));
    // Focal lengths may not reach their true values; nor may the first coordinate of every seventh point.
    let (mut lower, mut upper) = (vec![f64::NEG_INFINITY; x.len()], vec![f64::INFINITY; x.len()]);
    let points = 9 * data.cameras.len();
    for camera in 0..data.cameras.len() {
        upper[9 * camera + 6] = truth[9 * camera + 6] * 0.995;
    }
    (points..x.len()).step_by(21).for_each(|i| lower[i] = truth[i] + 0.01);
    let bounds = Bounds::new(lower, upper).unwrap();
    let mut start = x.clone();
    bounds.project(&mut start).unwrap();
    let mut answers = Vec::new();
    for sparse in [SparseSolver::default(), SparseSolver::Factorized(NormalMethod::Cholesky), SparseSolver::lsmr()] {
        let mut solver = methods::levenberg_marquardt_sparse().within(bounds.clone());
        solver.subproblem = Damped::sparse(sparse);
        (solver.stopping.gtol_abs, solver.stopping.gtol_rel, solver.stopping.ftol) = (0.0, 1e-10, 0.0);
        let (cost, x, iterations) = run(&problem, &start, solver);
        let g = problem.gradient(&x).unwrap();
        let largest = problem.gradient(&start).unwrap().iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let (mut active, mut free) = (0, 0.0f64);
        for (i, (x, g)) in x.iter().zip(&g).enumerate() {
            assert!(bounds.lower()[i] <= *x && *x <= bounds.upper()[i]);
            if *x == bounds.lower()[i] || *x == bounds.upper()[i] {
                active += 1;
                let inward = if *x == bounds.lower()[i] { *g } else { -g };
                assert!(inward >= 0.0, "{i}: the wrong sign of a multiplier");
            } else {
                free = free.max(g.abs());
            }
        }
        println!("{iterations} iterations, cost {cost:.10}, {active} active, free gradient {:.1e}", free / largest);
        assert!(active > 0 && free <= 1e-8 * largest, "{active} {:e}", free / largest);
        answers.push(cost);
    }
    assert!(answers.iter().all(|cost| (cost - answers[0]).abs() <= 1e-8 * answers[0]), "{answers:?}");
}
