//! Kronecker products `A ⊗ G` of symmetric matrices, and matrices that are diagonal in the eigenbasis of one.
//!
//! On `v = vec V`, `V` of `q × p` with its columns stacked, `(A ⊗ G) v = vec(G V A)`. With `A = Q_A Λ_A Q_Aᵀ` and
//! `G = Q_G Λ_G Q_Gᵀ`, `(A ⊗ G + λI)⁻¹ v = vec(Q_G [(Q_Gᵀ V Q_A) ⊘ (λ_G λ_Aᵀ + λ)] Q_Aᵀ)` exactly.

use super::closed_form::{check_positive, log_product};
use super::{ClosedForm, Operator, SymmetricOperator};
use crate::error::{Error, Result};
use crate::linalg::buffer::Buffer;
use crate::linalg::factor::SymmetricEigen;
use crate::linalg::matrix::{multiply, view};
use crate::linalg::vector::{dot, norm};
use std::sync::{Arc, OnceLock};

/// `A ⊗ G`, `A` of `p × p` and `G` of `q × q`, both positive semidefinite.
#[derive(Debug, Clone)]
pub struct Kronecker {
    p: usize,
    q: usize,
    a: Buffer,
    g: Buffer,
    /// Whether inverses take the damping into the factors.
    factored: bool,
    basis: OnceLock<Arc<KroneckerBasis>>,
}

/// The eigenvectors and eigenvalues of both factors.
#[derive(Debug, Clone)]
pub struct KroneckerBasis {
    /// Of `A`.
    pub inputs: SymmetricEigen,
    /// Of `G`.
    pub outputs: SymmetricEigen,
}

/// `(Q_A ⊗ Q_G) diag(values) (Q_A ⊗ Q_G)ᵀ`: an inverse of a Kronecker product, or its correction to the right diagonal
/// (EKFAC; George et al. 2018).
#[derive(Debug, Clone)]
pub struct KroneckerDiagonal {
    basis: Arc<KroneckerBasis>,
    /// `q × p`, columns stacked.
    values: Vec<f64>,
}

impl KroneckerBasis {
    /// The diagonal that `(Q_A ⊗ Q_G) diag(values) (Q_A ⊗ Q_G)ᵀ` has in another basis, `q × p`: with `U = Q′ᵀQ` for both factors,
    /// `(U_G ⊙ U_G) values (U_A ⊙ U_A)ᵀ`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the sizes differ.
    pub fn turned_to(&self, other: &Self, values: &[f64]) -> Result<Vec<f64>> {
        let (p, q) = (self.inputs.dim(), self.outputs.dim());
        Error::check_len("inputs of another basis", p, other.inputs.dim())?;
        Error::check_len("outputs of another basis", q, other.outputs.dim())?;
        Error::check_len("eigenvalues", p * q, values.len())?;
        let squares = |n: usize, from: &SymmetricEigen, to: &SymmetricEigen| {
            let mut turn = vec![0.0; n * n];
            multiply(view(to.vectors(), n).transpose(), view(from.vectors(), n), &mut turn);
            turn.iter_mut().for_each(|u| *u *= *u);
            turn
        };
        let (inputs, outputs) = (squares(p, &self.inputs, &other.inputs), squares(q, &self.outputs, &other.outputs));
        let mut out = vec![0.0; p * q];
        sandwich(view(&outputs, q), values, view(&inputs, p).transpose(), &mut out);
        Ok(out)
    }
}

impl Kronecker {
    /// From column-major factors `a` (`p × p`) and `g` (`q × q`).
    ///
    /// # Errors
    /// [`Error::Dimension`] if a factor is not square of its size.
    pub fn new(p: usize, a: Vec<f64>, q: usize, g: Vec<f64>) -> Result<Self> {
        Error::check_len("Kronecker factor A", p * p, a.len())?;
        Error::check_len("Kronecker factor G", q * q, g.len())?;
        Ok(Self { p, q, a: a.into(), g: g.into(), factored: false, basis: OnceLock::new() })
    }

