//! SAG and SAGA: gradients corrected by a table with the last gradient of each term.
//!
//! For the term `i` of a step, with `gᵢ` its gradient in the table, `ḡ` the table's mean and `p` the probability of `i`:
//!
//! ```text
//! SAG    the mean after gᵢ ← ∇fᵢ(x)                        biased, least variance
//! SAGA   (∇fᵢ(x) − gᵢ)/(n p) + ḡ, then gᵢ ← ∇fᵢ(x)         unbiased
//! ```
//!
//! # Reference
//! Schmidt, Le Roux & Bach (2017), Math. Program. 162 (SAG); Defazio, Bach & Lacoste-Julien (2014), NeurIPS (SAGA).

use super::draw::{Draw, Selection};
use super::table::{LipschitzSearch, Table, TableStart};
use super::{Estimate, GradientEstimator};
use crate::counts;
use crate::error::Result;
use crate::linalg::Vector;
use crate::linalg::vector::{axpy, norm_inf, scale};
use crate::problem::{At, FiniteSum};

/// What is made of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TableMethod {
    /// Its mean, with the new gradients in it.
    #[default]
    Sag,
    /// The new gradients, corrected by the old ones and the mean of those.
    Saga,
}

/// SAG or SAGA as an estimator of gradients.
///
/// A step `1/L` is usual for SAG, `1/(16 L)` is what its theory needs; SAGA takes `1/(3 L)`.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tabulated {
    /// What is made of the table.
    pub method: TableMethod,
    /// What the table holds at first. Default: the gradients at the start.
    pub start: TableStart,
    /// How terms are chosen. Default: uniformly.
    pub selection: Selection,
    /// Terms a step. Default 1.
    pub batch: usize,
    /// Seed of the choice. Default 0.
    pub seed: u64,
    /// With it the estimate comes divided by a Lipschitz constant found on the way (that of the shared part included), so that
    /// a learning rate of 1 means `1/L` and `1/16` means `1/(16 L)`.
    pub search: Option<LipschitzSearch>,
    table: Table,
    draw: Draw,
    rows: Vec<usize>,
    /// Gradients evaluated for the table, not reported yet.
    pending: u64,
    gradient_norm: Option<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    work: Vec<f64>,
}

impl Tabulated {
    /// SAG, one term a step.
    pub fn sag(seed: u64) -> Self {
        Self {
            method: TableMethod::Sag,
            start: TableStart::AtStart,
            selection: Selection::Uniform,
            batch: 1,
            seed,
            search: None,
            table: Table::default(),
            draw: Draw::default(),
            rows: Vec::new(),
            pending: 0,
            gradient_norm: None,
            work: Vec::new(),
        }
    }

    /// SAGA, one term a step.
    pub fn saga(seed: u64) -> Self {
        Self { method: TableMethod::Saga, ..Self::sag(seed) }
    }

    /// The same with another table to start from.
    pub fn start(self, start: TableStart) -> Self {
        Self { start, ..self }
    }

    /// The same with terms chosen in another way.
    pub fn selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// The same with several terms a step.
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The same with a search for the Lipschitz constant.
    pub fn search(self, search: LipschitzSearch) -> Self {
        Self { search: Some(search), ..self }
    }

    /// `out ←` the mean gradient of the table at `x`, with what the terms share.
    pub fn table_mean<O: FiniteSum>(&self, problem: &O, x: &[f64], out: &mut [f64]) {
        self.table.mean(out);
        if let Some(terms) = problem.linear_terms() {
            terms.add_shared(x, out);
        }
    }

