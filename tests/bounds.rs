//! Minimization within bounds: known answers, feasibility of every evaluation, and optimality by multipliers.

use argmin::core::{CostFunction, Executor, Gradient, Hessian};
use curvkit::curvature::{Curvature, Lbfgs};
use curvkit::linalg::vector::norm;
use curvkit::problem::{Bounds, LeastSquares, Linearize, ResidualHessian, Residuals, Side, check};
use curvkit::second_order::certificate::PointKind;
use curvkit::second_order::globalization::{Armijo, Globalization};
use curvkit::second_order::methods;
use curvkit::second_order::minimizer::{Minimizer, State};
use curvkit::second_order::subproblem::{Factorized, Subproblem};
use curvkit::testbed::{TestProblem, problem};
use curvkit::{Error, Result, Stop};
use nalgebra::DMatrix;

type Fallible<T> = std::result::Result<T, argmin::core::Error>;
const INF: f64 = f64::INFINITY;

/// Residuals that may not be evaluated outside their bounds.
struct Fenced<R> {
    inner: R,
    bounds: Bounds,
}

impl<R: Residuals> Residuals for Fenced<R> {
    fn n(&self) -> usize {
        self.inner.n()
    }
    fn m(&self) -> usize {
        self.inner.m()
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "residuals outside the bounds at {x:?}");
        self.inner.residuals(x, out)
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "Jacobian outside the bounds at {x:?}");
        self.inner.jacobian(x, out)
    }
}

impl<R: ResidualHessian> ResidualHessian for Fenced<R> {
    fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "Hessian outside the bounds at {x:?}");
        self.inner.weighted_hessian(x, weights, out)
    }
}

type Run<C, S, G> = (Vec<f64>, f64, Minimizer<C, S, G>);

fn run<O, C, S, G>(problem: O, start: &[f64], solver: Minimizer<C, S, G>) -> Run<C, S, G>
where
    O: CostFunction<Param = Vec<f64>, Output = f64> + Gradient<Param = Vec<f64>, Gradient = Vec<f64>>,
    S: Subproblem,
    G: Globalization<S::Region>,
    C: Curvature<O>,
{
    let run = Executor::new(problem, solver)
        .configure(|state: State<Vec<f64>>| state.param(start.to_vec()).max_iters(500))
        .run()
        .unwrap();
    (run.state.best_param.unwrap(), run.state.best_cost, run.solver)
}

/// `100 (x₂ − x₁²)² + (1 − x₁)²` as residuals times √2, so that `½‖r‖²` is the function itself.
struct Rosenbrock;
impl Residuals for Rosenbrock {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        2
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let s = 2f64.sqrt();
        out.copy_from_slice(&[10.0 * s * (x[1] - x[0] * x[0]), s * (1.0 - x[0])]);
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let s = 2f64.sqrt();
        out.copy_from_slice(&[-20.0 * s * x[0], -s, 10.0 * s, 0.0]);
        Ok(())
    }
}
impl ResidualHessian for Rosenbrock {
    fn weighted_hessian(&self, _: &[f64], w: &[f64], out: &mut [f64]) -> Result<()> {
        out.copy_from_slice(&[-20.0 * 2f64.sqrt() * w[0], 0.0, 0.0, 0.0]);
        Ok(())
    }
}

fn fenced<R: ResidualHessian + 'static>(residuals: R, lower: &[f64], upper: &[f64]) -> (LeastSquares<Fenced<R>>, Bounds) {
    let bounds = Bounds::new(lower.to_vec(), upper.to_vec()).unwrap();
    (LeastSquares::new(Fenced { inner: residuals, bounds: bounds.clone() }), bounds)
}

/// Every method that takes bounds, on one least-squares problem.
fn each_method<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    bounds: &Bounds,
    start: &[f64],
    check: impl Fn(&str, &[f64], f64, &Stop),
) {
    macro_rules! methods {
        ($($name:ident),*) => {$({
            let mut solver = methods::$name().within(bounds.clone());
            solver.stopping.gtol_rel = 0.0;
            solver.stopping.gtol_abs = 1e-10;
            let (x, cost, solver) = run(problem.clone(), start, solver);
            let stop = solver.stop().cloned().unwrap_or(Stop::Iterations { count: 500, bound: 500 });
            println!("{:32} {:?} {cost:.12e} {} {stop}", stringify!($name), x, solver.tally().cost);
            check(stringify!($name), &x, cost, &stop);
        })*};
    }
    methods!(
        newton,
        trust_region_exact,
        dogleg,
        cubic_regularization,
        gauss_newton,
        levenberg_marquardt,
        levenberg_marquardt_geodesic,
        levenberg_marquardt_nielsen
    );
}

