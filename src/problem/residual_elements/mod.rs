//! Sums of squares of small residual blocks of few variables each ([`ResidualElements`]): `f(x) = ½ Σₖ ‖rₖ(x_{i₁}, …, x_{i_N})‖²`,
//! with prior weights `wₖ` and robust losses, `½ Σₖ c² ρ(wₖ ‖rₖ‖²/c²)`.
//!
//! Blocks of one type form a group that shares one piece of compiled code, so nothing is dispatched or allocated per block.
//! A block owns its rows of the sparse Jacobian, so blocks are evaluated in parallel without any overlap; sums are made in an
//! order that does not depend on the number of threads. Residuals and Jacobian at a point are evaluated together, once, and
//! shared by gradient and curvature; a trial point that is rejected costs its residuals only.

#[cfg(feature = "autodiff")]
mod dual;
mod group;
#[cfg(test)]
mod tests;

use super::kept::{Kept, same_bits};
use super::{Linearization, Linearize, RobustLoss};
use crate::error::{Error, Result};
use crate::linalg::operator::{Form, Gram, JacobianPattern, SparseGram};
use argmin::core::{CostFunction, Error as ArgminError, Gradient};
use group::{Group, TypedGroup};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

#[cfg(feature = "autodiff")]
pub use dual::{AutoResidualElement, DualResidualElement};

/// `M` residuals of `N` variables, in as many variants `k` as there are elements of its type. Data of element `k` (an
/// observation) is the implementor's, looked up by `k`.
///
/// With feature `autodiff`, `AutoResidualElement` derives the Jacobian from one function generic over dual numbers. What is
/// written by hand is checked by [`check::gradient`](crate::problem::check::gradient).
pub trait ResidualElement<const N: usize, const M: usize>: Send + Sync {
    /// `rₖ(x)`.
    fn residuals(&self, k: usize, x: &[f64; N]) -> [f64; M];
    /// `rₖ(x)` and its Jacobian by rows.
    fn linearize(&self, k: usize, x: &[f64; N]) -> ([f64; M], [[f64; N]; M]);
}

/// Blocks in one piece of work; what is added in which order depends on nothing else.
const PIECE: usize = 512;

/// A sum of squares of residual blocks: cost, gradient, and the sparse linear model that Gauss–Newton methods use.
///
/// # Example
/// ```
/// use argmin::core::{CostFunction, Executor, IterState};
/// use curvkit::problem::{ResidualElement, ResidualElements};
/// use curvkit::second_order::methods;
///
/// struct Distance(Vec<f64>); // x₁ − x₀ − dₖ
/// impl ResidualElement<2, 1> for Distance {
///     fn residuals(&self, k: usize, x: &[f64; 2]) -> [f64; 1] { [x[1] - x[0] - self.0[k]] }
///     fn linearize(&self, k: usize, x: &[f64; 2]) -> ([f64; 1], [[f64; 2]; 1]) { (self.residuals(k, x), [[-1.0, 1.0]]) }
/// }
/// // A ring of three points whose distances do not add up.
/// let ring = ResidualElements::builder(3).group(Distance(vec![1.0, 1.0, -1.7]), [[0, 1], [1, 2], [2, 0]]).build()?;
/// let run = Executor::new(ring, methods::levenberg_marquardt_nielsen())
///     .configure(|s: IterState<_, _, (), (), (), f64>| s.param(vec![0.0; 3]).max_iters(50))
///     .run()?;
/// assert!((run.state.best_cost - 0.5 * 3.0 * 0.1 * 0.1).abs() < 1e-12);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct ResidualElements {
    blocks: Arc<Blocks>,
    kept: Kept<Pass>,
}

impl Clone for ResidualElements {
    fn clone(&self) -> Self {
        Self { blocks: self.blocks.clone(), kept: Kept::default() }
    }
}

struct Blocks {
    groups: Vec<Box<dyn Group>>,
    pattern: Arc<JacobianPattern>,
}

