//! Gradients and Hessians of the Moré–Garbow–Hillstrom problems against dual numbers on a second, generic transcription.
#![cfg(feature = "autodiff")]

use curvkit::linalg::operator::write_dense;
use curvkit::testbed;
use nalgebra::SVector;
use num_dual::{Dual2SVec64, DualNum, hessian};

/// Compares at the start and at five points around it, relative to the largest entry.
fn check<const N: usize>(name: &str, residuals: impl Fn(&[Dual2SVec64<N>]) -> Vec<Dual2SVec64<N>>) {
    let p = testbed::problem(name, None).unwrap();
    for k in 0..6 {
        let shift = |i: usize| 0.02 * f64::from(k) * (1.0 + p.start[i].abs()) * (f64::from(k) + 2.0 * i as f64).sin();
        let x = SVector::<f64, N>::from_fn(|i, _| p.start[i] + shift(i));
        let sum = |x: SVector<Dual2SVec64<N>, N>| residuals(x.as_slice()).iter().map(|r| r * r).sum::<Dual2SVec64<N>>();
        let (value, slope, bend) = hessian(sum, &x);
        let (mut g, mut h) = (vec![0.0; N], vec![0.0; N * N]);
        p.function.gradient(x.as_slice(), &mut g).unwrap();
        write_dense(&p.function.hessian(x.as_slice()).unwrap(), &mut h).unwrap();
        let f = p.function.cost(x.as_slice()).unwrap();
        for (what, found, expected) in [("f", &[f][..], &[value][..]), ("g", &g, slope.as_slice()), ("h", &h, bend.as_slice())] {
            let scale = expected.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() <= 1e-11 * scale, "{name} point {k}, {what}: {a:e} is not {b:e}");
            }
        }
    }
}

fn n_of<D>(x: &[D]) -> f64 {
    x.len() as f64
}

#[test]
fn few_variables_equal_dual_numbers() {
    check::<2>("freudenstein_roth", |x| {
        let (a, b) = (x[0], x[1]);
        vec![a - b * 2.0 + b * b * 5.0 - b.powi(3) - 13.0, a - b * 14.0 + b * b + b.powi(3) - 29.0]
    });
    check::<2>("powell_badly_scaled", |x| vec![x[0] * x[1] * 1e4 - 1.0, (-x[0]).exp() + (-x[1]).exp() - 1.0001]);
    check::<2>("beale", |x| [1.5, 2.25, 2.625].iter().zip(1..).map(|(y, i)| x[0] * x[1].powi(i) - x[0] + *y).collect());
    check::<2>("jennrich_sampson", |x| {
        (1..=10).map(f64::from).map(|i| -(x[0] * i).exp() - (x[1] * i).exp() + 2.0 + 2.0 * i).collect()
    });
    check::<3>("helical_valley", |x| {
        // All points lie left of the axis x₁ = 0.
        let theta = (x[1] / x[0]).atan() / std::f64::consts::TAU + 0.5;
        vec![(x[2] - theta * 10.0) * 10.0, ((x[0] * x[0] + x[1] * x[1]).sqrt() - 1.0) * 10.0, x[2]]
    });
    check::<3>("gulf", |x| {
        let r = |t: f64| {
            let distance = -(x[1] - (25.0 + (-50.0 * t.ln()).cbrt().powi(2)));
            (-distance.powd(x[2]) / x[0]).exp() - t
        };
        (1..=99).map(|i| r(f64::from(i) / 100.0)).collect()
    });
    check::<3>("box3d", |x| {
        let r = |t: f64| (-x[0] * t).exp() - (-x[1] * t).exp() - x[2] * ((-t).exp() - (-10.0 * t).exp());
        (1..=10).map(|i| r(f64::from(i) / 10.0)).collect()
    });
    check::<4>("kowalik_osborne", |x| {
        let u = [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625];
        let y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246];
        u.iter().zip(y).map(|(&u, y)| -x[0] * (x[1] * u + u * u) / (x[2] * u + x[3] + u * u) + y).collect()
    });
    check::<4>("brown_dennis", |x| {
        let r = |t: f64| (x[0] + x[1] * t - t.exp()).powi(2) + (x[2] + x[3] * t.sin() - t.cos()).powi(2);
        (1..=20).map(|i| r(f64::from(i) / 5.0)).collect()
    });
    check::<6>("biggs_exp6", |x| {
        let decay = |rate: Dual2SVec64<6>, t: f64| (-rate * t).exp();
        let data = |t: f64| (-t).exp() - 5.0 * (-10.0 * t).exp() + 3.0 * (-4.0 * t).exp();
        let r = |t| x[2] * decay(x[0], t) - x[3] * decay(x[1], t) + x[5] * decay(x[4], t) - data(t);
        (1..=13).map(|i| r(f64::from(i) / 10.0)).collect()
    });
}

