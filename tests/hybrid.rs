//! The hybrid of Gauss–Newton and the exact Hessian, and the part that Gauss–Newton leaves out.

use argmin::core::Executor;
use curvkit::Result;
use curvkit::counts::Counts;
use curvkit::curvature::{Curvature, GaussNewton, Hessian, Hybrid, ResidualTerm};
use curvkit::linalg::Form;
use curvkit::linalg::operator::write_dense;
use curvkit::problem::{At, LeastSquares, ResidualHessian, Residuals};
use curvkit::second_order::globalization::Globalization;
use curvkit::second_order::methods;
use curvkit::second_order::minimizer::{Minimizer, State};
use curvkit::second_order::subproblem::Subproblem;

/// Brown & Dennis: `rᵢ = (x₁ + t x₂ − eᵗ)² + (x₃ + x₄ sin t − cos t)²` at `t = i/5`; `Σ r² = 85822.2` at the minimum.
struct BrownDennis;
impl BrownDennis {
    fn parts(x: &[f64], i: usize) -> (f64, f64, f64, f64) {
        let t = (i + 1) as f64 / 5.0;
        (x[0] + t * x[1] - t.exp(), x[2] + x[3] * t.sin() - t.cos(), t, t.sin())
    }
}
impl Residuals for BrownDennis {
    fn n(&self) -> usize {
        4
    }
    fn m(&self) -> usize {
        20
    }
    fn residuals(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        for (i, o) in out.iter_mut().enumerate() {
            let (u, v, ..) = Self::parts(x, i);
            *o = u * u + v * v;
        }
        Ok(())
    }
    fn jacobian(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        for i in 0..20 {
            let (u, v, t, s) = Self::parts(x, i);
            (out[i], out[20 + i], out[40 + i], out[60 + i]) = (2.0 * u, 2.0 * u * t, 2.0 * v, 2.0 * v * s);
        }
        Ok(())
    }
}
impl ResidualHessian for BrownDennis {
    fn weighted_hessian(&self, x: &[f64], w: &[f64], out: &mut [f64]) -> Result<()> {
        out.fill(0.0);
        for (i, w) in w.iter().enumerate() {
            let (_, _, t, s) = Self::parts(x, i);
            for (k, factor) in [(0, 1.0), (1, t), (4, t), (5, t * t), (10, 1.0), (11, s), (14, s), (15, s * s)] {
                out[k] += 2.0 * w * factor;
            }
        }
        Ok(())
    }
}

fn run<C, S, G>(solver: Minimizer<C, S, G>, start: &[f64]) -> (f64, u64, f64, Minimizer<C, S, G>)
where
    C: Curvature<LeastSquares<BrownDennis>>,
    S: Subproblem,
    G: Globalization<S::Region>,
{
    let mut solver = solver;
    (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-5, 0.0);
    let run = Executor::new(LeastSquares::new(BrownDennis), solver)
        .configure(|state: State<Vec<f64>>| state.param(start.to_vec()).max_iters(1000))
        .run()
        .unwrap();
    (2.0 * run.state.best_cost, run.state.iter, run.solver.gradient_norm(), run.solver)
}

#[test]
fn hybrid_converges_fast_where_residuals_are_large() {
    let start = [25.0, 5.0, -5.0, -1.0];
    let (sum, steps, gradient, solver) = run(methods::hybrid(), &start);
    let (plain_sum, plain, _, _) = run(methods::levenberg_marquardt(), &start);
    println!("hybrid {steps} steps, |g| {gradient:.1e}; Levenberg–Marquardt {plain}: {sum:.6} {plain_sum:.6}");
    assert!((sum - 85822.20162635634).abs() < 1e-6 && (plain_sum - sum).abs() < 1e-6);
    assert!(solver.curvature.is_exact() && gradient <= 1e-5 && 3 * steps <= 2 * plain, "{steps} {plain}");
}

#[test]
fn matrices_change_with_the_rate_of_reduction_and_add_up() {
    let problem = LeastSquares::new(BrownDennis);
    let counts = Counts::default();
    let entries = |operator: curvkit::linalg::Operator<'_>| {
        let mut out = vec![0.0; 16];
        write_dense(&*operator, &mut out).unwrap();
        (matches!(operator.form(), Form::Gram(_)), out)
    };
    let points = [vec![25.0, 5.0, -5.0, -1.0], vec![10.0, 5.0, -5.0, -1.0], vec![9.999, 5.0, -5.0, -1.0]];
    let costs: Vec<f64> = points.iter().map(|x| argmin::core::CostFunction::cost(&problem, x).unwrap()).collect();
    assert!(costs[1] < 0.8 * costs[0] && costs[2] < costs[1] && costs[2] > 0.8 * costs[1], "{costs:?}");
    let mut hybrid = Hybrid::default();
    for (k, x) in points.iter().enumerate() {
        let at = At { problem: &problem, x, rows: None, counts: &counts };
        let (gram, found) = entries(hybrid.at(at).unwrap());
        let (_, gauss_newton) = entries(GaussNewton.at(at).unwrap());
        let (_, exact) = entries(Hessian.at(at).unwrap());
        let (_, rest) = entries(ResidualTerm.at(at).unwrap());
        assert_eq!((gram, hybrid.is_exact()), (k < 2, k == 2));
        assert_eq!(found, if k < 2 { gauss_newton.clone() } else { exact.clone() });
        assert!((0..16).all(|i| (gauss_newton[i] + rest[i] - exact[i]).abs() <= 1e-15 * exact[i].abs()));
    }
    // A cost above the last one belongs to another run.
    let at = At { problem: &problem, x: &points[0], rows: None, counts: &counts };
    assert!(entries(hybrid.at(at).unwrap()).0);
}

#[test]
fn share_of_the_residual_term_does_not_depend_on_units() {
    let problem = LeastSquares::new(BrownDennis);
    let x = [-11.6, 13.2, -0.4, 0.24];
    let share = ResidualTerm::share(&problem, &x).unwrap();
    // By the definition, entry by entry.
    let (mut j, mut r, mut rest) = (vec![0.0; 80], vec![0.0; 20], vec![0.0; 16]);
    BrownDennis.residuals(&x, &mut r).unwrap();
    BrownDennis.jacobian(&x, &mut j).unwrap();
    BrownDennis.weighted_hessian(&x, &r, &mut rest).unwrap();
    let dot = |a: usize, b: usize| (0..20).map(|i| j[20 * a + i] * j[20 * b + i]).sum::<f64>();
    let (mut part, mut whole) = (0.0, 0.0);
    for a in 0..4 {
        for b in 0..4 {
            let d = (dot(a, a) * dot(b, b)).sqrt();
            part += (rest[4 * a + b] / d).powi(2);
            whole += ((rest[4 * a + b] + dot(a, b)) / d).powi(2);
        }
    }
    assert!((share - (part / whole).sqrt()).abs() < 1e-13 && share > 0.1, "{share}");
}
