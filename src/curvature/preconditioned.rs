//! A curvature with a preconditioner: [`Preconditioned`].

use super::{Curvature, Order};
use crate::error::Result;
use crate::linalg::preconditioner::Preconditioner;
use crate::linalg::{Form, Operator, SymmetricOperator};
use crate::problem::{At, Objective};

/// The curvature `C`, whose operators offer the preconditioner `P` to Krylov methods; `P` is rebuilt at each point.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Preconditioned<C, P>(pub C, pub P);

struct WithPreconditioner<'a> {
    operator: Operator<'a>,
    preconditioner: &'a dyn SymmetricOperator,
}

impl SymmetricOperator for WithPreconditioner<'_> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.operator.apply(v, out)
    }
    fn form(&self) -> Form<'_> {
        self.operator.form()
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        self.operator.inverse(damping)
    }
    fn preconditioner(&self) -> Option<&dyn SymmetricOperator> {
        Some(self.preconditioner)
    }
}

impl<O: Objective, C: Curvature<O>, P: Preconditioner> Curvature<O> for Preconditioned<C, P> {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let operator = self.0.at(at)?;
        self.1.update(&*operator)?;
        Ok(Box::new(WithPreconditioner { operator, preconditioner: &self.1 }))
    }
    fn begin(&mut self) {
        self.0.begin();
        self.1.begin();
    }
    fn order(&self) -> Order {
        self.0.order()
    }
    fn accepted(&mut self, step: &[f64], gradient_change: &[f64]) {
        self.0.accepted(step, gradient_change);
        self.1.accepted(step, gradient_change);
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        self.0.exact(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;
    use crate::curvature::Hessian;
    use crate::linalg::operator::DenseMatrix;
    use crate::linalg::preconditioner::{Jacobi, QuasiNewton};
    use argmin::core::{CostFunction, Error, Gradient};

    /// `x₀⁴ + 3 x₁²`.
    struct Quartic;

    impl CostFunction for Quartic {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, Error> {
            Ok(x[0].powi(4) + 3.0 * x[1] * x[1])
        }
    }
    impl Gradient for Quartic {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, Error> {
            Ok(vec![4.0 * x[0].powi(3), 6.0 * x[1]])
        }
    }
    impl argmin::core::Hessian for Quartic {
        type Param = Vec<f64>;
        type Hessian = DenseMatrix;
        fn hessian(&self, x: &Vec<f64>) -> std::result::Result<DenseMatrix, Error> {
            Ok(DenseMatrix::new(2, vec![12.0 * x[0] * x[0], 0.0, 0.0, 6.0])?)
        }
    }

    #[test]
    fn preconditioned_curvature_rebuilds_its_preconditioner_at_each_point() {
        let counts = Counts::default();
        let mut curvature = Preconditioned(Hessian, Jacobi::default());
        for x in [1.0, 2.0] {
            let point = vec![x, 1.0];
            let operator = curvature.at(At { problem: &Quartic, x: &point, rows: None, counts: &counts }).unwrap();
            let (mut product, mut back) = (vec![0.0; 2], vec![0.0; 2]);
            operator.apply(&[1.0, -2.0], &mut product).unwrap();
            assert_eq!(product, [12.0 * x * x, -12.0]);
            operator.preconditioner().unwrap().apply(&product, &mut back).unwrap();
            assert!((back[0] - 1.0).abs() < 1e-15 && (back[1] + 2.0).abs() < 1e-15);
        }
    }

    #[test]
    fn preconditioned_curvature_hands_accepted_steps_on() {
        let mut curvature = Preconditioned(Hessian, QuasiNewton::new(3).unwrap());
        Curvature::<Quartic>::accepted(&mut curvature, &[1.0, 0.0], &[2.0, 0.0]);
        assert_eq!(curvature.1.len(), 1);
    }
}
