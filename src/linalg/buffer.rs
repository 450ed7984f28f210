//! Large buffers that are used again. Fresh memory is a page fault every few hundred numbers, which can cost as much as the
//! product that fills it.

use super::matrix::zeros;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers that nobody uses at the moment, the oldest first.
static FREE: Mutex<Vec<Vec<f64>>> = Mutex::new(Vec::new());
/// Numbers that are worth keeping: 64 kB.
const LEAST: usize = 1 << 13;
/// Numbers that are kept at most: 128 MB.
const MOST: usize = 1 << 24;

/// Numbers in memory that comes from earlier buffers and goes to later ones.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<f64>);

impl Buffer {
    /// `len` numbers, whatever they are: to be overwritten.
    pub fn new(len: usize) -> Self {
        if len < LEAST {
            return Self(vec![0.0; len]);
        }
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<f64>| (len..=2 * len).contains(&buffer.capacity());
        let found = free.iter().rposition(fits).map(|i| free.remove(i));
        drop(free);
        Self(found.map_or_else(
            || zeros(len),
            |mut buffer| {
                buffer.resize(len, 0.0);
                buffer
            },
        ))
    }

    /// The numbers, never to be used again.
    pub fn into_vec(mut self) -> Vec<f64> {
        std::mem::take(&mut self.0)
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::new(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let size = self.0.capacity();
        if !(LEAST..=MOST).contains(&size) {
            return;
        }
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept: usize = size + free.iter().map(Vec::capacity).sum::<usize>();
        let surplus = free.iter().take_while(|buffer| {
            let drops = kept > MOST;
            kept -= if drops { buffer.capacity() } else { 0 };
            drops
        });
        let surplus = surplus.count();
        let gone: Vec<_> = free.drain(..surplus).collect();
        free.push(std::mem::take(&mut self.0));
        drop(free);
        drop(gone);
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        self.as_ref().into()
    }
}

impl From<&[f64]> for Buffer {
    fn from(values: &[f64]) -> Self {
        let mut buffer = Self::new(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl From<Vec<f64>> for Buffer {
    fn from(values: Vec<f64>) -> Self {
        Self(values)
    }
}

impl AsRef<[f64]> for Buffer {
    fn as_ref(&self) -> &[f64] {
        &self.0
    }
}

impl Deref for Buffer {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f64] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_the_length_asked_for_and_no_more_is_kept_than_said() {
        for len in [0, 1, LEAST, 3 * LEAST / 2, LEAST + 1, 2 * LEAST, MOST / 2, LEAST, MOST / 2, MOST / 2, MOST + 1, LEAST] {
            let mut buffer = Buffer::new(len);
            assert_eq!(buffer.len(), len);
            buffer.fill(7.0);
            assert_eq!(*buffer.clone(), *buffer);
        }
        let kept = FREE.lock().map(|free| free.iter().map(Vec::capacity).sum::<usize>());
        assert!(kept.is_ok_and(|kept| kept <= MOST));
    }
}
