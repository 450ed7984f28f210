//! One front: assembly, elimination of its columns, and the update of the square below them.
//!
//! Small fronts take plain loops, large ones faer's blocked kernels; on several threads these work on blocks whose size
//! is fixed, so that the result does not depend on the number of threads.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::prelude::*;
use faer::{Accum, MatMut, Par};
use pulp::Arch;
use rayon::prelude::*;

/// Fronts of at most so many columns and multiplications take plain loops.
const SMALL_WIDTH: usize = 32;
const SMALL_WORK: usize = 60_000;
/// Multiplications from which on a front is shared between threads.
const SHARED: usize = 4_000_000;
/// Rows or columns of one block of a shared front.
const BLOCK: usize = 128;

/// A front being worked on: its columns, `height × width`, and the square below, of which the lower triangle counts.
pub(super) struct Front<'a> {
    pub width: usize,
    pub columns: &'a mut [f64],
    pub square: &'a mut [f64],
    /// Whether other threads may help.
    pub shared: bool,
}

/// What a child leaves: the square below its columns, and the places of its rows in the parent's front.
#[derive(Clone, Copy)]
pub(super) struct Child<'a> {
    pub places: &'a [u32],
    pub square: &'a [f64],
}

/// Adds a child's columns that belong to `target`, whose columns begin at `first` and whose rows begin at `skip`.
#[inline(always)]
fn extend_add(child: Child<'_>, target: &mut [f64], stride: usize, first: usize, skip: usize) {
    let places = child.places;
    let r = places.len();
    let end = first + target.len() / stride.max(1);
    let from = places.partition_point(|&p| (p as usize) < first);
    for j in from..r {
        let p = places[j] as usize;
        if p >= end {
            break;
        }
        let column = &mut target[(p - first) * stride..(p - first + 1) * stride];
        for (&i, v) in places[j..].iter().zip(&child.square[j * r + j..(j + 1) * r]) {
            column[i as usize - skip] += v;
        }
    }
}

impl Front<'_> {
    fn below(&self) -> usize {
        self.square.len().isqrt()
    }

    fn height(&self) -> usize {
        self.width + self.below()
    }

    fn work(&self) -> usize {
        self.width * self.height() * self.height()
    }

    /// Clears the front and adds what the children leave.
    pub fn assemble<'c>(&mut self, children: impl Iterator<Item = Child<'c>> + Clone + Sync) {
        let (w, r, h) = (self.width, self.below(), self.height());
        let lower = |first: usize, target: &mut [f64]| {
            // The triangle above the diagonal of the square is never read.
            target.chunks_exact_mut(r).enumerate().for_each(|(j, c)| c[first + j..].fill(0.0));
            for child in children.clone() {
                extend_add(child, target, r, w + first, w);
            }
        };
        if !(self.shared && h * h > SHARED / 64) {
            self.columns.fill(0.0);
            for child in children.clone() {
                extend_add(child, self.columns, h, 0, 0);
            }
            if r > 0 {
                lower(0, self.square);
            }
            return;
        }
        self.columns.par_chunks_mut(h * 16).enumerate().for_each(|(k, target)| {
            target.fill(0.0);
            for child in children.clone() {
                extend_add(child, target, h, k * 16, 0);
            }
        });
        if r > 0 {
            self.square.par_chunks_mut(r * 16).enumerate().for_each(|(k, target)| lower(k * 16, target));
        }
    }

    /// Eliminates the columns and updates the square; else the column whose pivot is not positive.
    pub fn eliminate(&mut self, buffer: &mut MemBuffer) -> Result<(), usize> {
        let (w, h, r) = (self.width, self.height(), self.below());
        if w <= SMALL_WIDTH && self.work() <= SMALL_WORK {
            let (columns, square) = (&mut *self.columns, &mut *self.square);
            return Arch::new().dispatch(
                #[inline(always)]
                || {
                    eliminate_columns(columns, h, w)?;
                    update(columns, h, w, square, r);
                    Ok(())
                },
            );
        }
        let all = MatMut::from_column_major_slice_mut(&mut *self.columns, h, w);
        let (mut top, mut bottom) = all.split_at_row_mut(w);
        match llt::cholesky_in_place(top.rb_mut(), Default::default(), Par::Seq, MemStack::new(buffer), Default::default()) {
            Ok(_) => {}
            Err(llt::LltError::NonPositivePivot { index }) => return Err(index),
        }
        if let Some(overflown) = (0..w).find(|&j| !(top[(j, j)] <= f64::MAX)) {
            return Err(overflown);
        }
        if r == 0 {
            return Ok(());
        }
        let top = top.rb();
        let square = MatMut::from_column_major_slice_mut(&mut *self.square, r, r);
        if self.shared && w * h * h >= SHARED {
            bottom
                .rb_mut()
                .par_row_chunks_mut(BLOCK)
                .for_each(|rows| solve_lower_triangular_in_place(top, rows.transpose_mut(), Par::Seq));
            let bottom = bottom.rb();
            square.par_col_chunks_mut(BLOCK).enumerate().for_each(|(k, part)| subtract(part, k * BLOCK, bottom));
        } else {
            solve_lower_triangular_in_place(top, bottom.rb_mut().transpose_mut(), Par::Seq);
            let bottom = bottom.rb();
            let mut rest = square;
            let mut first = 0;
            while rest.ncols() > 0 {
                let count = BLOCK.min(rest.ncols());
                let (part, later) = rest.split_at_col_mut(count);
                subtract(part, first, bottom);
                (rest, first) = (later, first + count);
            }
        }
        Ok(())
    }
}

