//! Bounds, fixed and tied parameters as the command line writes them.

use crate::failure::Failure;
use curvkit::Error;
use curvkit::fit::Constraints;
use curvkit::problem::{Bounds, Expression, Function, Tie, Ties};

/// The texts of `--bounds`, `--fix` and `--tie`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// `b1=0:10,b2=:5`: lower and upper ends, either of which may be left out.
    pub bounds: Option<&'a str>,
    /// `b3=1.5`.
    pub fix: Option<&'a str>,
    /// `b4=2*b1+1`: a formula of other parameters.
    pub tie: Option<&'a str>,
}

/// Points at which a formula must have the same slopes to count as affine.
const PROBES: [f64; 3] = [0.0, 1.37, -2.81];

/// Reads all three for the parameters `names`.
///
/// # Errors
/// With the place in the text: an entry without `=`, a name that is no parameter or given twice, a number or formula that
/// cannot be read, bounds out of order, ties in a circle.
pub fn constraints(names: &[String], texts: Texts<'_>) -> Result<Constraints, Failure> {
    let mut rules = vec![Tie::Free; names.len()];
    for entry in entries("--fix", texts.fix, names)? {
        let value = entry.number(entry.value, 0)?;
        rules[entry.index] = Tie::Fixed(value);
    }
    for entry in entries("--tie", texts.tie, names)? {
        if rules[entry.index] != Tie::Free {
            return Err(entry.wrong(0, format!("`{}` is already fixed", names[entry.index])));
        }
        rules[entry.index] = entry.formula(names)?;
    }
    let ties = if rules.iter().all(|rule| *rule == Tie::Free) { None } else { Some(Ties::new(rules).map_err(named(names))?) };
    let (mut lower, mut upper) = (vec![f64::NEG_INFINITY; names.len()], vec![f64::INFINITY; names.len()]);
    for entry in entries("--bounds", texts.bounds, names)? {
        (lower[entry.index], upper[entry.index]) = entry.ends()?;
    }
    let bounds = texts.bounds.map(|_| Bounds::new(lower, upper)).transpose()?;
    Ok(Constraints { bounds, ties })
}

/// The library counts parameters; its errors are shown with their names.
fn named(names: &[String]) -> impl FnOnce(Error) -> Failure + '_ {
    move |error| match error {
        Error::Config { name, requirement, value } => {
            let index = name.rsplit(' ').next().and_then(|last| last.parse::<usize>().ok());
            let name = index.and_then(|i| names.get(i)).map_or(name, |parameter| format!("--tie {parameter}"));
            Error::Config { name, requirement, value }.into()
        }
        other => other.into(),
    }
}

/// `NAME=VALUE` with its place in the whole text.
struct Entry<'a> {
    what: &'static str,
    text: &'a str,
    index: usize,
    value: &'a str,
    /// Characters before the value.
    offset: usize,
}

/// Splits at the commas outside parentheses.
fn entries<'a>(what: &'static str, text: Option<&'a str>, names: &[String]) -> Result<Vec<Entry<'a>>, Failure> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let mut found: Vec<Entry<'a>> = Vec::new();
    let (mut from, mut depth) = (0, 0i32);
    let ends = text.char_indices().chain([(text.len(), ',')]);
    for (at, c) in ends {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c != ',' || (depth > 0 && at < text.len()) {
            continue;
        }
        let part = &text[from..at];
        let position = text[..from].chars().count();
        let wrong = |reason: String| Failure::in_text(text)(Error::Parse { what, position, reason });
        let Some((name, value)) = part.split_once('=') else {
            return Err(wrong(format!("expected NAME=VALUE, found `{}`", part.trim())));
        };
        let Some(index) = names.iter().position(|known| known == name.trim()) else {
            return Err(wrong(format!("`{}` is not a parameter ({})", name.trim(), names.join(", "))));
        };
        if found.iter().any(|entry| entry.index == index) {
            return Err(wrong(format!("`{}` is given twice", name.trim())));
        }
        found.push(Entry { what, text, index, value, offset: position + name.chars().count() + 1 });
        from = at + 1;
    }
    Ok(found)
}

