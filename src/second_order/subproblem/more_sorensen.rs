//! Trust-region subproblem `min gᵀp + ½pᵀBp, ‖p‖ ≤ Δ`, solved to rounding, hard case included.
//!
//! `p` solves it exactly if and only if `(B + λI)p = −g`, `B + λI ⪰ 0`, `λ ≥ 0` and `λ(Δ − ‖p‖) = 0`.
//!
//! # Reference
//! Moré & Sorensen (1983), SIAM J. Sci. Stat. Comput. 4(3); Conn, Gould & Toint (2000), Trust-Region Methods, §7.3.

use super::scaled::Scaled;
use super::shifted::{Shifted, Wanted};
use super::spectral::Spectral;
use super::typical_sizes::TypicalSizes;
use super::{Model, Step, Subproblem, check_size, finished};
use crate::error::{Error, Result};
use crate::linalg::operator::{Form, SymmetricOperator};
use crate::second_order::Ball;

/// Largest dimension of the eigenvalue path by default (measured: beyond it a few factorizations are faster).
pub(super) const EIGEN_LIMIT: usize = 16;

/// The near-exact trust-region step.
///
/// A positive definite `B` whose Newton step fits is done after one Cholesky factorization. Otherwise a matrix of
/// dimension up to [`eigen_limit`](Self::eigen_limit) (or a diagonal one) is decomposed once, and each size costs the
/// root of a scalar equation; a larger one is factored as `B + λI` for a few `λ` per size.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MoreSorensen {
    /// Relative tolerance of the factorized path on `‖p‖ = Δ` and on the residual of the hard case. Default 1e-12.
    pub tolerance: f64,
    /// If given, a boundary step of the factorized path with `|‖p‖ − Δ| ≤ relaxed Δ` is accepted as it is. Default none.
    pub relaxed: Option<f64>,
    /// Largest dimension solved through an eigendecomposition. Default 16.
    pub eigen_limit: usize,
    /// Where the variables differ in size by more than a factor ten at the start, measure steps in their sizes:
    /// `‖D p‖ ≤ Δ` with `Dᵢ`, from 1 to 10⁸, the largest size of the start over 1.5 times the largest `|xᵢ|` so far.
    /// Default false: `D = I`.
    pub typical_sizes: bool,
    multiplier: f64,
    sizes: TypicalSizes,
    /// `D⁻¹g` and the entries of `D⁻¹BD⁻¹`.
    #[cfg_attr(feature = "serde", serde(skip))]
    gradient: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    entries: Vec<f64>,
    #[cfg_attr(feature = "serde", serde(skip))]
    by_eigenvalues: bool,
    #[cfg_attr(feature = "serde", serde(skip))]
    spectral: Spectral,
    #[cfg_attr(feature = "serde", serde(skip))]
    shifted: Shifted,
}

impl Default for MoreSorensen {
    fn default() -> Self {
        Self {
            tolerance: 1e-12,
            relaxed: None,
            eigen_limit: EIGEN_LIMIT,
            typical_sizes: false,
            multiplier: 0.0,
            sizes: TypicalSizes::default(),
            gradient: Vec::new(),
            entries: Vec::new(),
            by_eigenvalues: false,
            spectral: Spectral::default(),
            shifted: Shifted::default(),
        }
    }
}

impl MoreSorensen {
    /// With steps in units of the variables' typical sizes.
    pub fn in_typical_sizes() -> Self {
        Self { typical_sizes: true, ..Self::default() }
    }

    /// The multiplier `λ` of the last step; zero for an interior one.
    pub fn multiplier(&self) -> f64 {
        self.multiplier
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.tolerance > 0.0 && self.tolerance < 1.0, "tolerance", "in (0, 1)", self.tolerance)?;
        let relaxed = self.relaxed.unwrap_or(0.0);
        Error::check_option((0.0..1.0).contains(&relaxed), "relaxed", "in [0, 1)", relaxed)
    }
}

impl Subproblem for MoreSorensen {
    type Region = Ball;

    fn begin(&mut self) {
        self.multiplier = 0.0;
        self.sizes.forget();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        if !self.typical_sizes {
            return self.prepare_plain(model);
        }
        let mut sizes = std::mem::take(&mut self.sizes);
        let prepared = match sizes.update(model.x) {
            Some(scale) => self.prepare_scaled(model, scale),
            None => self.prepare_plain(model),
        };
        self.sizes = sizes;
        prepared
    }

    fn step(&mut self, _: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let radius = check_size(size)?;
        let solution = if self.by_eigenvalues {
            self.spectral.ball(radius, p)?
        } else {
            let tolerance = self.tolerance;
            self.shifted.solve(Wanted::Ball { radius, relaxed: self.relaxed.unwrap_or(0.0) }, tolerance, self.multiplier, p)?
        };
        self.multiplier = solution.multiplier;
        if let Some(scale) = self.sizes.scale() {
            p.iter_mut().zip(scale).for_each(|(p, d)| *p /= d);
        }
        finished(solution.step, p)
    }

    fn factorizations(&self) -> u64 {
        if self.by_eigenvalues { self.spectral.factorizations() } else { self.shifted.factorizations() }
    }

    fn scaled_norm(&self, x: &[f64]) -> Option<f64> {
        self.sizes.length(x)
    }
}

