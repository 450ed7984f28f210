//! Minimizers of the quadratic and cubic polynomials that line searches fit to values and slopes.
//!
//! All take differences to the left end, so that a large `|f|` costs no digits. They return NaN where the polynomial
//! has no minimizer; callers clamp with [`safeguard`].

/// Minimizer of the quadratic with slope `d0` at 0 and value `f` (relative to that at 0) at `a`.
pub(crate) fn quadratic(d0: f64, a: f64, f: f64) -> f64 {
    let curvature = f - d0 * a;
    if curvature > 0.0 { -d0 * a * a / (2.0 * curvature) } else { f64::NAN }
}

/// Minimizer of the cubic with slope `d0` at 0 and values `fa`, `fb` (relative to that at 0) at `a ≠ b`
/// (Nocedal & Wright 2006, §3.5).
pub(crate) fn cubic_through_two(d0: f64, a: f64, fa: f64, b: f64, fb: f64) -> f64 {
    let (ra, rb) = ((fa - d0 * a) / (a * a), (fb - d0 * b) / (b * b));
    let c3 = (ra - rb) / (a - b);
    let c2 = ra - c3 * a;
    // φ(t) − φ(0) = c3 t³ + c2 t² + d0 t; the larger root form avoids cancellation for either sign of c2.
    let discriminant = c2 * c2 - 3.0 * c3 * d0;
    if discriminant < 0.0 {
        return f64::NAN;
    }
    let root = discriminant.sqrt();
    if c2 >= 0.0 { -d0 / (c2 + root) } else { (root - c2) / (3.0 * c3) }
}

/// Minimizer of the cubic with value 0 and slope `d0` at 0, value `f` and slope `d` at `a` (of either sign).
pub(crate) fn cubic_hermite(d0: f64, a: f64, f: f64, d: f64) -> f64 {
    let theta = d0 + d - 3.0 * (f / a);
    // Scaled, because squares of slopes overflow or vanish long before the slopes do.
    let scale = theta.abs().max(d0.abs()).max(d.abs());
    let (theta, d0, d) = (theta / scale, d0 / scale, d / scale);
    let discriminant = theta * theta - d0 * d;
    if discriminant < 0.0 {
        return f64::NAN;
    }
    let root = discriminant.sqrt().copysign(a);
    a * (1.0 - (d + root - theta) / (d - d0 + 2.0 * root))
}

/// `t` clamped to `[low, high]`; `otherwise` if `t` is not finite.
pub(crate) fn safeguard(t: f64, low: f64, high: f64, otherwise: f64) -> f64 {
    if t.is_finite() { t.max(low).min(high) } else { otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;

    // φ(t) = 2t³ − 3t² − 12t has its minimizer at t = 2.
    fn cubic(t: f64) -> f64 {
        2.0 * t.powi(3) - 3.0 * t * t - 12.0 * t
    }
    fn slope(t: f64) -> f64 {
        6.0 * t * t - 6.0 * t - 12.0
    }

    #[test]
    fn interpolation_of_its_own_polynomial_finds_its_minimizer() {
        assert!((cubic_through_two(-12.0, 3.5, cubic(3.5), 1.25, cubic(1.25)) - 2.0).abs() < 1e-13);
        for a in [0.5, 1.0, 3.0, 7.0] {
            assert!((cubic_hermite(-12.0, a, cubic(a), slope(a)) - 2.0).abs() < 1e-13, "{a}");
        }
        // φ(t) = t² − 3t
        assert!((quadratic(-3.0, 5.0, 10.0) - 1.5).abs() < 1e-15);
        assert!((cubic_through_two(-3.0, 5.0, 10.0, 2.0, -2.0) - 1.5).abs() < 1e-14);
        assert!((cubic_hermite(-3.0, 5.0, 10.0, 7.0) - 1.5).abs() < 1e-14);
    }

    #[test]
    fn polynomials_without_minimizer_give_nan_and_the_safeguard_takes_over() {
        assert!(quadratic(-1.0, 1.0, -2.0).is_nan());
        // φ(t) = −t³ − t has no stationary point.
        assert!(cubic_through_two(-1.0, 1.0, -2.0, 2.0, -10.0).is_nan());
        assert!(cubic_hermite(-1.0, 1.0, -2.0, -4.0).is_nan());
        assert_eq!(safeguard(f64::NAN, 0.1, 0.5, 0.3), 0.3);
        assert_eq!(safeguard(9.0, 0.1, 0.5, 0.3), 0.5);
        assert_eq!(safeguard(0.0, 0.1, 0.5, 0.3), 0.1);
    }
}
