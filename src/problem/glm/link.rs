//! Links `η = g(μ)`: the mean as a function of the linear predictor, with what keeps its digits at the extremes.
//!
//! # Reference
//! McCullagh & Nelder (1989), *Generalized Linear Models*, §2.2.3 and §4.3.1.

use super::normal;
use crate::error::{Error, Result};
use std::f64::consts::{FRAC_1_PI, FRAC_PI_2};

/// The function `g` in `g(μ) = η = xᵀβ + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Link {
    /// `η = μ`.
    Identity,
    /// `η = ln μ`.
    Log,
    /// `η = ln(μ/(1 − μ))`.
    Logit,
    /// `η = Φ⁻¹(μ)`.
    Probit,
    /// `η = ln(−ln(1 − μ))`.
    Cloglog,
    /// `η = tan(π(μ − ½))`.
    Cauchit,
    /// `η = 1/μ`.
    Inverse,
    /// `η = 1/μ²`.
    InverseSquared,
    /// `η = √μ`.
    Sqrt,
    /// `η = μ^λ`, `λ ≠ 0`.
    Power(f64),
}

/// The mean at a linear predictor: its value and derivatives as rates, which stay finite where values underflow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// `μ`.
    pub value: f64,
    /// `1 − μ`.
    pub complement: f64,
    /// `ln μ`.
    pub ln_value: f64,
    /// `ln(1 − μ)`.
    pub ln_complement: f64,
    /// `dμ/dη`.
    pub slope: f64,
    /// `μ'/μ`.
    pub rate: f64,
    /// `μ'/(1 − μ)`.
    pub complement_rate: f64,
    /// `μ''/μ'`.
    pub bend: f64,
}

impl Mean {
    /// Of a mean that is no probability, from `μ`, `μ'`, `μ'/μ` and `μ''/μ'`.
    fn new(value: f64, slope: f64, rate: f64, bend: f64) -> Self {
        let complement = 1.0 - value;
        let (ln_value, ln_complement) = (value.ln(), (-value).ln_1p());
        Self { value, complement, ln_value, ln_complement, slope, rate, complement_rate: slope / complement, bend }
    }

    /// Outside of the link's range.
    fn none() -> Self {
        Self::new(f64::NAN, f64::NAN, f64::NAN, f64::NAN)
    }
}

impl Link {
    /// Names, as options take them; `power:λ` besides.
    pub const NAMES: [(&'static str, Link); 9] = [
        ("identity", Link::Identity),
        ("log", Link::Log),
        ("logit", Link::Logit),
        ("probit", Link::Probit),
        ("cloglog", Link::Cloglog),
        ("cauchit", Link::Cauchit),
        ("inverse", Link::Inverse),
        ("inverse_squared", Link::InverseSquared),
        ("sqrt", Link::Sqrt),
    ];

    /// The link of this name, such as `logit` or `power:0.5`.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name, [`Error::Config`] for a power that is zero or not finite.
    pub fn named(name: &str) -> Result<Self> {
        if let Some(power) = name.strip_prefix("power:") {
            let exponent = power.parse().unwrap_or(f64::NAN);
            let link = Link::Power(exponent);
            return link.validate().map(|()| link);
        }
        Error::look_up("link", name, &Self::NAMES)
    }

    /// Checks the exponent of a power.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<()> {
        match *self {
            Link::Power(e) => Error::check_option(e != 0.0 && e.is_finite(), "power", "finite and not zero", e),
            _ => Ok(()),
        }
    }

    /// `g(μ)`; NaN outside of the link's domain.
    pub fn predictor(&self, mean: f64) -> f64 {
        match *self {
            Link::Identity => mean,
            Link::Log => mean.ln(),
            Link::Logit => mean.ln() - (-mean).ln_1p(),
            Link::Probit => match mean {
                m if m > 0.0 && m < 1.0 => normal::quantile(m),
                0.0 => f64::NEG_INFINITY,
                1.0 => f64::INFINITY,
                _ => f64::NAN,
            },
            Link::Cloglog => (-(-mean).ln_1p()).ln(),
            Link::Cauchit => (std::f64::consts::PI * (mean - 0.5)).tan(),
            Link::Inverse => 1.0 / mean,
            Link::InverseSquared => 1.0 / (mean * mean),
            Link::Sqrt => mean.sqrt(),
            Link::Power(e) => mean.powf(e),
        }
    }

