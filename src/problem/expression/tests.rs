use super::*;
use crate::problem::{Erased, check};
use rand::{Rng, SeedableRng};
use std::sync::Arc;

fn value(text: &str, x: &[f64]) -> f64 {
    Expression::parse(text).unwrap().cost(x).unwrap()
}

/// Position and reason of the refusal.
fn refusal(text: &str) -> (usize, String) {
    match Expression::parse(text) {
        Err(Error::Parse { what: "expression", position, reason }) => (position, reason),
        other => panic!("{text:?} should be refused, gave {other:?}"),
    }
}

#[test]
fn precedence_and_associativity_are_those_of_mathematics() {
    for (text, expected) in [
        ("1 + 2*3", 7.0),
        ("10 - 4 - 3", 3.0),
        ("16/4/2", 2.0),
        ("12/2*3", 18.0),
        ("-3^2", -9.0),
        ("2^3^2", 512.0),
        ("2**-1", 0.5),
        ("2*-3", -6.0),
        ("--2 - -+3", 5.0),
        ("(1 + 2)*(3 - 5)", -6.0),
        ("1e3 + 2.5E-1 + .5", 1000.75),
        ("2*pi - tau", 0.0),
        ("ln(e^3) + log10(1e-2) + log2(8) + log(e)", 5.0),
        ("atan2(1, -1)*4/3 - π", 0.0),
        ("min(3, 2) + max(3, 2)*10 + pow(2, 5) + abs(-1)", 65.0),
        ("(-2)^3 + 0^0", -7.0),
    ] {
        assert!((value(text, &[]) - expected).abs() <= 4e-15 * f64::max(1.0, expected.abs()), "{text} = {}", value(text, &[]));
    }
}

#[test]
fn variables_come_in_natural_order_or_as_given() {
    let f = Expression::parse("x10*100 + x2*10 + x1").unwrap();
    assert_eq!(f.variables(), ["x1", "x2", "x10"]);
    assert_eq!(f.cost(&[1.0, 2.0, 3.0]).unwrap(), 321.0);
    assert_eq!(Expression::parse("y + b + α_2 + x + a").unwrap().variables(), ["a", "b", "x", "y", "α_2"]);
    let g = Expression::parse_over("b1*e + x", &["x", "b1", "e", "unused"]).unwrap();
    assert_eq!(g.cost(&[1.0, 2.0, 3.0, 9.0]).unwrap(), 7.0);
    assert!(matches!(Expression::parse_over("b1 + z", &["b1"]), Err(Error::Parse { position: 5, .. })));
    assert!(Expression::parse_over("x", &["x", "x"]).is_err());
}

#[test]
fn refusals_name_the_place_and_the_reason() {
    for (text, position, reason) in [
        ("", 0, "empty"),
        ("  ", 0, "empty"),
        ("1 +", 3, "end of the text"),
        ("2x", 1, "operator is missing before `x`"),
        ("x y", 2, "operator is missing before `y`"),
        ("x(2)", 0, "a product needs `*`"),
        ("x + x(2)", 4, "operator is missing between `x` and `(`"),
        ("(x + 1", 6, "to close the `(` at character 0"),
        ("x + 1)", 5, "without `(`"),
        ("sni(x)", 0, "unknown function `sni` (a product needs `*`); known are sin"),
        ("3*sin x", 2, "needs its argument in parentheses"),
        ("atan2(x)", 7, "second argument"),
        ("sin(x, y)", 5, "after the arguments of `sin`"),
        ("x, y", 1, "outside the arguments"),
        ("x $ y", 2, "unexpected character '$'"),
        ("α*β*§", 4, "unexpected character"),
        ("x*/y", 2, "expected a number"),
        ("sin()", 4, "found `)`"),
        ("1e999", 0, "out of range"),
        ("1.2.3", 3, "operator is missing"),
    ] {
        let (found, why) = refusal(text);
        assert!(found == position && why.contains(reason), "{text:?}: {found}: {why}");
    }
}

#[test]
fn deep_long_and_wide_texts_are_refused_or_read_but_never_overflow() {
    for (open, close) in [("(", ")"), ("sin(", ")"), ("2^", ""), ("-(", ")"), ("min(1,", ")")] {
        let nested = |n: usize| format!("{}x{}", open.repeat(n), close.repeat(n));
        assert!(Expression::parse(&nested(150)).is_ok());
        assert!(refusal(&nested(100_000)).1.contains("deeper"), "{open}");
    }
    assert_eq!(value(&format!("{}2", "-".repeat(100_001)), &[]), -2.0);
    let sum = Expression::parse(&format!("x{}", "+x*x".repeat(100_000))).unwrap();
    assert_eq!(sum.cost(&[2.0]).unwrap(), 400_002.0);
    assert!(refusal(&"x+".repeat(600_000)).1.contains("longer"));
    let wide: String = (0..3000).map(|i| format!("x{i}+")).collect();
    assert!(refusal(&wide).1.contains("more than 2000 variables"));
}

