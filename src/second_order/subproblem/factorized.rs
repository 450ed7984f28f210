//! The Newton direction `d = −B̃⁻¹g` from a factorization, for line searches: `p = α d`.
//!
//! `B̃ = B` where `B` is positive definite. Otherwise a dense `B` is modified through its Bunch–Kaufman factors, a sparse
//! one is shifted, a Gauss–Newton matrix is solved by QR of its Jacobian. The model's numbers are always those of the true `B`.
//!
//! # Reference
//! Nocedal & Wright (2006), §3.4; Cheng & Higham (1998), SIMAX 19(4).

use super::{Along, Model, Step, Subproblem, finished};
use crate::error::{Error, Result};
use crate::linalg::Form;
use crate::linalg::factor::{BunchKaufman, DefiniteShift, Modification, PivotedQr, ShiftedCholesky};
use crate::linalg::power::times_power;
use crate::linalg::vector::{Ranged, all_finite, dot_in_range, norm, norm_inf, scale};
use crate::second_order::Line;

/// Newton's direction by factorization, modified where `B` is not positive definite; always a direction of descent
/// unless `g = 0`.
///
/// An operator that offers its own inverse (quasi-Newton, absolute eigenvalues) is asked for it instead. `slope` of a
/// [`Step`] is `gᵀd`.
///
/// # Example
/// ```
/// use curvkit::linalg::operator::DenseMatrix;
/// use curvkit::second_order::subproblem::{Factorized, Model, Subproblem};
/// let b = DenseMatrix::new(2, vec![2.0, 0.0, 0.0, -4.0])?;
/// let model = Model { value: 0.0, x: &[0.0, 0.0], gradient: &[2.0, 4.0], curvature: &b };
/// let mut newton = Factorized::default();
/// newton.prepare(&model)?;
/// let mut p = [0.0; 2];
/// newton.step(&model, 1.0, &mut p)?;
/// assert!((p[0] + 1.0).abs() < 1e-15 && (p[1] + 1.0).abs() < 1e-15); // the curvature −4 counts as 4
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Factorized {
    modification: Modification,
    shift: DefiniteShift,
    #[cfg_attr(feature = "serde", serde(skip))]
    scratch: Scratch,
}

/// What `prepare` makes anew for each point.
#[derive(Debug, Clone, Default)]
struct Scratch {
    cholesky: ShiftedCholesky,
    indefinite: BunchKaufman,
    qr: PivotedQr,
    scale: Vec<f64>,
    direction: Vec<f64>,
    work: Vec<f64>,
    spare: Vec<f64>,
    along: Along,
    length: f64,
    factorizations: u64,
}

impl Factorized {
    /// With a rule for the eigenvalues of a dense indefinite matrix; the default takes absolute values.
    pub fn new(modification: Modification) -> Self {
        Self { modification, ..Self::default() }
    }

