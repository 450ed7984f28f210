//! Whole solves of chained Rosenbrock from (−1.2, 1, …) to ‖g‖∞ ≤ 1e-8, beside basin in one run.
//!
//! ```text
//! n = 1000: matrix-free, sparse Newton, sparse trust region     basin matrix-free Steihaug, L-BFGS
//! n = 100:  near-exact trust region (dense and sparse)          basin Moré–Sorensen
//! ```

use argmin::core::{Executor, IterState, Solver};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use curvkit::curvature::Hessian;
use curvkit::problem::Erased;
use curvkit::second_order::methods;
use curvkit::testbed::{TestProblem, problem};
use std::time::Duration;

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

fn chained(n: usize) -> TestProblem {
    problem("chained_rosenbrock", Some(n)).expect("any n of at least 2")
}

fn solve<S: Solver<Erased, Vectors>>(p: &TestProblem, solver: S) -> (f64, u64, String) {
    let run = Executor::new(p.erased(), solver)
        .configure(|s: Vectors| s.param(p.start.clone()).max_iters(100_000).counting(true))
        .timer(false)
        .run()
        .expect("finite");
    let mut g = vec![0.0; p.dim()];
    p.function.gradient(run.state.param.as_ref().expect("a point"), &mut g).expect("finite");
    let norm = g.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    (run.state.cost, run.state.iter, format!("|g| {norm:.1e} {:?}", run.problem.counts))
}

mod theirs {
    use super::*;
    use basin::{CostFunction, DenseMatrix, Executor, FirstOrderState, Gradient, HessianProduct};
    use std::convert::Infallible;

    pub struct Problem(pub TestProblem);
    impl CostFunction for Problem {
        type Param = Vec<f64>;
        type Output = f64;
        type Error = Infallible;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Infallible> {
            Ok(self.0.function.cost(x).unwrap_or(f64::NAN))
        }
    }
    impl Gradient for Problem {
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Infallible> {
            let mut g = vec![0.0; x.len()];
            let _ = self.0.function.gradient(x, &mut g);
            Ok(g)
        }
    }
    impl HessianProduct for Problem {
        fn hessian_product(&self, x: &Vec<f64>, v: &Vec<f64>) -> Result<Vec<f64>, Infallible> {
            let mut out = vec![0.0; x.len()];
            let _ = self.0.function.hessian_product(x, v, &mut out);
            Ok(out)
        }
    }
    impl basin::Hessian for Problem {
        type Hessian = DenseMatrix<f64>;
        fn hessian(&self, x: &Vec<f64>) -> Result<DenseMatrix<f64>, Infallible> {
            let n = x.len();
            let mut entries = vec![0.0; n * n];
            if let Ok(h) = self.0.function.hessian(x) {
                let _ = curvkit::linalg::operator::write_dense(&h, &mut entries);
            }
            Ok(DenseMatrix::from_row_slice(n, n, &entries))
        }
    }

    pub fn matrix_free(p: &TestProblem) -> f64 {
        let solver = basin::TrustRegion::matrix_free().with_absolute_gradient_tolerance(1e-8);
        let run = Executor::new(Problem(p.clone()), solver, FirstOrderState::new(p.start.clone())).max_iter(100_000).run();
        run.expect("finite").cost()
    }
    pub fn more_sorensen(p: &TestProblem) -> f64 {
        let solver = basin::TrustRegion::with_subproblem(basin::MoreSorensen::new()).with_absolute_gradient_tolerance(1e-8);
        let run = Executor::new(Problem(p.clone()), solver, FirstOrderState::new(p.start.clone())).max_iter(100_000).run();
        run.expect("finite").cost()
    }
}

fn whole_solves(c: &mut Criterion) {
    let mut group = c.benchmark_group("chained_rosenbrock");
    group.sample_size(10).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(2));
    macro_rules! ours {
        ($p:expr, $name:literal, $solver:expr) => {
            let make = || {
                let mut solver = $solver.bare();
                (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-8, 0.0);
                solver
            };
            let n = $p.dim();
            println!("curvkit {} n = {n}: {:?}", $name, solve($p, make()));
            group.bench_function(BenchmarkId::new(concat!("curvkit ", $name), n), |b| b.iter(|| solve($p, make())));
        };
    }
    let p = &chained(1000);
    ours!(p, "newton_cg (matrix-free)", methods::newton_cg());
    ours!(p, "trust_region_steihaug (matrix-free)", methods::trust_region_steihaug());
    ours!(p, "newton (sparse)", methods::newton());
    ours!(p, "dogleg (sparse)", methods::dogleg());
    ours!(p, "trust_region_exact (sparse)", methods::trust_region_exact());
    ours!(p, "lbfgs", methods::lbfgs());
    group.bench_function(BenchmarkId::new("basin TrustRegion matrix-free", 1000), |b| b.iter(|| theirs::matrix_free(p)));
    let p = &chained(100);
    ours!(p, "trust_region_exact (sparse)", methods::trust_region_exact());
    ours!(p, "newton (sparse)", methods::newton());
    ours!(p, "trust_region_steihaug (sparse matrix)", methods::trust_region_steihaug().with_curvature(Hessian));
    group.bench_function(BenchmarkId::new("basin TrustRegion MoreSorensen", 100), |b| b.iter(|| theirs::more_sorensen(p)));
    group.finish();
}

criterion_group!(benches, whole_solves);
criterion_main!(benches);
