//! Generalized linear models where estimates do not exist, are not unique, or the input is wrong; multinomial regression.
#![cfg(feature = "fit")]

#[path = "common/glm.rs"]
mod support;

use argmin::core::{CostFunction, Gradient, Hessian};
use curvkit::error::Error;
use curvkit::fit::glm::multinomial;
use curvkit::fit::{GlmFit, GlmOptions, GlmWarning, glm};
use curvkit::problem::glm::Multinomial;
use curvkit::problem::{Family, Glm, HessianProduct, Link};
use nalgebra::DMatrix;
use support::{differences, printed, read};

fn fit(model: &Glm) -> GlmFit {
    glm(model, &GlmOptions::default()).unwrap()
}

fn line(family: Family, link: Link, x: &[f64], y: &[f64]) -> Glm {
    Glm::new(family, link, 2, [&vec![1.0; x.len()], x].concat(), y.to_vec()).unwrap()
}

#[test]
fn complete_separation_is_said_with_its_direction() {
    let x = [1.0, 2.0, 3.0, 6.0, 7.0, 8.0];
    let y = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    for link in [Link::Logit, Link::Probit, Link::Cloglog, Link::Cauchit] {
        let found = fit(&line(Family::Binomial, link, &x, &y));
        let separation = found.separation().unwrap_or_else(|| panic!("{link}: {:?}", found.warnings));
        assert!(separation.complete && !found.converged(), "{link}");
        assert_eq!((separation.columns.as_slice(), separation.rows.len()), (&[0, 1][..], 6));
        let d = &separation.direction;
        assert!(x.iter().zip(y).all(|(x, y)| (d[0] + d[1] * x) * (2.0 * y - 1.0) > 0.0), "{link} {d:?}");
        // Where the run stopped is already a perfect prediction.
        assert!(found.fitted().unwrap().iter().zip(y).all(|(m, y)| (m - y).abs() < 0.01), "{link} {:?}", found.fitted());
    }
}

#[test]
fn quasi_complete_separation_names_the_column_and_keeps_the_others_finite() {
    // Nobody of the second group answers; within the first the slope is finite.
    let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 3.0];
    let group = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    let y = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
    let design = [&[1.0; 8][..], &x, &group].concat();
    let found = fit(&Glm::new(Family::Binomial, Link::Logit, 3, design, y.to_vec()).unwrap());
    let separation = found.separation().unwrap();
    assert!(!separation.complete);
    assert_eq!((separation.columns.as_slice(), separation.rows.as_slice()), (&[2][..], &[6, 7][..]));
    assert_eq!(separation.direction, [0.0, 0.0, -1.0]);
    let rest = fit(&line(Family::Binomial, Link::Logit, &x[..6], &y[..6]));
    assert!(rest.converged() && rest.warnings.is_empty());
    assert!((found.coefficients[1] - rest.coefficients[1]).abs() < 1e-3 && found.coefficients[2] < -5.0);
    assert!(matches!(found.warnings[..], [GlmWarning::Separated(_)]));
}

#[test]
fn overlapping_data_are_not_separated() {
    let x: Vec<f64> = (0..30).map(f64::from).collect();
    let y: Vec<f64> = (0..30).map(|i| f64::from(i > 14)).collect();
    let mut crossed = y.clone();
    crossed.swap(14, 15);
    let found = fit(&line(Family::Binomial, Link::Logit, &x, &crossed));
    assert!(found.converged() && found.warnings.is_empty(), "{:?}", found.warnings);
    assert!(fit(&line(Family::Binomial, Link::Logit, &x, &y)).separation().is_some());
}

#[test]
fn counts_of_zero_in_a_group_are_separated() {
    let group = [0.0, 0.0, 0.0, 1.0, 1.0];
    let found = fit(&line(Family::Poisson, Link::Log, &group, &[1.0, 3.0, 2.0, 0.0, 0.0]));
    let separation = found.separation().unwrap();
    assert_eq!((separation.columns.as_slice(), separation.rows.as_slice()), (&[1][..], &[3, 4][..]));
    assert!((found.coefficients[0] - 2f64.ln()).abs() < 1e-12);
}

