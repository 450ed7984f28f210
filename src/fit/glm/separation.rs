//! Separation: directions along which the likelihood of binary or count data grows for ever, so that no finite estimate
//! exists.
//!
//! For a binomial response with observations `yᵢ ∈ {0, 1}` such a direction is a `δ ≠ 0` with `xᵢᵀδ ≥ 0` where `yᵢ = 1`,
//! `xᵢᵀδ ≤ 0` where `yᵢ = 0`, `xᵢᵀδ = 0` where `0 < yᵢ < 1`, and not all zero (Albert & Anderson 1984): separation is
//! complete if every inequality is strict, else quasi-complete. For counts with a log link it is `xᵢᵀδ ≤ 0` where `yᵢ = 0`,
//! `xᵢᵀδ = 0` where `yᵢ > 0`.
//!
//! No linear program is solved. With `A` the signed rows of the inequalities on the null space of the equalities, one asks
//! for `z = Aδ ≥ 0`, `z ≠ 0`. The iteration `u ← max(QQᵀu, 0)` from `u = 1`, where `QQᵀ` projects on the range of `A`
//! (Correia, Guimarães & Zylkin 2019, *iterative rectifier*), decides both ways: every certificate `z`, scaled to
//! `max z = 1`, has `uᵀz ≥ 1ᵀz ≥ ‖z‖²` at every step, hence `‖u‖ ≥ ‖z‖ ≥ 1`. An iterate shorter than one proves that there is
//! no separation; one whose projection is not negative is the certificate. The rows of positive `z` are then held against
//! the others set to equality, so that the direction named is exact.

use super::aliases::Basis;
use crate::linalg::vector::{axpy, dot, norm, norm_inf, scale};
use crate::problem::glm::{GlmData, MultinomialData};
use crate::problem::{Family, Link};

/// What of a vector must lie outside of a span for it to count as independent.
const INDEPENDENT: f64 = 1e-9;
/// Entries of a certificate below this part of the largest count as zero.
const ZERO: f64 = 1e-7;
/// Steps of the rectifier at most.
const STEPS: usize = 20_000;

/// A direction in which the likelihood only grows.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Separation {
    /// Whether every observation is predicted perfectly (complete), or only those in [`rows`](Self::rows).
    pub complete: bool,
    /// `δ` by coefficient, largest entry 1 in size; zero for coefficients that stay finite.
    pub direction: Vec<f64>,
    /// Coefficients that take part.
    pub columns: Vec<usize>,
    /// Observations that are predicted perfectly along it.
    pub rows: Vec<usize>,
}

/// A condition of one row on `xᵢᵀδ`.
#[derive(Clone, Copy, PartialEq)]
enum Condition {
    Equal,
    /// `sign · xᵢᵀδ ≥ 0`.
    Sign(f64),
}

/// The direction, if there is one; `None` where the family and link always have an estimate or the question is not
/// decided.
pub(super) fn find(data: &GlmData) -> Option<Separation> {
    let conditions = conditions(data)?;
    let lengths: Vec<f64> = (0..data.n_columns).map(|j| norm(data.column(j)).max(f64::MIN_POSITIVE)).collect();
    let row = |i: usize| -> Vec<f64> { (0..data.n_columns).map(|j| data.column(j)[i] / lengths[j]).collect() };
    let rows: Vec<Row> = conditions.iter().map(|&(i, c)| (row(i), c)).collect();
    let (delta, found) = direction(&rows)?;
    let reach: Vec<f64> = (0..delta.len()).map(|j| norm_inf(data.column(j)) / lengths[j]).collect();
    let complete = found.len() == conditions.len();
    Some(named(delta, &lengths, &reach, complete, found.into_iter().map(|k| conditions[k].0).collect()))
}

