//! Structure of a sparse Jacobian made of small dense blocks: each block has a few rows and names the few variables that
//! these rows depend on.

use super::Pattern;
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::OnceLock;

/// Work in one piece of a parallel loop, at least, in stored entries.
const PIECE: usize = 1 << 14;
/// Pieces at most.
const MAX_PIECES: usize = 64;

/// Blocks of one shape, `height` rows by `width` variables each; their entries are stored one block after another, each
/// block by rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroup {
    height: usize,
    width: usize,
    /// `width` variables a block.
    indices: Vec<u32>,
    first_row: usize,
    first_value: usize,
    /// For each run of variables, where its touches begin.
    starts: Vec<u32>,
    /// Block and place of the run's first variable in the block's tuple.
    touches: Vec<(u32, u32)>,
}

impl RowGroup {
    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.indices.len() / self.width
    }
    /// True without a block.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
    /// Rows of a block.
    pub fn height(&self) -> usize {
        self.height
    }
    /// Variables of a block.
    pub fn width(&self) -> usize {
        self.width
    }
    /// The variables of block `k`.
    pub fn variables(&self, k: usize) -> &[u32] {
        &self.indices[k * self.width..(k + 1) * self.width]
    }
    /// Rows of the Jacobian that block `k` fills.
    pub fn rows(&self, k: usize) -> Range<usize> {
        let first = self.first_row + k * self.height;
        first..first + self.height
    }
    /// Where the entries of block `k` lie, by rows.
    pub fn values(&self, k: usize) -> Range<usize> {
        let size = self.height * self.width;
        let first = self.first_value + k * size;
        first..first + size
    }
    /// All rows of the group.
    pub fn all_rows(&self) -> Range<usize> {
        self.first_row..self.first_row + self.len() * self.height
    }
    /// All entries of the group.
    pub fn all_values(&self) -> Range<usize> {
        self.first_value..self.first_value + self.indices.len() * self.height
    }
    /// Blocks that touch a run of variables, with the place where the run begins.
    pub(crate) fn touching(&self, run: usize) -> &[(u32, u32)] {
        &self.touches[self.starts[run] as usize..self.starts[run + 1] as usize]
    }
}

/// The structure of an `m × n` Jacobian as groups of blocks, with its transpose.
///
/// Variables that always stand together, in consecutive places, form a *run*: a camera, a point. Transposed loops go by
/// runs.
#[derive(Debug, Clone)]
pub struct JacobianPattern {
    n: usize,
    m: usize,
    nnz: usize,
    groups: Vec<RowGroup>,
    /// First variable of each run, and `n`.
    runs: Vec<usize>,
    /// First run of each piece of parallel work, and the number of runs.
    pieces: Vec<usize>,
    gram: OnceLock<Pattern>,
}

impl JacobianPattern {
    /// From `(height, width, variables)` of each group: `width` variables for each block, one block after another.
    ///
    /// # Errors
    /// [`Error::Dimension`] for a group whose width does not divide its variables, or a variable not below `n`;
    /// [`Error::Config`] for a block without a row or a variable, or with one variable twice;
    /// [`Error::Unsupported`] beyond `2³² − 1` variables or stored variables.
    pub fn new(n: usize, groups: Vec<(usize, usize, Vec<u32>)>) -> Result<Self> {
        let too_large = Error::Unsupported { what: "a sparse Jacobian", requirement: "fewer than 2^32 variables and touches" };
        if n >= u32::MAX as usize || groups.iter().any(|(_, _, indices)| indices.len() >= u32::MAX as usize) {
            return Err(too_large);
        }
        let (mut m, mut nnz, mut built) = (0, 0, Vec::with_capacity(groups.len()));
        for (height, width, indices) in groups {
            Error::check_option(height > 0 && width > 0, "block", "of at least one row and one variable", height.min(width))?;
            Error::check_len("variables of blocks", indices.len() / width * width, indices.len())?;
            if let Some(&i) = indices.iter().find(|i| **i as usize >= n) {
                return Err(Error::Dimension { what: "variable of a block", expected: n, found: i as usize });
            }
            if let Some(&i) = indices.chunks_exact(width).find_map(repeated) {
                return Err(Error::Config {
                    name: "variables".into(),
                    requirement: "different in each block",
                    value: format!("{i} twice"),
                });
            }
            let group = RowGroup { height, width, first_row: m, first_value: nnz, indices, starts: vec![], touches: vec![] };
            (m, nnz) = (group.all_rows().end, group.all_values().end);
            built.push(group);
        }
        let runs = find_runs(n, &built);
        built.iter_mut().for_each(|group| group.transpose(&runs, n));
        let pieces = split(&runs, &built, nnz);
        Ok(Self { n, m, nnz, groups: built, runs, pieces, gram: OnceLock::new() })
    }

    /// Columns.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Rows.
    pub fn m(&self) -> usize {
        self.m
    }
    /// Stored entries.
    pub fn nnz(&self) -> usize {
        self.nnz
    }
    /// The groups of blocks, in the order of their rows.
    pub fn groups(&self) -> &[RowGroup] {
        &self.groups
    }
    /// First variable of each run of variables that always stand together, and `n`.
    pub fn runs(&self) -> &[usize] {
        &self.runs
    }

