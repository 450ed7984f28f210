//! One piece of the work: cells are formed, eliminated into the piece's own share of the reduced system, and solved for at
//! the end.

use super::plan::{Cell, CellBlock, Plan, Slot};
use super::{Damped, LANES, MAX_BLOCK};
use crate::linalg::operator::SparseGram;
use pulp::Arch;
use std::ops::Range;

/// Buffers of one piece, kept from solve to solve.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    cells: Range<usize>,
    /// The piece's share of the reduced matrix: padded rows by columns, blocks on and below the diagonal.
    pub schur: Vec<f64>,
    /// Its share of the right-hand side, by padded rows.
    pub right: Vec<f64>,
    /// Solution for the piece's eliminated variables, in the order of the plan; before that `L⁻¹ g`.
    pub solution: Vec<f64>,
    /// Factors `L` of the cells, [`MAX_BLOCK`]² values each.
    factors: Vec<f64>,
    /// Rows of one block, and the coupling of one cell.
    rows: Vec<f64>,
    coupling: Vec<f64>,
}

impl Piece {
    pub fn new(plan: &Plan, cells: Range<usize>, rows: usize) -> Self {
        let of = |cells: &[Cell]| cells.iter().map(|cell| cell.variables.len() * cell.width).max().unwrap_or(0);
        let own = &plan.cells[cells.clone()];
        let eliminated: usize = own.iter().map(|cell| cell.variables.len()).sum();
        let eliminating = own.iter().filter(|cell| !cell.variables.is_empty()).count();
        Self {
            schur: vec![0.0; plan.rows * plan.reduced],
            right: vec![0.0; plan.rows],
            solution: vec![0.0; eliminated],
            factors: vec![0.0; eliminating * MAX_BLOCK * MAX_BLOCK],
            rows: vec![0.0; rows],
            coupling: vec![0.0; of(own)],
            cells,
        }
    }

    /// The piece's eliminated variables, as a range in the plan.
    pub fn variables(&self, plan: &Plan) -> Range<usize> {
        let first = plan.cells[self.cells.start].variables.start;
        first..first + self.solution.len()
    }

    /// Forms and eliminates the cells; the first variable whose pivot was not positive, if one was.
    pub fn eliminate(&mut self, plan: &Plan, problem: &Damped<'_>) -> Option<usize> {
        self.schur.fill(0.0);
        self.right.fill(0.0);
        let cells = plan.cells[self.cells.clone()].iter();
        // The closure consumes `cells`, so that it is called, and vectorized, in one piece.
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut solved = 0;
                let mut factors = self.factors.chunks_exact_mut(MAX_BLOCK * MAX_BLOCK);
                for cell in cells {
                    let mut unused = [0.0; MAX_BLOCK * MAX_BLOCK];
                    let n = cell.variables.len();
                    let factor = if n == 0 { &mut unused[..] } else { factors.next().unwrap_or(&mut []) };
                    factor.fill(0.0);
                    let coupling = &mut self.coupling[..n * cell.width];
                    coupling.fill(0.0);
                    for block in &plan.blocks[cell.blocks.clone()] {
                        add_block(plan, cell, block, &problem.gram, &mut self.rows, factor, coupling, &mut self.schur);
                    }
                    let half = &mut self.solution[solved..solved + n];
                    solved += n;
                    let variables = &plan.eliminated[cell.variables.clone()];
                    if let Some(bad) = factor_cell(problem, variables, factor, half) {
                        return Some(variables[bad] as usize);
                    }
                    let slots = &plan.slots[cell.slots.clone()];
                    substitute(factor, n, cell.width, coupling);
                    subtract(plan, slots, n, cell.width, coupling, half, &mut self.schur, &mut self.right);
                }
                None
            },
        )
    }

    /// Solves for the eliminated variables, `p` holding the others and zero for these.
    pub fn back(&mut self, plan: &Plan, gram: &SparseGram<'_>, p: &[f64]) {
        let mut solved = 0;
        let mut factors = self.factors.chunks_exact(MAX_BLOCK * MAX_BLOCK);
        for cell in plan.cells[self.cells.clone()].iter().filter(|cell| !cell.variables.is_empty()) {
            let n = cell.variables.len();
            let (factor, half) = (factors.next().unwrap_or(&[]), &mut self.solution[solved..solved + n]);
            solved += n;
            let mut sum = [0.0; MAX_BLOCK];
            for block in &plan.blocks[cell.blocks.clone()] {
                let group = &gram.pattern.groups()[block.group as usize];
                let (tuple, places) = (group.variables(block.block as usize), &plan.shapes[block.shape as usize].place);
                for row in gram.values[group.values(block.block as usize)].chunks_exact(tuple.len()) {
                    let image: f64 = row.iter().zip(tuple).map(|(a, &i)| a * p[i as usize]).sum();
                    for (a, &place) in row.iter().zip(places) {
                        if (place as usize) < n {
                            sum[place as usize] += a * image;
                        }
                    }
                }
            }
            // −L⁻ᵀ (L⁻¹ g + L⁻¹ Eᵀ p).
            forward(factor, &mut sum[..n]);
            half.iter_mut().zip(&sum).for_each(|(h, s)| *h = -(*h + s));
            for j in (0..n).rev() {
                let below: f64 = (j + 1..n).map(|i| factor[j * MAX_BLOCK + i] * half[i]).sum();
                half[j] = (half[j] - below) / factor[j * MAX_BLOCK + j];
            }
        }
    }
}

