//! Exact scaling by powers of two: what keeps arithmetic in range at every scale of the data without changing a digit.

/// The exponent `e` of `2ᵉ ≤ |x| < 2ᵉ⁺¹`; zero for zero, 1024 for what is not finite.
#[inline]
pub(crate) fn exponent(x: f64) -> i32 {
    let biased = (x.to_bits() >> 52 & 0x7ff) as i32;
    match biased {
        0 if x == 0.0 => 0,
        0 => exponent(x * 18014398509481984.0) - 54,
        _ => biased - 1023,
    }
}

/// `x 2ᵉ`; underflows to zero and overflows to infinity.
#[inline]
pub(crate) fn times_power(x: f64, e: i32) -> f64 {
    if (-1022..=1023).contains(&e) {
        return x * f64::from_bits(((e + 1023) as u64) << 52);
    }
    // Three factors of one sign: whatever leaves the range stays out of it.
    let part = |e: i32| e.clamp(-1022, 1023);
    let power = |e: i32| f64::from_bits(((e + 1023) as u64) << 52);
    let first = part(e);
    let second = part(e - first);
    x * power(first) * power(second) * power(part(e - first - second))
}

/// `v ← 2ᵉ v`.
pub(crate) fn scale_by_power(v: &mut [f64], e: i32) {
    if e == 0 {
        return;
    }
    if e.abs() < 1000 {
        let factor = times_power(1.0, e);
        v.iter_mut().for_each(|x| *x *= factor);
    } else {
        v.iter_mut().for_each(|x| *x = times_power(*x, e));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_scale_exactly_over_the_whole_range() {
        for x in [1.0, 0.75, 3.0, 1e-310, 1e300, 5e-324] {
            let e = exponent(x);
            let m = times_power(x, -e);
            assert!((1.0..2.0).contains(&m), "{x}: {m}");
            assert_eq!(times_power(m, e), x);
        }
        assert_eq!(times_power(1.0, 5000), f64::INFINITY);
        assert_eq!(times_power(1.0, -5000), 0.0);
        assert_eq!(times_power(f64::MAX, -2150), 0.0);
        assert_eq!(times_power(5e-324, 2098), f64::INFINITY);
        assert_eq!(times_power(5e-324, 2097), times_power(1.0, 1023));
    }
}
