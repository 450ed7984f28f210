//! Names with options: `NAME[:key=value,…]`, read without a panic whatever the text.

use crate::error::{Error, Result};

/// What values an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A finite number above zero.
    Positive,
    /// A finite number, zero allowed.
    NonNegative,
    /// A number strictly between zero and one.
    Fraction,
    /// A whole number in a range.
    Count {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// `true` or `false` (also `yes`, `no`, `on`, `off`, `1`, `0`).
    Flag,
    /// One of some names.
    Choice {
        /// The names.
        names: &'static [&'static str],
        /// The same in a sentence.
        requirement: &'static str,
    },
}

impl Kind {
    /// What a value has to be, in words.
    pub fn requirement(self) -> &'static str {
        match self {
            Kind::Positive => "a finite number above 0",
            Kind::NonNegative => "a finite number not below 0",
            Kind::Fraction => "a number between 0 and 1, both excluded",
            Kind::Count { min: 0, .. } => "a whole number not below 0",
            Kind::Count { max, .. } if max <= 1000 => "a whole number from 1 to 1000",
            Kind::Count { .. } => "a whole number above 0",
            Kind::Flag => "true or false",
            Kind::Choice { requirement, .. } => requirement,
        }
    }

    fn read(self, text: &str) -> Option<Value> {
        let number = || text.parse::<f64>().ok().filter(|v| v.is_finite());
        match self {
            Kind::Positive => number().filter(|v| *v > 0.0).map(Value::Number),
            Kind::NonNegative => number().filter(|v| *v >= 0.0).map(Value::Number),
            Kind::Fraction => number().filter(|v| *v > 0.0 && *v < 1.0).map(Value::Number),
            Kind::Count { min, max } => text.parse().ok().filter(|v| (min..=max).contains(v)).map(Value::Count),
            Kind::Flag => match text {
                "true" | "yes" | "on" | "1" => Some(Value::Flag(true)),
                "false" | "no" | "off" | "0" => Some(Value::Flag(false)),
                _ => None,
            },
            Kind::Choice { names, .. } => names.iter().find(|name| **name == text).map(|name| Value::Choice(name)),
        }
    }
}

/// One option that a solver understands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// What it does, and its default.
    pub about: &'static str,
}

/// A value that was read and lies in its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A whole number.
    Count(u64),
    /// A switch.
    Flag(bool),
    /// A name.
    Choice(&'static str),
}

/// Options that were read against a table of [`Key`]s.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options(Vec<(&'static str, Value)>);

impl Options {
    /// The value of `key`, if it was given.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// Writes a number into `target` if `key` was given.
    pub fn number(&self, key: &str, target: &mut f64) {
        if let Some(Value::Number(value)) = self.get(key) {
            *target = value;
        }
    }

    /// The whole number of `key`, if it was given.
    pub fn count(&self, key: &str) -> Option<u64> {
        match self.get(key) {
            Some(Value::Count(value)) => Some(value),
            _ => None,
        }
    }

    /// The name chosen for `key`, if it was given.
    pub fn choice(&self, key: &str) -> Option<&'static str> {
        match self.get(key) {
            Some(Value::Choice(name)) => Some(name),
            _ => None,
        }
    }

    /// Writes a switch into `target` if `key` was given.
    pub fn flag(&self, key: &str, target: &mut bool) {
        if let Some(Value::Flag(value)) = self.get(key) {
            *target = value;
        }
    }
}

/// A text split into a name and its options, not yet held against a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The name.
    pub name: String,
    /// `(key, value)` in the order given.
    pub options: Vec<(String, String)>,
}

