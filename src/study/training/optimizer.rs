//! Methods of training by name: the stochastic ones with their options, and the second-order ones of the registry.

use super::rules::{ENTRIES, Entry};
use crate::error::{Error, Result};
use crate::stochastic::average::Averaging;
use crate::stochastic::rule::{ClipNorm, LearningRate, OnPlateau, UpdateRule};
use crate::stochastic::schedule::Schedule;
use crate::study::spec::{Key, Kind, Options, Spec};
use crate::study::{self, Family, Setup};

/// What learning rates follow.
pub const SCHEDULES: [(&str, &str); 9] = [
    ("constant", "the learning rate itself"),
    ("cosine", "half a wave down to `end` times the rate at the last step"),
    ("linear", "a line down to `end` times the rate at the last step"),
    ("exponential", "the same factor in every step, down to `end` times the rate (default 0.01)"),
    ("steps", "a tenth after each third of the run"),
    ("inverse_sqrt", "1/√(1 + epoch)"),
    ("inverse_time", "1/(1 + epoch)"),
    ("one_cycle", "up over the first 30 % of the run, and down to far below the start"),
    ("on_plateau", "a tenth after ten evaluations without gain"),
];

const SCHEDULE_NAMES: &[&str] =
    &["constant", "cosine", "linear", "exponential", "steps", "inverse_sqrt", "inverse_time", "one_cycle", "on_plateau"];

/// Options of every stochastic method.
pub const STOCHASTIC_COMMON: [Key; 6] = [
    Key { name: "lr", kind: Kind::Positive, about: "learning rate" },
    Key {
        name: "schedule",
        kind: Kind::Choice {
            names: SCHEDULE_NAMES,
            requirement: "constant, cosine, linear, exponential, steps, inverse_sqrt, inverse_time, one_cycle or on_plateau",
        },
        about: "what the learning rate follows (default constant)",
    },
    Key { name: "end", kind: Kind::NonNegative, about: "last rate of a falling schedule, relative to the first (default 0)" },
    Key { name: "warmup", kind: Kind::NonNegative, about: "epochs over which the rate rises from zero (default 0)" },
    Key { name: "clip", kind: Kind::Positive, about: "largest norm of a gradient (default: none)" },
    Key {
        name: "average",
        kind: Kind::Choice {
            names: &["none", "uniform", "tail", "exponential"],
            requirement: "none, uniform, tail or exponential",
        },
        about: "average of the iterates that is the answer (tail: of the second half; exponential: 0.999 a step; default none)",
    },
];

/// A method of training with its options.
#[derive(Clone)]
pub enum Optimizer {
    /// Steps along estimated gradients.
    Stochastic {
        /// Name with options.
        name: String,
        /// The method.
        entry: &'static Entry,
        /// What was given.
        options: Options,
    },
    /// A method of the registry, on all samples in every iteration.
    FullBatch(Setup),
}

/// A learning rate: scheduled, or lowered when the loss stands still.
#[derive(Debug, Clone, PartialEq)]
pub enum Rate {
    /// A function of the step.
    Scheduled(Schedule),
    /// The first rate.
    OnPlateau(f64),
}

impl Rate {
    /// The rule that multiplies by it.
    pub fn rule(self) -> Box<dyn UpdateRule> {
        match self {
            Self::Scheduled(schedule) => Box::new(LearningRate::new(schedule)),
            Self::OnPlateau(first) => Box::new(OnPlateau::new(first)),
        }
    }
}

