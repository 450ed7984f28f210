//! Data to learn from ([`Samples`]): features, dense or sparse, and a target, numbers or classes.

mod embedded;
mod libsvm;
mod open;
mod read;
mod scale;
mod split;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::model::Batch;
use sprs::CsMat;

pub use embedded::EMBEDDED;
pub use libsvm::Libsvm;
pub use open::Source;
pub use read::TargetKind;
pub use scale::Scaling;
pub use split::{Parts, Split};

/// Most values that sparse features may have as dense ones: 8 GiB.
const DENSE_LIMIT: usize = 1 << 30;

/// What samples are described by, `d` numbers each.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// All of them, sample after sample.
    Dense(Batch),
    /// Those that are not zero: compressed rows, one a sample.
    Sparse(CsMat<f64>),
}

impl Features {
    /// Number of samples.
    pub fn n(&self) -> usize {
        match self {
            Self::Dense(batch) => batch.n(),
            Self::Sparse(rows) => rows.rows(),
        }
    }

    /// `d`.
    pub fn dim(&self) -> usize {
        match self {
            Self::Dense(batch) => batch.dim(),
            Self::Sparse(rows) => rows.cols(),
        }
    }

    /// All `n · d` numbers, as models take them.
    ///
    /// # Errors
    /// [`Error::Config`] if sparse features would fill more than 8 GiB.
    pub fn to_batch(&self) -> Result<Batch> {
        let rows = match self {
            Self::Dense(batch) => return Ok(batch.clone()),
            Self::Sparse(rows) => rows,
        };
        let (n, d) = (rows.rows(), rows.cols());
        let size = n.saturating_mul(d);
        Error::check_option(size <= DENSE_LIMIT, "values of dense features", "at most 2³⁰", size)?;
        let mut values = vec![0.0; size];
        for (row, values) in rows.outer_iterator().zip(values.chunks_exact_mut(d.max(1))) {
            row.iter().for_each(|(j, value)| values[j] = *value);
        }
        Batch::new(d, values)
    }

    /// Some of the samples, in the order given.
    fn select(&self, rows: &[usize]) -> Result<Self> {
        let all = match self {
            Self::Dense(batch) => return Ok(Self::Dense(batch.select(rows)?)),
            Self::Sparse(all) => all,
        };
        let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in rows.iter().filter_map(|&row| all.outer_view(row)) {
            columns.extend_from_slice(row.indices());
            values.extend_from_slice(row.data());
            starts.push(columns.len());
        }
        Ok(Self::Sparse(compressed(rows.len(), all.cols(), starts, columns, values)?))
    }
}

/// Compressed rows.
fn compressed(n: usize, d: usize, starts: Vec<usize>, columns: Vec<usize>, values: Vec<f64>) -> Result<CsMat<f64>> {
    CsMat::try_new((n, d), starts, columns, values)
        .map_err(|(.., error)| Error::Problem { what: "sparse features", source: Box::new(error) })
}

/// What is to be learned, one a sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Finite numbers.
    Values(Vec<f64>),
    /// Classes by number, with the classes' names.
    Classes {
        /// Below the number of names.
        labels: Vec<usize>,
        /// In the order of the numbers.
        names: Vec<String>,
    },
}

impl Target {
    /// Number of samples.
    pub fn n(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Classes { labels, .. } => labels.len(),
        }
    }

    /// Names of the classes; none for numbers.
    pub fn classes(&self) -> &[String] {
        match self {
            Self::Values(_) => &[],
            Self::Classes { names, .. } => names,
        }
    }

    /// The numbers, or the classes' numbers, one value a sample.
    pub fn to_values(&self) -> Vec<f64> {
        match self {
            Self::Values(values) => values.clone(),
            Self::Classes { labels, .. } => labels.iter().map(|label| *label as f64).collect(),
        }
    }

    /// Numbers as classes, one for each that occurs, in increasing order.
    pub fn into_classes(self) -> Self {
        let Self::Values(values) = self else { return self };
        // −0 and 0 are one class.
        let values: Vec<f64> = values.into_iter().map(|v| v + 0.0).collect();
        let mut classes = values.clone();
        classes.sort_by(f64::total_cmp);
        classes.dedup();
        let labels = values.iter().map(|value| classes.partition_point(|class| class < value)).collect();
        Self::Classes { labels, names: classes.iter().map(f64::to_string).collect() }
    }

    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Values(values) => Self::Values(rows.iter().map(|&i| values[i]).collect()),
            Self::Classes { labels, names } => {
                Self::Classes { labels: rows.iter().map(|&i| labels[i]).collect(), names: names.clone() }
            }
        }
    }
}

