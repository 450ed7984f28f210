//! Multinomial logistic regression against a baseline class.
//!
//! With classes `0 … K−1`, predictors `ηᵢₖ = xᵢᵀβₖ`, `β₀ = 0` and `pᵢₖ = e^{ηᵢₖ}/Σₗ e^{ηᵢₗ}` the cost is the negative
//! log-likelihood `−Σ wᵢ ln p_{i,yᵢ}`. Its point holds `β₁, …, β_{K−1}` one after the other, `(K − 1) p` entries. The link is
//! canonical: expected and observed information agree, with blocks `Xᵀ diag(w pₖ (δₖₗ − pₗ)) X`.
//!
//! # Reference
//! McCullagh & Nelder (1989), §5.2.4; Böhning (1992), Ann. Inst. Statist. Math. 44.

use super::{check_rows, not_negative};
use crate::error::{Error, Result};
use crate::linalg::operator::DenseMatrix;
use crate::linalg::vector::{axpy, dot};
use crate::linalg::{Operator, Vector};
use crate::problem::{FisherInformation, HessianProduct};
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use std::marker::PhantomData;
use std::sync::Arc;

/// A multinomial logistic model with its data, as an argmin problem over points of type `P`.
///
/// # Example
/// ```
/// use argmin::core::CostFunction;
/// use curvkit::problem::glm::Multinomial;
/// // Three rows of a constant, one of each class: all probabilities are 1/3 at zero.
/// let model = Multinomial::new(3, 1, vec![1.0; 3], vec![0, 1, 2])?;
/// assert!((model.cost(&vec![0.0, 0.0])? - 3.0 * 3f64.ln()).abs() < 1e-15);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct Multinomial<P = Vec<f64>> {
    data: Arc<MultinomialData>,
    point: PhantomData<fn() -> P>,
}

impl<P> Clone for Multinomial<P> {
    fn clone(&self) -> Self {
        Self { data: self.data.clone(), point: PhantomData }
    }
}

/// The data of a [`Multinomial`].
#[derive(Debug, Clone, PartialEq)]
pub struct MultinomialData {
    /// `K`.
    pub n_classes: usize,
    /// Columns of the design.
    pub n_columns: usize,
    /// `X`, `n × p`, column-major.
    pub design: Vec<f64>,
    /// Class of each row.
    pub classes: Vec<usize>,
    /// Weight of each row: how often it was observed.
    pub weights: Vec<f64>,
}

impl MultinomialData {
    /// Number of rows `n`.
    pub fn n_rows(&self) -> usize {
        self.classes.len()
    }

    /// Number of parameters, `(K − 1) p`.
    pub fn n_parameters(&self) -> usize {
        (self.n_classes - 1) * self.n_columns
    }

    /// Column `j` of the design.
    pub fn column(&self, j: usize) -> &[f64] {
        let n = self.n_rows();
        &self.design[j * n..(j + 1) * n]
    }

    /// Predictors of the classes behind the baseline, `n × (K − 1)`.
    pub fn predictors(&self, x: &[f64]) -> Vec<f64> {
        let n = self.n_rows();
        let mut eta = vec![0.0; n * (self.n_classes - 1)];
        for (k, eta) in eta.chunks_mut(n.max(1)).enumerate() {
            (0..self.n_columns).for_each(|j| axpy(x[k * self.n_columns + j], self.column(j), eta));
        }
        eta
    }

    /// Probabilities of the classes behind the baseline, `n × (K − 1)`, and `−ln p_{yᵢ}` of each row.
    pub fn probabilities(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (n, mut eta) = (self.n_rows(), self.predictors(x));
        let mut losses = Vec::with_capacity(n);
        for i in 0..n {
            let at = |k: usize| k * n + i;
            let top = (0..self.n_classes - 1).fold(0.0f64, |m, k| m.max(eta[at(k)]));
            let sum = (-top).exp() + (0..self.n_classes - 1).map(|k| (eta[at(k)] - top).exp()).sum::<f64>();
            let own = if self.classes[i] == 0 { 0.0 } else { eta[at(self.classes[i] - 1)] };
            // Of the largest, 1 is taken out of the sum, so that tiny losses keep their digits.
            losses.push(if own == top { (self.others(i, &eta, top)).ln_1p() } else { top - own + sum.ln() });
            (0..self.n_classes - 1).for_each(|k| eta[at(k)] = (eta[at(k)] - top).exp() / sum);
        }
        (eta, losses)
    }

    /// `Σ e^{ηₖ − top}` over the classes other than the row's own.
    fn others(&self, i: usize, eta: &[f64], top: f64) -> f64 {
        let n = self.n_rows();
        let baseline = if self.classes[i] == 0 { 0.0 } else { (-top).exp() };
        let other = |k: &usize| k + 1 != self.classes[i];
        baseline + (0..self.n_classes - 1).filter(other).map(|k| (eta[k * n + i] - top).exp()).sum::<f64>()
    }

    /// `wᵢ (1[yᵢ = k] − pᵢₖ)`, `n × (K − 1)`, from the probabilities.
    pub fn scores(&self, probabilities: &[f64]) -> Vec<f64> {
        let n = self.n_rows();
        let score = |(at, p): (usize, &f64)| self.weights[at % n] * (f64::from(self.classes[at % n] == at / n + 1) - p);
        probabilities.iter().enumerate().map(score).collect()
    }

