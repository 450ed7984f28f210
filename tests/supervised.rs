//! Every curvature × subproblem × globalization triple on full-batch learning problems: logistic, multinomial, a small
//! network; a table of counts, all to a suboptimality of 1e-8 of the best known value.

use argmin::core::{Executor, IterState, Solver};
use curvkit::curvature::{Blocks, Dense, Diagonal, Ekfac, EmpiricalFisher, Fisher, GaussNewton, HessianProducts, Kfac};
use curvkit::curvature::{KroneckerDamping, MonteCarloFisher, OutputFactor, TridiagonalKfac};
use curvkit::loss::{BinaryCrossEntropy, SoftmaxCrossEntropy};
use curvkit::model::{Activation, Batch, Initialization, Network};
use curvkit::problem::Supervised;
use curvkit::second_order::globalization::{Armijo, CubicWeight, DampingControl, HagerZhang, StrongWolfe, TrustRegion};
use curvkit::second_order::methods;
use curvkit::second_order::minimizer::Minimizer;
use curvkit::second_order::subproblem::{CubicExact, CubicLanczos, Damped, Dogleg, Factorized, Gltr, MoreSorensen};
use curvkit::second_order::subproblem::{Steihaug, TruncatedCg};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

struct Case {
    name: &'static str,
    problem: fn() -> Supervised,
    start: Vec<f64>,
    best: f64,
}

struct Table {
    runs: u32,
    failed: Vec<String>,
}

impl Table {
    fn run<S: Solver<Supervised, Vectors>>(&mut self, case: &Case, triple: &str, solver: S) {
        let start = case.start.clone();
        let result = Executor::new((case.problem)(), solver).configure(|s: Vectors| s.param(start).max_iters(5000)).run();
        let result = result.expect("run");
        let counts = result.problem.counts.clone();
        let count = |key: &str| counts.get(key).copied().unwrap_or(0);
        let excess = (result.state.best_cost - case.best) / case.best.abs().max(1.0);
        self.runs += 1;
        println!(
            "{:12} {triple:58} it {:5} f {:5} g {:5} Bv {:6} above {excess:9.1e}",
            case.name,
            result.state.iter,
            count("cost_count"),
            count("gradient_count"),
            count("hessian_product_count")
        );
        if !(excess <= 1e-8) {
            self.failed.push(format!("{} {triple}: {excess:.1e} after {}", case.name, result.state.iter));
        }
    }
}

macro_rules! triples {
    ($table:ident, $case:ident, [$($curvature:expr),*], $subproblems:tt, $globalizations:tt) => {
        $(triples!(@subproblem $table, $case, $curvature, $subproblems, $globalizations);)*
    };
    (@subproblem $table:ident, $case:ident, $curvature:expr, [$($subproblem:ident),*], $globalizations:tt) => {
        $(triples!(@globalization $table, $case, $curvature, $subproblem, $globalizations);)*
    };
    (@globalization $table:ident, $case:ident, $curvature:expr, $subproblem:ident, [$($globalization:ident),*]) => {
        $({
            let solver = Minimizer::new($curvature, $subproblem::default(), $globalization::default());
            let curvature: String = stringify!($curvature).split_whitespace().collect();
            let triple = format!("{curvature} {} {}", stringify!($subproblem), stringify!($globalization));
            $table.run($case, &triple, solver);
        })*
    };
}

fn normal(dim: usize, n: usize, seed: u64) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Batch::new(dim, (0..dim * n).map(|_| random.sample(StandardNormal)).collect()).expect("batch")
}

/// Labels from noisy linear scores.
fn labels(x: &Batch, classes: usize, seed: u64) -> Batch {
    let weights = normal(x.dim(), classes, seed);
    let mut random = ChaCha8Rng::seed_from_u64(seed + 1);
    let mut label = |i: usize| {
        let score = |c: usize| x.sample(i).iter().zip(weights.sample(c)).map(|(x, w)| x * w).sum::<f64>();
        let noisy: Vec<f64> = (0..classes).map(|c| score(c) + random.sample::<f64, _>(StandardNormal)).collect();
        (0..classes).max_by(|a, b| noisy[*a].total_cmp(&noisy[*b])).unwrap_or(0) as f64
    };
    Batch::new(1, (0..x.n()).map(&mut label).collect()).expect("labels")
}

