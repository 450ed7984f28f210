//! A network at one point: the forward sweep, and Jacobian products on what it kept.

use super::network::{Architecture, Stage};
use super::signals::Signals;
use super::{Backward, Batch, Forward};
use crate::error::{Error, Result};
use crate::linalg::matrix::{add_multiply, add_row_sums, for_blocks, multiply, view};
use crate::linalg::vector::axpy;
use faer::MatRef;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// A forward pass.
pub(super) struct Pass {
    pub net: Arc<Architecture>,
    pub theta: Vec<f64>,
    inputs: Arc<Batch>,
    kept: Vec<Kept>,
}

/// What a stage leaves behind, all `outputs × (positions · n)` except the patches.
struct Kept {
    /// The patches it saw, unless they are the previous result as it stands.
    patches: Option<Vec<f64>>,
    /// What the derivatives of the activation are computed from, unless it is the result.
    basis: Option<Vec<f64>>,
    /// Dropout: 0 or 1/(1 − p).
    mask: Option<Vec<f64>>,
    result: Vec<f64>,
}

impl Pass {
    pub fn new(net: Arc<Architecture>, theta: &[f64], inputs: Arc<Batch>) -> Self {
        let mut pass = Self { theta: theta.to_vec(), inputs, kept: Vec::with_capacity(net.stages.len()), net };
        for l in 0..pass.net.stages.len() {
            let kept = pass.advance(l);
            pass.kept.push(kept);
        }
        pass
    }

    /// Runs stage `l` on the results before it.
    fn advance(&self, l: usize) -> Kept {
        let stage = &self.net.stages[l];
        let patches = stage.gather.as_ref().map(|gather| gather.gather(self.result(l)));
        let seen = patches.as_deref().unwrap_or(self.result(l));
        let mut result = vec![0.0; stage.outputs * stage.positions * self.n()];
        multiply(view(stage.weights(&self.theta), stage.outputs), view(seen, stage.inputs), &mut result);
        let bias = stage.bias(&self.theta);
        for_blocks(stage.outputs, &mut result, |_, block| {
            add_to_columns(bias, block);
            if !stage.activation.keeps_argument() {
                stage.activation.apply(block);
            }
        });
        // The basis of the derivatives is the argument, or the value before a mask or a skip changes it.
        let changed = stage.dropout > 0.0 || stage.skip.is_some();
        let basis = (stage.activation.keeps_argument() || changed).then(|| result.clone());
        if stage.activation.keeps_argument() {
            for_blocks(stage.outputs, &mut result, |_, block| stage.activation.apply(block));
        }
        let mask = (stage.dropout > 0.0).then(|| mask(stage, self.net.seed, l, result.len()));
        if let Some(mask) = &mask {
            result.iter_mut().zip(mask).for_each(|(r, m)| *r *= m);
        }
        if let Some(from) = stage.skip {
            axpy(1.0, self.result(from), &mut result);
        }
        Kept { patches, basis, mask, result }
    }

    /// Samples.
    pub fn n(&self) -> usize {
        self.inputs.n()
    }

    /// The result of stage `l` counted from 1; the inputs for 0.
    fn result(&self, l: usize) -> &[f64] {
        if l == 0 { self.inputs.values() } else { &self.kept[l - 1].result }
    }

