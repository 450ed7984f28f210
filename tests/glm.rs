//! Generalized linear models against the printed results of R and Stata, exact rational arithmetic, dual numbers, and closed
//! forms.
#![cfg(all(feature = "fit", feature = "autodiff"))]

#[path = "common/glm.rs"]
mod support;

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Executor, Gradient, Hessian};
use curvkit::curvature::{Curvature, Fisher};
use curvkit::fit::glm::ResidualKind;
use curvkit::fit::{GlmCovariance, GlmFit, GlmOptions, glm};
use curvkit::linalg::operator::write_dense;
use curvkit::problem::glm::Multinomial;
use curvkit::problem::{At, AutoDiff, DualFunction, DualNum, Family, Glm, Link};
use curvkit::second_order::certificate::PointKind;
use curvkit::second_order::methods;
use curvkit::second_order::minimizer::State;
use nalgebra::DMatrix;
use std::sync::{Arc, Mutex};
use support::{differences, printed, read, reference_model, scoring_iterates};

fn fit(model: &Glm) -> GlmFit {
    glm(model, &GlmOptions::default()).unwrap()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs()
}

const CASES: [&str; 11] = [
    "star98",
    "lbw",
    "scotvote",
    "cancerlog",
    "canceridentity",
    "cpunish",
    "cpunish_offset",
    "invgauss",
    "invgausslog",
    "invgaussidentity",
    "committee",
];

