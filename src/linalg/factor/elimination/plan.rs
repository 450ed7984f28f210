//! What an elimination does, found once for a pattern: cells, their places in the reduced system, and pieces of equal work.
//!
//! A *cell* is one eliminated block with the blocks of the Jacobian that touch it, or a single block that touches none. The
//! variables that remain stand in classes (a camera); rows of a class are padded to whole vectors of [`LANES`] numbers.

use super::detect::{NONE, blocks_of, tuples};
use super::{LANES, MAX_BLOCK};
use crate::error::{Error, Result};
use crate::linalg::operator::JacobianPattern;
use std::collections::HashMap;
use std::ops::Range;

/// Variables that remain and always occur together.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub variables: Vec<u32>,
    /// First column in the reduced system.
    pub column: usize,
    /// First row in the padded one.
    pub row: usize,
}

impl Class {
    /// Padded number of rows.
    pub fn rows(&self) -> usize {
        padded(self.variables.len())
    }
}

/// Where the entries of a block's rows go in a buffer `[eliminated | class | class | …]`, padded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// For each place of the tuple; below `eliminated` for eliminated variables.
    pub place: Vec<u32>,
    /// Length of the buffer.
    pub stride: usize,
    /// Where each class begins.
    pub parts: Vec<usize>,
}

/// A block of the Jacobian in a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct CellBlock {
    pub group: u32,
    pub block: u32,
    pub shape: u32,
    /// Where its slots begin in [`Plan::block_slots`], one for each part of the shape.
    pub slots: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// In [`Plan::eliminated`].
    pub variables: Range<usize>,
    /// In [`Plan::slots`]: the classes it couples.
    pub slots: Range<usize>,
    /// In [`Plan::blocks`].
    pub blocks: Range<usize>,
    /// Padded rows of its classes together.
    pub width: usize,
}

/// A class in a cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub class: u32,
    /// Where its rows begin in the cell's buffer.
    pub offset: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub classes: Vec<Class>,
    /// Dimension of the reduced system, and its padded number of rows.
    pub reduced: usize,
    pub rows: usize,
    /// Eliminated variables, cell by cell.
    pub eliminated: Vec<u32>,
    pub cells: Vec<Cell>,
    pub slots: Vec<Slot>,
    pub blocks: Vec<CellBlock>,
    /// For each part of a block, its slot's number in the cell.
    pub block_slots: Vec<u32>,
    pub shapes: Vec<Shape>,
    /// Work of each cell, in some unit.
    pub work: Vec<usize>,
}

pub(super) fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Buffers of the construction.
#[derive(Default)]
struct Scratch {
    /// Classes of a cell, and of a block.
    met: Vec<u32>,
    own: Vec<u32>,
    shape: Shape,
    known: HashMap<Shape, u32>,
}

fn collect_classes(tuple: &[u32], class_of: &[u32], found: &mut Vec<u32>) {
    for c in tuple.iter().map(|&i| class_of[i as usize]).filter(|&c| c != NONE) {
        if found.last() != Some(&c) {
            found.push(c);
        }
    }
}

fn sort_out(found: &mut Vec<u32>) {
    found.sort_unstable();
    found.dedup();
}

/// Where `i` stands among sorted numbers.
fn position(sorted: &[u32], i: u32) -> usize {
    sorted.partition_point(|v| *v < i)
}

impl Shape {
    fn set(&mut self, classes: &[Class], tuple: &[u32], variables: &[u32], own: &[u32], class_of: &[u32]) {
        self.stride = padded(variables.len());
        self.parts.clear();
        for &c in own {
            self.parts.push(self.stride);
            self.stride += classes[c as usize].rows();
        }
        let parts = &self.parts;
        let place = |&i: &u32| match class_of[i as usize] {
            NONE => position(variables, i) as u32,
            c => (parts[position(own, c)] + position(&classes[c as usize].variables, i)) as u32,
        };
        self.place.clear();
        self.place.extend(tuple.iter().map(place));
    }
}

impl Plan {
    /// For the elimination of the variables marked, of a pattern with these classes.
    ///
    /// # Errors
    /// [`Error::Dimension`] if there are not `n` marks; [`Error::Config`] if more than [`MAX_BLOCK`] of the variables are
    /// coupled.
    pub fn new(pattern: &JacobianPattern, marked: &[bool], class: (&[u32], usize)) -> Result<Self> {
        Error::check_len("marks of eliminated variables", pattern.n(), marked.len())?;
        let (component, members) = components(pattern, marked);
        let largest = members.iter().map(Vec::len).max().unwrap_or(0);
        Error::check_option(largest <= MAX_BLOCK, "eliminated block", "of at most 8 coupled variables", largest)?;
        let (classes, class_of) = remaining(pattern, marked, class);
        let (starts, lists) = blocks_of(pattern, &component, members.len());
        let reduced = classes.last().map_or(0, |c| c.column + c.variables.len());
        let rows = classes.last().map_or(0, |c| c.row + c.rows());
        let mut plan = Self {
            classes,
            reduced,
            rows,
            eliminated: Vec::with_capacity(pattern.n() - reduced),
            cells: Vec::with_capacity(members.len()),
            slots: Vec::new(),
            blocks: Vec::new(),
            block_slots: Vec::new(),
            shapes: Vec::new(),
            work: Vec::new(),
        };
        let mut scratch = Scratch::default();
        for (c, variables) in members.iter().enumerate() {
            plan.add(pattern, &class_of, variables, &lists[starts[c]..starts[c + 1]], &mut scratch);
        }
        for (block, tuple) in tuples(pattern) {
            if tuple.iter().all(|&i| component[i as usize] == NONE) {
                plan.add(pattern, &class_of, &[], &[block], &mut scratch);
            }
        }
        Ok(plan)
    }

