//! Problems 17 to 20: five, six, eleven variables, and Watson's polynomial.

use crate::error::Result;
use crate::testbed::{Bend, ResidualFunction, Terms, TestProblem, check_dim};

/// MGH 17, Osborne 1: `rᵢ = yᵢ − (x₁ + x₂ e^{−tᵢ x₄} + x₃ e^{−tᵢ x₅})`, `tᵢ = 10 (i − 1)`, start `(0.5, 1.5, −1, 0.01, 0.02)`,
/// `f = 5.46489…e−5` at `(0.3754…, 1.935…, −1.464…, 0.01286…, 0.02212…)`.
pub(super) fn osborne1(n: usize) -> Result<TestProblem> {
    check_dim(n == 5, "5", n)?;
    let problem = TestProblem::least_squares(
        "osborne1",
        "MGH 17: Osborne 1",
        Osborne1,
        vec![0.5, 1.5, -1.0, 0.01, 0.02],
        vec![5.4648946974e-5],
    )?;
    Ok(problem
        .with_solution(vec![
            0.37541005210695194,
            1.9358469127123559,
            -1.4646871366134115,
            0.012867534640057266,
            0.02212269966167266,
        ])
        .with_condition(2451914468.37))
}

struct Osborne1;

impl ResidualFunction for Osborne1 {
    fn n(&self) -> usize {
        5
    }
    fn m(&self) -> usize {
        33
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c, d, e] = x else { return };
        for (i, y) in (0..).zip(OSBORNE_1) {
            let t = 10.0 * f64::from(i);
            let (u, v) = ((-t * d).exp(), (-t * e).exp());
            let gradient = [-1.0, -u, -v, t * b * u, t * c * v];
            let bend = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, t * u, 0.0, -t * t * b * u, 0.0, 0.0, t * v, 0.0, -t * t * c * v];
            terms.local(y - (a + b * u + c * v), [0, 1, 2, 3, 4], gradient, &bend);
        }
    }
}

const OSBORNE_1: [f64; 33] = [
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558,
    0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
];

/// MGH 18, Biggs EXP6: `rᵢ = x₃ e^{−tᵢ x₁} − x₄ e^{−tᵢ x₂} + x₆ e^{−tᵢ x₅} − yᵢ` with
/// `yᵢ = e^{−tᵢ} − 5 e^{−10 tᵢ} + 3 e^{−4 tᵢ}`, `tᵢ = i/10`, `m = 13`, start `(1, 2, 1, 1, 1, 1)`, `f = 0` at `(1, 10, 1, 5, 4, 3)`
/// and a local minimum `5.65565…e−3`.
pub(super) fn biggs_exp6(n: usize) -> Result<TestProblem> {
    check_dim(n == 6, "6", n)?;
    let problem = TestProblem::least_squares(
        "biggs_exp6",
        "MGH 18: Biggs EXP6",
        BiggsExp6,
        vec![1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
        vec![0.0, 5.6556499255e-3],
    )?;
    Ok(problem.with_solution(vec![1.0, 10.0, 1.0, 5.0, 4.0, 3.0]).with_condition(1285011.46708))
}

struct BiggsExp6;

impl ResidualFunction for BiggsExp6 {
    fn n(&self) -> usize {
        6
    }
    fn m(&self) -> usize {
        13
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c, d, e, f] = x else { return };
        for i in 1..=13 {
            let t = 0.1 * f64::from(i);
            let y = (-t).exp() - 5.0 * (-10.0 * t).exp() + 3.0 * (-4.0 * t).exp();
            let (u, v, w) = ((-t * a).exp(), (-t * b).exp(), (-t * e).exp());
            // Three exponentials that share no variable: (amplitude, rate) = (c, a), (−d, b), (f, e).
            let gradient = [-t * c * u, t * d * v, u, -v, -t * f * w, w];
            let mut bend = [0.0; 21];
            (bend[lower(0, 0)], bend[lower(2, 0)]) = (t * t * c * u, -t * u);
            (bend[lower(1, 1)], bend[lower(3, 1)]) = (-t * t * d * v, t * v);
            (bend[lower(4, 4)], bend[lower(5, 4)]) = (t * t * f * w, -t * w);
            terms.local(c * u - d * v + f * w - y, [0, 1, 2, 3, 4, 5], gradient, &bend);
        }
    }
}

/// Place of entry `(a, b)`, `b ≤ a`, in a lower triangle packed by rows.
const fn lower(a: usize, b: usize) -> usize {
    a * (a + 1) / 2 + b
}

/// MGH 19, Osborne 2: `rᵢ = yᵢ − (x₁ e^{−tᵢ x₅} + Σₖ xₖ exp(−(tᵢ − xₖ₊₇)² xₖ₊₄))`, `k = 2, 3, 4`, `tᵢ = (i − 1)/10`, `m = 65`,
/// start `(1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5)`, `f = 4.01377…e−2`.
pub(super) fn osborne2(n: usize) -> Result<TestProblem> {
    check_dim(n == 11, "11", n)?;
    let problem = TestProblem::least_squares(
        "osborne2",
        "MGH 19: Osborne 2",
        Osborne2,
        vec![1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5],
        vec![4.0137736293548e-2],
    )?;
    Ok(problem
        .with_solution(vec![
            1.3099771546273007,
            0.431553794602989,
            0.633661698960724,
            0.5994305347859163,
            0.7541832263280115,
            0.9042885798596334,
            1.3658118352370285,
            4.8236988172271555,
            2.3986848661317546,
            4.568874597667672,
            5.6753414705806415,
        ])
        .with_condition(7618.02245342))
}

