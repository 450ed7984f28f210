//! An objective from a text such as `100*(y - x^2)^2 + (1 - x)^2` ([`Expression`]).
//!
//! The text becomes a list of elementary operations, each after its operands (a Wengert list). Derivatives are exact:
//! the gradient by one reverse sweep, a Hessian–vector product by one tangent sweep and one reverse sweep of its
//! derivative, the dense Hessian by `n` products. Cost and memory are proportional to the text.
//!
//! # Grammar
//! - numbers `2`, `.5`, `1e-3`; constants `pi` (`π`), `e`, `tau`; any other name is a variable;
//! - `+ - * / ^` (also `**`) with the usual precedence: `-x^2` is `-(x²)`, `2^3^2` is `2^(3^2)`, and nothing is implied:
//!   `2x` is an error;
//! - functions of one argument: `sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh exp expm1 ln log log2 log10
//!   log1p sqrt cbrt abs` (`log` is the natural logarithm), of two: `pow atan2 min max`.
//!
//! # Reference
//! Griewank and Walther (2008), *Evaluating Derivatives*, ch. 3 (reverse mode) and §5.1 (forward over reverse).

mod derivatives;
mod lexer;
mod parser;
mod tape;

use super::{Function, HessianMatrix};
use crate::error::{Error, Result};
use crate::linalg::operator::DenseMatrix;
use std::cmp::Ordering;
use tape::Tape;

/// A twice differentiable function read from a text.
///
/// # Example
/// ```
/// use curvkit::problem::{Expression, Function};
/// let f = Expression::parse("100*(y - x^2)^2 + (1 - x)^2")?;
/// assert_eq!(f.variables(), ["x", "y"]);
/// let mut g = [0.0; 2];
/// f.gradient(&[-1.0, 2.0], &mut g)?;
/// assert_eq!((f.cost(&[-1.0, 2.0])?, g), (104.0, [396.0, 200.0]));
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "Written", into = "Written"))]
pub struct Expression {
    text: String,
    variables: Vec<String>,
    tape: Tape,
}

/// Two expressions are equal if they are written alike over the same variables.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.variables) == (&other.text, &other.variables)
    }
}

/// An expression as it is stored: what it is read from.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Written {
    text: String,
    variables: Vec<String>,
}

#[cfg(feature = "serde")]
impl TryFrom<Written> for Expression {
    type Error = Error;
    fn try_from(written: Written) -> Result<Self> {
        Self::parse_over(&written.text, &written.variables)
    }
}

#[cfg(feature = "serde")]
impl From<Expression> for Written {
    fn from(expression: Expression) -> Self {
        Self { text: expression.text, variables: expression.variables }
    }
}

impl Expression {
    /// Reads a text; its variables are all names found, in natural order (`x, y`; `x1, x2, x10`).
    ///
    /// # Errors
    /// [`Error::Parse`] with the position of the offence, also for texts of more than a million characters, nesting
    /// deeper than 200 and more than 2000 variables.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut tape, found) = parser::parse(text, None)?;
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|&a, &b| natural(&found[a], &found[b]));
        let mut place = vec![0; found.len()];
        order.iter().enumerate().for_each(|(to, &from)| place[from] = to as u32);
        tape.rename(&place);
        let variables = order.into_iter().map(|i| found[i].clone()).collect();
        Ok(Self { text: text.into(), variables, tape })
    }

    /// Reads a text over given variables in given order; they need not all appear. A variable hides a constant of the
    /// same name.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and [`Error::Parse`] where the text names anything else.
    pub fn parse_over<S: AsRef<str>>(text: &str, variables: &[S]) -> Result<Self> {
        let variables: Vec<String> = variables.iter().map(|v| v.as_ref().to_string()).collect();
        let (tape, _) = parser::parse(text, Some(&variables))?;
        Ok(Self { text: text.into(), variables, tape })
    }

    /// Names of the variables, in the order of the entries of `x`.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Indices of the variables that occur in the text, each once.
    pub fn used(&self) -> Vec<usize> {
        let mut used: Vec<usize> = self.tape.variables().collect();
        used.sort_unstable();
        used.dedup();
        used
    }

    /// The text as given.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn check(&self, what: &'static str, x: &[f64]) -> Result<()> {
        Error::check_len(what, self.variables.len(), x.len())
    }
}

impl std::str::FromStr for Expression {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Names by their letters, then by the number they end in.
fn natural(a: &str, b: &str) -> Ordering {
    fn split(name: &str) -> (&str, &str) {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        (stem, name[stem.len()..].trim_start_matches('0'))
    }
    let ((stem_a, number_a), (stem_b, number_b)) = (split(a), split(b));
    stem_a.cmp(stem_b).then(number_a.len().cmp(&number_b.len())).then(number_a.cmp(number_b)).then(a.cmp(b))
}

impl Function for Expression {
    fn dim(&self) -> usize {
        self.variables.len()
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        self.check("point", x)?;
        Ok(self.tape.value(x))
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.check("point", x)?;
        self.check("gradient", out)?;
        self.tape.gradient(x, out);
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        self.check("point", x)?;
        let n = x.len();
        let mut entries = vec![0.0; n * n];
        self.tape.hessian(x, &mut entries);
        Ok(HessianMatrix::Dense(DenseMatrix::new(n, entries)?))
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check("point", x)?;
        self.check("direction", v)?;
        self.check("product", out)?;
        self.tape.product(x, v, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
