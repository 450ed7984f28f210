//! A quadratic model seen through a growing Lanczos basis: what [`Gltr`](super::Gltr) and
//! [`CubicLanczos`](super::CubicLanczos) share.
//!
//! The residual of the full problem at `s = Qy` is `γ_{k+1} |y_k|`, so it is known without a product. The basis does
//! not depend on the size: another size is solved on the matrix at hand, and extends the basis only if its residual
//! asks for it. The Krylov space of `g` alone never shows an eigenvector orthogonal to `g`, which is where the hard case
//! lives. So at an invariant subspace the basis goes on with a random vector orthogonal to it; where the subspace is
//! invariant but for a coupling far below what the step asks for, the vectors after it serve as well. The search ends when
//! the smallest Ritz value of the new vectors alone has settled, or when they show nothing that was not known.

use super::tridiagonal_model::{Hold, Solution, TridiagonalModel};
use super::{Model, Step};
use crate::error::{Error, Result};
use crate::linalg::krylov::lanczos::Basis;
use crate::linalg::vector::norm;

/// When a step is good enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Test {
    /// `‖(B+λI)s + g‖ ≤ η ‖g‖`.
    Gradient(f64),
    /// `‖(B+λI)s + g‖ ≤ η (‖T‖‖s‖ + ‖g‖)`, and as good for the leftmost eigenvalue.
    Backward(f64),
}

/// Basis, matrix and the state of the search.
#[derive(Debug, Clone, Default)]
pub(crate) struct LanczosModel {
    basis: Basis,
    secular: TridiagonalModel,
    gradient_norm: f64,
    /// Whether the basis has gone beyond the Krylov space of `g`.
    outside: bool,
    pub(crate) solution: Solution,
}

/// Seed of the random restart: fixed, so that runs repeat.
const SEED: u64 = 0x1a2b_3c4d;
/// A coupling below this multiple of `‖T‖` leaves `g` in a subspace that is invariant for all that a step asks for.
const NEARLY: f64 = 1e-8;

impl LanczosModel {
    /// Begins at the gradient; at most `memory` bytes are kept as basis.
    pub(crate) fn prepare(&mut self, model: &Model<'_>, max_iterations: Option<u64>, memory: usize) -> Result<()> {
        let n = model.gradient.len();
        Error::check_len("operator", n, model.curvature.dim())?;
        Error::check_finite("gradient", model.gradient)?;
        let room = (memory / (8 * n.max(1))).max(2);
        let limit = max_iterations.and_then(|m| usize::try_from(m).ok()).unwrap_or(usize::MAX);
        self.basis.clear(n, room.min(limit));
        self.secular.reset();
        self.gradient_norm = norm(model.gradient);
        self.solution = Solution::default();
        self.outside = self.gradient_norm == 0.0;
        if !self.outside {
            self.basis.begin(model.gradient, self.gradient_norm);
        } else if n > 0 {
            self.basis.begin_random(SEED);
        }
        Ok(())
    }

    /// Solves for `hold`, extending the basis as far as `test` asks; `certify` more products at most are spent once
    /// it is met.
    pub(crate) fn step(&mut self, model: &Model<'_>, hold: Hold, test: Test, certify: u64, p: &mut [f64]) -> Result<Step> {
        Error::check_len("step", model.gradient.len(), p.len())?;
        let before = self.basis.len();
        let mut good_since = None;
        if !p.is_empty() {
            if before == 0 {
                self.basis.extend(model.curvature)?;
            }
            loop {
                self.solution = self.secular.solve(&self.basis.diagonal, self.basis.off_diagonal(), self.gradient_norm, hold);
                if !self.wants_more(test, certify, &mut good_since) {
                    break;
                }
                self.basis.extend(model.curvature)?;
            }
        }
        self.basis.combine(&self.secular.y, p);
        let along = self.secular.y.first().map_or(0.0, |y| y * self.gradient_norm);
        Ok(Step {
            predicted: self.solution.predicted,
            slope: along,
            length: self.solution.length,
            inner: (self.basis.len() - before) as u64,
        })
    }

    /// Whether another product is called for; readies the basis for it.
    fn wants_more(&mut self, test: Test, certify: u64, good_since: &mut Option<usize>) -> bool {
        let k = self.basis.len();
        if self.basis.full() {
            return false;
        }
        let coupling = self.basis.coupling();
        if coupling == 0.0 {
            // Invariant: exact within it. Outside there may be a lower eigenvalue.
            self.outside = true;
            return self.basis.look_outside(SEED);
        }
        let last = self.secular.y.last().map_or(0.0, |y| y.abs());
        let residual = coupling * last;
        let backward = self.basis.norm_bound() * self.solution.length + self.gradient_norm;
        let good = match test {
            Test::Gradient(eta) if !self.outside => residual <= eta * self.gradient_norm,
            Test::Gradient(eta) => residual <= eta * backward,
            Test::Backward(eta) => residual <= 0.1 * eta * backward,
        };
        if !good {
            *good_since = None;
            return true;
        }
        // Where T is all but zero, the multiplier tells what a coupling counts against.
        if !self.outside && coupling <= NEARLY * self.basis.norm_bound().max(self.solution.multiplier) {
            self.outside = true;
            self.basis.begin_block();
            return true;
        }
        if self.outside && !self.leftmost_seen(test) {
            return true;
        }
        // A direction that g misses almost, but not to rounding, shows up only when the Krylov space goes on growing;
        // the Ritz values may all have settled long before.
        let since = *good_since.get_or_insert(k);
        (k - since) < usize::try_from(certify).unwrap_or(usize::MAX)
    }

    /// Whether the leftmost Ritz value of what lies outside is as converged as the step has to be.
    fn leftmost_seen(&mut self, test: Test) -> bool {
        let norm = self.basis.norm_bound();
        self.basis.block_end().is_some_and(|end| match test {
            Test::Backward(eta) => end.residual <= 0.1 * eta * norm,
            // A rough solver needs the sign, and the size roughly.
            Test::Gradient(_) => end.residual <= (0.1 * end.value.abs()).max(1e-6 * norm),
        })
    }
}
