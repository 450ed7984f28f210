//! Families: how the variance depends on the mean, and the unit deviance `d(y, μ)` that follows from it.
//!
//! `d(y, μ) = 2 ∫_μ^y (y − t)/V(t) dt`; everything a fit needs of one observation is in [`Term`].
//!
//! # Reference
//! McCullagh & Nelder (1989), *Generalized Linear Models*, §2.2–2.3 and table 2.1; Jørgensen (1997), *The Theory of
//! Dispersion Models*, §1.2 (unit deviances); Loader (2000), *Fast and accurate computation of binomial probabilities*
//! (deviances without cancellation).

use super::link::{Link, Mean};
use crate::error::{Error, Result};

/// The family of distributions of the response.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Family {
    /// Normal, `V = 1`.
    Gaussian,
    /// Proportions in [0, 1] with the numbers of trials as prior weights, `V = μ(1 − μ)`.
    Binomial,
    /// Counts, `V = μ`.
    Poisson,
    /// Positive values with constant coefficient of variation, `V = μ²`.
    Gamma,
    /// Positive values, `V = μ³`.
    InverseGaussian,
    /// Counts with variance `V = μ + α μ²`, `α` given.
    NegativeBinomial {
        /// `α > 0`; R's `theta` is `1/α`.
        alpha: f64,
    },
}

/// What one observation of unit weight gives: half its deviance and the derivatives of that by the linear predictor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// `½ d(y, μ)`; infinite or NaN where `μ` is not in the family's range.
    pub half_deviance: f64,
    /// `−∂/∂η ½ d = (y − μ) μ'/V(μ)`.
    pub score: f64,
    /// Expected second derivative `μ'²/V(μ)`, not negative.
    pub expected: f64,
    /// Second derivative `∂²/∂η² ½ d`.
    pub observed: f64,
}

/// `t − ln(1 + t)` for `t > −1`, without cancellation near zero.
fn excess(t: f64) -> f64 {
    if t.abs() > 0.5 {
        return t - t.ln_1p();
    }
    // ln(1 + t) = 2 artanh s with s = t/(2 + t), and t − 2s = st.
    let s = t / (2.0 + t);
    let square = s * s;
    let (mut power, mut sum, mut k) = (s * square, 0.0, 3.0);
    while power.abs() > 1e-18 * (s * t) {
        sum += power / k;
        power *= square;
        k += 2.0;
    }
    s * t - 2.0 * sum
}

/// `y ln(y/μ) − y + μ` with `0 ln 0 = 0`; `ln_mean` keeps it finite where `μ` underflows.
fn poisson_half(y: f64, mean: f64, ln_mean: f64) -> f64 {
    let t = (mean - y) / y;
    match y {
        0.0 => mean,
        _ if t.abs() < 0.5 => y * excess(t),
        _ => y * (y.ln() - ln_mean) + (mean - y),
    }
}

impl Family {
    /// Names, as options take them; `negative_binomial:α` besides.
    pub const NAMES: [(&'static str, Family); 6] = [
        ("gaussian", Family::Gaussian),
        ("binomial", Family::Binomial),
        ("poisson", Family::Poisson),
        ("gamma", Family::Gamma),
        ("inverse_gaussian", Family::InverseGaussian),
        ("negative_binomial", Family::NegativeBinomial { alpha: 1.0 }),
    ];

    /// The family of this name, such as `poisson` or `negative_binomial:0.5`.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name, [`Error::Config`] for an `α` that is not positive.
    pub fn named(name: &str) -> Result<Self> {
        if let Some(alpha) = name.strip_prefix("negative_binomial:") {
            let family = Family::NegativeBinomial { alpha: alpha.parse().unwrap_or(f64::NAN) };
            return family.validate().map(|()| family);
        }
        Error::look_up("family", name, &Self::NAMES)
    }

    /// Checks `α`.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<()> {
        match *self {
            Family::NegativeBinomial { alpha } => {
                Error::check_option(alpha > 0.0 && alpha.is_finite(), "alpha", "finite and positive", alpha)
            }
            _ => Ok(()),
        }
    }

