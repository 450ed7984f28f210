//! A progress bar on stderr, there only if stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` steps.
pub fn bar(length: usize) -> ProgressBar {
    styled(length as u64, "{bar:32} {pos}/{len} runs, {eta} left  {wide_msg}")
}

/// A bar over epochs.
pub fn epochs(length: u64) -> ProgressBar {
    styled(length, "{bar:32} {pos}/{len} epochs, {eta} left  {wide_msg}")
}

fn styled(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
