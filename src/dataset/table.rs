//! Named columns of numbers from delimited text ([`Table`]).
//!
//! A header row of names, then rows of finite numbers. Fields are separated by tabs if the header has one, else by
//! semicolons, else by commas, else by blanks. A field may be quoted as in RFC 4180; lines that start with `#`, blank lines
//! and a byte order mark are skipped; lines end with `\n` or `\r\n`.

mod records;
#[cfg(test)]
mod tests;

use super::text::{self, Place, quoted};
use crate::error::Result;
use csv::{ReaderBuilder, StringRecord, Terminator, Trim};
use std::borrow::Cow;
use std::path::Path;

pub use records::Records;

/// Named columns of equally many finite numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    file: String,
    header_line: usize,
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
}

impl Table {
    /// The table in a file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io); [`Error::Data`](crate::Error::Data) as for [`parse`](Self::parse), and at the first line that is not UTF-8.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let (file, text) = text::read(path.as_ref())?;
        Self::parse(&file, &text)
    }

    /// The table that `text` spells; `file` is its name in errors.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) with line and column: no header, an empty or repeated name, no rows, a row of another length, a field
    /// that is no finite number, a quote that does not open and close a whole field.
    ///
    /// # Example
    /// ```
    /// let table = curvkit::dataset::Table::parse("decay.csv", "time, dose\n0, 1.5\n2, 0.75\n")?;
    /// assert_eq!(table.column("dose")?, [1.5, 0.75]);
    ///
    /// let error = curvkit::dataset::Table::parse("decay.csv", "time, dose\n0, high\n").unwrap_err();
    /// assert_eq!(error.to_string(), "decay.csv:2: column `dose`: expected a number, found `high`");
    /// # Ok::<(), curvkit::Error>(())
    /// ```
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rows = Rows::new(file, text);
        let Some(header) = rows.next()? else {
            return Err(rows.end().error("a header row of column names", "end of file"));
        };
        let header_line = header.line;
        let names = read_names(header, rows.fields())?;

        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
        while let Some(here) = rows.next()? {
            let n_fields = rows.fields().count();
            if n_fields != names.len() {
                return Err(here.error(format!("{} fields", names.len()), n_fields.to_string()));
            }
            for ((name, column), field) in names.iter().zip(&mut columns).zip(rows.fields()) {
                column.push(here.at(name).number(field)?);
            }
        }
        if columns.iter().all(Vec::is_empty) {
            return Err(rows.end().error("rows of numbers under the header", "end of file"));
        }
        Ok(Self { file: file.into(), header_line, names, columns })
    }

    /// The names of the columns, in the file's order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns, in the file's order.
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Number of rows below the header, at least 1.
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// The column of that name.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) at the header, with the names that are there.
    pub fn column(&self, name: &str) -> Result<&[f64]> {
        match self.names.iter().position(|known| known == name) {
            Some(j) => Ok(&self.columns[j]),
            None => {
                let here = Place { file: &self.file, line: self.header_line, column: Some(name) };
                Err(here.error("a column of this name", listed(&self.names)))
            }
        }
    }
}

/// At most eight names.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| quoted(name)).collect();
    format!("{}{}", shown.join(", "), if names.len() > 8 { ", …" } else { "" })
}

fn read_names<'f>(here: Place<'_>, fields: impl Iterator<Item = &'f str>) -> Result<Vec<String>> {
    let names: Vec<String> = fields.map(str::to_string).collect();
    if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        return Err(here.error("a header row of column names", "numbers"));
    }
    for (j, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(here.at(&(j + 1).to_string()).error("a name", "nothing"));
        }
        if names[..j].contains(name) {
            return Err(here.at(name).error("names that differ", format!("{} twice", quoted(name))));
        }
    }
    Ok(names)
}

/// The rows of a text, without blank lines and comments.
struct Rows<'a> {
    file: &'a str,
    text: &'a str,
    delimiter: Delimiter,
    reader: csv::Reader<std::io::Cursor<Cow<'a, [u8]>>>,
    /// The row last read.
    record: StringRecord,
    /// The line that the byte `counted` lies in.
    line: usize,
    counted: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Delimiter {
    Byte(u8),
    Blanks,
}

