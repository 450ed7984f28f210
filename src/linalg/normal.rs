//! Standard normal numbers by the slice: Box & Muller (1958) in the machine's widest vectors.
//!
//! Eight xoshiro256++ generators (Blackman & Vigna 2021) side by side, seeded by the caller's, give uniform `u` and `v`; then
//! `√(−2 ln u) (cos 2πv, sin 2πv)`. The logarithm is `k ln 2 + 2 artanh((m − 1)/(m + 1))`; the angle lies within an eighth of a
//! turn, and three spare bits of `v` mirror the point to the other octants. Only additions, fused multiply-adds, divisions and
//! square roots: the numbers depend on the seed, not on the machine.

use rand::RngCore;
use std::f64::consts::{LN_2, PI, SQRT_2};

/// Generators side by side.
const LANES: usize = 8;
/// Pairs at a time.
const BLOCK: usize = 128;

/// `x[i] ← N(0, 1)`, independent. Whatever the length, 32 words are taken from `random`; a shorter slice gets the beginning of a
/// longer one.
pub(crate) fn fill(random: &mut dyn RngCore, x: &mut [f64]) {
    let mut state = [[0u64; LANES]; 4];
    state.iter_mut().flatten().for_each(|s| *s = random.next_u64());
    // A generator whose state is zero stays there.
    state[0].iter_mut().for_each(|s| *s |= 1);
    pulp::Arch::new().dispatch(Fill { state, x });
}

/// The whole loop, in the widest vectors.
struct Fill<'a> {
    state: [[u64; LANES]; 4],
    x: &'a mut [f64],
}

impl pulp::WithSimd for Fill<'_> {
    type Output = ();
    // A closure of this size would not be inlined into the code for the machine's vectors.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) {
        let mut drawn = [0.0; 2 * BLOCK];
        for part in self.x.chunks_mut(2 * BLOCK) {
            pairs(&mut self.state, &mut drawn);
            part.copy_from_slice(&drawn[..part.len()]);
        }
    }
}

/// Points: all abscissas, then all ordinates.
#[inline(always)]
fn pairs(state: &mut [[u64; LANES]; 4], out: &mut [f64; 2 * BLOCK]) {
    let (mut u, mut v) = ([0u64; BLOCK], [0u64; BLOCK]);
    for words in [&mut u, &mut v] {
        for words in words.as_chunks_mut::<LANES>().0 {
            *words = next(state);
        }
    }
    let (abscissas, ordinates) = out.split_at_mut(BLOCK);
    let mut radii = [0.0; BLOCK];
    for i in 0..BLOCK {
        radii[i] = radius(u[i]);
    }
    for i in 0..BLOCK {
        (abscissas[i], ordinates[i]) = point(radii[i], v[i]);
    }
}

/// The next word of every generator.
#[inline(always)]
fn next(s: &mut [[u64; LANES]; 4]) -> [u64; LANES] {
    let mut out = [0; LANES];
    for i in 0..LANES {
        out[i] = s[0][i].wrapping_add(s[3][i]).rotate_left(23).wrapping_add(s[0][i]);
        let t = s[1][i] << 17;
        s[2][i] ^= s[0][i];
        s[3][i] ^= s[1][i];
        s[1][i] ^= s[2][i];
        s[0][i] ^= s[3][i];
        s[2][i] ^= t;
        s[3][i] = s[3][i].rotate_left(45);
    }
    out
}

/// A number in `[1, 2)` from the upper 52 bits.
#[inline(always)]
fn one_to_two(bits: u64) -> f64 {
    f64::from_bits(bits >> 12 | 1.0f64.to_bits())
}

/// `√(−2 ln u)` with `u` in `(0, 1]`.
#[inline(always)]
fn radius(u: u64) -> f64 {
    (-2.0 * ln(2.0 - one_to_two(u))).sqrt()
}

/// The point at an angle.
#[inline(always)]
fn point(radius: f64, v: u64) -> (f64, f64) {
    // An eighth of a turn to both sides, then the other octants.
    let (sin, cos) = sin_cos((one_to_two(v) - 1.5) * (0.5 * PI));
    let (a, b) = if v & 1 == 1 { (sin, cos) } else { (cos, sin) };
    let a = f64::from_bits((a * radius).to_bits() ^ (v >> 1) << 63);
    let b = f64::from_bits((b * radius).to_bits() ^ (v >> 2) << 63);
    (a, b)
}

/// `√½`.
const LEAST: f64 = 0.5 * SQRT_2;
/// `2⁵²`, whose last bits count ones.
const ONES: f64 = 4_503_599_627_370_496.0;

/// `1/(2k+1)` for `k = 10, 9, …, 1`.
const ODD: [f64; 10] =
    [1.0 / 21.0, 1.0 / 19.0, 1.0 / 17.0, 1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0];