    /// Finds the direction; the value of `dᵀBd` where it is known without a product.
    fn find_direction(&mut self, model: &Model<'_>) -> Result<Option<Ranged>> {
        let (g, b) = (model.gradient, model.curvature);
        let s = &mut self.scratch;
        match b.form() {
            Form::ScaledIdentity(c) => {
                let bound = if c == 0.0 { 1.0 } else { 0.0 };
                let h = std::iter::repeat(&c);
                diagonal_direction(self.modification, g, h, bound, &mut s.direction, &mut s.work)?;
                return Ok(Some(dot_in_range(&s.direction, &s.work)));
            }
            Form::Diagonal(h) => {
                Error::check_len("diagonal", g.len(), h.len())?;
                let largest = norm_inf(h);
                let bound = if largest > 0.0 { f64::EPSILON.sqrt() * largest } else { 1.0 };
                diagonal_direction(self.modification, g, h.iter(), bound, &mut s.direction, &mut s.work)?;
                return Ok(Some(dot_in_range(&s.direction, &s.work)));
            }
            Form::Gram(gram) => {
                s.scale.clear();
                s.scale.extend((0..gram.n).map(|j| norm(gram.column(j))).map(|l| if l > 0.0 { l } else { 1.0 }));
                s.qr.factor(gram, &s.scale)?;
                s.factorizations += 1;
                s.qr.solve_damped(0.0);
                s.qr.step(&mut s.direction);
                return Ok(s.descent(g).map(|_| Ranged { significand: s.qr.image(), exponent: 0 }));
            }
            _ => {}
        }
        if let Some(inverse) = b.inverse(0.0) {
            inverse?.apply(g, &mut s.direction)?;
            scale(-1.0, &mut s.direction);
            return Ok(s.descent(g).map(Ranged::negated));
        }
        s.cholesky.load(b)?;
        if s.cholesky.is_sparse() {
            let (tau, _) = self.shift.factor(&mut s.cholesky, &mut s.work, &mut s.spare)?;
            s.cholesky.solve(g, &mut s.direction);
            scale(-1.0, &mut s.direction);
            // Bd = −g − τd.
            let square = dot_in_range(&s.direction, &s.direction);
            return Ok(s.descent(g).map(|slope| Ranged {
                significand: -slope.significand - times_power(tau * square.significand, square.exponent - slope.exponent),
                exponent: slope.exponent,
            }));
        }
        if s.cholesky.factor(0.0).is_ok() {
            s.cholesky.solve(g, &mut s.direction);
            scale(-1.0, &mut s.direction);
            if let Some(slope) = s.descent(g) {
                return Ok(Some(slope.negated()));
            }
        }
        s.indefinite.factor(b)?;
        s.factorizations += 1;
        s.indefinite.solve_modified(self.modification, g, &mut s.direction);
        scale(-1.0, &mut s.direction);
        Ok(None)
    }
}

impl Scratch {
    /// `gᵀd` if the direction is finite and one of descent.
    fn descent(&self, g: &[f64]) -> Option<Ranged> {
        let slope = dot_in_range(g, &self.direction);
        (slope.significand < 0.0 && slope.significand.is_finite() && all_finite(&self.direction)).then_some(slope)
    }
}

/// `d_i = −g_i / h̃_i`, the exact eigenvalues being known, and `bd = B d`.
fn diagonal_direction<'a>(
    rule: Modification,
    g: &[f64],
    h: impl Iterator<Item = &'a f64>,
    bound: f64,
    d: &mut [f64],
    bd: &mut [f64],
) -> Result<()> {
    for (((d, bd), g), &h) in d.iter_mut().zip(bd).zip(g).zip(h) {
        if !h.is_finite() {
            return Err(Error::NonFinite { what: "curvature matrix", index: None });
        }
        let modified = match rule {
            Modification::Absolute => h.abs().max(bound),
            // A single negative number has no positive neighbour to take the scale from.
            Modification::Smallest => h.max(if bound > 0.0 { bound } else { h.abs() }),
        };
        *d = -g / modified;
        *bd = h * *d;
    }
    Ok(())
}

impl Subproblem for Factorized {
    type Region = Line;

    fn begin(&mut self) {
        self.shift = DefiniteShift::default();
    }

