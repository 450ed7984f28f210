//! Functions whose Hessian is sparse, evaluated over ranges of variables.
//!
//! A [`Kernel`] computes any contiguous range of its sums and outputs; [`Local`] makes a [`Function`] of it. Up to
//! [`PARALLEL_FROM`] variables one range is all of them; beyond, the range is halved down to [`CHUNK`] on rayon. The
//! halving depends on the number of variables only, so the results do not depend on the number of threads.

use crate::error::{Error, Result};
use crate::linalg::operator::{Pattern, SparseMatrix};
use crate::problem::{Function, HessianMatrix};
use pulp::Arch;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Number of variables from which on work is shared between threads.
const PARALLEL_FROM: usize = 100_000;
/// Variables of one parallel task.
const CHUNK: usize = 1 << 15;

/// The formulas of a function whose Hessian is sparse, each over a range of variables.
///
/// Implementations are `#[inline(always)]`, so that they are compiled for the vectors of the machine.
pub(super) trait Kernel: Send + Sync {
    /// Number of variables.
    fn dim(&self) -> usize;
    /// Ranges start at multiples of this number.
    fn unit(&self) -> usize {
        1
    }
    /// Structure of the Hessian.
    fn pattern(&self) -> Result<Pattern>;
    /// The terms that belong to a range of variables, summed.
    fn value(&self, x: &[f64], range: Range<usize>) -> f64;
    /// The gradient's entries from `first` on.
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]);
    /// The entries of `∇²f(x) v` from `first` on.
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]);
    /// The Hessian's stored values in a range of columns.
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]);
}

/// A kernel as a function; the pattern is built at the first Hessian and shared by all of them.
pub(super) struct Local<K> {
    kernel: K,
    pattern: OnceLock<Arc<Pattern>>,
}

impl<K: Kernel> Local<K> {
    pub(super) fn new(kernel: K) -> Self {
        Self { kernel, pattern: OnceLock::new() }
    }

    fn shared_pattern(&self) -> Result<Arc<Pattern>> {
        if let Some(pattern) = self.pattern.get() {
            return Ok(pattern.clone());
        }
        let built = Arc::new(self.kernel.pattern()?);
        Ok(self.pattern.get_or_init(|| built).clone())
    }
}

impl<K: Kernel> Function for Local<K> {
    fn dim(&self) -> usize {
        self.kernel.dim()
    }

    fn cost(&self, x: &[f64]) -> Result<f64> {
        Error::check_len("point", self.dim(), x.len())?;
        let leaf = |range: Range<usize>| [vectorized(|| self.kernel.value(x, range))];
        Ok(sum(0..x.len(), self.kernel.unit(), &leaf)[0])
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.dim(), x.len())?;
        Error::check_len("gradient", self.dim(), out.len())?;
        fill(out, self.kernel.unit(), &|first, out: &mut [f64]| vectorized(|| self.kernel.gradient(x, first, out)));
        Ok(())
    }

    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        Error::check_len("point", self.dim(), x.len())?;
        let pattern = self.shared_pattern()?;
        let mut values = vec![0.0; pattern.nnz()];
        let leaf = |columns: Range<usize>, out: &mut [f64]| vectorized(|| self.kernel.entries(x, columns, out));
        fill_columns(0..x.len(), leaf_length(x.len()), self.kernel.unit(), pattern.column_starts(), &mut values, &leaf);
        Ok(HessianMatrix::Sparse(SparseMatrix::new(pattern, values)?))
    }

    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.dim(), x.len())?;
        Error::check_len("direction", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        fill(out, self.kernel.unit(), &|first, out: &mut [f64]| vectorized(|| self.kernel.product(x, v, first, out)));
        Ok(())
    }
}

/// Runs `f` compiled for the widest vectors of the machine.
#[inline(always)]
fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(f)
}

fn leaf_length(n: usize) -> usize {
    if n <= PARALLEL_FROM { n } else { CHUNK }
}

/// Where to halve a range, at a multiple of `unit` from its start; `None` for a leaf.
fn middle(length: usize, leaf: usize, unit: usize) -> Option<usize> {
    let half = (length / 2).next_multiple_of(unit);
    (length > leaf && half < length).then_some(half)
}

