//! Column-major matrices in plain slices, and their products.

use super::buffer::Buffer;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Multiplications that are worth a thread.
const SHARE: usize = 1 << 17;
/// Columns that products are made of at a time.
const WIDTH: usize = 8;

/// A slice as a matrix of `rows` rows.
pub(crate) fn view(values: &[f64], rows: usize) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(values, rows, values.len() / rows.max(1))
}

fn view_mut(values: &mut [f64], rows: usize) -> MatMut<'_, f64> {
    let columns = values.len() / rows.max(1);
    MatMut::from_column_major_slice_mut(values, rows, columns)
}

/// How many threads `work` multiplications deserve.
pub(super) fn tasks(work: usize) -> usize {
    (work / SHARE).clamp(1, rayon::current_num_threads())
}

/// `out ← L R`.
pub(crate) fn multiply(l: MatRef<'_, f64>, r: MatRef<'_, f64>, out: &mut [f64]) {
    product(l, r, Accum::Replace, out);
}

/// `out ← out + L R`.
pub(crate) fn add_multiply(l: MatRef<'_, f64>, r: MatRef<'_, f64>, out: &mut [f64]) {
    product(l, r, Accum::Add, out);
}

/// Each thread has its own columns: a product shared to the end of its loops makes threads wait for each other too often.
fn product(l: MatRef<'_, f64>, r: MatRef<'_, f64>, accum: Accum, out: &mut [f64]) {
    let tasks = tasks(l.nrows() * l.ncols() * r.ncols());
    if tasks == 1 {
        matmul(view_mut(out, l.nrows()), accum, l, r, 1.0, Par::Seq);
        return;
    }
    let columns = r.ncols().div_ceil(tasks).next_multiple_of(WIDTH);
    out.par_chunks_mut(columns * l.nrows()).enumerate().for_each(|(k, out)| {
        let out = view_mut(out, l.nrows());
        let r = r.subcols(k * columns, out.ncols());
        matmul(out, accum, l, r, 1.0, Par::Seq);
    });
}

/// Rows of both factors from which a product with a transpose is faster on a transposed copy.
const TRANSPOSED: usize = 200;
/// Rows that are transposed at a time.
const PANEL: usize = 64;

/// `out ← L Rᵀ` for contiguous columns.
pub(crate) fn multiply_transposed(l: MatRef<'_, f64>, r: MatRef<'_, f64>, out: &mut [f64]) {
    transposed_product(l, r, Accum::Replace, out);
}

/// `out ← L diag(w) Rᵀ` for contiguous columns and `rows` rows of `L`.
pub(crate) fn multiply_weighted(
    l: &[f64],
    rows: usize,
    weight: impl Fn(usize) -> f64 + Sync,
    r: MatRef<'_, f64>,
    out: &mut [f64],
) {
    if copies(rows, r) {
        let copy = transposed(r, weight);
        return product(view(l, rows), view(&copy, r.ncols()), Accum::Replace, out);
    }
    let mut weighted = Buffer::new(l.len());
    for_blocks(rows, &mut weighted, |first, block| {
        let columns = block.chunks_exact_mut(rows).zip(l[first * rows..].chunks_exact(rows));
        for (j, (out, column)) in columns.enumerate() {
            let w = weight(first + j);
            out.iter_mut().zip(column).for_each(|(o, c)| *o = c * w);
        }
    });
    product(view(&weighted, rows), r.transpose(), Accum::Replace, out);
}

/// `out ← out + L Rᵀ` for contiguous columns.
pub(crate) fn add_multiply_transposed(l: MatRef<'_, f64>, r: MatRef<'_, f64>, out: &mut [f64]) {
    transposed_product(l, r, Accum::Add, out);
}

/// A product with `Rᵀ` strides through it from page to page; with many rows of the other factor a copy in the other order pays.
fn copies(rows: usize, r: MatRef<'_, f64>) -> bool {
    rows >= TRANSPOSED && r.nrows() >= TRANSPOSED && r.ncols() >= PANEL
}

fn transposed_product(l: MatRef<'_, f64>, r: MatRef<'_, f64>, accum: Accum, out: &mut [f64]) {
    if !copies(l.nrows(), r) {
        return product(l, r.transpose(), accum, out);
    }
    let copy = transposed(r, |_| 1.0);
    product(l, view(&copy, r.ncols()), accum, out);
}

