//! The problems of `tests/fixtures/rules` and a loop that runs a rule on them, one step of the solver and nothing else.

use curvkit::error::Result;
use curvkit::model::Block;
use curvkit::stochastic::Clock;
use curvkit::stochastic::rule::{Context, Oracle, UpdateRule};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// A text file of the fixtures.
pub fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace().map(|v| v.parse().expect("a number")).collect()
}

/// Lines of each `problem` section.
pub fn sections(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("problem ") {
            Some(name) => sections.push((name, Vec::new())),
            None => sections.last_mut().expect("a section").1.push(line),
        }
    }
    sections
}

/// A rule that can be written to bytes and read again.
pub trait Rule: UpdateRule {
    fn reloaded(&self) -> Box<dyn Rule>;
}

impl<R: UpdateRule + Serialize + DeserializeOwned + 'static> Rule for R {
    fn reloaded(&self) -> Box<dyn Rule> {
        let bytes = bincode::serialize(self).expect("bytes");
        Box::new(bincode::deserialize::<R>(&bytes).expect("a rule"))
    }
}

pub enum Kind {
    /// Gradients, diagonals of Hessians, gradients with drawn targets; one row a step.
    Tape { gradients: Vec<Vec<f64>>, diagonals: Vec<Vec<f64>>, drawn: Vec<Vec<f64>> },
    /// `½xᵀAx`.
    Quadratic(Vec<Vec<f64>>),
    /// Rows with their sign last, and which rows a step sees.
    Logistic { rows: Vec<Vec<f64>>, batches: Vec<Vec<usize>> },
}

pub struct Problem {
    pub name: String,
    pub layout: Vec<Block>,
    pub x0: Vec<f64>,
    pub kind: Kind,
}

impl Problem {
    pub fn all() -> Vec<Self> {
        let text = fixture("rules/problems.txt");
        sections(&text).into_iter().map(|(name, lines)| Self::read(name, &lines)).collect()
    }

    fn read(name: &str, lines: &[&str]) -> Self {
        let sizes = numbers(lines[0].trim_start_matches("layers"));
        let mut layout = Vec::new();
        for size in sizes {
            let offset = layout.last().map_or(0, |b: &Block| b.range().end);
            layout.push(Block { name: format!("layer {}", layout.len() + 1), offset, rows: size as usize, columns: 1 });
        }
        let rows: Vec<Vec<f64>> = lines[2..].iter().map(|line| numbers(line)).collect();
        let kind = match name {
            "tape" => {
                let n = rows.len() / 3;
                let part = |k: usize| rows[k * n..(k + 1) * n].to_vec();
                Kind::Tape { gradients: part(0), diagonals: part(1), drawn: part(2) }
            }
            "quadratic" => Kind::Quadratic(rows),
            _ => {
                let (data, batches): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.len() == 5);
                Kind::Logistic {
                    rows: data,
                    batches: batches.iter().map(|batch| batch.iter().map(|i| *i as usize).collect()).collect(),
                }
            }
        };
        Self { name: name.into(), layout, x0: numbers(lines[1]), kind }
    }

    /// The gradient of step `t`.
    pub fn gradient(&self, t: usize, x: &[f64], out: &mut [f64]) {
        match &self.kind {
            Kind::Tape { gradients, .. } => out.copy_from_slice(&gradients[t]),
            Kind::Quadratic(a) => {
                out.iter_mut().zip(a).for_each(|(o, row)| *o = row.iter().zip(x).map(|(a, x)| a * x).sum());
            }
            Kind::Logistic { rows, batches } => {
                out.iter_mut().zip(x).for_each(|(o, x)| *o = 0.01 * x);
                for &i in &batches[t] {
                    let (a, y) = (&rows[i][..4], rows[i][4]);
                    let margin = y * a.iter().zip(x).map(|(a, x)| a * x).sum::<f64>();
                    let slope = -y / (1.0 + margin.exp()) / batches[t].len() as f64;
                    out.iter_mut().zip(a).for_each(|(o, a)| *o += slope * a);
                }
            }
        }
    }
}

/// A problem in one step.
pub struct At<'a>(pub &'a Problem, pub usize);

impl Oracle for At<'_> {
    fn cost(&self, _x: &[f64]) -> Result<f64> {
        Ok(0.0)
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<f64> {
        self.0.gradient(self.1, x, out);
        Ok(0.0)
    }
    fn hessian_product(&self, _x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        match &self.0.kind {
            Kind::Tape { diagonals, .. } => out.iter_mut().zip(v).zip(&diagonals[self.1]).for_each(|((o, v), d)| *o = v * d),
            Kind::Quadratic(_) => self.0.gradient(self.1, v, out),
            Kind::Logistic { .. } => panic!("no second derivatives"),
        }
        Ok(())
    }
    fn sampled_gradient(&self, _x: &[f64], _seed: u64, out: &mut [f64]) -> Result<usize> {
        let Kind::Tape { drawn, .. } = &self.0.kind else { panic!("drawn gradients are on the tape") };
        out.copy_from_slice(&drawn[self.1]);
        Ok(4)
    }
}

pub fn context<'a>(problem: &'a Problem, at: &'a At<'a>, x: &'a [f64], gradient: &'a [f64]) -> Context<'a> {
    let clock = Clock { step: at.1 as u64, epoch: at.1 as f64 / 10.0 };
    Context { clock, x, gradient, cost: None, damping: 0.0, layout: &problem.layout, oracle: at }
}

/// `steps` iterates of a rule; it is written and read again before each of the steps in `reload`.
pub fn iterates(problem: &Problem, mut rule: Box<dyn Rule>, steps: usize, reload: &[usize]) -> Vec<Vec<f64>> {
    rule.validate().expect("valid options");
    let n = problem.x0.len();
    rule.begin(n);
    let mut x = problem.x0.clone();
    let (mut point, mut gradient) = (vec![0.0; n], vec![0.0; n]);
    let mut found = Vec::new();
    for t in 0..steps {
        if reload.contains(&t) {
            rule = rule.reloaded();
        }
        let at = At(problem, t);
        point.copy_from_slice(&x);
        rule.look_ahead(&Clock { step: t as u64, epoch: 0.0 }, &x, &mut point);
        problem.gradient(t, &point, &mut gradient);
        let mut update = gradient.clone();
        rule.transform(&context(problem, &at, &x, &gradient), &mut update).expect("a step");
        x.iter_mut().zip(&update).for_each(|(x, u)| *x -= u);
        found.push(x.clone());
    }
    found
}

/// `‖a − b‖∞/‖b‖∞`, NaN unless all are finite.
pub fn difference(a: &[f64], b: &[f64]) -> f64 {
    let top = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let finite = a.iter().all(|v| v.is_finite());
    if finite { a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / top } else { f64::NAN }
}

/// The largest of errors; NaN if there is one.
pub fn worst(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |m, e| if m.is_nan() || e <= m { m } else { e })
}
