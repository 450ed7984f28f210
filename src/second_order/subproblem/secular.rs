//! The secular equation of ball- and cubic-constrained models in the eigenbasis of `B`.
//!
//! With `B = Q diag(w) Qᵀ` and `γ = Qᵀg` both problems ask for `λ ≥ max(0, −w₁)` and `y = −γ / (w + λ)` with
//! `‖y‖ = R(λ)`, where `R = Δ` for the ball and `R = λ/σ` for the cubic. The unknown here is `x = λ − max(0, −w₁)`
//! and the sum runs over `aᵢ = wᵢ − min(0, w₁) ≥ 0`, so that nothing cancels however close `λ` is to `−w₁`: the nearly
//! hard case is an easy one in `x`. What is computed is the unit vector `v = y / R`.
//!
//! Newton's method on `1/‖y‖ − 1/R`, concave and increasing in `x`, rises monotonically from any point left of the
//! root (Conn, Gould & Toint, Trust-Region Methods, §7.3; Cartis, Gould & Toint 2011, §6.1); it starts from the largest
//! of the bounds that the single terms give.

/// Below this multiple of `−w₁` the shift `x` is as good as zero: the hard case.
const HARD: f64 = 1e-30;
/// Newton steps allowed; five is usual, and the bound `‖y‖ → R` of the hard case from above takes fifty.
const MAX_STEPS: u64 = 200;

/// Which length belongs to a multiplier.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// `‖y‖ = Δ`.
    Ball(f64),
    /// `‖y‖ = λ/σ`.
    Cubic(f64),
}

/// The solution in the eigenbasis; the direction itself is [`Secular::direction`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Root {
    /// `λ` in the scale of `t B`.
    pub lambda: f64,
    /// `−γᵀv ≥ 0`.
    pub descent: f64,
    /// Newton steps.
    pub steps: u64,
}

/// Eigenvalues, gradient and solution in the eigenbasis.
#[derive(Debug, Clone, Default)]
pub(super) struct Secular {
    lowest: f64,
    at: usize,
    pub gaps: Vec<f64>,
    pub gamma: Vec<f64>,
    pub direction: Vec<f64>,
}

impl Secular {
    /// Takes the eigenvalues in any order. Room for `γ` is made; the caller fills it.
    pub fn load(&mut self, values: &[f64]) {
        let n = values.len();
        self.at = (0..n).reduce(|a, b| if values[b] < values[a] { b } else { a }).unwrap_or(0);
        self.lowest = values.get(self.at).copied().unwrap_or(0.0);
        let base = self.lowest.min(0.0);
        self.gaps.clear();
        self.gaps.extend(values.iter().map(|w| w - base));
        self.gamma.resize(n, 0.0);
        self.direction.resize(n, 0.0);
    }

    /// Smallest eigenvalue.
    pub fn lowest(&self) -> f64 {
        self.lowest
    }

    /// Writes `y = −γ / w` (λ = 0) into `direction` and returns `‖y‖` and `−γᵀy`. Eigenvalues up to `cut` count as zero
    /// and their components are left out, which is allowed only if those of `γ` are at rounding level: `None` otherwise.
    pub fn unconstrained(&mut self, cut: f64) -> Option<(f64, f64)> {
        if self.lowest < -cut {
            return None;
        }
        let base = self.lowest.min(0.0);
        let (mut dropped, mut descent) = (0.0f64, 0.0);
        for ((y, gamma), gap) in self.direction.iter_mut().zip(&self.gamma).zip(&self.gaps) {
            let w = gap + base;
            if w <= cut {
                dropped = dropped.max(gamma.abs());
                *y = 0.0;
            } else {
                *y = -gamma / w;
                descent -= gamma * *y;
            }
        }
        let largest = self.gamma.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        let noise = self.gamma.len() as f64 * f64::EPSILON;
        (dropped <= noise * largest).then(|| (crate::linalg::vector::norm(&self.direction), descent))
    }

    /// Solves the secular equation of `t B` and `g`, leaving the unit vector `v` in `direction`.
    pub fn solve(&mut self, t: f64, target: Target) -> Root {
        let start = t * (-self.lowest).max(0.0);
        let rounding = (4.0 + (self.gamma.len() as f64).sqrt()) * f64::EPSILON;
        let mut steps = 0;
        let mut x = self.lower_bound(t, start, target);
        if start > 0.0 {
            let least = (HARD * start).max(f64::MIN_POSITIVE);
            if x <= least {
                let (square, _) = self.evaluate(t, least, factor(target, start + least));
                if square < 1.0 {
                    return self.fill_with_lowest(start);
                }
                x = least;
            }
        }
        x = x.max(f64::MIN_POSITIVE);
        let ball = factor(target, 1.0);
        loop {
            let (c, pole) = match target {
                Target::Ball(_) => (ball, 0.0),
                Target::Cubic(sigma) => {
                    let inverse = 1.0 / (start + x);
                    (sigma * inverse, inverse)
                }
            };
            let (square, slope) = self.evaluate(t, x, c);
            let norm = square.sqrt();
            // φ = (‖v‖ − 1) / ‖v‖ and φ′ = slope / ‖v‖³ (+ 1/λ for the cubic), both over c.
            let next = x + (norm - 1.0) * square / (slope + pole * norm * square);
            // Monotone from the left up to rounding: at the root the steps stall.
            let met = (norm - 1.0).abs() <= rounding || (next - x).abs() <= 2.0 * f64::EPSILON * x;
            if met || steps == MAX_STEPS || !(next > 0.0 && next.is_finite()) {
                return self.normalise(start + x, norm, steps);
            }
            x = next;
            steps += 1;
        }
    }