    /// The link under which `XᵀY` is sufficient, so that expected and observed information agree. For the negative
    /// binomial the log link, as is usual.
    pub fn canonical_link(&self) -> Link {
        match self {
            Family::Gaussian => Link::Identity,
            Family::Binomial => Link::Logit,
            Family::Poisson | Family::NegativeBinomial { .. } => Link::Log,
            Family::Gamma => Link::Inverse,
            Family::InverseGaussian => Link::InverseSquared,
        }
    }

    /// Whether the dispersion is known to be one (binomial, Poisson, negative binomial) or is estimated.
    pub fn has_unit_dispersion(&self) -> bool {
        matches!(self, Family::Binomial | Family::Poisson | Family::NegativeBinomial { .. })
    }

    /// `V(μ)`.
    pub fn variance(&self, mean: f64) -> f64 {
        match *self {
            Family::Gaussian => 1.0,
            Family::Binomial => mean * (1.0 - mean),
            Family::Poisson => mean,
            Family::Gamma => mean * mean,
            Family::InverseGaussian => mean * mean * mean,
            Family::NegativeBinomial { alpha } => mean + alpha * mean * mean,
        }
    }

    /// What responses must be, and whether `y` is.
    pub fn range(&self, y: f64) -> (&'static str, bool) {
        match self {
            Family::Gaussian => ("finite", y.is_finite()),
            Family::Binomial => ("in [0, 1]", (0.0..=1.0).contains(&y)),
            Family::Poisson | Family::NegativeBinomial { .. } => ("finite and not negative", y >= 0.0 && y.is_finite()),
            Family::Gamma | Family::InverseGaussian => ("finite and positive", y > 0.0 && y.is_finite()),
        }
    }

    /// Whether `μ` is a mean of the family.
    pub fn admits(&self, mean: f64) -> bool {
        match self {
            Family::Gaussian => mean.is_finite(),
            Family::Binomial => mean > 0.0 && mean < 1.0,
            _ => mean > 0.0 && mean.is_finite(),
        }
    }

    /// A mean near `y` inside of the range, to start from; `weight` is the prior weight.
    pub fn first_mean(&self, y: f64, weight: f64) -> f64 {
        match self {
            Family::Binomial => (weight * y + 0.5) / (weight + 1.0),
            Family::Poisson => y + 0.1,
            Family::NegativeBinomial { .. } if y == 0.0 => 1.0 / 6.0,
            _ => y,
        }
    }

    /// The term of one observation.
    pub fn term(&self, y: f64, m: &Mean) -> Term {
        match *self {
            Family::Gaussian => {
                let r = y - m.value;
                let expected = m.slope * m.slope;
                Term { half_deviance: 0.5 * r * r, score: r * m.slope, expected, observed: expected - r * m.slope * m.bend }
            }
            Family::Binomial => binomial(y, m),
            _ if !(m.value >= 0.0) => self.outside(),
            Family::Poisson if y == 0.0 => zero_count(m, 0.0, m.value),
            Family::NegativeBinomial { alpha } if y == 0.0 => zero_count(m, alpha, (alpha * m.value).ln_1p() / alpha),
            Family::Poisson => self.positive(y, m, 1.0, 0.0, poisson_half(y, m.value, m.ln_value)),
            Family::Gamma => {
                let t = (y - m.value) / m.value;
                let half = if t.is_finite() { excess(t) } else { f64::INFINITY };
                self.positive(y, m, m.value, 1.0, half)
            }
            Family::InverseGaussian => inverse_gaussian(y, m),
            Family::NegativeBinomial { alpha } => {
                let ratio = 1.0 + alpha * m.value;
                let (size, t) = (y + 1.0 / alpha, (m.value - y) / (y + 1.0 / alpha));
                let half = poisson_half(y, m.value, m.ln_value) - size * excess(t);
                self.positive(y, m, ratio, alpha * m.value / ratio, half)
            }
        }
    }

    fn outside(&self) -> Term {
        Term { half_deviance: f64::INFINITY, score: f64::NAN, expected: f64::NAN, observed: f64::NAN }
    }

