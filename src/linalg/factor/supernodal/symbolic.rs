//! Supernodes, the structure of their fronts, and where everything goes.

use crate::error::{Error, Result};
use crate::linalg::factor::ordering::{ColumnCounts, NOT_STORED, Order, ROOT, Triangle};
use crate::linalg::operator::SparseView;
use std::ops::Range;

/// Supernodes of at most so many columns are merged with their parent if at most this fraction of the entries is zero.
const RELAX: [(usize, f64); 4] = [(4, 1.0), (16, 0.5), (48, 0.1), (usize::MAX, 0.03)];
/// Subtrees with at most this fraction of the work are one task.
const TASK: f64 = 1.0 / 24.0;

/// Structure of a supernodal factor. A node is a run of columns whose entries below are in the same rows; nodes are in
/// postorder. Its front holds its columns (stored in full, one after another) and the square of its rows below.
#[derive(Debug, Default)]
pub(super) struct Symbolic {
    /// First column of each node, and `n`.
    pub begins: Vec<usize>,
    /// Start of each node's rows below.
    pub row_starts: Vec<usize>,
    pub rows: Vec<u32>,
    /// Places of these rows in the parent's front.
    pub places: Vec<u32>,
    /// Start of each node's columns among the values of `L`.
    pub value_starts: Vec<usize>,
    /// Start of each node's entries of the matrix: their places in the node's columns and their sources.
    pub entry_starts: Vec<usize>,
    pub targets: Vec<u32>,
    pub sources: Vec<usize>,
    /// Start of each node's children.
    pub child_starts: Vec<usize>,
    pub children: Vec<u32>,
    /// Where each node's square is on its stack, and where each node's part of a right-hand side is.
    pub squares: Vec<Slot>,
    pub vectors: Vec<Slot>,
    /// The task of each node, or [`TOP`].
    pub task_of: Vec<u32>,
    pub tasks: Vec<Task>,
    /// The nodes above all tasks, in order, and the lengths of their stacks.
    pub top: Vec<usize>,
    pub top_stacks: [usize; 2],
    pub widest: usize,
}

/// The mark of nodes above all tasks.
pub(super) const TOP: u32 = u32::MAX;

/// Whole subtrees that are eliminated by one thread.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub nodes: Range<usize>,
    /// Lengths of its stacks, of squares and of vectors.
    pub stacks: [usize; 2],
}

/// A place on a stack: where something is assembled, above what the children leave, and where it is moved to then.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    pub assembled: usize,
    pub kept: usize,
}

impl Symbolic {
    pub fn n_nodes(&self) -> usize {
        self.begins.len() - 1
    }
    pub fn width(&self, s: usize) -> usize {
        self.begins[s + 1] - self.begins[s]
    }
    /// Rows below the diagonal block.
    pub fn below(&self, s: usize) -> usize {
        self.row_starts[s + 1] - self.row_starts[s]
    }
    pub fn rows(&self, s: usize) -> &[u32] {
        &self.rows[self.row_starts[s]..self.row_starts[s + 1]]
    }
    pub fn places(&self, s: usize) -> &[u32] {
        &self.places[self.row_starts[s]..self.row_starts[s + 1]]
    }
    pub fn children(&self, s: usize) -> impl Iterator<Item = usize> + Clone + Sync {
        self.children[self.child_starts[s]..self.child_starts[s + 1]].iter().map(|&c| c as usize)
    }

    /// Structure of `m` in an order, which is changed to an equivalent one.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the factor is too large.
    pub fn new(m: SparseView<'_>, order: &mut Order) -> Result<Self> {
        let too_large = Error::Unsupported { what: "the sparse factorization", requirement: "a smaller factor" };
        let n = m.dim();
        if n >= TOP as usize {
            return Err(too_large);
        }
        let Some(ColumnCounts { parent, counts, .. }) =
            ColumnCounts::new(&Triangle::new(m, &order.position, true), f64::INFINITY)
        else {
            return Err(too_large);
        };
        let post = postorder(&parent);
        let supernodes = Supernodes::new(&parent, &counts, &post);
        let (then, begins) = supernodes.columns();
        order.permute(&then.iter().map(|&j| post[j]).collect::<Vec<_>>());
        let mut symbolic = Self { begins, ..Self::default() };
        symbolic.widest = (0..symbolic.n_nodes()).map(|s| symbolic.width(s)).max().unwrap_or(0);
        if !symbolic.find_rows(&Triangle::new(m, &order.position, false)) {
            return Err(too_large);
        }
        symbolic.plan();
        Ok(symbolic)
    }

