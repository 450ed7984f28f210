//! Every kernel against dense eigenvalues and products.

mod supernodal;

use super::*;
use crate::Error;
use crate::linalg::operator::{DenseMatrix, Diagonal, Pattern, ScaledIdentity, SparseMatrix, write_dense};
use crate::linalg::vector::{dot, norm};
use crate::linalg::{Form, Operator, SymmetricOperator};
use nalgebra::DMatrix;
use proptest::prelude::*;
use std::sync::Arc;

/// Deterministic values in (−1, 1).
fn random(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

fn dense(n: usize, seed: u64) -> DMatrix<f64> {
    let m = DMatrix::from_vec(n, n, random(seed, n * n));
    (&m + m.transpose()) * 0.5
}

fn sparse(n: usize, pairs: impl IntoIterator<Item = (usize, usize)>, seed: u64) -> SparseMatrix {
    let pattern = Arc::new(Pattern::from_pairs(n, pairs).unwrap());
    let values = random(seed, pattern.nnz());
    let mut matrix = SparseMatrix::new(pattern.clone(), values.clone()).unwrap();
    for j in 0..n {
        for k in pattern.column_starts()[j]..pattern.column_starts()[j + 1] {
            let i = pattern.row_indices()[k];
            matrix.values_mut()[k] = values[pattern.position(i.max(j), i.min(j)).unwrap()];
        }
    }
    matrix
}

fn band(n: usize, width: usize, seed: u64) -> SparseMatrix {
    sparse(n, (0..n).flat_map(|i| (i..n.min(i + width + 1)).map(move |j| (i, j))), seed)
}

/// Seven-point stencil on an `m × m` grid, as a triangulated membrane has.
fn grid(m: usize, seed: u64) -> SparseMatrix {
    let index = move |i: usize, j: usize| i * m + j;
    let pairs = (0..m * m).flat_map(move |k| {
        let (i, j) = (k / m, k % m);
        [(i + 1, j), (i, j + 1), (i + 1, j + 1)]
            .into_iter()
            .filter(move |&(a, b)| a < m && b < m)
            .map(move |(a, b)| (k, index(a, b)))
    });
    sparse(m * m, pairs, seed)
}

/// A random pattern whose factor is nearly full.
fn scattered(n: usize, pairs: usize, seed: u64) -> SparseMatrix {
    let at = move |v: f64| ((v + 1.0) * 0.5 * n as f64) as usize % n;
    sparse(n, random(seed, pairs).into_iter().zip(random(seed + 1, pairs)).map(move |(a, b)| (at(a), at(b))), seed)
}

fn as_matrix(operator: &dyn SymmetricOperator) -> DMatrix<f64> {
    let n = operator.dim();
    let mut out = DMatrix::zeros(n, n);
    write_dense(operator, out.as_mut_slice()).unwrap();
    out
}

/// One matrix for each kernel.
fn every_kernel() -> Vec<(&'static str, Operator<'static>)> {
    let mut all: Vec<(&'static str, Operator<'static>)> = vec![
        ("identity", Box::new(ScaledIdentity { n: 5, c: -0.5 })),
        ("diagonal", Box::new(Diagonal(random(3, 7)))),
        ("grid", Box::new(grid(7, 1))),
        ("supernodal", Box::new(scattered(180, 3000, 2))),
        ("star", Box::new(sparse(30, (1..30).map(|j| (0, j)), 3))),
    ];
    for n in [1, 2, 3, 5, 6, 20, 48, 49, 90] {
        all.push(("dense", Box::new(dense(n, n as u64))));
    }
    for width in 0..=9 {
        for n in [1, 2, 3, 4, 13, 14, 60] {
            all.push(("band", Box::new(band(n, width, (width * 100 + n) as u64))));
        }
    }
    for n in [129, 150, 151] {
        all.push(("tridiagonal", Box::new(band(n, 1, n as u64))));
    }
    all
}

#[test]
fn solve_and_half_solve_on_every_kernel_reproduce_the_right_hand_side() {
    for (name, b) in every_kernel() {
        let (n, matrix) = (b.dim(), as_matrix(&*b));
        let mut cholesky = ShiftedCholesky::default();
        cholesky.load(&*b).unwrap();
        let lowest = matrix.clone().symmetric_eigenvalues().min();
        for shift in [0.5 - lowest, 3.0 - lowest] {
            cholesky.factor(shift).unwrap();
            let rhs = random(77, n);
            let (mut x, mut w) = (vec![0.0; n], vec![0.0; n]);
            cholesky.solve(&rhs, &mut x);
            cholesky.half_solve(&rhs, &mut w);
            let mut product = vec![0.0; n];
            b.apply(&x, &mut product).unwrap();
            for i in 0..n {
                let r = product[i] + shift * x[i] - rhs[i];
                assert!(r.abs() <= 1e-12 * (1.0 + shift) * norm(&x).max(1.0), "{name} {n}: residual {r}");
            }
            let energy = dot(&rhs, &x);
            assert!((dot(&w, &w) - energy).abs() <= 1e-12 * energy, "{name} {n}");
        }
        assert_eq!(cholesky.count(), 2);
        assert_eq!(cholesky.dim(), n);
    }
}

#[test]
fn factor_below_the_lowest_eigenvalue_fails_and_shows_negative_curvature() {
    for (name, b) in every_kernel() {
        let (n, matrix) = (b.dim(), as_matrix(&*b));
        let lowest = matrix.clone().symmetric_eigenvalues().min();
        let mut cholesky = ShiftedCholesky::default();
        cholesky.load(&*b).unwrap();
        assert!(cholesky.factor(1e-9 - lowest).is_ok(), "{name} {n}");
        for below in [1e-9, 0.1, 2.0] {
            let shift = -lowest - below;
            let failure = cholesky.factor(shift).unwrap_err();
            let mut v = vec![0.0; n];
            assert!(cholesky.negative_curvature(&mut v), "{name} {n}");
            assert_eq!(v[failure.pivot], 1.0);
            let v = nalgebra::DVector::from_vec(v);
            let value = v.dot(&(&matrix * &v)) + shift * v.norm_squared();
            let scale = v.norm_squared() * (1.0 + shift.abs());
            assert!((value + failure.deficit).abs() <= 1e-12 * scale, "{name} {n}: {value} against {}", failure.deficit);
            assert!(value <= 1e-13 * scale);
        }
    }
}

#[test]
fn every_kernel_is_reached_by_its_matrix() {
    let kernels: Vec<String> = every_kernel()
        .iter()
        .map(|(_, b)| {
            let mut cholesky = ShiftedCholesky::default();
            cholesky.load(&**b).unwrap();
            cholesky.kernel_name()
        })
        .collect();
    for name in ["Diagonal", "Dense", "Banded", "Simplicial", "Supernodal"] {
        assert!(kernels.iter().any(|k| k == name), "{name} is not among {kernels:?}");
    }
}

#[test]
fn norms_equal_their_definitions_for_each_form() {
    for (name, b) in every_kernel() {
        let m = as_matrix(&*b);
        let mut cholesky = ShiftedCholesky::default();
        cholesky.load(&*b).unwrap();
        let norms = cholesky.norms();
        let radius = |i: usize| m.row(i).iter().map(|v| v.abs()).sum::<f64>() - m[(i, i)].abs();
        let over = |f: &dyn Fn(usize) -> f64| (0..m.nrows()).map(f).fold(f64::NEG_INFINITY, f64::max);
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-13 * b.abs().max(1.0), "{name}: {a} against {b}");
        close(norms.frobenius, m.norm());
        close(norms.infinity, over(&|i| radius(i) + m[(i, i)].abs()));
        close(norms.max_diagonal, over(&|i| m[(i, i)]));
        close(norms.min_diagonal, -over(&|i| -m[(i, i)]));
        close(norms.gershgorin_upper, over(&|i| m[(i, i)] + radius(i)));
        close(norms.gershgorin_lower, -over(&|i| radius(i) - m[(i, i)]));
        close(norms.max_abs, m.amax());
    }
}

