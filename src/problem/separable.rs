//! Separable least squares: parameters that enter linearly are solved for, and the others see what is left
//! (variable projection).
//!
//! For `r(α, c) = Φ(α) c + r₀(α)` the best `c` is `−Φ⁺r₀`, and the residuals of `α` alone are `r₂ = r(α, c(α)) = P⊥r₀` with
//! `P⊥ = I − ΦΦ⁺`. Their exact derivative is
//! `∂r₂ = P⊥ ∂r(α, c) − (Φ⁺)ᵀ (∂Φ)ᵀ r₂`; Kaufman leaves the last term out. All of it comes from the residuals of all
//! parameters: `Φ` is their Jacobian by `c`, and `(∂Φ)ᵀ r₂` the mixed block of `Σ r₂ᵢ ∇²rᵢ`.
//!
//! # Reference
//! Golub & Pereyra (1973), SIAM J. Numer. Anal. 10(2), eq. 5.4; Kaufman (1975), BIT 15.

use super::{ResidualHessian, Residuals};
use crate::error::{Error, Result};
use nalgebra::{DMatrix, DVector};
use std::sync::{Arc, Mutex};

/// Relative size of a pivot of `Φ` (with columns of unit length) below which its columns count as dependent.
const DEPENDENT: f64 = 1e-13;
/// Relative change of `Φ` with `c` from which the parameters are not linear.
const NONLINEAR: f64 = 1e-9;

/// The residuals of the parameters that do not enter linearly.
///
/// # Example
/// ```
/// # use curvkit::problem::{Residuals, ResidualHessian, Separable};
/// # use curvkit::error::Result;
/// # use std::sync::Arc;
/// # struct Decay; // c e^{−a t} through (0, 2), (1, 1), (2, 1/2)
/// # impl Residuals for Decay {
/// #     fn n(&self) -> usize { 2 }
/// #     fn m(&self) -> usize { 3 }
/// #     fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
/// #         (0..3).for_each(|t| out[t] = b[0] * (-b[1] * t as f64).exp() - 0.5f64.powi(t as i32 - 1));
/// #         Ok(())
/// #     }
/// #     fn jacobian(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
/// #         for t in 0..3 { let e = (-b[1] * t as f64).exp(); (out[t], out[3 + t]) = (e, -b[0] * t as f64 * e); }
/// #         Ok(())
/// #     }
/// # }
/// # impl ResidualHessian for Decay {
/// #     fn weighted_hessian(&self, b: &[f64], w: &[f64], out: &mut [f64]) -> Result<()> {
/// #         out.fill(0.0);
/// #         for t in 0..3 {
/// #             let (s, e) = (t as f64, (-b[1] * t as f64).exp());
/// #             out[1] -= w[t] * s * e; out[2] -= w[t] * s * e; out[3] += w[t] * b[0] * s * s * e;
/// #         }
/// #         Ok(())
/// #     }
/// # }
/// // The decay c e^{−a t} through (0, 2), (1, 1) and (2, 1/2), with the parameters (c, a).
/// let separable = Separable::new(Arc::new(Decay), &[0])?;
/// let whole = separable.whole(&[2f64.ln()])?; // the best c for a = ln 2
/// assert!((whole[0] - 2.0).abs() < 1e-15);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub struct Separable<R> {
    residuals: Arc<R>,
    linear: Vec<usize>,
    nonlinear: Vec<usize>,
    /// Leave out the second term of the derivative (Kaufman 1975): cheaper, and right where residuals vanish. Default false.
    pub kaufman: bool,
    /// The last point; locked to look up or replace.
    kept: Mutex<Option<Arc<Projection>>>,
}

/// What is known at one `α`.
struct Projection {
    alpha: Vec<f64>,
    /// All parameters.
    x: Vec<f64>,
    /// `r(α, c)`.
    residual: Vec<f64>,
    /// Orthonormal basis of the range of `Φ`.
    q: DMatrix<f64>,
    /// `Φ⁻ = back Qᵀ`.
    back: DMatrix<f64>,
}

