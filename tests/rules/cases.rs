//! Every case of `tests/fixtures/rules`: its name, what the reference is, and the chain that must reproduce it.

use super::problems::Rule;
use curvkit::stochastic::rule::*;
use curvkit::stochastic::schedule::Schedule;

pub type Case = (&'static str, &'static str, Box<dyn Rule>);

fn rate(value: f64) -> LearningRate {
    LearningRate::new(value)
}

/// Tenfold smaller from step 20 on.
fn dropped(value: f64) -> Schedule {
    Schedule::Milestones { initial: value, milestones: vec![(20.0, 0.1)] }
}

fn sutskever() -> Schedule {
    Schedule::Sutskever { max: 0.95, every: 10.0 }
}

fn fifth() -> Schedule {
    Schedule::Milestones { initial: 0.02, milestones: vec![(50.0, 0.2)] }
}

pub fn all() -> Vec<Case> {
    let mut cases = velocities();
    cases.extend(by_variable());
    cases.extend(adam_family());
    cases.extend(others());
    cases
}

fn velocities() -> Vec<Case> {
    let dampened = |dampening| Momentum::new(0.9).dampening(dampening);
    let mut outside = LookAheadMomentum::new(sutskever());
    outside.scale = dropped(0.05);
    vec![
        ("sgd", "torch", Box::new(rate(0.05))),
        ("momentum-outside", "torch", Box::new((Momentum::new(0.9), LearningRate(dropped(0.05))))),
        ("momentum-inside", "own", Box::new((LearningRate(dropped(0.05)), Momentum::new(0.9)))),
        ("momentum-dampened", "own", Box::new((dampened(Dampening::Constant(0.3)), rate(0.05)))),
        ("momentum-dampened-torch", "torch", Box::new((dampened(Dampening::AfterFirst(0.3)), rate(0.05)))),
        ("momentum-average", "optax", Box::new((Momentum::average(0.9), rate(0.2)))),
        ("momentum-average-debiased", "optax", Box::new((dampened(Dampening::DebiasedAverage), rate(0.2)))),
        ("momentum-sutskever", "own", Box::new((Momentum::new(sutskever()), rate(0.05)))),
        ("nesterov-torch", "torch", Box::new((Nesterov::new(0.9), LearningRate(dropped(0.05))))),
        ("nesterov-inside", "optax", Box::new((rate(0.05), Nesterov::new(0.9)))),
        ("nesterov-sutskever", "own", Box::new((Nesterov::new(sutskever()), rate(0.05)))),
        ("nesterov-ahead", "own", Box::new((LearningRate(dropped(0.05)), LookAheadMomentum::new(sutskever())))),
        ("nesterov-ahead-outside", "own", Box::new((outside, LearningRate(dropped(0.05))))),
    ]
}