#[test]
fn constant_responses_have_a_constant_fit_or_none() {
    let x = [0.0, 1.0, 2.0, 4.0];
    for (family, link) in [(Family::Gaussian, Link::Identity), (Family::Poisson, Link::Log), (Family::Gamma, Link::Inverse)] {
        let found = fit(&line(family, link, &x, &[3.0; 4]));
        assert!(found.converged(), "{family}: {:?} {:?}", found.warnings, found.polished);
        assert!((found.coefficients[0] - link.predictor(3.0)).abs() < 1e-14 && found.coefficients[1].abs() < 1e-14, "{family}");
        assert!(found.statistics.deviance < 1e-25 && found.statistics.null_deviance < 1e-25);
    }
    let all = fit(&line(Family::Binomial, Link::Logit, &x, &[1.0; 4]));
    assert!(all.separation().unwrap().complete && all.statistics.null_deviance == 0.0);
    let none = fit(&line(Family::Poisson, Link::Log, &x, &[0.0; 4]));
    assert!(none.separation().is_some());
}

#[test]
fn saturated_models_reproduce_the_data_without_standard_errors() {
    let found = fit(&line(Family::Gamma, Link::Log, &[0.0, 1.0], &[2.0, 5.0]));
    assert!((found.coefficients[1] - 2.5f64.ln()).abs() < 1e-14 && found.warnings.contains(&GlmWarning::Saturated));
    assert!(found.statistics.standard_errors.iter().all(|e| e.is_nan()));
}

#[test]
fn aliased_columns_are_named_and_the_rest_is_fitted_as_without_them() {
    let (x, y) = ([0.0, 1.0, 2.0, 4.0, 7.0], [1.0, 2.0, 2.0, 5.0, 11.0]);
    let twice: Vec<f64> = x.iter().map(|x| 3.0 - 2.0 * x).collect();
    let design = [&[1.0; 5][..], &x, &twice].concat();
    let found = fit(&Glm::new(Family::Poisson, Link::Log, 3, design, y.to_vec()).unwrap());
    let plain = fit(&line(Family::Poisson, Link::Log, &x, &y));
    let alias = found.aliases().next().unwrap();
    assert_eq!(alias.column, 2);
    let [(0, three), (1, minus)] = alias.combination[..] else { panic!("{alias:?}") };
    assert!((three - 3.0).abs() < 1e-12 && (minus + 2.0).abs() < 1e-12);
    assert!(found.converged() && found.coefficients[2].is_nan() && found.statistics.standard_errors[2].is_nan());
    assert_eq!((found.coefficients[0], found.coefficients[1]), (plain.coefficients[0], plain.coefficients[1]));
    assert_eq!(found.statistics.degrees_of_freedom, 3.0);
    let predicted = found.predict(&[1.0, 1.0, 3.0, 3.0, -3.0, 0.0], None, 0.95).unwrap();
    let exact = plain.predict(&[1.0, 3.0], None, 0.95).unwrap()[0];
    assert!((predicted[0].mean - exact.mean).abs() < 1e-13 && (predicted[0].mean_error - exact.mean_error).abs() < 1e-13);
    // The second row breaks the relation: nothing is known there.
    assert!(predicted[1].mean.is_nan());
}

#[test]
fn an_offset_is_a_coefficient_of_one() {
    let (x, y) = ([0.0, 1.0, 2.0, 4.0, 7.0], [1.0, 2.0, 2.0, 5.0, 11.0]);
    let exposure = [1.0, 2.0, 1.5, 3.0, 4.0f64];
    let offset: Vec<f64> = exposure.iter().map(|e| e.ln()).collect();
    let found = fit(&line(Family::Poisson, Link::Log, &x, &y).with_offset(offset.clone()).unwrap());
    // Score equations: Σ (y − e^{β₀ + β₁x} E) = 0 and the same with x.
    let mean = |i: usize| (found.coefficients[0] + found.coefficients[1] * x[i]).exp() * exposure[i];
    let score = |f: &dyn Fn(usize) -> f64| (0..5).map(|i| f(i) * (y[i] - mean(i))).sum::<f64>().abs();
    assert!(score(&|_| 1.0) < 1e-13 && score(&|i| x[i]) < 1e-12);
    let rate: f64 = y.iter().sum::<f64>() / exposure.iter().sum::<f64>();
    let null: f64 = (0..5).map(|i| 2.0 * (y[i] * (y[i] / (rate * exposure[i])).ln() - y[i] + rate * exposure[i])).sum();
    assert!((found.statistics.null_deviance / null - 1.0).abs() < 1e-12);
    let p = found.predict(&[1.0, 2.0], Some(&[3f64.ln()]), 0.95).unwrap()[0];
    assert!((p.mean / ((found.coefficients[0] + 2.0 * found.coefficients[1]).exp() * 3.0) - 1.0).abs() < 1e-14);
}