/// The same for classes: a `δ` with `xᵢᵀ(δ_{yᵢ} − δₖ) ≥ 0` for every row and other class `k` (Albert & Anderson 1984).
pub(super) fn find_multinomial(data: &MultinomialData) -> Option<Separation> {
    let (p, k) = (data.n_columns, data.n_classes);
    let lengths: Vec<f64> = (0..p).map(|j| norm(data.column(j)).max(f64::MIN_POSITIVE)).collect();
    let (mut rows, mut of) = (Vec::new(), Vec::new());
    for i in (0..data.n_rows()).filter(|&i| data.weights[i] > 0.0) {
        for other in (0..k).filter(|other| *other != data.classes[i]) {
            let mut row = vec![0.0; p * (k - 1)];
            for (class, sign) in [(data.classes[i], 1.0), (other, -1.0)] {
                (0..p).filter(|_| class > 0).for_each(|j| row[(class - 1) * p + j] = sign * data.column(j)[i] / lengths[j]);
            }
            rows.push((row, Condition::Sign(1.0)));
            of.push(i);
        }
    }
    let (delta, found) = direction(&rows)?;
    let (reach, lengths): (Vec<f64>, Vec<f64>) =
        (0..delta.len()).map(|at| (norm_inf(data.column(at % p)) / lengths[at % p], lengths[at % p])).unzip();
    let complete = found.len() == rows.len();
    let mut separated: Vec<usize> = found.into_iter().map(|at| of[at]).collect();
    separated.dedup();
    Some(named(delta, &lengths, &reach, complete, separated))
}

/// From a direction in columns of unit length to one in coefficients; `reach` is what a unit entry moves a predictor by.
fn named(mut delta: Vec<f64>, lengths: &[f64], reach: &[f64], complete: bool, rows: Vec<usize>) -> Separation {
    let moved: Vec<f64> = delta.iter().zip(reach).map(|(d, r)| (d * r).abs()).collect();
    let columns: Vec<usize> = (0..delta.len()).filter(|&j| moved[j] > ZERO * norm_inf(&moved)).collect();
    delta.iter_mut().zip(lengths).for_each(|(d, l)| *d /= l);
    (0..delta.len()).filter(|j| !columns.contains(j)).for_each(|j| delta[j] = 0.0);
    scale(1.0 / norm_inf(&delta), &mut delta);
    Separation { complete, direction: delta, columns, rows }
}

/// The rows with weight and what each asks of a direction.
fn conditions(data: &GlmData) -> Option<Vec<(usize, Condition)>> {
    let of = |y: f64| match (data.family, data.link) {
        (Family::Binomial, Link::Logit | Link::Probit | Link::Cloglog | Link::Cauchit) => match y {
            0.0 => Condition::Sign(-1.0),
            1.0 => Condition::Sign(1.0),
            _ => Condition::Equal,
        },
        _ if y == 0.0 => Condition::Sign(-1.0),
        _ => Condition::Equal,
    };
    let counts = matches!(data.family, Family::Binomial | Family::Poisson | Family::NegativeBinomial { .. });
    let open = data.family == Family::Binomial && data.link != Link::Identity && !matches!(data.link, Link::Power(_));
    let rows = || (0..data.n_rows()).filter(|&i| data.total_weight(i) > 0.0).map(|i| (i, of(data.response[i]))).collect();
    (counts && (open || data.link == Link::Log)).then(rows)
}

type Row = (Vec<f64>, Condition);

/// `δ` and every row that some direction separates.
///
/// A certificate need not be strict on all of them. Rows on which it is strict bound no further direction, since a small part
/// of that can be added: they are dropped, and the rest is asked again.
fn direction(rows: &[Row]) -> Option<(Vec<f64>, Vec<usize>)> {
    let mut rest: Vec<usize> = (0..rows.len()).collect();
    let (mut delta, mut strict): (Vec<f64>, Vec<usize>) = (Vec::new(), Vec::new());
    let value = |k: usize, d: &[f64]| match rows[k].1 {
        Condition::Sign(s) => s * dot(&rows[k].0, d),
        Condition::Equal => 0.0,
    };
    while let Some((more, found)) = certificate(&rest.iter().map(|&k| rows[k].clone()).collect::<Vec<_>>()) {
        let found: Vec<usize> = found.into_iter().map(|at| rest[at]).collect();
        if found.is_empty() {
            break;
        }
        if delta.is_empty() {
            delta = more;
        } else {
            let loss = |&k: &usize| Some(-value(k, &more)).filter(|loss| *loss > 0.0).map(|loss| 0.5 * value(k, &delta) / loss);
            let part = strict.iter().filter_map(loss).fold(1.0, f64::min);
            axpy(part, &more, &mut delta);
        }
        let mut separated = vec![false; rows.len()];
        found.iter().for_each(|&k| separated[k] = true);
        rest.retain(|&k| !separated[k]);
        strict.extend(found);
    }
    strict.sort_unstable();
    (!delta.is_empty()).then_some((delta, strict))
}

