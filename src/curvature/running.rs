//! Running averages of curvature matrices over mini-batches.
//!
//! What is averaged are the means over samples that a matrix is made from: the entries of dense, diagonal and block-diagonal
//! ones, the factors `A` and `G` of Kronecker ones, each by itself (Martens & Grosse 2015, section 5). With the decay `β`, the
//! average after `t` batches is `Σ_k β^{t−k} s_k / Σ_k β^{t−k}`: exact at the first batch, the last batch alone if `β = 0`.
//! Inverses may be older than the average. [`Ekfac`](super::Ekfac) averages its eigenvalues in the eigenbasis of the last renewal;
//! a new basis takes over the diagonal that the old average has in it.

use super::ekfac::{bases, corrected, squares};
use super::{Curvature, Ekfac, HutchinsonDiagonal, OuterProducts, Subsampled};
use crate::counts::{self, Counts};
use crate::error::{Error, Result};
use crate::linalg::operator::{ClosedForm, Diagonal, KroneckerBasis};
use crate::linalg::vector::axpy;
use crate::linalg::{Form, Operator, SymmetricOperator, Vector};
use crate::model::Block;
use crate::problem::{At, Evaluation, HessianProduct, Supervised};
use std::sync::{Arc, Mutex, PoisonError};

/// A curvature of supervised problems that is a function of means over samples.
pub trait Averaged: Send + Sync {
    /// The means over the samples of an evaluation.
    ///
    /// # Errors
    /// What the curvature reports.
    fn statistics(&self, at: &Evaluation) -> Result<Vec<Vec<f64>>>;

    /// The matrix of such means, for parameters in these parts, and how much of the regulariser's `λ I` it leaves out.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the means do not fit the parts.
    fn of_means(&self, layout: &[Block], l2: f64, means: Vec<Vec<f64>>) -> Result<(Box<dyn Invertible>, f64)>;

    /// Draws other labels for the next batch, if it draws any.
    fn redraw(&mut self) {}
}

/// A matrix whose damped inverses live by themselves.
pub trait Invertible: SymmetricOperator + Send + Sync {
    /// `(B + damping I)⁻¹`, or what stands for it.
    ///
    /// # Errors
    /// [`Error::Factorization`] if the damped matrix is not positive definite.
    fn inverted(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>>;
}

impl<M: ClosedForm> Invertible for M {
    fn inverted(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        self.damped_inverse(damping)
    }
}

/// Options of a [`Running`] average.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Averaging {
    /// `β`, in `[0, 1)`; 0.95 by default.
    pub decay: f64,
    /// Calls from one batch that enters the average to the next; 1 by default.
    pub update_every: usize,
    /// Calls from one renewal of the inverse, or of the eigenbasis of [`Ekfac`], to the next; 1 by default. The first three calls
    /// renew it in any case (Martens & Grosse 2015, algorithm 2).
    pub renew_every: usize,
}

impl Default for Averaging {
    fn default() -> Self {
        Self { decay: 0.95, update_every: 1, renew_every: 1 }
    }
}

