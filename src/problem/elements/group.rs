//! Elements of one type: the loops over them, compiled once for each type behind an object-safe trait.

use super::Element;
use crate::linalg::operator::Pattern;
use std::ops::Range;

/// The part of an output that one task owns.
pub(super) enum Window<'a> {
    /// The whole output.
    All,
    /// The entries of some consecutive variables, which begin at `offset`; `elements` are those that touch them.
    Block { elements: &'a [u32], variables: Range<usize>, offset: usize },
}

/// Elements of one type with their index tuples. `out` and `values` are added to.
pub(super) trait Group: Send + Sync {
    fn len(&self) -> usize;
    /// Every pair of variables that share an element.
    fn pairs(&self) -> Box<dyn Iterator<Item = (usize, usize)> + '_>;
    /// Finds where each local Hessian entry lies in the values of `pattern`, which must hold all [`pairs`](Self::pairs).
    fn locate(&mut self, pattern: &Pattern);
    /// Calls `visit(k, i)` for every variable `i` of every element `k`, in order.
    fn for_each_index(&self, visit: &mut dyn FnMut(u32, usize));
    /// Sum of the values of some elements.
    fn value(&self, x: &[f64], elements: Range<usize>) -> f64;
    fn gradient(&self, x: &[f64], window: Window<'_>, out: &mut [f64]);
    fn hessian(&self, x: &[f64], window: Window<'_>, values: &mut [f64]);
    fn product(&self, x: &[f64], v: &[f64], window: Window<'_>, out: &mut [f64]);
}

pub(super) struct TypedGroup<E, const N: usize> {
    element: E,
    indices: Vec<[u32; N]>,
    /// `positions[k][j][i]`: place of entry `(i, j)` of element `k`'s Hessian.
    positions: Vec<[[u32; N]; N]>,
}

impl<E: Element<N>, const N: usize> TypedGroup<E, N> {
    pub(super) fn new(element: E, indices: Vec<[usize; N]>) -> Self {
        // An index beyond u32 is beyond any admissible n too, and is refused when the pattern is built.
        let narrow = |i: usize| u32::try_from(i).unwrap_or(u32::MAX);
        Self { element, indices: indices.into_iter().map(|tuple| tuple.map(narrow)).collect(), positions: Vec::new() }
    }

    /// Adds the local vectors `local(k, indices)` of the window's elements to `out`.
    #[inline(always)]
    fn scatter(&self, window: Window<'_>, out: &mut [f64], local: impl Fn(usize, &[u32; N]) -> [f64; N]) {
        match window {
            Window::All => {
                for (k, tuple) in self.indices.iter().enumerate() {
                    let values = local(k, tuple);
                    for i in 0..N {
                        out[tuple[i] as usize] += values[i];
                    }
                }
            }
            Window::Block { elements, variables, offset } => {
                for &k in elements {
                    let tuple = &self.indices[k as usize];
                    let values = local(k as usize, tuple);
                    for i in 0..N {
                        if variables.contains(&(tuple[i] as usize)) {
                            out[tuple[i] as usize - offset] += values[i];
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn gather<const N: usize>(x: &[f64], tuple: &[u32; N]) -> [f64; N] {
    tuple.map(|i| x[i as usize])
}

impl<E: Element<N>, const N: usize> Group for TypedGroup<E, N> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn pairs(&self) -> Box<dyn Iterator<Item = (usize, usize)> + '_> {
        Box::new(
            self.indices
                .iter()
                .flat_map(|tuple| (0..N).flat_map(move |j| (0..=j).map(move |i| (tuple[i] as usize, tuple[j] as usize)))),
        )
    }

    fn locate(&mut self, pattern: &Pattern) {
        let place = |i: u32, j: u32| pattern.position(i as usize, j as usize).map_or(u32::MAX, |p| p as u32);
        self.positions = self.indices.iter().map(|tuple| tuple.map(|j| tuple.map(|i| place(i, j)))).collect();
    }

    fn for_each_index(&self, visit: &mut dyn FnMut(u32, usize)) {
        for (k, tuple) in self.indices.iter().enumerate() {
            tuple.iter().for_each(|&i| visit(k as u32, i as usize));
        }
    }

    fn value(&self, x: &[f64], elements: Range<usize>) -> f64 {
        let first = elements.start;
        self.indices[elements].iter().enumerate().map(|(k, tuple)| self.element.value(first + k, &gather(x, tuple))).sum()
    }

    fn gradient(&self, x: &[f64], window: Window<'_>, out: &mut [f64]) {
        self.scatter(window, out, |k, tuple| self.element.gradient(k, &gather(x, tuple)));
    }

    fn hessian(&self, x: &[f64], window: Window<'_>, values: &mut [f64]) {
        match window {
            Window::All => {
                for (k, (tuple, places)) in self.indices.iter().zip(&self.positions).enumerate() {
                    let h = self.element.hessian(k, &gather(x, tuple));
                    for j in 0..N {
                        for i in 0..N {
                            values[places[j][i] as usize] += h[j][i];
                        }
                    }
                }
            }
            Window::Block { elements, variables, offset } => {
                for &k in elements {
                    let (tuple, places) = (&self.indices[k as usize], &self.positions[k as usize]);
                    let h = self.element.hessian(k as usize, &gather(x, tuple));
                    for j in (0..N).filter(|&j| variables.contains(&(tuple[j] as usize))) {
                        for i in 0..N {
                            values[places[j][i] as usize - offset] += h[j][i];
                        }
                    }
                }
            }
        }
    }

    fn product(&self, x: &[f64], v: &[f64], window: Window<'_>, out: &mut [f64]) {
        self.scatter(window, out, |k, tuple| self.element.hessian_product(k, &gather(x, tuple), &gather(v, tuple)));
    }
}