/// R stops scoring once the deviance changes by less than 10⁻⁸ and takes standard errors from the weights of the step before:
/// what it prints is that iterate, not yet the maximum. Textbook scoring under that rule prints the same digits; carried on
/// to the end it gives the coefficients of this crate, whose deviance is the lower one.
#[test]
fn printed_digits_of_r_and_stata_are_those_of_scoring_on_its_way_to_the_same_answer() {
    let mut off = Vec::new();
    for case in CASES {
        let model = reference_model(case);
        let unit = model.data().family.has_unit_dispersion() && case != "committee";
        let freedom = (model.data().n_rows() - model.data().n_columns) as f64;
        let path = scoring_iterates(&model, 60);
        let settled = |k: &usize| (path[*k].deviance - path[k - 1].deviance).abs() < 1e-8 * (path[*k].deviance + 0.1);
        let stopped = &path[(1..60).find(settled).unwrap()];
        let phi = if unit { 1.0 } else { stopped.lagged_pearson / freedom };
        let errors: Vec<f64> = stopped.lagged.iter().map(|v| (v * phi).sqrt()).collect();
        let found = fit(&model);
        let s = &found.statistics;
        for (quantity, values) in [
            ("params", stopped.beta.as_slice()),
            ("bse", &errors),
            ("deviance", &[stopped.deviance]),
            ("null_deviance", &[s.null_deviance]),
        ] {
            off.extend(differences(&format!("{case} {quantity}"), values, &printed(case, quantity)));
        }

        assert!(found.converged() && found.warnings.is_empty(), "{case}: {:?} {:?}", found.warnings, found.polished);
        let last = &path[59];
        let phi = if unit { 1.0 } else { last.pearson / freedom };
        let factor = if case == "committee" { phi.sqrt() } else { 1.0 };
        for j in 0..last.beta.len() {
            assert!(close(found.coefficients[j], last.beta[j], 1e-10), "{case} {j}");
            assert!(close(s.standard_errors[j] * factor, (last.current[j] * phi).sqrt(), 1e-10), "{case} {j}");
        }
        assert!(close(s.pearson, last.pearson, 1e-10) && s.deviance <= stopped.deviance * (1.0 + 1e-13));
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}

#[test]
fn results_equal_the_printed_ones_directly_where_those_had_converged() {
    let mut off = Vec::new();
    for case in CASES {
        let found = fit(&reference_model(case));
        let s = &found.statistics;
        let mut check = |quantity: &str, value: &[f64]| {
            off.extend(differences(&format!("{case} {quantity}"), value, &printed(case, quantity)));
        };
        check("null_deviance", &[s.null_deviance]);
        if ["star98", "scotvote"].contains(&case) {
            check("params", &found.coefficients);
            check("bse", &s.standard_errors);
        }
        if ["star98", "lbw", "scotvote", "cpunish", "invgauss"].contains(&case) {
            check("deviance", &[s.deviance]);
            check("aic_R", &[s.aic]);
        }
        if ["star98", "lbw", "cpunish"].contains(&case) {
            check("llf", &[s.log_likelihood]);
        }
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}

/// NIST's certified values, which rational arithmetic on the data reproduces to every digit.
const LONGLEY: [(f64, f64); 7] = [
    (-3482258.63459582, 890420.383607373),
    (15.0618722713733, 84.9149257747669),
    (-0.358191792925910e-1, 0.334910077722432e-1),
    (-2.02022980381683, 0.488399681651699),
    (-1.03322686717359, 0.214274163161675),
    (-0.511041056535807e-1, 0.226073200069370),
    (1829.15146461355, 455.478499142212),
];

#[test]
fn longley_has_all_certified_digits() {
    let d = read("longley.csv");
    let mut design = d.design(&["GNPDEFL", "GNP", "UNEMP", "ARMED", "POP", "YEAR"]);
    design.rotate_right(16);
    let found = fit(&Glm::new(Family::Gaussian, Link::Identity, 7, design, d.column("TOTEMP")).unwrap());
    let digits = |a: f64, b: f64| -((a - b).abs() / b.abs()).max(1e-16).log10();
    let pairs = found.coefficients.iter().zip(&found.statistics.standard_errors).zip(LONGLEY);
    let (mut of_b, mut of_e) = (16.0f64, 16.0f64);
    for ((b, e), (exact, error)) in pairs {
        (of_b, of_e) = (of_b.min(digits(*b, exact)), of_e.min(digits(*e, error)));
    }
    println!("Longley: {of_b:.1} digits of the coefficients, {of_e:.1} of the standard errors, {:?}", found.polished);
    assert!(of_b > 14.0 && of_e > 11.0, "{of_b} {of_e}");
    assert!(close(found.statistics.deviance, 836424.055505915, 1e-12) && found.converged());
    assert!(close(found.statistics.dispersion.sqrt(), 304.854073561965, 1e-12));
}

/// Half the deviance over dual numbers, written from the densities.
#[derive(Clone)]
struct Dual(Glm);

impl DualFunction for Dual {
    fn dim(&self) -> usize {
        self.0.data().n_columns
    }
    fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D {
        let d = self.0.data();
        let mut sum = D::from(0.0);
        for i in 0..d.n_rows() {
            let eta = (0..x.len()).fold(D::from(d.offset[i]), |s, j| s + x[j] * d.column(j)[i]);
            let mu = match d.link {
                Link::Identity => eta,
                Link::Log => eta.exp(),
                Link::Logit => ((-eta).exp() + 1.0).recip(),
                Link::Cloglog => -(-eta.exp()).exp() + 1.0,
                Link::Cauchit => eta.atan() * std::f64::consts::FRAC_1_PI + 0.5,
                Link::Inverse => eta.recip(),
                Link::InverseSquared => eta.sqrt().recip(),
                Link::Sqrt => eta * eta,
                Link::Power(e) => eta.powf(1.0 / e),
                _ => panic!("no dual numbers for {}", d.link),
            };
            let y = d.response[i];
            let loss = match d.family {
                Family::Gaussian => (mu - y) * (mu - y) * 0.5,
                Family::Binomial => -(mu.ln() * y) - (-mu + 1.0).ln() * (1.0 - y),
                Family::Poisson => mu - mu.ln() * y,
                Family::Gamma => mu.ln() + mu.recip() * y,
                Family::InverseGaussian => (mu - y) * (mu - y) / (mu * mu) * (0.5 / y),
                Family::NegativeBinomial { alpha } => (mu * alpha + 1.0).ln() * (y + 1.0 / alpha) - mu.ln() * y,
                other => panic!("{other}"),
            };
            sum += loss * d.total_weight(i);
        }
        sum
    }
}

const LINKS: [Link; 8] =
    [Link::Identity, Link::Log, Link::Logit, Link::Cloglog, Link::Cauchit, Link::Inverse, Link::Sqrt, Link::Power(-1.5)];

/// Twelve rows, a constant and two columns, with offsets and weights; predictors between 0.2 and 0.7 at [`BETA`].
fn small(family: Family, link: Link, response: Option<Vec<f64>>) -> Glm {
    let wave = |k: usize, c: f64| (k as f64 * c).sin();
    let design = [vec![1.0; 12], (0..12).map(|i| wave(i, 1.7)).collect(), (0..12).map(|i| wave(i, 0.6)).collect()].concat();
    let y = response.unwrap_or_else(|| (0..12).map(|i| 0.5 + 0.4 * wave(i, 2.9)).collect());
    let model = Glm::new(family, link, 3, design, y).unwrap();
    let model = model.with_offset((0..12).map(|i| 0.05 * wave(i, 4.1)).collect()).unwrap();
    model.with_weights((0..12).map(|i| 1.0 + (i % 3) as f64).collect()).unwrap()
}

const BETA: [f64; 3] = [0.45, 0.1, -0.08];
const FAMILIES: [Family; 6] = [
    Family::Gaussian,
    Family::Binomial,
    Family::Poisson,
    Family::Gamma,
    Family::InverseGaussian,
    Family::NegativeBinomial { alpha: 0.4 },
];

#[test]
fn gradient_observed_and_expected_information_equal_those_over_dual_numbers() {
    for family in FAMILIES {
        for link in LINKS {
            let link = if family == Family::InverseGaussian && link == Link::Inverse { Link::InverseSquared } else { link };
            let model = small(family, link, None);
            // Minus a predictor where the mean 1/η^… would leave (0, 1) of a probability.
            let beta = match (family, link) {
                (Family::Binomial, Link::Log) => vec![-0.8, 0.1, -0.08],
                (Family::Binomial, Link::Inverse | Link::Power(_)) => vec![1.6, 0.1, -0.08],
                _ => BETA.to_vec(),
            };
            let dual = AutoDiff::new(Dual(model.clone()));
            let (g, exact) = (model.gradient(&beta).unwrap(), dual.gradient(&beta).unwrap());
            assert!(
                g.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-11 * (1.0 + b.abs())),
                "{family} {link}: {g:?} {exact:?}"
            );
            let (h, exact) = (model.hessian(&beta).unwrap(), dual.hessian(&beta).unwrap());
            assert!(near(h.entries(), exact.as_slice(), 1e-10), "{family} {link}");

            // The Hessian is linear in y, so its expectation is the Hessian at y = μ.
            let means = model.pass(&beta).unwrap().predictor.iter().map(|eta| link.mean(*eta).value).collect();
            let expected = AutoDiff::new(Dual(small(family, link, Some(means)))).hessian(&beta).unwrap();
            let mut found = vec![0.0; 9];
            let counts = Default::default();
            let mut fisher = Fisher;
            let operator = fisher.at(At { problem: &model, x: &beta, rows: None, counts: &counts }).unwrap();
            write_dense(&*operator, &mut found).unwrap();
            assert!(near(&found, expected.as_slice(), 1e-10), "{family} {link}");
            let canonical = family.canonical_link() == link && !matches!(family, Family::NegativeBinomial { .. });
            assert_eq!(near(&found, h.entries(), 1e-12), canonical, "{family} {link}");
        }
    }
}

/// Minus the multinomial log-likelihood over dual numbers.
struct DualClasses(Multinomial);

impl DualFunction for DualClasses {
    fn dim(&self) -> usize {
        self.0.data().n_parameters()
    }
    fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D {
        let d = self.0.data();
        let mut sum = D::from(0.0);
        for i in 0..d.n_rows() {
            let predictor = |k: usize| (0..d.n_columns).fold(D::from(0.0), |s, j| s + x[k * d.n_columns + j] * d.column(j)[i]);
            let etas: Vec<D> = std::iter::once(D::from(0.0)).chain((0..d.n_classes - 1).map(predictor)).collect();
            let total = etas.iter().fold(D::from(0.0), |s, eta| s + eta.exp());
            sum += (total.ln() - etas[d.classes[i]]) * d.weights[i];
        }
        sum
    }
}

#[test]
fn multinomial_derivatives_equal_those_over_dual_numbers() {
    let design = [vec![1.0; 10], (0..10).map(|i| f64::from(i * i % 7) / 3.0 - 1.0).collect()].concat();
    let classes = (0..10).map(|i| i * 3 % 4).collect();
    let model = Multinomial::new(4, 2, design, classes).unwrap();
    let model = model.with_weights((0..10).map(|i| f64::from(i % 3) + 0.5).collect()).unwrap();
    let x = vec![0.3, -0.7, 1.1, 0.2, -0.4, 0.9];
    let dual = AutoDiff::new(DualClasses(model.clone()));
    assert!(close(model.cost(&x).unwrap(), dual.cost(&x).unwrap(), 1e-14));
    assert!(near(&model.gradient(&x).unwrap(), &dual.gradient(&x).unwrap(), 1e-13));
    assert!(near(model.hessian(&x).unwrap().entries(), dual.hessian(&x).unwrap().as_slice(), 1e-13));
    let (counts, mut found) = (Default::default(), vec![0.0; 36]);
    let mut fisher = Fisher;
    let operator = fisher.at(At { problem: &model, x: &x, rows: None, counts: &counts }).unwrap();
    write_dense(&*operator, &mut found).unwrap();
    assert_eq!(found, model.hessian(&x).unwrap().entries());
}

fn near(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let size = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * size)
}

