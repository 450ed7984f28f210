//! Robust losses: `½ Σ c² ρ((rᵢ/c)²)` as a sum of squares again, so that every least-squares method takes it.
//!
//! `φ(r) = sign(r) c √ρ((r/c)²)` has `½ Σ φ(rᵢ)² ` as exactly that cost. With `t = r/c` and `g(t) = √ρ(t²)`,
//! `φ′ = g′(t)` and `φ″ = g″(t)/c`, so Jacobian and second derivatives are those of `r` by the chain rule.
//!
//! # Reference
//! Huber & Ronchetti (2009), *Robust Statistics*, ch. 7; Beaton & Tukey (1974), Technometrics 16(2).

use super::{LeastSquares, Linearize, ResidualHessian, Residuals};
use crate::error::{Error, Result};

/// `ρ(s)` with `s = (r/c)²` and `ρ′(0) = 1`: small residuals count as in least squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum RobustLoss {
    /// `s` up to 1, then `2√s − 1`: linear tails.
    Huber,
    /// `2 (√(1 + s) − 1)`: a smooth Huber.
    SoftL1,
    /// `ln(1 + s)`.
    Cauchy,
    /// `arctan s`.
    Arctan,
    /// `(1 − (1 − s)³)/3` up to 1, then `1/3`: residuals beyond `c` count for nothing.
    Tukey,
}

impl RobustLoss {
    /// Names, as options take them.
    pub const NAMES: [(&'static str, RobustLoss); 5] = [
        ("huber", RobustLoss::Huber),
        ("soft_l1", RobustLoss::SoftL1),
        ("cauchy", RobustLoss::Cauchy),
        ("arctan", RobustLoss::Arctan),
        ("tukey", RobustLoss::Tukey),
    ];

    /// The loss of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn named(name: &str) -> Result<Self> {
        Error::look_up("loss", name, &Self::NAMES)
    }

    /// `c` in units of the standard deviation of good residuals: 95 % efficiency under normal errors for Huber (1.345),
    /// Cauchy (2.385) and Tukey (4.685); the other two borrow Huber's and Cauchy's.
    pub fn tuning(self) -> f64 {
        match self {
            Self::Huber | Self::SoftL1 => 1.345,
            Self::Cauchy | Self::Arctan => 2.385,
            Self::Tukey => 4.685,
        }
    }

    /// `ρ(s)`, `ρ′(s)`, `ρ″(s)` for `s ≥ 0`.
    pub fn rho(self, s: f64) -> [f64; 3] {
        match self {
            Self::Huber if s <= 1.0 => [s, 1.0, 0.0],
            Self::Huber => [2.0 * s.sqrt() - 1.0, 1.0 / s.sqrt(), -0.5 / (s * s.sqrt())],
            Self::SoftL1 => {
                let root = (1.0 + s).sqrt();
                [2.0 * s / (root + 1.0), 1.0 / root, -0.5 / (root * (1.0 + s))]
            }
            Self::Cauchy => [s.ln_1p(), 1.0 / (1.0 + s), -1.0 / ((1.0 + s) * (1.0 + s))],
            Self::Arctan => {
                let d = 1.0 + s * s;
                [s.atan(), 1.0 / d, -2.0 * s / (d * d)]
            }
            Self::Tukey if s <= 1.0 => [s - s * s + s * s * s / 3.0, (1.0 - s) * (1.0 - s), -2.0 * (1.0 - s)],
            Self::Tukey => [1.0 / 3.0, 0.0, 0.0],
        }
    }

    /// `ψ(t) = t ρ′(t²)` and `ψ′(t)`: the influence of a residual `t` scales from its model.
    pub fn influence(self, t: f64) -> (f64, f64) {
        let s = t * t;
        let [_, first, second] = self.rho(s);
        if s == f64::INFINITY { (0.0, 0.0) } else { (t * first, first + 2.0 * s * second) }
    }

    /// `g(t) = sign(t) √ρ(t²)`, `g′`, `g″`.
    fn root(self, t: f64) -> [f64; 3] {
        let s = t * t;
        let [value, first, second] = self.rho(s);
        if s < 1e-8 {
            // ρ = s + a s²/2: the quotients below would cancel.
            let a = second;
            return [t * (1.0 + 0.25 * a * s), 1.0 + 0.75 * a * s, 1.5 * a * t];
        }
        let g = value.sqrt();
        let slope = t.abs() * first / g;
        let bend = (first + 2.0 * s * second) / g - slope * slope / g;
        [g.copysign(t), slope, bend.copysign(bend * t)]
    }
}

/// [`Residuals`] seen through a robust loss: a sum of their squares is `Σ c² ρ((rᵢ/c)²)`.
pub struct Robust<R> {
    /// Keeps the last point, so that value, Jacobian and second derivatives there evaluate the residuals once.
    plain: LeastSquares<R>,
    loss: RobustLoss,
    scale: f64,
}

