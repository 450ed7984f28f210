//! From flags and a file to a model.

use super::args::GlmArgs;
use crate::failure::Failure;
use curvkit::Error;
use curvkit::dataset::Records;
use curvkit::fit::{Terms, Value};
use curvkit::problem::{Family, Glm, Link};

/// What is fitted.
pub struct Case {
    pub title: String,
    pub names: Vec<String>,
    pub model: Glm,
}

/// A column or expression with its values.
struct Column {
    value: Value,
    values: Vec<f64>,
}

pub fn read(args: &GlmArgs) -> Result<Case, Failure> {
    let family = Family::named(&args.family)?;
    let link = args.link.as_deref().map_or(Ok(family.canonical_link()), Link::named)?;
    if args.trials.is_some() && family != Family::Binomial {
        let requirement = "left out, or used with --family binomial";
        return Err(Error::Config { name: "--trials".into(), requirement, value: args.family.clone() }.into());
    }
    let records = Records::read(&args.data)?;
    let column = |text: &str| -> Result<Column, Failure> {
        let value = Value::parse(text, &records).map_err(Failure::in_text(text))?;
        let values = value.values(&records)?;
        Ok(Column { value, values })
    };
    let optional = |text: &Option<String>| text.as_deref().map(column).transpose();

    let mut response = column(&args.response)?;
    let trials = optional(&args.trials)?;
    if let Some(trials) = &trials {
        proportions(&mut response, trials, &records)?;
    }
    let terms = Terms::parse(&args.terms, &records).map_err(Failure::in_text(&args.terms))?;
    let design = terms.design(&records)?;
    let located = |name: &str, error: Error| match error {
        Error::Observation { row, requirement, value, .. } => {
            records.error(row, name, &format!("{requirement} ({family})"), &value.to_string())
        }
        other => other,
    };
    let (y, name) = (response.values, response.value.column().to_string());
    let mut model = Glm::new(family, link, design.names.len(), design.entries, y).map_err(|e| located(&name, e))?;
    if let Some(column) = optional(&args.weights)?.or(trials) {
        model = model.with_weights(column.values).map_err(|e| located(column.value.column(), e))?;
    }
    if let Some(column) = optional(&args.offset)? {
        model = model.with_offset(column.values).map_err(|e| located(column.value.column(), e))?;
    }
    if let Some(column) = optional(&args.frequencies)? {
        model = model.with_frequencies(column.values).map_err(|e| located(column.value.column(), e))?;
    }
    let title = format!("{} ~ {} on {}", args.response, args.terms, args.data);
    Ok(Case { title, names: design.names, model })
}

/// Successes over trials; a row without trials is left without weight.
fn proportions(successes: &mut Column, trials: &Column, records: &Records) -> Result<(), Failure> {
    for (row, (k, n)) in successes.values.iter_mut().zip(&trials.values).enumerate() {
        if !(*n >= 0.0) {
            return Err(records.error(row, trials.value.column(), "trials that are not negative", &n.to_string()).into());
        }
        if !(*k >= 0.0 && *k <= *n) {
            let expected = format!("successes between 0 and {n} trials");
            return Err(records.error(row, successes.value.column(), &expected, &k.to_string()).into());
        }
        *k = if *n > 0.0 { *k / n } else { 0.0 };
    }
    Ok(())
}