#[test]
fn empty_matrix_factors_and_solves() {
    let mut cholesky = ShiftedCholesky::default();
    for operator in [Box::new(DMatrix::zeros(0, 0)) as Operator, Box::new(band(0, 1, 1)), Box::new(Diagonal(vec![]))] {
        cholesky.load(&*operator).unwrap();
        assert!(cholesky.factor(0.0).is_ok());
        cholesky.solve(&[], &mut []);
        assert_eq!(cholesky.norms(), MatrixNorms::default());
    }
    let mut factor = BunchKaufman::default();
    factor.factor(&DMatrix::zeros(0, 0)).unwrap();
    assert_eq!(factor.inertia(), Inertia::default());
    assert_eq!(factor.negative_direction(&mut []), None);
}

#[test]
fn singular_matrix_fails_with_zero_deficit() {
    let mut cholesky = ShiftedCholesky::default();
    cholesky.load(&DenseMatrix::new(2, vec![1.0, 1.0, 1.0, 1.0]).unwrap()).unwrap();
    assert_eq!(cholesky.factor(0.0), Err(NotPositiveDefinite { pivot: 1, deficit: 0.0 }));
    let mut v = [0.0; 2];
    assert!(cholesky.negative_curvature(&mut v));
    assert_eq!(v, [-1.0, 1.0]);
    cholesky.load(&DenseMatrix::new(1, vec![0.0]).unwrap()).unwrap();
    assert_eq!(cholesky.factor(0.0), Err(NotPositiveDefinite { pivot: 0, deficit: 0.0 }));
    assert!(cholesky.factor(1e-300).is_ok());
}

