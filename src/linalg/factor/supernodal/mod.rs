//! Sparse Cholesky by supernodes, multifrontal: each supernode is eliminated in a dense front, which passes the square
//! below it on to its parent.
//!
//! Subtrees of the elimination tree are tasks for the threads; above them the dense kernels share the fronts. What is
//! added in which order depends on the matrix only.
//!
//! The triangular solves with one right-hand side are plain loops over the supernodes, which also gives the half solve
//! and, from the part computed before a failed pivot, a direction of negative curvature.
//!
//! # Reference
//! Duff & Reid (1983), ACM TOMS 9(3) (multifrontal); Liu (1992), SIAM Review 34(1).

mod front;
mod symbolic;

use super::NotPositiveDefinite;
use super::ordering::Order;
use crate::error::Result;
use crate::linalg::operator::SparseView;
use crate::linalg::vector::{axpy, dot};
use faer::Par;
use faer::dyn_stack::MemBuffer;
use faer::linalg::cholesky::llt::factor::cholesky_in_place_scratch;
use front::{Child, Front};
use rayon::prelude::*;
use std::sync::Arc;
use symbolic::{Slot, Symbolic, Task};

/// Multiplications from which on a factorization uses all threads.
const PARALLEL_FLOPS: f64 = 2e6;

/// Symbolic analysis and values of a supernodal factorization.
#[derive(Debug, Clone, Default)]
pub(super) struct Supernodal {
    symbolic: Arc<Symbolic>,
    values: Vec<f64>,
    /// The squares of each task's nodes, then those of the nodes above.
    stacks: Vec<Vec<f64>>,
    /// The parts of a right-hand side that nodes leave to their parents, on such stacks too.
    vectors: Vec<Vec<f64>>,
    /// What a back substitution has found above the tasks.
    known: Vec<f64>,
    parallel: bool,
}

impl Supernodal {
    /// Symbolic factorization of `m` in the given order, which is changed to an equivalent one.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) if the factor is too large.
    pub fn analyse(&mut self, m: SparseView<'_>, order: &mut Order) -> Result<()> {
        let symbolic = Symbolic::new(m, order)?;
        self.parallel = order.flops >= PARALLEL_FLOPS;
        self.values = vec![0.0; symbolic.value_starts[symbolic.n_nodes()]];
        let lengths = || symbolic.tasks.iter().map(|t| t.stacks).chain([symbolic.top_stacks]);
        self.stacks = lengths().map(|length| vec![0.0; length[0]]).collect();
        self.vectors = lengths().map(|length| vec![0.0; length[1]]).collect();
        self.known = vec![0.0; m.dim()];
        self.symbolic = Arc::new(symbolic);
        Ok(())
    }

