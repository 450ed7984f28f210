//! Maxima of the likelihood on the boundary of the admissible predictors.
//!
//! Some pairs of family and link admit predictors in an interval only: `η ≤ 0` for probabilities under the log link, `η ≥ 0`
//! for counts under the identity. Where an observation agrees with the mean at the end of its range (a success of
//! probability 1, a count 0 of mean 0) its likelihood stays positive there, nothing keeps the predictor inside, and the maximum
//! may lie on the end. The conditions are linear in the coefficients,
//!
//! ```text
//! min f(β)   subject to   sᵢ (xᵢᵀβ + oᵢ − eᵢ) ≥ 0   for every such row i,
//! ```
//!
//! and are kept as they are: each step minimizes the quadratic model with the observed information over all of them
//! (sequential quadratic programming), by a dual active-set method. It converges as Newton's method does once the rows on
//! the boundary are found, and its multipliers, none of which is negative, are the certificate.
//!
//! # Reference
//! Goldfarb & Idnani (1983), Math. Programming 27 (dual active set); Fletcher (1987), *Practical Methods of Optimization*,
//! §12.4; Marschner & Gillett (2012), Biostatistics 13(1) (log-binomial estimates on the boundary).

use super::information::{FLOOR, Information, Polished};
use crate::error::Result;
use crate::linalg::vector::{axpy, dot, dot_compensated, norm, norm_inf};
use crate::problem::glm::GlmData;
use crate::problem::{Family, Glm, Link};
use nalgebra::{DMatrix, DVector};
use std::collections::HashSet;

/// Steps at most.
const MAX_STEPS: u64 = 100;
/// Halvings of a step at most.
const HALVINGS: usize = 60;
/// Sufficient decrease (Armijo).
const DECREASE: f64 = 1e-4;
/// A slack below this part of the largest predictor's terms is zero.
const ON_END: f64 = 1e-11;
/// Pivots below this part of the largest diagonal entry make steps that rounding decides; eigenvalues are raised to `FLAT` of the
/// largest.
const PIVOT: f64 = 1e-8;
const FLAT: f64 = 1e-10;
/// Predictors of this part of those of the start, or of the largest response, are none.
const VANISHING: f64 = 1e-9;
/// A condition that cannot be met better is met if it is off by no more than this part of its terms.
const ROUNDING: f64 = 1e-9;
/// Where the mean has no value at the end itself it is taken this far inside.
const INSIDE: f64 = 1e-150;

/// A maximum on the boundary of the admissible predictors.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Boundary {
    /// Observations whose fitted mean is at the end of its range.
    pub rows: Vec<usize>,
    /// The mean there: 0, 1 or infinity.
    pub means: Vec<f64>,
    /// Multipliers of these conditions: what half the deviance falls by for each unit by which the predictor may leave the
    /// range. Of rows that agree in all columns the first has that of all.
    pub multipliers: Vec<f64>,
}

/// What is found there.
pub(super) struct OnBoundary {
    pub x: Vec<f64>,
    pub polished: Polished,
    pub boundary: Boundary,
}

/// A row whose predictor may reach the end of its interval: `sign · (η − end) ≥ 0`.
#[derive(Clone, Copy)]
struct Edge {
    row: usize,
    sign: f64,
    end: f64,
    mean: f64,
}

/// The end at which the likelihood of an observation stays positive, if there is one.
fn edge(family: Family, link: Link, row: usize, y: f64) -> Option<Edge> {
    let exponent = match link {
        Link::Identity => 1.0,
        Link::Sqrt => 0.5,
        Link::Inverse => -1.0,
        Link::InverseSquared => -2.0,
        Link::Power(e) => e,
        // A mean of one; zero is out of reach.
        Link::Log => 0.0,
        _ => return None,
    };
    let binomial = family == Family::Binomial;
    // At η = 1 (0 under the logarithm) the mean is one, whatever the power.
    let one =
        Edge { row, sign: if exponent < 0.0 { 1.0 } else { -1.0 }, end: if exponent == 0.0 { 0.0 } else { 1.0 }, mean: 1.0 };
    let zero = Edge { row, sign: 1.0, end: 0.0, mean: 0.0 };
    let counts = binomial || matches!(family, Family::Poisson | Family::NegativeBinomial { .. });
    match y {
        1.0 if binomial => Some(one),
        0.0 if counts && exponent > 0.0 => Some(zero),
        _ if family == Family::Gaussian && exponent > 0.0 && exponent != 1.0 => Some(zero),
        _ if family == Family::InverseGaussian && exponent < 0.0 => Some(Edge { mean: f64::INFINITY, ..zero }),
        _ => None,
    }
}

