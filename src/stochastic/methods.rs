//! The named methods: the usual chains of rules over any estimator, without a preconditioner, ready to run.
//!
//! | method | chain | source |
//! |---|---|---|
//! | [`gradient_descent`], [`sgd`] | [`LearningRate`] | Cauchy 1847; Robbins & Monro 1951 |
//! | [`momentum`] | [`Momentum`], [`LearningRate`] | Polyak 1964, as in torch and optax |
//! | [`heavy_ball`] | [`LearningRate`], [`Momentum`] | Polyak 1964 |
//! | [`nesterov`] | [`Nesterov`], [`LearningRate`] | Nesterov 1983, shifted variable |
//! | [`nesterov_look_ahead`] | [`LearningRate`], [`LookAheadMomentum`] | Sutskever et al. 2013 |
//! | [`adagrad`] | [`Adagrad`], [`LearningRate`] | Duchi, Hazan & Singer 2011 |
//! | [`rms_prop`] | [`RmsProp`], [`LearningRate`] | Hinton 2012 |
//! | [`adadelta`] | [`Adadelta`] | Zeiler 2012 |
//! | [`adam`], [`ada_max`] | [`Adam`] or [`AdaMax`], [`LearningRate`] | Kingma & Ba 2015 |
//! | [`ams_grad`] | [`AmsGrad`], [`LearningRate`] | Reddi, Kale & Kumar 2018 |
//! | [`ada_bound`] | [`AdaBound`] | Luo, Xiong, Liu & Sun 2019 |
//! | [`adam_l2`] | [`WeightDecay`], [`Adam`], [`LearningRate`] | |
//! | [`adam_w`] | [`Adam`], [`WeightDecay`], [`LearningRate`] | Loshchilov & Hutter 2019, as in torch and optax |
//! | [`adam_w_by_schedule`] | [`Adam`], [`LearningRate`], [`WeightDecay`] | Loshchilov & Hutter 2019, Algorithm 2 |
//! | [`sgd_w`] | [`Momentum`], [`WeightDecay`], [`LearningRate`] | |
//! | [`sgd_w_by_schedule`] | [`LearningRate`], [`Momentum`], [`WeightDecay`] | Loshchilov & Hutter 2019, Algorithm 1 |
//! | [`r_adam`] | [`RAdam`], [`LearningRate`] | Liu et al. 2020 |
//! | [`n_adam`] | [`NAdam`], [`LearningRate`] | Dozat 2016 |
//! | [`novo_grad`] | [`NovoGrad`], [`LearningRate`] | Ginsburg et al. 2019 |
//! | [`lars`] | [`Lars`], [`LearningRate`], [`Momentum`] | You, Gitman & Ginsburg 2017 |
//! | [`lamb`] | [`Adam`], [`WeightDecay`], [`TrustRatio`], [`LearningRate`] | You et al. 2020 |
//! | [`lion`] | [`Lion`], [`WeightDecay`], [`LearningRate`] | Chen et al. 2023 |
//! | [`sophia_g`], [`sophia_h`] | [`Sophia`], [`WeightDecay`], [`LearningRate`] | Liu, Li, Hall, Liang & Ma 2024 |
//! | [`ada_hessian`] | [`AdaHessian`], [`LearningRate`] | Yao et al. 2021 |
//! | [`ranger`] | [`Lookahead`] of [`RAdam`], [`LearningRate`] | Zhang et al. 2019 |
//! | [`sharpness_aware`] | [`SharpnessAware`], [`Momentum`], [`LearningRate`] | Foret et al. 2021 |
//!
//! Decays of moments and small constants are the rules' defaults; the papers' learning rates are given with each method. Every
//! part can be exchanged: the fields of [`Stochastic`] are public, and any other chain is a tuple.