    fn prepare(&mut self, model: &Model<'_>) -> Result<()> {
        let g = model.gradient;
        let n = g.len();
        Error::check_len("curvature matrix", n, model.curvature.dim())?;
        let s = &mut self.scratch;
        for buffer in [&mut s.direction, &mut s.work, &mut s.spare] {
            buffer.resize(n, 0.0);
        }
        let before = s.cholesky.count();
        s.factorizations = 0;
        let mut known = self.find_direction(model)?;
        let s = &mut self.scratch;
        s.factorizations += s.cholesky.count() - before;
        let slope = match s.descent(g) {
            Some(slope) => slope,
            None => {
                // Steepest descent, which no rounding can spoil; normed where its slope would underflow.
                let length = norm(g);
                let factor = if length * length > 0.0 && (length * length).is_finite() { 1.0 } else { length };
                s.direction.iter_mut().zip(g).for_each(|(d, g)| *d = if length > 0.0 { -g / factor } else { 0.0 });
                known = None;
                dot_in_range(g, &s.direction)
            }
        };
        s.along = match known {
            Some(curvature) => Along::new(slope, curvature),
            None => {
                model.curvature.apply(&s.direction, &mut s.work)?;
                Along::of(g, &s.direction, &s.work)
            }
        };
        s.length = norm(&s.direction);
        Ok(())
    }

    fn step(&mut self, _: &Model<'_>, size: f64, p: &mut [f64]) -> Result<Step> {
        let s = &self.scratch;
        Error::check_len("step", s.direction.len(), p.len())?;
        p.iter_mut().zip(&s.direction).for_each(|(p, d)| *p = size * d);
        let step = Step { predicted: s.along.predicted(size), slope: s.along.slope(), length: size * s.length, inner: 0 };
        finished(step, p)
    }

    fn factorizations(&self) -> u64 {
        self.scratch.factorizations
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::operator::{DenseMatrix, Diagonal, Pattern, ScaledIdentity, SparseMatrix};
    use crate::linalg::vector::dot;
    use crate::linalg::{Operator, SymmetricOperator};
    use std::sync::Arc;

    fn tridiagonal(n: usize, diagonal: f64, off: f64) -> SparseMatrix {
        let pattern = Arc::new(Pattern::from_pairs(n, (1..n).map(|i| (i - 1, i))).unwrap());
        let mut values = vec![off; pattern.nnz()];
        (0..n).for_each(|i| values[pattern.position(i, i).unwrap()] = diagonal);
        SparseMatrix::new(pattern, values).unwrap()
    }

    fn check(b: &dyn SymmetricOperator, g: &[f64]) -> (Factorized, Vec<f64>) {
        let n = g.len();
        let model = Model { value: 0.0, x: &vec![0.0; n], gradient: g, curvature: b };
        let mut newton = Factorized::default();
        newton.prepare(&model).unwrap();
        let (mut p, mut bp) = (vec![0.0; n], vec![0.0; n]);
        for size in [1e-3, 1.0, 4.0] {
            let step = newton.step(&model, size, &mut p).unwrap();
            b.apply(&p, &mut bp).unwrap();
            let (slope, curvature) = (dot(g, &p), dot(&p, &bp));
            let scale = slope.abs() + curvature.abs();
            assert!(step.slope < 0.0);
            assert!((step.slope * size - slope).abs() <= 1e-14 * scale);
            assert!((step.predicted + slope + 0.5 * curvature).abs() <= 1e-12 * scale, "{step:?}");
            assert!((step.length - norm(&p)).abs() <= 1e-14 * norm(&p));
        }
        newton.step(&model, 1.0, &mut p).unwrap();
        (newton, p)
    }

    #[test]
    fn direction_is_one_of_descent_with_true_numbers_for_every_form() {
        let dense = |entries: [f64; 9]| DenseMatrix::new(3, entries.to_vec()).unwrap();
        let all: Vec<Operator<'_>> = vec![
            Box::new(dense([4.0, 1.0, 0.0, 1.0, 3.0, 0.5, 0.0, 0.5, 2.0])),
            Box::new(dense([0.0, 1.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.5, -2.0])),
            Box::new(dense([-1.0, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0, -3.0])),
            Box::new(dense([0.0; 9])),
            Box::new(dense([1.0; 9])),
            Box::new(tridiagonal(3, 2.0, -1.0)),
            Box::new(tridiagonal(3, 1.0, -1.0)),
            Box::new(tridiagonal(3, -1.0, 0.2)),
            Box::new(tridiagonal(3, 0.0, 0.0)),
            Box::new(Diagonal(vec![1.0, -2.0, 0.0])),
            Box::new(Diagonal(vec![0.0; 3])),
            Box::new(ScaledIdentity { n: 3, c: -2.0 }),
            Box::new(ScaledIdentity { n: 3, c: 0.0 }),
        ];
        for b in &all {
            check(&**b, &[1.0, -2.0, 0.3]);
        }
    }

