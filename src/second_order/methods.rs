//! The named methods: each is the usual triple of curvature, subproblem and globalization, ready to run.
//!
//! | method | curvature | subproblem | globalization |
//! |---|---|---|---|
//! | [`newton`] | Hessian | [`Factorized`] | [`Armijo`] |
//! | [`newton_cg`] | Hessian products | [`TruncatedCg`] | [`Armijo`] |
//! | [`newton_cg_preconditioned`] | Hessian products, preconditioned by the problem | [`TruncatedCg`] | [`Armijo`] |
//! | [`trust_region_exact`] | Hessian | [`MoreSorensen`] | [`TrustRegion`] |
//! | [`trust_region_steihaug`] | Hessian products | [`Steihaug`] | [`TrustRegion`] |
//! | [`trust_region_gltr`] | Hessian products | [`Gltr`] | [`TrustRegion`] |
//! | [`dogleg`] | Hessian | [`Dogleg`] | [`TrustRegion`] |
//! | [`two_dimensional`] | Hessian | [`TwoDimensional`] | [`TrustRegion`] |
//! | [`cubic_regularization`] | Hessian | [`CubicExact`] | [`CubicWeight`] |
//! | [`cubic_lanczos`] | Hessian products | [`CubicLanczos`] | [`CubicWeight`] |
//! | [`saddle_free_newton`] | absolute Hessian | [`Factorized`] | [`Armijo`] |
//! | [`bfgs`], [`lbfgs`] | quasi-Newton | [`Factorized`] (inverse) | [`StrongWolfe`] |
//! | [`sr1`] | SR1 | [`MoreSorensen`] | [`TrustRegion`] |
//! | [`gauss_newton`] | Gauss–Newton | [`Factorized`] (QR) | [`Armijo`] |
//! | [`levenberg_marquardt`] | Gauss–Newton | [`MoreHebden`] | [`MinpackRadius`] |
//! | [`levenberg_marquardt_geodesic`] | Gauss–Newton | [`MoreHebden`], accelerated | [`TrustRegion`] |
//! | [`levenberg_marquardt_nielsen`] | Gauss–Newton | [`Damped`] | [`DampingControl`] |
//! | [`hybrid`] | Gauss–Newton, then Hessian | [`TwoDimensional`] | [`TrustRegion`] |
//! | [`fisher_scoring`] | Fisher, certified by the Hessian | [`Factorized`] (QR) | [`Armijo`] |
//! | [`fisher_scoring_trust_region`] | Fisher, certified by the Hessian | [`MoreHebden`] | [`TrustRegion`] |
//! | [`levenberg_marquardt_sparse`] | Gauss–Newton, sparse | [`Damped`], factorized | [`DampingControl`] |
//! | [`levenberg_marquardt_inexact`] | Gauss–Newton, sparse | [`Damped`], by LSMR | [`DampingControl`] |
//! | [`natural_gradient`] | Fisher | [`Damped`] | [`DampingControl`] |
//! | [`gradient_descent`] | identity | [`Factorized`] | [`Armijo`] |
//! | [`gradient_descent_fixed`] | identity | [`Factorized`] | [`Fixed`] |
//!
//! Every part can be exchanged: the fields of [`Minimizer`] are public,
//! [`with_curvature`](Minimizer::with_curvature) puts another matrix under the same method, and
//! [`Minimizer::new`] takes any pairing that makes sense.

use super::globalization::{Armijo, CubicWeight, DampingControl, Fixed, InitialStep, MinpackRadius, StrongWolfe, TrustRegion};
use super::minimizer::Minimizer;
use super::subproblem::{
    CubicExact, CubicLanczos, Damped, Dogleg, Factorized, Gltr, MoreHebden, MoreSorensen, SparseSolver, Steihaug, TruncatedCg,
    TwoDimensional,
};
use crate::curvature::{
    Absolute, Bfgs, Certified, Fisher, GaussNewton, Hessian, HessianProducts, Hybrid, Identity, Lbfgs, PreconditionedProducts,
    Sr1,
};

/// Newton's method with a line search: Cholesky, else a modified factorization; backtracking.
pub fn newton() -> Minimizer<Hessian, Factorized, Armijo> {
    Minimizer::new(Hessian, Factorized::default(), Armijo::default())
}

