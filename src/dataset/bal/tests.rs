use super::*;
use crate::Error;
use proptest::prelude::*;

const SMALL: &str = "2 3 4\n0 0 1.5 -2\n0 1 3 4\n1 1 -5e1 6\n\n1 2 7 8\n0.1 0.2 0.3 1 2 -5\n500 0.01 -0.001\n1 2 3 4 5 6 7 8 9\n1 1 1\n2 2 2\n3 3 -3\n";

#[test]
fn small_file_is_read_digit_for_digit_and_written_back() {
    let bal = parse("small.txt", SMALL).unwrap();
    assert_eq!((bal.cameras.len(), bal.points.len(), bal.observations.len()), (2, 3, 4));
    assert_eq!(bal.cameras[0], [0.1, 0.2, 0.3, 1.0, 2.0, -5.0, 500.0, 0.01, -0.001]);
    assert_eq!(bal.points[2], [3.0, 3.0, -3.0]);
    assert_eq!(bal.observations[2], Observation { camera: 1, point: 1, pixel: [-50.0, 6.0] });
    assert_eq!(parse("again.txt", &bal.to_string()).unwrap(), bal);
}

#[test]
fn every_kind_of_offence_is_named_with_its_place() {
    let edit = |from: &str, to: &str| SMALL.replacen(from, to, 1);
    let cases = [
        (String::new(), 1, Some("cameras"), "a whole number, found end of file"),
        (edit("2 3 4", "2 3"), 9, None, "end of file, found `4`"),
        (edit("2 3 4", "2 -3 4"), 1, Some("points"), "a whole number, found `-3`"),
        (edit("1 2 7 8", "2 2 7 8"), 6, Some("camera"), "a number below 2, found `2`"),
        (edit("1 2 7 8", "1 3 7 8"), 6, Some("point"), "a number below 3, found `3`"),
        (edit("-5e1", "-5e"), 4, Some("u"), "a number, found `-5e`"),
        (edit("1.5 -2", "1.5 NaN"), 2, Some("v"), "a finite number"),
        (edit("0.01", "1e999"), 8, Some("k1"), "a finite number"),
        (edit("3 3 -3\n", "3 3\n"), 13, Some("z"), "a number, found end of file"),
        (format!("{SMALL} 1"), 13, None, "end of file, found `1`"),
        ("9999999999999 1 1\n0 0 1 1\n".into(), 3, Some("rotation 1"), "end of file"),
    ];
    for (text, line, column, piece) in cases {
        let error = parse("m.txt", &text).unwrap_err();
        let message = error.to_string();
        let Error::Data { file, line: found, column: found_column, .. } = error else { panic!("{message}") };
        assert_eq!((&*file, found, found_column.as_deref()), ("m.txt", line, column), "{message}");
        assert!(message.contains(piece), "{message}");
    }
    assert!(matches!(read("/no/such/file"), Err(Error::Io { .. })));
}

proptest! {
    #[test]
    fn mutated_text_is_read_or_refused_but_never_panics(at in 0..SMALL.len(), cut in 0..4usize, put in "[-0-9e. \nx∞]{0,3}") {
        let end = (at + cut).min(SMALL.len());
        let text = format!("{}{put}{}", &SMALL[..at], &SMALL[end..]);
        if let Ok(bal) = parse("m.txt", &text) {
            prop_assert!(bal.observations.iter().all(|o| o.camera < bal.cameras.len() && o.point < bal.points.len()));
            prop_assert_eq!(parse("m.txt", &bal.to_string()).unwrap(), bal);
        }
    }
}
