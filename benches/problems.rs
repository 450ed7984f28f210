//! Cost of the test problems themselves: value, gradient, Hessian and Hessian product at one point.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use curvkit::testbed::{TestProblem, chained, variational};
use std::hint::black_box;

fn parts(c: &mut Criterion, family: &str, p: &TestProblem) {
    let (f, n) = (&p.function, p.dim());
    let x: Vec<f64> = (0..n).map(|i| 0.4 * (1.0 + 0.7 * i as f64).sin()).collect();
    let v: Vec<f64> = (0..n).map(|i| (0.3 * i as f64).cos()).collect();
    let mut out = vec![0.0; n];
    let mut group = c.benchmark_group(family);
    group.bench_function(BenchmarkId::new("value", n), |b| b.iter(|| f.cost(black_box(&x))));
    group.bench_function(BenchmarkId::new("gradient", n), |b| b.iter(|| f.gradient(black_box(&x), &mut out)));
    group.bench_function(BenchmarkId::new("hessian", n), |b| b.iter(|| f.hessian(black_box(&x))));
    group.bench_function(BenchmarkId::new("product", n), |b| b.iter(|| f.hessian_product(black_box(&x), &v, &mut out)));
    group.finish();
}

fn problems(c: &mut Criterion) {
    for n in [100, 1000, 10_000, 1_000_000] {
        if let Ok(p) = chained::chained_rosenbrock(n) {
            parts(c, "chained_rosenbrock", &p);
        }
    }
    for m in [50, 200] {
        for p in [variational::minimal_surface(m * m), variational::bratu(m * m)].into_iter().flatten() {
            parts(c, p.name.trim_end_matches(|c: char| c.is_numeric() || c == '_'), &p);
        }
    }
}

criterion_group!(benches, problems);
criterion_main!(benches);
