//! Terms of a linear predictor over the columns of a table ([`Terms`]).
//!
//! ```text
//! x1 + log(x2) + factor(group) + x1:factor(group) - 1
//! ```
//!
//! Terms are joined by `+`. A term is a column, an expression of columns (`I(…)` or plain parentheses keep a `+` together),
//! `factor(name)`: one column for each level but the first (treatment coding; levels in numerical order if all are numbers,
//! else in that of their letters), or parts joined by `:`, whose columns are multiplied. A constant comes first unless `- 1`,
//! `+ 0` or `0 +` takes it away; then the first factor that stands alone has all its levels. `*` multiplies: `a*b` is one
//! column.
//!
//! # Reference
//! Wilkinson & Rogers (1973), *Symbolic description of factorial models*, Appl. Statist. 22.

use crate::dataset::Records;
use crate::error::{Error, Result};
use crate::fit::Design;
use crate::problem::{Expression, Function};

/// Name of the constant.
const CONSTANT: &str = "(Intercept)";

/// Terms that were read, with the levels of their factors: they make the same columns of other data.
#[derive(Debug, Clone)]
pub struct Terms {
    constant: bool,
    terms: Vec<Vec<Part>>,
}

/// A part of a term.
#[derive(Debug, Clone)]
enum Part {
    Value(Value),
    /// The column, its levels that have a column, and all its levels.
    Factor {
        name: String,
        coded: Vec<String>,
        levels: Vec<String>,
    },
}

/// An expression of columns.
#[derive(Debug, Clone)]
pub struct Value {
    text: String,
    expression: Expression,
    columns: Vec<String>,
}

impl Terms {
    /// Reads terms over the columns of `records`.
    ///
    /// # Errors
    /// [`Error::Parse`] with the character where the text cannot be read or names what is not there; [`Error::Data`] for a
    /// factor of a single level.
    pub fn parse(text: &str, records: &Records) -> Result<Self> {
        let mut found = Self { constant: true, terms: Vec::new() };
        for piece in split(text, &['+', '-'])? {
            let body = piece.text.trim();
            let (minus, number) = (piece.mark == Some('-'), body);
            match (minus, number) {
                (true, "1") | (false, "0") => found.constant = false,
                (false, "1") => found.constant = true,
                (true, _) => return Err(piece.wrong("only `- 1` takes a term away; write `I(a - b)` for a difference")),
                (false, "") if piece.mark.is_none() && !text.trim().is_empty() => {}
                (false, "") => return Err(piece.wrong("expected a term")),
                _ => found.terms.push(term(&piece, records)?),
            }
        }
        if !found.constant {
            found.code_first_factor_in_full();
        }
        Ok(found)
    }

    /// Whether there is a constant.
    pub fn has_constant(&self) -> bool {
        self.constant
    }

    fn code_first_factor_in_full(&mut self) {
        let alone = |term: &&mut Vec<Part>| matches!(term[..], [Part::Factor { .. }]);
        if let Some([Part::Factor { coded, levels, .. }]) = self.terms.iter_mut().find(alone).map(Vec::as_mut_slice) {
            coded.clone_from(levels);
        }
    }

    /// The columns of the terms.
    ///
    /// # Errors
    /// [`Error::Data`] with line and column: a field that is no number, an expression that is not finite there, a level of a
    /// factor that was not there when the terms were read.
    pub fn design(&self, records: &Records) -> Result<Design> {
        let n = records.n_rows();
        let (mut names, mut entries) = (Vec::new(), Vec::new());
        if self.constant {
            names.push(CONSTANT.to_string());
            entries.resize(n, 1.0);
        }
        for term in &self.terms {
            let mut columns = vec![(String::new(), vec![1.0; n])];
            for part in term {
                let made = part.columns(records)?;
                let pairs = columns.iter().flat_map(|before| made.iter().map(move |next| (before, next)));
                columns = pairs.map(|(a, b)| (joined(&a.0, &b.0), a.1.iter().zip(&b.1).map(|(a, b)| a * b).collect())).collect();
            }
            for (name, values) in columns {
                names.push(name);
                entries.extend(values);
            }
        }
        Ok(Design { names, entries })
    }
}

fn joined(a: &str, b: &str) -> String {
    if a.is_empty() { b.to_string() } else { format!("{a}:{b}") }
}

