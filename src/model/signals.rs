//! The backward pass of a network: the signal of every layer, and per-sample gradients through it.
//!
//! With signals `g` and inputs `ā` of a layer, sample `i` has the gradient `Σₛ g_{i,s} ā_{i,s}ᵀ`; sums over samples are
//! matrix products, so no per-sample gradient is formed unless it is asked for (Goodfellow 2015).

use super::network::Stage;
use super::pass::Pass;
use super::{Backward, Layer, Turn, second_order};
use crate::error::{Error, Result};
use crate::linalg::matrix::{add_column_dots, add_multiply, add_row_sums, multiply, view};
use std::sync::Arc;

/// Signals of all stages.
pub(super) struct Signals {
    pub pass: Arc<Pass>,
    /// `∂/∂z` of `Σ uᵀf` at each stage.
    pub signals: Vec<Vec<f64>>,
    /// The adjoints of masked values, where second derivatives need them.
    pub adjoints: Vec<Option<Vec<f64>>>,
}

impl Signals {
    pub fn new(pass: Arc<Pass>, u: &[f64]) -> Self {
        let n = pass.net.stages.len();
        let (mut signals, mut adjoints) = (vec![Vec::new(); n], vec![None; n]);
        pass.sweep(u, |l, signal, adjoint| (signals[l], adjoints[l]) = (signal, adjoint));
        Self { pass, signals, adjoints }
    }

    fn check(&self, what: &'static str, v: &[f64]) -> Result<()> {
        Error::check_len(what, self.pass.theta.len(), v.len())
    }

    fn stages(&self) -> impl Iterator<Item = (usize, &Stage, &[f64])> {
        let stages = self.pass.net.stages.iter().zip(&self.signals);
        stages.enumerate().map(|(l, (stage, signal))| (l, stage, signal.as_slice()))
    }

    /// Writes the weight part and the bias part of the gradient of sample `i` in one stage.
    fn write_sample(&self, l: usize, i: usize, out: &mut [f64]) {
        let stage = &self.pass.net.stages[l];
        let width = stage.outputs * stage.positions;
        let signal = &self.signals[l][i * width..(i + 1) * width];
        let seen = self.pass.seen(l).subcols(i * stage.positions, stage.positions);
        let (weights, bias) = out.split_at_mut(stage.outputs * stage.inputs);
        multiply(view(signal, stage.outputs), seen.transpose(), weights);
        bias.fill(0.0);
        add_row_sums(signal, bias);
    }
}

impl Backward for Signals {
    fn gradient(&self, out: &mut [f64]) -> Result<()> {
        self.check("gradient", out)?;
        self.stages().for_each(|(l, _, signal)| self.pass.write_gradient(l, signal, out));
        Ok(())
    }

    fn slopes(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check("direction", v)?;
        Error::check_len("slopes", self.pass.n(), out.len())?;
        out.fill(0.0);
        for (l, stage, signal) in self.stages() {
            let (change, bias) = (self.pass.argument_change(l, v, None), stage.bias(v));
            add_column_dots(bias, &change, signal, out);
        }
        Ok(())
    }

    fn weighted_gradient(&self, weights: &[f64], out: &mut [f64]) -> Result<()> {
        self.check("gradient", out)?;
        Error::check_len("weights", self.pass.n(), weights.len())?;
        for (l, stage, signal) in self.stages() {
            let width = stage.outputs * stage.positions;
            let mut weighted = Vec::with_capacity(signal.len());
            for (column, w) in signal.chunks_exact(width).zip(weights) {
                weighted.extend(column.iter().map(|c| c * w));
            }
            self.pass.write_gradient(l, &weighted, out);
        }
        Ok(())
    }

    fn sample_gradient(&self, i: usize, out: &mut [f64]) -> Result<()> {
        self.check("gradient", out)?;
        Error::check_option(i < self.pass.n(), "sample", "one of the batch", i)?;
        for (l, stage, _) in self.stages() {
            self.write_sample(l, i, &mut out[stage.offset..stage.offset + stage.outputs * (stage.inputs + 1)]);
        }
        Ok(())
    }

    fn add_squares(&self, out: &mut [f64]) -> Result<()> {
        self.check("sum of squares", out)?;
        for (l, stage, signal) in self.stages() {
            if stage.positions > 1 {
                let range = stage.offset..stage.offset + stage.outputs * (stage.inputs + 1);
                let mut sample = vec![0.0; range.len()];
                for i in 0..self.pass.n() {
                    self.write_sample(l, i, &mut sample);
                    out[range.clone()].iter_mut().zip(&sample).for_each(|(o, g)| *o += g * g);
                }
                continue;
            }
            // (g aᵀ) ⊙ (g aᵀ) = (g ⊙ g)(a ⊙ a)ᵀ.
            let squared: Vec<f64> = signal.iter().map(|g| g * g).collect();
            let seen = self.pass.seen(l);
            let mut inputs = Vec::with_capacity(seen.nrows() * seen.ncols());
            seen.col_iter().for_each(|column| inputs.extend(column.iter().map(|a| a * a)));
            let (weights, bias) = stage.split_mut(out);
            add_multiply(view(&squared, stage.outputs), view(&inputs, stage.inputs).transpose(), weights);
            add_row_sums(&squared, bias);
        }
        Ok(())
    }

    fn second_product(&self, v: &[f64], turn: &mut Turn<'_>, out: &mut [f64]) -> Result<()> {
        self.check("direction", v)?;
        self.check("product", out)?;
        second_order::product(self, v, turn, out)
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        let layer = |(l, stage, signal): (usize, &Stage, _)| Layer {
            inputs: self.pass.seen(l),
            signals: view(signal, stage.outputs),
            positions: stage.positions,
        };
        self.stages().map(|(l, stage, signal)| layer((l, stage, signal))).collect()
    }
}
