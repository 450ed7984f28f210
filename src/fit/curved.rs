//! The exact Hessian of `½‖r‖²` at a point, with what rounding leaves of it: which directions have curvature, which are flat.
//!
//! With `D = diag ‖J eⱼ‖` and the singular values `J D⁻¹ = U Σ Vᵀ` (by QR, so that they are not squared) the Hessian is
//!
//! ```text
//! H = D V (Σ² + Vᵀ S V) Vᵀ D,   S = D⁻¹ (Σ rᵢ ∇²rᵢ) D⁻¹,
//! ```
//!
//! and its eigenvalues are taken in variables scaled to a unit diagonal once more, where a small one keeps its digits beside
//! large ones (van der Sluis 1969; Demmel & Veselić 1992). Rounding is held against each of them: singular values are known to
//! `max(m, n) ε`; entries of `S` to what the sum moves by when every residual is off by its rounding, that of its value and of
//! the parameters, measured with random signs. No unit of the data or the parameters enters.

use super::finish::column_norms;
use crate::error::{Error, Result};
use crate::linalg::factor::{PivotedQr, SymmetricEigen};
use crate::linalg::operator::Gram;
use crate::linalg::vector::{dot, dot_compensated, norm};
use crate::problem::{LeastSquares, Linearize, ResidualHessian};
use nalgebra::DMatrix;

/// Rounding of a sum against what random signs show of it.
const SAFETY: f64 = 16.0;
/// Entries of a flat direction below this part of the largest, in scaled parameters, take no part in it.
const NO_PART: f64 = 1e-6;

/// The Hessian at one point and its directions.
pub(super) struct Curved {
    pub x: Vec<f64>,
    /// `‖Σ rᵢ ∇²rᵢ‖ / ‖H‖` in scaled parameters.
    pub nonlinearity: f64,
    /// Smallest and largest eigenvalue in scaled parameters; the smallest is zero where it cannot be told from zero.
    pub curvature: [f64; 2],
    scale: Vec<f64>,
    directions: Vec<Direction>,
    /// Rounding of the residuals, `‖·‖`, and the factor by which sums over them raise it.
    rounding: f64,
    summed: f64,
}

/// A direction in scaled parameters, conjugate to the others.
struct Direction {
    q: Vec<f64>,
    /// `qᵀ D⁻¹ H D⁻¹ q`.
    value: f64,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Positive,
    Flat,
    Negative,
}

/// A step, its decrement `gᵀH⁻¹g`, and `‖r‖` where it starts.
pub(super) struct NewtonStep {
    pub p: Vec<f64>,
    pub square: f64,
    pub residual_norm: f64,
    /// Whether there is no slope beyond rounding in flat directions.
    pub stationary: bool,
    /// What the residuals are off by, `‖·‖`: no decrement below it means anything.
    rounding: f64,
}

impl NewtonStep {
    /// Whether no entry is more than `part` of that of `x`.
    pub fn within(&self, part: f64, x: &[f64]) -> bool {
        self.p.iter().zip(x).all(|(p, x)| p.abs() <= part * x.abs())
    }

    /// Whether the step is at the level where rounding of the residuals decides.
    pub fn at_floor(&self, x: &[f64]) -> bool {
        self.square.sqrt() <= self.rounding.max(1e-11 * self.residual_norm) || self.within(1e-9, x)
    }
}

/// What residuals are off by: the rounding of their value and that of the parameters.
fn rounding_of(gram: Gram<'_>, x: &[f64]) -> Vec<f64> {
    let mut size: Vec<f64> = gram.residual.iter().map(|r| r.abs()).collect();
    for (j, b) in x.iter().enumerate() {
        size.iter_mut().zip(gram.column(j)).for_each(|(s, d)| *s += (d * b).abs());
    }
    size.iter_mut().for_each(|s| *s *= f64::EPSILON);
    size
}

