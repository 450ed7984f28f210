//! Sums of small functions of few variables each ([`Elements`]): `f(x) = Σₖ fₖ(x_{i₁}, …, x_{i_N})`, partially separable.
//!
//! Elements of one type form a group that shares one piece of compiled code, so nothing is dispatched or allocated per
//! element. The pattern of the sparse Hessian and the place of every local entry in it are found once; an assembly is a
//! scatter, `O(Σ N²)`.
//!
//! In parallel each thread owns a block of consecutive variables and adds what the elements touching it contribute, in
//! the order of the elements; an element across two blocks is evaluated in both. So each entry is the same sum in the
//! same order whatever the number of threads. Where blocks would share too many elements the work stays on one thread.
//!
//! # Reference
//! Griewank and Toint (1982), *On the unconstrained optimization of partially separable functions*.

#[cfg(feature = "autodiff")]
mod dual;
mod group;

use super::{Function, HessianMatrix, HessianProduct};
use crate::error::{Error, Result};
use crate::linalg::operator::{Pattern, SparseMatrix};
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use group::{Group, TypedGroup, Window};
use rayon::prelude::*;
use std::sync::Arc;

#[cfg(feature = "autodiff")]
pub use dual::{AutoElement, DualElement};

/// A function of `N` variables, in as many variants `k` as there are elements of its type. Data of element `k` (a weight,
/// an observation) is the implementor's, looked up by `k`.
///
/// With feature `autodiff`, `AutoElement` derives all of this from one function generic over dual numbers.
pub trait Element<const N: usize>: Send + Sync {
    /// `fₖ(x)`.
    fn value(&self, k: usize, x: &[f64; N]) -> f64;
    /// `∇fₖ(x)`.
    fn gradient(&self, k: usize, x: &[f64; N]) -> [f64; N];
    /// `∇²fₖ(x)`, symmetric, both triangles filled.
    fn hessian(&self, k: usize, x: &[f64; N]) -> [[f64; N]; N];
    /// `∇²fₖ(x) v`; by default through the matrix.
    #[inline]
    fn hessian_product(&self, k: usize, x: &[f64; N], v: &[f64; N]) -> [f64; N] {
        let h = self.hessian(k, x);
        std::array::from_fn(|i| (0..N).map(|j| h[i][j] * v[j]).sum())
    }
}

/// Elements in one partial sum of the cost: what is added in which order depends on nothing else.
const SUM_CHUNK: usize = 1024;
/// Below this many elements one thread is faster.
const PARALLEL_ELEMENTS: usize = 1 << 14;
/// Variables in one block of parallel work, at least.
const BLOCK: usize = 1 << 12;
/// Blocks at most, so that each carries enough work and few elements lie across two.
const MAX_BLOCKS: usize = 64;
/// Blocks are used if the elements they evaluate are at most this many times those that exist.
const MAX_OVERLAP: f64 = 1.25;

/// A sum of element functions: cost, gradient, sparse Hessian and its products, each in linear time.
///
/// # Example
/// ```
/// use argmin::core::Hessian;
/// use curvkit::problem::{Element, Elements};
///
/// struct Spring; // ½ (x₁ − x₀)²
/// impl Element<2> for Spring {
///     fn value(&self, _: usize, x: &[f64; 2]) -> f64 { 0.5 * (x[1] - x[0]).powi(2) }
///     fn gradient(&self, _: usize, x: &[f64; 2]) -> [f64; 2] { [x[0] - x[1], x[1] - x[0]] }
///     fn hessian(&self, _: usize, _: &[f64; 2]) -> [[f64; 2]; 2] { [[1.0, -1.0], [-1.0, 1.0]] }
/// }
/// let chain = Elements::builder(3).group(Spring, (0..2).map(|i| [i, i + 1])).build()?;
/// let h = chain.hessian(&vec![0.0; 3])?;
/// assert_eq!(h.values(), [1.0, -1.0, -1.0, 2.0, -1.0, -1.0, 1.0]);
/// # Ok::<(), argmin::core::Error>(())
/// ```
#[derive(Clone)]
pub struct Elements {
    n: usize,
    groups: Vec<Arc<dyn Group>>,
    pattern: Arc<Pattern>,
    /// First variable of each block and one past the last; a single block means serial work.
    blocks: Vec<usize>,
    /// Elements of each group that touch each block: `touching[block][group]`.
    touching: Vec<Vec<Vec<u32>>>,
}

