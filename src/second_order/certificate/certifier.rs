//! Decompositions, factorizations and probes behind a [`Certificate`].

use super::{Certificate, Depth, PointKind, Stationary};
use crate::error::{Error, Result};
use crate::linalg::factor::{ShiftedCholesky, SymmetricEigen};
use crate::linalg::krylov::lanczos::{Leftmost, leftmost};
use crate::linalg::krylov::{Cg, CgLimits};
use crate::linalg::operator::{DenseMatrix, Masked};
use crate::linalg::vector::{dot, norm, norm_inf, scale};
use crate::linalg::{Form, SymmetricOperator, operator};
use std::cell::RefCell;

/// Largest dimension at which the spectrum of a stored matrix is computed in full.
pub const EIGEN_LIMIT: usize = 300;
/// Largest dimension at which a product-only operator is multiplied out, by as many products.
pub const EXHAUSTED: usize = 500;
/// Products spent on a larger product-only operator; as many again on what is left.
pub const PRODUCTS: usize = 50;
/// Curvatures below this multiple of the largest count as zero, in variables that the diagonal scales.
pub const ZERO: f64 = 1e-10;
/// Seed of the Lanczos starting vectors.
const SEED: u64 = 0;
/// Relative accuracy asked of Lanczos for the extremes of a factorized matrix.
const LANCZOS_TOLERANCE: f64 = 1e-6;
/// Eigenvalues above this multiple of the largest are not zero in any units of the variables.
const CLEAR: f64 = 1e-6;
/// Eigenvalues are raised to this multiple of the largest where they are divided by.
const FLOOR: f64 = 1e-16;
/// `δ` of what products say of the curvatures they did not meet.
const DOUBT: f64 = 0.01;
/// Relative residual of the conjugate gradients that estimate what is left.
const CG_TOLERANCE: f64 = 0.1;

/// Examines exact curvatures; keeps its buffers, after a saddle the direction to leave along, and the factor that
/// [`contact`](Self::contact) needs.
#[derive(Debug, Clone, Default)]
pub struct Certifier {
    entries: Vec<f64>,
    eigen: SymmetricEigen,
    cholesky: ShiftedCholesky,
    /// `D` of the decomposed `D⁻¹HD⁻¹`; empty if that is `H`.
    scaling: Vec<f64>,
    solver: Solver,
    direction: Vec<f64>,
    leftmost: f64,
    newton: Vec<f64>,
    /// Variables among all, where some are held.
    free: Option<Vec<usize>>,
    factorizations: u64,
}

/// What solves with `H`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Solver {
    #[default]
    None,
    /// The decomposition, without this many lowest eigenvectors.
    Eigen {
        flat: usize,
    },
    Cholesky,
}

impl Certifier {
    /// The certificate of a point whose exact curvature is `operator`.
    ///
    /// # Errors
    /// A failing product; non-finite entries; a gradient of another length.
    pub fn examine(&mut self, operator: &dyn SymmetricOperator, at: &Stationary<'_>, depth: Depth) -> Result<Certificate> {
        Error::check_len("gradient", operator.dim(), at.gradient.len())?;
        self.free = None;
        self.examine_all(operator, at, depth)
    }

