//! Bad input, as it is shown: one line, and for texts a second and third with the place under a caret.

use curvkit::Error;
use std::fmt;

/// Characters shown before and after the place.
const AROUND: usize = 30;

/// An error, with the text it is about and a hint.
pub struct Failure {
    error: Error,
    text: Option<String>,
    hint: Option<&'static str>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let hint = match &error {
            Error::Unknown { kind: "problem", nearest: None, .. } => Some("`curvkit list problems` shows all"),
            Error::Unknown { kind: "solver", nearest: None, .. } => Some("`curvkit list solvers` shows all"),
            Error::Unknown { kind: "option", nearest: None, .. } => {
                Some("`curvkit list solvers` and `curvkit list optimizers` show the options of each")
            }
            Error::Unknown { kind: "optimizer", nearest: None, .. } => Some("`curvkit list optimizers` shows all"),
            Error::Unknown { kind: "data set or file", nearest: None, .. } => {
                Some("`curvkit list datasets` shows the embedded ones")
            }
            Error::Unknown { kind: "model" | "activation", nearest: None, .. } => Some("`--help` shows all"),
            _ => None,
        };
        Self { error, text: None, hint }
    }
}

impl Failure {
    /// The error of reading `text`.
    pub fn in_text(text: &str) -> impl FnOnce(Error) -> Self + '_ {
        move |error| Self { text: Some(text.to_string()), ..Self::from(error) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name may contain anything; the message stays one line.
        write!(f, "error: {}", one_line(&self.error.to_string()))?;
        if let Some(hint) = self.hint {
            write!(f, "; {hint}")?;
        }
        if let (Error::Parse { position, .. }, Some(text)) = (&self.error, &self.text) {
            let (shown, column) = excerpt(text, *position);
            write!(f, "\n  {shown}\n  {}^", " ".repeat(column))?;
        }
        Ok(())
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The part of `text` around the place, and the column of the place in it.
fn excerpt(text: &str, position: usize) -> (String, usize) {
    let length = text.chars().count();
    let position = position.min(length);
    let from = position.saturating_sub(AROUND);
    let middle: String = text.chars().skip(from).take(2 * AROUND).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if from + 2 * AROUND < length { "…" } else { "" };
    (one_line(&format!("{before}{middle}{after}")), position - from + before.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caret_stands_under_the_place() {
        let error = Error::Parse { what: "expression", position: 4, reason: "no operand".into() };
        let shown = Failure::in_text("x + * y")(error).to_string();
        assert_eq!(shown, "error: cannot read expression at character 4: no operand\n  x + * y\n      ^");
    }

    #[test]
    fn long_texts_are_cut_around_the_place() {
        let text = format!("{}!{}", "a".repeat(100), "b".repeat(100));
        let (shown, column) = excerpt(&text, 100);
        assert_eq!(shown.chars().nth(column), Some('!'));
        assert!(shown.chars().count() < 70);
        assert_eq!(excerpt("ab\ncd", 900), ("ab\u{fffd}cd".to_string(), 5));
    }
}