/// `diag(w) Rᵀ`, column-major.
fn transposed(r: MatRef<'_, f64>, weight: impl Fn(usize) -> f64 + Sync) -> Buffer {
    let n = r.ncols();
    let mut out = Buffer::new(r.nrows() * n);
    let panel = |(k, panel): (usize, &mut [f64])| {
        let rows = panel.len() / n;
        let r = r.subrows(k * PANEL, rows);
        for j in (0..n).step_by(8) {
            let width = 8.min(n - j);
            for i in (0..rows).step_by(8) {
                let height = 8.min(rows - i);
                let mut tile = [[0.0; 8]; 8];
                for (c, tile) in tile.iter_mut().enumerate().take(width) {
                    let column = r.col(j + c).subrows(i, height).try_as_col_major();
                    column.into_iter().for_each(|column| tile[..height].copy_from_slice(column.as_slice()));
                    let w = weight(j + c);
                    tile.iter_mut().for_each(|t| *t *= w);
                }
                for p in 0..height {
                    let row = &mut panel[(i + p) * n + j..][..width];
                    row.iter_mut().zip(&tile).for_each(|(o, column)| *o = column[p]);
                }
            }
        }
    };
    if rayon::current_num_threads() == 1 {
        out.chunks_mut(PANEL * n).enumerate().for_each(panel);
    } else {
        out.par_chunks_mut(PANEL * n).enumerate().for_each(panel);
    }
    out
}

/// `len` zeros. Fresh memory costs more than what is written to it, so all threads ask for it.
pub(crate) fn zeros(len: usize) -> Vec<f64> {
    if len < SHARE || rayon::current_num_threads() == 1 {
        return vec![0.0; len];
    }
    let mut out = Vec::with_capacity(len);
    out.par_extend(rayon::iter::repeat_n(0.0, len));
    out
}

/// `out ← out + Σ columns`.
pub(crate) fn add_row_sums(values: &[f64], out: &mut [f64]) {
    add_weighted_sums(values, |_| 1.0, out);
}

/// `out ← out + Σ wⱼ columnⱼ`.
pub(crate) fn add_weighted_sums(values: &[f64], weight: impl Fn(usize) -> f64 + Sync, out: &mut [f64]) {
    let rows = out.len();
    let add = |first: usize, out: &mut [f64]| {
        for (j, column) in values.chunks_exact(rows).enumerate() {
            let w = weight(j);
            out.iter_mut().zip(&column[first..]).for_each(|(o, v)| *o += w * v);
        }
    };
    let threads = rayon::current_num_threads();
    if threads == 1 || values.len() < SHARE {
        return add(0, out);
    }
    let part = rows.div_ceil(threads).next_multiple_of(WIDTH);
    out.par_chunks_mut(part).enumerate().for_each(|(k, out)| add(k * part, out));
}

/// `outᵢ ← outᵢ + Σ (a + bias)ᵀb` over the columns that belong to `i`, as many for each.
pub(crate) fn add_column_dots(bias: &[f64], a: &[f64], b: &[f64], out: &mut [f64]) {
    let width = a.len() / out.len().max(1);
    let tasks = tasks(a.len());
    if tasks == 1 {
        return dots(bias, a, b, width, out);
    }
    let many = out.len().div_ceil(tasks);
    let parts = out.par_chunks_mut(many).zip(a.par_chunks(many * width)).zip(b.par_chunks(many * width));
    parts.for_each(|((out, a), b)| dots(bias, a, b, width, out));
}

/// The same on one thread, for `width` numbers of `a` and of `b` to each of `out`.
fn dots(bias: &[f64], a: &[f64], b: &[f64], width: usize, out: &mut [f64]) {
    let rows = bias.len();
    let (biases, last) = bias.as_chunks::<8>();
    // One dispatch for all columns: they are too short to pay for one each.
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((o, a), b) in out.iter_mut().zip(a.chunks_exact(width)).zip(b.chunks_exact(width)) {
                let (mut sums, mut tail) = ([0.0f64; 8], 0.0);
                for (a, b) in a.chunks_exact(rows).zip(b.chunks_exact(rows)) {
                    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
                    for ((a, b), bias) in a.iter().zip(b).zip(biases) {
                        for k in 0..8 {
                            sums[k] += (a[k] + bias[k]) * b[k];
                        }
                    }
                    for ((a, b), bias) in a_rest.iter().zip(b_rest).zip(last) {
                        tail += (a + bias) * b;
                    }
                }
                *o += sums.iter().sum::<f64>() + tail;
            }
        },
    );
}