    /// The largest of the bounds `‖y(x)‖ ≥ |yᵢ(x)|` gives, and of `‖y(x)‖ ≥ ‖γ‖ / (max a + x)`.
    fn lower_bound(&self, t: f64, start: f64, target: Target) -> f64 {
        let mut bound = 0.0f64;
        let (mut square, mut widest) = (0.0, 0.0f64);
        match target {
            Target::Ball(radius) => {
                let c = 1.0 / radius;
                for (gamma, gap) in self.gamma.iter().zip(&self.gaps) {
                    bound = bound.max(c * gamma.abs() - t * gap);
                    widest = widest.max(*gap);
                    square += gamma * gamma;
                }
                bound.max(c * f64::sqrt(square) - t * widest)
            }
            Target::Cubic(sigma) => {
                for (gamma, gap) in self.gamma.iter().zip(&self.gaps) {
                    bound = bound.max(cubic_root(t * gap, start, sigma * gamma.abs()));
                    widest = widest.max(*gap);
                    square += gamma * gamma;
                }
                bound.max(cubic_root(t * widest, start, sigma * f64::sqrt(square)))
            }
        }
    }

    /// Writes `v = −c γ / (t a + x)` and returns `Σ v²` and `Σ v² / (t a + x)`.
    #[inline]
    fn evaluate(&mut self, t: f64, x: f64, c: f64) -> (f64, f64) {
        let (mut square, mut slope) = (0.0, 0.0);
        for ((v, gamma), gap) in self.direction.iter_mut().zip(&self.gamma).zip(&self.gaps) {
            let inverse = 1.0 / (t * gap + x);
            *v = -c * gamma * inverse;
            let s = *v * *v;
            square += s;
            slope += s * inverse;
        }
        (square, slope)
    }

    /// Hard case: the missing length goes to the eigenvector of `w₁`, in the direction that lowers the model.
    fn fill_with_lowest(&mut self, lambda: f64) -> Root {
        let own = std::mem::take(&mut self.direction[self.at]);
        let rest: f64 = self.direction.iter().map(|v| v * v).sum();
        let missing = (1.0 - rest).max(0.0).sqrt();
        self.direction[self.at] = if own < 0.0 || self.gamma[self.at] > 0.0 { -missing } else { missing };
        self.normalise(lambda, 1.0, 0)
    }

    fn normalise(&mut self, lambda: f64, norm: f64, steps: u64) -> Root {
        let mut descent = 0.0;
        let c = if norm > 0.0 { 1.0 / norm } else { 1.0 };
        for (v, gamma) in self.direction.iter_mut().zip(&self.gamma) {
            *v *= c;
            descent -= gamma * *v;
        }
        Root { lambda, descent, steps }
    }
}

/// `1 / R(λ)`.
#[inline]
fn factor(target: Target, lambda: f64) -> f64 {
    match target {
        Target::Ball(radius) => 1.0 / radius,
        Target::Cubic(sigma) => sigma / lambda,
    }
}

/// The positive root of `(a + x)(b + x) = c` for `a, b, c ≥ 0`, zero if there is none.
#[inline]
fn cubic_root(a: f64, b: f64, c: f64) -> f64 {
    let product = a * b;
    if c <= product {
        return 0.0;
    }
    let (gap, four) = (a - b, 4.0 * c);
    let square = gap * gap + four;
    let size = if square < 1e280 && square > 1e-280 { square.sqrt() } else { gap.hypot(four.sqrt()) };
    2.0 * (c - product) / (a + b + size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundary_solution_between_two_poles_has_the_closed_form() {
        // w = (−2, 1), γ = (0, 1), Δ = 1: λ = 2, y₂ = −1/3, the rest along the first axis.
        let mut secular = Secular::default();
        secular.load(&[1.0, -2.0]);
        secular.gamma.copy_from_slice(&[1.0, 0.0]);
        let root = secular.solve(1.0, Target::Ball(1.0));
        assert_eq!(root.lambda, 2.0);
        assert!((secular.direction[0] + 1.0 / 3.0).abs() < 1e-16);
        assert!((secular.direction[1] - (8.0f64 / 9.0).sqrt()).abs() < 1e-16);
    }

    #[test]
    fn one_dimensional_cubic_is_the_root_of_a_quadratic() {
        for (w, gamma, sigma) in [(1.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (3.0, 1e-8, 2.0), (-3.0, 1e-20, 0.5), (0.0, 2.0, 3.0)] {
            let mut secular = Secular::default();
            secular.load(&[w]);
            secular.gamma[0] = gamma;
            let root = secular.solve(1.0, Target::Cubic(sigma));
            // λ (λ + w) = σ γ with λ > max(0, −w).
            let size = (w * w + 4.0 * sigma * gamma).sqrt();
            let expected = if w > 0.0 { 2.0 * sigma * gamma / (w + size) } else { (size - w) / 2.0 };
            assert!((root.lambda / expected - 1.0).abs() < 1e-14, "{w} {gamma} {sigma}");
        }
    }
}