impl Part {
    fn columns(&self, records: &Records) -> Result<Vec<(String, Vec<f64>)>> {
        match self {
            Part::Value(value) => Ok(vec![(value.text.clone(), value.values(records)?)]),
            Part::Factor { name, coded, levels } => {
                let texts = records.texts(name)?;
                if let Some(row) = texts.iter().position(|t| !levels.iter().any(|level| level == t)) {
                    return Err(records.error(row, name, "a level of the fitted data", &format!("`{}`", texts[row])));
                }
                let indicator = |level: &String| texts.iter().map(|t| f64::from(t == level)).collect();
                Ok(coded.iter().map(|level| (format!("{name}={level}"), indicator(level))).collect())
            }
        }
    }
}

impl Value {
    /// Reads an expression of columns: a name, or a formula in the grammar of [`Expression`].
    ///
    /// # Errors
    /// [`Error::Parse`] with the character where it cannot be read or names what is not there.
    pub fn parse(text: &str, records: &Records) -> Result<Self> {
        let text = text.trim();
        if records.names().iter().any(|name| name == text) {
            let columns = vec![text.to_string()];
            // Any name serves for a lone variable, also one that is no identifier.
            return Ok(Self { text: text.into(), expression: Expression::parse_over("v", &["v"])?, columns });
        }
        Expression::parse_over(text, records.names())?;
        let used = Expression::parse(text)?;
        let columns: Vec<String> = records.names().iter().filter(|n| used.variables().contains(n)).cloned().collect();
        // A column hides a constant of the same name, such as `e`.
        let hidden = records.names().iter().filter(|n| ["pi", "e", "tau", "π"].contains(&n.as_str()) && !columns.contains(n));
        let columns: Vec<String> = columns.iter().chain(hidden).cloned().collect();
        Ok(Self { text: text.into(), expression: Expression::parse_over(text, &columns)?, columns })
    }

    /// The text as given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The column that it is, or the first one that it uses: where an offence is shown.
    pub fn column(&self) -> &str {
        self.columns.first().map_or(&self.text, String::as_str)
    }

    /// Its values in every row.
    ///
    /// # Errors
    /// [`Error::Data`] with line and column: a field that is no number, a value that is not finite.
    pub fn values(&self, records: &Records) -> Result<Vec<f64>> {
        let columns = self.columns.iter().map(|name| records.numbers(name)).collect::<Result<Vec<_>>>()?;
        let mut point = vec![0.0; columns.len()];
        let value = |row: usize| {
            point.iter_mut().zip(&columns).for_each(|(p, column)| *p = column[row]);
            let value = self.expression.cost(&point)?;
            let wrong = || records.error(row, self.column(), &format!("a finite `{}`", self.text), &value.to_string());
            if value.is_finite() { Ok(value) } else { Err(wrong()) }
        };
        (0..records.n_rows()).map(value).collect()
    }
}

/// A piece of the text, the mark before it, and where it begins.
struct Piece<'a> {
    text: &'a str,
    mark: Option<char>,
    position: usize,
}

impl Piece<'_> {
    /// Position of its first letter.
    fn begin(&self) -> usize {
        self.position + self.text.chars().take_while(|c| c.is_whitespace()).count()
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Parse { what: "terms", position: self.begin(), reason: reason.into() }
    }

    /// Moves the position of an error within to where the piece stands.
    fn moved(&self, error: Error) -> Error {
        match error {
            Error::Parse { reason, position, .. } => Error::Parse { what: "terms", position: self.begin() + position, reason },
            other => other,
        }
    }
}

/// Cuts at marks outside of parentheses. A sign within a number (`1e-3`) is none.
fn split<'a>(text: &'a str, marks: &[char]) -> Result<Vec<Piece<'a>>> {
    let (mut pieces, mut depth, mut from, mut mark, mut position) = (Vec::new(), 0i32, 0, None, 0);
    let mut before = [' '; 2];
    for (at, (byte, c)) in text.char_indices().enumerate() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth < 0 {
            return Err(Error::Parse { what: "terms", position: at, reason: "`)` without `(`".into() });
        }
        let exponent = matches!(before[1], 'e' | 'E') && (before[0].is_ascii_digit() || before[0] == '.');
        if depth == 0 && marks.contains(&c) && !exponent {
            pieces.push(Piece { text: &text[from..byte], mark, position });
            (from, mark, position) = (byte + c.len_utf8(), Some(c), at + 1);
        }
        before = [before[1], c];
    }
    if depth > 0 {
        return Err(Error::Parse { what: "terms", position: text.chars().count(), reason: "expected `)`".into() });
    }
    pieces.push(Piece { text: &text[from..], mark, position });
    Ok(pieces)
}

