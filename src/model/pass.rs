//! A network at one point: the forward sweep, and Jacobian products on what it kept.

use super::network::{Architecture, Checkpoints};
use super::signals::Signals;
use super::{Backward, Batch, Forward};
use crate::error::{Error, Result};
use crate::linalg::buffer::Buffer;
use crate::linalg::matrix::{add_multiply, for_blocks, multiply, view};
use crate::linalg::outer::multiply_outer;
use crate::linalg::vector::axpy;
use faer::MatRef;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;
use std::sync::Arc;

/// A forward pass.
pub(super) struct Pass {
    pub net: Arc<Architecture>,
    pub theta: Arc<[f64]>,
    inputs: Arc<Batch>,
    /// Which of the inputs it sees.
    samples: Range<usize>,
    /// Of every stage, as much as the [`Checkpoints`] say.
    kept: Vec<Trace>,
}

/// What a stage leaves behind, all `outputs × (positions · n)` except the patches.
#[derive(Default)]
struct Trace {
    /// The patches it saw, unless they are the previous result as it stands.
    patches: Option<Buffer>,
    /// What the derivatives of the activation are computed from, unless it is the result.
    basis: Option<Buffer>,
    /// Dropout: 0 or 1/(1 − p).
    mask: Option<Vec<f64>>,
    /// `None` if it must be computed again, or if the pass has it.
    result: Option<Buffer>,
}

impl Pass {
    pub fn new(net: Arc<Architecture>, theta: Arc<[f64]>, inputs: Arc<Batch>, samples: Range<usize>) -> Self {
        let mut pass = Self { theta, inputs, samples, kept: Vec::with_capacity(net.stages.len()), net };
        let mut carried: Option<Buffer> = None;
        for l in 0..pass.net.stages.len() {
            let mut trace = pass.advance(l, carried.as_deref().or(pass.result(l)).unwrap_or_default());
            carried = None;
            if pass.net.checkpoints != Checkpoints::All {
                let result = trace.result.take();
                trace = Trace::default();
                *(if pass.net.keeps_result(l + 1) { &mut trace.result } else { &mut carried }) = result;
            }
            pass.kept.push(trace);
        }
        pass
    }

    /// Runs stage `l` on the result before it.
    fn advance(&self, l: usize, before: &[f64]) -> Trace {
        let stage = &self.net.stages[l];
        let patches = stage.gather.as_ref().map(|gather| gather.gather(before).into());
        let seen = patches.as_deref().unwrap_or(before);
        let mut result = Buffer::new(stage.outputs * stage.positions * self.n());
        multiply(view(stage.weights(&self.theta), stage.outputs), view(seen, stage.inputs), &mut result);
        let bias = stage.bias(&self.theta);
        for_blocks(stage.outputs, &mut result, |_, block| {
            add_to_columns(bias, block);
            if !stage.activation.keeps_argument() {
                stage.activation.apply(block);
            }
        });
        // The basis of the derivatives is the argument, or the value before a mask or a skip changes it.
        let basis = (!stage.shows_basis()).then(|| result.clone());
        if stage.activation.keeps_argument() {
            for_blocks(stage.outputs, &mut result, |_, block| stage.activation.apply(block));
        }
        let mask = (stage.dropout > 0.0).then(|| self.mask(l));
        if let Some(mask) = &mask {
            result.iter_mut().zip(mask).for_each(|(r, m)| *r *= m);
        }
        if let Some(added) = stage.skip.and_then(|from| self.result(from)) {
            axpy(1.0, added, &mut result);
        }
        Trace { patches, basis, mask, result: Some(result) }
    }

    /// Samples.
    pub fn n(&self) -> usize {
        self.samples.len()
    }

    /// Dropout of stage `l`, as it is in the whole batch.
    fn mask(&self, l: usize) -> Vec<f64> {
        let stage = &self.net.stages[l];
        let (width, kept) = (stage.outputs * stage.positions, 1.0 / (1.0 - stage.dropout));
        let mut rng = ChaCha8Rng::seed_from_u64(self.net.seed);
        rng.set_stream(l as u64);
        // A number is two words of the stream.
        rng.set_word_pos(2 * (self.samples.start * width) as u128);
        (0..width * self.n()).map(|_| if rng.random::<f64>() < stage.dropout { 0.0 } else { kept }).collect()
    }

