//! What rules must be, whatever their numbers: special cases that are other rules, bounds, invariances, statistics.

#[path = "rules/problems.rs"]
#[allow(dead_code)]
mod problems;

use curvkit::stochastic::rule::*;
use curvkit::stochastic::schedule::Schedule;
use problems::{At, Problem, Rule, context, difference, iterates, worst};

fn rate(value: f64) -> LearningRate {
    LearningRate::new(value)
}

/// Worst difference of two rules' iterates on all problems.
fn compare(a: impl Fn() -> Box<dyn Rule>, b: impl Fn() -> Box<dyn Rule>) -> f64 {
    let each = |p: &Problem| {
        let (a, b) = (iterates(p, a(), 60, &[]), iterates(p, b(), 60, &[]));
        worst(a.iter().zip(&b).map(|(a, b)| difference(a, b)))
    };
    worst(Problem::all().iter().map(each))
}

#[test]
fn momentum_without_memory_is_gradient_descent() {
    let plain = || Box::new(rate(0.05)) as Box<dyn Rule>;
    assert_eq!(compare(plain, || Box::new((Momentum::new(0.0), rate(0.05)))), 0.0);
    assert_eq!(compare(plain, || Box::new((Momentum::average(0.0), rate(0.05)))), 0.0);
    assert_eq!(compare(plain, || Box::new((Nesterov::new(0.0), rate(0.05)))), 0.0);
}

#[test]
fn momentum_conventions_agree_under_constant_rates() {
    let outside = || Box::new((Momentum::new(0.9), rate(0.05))) as Box<dyn Rule>;
    assert!(compare(outside, || Box::new((rate(0.05), Momentum::new(0.9)))) < 1e-13);
    // The average's weights sum to a tenth of the velocity's.
    assert!(compare(outside, || Box::new((Momentum::average(0.9), rate(0.5)))) < 1e-13);
    let dampened = || Box::new((Momentum::new(0.9).dampening(Dampening::Constant(0.9)), rate(0.5))) as Box<dyn Rule>;
    assert!(compare(outside, dampened) < 1e-13);
}

#[test]
fn momentum_conventions_differ_once_the_rate_drops() {
    let drop = || LearningRate(Schedule::Milestones { initial: 0.05, milestones: vec![(20.0, 0.1)] });
    let apart = compare(|| Box::new((Momentum::new(0.9), drop())), || Box::new((drop(), Momentum::new(0.9))));
    assert!(apart > 1e-2, "{apart}");
}

#[test]
fn unshifted_points_of_nesterov_are_those_of_the_look_ahead_form() {
    let mu = || Schedule::Sutskever { max: 0.95, every: 10.0 };
    for inside in [true, false] {
        for problem in Problem::all().iter().filter(|p| p.name != "tape") {
            let ahead: Box<dyn Rule> = Box::new((rate(0.05), LookAheadMomentum::new(mu())));
            let expected = iterates(problem, ahead, 60, &[]);
            // The first step of the shifted form starts ahead as well, but from rest that is the same point.
            let mut nesterov = Nesterov::new(mu());
            nesterov.begin(4);
            let (mut x, mut theta) = (problem.x0.clone(), vec![0.0; 4]);
            for (t, expected) in expected.iter().enumerate() {
                let at = At(problem, t);
                let mut gradient = vec![0.0; 4];
                problem.gradient(t, &x, &mut gradient);
                let mut update = gradient.clone();
                let moment = context(problem, &at, &x, &gradient);
                if inside {
                    rate(0.05).transform(&moment, &mut update).unwrap();
                }
                nesterov.transform(&moment, &mut update).unwrap();
                if !inside {
                    rate(0.05).transform(&moment, &mut update).unwrap();
                }
                x.iter_mut().zip(&update).for_each(|(x, u)| *x -= u);
                nesterov.unshifted(&x, if inside { 1.0 } else { 0.05 }, &mut theta);
                assert!(difference(&theta, expected) < 1e-13, "step {t} on {}", problem.name);
            }
        }
    }
}

