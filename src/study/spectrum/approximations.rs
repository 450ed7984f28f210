//! How far approximate matrices are from the exact ones.

use super::CurvatureStudy;
use crate::curvature::{
    Blocks, Curvature, Diagonal, Ekfac, EmpiricalFisher, Fisher, GaussNewton, Kfac, MonteCarloFisher, TridiagonalKfac,
};
use crate::error::Result;
use crate::linalg::krylov::{Cg, CgEnd, CgLimits};
use crate::linalg::operator::Combination;
use crate::linalg::vector::{dot, norm};
use crate::linalg::{Operator, SymmetricOperator};
use crate::problem::{At, Supervised};
use crate::spectrum::{Estimate, frobenius_norm};

/// An approximation against the exact matrices.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Approximation {
    /// Its name.
    pub name: &'static str,
    /// `‖A − G‖_F / ‖G‖_F`.
    pub to_gauss_newton: Estimate,
    /// `‖A − H‖_F / ‖H‖_F`.
    pub to_hessian: Estimate,
    /// Degrees between `(A + δI)⁻¹∇L` and `(G + δI)⁻¹∇L`; `None` where a system could not be solved.
    pub angle: Option<f64>,
    /// Ratio of their lengths.
    pub length_ratio: Option<f64>,
}

/// The exact matrices and what steps are made from.
pub(super) struct Exact<'a> {
    pub hessian: Operator<'a>,
    pub gauss_newton: Operator<'a>,
    pub gradient: &'a [f64],
    pub damping: f64,
}

/// Accuracy of solved systems.
const TOLERANCE: f64 = 1e-10;

impl Exact<'_> {
    pub fn compare_all(&self, at: At<'_, Supervised>, study: &CurvatureStudy) -> Result<Vec<Approximation>> {
        let approximations: [(&'static str, Box<dyn Curvature<Supervised>>); 8] = [
            ("fisher", Box::new(Fisher)),
            ("monte_carlo_fisher", Box::new(MonteCarloFisher { samples: 1, seed: study.seed })),
            ("empirical_fisher", Box::new(EmpiricalFisher)),
            ("diagonal", Box::new(Diagonal(GaussNewton))),
            ("blocks", Box::new(Blocks(GaussNewton))),
            ("kfac", Box::new(Kfac::<GaussNewton>::default())),
            ("ekfac", Box::new(Ekfac::<GaussNewton>::default())),
            ("tridiagonal_kfac", Box::new(TridiagonalKfac::<GaussNewton>::default())),
        ];
        let n = self.gradient.len();
        let norm_of = |matrix: &dyn SymmetricOperator| frobenius_norm(matrix, study.norm_products(n), study.seed);
        let norms = (norm_of(&*self.gauss_newton)?, norm_of(&*self.hessian)?);
        let exact = self.step(&*self.gauss_newton)?;
        let mut rows = Vec::new();
        let mut add = |name, matrix: &dyn SymmetricOperator| -> Result<()> {
            let to = |exact: &dyn SymmetricOperator, size: Estimate| -> Result<Estimate> {
                let difference = Combination::new(vec![(1.0, Box::new(matrix)), (-1.0, Box::new(exact))])?;
                Ok(relative(norm_of(&difference)?, size))
            };
            let step = self.step(matrix)?;
            let pair = exact.as_ref().zip(step.as_ref());
            rows.push(Approximation {
                name,
                to_gauss_newton: to(&*self.gauss_newton, norms.0)?,
                to_hessian: to(&*self.hessian, norms.1)?,
                angle: pair.and_then(|(a, b)| angle(a, b)),
                length_ratio: pair.map(|(a, b)| norm(b) / norm(a)).filter(|ratio| ratio.is_finite()),
            });
            Ok(())
        };
        add("gauss_newton", &*self.gauss_newton)?;
        add("hessian", &*self.hessian)?;
        for (name, mut curvature) in approximations {
            // The block-tridiagonal matrix exists only damped, and not for a single layer.
            match curvature.at(at) {
                Ok(matrix) => add(name, &*matrix)?,
                Err(crate::Error::Unsupported { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    /// `(A + δI)⁻¹∇L`, by the matrix's own inverse or by conjugate gradients; `None` if that is not positive definite or the
    /// iteration does not converge.
    fn step(&self, matrix: &dyn SymmetricOperator) -> Result<Option<Vec<f64>>> {
        let n = self.gradient.len();
        if let Some(inverse) = matrix.inverse(self.damping) {
            let mut out = vec![0.0; n];
            inverse?.apply(self.gradient, &mut out)?;
            return Ok(Some(out));
        }
        if norm(self.gradient) == 0.0 {
            return Ok(Some(vec![0.0; n]));
        }
        let damped = super::damped(matrix, self.damping)?;
        let mut cg = Cg::default();
        cg.start(self.gradient, None, 0)?;
        let limits = CgLimits { tolerance: TOLERANCE, max_iterations: 20 * n as u64 + 1000, ..CgLimits::default() };
        let end = cg.advance(&damped, None, &limits)?;
        Ok((end == CgEnd::Converged).then(|| cg.x().iter().map(|x| -x * cg.unit()).collect()))
    }
}

/// An estimate relative to another; the errors' first order.
fn relative(difference: Estimate, size: Estimate) -> Estimate {
    if size.value == 0.0 {
        return Estimate { value: if difference.value == 0.0 { 0.0 } else { f64::INFINITY }, ..difference };
    }
    let value = difference.value / size.value;
    let error = (difference.error / size.value).hypot(value * size.error / size.value);
    Estimate { value, error, products: difference.products }
}

/// Degrees between two vectors, with all digits near zero (Kahan's formula).
fn angle(a: &[f64], b: &[f64]) -> Option<f64> {
    let (na, nb) = (norm(a), norm(b));
    if na == 0.0 || nb == 0.0 || !dot(a, b).is_finite() {
        return None;
    }
    let part = |sign: f64| norm(&a.iter().zip(b).map(|(a, b)| a / na + sign * b / nb).collect::<Vec<f64>>());
    Some(2.0 * part(-1.0).atan2(part(1.0)).to_degrees())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angle_has_its_digits_near_zero_and_a_half_turn() {
        assert!((angle(&[1.0, 0.0], &[0.0, 3.0]).unwrap() - 90.0).abs() < 1e-12);
        assert!((angle(&[1.0, 0.0], &[-2.0, 0.0]).unwrap() - 180.0).abs() < 1e-12);
        let small = angle(&[1.0, 0.0], &[1.0, 1e-10]).unwrap();
        assert!((small / 1e-10f64.to_degrees() - 1.0).abs() < 1e-6);
        assert!(angle(&[0.0], &[1.0]).is_none());
    }
}