/// Collects groups of blocks; [`build`](Self::build) checks them.
pub struct ResidualElementsBuilder {
    n: usize,
    groups: Vec<Box<dyn Group>>,
    failed: Option<Error>,
}

impl ResidualElementsBuilder {
    /// Adds one element type applied to many index tuples; the tuple's position is the element's number `k`. The variables of
    /// a tuple must differ.
    pub fn group<E, const N: usize, const M: usize>(mut self, element: E, indices: impl IntoIterator<Item = [usize; N]>) -> Self
    where
        E: ResidualElement<N, M> + 'static,
    {
        self.groups.push(Box::new(TypedGroup::new(element, indices)));
        self
    }

    /// Gives the blocks of the last group prior weights `wₖ ≥ 0`, one each: `wₖ ‖rₖ‖²` counts.
    pub fn weights(mut self, weights: &[f64]) -> Self {
        let len = self.groups.last().map_or(0, |group| group.len());
        let checked = Error::check_len("weights of a group", len, weights.len()).and_then(|()| {
            let bad = weights.iter().find(|w| !(**w >= 0.0 && w.is_finite()));
            Error::check_option(bad.is_none(), "weight", "finite and not negative", bad.copied().unwrap_or(0.0))
        });
        self.treat(checked, |treatment| treatment.roots = weights.iter().map(|w| w.sqrt()).collect());
        self
    }

    /// Gives the blocks of the last group a robust loss with scale `c`: `c² ρ(wₖ ‖rₖ‖²/c²)` counts.
    pub fn robust(mut self, loss: RobustLoss, scale: f64) -> Self {
        let checked = Error::check_option(scale > 0.0 && scale.is_finite(), "scale", "positive and finite", scale);
        self.treat(checked, |treatment| treatment.robust = Some((loss, scale)));
        self
    }

    fn treat(&mut self, checked: Result<()>, set: impl FnOnce(&mut group::Treatment)) {
        let missing = Error::Unsupported { what: "a weight or a loss", requirement: "a group before it" };
        match (checked, self.groups.last_mut()) {
            (Ok(()), Some(group)) => set(group.treatment()),
            (Err(error), _) => self.failed = self.failed.take().or(Some(error)),
            (_, None) => self.failed = self.failed.take().or(Some(missing)),
        }
    }

    /// The problem, with the pattern of its Jacobian.
    ///
    /// # Errors
    /// [`Error::Dimension`] if an index is not below `n` or the weights are not as many as the blocks of their group;
    /// [`Error::Config`] for a variable that stands twice in a tuple, a weight that is negative or not finite, a scale that is
    /// not positive; [`Error::Unsupported`] for weights or a loss without a group.
    pub fn build(self) -> Result<ResidualElements> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let shapes = self.groups.iter().map(|group| (group.shape().0, group.shape().1, group.variables())).collect();
        let pattern = Arc::new(JacobianPattern::new(self.n, shapes)?);
        Ok(ResidualElements { blocks: Arc::new(Blocks { groups: self.groups, pattern }), kept: Kept::default() })
    }
}

impl ResidualElements {
    /// Starts a sum over `n` variables.
    pub fn builder(n: usize) -> ResidualElementsBuilder {
        ResidualElementsBuilder { n, groups: Vec::new(), failed: None }
    }

    /// The pattern of the Jacobian, shared by all points.
    pub fn pattern(&self) -> &Arc<JacobianPattern> {
        &self.blocks.pattern
    }

    /// The plain residuals `r(x)`, `m` values, without weights and losses.
    ///
    /// # Errors
    /// [`Error::Dimension`] if `x` has not `n` entries.
    pub fn residuals_at(&self, x: &[f64]) -> Result<Vec<f64>> {
        Error::check_len("point", self.blocks.pattern.n(), x.len())?;
        let mut out = vec![0.0; self.blocks.pattern.m()];
        for (group, rows) in self.blocks.groups.iter().zip(self.blocks.pattern.groups()) {
            group.residuals(x, 0..group.len(), &mut out[rows.all_rows()]);
        }
        Ok(out)
    }