#[test]
fn lookahead_that_follows_at_once_is_its_inner_rule() {
    let inner = || (Adam::default(), rate(0.05));
    let lookahead = || Box::new(Lookahead { every: 1, slow_step: 1.0, ..Lookahead::new(inner()) }) as Box<dyn Rule>;
    assert!(compare(|| Box::new(inner()), lookahead) < 1e-14);
}

#[test]
fn lookahead_shows_its_slow_weights_at_every_synchronisation() {
    let problem = &Problem::all()[2];
    let mut rule = Lookahead::new(rate(0.1));
    rule.begin(4);
    let mut x = problem.x0.clone();
    for t in 0..20 {
        let mut update = vec![0.0; 4];
        problem.gradient(t, &x, &mut update);
        let gradient = update.clone();
        rule.transform(&context(problem, &At(problem, t), &x, &gradient), &mut update).unwrap();
        x.iter_mut().zip(&update).for_each(|(x, u)| *x -= u);
        let apart = difference(&x, rule.slow());
        assert!(if t % 5 == 4 { apart < 1e-15 } else { apart > 1e-4 }, "step {t}: {apart}");
    }
}

#[test]
fn rms_prop_with_a_huge_constant_is_scaled_gradient_descent() {
    let rms = || Box::new((RmsProp { eps: 1e9, eps_root: 0.0, ..RmsProp::default() }, rate(0.05e9))) as Box<dyn Rule>;
    assert!(compare(rms, || Box::new(rate(0.05))) < 1e-7);
}

#[test]
fn adam_without_momentum_is_debiased_rms_prop() {
    let adam = || Box::new((Adam { beta1: 0.0.into(), beta2: 0.9, eps: 0.0, eps_root: 1e-8, ..Adam::default() }, rate(0.01)));
    let rms = || Box::new((RmsProp { debias: true, ..RmsProp::default() }, rate(0.01)));
    assert!(compare(|| adam(), || rms()) < 1e-12);
}

/// The update for a gradient of one entry in each step.
fn updates(rule: &mut dyn Rule, gradients: &[f64]) -> Vec<f64> {
    let problem = &Problem::all()[0];
    rule.begin(1);
    let step = |(t, g): (usize, &f64)| {
        let mut update = [*g];
        let at = At(problem, t);
        rule.transform(&Context { layout: &[], ..context(problem, &at, &[1.0], &[*g]) }, &mut update).unwrap();
        update[0]
    };
    gradients.iter().enumerate().map(step).collect()
}

#[test]
fn adam_moves_by_the_known_bound_after_a_lone_gradient() {
    let mut gradients = vec![0.0; 5001];
    gradients[5000] = 1.0;
    let mut adam = Adam { eps: 0.0, ..Adam::default() };
    let last = updates(&mut adam, &gradients)[5000];
    // (1 − β₁)/√(1 − β₂), with both debiased.
    let bias = (1.0 - 0.999f64.powi(5001)).sqrt();
    assert!((last - 0.1 / 0.001f64.sqrt() * bias).abs() < 1e-12, "{last}");
    // The first step is of unit size, whatever the gradient.
    assert!((updates(&mut adam, &[1e-7])[0] - 1.0).abs() < 1e-14);
}

#[test]
fn epsilon_inside_and_outside_differ_and_the_raw_place_too() {
    let gradients = [1e-3, 2e-3, -1e-3, 5e-4];
    let forms = [
        Adam { eps: 1e-4, ..Adam::default() },
        Adam { eps: 0.0, eps_root: 1e-4, ..Adam::default() },
        Adam { eps: 1e-4, ..Adam::epsilon_hat() },
    ];
    let found: Vec<f64> = forms.into_iter().map(|mut adam| updates(&mut adam, &gradients)[3]).collect();
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        assert!((found[a] / found[b] - 1.0).abs() > 1e-3, "{found:?}");
    }
}

#[test]
fn rectification_starts_at_step_six_and_tends_to_one() {
    let rule = RAdam::default();
    assert!((1..6).all(|t| rule.rectification(t).is_none()));
    assert!(rule.rectification(6).is_some());
    assert!(RAdam::paper().rectification(5).is_some() && RAdam::paper().rectification(4).is_none());
    let far: Vec<f64> = [10, 100, 1000, 100_000].iter().map(|t| rule.rectification(*t).unwrap()).collect();
    assert!(far.windows(2).all(|w| w[0] < w[1]) && (far[3] - 1.0).abs() < 1e-9, "{far:?}");
    assert!((1..10_000).all(|t| RAdam { beta2: 0.6, ..RAdam::default() }.rectification(t).is_none()));
}

