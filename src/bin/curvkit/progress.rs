//! A progress bar on stderr, there only if stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `length` steps.
pub fn bar(length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} runs, {eta} left  {wide_msg}") {
        bar.set_style(style);
    }
    bar
}
