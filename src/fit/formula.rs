//! A model formula over the columns of a table, as residuals.

use crate::dataset::Table;
use crate::error::{Error, Result};
use crate::problem::{Expression, Function, HessianMatrix, ResidualHessian, Residuals};

/// Residuals `√wᵢ (model(b, rowᵢ) − yᵢ)` of a formula whose names are parameters or columns of the table.
///
/// The response is the left side of `y = …` (or `y ~ …`); a parameter hides a column of the same name.
#[derive(Debug, Clone)]
pub struct Formula {
    model: Expression,
    parameters: Vec<String>,
    /// Columns that the model uses, by variable behind the parameters.
    columns: Vec<String>,
    /// Values of the used columns, by rows.
    rows: Vec<f64>,
    response: Option<Vec<f64>>,
    roots: Option<Vec<f64>>,
    response_name: Option<String>,
}

impl Formula {
    /// Reads a formula such as `y = b1*(1 - exp(-b2*x))`. Names that are neither parameters nor columns are errors.
    ///
    /// `response` names the column of observations if the formula has no left side; without either, the formula can only
    /// predict. `weights` names a column of prior weights (inverse variances up to a factor).
    ///
    /// # Errors
    /// [`Error::Parse`] where the formula cannot be read or names what is not there, [`Error::Unknown`] for a column,
    /// [`Error::Config`] for weights that are negative or not finite.
    pub fn new(text: &str, parameters: &[String], table: &Table, response: Option<&str>, weights: Option<&str>) -> Result<Self> {
        let (left, right, offset) = split(text);
        let response_name = left.or(response).map(str::to_string);
        let known: Vec<String> =
            parameters.iter().cloned().chain(table.names().iter().filter(|name| !parameters.contains(name)).cloned()).collect();
        let shifted = |error| match error {
            Error::Parse { what, position, reason } => Error::Parse { what, position: position + offset, reason },
            other => other,
        };
        let used = Expression::parse(right).map_err(shifted)?;
        let all = Expression::parse_over(right, &known).map_err(shifted)?;
        let columns: Vec<String> =
            table.names().iter().filter(|name| !parameters.contains(name) && used.variables().contains(name)).cloned().collect();
        let order: Vec<&String> = parameters.iter().chain(&columns).collect();
        let model = Expression::parse_over(all.text(), &order).map_err(shifted)?;
        let values = columns.iter().map(|name| table.column(name)).collect::<Result<Vec<_>>>()?;
        let rows = (0..table.n_rows()).flat_map(|i| values.iter().map(move |column| column[i])).collect();
        let response = response_name.as_deref().map(|name| table.column(name).map(<[f64]>::to_vec)).transpose()?;
        let roots = match weights {
            None => None,
            Some(name) => Some(table.column(name)?.iter().map(|w| root(*w)).collect::<Result<Vec<_>>>()?),
        };
        Ok(Self { model, parameters: parameters.to_vec(), columns, rows, response, roots, response_name })
    }

    /// Names of the parameters.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Names of the columns that the model uses.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Name of the column of observations.
    pub fn response_name(&self) -> Option<&str> {
        self.response_name.as_deref()
    }

    /// Observations.
    pub fn response(&self) -> Option<&[f64]> {
        self.response.as_deref()
    }

    /// Prior weight of a row; 1 without a column of weights.
    pub fn weight(&self, row: usize) -> f64 {
        self.root(row).powi(2)
    }

    fn n_rows(&self) -> usize {
        self.response.as_ref().or(self.roots.as_ref()).map_or(self.rows.len() / self.columns.len().max(1), Vec::len)
    }

    /// Hands the variables of each row to `work`.
    fn each_row(&self, b: &[f64], mut work: impl FnMut(usize, &[f64]) -> Result<()>) -> Result<()> {
        Error::check_len("parameters", self.parameters.len(), b.len())?;
        let k = self.columns.len();
        let mut point = [b, &vec![0.0; k]].concat();
        for i in 0..self.n_rows() {
            point[b.len()..].copy_from_slice(&self.rows[i * k..(i + 1) * k]);
            work(i, &point)?;
        }
        Ok(())
    }

    fn root(&self, i: usize) -> f64 {
        self.roots.as_ref().map_or(1.0, |roots| roots[i])
    }