#[test]
fn bad_input_is_refused_with_its_row() {
    let row = |result: Result<Glm, Error>| match result {
        Err(Error::Observation { what, row, .. }) => (what, row),
        other => panic!("{:?}", other.err()),
    };
    let of = |family, y: &[f64]| Glm::new(family, Link::Log, 1, vec![1.0; y.len()], y.to_vec());
    assert_eq!(row(of(Family::Binomial, &[0.0, 1.0, 1.5])), ("response", 2));
    assert_eq!(row(of(Family::Poisson, &[-1.0, 1.0])), ("response", 0));
    assert_eq!(row(of(Family::Gamma, &[1.0, 0.0])), ("response", 1));
    assert_eq!(row(of(Family::Gaussian, &[1.0, f64::NAN])), ("response", 1));
    let text = of(Family::Gamma, &[1.0, -2.0]).err().unwrap().to_string();
    assert_eq!(text, "response must be finite and positive, found -2 in row 2");
    let good = || of(Family::Poisson, &[1.0, 2.0]).unwrap();
    assert_eq!(row(good().with_weights(vec![1.0, -1.0])), ("weights", 1));
    assert_eq!(row(good().with_offset(vec![f64::INFINITY, 0.0])), ("offset", 0));
    assert_eq!(row(good().with_frequencies(vec![1.0, f64::NAN])), ("frequencies", 1));
    assert!(matches!(good().with_weights(vec![1.0]), Err(Error::Dimension { .. })));
    assert!(matches!(Glm::new(Family::Poisson, Link::Log, 2, vec![1.0; 3], vec![1.0; 2]), Err(Error::Dimension { .. })));
    let nan = Glm::new(Family::Poisson, Link::Log, 1, vec![1.0, f64::NAN], vec![1.0; 2]);
    assert!(matches!(nan, Err(Error::NonFinite { what: "design", index: Some(1) })));
    let none = good().with_weights(vec![0.0; 2]).unwrap();
    assert!(matches!(glm(&none, &GlmOptions::default()), Err(Error::Unsupported { .. })));
    let options = GlmOptions { max_iterations: 0, ..GlmOptions::default() };
    assert!(matches!(glm(&good(), &options), Err(Error::Config { .. })));
    let far = GlmOptions { start: Some(vec![1e4]), ..GlmOptions::default() };
    assert!(matches!(glm(&good(), &far), Err(Error::Unsupported { .. })));
}

fn election() -> Multinomial {
    let d = read("anes96.csv");
    let n = d.column("PID").len();
    // Stata keeps a generated variable in single precision.
    let population: Vec<f64> = d.column("popul").iter().map(|v| f64::from((v + 0.1).ln() as f32)).collect();
    let design = [population, d.design(&["selfLR", "age", "educ", "income"])].concat();
    let classes = d.column("PID").iter().map(|v| *v as usize).collect();
    Multinomial::new(7, design.len() / n, design, classes).unwrap()
}

#[test]
fn multinomial_regression_equals_the_printed_results_of_stata() {
    let model = election();
    let found = multinomial(&model, &GlmOptions::default()).unwrap();
    assert!(found.warnings.is_empty() && found.polished.converged);
    let mut off = differences("params", &found.coefficients, &printed("anes96", "params"));
    off.extend(differences("llf", &[found.log_likelihood], &printed("anes96", "llf")));
    off.extend(differences("llnull", &[found.null_log_likelihood], &printed("anes96", "llnull")));
    off.extend(differences("aic", &[found.aic], &printed("anes96", "aic")));
    off.extend(differences("bic", &[found.bic], &printed("anes96", "bic")));
    assert!(off.is_empty(), "{}", off.join("\n"));
    // Stata inverts the information in the units of the data: its tenth digit is off by one in three of 36.
    let off = differences("bse", &found.standard_errors, &printed("anes96", "bse"));
    let close = |(e, p): (&f64, &support::Printed)| (e - p.value).abs() <= 3.0 * p.half_unit;
    assert!(off.len() <= 3 && found.standard_errors.iter().zip(&printed("anes96", "bse")).all(close), "{}", off.join("\n"));
    let inverse =
        DMatrix::from_column_slice(36, 36, model.hessian(&found.coefficients).unwrap().entries()).try_inverse().unwrap();
    assert!((0..36).all(|j| (found.standard_errors[j] / inverse[(j, j)].sqrt() - 1.0).abs() < 1e-9));
}