/// The sign of place `k`: a fixed sequence without pattern (SplitMix64).
fn sign(k: usize) -> f64 {
    let mut z = (k as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    if (z ^ (z >> 31)) & 1 == 0 { 1.0 } else { -1.0 }
}

impl Curved {
    /// At `x`.
    ///
    /// # Errors
    /// Whatever the residuals report; [`Error::NonFinite`] where a derivative has no value.
    pub fn at<R: ResidualHessian + 'static>(problem: &LeastSquares<R>, x: &[f64]) -> Result<Self> {
        let n = x.len();
        let shared = problem.linearize(&x.to_vec())?;
        let gram = shared.gram()?;
        Error::check_finite("residual", gram.residual)?;
        Error::check_finite("Jacobian", gram.jacobian)?;
        let scale = column_norms(gram);
        let scaled = |mut rest: Vec<f64>| -> Result<DMatrix<f64>> {
            (0..n * n).for_each(|k| rest[k] /= scale[k % n] * scale[k / n]);
            Error::check_finite("residual Hessian", &rest)?;
            Ok(DMatrix::from_vec(n, n, rest))
        };
        let rest = scaled(problem.residual_term(x)?)?;
        let sizes = rounding_of(gram, x);
        let mut probe = vec![0.0; n * n];
        let weights: Vec<f64> = sizes.iter().enumerate().map(|(k, s)| sign(k) * s).collect();
        problem.residuals().weighted_hessian(x, &weights, &mut probe)?;
        let noise = SAFETY * scaled(probe)?.norm();

        let mut qr = PivotedQr::default();
        qr.factor(gram, &scale)?;
        let (sigma, v) = singular(&qr, n)?;
        let squares = DMatrix::from_fn(n, n, |i, j| if i == j { sigma[i] * sigma[i] } else { 0.0 });
        let total: DMatrix<f64> = &v * squares * v.transpose() + &rest;
        let nonlinearity = if total.norm() > 0.0 { rest.norm() / total.norm() } else { 0.0 };
        let known = n.max(gram.residual.len()) as f64 * f64::EPSILON;
        let directions = directions(&v, &sigma, &rest, known * sigma.iter().copied().fold(0.0, f64::max), noise)?;
        let curvature = extremes(&total, &directions)?;
        let (rounding, summed) = (norm(&sizes), known / f64::EPSILON);
        Ok(Self { x: x.to_vec(), nonlinearity, curvature, scale, directions, rounding, summed })
    }

    /// The step `−H⁻¹g` for the gradient at `x`, with this Hessian, in the directions of positive curvature; `None` if the cost
    /// falls along one of negative curvature.
    ///
    /// # Errors
    /// Whatever the residuals report; [`Error::NonFinite`].
    pub fn step<R: ResidualHessian + 'static>(&self, problem: &LeastSquares<R>, x: &[f64]) -> Result<Option<NewtonStep>> {
        let shared = problem.linearize(&x.to_vec())?;
        let gram = shared.gram()?;
        Error::check_finite("residual", gram.residual)?;
        Error::check_finite("Jacobian", gram.jacobian)?;
        let gradient: Vec<f64> =
            self.scale.iter().enumerate().map(|(j, d)| dot_compensated(gram.column(j), gram.residual) / d).collect();
        let (mut p, mut square, mut stationary) = (vec![0.0; x.len()], 0.0, true);
        for Direction { q, value, kind } in &self.directions {
            let slope = dot(q, &gradient);
            if *kind == Kind::Positive {
                square += slope * slope / value;
                p.iter_mut().zip(q).zip(&self.scale).for_each(|((p, q), d)| *p -= q * slope / (value * d));
            } else if slope.abs() > self.summed * self.rounding * norm(q) {
                stationary = false;
                if *kind == Kind::Negative {
                    return Ok(None);
                }
            }
        }
        let usable = square.is_finite() && p.iter().all(|p| p.is_finite());
        Ok(usable.then(|| NewtonStep { p, square, residual_norm: norm(gram.residual), stationary, rounding: self.rounding }))
    }

    /// Whether there is a direction of positive curvature, or none at all.
    pub fn has_curvature(&self) -> bool {
        self.directions.is_empty() || self.directions.iter().any(|d| d.kind == Kind::Positive)
    }

    /// A basis of the flat directions in the parameters themselves, with as many zeros as elimination gives.
    pub fn flat_directions(&self) -> Vec<Vec<f64>> {
        let mut rows: Vec<Vec<f64>> = self
            .directions
            .iter()
            .filter(|d| d.kind == Kind::Flat)
            .map(|d| d.q.iter().map(|q| q / norm(&d.q)).collect())
            .collect();
        let mut pivots = Vec::new();
        for k in 0..rows.len() {
            // The largest entry left is the pivot of its row (Gauss–Jordan).
            let place = (k..rows.len()).flat_map(|i| (0..self.x.len()).map(move |j| (i, j)));
            let free = place.filter(|(_, j)| !pivots.contains(j));
            let Some((i, j)) = free.max_by(|a, b| rows[a.0][a.1].abs().total_cmp(&rows[b.0][b.1].abs())) else { break };
            rows.swap(k, i);
            pivots.push(j);
            let pivot = rows[k][j];
            rows[k].iter_mut().for_each(|v| *v /= pivot);
            let row = rows[k].clone();
            for other in (0..rows.len()).filter(|other| *other != k) {
                let factor = rows[other][j];
                rows[other].iter_mut().zip(&row).for_each(|(o, r)| *o -= factor * r);
            }
        }
        for row in &mut rows {
            let top = row.iter().fold(0.0f64, |a, v| a.max(v.abs()));
            row.iter_mut().for_each(|v| *v = if v.abs() > NO_PART * top { *v } else { 0.0 });
            row.iter_mut().zip(&self.scale).for_each(|(v, d)| *v /= d);
            let largest = row.iter().copied().fold(0.0f64, |a, v| if v.abs() > a.abs() { v } else { a });
            row.iter_mut().for_each(|v| *v /= largest);
        }
        rows
    }
}

