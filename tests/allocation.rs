//! Inner loops allocate nothing: counted by the global allocator of this test program.

use curvkit::linalg::krylov::{Cg, CgEnd, CgLimits};
use curvkit::linalg::operator::Diagonal;
use curvkit::second_order::subproblem::{CubicLanczos, Gltr, Model, Steihaug, Subproblem, TruncatedCg};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|c| c.set(c.get() + 1));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|c| c.set(c.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread during `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

fn case(n: usize) -> (Diagonal, Vec<f64>, Vec<f64>) {
    let d = (0..n).map(|i| 1.0 + i as f64 / 7.0).collect();
    (Diagonal(d), (0..n).map(|i| 1.0 + (i as f64).sin()).collect(), vec![0.0; n])
}

#[test]
fn counter_sees_an_allocation() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![0u8; 100]))), 1);
}

#[test]
fn cg_steps_allocate_nothing_once_warm() {
    let (b, g, _) = case(500);
    let preconditioner = Diagonal(b.0.iter().map(|d| 1.0 / (d + 1.0)).collect());
    let mut cg = Cg::default();
    let limits = CgLimits { tolerance: 1e-10, ..Default::default() };
    let mut run = |m: Option<&dyn curvkit::linalg::SymmetricOperator>| {
        cg.start(&g, m, 1 << 22).unwrap();
        assert_eq!(cg.advance(&b, m, &limits).unwrap(), CgEnd::Converged);
    };
    run(Some(&preconditioner));
    run(None);
    assert_eq!(allocations(|| run(None)), 0);
    assert_eq!(allocations(|| run(Some(&preconditioner))), 0);
}

/// Prepares twice (the first time buffers grow), then steps at falling, rising and repeated sizes.
fn warm_subproblem_allocates_nothing(mut solver: impl Subproblem, name: &str) {
    let (b, g, x) = case(300);
    let mut p = vec![0.0; 300];
    let model = Model { value: 0.0, x: &x, gradient: &g, curvature: &b };
    let mut round = || {
        solver.prepare(&model).unwrap();
        for size in [50.0, 5.0, 0.5, 5.0, 0.01, 100.0] {
            solver.step(&model, size, &mut p).unwrap();
        }
    };
    round();
    assert_eq!(allocations(round), 0, "{name}");
}

#[test]
fn subproblems_and_their_solves_for_new_sizes_allocate_nothing_once_warm() {
    warm_subproblem_allocates_nothing(Steihaug::default(), "Steihaug");
    let mut forgetful = Steihaug::default();
    forgetful.memory = 0;
    warm_subproblem_allocates_nothing(forgetful, "Steihaug without memory");
    warm_subproblem_allocates_nothing(TruncatedCg::default(), "TruncatedCg");
    warm_subproblem_allocates_nothing(Gltr::default(), "Gltr");
    let mut exact = Gltr::default();
    exact.tolerance = Some(1e-10);
    warm_subproblem_allocates_nothing(exact, "Gltr exact");
    warm_subproblem_allocates_nothing(CubicLanczos::default(), "CubicLanczos");
}

#[test]
fn first_solve_for_a_smaller_radius_allocates_nothing() {
    let (b, g, x) = case(300);
    let mut p = vec![0.0; 300];
    let model = Model { value: 0.0, x: &x, gradient: &g, curvature: &b };
    let (mut ball, mut krylov) = (Steihaug::default(), Gltr::default());
    ball.prepare(&model).unwrap();
    krylov.prepare(&model).unwrap();
    ball.step(&model, 1e3, &mut p).unwrap();
    krylov.step(&model, 1e3, &mut p).unwrap();
    assert_eq!(allocations(|| assert!(ball.step(&model, 1.0, &mut p).unwrap().inner == 0)), 0);
    assert_eq!(allocations(|| assert!(krylov.step(&model, 1.0, &mut p).unwrap().inner == 0)), 0);
}

mod solves {
    use super::allocations;
    use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, Solver};
    use curvkit::second_order::methods;
    use curvkit::second_order::subproblem::{CubicExact, Dogleg, Factorized, Model, MoreSorensen, Subproblem};
    use nalgebra::{Matrix2, SMatrix, SVector};

    type Point = SVector<f64, 2>;

    /// Rosenbrock on the stack: argmin's traits allocate nothing.
    #[derive(Clone)]
    struct OnStack;
    impl CostFunction for OnStack {
        type Param = Point;
        type Output = f64;
        fn cost(&self, p: &Point) -> Result<f64, Error> {
            Ok((1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2))
        }
    }
    impl Gradient for OnStack {
        type Param = Point;
        type Gradient = Point;
        fn gradient(&self, p: &Point) -> Result<Point, Error> {
            let t = p[1] - p[0] * p[0];
            Ok(Point::new(-2.0 * (1.0 - p[0]) - 400.0 * p[0] * t, 200.0 * t))
        }
    }
    impl Hessian for OnStack {
        type Param = Point;
        type Hessian = SMatrix<f64, 2, 2>;
        fn hessian(&self, p: &Point) -> Result<Self::Hessian, Error> {
            let off = -400.0 * p[0];
            Ok(Matrix2::new(2.0 - 400.0 * p[1] + 1200.0 * p[0] * p[0], off, off, 200.0))
        }
    }

    fn run<S: Solver<OnStack, IterState<Point, Point, (), (), (), f64>>>(solver: S, iterations: u64) -> u64 {
        allocations(|| {
            let run = Executor::new(OnStack, solver)
                .configure(|s: IterState<Point, Point, (), (), (), f64>| s.param(Point::new(-1.2, 1.0)).max_iters(iterations))
                .timer(false)
                .run()
                .unwrap();
            assert_eq!(run.state.iter, iterations);
        })
    }

    #[test]
    fn accepted_steps_allocate_one_boxed_operator_each() {
        macro_rules! check {
            ($($method:ident),*) => {$(
                // Between the sixth and the sixteenth iteration every buffer is warm.
                let (short, long) = (run(methods::$method().bare(), 6), run(methods::$method().bare(), 16));
                println!("{}: {} allocations in 10 accepted steps", stringify!($method), long - short);
                assert!(long - short <= 10, "{}: {}", stringify!($method), long - short);
            )*};
        }
        check!(newton, trust_region_exact, dogleg, cubic_regularization);
    }

    #[test]
    fn new_sizes_allocate_nothing() {
        let n = 12;
        let mut entries = vec![0.0; n * n];
        for i in 0..n {
            entries[i * n + i] = i as f64 - 3.0;
            entries[i * n + (i + 1) % n] += 0.5;
            entries[(i + 1) % n * n + i] += 0.5;
        }
        let b = curvkit::linalg::operator::DenseMatrix::new(n, entries).unwrap();
        let (x, g) = (vec![0.0; n], (0..n).map(|i| (i as f64).cos()).collect::<Vec<_>>());
        let model = Model { value: 0.0, x: &x, gradient: &g, curvature: &b };
        let mut p = vec![0.0; n];
        macro_rules! check {
            ($($subproblem:ident),*) => {$(
                let mut subproblem = $subproblem::default();
                subproblem.prepare(&model).unwrap();
                subproblem.step(&model, 1.0, &mut p).unwrap();
                let count = allocations(|| {
                    for size in [0.7, 0.3, 0.01, 2.0, 50.0] {
                        subproblem.step(&model, size, &mut p).unwrap();
                    }
                });
                assert_eq!(count, 0, "{}", stringify!($subproblem));
            )*};
        }
        check!(Factorized, Dogleg, MoreSorensen, CubicExact);
    }
}

/// A problem that answers without work.
struct Still;

impl curvkit::stochastic::rule::Oracle for Still {
    fn cost(&self, _: &[f64]) -> curvkit::Result<f64> {
        Ok(0.0)
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> curvkit::Result<f64> {
        out.copy_from_slice(x);
        Ok(0.0)
    }
    fn hessian_product(&self, _: &[f64], v: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        out.copy_from_slice(v);
        Ok(())
    }
    fn sampled_gradient(&self, x: &[f64], _: u64, out: &mut [f64]) -> curvkit::Result<usize> {
        out.copy_from_slice(x);
        Ok(4)
    }
}

#[test]
fn rules_allocate_nothing_after_their_first_step() {
    use curvkit::model::Block;
    use curvkit::stochastic::Clock;
    use curvkit::stochastic::rule::*;
    let rate = || LearningRate::new(0.01);
    let rules: Vec<(&str, Box<dyn UpdateRule>)> = vec![
        ("momentum", Box::new((Momentum::default(), rate()))),
        ("nesterov", Box::new((Nesterov::default(), rate()))),
        ("adagrad", Box::new((Adagrad::default(), rate()))),
        ("rms_prop", Box::new((RmsProp { centered: true, ..RmsProp::default() }, rate()))),
        ("adadelta", Box::new(Adadelta::default())),
        ("adam_w", Box::new((Adam::default(), WeightDecay::new(0.1), rate()))),
        ("ada_max", Box::new((AdaMax::default(), rate()))),
        ("ams_grad", Box::new((AmsGrad::default(), rate()))),
        ("ada_bound", Box::new(AdaBound { maximum: true, ..AdaBound::default() })),
        ("r_adam", Box::new((RAdam::default(), rate()))),
        ("n_adam", Box::new((NAdam::default(), rate()))),
        ("novo_grad", Box::new((NovoGrad::default(), rate()))),
        ("lars", Box::new((Lars::default(), rate(), Momentum::default()))),
        ("lamb", Box::new((Adam::default(), TrustRatio::default(), rate()))),
        ("lion", Box::new((Lion::default(), rate()))),
        ("sophia_g", Box::new((Sophia { every: 2, ..Sophia::gauss_newton() }, rate()))),
        ("sophia_h", Box::new((Sophia { every: 2, ..Sophia::hutchinson() }, rate()))),
        ("ada_hessian", Box::new((AdaHessian { spatial: 3, ..AdaHessian::default() }, rate()))),
        ("lookahead", Box::new(Lookahead { every: 2, reset: true, ..Lookahead::new((Adam::default(), rate())) })),
        ("sharpness_aware", Box::new((SharpnessAware::default(), rate()))),
        ("clip", Box::new((ClipValue(0.1), ClipNorm::global(0.1), ClipNorm::by_part(0.1), rate()))),
        ("noise", Box::new((GradientNoise::default(), rate()))),
    ];
    let n = 100;
    let block = |offset, rows| Block { name: String::new(), offset, rows, columns: 1 };
    let layout = [block(0, 60), block(60, 40)];
    let (x, mut update) = (vec![1.0; n], vec![0.0; n]);
    for (name, mut rule) in rules {
        rule.begin(n);
        let mut step = |k: u64| {
            update.iter_mut().enumerate().for_each(|(i, u)| *u = (i as f64 + k as f64).sin());
            let gradient = &x;
            let clock = Clock { step: k, epoch: 0.0 };
            let context = Context { clock, x: &x, gradient, cost: None, damping: 0.0, layout: &layout, oracle: &Still };
            rule.transform(&context, &mut update).unwrap();
        };
        step(0);
        assert_eq!(allocations(|| (1..7).for_each(&mut step)), 0, "{name}");
    }
}