use super::Stochastic;
use super::estimator::{FullBatch, Svrg, Tabulated};
use super::rule::{
    AdaBound, AdaHessian, AdaMax, Adadelta, Adagrad, Adam, AmsGrad, Lars, LearningRate, Lion, LookAheadMomentum, Lookahead,
    Momentum, NAdam, Nesterov, NovoGrad, RAdam, RmsProp, SharpnessAware, Sophia, TrustRatio, WeightDecay,
};
use super::schedule::Schedule;
use crate::curvature::Identity;

/// A method without preconditioner.
pub type FirstOrder<E, R> = Stochastic<E, Identity, R>;

/// Gradient descent: `x ← x − α ∇f(x)`. `1/L` descends in every step, `2/(L + m)` contracts fastest, `2/L` is where a quadratic
/// begins to diverge.
pub fn gradient_descent(learning_rate: impl Into<Schedule>) -> FirstOrder<FullBatch, LearningRate> {
    sgd(FullBatch::default(), learning_rate)
}

/// Stochastic gradient descent: `x ← x − α g`.
pub fn sgd<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, LearningRate> {
    Stochastic::new(estimator, LearningRate::new(learning_rate))
}

/// Momentum with the rate outside: `v ← μv + g`, `x ← x − αv`. Usual: `μ = 0.9`.
pub fn momentum<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    coefficient: impl Into<Schedule>,
) -> FirstOrder<E, (Momentum, LearningRate)> {
    Stochastic::new(estimator, (Momentum::new(coefficient), LearningRate::new(learning_rate)))
}

/// Momentum with the rate inside: `v ← μv + αg`, `x ← x − v`. On quadratics `α = 4/(√L + √m)²`, `μ = ((√κ − 1)/(√κ + 1))²` is
/// optimal.
pub fn heavy_ball<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    coefficient: impl Into<Schedule>,
) -> FirstOrder<E, (LearningRate, Momentum)> {
    Stochastic::new(estimator, (LearningRate::new(learning_rate), Momentum::new(coefficient)))
}

/// Nesterov's momentum in the shifted variable: `v ← μv + g`, `x ← x − α(g + μv)`. For strongly convex objectives `α = 1/L`,
/// `μ = (√κ − 1)/(√κ + 1)`; for convex ones [`Schedule::Accelerated`].
pub fn nesterov<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    coefficient: impl Into<Schedule>,
) -> FirstOrder<E, (Nesterov, LearningRate)> {
    Stochastic::new(estimator, (Nesterov::new(coefficient), LearningRate::new(learning_rate)))
}

/// Nesterov's momentum with the gradient at the point ahead: `m ← μm + αg(x − μm)`, `x ← x − m`.
pub fn nesterov_look_ahead<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    coefficient: impl Into<Schedule>,
) -> FirstOrder<E, (LearningRate, LookAheadMomentum)> {
    Stochastic::new(estimator, (LearningRate::new(learning_rate), LookAheadMomentum::new(coefficient)))
}

/// Adagrad. Usual rate: 0.01.
pub fn adagrad<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (Adagrad, LearningRate)> {
    Stochastic::new(estimator, (Adagrad::default(), LearningRate::new(learning_rate)))
}

/// RMSProp. Usual rate: 0.001 with `β = 0.9`.
pub fn rms_prop<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (RmsProp, LearningRate)> {
    Stochastic::new(estimator, (RmsProp::default(), LearningRate::new(learning_rate)))
}

/// Adadelta, which needs no learning rate: `ρ = 0.95`, `ε = 1e-6`.
pub fn adadelta<E>(estimator: E) -> FirstOrder<E, Adadelta> {
    Stochastic::new(estimator, Adadelta::default())
}

/// Adam. The paper's rate: 0.001.
pub fn adam<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (Adam, LearningRate)> {
    Stochastic::new(estimator, (Adam::default(), LearningRate::new(learning_rate)))
}

/// AdaMax. The paper's rate: 0.002.
pub fn ada_max<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (AdaMax, LearningRate)> {
    Stochastic::new(estimator, (AdaMax::default(), LearningRate::new(learning_rate)))
}

