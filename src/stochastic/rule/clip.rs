//! Gradient clipping (Pascanu, Mikolov & Bengio 2013).

use super::moments::{check_not_negative, check_positive, parts};
use super::{Context, UpdateRule};
use crate::error::Result;
use crate::linalg::vector::{norm, scale};

/// Moves every entry into `[−bound, bound]`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClipValue(pub f64);

impl UpdateRule for ClipValue {
    fn validate(&self) -> Result<()> {
        check_positive("clip", self.0)
    }

    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        // A NaN is neither.
        let bound = self.0;
        update.iter_mut().for_each(|u| {
            *u = if *u > bound {
                bound
            } else if *u < -bound {
                -bound
            } else {
                *u
            }
        });
        Ok(())
    }
}

/// Shortens what is longer than a bound to the bound: everything together, or each part of the layout.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ClipNorm {
    /// The longest length.
    pub bound: f64,
    /// Each part of the layout by itself. Off by default.
    pub by_part: bool,
    /// Added to the length that is divided by; torch has 1e-6. Default 0.
    pub eps: f64,
}

impl ClipNorm {
    /// The norm of everything.
    pub fn global(bound: f64) -> Self {
        Self { bound, by_part: false, eps: 0.0 }
    }

    /// The norm of each part.
    pub fn by_part(bound: f64) -> Self {
        Self { by_part: true, ..Self::global(bound) }
    }

    /// torch's `clip_grad_norm_`.
    pub fn like_torch(bound: f64) -> Self {
        Self { eps: 1e-6, ..Self::global(bound) }
    }

    fn clip(&self, u: &mut [f64]) {
        let factor = self.bound / (norm(u) + self.eps);
        if factor < 1.0 {
            scale(factor, u);
        }
    }
}

impl UpdateRule for ClipNorm {
    fn validate(&self) -> Result<()> {
        check_positive("clip", self.bound)?;
        check_not_negative("eps", self.eps)
    }

    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        if self.by_part {
            let n = update.len();
            parts(context.layout, n).for_each(|part| self.clip(&mut update[part]));
        } else {
            self.clip(update);
        }
        Ok(())
    }
}
