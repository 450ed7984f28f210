//! A list of elementary operations, each after its operands: value, gradient, Hessian and products by sweeps over it.

use super::derivatives::{binary, power, unary};
use std::collections::HashMap;

macro_rules! named {
    ($(#[$doc:meta])* $kind:ident { $($variant:ident = $($name:literal)|*,)* } and { $($other:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum $kind { $($variant,)* $($other,)* }
        impl $kind {
            pub(super) const NAMES: &'static [&'static str] = &[$($($name,)*)*];
            pub(super) fn named(name: &str) -> Option<Self> {
                match name { $($($name)|* => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

named! {
    /// Functions of one argument.
    Unary {
        Sin = "sin", Cos = "cos", Tan = "tan", Asin = "asin", Acos = "acos", Atan = "atan",
        Sinh = "sinh", Cosh = "cosh", Tanh = "tanh", Asinh = "asinh", Acosh = "acosh", Atanh = "atanh",
        Exp = "exp", Expm1 = "expm1", Ln = "ln" | "log", Log2 = "log2", Log10 = "log10", Log1p = "log1p",
        Sqrt = "sqrt", Cbrt = "cbrt", Abs = "abs",
    } and { Negate, }
}

named! {
    /// Functions of two arguments.
    Binary { Power = "pow", Atan2 = "atan2", Min = "min", Max = "max", } and { Add, Subtract, Multiply, Divide, }
}

/// One operation on earlier entries of the list. Constants are kept as bits, so that equal operations are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Constant(u64),
    Variable(u32),
    Unary(Unary, u32),
    /// A constant exponent: defined for a negative base too, where `a^b` with a variable `b` has no derivative.
    Power(u32, u64),
    Binary(Binary, u32, u32),
}

/// Partial derivatives of one operation `f(a, b)` at its operands; those by `b` are zero for one operand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Partials {
    pub a: f64,
    pub b: f64,
    pub aa: f64,
    pub ab: f64,
    pub bb: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Tape {
    nodes: Vec<Node>,
    /// Where an equal operation already stands; only while parsing.
    known: HashMap<Node, u32>,
}

/// `a t`, zero where the tangent or adjoint `t` is, even if the partial derivative `a` is infinite: a branch that does not
/// move contributes nothing.
#[inline]
fn times(a: f64, t: f64) -> f64 {
    if t == 0.0 { 0.0 } else { a * t }
}

impl Tape {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn push(&mut self, node: Node) -> u32 {
        let next = self.nodes.len() as u32;
        let place = *self.known.entry(node).or_insert(next);
        if place == next {
            self.nodes.push(node);
        }
        place
    }

    /// The variables that occur.
    pub(super) fn variables(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().filter_map(|node| if let Node::Variable(i) = node { Some(*i as usize) } else { None })
    }

    fn as_constant(&self, node: u32) -> Option<f64> {
        match self.nodes.get(node as usize) {
            Some(Node::Constant(bits)) => Some(f64::from_bits(*bits)),
            _ => None,
        }
    }

    pub(super) fn constant(&mut self, value: f64) -> u32 {
        self.push(Node::Constant(value.to_bits()))
    }

    pub(super) fn variable(&mut self, i: u32) -> u32 {
        self.push(Node::Variable(i))
    }

    pub(super) fn unary(&mut self, operation: Unary, a: u32) -> u32 {
        match self.as_constant(a) {
            Some(value) => self.constant(unary(operation, value).0),
            None => self.push(Node::Unary(operation, a)),
        }
    }

    pub(super) fn binary(&mut self, operation: Binary, a: u32, b: u32) -> u32 {
        match (self.as_constant(a), self.as_constant(b)) {
            (Some(x), Some(exponent)) if operation == Binary::Power => self.constant(power(x, exponent).0),
            (Some(x), Some(y)) => self.constant(binary(operation, x, y).0),
            (None, Some(exponent)) if operation == Binary::Power => self.push(Node::Power(a, exponent.to_bits())),
            _ => self.push(Node::Binary(operation, a, b)),
        }
    }

    /// Ends the list with `root`: what lies behind it or is not needed for it is dropped.
    pub(super) fn finish(&mut self, root: u32) {
        self.known = HashMap::new();
        self.nodes.truncate(root as usize + 1);
        let mut needed = vec![false; self.nodes.len()];
        if let Some(last) = needed.last_mut() {
            *last = true;
        }
        for (k, node) in self.nodes.iter().enumerate().rev() {
            if needed[k] {
                let (a, b) = node.operands();
                a.into_iter().chain(b).for_each(|operand| needed[operand as usize] = true);
            }
        }
        let mut place = vec![0u32; self.nodes.len()];
        let mut kept = Vec::new();
        for (k, node) in self.nodes.iter().enumerate().filter(|(k, _)| needed[*k]) {
            place[k] = kept.len() as u32;
            kept.push(node.with_operands(|operand| place[operand as usize]));
        }
        self.nodes = kept;
    }

    /// Renumbers variable `i` to `place[i]`.
    pub(super) fn rename(&mut self, place: &[u32]) {
        for node in &mut self.nodes {
            if let Node::Variable(i) = node {
                *i = place[*i as usize];
            }
        }
    }

    fn node_value(node: &Node, x: &[f64], values: &[f64]) -> f64 {
        match *node {
            Node::Constant(bits) => f64::from_bits(bits),
            Node::Variable(i) => x[i as usize],
            Node::Unary(operation, a) => unary(operation, values[a as usize]).0,
            Node::Power(a, exponent) => power(values[a as usize], f64::from_bits(exponent)).0,
            Node::Binary(operation, a, b) => binary(operation, values[a as usize], values[b as usize]).0,
        }
    }

    pub(super) fn value(&self, x: &[f64]) -> f64 {
        let mut values = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let value = Self::node_value(node, x, &values);
            values.push(value);
        }
        values.last().copied().unwrap_or(0.0)
    }

    /// Partial derivatives of every operation at `x`.
    fn linearize(&self, x: &[f64]) -> Vec<Partials> {
        let mut values: Vec<f64> = Vec::with_capacity(self.nodes.len());
        let mut partials = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let (value, partial) = match *node {
                Node::Constant(bits) => (f64::from_bits(bits), Partials::default()),
                Node::Variable(i) => (x[i as usize], Partials::default()),
                Node::Unary(operation, a) => unary(operation, values[a as usize]),
                Node::Power(a, exponent) => power(values[a as usize], f64::from_bits(exponent)),
                Node::Binary(operation, a, b) => binary(operation, values[a as usize], values[b as usize]),
            };
            values.push(value);
            partials.push(partial);
        }
        partials
    }

    pub(super) fn gradient(&self, x: &[f64], out: &mut [f64]) {
        let partials = self.linearize(x);
        out.fill(0.0);
        let mut adjoints = vec![0.0; self.nodes.len()];
        if let Some(last) = adjoints.last_mut() {
            *last = 1.0;
        }
        for k in (0..self.nodes.len()).rev() {
            let adjoint: f64 = adjoints[k];
            if let Node::Variable(i) = self.nodes[k] {
                out[i as usize] += adjoint;
            }
            let (a, b) = self.nodes[k].operands();
            if let Some(a) = a {
                adjoints[a as usize] += times(partials[k].a, adjoint);
            }
            if let Some(b) = b {
                adjoints[b as usize] += times(partials[k].b, adjoint);
            }
        }
    }

    /// One product, with the scratch of three sweeps: tangents, adjoints and their derivatives along `v`.
    fn product_with(&self, partials: &[Partials], v: &[f64], scratch: &mut [Vec<f64>; 3], out: &mut [f64]) {
        let [tangents, adjoints, bent] = scratch;
        for (k, node) in self.nodes.iter().enumerate() {
            let (a, b) = node.operands();
            tangents[k] = match *node {
                Node::Variable(i) => v[i as usize],
                _ => {
                    a.map_or(0.0, |a| times(partials[k].a, tangents[a as usize]))
                        + b.map_or(0.0, |b| times(partials[k].b, tangents[b as usize]))
                }
            };
        }
        out.fill(0.0);
        adjoints.fill(0.0);
        bent.fill(0.0);
        if let Some(last) = adjoints.last_mut() {
            *last = 1.0;
        }
        for k in (0..self.nodes.len()).rev() {
            let (adjoint, change, p) = (adjoints[k], bent[k], &partials[k]);
            if let Node::Variable(i) = self.nodes[k] {
                out[i as usize] += change;
            }
            let (Some(a), b) = self.nodes[k].operands() else { continue };
            let tangent_a = tangents[a as usize];
            let tangent_b = b.map_or(0.0, |b| tangents[b as usize]);
            adjoints[a as usize] += times(p.a, adjoint);
            bent[a as usize] += times(p.a, change) + times(times(p.aa, tangent_a) + times(p.ab, tangent_b), adjoint);
            if let Some(b) = b {
                adjoints[b as usize] += times(p.b, adjoint);
                bent[b as usize] += times(p.b, change) + times(times(p.ab, tangent_a) + times(p.bb, tangent_b), adjoint);
            }
        }
    }

    fn scratch(&self) -> [Vec<f64>; 3] {
        std::array::from_fn(|_| vec![0.0; self.nodes.len()])
    }

    pub(super) fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) {
        self.product_with(&self.linearize(x), v, &mut self.scratch(), out);
    }

    /// Writes the Hessian, column-major.
    pub(super) fn hessian(&self, x: &[f64], out: &mut [f64]) {
        let n = x.len();
        let (partials, mut scratch, mut unit) = (self.linearize(x), self.scratch(), vec![0.0; n]);
        for (j, column) in out.chunks_exact_mut(n.max(1)).enumerate() {
            unit[j] = 1.0;
            self.product_with(&partials, &unit, &mut scratch, column);
            unit[j] = 0.0;
        }
        // Both triangles agree but for rounding: keep one.
        for j in 0..n {
            for i in j + 1..n {
                out[i * n + j] = out[j * n + i];
            }
        }
    }
}

impl Node {
    fn operands(&self) -> (Option<u32>, Option<u32>) {
        match *self {
            Node::Constant(_) | Node::Variable(_) => (None, None),
            Node::Unary(_, a) | Node::Power(a, _) => (Some(a), None),
            Node::Binary(_, a, b) => (Some(a), Some(b)),
        }
    }

    fn with_operands(self, place: impl Fn(u32) -> u32) -> Self {
        match self {
            Node::Constant(_) | Node::Variable(_) => self,
            Node::Unary(operation, a) => Node::Unary(operation, place(a)),
            Node::Power(a, exponent) => Node::Power(place(a), exponent),
            Node::Binary(operation, a, b) => Node::Binary(operation, place(a), place(b)),
        }
    }
}