    /// The information from the probabilities, dense.
    pub fn information(&self, probabilities: &[f64]) -> Vec<f64> {
        let (n, p, blocks) = (self.n_rows(), self.n_columns, self.n_classes - 1);
        let total = p * blocks;
        let mut out = vec![0.0; total * total];
        let mut weighted = vec![0.0; n];
        for a in 0..blocks {
            for b in 0..=a {
                let weight = |i: usize| {
                    let (pa, pb) = (probabilities[a * n + i], probabilities[b * n + i]);
                    self.weights[i] * pa * (f64::from(a == b) - pb)
                };
                let weights: Vec<f64> = (0..n).map(weight).collect();
                for j in 0..p {
                    weighted.iter_mut().zip(&weights).zip(self.column(j)).for_each(|((o, w), x)| *o = w * x);
                    for i in 0..p {
                        let v = dot(self.column(i), &weighted);
                        (out[(b * p + j) * total + a * p + i], out[(a * p + i) * total + b * p + j]) = (v, v);
                    }
                }
            }
        }
        out
    }
}

impl Multinomial {
    /// A model over `n_columns` columns of the column-major `design`; `classes` are below `n_classes`. Over points
    /// `Vec<f64>`, see [`over`](Self::over) for others.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than two classes, [`Error::Dimension`], [`Error::NonFinite`], [`Error::Observation`] with
    /// the row of a class that does not exist.
    pub fn new(n_classes: usize, n_columns: usize, design: Vec<f64>, classes: Vec<usize>) -> Result<Self> {
        Error::check_option(n_classes >= 2, "n_classes", "at least 2", n_classes)?;
        Error::check_len("design", classes.len() * n_columns, design.len())?;
        Error::check_finite("design", &design)?;
        if let Some(row) = classes.iter().position(|c| *c >= n_classes) {
            let value = classes[row] as f64;
            return Err(Error::Observation { what: "class", row, requirement: "below the number of classes", value });
        }
        let weights = vec![1.0; classes.len()];
        let data = MultinomialData { n_classes, n_columns, design, classes, weights };
        Ok(Self { data: Arc::new(data), point: PhantomData })
    }

    /// With frequencies of the rows.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::Observation`] with the row of a weight that is negative or not finite.
    pub fn with_weights(self, weights: Vec<f64>) -> Result<Self> {
        Error::check_len("weights", self.data.n_rows(), weights.len())?;
        check_rows("weights", &weights, not_negative)?;
        let data = MultinomialData { weights, ..Arc::unwrap_or_clone(self.data) };
        Ok(Self { data: Arc::new(data), point: PhantomData })
    }

    /// The same model over another container of points.
    pub fn over<P: Vector>(self) -> Multinomial<P> {
        Multinomial { data: self.data, point: PhantomData }
    }
}

impl<P> Multinomial<P> {
    /// The data.
    pub fn data(&self) -> &MultinomialData {
        &self.data
    }

    fn check(&self, x: &[f64]) -> Result<()> {
        Error::check_len("point", self.data.n_parameters(), x.len())
    }
}

impl<P: Vector> CostFunction for Multinomial<P> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> std::result::Result<f64, ArgminError> {
        self.check(x.as_slice())?;
        Ok(dot(&self.data.probabilities(x.as_slice()).1, &self.data.weights))
    }
}

impl<P: Vector> Gradient for Multinomial<P> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> std::result::Result<P, ArgminError> {
        self.check(x.as_slice())?;
        let d = &self.data;
        let scores = d.scores(&d.probabilities(x.as_slice()).0);
        let (n, p, mut g) = (d.n_rows(), d.n_columns, x.clone());
        let entry = |at: usize| -dot(d.column(at % p), &scores[at / p * n..(at / p + 1) * n]);
        g.as_mut_slice().iter_mut().enumerate().for_each(|(at, g)| *g = entry(at));
        Ok(g)
    }
}

impl<P: Vector> Hessian for Multinomial<P> {
    type Param = P;
    type Hessian = DenseMatrix;
    fn hessian(&self, x: &P) -> std::result::Result<DenseMatrix, ArgminError> {
        self.check(x.as_slice())?;
        let d = &self.data;
        Ok(DenseMatrix::new(d.n_parameters(), d.information(&d.probabilities(x.as_slice()).0))?)
    }
}

impl<P: Vector> HessianProduct for Multinomial<P> {
    fn hessian_product(&self, x: &P, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x.as_slice())?;
        Error::check_len("direction", self.data.n_parameters(), v.len())?;
        Error::check_len("product", self.data.n_parameters(), out.len())?;
        let d = &self.data;
        let (n, p, blocks) = (d.n_rows(), d.n_columns, d.n_classes - 1);
        let (probabilities, mut image) = (d.probabilities(x.as_slice()).0, d.predictors(v));
        for i in 0..n {
            let mean: f64 = (0..blocks).map(|k| probabilities[k * n + i] * image[k * n + i]).sum();
            (0..blocks).for_each(|k| image[k * n + i] = d.weights[i] * probabilities[k * n + i] * (image[k * n + i] - mean));
        }
        out.iter_mut().enumerate().for_each(|(at, o)| *o = dot(d.column(at % p), &image[at / p * n..(at / p + 1) * n]));
        Ok(())
    }
}

impl<P: Vector> FisherInformation for Multinomial<P> {
    fn fisher_information<'a>(&'a self, x: &'a P) -> Result<Operator<'a>> {
        self.check(x.as_slice())?;
        let d = &self.data;
        Ok(Box::new(DenseMatrix::new(d.n_parameters(), d.information(&d.probabilities(x.as_slice()).0))?))
    }
}
