//! Minimal surface: the area `∫ √(1 + ‖∇u‖²)` over the unit square, with `u = 1 − (2x − 1)²` on the two sides `y = 0` and
//! `y = 1` and zero on the other two.
//!
//! P1 triangles on an `m × m` grid of interior nodes, `h = 1/(m+1)`. Nodes are `(i, j)` with `x = ih`, `y = jh`, rows `i`
//! one after the other. The cell with the corners `p = (i, j)`, `q = (i+1, j)`, `r = (i, j+1)`, `s = (i+1, j+1)` has the
//! triangle `pqr` with slopes `a = (q−p)/h`, `b = (r−p)/h` and the triangle `srq` with slopes `c = (s−r)/h`, `e = (s−q)/h`.
//!
//! A row of cells is worked off in tiles on the stack: slopes first, then what they add to the nodes above and below.

use crate::error::Result;
use crate::linalg::operator::Pattern;
use crate::testbed::local::Kernel;
use std::ops::Range;

/// Nodes of a tile.
const TILE: usize = 64;
/// Room for the cells on both sides of a tile's nodes, and for the nodes of these cells.
type Cells = [f64; TILE + 1];
type Nodes = [f64; TILE + 2];

pub(super) struct MinimalSurface {
    m: usize,
    h: f64,
}

impl MinimalSurface {
    pub(super) fn new(m: usize) -> Self {
        Self { m, h: 1.0 / (m as f64 + 1.0) }
    }

    /// Loads the nodes `(i, j) … (i, j + count − 1)` of the full grid; `sides` scales the boundary values.
    #[inline(always)]
    fn load(&self, x: &[f64], sides: f64, i: usize, j: usize, count: usize, out: &mut Nodes) {
        let m = self.m;
        if i == 0 || i == m + 1 {
            out.fill(0.0);
            return;
        }
        let t = 2.0 * (i as f64 * self.h) - 1.0;
        let side = sides * (1.0 - t * t);
        let row = &x[(i - 1) * m..i * m];
        let (first, last) = (j.max(1), (j + count).min(m + 1));
        out[first - j..last - j].copy_from_slice(&row[first - 1..last - 1]);
        if j == 0 {
            out[0] = side;
        }
        if j + count == m + 2 {
            out[count - 1] = side;
        }
    }

    /// The cells of row `i` from `j` on: corner values of both rows over `count + 1` nodes.
    #[inline(always)]
    fn corners(&self, x: &[f64], sides: f64, i: usize, j: usize, count: usize) -> (Nodes, Nodes) {
        let (mut upper, mut lower) = ([0.0; TILE + 2], [0.0; TILE + 2]);
        self.load(x, sides, i, j, count + 1, &mut upper);
        self.load(x, sides, i + 1, j, count + 1, &mut lower);
        (upper, lower)
    }

    /// Adds to the nodes of a range what the triangles' fluxes give; `flux(a, b, va, vb)` is the derivative by `(a, b)`.
    ///
    /// The flux of a gradient ignores the direction's slopes `va, vb`; that of a product is linear in them.
    #[inline(always)]
    fn scatter(
        &self,
        x: &[f64],
        v: Option<&[f64]>,
        first: usize,
        out: &mut [f64],
        flux: impl Fn(f64, f64, f64, f64) -> (f64, f64),
    ) {
        let (m, half, scale) = (self.m, 0.5 * self.h, 1.0 / self.h);
        let rows = first / m..(first + out.len()) / m;
        let (mut a, mut b, mut c, mut e): (Cells, Cells, Cells, Cells) = ([0.0; _], [0.0; _], [0.0; _], [0.0; _]);
        // Row i of cells lies between the rows i and i + 1 of the full grid, which are rows i − 1 and i of variables.
        for i in rows.start..=rows.end {
            for at in (0..m).step_by(TILE) {
                let count = TILE.min(m - at);
                let (p, q) = self.corners(x, 1.0, i, at, count + 1);
                let (vp, vq) = v.map_or(([0.0; _], [0.0; _]), |v| self.corners(v, 0.0, i, at, count + 1));
                for k in 0..=TILE {
                    let slopes = |p: &Nodes, q: &Nodes| {
                        let up = (scale * (q[k] - p[k]), scale * (p[k + 1] - p[k]));
                        (up.0, up.1, scale * (q[k + 1] - p[k + 1]), scale * (q[k + 1] - q[k]))
                    };
                    let (sa, sb, sc, se) = slopes(&p, &q);
                    let (va, vb, vc, ve) = slopes(&vp, &vq);
                    (a[k], b[k]) = flux(sa, sb, va, vb);
                    (c[k], e[k]) = flux(sc, se, vc, ve);
                }
                if i > rows.start {
                    let start = (i - 1 - rows.start) * m + at;
                    for (k, o) in out[start..start + count].iter_mut().enumerate() {
                        *o += half * ((b[k] - c[k]) - (a[k + 1] + b[k + 1]));
                    }
                }
                if i < rows.end {
                    let start = (i - rows.start) * m + at;
                    for (k, o) in out[start..start + count].iter_mut().enumerate() {
                        *o = half * ((c[k] + e[k]) + (a[k + 1] - e[k + 1]));
                    }
                }
            }
        }
    }

