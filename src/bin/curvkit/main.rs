//! The command line: problems and solvers by name, results on stdout, progress and warnings on stderr.

mod args;
mod compare;
mod constraints;
mod failure;
mod fit;
mod glm;
mod list;
mod minimize;
mod output;
mod predict;
mod progress;
mod race;
mod spectrum;
mod train;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

/// What a command that ran says of its result.
pub enum Done {
    /// Exit code 0.
    Success,
    /// It ran but did not converge: exit code 1.
    NotConverged,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::List(args) => list::list(args),
        Command::Minimize(args) => minimize::minimize(args),
        Command::Compare(args) => compare::compare(args),
        Command::Fit(args) => fit::fit_command(args),
        Command::Predict(args) => predict::predict(args),
        Command::Glm(args) => glm::glm_command(args),
        Command::Train(args) => train::train(args),
        Command::Spectrum(args) => spectrum::spectrum(args),
    };
    match result {
        Ok(Done::Success) => ExitCode::SUCCESS,
        Ok(Done::NotConverged) => ExitCode::from(1),
        Err(failure) => {
            output::warn(&failure.to_string());
            ExitCode::from(2)
        }
    }
}
