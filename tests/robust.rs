//! Robust regression: what outliers do to the answer and to its intervals.
#![cfg(all(feature = "autodiff", feature = "fit"))]

use curvkit::fit::{FitOptions, fit, fit_robust};
use curvkit::problem::{AutoResiduals, DualNum, DualResiduals, LeastSquares, ResidualHessian, Residuals, Robust, RobustLoss};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// `y = a exp(−k t) + b`.
#[derive(Clone)]
struct Decay {
    t: Vec<f64>,
    y: Vec<f64>,
}

const TRUE: [f64; 3] = [5.0, 0.7, 1.0];

impl Decay {
    /// 60 points with normal errors of 0.1, each with probability 0.2 thrown off by 1 to 10, upwards more often than down.
    fn seeded(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let t: Vec<f64> = (0..60).map(|i| 0.1 * i as f64).collect();
        let y = t
            .iter()
            .map(|t| {
                let error: f64 = StandardNormal.sample(&mut rng);
                let gross = if rng.random_bool(0.2) {
                    rng.random_range(1.0..10.0) * if rng.random_bool(0.6) { 1.0 } else { -1.0 }
                } else {
                    0.0
                };
                TRUE[0] * (-TRUE[1] * t).exp() + TRUE[2] + 0.1 * error + gross
            })
            .collect();
        Self { t, y }
    }
}

impl DualResiduals for Decay {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        self.t.len()
    }
    fn visit<D: DualNum<f64> + Copy>(&self, b: &[D], each: &mut impl FnMut(D)) {
        self.t.iter().zip(&self.y).for_each(|(t, y)| each(b[0] * (-b[1] * *t).exp() + b[2] - *y));
    }
}

#[test]
fn intervals_of_robust_fits_cover_the_truth_where_least_squares_fails() {
    let covers = |lower: f64, upper: f64, j: usize| u32::from(lower <= TRUE[j] && TRUE[j] <= upper);
    for loss in [RobustLoss::Tukey, RobustLoss::Cauchy, RobustLoss::Huber] {
        let (mut covered, mut width, mut plain_width) = ([0; 3], 0.0, 0.0);
        for seed in 0..100 {
            let data = Decay::seeded(seed);
            let found = fit_robust(AutoResiduals(data.clone()), &[3.0, 0.3, 0.0], loss, None, &FitOptions::default()).unwrap();
            let intervals = found.fit.statistics.intervals(&found.fit.parameters, 0.95).unwrap();
            intervals.iter().enumerate().for_each(|(j, i)| covered[j] += covers(i.lower, i.upper, j));
            width += intervals[1].upper - intervals[1].lower;
            let plain = fit(&LeastSquares::new(AutoResiduals(data)), &[3.0, 0.3, 0.0], &FitOptions::default()).unwrap();
            let plain_interval = plain.statistics.intervals(&plain.parameters, 0.95).unwrap()[1];
            plain_width += plain_interval.upper - plain_interval.lower;
        }
        println!(
            "{loss:?}: truth in the 95 % intervals in {covered:?} of 100, width of k's {:.3} (least squares {:.2})",
            width / 100.0,
            plain_width / 100.0
        );
        assert!(covered.iter().all(|c| (90..=99).contains(c)), "{loss:?}: {covered:?}");
        assert!(width < 0.3 * plain_width);
    }
}

#[test]
fn a_wide_scale_is_least_squares_and_derivatives_are_those_of_differences() {
    let data = AutoResiduals(Decay::seeded(3));
    let plain = fit(&LeastSquares::new(data.clone()), &[3.0, 0.3, 0.0], &FitOptions::default()).unwrap();
    let wide = fit_robust(data.clone(), &[3.0, 0.3, 0.0], RobustLoss::Huber, Some(1e6), &FitOptions::default()).unwrap();
    for (a, b) in plain.parameters.iter().zip(&wide.fit.parameters) {
        assert!((a - b).abs() <= 1e-12 * a.abs());
    }
    for (a, b) in plain.statistics.standard_errors.iter().zip(&wide.fit.statistics.standard_errors) {
        assert!((a - b).abs() <= 1e-10 * a);
    }
    let x = [4.0, 0.5, 0.8];
    for (_, loss) in RobustLoss::NAMES {
        let robust = Robust::new(data.clone(), loss, 0.7).unwrap();
        let (m, n) = (robust.m(), robust.n());
        let gradient = |x: &[f64]| {
            let (mut r, mut j) = (vec![0.0; m], vec![0.0; m * n]);
            robust.residuals(x, &mut r).unwrap();
            robust.jacobian(x, &mut j).unwrap();
            (0..n).map(|k| r.iter().zip(&j[k * m..]).map(|(r, j)| r * j).sum::<f64>()).collect::<Vec<f64>>()
        };
        let (mut r, mut j, mut h) = (vec![0.0; m], vec![0.0; m * n], vec![0.0; n * n]);
        robust.residuals(&x, &mut r).unwrap();
        robust.jacobian(&x, &mut j).unwrap();
        robust.weighted_hessian(&x, &r, &mut h).unwrap();
        for c in 0..n {
            let step = 1e-6;
            let (mut up, mut down) = (x, x);
            up[c] += step;
            down[c] -= step;
            let (up, down) = (gradient(&up), gradient(&down));
            for k in 0..n {
                let exact: f64 = h[c * n + k] + (0..m).map(|i| j[c * m + i] * j[k * m + i]).sum::<f64>();
                let difference = (up[k] - down[k]) / (2.0 * step);
                assert!((exact - difference).abs() <= 1e-6 * (1.0 + exact.abs()), "{loss:?} {c} {k}: {exact} {difference}");
            }
        }
    }
}

#[test]
fn exact_data_have_no_scale_and_that_is_said() {
    let mut data = Decay::seeded(1);
    data.y = data.t.iter().map(|_| 1.0).collect();
    let found = fit_robust(AutoResiduals(data), &[0.0, 0.5, 1.0], RobustLoss::Tukey, None, &FitOptions::default());
    assert!(found.is_err());
}