/// Hock & Schittkowski 1 and 2: Rosenbrock's function with `x₂ ≥ −1.5` (inactive) and `x₂ ≥ 1.5` (active).
#[test]
fn hock_schittkowski_1_and_2_are_solved_by_every_method() {
    let (problem, bounds) = fenced(Rosenbrock, &[-INF, -1.5], &[INF, INF]);
    each_method(&problem, &bounds, &[-2.0, 1.0], |name, x, _, _| {
        assert!((x[0] - 1.0).abs() < 1e-9 && (x[1] - 1.0).abs() < 1e-9, "{name}: {x:?}");
    });
    let (problem, bounds) = fenced(Rosenbrock, &[-INF, 1.5], &[INF, INF]);
    // With x₂ = 3/2: 400 x³ − 598 x − 2 = 0; the minimum is the largest root 2a cos(⅓ arccos(1/b)).
    let (a, b) = ((598.0f64 / 1200.0).sqrt(), 400.0 * (598.0f64 / 1200.0).powf(1.5));
    let best = 2.0 * a * ((1.0 / b).acos() / 3.0).cos();
    assert!((400.0 * best.powi(3) - 598.0 * best - 2.0).abs() < 1e-11);
    each_method(&problem, &bounds, &[-2.0, 1.0], |name, x, cost, _| {
        let root = if x[0] > 0.0 { best } else { x[0] };
        assert!((400.0 * root.powi(3) - 598.0 * root - 2.0).abs() < 1e-7, "{name}: {x:?}");
        assert!(x[1] == 1.5 && (x[0] < 0.0 || (cost - 0.0504261879).abs() < 1e-9), "{name}: {x:?} {cost}");
        assert!((x[0] - root).abs() < 1e-10, "{name}: {x:?}");
    });
}

/// `½‖r‖²` and its gradient meet the conditions of first order within bounds, in the units of the columns of `J`.
fn check_conditions<R: Residuals + 'static>(name: &str, problem: &LeastSquares<R>, bounds: &Bounds, x: &[f64]) {
    let point = problem.linearize(&x.to_vec()).unwrap();
    let gram = point.gram().unwrap();
    let mut g = vec![0.0; x.len()];
    gram.gradient(&mut g);
    for (i, g) in g.iter().enumerate() {
        // Residuals of Powell's problem are differences of terms of order one: their rounding, times a column of 1e5.
        let rounding = 64.0 * f64::EPSILON * norm(gram.column(i));
        let level = (1e-10 * (norm(gram.column(i)) * norm(gram.residual)).max(1.0)).max(rounding);
        match bounds.side(i, x[i]) {
            None => assert!(g.abs() <= level, "{name}: free {i} at {x:?}: {g:e}"),
            Some(Side::Lower) => assert!(*g >= -level, "{name}: lower {i} at {x:?}: {g:e}"),
            Some(Side::Upper) => assert!(*g <= level, "{name}: upper {i} at {x:?}: {g:e}"),
            Some(Side::Both) => {}
        }
    }
}

/// Levenberg–Marquardt methods on residuals of a test problem, none of which is evaluated outside.
fn bounded_mgh(name: &str, start: &[f64], lower: &[f64], upper: &[f64], published: f64, relative: f64) {
    let test: TestProblem = problem(name, None).unwrap();
    let bounds = Bounds::new(lower.to_vec(), upper.to_vec()).unwrap();
    let fenced = LeastSquares::new(Fenced { inner: test.residuals.clone().unwrap(), bounds: bounds.clone() });
    macro_rules! methods {
        ($($method:ident),*) => {$({
            let mut solver = methods::$method().within(bounds.clone());
            (solver.stopping.gtol_rel, solver.stopping.gtol_abs) = (0.0, 1e-12);
            let (x, _, solver) = run(fenced.clone(), start, solver);
            let sum = test.function.cost(&x).unwrap();
            println!("{name:22} {:30} {x:?} {sum:.9e} {}", stringify!($method), solver.tally().cost);
            // The last digits of accelerated steps are those of differences of residuals.
            if stringify!($method) != "levenberg_marquardt_geodesic" {
                check_conditions(&format!("{name} {}", stringify!($method)), &fenced, &bounds, &x);
            }
            assert!((sum - published).abs() <= relative * published.max(1e-14), "{name} {}: {sum}", stringify!($method));
        })*};
    }
    methods!(levenberg_marquardt, levenberg_marquardt_geodesic, levenberg_marquardt_nielsen, gauss_newton);
}