    /// The pattern of `JᵀJ`, found when first asked for.
    pub fn gram(&self) -> &Pattern {
        self.gram.get_or_init(|| gram_pattern(self.n, &self.runs, &self.groups))
    }

    /// Calls `work(runs, part)` for pieces of `out`, in parallel where that pays: `runs` are consecutive runs of variables,
    /// `part` the entries that belong to them, `start(r)` being where those of run `r` begin.
    pub(crate) fn by_runs(
        &self,
        out: &mut [f64],
        start: &(impl Fn(usize) -> usize + Sync),
        work: &(impl Fn(Range<usize>, &mut [f64]) + Sync),
    ) {
        self.fork(&self.pieces, out, start, work);
    }

    fn fork(
        &self,
        pieces: &[usize],
        out: &mut [f64],
        start: &(impl Fn(usize) -> usize + Sync),
        work: &(impl Fn(Range<usize>, &mut [f64]) + Sync),
    ) {
        if pieces.len() <= 2 {
            return work(pieces[0]..pieces[pieces.len() - 1], out);
        }
        let middle = pieces.len() / 2;
        let place = |piece: usize| start(pieces[piece]);
        let (left, right) = out.split_at_mut(place(middle) - place(0));
        rayon::join(|| self.fork(&pieces[..=middle], left, start, work), || self.fork(&pieces[middle..], right, start, work));
    }
}

/// A variable that stands twice in a tuple.
fn repeated(tuple: &[u32]) -> Option<&u32> {
    tuple.iter().enumerate().find(|(p, i)| tuple[..*p].contains(i)).map(|(_, i)| i)
}

/// Two neighbours belong to one run if each always has the other beside it.
fn find_runs(n: usize, groups: &[RowGroup]) -> Vec<usize> {
    let mut used = vec![false; n];
    let mut begins = vec![false; n + 1];
    for tuple in groups.iter().flat_map(|group| group.indices.chunks_exact(group.width)) {
        for (p, &i) in tuple.iter().enumerate() {
            let i = i as usize;
            used[i] = true;
            begins[i] |= p == 0 || tuple[p - 1] as usize + 1 != i;
            begins[i + 1] |= tuple.get(p + 1).is_none_or(|&next| next as usize != i + 1);
        }
    }
    let mut runs: Vec<usize> = (0..n).filter(|&i| i == 0 || begins[i] || !used[i] || !used[i - 1]).collect();
    runs.push(n);
    runs
}

/// Pieces of about equal work.
fn split(runs: &[usize], groups: &[RowGroup], nnz: usize) -> Vec<usize> {
    let n_runs = runs.len() - 1;
    let n_pieces = (nnz / PIECE).clamp(1, MAX_PIECES).min(n_runs.max(1));
    let weight =
        |run: usize| 1 + groups.iter().map(|g| g.touching(run).len() * g.height).sum::<usize>() * (runs[run + 1] - runs[run]);
    let total: usize = (0..n_runs).map(weight).sum();
    let (mut pieces, mut sum) = (vec![0], 0);
    for run in 0..n_runs {
        sum += weight(run);
        if sum * n_pieces >= total * pieces.len() && pieces.len() < n_pieces && run + 1 < n_runs {
            pieces.push(run + 1);
        }
    }
    pieces.push(n_runs);
    pieces
}

impl RowGroup {
    /// Finds the blocks that touch each run, in order.
    fn transpose(&mut self, runs: &[usize], n: usize) {
        let mut run_of = vec![u32::MAX; n];
        runs.iter().enumerate().filter(|(_, first)| **first < n).for_each(|(run, first)| run_of[*first] = run as u32);
        let mut starts = vec![0u32; runs.len() + 1];
        // Only a run's first variable counts.
        let firsts = || self.indices.iter().enumerate().map(|(e, &i)| (e, run_of[i as usize])).filter(|(_, r)| *r != u32::MAX);
        firsts().for_each(|(_, run)| starts[run as usize + 2] += 1);
        for run in 2..starts.len() {
            starts[run] += starts[run - 1];
        }
        let mut touches = vec![(0, 0); starts[runs.len()] as usize];
        for (e, run) in firsts() {
            let place = &mut starts[run as usize + 1];
            touches[*place as usize] = ((e / self.width) as u32, (e % self.width) as u32);
            *place += 1;
        }
        starts.truncate(runs.len());
        (self.starts, self.touches) = (starts, touches);
    }
}

/// Columns of one run have the same rows: all variables of the blocks that touch it.
fn gram_pattern(n: usize, runs: &[usize], groups: &[RowGroup]) -> Pattern {
    let (mut starts, mut rows, mut mark) = (vec![0], Vec::new(), vec![usize::MAX; n]);
    let mut found = Vec::new();
    for (run, ends) in runs.windows(2).enumerate() {
        found.clear();
        for group in groups {
            for &(k, _) in group.touching(run) {
                let new = group.variables(k as usize).iter().map(|&i| i as usize);
                found.extend(new.filter(|&i| std::mem::replace(&mut mark[i], run) != run));
            }
        }
        if found.is_empty() {
            found.push(ends[0]);
        }
        found.sort_unstable();
        for _ in ends[0]..ends[1] {
            rows.extend_from_slice(&found);
            starts.push(rows.len());
        }
    }
    Pattern::from_columns(starts, rows)
}
