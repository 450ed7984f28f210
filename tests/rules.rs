//! Every rule against an independent reference at every step: a gradient tape, a quadratic and a logistic regression in closed
//! loop (`tests/fixtures/rules`), and the published trajectories (`tests/fixtures/trajectories`).

#[path = "rules/cases.rs"]
mod cases;
#[path = "rules/problems.rs"]
mod problems;

use curvkit::stochastic::Clock;
use curvkit::stochastic::rule::*;
use problems::{At, Problem, Rule, context, difference, fixture, iterates, numbers, sections, worst};

#[test]
fn every_rule_equals_its_reference_at_every_step() {
    let problems = Problem::all();
    let mut failures = Vec::new();
    println!("{:<28} {:<18} {:>10} {:>10} {:>10}", "rule", "reference", "tape", "quadratic", "logistic");
    for (name, source, rule) in cases::all() {
        let text = fixture(&format!("rules/{name}.txt"));
        let mut errors = ["-".to_string(), "-".to_string(), "-".to_string()];
        let expected = sections(&text);
        assert!(!expected.is_empty(), "{name}: no reference");
        for (on, lines) in expected {
            let place = problems.iter().position(|p| p.name == on).expect("a problem");
            assert!(lines.len() >= 80, "{name} on {on}: {} steps", lines.len());
            let found = iterates(&problems[place], rule.reloaded(), lines.len(), &[]);
            let worst = worst(found.iter().zip(&lines).map(|(x, line)| difference(x, &numbers(line))));
            errors[place] = format!("{worst:.1e}");
            if !(worst <= 1e-12) {
                failures.push(format!("{name} on {on}: {worst:.1e}"));
            }
        }
        println!("{name:<28} {source:<18} {:>10} {:>10} {:>10}", errors[0], errors[1], errors[2]);
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_fixture_has_its_case() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules");
    let names: Vec<&str> = cases::all().iter().map(|c| c.0).collect();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder").flatten() {
        let file = entry.file_name().into_string().expect("a name");
        if let Some(name) = file.strip_suffix(".txt").filter(|n| !["problems", "schedules", "requirements"].contains(n)) {
            assert!(names.contains(&name), "{name} is not tested");
            count += 1;
        }
    }
    assert_eq!(count, names.len());
}

#[test]
fn rule_written_and_read_between_steps_gives_the_same_bits() {
    let problems = Problem::all();
    for (name, _, rule) in cases::all() {
        let closed = name.starts_with("sophia") || name.starts_with("adahessian");
        for problem in problems.iter().filter(|p| !closed || p.name == "tape") {
            let straight = iterates(problem, rule.reloaded(), 40, &[]);
            let resumed = iterates(problem, rule.reloaded(), 40, &[1, 7, 13, 30]);
            assert_eq!(straight, resumed, "{name} on {}", problem.name);
        }
    }
}

#[test]
fn noise_is_a_function_of_seed_and_step() {
    let problem = &Problem::all()[1];
    let rule = || Box::new((GradientNoise { seed: 5, ..GradientNoise::default() }, LearningRate::new(0.1)));
    let straight = iterates(problem, rule(), 40, &[]);
    assert_eq!(straight, iterates(problem, rule(), 40, &[3, 20]));
    let other = Box::new((GradientNoise { seed: 6, ..GradientNoise::default() }, LearningRate::new(0.1)));
    assert_ne!(straight, iterates(problem, other, 40, &[]));
}

/// `½(x² + 100y²)` from `(1, 1)`.
fn published(mut rule: Box<dyn Rule>, steps: usize) -> Vec<Vec<f64>> {
    let problem = &Problem::all()[1];
    rule.begin(2);
    let mut x = vec![1.0, 1.0];
    let mut found = vec![x.clone()];
    for t in 1..steps {
        let gradient = [x[0], 100.0 * x[1]];
        let at = At(problem, t - 1);
        let mut update = gradient.to_vec();
        rule.transform(&Context { layout: &[], ..context(problem, &at, &x, &gradient) }, &mut update).expect("a step");
        x.iter_mut().zip(&update).for_each(|(x, u)| *x -= u);
        found.push(x.clone());
    }
    found
}

