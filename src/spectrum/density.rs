//! Smooth densities of eigenvalues.
//!
//! `p(t) = Σ τⱼ N(t; tⱼ, σ²)` over the nodes of [`SpectralMeasure`], with `t = θ` or `t = log₁₀|θ|`. Unless it is
//! given, the width is that of Papyan (2019): `σ = (range) / ((m − 1) √(8 log 3))` for `m` nodes a probe, so that neighbouring nodes in the bulk just merge.

use super::SpectralMeasure;
use crate::error::{Error, Result};

/// What the density is over.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Axis {
    /// The eigenvalue.
    Linear,
    /// The decimal logarithm of its modulus, of which those below the floor are taken to be the floor.
    Logarithmic {
        /// Positive.
        floor: f64,
    },
}

impl Axis {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic { floor } => value.abs().max(floor).log10(),
        }
    }
}

/// A density on a uniform grid; the trapezoidal rule gives one.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Density {
    /// The grid, ascending.
    pub at: Vec<f64>,
    /// The density at its points.
    pub values: Vec<f64>,
    /// `σ` of the Gaussians.
    pub width: f64,
}

/// Fewest and most points of a grid.
const POINTS: (f64, f64) = (1024.0, 65_536.0);
/// Widths beyond the outermost node: what lies outside is below 10⁻¹⁵.
const MARGIN: f64 = 8.0;
/// Points a width: the trapezoidal rule of a Gaussian is exact to rounding from one and a half.
const FINENESS: f64 = 2.0;

impl SpectralMeasure {
    /// The density of the eigenvalues, smoothed by Gaussians of standard deviation `width` in the unit of the axis.
    ///
    /// # Errors
    /// [`Error::Config`] if the width or the floor is not positive, or so small that the grid would need more than 65 536
    /// points.
    pub fn density(&self, axis: Axis, width: Option<f64>) -> Result<Density> {
        self.density_of(axis, width, |_| true)
    }

    /// [`density`](Self::density) of the eigenvalues that `keep` takes, on the grid of all: its integral is their share.
    ///
    /// # Errors
    /// As [`density`](Self::density).
    pub fn density_of(&self, axis: Axis, width: Option<f64>, keep: impl Fn(f64) -> bool) -> Result<Density> {
        if let Axis::Logarithmic { floor } = axis {
            Error::check_option(floor > 0.0 && floor.is_finite(), "floor", "positive", floor)?;
        }
        let nodes: Vec<(f64, f64)> = self.nodes().map(|(x, w)| (axis.place(x), w)).collect();
        let (low, high) = nodes.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (t, _)| (l.min(*t), h.max(*t)));
        let steps = (nodes.len() / self.n_rules()).max(2) as f64;
        let usual = (high - low) / ((steps - 1.0) * (8.0 * 3f64.ln()).sqrt());
        // One eigenvalue only: a narrow peak.
        let narrow = 1e-3 * if low == 0.0 && high == 0.0 { 1.0 } else { low.abs().max(high.abs()) };
        let width = width.unwrap_or(if usual > 1e-3 * narrow { usual } else { narrow });
        Error::check_option(width > 0.0 && width.is_finite(), "width", "positive", width)?;
        let (from, to) = (low - MARGIN * width, high + MARGIN * width);
        let points = (FINENESS * (to - from) / width).ceil().max(POINTS.0);
        Error::check_option(points <= POINTS.1, "width", "wide enough for a grid of 65536 points", width)?;
        let step = (to - from) / (points - 1.0);
        let at: Vec<f64> = (0..points as usize).map(|i| from + step * i as f64).collect();
        let mut values = vec![0.0; at.len()];
        let height = 1.0 / (width * (2.0 * std::f64::consts::PI).sqrt());
        for (t, w) in self.nodes().filter(|(x, _)| keep(*x)).map(|(x, w)| (axis.place(x), w)) {
            let first = (((t - MARGIN * width - from) / step).floor().max(0.0)) as usize;
            let last = ((((t + MARGIN * width - from) / step).ceil()) as usize).min(at.len() - 1);
            for (x, v) in at[first..=last].iter().zip(&mut values[first..=last]) {
                let u = (x - t) / width;
                *v += w * height * (-0.5 * u * u).exp();
            }
        }
        Ok(Density { at, values, width })
    }
}

impl Density {
    /// `∫ p` by the trapezoidal rule.
    pub fn integral(&self) -> f64 {
        let step = if self.at.len() > 1 { self.at[1] - self.at[0] } else { 0.0 };
        let ends = 0.5 * (self.values.first().unwrap_or(&0.0) + self.values.last().unwrap_or(&0.0));
        step * (self.values.iter().sum::<f64>() - ends)
    }
}
