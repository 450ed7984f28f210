//! What the comparison of derivatives found, and its table.

use std::fmt;

/// A derivative is off if it differs from the finite difference by more than this, relative to the larger of the two
/// (beside the error of the difference itself).
const TOLERANCE: f64 = 1e-6;
/// Offenders kept by a report, the worst first.
const KEPT: usize = 10;
/// One entry that is off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Index of the gradient entry, or the row of the Hessian.
    pub row: usize,
    /// Column of the Hessian, or the number of the direction of a product; `None` for a gradient.
    pub column: Option<usize>,
    /// What the user's function gave.
    pub given: f64,
    /// What finite differences give (for symmetry: the mirrored entry).
    pub expected: f64,
    /// `|given − expected| / max(|given|, |expected|)`; infinite if one of them is not finite.
    pub relative_error: f64,
}

/// The comparison of one derivative.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// `gradient`, `Hessian`, `Hessian symmetry` or `Hessian product`.
    pub what: &'static str,
    /// Number of entries compared.
    pub compared: usize,
    /// Entries that could not be judged because the function is not finite around the point.
    pub undetermined: usize,
    /// Number of entries that are off.
    pub wrong: usize,
    /// The worst of them (at most ten), largest relative error first.
    pub offenders: Vec<Entry>,
    /// Largest relative error of any entry compared, right or wrong, of those that exceed rounding.
    pub worst: f64,
    /// Expected and found length, if the derivative has the wrong one; nothing else is compared then.
    pub wrong_length: Option<(usize, usize)>,
}

/// What was compared and what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One entry for each derivative.
    pub checks: Vec<Check>,
}

impl Report {
    /// True if nothing is off. (Entries that could not be judged do not count against it.)
    pub fn passed(&self) -> bool {
        self.checks.iter().all(Check::passed)
    }
}

impl Check {
    pub(super) fn new(what: &'static str) -> Self {
        Check { what, compared: 0, undetermined: 0, wrong: 0, offenders: Vec::new(), worst: 0.0, wrong_length: None }
    }

    pub(super) fn of_wrong_length(what: &'static str, expected: usize, found: usize) -> Self {
        Check { wrong_length: Some((expected, found)), ..Check::new(what) }
    }

    /// True if no entry is off and the length is right.
    pub fn passed(&self) -> bool {
        self.wrong == 0 && self.wrong_length.is_none()
    }

    /// Compares one entry; `slack` is the error of `expected` itself.
    pub(super) fn compare(&mut self, row: usize, column: Option<usize>, given: f64, estimate: Option<Estimate>) {
        let Some(Estimate { value: expected, slack, .. }) = estimate else {
            self.undetermined += 1;
            return;
        };
        self.compared += 1;
        let difference = (given - expected).abs();
        let size = given.abs().max(expected.abs());
        if difference <= slack {
            return;
        }
        let relative_error = if difference.is_finite() { difference / size } else { f64::INFINITY };
        self.worst = self.worst.max(relative_error);
        // Written so that NaN is off.
        if !(difference <= slack + TOLERANCE * size && given.is_finite()) {
            self.wrong += 1;
            self.offenders.push(Entry { row, column, given, expected, relative_error });
            if self.offenders.len() >= 4 * KEPT {
                self.keep_worst();
            }
        }
    }

    fn keep_worst(&mut self) {
        self.offenders.sort_by(|a, b| b.relative_error.total_cmp(&a.relative_error));
        self.offenders.truncate(KEPT);
    }

    pub(super) fn finish(mut self) -> Self {
        self.keep_worst();
        self
    }
}

/// A finite difference and how far it may be off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    pub value: f64,
    pub slack: f64,
    /// False if a smaller step may do better.
    pub settled: bool,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "right" } else { "WRONG" };
        write!(f, "{}: {verdict}", self.what)?;
        if let Some((expected, found)) = self.wrong_length {
            return write!(f, ", length {found} instead of {expected}");
        }
        write!(f, ", {} of {} entries off", self.wrong, self.compared)?;
        if self.undetermined > 0 {
            write!(f, ", {} not determined", self.undetermined)?;
        }
        if !self.offenders.is_empty() {
            write!(f, "\n  {:>12} {:>24} {:>24} {:>10}", "entry", "given", "expected", "error")?;
        }
        for e in &self.offenders {
            let place = e.column.map_or_else(|| format!("[{}]", e.row), |c| format!("[{}, {c}]", e.row));
            write!(f, "\n  {place:>12} {:>24.15e} {:>24.15e} {:>10.1e}", e.given, e.expected, e.relative_error)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, check) in self.checks.iter().enumerate() {
            if k > 0 {
                writeln!(f)?;
            }
            write!(f, "{check}")?;
        }
        Ok(())
    }
}