#[test]
fn every_family_and_link_is_fitted_to_a_stationary_point_by_line_search_and_by_trust_region() {
    for family in FAMILIES {
        for link in
            [Link::Identity, Link::Log, Link::Logit, Link::Probit, Link::Cloglog, Link::Cauchit, Link::Inverse, Link::Sqrt]
        {
            let model = small(family, link, None);
            let found = fit(&model);
            assert!(found.converged(), "{family} {link}: {:?}", found.warnings);
            let g = model.gradient(&found.coefficients).unwrap();
            assert!(g.iter().all(|g| g.abs() < 1e-12), "{family} {link}: {g:?}");
            let start = model.start().unwrap();
            let mut solver = methods::fisher_scoring_trust_region();
            // Some of these likelihoods are flat: half a unit of the deviance over a range of a thousand.
            (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-10, 0.0);
            let run = Executor::new(model.clone(), solver).configure(|s| s.param(start).max_iters(200)).run().unwrap();
            let x = run.state.best_param.unwrap();
            let off = x.iter().zip(&found.coefficients).fold(0.0f64, |m, (a, b)| m.max((a - b).abs() / (1.0 + b.abs())));
            assert!(off < 1e-6, "{family} {link}: {off:e}, {}", run.solver.stop().unwrap());
            assert_eq!(run.solver.certificate().unwrap().verdict, PointKind::Minimum, "{family} {link}");
        }
    }
}

