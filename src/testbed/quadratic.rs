//! Quadratics with a prescribed spectrum: `f(x) = ½ (x − x*)ᵀ A (x − x*)`, `A = Q diag(d) Qᵀ`.
//!
//! Aligned, `Q = I`; rotated, `Q = H₁H₂H₃` with Householder reflections `Hₖ = I − 2uₖuₖᵀ` along seeded random directions,
//! so that a product costs `O(n)` and no entry of `A` is special. The three reflections are applied at once: `Qᵀz` is
//! `z − Σ cₖuₖ` with coefficients that follow from `uₖᵀz` and the `uₖᵀuₗ`.

use super::local::{fill, sum};
use super::{Entry, TestProblem, check_dim};
use crate::error::{Error, Result};
use crate::linalg::operator::{DenseMatrix, Pattern, SparseMatrix};
use crate::linalg::vector::{dot, norm, scale};
use crate::problem::{Function, HessianMatrix};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::sync::{Arc, OnceLock};

/// The family's table. All have `κ = 10⁴` and seed 0; others are made by [`quadratic`].
pub const TABLE: &[Entry] = &[
    Entry {
        family: "quadratic_geometric_aligned",
        instances: &[("quadratic_geometric_aligned_100", 100)],
        build: |n| quadratic(n, &Spectrum { kappa: 1e4, spacing: Spacing::Geometric }, false, 0),
    },
    Entry {
        family: "quadratic_geometric_rotated",
        instances: &[("quadratic_geometric_rotated_100", 100)],
        build: |n| quadratic(n, &Spectrum { kappa: 1e4, spacing: Spacing::Geometric }, true, 0),
    },
    Entry {
        family: "quadratic_uniform_rotated",
        instances: &[("quadratic_uniform_rotated_100", 100)],
        build: |n| quadratic(n, &Spectrum { kappa: 1e4, spacing: Spacing::Uniform }, true, 0),
    },
    Entry {
        family: "quadratic_clusters_rotated",
        instances: &[("quadratic_clusters_rotated_100", 100)],
        build: |n| quadratic(n, &Spectrum { kappa: 1e4, spacing: Spacing::Clusters(5) }, true, 0),
    },
];

/// Largest dimension at which a rotated quadratic forms its dense matrix (200 MB); products have no limit.
pub const DENSE_LIMIT: usize = 5000;

const REFLECTIONS: usize = 3;

/// How eigenvalues lie between 1 and `κ`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Spacing {
    /// Equal ratios.
    Geometric,
    /// Equal differences.
    Uniform,
    /// This many distinct eigenvalues at equal ratios, each repeated: conjugate gradients ends in as many steps.
    Clusters(usize),
}

/// A spectrum from 1 to `κ`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Spectrum {
    /// Condition number `κ ≥ 1`.
    pub kappa: f64,
    /// Spacing of the eigenvalues.
    pub spacing: Spacing,
}

impl Spectrum {
    /// The `n` eigenvalues in ascending order, the first 1 and (from `n = 2` on) the last `κ`, exactly.
    ///
    /// # Errors
    /// [`Error::Config`] unless `κ ≥ 1` is finite and, for clusters, at least 2 and at most `n` are asked for.
    pub fn eigenvalues(&self, n: usize) -> Result<Vec<f64>> {
        Error::check_option(self.kappa >= 1.0 && self.kappa.is_finite(), "kappa", "finite and at least 1", self.kappa)?;
        let at = |k: usize, count: usize| k as f64 / (count.max(2) - 1) as f64;
        let geometric = |t: f64| if t == 1.0 { self.kappa } else { self.kappa.powf(t) };
        Ok(match self.spacing {
            Spacing::Geometric => (0..n).map(|k| geometric(at(k, n))).collect(),
            Spacing::Uniform => (0..n).map(|k| (1.0 - at(k, n)) + at(k, n) * self.kappa).collect(),
            Spacing::Clusters(count) => {
                Error::check_option((2..=n).contains(&count), "clusters", "from 2 to n", count)?;
                (0..n).map(|k| geometric(at(k * count / n, count))).collect()
            }
        })
    }
}

