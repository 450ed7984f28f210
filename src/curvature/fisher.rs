//! [`Fisher`] of a statistical model that knows its expected information in closed form: a generalized linear one, say.
//!
//! With a Newton step it is Fisher scoring (McCullagh & Nelder 1989, §2.5).

use super::{Curvature, Fisher};
use crate::counts;
use crate::error::{Error, Result};
use crate::linalg::Operator;
use crate::problem::{At, FisherInformation};

impl<O: FisherInformation> Curvature<O> for Fisher {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        counts::add(&at.counts.hessian, 1);
        let operator = at.problem.fisher_information(at.x)?;
        Error::check_len("Fisher information", at.dim(), operator.dim())?;
        Ok(operator)
    }
}
