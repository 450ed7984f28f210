//! Update rules: what becomes of a gradient before it is subtracted, `x ← x − update`.
//!
//! A rule is given the (preconditioned) gradient and leaves the step; a tuple of rules is a rule, applied from left to right.
//! So where a learning rate stands says what it multiplies: `(Momentum, LearningRate)` scales the velocity, `(LearningRate,
//! Momentum)` accumulates scaled gradients.

//!
//! | rule | method |
//! |---|---|
//! | [`LearningRate`], [`OnPlateau`] | factors |
//! | [`Momentum`], [`Nesterov`], [`LookAheadMomentum`] | velocities |
//! | [`Adagrad`], [`RmsProp`], [`Adadelta`], [`Adam`], [`AdaMax`], [`AmsGrad`], [`AdaBound`], [`RAdam`], [`NAdam`] | a rate for each variable |
//! | [`NovoGrad`], [`Lars`], [`TrustRatio`] | a rate for each part of the layout |
//! | [`Lion`] | signs |
//! | [`Sophia`], [`AdaHessian`] | the Hessian's diagonal |
//! | [`SharpnessAware`], [`Lookahead`] | other points |
//! | [`ClipValue`], [`ClipNorm`], [`GradientNoise`], [`WeightDecay`] | corrections |
//!
//! Adaptive rules have `eps`, added to the root in the denominator, and `eps_root`, added under it. Where sources differ,
//! `default()` is the form of the notes on first-order methods, and `paper()`, `like_torch()`, `like_optax()` are theirs.

mod ada_bound;
mod ada_hessian;
mod ada_max;
mod adadelta;
mod adagrad;
mod adam;
mod ams_grad;
mod clip;
mod learning_rate;
mod lion;
mod lookahead;
mod moments;
mod momentum;
mod n_adam;
mod nesterov;
mod noise;
mod novo_grad;
mod on_plateau;
mod probe;
mod r_adam;
mod rms_prop;
mod sharpness_aware;
mod sophia;
mod trust_ratio;
mod weight_decay;

use super::Clock;
use crate::error::Result;
use crate::model::Block;

pub use ada_bound::AdaBound;
pub use ada_hessian::AdaHessian;
pub use ada_max::AdaMax;
pub use adadelta::Adadelta;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use ams_grad::{AmsGrad, Maximum};
pub use clip::{ClipNorm, ClipValue};
pub use learning_rate::LearningRate;
pub use lion::Lion;
pub use lookahead::Lookahead;
pub use moments::{EpsilonPlace, Memory};
pub use momentum::{Dampening, Momentum};
pub use n_adam::NAdam;
pub use nesterov::{LookAheadMomentum, Nesterov};
pub use noise::GradientNoise;
pub use novo_grad::NovoGrad;
pub use on_plateau::OnPlateau;
pub use probe::Probe;
pub use r_adam::{Degenerate, RAdam};
pub use rms_prop::{RmsProp, Start};
pub use sharpness_aware::SharpnessAware;
pub use sophia::{DiagonalEstimator, Sophia};
pub use trust_ratio::{Lars, TrustRatio};
pub use weight_decay::WeightDecay;

/// Evaluations at any point, on the rows of the present step; counted.
pub trait Oracle {
    /// Mean cost of the rows.
    ///
    /// # Errors
    /// What the problem reports.
    fn cost(&self, x: &[f64]) -> Result<f64>;
    /// Mean cost of the rows; `out ←` its gradient.
    ///
    /// # Errors
    /// What the problem reports.
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<f64>;
    /// `out ←` its Hessian times `v`.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a problem without second derivatives.
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()>;
    /// `out ←` a gradient of the rows with targets drawn from the model's own distribution at `x`, by this seed. Returns the
    /// number of rows, which times its outer product has the Fisher matrix for its mean.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for a problem without such a distribution.
    fn sampled_gradient(&self, x: &[f64], seed: u64, out: &mut [f64]) -> Result<usize> {
        let _ = (x, seed, out);
        let requirement = "a loss that is a negative log-likelihood";
        Err(crate::Error::Unsupported { what: "a gradient with drawn targets", requirement })
    }
}