    /// Factors; the pivot of an error counts in the permuted order.
    pub fn factor(&mut self, a: &[f64], shift: f64) -> std::result::Result<(), NotPositiveDefinite> {
        let symbolic = &*self.symbolic;
        let Some((top_stack, stacks)) = self.stacks.split_last_mut() else { return Ok(()) };
        let matrix = Shifted { symbolic, a, shift };
        let mut pieces = Vec::with_capacity(stacks.len());
        let (mut rest, mut at) = (&mut self.values[..], 0);
        for (task, stack) in symbolic.tasks.iter().zip(stacks.iter_mut()) {
            let (begin, end) = (symbolic.value_starts[task.nodes.start], symbolic.value_starts[task.nodes.end]);
            let (own, later) = std::mem::take(&mut rest).split_at_mut(begin - at).1.split_at_mut(end - begin);
            pieces.push((task, Storage { values: own, first: begin, stack }));
            (rest, at) = (later, end);
        }
        // Every task runs to its own end, so that the first failure in the order is found whatever runs when.
        let run = |(task, storage): (&Task, Storage<'_>)| matrix.eliminate(task.nodes.clone(), storage, &[], false).err();
        let failed = if self.parallel {
            pieces.into_par_iter().map(run).collect::<Vec<_>>().into_iter().flatten().min()
        } else {
            pieces.into_iter().filter_map(run).min()
        };
        let result = match failed {
            Some(pivot) => Err(pivot),
            None => {
                let storage = Storage { values: &mut self.values, first: 0, stack: top_stack };
                matrix.eliminate(symbolic.top.iter().copied(), storage, stacks, self.parallel)
            }
        };
        result.map_err(|pivot| NotPositiveDefinite { pivot, deficit: self.deficit(a, shift, pivot) })
    }

    /// `−(a_kk + σ − Σ_{j<k} l_kj²)` from the finished part of row `k`. The front that holds the pivot was assembled
    /// before its elimination failed, so what earlier supernodes contribute is summed again.
    fn deficit(&self, a: &[f64], shift: f64, k: usize) -> f64 {
        let symbolic = &*self.symbolic;
        let (mut squares, mut diagonal) = (0.0, shift);
        for s in 0..symbolic.n_nodes() {
            let (start, end) = (symbolic.begins[s], symbolic.begins[s + 1]);
            if start > k {
                break;
            }
            let rows = symbolic.rows(s);
            let block = self.block(s);
            let height = end - start + rows.len();
            let at = if k < end { Some(k - start) } else { rows.binary_search(&(k as u32)).ok().map(|p| end - start + p) };
            if let Some(at) = at {
                let columns = (end - start).min(k - start);
                squares += (0..columns).map(|j| block[j * height + at] * block[j * height + at]).sum::<f64>();
            }
            if k < end {
                let entries = symbolic.entry_starts[s]..symbolic.entry_starts[s + 1];
                let place = ((k - start) * (height + 1)) as u32;
                diagonal += entries.filter(|&e| symbolic.targets[e] == place).map(|e| a[symbolic.sources[e]]).sum::<f64>();
            }
        }
        (squares - diagonal).max(0.0)
    }

    fn block(&self, s: usize) -> &[f64] {
        &self.values[self.symbolic.value_starts[s]..self.symbolic.value_starts[s + 1]]
    }

    /// `x ← L⁻¹ x`.
    pub fn forward(&mut self, x: &mut [f64]) {
        let symbolic = &*self.symbolic;
        let Some((top, stacks)) = self.vectors.split_last_mut() else { return };
        let solve = Substitution { symbolic, values: &self.values };
        let run =
            |(task, own, stack): Piece<'_>| solve.forward(task.nodes.clone(), own, symbolic.begins[task.nodes.start], stack, &[]);
        each(pieces(symbolic, x, stacks), self.parallel, run);
        solve.forward(symbolic.top.iter().copied(), x, 0, top, stacks);
    }

    /// `x ← L⁻ᵀ x`.
    pub fn backward(&mut self, x: &mut [f64]) {
        let symbolic = &*self.symbolic;
        let Some((top, stacks)) = self.vectors.split_last_mut() else { return };
        let solve = Substitution { symbolic, values: &self.values };
        solve.backward(symbolic.top.iter().copied().rev(), x, 0, &[], top);
        self.known.copy_from_slice(x);
        let known = &self.known;
        let run = |(task, own, stack): Piece<'_>| {
            solve.backward(task.nodes.clone().rev(), own, symbolic.begins[task.nodes.start], known, stack);
        };
        each(pieces(symbolic, x, stacks), self.parallel, run);
    }

    /// `v` (permuted) with `v_k = 1` at the failed pivot, zero behind it and `(Lᵀv)_j = 0` ahead of it.
    pub fn negative_curvature(&mut self, pivot: usize, v: &mut [f64]) {
        v.fill(0.0);
        v[pivot] = 1.0;
        let symbolic = &*self.symbolic;
        let s = symbolic.begins.partition_point(|&begin| begin <= pivot) - 1;
        let (start, height) = (symbolic.begins[s], symbolic.width(s) + symbolic.below(s));
        // Within the pivot's supernode only the rows up to the pivot are finished.
        let block = self.block(s);
        let inside = pivot - start;
        for j in (0..inside).rev() {
            let column = &block[j * height..j * height + inside + 1];
            let here = &v[start..=pivot];
            v[start + j] = -dot(&column[j + 1..], &here[j + 1..]) / column[j];
        }
        // The part from the pivot's supernode on is known; what lies in other branches of the tree stays zero.
        let longest = (0..s).map(|s| symbolic.below(s)).max().unwrap_or(0);
        let solve = Substitution { symbolic, values: &self.values };
        solve.backward((0..s).rev(), v, 0, &[], &mut vec![0.0; longest]);
    }
}

/// A task, its part of a vector and its stack.
type Piece<'a> = (&'a Task, &'a mut [f64], &'a mut Vec<f64>);

/// Cuts a vector into the columns of the tasks.
fn pieces<'a>(symbolic: &'a Symbolic, x: &'a mut [f64], stacks: &'a mut [Vec<f64>]) -> Vec<Piece<'a>> {
    let (mut rest, mut at) = (x, 0);
    let mut cut = |(task, stack): (&'a Task, &'a mut Vec<f64>)| {
        let (begin, end) = (symbolic.begins[task.nodes.start], symbolic.begins[task.nodes.end]);
        let (own, later) = std::mem::take(&mut rest).split_at_mut(begin - at).1.split_at_mut(end - begin);
        (rest, at) = (later, end);
        (task, own, stack)
    };
    symbolic.tasks.iter().zip(stacks).map(&mut cut).collect()
}

fn each(pieces: Vec<Piece<'_>>, parallel: bool, run: impl Fn(Piece<'_>) + Sync + Send) {
    if parallel { pieces.into_par_iter().for_each(run) } else { pieces.into_iter().for_each(run) }
}

/// Solves with the factor over some nodes. `own` is their part of the vector, whose first entry is `first`.
#[derive(Clone, Copy)]
struct Substitution<'a> {
    symbolic: &'a Symbolic,
    values: &'a [f64],
}