#[test]
fn derivatives_of_every_function_agree_with_differences() {
    let mut texts: Vec<String> = tape::Unary::NAMES.iter().map(|name| format!("{name}(0.3 + 0.4*x*y)*y")).collect();
    texts.retain(|t| !t.starts_with("acosh"));
    texts.extend(tape::Binary::NAMES.iter().map(|name| format!("{name}(x*x + y, 1 + x*y)")));
    texts.extend(
        ["acosh(1.5 + x*y)", "atan2(x - 2, -y)", "x^y", "2^(x*y)", "(x - 3)^3/(1 + y^2)", "1/x^2", "x^0.5*y^-1.5"]
            .map(String::from),
    );
    for text in texts {
        let f = Erased(Arc::new(Expression::parse(&text).unwrap()));
        let x = [0.9, 1.3][..f.0.dim()].to_vec();
        let report = check::derivatives(&f, &x).unwrap();
        assert!(report.passed() && report.checks.iter().all(|c| c.undetermined == 0), "{text}\n{report}");
        assert!(check::hessian_product(&f, &x).unwrap().passed(), "{text}");
    }
}

#[test]
fn powers_with_a_constant_exponent_are_smooth_at_and_below_zero() {
    let f = Expression::parse("x^3 + x^2 + x^1 + x^0").unwrap();
    for x in [0.0, -2.0] {
        let mut g = [0.0];
        f.gradient(&[x], &mut g).unwrap();
        assert_eq!(g[0], 3.0 * x * x + 2.0 * x + 1.0);
        let HessianMatrix::Dense(h) = f.hessian(&[x]).unwrap() else { panic!("dense expected") };
        assert_eq!(h.entries(), [6.0 * x + 2.0]);
    }
}

#[test]
fn branch_that_does_not_move_contributes_nothing() {
    // √y has an infinite slope at 0, but y is not in the direction.
    let f = Expression::parse("x^2 + sqrt(y)").unwrap();
    let mut out = [0.0; 2];
    f.hessian_product(&[3.0, 0.0], &[1.0, 0.0], &mut out).unwrap();
    assert_eq!(out, [2.0, 0.0]);
}

#[test]
fn point_of_wrong_length_is_an_error() {
    let f = Expression::parse("x + y").unwrap();
    assert!(matches!(f.cost(&[1.0]), Err(Error::Dimension { expected: 2, found: 1, .. })));
    assert!(f.gradient(&[1.0, 2.0], &mut [0.0]).is_err());
    assert!(f.hessian(&[1.0; 3]).is_err());
}

#[test]
fn million_random_strings_neither_panic_nor_hang() {
    const WORDS: &[&str] = &[
        "+",
        "-",
        "*",
        "/",
        "^",
        "**",
        "(",
        ")",
        "(",
        ")",
        ",",
        ".",
        " ",
        "x",
        "y",
        "x1",
        "x10",
        "e",
        "E",
        "pi",
        "π",
        "1",
        "2.5",
        "1e3",
        "1e",
        "1e-",
        "0",
        "9999999999",
        "sin",
        "sin(",
        "cos(",
        "exp(",
        "atan2(",
        "pow(",
        "min(",
        "ln(",
        "sqrt(",
        "abs",
        "sni(",
        "_",
        "α",
        "é",
        "日",
        "\u{0}",
        "\t",
        "\n",
        "{",
        "}",
        "=",
        "$",
        "−",
        "²",
        "٣",
        "1.",
        ".5",
        "..",
        "nan",
        "inf",
        "x(",
        ")(",
    ];
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let (mut text, mut read) = (String::new(), 0);
    let (mut g, mut bytes) = (Vec::new(), [0u8; 24]);
    for round in 0..1_000_000 {
        text.clear();
        if round % 4 == 0 {
            let n = rng.random_range(0..bytes.len());
            rng.fill(&mut bytes[..n]);
            text.push_str(&String::from_utf8_lossy(&bytes[..n]));
        } else {
            (0..rng.random_range(0..12)).for_each(|_| text.push_str(WORDS[rng.random_range(0..WORDS.len())]));
        }
        match Expression::parse(&text) {
            Ok(f) => {
                read += 1;
                let x = vec![0.5; f.dim()];
                g.resize(f.dim(), 0.0);
                f.gradient(&x, &mut g).unwrap();
                f.hessian(&x).unwrap();
                f.cost(&x).unwrap();
            }
            Err(Error::Parse { position, .. }) => assert!(position <= text.chars().count(), "{text:?}"),
            Err(other) => panic!("{text:?}: {other}"),
        }
    }
    assert!(read > 10_000, "only {read} texts could be read");
}
