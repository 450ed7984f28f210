//! What products tell of a symmetric matrix: its extreme eigenvalues, trace, diagonal, norm, density of eigenvalues and
//! log-determinant.
//!
//! Everything here asks a [`SymmetricOperator`] for products only, counts them, and returns an error bar with each number:
//! a residual bound where the answer is an eigenvalue ([`Lanczos`]), a standard error where it is an average over random
//! probes ([`Estimate`]). Probes come from an explicit seed, and the first of them are the same however many are asked for.
//!
//! | question | answer |
//! |---|---|
//! | smallest and largest eigenvalues, condition number, also of `P⁻¹B` | [`Lanczos::extremes`], [`Lanczos::pencil`] |
//! | `B ≈ V diag(w) Vᵀ` | [`Lanczos::low_rank`] |
//! | `tr B` | [`xtrace`], [`hutch_plus_plus`], [`hutchinson_trace`] |
//! | `diag B` | [`xdiag`], [`hutchinson_diagonal`] |
//! | `‖B‖_F` | [`frobenius_norm`] |
//! | density of the eigenvalues, `tr f(B)`, `log det B` | [`Quadrature`] |

mod density;
mod diagonal;
mod lanczos;
mod leave_one_out;
mod low_rank;
mod quadrature;
mod ritz;
mod trace;

#[cfg(test)]
mod testing;

use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::linalg::vector::scale;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub use density::{Axis, Density};
pub use diagonal::{DiagonalEstimate, hutchinson_diagonal, xdiag};
pub use lanczos::Lanczos;
pub use low_rank::LeadingPairs;
pub use quadrature::{Quadrature, SpectralMeasure};
pub use ritz::{ConditionNumber, Extremes, Ritz};
pub use trace::{frobenius_norm, hutch_plus_plus, hutchinson_trace, xtrace};

/// A number found from random probes, with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error, estimated from the spread of the probes; zero if the value is exact up to rounding.
    pub error: f64,
    /// Products made.
    pub products: u64,
}

impl Estimate {
    fn exact(value: f64, products: usize) -> Self {
        Self { value, error: 0.0, products: products as u64 }
    }

    /// Mean and standard error of at least two samples, whose squares may lie out of range.
    fn of(samples: &[f64], products: usize) -> Self {
        let size = samples.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        if size == 0.0 {
            return Self::exact(0.0, products);
        }
        let count = samples.len() as f64;
        let mean = samples.iter().map(|v| v / size).sum::<f64>() / count;
        let spread = samples.iter().map(|v| (v / size - mean).powi(2)).sum::<f64>();
        let error = (spread / (count - 1.0) / count).sqrt();
        Self { value: mean * size, error: error * size, products: products as u64 }
    }
}

/// The `index`-th stream of random numbers of a seed.
fn stream(seed: u64, index: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index as u64);
    rng
}

/// Independent signs.
fn signs(seed: u64, index: usize, out: &mut [f64]) {
    let mut rng = stream(seed, index);
    for part in out.chunks_mut(64) {
        let bits = rng.next_u64();
        part.iter_mut().enumerate().for_each(|(i, v)| *v = if bits >> i & 1 == 1 { 1.0 } else { -1.0 });
    }
}

/// Independent standard normal numbers.
fn normals(seed: u64, index: usize, out: &mut [f64]) {
    let mut rng = stream(seed, index);
    out.iter_mut().for_each(|v| *v = StandardNormal.sample(&mut rng));
}

/// `k` probes as columns.
fn probes(n: usize, k: usize, fill: impl Fn(usize, &mut [f64])) -> Vec<f64> {
    let mut columns = vec![0.0; n * k];
    columns.chunks_exact_mut(n).enumerate().for_each(|(i, column)| fill(i, column));
    columns
}

/// `B V` for columns `V` of length `n`.
fn products(operator: &dyn SymmetricOperator, columns: &[f64]) -> Result<Vec<f64>> {
    let n = operator.dim();
    let mut out = vec![0.0; columns.len()];
    columns.chunks_exact(n).zip(out.chunks_exact_mut(n)).try_for_each(|(v, o)| product(operator, v, o))?;
    Ok(out)
}

/// `out ← B v`, which must be finite.
fn product(operator: &dyn SymmetricOperator, v: &[f64], out: &mut [f64]) -> Result<()> {
    operator.apply(v, out)?;
    Error::check_finite("operator product", out)
}

/// Calls `visit(j, B e_j)` for every unit vector.
fn for_columns(operator: &dyn SymmetricOperator, mut visit: impl FnMut(usize, &[f64])) -> Result<()> {
    let n = operator.dim();
    let (mut unit, mut column) = (vec![0.0; n], vec![0.0; n]);
    for j in 0..n {
        unit[j] = 1.0;
        product(operator, &unit, &mut column)?;
        unit[j] = 0.0;
        visit(j, &column);
    }
    Ok(())
}

/// Checks the number of probes and that there is something to probe.
fn check(operator: &dyn SymmetricOperator, name: &str, requirement: &'static str, found: usize, least: usize) -> Result<()> {
    Error::check_option(found >= least, name, requirement, found)?;
    Error::check_option(operator.dim() > 0, "operator", "of positive dimension", 0)
}

/// `v ← v / ‖v‖`; the norm.
fn normalize(v: &mut [f64]) -> f64 {
    let length = crate::linalg::vector::norm(v);
    if length > 0.0 {
        // A reciprocal of a subnormal length would overflow.
        if length > 1e-290 { scale(1.0 / length, v) } else { v.iter_mut().for_each(|v| *v /= length) }
    }
    length
}
