//! Weighted sums of outer products of columns, `L diag(w) Rᵀ`, and beside it the weighted sum of the columns of `L`: the gradient of an
//! affine layer from its signals and what it saw.
//!
//! Each chunk of both factors is packed, so neither is strided through or transposed as a whole. An entry is a sum over each
//! chunk in order, then over the chunks, whatever the threads. Where there is too little for that, `faer`'s product is used.

use super::buffer::Buffer;
use super::matrix::{add_columns, add_multiply, for_blocks, multiply, tasks, view};
use super::panels::{ByPanels, Fitted, Room, chunk, pack, put, tile};
use faer::MatRef;
use pulp::{Arch, Simd};
use rayon::prelude::*;

/// Rows of each factor and columns from which packing pays.
const LEAST: (usize, usize) = (200, 64);
/// Columns of the result that threads are given at a time.
const WIDTH: usize = 24;

/// The weight of a column.
type Weight<'a> = &'a (dyn Fn(usize) -> f64 + Sync);

/// `out ← L (Rᵀ 1)`.
pub(crate) fn multiply_outer(l: MatRef<'_, f64>, r: MatRef<'_, f64>, out: &mut [f64]) {
    if is_packed(l, r) {
        return share(Part { l, r, first: 0, weight: None, add: false, out });
    }
    let (products, sums) = out.split_at_mut(l.nrows() * r.nrows());
    multiply(l, r.transpose(), products);
    sums.fill(0.0);
    add_columns(l, sums);
}

/// `out ← L diag(w) (Rᵀ 1)`, for contiguous columns.
pub(crate) fn multiply_weighted(l: MatRef<'_, f64>, weight: Weight<'_>, r: MatRef<'_, f64>, out: &mut [f64]) {
    if is_packed(l, r) {
        return share(Part { l, r, first: 0, weight: Some(weight), add: false, out });
    }
    let rows = l.nrows();
    let mut weighted = Buffer::new(rows * l.ncols());
    for_blocks(rows, &mut weighted, |first, block| {
        for (j, out) in block.chunks_exact_mut(rows).enumerate() {
            let w = weight(first + j);
            out.iter_mut().zip(l.col(first + j).iter()).for_each(|(o, c)| *o = c * w);
        }
    });
    multiply_outer(view(&weighted, rows), r, out);
}

/// `out ← out + L Rᵀ`.
pub(crate) fn add_outer(l: MatRef<'_, f64>, r: MatRef<'_, f64>, out: &mut [f64]) {
    if is_packed(l, r) {
        share(Part { l, r, first: 0, weight: None, add: true, out });
    } else {
        add_multiply(l, r.transpose(), out);
    }
}

fn is_packed(l: MatRef<'_, f64>, r: MatRef<'_, f64>) -> bool {
    l.nrows() >= LEAST.0 && r.nrows() >= LEAST.0 && r.ncols() >= LEAST.1
}

/// Gives each thread columns of its own.
fn share(part: Part<'_>) {
    let Part { l, r, weight, add, out, .. } = part;
    let columns = out.len() / l.nrows();
    let tasks = tasks(l.nrows() * columns * l.ncols());
    let many = columns.div_ceil(tasks).next_multiple_of(WIDTH);
    let fill = |(k, out): (usize, &mut [f64])| Arch::new().dispatch(Fitted(Part { l, r, first: k * many, weight, add, out }));
    if tasks == 1 {
        fill((0, out));
    } else {
        out.par_chunks_mut(many * l.nrows()).enumerate().for_each(fill);
    }
}

/// Some columns of the result.
struct Part<'a> {
    l: MatRef<'a, f64>,
    r: MatRef<'a, f64>,
    /// The first of the columns; the one after the rows of `R` is the sum.
    first: usize,
    weight: Option<Weight<'a>>,
    /// Adds to what is there, or replaces it.
    add: bool,
    out: &'a mut [f64],
}

