//! Five small data sets, embedded; source and licence in `embedded/README.md`.

use super::{Samples, Target, TargetKind};
use crate::dataset::{Records, bytes, text};
use crate::error::{Error, Result};

/// The embedded sets: name and what it is.
pub const EMBEDDED: [(&str, &str); 5] = [
    ("digits", "8 × 8 images of handwritten digits: 1797 samples, 64 features from 0 to 16, 10 classes"),
    ("breast_cancer", "cell nuclei of breast masses: 569 samples, 30 features, malignant or benign"),
    ("wine", "chemical analysis of wines: 178 samples, 13 features, 3 cultivars"),
    ("iris", "Fisher's flowers: 150 samples, 4 features, 3 species"),
    ("diabetes", "progression of diabetes: 442 samples, 10 features as measured, a number to predict"),
];

/// The file of a set and the names of its classes.
fn stored(name: &str) -> (&'static [u8], &'static [&'static str]) {
    match name {
        "digits" => (include_bytes!("embedded/digits.csv.gz"), &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
        "breast_cancer" => (include_bytes!("embedded/breast_cancer.csv"), &["malignant", "benign"]),
        "wine" => (include_bytes!("embedded/wine.csv"), &["class_0", "class_1", "class_2"]),
        "iris" => (include_bytes!("embedded/iris.csv"), &["setosa", "versicolor", "virginica"]),
        _ => (include_bytes!("embedded/diabetes.csv"), &[]),
    }
}

impl Samples {
    /// An embedded set, see [`EMBEDDED`]: features, targets and names of classes are those of scikit-learn's loaders, of
    /// `load_diabetes(scaled=False)` for the diabetes set.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest name.
    pub fn embedded(name: &str) -> Result<Self> {
        Error::look_up("data set", name, &EMBEDDED)?;
        let (file, classes) = stored(name);
        let text = text::decode(name, bytes::unpacked(name, file.to_vec())?)?;
        let samples = Self::from_records(&Records::parse(name, &text)?, None, TargetKind::Values)?;
        if classes.is_empty() {
            return Ok(samples);
        }
        let labels = samples.target.to_values().iter().map(|label| *label as usize).collect();
        samples.with_target(Target::Classes { labels, names: classes.iter().map(|name| name.to_string()).collect() })
    }
}
