//! Schedules against torch and optax (`tests/fixtures/rules/schedules.txt`) and closed forms.

use curvkit::error::Error;
use curvkit::stochastic::Clock;
use curvkit::stochastic::rule::{OnPlateau, UpdateRule};
use curvkit::stochastic::schedule::{Envelope, OneCycle, Schedule, Shape};

fn references() -> Vec<(String, Vec<f64>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rules/schedules.txt");
    let text = std::fs::read_to_string(path).expect("the fixture");
    let read = |line: &str| {
        let (name, values) = line.split_once(' ').expect("a name");
        (name.to_string(), values.split(' ').map(|v| v.parse().expect("a number")).collect())
    };
    text.lines().map(read).collect()
}

fn cyclical(envelope: Envelope) -> Schedule {
    Schedule::Cyclical { base: 0.1, peak: 0.4, up: 7.0, down: 12.0, envelope }
}

fn restarts(period: f64, factor: f64) -> Schedule {
    Schedule::WarmRestarts { initial: 0.4, end: 0.01, period, factor }
}

#[test]
fn schedules_equal_those_of_torch_and_optax() {
    let every = |factor| Schedule::Exponential { initial: 0.4, factor, every: 10.0 };
    let milestones = |second| Schedule::Milestones { initial: 0.4, milestones: vec![(15.0, 0.1), (40.0, second)] };
    let linear = OneCycle { shape: Shape::Linear, ..OneCycle::like_torch(0.4, 60.0) };
    let parts = vec![
        Schedule::linear(0.0, 0.4, 10.0),
        Schedule::Constant(0.4),
        Schedule::Exponential { initial: 0.4, factor: 0.5, every: 5.0 },
    ];
    let warm = Schedule::WarmUp { from: 0.01, steps: 12.0, then: Box::new(Schedule::cosine(0.4, 0.02, 48.0)) };
    let cases = [
        ("cosine", Schedule::cosine(0.4, 0.02, 60.0)),
        ("linear", Schedule::linear(0.4, 0.01, 60.0)),
        ("polynomial", Schedule::polynomial(0.4, 0.01, 60.0, 2.5)),
        ("exponential", every(0.7)),
        ("growing", every(1.7)),
        ("steps", Schedule::Steps { initial: 0.4, factor: 0.7, every: 10.0 }),
        ("milestones", milestones(0.5)),
        ("milestones-torch", milestones(0.1)),
        ("triangular", cyclical(Envelope::Triangular)),
        ("triangular2", cyclical(Envelope::Halving)),
        ("exp-range", cyclical(Envelope::Exponential(0.98))),
        ("restarts", restarts(10.0, 1.0)),
        ("restarts-growing", restarts(5.0, 2.0)),
        ("one-cycle-optax", Schedule::one_cycle(0.4, 60.0)),
        ("one-cycle-torch", Schedule::OneCycle(OneCycle::like_torch(0.4, 60.0))),
        ("one-cycle-torch-linear", Schedule::OneCycle(linear)),
        ("warm-up", warm),
        ("join", Schedule::Join { parts, boundaries: vec![10.0, 30.0] }),
    ];
    let references = references();
    assert_eq!(references.len(), cases.len() + 2);
    println!("{:<24} {:>10}", "schedule", "worst");
    for (name, schedule) in cases {
        schedule.validate("rate").expect("valid");
        let expected = &references.iter().find(|(n, _)| n == name).expect("a reference").1;
        let error = |(k, e): (usize, &f64)| (schedule.value(k as f64) - e).abs() / e.abs().max(0.4e-8);
        let worst = expected.iter().enumerate().map(error).fold(0.0f64, |m, e| if m.is_nan() || e <= m { m } else { e });
        println!("{name:<24} {worst:>10.1e}");
        assert!(worst <= 1e-12, "{name}: {worst:.1e}");
    }
}

#[test]
fn plateau_equals_that_of_torch() {
    let references = references();
    let find = |name: &str| &references.iter().find(|(n, _)| n == name).expect("a reference").1;
    let mut rule = OnPlateau { factor: 0.25, patience: 2, cooldown: 2, min_rate: 0.003, ..OnPlateau::new(0.4) };
    rule.begin(1);
    let mut seen = std::collections::BTreeSet::new();
    for (k, (loss, rate)) in find("plateau-losses").iter().zip(find("plateau")).enumerate() {
        rule.evaluated(*loss);
        assert!((rule.current() - rate).abs() <= 1e-15, "evaluation {k}: {} instead of {rate}", rule.current());
        seen.insert(rule.current().to_bits());
    }
    assert!(seen.len() >= 4, "the rate fell {} times", seen.len() - 1);
    rule.begin(1);
    assert_eq!(rule.current(), 0.4);
}

#[test]
fn plateau_counts_nan_as_no_gain() {
    let mut rule = OnPlateau { patience: 0, ..OnPlateau::new(1.0) };
    rule.begin(1);
    rule.evaluated(f64::NAN);
    assert_eq!(rule.current(), 0.1);
    rule.evaluated(5.0);
    rule.evaluated(4.0);
    assert_eq!(rule.current(), 0.1);
}

