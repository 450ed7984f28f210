//! Exact-Newton steps from a point near a minimum of `½‖r‖²`, down to the rounding of the parameters.
//!
//! Gauss–Newton converges linearly where residuals are large, and no test on the cost sees the digits behind the eighth:
//! near the minimum the cost is flat to rounding while the parameters still move. Here the Hessian is exact,
//! `H = JᵀJ + Σ rᵢ ∇²rᵢ`, the gradient `Jᵀr` is summed with compensation, and progress is judged by the Newton decrement
//! `√(gᵀH⁻¹g)`, which no scaling of the parameters changes.
//!
//! # Reference
//! Nesterov & Nemirovskii (1994), §2.2 (decrement); Ogita, Rump & Oishi (2005), SIAM J. Sci. Comput. 26(6), Algorithm 5.3
//! (compensated dot product); Dennis & Schnabel (1983), §10.3 (full Newton for nonlinear least squares).

use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::factor::{ShiftedCholesky, SymmetricEigen};
use crate::linalg::operator::{DenseMatrix, Gram, write_dense};
use crate::linalg::vector::{dot, dot_compensated, norm};
use crate::problem::{Bounds, LeastSquares, Linearize, ResidualHessian};

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
    /// Whether the steps shrank to the rounding of the parameters, at a point of positive curvature.
    pub converged: bool,
    /// `√(gᵀH⁻¹g)` at the answer, relative to `‖r‖`: how far the cost is above its minimum, free of units.
    pub decrement: f64,
    /// Smallest and largest eigenvalue of the Hessian in variables scaled by the columns of `J`.
    pub curvature: [f64; 2],
    /// `‖Σ rᵢ ∇²rᵢ‖ / ‖H‖` (Frobenius, in the same variables): what Gauss–Newton leaves out.
    pub nonlinearity: f64,
}

impl Finished {
    /// Condition number of the scaled Hessian; `None` unless it is positive definite.
    pub fn condition_number(&self) -> Option<f64> {
        (self.curvature[0] > 0.0).then(|| self.curvature[1] / self.curvature[0])
    }
}

/// The exact Hessian at one point, in variables scaled by the columns of `J`, and its factor.
struct Curved {
    x: Vec<f64>,
    scale: Vec<f64>,
    hessian: DenseMatrix,
    nonlinearity: f64,
    cholesky: ShiftedCholesky,
    definite: bool,
}

impl Curved {
    fn at<R: ResidualHessian + 'static>(problem: &LeastSquares<R>, x: &[f64]) -> Result<Self> {
        let n = x.len();
        let shared = problem.linearize(&x.to_vec())?;
        let gram = shared.gram()?;
        Error::check_finite("Jacobian", gram.jacobian)?;
        let scale = column_norms(gram);
        let mut rest = problem.residual_term(x)?;
        Error::check_finite("residual Hessian", &rest)?;
        let mut hessian = vec![0.0; n * n];
        gram.write(&mut hessian);
        for j in 0..n {
            for i in 0..n {
                let d = scale[i] * scale[j];
                rest[j * n + i] /= d;
                hessian[j * n + i] = hessian[j * n + i] / d + rest[j * n + i];
            }
        }
        let total = norm(&hessian);
        let nonlinearity = if total > 0.0 { norm(&rest) / total } else { 0.0 };
        let hessian = DenseMatrix::new(n, hessian)?;
        let mut cholesky = ShiftedCholesky::default();
        cholesky.load(&hessian)?;
        let definite = cholesky.factor(0.0).is_ok();
        Ok(Self { x: x.to_vec(), scale, hessian, nonlinearity, cholesky, definite })
    }

    /// The step `−H⁻¹g` for the gradient at `x`, with this Hessian; `None` if that is not positive definite.
    fn step<R: ResidualHessian + 'static>(&mut self, problem: &LeastSquares<R>, x: &[f64]) -> Result<Option<NewtonStep>> {
        let shared = problem.linearize(&x.to_vec())?;
        let gram = shared.gram()?;
        Error::check_finite("residual", gram.residual)?;
        Error::check_finite("Jacobian", gram.jacobian)?;
        if !self.definite {
            return Ok(None);
        }
        let gradient: Vec<f64> =
            self.scale.iter().enumerate().map(|(j, d)| dot_compensated(gram.column(j), gram.residual) / d).collect();
        let mut q = vec![0.0; gradient.len()];
        self.cholesky.solve(&gradient, &mut q);
        let square = dot(&q, &gradient);
        let p: Vec<f64> = q.iter().zip(&self.scale).map(|(q, d)| -q / d).collect();
        let usable = square >= 0.0 && p.iter().all(|p| p.is_finite());
        Ok(usable.then(|| NewtonStep { p, square, residual_norm: norm(gram.residual) }))
    }
}

/// A step, its decrement `gᵀH⁻¹g`, and `‖r‖` where it starts.
struct NewtonStep {
    p: Vec<f64>,
    square: f64,
    residual_norm: f64,
}

impl NewtonStep {
    /// Whether no entry is more than `part` of that of `x`.
    fn within(&self, part: f64, x: &[f64]) -> bool {
        self.p.iter().zip(x).all(|(p, x)| p.abs() <= part * x.abs())
    }

    /// Whether the step is at the level where rounding of the residuals decides.
    fn at_floor(&self, x: &[f64]) -> bool {
        self.square.sqrt() <= 1e-11 * self.residual_norm || self.within(1e-9, x)
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
    /// Whatever the residuals report at `start`. Where they fail later, the last good point is the answer.
    pub fn run<R: ResidualHessian + 'static>(&self, problem: &LeastSquares<R>, start: &[f64]) -> Result<(Vec<f64>, Finished)> {
        self.run_within(problem, start, None)
    }

    /// The same for parameters strictly inside bounds: the phase ends before a step that would leave them.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_within<R: ResidualHessian + 'static>(
        &self,
        problem: &LeastSquares<R>,
        start: &[f64],
        bounds: Option<&Bounds>,
    ) -> Result<(Vec<f64>, Finished)> {
        let mut x = start.to_vec();
        let mut curved = Curved::at(problem, &x)?;
        let mut newton = curved.step(problem, &x)?;
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
            // The factor is kept while it serves: near the answer the Hessian changes less than the step.
            let pays = |onward: &Option<NewtonStep>, part: f64| onward.as_ref().is_some_and(|o| o.square < part * here.square);
            let mut renewed = None;
            let stale = !pays(&onward, KEPT) && !here.at_floor(&x);
            if stale && let Ok(mut fresh) = Curved::at(problem, &next) {
                onward = fresh.step(problem, &next)?;
                renewed = Some(fresh);
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
        if moved {
            // What is certified is the curvature at the answer.
            curved = Curved::at(problem, &x)?;
        }
        let decrement = match &newton {
            Some(n) if n.residual_norm > 0.0 => n.square.sqrt() / n.residual_norm,
            Some(_) => 0.0,
            None => f64::NAN,
        };
        let curvature = extremes(&curved.hessian)?;
        let nonlinearity = curved.nonlinearity;
        Ok((x, Finished { steps, converged: converged && curvature[0] > 0.0, decrement, curvature, nonlinearity }))
    }
}

/// Smallest and largest eigenvalue.
fn extremes(matrix: &DenseMatrix) -> Result<[f64; 2]> {
    let mut eigen = SymmetricEigen::default();
    let n = matrix.dim();
    let mut entries = vec![0.0; n * n];
    write_dense(matrix, &mut entries)?;
    eigen.factor(n, &entries)?;
    let values = eigen.values();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Ok([low, high])
}