    /// Rows, children, places and entries; false if a block is too large.
    fn find_rows(&mut self, lower: &Triangle) -> bool {
        let (n, n_nodes) = (lower.starts.len() - 1, self.n_nodes());
        let mut node_of = vec![0u32; n];
        (0..n_nodes).for_each(|s| node_of[self.begins[s]..self.begins[s + 1]].fill(s as u32));
        // Children in lists: a node is known as a child once its rows are known, before its parent's turn.
        let (mut first, mut next) = (vec![TOP; n_nodes], vec![TOP; n_nodes]);
        let mut seen = vec![TOP; n];
        let mut local = vec![0u32; n];
        (self.row_starts, self.value_starts) = (vec![0], vec![0]);
        (self.entry_starts, self.child_starts) = (vec![0], vec![0]);
        for s in 0..n_nodes {
            let (begin, end) = (self.begins[s], self.begins[s + 1]);
            let from = self.rows.len();
            let mut visit = |i: u32, rows: &mut Vec<u32>| {
                if i as usize >= end && seen[i as usize] != s as u32 {
                    seen[i as usize] = s as u32;
                    rows.push(i);
                }
            };
            for &i in &lower.rows[lower.starts[begin]..lower.starts[end]] {
                visit(i as u32, &mut self.rows);
            }
            let mut child = first[s];
            while child != TOP {
                self.children.push(child);
                for k in self.row_starts[child as usize]..self.row_starts[child as usize + 1] {
                    visit(self.rows[k], &mut self.rows);
                }
                child = next[child as usize];
            }
            self.children[self.child_starts[s]..].sort_unstable();
            self.child_starts.push(self.children.len());
            self.rows[from..].sort_unstable();
            self.row_starts.push(self.rows.len());
            let width = end - begin;
            let height = width + self.rows.len() - from;
            if width * height > u32::MAX as usize {
                return false;
            }
            self.value_starts.push(self.value_starts[s] + width * height);
            (begin..end).for_each(|j| local[j] = (j - begin) as u32);
            self.rows[from..].iter().enumerate().for_each(|(k, &i)| local[i as usize] = (width + k) as u32);
            self.places.resize(self.rows.len(), 0);
            for c in self.child_starts[s]..self.children.len() {
                let c = self.children[c] as usize;
                for k in self.row_starts[c]..self.row_starts[c + 1] {
                    self.places[k] = local[self.rows[k] as usize];
                }
            }
            for j in begin..end {
                for k in lower.starts[j]..lower.starts[j + 1] {
                    if lower.sources[k] != NOT_STORED {
                        self.targets.push(((j - begin) * height) as u32 + local[lower.rows[k]]);
                        self.sources.push(lower.sources[k]);
                    }
                }
            }
            self.entry_starts.push(self.targets.len());
            if let Some(&i) = self.rows.get(from) {
                let parent = node_of[i as usize] as usize;
                next[s] = first[parent];
                first[parent] = s as u32;
            }
        }
        true
    }

    /// Cuts the tree into tasks and lays out the stacks.
    fn plan(&mut self) {
        let n_nodes = self.n_nodes();
        let mut work: Vec<f64> = (0..n_nodes)
            .map(|s| {
                let (w, h) = (self.width(s) as f64, (self.width(s) + self.below(s)) as f64);
                w * h * h + 64.0 * h
            })
            .collect();
        let total: f64 = work.iter().sum();
        for s in 0..n_nodes {
            work[s] += self.children(s).map(|c| work[c]).sum::<f64>();
        }
        let limit = TASK * total;
        let mut parent = vec![TOP; n_nodes];
        (0..n_nodes).for_each(|s| self.children(s).for_each(|c| parent[c] = s as u32));
        let is_top = |s: usize| work[s] > limit;
        self.task_of = vec![TOP; n_nodes];
        let (mut begin, mut sum) = (0, 0.0);
        for s in 0..n_nodes {
            if is_top(s) {
                self.top.push(s);
                (begin, sum) = (s + 1, 0.0);
                continue;
            }
            self.task_of[s] = self.tasks.len() as u32;
            if parent[s] != TOP && !is_top(parent[s] as usize) {
                continue;
            }
            // The root of a subtree: the task ends here if it is large enough or nothing can be added.
            sum += work[s];
            let more = s + 1 < n_nodes && !is_top(s + 1);
            if sum >= 0.5 * limit || !more {
                self.tasks.push(Task { nodes: begin..s + 1, stacks: [0; 2] });
                (begin, sum) = (s + 1, 0.0);
            }
        }
        let (squares, square_stacks) = self.lay_out(|s| self.below(s) * self.below(s));
        let (vectors, vector_stacks) = self.lay_out(|s| self.below(s));
        let stacks = |k: usize| [square_stacks[k], vector_stacks[k]];
        (self.squares, self.vectors) = (squares, vectors);
        self.tasks.iter_mut().enumerate().for_each(|(k, task)| task.stacks = stacks(k));
        self.top_stacks = stacks(self.tasks.len());
    }

