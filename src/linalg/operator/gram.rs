//! `JᵀJ`, never formed unless asked for, together with the residual it belongs to.

use super::{Form, SymmetricOperator};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot};

/// A Gauss–Newton matrix `B = JᵀJ` by its factor: what a solver needs to work on `J` itself, whose condition number is the
/// square root of that of `B`.
#[derive(Debug, Clone, Copy)]
pub struct Gram<'a> {
    /// Columns of `J`.
    pub n: usize,
    /// `J`, `m × n`, column-major.
    pub jacobian: &'a [f64],
    /// `r`, `m` values: the gradient is `Jᵀr`.
    pub residual: &'a [f64],
}

impl<'a> Gram<'a> {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn new(n: usize, jacobian: &'a [f64], residual: &'a [f64]) -> Result<Self> {
        Error::check_len("Jacobian", n * residual.len(), jacobian.len())?;
        Ok(Self { n, jacobian, residual })
    }

    /// Column `j` of `J`.
    pub fn column(&self, j: usize) -> &'a [f64] {
        let m = self.residual.len();
        &self.jacobian[j * m..(j + 1) * m]
    }

    /// `out ← Jᵀr`.
    pub fn gradient(&self, out: &mut [f64]) {
        out.iter_mut().enumerate().for_each(|(j, o)| *o = dot(self.column(j), self.residual));
    }

    /// `out ← JᵀJ`, `n × n`, both triangles.
    pub fn write(&self, out: &mut [f64]) {
        for j in 0..self.n {
            for i in 0..=j {
                let v = dot(self.column(i), self.column(j));
                (out[j * self.n + i], out[i * self.n + j]) = (v, v);
            }
        }
    }
}

impl SymmetricOperator for Gram<'_> {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.n, v.len())?;
        Error::check_len("product", self.n, out.len())?;
        let mut jv = vec![0.0; self.residual.len()];
        v.iter().enumerate().for_each(|(j, &v)| axpy(v, self.column(j), &mut jv));
        out.iter_mut().enumerate().for_each(|(j, o)| *o = dot(self.column(j), &jv));
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Gram(*self)
    }
}
