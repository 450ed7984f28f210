//! Packed panels of a matrix's rows, and products of two panels (Goto & van de Geijn 2008).
//!
//! A panel holds `H` rows, three vectors of the machine, column after column. The product of a panel with the transpose of `W`
//! rows of another one is a tile that stays in registers while it runs over a chunk of columns. Its entries are fused sums in
//! the order of the columns: their bits do not depend on the width of the machine's vectors.

use super::buffer::Buffer;
use faer::MatRef;
use pulp::{Simd, WithSimd};

/// Columns in a chunk, at most: a panel of 24 rows fills three quarters of 48 kB.
const CHUNK: usize = 192;

/// Work by panels of `H` rows and tiles of `H × W`.
pub(super) trait ByPanels {
    fn run<S: Simd, const H: usize, const W: usize>(self, simd: S);
}

/// The same with the sizes that fit the machine's vectors and registers.
pub(super) struct Fitted<T>(pub T);

impl<T: ByPanels> WithSimd for Fitted<T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F64_LANES {
            8 => self.0.run::<S, 24, 8>(simd),
            4 => self.0.run::<S, 12, 4>(simd),
            2 => self.0.run::<S, 6, 6>(simd),
            _ => self.0.run::<S, 3, 3>(simd),
        }
    }
}

/// Columns of each chunk of `n` but the last, all about as long.
pub(super) fn chunk(n: usize) -> usize {
    n.div_ceil(n.div_ceil(CHUNK).max(1))
}

/// Room for panels.
pub(super) struct Room {
    buffer: Buffer,
    begin: usize,
}

impl Room {
    /// For `len` numbers.
    pub fn new(len: usize) -> Self {
        let buffer = Buffer::new(len + 8);
        // Vectors that begin where a line of the cache does.
        let begin = buffer.as_ptr().align_offset(64).min(8);
        Self { buffer, begin }
    }

    pub fn first(&mut self, len: usize) -> &mut [f64] {
        &mut self.buffer[self.begin..][..len]
    }
}

/// Writes panel after panel of `H` rows, the last one filled up with zeros.
#[inline(always)]
pub(super) fn pack<const H: usize>(l: MatRef<'_, f64>, packed: &mut [f64]) {
    for (p, panel) in packed.chunks_exact_mut(H * l.ncols()).enumerate() {
        let rows = l.subrows(p * H, H.min(l.nrows() - p * H));
        for (column, out) in rows.col_iter().zip(panel.as_chunks_mut::<H>().0) {
            match column.try_as_col_major() {
                Some(column) if rows.nrows() == H => out.copy_from_slice(column.as_slice()),
                _ => {
                    out.iter_mut().zip(column.iter()).for_each(|(o, v)| *o = *v);
                    out[rows.nrows()..].fill(0.0);
                }
            }
        }
    }
}

/// The product of a panel with the transpose of `W` rows, from row `at` on, of another one.
#[inline(always)]
pub(super) fn tile<S: Simd, const H: usize, const W: usize>(
    simd: S,
    left: &[f64],
    right: &[f64],
    at: usize,
) -> [[S::f64s; 3]; W] {
    let mut tile = [[simd.splat_f64s(0.0); 3]; W];
    for (a, b) in S::as_simd_f64s(left).0.as_chunks::<3>().0.iter().zip(right.as_chunks::<H>().0) {
        for (b, tile) in b[at..].iter().zip(&mut tile) {
            let b = simd.splat_f64s(*b);
            for (t, a) in tile.iter_mut().zip(a) {
                *t = simd.mul_add_f64s(*a, b, *t);
            }
        }
    }
    tile
}

/// Writes the rows of a tile's column from `top` on to `out`, as many as there are, or adds them.
#[inline(always)]
pub(super) fn put<S: Simd, const H: usize>(simd: S, column: &[S::f64s; 3], top: usize, add: bool, out: &mut [f64]) {
    if out.len() == H {
        let out = S::as_mut_simd_f64s(out).0;
        out.iter_mut().zip(column).for_each(|(o, v)| *o = if add { simd.add_f64s(*o, *v) } else { *v });
    } else {
        let mut whole = [0.0; H];
        S::as_mut_simd_f64s(&mut whole).0.iter_mut().zip(column).for_each(|(w, v)| *w = *v);
        out.iter_mut().zip(&whole[top..]).for_each(|(o, w)| *o = if add { *o + w } else { *w });
    }
}