impl<R: Residuals> Separable<R> {
    /// Residuals that are affine in the parameters `linear` (indices, in any order) for every value of the others.
    ///
    /// # Errors
    /// [`Error::Config`] if an index is given twice or does not exist, or if none is left.
    pub fn new(residuals: Arc<R>, linear: &[usize]) -> Result<Self> {
        let n = residuals.n();
        let mut sorted = linear.to_vec();
        sorted.sort_unstable();
        let distinct = sorted.windows(2).all(|pair| pair[0] < pair[1]);
        let usable = distinct && sorted.last().is_some_and(|last| *last < n) && sorted.len() < n;
        Error::check_option(
            usable,
            "linear parameters",
            "distinct indices of some, not all, parameters",
            format!("{linear:?} of {n}"),
        )?;
        let nonlinear = (0..n).filter(|j| !sorted.contains(j)).collect();
        Ok(Self { residuals, linear: sorted, nonlinear, kaufman: false, kept: Mutex::default() })
    }

    /// Indices of the parameters that remain.
    pub fn nonlinear(&self) -> &[usize] {
        &self.nonlinear
    }

    /// The remaining ones of all parameters.
    pub fn restrict(&self, x: &[f64]) -> Vec<f64> {
        self.nonlinear.iter().map(|&j| x[j]).collect()
    }

    /// All parameters: the best linear ones for the given others.
    ///
    /// # Errors
    /// Whatever the residuals report.
    pub fn whole(&self, alpha: &[f64]) -> Result<Vec<f64>> {
        Ok(self.at(alpha)?.x.clone())
    }

    /// Checks at a point that the residuals are affine in the linear parameters.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if they are not; whatever the residuals report.
    pub fn check(&self, x: &[f64]) -> Result<()> {
        let (here, mut there) = (self.columns(x)?, x.to_vec());
        self.linear.iter().for_each(|&j| there[j] = 1.0 + 2.0 * there[j]);
        let there = self.columns(&there)?;
        let same = (&here - &there).norm() <= NONLINEAR * here.norm();
        let requirement = "residuals that are affine in the parameters named as linear";
        if same { Ok(()) } else { Err(Error::Unsupported { what: "variable projection", requirement }) }
    }

    /// `Φ`: the Jacobian by the linear parameters.
    fn columns(&self, x: &[f64]) -> Result<DMatrix<f64>> {
        let jacobian = self.full_jacobian(x)?;
        Ok(jacobian.select_columns(&self.linear))
    }

    fn full_jacobian(&self, x: &[f64]) -> Result<DMatrix<f64>> {
        let (m, n) = (self.residuals.m(), self.residuals.n());
        let mut entries = vec![0.0; m * n];
        self.residuals.jacobian(x, &mut entries)?;
        Ok(DMatrix::from_vec(m, n, entries))
    }

    fn at(&self, alpha: &[f64]) -> Result<Arc<Projection>> {
        Error::check_len("nonlinear parameters", self.nonlinear.len(), alpha.len())?;
        let lock = || self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let same = |p: &&Arc<Projection>| p.alpha.iter().map(|v| v.to_bits()).eq(alpha.iter().map(|v| v.to_bits()));
        if let Some(known) = lock().as_ref().filter(same) {
            return Ok(known.clone());
        }
        let new = Arc::new(self.project(alpha)?);
        *lock() = Some(new.clone());
        Ok(new)
    }

    fn project(&self, alpha: &[f64]) -> Result<Projection> {
        let m = self.residuals.m();
        let mut x = vec![0.0; self.residuals.n()];
        self.nonlinear.iter().zip(alpha).for_each(|(&j, a)| x[j] = *a);
        let mut residual = vec![0.0; m];
        self.residuals.residuals(&x, &mut residual)?;
        let mut phi = self.columns(&x)?;
        let scale: Vec<f64> = phi.column_iter().map(|c| c.norm()).map(|l| if l > 0.0 { l } else { 1.0 }).collect();
        phi.column_iter_mut().zip(&scale).for_each(|(mut column, l)| column /= *l);
        let (q, back) = orthogonal(&phi, &scale);
        let c = -(&back * q.tr_mul(&DVector::from_column_slice(&residual)));
        // One correction with the residual there: the digits that cancelled.
        self.linear.iter().zip(c.iter()).for_each(|(&j, c)| x[j] = *c);
        self.residuals.residuals(&x, &mut residual)?;
        let correction = &back * q.tr_mul(&DVector::from_column_slice(&residual));
        self.linear.iter().zip(correction.iter()).for_each(|(&j, c)| x[j] -= c);
        self.residuals.residuals(&x, &mut residual)?;
        Ok(Projection { alpha: alpha.to_vec(), x, residual, q, back })
    }
}

