//! `curvkit compare --data`: methods of training side by side.

use crate::Done;
use crate::args::CompareArgs;
use crate::failure::Failure;
use crate::minimize::positive_seconds;
use crate::output::{duration, say, say_json};
use crate::progress::bar;
use crate::spectrum::layers;
use crate::train::scaled;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use curvkit::dataset::{Source, Split};
use curvkit::study::report;
use curvkit::study::spectrum::activation;
use curvkit::study::training::{Band, EXCESSES, Lane, Learner, LossKind, ModelKind, Optimizer, Race, Raced, half_decades};
use curvkit::study::{Spec, counts};
use serde_json::{Value, json};

/// Methods of a comparison that names none.
const DEFAULT_METHODS: &str = "sgd,momentum,nesterov,rms_prop,adam,adam_w,sag,saga,svrg,lbfgs,newton_cg";

#[derive(Debug, Args)]
pub struct RaceArgs {
    /// Compare methods of training on an embedded data set (`curvkit list datasets`) or a file instead of solvers on problems.
    #[arg(long, value_name = "NAME|FILE")]
    pub data: Option<String>,
    /// The target: a column of a table, its last one if left out; for npy and IDX files the file that holds it.
    #[arg(long, value_name = "NAME|FILE", requires = "data")]
    pub target: Option<String>,
    /// linear, logistic, multinomial, svm or mlp.
    #[arg(long, value_name = "NAME", default_value = "multinomial", requires = "data")]
    pub model: String,
    /// Units of the hidden layers of an mlp.
    #[arg(long, value_name = "N1,N2,…", default_value = "16", requires = "data")]
    pub layers: String,
    /// Activation of the hidden layers.
    #[arg(long, value_name = "NAME", default_value = "tanh", requires = "data")]
    pub activation: String,
    /// The loss, where it does not follow from model and target.
    #[arg(long, value_name = "NAME", requires = "data")]
    pub loss: Option<String>,
    /// Weight of the penalty ½ λ ‖w‖² [default: 1e-3].
    #[arg(long, value_name = "L", allow_hyphen_values = true, requires = "data")]
    pub l2: Option<f64>,
    /// Budget of each run in gradient equivalents: passes through the training samples.
    #[arg(long, value_name = "N", default_value_t = 30, requires = "data")]
    pub epochs: u64,
    /// Samples in a batch [default: 32; sag, saga, svrg: 1].
    #[arg(long, value_name = "B", requires = "data")]
    pub batch: Option<usize>,
    /// Runs of each random method.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "data")]
    pub seeds: u64,
    /// Learning rates that each method without one is tuned over: half decades around its default.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "data")]
    pub rates: usize,
    /// Shift and scale features to mean zero and deviation one, as measured on the training samples.
    #[arg(long, requires = "data")]
    pub standardize: bool,
    /// Share of the samples that is scored once a run, at its end.
    #[arg(long, value_name = "F", default_value_t = 0.2, allow_hyphen_values = true, requires = "data")]
    pub test: f64,
    /// Seed of the parts and the first parameters.
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "data")]
    pub seed: u64,
}

/// Tunes and runs every method, shows one table and writes the report.
pub fn race(args: &CompareArgs, data: &str) -> Result<Done, Failure> {
    let set = &args.race;
    let race = read(args)?;
    race.validate()?;
    let source = Source { name: data.into(), target: set.target.clone(), kind: race.learner.target_kind()? };
    let samples = source.open()?;
    let split = Split { validation: 0.0, test: set.test, seed: set.seed, stratified: true };
    let (parts, _) = scaled(samples.split(&split)?, set.standardize)?;
    report::prepare(&args.out)?;
    let bar = bar(race.n_runs());
    let raced = race.run(&parts, &mut |name| {
        bar.set_message(name.to_string());
        bar.inc(1);
    });
    bar.finish_and_clear();
    let raced = raced?;
    let title = format!("{} model on {}, {} training samples", set.model, samples.title(), parts.train.n());
    let text = text(&race, &raced, &title);
    let mut document = json(&race, &raced, &title);
    let page = report::write_race(&raced, &title, &text, &document, &args.out)?;
    if args.json {
        if let Value::Object(fields) = &mut document {
            fields.insert("report".into(), page.display().to_string().into());
        }
        say_json(&document);
    } else {
        say(&text);
        say(&format!("report: {}", page.display()));
    }
    Ok(Done::Success)
}

fn read(args: &CompareArgs) -> Result<Race, Failure> {
    let set = &args.race;
    let learner = Learner {
        model: ModelKind::named(&set.model)?,
        layers: layers(&set.layers).map_err(Failure::in_text(&set.layers))?,
        activation: activation(&set.activation)?,
        loss: set.loss.as_deref().map(LossKind::named).transpose()?,
        l2: Some(set.l2.unwrap_or(1e-3)),
        seed: set.seed,
    };
    let list = args.solvers.as_deref().unwrap_or(DEFAULT_METHODS);
    let parse = |spec: &Spec| Optimizer::parse(&spec.to_string());
    let optimizers = Spec::parse_list(list).and_then(|specs| specs.iter().map(parse).collect());
    if let Some(seconds) = args.seconds {
        positive_seconds(seconds)?;
    }
    Ok(Race {
        learner,
        optimizers: optimizers.map_err(Failure::in_text(list))?,
        epochs: set.epochs,
        batch: set.batch,
        seeds: set.seeds,
        factors: half_decades(set.rates),
        seconds: args.seconds,
    })
}

