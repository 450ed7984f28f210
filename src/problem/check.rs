//! What a user wrote against finite differences: which entry of a gradient, Hessian or Hessian–vector product is off.
//!
//! Each derivative is compared with a central difference `D(h) = (f(x + h eᵢ) − f(x − h eᵢ)) / 2h`,
//! `h = ε^{1/3} max(1, |xᵢ|)`, extrapolated with `D(2h)` (Richardson). The difference of the two measures the truncation
//! error and `ε max|f| / h` the rounding error, so that an entry is called off only by more than what the differences
//! themselves may be wrong by. Where `f` is not finite at `x ± 2h`, smaller steps are tried.
//!
//! # Reference
//! Nocedal and Wright (2006), *Numerical Optimization*, §8.1; Gill, Murray and Wright (1981), *Practical Optimization*, §8.6.

use super::{HessianProduct, Objective};
use crate::error::{Error, Result};
use crate::linalg::{Form, SymmetricOperator, Vector};
use std::fmt;

/// A derivative is off if it differs from the finite difference by more than this, relative to the larger of the two
/// (beside the error of the difference itself).
const TOLERANCE: f64 = 1e-6;
/// Offenders kept by a report, the worst first.
const KEPT: usize = 10;
/// Up to this many variables every column of the Hessian is compared, beyond that only [`DIRECTIONS`] products.
const FULL: usize = 500;
/// Directions compared when there are too many variables for all columns.
const DIRECTIONS: usize = 8;

/// One entry that is off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Index of the gradient entry, or the row of the Hessian.
    pub row: usize,
    /// Column of the Hessian, or the number of the direction of a product; `None` for a gradient.
    pub column: Option<usize>,
    /// What the user's function gave.
    pub given: f64,
    /// What finite differences give (for symmetry: the mirrored entry).
    pub expected: f64,
    /// `|given − expected| / max(|given|, |expected|)`; infinite if one of them is not finite.
    pub relative_error: f64,
}

/// The comparison of one derivative.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// `gradient`, `Hessian`, `Hessian symmetry` or `Hessian product`.
    pub what: &'static str,
    /// Number of entries compared.
    pub compared: usize,
    /// Entries that could not be judged because the function is not finite around the point.
    pub undetermined: usize,
    /// Number of entries that are off.
    pub wrong: usize,
    /// The worst of them (at most ten), largest relative error first.
    pub offenders: Vec<Entry>,
    /// Largest relative error of any entry compared, right or wrong, of those that exceed rounding.
    pub worst: f64,
    /// Expected and found length, if the derivative has the wrong one; nothing else is compared then.
    pub wrong_length: Option<(usize, usize)>,
}

/// What was compared and what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One entry for each derivative.
    pub checks: Vec<Check>,
}

impl Report {
    /// True if nothing is off. (Entries that could not be judged do not count against it.)
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }
}

impl Check {
    fn new(what: &'static str) -> Self {
        Check { what, compared: 0, undetermined: 0, wrong: 0, offenders: Vec::new(), worst: 0.0, wrong_length: None }
    }

    fn of_wrong_length(what: &'static str, expected: usize, found: usize) -> Self {
        Check { wrong_length: Some((expected, found)), ..Check::new(what) }
    }

    /// True if no entry is off and the length is right.
    pub fn passed(&self) -> bool {
        self.wrong == 0 && self.wrong_length.is_none()
    }

    /// Compares one entry; `slack` is the error of `expected` itself.
    fn compare(&mut self, row: usize, column: Option<usize>, given: f64, estimate: Option<Estimate>) {
        let Some(Estimate { value: expected, slack }) = estimate else {
            self.undetermined += 1;
            return;
        };
        self.compared += 1;
        let difference = (given - expected).abs();
        let size = given.abs().max(expected.abs());
        if difference <= slack {
            return;
        }
        let relative_error = if difference.is_finite() { difference / size } else { f64::INFINITY };
        self.worst = self.worst.max(relative_error);
        // Written so that NaN is off.
        if !(difference <= slack + TOLERANCE * size && given.is_finite()) {
            self.wrong += 1;
            self.offenders.push(Entry { row, column, given, expected, relative_error });
            if self.offenders.len() >= 4 * KEPT {
                self.keep_worst();
            }
        }
    }

