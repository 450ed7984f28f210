//! What is fitted: a formula over a table, or one of NIST's regressions.

use crate::args::FitArgs;
use crate::failure::Failure;
use curvkit::dataset::{Table, nist};
use curvkit::fit::Formula;
use curvkit::problem::{LeastSquares, ResidualHessian, RobustLoss};
use curvkit::{Error, testbed};

/// Prediction and gradient at parameters and a place on the horizontal axis.
type Curve = Box<dyn Fn(&[f64], f64) -> Option<(f64, Vec<f64>)>>;

/// What is fitted, from where, and how it is drawn.
pub struct Case {
    pub title: String,
    pub names: Vec<String>,
    pub start: Vec<f64>,
    /// Observations with their weights.
    pub response: Vec<(f64, f64)>,
    pub response_name: String,
    /// NIST's parameters.
    pub certified: Option<Vec<f64>>,
    /// Name and values of the horizontal axis.
    pub x: (String, Vec<f64>),
    /// The model along that axis, if it is the only predictor.
    pub curve: Option<Curve>,
}

/// A formula over the columns of a table.
pub fn formula_case(args: &FitArgs) -> Result<(Case, Formula), Failure> {
    let (text, file) = (args.model.as_deref().unwrap_or_default(), args.data.as_deref().unwrap_or_default());
    let table = Table::read(file)?;
    let (names, start) = parameters(args.params.as_deref().unwrap_or_default())?;
    let formula =
        Formula::new(text, &names, &table, args.y.as_deref(), args.weights.as_deref()).map_err(Failure::in_text(text))?;
    let (Some(response), Some(response_name)) = (formula.response(), formula.response_name()) else {
        return Err(wrong("--y", "given, or the model written as `y = …`", text));
    };
    if response.len() < names.len() {
        let found = format!("{} rows for {} parameters", response.len(), names.len());
        return Err(wrong("--data", "a table with at least as many rows as parameters", &found));
    }
    let response_name = response_name.to_string();
    let response: Vec<(f64, f64)> = response.iter().enumerate().map(|(i, y)| (*y, formula.weight(i))).collect();
    let axis = args.x.as_ref().or(match formula.columns() {
        [only] => Some(only),
        _ => None,
    });
    let x = match axis {
        Some(name) => (name.clone(), table.column(name)?.to_vec()),
        None => ("row".into(), (1..=response.len()).map(|i| i as f64).collect()),
    };
    let curve = (formula.columns() == std::slice::from_ref(&x.0)).then(|| {
        let formula = formula.clone();
        Box::new(move |b: &[f64], x: f64| formula.predict_at(b, &[x]).ok()) as Curve
    });
    let title = format!("{text} on {file}");
    Ok((Case { title, names, start, response, response_name, certified: None, x, curve }, formula))
}

/// One of NIST's regressions.
pub fn nist_case(name: &str, start: usize) -> Result<(Case, LeastSquares<impl ResidualHessian + 'static>), Failure> {
    let known = nist::names().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(name);
    Error::check_option((1..=2).contains(&start), "--start", "1 or 2", start)?;
    let regression = testbed::nist::regression(known)?;
    let data = regression.0.data().clone();
    let x = match data.predictor_names.as_slice() {
        [only] => (only.clone(), data.predictors.clone()),
        _ => ("row".into(), (1..=data.n_observations()).map(|i| i as f64).collect()),
    };
    let curve = (data.predictor_names.len() == 1).then(|| {
        let model = regression.0.clone();
        Box::new(move |b: &[f64], x: f64| Some(model.predict(b, &[x]))) as Curve
    });
    let case = Case {
        title: format!("NIST {known}, start {start}"),
        names: (1..=data.n_parameters()).map(|j| format!("b{j}")).collect(),
        start: data.starts[start - 1].clone(),
        response: data.target().into_iter().map(|y| (y, 1.0)).collect(),
        response_name: if data.log_response { format!("log({})", data.response_name) } else { data.response_name.clone() },
        certified: Some(data.certified.clone()),
        x,
        curve,
    };
    Ok((case, LeastSquares::new(regression)))
}

fn wrong(name: &str, requirement: &'static str, value: &str) -> Failure {
    Error::Config { name: name.into(), requirement, value: value.into() }.into()
}

/// Reads `NAME` or `NAME:SCALE`.
pub fn loss(text: &str) -> Result<(RobustLoss, Option<f64>), Failure> {
    let (name, scale) = text.split_once(':').map_or((text, None), |(name, scale)| (name, Some(scale)));
    let number = |scale: &str| {
        let value = scale.trim().parse::<f64>().ok().filter(|v| *v > 0.0 && v.is_finite());
        value.ok_or(Error::Config {
            name: "--loss".into(),
            requirement: "NAME or NAME:SCALE with a positive scale",
            value: text.into(),
        })
    };
    Ok((RobustLoss::named(name.trim())?, scale.map(number).transpose()?))
}

/// Reads `b1=v,b2=v`.
fn parameters(text: &str) -> Result<(Vec<String>, Vec<f64>), Failure> {
    let (mut names, mut start) = (Vec::new(), Vec::new());
    let mut position = 0;
    for part in text.split(',') {
        let wrong = |reason: String| Failure::in_text(text)(Error::Parse { what: "parameters", position, reason });
        let Some((name, value)) = part.split_once('=') else {
            return Err(wrong(format!("expected NAME=START, found `{}`", part.trim())));
        };
        let (name, value) = (name.trim(), value.trim());
        let value: f64 = value.parse().map_err(|_| wrong(format!("expected a number for `{name}`, found `{value}`")))?;
        if !value.is_finite() {
            return Err(wrong(format!("the start of `{name}` must be finite")));
        }
        if name.is_empty() || names.iter().any(|known| known == name) {
            return Err(wrong(format!("`{name}` must be a name that is given once")));
        }
        names.push(name.to_string());
        start.push(value);
        position += part.chars().count() + 1;
    }
    Ok((names, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_names_with_starts() {
        let read = parameters("b1=1.5, b2=-2e3");
        assert_eq!(read.map_err(|e| e.to_string()).unwrap(), (vec!["b1".to_string(), "b2".to_string()], vec![1.5, -2e3]));
        for (text, part) in [("b1", "character 0"), ("a=1,b=x", "character 4"), ("a=1,a=2", "given once"), ("a=inf", "finite")] {
            let message = parameters(text).map_err(|e| e.to_string()).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
