//! Steps of any subproblem within bounds: the binding variables are held, and what a step would carry beyond a bound is put
//! on it.
//!
//! 1. Variables at a bound that the gradient pushes them against are held; the subproblem sees the model of the others.
//! 2. If its step stays inside, that is the step.
//! 3. Otherwise the variables that would leave are put on their bounds, and the subproblem is solved again for the rest,
//!    with the model shifted to there; at most `n` times. So a step reaches every bound it is heading for at once.
//! 4. The projected gradient path, searched for sufficient decrease of the model, is the safeguard: the better of the two
//!    is taken. It is what global convergence and the identification of the active bounds rest on.
//! 5. Where that path would win, since the bounds were put on variables that were not to stay there, the step is followed from
//!    bound to bound instead: up to the first, where that variable is held and the subproblem solved again, and so on. This
//!    never raises a convex model.
//!
//! # Reference
//! Bertsekas (1982), SIAM J. Control Optim. 20(2) (binding variables); Moré & Toraldo (1991), SIAM J. Optim. 1(1), and Lin
//! & Moré (1999), SIAM J. Optim. 9(4) (projected Cauchy step, identification).

use super::Region;
use super::subproblem::{Model, Step, Subproblem};
use crate::error::Result;
use crate::linalg::operator::{Masked, write_diagonal};
use crate::linalg::vector::{add_scaled, dot, norm};
use crate::linalg::{Form, Operator, SymmetricOperator};
use crate::problem::Bounds;

/// Part of `−gᵀp` by which a projected Cauchy step must lower the model.
const SUFFICIENT: f64 = 0.1;
/// Factor by which the projected path is shortened.
const SHORTER: f64 = 0.25;
/// Bounds that a step is followed along.
const MAX_BOUNDS: usize = 30;
/// Points of the projected path that are looked at.
const MAX_CAUCHY: usize = 40;

/// The model at one point with its binding variables held.
pub(super) struct Face<'a> {
    bounds: &'a Bounds,
    full: &'a Model<'a>,
    binding: Vec<bool>,
    gradient: Vec<f64>,
    operator: Inside<'a>,
}

/// What a search remembers of the subproblem it has borrowed.
#[derive(Default)]
pub(super) struct Use {
    /// The subproblem was last prepared for another model than that of the face.
    displaced: bool,
    /// Factorizations before it was.
    pub(super) factorizations: u64,
}

/// A masked operator whose second directional derivative is only taken along steps that stay inside.
struct Inside<'a> {
    masked: Masked<'a>,
    bounds: &'a Bounds,
    x: &'a [f64],
    bends: bool,
}

impl SymmetricOperator for Inside<'_> {
    fn dim(&self) -> usize {
        self.masked.dim()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.masked.apply(v, out)
    }
    fn form(&self) -> Form<'_> {
        self.masked.form()
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        self.masked.inverse(damping)
    }
    fn bend(&self, v: &[f64], out: &mut [f64]) -> Option<Result<()>> {
        // The derivative is a difference of residuals between x and x + v, where they may have no value outside.
        (self.bends && within(self.bounds, self.x, v)).then(|| self.masked.bend(v, out)).flatten()
    }
}

/// Writes the step for `size` into `p` and where it leads into `trial`: the subproblem's own, or its feasible one on a face.
pub(super) fn propose<S: Subproblem>(
    subproblem: &mut S,
    model: &Model<'_>,
    face: Option<&Face<'_>>,
    used: &mut Use,
    size: f64,
    p: &mut [f64],
    trial: &mut [f64],
) -> Result<Step> {
    let Some(face) = face else {
        let step = subproblem.step(model, size, p)?;
        add_scaled(model.x, 1.0, p, trial);
        return Ok(step);
    };
    let step = face.step(subproblem, model, used, size, p)?;
    place(face.bounds, model.x, p, trial);
    Ok(step)
}

/// The variables at a bound that the gradient pushes them against.
pub(super) fn binding(bounds: &Bounds, x: &[f64], gradient: &[f64]) -> Vec<bool> {
    x.iter().zip(gradient).enumerate().map(|(i, (x, g))| bounds.binds(i, *x, *g)).collect()
}

/// Whether `x + p` is feasible.
fn within(bounds: &Bounds, x: &[f64], p: &[f64]) -> bool {
    x.iter().zip(p).enumerate().all(|(i, (x, p))| bounds.nearest(i, x + p) == x + p)
}

