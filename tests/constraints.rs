//! Fits within bounds, with fixed and tied parameters: against the substituted model, and on NIST's regressions.
#![cfg(all(feature = "autodiff", feature = "fit", feature = "expression", feature = "dataset"))]

use curvkit::dataset::{Table, nist};
use curvkit::fit::{Constraints, Fit, FitOptions, Formula, Method, MultiStart, Role, fit, fit_robust, profile_intervals};
use curvkit::problem::{Bounds, Expression, LeastSquares, ResidualHessian, Residuals, RobustLoss, Side, Tie, Ties};
use curvkit::testbed::nist::regression;
use curvkit::{Error, Result};

const INF: f64 = f64::INFINITY;
const DATA: &str = "x,y\n0,1.1\n1,1.9\n2,2.4\n3,2.65\n4,2.9\n6,2.85\n8,3.05\n";
const MODEL: &str = "y = a - b*exp(-c*x)";

fn problem(model: &str, parameters: &[&str]) -> LeastSquares<Formula> {
    let names: Vec<String> = parameters.iter().map(|p| p.to_string()).collect();
    LeastSquares::new(Formula::new(model, &names, &Table::parse("t.csv", DATA).unwrap(), None, None).unwrap())
}

fn options(bounds: Option<Bounds>, ties: Option<Ties>) -> FitOptions {
    FitOptions { constraints: Constraints { bounds, ties }, ..FitOptions::default() }
}

fn bounded(lower: &[f64], upper: &[f64]) -> FitOptions {
    options(Some(Bounds::new(lower.to_vec(), upper.to_vec()).unwrap()), None)
}

fn tied(rules: Vec<Tie>) -> FitOptions {
    options(None, Some(Ties::new(rules).unwrap()))
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

/// Residuals that may not be evaluated outside their bounds.
struct Fenced<R> {
    inner: R,
    bounds: Bounds,
}

impl<R: Residuals> Residuals for Fenced<R> {
    fn n(&self) -> usize {
        self.inner.n()
    }
    fn m(&self) -> usize {
        self.inner.m()
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "residuals outside the bounds at {x:?}");
        self.inner.residuals(x, out)
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "Jacobian outside the bounds at {x:?}");
        self.inner.jacobian(x, out)
    }
}

impl<R: ResidualHessian> ResidualHessian for Fenced<R> {
    fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        assert!(self.bounds.contains(x), "Hessian outside the bounds at {x:?}");
        self.inner.weighted_hessian(x, weights, out)
    }
}

/// A box around both starts and the answer: ten times as far, of the same sign where they share it.
fn around(data: &nist::NistDataset) -> Bounds {
    let ends = |j: usize| {
        let values = [data.starts[0][j], data.starts[1][j], data.certified[j]];
        let (low, high) = values.iter().fold((INF, -INF), |(l, h), v| (l.min(*v), h.max(*v)));
        let widest = 10.0 * low.abs().max(high.abs());
        match () {
            () if low > 0.0 => (low / 10.0, widest),
            () if high < 0.0 => (-widest, high / 10.0),
            () => (-widest, widest),
        }
    };
    let (lower, upper) = (0..data.n_parameters()).map(ends).unzip();
    Bounds::new(lower, upper).unwrap()
}

#[test]
fn regressions_within_a_box_have_their_certified_answers_and_never_leave_it() {
    let mut met = 0;
    for name in nist::names() {
        let residuals = regression(name).unwrap();
        let data = residuals.0.data().clone();
        let bounds = around(&data);
        let problem = LeastSquares::new(Fenced { inner: residuals, bounds: bounds.clone() });
        for (k, start) in data.starts.iter().enumerate() {
            let found = fit(&problem, start, &options(Some(bounds.clone()), None)).unwrap();
            let right = found.parameters.iter().zip(&data.certified).all(|(x, c)| close(*x, *c, 1e-10));
            println!("{name:9} start {}: {} {:?} {}", k + 1, right, found.active, found.iterations);
            // What is said to be a minimum is one: the certified, or one on the box with multipliers that hold it there.
            let held = !found.active.is_empty() && found.active.iter().all(|a| a.multiplier > 0.0);
            assert!(!found.converged() || (right && found.active.is_empty()) || held, "{name} start {}", k + 1);
            met += u32::from(right && found.converged());
        }
    }
    println!("{met} of 54");
    // MGH17 runs onto the box from its first start.
    assert!(met >= 53, "{met}");
}