/// All such rows with weight.
fn edges(data: &GlmData) -> Vec<Edge> {
    let of = |i: usize| edge(data.family, data.link, i, data.response[i]);
    (0..data.n_rows()).filter(|&i| data.total_weight(i) > 0.0).filter_map(of).collect()
}

/// One of each kind of condition: rows that agree in design, offset and end ask the same.
fn distinct(data: &GlmData, edges: &[Edge]) -> Vec<Edge> {
    let mut known = HashSet::new();
    let bits = |e: &Edge| -> Vec<u64> {
        let design = (0..data.n_columns).map(|j| data.column(j)[e.row]);
        design.chain([data.offset[e.row], e.sign, e.end]).map(|v| (v + 0.0).to_bits()).collect()
    };
    edges.iter().filter(|e| known.insert(bits(e))).copied().collect()
}

/// The problem in columns of unit length.
struct Program<'a> {
    data: &'a GlmData,
    edges: Vec<Edge>,
    /// `sᵢ xᵢ` in these columns, by distinct condition.
    normals: Vec<Vec<f64>>,
    distinct: Vec<Edge>,
    lengths: Vec<f64>,
    /// Predictors below this are zero: where all of them vanish they give no measure themselves.
    least: f64,
}

/// Cost, gradient and observed information at one point.
struct Here {
    cost: f64,
    gradient: Vec<f64>,
    hessian: DMatrix<f64>,
}

impl<'a> Program<'a> {
    fn new(data: &'a GlmData) -> Option<Self> {
        let edges = edges(data);
        let lengths: Vec<f64> = (0..data.n_columns).map(|j| norm(data.column(j)).max(f64::MIN_POSITIVE)).collect();
        let distinct = distinct(data, &edges);
        let normal = |e: &Edge| (0..data.n_columns).map(|j| e.sign * data.column(j)[e.row] / lengths[j]).collect();
        let normals = distinct.iter().map(normal).collect();
        (!edges.is_empty()).then_some(Self { data, edges, normals, distinct, lengths, least: 0.0 })
    }

    /// `sᵢ (ηᵢ − eᵢ)`.
    fn slack(&self, e: &Edge, x: &[f64]) -> f64 {
        let terms: f64 = (0..x.len()).map(|j| self.data.column(j)[e.row] * x[j]).sum();
        e.sign * (terms + self.data.offset[e.row] - e.end)
    }

    /// The largest sum of the sizes of a predictor's terms: what a slack is small against.
    fn size(&self, x: &[f64]) -> f64 {
        let mut sizes: Vec<f64> = self.data.offset.iter().map(|o| o.abs()).collect();
        for (j, b) in x.iter().enumerate() {
            sizes.iter_mut().zip(self.data.column(j)).for_each(|(s, v)| *s += (v * b).abs());
        }
        sizes.into_iter().fold(self.least, f64::max)
    }

    /// Predictors, put on their ends where rounding leaves them outside.
    fn predictor(&self, x: &[f64]) -> Vec<f64> {
        let (mut eta, size) = (self.data.predictor(x), self.size(x));
        for e in &self.edges {
            let slack = e.sign * (eta[e.row] - e.end);
            if slack <= 0.0 && -slack <= ON_END * size {
                eta[e.row] = if self.data.link.mean(e.end).value.is_nan() { e.end + e.sign * INSIDE } else { e.end };
            }
        }
        eta
    }

    fn cost(&self, x: &[f64]) -> f64 {
        let eta = self.predictor(x);
        let cost: f64 = (0..eta.len()).map(|i| self.data.total_weight(i) * self.data.term(i, eta[i]).half_deviance).sum();
        if cost.is_nan() { f64::INFINITY } else { cost }
    }