/// What a rule may look at.
pub struct Context<'a> {
    /// When.
    pub clock: Clock,
    /// The point where the step starts.
    pub x: &'a [f64],
    /// The estimate of the gradient, as it came from the estimator.
    pub gradient: &'a [f64],
    /// The mean cost of the rows at the point of the gradient, if the estimator knows it.
    pub cost: Option<f64>,
    /// Damping of the preconditioner in this step.
    pub damping: f64,
    /// The parameters' parts; empty is one part.
    pub layout: &'a [Block],
    /// Evaluations on the same rows.
    pub oracle: &'a dyn Oracle,
}

/// A map from gradients to steps, with whatever it remembers. The state of a rule is part of it and is serialised with it.
pub trait UpdateRule {
    /// Checks the options; called once before a run.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) naming the option.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Forgets everything: a run begins with `n` variables.
    fn begin(&mut self, n: usize) {
        let _ = n;
    }

    /// Writes into `point` (given as a copy of `x`) where the gradient is to be evaluated, and returns true, if that is not
    /// at `x`.
    fn look_ahead(&self, clock: &Clock, x: &[f64], point: &mut [f64]) -> bool {
        let _ = (clock, x, point);
        false
    }

    /// Turns the gradient in `update` into what is subtracted from `x`.
    ///
    /// # Errors
    /// What the oracle reports.
    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()>;

    /// Told the validation loss (the cost, without validation data) whenever it was evaluated.
    fn evaluated(&mut self, loss: f64) {
        let _ = loss;
    }

    /// The rate that the next step is scaled with, for reports; the product over a tuple.
    fn rate(&self, clock: &Clock) -> f64 {
        let _ = clock;
        1.0
    }
}

macro_rules! chain {
    ($($rule:ident $field:tt),+) => {
        impl<$($rule: UpdateRule),+> UpdateRule for ($($rule,)+) {
            fn validate(&self) -> Result<()> {
                $(self.$field.validate()?;)+
                Ok(())
            }
            fn begin(&mut self, n: usize) {
                $(self.$field.begin(n);)+
            }
            fn look_ahead(&self, clock: &Clock, x: &[f64], point: &mut [f64]) -> bool {
                let mut moved = false;
                $(moved |= self.$field.look_ahead(clock, x, point);)+
                moved
            }
            fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
                $(self.$field.transform(context, update)?;)+
                Ok(())
            }
            fn evaluated(&mut self, loss: f64) {
                $(self.$field.evaluated(loss);)+
            }
            fn rate(&self, clock: &Clock) -> f64 {
                1.0 $(* self.$field.rate(clock))+
            }
        }
    };
}
chain!(A 0, B 1);
chain!(A 0, B 1, C 2);
chain!(A 0, B 1, C 2, D 3);
chain!(A 0, B 1, C 2, D 3, E 4);
chain!(A 0, B 1, C 2, D 3, E 4, F 5);

impl<R: UpdateRule + ?Sized> UpdateRule for Box<R> {
    fn validate(&self) -> Result<()> {
        (**self).validate()
    }
    fn begin(&mut self, n: usize) {
        (**self).begin(n);
    }
    fn look_ahead(&self, clock: &Clock, x: &[f64], point: &mut [f64]) -> bool {
        (**self).look_ahead(clock, x, point)
    }
    fn transform(&mut self, context: &Context<'_>, update: &mut [f64]) -> Result<()> {
        (**self).transform(context, update)
    }
    fn evaluated(&mut self, loss: f64) {
        (**self).evaluated(loss);
    }
    fn rate(&self, clock: &Clock) -> f64 {
        (**self).rate(clock)
    }
}