#[test]
fn multinomial_derivatives_equal_differences_and_two_classes_are_logistic() {
    let model = election();
    let x: Vec<f64> = (0..36).map(|k| 0.01 * ((k * k) as f64).sin()).collect();
    let (g, h) = (model.gradient(&x).unwrap(), model.hessian(&x).unwrap());
    let along = |k: usize, t: f64| {
        let mut y = x.clone();
        y[k] += t;
        y
    };
    for k in [0, 7, 35] {
        let d = |t: f64| (model.cost(&along(k, t)).unwrap() - model.cost(&along(k, -t)).unwrap()) / (2.0 * t);
        let slope = (4.0 * d(5e-5) - d(1e-4)) / 3.0;
        assert!((g[k] - slope).abs() < 1e-6 * g[k].abs().max(1.0), "{k}: {} {slope}", g[k]);
        let up = model.gradient(&along(k, 1e-5)).unwrap();
        let down = model.gradient(&along(k, -1e-5)).unwrap();
        for j in 0..36 {
            let entry = h.entries()[k * 36 + j];
            assert!((entry - (up[j] - down[j]) / 2e-5).abs() < 1e-7 * h.entries()[k * 37].abs().max(entry.abs()), "{k} {j}");
        }
        let (mut unit, mut product) = (vec![0.0; 36], vec![0.0; 36]);
        unit[k] = 1.0;
        model.hessian_product(&x, &unit, &mut product).unwrap();
        assert!((0..36).all(|j| (product[j] - h.entries()[k * 36 + j]).abs() <= 1e-12 * h.entries()[k * 37].abs().max(1e3)));
    }
    let (x, y) = ([0.0, 1.0, 2.0, 3.0, 4.0], [0usize, 1, 0, 1, 1]);
    let two = Multinomial::new(2, 2, [&[1.0; 5][..], &x].concat(), y.to_vec()).unwrap();
    let two = multinomial(&two, &GlmOptions::default()).unwrap();
    let logistic = fit(&line(Family::Binomial, Link::Logit, &x, &y.map(|y| y as f64)));
    for j in 0..2 {
        assert!((two.coefficients[j] / logistic.coefficients[j] - 1.0).abs() < 1e-14);
        assert!((two.standard_errors[j] / logistic.statistics.standard_errors[j] - 1.0).abs() < 1e-12);
    }
    assert!((two.aic - logistic.statistics.aic).abs() < 1e-12);
}

#[test]
fn multinomial_separation_and_aliases_are_named() {
    let x = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let of = |y: [usize; 6]| {
        let design = [&[1.0; 6][..], &x, &x].concat();
        multinomial(&Multinomial::new(3, 3, design, y.to_vec()).unwrap(), &GlmOptions::default()).unwrap()
    };
    let found = of([0, 0, 1, 1, 2, 2]);
    let Some(GlmWarning::Separated(separation)) = found.warnings.last() else { panic!("{:?}", found.warnings) };
    assert!(separation.complete && matches!(found.warnings[0], GlmWarning::Aliased(_)) && found.coefficients[2].is_nan());
    // The direction predicts every class: its own predictor is the largest.
    let d = &separation.direction;
    for (x, y) in x.iter().zip([0, 0, 1, 1, 2, 2]) {
        let eta = [0.0, d[0] + d[1] * x, d[3] + d[4] * x];
        assert!((0..3).all(|k| k == y || eta[y] > eta[k]), "{x} {eta:?}");
    }
    let mixed = of([0, 1, 2, 0, 1, 2]);
    assert!(matches!(mixed.warnings[..], [GlmWarning::Aliased(_)]), "{:?}", mixed.warnings);
}

