//! How do I add a curvature of my own? Implement `Curvature` for it: here the diagonal of the Hessian by Hutchinson's
//! probing (Bekas, Kokiopoulou & Saad 2007), used under an existing trust-region method.

use argmin::core::{Error, Executor, IterState};
use curvkit::Result;
use curvkit::curvature::{Curvature, HessianProducts};
use curvkit::linalg::{Operator, operator::Diagonal};
use curvkit::problem::{At, HessianProduct, Objective};
use curvkit::second_order::methods;
use curvkit::testbed;
use rand::{Rng, SeedableRng};

/// `diag(B)` estimated from `probes` products with random signs: `d = mean(z ⊙ Bz)`.
struct ProbedDiagonal {
    probes: usize,
    random: rand_chacha::ChaCha8Rng,
}

impl<O: HessianProduct> Curvature<O> for ProbedDiagonal
where
    O: Objective,
{
    fn at<'a>(&'a mut self, at: At<'a, O>) -> Result<Operator<'a>> {
        let n = at.dim();
        let mut exact = HessianProducts;
        let hessian = exact.at(at)?;
        let (mut sum, mut z, mut product) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        for _ in 0..self.probes {
            z.iter_mut().for_each(|z| *z = if self.random.random() { 1.0 } else { -1.0 });
            hessian.apply(&z, &mut product)?;
            sum.iter_mut().zip(&z).zip(&product).for_each(|((s, z), p)| *s += z * p / self.probes as f64);
        }
        Ok(Box::new(Diagonal(sum)))
    }
}

fn main() -> std::result::Result<(), Error> {
    println!("{:>7} {:>10} {:>9} {:>12} {:>10}", "probes", "iterations", "products", "f", "|g|");
    let problem = testbed::problem("broyden_tridiagonal", Some(50))?;
    for probes in [1, 4, 16] {
        let random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let solver = methods::trust_region_exact().with_curvature(ProbedDiagonal { probes, random });
        let run = Executor::new(problem.erased(), solver)
            .configure(|s: IterState<Vec<f64>, Vec<f64>, (), (), (), f64>| s.param(problem.start.clone()).max_iters(300))
            .run()?;
        let solver = &run.solver;
        let (tally, norm) = (solver.tally(), solver.gradient_norm());
        println!("{probes:>7} {:>10} {:>9} {:>12.3e} {norm:>10.1e}", run.state.iter, tally.hessian_product, run.state.best_cost);
    }
    Ok(())
}
