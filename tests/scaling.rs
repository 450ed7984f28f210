//! Methods must not depend on units: `c f(x / α)` from `α x₀` makes every evaluation at exactly `α` times the point where `f`
//! from `x₀` makes it, to the bit where `c` and `α` are powers of two. Run with `--nocapture` for the table.

use argmin::core::Executor;
use curvkit::Result;
use curvkit::linalg::operator::DenseMatrix;
use curvkit::linalg::vector::norm_inf;
use curvkit::problem::{Erased, Function, HessianMatrix};
use curvkit::second_order::minimizer::State;
use curvkit::second_order::nonlinear_cg::NonlinearCg;
use curvkit::second_order::{methods, stopping::Stopping};
use curvkit::testbed::{self, COMPARISON};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Exponents of `c` and `α`.
const UNITS: [(i32, i32); 7] = [(66, 0), (-66, 0), (330, 0), (-330, 0), (0, 18), (0, -18), (66, -18)];

const ITERATIONS: u64 = 30;

/// `c f(x / α)`, with a record of the points in the units of `f`.
struct Scaled {
    f: Arc<dyn Function>,
    c: f64,
    alpha: f64,
    seen: Mutex<Vec<(u64, Vec<f64>)>>,
    /// A value, plain or scaled, whose square leaves the range of normal numbers: methods square gradients.
    out_of_range: AtomicBool,
}

impl Scaled {
    fn new(f: Arc<dyn Function>, (c, alpha): (i32, i32)) -> Self {
        let (c, alpha) = (2f64.powi(c), 2f64.powi(alpha));
        Self { f, c, alpha, seen: Mutex::default(), out_of_range: AtomicBool::new(false) }
    }

    fn own(&self, what: u64, x: &[f64]) -> Vec<f64> {
        let own: Vec<f64> = x.iter().map(|x| x / self.alpha).collect();
        self.seen.lock().unwrap().push((what, own.clone()));
        own
    }

    fn times(&self, factor: f64, value: f64) -> f64 {
        let scaled = factor * value;
        let fits = |v: f64| (v * v).is_normal();
        if value != 0.0 && value.is_finite() && !(fits(value) && fits(scaled)) {
            self.out_of_range.store(true, Relaxed);
        }
        scaled
    }
}

impl Function for Scaled {
    fn dim(&self) -> usize {
        self.f.dim()
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        Ok(self.times(self.c, self.f.cost(&self.own(0, x))?))
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.f.gradient(&self.own(1, x), out)?;
        out.iter_mut().for_each(|g| *g = self.times(self.c / self.alpha, *g));
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        let times = |values: &mut [f64]| values.iter_mut().for_each(|v| *v = self.times(self.c / self.alpha / self.alpha, *v));
        Ok(match self.f.hessian(&self.own(2, x))? {
            HessianMatrix::Dense(mut matrix) => {
                times(matrix.entries_mut());
                HessianMatrix::Dense(matrix)
            }
            HessianMatrix::Sparse(mut matrix) => {
                times(matrix.values_mut());
                HessianMatrix::Sparse(matrix)
            }
        })
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        // The record also tells the directions apart; their length is the method's own affair.
        let length = norm_inf(v);
        let mut hash = DefaultHasher::new();
        v.iter().for_each(|v| (v / length).to_bits().hash(&mut hash));
        self.f.hessian_product(&self.own(hash.finish(), x), v, out)?;
        out.iter_mut().for_each(|g| *g = self.times(self.c / self.alpha / self.alpha, *g));
        Ok(())
    }
}

/// A run of some iterations whatever the gradient is; returns what it evaluated where.
type Run = fn(&Arc<Scaled>, Vec<f64>, u64);

/// No test that knows units.
fn endless(stopping: &mut Stopping) {
    (stopping.gtol_rel, stopping.decrease) = (0.0, 0.0);
    (stopping.unbounded_below, stopping.max_stalled) = (f64::NEG_INFINITY, u64::MAX);
}

macro_rules! run {
    ($method:ident) => {{
        let run: Run = |f, start, iterations| {
            let mut solver = methods::$method();
            endless(&mut solver.stopping);
            (solver.certify, solver.escape_saddles) = (false, false);
            solver.minimize(&Erased(f.clone()), start, iterations).unwrap();
        };
        (stringify!($method), run)
    }};
}

fn conjugate_gradients(f: &Arc<Scaled>, start: Vec<f64>, iterations: u64) {
    let mut solver = NonlinearCg::default();
    endless(&mut solver.stopping);
    solver.report = false;
    Executor::new(Erased(f.clone()), solver).configure(|s: State<Vec<f64>>| s.param(start).max_iters(iterations)).run().unwrap();
}