/// Matrix-free Newton: truncated conjugate gradients, backtracking.
pub fn newton_cg() -> Minimizer<HessianProducts, TruncatedCg, Armijo> {
    Minimizer::new(HessianProducts, TruncatedCg::default(), Armijo::default())
}

/// Matrix-free Newton with the problem's own preconditioner
/// ([`HessianPreconditioner`](crate::problem::HessianPreconditioner)).
pub fn newton_cg_preconditioned() -> Minimizer<PreconditionedProducts, TruncatedCg, Armijo> {
    Minimizer::new(PreconditionedProducts, TruncatedCg::default(), Armijo::default())
}

/// Trust region with the subproblem solved to rounding (Moré & Sorensen 1983). Variables whose sizes differ much at the start
/// are measured in these, and the first radius is then 0.3 of the start's length.
pub fn trust_region_exact() -> Minimizer<Hessian, MoreSorensen, TrustRegion> {
    let radius = TrustRegion { relative_radius: 0.3, ..TrustRegion::default() };
    Minimizer::new(Hessian, MoreSorensen::in_typical_sizes(), radius)
}

/// Matrix-free trust region by conjugate gradients truncated at the boundary (Toint 1981, Steihaug 1983).
pub fn trust_region_steihaug() -> Minimizer<HessianProducts, Steihaug, TrustRegion> {
    Minimizer::new(HessianProducts, Steihaug::default(), TrustRegion::default())
}

/// Matrix-free trust region by the generalized Lanczos method (Gould, Lucidi, Roma & Toint 1999).
pub fn trust_region_gltr() -> Minimizer<HessianProducts, Gltr, TrustRegion> {
    Minimizer::new(HessianProducts, Gltr::default(), TrustRegion::default())
}

/// Trust region along a path from the Cauchy to the Newton point (Powell 1970).
pub fn dogleg() -> Minimizer<Hessian, Dogleg, TrustRegion> {
    Minimizer::new(Hessian, Dogleg::default(), TrustRegion::default())
}

/// Trust region over the span of the gradient and the Newton point (Byrd, Schnabel & Shultz 1988).
pub fn two_dimensional() -> Minimizer<Hessian, TwoDimensional, TrustRegion> {
    Minimizer::new(Hessian, TwoDimensional::default(), TrustRegion::default())
}

/// Adaptive cubic regularization, factorized (Cartis, Gould & Toint 2011).
pub fn cubic_regularization() -> Minimizer<Hessian, CubicExact, CubicWeight> {
    Minimizer::new(Hessian, CubicExact::default(), CubicWeight::default())
}

/// Adaptive cubic regularization, matrix-free by Lanczos (Cartis, Gould & Toint 2011).
pub fn cubic_lanczos() -> Minimizer<HessianProducts, CubicLanczos, CubicWeight> {
    Minimizer::new(HessianProducts, CubicLanczos::default(), CubicWeight::default())
}

/// Newton's method on the absolute Hessian: repelled by saddles (Dauphin et al. 2014).
pub fn saddle_free_newton() -> Minimizer<Absolute<Hessian>, Factorized, Armijo> {
    Minimizer::new(Absolute::default(), Factorized::default(), Armijo::default())
}

/// Gauss–Newton with a line search, each direction by QR of the Jacobian.
pub fn gauss_newton() -> Minimizer<GaussNewton, Factorized, Armijo> {
    Minimizer::new(GaussNewton, Factorized::default(), Armijo::default())
}

/// Levenberg–Marquardt as a trust region in scaled variables, with the rules of MINPACK (Moré 1978).
pub fn levenberg_marquardt() -> Minimizer<GaussNewton, MoreHebden, MinpackRadius> {
    Minimizer::new(GaussNewton, MoreHebden::default(), MinpackRadius::default())
}

/// Levenberg–Marquardt with geodesic acceleration (Transtrum & Sethna 2012) from a careful first radius: more evaluations
/// on easy problems, fewer in narrow curved valleys. What fits use.
pub fn levenberg_marquardt_geodesic() -> Minimizer<GaussNewton, MoreHebden, TrustRegion> {
    Minimizer::new(GaussNewton, MoreHebden::accelerated(), TrustRegion::default())
}

/// Levenberg–Marquardt with Nielsen's control of the damping (Nielsen 1999), in scaled variables.
pub fn levenberg_marquardt_nielsen() -> Minimizer<GaussNewton, Damped, DampingControl> {
    Minimizer::new(GaussNewton, Damped::default(), DampingControl::default())
}

