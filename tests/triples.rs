//! Every pairing of curvature, subproblem and globalization that compiles minimizes, on problems of each kind.

mod common;

use common::{Outcome, run};
use curvkit::curvature::{Absolute, Bfgs, Hessian, HessianProducts, Identity, Lbfgs, Preconditioned, Sr1};
use curvkit::linalg::preconditioner::Jacobi;
use curvkit::second_order::globalization::{Armijo, CubicWeight, HagerZhang, StrongWolfe, TrustRegion};
use curvkit::second_order::minimizer::Minimizer;
use curvkit::second_order::subproblem::{
    CubicExact, CubicLanczos, Dogleg, Factorized, Gltr, MoreSorensen, Steihaug, TruncatedCg, TwoDimensional,
};
use curvkit::testbed::problem;

const PROBLEMS: [&str; 4] = ["beale", "broyden_tridiag_10", "brown_dennis", "quadratic_clusters_rotated_100"];

struct Table {
    rows: u32,
    failed: Vec<String>,
}

impl Table {
    fn add(&mut self, name: &str, triple: &str, o: &Outcome) {
        self.rows += 1;
        println!(
            "{name:32} {triple:48} it {:5} f {:5} g {:5} |g| {:.1e} {}",
            o.iterations, o.tally.cost, o.tally.gradient, o.gradient_norm, o.stop
        );
        if !o.stationary() {
            self.failed.push(format!("{name} {triple}: {:.1e} after {} {}", o.gradient_norm, o.iterations, o.stop));
        }
    }
}

macro_rules! triples {
    ($table:ident, $name:ident, $p:ident, [$($curvature:expr),*], $subproblems:tt, $globalizations:tt) => {
        $(triples!(@subproblem $table, $name, $p, $curvature, $subproblems, $globalizations);)*
    };
    (@subproblem $table:ident, $name:ident, $p:ident, $curvature:expr, [$($subproblem:ident),*], $globalizations:tt) => {
        $(triples!(@globalization $table, $name, $p, $curvature, $subproblem, $globalizations);)*
    };
    (@globalization $table:ident, $name:ident, $p:ident, $curvature:expr, $subproblem:ident, [$($globalization:ident),*]) => {
        $({
            let solver = Minimizer::new($curvature, $subproblem::default(), $globalization::default());
            let triple = concat!(stringify!($curvature), " x ", stringify!($subproblem), " x ", stringify!($globalization));
            $table.add($name, triple, &run(&$p, &$p.start, solver, 5000));
        })*
    };
}

#[test]
fn every_triple_that_compiles_meets_the_gradient_test() {
    let mut table = Table { rows: 0, failed: Vec::new() };
    for name in PROBLEMS {
        let p = problem(name, None).unwrap();
        triples!(
            table,
            name,
            p,
            [
                Hessian,
                HessianProducts,
                Absolute::<Hessian>::default(),
                Preconditioned(Hessian, Jacobi::default()),
                Bfgs::default(),
                Lbfgs::default()
            ],
            [Factorized, TruncatedCg],
            [Armijo, StrongWolfe, HagerZhang]
        );
        triples!(
            table,
            name,
            p,
            [Hessian, HessianProducts, Absolute::<Hessian>::default(), Bfgs::default(), Lbfgs::default(), Sr1::default()],
            [MoreSorensen, Steihaug, Gltr, Dogleg, TwoDimensional],
            [TrustRegion]
        );
        triples!(
            table,
            name,
            p,
            [Hessian, HessianProducts, Absolute::<Hessian>::default(), Bfgs::default(), Lbfgs::default(), Sr1::default()],
            [CubicExact, CubicLanczos],
            [CubicWeight]
        );
    }
    println!("{} runs", table.rows);
    assert!(table.failed.is_empty(), "{:#?}", table.failed);
}

#[test]
fn the_identity_makes_every_method_a_first_order_one_that_descends() {
    let p = problem("broyden_tridiag_10", None).unwrap();
    let mut table = Table { rows: 0, failed: Vec::new() };
    let name = "broyden_tridiag_10";
    triples!(table, name, p, [Identity], [Factorized, TruncatedCg], [Armijo, StrongWolfe, HagerZhang]);
    triples!(table, name, p, [Identity], [MoreSorensen, Steihaug, Gltr, Dogleg, TwoDimensional], [TrustRegion]);
    triples!(table, name, p, [Identity], [CubicExact, CubicLanczos], [CubicWeight]);
    assert!(table.failed.is_empty(), "{:#?}", table.failed);
}
