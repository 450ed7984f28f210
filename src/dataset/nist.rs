//! The 27 nonlinear regressions of NIST's Statistical Reference Datasets: data, starts, and answers certified to 11 digits.
//!
//! Minimize `Σ (model(b, xᵢ) − yᵢ)²` over the parameters `b`. The first start is far from the answer, the second close.
//!
//! # Reference
//! National Institute of Standards and Technology, *StRD: Nonlinear Least Squares Regression*,
//! <https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml>.

mod lines;
#[cfg(test)]
mod tests;

use super::text::{self, quoted};
use crate::error::{Error, Result};
use lines::{Lines, strip_label};
use std::path::Path;

macro_rules! embedded {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("nist/", $name, ".dat")))),*] };
}

/// Name and text of every file, by NIST's levels of difficulty.
const FILES: &[(&str, &str)] = embedded!(
    "Misra1a" "Chwirut2" "Chwirut1" "Lanczos3" "Gauss1" "Gauss2" "DanWood" "Misra1b"
    "Kirby2" "Hahn1" "Nelson" "MGH17" "Lanczos1" "Lanczos2" "Gauss3" "Misra1c" "Misra1d" "Roszman1" "ENSO"
    "MGH09" "Thurber" "BoxBOD" "Rat42" "MGH10" "Eckerle4" "Rat43" "Bennett5"
);

/// How hard the regression is, as NIST judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difficulty {
    /// Eight of the 27.
    Lower,
    /// Eleven of the 27.
    Average,
    /// Eight of the 27.
    Higher,
}

/// A regression problem with its certified answer; `n` observations, `p` parameters, `k` predictors.
#[derive(Debug, Clone, PartialEq)]
pub struct NistDataset {
    /// NIST's name: `Misra1a`, `MGH10`, ….
    pub name: String,
    /// NIST's judgement.
    pub difficulty: Difficulty,
    /// The model as printed, `y = b1*(1-exp[-b2*x])  +  e`, one line of the file a line.
    pub model: String,
    /// Whether the model's left side is `log[y]` (Nelson) instead of `y`; see [`target`](Self::target).
    pub log_response: bool,
    /// The response's column name.
    pub response_name: String,
    /// The predictors' column names, `k`.
    pub predictor_names: Vec<String>,
    /// The response as recorded, `n` values.
    pub response: Vec<f64>,
    /// The predictors, `n × k` by rows; see [`rows`](Self::rows).
    pub predictors: Vec<f64>,
    /// The two starts, `p` values each.
    pub starts: [Vec<f64>; 2],
    /// The certified parameters, `p` values.
    pub certified: Vec<f64>,
    /// Their standard deviations, `√(s² (JᵀJ)⁻¹ⱼⱼ)`, `p` values.
    pub standard_deviations: Vec<f64>,
    /// `Σ (model(b, xᵢ) − yᵢ)²` at the certified parameters.
    pub residual_sum_of_squares: f64,
    /// `s`: the root of that sum over the degrees of freedom.
    pub residual_standard_deviation: f64,
    /// `n − p`; Rat43's file prints 9 instead of 11, but its `s` is that of 11.
    pub degrees_of_freedom: usize,
}

impl NistDataset {
    /// `n`.
    pub fn n_observations(&self) -> usize {
        self.response.len()
    }

    /// `p`.
    pub fn n_parameters(&self) -> usize {
        self.certified.len()
    }

    /// `k`.
    pub fn n_predictors(&self) -> usize {
        self.predictor_names.len()
    }

    /// The `k` predictors of one observation after another.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.predictors.chunks_exact(self.n_predictors().max(1))
    }

    /// What the model predicts, `n` values: the response, or its logarithm if [`log_response`](Self::log_response).
    pub fn target(&self) -> Vec<f64> {
        if self.log_response { self.response.iter().map(|y| y.ln()).collect() } else { self.response.clone() }
    }
}

/// The names of the 27 data sets, from NIST's lower to its higher level of difficulty.
pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// One of the 27, from the copies inside this crate.
///
/// # Errors
/// [`Error::Unknown`] with the nearest name.
///
/// # Example
/// ```
/// let misra = curvkit::dataset::nist::load("Misra1a")?;
/// assert_eq!(misra.starts[0], [500.0, 0.0001]);
/// assert_eq!(misra.degrees_of_freedom, 12);
/// # Ok::<(), curvkit::Error>(())
/// ```
pub fn load(name: &str) -> Result<NistDataset> {
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((known, text)) => parse(&format!("{known}.dat"), text),
        None => Err(Error::unknown("dataset", name, names())),
    }
}