    /// The result of stage `l` counted from 1, if it was kept; the inputs for 0.
    fn result(&self, l: usize) -> Option<&[f64]> {
        if l > 0 {
            return self.kept[l - 1].result.as_deref();
        }
        let dim = self.inputs.dim();
        Some(&self.inputs.values()[self.samples.start * dim..self.samples.end * dim])
    }

    /// The weights of stage `l`.
    pub fn weights(&self, l: usize) -> MatRef<'_, f64> {
        let stage = &self.net.stages[l];
        view(stage.weights(&self.theta), stage.outputs)
    }

    /// The same pass with everything kept.
    pub fn keeping_all(self: &Arc<Self>) -> Arc<Self> {
        if self.net.checkpoints == Checkpoints::All {
            return self.clone();
        }
        let net = Architecture { checkpoints: Checkpoints::All, ..(*self.net).clone() };
        Arc::new(Self::new(Arc::new(net), self.theta.clone(), self.inputs.clone(), self.samples.clone()))
    }

    /// What stage `l` saw, if everything is kept.
    pub fn kept_seen(&self, l: usize) -> MatRef<'_, f64> {
        let seen = self.kept[l].patches.as_deref().or(self.result(l)).unwrap_or_default();
        view(seen, self.net.stages[l].inputs)
    }

    /// Stages that are looked at together.
    pub fn ranges(&self) -> Vec<Range<usize>> {
        let n = self.net.stages.len();
        let many = match self.net.checkpoints {
            Checkpoints::All => n,
            Checkpoints::Every(k) => k,
            Checkpoints::None => 1,
        };
        (0..n).step_by(many).map(|first| first..n.min(first + many)).collect()
    }

    /// The stages of a range with what they left behind, from the result before them or, if it is neither kept nor given, from
    /// the nearest one before it.
    pub fn window(&self, range: Range<usize>, before: Option<Buffer>) -> Window<'_> {
        let mut window = Window { pass: self, first: range.start, before, traces: Vec::new() };
        if self.net.checkpoints == Checkpoints::All {
            return window;
        }
        if window.before.is_none() && self.result(range.start).is_none() {
            let known = (0..range.start).rev().find(|l| self.result(*l).is_some()).unwrap_or(0);
            for l in known..range.start {
                window.before = self.advance(l, window.before.as_deref().or(self.result(l)).unwrap_or_default()).result;
            }
        }
        for l in range {
            let (stage, before) = (&self.net.stages[l], window.result(l));
            let trace = if self.result(l + 1).is_some() && stage.shows_basis() {
                Trace { patches: stage.gather.as_ref().map(|gather| gather.gather(before).into()), ..Trace::default() }
            } else {
                self.advance(l, before)
            };
            window.traces.push(trace);
        }
        window
    }

    /// Calls `f` for every stage from the first one.
    pub fn each(&self, mut f: impl FnMut(&Window<'_>, usize)) {
        let mut before = None;
        for range in self.ranges() {
            let window = self.window(range.clone(), before);
            range.for_each(|l| f(&window, l));
            before = window.into_result();
        }
    }

    /// Calls `f` for every stage from the last one.
    pub fn each_back(&self, mut f: impl FnMut(&Window<'_>, usize)) {
        for range in self.ranges().into_iter().rev() {
            let window = self.window(range.clone(), None);
            range.rev().for_each(|l| f(&window, l));
        }
    }

    /// Sweeps back from output adjoints: `visit(window, stage, signal, masked adjoint)` for each stage from the last one.
    pub fn sweep(&self, u: &[f64], mut visit: impl FnMut(&Window<'_>, usize, Buffer, Option<Buffer>)) {
        let mut descent = Descent::new(self, u);
        self.each_back(|window, l| {
            let (signal, adjoint) = descent.step(window, l);
            visit(window, l, signal, adjoint);
        });
    }

    /// `Wᵀ signal`, brought back to the result before stage `l`.
    fn before(&self, l: usize, signal: &[f64]) -> Buffer {
        let stage = &self.net.stages[l];
        let mut back = Buffer::new(stage.inputs * (signal.len() / stage.outputs));
        multiply(self.weights(l).transpose(), view(signal, stage.outputs), &mut back);
        self.scatter(l, back)
    }

    /// The change of what stage `l` sees, for a change of the result before it.
    pub fn seen_change(&self, l: usize, change: Buffer) -> Buffer {
        match &self.net.stages[l].gather {
            Some(gather) => gather.gather(&change).into(),
            None => change,
        }
    }

    /// The adjoint of [`seen_change`](Self::seen_change).
    pub fn scatter(&self, l: usize, patches: Buffer) -> Buffer {
        match &self.net.stages[l].gather {
            Some(gather) => gather.scatter(&patches).into(),
            None => patches,
        }
    }
}

/// Some stages of a pass with all that they left behind, kept or computed again.
pub(super) struct Window<'a> {
    pub pass: &'a Pass,
    first: usize,
    /// The result before the first stage, unless the pass has it.
    before: Option<Buffer>,
    /// Of the stages from the first on; none if the pass kept everything.
    traces: Vec<Trace>,
}

impl Window<'_> {
    fn trace(&self, l: usize) -> &Trace {
        self.traces.get(l - self.first).unwrap_or(&self.pass.kept[l])
    }

    /// The result of stage `l` counted from 1; the inputs for 0.
    fn result(&self, l: usize) -> &[f64] {
        let computed = || if l == self.first { self.before.as_deref() } else { self.trace(l - 1).result.as_deref() };
        self.pass.result(l).or_else(computed).unwrap_or_default()
    }

    /// The result of the last stage, unless the pass has it.
    pub fn into_result(mut self) -> Option<Buffer> {
        self.traces.pop().and_then(|trace| trace.result)
    }

    /// What stage `l` saw, `inputs × (positions · n)`.
    pub fn seen(&self, l: usize) -> MatRef<'_, f64> {
        view(self.trace(l).patches.as_deref().unwrap_or_else(|| self.result(l)), self.pass.net.stages[l].inputs)
    }

    /// What the derivatives of stage `l`'s activation are computed from.
    pub fn basis(&self, l: usize) -> &[f64] {
        self.trace(l).basis.as_deref().unwrap_or_else(|| self.result(l + 1))
    }

    /// `block ← mask ⊙ block` for the block of stage `l` that starts at entry `at`.
    fn times_mask(&self, l: usize, at: usize, block: &mut [f64]) {
        if let Some(mask) = &self.trace(l).mask {
            block.iter_mut().zip(&mask[at..]).for_each(|(b, m)| *b *= m);
        }
    }

    /// `block ← mask ⊙ φ′ ⊙ block`.
    pub fn times_slope(&self, l: usize, at: usize, block: &mut [f64]) {
        self.pass.net.stages[l].activation.times_slope(&self.basis(l)[at..at + block.len()], block);
        self.times_mask(l, at, block);
    }

    /// `V P + W Ṗ` without the bias: how the argument of stage `l` changes with the parameters and with what it sees.
    pub fn argument_change(&self, l: usize, v: &[f64], seen_change: Option<&[f64]>) -> Buffer {
        let stage = &self.pass.net.stages[l];
        let seen = self.seen(l);
        let mut change = Buffer::new(stage.outputs * seen.ncols());
        multiply(view(stage.weights(v), stage.outputs), seen, &mut change);
        if let Some(seen_change) = seen_change {
            add_multiply(self.pass.weights(l), view(seen_change, stage.inputs), &mut change);
        }
        change
    }

    /// Writes `Σ signal āᵀ` of stage `l` into its place in `out`.
    pub fn write_gradient(&self, l: usize, signal: &[f64], out: &mut [f64]) {
        let stage = &self.pass.net.stages[l];
        multiply_outer(view(signal, stage.outputs), self.seen(l), &mut out[stage.range()]);
    }
}