    /// Slots for what each node leaves to its parent, which takes away that of its children; the lengths of the tasks'
    /// stacks, and last that of the nodes above.
    fn lay_out(&self, size: impl Fn(usize) -> usize) -> (Vec<Slot>, Vec<usize>) {
        let n_tasks = self.tasks.len();
        let mut slots: Vec<Slot> = vec![Slot::default(); self.n_nodes()];
        let (mut lengths, mut peaks) = (vec![0; n_tasks + 1], vec![0; n_tasks + 1]);
        for s in 0..self.n_nodes() {
            let stack = (self.task_of[s] as usize).min(n_tasks);
            let own = self.children(s).filter(|&c| self.task_of[c] == self.task_of[s]);
            let assembled: usize = lengths[stack];
            let kept = own.map(|c| slots[c].kept).min().unwrap_or(assembled);
            slots[s] = Slot { assembled, kept };
            peaks[stack] = (assembled + size(s)).max(peaks[stack]);
            lengths[stack] = kept + size(s);
        }
        (slots, peaks)
    }
}

/// The columns of a forest, children before parents and subtrees together.
fn postorder(parent: &[usize]) -> Vec<usize> {
    let n = parent.len();
    let (mut first, mut next) = (vec![ROOT; n], vec![ROOT; n]);
    let mut roots = Vec::new();
    for j in (0..n).rev() {
        if parent[j] == ROOT {
            roots.push(j);
        } else {
            next[j] = first[parent[j]];
            first[parent[j]] = j;
        }
    }
    let mut order = Vec::with_capacity(n);
    let mut open = roots;
    while let Some(&j) = open.last() {
        let child = first[j];
        if child == ROOT {
            order.push(j);
            open.pop();
        } else {
            first[j] = next[child];
            open.push(child);
        }
    }
    order
}

/// Supernodes of postordered columns, some merged with their parents (Ashcraft & Grimes 1989).
struct Supernodes {
    /// First column of each, and `n`.
    begins: Vec<usize>,
    /// The supernode that it is merged into, possibly itself.
    into: Vec<usize>,
}

impl Supernodes {
    fn new(parent: &[usize], counts: &[usize], post: &[usize]) -> Self {
        let n = post.len();
        let mut position = vec![0; n];
        post.iter().enumerate().for_each(|(k, &j)| position[j] = k);
        let above = |k: usize| Some(parent[post[k]]).filter(|&p| p != ROOT).map(|p| position[p]);
        let starts_here = |k: &usize| *k == 0 || above(*k - 1) != Some(*k) || counts[post[*k - 1]] != counts[post[*k]] + 1;
        let mut begins: Vec<usize> = (0..n).filter(starts_here).collect();
        let n_nodes = begins.len();
        begins.push(n);
        let mut node_of = vec![0; n];
        (0..n_nodes).for_each(|s| node_of[begins[s]..begins[s + 1]].fill(s));
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); n_nodes];
        let mut into: Vec<usize> = (0..n_nodes).collect();
        let mut width: Vec<usize> = begins.windows(2).map(|w| w[1] - w[0]).collect();
        let below: Vec<usize> = (0..n_nodes).map(|s| counts[post[begins[s + 1] - 1]] - 1).collect();
        let mut zeros = vec![0usize; n_nodes];
        for s in 0..n_nodes {
            let mut candidates = std::mem::take(&mut children[s]);
            candidates.sort_by_key(|&c| (width[c] * (width[s] + below[s] - below[c]), c));
            let mut kept = Vec::new();
            for c in candidates {
                let merged = width[s] + width[c];
                let empty = zeros[s] + zeros[c] + width[c] * (width[s] + below[s] - below[c]);
                let entries = merged * (merged + 1) / 2 + merged * below[s];
                if RELAX.iter().any(|&(columns, part)| merged <= columns && empty as f64 <= part * entries as f64) {
                    into[c] = s;
                    (width[s], zeros[s]) = (merged, empty);
                    kept.append(&mut children[c]);
                } else {
                    kept.push(c);
                }
            }
            children[s] = kept;
            if let Some(p) = above(begins[s + 1] - 1) {
                children[node_of[p]].push(s);
            }
        }
        for s in (0..n_nodes).rev() {
            into[s] = into[into[s]];
        }
        Self { begins, into }
    }

    /// The columns with those of each merged supernode together, and its first ones.
    fn columns(&self) -> (Vec<usize>, Vec<usize>) {
        let n_nodes = self.into.len();
        let mut starts = vec![0usize; n_nodes];
        (0..n_nodes).for_each(|s| starts[self.into[s]] += self.begins[s + 1] - self.begins[s]);
        let (mut begins, mut sum) = (Vec::new(), 0);
        for s in 0..n_nodes {
            if self.into[s] == s {
                begins.push(sum);
            }
            sum += std::mem::replace(&mut starts[s], sum);
        }
        begins.push(sum);
        let mut columns = vec![0; sum];
        for s in 0..n_nodes {
            for j in self.begins[s]..self.begins[s + 1] {
                columns[starts[self.into[s]]] = j;
                starts[self.into[s]] += 1;
            }
        }
        (columns, begins)
    }
}
