//! Eigenvalues at the ends of the spectrum, of `B` or of a pencil `(B, P)`, by Lanczos with thick restarts.
//!
//! Every new vector is orthogonalised twice against all that are kept. When the basis is full it is replaced by the Ritz
//! vectors next to the ends and the newest vector, which spans what a restart with an optimal polynomial would (Wu & Simon
//! 2000). For a pencil, `P⁻¹B` is symmetric in the inner product of `P`; beside each `q` the basis keeps `z = Pq`, so that
//! only products with `B` and `P⁻¹` are needed: `w = Bq`, `w ← w − Σ (qⱼᵀw) zⱼ`, next `z ∝ w`, `q ∝ P⁻¹w`.
//! Residual bound: Parlett 1998, theorem 4.5.1 and, for pencils, chapter 15.

use super::ritz::{Extremes, Ritz};
use super::{normalize, normals, product};
use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::factor::SymmetricEigen;
use crate::linalg::matrix::{multiply, view};
use crate::linalg::vector::{axpy, dot, norm, scale};

/// A coupling below this multiple of the norm is rounding: the basis spans an invariant subspace.
const BREAKDOWN: f64 = 64.0 * f64::EPSILON;
/// Products before the first look at the Ritz values; between two looks the basis grows by a fifth, and by as many.
const LOOK: usize = 10;

/// Options of the iteration.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::Diagonal;
/// use curvkit::spectrum::Lanczos;
/// let matrix = Diagonal((1..=500).map(f64::from).collect());
/// let found = Lanczos::default().extremes(&matrix)?;
/// assert!((found.lowest[0].value - 1.0).abs() <= found.lowest[0].error.max(1e-10));
/// assert!((found.highest[0].value - 500.0).abs() <= found.highest[0].error.max(1e-10));
///
/// // Preconditioned by its inverse, it is the identity.
/// let inverse = Diagonal((1..=500).map(|d| 1.0 / f64::from(d)).collect());
/// let kappa = Lanczos::default().pencil(&matrix, &inverse)?.condition_number().map(|k| k.value);
/// assert!((kappa.unwrap() - 1.0).abs() < 1e-12);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lanczos {
    /// Eigenvalues wanted at the lower end; 1 by default.
    pub lowest: usize,
    /// Eigenvalues wanted at the upper end; 1 by default.
    pub highest: usize,
    /// Vectors kept before a restart; raised to twice the number of wanted eigenvalues and eight. 60 by default.
    pub basis: usize,
    /// Products allowed for the iteration; each eigenvalue's error takes one more. 1000 by default.
    pub max_products: usize,
    /// An eigenvalue is found when its error is at most this multiple of the largest modulus; 1e-10 by default.
    pub tolerance: f64,
    /// Whether eigenvectors are returned; not by default.
    pub vectors: bool,
    /// Seed of the starting vector; 0 by default.
    pub seed: u64,
}

impl Default for Lanczos {
    fn default() -> Self {
        Self { lowest: 1, highest: 1, basis: 60, max_products: 1000, tolerance: 1e-10, vectors: false, seed: 0 }
    }
}

/// Which Ritz values are wanted.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Ends { lowest: usize, highest: usize },
    Modulus(usize),
}

impl Wanted {
    fn count(self) -> usize {
        match self {
            Self::Ends { lowest, highest } => lowest + highest,
            Self::Modulus(count) => count,
        }
    }

    /// Indices of the wanted ones among ascending `values` and `extra` neighbours of them.
    fn select(self, values: &[f64], extra: usize) -> Vec<usize> {
        let k = values.len();
        match self {
            Self::Ends { lowest, highest } => {
                let share = |wanted: usize| if wanted > 0 { wanted + extra * wanted / (lowest + highest) } else { 0 };
                let low = share(lowest).min(k);
                let high = share(highest).min(k - low.min(k));
                // Where both ends want the same few values, each takes what it asked for.
                (0..low).chain(k - high..k).collect()
            }
            Self::Modulus(count) => {
                let mut order: Vec<usize> = (0..k).collect();
                order.sort_by(|i, j| values[*j].abs().total_cmp(&values[*i].abs()));
                order.truncate(count + extra);
                order
            }
        }
    }
}