/// Singular values and right singular vectors of what was factored.
fn singular(qr: &PivotedQr, n: usize) -> Result<(Vec<f64>, DMatrix<f64>)> {
    let mut v = DMatrix::zeros(n, n);
    if n == 0 {
        return Ok((Vec::new(), v));
    }
    let r = DMatrix::from_fn(n, n, |i, j| if i <= j { qr.entry(i, j) } else { 0.0 });
    let svd = r.svd(false, true);
    let Some(v_t) = svd.v_t else { return Err(Error::NonFinite { what: "Jacobian", index: None }) };
    (0..n).for_each(|i| v.set_row(qr.order()[i], &v_t.column(i).transpose()));
    Ok((svd.singular_values.iter().copied().collect(), v))
}

/// Conjugate directions of `V (Σ² + VᵀSV) Vᵀ`, each judged by its rounding: `known` is that of a singular value, `noise` that
/// of an entry of `S`.
fn directions(v: &DMatrix<f64>, sigma: &[f64], rest: &DMatrix<f64>, known: f64, noise: f64) -> Result<Vec<Direction>> {
    let n = sigma.len();
    let inner = v.tr_mul(rest) * v;
    // Where J has no direction, S alone decides.
    let square = |i: usize| if sigma[i] > known { sigma[i] * sigma[i] } else { 0.0 };
    let floor = (known * known).max(noise).max(f64::MIN_POSITIVE);
    let size: Vec<f64> = (0..n).map(|i| (square(i) + inner[(i, i)].abs()).max(floor).sqrt()).collect();
    let entry = |i: usize, j: usize| (inner[(i, j)] + if i == j { square(i) } else { 0.0 }) / (size[i] * size[j]);
    let mut entries = vec![0.0; n * n];
    (0..n * n).for_each(|k| entries[k] = 0.5 * (entry(k % n, k / n) + entry(k / n, k % n)));
    let mut eigen = SymmetricEigen::default();
    eigen.factor(n, &entries)?;
    let top = eigen.values().iter().fold(0.0f64, |a, v| a.max(v.abs()));
    let of = |(k, &value): (usize, &f64)| {
        let w = &eigen.vectors()[k * n..(k + 1) * n];
        let reach: f64 = w.iter().zip(&size).map(|(w, t)| w.abs() / t).sum();
        let from_sigma: f64 = (0..n).map(|i| (w[i] / size[i]).powi(2) * known * (2.0 * sigma[i] + known)).sum();
        let rounding = noise * reach * reach + from_sigma + 4.0 * n as f64 * f64::EPSILON * top;
        let kind = match value {
            _ if value > rounding => Kind::Positive,
            _ if value < -rounding => Kind::Negative,
            _ => Kind::Flat,
        };
        let q = (0..n).map(|j| (0..n).map(|i| v[(j, i)] * w[i] / size[i]).sum()).collect();
        Direction { q, value, kind }
    };
    Ok(eigen.values().iter().enumerate().map(of).collect())
}