#[test]
fn scales_from_1e_minus_150_to_1e150_factor_alike() {
    for scale in [1e-150, 1e-75, 1.0, 1e75, 1e150] {
        for (name, b) in every_kernel().into_iter().filter(|(_, b)| b.dim() > 1) {
            let n = b.dim();
            let m = as_matrix(&*b);
            let shift = (0.5 - m.clone().symmetric_eigenvalues().min()) * scale;
            let mut scaled = m * scale;
            let mut cholesky = ShiftedCholesky::default();
            cholesky.load(&scaled).unwrap();
            cholesky.factor(shift).unwrap();
            let mut x = vec![0.0; n];
            let rhs: Vec<f64> = random(5, n);
            cholesky.solve(&rhs, &mut x);
            (0..n).for_each(|i| scaled[(i, i)] += shift);
            let r = &scaled * nalgebra::DVector::from_vec(x.clone()) - nalgebra::DVector::from_vec(rhs);
            assert!(r.norm() <= 1e-12 * (1.0 + scaled.amax() * n as f64 * norm(&x)), "{name} {n} at {scale}: {}", r.norm());
            assert!(cholesky.norms().frobenius.is_finite());
            let mut factor = BunchKaufman::default();
            factor.factor(&scaled).unwrap();
            assert_eq!(factor.inertia().positive, n);
        }
    }
}

#[test]
fn reuse_with_another_pattern_or_size_gives_the_same_bits_as_a_fresh_factor() {
    let mut kept = ShiftedCholesky::default();
    for _ in 0..2 {
        for (_, b) in every_kernel() {
            let n = b.dim();
            let mut fresh = ShiftedCholesky::default();
            let rhs = random(9, n);
            let (mut x, mut y) = (vec![0.0; n], vec![0.0; n]);
            for (cholesky, out) in [(&mut kept, &mut x), (&mut fresh, &mut y)] {
                cholesky.load(&*b).unwrap();
                let _ = cholesky.factor(0.0);
                cholesky.factor(100.0).unwrap();
                cholesky.solve(&rhs, out);
            }
            assert_eq!(x, y);
        }
    }
}

#[test]
fn bad_matrices_are_errors() {
    let mut cholesky = ShiftedCholesky::default();
    let nan = DenseMatrix::new(2, vec![1.0, 0.0, 0.0, f64::NAN]).unwrap();
    assert!(matches!(cholesky.load(&nan), Err(Error::NonFinite { what: "curvature matrix", index: Some(3) })));
    assert!(matches!(cholesky.load(&Diagonal(vec![f64::INFINITY])), Err(Error::NonFinite { .. })));
    let mut wrong = band(5, 1, 1);
    wrong.values_mut()[4] = f64::NAN;
    assert!(matches!(cholesky.load(&wrong), Err(Error::NonFinite { .. })));
    for ragged in [DMatrix::<f64>::zeros(2, 3), DMatrix::zeros(3, 2)] {
        assert!(matches!(cholesky.load(&ragged), Err(Error::Dimension { .. })));
    }
    assert!(matches!(cholesky.load(&vec![vec![1.0, 2.0], vec![3.0]]), Err(Error::Dimension { .. })));
    struct Bad(Vec<usize>, Vec<usize>, Vec<f64>);
    impl SymmetricOperator for Bad {
        fn dim(&self) -> usize {
            2
        }
        fn apply(&self, _: &[f64], _: &mut [f64]) -> crate::Result<()> {
            Ok(())
        }
        fn form(&self) -> Form<'_> {
            Form::Sparse(crate::linalg::operator::SparseView { starts: &self.0, rows: &self.1, values: &self.2 })
        }
    }
    for (starts, rows, values) in [
        (vec![0, 1, 2], vec![0, 2], vec![1.0; 2]),
        (vec![0, 2, 1], vec![0, 1], vec![1.0; 2]),
        (vec![0, 1, 3], vec![0, 1], vec![1.0; 2]),
        (vec![0, 1, 2], vec![0, 1], vec![1.0; 1]),
        (vec![0, 2, 3], vec![1, 0, 1], vec![1.0; 3]),
        (vec![0, 1], vec![0], vec![1.0]),
        (vec![], vec![], vec![]),
    ] {
        assert!(cholesky.load(&Bad(starts, rows, values)).is_err());
    }
    // Nothing was factored, so nothing can be solved.
    let mut x = [0.0; 2];
    cholesky.solve(&[1.0, 1.0], &mut x);
    assert!(x[0].is_nan() && !cholesky.negative_curvature(&mut x));
}