impl Entry<'_> {
    /// An error at a character of the value.
    fn wrong(&self, within: usize, reason: String) -> Failure {
        Failure::in_text(self.text)(Error::Parse { what: self.what, position: self.offset + within, reason })
    }

    fn number(&self, text: &str, within: usize) -> Result<f64, Failure> {
        let number = text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
        number.ok_or_else(|| self.wrong(within, format!("expected a number, found `{}`", text.trim())))
    }

    /// `LO:HI`, `LO:`, `:HI`.
    fn ends(&self) -> Result<(f64, f64), Failure> {
        let Some((low, high)) = self.value.split_once(':') else {
            return Err(self.wrong(0, format!("expected LOWER:UPPER, found `{}`", self.value.trim())));
        };
        let lower = if low.trim().is_empty() { f64::NEG_INFINITY } else { self.number(low, 0)? };
        let upper = if high.trim().is_empty() { f64::INFINITY } else { self.number(high, low.chars().count() + 1)? };
        if lower > upper {
            return Err(self.wrong(0, format!("the lower bound {lower} is above the upper bound {upper}")));
        }
        Ok((lower, upper))
    }

    /// A formula of the parameters; as numbers where it is affine, so that bounds and intervals pass through it.
    fn formula(&self, names: &[String]) -> Result<Tie, Failure> {
        let formula = Expression::parse_over(self.value, names).map_err(|error| match error {
            Error::Parse { position, reason, .. } => self.wrong(position, reason),
            other => other.into(),
        })?;
        if formula.used().contains(&self.index) {
            return Err(self.wrong(0, format!("`{}` cannot be tied to itself", names[self.index])));
        }
        Ok(affine(&formula)?.unwrap_or(Tie::Expression(formula)))
    }
}

/// The same tie by its coefficients, if it is one of sums and multiples.
fn affine(formula: &Expression) -> Result<Option<Tie>, Failure> {
    let calls = formula.text().as_bytes().windows(2).any(|pair| pair[0].is_ascii_alphanumeric() && pair[1] == b'(');
    let n = formula.dim();
    let slopes = |probe: f64| {
        let mut slopes = vec![0.0; n];
        let point: Vec<f64> = (0..n).map(|j| probe * (1.0 + 0.31 * j as f64)).collect();
        formula.gradient(&point, &mut slopes).map(|()| slopes)
    };
    let [a, b, c] = PROBES.map(slopes);
    let (a, offset) = (a?, formula.cost(&vec![0.0; n])?);
    let finite = a.iter().chain([&offset]).all(|v| v.is_finite());
    if calls || !finite || a != b? || a != c? {
        return Ok(None);
    }
    let terms = formula.used().into_iter().map(|j| (j, a[j])).collect();
    Ok(Some(Tie::Affine { offset, terms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["b1", "b2", "b3", "b4"].map(String::from).to_vec()
    }

    fn read(bounds: &str, fix: &str, tie: &str) -> Result<Constraints, String> {
        fn given(text: &str) -> Option<&str> {
            (!text.is_empty()).then_some(text)
        }
        let texts = Texts { bounds: given(bounds), fix: given(fix), tie: given(tie) };
        constraints(&names(), texts).map_err(|failure| failure.to_string())
    }

    #[test]
    fn texts_become_bounds_and_ties() {
        let inf = f64::INFINITY;
        let found = read("b1=0:10, b2=:5,b3=-1e2:", "", "").unwrap();
        let expected = Bounds::new(vec![0.0, -inf, -100.0, -inf], vec![10.0, 5.0, inf, inf]).unwrap();
        assert_eq!(found, Constraints { bounds: Some(expected), ties: None });
        let found = read("", "b3=1.5", "b4=2*b1+1,b2=pow(b1,2)").unwrap().ties.unwrap();
        assert_eq!(found.rules()[2], Tie::Fixed(1.5));
        assert_eq!(found.rules()[3], Tie::Affine { offset: 1.0, terms: vec![(0, 2.0)] });
        assert!(matches!(&found.rules()[1], Tie::Expression(formula) if formula.used() == [0]));
        assert_eq!(found.free(), [0]);
        assert!(read("", "", "").unwrap().is_none());
    }

    #[test]
    fn offences_are_shown_with_their_place() {
        for (bounds, fix, tie, place, part) in [
            ("b1", "", "", 0, "expected NAME=VALUE"),
            ("b1=0:1,bx=0:1", "", "", 7, "not a parameter"),
            ("b1=0:1,b1=0:2", "", "", 7, "twice"),
            ("b1=0", "", "", 3, "LOWER:UPPER"),
            ("b1=0:x", "", "", 5, "expected a number"),
            ("b2=0:1,b1=2:1", "", "", 10, "above the upper"),
            ("b1=nan:1", "", "", 3, "expected a number"),
            ("", "b1=inf", "", 3, "expected a number"),
            ("", "", "b1=2*bz", 5, ""),
            ("", "", "b1=b1+1", 3, "itself"),
            ("", "b1=2", "b1=b2", 3, "already fixed"),
            ("", "", "b1=2*", 5, ""),
        ] {
            let message = read(bounds, fix, tie).unwrap_err();
            assert!(message.contains(&format!("character {place}:")) && message.contains(part), "{message}");
        }
        assert!(read("", "", "b1=b2,b2=b1").unwrap_err().contains("--tie b"));
    }
}
