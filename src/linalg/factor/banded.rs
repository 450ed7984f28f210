//! `LDLᵀ` of a symmetric band matrix in its natural order, for half bandwidths up to [`WIDEST`].
//!
//! Right-looking by columns with the band width as a constant, so that the inner loops unroll and nothing branches but
//! the pivot test. The tridiagonal case runs from both ends to the middle (the "burn at both ends" or twisted order):
//! two independent recurrences hide each other's division latency.

use super::NotPositiveDefinite;
use crate::linalg::operator::SparseView;

/// Largest half bandwidth this kernel takes.
pub(super) const WIDEST: usize = 8;

/// Buffers of a banded factorization.
#[derive(Debug, Clone, Default)]
pub(super) struct Banded {
    n: usize,
    width: usize,
    /// For each stored entry of the lower triangle, its source among the values and its place in the band.
    map: Vec<(u32, u32)>,
    /// Column `j` holds `d_j, l_{j+1,j}, …, l_{j+w,j}`; `w` empty columns follow the last.
    band: Vec<f64>,
}

impl Banded {
    /// Half bandwidth of a pattern.
    pub fn bandwidth(m: SparseView<'_>) -> usize {
        (0..m.dim()).map(|j| m.column(j).0.last().map_or(0, |&i| i.saturating_sub(j))).max().unwrap_or(0)
    }

    /// Prepares for the pattern of `m`; `false` if the matrix is too wide or too large for this kernel.
    pub fn analyse(&mut self, m: SparseView<'_>) -> bool {
        let (n, width) = (m.dim(), Self::bandwidth(m));
        if width > WIDEST || (n + width).saturating_mul(width + 1).max(m.rows.len()) > u32::MAX as usize {
            return false;
        }
        (self.n, self.width) = (n, width);
        self.map.clear();
        for j in 0..n {
            for k in m.starts[j]..m.starts[j + 1] {
                if m.rows[k] >= j {
                    self.map.push((k as u32, (j * (width + 1) + m.rows[k] - j) as u32));
                }
            }
        }
        self.band.clear();
        self.band.resize((n + width) * (width + 1), 0.0);
        true
    }

    pub fn factor(&mut self, values: &[f64], shift: f64) -> Result<(), NotPositiveDefinite> {
        let step = self.width + 1;
        self.band.fill(0.0);
        self.band.iter_mut().step_by(step).for_each(|d| *d = shift);
        for &(from, to) in &self.map {
            self.band[to as usize] += values[from as usize];
        }
        let failed = match self.width {
            0 => (0..self.n).find(|&j| !positive(self.band[j])),
            1 => twisted(&mut self.band, self.n),
            2 => columns::<2, 3>(&mut self.band, self.n),
            3 => columns::<3, 4>(&mut self.band, self.n),
            4 => columns::<4, 5>(&mut self.band, self.n),
            5 => columns::<5, 6>(&mut self.band, self.n),
            6 => columns::<6, 7>(&mut self.band, self.n),
            7 => columns::<7, 8>(&mut self.band, self.n),
            _ => columns::<8, 9>(&mut self.band, self.n),
        };
        match failed {
            None => Ok(()),
            Some(pivot) => Err(NotPositiveDefinite { pivot, deficit: (-self.band[pivot * step]).max(0.0) }),
        }
    }

    /// `x ← L⁻¹ x`.
    pub fn forward(&self, x: &mut [f64]) {
        match self.width {
            0 => {}
            1 => twisted_forward(&self.band, x),
            2 => forward::<2, 3>(&self.band, x),
            3 => forward::<3, 4>(&self.band, x),
            4 => forward::<4, 5>(&self.band, x),
            5 => forward::<5, 6>(&self.band, x),
            6 => forward::<6, 7>(&self.band, x),
            7 => forward::<7, 8>(&self.band, x),
            _ => forward::<8, 9>(&self.band, x),
        }
    }

