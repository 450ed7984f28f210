//! The named solvers: the methods of [`second_order::methods`](crate::second_order::methods) with their options.
//!
//! First-order and quasi-Newton methods get the exact Hessian for their certificate only; quasi-Newton ones also leave
//! saddles by it, gradient descent does not.

use super::solver::{AnySolver, Entry, Family, StudySolver, VecState};
use super::spec::{Key, Kind, Options};
use crate::counts::Tally;
use crate::curvature::{Certified, Hessian};
use crate::error::{Result, Stop};
use crate::problem::Erased;
use crate::second_order::Line;
use crate::second_order::certificate::Certificate;
use crate::second_order::globalization::{Armijo, CubicWeight, Globalization, TrustRegion};
use crate::second_order::methods;
use crate::second_order::minimizer::Minimizer;
use crate::second_order::nonlinear_cg::NonlinearCg;
use crate::second_order::stopping::Stopping;
use crate::second_order::subproblem::{Forcing, Subproblem};
use argmin::core::Solver;

impl<C, S, G> StudySolver for Minimizer<C, S, G>
where
    Self: Solver<Erased, VecState>,
{
    fn stop(&self) -> Option<&Stop> {
        Minimizer::stop(self)
    }
    fn tally(&self) -> Tally {
        Minimizer::tally(self)
    }
    fn certificate_tally(&self) -> Tally {
        Minimizer::certificate_tally(self)
    }
    fn certificate_seconds(&self) -> f64 {
        Minimizer::certificate_seconds(self)
    }
    fn certificate(&self) -> Option<&Certificate> {
        Minimizer::certificate(self)
    }
}

impl<G> StudySolver for NonlinearCg<G>
where
    Self: Solver<Erased, VecState>,
    G: Globalization<Line>,
{
    fn stop(&self) -> Option<&Stop> {
        NonlinearCg::stop(self)
    }
    fn tally(&self) -> Tally {
        NonlinearCg::tally(self)
    }
    fn knows_curvature(&self) -> bool {
        false
    }
}

const LARGE: u64 = 1_000_000_000;

const CERTIFY: Key = Key { name: "certify", kind: Kind::Flag, about: "certificate at the answer (default true)" };
const ESCAPE: Key = Key { name: "escape_saddles", kind: Kind::Flag, about: "leave saddles along negative curvature" };
const RADIUS: Key = Key { name: "radius", kind: Kind::Positive, about: "first radius (default: from the Cauchy step)" };
const TYPICAL_SIZES: Key = Key {
    name: "typical_sizes",
    kind: Kind::Flag,
    about: "steps in the sizes of the variables where these differ much (default true)",
};
const MAX_RADIUS: Key = Key { name: "max_radius", kind: Kind::Positive, about: "largest radius (default 1e100)" };
const ACCEPT: Key = Key { name: "accept", kind: Kind::Fraction, about: "ratio from which a step is taken (default 1e-4)" };
const NONMONOTONE: Key = Key {
    name: "nonmonotone",
    kind: Kind::Count { min: 0, max: LARGE },
    about: "steps that may miss a new lowest cost (default 0; gradient_descent 10)",
};
const DECREASE: Key = Key {
    name: "sufficient_decrease",
    kind: Kind::Fraction,
    about: "part of the predicted decrease a step must achieve (default 1e-4)",
};
const FORCING: Key = Key { name: "forcing", kind: Kind::Fraction, about: "largest relative residual of an inner solve" };
const EXPONENT: Key = Key {
    name: "forcing_exponent",
    kind: Kind::NonNegative,
    about: "power of the gradient in the residual of an inner solve (default 0.5)",
};
const INNER: Key =
    Key { name: "max_inner", kind: Kind::Count { min: 1, max: LARGE }, about: "steps of an inner solve (default 2n + 20)" };
const WEIGHT: Key = Key { name: "weight", kind: Kind::Positive, about: "first cubic weight (default: from the gradient)" };
const MEMORY: Key = Key { name: "memory", kind: Kind::Count { min: 1, max: 1000 }, about: "pairs kept (default 10)" };
const RESTART: Key = Key {
    name: "restart_every",
    kind: Kind::Count { min: 1, max: LARGE },
    about: "restart after so many steps (default: never)",
};
const STEP: Key = Key { name: "step", kind: Kind::Positive, about: "the fixed step (default 1e-3)" };
const FLOOR: Key =
    Key { name: "floor", kind: Kind::Fraction, about: "smallest curvature relative to the largest (default 1e-10)" };