/// Subtracts the product of `bottom` and its transpose from some columns of the square, from the diagonal on.
fn subtract(part: MatMut<'_, f64>, first: usize, bottom: MatRef<'_, f64>) {
    let (r, count) = (part.nrows(), part.ncols());
    let (_, part) = part.split_at_row_mut(first);
    let right = bottom.subrows(first, count).transpose();
    matmul(part, Accum::Add, bottom.subrows(first, r - first), right, -1.0, Par::Seq);
}

/// Left-looking Cholesky of the columns, four earlier ones at a time.
#[inline(always)]
fn eliminate_columns(a: &mut [f64], h: usize, w: usize) -> Result<(), usize> {
    for j in 0..w {
        let (done, rest) = a.split_at_mut(j * h);
        let column = &mut rest[j..h];
        subtract_columns(done, h, j, column);
        let pivot = column[0];
        if !(pivot > 0.0 && pivot <= f64::MAX) {
            return Err(j);
        }
        let root = pivot.sqrt();
        column[0] = root;
        column[1..].iter_mut().for_each(|v| *v /= root);
    }
    Ok(())
}

/// `column −= Σ_k l_k[at] · l_k[at..]` over the columns `l_k` of height `h`.
#[inline(always)]
fn subtract_columns(l: &[f64], h: usize, at: usize, column: &mut [f64]) {
    let n = column.len();
    let mut fours = l.chunks_exact(4 * h);
    for four in &mut fours {
        let (a, b, c, d) = (&four[at..at + n], &four[h + at..h + at + n], &four[2 * h + at..2 * h + at + n], &four[3 * h + at..]);
        let d = &d[..n];
        let (a0, b0, c0, d0) = (a[0], b[0], c[0], d[0]);
        for i in 0..n {
            column[i] -= (a0 * a[i] + b0 * b[i]) + (c0 * c[i] + d0 * d[i]);
        }
    }
    for one in fours.remainder().chunks_exact(h) {
        let a = &one[at..at + n];
        let a0 = a[0];
        for i in 0..n {
            column[i] -= a0 * a[i];
        }
    }
}

#[inline(always)]
fn update(columns: &[f64], h: usize, w: usize, square: &mut [f64], r: usize) {
    for j in 0..r {
        subtract_columns(columns, h, w + j, &mut square[j * r + j..(j + 1) * r]);
    }
}
