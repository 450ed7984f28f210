//! Problems 7 to 12: three variables.

use crate::error::Result;
use crate::testbed::{ResidualFunction, Terms, TestProblem, check_dim};
use std::f64::consts::PI;

/// MGH 7, helical valley: `r = (10 (x₃ − 10 θ), 10 (√(x₁² + x₂²) − 1), x₃)` with
/// `θ = arctan(x₂/x₁)/2π`, plus ½ where `x₁ < 0`; start `(−1, 0, 0)`, `f = 0` at `(1, 0, 0)`.
///
/// At `x₁ = 0` the angle is `±¼` with the sign of `x₂`.
pub(super) fn helical_valley(n: usize) -> Result<TestProblem> {
    check_dim(n == 3, "3", n)?;
    let problem =
        TestProblem::least_squares("helical_valley", "MGH 7: Helical valley", HelicalValley, vec![-1.0, 0.0, 0.0], vec![0.0])?;
    Ok(problem.with_solution(vec![1.0, 0.0, 0.0]).with_condition(493.572866861))
}

struct HelicalValley;

impl ResidualFunction for HelicalValley {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        3
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c] = x else { return };
        let theta = match a {
            a if a > 0.0 => (b / a).atan() / (2.0 * PI),
            a if a < 0.0 => (b / a).atan() / (2.0 * PI) + 0.5,
            _ => 0.25_f64.copysign(b),
        };
        let square = a * a + b * b;
        let rho = square.sqrt();
        // The angle's derivatives, times −100.
        let first = -50.0 / (PI * square);
        let second = first / square;
        let (aa, ab) = (2.0 * a * b * second, (b * b - a * a) * second);
        terms.local(10.0 * (c - 10.0 * theta), [0, 1, 2], [-b * first, a * first, 10.0], &[aa, ab, -aa]);
        let cube = rho * square;
        let bend = [10.0 * b * b / cube, -10.0 * a * b / cube, 10.0 * a * a / cube];
        terms.local(10.0 * (rho - 1.0), [0, 1], [10.0 * a / rho, 10.0 * b / rho], &bend);
        terms.local(c, [2], [1.0], &[]);
    }
}

/// MGH 8, Bard: `rᵢ = yᵢ − (x₁ + uᵢ/(vᵢ x₂ + wᵢ x₃))`, `uᵢ = i`, `vᵢ = 16 − i`, `wᵢ = min(uᵢ, vᵢ)`, start `(1, 1, 1)`,
/// `f = 8.21487…e−3` at `(0.0824…, 1.133…, 2.343…)`; `17.4286…` as `x₂, x₃ → −∞`.
pub(super) fn bard(n: usize) -> Result<TestProblem> {
    check_dim(n == 3, "3", n)?;
    let problem =
        TestProblem::least_squares("bard", "MGH 8: Bard", Bard, vec![1.0, 1.0, 1.0], vec![8.2148773065789e-3, 17.4286])?;
    Ok(problem.with_solution(vec![0.08241055974978899, 1.1330360920297224, 2.3436951786425366]).with_condition(4529.05840756))
}

struct Bard;

impl ResidualFunction for Bard {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        15
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c] = x else { return };
        for (i, y) in (1..).zip(BARD) {
            let (u, v) = (f64::from(i), f64::from(16 - i));
            let w = u.min(v);
            let d = v * b + w * c;
            let (first, second) = (u / (d * d), -2.0 * u / (d * d * d));
            let bend = [0.0, 0.0, second * v * v, 0.0, second * v * w, second * w * w];
            terms.local(y - (a + u / d), [0, 1, 2], [-1.0, first * v, first * w], &bend);
        }
    }
}

const BARD: [f64; 15] = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39];

/// MGH 9, Gaussian: `rᵢ = x₁ exp(−x₂ (tᵢ − x₃)²/2) − yᵢ`, `tᵢ = (8 − i)/2`, start `(0.4, 1, 0)`, `f = 1.12793…e−8` at
/// `(0.398956…, 1.000019…, 0)`.
pub(super) fn gaussian(n: usize) -> Result<TestProblem> {
    check_dim(n == 3, "3", n)?;
    let problem =
        TestProblem::least_squares("gaussian", "MGH 9: Gaussian", Gaussian, vec![0.4, 1.0, 0.0], vec![1.1279327696e-8])?;
    Ok(problem.with_solution(vec![0.39895613783875666, 1.0000190844878056, 0.0]).with_condition(51.2815296137))
}

struct Gaussian;

impl ResidualFunction for Gaussian {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        15
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c] = x else { return };
        for (i, y) in (1..).zip(GAUSSIAN) {
            let s = f64::from(8 - i) / 2.0 - c;
            let (s2, e) = (s * s, (-b * s * s / 2.0).exp());
            let gradient = [e, -a * e * s2 / 2.0, a * b * e * s];
            let (ab, bb) = (-e * s2 / 2.0, a * e * s2 * s2 / 4.0);
            let bend = [0.0, ab, bb, b * e * s, a * e * s * (1.0 - b * s2 / 2.0), a * b * e * (b * s2 - 1.0)];
            terms.local(a * e - y, [0, 1, 2], gradient, &bend);
        }
    }
}

const GAUSSIAN: [f64; 15] =
    [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989, 0.3521, 0.2420, 0.1295, 0.0540, 0.0175, 0.0044, 0.0009];

