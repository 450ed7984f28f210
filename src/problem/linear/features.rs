//! Features of a linear model, dense or sparse, and the products that a pass over the samples is made of.
//!
//! Parameters are a `K × (p + 1)` matrix by columns, `K` outputs by `p` features and, last, the intercepts where there are some:
//! entry `k + K j` is what feature `j` adds to output `k`.

use crate::error::{Error, Result};
use crate::linalg::matrix::{add_multiply, multiply, view};
use crate::linalg::vector::{axpy, dot};
use pulp::Arch;
use std::ops::Range;

/// Values of the features of a block of samples that a pass works on at a time; it stays in the second-level cache.
const BLOCK: usize = 1 << 15;

/// An `n × p` table of features, one sample a row.
///
/// # Example
/// ```
/// use curvkit::problem::Features;
/// let dense = Features::dense(2, vec![1.0, 0.0, 0.0, 3.0])?;
/// let sparse = Features::sparse(2, vec![0, 1, 2], vec![0, 1], vec![1.0, 3.0])?;
/// assert_eq!((dense.n_samples(), sparse.n_samples()), (2, 2));
/// assert_eq!(dense.squared_norm(1), sparse.squared_norm(1));
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    n: usize,
    p: usize,
    storage: Storage,
}

#[derive(Debug, Clone, PartialEq)]
enum Storage {
    /// By rows.
    Dense(Vec<f64>),
    /// Compressed rows.
    Sparse { starts: Vec<usize>, columns: Vec<u32>, values: Vec<f64> },
}

/// The features of one sample.
#[derive(Debug, Clone, Copy)]
pub enum Row<'a> {
    /// All of them.
    Dense(&'a [f64]),
    /// Their columns and values.
    Sparse(&'a [u32], &'a [f64]),
}

impl Features {
    /// From all values, row after row.
    ///
    /// # Errors
    /// [`Error::Config`] for no columns, [`Error::Dimension`] for values that do not fill whole rows, [`Error::NonFinite`].
    pub fn dense(n_features: usize, values: Vec<f64>) -> Result<Self> {
        Error::check_option(n_features > 0, "n_features", "positive", n_features)?;
        let n = values.len() / n_features;
        Error::check_len("dense features", n * n_features, values.len())?;
        Error::check_finite("features", &values)?;
        Ok(Self { n, p: n_features, storage: Storage::Dense(values) })
    }

    /// From compressed rows: row `i` has the entries `starts[i]..starts[i + 1]`; the columns of a row are distinct.
    ///
    /// # Errors
    /// [`Error::Config`] for no columns or starts that do not increase, [`Error::Dimension`] for lengths that do not agree or a
    /// column that is not there, [`Error::NonFinite`].
    pub fn sparse(n_features: usize, starts: Vec<usize>, columns: Vec<u32>, values: Vec<f64>) -> Result<Self> {
        Error::check_option(n_features > 0, "n_features", "positive", n_features)?;
        let increasing = starts.first() == Some(&0) && starts.windows(2).all(|w| w[0] <= w[1]);
        Error::check_option(increasing, "row starts", "increasing from 0", format!("{:?}", starts.first()))?;
        let n_entries = starts.last().copied().unwrap_or(0);
        Error::check_len("sparse columns", n_entries, columns.len())?;
        Error::check_len("sparse values", n_entries, values.len())?;
        if let Some(found) = columns.iter().map(|j| *j as usize).find(|j| *j >= n_features) {
            return Err(Error::Dimension { what: "sparse column", expected: n_features, found });
        }
        Error::check_finite("features", &values)?;
        Ok(Self { n: starts.len() - 1, p: n_features, storage: Storage::Sparse { starts, columns, values } })
    }

    /// `n`.
    pub fn n_samples(&self) -> usize {
        self.n
    }

    /// `p`.
    pub fn n_features(&self) -> usize {
        self.p
    }

    /// Whether only some entries are stored.
    pub fn is_sparse(&self) -> bool {
        matches!(self.storage, Storage::Sparse { .. })
    }

    /// Entries stored.
    pub fn n_entries(&self) -> usize {
        match &self.storage {
            Storage::Dense(values) | Storage::Sparse { values, .. } => values.len(),
        }
    }

    /// Sample `i`.
    #[inline]
    pub fn row(&self, i: usize) -> Row<'_> {
        match &self.storage {
            Storage::Dense(values) => Row::Dense(&values[i * self.p..(i + 1) * self.p]),
            Storage::Sparse { starts, columns, values } => {
                let range = starts[i]..starts[i + 1];
                Row::Sparse(&columns[range.clone()], &values[range])
            }
        }
    }

    /// `‖xᵢ‖²`.
    pub fn squared_norm(&self, i: usize) -> f64 {
        match self.row(i) {
            Row::Dense(x) | Row::Sparse(_, x) => dot(x, x),
        }
    }

    /// Samples of a block.
    pub(super) fn block(&self) -> usize {
        (BLOCK * self.n.max(1) / self.n_entries().max(1)).clamp(16, 4096)
    }

    /// `outputs ← W xᵢ + b` for the samples of a range, `K` values each.
    pub(super) fn outputs(&self, map: &Map, rows: Range<usize>, w: &[f64], outputs: &mut [f64]) {
        let k = map.outputs;
        match &self.storage {
            Storage::Dense(values) if k == 1 => {
                let (b, x) = (map.bias(w, 0), &values[rows.start * self.p..rows.end * self.p]);
                dense_dots(x, &w[..self.p], b, outputs);
            }
            Storage::Dense(values) => {
                let x = view(&values[rows.start * self.p..rows.end * self.p], self.p);
                multiply(view(&w[..k * self.p], k), x, outputs);
                if map.intercept {
                    outputs.chunks_exact_mut(k).for_each(|o| o.iter_mut().zip(&w[k * self.p..]).for_each(|(o, b)| *o += b));
                }
            }
            Storage::Sparse { .. } => {
                outputs.chunks_exact_mut(k).zip(rows).for_each(|(o, i)| map.predict(self.row(i), w, o));
            }
        }
    }

    /// `gradient ← gradient + Σ sᵢ [xᵢ 1]ᵀ` over the samples of a range, `K` slopes each.
    pub(super) fn add_adjoint(&self, map: &Map, rows: Range<usize>, slopes: &[f64], gradient: &mut [f64]) {
        let k = map.outputs;
        match &self.storage {
            Storage::Dense(values) => {
                let x = &values[rows.start * self.p..rows.end * self.p];
                let (weights, biases) = gradient.split_at_mut(k * self.p);
                if k == 1 {
                    add_dense_rows(x, slopes, weights);
                } else {
                    add_multiply(view(slopes, k), view(x, self.p).transpose(), weights);
                }
                if map.intercept {
                    slopes.chunks_exact(k).for_each(|s| biases.iter_mut().zip(s).for_each(|(b, s)| *b += s));
                }
            }
            Storage::Sparse { .. } => {
                slopes.chunks_exact(k).zip(rows).for_each(|(s, i)| map.add(self.row(i), s, gradient));
            }
        }
    }
}