#[test]
fn free_dimensions_equal_dual_numbers() {
    check::<6>("watson6", |x| {
        let r = |t: f64| {
            let slope = x.iter().enumerate().skip(1).map(|(j, x)| *x * (j as f64 * t.powi(j as i32 - 1))).sum::<Dual2SVec64<6>>();
            slope - x.iter().enumerate().map(|(j, x)| *x * t.powi(j as i32)).sum::<Dual2SVec64<6>>().powi(2) - 1.0
        };
        (1..=29).map(|i| r(f64::from(i) / 29.0)).chain([x[0], x[1] - x[0].powi(2) - 1.0]).collect()
    });
    check::<10>("penalty2_10", |x| {
        let (root, e) = (1e-5_f64.sqrt(), |i: usize| (x[i] / 10.0).exp());
        let y = |i: usize| ((i + 1) as f64 / 10.0).exp() + (i as f64 / 10.0).exp();
        let square = x.iter().enumerate().map(|(j, x)| x.powi(2) * (10.0 - j as f64)).sum::<Dual2SVec64<10>>();
        let pairs = (1..10).map(|i| (e(i) + e(i - 1) - y(i)) * root);
        let single = (1..10).map(|i| (e(i) - (-0.1_f64).exp()) * root);
        [x[0] - 0.2].into_iter().chain(pairs).chain(single).chain([square - 1.0]).collect()
    });
    check::<10>("vardim_10", |x| {
        let s = x.iter().enumerate().map(|(j, x)| (*x - 1.0) * (j + 1) as f64).sum::<Dual2SVec64<10>>();
        x.iter().map(|x| *x - 1.0).chain([s, s.powi(2)]).collect()
    });
    check::<10>("trigonometric_10", |x| {
        let total = -x.iter().map(|x| x.cos()).sum::<Dual2SVec64<10>>() + n_of(x);
        x.iter().enumerate().map(|(i, x)| total - (x.cos() - 1.0) * (i + 1) as f64 - x.sin()).collect()
    });
    check::<10>("brown_almost_linear_10", |x| {
        let (sum, product) = (x.iter().sum::<Dual2SVec64<10>>(), x.iter().product::<Dual2SVec64<10>>());
        x[..9].iter().map(|x| x + sum - 11.0).chain([product - 1.0]).collect()
    });
    check::<10>("disc_boundary_10", |x| {
        let (h, at) = (1.0 / 11.0, |i: usize| x.get(i.wrapping_sub(1)).copied().unwrap_or(x[0] * 0.0));
        let r = |i: usize| at(i) * 2.0 - at(i - 1) - at(i + 1) + (at(i) + i as f64 * h + 1.0).powi(3) * (h * h / 2.0);
        (1..=10).map(r).collect()
    });
    check::<10>("disc_integral_10", |x| {
        let t = |i: usize| i as f64 / 11.0;
        let kernel = |i: usize, j: usize| t(i.min(j)) * (1.0 - t(i.max(j)));
        let cube = |j: usize| (x[j - 1] + t(j) + 1.0).powi(3);
        let r = |i: usize| x[i - 1] + (1..=10).map(|j| cube(j) * kernel(i, j)).sum::<Dual2SVec64<10>>() / 22.0;
        (1..=10).map(r).collect()
    });
    check::<10>("broyden_band_10", |x| {
        let near = |i: usize, j: usize| j != i && j <= i + 1 && j + 5 >= i;
        let band = |i| (0..10).filter(|j| near(i, *j)).map(|j| x[j] * (x[j] + 1.0)).sum::<Dual2SVec64<10>>();
        (0..10).map(|i| x[i] * (x[i].powi(2) * 5.0 + 2.0) + 1.0 - band(i)).collect()
    });
    check::<8>("chebyquad_8", |x| {
        // All points lie inside (0, 1), where Tᵢ(x) = cos(i arccos(2x − 1)).
        let mean = |i: f64| x.iter().map(|x| ((*x * 2.0 - 1.0).acos() * i).cos()).sum::<Dual2SVec64<8>>() / n_of(x);
        (1..=8).map(f64::from).map(|i| if i % 2.0 == 0.0 { mean(i) + 1.0 / (i * i - 1.0) } else { mean(i) }).collect()
    });
}
