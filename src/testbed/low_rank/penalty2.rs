//! Penalty II, Moré, Garbow and Hillstrom (1981), problem 24: with `eⱼ = exp(xⱼ/10)`, `a = 10⁻⁵`,
//! `f(x) = (x₁ − 0.2)² + a Σᵢ₌₂ⁿ [(eᵢ + eᵢ₋₁ − yᵢ)² + (eᵢ − exp(−0.1))²] + (Σⱼ (n−j+1) xⱼ² − 1)²`,
//! `yᵢ = exp(i/10) + exp((i−1)/10)`. The Hessian is tridiagonal plus `8 wwᵀ`, `wⱼ = (n−j+1) xⱼ`.

use super::{WEIGHT, dense, dense_allowed};
use crate::error::{Error, Result};
use crate::problem::{Function, HessianMatrix};

/// Largest dimension: beyond, `yᵢ²` leaves the range of numbers.
pub(super) const LARGEST: usize = 3500;

pub(super) struct Penalty2 {
    /// `yᵢ`; the first is not used.
    y: Vec<f64>,
}

impl Penalty2 {
    pub(super) fn new(n: usize) -> Self {
        Self { y: (0..n).map(|j| ((j + 1) as f64 / 10.0).exp() + (j as f64 / 10.0).exp()).collect() }
    }

    /// The weight `n − j` of `xⱼ²`, `j` from zero.
    #[inline(always)]
    fn weight(&self, j: usize) -> f64 {
        (self.y.len() - j) as f64
    }

    /// `Σ (n−j) xⱼ² − 1` and `Σ (n−j) xⱼ vⱼ`.
    fn excess(&self, x: &[f64], v: &[f64]) -> (f64, f64) {
        let (mut s, mut along) = (-1.0, 0.0);
        for (j, (x, v)) in x.iter().zip(v).enumerate() {
            let w = self.weight(j) * x;
            s += w * x;
            along += w * v;
        }
        (s, along)
    }

    /// Calls `f(j, eⱼ₋₁, eⱼ, eⱼ₊₁, Pⱼ)` for all `j`, where `a Pⱼ eⱼ / 5` is the exponentials' part of the gradient.
    #[inline(always)]
    fn each(&self, x: &[f64], mut f: impl FnMut(usize, f64, f64, f64, f64)) {
        let floor = (-0.1f64).exp();
        let (mut before, mut own) = (0.0, x.first().map_or(0.0, |x| (x / 10.0).exp()));
        for j in 0..x.len() {
            let after = x.get(j + 1).map_or(0.0, |x| (x / 10.0).exp());
            let left = if j > 0 { (own + before - self.y[j]) + (own - floor) } else { 0.0 };
            let right = self.y.get(j + 1).map_or(0.0, |y| after + own - y);
            f(j, before, own, after, left + right);
            (before, own) = (own, after);
        }
    }

    /// Diagonal entry of the Hessian without `8 wⱼ²`.
    #[inline(always)]
    fn diagonal(&self, j: usize, own: f64, p: f64, s: f64) -> f64 {
        let (first, last) = (j == 0, j + 1 == self.y.len());
        let terms = if first { 0.0 } else { 2.0 } + if last { 0.0 } else { 1.0 };
        WEIGHT / 50.0 * own * (p + terms * own) + 4.0 * s * self.weight(j) + if first { 2.0 } else { 0.0 }
    }
}

impl Function for Penalty2 {
    fn dim(&self) -> usize {
        self.y.len()
    }

    fn cost(&self, x: &[f64]) -> Result<f64> {
        Error::check_len("point", self.dim(), x.len())?;
        let (s, _) = self.excess(x, x);
        let floor = (-0.1f64).exp();
        let mut sum = 0.0;
        self.each(x, |j, before, own, _, _| {
            if j > 0 {
                let (p, q) = (own + before - self.y[j], own - floor);
                sum += p * p + q * q;
            }
        });
        let t = x.first().map_or(0.0, |x| x - 0.2);
        Ok(t * t + WEIGHT * sum + s * s)
    }

    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.dim(), x.len())?;
        Error::check_len("gradient", self.dim(), out.len())?;
        let (s, _) = self.excess(x, x);
        self.each(x, |j, _, own, _, p| {
            let first = if j == 0 { 2.0 * (x[j] - 0.2) } else { 0.0 };
            out[j] = first + WEIGHT / 5.0 * own * p + 4.0 * s * self.weight(j) * x[j];
        });
        Ok(())
    }

    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        Error::check_len("point", self.dim(), x.len())?;
        dense_allowed(self.dim())?;
        let (s, _) = self.excess(x, x);
        let mut band = vec![(0.0, 0.0); x.len()];
        self.each(x, |j, _, own, after, p| band[j] = (self.diagonal(j, own, p, s), WEIGHT / 50.0 * own * after));
        dense(x.len(), |i, j| {
            let low_rank = 8.0 * ((self.weight(i) * x[i]) * (self.weight(j) * x[j]));
            low_rank
                + match i.abs_diff(j) {
                    0 => band[j].0,
                    1 => band[i.min(j)].1,
                    _ => 0.0,
                }
        })
    }

    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("point", self.dim(), x.len())?;
        Error::check_len("direction", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        let ((s, _), (_, along)) = (self.excess(x, x), self.excess(x, v));
        self.each(x, |j, before, own, after, p| {
            let left = if j > 0 { before * v[j - 1] } else { 0.0 };
            let right = v.get(j + 1).map_or(0.0, |v| after * v);
            let ties = WEIGHT / 50.0 * own * (left + right);
            out[j] = self.diagonal(j, own, p, s) * v[j] + ties + 8.0 * along * self.weight(j) * x[j];
        });
        Ok(())
    }
}