#[test]
fn definite_shift_is_zero_for_definite_matrices_and_bounded_otherwise() {
    for (name, b) in every_kernel() {
        let n = b.dim();
        let matrix = as_matrix(&*b);
        let eigenvalues = matrix.clone().symmetric_eigenvalues();
        let mut cholesky = ShiftedCholesky::default();
        cholesky.load(&*b).unwrap();
        let (mut v, mut spare) = (vec![0.0; n], vec![0.0; n]);
        let (tau, curvature) = DefiniteShift::default().factor(&mut cholesky, &mut v, &mut spare).unwrap();
        let lowest = eigenvalues.min();
        assert_eq!(tau > 0.0, lowest < 0.0, "{name} {n}");
        if lowest < 0.0 {
            let norms = cholesky.norms();
            assert!(tau > -lowest && tau <= 1.01 * (8.0 * -lowest).max(norms.infinity), "{name} {n}: {tau} for {lowest}");
            let v = nalgebra::DVector::from_vec(v);
            let value = v.dot(&(&matrix * &v));
            let curvature = curvature.unwrap();
            assert!(curvature < 0.0 && curvature >= lowest - 1e-12 && (v.norm() - 1.0).abs() < 1e-12);
            assert!((value - curvature).abs() <= 1e-11 * (1.0 + norms.infinity), "{name} {n}: {value} {curvature}");
            assert!(cholesky.count() <= 8, "{name} {n}: {} factorizations", cholesky.count());
        }
    }
}

#[test]
fn definite_shift_of_the_zero_matrix_is_one() {
    let mut cholesky = ShiftedCholesky::default();
    cholesky.load(&DMatrix::zeros(3, 3)).unwrap();
    let (mut v, mut spare) = ([0.0; 3], [0.0; 3]);
    let (tau, curvature) = DefiniteShift::default().factor(&mut cholesky, &mut v, &mut spare).unwrap();
    assert_eq!((tau, curvature), (1.0, Some(0.0)));
}

#[test]
fn bunch_kaufman_inertia_equals_the_signs_of_the_eigenvalues() {
    for n in [1, 2, 3, 4, 7, 20, 63, 64, 65, 100] {
        for seed in 0..10 {
            let a = dense(n, seed * 1000 + n as u64);
            let mut factor = BunchKaufman::default();
            factor.factor(&a).unwrap();
            let eigenvalues = a.clone().symmetric_eigenvalues();
            let negative = eigenvalues.iter().filter(|v| **v < 0.0).count();
            assert_eq!(factor.inertia(), Inertia { positive: n - negative, negative, zero: 0 });
            let rhs = random(seed + 5, n);
            let mut x = vec![0.0; n];
            factor.solve(&rhs, &mut x);
            let r = &a * nalgebra::DVector::from_vec(x.clone()) - nalgebra::DVector::from_vec(rhs.clone());
            assert!(r.norm() <= 1e-12 * (1.0 + n as f64 * norm(&x)), "{n} {seed}: {}", r.norm());
            for rule in [Modification::Absolute, Modification::Smallest] {
                factor.solve_modified(rule, &rhs, &mut x);
                assert!(dot(&rhs, &x) > 0.0);
            }
            let mut v = vec![0.0; n];
            match factor.negative_direction(&mut v) {
                None => assert_eq!(negative, 0),
                Some(value) => {
                    let v = nalgebra::DVector::from_vec(v);
                    let direct = v.dot(&(&a * &v));
                    assert!((direct - value).abs() <= 1e-12 * n as f64, "{n} {seed}: {direct} against {value}");
                    assert!(value < 0.0 && value >= eigenvalues.min() - 1e-12 && (v.norm() - 1.0).abs() < 1e-12);
                }
            }
        }
    }
}