/// MGH 10, Meyer: `rᵢ = x₁ exp(x₂/(tᵢ + x₃)) − yᵢ`, `tᵢ = 45 + 5i`, start `(0.02, 4000, 250)`, `f = 87.9458…` at
/// `(0.00560…, 6181.3…, 345.2…)`.
pub(super) fn meyer(n: usize) -> Result<TestProblem> {
    check_dim(n == 3, "3", n)?;
    let problem = TestProblem::least_squares("meyer", "MGH 10: Meyer", Meyer, vec![0.02, 4000.0, 250.0], vec![87.945855171])?;
    Ok(problem.with_solution(vec![0.005609636471028053, 6181.346346286372, 345.2236346241365]).with_condition(9939824359230000.0))
}

struct Meyer;

impl ResidualFunction for Meyer {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        16
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c] = x else { return };
        for (i, y) in (1..).zip(MEYER) {
            let d = 45.0 + 5.0 * f64::from(i) + c;
            let (q, e) = (b / d, (b / d).exp());
            let (ab, ac) = (e / d, -e * q / d);
            let bend = [0.0, ab, a * ab / d, ac, -a * ab * (q + 1.0) / d, -a * ac * (q + 2.0) / d];
            terms.local(a * e - y, [0, 1, 2], [e, a * ab, a * ac], &bend);
        }
    }
}

const MEYER: [f64; 16] = [
    34780.0, 28610.0, 23650.0, 19630.0, 16370.0, 13720.0, 11540.0, 9744.0, 8261.0, 7030.0, 6005.0, 5147.0, 4427.0, 3820.0,
    3307.0, 2872.0,
];

/// MGH 11, Gulf research and development: `rᵢ = exp(−|yᵢ − x₂|^{x₃}/x₁) − tᵢ`, `tᵢ = i/100`,
/// `yᵢ = 25 + (−50 ln tᵢ)^{2/3}`, `m = 99`, start `(5, 2.5, 0.15)`, `f = 0` at `(50, 25, 1.5)`.
///
/// The absolute value is of `yᵢ − x₂`; the paper's print of the formula has a stray factor there.
pub(super) fn gulf(n: usize) -> Result<TestProblem> {
    check_dim(n == 3, "3", n)?;
    let problem = TestProblem::least_squares(
        "gulf",
        "MGH 11: Gulf research and development",
        Gulf::new(),
        vec![5.0, 2.5, 0.15],
        vec![0.0],
    )?;
    Ok(problem.with_solution(vec![50.0, 25.0, 1.5]).with_condition(6964544.59355))
}

struct Gulf {
    /// `(tᵢ, yᵢ)`.
    data: [(f64, f64); 99],
}

impl Gulf {
    fn new() -> Self {
        let t = |i: usize| (i + 1) as f64 / 100.0;
        Self { data: std::array::from_fn(|i| (t(i), 25.0 + (-50.0 * t(i).ln()).powf(2.0 / 3.0))) }
    }
}

impl ResidualFunction for Gulf {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        99
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c] = x else { return };
        for (t, y) in self.data {
            let s = y - b;
            let (log, q) = (s.abs().ln(), s.abs().powf(c) / a);
            let e = (-q).exp();
            // First and second derivatives of q; those of e^{−q} follow.
            let (qa, qb, qc) = (-q / a, -c * q / s, q * log);
            let (ba, ca, cb) = (-qb / a, -qc / a, -q / s * (1.0 + c * log));
            let (aa, bb, cc) = (2.0 * q / (a * a), c * (c - 1.0) * q / (s * s), qc * log);
            let bend = [qa * qa - aa, qb * qa - ba, qb * qb - bb, qc * qa - ca, qc * qb - cb, qc * qc - cc].map(|h| e * h);
            terms.local(e - t, [0, 1, 2], [-e * qa, -e * qb, -e * qc], &bend);
        }
    }
}

/// MGH 12, Box three-dimensional: `rᵢ = e^{−tᵢ x₁} − e^{−tᵢ x₂} − x₃ (e^{−tᵢ} − e^{−10 tᵢ})`, `tᵢ = i/10`, `m = 10`, start
/// `(0, 10, 20)`, `f = 0` at `(1, 10, 1)`, `(10, 1, −1)` and wherever `x₁ = x₂`, `x₃ = 0`.
pub(super) fn box3d(n: usize) -> Result<TestProblem> {
    check_dim(n == 3, "3", n)?;
    let problem = TestProblem::least_squares("box3d", "MGH 12: Box three-dimensional", Box3d, vec![0.0, 10.0, 20.0], vec![0.0])?;
    Ok(problem.with_solution(vec![1.0, 10.0, 1.0]).with_condition(8341.5393371))
}

struct Box3d;

impl ResidualFunction for Box3d {
    fn n(&self) -> usize {
        3
    }
    fn m(&self) -> usize {
        10
    }
    #[inline]
    fn visit(&self, x: &[f64], terms: &mut impl Terms) {
        let &[a, b, c] = x else { return };
        for i in 1..=10 {
            let t = 0.1 * f64::from(i);
            let (ea, eb, w) = ((-t * a).exp(), (-t * b).exp(), (-t).exp() - (-10.0 * t).exp());
            terms.local(ea - eb - c * w, [0, 1, 2], [-t * ea, t * eb, -w], &[t * t * ea, 0.0, -t * t * eb]);
        }
    }
}
