//! Small vertex separators by the multilevel scheme: coarsen, cut the coarsest graph, refine on the way back.
//!
//! Refinement moves single vertices out of the separator; their neighbours on the other side take their place (Fiduccia
//! and Mattheyses 1982 for vertex separators; Hendrickson & Rothberg 1998, §3).

use super::graph::Graph;
use std::collections::BinaryHeap;

/// The mark of a separator's vertices; the two sides are 0 and 1.
pub(super) const SEPARATOR: u8 = 2;
/// Coarsening ends at this many vertices.
const COARSEST: usize = 120;
/// Or where a step leaves more than this fraction.
const STALLED: f64 = 0.9;
/// Places where the coarsest graph's first side starts to grow.
const SEEDS: usize = 5;
/// A side holds at most this fraction of the weight.
const LARGEST_SIDE: f64 = 0.6;
/// Passes of refinement on one level, at most.
const PASSES: usize = 6;
/// Moves in a row without a better separator, at most.
const PATIENCE: usize = 200;

/// Marks every vertex with its side, 0 or 1, or [`SEPARATOR`]; no edge joins the two sides.
pub(super) fn separate(graph: &Graph) -> Vec<u8> {
    let mut levels: Vec<(Graph, Vec<u32>)> = Vec::new();
    let heaviest = (1.5 * graph.total() as f64 / COARSEST as f64).ceil() as u32;
    loop {
        let finest = levels.last().map_or(graph, |(g, _)| g);
        if finest.len() <= COARSEST {
            break;
        }
        let next = finest.coarsen(heaviest);
        if next.0.len() as f64 > STALLED * finest.len() as f64 {
            break;
        }
        levels.push(next);
    }
    let mut side = cut_coarsest(levels.last().map_or(graph, |(g, _)| g));
    while let Some((_, into)) = levels.pop() {
        let finer = levels.last().map_or(graph, |(g, _)| g);
        let mut cut = Cut::new(finer, into.iter().map(|&c| side[c as usize]).collect());
        cut.refine();
        side = cut.side;
    }
    side
}

/// The best of several separators, each grown from another vertex.
fn cut_coarsest(graph: &Graph) -> Vec<u8> {
    let n = graph.len();
    let mut best: Option<Cut<'_>> = None;
    for seed in 0..SEEDS.min(n) {
        let mut cut = Cut::new(graph, vec![1; n]);
        cut.grow((seed * n / SEEDS) as u32);
        cut.refine();
        if best.as_ref().is_none_or(|b| cut.quality() < b.quality()) {
            best = Some(cut);
        }
    }
    best.map_or(Vec::new(), |cut| cut.side)
}

/// A separator under change.
struct Cut<'a> {
    graph: &'a Graph,
    side: Vec<u8>,
    /// Weights of the sides and the separator.
    weights: [i64; 3],
    bound: i64,
    /// Weight of a separator vertex's neighbours on either side.
    beside: Vec<[i64; 2]>,
    /// Vertices to be moved to either side, by gain; entries whose gain is no longer true are skipped.
    candidates: [BinaryHeap<(i64, u32)>; 2],
    /// Vertices already moved in this pass.
    moved: Vec<bool>,
    /// Changed vertices with the sides they had.
    log: Vec<(u32, u8)>,
}

impl<'a> Cut<'a> {
    fn new(graph: &'a Graph, side: Vec<u8>) -> Self {
        let mut weights = [0; 3];
        side.iter().zip(&graph.weights).for_each(|(&s, &w)| weights[s as usize] += i64::from(w));
        let bound = (LARGEST_SIDE * graph.total() as f64).ceil() as i64;
        let n = graph.len();
        let candidates = [BinaryHeap::new(), BinaryHeap::new()];
        Self { graph, side, weights, bound, beside: vec![[0; 2]; n], candidates, moved: vec![false; n], log: Vec::new() }
    }

    /// What is to be small: weight beyond the balance, then the separator, then the difference of the sides.
    fn quality(&self) -> (i64, i64, i64) {
        let [a, b, s] = self.weights;
        ((a.max(b) - self.bound).max(0), s, (a - b).abs())
    }

    /// By how much the separator shrinks if `v` goes to side `to`.
    fn gain(&self, v: u32, to: usize) -> i64 {
        self.graph.weight(v) - self.beside[v as usize][1 - to]
    }

    fn mark(&mut self, v: u32, to: u8) {
        let old = std::mem::replace(&mut self.side[v as usize], to);
        self.weights[old as usize] -= self.graph.weight(v);
        self.weights[to as usize] += self.graph.weight(v);
        self.log.push((v, old));
    }

    /// Counts what lies beside a vertex of the separator, and makes it a candidate.
    fn enter(&mut self, v: u32) {
        let mut beside = [0; 3];
        let graph = self.graph;
        graph.around(v).iter().for_each(|&u| beside[self.side[u as usize] as usize] += graph.weight(u));
        self.beside[v as usize] = [beside[0], beside[1]];
        self.offer(v, 0);
        self.offer(v, 1);
    }

    fn offer(&mut self, v: u32, to: usize) {
        if !self.moved[v as usize] {
            self.candidates[to].push((self.gain(v, to), v));
        }
    }

