//! Arrays in the IDX format, in which MNIST is published; packed by gzip or not.
//!
//! ```text
//! 0 0 <type> <axes>                    type: 8 unsigned byte, 9 signed byte, 11 short, 12 int, 13 float, 14 double
//! <extent>                             four bytes an axis
//! <items>                              the last index fastest
//! ```
//!
//! All numbers are big-endian.
//!
//! # Reference
//! LeCun, Cortes & Burges (1998), *The MNIST database of handwritten digits*.

#[cfg(test)]
mod tests;

use super::array::{Array, Item, read_items};
use super::bytes::{self, Cursor};
use crate::error::Result;
use std::path::Path;

/// The array in a file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io); [`Error::Bytes`](crate::Error::Bytes) as for [`parse`].
pub fn read(path: impl AsRef<Path>) -> Result<Array> {
    let (file, bytes) = bytes::read(path.as_ref())?;
    parse(&file, &bytes)
}

/// The array in bytes that are not packed; `file` is their name in errors.
///
/// # Errors
/// [`Error::Bytes`](crate::Error::Bytes) with the offset: another magic number, an extent of zero, more or fewer items than the extents
/// say, an item that is not finite.
///
/// # Example
/// ```
/// let bytes = [0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 255];
/// let array = curvkit::dataset::idx::parse("three", &bytes)?;
/// assert_eq!((array.shape, array.values), (vec![1, 3], vec![7.0, 8.0, 255.0]));
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn parse(file: &str, bytes: &[u8]) -> Result<Array> {
    let mut cursor = Cursor { file, bytes, offset: 0 };
    let magic = cursor.take(4, "an IDX magic number")?;
    let item = match magic {
        [0, 0, 8, _] => Item::Unsigned(1),
        [0, 0, 9, _] => Item::Signed(1),
        [0, 0, 11, _] => Item::Signed(2),
        [0, 0, 12, _] => Item::Signed(4),
        [0, 0, 13, _] => Item::Float(4),
        [0, 0, 14, _] => Item::Float(8),
        other => return Err(cursor.error_at(0, "an IDX magic number 00 00 <type 08…0e> <axes>", hex(other))),
    };
    let n_axes = magic[3];
    if n_axes == 0 {
        return Err(cursor.error_at(3, "at least one axis", "0"));
    }
    let mut shape = Vec::new();
    for axis in 0..n_axes {
        let extent = cursor.take(4, &format!("the extent of axis {axis}"))?;
        shape.push(extent.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)));
    }
    read_items(cursor, shape, item, true)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