#[test]
fn published_trajectories_are_reproduced() {
    let rate = |value: f64| LearningRate::new(value);
    let rms = RmsProp { decay: 0.99, ..RmsProp::like_torch() };
    let centered = RmsProp { decay: 0.9, centered: true, ..RmsProp::like_torch() };
    let novo = NovoGrad { weight_decay: 0.0, ..NovoGrad::like_optax() };
    let cases: Vec<(&str, &str, Box<dyn Rule>)> = vec![
        ("sgd", "torch", Box::new(rate(0.001))),
        ("sgd", "optax", Box::new(rate(0.001))),
        ("momentum", "torch", Box::new((Momentum::new(0.9), rate(0.001)))),
        ("momentum", "optax", Box::new((Momentum::new(0.9), rate(0.001)))),
        ("nesterov", "torch", Box::new((Nesterov::new(0.9), rate(0.001)))),
        ("nesterov", "optax", Box::new((Nesterov::new(0.9), rate(0.001)))),
        ("adagrad", "torch", Box::new((Adagrad::like_torch(), rate(0.1)))),
        ("rmsprop", "torch", Box::new((rms.clone(), rate(0.01)))),
        ("rmsprop", "optax", Box::new((rms, rate(0.01)))),
        ("rmsprop_centered_momentum", "torch", Box::new((centered, Momentum::new(0.9), rate(0.001)))),
        ("adadelta", "torch", Box::new(Adadelta::like_torch())),
        ("adadelta", "optax", Box::new(Adadelta::like_optax())),
        ("adam", "torch", Box::new((Adam::like_torch(), rate(0.01)))),
        ("adam", "optax", Box::new((Adam::like_optax(), rate(0.01)))),
        ("adamax", "torch", Box::new((AdaMax::like_torch(), rate(0.01)))),
        ("adamax", "optax", Box::new((AdaMax::like_optax(), rate(0.01)))),
        ("adamw", "torch", Box::new((Adam::default(), WeightDecay::new(0.01), rate(0.01)))),
        ("adamw", "optax", Box::new((Adam::default(), WeightDecay::new(0.01), rate(0.01)))),
        ("amsgrad", "torch", Box::new((AmsGrad::like_torch(), rate(0.01)))),
        ("amsgrad", "optax", Box::new((AmsGrad::like_optax(), rate(0.01)))),
        ("radam", "torch", Box::new((RAdam::like_torch(), rate(0.01)))),
        ("radam", "optax", Box::new((RAdam::like_optax(), rate(0.01)))),
        ("nadam", "torch", Box::new((NAdam::like_torch(), rate(0.01)))),
        ("nadam", "optax", Box::new((NAdam::like_optax(), rate(0.01)))),
        ("novograd", "optax", Box::new((novo, rate(0.01)))),
        ("lookahead_adam", "optax", Box::new(Lookahead::new((Adam::default(), rate(0.01))))),
    ];
    println!("{:<28} {:<8} {:>10}", "trajectory", "by", "worst");
    for (name, library, rule) in cases {
        let data: serde_json::Value = serde_json::from_str(&fixture(&format!("trajectories/quad_{name}.json"))).expect("JSON");
        let expected: Vec<Vec<f64>> = serde_json::from_value(data[library].clone()).expect("points");
        assert_eq!(expected.len(), 51);
        let found = published(rule, expected.len());
        let worst = worst(found.iter().zip(&expected).map(|(a, b)| difference(a, b)));
        println!("{name:<28} {library:<8} {worst:>10.1e}");
        // torch keeps the product of the coefficients in single precision.
        let bound = if (name, library) == ("nadam", "torch") { 2e-10 } else { 1e-12 };
        assert!(worst <= bound, "{name} by {library}: {worst:.1e}");
    }
}

/// All rules at their defaults, for edge cases.
fn defaults() -> Vec<(&'static str, Box<dyn Rule>)> {
    let mut found: Vec<(&'static str, Box<dyn Rule>)> = cases::all().into_iter().map(|(name, _, rule)| (name, rule)).collect();
    found.push(("lars", Box::new(Lars::default())));
    found.push(("rmsprop-paper", Box::new(RmsProp::paper())));
    found.push(("adagrad-paper", Box::new(Adagrad { eps: 0.0, ..Adagrad::paper() })));
    found.push(("plateau", Box::new(OnPlateau::new(0.1))));
    found
}

/// One step from `x` with this gradient, no layout.
fn one_step(rule: &mut dyn Rule, problem: &Problem, x: &[f64], gradient: &[f64]) -> Vec<f64> {
    rule.begin(x.len());
    let at = At(problem, 0);
    let mut update = gradient.to_vec();
    rule.transform(&Context { layout: &[], ..context(problem, &at, x, gradient) }, &mut update).expect("a step");
    update
}

#[test]
fn zero_gradient_at_zero_gives_no_step() {
    let problem = &Problem::all()[0];
    for (name, mut rule) in defaults() {
        if name.contains("sam") {
            continue; // Its gradient is the tape's.
        }
        let update = one_step(&mut *rule, problem, &[0.0; 7], &[0.0; 7]);
        assert!(update.iter().all(|u| *u == 0.0), "{name}: {update:?}");
    }
}

#[test]
fn nan_in_a_gradient_reaches_the_step() {
    let problem = &Problem::all()[0];
    for (name, mut rule) in defaults() {
        if name.contains("sam") || name == "radam-skip" {
            continue; // No step, or the tape's gradient.
        }
        let mut gradient = [0.5; 7];
        gradient[3] = f64::NAN;
        let update = one_step(&mut *rule, problem, &[1.0; 7], &gradient);
        assert!(update[3].is_nan(), "{name}: {update:?}");
    }
}

#[test]
fn rule_forgets_everything_at_the_begin_of_a_run() {
    let problem = &Problem::all()[0];
    for (name, mut rule) in defaults() {
        let first = one_step(&mut *rule, problem, &problem.x0, &[0.3, -2.0, 0.1, 5.0, -0.2, 1.0, 0.0]);
        let again = one_step(&mut *rule, problem, &problem.x0, &[0.3, -2.0, 0.1, 5.0, -0.2, 1.0, 0.0]);
        assert_eq!(first, again, "{name}");
    }
}

#[test]
fn rate_of_a_chain_is_the_product_of_its_rates() {
    let chain = (OnPlateau::new(0.5), Adam::default(), LearningRate::new(0.2));
    assert_eq!(chain.rate(&Clock::default()), 0.1);
}
