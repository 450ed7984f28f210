//! Generalized linear models: `g(μᵢ) = ηᵢ = xᵢᵀβ + oᵢ`, `Var yᵢ = φ V(μᵢ)/wᵢ`.
//!
//! The cost is half the deviance,
//!
//! ```text
//! f(β) = ½ D(β) = Σ wᵢ ½ d(yᵢ, μᵢ) = φ (ℓ_saturated − ℓ(β)),
//! ```
//!
//! the negative log-likelihood times the dispersion, less that of a model that fits every observation. With
//! `sᵢ = wᵢ (yᵢ − μᵢ) μᵢ'/V(μᵢ)`
//!
//! - gradient: `−Xᵀ s`;
//! - expected information: `Xᵀ W X`, `Wᵢ = wᵢ μᵢ'²/V(μᵢ)`, handed on by its factor `√W X` ([`FisherInformation`]);
//! - observed information: `Xᵀ (W − diag(∂s/∂η + W)) X`, the exact Hessian; the same under the canonical link.
//!
//! # Reference
//! Nelder & Wedderburn (1972), JRSS A 135; McCullagh & Nelder (1989), *Generalized Linear Models*, §2.5.

mod family;
mod link;
mod multinomial;
pub mod normal;
mod start;

pub use family::{Family, Term};
pub use link::{Link, Mean};
pub use multinomial::{Multinomial, MultinomialData};

use super::{FisherInformation, HessianProduct};
use crate::error::{Error, Result};
use crate::linalg::operator::{DenseMatrix, Form, Gram};
use crate::linalg::vector::{axpy, dot};
use crate::linalg::{Operator, SymmetricOperator, Vector};
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// A generalized linear model with its data: half its deviance as an argmin problem over points of type `P`.
///
/// # Example
/// ```
/// use argmin::core::{CostFunction, Gradient};
/// use curvkit::problem::{Family, Glm, Link};
///
/// // Counts 1, 2, 6 at x = 0, 1, 2 with columns (1, x): ln μ = β₀ + β₁ x.
/// let design = vec![1.0, 1.0, 1.0, 0.0, 1.0, 2.0];
/// let model = Glm::new(Family::Poisson, Link::Log, 2, design, vec![1.0, 2.0, 6.0])?;
/// let beta = vec![0.0, 2f64.ln()]; // μ = 1, 2, 4
/// assert!((model.cost(&beta)? - (6.0 * 1.5f64.ln() - 2.0)).abs() < 1e-14);
/// assert!((model.gradient(&beta)?[1] + 4.0).abs() < 1e-14); // −Σ x (y − μ)
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct Glm<P = Vec<f64>> {
    data: Arc<GlmData>,
    /// The last point; locked to look up or replace, never while terms are computed.
    kept: Mutex<Option<Arc<GlmPass>>>,
    point: PhantomData<fn() -> P>,
}

impl<P> Clone for Glm<P> {
    fn clone(&self) -> Self {
        Self { data: self.data.clone(), kept: Mutex::default(), point: PhantomData }
    }
}

/// The data of a [`Glm`].
#[derive(Debug, Clone, PartialEq)]
pub struct GlmData {
    /// Distribution of the response.
    pub family: Family,
    /// `g`.
    pub link: Link,
    /// Columns of the design.
    pub n_columns: usize,
    /// `X`, `n × p`, column-major.
    pub design: Vec<f64>,
    /// `y`, `n` values.
    pub response: Vec<f64>,
    /// `o`, `n` values.
    pub offset: Vec<f64>,
    /// Prior weights `w`: inverse variances up to the dispersion; for proportions the numbers of trials.
    pub weights: Vec<f64>,
    /// How often each row was observed.
    pub frequencies: Vec<f64>,
}

impl GlmData {
    /// Number of rows `n`.
    pub fn n_rows(&self) -> usize {
        self.response.len()
    }

    /// Column `j` of the design.
    pub fn column(&self, j: usize) -> &[f64] {
        let n = self.n_rows();
        &self.design[j * n..(j + 1) * n]
    }

    /// Prior weight times frequency: what a row counts in the deviance.
    pub fn total_weight(&self, i: usize) -> f64 {
        self.weights[i] * self.frequencies[i]
    }

    /// `η = Xβ + o`.
    pub fn predictor(&self, beta: &[f64]) -> Vec<f64> {
        let mut eta = self.offset.clone();
        beta.iter().enumerate().for_each(|(j, b)| axpy(*b, self.column(j), &mut eta));
        eta
    }

    /// The term of row `i` at `η`, of unit weight; zero for a row without weight.
    pub fn term(&self, i: usize, eta: f64) -> Term {
        if self.total_weight(i) == 0.0 {
            return Term { half_deviance: 0.0, score: 0.0, expected: 0.0, observed: 0.0 };
        }
        self.family.term(self.response[i], &self.link.mean(eta))
    }
}