#[test]
fn ams_grad_never_takes_longer_steps_than_its_largest_gradient_allows() {
    let gradients: Vec<f64> = (0..200).map(|k| if k == 50 { 10.0 } else { 0.1 }).collect();
    let (adam, ams) = (updates(&mut Adam::default(), &gradients), updates(&mut AmsGrad::default(), &gradients));
    assert!(ams[199] < 0.95 * adam[199], "{} {}", ams[199], adam[199]);
    assert!(ams.iter().zip(&adam).all(|(s, a)| *s <= a * (1.0 + 1e-12)));
}

#[test]
fn ada_bound_ends_as_momentum_at_the_final_rate() {
    let gradients = vec![3.0; 200_000];
    let mut rule = AdaBound { gamma: 0.1, ..AdaBound::default() };
    let last = *updates(&mut rule, &gradients).last().unwrap();
    assert!((last - 0.1 * 3.0).abs() < 1e-4, "{last}");
}

#[test]
fn trust_ratio_makes_steps_in_proportion_to_each_part() {
    let problem = &Problem::all()[1];
    let (x, gradient) = ([3.0, 4.0, 0.3, 0.4], [1.0, 0.0, 0.0, 1e6]);
    let mut update = gradient;
    let at = At(problem, 0);
    TrustRatio::default().transform(&context(problem, &at, &x, &gradient), &mut update).unwrap();
    assert_eq!(update, [5.0, 0.0, 0.0, 0.5]);
    // Without a layout there is one part.
    let mut whole = gradient;
    TrustRatio::default().transform(&Context { layout: &[], ..context(problem, &at, &x, &gradient) }, &mut whole).unwrap();
    let length = whole.iter().map(|u| u * u).sum::<f64>().sqrt();
    assert!((length - (25.0f64 + 0.25).sqrt()).abs() < 1e-12);
}

#[test]
fn clipped_gradient_keeps_its_direction_and_has_the_bound_for_its_norm() {
    let problem = &Problem::all()[1];
    let (x, gradient) = ([0.0; 4], [3.0, 0.0, 0.0, 4.0]);
    let at = At(problem, 0);
    let clip = |mut rule: ClipNorm| {
        let mut update = gradient;
        rule.transform(&context(problem, &at, &x, &gradient), &mut update).unwrap();
        update
    };
    let whole = clip(ClipNorm::global(1.0));
    assert!((whole[0] - 0.6).abs() < 1e-15 && (whole[3] - 0.8).abs() < 1e-15);
    assert_eq!(clip(ClipNorm::by_part(3.5)), [3.0, 0.0, 0.0, 3.5]);
    assert_eq!(clip(ClipNorm::global(5.0)), gradient);
}