/// With one parameter bounded away from its best value, the fit is that with the parameter fixed at the bound.
#[test]
fn active_bound_gives_the_fit_with_that_parameter_fixed() {
    for name in ["Misra1a", "Chwirut1", "DanWood", "Kirby2", "Rat42", "Rat43", "Roszman1", "Gauss1", "Misra1c", "Thurber"] {
        let residuals = regression(name).unwrap();
        let data = residuals.0.data().clone();
        let (n, start) = (data.n_parameters(), &data.starts[1]);
        for side in [Side::Lower, Side::Upper] {
            let factor = if (side == Side::Lower) == (data.certified[0] > 0.0) { 1.02 } else { 0.98 };
            let end = factor * data.certified[0];
            let (mut lower, mut upper) = (vec![-INF; n], vec![INF; n]);
            if side == Side::Lower {
                lower[0] = end
            } else {
                upper[0] = end
            }
            let bounds = Bounds::new(lower, upper).unwrap();
            let problem = LeastSquares::new(Fenced { inner: regression(name).unwrap(), bounds: bounds.clone() });
            let found = fit(&problem, start, &options(Some(bounds), None)).unwrap();
            let fixed = fit(&problem, start, &options(None, Some(Ties::none(n).holding(0, end).unwrap()))).unwrap();
            println!("{name} {side:?}: {} and {} iterations, {:?}", found.iterations, fixed.iterations, found.active);
            assert!(found.converged() && fixed.converged(), "{name} {side:?}");
            assert_eq!((found.parameters[0], found.active.len(), found.active[0].side), (end, 1, side), "{name}");
            assert!(found.active[0].multiplier > 0.0);
            for j in 1..n {
                assert!(close(found.parameters[j], fixed.parameters[j], 1e-9), "{name} {j}");
                assert!(close(found.statistics.standard_errors[j], fixed.statistics.standard_errors[j], 1e-6), "{name} {j}");
            }
            assert!(found.statistics.standard_errors[0].is_nan() && fixed.roles[0] == Role::Fixed);
            assert_eq!(found.statistics.degrees_of_freedom, data.n_observations() - (n - 1));
        }
    }
}

#[test]
fn every_method_keeps_the_bounds_and_finds_the_same_fit() {
    let bounds = Bounds::new(vec![0.0; 3], vec![2.8, 1.5, INF]).unwrap();
    let formula = problem(MODEL, &["a", "b", "c"]);
    let fenced = LeastSquares::new(Fenced { inner: formula.shared_residuals(), bounds: bounds.clone() });
    let mut answers: Vec<Fit> = Vec::new();
    for (_, method) in Method::NAMES {
        let options = FitOptions { method, ..options(Some(bounds.clone()), None) };
        let found = fit(&fenced, &[1.0, 1.0, 1.0], &options).unwrap();
        assert!(found.converged() && found.roles == [Role::AtUpper, Role::AtUpper, Role::Free], "{method:?} {:?}", found.roles);
        assert!(found.active.iter().all(|a| a.multiplier > 0.0));
        answers.push(found);
    }
    assert!(answers.iter().all(|f| close(f.parameters[2], answers[0].parameters[2], 1e-14)));
}