/// Collects groups of elements; [`build`](Self::build) checks them.
pub struct ElementsBuilder {
    n: usize,
    groups: Vec<Box<dyn Group>>,
}

impl ElementsBuilder {
    /// Adds one element type applied to many index tuples; the tuple's position is the element's number `k`.
    ///
    /// An index may appear twice in a tuple.
    pub fn group<E, const N: usize>(mut self, element: E, indices: impl IntoIterator<Item = [usize; N]>) -> Self
    where
        E: Element<N> + 'static,
    {
        self.groups.push(Box::new(TypedGroup::new(element, indices.into_iter().collect())));
        self
    }

    /// The problem, with the pattern of its Hessian and all scatter positions found.
    ///
    /// # Errors
    /// [`Error::Dimension`] if an index is not below `n`; [`Error::Unsupported`] if the Hessian would have more than
    /// `2³² − 1` entries.
    pub fn build(self) -> Result<Elements> {
        let Self { n, mut groups } = self;
        let too_large = Error::Unsupported { what: "a sparse Hessian by elements", requirement: "fewer than 2^32 entries" };
        if groups.iter().map(|g| g.len()).chain([n]).any(|count| count >= u32::MAX as usize) {
            return Err(too_large);
        }
        let pattern = Arc::new(Pattern::from_pairs(n, groups.iter().flat_map(|g| g.pairs()))?);
        if pattern.nnz() >= u32::MAX as usize {
            return Err(too_large);
        }
        groups.iter_mut().for_each(|g| g.locate(&pattern));
        let groups: Vec<Arc<dyn Group>> = groups.into_iter().map(Arc::from).collect();
        let (blocks, touching) = split(n, &groups);
        Ok(Elements { n, groups, pattern, blocks, touching })
    }
}

/// Blocks of variables and the elements touching each, or a single block if there is too little work or too much overlap.
fn split(n: usize, groups: &[Arc<dyn Group>]) -> (Vec<usize>, Vec<Vec<Vec<u32>>>) {
    let n_elements: usize = groups.iter().map(|g| g.len()).sum();
    let n_blocks = (n / BLOCK).min(MAX_BLOCKS);
    if n_elements < PARALLEL_ELEMENTS || n_blocks < 2 {
        return (vec![0, n], Vec::new());
    }
    let blocks: Vec<usize> = (0..=n_blocks).map(|b| b * n / n_blocks).collect();
    let mut touching = vec![vec![Vec::new(); groups.len()]; n_blocks];
    for (g, group) in groups.iter().enumerate() {
        group.for_each_index(&mut |k, i| {
            let list: &mut Vec<u32> = &mut touching[blocks.partition_point(|start| *start <= i) - 1][g];
            if list.last() != Some(&k) {
                list.push(k);
            }
        });
    }
    let touched: usize = touching.iter().flatten().map(Vec::len).sum();
    if touched as f64 > MAX_OVERLAP * n_elements as f64 { (vec![0, n], Vec::new()) } else { (blocks, touching) }
}

impl Elements {
    /// Starts a sum over `n` variables.
    pub fn builder(n: usize) -> ElementsBuilder {
        ElementsBuilder { n, groups: Vec::new() }
    }

    /// The pattern of the Hessian, shared by all its values.
    pub fn pattern(&self) -> &Arc<Pattern> {
        &self.pattern
    }

    /// Number of elements.
    pub fn n_elements(&self) -> usize {
        self.groups.iter().map(|g| g.len()).sum()
    }

