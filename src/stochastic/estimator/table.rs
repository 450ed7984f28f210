//! A table with the last gradient of each term, and its mean: what SAG and SAGA remember.
//!
//! Where the terms are functions of a few linear outputs the table holds their slopes, `O(n K)` numbers instead of `O(n d)`, and
//! the part of the gradient that all terms share is left out of it and taken exactly.

use crate::error::Result;
use crate::linalg::vector::{add_scaled, axpy};
use crate::problem::{FiniteSum, LinearTerms};

/// What the table holds before a term is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TableStart {
    /// Zeros, and its mean is over the terms seen so far (Schmidt, Le Roux & Bach 2017, §4.1; scikit-learn).
    Seen,
    /// The gradients at the starting point: one pass through the data.
    #[default]
    AtStart,
    /// The gradients at the starting point less their mean: one pass (Schmidt, Le Roux & Bach 2017, theorem 1).
    Centred,
}

/// The table.
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Table {
    pub n: usize,
    /// Numbers a term: outputs, or parameters.
    pub width: usize,
    pub entries: Vec<f64>,
    /// The sum of the gradients in the table, `n` times the centre apart.
    pub sum: Vec<f64>,
    /// What is taken off each term that was not seen yet; empty for nothing.
    pub centre: Vec<f64>,
    pub seen: Vec<bool>,
    pub n_seen: usize,
    /// The mean is over the terms seen.
    pub by_seen: bool,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Vec<f64>,
}

impl Table {
    /// Fills the table; gradients evaluated.
    pub fn begin<O: FiniteSum>(&mut self, problem: &O, x: &[f64], start: TableStart) -> Result<u64> {
        let n = problem.n_terms();
        let linear = problem.linear_terms();
        let width = linear.map_or(x.len(), |terms| terms.n_outputs());
        *self = Self {
            n,
            width,
            entries: vec![0.0; n * width],
            sum: vec![0.0; x.len()],
            centre: Vec::new(),
            seen: vec![false; n],
            n_seen: 0,
            by_seen: start == TableStart::Seen,
            work: vec![0.0; width],
        };
        if start == TableStart::Seen {
            return Ok(0);
        }
        for (i, entry) in self.entries.chunks_exact_mut(width).enumerate() {
            gradient(problem, linear, x, i, entry)?;
            match linear {
                Some(terms) => terms.add_adjoint(i, entry, &mut self.sum),
                None => axpy(1.0, entry, &mut self.sum),
            }
        }
        if start == TableStart::Centred {
            self.centre = self.sum.iter().map(|s| s / n as f64).collect();
        }
        Ok(n as u64)
    }

    /// What the sum is divided by for the mean.
    #[inline]
    pub fn divisor(&self) -> f64 {
        if self.by_seen { self.n_seen.max(1) as f64 } else { self.n as f64 }
    }

    /// How often the centre is to be taken off the sum.
    #[inline]
    pub fn n_centred(&self) -> f64 {
        (self.n - self.n_seen) as f64
    }

    /// Whether every term is in the mean, so that it vanishes at a minimum.
    pub fn is_full(&self) -> bool {
        !self.by_seen || self.n_seen == self.n
    }

    /// Marks a term; whether it is seen for the first time.
    #[inline]
    pub fn mark(&mut self, i: usize) -> bool {
        let first = !self.seen[i];
        self.seen[i] = true;
        self.n_seen += usize::from(first);
        first
    }

    /// Replaces the gradient of term `i` by the one at `x`; `change ← change + weight · (new − old)`.
    pub fn replace<O: FiniteSum>(&mut self, problem: &O, x: &[f64], i: usize, weight: f64, change: &mut [f64]) -> Result<()> {
        let linear = problem.linear_terms();
        self.work.resize(self.width, 0.0);
        gradient(problem, linear, x, i, &mut self.work)?;
        let entry = &mut self.entries[i * self.width..(i + 1) * self.width];
        for (work, entry) in self.work.iter_mut().zip(entry) {
            let new = *work;
            *work -= *entry;
            *entry = new;
        }
        match linear {
            Some(terms) => {
                terms.add_adjoint(i, &self.work, &mut self.sum);
                if weight != 0.0 {
                    self.work.iter_mut().for_each(|w| *w *= weight);
                    terms.add_adjoint(i, &self.work, change);
                }
            }
            None => {
                axpy(1.0, &self.work, &mut self.sum);
                axpy(weight, &self.work, change);
            }
        }
        if self.mark(i) && !self.centre.is_empty() && weight != 0.0 {
            axpy(weight, &self.centre, change);
        }
        Ok(())
    }

