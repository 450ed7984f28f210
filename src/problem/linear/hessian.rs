//! Hessians of linear models as matrices: `(1/n) Σ ωᵢ Dᵢ ⊗ [xᵢ 1][xᵢ 1]ᵀ + λI`, by products of blocks of weighted rows with
//! themselves.

use super::Data;
use super::features::Row;
use crate::linalg::gram::{add_gram, mirror};
use crate::linalg::matrix::view;

/// Values of weighted rows that are multiplied at a time.
const BLOCK: usize = 1 << 16;

/// `out ← Σ` over the samples `rows`, unscaled and without regulariser; `curvature` as a pass leaves it, for these samples.
pub(super) fn write(data: &Data, rows: impl Iterator<Item = usize> + Clone, curvature: &[f64], out: &mut [f64]) {
    let (k, q) = (data.map.outputs, data.map.n_params() / data.map.outputs);
    if k == 1 {
        let weight = |at: usize, _: usize| curvature[at].max(0.0).sqrt();
        weighted_gram(data, rows, weight, out);
        mirror(q, out);
        return;
    }
    let mut square = vec![0.0; q * q];
    for a in 0..k {
        for b in 0..=a {
            // −pₐ p_b off the diagonal: the root of its opposite.
            let weight = |at: usize, i: usize| {
                let (pa, pb) = (curvature[at * k + a], curvature[at * k + b]);
                (data.weight(i) * pa * if a == b { 1.0 - pa } else { pb }).max(0.0).sqrt()
            };
            square.fill(0.0);
            weighted_gram(data, rows.clone(), weight, &mut square);
            mirror(q, &mut square);
            let (n, sign) = (k * q, if a == b { 1.0 } else { -1.0 });
            for j in 0..q {
                for i in 0..q {
                    let v = sign * square[j * q + i];
                    (out[(k * j + b) * n + k * i + a], out[(k * j + a) * n + k * i + b]) = (v, v);
                }
            }
        }
    }
}

/// Divides by the number of samples and adds the regulariser.
pub(super) fn finish(data: &Data, n_samples: usize, out: &mut [f64]) {
    let n = data.map.n_params();
    let scale = 1.0 / n_samples as f64;
    out.iter_mut().for_each(|v| *v *= scale);
    (0..data.map.n_weights()).for_each(|i| out[i * n + i] += data.l2);
}

/// Lower triangle of `out ← out + Σ weight(at, i)² [xᵢ 1][xᵢ 1]ᵀ`, `q × q`.
pub(super) fn weighted_gram(
    data: &Data,
    rows: impl Iterator<Item = usize>,
    weight: impl Fn(usize, usize) -> f64,
    out: &mut [f64],
) {
    let p = data.map.features;
    let q = p + usize::from(data.map.intercept);
    if data.features.is_sparse() {
        rows.enumerate().for_each(|(at, i)| add_sparse(data, i, weight(at, i).powi(2), q, out));
        return;
    }
    let height = (BLOCK / q).clamp(16, 4096);
    let mut block = vec![0.0; q * height];
    let mut filled = 0;
    for (at, i) in rows.enumerate() {
        let w = weight(at, i);
        let row = &mut block[filled * q..(filled + 1) * q];
        if let Row::Dense(x) = data.features.row(i) {
            row.iter_mut().zip(x).for_each(|(r, x)| *r = w * x);
        }
        if q > p {
            row[p] = w;
        }
        filled += 1;
        if filled == height {
            add_gram(view(&block, q), q, out);
            filled = 0;
        }
    }
    if filled > 0 {
        add_gram(view(&block[..filled * q], q), q, out);
    }
}

fn add_sparse(data: &Data, i: usize, weight: f64, q: usize, out: &mut [f64]) {
    let Row::Sparse(columns, values) = data.features.row(i) else { return };
    let p = data.map.features;
    for (j, x) in columns.iter().zip(values) {
        let (j, scaled) = (*j as usize, weight * x);
        for (l, y) in columns.iter().zip(values).filter(|(l, _)| **l as usize >= j) {
            out[j * q + *l as usize] += scaled * y;
        }
        if q > p {
            out[j * q + p] += scaled;
        }
    }
    if q > p {
        out[p * q + p] += weight;
    }
}
