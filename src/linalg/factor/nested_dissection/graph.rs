//! Weighted undirected graphs as adjacency lists, halved by heavy-edge matching or cut along a separator.

use super::NONE;

/// Adjacency lists without loops, every edge in both of its lists.
pub(super) struct Graph {
    pub starts: Vec<u32>,
    pub neighbors: Vec<u32>,
    /// Number of original edges behind each entry of `neighbors`.
    pub edges: Vec<u32>,
    /// Number of original vertices behind each vertex.
    pub weights: Vec<u32>,
}

impl Graph {
    /// The subgraph of a symmetric pattern induced by the vertices `old`; `local` holds their new numbers, else [`NONE`].
    pub fn of_pattern(starts: &[usize], rows: &[usize], old: &[u32], local: &[u32]) -> Self {
        let mut graph = Self::with_capacity(old.len(), rows.len());
        for (v, &j) in old.iter().enumerate() {
            let column = &rows[starts[j as usize]..starts[j as usize + 1]];
            graph.neighbors.extend(column.iter().map(|&i| local[i]).filter(|&u| u != NONE && u != v as u32));
            graph.starts.push(graph.neighbors.len() as u32);
        }
        graph.edges.resize(graph.neighbors.len(), 1);
        graph.weights.resize(old.len(), 1);
        graph
    }

    fn with_capacity(n: usize, entries: usize) -> Self {
        let mut starts = Vec::with_capacity(n + 1);
        starts.push(0);
        Self { starts, neighbors: Vec::with_capacity(entries), edges: Vec::new(), weights: Vec::with_capacity(n) }
    }

    pub fn len(&self) -> usize {
        self.weights.len()
    }

    pub fn range(&self, v: u32) -> std::ops::Range<usize> {
        self.starts[v as usize] as usize..self.starts[v as usize + 1] as usize
    }

    pub fn around(&self, v: u32) -> &[u32] {
        &self.neighbors[self.range(v)]
    }

    pub fn weight(&self, v: u32) -> i64 {
        i64::from(self.weights[v as usize])
    }

    pub fn total(&self) -> i64 {
        self.weights.iter().map(|&w| i64::from(w)).sum()
    }

    /// The subgraph of the vertices on one side, and their numbers here.
    pub fn side(&self, side: &[u8], which: u8, local: &mut [u32]) -> (Self, Vec<u32>) {
        let old: Vec<u32> = (0..self.len() as u32).filter(|&v| side[v as usize] == which).collect();
        old.iter().enumerate().for_each(|(v, &j)| local[j as usize] = v as u32);
        let entries = old.iter().map(|&j| self.range(j).len()).sum();
        let mut graph = Self::with_capacity(old.len(), entries);
        graph.edges.reserve(entries);
        for &j in &old {
            for e in self.range(j) {
                let i = self.neighbors[e] as usize;
                if side[i] == which {
                    graph.neighbors.push(local[i]);
                    graph.edges.push(self.edges[e]);
                }
            }
            graph.starts.push(graph.neighbors.len() as u32);
            graph.weights.push(self.weights[j as usize]);
        }
        (graph, old)
    }

    /// Merges pairs of neighbours joined by their heaviest edge, up to a weight; also the new number of each vertex.
    pub fn coarsen(&self, heaviest: u32) -> (Self, Vec<u32>) {
        let n = self.len();
        let (mut into, mut pairs) = (vec![NONE; n], Vec::with_capacity(n));
        for v in 0..n as u32 {
            if into[v as usize] != NONE {
                continue;
            }
            let (mut mate, mut heavy) = (v, 0);
            for e in self.range(v) {
                let u = self.neighbors[e];
                let light = self.weights[v as usize] + self.weights[u as usize] <= heaviest;
                if self.edges[e] > heavy && light && into[u as usize] == NONE {
                    (mate, heavy) = (u, self.edges[e]);
                }
            }
            into[v as usize] = pairs.len() as u32;
            into[mate as usize] = pairs.len() as u32;
            pairs.push((v, mate));
        }
        let mut graph = Self::with_capacity(pairs.len(), self.neighbors.len());
        graph.edges.reserve(self.neighbors.len());
        // Place of each neighbour in the list being made.
        let mut place = vec![NONE; pairs.len()];
        for (c, &(v, mate)) in pairs.iter().enumerate() {
            let begin = graph.neighbors.len();
            let merged = self.range(v).chain(if mate == v { 0..0 } else { self.range(mate) });
            for e in merged {
                let u = into[self.neighbors[e] as usize];
                if u as usize == c {
                    continue;
                }
                let at = place[u as usize];
                if at != NONE && at as usize >= begin {
                    graph.edges[at as usize] += self.edges[e];
                } else {
                    place[u as usize] = graph.neighbors.len() as u32;
                    graph.neighbors.push(u);
                    graph.edges.push(self.edges[e]);
                }
            }
            graph.starts.push(graph.neighbors.len() as u32);
            graph.weights.push(self.weights[v as usize] + if mate == v { 0 } else { self.weights[mate as usize] });
        }
        (graph, into)
    }
}