/// A direction and the rows on which it is strict; exactly zero on the others.
fn certificate(rows: &[Row]) -> Option<(Vec<f64>, Vec<usize>)> {
    let rough = rectify(rows)?;
    // The rows that are not separated become equalities: the rest must then be strict.
    let positive = |z: &[f64]| -> Vec<usize> { (0..z.len()).filter(|&k| z[k] > ZERO * norm_inf(z)).collect() };
    let mut strict = vec![false; rows.len()];
    positive(&rough.1).into_iter().for_each(|k| strict[k] = true);
    let mut exact = rows.to_vec();
    exact.iter_mut().zip(strict).filter(|(_, strict)| !strict).for_each(|(row, _)| row.1 = Condition::Equal);
    let (delta, z) = rectify(&exact)?;
    Some((delta, positive(&z)))
}

/// The iterative rectifier: `δ` and `z` by row (zero for equalities).
fn rectify(rows: &[Row]) -> Option<(Vec<f64>, Vec<f64>)> {
    let p = rows.first()?.0.len();
    let free = null_space(p, rows.iter().filter(|(_, c)| *c == Condition::Equal).map(|(x, _)| x.as_slice()));
    let signed: Vec<(usize, f64)> = rows
        .iter()
        .enumerate()
        .filter_map(|(k, (_, c))| match c {
            Condition::Sign(s) => Some((k, *s)),
            Condition::Equal => None,
        })
        .collect();
    // Columns of A, and the directions in ℝᵖ behind them, orthogonalized together.
    let image = |v: &[f64]| -> Vec<f64> { signed.iter().map(|&(k, s)| s * dot(&rows[k].0, v)).collect() };
    let (mut range, mut behind): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    for v in free {
        let (mut a, mut d) = (image(&v), v);
        let whole = norm(&a);
        for _ in 0..2 {
            for (q, e) in range.iter().zip(&behind) {
                let along = dot(q, &a);
                axpy(-along, q, &mut a);
                axpy(-along, e, &mut d);
            }
        }
        let length = norm(&a);
        if length > INDEPENDENT * whole.max(1e-3) {
            scale(1.0 / length, &mut a);
            scale(1.0 / length, &mut d);
            range.push(a);
            behind.push(d);
        }
    }
    let mut u = vec![1.0; signed.len()];
    for _ in 0..STEPS {
        let parts: Vec<f64> = range.iter().map(|q| dot(q, &u)).collect();
        let mut v = vec![0.0; u.len()];
        parts.iter().zip(&range).for_each(|(c, q)| axpy(*c, q, &mut v));
        let (low, high) = v.iter().fold((0.0f64, 0.0f64), |(l, h), v| (l.min(*v), h.max(*v)));
        if norm(&v) < 0.999 {
            return None;
        }
        if low >= -1e-3 * ZERO * high {
            let mut delta = vec![0.0; p];
            parts.iter().zip(&behind).for_each(|(c, d)| axpy(*c, d, &mut delta));
            let mut z = vec![0.0; rows.len()];
            signed.iter().zip(&v).for_each(|(&(k, _), v)| z[k] = *v);
            return Some((delta, z));
        }
        u = v.into_iter().map(|v| v.max(0.0)).collect();
    }
    None
}

