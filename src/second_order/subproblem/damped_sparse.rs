//! The damped step for a sparse Jacobian: `(JᵀJ + μD²) p = −Jᵀr` factorized, or solved inexactly by LSMR.

use super::forcing::FirstGradient;
use super::{Forcing, Step};
use crate::error::{Error, Result};
use crate::linalg::factor::{NormalEquations, NormalMethod};
use crate::linalg::krylov::{Lsmr, LsmrLimits, RectangularOperator};
use crate::linalg::operator::SparseGram;
use crate::linalg::preconditioner::JacobianBlocks;
use crate::linalg::vector::{dot, norm, scaled_norm};
use std::cell::RefCell;

/// How a [`Damped`](super::Damped) step with a sparse Jacobian is solved.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum SparseSolver {
    /// To rounding, by factorization of the normal equations.
    Factorized(NormalMethod),
    /// Inexactly and without a matrix, by LSMR preconditioned with the diagonal blocks (Wright & Holt 1985; Fong & Saunders
    /// 2011).
    Lsmr {
        /// `‖(JᵀJ + μD²) p + Jᵀr‖ ≤ η ‖Jᵀr‖`, both in the preconditioner's norm.
        forcing: Forcing,
        /// Bound on steps.
        max_iterations: u64,
    },
}

impl Default for SparseSolver {
    fn default() -> Self {
        Self::Factorized(NormalMethod::Automatic)
    }
}

impl SparseSolver {
    /// LSMR to a relative residual of 0.1, at most 500 steps.
    pub fn lsmr() -> Self {
        Self::Lsmr { forcing: Forcing { max: 0.1, exponent: 0.0 }, max_iterations: 500 }
    }
}

/// Buffers of both ways.
#[derive(Debug, Clone, Default)]
pub(super) struct SparseDamped {
    equations: NormalEquations,
    lsmr: Lsmr,
    blocks: JacobianBlocks,
    scale: Vec<f64>,
    right: Vec<f64>,
    work: Vec<f64>,
    /// Relative residual asked of LSMR at the present point.
    tolerance: f64,
    pub factorizations: u64,
}

impl SparseDamped {
    /// Takes a new point with gradient norm `slope`; `first` knows that of the run's first point.
    pub fn prepare(
        &mut self,
        solver: &SparseSolver,
        gram: &SparseGram<'_>,
        scale: &[f64],
        slope: f64,
        first: &mut FirstGradient,
    ) -> Result<()> {
        self.factorizations = 0;
        self.scale.clear();
        self.scale.extend_from_slice(scale);
        match solver {
            SparseSolver::Factorized(method) => {
                if self.equations.method != *method {
                    self.equations.method = method.clone();
                }
                self.equations.load(gram, scale)
            }
            SparseSolver::Lsmr { forcing, max_iterations } => {
                forcing.validate()?;
                self.tolerance = first.tolerance(forcing, slope);
                Error::check_option(*max_iterations > 0, "max_iterations", "positive", max_iterations)
            }
        }
    }

    /// The step for damping `μ`.
    pub fn step(&mut self, solver: &SparseSolver, gram: &SparseGram<'_>, g: &[f64], mu: f64, p: &mut [f64]) -> Result<Step> {
        match solver {
            SparseSolver::Factorized(_) => self.factorized(gram, g, mu, p),
            SparseSolver::Lsmr { max_iterations, .. } => {
                let limits = LsmrLimits {
                    a_tolerance: 0.0,
                    b_tolerance: 0.0,
                    normal_tolerance: self.tolerance,
                    max_iterations: *max_iterations,
                    ..LsmrLimits::default()
                };
                self.inexact(gram, g, mu, &limits, p)
            }
        }
    }

    fn factorized(&mut self, gram: &SparseGram<'_>, g: &[f64], mu: f64, p: &mut [f64]) -> Result<Step> {
        let mut shift = mu;
        self.factorizations += 1;
        while let Err(e) = self.equations.solve(gram, g, shift, p) {
            // A singular matrix and too little damping: in scaled variables its diagonal is 1.
            shift = (4.0 * shift).max(f64::EPSILON);
            self.factorizations += 1;
            if !shift.is_finite() {
                return Err(Error::Factorization { what: "the damped normal equations", pivot: e.pivot });
            }
        }
        let (slope, length) = (dot(g, p), self.length(p));
        // ‖J p‖² = −gᵀp − μ ‖D p‖².
        Ok(Step { predicted: 0.5 * (shift * length * length - slope), slope, length, inner: 0 })
    }

    fn inexact(&mut self, gram: &SparseGram<'_>, g: &[f64], mu: f64, limits: &LsmrLimits, p: &mut [f64]) -> Result<Step> {
        let (m, n) = (gram.pattern.m(), gram.pattern.n());
        self.blocks.update(gram, &self.scale, mu);
        let mut work = std::mem::take(&mut self.work);
        work.resize(n, 0.0);
        self.right.clear();
        self.right.extend(gram.residual.iter().map(|r| -r));
        self.right.resize(m + n, 0.0);
        let stacked = Stacked { gram, blocks: &self.blocks, scale: &self.scale, root: mu.sqrt(), work: RefCell::new(work) };
        let report = self.lsmr.solve(&stacked, &self.right, 0.0, limits, p)?;
        self.work = stacked.work.into_inner();
        self.blocks.solve(p);
        let (slope, length) = (dot(g, p), self.length(p));
        gram.product(p, &mut self.right[..m]);
        let image = norm(&self.right[..m]);
        Ok(Step { predicted: -slope - 0.5 * image * image, slope, length, inner: report.iterations })
    }

    fn length(&self, p: &[f64]) -> f64 {
        scaled_norm(&self.scale, p)
    }
}

/// `[J; √μ D] R⁻¹`.
struct Stacked<'a> {
    gram: &'a SparseGram<'a>,
    blocks: &'a JacobianBlocks,
    scale: &'a [f64],
    root: f64,
    work: RefCell<Vec<f64>>,
}

impl RectangularOperator for Stacked<'_> {
    fn nrows(&self) -> usize {
        self.gram.pattern.m() + self.ncols()
    }
    fn ncols(&self) -> usize {
        self.gram.pattern.n()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let x = &mut *self.work.borrow_mut();
        x.copy_from_slice(v);
        self.blocks.solve(x);
        let (rows, damped) = out.split_at_mut(self.gram.pattern.m());
        self.gram.product(x, rows);
        damped.iter_mut().zip(x).zip(self.scale).for_each(|((o, x), d)| *o = self.root * d * *x);
        Ok(())
    }
    fn apply_transposed(&self, u: &[f64], out: &mut [f64]) -> Result<()> {
        let (rows, damped) = u.split_at(self.gram.pattern.m());
        self.gram.transposed_product(rows, out);
        out.iter_mut().zip(damped).zip(self.scale).for_each(|((o, u), d)| *o += self.root * d * u);
        self.blocks.solve_transposed(out);
        Ok(())
    }
}