/// What an iteration ends with: Ritz pairs of the basis in ascending order.
pub(super) struct Pairs {
    pub values: Vec<f64>,
    /// The wanted ones' vectors and errors, in the order of [`Wanted::select`].
    pub wanted: Vec<(usize, Ritz)>,
    pub products: u64,
    pub converged: bool,
}

impl Lanczos {
    /// `Ok` if every option is in its range.
    ///
    /// # Errors
    /// [`Error::Config`] with the option that is not.
    pub fn validate(&self) -> Result<()> {
        let wanted = self.lowest + self.highest;
        Error::check_option(wanted > 0, "lowest, highest", "positive together", wanted)?;
        Error::check_option(self.max_products > 0, "max_products", "positive", self.max_products)?;
        Error::check_option(self.tolerance >= 0.0, "tolerance", "at least 0", self.tolerance)
    }

    /// Eigenvalues at the ends of the spectrum of `operator`. That they are the outermost ones holds with probability one
    /// over the starting vector, not with certainty; copies of a multiple eigenvalue may be missing.
    ///
    /// # Errors
    /// [`Error::Config`] for an option out of range or an empty operator, [`Error::NonFinite`] and other errors of products.
    pub fn extremes(&self, operator: &dyn SymmetricOperator) -> Result<Extremes> {
        self.ends(operator, None)
    }

    /// Eigenvalues at the ends of the spectrum of `P⁻¹B` for a positive definite `P`, of which `inverse` is the inverse.
    ///
    /// # Errors
    /// As [`extremes`](Self::extremes); [`Error::Dimension`] if the sizes differ, [`Error::Unsupported`] if `inverse` shows
    /// itself not to be positive definite.
    pub fn pencil(&self, operator: &dyn SymmetricOperator, inverse: &dyn SymmetricOperator) -> Result<Extremes> {
        Error::check_len("inverse of the preconditioner", operator.dim(), inverse.dim())?;
        self.ends(operator, Some(inverse))
    }

    fn ends(&self, operator: &dyn SymmetricOperator, inverse: Option<&dyn SymmetricOperator>) -> Result<Extremes> {
        self.validate()?;
        let n = operator.dim();
        let (lowest, highest) = (self.lowest.min(n), self.highest.min(n));
        let pairs = self.iterate(operator, inverse, Wanted::Ends { lowest, highest })?;
        let k = pairs.values.len();
        let find = |i: usize| pairs.wanted.iter().find(|(j, _)| *j == i).map(|(_, ritz)| ritz.clone());
        Ok(Extremes {
            lowest: (0..lowest.min(k)).filter_map(find).collect(),
            highest: (0..highest.min(k)).filter_map(|i| find(k - 1 - i)).collect(),
            products: pairs.products,
            converged: pairs.converged,
        })
    }

    /// Ritz pairs until the wanted ones have converged.
    pub(super) fn iterate(
        &self,
        operator: &dyn SymmetricOperator,
        inverse: Option<&dyn SymmetricOperator>,
        wanted: Wanted,
    ) -> Result<Pairs> {
        let n = operator.dim();
        Error::check_option(n > 0, "operator", "of positive dimension", n)?;
        let capacity = self.basis.max(2 * wanted.count() + 8).min(n);
        let mut space = Space::new(operator, inverse, capacity, self.seed);
        space.begin_random()?;
        let (mut eigen, mut invariant, mut look) = (SymmetricEigen::default(), 0, LOOK);
        let converged = loop {
            space.extend()?;
            let (whole, out) = (space.k == n, space.products >= self.max_products as u64);
            invariant += u32::from(space.coupling == 0.0);
            if !(whole || out || space.coupling == 0.0 || space.k == capacity || space.k >= look) {
                continue;
            }
            look = space.k + LOOK.max(space.k / 5);
            space.ritz(&mut eigen)?;
            let chosen = wanted.select(eigen.values(), 0);
            let size = eigen.values().iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let enough = space.k >= wanted.count().min(n);
            let met = enough && chosen.iter().all(|&j| space.residual(&eigen, j) <= self.tolerance * size);
            // An invariant subspace that is not the whole space may miss copies of eigenvalues: look outside of it once.
            let looked = space.coupling != 0.0 || invariant > 1;
            if whole || out || (met && looked) {
                break whole || met;
            }
            if space.k == capacity {
                space.restart(&eigen, &wanted.select(eigen.values(), (capacity - wanted.count().min(capacity)) / 2))?;
                look = space.k + LOOK;
            }
            if space.coupling == 0.0 && !space.begin_random()? {
                break met;
            }
        };
        let chosen = wanted.select(eigen.values(), 0);
        let pairs = chosen.iter().map(|&j| Ok((j, space.pair(&eigen, j, self.vectors)?)));
        let wanted = pairs.collect::<Result<_>>()?;
        Ok(Pairs { values: eigen.values().to_vec(), wanted, products: space.products, converged })
    }
}

