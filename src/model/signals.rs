//! The backward pass of a network: the signal of every layer, and per-sample gradients through it.
//!
//! With signals `g` and inputs `ā` of a layer, sample `i` has the gradient `Σₛ g_{i,s} ā_{i,s}ᵀ`; sums over samples are
//! matrix products, so no per-sample gradient is formed unless it is asked for (Goodfellow 2015).

use super::network::{Checkpoints, Stage};
use super::pass::{Descent, Pass, Window};
use super::second_order::Halfway;
use super::{Backward, Layer, Turn};
use crate::error::{Error, Result};
use crate::linalg::buffer::Buffer;
use crate::linalg::matrix::{add_column_dots, add_columns, view};
use crate::linalg::outer::{add_outer, multiply_outer, multiply_weighted};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Signals of all stages, `∂/∂z` of `Σ uᵀf` at each.
pub(super) struct Signals {
    pub pass: Arc<Pass>,
    stored: Stored,
}

enum Stored {
    /// Signals, and the adjoints of masked values where second derivatives need them.
    All(Vec<(Buffer, Option<Buffer>)>),
    /// The output adjoints `u`; everything once something asked for it.
    Adjoints(Vec<f64>, OnceLock<Arc<Signals>>),
}

/// Signals in the order of a sweep back.
pub(super) enum Source<'a> {
    Stored(&'a [(Buffer, Option<Buffer>)]),
    Computed(Descent),
}

/// A signal that is kept somewhere, or was made for the occasion.
pub(super) enum Held<'a> {
    Kept(&'a [f64]),
    Made(Buffer),
}

impl Deref for Held<'_> {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        match self {
            Self::Kept(signal) => signal,
            Self::Made(signal) => signal,
        }
    }
}

impl<'a> Source<'a> {
    /// Of stage `l`, the next one: the signal, and the adjoint of the masked value where second derivatives need it.
    pub fn next(&mut self, window: &Window<'_>, l: usize) -> (Held<'a>, Option<Held<'a>>) {
        match self {
            Self::Stored(signals) => (Held::Kept(&signals[l].0), signals[l].1.as_deref().map(Held::Kept)),
            Self::Computed(descent) => {
                let (signal, adjoint) = descent.step(window, l);
                (Held::Made(signal), adjoint.map(Held::Made))
            }
        }
    }
}

impl Signals {
    pub fn new(pass: Arc<Pass>, u: &[f64]) -> Self {
        if pass.net.checkpoints != Checkpoints::All {
            return Self::once(pass, u.to_vec());
        }
        let mut all = vec![(Buffer::default(), None); pass.net.stages.len()];
        pass.sweep(u, |_, l, signal, adjoint| all[l] = (signal, adjoint));
        Self { pass, stored: Stored::All(all) }
    }

    /// Keeps no signals.
    pub fn once(pass: Arc<Pass>, u: Vec<f64>) -> Self {
        Self { pass, stored: Stored::Adjoints(u, OnceLock::new()) }
    }

    pub fn source(&self) -> Source<'_> {
        match &self.stored {
            Stored::All(signals) => Source::Stored(signals),
            Stored::Adjoints(u, _) => Source::Computed(Descent::new(&self.pass, u)),
        }
    }

    /// The same with all results and signals kept, and the signals.
    fn all(&self) -> (&Self, &[(Buffer, Option<Buffer>)]) {
        match &self.stored {
            Stored::All(signals) => (self, signals),
            Stored::Adjoints(u, all) => all.get_or_init(|| Arc::new(Self::new(self.pass.keeping_all(), u))).all(),
        }
    }

    fn check(&self, what: &'static str, v: &[f64]) -> Result<()> {
        Error::check_len(what, self.pass.theta.len(), v.len())
    }

    /// A direction and its product.
    pub fn check_product(&self, v: &[f64], out: &[f64]) -> Result<()> {
        self.check("direction", v)?;
        self.check("product", out)
    }

    /// Calls `f` with every stage and its signal, from the last one.
    fn each(&self, mut f: impl FnMut(&Window<'_>, usize, &[f64])) {
        let mut source = self.source();
        self.pass.each_back(|window, l| f(window, l, &source.next(window, l).0));
    }
}