/// A sweep back from output adjoints, one stage after the other from the last one.
pub(super) struct Descent {
    waiting: Waiting,
    adjoint: Buffer,
}

impl Descent {
    pub fn new(pass: &Pass, u: &[f64]) -> Self {
        Self { waiting: Waiting::new(pass.net.stages.len()), adjoint: u.into() }
    }

    /// The signal of stage `l`, and the masked adjoint if the activation's second derivative needs it.
    pub fn step(&mut self, window: &Window<'_>, l: usize) -> (Buffer, Option<Buffer>) {
        let stage = &window.pass.net.stages[l];
        let mut signal = std::mem::take(&mut self.adjoint);
        self.waiting.pass_skip(stage.skip, &signal);
        let kept = stage.activation.keeps_argument().then(|| {
            let mut kept = signal.clone();
            window.times_mask(l, 0, &mut kept);
            kept
        });
        for_blocks(stage.outputs, &mut signal, |first, block| window.times_slope(l, first * stage.outputs, block));
        if l > 0 {
            self.adjoint = self.waiting.collect(l, window.pass.before(l, &signal));
        }
        (signal, kept)
    }
}

/// Adjoints on their way around skipped stages.
pub(super) struct Waiting(Vec<Option<Buffer>>);

impl Waiting {
    pub fn new(n_stages: usize) -> Self {
        Self(vec![None; n_stages])
    }

