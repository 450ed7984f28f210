//! Entries of curvature matrices of models: whole, diagonal, or one block a layer.
//!
//! They come from the same backward passes as the products: sums of outer products or of squares of per-sample gradients,
//! never from products with unit vectors.

use super::{Averaged, Curvature, GaussNewton, Invertible, OuterProducts};
use crate::counts::{self, Counts};
use crate::error::{Error, Result};
use crate::linalg::gram::{add_gram, mirror};
use crate::linalg::matrix::view;
use crate::linalg::operator::{self, BlockDiagonal, ClosedForm, DenseMatrix};
use crate::linalg::vector::{axpy, scale};
use crate::linalg::{Form, Operator, SymmetricOperator, Vector};
use crate::model::Block;
use crate::problem::{At, Evaluation, Supervised};

/// A curvature of supervised problems whose matrix is known in closed form.
pub trait Explicit: Send + Sync {
    /// The matrix of the data term at a point, without the regulariser.
    ///
    /// # Errors
    /// A loss that is not a likelihood where one is needed; what the model reports.
    fn matrix(&self, at: &Evaluation) -> Result<Box<dyn ClosedForm>>;
}

/// All entries of a curvature matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Dense<S = GaussNewton>(pub S);

/// The diagonal of a curvature matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Diagonal<S = GaussNewton>(pub S);

/// The diagonal blocks of a curvature matrix, one for each part of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Blocks<S = GaussNewton>(pub S);

/// Samples whose gradients are formed at a time.
const CHUNK: usize = 128;

/// `B = w Σ g gᵀ` restricted to each of the ranges.
fn entries(source: &dyn OuterProducts, at: &Evaluation, ranges: &[std::ops::Range<usize>]) -> Result<Vec<DenseMatrix>> {
    let mut matrices: Vec<Vec<f64>> = ranges.iter().map(|r| vec![0.0; r.len() * r.len()]).collect();
    let n = at.n_params();
    let mut gradients = vec![0.0; n * CHUNK.min(at.n())];
    let weight = source.each(at, &mut |pass| {
        for first in (0..at.n()).step_by(CHUNK) {
            let chunk = &mut gradients[..n * CHUNK.min(at.n() - first)];
            for (i, g) in chunk.chunks_exact_mut(n).enumerate() {
                pass.sample_gradient(first + i, g)?;
            }
            let all = view(chunk, n);
            for (matrix, range) in matrices.iter_mut().zip(ranges) {
                add_gram(all.subrows(range.start, range.len()), range.len(), matrix);
            }
        }
        Ok(())
    })?;
    let finish = |(mut matrix, range): (Vec<f64>, &std::ops::Range<usize>)| {
        mirror(range.len(), &mut matrix);
        scale(weight, &mut matrix);
        DenseMatrix::new(range.len(), matrix)
    };
    matrices.into_iter().zip(ranges).map(finish).collect()
}

impl<S: OuterProducts> Dense<S> {
    fn entries(&self, at: &Evaluation) -> Result<DenseMatrix> {
        let whole = 0..at.n_params();
        let mut matrices = entries(&self.0, at, &[whole])?;
        Ok(matrices.swap_remove(0))
    }
}

impl<S: OuterProducts> Diagonal<S> {
    fn entries(&self, at: &Evaluation) -> Result<Vec<f64>> {
        let mut diagonal = vec![0.0; at.n_params()];
        let weight = self.0.each(at, &mut |pass| pass.add_squares(&mut diagonal))?;
        scale(weight, &mut diagonal);
        Ok(diagonal)
    }
}

impl<S: OuterProducts> Explicit for Dense<S> {
    fn matrix(&self, at: &Evaluation) -> Result<Box<dyn ClosedForm>> {
        Ok(Box::new(self.entries(at)?))
    }
}

impl<S: OuterProducts> Explicit for Diagonal<S> {
    fn matrix(&self, at: &Evaluation) -> Result<Box<dyn ClosedForm>> {
        Ok(Box::new(operator::Diagonal(self.entries(at)?)))
    }
}

impl<S: OuterProducts> Explicit for Blocks<S> {
    fn matrix(&self, at: &Evaluation) -> Result<Box<dyn ClosedForm>> {
        Ok(Box::new(block_diagonal(self.entries(at)?)))
    }
}

impl<S: OuterProducts> Blocks<S> {
    fn entries(&self, at: &Evaluation) -> Result<Vec<DenseMatrix>> {
        let ranges: Vec<_> = at.layout().iter().map(Block::range).collect();
        entries(&self.0, at, &ranges)
    }
}

