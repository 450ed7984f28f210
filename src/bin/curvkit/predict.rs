//! `curvkit predict`: a saved fit applied to new rows.

use crate::Done;
use crate::args::PredictArgs;
use crate::failure::Failure;
use crate::output::{say, say_json};
use curvkit::Error;
use curvkit::dataset::Table;
use curvkit::fit::{Formula, Statistics};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Saved {
    curvkit_fit: u64,
    model: String,
    parameters: Vec<String>,
    estimates: Vec<f64>,
    statistics: Statistics,
}

/// Predicts each row of a table, with confidence and prediction intervals, as CSV on stdout.
pub fn predict(args: &PredictArgs) -> Result<Done, Failure> {
    let saved = load(&args.fit)?;
    let table = Table::read(&args.data)?;
    // Only the right side counts: new rows need no observations.
    let right = saved.model.split_once(['=', '~']).map_or(saved.model.as_str(), |(_, right)| right);
    let formula = Formula::new(right, &saved.parameters, &table, None, None).map_err(Failure::in_text(right))?;
    let t = saved.statistics.quantile(args.level)?;
    let columns: Vec<&[f64]> = formula.columns().iter().map(|name| table.column(name)).collect::<Result<_, _>>()?;
    let mut rows: Vec<Value> = Vec::new();
    if !args.json {
        let names: Vec<&str> = formula.columns().iter().map(String::as_str).collect();
        say(&[&names[..], &["prediction", "mean_lower", "mean_upper", "lower", "upper"]].concat().join(","));
    }
    for (i, (value, gradient)) in formula.predict(&saved.estimates)?.into_iter().enumerate() {
        let mean = t * saved.statistics.prediction_error(&gradient, false);
        let new = t * saved.statistics.prediction_error(&gradient, true);
        let numbers = [value, value - mean, value + mean, value - new, value + new];
        if args.json {
            let inputs: Vec<f64> = columns.iter().map(|column| column[i]).collect();
            rows.push(json!({ "inputs": inputs, "prediction": numbers[0], "mean": numbers[1..3], "observation": numbers[3..5] }));
        } else {
            let fields: Vec<String> = columns.iter().map(|column| column[i]).chain(numbers).map(|v| v.to_string()).collect();
            say(&fields.join(","));
        }
    }
    if args.json {
        say_json(&json!({ "columns": formula.columns(), "level": args.level, "rows": rows }));
    }
    Ok(Done::Success)
}

fn load(path: &str) -> Result<Saved, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.into(), source })?;
    let wrong = |line: usize, found: String| Error::Data {
        file: path.into(),
        line,
        column: None,
        expected: "a fit that `curvkit fit --save` wrote".into(),
        found: found.into(),
    };
    let saved: Saved = serde_json::from_str(&text).map_err(|e| wrong(e.line(), e.to_string()))?;
    let n = saved.parameters.len();
    let fits = saved.curvkit_fit == 1 && saved.estimates.len() == n && saved.statistics.covariance.len() == n * n;
    if !fits {
        return Err(wrong(1, "numbers that do not fit together".into()).into());
    }
    Ok(saved)
}
