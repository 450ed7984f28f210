//! `JᵀJ` of a sparse Jacobian, never formed unless asked for, together with the residual it belongs to.
//!
//! Every entry of a transposed product is summed by one thread, in the order of the rows: results do not depend on the
//! number of threads.

use super::{Form, JacobianPattern, RowGroup, SymmetricOperator};
use crate::error::{Error, Result};
use pulp::Arch;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Blocks in one piece of a parallel product.
const BLOCKS: usize = 1 << 12;

/// A Gauss–Newton matrix `B = JᵀJ` by its sparse factor.
#[derive(Debug, Clone, Copy)]
pub struct SparseGram<'a> {
    /// Structure of `J`, shared by all points of a problem.
    pub pattern: &'a Arc<JacobianPattern>,
    /// Entries of `J` in the order of the pattern.
    pub values: &'a [f64],
    /// `r`, `m` values: the gradient is `Jᵀr`.
    pub residual: &'a [f64],
}

impl<'a> SparseGram<'a> {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Dimension`].
    pub fn new(pattern: &'a Arc<JacobianPattern>, values: &'a [f64], residual: &'a [f64]) -> Result<Self> {
        Error::check_len("Jacobian entries", pattern.nnz(), values.len())?;
        Error::check_len("residual", pattern.m(), residual.len())?;
        Ok(Self { pattern, values, residual })
    }

    /// The entries of `J` with some columns set to zero, in the order of the pattern.
    pub fn without_columns(&self, dropped: &[bool]) -> Vec<f64> {
        let mut values = self.values.to_vec();
        for group in self.pattern.groups() {
            let (block, width) = (group.height() * group.width(), group.width());
            for (k, block) in values[group.all_values()].chunks_exact_mut(block).enumerate() {
                for row in block.chunks_exact_mut(width) {
                    let entries = row.iter_mut().zip(group.variables(k));
                    entries.filter(|(_, i)| dropped[**i as usize]).for_each(|(v, _)| *v = 0.0);
                }
            }
        }
        values
    }

    /// `out ← Jᵀr`.
    pub fn gradient(&self, out: &mut [f64]) {
        self.transposed_product(self.residual, out);
    }

    /// `out ← J v`, `m` values.
    pub fn product(&self, v: &[f64], out: &mut [f64]) {
        for group in self.pattern.groups() {
            let (m, width) = (group.height(), group.width());
            let rows = &mut out[group.all_rows()];
            let values = &self.values[group.all_values()];
            let block = |k: usize, out: &mut [f64], values: &[f64]| {
                let tuple = group.variables(k);
                for (o, row) in out.iter_mut().zip(values.chunks_exact(width)) {
                    *o = row.iter().zip(tuple).map(|(a, &i)| a * v[i as usize]).sum();
                }
            };
            let size = BLOCKS * m;
            rows.par_chunks_mut(size).zip(values.par_chunks(size * width)).enumerate().for_each(|(c, (out, values))| {
                for (k, (out, values)) in out.chunks_exact_mut(m).zip(values.chunks_exact(m * width)).enumerate() {
                    block(c * BLOCKS + k, out, values);
                }
            });
        }
    }

    /// `out ← Jᵀu`, `n` values.
    pub fn transposed_product(&self, u: &[f64], out: &mut [f64]) {
        self.by_runs::<false>(u, out);
    }

    /// `out ← diag(JᵀJ)`: the squared length of each column.
    pub fn column_squares(&self, out: &mut [f64]) {
        self.by_runs::<true>(self.residual, out);
    }

    /// `out ← JᵀJ`, `n × n`, both triangles.
    pub fn write(&self, out: &mut [f64]) {
        let n = self.pattern.n();
        out.fill(0.0);
        for group in self.pattern.groups() {
            for k in 0..group.len() {
                let tuple = group.variables(k);
                for row in self.rows_of(group, k) {
                    for (&j, b) in tuple.iter().zip(row) {
                        tuple.iter().zip(row).for_each(|(&i, a)| out[j as usize * n + i as usize] += a * b);
                    }
                }
            }
        }
    }

    /// `values ← D⁻¹ JᵀJ D⁻¹` in the order of the pattern's [`gram`](JacobianPattern::gram), for `D = diag(scale)`.
    pub fn write_sparse(&self, scale: Option<&[f64]>, values: &mut [f64]) {
        let pattern = self.pattern.gram();
        let (starts, rows) = (pattern.column_starts(), pattern.row_indices());
        let of = |i: usize| scale.map_or(1.0, |d| 1.0 / d[i]);
        let first_of = |run: usize| starts[self.pattern.runs()[run]];
        self.pattern.by_runs(values, &first_of, &|runs, out| {
            // Sums of one column at the places of its rows; only those are ever looked at.
            let mut work = vec![0.0; self.pattern.n()];
            let first = first_of(runs.start);
            for run in runs {
                let variables = self.pattern.runs()[run]..self.pattern.runs()[run + 1];
                for (offset, j) in variables.enumerate() {
                    let own = &rows[starts[j]..starts[j + 1]];
                    own.iter().for_each(|&i| work[i] = 0.0);
                    for group in self.pattern.groups() {
                        for &(k, place) in group.touching(run) {
                            for row in self.rows_of(group, k as usize) {
                                let b = row[place as usize + offset];
                                group.variables(k as usize).iter().zip(row).for_each(|(&i, a)| work[i as usize] += a * b);
                            }
                        }
                    }
                    let column = &mut out[starts[j] - first..starts[j + 1] - first];
                    column.iter_mut().zip(own).for_each(|(o, &i)| *o = work[i] * of(i) * of(j));
                }
            }
        });
    }

    /// The rows of block `k`.
    fn rows_of(&self, group: &RowGroup, k: usize) -> std::slice::ChunksExact<'a, f64> {
        self.values[group.values(k)].chunks_exact(group.width())
    }

    /// Sums over the rows that touch each run of their entries, times those of `u` or squared.
    fn by_runs<const SQUARED: bool>(&self, u: &[f64], out: &mut [f64]) {
        let runs = self.pattern.runs();
        self.pattern.by_runs(out, &|run| runs[run], &|range: Range<usize>, out: &mut [f64]| {
            let mut rest = out;
            // The closure consumes its range, so that it is called, and vectorized, in one piece.
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for run in range {
                        let (own, later) = std::mem::take(&mut rest).split_at_mut(runs[run + 1] - runs[run]);
                        // The usual lengths stay in registers.
                        match own.len() {
                            1 => own.copy_from_slice(&self.sum::<1, SQUARED>(run, u)),
                            2 => own.copy_from_slice(&self.sum::<2, SQUARED>(run, u)),
                            3 => own.copy_from_slice(&self.sum::<3, SQUARED>(run, u)),
                            4 => own.copy_from_slice(&self.sum::<4, SQUARED>(run, u)),
                            6 => own.copy_from_slice(&self.sum::<6, SQUARED>(run, u)),
                            7 => own.copy_from_slice(&self.sum::<7, SQUARED>(run, u)),
                            9 => own.copy_from_slice(&self.sum::<9, SQUARED>(run, u)),
                            _ => self.sum_long::<SQUARED>(run, u, own),
                        }
                        rest = later;
                    }
                },
            );
        });
    }

    /// Calls `add(row from the run's place on, entry of u)` for each row that touches the run.
    #[inline(always)]
    fn touching_rows(&self, run: usize, u: &[f64], mut add: impl FnMut(&[f64], f64)) {
        for group in self.pattern.groups() {
            for &(k, place) in group.touching(run) {
                let rows = self.rows_of(group, k as usize).zip(&u[group.rows(k as usize)]);
                rows.for_each(|(row, u)| add(&row[place as usize..], *u));
            }
        }
    }

    #[inline(always)]
    fn sum<const L: usize, const SQUARED: bool>(&self, run: usize, u: &[f64]) -> [f64; L] {
        let mut sum = [0.0; L];
        self.touching_rows(run, u, |row, u| {
            if let Some(row) = row.first_chunk::<L>() {
                (0..L).for_each(|l| sum[l] += row[l] * if SQUARED { row[l] } else { u });
            }
        });
        sum
    }

    fn sum_long<const SQUARED: bool>(&self, run: usize, u: &[f64], own: &mut [f64]) {
        own.fill(0.0);
        self.touching_rows(run, u, |row, u| own.iter_mut().zip(row).for_each(|(o, a)| *o += a * if SQUARED { *a } else { u }));
    }
}

impl SymmetricOperator for SparseGram<'_> {
    fn dim(&self) -> usize {
        self.pattern.n()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.pattern.n(), v.len())?;
        Error::check_len("product", self.pattern.n(), out.len())?;
        let mut jv = vec![0.0; self.pattern.m()];
        self.product(v, &mut jv);
        self.transposed_product(&jv, out);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        Form::SparseGram(*self)
    }
}