impl Spec {
    /// Splits `NAME[:key=value,…]`. Blanks around the parts are ignored.
    ///
    /// # Errors
    /// [`Error::Parse`] with the character position of an empty name, an option without `=`, an empty key or value, or a
    /// key that is given twice.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        if name.trim().is_empty() {
            return Err(bad(0, "a name is missing"));
        }
        let mut spec = Spec { name: name.trim().to_string(), options: Vec::new() };
        let mut position = name.chars().count() + 1;
        for part in rest.into_iter().flat_map(|rest| rest.split(',')) {
            let Some((key, value)) = part.split_once('=') else {
                return Err(bad(position, format!("expected key=value, found `{}`", part.trim())));
            };
            if key.trim().is_empty() {
                return Err(bad(position, "a key is missing before `=`"));
            }
            if value.trim().is_empty() {
                return Err(bad(position + key.chars().count() + 1, format!("a value is missing after `{}=`", key.trim())));
            }
            if spec.options.iter().any(|(known, _)| known == key.trim()) {
                return Err(bad(position, format!("option `{}` is given twice", key.trim())));
            }
            spec.options.push((key.trim().to_string(), value.trim().to_string()));
            position += part.chars().count() + 1;
        }
        Ok(spec)
    }

    /// Splits a list `A,B:key=value,key=value,C`: a piece that has `=` but no `:` continues the entry before it.
    ///
    /// # Errors
    /// [`Error::Parse`] if an entry is empty, and what [`Spec::parse`] reports.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let mut entries: Vec<(usize, String)> = Vec::new();
        let mut position = 0;
        for piece in text.split(',') {
            match entries.last_mut() {
                Some((_, entry)) if entry.contains(':') && piece.contains('=') && !piece.contains(':') => {
                    entry.push(',');
                    entry.push_str(piece);
                }
                _ => entries.push((position, piece.to_string())),
            }
            position += piece.chars().count() + 1;
        }
        let shift = |start: usize, error: Error| match error {
            Error::Parse { what, position, reason } => Error::Parse { what, position: start + position, reason },
            other => other,
        };
        entries.iter().map(|(start, entry)| Spec::parse(entry).map_err(|e| shift(*start, e))).collect()
    }

    /// Reads the options against a table.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest key, [`Error::Config`] for a value outside its range.
    pub fn read(&self, keys: &[Key]) -> Result<Options> {
        let mut options = Options::default();
        for (name, text) in &self.options {
            let Some(key) = keys.iter().find(|k| k.name == name) else {
                return Err(match Error::unknown("option", name, keys.iter().map(|k| k.name)) {
                    Error::Unknown { kind, nearest, .. } => {
                        Error::Unknown { kind, name: format!("{}:{name}", self.name), nearest }
                    }
                    other => other,
                });
            };
            let value = key.kind.read(text).ok_or_else(|| Error::Config {
                name: format!("{}:{name}", self.name),
                requirement: key.kind.requirement(),
                value: text.clone(),
            })?;
            options.0.push((key.name, value));
        }
        Ok(options)
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        for (i, (key, value)) in self.options.iter().enumerate() {
            write!(f, "{}{key}={value}", if i == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

fn bad(position: usize, reason: impl Into<String>) -> Error {
    Error::Parse { what: "solver options", position, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYS: [Key; 5] = [
        Key { name: "shape", kind: Kind::Choice { names: &["flat", "steep"], requirement: "flat or steep" }, about: "" },
        Key { name: "gtol", kind: Kind::NonNegative, about: "" },
        Key { name: "radius", kind: Kind::Positive, about: "" },
        Key { name: "memory", kind: Kind::Count { min: 1, max: 1000 }, about: "" },
        Key { name: "nonmonotone", kind: Kind::Flag, about: "" },
    ];

    #[test]
    fn parse_of_name_and_options_gives_typed_values() {
        let spec = Spec::parse(" lbfgs : memory = 20 , gtol=1e-6,nonmonotone=yes").unwrap();
        assert_eq!(spec.to_string(), "lbfgs:memory=20,gtol=1e-6,nonmonotone=yes");
        let options = spec.read(&KEYS).unwrap();
        assert_eq!(options.count("memory"), Some(20));
        let (mut gtol, mut radius, mut flag) = (0.0, 2.5, false);
        options.number("gtol", &mut gtol);
        options.number("radius", &mut radius);
        options.flag("nonmonotone", &mut flag);
        assert_eq!((gtol, radius, flag), (1e-6, 2.5, true));
        assert_eq!(Spec::parse("a:shape=steep").unwrap().read(&KEYS).unwrap().choice("shape"), Some("steep"));
        assert_eq!((options.choice("shape"), options.choice("gtol")), (None, None));
    }

    #[test]
    fn parse_list_keeps_options_with_their_solver() {
        let list = Spec::parse_list("newton,lbfgs:memory=5,gtol=1e-6,bfgs").unwrap();
        let names: Vec<String> = list.iter().map(Spec::to_string).collect();
        assert_eq!(names, ["newton", "lbfgs:memory=5,gtol=1e-6", "bfgs"]);
    }

    #[test]
    fn bad_texts_say_where_and_what() {
        let text = |s: &str| Spec::parse(s).unwrap_err().to_string();
        assert_eq!(text(""), "cannot read solver options at character 0: a name is missing");
        assert_eq!(text("a:b"), "cannot read solver options at character 2: expected key=value, found `b`");
        assert_eq!(text("é:k=1,=2"), "cannot read solver options at character 6: a key is missing before `=`");
        assert_eq!(text("a:k="), "cannot read solver options at character 4: a value is missing after `k=`");
        assert_eq!(text("a:k=1,k=2"), "cannot read solver options at character 6: option `k` is given twice");
        let list = Spec::parse_list("newton,,bfgs").unwrap_err().to_string();
        assert_eq!(list, "cannot read solver options at character 7: a name is missing");
    }

    #[test]
    fn unknown_keys_and_values_out_of_range_are_named() {
        let read = |s: &str| Spec::parse(s).unwrap().read(&KEYS).unwrap_err().to_string();
        assert_eq!(read("t:raduis=1"), "unknown option `t:raduis`; did you mean `radius`?");
        assert_eq!(read("t:radius=-1"), "option `t:radius` must be a finite number above 0, found -1");
        assert_eq!(read("t:gtol=nan"), "option `t:gtol` must be a finite number not below 0, found nan");
        assert_eq!(read("t:memory=0"), "option `t:memory` must be a whole number from 1 to 1000, found 0");
        assert_eq!(read("t:shape=Flat"), "option `t:shape` must be flat or steep, found Flat");
        assert_eq!(read("t:nonmonotone=maybe"), "option `t:nonmonotone` must be true or false, found maybe");
    }

    /// A million texts made of the grammar's own pieces and of noise: read, rejected or accepted, never a panic.
    #[test]
    fn a_million_random_texts_never_panic() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let pieces =
            ["newton", "gtol", "memory", "=", ":", ",", " ", "1e-8", "-1", "nan", "inf", "9e999", "é", "\u{202e}", "\0", "true"];
        let (mut accepted, mut text) = (0u32, String::new());
        for _ in 0..1_000_000 {
            text.clear();
            for _ in 0..rng.random_range(0..9) {
                if rng.random_bool(0.85) {
                    text.push_str(pieces[rng.random_range(0..pieces.len())]);
                } else {
                    text.extend(char::from_u32(rng.random_range(0..0x11_0000)));
                }
            }
            let parsed = Spec::parse_list(&text);
            accepted += parsed.into_iter().flatten().filter(|s| s.read(&KEYS).is_ok()).count() as u32;
        }
        assert!(accepted > 1000, "the generator must also reach valid texts, got {accepted}");
    }

    proptest! {
        #[test]
        fn display_of_a_parsed_text_parses_to_the_same(text in ".{0,40}") {
            if let Ok(spec) = Spec::parse(&text) {
                prop_assert_eq!(Spec::parse(&spec.to_string()).unwrap(), spec);
            }
        }
    }
}