    fn sum(&self, x: &[f64]) -> f64 {
        let mut total = 0.0;
        for group in &self.groups {
            let n_chunks = group.len().div_ceil(SUM_CHUNK);
            let partial = |c: usize| group.value(x, c * SUM_CHUNK..((c + 1) * SUM_CHUNK).min(group.len()));
            if group.len() < PARALLEL_ELEMENTS {
                total += (0..n_chunks).map(partial).sum::<f64>();
            } else {
                total += (0..n_chunks).into_par_iter().map(partial).collect::<Vec<_>>().iter().sum::<f64>();
            }
        }
        total
    }

    /// Adds to `out` by one task for each block; `start(i)` is where the entries of variable `i` begin in `out`.
    fn assemble(&self, out: &mut [f64], start: impl Fn(usize) -> usize, add: impl Fn(&dyn Group, Window<'_>, &mut [f64]) + Sync) {
        if self.touching.is_empty() {
            self.groups.iter().for_each(|group| add(&**group, Window::All, out));
            return;
        }
        let (mut rest, mut tasks) = (out, Vec::with_capacity(self.touching.len()));
        for (lists, block) in self.touching.iter().zip(self.blocks.windows(2)) {
            let offset = start(block[0]);
            let (own, later) = rest.split_at_mut(start(block[1]) - offset);
            tasks.push((lists, block[0]..block[1], offset, own));
            rest = later;
        }
        tasks.into_par_iter().for_each(|(lists, variables, offset, own)| {
            for (group, elements) in self.groups.iter().zip(lists) {
                add(&**group, Window::Block { elements, variables: variables.clone(), offset }, own);
            }
        });
    }

    fn checked<'a>(&self, x: &'a [f64]) -> Result<&'a [f64]> {
        Error::check_len("point", self.n, x.len())?;
        Ok(x)
    }

    fn matrix(&self, x: &[f64]) -> Result<SparseMatrix> {
        let mut values = vec![0.0; self.pattern.nnz()];
        let starts = self.pattern.column_starts();
        self.assemble(&mut values, |i| starts[i], |group, window, out| group.hessian(x, window, out));
        SparseMatrix::new(Arc::clone(&self.pattern), values)
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.checked(x)?;
        Error::check_len("direction", self.n, v.len())?;
        Error::check_len("product", self.n, out.len())?;
        out.fill(0.0);
        self.assemble(out, |i| i, |group, window, out| group.product(x, v, window, out));
        Ok(())
    }
}

impl CostFunction for Elements {
    type Param = Vec<f64>;
    type Output = f64;
    fn cost(&self, x: &Vec<f64>) -> std::result::Result<f64, ArgminError> {
        Ok(self.sum(self.checked(x)?))
    }
}

impl Gradient for Elements {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;
    fn gradient(&self, x: &Vec<f64>) -> std::result::Result<Vec<f64>, ArgminError> {
        let x = self.checked(x)?;
        let mut g = vec![0.0; self.n];
        self.assemble(&mut g, |i| i, |group, window, out| group.gradient(x, window, out));
        Ok(g)
    }
}

impl Hessian for Elements {
    type Param = Vec<f64>;
    type Hessian = SparseMatrix;
    fn hessian(&self, x: &Vec<f64>) -> std::result::Result<SparseMatrix, ArgminError> {
        Ok(self.matrix(self.checked(x)?)?)
    }
}

/// Element by element: no matrix is formed.
impl HessianProduct for Elements {
    fn hessian_product(&self, x: &Vec<f64>, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.product(x, v, out)
    }
}

impl Function for Elements {
    fn dim(&self) -> usize {
        self.n
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        Ok(self.sum(self.checked(x)?))
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("gradient", self.n, out.len())?;
        self.checked(x)?;
        out.fill(0.0);
        self.assemble(out, |i| i, |group, window, out| group.gradient(x, window, out));
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        Ok(HessianMatrix::Sparse(self.matrix(self.checked(x)?)?))
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.product(x, v, out)
    }
}

#[cfg(test)]
mod tests;