/// Runs of a method in the units `(c, α)`: how many agree to the bit, how many leave the range of numbers, and which do not
/// agree.
fn agreement(run: Run, units: (i32, i32)) -> (usize, usize, Vec<String>) {
    let (mut equal, mut exempt, mut differ) = (0, 0, Vec::new());
    for name in COMPARISON {
        let p = testbed::problem(name, None).unwrap();
        let record = |units: (i32, i32)| {
            let f = Arc::new(Scaled::new(p.function.clone(), units));
            run(&f, p.start.iter().map(|x| f.alpha * x).collect(), ITERATIONS);
            let seen = std::mem::take(&mut *f.seen.lock().unwrap());
            (seen, f.out_of_range.load(Relaxed))
        };
        let ((plain, beyond), (scaled, out_of_range)) = (record((0, 0)), record(units));
        if plain == scaled {
            equal += 1;
        } else if beyond || out_of_range {
            exempt += 1;
        } else {
            let first = plain.iter().zip(&scaled).take_while(|(a, b)| a == b).count();
            differ.push(format!("{name} ({first} of {} and {})", plain.len(), scaled.len()));
        }
    }
    (equal, exempt, differ)
}

/// One line of the table; returns what differs.
fn row((name, run): (&str, Run)) -> Vec<String> {
    let mut all = Vec::new();
    print!("{name:24}");
    for units in UNITS {
        let (equal, exempt, differ) = agreement(run, units);
        print!(" {equal:3}+{exempt}/{}", COMPARISON.len());
        all.extend(differ.into_iter().map(|d| format!("{name} c = 2^{} α = 2^{}: {d}", units.0, units.1)));
    }
    println!();
    all
}

fn header() {
    print!("{:24}", "bitwise equal + exempt");
    UNITS.iter().for_each(|(c, a)| print!(" {:>7}", format!("{c},{a}")));
    println!("   exponents of c and α");
}

#[test]
fn line_searches_and_quasi_newton_methods_do_not_depend_on_units() {
    header();
    let cg: (&str, Run) = ("nonlinear_cg_hz", conjugate_gradients);
    let differ: Vec<String> = [run!(newton), run!(bfgs), run!(lbfgs), cg].into_iter().flat_map(row).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn factorized_trust_regions_and_cubic_regularization_do_not_depend_on_units() {
    header();
    let methods = [run!(trust_region_exact), run!(dogleg), run!(two_dimensional), run!(sr1), run!(cubic_regularization)];
    let differ: Vec<String> = methods.into_iter().flat_map(row).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn krylov_methods_do_not_depend_on_units() {
    header();
    let methods = [run!(trust_region_steihaug), run!(trust_region_gltr), run!(cubic_lanczos), run!(newton_cg)];
    let differ: Vec<String> = methods.into_iter().flat_map(row).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
#[ignore = "not reached: late iterates on two problems differ by rounding"]
fn gradient_descent_does_not_depend_on_units() {
    header();
    let differ = row(run!(gradient_descent));
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn quasi_newton_methods_find_the_minimum_of_rosenbrock_times_any_factor() {
    let p = testbed::problem("rosenbrock", None).unwrap();
    for factor in [1.0, 1e6, 1e-6, 1e20, 1e100, 1e-100, 1e140] {
        let f = Arc::new(Scaled { c: factor, ..Scaled::new(p.function.clone(), (0, 0)) });
        macro_rules! check {
            ($($method:ident),*) => {$({
                let mut solver = methods::$method();
                (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-8 * factor, 0.0);
                (solver.certify, solver.escape_saddles) = (false, false);
                let found = solver.minimize(&Erased(f.clone()), p.start.clone(), 1000).unwrap();
                let name = stringify!($method);
                assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-7), "{name} {factor:e}: {:?} {}", found.x, found.stop);
                assert!(found.stop.converged() && found.iterations <= 45, "{name} {factor:e}: {} {}", found.iterations, found.stop);
            })*};
        }
        check!(bfgs, lbfgs);
    }
}

#[test]
fn quasi_newton_methods_from_the_origin_find_a_minimum_at_any_distance() {
    // Neither the point nor the cost tells the units: the first step has length 0.1.
    for at in [1e-20, 1e-6, 1.0, 1e6, 1e10] {
        let f = Arc::new(Bowl { at });
        macro_rules! check {
            ($($method:ident),*) => {$({
                let mut solver = methods::$method();
                (solver.stopping.gtol_abs, solver.certify, solver.escape_saddles) = (1e-8 / at, false, false);
                let found = solver.minimize(&Erased(f.clone()), vec![0.0, 0.0], 100).unwrap();
                let name = stringify!($method);
                assert!(found.x.iter().all(|x| (x / at - 1.0).abs() < 1e-7), "{name} {at:e}: {:?} {}", found.x, found.stop);
                assert!(solver.tally().gradient < 60, "{name} {at:e}: {:?}", solver.tally());
            })*};
        }
        check!(bfgs, lbfgs);
    }
}

/// `‖x/at − 1‖² − 2`: zero at the origin, the minimum at `(at, at)`.
struct Bowl {
    at: f64,
}

impl Function for Bowl {
    fn dim(&self) -> usize {
        2
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        Ok(x.iter().map(|x| (x / self.at - 1.0).powi(2)).sum::<f64>() - 2.0)
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(x).for_each(|(g, x)| *g = 2.0 * (x / self.at - 1.0) / self.at);
        Ok(())
    }
    fn hessian(&self, _: &[f64]) -> Result<HessianMatrix> {
        let h = 2.0 / self.at / self.at;
        Ok(HessianMatrix::Dense(DenseMatrix::new(2, vec![h, 0.0, 0.0, h])?))
    }
}
