//! Exact second-order products of a network: a forward and a backward sweep of directional derivatives
//! (Pearlmutter 1994, the R-operator), six matrix products a layer on cached passes.

use super::pass::{Pass, Waiting, Window, add_to_columns};
use super::signals::Signals;
use crate::linalg::buffer::Buffer;
use crate::linalg::matrix::{add_multiply, for_blocks, multiply, view};
use crate::linalg::outer::add_outer;
use crate::linalg::vector::axpy;
use std::ops::Range;

/// Directional derivatives of a forward sweep over some stages.
struct Change {
    /// Of what each stage saw; nothing for the first of all, which sees the inputs.
    seen: Vec<Option<Buffer>>,
    /// Of each stage's argument.
    argument: Vec<Buffer>,
}

/// A forward sweep of directional derivatives.
struct Ascent<'a> {
    pass: &'a Pass,
    v: &'a [f64],
    /// Of results that skip connections add.
    skipped: Vec<Option<Buffer>>,
}

impl Ascent<'_> {
    /// Takes the derivative of the result before some stages to that of the result after them.
    fn along(&mut self, window: &Window<'_>, range: Range<usize>, mut output: Option<Buffer>) -> (Change, Option<Buffer>) {
        let (pass, v) = (self.pass, self.v);
        let (mut seen, mut argument) = (Vec::with_capacity(range.len()), Vec::with_capacity(range.len()));
        for l in range {
            let stage = &pass.net.stages[l];
            let seen_change = output.take().map(|change| pass.seen_change(l, change));
            let mut z = window.argument_change(l, v, seen_change.as_deref());
            for_blocks(stage.outputs, &mut z, |_, block| add_to_columns(stage.bias(v), block));
            let mut next = z.clone();
            for_blocks(stage.outputs, &mut next, |first, block| window.times_slope(l, first * stage.outputs, block));
            if let Some(change) = stage.skip.and_then(|from| self.skipped[from].as_ref()) {
                axpy(1.0, change, &mut next);
            }
            if pass.net.is_skipped_from(l + 1) {
                self.skipped[l + 1] = Some(next.clone());
            }
            seen.push(seen_change);
            argument.push(z);
            output = Some(next);
        }
        (Change { seen, argument }, output)
    }
}

/// A product half way: the forward sweep is done, and the outputs' change is known.
pub(super) struct Halfway<'a> {
    signals: &'a Signals,
    ascent: Ascent<'a>,
    ranges: Vec<Range<usize>>,
    /// Where each range starts from, if there are several.
    starts: Vec<Option<Buffer>>,
    /// The last range, which is needed first.
    last: Option<(Window<'a>, Change)>,
    output: Buffer,
}

impl<'a> Halfway<'a> {
    pub fn new(signals: &'a Signals, v: &'a [f64]) -> Self {
        let pass = &*signals.pass;
        let ranges = pass.ranges();
        let mut ascent = Ascent { pass, v, skipped: vec![None; pass.net.stages.len() + 1] };
        let mut starts: Vec<Option<Buffer>> = Vec::with_capacity(ranges.len());
        let mut last: Option<(Window<'_>, Change)> = None;
        let mut output: Option<Buffer> = None;
        for range in &ranges {
            let before = last.take().and_then(|(window, _)| window.into_result());
            let window = pass.window(range.clone(), before);
            starts.push(if ranges.len() > 1 { output.clone() } else { None });
            let (change, next) = ascent.along(&window, range.clone(), output);
            (output, last) = (next, Some((window, change)));
        }
        Self { signals, ascent, ranges, starts, last, output: output.unwrap_or_default() }
    }

    /// `J v`.
    pub fn output(&self) -> &[f64] {
        &self.output
    }

    /// `out ← Jᵀu̇ + Σ u ∇²f v`, for the change `u̇` of the outputs' adjoints.
    pub fn finish(mut self, mut adjoint: Buffer, out: &mut [f64]) {
        let (pass, v) = (self.ascent.pass, self.ascent.v);
        let mut waiting = Waiting::new(pass.net.stages.len());
        let mut source = self.signals.source();
        for (range, start) in self.ranges.iter().zip(self.starts).rev() {
            let (window, change) = self.last.take().unwrap_or_else(|| {
                let window = pass.window(range.clone(), None);
                let change = self.ascent.along(&window, range.clone(), start).0;
                (window, change)
            });
            for l in range.clone().rev() {
                let stage = &pass.net.stages[l];
                waiting.pass_skip(stage.skip, &adjoint);
                let (signal, bent) = source.next(&window, l);
                let bent = bent.as_deref().unwrap_or(&signal);
                let (basis, dz) = (window.basis(l), &change.argument[l - range.start]);
                for_blocks(stage.outputs, &mut adjoint, |first, block| {
                    let at = first * stage.outputs;
                    let part = at..at + block.len();
                    window.times_slope(l, at, block);
                    stage.activation.add_bend(&basis[part.clone()], &dz[part.clone()], &bent[part], block);
                });
                window.write_gradient(l, &adjoint, out);
                if let Some(seen) = &change.seen[l - range.start] {
                    let weights = stage.split_mut(out).0;
                    add_outer(view(&signal, stage.outputs), view(seen, stage.inputs), weights);
                }
                if l > 0 {
                    let mut back = Buffer::new(stage.inputs * (adjoint.len() / stage.outputs));
                    multiply(pass.weights(l).transpose(), view(&adjoint, stage.outputs), &mut back);
                    add_multiply(view(stage.weights(v), stage.outputs).transpose(), view(&signal, stage.outputs), &mut back);
                    adjoint = waiting.collect(l, pass.scatter(l, back));
                }
            }
        }
    }
}
