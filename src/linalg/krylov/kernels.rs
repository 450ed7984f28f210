//! Fused vector updates of the Krylov methods: one pass over memory each, vectorised through [`pulp`]'s dispatch.
//!
//! Sums run over eight accumulators in an order that depends on the length only.

use pulp::Arch;

/// Below this length plain loops beat dispatch.
const SHORT: usize = 32;

#[inline(always)]
fn fold(s: [f64; 8]) -> f64 {
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
}

/// `x ← x + a p`, `r ← r − a q`; returns `rᵀr` of the new `r`.
#[inline]
pub(crate) fn step_and_residual(a: f64, p: &[f64], q: &[f64], x: &mut [f64], r: &mut [f64]) -> f64 {
    let n = x.len().min(r.len()).min(p.len()).min(q.len());
    let (p, q, x, r) = (&p[..n], &q[..n], &mut x[..n], &mut r[..n]);
    if n < SHORT {
        let mut rr = 0.0;
        for i in 0..n {
            x[i] += a * p[i];
            r[i] -= a * q[i];
            rr += r[i] * r[i];
        }
        return rr;
    }
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (ps, pt) = p.as_chunks::<8>();
            let (qs, qt) = q.as_chunks::<8>();
            let (xs, xt) = x.as_chunks_mut::<8>();
            let (rs, rt) = r.as_chunks_mut::<8>();
            let mut s = [0.0f64; 8];
            for (((p, q), x), r) in ps.iter().zip(qs).zip(xs).zip(rs) {
                // In locals, because the compiler cannot know that the slices do not overlap.
                let (mut u, mut v) = (*x, *r);
                for k in 0..8 {
                    u[k] += a * p[k];
                    v[k] -= a * q[k];
                    s[k] += v[k] * v[k];
                }
                (*x, *r) = (u, v);
            }
            let mut tail = 0.0;
            for (((p, q), x), r) in pt.iter().zip(qt).zip(xt).zip(rt) {
                *x += a * p;
                *r -= a * q;
                tail += *r * *r;
            }
            fold(s) + tail
        },
    )
}

/// `out ← z + b p`.
#[inline]
pub(crate) fn next_direction(z: &[f64], b: f64, p: &[f64], out: &mut [f64]) {
    let n = out.len().min(z.len()).min(p.len());
    let (z, p, out) = (&z[..n], &p[..n], &mut out[..n]);
    if n < SHORT {
        out.iter_mut().zip(z).zip(p).for_each(|((o, z), p)| *o = z + b * p);
        return;
    }
    Arch::new().dispatch(
        #[inline(always)]
        || out.iter_mut().zip(z).zip(p).for_each(|((o, z), p)| *o = z + b * p),
    );
}

/// `(xᵀx, xᵀp, pᵀp)` in one pass.
#[inline]
pub(crate) fn gram(x: &[f64], p: &[f64]) -> (f64, f64, f64) {
    let n = x.len().min(p.len());
    let (x, p) = (&x[..n], &p[..n]);
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let (xs, xt) = x.as_chunks::<8>();
            let (ps, pt) = p.as_chunks::<8>();
            let (mut a, mut b, mut c) = ([0.0f64; 8], [0.0f64; 8], [0.0f64; 8]);
            for (x, p) in xs.iter().zip(ps) {
                for k in 0..8 {
                    a[k] += x[k] * x[k];
                    b[k] += x[k] * p[k];
                    c[k] += p[k] * p[k];
                }
            }
            let (mut ta, mut tb, mut tc) = (0.0, 0.0, 0.0);
            for (x, p) in xt.iter().zip(pt) {
                ta += x * x;
                tb += x * p;
                tc += p * p;
            }
            (fold(a) + ta, fold(b) + tb, fold(c) + tc)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, w: f64) -> Vec<f64> {
        (0..n).map(|i| (i as f64 * w + 0.3).sin()).collect()
    }

    #[test]
    fn fused_updates_equal_plain_loops() {
        for n in [0, 1, 7, 31, 32, 33, 100, 1003] {
            let (p, q, x0, r0) = (wave(n, 0.37), wave(n, 0.11), wave(n, 0.71), wave(n, 0.23));
            let (mut x, mut r) = (x0.clone(), r0.clone());
            let rr = step_and_residual(0.7, &p, &q, &mut x, &mut r);
            for i in 0..n {
                assert_eq!(x[i], x0[i] + 0.7 * p[i]);
                assert_eq!(r[i], r0[i] - 0.7 * q[i]);
            }
            let plain: f64 = r.iter().map(|v| v * v).sum();
            assert!((rr - plain).abs() <= 1e-13 * (n as f64 + 1.0));
            let mut d = vec![0.0; n];
            next_direction(&p, -0.4, &q, &mut d);
            (0..n).for_each(|i| assert_eq!(d[i], p[i] - 0.4 * q[i]));
            let (a, b, c) = gram(&p, &q);
            let sum = |u: &[f64], v: &[f64]| u.iter().zip(v).map(|(a, b)| a * b).sum::<f64>();
            for (got, want) in [(a, sum(&p, &p)), (b, sum(&p, &q)), (c, sum(&q, &q))] {
                assert!((got - want).abs() <= 1e-13 * (n as f64 + 1.0));
            }
        }
    }
}