impl MoreSorensen {
    fn prepare_plain(&mut self, model: &Model<'_>) -> Result<()> {
        self.by_eigenvalues = decomposes(model.curvature, self.eigen_limit);
        if self.by_eigenvalues {
            self.spectral.prepare(model)?;
            self.spectral.try_newton();
            return Ok(());
        }
        self.shifted.prepare(model)
    }

    /// The same in the variables `D p`.
    fn prepare_scaled(&mut self, model: &Model<'_>, scale: &[f64]) -> Result<()> {
        let (mut gradient, mut entries) = (std::mem::take(&mut self.gradient), std::mem::take(&mut self.entries));
        gradient.clear();
        gradient.extend(model.gradient.iter().zip(scale).map(|(g, d)| g / d));
        let prepared = Scaled::stored(model.curvature, scale, &mut entries)
            .and_then(|curvature| self.prepare_plain(&Model { gradient: &gradient, curvature: &curvature, ..*model }));
        (self.gradient, self.entries) = (gradient, entries);
        prepared
    }
}

/// Whether the eigenvalue path is taken.
pub(super) fn decomposes(operator: &dyn SymmetricOperator, limit: usize) -> bool {
    operator.dim() <= limit || matches!(operator.form(), Form::Diagonal(_) | Form::ScaledIdentity(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{DenseMatrix, Diagonal, ScaledIdentity};
    use crate::linalg::vector::norm;

    /// An indefinite matrix of entries far apart.
    fn entries(n: usize) -> Vec<f64> {
        let entry = |i: usize, j: usize| {
            let (i, j) = (i.min(j), i.max(j));
            if i == j { 3.0 * (i as f64 - 2.5) } else { ((7 * i + 3 * j) % 11) as f64 / 5.0 - 1.0 }
        };
        (0..n * n).map(|k| entry(k % n, k / n)).collect()
    }

    #[test]
    fn steps_in_typical_sizes_are_those_of_the_scaled_model() {
        for n in [5, 40] {
            let x: Vec<f64> = (0..n).map(|i| 1e3 / 10f64.powi(i as i32 % 4)).collect();
            let d: Vec<f64> = x.iter().map(|x| (1e3 / (1.5 * x)).max(1.0)).collect();
            let gradient: Vec<f64> = (0..n).map(|i| (i as f64 + 0.5).sin()).collect();
            let dense = DenseMatrix::new(n, entries(n)).unwrap();
            let scaled: Vec<f64> = entries(n).iter().enumerate().map(|(k, v)| v / d[k % n] / d[k / n]).collect();
            let sparse = sparse(&entries(n), n);
            let diagonal: Vec<f64> = (0..n).map(|i| i as f64 - 1.5).collect();
            let diagonal_scaled = diagonal.iter().zip(&d).map(|(v, d)| v / d / d).collect();
            let identity_scaled = d.iter().map(|d| 2.0 / d / d).collect();
            let cases: [(&dyn SymmetricOperator, Box<dyn SymmetricOperator>); 4] = [
                (&dense, Box::new(DenseMatrix::new(n, scaled.clone()).unwrap())),
                (&sparse, Box::new(DenseMatrix::new(n, scaled).unwrap())),
                (&Diagonal(diagonal), Box::new(Diagonal(diagonal_scaled))),
                (&ScaledIdentity { n, c: 2.0 }, Box::new(Diagonal(identity_scaled))),
            ];
            for (curvature, reference) in &cases {
                let model = Model { value: 0.0, x: &x, gradient: &gradient, curvature: *curvature };
                let g: Vec<f64> = gradient.iter().zip(&d).map(|(g, d)| g / d).collect();
                let plain_model = Model { value: 0.0, x: &x, gradient: &g, curvature: &**reference };
                let (mut solver, mut plain) = (MoreSorensen::in_typical_sizes(), MoreSorensen::default());
                solver.prepare(&model).unwrap();
                plain.prepare(&plain_model).unwrap();
                let (mut p, mut y) = (vec![0.0; n], vec![0.0; n]);
                for radius in [1e-3, 1.0, 50.0] {
                    let step = solver.step(&model, radius, &mut p).unwrap();
                    let expected = plain.step(&plain_model, radius, &mut y).unwrap();
                    let error = p.iter().zip(&d).zip(&y).map(|((p, d), y)| (p * d - y).abs()).fold(0.0, f64::max);
                    assert!(error <= 1e-11 * norm(&y), "{n} {radius}: {error}");
                    assert!((step.predicted - expected.predicted).abs() <= 1e-11 * expected.predicted);
                    assert!((step.length - solver.scaled_norm(&p).unwrap()).abs() <= 1e-13 * step.length);
                }
            }
        }
    }

    #[test]
    fn matrix_of_another_dimension_is_a_typed_error() {
        let wrong = DenseMatrix::new(3, vec![1.0; 9]).unwrap();
        let model = Model { value: 0.0, x: &[1.0, 1e3], gradient: &[1.0, 1.0], curvature: &wrong };
        for mut solver in [MoreSorensen::in_typical_sizes(), MoreSorensen::default()] {
            let error = solver.prepare(&model).unwrap_err();
            assert!(matches!(error, Error::Dimension { expected: 2, found: 3, .. }), "{error}");
        }
    }

    fn sparse(entries: &[f64], n: usize) -> sprs::CsMat<f64> {
        let mut triplets = sprs::TriMat::new((n, n));
        entries.iter().enumerate().filter(|(_, v)| **v != 0.0).for_each(|(k, v)| triplets.add_triplet(k % n, k / n, *v));
        triplets.to_csc()
    }
}