fn block_diagonal(blocks: Vec<DenseMatrix>) -> BlockDiagonal {
    BlockDiagonal::new(blocks.into_iter().map(|b| Box::new(b) as Box<dyn ClosedForm>).collect())
}

fn regularized(mut matrix: DenseMatrix, l2: f64) -> DenseMatrix {
    let n = matrix.dim();
    matrix.entries_mut().iter_mut().step_by(n + 1).for_each(|d| *d += l2);
    matrix
}

/// The only one of the means.
fn only(mut means: Vec<Vec<f64>>) -> Result<Vec<f64>> {
    Error::check_len("statistics of a matrix", 1, means.len())?;
    Ok(means.swap_remove(0))
}

fn n_params(layout: &[Block]) -> usize {
    layout.iter().map(|block| block.range().len()).sum()
}

impl<S: OuterProducts> Averaged for Dense<S> {
    fn statistics(&self, at: &Evaluation) -> Result<Vec<Vec<f64>>> {
        Ok(vec![self.entries(at)?.into_entries()])
    }
    fn of_means(&self, layout: &[Block], l2: f64, means: Vec<Vec<f64>>) -> Result<(Box<dyn Invertible>, f64)> {
        let matrix = DenseMatrix::new(n_params(layout), only(means)?)?;
        Ok((Box::new(regularized(matrix, l2)), 0.0))
    }
    fn redraw(&mut self) {
        self.0.redraw();
    }
}

impl<S: OuterProducts> Averaged for Diagonal<S> {
    fn statistics(&self, at: &Evaluation) -> Result<Vec<Vec<f64>>> {
        Ok(vec![self.entries(at)?])
    }
    fn of_means(&self, layout: &[Block], l2: f64, means: Vec<Vec<f64>>) -> Result<(Box<dyn Invertible>, f64)> {
        let mut diagonal = only(means)?;
        Error::check_len("diagonal", n_params(layout), diagonal.len())?;
        diagonal.iter_mut().for_each(|d| *d += l2);
        Ok((Box::new(operator::Diagonal(diagonal)), 0.0))
    }
    fn redraw(&mut self) {
        self.0.redraw();
    }
}

impl<S: OuterProducts> Averaged for Blocks<S> {
    fn statistics(&self, at: &Evaluation) -> Result<Vec<Vec<f64>>> {
        Ok(self.entries(at)?.into_iter().map(DenseMatrix::into_entries).collect())
    }
    fn of_means(&self, layout: &[Block], l2: f64, means: Vec<Vec<f64>>) -> Result<(Box<dyn Invertible>, f64)> {
        Error::check_len("statistics of a matrix", layout.len(), means.len())?;
        let blocks = layout.iter().zip(means).map(|(block, mean)| DenseMatrix::new(block.range().len(), mean));
        Ok((Box::new(block_diagonal(blocks.collect::<Result<_>>()?)), l2))
    }
    fn redraw(&mut self) {
        self.0.redraw();
    }
}

impl<P: Vector, S: OuterProducts> Curvature<Supervised<P>> for Dense<S> {
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        counts::add(&at.counts.hessian, 1);
        let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
        Ok(Box::new(regularized(self.entries(&here)?, here.l2())))
    }
}

impl<P: Vector, S: OuterProducts> Curvature<Supervised<P>> for Diagonal<S> {
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
        let mut diagonal = self.entries(&here)?;
        diagonal.iter_mut().for_each(|d| *d += here.l2());
        Ok(Box::new(operator::Diagonal(diagonal)))
    }
}

impl<P: Vector, S: OuterProducts> Curvature<Supervised<P>> for Blocks<S> {
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
        Ok(Box::new(Shifted::new(self.matrix(&here)?, here.l2(), at.counts)))
    }
}

/// A matrix in closed form plus the regulariser's `λ I`.
pub(super) struct Shifted<'a> {
    matrix: Box<dyn ClosedForm>,
    shift: f64,
    counts: &'a Counts,
}

impl<'a> Shifted<'a> {
    pub fn new(matrix: Box<dyn ClosedForm>, shift: f64, counts: &'a Counts) -> Self {
        Self { matrix, shift, counts }
    }
}

impl SymmetricOperator for Shifted<'_> {
    fn dim(&self) -> usize {
        self.matrix.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        counts::add(&self.counts.hessian_product, 1);
        self.matrix.apply(v, out)?;
        axpy(self.shift, v, out);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::Product
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(self.matrix.damped_inverse(damping + self.shift).map(|inverse| inverse as Operator<'_>))
    }
}
