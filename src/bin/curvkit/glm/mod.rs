//! `curvkit glm`.

mod args;
mod input;
mod show;

pub use args::GlmArgs;

use crate::Done;
use crate::failure::Failure;
use crate::output::{say, say_json, warn};
use curvkit::fit::{GlmCovariance, GlmOptions, glm};
use show::Report;
use std::time::Instant;

/// Fits a generalized linear model to a table.
pub fn glm_command(args: &GlmArgs) -> Result<Done, Failure> {
    let case = input::read(args)?;
    let options =
        GlmOptions { covariance: GlmCovariance::named(&args.se)?, max_iterations: args.max_iters, ..GlmOptions::default() };
    let began = Instant::now();
    let fit = glm(&case.model, &options)?;
    let seconds = began.elapsed().as_secs_f64();
    let intervals = fit.statistics.intervals(&fit.coefficients, args.level)?;
    let report = Report { case: &case, fit: &fit, level: args.level, intervals, seconds };
    if args.json {
        say_json(&report.json());
    } else {
        say(report.text().trim_end());
    }
    if !fit.converged() {
        warn(&format!("no verified maximum of the likelihood; scoring ended with: {}", fit.stop));
        return Ok(Done::NotConverged);
    }
    Ok(Done::Success)
}
