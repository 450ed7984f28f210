//! Matrices made of others: sums with factors, and parts that belong to some of the variables.

use super::{Operator, SymmetricOperator};
use crate::error::{Error, Result};
use crate::linalg::vector::axpy;

/// `Σ cᵢ Bᵢ` of matrices of one size: a difference of two curvatures, a scaled one, one with a regulariser.
///
/// # Example
/// ```
/// use curvkit::linalg::SymmetricOperator;
/// use curvkit::linalg::operator::{Combination, Diagonal, ScaledIdentity};
/// let twice = Combination::new(vec![
///     (2.0, Box::new(Diagonal(vec![1.0, 3.0]))),
///     (-1.0, Box::new(ScaledIdentity { n: 2, c: 1.0 })),
/// ])?;
/// let mut out = [0.0; 2];
/// twice.apply(&[1.0, 1.0], &mut out)?;
/// assert_eq!(out, [1.0, 5.0]);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub struct Combination<'a> {
    terms: Vec<(f64, Operator<'a>)>,
}

impl<'a> Combination<'a> {
    /// From factors and matrices.
    ///
    /// # Errors
    /// [`Error::Config`] without terms, [`Error::Dimension`] if the sizes differ.
    pub fn new(terms: Vec<(f64, Operator<'a>)>) -> Result<Self> {
        Error::check_option(!terms.is_empty(), "terms", "at least one", 0)?;
        let n = terms[0].1.dim();
        terms.iter().try_for_each(|(_, b)| Error::check_len("matrix of a sum", n, b.dim()))?;
        Ok(Self { terms })
    }
}

impl SymmetricOperator for Combination<'_> {
    fn dim(&self) -> usize {
        self.terms[0].1.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let mut part = vec![0.0; out.len()];
        out.fill(0.0);
        for (c, b) in &self.terms {
            b.apply(v, &mut part)?;
            axpy(*c, &part, out);
        }
        Ok(())
    }
}

/// The rows and columns of a matrix that belong to some of the variables.
pub struct Restricted<'a> {
    whole: Operator<'a>,
    variables: Vec<usize>,
}

impl<'a> Restricted<'a> {
    /// Keeps the given variables, in their order.
    ///
    /// # Errors
    /// [`Error::Config`] for a variable that there is not.
    pub fn new(whole: Operator<'a>, variables: Vec<usize>) -> Result<Self> {
        for i in &variables {
            Error::check_option(*i < whole.dim(), "variable", "one of the matrix", i)?;
        }
        Ok(Self { whole, variables })
    }
}

impl SymmetricOperator for Restricted<'_> {
    fn dim(&self) -> usize {
        self.variables.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        let (mut all, mut product) = (vec![0.0; self.whole.dim()], vec![0.0; self.whole.dim()]);
        self.variables.iter().zip(v).for_each(|(i, v)| all[*i] = *v);
        self.whole.apply(&all, &mut product)?;
        out.iter_mut().zip(&self.variables).for_each(|(o, i)| *o = product[*i]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{DenseMatrix, Diagonal, write_dense};

    #[test]
    fn restriction_keeps_rows_and_columns() {
        let whole = DenseMatrix::new(3, vec![1.0, 2.0, 3.0, 2.0, 4.0, 5.0, 3.0, 5.0, 6.0]).unwrap();
        let part = Restricted::new(Box::new(&whole), vec![2, 0]).unwrap();
        let mut entries = [0.0; 4];
        write_dense(&part, &mut entries).unwrap();
        assert_eq!(entries, [6.0, 3.0, 3.0, 1.0]);
        assert!(Restricted::new(Box::new(&whole), vec![3]).is_err());
    }

    #[test]
    fn sums_of_different_sizes_are_refused() {
        assert!(Combination::new(vec![]).is_err());
        let sizes: Vec<(f64, Operator<'_>)> =
            vec![(1.0, Box::new(Diagonal(vec![1.0]))), (1.0, Box::new(Diagonal(vec![1.0, 2.0])))];
        assert!(matches!(Combination::new(sizes), Err(Error::Dimension { expected: 1, found: 2, .. })));
    }
}