/// Bounds and minima of Gay (1984) for problems of Moré, Garbow and Hillstrom, to half a unit of the last published digit.
#[test]
fn bounded_problems_of_gay_have_their_published_minima() {
    bounded_mgh("powell_badly_scaled", &[0.0, 1.0], &[0.0, 1.0], &[1.0, 9.0], 0.151259e-9, 3.4e-6);
    bounded_mgh("brown_badly_scaled", &[1.0, 1.0], &[0.0, 3e-5], &[1e6, 100.0], 784.0, 1e-6);
    bounded_mgh("beale", &[1.0, 1.0], &[0.6, 0.5], &[10.0, 100.0], 0.0, 1e-6);
    bounded_mgh("helical_valley", &[-1.0, 0.0, 0.0], &[-100.0, -1.0, -1.0], &[0.8, 1.0, 1.0], 0.99042212, 1e-7);
    bounded_mgh("gaussian", &[0.4, 1.0, 0.0], &[0.398, 1.0, -0.5], &[4.2, 2.0, 0.1], 0.112793e-7, 4.5e-6);
}

/// Hock & Schittkowski 25: `fᵢ = −i/100 + exp(−(uᵢ − x₂)^x₃ / x₁)`, zero at (50, 25, 3/2).
struct Hs25;
impl Hs25 {
    fn terms(x: &[f64], i: usize) -> (f64, f64, f64) {
        let u = 25.0 + (-50.0 * (0.01 * (i + 1) as f64).ln()).powf(2.0 / 3.0);
        let (base, power) = (u - x[1], (u - x[1]).powf(x[2]));
        (base, power, (-power / x[0]).exp())
    }
}
impl Residuals for Hs25 {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        99
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().enumerate().for_each(|(i, o)| *o = Self::terms(x, i).2 - 0.01 * (i + 1) as f64);
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        for i in 0..99 {
            let (base, power, e) = Self::terms(x, i);
            out[i] = e * power / (x[0] * x[0]);
            out[99 + i] = e * x[2] * power / (base * x[0]);
            out[198 + i] = -e * power * base.ln() / x[0];
        }
        Ok(())
    }
}

#[test]
fn hock_schittkowski_25_is_solved_without_leaving_the_bounds_where_it_has_no_value() {
    let bounds = Bounds::new(vec![0.1, 0.0, 0.0], vec![100.0, 25.6, 5.0]).unwrap();
    let problem = LeastSquares::new(Fenced { inner: Hs25, bounds: bounds.clone() });
    // The published start (100, 12.5, 3) lies on a plateau where the gradient vanishes to rounding; this one does not.
    for start in [[30.0, 20.0, 1.0], [80.0, 25.6, 2.0], [1.0, 25.0, 0.5]] {
        let mut solver = methods::levenberg_marquardt_geodesic().within(bounds.clone());
        (solver.stopping.gtol_rel, solver.stopping.gtol_abs) = (0.0, 1e-11);
        let (x, cost, solver) = run(problem.clone(), &start, solver);
        println!("{x:?} {cost:e} {} {:?}", solver.tally().cost, solver.stop());
        assert!((x[0] - 50.0).abs() < 1e-6 && (x[1] - 25.0).abs() < 1e-7 && (x[2] - 1.5).abs() < 1e-7, "{x:?}");
    }
}

/// A smooth function of two variables that may not be evaluated outside.
#[derive(Clone)]
struct Plane {
    value: fn(f64, f64) -> (f64, [f64; 2], [f64; 3]),
    bounds: Bounds,
}
impl Plane {
    fn at(&self, x: &[f64]) -> (f64, [f64; 2], [f64; 3]) {
        assert!(self.bounds.contains(x), "evaluated outside at {x:?}");
        (self.value)(x[0], x[1])
    }
}
impl CostFunction for Plane {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Fallible<f64> {
        Ok(self.at(x).0)
    }
}
impl Gradient for Plane {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Fallible<Vec<f64>> {
        Ok(self.at(x).1.to_vec())
    }
}
impl Hessian for Plane {
    type Param = Vec<f64>;
    type Hessian = DMatrix<f64>;
    fn hessian(&self, x: &Vec<f64>) -> Fallible<DMatrix<f64>> {
        let [a, b, c] = self.at(x).2;
        Ok(DMatrix::from_row_slice(2, 2, &[a, b, b, c]))
    }
}