#[test]
fn bunch_kaufman_of_low_rank_matrices_counts_zeros() {
    for (n, ranks) in [(5, [1, 1]), (12, [3, 2]), (70, [4, 3])] {
        let mut a = DMatrix::zeros(n, n);
        for (sign, rank, seed) in [(1.0, ranks[0], 1), (-1.0, ranks[1], 2)] {
            let u = DMatrix::from_vec(n, rank, random(seed, n * rank));
            a += sign * &u * u.transpose();
        }
        let mut factor = BunchKaufman::default();
        factor.factor(&a).unwrap();
        assert_eq!(factor.inertia(), Inertia { positive: ranks[0], negative: ranks[1], zero: n - ranks[0] - ranks[1] });
    }
    let mut factor = BunchKaufman::default();
    factor.factor(&DMatrix::zeros(4, 4)).unwrap();
    assert_eq!(factor.inertia().zero, 4);
    let mut x = [0.0; 4];
    factor.solve_modified(Modification::Absolute, &[1.0, 2.0, 3.0, 4.0], &mut x);
    assert_eq!(x, [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn modified_solve_of_an_indefinite_block_takes_absolute_eigenvalues() {
    // [0 2; 2 0] has eigenvalues ±2 with (1, 1) and (1, −1): its absolute value is 2I.
    let mut factor = BunchKaufman::default();
    factor.factor(&DenseMatrix::new(2, vec![0.0, 2.0, 2.0, 0.0]).unwrap()).unwrap();
    let mut x = [0.0; 2];
    factor.solve_modified(Modification::Absolute, &[3.0, 5.0], &mut x);
    assert!((x[0] - 1.5).abs() < 1e-15 && (x[1] - 2.5).abs() < 1e-15);
    // Cheng and Higham raise −2 to δ = √ε √8: on (1, −1) the inverse is 1/δ.
    factor.solve_modified(Modification::Smallest, &[1.0, -1.0], &mut x);
    let delta = f64::EPSILON.sqrt() * 8.0f64.sqrt();
    assert!((factor.threshold() - delta).abs() < 1e-22 && (x[0] * delta - 1.0).abs() < 1e-8);
    // A block [1 3; 3 1] with eigenvalues 4 and −2.
    factor.factor(&DenseMatrix::new(2, vec![1.0, 3.0, 3.0, 1.0]).unwrap()).unwrap();
    factor.solve_modified(Modification::Absolute, &[1.0, 0.0], &mut x);
    assert!((x[0] - (0.125 + 0.25)).abs() < 1e-15 && (x[1] - (0.125 - 0.25)).abs() < 1e-15);
}

proptest! {
    #[test]
    fn sparse_factor_of_a_random_pattern_equals_the_dense_one(
        n in 1usize..40,
        pairs in prop::collection::vec((0usize..40, 0usize..40), 0..120),
        seed in 1u64..1_000_000,
        shift in 0.0f64..3.0,
    ) {
        let b = sparse(n, pairs.into_iter().filter(|&(i, j)| i < n && j < n), seed);
        let matrix = as_matrix(&b);
        let (mut by_pattern, mut by_entries) = (ShiftedCholesky::default(), ShiftedCholesky::default());
        by_pattern.load(&b).unwrap();
        by_entries.load(&matrix).unwrap();
        let (first, second) = (by_pattern.factor(shift), by_entries.factor(shift));
        let lowest = matrix.clone().symmetric_eigenvalues().min() + shift;
        if lowest.abs() > 1e-10 {
            prop_assert_eq!(first.is_ok(), lowest > 0.0);
            prop_assert_eq!(second.is_ok(), lowest > 0.0);
        }
        let rhs = random(seed + 1, n);
        if first.is_ok() && second.is_ok() && lowest > 1e-3 {
            let (mut x, mut y) = (vec![0.0; n], vec![0.0; n]);
            by_pattern.solve(&rhs, &mut x);
            by_entries.solve(&rhs, &mut y);
            for (a, b) in x.iter().zip(&y) {
                prop_assert!((a - b).abs() <= 1e-12 / lowest * norm(&y).max(1.0));
            }
        }
        if let Err(failure) = first {
            let mut v = vec![0.0; n];
            prop_assert!(by_pattern.negative_curvature(&mut v));
            let v = nalgebra::DVector::from_vec(v);
            let value = v.dot(&(&matrix * &v)) + shift * v.norm_squared();
            prop_assert!((value + failure.deficit).abs() <= 1e-11 * (1.0 + v.norm_squared()));
        }
    }
}