    fn at(&self, x: &[f64]) -> Here {
        let (data, p, eta) = (self.data, x.len(), self.predictor(x));
        let (mut cost, mut scores, mut observed) = (0.0, Vec::new(), Vec::new());
        for (i, eta) in eta.iter().enumerate() {
            let (term, w) = (data.term(i, *eta), data.total_weight(i));
            cost += w * term.half_deviance;
            scores.push(w * term.score);
            observed.push(w * term.observed);
        }
        let gradient = (0..p).map(|j| -dot_compensated(data.column(j), &scores) / self.lengths[j]).collect();
        let weighted = |j: usize| -> Vec<f64> { data.column(j).iter().zip(&observed).map(|(x, w)| x * w).collect() };
        let mut hessian = DMatrix::zeros(p, p);
        for j in 0..p {
            let column = weighted(j);
            for i in 0..=j {
                let v = dot(data.column(i), &column) / (self.lengths[i] * self.lengths[j]);
                (hessian[(i, j)], hessian[(j, i)]) = (v, v);
            }
        }
        Here { cost, gradient, hessian }
    }

    /// A positive definite matrix that gives the steps of the observed information: that itself; raised along the conditions
    /// that held the last step, which changes no step on their face and keeps its digits; or with its eigenvalues by their size.
    fn model(&self, here: &Here, held: &[(usize, f64)]) -> Option<DMatrix<f64>> {
        if !here.hessian.iter().chain(&here.gradient).all(|v| v.is_finite()) {
            return None;
        }
        let size = here.hessian.diagonal().amax().max(f64::MIN_POSITIVE);
        let raises: &[f64] = if held.is_empty() { &[0.0] } else { &[1.0, 1e2, 1e4] };
        let raised = raises.iter().find_map(|raise| {
            let mut matrix = here.hessian.clone();
            for (k, _) in held {
                let normal = DVector::from_row_slice(&self.normals[*k]).normalize();
                matrix.ger(raise * size, &normal, &normal, 1.0);
            }
            let top = matrix.diagonal().amax();
            let factor = matrix.cholesky()?.l();
            (factor.diagonal().min().powi(2) > PIVOT * top).then_some(factor)
        });
        raised.or_else(|| {
            let eigen = here.hessian.clone().symmetric_eigen();
            let top = eigen.eigenvalues.amax();
            let floor = if top > 0.0 { FLAT * top } else { 1.0 };
            let values = eigen.eigenvalues.map(|v| v.abs().max(floor));
            let matrix = &eigen.eigenvectors * DMatrix::from_diagonal(&values) * eigen.eigenvectors.transpose();
            Some(matrix.cholesky()?.l())
        })
    }

    /// The minimizer of the quadratic model within the conditions, their multipliers, and `dᵀBd`; `held` are those of the last
    /// step.
    fn step(&self, here: &Here, x: &[f64], held: &[(usize, f64)]) -> Option<(Vec<f64>, Vec<(usize, f64)>, f64)> {
        let factor = self.model(here, held)?;
        let onto = |v: &[f64]| factor.solve_lower_triangular(&DVector::from_row_slice(v));
        let target = -onto(&here.gradient)?;
        let rows = self.normals.iter().map(|a| onto(a)).collect::<Option<Vec<_>>>()?;
        let negligible = 1e-15 * self.size(x);
        let bound = |e: &Edge| Some(-self.slack(e, x)).filter(|b| *b < -negligible).unwrap_or(0.0);
        let bounds: Vec<f64> = self.distinct.iter().map(bound).collect();
        let (u, active) = project(&target, &rows, &bounds)?;
        let square = u.norm_squared();
        let d = factor.transpose().solve_upper_triangular(&u)?;
        Some((d.iter().zip(&self.lengths).map(|(d, l)| d / l).collect(), active, square))
    }