fn plane(value: fn(f64, f64) -> (f64, [f64; 2], [f64; 3]), lower: [f64; 2], upper: [f64; 2]) -> Plane {
    Plane { value, bounds: Bounds::new(lower.to_vec(), upper.to_vec()).unwrap() }
}

fn hs3(x: f64, y: f64) -> (f64, [f64; 2], [f64; 3]) {
    let d = y - x;
    (y + 1e-5 * d * d, [-2e-5 * d, 1.0 + 2e-5 * d], [2e-5, -2e-5, 2e-5])
}

fn hs5(x: f64, y: f64) -> (f64, [f64; 2], [f64; 3]) {
    let (s, c) = (x + y).sin_cos();
    let d = x - y;
    (s + d * d - 1.5 * x + 2.5 * y + 1.0, [c + 2.0 * d - 1.5, c - 2.0 * d + 2.5], [2.0 - s, -2.0 - s, 2.0 - s])
}

/// `x² − y² + y⁴/8`: a saddle at the origin; for `|y| ≤ 1` the minima are at the bounds.
fn saddle(x: f64, y: f64) -> (f64, [f64; 2], [f64; 3]) {
    (x * x - y * y + y.powi(4) / 8.0, [2.0 * x, -2.0 * y + 0.5 * y.powi(3)], [2.0, 0.0, -2.0 + 1.5 * y * y])
}

#[test]
fn hock_schittkowski_3_and_5_have_their_answers_and_certificates() {
    const INF: f64 = f64::INFINITY;
    let (three, five) = (plane(hs3, [-INF, 0.0], [INF, INF]), plane(hs5, [-1.5, -3.0], [4.0, 3.0]));
    let third = std::f64::consts::FRAC_PI_3;
    macro_rules! methods {
        ($($method:ident),*) => {$({
            let (x, cost, solver) = run(three.clone(), &[10.0, 1.0], methods::$method().within(three.bounds.clone()));
            println!("{} {x:?} {cost:e} {:?}", stringify!($method), solver.stop());
            assert!(x[1] == 0.0 && x[0].abs() <= 1e-3 && cost <= 1e-11, "{x:?}");
            if let Some(certificate) = solver.certificate().filter(|c| c.verdict != PointKind::Undetermined) {
                let [active] = certificate.active[..] else { panic!("{:?}", certificate.active) };
                assert!((active.index, active.side) == (1, Side::Lower) && (active.multiplier - 1.0).abs() < 1e-6);
                // What is left is the curvature of the free variable.
                assert_eq!((certificate.verdict, certificate.smallest_curvature), (PointKind::Minimum, Some(2e-5)));
            }
            let (x, cost, solver) = run(five.clone(), &[0.0, 0.0], methods::$method().within(five.bounds.clone()));
            println!("{} {x:?} {cost:e} {:?}", stringify!($method), solver.stop());
            assert!((x[0] + third - 0.5).abs() < 1e-8 && (x[1] + third + 0.5).abs() < 1e-8, "{x:?}");
            assert!((cost + 3f64.sqrt() / 2.0 + third).abs() < 1e-13 && solver.stop().is_some_and(Stop::converged));
        })*};
    }
    methods!(newton, trust_region_exact, dogleg, two_dimensional, cubic_regularization, saddle_free_newton, sr1);
}

#[test]
fn saddle_is_left_and_the_minimum_at_the_bound_is_exact() {
    let p = plane(saddle, [-1.0, -1.0], [1.0, 1.0]);
    let (x, cost, solver) = run(p.clone(), &[0.0, 0.0], methods::trust_region_exact().within(p.bounds.clone()));
    assert!(solver.escapes() == 1 && x[1].abs() == 1.0 && x[0].abs() < 1e-8 && (cost + 0.875).abs() < 1e-15, "{x:?} {cost}");
    let certificate = solver.certificate().unwrap();
    assert_eq!((certificate.verdict, certificate.active.len()), (PointKind::Minimum, 1));
    assert_eq!(certificate.active[0].multiplier, 1.5);
}

