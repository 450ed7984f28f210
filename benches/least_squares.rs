//! The Moré–Garbow–Hillstrom least-squares problems from starts ×1, ×10, ×100, beside the levenberg-marquardt crate in one run.
//!
//! The table (final `Σ r²`, evaluations of residuals and Jacobians) is printed; criterion times the published starts, n ≤ 10.
//! At the end the two are timed against each other in alternating rounds, and the ratio of their best rounds is printed.
//!
//! Both have their own stopping tests: the crate its defaults (cost, step and angle to 30 ε), this one `‖g‖∞ ≤ 1e-8` and a cost
//! that changes by less than 1e-14 of itself.

use criterion::{Criterion, criterion_group, criterion_main};
use curvkit::curvature::GaussNewton;
use curvkit::problem::{LeastSquares, Residuals};
use curvkit::second_order::globalization::MinpackRadius;
use curvkit::second_order::methods;
use curvkit::second_order::minimizer::Minimizer;
use curvkit::second_order::subproblem::MoreHebden;
use curvkit::testbed::{self, TestProblem};
use levenberg_marquardt::LevenbergMarquardt;
use nalgebra::{DMatrix, DVector, Dyn, Owned};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Shared = Arc<dyn Residuals>;

/// `Σ r²`, evaluations of the residuals, of the Jacobian.
type Result = (f64, u64, u64);

/// A problem with its solver, which keep their buffers from run to run.
struct Ours {
    problem: LeastSquares<Shared>,
    solver: Minimizer<GaussNewton, MoreHebden, MinpackRadius>,
}

impl Ours {
    fn new(residuals: &Shared) -> Self {
        let mut solver = methods::levenberg_marquardt().bare();
        (solver.stopping.gtol_rel, solver.stopping.decrease, solver.stopping.ftol) = (0.0, 0.0, 1e-14);
        Self { problem: LeastSquares::new(residuals.clone()), solver }
    }

    fn solve(&mut self, start: &[f64]) -> Result {
        let run = self.solver.minimize(&self.problem, start.to_vec(), 1000);
        run.map_or((f64::NAN, 0, 0), |run| {
            let tally = self.solver.tally();
            (2.0 * run.cost, tally.cost, tally.jacobian)
        })
    }
}

/// The same residuals as the crate wants them.
struct Theirs<'a> {
    residuals: &'a Shared,
    x: DVector<f64>,
    counts: [Cell<u64>; 2],
}

impl levenberg_marquardt::LeastSquaresProblem<f64, Dyn, Dyn> for Theirs<'_> {
    type ParameterStorage = Owned<f64, Dyn>;
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    fn set_params(&mut self, x: &DVector<f64>) {
        self.x.copy_from(x);
    }
    fn params(&self) -> DVector<f64> {
        self.x.clone()
    }
    fn residuals(&self) -> Option<DVector<f64>> {
        self.counts[0].set(self.counts[0].get() + 1);
        let mut r = DVector::zeros(self.residuals.m());
        self.residuals.residuals(self.x.as_slice(), r.as_mut_slice()).ok()?;
        Some(r)
    }
    fn jacobian(&self) -> Option<DMatrix<f64>> {
        self.counts[1].set(self.counts[1].get() + 1);
        let mut j = DMatrix::zeros(self.residuals.m(), self.residuals.n());
        self.residuals.jacobian(self.x.as_slice(), j.as_mut_slice()).ok()?;
        Some(j)
    }
}

fn theirs(residuals: &Shared, start: &[f64]) -> Result {
    let problem = Theirs { residuals, x: DVector::from_row_slice(start), counts: Default::default() };
    let (problem, report) = LevenbergMarquardt::new().with_patience(1000).minimize(problem);
    (2.0 * report.objective_function, problem.counts[0].get(), problem.counts[1].get())
}

/// Digits of the best known value; of zero where that is zero.
fn digits(found: f64, best: f64) -> f64 {
    let digits = if best == 0.0 { -found.log10() } else { -((found - best).abs() / best).log10() };
    if digits.is_nan() { -99.0 } else { digits.min(16.0) }
}