    /// Smallest and largest curvature along the conditions with a multiplier; `None` unless positive.
    fn curvature(&self, here: &Here, active: &[(usize, f64)]) -> Option<[f64; 2]> {
        let p = here.gradient.len();
        let held = DMatrix::from_fn(active.len().max(1), p, |k, j| active.get(k).map_or(0.0, |(i, _)| self.normals[*i][j]));
        let gram = held.tr_mul(&held).symmetric_eigen();
        let top = gram.eigenvalues.amax();
        let free: Vec<usize> = (0..p).filter(|&k| gram.eigenvalues[k] <= 1e-18_f64.max(1e-14 * top)).collect();
        if free.is_empty() {
            return Some([1.0, 1.0]);
        }
        let z = gram.eigenvectors.select_columns(&free);
        let reduced = z.tr_mul(&(&here.hessian * &z));
        Information::of_matrix(free.len(), reduced.as_slice()).map(|found| found.curvature())
    }
}

/// The maximum within the admissible predictors, if the family and link restrict them and it lies on their boundary.
/// `start` has a finite deviance; `inner` too, and lies inside.
pub(super) fn maximize(model: &Glm, start: &[f64], inner: &[f64]) -> Result<Option<OnBoundary>> {
    let data = model.data();
    let Some(mut program) = Program::new(data) else { return Ok(None) };
    // Counts that are all zero have no size either: then one is as good as another.
    let top = data.response.iter().copied().fold(0.0, f64::max);
    let natural = data.link.predictor(if top > 0.0 { top } else { 1.0 }).abs();
    program.least = VANISHING * program.size(inner).max(if natural.is_finite() { natural } else { 0.0 });
    let mut x = start.to_vec();
    let mut here = program.at(&x);
    let mut done = Polished { steps: 0, converged: false, excess: f64::NAN, curvature: [f64::NAN; 2] };
    let mut active: Vec<(usize, f64)> = Vec::new();
    let mut last = f64::INFINITY;
    while done.steps < MAX_STEPS {
        let Some((d, held, square)) = program.step(&here, &x, &active) else { break };
        active = held;
        done.excess = 0.5 * square;
        let mut moved = vec![0.0; data.n_rows()];
        d.iter().enumerate().for_each(|(j, d)| axpy(*d, data.column(j), &mut moved));
        let moved = norm_inf(&moved) / program.size(&x);
        if moved <= FLOOR {
            done.converged = true;
            // The rest is below rounding, but for the last step onto the ends.
            if square >= 0.25 * last || square == 0.0 {
                break;
            }
        }
        last = square;
        let slope: f64 = here.gradient.iter().zip(&d).zip(&program.lengths).map(|((g, d), l)| g * d * l).sum();
        let rounding = 8.0 * f64::EPSILON * here.cost.abs();
        let mut t = 1.0;
        let next = (0..HALVINGS).find_map(|_| {
            let next: Vec<f64> = x.iter().zip(&d).map(|(x, d)| x + t * d).collect();
            let cost = program.cost(&next);
            let falls = cost <= here.cost + DECREASE * t * slope + rounding;
            t *= 0.5;
            falls.then_some(next)
        });
        let Some(next) = next else { break };
        x = next;
        here = program.at(&x);
        done.steps += 1;
    }
    let near = ON_END * program.size(&x);
    let reached: Vec<Edge> = program.edges.iter().filter(|e| program.slack(e, &x) <= near).copied().collect();
    if reached.is_empty() {
        return Ok(None);
    }
    match program.curvature(&here, &active) {
        Some(curvature) => done.curvature = curvature,
        None => done.converged = false,
    }
    let multiplier = |e: &Edge| active.iter().find(|(k, _)| program.distinct[*k].row == e.row).map_or(0.0, |(_, l)| *l);
    let boundary = Boundary {
        rows: reached.iter().map(|e| e.row).collect(),
        means: reached.iter().map(|e| e.mean).collect(),
        multipliers: reached.iter().map(multiplier).collect(),
    };
    Ok(Some(OnBoundary { x: inside(model, x, inner)?, polished: done, boundary }))
}

