//! Work vectors for functions of any dimension that must be cheap at small ones.

/// A work vector: on the stack for small `n`, on the heap beyond.
pub struct Work {
    stack: [f64; 32],
    heap: Vec<f64>,
    n: usize,
}

impl Work {
    /// `n` zeros.
    pub fn zeros(n: usize) -> Self {
        Self { stack: [0.0; 32], heap: if n > 32 { vec![0.0; n] } else { Vec::new() }, n }
    }
    /// Entry `j` becomes `f(j)`.
    pub fn fill_with(&mut self, f: impl Fn(usize) -> f64) {
        self.iter_mut().enumerate().for_each(|(j, o)| *o = f(j));
    }
}

impl std::ops::Deref for Work {
    type Target = [f64];
    fn deref(&self) -> &[f64] {
        if self.n > 32 { &self.heap } else { &self.stack[..self.n] }
    }
}

impl std::ops::DerefMut for Work {
    fn deref_mut(&mut self) -> &mut [f64] {
        if self.n > 32 { &mut self.heap } else { &mut self.stack[..self.n] }
    }
}
