use super::*;
use crate::linalg::SymmetricOperator;
use crate::linalg::operator::write_dense;

/// `w_k (100 (b − a²)² + (1 − a)²)` with weights `1 + k mod 3`.
struct Rosenbrock;
impl Element<2> for Rosenbrock {
    fn value(&self, k: usize, &[a, b]: &[f64; 2]) -> f64 {
        (1 + k % 3) as f64 * (100.0 * (b - a * a).powi(2) + (1.0 - a).powi(2))
    }
    fn gradient(&self, k: usize, &[a, b]: &[f64; 2]) -> [f64; 2] {
        let (w, r) = ((1 + k % 3) as f64, b - a * a);
        [w * (-400.0 * a * r - 2.0 * (1.0 - a)), w * 200.0 * r]
    }
    fn hessian(&self, k: usize, &[a, b]: &[f64; 2]) -> [[f64; 2]; 2] {
        let w = (1 + k % 3) as f64;
        [[w * (1200.0 * a * a - 400.0 * b + 2.0), w * -400.0 * a], [w * -400.0 * a, w * 200.0]]
    }
}

/// `x y z`.
struct Triple;
impl Element<3> for Triple {
    fn value(&self, _: usize, x: &[f64; 3]) -> f64 {
        x.iter().product()
    }
    fn gradient(&self, _: usize, &[x, y, z]: &[f64; 3]) -> [f64; 3] {
        [y * z, x * z, x * y]
    }
    fn hessian(&self, _: usize, &[x, y, z]: &[f64; 3]) -> [[f64; 3]; 3] {
        [[0.0, z, y], [z, 0.0, x], [y, x, 0.0]]
    }
}

fn point(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.4 + (i as f64 * 0.7).sin()).collect()
}

fn two_groups(n: usize) -> Elements {
    Elements::builder(n)
        .group(Rosenbrock, (0..n - 1).map(|i| [i, i + 1]))
        .group(Triple, (0..n).step_by(2).map(|i| [(i + 2) % n, i, (i + 1) % n]))
        .build()
        .unwrap()
}

#[test]
fn assembly_equals_dense_accumulation() {
    let n = 11;
    let (problem, x) = (two_groups(n), point(n));
    let (mut f, mut g, mut h) = (0.0, vec![0.0; n], vec![0.0; n * n]);
    for k in 0..n - 1 {
        let local = [x[k], x[k + 1]];
        f += Rosenbrock.value(k, &local);
        let (gl, hl) = (Rosenbrock.gradient(k, &local), Rosenbrock.hessian(k, &local));
        for a in 0..2 {
            g[k + a] += gl[a];
            (0..2).for_each(|b| h[(k + a) * n + k + b] += hl[a][b]);
        }
    }
    for i in (0..n).step_by(2) {
        let at = [(i + 2) % n, i, (i + 1) % n];
        let local = at.map(|j| x[j]);
        f += Triple.value(0, &local);
        let (gl, hl) = (Triple.gradient(0, &local), Triple.hessian(0, &local));
        for a in 0..3 {
            g[at[a]] += gl[a];
            (0..3).for_each(|b| h[at[a] * n + at[b]] += hl[a][b]);
        }
    }
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0));
    assert!(close(&[CostFunction::cost(&problem, &x).unwrap()], &[f]));
    assert!(close(&Gradient::gradient(&problem, &x).unwrap(), &g));
    let matrix = Hessian::hessian(&problem, &x).unwrap();
    let mut dense = vec![0.0; n * n];
    write_dense(&matrix, &mut dense).unwrap();
    assert!(close(&dense, &h));
    let v: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
    let (mut by_matrix, mut by_elements) = (vec![0.0; n], vec![7.0; n]);
    matrix.apply(&v, &mut by_matrix).unwrap();
    HessianProduct::hessian_product(&problem, &x, &v, &mut by_elements).unwrap();
    assert!(close(&by_elements, &by_matrix));
}