/// The data set in a file of NIST's format.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] as for [`parse`].
pub fn read(path: impl AsRef<Path>) -> Result<NistDataset> {
    let (file, text) = text::read(path.as_ref())?;
    parse(&file, &text)
}

/// The data set that `text` describes in NIST's format; `file` is its name in errors.
///
/// Sections are found by their titles, not by the line numbers that the head of a file announces.
///
/// # Errors
/// [`Error::Data`] where a section, a value or an observation is missing, is not what it should be, or contradicts another:
/// the counts, and `s² (n − p)` against the sum of squares.
pub fn parse(file: &str, text: &str) -> Result<NistDataset> {
    let mut lines = Lines::new(file, text);
    lines.labelled("NIST/ITL StRD")?;
    let name = lines.after("Dataset Name:")?.split_ascii_whitespace().next();
    let name = name.ok_or_else(|| lines.here().error("a name", "nothing"))?.to_string();

    let shape = Shape::read(&mut lines)?;
    let (n_parameters, model, log_response) = read_model(&mut lines, shape.n_observations)?;
    let answer = Answer::read(&mut lines, n_parameters, shape.n_observations)?;
    let data = Data::read(&mut lines, &shape, log_response)?;

    let Answer { starts, certified, standard_deviations, sum_of_squares, deviation, degrees_of_freedom } = answer;
    Ok(NistDataset {
        name,
        difficulty: shape.difficulty,
        model,
        log_response,
        response_name: data.response_name,
        predictor_names: data.predictor_names,
        response: data.response,
        predictors: data.predictors,
        starts,
        certified,
        standard_deviations,
        residual_sum_of_squares: sum_of_squares,
        residual_standard_deviation: deviation,
        degrees_of_freedom,
    })
}

/// What the first `Data:` section announces.
struct Shape {
    n_predictors: usize,
    n_observations: usize,
    difficulty: Difficulty,
}

impl Shape {
    fn read(lines: &mut Lines<'_>) -> Result<Self> {
        let text = lines.after("Data:")?;
        if lines.counted(text, "Response")? != 1 {
            return Err(lines.here().error("1 Response", quoted(text.trim_ascii())));
        }
        let text = lines.filled("the number of predictors")?;
        let n_predictors = lines.counted(text, "Predictor")?;
        let text = lines.filled("the number of observations")?;
        let n_observations = lines.counted(text, "Observation")?;
        let text = lines.filled("the level of difficulty")?.trim_ascii();
        let difficulty = match text {
            "Lower Level of Difficulty" => Difficulty::Lower,
            "Average Level of Difficulty" => Difficulty::Average,
            "Higher Level of Difficulty" => Difficulty::Higher,
            _ => return Err(lines.here().error("Lower, Average or Higher Level of Difficulty", quoted(text))),
        };
        Ok(Self { n_predictors, n_observations, difficulty })
    }
}

/// The number of parameters, the model's text, and whether its left side is `log[y]`.
fn read_model(lines: &mut Lines<'_>, n_observations: usize) -> Result<(usize, String, bool)> {
    lines.after("Model:")?;
    let text = lines.filled("the number of parameters")?;
    let n_parameters = lines.counted(text, "Parameter")?;
    if n_parameters > n_observations {
        return Err(lines.here().error(format!("at most {n_observations} parameters"), n_parameters.to_string()));
    }
    let (mut model, mut log_response) = (String::new(), None);
    loop {
        let line = lines.filled("the starting values")?.trim_ascii();
        if strip_label(line, "Starting values").is_some() {
            break;
        }
        match line.split_once('=').map(|(left, _)| left.trim_ascii()) {
            Some("y") => log_response = Some(false),
            Some("log[y]") => log_response = Some(true),
            _ => {}
        }
        if !model.is_empty() {
            model.push('\n');
        }
        model.push_str(line);
    }
    match log_response {
        Some(log_response) => Ok((n_parameters, model, log_response)),
        None => Err(lines.here().error("a model `y = …` or `log[y] = …` before the starting values", quoted(&model))),
    }
}

/// Starts and certified values.
struct Answer {
    starts: [Vec<f64>; 2],
    certified: Vec<f64>,
    standard_deviations: Vec<f64>,
    sum_of_squares: f64,
    deviation: f64,
    degrees_of_freedom: usize,
}

/// The columns of the table of parameters.
const COLUMNS: [&str; 4] = ["Start 1", "Start 2", "Parameter", "Standard Deviation"];

