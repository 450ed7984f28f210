//! Every estimator × rule: a run that is stopped and reloaded goes on bit for bit, and one thread gives the bits of two.
#![cfg(feature = "serde")]

use argmin::core::checkpointing::{Checkpoint, CheckpointingFrequency};
use argmin::core::{Executor, State as _};
use argmin_checkpointing_file::FileCheckpoint;
use curvkit::curvature::Identity;
use curvkit::problem::{At, Features, LinearLoss, LinearOptions, LinearSum};
use curvkit::stochastic::average::Averaging;
use curvkit::stochastic::estimator::{
    Estimate, FullBatch, GradientEstimator, LipschitzSearch, MiniBatch, Sampling, Selection, Snapshot, Svrg, TableStart,
    Tabulated,
};
use curvkit::stochastic::rule::{
    AdaBound, AdaHessian, AdaMax, Adadelta, Adagrad, Adam, AmsGrad, ClipNorm, ClipValue, Context, GradientNoise, Lars,
    LearningRate, Lion, LookAheadMomentum, Lookahead, Momentum, NAdam, Nesterov, NovoGrad, OnPlateau, RAdam, RmsProp,
    SharpnessAware, Sophia, TrustRatio, UpdateRule, WeightDecay,
};
use curvkit::stochastic::{Cadence, Clock, State, Stochastic};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// One type for all parts of a kind, so that each pairing is a value and not a compilation.
macro_rules! any {
    ($any:ident: $($name:ident($part:ty)),* $(,)?) => {
        #[derive(Clone, serde::Serialize, serde::Deserialize)]
        #[allow(clippy::large_enum_variant)]
        enum $any { $($name($part)),* }
        impl $any {
            fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),* }
            }
        }
    };
}

macro_rules! rules {
    ($($name:ident($part:ty)),* $(,)?) => {
        any!(AnyRule: $($name($part)),*);
        impl UpdateRule for AnyRule {
            fn validate(&self) -> curvkit::Result<()> {
                match self { $(Self::$name(rule) => rule.validate()),* }
            }
            fn begin(&mut self, n: usize) {
                match self { $(Self::$name(rule) => rule.begin(n)),* }
            }
            fn look_ahead(&self, clock: &Clock, x: &[f64], point: &mut [f64]) -> bool {
                match self { $(Self::$name(rule) => rule.look_ahead(clock, x, point)),* }
            }
            fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> curvkit::Result<()> {
                match self { $(Self::$name(rule) => rule.transform(context, update)),* }
            }
            fn evaluated(&mut self, loss: f64) {
                match self { $(Self::$name(rule) => rule.evaluated(loss)),* }
            }
        }
    };
}

rules! {
    Plain(LearningRate),
    Momentum((Momentum, LearningRate)),
    HeavyBall((LearningRate, Momentum)),
    Nesterov((Nesterov, LearningRate)),
    LookAhead((LearningRate, LookAheadMomentum)),
    Adagrad((Adagrad, LearningRate)),
    RmsProp((RmsProp, LearningRate)),
    Adadelta(Adadelta),
    Adam((Adam, LearningRate)),
    AdaMax((AdaMax, LearningRate)),
    AmsGrad((AmsGrad, LearningRate)),
    AdaBound(AdaBound),
    AdamW((Adam, WeightDecay, LearningRate)),
    RAdam((RAdam, LearningRate)),
    NAdam((NAdam, LearningRate)),
    NovoGrad((NovoGrad, LearningRate)),
    Lars((Lars, LearningRate, Momentum)),
    Lamb((Adam, WeightDecay, TrustRatio, LearningRate)),
    Lion((Lion, LearningRate)),
    SophiaG((Sophia, LearningRate)),
    SophiaH((Sophia, LearningRate)),
    AdaHessian((AdaHessian, LearningRate)),
    Ranger(Lookahead<(RAdam, LearningRate)>),
    SharpnessAware((SharpnessAware, LearningRate)),
    Clipped((ClipValue, ClipNorm, Adam, LearningRate)),
    Noisy((GradientNoise, LearningRate)),
    Plateau((Momentum, OnPlateau)),
}

