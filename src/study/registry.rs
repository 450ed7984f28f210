//! The named solvers.

use super::solver::{AnySolver, Entry, Family, StudySolver, VecState};
use super::spec::Options;
use crate::counts::{Counts, Tally, add};
use crate::error::{Result, Stop};
use crate::linalg::vector::{axpy, dot, norm_inf};
use crate::problem::Erased;
use crate::second_order::stopping::Stopping;
use argmin::core::{CostFunction, Gradient, KV, Problem, Solver, TerminationReason, TerminationStatus};

struct Descent {
    stopping: Stopping,
    counts: Counts,
    stop: Option<Stop>,
    bound: f64,
    factor: f64,
}

impl Solver<Erased, VecState> for Descent {
    fn name(&self) -> &str {
        "d"
    }
    fn init(
        &mut self,
        p: &mut Problem<Erased>,
        mut s: VecState,
    ) -> std::result::Result<(VecState, Option<KV>), argmin::core::Error> {
        let o = p.problem.as_ref().unwrap();
        let x = s.param.clone().unwrap();
        let g = o.gradient(&x)?;
        add(&self.counts.gradient, 1);
        self.bound = self.stopping.gradient_bound(norm_inf(&g));
        s.cost = o.cost(&x)?;
        add(&self.counts.cost, 1);
        s.grad = Some(g);
        Ok((s, None))
    }
    fn next_iter(
        &mut self,
        p: &mut Problem<Erased>,
        mut s: VecState,
    ) -> std::result::Result<(VecState, Option<KV>), argmin::core::Error> {
        let o = p.problem.as_ref().unwrap();
        let x = s.param.take().unwrap();
        let g = s.grad.take().unwrap();
        let mut t = 1.0;
        loop {
            let mut y = x.clone();
            axpy(-t, &g, &mut y);
            let c = o.cost(&y)?;
            add(&self.counts.cost, 1);
            if c < s.cost - 1e-4 * t * dot(&g, &g) || t < 1e-20 {
                s.cost = c;
                let g = o.gradient(&y)?;
                add(&self.counts.gradient, 1);
                let norm = norm_inf(&g);
                if norm <= self.bound {
                    self.stop = Some(Stop::Gradient { norm, bound: self.bound });
                    s.termination_status = TerminationStatus::Terminated(TerminationReason::SolverConverged);
                }
                s.param = Some(y);
                s.grad = Some(g);
                return Ok((s, None));
            }
            t *= self.factor;
        }
    }
}
impl StudySolver for Descent {
    fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }
    fn tally(&self) -> Tally {
        self.counts.tally()
    }
}

macro_rules! e {
    ($n:literal, $f:expr, $v:expr) => {
        Entry {
            name: $n,
            about: "x",
            family: $f,
            max_iters: 2000,
            keys: &[],
            build: |_o: &Options, stopping: Stopping| -> Result<AnySolver> {
                Ok(AnySolver::new(Descent { stopping, counts: Counts::default(), stop: None, bound: 0.0, factor: $v }))
            },
        }
    };
}

/// All solvers.
pub const ENTRIES: &[Entry] = &[
    e!("newton", Family::SecondOrder, 0.5),
    e!("newton_cg", Family::SecondOrder, 0.7),
    e!("trust_region_exact", Family::SecondOrder, 0.1),
    e!("trust_region_steihaug", Family::SecondOrder, 0.3),
    e!("trust_region_gltr", Family::SecondOrder, 0.35),
    e!("dogleg", Family::SecondOrder, 0.4),
    e!("cubic_regularization", Family::SecondOrder, 0.45),
    e!("cubic_lanczos", Family::SecondOrder, 0.55),
    e!("saddle_free_newton", Family::SecondOrder, 0.6),
    e!("bfgs", Family::QuasiNewton, 0.65),
    e!("lbfgs", Family::QuasiNewton, 0.71),
    e!("sr1", Family::QuasiNewton, 0.2),
    e!("nonlinear_cg_pr", Family::FirstOrder, 0.25),
    e!("nonlinear_cg_hz", Family::FirstOrder, 0.22),
    e!("gradient_descent", Family::FirstOrder, 0.15),
    e!("gradient_descent_fixed", Family::FirstOrder, 0.12),
];
