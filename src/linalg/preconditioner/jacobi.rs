//! Diagonal scaling.

use super::Preconditioner;
use crate::error::{Error, Result};
use crate::linalg::operator::write_diagonal;
use crate::linalg::{Form, SymmetricOperator};

/// `diag(|b_ii|)⁻¹`; entries below 1e-10 of the largest count as that.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Jacobi {
    #[cfg_attr(feature = "serde", serde(skip))]
    inverse: Vec<f64>,
}

impl Preconditioner for Jacobi {
    fn update(&mut self, operator: &dyn SymmetricOperator) -> Result<()> {
        self.inverse.resize(operator.dim(), 0.0);
        if !write_diagonal(operator, &mut self.inverse) {
            return Err(Error::Unsupported { what: "Jacobi preconditioner", requirement: "an operator that shows its diagonal" });
        }
        Error::check_finite("diagonal of the operator", &self.inverse)?;
        let largest = self.inverse.iter().fold(0.0f64, |m, d| m.max(d.abs()));
        let floor = if largest > 0.0 { 1e-10 * largest } else { 1.0 };
        self.inverse.iter_mut().for_each(|d| *d = 1.0 / d.abs().max(floor));
        Ok(())
    }
}

impl SymmetricOperator for Jacobi {
    fn dim(&self) -> usize {
        self.inverse.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(v).zip(&self.inverse).for_each(|((o, v), d)| *o = d * v);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Diagonal(&self.inverse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{Diagonal, SparseMatrix};

    struct Opaque;
    impl SymmetricOperator for Opaque {
        fn dim(&self) -> usize {
            2
        }
        fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(v);
            Ok(())
        }
    }

    #[test]
    fn jacobi_inverts_moduli_and_keeps_zero_entries_finite() {
        let mut m = Jacobi::default();
        m.update(&Diagonal(vec![4.0, -2.0, 0.0])).unwrap();
        let mut out = [0.0; 3];
        m.apply(&[1.0, 1.0, 1.0], &mut out).unwrap();
        assert_eq!(out, [0.25, 0.5, 1.0 / 4e-10]);
        let pattern = std::sync::Arc::new(crate::linalg::operator::Pattern::from_pairs(2, [(0, 1)]).unwrap());
        m.update(&SparseMatrix::new(pattern, vec![2.0, 1.0, 1.0, 5.0]).unwrap()).unwrap();
        assert_eq!(m.inverse, [0.5, 0.2]);
    }

    #[test]
    fn jacobi_of_products_only_is_a_typed_error() {
        assert!(matches!(Jacobi::default().update(&Opaque), Err(Error::Unsupported { .. })));
        assert!(matches!(Jacobi::default().update(&Diagonal(vec![f64::NAN])), Err(Error::NonFinite { .. })));
    }
}
