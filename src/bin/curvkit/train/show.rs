//! The result of `curvkit train`, for people and as JSON.

use super::TrainArgs;
use crate::output::{duration, number};
use comfy_table::{CellAlignment, Table, presets};
use curvkit::dataset::{Parts, Samples};
use curvkit::study::counts;
use curvkit::study::training::{Score, Trained, Training};
use serde_json::{Value, json};
use std::fmt::Write;

/// What there is to show.
pub struct Report<'a> {
    pub args: &'a TrainArgs,
    pub training: &'a Training,
    pub samples: &'a Samples,
    pub parts: &'a Parts,
    pub constant: &'a [String],
    pub trained: &'a Trained,
}

/// Most parameters that a JSON document holds.
const MOST_PARAMETERS: usize = 10_000;

impl Report<'_> {
    pub fn title(&self) -> String {
        let model = match self.args.model.as_str() {
            "mlp" => format!("mlp {} ({})", self.args.layers, self.args.activation),
            model => format!("{model} model"),
        };
        format!(
            "{model} with {} loss on {} by {}",
            self.trained.loss.name(),
            self.samples.title(),
            self.training.optimizer.name()
        )
    }

    fn sizes(&self) -> (usize, usize, usize) {
        let n = |part: &Option<Samples>| part.as_ref().map_or(0, Samples::n);
        (self.parts.train.n(), n(&self.parts.validation), n(&self.parts.test))
    }

    pub fn text(&self) -> String {
        let t = self.trained;
        let mut out = format!("{}\n", self.title());
        let (train, validation, test) = self.sizes();
        let classes = match self.samples.target().classes().len() {
            0 => String::new(),
            c => format!(", {c} classes"),
        };
        let seed = self.args.seed;
        let _ = writeln!(
            out,
            "samples      {train} training, {validation} validation, {test} test (seed {seed}); {} features{classes}",
            self.samples.dim()
        );
        let _ = writeln!(out, "parameters   {}", t.n_parameters);
        let _ = writeln!(
            out,
            "run          {} epochs, {} samples seen, {}; {}",
            number(t.epochs),
            t.samples,
            duration(t.seconds),
            t.stop.text
        );
        let _ = writeln!(out, "objective    {}", number(t.objective));
        if let Some(epoch) = self.chosen() {
            let _ = writeln!(out, "answer       lowest validation loss, at epoch {}", number(epoch));
        }
        out.push('\n');
        out.push_str(&self.table());
        out.push('\n');
        out
    }

    /// The epoch with the lowest validation loss.
    fn chosen(&self) -> Option<f64> {
        let with = |p: &curvkit::study::training::EpochPoint| p.validation.map(|loss| (loss, p.epoch));
        let seen = self.trained.history.iter().filter_map(with).filter(|(loss, _)| loss.is_finite());
        seen.reduce(|best, next| if next.0 < best.0 { next } else { best }).map(|(_, epoch)| epoch)
    }

    fn table(&self) -> String {
        let t = self.trained;
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let classes = t.train.accuracy.is_some();
        table.set_header(if classes {
            vec!["PART", "SAMPLES", "LOSS", "ACCURACY"]
        } else {
            vec!["PART", "SAMPLES", "LOSS", "RMSE", "R²"]
        });
        let parts = [("train", Some(&t.train)), ("validation", t.validation.as_ref()), ("test", t.test.as_ref())];
        for (name, score) in parts {
            if let Some(score) = score {
                table.add_row(row(name, score));
            }
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table.trim_fmt()
    }

    pub fn json(&self) -> Value {
        let t = self.trained;
        let (train, validation, test) = self.sizes();
        let parameters = (t.n_parameters <= MOST_PARAMETERS).then_some(&t.parameters);
        json!({
            "title": self.title(),
            "data": self.samples.title(),
            "model": self.args.model,
            "loss": t.loss,
            "optimizer": self.training.optimizer.name(),
            "l2": self.training.learner.penalty(),
            "seed": self.args.seed,
            "samples": { "train": train, "validation": validation, "test": test },
            "features": self.samples.dim(),
            "classes": self.samples.target().classes(),
            "constant_features": self.constant,
            "n_parameters": t.n_parameters,
            "parameters": parameters,
            "epochs": t.epochs,
            "samples_seen": t.samples,
            "seconds": t.seconds,
            "stop": t.stop,
            "converged": t.sound,
            "objective": t.objective,
            "chosen_epoch": self.chosen(),
            "train": t.train,
            "validation": t.validation,
            "test": t.test,
            "counts": counts(&t.counts),
            "history": t.history,
        })
    }
}

fn row(name: &str, score: &Score) -> Vec<String> {
    let mut row = vec![name.to_string(), score.n.to_string(), format!("{:.6}", score.loss)];
    match score.accuracy {
        Some(accuracy) => row.push(format!("{:.2}%", 100.0 * accuracy)),
        None => {
            row.push(score.rmse.map_or("–".into(), |rmse| format!("{rmse:.6}")));
            row.push(score.r2.map_or("–".into(), |r2| format!("{r2:.4}")));
        }
    }
    row
}
