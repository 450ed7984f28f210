use super::*;
use crate::linalg::operator::{Diagonal, ScaledIdentity};
use nalgebra::{DMatrix, DVector};

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

fn value(b: &DMatrix<f64>, g: &[f64], p: &[f64]) -> f64 {
    let p = DVector::from_column_slice(p);
    DVector::from_column_slice(g).dot(&p) + 0.5 * p.dot(&(b * &p))
}

/// Decrease of the minimizer along `−g` inside the ball.
fn cauchy(b: &DMatrix<f64>, g: &[f64], radius: f64) -> f64 {
    let g = DVector::from_column_slice(g);
    let (length, curvature) = (g.norm(), g.dot(&(b * &g)));
    let mut t = radius / length;
    if curvature > 0.0 {
        t = t.min(length * length / curvature);
    }
    t * length * length - 0.5 * t * t * curvature
}

#[test]
fn step_in_any_model_and_radius_has_cauchy_decrease_and_true_numbers() {
    for n in [1, 2, 3, 5, 12] {
        for seed in 1..40 {
            let m = DMatrix::from_vec(n, n, random(seed, n * n));
            let mut b = (&m + m.transpose()) * 0.5;
            // A third definite, a third indefinite, a third negative definite or nearly so.
            let shift = (seed % 3) as f64 - 1.0;
            (0..n).for_each(|i| b[(i, i)] += shift * n as f64);
            let g = random(seed + 1000, n);
            let model = Model { value: 0.0, x: &vec![0.0; n], gradient: &g, curvature: &b };
            let mut dogleg = Dogleg::default();
            dogleg.prepare(&model).unwrap();
            let factorizations = dogleg.factorizations();
            assert!(factorizations >= 1);
            let mut p = vec![0.0; n];
            for radius in [1e-6, 1e-2, 0.3, 1.0, 10.0, 1e6] {
                let step = dogleg.step(&model, radius, &mut p).unwrap();
                let direct = -value(&b, &g, &p);
                let scale = 1.0 + radius.min(norm(&p)).powi(2) * b.norm();
                assert!((step.predicted - direct).abs() <= 1e-12 * scale, "{n} {seed} {radius}: {} {direct}", step.predicted);
                assert!(direct >= cauchy(&b, &g, radius) * (1.0 - 1e-10) - 1e-13 * scale, "{n} {seed} {radius}");
                assert!(step.length <= radius * (1.0 + 1e-13));
                assert!((step.slope - dot(&g, &p)).abs() <= 1e-13 * norm(&p));
            }
            assert_eq!(dogleg.factorizations(), factorizations);
        }
    }
}

#[test]
fn indefinite_model_of_three_variables_or_fewer_is_solved_exactly() {
    for n in [1, 2, 3] {
        for seed in 1..100 {
            let m = DMatrix::from_vec(n, n, random(seed, n * n));
            let b = (&m + m.transpose()) * 0.5;
            let eigenvalues = b.clone().symmetric_eigenvalues();
            if eigenvalues.min() >= 0.0 {
                continue;
            }
            let g = random(seed + 500, n);
            let model = Model { value: 0.0, x: &vec![0.0; n], gradient: &g, curvature: &b };
            let mut dogleg = Dogleg::default();
            dogleg.prepare(&model).unwrap();
            let mut p = vec![0.0; n];
            dogleg.step(&model, 0.7, &mut p).unwrap();
            // (B + λI)p = −g with λ ≥ −λ₁ on the sphere.
            let v = DVector::from_column_slice(&p);
            let residual = &b * &v + DVector::from_column_slice(&g);
            let lambda = -residual.dot(&v) / v.norm_squared();
            assert!((residual + lambda * &v).norm() <= 1e-9, "{n} {seed}");
            assert!(lambda >= -eigenvalues.min() - 1e-9 && (v.norm() - 0.7).abs() < 1e-12);
        }
    }
}

