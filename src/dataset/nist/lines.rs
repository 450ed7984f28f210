//! The lines of a file of NIST's, found by what they start with.

use crate::dataset::text::{Place, quoted};
use crate::error::{Error, Result};

/// The lines of a file, one after another.
pub(super) struct Lines<'a> {
    file: &'a str,
    rest: std::str::Lines<'a>,
    /// Of the last line given.
    number: usize,
}

impl<'a> Lines<'a> {
    pub fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, rest: text.lines(), number: 0 }
    }

    pub fn next(&mut self) -> Option<&'a str> {
        let line = self.rest.next()?;
        self.number += 1;
        Some(line)
    }

    /// The place of the last line given.
    pub fn here(&self) -> Place<'a> {
        Place { file: self.file, line: self.number, column: None }
    }

    /// The error of a file that ends too early.
    pub fn end(&self, expected: &str, found: &str) -> Error {
        Place { file: self.file, line: self.number + 1, column: None }.error(expected, found)
    }

    /// The next line that is not blank.
    pub fn filled(&mut self, expected: &str) -> Result<&'a str> {
        while let Some(line) = self.next() {
            if !line.trim_ascii().is_empty() {
                return Ok(line);
            }
        }
        Err(self.end(expected, "end of file"))
    }

    /// The rest of the next line that starts with `label`.
    pub fn after(&mut self, label: &str) -> Result<&'a str> {
        while let Some(line) = self.next() {
            if let Some(rest) = strip_label(line, label) {
                return Ok(rest);
            }
        }
        Err(self.end(&format!("`{label}`"), "end of file"))
    }

    /// The rest of the next line that is not blank, which must start with `label`.
    pub fn labelled(&mut self, label: &str) -> Result<&'a str> {
        let line = self.filled(label)?;
        strip_label(line, label).ok_or_else(|| self.here().error(format!("`{label}`"), quoted(line.trim_ascii())))
    }

    /// The number after a label.
    pub fn value(&mut self, label: &str) -> Result<f64> {
        let text = self.labelled(label)?.trim_ascii();
        self.here().number(text)
    }

    /// The count after a label.
    pub fn count(&mut self, label: &str) -> Result<usize> {
        let text = self.labelled(label)?.trim_ascii();
        text.parse().map_err(|_| self.here().error("a count", quoted(text)))
    }

    /// The count before a noun, singular or plural, at least 1: `3 Parameters (b1 to b3)`.
    pub fn counted(&self, text: &str, noun: &str) -> Result<usize> {
        let mut words = text.split_ascii_whitespace();
        let count = words.next().and_then(|word| word.parse().ok()).filter(|count| *count > 0);
        let is_noun = words.next().is_some_and(|word| word.strip_suffix('s').unwrap_or(word) == noun);
        match count.filter(|_| is_noun) {
            Some(count) => Ok(count),
            None => Err(self.here().error(format!("a count and `{noun}`"), quoted(text.trim_ascii()))),
        }
    }
}

/// What follows `label` at the start of a line; NIST writes `Starting values` and `Starting Values`.
pub(super) fn strip_label<'a>(line: &'a str, label: &str) -> Option<&'a str> {
    let line = line.trim_ascii_start();
    let start = line.get(..label.len())?;
    start.eq_ignore_ascii_case(label).then(|| &line[label.len()..])
}