/// Features with a target.
///
/// # Example
/// ```
/// use curvkit::dataset::{Samples, Scaling, Split};
///
/// let iris = Samples::embedded("iris")?;
/// assert_eq!((iris.n(), iris.dim(), iris.target().classes().len()), (150, 4, 3));
///
/// // Scaled by what the training part knows, and only by that.
/// let parts = iris.split(&Split { test: 0.2, seed: 1, ..Split::default() })?;
/// let scaling = Scaling::standard(parts.train.features())?;
/// let (train, test) = (scaling.apply(&parts.train)?, scaling.apply(&parts.test.unwrap())?);
/// assert_eq!((train.n(), test.n()), (120, 30));
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    title: String,
    features: Features,
    names: Vec<String>,
    target: Target,
}

impl Samples {
    /// From features with names (or no names at all) and a target.
    ///
    /// # Errors
    /// [`Error::Dimension`] if names or targets are not as many as columns or samples, [`Error::Config`] without samples or
    /// features, with sparse features by columns or for a label without a name, [`Error::NonFinite`].
    pub fn new(title: &str, features: Features, names: Vec<String>, target: Target) -> Result<Self> {
        Error::check_option(features.n() > 0, "samples", "at least one", 0)?;
        Error::check_option(features.dim() > 0, "features", "at least one", 0)?;
        if !names.is_empty() {
            Error::check_len("names of features", features.dim(), names.len())?;
        }
        Error::check_len("targets", features.n(), target.n())?;
        if let Features::Sparse(rows) = &features {
            Error::check_option(rows.is_csr(), "sparse features", "compressed rows", "compressed columns")?;
            Error::check_finite("features", rows.data())?;
        }
        match &target {
            Target::Values(values) => Error::check_finite("target", values)?,
            Target::Classes { labels, names } => {
                for label in labels {
                    Error::check_option(*label < names.len(), "label", "below the number of classes", label)?;
                }
            }
        }
        Ok(Self { title: title.into(), features, names, target })
    }

    /// What they are, for headings.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Number of samples.
    pub fn n(&self) -> usize {
        self.features.n()
    }

    /// Number of features.
    pub fn dim(&self) -> usize {
        self.features.dim()
    }

    /// The features.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The name of a feature: its own, or `x1`, `x2`, ….
    pub fn feature_name(&self, j: usize) -> String {
        self.names.get(j).cloned().unwrap_or_else(|| format!("x{}", j + 1))
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The same with another target.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_target(self, target: Target) -> Result<Self> {
        Self::new(&self.title, self.features, self.names, target)
    }

    /// Some of the samples, in the order given; repetitions are allowed.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no such sample or none is asked for.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        Error::check_option(!rows.is_empty(), "samples", "at least one", 0)?;
        for row in rows {
            Error::check_option(*row < self.n(), "sample", "one of the samples", row)?;
        }
        Ok(Self {
            title: self.title.clone(),
            features: self.features.select(rows)?,
            names: self.names.clone(),
            target: self.target.select(rows),
        })
    }

    /// Inputs and targets as [`Supervised`](crate::problem::Supervised) takes them, one target value a sample.
    ///
    /// # Errors
    /// As [`Features::to_batch`].
    pub fn to_batches(&self) -> Result<(Batch, Batch)> {
        Ok((self.features.to_batch()?, Batch::new(1, self.target.to_values())?))
    }
}
