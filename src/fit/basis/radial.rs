//! Radial functions `φ(‖x − c‖)` around centres.
//!
//! # Reference
//! Hardy (1971), J. Geophys. Res. 76 (multiquadrics); Duchon (1977) (thin plates); Wendland (2005), *Scattered Data
//! Approximation*, ch. 6–8.

use super::Basis;
use crate::error::{Error, Result};

/// `φ` of the distance `r`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum RadialFunction {
    /// `e^{−(r/scale)²/2}`.
    Gaussian {
        /// Width.
        scale: f64,
    },
    /// `√(r² + scale²)`.
    Multiquadric {
        /// Radius of the rounding.
        scale: f64,
    },
    /// `r² ln r` in even dimensions, `r³` in one and three.
    ThinPlate,
}

/// Radial functions around centres, after a polynomial of degree 0 or 1 if that is wanted.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Radial {
    function: RadialFunction,
    dim: usize,
    centres: Vec<f64>,
    degree: Option<usize>,
}

impl Radial {
    /// With centres of `dim` numbers each. `degree` 0 puts a constant before them, 1 a constant and the coordinates, which
    /// thin plates need.
    ///
    /// # Errors
    /// [`Error::Config`] for no dimension, a scale that is not positive or a degree above 1, [`Error::Dimension`],
    /// [`Error::NonFinite`].
    pub fn new(function: RadialFunction, dim: usize, centres: Vec<f64>, degree: Option<usize>) -> Result<Self> {
        Error::check_option(dim > 0, "dim", "positive", dim)?;
        Error::check_len("centres", centres.len() / dim * dim, centres.len())?;
        Error::check_finite("centres", &centres)?;
        if let RadialFunction::Gaussian { scale } | RadialFunction::Multiquadric { scale } = function {
            Error::check_option(scale > 0.0 && scale.is_finite(), "scale", "finite and positive", scale)?;
        }
        Error::check_option(degree.unwrap_or(0) <= 1, "degree", "0 or 1", degree.unwrap_or(0))?;
        Ok(Self { function, dim, centres, degree })
    }

    fn n_polynomial(&self) -> usize {
        self.degree.map_or(0, |degree| 1 + degree * self.dim)
    }
}

impl Basis for Radial {
    fn dim(&self) -> usize {
        self.dim
    }
    fn len(&self) -> usize {
        self.n_polynomial() + self.centres.len() / self.dim
    }
    fn evaluate(&self, x: &[f64], out: &mut [f64]) {
        let (polynomial, radial) = out.split_at_mut(self.n_polynomial());
        let coordinates = std::iter::once(&1.0).chain(x);
        polynomial.iter_mut().zip(coordinates).for_each(|(o, v)| *o = *v);
        for (o, centre) in radial.iter_mut().zip(self.centres.chunks(self.dim)) {
            let square: f64 = x.iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum();
            *o = match self.function {
                RadialFunction::Gaussian { scale } => (-0.5 * square / (scale * scale)).exp(),
                RadialFunction::Multiquadric { scale } => (square + scale * scale).sqrt(),
                RadialFunction::ThinPlate if self.dim % 2 == 1 => square * square.sqrt(),
                RadialFunction::ThinPlate if square == 0.0 => 0.0,
                RadialFunction::ThinPlate => 0.5 * square * square.ln(),
            };
        }
    }
    fn names(&self, variable: &str) -> Vec<String> {
        let coordinate = |k: usize| if self.dim == 1 { variable.to_string() } else { format!("{variable}{k}") };
        let polynomial = (0..self.n_polynomial()).map(|k| if k == 0 { "(Intercept)".to_string() } else { coordinate(k) });
        let kind = match self.function {
            RadialFunction::Gaussian { .. } => "gaussian",
            RadialFunction::Multiquadric { .. } => "multiquadric",
            RadialFunction::ThinPlate => "thin_plate",
        };
        let centre = |c: &[f64]| c.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        polynomial.chain(self.centres.chunks(self.dim).map(|c| format!("{kind}({variable};{})", centre(c)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_their_closed_forms() {
        let at = |function, dim: usize, x: &[f64], degree| {
            let basis = Radial::new(function, dim, vec![1.0; dim], degree).unwrap();
            let mut out = vec![0.0; basis.len()];
            basis.evaluate(x, &mut out);
            assert_eq!(basis.names("x").len(), out.len());
            out
        };
        assert_eq!(at(RadialFunction::Gaussian { scale: 2.0 }, 1, &[3.0], Some(1)), [1.0, 3.0, (-0.5f64).exp()]);
        assert_eq!(at(RadialFunction::Multiquadric { scale: 4.0 }, 1, &[4.0], None), [5.0]);
        assert_eq!(at(RadialFunction::ThinPlate, 1, &[3.0], Some(0)), [1.0, 8.0]);
        let plate = at(RadialFunction::ThinPlate, 2, &[4.0, 5.0], None);
        assert!((plate[0] - 25.0 * 5f64.ln()).abs() < 1e-13);
        assert_eq!(at(RadialFunction::ThinPlate, 2, &[1.0, 1.0], None), [0.0]);
        assert!(Radial::new(RadialFunction::Gaussian { scale: 0.0 }, 1, vec![], None).is_err());
        assert!(Radial::new(RadialFunction::ThinPlate, 2, vec![1.0; 3], None).is_err());
    }
}