    /// `A` and `G`, column-major.
    pub fn into_factors(self) -> [Vec<f64>; 2] {
        [self.a.into_vec(), self.g.into_vec()]
    }

    /// `A`, column-major.
    pub fn a(&self) -> &[f64] {
        &self.a
    }

    /// `G`, column-major.
    pub fn g(&self) -> &[f64] {
        &self.g
    }

    /// Eigenvectors and eigenvalues of the factors, computed when first asked for.
    ///
    /// # Errors
    /// [`Error::NonFinite`] or [`Error::Factorization`] from the eigendecomposition.
    pub fn basis(&self) -> Result<&Arc<KroneckerBasis>> {
        if let Some(basis) = self.basis.get() {
            return Ok(basis);
        }
        let mut basis = KroneckerBasis { inputs: SymmetricEigen::default(), outputs: SymmetricEigen::default() };
        basis.inputs.factor(self.p, &self.a)?;
        basis.outputs.factor(self.q, &self.g)?;
        Ok(self.basis.get_or_init(|| Arc::new(basis)))
    }

    /// The same matrix with the factored Tikhonov damping: its inverse is
    /// `((A + π √λ I) ⊗ (G + π⁻¹ √λ I))⁻¹` with `π² = (tr A / p) / (tr G / q)` (Martens & Grosse 2015, section 6.3), `π = 1` if a
    /// factor is zero.
    pub fn with_factored_damping(self) -> Self {
        Self { factored: true, ..self }
    }

    /// `π` of the factored damping.
    fn balance(&self) -> f64 {
        let ratio = (trace(&self.a, self.p) / self.p as f64) / (trace(&self.g, self.q) / self.q as f64);
        if ratio > 0.0 && ratio.is_finite() { ratio.sqrt() } else { 1.0 }
    }

    /// Eigenvalues of the damped matrix, all positive.
    fn damped(&self, damping: f64) -> Result<Vec<f64>> {
        let values = if self.factored {
            let (pi, root) = (self.balance(), damping.sqrt());
            self.spectrum(|a, g| (a + pi * root) * (g + root / pi))?
        } else {
            self.spectrum(|a, g| a.mul_add(g, damping))?
        };
        check_positive("a damped Kronecker product", values.iter().copied())?;
        Ok(values)
    }

    /// `f(λ_A, λ_G)` for all pairs, `q × p`; eigenvalues that rounding made negative count as zero.
    fn spectrum(&self, f: impl Fn(f64, f64) -> f64) -> Result<Vec<f64>> {
        let basis = self.basis()?;
        let outputs = basis.outputs.values();
        let column = |a: f64| outputs.iter().map(move |g| (a.max(0.0), g.max(0.0)));
        Ok(basis.inputs.values().iter().flat_map(|a| column(*a)).map(|(a, g)| f(a, g)).collect())
    }
}

fn trace(matrix: &[f64], n: usize) -> f64 {
    matrix.iter().step_by(n + 1).sum()
}

/// `vec(L V R)` with `L` of `q × q` and `R` of `p × p`, either transposed.
fn sandwich(l: faer::MatRef<'_, f64>, v: &[f64], r: faer::MatRef<'_, f64>, out: &mut [f64]) {
    let mut half = vec![0.0; v.len()];
    multiply(l, view(v, l.ncols()), &mut half);
    multiply(view(&half, l.nrows()), r, out);
}

