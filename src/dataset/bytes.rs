//! What the readers of binary files share: the bytes of a file, unpacked, and a cursor that names its offset in errors.

use crate::error::{Error, Result};
use std::path::Path;

/// The bytes of a file, unpacked if they begin as gzip's do, with the name the file has in errors.
///
/// # Errors
/// [`Error::Io`]; [`Error::Bytes`] if the packed bytes are damaged.
pub(super) fn read(path: &Path) -> Result<(String, Vec<u8>)> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| Error::Io { path: file.clone(), source })?;
    #[cfg(feature = "dataset")]
    let bytes = unpacked(&file, bytes)?;
    Ok((file, bytes))
}

#[cfg(feature = "dataset")]
pub(super) use packed::{Cursor, unpacked};

#[cfg(feature = "dataset")]
mod packed {
    use crate::error::{Error, Result};
    use std::io::Read;

    /// What gzip files begin with.
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    /// Most bytes that are unpacked: 4 GiB.
    const LIMIT: u64 = 1 << 32;

    /// The bytes themselves, or what they are packed from.
    ///
    /// # Errors
    /// [`Error::Bytes`] if the packed bytes are damaged or hold more than 4 GiB.
    pub fn unpacked(file: &str, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if !bytes.starts_with(&GZIP) {
            return Ok(bytes);
        }
        let offence = |offset, expected: &str, found: String| Error::Bytes {
            file: file.into(),
            offset,
            expected: expected.into(),
            found: found.into(),
        };
        let mut out = Vec::new();
        let mut packed = flate2::read::MultiGzDecoder::new(&bytes[..]).take(LIMIT + 1);
        match packed.read_to_end(&mut out) {
            Err(error) => Err(offence(out.len(), "gzip data", error.to_string())),
            Ok(_) if out.len() as u64 > LIMIT => Err(offence(out.len(), "at most 4 GiB", "more".into())),
            Ok(_) => Ok(out),
        }
    }

    /// Bytes taken one piece after another.
    pub struct Cursor<'a> {
        pub file: &'a str,
        pub bytes: &'a [u8],
        pub offset: usize,
    }

    impl<'a> Cursor<'a> {
        /// [`Error::Bytes`] at an offset.
        pub fn error_at(&self, offset: usize, expected: impl Into<Box<str>>, found: impl Into<Box<str>>) -> Error {
            Error::Bytes { file: self.file.into(), offset, expected: expected.into(), found: found.into() }
        }

        /// The next `n` bytes.
        ///
        /// # Errors
        /// [`Error::Bytes`] where they begin if they are not there.
        pub fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8]> {
            let left = &self.bytes[self.offset..];
            if left.len() < n {
                return Err(self.error_at(self.offset, what, format!("{} of {n} bytes", left.len())));
            }
            self.offset += n;
            Ok(&left[..n])
        }

        /// `Ok` at the end of the bytes.
        ///
        /// # Errors
        /// [`Error::Bytes`] where they should end.
        pub fn finish(&self) -> Result<()> {
            match self.bytes.len() - self.offset {
                0 => Ok(()),
                left => Err(self.error_at(self.offset, "end of file", format!("{left} more bytes"))),
            }
        }
    }
}
