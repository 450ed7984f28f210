//! How to write an update rule: signs of gradients with a majority vote over the last steps, chained with the crate's own
//! learning rate, on mini-batches of a least-squares line.

use argmin::core::{Error, Executor};
use curvkit::loss::SquaredError;
use curvkit::model::{Activation, Batch, Network};
use curvkit::problem::Supervised;
use curvkit::stochastic::Stochastic;
use curvkit::stochastic::estimator::MiniBatch;
use curvkit::stochastic::rule::{Context, LearningRate, UpdateRule};
use curvkit::stochastic::schedule::Schedule;

/// The sign that most of the last steps had, entry by entry.
#[derive(Default)]
struct Majority {
    votes: Vec<f64>,
    memory: f64,
}

impl UpdateRule for Majority {
    fn begin(&mut self, n: usize) {
        self.votes = vec![0.0; n];
    }
    fn transform(&mut self, _context: &Context<'_>, update: &mut [f64]) -> curvkit::Result<()> {
        for (u, vote) in update.iter_mut().zip(&mut self.votes) {
            *vote = self.memory * *vote + u.signum();
            *u = vote.signum();
        }
        Ok(())
    }
}

fn main() -> Result<(), Error> {
    let x: Vec<f64> = (0..200).map(|i| f64::from(i) / 100.0 - 1.0).collect();
    let y: Vec<f64> = x.iter().map(|x| 3.0 * x - 0.5).collect();
    for memory in [0.0, 0.5, 0.9] {
        let line = Network::vector(1)?.dense(1, Activation::Identity)?;
        let problem = Supervised::new(line, SquaredError, Batch::new(1, x.clone())?, Batch::new(1, y.clone())?)?;
        // Steps of a fixed length need a rate that falls.
        let rule = (Majority { memory, ..Majority::default() }, LearningRate::new(Schedule::linear(0.1, 0.0, 1000.0)));
        let solver = Stochastic::new(MiniBatch::new(20, 1), rule).epochs(100.0);
        let run = Executor::new(problem, solver).configure(|s| s.param(vec![0.0, 0.0])).run()?;
        println!(
            "memory {memory}: cost {:9.2e} after {} steps; {}",
            run.state.best_cost,
            run.solver.clock().step,
            run.solver.stop().map_or("argmin's limit".to_string(), ToString::to_string)
        );
        assert!(run.state.best_cost < 1e-4);
    }
    Ok(())
}
