//! The evaluation ledger: one set of counters for every method.
//!
//! A curvature and its operators see the problem through shared borrows, so their counters are atomics; the solver
//! drains them into argmin's `Problem::counts` under the same names.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! ledger {
    ($($(#[$doc:meta])* $field:ident => $key:literal,)*) => {
        /// Counters of evaluations since the start of a run.
        #[derive(Debug, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct Counts { $($(#[$doc])* pub $field: AtomicU64,)* }

        /// The values of [`Counts`] at one moment.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct Tally { $($(#[$doc])* pub $field: u64,)* }

        impl Counts {
            /// The present values.
            pub fn tally(&self) -> Tally { Tally { $($field: self.$field.load(Relaxed),)* } }
            /// Sets every counter to the given values (after a checkpoint was loaded).
            pub fn restore(&self, tally: &Tally) { $(self.$field.store(tally.$field, Relaxed);)* }
        }

        impl Tally {
            /// Names (argmin's count keys) and values.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($key, self.$field),)*].into_iter()
            }
            /// Entry-wise difference to an earlier tally.
            pub fn since(&self, earlier: &Tally) -> Tally { Tally { $($field: self.$field.saturating_sub(earlier.$field),)* } }
            /// Entry-wise sum.
            pub fn plus(&self, other: &Tally) -> Tally { Tally { $($field: self.$field + other.$field,)* } }
        }
    };
}

ledger! {
    /// Cost evaluations.
    cost => "cost_count",
    /// Gradient evaluations.
    gradient => "gradient_count",
    /// Hessian matrices.
    hessian => "hessian_count",
    /// Hessian–vector (or other curvature–vector) products.
    hessian_product => "hessian_product_count",
    /// Jacobian matrices.
    jacobian => "jacobian_count",
    /// Jacobian products, plain and transposed.
    jacobian_product => "jacobian_product_count",
    /// Gradients of single samples.
    sample_gradient => "sample_gradient_count",
    /// Matrix factorizations.
    factorization => "factorization_count",
    /// Inner iterations of a subproblem solver.
    inner => "inner_count",
}

/// Adds `by` to a counter.
#[inline]
pub fn add(counter: &AtomicU64, by: u64) {
    // A plain load and store would lose counts when products run in parallel.
    counter.fetch_add(by, Relaxed);
}

impl Counts {
    /// Adds evaluations of the cost and the gradient that were counted on the side: a solver's own trials need no
    /// atomic additions, which cost more than a small problem's function.
    pub(crate) fn add_evaluations(&mut self, costs: u64, gradients: u64) {
        *self.cost.get_mut() += costs;
        *self.gradient.get_mut() += gradients;
    }

    /// Adds a subproblem's factorizations and inner iterations.
    pub(crate) fn add_inner(&mut self, factorizations: u64, inner: u64) {
        *self.factorization.get_mut() += factorizations;
        *self.inner.get_mut() += inner;
    }
}

impl Clone for Counts {
    fn clone(&self) -> Self {
        let copy = Counts::default();
        copy.restore(&self.tally());
        copy
    }
}

impl Tally {
    /// Work in gradient equivalents as used by data profiles (Moré & Wild 2009): a cost, a gradient, a product count
    /// one each, a dense Hessian `n`.
    pub fn gradient_equivalents(&self, n: usize) -> f64 {
        (self.cost + self.gradient + self.hessian_product) as f64 + self.hessian as f64 * n as f64
    }
}
