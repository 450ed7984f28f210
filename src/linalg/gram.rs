//! Gram matrices `L Lᵀ`, of which half is enough.
//!
//! The rows of a chunk of columns are packed in [panels](super::panels), one of which stays in the nearest cache while the
//! others are on their way through it. An entry is a sum over each chunk in order, then over the chunks: its bits depend neither
//! on the width of the machine's vectors nor on the number of threads. Where there is too little for that, `faer`'s product is
//! used.

use super::matrix::tasks;
use super::panels::{ByPanels, Fitted, Room, chunk, pack, put, tile};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd};

/// Rows and columns from which packing pays.
const LEAST: (usize, usize) = (160, 32);
/// Columns of the result that threads are given at a time.
const WIDTH: usize = 24;

/// `out ← L Lᵀ` on the leading square of a matrix with `stride` rows, lower triangle; see [`mirror`].
pub(crate) fn gram(l: MatRef<'_, f64>, stride: usize, out: &mut [f64]) {
    shared(l, false, stride, out);
}

/// `out ← out + L Lᵀ`, likewise.
pub(crate) fn add_gram(l: MatRef<'_, f64>, stride: usize, out: &mut [f64]) {
    shared(l, true, stride, out);
}

fn shared(l: MatRef<'_, f64>, add: bool, stride: usize, out: &mut [f64]) {
    let tasks = tasks(l.nrows() * l.nrows() * l.ncols() / 2);
    share(Part { l, first: 0, columns: l.nrows(), stride, add, out }, tasks);
}

/// Makes `tasks` parts of about equal area from a triangle.
fn share(part: Part<'_>, tasks: usize) {
    let fraction = 1.0 - (1.0 - 1.0 / tasks as f64).sqrt();
    let columns = ((part.columns as f64 * fraction) as usize + 1).next_multiple_of(WIDTH);
    if tasks == 1 || columns >= part.columns {
        part.fill();
        return;
    }
    let Part { l, first, stride, add, .. } = part;
    let (mine, others) = part.out.split_at_mut(columns * stride);
    let mine = Part { l, first, columns, stride, add, out: mine };
    let others = Part { l, first: first + columns, columns: part.columns - columns, stride, add, out: others };
    rayon::join(|| mine.fill(), || share(others, tasks - 1));
}

/// The columns from `first` on of the triangle.
struct Part<'a> {
    l: MatRef<'a, f64>,
    first: usize,
    columns: usize,
    stride: usize,
    /// Adds to what is there, or replaces it.
    add: bool,
    /// From column `first` on.
    out: &'a mut [f64],
}

impl Part<'_> {
    fn fill(self) {
        if self.l.nrows() < LEAST.0 || self.l.ncols() < LEAST.1 {
            self.plain();
        } else {
            Arch::new().dispatch(Fitted(self));
        }
    }

    /// A smaller triangle, and the rectangle below.
    fn plain(self) {
        let Self { l, first, columns, stride, add, out } = self;
        let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
        let accum = if add { Accum::Add } else { Accum::Replace };
        let rows = l.nrows() - first;
        let len = (columns - 1) * stride + rows;
        let out = MatMut::from_column_major_slice_with_stride_mut(&mut out[first..first + len], rows, columns, stride);
        let (triangle, below) = out.split_at_row_mut(columns);
        let (own, rest) = l.subrows(first, rows).split_at_row(columns);
        triangular::matmul(triangle, lower, accum, own, full, own.transpose(), full, 1.0, Par::Seq);
        matmul(below, accum, rest, own.transpose(), 1.0, Par::Seq);
    }
}

impl ByPanels for Part<'_> {
    #[inline(always)]
    fn run<S: Simd, const H: usize, const W: usize>(mut self, simd: S) {
        let l = self.l.subrows(self.first, self.l.nrows() - self.first);
        let panels = l.nrows().div_ceil(H);
        let chunk = chunk(l.ncols());
        let mut room = Room::new(panels * H * chunk);
        for start in (0..l.ncols()).step_by(chunk) {
            let len = chunk.min(l.ncols() - start);
            let packed = room.first(panels * H * len);
            pack::<H>(l.subcols(start, len), packed);
            let panel = |p: usize| &packed[p * H * len..][..H * len];
            for right in 0..self.columns.div_ceil(H) {
                for left in right..panels {
                    for at in (0..H).step_by(W) {
                        let tile = tile::<S, H, W>(simd, panel(left), panel(right), at);
                        self.write::<S, H, W>(simd, &tile, left * H, right * H + at, start > 0);
                    }
                }
            }
        }
    }
}

impl Part<'_> {
    /// Writes what of a tile lies in the part, given its first row and column.
    #[inline(always)]
    fn write<S: Simd, const H: usize, const W: usize>(
        &mut self,
        simd: S,
        tile: &[[S::f64s; 3]; W],
        row: usize,
        column: usize,
        more: bool,
    ) {
        let rows = self.l.nrows() - self.first;
        for (j, values) in (column..self.columns).zip(tile) {
            let (top, end) = (row.max(j), (row + H).min(rows));
            if top < end {
                let out = &mut self.out[j * self.stride + self.first + top..][..end - top];
                put::<S, H>(simd, values, top - row, self.add || more, out);
            }
        }
    }
}

