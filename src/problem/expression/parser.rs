//! Tokens to a [`Tape`], by recursive descent with bounded depth.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = signed { ("*" | "/") signed }
//! signed  = { "+" | "-" } power
//! power   = primary [ "^" signed ]
//! primary = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
//! ```

use super::lexer::{Token, error, shortened, tokens};
use super::tape::{Binary, Tape, Unary};
use crate::error::Result;
use std::collections::HashMap;

/// Nesting at most: far beyond what people write, far below what the stack holds.
const MAX_DEPTH: usize = 200;
/// Variables at most, since the Hessian is dense.
const MAX_VARIABLES: usize = 2000;

/// The operations of a text and the names of its variables: those given, or those found in order of appearance.
pub(super) fn parse(text: &str, given: Option<&[String]>) -> Result<(Tape, Vec<String>)> {
    let names = given.unwrap_or(&[]).to_vec();
    if names.len() > MAX_VARIABLES {
        return Err(error(0, format!("more than {MAX_VARIABLES} variables")));
    }
    let index: HashMap<String, u32> = names.iter().cloned().zip(0..).collect();
    if index.len() < names.len() {
        return Err(error(0, "two of the given variables have the same name"));
    }
    let mut parser =
        Parser { tokens: tokens(text)?, next: 0, depth: 0, tape: Tape::new(), names, index, closed: given.is_some() };
    if parser.tokens.len() == 1 {
        return Err(error(0, "the text is empty"));
    }
    let root = parser.sum()?;
    if *parser.peek() != Token::End {
        let found = parser.peek();
        let reason = match found {
            Token::Symbol(')') => "`)` without `(`".into(),
            Token::Symbol(',') => "`,` outside the arguments of a function".into(),
            _ => format!("an operator is missing before {found}"),
        };
        return Err(error(parser.position(), reason));
    }
    parser.tape.finish(root);
    Ok((parser.tape, parser.names))
}

struct Parser {
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
    tape: Tape,
    names: Vec<String>,
    index: HashMap<String, u32>,
    /// No names beyond those given.
    closed: bool,
}

impl Parser {
    fn peek(&self) -> &Token {
        // The list ends with `End`, which is never taken.
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |(_, position)| *position)
    }

    /// Takes the next token if it is this symbol.
    fn take(&mut self, symbol: char) -> bool {
        let found = *self.peek() == Token::Symbol(symbol);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: char, why: impl Fn() -> String) -> Result<()> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(error(self.position(), format!("expected `{symbol}` {}, found {}", why(), self.peek())))
    }

    fn sum(&mut self) -> Result<u32> {
        let mut left = self.product()?;
        loop {
            let operation = match self.peek() {
                Token::Symbol('+') => Binary::Add,
                Token::Symbol('-') => Binary::Subtract,
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.product()?;
            left = self.tape.binary(operation, left, right);
        }
    }

    fn product(&mut self) -> Result<u32> {
        let mut left = self.signed()?;
        loop {
            let operation = match self.peek() {
                Token::Symbol('*') => Binary::Multiply,
                Token::Symbol('/') => Binary::Divide,
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.signed()?;
            left = self.tape.binary(operation, left, right);
        }
    }

    /// Every recursion passes here, so the depth is counted here.
    fn signed(&mut self) -> Result<u32> {
        let mut negative = false;
        loop {
            if self.take('-') {
                negative = !negative;
            } else if !self.take('+') {
                break;
            }
        }
        if self.depth == MAX_DEPTH {
            return Err(error(self.position(), format!("nested deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        let operand = self.power()?;
        self.depth -= 1;
        Ok(if negative { self.tape.unary(Unary::Negate, operand) } else { operand })
    }

    fn power(&mut self) -> Result<u32> {
        let base = self.primary()?;
        if !self.take('^') {
            return Ok(base);
        }
        let exponent = self.signed()?;
        Ok(self.tape.binary(Binary::Power, base, exponent))
    }

    fn primary(&mut self) -> Result<u32> {
        let position = self.position();
        if self.take('(') {
            let inner = self.sum()?;
            self.expect(')', || format!("to close the `(` at character {position}"))?;
            return Ok(inner);
        }
        match self.peek().clone() {
            Token::Number(value) => {
                self.next += 1;
                Ok(self.tape.constant(value))
            }
            Token::Name(name) => {
                self.next += 1;
                if *self.peek() == Token::Symbol('(') { self.call(&name, position) } else { self.name(name, position) }
            }
            found => Err(error(position, format!("expected a number, a name or `(`, found {found}"))),
        }
    }

    /// A function applied to its arguments; the next token is `(`.
    fn call(&mut self, name: &str, position: usize) -> Result<u32> {
        let (unary, binary) = (Unary::named(name), Binary::named(name));
        if unary.is_none() && binary.is_none() {
            let known = self.index.contains_key(name) || constant(name).is_some();
            let reason = if known {
                format!("an operator is missing between `{}` and `(`", shortened(name))
            } else {
                let list = [Unary::NAMES, Binary::NAMES].concat().join(" ");
                format!("unknown function `{}` (a product needs `*`); known are {list}", shortened(name))
            };
            return Err(error(position, reason));
        }
        self.next += 1;
        let first = self.sum()?;
        let result = match (unary, binary) {
            (Some(operation), _) => self.tape.unary(operation, first),
            (None, Some(operation)) => {
                self.expect(',', || format!("and the second argument of `{name}`"))?;
                let second = self.sum()?;
                self.tape.binary(operation, first, second)
            }
            (None, None) => first,
        };
        self.expect(')', || format!("after the arguments of `{name}`"))?;
        Ok(result)
    }

    fn name(&mut self, name: String, position: usize) -> Result<u32> {
        if let Some(&i) = self.index.get(&name) {
            return Ok(self.tape.variable(i));
        }
        if let Some(value) = constant(&name) {
            return Ok(self.tape.constant(value));
        }
        if Unary::named(&name).is_some() || Binary::named(&name).is_some() {
            return Err(error(position, format!("function `{name}` needs its argument in parentheses")));
        }
        if self.closed {
            let list = self.names.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(error(position, format!("unknown name `{}`; the variables are {list}", shortened(&name))));
        }
        if self.names.len() == MAX_VARIABLES {
            return Err(error(position, format!("more than {MAX_VARIABLES} variables")));
        }
        let i = self.names.len() as u32;
        self.names.push(name.clone());
        self.index.insert(name, i);
        Ok(self.tape.variable(i))
    }
}

fn constant(name: &str) -> Option<f64> {
    match name {
        "pi" | "π" => Some(std::f64::consts::PI),
        "e" => Some(std::f64::consts::E),
        "tau" => Some(std::f64::consts::TAU),
        _ => None,
    }
}