#[test]
fn fixed_and_tied_parameters_give_the_fit_of_the_substituted_model() {
    let whole = problem(MODEL, &["a", "b", "c"]);
    let substituted = fit(&problem("y = a - 2*exp(-c*x)", &["a", "c"]), &[3.0, 0.5], &FitOptions::default()).unwrap();
    let fixed = fit(&whole, &[3.0, 99.0, 0.5], &tied(vec![Tie::Free, Tie::Fixed(2.0), Tie::Free])).unwrap();
    assert!(fixed.converged() && fixed.roles == [Role::Free, Role::Fixed, Role::Free] && fixed.parameters[1] == 2.0);
    let (s, t) = (&substituted.statistics, &fixed.statistics);
    for (j, k) in [(0, 0), (1, 2)] {
        assert!(close(fixed.parameters[k], substituted.parameters[j], 1e-14));
        assert!(close(t.standard_errors[k], s.standard_errors[j], 1e-12));
    }
    assert!(t.standard_errors[1].is_nan() && t.degrees_of_freedom == s.degrees_of_freedom);
    // What is known exactly adds nothing to the error of a prediction.
    assert!(close(t.prediction_error(&[1.0, -0.3, 0.2], false), s.prediction_error(&[1.0, 0.2], false), 1e-12));

    let substituted = fit(&problem("y = a - (a - 1)*exp(-c*x)", &["a", "c"]), &[3.0, 0.5], &FitOptions::default()).unwrap();
    let affine = Tie::Affine { offset: -1.0, terms: vec![(0, 1.0)] };
    let found = fit(&whole, &[3.0, 0.0, 0.5], &tied(vec![Tie::Free, affine, Tie::Free])).unwrap();
    assert!(found.converged() && found.roles[1] == Role::Tied && found.parameters[1] == found.parameters[0] - 1.0);
    assert!(close(found.parameters[2], substituted.parameters[1], 1e-13));
    assert!(close(found.statistics.standard_errors[1], substituted.statistics.standard_errors[0], 1e-12));

    // A formula: b = a/√c has the error √(∇ᵀ C ∇).
    let formula = Expression::parse_over("a/sqrt(c)", &["a", "b", "c"]).unwrap();
    let found = fit(&whole, &[3.0, 0.0, 0.5], &tied(vec![Tie::Free, Tie::Expression(formula), Tie::Free])).unwrap();
    let substituted = fit(&problem("y = a - a/sqrt(c)*exp(-c*x)", &["a", "c"]), &[3.0, 0.5], &FitOptions::default()).unwrap();
    let (a, c) = (found.parameters[0], found.parameters[2]);
    let gradient = [1.0 / c.sqrt(), -0.5 * a / c.powf(1.5)];
    assert!(found.converged() && close(a, substituted.parameters[0], 1e-13) && close(c, substituted.parameters[1], 1e-13));
    assert!(close(found.statistics.standard_errors[1], substituted.statistics.prediction_error(&gradient, false), 1e-10));
    assert!(close(found.finish.curvature[0], substituted.finish.curvature[0], 1e-9));
}

#[test]
fn bound_of_a_tied_parameter_holds_the_one_it_is_tied_to() {
    let whole = problem(MODEL, &["a", "b", "c"]);
    let affine = Tie::Affine { offset: -1.0, terms: vec![(0, 1.0)] };
    let mut options = tied(vec![Tie::Free, affine.clone(), Tie::Free]);
    options.constraints.bounds = Some(Bounds::new(vec![-INF; 3], vec![INF, 1.5, INF]).unwrap());
    let found = fit(&whole, &[3.0, 0.0, 0.5], &options).unwrap();
    assert!(found.parameters[..2] == [2.5, 1.5] && found.roles[0] == Role::AtUpper && found.converged(), "{found:?}");
    // Not through a formula or two parameters, and not against a fixed value.
    let two = Tie::Affine { offset: 0.0, terms: vec![(0, 1.0), (2, 1.0)] };
    options.constraints.ties = Some(Ties::new(vec![Tie::Free, two, Tie::Free]).unwrap());
    assert!(matches!(fit(&whole, &[3.0, 0.0, 0.5], &options), Err(Error::Unsupported { .. })));
    options.constraints.ties = Some(Ties::new(vec![Tie::Free, Tie::Fixed(2.0), Tie::Free]).unwrap());
    assert!(matches!(fit(&whole, &[3.0, 0.0, 0.5], &options), Err(Error::Config { .. })));
    options.constraints = Constraints { bounds: Some(Bounds::none(2)), ties: None };
    assert!(matches!(fit(&whole, &[3.0, 0.0, 0.5], &options), Err(Error::Dimension { .. })));
}

#[test]
fn starts_outside_are_moved_and_all_parameters_may_be_held() {
    let whole = problem(MODEL, &["a", "b", "c"]);
    let plain = fit(&whole, &[3.0, 2.0, 0.5], &FitOptions::default()).unwrap();
    assert!(plain.roles == [Role::Free; 3] && plain.active.is_empty() && plain.moved.is_empty());
    let found = fit(&whole, &[9.0, 2.0, 0.5], &bounded(&[0.0; 3], &[5.0; 3])).unwrap();
    assert_eq!(found.moved, [0]);
    assert!(found.parameters.iter().zip(&plain.parameters).all(|(a, b)| close(*a, *b, 1e-13)));
    let held = tied(vec![Tie::Fixed(3.0), Tie::Fixed(2.0), Tie::Fixed(0.5)]);
    let found = fit(&whole, &[0.0; 3], &held).unwrap();
    assert_eq!((found.parameters, found.statistics.degrees_of_freedom), (vec![3.0, 2.0, 0.5], 7));
    assert!(found.statistics.standard_errors.iter().all(|e| e.is_nan()));
    // At a corner every parameter is at a bound.
    let found = fit(&whole, &[1.0; 3], &bounded(&[0.0, 0.0, 1.0], &[2.0, 0.5, 2.0])).unwrap();
    assert!(found.roles.iter().all(|r| *r != Role::Free) && found.converged(), "{:?}", found.roles);
}

