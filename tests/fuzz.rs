//! Faulty functions and absurd starts: every named method ends within bounded trials, never panics, and claims nothing that a
//! recomputation refutes. `CURVKIT_FUZZ=N` makes N rounds instead of one sixteenth of a round.
#![cfg(all(feature = "study", feature = "expression"))]

use curvkit::problem::{Expression, Function, HessianMatrix};
use curvkit::study::{Case, Outcome, Settings, Setup, names, run};
use nalgebra::{DMatrix, SymmetricEigen};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const FUNCTIONS: [&str; 26] = [
    "x^2+y^2",
    "(1-x)^2+100*(y-x^2)^2",
    "(x-1)^4+(y+2)^4",
    "exp(-x)+y^2",
    "exp(x)+exp(-x)+y^2",
    "x^2-y^2+y^4",
    "log(1+x^2)+log(1+y^2)",
    "sin(x)+cos(y)+0.01*(x^2+y^2)",
    "1/(1+x^2)+y^2",
    "sqrt(1+x^2)+sqrt(1+y^2)",
    "x*y+x^4+y^4",
    "x^2+1e8*y^2",
    "1e-8*x^2+1e-8*y^2+1e6",
    "abs(x)+y^2",
    "x^3-3*x*y^2+x^4+y^4",
    "-x^2+y^2",
    "x+y",
    "log(x)+1/x+y^2",
    "sqrt(x)+y^2",
    "atan(x)+y^2",
    "(x*y-1)^2+1e-4*(x^2+y^2)",
    "(1e4*x*y-1)^2+(exp(-x)+exp(-y)-1.0001)^2",
    "x^2*y^2+0.1*x^2+0.1*y^2",
    "exp(x^2)+y^2",
    "cos(x*y)+0.1*x^2+0.1*y^2",
    "(x+y)^2",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Nan,
    Infinite,
    MinusInfinite,
    Error,
    WrongLength,
    Huge,
    Denormal,
    Sign,
}

const FAULTS: [Fault; 9] = [
    Fault::None,
    Fault::Nan,
    Fault::Infinite,
    Fault::MinusInfinite,
    Fault::Error,
    Fault::WrongLength,
    Fault::Huge,
    Fault::Denormal,
    Fault::Sign,
];

const STARTS: [[f64; 2]; 7] = [[-1.2, 1.0], [0.0, 0.0], [3.0, -7.0], [1e-9, 1e9], [1e308, 1e308], [-1e308, 1.0], [1e-310, 0.5]];

/// One function, broken from some call on.
struct Faulty {
    inner: Expression,
    fault: Fault,
    part: usize,
    after: u64,
    calls: AtomicU64,
}

impl Faulty {
    fn broken(&self, part: usize) -> bool {
        let call = self.calls.fetch_add(1, Relaxed);
        self.fault != Fault::None && part == self.part && (call >= self.after || self.fault == Fault::Sign)
    }

    fn spoil(&self, value: f64) -> curvkit::Result<f64> {
        Ok(match self.fault {
            Fault::Nan => f64::NAN,
            Fault::Infinite => f64::INFINITY,
            Fault::MinusInfinite => f64::NEG_INFINITY,
            Fault::Huge => 1e300 * value,
            Fault::Denormal => 1e-310 * value,
            Fault::Sign => -value,
            Fault::Error | Fault::WrongLength => {
                return Err(curvkit::Error::Unsupported { what: "the simulator", requirement: "a rest" });
            }
            Fault::None => value,
        })
    }
}