fn problems() -> Vec<(TestProblem, Shared)> {
    let names = testbed::mgh::TABLE.iter().flat_map(|entry| entry.instances).filter(|(_, n)| *n <= 100);
    let all = names.filter_map(|(name, _)| testbed::problem(name, None).ok());
    all.filter_map(|p| p.residuals.clone().map(|r| (p, r))).collect()
}

fn table(problems: &[(TestProblem, Shared)]) {
    println!(
        "{:24} start  {:>14}  {:>14} {:>11}  {:>14} {:>11}",
        "problem", "published", "curvkit", "r, J", "lev.-marq.", "r, J"
    );
    let mut solved = [0, 0];
    for (p, residuals) in problems {
        for factor in [1.0, 10.0, 100.0] {
            let start = p.start_scaled(factor);
            let best = p.minima.first().copied().unwrap_or(0.0);
            let (a, b) = (Ours::new(residuals).solve(&start), theirs(residuals, &start));
            let good = [a, b].map(|(found, ..)| digits(found, best) >= 4.0);
            (0..2).for_each(|k| solved[k] += u32::from(good[k]));
            let mark = |good: bool| if good { ' ' } else { '*' };
            println!(
                "{:24} ×{factor:<4}  {best:14.6e} {}{:14.6e} {:5},{:5} {}{:14.6e} {:5},{:5}",
                p.name,
                mark(good[0]),
                a.0,
                a.1,
                a.2,
                mark(good[1]),
                b.0,
                b.1,
                b.2
            );
        }
    }
    println!(
        "four digits of the best known value: curvkit {}, levenberg-marquardt {} of {}",
        solved[0],
        solved[1],
        3 * problems.len()
    );
}

/// Rounds of one comparison, and solves in a row of each side in a round.
const ROUNDS: usize = 60;
const SOLVES: u32 = 20;

/// Nanoseconds of one solve in the best round: of ours, ours with a new solver and problem for every solve, theirs.
fn duel(residuals: &Shared, start: &[f64]) -> [f64; 3] {
    let round = |solve: &mut dyn FnMut(&[f64]) -> Result| {
        let began = Instant::now();
        for _ in 0..SOLVES {
            black_box(solve(black_box(start)));
        }
        began.elapsed().as_nanos() as f64 / f64::from(SOLVES)
    };
    let mut ours = Ours::new(residuals);
    (0..ROUNDS).fold([f64::INFINITY; 3], |[a, b, c], _| {
        [
            a.min(round(&mut |x| ours.solve(x))),
            b.min(round(&mut |x| Ours::new(residuals).solve(x))),
            c.min(round(&mut |x| theirs(residuals, x))),
        ]
    })
}

fn duels(problems: &[(TestProblem, Shared)]) {
    println!(
        "{:24} {:>10} {:>10} {:>10}  {:>6} {:>6}",
        "best of 60 rounds, µs", "curvkit", "(new)", "lev.-marq.", "ratio", "(new)"
    );
    let mut worst = [0.0f64; 2];
    for (p, residuals) in problems.iter().filter(|(p, _)| p.start.len() <= 10) {
        let [a, b, c] = duel(residuals, &p.start);
        println!("{:24} {:10.2} {:10.2} {:10.2}  {:6.2} {:6.2}", p.name, a / 1e3, b / 1e3, c / 1e3, a / c, b / c);
        worst = [worst[0].max(a / c), worst[1].max(b / c)];
    }
    println!("worst ratios: {:.2}, made anew for every solve {:.2}", worst[0], worst[1]);
}

fn least_squares(c: &mut Criterion) {
    let problems = problems();
    table(&problems);
    let mut group = c.benchmark_group("least_squares");
    group.sample_size(20).warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300));
    for (p, residuals) in problems.iter().filter(|(p, _)| p.start.len() <= 10) {
        let mut ours = Ours::new(residuals);
        group.bench_function(format!("{}/curvkit", p.name), |b| b.iter(|| ours.solve(black_box(&p.start))));
        group.bench_function(format!("{}/levenberg-marquardt", p.name), |b| b.iter(|| theirs(residuals, black_box(&p.start))));
    }
    group.finish();
    duels(&problems);
}

criterion_group!(benches, least_squares);
criterion_main!(benches);