impl Optimizer {
    /// Reads `NAME[:key=value,…]`.
    ///
    /// # Errors
    /// [`Error::Parse`], [`Error::Unknown`] with the nearest method or option, [`Error::Config`] for a value out of range.
    pub fn parse(text: &str) -> Result<Self> {
        let spec = Spec::parse(text)?;
        if let Some(entry) = ENTRIES.iter().find(|entry| entry.name == spec.name) {
            let options = spec.read(&entry.all_keys())?;
            return Ok(Self::Stochastic { name: spec.to_string(), entry, options });
        }
        let Some(entry) = study::ENTRIES.iter().find(|entry| entry.name == spec.name) else {
            return Err(Error::unknown("optimizer", &spec.name, names()));
        };
        // The exact curvature at the answer is not what training asks for; it may be had by `certify=true`.
        let mut spec = spec;
        let knows = entry.keys.iter().any(|key| key.name == "certify");
        if knows && !spec.options.iter().any(|(key, _)| key == "certify") {
            spec.options.push(("certify".into(), "false".into()));
        }
        Ok(Self::FullBatch(Setup::new(&spec)?))
    }

    /// Name with options, as given.
    pub fn name(&self) -> String {
        match self {
            Self::Stochastic { name, .. } => name.clone(),
            Self::FullBatch(setup) => setup.name.replace(":certify=false", "").replace(",certify=false", ""),
        }
    }

    /// The rate that tuning starts from, of a stochastic method whose rate was not given.
    pub fn default_rate(&self) -> Option<f64> {
        match self {
            Self::Stochastic { entry, options, .. } => options.get("lr").is_none().then_some(entry.rate),
            Self::FullBatch(_) => None,
        }
    }

    /// The same method with a learning rate.
    ///
    /// # Errors
    /// [`Error::Config`] for a rate that is not positive, or a method that has none.
    pub fn with_rate(&self, rate: f64) -> Result<Self> {
        let name = self.name();
        let separator = if name.contains(':') { ',' } else { ':' };
        Self::parse(&format!("{name}{separator}lr={rate}"))
    }

    /// Whether it uses second derivatives of the loss.
    pub fn needs_hessian(&self) -> bool {
        match self {
            Self::Stochastic { entry, .. } => entry.needs_hessian,
            Self::FullBatch(setup) => setup.family() == Family::SecondOrder,
        }
    }
}

/// The names of all methods, stochastic ones first.
pub fn names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.name).chain(study::names())
}

impl Entry {
    /// The method's own options followed by the common ones.
    pub fn all_keys(&self) -> Vec<Key> {
        self.keys.iter().chain(&STOCHASTIC_COMMON).copied().collect()
    }

    /// The chain of rules for a run of so many steps, `per_epoch` of them in an epoch, with rates in a unit.
    pub(super) fn rule(&self, options: &Options, unit: f64, steps: f64, per_epoch: f64) -> Result<Box<dyn UpdateRule>> {
        let mut first = self.rate;
        options.number("lr", &mut first);
        let rule = (self.build)(options, rate(options, unit * first, steps, per_epoch)?);
        let mut clip = 0.0;
        options.number("clip", &mut clip);
        Ok(if clip > 0.0 { Box::new((ClipNorm::global(clip), rule)) } else { rule })
    }

    /// What becomes of the iterates of a run of so many epochs.
    pub(super) fn averaging(options: &Options, epochs: f64) -> Averaging {
        match options.choice("average") {
            Some("uniform") => Averaging::Uniform,
            Some("tail") => Averaging::Tail { after: 0.5 * epochs },
            Some("exponential") => Averaging::Exponential { decay: 0.999 },
            _ => Averaging::Last,
        }
    }
}