#[test]
fn profile_intervals_end_at_bounds_and_pass_through_ties() {
    let whole = problem(MODEL, &["a", "b", "c"]);
    let free = fit(&whole, &[3.0, 2.0, 0.5], &FitOptions::default()).unwrap();
    let wide = profile_intervals(&whole, &free, 0.95, &FitOptions::default()).unwrap().intervals;
    // An upper bound of c inside its interval cuts it, and shortens those of the others.
    let end = 0.5 * (free.parameters[2] + wide[2].upper);
    let options = bounded(&[0.0; 3], &[INF, INF, end]);
    let found = fit(&whole, &[3.0, 2.0, 0.5], &options).unwrap();
    let cut = profile_intervals(&whole, &found, 0.95, &options).unwrap().intervals;
    assert!(cut[2].upper == end && close(cut[2].lower, wide[2].lower, 1e-6), "{cut:?} {wide:?}");
    assert!(cut[0].lower > wide[0].lower && close(cut[0].upper, wide[0].upper, 1e-6));
    // From a fit at its bound inwards.
    let low = 0.9 * free.parameters[2];
    let options = bounded(&[0.0; 3], &[INF, INF, low]);
    let found = fit(&whole, &[3.0, 2.0, 0.5], &options).unwrap();
    let at = profile_intervals(&whole, &found, 0.95, &options).unwrap().intervals[2];
    assert!(found.roles[2] == Role::AtUpper && at.upper == low && at.lower < low && at.lower > 0.0, "{at:?}");
    // b = −2 a + 9.
    let options = tied(vec![Tie::Free, Tie::Affine { offset: 9.0, terms: vec![(0, -2.0)] }, Tie::Free]);
    let found = fit(&whole, &[3.0, 2.0, 0.5], &options).unwrap();
    let both = profile_intervals(&whole, &found, 0.95, &options).unwrap().intervals;
    assert_eq!((both[1].lower, both[1].upper), (9.0 - 2.0 * both[0].upper, 9.0 - 2.0 * both[0].lower));
    let options = tied(vec![Tie::Free, Tie::Fixed(2.0), Tie::Free]);
    let found = fit(&whole, &[3.0, 2.0, 0.5], &options).unwrap();
    assert!(profile_intervals(&whole, &found, 0.95, &options).unwrap().intervals[1].lower.is_nan());
}

#[test]
fn many_starts_and_robust_fits_keep_the_bounds() {
    let bounds = Bounds::new(vec![0.0, 0.0, 0.1], vec![2.9, 4.0, 3.0]).unwrap();
    let formula = problem(MODEL, &["a", "b", "c"]);
    let fenced = || Fenced { inner: formula.shared_residuals(), bounds: bounds.clone() };
    let options = options(Some(bounds.clone()), None);
    let single = fit(&LeastSquares::new(fenced()), &[1.0, 1.0, 1.0], &options).unwrap();
    let search = MultiStart { starts: 20, ..MultiStart::default() };
    let found = search.fit(&LeastSquares::new(fenced()), &[1.0, 1.0, 1.0], &options).unwrap();
    assert!(
        single.roles[0] == Role::AtUpper && close(found.best.cost, single.cost, 1e-12),
        "{} {}",
        found.best.cost,
        single.cost
    );
    let robust = fit_robust(fenced(), &[1.0, 1.0, 1.0], RobustLoss::Huber, Some(0.1), &options).unwrap();
    assert!(bounds.contains(&robust.fit.parameters) && robust.fit.roles[0] == Role::AtUpper && robust.fit.converged());
    assert!(robust.fit.statistics.standard_errors[0].is_nan() && robust.fit.statistics.standard_errors[1] > 0.0);
}