struct Osborne2;

impl ResidualFunction for Osborne2 {
    fn n(&self) -> usize {
        11
    }
    fn m(&self) -> usize {
        65
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        if x.len() != 11 {
            return;
        }
        for (i, y) in (0..).zip(OSBORNE_2) {
            let t = f64::from(i) / 10.0;
            let (mut gradient, mut bend) = ([0.0; 11], [0.0; 66]);
            let e = (-t * x[4]).exp();
            let mut r = y - x[0] * e;
            (gradient[0], gradient[4]) = (-e, t * x[0] * e);
            (bend[lower(4, 0)], bend[lower(4, 4)]) = (t * e, -t * t * x[0] * e);
            for (height, width, centre) in [(1, 5, 8), (2, 6, 9), (3, 7, 10)] {
                let (a, w, s) = (x[height], x[width], t - x[centre]);
                let s2 = s * s;
                let e = (-s2 * w).exp();
                r -= a * e;
                (gradient[height], gradient[width], gradient[centre]) = (-e, a * s2 * e, -2.0 * a * s * w * e);
                bend[lower(width, height)] = s2 * e;
                bend[lower(width, width)] = -a * s2 * s2 * e;
                bend[lower(centre, height)] = -2.0 * s * w * e;
                bend[lower(centre, width)] = 2.0 * a * s * e * (s2 * w - 1.0);
                bend[lower(centre, centre)] = 2.0 * a * w * e * (1.0 - 2.0 * s2 * w);
            }
            terms.local(r, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], gradient, &bend);
        }
    }
}

const OSBORNE_2: [f64; 65] = [
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606, 0.602, 0.626,
    0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391,
    0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559, 0.597, 0.625,
    0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
];

/// MGH 20, Watson: `rᵢ = Σⱼ (j − 1) xⱼ tᵢ^{j−2} − (Σⱼ xⱼ tᵢ^{j−1})² − 1`, `tᵢ = i/29`, `i = 1, …, 29`, then `x₁` and
/// `x₂ − x₁² − 1`; `2 ≤ n ≤ 31`, start 0; `f = 2.28767…e−3` (`n = 6`), `1.39976…e−6` (9), `4.72238…e−10` (12).
pub(super) fn watson(n: usize) -> Result<TestProblem> {
    check_dim((2..=31).contains(&n), "between 2 and 31", n)?;
    let minima = match n {
        6 => vec![0.00228767005355244],
        9 => vec![1.39976013809902e-6],
        12 => vec![4.72238110589176e-10],
        _ => Vec::new(),
    };
    let problem = TestProblem::least_squares(&format!("watson{n}"), "MGH 20: Watson", Watson(n), vec![0.0; n], minima)?;
    Ok(match n {
        6 => problem
            .with_solution(vec![
                -0.015725086401458456,
                1.0124348693691099,
                -0.2329916259567377,
                1.2604300877996084,
                -1.5137289227222797,
                0.9929964324311346,
            ])
            .with_condition(85441.1677289),
        9 => problem
            .with_solution(vec![
                -1.5307036521394342e-5,
                0.9997897039319483,
                0.014763963693556958,
                0.14634232829936222,
                1.0008211030047092,
                -2.617731140519015,
                4.104403164478857,
                -3.1436122785564424,
                1.0526264080101668,
            ])
            .with_condition(1707083468.15),
        _ => problem,
    })
}

struct Watson(usize);

impl ResidualFunction for Watson {
    fn n(&self) -> usize {
        self.0
    }
    fn m(&self) -> usize {
        31
    }
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, ..] = x else { return };
        for i in 1..=29 {
            let t = f64::from(i) / 29.0;
            // powers[j] = tʲ, slopes[j] = j tʲ⁻¹.
            let (mut powers, mut slopes) = ([1.0; 31], [0.0; 31]);
            for j in 1..x.len().min(31) {
                powers[j] = powers[j - 1] * t;
                slopes[j] = j as f64 * powers[j - 1];
            }
            let value: f64 = x.iter().zip(powers).map(|(x, p)| x * p).sum();
            let slope: f64 = x.iter().zip(slopes).map(|(x, s)| x * s).sum();
            let gradient = |j: usize| slopes[j] - 2.0 * value * powers[j];
            terms.dense(slope - value * value - 1.0, &gradient, Bend::Outer(-2.0, &|j| powers[j]));
        }
        terms.local(a, [0], [1.0], &[]);
        terms.local(b - a * a - 1.0, [0, 1], [-2.0 * a, 1.0], &[-2.0, 0.0, 0.0]);
    }
}