/// Calls `f(first column, block)` on blocks of whole columns that fit into the nearest cache, in parallel where it pays.
pub(crate) fn for_blocks(rows: usize, values: &mut [f64], f: impl Fn(usize, &mut [f64]) + Sync) {
    let columns = (2048 / rows.max(1)).max(1);
    let block = columns * rows;
    if values.len() < SHARE / 2 || rayon::current_num_threads() == 1 {
        values.chunks_mut(block).enumerate().for_each(|(i, chunk)| f(i * columns, chunk));
    } else {
        let many = block * 16;
        values.par_chunks_mut(many).enumerate().for_each(|(i, part)| {
            part.chunks_mut(block).enumerate().for_each(|(k, chunk)| f((i * 16 + k) * columns, chunk));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_with_a_transpose_are_the_same_on_a_copy() {
        for (m, n, k) in [(TRANSPOSED, TRANSPOSED, PANEL), (201, 203, 77), (3, 300, 80), (300, 300, 3)] {
            let entries = |len: usize, by: usize| (0..len).map(|i| (i * by % 101) as f64 / 101.0 - 0.5).collect::<Vec<f64>>();
            let (l, r) = (entries(m * k, 37), entries(n * k, 53));
            let expected = |i: usize, j: usize| (0..k).map(|c| l[c * m + i] * r[c * n + j]).sum::<f64>();
            let mut out = vec![f64::NAN; m * n];
            multiply_transposed(view(&l, m), view(&r, n), &mut out);
            add_multiply_transposed(view(&l, m), view(&r, n), &mut out);
            assert!((0..m * n).all(|e| (out[e] - 2.0 * expected(e % m, e / m)).abs() <= 1e-13));
        }
    }

    #[test]
    fn weights_of_a_product_stand_between_its_factors() {
        for (m, n, k) in [(TRANSPOSED, TRANSPOSED, PANEL), (201, 203, 77), (3, 300, 80), (300, 300, 3)] {
            let entries = |len: usize, by: usize| (0..len).map(|i| (i * by % 101) as f64 / 101.0 - 0.5).collect::<Vec<f64>>();
            let (l, r, w) = (entries(m * k, 37), entries(n * k, 53), entries(k, 29));
            let expected = |i: usize, j: usize| (0..k).map(|c| l[c * m + i] * w[c] * r[c * n + j]).sum::<f64>();
            let mut out = vec![f64::NAN; m * n];
            multiply_weighted(&l, m, |c| w[c], view(&r, n), &mut out);
            assert!((0..m * n).all(|e| (out[e] - expected(e % m, e / m)).abs() <= 1e-13));
        }
    }

    #[test]
    fn shared_sums_and_dots_are_those_of_one_thread_to_the_bit() -> Result<(), rayon::ThreadPoolBuildError> {
        let (rows, n) = (37, 24_000);
        let entries = |len: usize, by: usize| (0..len).map(|i| (i * by % 101) as f64 / 101.0 - 0.5).collect::<Vec<f64>>();
        let (a, b, bias) = (entries(rows * n, 37), entries(rows * n, 53), entries(rows, 29));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let (mut sums, mut all, mut pairs) = (vec![1.0; rows], vec![1.0; n], vec![1.0; n / 2]);
            pool.install(|| {
                add_weighted_sums(&a, |j| (j % 7) as f64, &mut sums);
                add_column_dots(&bias, &a, &b, &mut all);
                add_column_dots(&bias, &a, &b, &mut pairs);
                assert_eq!(zeros(rows * n), vec![0.0; rows * n]);
            });
            Ok([sums, all, pairs])
        };
        let one = run(1)?;
        let dot = |j: usize| (0..rows).map(|i| (a[j * rows + i] + bias[i]) * b[j * rows + i]).sum::<f64>();
        assert!((0..n).all(|j| (one[1][j] - 1.0 - dot(j)).abs() <= 1e-13));
        assert!((0..n / 2).all(|j| (one[2][j] - 1.0 - dot(2 * j) - dot(2 * j + 1)).abs() <= 1e-13));
        let sum = |i: usize| (0..n).map(|j| (j % 7) as f64 * a[j * rows + i]).sum::<f64>();
        assert!((0..rows).all(|i| (one[0][i] - 1.0 - sum(i)).abs() <= 1e-9));
        for threads in [2, 3, 5] {
            assert_eq!(run(threads)?, one, "{threads}");
        }
        Ok(())
    }
}