impl Substitution<'_> {
    fn block(&self, s: usize) -> &[f64] {
        &self.values[self.symbolic.value_starts[s]..self.symbolic.value_starts[s + 1]]
    }

    /// Vectors of children that are in tasks of their own lie on the stacks `below`.
    fn forward(self, nodes: impl Iterator<Item = usize>, own: &mut [f64], first: usize, stack: &mut [f64], below: &[Vec<f64>]) {
        let symbolic = self.symbolic;
        for s in nodes {
            let (width, r) = (symbolic.width(s), symbolic.below(s));
            let x = &mut own[symbolic.begins[s] - first..symbolic.begins[s + 1] - first];
            let Slot { assembled, kept } = symbolic.vectors[s];
            let (before, after) = stack.split_at_mut(assembled);
            let sums = &mut after[..r];
            sums.fill(0.0);
            for c in symbolic.children(s) {
                let task = symbolic.task_of[c];
                let stack = if task == symbolic.task_of[s] { &*before } else { &below[task as usize][..] };
                for (&place, v) in symbolic.places(c).iter().zip(&stack[symbolic.vectors[c].kept..]) {
                    let place = place as usize;
                    if place < width { x[place] += v } else { sums[place - width] += v }
                }
            }
            for (j, column) in self.block(s).chunks_exact(width + r).enumerate() {
                x[j] /= column[j];
                let xj = x[j];
                axpy(-xj, &column[j + 1..width], &mut x[j + 1..]);
                axpy(-xj, &column[width..], sums);
            }
            stack.copy_within(assembled..assembled + r, kept);
        }
    }

    /// Entries of the solution behind `own` are in `known`; `work` has room for the rows of any node.
    fn backward(self, nodes: impl Iterator<Item = usize>, own: &mut [f64], first: usize, known: &[f64], work: &mut [f64]) {
        let symbolic = self.symbolic;
        let end = first + own.len();
        for s in nodes {
            let (start, width, r) = (symbolic.begins[s] - first, symbolic.width(s), symbolic.below(s));
            let work = &mut work[..r];
            for (w, &i) in work.iter_mut().zip(symbolic.rows(s)) {
                let i = i as usize;
                *w = if i < end { own[i - first] } else { known[i] };
            }
            let x = &mut own[start..start + width];
            for (j, column) in self.block(s).chunks_exact(width + r).enumerate().rev() {
                let sum = dot(&column[j + 1..width], &x[j + 1..]) + dot(&column[width..], work);
                x[j] = (x[j] - sum) / column[j];
            }
        }
    }
}

/// `B + σI` as the eliminations see it.
#[derive(Clone, Copy)]
struct Shifted<'a> {
    symbolic: &'a Symbolic,
    a: &'a [f64],
    shift: f64,
}

/// What one thread writes to: some values of `L`, of which `first` is the first, and a stack.
struct Storage<'a> {
    values: &'a mut [f64],
    first: usize,
    stack: &'a mut [f64],
}

impl Shifted<'_> {
    /// Eliminates nodes in order. Squares of children that are in tasks of their own lie on the stacks `below`. Else
    /// the pivot that is not positive.
    fn eliminate(
        self,
        nodes: impl Iterator<Item = usize>,
        storage: Storage<'_>,
        below: &[Vec<f64>],
        shared: bool,
    ) -> std::result::Result<(), usize> {
        let Self { symbolic, a, shift } = self;
        let Storage { values, first, stack } = storage;
        let mut buffer = MemBuffer::new(cholesky_in_place_scratch::<f64>(symbolic.widest, Par::Seq, Default::default()));
        for s in nodes {
            let (width, r) = (symbolic.width(s), symbolic.below(s));
            let Slot { assembled: at, kept } = symbolic.squares[s];
            let (before, own) = stack.split_at_mut(at);
            let before = &*before;
            let values = &mut values[symbolic.value_starts[s] - first..symbolic.value_starts[s + 1] - first];
            let mut front = Front { width, columns: values, square: &mut own[..r * r], shared };
            front.assemble(symbolic.children(s).map(|c| {
                let task = symbolic.task_of[c];
                let stack = if task == symbolic.task_of[s] { before } else { &below[task as usize][..] };
                let from = symbolic.squares[c].kept;
                Child { places: symbolic.places(c), square: &stack[from..from + symbolic.below(c) * symbolic.below(c)] }
            }));
            let entries = symbolic.entry_starts[s]..symbolic.entry_starts[s + 1];
            for (&target, &source) in symbolic.targets[entries.clone()].iter().zip(&symbolic.sources[entries]) {
                front.columns[target as usize] += a[source];
            }
            for j in 0..width {
                front.columns[j * (width + r + 1)] += shift;
            }
            front.eliminate(&mut buffer).map_err(|j| symbolic.begins[s] + j)?;
            if kept < at {
                (0..r).for_each(|j| stack.copy_within(at + j * r + j..at + (j + 1) * r, kept + j * r + j));
            }
        }
        Ok(())
    }
}