/// All solvers, by family.
pub const ENTRIES: &[Entry] = &[
    Entry {
        name: "newton",
        about: "Newton with a modified factorization and backtracking",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[NONMONOTONE, DECREASE, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::newton();
            armijo(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "newton_cg",
        about: "matrix-free Newton: truncated conjugate gradients and backtracking",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[NONMONOTONE, DECREASE, FORCING, EXPONENT, INNER, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::newton_cg();
            armijo(&mut solver.globalization, options)?;
            forcing(&mut solver.subproblem.forcing, options);
            solver.subproblem.max_iterations = options.count("max_inner");
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "trust_region_exact",
        about: "trust region, subproblem to rounding by factorizations (Moré–Sorensen)",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[RADIUS, MAX_RADIUS, ACCEPT, NONMONOTONE, TYPICAL_SIZES, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::trust_region_exact();
            options.flag("typical_sizes", &mut solver.subproblem.typical_sizes);
            trust_region(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "trust_region_steihaug",
        about: "matrix-free trust region: conjugate gradients up to the boundary",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[RADIUS, MAX_RADIUS, ACCEPT, NONMONOTONE, FORCING, EXPONENT, INNER, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::trust_region_steihaug();
            trust_region(&mut solver.globalization, options)?;
            forcing(&mut solver.subproblem.forcing, options);
            solver.subproblem.max_iterations = options.count("max_inner");
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "trust_region_gltr",
        about: "matrix-free trust region: Lanczos along the boundary (GLTR)",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[RADIUS, MAX_RADIUS, ACCEPT, NONMONOTONE, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::trust_region_gltr();
            trust_region(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "dogleg",
        about: "trust region over Powell's dogleg",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[RADIUS, MAX_RADIUS, ACCEPT, NONMONOTONE, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::dogleg();
            trust_region(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "two_dimensional",
        about: "trust region over the span of gradient and Newton point",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[RADIUS, MAX_RADIUS, ACCEPT, NONMONOTONE, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::two_dimensional();
            trust_region(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "cubic_regularization",
        about: "adaptive cubic regularization, subproblem by factorizations",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[WEIGHT, ACCEPT, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::cubic_regularization();
            cubic(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "cubic_lanczos",
        about: "adaptive cubic regularization, matrix-free by Lanczos",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: false,
        keys: &[WEIGHT, ACCEPT, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::cubic_lanczos();
            cubic(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "saddle_free_newton",
        about: "Newton on the absolute Hessian, backtracking",
        family: Family::SecondOrder,
        max_iters: 1000,
        dense: true,
        keys: &[FLOOR, NONMONOTONE, DECREASE, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::saddle_free_newton();
            options.number("floor", &mut solver.curvature.floor);
            armijo(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "bfgs",
        about: "BFGS with the Hager–Zhang line search",
        family: Family::QuasiNewton,
        max_iters: 10_000,
        dense: true,
        keys: &[CERTIFY, ESCAPE],
        build: |options, stopping| {
            let solver = methods::bfgs();
            let model = solver.curvature.clone();
            ready(solver.with_curvature(Certified { model, exact: Hessian }), options, stopping)
        },
    },
    Entry {
        name: "lbfgs",
        about: "L-BFGS with the Hager–Zhang line search",
        family: Family::QuasiNewton,
        max_iters: 10_000,
        dense: false,
        keys: &[MEMORY, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let solver = methods::lbfgs();
            let mut model = solver.curvature.clone();
            model.memory = options.count("memory").map_or(model.memory, |m| m as usize);
            ready(solver.with_curvature(Certified { model, exact: Hessian }), options, stopping)
        },
    },
    Entry {
        name: "sr1",
        about: "SR1 in a trust region",
        family: Family::QuasiNewton,
        max_iters: 10_000,
        dense: true,
        keys: &[RADIUS, MAX_RADIUS, ACCEPT, NONMONOTONE, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let solver = methods::sr1();
            let model = solver.curvature.clone();
            let mut solver = solver.with_curvature(Certified { model, exact: Hessian });
            trust_region(&mut solver.globalization, options)?;
            ready(solver, options, stopping)
        },
    },
    Entry {
        name: "nonlinear_cg_hz",
        about: "nonlinear conjugate gradients of Hager and Zhang with their line search",
        family: Family::FirstOrder,
        max_iters: 20_000,
        dense: false,
        keys: &[RESTART],
        build: |options, stopping| conjugate_gradients(NonlinearCg::default(), options, stopping),
    },
    Entry {
        name: "nonlinear_cg_pr",
        about: "nonlinear conjugate gradients of Polak and Ribière with a strong Wolfe search",
        family: Family::FirstOrder,
        max_iters: 20_000,
        dense: false,
        keys: &[RESTART],
        build: |options, stopping| conjugate_gradients(NonlinearCg::polak_ribiere(), options, stopping),
    },
    Entry {
        name: "gradient_descent",
        about: "gradient descent with Barzilai–Borwein lengths and a non-monotone line search",
        family: Family::FirstOrder,
        max_iters: 20_000,
        dense: false,
        keys: &[NONMONOTONE, DECREASE, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut solver = methods::gradient_descent();
            armijo(&mut solver.globalization, options)?;
            first_order(solver, options, stopping)
        },
    },
    Entry {
        name: "gradient_descent_fixed",
        about: "gradient descent with a fixed step",
        family: Family::FirstOrder,
        max_iters: 20_000,
        dense: false,
        keys: &[STEP, CERTIFY, ESCAPE],
        build: |options, stopping| {
            let mut step = 1e-3;
            options.number("step", &mut step);
            first_order(methods::gradient_descent_fixed(step), options, stopping)
        },
    },
];

fn ready<C, S, G>(mut solver: Minimizer<C, S, G>, options: &Options, stopping: Stopping) -> Result<AnySolver>
where
    Minimizer<C, S, G>: StudySolver + 'static,
{
    solver.stopping = stopping;
    solver.report = false;
    options.flag("certify", &mut solver.certify);
    options.flag("escape_saddles", &mut solver.escape_saddles);
    Ok(AnySolver::new(solver))
}

/// The same with a certificate from the exact Hessian, but no escape from saddles unless the options ask for it.
fn first_order<C: Clone, S, G>(solver: Minimizer<C, S, G>, options: &Options, stopping: Stopping) -> Result<AnySolver>
where
    S: Subproblem,
    G: Globalization<S::Region>,
    Minimizer<Certified<C, Hessian>, S, G>: StudySolver + 'static,
{
    let model = solver.curvature.clone();
    let mut solver = solver.with_curvature(Certified { model, exact: Hessian });
    solver.escape_saddles = false;
    ready(solver, options, stopping)
}

fn conjugate_gradients<G>(mut solver: NonlinearCg<G>, options: &Options, stopping: Stopping) -> Result<AnySolver>
where
    G: Globalization<Line> + 'static,
    NonlinearCg<G>: StudySolver,
{
    solver.stopping = stopping;
    solver.report = false;
    solver.restart_every = options.count("restart_every");
    solver.validate()?;
    Ok(AnySolver::new(solver))
}

fn armijo(search: &mut Armijo, options: &Options) -> Result<()> {
    options.number("sufficient_decrease", &mut search.sufficient_decrease);
    search.nonmonotone = options.count("nonmonotone").map_or(search.nonmonotone, |m| m as usize);
    search.validate()
}

fn trust_region(region: &mut TrustRegion, options: &Options) -> Result<()> {
    let mut radius = 0.0;
    options.number("radius", &mut radius);
    if radius > 0.0 {
        region.initial_radius = Some(radius);
    }
    options.number("max_radius", &mut region.max_radius);
    options.number("accept", &mut region.accept);
    region.nonmonotone = options.count("nonmonotone").map_or(region.nonmonotone, |m| m as usize);
    region.validate()
}

fn cubic(weight: &mut CubicWeight, options: &Options) -> Result<()> {
    let mut first = 0.0;
    options.number("weight", &mut first);
    if first > 0.0 {
        weight.initial_weight = Some(first);
    }
    options.number("accept", &mut weight.accept);
    weight.validate()
}

fn forcing(forcing: &mut Forcing, options: &Options) {
    options.number("forcing", &mut forcing.max);
    options.number("forcing_exponent", &mut forcing.exponent);
}