#[test]
fn blocks_give_the_same_bits_as_one_thread() {
    let n = 20_000;
    let parallel = two_groups(n);
    assert!(parallel.touching.len() > 1, "this size should be split");
    let serial = Elements { blocks: vec![0, n], touching: Vec::new(), ..parallel.clone() };
    let (x, v) = (point(n), (0..n).map(|i| (i as f64).cos()).collect::<Vec<_>>());
    assert_eq!(Gradient::gradient(&parallel, &x).unwrap(), Gradient::gradient(&serial, &x).unwrap());
    assert_eq!(Hessian::hessian(&parallel, &x).unwrap(), Hessian::hessian(&serial, &x).unwrap());
    let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
    Function::hessian_product(&parallel, &x, &v, &mut a).unwrap();
    Function::hessian_product(&serial, &x, &v, &mut b).unwrap();
    assert_eq!(a, b);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| (CostFunction::cost(&parallel, &x).unwrap(), Gradient::gradient(&parallel, &x).unwrap()))
    };
    assert_eq!(on(1), on(4));
}

#[test]
fn elements_scattered_over_all_variables_stay_on_one_thread() {
    let n = 20_000;
    let far = (0..n).map(|i| [i, (i * 7919) % n]);
    assert!(Elements::builder(n).group(Rosenbrock, far).build().unwrap().touching.is_empty());
}

#[test]
fn repeated_index_adds_both_derivatives() {
    // f = x · x · y at (3, 5): gradient (2xy, x²), Hessian [[2y, 2x], [2x, 0]].
    let problem = Elements::builder(2).group(Triple, [[0, 0, 1]]).build().unwrap();
    let x = vec![3.0, 5.0];
    assert_eq!(Gradient::gradient(&problem, &x).unwrap(), [30.0, 9.0]);
    assert_eq!(Hessian::hessian(&problem, &x).unwrap().values(), [10.0, 6.0, 6.0, 0.0]);
}

#[test]
fn bad_indices_and_lengths_are_errors() {
    for bad in [2, usize::MAX] {
        assert!(matches!(Elements::builder(2).group(Rosenbrock, [[0, bad]]).build(), Err(Error::Dimension { expected: 2, .. })));
    }
    let problem = Elements::builder(2).group(Rosenbrock, [[0, 1]]).build().unwrap();
    assert!(CostFunction::cost(&problem, &vec![1.0]).is_err());
    assert!(Hessian::hessian(&problem, &vec![1.0; 3]).is_err());
    assert!(HessianProduct::hessian_product(&problem, &vec![1.0; 2], &[1.0], &mut [0.0; 2]).is_err());
    let empty = Elements::builder(3).build().unwrap();
    assert_eq!(CostFunction::cost(&empty, &vec![1.0; 3]).unwrap(), 0.0);
    assert_eq!(Gradient::gradient(&empty, &vec![1.0; 3]).unwrap(), [0.0; 3]);
}

#[cfg(feature = "autodiff")]
#[test]
fn dual_element_equals_element_by_hand() {
    use crate::problem::DualNum;
    struct Same;
    impl DualElement<2> for Same {
        fn eval<D: DualNum<f64> + Copy>(&self, k: usize, &[a, b]: &[D; 2]) -> D {
            ((b - a * a).powi(2) * 100.0 + (a - 1.0).powi(2)) * (1 + k % 3) as f64
        }
    }
    let (auto, hand) = (AutoElement(Same), Rosenbrock);
    for k in 0..5 {
        let (x, v) = ([0.3 + k as f64, -0.8], [0.6, -1.7]);
        let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-13 * b.abs().max(1.0), "{a} {b}");
        close(auto.value(k, &x), hand.value(k, &x));
        for i in 0..2 {
            close(auto.gradient(k, &x)[i], hand.gradient(k, &x)[i]);
            close(auto.hessian_product(k, &x, &v)[i], hand.hessian_product(k, &x, &v)[i]);
            (0..2).for_each(|j| close(auto.hessian(k, &x)[i][j], hand.hessian(k, &x)[i][j]));
        }
    }
}