    /// The certificate of a point where some variables are held by their bounds: what the others can do.
    ///
    /// # Errors
    /// As [`examine`](Self::examine).
    pub fn examine_free(
        &mut self,
        operator: &dyn SymmetricOperator,
        held: &[bool],
        at: &Stationary<'_>,
        depth: Depth,
    ) -> Result<Certificate> {
        let n = operator.dim();
        let free: Vec<usize> = (0..n).filter(|&i| !held[i]).collect();
        if free.len() == n {
            return self.examine(operator, at, depth);
        }
        self.newton.clear();
        self.newton.resize(n, 0.0);
        if free.is_empty() {
            // Nothing can move: the multipliers say it all.
            self.solver = Solver::None;
            return Ok(Certificate {
                verdict: PointKind::Minimum,
                exact: true,
                decrease_left: Some(0.0),
                distance_left: Some(0.0),
                relative_distance: Some(0.0),
                ..Certificate::undetermined(at.gradient_norm)
            });
        }
        let product_only = matches!(operator.form(), Form::Product);
        if n > EIGEN_LIMIT && !product_only {
            // In all variables, the held ones as if they stood alone.
            let gradient: Vec<f64> = at.gradient.iter().zip(held).map(|(g, held)| if *held { 0.0 } else { *g }).collect();
            let masked = Masked::new(operator, held, &vec![0.0; n])?;
            return self.examine(&masked, &Stationary { gradient: &gradient, ..*at }, depth);
        }
        let take = |v: &[f64]| -> Vec<f64> { free.iter().map(|&i| v[i]).collect() };
        let (gradient, sizes) = (take(at.gradient), take(at.sizes));
        let inner = Stationary { gradient: &gradient, sizes: &sizes, ..*at };
        let mut certificate = if product_only {
            self.examine_all(&FreeBlock { operator, free: &free }, &inner, depth)
        } else {
            let mut entries = vec![0.0; n * n];
            operator::write_dense(operator, &mut entries)?;
            let block = free.iter().flat_map(|&j| free.iter().map(move |&i| (i, j))).map(|(i, j)| entries[j * n + i]).collect();
            self.examine_all(&DenseMatrix::new(free.len(), block)?, &inner, depth)
        }?;
        self.direction = embed(&self.direction, &free, n);
        self.newton = embed(&self.newton, &free, n);
        if !certificate.flat.is_empty() {
            certificate.flat = embed(&certificate.flat, &free, n);
        }
        self.free = Some(free);
        Ok(certificate)
    }

    /// Unit vector along the most negative curvature found by the last examination.
    pub fn direction(&self) -> &[f64] {
        &self.direction
    }

    /// The curvature along [`direction`](Self::direction).
    pub fn leftmost(&self) -> f64 {
        self.leftmost
    }

    /// Newton's step `d` from the point of the last examination; empty if there is none.
    pub fn newton(&self) -> &[f64] {
        &self.newton
    }

    /// Factorizations of the last examination.
    pub fn factorizations(&self) -> u64 {
        self.factorizations
    }

    /// `q = g₊ᵀH⁻¹g₊ / gᵀH⁻¹g` for the gradient `g₊ = ∇f(x + d)` at the end of Newton's step: 0 for a quadratic,
    /// `((k−2)/(k−1))^(2k−2)` for `xᵏ` (0.088 for `x⁴`). `None` without a factor.
    pub fn contact(&mut self, after: &[f64], decrease_left: f64) -> Option<f64> {
        let after: Vec<f64> = match &self.free {
            Some(free) => free.iter().map(|&i| after[i]).collect(),
            None => after.to_vec(),
        };
        let mut solved = vec![0.0; after.len()];
        self.solve(&after, &mut solved).then(|| dot(&after, &solved) / (2.0 * decrease_left)).filter(|q| q.is_finite())
    }

    fn examine_all(&mut self, operator: &dyn SymmetricOperator, at: &Stationary<'_>, depth: Depth) -> Result<Certificate> {
        self.factorizations = 0;
        self.solver = Solver::None;
        self.newton.clear();
        let n = operator.dim();
        let mut certificate = match operator.form() {
            Form::Product if n > EXHAUSTED => return self.probe(operator, at),
            Form::Product => self.decompose(operator, at),
            _ if n <= EIGEN_LIMIT => self.decompose(operator, at),
            _ => self.factorize(operator, at, depth),
        }?;
        if certificate.verdict != PointKind::Saddle {
            self.newton.resize(n, 0.0);
            let mut newton = std::mem::take(&mut self.newton);
            if self.solve(at.gradient, &mut newton) {
                scale(-1.0, &mut newton);
                note_what_is_left(&mut certificate, at, operator, &newton, -0.5 * dot(at.gradient, &newton));
                self.newton = newton;
            }
        }
        Ok(certificate)
    }

