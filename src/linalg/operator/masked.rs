//! A symmetric matrix restricted to some of its variables, in the same dimension: what a step looks at while the other
//! variables are held.

use super::{DenseMatrix, Form, Operator, SparseGram, SparseView, SymmetricOperator, write_dense, write_diagonal};
use crate::error::{Error, Result};
use crate::linalg::operator::Gram;
use crate::linalg::vector::axpy;

/// `B` with the rows and columns of held variables replaced by those of `c I`: solving with it for a right-hand side that
/// vanishes there moves free variables only. It shows its entries as `B` does, so that it is factored in the same way.
///
/// For `JᵀJ` the held columns of `J` are zero and `c = 0`; `QR` of `J` leaves such variables where they are. Otherwise `c`
/// is the largest diagonal entry of a free variable, in size: a quantity that changes neither the sign of the definiteness
/// nor, where `B` is positive semidefinite, its extreme eigenvalues. Products alone show none; there it is 1.
pub struct Masked<'a> {
    inner: &'a dyn SymmetricOperator,
    held: Vec<bool>,
    diagonal: f64,
    entries: Entries,
}

/// The entries that differ from those of the full matrix.
enum Entries {
    Products,
    Dense(DenseMatrix),
    /// Values in the pattern of the full matrix.
    Sparse(Vec<f64>),
    Diagonal(Vec<f64>),
    Gram {
        jacobian: Vec<f64>,
        residual: Vec<f64>,
    },
    /// Entries of the Jacobian in its pattern.
    SparseGram {
        values: Vec<f64>,
        residual: Vec<f64>,
    },
}

impl<'a> Masked<'a> {
    /// Holds the variables marked in `held`, which have moved by `moved` (zero for free ones): for `JᵀJ` the residual at
    /// the point they moved to is `r + J moved`.
    ///
    /// # Errors
    /// [`Error::Dimension`] for other lengths.
    pub fn new(inner: &'a dyn SymmetricOperator, held: &[bool], moved: &[f64]) -> Result<Self> {
        Error::check_len("held variables", inner.dim(), held.len())?;
        Error::check_len("moved variables", inner.dim(), moved.len())?;
        let mut diagonal = vec![0.0; held.len()];
        let known = write_diagonal(inner, &mut diagonal);
        let largest = diagonal.iter().zip(held).filter(|(_, held)| !**held).fold(0.0, |a: f64, (d, _)| a.max(d.abs()));
        let c = if known && largest > 0.0 && largest.is_finite() { largest } else { 1.0 };
        let mut masked = Self { inner, held: held.to_vec(), diagonal: c, entries: Entries::Products };
        masked.entries = masked.copy(&diagonal, moved)?;
        if matches!(masked.entries, Entries::Gram { .. } | Entries::SparseGram { .. }) {
            masked.diagonal = 0.0;
        }
        Ok(masked)
    }

    fn copy(&self, diagonal: &[f64], moved: &[f64]) -> Result<Entries> {
        let (n, held, c) = (self.held.len(), &self.held, self.diagonal);
        Ok(match self.inner.form() {
            Form::Gram(gram) => {
                let (mut jacobian, mut residual) = (gram.jacobian.to_vec(), gram.residual.to_vec());
                for j in (0..n).filter(|&j| held[j]) {
                    axpy(moved[j], gram.column(j), &mut residual);
                    jacobian[j * residual.len()..(j + 1) * residual.len()].fill(0.0);
                }
                Entries::Gram { jacobian, residual }
            }
            Form::SparseGram(gram) => {
                let shift: Vec<f64> = moved.iter().zip(held).map(|(m, held)| if *held { *m } else { 0.0 }).collect();
                let mut residual = vec![0.0; gram.residual.len()];
                gram.product(&shift, &mut residual);
                axpy(1.0, gram.residual, &mut residual);
                Entries::SparseGram { values: gram.without_columns(held), residual }
            }
            Form::Dense(_) | Form::Rows(_) => {
                let mut entries = vec![0.0; n * n];
                write_dense(self.inner, &mut entries)?;
                for j in 0..n {
                    for i in (0..n).filter(|&i| held[i] || held[j]) {
                        entries[j * n + i] = if i == j { c } else { 0.0 };
                    }
                }
                Entries::Dense(DenseMatrix::new(n, entries)?)
            }
            Form::Sparse(view) => {
                let mut values = view.values.to_vec();
                for j in 0..n {
                    for k in view.starts[j]..view.starts[j + 1] {
                        let i = view.rows[k];
                        if held[i] || held[j] {
                            values[k] = if i == j { c } else { 0.0 };
                        }
                    }
                }
                let stored = |j: usize| view.column(j).0.binary_search(&j).is_ok();
                match (0..n).all(|j| !held[j] || stored(j)) {
                    true => Entries::Sparse(values),
                    false => Entries::Products,
                }
            }
            Form::Diagonal(_) | Form::ScaledIdentity(_) => {
                Entries::Diagonal(diagonal.iter().zip(held).map(|(d, held)| if *held { c } else { *d }).collect())
            }
            Form::Product => Entries::Products,
        })
    }

    fn without_held(&self, v: &[f64]) -> Vec<f64> {
        v.iter().zip(&self.held).map(|(v, held)| if *held { 0.0 } else { *v }).collect()
    }
}

