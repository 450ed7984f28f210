//! Bundle adjustment problems in the format of *Bundle Adjustment in the Large*: cameras, points, and where each point was seen.
//!
//! ```text
//! <cameras> <points> <observations>
//! <camera> <point> <u> <v>             for each observation
//! <nine numbers a camera>              rotation (angle times axis), translation, focal length, two of radial distortion
//! <three numbers a point>
//! ```
//!
//! Numbers stand between white space; lines mean nothing but in errors.
//!
//! # Reference
//! Agarwal, Snavely, Seitz & Szeliski (2010), *Bundle adjustment in the large*, ECCV;
//! <https://grail.cs.washington.edu/projects/bal/>.

#[cfg(test)]
mod tests;

use super::text::{self, Place, quoted};
use crate::error::Result;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// A point seen by a camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Number of the camera.
    pub camera: usize,
    /// Number of the point.
    pub point: usize,
    /// Where it was seen, in pixels from the centre.
    pub pixel: [f64; 2],
}

/// A bundle adjustment problem with its start. `Display` writes the format that [`parse`] reads, digit for digit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bal {
    /// Rotation (3), translation (3), focal length, two coefficients of radial distortion.
    pub cameras: Vec<[f64; 9]>,
    /// Points in space.
    pub points: Vec<[f64; 3]>,
    /// What was seen.
    pub observations: Vec<Observation>,
}

/// The problem in a file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::Data`](crate::Error::Data) as for [`parse`].
pub fn read(path: impl AsRef<Path>) -> Result<Bal> {
    let (file, text) = text::read(path.as_ref())?;
    parse(&file, &text)
}

/// The problem that `text` describes; `file` is its name in errors.
///
/// # Errors
/// [`Error::Data`](crate::Error::Data) for a number that is missing or too many, is not a count, a camera, a point or a finite number.
///
/// # Example
/// ```
/// let bal = curvkit::dataset::bal::parse("one.txt", "1 1 1\n0 0 -3.5 2\n 0 0 0 0 0 -5 500 0 0\n 1 2 3")?;
/// assert_eq!((bal.cameras[0][6], bal.points[0], bal.observations[0].pixel), (500.0, [1.0, 2.0, 3.0], [-3.5, 2.0]));
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn parse(file: &str, text: &str) -> Result<Bal> {
    let mut words = Words { file, lines: text.lines(), words: "".split_ascii_whitespace(), number: 0 };
    let n_cameras = words.count("cameras", usize::MAX)?;
    let n_points = words.count("points", usize::MAX)?;
    let n_observations = words.count("observations", usize::MAX)?;
    // Nothing is reserved: a wrong count must end in an error, not in the memory's end.
    let mut bal = Bal::default();
    for _ in 0..n_observations {
        let (camera, point) = (words.count("camera", n_cameras)?, words.count("point", n_points)?);
        bal.observations.push(Observation { camera, point, pixel: [words.number("u")?, words.number("v")?] });
    }
    for _ in 0..n_cameras {
        let mut camera = [0.0; 9];
        for (value, name) in camera.iter_mut().zip(CAMERA) {
            *value = words.number(name)?;
        }
        bal.cameras.push(camera);
    }
    for _ in 0..n_points {
        bal.points.push([words.number("x")?, words.number("y")?, words.number("z")?]);
    }
    match words.next() {
        None => Ok(bal),
        Some(word) => Err(words.here().error("end of file", quoted(word))),
    }
}

/// What the numbers of a camera are called.
const CAMERA: [&str; 9] =
    ["rotation 1", "rotation 2", "rotation 3", "translation 1", "translation 2", "translation 3", "f", "k1", "k2"];

/// The words of a text, one after another.
struct Words<'a> {
    file: &'a str,
    lines: std::str::Lines<'a>,
    words: std::str::SplitAsciiWhitespace<'a>,
    /// Of the present line.
    number: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        loop {
            if let Some(word) = self.words.next() {
                return Some(word);
            }
            self.number += 1;
            self.words = self.lines.next()?.split_ascii_whitespace();
        }
    }

    fn here(&self) -> Place<'a> {
        Place { file: self.file, line: self.number, column: None }
    }

    fn required(&mut self, name: &str, expected: &str) -> Result<&'a str> {
        self.next().ok_or_else(|| self.here().at(name).error(expected, "end of file"))
    }

    /// A whole number below `bound`.
    fn count(&mut self, name: &str, bound: usize) -> Result<usize> {
        let word = self.required(name, "a whole number")?;
        match word.parse::<usize>() {
            Ok(value) if value < bound => Ok(value),
            Ok(_) => Err(self.here().at(name).error(format!("a number below {bound}"), quoted(word))),
            Err(_) => Err(self.here().at(name).error("a whole number", quoted(word))),
        }
    }

    fn number(&mut self, name: &str) -> Result<f64> {
        let word = self.required(name, "a number")?;
        self.here().at(name).number(word)
    }
}

impl Display for Bal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.cameras.len(), self.points.len(), self.observations.len())?;
        for Observation { camera, point, pixel } in &self.observations {
            writeln!(f, "{camera} {point} {:e} {:e}", pixel[0], pixel[1])?;
        }
        let numbers = self.cameras.iter().flatten().chain(self.points.iter().flatten());
        numbers.into_iter().try_for_each(|value| writeln!(f, "{value:e}"))
    }
}