    /// For `V = μ v(μ)`, with `v` and its elasticity `μ v'/v`: everything through `ρ = μ'/μ`, which stays finite where `μ`
    /// underflows.
    fn positive(&self, y: f64, m: &Mean, v: f64, elasticity: f64, half_deviance: f64) -> Term {
        let (r, rho) = (y - m.value, m.rate);
        let expected = m.value * rho * rho / v;
        // ∂/∂η [μ'/V] = (μ'' − μ'² V'/V)/V, with V'/V = (1 + elasticity)/μ.
        let observed = expected - r * rho / v * (m.bend - (1.0 + elasticity) * rho);
        Term { half_deviance, score: r * rho / v, expected, observed }
    }
}

/// A count of zero, `½ d = ln(1 + αμ)/α` (`μ` for `α = 0`): regular where the mean is zero.
fn zero_count(m: &Mean, alpha: f64, half_deviance: f64) -> Term {
    let (ratio, bent) = (1.0 + alpha * m.value, m.slope * m.bend);
    let steepness = m.slope / ratio;
    let expected = m.value * m.rate * m.rate / ratio;
    Term { half_deviance, score: -steepness, expected, observed: bent / ratio - alpha * steepness * steepness }
}

/// Through `w = 1/μ`, `½ d = (yw − 1)²/2y`: regular where the mean is infinite.
fn inverse_gaussian(y: f64, m: &Mean) -> Term {
    let (r, w) = ((y - m.value) / m.value, 1.0 / m.value);
    // At an infinite mean yw − 1 is −1.
    let r = if m.value.is_finite() { r } else { -1.0 };
    let slope = w * m.rate;
    let bent = slope * (2.0 * m.rate - m.bend);
    Term { half_deviance: 0.5 * r * r / y, score: r * slope, expected: slope * m.rate, observed: y * slope * slope + r * bent }
}