/// Coefficients with every mean inside of its range: those nearest to zero that keep a distance from its ends.
pub(super) fn start(model: &Glm) -> Option<Vec<f64>> {
    let data = model.data();
    let positive = !matches!(data.link, Link::Logit | Link::Probit | Link::Cloglog | Link::Cauchit | Link::Log);
    let lower = (positive && (data.family != Family::Gaussian || data.link != Link::Identity)).then_some(0.0);
    let one = edge(data.family, data.link, 0, 1.0).filter(|e| e.mean == 1.0);
    let lengths: Vec<f64> = (0..data.n_columns).map(|j| norm(data.column(j)).max(f64::MIN_POSITIVE)).collect();
    let ends: Vec<(f64, f64)> = lower.map(|end| (1.0, end)).into_iter().chain(one.map(|e| (e.sign, e.end))).collect();
    let (mut rows, mut bounds) = (Vec::new(), Vec::new());
    for i in (0..data.n_rows()).filter(|&i| data.total_weight(i) > 0.0) {
        for (sign, end) in &ends {
            rows.push(DVector::from_fn(data.n_columns, |j, _| sign * data.column(j)[i] / lengths[j]));
            bounds.push(sign * (end - data.offset[i]));
        }
    }
    // Probabilities lie within half a unit of their ends; other means are as large as the data.
    let top = (0..data.n_rows()).map(|i| data.response[i].abs()).fold(0.0, f64::max);
    let mut distance = if one.is_some() { 0.5 } else { data.link.predictor(top.max(f64::MIN_POSITIVE)) };
    for _ in 0..60 {
        let inside: Vec<f64> = bounds.iter().map(|b| b + distance).collect();
        let found = project(&DVector::zeros(data.n_columns), &rows, &inside);
        let x = found.map(|(u, _)| -> Vec<f64> { u.iter().zip(&lengths).map(|(u, l)| u / l).collect() });
        if let Some(x) = x
            && model.pass(&x).is_ok_and(|pass| pass.cost.is_finite())
        {
            return Some(x);
        }
        distance *= 0.5;
    }
    None
}

/// The least part of the way to a point inside at which every mean is one of the family in spite of rounding.
fn inside(model: &Glm, x: Vec<f64>, inner: &[f64]) -> Result<Vec<f64>> {
    let mut part = 0.0;
    while part < 1e-6 {
        let moved: Vec<f64> = x.iter().zip(inner).map(|(x, y)| x + part * (y - x)).collect();
        if model.pass(&moved)?.cost.is_finite() {
            return Ok(moved);
        }
        part = if part == 0.0 { 0.5 * f64::EPSILON } else { 2.0 * part };
    }
    Ok(x)
}

