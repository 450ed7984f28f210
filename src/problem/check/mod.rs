//! What a user wrote against finite differences: which entry of a gradient, Hessian or Hessian–vector product is off.
//!
//! Each derivative is compared with a central difference `D(h) = (f(x + h eᵢ) − f(x − h eᵢ)) / 2h`,
//! `h = ε^{1/3} max(1, |xᵢ|)`, extrapolated with `D(2h)` (Richardson). The difference of the two measures the truncation
//! error and `ε max|f| / h` the rounding error, so that an entry is called off only by more than what the differences
//! themselves may be wrong by. Where the truncation error is large, or `f` is not finite at `x ± 2h`, smaller steps are tried.
//!
//! # Reference
//! Nocedal and Wright (2006), *Numerical Optimization*, §8.1; Gill, Murray and Wright (1981), *Practical Optimization*, §8.6.

mod report;

use super::{Bounds, HessianProduct, Objective};
use crate::error::{Error, Result};
use crate::linalg::{Form, SymmetricOperator, Vector};
use report::Estimate;

pub use report::{Check, Entry, Report};

/// Up to this many variables every column of the Hessian is compared, beyond that only [`DIRECTIONS`] products.
const FULL: usize = 500;
/// Directions compared when there are too many variables for all columns.
const DIRECTIONS: usize = 8;

/// Extrapolated central difference from values at `±h` and `±2h`; `None` if one of them is not finite.
fn extrapolate(near: [f64; 2], far: [f64; 2], h: f64) -> Option<Estimate> {
    let size = near.iter().chain(&far).fold(0.0f64, |m, v| m.max(v.abs()));
    if ![near[0], near[1], far[0], far[1]].iter().all(|v| v.is_finite()) {
        return None;
    }
    let (d1, d2) = ((near[0] - near[1]) / (2.0 * h), (far[0] - far[1]) / (4.0 * h));
    let value = d1 + (d1 - d2) / 3.0;
    // A function evaluated with a few dozen operations is right to some ε, hence the factor on rounding.
    let (truncation, rounding) = ((d1 - d2).abs(), 16.0 * f64::EPSILON * size / h);
    Some(Estimate { value, slack: truncation + rounding, settled: truncation <= rounding.max(1e-4 * value.abs()) })
}

/// Keeps the estimate with the smaller error.
fn improve(kept: &mut Option<Estimate>, new: Option<Estimate>) {
    if let Some(new) = new
        && kept.is_none_or(|kept| new.slack < kept.slack)
    {
        *kept = Some(new);
    }
}

fn settled(estimate: &Option<Estimate>) -> bool {
    estimate.is_some_and(|e| e.settled)
}

/// Steps to try at a coordinate, each exactly representable at `x`.
fn steps(x: f64) -> impl Iterator<Item = f64> {
    let h = f64::EPSILON.cbrt() * x.abs().max(1.0);
    [1.0, 1e-2, 1e-4].into_iter().map(move |c| (x + c * h) - x).filter(|h| *h > 0.0)
}

/// The point nearest to `x` from which no difference of this module leaves the bounds: where to check a problem that has no
/// values outside.
///
/// # Errors
/// [`Error::Dimension`], [`Error::NonFinite`]; [`Error::Config`] naming a variable whose bounds are too close for differences.
pub fn inside(bounds: &Bounds, x: &[f64]) -> Result<Vec<f64>> {
    let mut near = x.to_vec();
    bounds.project(&mut near)?;
    let largest = near.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, x) in near.iter_mut().enumerate() {
        // Along a direction of many variables the step is that of the largest; twice the farthest difference, since the
        // point moves too.
        let size = if bounds.dim() > FULL { largest } else { x.abs().max(1.0) };
        let margin = 4.0 * f64::EPSILON.cbrt() * size;
        let (lower, upper) = (bounds.lower()[i] + margin, bounds.upper()[i] - margin);
        Error::check_option(lower <= upper, &format!("bounds of variable {i}"), "wide enough for differences", margin)?;
        *x = x.max(lower).min(upper);
    }
    Ok(near)
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

/// Compares the gradient with central differences of the cost; `4n` costs, up to thrice as many where the function bends sharply.
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
            improve(&mut estimate, extrapolate(near, far, h));
            if settled(&estimate) {
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
        for (i, estimate) in estimates.iter_mut().enumerate().filter(|(_, e)| !settled(e)) {
            improve(estimate, extrapolate([p[i], m[i]], [pp[i], mm[i]], h));
        }
        if estimates.iter().all(settled) {
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
            symmetry.compare(i, Some(j), lower, Some(Estimate { value: upper, slack, settled: true }));
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

#[cfg(test)]
mod tests;
