//! Minimizers of the quadratic and cubic polynomials that line searches fit to values and slopes.
//!
//! All take differences to the left end, so that a large `|f|` costs no digits. They return NaN where the polynomial
//! has no minimizer; callers clamp with [`safeguard`].

/// Minimizer of the quadratic with slope `d0` at 0 and value `f` (relative to that at 0) at `a`.
pub(crate) fn quadratic(d0: f64, a: f64, f: f64) -> f64 {
    let curvature = f - d0 * a;
    if curvature > 0.0 { a * (-d0 * a / (2.0 * curvature)) } else { f64::NAN }
}

/// Minimizer of the cubic with slope `d0` at 0 and values `fa`, `fb` (relative to that at 0) at `a ≠ b`
/// (Nocedal & Wright 2006, §3.5).
pub(crate) fn cubic_through_two(d0: f64, a: f64, fa: f64, b: f64, fb: f64) -> f64 {
    // φ(a t) − φ(0) = c3 t³ + c2 t² + d0 t, then in units of the largest coefficient, because squares overflow or vanish long
    // before the coefficients do.
    let (r, d0) = (b / a, d0 * a);
    let (ra, rb) = (fa - d0, (fb - d0 * r) / (r * r));
    let c3 = (ra - rb) / (1.0 - r);
    let c2 = ra - c3;
    let scale = c3.abs().max(c2.abs()).max(d0.abs());
    let (c3, c2, d0) = (c3 / scale, c2 / scale, d0 / scale);
    let discriminant = c2 * c2 - 3.0 * c3 * d0;
    if discriminant < 0.0 {
        return f64::NAN;
    }
    // The larger root form avoids cancellation for either sign of c2.
    let root = discriminant.sqrt();
    a * if c2 >= 0.0 { -d0 / (c2 + root) } else { (root - c2) / (3.0 * c3) }
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
    fn interpolation_does_not_depend_on_units() {
        for (f, t) in [(1e-290, 1e-3), (1e-150, 1e120), (1e240, 1e-60), (1e-150, 1e-100), (1e290, 1e90)] {
            let (d0, a, b) = (-12.0 * f / t, 3.5 * t, 1.25 * t);
            let found = cubic_through_two(d0, a, f * cubic(3.5), b, f * cubic(1.25)) / t;
            assert!((found - 2.0).abs() < 1e-12, "{f:e} {t:e}: {found}");
            let found = cubic_hermite(d0, a, f * cubic(3.5), slope(3.5) * f / t) / t;
            assert!((found - 2.0).abs() < 1e-12, "{f:e} {t:e}: {found}");
            let found = quadratic(-3.0 * f / t, 5.0 * t, 10.0 * f) / t;
            assert!((found - 1.5).abs() < 1e-13, "{f:e} {t:e}: {found}");
        }
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
