//! Model in the eigenbasis of `B`: what the near-exact ball and cubic solvers share for small and for diagonal `B`.
//!
//! Everything is scaled by powers of two, which is exact: `B = 2ʰ H`, `g = 2ᵉ γ` with entries of `H` and `γ` below 2,
//! so that no combination of the scales of `B`, `g` and the size overflows on the way to a representable answer.

use super::secular::{Root, Secular, Target};
use super::{Model, Step};
use crate::error::{Error, Result};
use crate::linalg::factor::SymmetricEigen;
use crate::linalg::operator::{Form, write_dense};
use crate::linalg::power::{exponent, scale_by_power, times_power};
use crate::linalg::vector::{Ranged, axpy, dot, norm, norm_inf};

/// Exponents of the scaled problem stay inside the range of `f64`.
const RANGE: i32 = 1000;

/// The scaled matrix and gradient, a Newton step if `B` is positive definite, and (once asked for) the eigenbasis.
#[derive(Debug, Clone, Default)]
pub(super) struct Spectral {
    n: usize,
    /// `H` is diagonal: its entries are the eigenvalues and the axes the eigenvectors.
    axes: bool,
    decomposed: bool,
    entries: Vec<f64>,
    gradient: Vec<f64>,
    matrix_exponent: i32,
    gradient_exponent: i32,
    zero_matrix: bool,
    zero_gradient: bool,
    cholesky: Vec<f64>,
    newton: Vec<f64>,
    /// Length and `−γᵀy` of the Newton step `y`.
    newton_size: Option<(f64, f64)>,
    eigen: SymmetricEigen,
    secular: Secular,
    factorizations: u64,
}

/// A step and its multiplier.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Solution {
    pub step: Step,
    pub multiplier: f64,
}

impl Spectral {
    /// Makes room for a diagonal model of `n` variables.
    pub fn reserve(&mut self, n: usize) {
        let Secular { gaps, gamma, direction, .. } = &mut self.secular;
        for buffer in [&mut self.entries, &mut self.gradient, &mut self.newton, gaps, gamma, direction] {
            buffer.reserve(n.saturating_sub(buffer.len()));
        }
    }

