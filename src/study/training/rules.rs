//! The stochastic methods by name: the chains of [`stochastic::methods`](crate::stochastic::methods) with their options.

use super::optimizer::Rate;
use crate::stochastic::rule::{
    AdaBound, AdaHessian, AdaMax, Adadelta, Adagrad, Adam, AmsGrad, Lars, Lion, Lookahead, Momentum, NAdam, Nesterov, NovoGrad,
    RAdam, RmsProp, SharpnessAware, Sophia, TrustRatio, UpdateRule, WeightDecay,
};
use crate::stochastic::schedule::Schedule;
use crate::study::spec::{Key, Kind, Options};

/// One named stochastic method.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Its default learning rate.
    pub rate: f64,
    /// Where its gradients come from.
    pub estimation: Estimation,
    /// Whether it uses products with the Hessian.
    pub needs_hessian: bool,
    /// Its options beside the common ones.
    pub keys: &'static [Key],
    /// Builds its chain of rules.
    pub build: fn(&Options, Rate) -> Box<dyn UpdateRule>,
}

/// Where gradients come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimation {
    /// Batches, shuffled once an epoch.
    MiniBatch,
    /// Stochastic averages of gradients; rates are in units of `1/L` with `L` found on the way.
    Sag,
    /// Their unbiased form, in the same units.
    Saga,
    /// Corrected by the gradients at a snapshot; rates are in units of `1/L` where the terms know their `L`.
    Svrg,
}

impl Estimation {
    /// Usual samples in a batch.
    pub fn batch(self) -> usize {
        if self == Self::MiniBatch { 32 } else { 1 }
    }
}

const MOMENTUM: Key = Key { name: "momentum", kind: Kind::NonNegative, about: "μ (default 0.9)" };
const BETA1: Key = Key { name: "beta1", kind: Kind::Fraction, about: "decay of the first moment" };
const BETA2: Key = Key { name: "beta2", kind: Kind::Fraction, about: "decay of the second moment" };
const EPS: Key = Key { name: "eps", kind: Kind::NonNegative, about: "added to the root in the denominator" };
const EPS_ROOT: Key = Key { name: "eps_root", kind: Kind::NonNegative, about: "added under the root" };
const DECAY: Key =
    Key { name: "weight_decay", kind: Kind::NonNegative, about: "decoupled decay, multiplied by the learning rate" };

/// The value of a number among the options, or another.
fn number(options: &Options, key: &str, default: f64) -> f64 {
    let mut value = default;
    options.number(key, &mut value);
    value
}

fn adam(options: &Options, eps: f64) -> Adam {
    let mut rule = Adam { eps, ..Adam::default() };
    if options.get("beta1").is_some() {
        rule.beta1 = number(options, "beta1", 0.9).into();
    }
    options.number("beta2", &mut rule.beta2);
    options.number("eps", &mut rule.eps);
    options.number("eps_root", &mut rule.eps_root);
    rule
}

fn decay(options: &Options, default: f64) -> WeightDecay {
    WeightDecay::new(number(options, "weight_decay", default))
}

