//! The last point of a problem, shared by everything that is asked about it there.

use crate::error::Result;
use std::sync::{Arc, Mutex, PoisonError};

/// The last point, and one before it whose buffers the next point may take. Locked to look up or replace, never while the
/// user's functions run.
pub(super) struct Kept<T>(Mutex<Points<T>>);

struct Points<T> {
    last: Option<Arc<T>>,
    spare: Option<Arc<T>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(Points { last: None, spare: None }))
    }
}

impl<T> Kept<T> {
    /// What a `look` at the last point yields if that is the `same`; else at one in the buffers of a point that nobody else
    /// holds, `renew`ed, or at a `new` one. The look is under the lock: it reads, or takes a share of the point.
    pub fn at<V>(
        &self,
        same: impl Fn(&T) -> bool,
        renew: impl FnOnce(&mut T) -> Result<()>,
        new: impl FnOnce() -> Result<T>,
        look: impl FnOnce(&Arc<T>) -> V,
    ) -> Result<V> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = lock();
        if let Some(point) = kept.last.as_ref().filter(|point| same(point)) {
            return Ok(look(point));
        }
        let free = kept.free();
        drop(kept);
        let point = match free {
            Some(mut point) => {
                if let Some(own) = Arc::get_mut(&mut point) {
                    renew(own)?;
                }
                point
            }
            None => Arc::new(new()?),
        };
        let mut kept = lock();
        let seen = look(&point);
        kept.spare = kept.last.replace(point).or(kept.spare.take());
        Ok(seen)
    }
}

impl<T> Points<T> {
    /// A point that nobody else holds.
    fn free(&mut self) -> Option<Arc<T>> {
        let free = |point: &mut Option<Arc<T>>| point.take_if(|point| Arc::strong_count(point) == 1);
        free(&mut self.spare).or_else(|| free(&mut self.last))
    }
}

/// Whether two points are the same bit for bit.
pub(super) fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
}
