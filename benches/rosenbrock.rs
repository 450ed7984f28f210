//! Whole solves of 2-D Rosenbrock from (−1.2, 1) to ‖g‖∞ ≤ 1e-8, beside argmin, basin and levenberg-marquardt in one run.
//!
//! Key-values and the certificate are off. Each group's line names the method; the evaluation counts are printed first. Lines
//! with "minimize" run the same solver in one call, without argmin's executor.

use criterion::{Criterion, criterion_group, criterion_main};
use nalgebra::{DMatrix, DVector, Matrix2, OMatrix, Owned, SMatrix, SVector, U2, Vector2};
use std::hint::black_box;

type P2 = SVector<f64, 2>;

fn cost(x: f64, y: f64) -> f64 {
    let (a, t) = (1.0 - x, y - x * x);
    a * a + 100.0 * t * t
}
fn gradient(x: f64, y: f64) -> [f64; 2] {
    let t = y - x * x;
    [-2.0 * (1.0 - x) - 400.0 * x * t, 200.0 * t]
}
fn hessian(x: f64, y: f64) -> [f64; 4] {
    [2.0 - 400.0 * y + 1200.0 * x * x, -400.0 * x, -400.0 * x, 200.0]
}

mod ours {
    use super::*;
    use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, Solver};

    #[derive(Clone)]
    pub struct Static;
    impl CostFunction for Static {
        type Param = P2;
        type Output = f64;
        fn cost(&self, p: &P2) -> Result<f64, Error> {
            Ok(super::cost(p[0], p[1]))
        }
    }
    impl Gradient for Static {
        type Param = P2;
        type Gradient = P2;
        fn gradient(&self, p: &P2) -> Result<P2, Error> {
            Ok(P2::from(super::gradient(p[0], p[1])))
        }
    }
    impl Hessian for Static {
        type Param = P2;
        type Hessian = SMatrix<f64, 2, 2>;
        fn hessian(&self, p: &P2) -> Result<Self::Hessian, Error> {
            let h = super::hessian(p[0], p[1]);
            Ok(Matrix2::new(h[0], h[2], h[1], h[3]))
        }
    }

    /// The same over dynamic containers, as argmin's own solvers need them.
    #[derive(Clone)]
    pub struct Dynamic;
    impl CostFunction for Dynamic {
        type Param = DVector<f64>;
        type Output = f64;
        fn cost(&self, p: &DVector<f64>) -> Result<f64, Error> {
            Ok(super::cost(p[0], p[1]))
        }
    }
    impl Gradient for Dynamic {
        type Param = DVector<f64>;
        type Gradient = DVector<f64>;
        fn gradient(&self, p: &DVector<f64>) -> Result<DVector<f64>, Error> {
            Ok(DVector::from_row_slice(&super::gradient(p[0], p[1])))
        }
    }
    impl Hessian for Dynamic {
        type Param = DVector<f64>;
        type Hessian = DMatrix<f64>;
        fn hessian(&self, p: &DVector<f64>) -> Result<DMatrix<f64>, Error> {
            Ok(DMatrix::from_column_slice(2, 2, &super::hessian(p[0], p[1])))
        }
    }

    pub fn solve<O, P, S>(problem: O, solver: S, start: P, iterations: u64) -> (f64, u64, u64)
    where
        P: Clone,
        O: CostFunction<Param = P, Output = f64>,
        S: Solver<O, IterState<P, P, (), (), (), f64>>,
    {
        let run = Executor::new(problem, solver)
            .configure(|s: IterState<P, P, (), (), (), f64>| s.param(start).max_iters(iterations))
            .timer(false)
            .run()
            .expect("Rosenbrock is finite");
        (run.state.best_cost, run.state.iter, run.problem.counts.get("cost_count").copied().unwrap_or(0))
    }

    pub fn argmin_solve<S, H>(solver: S, iterations: u64) -> (f64, u64)
    where
        S: Solver<Dynamic, IterState<DVector<f64>, DVector<f64>, (), H, (), f64>>,
    {
        let run = Executor::new(Dynamic, solver)
            .configure(|s| s.param(DVector::from_row_slice(&[-1.2, 1.0])).max_iters(iterations))
            .timer(false)
            .run()
            .expect("Rosenbrock is finite");
        (run.state.best_cost, run.state.iter)
    }
}

mod theirs {
    use basin::{CostFunction, DenseMatrix, Executor, FirstOrderState, Gradient, Hessian};
    use std::convert::Infallible;

    pub struct Problem;
    impl CostFunction for Problem {
        type Param = Vec<f64>;
        type Output = f64;
        type Error = Infallible;
        fn cost(&self, x: &Vec<f64>) -> Result<f64, Infallible> {
            Ok(super::cost(x[0], x[1]))
        }
    }
    impl Gradient for Problem {
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Infallible> {
            Ok(super::gradient(x[0], x[1]).to_vec())
        }
    }
    impl Hessian for Problem {
        type Hessian = DenseMatrix<f64>;
        fn hessian(&self, x: &Vec<f64>) -> Result<DenseMatrix<f64>, Infallible> {
            Ok(DenseMatrix::from_row_slice(2, 2, &super::hessian(x[0], x[1])))
        }
    }