/// By column-pivoted QR of `Φ D⁻¹`: an orthonormal basis `Q` of its range and `B` with `Φ⁻ = B Qᵀ`.
fn orthogonal(phi: &DMatrix<f64>, scale: &[f64]) -> (DMatrix<f64>, DMatrix<f64>) {
    let k = phi.ncols();
    let qr = phi.clone().col_piv_qr();
    let (q, r) = (qr.q(), qr.r());
    let rank = (0..r.nrows().min(k)).take_while(|&i| r[(i, i)].abs() > DEPENDENT * r[(0, 0)].abs()).count();
    let triangle = r.view((0, 0), (rank, rank)).into_owned();
    let inverse = triangle.solve_upper_triangular(&DMatrix::identity(rank, rank)).unwrap_or_else(|| DMatrix::zeros(rank, rank));
    let mut back = DMatrix::zeros(k, rank);
    back.view_mut((0, 0), (rank, rank)).copy_from(&inverse);
    qr.p().inv_permute_rows(&mut back);
    back.row_iter_mut().zip(scale).for_each(|(mut row, l)| row /= *l);
    (q.columns(0, rank).into_owned(), back)
}

impl<R: ResidualHessian> Residuals for Separable<R> {
    fn n(&self) -> usize {
        self.nonlinear.len()
    }
    fn m(&self) -> usize {
        self.residuals.m()
    }
    fn residuals(&self, alpha: &[f64], out: &mut [f64]) -> Result<()> {
        let here = self.at(alpha)?;
        Error::check_len("residuals", here.residual.len(), out.len())?;
        out.copy_from_slice(&here.residual);
        Ok(())
    }
    fn jacobian(&self, alpha: &[f64], out: &mut [f64]) -> Result<()> {
        let here = self.at(alpha)?;
        let (m, n) = (self.residuals.m(), self.residuals.n());
        Error::check_len("Jacobian", m * self.nonlinear.len(), out.len())?;
        let jacobian = self.full_jacobian(&here.x)?.select_columns(&self.nonlinear);
        let mut projected = &jacobian - &here.q * here.q.tr_mul(&jacobian);
        // Twice is enough.
        projected -= &here.q * here.q.tr_mul(&projected);
        if !self.kaufman {
            let mut mixed = vec![0.0; n * n];
            self.residuals.weighted_hessian(&here.x, &here.residual, &mut mixed)?;
            let mixed = DMatrix::from_vec(n, n, mixed).select_columns(&self.nonlinear).select_rows(&self.linear);
            projected -= &here.q * here.back.tr_mul(&mixed);
        }
        out.copy_from_slice(projected.as_slice());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::vector::dot;

    /// `r = c₀ e^{−a t} + c₁ cos(b t) + t/10 − y` with parameters `(c₀, a, c₁, b)`.
    struct Mixed;
    const T: [f64; 7] = [0.0, 0.3, 0.7, 1.1, 1.9, 2.4, 3.3];
    const Y: [f64; 7] = [2.0, 1.1, -0.3, 0.9, -1.2, 0.1, 0.6];
    impl Residuals for Mixed {
        fn n(&self) -> usize {
            4
        }
        fn m(&self) -> usize {
            7
        }
        fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            for (i, o) in out.iter_mut().enumerate() {
                *o = x[0] * (-x[1] * T[i]).exp() + x[2] * (x[3] * T[i]).cos() + 0.1 * T[i] * x[1] - Y[i];
            }
            Ok(())
        }
        fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            for i in 0..7 {
                let e = (-x[1] * T[i]).exp();
                (out[i], out[7 + i]) = (e, -x[0] * T[i] * e + 0.1 * T[i]);
                (out[14 + i], out[21 + i]) = ((x[3] * T[i]).cos(), -x[2] * T[i] * (x[3] * T[i]).sin());
            }
            Ok(())
        }
    }
    impl ResidualHessian for Mixed {
        fn weighted_hessian(&self, x: &[f64], w: &[f64], out: &mut [f64]) -> Result<()> {
            out.fill(0.0);
            for i in 0..7 {
                let (t, e) = (T[i], (-x[1] * T[i]).exp());
                let (s, c) = (x[3] * t).sin_cos();
                out[1] -= w[i] * t * e;
                out[5] += w[i] * x[0] * t * t * e;
                out[11] -= w[i] * t * s;
                out[15] -= w[i] * x[2] * t * t * c;
            }
            (out[4], out[14]) = (out[1], out[11]);
            Ok(())
        }
    }

    fn separable() -> Separable<Mixed> {
        Separable::new(Arc::new(Mixed), &[2, 0]).unwrap()
    }

    #[test]
    fn projected_residuals_are_the_least_ones_and_orthogonal_to_the_basis() {
        let s = separable();
        let alpha = [0.8, 2.1];
        let x = s.whole(&alpha).unwrap();
        let (mut r, mut j) = (vec![0.0; 7], vec![0.0; 28]);
        s.residuals(&alpha, &mut r).unwrap();
        Mixed.jacobian(&x, &mut j).unwrap();
        assert_eq!((x[1], x[3], s.nonlinear()), (0.8, 2.1, &[1, 3][..]));
        assert!(dot(&j[..7], &r).abs() < 1e-14 && dot(&j[14..21], &r).abs() < 1e-14);
    }

    /// Golub and Pereyra's Jacobian is that of differences of fourth order; Kaufman's differs from it, but not in the gradient.
    #[test]
    fn jacobian_is_exact_and_the_approximate_one_has_the_same_gradient() {
        let mut s = separable();
        let (alpha, h) = ([0.8, 2.1], 3e-4);
        let (mut r, mut exact, mut kaufman) = (vec![0.0; 7], vec![0.0; 14], vec![0.0; 14]);
        s.residuals(&alpha, &mut r).unwrap();
        s.jacobian(&alpha, &mut exact).unwrap();
        for l in 0..2 {
            let at = |k: f64| {
                let (mut a, mut out) = (alpha, vec![0.0; 7]);
                a[l] += k * h;
                s.residuals(&a, &mut out).unwrap();
                out
            };
            let [a, b, c, d] = [at(-2.0), at(-1.0), at(1.0), at(2.0)];
            for i in 0..7 {
                let slope = (a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h);
                assert!((exact[7 * l + i] - slope).abs() < 1e-10, "{l} {i}: {} {slope}", exact[7 * l + i]);
            }
        }
        s.kaufman = true;
        s.jacobian(&alpha, &mut kaufman).unwrap();
        for l in 0..2 {
            let (a, b) = (&exact[7 * l..7 * l + 7], &kaufman[7 * l..7 * l + 7]);
            assert!((dot(a, &r) - dot(b, &r)).abs() < 1e-13 && a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-3));
        }
    }

    #[test]
    fn wrong_sets_of_linear_parameters_are_refused() {
        for wrong in [&[][..], &[0, 0], &[4], &[0, 1, 2, 3]] {
            assert!(matches!(Separable::new(Arc::new(Mixed), wrong), Err(Error::Config { .. })), "{wrong:?}");
        }
        let x = [1.0, 0.5, -1.0, 2.0];
        assert!(separable().check(&x).is_ok());
        let bent = Separable::new(Arc::new(Mixed), &[1]).unwrap();
        assert!(matches!(bent.check(&x), Err(Error::Unsupported { .. })));
        assert!(matches!(separable().whole(&[1.0]), Err(Error::Dimension { .. })));
    }

    /// At `b = 0` with a rate of zero both basis functions are one.
    #[test]
    fn dependent_basis_functions_still_give_the_least_residual() {
        let s = separable();
        let mut r = vec![0.0; 7];
        s.residuals(&[0.0, 0.0], &mut r).unwrap();
        let mean = Y.iter().sum::<f64>() / 7.0;
        assert!(r.iter().zip(Y).all(|(r, y)| (r - (mean - y)).abs() < 1e-14), "{r:?}");
    }
}
