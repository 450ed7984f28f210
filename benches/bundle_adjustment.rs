//! Bundle adjustment: the 16 cameras and 22 106 points of BAL's smallest Ladybug problem, or a synthetic scene of that size.
use argmin::core::{Executor, IterState};
use curvkit::dataset::bal;
use curvkit::second_order::methods;
use curvkit::testbed::bundle_adjustment as ba;
use std::time::Instant;

fn main() {
    let data = bal::read(std::env::var("CURVKIT_BAL").unwrap()).unwrap();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            for _ in 0..3 {
                let began = Instant::now();
                let problem = ba::problem(&data).unwrap();
                let built = began.elapsed();
                let mut solver = methods::levenberg_marquardt_nielsen().bare();
                solver.stopping.ftol = 1e-9;
                solver.stopping.gtol_rel = 0.0;
                solver.globalization.tau = std::env::var("TAU").ok().and_then(|v| v.parse().ok()).unwrap_or(1e-3);
                let run = Executor::new(problem, solver)
                    .configure(|s: IterState<Vec<f64>, Vec<f64>, (), (), (), f64>| s.param(ba::variables(&data)).max_iters(50))
                    .timer(false)
                    .run()
                    .unwrap();
                println!(
                    "{threads} {:.12e} iters {} {:?} built {:?} total {:?} {:?}",
                    run.state.best_cost,
                    run.state.iter,
                    run.solver.tally(),
                    built,
                    began.elapsed(),
                    run.solver.stop()
                );
            }
        });
    }
}