    macro_rules! solve {
        ($subproblem:expr) => {
            Executor::new(
                Problem,
                basin::TrustRegion::with_subproblem($subproblem).with_absolute_gradient_tolerance(1e-8),
                FirstOrderState::new(vec![-1.2, 1.0]),
            )
            .max_iter(1000)
            .run()
            .expect("Rosenbrock is finite")
        };
    }
    pub fn dogleg() -> f64 {
        solve!(basin::Dogleg).cost()
    }
    pub fn steihaug() -> f64 {
        solve!(basin::Steihaug::new()).cost()
    }
    pub fn more_sorensen() -> f64 {
        solve!(basin::MoreSorensen::new()).cost()
    }
}

/// Rosenbrock as residuals for the `levenberg-marquardt` crate.
#[derive(Clone)]
struct Residuals(Vector2<f64>);
impl levenberg_marquardt::LeastSquaresProblem<f64, U2, U2> for Residuals {
    type ParameterStorage = Owned<f64, U2>;
    type ResidualStorage = Owned<f64, U2>;
    type JacobianStorage = Owned<f64, U2, U2>;
    fn set_params(&mut self, x: &Vector2<f64>) {
        self.0 = *x;
    }
    fn params(&self) -> Vector2<f64> {
        self.0
    }
    fn residuals(&self) -> Option<Vector2<f64>> {
        Some(Vector2::new(10.0 * (self.0[1] - self.0[0] * self.0[0]), 1.0 - self.0[0]))
    }
    fn jacobian(&self) -> Option<OMatrix<f64, U2, U2>> {
        Some(Matrix2::new(-20.0 * self.0[0], 10.0, -1.0, 0.0))
    }
}

fn whole_solves(c: &mut Criterion) {
    use curvkit::second_order::methods;
    let mut group = c.benchmark_group("rosenbrock_2d");
    let start = P2::new(-1.2, 1.0);
    macro_rules! ours {
        ($name:literal, $solver:expr) => {
            let make = || {
                let mut solver = $solver.bare();
                (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-8, 0.0);
                solver
            };
            println!("curvkit {}: (f, iterations, costs) = {:?}", $name, ours::solve(ours::Static, make(), start, 1000));
            group.bench_function(concat!("curvkit ", $name), |b| {
                b.iter(|| ours::solve(ours::Static, black_box(make()), start, 1000))
            });
            let mut solver = make();
            group.bench_function(concat!("curvkit ", $name, ", minimize"), |b| {
                b.iter(|| solver.minimize(&ours::Static, black_box(start), 1000).map(|solution| solution.cost))
            });
        };
    }
    ours!("newton", methods::newton());
    ours!("newton, non-monotone window 10", {
        let mut solver = methods::newton();
        solver.globalization.nonmonotone = 10;
        solver
    });
    ours!("trust_region_exact", methods::trust_region_exact());
    ours!("dogleg", methods::dogleg());
    ours!("cubic_regularization", methods::cubic_regularization());
    ours!("trust_region_steihaug (matrix)", methods::trust_region_steihaug().with_curvature(curvkit::curvature::Hessian));
    group.bench_function("curvkit newton over DVector", |b| {
        b.iter(|| ours::solve(ours::Dynamic, methods::newton().bare(), DVector::from_row_slice(&[-1.2, 1.0]), 1000))
    });

    group.bench_function("argmin Newton, 7 iterations, no globalization", |b| {
        b.iter(|| ours::argmin_solve(argmin::solver::newton::Newton::<f64>::new(), 7))
    });
    use argmin::solver::trustregion::{Steihaug, TrustRegion};
    group.bench_function("argmin TrustRegion Steihaug, 23 iterations", |b| {
        b.iter(|| ours::argmin_solve(TrustRegion::new(Steihaug::<DVector<f64>, f64>::new()), black_box(23)))
    });
    group.bench_function("basin TrustRegion Dogleg", |b| b.iter(theirs::dogleg));
    group.bench_function("basin TrustRegion Steihaug", |b| b.iter(theirs::steihaug));
    group.bench_function("basin TrustRegion MoreSorensen", |b| b.iter(theirs::more_sorensen));
    group.bench_function("levenberg-marquardt crate", |b| {
        b.iter(|| {
            levenberg_marquardt::LevenbergMarquardt::new()
                .minimize(Residuals(black_box(Vector2::new(-1.2, 1.0))))
                .1
                .objective_function
        })
    });
    group.finish();
}

criterion_group!(benches, whole_solves);
criterion_main!(benches);