/// `oᵢ ← xᵢᵀw + b`, rows of `x` one after the other; a single dispatch for all.
fn dense_dots(x: &[f64], w: &[f64], b: f64, out: &mut [f64]) {
    let (w8, w_rest) = w.as_chunks::<8>();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (x, o) in x.chunks_exact(w.len()).zip(out) {
                let (x8, x_rest) = x.as_chunks::<8>();
                let mut s = [0.0f64; 8];
                for (x, w) in x8.iter().zip(w8) {
                    for k in 0..8 {
                        s[k] += x[k] * w[k];
                    }
                }
                let rest: f64 = x_rest.iter().zip(w_rest).map(|(x, w)| x * w).sum();
                *o = ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + rest + b;
            }
        },
    );
}

/// `g ← g + Σ sᵢ xᵢ`, four rows at a time: `g` is read and written a quarter as often.
fn add_dense_rows(x: &[f64], s: &[f64], g: &mut [f64]) {
    let p = g.len();
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (quads, rest) = s.as_chunks::<4>();
            for (s, x) in quads.iter().zip(x.chunks_exact(4 * p)) {
                let ((a, b), (c, d)) = (x[..2 * p].split_at(p), x[2 * p..].split_at(p));
                for ((((g, a), b), c), d) in g.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *g += (s[0] * a + s[1] * b) + (s[2] * c + s[3] * d);
                }
            }
            for (s, x) in rest.iter().zip(x[4 * quads.len() * p..].chunks_exact(p)) {
                g.iter_mut().zip(x).for_each(|(g, x)| *g += s * x);
            }
        },
    );
}

/// The shape of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Map {
    /// `K`.
    pub outputs: usize,
    /// `p`.
    pub features: usize,
    /// Whether a column of ones follows the features.
    pub intercept: bool,
}

impl Map {
    /// Number of parameters.
    pub fn n_params(&self) -> usize {
        self.outputs * (self.features + usize::from(self.intercept))
    }

    /// Number of parameters that are not intercepts.
    pub fn n_weights(&self) -> usize {
        self.outputs * self.features
    }

    /// Intercept of output `k`.
    #[inline]
    pub fn bias(&self, w: &[f64], k: usize) -> f64 {
        if self.intercept { w[self.n_weights() + k] } else { 0.0 }
    }

    /// `out ← W x + b`.
    #[inline]
    pub fn predict(&self, row: Row<'_>, w: &[f64], out: &mut [f64]) {
        let k = self.outputs;
        if k == 1 {
            out[0] = self.bias(w, 0)
                + match row {
                    Row::Dense(x) => dot(x, &w[..x.len()]),
                    Row::Sparse(columns, x) => columns.iter().zip(x).map(|(j, x)| x * w[*j as usize]).sum(),
                };
            return;
        }
        (0..k).for_each(|c| out[c] = self.bias(w, c));
        row.for_each(|j, x| out.iter_mut().zip(&w[j * k..(j + 1) * k]).for_each(|(o, w)| *o += x * w));
    }

    /// `gradient ← gradient + s [x 1]`.
    #[inline]
    pub fn add(&self, row: Row<'_>, s: &[f64], gradient: &mut [f64]) {
        let k = self.outputs;
        match row {
            Row::Dense(x) if k == 1 => axpy(s[0], x, &mut gradient[..x.len()]),
            Row::Sparse(columns, x) if k == 1 => columns.iter().zip(x).for_each(|(j, x)| gradient[*j as usize] += s[0] * x),
            _ => row.for_each(|j, x| gradient[j * k..(j + 1) * k].iter_mut().zip(s).for_each(|(g, s)| *g += x * s)),
        }
        if self.intercept {
            gradient[self.n_weights()..].iter_mut().zip(s).for_each(|(g, s)| *g += s);
        }
    }
}

impl Row<'_> {
    /// Calls `f(column, value)` for the entries that are not zero.
    #[inline]
    pub fn for_each(self, mut f: impl FnMut(usize, f64)) {
        match self {
            Row::Dense(x) => x.iter().enumerate().filter(|(_, x)| **x != 0.0).for_each(|(j, x)| f(j, *x)),
            Row::Sparse(columns, x) => columns.iter().zip(x).for_each(|(j, x)| f(*j as usize, *x)),
        }
    }
}
