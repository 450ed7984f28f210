//! Samples by the name of an embedded set or of a file, whose ending says its format ([`Source`]).

use super::{EMBEDDED, Libsvm, Samples, Target, TargetKind};
use crate::dataset::{Array, Records, idx, npy};
use crate::error::{Error, Result};
use std::path::Path;

/// Where samples come from.
///
/// # Example
/// ```
/// use curvkit::dataset::Source;
///
/// let wine = Source { name: "wine".into(), ..Source::default() }.open()?;
/// assert_eq!((wine.n(), wine.dim()), (178, 13));
/// let error = Source { name: "vine".into(), ..Source::default() }.open().unwrap_err();
/// assert_eq!(error.to_string(), "unknown data set or file `vine`; did you mean `wine`?");
/// # Ok::<(), curvkit::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// An embedded set, or a file: `.csv`, `.tsv`, `.txt`, `.dat` (tables), `.svm`, `.libsvm`, `.svmlight`, `.npy`, `.idx`,
    /// `…-ubyte`; each may be packed, with `.gz` behind.
    pub name: String,
    /// The target: of a table a column, by default the last one; of an npy or IDX file the file that holds it.
    pub target: Option<String>,
    /// What the target is. Targets of npy, IDX and LIBSVM files are numbers unless classes are asked for.
    pub kind: TargetKind,
}

enum Format {
    Table,
    Libsvm,
    Npy,
    Idx,
}

impl Format {
    fn of(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".csv", ".tsv", ".txt", ".dat"]) => Some(Self::Table),
            () if ends(&[".svm", ".libsvm", ".svmlight"]) => Some(Self::Libsvm),
            () if ends(&[".npy"]) => Some(Self::Npy),
            () if ends(&[".idx", "-ubyte"]) => Some(Self::Idx),
            () => None,
        }
    }
}

impl Source {
    /// The samples.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is neither a set nor a file of a known ending, [`Error::Config`] for a target that is
    /// missing or too many, and what the reader of the format reports.
    pub fn open(&self) -> Result<Samples> {
        let target = self.target.as_deref();
        let numbers = match Format::of(&self.name) {
            None => {
                if !EMBEDDED.iter().any(|(known, _)| *known == self.name) {
                    return Err(self.unknown());
                }
                Error::check_option(target.is_none(), "target", "left out: the set has one", target.unwrap_or_default())?;
                let samples = Samples::embedded(&self.name)?;
                return if self.kind == TargetKind::Values { values(samples) } else { Ok(samples) };
            }
            Some(Format::Table) => return Samples::from_records(&Records::read(&self.name)?, target, self.kind),
            Some(Format::Libsvm) => {
                let requirement = "left out: a line begins with it";
                Error::check_option(target.is_none(), "target", requirement, target.unwrap_or_default())?;
                Libsvm::default().read(&self.name)?
            }
            Some(Format::Npy | Format::Idx) => {
                let requirement = "the file that holds the targets";
                let Some(target) = target else {
                    return Err(Error::Config { name: "target".into(), requirement, value: "none".into() });
                };
                Samples::from_arrays(&self.name, read_array(&self.name)?, read_array(target)?)?
            }
        };
        if self.kind == TargetKind::Classes { classes(numbers) } else { Ok(numbers) }
    }

    fn unknown(&self) -> Error {
        if Path::new(&self.name).exists() {
            let requirement = "a file of tables (.csv, .tsv, .txt, .dat), .svm, .libsvm, .svmlight, .npy, .idx or -ubyte";
            return Error::Config { name: "data".into(), requirement, value: self.name.clone() };
        }
        Error::unknown("data set or file", &self.name, EMBEDDED.iter().map(|(name, _)| *name))
    }
}

fn read_array(name: &str) -> Result<Array> {
    match Format::of(name) {
        Some(Format::Npy) => npy::read(name),
        Some(Format::Idx) => idx::read(name),
        _ => Err(Error::Config { name: "target".into(), requirement: "a file .npy, .idx or -ubyte", value: name.into() }),
    }
}

fn classes(samples: Samples) -> Result<Samples> {
    let target = samples.target().clone().into_classes();
    samples.with_target(target)
}

/// Classes as their numbers.
fn values(samples: Samples) -> Result<Samples> {
    let target = Target::Values(samples.target().to_values());
    samples.with_target(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Features;

    fn source(name: &str, target: Option<&str>, kind: TargetKind) -> Source {
        Source { name: name.into(), target: target.map(String::from), kind }
    }

    #[test]
    fn files_are_read_by_their_endings() {
        let dir = std::env::temp_dir().join(format!("curvkit-open-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            std::fs::write(&path, bytes).unwrap();
            path.display().to_string()
        };
        let table = write("a.tsv", b"x\ty\tkind\n1\t2\t3\n4\t5\t1\n");
        let svm = write("a.libsvm", b"1 1:2\n-1 2:3\n");
        let images = write("train-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4]);
        let labels = write("train-labels.idx", &[0, 0, 8, 1, 0, 0, 0, 2, 7, 5]);
        let other = write("a.xyz", b"");

        let read = source(&table, Some("y"), TargetKind::Infer).open().unwrap();
        assert_eq!((read.dim(), read.target()), (2, &Target::Values(vec![2.0, 5.0])));
        assert_eq!(source(&table, None, TargetKind::Classes).open().unwrap().target().classes(), ["1", "3"]);
        let read = source(&svm, None, TargetKind::Classes).open().unwrap();
        assert!(matches!(read.features(), Features::Sparse(_)) && read.target().to_values() == [1.0, 0.0]);
        let read = source(&images, Some(&labels), TargetKind::Infer).open().unwrap();
        assert_eq!((read.n(), read.dim(), read.target()), (2, 2, &Target::Values(vec![7.0, 5.0])));

        for (name, target) in
            [(&images[..], None), (&images, Some("x.csv")), (&svm, Some("y")), ("wine", Some("y")), (&other, None)]
        {
            let error = source(name, target, TargetKind::Infer).open().unwrap_err();
            assert!(matches!(error, Error::Config { .. }), "{error}");
        }
        assert!(matches!(source("no.csv", None, TargetKind::Infer).open(), Err(Error::Io { .. })));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn classes_of_an_embedded_set_can_be_numbers() {
        let iris = source("iris", None, TargetKind::Values).open().unwrap();
        assert!(matches!(iris.target(), Target::Values(values) if values.len() == 150));
        assert!(matches!(source("nothing_like_it", None, TargetKind::Infer).open(), Err(Error::Unknown { nearest: None, .. })));
    }
}
