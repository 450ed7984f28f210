//! Exact second-order products of a network: a forward and a backward sweep of directional derivatives
//! (Pearlmutter 1994, the R-operator), six matrix products a layer on cached passes.

use super::Turn;
use super::pass::{Pass, Waiting, add_to_columns};
use super::signals::Signals;
use crate::error::Result;
use crate::linalg::matrix::{add_multiply, add_row_sums, for_blocks, multiply, view};
use crate::linalg::vector::axpy;

/// Directional derivatives of a forward sweep.
struct Change {
    /// Of what each stage saw; nothing for the first, which sees the inputs.
    seen: Vec<Option<Vec<f64>>>,
    /// Of each stage's argument.
    argument: Vec<Vec<f64>>,
    /// Of the outputs.
    output: Vec<f64>,
}

impl Change {
    fn along(pass: &Pass, v: &[f64]) -> Self {
        let n = pass.net.stages.len();
        let mut skipped: Vec<Option<Vec<f64>>> = vec![None; n + 1];
        let (mut seen, mut argument) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut output: Option<Vec<f64>> = None;
        for (l, stage) in pass.net.stages.iter().enumerate() {
            let seen_change = output.take().map(|change| pass.seen_change(l, change));
            let mut z = pass.argument_change(l, v, seen_change.as_deref());
            for_blocks(stage.outputs, &mut z, |_, block| add_to_columns(stage.bias(v), block));
            let mut next = z.clone();
            for_blocks(stage.outputs, &mut next, |first, block| pass.times_slope(l, first * stage.outputs, block));
            if let Some(change) = stage.skip.and_then(|from| skipped[from].as_ref()) {
                axpy(1.0, change, &mut next);
            }
            if pass.net.is_skipped_from(l + 1) {
                skipped[l + 1] = Some(next.clone());
            }
            seen.push(seen_change);
            argument.push(z);
            output = Some(next);
        }
        Self { seen, argument, output: output.unwrap_or_default() }
    }
}

/// `out ← Jᵀu̇ + Σ u ∇²f v`.
pub(super) fn product(signals: &Signals, v: &[f64], turn: &mut Turn<'_>, out: &mut [f64]) -> Result<()> {
    let pass = &*signals.pass;
    let change = Change::along(pass, v);
    let mut adjoint = vec![0.0; change.output.len()];
    turn(&change.output, &mut adjoint)?;
    let mut waiting = Waiting::new(pass.net.stages.len());
    for (l, stage) in pass.net.stages.iter().enumerate().rev() {
        waiting.pass_skip(stage.skip, &adjoint);
        let (signal, basis, dz) = (&signals.signals[l], pass.basis(l), &change.argument[l]);
        let bent = signals.adjoints[l].as_ref().unwrap_or(signal);
        for_blocks(stage.outputs, &mut adjoint, |first, block| {
            let at = first * stage.outputs;
            let part = at..at + block.len();
            pass.times_slope(l, at, block);
            stage.activation.add_bend(&basis[part.clone()], &dz[part.clone()], &bent[part], block);
        });
        let (weights, bias) = stage.split_mut(out);
        multiply(view(&adjoint, stage.outputs), pass.seen(l).transpose(), weights);
        if let Some(seen) = &change.seen[l] {
            add_multiply(view(signal, stage.outputs), view(seen, stage.inputs).transpose(), weights);
        }
        bias.fill(0.0);
        add_row_sums(&adjoint, bias);
        if l > 0 {
            let mut back = vec![0.0; stage.inputs * (adjoint.len() / stage.outputs)];
            multiply(pass.weights(l).transpose(), view(&adjoint, stage.outputs), &mut back);
            add_multiply(view(stage.weights(v), stage.outputs).transpose(), view(signal, stage.outputs), &mut back);
            adjoint = waiting.collect(l, pass.scatter(l, back));
        }
    }
    Ok(())
}