    /// All eigenvalues.
    fn decompose(&mut self, operator: &dyn SymmetricOperator, at: &Stationary<'_>) -> Result<Certificate> {
        let n = operator.dim();
        self.entries.resize(n * n, 0.0);
        operator::write_dense(operator, &mut self.entries)?;
        self.eigen.factor(n, &self.entries)?;
        self.factorizations = 1;
        self.scaling.clear();
        let ends = |eigen: &SymmetricEigen| {
            let values = eigen.values();
            (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(0.0))
        };
        let (smallest, largest) = ends(&self.eigen);
        if smallest.abs() <= CLEAR * smallest.abs().max(largest.abs()) {
            // What vanishes beside the rest may only have a small unit.
            self.rescale(n);
            self.eigen.factor(n, &self.entries)?;
            self.factorizations += 1;
        }
        let (lowest, highest) = ends(&self.eigen);
        let zero = ZERO * lowest.abs().max(highest.abs());
        self.direction.clear();
        self.direction.extend_from_slice(&self.eigen.vectors()[..n]);
        self.direction.iter_mut().zip(&self.scaling).for_each(|(v, d)| *v /= d);
        let length = norm(&self.direction);
        if length > 0.0 && length.is_finite() {
            scale(1.0 / length, &mut self.direction);
        }
        self.leftmost = if self.scaling.is_empty() { lowest } else { (lowest / length) / length };
        self.solver = Solver::Eigen { flat: self.flat(at, zero) };
        let mut certificate = self.classify(sign(lowest, zero), smallest, largest, at);
        certificate.exact = true;
        Ok(certificate)
    }

    /// `entries ← D⁻¹HD⁻¹`.
    fn rescale(&mut self, n: usize) {
        let h = &self.entries;
        let own = |i: usize| h[i * n + i].abs().sqrt();
        // A variable without curvature of its own is measured by what couples it to the others.
        let coupled = |i: usize| h[i * n..(i + 1) * n].iter().fold(0.0, |m: f64, v| m.max(v.abs())).sqrt();
        let size = |i: usize| [own(i), coupled(i)].into_iter().find(|d| *d > 0.0).unwrap_or(1.0);
        self.scaling = (0..n).map(size).collect();
        for j in 0..n {
            for i in 0..n {
                self.entries[j * n + i] = self.entries[j * n + i] / self.scaling[i] / self.scaling[j];
            }
        }
    }

    /// How many of the lowest eigenvectors have vanishing curvature and promise no decrease that counts.
    fn flat(&self, at: &Stationary<'_>, zero: f64) -> usize {
        let n = self.eigen.dim();
        let scaled: Vec<f64> = match self.scaling.is_empty() {
            true => at.gradient.to_vec(),
            false => at.gradient.iter().zip(&self.scaling).map(|(g, d)| g / d).collect(),
        };
        let promises = |i: usize| {
            let along = dot(&self.eigen.vectors()[i * n..(i + 1) * n], &scaled);
            along != 0.0 && 0.5 * along * (along / zero) > at.negligible
        };
        (0..n).take_while(|&i| self.eigen.values()[i] <= zero && !promises(i)).count()
    }

    /// The sign by Cholesky; the extremes by Lanczos on the matrix and on its inverse.
    fn factorize(&mut self, operator: &dyn SymmetricOperator, at: &Stationary<'_>, depth: Depth) -> Result<Certificate> {
        let n = operator.dim();
        self.cholesky.load(operator)?;
        self.factorizations = 1;
        self.scaling.resize(n, 1.0);
        operator::write_diagonal(operator, &mut self.scaling);
        self.scaling.iter_mut().for_each(|d| *d = if *d == 0.0 { 1.0 } else { d.abs().sqrt() });
        if self.cholesky.factor(0.0).is_err() {
            return self.not_definite(operator, at);
        }
        self.solver = Solver::Cholesky;
        if depth == Depth::Sign {
            return Ok(Certificate { verdict: PointKind::Minimum, ..Certificate::undetermined(at.gradient_norm) });
        }
        let largest = leftmost(operator, PRODUCTS as u64, SEED, LANCZOS_TOLERANCE)?.largest;
        let smallest = -1.0 / self.inverse_leftmost(None)?.value;
        let mut verdict = PointKind::Minimum;
        if smallest <= CLEAR * largest {
            // In variables scaled by the diagonal the largest eigenvalue is at least 1.
            let scaling = std::mem::take(&mut self.scaling);
            let found = self.inverse_leftmost(Some(&scaling));
            self.scaling = scaling;
            let found = found?;
            if -1.0 / found.value <= ZERO {
                verdict = PointKind::Degenerate;
                self.take(&found);
                self.direction.iter_mut().zip(&self.scaling).for_each(|(v, d)| *v /= d);
                let length = norm(&self.direction);
                scale(1.0 / length, &mut self.direction);
            }
        }
        Ok(self.classify(verdict, smallest, largest, at))
    }