    /// Predictions of all rows with their gradients by the parameters.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a wrong number of parameters.
    pub fn predict(&self, b: &[f64]) -> Result<Vec<(f64, Vec<f64>)>> {
        let mut out = Vec::with_capacity(self.n_rows());
        self.each_row(b, |_, point| {
            out.push(self.predict_one(point)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// The prediction with its gradient by the parameters at other values of the used columns, in their order.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a wrong number of parameters or values.
    pub fn predict_at(&self, b: &[f64], row: &[f64]) -> Result<(f64, Vec<f64>)> {
        Error::check_len("parameters", self.parameters.len(), b.len())?;
        Error::check_len("row", self.columns.len(), row.len())?;
        self.predict_one(&[b, row].concat())
    }

    fn predict_one(&self, point: &[f64]) -> Result<(f64, Vec<f64>)> {
        let mut gradient = vec![0.0; self.model.dim()];
        self.model.gradient(point, &mut gradient)?;
        gradient.truncate(self.parameters.len());
        Ok((self.model.cost(point)?, gradient))
    }
}

fn root(weight: f64) -> Result<f64> {
    Error::check_option(weight >= 0.0 && weight.is_finite(), "weights", "finite and not negative", weight)?;
    Ok(weight.sqrt())
}

/// Left side, right side, and the character position where the right side begins.
fn split(text: &str) -> (Option<&str>, &str, usize) {
    match text.split_once(['=', '~']) {
        Some((left, right)) => (Some(left.trim()), right, left.chars().count() + 1),
        None => (None, text, 0),
    }
}

impl Residuals for Formula {
    fn n(&self) -> usize {
        self.parameters.len()
    }
    fn m(&self) -> usize {
        self.n_rows()
    }
    fn residuals(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("residuals", self.m(), out.len())?;
        let Some(y) = &self.response else {
            return Err(Error::Unsupported { what: "a fit", requirement: "a column of observations" });
        };
        self.each_row(b, |i, point| {
            out[i] = self.root(i) * (self.model.cost(point)? - y[i]);
            Ok(())
        })
    }
    fn jacobian(&self, b: &[f64], out: &mut [f64]) -> Result<()> {
        let m = self.m();
        Error::check_len("Jacobian", m * b.len(), out.len())?;
        let mut gradient = vec![0.0; self.model.dim()];
        self.each_row(b, |i, point| {
            self.model.gradient(point, &mut gradient)?;
            (0..b.len()).for_each(|j| out[j * m + i] = self.root(i) * gradient[j]);
            Ok(())
        })
    }
}

impl ResidualHessian for Formula {
    fn weighted_hessian(&self, b: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        let n = b.len();
        Error::check_len("weights", self.m(), weights.len())?;
        Error::check_len("Hessian", n * n, out.len())?;
        out.fill(0.0);
        let total = self.model.dim();
        let mut block = vec![0.0; total * total];
        self.each_row(b, |i, point| {
            let w = weights[i] * self.root(i);
            if let HessianMatrix::Dense(h) = self.model.hessian(point)? {
                crate::linalg::operator::write_dense(&h, &mut block)?;
                for c in 0..n {
                    (0..n).for_each(|r| out[c * n + r] += w * block[c * total + r]);
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{FitOptions, fit};
    use crate::problem::LeastSquares;

    const DATA: &str = "x,y,w\n0,1.0,1\n1,1.6,1\n2,2.9,4\n3,4.4,1\n";

    fn parameters() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn derivatives_of_a_weighted_formula_equal_the_closed_forms() {
        let table = Table::parse("t.csv", DATA).unwrap();
        let f = Formula::new("y = a*exp(b*x)", &parameters(), &table, None, Some("w")).unwrap();
        let b = [1.1, 0.4];
        let (mut r, mut j, mut h) = ([0.0; 4], [0.0; 8], [0.0; 4]);
        f.residuals(&b, &mut r).unwrap();
        f.jacobian(&b, &mut j).unwrap();
        f.weighted_hessian(&b, &[0.0, 0.0, 1.0, 0.0], &mut h).unwrap();
        let e = (0.8f64).exp();
        for (found, exact) in [
            (r[2], 2.0 * (1.1 * e - 2.9)),
            (j[2], 2.0 * e),
            (j[6], 2.0 * 1.1 * 2.0 * e),
            (h[0], 0.0),
            (h[1], 2.0 * 2.0 * e),
            (h[3], 2.0 * 1.1 * 4.0 * e),
        ] {
            assert!((found - exact).abs() < 1e-13, "{found} {exact}");
        }
    }

    #[test]
    fn weighted_line_equals_the_closed_form() {
        let table = Table::parse("t.csv", DATA).unwrap();
        let f = Formula::new("a + b*x", &parameters(), &table, Some("y"), Some("w")).unwrap();
        let result = fit(&LeastSquares::new(f), &[0.0, 0.0], &FitOptions::default()).unwrap();
        // Σw = 7, Σwx = 12, Σwxx = 26, Σwy = 18.6, Σwxy = 38.
        let b = (7.0 * 38.0 - 12.0 * 18.6) / (7.0 * 26.0 - 144.0);
        let a = (18.6 - 12.0 * b) / 7.0;
        assert!((result.parameters[0] - a).abs() < 1e-13 && (result.parameters[1] - b).abs() < 1e-13, "{result:?}");
        assert!(result.converged());
    }

    #[test]
    fn names_that_are_neither_parameter_nor_column_are_errors_with_their_place() {
        let table = Table::parse("t.csv", DATA).unwrap();
        let place = |text: &str| match Formula::new(text, &parameters(), &table, None, None) {
            Err(Error::Parse { position, .. }) => position,
            other => panic!("{other:?}"),
        };
        assert_eq!(place("y = a + c*x"), 8);
        assert_eq!(place("a + * x"), 4);
        let missing = Formula::new("z = a*x + b", &parameters(), &table, None, None);
        assert!(missing.is_err());
        let negative = Table::parse("t.csv", "x,y,w\n1,2,-1\n").unwrap();
        assert!(matches!(Formula::new("y = a*x+b", &parameters(), &negative, None, Some("w")), Err(Error::Config { .. })));
    }
}
