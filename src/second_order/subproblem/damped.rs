//! The damped step `(B + μ D²) p = −g` for `size = 1/μ`.
//!
//! For a Gauss–Newton matrix it is the least-squares problem `min ‖J p + r‖² + μ ‖D p‖²`, solved by QR of `J` with Moré's
//! scaling; for any other `B` it is a Cholesky factorization of `B + μ I`.
//!
//! # Reference
//! Levenberg (1944); Marquardt (1963); Moré (1978), §6 (scaling).

use super::jacobian_scale::JacobianScale;
use super::{Model, Step, Subproblem, check_size};
use crate::error::{Error, Result};
use crate::linalg::Form;
use crate::linalg::factor::{PivotedQr, ShiftedCholesky};
use crate::linalg::vector::{dot, norm, scale};
use crate::second_order::Damping;

/// The Levenberg–Marquardt step for a given damping.
///
/// An indefinite `B` is damped more, until `B + μ I` is positive definite.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Damped {
    scale: JacobianScale,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    by_qr: bool,
    qr: PivotedQr,
    cholesky: ShiftedCholesky,
    work: Vec<f64>,
    factorizations: u64,
}

impl Subproblem for Damped {
    type Region = Damping;

    fn begin(&mut self) {
        self.scale.forget();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let s = &mut self.scratch;
        s.factorizations = 0;
        s.work.resize(model.gradient.len(), 0.0);
        s.by_qr = false;
        if let Form::Gram(gram) = model.curvature.form() {
            (s.by_qr, s.factorizations) = (true, 1);
            return s.qr.factor(gram, self.scale.update(gram));
        }
        self.scale.forget();
        s.cholesky.load(model.curvature)
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let damping = 1.0 / check_size(size)?;
        Error::check_len("step", model.gradient.len(), p.len())?;
        let s = &mut self.scratch;
        if s.by_qr {
            let scaled = s.qr.solve_damped(damping);
            s.qr.step(p);
            let (image, damped) = (s.qr.image(), damping * scaled * scaled);
            return Ok(Step { predicted: 0.5 * image + damped, slope: -(image + damped), length: scaled, inner: 0 });
        }
        let mut shift = damping;
        s.factorizations += 1;
        while let Err(e) = s.cholesky.factor(shift) {
            shift = (2.0 * shift).max(shift + 2.0 * e.deficit);
            s.factorizations += 1;
            if !shift.is_finite() {
                return Err(Error::Factorization { what: "the damped matrix", pivot: e.pivot });
            }
        }
        s.cholesky.solve(model.gradient, p);
        scale(-1.0, p);
        let slope = dot(model.gradient, p);
        model.curvature.apply(p, &mut s.work)?;
        Ok(Step { predicted: -slope - 0.5 * dot(p, &s.work), slope, length: norm(p), inner: 0 })
    }

    fn factorizations(&self) -> u64 {
        self.scratch.factorizations
    }

    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        self.scratch.by_qr.then(|| self.scale.length(x)).flatten()
    }
}