#[test]
fn saddle_with_zero_gradient_is_left_along_the_lowest_eigenvector() {
    let b = Diagonal(vec![2.0, -3.0, 1.0, -1.0]);
    let model = Model { value: 0.0, x: &[0.0; 4], gradient: &[0.0; 4], curvature: &b };
    let mut dogleg = Dogleg::default();
    dogleg.prepare(&model).unwrap();
    let mut p = [0.0; 4];
    let step = dogleg.step(&model, 0.5, &mut p).unwrap();
    assert!(step.predicted > 0.125 * 1.0 && (step.length - 0.5).abs() < 1e-15);
    // And a minimum is not left.
    let b = ScaledIdentity { n: 4, c: 2.0 };
    let model = Model { value: 0.0, x: &[0.0; 4], gradient: &[0.0; 4], curvature: &b };
    dogleg.prepare(&model).unwrap();
    assert_eq!(dogleg.step(&model, 0.5, &mut p).unwrap().predicted, 0.0);
    assert_eq!(p, [0.0; 4]);
}

#[test]
fn hard_case_and_flat_models_stay_finite() {
    // The gradient is orthogonal to the eigenvector of −1.
    let b = Diagonal(vec![-1.0, 3.0]);
    let model = Model { value: 0.0, x: &[0.0; 2], gradient: &[0.0, 2.0], curvature: &b };
    let mut dogleg = Dogleg::default();
    dogleg.prepare(&model).unwrap();
    let mut p = [0.0; 2];
    let step = dogleg.step(&model, 2.0, &mut p).unwrap();
    // y₂ = −2/4, y₁² = 4 − 1/4.
    assert!((p[1] + 0.5).abs() < 1e-14 && (p[0].abs() - 3.75f64.sqrt()).abs() < 1e-14);
    assert!((step.predicted - (1.0 - 0.375 + 1.875)).abs() < 1e-14);
    let b = ScaledIdentity { n: 2, c: 0.0 };
    let model = Model { value: 0.0, x: &[0.0; 2], gradient: &[3.0, 4.0], curvature: &b };
    dogleg.prepare(&model).unwrap();
    let step = dogleg.step(&model, 10.0, &mut p).unwrap();
    assert!((p[0] + 6.0).abs() < 1e-13 && (p[1] + 8.0).abs() < 1e-13 && (step.predicted - 50.0).abs() < 1e-12);
    let model = Model { value: 0.0, x: &[0.0; 2], gradient: &[0.0; 2], curvature: &b };
    dogleg.prepare(&model).unwrap();
    assert_eq!(dogleg.step(&model, 10.0, &mut p).unwrap().predicted, 0.0);
}

#[test]
fn scales_from_1e_minus_150_to_1e150_give_the_scaled_step() {
    let b = DMatrix::from_row_slice(3, 3, &[1.0, 2.0, 0.0, 2.0, -1.0, 0.5, 0.0, 0.5, 3.0]);
    for shift in [0.0, 4.0] {
        let b = &b + DMatrix::identity(3, 3) * shift;
        let g = [1.0, -2.0, 0.5];
        let mut reference = [0.0; 3];
        for scale in [1.0, 1e-150, 1e-70, 1e70, 1e150] {
            let (b, g) = (&b * scale, g.map(|g| g * scale));
            let model = Model { value: 0.0, x: &[0.0; 3], gradient: &g, curvature: &b };
            let mut dogleg = Dogleg::default();
            dogleg.prepare(&model).unwrap();
            for (i, radius) in [0.2, 0.45, 5.0].into_iter().enumerate() {
                let mut p = [0.0; 3];
                let step = dogleg.step(&model, radius, &mut p).unwrap();
                if scale == 1.0 {
                    reference[i] = step.predicted;
                }
                assert!((step.predicted / scale / reference[i] - 1.0).abs() < 1e-10, "{scale} {radius}: {}", step.predicted);
            }
        }
    }
}

/// A positive definite model, a least-squares one with its scaling, and an indefinite one: the conditions of the reduced
/// problem over the span hold to rounding, and no dogleg step decreases the model more.
#[test]
fn two_dimensional_step_meets_the_conditions_of_its_subspace_and_beats_the_dogleg() {
    for (n, seed) in [2, 3, 5, 12].into_iter().flat_map(|n| (1..60).map(move |seed| (n, seed))) {
        let m = n + 3;
        let jacobian: Vec<f64> =
            random(seed, n * m).iter().enumerate().map(|(k, v)| v * 10f64.powi((k / m % 5) as i32 - 2)).collect();
        let residual = random(seed + 77, m);
        let gram = Gram::new(n, &jacobian, &residual).unwrap();
        let mut g = vec![0.0; n];
        gram.gradient(&mut g);
        let model = Model { value: 0.0, x: &vec![0.0; n], gradient: &g, curvature: &gram };
        check_two_dimensional(&model);
        let mut entries = vec![0.0; n * n];
        gram.write(&mut entries);
        let mut dense = DMatrix::from_vec(n, n, entries);
        check_two_dimensional(&Model { curvature: &dense, ..model });
        (0..n).for_each(|i| dense[(i, i)] -= 0.3 * dense.norm());
        check_two_dimensional(&Model { curvature: &dense, ..model });
    }
}

