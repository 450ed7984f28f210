//! Exponentials, hyperbolic tangents and logistic functions of whole slices, vectorised through [`pulp`]'s dispatch.
//!
//! `eˣ = 2ᵏ (1 + p(r))` with `x = k ln 2 + r`, `|r| ≤ ln 2 / 2` and `p(r) = eʳ − 1` by its Taylor polynomial of degree 13,
//! whose remainder is below 2e-17 `r`. There is no branch, so the loops run in the machine's widest vectors; the results
//! are within a few units in the last place and depend on neither the position in the slice nor its length.

use pulp::Arch;

/// `1.5 · 2⁵²`: adding it rounds to an integer, which stands in the low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// `ln 2` to 33 bits, so that its product with an exponent is exact, and the rest of it.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// `1/k!` for `k = 13, 12, …, 2`.
const FACTORIALS: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// `1/k` for `k = 31, 29, …, 1`.
const ARTANH: [f64; 16] = [
    1.0 / 31.0,
    1.0 / 29.0,
    1.0 / 27.0,
    1.0 / 25.0,
    1.0 / 23.0,
    1.0 / 21.0,
    1.0 / 19.0,
    1.0 / 17.0,
    1.0 / 15.0,
    1.0 / 13.0,
    1.0 / 11.0,
    1.0 / 9.0,
    1.0 / 7.0,
    1.0 / 5.0,
    1.0 / 3.0,
    1.0,
];

/// `(2ᵏ, p)` with `eˣ = 2ᵏ (1 + p)`, for `|x| ≤ 708`.
#[inline(always)]
fn split(x: f64) -> (f64, f64) {
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = k.mul_add(-LN_2_LOW, k.mul_add(-LN_2_HIGH, x));
    let mut p = FACTORIALS[0];
    for c in &FACTORIALS[1..] {
        p = p.mul_add(r, *c);
    }
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    (power, (p * r).mul_add(r, r))
}

/// `eˣ − 1`, relatively accurate near zero, for `|x| ≤ 708`.
#[inline(always)]
fn expm1(x: f64) -> f64 {
    let (power, p) = split(x);
    power.mul_add(p, power - 1.0)
}

/// `eˣ`; arguments are limited to ±708, where it is still a normal number.
#[inline(always)]
fn exponential(x: f64) -> f64 {
    let (power, p) = split(x.clamp(-708.0, 708.0));
    power.mul_add(p, power)
}

#[inline(always)]
fn map(x: &mut [f64], f: impl Fn(f64) -> f64) {
    Arch::new().dispatch(
        #[inline(always)]
        || x.iter_mut().for_each(|x| *x = f(*x)),
    );
}

/// `x ← eˣ`, arguments limited to ±708.
pub fn exp(x: &mut [f64]) {
    map(x, exponential);
}

/// `x ← tanh x = (e²ˣ − 1)/(e²ˣ + 1)`.
pub fn tanh(x: &mut [f64]) {
    map(
        x,
        #[inline(always)]
        |x| {
            let e = expm1(2.0 * x.clamp(-20.0, 20.0));
            e / (e + 2.0)
        },
    );
}

/// `x ← 1/(1 + e⁻ˣ)`.
pub fn sigmoid(x: &mut [f64]) {
    map(
        x,
        #[inline(always)]
        |x| 1.0 / (1.0 + exponential(-x)),
    );
}

/// For margins `t`: `loss ← ln(1 + e⁻ᵗ)` and `t ← 1/(1 + eᵗ)`, minus its derivative; both relatively accurate for every `t`.
pub fn log_loss(t: &mut [f64], loss: &mut [f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for (t, loss) in t.iter_mut().zip(loss) {
                let e = exponential(-t.abs());
                // ln(1 + e) = 2 artanh s with s = e/(2 + e) ≤ 1/3.
                let s = e / (2.0 + e);
                let square = s * s;
                let mut sum = ARTANH[0];
                for c in &ARTANH[1..] {
                    sum = sum.mul_add(square, *c);
                }
                let positive = *t > 0.0;
                *loss = 2.0 * s * sum + if positive { 0.0 } else { -*t };
                *t = if positive { e } else { 1.0 } / (1.0 + e);
            }
        },
    );
}

/// `out ← f(x, out)` entry by entry, in the machine's widest vectors if `f` is arithmetic without branches.
#[inline(always)]
pub(crate) fn combine(x: &[f64], out: &mut [f64], f: impl Fn(f64, f64) -> f64) {
    Arch::new().dispatch(
        #[inline(always)]
        || out.iter_mut().zip(x).for_each(|(o, x)| *o = f(*x, *o)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points() -> Vec<f64> {
        let mut x: Vec<f64> = (-40_000..=40_000).map(|i| i as f64 * 1.0e-3 + 1.3e-5).collect();
        x.extend([0.0, -0.0, 1e-300, -1e-20, 3e-9, 1e-5, 700.0, -700.0, 1e6, -1e6, f64::INFINITY, f64::NEG_INFINITY]);
        x
    }

    /// Greatest relative error over all points.
    fn worst(f: impl Fn(&mut [f64]), exact: impl Fn(f64) -> f64) -> f64 {
        let x = points();
        let mut y = x.clone();
        f(&mut y);
        let error = |(x, y): (&f64, &f64)| {
            let e = exact(*x);
            if *y == e { 0.0 } else { ((y - e) / e).abs() }
        };
        x.iter().zip(&y).map(error).fold(0.0, f64::max)
    }

    #[test]
    fn elementary_functions_of_slices_agree_with_the_standard_ones() {
        let e = worst(exp, |x| x.clamp(-708.0, 708.0).exp());
        let t = worst(tanh, f64::tanh);
        let s = worst(sigmoid, |x| 1.0 / (1.0 + (-x).clamp(-708.0, 708.0).exp()));
        let values = |t: &mut [f64]| log_loss(&mut t.to_vec(), t);
        let slopes = |t: &mut [f64]| log_loss(t, &mut vec![0.0; t.len()]);
        let l = worst(values, |t| (-t).max(0.0) + (-t.abs().min(708.0)).exp().ln_1p());
        let d = worst(slopes, |t| 1.0 / (1.0 + t.clamp(-708.0, 708.0).exp()));
        assert!(l < 1e-15 && d < 5e-16, "log-loss {l:e}, its slope {d:e}");
        println!("relative errors: exp {e:.1e}, tanh {t:.1e}, sigmoid {s:.1e}, log-loss {l:.1e}");
        assert!(e < 5e-16 && t < 1e-15 && s < 5e-16, "{e:e} {t:e} {s:e}");
    }

    #[test]
    fn elementary_functions_keep_nan_and_signs_of_zero_arguments() {
        for f in [exp, tanh, sigmoid] {
            let mut x = [f64::NAN];
            f(&mut x);
            assert!(x[0].is_nan());
        }
        let mut x = [0.0, 1e-310];
        tanh(&mut x);
        assert_eq!(x, [0.0, 1e-310]);
    }
}