/// Sums of `leaf` over a range, added in a fixed order.
pub(super) fn sum<const N: usize>(
    range: Range<usize>,
    unit: usize,
    leaf: &(impl Fn(Range<usize>) -> [f64; N] + Sync),
) -> [f64; N] {
    fn halve<const N: usize>(
        range: Range<usize>,
        length: usize,
        unit: usize,
        leaf: &(impl Fn(Range<usize>) -> [f64; N] + Sync),
    ) -> [f64; N] {
        let Some(half) = middle(range.len(), length, unit) else { return leaf(range) };
        let cut = range.start + half;
        let (a, b) = rayon::join(|| halve(range.start..cut, length, unit, leaf), || halve(cut..range.end, length, unit, leaf));
        std::array::from_fn(|k| a[k] + b[k])
    }
    let length = leaf_length(range.len());
    halve(range, length, unit, leaf)
}

/// Fills `out` by `leaf(first index, part)`.
pub(super) fn fill(out: &mut [f64], unit: usize, leaf: &(impl Fn(usize, &mut [f64]) + Sync)) {
    fn halve(first: usize, length: usize, unit: usize, out: &mut [f64], leaf: &(impl Fn(usize, &mut [f64]) + Sync)) {
        let Some(half) = middle(out.len(), length, unit) else { return leaf(first, out) };
        let (a, b) = out.split_at_mut(half);
        rayon::join(|| halve(first, length, unit, a, leaf), || halve(first + half, length, unit, b, leaf));
    }
    let length = leaf_length(out.len());
    halve(0, length, unit, out, leaf);
}

/// Fills the stored values of `columns` by `leaf(columns, their values)`.
fn fill_columns(
    columns: Range<usize>,
    length: usize,
    unit: usize,
    starts: &[usize],
    out: &mut [f64],
    leaf: &(impl Fn(Range<usize>, &mut [f64]) + Sync),
) {
    let Some(half) = middle(columns.len(), length, unit) else { return leaf(columns, out) };
    let cut = columns.start + half;
    let (a, b) = out.split_at_mut(starts[cut] - starts[columns.start]);
    rayon::join(
        || fill_columns(columns.start..cut, length, unit, starts, a, leaf),
        || fill_columns(cut..columns.end, length, unit, starts, b, leaf),
    );
}

/// `out[k] ← f(window of x, window of v, has a left neighbour, has a right neighbour)` with windows of `W` entries
/// centred at `first + k`, zero outside the vector.
#[inline(always)]
pub(super) fn stencil<T: Copy + Default, const W: usize>(
    x: &[T],
    v: &[T],
    first: usize,
    out: &mut [T],
    f: impl Fn(&[T; W], &[T; W], bool, bool) -> T,
) {
    let (n, end) = (x.len(), first + out.len());
    let inner = interior::<W>(n, first..end);
    for j in (first..inner.start).chain(inner.end..end) {
        out[j - first] = f(&padded(x, j), &padded(v, j), j > 0, j + 1 < n);
    }
    if inner.is_empty() {
        return;
    }
    let halo = inner.start - W / 2..inner.end + W / 2;
    let windows = x[halo.clone()].windows(W).zip(v[halo].windows(W));
    for (o, (x, v)) in out[inner.start - first..inner.end - first].iter_mut().zip(windows) {
        if let (Ok(x), Ok(v)) = (x.try_into(), v.try_into()) {
            *o = f(x, v, true, true);
        }
    }
}

/// The stored values of a band matrix of width `W` in a range of columns: `f` gives a full column.
#[inline(always)]
pub(super) fn band<const W: usize>(
    x: &[f64],
    columns: Range<usize>,
    out: &mut [f64],
    f: impl Fn(&[f64; W], bool, bool) -> [f64; W],
) {
    let n = x.len();
    let inner = interior::<W>(n, columns.clone());
    let border = |j: usize, out: &mut [f64]| {
        let column = f(&padded(x, j), j > 0, j + 1 < n);
        let mut k = 0;
        for (i, value) in column.into_iter().enumerate() {
            if (W / 2..n + W / 2).contains(&(i + j)) && k < out.len() {
                out[k] = value;
                k += 1;
            }
        }
        k
    };
    let mut at = 0;
    for j in columns.start..inner.start {
        at += border(j, &mut out[at..]);
    }
    if !inner.is_empty() {
        let (columns, _) = out[at..].as_chunks_mut::<W>();
        for (column, x) in columns.iter_mut().zip(x[inner.start - W / 2..inner.end + W / 2].windows(W)) {
            if let Ok(x) = x.try_into() {
                *column = f(x, true, true);
            }
        }
        at += inner.len() * W;
    }
    for j in inner.end..columns.end {
        at += border(j, &mut out[at..]);
    }
}