impl Answer {
    fn read(lines: &mut Lines<'_>, n_parameters: usize, n_observations: usize) -> Result<Self> {
        let title = lines.filled("the titles of the table of parameters")?;
        if !title.split_ascii_whitespace().eq(COLUMNS.iter().flat_map(|c| c.split_ascii_whitespace())) {
            return Err(lines.here().error(format!("the titles `{}`", COLUMNS.join(" ")), quoted(title.trim_ascii())));
        }
        let mut columns: [Vec<f64>; 4] = Default::default();
        for j in 1..=n_parameters {
            let row = lines.filled("a parameter")?.trim_ascii();
            let (here, mut fields) = (lines.here(), row.split_ascii_whitespace());
            let is_named = fields.next().and_then(|t| t.strip_prefix('b')).and_then(|t| t.parse().ok()) == Some(j);
            if !is_named || fields.next() != Some("=") {
                return Err(here.error(format!("`b{j} =`"), quoted(row)));
            }
            for (values, column) in columns.iter_mut().zip(COLUMNS) {
                let field = fields.next().ok_or_else(|| here.at(column).error("a number", "end of line"))?;
                values.push(here.at(column).number(field)?);
            }
            if let Some(field) = fields.next() {
                return Err(here.error("end of line", quoted(field)));
            }
        }
        let sum_of_squares = lines.value("Residual Sum of Squares:")?;
        let deviation = lines.value("Residual Standard Deviation:")?;
        let here = lines.here();
        // Not compared: one of NIST's own files is wrong here, and the deviation tells.
        lines.count("Degrees of Freedom:")?;
        let degrees_of_freedom = n_observations.saturating_sub(n_parameters);
        let square = deviation * deviation * degrees_of_freedom as f64;
        // Both are printed with 11 digits.
        if !((square - sum_of_squares).abs() <= 1e-9 * sum_of_squares) {
            let expected = format!("the root of {sum_of_squares:e} over {degrees_of_freedom}");
            return Err(here.error(expected, format!("{deviation:e}")));
        }
        let stated = lines.count("Number of Observations:")?;
        if stated != n_observations {
            return Err(lines.here().error(format!("{n_observations}, as above"), stated.to_string()));
        }
        let [first, second, certified, standard_deviations] = columns;
        Ok(Self { starts: [first, second], certified, standard_deviations, sum_of_squares, deviation, degrees_of_freedom })
    }
}

/// The observations.
struct Data {
    response_name: String,
    predictor_names: Vec<String>,
    response: Vec<f64>,
    predictors: Vec<f64>,
}

impl Data {
    fn read(lines: &mut Lines<'_>, shape: &Shape, log_response: bool) -> Result<Self> {
        let names: Vec<&str> = lines.labelled("Data:")?.split_ascii_whitespace().collect();
        let Some((response_name, predictor_names)) = names.split_first().filter(|(_, rest)| rest.len() == shape.n_predictors)
        else {
            let expected = format!("the names of a response and {} predictors", shape.n_predictors);
            return Err(lines.here().error(expected, format!("{} names", names.len())));
        };
        if let Some((_, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(lines.here().at(name).error("names that differ", format!("{} twice", quoted(name))));
        }
        let (mut response, mut predictors) = (Vec::new(), Vec::new());
        while let Some(row) = lines.next() {
            let (here, mut fields) = (lines.here(), row.split_ascii_whitespace().peekable());
            if fields.peek().is_none() {
                continue;
            }
            for (j, name) in names.iter().enumerate() {
                let field = fields.next().ok_or_else(|| here.at(name).error("a number", "end of line"))?;
                let value = here.at(name).number(field)?;
                if j == 0 && log_response && value <= 0.0 {
                    return Err(here.at(name).error("a positive number, whose logarithm is modelled", quoted(field)));
                }
                if j == 0 { response.push(value) } else { predictors.push(value) }
            }
            if let Some(field) = fields.next() {
                return Err(here.error("end of line", quoted(field)));
            }
            if response.len() > shape.n_observations {
                return Err(
                    here.error(format!("end of file after {} observations", shape.n_observations), quoted(row.trim_ascii()))
                );
            }
        }
        if response.len() < shape.n_observations {
            return Err(lines.end(&format!("{} observations", shape.n_observations), &format!("{}", response.len())));
        }
        let predictor_names = predictor_names.iter().map(|name| name.to_string()).collect();
        Ok(Self { response_name: response_name.to_string(), predictor_names, response, predictors })
    }
}
