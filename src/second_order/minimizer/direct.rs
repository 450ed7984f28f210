//! A run in one call, without argmin's executor.

use super::Minimizer;
use crate::curvature::Curvature;
use crate::error::{Result, Stop};
use crate::problem::Objective;
use crate::second_order::globalization::Globalization;
use crate::second_order::state::is_best;
use crate::second_order::subproblem::Subproblem;

/// Where a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution<P> {
    /// The answer: the point that met the gradient test, else the best one.
    pub x: P,
    /// Its cost.
    pub cost: f64,
    /// Iterations as argmin counts them: accepted steps, and the last search if it found none.
    pub iterations: u64,
    /// Why the run ended.
    pub stop: Stop,
}

impl<C, S, G> Minimizer<C, S, G>
where
    S: Subproblem,
    G: Globalization<S::Region>,
{
    /// Minimizes from `start` in at most `max_iters` iterations.
    ///
    /// These are the iterations that argmin's executor would make, to the bit, without its observers, checkpoints, timeouts
    /// and key-values: the short way where none of them is wanted, and the fast one for small problems. Counts and
    /// certificate are read from the minimizer afterwards.
    ///
    /// # Errors
    /// Options out of range, a start where the problem has no finite value or gradient. Once the run has begun an error of
    /// the problem ends it with [`Stop::Failed`] and the best point.
    ///
    /// # Example
    /// ```
    /// use curvkit::second_order::{certificate::PointKind, methods};
    /// let problem = curvkit::testbed::problem("rosenbrock", None)?.erased();
    /// let mut solver = methods::trust_region_exact();
    /// let solution = solver.minimize(&problem, vec![-1.2, 1.0], 100)?;
    /// assert!((solution.x[0] - 1.0).abs() < 1e-8 && solution.stop.converged());
    /// assert!(solver.certificate().is_some_and(|c| c.verdict == PointKind::Minimum));
    /// # Ok::<(), curvkit::Error>(())
    /// ```
    pub fn minimize<O>(&mut self, problem: &O, start: O::Point, max_iters: u64) -> Result<Solution<O::Point>>
    where
        O: Objective,
        C: Curvature<O>,
    {
        let mut here = self.begin(problem, start)?;
        // The best point, where it is not the last one, and a buffer.
        let (mut best, mut spare): (Option<(O::Point, f64)>, Option<O::Point>) = (None, None);
        let mut iterations = 0;
        let stop = loop {
            if iterations >= max_iters {
                break Stop::Iterations { count: iterations, bound: max_iters };
            }
            let lowest = best.as_ref().map(|(x, cost)| (x, *cost));
            let (there, _, stop) = self.advance(problem, &here, spare.take(), lowest);
            iterations += 1;
            if let Some(there) = there {
                let before = std::mem::replace(&mut here, there);
                let lowest = best.as_ref().map_or(before.cost, |(_, cost)| *cost);
                if is_best(here.cost, lowest) {
                    (best, spare) = (None, Some(before.x));
                } else if best.is_none() {
                    best = Some((before.x, before.cost));
                } else {
                    spare = Some(before.x);
                }
            }
            if let Some(stop) = stop {
                break stop;
            }
        };
        let (x, cost) = match best {
            Some((x, cost)) if !stop.speaks_of_a_point() => (x, cost),
            _ => (here.x, here.cost),
        };
        self.run.stop = Some(stop.clone());
        Ok(Solution { x, cost, iterations, stop })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curvature::{GaussNewton, HessianProducts, Preconditioned};
    use crate::error::Error;
    use crate::linalg::preconditioner::QuasiNewton;
    use crate::problem::LeastSquares;
    use crate::second_order::globalization::Armijo;
    use crate::second_order::methods;
    use crate::second_order::minimizer::State;
    use crate::testbed;
    use argmin::core::{Error as ArgminError, Executor};

    /// Runs both ways, and compares everything that can be.
    fn both<C, S, G>(name: &str, solver: Minimizer<C, S, G>, max_iters: u64)
    where
        Minimizer<C, S, G>: argmin::core::Solver<crate::problem::Erased, State<Vec<f64>>> + Clone,
        C: Curvature<crate::problem::Erased>,
        S: Subproblem,
        G: Globalization<S::Region>,
    {
        let problem = testbed::problem(name, None).expect(name);
        let mut direct = solver.clone();
        let ours = direct.minimize(&problem.erased(), problem.start.clone(), max_iters).expect(name);
        let run = Executor::new(problem.erased(), solver)
            .configure(|state: State<Vec<f64>>| state.param(problem.start.clone()).max_iters(max_iters))
            .run()
            .expect(name);
        assert_eq!(run.state.best_param.as_ref(), Some(&ours.x), "{name}");
        assert_eq!(run.state.best_cost, ours.cost, "{name}");
        assert_eq!(run.state.iter, ours.iterations, "{name}");
        assert_eq!(run.solver.tally(), direct.tally(), "{name}");
        assert_eq!(run.solver.certificate(), direct.certificate(), "{name}");
        if let Some(stop) = run.solver.stop() {
            assert_eq!(*stop, ours.stop, "{name}");
        } else {
            assert_eq!(ours.stop, Stop::Iterations { count: max_iters, bound: max_iters }, "{name}");
        }
    }

    #[test]
    fn iterates_are_those_of_the_executor() {
        for entry in testbed::mgh::TABLE {
            let Some((name, _)) = entry.instances.first() else { continue };
            for max_iters in [0, 1, 3, 500] {
                both(name, methods::trust_region_exact(), max_iters);
                both(name, methods::lbfgs(), max_iters);
                let search = Armijo { nonmonotone: 10, ..Armijo::default() };
                both(name, Minimizer { globalization: search, ..methods::newton() }, max_iters);
            }
        }
    }

    #[test]
    fn a_reused_solver_starts_afresh() -> Result<()> {
        let [wood, other] = [testbed::problem("wood", None)?, testbed::problem("powell_singular", None)?];
        let [large, others] = [testbed::problem("chained_rosenbrock", Some(60))?, testbed::problem("trigonometric", Some(60))?];
        let residuals = |p: &testbed::TestProblem| p.residuals.clone().map(LeastSquares::new).expect("residuals");
        let mut remember = Vec::new();
        macro_rules! afresh {
            ($problem:ident, $other:ident, $of:expr; $($solver:expr),* $(,)?) => {$({
                let mut solver = $solver;
                let far: Vec<f64> = $problem.start.iter().map(|x| 3.0 * x).collect();
                let run = |solver: &mut Minimizer<_, _, _>| {
                    let solution = solver.minimize(&$of(&$problem), $problem.start.clone(), 40)?;
                    Ok::<_, Error>((solution, solver.tally()))
                };
                let first = run(&mut solver)?;
                solver.minimize(&$of(&$other), $other.start.clone(), 7)?;
                solver.minimize(&$of(&$problem), far, 7)?;
                if run(&mut solver)? != first {
                    remember.push(stringify!($solver));
                }
            })*};
        }
        use methods::*;
        let preconditioned = Preconditioned(HessianProducts, QuasiNewton::new(5)?);
        afresh!(wood, other, testbed::TestProblem::erased;
            newton(), newton_cg(), newton_cg().with_curvature(preconditioned.clone()), trust_region_exact(),
            trust_region_steihaug(), trust_region_gltr(), dogleg(), two_dimensional(), cubic_regularization(), cubic_lanczos(),
            saddle_free_newton(), bfgs(), lbfgs(), lbfgs().certified_by(HessianProducts), sr1(), gradient_descent(),
            gradient_descent_fixed(1e-4));
        afresh!(large, others, testbed::TestProblem::erased;
            newton(), trust_region_exact(), dogleg(), cubic_regularization(), cubic_lanczos(), lbfgs());
        afresh!(wood, other, residuals;
            gauss_newton(), levenberg_marquardt(), levenberg_marquardt_geodesic(), levenberg_marquardt_nielsen(),
            dogleg().with_curvature(GaussNewton), two_dimensional().with_curvature(GaussNewton));
        assert!(remember.is_empty(), "what an earlier run taught changes a later one of {remember:?}");
        Ok(())
    }

    /// `x²`, which cannot be evaluated left of 0.3.
    struct Cliff;
    impl argmin::core::CostFunction for Cliff {
        type Param = Vec<f64>;
        type Output = f64;
        fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
            if x[0] < 0.3 { Err(ArgminError::msg("the cliff")) } else { Ok(x[0] * x[0]) }
        }
    }
    impl argmin::core::Gradient for Cliff {
        type Param = Vec<f64>;
        type Gradient = Vec<f64>;
        fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
            Ok(vec![2.0 * x[0]])
        }
    }

    #[test]
    fn an_error_of_the_problem_ends_the_run_with_the_best_point() -> Result<()> {
        let mut solver = methods::gradient_descent_fixed(0.25);
        let solution = solver.minimize(&Cliff, vec![1.0], 100)?;
        assert_eq!((solution.x, solution.cost), (vec![0.5], 0.25));
        assert!(matches!(&solution.stop, Stop::Failed { message } if message.contains("the cliff")), "{}", solution.stop);
        assert!(methods::gradient_descent_fixed(0.25).minimize(&Cliff, vec![0.0], 100).is_err());
        Ok(())
    }
}
