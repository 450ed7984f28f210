//! What time it is in a run.

/// Steps and epochs since the start of a run, both zero-based.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Clock {
    /// Steps done.
    pub step: u64,
    /// Terms evaluated for the steps done, over the number of terms: passes through the data.
    pub epoch: f64,
}