fn text(race: &Race, raced: &Raced, title: &str) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut header = vec!["METHOD".to_string(), "RUNS".into(), "EXCESS".into(), "10–90 %".into()];
    header.extend(EXCESSES.map(|excess| format!("TO {excess:.0e}")));
    header.extend(["TIME".into(), "TEST".into()]);
    table.set_header(header);
    for lane in &raced.lanes {
        table.add_row(row(raced, lane));
    }
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let at_end: Vec<&str> = raced.lanes.iter().filter(|lane| lane.at_end_of_grid()).map(|lane| lane.optimizer.as_str()).collect();
    let end = match at_end.is_empty() {
        true => String::new(),
        false => format!("\nAt the end of its grid, where a wider one (--rates) may do better: {}.", at_end.join("; ")),
    };
    let rates: Vec<String> = race.factors.iter().map(|factor| format!("{factor:.3}")).collect();
    format!(
        "{title}\nf* = {:.12}; budget {} gradient equivalents a run\n\n{}\n\n\
         excess: (f − f*) / max(1, |f*|) at the end of the budget, median and middle 80 % over the seeds, f* by a trust-region\n\
         method from the best answer; to …: gradient equivalents until then, medians; time: median of the runs; test: median\n\
         accuracy (or error), scored once a run. Stochastic methods without a given rate were tuned, with another seed, by\n\
         {} runs each at {} times their default.{end}",
        raced.lowest,
        raced.budget,
        table.trim_fmt(),
        race.factors.len(),
        rates.join(", ")
    )
}

fn row(raced: &Raced, lane: &Lane) -> Vec<String> {
    let short = |value: f64| if value.is_finite() { format!("{value:.1e}") } else { "–".into() };
    let mut row = vec![lane.optimizer.clone(), lane.runs.len().to_string()];
    let end = raced.at(lane, raced.budget);
    row.push(end.map_or("–".into(), |band| short(band.median)));
    let several = end.filter(|_| lane.runs.len() > 1);
    row.push(several.map_or(String::new(), |band| format!("{} {}", short(band.low), short(band.high))));
    for excess in EXCESSES {
        let work = raced.until(lane, excess).map_or(f64::INFINITY, |(work, _)| work.median);
        row.push(if work.is_finite() { format!("{work:.1}") } else { "–".into() });
    }
    let median = |values: Vec<f64>| Band::of(values).map(|band| band.median);
    row.push(median(lane.runs.iter().map(|run| run.seconds).collect()).map_or("–".into(), duration));
    let accuracy = median(lane.runs.iter().filter_map(|run| run.test?.accuracy).collect());
    let error = median(lane.runs.iter().filter_map(|run| run.test?.rmse).collect());
    row.push(match (accuracy, error) {
        (Some(accuracy), _) => format!("{:.2}%", 100.0 * accuracy),
        (None, Some(error)) => format!("{error:.4}"),
        (None, None) => "–".into(),
    });
    row
}

fn json(race: &Race, raced: &Raced, title: &str) -> Value {
    // JSON has no infinity.
    let number = |value: f64| value.is_finite().then_some(value);
    let lane = |lane: &Lane| {
        let until = EXCESSES.map(|excess| {
            let band = raced.until(lane, excess);
            let [work, seconds] = [band.map(|b| b.0.median), band.map(|b| b.1.median)].map(|v| v.and_then(number));
            json!({ "excess": excess, "gradient_equivalents": work, "seconds": seconds })
        });
        let end = raced.at(lane, raced.budget).map(|band| [band.low, band.median, band.high].map(number));
        let tuning: Vec<Value> =
            lane.tuning.iter().map(|(rate, f)| json!({ "learning_rate": rate, "objective": number(*f) })).collect();
        let runs: Vec<Value> = lane
            .runs
            .iter()
            .map(|run| {
                json!({
                    "objective": run.objective, "stop": run.stop, "epochs": run.epochs, "samples_seen": run.samples,
                    "gradient_equivalents": run.work(), "seconds": run.seconds, "counts": counts(&run.counts),
                    "train": run.train, "test": run.test,
                })
            })
            .collect();
        json!({
            "optimizer": lane.optimizer, "tuning": tuning, "at_end_of_grid": lane.at_end_of_grid(),
            "tuning_gradient_equivalents": lane.tuning_work, "excess": end, "until": until, "runs": runs,
        })
    };
    json!({
        "title": title, "lowest": raced.lowest, "budget": raced.budget, "factors": race.factors, "seeds": race.seeds,
        "methods": raced.lanes.iter().map(lane).collect::<Vec<_>>(),
    })
}
