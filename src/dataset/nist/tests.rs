use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::borrow::Cow;

#[test]
fn every_embedded_file_is_read_and_carries_its_own_name() {
    assert_eq!(names().len(), 27);
    let mut levels = [0; 3];
    for name in names() {
        let set = load(name).unwrap();
        assert_eq!(set.name, name);
        levels[set.difficulty as usize] += 1;
        check_shape(&set);
    }
    assert_eq!(levels, [8, 11, 8]);
    let levels: Vec<Difficulty> = names().map(|name| load(name).unwrap().difficulty).collect();
    assert!(levels.is_sorted());
}

#[test]
fn misra1a_is_read_digit_for_digit() {
    let set = load("Misra1a").unwrap();
    assert_eq!(set.model, "y = b1*(1-exp[-b2*x])  +  e");
    assert_eq!(set.starts, [vec![500.0, 0.0001], vec![250.0, 0.0005]]);
    assert_eq!(set.certified, [2.3894212918e2, 5.5015643181e-4]);
    assert_eq!(set.standard_deviations, [2.7070075241, 7.2668688436e-6]);
    assert_eq!(set.residual_sum_of_squares, 1.2455138894e-1);
    assert_eq!(set.residual_standard_deviation, 1.0187876330e-1);
    assert_eq!((set.degrees_of_freedom, set.n_observations()), (12, 14));
    assert_eq!((set.response_name.as_str(), set.predictor_names.as_slice()), ("y", &["x".to_string()][..]));
    assert_eq!((set.response[0], set.predictors[0]), (10.07, 77.6));
    assert_eq!((set.response[13], set.predictors[13]), (81.78, 760.0));
    assert_eq!(set.target(), set.response);
}

#[test]
fn rat43_has_the_degrees_of_freedom_of_its_deviation_not_the_printed_ones() {
    let set = load("Rat43").unwrap();
    assert!(
        FILES
            .iter()
            .any(|(name, text)| *name == "Rat43" && text.contains("Degrees of Freedom:                                9"))
    );
    assert_eq!(set.degrees_of_freedom, 11);
    let s = (set.residual_sum_of_squares / 11.0).sqrt();
    assert!((s / set.residual_standard_deviation - 1.0).abs() < 1e-10);
}

#[test]
fn nelson_has_two_predictors_and_the_logarithm_of_its_response() {
    let set = load("Nelson").unwrap();
    assert!(set.log_response);
    assert_eq!(set.predictor_names, ["x1", "x2"]);
    assert_eq!(set.rows().len(), 128);
    assert_eq!(set.rows().last(), Some(&[64.0, 275.0][..]));
    assert_eq!(set.target()[127], 1.2_f64.ln());
    assert_eq!(names().filter(|name| load(name).unwrap().log_response).collect::<Vec<_>>(), ["Nelson"]);
}

#[test]
fn unknown_name_is_answered_with_the_nearest() {
    let error = load("misra1a").unwrap_err();
    assert_eq!(error.to_string(), "unknown dataset `misra1a`; did you mean `Misra1a`?");
}

/// The file, line and column of an error, and its text.
fn offence(text: &str) -> (usize, Option<String>, String) {
    let error = parse("m.dat", text).unwrap_err();
    let message = error.to_string();
    let Error::Data { file, line, column, .. } = error else { panic!("{error:?}") };
    assert_eq!(&*file, "m.dat");
    (line, column.map(String::from), message)
}

