//! Text to tokens, each with its character position.

use crate::error::{Error, Result};

/// Characters read at most.
const MAX_CHARACTERS: usize = 1_000_000;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Name(String),
    /// One of `+ - * / ^ ( ) ,`.
    Symbol(char),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Number(value) => write!(f, "the number {value}"),
            Token::Name(name) => write!(f, "`{}`", shortened(name)),
            Token::Symbol(symbol) => write!(f, "`{symbol}`"),
            Token::End => write!(f, "the end of the text"),
        }
    }
}

/// A name as it is quoted in a message.
pub(super) fn shortened(name: &str) -> String {
    if name.chars().count() <= 40 { name.into() } else { name.chars().take(40).chain("…".chars()).collect() }
}

pub(super) fn error(position: usize, reason: impl Into<String>) -> Error {
    Error::Parse { what: "expression", position, reason: reason.into() }
}

/// The tokens and their positions; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, usize)>> {
    // Bytes bound characters from above, so the count is only taken when it can matter.
    if text.len() > MAX_CHARACTERS && text.chars().nth(MAX_CHARACTERS).is_some() {
        return Err(error(MAX_CHARACTERS, format!("the text is longer than {MAX_CHARACTERS} characters")));
    }
    let characters: Vec<char> = text.chars().collect();
    let at = |i: usize| characters.get(i).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(&c) = characters.get(i) {
        let start = i;
        let token = if c.is_whitespace() {
            i += 1;
            continue;
        } else if c.is_ascii_digit() || (c == '.' && at(i + 1).is_ascii_digit()) {
            i = end_of_number(&at, i);
            let digits: String = characters[start..i].iter().collect();
            match digits.parse::<f64>() {
                Ok(value) if value.is_finite() => Token::Number(value),
                _ => return Err(error(start, format!("the number {} is out of range", shortened(&digits)))),
            }
        } else if c.is_alphabetic() || c == '_' {
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            Token::Name(characters[start..i].iter().collect())
        } else if c == '*' && at(i + 1) == '*' {
            i += 2;
            Token::Symbol('^')
        } else if "+-*/^(),".contains(c) {
            i += 1;
            Token::Symbol(c)
        } else {
            return Err(error(i, format!("unexpected character {c:?}")));
        };
        found.push((token, start));
    }
    found.push((Token::End, characters.len()));
    Ok(found)
}

/// One past the last character of the number that begins at `i`; an exponent counts only if digits follow.
fn end_of_number(at: &impl Fn(usize) -> char, mut i: usize) -> usize {
    let digits = |mut i: usize| {
        while at(i).is_ascii_digit() {
            i += 1;
        }
        i
    };
    i = digits(i);
    if at(i) == '.' {
        i = digits(i + 1);
    }
    if matches!(at(i), 'e' | 'E') {
        let exponent = if matches!(at(i + 1), '+' | '-') { i + 2 } else { i + 1 };
        if at(exponent).is_ascii_digit() {
            i = digits(exponent);
        }
    }
    i
}