    /// The adjoint of a stage's result also reaches the result that its skip connection adds.
    pub fn pass_skip(&mut self, skip: Option<usize>, adjoint: &[f64]) {
        if let Some(from) = skip.filter(|from| *from > 0) {
            match &mut self.0[from] {
                Some(sum) => axpy(1.0, adjoint, sum),
                none => *none = Some(adjoint.into()),
            }
        }
    }

    /// Adds what waits for the result of stage `l`, counted from 1.
    pub fn collect(&mut self, l: usize, mut adjoint: Buffer) -> Buffer {
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

impl Forward for Pass {
    fn outputs(&self) -> &[f64] {
        self.result(self.net.stages.len()).unwrap_or_default()
    }

    fn jacobian_product(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("direction", self.theta.len(), v.len())?;
        Error::check_len("Jacobian product", self.outputs().len(), out.len())?;
        let mut skipped: Vec<Option<Buffer>> = vec![None; self.net.stages.len() + 1];
        let mut change: Option<Buffer> = None;
        self.each(|window, l| {
            let stage = &self.net.stages[l];
            let seen_change = change.take().map(|change| self.seen_change(l, change));
            let mut next = window.argument_change(l, v, seen_change.as_deref());
            for_blocks(stage.outputs, &mut next, |first, block| {
                add_to_columns(stage.bias(v), block);
                window.times_slope(l, first * stage.outputs, block);
            });
            if let Some(change) = stage.skip.and_then(|from| skipped[from].as_ref()) {
                axpy(1.0, change, &mut next);
            }
            if self.net.is_skipped_from(l + 1) {
                skipped[l + 1] = Some(next.clone());
            }
            change = Some(next);
        });
        out.copy_from_slice(&change.unwrap_or_default());
        Ok(())
    }

    fn transposed_product(&self, u: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("output adjoints", self.outputs().len(), u.len())?;
        Error::check_len("transposed product", self.theta.len(), out.len())?;
        self.sweep(u, |window, l, signal, _| window.write_gradient(l, &signal, out));
        Ok(())
    }

    fn backward(self: Arc<Self>, u: &[f64]) -> Result<Arc<dyn Backward>> {
        Error::check_len("output adjoints", self.outputs().len(), u.len())?;
        Ok(Arc::new(Signals::new(self, u)))
    }

    fn backward_once(self: Arc<Self>, u: Vec<f64>) -> Result<Arc<dyn Backward>> {
        Error::check_len("output adjoints", self.outputs().len(), u.len())?;
        Ok(Arc::new(Signals::once(self, u)))
    }
}