impl Glm {
    /// A model over `n_columns` columns of the column-major `design`, without offset, with weights 1; over points
    /// `Vec<f64>`, see [`over`](Self::over) for others.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a design of another shape; [`Error::NonFinite`] for one with NaN or infinity;
    /// [`Error::Observation`] with the row of a response outside of the family's range; [`Error::Config`] for parameters
    /// of family or link.
    pub fn new(family: Family, link: Link, n_columns: usize, design: Vec<f64>, response: Vec<f64>) -> Result<Self> {
        family.validate()?;
        link.validate()?;
        let n = response.len();
        Error::check_len("design", n * n_columns, design.len())?;
        Error::check_finite("design", &design)?;
        check_rows("response", &response, |y| family.range(y))?;
        let (offset, weights, frequencies) = (vec![0.0; n], vec![1.0; n], vec![1.0; n]);
        let data = GlmData { family, link, n_columns, design, response, offset, weights, frequencies };
        Ok(Self::of(data))
    }

    /// With a known part `o` of the predictor.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::Observation`] with the row of an offset that is not finite.
    pub fn with_offset(self, offset: Vec<f64>) -> Result<Self> {
        self.with("offset", offset, |o| ("finite", o.is_finite()), |data, values| data.offset = values)
    }

    /// With prior weights: inverse variances up to the dispersion, numbers of trials of proportions. A row of weight zero
    /// takes no part.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::Observation`] with the row of a weight that is negative or not finite.
    pub fn with_weights(self, weights: Vec<f64>) -> Result<Self> {
        self.with("weights", weights, not_negative, |data, values| data.weights = values)
    }

    /// With frequencies: a row of frequency 3 counts as three rows, also among the degrees of freedom.
    ///
    /// # Errors
    /// [`Error::Dimension`]; [`Error::Observation`] with the row of a frequency that is negative or not finite.
    pub fn with_frequencies(self, frequencies: Vec<f64>) -> Result<Self> {
        self.with("frequencies", frequencies, not_negative, |data, values| data.frequencies = values)
    }

