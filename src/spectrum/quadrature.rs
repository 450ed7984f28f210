//! Stochastic Lanczos quadrature: the distribution of the eigenvalues as seen by random vectors.
//!
//! From a unit vector `z`, `m` steps of Lanczos with full reorthogonalisation give `T = UΘUᵀ`; the nodes `θⱼ` with the weights
//! `τⱼ = U₁ⱼ²` (one square, `Σ τⱼ = 1`) are Gauss's rule for `zᵀf(B)z`, exact for polynomials of degree `2m − 1`. Averaged over
//! random signs `z = ±1/√n` it gives `tr f(B) ≈ n E[Σ τⱼ f(θⱼ)]`. Golub & Meurant 1994; Ubaru, Chen & Saad 2017.

use super::{Estimate, check, signs};
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::factor::SymmetricEigen;
use crate::linalg::krylov::lanczos::Basis;

/// Options of the quadrature.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::Diagonal;
/// use curvkit::spectrum::Quadrature;
/// let matrix = Diagonal((1..=300).map(|i| 1.0 + f64::from(i) / 300.0).collect());
/// let exact: f64 = matrix.0.iter().map(|d| d.ln()).sum();
/// let found = Quadrature { steps: 20, ..Quadrature::default() }.measure(&matrix)?.log_determinant(0.0)?;
/// assert!((found.value - exact).abs() < 1e-10);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Quadrature {
    /// Products for each probe, nodes of its rule; 80 by default.
    pub steps: usize,
    /// Random vectors; where there are `n` or more, the unit vectors are taken instead and nothing is left to chance.
    /// 10 by default.
    pub probes: usize,
    /// Seed of the random vectors; 0 by default.
    pub seed: u64,
}

impl Default for Quadrature {
    fn default() -> Self {
        Self { steps: 80, probes: 10, seed: 0 }
    }
}

/// One probe's nodes and weights; the weights sum to one.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Rule {
    nodes: Vec<f64>,
    weights: Vec<f64>,
}

impl Rule {
    /// Of the leading `m` steps of a Lanczos run.
    fn new(basis: &Basis, m: usize) -> Result<Self> {
        let size = basis.norm_bound();
        let unit = if size > 0.0 { size } else { 1.0 };
        let mut t = vec![0.0; m * m];
        for i in 0..m {
            t[i * m + i] = basis.diagonal[i] / unit;
            if i + 1 < m {
                let off = basis.off[i] / unit;
                (t[i * m + i + 1], t[(i + 1) * m + i]) = (off, off);
            }
        }
        let mut eigen = SymmetricEigen::default();
        eigen.factor(m, &t)?;
        let nodes = eigen.values().iter().map(|v| v * unit).collect();
        let weights = eigen.vectors().iter().step_by(m).map(|u| u * u).collect();
        Ok(Self { nodes, weights })
    }

    fn integral(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.nodes.iter().zip(&self.weights).map(|(x, w)| w * f(*x)).sum()
    }
}

/// The eigenvalues of an `n × n` matrix as a distribution: nodes with weights, one rule a probe.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SpectralMeasure {
    n: usize,
    rules: Vec<Rule>,
    /// The same with half the steps, to judge the rules by.
    shorter: Vec<Rule>,
    /// Products made.
    pub products: u64,
    /// False if the probes were the unit vectors.
    random: bool,
}

impl Quadrature {
    /// Runs Lanczos from every probe.
    ///
    /// # Errors
    /// [`Error::Config`] for no steps or fewer than two probes (one is enough for one dimension), [`Error::NonFinite`] and
    /// other errors of products.
    pub fn measure(&self, operator: &dyn SymmetricOperator) -> Result<SpectralMeasure> {
        check(operator, "steps", "at least 1", self.steps, 1)?;
        check(operator, "probes", "at least 2", self.probes, operator.dim().clamp(1, 2))?;
        let n = operator.dim();
        let random = self.probes < n;
        let (mut basis, mut z) = (Basis::default(), vec![0.0; n]);
        let mut measure = SpectralMeasure { n, rules: Vec::new(), shorter: Vec::new(), products: 0, random };
        for i in 0..self.probes.min(n) {
            if random {
                signs(self.seed, i, &mut z);
            } else {
                z.fill(0.0);
                z[i] = 1.0;
            }
            basis.clear(n, self.steps);
            basis.begin(&z, if random { (n as f64).sqrt() } else { 1.0 });
            // At an invariant subspace the rule is exact.
            while !basis.full() && (basis.len() == 0 || basis.coupling() > 0.0) {
                basis.extend(operator)?;
            }
            let m = basis.len();
            measure.products += m as u64;
            measure.rules.push(Rule::new(&basis, m)?);
            let exact = m < self.steps || m == n;
            measure.shorter.push(Rule::new(&basis, if exact { m } else { m.div_ceil(2) })?);
        }
        Ok(measure)
    }
}

impl SpectralMeasure {
    /// Dimension of the matrix.
    pub fn dim(&self) -> usize {
        self.n
    }

    /// Nodes and weights of all probes; the weights sum to one.
    pub fn nodes(&self) -> impl Iterator<Item = (f64, f64)> {
        let share = 1.0 / self.rules.len() as f64;
        self.rules.iter().flat_map(move |rule| rule.nodes.iter().zip(&rule.weights).map(move |(x, w)| (*x, w * share)))
    }

    /// Number of probes.
    pub(super) fn n_rules(&self) -> usize {
        self.rules.len()
    }

    /// Smallest and largest node.
    pub fn range(&self) -> (f64, f64) {
        self.nodes().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (x, _)| (low.min(x), high.max(x)))
    }

    /// Share of the eigenvalues at or below `x`.
    pub fn share_below(&self, x: f64) -> f64 {
        // The sum of nothing is −0.
        self.nodes().filter(|(node, _)| *node <= x).fold(0.0, |sum, (_, w)| sum + w)
    }

    /// `tr f(B)`. The error combines the spread of the probes with the change of the mean from half the steps
    /// to all of them, which is an indication, no bound, of what more steps would change.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if `f` is not finite at a node.
    pub fn trace_of(&self, f: impl Fn(f64) -> f64) -> Result<Estimate> {
        let samples = |rules: &[Rule]| rules.iter().map(|rule| self.n as f64 * rule.integral(&f)).collect::<Vec<f64>>();
        let (all, shorter) = (samples(&self.rules), samples(&self.shorter));
        Error::check_finite("function of the eigenvalues", &all)?;
        let products = self.products as usize;
        let statistical = |samples: &[f64]| match samples {
            [only] => Estimate::exact(*only, products),
            several => Estimate::of(several, products),
        };
        let (full, part) = (statistical(&all), statistical(&shorter));
        let chance = if self.random { full.error } else { 0.0 };
        // A shorter rule may reach where f is not defined (rounding below zero); then the probes' spread has to do.
        let change = if part.value.is_finite() { full.value - part.value } else { 0.0 };
        Ok(Estimate { error: chance.hypot(change), ..full })
    }

    /// `log det(B + shift I)`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if a node shows that the matrix is not positive definite.
    pub fn log_determinant(&self, shift: f64) -> Result<Estimate> {
        if self.range().0 + shift <= 0.0 {
            return Err(Error::Unsupported { what: "a log-determinant", requirement: "a positive definite matrix" });
        }
        self.trace_of(|x| (x + shift).ln())
    }
}
