//! Parameters that are fixed or tied to others: a map from the free ones to all, with its derivatives ([`Ties`]), and
//! residuals seen through it ([`Tied`]).
//!
//! With `x = T(z)`: `J_z = J_x T′`, and `Σ wᵢ ∇²rᵢ` becomes `T′ᵀ (Σ wᵢ ∇²rᵢ) T′ + Σⱼ (J_xᵀw)ⱼ ∇²Tⱼ`, so that every method
//! for residuals takes the free parameters alone.

#[cfg(feature = "expression")]
use super::{Expression, Function};
use super::{ResidualHessian, Residuals};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot};
use std::sync::Arc;

/// What decides the value of a parameter.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Tie {
    /// The fit.
    Free,
    /// It is known.
    Fixed(f64),
    /// `offset + Σ factor · parameter`, with terms `(parameter, factor)`.
    Affine {
        /// The constant.
        offset: f64,
        /// Indices of other parameters, with their factors.
        terms: Vec<(usize, f64)>,
    },
    /// A formula whose variables are all parameters, in order.
    #[cfg(feature = "expression")]
    Expression(Expression),
}

impl Tie {
    /// The parameters it depends on.
    fn needs(&self) -> Vec<usize> {
        match self {
            Self::Free | Self::Fixed(_) => Vec::new(),
            Self::Affine { terms, .. } => terms.iter().map(|(j, _)| *j).collect(),
            #[cfg(feature = "expression")]
            Self::Expression(formula) => formula.used(),
        }
    }

    /// Its value, every parameter it depends on being known.
    fn value(&self, x: &[f64]) -> Result<Option<f64>> {
        Ok(match self {
            Self::Free => None,
            Self::Fixed(value) => Some(*value),
            Self::Affine { offset, terms } => Some(terms.iter().fold(*offset, |sum, (j, factor)| sum + factor * x[*j])),
            #[cfg(feature = "expression")]
            Self::Expression(formula) => Some(formula.cost(x)?),
        })
    }

    /// Its derivatives by the parameters.
    #[cfg_attr(not(feature = "expression"), allow(unused_variables))]
    fn slopes(&self, x: &[f64]) -> Result<Vec<(usize, f64)>> {
        Ok(match self {
            Self::Free | Self::Fixed(_) => Vec::new(),
            Self::Affine { terms, .. } => terms.clone(),
            #[cfg(feature = "expression")]
            Self::Expression(formula) => {
                let mut gradient = vec![0.0; x.len()];
                formula.gradient(x, &mut gradient)?;
                self.needs().into_iter().map(|j| (j, gradient[j])).collect()
            }
        })
    }
}

/// Which parameters are free, and how the others follow from them.
///
/// # Example
/// ```
/// use curvkit::problem::{Tie, Ties};
/// let twice = Tie::Affine { offset: 1.0, terms: vec![(0, 2.0)] };
/// let ties = Ties::new(vec![Tie::Free, Tie::Fixed(7.0), twice])?;
/// assert_eq!(ties.free(), [0]);
/// assert_eq!(ties.expand(&[3.0])?, [3.0, 7.0, 7.0]);
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ties {
    rules: Vec<Tie>,
    free: Vec<usize>,
    /// The dependent parameters, each after those it depends on.
    order: Vec<usize>,
}