    /// Copies and scales the model.
    pub fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let n = model.gradient.len();
        Error::check_len("curvature", n, model.curvature.dim())?;
        (self.n, self.decomposed, self.factorizations) = (n, false, 0);
        self.load_matrix(model)?;
        let largest = check_largest("curvature", &self.entries)?;
        self.zero_matrix = largest == 0.0;
        self.matrix_exponent = exponent(largest);
        scale_by_power(&mut self.entries, -self.matrix_exponent);
        self.gradient.clear();
        self.gradient.extend_from_slice(model.gradient);
        let largest = check_largest("gradient", model.gradient)?;
        self.zero_gradient = largest == 0.0;
        self.gradient_exponent = exponent(largest);
        scale_by_power(&mut self.gradient, -self.gradient_exponent);
        Ok(())
    }

    fn load_matrix(&mut self, model: &Model<'_>) -> Result<()> {
        let n = self.n;
        self.axes = true;
        match model.curvature.form() {
            Form::Diagonal(d) => {
                Error::check_len("curvature", n, d.len())?;
                self.entries.clear();
                self.entries.extend_from_slice(d);
            }
            Form::ScaledIdentity(c) => {
                self.entries.clear();
                self.entries.resize(n, c);
            }
            _ => {
                self.axes = false;
                self.entries.resize(n * n, 0.0);
                write_dense(model.curvature, &mut self.entries)?;
            }
        }
        Ok(())
    }

    /// Matrix factorizations since `prepare`.
    pub fn factorizations(&self) -> u64 {
        self.factorizations
    }

    /// Tries `H y = −γ` by Cholesky. A pivot at the rounding level of its own diagonal entry counts as a failure, a
    /// test that no scaling of the variables changes.
    pub fn try_newton(&mut self) {
        self.factorizations += 1;
        self.newton.resize(self.n, 0.0);
        let positive = if self.axes { self.newton_on_axes() } else { self.newton_by_cholesky() };
        self.newton_size = positive.then(|| (norm(&self.newton), -dot(&self.gradient, &self.newton)));
    }

    fn newton_on_axes(&mut self) -> bool {
        for ((y, g), d) in self.newton.iter_mut().zip(&self.gradient).zip(&self.entries) {
            *y = -g / d;
        }
        self.entries.iter().all(|d| *d > 0.0)
    }

    fn newton_by_cholesky(&mut self) -> bool {
        let n = self.n;
        if let ([a, b, _, c], [g, h], [x, y]) = (&self.entries[..], &self.gradient[..], &mut self.newton[..]) {
            // Two variables: the same elimination written out.
            let ratio = b / a;
            let pivot = c - ratio * b;
            *y = (ratio * g - h) / pivot;
            *x = -(g + b * *y) / a;
            return *a > 0.0 && pivot > 2.0 * f64::EPSILON * c;
        }
        self.cholesky.clear();
        self.cholesky.extend_from_slice(&self.entries);
        let tolerance = n as f64 * f64::EPSILON;
        let l = &mut self.cholesky;
        for j in 0..n {
            let pivot = l[j * n + j];
            if pivot <= tolerance * self.entries[j * n + j].abs() {
                return false;
            }
            let root = pivot.sqrt();
            let (done, rest) = l.split_at_mut((j + 1) * n);
            let column = &mut done[j * n + j..];
            column.iter_mut().for_each(|v| *v /= root);
            for (k, other) in rest.chunks_exact_mut(n).enumerate() {
                let c = column[k + 1];
                if c != 0.0 {
                    axpy(-c, &column[k + 1..], &mut other[j + 1 + k..]);
                }
            }
        }
        for (y, g) in self.newton.iter_mut().zip(&self.gradient) {
            *y = -g;
        }
        for j in 0..n {
            let column = &l[j * n + j..(j + 1) * n];
            let (head, tail) = self.newton[j..].split_at_mut(1);
            head[0] /= column[0];
            axpy(-head[0], &column[1..], tail);
        }
        for j in (0..n).rev() {
            let column = &l[j * n + j..(j + 1) * n];
            let (head, tail) = self.newton[j..].split_at_mut(1);
            head[0] = (head[0] - dot(&column[1..], tail)) / column[0];
        }
        true
    }

    /// Minimizes `gᵀp + ½pᵀBp` over `‖p‖ ≤ radius`.
    pub fn ball(&mut self, radius: f64, p: &mut [f64]) -> Result<Solution> {
        Error::check_len("step", self.n, p.len())?;
        let inverse_scale = self.gradient_exponent - self.matrix_exponent;
        // The radius in the scale of y: may underflow to zero or overflow to infinity, which compares rightly.
        let reach = times_power(radius, -inverse_scale);
        let fits = |found: &(f64, f64)| found.0 <= reach;
        if let Some((length, descent)) = self.newton_size.filter(fits) {
            return Ok(self.interior(length, descent, Source::Newton, p));
        }
        self.decompose()?;
        if self.newton_size.is_none() {
            // Semidefinite to rounding: the shortest solution first, then one with every positive eigenvalue.
            for cut in [self.n as f64 * f64::EPSILON, 0.0] {
                if let Some((length, descent)) = self.secular.unconstrained(cut).filter(fits) {
                    return Ok(self.interior(length, descent, Source::Direction, p));
                }
            }
        }
        // (t H + λ̂) u = −γ with p = 2ʳ u and ‖u‖ = radius / 2ʳ in [1, 2).
        let r = exponent(radius);
        let wanted = self.matrix_exponent + r - self.gradient_exponent;
        let wanted = if self.zero_gradient { 0 } else { wanted };
        let power = wanted.clamp(-RANGE, RANGE);
        let t = if self.zero_matrix { 0.0 } else { times_power(1.0, power) };
        let root = self.secular.solve(t, Target::Ball(times_power(radius, -r)));
        let multiplier = if (power > 0 && !self.zero_matrix) || self.zero_gradient {
            times_power(root.lambda, self.matrix_exponent - power)
        } else {
            times_power(root.lambda, self.gradient_exponent - r)
        };
        Ok(self.boundary(&root, multiplier, radius, 0.5, p))
    }

    /// Minimizes `gᵀp + ½pᵀBp + (σ/3)‖p‖³`.
    pub fn cubic(&mut self, sigma: f64, p: &mut [f64]) -> Result<Solution> {
        Error::check_len("step", self.n, p.len())?;
        self.decompose()?;
        if self.zero_gradient && self.secular.lowest() >= 0.0 {
            p.fill(0.0);
            return Ok(Solution::default());
        }
        // p = 2ˡ z with 2²ˡ ≈ |g| / σ: then (t H + λ̂) z = −γ, λ̂ = σ̂ ‖z‖ with σ̂ in [½, 4).
        let e = if self.zero_gradient { 2 * self.matrix_exponent - exponent(sigma) } else { self.gradient_exponent };
        let l = (e - exponent(sigma)).div_euclid(2);
        let power = (self.matrix_exponent + l - e).clamp(-RANGE, RANGE);
        let t = if self.zero_matrix { 0.0 } else { times_power(1.0, power) };
        let scaled = times_power(sigma, 2 * l - e);
        let root = self.secular.solve(t, Target::Cubic(scaled));
        let multiplier = times_power(root.lambda, e - l);
        let length = times_power(root.lambda / scaled, l);
        Ok(self.boundary(&root, multiplier, length, 1.0 / 6.0, p))
    }

    fn decompose(&mut self) -> Result<()> {
        if self.decomposed {
            return Ok(());
        }
        if self.axes {
            self.secular.load(&self.entries);
            self.secular.gamma.copy_from_slice(&self.gradient);
        } else {
            self.factorizations += 1;
            self.eigen.factor(self.n, &self.entries)?;
            self.secular.load(self.eigen.values());
            self.eigen.to_basis(&self.gradient, &mut self.secular.gamma);
        }
        self.decomposed = true;
        Ok(())
    }

    /// `p = 2^(e−h) y` with `λ = 0`; predicted `½ (−gᵀp)`.
    fn interior(&self, length: f64, descent: f64, source: Source, p: &mut [f64]) -> Solution {
        let (e, h) = (self.gradient_exponent, self.matrix_exponent);
        match source {
            Source::Newton => p.copy_from_slice(&self.newton),
            Source::Direction => self.to_space(&self.secular.direction, p),
        }
        scale_by_power(p, e - h);
        let descent = times_power(descent, 2 * e - h);
        let step = Step { predicted: 0.5 * descent, slope: -descent, length: times_power(length, e - h), inner: 0 };
        Solution { step, multiplier: 0.0 }
    }

    /// `p = length Q v`; predicted `½ (−gᵀp) + share λ ‖p‖²`, a sum of terms that are not negative.
    fn boundary(&self, root: &Root, multiplier: f64, length: f64, share: f64, p: &mut [f64]) -> Solution {
        self.to_space(&self.secular.direction, p);
        // Q is orthogonal to rounding only, so the size is taken after the rotation.
        let size = if self.axes { 1.0 } else { norm(p) };
        let factor = if size > 0.0 { length / size } else { length };
        p.iter_mut().for_each(|v| *v *= factor);
        let along = Ranged::product(&[root.descent, length]);
        let descent = Ranged { exponent: along.exponent + self.gradient_exponent, ..along };
        let half = Ranged { significand: 0.5 * descent.significand, ..descent };
        // A multiplier beyond range dwarfs the matrix: λ‖p‖² = −gᵀp.
        let held = match multiplier.is_finite() {
            true => Ranged::product(&[share, multiplier, length, length]),
            false => Ranged { significand: share * descent.significand, ..descent },
        };
        let predicted = half.plus(held).value();
        let descent = descent.value();
        Solution { step: Step { predicted, slope: -descent, length, inner: root.steps }, multiplier }
    }

    fn to_space(&self, y: &[f64], p: &mut [f64]) {
        if self.axes {
            p.copy_from_slice(y);
        } else {
            self.eigen.from_basis(y, p);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Newton,
    Direction,
}

/// `max |v|`, an error if an entry is not finite.
fn check_largest(what: &'static str, v: &[f64]) -> Result<f64> {
    let largest = norm_inf(v);
    if largest.is_finite() { Ok(largest) } else { Error::check_finite(what, v).map(|()| largest) }
}
