//! Bases for linear regression: functions of a predictor whose values are the columns of a design ([`Basis`]).
//!
//! Polynomials ([`polynomial`](fn@polynomial), orthogonal inside, monomials outside), radial functions ([`Radial`]),
//! B-splines ([`BSpline`]) and natural cubic splines ([`NaturalSpline`]). A design goes with any family into
//! [`glm`](fn@crate::fit::glm).

mod double;
mod polynomial;
mod radial;
mod spline;

use crate::error::{Error, Result};

pub use polynomial::{Polynomial, polynomial};
pub use radial::{Radial, RadialFunction};
pub use spline::{BSpline, NaturalSpline};

/// Functions of a point in `d` dimensions.
pub trait Basis {
    /// `d`.
    fn dim(&self) -> usize {
        1
    }
    /// Number of functions.
    fn len(&self) -> usize;
    /// True if there is no function.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `out ← (φ₁(x), …)`; `x` has [`dim`](Self::dim) entries, `out` has [`len`](Self::len).
    fn evaluate(&self, x: &[f64], out: &mut [f64]);
    /// A name for each function of a predictor called `variable`.
    fn names(&self, variable: &str) -> Vec<String>;
}

/// Columns of a design with their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    /// Name of each column.
    pub names: Vec<String>,
    /// `X`, `n × p`, column-major.
    pub entries: Vec<f64>,
}

impl Design {
    /// The values of a basis at `points`, one after the other, `d` numbers each.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the points do not come in `d` numbers, [`Error::NonFinite`].
    ///
    /// # Example
    /// ```
    /// use curvkit::fit::basis::{BSpline, Design};
    /// use curvkit::fit::{GlmOptions, glm};
    /// use curvkit::problem::{Family, Glm, Link};
    ///
    /// let x: Vec<f64> = (0..21).map(|i| i as f64 / 20.0).collect();
    /// let y = x.iter().map(|x| x * x * x).collect(); // a cubic is among cubic splines
    /// let basis = BSpline::new(3, 0.0, 1.0, &[0.3, 0.7])?;
    /// let design = Design::of(&basis, "x", &x)?;
    /// let model = Glm::new(Family::Gaussian, Link::Identity, design.names.len(), design.entries, y)?;
    /// let fit = glm(&model, &GlmOptions::default())?;
    /// assert!(fit.statistics.deviance < 1e-28);
    /// # Ok::<(), curvkit::Error>(())
    /// ```
    pub fn of(basis: &dyn Basis, variable: &str, points: &[f64]) -> Result<Self> {
        Error::check_finite("points", points)?;
        let (d, p) = (basis.dim(), basis.len());
        let n = points.len() / d.max(1);
        Error::check_len("points", n * d, points.len())?;
        let (mut entries, mut row) = (vec![0.0; n * p], vec![0.0; p]);
        for (i, x) in points.chunks(d.max(1)).enumerate() {
            basis.evaluate(x, &mut row);
            row.iter().enumerate().for_each(|(j, v)| entries[j * n + i] = *v);
        }
        Ok(Self { names: basis.names(variable), entries })
    }
}

/// Checks that knots are finite and increase.
fn check_increasing(name: &str, values: &[f64]) -> Result<()> {
    let bad = values.iter().position(|v| !v.is_finite()).or(values.windows(2).position(|w| !(w[0] < w[1])).map(|k| k + 1));
    match bad {
        None => Ok(()),
        Some(k) => Error::check_option(false, name, "finite and increasing", values[k]),
    }
}
