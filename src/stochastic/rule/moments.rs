//! What the adaptive rules share: weighted moments, their debiasing, quotients with guarded roots, vectorised loops.

use crate::error::{Error, Result};
use crate::model::Block;
use pulp::Arch;
use std::ops::Range;

/// Where the small constants of a denominator stand when moments are debiased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EpsilonPlace {
    /// `m̂ / (√(v̂ + ε_root) + ε)`: added to the debiased moment.
    #[default]
    Debiased,
    /// `m̂ √(1 − β₂ᵗ) / (√(v + ε_root) + ε)`: added to the raw moment, so that it weighs more in early steps (`ε̂` of Kingma &
    /// Ba 2015, §2).
    Raw,
}

/// What a rule remembers between steps: part of the rule, serialised with it, emptied when a run begins.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Memory<T>(pub(super) T);

/// `num / (√(v + eps_root) + eps)`; zero where the denominator is, which it is only where nothing but zeros (or a NaN, which stays
/// one) was seen.
#[inline(always)]
pub(super) fn quotient(num: f64, v: f64, eps: f64, eps_root: f64) -> f64 {
    let denominator = (v + eps_root).sqrt() + eps;
    if denominator == 0.0 { 0.0 * num } else { num / denominator }
}

/// `f(uᵢ, aᵢ)` for all `i`.
#[inline(always)]
pub(super) fn each2(u: &mut [f64], a: &mut [f64], f: impl Fn(&mut f64, &mut f64)) {
    Arch::new().dispatch(
        #[inline(always)]
        || u.iter_mut().zip(a).for_each(|(u, a)| f(u, a)),
    );
}

/// `f(uᵢ, aᵢ, bᵢ)` for all `i`.
#[inline(always)]
pub(super) fn each3(u: &mut [f64], a: &mut [f64], b: &mut [f64], f: impl Fn(&mut f64, &mut f64, &mut f64)) {
    Arch::new().dispatch(
        #[inline(always)]
        || u.iter_mut().zip(a).zip(b).for_each(|((u, a), b)| f(u, a, b)),
    );
}

/// `1 − Π βₜ` over the steps so far, without cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Debias {
    logarithm: f64,
}

impl Debias {
    /// One more step with this decay. Returns `1 − Π βₜ`.
    pub(super) fn push(&mut self, beta: f64) -> f64 {
        self.logarithm += beta.ln();
        self.value()
    }

    /// `1 − Π βₜ`; zero before the first step.
    pub(super) fn value(&self) -> f64 {
        -self.logarithm.exp_m1()
    }

    /// What [`push`](Self::push) would return.
    pub(super) fn after(mut self, beta: f64) -> f64 {
        self.push(beta)
    }
}

/// Exponentially weighted first and second moments `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, both from zero.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Moments {
    pub(super) m: Vec<f64>,
    pub(super) v: Vec<f64>,
    pub(super) steps: u64,
    first: Debias,
    second: Debias,
}

impl Moments {
    pub(super) fn begin(&mut self, n: usize) {
        clear(&mut self.m, n);
        clear(&mut self.v, n);
        (self.steps, self.first, self.second) = (0, Debias::default(), Debias::default());
    }

    /// Counts a step. Returns `(1 − Πβ₁, 1 − Πβ₂)`.
    pub(super) fn advance(&mut self, beta1: f64, beta2: f64) -> (f64, f64) {
        self.steps += 1;
        (self.first.push(beta1), self.second.push(beta2))
    }

    /// Updates the moments with the gradient in `update`, which becomes `f(g, m, v)`.
    #[inline(always)]
    pub(super) fn each(&mut self, beta1: f64, beta2: f64, update: &mut [f64], f: impl Fn(f64, f64, f64) -> f64) {
        let (w1, w2) = (1.0 - beta1, 1.0 - beta2);
        each3(update, &mut self.m, &mut self.v, |u, m, v| {
            let g = *u;
            *m = beta1 * *m + w1 * g;
            *v = beta2 * *v + w2 * (g * g);
            *u = f(g, *m, *v);
        });
    }

    /// The same with one more array: `f(g, m, v, &mut extra)`.
    #[inline(always)]
    pub(super) fn each_with(
        &mut self,
        beta1: f64,
        beta2: f64,
        update: &mut [f64],
        extra: &mut [f64],
        f: impl Fn(f64, f64, f64, &mut f64) -> f64,
    ) {
        let (w1, w2) = (1.0 - beta1, 1.0 - beta2);
        let (m, v) = (&mut self.m, &mut self.v);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (((u, m), v), e) in update.iter_mut().zip(m).zip(v).zip(extra) {
                    let g = *u;
                    *m = beta1 * *m + w1 * g;
                    *v = beta2 * *v + w2 * (g * g);
                    *u = f(g, *m, *v, e);
                }
            },
        );
    }
}

/// What the factors of `m` and `v` in a debiased quotient are: `m a / (√(v b + ε_root) + ε)`, given `1 − β₁ᵗ`, `1 − β₂ᵗ`.
pub(super) fn debiased(place: EpsilonPlace, (c1, c2): (f64, f64)) -> (f64, f64) {
    match place {
        EpsilonPlace::Debiased => (1.0 / c1, 1.0 / c2),
        EpsilonPlace::Raw => (c2.sqrt() / c1, 1.0),
    }
}

/// `n` zeros.
pub(super) fn clear(x: &mut Vec<f64>, n: usize) {
    x.clear();
    x.resize(n, 0.0);
}

/// The parts of `n` parameters: the blocks of the layout, everything where there is none.
pub(super) fn parts(layout: &[Block], n: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let all = if layout.is_empty() { Some(0..n) } else { None };
    layout.iter().map(move |block| block.range().start.min(n)..block.range().end.min(n)).chain(all)
}

/// Checks that a decay is at least 0 and below 1.
pub(super) fn check_decay(name: &str, beta: f64) -> Result<()> {
    Error::check_option((0.0..1.0).contains(&beta), name, "at least 0 and below 1", beta)
}

/// Checks that a number is finite and not negative.
pub(super) fn check_not_negative(name: &str, value: f64) -> Result<()> {
    Error::check_option(value >= 0.0 && value.is_finite(), name, "finite and not negative", value)
}

/// Checks that a number is finite and positive.
pub(super) fn check_positive(name: &str, value: f64) -> Result<()> {
    Error::check_option(value > 0.0 && value.is_finite(), name, "finite and positive", value)
}

/// Checks the constants of a denominator.
pub(super) fn check_epsilons(eps: f64, eps_root: f64) -> Result<()> {
    check_not_negative("eps", eps)?;
    check_not_negative("eps_root", eps_root)
}
