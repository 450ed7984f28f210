//! Sparse samples from the text format of LIBSVM and SVMlight.
//!
//! ```text
//! <target> <index>:<value> <index>:<value> …   # comment
//! ```
//!
//! # Reference
//! Joachims (1999), *Making large-scale SVM learning practical*; Chang & Lin (2011), *LIBSVM: a library for support vector
//! machines*.

use super::{Features, Samples, Target, compressed};
use crate::dataset::text::{self, Place, quoted};
use crate::error::Result;
use std::path::Path;

/// How LIBSVM files are read.
///
/// # Example
/// ```
/// use curvkit::dataset::{Features, Libsvm};
///
/// let samples = Libsvm::default().parse("two", "+1 3:0.5 1:2 # unsorted\n-1 2:1\n")?;
/// let Features::Sparse(rows) = samples.features() else { unreachable!() };
/// assert_eq!((rows.shape(), rows.nnz(), rows.get(0, 2)), ((2, 3), 3, Some(&0.5)));
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Libsvm {
    /// Whether the first feature has index 0; if not said, whether index 0 occurs.
    pub zero_based: Option<bool>,
    /// Number of features; if not said, what the largest index needs.
    pub n_features: Option<usize>,
}

/// Above all indices, as in LIBSVM's own reader.
const INDEX_LIMIT: usize = 1 << 31;

impl Libsvm {
    /// The samples in a file.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io), [`Error::Bytes`](crate::Error::Bytes) if it is packed and damaged, [`Error::Data`](crate::Error::Data) as for [`parse`](Self::parse).
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Samples> {
        let (file, text) = text::read(path.as_ref())?;
        self.parse(&file, &text)
    }

    /// The samples that `text` spells, with numbers as targets; `file` is its name in errors. Indices may come in any order.
    ///
    /// # Errors
    /// [`Error::Data`](crate::Error::Data) with line and column (the number of the field): a target or value that is no finite number, several
    /// targets, an index that is none, occurs twice, is 0 where counting begins at 1 or beyond the number of features, a query
    /// (`qid`), no samples or only zeros without a number of features.
    pub fn parse(&self, file: &str, text: &str) -> Result<Samples> {
        let (mut starts, mut columns, mut values, mut target) = (vec![0], Vec::new(), Vec::new(), Vec::new());
        // Where the smallest and the largest index are.
        let (mut lowest, mut highest) = (None, None);
        let mut n_lines = 0;
        let mut row: Vec<(usize, f64)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            n_lines = number + 1;
            let here = Place { file, line: number + 1, column: None };
            let line = line.split('#').next().unwrap_or_default();
            let mut fields = line.split_ascii_whitespace();
            let Some(first) = fields.next() else { continue };
            target.push(read_target(here, first)?);
            row.clear();
            for (k, field) in fields.enumerate() {
                let column = (k + 2).to_string();
                let (index, value) = read_feature(here.at(&column), field)?;
                row.push((index, value));
                let at = (index, number + 1, k + 2);
                lowest = Some(lowest.map_or(at, |low: (usize, usize, usize)| if index < low.0 { at } else { low }));
                highest = Some(highest.map_or(at, |high: (usize, usize, usize)| if index > high.0 { at } else { high }));
            }
            if !row.is_sorted_by(|a, b| a.0 < b.0) {
                row.sort_by_key(|(index, _)| *index);
                if let Some(pair) = row.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    return Err(here.error("every index once", format!("{} twice", pair[0].0)));
                }
            }
            columns.extend(row.iter().map(|(index, _)| *index));
            values.extend(row.iter().map(|(_, value)| *value));
            starts.push(columns.len());
        }

        let end = Place { file, line: n_lines + 1, column: None };
        if target.is_empty() {
            return Err(end.error("samples", "end of file"));
        }
        let at = |(_, line, column): (usize, usize, usize), expected: String, found: usize| {
            Place { file, line, column: Some(&column.to_string()) }.error(expected, found.to_string())
        };
        let zero_based = self.zero_based.unwrap_or(lowest.is_some_and(|(index, ..)| index == 0));
        let base = usize::from(!zero_based);
        if let Some(low) = lowest.filter(|(index, ..)| *index < base) {
            return Err(at(low, "an index of at least 1".into(), low.0));
        }
        let needed = highest.map_or(0, |(index, ..)| index + 1 - base);
        let d = self.n_features.unwrap_or(needed);
        if d == 0 {
            return Err(end.error("a feature", "only targets"));
        }
        if let Some(high) = highest.filter(|_| needed > d) {
            return Err(at(high, format!("an index of at most {}", d - 1 + base), high.0));
        }
        columns.iter_mut().for_each(|index| *index -= base);
        let rows = compressed(target.len(), d, starts, columns, values)?;
        Samples::new(file, Features::Sparse(rows), Vec::new(), Target::Values(target))
    }
}

fn read_target(here: Place<'_>, field: &str) -> Result<f64> {
    let here = here.at("1");
    if field.contains(',') {
        return Err(here.error("one target", quoted(field)));
    }
    if field.contains(':') {
        return Err(here.error("a target", quoted(field)));
    }
    here.number(field)
}

fn read_feature(here: Place<'_>, field: &str) -> Result<(usize, f64)> {
    let Some((index, value)) = field.split_once(':') else {
        return Err(here.error("<index>:<value>", quoted(field)));
    };
    if index == "qid" {
        return Err(here.error("<index>:<value> (samples are not grouped by queries)", quoted(field)));
    }
    match index.parse::<usize>() {
        Ok(index) if index < INDEX_LIMIT => Ok((index, here.number(value)?)),
        Ok(_) => Err(here.error(format!("an index below {INDEX_LIMIT}"), quoted(index))),
        Err(_) => Err(here.error("a whole number as index", quoted(index))),
    }
}
