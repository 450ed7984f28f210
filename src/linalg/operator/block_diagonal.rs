//! Block-diagonal matrices whose blocks are known in closed form.

use super::{ClosedForm, Operator, SymmetricOperator};
use crate::error::{Error, Result};

/// A matrix with the given blocks on its diagonal, in order and without gaps.
pub struct BlockDiagonal {
    blocks: Vec<Box<dyn ClosedForm>>,
}

/// Its inverse: the inverses of the blocks.
struct Inverse {
    blocks: Vec<Box<dyn SymmetricOperator + Send + Sync>>,
}

/// `out ← B v` block by block.
fn apply<B: SymmetricOperator + ?Sized>(blocks: &[Box<B>], v: &[f64], out: &mut [f64]) -> Result<()> {
    let n: usize = blocks.iter().map(|block| block.dim()).sum();
    Error::check_len("vector", n, v.len())?;
    Error::check_len("product", n, out.len())?;
    let mut start = 0;
    for block in blocks {
        let range = start..start + block.dim();
        start = range.end;
        block.apply(&v[range.clone()], &mut out[range])?;
    }
    Ok(())
}

impl SymmetricOperator for Inverse {
    fn dim(&self) -> usize {
        self.blocks.iter().map(|block| block.dim()).sum()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        apply(&self.blocks, v, out)
    }
}

impl BlockDiagonal {
    /// From its blocks.
    pub fn new(blocks: Vec<Box<dyn ClosedForm>>) -> Self {
        Self { blocks }
    }

    /// The blocks.
    pub fn blocks(&self) -> &[Box<dyn ClosedForm>] {
        &self.blocks
    }
}

impl SymmetricOperator for BlockDiagonal {
    fn dim(&self) -> usize {
        self.blocks.iter().map(|block| block.dim()).sum()
    }
    fn apply(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        apply(&self.blocks, v, out)
    }
    fn inverse(&self, damping: f64) -> Option<Result<Operator<'_>>> {
        Some(self.damped_inverse(damping).map(|inverse| inverse as Operator<'_>))
    }
}

impl ClosedForm for BlockDiagonal {
    fn write_entries(&self, out: &mut [f64]) -> Result<()> {
        let n = self.dim();
        Error::check_len("dense matrix", n * n, out.len())?;
        out.fill(0.0);
        let mut start = 0;
        for block in &self.blocks {
            let size = block.dim();
            let mut entries = vec![0.0; size * size];
            block.write_entries(&mut entries)?;
            for (j, column) in entries.chunks_exact(size).enumerate() {
                let at = (start + j) * n + start;
                out[at..at + size].copy_from_slice(column);
            }
            start += size;
        }
        Ok(())
    }
    fn write_diagonal(&self, out: &mut [f64]) -> Result<()> {
        Error::check_len("diagonal", self.dim(), out.len())?;
        let mut start = 0;
        for block in &self.blocks {
            let range = start..start + block.dim();
            start = range.end;
            block.write_diagonal(&mut out[range])?;
        }
        Ok(())
    }
    fn trace(&self) -> f64 {
        self.blocks.iter().map(|block| block.trace()).sum()
    }
    fn frobenius_norm(&self) -> f64 {
        self.blocks.iter().fold(0.0, |norm, block| f64::hypot(norm, block.frobenius_norm()))
    }
    fn log_determinant(&self, damping: f64) -> Result<f64> {
        self.blocks.iter().map(|block| block.log_determinant(damping)).sum()
    }
    fn damped_inverse(&self, damping: f64) -> Result<Box<dyn SymmetricOperator + Send + Sync>> {
        let inverses = self.blocks.iter().map(|block| block.damped_inverse(damping)).collect::<Result<_>>()?;
        Ok(Box::new(Inverse { blocks: inverses }))
    }
}
