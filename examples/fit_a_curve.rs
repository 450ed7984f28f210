//! How well do the data determine the parameters? A dose that decays, fitted three ways, with what the second phase adds.

use curvkit::error::Result;
use curvkit::fit::{Finish, FitOptions, Method, fit};
use curvkit::problem::{AutoResiduals, DualNum, DualResiduals, LeastSquares};

const TIME: [f64; 8] = [0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0];
const DOSE: [f64; 8] = [9.1, 8.3, 6.6, 4.6, 2.1, 1.02, 0.41, 0.13];

/// `dose = a exp(−k t)`, written once; derivatives come from dual numbers.
struct Decay;
impl DualResiduals for Decay {
    fn n(&self) -> usize {
        2
    }
    fn m(&self) -> usize {
        TIME.len()
    }
    fn visit<D: DualNum<f64> + Copy>(&self, b: &[D], each: &mut impl FnMut(D)) {
        for (t, y) in TIME.iter().zip(DOSE) {
            each(b[0] * (-b[1] * *t).exp() - y);
        }
    }
}

fn main() -> Result<()> {
    let problem = LeastSquares::new(AutoResiduals(Decay));
    println!("{:34} {:>18} {:>20} {:>6} {:>9}", "method", "a", "k", "steps", "decrement");
    for (name, method) in Method::NAMES {
        for (suffix, finish) in [("", Finish::default()), (" alone", Finish { max_steps: 0, ..Finish::default() })] {
            let found = fit(&problem, &[1.0, 1.0], &FitOptions { method, finish, ..FitOptions::default() })?;
            let b = &found.parameters;
            let steps = format!("{}+{}", found.iterations, found.finish.steps);
            println!("{:34} {:18.15} {:20.17} {steps:>6} {:9.1e}", format!("{name}{suffix}"), b[0], b[1], found.finish.decrement);
        }
    }
    let found = fit(&problem, &[1.0, 1.0], &FitOptions::default())?;
    let statistics = &found.statistics;
    println!("\nverified minimum: {}; s = {:.4}", found.converged(), statistics.residual_standard_deviation);
    for (j, interval) in statistics.intervals(&found.parameters, 0.95)?.iter().enumerate() {
        let (value, error) = (found.parameters[j], statistics.standard_errors[j]);
        println!("{}: {value:.5} ± {error:.5}, 95 % in [{:.5}, {:.5}]", ["a", "k"][j], interval.lower, interval.upper);
    }
    let t = 6.0;
    let (a, k) = (found.parameters[0], found.parameters[1]);
    let gradient = [(-k * t).exp(), -a * t * (-k * t).exp()];
    println!("at t = {t}: {:.4} ± {:.4}", a * (-k * t).exp(), statistics.prediction_error(&gradient, true));
    Ok(())
}
