//! Variable projection on NIST's separable regressions: the same answers from fewer iterations.
#![cfg(all(feature = "autodiff", feature = "fit"))]

use curvkit::Error;
use curvkit::fit::{Constraints, FitOptions, Role, fit, fit_separable};
use curvkit::problem::{Bounds, LeastSquares, Ties};
use curvkit::testbed::nist::regression;

/// Names, and the parameters that enter linearly, from zero.
const SEPARABLE: [(&str, &[usize]); 17] = [
    ("Misra1a", &[0]),
    ("Misra1b", &[0]),
    ("DanWood", &[0]),
    ("Nelson", &[0, 1]),
    ("BoxBOD", &[0]),
    ("MGH17", &[0, 1, 2]),
    ("Lanczos1", &[0, 2, 4]),
    ("Lanczos2", &[0, 2, 4]),
    ("Lanczos3", &[0, 2, 4]),
    ("Gauss1", &[0, 2, 5]),
    ("Gauss2", &[0, 2, 5]),
    ("Gauss3", &[0, 2, 5]),
    ("Kirby2", &[0, 1, 2]),
    ("Hahn1", &[0, 1, 2, 3]),
    ("Thurber", &[0, 1, 2, 3]),
    ("Roszman1", &[0, 1]),
    ("ENSO", &[0, 1, 2, 4, 5, 7, 8]),
];

fn digits(found: &[f64], certified: &[f64]) -> f64 {
    let one = |(x, c): (&f64, &f64)| -((x - c).abs() / c.abs()).max(1e-11).log10();
    found.iter().zip(certified).map(one).fold(11.0, f64::min)
}

#[test]
fn separable_regressions_have_the_certified_answers_from_fewer_iterations() {
    let (mut all, mut projected, mut costs) = (0, 0, [0, 0]);
    for (name, linear) in SEPARABLE {
        let problem = LeastSquares::new(regression(name).unwrap());
        let data = problem.residuals().0.data();
        for (k, start) in data.starts.iter().enumerate() {
            let plain = fit(&problem, start, &FitOptions::default()).unwrap();
            let mut found = fit_separable(&problem, linear, start, &FitOptions::default()).unwrap();
            if name == "MGH17" && found.parameters[3] > found.parameters[4] {
                // Its two exponentials have no order.
                for values in [&mut found.parameters, &mut found.statistics.standard_errors] {
                    values.swap(1, 2);
                    values.swap(3, 4);
                }
            }
            let d = digits(&found.parameters, &data.certified);
            println!(
                "{name:9} start {}: {:4} -> {:3} iterations, {:5} -> {:3} costs, {d:4.1} digits",
                k + 1,
                plain.iterations,
                found.iterations,
                plain.counts.cost,
                found.counts.cost
            );
            assert!(d >= 10.0 && found.converged(), "{name} start {}: {d}", k + 1);
            if name != "Lanczos1" {
                assert!(digits(&found.statistics.standard_errors, &data.standard_deviations) >= 6.0, "{name}");
            }
            (all, projected) = (all + plain.iterations, projected + found.iterations);
            costs = [costs[0] + plain.counts.cost, costs[1] + found.counts.cost];
        }
    }
    println!("{all} -> {projected} iterations, {} -> {} costs", costs[0], costs[1]);
    assert!(projected < all && costs[1] < costs[0], "{projected} {all} {costs:?}");
}

#[test]
fn bounds_of_nonlinear_parameters_are_kept_and_others_are_refused() {
    let problem = LeastSquares::new(regression("Misra1a").unwrap());
    let data = problem.residuals().0.data();
    let within = |bounds, ties| FitOptions { constraints: Constraints { bounds, ties }, ..FitOptions::default() };
    let inf = f64::INFINITY;
    // The certified b2 is 5.5e-4.
    let bounds = Bounds::new(vec![-inf, 6e-4], vec![inf, inf]).unwrap();
    let options = within(Some(bounds), None);
    let found = fit_separable(&problem, &[0], &data.starts[1], &options).unwrap();
    let plain = fit(&problem, &data.starts[1], &options).unwrap();
    assert_eq!((found.parameters[1], found.roles[1], found.moved.as_slice()), (6e-4, Role::AtLower, &[1][..]));
    assert!((found.parameters[0] / plain.parameters[0] - 1.0).abs() < 1e-13 && found.converged() && plain.converged());
    let on_linear = Bounds::new(vec![0.0, -inf], vec![inf, inf]).unwrap();
    for options in [within(Some(on_linear), None), within(None, Some(Ties::none(2)))] {
        let refused = fit_separable(&problem, &[0], &data.starts[0], &options);
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
    }
    // b2 enters through an exponential.
    assert!(matches!(fit_separable(&problem, &[1], &data.starts[0], &FitOptions::default()), Err(Error::Unsupported { .. })));
}
