//! Activations `φ` with their first and second derivatives, applied to whole slices.
//!
//! Where `φ′` is a function of the value `a = φ(z)`, the value is all that a pass keeps; the others keep `z`.

use crate::linalg::elementwise::{self, combine};
use std::f64::consts::FRAC_1_SQRT_2;

/// An activation function, applied entry by entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Activation {
    /// `z`.
    #[default]
    Identity,
    /// `tanh z`.
    Tanh,
    /// `1/(1 + e⁻ᶻ)`.
    Sigmoid,
    /// `max(z, 0)`; its derivative at 0 is taken as 0.
    Relu,
    /// `log(1 + eᶻ)`.
    Softplus,
    /// `z Φ(z)` with the standard normal distribution function `Φ` (Hendrycks & Gimpel 2016), not its approximation by `tanh`.
    Gelu,
    /// `z/(1 + e⁻ᶻ)`.
    Silu,
}

/// The standard normal distribution function and its density.
fn normal(z: f64) -> (f64, f64) {
    let density = (-0.5 * z * z).exp() * FRAC_1_SQRT_2 / std::f64::consts::PI.sqrt();
    (0.5 * libm::erfc(-z * FRAC_1_SQRT_2), density)
}

fn logistic(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

impl Activation {
    /// True if the derivatives need `z`; false if the value `φ(z)` is enough.
    pub(super) fn keeps_argument(self) -> bool {
        matches!(self, Self::Gelu | Self::Silu)
    }

    /// `z ← φ(z)`.
    pub(super) fn apply(self, z: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Tanh => elementwise::tanh(z),
            Self::Sigmoid => elementwise::sigmoid(z),
            Self::Relu => z.iter_mut().for_each(|z| *z = if *z < 0.0 { 0.0 } else { *z }),
            Self::Softplus => z.iter_mut().for_each(|z| *z = z.max(0.0) + (-z.abs()).exp().ln_1p()),
            Self::Gelu => z.iter_mut().for_each(|z| *z *= normal(*z).0),
            Self::Silu => z.iter_mut().for_each(|z| *z *= logistic(*z)),
        }
    }

    /// `out ← φ′ ⊙ out`, from what [`keeps_argument`](Self::keeps_argument) says was kept.
    pub(super) fn times_slope(self, kept: &[f64], out: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Tanh => combine(kept, out, |a, o| o * (-a).mul_add(a, 1.0)),
            Self::Sigmoid => combine(kept, out, |a, o| o * (a * (1.0 - a))),
            Self::Relu => combine(kept, out, |a, o| if a > 0.0 { o } else { 0.0 }),
            Self::Softplus => combine(kept, out, |a, o| -(-a).exp_m1() * o),
            Self::Gelu => combine(kept, out, |z, o| {
                let (p, d) = normal(z);
                z.mul_add(d, p) * o
            }),
            Self::Silu => combine(kept, out, |z, o| {
                let s = logistic(z);
                s * (z * (1.0 - s) + 1.0) * o
            }),
        }
    }

    /// `out ← out + φ″ ⊙ dz ⊙ ḡ`, where `signal` is `φ′ ⊙ ḡ` if the value was kept, and `ḡ` itself if the argument was.
    pub(super) fn add_bend(self, kept: &[f64], dz: &[f64], signal: &[f64], out: &mut [f64]) {
        // With the value kept, φ″/φ′ is a polynomial of it, so that ḡ is not needed beside φ′ḡ.
        match self {
            Self::Identity | Self::Relu => {}
            Self::Tanh => add_product(kept, dz, signal, out, |a| -2.0 * a),
            Self::Sigmoid => add_product(kept, dz, signal, out, |a| 1.0 - 2.0 * a),
            Self::Softplus => add_product(kept, dz, signal, out, |a| (-a).exp()),
            Self::Gelu => add_product(kept, dz, signal, out, |z| (2.0 - z * z) * normal(z).1),
            Self::Silu => add_product(kept, dz, signal, out, |z| {
                let s = logistic(z);
                s * (1.0 - s) * (2.0 + z * (1.0 - 2.0 * s))
            }),
        }
    }
}

/// `out ← out + c(kept) ⊙ dz ⊙ signal`.
#[inline(always)]
fn add_product(kept: &[f64], dz: &[f64], signal: &[f64], out: &mut [f64], c: impl Fn(f64) -> f64) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (((o, k), dz), s) in out.iter_mut().zip(kept).zip(dz).zip(signal) {
                *o += c(*k) * dz * s;
            }
        },
    );
}
