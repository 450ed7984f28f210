use super::certifier::Certifier;
use super::*;
use crate::error::Result;
use crate::linalg::SymmetricOperator;
use crate::linalg::operator::{DenseMatrix, Pattern, SparseMatrix};
use crate::linalg::vector::{dot, norm};
use std::sync::Arc;

/// The certificate of a point without gradient.
fn examine(certifier: &mut Certifier, operator: &dyn SymmetricOperator, depth: Depth) -> Certificate {
    let zero = vec![0.0; operator.dim()];
    let at = Stationary { gradient: &zero, gradient_norm: 0.0, sizes: &zero, decrease: 0.0, negligible: 0.0 };
    certifier.examine(operator, &at, depth).unwrap()
}

/// Tridiagonal (−1, d, −1) of dimension `n`: eigenvalues `d − 2 cos(kπ/(n+1))`.
fn tridiagonal(n: usize, d: f64) -> SparseMatrix {
    let pattern = Arc::new(Pattern::from_pairs(n, (1..n).map(|i| (i, i - 1))).unwrap());
    let mut values = vec![-1.0; pattern.nnz()];
    (0..n).for_each(|i| values[pattern.position(i, i).unwrap()] = d);
    SparseMatrix::new(pattern, values).unwrap()
}

struct ProductOnly(SparseMatrix);
impl SymmetricOperator for ProductOnly {
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.0.apply(v, out)
    }
}

fn extremes(n: usize, d: f64) -> (f64, f64) {
    let c = 2.0 * (std::f64::consts::PI / (n + 1) as f64).cos();
    (d - c, d + c)
}

#[test]
fn certificate_of_small_matrix_holds_its_eigenvalues() {
    let n = 40;
    let c = examine(&mut Certifier::default(), &tridiagonal(n, 2.5), Depth::Full);
    let (a, b) = extremes(n, 2.5);
    assert_eq!(c.verdict, PointKind::Minimum);
    assert!(c.exact && (c.smallest_curvature.unwrap() - a).abs() < 1e-13 && (c.largest_curvature.unwrap() - b).abs() < 1e-13);
    assert!((c.condition_number.unwrap() / (b / a) - 1.0).abs() < 1e-12);
}

#[test]
fn certificate_of_large_sparse_matrix_finds_both_ends_and_the_sign() {
    let n = 2000;
    let mut certifier = Certifier::default();
    let c = examine(&mut certifier, &tridiagonal(n, 2.5), Depth::Full);
    let (a, b) = extremes(n, 2.5);
    assert_eq!(c.verdict, PointKind::Minimum);
    assert!((c.smallest_curvature.unwrap() / a - 1.0).abs() < 1e-2 && (c.largest_curvature.unwrap() / b - 1.0).abs() < 1e-2);
    let c = examine(&mut certifier, &tridiagonal(n, 1.0), Depth::Sign);
    assert_eq!(c.verdict, PointKind::Saddle);
    assert!(certifier.leftmost() < 0.0 && (norm(certifier.direction()) - 1.0).abs() < 1e-12);
    let mut product = vec![0.0; n];
    tridiagonal(n, 1.0).apply(certifier.direction(), &mut product).unwrap();
    assert!((dot(&product, certifier.direction()) - certifier.leftmost()).abs() < 1e-8);
}

#[test]
fn certificate_of_product_only_operator_says_when_it_cannot_tell() {
    let c = examine(&mut Certifier::default(), &ProductOnly(tridiagonal(30, 2.5)), Depth::Full);
    assert_eq!(c.verdict, PointKind::Minimum);
    assert!((c.smallest_curvature.unwrap() - extremes(30, 2.5).0).abs() < 1e-6);
    let c = examine(&mut Certifier::default(), &ProductOnly(tridiagonal(2000, 1.0)), Depth::Full);
    assert_eq!(c.verdict, PointKind::Saddle);
    // The smallest eigenvalue 2.5e-6 is out of reach of fifty products.
    let c = examine(&mut Certifier::default(), &ProductOnly(tridiagonal(2000, 2.0)), Depth::Full);
    assert!(c.verdict != PointKind::Saddle && c.condition_number.is_none_or(|k| k > 1e3));
}

#[test]
fn certificate_of_singular_matrix_is_degenerate() {
    for n in [3, 400] {
        let pattern = Arc::new(Pattern::from_pairs(n, []).unwrap());
        let values = (0..n).map(|i| i as f64).collect();
        let singular = SparseMatrix::new(pattern, values).unwrap();
        let c = examine(&mut Certifier::default(), &singular, Depth::Full);
        assert_eq!(c.verdict, PointKind::Degenerate, "{n}: {c:?}");
    }
}

/// Two variables of curvature one, coupled so that the smaller eigenvalue is `delta`.
fn coupled(delta: f64) -> DenseMatrix {
    DenseMatrix::new(2, vec![1.0, 1.0 - delta, 1.0 - delta, 1.0]).unwrap()
}

