//! Sharpness-aware minimization (SAM; Foret, Kleiner, Mobahi & Neyshabur 2021): the gradient at the worst point nearby.

use super::moments::{Memory, check_not_negative};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::linalg::vector::norm;

/// Replaces the gradient `g` at `x` by that at `x + ρ g/‖g‖`, on the same rows: a second gradient a step.
///
/// Stands first in a chain. Adaptive (ASAM; Kwon, Kim, Park & Choi 2021), the point is `x + ρ T²g/‖Tg‖` with `T = |x| + η`, which
/// does not change when layers are rescaled. A gradient of zero stays.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SharpnessAware {
    /// `ρ`. Default 0.05; adaptive 0.5.
    pub radius: f64,
    /// `η` of the adaptive form. Default: not adaptive.
    pub adaptive: Option<f64>,
    /// A buffer.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub buffer: Memory<Vec<f64>>,
}

impl Default for SharpnessAware {
    fn default() -> Self {
        Self::new(0.05)
    }
}

impl SharpnessAware {
    /// Within this radius.
    pub fn new(radius: f64) -> Self {
        Self { radius, adaptive: None, buffer: Memory::default() }
    }

    /// ASAM with the paper's `ρ = 0.5`, `η = 0.01`.
    pub fn adaptive() -> Self {
        Self { adaptive: Some(0.01), ..Self::new(0.5) }
    }
}

impl UpdateRule for SharpnessAware {
    fn validate(&self) -> Result<()> {
        check_not_negative("radius", self.radius)?;
        check_not_negative("adaptive", self.adaptive.unwrap_or(0.0))
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let adaptive = self.adaptive;
        let scale = |x: f64| adaptive.map_or(1.0, |eta| x.abs() + eta);
        let Memory(point) = &mut self.buffer;
        point.clear();
        point.extend(update.iter().zip(context.x).map(|(u, x)| scale(*x) * u));
        let length = norm(point);
        if length == 0.0 {
            return Ok(());
        }
        let step = self.radius / length;
        point.iter_mut().zip(context.x).for_each(|(p, x)| *p = x + step * scale(*x) * *p);
        context.oracle.gradient(point, update)?;
        Ok(())
    }
}