    fn pass(&self, x: &[f64]) -> Result<Arc<Pass>> {
        Error::check_len("point", self.blocks.pattern.n(), x.len())?;
        let renew = |pass: &mut Pass| {
            pass.renew(x);
            Ok(())
        };
        self.kept.at(|pass| same_bits(&pass.x, x), renew, || Ok(Pass::new(self.blocks.clone(), x)), Arc::clone)
    }
}

impl Blocks {
    fn cost(&self, x: &[f64]) -> f64 {
        let of = |group: &dyn Group| {
            let piece = |c: usize| group.cost(x, c * PIECE..((c + 1) * PIECE).min(group.len()));
            match group.len().div_ceil(PIECE) {
                1 => piece(0),
                n => (0..n).into_par_iter().map(piece).collect::<Vec<f64>>().iter().sum(),
            }
        };
        self.groups.iter().map(|group| of(&**group)).sum()
    }

    fn linearize(&self, x: &[f64], linear: &mut Linear) {
        linear.values.resize(self.pattern.nnz(), 0.0);
        linear.residual.resize(self.pattern.m(), 0.0);
        for (group, place) in self.groups.iter().zip(self.pattern.groups()) {
            let (m, n) = group.shape();
            let residuals = linear.residual[place.all_rows()].par_chunks_mut(PIECE * m);
            let values = linear.values[place.all_values()].par_chunks_mut(PIECE * m * n);
            residuals.zip(values).enumerate().for_each(|(c, (residual, jacobian))| {
                group.linearize(x, c * PIECE..((c + 1) * PIECE).min(group.len()), residual, jacobian);
            });
        }
    }
}

/// The model `r + J p` at a point.
#[derive(Default)]
struct Linear {
    residual: Vec<f64>,
    values: Vec<f64>,
}

/// A point with its cost, and its linear model once it was asked for.
struct Pass {
    blocks: Arc<Blocks>,
    x: Vec<f64>,
    cost: f64,
    linear: OnceLock<Linear>,
    /// Buffers of an earlier point.
    idle: Mutex<Linear>,
}

impl Pass {
    fn new(blocks: Arc<Blocks>, x: &[f64]) -> Self {
        let cost = blocks.cost(x);
        Self { blocks, x: x.to_vec(), cost, linear: OnceLock::new(), idle: Mutex::default() }
    }

    /// Moves to another point, in the same buffers.
    fn renew(&mut self, x: &[f64]) {
        if let Some(linear) = self.linear.take() {
            self.idle = Mutex::new(linear);
        }
        self.x.copy_from_slice(x);
        self.cost = self.blocks.cost(x);
    }

    fn sparse_gram(&self) -> Result<SparseGram<'_>> {
        let linear = match self.linear.get() {
            Some(linear) => linear,
            None => {
                let mut linear = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
                self.blocks.linearize(&self.x, &mut linear);
                self.linear.get_or_init(|| linear)
            }
        };
        SparseGram::new(&self.blocks.pattern, &linear.values, &linear.residual)
    }
}

impl Linearization for Pass {
    fn cost(&self) -> f64 {
        self.cost
    }
    fn gram(&self) -> Result<Gram<'_>> {
        Err(Error::Unsupported { what: "a dense Jacobian", requirement: "residuals that are not sparse elements" })
    }
    fn form(&self) -> Result<Form<'_>> {
        self.sparse_gram().map(Form::SparseGram)
    }
    fn bend(&self, _: &[f64], _: &mut [f64]) -> Result<()> {
        Err(Error::Unsupported { what: "geodesic acceleration", requirement: "a dense Jacobian" })
    }
}

impl CostFunction for ResidualElements {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
        Ok(self.pass(x)?.cost)
    }
}

impl Gradient for ResidualElements {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
        let mut g = vec![0.0; x.len()];
        self.pass(x)?.sparse_gram()?.gradient(&mut g);
        Ok(g)
    }
}

impl Linearize for ResidualElements {
    fn linearize(&self, x: &Vec<f64>) -> Result<Arc<dyn Linearization>> {
        Ok(self.pass(x)?)
    }
}
