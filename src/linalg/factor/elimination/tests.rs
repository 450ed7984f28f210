use super::detect;
use crate::error::Error;
use crate::linalg::SymmetricOperator;
use crate::linalg::factor::{NormalEquations, NormalMethod};
use crate::linalg::operator::{JacobianPattern, SparseGram, write_dense};
use nalgebra::{DMatrix, DVector};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// "Cameras" of `f` variables, "points" of `e`, and blocks that couple a point with one or two cameras, two cameras with each
/// other, or hold a single camera.
struct Case {
    cameras: usize,
    f: usize,
    points: usize,
    e: usize,
    height: usize,
    /// Numbers of the variables: one camera or point after another, or first coordinates first.
    interleaved: bool,
}

impl Case {
    fn n(&self) -> usize {
        self.cameras * self.f + self.points * self.e
    }
    fn camera(&self, c: usize) -> Vec<u32> {
        let place = |i: usize| if self.interleaved { i * self.cameras + c } else { c * self.f + i };
        (0..self.f).map(|i| place(i) as u32).collect()
    }
    fn point(&self, p: usize) -> Vec<u32> {
        let first = self.cameras * self.f;
        let place = |i: usize| first + if self.interleaved { i * self.points + p } else { p * self.e + i };
        (0..self.e).map(|i| place(i) as u32).collect()
    }
    fn pattern(&self, rng: &mut ChaCha8Rng) -> Arc<JacobianPattern> {
        let mut groups = vec![(self.height, self.f + self.e, vec![]), (1, 2 * self.f + self.e, vec![])];
        groups.extend([(2, 2 * self.f, vec![]), (1, self.f, vec![])]);
        for p in 0..self.points {
            for c in 0..self.cameras {
                if c == p % self.cameras || rng.random_bool(0.5) {
                    groups[0].2.extend(self.camera(c).into_iter().chain(self.point(p)));
                }
            }
            let (a, b) = (p % self.cameras, (p + 1) % self.cameras);
            if a != b && rng.random_bool(0.3) {
                // The point in the middle of the tuple, and the cameras in any order.
                groups[1].2.extend(self.camera(a).into_iter().chain(self.point(p)).chain(self.camera(b)));
            }
        }
        if self.cameras > 1 {
            groups[2].2.extend(self.camera(1).into_iter().chain(self.camera(0)));
        }
        (0..self.cameras).for_each(|c| groups[3].2.extend(self.camera(c)));
        Arc::new(JacobianPattern::new(self.n(), groups).unwrap())
    }
}

fn random(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn dense(gram: &SparseGram<'_>) -> DMatrix<f64> {
    let (m, n) = (gram.pattern.m(), gram.pattern.n());
    let mut j = DMatrix::zeros(m, n);
    for group in gram.pattern.groups() {
        for k in 0..group.len() {
            for (row, values) in group.rows(k).zip(gram.values[group.values(k)].chunks_exact(group.width())) {
                group.variables(k).iter().zip(values).for_each(|(&i, v)| j[(row, i as usize)] = *v);
            }
        }
    }
    j
}

fn cases() -> Vec<Case> {
    let case = |cameras, f, points, e, height, interleaved| Case { cameras, f, points, e, height, interleaved };
    vec![
        case(4, 9, 60, 3, 2, false),
        case(4, 9, 60, 3, 2, true),
        case(3, 5, 40, 1, 1, false),
        case(5, 2, 200, 2, 3, true),
        case(2, 1, 30, 8, 6, false),
        case(1, 13, 25, 4, 9, false),
    ]
}

#[test]
fn products_of_a_sparse_gram_equal_those_of_the_dense_one() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for case in cases() {
        let pattern = case.pattern(&mut rng);
        let (values, r) = (random(&mut rng, pattern.nnz()), random(&mut rng, pattern.m()));
        let gram = SparseGram::new(&pattern, &values, &r).unwrap();
        let (j, n) = (dense(&gram), case.n());
        let b = j.tr_mul(&j);
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * (1.0 + b.abs()));
        let (v, mut out) = (random(&mut rng, n), vec![0.0; n]);
        gram.apply(&v, &mut out).unwrap();
        assert!(close(&out, (&b * DVector::from_vec(v.clone())).as_slice()));
        gram.gradient(&mut out);
        assert!(close(&out, j.tr_mul(&DVector::from_row_slice(&r)).as_slice()));
        gram.column_squares(&mut out);
        assert!(close(&out, b.diagonal().as_slice()));
        let mut whole = vec![0.0; n * n];
        write_dense(&gram, &mut whole).unwrap();
        assert!(close(&whole, b.as_slice()));
        let scale: Vec<f64> = random(&mut rng, n).iter().map(|s| 1.5 + s).collect();
        let mut stored = vec![f64::NAN; pattern.gram().nnz()];
        gram.write_sparse(Some(&scale), &mut stored);
        let (starts, rows) = (pattern.gram().column_starts(), pattern.gram().row_indices());
        let mut filled = DMatrix::zeros(n, n);
        for c in 0..n {
            (starts[c]..starts[c + 1]).for_each(|k| filled[(rows[k], c)] = stored[k] * scale[rows[k]] * scale[c]);
        }
        assert!(close(filled.as_slice(), b.as_slice()));
    }
}