    /// Half the second derivatives of both triangles' areas by their slopes, for the cells of row `i` from `j` on.
    #[inline(always)]
    fn curvature(&self, x: &[f64], i: usize, j: usize, count: usize) -> [Cells; 6] {
        let scale = 1.0 / self.h;
        let (p, q) = self.corners(x, 1.0, i, j, count);
        let mut out = [[0.0; TILE + 1]; 6];
        let second = |a: f64, b: f64| {
            let square = 1.0 + a * a + b * b;
            let w = 0.5 / (square * square.sqrt());
            (w * (1.0 + b * b), -w * (a * b), w * (1.0 + a * a))
        };
        let [aa, ab, bb, cc, ce, ee] = &mut out;
        for k in 0..=TILE {
            (aa[k], ab[k], bb[k]) = second(scale * (q[k] - p[k]), scale * (p[k + 1] - p[k]));
            (cc[k], ce[k], ee[k]) = second(scale * (q[k + 1] - p[k + 1]), scale * (q[k + 1] - q[k]));
        }
        out
    }
}

impl Kernel for MinimalSurface {
    fn dim(&self) -> usize {
        self.m * self.m
    }

    fn unit(&self) -> usize {
        self.m
    }

    fn pattern(&self) -> Result<Pattern> {
        let (m, n) = (self.m, self.m * self.m);
        let beside = (0..n).filter(move |k| (k + 1) % m != 0).map(|k| (k, k + 1));
        let across = (m..n).filter(move |k| (k + 1) % m != 0).map(move |k| (k, k + 1 - m));
        Pattern::from_pairs(n, beside.chain((m..n).map(|k| (k - m, k))).chain(across))
    }

    #[inline(always)]
    fn value(&self, x: &[f64], range: Range<usize>) -> f64 {
        let (m, scale) = (self.m, 1.0 / self.h);
        // Each row of variables owns the cells above it; the last one also those below.
        let last = if range.end == x.len() { m + 1 } else { range.end / m };
        let mut sums = [0.0; TILE];
        for i in range.start / m..last {
            for at in (0..=m).step_by(TILE) {
                let count = TILE.min(m + 1 - at);
                let (p, q) = self.corners(x, 1.0, i, at, count);
                let area = |a: f64, b: f64| (1.0 + a * a + b * b).sqrt();
                for (k, sum) in sums[..count].iter_mut().enumerate() {
                    let upper = area(scale * (q[k] - p[k]), scale * (p[k + 1] - p[k]));
                    *sum += upper + area(scale * (q[k + 1] - p[k + 1]), scale * (q[k + 1] - q[k]));
                }
            }
        }
        0.5 * self.h * self.h * sums.iter().sum::<f64>()
    }

    #[inline(always)]
    fn gradient(&self, x: &[f64], first: usize, out: &mut [f64]) {
        self.scatter(x, None, first, out, |a, b, _, _| {
            let w = 1.0 / (1.0 + a * a + b * b).sqrt();
            (w * a, w * b)
        });
    }

    #[inline(always)]
    fn product(&self, x: &[f64], v: &[f64], first: usize, out: &mut [f64]) {
        self.scatter(x, Some(v), first, out, |a, b, va, vb| {
            let square = 1.0 + a * a + b * b;
            let w = 1.0 / square.sqrt();
            let along = (a * va + b * vb) / square;
            (w * (va - a * along), w * (vb - b * along))
        });
    }

    #[inline(always)]
    fn entries(&self, x: &[f64], columns: Range<usize>, out: &mut [f64]) {
        let m = self.m;
        let mut filled = 0;
        for row in columns.start / m..columns.end / m {
            for at in (0..m).step_by(TILE) {
                let count = TILE.min(m - at);
                let [aa, ab, _, cc, ce, ee] = self.curvature(x, row, at, count + 1);
                let [da, dab, db, dc, dce, _] = self.curvature(x, row + 1, at, count + 1);
                for k in 0..count {
                    let l = k + 1;
                    let column = [
                        -(aa[l] + ab[l]) - (cc[k] + ce[k]),
                        ab[l] + ce[l],
                        -(db[k] + dab[k]) - (ee[k] + ce[k]),
                        (da[l] + 2.0 * dab[l] + db[l]) + (aa[l] + ee[l]) + (db[k] + dc[k]) + (cc[k] + 2.0 * ce[k] + ee[k]),
                        -(db[l] + dab[l]) - (ee[l] + ce[l]),
                        dab[k] + dce[k],
                        -(da[l] + dab[l]) - (dc[k] + dce[k]),
                    ];
                    let (up, down, left, right) = (row > 0, row + 1 < m, at + k > 0, at + k + 1 < m);
                    if up && down && left && right {
                        out[filled..filled + 7].copy_from_slice(&column);
                        filled += 7;
                        continue;
                    }
                    let stored = [up, up && right, left, true, right, down && left, down];
                    for (value, _) in column.iter().zip(stored).filter(|(_, stored)| *stored) {
                        out[filled] = *value;
                        filled += 1;
                    }
                }
            }
        }
    }
}
