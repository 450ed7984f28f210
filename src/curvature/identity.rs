//! The identity: with it, every second-order solver becomes its first-order counterpart.

use super::{Curvature, Order};
use crate::error::Result;
use crate::linalg::Operator;
use crate::linalg::operator::ScaledIdentity;
use crate::problem::{At, Objective};

/// `B = I`.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Identity;

impl<O: Objective> Curvature<O> for Identity {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        Ok(Box::new(ScaledIdentity { n: at.dim(), c: 1.0 }))
    }
    fn order(&self) -> Order {
        Order::First
    }
}
