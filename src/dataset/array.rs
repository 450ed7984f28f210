//! Numbers with a shape ([`Array`]), what the binary formats hold.

use super::bytes::Cursor;
use super::text::quoted;
use crate::error::Result;

/// Finite numbers with a shape, the last index running fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// The extents, none of them zero; the first counts samples. Empty for a single number.
    pub shape: Vec<usize>,
    /// As many values as the product of the extents.
    pub values: Vec<f64>,
}

impl Array {
    /// Number of samples: the first extent, 1 for a single number.
    pub fn n(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Values per sample: the product of the other extents.
    pub fn dim(&self) -> usize {
        self.shape.iter().skip(1).product()
    }
}

/// How an item is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// Truth as 0 or 1.
    Bool,
    /// Whole numbers of so many bytes.
    Unsigned(usize),
    /// Whole numbers of so many bytes in two's complement.
    Signed(usize),
    /// IEEE numbers of 4 or 8 bytes.
    Float(usize),
}

impl Item {
    /// Bytes an item.
    pub fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Unsigned(size) | Self::Signed(size) | Self::Float(size) => size,
        }
    }

    /// The finite `f64` that is stored in bytes of either order.
    ///
    /// # Errors
    /// What should be there instead.
    fn decode(self, bytes: &[u8], big_endian: bool) -> std::result::Result<f64, (&'static str, String)> {
        let mut raw = 0u64;
        let mut push = |byte: &u8| raw = raw << 8 | u64::from(*byte);
        if big_endian {
            bytes.iter().for_each(&mut push)
        } else {
            bytes.iter().rev().for_each(&mut push)
        }
        let exact = |value: f64, whole: i128| {
            let is = whole.unsigned_abs() <= 1 << 53 || value as i128 == whole;
            if is { Ok(value) } else { Err(("an integer that a double holds", whole.to_string())) }
        };
        match self {
            Self::Bool if raw > 1 => Err(("a truth value, 0 or 1", raw.to_string())),
            Self::Bool => Ok(raw as f64),
            Self::Unsigned(_) => exact(raw as f64, i128::from(raw)),
            Self::Signed(size) => {
                let unused = 64 - 8 * size as u32;
                let value = (raw << unused) as i64 >> unused;
                exact(value as f64, i128::from(value))
            }
            Self::Float(size) => {
                let value = if size == 4 { f64::from(f32::from_bits(raw as u32)) } else { f64::from_bits(raw) };
                if value.is_finite() { Ok(value) } else { Err(("a finite number", value.to_string())) }
            }
        }
    }
}

/// The array whose items fill the rest of the bytes.
///
/// # Errors
/// [`Error::Bytes`](crate::Error::Bytes) for an extent of zero, more or fewer items than the shape says, an item that is no finite double.
pub(super) fn read_items(mut cursor: Cursor<'_>, shape: Vec<usize>, item: Item, big_endian: bool) -> Result<Array> {
    if shape.contains(&0) {
        return Err(cursor.error_at(cursor.offset, "items", format!("none for the shape {shape:?}")));
    }
    let n_bytes = shape.iter().try_fold(item.size(), |product, extent| product.checked_mul(*extent));
    let Some(n_bytes) = n_bytes else {
        return Err(cursor.error_at(cursor.offset, format!("items of shape {shape:?}"), "an end"));
    };
    let start = cursor.offset;
    let bytes = cursor.take(n_bytes, "the items of the shape")?;
    cursor.finish()?;
    let items = bytes.chunks_exact(item.size()).enumerate();
    let decoded = items.map(|(k, bytes)| {
        let wrong = |(expected, found): (&str, String)| cursor.error_at(start + k * item.size(), expected, quoted(&found));
        item.decode(bytes, big_endian).map_err(wrong)
    });
    Ok(Array { shape, values: decoded.collect::<Result<_>>()? })
}