impl Delimiter {
    /// By the first line that is neither blank nor a comment.
    fn of(text: &str) -> Self {
        let is_header = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let header = text.lines().find(is_header).unwrap_or_default().trim();
        // The pieces outside of quotes are every other one.
        let has = |delimiter: u8| header.split('"').step_by(2).any(|piece| piece.as_bytes().contains(&delimiter));
        match [b'\t', b';', b','].into_iter().find(|d| has(*d)) {
            Some(delimiter) => Self::Byte(delimiter),
            None if has(b' ') => Self::Blanks,
            None => Self::Byte(b','),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::Byte(byte) => byte,
            Self::Blanks => b' ',
        }
    }
}

impl<'a> Rows<'a> {
    fn new(file: &'a str, text: &'a str) -> Self {
        let delimiter = Delimiter::of(text);
        let bytes = match delimiter {
            Delimiter::Blanks if text.contains('\t') => Cow::Owned(text.replace('\t', " ").into_bytes()),
            _ => Cow::Borrowed(text.as_bytes()),
        };
        let mut builder = ReaderBuilder::new();
        // A lone `\r` ends no line: for the csv reader it would not end a comment either.
        builder
            .terminator(Terminator::Any(b'\n'))
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .delimiter(delimiter.byte());
        let reader = builder.from_reader(std::io::Cursor::new(bytes));
        Self { file, text, delimiter, reader, record: StringRecord::new(), line: 1, counted: 0 }
    }

    /// Reads the next row, see [`fields`](Self::fields); its place.
    fn next(&mut self) -> Result<Option<Place<'a>>> {
        loop {
            let start = self.reader.position().byte();
            let more = self.reader.read_record(&mut self.record);
            let end = self.reader.position().byte();
            let raw = self.raw(start, end);
            let here = Place { file: self.file, line: self.line, column: None };
            match more {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(here.error("a row of fields", error.to_string())),
            }
            let is_comment = raw.starts_with('#');
            if raw.is_empty() || (is_comment && !raw.contains('\n')) {
                continue;
            }
            // An indented comment may hold a quote that swallows the lines below.
            if is_comment || !quotes_enclose_fields(raw, self.delimiter) {
                return Err(here.error("quotes around whole fields, closed", quoted(raw)));
            }
            return Ok(Some(here));
        }
    }

    /// The fields of the row last read.
    fn fields(&self) -> impl Iterator<Item = &str> {
        // Several blanks are one delimiter.
        self.record.iter().filter(|field| self.delimiter != Delimiter::Blanks || !field.is_empty())
    }

    /// The trimmed text of the record between two positions of the reader, and `line` where it starts.
    ///
    /// A position lies before the blank lines and comments that the reader skips.
    fn raw(&mut self, start: u64, end: u64) -> &'a str {
        let place = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX).min(self.text.len());
        let mut raw = self.text.get(place(start)..place(end)).unwrap_or_default();
        loop {
            raw = raw.trim_start_matches('\n');
            match raw.strip_prefix('#').and_then(|comment| comment.split_once('\n')) {
                Some((_, rest)) => raw = rest,
                None => break,
            }
        }
        let at = place(end).saturating_sub(raw.len());
        self.line += line_ends(self.text.get(self.counted..at).unwrap_or_default());
        self.counted = at;
        raw.trim()
    }

    /// The place after the last line.
    fn end(&self) -> Place<'a> {
        let text = self.text.trim_end_matches(['\n', '\r']);
        let line = if text.is_empty() { 1 } else { line_ends(text) + 2 };
        Place { file: self.file, line, column: None }
    }
}

fn line_ends(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

/// Whether every quote opens or closes a whole field or is doubled inside of one; the csv reader takes any.
fn quotes_enclose_fields(raw: &str, delimiter: Delimiter) -> bool {
    if !raw.contains('"') {
        return true;
    }
    let is_delimiter = |byte: u8| byte == delimiter.byte() || (byte == b'\t' && delimiter == Delimiter::Blanks);
    let mut bytes = raw.bytes().peekable();
    while bytes.peek().is_some() {
        if bytes.next_if_eq(&b'"').is_none() {
            match bytes.by_ref().find(|b| *b == b'"' || is_delimiter(*b)) {
                Some(b'"') => return false,
                _ => continue,
            }
        }
        // Inside of a field: to its closing quote, over doubled ones.
        loop {
            match bytes.by_ref().find(|b| *b == b'"') {
                None => return false,
                Some(_) if bytes.next_if_eq(&b'"').is_some() => {}
                Some(_) => break,
            }
        }
        if bytes.next().is_some_and(|b| !is_delimiter(b)) {
            return false;
        }
    }
    true
}
