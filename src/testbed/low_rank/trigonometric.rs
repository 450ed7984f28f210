//! Trigonometric: `f(x) = Σ rᵢ²`, `rᵢ = n − Σⱼ cos xⱼ + i (1 − cos xᵢ) − sin xᵢ`. Moré, Garbow and Hillstrom (1981), problem 26.
//!
//! With `s = sin x`, `tᵢ = i sᵢ − cos xᵢ` and `R = Σ rᵢ` the gradient is `2 (R s + r∘t)` and the Hessian the diagonal
//! `2 (t² + R cos x + r∘(i cos x + s))` plus the rank-two matrix `2 (n ssᵀ + stᵀ + tsᵀ)`.

use super::{dense, dense_allowed};
use crate::error::{Error, Result};
use crate::problem::{Function, HessianMatrix};
use crate::testbed::local::{fill, sum};

pub(super) struct Trigonometric(pub(super) usize);

/// What one variable contributes.
struct Site {
    /// `i (1 − cos xᵢ) − sin xᵢ`.
    own: f64,
    s: f64,
    c: f64,
    /// `i sᵢ − cos xᵢ`.
    t: f64,
    i: f64,
}

impl Site {
    #[inline(always)]
    fn at(x: &[f64], j: usize) -> Self {
        let i = (j + 1) as f64;
        let (s, c) = x[j].sin_cos();
        Site { own: i * (1.0 - c) - s, s, c, t: i * s - c, i }
    }

    /// Diagonal part of half the Hessian, where `lift = Σ (1 − cos xⱼ)` and `total = Σ rᵢ`.
    #[inline(always)]
    fn half_diagonal(&self, lift: f64, total: f64) -> f64 {
        self.t * self.t + self.c * total + (lift + self.own) * (self.i * self.c + self.s)
    }
}

/// `Σ (1 − cos xⱼ)`, `Σ rᵢ`, `sᵀv` and `tᵀv`.
fn totals(x: &[f64], v: &[f64]) -> [f64; 4] {
    let [lift, own, sv, tv] = sum(0..x.len(), 1, &|range| {
        range.fold([0.0; 4], |[lift, own, sv, tv], j| {
            let site = Site::at(x, j);
            [lift + (1.0 - site.c), own + site.own, sv + site.s * v[j], tv + site.t * v[j]]
        })
    });
    [lift, x.len() as f64 * lift + own, sv, tv]
}

impl Function for Trigonometric {
    fn dim(&self) -> usize {
        self.0
    }

    fn cost(&self, x: &[f64]) -> Result<f64> {
        Error::check_len("point", self.0, x.len())?;
        let [lift, ..] = totals(x, x);
        let square = |j: usize| (lift + Site::at(x, j).own).powi(2);
        Ok(sum(0..x.len(), 1, &|range| [range.map(square).sum()])[0])
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.0, x.len())?;
        Error::check_len("gradient", self.0, out.len())?;
        let [lift, total, ..] = totals(x, x);
        fill(out, 1, &|first, out| {
            for (j, o) in (first..).zip(out) {
                let site = Site::at(x, j);
                *o = 2.0 * (total * site.s + (lift + site.own) * site.t);
            }
        });
        Ok(())
    }

    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        Error::check_len("point", self.0, x.len())?;
        dense_allowed(self.0)?;
        let [lift, total, ..] = totals(x, x);
        let sites: Vec<Site> = (0..x.len()).map(|j| Site::at(x, j)).collect();
        let n = self.0 as f64;
        dense(self.0, |i, j| {
            let (p, q) = (&sites[i], &sites[j]);
            let low_rank = n * (p.s * q.s) + (p.s * q.t + q.s * p.t);
            2.0 * if i == j { low_rank + p.half_diagonal(lift, total) } else { low_rank }
        })
    }

    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.0, x.len())?;
        Error::check_len("direction", self.0, v.len())?;
        Error::check_len("product", self.0, out.len())?;
        let n = self.0 as f64;
        let [lift, total, sv, tv] = totals(x, v);
        fill(out, 1, &|first, out| {
            for (j, o) in (first..).zip(out) {
                let site = Site::at(x, j);
                *o = 2.0 * (site.s * (n * sv + tv) + site.t * sv + site.half_diagonal(lift, total) * v[j]);
            }
        });
        Ok(())
    }
}