    /// `μ = g⁻¹(η)` with derivatives; NaN where there is none.
    pub fn mean(&self, eta: f64) -> Mean {
        match *self {
            Link::Identity => Mean::new(eta, 1.0, 1.0 / eta, 0.0),
            Link::Log => {
                let (value, complement) = (eta.exp(), -eta.exp_m1());
                let complement_rate = 1.0 / (-eta).exp_m1();
                Mean {
                    value,
                    complement,
                    ln_value: eta,
                    ln_complement: complement.ln(),
                    slope: value,
                    rate: 1.0,
                    complement_rate,
                    bend: 1.0,
                }
            }
            Link::Logit => logistic(eta),
            Link::Probit => Mean {
                value: normal::cdf(eta),
                complement: normal::cdf(-eta),
                ln_value: normal::ln_cdf(eta),
                ln_complement: normal::ln_cdf(-eta),
                slope: normal::density(eta),
                rate: normal::hazard(-eta),
                complement_rate: normal::hazard(eta),
                bend: -eta,
            },
            Link::Cloglog => complementary_log_log(eta),
            Link::Cauchit => cauchy(eta),
            // Means of the inverse links are positive: beyond the pole there is another branch, not another mean.
            Link::Inverse if eta > 0.0 => power(eta, -1.0),
            Link::InverseSquared if eta > 0.0 => power(eta, -0.5),
            Link::Sqrt if eta > 0.0 => power(eta, 2.0),
            Link::Power(1.0) => Link::Identity.mean(eta),
            Link::Power(e) if eta > 0.0 => power(eta, 1.0 / e),
            _ => Mean::none(),
        }
    }
}

/// `μ = η^e`.
fn power(eta: f64, e: f64) -> Mean {
    let value = match e {
        -1.0 => 1.0 / eta,
        -0.5 => 1.0 / eta.sqrt(),
        2.0 => eta * eta,
        _ => eta.powf(e),
    };
    let rate = e / eta;
    Mean::new(value, value * rate, rate, (e - 1.0) / eta)
}

fn logistic(eta: f64) -> Mean {
    let small = (-eta.abs()).exp();
    let (low, high) = (small / (1.0 + small), 1.0 / (1.0 + small));
    let (ln_high, ln_low) = (-small.ln_1p(), -eta.abs() - small.ln_1p());
    let (p, q, ln_p, ln_q) = if eta > 0.0 { (high, low, ln_high, ln_low) } else { (low, high, ln_low, ln_high) };
    Mean {
        value: p,
        complement: q,
        ln_value: ln_p,
        ln_complement: ln_q,
        slope: low * high,
        rate: q,
        complement_rate: p,
        bend: q - p,
    }
}

/// `1 − μ = e^{−t}` with `t = e^η`; `μ'/(1 − μ) = t`, `μ'/μ = t/(e^t − 1)`.
fn complementary_log_log(eta: f64) -> Mean {
    let t = eta.exp();
    let value = -(-t).exp_m1();
    let rate = if t > 0.0 { t * (-t).exp() / value } else { 1.0 };
    Mean {
        value,
        complement: (-t).exp(),
        ln_value: if t > 0.0 { value.ln() } else { eta },
        ln_complement: -t,
        slope: t * (-t).exp(),
        rate: if t > 700.0 { 0.0 } else { rate },
        complement_rate: t,
        bend: 1.0 - t,
    }
}