    /// `x ← D⁻¹ x`, or `D^{−1/2} x`.
    pub fn scale(&self, root: bool, x: &mut [f64]) {
        let d = self.band.iter().step_by(self.width + 1);
        if root {
            x.iter_mut().zip(d).for_each(|(x, d)| *x /= d.sqrt());
        } else {
            x.iter_mut().zip(d).for_each(|(x, d)| *x /= d);
        }
    }

    /// `x ← L⁻ᵀ x`.
    pub fn backward(&self, x: &mut [f64]) {
        if self.width == 1 {
            return twisted_backward(&self.band, x);
        }
        self.backward_from(self.n, x);
    }

    fn backward_from(&self, m: usize, x: &mut [f64]) {
        match self.width {
            0 => {}
            1 => backward::<1, 2>(&self.band, m, x),
            2 => backward::<2, 3>(&self.band, m, x),
            3 => backward::<3, 4>(&self.band, m, x),
            4 => backward::<4, 5>(&self.band, m, x),
            5 => backward::<5, 6>(&self.band, m, x),
            6 => backward::<6, 7>(&self.band, m, x),
            7 => backward::<7, 8>(&self.band, m, x),
            _ => backward::<8, 9>(&self.band, m, x),
        }
    }

    /// `v` with `v_k = 1` at the failed pivot, zero at columns not eliminated, and `Lᵀv = 0` at the others.
    pub fn negative_curvature(&self, pivot: usize, v: &mut [f64]) {
        v.fill(0.0);
        v[pivot] = 1.0;
        if self.width == 1 {
            twisted_negative_curvature(&self.band, pivot, v);
        } else {
            self.backward_from(pivot, v);
        }
    }
}

#[inline(always)]
fn positive(d: f64) -> bool {
    d > 0.0 && d <= f64::MAX
}

/// Columns of width `W` (`S = W + 1` stored values each); the pivot that failed, if one did.
fn columns<const W: usize, const S: usize>(band: &mut [f64], n: usize) -> Option<usize> {
    for j in 0..n {
        let block = &mut band[j * S..(j + W + 1) * S];
        let d = block[0];
        if !positive(d) {
            return Some(j);
        }
        let mut a = [0.0; S];
        let mut l = [0.0; S];
        for t in 1..S {
            a[t] = block[t];
            l[t] = block[t] / d;
        }
        for t in 1..S {
            for s in t..S {
                block[t * S + s - t] -= l[t] * a[s];
            }
            block[t] = l[t];
        }
    }
    None
}

/// The columns behind the last one are empty, so nothing needs a bound but the vector itself. What later entries still
/// owe is kept in a window of registers: through memory each entry would wait for a store.
fn forward<const W: usize, const S: usize>(band: &[f64], x: &mut [f64]) {
    let mut owed = [0.0; S];
    for (xj, column) in x.iter_mut().zip(band.as_chunks::<S>().0) {
        *xj -= owed[0];
        for t in 0..W {
            owed[t] = owed[t + 1] + column[t + 1] * *xj;
        }
    }
}

/// Back substitution with the first `m` columns; the entries of `x` from `m` on are known.
fn backward<const W: usize, const S: usize>(band: &[f64], m: usize, x: &mut [f64]) {
    let mut ahead = [0.0; W];
    x[m..].iter().zip(&mut ahead).for_each(|(x, a)| *a = *x);
    for (xj, column) in x[..m].iter_mut().zip(&band.as_chunks::<S>().0[..m]).rev() {
        let mut s = *xj;
        // The nearest unknown last: only it is on the critical path.
        for t in (0..W).rev() {
            s -= column[t + 1] * ahead[t];
        }
        for t in (1..W).rev() {
            ahead[t] = ahead[t - 1];
        }
        ahead[0] = s;
        *xj = s;
    }
}

/// Middle of the twisted order: columns below it are eliminated downwards, those above it upwards.
#[inline(always)]
fn middle(n: usize) -> usize {
    n / 2
}