/// All methods: plain, adaptive, by layers, by curvature.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "sgd",
        about: "stochastic gradient descent",
        rate: 0.1,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[],
        build: |_, rate| rate.rule(),
    },
    Entry {
        name: "momentum",
        about: "heavy ball, the rate outside of the velocity",
        rate: 0.01,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[MOMENTUM],
        build: |o, rate| Box::new((Momentum::new(number(o, "momentum", 0.9)), rate.rule())),
    },
    Entry {
        name: "nesterov",
        about: "Nesterov's momentum in the shifted variable",
        rate: 0.01,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[MOMENTUM],
        build: |o, rate| Box::new((Nesterov::new(number(o, "momentum", 0.9)), rate.rule())),
    },
    Entry {
        name: "sgd_w",
        about: "momentum with decoupled weight decay",
        rate: 0.01,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[MOMENTUM, DECAY],
        build: |o, rate| Box::new((Momentum::new(number(o, "momentum", 0.9)), decay(o, 5e-4), rate.rule())),
    },
    Entry {
        name: "sag",
        about: "stochastic average gradient, one sample a step; rates in units of 1/L",
        rate: 1.0,
        estimation: Estimation::Sag,
        needs_hessian: false,
        keys: &[],
        build: |_, rate| rate.rule(),
    },
    Entry {
        name: "saga",
        about: "SAG without its bias; rates in units of 1/L",
        rate: 1.0 / 3.0,
        estimation: Estimation::Saga,
        needs_hessian: false,
        keys: &[],
        build: |_, rate| rate.rule(),
    },
    Entry {
        name: "svrg",
        about: "gradients corrected at a snapshot; rates in units of 1/L for linear models",
        rate: 0.1,
        estimation: Estimation::Svrg,
        needs_hessian: false,
        keys: &[],
        build: |_, rate| rate.rule(),
    },
    Entry {
        name: "adagrad",
        about: "rates by sums of squared gradients",
        rate: 0.01,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[EPS, EPS_ROOT],
        build: |o, rate| {
            let mut rule = Adagrad::default();
            o.number("eps", &mut rule.eps);
            o.number("eps_root", &mut rule.eps_root);
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "rms_prop",
        about: "rates by averages of squared gradients",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[
            Key { name: "decay", kind: Kind::Fraction, about: "decay of the average (default 0.9)" },
            EPS,
            EPS_ROOT,
            Key { name: "centered", kind: Kind::Flag, about: "subtract the square of the mean (default false)" },
        ],
        build: |o, rate| {
            let mut rule = RmsProp::default();
            o.number("decay", &mut rule.decay);
            o.number("eps", &mut rule.eps);
            o.number("eps_root", &mut rule.eps_root);
            o.flag("centered", &mut rule.centered);
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "adadelta",
        about: "rates by averages of squared gradients and steps",
        rate: 1.0,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[EPS, EPS_ROOT],
        build: |o, rate| {
            let mut rule = Adadelta::default();
            o.number("eps", &mut rule.eps);
            o.number("eps_root", &mut rule.eps_root);
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "adam",
        about: "momentum over the root of the second moment, both debiased",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS, EPS_ROOT],
        build: |o, rate| Box::new((adam(o, 1e-8), rate.rule())),
    },
    Entry {
        name: "adam_w",
        about: "Adam with decoupled weight decay (default 0.01)",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS, EPS_ROOT, DECAY],
        build: |o, rate| Box::new((adam(o, 1e-8), decay(o, 1e-2), rate.rule())),
    },
    Entry {
        name: "ada_max",
        about: "Adam with the largest gradient in place of the second moment",
        rate: 0.002,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2],
        build: |o, rate| {
            let mut rule = AdaMax::default();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "ams_grad",
        about: "Adam with the largest second moment so far",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| {
            let mut rule = AmsGrad::default();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            o.number("eps", &mut rule.eps);
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "ada_bound",
        about: "Adam with rates between bounds that close in on `final_rate`",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, Key { name: "final_rate", kind: Kind::Positive, about: "the rate at the end (default 0.1)" }],
        build: |o, rate| {
            let mut rule = AdaBound::default();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            o.number("final_rate", &mut rule.final_rate);
            match rate {
                Rate::Scheduled(schedule) => {
                    rule.rate = schedule;
                    Box::new(rule)
                }
                Rate::OnPlateau(first) => {
                    rule.rate = Schedule::Constant(first);
                    Box::new((rule, Rate::OnPlateau(1.0).rule()))
                }
            }
        },
    },
    Entry {
        name: "r_adam",
        about: "Adam whose first steps are rectified",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| Box::new((r_adam(o), rate.rule())),
    },
    Entry {
        name: "n_adam",
        about: "Adam with Nesterov's momentum",
        rate: 0.002,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| {
            let mut rule = NAdam::default();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            o.number("eps", &mut rule.eps);
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "ranger",
        about: "rectified Adam under Lookahead",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| Box::new(Lookahead::new((r_adam(o), rate.rule()))),
    },
    Entry {
        name: "lion",
        about: "signs of an interpolated momentum, with weight decay",
        rate: 0.0001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, DECAY],
        build: |o, rate| {
            let mut rule = Lion::default();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            Box::new((rule, decay(o, 0.0), rate.rule()))
        },
    },
    Entry {
        name: "novo_grad",
        about: "gradients normalised layer by layer, before the momentum",
        rate: 0.01,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, DECAY],
        build: |o, rate| {
            let mut rule = NovoGrad::default();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            o.number("weight_decay", &mut rule.weight_decay);
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "lars",
        about: "momentum with rates by layers",
        rate: 0.1,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[MOMENTUM, DECAY],
        build: |o, rate| {
            let mut rule = Lars::default();
            o.number("weight_decay", &mut rule.weight_decay);
            Box::new((rule, rate.rule(), Momentum::new(number(o, "momentum", 0.9))))
        },
    },
    Entry {
        name: "lamb",
        about: "Adam with rates by layers, with weight decay",
        rate: 0.001,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS, DECAY],
        build: |o, rate| Box::new((adam(o, 1e-6), decay(o, 0.0), TrustRatio::default(), rate.rule())),
    },
    Entry {
        name: "sharpness_aware",
        about: "momentum on gradients at the worst point near by",
        rate: 0.01,
        estimation: Estimation::MiniBatch,
        needs_hessian: false,
        keys: &[MOMENTUM, Key { name: "radius", kind: Kind::Positive, about: "how near (default 0.05)" }],
        build: |o, rate| {
            let aware = SharpnessAware::new(number(o, "radius", 0.05));
            Box::new((aware, Momentum::new(number(o, "momentum", 0.9)), rate.rule()))
        },
    },
    Entry {
        name: "sophia_h",
        about: "momentum over the clipped diagonal of the Hessian, by Hutchinson's products",
        rate: 0.01,
        estimation: Estimation::MiniBatch,
        needs_hessian: true,
        keys: &[BETA1, BETA2, DECAY],
        build: |o, rate| {
            let mut rule = Sophia::hutchinson();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            Box::new((rule, decay(o, 0.0), rate.rule()))
        },
    },
    Entry {
        name: "ada_hessian",
        about: "Adam with the Hessian's diagonal in place of squared gradients",
        rate: 0.1,
        estimation: Estimation::MiniBatch,
        needs_hessian: true,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| {
            let mut rule = AdaHessian::default();
            o.number("beta1", &mut rule.beta1);
            o.number("beta2", &mut rule.beta2);
            o.number("eps", &mut rule.eps);
            Box::new((rule, rate.rule()))
        },
    },
];

fn r_adam(o: &Options) -> RAdam {
    let mut rule = RAdam::default();
    o.number("beta1", &mut rule.beta1);
    o.number("beta2", &mut rule.beta2);
    o.number("eps", &mut rule.eps);
    rule
}