/// A basis `Q` with `QᵀPQ = I`, `H = QᵀBQ`, and the vector after it.
struct Space<'a> {
    operator: &'a dyn SymmetricOperator,
    inverse: Option<&'a dyn SymmetricOperator>,
    n: usize,
    capacity: usize,
    seed: u64,
    /// Random vectors drawn.
    drawn: usize,
    /// Columns of `H` that are known.
    k: usize,
    /// `Q` and the next vector.
    q: Vec<f64>,
    /// `PQ` and the next one; empty without preconditioner.
    z: Vec<f64>,
    /// `H`, `capacity` rows, upper triangle.
    h: Vec<f64>,
    coupling: f64,
    /// Upper bound on every modulus in the spectrum of `H`.
    bound: f64,
    products: u64,
}

impl<'a> Space<'a> {
    fn new(operator: &'a dyn SymmetricOperator, inverse: Option<&'a dyn SymmetricOperator>, capacity: usize, seed: u64) -> Self {
        let n = operator.dim();
        let (q, z) = (Vec::new(), Vec::new());
        let h = vec![0.0; capacity * capacity];
        Self { operator, inverse, n, capacity, seed, drawn: 0, k: 0, q, z, h, coupling: 0.0, bound: 0.0, products: 0 }
    }

    /// `w ← w − Σ (qⱼᵀw) Pqⱼ` over the basis, twice; adds the coefficients up.
    fn project_out(&self, w: &mut [f64], along: &mut [f64]) {
        let z = if self.inverse.is_some() { &self.z } else { &self.q };
        for _ in 0..2 {
            let columns = self.q.chunks_exact(self.n).zip(z.chunks_exact(self.n));
            for ((q, z), sum) in columns.zip(along.iter_mut()) {
                let c = dot(q, w);
                axpy(-c, z, w);
                *sum += c;
            }
        }
    }

    /// Takes `w / ‖w‖` (in the norm of `P⁻¹`) as the next `Pq`; that norm.
    fn push(&mut self, mut w: Vec<f64>) -> Result<f64> {
        let length = normalize(&mut w);
        self.q.truncate(self.k * self.n);
        self.z.truncate(self.k * self.n);
        let Some(inverse) = self.inverse else {
            self.q.append(&mut w);
            return Ok(length);
        };
        let mut q = vec![0.0; self.n];
        product(inverse, &w, &mut q)?;
        let square = dot(&w, &q);
        if square <= 0.0 {
            return Err(Error::Unsupported {
                what: "the spectrum of a pencil",
                requirement: "a positive definite preconditioner",
            });
        }
        let other = square.sqrt();
        scale(1.0 / other, &mut w);
        scale(1.0 / other, &mut q);
        self.q.append(&mut q);
        self.z.append(&mut w);
        Ok(length * other)
    }