#[test]
fn closed_forms_hold() {
    let at = |s: &Schedule, k: u32| s.value(f64::from(k));
    let inverse = Schedule::InverseTime { scale: 3.0, offset: 2.0 };
    assert_eq!((at(&inverse, 0), at(&inverse, 4)), (1.5, 0.5));
    let strongly = Schedule::StronglyConvex { modulus: 0.25 };
    assert_eq!((at(&strongly, 0), at(&strongly, 1)), (2.0, 3.0 / (0.5 * 4.0)));
    // Its sum telescopes against (k + 1)²: α_k (k + 1)² 2m = 2k + 1.
    let sum: f64 = (0..10).map(|k| at(&strongly, k) * 0.5 * f64::from((k + 1) * (k + 1))).sum();
    assert!((sum - 100.0).abs() < 1e-12);
    let root = Schedule::inverse_sqrt(0.3);
    assert_eq!((at(&root, 0), at(&root, 3)), (0.3, 0.15));
    let momentum = Schedule::Sutskever { max: 0.99, every: 250.0 };
    assert_eq!((at(&momentum, 0), at(&momentum, 249), at(&momentum, 250), at(&momentum, 1_000_000)), (0.5, 0.5, 0.75, 0.99));
    let accelerated = Schedule::Accelerated { offset: 3.0 };
    assert_eq!((at(&accelerated, 0), at(&accelerated, 3)), (0.0, 0.5));
    let growing = Schedule::Clamped { inner: Box::new(Schedule::exponential(8.0, 2.0)), low: 1.0, high: 100.0 };
    assert_eq!((at(&growing, 0), at(&growing, 3), at(&growing, 10)), (8.0, 64.0, 100.0));
    let scaled = Schedule::linear(1.0, 0.0, 10.0).scaled(4.0);
    assert_eq!((at(&scaled, 5), at(&scaled, 10), at(&scaled, 99)), (2.0, 0.0, 0.0));
    let inverse_cycle = Schedule::OneCycle(OneCycle::new(1.0, 100.0).momentum());
    assert_eq!((at(&inverse_cycle, 0), at(&inverse_cycle, 30), at(&inverse_cycle, 100)), (0.95, 0.85, 0.95));
}

#[test]
fn restarts_of_any_factor_begin_at_their_steps() {
    for factor in [1.0, 1.5, 2.0, 3.0] {
        let schedule = restarts(4.0, factor);
        let (mut begin, mut period) = (0.0, 4.0);
        for _ in 0..6 {
            assert!((schedule.value(begin + 1e-9) - 0.4).abs() < 1e-8, "factor {factor} at {begin}");
            assert!((schedule.value(begin + period / 2.0) - 0.205).abs() < 1e-9);
            begin += period;
            period *= factor;
            assert!((schedule.value(begin - 1e-7) - 0.01).abs() < 1e-6, "factor {factor} before {begin}");
        }
    }
}

#[test]
fn per_epoch_counts_whole_epochs() {
    let schedule = Schedule::exponential(1.0, 0.5).per_epoch();
    for (epoch, value) in [(0.0, 1.0), (0.99, 1.0), (1.0, 0.5), (2.7, 0.25)] {
        assert_eq!(schedule.at(&Clock { step: 1000, epoch }), value);
    }
    // Also as a part of a product.
    let both = Schedule::Product(vec![schedule, Schedule::linear(0.0, 1.0, 10.0)]);
    assert_eq!(both.at(&Clock { step: 5, epoch: 2.0 }), 0.125);
}

#[test]
fn wrong_numbers_are_errors_that_name_the_option() {
    let per_epoch = Schedule::Constant(1.0).per_epoch();
    let join = |parts: Vec<Schedule>, boundaries: Vec<f64>| Schedule::Join { parts, boundaries };
    let one = || Schedule::Constant(1.0);
    let wrong = [
        Schedule::Constant(f64::NAN),
        Schedule::InverseTime { scale: 1.0, offset: 0.0 },
        Schedule::InverseSqrt { scale: f64::INFINITY, offset: 1.0 },
        Schedule::StronglyConvex { modulus: 0.0 },
        Schedule::Steps { initial: 1.0, factor: 0.1, every: 0.0 },
        Schedule::Milestones { initial: 1.0, milestones: vec![(3.0, f64::NAN)] },
        Schedule::exponential(1.0, -0.5),
        Schedule::linear(1.0, 0.0, 0.0),
        Schedule::polynomial(1.0, 0.0, 10.0, 0.0),
        Schedule::Cyclical { base: 0.0, peak: 1.0, up: 0.0, down: 1.0, envelope: Envelope::Triangular },
        cyclical(Envelope::Exponential(0.0)),
        restarts(0.0, 1.0),
        restarts(10.0, 0.5),
        Schedule::OneCycle(OneCycle { rise: 10.0, ..OneCycle::new(1.0, 5.0) }),
        Schedule::Sutskever { max: 0.9, every: 0.0 },
        Schedule::Accelerated { offset: 0.0 },
        one().warmed_up(0.0),
        per_epoch.clone().warmed_up(5.0),
        join(vec![], vec![]),
        join(vec![one()], vec![1.0]),
        join(vec![one(), one(), one()], vec![5.0, 5.0]),
        join(vec![one(), per_epoch], vec![5.0]),
        one().scaled(f64::NAN),
        Schedule::Clamped { inner: Box::new(one()), low: 2.0, high: 1.0 },
        Schedule::linear(f64::NAN, 0.0, 1.0).per_epoch(),
    ];
    for schedule in wrong {
        match schedule.validate("learning_rate") {
            Err(Error::Config { name, .. }) => assert_eq!(name, "learning_rate"),
            other => panic!("{schedule:?}: {other:?}"),
        }
    }
}