    /// The candidate of highest gain for a side.
    fn top(&mut self, to: usize) -> Option<(i64, u32)> {
        while let Some(&(gain, v)) = self.candidates[to].peek() {
            if self.side[v as usize] == SEPARATOR && !self.moved[v as usize] && self.gain(v, to) == gain {
                return Some((gain, v));
            }
            self.candidates[to].pop();
        }
        None
    }

    /// Moves `v` from the separator to a side; its neighbours on the other side enter the separator.
    fn shift(&mut self, v: u32, to: usize) {
        let (graph, other) = (self.graph, 1 - to);
        self.moved[v as usize] = true;
        self.mark(v, to as u8);
        for &u in graph.around(v) {
            if self.side[u as usize] == SEPARATOR {
                self.beside[u as usize][to] += graph.weight(v);
                self.offer(u, other);
            } else if self.side[u as usize] == other as u8 {
                self.mark(u, SEPARATOR);
                for &w in graph.around(u) {
                    if self.side[w as usize] == SEPARATOR && w != u {
                        self.beside[w as usize][other] -= graph.weight(u);
                        self.offer(w, to);
                    }
                }
                self.enter(u);
            }
        }
    }

    /// Lets side 0 grow from `seed` until it is as heavy as side 1, by the vertices that widen the separator least.
    fn grow(&mut self, seed: u32) {
        let n = self.graph.len() as u32;
        let mut fresh = (seed..n).chain(0..seed);
        while self.weights[0] < self.weights[1] {
            let next = match self.top(0) {
                Some((_, v)) => v,
                None => {
                    let Some(v) = fresh.find(|&v| self.side[v as usize] == 1) else { break };
                    self.mark(v, SEPARATOR);
                    self.enter(v);
                    v
                }
            };
            self.shift(next, 0);
        }
    }

    fn refine(&mut self) {
        for pass in 0..PASSES {
            if !self.pass(pass % 2) {
                return;
            }
        }
    }

    /// Moves each vertex at most once, equal gains to the favored side, then takes back what came after the best separator. Whether it got better.
    fn pass(&mut self, favored: usize) -> bool {
        self.log.clear();
        self.candidates.iter_mut().for_each(BinaryHeap::clear);
        self.moved.fill(false);
        for v in 0..self.graph.len() as u32 {
            if self.side[v as usize] == SEPARATOR {
                self.enter(v);
            }
        }
        let before = self.quality();
        let (mut best, mut keep, mut idle) = (before, 0, 0);
        while idle < PATIENCE {
            let Some((v, to)) = self.choose(favored) else { break };
            self.shift(v, to);
            idle += 1;
            if self.quality() < best {
                (best, keep, idle) = (self.quality(), self.log.len(), 0);
            }
        }
        while self.log.len() > keep {
            if let Some((v, old)) = self.log.pop() {
                let now = std::mem::replace(&mut self.side[v as usize], old);
                self.weights[now as usize] -= self.graph.weight(v);
                self.weights[old as usize] += self.graph.weight(v);
            }
        }
        best < before
    }

    /// The move of highest gain that keeps the balance. Equal ones all go to the same side: taken in turns, they would
    /// leave a ragged separator.
    fn choose(&mut self, favored: usize) -> Option<(u32, usize)> {
        let lighter = usize::from(self.weights[0] > self.weights[1]);
        let heavier = 1 - lighter;
        let (small, large) = (self.top(lighter), self.top(heavier));
        let fits = |v: u32| self.weights[heavier] + self.graph.weight(v) <= self.bound;
        match (small, large.filter(|&(_, v)| fits(v))) {
            (Some(a), Some(b)) if b.0 > a.0 || (b.0 == a.0 && favored == heavier) => Some((b.1, heavier)),
            (Some(a), _) => Some((a.1, lighter)),
            (None, Some(b)) => Some((b.1, heavier)),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Adjacency, grid, random};
    use super::*;

    fn graph(a: &Adjacency) -> Graph {
        let all: Vec<u32> = (0..a.0.len() as u32 - 1).collect();
        Graph::of_pattern(&a.0, &a.1, &all, &all)
    }

    #[test]
    fn separator_leaves_no_edge_between_the_sides() {
        for a in [grid(40), random(500, 900, 1), random(700, 300, 2), random(130, 4000, 3)] {
            let graph = graph(&a);
            let side = separate(&graph);
            for v in 0..graph.len() as u32 {
                let mine = side[v as usize];
                assert!(mine <= SEPARATOR);
                assert!(graph.around(v).iter().all(|&u| mine + side[u as usize] != 1 || mine == side[u as usize]));
            }
        }
    }

    #[test]
    fn separator_of_a_grid_is_about_a_straight_line() {
        for m in [20, 50, 100] {
            let side = separate(&graph(&grid(m)));
            let count = |which: u8| side.iter().filter(|&&s| s == which).count();
            assert!(count(SEPARATOR) <= m + m / 4, "{m}: {}", count(SEPARATOR));
            assert!(count(0).max(count(1)) as f64 <= 0.61 * (m * m) as f64);
        }
    }

    #[test]
    fn counts_of_a_refined_cut_equal_a_recount() {
        let graph = graph(&random(400, 1000, 5));
        let mut cut = Cut::new(&graph, vec![1; graph.len()]);
        cut.grow(7);
        cut.refine();
        let fresh = Cut::new(&graph, cut.side.clone());
        assert_eq!(cut.weights, fresh.weights);
        assert_eq!(cut.weights.iter().sum::<i64>(), 400);
    }
}