    /// What stage `l` saw, `inputs × (positions · n)`.
    pub fn seen(&self, l: usize) -> MatRef<'_, f64> {
        view(self.kept[l].patches.as_deref().unwrap_or(self.result(l)), self.net.stages[l].inputs)
    }

    /// The weights of stage `l`.
    pub fn weights(&self, l: usize) -> MatRef<'_, f64> {
        let stage = &self.net.stages[l];
        view(stage.weights(&self.theta), stage.outputs)
    }

    /// What the derivatives of stage `l`'s activation are computed from.
    pub fn basis(&self, l: usize) -> &[f64] {
        self.kept[l].basis.as_deref().unwrap_or(&self.kept[l].result)
    }

    /// `block ← mask ⊙ block` for the block of stage `l` that starts at entry `at`.
    pub fn times_mask(&self, l: usize, at: usize, block: &mut [f64]) {
        if let Some(mask) = &self.kept[l].mask {
            block.iter_mut().zip(&mask[at..]).for_each(|(b, m)| *b *= m);
        }
    }

    /// `block ← mask ⊙ φ′ ⊙ block`.
    pub fn times_slope(&self, l: usize, at: usize, block: &mut [f64]) {
        self.net.stages[l].activation.times_slope(&self.basis(l)[at..at + block.len()], block);
        self.times_mask(l, at, block);
    }

    /// `V P + W Ṗ` without the bias: how the argument of stage `l` changes with the parameters and with what it sees.
    pub fn argument_change(&self, l: usize, v: &[f64], seen_change: Option<&[f64]>) -> Vec<f64> {
        let stage = &self.net.stages[l];
        let seen = self.seen(l);
        let mut change = vec![0.0; stage.outputs * seen.ncols()];
        multiply(view(stage.weights(v), stage.outputs), seen, &mut change);
        if let Some(seen_change) = seen_change {
            add_multiply(self.weights(l), view(seen_change, stage.inputs), &mut change);
        }
        change
    }

    /// The change of what stage `l` sees, for a change of the result before it.
    pub fn seen_change(&self, l: usize, change: Vec<f64>) -> Vec<f64> {
        match &self.net.stages[l].gather {
            Some(gather) => gather.gather(&change),
            None => change,
        }
    }

    /// Sweeps back from output adjoints: `visit(stage, signal, masked adjoint)` for each stage from the last one; the adjoint
    /// is given where the activation's second derivative needs it.
    pub fn sweep(&self, u: &[f64], mut visit: impl FnMut(usize, Vec<f64>, Option<Vec<f64>>)) {
        let mut waiting = Waiting::new(self.net.stages.len());
        let mut adjoint = u.to_vec();
        for (l, stage) in self.net.stages.iter().enumerate().rev() {
            waiting.pass_skip(stage.skip, &adjoint);
            let kept = stage.activation.keeps_argument().then(|| {
                let mut kept = adjoint.clone();
                self.times_mask(l, 0, &mut kept);
                kept
            });
            let mut signal = adjoint;
            for_blocks(stage.outputs, &mut signal, |first, block| self.times_slope(l, first * stage.outputs, block));
            adjoint = if l > 0 { waiting.collect(l, self.before(l, &signal)) } else { Vec::new() };
            visit(l, signal, kept);
        }
    }

    /// `Wᵀ signal`, brought back to the result before stage `l`.
    pub fn before(&self, l: usize, signal: &[f64]) -> Vec<f64> {
        let stage = &self.net.stages[l];
        let mut back = vec![0.0; stage.inputs * (signal.len() / stage.outputs)];
        multiply(self.weights(l).transpose(), view(signal, stage.outputs), &mut back);
        self.scatter(l, back)
    }

    /// The adjoint of [`seen_change`](Self::seen_change).
    pub fn scatter(&self, l: usize, patches: Vec<f64>) -> Vec<f64> {
        match &self.net.stages[l].gather {
            Some(gather) => gather.scatter(&patches),
            None => patches,
        }
    }

    /// Writes `Σ signal āᵀ` of stage `l` into its place in `out`.
    pub fn write_gradient(&self, l: usize, signal: &[f64], out: &mut [f64]) {
        let stage = &self.net.stages[l];
        let (weights, bias) = stage.split_mut(out);
        multiply(view(signal, stage.outputs), self.seen(l).transpose(), weights);
        bias.fill(0.0);
        add_row_sums(signal, bias);
    }
}

/// Adjoints on their way around skipped stages.
pub(super) struct Waiting(Vec<Option<Vec<f64>>>);

impl Waiting {
    pub fn new(n_stages: usize) -> Self {
        Self(vec![None; n_stages])
    }

    /// The adjoint of a stage's result also reaches the result that its skip connection adds.
    pub fn pass_skip(&mut self, skip: Option<usize>, adjoint: &[f64]) {
        if let Some(from) = skip.filter(|from| *from > 0) {
            match &mut self.0[from] {
                Some(sum) => axpy(1.0, adjoint, sum),
                none => *none = Some(adjoint.to_vec()),
            }
        }
    }

    /// Adds what waits for the result of stage `l`, counted from 1.
    pub fn collect(&mut self, l: usize, mut adjoint: Vec<f64>) -> Vec<f64> {
        if let Some(waiting) = self.0[l].take() {
            axpy(1.0, &waiting, &mut adjoint);
        }
        adjoint
    }
}

/// Adds `bias` to each column.
pub(super) fn add_to_columns(bias: &[f64], columns: &mut [f64]) {
    for column in columns.chunks_exact_mut(bias.len()) {
        column.iter_mut().zip(bias).for_each(|(c, b)| *c += b);
    }
}

fn mask(stage: &Stage, seed: u64, l: usize, len: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(l as u64);
    let kept = 1.0 / (1.0 - stage.dropout);
    (0..len).map(|_| if rng.random::<f64>() < stage.dropout { 0.0 } else { kept }).collect()
}

impl Forward for Pass {
    fn outputs(&self) -> &[f64] {
        self.result(self.net.stages.len())
    }

    fn jacobian_product(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("direction", self.theta.len(), v.len())?;
        Error::check_len("Jacobian product", self.outputs().len(), out.len())?;
        let mut skipped: Vec<Option<Vec<f64>>> = vec![None; self.net.stages.len() + 1];
        let mut change: Option<Vec<f64>> = None;
        for (l, stage) in self.net.stages.iter().enumerate() {
            let seen_change = change.take().map(|change| self.seen_change(l, change));
            let mut next = self.argument_change(l, v, seen_change.as_deref());
            for_blocks(stage.outputs, &mut next, |first, block| {
                add_to_columns(stage.bias(v), block);
                self.times_slope(l, first * stage.outputs, block);
            });
            if let Some(change) = stage.skip.and_then(|from| skipped[from].as_ref()) {
                axpy(1.0, change, &mut next);
            }
            if self.net.is_skipped_from(l + 1) {
                skipped[l + 1] = Some(next.clone());
            }
            change = Some(next);
        }
        out.copy_from_slice(&change.unwrap_or_default());
        Ok(())
    }

    fn transposed_product(&self, u: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("output adjoints", self.outputs().len(), u.len())?;
        Error::check_len("transposed product", self.theta.len(), out.len())?;
        self.sweep(u, |l, signal, _| self.write_gradient(l, &signal, out));
        Ok(())
    }

    fn backward(self: Arc<Self>, u: &[f64]) -> Result<Arc<dyn Backward>> {
        Error::check_len("output adjoints", self.outputs().len(), u.len())?;
        Ok(Arc::new(Signals::new(self, u)))
    }
}