    fn raise<O: FiniteSum>(&mut self, problem: &O, x: &[f64]) -> Result<()> {
        let Some(search) = &mut self.search else { return Ok(()) };
        for &i in &self.rows {
            match problem.linear_terms() {
                Some(terms) => {
                    let k = terms.n_outputs();
                    self.work.resize(3 * k, 0.0);
                    let (outputs, rest) = self.work.split_at_mut(k);
                    let (slopes, trial) = rest.split_at_mut(k);
                    terms.outputs(x, i, outputs);
                    slopes.copy_from_slice(outputs);
                    terms.slopes(i, slopes);
                    search.raise_linear(terms, i, outputs, slopes, trial);
                }
                None => {
                    self.work.resize(x.len(), 0.0);
                    problem.partial(x, &[i], &mut self.work)?;
                    search.raise(problem, x, i, &self.work)?;
                }
            }
        }
        Ok(())
    }
}

impl<O: FiniteSum> GradientEstimator<O> for Tabulated {
    fn begin(&mut self, at: At<'_, O>) -> Result<()> {
        if let Some(search) = &self.search {
            search.validate()?;
        }
        let problem = at.problem;
        self.draw.begin(&self.selection, self.seed, problem.n_terms(), self.batch, |i| problem.lipschitz(i))?;
        self.pending = self.table.begin(problem, at.x.as_slice(), self.start)?;
        self.gradient_norm = None;
        counts::add(&at.counts.sample_gradient, self.pending);
        Ok(())
    }

    fn estimate<'a>(&'a mut self, at: At<'_, O>, _epoch: f64, gradient: &mut [f64]) -> Result<Estimate<'a>> {
        let (problem, x, n) = (at.problem, at.x.as_slice(), self.table.n);
        let mut weight = 1.0;
        if self.batch == 1 {
            let (i, w) = self.draw.next(&self.selection, self.seed, n);
            self.rows.clear();
            self.rows.push(i);
            weight = w;
        } else {
            self.draw.batch(&self.selection, self.seed, n, self.batch, &mut self.rows);
        }
        self.raise(problem, x)?;
        let used = self.rows.len() as u64;
        match self.method {
            TableMethod::Sag => {
                for k in 0..self.rows.len() {
                    self.table.replace(problem, x, self.rows[k], 0.0, gradient)?;
                }
                self.table.mean(gradient);
            }
            TableMethod::Saga => {
                // The mean of the old gradients over the terms seen now: a term's first gradient has no old one to replace.
                let mut change = std::mem::take(&mut self.work);
                change.clear();
                change.resize(gradient.len(), 0.0);
                let (sum, centred) = (self.table.sum.clone(), self.table.n_centred());
                for k in 0..self.rows.len() {
                    self.table.replace(problem, x, self.rows[k], weight / used as f64, &mut change)?;
                }
                gradient.copy_from_slice(&sum);
                if !self.table.centre.is_empty() {
                    axpy(-centred, &self.table.centre, gradient);
                }
                scale(1.0 / self.table.divisor(), gradient);
                axpy(1.0, &change, gradient);
                self.work = change;
            }
        }
        if let Some(terms) = problem.linear_terms() {
            terms.add_shared(x, gradient);
        }
        self.gradient_norm = self.norm(problem, x, gradient);
        if let Some(search) = &mut self.search {
            let shared = problem.linear_terms().map_or(0.0, |terms| terms.shared_curvature());
            scale(1.0 / (search.constant + shared), gradient);
            search.relax(n);
        }
        counts::add(&at.counts.sample_gradient, used);
        let evaluated = used + std::mem::take(&mut self.pending);
        Ok(Estimate { rows: &self.rows, cost: None, evaluated })
    }

    fn gradient_norm(&self) -> Option<f64> {
        self.gradient_norm
    }
}

impl Tabulated {
    /// `‖·‖∞` of the table's mean at `x`, once it holds every term.
    fn norm<O: FiniteSum>(&mut self, problem: &O, x: &[f64], gradient: &[f64]) -> Option<f64> {
        if !self.table.is_full() {
            return None;
        }
        if self.method == TableMethod::Sag {
            return Some(norm_inf(gradient));
        }
        let mut mean = std::mem::take(&mut self.work);
        mean.resize(gradient.len(), 0.0);
        self.table_mean(problem, x, &mut mean);
        let norm = norm_inf(&mean);
        self.work = mean;
        Some(norm)
    }
}