#[test]
fn start_outside_is_moved_and_said_and_a_binding_corner_is_an_answer() {
    let p = plane(hs5, [-1.5, -3.0], [4.0, 3.0]);
    let (x, _, solver) = run(p.clone(), &[9.0, 0.0], methods::newton().within(p.bounds.clone()));
    assert_eq!((solver.moved(), p.bounds.contains(&x)), (&[0][..], true));
    // x ≥ 1, y ≥ 1: the gradient of x² + y² … points inwards at the corner.
    fn bowl(x: f64, y: f64) -> (f64, [f64; 2], [f64; 3]) {
        (x * x + y * y, [2.0 * x, 2.0 * y], [2.0, 0.0, 2.0])
    }
    let p = plane(bowl, [1.0, 1.0], [2.0, f64::INFINITY]);
    let (x, cost, solver) = run(p.clone(), &[1.0, 1.0], methods::trust_region_exact().within(p.bounds.clone()));
    assert_eq!((x, cost, solver.tally().cost), (vec![1.0, 1.0], 2.0, 1));
    let certificate = solver.certificate().unwrap();
    assert_eq!((certificate.verdict, certificate.active.len(), certificate.gradient_norm), (PointKind::Minimum, 2, 0.0));
    // From elsewhere both bounds are reached by one step.
    let (x, _, solver) = run(p.clone(), &[1.5, 7.0], methods::trust_region_exact().within(p.bounds.clone()));
    assert!(x == [1.0, 1.0] && solver.tally().cost <= 4, "{x:?} {}", solver.tally().cost);
    // Equal bounds fix a variable.
    let p = plane(hs5, [0.25, -3.0], [0.25, 3.0]);
    let (x, _, _) = run(p.clone(), &[0.0, 0.0], methods::newton().within(p.bounds.clone()));
    let slope = hs5(x[0], x[1]).1[1];
    assert!(x[0] == 0.25 && slope.abs() < 1e-8, "{x:?} {slope}");
}

#[test]
fn bounds_of_another_length_and_searches_along_lines_are_refused() {
    let p = plane(hs5, [-1.5, -3.0], [4.0, 3.0]);
    let refused = |result: Fallible<()>| result.unwrap_err().downcast::<Error>().unwrap();
    let short = Executor::new(p.clone(), methods::newton().within(Bounds::none(3)))
        .configure(|state: State<Vec<f64>>| state.param(vec![0.0, 0.0]))
        .run()
        .map(|_| ());
    assert!(matches!(refused(short), Error::Dimension { expected: 3, found: 2, .. }));
    let wolfe = Executor::new(p.clone(), methods::bfgs().within(p.bounds.clone()))
        .configure(|state: State<Vec<f64>>| state.param(vec![0.0, 0.0]))
        .run()
        .map(|_| ());
    assert!(matches!(refused(wolfe), Error::Unsupported { .. }));
    let nan = Executor::new(p.clone(), methods::newton().within(p.bounds.clone()))
        .configure(|state: State<Vec<f64>>| state.param(vec![0.0, f64::NAN]))
        .run()
        .map(|_| ());
    assert!(matches!(refused(nan), Error::NonFinite { .. }));
}

#[test]
fn derivatives_at_a_bound_are_checked_without_leaving_it() {
    let p = plane(hs5, [-1.5, -3.0], [4.0, 3.0]);
    for corner in [[-1.5, -3.0], [4.0, 3.0], [0.2, 9.0]] {
        let x = check::inside(&p.bounds, &corner).unwrap();
        assert!(x.iter().zip(&corner).all(|(x, c)| (x - c).abs() < 1e-4 || *c == 9.0));
        let report = check::derivatives(&p, &x).unwrap();
        assert!(report.checks.iter().all(|check| check.offenders.is_empty()), "{report:?}");
    }
    let narrow = Bounds::new(vec![0.0, 1.0], vec![1.0, 1.0]).unwrap();
    assert!(matches!(check::inside(&narrow, &[0.0, 1.0]), Err(Error::Config { name, .. }) if name.ends_with('1')));
}