    /// The leftmost eigenvalue of `−H⁻¹`, or of `−D H⁻¹ D`.
    fn inverse_leftmost(&mut self, scaling: Option<&[f64]>) -> Result<Leftmost> {
        let n = self.cholesky.dim();
        let inverse = NegatedInverse { n, cholesky: RefCell::new(&mut self.cholesky), scaling };
        leftmost(&inverse, PRODUCTS as u64, SEED, LANCZOS_TOLERANCE)
    }

    /// Cholesky broke down: negative curvature, or none beyond rounding.
    fn not_definite(&mut self, operator: &dyn SymmetricOperator, at: &Stationary<'_>) -> Result<Certificate> {
        let n = operator.dim();
        self.direction.resize(n, 0.0);
        let found = self.cholesky.negative_curvature(&mut self.direction);
        let mut share = f64::INFINITY;
        if found {
            let length = norm(&self.direction);
            scale(1.0 / length, &mut self.direction);
            let mut product = vec![0.0; n];
            operator.apply(&self.direction, &mut product)?;
            self.leftmost = dot(&self.direction, &product);
            share = self.share(&self.direction, self.leftmost);
        }
        // The pivot's direction shows negative curvature, Lanczos the most negative one.
        let probed = leftmost(operator, PRODUCTS as u64, SEED, LANCZOS_TOLERANCE)?;
        let largest = probed.largest;
        let probed_share = self.share(&probed.vector, probed.value);
        if !found || probed.value < self.leftmost || (share >= -ZERO && probed_share < -ZERO) {
            self.take(&probed);
            share = probed_share;
        }
        if share < -ZERO {
            return Ok(self.classify(PointKind::Saddle, self.leftmost, largest, at));
        }
        self.factorizations += 1;
        if self.cholesky.factor(2.0 * ZERO * self.cholesky.norms().infinity).is_ok() {
            self.solver = Solver::Cholesky;
        }
        let smallest = self.leftmost.max(-ZERO * largest.abs());
        Ok(self.classify(PointKind::Degenerate, smallest, largest, at))
    }

    /// `vᵀHv / vᵀD²v` for a unit vector with curvature `curvature`.
    fn share(&self, v: &[f64], curvature: f64) -> f64 {
        let size: f64 = v.iter().zip(&self.scaling).map(|(v, d)| (v * d) * (v * d)).sum();
        curvature / size
    }

    /// What [`PRODUCTS`] products prove, and as many tell of what is left.
    fn probe(&mut self, operator: &dyn SymmetricOperator, at: &Stationary<'_>) -> Result<Certificate> {
        let n = operator.dim();
        let probed = leftmost(operator, PRODUCTS as u64, SEED, f64::EPSILON)?;
        self.take(&probed);
        let largest = probed.value.abs().max(probed.largest.abs());
        let verdict = if probed.value < -ZERO * largest { PointKind::Saddle } else { PointKind::Undetermined };
        let mut certificate = self.classify(verdict, probed.value, probed.largest, at);
        if verdict == PointKind::Saddle {
            return Ok(certificate);
        }
        let steps = 2.0 * (probed.products.max(2) - 1) as f64;
        let root = (2.75 * n as f64 / (DOUBT * DOUBT)).ln() / steps;
        certificate.no_curvature_below = Some(largest * root * root);
        let mut cg = Cg::default();
        cg.start(at.gradient, operator.preconditioner(), 0)?;
        let limits = CgLimits { tolerance: CG_TOLERANCE, radius: f64::INFINITY, max_iterations: PRODUCTS as u64 };
        cg.advance(operator, operator.preconditioner(), &limits)?;
        let unit = cg.unit();
        self.newton.extend(cg.x().iter().map(|x| unit * x));
        note_what_is_left(&mut certificate, at, operator, &self.newton, cg.reduction() * unit * unit);
        certificate.at_least = true;
        Ok(certificate)
    }

    fn take(&mut self, probed: &Leftmost) {
        self.direction.clear();
        self.direction.extend_from_slice(&probed.vector);
        self.leftmost = probed.value;
    }