fn term(piece: &Piece<'_>, records: &Records) -> Result<Vec<Part>> {
    let parts = split(piece.text, &[':']).map_err(|e| piece.moved(e))?;
    let part = |p: &Piece<'_>| {
        let here = Piece { text: p.text, mark: None, position: piece.position + p.position };
        if p.text.trim().is_empty() {
            return Err(here.wrong("expected a term"));
        }
        read_part(&here, records).map_err(|e| here.moved(e))
    };
    parts.iter().map(part).collect()
}

fn read_part(piece: &Piece<'_>, records: &Records) -> Result<Part> {
    let text = piece.text.trim();
    let inside = |name: &str| text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')').map(str::trim);
    let Some(name) = inside("factor") else {
        return Ok(Part::Value(Value::parse(inside("I").unwrap_or(text), records)?));
    };
    if !records.names().iter().any(|known| known == name) {
        let reason = format!("unknown column `{name}`");
        return Err(Error::Parse { what: "terms", position: text.find(name).map_or(0, |b| text[..b].chars().count()), reason });
    }
    let mut levels: Vec<String> = records.texts(name)?.iter().map(|t| t.to_string()).collect();
    let number = |t: &String| t.parse::<f64>().ok();
    if levels.iter().all(|t| number(t).is_some()) {
        levels.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    } else {
        levels.sort();
    }
    levels.dedup();
    if levels.len() < 2 {
        return Err(records.error(0, name, "at least two levels of a factor", &format!("`{}` in every row", levels[0])));
    }
    Ok(Part::Factor { name: name.into(), coded: levels[1..].to_vec(), levels })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Records {
        Records::parse("t.csv", "x,z,group,n,e\n1,2,b,10,1\n2,4,a,2,1\n3,8,c,10,5\n").unwrap()
    }

    fn design(text: &str) -> Design {
        let records = records();
        Terms::parse(text, &records).unwrap().design(&records).unwrap()
    }

    #[test]
    fn terms_make_their_columns() {
        let d = design("x + log2(z) + I(x - z) + factor(group)");
        assert_eq!(d.names, ["(Intercept)", "x", "log2(z)", "x - z", "group=b", "group=c"]);
        assert_eq!(&d.entries[3..], [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, -1.0, -2.0, -5.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        // Levels that are numbers are in the order of numbers.
        assert_eq!(design("factor(n)").names, ["(Intercept)", "n=10"]);
        let d = design("x:factor(group) - 1");
        assert_eq!((d.names, d.entries), (vec!["x:group=b".into(), "x:group=c".into()], vec![1.0, 0.0, 0.0, 0.0, 0.0, 3.0]));
        assert_eq!(design("0 + factor(group)").names, ["group=a", "group=b", "group=c"]);
        assert_eq!(design("1").names, ["(Intercept)"]);
        assert_eq!(design("x*e*1e-1").entries[3..], [0.1, 0.2, 1.5]);
    }

    #[test]
    fn offences_are_shown_where_they_stand() {
        let records = records();
        for (text, position) in [
            ("x + y", 4),
            ("x + log(q)", 8),
            ("x - z", 4),
            ("x + ", 4),
            ("x + (z", 6),
            ("x) + z", 1),
            ("x + factor(h)", 11),
            ("x:", 2),
            ("", 0),
        ] {
            match Terms::parse(text, &records) {
                Err(Error::Parse { position: found, .. }) => assert_eq!(found, position, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let shown = |text: &str| Terms::parse(text, &records).and_then(|t| t.design(&records)).unwrap_err().to_string();
        assert_eq!(shown("group"), "t.csv:2: column `group`: expected a number, found `b`");
        assert_eq!(shown("log(x - 1)"), "t.csv:2: column `x`: expected a finite `log(x - 1)`, found -inf");
        let other = Records::parse("u.csv", "group\na\nd\n").unwrap();
        let terms = Terms::parse("factor(group)", &records).unwrap();
        let error = terms.design(&other).unwrap_err().to_string();
        assert_eq!(error, "u.csv:3: column `group`: expected a level of the fitted data, found `d`");
        assert!(Terms::parse("factor(g)", &Records::parse("v", "g\n1\n1\n").unwrap()).is_err());
    }
}
