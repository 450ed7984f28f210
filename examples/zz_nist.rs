use argmin::core::{Executor, IterState, Solver};
use curvkit::{problem::{LeastSquares, Residuals}, second_order::methods, testbed::nist::{regression, Regression}, dataset::nist, problem::AutoResiduals};
type V = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;
type O = LeastSquares<AutoResiduals<Regression>>;
fn run<S: Solver<O, V>>(p: &O, start: &[f64], s: S) -> Option<(u64, f64, Vec<f64>, String)> {
    let r = Executor::new(p.clone(), s).configure(|s: V| s.param(start.to_vec()).max_iters(1000)).timer(false).run().ok()?;
    Some((r.state.iter, r.state.best_cost, r.state.best_param.unwrap(), format!("{:?}", r.state.termination_status)))
}
fn lre(x: &[f64], c: &[f64]) -> f64 { x.iter().zip(c).map(|(x, c)| -((x - c).abs() / c.abs()).max(1e-11).log10()).fold(f64::INFINITY, f64::min) }
fn main() {
    let mut tot = [0; 4]; let mut sum = [0.0; 4];
    for name in nist::names() {
        let r = regression(name).unwrap(); let d = r.0.data().clone(); let p: O = LeastSquares::new(r);
        for s in 0..2 {
            let tune = |s: &mut curvkit::second_order::stopping::Stopping| { s.gtol_abs = 0.0; s.gtol_rel = 1e-12; s.ftol = 1e-13; };
            let mut a = methods::levenberg_marquardt().bare(); tune(&mut a.stopping);
            let mut b = methods::levenberg_marquardt_nielsen().bare(); tune(&mut b.stopping);
            let mut c = methods::gauss_newton().bare(); tune(&mut c.stopping);
            let mut e = methods::newton().bare(); tune(&mut e.stopping);
            let rs = [run(&p, &d.starts[s], a), run(&p, &d.starts[s], b), run(&p, &d.starts[s], c), run(&p, &d.starts[s], e)];
            let mut row = format!("{name:10} {} m {:3} n {} ", s + 1, p.residuals().m(), p.residuals().n());
            for (i, r) in rs.iter().enumerate() { match r { None => row += " err ", Some((it, _, x, st)) => { let l = lre(x, &d.certified); if l >= 4.0 { tot[i] += 1; } sum[i] += l.max(0.0); row += &format!(" {it:4}/{l:5.1}"); if i == 0 && l < 4.0 { row += st; } } } }
            println!("{row}");
        }
    }
    println!("{tot:?} {:?}", sum.map(|s| s / 54.0));
}