    /// `out ← H⁻¹ b`; false without a factor.
    fn solve(&mut self, b: &[f64], out: &mut [f64]) -> bool {
        match self.solver {
            Solver::None => return false,
            Solver::Cholesky => self.cholesky.solve(b, out),
            Solver::Eigen { flat } => {
                let values = self.eigen.values();
                let largest = norm_inf(values);
                let scaled: Vec<f64> = match self.scaling.is_empty() {
                    true => b.to_vec(),
                    false => b.iter().zip(&self.scaling).map(|(b, d)| b / d).collect(),
                };
                let mut y = vec![0.0; b.len()];
                self.eigen.to_basis(&scaled, &mut y);
                for (i, (y, w)) in y.iter_mut().zip(values).enumerate() {
                    *y = if i < flat || *y == 0.0 { 0.0 } else { *y / w.max(FLOOR * largest) };
                }
                self.eigen.from_basis(&y, out);
                out.iter_mut().zip(&self.scaling).for_each(|(o, d)| *o /= d);
            }
        }
        out.iter().all(|v| v.is_finite())
    }

    fn classify(&self, verdict: PointKind, smallest: f64, largest: f64, at: &Stationary<'_>) -> Certificate {
        Certificate {
            smallest_curvature: Some(smallest),
            largest_curvature: Some(largest),
            condition_number: (verdict == PointKind::Minimum).then(|| largest / smallest).filter(|k| *k > 0.0),
            verdict,
            flat: if verdict == PointKind::Degenerate { self.direction.clone() } else { Vec::new() },
            ..Certificate::undetermined(at.gradient_norm)
        }
    }
}

/// The verdict on the smallest curvature.
fn sign(smallest: f64, zero: f64) -> PointKind {
    if smallest < -zero {
        PointKind::Saddle
    } else if smallest <= zero {
        PointKind::Degenerate
    } else {
        PointKind::Minimum
    }
}

fn note_what_is_left(
    certificate: &mut Certificate,
    at: &Stationary<'_>,
    operator: &dyn SymmetricOperator,
    newton: &[f64],
    decrease: f64,
) {
    // Of a variable that has no size to speak of its own curvature tells, else the others.
    let all = norm(at.sizes);
    let mut own = vec![0.0; newton.len()];
    if !operator::write_diagonal(operator, &mut own) {
        own.fill(0.0);
    }
    let size = |i: usize| {
        let along = (2.0 * (at.decrease / own[i])).sqrt();
        let speaks = at.sizes[i] > f64::EPSILON * all;
        if speaks {
            at.sizes[i]
        } else if along > 0.0 && along.is_finite() {
            along
        } else {
            all
        }
    };
    let share = |(i, d): (usize, &f64)| if *d == 0.0 { 0.0 } else { d.abs() / size(i) };
    certificate.decrease_left = Some(if decrease > 0.0 { decrease } else { 0.0 });
    certificate.distance_left = Some(norm(newton));
    certificate.relative_distance = Some(newton.iter().enumerate().map(share).fold(0.0, f64::max));
}

/// `−B⁻¹` (or `−D B⁻¹ D`) through a Cholesky factor: its leftmost eigenvalue is `−1/λ₁`.
struct NegatedInverse<'a> {
    n: usize,
    cholesky: RefCell<&'a mut ShiftedCholesky>,
    scaling: Option<&'a [f64]>,
}

impl SymmetricOperator for NegatedInverse<'_> {
    fn dim(&self) -> usize {
        self.n
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        match self.scaling {
            None => self.cholesky.borrow_mut().solve(v, out),
            Some(d) => {
                let scaled: Vec<f64> = v.iter().zip(d).map(|(v, d)| v * d).collect();
                self.cholesky.borrow_mut().solve(&scaled, out);
                out.iter_mut().zip(d).for_each(|(o, d)| *o *= d);
            }
        }
        scale(-1.0, out);
        Error::check_finite("inverse curvature product", out)
    }
}

/// The block of a product-only operator between free variables.
struct FreeBlock<'a> {
    operator: &'a dyn SymmetricOperator,
    free: &'a [usize],
}

impl SymmetricOperator for FreeBlock<'_> {
    fn dim(&self) -> usize {
        self.free.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let n = self.operator.dim();
        let mut product = vec![0.0; n];
        self.operator.apply(&embed(v, self.free, n), &mut product)?;
        out.iter_mut().zip(self.free).for_each(|(o, &i)| *o = product[i]);
        Ok(())
    }
}

/// A vector of the free variables among all `n`, zero elsewhere.
fn embed(v: &[f64], free: &[usize], n: usize) -> Vec<f64> {
    let mut whole = vec![0.0; n];
    free.iter().zip(v).for_each(|(&i, v)| whole[i] = *v);
    whole
}
