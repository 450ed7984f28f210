//! First order, second order, or something between? One small network with badly scaled inputs: how many passes through the data
//! each method needs until its cost is 1.3 times the lowest one seen.

use argmin::core::{Error, Executor, IterState, Solver};
use curvkit::curvature::{Ekfac, EmpiricalFisher, Kfac, Subsampled};
use curvkit::loss::SoftmaxCrossEntropy;
use curvkit::model::{Activation, Batch, Initialization, Network};
use curvkit::problem::Supervised;
use curvkit::second_order::methods as deterministic;
use curvkit::stochastic::estimator::MiniBatch;
use curvkit::stochastic::rule::{LearningRate, UpdateRule};
use curvkit::stochastic::{Stochastic, methods};

type State = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Three rings around the origin, seen through two inputs of which one is a hundred times larger.
fn rings(network: &Network) -> Result<Supervised, Error> {
    let point = |i: usize| {
        let (angle, ring) = (2.4 * i as f64, i % 3);
        let radius = 1.0 + ring as f64 + 0.3 * (7.0 * i as f64).sin();
        ([100.0 * radius * angle.cos(), radius * angle.sin()], ring as f64)
    };
    let (x, y): (Vec<[f64; 2]>, Vec<f64>) = (0..600).map(point).unzip();
    let problem = Supervised::new(network.clone(), SoftmaxCrossEntropy, Batch::new(2, x.concat())?, Batch::new(1, y)?)?;
    Ok(problem.l2(1e-4)?)
}

/// Passes through the data, and the lowest cost so far, after each iteration.
type Course = Vec<(f64, f64)>;

fn course<S: Solver<Supervised, State>>(
    network: &Network,
    solver: impl Fn() -> S,
    work: impl Fn(&S) -> f64,
) -> Result<Course, Error> {
    let start = network.initialize(Initialization::Glorot, 3)?;
    let mut course = Vec::new();
    // Runs of growing length: simple, and the methods start from nothing each time.
    for limit in [1, 2, 4, 8, 16, 32, 64, 128] {
        let run = Executor::new(rings(network)?, solver()).configure(|s: State| s.param(start.clone()).max_iters(limit)).run()?;
        course.push((work(&run.solver), run.state.best_cost));
    }
    Ok(course)
}

fn stochastic<C: Subsampled<Supervised>, R: UpdateRule>(
    network: &Network,
    make: impl Fn() -> Stochastic<MiniBatch, C, R>,
) -> Result<Course, Error> {
    course(network, make, |solver| solver.tally().sample_gradient as f64 / 600.0)
}

fn main() -> Result<(), Error> {
    let network = Network::perceptron(&[2, 12, 3], Activation::Tanh)?;
    let batch = || MiniBatch::new(50, 1);
    let rate = |rate: f64| LearningRate::new(rate);
    let kfac = || Stochastic::new(batch(), rate(0.3)).preconditioned(Kfac::<EmpiricalFisher>::default(), 0.03);
    let ekfac = || Stochastic::new(batch(), rate(0.3)).preconditioned(Ekfac::<EmpiricalFisher>::default(), 0.03);
    let courses = [
        ("sgd, rate 0.1", stochastic(&network, || methods::sgd(batch(), 0.1))?),
        ("momentum, rate 0.02", stochastic(&network, || methods::momentum(batch(), 0.02, 0.9))?),
        ("Adam, rate 0.02", stochastic(&network, || methods::adam(batch(), 0.02))?),
        ("K-FAC, empirical", stochastic(&network, kfac)?),
        ("EKFAC, empirical", stochastic(&network, ekfac)?),
        ("L-BFGS, all samples", course(&network, deterministic::lbfgs, |s| s.tally().gradient_equivalents(0))?),
    ];
    let lowest = courses.iter().flat_map(|(_, c)| c).map(|p| p.1).fold(f64::INFINITY, f64::min);
    println!("lowest cost {lowest:.4}\n{:22} {:>10} {:>12}", "method", "passes", "last cost");
    for (name, course) in &courses {
        let reached = course.iter().find(|p| p.1 <= 1.3 * lowest).map_or("–".into(), |p| format!("{:.0}", p.0));
        println!("{name:22} {reached:>10} {:>12.4}", course.last().map_or(f64::NAN, |p| p.1));
    }
    Ok(())
}
