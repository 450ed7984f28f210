//! Values and first and second partial derivatives of the elementary operations.

use super::tape::{Binary, Partials, Unary};

/// `f(a)` and its derivatives.
#[inline]
pub(super) fn unary(operation: Unary, u: f64) -> (f64, Partials) {
    let (value, first, second) = match operation {
        Unary::Negate => (-u, -1.0, 0.0),
        Unary::Sin => {
            let (s, c) = u.sin_cos();
            (s, c, -s)
        }
        Unary::Cos => {
            let (s, c) = u.sin_cos();
            (c, -s, -c)
        }
        Unary::Tan => {
            let t = u.tan();
            let d = 1.0 + t * t;
            (t, d, 2.0 * t * d)
        }
        Unary::Asin => {
            // (1 − u)(1 + u), not 1 − u²: no cancellation near ±1.
            let w = ((1.0 - u) * (1.0 + u)).recip();
            (u.asin(), w.sqrt(), u * w.sqrt() * w)
        }
        Unary::Acos => {
            let w = ((1.0 - u) * (1.0 + u)).recip();
            (u.acos(), -w.sqrt(), -u * w.sqrt() * w)
        }
        Unary::Atan => {
            let d = (1.0 + u * u).recip();
            (u.atan(), d, -2.0 * u * d * d)
        }
        Unary::Sinh => (u.sinh(), u.cosh(), u.sinh()),
        Unary::Cosh => (u.cosh(), u.sinh(), u.cosh()),
        Unary::Tanh => {
            // 1/cosh², not 1 − tanh²: no cancellation for large |u|.
            let (t, c) = (u.tanh(), u.cosh().recip());
            (t, c * c, -2.0 * t * c * c)
        }
        Unary::Asinh => {
            let d = u.hypot(1.0).recip();
            (u.asinh(), d, -u * d * d * d)
        }
        Unary::Acosh => {
            let w = ((u - 1.0) * (u + 1.0)).recip();
            (u.acosh(), w.sqrt(), -u * w.sqrt() * w)
        }
        Unary::Atanh => {
            let d = ((1.0 - u) * (1.0 + u)).recip();
            (u.atanh(), d, 2.0 * u * d * d)
        }
        Unary::Exp => (u.exp(), u.exp(), u.exp()),
        Unary::Expm1 => (u.exp_m1(), u.exp(), u.exp()),
        Unary::Ln => logarithm(u.ln(), u, 1.0),
        Unary::Log2 => logarithm(u.log2(), u, std::f64::consts::LOG2_E),
        Unary::Log10 => logarithm(u.log10(), u, std::f64::consts::LOG10_E),
        Unary::Log1p => logarithm(u.ln_1p(), 1.0 + u, 1.0),
        Unary::Sqrt => {
            let s = u.sqrt();
            (s, 0.5 / s, -0.25 / (s * u))
        }
        Unary::Cbrt => {
            let c = u.cbrt();
            (c, (3.0 * c * c).recip(), -2.0 / (9.0 * c * c * u))
        }
        Unary::Abs => (u.abs(), if u == 0.0 { 0.0 } else { u.signum() }, 0.0),
    };
    (value, Partials { a: first, aa: second, ..Partials::default() })
}

fn logarithm(value: f64, u: f64, scale: f64) -> (f64, f64, f64) {
    (value, scale / u, -scale / (u * u))
}

/// `aᶜ` for a constant exponent and its derivatives by `a`.
#[inline]
pub(super) fn power(a: f64, c: f64) -> (f64, Partials) {
    let to = |c: f64| if c.fract() == 0.0 && c.abs() <= 16.0 { a.powi(c as i32) } else { a.powf(c) };
    // A vanishing factor ends the polynomial: 0 · ∞ at a = 0 is 0 there.
    let scaled = |factor: f64, c: f64| if factor == 0.0 { 0.0 } else { factor * to(c) };
    (to(c), Partials { a: scaled(c, c - 1.0), aa: scaled(c * (c - 1.0), c - 2.0), ..Partials::default() })
}

/// `f(a, b)` and its derivatives.
#[inline]
pub(super) fn binary(operation: Binary, x: f64, y: f64) -> (f64, Partials) {
    let zero = Partials::default();
    match operation {
        Binary::Add => (x + y, Partials { a: 1.0, b: 1.0, ..zero }),
        Binary::Subtract => (x - y, Partials { a: 1.0, b: -1.0, ..zero }),
        Binary::Multiply => (x * y, Partials { a: y, b: x, ab: 1.0, ..zero }),
        Binary::Divide => {
            let (q, r) = (x / y, y.recip());
            (q, Partials { a: r, b: -q * r, ab: -r * r, bb: 2.0 * q * r * r, ..zero })
        }
        Binary::Power => {
            let value = x.powf(y);
            // xʸ ln x → 0 with xʸ, where the product would be 0 · ∞.
            let by_log = |v: f64| if v == 0.0 { 0.0 } else { v * x.ln() };
            let base = power(x, y).1;
            let ab = x.powf(y - 1.0) + by_log(base.a);
            (value, Partials { a: base.a, b: by_log(value), aa: base.aa, ab, bb: by_log(by_log(value)) })
        }
        Binary::Atan2 => {
            // a = y, b = x of the usual notation; scaled so that r² does not overflow.
            let r = x.hypot(y);
            let (s, c) = (x / r, y / r);
            let (double, difference) = (2.0 * s * c / r / r, (s - c) * (s + c) / r / r);
            (x.atan2(y), Partials { a: c / r, b: -s / r, aa: -double, ab: difference, bb: double })
        }
        Binary::Min | Binary::Max => {
            let first = if operation == Binary::Min { x <= y } else { x >= y };
            // A NaN operand makes the value NaN: f64::min would hide it.
            let value = if x.is_nan() || y.is_nan() { f64::NAN } else { if first { x } else { y } };
            (value, Partials { a: f64::from(first), b: f64::from(!first), ..zero })
        }
    }
}
