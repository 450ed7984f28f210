//! Residual elements of one type: the loops over them, compiled once for each type behind an object-safe trait.

use super::ResidualElement;
use crate::problem::RobustLoss;
use pulp::Arch;
use std::ops::Range;

/// How the residuals of a group count.
#[derive(Debug, Clone, Default)]
pub(super) struct Treatment {
    /// Roots of the prior weights, one for each block; none if all are 1.
    pub roots: Vec<f64>,
    /// A loss and its scale.
    pub robust: Option<(RobustLoss, f64)>,
}

/// Elements of one type with their index tuples.
pub(super) trait Group: Send + Sync {
    fn len(&self) -> usize;
    /// Rows and variables of a block.
    fn shape(&self) -> (usize, usize);
    /// The variables of all blocks, one after another.
    fn variables(&self) -> Vec<u32>;
    fn treatment(&mut self) -> &mut Treatment;
    /// Half the sum of the (weighted, robustified) squares of some blocks.
    fn cost(&self, x: &[f64], blocks: Range<usize>) -> f64;
    /// The plain residuals of some blocks.
    fn residuals(&self, x: &[f64], blocks: Range<usize>, out: &mut [f64]);
    /// Residuals and Jacobian of some blocks, weighted and corrected for the loss.
    fn linearize(&self, x: &[f64], blocks: Range<usize>, residual: &mut [f64], jacobian: &mut [f64]);
}

pub(super) struct TypedGroup<E, const N: usize, const M: usize> {
    element: E,
    indices: Vec<[u32; N]>,
    treatment: Treatment,
}

impl<E, const N: usize, const M: usize> TypedGroup<E, N, M> {
    pub fn new(element: E, indices: impl IntoIterator<Item = [usize; N]>) -> Self {
        // An index beyond u32 is beyond any admissible n too, and is refused when the pattern is built.
        let narrow = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
        Self { element, indices: indices.into_iter().map(|tuple| tuple.map(narrow)).collect(), treatment: Treatment::default() }
    }

    fn root(&self, k: usize) -> f64 {
        self.treatment.roots.get(k).copied().unwrap_or(1.0)
    }
}

#[inline(always)]
fn gather<const N: usize>(x: &[f64], tuple: &[u32; N]) -> [f64; N] {
    tuple.map(|i| x[i as usize])
}

#[inline(always)]
fn square<const M: usize>(r: &[f64; M]) -> f64 {
    r.iter().map(|r| r * r).sum()
}

impl<E: ResidualElement<N, M>, const N: usize, const M: usize> Group for TypedGroup<E, N, M> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn shape(&self) -> (usize, usize) {
        (M, N)
    }

    fn variables(&self) -> Vec<u32> {
        self.indices.as_flattened().to_vec()
    }

    fn treatment(&mut self) -> &mut Treatment {
        &mut self.treatment
    }

    fn cost(&self, x: &[f64], blocks: Range<usize>) -> f64 {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut sum = 0.0;
                for k in blocks {
                    let root = self.root(k);
                    let s = root * root * square(&self.element.residuals(k, &gather(x, &self.indices[k])));
                    sum += match self.treatment.robust {
                        None => s,
                        Some((loss, c)) => c * c * loss.rho(s / (c * c))[0],
                    };
                }
                0.5 * sum
            },
        )
    }

    fn residuals(&self, x: &[f64], blocks: Range<usize>, out: &mut [f64]) {
        for (k, out) in blocks.zip(out.chunks_exact_mut(M)) {
            out.copy_from_slice(&self.element.residuals(k, &gather(x, &self.indices[k])));
        }
    }

    fn linearize(&self, x: &[f64], blocks: Range<usize>, residual: &mut [f64], jacobian: &mut [f64]) {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let (rows, matrices) = (residual.as_chunks_mut::<M>().0, jacobian.as_chunks_mut::<N>().0.chunks_exact_mut(M));
                for ((k, row), matrix) in blocks.zip(rows).zip(matrices) {
                    let (mut r, mut j) = self.element.linearize(k, &gather(x, &self.indices[k]));
                    if !self.treatment.roots.is_empty() {
                        let root = self.root(k);
                        r = r.map(|r| root * r);
                        j = j.map(|row| row.map(|v| root * v));
                    }
                    if let Some((loss, c)) = self.treatment.robust {
                        correct(loss, c, &mut r, &mut j);
                    }
                    *row = r;
                    matrix.copy_from_slice(&j);
                }
            },
        );
    }
}

/// Smallest `(1 − α)²`, the part of the curvature along the residual that is left.
const LEAST: f64 = 0.01;

/// Residual and Jacobian whose Gauss–Newton model is that of `½ c² ρ(‖r‖²/c²)`: the gradient exactly, and of the curvature
/// along `r` as much as is positive (Triggs et al. 2000, §4.3).
///
/// With `s = ‖r‖²/c²` and `1 − α = √(1 + 2 s ρ″/ρ′)`: `r ← √ρ′/(1 − α) r`, `J ← √ρ′ (J − α r rᵀJ/‖r‖²)`. Where the root does
/// not exist, or is small, `1 − α` is held at 0.1.
#[inline(always)]
fn correct<const N: usize, const M: usize>(loss: RobustLoss, c: f64, r: &mut [f64; M], jacobian: &mut [[f64; N]; M]) {
    let square = square(r);
    let [_, first, second] = loss.rho(square / (c * c));
    let root = first.sqrt();
    let bent = if first > 0.0 { 1.0 + 2.0 * square / (c * c) * second / first } else { 1.0 };
    let left = bent.max(LEAST).sqrt();
    if square > 0.0 {
        let share = (1.0 - left) / square;
        let along: [f64; N] = std::array::from_fn(|j| (0..M).map(|i| r[i] * jacobian[i][j]).sum());
        for i in 0..M {
            for j in 0..N {
                jacobian[i][j] = root * (jacobian[i][j] - share * r[i] * along[j]);
            }
        }
    }
    *r = r.map(|r| root / left * r);
}