/// The point `u` nearest to `target` with `rowsᵢᵀu ≥ boundsᵢ`, and the positive multipliers of the rows that hold it:
/// `u − target = Σ λᵢ rowsᵢ` (Goldfarb & Idnani 1983, with the identity as matrix).
fn project(target: &DVector<f64>, rows: &[DVector<f64>], bounds: &[f64]) -> Option<(DVector<f64>, Vec<(usize, f64)>)> {
    let mut u = target.clone();
    let mut held: Vec<(usize, f64)> = Vec::new();
    let lengths: Vec<f64> = rows.iter().map(|r| r.norm()).collect();
    let size = |i: usize, u: &DVector<f64>| lengths[i] * u.norm() + bounds[i].abs();
    // Rows that depend on held ones and are off by rounding alone.
    let mut met = vec![false; rows.len()];
    for _ in 0..50 + 10 * (target.len() + rows.len()) {
        let gap = |i: usize| (rows[i].dot(&u) - bounds[i]) / size(i, &u);
        let free = (0..rows.len()).filter(|i| lengths[*i] > 0.0 && !met[*i] && !held.iter().any(|(k, _)| k == i));
        let worst = free.map(|i| (gap(i), i)).filter(|(gap, _)| *gap < -1e-14).min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((off, new)) = worst else { return Some((u, held)) };
        let mut multiplier = 0.0;
        let taken = loop {
            // What of the new row the held ones do not span, and its part in them.
            let columns: Vec<DVector<f64>> = held.iter().map(|(k, _)| rows[*k].clone()).collect();
            let part = if columns.is_empty() {
                DVector::zeros(0)
            } else {
                DMatrix::from_columns(&columns).svd(true, true).solve(&rows[new], 1e-13 * lengths[new]).ok()?
            };
            let mut z = rows[new].clone();
            columns.iter().zip(part.iter()).for_each(|(c, r)| z.axpy(-r, c, 1.0));
            let blocking = (0..held.len()).filter(|&k| part[k] > 1e-14).map(|k| (held[k].1 / part[k], k));
            let first = blocking.min_by(|a, b| a.0.total_cmp(&b.0));
            let full = match z.norm() > 1e-10 * lengths[new] {
                true => (bounds[new] - rows[new].dot(&u)) / z.norm_squared(),
                false => f64::INFINITY,
            };
            let t = full.min(first.map_or(f64::INFINITY, |(t, _)| t));
            if !t.is_finite() {
                break false;
            }
            if full.is_finite() {
                u.axpy(t, &z, 1.0);
            }
            held.iter_mut().zip(part.iter()).for_each(|(h, r)| h.1 = (h.1 - t * r).max(0.0));
            multiplier += t;
            match first {
                Some((least, k)) if least < full => {
                    held.remove(k);
                }
                _ => break true,
            }
        };
        if taken {
            held.push((new, multiplier));
        } else if off > -ROUNDING {
            met[new] = true;
        } else {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_on_a_polyhedron_meets_the_optimality_conditions() {
        let mut seed = 3u64;
        let mut draw = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let mut most = 0;
        for round in 0..500 {
            let (n, m) = (1 + round % 5, 1 + round % 17);
            let mut rows: Vec<DVector<f64>> = (0..m).map(|_| DVector::from_fn(n, |_, _| draw())).collect();
            // Some rows twice and some as sums of others, all through one point: no set of multipliers is unique.
            if m > 3 {
                rows[1] = rows[0].clone();
                rows[2] = &rows[0] + &rows[3];
            }
            let inner = DVector::from_fn(n, |_, _| draw());
            let bounds: Vec<f64> =
                rows.iter().enumerate().map(|(k, r)| r.dot(&inner) - if k % 2 == 0 { 0.0 } else { 0.1 }).collect();
            let target = DVector::from_fn(n, |_, _| 3.0 * draw());
            let (u, held) = project(&target, &rows, &bounds).unwrap();
            let gap = |k: usize| rows[k].dot(&u) - bounds[k];
            assert!((0..m).all(|k| gap(k) > -1e-11), "{round}");
            assert!(held.iter().all(|(k, l)| *l >= 0.0 && gap(*k).abs() < 1e-11), "{round}");
            let mut rest = &u - &target;
            held.iter().for_each(|(k, l)| rest.axpy(-l, &rows[*k], 1.0));
            assert!(rest.norm() < 1e-11, "{round}: {}", rest.norm());
            most = most.max(held.len());
        }
        assert!(most >= 4);
        // x ≥ 1 and −x ≥ 0 exclude each other.
        let rows = [DVector::from_element(1, 1.0), DVector::from_element(1, -1.0)];
        assert!(project(&DVector::zeros(1), &rows, &[1.0, 0.0]).is_none());
    }

    #[test]
    fn start_within_the_range_is_found_where_there_is_one() {
        // β₁ > 0, β₂ > 0, β₁ > 0.9 β₂, without a constant.
        let design = vec![1.0, 0.0, 1.0, 0.0, 1.0, -0.9];
        let model = Glm::new(Family::Poisson, Link::Identity, 2, design, vec![1.0, 50.0, 0.0]).unwrap();
        let x = start(&model).unwrap();
        assert!(model.pass(&x).unwrap().cost.is_finite() && x[0] > 0.9 * x[1] && x[1] > 0.0, "{x:?}");
        let design = vec![1.0, 1.0, 1.0, -3.0, 0.5, 4.0];
        let model = Glm::new(Family::Binomial, Link::Log, 2, design, vec![1.0, 0.0, 1.0]).unwrap();
        assert!(model.data().predictor(&start(&model).unwrap()).iter().all(|eta| *eta < 0.0));
        // β > 0 and −β > 0.
        let model = Glm::new(Family::Poisson, Link::Identity, 1, vec![1.0, -1.0], vec![1.0, 2.0]).unwrap();
        assert!(start(&model).is_none());
    }
}