/// Chained Rosenbrock with every third variable held below its best value: sparse, products only, and quasi-Newton.
#[test]
fn many_active_bounds_are_identified_in_every_form_of_the_curvature() {
    let n = 200;
    let test = problem("chained_rosenbrock", Some(n)).unwrap();
    let lower: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { -1.5 } else { 0.3 }).collect();
    let upper: Vec<f64> = (0..n).map(|i| if i % 3 == 0 { 0.7 } else { 1.5 }).collect();
    let bounds = Bounds::new(lower, upper).unwrap();
    macro_rules! methods {
        ($($name:literal: $method:expr),* $(,)?) => {$({
            let mut solver = $method.within(bounds.clone());
            solver.stopping.gtol_abs = 1e-9;
            solver.stopping.gtol_rel = 0.0;
            let run = Executor::new(test.erased(), solver)
                .configure(|state: State<Vec<f64>>| state.param(test.start.clone()).max_iters(5000))
                .run()
                .unwrap();
            let x = run.state.best_param.unwrap();
            let mut g = vec![0.0; n];
            test.function.gradient(&x, &mut g).unwrap();
            let (norm, active) = (bounds.projected_gradient_norm(&x, &g), bounds.active(&x, &g));
            println!("{:10} {norm:.1e} {} active, {} iterations {:?}", $name, active.len(), run.state.iter, run.solver.stop());
            assert!(norm <= 1e-8 && bounds.contains(&x), "{}: {norm:e} {:?}", $name, run.solver.stop());
            assert!(active.len() > 20 && active.iter().all(|a| a.multiplier >= 0.0), "{}: {active:?}", $name);
        })*};
    }
    methods!(
        "exact": methods::trust_region_exact(),
        "newton": methods::newton(),
        "dogleg": methods::dogleg(),
        "cubic": methods::cubic_regularization(),
        "steihaug": methods::trust_region_steihaug(),
        "gltr": methods::trust_region_gltr(),
        "newton_cg": methods::newton_cg(),
        "lanczos": methods::cubic_lanczos(),
        "lbfgs": Minimizer::new(Lbfgs::default(), Factorized::default(), Armijo::default()),
    );
}

/// Variables in other units, by powers of two: only the algorithm could tell them apart.
#[test]
fn units_of_the_variables_change_no_bit_of_a_bounded_run() {
    struct Scaled<R>(R, Vec<f64>);
    impl<R: Residuals> Scaled<R> {
        fn point(&self, x: &[f64]) -> Vec<f64> {
            x.iter().zip(&self.1).map(|(x, s)| x * s).collect()
        }
    }
    impl<R: Residuals> Residuals for Scaled<R> {
        fn n(&self) -> usize {
            self.0.n()
        }
        fn m(&self) -> usize {
            self.0.m()
        }
        fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            self.0.residuals(&self.point(x), out)
        }
        fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            self.0.jacobian(&self.point(x), out)?;
            let m = self.m();
            out.chunks_mut(m).zip(&self.1).for_each(|(column, s)| column.iter_mut().for_each(|v| *v *= s));
            Ok(())
        }
    }
    let cases: [(&str, Vec<f64>, Vec<f64>, Vec<f64>); 3] = [
        ("gaussian", vec![0.4, 1.0, 0.0], vec![0.398, 1.0, -0.5], vec![4.2, 2.0, 0.1]),
        ("helical_valley", vec![-1.0, 0.0, 0.0], vec![-100.0, -1.0, -1.0], vec![0.8, 1.0, 1.0]),
        ("beale", vec![1.0, 1.0], vec![0.6, 0.5], vec![2.5, 100.0]),
    ];
    for (name, start, lower, upper) in cases {
        let residuals = || problem(name, None).unwrap().residuals.unwrap();
        let scale: Vec<f64> = (0..start.len()).map(|j| 2f64.powi([30, -40, 7][j % 3])).collect();
        let divided = |v: &[f64]| v.iter().zip(&scale).map(|(v, s)| v / s).collect::<Vec<_>>();
        macro_rules! methods {
            ($($method:ident),*) => {$({
                let solver = || {
                    let mut solver = methods::$method();
                    solver.stopping = curvkit::second_order::stopping::Stopping {
                        gtol_rel: 0.0, decrease: 0.0, ftol: 1e-12, ..Default::default()
                    };
                    solver
                };
                let bounds = Bounds::new(lower.clone(), upper.clone()).unwrap();
                let (x, cost, plain) = run(LeastSquares::new(residuals()), &start, solver().within(bounds));
                let bounds = Bounds::new(divided(&lower), divided(&upper)).unwrap();
                let other = LeastSquares::new(Scaled(residuals(), scale.clone()));
                let (y, other_cost, moved) = run(other, &divided(&start), solver().within(bounds));
                assert_eq!((divided(&x), cost, plain.tally()), (y, other_cost, moved.tally()), "{name} {}", stringify!($method));
            })*};
        }
        methods!(levenberg_marquardt, levenberg_marquardt_geodesic, levenberg_marquardt_nielsen);
    }
}