impl SymmetricOperator for Masked<'_> {
    fn dim(&self) -> usize {
        self.held.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("vector", self.held.len(), v.len())?;
        self.inner.apply(&self.without_held(v), out)?;
        for ((o, v), _) in out.iter_mut().zip(v).zip(&self.held).filter(|(_, held)| **held) {
            *o = self.diagonal * v;
        }
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        match (&self.entries, self.inner.form()) {
            (Entries::Dense(matrix), _) => matrix.form(),
            (Entries::Sparse(values), Form::Sparse(view)) => {
                Form::Sparse(SparseView { starts: view.starts, rows: view.rows, values })
            }
            (Entries::Diagonal(d), _) => Form::Diagonal(d),
            (Entries::Gram { jacobian, residual }, _) => {
                Gram::new(self.held.len(), jacobian, residual).map_or(Form::Product, Form::Gram)
            }
            (Entries::SparseGram { values, residual }, Form::SparseGram(gram)) => {
                SparseGram::new(gram.pattern, values, residual).map_or(Form::Product, Form::SparseGram)
            }
            (Entries::Products | Entries::Sparse(_) | Entries::SparseGram { .. }, _) => Form::Product,
        }
    }

    /// The free part of the full inverse where the full matrix supplies one: not the inverse of the free part, but positive
    /// definite there if the full one is, which is what a direction of descent needs (Gafni & Bertsekas 1984).
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        if !matches!(self.entries, Entries::Products) {
            return None;
        }
        let inverse = self.inner.inverse(damping)?;
        Some(inverse.map(|inner| Box::new(FreePart { inner, held: &self.held }) as Operator<'_>))
    }

    fn bend(&self, v: &[f64], out: &mut [f64]) -> Option<Result<()>> {
        self.inner.bend(v, out)
    }
}

/// An operator between the free variables; zero in the held ones.
struct FreePart<'a> {
    inner: Operator<'a>,
    held: &'a [bool],
}

impl SymmetricOperator for FreePart<'_> {
    fn dim(&self) -> usize {
        self.held.len()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let free: Vec<f64> = v.iter().zip(self.held).map(|(v, held)| if *held { 0.0 } else { *v }).collect();
        self.inner.apply(&free, out)?;
        out.iter_mut().zip(self.held).filter(|(_, held)| **held).for_each(|(o, _)| *o = 0.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{Diagonal, Pattern, ScaledIdentity, SparseMatrix};
    use std::sync::Arc;

    struct ProductOnly(DenseMatrix);
    impl SymmetricOperator for ProductOnly {
        fn dim(&self) -> usize {
            self.0.dim()
        }
        fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
            self.0.apply(v, out)
        }
    }

    /// Entries, products and diagonal agree with the definition in every form.
    #[test]
    fn masked_matrix_is_the_free_block_beside_a_multiple_of_the_identity_in_every_form() {
        let entries = vec![4.0, 1.0, -2.0, 1.0, -3.0, 0.5, -2.0, 0.5, 7.0];
        let dense = DenseMatrix::new(3, entries.clone()).unwrap();
        let rows: Vec<Vec<f64>> = entries.chunks(3).map(<[f64]>::to_vec).collect();
        let pattern = Arc::new(Pattern::from_pairs(3, [(0, 1), (1, 2), (0, 2)]).unwrap());
        let sparse = SparseMatrix::new(pattern, entries.clone()).unwrap();
        let jacobian = [1.0, 2.0, 3.0, -1.0, 0.5, 4.0];
        let gram = Gram::new(3, &jacobian, &[1.0, -1.0]).unwrap();
        let diagonal = Diagonal(vec![1.0, 2.0, -5.0]);
        let identity = ScaledIdentity { n: 3, c: 2.0 };
        let products = ProductOnly(dense.clone());
        let cases: [(&dyn SymmetricOperator, f64); 7] =
            [(&dense, 7.0), (&rows, 7.0), (&sparse, 7.0), (&gram, 0.0), (&diagonal, 5.0), (&identity, 2.0), (&products, 1.0)];
        let held = [false, true, false];
        for (k, (full, c)) in cases.into_iter().enumerate() {
            let masked = Masked::new(full, &held, &[0.0; 3]).unwrap();
            let (mut whole, mut shown, mut product) = (vec![0.0; 9], vec![0.0; 9], vec![0.0; 3]);
            write_dense(full, &mut whole).unwrap();
            write_dense(&masked, &mut shown).unwrap();
            for j in 0..3 {
                let mut unit = [0.0; 3];
                unit[j] = 1.0;
                masked.apply(&unit, &mut product).unwrap();
                for i in 0..3 {
                    let expected = if !held[i] && !held[j] { whole[j * 3 + i] } else { f64::from(i == j) * c };
                    assert_eq!((shown[j * 3 + i], product[i]), (expected, expected), "case {k}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn held_columns_that_moved_shift_the_residual() {
        let gram = Gram::new(2, &[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0]).unwrap();
        let masked = Masked::new(&gram, &[true, false], &[0.5, 0.0]).unwrap();
        let Form::Gram(seen) = masked.form() else { panic!("not a Gram matrix") };
        assert_eq!((seen.jacobian, seen.residual), (&[0.0, 0.0, 3.0, 4.0][..], &[10.5, 21.0][..]));
        assert!(Masked::new(&gram, &[true], &[0.0, 0.0]).is_err());
    }
}