/// Through `p = μ'/μ` and `q = μ'/(1 − μ)`: the score is `y p − (1 − y) q`, without `0/0` at the extremes.
fn binomial(y: f64, m: &Mean) -> Term {
    let (p, q, z) = (m.rate, m.complement_rate, 1.0 - y);
    if !(m.complement >= 0.0 && m.value >= 0.0) {
        return Family::Binomial.outside();
    }
    let r = m.value - y;
    // Products with a vanishing part of the response are zero, even of an infinite rate.
    let part = |weight: f64, value: f64| if weight == 0.0 { 0.0 } else { weight * value };
    let half_deviance = if r.abs() < 0.5 * y.min(z) {
        y * excess(r / y) + z * excess(-r / z)
    } else {
        let entropy = part(y, y.ln()) + part(z, z.ln());
        (entropy - part(y, m.ln_value) - part(z, m.ln_complement)).max(0.0)
    };
    Term {
        half_deviance,
        score: part(y, p) - part(z, q),
        expected: p * q,
        observed: part(z, q * (m.bend + q)) - part(y, p * (m.bend - p)),
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Family::NegativeBinomial { alpha } = self {
            return write!(f, "negative_binomial:{alpha}");
        }
        let name = Self::NAMES.iter().find(|(_, family)| family == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: [Family; 6] = [
        Family::Gaussian,
        Family::Binomial,
        Family::Poisson,
        Family::Gamma,
        Family::InverseGaussian,
        Family::NegativeBinomial { alpha: 0.7 },
    ];

    /// `∫_μ^y (y − t)/V(t) dt` by Gauss–Legendre on many panels.
    fn integral(family: Family, y: f64, mean: f64) -> f64 {
        let nodes = [-0.906_179_845_938_664, -0.538_469_310_105_683_1, 0.0, 0.538_469_310_105_683_1, 0.906_179_845_938_664];
        let weights = [
            0.236_926_885_056_189_1,
            0.478_628_670_499_366_5,
            0.568_888_888_888_888_9,
            0.478_628_670_499_366_5,
            0.236_926_885_056_189_1,
        ];
        let (n, width) = (2000, y - mean);
        let panel = |k: usize| {
            let (a, h) = (mean + width * k as f64 / n as f64, width / n as f64);
            let at = |x: f64| a + 0.5 * h * (x + 1.0);
            0.5 * h * nodes.iter().zip(weights).map(|(x, w)| w * (y - at(*x)) / family.variance(at(*x))).sum::<f64>()
        };
        (0..n).map(panel).sum()
    }

    #[test]
    fn half_deviance_is_the_integral_that_defines_it() {
        for family in FAMILIES {
            for (y, mean) in [(0.3, 0.7), (0.3, 0.31), (0.9, 0.2), (0.5, 0.5 + 1e-6)] {
                let found = family.term(y, &Link::Identity.mean(mean)).half_deviance;
                let exact = integral(family, y, mean);
                assert!((found - exact).abs() <= 1e-10 * exact, "{family} {y} {mean}: {found} {exact}");
            }
        }
    }

    #[test]
    fn derivatives_of_the_deviance_equal_differences() {
        for family in FAMILIES {
            for link in [Link::Identity, Link::Log, Link::Logit, Link::Probit, Link::Cauchit, Link::Sqrt, Link::Power(0.7)] {
                for y in [0.0, 0.2, 0.8, 1.0] {
                    let eta = if link == Link::Log { -0.6 } else { 0.55 };
                    if !family.range(y).1 || !family.admits(link.mean(eta).value) {
                        continue;
                    }
                    let term = |e: f64| family.term(y, &link.mean(e));
                    let slope = |f: &dyn Fn(f64) -> f64| {
                        let d = |h: f64| (f(eta + h) - f(eta - h)) / (2.0 * h);
                        (16.0 * ((4.0 * d(5e-4) - d(1e-3)) / 3.0) - (4.0 * d(1e-3) - d(2e-3)) / 3.0) / 15.0
                    };
                    let (score, observed) = (-slope(&|e| term(e).half_deviance), -slope(&|e| term(e).score));
                    let t = term(eta);
                    assert!((t.score - score).abs() < 1e-10 * score.abs().max(1.0), "{family} {link} {y}: {} {score}", t.score);
                    assert!(
                        (t.observed - observed).abs() < 1e-9 * observed.abs().max(1.0),
                        "{family} {link} {y}: {} {observed}",
                        t.observed
                    );
                    let m = link.mean(eta);
                    let expected = m.slope * m.slope / family.variance(m.value);
                    assert!((t.expected / expected - 1.0).abs() < 1e-13, "{family} {link}");
                }
            }
        }
    }

    #[test]
    fn expected_and_observed_information_agree_under_the_canonical_link() {
        for family in &FAMILIES[..5] {
            let t = family.term(0.3, &family.canonical_link().mean(0.4));
            assert!((t.observed - t.expected).abs() < 1e-14 * t.expected, "{family}: {t:?}");
        }
    }

    #[test]
    fn terms_stay_finite_where_means_underflow() {
        for link in [Link::Logit, Link::Probit, Link::Cauchit, Link::Cloglog] {
            for (y, eta) in [(0.0, -800.0), (1.0, -40.0), (0.5, -40.0)] {
                let t = Family::Binomial.term(y, &link.mean(eta));
                assert!(
                    [t.half_deviance, t.score, t.expected, t.observed].iter().all(|v| v.is_finite()),
                    "{link} {y} {eta} {t:?}"
                );
            }
        }
        let t = Family::Poisson.term(2.0, &Link::Log.mean(-800.0));
        assert_eq!((t.score, t.expected), (2.0, 0.0));
        assert!((t.half_deviance - (2.0 * 2f64.ln() + 1598.0)).abs() < 1e-12);
        assert_eq!(Family::Poisson.term(2.0, &Link::Identity.mean(-1.0)).half_deviance, f64::INFINITY);
    }

    #[test]
    fn names_are_read_and_written() {
        for (name, family) in Family::NAMES.into_iter().take(5) {
            assert_eq!((Family::named(name).unwrap(), family.to_string().as_str()), (family, name));
        }
        assert_eq!(Family::named("negative_binomial:0.5").unwrap(), Family::NegativeBinomial { alpha: 0.5 });
        assert!(Family::named("negative_binomial:-1").is_err() && Family::named("poison").is_err());
    }
}
