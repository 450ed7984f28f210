//! Exact-Newton steps from a point near a minimum of `½‖r‖²`, down to the rounding of the parameters.
//!
//! Gauss–Newton converges linearly where residuals are large, and no test on the cost sees the digits behind the eighth:
//! near the minimum the cost is flat to rounding while the parameters still move. Here the Hessian is exact,
//! `H = JᵀJ + Σ rᵢ ∇²rᵢ`, the gradient `Jᵀr` is summed with compensation, and progress is judged by the Newton decrement
//! `√(gᵀH⁻¹g)`, which no scaling of the parameters changes. Curvature that rounding cannot tell from zero is neither inverted nor
//! called negative: such directions are named, and the steps are taken in the others.
//!
//! # Reference
//! Nesterov & Nemirovskii (1994), §2.2 (decrement); Ogita, Rump & Oishi (2005), SIAM J. Sci. Comput. 26(6), Algorithm 5.3
//! (compensated dot product); Dennis & Schnabel (1983), §10.3 (full Newton for nonlinear least squares).

use super::curved::{Curved, NewtonStep};
use crate::error::{Error, Result};
use crate::linalg::operator::Gram;
use crate::linalg::vector::norm;
use crate::problem::{Bounds, LeastSquares, ResidualHessian};

/// Reduction of the squared decrement for which the last Hessian is kept.
const KEPT: f64 = 1e-4;
/// Relative change of a parameter up to which the last Hessian is that of the answer.
const VERIFIED: f64 = 1e-7;

/// Options of the second phase.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Finish {
    /// Newton steps at most. Default 20; 0 turns the phase off.
    pub max_steps: u64,
    /// A step that changes no parameter by more than this part of it ends the phase. Default `4ε`.
    pub tolerance: f64,
}

impl Default for Finish {
    fn default() -> Self {
        Self { max_steps: 20, tolerance: 4.0 * f64::EPSILON }
    }
}

/// What the second phase did and verified.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Finished {
    /// Newton steps taken.
    pub steps: u64,
    /// Whether the steps shrank to the rounding of the parameters, at a point without negative curvature, and without slope
    /// in the directions of [`degenerate`](Self::degenerate).
    pub converged: bool,
    /// `√(gᵀH⁻¹g)` at the answer, relative to `‖r‖`: how far the cost is above its minimum, free of units. NaN where the
    /// cost has no quadratic model with a minimum.
    pub decrement: f64,
    /// Smallest and largest eigenvalue of the Hessian in variables scaled by the columns of `J`. The smallest is zero if it
    /// cannot be told from zero; both are NaN where the Hessian has no value.
    pub curvature: [f64; 2],
    /// `‖Σ rᵢ ∇²rᵢ‖ / ‖H‖` (Frobenius, in the same variables): what Gauss–Newton leaves out.
    pub nonlinearity: f64,
    /// Directions in which the cost is flat to the rounding of data and parameters: a basis of them, each with the largest
    /// entry 1 in size, and parameters that take no part zero.
    pub degenerate: Vec<Vec<f64>>,
}

/// What a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FitVerdict {
    /// A minimum: stationary to rounding, of positive curvature.
    Minimum,
    /// Stationary to rounding, of positive curvature but for directions in which the cost is flat.
    DegenerateMinimum,
    /// The cost has a direction of negative curvature beyond rounding.
    NegativeCurvature,
    /// None of these could be shown.
    NotVerified,
}

impl Finished {
    /// Nothing is known of the point.
    pub(super) fn unverified() -> Self {
        let (nan, degenerate) = (f64::NAN, Vec::new());
        Self { steps: 0, converged: false, decrement: nan, curvature: [nan; 2], nonlinearity: nan, degenerate }
    }

    /// Condition number of the scaled Hessian; `None` unless it is positive definite.
    pub fn condition_number(&self) -> Option<f64> {
        (self.curvature[0] > 0.0).then(|| self.curvature[1] / self.curvature[0])
    }

    /// What the point is.
    pub fn verdict(&self) -> FitVerdict {
        match (self.converged, self.degenerate.is_empty()) {
            (true, true) => FitVerdict::Minimum,
            (true, false) => FitVerdict::DegenerateMinimum,
            _ if self.curvature[0] < 0.0 => FitVerdict::NegativeCurvature,
            _ => FitVerdict::NotVerified,
        }
    }
}

/// `‖J eⱼ‖`, 1 where it is zero.
pub(super) fn column_norms(gram: Gram<'_>) -> Vec<f64> {
    (0..gram.n).map(|j| norm(gram.column(j))).map(|l| if l > 0.0 { l } else { 1.0 }).collect()
}