#[test]
fn every_kind_of_offence_is_named_with_its_place() {
    let good = FILES.iter().find(|(name, _)| *name == "Misra1a").unwrap().1;
    let nelson = FILES.iter().find(|(name, _)| *name == "Nelson").unwrap().1;
    let edit = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    // What is changed, the line, the column, a piece of the message.
    let cases: [(String, usize, Option<&str>, &str); 31] = [
        (String::new(), 1, None, "end of file"),
        (edit("NIST/ITL", "NEST"), 1, None, "expected `NIST/ITL StRD`"),
        (edit("Dataset Name:  Misra1a           (Misra1a.dat)", "Dataset Name:"), 2, None, "expected a name"),
        (edit("1 Response Variable", "2 Response Variable"), 25, None, "expected 1 Response"),
        (edit("1 Predictor", "0 Predictor"), 26, None, "a count and `Predictor`"),
        (edit("14 Observations", "-14 Observations"), 27, None, "a count and `Observation`"),
        (edit("14 Observations", "15 Observations"), 45, None, "expected the root of 1.2455138894e-1 over 13"),
        (edit("Lower Level", "Some Level"), 28, None, "Lower, Average or Higher"),
        (edit("2 Parameters", "two Parameters"), 32, None, "a count and `Parameter`"),
        (edit("2 Parameters", "15 Parameters"), 32, None, "expected at most 14 parameters, found 15"),
        (edit("12\n", "-12\n"), 46, None, "expected a count, found `-12`"),
        (edit("2 Parameters", "1 Parameters"), 42, None, "expected `Residual Sum of Squares:`"),
        (edit("2 Parameters", "3 Parameters"), 44, None, "expected `b3 =`"),
        (edit("y = b1", "z = b1"), 38, None, "`y = …`"),
        (edit("Start 2", "Start 3"), 40, None, "the titles"),
        (edit("  b2 =", "  b3 ="), 42, None, "expected `b2 =`"),
        (edit("500  ", "five "), 41, Some("Start 1"), "expected a number, found `five`"),
        (edit("  250    ", " 1e999   "), 41, Some("Start 2"), "expected a finite number, found `1e999`"),
        (edit("7.2668688436E-06", ""), 42, Some("Standard Deviation"), "end of line"),
        (edit("7.2668688436E-06", "7.2668688436E-06 1"), 42, None, "expected end of line, found `1`"),
        (edit("1.2455138894E-01", "1.2455138894E-O1"), 44, None, "expected a number"),
        (edit("1.0187876330E-01", "1.0187876340E-01"), 45, None, "the root of"),
        (edit("                14\n\n", " 13\n\n"), 47, None, "14, as above"),
        (edit("Data:   y               x", "Data:   y"), 60, None, "expected the names of a response and 1 predictors"),
        (edit("Data:   y               x", "Data:   y               y"), 60, Some("y"), "`y` twice"),
        (edit("141.1E0", "1 4"), 63, None, "expected end of line, found `4`"),
        (edit("141.1E0", ""), 63, Some("x"), "end of line"),
        (edit("17.94E0", "NaN"), 63, Some("y"), "expected a finite number, found `NaN`"),
        (format!("{good} 1 2\n"), 75, None, "end of file after 14 observations"),
        (edit("81.78E0     760.0E0", ""), 75, None, "expected 14 observations, found 13"),
        (nelson.replacen("15.00E0", "-15.0E0", 1), 61, Some("y"), "a positive number"),
    ];
    for (text, line, column, piece) in cases {
        let (found_line, found_column, message) = offence(&text);
        assert_eq!((found_line, found_column.as_deref()), (line, column), "{message}");
        assert!(message.contains(piece), "{message}");
    }
}

#[test]
fn crlf_and_trailing_blank_lines_do_not_matter() {
    for (name, text) in FILES {
        let windows = text.replace('\n', "\r\n") + "\r\n  \r\n";
        assert_eq!(parse(name, &windows).unwrap(), load(name).unwrap());
    }
}

#[test]
fn file_on_disk_equals_the_embedded_one_and_a_missing_one_is_an_io_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dataset/nist");
    assert_eq!(read(folder.join("ENSO.dat")).unwrap(), load("ENSO").unwrap());
    assert!(matches!(read(folder.join("none.dat")), Err(Error::Io { path, .. }) if path.ends_with("none.dat")));
}

