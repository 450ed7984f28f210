//! Generalized linear models against the printed results of R and Stata, exact rational arithmetic, dual numbers, and closed
//! forms.
#![cfg(all(feature = "fit", feature = "autodiff"))]

#[path = "common/glm.rs"]
mod support;

use argmin::core::{CostFunction, Executor, Gradient, Hessian};
use curvkit::curvature::{Curvature, Fisher};
use curvkit::error::Error;
use curvkit::fit::glm::ResidualKind;
use curvkit::fit::{GlmCovariance, GlmFit, GlmOptions, GlmWarning, glm};
use curvkit::linalg::operator::write_dense;
use curvkit::problem::{At, AutoDiff, DualFunction, DualNum, Family, Glm, Link};
use curvkit::second_order::methods;
use nalgebra::DMatrix;
use support::{differences, printed, read, reference_model};

fn fit(model: &Glm) -> GlmFit {
    glm(model, &GlmOptions::default()).unwrap()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs()
}

#[test]
fn results_equal_those_of_r_and_stata_to_every_printed_digit() {
    let mut off = Vec::new();
    for case in [
        "star98", "lbw", "scotvote", "cancerlog", "canceridentity", "cpunish", "cpunish_offset", "invgauss", "invgausslog",
        "invgaussidentity", "committee",
    ] {
        let found = fit(&reference_model(case));
        let s = &found.statistics;
        assert!(found.converged() && found.warnings.is_empty(), "{case}: {:?} {:?}", found.warnings, found.polished);
        // R's negative.binomial estimates a dispersion.
        let scale = s.pearson / s.degrees_of_freedom;
        let factor = if case == "committee" { scale.sqrt() } else { 1.0 };
        let errors: Vec<f64> = s.standard_errors.iter().map(|e| e * factor).collect();
        let mut check = |quantity: &str, values: &[f64]| {
            off.extend(differences(&format!("{case} {quantity}"), values, &printed(case, quantity)));
        };
        check("params", &found.coefficients);
        check("bse", &errors);
        check("null_deviance", &[s.null_deviance]);
        check("deviance", &[s.deviance]);
        check("pearson_chi2", &[s.pearson]);
        check("aic_R", &[s.aic]);
        if s.normal {
            check("llf", &[s.log_likelihood]);
        }
        if !s.normal || case == "committee" {
            check("scale", &[scale]);
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