    fn with(
        self,
        what: &'static str,
        values: Vec<f64>,
        rule: impl Fn(f64) -> (&'static str, bool),
        put: impl Fn(&mut GlmData, Vec<f64>),
    ) -> Result<Self> {
        Error::check_len(what, self.data.n_rows(), values.len())?;
        check_rows(what, &values, rule)?;
        let mut data = Arc::unwrap_or_clone(self.data);
        put(&mut data, values);
        Ok(Self::of(data))
    }

    /// The same model over another container of points, for example `nalgebra::DVector<f64>`.
    pub fn over<P: Vector>(self) -> Glm<P> {
        Glm { data: self.data, kept: self.kept, point: PhantomData }
    }

    /// The same data with another design.
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NonFinite`].
    pub fn with_design(&self, n_columns: usize, design: Vec<f64>) -> Result<Self> {
        Error::check_len("design", self.data.n_rows() * n_columns, design.len())?;
        Error::check_finite("design", &design)?;
        Ok(Self::of(GlmData { n_columns, design, ..(*self.data).clone() }))
    }

    fn of(data: GlmData) -> Self {
        Self { data: Arc::new(data), kept: Mutex::default(), point: PhantomData }
    }
}

fn not_negative(value: f64) -> (&'static str, bool) {
    ("finite and not negative", value >= 0.0 && value.is_finite())
}

fn check_rows(what: &'static str, values: &[f64], rule: impl Fn(f64) -> (&'static str, bool)) -> Result<()> {
    match values.iter().position(|v| !rule(*v).1) {
        None => Ok(()),
        Some(row) => Err(Error::Observation { what, row, requirement: rule(values[row]).0, value: values[row] }),
    }
}

impl<P> Glm<P> {
    /// The data.
    pub fn data(&self) -> &GlmData {
        &self.data
    }

    /// Everything at `x`; the last point is kept.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a point of another length.
    pub fn pass(&self, x: &[f64]) -> Result<Arc<GlmPass>> {
        Error::check_len("point", self.data.n_columns, x.len())?;
        let same = |pass: &&Arc<GlmPass>| pass.x.iter().map(|v| v.to_bits()).eq(x.iter().map(|v| v.to_bits()));
        let lock = || self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(pass) = lock().as_ref().filter(same) {
            return Ok(pass.clone());
        }
        let pass = Arc::new(GlmPass::new(&self.data, x));
        *lock() = Some(pass.clone());
        Ok(pass)
    }
}

/// A model at one point: linear predictor, cost, and what gradient and information are made of.
#[derive(Debug, Clone)]
pub struct GlmPass {
    x: Vec<f64>,
    /// `η`.
    pub predictor: Vec<f64>,
    /// Half the deviance; infinite where a mean leaves the family's range.
    pub cost: f64,
    /// `s`: minus the derivative of the cost by each `η`, weighted.
    pub scores: Vec<f64>,
    /// Expected second derivatives, weighted: `W`.
    pub expected: Vec<f64>,
    /// Observed second derivatives, weighted.
    pub observed: Vec<f64>,
}

impl GlmPass {
    fn new(data: &GlmData, x: &[f64]) -> Self {
        let (n, predictor) = (data.n_rows(), data.predictor(x));
        let mut pass = Self {
            x: x.to_vec(),
            predictor,
            cost: 0.0,
            scores: Vec::with_capacity(n),
            expected: Vec::with_capacity(n),
            observed: Vec::with_capacity(n),
        };
        for i in 0..n {
            let (term, w) = (data.term(i, pass.predictor[i]), data.total_weight(i));
            pass.cost += w * term.half_deviance;
            pass.scores.push(w * term.score);
            pass.expected.push(w * term.expected);
            pass.observed.push(w * term.observed);
        }
        if pass.cost.is_nan() {
            pass.cost = f64::INFINITY;
        }
        pass
    }

    /// `√W X` and the residuals `−s/√W`, whose product is the gradient.
    fn factor(&self, data: &GlmData) -> (Vec<f64>, Vec<f64>) {
        let roots: Vec<f64> = self.expected.iter().map(|w| w.sqrt()).collect();
        let jacobian = data.design.chunks(data.n_rows().max(1)).flat_map(|c| c.iter().zip(&roots).map(|(x, r)| x * r)).collect();
        let residual = self.scores.iter().zip(&roots).map(|(s, r)| if *r > 0.0 { -s / r } else { 0.0 }).collect();
        (jacobian, residual)
    }
}

/// `out ← Xᵀ diag(w) X`, both triangles.
pub(crate) fn weighted_gram(data: &GlmData, weights: &[f64], out: &mut [f64]) {
    let p = data.n_columns;
    let mut weighted = vec![0.0; data.n_rows()];
    for j in 0..p {
        weighted.iter_mut().zip(data.column(j)).zip(weights).for_each(|((o, x), w)| *o = x * w);
        for i in 0..=j {
            let v = dot(data.column(i), &weighted);
            (out[j * p + i], out[i * p + j]) = (v, v);
        }
    }
}

impl<P: Vector> CostFunction for Glm<P> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> std::result::Result<f64, ArgminError> {
        Ok(self.pass(x.as_slice())?.cost)
    }
}

impl<P: Vector> Gradient for Glm<P> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> std::result::Result<P, ArgminError> {
        let pass = self.pass(x.as_slice())?;
        let mut g = x.clone();
        g.as_mut_slice().iter_mut().enumerate().for_each(|(j, g)| *g = -dot(self.data.column(j), &pass.scores));
        Ok(g)
    }
}

impl<P: Vector> Hessian for Glm<P> {
    type Param = P;
    type Hessian = DenseMatrix;
    fn hessian(&self, x: &P) -> std::result::Result<DenseMatrix, ArgminError> {
        let n = self.data.n_columns;
        let mut h = vec![0.0; n * n];
        weighted_gram(&self.data, &self.pass(x.as_slice())?.observed, &mut h);
        Ok(DenseMatrix::new(n, h)?)
    }
}

impl<P: Vector> HessianProduct for Glm<P> {
    fn hessian_product(&self, x: &P, v: &[f64], out: &mut [f64]) -> Result<()> {
        let pass = self.pass(x.as_slice())?;
        Error::check_len("direction", self.data.n_columns, v.len())?;
        Error::check_len("product", self.data.n_columns, out.len())?;
        let mut image = vec![0.0; self.data.n_rows()];
        v.iter().enumerate().for_each(|(j, v)| axpy(*v, self.data.column(j), &mut image));
        image.iter_mut().zip(&pass.observed).for_each(|(i, w)| *i *= w);
        out.iter_mut().enumerate().for_each(|(j, o)| *o = dot(self.data.column(j), &image));
        Ok(())
    }
}

/// `Xᵀ W X` by its factor.
struct WeightedDesign {
    n: usize,
    jacobian: Vec<f64>,
    residual: Vec<f64>,
}

impl WeightedDesign {
    fn gram(&self) -> Gram<'_> {
        Gram { n: self.n, jacobian: &self.jacobian, residual: &self.residual }
    }
}

impl SymmetricOperator for WeightedDesign {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.gram().apply(v, out)
    }
    fn form(&self) -> Form<'_> {
        Form::Gram(self.gram())
    }
}

impl<P: Vector> FisherInformation for Glm<P> {
    fn fisher_information<'a>(&'a self, x: &'a P) -> Result<Operator<'a>> {
        let (jacobian, residual) = self.pass(x.as_slice())?.factor(&self.data);
        Ok(Box::new(WeightedDesign { n: self.data.n_columns, jacobian, residual }))
    }
}