/// Sixty answers; under the log link their maximum lies where the largest `x` has probability 1.
const LOG_BINOMIAL_X: [f64; 60] = [
    0.7, 0.77, 0.53, -0.94, -0.9, -0.34, 0.75, 0.9, 0.07, 0.57, -0.34, 0.64, 0.63, -0.85, 0.93, -0.31, -0.65, 0.04, 0.24, -0.97,
    -0.7, -0.31, -0.56, 0.21, -0.83, 0.47, -0.04, -0.41, 0.94, 0.97, 0.8, 0.92, -0.83, -0.32, -0.71, -0.05, 0.87, 0.05, 0.89,
    0.34, -0.74, 0.93, 0.3, 0.12, -0.61, 0.73, 0.72, 0.63, -0.87, 0.38, 0.93, 0.21, 0.06, 0.99, 0.87, 0.73, 0.96, -0.16, -0.39,
    -0.61,
];
const LOG_BINOMIAL_ONES: [usize; 42] = [
    0, 1, 2, 6, 7, 9, 11, 12, 14, 17, 18, 20, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 35, 36, 38, 39, 41, 42, 44, 45, 46, 47,
    49, 50, 51, 52, 53, 54, 55, 56, 59,
];

/// Row, mean and multiplier of a boundary.
fn boundary(found: &GlmFit) -> Vec<(usize, f64, f64)> {
    let b = found.boundary().unwrap_or_else(|| panic!("{:?}", found.warnings));
    b.rows.iter().zip(&b.means).zip(&b.multipliers).map(|((r, m), l)| (*r, *m, *l)).collect()
}