/// `x ← L⁻¹ x`.
#[inline(always)]
fn forward(factor: &[f64], x: &mut [f64]) {
    for j in 0..x.len() {
        x[j] /= factor[j * MAX_BLOCK + j];
        for i in j + 1..x.len() {
            x[i] -= factor[j * MAX_BLOCK + i] * x[j];
        }
    }
}

/// Adds one block of the Jacobian: its own product to the cell's matrix, its coupling, and the reduced matrix.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn add_block(
    plan: &Plan,
    cell: &Cell,
    block: &CellBlock,
    gram: &SparseGram<'_>,
    rows: &mut [f64],
    own: &mut [f64],
    coupling: &mut [f64],
    schur: &mut [f64],
) {
    let (group, shape) = (&gram.pattern.groups()[block.group as usize], &plan.shapes[block.shape as usize]);
    let (height, stride, n) = (group.height(), shape.stride, cell.variables.len());
    let rows = &mut rows[..height * stride];
    rows.fill(0.0);
    let values = &gram.values[group.values(block.block as usize)];
    for (row, values) in rows.chunks_exact_mut(stride).zip(values.chunks_exact(group.width())) {
        values.iter().zip(&shape.place).for_each(|(v, &place)| row[place as usize] = *v);
    }
    let all = Rows { entries: rows, count: height, stride };
    if n > 0 {
        all.product((0, n.next_multiple_of(LANES)), (0, n), 1.0, own, MAX_BLOCK);
    }
    let numbers = &plan.block_slots[block.slots as usize..block.slots as usize + shape.parts.len()];
    for (p, (&first, &number)) in shape.parts.iter().zip(numbers).enumerate() {
        let slot = plan.slots[cell.slots.start + number as usize];
        let class = &plan.classes[slot.class as usize];
        if n > 0 {
            all.product((first, class.rows()), (0, n), 1.0, &mut coupling[slot.offset as usize..], cell.width);
        }
        for (&other, &number) in shape.parts[..=p].iter().zip(numbers) {
            let column = &plan.classes[plan.slots[cell.slots.start + number as usize].class as usize];
            let target = &mut schur[column.column * plan.rows + class.row..];
            all.product((first, class.rows()), (other, column.variables.len()), 1.0, target, plan.rows);
        }
    }
}

/// Damps and factors the cell's matrix in place, and leaves `L⁻¹ g`; the pivot that was not positive, if one was not.
#[inline(always)]
fn factor_cell(problem: &Damped<'_>, variables: &[u32], factor: &mut [f64], half: &mut [f64]) -> Option<usize> {
    let n = variables.len();
    for (j, &i) in variables.iter().enumerate() {
        let d = problem.scale[i as usize];
        factor[j * MAX_BLOCK + j] += problem.damping * d * d;
        half[j] = problem.gradient[i as usize];
    }
    for j in 0..n {
        for k in 0..j {
            let f = factor[k * MAX_BLOCK + j];
            for i in j..n {
                factor[j * MAX_BLOCK + i] -= f * factor[k * MAX_BLOCK + i];
            }
        }
        let pivot = factor[j * MAX_BLOCK + j];
        if !(pivot > 0.0 && pivot <= f64::MAX) {
            return Some(j);
        }
        let root = pivot.sqrt();
        factor[j * MAX_BLOCK + j] = root;
        factor[j * MAX_BLOCK + j + 1..j * MAX_BLOCK + n].iter_mut().for_each(|v| *v /= root);
    }
    forward(factor, half);
    None
}

