//! The damped step `(B + μ D²) p = −g` for `size = 1/μ`.
//!
//! For a Gauss–Newton matrix it is the least-squares problem `min ‖J p + r‖² + μ ‖D p‖²` with Moré's scaling, solved by QR of
//! `J`, or where `J` is sparse as a [`SparseSolver`] says; a `B` that knows its damped inverse (Kronecker factors, blocks) applies
//! it; for any other it is a Cholesky factorization of `B + μ I`.
//!
//! # Reference
//! Levenberg (1944); Marquardt (1963); Moré (1978), §6 (scaling).

use super::damped_sparse::{SparseDamped, SparseSolver};
use super::forcing::FirstGradient;
use super::jacobian_scale::JacobianScale;
use super::{Along, Model, Step, Subproblem, check_size, finished};
use crate::error::{Error, Result};
use crate::linalg::Form;
use crate::linalg::factor::{PivotedQr, ShiftedCholesky};
use crate::linalg::vector::{norm, scale};
use crate::second_order::Damping;

/// The Levenberg–Marquardt step for a given damping.
///
/// An indefinite `B` is damped more, until `B + μ I` is positive definite.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Damped {
    /// How a sparse Jacobian is dealt with. By default the normal equations are factorized, by elimination of small blocks
    /// where the pattern has them.
    pub sparse: SparseSolver,
    scale: JacobianScale,
    first: FirstGradient,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

#[derive(Debug, Clone, Default)]
struct Scratch {
    kind: Kind,
    qr: PivotedQr,
    sparse: SparseDamped,
    cholesky: ShiftedCholesky,
    work: Vec<f64>,
    factorizations: u64,
}

/// What the loaded matrix is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Kind {
    #[default]
    Any,
    Gram,
    SparseGram,
    /// Known by its damped inverse.
    Inverse,
}

impl Damped {
    /// With another way to deal with sparse Jacobians.
    pub fn sparse(sparse: SparseSolver) -> Self {
        Self { sparse, ..Self::default() }
    }
}

impl Scratch {
    /// The step `−p` and what the model says of it.
    fn judge(&mut self, model: &Model<'_>, p: &mut [f64]) -> Result<Step> {
        scale(-1.0, p);
        model.curvature.apply(p, &mut self.work)?;
        let along = Along::of(model.gradient, p, &self.work);
        finished(Step { predicted: along.predicted(1.0), slope: along.slope(), length: norm(p), inner: 0 }, p)
    }
}

impl Subproblem for Damped {
    type Region = Damping;

    fn begin(&mut self) {
        self.scale.forget();
        self.first.forget();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let s = &mut self.scratch;
        s.factorizations = 0;
        s.work.resize(model.gradient.len(), 0.0);
        match model.curvature.form() {
            Form::Gram(gram) => {
                (s.kind, s.factorizations) = (Kind::Gram, 1);
                s.qr.factor(gram, self.scale.update(gram))
            }
            Form::SparseGram(gram) => {
                s.kind = Kind::SparseGram;
                let scale = self.scale.update_sparse(gram, &mut s.work);
                s.sparse.prepare(&self.sparse, &gram, scale, norm(model.gradient), &mut self.first)
            }
            Form::Product if model.curvature.inverse(1.0).is_some() => {
                s.kind = Kind::Inverse;
                self.scale.forget();
                Ok(())
            }
            _ => {
                s.kind = Kind::Any;
                self.scale.forget();
                s.cholesky.load(model.curvature)
            }
        }
    }

    fn step(&mut self, model: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let damping = 1.0 / check_size(size)?;
        Error::check_len("step", model.gradient.len(), p.len())?;
        let s = &mut self.scratch;
        if let (Kind::SparseGram, Form::SparseGram(gram)) = (s.kind, model.curvature.form()) {
            let step = s.sparse.step(&self.sparse, &gram, model.gradient, damping, p)?;
            return finished(step, p);
        }
        if s.kind == Kind::Gram {
            let scaled = s.qr.solve_damped(damping);
            s.qr.step(p);
            let (image, damped) = (s.qr.image(), (damping * scaled) * scaled);
            let step = Step { predicted: 0.5 * image + damped, slope: -(image + damped), length: scaled, inner: 0 };
            return finished(step, p);
        }
        if let (Kind::Inverse, Some(inverse)) = (s.kind, model.curvature.inverse(damping)) {
            inverse?.apply(model.gradient, p)?;
            return s.judge(model, p);
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
        s.judge(model, p)
    }

    fn factorizations(&self) -> u64 {
        match self.scratch.kind {
            Kind::SparseGram => self.scratch.sparse.factorizations,
            _ => self.scratch.factorizations,
        }
    }

    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        matches!(self.scratch.kind, Kind::Gram | Kind::SparseGram).then(|| self.scale.length(x)).flatten()
    }
}