    fn keep_worst(&mut self) {
        self.offenders.sort_by(|a, b| b.relative_error.total_cmp(&a.relative_error));
        self.offenders.truncate(KEPT);
    }

    fn finish(mut self) -> Self {
        self.keep_worst();
        self
    }
}

/// A finite difference and how far it may be off.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    value: f64,
    slack: f64,
}

/// Extrapolated central difference from values at `±h` and `±2h`; `None` if one of them is not finite.
fn extrapolate(near: [f64; 2], far: [f64; 2], h: f64) -> Option<Estimate> {
    let size = near.iter().chain(&far).fold(0.0f64, |m, v| m.max(v.abs()));
    if ![near[0], near[1], far[0], far[1]].iter().all(|v| v.is_finite()) {
        return None;
    }
    let (d1, d2) = ((near[0] - near[1]) / (2.0 * h), (far[0] - far[1]) / (4.0 * h));
    // A function evaluated with a few dozen operations is right to some ε, hence the factor on rounding.
    Some(Estimate { value: d1 + (d1 - d2) / 3.0, slack: (d1 - d2).abs() + 16.0 * f64::EPSILON * size / h })
}

/// Steps to try at a coordinate, each exactly representable at `x`.
fn steps(x: f64) -> impl Iterator<Item = f64> {
    let h = f64::EPSILON.cbrt() * x.abs().max(1.0);
    [1.0, 1e-2, 1e-4].into_iter().map(move |c| (x + c * h) - x).filter(|h| *h > 0.0)
}

fn user(what: &'static str) -> impl Fn(argmin::core::Error) -> Error {
    move |e| Error::Problem { what, source: e.into() }
}

/// `∇f(x + t d)`, `None` if its length is wrong.
fn gradient_along<O: Objective>(problem: &O, x: &O::Point, d: &[(usize, f64)], t: f64) -> Result<O::Point> {
    let mut moved = x.clone();
    let entries = moved.as_mut_slice();
    d.iter().for_each(|&(i, di)| entries[i] += t * di);
    let g = problem.gradient(&moved).map_err(user("gradient"))?;
    Error::check_len("gradient", x.as_slice().len(), g.as_slice().len())?;
    Ok(g)
}

/// Compares the gradient with central differences of the cost; `4n` costs.
///
/// # Errors
/// What the cost or gradient reports; [`Error::NonFinite`] if `x` is not finite.
pub fn gradient<O: Objective>(problem: &O, x: &O::Point) -> Result<Check> {
    Error::check_finite("point", x.as_slice())?;
    let n = x.as_slice().len();
    let g = problem.gradient(x).map_err(user("gradient"))?;
    let g = g.as_slice();
    if g.len() != n {
        return Ok(Check::of_wrong_length("gradient", n, g.len()));
    }
    let mut check = Check::new("gradient");
    let mut moved = x.clone();
    for (i, &given) in g.iter().enumerate() {
        let xi = x.as_slice()[i];
        let mut estimate = None;
        for h in steps(xi) {
            let mut value = |t: f64| {
                moved.as_mut_slice()[i] = xi + t;
                problem.cost(&moved).map_err(user("cost"))
            };
            let (near, far) = ([value(h)?, value(-h)?], [value(2.0 * h)?, value(-2.0 * h)?]);
            estimate = extrapolate(near, far, h);
            if estimate.is_some() {
                break;
            }
        }
        moved.as_mut_slice()[i] = xi;
        check.compare(i, None, given, estimate);
    }
    Ok(check.finish())
}

