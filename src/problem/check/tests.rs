use super::*;
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};

/// `e^{x₀} ln x₁ + x₀ x₂³`, with errors to plant.
#[derive(Default)]
struct Problem {
    gradient_error: f64,
    hessian_error: [f64; 2],
    extra: usize,
}
impl CostFunction for Problem {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
        Ok(x[0].exp() * x[1].ln() + x[0] * x[2].powi(3))
    }
}
impl Gradient for Problem {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
        let e = x[0].exp();
        let mut g = vec![e * x[1].ln() + x[2].powi(3), e / x[1], 3.0 * x[0] * x[2] * x[2] * (1.0 + self.gradient_error)];
        g.resize(3 + self.extra, 0.0);
        Ok(g)
    }
}
impl Hessian for Problem {
    type Param = Vec<f64>;
    type Hessian = Vec<Vec<f64>>;
    fn hessian(&self, x: &Vec<f64>) -> std::result::Result<Vec<Vec<f64>>, ArgminError> {
        let (e, l) = (x[0].exp(), x[1].ln());
        let [upper, lower] = self.hessian_error;
        let (a, b) = (e / x[1], 3.0 * x[2] * x[2]);
        Ok(vec![
            vec![e * l, a, b * (1.0 + upper)],
            vec![a, -e / (x[1] * x[1]), 0.0],
            vec![b * (1.0 + lower), 0.0, 6.0 * x[0] * x[2]],
        ])
    }
}
impl HessianProduct for Problem {
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.hessian(x).map_err(user("hessian"))?.apply(v, out)
    }
}

fn point() -> Vec<f64> {
    vec![0.7, 2.5, -1.2]
}

#[test]
fn right_derivatives_pass_at_every_scale() {
    for x in [point(), vec![-3.0, 1e-4, 1e3], vec![5.0, 1e6, 1e-7], vec![1e-9, 0.3, 0.0]] {
        let report = derivatives(&Problem::default(), &x).unwrap();
        assert!(report.passed(), "{report}");
        assert!(report.checks.iter().all(|c| c.undetermined == 0 && c.compared > 0));
        assert!(hessian_product(&Problem::default(), &x).unwrap().passed());
    }
}

#[test]
fn planted_error_in_the_gradient_is_named() {
    for error in [1e-4, 0.3, f64::NAN] {
        let report = derivatives(&Problem { gradient_error: error, ..Default::default() }, &point()).unwrap();
        let check = &report.checks[0];
        assert!(!report.passed() && check.wrong == 1);
        assert_eq!((check.offenders[0].row, check.offenders[0].column), (2, None));
        assert!((check.offenders[0].expected - 3.0 * 0.7 * 1.44).abs() < 1e-8);
    }
    let mentioned = derivatives(&Problem { gradient_error: 0.3, ..Default::default() }, &point()).unwrap().to_string();
    assert!(mentioned.contains("gradient: WRONG") && mentioned.contains("[2]"), "{mentioned}");
}

#[test]
fn planted_error_in_one_triangle_is_named_and_breaks_symmetry() {
    let problem = Problem { hessian_error: [1e-3, 0.0], ..Default::default() };
    let report = derivatives(&problem, &point()).unwrap();
    let [g, h, s] = &report.checks[..] else { panic!("three checks expected") };
    assert!(g.passed() && h.wrong == 1 && s.wrong == 1);
    assert_eq!((h.offenders[0].row, h.offenders[0].column), (0, Some(2)));
    assert!((h.offenders[0].relative_error - 1e-3).abs() < 1e-5);
    assert_eq!((s.offenders[0].row, s.offenders[0].column), (2, Some(0)));
}

#[test]
fn planted_error_in_both_triangles_is_found_by_products() {
    let problem = Problem { hessian_error: [1e-3, 1e-3], ..Default::default() };
    assert_eq!(hessian(&problem, &point()).unwrap()[0].wrong, 2);
    assert_eq!(hessian_product(&problem, &point()).unwrap().wrong, 2);
}

#[test]
fn gradient_of_wrong_length_is_reported() {
    let report = derivatives(&Problem { extra: 2, ..Default::default() }, &point()).unwrap();
    assert_eq!(report.checks[0].wrong_length, Some((3, 5)));
    assert!(!report.passed() && report.to_string().contains("length 5 instead of 3"));
}

#[test]
fn function_that_is_not_finite_around_the_point_is_undetermined() {
    let report = gradient(&Problem::default(), &vec![0.1, 0.0, 1.0]).unwrap();
    assert_eq!((report.undetermined, report.compared), (3, 0));
    assert!(matches!(gradient(&Problem::default(), &vec![f64::NAN, 1.0, 1.0]), Err(Error::NonFinite { .. })));
}

/// `sin(10⁵ x)`: a step of `ε^{1/3}` spans a good part of a period.
struct Sharp(f64);
impl CostFunction for Sharp {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
        Ok((1e5 * x[0]).sin())
    }
}
impl Gradient for Sharp {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
        Ok(vec![1e5 * (1e5 * x[0]).cos() * (1.0 + self.0)])
    }
}

#[test]
fn sharply_bent_function_is_judged_with_a_smaller_step() {
    assert!(gradient(&Sharp(0.0), &vec![1e-6]).unwrap().passed());
    assert!(!gradient(&Sharp(1e-3), &vec![1e-6]).unwrap().passed());
}
