//! The curvature of a model on data: extreme eigenvalues, densities, condition numbers with and without preconditioners,
//! and how far each approximation is from the exact matrices.
//!
//! [`Learning`] makes the problem, [`CurvatureStudy`] looks at it, [`report::write_spectrum`](super::report::write_spectrum)
//! makes a page of what it saw.

mod approximations;
mod learning;
mod samples;

use crate::counts::Counts;
use crate::curvature::{Blocks, Curvature, Dense, Diagonal, Ekfac, Explicit, GaussNewton, HessianProducts, Kfac};
use crate::error::{Error, Result};
use crate::linalg::operator::{ClosedForm, Combination, ScaledIdentity};
use crate::linalg::vector::norm_inf;
use crate::linalg::{Operator, SymmetricOperator};
use crate::model::Block;
use crate::problem::{At, Supervised};
use crate::spectrum::{
    Axis, ConditionNumber, Density, Estimate, Extremes, Lanczos, Quadrature, SpectralMeasure, frobenius_norm, xtrace,
};

pub use approximations::Approximation;
pub use learning::{Learning, LossKind, ModelKind, activation};
pub use samples::Samples;

/// What is looked at, and how closely.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct CurvatureStudy {
    /// Damping of condition numbers and steps, relative to the largest eigenvalue of the Gauss–Newton matrix; 1e-3 by
    /// default.
    pub damping: f64,
    /// Steps and probes of the densities; all unit vectors are probes up to a dimension of 100.
    pub quadrature: Quadrature,
    /// Products allowed for the eigenvalues of one matrix; 2000 by default.
    pub max_products: usize,
    /// Dimension up to which norms are computed with unit vectors, and the whole matrices are kept for pictures; 1500 by
    /// default. Beyond it norms are estimated from 100 probes.
    pub exact_up_to: usize,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for CurvatureStudy {
    fn default() -> Self {
        let quadrature = Quadrature { steps: 100, probes: 10, seed: 0 };
        Self { damping: 1e-3, quadrature, max_products: 2000, exact_up_to: 1500, seed: 0 }
    }
}

/// Dimension up to which densities take all unit vectors.
const ALL_PROBES: usize = 100;
/// Probes of norms beyond the exact dimension.
const NORM_PROBES: usize = 100;

/// One exact matrix.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct MatrixSummary {
    /// `hessian` or `gauss_newton`.
    pub name: &'static str,
    /// Five eigenvalues at each end, as far as there are that many.
    pub extremes: Extremes,
    /// Its trace.
    pub trace: Estimate,
    /// Its Frobenius norm.
    pub norm: Estimate,
    /// Share of the eigenvalues below `−10⁻⁸` times the largest modulus.
    pub negative_share: f64,
    /// `(B + δI)`: condition number, where that is positive definite.
    pub damped_condition: Option<ConditionNumber>,
    /// Density of the eigenvalues.
    pub density: Density,
    /// Density of `log₁₀|λ|`, positive ones and negative ones, each of integral equal to its share.
    pub log_density: [Density; 2],
}

/// Condition number of `(P + δI)⁻¹(G + δI)`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Conditioning {
    /// `P`.
    pub preconditioner: &'static str,
    /// The condition number; `None` if none was found.
    pub condition: Option<ConditionNumber>,
    /// Smallest and largest eigenvalue.
    pub range: (f64, f64),
    /// Whether both met the tolerance.
    pub converged: bool,
    /// Products with `G`.
    pub products: u64,
}

/// Whole matrices of a small model, column-major, for pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Pictures {
    /// The parameters' parts.
    pub layout: Vec<Block>,
    /// The exact Gauss–Newton matrix, which is the Fisher matrix of the losses here.
    pub exact: Vec<f64>,
    /// K-FAC.
    pub kfac: Vec<f64>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Findings {
    /// Parameters.
    pub n_params: usize,
    /// Samples.
    pub n_samples: usize,
    /// The loss with its regulariser.
    pub cost: f64,
    /// `‖∇L‖∞`.
    pub gradient_norm: f64,
    /// `δ`.
    pub damping: f64,
    /// Hessian and Gauss–Newton matrix.
    pub matrices: Vec<MatrixSummary>,
    /// First without preconditioner, then with each.
    pub conditioning: Vec<Conditioning>,
    /// Each approximation against the exact matrices.
    pub approximations: Vec<Approximation>,
    /// For small models.
    #[serde(skip)]
    pub pictures: Option<Pictures>,
}