impl Finish {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.tolerance >= 0.0 && self.tolerance < 1.0, "tolerance", "in [0, 1)", self.tolerance)
    }

    /// Newton steps from `start`; returns the best point and what was verified there.
    ///
    /// # Errors
    /// Whatever the residuals report at `start`. Where anything fails later, the last good point is the answer.
    pub fn run<R: ResidualHessian + 'static>(&self, problem: &LeastSquares<R>, start: &[f64]) -> Result<(Vec<f64>, Finished)> {
        self.run_within(problem, start, None)
    }

    /// Within bounds: a step that would leave them ends the phase, so that no residual is asked outside.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_within<R: ResidualHessian + 'static>(
        &self,
        problem: &LeastSquares<R>,
        start: &[f64],
        bounds: Option<&Bounds>,
    ) -> Result<(Vec<f64>, Finished)> {
        problem.residuals_at(start)?;
        let mut x = start.to_vec();
        let Ok(mut curved) = Curved::at(problem, &x) else { return Ok((x, Finished::unverified())) };
        let Ok(mut newton) = curved.step(problem, &x) else { return Ok((x, Finished::unverified())) };
        let (mut steps, mut converged) = (0, false);
        while let Some(here) = &newton {
            if here.within(self.tolerance, &x) || here.square.sqrt() <= f64::EPSILON * here.residual_norm {
                converged = true;
                break;
            }
            if steps >= self.max_steps {
                break;
            }
            let next: Vec<f64> = x.iter().zip(&here.p).map(|(x, p)| x + p).collect();
            if bounds.is_some_and(|bounds| !bounds.contains(&next)) {
                // A minimum on its bound without a multiplier: the last digits may point outside.
                converged = here.at_floor(&x);
                break;
            }
            let Ok(mut onward) = curved.step(problem, &next) else { break };
            // The matrix is kept while it serves: near the answer the Hessian changes less than the step.
            let pays = |onward: &Option<NewtonStep>, part: f64| onward.as_ref().is_some_and(|o| o.square < part * here.square);
            let mut renewed = None;
            let stale = !pays(&onward, KEPT) && !here.at_floor(&x);
            if stale
                && let Ok(fresh) = Curved::at(problem, &next)
                && let Ok(step) = fresh.step(problem, &next)
            {
                (onward, renewed) = (step, Some(fresh));
            }
            // Far out a full step must pay at once; at the floor of rounding the decrement only wanders.
            if !pays(&onward, 0.25) {
                converged = here.at_floor(&x);
                break;
            }
            steps += 1;
            curved = renewed.unwrap_or(curved);
            (x, newton) = (next, onward);
        }
        let moved = curved.x.iter().zip(&x).any(|(a, b)| (a - b).abs() > VERIFIED * b.abs());
        // What is certified is the curvature at the answer.
        if moved && let Ok(there) = Curved::at(problem, &x) {
            newton = there.step(problem, &x).unwrap_or(None);
            curved = there;
        }
        let decrement = match &newton {
            Some(n) if !curved.has_curvature() && n.residual_norm > 0.0 => f64::NAN,
            Some(n) if n.residual_norm > 0.0 => n.square.sqrt() / n.residual_norm,
            Some(_) => 0.0,
            None => f64::NAN,
        };
        // Where no parameter moves a residual there is no minimum, but a plateau; unless nothing is left.
        let lies = |n: NewtonStep| n.stationary && n.at_floor(&x) && (curved.has_curvature() || n.residual_norm == 0.0);
        let stationary = newton.is_some_and(lies);
        let curvature = curved.curvature;
        let finished = Finished {
            steps,
            converged: converged && stationary && curvature[0] >= 0.0,
            decrement,
            curvature,
            nonlinearity: curved.nonlinearity,
            degenerate: curved.flat_directions(),
        };
        Ok((x, finished))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Residuals;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// `r = (b² − 2, (b − 1)/10)`, counting its second derivatives.
    #[derive(Default)]
    struct Root(AtomicU64);
    impl Residuals for Root {
        fn n(&self) -> usize {
            1
        }
        fn m(&self) -> usize {
            2
        }
        fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(&[b[0] * b[0] - 2.0, 0.1 * (b[0] - 1.0)]);
            Ok(())
        }
        fn jacobian(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(&[2.0 * b[0], 0.1]);
            Ok(())
        }
    }
    impl ResidualHessian for Root {
        fn weighted_hessian(&self, b: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            out[0] = if b[0] > 100.0 { f64::NAN } else { 2.0 * weights[0] };
            Ok(())
        }
    }

    /// The root of `2b(b² − 2) + (b − 1)/100` near √2.
    fn minimum() -> f64 {
        (0..50).fold(1.4, |b: f64, _| b - (2.0 * b * (b * b - 2.0) + 0.01 * (b - 1.0)) / (6.0 * b * b - 3.99))
    }

    #[test]
    fn newton_steps_reach_the_minimum_and_certify_the_curvature_there() {
        let problem = LeastSquares::new(Root::default());
        let (x, finished) = Finish::default().run(&problem, &[1.5]).unwrap();
        let b = minimum();
        assert!((x[0] - b).abs() <= 2.0 * f64::EPSILON * b && finished.converged, "{x:?} {finished:?}");
        assert_eq!(finished.verdict(), FitVerdict::Minimum);
        // In units of JᵀJ = 4b² + 0.01 the Hessian is (6b² − 3.99)/JᵀJ, its residual part 2(b² − 2)/JᵀJ.
        let (gram, hessian) = (4.0 * b * b + 0.01, 6.0 * b * b - 3.99);
        for (found, exact) in [(finished.curvature[0], hessian / gram), (finished.curvature[1], hessian / gram)] {
            assert!((found / exact - 1.0).abs() < 1e-13, "{found} {exact}");
        }
        assert!((finished.nonlinearity / ((2.0 * (b * b - 2.0)).abs() / hessian) - 1.0).abs() < 1e-11);
        // Each Hessian is asked for twice, for its sum and for its rounding. Full Newton squares the error, 0.08, 7e-3, 5e-5,
        // 3e-9, 1e-17; the second half of the digits comes from a matrix that is kept.
        let hessians = problem.residuals().0.load(Ordering::Relaxed) / 2;
        assert!(finished.steps >= 4 && finished.steps <= 7 && hessians < finished.steps, "{hessians} {}", finished.steps);
    }

    #[test]
    fn step_that_does_not_pay_leaves_the_point_where_it_was() {
        let problem = LeastSquares::new(Root::default());
        // At 0.85 the curvature is 6 · 0.7225 − 3.99 = 0.345, and the Newton step goes to 7.
        let (x, finished) = Finish::default().run(&problem, &[0.85]).unwrap();
        assert_eq!((x[0], finished.steps, finished.converged), (0.85, 0, false));
        assert!(finished.decrement > 1.0 && finished.verdict() == FitVerdict::NotVerified);
        // At 0.5 it is negative, and there is slope along it.
        let (_, finished) = Finish::default().run(&problem, &[0.5]).unwrap();
        assert_eq!((finished.converged, finished.verdict()), (false, FitVerdict::NegativeCurvature));
        assert!(finished.decrement.is_nan() && finished.degenerate.is_empty());
        let (_, none) = Finish { max_steps: 0, ..Finish::default() }.run(&problem, &[1.41]).unwrap();
        assert!(!none.converged && none.steps == 0 && none.decrement > 0.0);
    }

    #[test]
    fn point_whose_second_derivatives_have_no_value_is_kept() {
        let problem = LeastSquares::new(Root::default());
        let (x, finished) = Finish::default().run(&problem, &[200.0]).unwrap();
        assert_eq!((x[0], finished.verdict()), (200.0, FitVerdict::NotVerified));
        assert!(finished.curvature[0].is_nan() && finished.decrement.is_nan());
    }

    /// `r = (b − at ± noise, rest)`, the sign being that of `b − at`: no point has a step shorter than twice the noise.
    struct Noisy {
        at: f64,
        rest: f64,
        noise: f64,
    }
    impl Residuals for Noisy {
        fn n(&self) -> usize {
            1
        }
        fn m(&self) -> usize {
            2
        }
        fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
            let sign = if b[0] < self.at { -1.0 } else { 1.0 };
            out.copy_from_slice(&[b[0] - self.at + sign * self.noise, self.rest]);
            Ok(())
        }
        fn jacobian(&self, _: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(&[1.0, 0.0]);
            Ok(())
        }
    }
    impl ResidualHessian for Noisy {
        fn weighted_hessian(&self, _: &[f64], _: &[f64], out: &mut [f64]) -> Result<()> {
            out.fill(0.0);
            Ok(())
        }
    }

    #[test]
    fn noise_of_the_size_of_rounding_is_the_floor_and_larger_noise_is_not() {
        let run = |at, rest, noise| Finish::default().run(&LeastSquares::new(Noisy { at, rest, noise }), &[at + 1e-3]).unwrap().1;
        // Relative to the parameter 1e-12 and 1e-7; the decrement against ‖r‖ = 1e-3 is no floor.
        assert!(run(1.0, 1e-3, 1e-12).converged && !run(1.0, 1e-3, 1e-7).converged);
        // A parameter that is zero has no relative size: 1e-12 and 1e-7 of ‖r‖.
        assert!(run(0.0, 1.0, 1e-12).converged && !run(0.0, 1.0, 1e-7).converged);
        // Just inside and just outside of the floors, 1e-9 and 1e-11.
        assert!(run(1.0, 1e-3, 4e-10).converged && !run(1.0, 1e-3, 6e-10).converged);
        assert!(run(0.0, 1.0, 4e-12).converged && !run(0.0, 1.0, 6e-12).converged);
    }
}