/// Smallest and largest eigenvalue of the scaled Hessian; zero for the smallest where a direction is flat.
fn extremes(total: &DMatrix<f64>, directions: &[Direction]) -> Result<[f64; 2]> {
    let mut eigen = SymmetricEigen::default();
    eigen.factor(total.nrows(), total.as_slice())?;
    let high = eigen.values().iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = eigen.values().iter().copied().fold(f64::INFINITY, f64::min);
    let has = |kind: Kind| directions.iter().any(|d| d.kind == kind);
    // Quotients keep their digits where an eigenvalue beside a large one has none.
    let quotient = |d: &Direction| d.value / dot(&d.q, &d.q);
    let least = directions.iter().map(quotient).fold(f64::INFINITY, f64::min);
    let low = match (has(Kind::Negative), has(Kind::Flat)) {
        (true, _) => least.min(low),
        (false, true) => 0.0,
        (false, false) if low > 0.0 => low.min(least),
        (false, false) => least,
    };
    Ok([low, high])
}

#[cfg(all(test, feature = "expression", feature = "dataset"))]
mod tests {
    use super::*;
    use crate::dataset::Table;
    use crate::fit::{Fit, FitOptions, FitVerdict, Formula, Method, fit};

    fn problem(model: &str, parameters: &[&str], data: &str, weights: Option<&str>) -> LeastSquares<Formula> {
        let names: Vec<String> = parameters.iter().map(|p| p.to_string()).collect();
        LeastSquares::new(Formula::new(model, &names, &Table::parse("t.csv", data).unwrap(), None, weights).unwrap())
    }

    /// Cross sections by two couplings that were only ever 0, ±h and ±h/10⁴ together: their squares are proportional.
    const COUPLINGS: &str = "y,w,cB,cW\n\
        3.595,77.375115106471,0.0,0.0\n\
        8740.28,1.309028382324901e-05,-15.6627,9.4183\n\
        6391.76,2.4477098423560124e-05,15.6627,-9.4183\n\
        13958.5,5.132435917889584e-06,-15.6627,-9.4183\n\
        20597.7,2.357019437159016e-06,15.6627,9.4183\n\
        3.6539,74.90014382669409,-0.00156627,0.00094183\n\
        3.73653,71.6252888467672,0.00156627,-0.00094183\n\
        3.68226,73.75190255100284,-0.00156627,-0.00094183\n\
        3.68414,73.67595644372615,0.00156627,0.00094183\n";

    /// An exponential with a factor and a shift, which do the same.
    const SHIFTED: &str = "x,y\n\
        1,2.357601150007703\n\
        2,1.5869486904424939\n\
        3,0.8605252056380608\n\
        4,0.568653590048713\n\
        5,0.518894872268206\n\
        6,0.7102842151590494\n\
        7,0.9649644866894262\n\
        8,1.426560331828717\n\
        9,1.7686556044685562\n\
        10,2.384685781901415\n\
        11,2.822898159246657\n";

    fn couplings(unit: f64, method: Method) -> Fit {
        let model =
            format!("y = a + b1*({unit}*cB) + b2*({unit}*cW) + q1*({unit}*cB)^2 + q2*({unit}*cW)^2 + q3*({unit}*cB)*({unit}*cW)");
        let problem = problem(&model, &["a", "b1", "b2", "q1", "q2", "q3"], COUPLINGS, Some("w"));
        fit(&problem, &[1.0; 6], &FitOptions { method, ..FitOptions::default() }).unwrap()
    }

    #[test]
    fn rank_deficient_fit_is_one_degenerate_minimum_in_every_unit() {
        for unit in [1e-3, 1.0, 3.0, 10.0, 1000.0] {
            for method in [Method::LevenbergMarquardt, Method::Nielsen, Method::GaussNewton] {
                let found = couplings(unit, method);
                assert_eq!(found.verdict(), FitVerdict::DegenerateMinimum, "{unit} {method:?}: {:?}", found.finish);
                // The solution of the weighted normal equations without one of the squares has this sum.
                assert!((2.0 * found.cost - 17.220_311_56).abs() < 1e-7, "{unit} {method:?}: {}", 2.0 * found.cost);
                let [direction] = &found.finish.degenerate[..] else { panic!("{:?}", found.finish) };
                // q1 cB² + q2 cW² = 0 at cB = 15.6627, cW = −9.4183.
                let exact = -(9.4183f64 / 15.6627).powi(2);
                assert!((direction[3] - exact).abs() < 1e-9 && direction[4] == 1.0, "{direction:?}");
                assert!([0, 1, 2, 5].iter().all(|j| direction[*j] == 0.0), "{direction:?}");
                assert!(found.finish.decrement.is_finite() && found.finish.curvature[0] == 0.0);
                assert_eq!(found.statistics.unidentified, [3, 4]);
            }
        }
    }