/// `ln x` of a normal positive number.
#[inline(always)]
fn ln(x: f64) -> f64 {
    // x = 2ᵏ m with m in [√½, √2): the exponent shows after √½ is moved to 1.
    let bits = x.to_bits().wrapping_add(1.0f64.to_bits() - LEAST.to_bits());
    let k = f64::from_bits(bits >> 52 | ONES.to_bits()) - (ONES + 1023.0);
    let m = f64::from_bits((bits & ((1 << 52) - 1)).wrapping_add(LEAST.to_bits()));
    let s = (m - 1.0) / (m + 1.0);
    let t = s * s;
    let mut p = ODD[0];
    for c in &ODD[1..] {
        p = t.mul_add(p, *c);
    }
    k.mul_add(LN_2, 2.0 * (t * s).mul_add(p, s))
}

/// `±1/(2k+1)!` and `±1/(2k)!` for `k = 8, 7, …, 1`.
const SIN: [f64; 8] = [
    1.0 / 355_687_428_096_000.0,
    -1.0 / 1_307_674_368_000.0,
    1.0 / 6_227_020_800.0,
    -1.0 / 39_916_800.0,
    1.0 / 362_880.0,
    -1.0 / 5_040.0,
    1.0 / 120.0,
    -1.0 / 6.0,
];
const COS: [f64; 8] = [
    1.0 / 20_922_789_888_000.0,
    -1.0 / 87_178_291_200.0,
    1.0 / 479_001_600.0,
    -1.0 / 3_628_800.0,
    1.0 / 40_320.0,
    -1.0 / 720.0,
    1.0 / 24.0,
    -0.5,
];

/// `sin x`, `cos x` for `|x| ≤ π/4`, by their Taylor polynomials.
#[inline(always)]
fn sin_cos(x: f64) -> (f64, f64) {
    let t = x * x;
    let (mut sin, mut cos) = (SIN[0], COS[0]);
    for k in 1..8 {
        sin = t.mul_add(sin, SIN[k]);
        cos = t.mul_add(cos, COS[k]);
    }
    ((t * x).mul_add(sin, x), t.mul_add(cos, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn drawn(n: usize, seed: u64) -> Vec<f64> {
        let mut x = vec![0.0; n];
        fill(&mut ChaCha8Rng::seed_from_u64(seed), &mut x);
        x
    }

    #[test]
    fn elementary_functions_agree_with_the_standard_ones() {
        let mut worst = 0.0f64;
        for i in 1..=100_000 {
            let x = f64::from(i) * 1e-5;
            let angle = (x - 0.5) * 0.5 * PI;
            let (sin, cos) = sin_cos(angle);
            worst = worst.max((sin - angle.sin()).abs() / angle.sin().abs().max(1e-300)).max((cos / angle.cos() - 1.0).abs());
            worst = worst.max(if i == 100_000 { ln(x).abs() } else { (ln(x) / x.ln() - 1.0).abs() });
        }
        worst = worst.max((ln(f64::EPSILON) / f64::EPSILON.ln() - 1.0).abs());
        println!("relative error of ln, sin, cos {worst:.1e}");
        assert!(worst < 1e-15, "{worst:e}");
    }

    #[test]
    fn numbers_follow_the_normal_distribution() {
        let n = 1_000_000;
        let mut x = drawn(n, 1);
        let mean = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
        // Moments within four standard deviations: E x, x², x³, x⁴ have the variances 1, 2, 15, 96.
        for (power, expected, variance) in [(1, 0.0, 1.0f64), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let found = mean(&|i| x[i].powi(power));
            assert!((found - expected).abs() < 4.0 * (variance / n as f64).sqrt(), "moment {power}: {found}");
        }
        // Neither neighbours, lanes, the two numbers of a pair nor their squares are correlated.
        for lag in [1, 2, 7, 8, 9, 15, 16, 17] {
            let (plain, squared) =
                (mean(&|i| x[i] * x[(i + lag) % n]), mean(&|i| (x[i] * x[i] - 1.0) * (x[(i + lag) % n].powi(2) - 1.0)));
            assert!(plain.abs() < 4.0 / (n as f64).sqrt() && squared.abs() < 8.0 / (n as f64).sqrt(), "{lag}: {plain} {squared}");
        }
        // Kolmogorov's distance has its 99.9 % point at 1.95/√n.
        x.sort_by(f64::total_cmp);
        let distance = |i: usize| (0.5 * libm::erfc(-x[i] / SQRT_2) - (i as f64 + 0.5) / n as f64).abs();
        let worst = (0..n).map(distance).fold(0.0, f64::max);
        assert!(worst < 1.95 / (n as f64).sqrt(), "{worst:e}");
    }

    #[test]
    fn numbers_depend_on_the_seed_and_not_on_the_length() {
        let long = drawn(100, 3);
        for n in [0, 1, 15, 16, 17, 99] {
            assert_eq!(drawn(n, 3), long[..n]);
        }
        assert_ne!(drawn(16, 4), long[..16]);
        // The next call goes on with other numbers.
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let (mut first, mut second) = ([0.0; 16], [0.0; 16]);
        fill(&mut random, &mut first);
        fill(&mut random, &mut second);
        assert!(first == long[..16] && first.iter().all(|x| !second.contains(x)));
    }
}