struct Costs(Arc<Mutex<Vec<f64>>>);
impl Observe<State<Vec<f64>>> for Costs {
    fn observe_iter(&mut self, state: &State<Vec<f64>>, _: &argmin::core::KV) -> Result<(), argmin::core::Error> {
        self.0.lock().unwrap().push(state.cost);
        Ok(())
    }
}

#[test]
fn scoring_never_accepts_a_higher_deviance() {
    // A far start in a logistic regression, where plain scoring overshoots and diverges.
    let x: Vec<f64> = (0..20).map(|i| i as f64 / 5.0 - 2.0).collect();
    let y = x.iter().enumerate().map(|(i, x)| f64::from(*x > 0.3) - f64::from(i == 14) + f64::from(i == 4)).collect();
    let model = Glm::new(Family::Binomial, Link::Logit, 2, [vec![1.0; 20], x].concat(), y).unwrap();
    let costs = Arc::new(Mutex::new(Vec::new()));
    let start = vec![-6.0, 9.0];
    let first = model.cost(&start).unwrap();
    let full = {
        let path = model.pass(&start).unwrap();
        let information = DMatrix::from_fn(2, 2, |a, b| {
            (0..20).map(|i| path.expected[i] * model.data().column(a)[i] * model.data().column(b)[i]).sum::<f64>()
        });
        let g = nalgebra::DVector::from_vec(model.gradient(&start).unwrap());
        let p = information.try_inverse().unwrap() * g;
        model.cost(&vec![start[0] - p[0], start[1] - p[1]]).unwrap()
    };
    assert!(full > 10.0 * first, "the full step must overshoot for this test: {full} {first}");
    let run = Executor::new(model.clone(), methods::fisher_scoring())
        .configure(|s| s.param(start).max_iters(200))
        .add_observer(Costs(costs.clone()), ObserverMode::Always)
        .run()
        .unwrap();
    let costs = costs.lock().unwrap();
    assert!(costs[0] < first && costs.windows(2).all(|w| w[1] <= w[0] * (1.0 + 1e-15)), "{costs:?}");
    assert!(run.solver.stop().unwrap().converged());
    let found = fit(&model);
    assert!(run.state.best_param.unwrap().iter().zip(&found.coefficients).all(|(a, b)| (a - b).abs() < 1e-7));
}