/// `f(x) = ½ (x − x*)ᵀ A (x − x*)` with given eigenvalues, of either sign.
pub struct Quadratic {
    eigenvalues: Vec<f64>,
    minimizer: Vec<f64>,
    rotation: Option<Rotation>,
    pattern: OnceLock<Arc<Pattern>>,
    dense: OnceLock<DenseMatrix>,
}

impl Quadratic {
    /// From the eigenvalues; `x*` and the reflections are drawn from the seed, normally distributed.
    pub fn new(eigenvalues: Vec<f64>, rotated: bool, seed: u64) -> Self {
        let n = eigenvalues.len();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> Vec<f64> { (0..n).map(|_| StandardNormal.sample(&mut rng)).collect() };
        let minimizer = normal();
        let rotation = rotated.then(|| Rotation::new(std::array::from_fn(|_| normal())));
        Self { eigenvalues, minimizer, rotation, pattern: OnceLock::new(), dense: OnceLock::new() }
    }

    /// The eigenvalues of `A`; aligned, also its diagonal.
    pub fn eigenvalues(&self) -> &[f64] {
        &self.eigenvalues
    }

    /// The stationary point `x*`.
    pub fn stationary_point(&self) -> &[f64] {
        &self.minimizer
    }

    /// `κ`: the largest absolute eigenvalue over the smallest.
    pub fn condition_number(&self) -> f64 {
        let (low, high) =
            self.eigenvalues.iter().fold((f64::INFINITY, 0.0f64), |(low, high), d| (low.min(d.abs()), high.max(d.abs())));
        high / low
    }

    /// `out ← A out`.
    fn multiply(&self, out: &mut [f64]) {
        if let Some(q) = &self.rotation {
            q.reflect(out, true);
        }
        fill(out, 1, &|first, out| out.iter_mut().zip(&self.eigenvalues[first..]).for_each(|(o, d)| *o *= d));
        if let Some(q) = &self.rotation {
            q.reflect(out, false);
        }
    }

    fn dense(&self) -> Result<DenseMatrix> {
        let n = self.dim();
        if let Some(matrix) = self.dense.get() {
            return Ok(matrix.clone());
        }
        if n > DENSE_LIMIT {
            let requirement = "at most 5000 variables; use its product";
            return Err(Error::Unsupported { what: "the dense matrix of a rotated quadratic", requirement });
        }
        let mut entries = vec![0.0; n * n];
        for (j, column) in entries.chunks_exact_mut(n).enumerate() {
            column[j] = 1.0;
            self.multiply(column);
        }
        // Products are symmetric only to rounding.
        for j in 0..n {
            for i in 0..j {
                let mean = 0.5 * (entries[i + j * n] + entries[j + i * n]);
                (entries[i + j * n], entries[j + i * n]) = (mean, mean);
            }
        }
        let matrix = DenseMatrix::new(n, entries)?;
        Ok(self.dense.get_or_init(|| matrix).clone())
    }
}

impl Function for Quadratic {
    fn dim(&self) -> usize {
        self.eigenvalues.len()
    }

    fn cost(&self, x: &[f64]) -> Result<f64> {
        Error::check_len("point", self.dim(), x.len())?;
        let from = |i: usize| x[i] - self.minimizer[i];
        // yᵀ diag(d) y with y = Qᵀ(x − x*), formed entry by entry.
        let c = self.rotation.as_ref().map(|q| q.coefficients(q.along(x.len(), from), true));
        let rotated = |i: usize| match (&self.rotation, &c) {
            (Some(q), Some(c)) => from(i) - q.combination(i, c),
            _ => from(i),
        };
        let [twice] = sum(0..x.len(), 1, &|range| [range.map(|i| self.eigenvalues[i] * rotated(i) * rotated(i)).sum()]);
        Ok(0.5 * twice)
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.dim(), x.len())?;
        Error::check_len("gradient", self.dim(), out.len())?;
        for (o, (x, s)) in out.iter_mut().zip(x.iter().zip(&self.minimizer)) {
            *o = x - s;
        }
        self.multiply(out);
        Ok(())
    }

    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        Error::check_len("point", self.dim(), x.len())?;
        if self.rotation.is_some() {
            return Ok(HessianMatrix::Dense(self.dense()?));
        }
        let pattern = match self.pattern.get() {
            Some(pattern) => pattern.clone(),
            None => {
                let built = Arc::new(Pattern::from_pairs(self.dim(), [])?);
                self.pattern.get_or_init(|| built).clone()
            }
        };
        Ok(HessianMatrix::Sparse(SparseMatrix::new(pattern, self.eigenvalues.clone())?))
    }

    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.dim(), x.len())?;
        Error::check_len("direction", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        out.copy_from_slice(v);
        self.multiply(out);
        Ok(())
    }
}