/// Copies the lower triangle of an `n × n` matrix to the upper one.
pub(crate) fn mirror(n: usize, matrix: &mut [f64]) {
    mirror_scaled(n, 1.0, matrix);
}

/// Multiplies the lower triangle of an `n × n` matrix `by` a number and copies it to the upper one, square by square and block
/// of squares by block, so that neither lines nor pages are left half used.
pub(crate) fn mirror_scaled(n: usize, by: f64, matrix: &mut [f64]) {
    const SIDE: usize = 8;
    const BLOCK: usize = 64;
    let corners = |first: usize, step: usize, end: usize| (first..end.min(n)).step_by(step);
    for (left, top) in corners(0, BLOCK, n).flat_map(|left| corners(left, BLOCK, n).map(move |top| (left, top))) {
        for column in corners(left, SIDE, left + BLOCK) {
            for row in corners(top.max(column), SIDE, top + BLOCK) {
                mirror_square::<SIDE>(n, by, column, row, matrix);
            }
        }
    }
}

/// The square of the lower triangle with the corner `(top, left)`.
fn mirror_square<const SIDE: usize>(n: usize, by: f64, left: usize, top: usize, matrix: &mut [f64]) {
    let (width, height) = (SIDE.min(n - left), SIDE.min(n - top));
    let mut tile = [[0.0; SIDE]; SIDE];
    for (c, tile) in tile.iter_mut().enumerate().take(width) {
        // Above the diagonal of a square on it stands whatever it is, and is overwritten below.
        let column = &mut matrix[(left + c) * n + top..][..height];
        column.iter_mut().zip(tile).for_each(|(m, t)| {
            *m *= by;
            *t = *m;
        });
    }
    for p in 0..height {
        let end = if left == top { p } else { width };
        let row = &mut matrix[(top + p) * n + left..][..end];
        row.iter_mut().zip(&tile).for_each(|(o, column)| *o = column[p]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::matrix::view;
    use pulp::WithSimd;

    #[test]
    fn a_mirrored_triangle_is_symmetric_and_scaled_once() {
        for n in [1, 2, 31, 32, 33, 100] {
            let lower = |i: usize, j: usize| (3 * i + 5 * j) as f64;
            let mut matrix: Vec<f64> = (0..n * n).map(|k| if k % n >= k / n { lower(k % n, k / n) } else { f64::NAN }).collect();
            mirror_scaled(n, 2.0, &mut matrix);
            let expected = |k: usize| 2.0 * lower((k % n).max(k / n), (k % n).min(k / n));
            assert!((0..n * n).all(|k| matrix[k] == expected(k)), "{n}");
        }
    }

    #[test]
    fn shared_grams_are_those_of_one_thread_to_the_bit() -> Result<(), rayon::ThreadPoolBuildError> {
        for (n, k, stride) in
            [(1, 300_000, 2), (9, 80_000, 10), (100, 100, 101), (257, 40, 257), (161, 193, 162), (200, 500, 200)]
        {
            let l: Vec<f64> = (0..n * k).map(|i| (i * 37 % 101) as f64 / 101.0 - 0.5).collect();
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
                let mut out = vec![1.0; n * stride];
                pool.install(|| add_gram(view(&l, n), stride, &mut out));
                Ok(out)
            };
            let one = run(1)?;
            let expected = |i: usize, j: usize| 1.0 + (0..k).map(|c| l[c * n + i] * l[c * n + j]).sum::<f64>();
            for j in 0..n {
                assert!((j..n).all(|i| (one[j * stride + i] - expected(i, j)).abs() <= 1e-11 * k as f64), "{n} {k}");
            }
            for threads in [2, 3, 5] {
                assert_eq!(run(threads)?, one, "{n} {k} {threads}");
            }
        }
        Ok(())
    }

    #[test]
    fn packed_grams_are_the_same_to_the_bit_in_vectors_of_any_width() {
        for (n, k) in [(LEAST.0, LEAST.1), (170, 200), (193, 35)] {
            let l: Vec<f64> = (0..n * k).map(|i| (i * 37 % 101) as f64 / 101.0 - 0.5).collect();
            let run = |fill: &dyn Fn(Part<'_>)| {
                let mut out = vec![f64::NAN; n * n];
                fill(Part { l: view(&l, n), first: 0, columns: n, stride: n, add: false, out: &mut out });
                mirror(n, &mut out);
                out
            };
            let widest = run(&|part| part.fill());
            assert_eq!(widest, run(&|part| Fitted(part).with_simd(pulp::Scalar)));
            let plain = run(&|part| part.plain());
            assert!(widest.iter().zip(&plain).all(|(a, b)| (a - b).abs() <= 1e-14 * k as f64));
        }
    }
}