fn by_variable() -> Vec<Case> {
    let rms = |rms: RmsProp| Box::new((rms, rate(0.02)));
    let wide = RmsProp { eps_root: 1e-2, centered: true, ..RmsProp::default() };
    let initial = RmsProp { start: Start::Value(0.5), ..RmsProp::like_optax() };
    let centered = RmsProp { centered: true, ..RmsProp::like_torch() };
    let adadelta = Adadelta { eps_root: 1e-4, ..Adadelta::like_torch() };
    let scaled = Adadelta { eps_root: 1e-4, accumulated: 0.5.into(), ..Adadelta::paper() };
    vec![
        ("adagrad", "own", Box::new((Adagrad::default(), rate(0.3)))),
        ("adagrad-torch", "torch", Box::new((Adagrad::like_torch(), rate(0.3)))),
        ("adagrad-optax", "optax", Box::new((Adagrad::like_optax(), rate(0.3)))),
        ("rmsprop-optax", "optax", Box::new((RmsProp::like_optax(), rate(0.01)))),
        ("rmsprop-optax-momentum", "optax", Box::new((initial, rate(0.02), Momentum::new(0.9)))),
        ("rmsprop-torch", "torch", Box::new((RmsProp::like_torch(), rate(0.02)))),
        ("rmsprop-torch-centered", "torch", Box::new((centered, Momentum::new(0.9), LearningRate(dropped(0.002))))),
        ("rmsprop-debiased", "optax", rms(RmsProp { debias: true, ..RmsProp::default() })),
        ("rmsprop-debiased-centered", "own", rms(RmsProp { debias: true, ..wide.clone() })),
        ("rmsprop-first-gradient-centered", "own", rms(RmsProp { start: Start::FirstGradient, ..wide })),
        ("rmsprop", "own", Box::new((RmsProp::default(), rate(0.01)))),
        ("rmsprop-optax-centered", "optax", Box::new((RmsProp { centered: true, ..RmsProp::like_optax() }, rate(0.01)))),
        ("rmsprop-first-gradient", "own", rms(RmsProp { start: Start::FirstGradient, ..RmsProp::default() })),
        ("adadelta-torch", "torch", Box::new((adadelta.clone(), rate(0.7)))),
        ("adadelta-optax", "optax", Box::new(adadelta)),
        ("adadelta-two-decays", "own", Box::new(Adadelta { update_decay: 0.8, eps_root: 1e-4, ..Adadelta::paper() })),
        ("adadelta-scaled", "own", Box::new((scaled, rate(0.5)))),
    ]
}

fn adam_family() -> Vec<Case> {
    let scheduled = Adam { beta1: Schedule::linear(0.95, 0.87, 80.0), ..Adam::default() };
    let bound = AdaBound { rate: fifth(), ..AdaBound::default() };
    let skip = RAdam { eps: 1e-4, degenerate: Degenerate::Skip, ..RAdam::like_torch() };
    let lamb = || Adam { eps: 1e-6, ..Adam::default() };
    let clipped = TrustRatio { bounds: Some((0.5, 1.2)), ..TrustRatio::default() };
    vec![
        ("adam", "torch", Box::new((Adam::like_torch(), rate(0.05)))),
        ("adam-optax-root", "optax", Box::new((Adam { eps: 0.0, eps_root: 1e-6, ..Adam::like_optax() }, rate(0.05)))),
        ("adam-epsilon-hat", "own", Box::new((Adam { eps: 1e-4, ..Adam::epsilon_hat() }, rate(0.05)))),
        ("adam-scheduled", "own", Box::new((scheduled, rate(0.05)))),
        ("adam-l2", "torch", Box::new((WeightDecay::new(0.03), Adam::default(), rate(0.05)))),
        ("adamax", "torch", Box::new((AdaMax::like_torch(), rate(0.05)))),
        ("adamax-paper", "own", Box::new((AdaMax::paper(), rate(0.05)))),
        ("amsgrad-torch", "torch", Box::new((AmsGrad::like_torch(), rate(0.05)))),
        ("amsgrad-optax", "optax", Box::new((AmsGrad::like_optax(), rate(0.05)))),
        ("amsgrad-paper", "own", Box::new((AmsGrad::paper(), rate(0.05)))),
        ("adabound", "pytorch_optimizer", Box::new(AdaBound { eps_root: 1e-15, ..bound.clone() })),
        ("adabound-own", "own", Box::new(bound.clone())),
        ("adabound-paper", "own", Box::new(AdaBound { rate: 0.02.into(), ..AdaBound::paper() })),
        ("amsbound", "own", Box::new(AdaBound { maximum: true, ..bound })),
        ("adamw-torch", "torch", Box::new((Adam::default(), WeightDecay::new(0.04), rate(0.05)))),
        ("adamw-optax", "optax", Box::new((Adam::default(), WeightDecay::new(0.04), rate(0.05)))),
        ("adamw-by-schedule", "own", Box::new((Adam::default(), LearningRate(dropped(0.05)), WeightDecay(dropped(0.004))))),
        ("radam-torch", "torch", Box::new((RAdam::like_torch(), rate(0.05)))),
        ("radam-optax", "optax", Box::new((RAdam::like_optax(), rate(0.05)))),
        ("radam-paper", "own", Box::new((RAdam::paper(), rate(0.05)))),
        ("radam-skip", "own", Box::new((skip, rate(0.05)))),
        ("nadam-torch", "torch", Box::new((NAdam::like_torch(), rate(0.05)))),
        ("nadam", "own", Box::new((NAdam::default(), rate(0.05)))),
        ("nadam-paper", "own", Box::new((NAdam::paper(), rate(0.05)))),
        ("nadam-optax", "optax", Box::new((NAdam::like_optax(), rate(0.05)))),
        ("lamb-optax", "optax", Box::new((lamb(), WeightDecay::new(0.03), TrustRatio::default(), rate(0.02)))),
        ("lamb-clipped", "own", Box::new((lamb(), WeightDecay::new(0.03), clipped, rate(0.02)))),
    ]
}