    /// Adds the cell of some eliminated variables and the blocks that touch them.
    fn add(
        &mut self,
        pattern: &JacobianPattern,
        class_of: &[u32],
        variables: &[u32],
        blocks: &[(u32, u32)],
        scratch: &mut Scratch,
    ) {
        let tuple_of = |(g, k): (u32, u32)| pattern.groups()[g as usize].variables(k as usize);
        let Scratch { met, own, shape, known } = scratch;
        met.clear();
        blocks.iter().for_each(|&b| collect_classes(tuple_of(b), class_of, met));
        sort_out(met);
        let first = (self.eliminated.len(), self.slots.len(), self.blocks.len());
        let mut width = 0;
        for &c in &*met {
            self.slots.push(Slot { class: c, offset: width as u32 });
            width += self.classes[c as usize].rows();
        }
        let mut work = 0;
        for &(group, block) in blocks {
            let tuple = tuple_of((group, block));
            own.clear();
            collect_classes(tuple, class_of, own);
            sort_out(own);
            shape.set(&self.classes, tuple, variables, own, class_of);
            work += shape.stride * shape.stride;
            let number = match self.blocks.last().map(|b| b.shape).filter(|&last| self.shapes[last as usize] == *shape) {
                Some(last) => last,
                None => *known.entry(shape.clone()).or_insert_with_key(|shape| {
                    self.shapes.push(shape.clone());
                    self.shapes.len() as u32 - 1
                }),
            };
            self.blocks.push(CellBlock { group, block, shape: number, slots: self.block_slots.len() as u32 });
            // The classes of a block are among those of its cell.
            self.block_slots.extend(own.iter().map(|c| position(met, *c) as u32));
        }
        self.eliminated.extend_from_slice(variables);
        self.work.push(1 + work + width * width * variables.len() / 2);
        self.cells.push(Cell {
            variables: first.0..self.eliminated.len(),
            slots: first.1..self.slots.len(),
            blocks: first.2..self.blocks.len(),
            width,
        });
    }

    /// Consecutive cells in about `n` pieces of equal work.
    pub fn pieces(&self, n: usize) -> Vec<Range<usize>> {
        let total: usize = self.work.iter().sum();
        let (mut pieces, mut begin, mut sum) = (Vec::with_capacity(n), 0, 0);
        for (c, work) in self.work.iter().enumerate() {
            sum += work;
            if sum * n >= total * (pieces.len() + 1) || c + 1 == self.work.len() {
                pieces.push(begin..c + 1);
                begin = c + 1;
            }
        }
        pieces
    }
}

/// The connected components of the marked variables: each variable's label, and their members in order.
fn components(pattern: &JacobianPattern, marked: &[bool]) -> (Vec<u32>, Vec<Vec<u32>>) {
    let mut parent: Vec<u32> = (0..pattern.n() as u32).collect();
    fn root(parent: &mut [u32], mut i: u32) -> u32 {
        while parent[i as usize] != i {
            parent[i as usize] = parent[parent[i as usize] as usize];
            i = parent[i as usize];
        }
        i
    }
    for (_, tuple) in tuples(pattern) {
        let mut first = None;
        for &i in tuple.iter().filter(|i| marked[**i as usize]) {
            let own = root(&mut parent, i);
            let other = *first.get_or_insert(own);
            let other = root(&mut parent, other);
            // The smaller number is the root, so that components are numbered by their first variable.
            parent[own.max(other) as usize] = own.min(other);
        }
    }
    let (mut label, mut members) = (vec![NONE; pattern.n()], Vec::<Vec<u32>>::new());
    for i in (0..pattern.n() as u32).filter(|i| marked[*i as usize]) {
        let first = root(&mut parent, i) as usize;
        if label[first] == NONE {
            label[first] = members.len() as u32;
            members.push(Vec::new());
        }
        label[i as usize] = label[first];
        members[label[first] as usize].push(i);
    }
    (label, members)
}

/// The classes of the variables that are not marked, by their first variable, and each variable's class.
fn remaining(pattern: &JacobianPattern, marked: &[bool], (class, n_classes): (&[u32], usize)) -> (Vec<Class>, Vec<u32>) {
    let (mut number, mut found, mut class_of) = (vec![NONE; n_classes], Vec::<Class>::new(), vec![NONE; pattern.n()]);
    for i in (0..pattern.n()).filter(|i| !marked[*i]) {
        let own = &mut number[class[i] as usize];
        if *own == NONE {
            *own = found.len() as u32;
            found.push(Class { variables: Vec::new(), column: 0, row: 0 });
        }
        found[*own as usize].variables.push(i as u32);
        class_of[i] = *own;
    }
    let (mut column, mut row) = (0, 0);
    for class in &mut found {
        (class.column, class.row) = (column, row);
        column += class.variables.len();
        row += class.rows();
    }
    (found, class_of)
}