impl Ties {
    /// One rule a parameter.
    ///
    /// # Errors
    /// [`Error::Config`] naming the parameter whose rule depends on itself, names a parameter that does not exist or has a
    /// number that is not finite.
    pub fn new(rules: Vec<Tie>) -> Result<Self> {
        let n = rules.len();
        let wrong =
            |i: usize, requirement, value: String| Error::Config { name: format!("tie of parameter {i}"), requirement, value };
        for (i, rule) in rules.iter().enumerate() {
            let numbers = match rule {
                Tie::Fixed(value) => vec![*value],
                Tie::Affine { offset, terms } => terms.iter().map(|(_, f)| *f).chain([*offset]).collect(),
                _ => Vec::new(),
            };
            if let Some(bad) = numbers.iter().find(|v| !v.is_finite()) {
                return Err(wrong(i, "made of finite numbers", bad.to_string()));
            }
            #[cfg(feature = "expression")]
            if let Tie::Expression(formula) = rule {
                Error::check_len("variables of a tie", n, formula.dim())?;
            }
            if let Some(j) = rule.needs().into_iter().find(|j| *j >= n) {
                return Err(wrong(i, "to parameters that exist", format!("parameter {j} of {n}")));
            }
        }
        let free: Vec<usize> = (0..n).filter(|&i| rules[i] == Tie::Free).collect();
        let (mut known, mut order) = (vec![false; n], Vec::new());
        free.iter().for_each(|&i| known[i] = true);
        while free.len() + order.len() < n {
            let ready: Vec<usize> = (0..n).filter(|&i| !known[i] && rules[i].needs().into_iter().all(|j| known[j])).collect();
            if ready.is_empty() {
                let stuck = (0..n).find(|&i| !known[i]).unwrap_or(0);
                return Err(wrong(stuck, "to parameters that do not depend on it", "a circle".into()));
            }
            ready.iter().for_each(|&i| known[i] = true);
            order.extend(ready);
        }
        Ok(Self { rules, free, order })
    }

    /// `n` free parameters.
    pub fn none(n: usize) -> Self {
        Self { rules: vec![Tie::Free; n], free: (0..n).collect(), order: Vec::new() }
    }

    /// The same with a parameter fixed, whatever it was.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn holding(&self, index: usize, value: f64) -> Result<Self> {
        let mut rules = self.rules.clone();
        if let Some(rule) = rules.get_mut(index) {
            *rule = Tie::Fixed(value);
        }
        Self::new(rules)
    }

    /// The rule of each parameter.
    pub fn rules(&self) -> &[Tie] {
        &self.rules
    }

    /// Indices of the free parameters.
    pub fn free(&self) -> &[usize] {
        &self.free
    }

    /// The free entries of all parameters.
    pub fn restrict(&self, x: &[f64]) -> Vec<f64> {
        self.free.iter().map(|&i| x[i]).collect()
    }

    /// All parameters from the free ones.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of them.
    pub fn expand(&self, z: &[f64]) -> Result<Vec<f64>> {
        Error::check_len("free parameters", self.free.len(), z.len())?;
        let mut x = vec![0.0; self.rules.len()];
        self.free.iter().zip(z).for_each(|(&i, z)| x[i] = *z);
        for &i in &self.order {
            if let Some(value) = self.rules[i].value(&x)? {
                x[i] = value;
            }
        }
        Ok(x)
    }

    /// Derivatives of all parameters `x` by the free ones, `n × k`, column-major.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of parameters.
    pub fn tangent(&self, x: &[f64]) -> Result<Vec<f64>> {
        let n = self.rules.len();
        Error::check_len("parameters", n, x.len())?;
        let mut tangent = vec![0.0; n * self.free.len()];
        for (column, &i) in tangent.chunks_exact_mut(n.max(1)).zip(&self.free) {
            column[i] = 1.0;
        }
        for &i in &self.order {
            let slopes = self.rules[i].slopes(x)?;
            for column in tangent.chunks_exact_mut(n.max(1)) {
                column[i] = slopes.iter().map(|(j, slope)| slope * column[*j]).sum();
            }
        }
        Ok(tangent)
    }

    /// Whether no tie bends, so that the map has no second derivatives.
    pub fn is_affine(&self) -> bool {
        self.rules.iter().all(|rule| matches!(rule, Tie::Free | Tie::Fixed(_) | Tie::Affine { .. }))
    }

    /// `out += Σⱼ wⱼ ∇²xⱼ(z)`, `k × k`: backwards through the dependent parameters.
    #[cfg(feature = "expression")]
    fn add_curvature(&self, x: &[f64], tangent: &[f64], mut weights: Vec<f64>, out: &mut [f64]) -> Result<()> {
        let n = self.rules.len();
        let k = self.free.len();
        for &i in self.order.iter().rev() {
            let w = weights[i];
            for (j, slope) in self.rules[i].slopes(x)? {
                weights[j] += w * slope;
            }
            let Tie::Expression(formula) = &self.rules[i] else { continue };
            for b in 0..k {
                let mut product = vec![0.0; n];
                formula.hessian_product(x, &tangent[b * n..(b + 1) * n], &mut product)?;
                for a in 0..k {
                    out[b * k + a] += w * dot(&tangent[a * n..(a + 1) * n], &product);
                }
            }
        }
        Ok(())
    }

    /// Without formulas nothing bends.
    #[cfg(not(feature = "expression"))]
    fn add_curvature(&self, _: &[f64], _: &[f64], _: Vec<f64>, _: &mut [f64]) -> Result<()> {
        Ok(())
    }
}

