//! Overhead of a conjugate gradient step at n = 1000: the time of a fixed number of steps, less that of the products alone.
//!
//! The overhead is printed; criterion reports the two times it comes from.

use criterion::{Criterion, criterion_group, criterion_main};
use curvkit::linalg::krylov::{Cg, CgEnd, CgLimits};
use curvkit::linalg::operator::Diagonal;
use curvkit::linalg::{SymmetricOperator, vector::norm};
use std::hint::black_box;
use std::time::Instant;

const N: usize = 1000;
const STEPS: u64 = 200;

/// A spectrum from 1 to 1e8, on which 200 steps do not converge, and a right-hand side that excites all of it.
fn case() -> (Diagonal, Vec<f64>) {
    let d = (0..N).map(|i| 10f64.powf(8.0 * i as f64 / (N - 1) as f64)).collect();
    (Diagonal(d), (0..N).map(|i| 1.0 + 0.5 * (i as f64).sin()).collect())
}

fn steps(cg: &mut Cg, b: &Diagonal, g: &[f64], memory: usize) -> CgEnd {
    let limits = CgLimits { tolerance: 0.0, max_iterations: STEPS, ..Default::default() };
    cg.start(g, None, memory).expect("lengths fit");
    cg.advance(b, None, &limits).expect("products of a diagonal do not fail")
}

fn products(b: &Diagonal, v: &mut [f64], out: &mut [f64]) {
    for _ in 0..STEPS {
        b.apply(black_box(v), out).expect("lengths fit");
        black_box(&mut *out);
    }
}

/// The lowest time of many rounds, which other work on the machine disturbs least, per step in µs.
fn best(mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    (0..300).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min) / STEPS as f64 * 1e6
}

fn cg_overhead(c: &mut Criterion) {
    let (b, g) = case();
    let (mut v, mut out) = (g.clone(), vec![0.0; N]);
    let mut cg = Cg::default();
    assert_eq!(steps(&mut cg, &b, &g, 0), CgEnd::MaxIterations);
    assert!(norm(&g) > 0.0);
    let alone = best(|| products(&b, &mut v, &mut out));
    for (what, memory) in [("path not kept", 0), ("path kept", 1 << 24)] {
        let whole = best(|| {
            black_box(steps(&mut cg, &b, &g, memory));
        });
        println!("cg n = {N}, {what}: overhead {:.2} µs a step (step {whole:.2}, product {alone:.2})", whole - alone);
    }
    let mut group = c.benchmark_group(format!("cg n={N}, {STEPS} steps"));
    group.bench_function("products alone", |bench| bench.iter(|| products(&b, &mut v, &mut out)));
    group.bench_function("cg", |bench| bench.iter(|| steps(&mut cg, &b, &g, 0)));
    group.bench_function("cg, path kept", |bench| bench.iter(|| steps(&mut cg, &b, &g, 1 << 24)));
    group.finish();
}

criterion_group!(benches, cg_overhead);
criterion_main!(benches);