fn logistic() -> Supervised {
    let x = normal(5, 80, 1);
    let y = labels(&x, 2, 2);
    let net = Network::vector(5).and_then(|net| net.dense(1, Activation::Identity)).expect("model");
    Supervised::new(net, BinaryCrossEntropy, x, y).and_then(|p| p.l2(1e-3)).expect("problem")
}

fn multinomial() -> Supervised {
    let x = normal(4, 80, 3);
    let y = labels(&x, 3, 4);
    let net = Network::vector(4).and_then(|net| net.dense(3, Activation::Identity)).expect("model");
    Supervised::new(net, SoftmaxCrossEntropy, x, y).and_then(|p| p.l2(1e-3)).expect("problem")
}

fn small_network() -> Supervised {
    let x = normal(3, 60, 5);
    let y = labels(&x, 3, 6);
    let net = Network::perceptron(&[3, 4, 3], Activation::Tanh).expect("model");
    Supervised::new(net, SoftmaxCrossEntropy, x, y).and_then(|p| p.l2(1e-2)).expect("problem")
}

fn cases() -> Vec<Case> {
    let network = Network::perceptron(&[3, 4, 3], Activation::Tanh).expect("model");
    let start = network.initialize(Initialization::Glorot, 3).expect("parameters");
    let problems: [(&str, fn() -> Supervised, Vec<f64>); 3] =
        [("logistic", logistic, vec![0.0; 6]), ("multinomial", multinomial, vec![0.0; 15]), ("network", small_network, start)];
    let case = |(name, problem, start): (&'static str, fn() -> Supervised, Vec<f64>)| {
        let solver = Minimizer::new(HessianProducts, MoreSorensen::default(), TrustRegion::default());
        let result = Executor::new(problem(), solver).configure(|s: Vectors| s.param(start.clone()).max_iters(1000)).run();
        Case { name, problem, start, best: result.expect("run").state.best_cost }
    };
    problems.into_iter().map(case).collect()
}

#[test]
fn every_triple_reaches_the_best_known_value() {
    let mut table = Table { runs: 0, failed: Vec::new() };
    for case in &cases() {
        println!("{}: best known value {:.12}", case.name, case.best);
        macro_rules! curvatures {
            ($subproblems:tt, $globalizations:tt) => {
                triples!(
                    table,
                    case,
                    [
                        HessianProducts,
                        GaussNewton,
                        Fisher,
                        MonteCarloFisher { samples: 50, seed: 1 },
                        EmpiricalFisher,
                        Dense(GaussNewton),
                        Dense(Fisher),
                        Dense(MonteCarloFisher { samples: 50, seed: 1 }),
                        Dense(EmpiricalFisher),
                        Diagonal(GaussNewton),
                        Diagonal(EmpiricalFisher),
                        Blocks(GaussNewton),
                        Kfac::<GaussNewton>::default(),
                        Kfac::<MonteCarloFisher>::default(),
                        Kfac::<EmpiricalFisher>::default(),
                        Kfac::<GaussNewton> { damping: KroneckerDamping::Factored, ..Default::default() },
                        Kfac::<GaussNewton> { outputs: OutputFactor::Identity, ..Default::default() },
                        Ekfac::<GaussNewton>::default(),
                        TridiagonalKfac::<GaussNewton>::default()
                    ],
                    $subproblems,
                    $globalizations
                )
            };
        }
        curvatures!([Factorized, TruncatedCg], [Armijo, StrongWolfe, HagerZhang]);
        curvatures!([MoreSorensen, Steihaug, Gltr, Dogleg], [TrustRegion]);
        curvatures!([CubicExact, CubicLanczos], [CubicWeight]);
        curvatures!([Damped], [DampingControl]);
        table.run(case, "natural_gradient", methods::natural_gradient());
        table.run(case, "lbfgs", methods::lbfgs());
    }
    println!("{} runs", table.runs);
    assert!(table.failed.is_empty(), "{} of {}: {:#?}", table.failed.len(), table.runs, table.failed);
}