impl SymmetricOperator for Kronecker {
    fn dim(&self) -> usize {
        self.p * self.q
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        sandwich(view(&self.g, self.q), v, view(&self.a, self.p), out);
        Ok(())
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(self.damped_inverse(damping).map(|inverse| inverse as Operator<'_>))
    }
}

impl ClosedForm for Kronecker {
    fn write_entries(&self, out: &mut [f64]) -> Result<()> {
        Error::check_len("dense matrix", self.dim() * self.dim(), out.len())?;
        let (p, q) = (self.p, self.q);
        for (k, column) in out.chunks_exact_mut(p * q).enumerate() {
            let (j, i) = (k / q, k % q);
            for (l, part) in column.chunks_exact_mut(q).enumerate() {
                let a = self.a[j * p + l];
                part.iter_mut().zip(&self.g[i * q..(i + 1) * q]).for_each(|(o, g)| *o = a * g);
            }
        }
        Ok(())
    }
    fn write_diagonal(&self, out: &mut [f64]) -> Result<()> {
        Error::check_len("diagonal", self.dim(), out.len())?;
        for (j, part) in out.chunks_exact_mut(self.q).enumerate() {
            let a = self.a[j * (self.p + 1)];
            part.iter_mut().zip(self.g.iter().step_by(self.q + 1)).for_each(|(o, g)| *o = a * g);
        }
        Ok(())
    }
    fn trace(&self) -> f64 {
        trace(&self.a, self.p) * trace(&self.g, self.q)
    }
    fn frobenius_norm(&self) -> f64 {
        norm(&self.a) * norm(&self.g)
    }
    fn log_determinant(&self, damping: f64) -> Result<f64> {
        Ok(self.damped(damping)?.iter().map(|v| v.ln()).sum())
    }
    fn damped_inverse(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        let values = self.damped(damping)?.iter().map(|v| 1.0 / v).collect();
        Ok(Box::new(KroneckerDiagonal { basis: self.basis()?.clone(), values }))
    }
}

impl KroneckerDiagonal {
    /// From a basis and its `q × p` values, columns stacked.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the number of values does not fit.
    pub fn new(basis: Arc<KroneckerBasis>, values: Vec<f64>) -> Result<Self> {
        Error::check_len("eigenvalues", basis.inputs.dim() * basis.outputs.dim(), values.len())?;
        Ok(Self { basis, values })
    }

    /// The values, `q × p`, columns stacked.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    fn with_values(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { basis: self.basis.clone(), values: self.values.iter().map(|v| f(*v)).collect() }
    }
}

impl SymmetricOperator for KroneckerDiagonal {
    fn dim(&self) -> usize {
        self.values.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.dim(), v.len())?;
        Error::check_len("product", self.dim(), out.len())?;
        let inputs = view(self.basis.inputs.vectors(), self.basis.inputs.dim());
        let outputs = view(self.basis.outputs.vectors(), self.basis.outputs.dim());
        let mut turned = vec![0.0; v.len()];
        sandwich(outputs.transpose(), v, inputs, &mut turned);
        turned.iter_mut().zip(&self.values).for_each(|(t, e)| *t *= e);
        sandwich(outputs, &turned, inputs.transpose(), out);
        Ok(())
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(self.damped_inverse(damping).map(|inverse| inverse as Operator<'_>))
    }
}

impl ClosedForm for KroneckerDiagonal {
    fn write_entries(&self, out: &mut [f64]) -> Result<()> {
        super::write_dense(self, out)
    }
    fn write_diagonal(&self, out: &mut [f64]) -> Result<()> {
        Error::check_len("diagonal", self.dim(), out.len())?;
        // (Q_G ⊙ Q_G) values (Q_A ⊙ Q_A)ᵀ.
        let squares = |eigen: &SymmetricEigen| eigen.vectors().iter().map(|v| v * v).collect::<Vec<f64>>();
        let (inputs, outputs) = (squares(&self.basis.inputs), squares(&self.basis.outputs));
        let (p, q) = (self.basis.inputs.dim(), self.basis.outputs.dim());
        sandwich(view(&outputs, q), &self.values, view(&inputs, p).transpose(), out);
        Ok(())
    }
    fn trace(&self) -> f64 {
        self.values.iter().sum()
    }
    fn frobenius_norm(&self) -> f64 {
        dot(&self.values, &self.values).sqrt()
    }
    fn log_determinant(&self, damping: f64) -> Result<f64> {
        log_product("a damped matrix", self.values.iter().map(|v| v.max(0.0) + damping))
    }
    fn damped_inverse(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        check_positive("a damped matrix", self.values.iter().map(|v| v.max(0.0) + damping))?;
        Ok(Box::new(self.with_values(|v| 1.0 / (v.max(0.0) + damping))))
    }
}
