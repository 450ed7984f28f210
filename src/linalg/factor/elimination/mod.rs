//! Normal equations by elimination: variables in many small blocks that are coupled only through the rest go first.
//!
//! With `C` block diagonal and small blocks, `(JᵀJ + μD²) p = −g` reads
//!
//! ```text
//! [ C  Eᵀ ] [pₑ]     [gₑ]      S p_f = −g_f + E C⁻¹ gₑ,   S = B − E C⁻¹ Eᵀ
//! [ E  B  ] [p_f] = −[g_f]      pₑ    = −C⁻¹ (gₑ + Eᵀ p_f)
//! ```
//!
//! `C`, `E` and `B` are never stored: each cell (an eliminated block with the rows that touch it) is formed from the Jacobian
//! in a few vector registers' worth of memory, factored, and subtracted from a dense reduced matrix `S`. Pieces of consecutive
//! cells run in parallel, each into its own copy of `S`; the copies are added in order, so the result does not depend on the
//! number of threads.
//!
//! # Reference
//! Brown (1958), *A solution to the general problem of multiple station analytical stereotriangulation*; Triggs, McLauchlan,
//! Hartley & Fitzgibbon (2000), *Bundle adjustment – a modern synthesis*, §6.1.

mod detect;
mod piece;
mod plan;
#[cfg(test)]
mod tests;

use super::NotPositiveDefinite;
use super::dense::DenseCholesky;
use crate::error::Result;
use crate::linalg::operator::{JacobianPattern, SparseGram};
use piece::Piece;
use plan::Plan;
use rayon::prelude::*;

/// Variables in an eliminated block, at most.
pub(super) const MAX_BLOCK: usize = 8;
/// Rows of the reduced matrix are padded to vectors of this many numbers.
const LANES: usize = 4;
/// Pieces of work at most, and the memory that their copies of the reduced matrix may take if there are more than two.
const MAX_PIECES: usize = 16;
const MEMORY: usize = 64 << 20;
/// Cells in a piece, at least.
const CELLS: usize = 64;

/// `(JᵀJ + damping D²) p = −gradient`, `D = diag(scale)`.
pub(super) struct Damped<'a> {
    pub gram: SparseGram<'a>,
    pub gradient: &'a [f64],
    pub scale: &'a [f64],
    pub damping: f64,
}

/// The elimination of some variables of a pattern: its plan, buffers and the last factors.
#[derive(Debug, Clone)]
pub(super) struct Elimination {
    plan: Plan,
    pieces: Vec<Piece>,
    dense: DenseCholesky,
    solution: Vec<f64>,
}

impl Elimination {
    /// For the variables that suit, if there are such.
    pub fn detect(pattern: &JacobianPattern) -> Option<Self> {
        let (class, n_classes) = detect::classes(pattern);
        let marked = detect::independent(pattern, (&class, n_classes))?;
        Plan::new(pattern, &marked, (&class, n_classes)).ok().map(|plan| Self::with(plan, pattern))
    }

    /// For the variables marked.
    ///
    /// # Errors
    /// [`Dimension`](crate::Error::Dimension) if there are not `n` marks; [`Config`](crate::Error::Config) if more than [`MAX_BLOCK`] of them are coupled.
    pub fn new(pattern: &JacobianPattern, marked: &[bool]) -> Result<Self> {
        let (class, n_classes) = detect::classes(pattern);
        Ok(Self::with(Plan::new(pattern, marked, (&class, n_classes))?, pattern))
    }

    fn with(plan: Plan, pattern: &JacobianPattern) -> Self {
        let by_memory = (MEMORY / (8 * plan.rows * plan.reduced).max(1)).max(2);
        let n_pieces = (plan.cells.len() / CELLS).clamp(1, MAX_PIECES).min(by_memory);
        let of =
            |block: &plan::CellBlock| pattern.groups()[block.group as usize].height() * plan.shapes[block.shape as usize].stride;
        let rows = plan.blocks.iter().map(of).max().unwrap_or(0);
        let pieces = plan.pieces(n_pieces).into_iter().map(|cells| Piece::new(&plan, cells, rows)).collect();
        let solution = vec![0.0; plan.reduced];
        Self { plan, pieces, dense: DenseCholesky::default(), solution }
    }

    /// Dimension of the reduced system.
    pub fn reduced(&self) -> usize {
        self.plan.reduced
    }

    /// `p ← −(JᵀJ + damping D²)⁻¹ gradient`.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] at the first pivot that is not positive.
    pub fn solve(&mut self, problem: &Damped<'_>, p: &mut [f64]) -> std::result::Result<(), NotPositiveDefinite> {
        let plan = &self.plan;
        let failed: Option<usize> =
            self.pieces.par_iter_mut().map(|piece| piece.eliminate(plan, problem)).find_first(Option::is_some).flatten();
        if let Some(pivot) = failed {
            return Err(NotPositiveDefinite { pivot, deficit: 0.0 });
        }
        self.add_up(problem);
        let variable = |column: usize| self.plan.classes.iter().flat_map(|c| &c.variables).nth(column).map_or(0, |&i| i as usize);
        self.dense.factor(0.0).map_err(|e| NotPositiveDefinite { pivot: variable(e.pivot), deficit: 0.0 })?;
        self.dense.forward(&mut self.solution);
        self.dense.backward(&mut self.solution);
        self.plan.eliminated.iter().for_each(|&i| p[i as usize] = 0.0);
        for class in &self.plan.classes {
            class.variables.iter().zip(&self.solution[class.column..]).for_each(|(&i, v)| p[i as usize] = *v);
        }
        let (plan, known) = (&self.plan, &*p);
        self.pieces.par_iter_mut().for_each(|piece| piece.back(plan, &problem.gram, known));
        for piece in &self.pieces {
            let variables = &self.plan.eliminated[piece.variables(&self.plan)];
            variables.iter().zip(&piece.solution).for_each(|(&i, v)| p[i as usize] = *v);
        }
        Ok(())
    }

    /// The reduced system from the pieces' shares.
    fn add_up(&mut self, problem: &Damped<'_>) {
        let (plan, pieces) = (&self.plan, &self.pieces);
        let n = plan.reduced;
        let entries = self.dense.entries_mut(n);
        for (c, class) in plan.classes.iter().enumerate() {
            for (j, &i) in class.variables.iter().enumerate() {
                let column = class.column + j;
                let out = &mut entries[column * n..(column + 1) * n];
                out.fill(0.0);
                let mut right = -problem.gradient[i as usize];
                for piece in pieces {
                    let share = &piece.schur[column * plan.rows..(column + 1) * plan.rows];
                    for lower in &plan.classes[c..] {
                        let rows = &mut out[lower.column..lower.column + lower.variables.len()];
                        rows.iter_mut().zip(&share[lower.row..]).for_each(|(o, s)| *o += s);
                    }
                    right += piece.right[class.row + j];
                }
                let d = problem.scale[i as usize];
                out[column] += problem.damping * d * d;
                self.solution[column] = right;
            }
        }
    }
}