/// The part of a range whose windows of width `W` lie inside `0..n`; empty ranges lie inside `range` too.
#[inline(always)]
fn interior<const W: usize>(n: usize, range: Range<usize>) -> Range<usize> {
    let start = range.start.max(W / 2).min(range.end);
    start..range.end.min(n.saturating_sub(W / 2)).max(start)
}

#[inline(always)]
fn padded<T: Copy + Default, const W: usize>(x: &[T], j: usize) -> [T; W] {
    std::array::from_fn(|k| (j + k).checked_sub(W / 2).and_then(|i| x.get(i)).copied().unwrap_or_default())
}

/// `Σ f(a, b, c)` over three slices of one length, on eight accumulators.
#[inline(always)]
pub(super) fn sum_lanes(a: &[f64], b: &[f64], c: &[f64], f: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let ((a8, a1), (b8, b1), (c8, c1)) = (a.as_chunks::<8>(), b.as_chunks::<8>(), c.as_chunks::<8>());
    let mut s = [0.0f64; 8];
    for ((a, b), c) in a8.iter().zip(b8).zip(c8) {
        for k in 0..8 {
            s[k] += f(a[k], b[k], c[k]);
        }
    }
    let tail: f64 = a1.iter().zip(b1).zip(c1).map(|((a, b), c)| f(*a, *b, *c)).sum();
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + tail
}

/// `1.0` or `0.0`.
#[inline(always)]
pub(super) fn one_if(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Every cut into three pieces (at multiples of the unit) gives the bits of the whole, and sums to its value.
    pub(in crate::testbed) fn check_pieces<K: Kernel>(kernel: &K) {
        let n = kernel.dim();
        let x: Vec<f64> = (0..n).map(|i| 0.9 * (1.0 + 0.7 * i as f64).sin()).collect();
        let v: Vec<f64> = (0..n).map(|i| (0.3 * i as f64).cos()).collect();
        let pattern = kernel.pattern().unwrap();
        let starts = pattern.column_starts();
        let evaluate = |cuts: &[usize]| {
            let (mut value, mut g, mut h, mut e) = (0.0, vec![f64::NAN; n], vec![f64::NAN; n], vec![f64::NAN; pattern.nnz()]);
            for cut in cuts.windows(2) {
                let range = cut[0]..cut[1];
                value += kernel.value(&x, range.clone());
                kernel.gradient(&x, range.start, &mut g[range.clone()]);
                kernel.product(&x, &v, range.start, &mut h[range.clone()]);
                kernel.entries(&x, range.clone(), &mut e[starts[range.start]..starts[range.end]]);
            }
            (value, [g, h, e].concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        };
        let (value, bits) = evaluate(&[0, n]);
        assert!(bits.iter().all(|b| f64::from_bits(*b).is_finite()));
        for a in (kernel.unit()..n).step_by(kernel.unit()) {
            for b in (a + kernel.unit()..n).step_by(kernel.unit()) {
                let pieces = evaluate(&[0, a, b, n]);
                assert!(pieces.1 == bits, "cut at {a} and {b} of {n}");
                assert!((pieces.0 - value).abs() <= 1e-13 * value.abs().max(1.0), "cut at {a} and {b} of {n}");
            }
        }
    }

    #[test]
    fn sums_and_fills_of_long_ranges_cover_each_index_once() {
        for (n, unit) in [(0, 1), (7, 1), (PARALLEL_FROM + 1, 1), (600 * 600, 600), (2 * PARALLEL_FROM, PARALLEL_FROM)] {
            let [count, indices] = sum(0..n, unit, &|range| {
                assert!(range.start.is_multiple_of(unit));
                [range.len() as f64, range.map(|i| i as f64).sum()]
            });
            assert_eq!(count, n as f64);
            assert_eq!(indices, n as f64 * (n as f64 - 1.0).max(0.0) / 2.0);
            let mut out = vec![-1.0; n];
            fill(&mut out, unit, &|first, out| (first..).zip(out).for_each(|(i, o)| *o = i as f64));
            assert!(out.iter().enumerate().all(|(i, o)| *o == i as f64));
        }
    }
}