    /// Takes a random vector orthogonal to the basis as the next one; `false` if there is none.
    fn begin_random(&mut self) -> Result<bool> {
        for _ in 0..5 {
            let mut w = vec![0.0; self.n];
            normals(self.seed, self.drawn, &mut w);
            self.drawn += 1;
            let before = norm(&w);
            self.q.truncate(self.k * self.n);
            self.project_out(&mut w, &mut vec![0.0; self.k]);
            // A vector that lost nearly all its length is mostly rounding.
            if norm(&w) > 1e-8 * before {
                self.push(w)?;
                self.coupling = 0.0;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the product of the next vector: one more column of `H`, and the vector after it.
    fn extend(&mut self) -> Result<()> {
        let k = self.k;
        let mut w = vec![0.0; self.n];
        product(self.operator, &self.q[k * self.n..(k + 1) * self.n], &mut w)?;
        self.products += 1;
        let mut column = vec![0.0; k + 1];
        self.project_out(&mut w, &mut column);
        self.k = k + 1;
        let sum: f64 = column.iter().map(|c| c.abs()).sum();
        self.h[k * self.capacity..][..=k].copy_from_slice(&column);
        // Without preconditioner the norm is known before the vector is kept.
        let size = norm(&w);
        self.coupling = 0.0;
        if self.k < self.n && size > 0.0 {
            self.coupling = self.push(w)?;
        }
        self.bound = self.bound.max(sum + self.coupling);
        if self.coupling <= BREAKDOWN * self.bound {
            self.coupling = 0.0;
        }
        Ok(())
    }

    /// Decomposes `H`.
    fn ritz(&self, eigen: &mut SymmetricEigen) -> Result<()> {
        let k = self.k;
        let mut h = vec![0.0; k * k];
        // In units of its norm, so that no square overflows.
        let unit = if self.bound > 0.0 { self.bound } else { 1.0 };
        for j in 0..k {
            for i in 0..=j {
                let entry = self.h[j * self.capacity + i] / unit;
                (h[j * k + i], h[i * k + j]) = (entry, entry);
            }
        }
        eigen.factor(k, &h)?;
        eigen.scale(unit);
        Ok(())
    }

    /// The residual of Ritz pair `j` by the recurrence.
    fn residual(&self, eigen: &SymmetricEigen, j: usize) -> f64 {
        self.coupling * eigen.vectors()[j * self.k + self.k - 1].abs()
    }

    /// Keeps the Ritz vectors of `chosen` and the newest vector.
    fn restart(&mut self, eigen: &SymmetricEigen, chosen: &[usize]) -> Result<()> {
        let (n, k, p) = (self.n, self.k, chosen.len());
        let y: Vec<f64> = chosen.iter().flat_map(|&j| eigen.vectors()[j * k..(j + 1) * k].iter().copied()).collect();
        for basis in [&mut self.q, &mut self.z] {
            if basis.is_empty() {
                continue;
            }
            let mut kept = vec![0.0; n * p];
            multiply(view(&basis[..n * k], n), view(&y, k), &mut kept);
            kept.extend_from_slice(&basis[n * k..]);
            *basis = kept;
        }
        self.k = p;
        for (i, &j) in chosen.iter().enumerate() {
            self.h[i * self.capacity..][..=i].fill(0.0);
            self.h[i * self.capacity + i] = eigen.values()[j];
        }
        Ok(())
    }

    /// Ritz pair `j` with its true residual.
    fn pair(&mut self, eigen: &SymmetricEigen, j: usize, vector: bool) -> Result<Ritz> {
        let (value, y) = (eigen.values()[j], &eigen.vectors()[j * self.k..(j + 1) * self.k]);
        let combine = |basis: &[f64]| {
            let mut x = vec![0.0; self.n];
            basis.chunks_exact(self.n).zip(y).for_each(|(q, y)| axpy(*y, q, &mut x));
            x
        };
        let x = combine(&self.q);
        let px = if self.inverse.is_some() { combine(&self.z) } else { x.clone() };
        let mut r = vec![0.0; self.n];
        product(self.operator, &x, &mut r)?;
        self.products += 1;
        axpy(-value, &px, &mut r);
        let mut residual = normalize(&mut r);
        if let (Some(inverse), true) = (self.inverse, residual > 0.0) {
            let mut s = vec![0.0; self.n];
            product(inverse, &r, &mut s)?;
            residual *= dot(&r, &s).max(0.0).sqrt();
        }
        // Sums of n terms round by √n units in the last place, typically; a smaller residual is luck.
        let rounding = (8.0 + 2.0 * (self.n as f64).sqrt()) * f64::EPSILON;
        let error = residual.max(rounding * self.bound);
        Ok(Ritz { value, error, vector: if vector { x } else { Vec::new() } })
    }
}