impl CurvatureStudy {
    /// Looks at the curvature of a problem at `theta`.
    ///
    /// # Errors
    /// [`Error::Config`] for a damping that is not positive or other options out of range, [`Error::NonFinite`] for a point
    /// where the loss or a product is not finite.
    pub fn run(&self, problem: &Supervised, theta: &Vec<f64>) -> Result<Findings> {
        Error::check_option(self.damping > 0.0 && self.damping.is_finite(), "damping", "positive", self.damping)?;
        let counts = Counts::default();
        let at = At { problem, x: theta, rows: None, counts: &counts };
        let cost = at.cost()?;
        Error::check_finite("loss", &[cost])?;
        let gradient = at.gradient()?;
        Error::check_finite("gradient", &gradient)?;
        let (mut hessian, mut gauss_newton) = (HessianProducts, GaussNewton);
        let (hessian, gauss_newton) = (hessian.at(at)?, gauss_newton.at(at)?);
        let top = Lanczos { lowest: 0, ..self.lanczos() }.extremes(&*gauss_newton)?.highest[0].value;
        let damping = self.damping * if top > 0.0 { top } else { 1.0 };
        let matrices = vec![self.summary("hessian", &*hessian, damping)?, self.summary("gauss_newton", &*gauss_newton, damping)?];
        let conditioning = self.conditioning(at, &*gauss_newton, damping)?;
        let exact = approximations::Exact { hessian, gauss_newton, gradient: &gradient, damping };
        let approximations = exact.compare_all(at, self)?;
        Ok(Findings {
            n_params: theta.len(),
            n_samples: problem.evaluate(theta)?.n(),
            cost,
            gradient_norm: norm_inf(&gradient),
            damping,
            matrices,
            conditioning,
            approximations,
            pictures: self.pictures(problem, theta)?,
        })
    }

    fn lanczos(&self) -> Lanczos {
        // Eigenvalues crowd at zero: only a large basis tells the smallest ones apart.
        Lanczos { max_products: self.max_products, seed: self.seed, basis: 300, tolerance: 1e-9, ..Lanczos::default() }
    }

    /// Products for a norm: all unit vectors, or probes.
    fn norm_products(&self, n: usize) -> usize {
        if n <= self.exact_up_to { n.max(2) } else { NORM_PROBES }
    }

    fn summary(&self, name: &'static str, matrix: &dyn SymmetricOperator, damping: f64) -> Result<MatrixSummary> {
        let n = matrix.dim();
        let extremes = Lanczos { lowest: 5, highest: 5, ..self.lanczos() }.extremes(matrix)?;
        let damped = self.lanczos().extremes(&damped(matrix, damping)?)?;
        let probes = if n <= ALL_PROBES { n } else { self.quadrature.probes };
        let measure = Quadrature { probes, seed: self.seed, ..self.quadrature }.measure(matrix)?;
        let (low, high) = measure.range();
        let floor = 1e-8 * low.abs().max(high.abs()).max(f64::MIN_POSITIVE * 1e10);
        let products = self.norm_products(n);
        Ok(MatrixSummary {
            name,
            extremes,
            trace: xtrace(matrix, products.max(4), self.seed)?,
            norm: frobenius_norm(matrix, products, self.seed)?,
            negative_share: measure.share_below(-floor),
            damped_condition: damped.condition_number(),
            density: measure.density(Axis::Linear, None)?,
            log_density: log_densities(&measure, floor)?,
        })
    }

    fn conditioning(&self, at: At<'_, Supervised>, matrix: &dyn SymmetricOperator, damping: f64) -> Result<Vec<Conditioning>> {
        let damped = damped(matrix, damping)?;
        let row = |preconditioner, found: Extremes| Conditioning {
            preconditioner,
            condition: found.condition_number(),
            range: (found.lowest[0].value, found.highest[0].value),
            converged: found.converged,
            products: found.products,
        };
        let mut rows = vec![row("none", self.lanczos().extremes(&damped)?)];
        let (mut diagonal, mut blocks) = (Diagonal(GaussNewton), Blocks(GaussNewton));
        let (mut kfac, mut ekfac) = (Kfac::<GaussNewton>::default(), Ekfac::<GaussNewton>::default());
        let preconditioners: [(&'static str, Operator<'_>); 4] =
            [("diagonal", diagonal.at(at)?), ("kfac", kfac.at(at)?), ("ekfac", ekfac.at(at)?), ("blocks", blocks.at(at)?)];
        for (name, operator) in &preconditioners {
            if let Some(inverse) = operator.inverse(damping) {
                rows.push(row(name, self.lanczos().pencil(&damped, &*inverse?)?));
            }
        }
        Ok(rows)
    }

    fn pictures(&self, problem: &Supervised, theta: &[f64]) -> Result<Option<Pictures>> {
        let (n, here) = (theta.len(), problem.evaluate(theta)?);
        if n > self.exact_up_to {
            return Ok(None);
        }
        let entries = |matrix: Box<dyn ClosedForm>| {
            let mut out = vec![0.0; n * n];
            matrix.write_entries(&mut out).map(|()| out)
        };
        let exact = entries(Dense(GaussNewton).matrix(&here)?)?;
        let kfac = entries(Kfac::<GaussNewton>::default().matrix(&here)?)?;
        Ok(Some(Pictures { layout: here.layout().to_vec(), exact, kfac }))
    }
}

/// `B + δI`.
fn damped<'a>(matrix: &'a dyn SymmetricOperator, damping: f64) -> Result<Combination<'a>> {
    let identity = ScaledIdentity { n: matrix.dim(), c: 1.0 };
    Combination::new(vec![(1.0, Box::new(matrix)), (damping, Box::new(identity))])
}

/// Densities of the logarithms of positive and of negative eigenvalues.
fn log_densities(measure: &SpectralMeasure, floor: f64) -> Result<[Density; 2]> {
    let all = measure.density(Axis::Logarithmic { floor }, None)?;
    // A common width and grid, so that the two add up to the density of all.
    let part = |sign: f64| {
        measure.density_of(Axis::Logarithmic { floor }, Some(all.width), |x| if sign > 0.0 { x >= 0.0 } else { x < 0.0 })
    };
    Ok([part(1.0)?, part(-1.0)?])
}
