//! Samples from tables and arrays.

use super::{Features, Samples, Target};
use crate::dataset::text::quoted;
use crate::dataset::{Array, Records};
use crate::error::{Error, Result};
use crate::model::Batch;

/// What the target of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TargetKind {
    /// Numbers if every field is one, else classes.
    #[default]
    Infer,
    /// Numbers.
    Values,
    /// Classes: one for each text that occurs, in increasing order; by value if all are numbers.
    Classes,
}

/// Fields that stand for a missing value.
const MISSING: [&str; 8] = ["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"];

impl Samples {
    /// From a table: one column is the target, by default the last one, and all others are features.
    ///
    /// # Errors
    /// [`Error::Data`] with line and column: no column of that name, none beside the target, a missing value, a feature or
    /// (for [`TargetKind::Values`]) a target that is no finite number.
    ///
    /// # Example
    /// ```
    /// use curvkit::dataset::{Records, Samples, TargetKind};
    ///
    /// let text = "kind,width,height\nlow,3,1\nhigh,2,5\nlow,4,?\n";
    /// let error = Samples::from_records(&Records::parse("boxes.csv", text)?, Some("kind"), TargetKind::Infer).unwrap_err();
    /// assert_eq!(error.to_string(), "boxes.csv:4: column `height`: expected a number, found a missing value: `?`");
    ///
    /// let boxes = Records::parse("boxes.csv", &text.replace('?', "2"))?;
    /// let boxes = Samples::from_records(&boxes, Some("kind"), TargetKind::Infer)?;
    /// assert_eq!((boxes.n(), boxes.dim(), boxes.target().classes()), (3, 2, &["high".to_string(), "low".to_string()][..]));
    /// # Ok::<(), curvkit::Error>(())
    /// ```
    pub fn from_records(records: &Records, target: Option<&str>, kind: TargetKind) -> Result<Self> {
        let names = records.names();
        let at = match target {
            Some(name) => records.position(name)?,
            None => names.len() - 1,
        };
        if names.len() < 2 {
            return Err(records.header_error(&names[at], "a column of features beside the target", "the target only"));
        }
        let features: Vec<usize> = (0..names.len()).filter(|j| *j != at).collect();
        let mut values = Vec::with_capacity(records.n_rows() * features.len());
        for row in 0..records.n_rows() {
            for &j in &features {
                values.push(number(records, row, j)?);
            }
        }
        let target = match kind {
            TargetKind::Values => Target::Values(numbers(records, at)?),
            TargetKind::Classes => classes(records, at)?,
            TargetKind::Infer => {
                let is_number = |row| records.text(row, at).parse::<f64>().is_ok();
                if (0..records.n_rows()).all(is_number) { Target::Values(numbers(records, at)?) } else { classes(records, at)? }
            }
        };
        let dense = Features::Dense(Batch::new(features.len(), values)?);
        Self::new(records.file(), dense, features.iter().map(|&j| names[j].clone()).collect(), target)
    }

    /// From arrays: the first extent of both counts samples; whatever further extents the features have is one row of values.
    ///
    /// # Errors
    /// [`Error::Dimension`] if the numbers of samples differ or there is more than one target a sample.
    ///
    /// # Example
    /// ```
    /// use curvkit::dataset::{Array, Samples};
    ///
    /// let images = Array { shape: vec![2, 2, 2], values: (0..8).map(f64::from).collect() };
    /// let samples = Samples::from_arrays("images", images, Array { shape: vec![2], values: vec![7.0, 3.0] })?;
    /// assert_eq!((samples.n(), samples.dim()), (2, 4));
    /// # Ok::<(), curvkit::Error>(())
    /// ```
    pub fn from_arrays(title: &str, features: Array, target: Array) -> Result<Self> {
        Error::check_len("targets per sample", 1, target.dim())?;
        let dense = Features::Dense(Batch::new(features.dim(), features.values)?);
        Self::new(title, dense, Vec::new(), Target::Values(target.values))
    }
}

/// A field that must be there and a finite number.
fn number(records: &Records, row: usize, column: usize) -> Result<f64> {
    let text = records.text(row, column);
    if MISSING.contains(&text) {
        return Err(missing(records, row, column, "a number"));
    }
    records.number(row, column)
}

fn numbers(records: &Records, column: usize) -> Result<Vec<f64>> {
    (0..records.n_rows()).map(|row| number(records, row, column)).collect()
}

fn missing(records: &Records, row: usize, column: usize, expected: &str) -> Error {
    let found = format!("a missing value: {}", quoted(records.text(row, column)));
    records.error(row, &records.names()[column], expected, &found)
}

fn classes(records: &Records, column: usize) -> Result<Target> {
    let rows = 0..records.n_rows();
    if let Some(row) = rows.clone().find(|&row| MISSING.contains(&records.text(row, column))) {
        return Err(missing(records, row, column, "a class"));
    }
    if rows.clone().all(|row| records.text(row, column).parse::<f64>().is_ok()) {
        return Ok(Target::Values(numbers(records, column)?).into_classes());
    }
    let texts: Vec<&str> = rows.map(|row| records.text(row, column)).collect();
    let mut names = texts.clone();
    names.sort_unstable();
    names.dedup();
    let labels = texts.iter().map(|text| names.partition_point(|name| name < text)).collect();
    Ok(Target::Classes { labels, names: names.into_iter().map(str::to_string).collect() })
}
