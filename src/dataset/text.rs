//! What the readers of text files share: places, numbers, files.

use crate::error::{Error, Result};
use std::path::Path;

/// A place in a file, for errors.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub file: &'a str,
    /// One-based.
    pub line: usize,
    pub column: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// The same line at a column.
    pub fn at(self, column: &'a str) -> Self {
        Self { column: Some(column), ..self }
    }

    /// [`Error::Data`] here.
    pub fn error(self, expected: impl Into<Box<str>>, found: impl Into<Box<str>>) -> Error {
        Error::Data {
            file: self.file.into(),
            line: self.line,
            column: self.column.map(Into::into),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// The finite number that `text` is.
    pub fn number(self, text: &str) -> Result<f64> {
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(self.error("a finite number", quoted(text))),
            Err(_) => Err(self.error("a number", quoted(text))),
        }
    }
}

/// At most 40 characters of `text` in backticks.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(40) {
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", &text[..end]),
    }
}

/// The text of a file, unpacked if it is packed, with the name it has in errors.
///
/// # Errors
/// As [`bytes::read`](super::bytes::read); [`Error::Data`] at the first line that is not UTF-8.
pub(super) fn read(path: &Path) -> Result<(String, String)> {
    let (file, bytes) = super::bytes::read(path)?;
    let text = decode(&file, bytes)?;
    Ok((file, text))
}

/// The text that the bytes spell.
///
/// # Errors
/// [`Error::Data`] at the first line that is not UTF-8.
pub(super) fn decode(file: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = 1 + bytes.iter().take(at).filter(|b| **b == b'\n').count();
        let byte = bytes.get(at).copied().unwrap_or_default();
        Place { file, line, column: None }.error("UTF-8 text", format!("byte 0x{byte:02x}"))
    })
}
