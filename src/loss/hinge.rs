//! The multiclass hinge of Crammer & Singer (2001): `max(0, 1 + max_{j ≠ y} z_j − z_y)`. It is piecewise linear: its Hessian
//! is zero, and it is not a likelihood.

use super::{Loss, Outcome, check_targets};
use crate::error::{Error, Result};
use crate::model::Batch;

/// `max(0, 1 + max_{j ≠ y} z_j − z_y)` for class labels `y`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MulticlassHinge;

/// The strongest other class and by how much the margin is missed.
fn rival(z: &[f64], label: usize) -> (usize, f64) {
    let (mut best, mut value) = (label, f64::NEG_INFINITY);
    for (j, z) in z.iter().enumerate().filter(|(j, _)| *j != label) {
        if *z > value || best == label {
            (best, value) = (j, *z);
        }
    }
    (best, 1.0 + value - z[label])
}

impl Loss for MulticlassHinge {
    fn check(&self, targets: &Batch, c: usize) -> Result<()> {
        Error::check_option(c > 1, "outputs of a multiclass hinge", "at least two", c)?;
        Error::check_len("targets per sample", 1, targets.dim())?;
        let label = |y: f64| y >= 0.0 && y.fract() == 0.0 && y < c as f64;
        check_targets(targets, "a class label below the number of outputs", label)
    }
    fn value(&self, at: &Outcome<'_>) -> f64 {
        let missed = at.samples().map(|(z, y)| rival(z, y[0] as usize).1);
        missed.map(|missed| if missed < 0.0 { 0.0 } else { missed }).sum()
    }
    fn gradient(&self, at: &Outcome<'_>, out: &mut [f64]) {
        out.fill(0.0);
        for ((z, y), out) in at.samples().zip(out.chunks_exact_mut(at.n_outputs)) {
            let label = y[0] as usize;
            let (other, missed) = rival(z, label);
            if missed > 0.0 {
                (out[other], out[label]) = (1.0, -1.0);
            }
        }
    }
    fn hessian_product(&self, _: &Outcome<'_>, _: &[f64], out: &mut [f64]) {
        out.fill(0.0);
    }
    fn n_roots(&self, _: usize) -> usize {
        0
    }
    fn root(&self, _: &Outcome<'_>, _: usize, out: &mut [f64]) {
        out.fill(0.0);
    }
}