/// Central differences of the gradient along `d`, one estimate for each row; `4` gradients.
fn product_by_differences<O: Objective>(problem: &O, x: &O::Point, d: &[(usize, f64)]) -> Result<Vec<Option<Estimate>>> {
    let size = d.iter().fold(0.0f64, |m, &(i, _)| m.max(x.as_slice()[i].abs()));
    let mut estimates = vec![None; x.as_slice().len()];
    for h in steps(size) {
        let at = |t: f64| gradient_along(problem, x, d, t);
        let (p, m, pp, mm) = (at(h)?, at(-h)?, at(2.0 * h)?, at(-2.0 * h)?);
        let (p, m, pp, mm) = (p.as_slice(), m.as_slice(), pp.as_slice(), mm.as_slice());
        for (i, estimate) in estimates.iter_mut().enumerate().filter(|(_, e)| e.is_none()) {
            *estimate = extrapolate([p[i], m[i]], [pp[i], mm[i]], h);
        }
        if estimates.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(estimates)
}

/// Directions along which products are compared: all units for few variables, else a few with entries ±1.
fn directions(n: usize) -> Vec<Vec<(usize, f64)>> {
    if n <= FULL {
        return (0..n).map(|j| vec![(j, 1.0)]).collect();
    }
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut sign = || {
        // xorshift64 (Marsaglia 2003): signs only, no statistics depend on it.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state >> 63 == 0 { 1.0 } else { -1.0 }
    };
    (0..DIRECTIONS).map(|_| (0..n).map(|i| (i, sign())).collect()).collect()
}

/// Compares `apply` with differences of the gradient along every direction.
fn products<O: Objective>(
    what: &'static str,
    problem: &O,
    x: &O::Point,
    mut apply: impl FnMut(&[f64], &mut [f64]) -> Result<()>,
) -> Result<Check> {
    let n = x.as_slice().len();
    let mut check = Check::new(what);
    let (mut v, mut out) = (vec![0.0; n], vec![0.0; n]);
    for (k, d) in directions(n).into_iter().enumerate() {
        d.iter().for_each(|&(i, di)| v[i] = di);
        apply(&v, &mut out)?;
        for (i, estimate) in product_by_differences(problem, x, &d)?.into_iter().enumerate() {
            check.compare(i, Some(k), out[i], estimate);
        }
        d.iter().for_each(|&(i, _)| v[i] = 0.0);
    }
    Ok(check.finish())
}

/// Compares the Hessian–vector product with central differences of the gradient: along every unit vector up to 500
/// variables (the direction's number is the Hessian's column), along eight directions with entries ±1 beyond.
///
/// # Errors
/// What the gradient or the product reports; [`Error::NonFinite`] if `x` is not finite.
pub fn hessian_product<O: HessianProduct>(problem: &O, x: &O::Point) -> Result<Check> {
    Error::check_finite("point", x.as_slice())?;
    products("Hessian product", problem, x, |v, out| problem.hessian_product(x, v, out))
}

/// Entry `(i, j)` as the user stored it; `None` if the form shows products only.
fn stored(form: &Form<'_>, i: usize, j: usize) -> Option<f64> {
    Some(match form {
        Form::Dense(m) => m[(i, j)],
        Form::Rows(rows) => rows.get(i).and_then(|row| row.get(j)).copied().unwrap_or(f64::NAN),
        Form::Sparse(m) => {
            let (rows, values) = m.column(j);
            rows.iter().zip(values).filter(|(r, _)| **r == i).map(|(_, v)| v).sum()
        }
        Form::Diagonal(d) if i == j => d[i],
        Form::ScaledIdentity(c) if i == j => *c,
        Form::Diagonal(_) | Form::ScaledIdentity(_) => 0.0,
        _ => return None,
    })
}

/// Compares the Hessian with central differences of the gradient, and with its own transpose. Up to 500 variables every
/// entry is compared; beyond, products along eight directions (the row is then named, the column is the direction's number).
///
/// # Errors
/// What the gradient or the Hessian reports; [`Error::NonFinite`] if `x` is not finite.
pub fn hessian<O>(problem: &O, x: &O::Point) -> Result<Vec<Check>>
where
    O: Objective + argmin::core::Hessian<Param = <O as Objective>::Point>,
    O::Hessian: SymmetricOperator,
{
    Error::check_finite("point", x.as_slice())?;
    let n = x.as_slice().len();
    let matrix = problem.hessian(x).map_err(user("hessian"))?;
    if matrix.dim() != n {
        return Ok(vec![Check::of_wrong_length("Hessian", n, matrix.dim())]);
    }
    let form = matrix.form();
    if n > FULL || stored(&form, 0, 0).is_none() {
        return Ok(vec![products("Hessian", problem, x, |v, out| matrix.apply(v, out))?]);
    }
    let entry = |i, j| stored(&form, i, j).unwrap_or(f64::NAN);
    let (mut values, mut symmetry) = (Check::new("Hessian"), Check::new("Hessian symmetry"));
    for j in 0..n {
        for (i, estimate) in product_by_differences(problem, x, &[(j, 1.0)])?.into_iter().enumerate() {
            values.compare(i, Some(j), entry(i, j), estimate);
        }
        for i in j + 1..n {
            let (lower, upper) = (entry(i, j), entry(j, i));
            let slack = 64.0 * f64::EPSILON * lower.abs().max(upper.abs());
            symmetry.compare(i, Some(j), lower, Some(Estimate { value: upper, slack }));
        }
    }
    Ok(vec![values.finish(), symmetry.finish()])
}

/// Compares the gradient and the Hessian matrix of a problem with finite differences.
///
/// For problems without a Hessian matrix use [`gradient`] and [`hessian_product`].
///
/// # Errors
/// What the user's functions report; [`Error::NonFinite`] if `x` is not finite.
///
/// # Example
/// ```
/// use argmin::core::{CostFunction, Error, Gradient, Hessian};
/// struct Wrong;
/// impl CostFunction for Wrong {
///     type Param = Vec<f64>;
///     type Output = f64;
///     fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> { Ok(x[0] * x[0] * x[1]) }
/// }
/// impl Gradient for Wrong {
///     type Param = Vec<f64>;
///     type Gradient = Vec<f64>;
///     fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> { Ok(vec![2.0 * x[0] * x[1], x[0]]) }
/// }
/// let report = curvkit::problem::check::gradient(&Wrong, &vec![3.0, 1.0])?;
/// assert_eq!(report.offenders[0].row, 1);
/// assert!((report.offenders[0].expected - 9.0).abs() < 1e-6);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn derivatives<O>(problem: &O, x: &O::Point) -> Result<Report>
where
    O: Objective + argmin::core::Hessian<Param = <O as Objective>::Point>,
    O::Hessian: SymmetricOperator,
{
    let mut checks = vec![gradient(problem, x)?];
    // Differences of a gradient of the wrong length mean nothing.
    if checks[0].wrong_length.is_none() {
        checks.extend(hessian(problem, x)?);
    }
    Ok(Report { checks })
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "right" } else { "WRONG" };
        write!(f, "{}: {verdict}", self.what)?;
        if let Some((expected, found)) = self.wrong_length {
            return write!(f, ", length {found} instead of {expected}");
        }
        write!(f, ", {} of {} entries off", self.wrong, self.compared)?;
        if self.undetermined > 0 {
            write!(f, ", {} not determined", self.undetermined)?;
        }
        if !self.offenders.is_empty() {
            write!(f, "\n  {:>12} {:>24} {:>24} {:>10}", "entry", "given", "expected", "error")?;
        }
        for e in &self.offenders {
            let place = e.column.map_or_else(|| format!("[{}]", e.row), |c| format!("[{}, {c}]", e.row));
            write!(f, "\n  {place:>12} {:>24.15e} {:>24.15e} {:>10.1e}", e.given, e.expected, e.relative_error)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, check) in self.checks.iter().enumerate() {
            if k > 0 {
                writeln!(f)?;
            }
            write!(f, "{check}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
}
