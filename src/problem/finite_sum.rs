//! Finite sums: objectives whose terms can be evaluated a few at a time.

use super::Objective;
use crate::error::{Error, Result};
use crate::model::Block;

/// A capability argmin lacks: `f(x) = (1/n) Σᵢ fᵢ(x)`, with the terms at hand one by one.
///
/// Everything that is added to the mean (a regulariser) is part of every `fᵢ`; a sum over samples, or a weighted mean, is this
/// mean of `fᵢ` scaled accordingly. So the gradient of a few terms is always an unbiased estimate of `∇f`.
pub trait FiniteSum: Objective {
    /// `n`.
    fn n_terms(&self) -> usize;

    /// The mean of `fᵢ(x)` over `rows`, which may repeat; `gradient ←` the mean of `∇fᵢ(x)`.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a wrong length, [`Error::Config`] for no rows or one that is not there; what the problem
    /// reports.
    fn partial(&self, x: &[f64], rows: &[usize], gradient: &mut [f64]) -> Result<f64>;

    /// The mean of `fᵢ(x)` over `rows`; by default with a gradient that is thrown away.
    ///
    /// # Errors
    /// As [`partial`](Self::partial).
    fn partial_cost(&self, x: &[f64], rows: &[usize]) -> Result<f64> {
        self.partial(x, rows, &mut vec![0.0; x.len()])
    }

    /// `Σₖ wₖ fᵢ(x)` for `i = rows[k]`; `gradient ← Σₖ wₖ ∇fᵢ(x)`. By default one term at a time.
    ///
    /// # Errors
    /// As [`partial`](Self::partial).
    fn weighted_partial(&self, x: &[f64], rows: &[usize], weights: &[f64], gradient: &mut [f64]) -> Result<f64> {
        Error::check_len("weights of terms", rows.len(), weights.len())?;
        let mut term = vec![0.0; x.len()];
        let mut value = 0.0;
        gradient.fill(0.0);
        for (row, weight) in rows.iter().zip(weights) {
            value += weight * self.partial(x, std::slice::from_ref(row), &mut term)?;
            crate::linalg::vector::axpy(*weight, &term, gradient);
        }
        Ok(value)
    }

    /// `out ←` the mean of `∇²fᵢ(x)` over `rows` times `v`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless the problem has second derivatives; else as [`partial`](Self::partial).
    fn partial_product(&self, x: &[f64], rows: &[usize], v: &[f64], out: &mut [f64]) -> Result<()> {
        let _ = (x, rows, v, out);
        Err(Error::Unsupported { what: "a Hessian product of some terms", requirement: "a problem with second derivatives" })
    }

    /// `out ←` a gradient `ĝ` of the losses alone on `m` rows, with targets drawn from the model's own distribution at `x` by
    /// this seed, scaled so that the mean of `m ĝĝᵀ` over seeds is the Fisher matrix of the mean of the `fᵢ`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless the problem has such a distribution; else as [`partial`](Self::partial).
    fn sampled_partial(&self, x: &[f64], rows: &[usize], seed: u64, out: &mut [f64]) -> Result<()> {
        let _ = (x, rows, seed, out);
        Err(Error::Unsupported { what: "a gradient with drawn targets", requirement: "a loss that is a negative log-likelihood" })
    }

    /// A Lipschitz constant of `∇fᵢ`, where one is known.
    fn lipschitz(&self, i: usize) -> Option<f64> {
        let _ = i;
        None
    }

    /// The terms as functions of a few linear outputs each, where they are that.
    fn linear_terms(&self) -> Option<&dyn LinearTerms> {
        None
    }

    /// The parameters' parts, for rules that work layer by layer; by default none, which is one part.
    fn layout(&self) -> &[Block] {
        &[]
    }

    /// What early stopping looks at: a loss or an error on data that the sum leaves out, lower is better; `None` without such.
    fn validation(&self, x: &[f64]) -> Option<Result<f64>> {
        let _ = x;
        None
    }
}

/// Terms that look at the point through a few outputs that are linear in it, up to a part that all share:
/// `fᵢ(x) = φᵢ(Aᵢ x) + ρ(x)`. A gradient `Aᵢᵀ∇φᵢ + ∇ρ` is then remembered by the slopes `∇φᵢ`, as many as there are outputs.
///
/// Indices and lengths are the caller's to check.
pub trait LinearTerms {
    /// Rows of each `Aᵢ`.
    fn n_outputs(&self) -> usize;
    /// `outputs ← Aᵢ x`.
    fn outputs(&self, x: &[f64], i: usize, outputs: &mut [f64]);
    /// `φᵢ` of the outputs.
    fn value(&self, i: usize, outputs: &[f64]) -> f64;
    /// Outputs become `∇φᵢ` at them.
    fn slopes(&self, i: usize, outputs: &mut [f64]);
    /// `gradient ← gradient + Aᵢᵀ slopes`.
    fn add_adjoint(&self, i: usize, slopes: &[f64], gradient: &mut [f64]);
    /// `gradient ← gradient + ∇ρ(x)`; the value `ρ(x)`.
    fn add_shared(&self, x: &[f64], gradient: &mut [f64]) -> f64;
    /// A bound on the second derivative of `ρ`.
    fn shared_curvature(&self) -> f64;
    /// A bound on `‖Aᵢ‖²`.
    fn squared_norm(&self, i: usize) -> f64;
}

/// A finite sum whose terms have Hessian matrices of a size that can be formed.
pub trait PartialHessian: FiniteSum {
    /// `out ←` the mean of `∇²fᵢ(x)` over `rows`, dense, both triangles.
    ///
    /// # Errors
    /// As [`partial`](FiniteSum::partial).
    fn partial_hessian(&self, x: &[f64], rows: &[usize], out: &mut [f64]) -> Result<()>;
}