/// Tridiagonal `LDLᵀ` from both ends. The coupling of `j` and `j+1` stays at place `2j+1` and becomes `l`, the
/// multiplier that eliminates the outer one of the two.
fn twisted(band: &mut [f64], n: usize) -> Option<usize> {
    if n == 0 {
        return None;
    }
    let m = middle(n);
    let (low, high) = band.split_at_mut(2 * m);
    // `low` holds columns 0..m with the coupling of m−1 and m; `high` columns m..n with theirs.
    let (mut down, mut from_below) = (0.0, 0.0);
    let pairs = m.min(n - 1 - m);
    let mut ok = true;
    let mut at = 0;
    // Both recurrences advance in one loop; each pivot is tested with one comparison, the verdict taken in blocks.
    while at < pairs && ok {
        let end = (at + 64).min(pairs);
        for i in at..end {
            let d = low[2 * i] - down;
            let e = low[2 * i + 1];
            let l = e / d;
            low[2 * i] = d;
            low[2 * i + 1] = l;
            down = e * l;
            let k = n - 1 - m - i;
            let d2 = high[2 * k] - from_below;
            let e2 = high[2 * k - 1];
            let l2 = e2 / d2;
            high[2 * k] = d2;
            high[2 * k - 1] = l2;
            from_below = e2 * l2;
            ok &= positive(d) & positive(d2);
        }
        at = end;
    }
    if !ok {
        return (0..at).find_map(|i| {
            if !positive(low[2 * i]) {
                Some(i)
            } else if !positive(high[2 * (n - 1 - m - i)]) {
                Some(n - 1 - i)
            } else {
                None
            }
        });
    }
    // One more below the middle when n is even.
    for i in pairs..m {
        let d = low[2 * i] - down;
        let e = low[2 * i + 1];
        low[2 * i] = d;
        if !positive(d) {
            return Some(i);
        }
        low[2 * i + 1] = e / d;
        down = e * low[2 * i + 1];
    }
    high[0] = high[0] - down - from_below;
    (!positive(high[0])).then_some(m)
}

fn twisted_forward(band: &[f64], x: &mut [f64]) {
    let n = x.len();
    if n == 0 {
        return;
    }
    let m = middle(n);
    let (low, high) = x.split_at_mut(m);
    let pairs = m.min(n - 1 - m);
    let (mut a, mut b) = (0.0, 0.0);
    for i in 0..pairs {
        low[i] -= a;
        a = band[2 * i + 1] * low[i];
        let k = n - 1 - i;
        high[k - m] -= b;
        b = band[2 * k - 1] * high[k - m];
    }
    for i in pairs..m {
        low[i] -= a;
        a = band[2 * i + 1] * low[i];
    }
    high[0] = high[0] - a - b;
}

fn twisted_backward(band: &[f64], x: &mut [f64]) {
    let n = x.len();
    if n == 0 {
        return;
    }
    let m = middle(n);
    let (low, high) = x.split_at_mut(m);
    let (mut a, mut b) = (high[0], high[0]);
    let pairs = m.min(n - 1 - m);
    for i in (pairs..m).rev() {
        low[i] -= band[2 * i + 1] * a;
        a = low[i];
    }
    for i in (0..pairs).rev() {
        low[i] -= band[2 * i + 1] * a;
        a = low[i];
        let k = n - 1 - i;
        high[k - m] -= band[2 * k - 1] * b;
        b = high[k - m];
    }
}

/// Back substitution outwards from the failed pivot, over the columns eliminated before it.
fn twisted_negative_curvature(band: &[f64], pivot: usize, v: &mut [f64]) {
    let n = v.len();
    let m = middle(n);
    if pivot <= m {
        for j in (0..pivot).rev() {
            v[j] = -band[2 * j + 1] * v[j + 1];
        }
    }
    if pivot >= m {
        for j in pivot + 1..n {
            v[j] = -band[2 * j - 1] * v[j - 1];
        }
    }
}
