//! `curvkit minimize`.

use crate::Done;
use crate::args::MinimizeArgs;
use crate::failure::Failure;
use crate::output::{duration, number, say, say_json, warn};
use curvkit::counts::Tally;
use curvkit::problem::{Expression, Function, HessianMatrix};
use curvkit::second_order::certificate::Certificate;
use curvkit::study::{Case, Outcome, Settings, Setup, Spec, run};
use curvkit::{Error, testbed};
use std::sync::Arc;

/// The largest `--n`: beyond it even a few vectors do not fit.
const LARGEST: usize = 10_000_000;
/// The largest `--n` where matrices with `n²` entries are stored.
const LARGEST_DENSE: usize = 5000;
/// Entries of the answer that are shown.
const SHOWN: usize = 12;

/// Minimizes one function and shows what came out.
pub fn minimize(args: &MinimizeArgs) -> Result<Done, Failure> {
    let (mut case, names) = case(args)?;
    if let Some(text) = &args.start {
        case.start = start(text).map_err(Failure::in_text(text))?;
    }
    let setup = setup(args)?;
    positive_seconds(args.seconds)?;
    let seconds = setup.seconds().unwrap_or(args.seconds);
    let settings = Settings { seconds, max_iters: args.max_iters, repeats: 1, trace: false };
    let outcome = run(&case, &setup, &settings)?;
    if args.json {
        say_json(&outcome.to_json());
    } else {
        describe(&outcome, &names);
    }
    if !outcome.converged {
        warn(&format!("not converged: {}", outcome.stop.text));
        return Ok(Done::NotConverged);
    }
    Ok(Done::Success)
}

/// `Ok` for a time limit that is one.
pub fn positive_seconds(seconds: f64) -> Result<(), Error> {
    Error::check_option(seconds > 0.0 && seconds.is_finite(), "--seconds", "a finite number above 0", seconds)
}

fn case(args: &MinimizeArgs) -> Result<(Case, Vec<String>), Failure> {
    if let Some(n) = args.n {
        Error::check_option((1..=LARGEST).contains(&n), "--n", "from 1 to 10000000", n)?;
    }
    if let Some(text) = &args.expr {
        let expression = Expression::parse(text).map_err(Failure::in_text(text))?;
        let names: Vec<String> = expression.variables().to_vec();
        let start = vec![1.0; expression.dim()];
        return Ok((Case { name: text.clone(), function: Arc::new(expression), start, minima: Vec::new() }, names));
    }
    let name = args.problem.as_deref().unwrap_or_default();
    if let Some(n) = args.n.filter(|n| *n > LARGEST_DENSE) {
        let usual = testbed::problem(name, None)?;
        let dense = matches!(usual.function.hessian(&usual.start)?, HessianMatrix::Dense(_));
        Error::check_option(!dense, "--n", "at most 5000 for a problem with a dense Hessian", n)?;
    }
    let problem = testbed::problem(name, args.n)?;
    Ok((Case::from(&problem), Vec::new()))
}

fn setup(args: &MinimizeArgs) -> Result<Setup, Failure> {
    let mut spec = Spec::parse(&args.solver).map_err(Failure::in_text(&args.solver))?;
    if let Some(gtol) = &args.gtol {
        spec.options.retain(|(key, _)| key != "gtol");
        spec.options.push(("gtol".into(), gtol.trim().into()));
    }
    Ok(Setup::new(&spec)?)
}

/// Reads `v1,v2,…`.
fn start(text: &str) -> Result<Vec<f64>, Error> {
    let mut position = 0;
    let one = |part: &str| {
        let here = position;
        position += part.chars().count() + 1;
        part.trim().parse::<f64>().map_err(|_| Error::Parse {
            what: "start",
            position: here,
            reason: format!("expected a number, found `{}`", part.trim()),
        })
    };
    text.split(',').map(one).collect()
}

fn describe(o: &Outcome, names: &[String]) {
    say(&format!("problem      {} (n = {})", o.problem, o.n));
    say(&format!("solver       {}", o.solver));
    say(&format!("stop         {}", o.stop.text));
    say(&format!("cost         {}", number(o.cost)));
    say(&format!("gradient     {:.3e} (largest entry)", o.gradient_norm));
    say(&format!("x            {}", point(&o.x, names)));
    say(&format!("iterations   {}", o.iterations));
    say(&format!("evaluations  {}", evaluations(&o.counts)));
    say(&format!("time         {}", duration(o.seconds)));
    if let Some(c) = &o.certificate {
        let range = match (c.smallest_curvature, c.largest_curvature) {
            (Some(low), Some(high)) => format!(", curvature from {} to {}", number(low), number(high)),
            _ => String::new(),
        };
        let range = match c.no_curvature_below {
            Some(floor) => format!("{range}; with 99 % probability none below -{}", number(floor)),
            None => range,
        };
        let condition = c.condition_number.map_or(String::new(), |k| format!(", condition number {k:.3e}"));
        let certainty = if c.exact || range.is_empty() { "" } else { " (estimates)" };
        say(&format!("certificate  {}{range}{condition}{certainty}", o.verdict().unwrap_or_default()));
        if let Some(along) = flat(c, names) {
            say(&format!("             degenerate along {along}"));
        }
        if let (Some(decrease), Some(distance)) = (c.decrease_left, c.distance_left) {
            let at_least = if c.at_least { "at least " } else { "" };
            say(&format!("             cost within {at_least}{decrease:.1e} of its minimum, x within {at_least}{distance:.1e}"));
        }
        let (cost, time) = (evaluations(&o.certificate_counts), duration(o.certificate_seconds));
        say(&format!("             not counted above: {cost}; {time}"));
    }
}

/// The combination of variables along which the curvature vanishes.
fn flat(c: &Certificate, names: &[String]) -> Option<String> {
    let part = c.flat_variables();
    let one = |&i: &usize| match names.get(i) {
        Some(name) => format!("{:+.3} {name}", c.flat[i]),
        None => format!("{:+.3} x{}", c.flat[i], i + 1),
    };
    let shown: Vec<String> = part.iter().take(4).map(one).collect();
    let rest = if part.len() > 4 { " …" } else { "" };
    (!shown.is_empty()).then(|| format!("{}{rest}", shown.join(" ")))
}

fn point(x: &[f64], names: &[String]) -> String {
    let one = |(i, v): (usize, &f64)| match names.get(i) {
        Some(name) => format!("{name} = {}", number(*v)),
        None => number(*v),
    };
    let shown: Vec<String> = x.iter().enumerate().take(SHOWN).map(one).collect();
    let rest = if x.len() > SHOWN { format!(", … ({} entries)", x.len()) } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn evaluations(tally: &Tally) -> String {
    let names = [
        (tally.cost, "costs"),
        (tally.gradient, "gradients"),
        (tally.hessian, "Hessians"),
        (tally.hessian_product, "products"),
        (tally.factorization, "factorizations"),
        (tally.inner, "inner iterations"),
    ];
    let parts: Vec<String> =
        names.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_reads_numbers_and_says_where_one_is_not() {
        assert_eq!(start("-1.2, 1e3").unwrap(), [-1.2, 1e3]);
        assert!(start("1,NaN").unwrap()[1].is_nan());
        let message = start("1,,2").unwrap_err().to_string();
        assert_eq!(message, "cannot read start at character 2: expected a number, found ``");
    }
}