/// Residuals as functions of the free parameters.
pub struct Tied<R> {
    residuals: Arc<R>,
    ties: Ties,
}

impl<R: Residuals> Tied<R> {
    /// Residuals of all parameters, seen through their ties.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the ties are of another number of parameters.
    pub fn new(residuals: Arc<R>, ties: Ties) -> Result<Self> {
        Error::check_len("ties", residuals.n(), ties.rules.len())?;
        Ok(Self { residuals, ties })
    }

    fn full_jacobian(&self, x: &[f64]) -> Result<Vec<f64>> {
        let mut full = vec![0.0; self.m() * x.len()];
        self.residuals.jacobian(x, &mut full)?;
        Ok(full)
    }
}

impl<R: Residuals> Residuals for Tied<R> {
    fn n(&self) -> usize {
        self.ties.free.len()
    }
    fn m(&self) -> usize {
        self.residuals.m()
    }
    fn residuals(&self, z: &[f64], out: &mut [f64]) -> Result<()> {
        self.residuals.residuals(&self.ties.expand(z)?, out)
    }
    fn jacobian(&self, z: &[f64], out: &mut [f64]) -> Result<()> {
        let x = self.ties.expand(z)?;
        let (n, m) = (x.len(), self.m());
        Error::check_len("Jacobian", m * z.len(), out.len())?;
        let (full, tangent) = (self.full_jacobian(&x)?, self.ties.tangent(&x)?);
        out.fill(0.0);
        for b in 0..z.len() {
            // A factor of zero takes no part, whatever the derivative by a fixed parameter is.
            for j in (0..n).filter(|j| tangent[b * n + j] != 0.0) {
                axpy(tangent[b * n + j], &full[j * m..(j + 1) * m], &mut out[b * m..(b + 1) * m]);
            }
        }
        Ok(())
    }
}

impl<R: ResidualHessian> ResidualHessian for Tied<R> {
    fn weighted_hessian(&self, z: &[f64], weights: &[f64], out: &mut [f64]) -> Result<()> {
        let x = self.ties.expand(z)?;
        let (n, k, m) = (x.len(), z.len(), self.m());
        Error::check_len("residual Hessian", k * k, out.len())?;
        let mut full = vec![0.0; n * n];
        self.residuals.weighted_hessian(&x, weights, &mut full)?;
        let tangent = self.ties.tangent(&x)?;
        for b in 0..k {
            let mut product = vec![0.0; n];
            for j in (0..n).filter(|j| tangent[b * n + j] != 0.0) {
                axpy(tangent[b * n + j], &full[j * n..(j + 1) * n], &mut product);
            }
            for a in 0..k {
                let terms = (0..n).filter(|i| tangent[a * n + i] != 0.0).map(|i| tangent[a * n + i] * product[i]);
                out[b * k + a] = terms.sum();
            }
        }
        if self.ties.is_affine() {
            return Ok(());
        }
        let full = self.full_jacobian(&x)?;
        let slopes = (0..n).map(|j| dot(&full[j * m..(j + 1) * m], weights)).collect();
        self.ties.add_curvature(&x, &tangent, slopes, out)
    }
}

#[cfg(all(test, feature = "expression"))]
mod tests {
    use super::*;

