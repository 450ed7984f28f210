//! Data of `tests/fixtures/glm` and the numbers that other programs printed for them.
#![allow(dead_code)]

use curvkit::problem::{Family, Glm, Link};
use nalgebra::{DMatrix, DVector};
use std::path::Path;

/// Columns of text under a header.
pub struct Data {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

pub fn read(name: &str) -> Data {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/glm").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let tab = text.lines().next().unwrap().contains('\t');
    let fields = |line: &str| -> Vec<String> {
        let clean = |f: &str| f.trim().trim_matches(['"', '\'']).to_string();
        if tab { line.split('\t').map(clean).collect() } else { line.split(',').map(clean).collect() }
    };
    let mut lines = text.lines().filter(|l| !l.trim().is_empty()).map(fields);
    Data { names: lines.next().unwrap(), rows: lines.collect() }
}

impl Data {
    pub fn text(&self, name: &str) -> Vec<&str> {
        let j = self.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no column {name}"));
        self.rows.iter().map(|row| row[j].as_str()).collect()
    }
    pub fn column(&self, name: &str) -> Vec<f64> {
        self.text(name).iter().map(|v| v.parse().unwrap()).collect()
    }
    /// The named columns one after the other, then ones.
    pub fn design(&self, names: &[&str]) -> Vec<f64> {
        let ones = vec![1.0; self.rows.len()];
        names.iter().flat_map(|n| self.column(n)).chain(ones).collect()
    }
    pub fn is(&self, name: &str, level: &str) -> Vec<f64> {
        self.text(name).iter().map(|v| f64::from(*v == level)).collect()
    }
}

/// A number as printed, with half a unit of its last place.
pub struct Printed {
    pub value: f64,
    pub half_unit: f64,
}

/// The printed numbers of one case and quantity.
pub fn printed(case: &str, quantity: &str) -> Vec<Printed> {
    let reference = read("reference.csv");
    let (cases, quantities, texts) = (reference.text("case"), reference.text("quantity"), reference.text("printed"));
    let mine = (0..cases.len()).filter(|&i| (cases[i], quantities[i]) == (case, quantity));
    mine.map(|i| of(texts[i])).collect()
}

fn of(text: &str) -> Printed {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, after)| after.len()) as i32;
    Printed { value: text.parse().unwrap(), half_unit: 0.5 * 10f64.powi(exponent.parse::<i32>().unwrap() - decimals) }
}

/// Every number that does not round to what was printed, as a line of text. Of numbers printed with more than 13 digits the
/// rest is the rounding of the program's own sums.
pub fn differences(what: &str, found: &[f64], printed: &[Printed]) -> Vec<String> {
    assert!(printed.is_empty() || found.len() == printed.len(), "{what}: {} and {}", found.len(), printed.len());
    let off = |(f, p): &(&f64, &Printed)| !((**f - p.value).abs() <= p.half_unit * (1.0 + 1e-6) + 1e-13 * p.value.abs());
    let units = |f: f64, p: &Printed| (f - p.value) / (2.0 * p.half_unit);
    let pairs = found.iter().zip(printed).filter(off);
    pairs.map(|(f, p)| format!("{what}: {f:.17e} printed {:e}, {:+.1} units", p.value, units(*f, p))).collect()
}