#[test]
fn curvature_counts_as_zero_below_ten_to_the_minus_ten_of_the_largest_and_no_more() {
    let verdict = |delta| examine(&mut Certifier::default(), &coupled(delta), Depth::Full).verdict;
    assert_eq!(verdict(4e-10), PointKind::Minimum);
    assert_eq!(verdict(1e-10), PointKind::Degenerate);
    assert_eq!(verdict(-1e-10), PointKind::Degenerate);
    assert_eq!(verdict(-4e-10), PointKind::Saddle);
}

#[test]
fn verdicts_do_not_depend_on_the_units_of_the_variables() {
    for delta in [0.5, 4e-10, 1e-11, -1e-11, -4e-10, -0.5] {
        let mut certifier = Certifier::default();
        let plain = examine(&mut certifier, &coupled(delta), Depth::Full);
        for (a, b) in [(1e-8, 1e8), (1e3, 1e-3), (1e-150, 1.0), (1e6, 1e6)] {
            let entries = [a * a, a * b * (1.0 - delta), a * b * (1.0 - delta), b * b];
            let scaled = DenseMatrix::new(2, entries.to_vec()).unwrap();
            let other = examine(&mut Certifier::default(), &scaled, Depth::Full);
            assert_eq!(other.verdict, plain.verdict, "{delta} {a} {b}");
            if !plain.flat.is_empty() {
                // Along (−1, 1) in the first units: (−1/a, 1/b) in the others.
                let along = other.flat[0] * a / (other.flat[1] * b);
                assert!((along + 1.0).abs() < 1e-4, "{delta} {a} {b}: {:?}", other.flat);
            }
        }
    }
}

#[test]
fn what_is_left_is_newtons_step_in_parts_of_the_variables_sizes() {
    let matrix = DenseMatrix::new(2, vec![4.0, 0.0, 0.0, 100.0]).unwrap();
    let (gradient, sizes) = ([0.4, -2.0], [10.0, 0.5]);
    let at = Stationary { gradient: &gradient, gradient_norm: 2.0, sizes: &sizes, decrease: 1.0, negligible: 0.0 };
    let mut certifier = Certifier::default();
    let c = certifier.examine(&matrix, &at, Depth::Full).unwrap();
    // d = (−0.1, 0.02), ½λ² = ½ (0.04 + 0.04).
    assert!((certifier.newton()[0] + 0.1).abs() < 1e-15 && (certifier.newton()[1] - 0.02).abs() < 1e-15);
    assert!((c.decrease_left.unwrap() - 0.04).abs() < 1e-15);
    assert!((c.distance_left.unwrap() - 0.0104f64.sqrt()).abs() < 1e-15);
    assert!((c.relative_distance.unwrap() - 0.04).abs() < 1e-15 && !c.at_least);
    // A quadratic's gradient vanishes at the end of the step; that of x⁴ is (2/3)³ of the first.
    assert_eq!(certifier.contact(&[0.0, 0.0], 0.04), Some(0.0));
    let q = certifier.contact(&gradient.map(|g| g * (2.0f64 / 3.0).powi(3)), 0.04).unwrap();
    assert!((q - (2.0f64 / 3.0).powi(6)).abs() < 1e-14);
    // A variable without a size is measured by what its curvature makes of the decrease: √(2/100).
    let at = Stationary { sizes: &[10.0, 0.0], ..at };
    let c = certifier.examine(&matrix, &at, Depth::Full).unwrap();
    assert!((c.relative_distance.unwrap() - 0.02 / 0.02f64.sqrt()).abs() < 1e-14);
}

#[test]
fn products_on_many_variables_prove_what_the_bound_says_and_no_more() {
    let (n, k) = (2000, PRODUCTS as f64);
    let c = examine(&mut Certifier::default(), &ProductOnly(tridiagonal(n, 2.5)), Depth::Full);
    assert_eq!((c.verdict, c.exact, c.condition_number), (PointKind::Undetermined, false, None));
    let root = (2.75 * n as f64 / 1e-4).ln() / (2.0 * (k - 1.0));
    let bound = c.largest_curvature.unwrap() * root * root;
    assert!((c.no_curvature_below.unwrap() / bound - 1.0).abs() < 1e-12);
    assert!(c.at_least && c.relative_distance == Some(0.0));
    // Five hundred are multiplied out.
    let c = examine(&mut Certifier::default(), &ProductOnly(tridiagonal(EXHAUSTED, 2.5)), Depth::Full);
    assert_eq!((c.verdict, c.exact, c.no_curvature_below), (PointKind::Minimum, true, None));
}

#[test]
fn conjugate_gradients_tell_what_is_at_least_left() {
    let n = 2000;
    let gradient: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sin()).collect();
    let sizes = vec![1.0; n];
    let at = Stationary { gradient: &gradient, gradient_norm: 1.0, sizes: &sizes, decrease: 1.0, negligible: 0.0 };
    let exact = Certifier::default().examine(&tridiagonal(n, 2.5), &at, Depth::Full).unwrap();
    let probed = Certifier::default().examine(&ProductOnly(tridiagonal(n, 2.5)), &at, Depth::Full).unwrap();
    let (whole, part) = (exact.decrease_left.unwrap(), probed.decrease_left.unwrap());
    assert!(part <= whole * (1.0 + 1e-12) && part >= 0.95 * whole, "{part} of {whole}");
    assert!(probed.at_least && !exact.at_least);
}