    /// `r = (x₀ x₁, x₂², x₀ − x₂)`.
    struct Three;
    impl Residuals for Three {
        fn n(&self) -> usize {
            3
        }
        fn m(&self) -> usize {
            3
        }
        fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(&[x[0] * x[1], x[2] * x[2], x[0] - x[2]]);
            Ok(())
        }
        fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(&[x[1], 0.0, 1.0, x[0], 0.0, 0.0, 0.0, 2.0 * x[2], -1.0]);
            Ok(())
        }
    }
    impl ResidualHessian for Three {
        fn weighted_hessian(&self, _: &[f64], w: &[f64], out: &mut [f64]) -> Result<()> {
            out.copy_from_slice(&[0.0, w[0], 0.0, w[0], 0.0, 0.0, 0.0, 0.0, 2.0 * w[1]]);
            Ok(())
        }
    }

    fn formula(text: &str) -> Tie {
        Tie::Expression(Expression::parse_over(text, &["a", "b", "c"]).unwrap())
    }

    /// With `b = 2a + 1` and `c = a b`: `r = (2a² + a, (2a² + a)², −2a²)`, with derivatives by hand.
    #[test]
    fn chained_ties_have_the_derivatives_of_the_substituted_function() {
        let affine = Tie::Affine { offset: 1.0, terms: vec![(0, 2.0)] };
        let tied = Tied::new(Arc::new(Three), Ties::new(vec![Tie::Free, affine, formula("a*b")]).unwrap()).unwrap();
        let a = 1.5;
        let (q, dq, ddq) = (2.0 * a * a + a, 4.0 * a + 1.0, 4.0);
        let (mut r, mut j, mut h) = ([0.0; 3], [0.0; 3], [0.0]);
        tied.residuals(&[a], &mut r).unwrap();
        tied.jacobian(&[a], &mut j).unwrap();
        assert_eq!((r, j), ([q, q * q, -2.0 * a * a], [dq, 2.0 * q * dq, -4.0 * a]));
        for w in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.3, -2.0, 5.0]] {
            tied.weighted_hessian(&[a], &w, &mut h).unwrap();
            let exact = w[0] * ddq + w[1] * 2.0 * (dq * dq + q * ddq) - 4.0 * w[2];
            assert!((h[0] - exact).abs() <= 1e-13 * exact.abs().max(1.0), "{} {exact}", h[0]);
        }
    }

    #[test]
    fn fixed_parameters_leave_the_others_with_their_own_derivatives() {
        let ties = Ties::none(3).holding(1, 4.0).unwrap();
        assert_eq!((ties.free(), ties.restrict(&[1.0, 9.0, 2.0])), (&[0, 2][..], vec![1.0, 2.0]));
        let tied = Tied::new(Arc::new(Three), ties).unwrap();
        let (mut r, mut j, mut h) = ([0.0; 3], [0.0; 6], [0.0; 4]);
        tied.residuals(&[1.0, 2.0], &mut r).unwrap();
        tied.jacobian(&[1.0, 2.0], &mut j).unwrap();
        tied.weighted_hessian(&[1.0, 2.0], &[1.0, 1.0, 1.0], &mut h).unwrap();
        assert_eq!((r, j, h), ([4.0, 4.0, -1.0], [4.0, 0.0, 1.0, 0.0, 4.0, -1.0], [0.0, 0.0, 0.0, 2.0]));
    }

    #[test]
    fn ties_in_a_circle_to_nothing_or_with_nan_are_refused_by_index() {
        let to = |j: usize| Tie::Affine { offset: 0.0, terms: vec![(j, 1.0)] };
        for (rules, index) in [
            (vec![Tie::Free, to(2), to(1)], "1"),
            (vec![Tie::Free, Tie::Free, to(2)], "2"),
            (vec![Tie::Free, to(5), Tie::Free], "1"),
            (vec![Tie::Fixed(f64::NAN), Tie::Free, Tie::Free], "0"),
            (vec![Tie::Free, formula("b + a"), Tie::Free], "1"),
        ] {
            match Ties::new(rules) {
                Err(Error::Config { name, .. }) => assert_eq!(name, format!("tie of parameter {index}")),
                other => panic!("{other:?}"),
            }
        }
        assert!(Tied::new(Arc::new(Three), Ties::none(2)).is_err() && Ties::none(2).expand(&[1.0]).is_err());
    }
}
