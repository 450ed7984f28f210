//! How a minimizer is put together, and what it tells of its run.

use super::{Accepted, Minimizer, Run, Scratch};
use crate::counts::Tally;
use crate::curvature::Certified;
use crate::error::{Error, Result, Stop};
use crate::linalg::Vector;
use crate::linalg::vector::norm_inf;
use crate::problem::Bounds;
use crate::second_order::certificate::Certificate;
use crate::second_order::globalization::Globalization;
use crate::second_order::stopping::Stopping;
use crate::second_order::subproblem::Subproblem;
use argmin::core::KV;

impl<C, S, G> Minimizer<C, S, G>
where
    S: Subproblem,
    G: Globalization<S::Region>,
{
    /// A minimizer with default stopping tests, certificate and escape from saddles.
    ///
    /// A line search judges a subproblem that proposes a direction:
    ///
    /// ```
    /// use curvkit::{curvature::Hessian, second_order::{Minimizer, globalization::{Armijo, TrustRegion}, subproblem::Factorized}};
    /// let _ = Minimizer::new(Hessian, Factorized::default(), Armijo::default());
    /// ```
    ///
    /// A pairing that makes no sense does not compile: the trust region below, the only word that differs, has no ball to
    /// size.
    ///
    /// ```compile_fail,E0277
    /// use curvkit::{curvature::Hessian, second_order::{Minimizer, globalization::{Armijo, TrustRegion}, subproblem::Factorized}};
    /// let _ = Minimizer::new(Hessian, Factorized::default(), TrustRegion::default());
    /// ```
    pub fn new(curvature: C, subproblem: S, globalization: G) -> Self {
        Self {
            curvature,
            subproblem,
            globalization,
            stopping: Stopping::default(),
            escape_saddles: true,
            certify: true,
            report: true,
            bounds: None,
            run: Run::default(),
            scratch: Scratch::default(),
        }
    }

    /// The same method on another curvature.
    pub fn with_curvature<D>(self, curvature: D) -> Minimizer<D, S, G> {
        Minimizer {
            stopping: self.stopping,
            escape_saddles: self.escape_saddles,
            certify: self.certify,
            report: self.report,
            bounds: self.bounds,
            ..Minimizer::new(curvature, self.subproblem, self.globalization)
        }
    }

    /// The same method within bounds: every point it evaluates is feasible, the gradient test looks at the projected
    /// gradient, and the certificate at the variables that are not held by a bound. A start outside is moved to the nearest
    /// feasible point ([`moved`](Self::moved)).
    ///
    /// Globalizations that look at slopes along the line (Wolfe conditions) are refused at the start of the run: steps bend
    /// at the bounds.
    ///
    /// # Example
    /// ```
    /// use argmin::core::Executor;
    /// use curvkit::problem::Bounds;
    /// use curvkit::second_order::{methods, minimizer::State};
    /// # let problem = curvkit::testbed::problem("rosenbrock", None)?.erased();
    /// let bounds = Bounds::new(vec![-2.0, -2.0], vec![0.5, 2.0])?;
    /// let solver = methods::trust_region_exact().within(bounds);
    /// let run = Executor::new(problem, solver)
    ///     .configure(|state: State<Vec<f64>>| state.param(vec![-1.2, 1.0]))
    ///     .run()?;
    /// let x = run.state.best_param.unwrap_or_default();
    /// assert_eq!(x[0], 0.5); // exactly on its bound
    /// assert!((x[1] - 0.25).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = Some(bounds);
        self
    }

    /// The same method with another curvature to certify the answer and to find negative curvature with: what a
    /// quasi-Newton method needs to tell a minimum from a saddle.
    pub fn certified_by<H>(self, exact: H) -> Minimizer<Certified<C, H>, S, G> {
        Minimizer {
            stopping: self.stopping,
            escape_saddles: self.escape_saddles,
            certify: self.certify,
            report: self.report,
            bounds: self.bounds,
            ..Minimizer::new(Certified { model: self.curvature, exact }, self.subproblem, self.globalization)
        }
    }

    /// The same method without what a bare benchmark does not need: key-values, certificate, escape from saddles.
    pub fn bare(self) -> Self {
        Self { escape_saddles: false, certify: false, report: false, ..self }
    }
}

impl<C, S, G> Minimizer<C, S, G> {
    /// Why the run ended, once it has; argmin's iteration limit and target included. `None` while running, and where a timeout or an
    /// interrupt ended it: those argmin keeps to its state.
    pub fn stop(&self) -> Option<&Stop> {
        self.run.stop.as_ref()
    }

    /// Evaluations of the run, without those of the certificate.
    pub fn tally(&self) -> Tally {
        self.run.counts.tally()
    }

    /// Evaluations spent on the certificate and on looking for negative curvature.
    pub fn certificate_tally(&self) -> Tally {
        self.run.certificate_counts.tally()
    }

    /// Seconds spent on the certificate.
    pub fn certificate_seconds(&self) -> f64 {
        self.run.certificate_seconds
    }

    /// What was verified where the run ended, or seemed to; `None` if `certify` is off or the run ended far from any answer.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.run.certificate.as_ref()
    }

    /// Number of stationary points with negative curvature that were left.
    pub fn escapes(&self) -> u64 {
        self.run.escapes
    }

    /// `‖g‖∞` at the current point; within bounds that of the projected gradient.
    pub fn gradient_norm(&self) -> f64 {
        self.run.gradient_norm
    }

    /// The bounds, if there are any.
    pub fn bounds(&self) -> Option<&Bounds> {
        self.bounds.as_ref()
    }

    /// Entries of the start that lay outside the bounds and were moved to the nearest one.
    pub fn moved(&self) -> &[usize] {
        &self.run.moved
    }

    /// The size of the gradient that counts: without what a bound holds back.
    pub(super) fn measure(&self, x: &[f64], gradient: &[f64]) -> f64 {
        self.bounds.as_ref().map_or_else(|| norm_inf(gradient), |bounds| bounds.projected_gradient_norm(x, gradient))
    }
}

impl<C, S: Subproblem, G: Globalization<S::Region>> Minimizer<C, S, G> {
    /// Moves the start into the bounds.
    pub(super) fn enter<P: Vector>(&mut self, x: &mut P) -> Result<()> {
        let Some(bounds) = &self.bounds else { return Ok(()) };
        if self.globalization.needs_trial_slope() {
            return Err(Error::Unsupported {
                what: "a run within bounds",
                requirement: "a globalization that does not look at slopes along a line (Armijo, a trust region, …)",
            });
        }
        self.run.moved = bounds.project(x.as_mut_slice())?;
        Ok(())
    }
}

impl<C, S, G> Minimizer<C, S, G> {
    /// What observers are told of an iteration.
    pub(super) fn key_values(&self, accepted: &Accepted) -> KV {
        let mut kv = argmin::kv!(
            "gradient_norm" => self.run.gradient_norm;
            "trials" => accepted.trials;
            "inner" => accepted.inner;
        );
        if let Some(t) = &accepted.numbers {
            kv = kv.merge(argmin::kv!(
                "size" => t.size;
                "predicted" => t.predicted;
                "actual" => t.actual;
                "step_length" => t.length;
            ));
        }
        kv
    }
}