/// `E ← E L⁻ᵀ`, the columns of `E` having `width` entries.
#[inline(always)]
fn substitute(factor: &[f64], n: usize, width: usize, coupling: &mut [f64]) {
    for j in 0..n {
        let (done, rest) = coupling.split_at_mut(j * width);
        let column = &mut rest[..width];
        for k in 0..j {
            let f = factor[k * MAX_BLOCK + j];
            column.iter_mut().zip(&done[k * width..(k + 1) * width]).for_each(|(c, d)| *c -= f * d);
        }
        let reciprocal = 1.0 / factor[j * MAX_BLOCK + j];
        column.iter_mut().for_each(|c| *c *= reciprocal);
    }
}

/// Subtracts `E C⁻¹ Eᵀ` from the reduced matrix and adds `E C⁻¹ g` to the right-hand side.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn subtract(
    plan: &Plan,
    slots: &[Slot],
    n: usize,
    width: usize,
    coupling: &[f64],
    half: &[f64],
    schur: &mut [f64],
    right: &mut [f64],
) {
    if n == 0 {
        return;
    }
    let all = Rows { entries: coupling, count: n, stride: width };
    for (p, slot) in slots.iter().enumerate() {
        let class = &plan.classes[slot.class as usize];
        let rows = (slot.offset as usize, class.rows());
        for (t, h) in half.iter().enumerate() {
            let column = &coupling[t * width + rows.0..t * width + rows.0 + rows.1];
            right[class.row..class.row + rows.1].iter_mut().zip(column).for_each(|(r, c)| *r += c * h);
        }
        for other in &slots[..=p] {
            let column = &plan.classes[other.class as usize];
            let target = &mut schur[column.column * plan.rows + class.row..];
            all.product(rows, (other.offset as usize, column.variables.len()), -1.0, target, plan.rows);
        }
    }
}

/// A few short rows `aₜ`, one after another.
struct Rows<'a> {
    entries: &'a [f64],
    count: usize,
    stride: usize,
}

impl Rows<'_> {
    /// `out[c ld + r] += sign Σₜ aₜ[rows.0 + r] aₜ[columns.0 + c]` for `r < rows.1`, a multiple of [`LANES`], and
    /// `c < columns.1`.
    #[inline(always)]
    fn product(&self, rows: (usize, usize), columns: (usize, usize), sign: f64, out: &mut [f64], ld: usize) {
        let mut t = 0;
        while t < self.count {
            match self.count - t {
                1 => self.rank::<1>(t, rows, columns, sign, out, ld),
                2 => self.rank::<2>(t, rows, columns, sign, out, ld),
                3 => self.rank::<3>(t, rows, columns, sign, out, ld),
                _ => self.rank::<4>(t, rows, columns, sign, out, ld),
            }
            t += 4;
        }
    }

    /// The part of `T` of the rows.
    #[inline(always)]
    fn rank<const T: usize>(
        &self,
        t: usize,
        (row, n_rows): (usize, usize),
        columns: (usize, usize),
        sign: f64,
        out: &mut [f64],
        ld: usize,
    ) {
        let mut r = 0;
        while r < n_rows {
            match (n_rows - r) / LANES {
                1 => self.tile::<T, 1>(t, row + r, columns, sign, &mut out[r..], ld),
                2 => self.tile::<T, 2>(t, row + r, columns, sign, &mut out[r..], ld),
                _ => self.tile::<T, 3>(t, row + r, columns, sign, &mut out[r..], ld),
            }
            r += 3 * LANES;
        }
    }

    /// `R` vectors of rows, which stay in registers, times all columns.
    #[inline(always)]
    fn tile<const T: usize, const R: usize>(
        &self,
        t: usize,
        row: usize,
        (column, n_columns): (usize, usize),
        sign: f64,
        out: &mut [f64],
        ld: usize,
    ) {
        let of = |k: usize| &self.entries[(t + k) * self.stride..(t + k + 1) * self.stride];
        let mut left = [[[0.0; LANES]; R]; T];
        for k in 0..T {
            left[k].as_flattened_mut().copy_from_slice(&of(k)[row..row + R * LANES]);
        }
        let right: [&[f64]; T] = std::array::from_fn(|k| &of(k)[column..column + n_columns]);
        for (c, target) in out.chunks_mut(ld).take(n_columns).enumerate() {
            let target = target[..R * LANES].as_chunks_mut::<LANES>().0;
            let mut sum = [[0.0; LANES]; R];
            sum.as_flattened_mut().copy_from_slice(target.as_flattened());
            for k in 0..T {
                let factor = sign * right[k][c];
                for r in 0..R {
                    for l in 0..LANES {
                        sum[r][l] += factor * left[k][r][l];
                    }
                }
            }
            target.as_flattened_mut().copy_from_slice(sum.as_flattened());
        }
    }
}