fn others() -> Vec<Case> {
    let signs = DiagonalEstimator::Hutchinson(Probe::Signs);
    let sophia = |sophia: Sophia| Box::new((sophia, WeightDecay::new(0.1), rate(0.05)));
    let spatial = AdaHessian { power: 0.5, spatial: 2, every: 4, ..AdaHessian::default() };
    let trust = TrustRatio { coefficient: 0.02, eps: 1e-6, bounds: None };
    let lars = Lars { coefficient: 0.02, weight_decay: 0.01, ..Lars::default() };
    let reset = Lookahead { every: 6, slow_step: 0.8, reset: true, ..Lookahead::new((Momentum::new(0.9), rate(0.05))) };
    let novo = |weight_decay, averaging| NovoGrad { weight_decay, averaging, ..NovoGrad::paper() };
    vec![
        ("sgdw", "pytorch_optimizer", Box::new((Momentum::new(0.9), WeightDecay::new(0.04), rate(0.05)))),
        ("sgdw-by-schedule", "own", Box::new((LearningRate(dropped(0.05)), Momentum::new(0.9), WeightDecay(dropped(0.004))))),
        ("novograd-optax", "optax", Box::new((NovoGrad { weight_decay: 0.01, ..NovoGrad::like_optax() }, rate(0.02)))),
        ("novograd-paper", "own", Box::new((novo(0.001, false), rate(0.01)))),
        ("novograd-averaging", "own", Box::new((novo(0.001, true), rate(0.1)))),
        ("lars-optax", "optax", Box::new((WeightDecay::new(0.01), trust, rate(0.5), Momentum::new(0.9)))),
        ("lars-paper", "own", Box::new((lars, rate(0.5), Momentum::new(0.9)))),
        ("lion-optax", "optax", Box::new((Lion::default(), WeightDecay::new(0.3), rate(0.01)))),
        ("sophia-g", "own", sophia(Sophia::gauss_newton())),
        ("sophia-h", "own", sophia(Sophia { gamma: 0.3, every: 3, estimator: signs, ..Sophia::hutchinson() })),
        ("adahessian", "own", Box::new((AdaHessian::default(), rate(0.15)))),
        ("adahessian-spatial", "own", Box::new((spatial, rate(0.15)))),
        ("lookahead-adam", "optax", Box::new(Lookahead::new((Adam::default(), rate(0.05))))),
        ("lookahead-reset", "optax", Box::new(reset)),
        ("ranger", "optax", Box::new(Lookahead::new((RAdam::default(), rate(0.05))))),
        ("sam", "own", Box::new((SharpnessAware::new(0.05), Momentum::new(0.9), rate(0.05)))),
        ("asam", "own", Box::new((SharpnessAware::adaptive(), Momentum::new(0.9), rate(0.05)))),
        ("clip-value", "optax", Box::new((ClipValue(0.3), rate(0.05)))),
        ("clip-global", "optax", Box::new((ClipNorm::global(0.5), rate(0.05)))),
        ("clip-torch", "torch", Box::new((ClipNorm::like_torch(0.5), rate(0.05)))),
        ("clip-parts", "own", Box::new((ClipNorm::by_part(0.4), rate(0.05)))),
    ]
}