impl Averaging {
    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Config`] for a decay outside `[0, 1)` or a period of zero.
    pub fn validate(&self) -> Result<()> {
        Error::check_option((0.0..1.0).contains(&self.decay), "decay", "in [0, 1)", self.decay)?;
        Error::check_option(self.update_every > 0, "update_every", "positive", self.update_every)?;
        Error::check_option(self.renew_every > 0, "renew_every", "positive", self.renew_every)
    }
}

/// The running average of a curvature; every call of [`Curvature::at`] is a mini-batch.
///
/// A batch with entries that are not finite is refused and leaves the average as it was. The averages are state that is
/// serialised; inverses are made again from what they were made from, bit for bit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Running<C> {
    /// What is averaged.
    pub curvature: C,
    /// How.
    pub options: Averaging,
    calls: u64,
    /// True if the average is newer than what the inverses are made from.
    changed: bool,
    average: Decayed,
    /// The means at the last renewal.
    renewed: Vec<Vec<f64>>,
    /// Eigenvalues in the basis of the last renewal.
    corrections: Decayed,
    #[cfg_attr(feature = "serde", serde(skip))]
    kept: Kept,
}

impl<C> Running<C> {
    /// Before the first batch.
    pub fn new(curvature: C, options: Averaging) -> Self {
        Self {
            curvature,
            options,
            calls: 0,
            changed: false,
            average: Decayed::default(),
            renewed: Vec::new(),
            corrections: Decayed::default(),
            kept: Kept::default(),
        }
    }

    /// The average of what the matrix is made from; empty before the first batch.
    pub fn means(&self) -> Vec<Vec<f64>> {
        self.average.means()
    }

    /// Forgets all batches.
    fn forget(&mut self) {
        (self.calls, self.changed) = (0, false);
        (self.average, self.corrections, self.kept) = Default::default();
        self.renewed.clear();
    }

    fn updates(&self) -> bool {
        self.calls.is_multiple_of(self.options.update_every as u64)
    }

    fn renews(&self) -> bool {
        self.changed && (self.calls < 3 || self.calls.is_multiple_of(self.options.renew_every as u64))
    }

    fn add(&mut self, statistics: Vec<Vec<f64>>) -> Result<()> {
        self.average.add(self.options.decay, statistics)?;
        self.changed = true;
        Ok(())
    }
}

impl<C: Default> Default for Running<C> {
    fn default() -> Self {
        Self::new(C::default(), Averaging::default())
    }
}

/// Decayed sums and the sum of their weights.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Decayed {
    weight: f64,
    sums: Vec<Vec<f64>>,
}

impl Decayed {
    /// `sum ← β sum + new`, `weight ← β weight + 1`.
    fn add(&mut self, decay: f64, new: Vec<Vec<f64>>) -> Result<()> {
        for part in &new {
            Error::check_finite("statistics of a mini-batch", part)?;
        }
        if self.sums.is_empty() {
            (self.weight, self.sums) = (1.0, new);
            return Ok(());
        }
        Error::check_len("statistics of a running average", self.sums.len(), new.len())?;
        for (sum, part) in self.sums.iter().zip(&new) {
            Error::check_len("statistics of a running average", sum.len(), part.len())?;
        }
        for (sum, part) in self.sums.iter_mut().zip(&new) {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s = decay * *s + p);
        }
        self.weight = decay * self.weight + 1.0;
        Ok(())
    }

    fn means(&self) -> Vec<Vec<f64>> {
        let mean = |sum: &Vec<f64>| sum.iter().map(|s| s / self.weight).collect();
        self.sums.iter().map(mean).collect()
    }
}

type Inverse = Arc<dyn SymmetricOperator + Send + Sync>;

/// What can be made again from the state.
#[derive(Default)]
struct Kept {
    /// Of the means at the last renewal, and what it leaves out of the regulariser.
    matrix: Option<(Arc<dyn Invertible>, f64)>,
    /// Its last inverse, with the bits of the damping.
    inverse: Mutex<Option<(u64, Inverse)>>,
    /// Eigenbases of the means at the last renewal.
    bases: Vec<Arc<KroneckerBasis>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// A copy makes its own.
impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// It holds nothing that the state does not determine.
impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Kept {
    /// The inverse of the matrix of the last renewal; computed once a damping.
    fn inverse(&self, damping: f64) -> Result<Inverse> {
        let lock = || self.inverse.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = Error::Unsupported { what: "a running average", requirement: "a batch" };
        let (matrix, shift) = self.matrix.as_ref().ok_or(missing)?;
        let damping = damping + shift;
        if let Some((_, inverse)) = lock().as_ref().filter(|(bits, _)| *bits == damping.to_bits()) {
            return Ok(inverse.clone());
        }
        let inverse: Inverse = Arc::from(matrix.inverted(damping)?);
        *lock() = Some((damping.to_bits(), inverse.clone()));
        Ok(inverse)
    }
}

/// The average at one call: products with the newest, inverses of the last renewal.
struct Current<'a> {
    matrix: Arc<dyn Invertible>,
    shift: f64,
    kept: &'a Kept,
    /// Whether the inverses are as new as the products.
    fresh: bool,
    counts: &'a Counts,
}

impl SymmetricOperator for Current<'_> {
    fn dim(&self) -> usize {
        self.matrix.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        counts::add(&self.counts.hessian_product, 1);
        self.matrix.apply(v, out)?;
        axpy(self.shift, v, out);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        // Whoever sees the entries would factor them, whatever inverse is kept.
        if self.fresh && self.shift == 0.0 { self.matrix.form() } else { Form::Product }
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(self.kept.inverse(damping).map(|inverse| Box::new(Shared(inverse)) as Operator<'_>))
    }
}

/// An inverse that is kept elsewhere, too.
struct Shared(Inverse);

impl SymmetricOperator for Shared {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.0.apply(v, out)
    }
}

impl<P: Vector, C: Averaged> Curvature<Supervised<P>> for Running<C> {
    fn begin(&mut self) {
        self.forget();
    }
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        self.options.validate()?;
        if self.updates() {
            let here = at.problem.evaluate_rows(at.x.as_slice(), at.rows)?;
            let statistics = self.curvature.statistics(&here)?;
            self.add(statistics)?;
            self.curvature.redraw();
        }
        let assemble = |curvature: &C, means| -> Result<(Arc<dyn Invertible>, f64)> {
            let (matrix, shift) = curvature.of_means(at.problem.layout(), at.problem.regularizer(), means)?;
            Ok((Arc::from(matrix), shift))
        };
        if self.renews() {
            self.renewed = self.average.means();
            self.kept = Kept { matrix: Some(assemble(&self.curvature, self.renewed.clone())?), ..Kept::default() };
            self.changed = false;
        } else if self.kept.matrix.is_none() {
            self.kept.matrix = Some(assemble(&self.curvature, self.renewed.clone())?);
        }
        let (matrix, shift) = match &self.kept.matrix {
            Some((matrix, shift)) if !self.changed => (matrix.clone(), *shift),
            _ => assemble(&self.curvature, self.average.means())?,
        };
        self.calls += 1;
        Ok(Box::new(Current { matrix, shift, kept: &self.kept, fresh: !self.changed, counts: at.counts }))
    }
}

impl<P: Vector, S: OuterProducts> Curvature<Supervised<P>> for Running<Ekfac<S>> {
    fn begin(&mut self) {
        self.forget();
    }
    fn at<'a>(&'a mut self, at: At<'a, Supervised<P>>) -> Result<Operator<'a>> {
        self.options.validate()?;
        let updates = self.updates();
        let here = if updates { Some(at.problem.evaluate_rows(at.x.as_slice(), at.rows)?) } else { None };
        if let Some(here) = &here {
            let statistics = self.curvature.factors(here)?;
            self.add(statistics)?;
        }
        let layout = at.problem.layout();
        if self.kept.bases.is_empty() && !self.renewed.is_empty() {
            self.kept.bases = bases(layout, self.renewed.clone())?;
        }
        if self.renews() {
            self.renewed = self.average.means();
            let bases = bases(layout, self.renewed.clone())?;
            for ((old, new), sums) in self.kept.bases.iter().zip(&bases).zip(&mut self.corrections.sums) {
                *sums = old.turned_to(new, sums)?;
            }
            self.kept = Kept { bases, ..Kept::default() };
            self.changed = false;
        }
        if let Some(here) = &here {
            let new = squares(&self.curvature.source, here, &self.kept.bases)?;
            self.corrections.add(self.options.decay, new)?;
            self.curvature.source.redraw();
        }
        let matrix: Arc<dyn Invertible> = Arc::new(corrected(&self.kept.bases, self.corrections.means())?);
        let shift = at.problem.regularizer();
        *self.kept.inverse.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        self.kept.matrix = Some((matrix.clone(), shift));
        self.calls += 1;
        Ok(Box::new(Current { matrix, shift, kept: &self.kept, fresh: true, counts: at.counts }))
    }
}

/// The average of signed estimates; their moduli are taken at the end, if at all.
impl<O: HessianProduct> Curvature<O> for Running<HutchinsonDiagonal> {
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        self.options.validate()?;
        if self.updates() {
            let estimate = self.curvature.estimate(at)?;
            self.add(vec![estimate])?;
        }
        self.calls += 1;
        let mut diagonal = self.average.means().swap_remove(0);
        if self.curvature.absolute {
            diagonal.iter_mut().for_each(|d| *d = d.abs());
        }
        Ok(Box::new(Diagonal(diagonal)))
    }
}

impl<P: Vector, C: Averaged> Subsampled<Supervised<P>> for Running<C> {}
impl<P: Vector, S: OuterProducts> Subsampled<Supervised<P>> for Running<Ekfac<S>> {}
impl<O: HessianProduct> Subsampled<O> for Running<HutchinsonDiagonal> {}
