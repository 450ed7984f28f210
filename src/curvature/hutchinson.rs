//! The Hessian's diagonal from random products, `E[z ⊙ ∇²f z]` over random signs.
//!
//! Bekas, Kokiopoulou & Saad 2007; as a curvature Yao et al. 2021 (AdaHessian), who take one probe a step and the moduli.

use super::hessian::products;
use super::{Curvature, Subsampled};
use crate::error::Result;
use crate::linalg::Operator;
use crate::linalg::operator::Diagonal;
use crate::problem::{At, HessianProduct};
use crate::spectrum::hutchinson_diagonal;

/// An estimate of the exact Hessian's diagonal for problems with Hessian products; new probes at every point. Where there are
/// as many probes as variables the diagonal is exact.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HutchinsonDiagonal {
    /// Products at a point; 1 by default.
    pub probes: usize,
    /// Seed of the probes; 0 by default.
    pub seed: u64,
    /// Whether entries are replaced by their moduli; true by default.
    pub absolute: bool,
    /// Points so far.
    points: u64,
}

impl Default for HutchinsonDiagonal {
    fn default() -> Self {
        Self::new(1, 0)
    }
}

impl HutchinsonDiagonal {
    /// With moduli.
    pub fn new(probes: usize, seed: u64) -> Self {
        Self { probes, seed, absolute: true, points: 0 }
    }

    /// With signs, from the next probes.
    pub(super) fn estimate<O: HessianProduct>(&mut self, at: At<'_, O>) -> Result<Vec<f64>> {
        // A step by an odd constant, so that neighbouring seeds have no points in common for long.
        let seed = self.seed.wrapping_add(self.points.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let found = hutchinson_diagonal(&*products(at), self.probes, seed)?;
        self.points += 1;
        Ok(found.values)
    }
}

impl<O: HessianProduct> Curvature<O> for HutchinsonDiagonal {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let mut entries = self.estimate(at)?;
        if self.absolute {
            entries.iter_mut().for_each(|d| *d = d.abs());
        }
        Ok(Box::new(Diagonal(entries)))
    }
    fn begin(&mut self) {
        self.points = 0;
    }
    fn exact<'a>(&'a mut self, at: At<'a, O>) -> Option<Result<Operator<'a>>> {
        Some(Ok(products(at)))
    }
}

impl<O: HessianProduct> Subsampled<O> for HutchinsonDiagonal {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;
    use crate::error::Error;
    use crate::linalg::Form;
    use crate::linalg::operator::write_diagonal;
    use crate::problem::{Erased, HessianMatrix};
    use crate::testbed;

    fn diagonal(curvature: &mut HutchinsonDiagonal, counts: &Counts) -> (Vec<f64>, Vec<f64>) {
        let problem = testbed::problem("wood", None).unwrap();
        let erased = Erased(problem.function.clone());
        let operator = curvature.at(At { problem: &erased, x: &problem.start, rows: None, counts }).unwrap();
        let Form::Diagonal(found) = operator.form() else { panic!("not diagonal") };
        let mut exact = vec![0.0; found.len()];
        match problem.function.hessian(&problem.start).unwrap() {
            HessianMatrix::Dense(matrix) => write_diagonal(&matrix, &mut exact),
            HessianMatrix::Sparse(matrix) => write_diagonal(&matrix, &mut exact),
        };
        (found.to_vec(), exact)
    }

    #[test]
    fn hutchinson_diagonal_by_all_unit_vectors_is_the_hessians() {
        let counts = Counts::default();
        let (found, exact) = diagonal(&mut HutchinsonDiagonal { absolute: false, ..HutchinsonDiagonal::new(4, 0) }, &counts);
        assert!(found.iter().zip(&exact).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs()), "{found:?} {exact:?}");
        assert_eq!(counts.tally().hessian_product, 4);
    }

    #[test]
    fn hutchinson_diagonal_is_unbiased_with_new_probes_at_every_point() {
        let (counts, mut curvature) =
            (Counts::default(), HutchinsonDiagonal { absolute: false, ..HutchinsonDiagonal::new(1, 5) });
        let (mut sum, runs) = ([0.0; 4], 2000);
        let mut squares = [0.0; 4];
        let mut expected = Vec::new();
        for _ in 0..runs {
            let (found, exact) = diagonal(&mut curvature, &counts);
            (0..4).for_each(|i| (sum[i], squares[i]) = (sum[i] + found[i], squares[i] + found[i] * found[i]));
            expected = exact;
        }
        for i in 0..4 {
            let mean = sum[i] / f64::from(runs);
            let error = ((squares[i] / f64::from(runs) - mean * mean) / f64::from(runs)).sqrt();
            assert!(error > 0.0 && (mean - expected[i]).abs() < 4.0 * error, "{i}: {mean} ± {error}, {}", expected[i]);
        }
        let positive = diagonal(&mut HutchinsonDiagonal::default(), &counts).0;
        assert!(positive.iter().all(|d| *d >= 0.0));
        let problem = testbed::problem("wood", None).unwrap();
        let erased = Erased(problem.function.clone());
        let mut none = HutchinsonDiagonal::new(0, 0);
        let refused = none.at(At { problem: &erased, x: &problem.start, rows: None, counts: &counts });
        assert!(matches!(refused.err(), Some(Error::Config { .. })));
    }
}
