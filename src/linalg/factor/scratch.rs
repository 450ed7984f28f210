//! Working memory of faer's low-level routines, kept between calls.

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};

/// A buffer that grows to what was asked for. Its contents carry nothing, so a clone starts empty.
#[derive(Default)]
pub(super) struct Scratch {
    buffer: Option<MemBuffer>,
    bytes: usize,
}

impl Scratch {
    /// A stack of at least the size required.
    pub fn stack(&mut self, need: StackReq) -> &mut MemStack {
        let bytes = need.size_bytes();
        if self.buffer.is_none() || self.bytes < bytes {
            self.bytes = bytes;
            self.buffer = None;
        }
        MemStack::new(self.buffer.get_or_insert_with(|| MemBuffer::new(need)))
    }
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scratch({} bytes)", self.bytes)
    }
}