/// A product of Householder reflections.
struct Rotation {
    units: [Vec<f64>; REFLECTIONS],
    /// `uₖᵀuₗ`.
    gram: [[f64; REFLECTIONS]; REFLECTIONS],
}

impl Rotation {
    fn new(mut units: [Vec<f64>; REFLECTIONS]) -> Self {
        for u in &mut units {
            let length = norm(u);
            scale(1.0 / length, u);
        }
        let gram = std::array::from_fn(|k| std::array::from_fn(|l| dot(&units[k], &units[l])));
        Self { units, gram }
    }

    /// `uₖᵀz` for `z` given by entries.
    fn along(&self, n: usize, z: impl Fn(usize) -> f64 + Sync) -> [f64; REFLECTIONS] {
        sum(0..n, 1, &|range| {
            range.fold([0.0; REFLECTIONS], |s, i| {
                let z = z(i);
                std::array::from_fn(|k| s[k] + self.units[k][i] * z)
            })
        })
    }

    /// The `c` with `Qᵀz` (or `Qz`) `= z − Σ cₖuₖ`, from the `uₖᵀz`.
    fn coefficients(&self, along: [f64; REFLECTIONS], transposed: bool) -> [f64; REFLECTIONS] {
        let mut c = [0.0; REFLECTIONS];
        for step in 0..REFLECTIONS {
            // Q = H₁H₂H₃ applies the last reflection first, its transpose the first.
            let k = if transposed { step } else { REFLECTIONS - 1 - step };
            let reflected: f64 = (0..REFLECTIONS).map(|l| self.gram[k][l] * c[l]).sum();
            c[k] = 2.0 * (along[k] - reflected);
        }
        c
    }

    /// Entry `i` of `Σ cₖuₖ`.
    #[inline(always)]
    fn combination(&self, i: usize, c: &[f64; REFLECTIONS]) -> f64 {
        self.units.iter().zip(c).map(|(u, c)| c * u[i]).sum()
    }

    /// `z ← Qᵀz` or `z ← Qz`.
    fn reflect(&self, z: &mut [f64], transposed: bool) {
        let c = self.coefficients(self.along(z.len(), |i| z[i]), transposed);
        fill(z, 1, &|first, z| (first..).zip(z).for_each(|(i, z)| *z -= self.combination(i, &c)));
    }
}

/// A quadratic with a prescribed spectrum, from the origin; its minimizer is drawn from the seed.
///
/// # Errors
/// [`Error::Config`] unless `n ≥ 1` and the spectrum is valid.
pub fn quadratic(n: usize, spectrum: &Spectrum, rotated: bool, seed: u64) -> Result<TestProblem> {
    check_dim(n >= 1, "at least 1", n)?;
    let function = Quadratic::new(spectrum.eigenvalues(n)?, rotated, seed);
    let spacing = match spectrum.spacing {
        Spacing::Geometric => "geometric",
        Spacing::Uniform => "uniform",
        Spacing::Clusters(_) => "clusters",
    };
    let placed = if rotated { "rotated" } else { "aligned" };
    let title = format!("Quadratic, {spacing} spectrum, condition number {}, {placed}", spectrum.kappa);
    let (solution, condition) = (function.minimizer.clone(), function.condition_number());
    let problem =
        TestProblem::new(&format!("quadratic_{spacing}_{placed}_{n}"), &title, Arc::new(function), vec![0.0; n], vec![0.0]);
    Ok(problem.with_solution(solution).with_condition(condition))
}