fn check_shape(set: &NistDataset) {
    let (n, p, k) = (set.n_observations(), set.n_parameters(), set.n_predictors());
    assert_eq!(set.predictors.len(), n * k);
    assert_eq!((set.rows().len(), set.target().len()), (n, n));
    assert!(p > 0 && k > 0 && n == p + set.degrees_of_freedom);
    for parameters in [&set.starts[0], &set.starts[1], &set.standard_deviations] {
        assert_eq!(parameters.len(), p);
    }
    let numbers = [&set.response, &set.predictors, &set.starts[0], &set.starts[1], &set.certified, &set.standard_deviations];
    assert!(numbers.into_iter().flatten().chain(&set.target()).all(|v| v.is_finite()));
}

/// Where a mutation happens: mostly in the part that is read, rarely in the prose above it.
fn place(rng: &mut ChaCha8Rng, bytes: &[u8]) -> usize {
    let from = if rng.random_range(0..8) == 0 { 0 } else { bytes.len() / 3 };
    rng.random_range(from.min(bytes.len() - 1)..bytes.len())
}

/// The bytes around `at` up to the next `separator` on both sides, it included at the end.
fn around(bytes: &[u8], at: usize, separator: u8) -> std::ops::Range<usize> {
    let start = bytes[..at].iter().rposition(|b| *b == separator).map_or(0, |i| i + 1);
    let end = bytes[at..].iter().position(|b| *b == separator).map_or(bytes.len(), |i| at + i + 1);
    start..end
}

const TOKENS: &[&str] = &[
    "NaN",
    "-inf",
    "1e999",
    "0",
    "-1",
    "99999999999999999999",
    "b2",
    "=",
    "Data:",
    "",
    " ",
    "\n",
    "\r",
    "\t",
    "é",
    "\u{0}",
    "1E",
    ".",
];

fn mutate(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = place(rng, bytes);
    let separator = if rng.random_range(0..2) == 0 { b'\n' } else { b' ' };
    let piece = if rng.random_range(0..3) == 0 { at..at + 1 } else { around(bytes, at, separator) };
    match rng.random_range(0..5) {
        0 => drop(bytes.drain(piece)),
        1 => {
            let copy = bytes[piece.clone()].to_vec();
            drop(bytes.splice(piece.start..piece.start, copy));
        }
        2 => {
            let other = place(rng, bytes);
            let copy = bytes[around(bytes, other, separator)].to_vec();
            drop(bytes.splice(piece, copy));
        }
        3 => drop(bytes.splice(piece, TOKENS[rng.random_range(0..TOKENS.len())].bytes())),
        _ => bytes[at] = rng.random(),
    }
}

#[test]
fn a_million_mutated_files_are_read_or_refused_with_a_place() {
    const RUNS: usize = 1_000_000;
    const THREADS: usize = 4;
    // A short file is mutated where it matters as well as a long one, and faster; the long ones have their share.
    let mut files: Vec<&str> = FILES.iter().map(|(_, text)| *text).collect();
    files.sort_by_key(|text| text.len());
    let work = |seed: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut bytes, mut read, mut refused) = (Vec::new(), 0, 0);
        for _ in 0..RUNS / THREADS {
            let u: f64 = rng.random();
            let text = files[(u * u * u * u * files.len() as f64) as usize];
            bytes.clear();
            bytes.extend_from_slice(text.as_bytes());
            for _ in 0..rng.random_range(1..=3) {
                mutate(&mut rng, &mut bytes);
            }
            let text = std::str::from_utf8(&bytes).map_or_else(|_| String::from_utf8_lossy(&bytes), Cow::Borrowed);
            match parse("mutant", &text) {
                Ok(set) => {
                    check_shape(&set);
                    read += 1;
                }
                Err(Error::Data { line, .. }) => {
                    assert!(line >= 1 && line <= text.lines().count() + 1, "line {line} of\n{text}");
                    refused += 1;
                }
                Err(other) => panic!("{other} on\n{text}"),
            }
        }
        (read, refused)
    };
    let totals = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..THREADS as u64).map(|seed| scope.spawn(move || work(seed))).collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    });
    assert_eq!(totals.0 + totals.1, RUNS);
    // Both ways are walked often: most mutations of numbers are harmless or refused.
    assert!(totals.0 > RUNS / 20 && totals.1 > RUNS / 5, "{totals:?}");
}