impl ByPanels for Part<'_> {
    #[inline(always)]
    fn run<S: Simd, const H: usize, const W: usize>(self, simd: S) {
        let (m, n) = (self.l.nrows(), self.l.ncols());
        let columns = self.out.len() / m;
        let panels = (m.div_ceil(H), columns.div_ceil(H));
        let chunk = chunk(n);
        let mut room = Room::new((panels.0 + panels.1) * H * chunk);
        for start in (0..n).step_by(chunk) {
            let len = chunk.min(n - start);
            let packed = room.first((panels.0 + panels.1) * H * len);
            let (left, right) = packed.split_at_mut(panels.0 * H * len);
            pack::<H>(self.l.subcols(start, len), left);
            self.pack_right::<H>(start, len, right);
            for (q, right) in right.chunks_exact(H * len).enumerate() {
                for (p, left) in left.chunks_exact(H * len).enumerate() {
                    let rows = p * H..m.min((p + 1) * H);
                    for at in (0..H).step_by(W) {
                        let tile = tile::<S, H, W>(simd, left, right, at);
                        for (j, values) in (q * H + at..columns).zip(&tile) {
                            let out = &mut self.out[j * m..][rows.clone()];
                            put::<S, H>(simd, values, 0, self.add || start > 0, out);
                        }
                    }
                }
            }
        }
    }
}

impl Part<'_> {
    /// The rows of `R` that stand against the columns of the result, and ones against the sum, with the weights.
    #[inline(always)]
    fn pack_right<const H: usize>(&self, start: usize, len: usize, packed: &mut [f64]) {
        let columns = self.out.len() / self.l.nrows();
        let rows = columns.min(self.r.nrows() - self.first);
        let (panel, row) = (rows / H, rows % H);
        pack::<H>(self.r.submatrix(self.first, start, rows, len), &mut packed[..rows.div_ceil(H) * H * len]);
        if columns > rows {
            let panel = &mut packed[panel * H * len..];
            if row == 0 {
                panel.fill(0.0);
            }
            panel.iter_mut().skip(row).step_by(H).for_each(|one| *one = 1.0);
        }
        if let Some(weight) = self.weight {
            for panel in packed.chunks_exact_mut(H * len) {
                for (column, j) in panel.chunks_exact_mut(H).zip(start..) {
                    let w = weight(j);
                    column.iter_mut().for_each(|value| *value *= w);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::WithSimd;

    const SHAPES: [(usize, usize, usize); 6] =
        [(LEAST.0, LEAST.0, LEAST.1), (201, 203, 77), (205, 215, 193), (240, 216, 500), (3, 300, 80), (300, 300, 3)];

    fn entries(len: usize, by: usize) -> Vec<f64> {
        (0..len).map(|i| (i * by % 101) as f64 / 101.0 - 0.5).collect()
    }

    #[test]
    fn products_and_sums_are_those_of_their_definition() {
        for (m, n, k) in SHAPES {
            let (l, r, w) = (entries(m * k, 37), entries(n * k, 53), entries(k, 29));
            let factor = |c: usize, j: usize| if j < n { r[c * n + j] } else { 1.0 };
            let sum = |e: usize, weight: &dyn Fn(usize) -> f64| -> f64 {
                (0..k).map(|c| l[c * m + e % m] * weight(c) * factor(c, e / m)).sum()
            };
            let (l, r) = (view(&l, m), view(&r, n));
            let mut out = vec![f64::NAN; m * (n + 1)];
            multiply_weighted(l, &|c| w[c], r, &mut out);
            assert!((0..m * (n + 1)).all(|e| (out[e] - sum(e, &|c| w[c])).abs() <= 1e-13));
            multiply_outer(l, r, &mut out);
            assert!((0..m * (n + 1)).all(|e| (out[e] - sum(e, &|_| 1.0)).abs() <= 1e-13 * k as f64));
            add_outer(l, r, &mut out[..m * n]);
            assert!((0..m * n).all(|e| (out[e] - 2.0 * sum(e, &|_| 1.0)).abs() <= 1e-13 * k as f64));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads_or_the_width_of_vectors() -> Result<(), rayon::ThreadPoolBuildError> {
        for (m, n, k) in SHAPES {
            let (l, r, w) = (entries(m * k, 37), entries(n * k, 53), entries(k, 29));
            let (l, r) = (view(&l, m), view(&r, n));
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
                let mut out = vec![f64::NAN; m * (n + 1)];
                pool.install(|| multiply_weighted(l, &|c| w[c], r, &mut out));
                Ok(out)
            };
            let one = run(1)?;
            for threads in [2, 3, 5] {
                assert_eq!(run(threads)?, one, "{m} {n} {k} {threads}");
            }
            if is_packed(l, r) {
                let mut out = vec![f64::NAN; m * (n + 1)];
                let part = Part { l, r, first: 0, weight: Some(&|c| w[c]), add: false, out: &mut out };
                Fitted(part).with_simd(pulp::Scalar);
                assert_eq!(out, one, "{m} {n} {k}");
            }
        }
        Ok(())
    }
}