#[test]
fn elimination_and_sparse_cholesky_solve_as_dense_cholesky_does() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for case in cases() {
        let (n, first) = (case.n(), case.cameras * case.f);
        let pattern = case.pattern(&mut rng);
        // Rows enough for full rank everywhere, columns of very different lengths.
        let mut values = random(&mut rng, pattern.nnz());
        let units: Vec<f64> = (0..n).map(|_| 10f64.powf(rng.random_range(-3.0..3.0))).collect();
        for group in pattern.groups() {
            for k in 0..group.len() {
                for row in values[group.values(k)].chunks_exact_mut(group.width()) {
                    row.iter_mut().zip(group.variables(k)).for_each(|(v, &i)| *v *= units[i as usize]);
                }
            }
        }
        let r = random(&mut rng, pattern.m());
        let gram = SparseGram::new(&pattern, &values, &r).unwrap();
        let (j, mut g) = (dense(&gram), vec![0.0; n]);
        gram.gradient(&mut g);
        let scale: Vec<f64> = j.column_iter().map(|c| c.norm()).collect();
        for method in [NormalMethod::Automatic, NormalMethod::Cholesky, NormalMethod::Eliminate((first..n).collect())] {
            let mut equations = NormalEquations::new(method.clone());
            let mut p = vec![0.0; n];
            // The second round in the same buffers.
            for damping in [1e-2, 10.0, 1e-2] {
                equations.load(&gram, &scale).unwrap();
                equations.solve(&gram, &g, damping, &mut p).unwrap();
                let scaled = DMatrix::from_fn(j.nrows(), n, |a, b| j[(a, b)] / scale[b]);
                let matrix = scaled.tr_mul(&scaled) + DMatrix::identity(n, n) * damping;
                let right = DVector::from_fn(n, |i, _| -g[i] / scale[i]);
                let want = matrix.cholesky().unwrap().solve(&right);
                let found = DVector::from_fn(n, |i, _| p[i] * scale[i]);
                let error = (found - &want).norm() / want.norm();
                assert!(error <= 1e-12, "{method:?} {damping}: {error:e}");
            }
            let reduced = equations.reduced();
            assert_eq!(reduced.is_some(), method != NormalMethod::Cholesky, "{method:?}");
            assert!(reduced.is_none_or(|left| left == first), "{reduced:?} {first}");
        }
    }
}

#[test]
fn chains_and_large_or_empty_remainders_are_left_to_sparse_cholesky() {
    let chain = |n: u32| JacobianPattern::new(n as usize, vec![(1, 2, (0..n - 1).flat_map(|i| [i, i + 1]).collect())]).unwrap();
    assert!(super::Elimination::detect(&chain(1000)).is_none());
    // Every second variable is independent of the others; of four, the two that remain are coupled through them.
    let small = chain(5);
    let (class, n_classes) = detect::classes(&small);
    assert_eq!(n_classes, 5);
    let marked = detect::independent(&small, (&class, n_classes)).unwrap();
    assert_eq!(marked, [true, false, true, false, true]);
    // Nothing coupled: everything goes.
    let apart = JacobianPattern::new(6, vec![(2, 3, (0..6).collect())]).unwrap();
    assert_eq!(super::Elimination::detect(&apart).unwrap().reduced(), 0);
}

#[test]
fn eliminations_that_cannot_be_are_errors() {
    let pattern = Arc::new(JacobianPattern::new(10, vec![(1, 10, (0..10).collect())]).unwrap());
    let gram = SparseGram::new(&pattern, &[1.0; 10], &[1.0]).unwrap();
    let load = |variables: &[usize]| NormalEquations::new(NormalMethod::Eliminate(variables.to_vec())).load(&gram, &[1.0; 10]);
    assert!(matches!(load(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), Err(Error::Config { .. })));
    assert!(matches!(load(&[5, 10]), Err(Error::Dimension { .. })));
    assert!(load(&[0, 1, 2, 3, 5, 6, 7, 8]).is_ok());
    assert!(matches!(NormalEquations::default().load(&gram, &[1.0; 3]), Err(Error::Dimension { .. })));
}

#[test]
fn singular_and_broken_systems_name_a_pivot() {
    // Two equal columns, and no damping.
    let pattern = Arc::new(JacobianPattern::new(3, vec![(2, 3, vec![0, 1, 2])]).unwrap());
    for (values, method) in [
        ([1.0, 1.0, 0.0, 2.0, 2.0, 1.0], NormalMethod::Cholesky),
        ([1.0, 1.0, 0.0, 2.0, 2.0, 1.0], NormalMethod::Eliminate(vec![0, 1])),
        ([1.0, 0.0, f64::NAN, 2.0, 1.0, 1.0], NormalMethod::Eliminate(vec![0])),
    ] {
        let gram = SparseGram::new(&pattern, &values, &[1.0, 2.0]).unwrap();
        let mut equations = NormalEquations::new(method);
        equations.load(&gram, &[1.0; 3]).unwrap();
        let mut p = [0.0; 3];
        assert!(equations.solve(&gram, &[1.0; 3], 0.0, &mut p).unwrap_err().pivot < 3);
    }
}

#[test]
fn patterns_refuse_what_they_cannot_hold() {
    let new = |n, height, width, indices: &[u32]| JacobianPattern::new(n, vec![(height, width, indices.to_vec())]);
    assert!(matches!(new(3, 1, 2, &[0, 3]), Err(Error::Dimension { .. })));
    assert!(matches!(new(3, 1, 2, &[0, 1, 2]), Err(Error::Dimension { .. })));
    assert!(matches!(new(3, 1, 2, &[1, 1]), Err(Error::Config { .. })));
    assert!(matches!(new(3, 0, 1, &[1]), Err(Error::Config { .. })));
    assert_eq!(new(6, 1, 3, &[0, 1, 2, 0, 1, 4]).unwrap().runs(), [0, 2, 3, 4, 5, 6]);
    assert!(SparseGram::new(&Arc::new(new(2, 1, 2, &[0, 1]).unwrap()), &[1.0], &[1.0]).is_err());
}