fn every_rule() -> Vec<AnyRule> {
    let rate = |rate: f64| LearningRate::new(rate);
    vec![
        AnyRule::Plain(rate(0.1)),
        AnyRule::Momentum((Momentum::new(0.9), rate(0.02))),
        AnyRule::HeavyBall((rate(0.02), Momentum::new(0.9))),
        AnyRule::Nesterov((Nesterov::new(0.9), rate(0.02))),
        AnyRule::LookAhead((rate(0.02), LookAheadMomentum::new(0.9))),
        AnyRule::Adagrad((Adagrad::default(), rate(0.1))),
        AnyRule::RmsProp((RmsProp::default(), rate(0.01))),
        AnyRule::Adadelta(Adadelta::default()),
        AnyRule::Adam((Adam::default(), rate(0.01))),
        AnyRule::AdaMax((AdaMax::default(), rate(0.01))),
        AnyRule::AmsGrad((AmsGrad::default(), rate(0.01))),
        AnyRule::AdaBound(AdaBound::default()),
        AnyRule::AdamW((Adam::default(), WeightDecay::new(0.01), rate(0.01))),
        AnyRule::RAdam((RAdam::default(), rate(0.01))),
        AnyRule::NAdam((NAdam::default(), rate(0.01))),
        AnyRule::NovoGrad((NovoGrad::default(), rate(0.01))),
        AnyRule::Lars((Lars::default(), rate(0.5), Momentum::new(0.9))),
        AnyRule::Lamb((Adam::default(), WeightDecay::new(0.01), TrustRatio::default(), rate(0.01))),
        AnyRule::Lion((Lion::default(), rate(0.003))),
        AnyRule::SophiaG((Sophia::gauss_newton(), rate(0.01))),
        AnyRule::SophiaH((Sophia::hutchinson(), rate(0.01))),
        AnyRule::AdaHessian((AdaHessian::default(), rate(0.05))),
        AnyRule::Ranger(Lookahead::new((RAdam::default(), rate(0.01)))),
        AnyRule::SharpnessAware((SharpnessAware::new(0.05), rate(0.1))),
        AnyRule::Clipped((ClipValue(0.5), ClipNorm::global(0.5), Adam::default(), rate(0.01))),
        AnyRule::Noisy((GradientNoise::default(), rate(0.05))),
        AnyRule::Plateau((Momentum::new(0.5), OnPlateau::new(0.5))),
    ]
}

macro_rules! estimators {
    ($($name:ident($part:ty)),* $(,)?) => {
        any!(AnyEstimator: $($name($part)),*);
        impl GradientEstimator<LinearSum> for AnyEstimator {
            fn begin(&mut self, at: At<'_, LinearSum>) -> curvkit::Result<()> {
                match self { $(Self::$name(estimator) => estimator.begin(at)),* }
            }
            fn estimate<'a>(&'a mut self, at: At<'_, LinearSum>, epoch: f64, g: &mut [f64]) -> curvkit::Result<Estimate<'a>> {
                match self { $(Self::$name(estimator) => estimator.estimate(at, epoch, g)),* }
            }
        }
    };
}

estimators! {
    FullBatch(FullBatch),
    Shuffled(MiniBatch),
    Replaced(MiniBatch),
    Subsets(MiniBatch),
    Sag(Tabulated),
    SagSeen(Tabulated),
    SagSearching(Tabulated),
    SagaCentred(Tabulated),
    SagaLipschitz(Tabulated),
    Svrg(Svrg),
    SvrgRandom(Svrg),
    SvrgAverage(Svrg),
}

fn every_estimator() -> Vec<AnyEstimator> {
    vec![
        AnyEstimator::FullBatch(FullBatch::default()),
        AnyEstimator::Shuffled(MiniBatch::new(7, 1)),
        AnyEstimator::Replaced(MiniBatch::new(7, 2).sampling(Sampling::WithReplacement)),
        AnyEstimator::Subsets(MiniBatch::new(7, 3).sampling(Sampling::WithoutReplacement)),
        AnyEstimator::Sag(Tabulated::sag(4)),
        AnyEstimator::SagSeen(Tabulated::sag(5).start(TableStart::Seen)),
        AnyEstimator::SagSearching(Tabulated::sag(6).batch(5).search(LipschitzSearch::default())),
        AnyEstimator::SagaCentred(Tabulated::saga(7).start(TableStart::Centred)),
        AnyEstimator::SagaLipschitz(Tabulated::saga(8).selection(Selection::Lipschitz)),
        AnyEstimator::Svrg(Svrg::new(9)),
        AnyEstimator::SvrgRandom(Svrg::new(10).snapshot(Snapshot::Random).inner(17)),
        AnyEstimator::SvrgAverage(Svrg::new(11).snapshot(Snapshot::Average).inner(17).batch(3)),
    ]
}

