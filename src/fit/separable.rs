//! Fits of separable models: the linear parameters are eliminated in the first phase ([`Separable`]).

use super::constraints::describe;
use super::{Fit, FitOptions, Phase, Statistics, assemble, first_phase, second_phase};
use crate::error::{Error, Result};
use crate::problem::{Bounds, LeastSquares, ResidualHessian, Separable, Ties};

/// Fits a model that is affine in the parameters `linear` (by index): they need no start, and the first phase has fewer
/// variables and iterations. The second phase, statistics and certificate are those of all parameters.
///
/// `start` holds all parameters; the entries of linear ones do not matter. Parameters that are not linear may have bounds.
///
/// # Errors
/// As [`fit`](super::fit) and [`Separable::new`]; [`Error::Unsupported`] for a model that is not affine in those parameters
/// at the start, for ties, and for bounds on linear parameters.
pub fn fit_separable<R: ResidualHessian + 'static>(
    problem: &LeastSquares<R>,
    linear: &[usize],
    start: &[f64],
    options: &FitOptions,
) -> Result<Fit> {
    options.validate()?;
    let n = problem.residuals().n();
    Error::check_len("start", n, start.len())?;
    let separable = Separable::new(problem.shared_residuals(), linear)?;
    let constraints = &options.constraints;
    let unbounded = |b: &Bounds| linear.iter().all(|&j| b.lower()[j] == f64::NEG_INFINITY && b.upper()[j] == f64::INFINITY);
    let ties = Ties::none(n);
    let bounds = constraints.bounds.as_ref().map(|_| constraints.free_bounds(&ties)).transpose()?;
    if constraints.ties.is_some() || !bounds.as_ref().is_none_or(unbounded) {
        let requirement = "linear parameters without bounds, and no ties";
        return Err(Error::Unsupported { what: "variable projection", requirement });
    }
    let mut start = start.to_vec();
    linear.iter().for_each(|&j| start[j] = 1.0);
    let moved = bounds.as_ref().map_or(Ok(Vec::new()), |bounds| bounds.project(&mut start))?;
    separable.check(&start)?;

    let inner = bounds.as_ref().map(|b| Bounds::new(separable.restrict(b.lower()), separable.restrict(b.upper()))).transpose()?;
    let alpha = separable.restrict(&start);
    let reduced = LeastSquares::new(separable);
    let first = first_phase(&reduced, &alpha, inner.as_ref(), options)?;
    let x = reduced.residuals().whole(&first.x)?;
    let solved = second_phase(problem, &x, Phase { x: x.clone(), ..first }, bounds.as_ref(), options);
    match bounds {
        Some(bounds) => describe(problem, problem, &ties, &bounds, solved, options, moved),
        None => {
            let statistics = Statistics::at_answer(problem, &solved.x, solved.cost);
            Ok(assemble(problem, solved.x.clone(), solved, statistics))
        }
    }
}