impl Function for Faulty {
    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn cost(&self, x: &[f64]) -> curvkit::Result<f64> {
        let value = self.inner.cost(x)?;
        if self.broken(0) { self.spoil(value) } else { Ok(value) }
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> curvkit::Result<()> {
        self.inner.gradient(x, out)?;
        if self.broken(1) {
            out[0] = self.spoil(out[0])?;
        }
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> curvkit::Result<HessianMatrix> {
        if self.broken(2) {
            if self.fault == Fault::WrongLength {
                let entries = vec![1.0; 9];
                return Ok(HessianMatrix::Dense(curvkit::linalg::operator::DenseMatrix::new(3, entries)?));
            }
            let HessianMatrix::Dense(matrix) = self.inner.hessian(x)? else { return self.inner.hessian(x) };
            let mut entries = matrix.entries().to_vec();
            entries[0] = self.spoil(entries[0])?;
            return Ok(HessianMatrix::Dense(curvkit::linalg::operator::DenseMatrix::new(2, entries)?));
        }
        self.inner.hessian(x)
    }
}

/// What the outcome claims against the healthy function; only where the function was healthy.
fn refute(text: &str, outcome: &Outcome) -> Option<String> {
    let function = Expression::parse(text).unwrap();
    let mut g = vec![0.0; outcome.x.len()];
    function.gradient(&outcome.x, &mut g).ok()?;
    let norm = g.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let mut entries = vec![0.0; 4];
    curvkit::linalg::operator::write_dense(&function.hessian(&outcome.x).ok()?, &mut entries).ok()?;
    if !entries.iter().all(|v| v.is_finite()) {
        return None;
    }
    let size = entries.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    if outcome.stop.reason == "gradient"
        && (outcome.stop.value? - norm).abs() > 1e-12 * (norm + size * outcome.x[0].abs()) + 1e-300
    {
        return Some(format!("stop says {:?}, the point has {norm:e}", outcome.stop.value));
    }
    let certificate = outcome.certificate.as_ref()?;
    let lowest = SymmetricEigen::new(DMatrix::from_vec(2, 2, entries.iter().map(|v| v / size).collect())).eigenvalues.min();
    match outcome.verdict()? {
        "minimum" if lowest < -1e-9 => Some(format!("a minimum with curvature {:e}", lowest * size)),
        "saddle" if lowest > 1e-9 => Some(format!("a saddle with curvature {:e}", lowest * size)),
        "minimum" if certificate.relative_distance.is_some_and(|share| share > 1e-3) => Some("a minimum far away".into()),
        _ => None,
    }
}

#[test]
fn faulty_functions_and_absurd_starts_end_every_method_without_a_false_claim() {
    let rounds: Option<u64> = std::env::var("CURVKIT_FUZZ").ok().and_then(|n| n.parse().ok());
    let (mut runs, mut refused, mut calls, mut most) = (0u64, 0u64, 0u64, 0u64);
    let mut refuted = Vec::new();
    let mut counter = 0u64;
    for (round, after) in (0..rounds.unwrap_or(1)).zip([0, 3, 7, 1, 15, 40].into_iter().cycle()) {
        for solver in names() {
            // Fixed steps end by their limit.
            let max_iters = if solver == "gradient_descent_fixed" { Some(200) } else { None };
            let setup = Setup::parse(solver).unwrap();
            for text in FUNCTIONS {
                for fault in FAULTS {
                    for start in STARTS {
                        counter += 1;
                        if rounds.is_none() && counter.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 != 3 {
                            continue;
                        }
                        let function = Arc::new(Faulty {
                            inner: Expression::parse(text).unwrap(),
                            fault,
                            part: (counter % 3) as usize,
                            after: after + counter % 5,
                            calls: AtomicU64::new(0),
                        });
                        let start = start[..function.dim()].to_vec();
                        let case = Case { name: text.into(), function: function.clone(), start, minima: Vec::new() };
                        let settings = Settings { seconds: 60.0, max_iters, repeats: 1, trace: false };
                        runs += 1;
                        let Ok(outcome) = run(&case, &setup, &settings) else {
                            refused += 1;
                            continue;
                        };
                        let used = function.calls.load(Relaxed);
                        calls += used;
                        most = most.max(used);
                        assert!(outcome.stop.reason != "deadline", "{solver} on {text}, {fault:?}, {:?}", case.start);
                        assert!(outcome.x.iter().all(|v| v.is_finite()), "{solver} on {text}, {fault:?}, {:?}", case.start);
                        if fault == Fault::None
                            && let Some(why) = refute(text, &outcome)
                        {
                            refuted.push(format!("{solver} on {text} from {:?}: {why}; {}", case.start, outcome.stop.text));
                        }
                    }
                }
            }
        }
        let _ = round;
    }
    println!("{runs} runs, {refused} refused at the start, {calls} calls, {most} at most, {} refuted", refuted.len());
    assert!(refuted.is_empty(), "{refuted:#?}");
}