impl<R: Residuals + 'static> Robust<R> {
    /// With the scale `c`, in units of the residuals.
    ///
    /// # Errors
    /// [`Error::Config`] unless `c` is positive and finite.
    pub fn new(residuals: R, loss: RobustLoss, scale: f64) -> Result<Self> {
        Error::check_option(scale > 0.0 && scale.is_finite(), "scale", "positive and finite", scale)?;
        Ok(Self { plain: LeastSquares::new(residuals), loss, scale })
    }

    fn root(&self, residual: f64) -> [f64; 3] {
        self.loss.root(residual / self.scale)
    }
}

impl<R: Residuals + 'static> Residuals for Robust<R> {
    fn n(&self) -> usize {
        self.plain.residuals().n()
    }
    fn m(&self) -> usize {
        self.plain.residuals().m()
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("residuals", self.m(), out.len())?;
        let plain = self.plain.residuals_at(x)?;
        out.iter_mut().zip(plain).for_each(|(o, r)| *o = self.scale * self.root(r)[0]);
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        let point = self.plain.linearize(&x.to_vec())?;
        let gram = point.gram()?;
        Error::check_len("Jacobian", gram.jacobian.len(), out.len())?;
        let slopes: Vec<f64> = gram.residual.iter().map(|r| self.root(*r)[1]).collect();
        for (j, column) in out.chunks_exact_mut(slopes.len().max(1)).enumerate() {
            column.iter_mut().zip(gram.column(j)).zip(&slopes).for_each(|((o, j), slope)| *o = j * slope);
        }
        Ok(())
    }
}

impl<R: ResidualHessian + 'static> ResidualHessian for Robust<R> {
    fn weighted_hessian(&self, x: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        let n = self.n();
        Error::check_len("weights", self.m(), weights.len())?;
        let point = self.plain.linearize(&x.to_vec())?;
        let gram = point.gram()?;
        let roots: Vec<[f64; 3]> = gram.residual.iter().map(|r| self.root(*r)).collect();
        let inner: Vec<f64> = weights.iter().zip(&roots).map(|(w, [_, slope, _])| w * slope).collect();
        self.plain.residuals().weighted_hessian(x, &inner, out)?;
        let bends: Vec<f64> = weights.iter().zip(&roots).map(|(w, [_, _, bend])| w * bend / self.scale).collect();
        for c in 0..n {
            for r in 0..=c {
                let sum: f64 = bends.iter().zip(gram.column(r)).zip(gram.column(c)).map(|((w, a), b)| w * a * b).sum();
                out[c * n + r] += sum;
                if r < c {
                    out[r * n + c] += sum;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [RobustLoss; 5] =
        [RobustLoss::Huber, RobustLoss::SoftL1, RobustLoss::Cauchy, RobustLoss::Arctan, RobustLoss::Tukey];

    #[test]
    fn root_squares_to_the_loss_and_its_derivatives_are_those_of_differences() {
        for loss in ALL {
            for t in [-30.0, -2.0, -0.7, -1e-2, 1e-5, 0.3, 0.9, 1.1, 5.0, 1e6] {
                let [g, slope, bend] = loss.root(t);
                assert!((g * g - loss.rho(t * t)[0]).abs() <= 1e-14 * g * g && g.signum() == f64::signum(t), "{loss:?} {t}");
                let h = 1e-5 * t.abs().max(1e-3);
                let [up, down] = [loss.root(t + h), loss.root(t - h)];
                assert!((slope - (up[0] - down[0]) / (2.0 * h)).abs() <= 1e-6 * slope.abs().max(1e-6), "{loss:?} {t} {slope}");
                let difference = (up[1] - down[1]) / (2.0 * h);
                assert!((bend - difference).abs() <= 1e-5 * bend.abs().max(1e-3), "{loss:?} {t}: {bend} {difference}");
            }
            assert_eq!(loss.root(0.0), [0.0, 1.0, 0.0]);
            let (psi, slope) = loss.influence(0.4);
            let h = 1e-6;
            assert!((slope - (loss.influence(0.4 + h).0 - loss.influence(0.4 - h).0) / (2.0 * h)).abs() < 1e-8 && psi > 0.0);
        }
    }

    #[test]
    fn bad_scales_and_names_are_errors() {
        struct None;
        impl Residuals for None {
            fn n(&self) -> usize {
                0
            }
            fn m(&self) -> usize {
                0
            }
            fn residuals(&self, _: &[f64], _: &mut [f64]) -> Result<()> {
                Ok(())
            }
            fn jacobian(&self, _: &[f64], _: &mut [f64]) -> Result<()> {
                Ok(())
            }
        }
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Robust::new(None, RobustLoss::Huber, scale).is_err());
        }
        assert!(matches!(RobustLoss::named("hubert"), Err(Error::Unknown { nearest: Some(_), .. })));
    }
}