/// AMSGrad, the maximum of raw moments. Usual rate: 0.001.
pub fn ams_grad<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (AmsGrad, LearningRate)> {
    Stochastic::new(estimator, (AmsGrad::default(), LearningRate::new(learning_rate)))
}

/// AdaBound. The paper's rate: 0.001, with the final rate 0.1.
pub fn ada_bound<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, AdaBound> {
    Stochastic::new(estimator, AdaBound { rate: learning_rate.into(), ..AdaBound::default() })
}

/// Adam on the objective plus `½λ‖x‖²`: decay that the moments see.
pub fn adam_l2<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    decay: impl Into<Schedule>,
) -> FirstOrder<E, (WeightDecay, Adam, LearningRate)> {
    Stochastic::new(estimator, (WeightDecay::new(decay), Adam::default(), LearningRate::new(learning_rate)))
}

/// AdamW with decay times the learning rate: `x ← x − α(m̂/(√v̂ + ε) + λx)`. Usual: 0.001 and `λ = 0.01`.
pub fn adam_w<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    decay: impl Into<Schedule>,
) -> FirstOrder<E, (Adam, WeightDecay, LearningRate)> {
    Stochastic::new(estimator, (Adam::default(), WeightDecay::new(decay), LearningRate::new(learning_rate)))
}

/// AdamW as published: `x ← x − η(α m̂/(√v̂ + ε) + λx)`, with the schedule `η` (usually from 1 to 0) for both.
pub fn adam_w_by_schedule<E>(
    estimator: E,
    learning_rate: f64,
    decay: f64,
    schedule: Schedule,
) -> FirstOrder<E, (Adam, LearningRate, WeightDecay)> {
    let rate = LearningRate(schedule.clone().scaled(learning_rate));
    Stochastic::new(estimator, (Adam::default(), rate, WeightDecay(schedule.scaled(decay))))
}

/// Momentum with decay times the learning rate: `v ← μv + g`, `x ← x − α(v + λx)`.
pub fn sgd_w<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    coefficient: impl Into<Schedule>,
    decay: impl Into<Schedule>,
) -> FirstOrder<E, (Momentum, WeightDecay, LearningRate)> {
    let rules = (Momentum::new(coefficient), WeightDecay::new(decay), LearningRate::new(learning_rate));
    Stochastic::new(estimator, rules)
}

/// SGDW as published: `m ← μm + ηαg`, `x ← x − m − ηλx`, with the schedule `η` (usually from 1 to 0) for both.
pub fn sgd_w_by_schedule<E>(
    estimator: E,
    learning_rate: f64,
    coefficient: impl Into<Schedule>,
    decay: f64,
    schedule: Schedule,
) -> FirstOrder<E, (LearningRate, Momentum, WeightDecay)> {
    let rate = LearningRate(schedule.clone().scaled(learning_rate));
    Stochastic::new(estimator, (rate, Momentum::new(coefficient), WeightDecay(schedule.scaled(decay))))
}

/// RAdam, adaptive from `ρₜ > 5` on. The paper's rate: 0.001.
pub fn r_adam<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (RAdam, LearningRate)> {
    Stochastic::new(estimator, (RAdam::default(), LearningRate::new(learning_rate)))
}

/// NAdam with the paper's warm-up of the momentum. Usual rate: 0.002.
pub fn n_adam<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (NAdam, LearningRate)> {
    Stochastic::new(estimator, (NAdam::default(), LearningRate::new(learning_rate)))
}

/// NovoGrad, with decay inside of the moment. The paper's rates: 0.01 to 0.03.
pub fn novo_grad<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    weight_decay: f64,
) -> FirstOrder<E, (NovoGrad, LearningRate)> {
    Stochastic::new(estimator, (NovoGrad { weight_decay, ..NovoGrad::default() }, LearningRate::new(learning_rate)))
}

/// LARS, with the norms of parts of the problem's layout and `μ = 0.9`. The trust coefficient is 0.001.
pub fn lars<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    weight_decay: f64,
) -> FirstOrder<E, (Lars, LearningRate, Momentum)> {
    let lars = Lars { weight_decay, ..Lars::default() };
    Stochastic::new(estimator, (lars, LearningRate::new(learning_rate), Momentum::new(0.9)))
}

