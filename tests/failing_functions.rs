//! A user function that returns NaN, ±∞, an error or a wrong length never panics a solver and never loses the best point.

use argmin::core::{CostFunction, Error, Executor, Gradient, Hessian, IterState, Solver};
use curvkit::linalg::operator::DenseMatrix;
use curvkit::problem::HessianProduct;
use curvkit::second_order::methods;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nan,
    Infinite,
    MinusInfinite,
    Error,
    WrongLength,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Cost,
    Gradient,
    Hessian,
}

/// Rosenbrock (n = 2) one of whose functions breaks from its `after`-th call on (or only once).
struct Faulty {
    part: Part,
    fault: Fault,
    after: u64,
    once: bool,
    calls: AtomicU64,
}

impl Faulty {
    fn strikes(&self, part: Part) -> bool {
        if part != self.part {
            return false;
        }
        let call = self.calls.fetch_add(1, Relaxed);
        if self.once { call == self.after } else { call >= self.after }
    }
    fn spoil(&self, values: &mut Vec<f64>) -> Result<(), Error> {
        match self.fault {
            Fault::Nan => values[0] = f64::NAN,
            Fault::Infinite => values[0] = f64::INFINITY,
            Fault::MinusInfinite => values[0] = f64::NEG_INFINITY,
            Fault::Error => return Err(Error::msg("the simulator crashed")),
            Fault::WrongLength => values.push(0.0),
        }
        Ok(())
    }
    fn entries(x: &[f64]) -> Vec<f64> {
        let off = -400.0 * x[0];
        vec![2.0 - 400.0 * x[1] + 1200.0 * x[0] * x[0], off, off, 200.0]
    }
}

impl CostFunction for Faulty {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> Result<f64, Error> {
        let mut f = vec![rosenbrock(x)];
        if self.strikes(Part::Cost) {
            self.spoil(&mut f)?;
        }
        Ok(f[0])
    }
}
impl Gradient for Faulty {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let t = x[1] - x[0] * x[0];
        let mut g = vec![-2.0 * (1.0 - x[0]) - 400.0 * x[0] * t, 200.0 * t];
        if self.strikes(Part::Gradient) {
            self.spoil(&mut g)?;
        }
        Ok(g)
    }
}
impl Hessian for Faulty {
    type Param = Vec<f64>;
    type Hessian = DenseMatrix;
    fn hessian(&self, x: &Vec<f64>) -> Result<DenseMatrix, Error> {
        let mut h = Self::entries(x);
        if self.strikes(Part::Hessian) {
            self.spoil(&mut h)?;
            if self.fault == Fault::WrongLength {
                return Ok(DenseMatrix::new(3, vec![1.0; 9])?);
            }
        }
        Ok(DenseMatrix::new(2, h)?)
    }
}
impl HessianProduct for Faulty {
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        let mut h = Self::entries(x);
        if self.strikes(Part::Hessian) && self.fault != Fault::WrongLength {
            self.spoil(&mut h).map_err(|e| curvkit::Error::Problem { what: "hessian product", source: e.into() })?;
        }
        (out[0], out[1]) = (h[0] * v[0] + h[2] * v[1], h[1] * v[0] + h[3] * v[1]);
        Ok(())
    }
}

type Vectors = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

fn rosenbrock(x: &[f64]) -> f64 {
    (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2)
}

fn survive<S: Solver<Faulty, Vectors>>(name: &str, make: impl Fn() -> S) {
    survive_from(&[-1.2, 1.0], name, make);
}

fn survive_from<S: Solver<Faulty, Vectors>>(start: &[f64], name: &str, make: impl Fn() -> S) {
    for part in [Part::Cost, Part::Gradient, Part::Hessian] {
        for fault in [Fault::Nan, Fault::Infinite, Fault::MinusInfinite, Fault::Error, Fault::WrongLength] {
            for (after, once) in [(0, true), (0, false), (1, true), (1, false), (3, true), (3, false), (8, false)] {
                let case = format!("{name}: {part:?} {fault:?} after {after}, once {once}");
                let problem = Faulty { part, fault, after, once, calls: AtomicU64::new(0) };
                let run = Executor::new(problem, make()).configure(|s: Vectors| s.param(start.to_vec()).max_iters(200)).run();
                match run {
                    // Only a start that cannot be evaluated is an error.
                    Err(_) => assert!(after == 0 && part != Part::Hessian, "{case}: error after the start"),
                    Ok(result) => {
                        let state = result.state;
                        let best = state.best_param.as_ref().expect(&case);
                        assert!(best.iter().all(|v| v.is_finite()) && best.len() == 2, "{case}: {best:?}");
                        assert!(
                            state.best_cost.is_finite() && state.best_cost <= rosenbrock(start) + 1e-9,
                            "{case}: {}",
                            state.best_cost
                        );
                        let f = rosenbrock(best);
                        assert!((f - state.best_cost).abs() <= 1e-12 * f.abs().max(1e-12), "{case}: {f} {}", state.best_cost);
                    }
                }
            }
        }
    }
}

#[test]
fn faulty_functions_never_panic_a_solver_and_never_lose_the_best_point() {
    survive("newton", methods::newton);
    survive("newton_cg", methods::newton_cg);
    survive("trust_region_exact", methods::trust_region_exact);
    survive_from(&[-1.2, 0.1], "trust_region_exact in typical sizes", methods::trust_region_exact);
    survive("trust_region_steihaug", methods::trust_region_steihaug);
    survive("trust_region_gltr", methods::trust_region_gltr);
    survive("dogleg", methods::dogleg);
    survive("cubic_regularization", methods::cubic_regularization);
    survive("cubic_lanczos", methods::cubic_lanczos);
    survive("saddle_free_newton", methods::saddle_free_newton);
    survive("bfgs", methods::bfgs);
    survive("lbfgs", methods::lbfgs);
    survive("sr1", methods::sr1);
    survive("gradient_descent", methods::gradient_descent);
    survive("gradient_descent_fixed", || methods::gradient_descent_fixed(1e-4));
}

#[test]
fn bad_starts_are_typed_errors() {
    let healthy = || Faulty { part: Part::Cost, fault: Fault::Nan, after: u64::MAX, once: true, calls: AtomicU64::new(0) };
    let run = |start: Option<Vec<f64>>| {
        Executor::new(healthy(), methods::newton())
            .configure(|s: Vectors| match start {
                Some(x) => s.param(x),
                None => s,
            })
            .run()
            .err()
            .expect("an error")
            .to_string()
    };
    assert!(run(None).contains("starting point"), "{}", run(None));
    assert!(run(Some(vec![1.0, f64::NAN])).contains("entry 1"), "{}", run(Some(vec![1.0, f64::NAN])));
}
