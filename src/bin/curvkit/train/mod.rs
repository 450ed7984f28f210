//! `curvkit train`.

mod args;
mod show;

pub use args::TrainArgs;

use crate::Done;
use crate::failure::Failure;
use crate::output::{say, say_json, warn};
use crate::progress;
use crate::spectrum::layers;
use curvkit::Error;
use curvkit::dataset::{Parts, Samples, Scaling, Source, Split};
use curvkit::study::report::{prepare, write_training};
use curvkit::study::spectrum::activation;
use curvkit::study::training::{Learner, LossKind, ModelKind, Optimizer, Training};
use show::Report;

/// Trains a model and shows the scores.
pub fn train(args: &TrainArgs) -> Result<Done, Failure> {
    let training = training(args)?;
    training.validate()?;
    let source = Source { name: args.data.clone(), target: args.target.clone(), kind: training.learner.target_kind()? };
    let samples = source.open()?;
    let split = Split { validation: args.validation, test: args.test, seed: args.seed, stratified: true };
    let (parts, constant) = scaled(samples.split(&split)?, args.standardize)?;
    if let Some(directory) = &args.out {
        prepare(directory)?;
    }
    let bar = progress::epochs(args.epochs);
    let shown = bar.clone();
    let trained = training.run(
        &parts,
        Box::new(move |point| {
            let validation = point.validation.map_or(String::new(), |loss| format!(", validation {loss:.4e}"));
            shown.set_message(format!("objective {:.4e}{validation}", point.objective));
            shown.set_position(point.epoch.round() as u64);
        }),
    );
    bar.finish_and_clear();
    let trained = trained?;
    notes(args, &parts, &constant);
    let report = Report { args, training: &training, samples: &samples, parts: &parts, constant: &constant, trained: &trained };
    let document = report.json();
    let text = report.text();
    let page = match &args.out {
        Some(directory) => Some(write_training(&trained, &report.title(), &text, &document, directory)?.display().to_string()),
        None => None,
    };
    if args.json {
        say_json(&with_page(document, page));
    } else {
        say(text.trim_end());
        page.iter().for_each(|page| say(&format!("report       {page}")));
    }
    if !trained.sound {
        warn(&format!("training did not end well: {}; the answer is the best point before that", trained.stop.text));
        return Ok(Done::NotConverged);
    }
    Ok(Done::Success)
}

fn training(args: &TrainArgs) -> Result<Training, Failure> {
    let learner = Learner {
        model: ModelKind::named(&args.model)?,
        layers: layers(&args.layers).map_err(Failure::in_text(&args.layers))?,
        activation: activation(&args.activation)?,
        loss: args.loss.as_deref().map(LossKind::named).transpose()?,
        l2: args.l2,
        seed: args.seed,
    };
    let optimizer = Optimizer::parse(&args.optimizer).map_err(Failure::in_text(&args.optimizer))?;
    let batch = match (args.batch.as_deref(), &optimizer) {
        (None, Optimizer::Stochastic { entry, .. }) => Some(entry.estimation.batch()),
        (None, Optimizer::FullBatch(_)) => None,
        (Some("all"), _) => None,
        (Some(text), Optimizer::Stochastic { .. }) => Some(batch(text)?),
        (Some(text), Optimizer::FullBatch(_)) => return Err(config("batch", "left out: the method takes all samples", text)),
    };
    let (epochs, seed, patience, seconds) = (args.epochs, args.seed, args.patience, args.seconds);
    Ok(Training { learner, optimizer, epochs, batch, seed, patience, seconds })
}

fn batch(text: &str) -> Result<usize, Failure> {
    match text.parse() {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(config("batch", "a positive number of samples, or `all`", text)),
    }
}

fn config(name: &str, requirement: &'static str, value: &str) -> Failure {
    Error::Config { name: name.into(), requirement, value: value.into() }.into()
}

/// The parts, scaled by the training part if asked for, and the names of its constant features.
pub fn scaled(parts: Parts, standardize: bool) -> Result<(Parts, Vec<String>), Failure> {
    if !standardize {
        return Ok((parts, Vec::new()));
    }
    let scaling = Scaling::standard(parts.train.features())?;
    let constant = scaling.constant.iter().map(|&j| parts.train.feature_name(j)).collect();
    let apply = |samples: &Samples| scaling.apply(samples);
    let parts = Parts {
        train: apply(&parts.train)?,
        validation: parts.validation.as_ref().map(apply).transpose()?,
        test: parts.test.as_ref().map(apply).transpose()?,
    };
    Ok((parts, constant))
}

/// What a user may not expect, on stderr.
fn notes(args: &TrainArgs, parts: &Parts, constant: &[String]) {
    let n = parts.train.n();
    if let Some(batch) = args.batch.as_ref().and_then(|text| text.parse::<usize>().ok()).filter(|batch| *batch > n) {
        warn(&format!("note: a batch of {batch} is all {n} training samples"));
    }
    if !constant.is_empty() {
        let names: Vec<String> = constant.iter().take(8).map(|name| format!("`{name}`")).collect();
        let more = if constant.len() > 8 { ", …" } else { "" };
        warn(&format!("note: constant in the training samples and set to 0: {}{more}", names.join(", ")));
    }
}

fn with_page(mut document: serde_json::Value, page: Option<String>) -> serde_json::Value {
    if let (serde_json::Value::Object(fields), Some(page)) = (&mut document, page) {
        fields.insert("report".into(), page.into());
    }
    document
}
