//! Named columns of text, read as numbers only where they are asked for ([`Records`]).

use super::{Rows, listed, read_names};
use crate::dataset::text::{self, Place};
use crate::error::{Error, Result};
use csv::StringRecord;
use std::path::Path;

/// A table of text fields in the format of [`Table`](super::Table), for data in which some columns are no numbers.
///
/// # Example
/// ```
/// let records = curvkit::dataset::Records::parse("dose.csv", "group, dose\na, 1.5\nb, high\n")?;
/// assert_eq!(records.texts("group")?, ["a", "b"]);
/// let error = records.numbers("dose").unwrap_err();
/// assert_eq!(error.to_string(), "dose.csv:3: column `dose`: expected a number, found `high`");
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    file: String,
    header_line: usize,
    names: Vec<String>,
    /// Line and fields of each row.
    rows: Vec<(usize, StringRecord)>,
}

impl Records {
    /// The records in a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] as for [`parse`](Self::parse), and at the first line that is not UTF-8.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let (file, text) = text::read(path.as_ref())?;
        Self::parse(&file, &text)
    }

    /// The records that `text` spells; `file` is its name in errors.
    ///
    /// # Errors
    /// [`Error::Data`] with line and column: no header, an empty or repeated name, no rows, a row of another length, a quote
    /// that does not open and close a whole field.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Rows::new(file, text);
        let Some(header) = reader.next()? else {
            return Err(reader.end().error("a header row of column names", "end of file"));
        };
        let header_line = header.line;
        let names = read_names(header, reader.fields())?;
        let mut rows = Vec::new();
        while let Some(here) = reader.next()? {
            let fields: StringRecord = reader.fields().collect();
            if fields.len() != names.len() {
                return Err(here.error(format!("{} fields", names.len()), fields.len().to_string()));
            }
            rows.push((here.line, fields));
        }
        if rows.is_empty() {
            return Err(reader.end().error("rows under the header", "end of file"));
        }
        Ok(Self { file: file.into(), header_line, names, rows })
    }

    /// The names of the columns, in the file's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of rows below the header, at least 1.
    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// The fields of a column.
    ///
    /// # Errors
    /// [`Error::Data`] at the header, with the names that are there.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>> {
        let j = self.position(name)?;
        Ok(self.rows.iter().map(|(_, fields)| &fields[j]).collect())
    }

    /// The zero-based number of a column.
    ///
    /// # Errors
    /// [`Error::Data`] at the header, with the names that are there.
    pub fn position(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|known| known == name).ok_or_else(|| {
            let here = Place { file: &self.file, line: self.header_line, column: Some(name) };
            here.error("a column of this name", listed(&self.names))
        })
    }

    /// The field in a zero-based row and column; nothing where there is none.
    pub fn text(&self, row: usize, column: usize) -> &str {
        self.rows.get(row).and_then(|(_, fields)| fields.get(column)).unwrap_or_default()
    }

    /// A column of finite numbers.
    ///
    /// # Errors
    /// [`Error::Data`] at the header for a column that is not there, else at the first field that is no finite number.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let texts = self.texts(name)?;
        texts.iter().enumerate().map(|(row, text)| self.place(row, name).number(text)).collect()
    }

    /// The finite number in a zero-based row and column.
    ///
    /// # Errors
    /// [`Error::Data`] there.
    pub(in crate::dataset) fn number(&self, row: usize, column: usize) -> Result<f64> {
        let name = self.names.get(column).map_or("", String::as_str);
        self.place(row, name).number(self.text(row, column))
    }

    /// The name of the file in errors.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// [`Error::Data`] at the header.
    pub(in crate::dataset) fn header_error(&self, column: &str, expected: &str, found: &str) -> Error {
        Place { file: &self.file, line: self.header_line, column: Some(column) }.error(expected, found)
    }

    /// [`Error::Data`] at a zero-based row and a column.
    pub fn error(&self, row: usize, column: &str, expected: &str, found: &str) -> Error {
        self.place(row, column).error(expected, found)
    }

    fn place<'a>(&'a self, row: usize, column: &'a str) -> Place<'a> {
        let line = self.rows.get(row).map_or(self.header_line, |(line, _)| *line);
        Place { file: &self.file, line, column: Some(column) }
    }
}
