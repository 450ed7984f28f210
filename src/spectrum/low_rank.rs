//! The best approximation of a given rank, from the eigenpairs of largest modulus.

use super::Lanczos;
use super::lanczos::Wanted;
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::operator::LowRank;

/// The eigenpairs of largest modulus as a matrix.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LeadingPairs {
    /// `V diag(w) Vᵀ`, values by falling modulus.
    pub matrix: LowRank,
    /// `‖Bv − wv‖` of each pair.
    pub errors: Vec<f64>,
    /// Products made.
    pub products: u64,
    /// True if every error met the tolerance.
    pub converged: bool,
}

impl Lanczos {
    /// The approximation of `operator` by `rank` eigenpairs of largest modulus, which is the best of its rank in every
    /// unitarily invariant norm (Eckart & Young 1936). `lowest`, `highest` and `vectors` of the options are not looked at.
    ///
    /// # Errors
    /// As [`extremes`](Self::extremes); [`Error::Config`] for rank zero.
    pub fn low_rank(&self, operator: &dyn SymmetricOperator, rank: usize) -> Result<LeadingPairs> {
        Error::check_option(rank > 0, "rank", "positive", rank)?;
        let options = Lanczos { lowest: 0, highest: rank, vectors: true, ..*self };
        options.validate()?;
        let n = operator.dim();
        let found = options.iterate(operator, None, Wanted::Modulus(rank.min(n)))?;
        let (mut vectors, mut values, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (_, pair) in found.wanted {
            vectors.extend_from_slice(&pair.vector);
            values.push(pair.value);
            errors.push(pair.error);
        }
        let matrix = LowRank::new(n, vectors, values)?;
        Ok(LeadingPairs { matrix, errors, products: found.products, converged: found.converged })
    }
}
