//! NIST's 54 certified fits (27 regressions from both starts), default options, all in one process.
//!
//! The table of digits and the whole time are printed; criterion repeats the whole set.

use criterion::{Criterion, criterion_group, criterion_main};
use curvkit::dataset::nist;
use curvkit::fit::{FitOptions, fit};
use curvkit::problem::{AutoResiduals, LeastSquares};
use curvkit::testbed::nist::{Regression, regression};
use std::time::Instant;

type Problem = LeastSquares<AutoResiduals<Regression>>;

fn digits(found: &[f64], certified: &[f64]) -> f64 {
    found.iter().zip(certified).map(|(x, c)| -((x - c).abs() / c.abs()).max(1e-11).log10()).fold(f64::INFINITY, f64::min)
}

fn all(problems: &[Problem], mut each: impl FnMut(&Problem, usize)) {
    problems.iter().for_each(|p| (0..2).for_each(|k| each(p, k)));
}

fn once(problem: &Problem, k: usize) -> f64 {
    fit(problem, &problem.residuals().0.data().starts[k], &FitOptions::default()).expect("the starts are finite").cost
}

fn nist_fits(c: &mut Criterion) {
    let problems: Vec<Problem> =
        nist::names().map(|name| LeastSquares::new(regression(name).expect("a certified regression"))).collect();
    let (mut sum, mut least) = (0.0, f64::INFINITY);
    all(&problems, |problem, k| {
        let data = problem.residuals().0.data();
        let began = Instant::now();
        let found = fit(problem, &data.starts[k], &FitOptions::default()).expect("the starts are finite");
        let micros = began.elapsed().as_secs_f64() * 1e6;
        let d = digits(&found.parameters, &data.certified);
        (sum, least) = (sum + d, f64::min(least, d));
        println!(
            "{:9} {}: {d:4.1} digits, {:4} + {} steps, {micros:6.0} µs",
            data.name,
            k + 1,
            found.iterations,
            found.finish.steps
        );
    });
    let best = (0..20)
        .map(|_| {
            let began = Instant::now();
            all(&problems, |problem, k| {
                std::hint::black_box(once(problem, k));
            });
            began.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    println!("54 fits: mean {:.2}, least {least:.2} digits, {:.2} ms", sum / 54.0, best * 1e3);
    c.bench_function("nist, 54 fits", |b| {
        b.iter(|| {
            all(&problems, |problem, k| {
                std::hint::black_box(once(problem, k));
            })
        })
    });
}

criterion_group!(benches, nist_fits);
criterion_main!(benches);