/// LAMB with `ε = 1e-6`, `φ` the identity. The paper's decay: 0.01.
pub fn lamb<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    decay: impl Into<Schedule>,
) -> FirstOrder<E, (Adam, WeightDecay, TrustRatio, LearningRate)> {
    let adam = Adam { eps: 1e-6, ..Adam::default() };
    Stochastic::new(estimator, (adam, WeightDecay::new(decay), TrustRatio::default(), LearningRate::new(learning_rate)))
}

/// Lion. The paper's rate: a third to a tenth of AdamW's, with a decay larger by as much.
pub fn lion<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    decay: impl Into<Schedule>,
) -> FirstOrder<E, (Lion, WeightDecay, LearningRate)> {
    Stochastic::new(estimator, (Lion::default(), WeightDecay::new(decay), LearningRate::new(learning_rate)))
}

/// Sophia-G, for problems that can draw targets from the model. The paper's decay: 0.2.
pub fn sophia_g<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    decay: impl Into<Schedule>,
) -> FirstOrder<E, (Sophia, WeightDecay, LearningRate)> {
    Stochastic::new(estimator, (Sophia::gauss_newton(), WeightDecay::new(decay), LearningRate::new(learning_rate)))
}

/// Sophia-H, for problems with Hessian products. The paper's decay: 0.2.
pub fn sophia_h<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    decay: impl Into<Schedule>,
) -> FirstOrder<E, (Sophia, WeightDecay, LearningRate)> {
    Stochastic::new(estimator, (Sophia::hutchinson(), WeightDecay::new(decay), LearningRate::new(learning_rate)))
}

/// AdaHessian with one product a step. The paper's rate: 0.15.
pub fn ada_hessian<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, (AdaHessian, LearningRate)> {
    Stochastic::new(estimator, (AdaHessian::default(), LearningRate::new(learning_rate)))
}

/// Lookahead around RAdam, five steps and half of the way.
pub fn ranger<E>(estimator: E, learning_rate: impl Into<Schedule>) -> FirstOrder<E, Lookahead<(RAdam, LearningRate)>> {
    Stochastic::new(estimator, Lookahead::new((RAdam::default(), LearningRate::new(learning_rate))))
}

/// SAM with momentum 0.9. The paper's radius: 0.05.
pub fn sharpness_aware<E>(
    estimator: E,
    learning_rate: impl Into<Schedule>,
    radius: f64,
) -> FirstOrder<E, (SharpnessAware, Momentum, LearningRate)> {
    let rules = (SharpnessAware::new(radius), Momentum::new(0.9), LearningRate::new(learning_rate));
    Stochastic::new(estimator, rules)
}

/// The stochastic average gradient, one term a step (Schmidt, Le Roux & Bach 2017); `1/L` is the usual learning rate.
/// [`LinearSag`](super::LinearSag) is the same for linear models, and faster.
pub fn sag(seed: u64, learning_rate: impl Into<Schedule>) -> Stochastic<Tabulated, Identity, LearningRate> {
    Stochastic::new(Tabulated::sag(seed), LearningRate(learning_rate.into()))
}

/// SAGA, one term a step (Defazio, Bach & Lacoste-Julien 2014); `1/(3L)` is the usual learning rate.
pub fn saga(seed: u64, learning_rate: impl Into<Schedule>) -> Stochastic<Tabulated, Identity, LearningRate> {
    Stochastic::new(Tabulated::saga(seed), LearningRate(learning_rate.into()))
}

/// SVRG with snapshots at the last iterate after `2n` steps of one term (Johnson & Zhang 2013).
pub fn svrg(seed: u64, learning_rate: impl Into<Schedule>) -> Stochastic<Svrg, Identity, LearningRate> {
    Stochastic::new(Svrg::new(seed), LearningRate(learning_rate.into()))
}