fn rate(options: &Options, first: f64, steps: f64, per_epoch: f64) -> Result<Rate> {
    let name = options.choice("schedule").unwrap_or("constant");
    let (mut end, mut warmup) = (if name == "exponential" { 0.01 } else { 0.0 }, 0.0);
    options.number("end", &mut end);
    options.number("warmup", &mut warmup);
    let rise = (warmup * per_epoch).round();
    let falling = (steps - rise).max(1.0);
    let schedule = match name {
        "on_plateau" => {
            Error::check_option(warmup == 0.0, "warmup", "left out: rates on plateaus do not depend on the step", warmup)?;
            return Ok(Rate::OnPlateau(first));
        }
        "cosine" => Schedule::cosine(first, end * first, falling),
        "linear" => Schedule::linear(first, end * first, falling),
        "exponential" => {
            Error::check_option(end > 0.0, "end", "above 0 for an exponential schedule", end)?;
            Schedule::Exponential { initial: first, factor: end, every: falling }
        }
        "steps" => Schedule::Steps { initial: first, factor: 0.1, every: (falling / 3.0).ceil() },
        "inverse_sqrt" => Schedule::InverseSqrt { scale: first * per_epoch.sqrt(), offset: per_epoch },
        "inverse_time" => Schedule::InverseTime { scale: first * per_epoch, offset: per_epoch },
        "one_cycle" => Schedule::one_cycle(first, falling),
        _ => Schedule::Constant(first),
    };
    Ok(Rate::Scheduled(if rise > 0.0 { schedule.warmed_up(rise) } else { schedule }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stochastic::Clock;

    fn options(text: &str) -> Options {
        let Optimizer::Stochastic { options, .. } = Optimizer::parse(text).unwrap() else { panic!("{text}") };
        options
    }

    fn value(text: &str, step: u64) -> f64 {
        match rate(&options(text), 0.5, 100.0, 10.0).unwrap() {
            Rate::Scheduled(schedule) => schedule.at(&Clock { step, epoch: step as f64 / 10.0 }),
            Rate::OnPlateau(first) => first,
        }
    }

    #[test]
    fn every_method_builds_with_every_schedule() {
        for entry in ENTRIES {
            for schedule in SCHEDULE_NAMES {
                let options = options(&format!("{}:schedule={schedule},clip=1", entry.name));
                entry.rule(&options, 1.0, 100.0, 10.0).unwrap().validate().unwrap();
            }
        }
        assert!(SCHEDULES.iter().map(|(name, _)| name).eq(SCHEDULE_NAMES));
    }

    #[test]
    fn schedules_begin_and_end_where_they_say() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        for (text, at, expected) in [
            ("sgd", 50, 0.5),
            ("sgd:schedule=cosine", 0, 0.5),
            ("sgd:schedule=cosine", 50, 0.25),
            ("sgd:schedule=cosine,end=0.1", 100, 0.05),
            ("sgd:schedule=linear", 75, 0.125),
            ("sgd:schedule=exponential", 100, 0.005),
            ("sgd:schedule=steps", 34, 0.05),
            ("sgd:schedule=inverse_sqrt", 30, 0.25),
            ("sgd:schedule=inverse_time", 10, 0.25),
            ("sgd:warmup=2", 10, 0.25),
            ("sgd:warmup=2,schedule=linear", 60, 0.25),
        ] {
            near(value(text, at), expected);
        }
        assert!(rate(&options("sgd:schedule=on_plateau,warmup=1"), 0.5, 1.0, 1.0).is_err());
        assert!(rate(&options("sgd:schedule=exponential,end=0"), 0.5, 1.0, 1.0).is_err());
    }

    #[test]
    fn names_are_looked_up_in_both_registries_and_misspelled_ones_get_the_nearest() {
        assert!(matches!(Optimizer::parse("lbfgs:memory=5").unwrap(), Optimizer::FullBatch(_)));
        assert_eq!(Optimizer::parse("newton_cg:gtol=1e-6").unwrap().name(), "newton_cg:gtol=1e-6");
        assert_eq!(Optimizer::parse("newton").unwrap().name(), "newton");
        let message = |text: &str| Optimizer::parse(text).err().unwrap().to_string();
        assert_eq!(message("adamm"), "unknown optimizer `adamm`; did you mean `adam`?");
        assert_eq!(message("adam:beta3=1"), "unknown option `adam:beta3`; did you mean `beta1`?");
        assert_eq!(message("adam:average=all"), "option `adam:average` must be none, uniform, tail or exponential, found all");
        assert!(message("adam:lr=-1").contains("a finite number above 0, found -1"));
        let mut all: Vec<&str> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), names().count(), "a name is in both registries");
    }
}