/// Writes the gradient of sample `i` in stage `l`.
fn write_sample(window: &Window<'_>, l: usize, signal: &[f64], i: usize, out: &mut [f64]) {
    let stage = &window.pass.net.stages[l];
    let width = stage.outputs * stage.positions;
    let signal = &signal[i * width..(i + 1) * width];
    let seen = window.seen(l).subcols(i * stage.positions, stage.positions);
    multiply_outer(view(signal, stage.outputs), seen, out);
}

impl Backward for Signals {
    fn gradient(&self, out: &mut [f64]) -> Result<()> {
        self.check("gradient", out)?;
        self.each(|window, l, signal| window.write_gradient(l, signal, out));
        Ok(())
    }

    fn slopes(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check("direction", v)?;
        Error::check_len("slopes", self.pass.n(), out.len())?;
        out.fill(0.0);
        self.each(|window, l, signal| {
            let (change, bias) = (window.argument_change(l, v, None), self.pass.net.stages[l].bias(v));
            add_column_dots(bias, &change, signal, out);
        });
        Ok(())
    }

    fn weighted_gradient(&self, weights: &[f64], out: &mut [f64]) -> Result<()> {
        self.check("gradient", out)?;
        Error::check_len("weights", self.pass.n(), weights.len())?;
        self.each(|window, l, signal| {
            let stage = &self.pass.net.stages[l];
            let weight = |column: usize| weights[column / stage.positions];
            multiply_weighted(view(signal, stage.outputs), &weight, window.seen(l), &mut out[stage.range()]);
        });
        Ok(())
    }

    fn sample_gradient(&self, i: usize, out: &mut [f64]) -> Result<()> {
        self.check("gradient", out)?;
        Error::check_option(i < self.pass.n(), "sample", "one of the batch", i)?;
        let (all, signals) = self.all();
        all.pass.each_back(|window, l| {
            let stage = &all.pass.net.stages[l];
            write_sample(window, l, &signals[l].0, i, &mut out[stage.range()]);
        });
        Ok(())
    }

    fn add_squares(&self, out: &mut [f64]) -> Result<()> {
        self.check("sum of squares", out)?;
        self.each(|window, l, signal| {
            let stage = &self.pass.net.stages[l];
            if stage.positions > 1 {
                let out = &mut out[stage.range()];
                let mut sample = vec![0.0; out.len()];
                for i in 0..self.pass.n() {
                    write_sample(window, l, signal, i, &mut sample);
                    out.iter_mut().zip(&sample).for_each(|(o, g)| *o += g * g);
                }
                return;
            }
            // (g aᵀ) ⊙ (g aᵀ) = (g ⊙ g)(a ⊙ a)ᵀ.
            let squared: Vec<f64> = signal.iter().map(|g| g * g).collect();
            let seen = window.seen(l);
            let mut inputs = Vec::with_capacity(seen.nrows() * seen.ncols());
            seen.col_iter().for_each(|column| inputs.extend(column.iter().map(|a| a * a)));
            let (weights, bias) = stage.split_mut(out);
            let squared = view(&squared, stage.outputs);
            add_outer(squared, view(&inputs, stage.inputs), weights);
            add_columns(squared, bias);
        });
        Ok(())
    }

    fn second_product(&self, v: &[f64], turn: &mut Turn<'_>, out: &mut [f64]) -> Result<()> {
        self.check_product(v, out)?;
        let halfway = Halfway::new(self, v);
        let mut adjoint = Buffer::zeros(halfway.output().len());
        turn(halfway.output(), &mut adjoint)?;
        halfway.finish(adjoint, out);
        Ok(())
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        let (all, signals) = self.all();
        let layer = |(l, stage): (usize, &Stage)| Layer {
            inputs: all.pass.kept_seen(l),
            signals: view(&signals[l].0, stage.outputs),
            positions: stage.positions,
        };
        all.pass.net.stages.iter().enumerate().map(layer).collect()
    }

    fn each_layer(&self, visit: &mut dyn FnMut(usize, Layer<'_>)) {
        self.each(|window, l, signal| {
            let stage = &self.pass.net.stages[l];
            visit(l, Layer { inputs: window.seen(l), signals: view(signal, stage.outputs), positions: stage.positions });
        });
    }
}