/// An orthonormal basis of the vectors orthogonal to all `rows`.
fn null_space<'a>(p: usize, rows: impl Iterator<Item = &'a [f64]>) -> Vec<Vec<f64>> {
    let mut basis = Basis::default();
    for row in rows {
        if basis.vectors.len() == p {
            break;
        }
        basis.take(row, INDEPENDENT);
    }
    let rank = basis.vectors.len();
    for j in 0..p {
        let mut unit = vec![0.0; p];
        unit[j] = 1.0;
        if basis.vectors.len() < p {
            // Of p unit vectors at least one leaves 1/√p of itself outside of any smaller span.
            basis.take(&unit, 0.1 / (p as f64).sqrt());
        }
    }
    basis.vectors.split_off(rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Glm;

    fn model(family: Family, link: Link, x: &[f64], y: &[f64]) -> GlmData {
        let design = [vec![1.0; x.len()], x.to_vec()].concat();
        Glm::new(family, link, 2, design, y.to_vec()).unwrap().data().clone()
    }

    #[test]
    fn complete_quasi_complete_and_no_separation_are_told_apart() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let of = |y: &[f64]| find(&model(Family::Binomial, Link::Logit, &x, y));
        let complete = of(&[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).unwrap();
        assert!(complete.complete && complete.rows.len() == 6 && complete.columns == [0, 1]);
        assert!(complete.direction[1] > 0.0);
        assert!(of(&[0.0, 0.0, 1.0, 0.0, 1.0, 1.0]).is_none());
        // Both outcomes at x = 3 and all else on one side of it.
        let tied = [1.0, 2.0, 3.0, 3.0, 5.0, 6.0];
        let quasi = find(&model(Family::Binomial, Link::Probit, &tied, &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0])).unwrap();
        assert!(!quasi.complete);
        assert_eq!(quasi.rows, [0, 1, 4, 5]);
        assert!((quasi.direction[0] / quasi.direction[1] + 3.0).abs() < 1e-12, "{quasi:?}");
        // Proportions pin the predictor where they stand.
        assert!(of(&[0.0, 0.2, 0.0, 0.9, 1.0, 1.0]).is_none());
    }

    #[test]
    fn one_predictor_is_decided_as_by_comparing_the_ends_of_the_classes() {
        let mut seed = 1u64;
        let mut draw = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        let mut kinds = [0; 3];
        for _ in 0..2000 {
            let n = 3 + draw(8) as usize;
            let x: Vec<f64> = (0..n).map(|_| draw(7) as f64).collect();
            let y: Vec<f64> = (0..n).map(|_| draw(2) as f64).collect();
            if x.iter().all(|v| *v == x[0]) {
                continue;
            }
            let end = |class: f64, top: bool| {
                let values = x.iter().zip(&y).filter(|(_, y)| **y == class).map(|(x, _)| if top { *x } else { -x });
                values.fold(f64::NEG_INFINITY, f64::max)
            };
            let gap = (-end(1.0, false) - end(0.0, true)).max(-end(0.0, false) - end(1.0, true));
            let found = find(&model(Family::Binomial, Link::Logit, &x, &y));
            assert_eq!(found.as_ref().map(|s| s.complete), (gap >= 0.0).then_some(gap > 0.0), "{x:?} {y:?} {found:?}");
            kinds[found.map_or(0, |s| 1 + usize::from(s.complete))] += 1;
        }
        assert!(kinds.iter().all(|k| *k > 100), "{kinds:?}");
    }

    #[test]
    fn counts_that_are_all_zero_in_a_group_are_separated() {
        let group = [0.0, 0.0, 0.0, 1.0, 1.0];
        let found = find(&model(Family::Poisson, Link::Log, &group, &[1.0, 3.0, 0.0, 0.0, 0.0])).unwrap();
        assert_eq!((found.complete, found.rows.as_slice(), found.columns.as_slice()), (false, &[3, 4][..], &[1][..]));
        assert_eq!(found.direction, [0.0, -1.0]);
        assert!(find(&model(Family::Poisson, Link::Log, &group, &[1.0, 3.0, 0.0, 0.0, 1.0])).is_none());
        assert!(find(&model(Family::Gamma, Link::Log, &group, &[1.0, 3.0, 1.0, 1.0, 1.0])).is_none());
    }

    #[test]
    fn nearly_separated_data_are_decided_as_a_linear_program_would() {
        // One crossing, however deep in the other side, prevents separation.
        let x: Vec<f64> = (0..40).map(f64::from).collect();
        let mut y: Vec<f64> = x.iter().map(|x| f64::from(*x >= 20.0)).collect();
        assert!(find(&model(Family::Binomial, Link::Logit, &x, &y)).unwrap().complete);
        y.swap(19, 20);
        assert!(find(&model(Family::Binomial, Link::Logit, &x, &y)).is_none());
    }
}