/// `out ← x + p`, exactly on a bound where `p` leads there and never beyond one.
pub(super) fn place(bounds: &Bounds, x: &[f64], p: &[f64], out: &mut [f64]) {
    for (i, (o, (x, p))) in out.iter_mut().zip(x.iter().zip(p)).enumerate() {
        let (lower, upper) = (bounds.lower()[i], bounds.upper()[i]);
        *o = if *p == lower - x {
            lower
        } else if *p == upper - x {
            upper
        } else {
            bounds.nearest(i, x + p)
        };
    }
}

impl<'a> Face<'a> {
    pub(super) fn new(bounds: &'a Bounds, full: &'a Model<'a>) -> Result<Self> {
        let binding = binding(bounds, full.x, full.gradient);
        let nothing = vec![0.0; full.x.len()];
        let masked = Masked::new(full.curvature, &binding, &nothing)?;
        let operator = Inside { masked, bounds, x: full.x, bends: true };
        Ok(Self { bounds, full, gradient: free(full.gradient, &binding), binding, operator })
    }

    /// What the subproblem is prepared for.
    pub(super) fn model(&self) -> Model<'_> {
        Model { value: self.full.value, x: self.full.x, gradient: &self.gradient, curvature: &self.operator }
    }

    /// `x` without its binding variables, whose scale is not known.
    pub(super) fn free_point(&self) -> Vec<f64> {
        free(self.full.x, &self.binding)
    }

    /// The feasible step for `size`; `model` is [`model`](Self::model).
    pub(super) fn step<S: Subproblem>(
        &self,
        subproblem: &mut S,
        model: &Model<'_>,
        state: &mut Use,
        size: f64,
        p: &mut [f64],
    ) -> Result<Step> {
        if std::mem::take(&mut state.displaced) {
            state.factorizations += subproblem.factorizations();
            subproblem.prepare(model)?;
        }
        let proposed = subproblem.step(model, size, p)?;
        if within(self.bounds, self.full.x, p) || !proposed.length.is_finite() {
            return Ok(proposed);
        }
        let unbounded = p.to_vec();
        let cauchy = self.cauchy(subproblem, size, proposed.length)?;
        let mut inner = proposed.inner;
        self.clamp(subproblem, state, size, p, &mut inner)?;
        let mut numbers = self.numbers(subproblem, size, p)?;
        let Some(cauchy) = cauchy else { return Ok(Step { inner, ..numbers.0 }) };
        let fallback = self.numbers(subproblem, size, &cauchy)?;
        // A line search needs descent as well. Written so that NaN loses.
        let wins = |numbers: &(Step, f64)| numbers.0.predicted >= fallback.0.predicted && numbers.1 < 0.0;
        if !wins(&numbers) {
            p.copy_from_slice(&unbounded);
            self.follow(subproblem, state, size, p, &mut inner)?;
            numbers = self.numbers(subproblem, size, p)?;
        }
        if !wins(&numbers) {
            p.copy_from_slice(&cauchy);
            numbers = fallback;
        }
        Ok(Step { inner, ..numbers.0 })
    }

    /// Puts what leaves on its bound and solves again for the rest, until nothing leaves.
    fn clamp<S: Subproblem>(&self, subproblem: &mut S, state: &mut Use, size: f64, p: &mut [f64], inner: &mut u64) -> Result<()> {
        let x = self.full.x;
        let mut held = self.binding.clone();
        let mut moved = vec![0.0; p.len()];
        loop {
            let mut any = false;
            for i in (0..p.len()).filter(|&i| !held[i]).collect::<Vec<_>>() {
                let nearest = self.bounds.nearest(i, x[i] + p[i]);
                if nearest != x[i] + p[i] {
                    (held[i], moved[i], any) = (true, nearest - x[i], true);
                }
            }
            if !any {
                return Ok(());
            }
            *inner += self.solve_rest(subproblem, state, size, &held, &moved, p)?;
        }
    }

    /// Goes towards `p` up to the first bound, holds that variable there, goes on towards the step of the others, and so on;
    /// `p` becomes where this ends.
    fn follow<S: Subproblem>(
        &self,
        subproblem: &mut S,
        state: &mut Use,
        size: f64,
        p: &mut [f64],
        inner: &mut u64,
    ) -> Result<()> {
        let x = self.full.x;
        let mut held = self.binding.clone();
        let mut here = vec![0.0; p.len()];
        for _ in 0..MAX_BOUNDS {
            let mut first: Option<(usize, f64, f64)> = None;
            for i in (0..p.len()).filter(|&i| !held[i]) {
                let end = self.bounds.nearest(i, x[i] + p[i]) - x[i];
                if x[i] + p[i] == x[i] + end {
                    continue;
                }
                let part = ((end - here[i]) / (p[i] - here[i])).clamp(0.0, 1.0);
                if first.is_none_or(|(_, least, _)| part < least) {
                    first = Some((i, part, end));
                }
            }
            let Some((blocking, part, end)) = first else { return Ok(()) };
            here.iter_mut().zip(p.iter()).for_each(|(here, p)| *here += part * (p - *here));
            (held[blocking], here[blocking]) = (true, end);
            let moved: Vec<f64> = here.iter().zip(&held).map(|(here, held)| if *held { *here } else { 0.0 }).collect();
            *inner += self.solve_rest(subproblem, state, size, &held, &moved, p)?;
        }
        // Still on the way: what was reached is feasible.
        p.copy_from_slice(&here);
        Ok(())
    }

    /// The step whose `held` variables have `moved`, and the others follow the subproblem; returns its inner iterations.
    fn solve_rest<S: Subproblem>(
        &self,
        subproblem: &mut S,
        state: &mut Use,
        size: f64,
        held: &[bool],
        moved: &[f64],
        p: &mut [f64],
    ) -> Result<u64> {
        p.fill(0.0);
        let mut inner = 0;
        let left = S::Region::remaining(size, length(subproblem, moved));
        if held.contains(&false) && left > 0.0 {
            let mut gradient = vec![0.0; p.len()];
            self.full.curvature.apply(moved, &mut gradient)?;
            gradient.iter_mut().zip(self.full.gradient).for_each(|(b, g)| *b += g);
            let gradient = free(&gradient, held);
            let masked = Masked::new(self.full.curvature, held, moved)?;
            let operator = Inside { masked, bounds: self.bounds, x: self.full.x, bends: false };
            let rest = Model { gradient: &gradient, curvature: &operator, ..*self.full };
            state.factorizations += subproblem.factorizations();
            state.displaced = true;
            subproblem.prepare(&rest)?;
            inner = subproblem.step(&rest, left, p)?.inner;
        }
        p.iter_mut().zip(held).zip(moved).filter(|((_, held), _)| **held).for_each(|((p, _), moved)| *p = *moved);
        Ok(inner)
    }

    /// A point of the projected gradient path, no longer than `reach`, that lowers the model sufficiently.
    fn cauchy<S: Subproblem>(&self, subproblem: &S, size: f64, reach: f64) -> Result<Option<Vec<f64>>> {
        let (x, g) = (self.full.x, &self.gradient);
        // In variables scaled by the columns of J the path does not depend on their units.
        let mut weights = vec![0.0; g.len()];
        let scaled = matches!(self.full.curvature.form(), Form::Gram(_)) && write_diagonal(self.full.curvature, &mut weights);
        let weigh = |w: f64| if scaled && w > 0.0 && w.is_finite() { w } else { 1.0 };
        let direction: Vec<f64> = g.iter().zip(&weights).map(|(g, w)| -g / weigh(*w)).collect();
        let mut t = reach / length(subproblem, &direction);
        let mut p = vec![0.0; g.len()];
        for _ in 0..MAX_CAUCHY {
            for (i, p) in p.iter_mut().enumerate() {
                *p = self.bounds.nearest(i, x[i] + t * direction[i]) - x[i];
            }
            let (step, slope) = self.numbers(subproblem, size, &p)?;
            if step.predicted >= -SUFFICIENT * slope && step.predicted > 0.0 {
                return Ok(Some(p));
            }
            t *= SHORTER;
        }
        Ok(None)
    }

    /// What the full model says of a step, and `gᵀp`.
    fn numbers<S: Subproblem>(&self, subproblem: &S, size: f64, p: &[f64]) -> Result<(Step, f64)> {
        let mut product = vec![0.0; p.len()];
        self.full.curvature.apply(p, &mut product)?;
        let length = length(subproblem, p);
        let slope = dot(self.full.gradient, p);
        let predicted = -slope - 0.5 * dot(p, &product) - S::Region::penalty(size, length);
        Ok((Step { predicted, slope: S::Region::slope(slope, predicted, size), length, inner: 0 }, slope))
    }
}

fn free(v: &[f64], held: &[bool]) -> Vec<f64> {
    v.iter().zip(held).map(|(v, held)| if *held { 0.0 } else { *v }).collect()
}

/// `‖p‖` as the region of the subproblem measures it.
fn length<S: Subproblem>(subproblem: &S, p: &[f64]) -> f64 {
    subproblem.scaled_norm(p).unwrap_or_else(|| norm(p))
}