    #[test]
    fn newton_step_of_a_definite_matrix_solves_the_model() {
        let b = tridiagonal(50, 2.5, -1.0);
        let g: Vec<f64> = (0..50).map(|i| (i as f64).sin()).collect();
        let (newton, p) = check(&b, &g);
        let mut r = vec![0.0; 50];
        b.apply(&p, &mut r).unwrap();
        assert!(r.iter().zip(&g).all(|(a, b)| (a + b).abs() < 1e-14));
        assert_eq!(newton.factorizations(), 1);
    }

    #[test]
    fn diagonal_curvature_is_inverted_by_absolute_value() {
        let (_, p) = check(&Diagonal(vec![2.0, -4.0]), &[2.0, 4.0]);
        assert_eq!(p, [-1.0, -1.0]);
        let (_, p) = check(&ScaledIdentity { n: 2, c: -0.5 }, &[2.0, 4.0]);
        assert_eq!(p, [-4.0, -8.0]);
    }

    #[test]
    fn shift_found_at_one_point_shortens_the_search_at_the_next() {
        let b = tridiagonal(40, -1.0, 0.9);
        let g = vec![1.0; 40];
        let model = Model { value: 0.0, x: &[0.0; 40], gradient: &g, curvature: &b };
        let mut newton = Factorized::default();
        newton.prepare(&model).unwrap();
        let first = newton.factorizations();
        newton.prepare(&model).unwrap();
        assert!(first >= 2 && newton.factorizations() <= first, "{first} then {}", newton.factorizations());
    }

    #[test]
    fn zero_gradient_gives_a_zero_step_and_wrong_sizes_are_errors() {
        let b = DenseMatrix::new(2, vec![1.0, 0.0, 0.0, -1.0]).unwrap();
        let model = Model { value: 0.0, x: &[0.0; 2], gradient: &[0.0; 2], curvature: &b };
        let mut newton = Factorized::default();
        newton.prepare(&model).unwrap();
        let mut p = [1.0; 2];
        assert_eq!(newton.step(&model, 1.0, &mut p).unwrap().predicted, 0.0);
        assert_eq!(p, [0.0; 2]);
        assert!(newton.step(&model, 1.0, &mut [0.0; 3]).is_err());
        let model = Model { value: 0.0, x: &[0.0; 3], gradient: &[1.0; 3], curvature: &b };
        assert!(matches!(newton.prepare(&model), Err(Error::Dimension { .. })));
        let b = DenseMatrix::new(2, vec![1.0, 0.0, 0.0, f64::NAN]).unwrap();
        let model = Model { value: 0.0, x: &[0.0; 2], gradient: &[1.0; 2], curvature: &b };
        assert!(matches!(newton.prepare(&model), Err(Error::NonFinite { .. })));
    }

    #[test]
    fn extreme_scales_still_descend() {
        for scale in [1e-150, 1e-60, 1e60, 1e150] {
            for entries in [[2.0, 1.0, 1.0, 3.0], [1.0, 3.0, 3.0, 1.0]] {
                let b = DenseMatrix::new(2, entries.map(|v| v * scale).to_vec()).unwrap();
                let (_, p) = check(&b, &[scale, -scale]);
                let (_, q) = check(&DenseMatrix::new(2, entries.to_vec()).unwrap(), &[1.0, -1.0]);
                assert!(p.iter().zip(&q).all(|(p, q)| (p - q).abs() < 1e-12));
            }
        }
    }
}
