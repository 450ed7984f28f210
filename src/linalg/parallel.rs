//! Independent work, shared among threads.

use rayon::prelude::*;

/// `f` of every item, in order. On one thread without a detour through its pool.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, f: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    if items.len() < 2 || rayon::current_num_threads() == 1 {
        items.into_iter().map(f).collect()
    } else {
        items.into_par_iter().map(f).collect()
    }
}
