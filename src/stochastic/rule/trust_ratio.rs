//! The trust ratio of layer-wise methods: steps in proportion to the size of what they change.
//!
//! LARS (You, Gitman & Ginsburg 2017) is `(Lars, LearningRate, Momentum)`; LAMB (You et al. 2020) is `(Adam, WeightDecay, TrustRatio,
//! LearningRate)`.

use super::moments::{check_not_negative, check_positive, parts};
use super::{Context, UpdateRule};
use crate::error::{Error, Result};
use crate::linalg::vector::{norm, scale};

/// Scales the update of each part of the layout by `η φ(‖x‖)/(‖u‖ + ε)`; by 1 where a norm is zero.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct TrustRatio {
    /// `η`. Default 1.
    pub coefficient: f64,
    /// `ε`. Default 0.
    pub eps: f64,
    /// `φ(z) = min(max(z, low), high)`; without bounds, the identity. A norm of zero stays zero. None by default.
    pub bounds: Option<(f64, f64)>,
}

impl Default for TrustRatio {
    fn default() -> Self {
        Self { coefficient: 1.0, eps: 0.0, bounds: None }
    }
}

impl UpdateRule for TrustRatio {
    fn validate(&self) -> Result<()> {
        check_positive("trust coefficient", self.coefficient)?;
        check_not_negative("eps", self.eps)?;
        let (low, high) = self.bounds.unwrap_or((0.0, 1.0));
        Error::check_option(0.0 <= low && low <= high, "bounds", "not negative and in order", format!("{low}, {high}"))
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        for part in parts(context.layout, update.len()) {
            let (u, x) = (&mut update[part.clone()], &context.x[part]);
            let (length, mut size) = (norm(u), norm(x));
            if let (Some((low, high)), true) = (self.bounds, size > 0.0) {
                size = size.clamp(low, high);
            }
            if length != 0.0 && size != 0.0 {
                scale(self.coefficient * size / (length + self.eps), u);
            }
        }
        Ok(())
    }
}

/// Adds L2 decay and scales each part of the layout, by the norm of the plain gradient: the update is
/// `η‖x‖/(‖g‖ + β‖x‖ + ε) (g + βx)`, with the ratio 1 where a norm is zero.
///
/// optax and others divide by `‖g + βx‖` instead: that is `(WeightDecay, TrustRatio)`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lars {
    /// `η`. Default 0.001.
    pub coefficient: f64,
    /// `β`. Default 5e-4.
    pub weight_decay: f64,
    /// `ε`. Default 0.
    pub eps: f64,
}

impl Default for Lars {
    fn default() -> Self {
        Self { coefficient: 1e-3, weight_decay: 5e-4, eps: 0.0 }
    }
}

impl UpdateRule for Lars {
    fn validate(&self) -> Result<()> {
        check_positive("trust coefficient", self.coefficient)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        check_not_negative("eps", self.eps)
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        let beta = self.weight_decay;
        for part in parts(context.layout, update.len()) {
            let (u, x) = (&mut update[part.clone()], &context.x[part]);
            let (length, size) = (norm(u), norm(x));
            let ratio =
                if length == 0.0 || size == 0.0 { 1.0 } else { self.coefficient * size / (length + beta * size + self.eps) };
            u.iter_mut().zip(x).for_each(|(u, x)| *u = ratio * (*u + beta * x));
        }
        Ok(())
    }
}