#[test]
fn log_binomial_maximum_on_the_boundary_is_found_certified_and_named() {
    let y: Vec<f64> = (0..60).map(|i| f64::from(LOG_BINOMIAL_ONES.contains(&i))).collect();
    let found = fit(&line(Family::Binomial, Link::Log, &LOG_BINOMIAL_X, &y));
    assert!(found.converged());
    // On the boundary β₀ = −0.99 β₁; the derivative of the log-likelihood by β₁ vanishes there.
    let slope = |b: f64| -> f64 {
        let term = |(x, y): (&f64, &f64)| {
            let (d, eta) = (x - 0.99, b * (x - 0.99));
            if *y == 1.0 { d } else { -d * eta.exp() / -eta.exp_m1() }
        };
        LOG_BINOMIAL_X.iter().zip(&y).map(term).sum()
    };
    let (mut low, mut high) = (0.1, 2.0);
    assert!(slope(low) > 0.0 && slope(high) < 0.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    assert!((found.coefficients[1] - low).abs() < 1e-13, "{:?} {low}", found.coefficients);
    assert!((found.coefficients[0] + 0.99 * low).abs() < 1e-13);
    assert!((found.statistics.log_likelihood + 24.669_471_073_951_8).abs() < 1e-11, "{}", found.statistics.log_likelihood);
    let [(row, mean, multiplier)] = boundary(&found)[..] else { panic!("{:?}", found.boundary()) };
    // The multiplier is minus the derivative by β₀ = η at x = 0.99, with β₁ held.
    let gain: f64 = LOG_BINOMIAL_X
        .iter()
        .zip(&y)
        .map(|(x, y)| {
            let eta = low * (x - 0.99);
            if *y == 1.0 { 1.0 } else { -eta.exp() / -eta.exp_m1() }
        })
        .sum();
    assert!(row == 53 && mean == 1.0 && (multiplier - gain).abs() < 1e-10 && gain > 0.0, "{multiplier} {gain}");
    assert!(found.statistics.standard_errors.iter().all(|e| e.is_nan()));
    // The same answer in other units.
    let far: Vec<f64> = LOG_BINOMIAL_X.iter().map(|x| 1e6 * (x + 3.0)).collect();
    let other = fit(&line(Family::Binomial, Link::Log, &far, &y));
    assert!(other.converged() && close(1e6 * other.coefficients[1], low, 1e-8), "{:?}", other.coefficients);
    assert!((other.statistics.log_likelihood - found.statistics.log_likelihood).abs() < 1e-9);
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

#[test]
fn counts_under_the_identity_have_their_maximum_where_a_mean_is_zero() {
    // μ = β₀ + β₁ x at x = 0, 1, 2 with counts 0, 1, 5: on β₀ = 0 the slope is Σy/Σx, and Σ(1 − y/μ) = 1 + ½ − ¼ holds β₀ there.
    let found = fit(&line(Family::Poisson, Link::Identity, &[0.0, 1.0, 2.0], &[0.0, 1.0, 5.0]));
    assert!(found.converged());
    assert!(found.coefficients[0].abs() < 1e-14 && (found.coefficients[1] - 2.0).abs() < 1e-14, "{:?}", found.coefficients);
    let [(row, mean, multiplier)] = boundary(&found)[..] else { panic!("{:?}", found.boundary()) };
    assert!(row == 0 && mean == 0.0 && (multiplier - 1.25).abs() < 1e-13, "{multiplier}");
    // Rows that agree are all named.
    let twice = fit(&line(Family::Poisson, Link::Identity, &[0.0, 1.0, 0.0, 2.0], &[0.0, 1.0, 0.0, 5.0]));
    assert_eq!(twice.boundary().map(|b| b.rows.clone()), Some(vec![0, 2]));
    assert!((twice.coefficients[1] - 2.0).abs() < 1e-13 && twice.converged());
}

/// The least cost over two coefficients by a grid that closes in on its best point.
fn least_on_a_grid(model: &Glm, start: &[f64]) -> f64 {
    let mut center = [start[0], start[1]];
    let cost = |b: [f64; 2]| {
        model
            .data()
            .predictor(&b)
            .iter()
            .enumerate()
            .map(|(i, eta)| {
                let half = model.data().term(i, *eta).half_deviance;
                if half.is_nan() { f64::INFINITY } else { half }
            })
            .sum::<f64>()
    };
    let (mut best, mut width) = (cost(center), 2.0);
    for _ in 0..400 {
        let mut moved = false;
        for k in 0..81 {
            let b = [center[0] + width * (f64::from(k % 9) - 4.0) / 4.0, center[1] + width * (f64::from(k / 9) - 4.0) / 4.0];
            let c = cost(b);
            if c < best {
                (best, center, moved) = (c, b, true);
            }
        }
        if !moved {
            width *= 0.7;
        }
        if width < 1e-13 {
            break;
        }
    }
    best
}

#[test]
fn maxima_over_restricted_predictors_are_at_least_as_high_as_those_of_a_grid() {
    let mut seed = 7u64;
    let mut draw = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    let pairs = [
        (Family::Binomial, Link::Log),
        (Family::Binomial, Link::Identity),
        (Family::Binomial, Link::Sqrt),
        (Family::Binomial, Link::Inverse),
        (Family::Poisson, Link::Identity),
        (Family::Poisson, Link::Sqrt),
        (Family::NegativeBinomial { alpha: 0.5 }, Link::Identity),
        (Family::Gamma, Link::Identity),
        (Family::InverseGaussian, Link::Inverse),
    ];
    for (family, link) in pairs {
        let (mut on_boundary, mut fitted) = (0, 0);
        for _ in 0..25 {
            let x: Vec<f64> = (0..12).map(|_| 2.0 * draw() - 1.0).collect();
            let y: Vec<f64> = x
                .iter()
                .map(|x| {
                    let mean = 0.5 + 0.45 * x;
                    match family {
                        Family::Binomial => f64::from(draw() < mean),
                        Family::Gamma | Family::InverseGaussian => mean * (0.2 + 2.0 * draw()),
                        _ => (3.0 * mean * draw()).floor(),
                    }
                })
                .collect();
            let model = line(family, link, &x, &y);
            let found = fit(&model);
            if found.separation().is_some() {
                continue;
            }
            assert!(found.converged(), "{family} {link} {x:?} {y:?}: {:?} {:?}", found.warnings, found.polished);
            let cost = 0.5 * found.statistics.deviance;
            let grid = least_on_a_grid(&model, &found.coefficients).min(least_on_a_grid(&model, &model.start().unwrap()));
            assert!(cost <= grid + 1e-9 * grid.max(1.0), "{family} {link} {x:?} {y:?}: {cost} {grid}");
            fitted += 1;
            on_boundary += usize::from(found.boundary().is_some());
            // The certificate: no multiplier is negative, and the gradient is the combination of the rows that they give.
            if let Some(b) = found.boundary() {
                assert!(b.multipliers.iter().all(|l| *l >= 0.0));
                assert!(found.fitted().unwrap().iter().zip(&y).enumerate().all(|(i, (m, _))| {
                    b.rows.iter().position(|r| *r == i).is_none_or(|k| (m - b.means[k]).abs() < 1e-9 || *m > 1e9)
                }));
            }
        }
        println!("{family} {link}: {on_boundary} of {fitted} on the boundary");
        assert!(fitted >= 10, "{family} {link}: {fitted}");
        match (family, link) {
            // Every likelihood vanishes at the end of the range.
            (Family::Gamma, _) => assert_eq!(on_boundary, 0),
            (_, Link::Log | Link::Identity) => assert!(on_boundary > 0, "{family} {link}: {on_boundary} of {fitted}"),
            _ => {}
        }
    }
}