/// The models of the reference results.
pub fn reference_model(case: &str) -> Glm {
    let plain = |family, link, p, design, y| Glm::new(family, link, p, design, y).unwrap();
    match case {
        "star98" => {
            let d = read("star98.csv");
            let trials = d.column("MATHTOT");
            let y = d.column("PR50M").iter().zip(&trials).map(|(k, n)| k / n).collect();
            let names: Vec<&str> = d.names[2..].iter().map(String::as_str).collect();
            plain(Family::Binomial, Link::Logit, names.len() + 1, d.design(&names), y).with_weights(trials).unwrap()
        }
        "lbw" => {
            let d = read("lbw.csv");
            let rest = d.design(&["smoke", "ptl", "ht", "ui"]);
            let design = [d.column("age"), d.column("lwt"), d.is("race", "black"), d.is("race", "other"), rest].concat();
            plain(Family::Binomial, Link::Logit, 9, design, d.column("low"))
        }
        "scotvote" => {
            let d = read("scotvote.csv");
            let names: Vec<&str> = d.names[2..].iter().map(String::as_str).collect();
            plain(Family::Gamma, Link::Inverse, 8, d.design(&names), d.column("YES"))
        }
        "cancerlog" | "canceridentity" => {
            let d = read("cancer.csv");
            let design = [d.column("age"), d.is("drug", "2"), d.is("drug", "3"), vec![1.0; d.rows.len()]].concat();
            let link = if case == "cancerlog" { Link::Log } else { Link::Identity };
            plain(Family::Gamma, link, 4, design, d.column("studytime"))
        }
        "cpunish" | "cpunish_offset" => {
            let d = read("cpunish.csv");
            let mut design = d.design(&["INCOME", "PERPOVERTY", "PERBLACK", "VC100k96", "SOUTH", "DEGREE"]);
            let n = d.rows.len();
            design[3 * n..4 * n].iter_mut().for_each(|v| *v = v.ln());
            if case == "cpunish" {
                return plain(Family::Poisson, Link::Log, 7, design, d.column("EXECUTIONS"));
            }
            design.rotate_right(n);
            plain(Family::Poisson, Link::Log, 7, design, d.column("EXECUTIONS")).with_offset(vec![100f64.ln(); n]).unwrap()
        }
        "invgauss" => {
            let d = read("inv_gaussian.csv");
            plain(Family::InverseGaussian, Link::InverseSquared, 3, d.design(&["x1", "x2"]), d.column("xig"))
        }
        "invgausslog" | "invgaussidentity" => {
            let d = read("medpar1.csv");
            let first = d.text("admitype").into_iter().min().unwrap().to_string();
            let other = d.is("admitype", &first).iter().map(|v| 1.0 - v).collect();
            let link = if case == "invgausslog" { Link::Log } else { Link::Identity };
            let design = [d.column("codes"), other, vec![1.0; d.rows.len()]].concat();
            plain(Family::InverseGaussian, link, 3, design, d.column("los"))
        }
        "committee" => {
            let d = read("committee.csv");
            let staff: Vec<f64> = d.column("STAFF").iter().map(|v| v.ln()).collect();
            let product = staff.iter().zip(d.column("SUBS")).map(|(a, b)| a * b).collect();
            let ones = vec![1.0; d.rows.len()];
            let columns = [d.column("SIZE"), d.column("SUBS"), staff, d.column("PRESTIGE"), d.column("BILLS103"), product, ones];
            plain(Family::NegativeBinomial { alpha: 1.0 }, Link::Log, 7, columns.concat(), d.column("BILLS104"))
        }
        other => panic!("no case {other}"),
    }
}

/// One iterate of textbook scoring, as `glm` of R runs it.
pub struct Iterate {
    pub beta: Vec<f64>,
    /// Diagonal of `(XᵀWX)⁻¹` at the weights that made the iterate: those of the one before.
    pub lagged: Vec<f64>,
    /// The same at the weights of the iterate.
    pub current: Vec<f64>,
    pub deviance: f64,
    pub pearson: f64,
    /// Pearson's statistic as R's summary has it: working residuals of this iterate at the weights of the one before.
    pub lagged_pearson: f64,
}

/// Iteratively reweighted least squares from R's first means, each step a weighted regression by QR.
pub fn scoring_iterates(model: &Glm, steps: usize) -> Vec<Iterate> {
    let d = model.data();
    let (n, p) = (d.n_rows(), d.n_columns);
    let x = DMatrix::from_column_slice(n, p, &d.design);
    let scale: Vec<f64> = (0..p).map(|j| x.column(j).norm()).collect();
    let weights = |eta: &[f64]| -> Vec<f64> {
        (0..n)
            .map(|i| d.link.mean(eta[i]))
            .enumerate()
            .map(|(i, m)| d.weights[i] * m.slope * m.slope / d.family.variance(m.value))
            .collect()
    };
    let design = |w: &[f64]| DMatrix::from_fn(n, p, |i, j| w[i].sqrt() * x[(i, j)] / scale[j]);
    let diagonal = |w: &[f64]| -> Vec<f64> {
        let r = design(w).qr().r().try_inverse().unwrap();
        (0..p).map(|j| r.row(j).norm_squared() / (scale[j] * scale[j])).collect()
    };
    let mut eta: Vec<f64> = (0..n).map(|i| d.link.predictor(d.family.first_mean(d.response[i], d.weights[i]))).collect();
    let mut found = Vec::new();
    for _ in 0..steps {
        let w = weights(&eta);
        let z = |i: usize| eta[i] - d.offset[i] + (d.response[i] - d.link.mean(eta[i]).value) / d.link.mean(eta[i]).slope;
        let rhs = DVector::from_fn(n, |i, _| w[i].sqrt() * z(i));
        let qr = design(&w).qr();
        let solved = qr.r().solve_upper_triangular(&(qr.q().transpose() * rhs)).unwrap();
        let beta: Vec<f64> = solved.iter().zip(&scale).map(|(b, s)| b / s).collect();
        eta = d.predictor(&beta);
        let working = |i: usize| (d.response[i] - d.link.mean(eta[i]).value) / d.link.mean(eta[i]).slope;
        let now = weights(&eta);
        let pass = model.pass(&beta).unwrap();
        found.push(Iterate {
            lagged: diagonal(&w),
            current: diagonal(&now),
            deviance: 2.0 * pass.cost,
            pearson: (0..n).map(|i| now[i] * working(i).powi(2)).sum(),
            lagged_pearson: (0..n).map(|i| w[i] * working(i).powi(2)).sum(),
            beta,
        });
    }
    found
}