fn check_two_dimensional(model: &Model<'_>) {
    let n = model.gradient.len();
    let (mut dogleg, mut exact) = (Dogleg::default(), TwoDimensional::default());
    dogleg.prepare(model).unwrap();
    exact.prepare(model).unwrap();
    let s = &exact.0.scratch;
    let d = if s.scale.is_empty() { vec![1.0; n] } else { s.scale.clone() };
    let (newton, definite) = (DVector::from_vec(s.newton.clone()) * times_power(1.0, s.exponent), s.shape == Shape::Around);
    let g = DVector::from_iterator(n, model.gradient.iter().zip(&d).map(|(g, d)| g / d));
    let mut entries = vec![0.0; n * n];
    crate::linalg::operator::write_dense(model.curvature, &mut entries).unwrap();
    let b = DMatrix::from_fn(n, n, |i, j| entries[j * n + i] / (d[i] * d[j]));
    // An orthonormal basis of span{g, p_N}, by another way than the code's.
    let basis = DMatrix::from_columns(&[g.clone() / g.norm(), newton.clone() / newton.norm()]).qr().q();
    let (mut p, mut q) = (vec![0.0; n], vec![0.0; n]);
    for part in [1e-3, 0.3, 0.9, 0.999, 2.0] {
        let radius = part * newton.norm();
        let step = exact.step(model, radius, &mut p).unwrap();
        let path = dogleg.step(model, radius, &mut q).unwrap();
        assert!(step.predicted >= path.predicted * (1.0 - 1e-12), "{} {}", step.predicted, path.predicted);
        assert!(step.length <= radius * (1.0 + 1e-13));
        let z = DVector::from_iterator(n, p.iter().zip(&d).map(|(p, d)| p * d));
        let direct = -g.dot(&z) - 0.5 * z.dot(&(&b * &z));
        let size = b.norm() * z.norm_squared() + g.norm() * z.norm();
        assert!((direct - step.predicted).abs() <= 1e-12 * size && (z.norm() - step.length).abs() <= 1e-13 * radius);
        if !definite {
            continue;
        }
        assert!((&z - &basis * (basis.transpose() * &z)).norm() <= 1e-10 * z.norm());
        let residual = basis.transpose() * (&b * &z + &g);
        let y = basis.transpose() * &z;
        let lambda = if z.norm() < 0.999_999 * radius { 0.0 } else { -residual.dot(&y) / y.norm_squared() };
        let kkt = (&residual + lambda * &y).norm() / (b.norm() * z.norm() + g.norm());
        assert!(kkt <= 1e-12 && lambda >= 0.0, "{n} {part}: {kkt:e} {lambda}");
    }
}

#[test]
fn dogleg_on_a_deficient_jacobian_stays_finite_and_reaches_the_least_residual() {
    // The third column is the sum of the others.
    let jacobian = [1.0, 0.0, 2.0, 0.0, 1.0, 1.0, 1.0, 1.0, 3.0];
    let residual = [1.0, -2.0, 0.5];
    let gram = Gram::new(3, &jacobian, &residual).unwrap();
    let mut g = [0.0; 3];
    gram.gradient(&mut g);
    let model = Model { value: 0.0, x: &[0.0; 3], gradient: &g, curvature: &gram };
    let mut p = [0.0; 3];
    let mut dogleg = Dogleg::default();
    dogleg.prepare(&model).unwrap();
    let step = dogleg.step(&model, 1e9, &mut p).unwrap();
    let mut left = [0.0; 3];
    gram.apply(&p, &mut left).unwrap();
    assert!(left.iter().zip(&g).all(|(l, g)| (l + g).abs() < 1e-13), "{left:?} {g:?}");
    assert!((step.predicted + 0.5 * dot(&g, &p)).abs() < 1e-13);
}