/// Gauss–Newton that changes to the exact Hessian where it converges slowly (after Fletcher & Xu 1987), over the span of the
/// gradient and the Newton point.
pub fn hybrid() -> Minimizer<Hybrid, TwoDimensional, TrustRegion> {
    Minimizer::new(Hybrid::default(), TwoDimensional::default(), TrustRegion::default())
}

/// Fisher scoring with a line search: each direction by QR of the weighted design, no step that raises the deviance
/// (McCullagh & Nelder 1989, §2.5). The answer is certified by the observed information.
pub fn fisher_scoring() -> Minimizer<Certified<Fisher, Hessian>, Factorized, Armijo> {
    let curvature = Certified { model: Fisher, exact: Hessian };
    Minimizer::new(curvature, Factorized::default(), Armijo::default())
}

/// Fisher scoring in a trust region of scaled coefficients.
pub fn fisher_scoring_trust_region() -> Minimizer<Certified<Fisher, Hessian>, MoreHebden, TrustRegion> {
    let curvature = Certified { model: Fisher, exact: Hessian };
    Minimizer::new(curvature, MoreHebden::default(), TrustRegion::default())
}

/// Levenberg–Marquardt for sparse Jacobians ([`ResidualElements`](crate::problem::ResidualElements)): the normal equations in
/// scaled variables, by elimination of small blocks where the pattern has them, else by sparse Cholesky; Nielsen's control of
/// the damping from a small first one, 10⁻⁴.
pub fn levenberg_marquardt_sparse() -> Minimizer<GaussNewton, Damped, DampingControl> {
    Minimizer::new(GaussNewton, Damped::default(), DampingControl { tau: 1e-4, ..DampingControl::default() })
}

/// The same without a matrix: each step by LSMR, preconditioned with diagonal blocks, to a tenth of its right-hand side.
pub fn levenberg_marquardt_inexact() -> Minimizer<GaussNewton, Damped, DampingControl> {
    let exact = levenberg_marquardt_sparse();
    Minimizer::new(exact.curvature, Damped::sparse(SparseSolver::lsmr()), exact.globalization)
}

/// Natural gradient steps `−(F + μI)⁻¹g` with the exact Fisher matrix and Nielsen's control of the damping (Amari 1998; Martens
/// 2020, section 8).
pub fn natural_gradient() -> Minimizer<Fisher, Damped, DampingControl> {
    Minimizer::new(Fisher, Damped::default(), DampingControl::default())
}

/// The search of quasi-Newton methods: Moré & Thuente's, which needs fewer evaluations here than Hager & Zhang's. With `c₂ = 0.7`
/// and tenfold extrapolation the runs on the test problems are shorter than with 0.9 and fourfold, by a tenth.
fn quasi_newton_search() -> StrongWolfe {
    StrongWolfe { curvature: 0.7, extrapolation: 10.0, ..StrongWolfe::default() }
}

/// Dense BFGS with a strong Wolfe search (Nocedal & Wright 2006, Algorithm 6.1).
pub fn bfgs() -> Minimizer<Bfgs, Factorized, StrongWolfe> {
    Minimizer::new(Bfgs::default(), Factorized::default(), quasi_newton_search())
}

/// L-BFGS with ten pairs and a strong Wolfe search (Liu & Nocedal 1989).
pub fn lbfgs() -> Minimizer<Lbfgs, Factorized, StrongWolfe> {
    Minimizer::new(Lbfgs::default(), Factorized::default(), quasi_newton_search())
}

/// SR1 in a trust region (Conn, Gould & Toint 1991).
pub fn sr1() -> Minimizer<Sr1, MoreSorensen, TrustRegion> {
    Minimizer::new(Sr1::default(), MoreSorensen::default(), TrustRegion::default())
}

/// Gradient descent, backtracking from Barzilai–Borwein lengths.
pub fn gradient_descent() -> Minimizer<Identity, Factorized, Armijo> {
    let search = Armijo { initial: InitialStep::BarzilaiBorwein, nonmonotone: 10, ..Armijo::default() };
    Minimizer::new(Identity, Factorized::default(), search)
}

/// Gradient descent with the fixed step `size`: `x₊ = x − size ∇f(x)`.
pub fn gradient_descent_fixed(size: f64) -> Minimizer<Identity, Factorized, Fixed> {
    Minimizer::new(Identity, Factorized::default(), Fixed { size })
}
