//! The matrix of a quadratic model in scaled variables `D p`: `D⁻¹BD⁻¹`, stored as `B` is.

use crate::error::{Error, Result};
use crate::linalg::operator::{Form, SparseView, SymmetricOperator, write_dense};

/// `D⁻¹BD⁻¹` for `D = diag(scale)`.
pub(super) struct Scaled<'a> {
    operator: &'a dyn SymmetricOperator,
    scale: &'a [f64],
    form: Form<'a>,
}

impl<'a> Scaled<'a> {
    /// Known through products only.
    pub fn products(operator: &'a dyn SymmetricOperator, scale: &'a [f64]) -> Self {
        Self { operator, scale, form: Form::Product }
    }

    /// With its entries in `entries`: those of a sparse or diagonal matrix, else dense.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the operator has another dimension than `D`; errors of its products.
    pub fn stored(operator: &'a dyn SymmetricOperator, scale: &'a [f64], entries: &'a mut Vec<f64>) -> Result<Self> {
        let n = operator.dim();
        Error::check_len("curvature", scale.len(), n)?;
        entries.clear();
        let form = match operator.form() {
            Form::Sparse(view) => {
                let columns = (0..n).flat_map(|j| {
                    let (rows, values) = view.column(j);
                    rows.iter().zip(values).map(move |(&i, v)| v / scale[i] / scale[j])
                });
                entries.extend(columns);
                Form::Sparse(SparseView { values: entries, ..view })
            }
            Form::Diagonal(d) => {
                entries.extend(d.iter().zip(scale).map(|(v, s)| v / s / s));
                Form::Diagonal(entries)
            }
            Form::ScaledIdentity(c) => {
                entries.extend(scale.iter().map(|s| c / s / s));
                Form::Diagonal(entries)
            }
            _ => {
                entries.resize(n * n, 0.0);
                write_dense(operator, entries)?;
                entries.iter_mut().enumerate().for_each(|(k, v)| *v = *v / scale[k % n] / scale[k / n]);
                Form::Dense(faer::MatRef::from_column_major_slice(entries, n, n))
            }
        };
        Ok(Self { operator, scale, form })
    }
}

impl SymmetricOperator for Scaled<'_> {
    fn dim(&self) -> usize {
        self.operator.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        let v: Vec<f64> = v.iter().zip(self.scale).map(|(v, d)| v / d).collect();
        self.operator.apply(&v, out)?;
        out.iter_mut().zip(self.scale).for_each(|(o, d)| *o /= d);
        Ok(())
    }
    fn form(&self) -> Form<'_> {
        self.form
    }
}
