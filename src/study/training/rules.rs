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
    /// Whether it uses products with the Hessian.
    pub needs_hessian: bool,
    /// Its options beside the common ones.
    pub keys: &'static [Key],
    /// Builds its chain of rules.
    pub build: fn(&Options, Rate) -> Box<dyn UpdateRule>,
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
    let default = Adam::default();
    Adam {
        beta1: options.get("beta1").map_or(default.beta1.clone(), |_| number(options, "beta1", 0.9).into()),
        beta2: number(options, "beta2", default.beta2),
        eps: number(options, "eps", eps),
        eps_root: number(options, "eps_root", default.eps_root),
        ..default
    }
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
        needs_hessian: false,
        keys: &[],
        build: |_, rate| rate.rule(),
    },
    Entry {
        name: "momentum",
        about: "heavy ball, the rate outside of the velocity",
        rate: 0.01,
        needs_hessian: false,
        keys: &[MOMENTUM],
        build: |o, rate| Box::new((Momentum::new(number(o, "momentum", 0.9)), rate.rule())),
    },
    Entry {
        name: "nesterov",
        about: "Nesterov's momentum in the shifted variable",
        rate: 0.01,
        needs_hessian: false,
        keys: &[MOMENTUM],
        build: |o, rate| Box::new((Nesterov::new(number(o, "momentum", 0.9)), rate.rule())),
    },
    Entry {
        name: "sgd_w",
        about: "momentum with decoupled weight decay",
        rate: 0.01,
        needs_hessian: false,
        keys: &[MOMENTUM, DECAY],
        build: |o, rate| Box::new((Momentum::new(number(o, "momentum", 0.9)), decay(o, 5e-4), rate.rule())),
    },
    Entry {
        name: "adagrad",
        about: "rates by sums of squared gradients",
        rate: 0.01,
        needs_hessian: false,
        keys: &[EPS, EPS_ROOT],
        build: |o, rate| {
            let d = Adagrad::default();
            let rule = Adagrad { eps: number(o, "eps", d.eps), eps_root: number(o, "eps_root", d.eps_root), ..d };
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "rms_prop",
        about: "rates by averages of squared gradients",
        rate: 0.001,
        needs_hessian: false,
        keys: &[
            Key { name: "decay", kind: Kind::Fraction, about: "decay of the average (default 0.9)" },
            EPS,
            EPS_ROOT,
            Key { name: "centered", kind: Kind::Flag, about: "subtract the square of the mean (default false)" },
        ],
        build: |o, rate| {
            let d = RmsProp::default();
            let mut centered = d.centered;
            o.flag("centered", &mut centered);
            let (eps, eps_root) = (number(o, "eps", d.eps), number(o, "eps_root", d.eps_root));
            Box::new((RmsProp { decay: number(o, "decay", d.decay), eps, eps_root, centered, ..d }, rate.rule()))
        },
    },
    Entry {
        name: "adadelta",
        about: "rates by averages of squared gradients and steps",
        rate: 1.0,
        needs_hessian: false,
        keys: &[EPS, EPS_ROOT],
        build: |o, rate| {
            let d = Adadelta::default();
            let rule = Adadelta { eps: number(o, "eps", d.eps), eps_root: number(o, "eps_root", d.eps_root), ..d };
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "adam",
        about: "momentum over the root of the second moment, both debiased",
        rate: 0.001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS, EPS_ROOT],
        build: |o, rate| Box::new((adam(o, 1e-8), rate.rule())),
    },
    Entry {
        name: "adam_w",
        about: "Adam with decoupled weight decay (default 0.01)",
        rate: 0.001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS, EPS_ROOT, DECAY],
        build: |o, rate| Box::new((adam(o, 1e-8), decay(o, 1e-2), rate.rule())),
    },
    Entry {
        name: "ada_max",
        about: "Adam with the largest gradient in place of the second moment",
        rate: 0.002,
        needs_hessian: false,
        keys: &[BETA1, BETA2],
        build: |o, rate| {
            let d = AdaMax::default();
            let rule = AdaMax { beta1: number(o, "beta1", d.beta1), beta2: number(o, "beta2", d.beta2), ..d };
            Box::new((rule, rate.rule()))
        },
    },
    Entry {
        name: "ams_grad",
        about: "Adam with the largest second moment so far",
        rate: 0.001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| {
            let d = AmsGrad::default();
            let (beta1, beta2) = (number(o, "beta1", d.beta1), number(o, "beta2", d.beta2));
            Box::new((AmsGrad { beta1, beta2, eps: number(o, "eps", d.eps), ..d }, rate.rule()))
        },
    },
    Entry {
        name: "ada_bound",
        about: "Adam with rates between bounds that close in on `final_rate`",
        rate: 0.001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, Key { name: "final_rate", kind: Kind::Positive, about: "the rate at the end (default 0.1)" }],
        build: |o, rate| {
            let (rate, then) = match rate {
                Rate::Scheduled(schedule) => (schedule, Rate::Scheduled(Schedule::Constant(1.0))),
                Rate::OnPlateau(first) => (Schedule::Constant(first), Rate::OnPlateau(1.0)),
            };
            let d = AdaBound::default();
            let (beta1, beta2) = (number(o, "beta1", d.beta1), number(o, "beta2", d.beta2));
            Box::new((AdaBound { rate, beta1, beta2, final_rate: number(o, "final_rate", d.final_rate), ..d }, then.rule()))
        },
    },
    Entry {
        name: "r_adam",
        about: "Adam whose first steps are rectified",
        rate: 0.001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| Box::new((r_adam(o), rate.rule())),
    },
    Entry {
        name: "n_adam",
        about: "Adam with Nesterov's momentum",
        rate: 0.002,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| {
            let d = NAdam::default();
            let (beta1, beta2) = (number(o, "beta1", d.beta1), number(o, "beta2", d.beta2));
            Box::new((NAdam { beta1, beta2, eps: number(o, "eps", d.eps), ..d }, rate.rule()))
        },
    },
    Entry {
        name: "ranger",
        about: "rectified Adam under Lookahead",
        rate: 0.001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| Box::new(Lookahead::new((r_adam(o), rate.rule()))),
    },
    Entry {
        name: "lion",
        about: "signs of an interpolated momentum, with weight decay",
        rate: 0.0001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, DECAY],
        build: |o, rate| {
            let d = Lion::default();
            let rule = Lion { beta1: number(o, "beta1", d.beta1), beta2: number(o, "beta2", d.beta2), ..d };
            Box::new((rule, decay(o, 0.0), rate.rule()))
        },
    },
    Entry {
        name: "novo_grad",
        about: "gradients normalised layer by layer, before the momentum",
        rate: 0.01,
        needs_hessian: false,
        keys: &[BETA1, BETA2, DECAY],
        build: |o, rate| {
            let d = NovoGrad::default();
            let (beta1, beta2) = (number(o, "beta1", d.beta1), number(o, "beta2", d.beta2));
            let weight_decay = number(o, "weight_decay", d.weight_decay);
            Box::new((NovoGrad { beta1, beta2, weight_decay, ..d }, rate.rule()))
        },
    },
    Entry {
        name: "lars",
        about: "momentum with rates by layers",
        rate: 1.0,
        needs_hessian: false,
        keys: &[MOMENTUM, DECAY],
        build: |o, rate| {
            let d = Lars::default();
            let lars = Lars { weight_decay: number(o, "weight_decay", d.weight_decay), ..d };
            Box::new((lars, rate.rule(), Momentum::new(number(o, "momentum", 0.9))))
        },
    },
    Entry {
        name: "lamb",
        about: "Adam with rates by layers, with weight decay",
        rate: 0.001,
        needs_hessian: false,
        keys: &[BETA1, BETA2, EPS, DECAY],
        build: |o, rate| Box::new((adam(o, 1e-6), decay(o, 0.0), TrustRatio::default(), rate.rule())),
    },
    Entry {
        name: "sharpness_aware",
        about: "momentum on gradients at the worst point near by",
        rate: 0.01,
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
        needs_hessian: true,
        keys: &[BETA1, BETA2, DECAY],
        build: |o, rate| {
            let d = Sophia::hutchinson();
            let rule = Sophia { beta1: number(o, "beta1", d.beta1), beta2: number(o, "beta2", d.beta2), ..d };
            Box::new((rule, decay(o, 0.0), rate.rule()))
        },
    },
    Entry {
        name: "ada_hessian",
        about: "Adam with the Hessian's diagonal in place of squared gradients",
        rate: 0.1,
        needs_hessian: true,
        keys: &[BETA1, BETA2, EPS],
        build: |o, rate| {
            let d = AdaHessian::default();
            let (beta1, beta2) = (number(o, "beta1", d.beta1), number(o, "beta2", d.beta2));
            Box::new((AdaHessian { beta1, beta2, eps: number(o, "eps", d.eps), ..d }, rate.rule()))
        },
    },
];

fn r_adam(o: &Options) -> RAdam {
    let d = RAdam::default();
    let (beta1, beta2) = (number(o, "beta1", d.beta1), number(o, "beta2", d.beta2));
    RAdam { beta1, beta2, eps: number(o, "eps", d.eps), ..d }
}