/// `μ = ½ + atan(η)/π`, the smaller tail from `atan(1/|η|)`.
fn cauchy(eta: f64) -> Mean {
    let size = eta.abs();
    let low = FRAC_1_PI * if size > 1.0 { (1.0 / size).atan() } else { FRAC_PI_2 - size.atan() };
    let high = 1.0 - low;
    let (p, q) = if eta > 0.0 { (high, low) } else { (low, high) };
    let (ln_low, ln_high) = (low.ln(), (-low).ln_1p());
    let (ln_p, ln_q) = if eta > 0.0 { (ln_high, ln_low) } else { (ln_low, ln_high) };
    let slope = FRAC_1_PI / (1.0 + eta * eta);
    Mean {
        value: p,
        complement: q,
        ln_value: ln_p,
        ln_complement: ln_q,
        slope,
        rate: slope / p,
        complement_rate: slope / q,
        bend: -2.0 * eta / (1.0 + eta * eta),
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Link::Power(e) => write!(f, "power:{e}"),
            other => {
                let name = Self::NAMES.iter().find(|(_, link)| link == other).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Link, &[f64]); 12] = [
        (Link::Identity, &[-3.0, 0.4, 7.0]),
        (Link::Log, &[-3.0, 0.1, 2.0]),
        (Link::Logit, &[-30.0, -1.0, 0.0, 2.0, 30.0]),
        (Link::Probit, &[-6.0, -1.0, 0.0, 0.3, 2.0, 6.0]),
        (Link::Cloglog, &[-9.0, -1.0, 0.0, 0.3, 1.2]),
        (Link::Cauchit, &[-9.0, -1.0, 0.0, 0.3, 40.0]),
        (Link::Inverse, &[0.1, 1.0, 5.0]),
        (Link::InverseSquared, &[0.1, 1.0, 5.0]),
        (Link::Sqrt, &[0.1, 1.0, 5.0]),
        (Link::Power(1.0), &[-0.1, 1.0, 5.0]),
        (Link::Power(0.3), &[0.1, 1.0, 5.0]),
        (Link::Power(-1.7), &[0.1, 1.0, 5.0]),
    ];

    /// Fourth-order central difference.
    fn difference(f: impl Fn(f64) -> f64, x: f64) -> f64 {
        let h = 1e-3 * x.abs().max(0.1);
        let d = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
        let (a, b, c) = (d(h), d(0.5 * h), d(0.25 * h));
        let (ab, bc) = ((4.0 * b - a) / 3.0, (4.0 * c - b) / 3.0);
        (16.0 * bc - ab) / 15.0
    }

    #[test]
    fn means_invert_links_and_derivatives_equal_differences() {
        for (link, points) in ALL {
            for &eta in points {
                let m = link.mean(eta);
                let slope = difference(|e| link.mean(e).value, eta);
                let bend = difference(|e| link.mean(e).slope, eta) / m.slope;
                // Differences of μ near 1 lose digits; those of 1 − μ do not.
                let from_above = -difference(|e| link.mean(e).complement, eta);
                let slope = if m.value > 0.5 && m.value < 1.0 { from_above } else { slope };
                assert!((m.slope / slope - 1.0).abs() < 1e-10, "{link} {eta}: {} {slope}", m.slope);
                assert!((m.bend - bend).abs() < 1e-9 * bend.abs().max(1.0), "{link} {eta}: {} {bend}", m.bend);
                assert!((m.rate - m.slope / m.value).abs() <= 1e-13 * m.rate.abs(), "{link} {eta}");
                assert!((m.value + m.complement - 1.0).abs() < 1e-15 * m.value.abs().max(1.0));
                if m.value < 0.99 {
                    assert!((link.predictor(m.value) - eta).abs() < 1e-12 * eta.abs().max(1.0), "{link} {eta}");
                }
                if m.value > 0.0 && m.value < 1.0 {
                    assert!((m.complement_rate * m.complement / m.slope - 1.0).abs() <= 1e-12, "{link} {eta}");
                    assert!((m.ln_value.exp() / m.value - 1.0).abs() < 1e-13, "{link} {eta}");
                    assert!((m.ln_complement.exp() / m.complement - 1.0).abs() < 1e-13, "{link} {eta}");
                }
            }
        }
    }

    #[test]
    fn probabilities_at_extremes_keep_their_logarithms_and_rates() {
        for link in [Link::Logit, Link::Probit, Link::Cloglog, Link::Cauchit] {
            for eta in [-1e5, -800.0, -40.0, 40.0, 800.0, 1e5] {
                let m = link.mean(eta);
                let numbers = [m.ln_value, m.rate, m.complement_rate, m.bend, m.slope];
                assert!(numbers.iter().all(|v| v.is_finite()) || link == Link::Cloglog, "{link} {eta}: {m:?}");
                assert!(m.rate >= 0.0 && m.complement_rate >= 0.0 && m.ln_value <= 0.0 && m.ln_complement <= 0.0);
            }
        }
        assert_eq!(Link::Logit.mean(-800.0).ln_value, -800.0);
        assert_eq!(Link::Cloglog.mean(-800.0).ln_value, -800.0);
        assert!((Link::Cauchit.mean(-1e12).value * std::f64::consts::PI * 1e12 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn names_are_read_and_written() {
        for (name, link) in Link::NAMES {
            assert_eq!((Link::named(name).unwrap(), link.to_string().as_str()), (link, name));
        }
        assert_eq!(Link::named("power:-2").unwrap(), Link::Power(-2.0));
        assert_eq!(Link::Power(0.5).to_string(), "power:0.5");
        assert!(Link::named("power:0").is_err() && Link::named("power:x").is_err());
        assert!(Link::named("logitt").unwrap_err().to_string().contains("did you mean `logit`"));
        assert!(Link::Inverse.mean(-1.0).value.is_nan() && Link::Sqrt.mean(0.0).value.is_nan());
    }
}
