//! `(JᵀJ + μD²) p = −Jᵀr` for a sparse Jacobian: by elimination of small blocks where the pattern has them, else by sparse
//! Cholesky factorization.

use super::elimination::{Damped, Elimination};
use super::{NotPositiveDefinite, ShiftedCholesky};
use crate::error::{Error, Result};
use crate::linalg::operator::{JacobianPattern, SparseGram};
use std::sync::Arc;

/// How damped normal equations are solved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum NormalMethod {
    /// By elimination where half of the variables or more stand in blocks of at most 8 that are not coupled with each other
    /// and what remains is well filled and of at most 2000 variables; else by sparse Cholesky.
    #[default]
    Automatic,
    /// Sparse Cholesky factorization of `JᵀJ + μD²`; the analysis of the pattern is kept.
    Cholesky,
    /// Elimination of these variables. They may be coupled with each other in blocks of at most 8; the system that remains is
    /// dense.
    Eliminate(Vec<usize>),
}

/// Solves `(JᵀJ + μD²) p = −Jᵀr` for many `μ`, with all buffers and what was found about the pattern kept.
///
/// # Example
/// ```
/// use curvkit::linalg::{factor::NormalEquations, operator::{JacobianPattern, SparseGram}};
/// use std::sync::Arc;
/// // Rows (1, 2) in variables 0 and 1, and (3) in variable 1.
/// let pattern = Arc::new(JacobianPattern::new(2, vec![(1, 2, vec![0, 1]), (1, 1, vec![1])])?);
/// let gram = SparseGram::new(&pattern, &[1.0, 2.0, 3.0], &[-5.0, -6.0])?;
/// let mut equations = NormalEquations::default();
/// equations.load(&gram, &[1.0, 1.0])?;
/// let mut p = [0.0; 2];
/// equations.solve(&gram, &[-5.0, -28.0], 0.0, &mut p).unwrap();
/// assert!((p[0] - 1.0).abs() < 1e-14 && (p[1] - 2.0).abs() < 1e-14); // J p = −r
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct NormalEquations {
    /// How to solve; looked at when a new pattern comes.
    pub method: NormalMethod,
    /// What was analysed, and the method that it was analysed for.
    analysed: Option<(Arc<JacobianPattern>, NormalMethod)>,
    elimination: Option<Box<Elimination>>,
    cholesky: ShiftedCholesky,
    scale: Vec<f64>,
    right: Vec<f64>,
}

impl NormalEquations {
    /// By the given method.
    pub fn new(method: NormalMethod) -> Self {
        Self { method, ..Self::default() }
    }

    /// Takes the scaling `D`, and where a matrix is to be formed its entries.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for an entry of `J` that is not finite; [`Error::Dimension`], [`Error::Config`] if the variables to
    /// eliminate are not there or too many of them are coupled.
    pub fn load(&mut self, gram: &SparseGram<'_>, scale: &[f64]) -> Result<()> {
        Error::check_len("scale", gram.pattern.n(), scale.len())?;
        let known = self.analysed.as_ref();
        if !known.is_some_and(|(pattern, method)| Arc::ptr_eq(pattern, gram.pattern) && *method == self.method) {
            self.analysed = None;
            self.elimination = self.analyse(gram.pattern)?.map(Box::new);
            self.analysed = Some((gram.pattern.clone(), self.method.clone()));
        }
        self.scale.clear();
        self.scale.extend_from_slice(scale);
        if self.elimination.is_none() {
            self.right.resize(scale.len(), 0.0);
            return self.cholesky.load_scaled(gram, Some(scale));
        }
        Ok(())
    }

    fn analyse(&self, pattern: &JacobianPattern) -> Result<Option<Elimination>> {
        match &self.method {
            NormalMethod::Automatic => Ok(Elimination::detect(pattern)),
            NormalMethod::Cholesky => Ok(None),
            NormalMethod::Eliminate(variables) => {
                let mut marked = vec![false; pattern.n()];
                for &i in variables {
                    let error = Error::Dimension { what: "eliminated variable", expected: pattern.n(), found: i };
                    *marked.get_mut(i).ok_or(error)? = true;
                }
                Elimination::new(pattern, &marked).map(Some)
            }
        }
    }

    /// Number of variables that are left by the elimination, if that is how the loaded system is solved.
    pub fn reduced(&self) -> Option<usize> {
        self.elimination.as_ref().map(|elimination| elimination.reduced())
    }

    /// `p ← −(JᵀJ + damping D²)⁻¹ gradient`, of the system loaded last.
    ///
    /// # Errors
    /// [`NotPositiveDefinite`] at the first pivot that is not positive, or not finite; its deficit is zero where variables were
    /// eliminated.
    pub fn solve(
        &mut self,
        gram: &SparseGram<'_>,
        gradient: &[f64],
        damping: f64,
        p: &mut [f64],
    ) -> std::result::Result<(), NotPositiveDefinite> {
        if let Some(elimination) = &mut self.elimination {
            return elimination.solve(&Damped { gram: *gram, gradient, scale: &self.scale, damping }, p);
        }
        // D p is the solution of the scaled system.
        self.cholesky.factor(damping)?;
        self.right.iter_mut().zip(gradient).zip(&self.scale).for_each(|((r, g), d)| *r = -g / d);
        self.cholesky.solve(&self.right, p);
        p.iter_mut().zip(&self.scale).for_each(|(p, d)| *p /= d);
        Ok(())
    }
}
