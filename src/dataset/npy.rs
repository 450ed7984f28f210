//! Arrays in NumPy's npy format, versions 1 to 3: whole numbers, floats and truth values, in either byte order, rows or
//! columns first. Structured, complex, text and pickled arrays are refused.
//!
//! ```text
//! \x93NUMPY <major> <minor>            one byte each
//! <length of the header>               2 bytes (version 1) or 4, little-endian
//! {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
//! <items>
//! ```
//!
//! # Reference
//! NumPy Enhancement Proposal 1, *A simple file format for NumPy arrays* (Kern 2007).

#[cfg(test)]
mod tests;

use super::array::{Array, Item, read_items};
use super::bytes::{self, Cursor};
use super::text::quoted;
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
/// [`Error::Bytes`](crate::Error::Bytes) with the offset: another magic number or version, a header that is not the three entries of a
/// plain array, an extent of zero, more or fewer items than the shape says, an item that is no finite double.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Array> {
    let mut cursor = Cursor { file, bytes, offset: 0 };
    let magic = cursor.take(8, "the magic string \\x93NUMPY and a version")?;
    if &magic[..6] != b"\x93NUMPY" {
        return Err(cursor.error_at(0, "the magic string \\x93NUMPY", quoted(&String::from_utf8_lossy(&magic[..6]))));
    }
    let width = match magic[6..] {
        [1, 0] => 2,
        [2 | 3, 0] => 4,
        _ => return Err(cursor.error_at(6, "version 1.0, 2.0 or 3.0", format!("{}.{}", magic[6], magic[7]))),
    };
    let length = cursor.take(width, "the length of the header")?;
    let length = length.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte));
    let start = cursor.offset;
    let text = cursor.take(length, "the header")?;
    let mut words = Words { cursor: &cursor, text, start, at: 0 };
    let Header { item, big_endian, fortran_order, shape } = words.header()?;
    if !fortran_order || shape.len() < 2 {
        return read_items(cursor, shape, item, big_endian);
    }
    // Columns first: the same items with the axes in reverse.
    let reversed: Vec<usize> = shape.iter().rev().copied().collect();
    let stored = read_items(cursor, reversed, item, big_endian)?;
    Ok(Array { values: transposed(&stored.values, &shape), shape })
}

/// Values of an array whose first index runs fastest, in the order in which the last one does.
fn transposed(values: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut index = vec![0; shape.len()];
    let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[..axis].iter().product()).collect();
    let mut at = 0;
    let mut next = || {
        let value = values[at];
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
        value
    };
    values.iter().map(|_| next()).collect()
}

struct Header {
    item: Item,
    big_endian: bool,
    fortran_order: bool,
    shape: Vec<usize>,
}

/// The header, a dictionary in Python's notation, word after word.
struct Words<'a> {
    cursor: &'a Cursor<'a>,
    text: &'a [u8],
    /// Offset of the header.
    start: usize,
    at: usize,
}

impl<'a> Words<'a> {
    fn header(&mut self) -> Result<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.required(b'{')?;
        while !self.found(b'}') {
            let (key_at, key) = (self.at, self.string("a key of the header")?);
            self.required(b':')?;
            match key {
                b"descr" if descr.is_none() => descr = Some(self.descr()?),
                b"fortran_order" if fortran_order.is_none() => fortran_order = Some(self.truth()?),
                b"shape" if shape.is_none() => shape = Some(self.shape()?),
                _ => return Err(self.error(key_at, "each of `descr`, `fortran_order`, `shape` once", shown(key))),
            }
            if !self.found(b',') {
                self.required(b'}')?;
                break;
            }
        }
        let end = self.at;
        self.skip_blanks();
        if self.at < self.text.len() {
            return Err(self.error(self.at, "the end of the header", shown(&self.text[self.at..])));
        }
        match (descr, fortran_order, shape) {
            (Some((item, big_endian)), Some(fortran_order), Some(shape)) => Ok(Header { item, big_endian, fortran_order, shape }),
            _ => Err(self.error(end, "`descr`, `fortran_order` and `shape`", "one of them missing")),
        }
    }

    /// How items are stored, and whether their first byte is the highest.
    fn descr(&mut self) -> Result<(Item, bool)> {
        self.skip_blanks();
        let at = self.at;
        if self.text.get(at) == Some(&b'[') {
            return Err(self.error(at, "a plain type", "a structured one"));
        }
        let text = self.string("a type")?;
        let item = match text.get(1..) {
            Some(b"b1") => Item::Bool,
            Some([b'u', size @ (b'1' | b'2' | b'4' | b'8')]) => Item::Unsigned(usize::from(size - b'0')),
            Some([b'i', size @ (b'1' | b'2' | b'4' | b'8')]) => Item::Signed(usize::from(size - b'0')),
            Some([b'f', size @ (b'4' | b'8')]) => Item::Float(usize::from(size - b'0')),
            _ => return Err(self.error(at, "a type b1, i1…i8, u1…u8, f4 or f8", shown(text))),
        };
        match (text[0], item.size()) {
            (b'<', _) | (b'|' | b'=', 1) => Ok((item, false)),
            (b'>', _) => Ok((item, true)),
            _ => Err(self.error(at, "a byte order `<` or `>`", shown(text))),
        }
    }

    fn truth(&mut self) -> Result<bool> {
        self.skip_blanks();
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error(self.at, "True or False", shown(&self.text[self.at..])))
    }

    /// A tuple of whole numbers.
    fn shape(&mut self) -> Result<Vec<usize>> {
        self.required(b'(')?;
        let mut shape = Vec::new();
        while !self.found(b')') {
            self.skip_blanks();
            let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = &self.text[self.at..self.at + digits];
            let value = number.iter().try_fold(0usize, |v, d| v.checked_mul(10)?.checked_add(usize::from(d - b'0')));
            match value {
                Some(value) if digits > 0 => shape.push(value),
                _ => return Err(self.error(self.at, "an extent", shown(&self.text[self.at..]))),
            }
            self.at += digits;
            if !self.found(b',') {
                self.required(b')')?;
                break;
            }
        }
        Ok(shape)
    }

    /// Text in quotes, without escapes.
    fn string(&mut self, what: &str) -> Result<&'a [u8]> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let quote = rest.first().copied().filter(|byte| matches!(byte, b'\'' | b'"'));
        let end = quote.and_then(|quote| rest.iter().skip(1).position(|byte| *byte == quote));
        let Some(end) = end else {
            return Err(self.error(self.at, format!("{what} in quotes"), shown(rest)));
        };
        self.at += end + 2;
        Ok(&rest[1..=end])
    }

    /// Whether the next byte that is not blank is this one; if so, it is taken.
    fn found(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let is = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is);
        is
    }

    fn required(&mut self, byte: u8) -> Result<()> {
        if self.found(byte) {
            return Ok(());
        }
        Err(self.error(self.at, format!("`{}`", char::from(byte)), shown(&self.text[self.at..])))
    }

    fn skip_blanks(&mut self) {
        self.at += self.text[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn error(&self, at: usize, expected: impl Into<Box<str>>, found: impl Into<Box<str>>) -> crate::Error {
        self.cursor.error_at(self.start + at, expected, found)
    }
}

/// The first bytes as text.
fn shown(bytes: &[u8]) -> String {
    match bytes {
        [] => "the end of the header".into(),
        _ => quoted(&String::from_utf8_lossy(&bytes[..bytes.len().min(64)])),
    }
}