fn problem(n: usize, p: usize) -> LinearSum {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let x: Vec<f64> = (0..n * p).map(|_| random.sample(StandardNormal)).collect();
    let label = |row: &[f64]| f64::from(row[0] - 0.5 * row[1] + random.sample::<f64, _>(StandardNormal) > 0.0);
    let y: Vec<f64> = x.chunks(p).map(label).collect();
    let features = Features::dense(p, x).expect("features");
    LinearSum::new(LinearLoss::Logistic, features, y, &LinearOptions { l2: 1e-3, ..LinearOptions::default() }).expect("problem")
}

type Any = Stochastic<AnyEstimator, Identity, AnyRule>;

fn solver(estimator: &AnyEstimator, rule: &AnyRule, iteration: Cadence) -> Any {
    let mut solver = Stochastic::new(estimator.clone(), rule.clone()).averaged(Averaging::Exponential { decay: 0.9 });
    (solver.protocol.iteration, solver.protocol.evaluate) = (iteration, Cadence::Epochs(0.7));
    solver.report = false;
    solver
}

fn run(problem: &LinearSum, solver: Any, limit: u64, file: Option<FileCheckpoint>) -> Vec<u64> {
    let start = vec![0.1; problem.n_params()];
    let executor = Executor::new(problem.clone(), solver).configure(|s: State<Vec<f64>>| s.param(start).max_iters(limit));
    let result = match file {
        Some(file) => executor.checkpointing(file).run().expect("run"),
        None => executor.run().expect("run"),
    };
    let state = result.state;
    assert_eq!(state.get_iter(), limit, "{}: {}", result.solver.rule.name(), state.get_termination_status());
    let x = state.param.iter().flatten().chain(state.best_param.iter().flatten()).chain([&state.cost]);
    x.map(|v| v.to_bits()).collect()
}

#[test]
fn every_estimator_with_every_rule_resumes_bit_for_bit() {
    let problem = problem(40, 4);
    let folder = std::env::temp_dir().join(format!("curvkit-resume-every-{}", std::process::id()));
    let folder = folder.to_string_lossy().into_owned();
    let mut pairs = 0;
    for estimator in every_estimator() {
        for rule in every_rule() {
            let name = format!("{}-{}", estimator.name(), rule.name());
            let make = || solver(&estimator, &rule, Cadence::Steps(3));
            let checkpoint = || FileCheckpoint::new(folder.as_str(), &name, CheckpointingFrequency::Every(9));
            let whole = run(&problem, make(), 25, None);
            run(&problem, make(), 10, Some(checkpoint()));
            // argmin restores the old limit with the state: write the checkpoint back with the new one.
            let (half, state): (Any, State<Vec<f64>>) = checkpoint().load().expect("checkpoint").expect("checkpoint");
            assert_eq!(state.get_iter(), 9, "{name}");
            checkpoint().save(&half, &state.max_iters(25)).expect("checkpoint");
            assert_eq!(run(&problem, make(), 25, Some(checkpoint())), whole, "{name}");
            pairs += 1;
        }
    }
    std::fs::remove_dir_all(&folder).expect("folder");
    println!("{pairs} pairings of estimators and rules resume bit for bit");
}

#[test]
fn one_thread_gives_the_bits_of_two() {
    // Large enough that passes over all terms are shared among threads.
    let problem = problem(6000, 40);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let rule = AnyRule::Adam((Adam::default(), LearningRate::new(0.01)));
            let runs = every_estimator().into_iter().map(|estimator| {
                // A pass over all terms in each iteration of the full batch; a few steps of the others.
                run(&problem, solver(&estimator, &rule, Cadence::Steps(3)), 4, None)
            });
            runs.collect::<Vec<_>>()
        })
    };
    assert_eq!(on(1), on(2));
}
