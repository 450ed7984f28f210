//! Curvature matrices of models against reference matrices computed from the definitions by automatic differentiation
//! (tests/fixtures/curvature), every entry, and against dense references by dual numbers on random models.

#[path = "common/fixtures.rs"]
mod fixtures;

use fixtures::{Fixture, fixtures};
use curvkit::curvature::{EmpiricalFisher, Fisher, GaussNewton, MonteCarloFisher, OuterProducts};
use curvkit::linalg::SymmetricOperator;
use curvkit::problem::{HessianProduct, Supervised};

/// The matrix of a product, column by column.
fn columns(n: usize, mut product: impl FnMut(&[f64], &mut [f64])) -> Vec<f64> {
    let mut matrix = vec![0.0; n * n];
    let mut unit = vec![0.0; n];
    for j in 0..n {
        unit[j] = 1.0;
        product(&unit, &mut matrix[j * n..(j + 1) * n]);
        unit[j] = 0.0;
    }
    matrix
}

fn dense(operator: &dyn SymmetricOperator) -> Vec<f64> {
    columns(operator.dim(), |v, out| operator.apply(v, out).expect("product"))
}

/// Greatest difference relative to the largest entry.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

fn assert_close(what: &str, name: &str, found: &[f64], expected: &[f64]) {
    let e = difference(found, expected);
    println!("{name:24} {what:18} {e:.1e}");
    assert!(e <= 1e-12, "{name}: {what} differs by {e:e}");
}

fn products(source: &dyn OuterProducts, problem: &Supervised, theta: &[f64]) -> Vec<f64> {
    dense(&*source.products(problem.evaluate(theta).expect("evaluation")).expect("products"))
}

#[test]
fn values_and_gradients_of_models_equal_the_reference() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let at = problem.evaluate(&theta).expect("evaluation");
        assert_close("outputs", &name, at.forward().outputs(), &reference.vector("outputs"));
        assert_close("loss", &name, &[at.cost()], &[reference.number("loss_value")]);
        let mut gradient = vec![0.0; theta.len()];
        at.gradient(&mut gradient).expect("gradient");
        assert_close("gradient", &name, &gradient, &reference.vector("gradient"));
        let mut samples = vec![0.0; theta.len() * at.n()];
        let backward = at.backward().expect("backward pass");
        for (i, g) in samples.chunks_exact_mut(theta.len()).enumerate() {
            backward.sample_gradient(i, g).expect("sample gradient");
        }
        assert_close("sample gradients", &name, &samples, &reference.vector("sample_gradients"));
    }
}

#[test]
fn products_of_every_curvature_equal_the_reference() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let hessian = columns(theta.len(), |v, out| problem.hessian_product(&theta, v, out).expect("product"));
        assert_close("Hessian", &name, &hessian, &reference.vector("hessian"));
        assert_close("GGN", &name, &products(&GaussNewton, &problem, &theta), &reference.vector("ggn"));
        let empirical = products(&EmpiricalFisher, &problem, &theta);
        assert_close("empirical Fisher", &name, &empirical, &reference.vector("empirical_fisher"));
        let fisher = if reference.has("fisher") { "fisher" } else { "ggn" };
        assert_close("Fisher", &name, &products(&Fisher, &problem, &theta), &reference.vector(fisher));
    }
}

#[test]
fn residual_part_is_the_hessian_less_the_gauss_newton_matrix() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let at = problem.evaluate(&theta).expect("evaluation");
        let part = columns(theta.len(), |v, out| at.residual_product(v, out).expect("product"));
        let n = theta.len();
        let (hessian, ggn) = (reference.vector("hessian"), reference.vector("ggn"));
        let regularizer = |k: usize| if k.is_multiple_of(n + 1) { at.l2() } else { 0.0 };
        let expected: Vec<f64> = (0..n * n).map(|k| hessian[k] - ggn[k] - regularizer(k)).collect();
        let largest = hessian.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let worst = part.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest;
        assert!(worst <= 1e-12, "{name}: {worst:e}");
    }
}

#[test]
fn monte_carlo_fisher_is_the_fisher_matrix_within_its_error() {
    for Fixture { name, problem, theta, .. } in fixtures() {
        let exact = products(&Fisher, &problem, &theta);
        let samples = 20_000;
        let drawn = products(&MonteCarloFisher { samples, seed: 3 }, &problem, &theta);
        let norm = |m: &[f64]| m.iter().map(|v| v * v).sum::<f64>().sqrt();
        let apart: Vec<f64> = drawn.iter().zip(&exact).map(|(a, b)| a - b).collect();
        let error = norm(&apart) / norm(&exact);
        println!("{name:24} Monte-Carlo Fisher {error:.1e}");
        // Each draw is one of n independent ones with a relative deviation of order 1 to 3.
        assert!(error < 4.0 / (samples as f64).sqrt(), "{name}: {error:e}");
        assert!(error > 0.0);
    }
}