    #[test]
    fn parameters_that_do_the_same_are_a_degenerate_minimum_that_names_them() {
        let problem = problem("y = a + b*r^(x-m) + c*x", &["a", "b", "c", "r", "m"], SHIFTED, None);
        for start in [[-3.0, 5.0, 0.5, 0.7, 1.0], [-2.0, 4.0, 0.4, 0.6, 0.0], [-3.0, 7.0, 0.6, 0.8, 3.0]] {
            let found = fit(&problem, &start, &FitOptions::default()).unwrap();
            assert_eq!(found.verdict(), FitVerdict::DegenerateMinimum, "{:?}", found.finish);
            let [direction] = &found.finish.degenerate[..] else { panic!("{:?}", found.finish) };
            assert!([0, 2, 3].iter().all(|j| direction[*j] == 0.0), "{direction:?}");
            // b r^{−m} stays: db = b ln r dm.
            let (b, r) = (found.parameters[1], found.parameters[3]);
            assert!((direction[1] / direction[4] / (b * r.ln()) - 1.0).abs() < 1e-9, "{direction:?}");
            // The same model without the shift has a minimum of its own, and it is this one.
            let plain = problem_without_shift(&[start[0], start[1] * start[3].powf(-start[4]), start[2], start[3]]);
            assert_eq!(plain.verdict(), FitVerdict::Minimum);
            assert!((plain.cost / found.cost - 1.0).abs() < 1e-12);
            assert!((plain.parameters[1] / (b * r.powf(-found.parameters[4])) - 1.0).abs() < 1e-9);
        }
    }

    fn problem_without_shift(start: &[f64]) -> Fit {
        fit(&problem("y = a + b*r^x + c*x", &["a", "b", "c", "r"], SHIFTED, None), start, &FitOptions::default()).unwrap()
    }

    #[test]
    fn small_curvature_that_is_there_is_no_degeneracy_and_a_saddle_none_either() {
        // Columns that differ by 10⁻⁶ and 10⁻⁹ of themselves: JᵀJ has eigenvalues of 10⁻¹² and 10⁻¹⁸, which are known all the same.
        for gap in [1e-6, 1e-9] {
            let rows: Vec<String> = (0..8).map(|k| format!("{k},{},{}", 1.0 + gap * f64::from(k * k % 5), 2 + k)).collect();
            let data = format!("x,z,y\n{}\n", rows.join("\n"));
            let found = fit(&problem("y = a + b*z", &["a", "b"], &data, None), &[0.0, 0.0], &FitOptions::default()).unwrap();
            assert_eq!(found.verdict(), FitVerdict::Minimum, "{:?}", found.finish);
            assert!(found.finish.curvature[0] > 0.0 && found.finish.curvature[0] < gap * gap * 10.0, "{gap} {:?}", found.finish);
        }
        // (x² − 1)² + small: its saddle is at x = 0.
        let data = "x,y\n1,1\n1,1.1\n";
        let valley = problem("y = a^2*x", &["a"], data, None);
        let curved = Curved::at(&valley, &[1e-12]).unwrap();
        assert!(curved.curvature[0] < 0.0 && curved.flat_directions().is_empty(), "{:?}", curved.curvature);
    }

    #[test]
    fn flat_directions_of_several_dimensions_are_told_apart() {
        // a and b only as a sum, c and d only as a product.
        let data = "x,y\n0,1.0\n1,1.6\n2,2.9\n3,4.4\n4,5.1\n";
        let model = problem("y = (a + b) + c*d*x", &["a", "b", "c", "d"], data, None);
        let found = fit(&model, &[0.0, 0.0, 1.0, 2.0], &FitOptions::default()).unwrap();
        assert_eq!((found.verdict(), found.finish.degenerate.len()), (FitVerdict::DegenerateMinimum, 2));
        let (c, d) = (found.parameters[2], found.parameters[3]);
        for direction in &found.finish.degenerate {
            let [sum, product] = [direction[0] + direction[1], direction[2] * d + direction[3] * c];
            assert!(sum.abs() < 1e-9 && product.abs() < 1e-9, "{direction:?}");
            assert!(direction[..2] == [0.0, 0.0] || direction[2..] == [0.0, 0.0], "{direction:?}");
        }
    }
}