#[test]
fn noise_has_the_decaying_variance_it_promises() {
    let problem = &Problem::all()[1];
    let n = 20_000;
    let x = vec![0.0; n];
    for t in [0, 10, 1000] {
        let mut rule = GradientNoise { variance: 0.3, ..GradientNoise::default() };
        let mut update = vec![0.0; n];
        let at = At(problem, t);
        rule.transform(&Context { layout: &[], ..context(problem, &at, &x, &x) }, &mut update).unwrap();
        let variance = update.iter().map(|u| u * u).sum::<f64>() / n as f64;
        let expected = 0.3 / (1.0 + t as f64).powf(0.55);
        // Five standard deviations of a sample variance.
        assert!((variance / expected - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt(), "step {t}: {variance} for {expected}");
    }
}

#[test]
fn probes_find_the_diagonal_of_a_dense_hessian() {
    let problem = &Problem::all()[1];
    let problems::Kind::Quadratic(a) = &problem.kind else { panic!("the quadratic") };
    let samples = 40_000;
    let mut rule = AdaHessian { samples, eps: 0.0, ..AdaHessian::default() };
    rule.begin(4);
    // In the first step the update is g / |D|.
    let mut update = [1.0; 4];
    let at = At(problem, 0);
    rule.transform(&context(problem, &at, &problem.x0, &[1.0; 4]), &mut update).unwrap();
    for (i, u) in update.iter().enumerate() {
        let spread: f64 = (0..4).filter(|j| *j != i).map(|j| a[i][j] * a[i][j]).sum::<f64>();
        let bound = 5.0 * (spread / samples as f64).sqrt();
        assert!((1.0 / u - a[i][i]).abs() < bound, "entry {i}: {} for {}", 1.0 / u, a[i][i]);
    }
}

#[test]
fn sophia_steps_are_never_longer_than_one() {
    let problem = &Problem::all()[0];
    let rule: Box<dyn Rule> = Box::new(Sophia::gauss_newton());
    let found = iterates(problem, rule, 100, &[]);
    let mut before = &problem.x0;
    for x in &found {
        assert!(x.iter().zip(before).all(|(a, b)| (a - b).abs() <= 1.0 + 1e-14));
        before = x;
    }
}

#[test]
fn zero_gradient_is_no_direction_for_sharpness() {
    let problem = &Problem::all()[1];
    let mut update = [0.0; 4];
    let at = At(problem, 0);
    SharpnessAware::default().transform(&context(problem, &at, &[0.0; 4], &[0.0; 4]), &mut update).unwrap();
    assert_eq!(update, [0.0; 4]);
}

#[test]
fn wrong_options_are_errors_that_name_them() {
    let wrong: Vec<(&str, Box<dyn Rule>)> = vec![
        ("momentum", Box::new(Momentum::new(f64::NAN))),
        ("dampening", Box::new(Momentum::new(0.9).dampening(Dampening::Constant(-1.0)))),
        ("learning_rate", Box::new((Adam::default(), rate(f64::INFINITY)))),
        ("beta2", Box::new(Adam { beta2: 1.0, ..Adam::default() })),
        ("eps", Box::new(Adam { eps: -1e-8, ..Adam::default() })),
        ("eps_root", Box::new(Adagrad { eps_root: f64::NAN, ..Adagrad::default() })),
        ("debias", Box::new(RmsProp { debias: true, start: Start::FirstGradient, ..RmsProp::default() })),
        ("decay", Box::new(Adadelta { decay: 1.5, ..Adadelta::default() })),
        ("beta1", Box::new(Lion { beta1: -0.1, ..Lion::default() })),
        ("threshold", Box::new(RAdam { threshold: 3.0, ..RAdam::default() })),
        ("momentum_decay", Box::new(NAdam { momentum_decay: Some(-1.0), ..NAdam::default() })),
        ("gamma", Box::new(AdaBound { gamma: 0.0, ..AdaBound::default() })),
        ("weight_decay", Box::new(NovoGrad { weight_decay: -1.0, ..NovoGrad::default() })),
        ("bounds", Box::new(TrustRatio { bounds: Some((2.0, 1.0)), ..TrustRatio::default() })),
        ("trust coefficient", Box::new(Lars { coefficient: 0.0, ..Lars::default() })),
        ("every", Box::new(Sophia { every: 0, ..Sophia::default() })),
        ("samples", Box::new(AdaHessian { samples: 0, ..AdaHessian::default() })),
        ("every", Box::new(Lookahead { every: 0, ..Lookahead::new(rate(0.1)) })),
        ("learning_rate", Box::new(Lookahead::new(rate(f64::NAN)))),
        ("radius", Box::new(SharpnessAware::new(-1.0))),
        ("clip", Box::new(ClipValue(0.0))),
        ("clip", Box::new(ClipNorm::global(f64::NAN))),
        ("variance", Box::new(GradientNoise { variance: -1.0, ..GradientNoise::default() })),
        ("factor", Box::new(OnPlateau { factor: 1.0, ..OnPlateau::new(0.1) })),
    ];
    for (option, rule) in wrong {
        match rule.validate() {
            Err(curvkit::Error::Config { name, .. }) => assert_eq!(name, option),
            other => panic!("{option}: {other:?}"),
        }
    }
}