    /// `out ←` the mean gradient of the table, without what the terms share.
    pub fn mean(&self, out: &mut [f64]) {
        let scale = 1.0 / self.divisor();
        out.iter_mut().zip(&self.sum).for_each(|(o, s)| *o = scale * s);
        if !self.centre.is_empty() {
            axpy(-self.n_centred() * scale, &self.centre, out);
        }
    }
}

/// `out ←` the slopes of term `i` or its gradient.
fn gradient<O: FiniteSum>(problem: &O, linear: Option<&dyn LinearTerms>, x: &[f64], i: usize, out: &mut [f64]) -> Result<()> {
    match linear {
        Some(terms) => {
            terms.outputs(x, i, out);
            terms.slopes(i, out);
            Ok(())
        }
        None => problem.partial(x, &[i], out).map(|_| ()),
    }
}

/// An estimate of the Lipschitz constant `L` of the terms' gradients by backtracking, term by term: `L` is doubled until
/// `fᵢ(x − ∇fᵢ/L) ≤ fᵢ(x) − ‖∇fᵢ‖²/(2L)` and shrunk by `2^{−1/n}` after each step (Schmidt, Le Roux & Bach 2017, §4.6).
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LipschitzSearch {
    /// The present estimate, without what the terms share. Default 1.
    pub constant: f64,
}

impl Default for LipschitzSearch {
    fn default() -> Self {
        Self { constant: 1.0 }
    }
}

/// Squared gradients of a term below which its test says nothing (Schmidt, Le Roux & Bach 2017, §4.6).
const SMALL: f64 = 1e-8;

impl LipschitzSearch {
    /// Checks the first estimate.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config).
    pub fn validate(&self) -> Result<()> {
        let ok = self.constant > 0.0 && self.constant.is_finite();
        crate::error::Error::check_option(ok, "first Lipschitz estimate", "finite and positive", self.constant)
    }

    /// Lets the estimate shrink after a step.
    #[inline]
    pub fn relax(&mut self, n: usize) {
        self.constant *= (-1.0 / n as f64).exp2();
    }

    /// Raises the estimate for a term whose `outputs` have the gradient `slopes`; `trial` is room for as many.
    pub fn raise_linear(&mut self, terms: &dyn LinearTerms, i: usize, outputs: &[f64], slopes: &[f64], trial: &mut [f64]) {
        let length = terms.squared_norm(i);
        let square = length * slopes.iter().map(|s| s * s).sum::<f64>();
        if !(square > SMALL) {
            return;
        }
        let value = terms.value(i, outputs);
        for _ in 0..100 {
            add_scaled(outputs, -length / self.constant, slopes, trial);
            if terms.value(i, trial) <= value - 0.5 * square / self.constant {
                return;
            }
            self.constant *= 2.0;
        }
    }

    /// Raises the estimate for a term with this gradient at `x`.
    ///
    /// # Errors
    /// What the problem reports.
    pub fn raise<O: FiniteSum>(&mut self, problem: &O, x: &[f64], i: usize, gradient: &[f64]) -> Result<()> {
        let square: f64 = gradient.iter().map(|g| g * g).sum();
        if !(square > SMALL) {
            return Ok(());
        }
        let value = problem.partial_cost(x, &[i])?;
        let mut trial = vec![0.0; x.len()];
        for _ in 0..100 {
            add_scaled(x, -1.0 / self.constant, gradient, &mut trial);
            if problem.partial_cost(&trial, &[i])? <= value - 0.5 * square / self.constant {
                break;
            }
            self.constant *= 2.0;
        }
        Ok(())
    }
}
