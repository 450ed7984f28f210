//! Column-major matrices in plain slices, and their products.

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

/// `len` zeros. Fresh memory costs more than what is written to it, so all threads ask for it.
pub(crate) fn zeros(len: usize) -> Vec<f64> {
    if len < SHARE || rayon::current_num_threads() == 1 {
        return vec![0.0; len];
    }
    let mut out = Vec::with_capacity(len);
    out.par_extend(rayon::iter::repeat_n(0.0, len));
    out
}

/// `out ← out + Σ columns` for contiguous columns.
pub(crate) fn add_columns(columns: MatRef<'_, f64>, out: &mut [f64]) {
    let add = |first: usize, out: &mut [f64]| {
        for column in columns.col_iter().filter_map(|column| column.try_as_col_major()) {
            out.iter_mut().zip(&column.as_slice()[first..]).for_each(|(o, v)| *o += v);
        }
    };
    let threads = rayon::current_num_threads();
    if threads == 1 || columns.nrows() * columns.ncols() < SHARE {
        return add(0, out);
    }
    let part = columns.nrows().div_ceil(threads).next_multiple_of(WIDTH);
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
    fn shared_sums_and_dots_are_those_of_one_thread_to_the_bit() -> Result<(), rayon::ThreadPoolBuildError> {
        let (rows, n) = (37, 24_000);
        let entries = |len: usize, by: usize| (0..len).map(|i| (i * by % 101) as f64 / 101.0 - 0.5).collect::<Vec<f64>>();
        let (a, b, bias) = (entries(rows * n, 37), entries(rows * n, 53), entries(rows, 29));
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let (mut sums, mut all, mut pairs) = (vec![1.0; rows], vec![1.0; n], vec![1.0; n / 2]);
            pool.install(|| {
                add_columns(view(&a, rows), &mut sums);
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
        let sum = |i: usize| (0..n).map(|j| a[j * rows + i]).sum::<f64>();
        assert!((0..rows).all(|i| (one[0][i] - 1.0 - sum(i)).abs() <= 1e-9));
        for threads in [2, 3, 5] {
            assert_eq!(run(threads)?, one, "{threads}");
        }
        Ok(())
    }
}