#[test]
fn covariances_equal_their_definitions() {
    let model = small(Family::Gamma, Link::Log, None);
    let of = |covariance| glm(&model, &GlmOptions { covariance, ..GlmOptions::default() }).unwrap().statistics;
    let found = fit(&model);
    let (d, pass) = (model.data(), model.pass(&found.coefficients).unwrap());
    let x = DMatrix::from_column_slice(12, 3, &d.design);
    let gram = |w: &[f64]| x.transpose() * DMatrix::from_diagonal(&nalgebra::DVector::from_row_slice(w)) * &x;
    let bread = gram(&pass.expected).try_inverse().unwrap();
    let squares: Vec<f64> = pass.scores.iter().map(|s| s * s).collect();
    let phi = found.statistics.dispersion;
    let sandwich = &bread * gram(&squares) * &bread;
    for (kind, exact) in [
        (GlmCovariance::Expected, &bread * phi),
        (GlmCovariance::Observed, gram(&pass.observed).try_inverse().unwrap() * phi),
        (GlmCovariance::Sandwich, sandwich.clone()),
        (GlmCovariance::SandwichHc1, sandwich * (12.0 / 9.0)),
    ] {
        assert!(near(&of(kind).covariance, exact.as_slice(), 1e-12), "{kind:?}");
    }
    let pearson: f64 = found.residuals(ResidualKind::Pearson).unwrap().iter().map(|r| r * r).sum();
    let deviance: f64 = found.residuals(ResidualKind::Deviance).unwrap().iter().map(|r| r * r).sum();
    assert!(close(pearson, found.statistics.pearson, 1e-13) && close(deviance, found.statistics.deviance, 1e-13));
    let leverages = found.leverages().unwrap();
    assert!((leverages.iter().sum::<f64>() - 3.0).abs() < 1e-13);
    let direct = |i: usize| pass.expected[i] * (x.row(i) * &bread * x.row(i).transpose())[(0, 0)];
    assert!((0..12).all(|i| (leverages[i] - direct(i)).abs() < 1e-13));
    // One prediction by hand.
    let row = [1.0, 0.3, -0.2];
    let p = found.predict(&row, None, 0.9).unwrap()[0];
    let eta: f64 = row.iter().zip(&found.coefficients).map(|(a, b)| a * b).sum();
    let r = nalgebra::RowDVector::from_row_slice(&row);
    let error = (phi * (&r * &bread * r.transpose())[(0, 0)]).sqrt();
    let t = found.statistics.quantile(0.9).unwrap();
    assert!(close(t, 1.833112932656236, 1e-9));
    for (value, exact) in [
        (p.predictor, eta),
        (p.predictor_error, error),
        (p.mean, eta.exp()),
        (p.mean_error, eta.exp() * error),
        (p.interval.lower, (eta - t * error).exp()),
        (p.interval.upper, (eta + t * error).exp()),
    ] {
        assert!(close(value, exact, 1e-12), "{value} {exact}");
    }
}

#[test]
fn frequencies_are_repeated_rows_and_rows_without_weight_are_not_there() {
    let columns = [vec![1.0; 5], vec![0.0, 1.0, 2.0, 3.0, 5.0]];
    let y = [2.0, 1.0, 4.0, 3.0, 9.0];
    let times = [1, 3, 2, 0, 1];
    let repeat = |v: &[f64]| -> Vec<f64> { v.iter().zip(times).flat_map(|(v, t)| vec![*v; t]).collect() };
    for family in [Family::Poisson, Family::Gamma, Family::Gaussian, Family::InverseGaussian] {
        let counted = Glm::new(family, Link::Log, 2, columns.concat(), y.to_vec()).unwrap();
        let counted = fit(&counted.with_frequencies(times.map(|t| t as f64).to_vec()).unwrap());
        let long = Glm::new(family, Link::Log, 2, [repeat(&columns[0]), repeat(&columns[1])].concat(), repeat(&y)).unwrap();
        let long = fit(&long);
        let (a, b) = (&counted.statistics, &long.statistics);
        for (x, y) in [
            (a.deviance, b.deviance),
            (a.null_deviance, b.null_deviance),
            (a.pearson, b.pearson),
            (a.aic, b.aic),
            (a.bic, b.bic),
            (a.degrees_of_freedom, b.degrees_of_freedom),
            (counted.coefficients[1], long.coefficients[1]),
            (a.standard_errors[1], b.standard_errors[1]),
        ] {
            assert!(close(x, y, 1e-12), "{family}: {x} {y}");
        }
    }
}
