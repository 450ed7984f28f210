use super::*;
use crate::Error;
use proptest::prelude::*;

fn check(text: &str, names: &[&str], columns: &[&[f64]]) {
    let table = Table::parse("t", text).unwrap();
    assert_eq!(table.names(), names, "{text:?}");
    assert_eq!(table.columns(), columns, "{text:?}");
    assert_eq!(table.n_rows(), columns[0].len());
}

#[test]
fn every_delimiter_is_found_by_the_header() {
    let columns: &[&[f64]] = &[&[1.0, -0.5], &[2e3, 4.0]];
    check("x,y\n1,2e3\n-.5,4\n", &["x", "y"], columns);
    check("x\ty\n1\t2e3\n-.5\t4", &["x", "y"], columns);
    check("x;y\n1;2e3\n-.5;4\n", &["x", "y"], columns);
    check("x  y\n 1   2e3\n-.5\t4  \n", &["x", "y"], columns);
    check("x y\n1\t2e3\n-.5 \t 4", &["x", "y"], columns);
    check("x\n1\n-0.5", &["x"], &columns[..1]);
    check("mass, kg\tlength, m\n1\t2e3\n-.5\t4", &["mass, kg", "length, m"], columns);
    check("\"a;b\tc\",\"y\"\n1,2e3\n-.5,4", &["a;b\tc", "y"], columns);
    check("\"time of day\"   y\n1 2e3\n-.5 4", &["time of day", "y"], columns);
}

#[test]
fn comments_blank_lines_byte_order_mark_and_crlf_are_skipped() {
    let columns: &[&[f64]] = &[&[1.0, 3.0], &[2.0, 4.0]];
    let text = "\u{feff}# a, \"comment\n\n  # indented\nx, y\n# one\n1, 2\n   \n\n#two \"\n3, 4\n\n# end";
    for delimiter in [",", ";", "\t", " "] {
        let text = text.replace(',', delimiter);
        check(&text, &["x", "y"], columns);
        check(&text.replace('\n', "\r\n"), &["x", "y"], columns);
    }
}

#[test]
fn quoted_fields_may_hold_delimiters_line_ends_and_doubled_quotes() {
    check("\"a,\"\"b\"\"\nc\",\"d\"\r\n\"1\",2\r\n", &["a,\"b\"\nc", "d"], &[&[1.0], &[2.0]]);
}

#[test]
fn every_kind_of_offence_is_named_with_its_place() {
    // Text, line, column, expected, found.
    let cases = [
        ("", 1, None, "a header row of column names", "end of file"),
        ("\n\n# only\n", 4, None, "a header row of column names", "end of file"),
        ("1,2\n3,4\n", 1, None, "a header row of column names", "numbers"),
        ("x,y\n\n", 2, None, "rows of numbers under the header", "end of file"),
        ("# c\nx,,z\n1,2,3", 2, Some("2"), "a name", "nothing"),
        ("x,y,x\n1,2,3", 1, Some("x"), "names that differ", "`x` twice"),
        ("x,y\n1,2\n# c\n\n3\n", 5, None, "2 fields", "1"),
        ("x y\r\n1 2\r\n3 4 5\r\n", 3, None, "2 fields", "3"),
        ("x,y\n1,2\n3,four\n", 3, Some("y"), "a number", "`four`"),
        ("x,y\n1,\n", 2, Some("y"), "a number", "``"),
        ("x;y\n1,5;2\n", 2, Some("x"), "a number", "`1,5`"),
        ("x,y\n# c\r\nnan,2\n", 3, Some("x"), "a finite number", "`nan`"),
        ("x,y\n1,-inf\n", 2, Some("y"), "a finite number", "`-inf`"),
        ("x,y\n1,1e999\n", 2, Some("y"), "a finite number", "`1e999`"),
        ("\"a\nb\",y\n1,2\n1,z\n", 4, Some("y"), "a number", "`z`"),
        ("x,y\n1,\"2\n3,4\n", 2, None, "quotes around whole fields, closed", "`1,\"2\n3,4`"),
        ("x,y\n1,\"2\"3\n", 2, None, "quotes around whole fields, closed", "`1,\"2\"3`"),
        ("x,y\n1,2\"\n", 2, None, "quotes around whole fields, closed", "`1,2\"`"),
        ("x y\n # \"c\n1 2\n3 4\n", 2, None, "quotes around whole fields, closed", "`# \"c\n1 2\n3 4`"),
        ("x,y\r1,2\r3,4\r", 2, None, "rows of numbers under the header", "end of file"),
    ];
    for (text, line, column, expected, found) in cases {
        let error = Table::parse("t.csv", text).unwrap_err();
        let Error::Data { file, line: l, column: c, expected: e, found: f } = &error else { panic!("{error:?}") };
        assert_eq!((&**file, *l, c.as_deref(), &**e, &**f), ("t.csv", line, column, expected, found), "{text:?}");
    }
}

#[test]
fn missing_column_names_those_that_are_there() {
    let table = Table::parse("t.csv", "# c\ntime,dose\n1,2\n").unwrap();
    let message = table.column("does").unwrap_err().to_string();
    assert_eq!(message, "t.csv:2: column `does`: expected a column of this name, found `time`, `dose`");
    let names: Vec<String> = (0..9).map(|j| format!("x{j}")).collect();
    let wide = Table::parse("t", &format!("{}\n1,2,3,4,5,6,7,8,9", names.join(","))).unwrap();
    assert!(wide.column("y").unwrap_err().to_string().ends_with("`x7`, …"));
}

#[test]
fn file_that_is_not_utf8_is_an_error_at_its_line() {
    let path = std::env::temp_dir().join(format!("curvkit-table-{}.csv", std::process::id()));
    std::fs::write(&path, b"x,y\n1,2\n3,\xff\n").unwrap();
    let error = Table::read(&path).unwrap_err();
    std::fs::write(&path, "x,y\n1,2\n").unwrap();
    let table = Table::read(&path);
    std::fs::remove_file(&path).unwrap();
    assert!(error.to_string().ends_with(":3: expected UTF-8 text, found byte 0xff"), "{error}");
    assert_eq!(table.unwrap().column("y").unwrap(), [2.0]);
    assert!(matches!(Table::read(&path), Err(Error::Io { .. })));
}

/// Delimiters with the blanks around them.
fn delimiters() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![",", ", ", ";", " ; ", "\t", " ", "   ", " \t "])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn printed_table_is_read_back_bit_for_bit(
        rows in (1usize..5).prop_flat_map(|n| prop::collection::vec(prop::collection::vec(
            any::<f64>().prop_filter("finite", |v| v.is_finite()), n), 1..6)),
        delimiter in delimiters(),
        quotes in any::<bool>(),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\n\n", "\r\n\r\n# c, \"\r\n", "\n#\n"]),
        mark in prop::sample::select(vec!["", "\u{feff}", "\n", "# c\n"]),
    ) {
        // A blank before a quote belongs to an unquoted field.
        let quote = if quotes && (delimiter.len() == 1 || delimiter == "   ") { "\"" } else { "" };
        let line = |fields: Vec<String>| {
            fields.iter().map(|f| format!("{quote}{f}{quote}")).collect::<Vec<_>>().join(delimiter) + line_end
        };
        let names: Vec<String> = (0..rows[0].len()).map(|j| format!("c{j}")).collect();
        let mut text = mark.to_string() + &line(names.clone());
        for row in &rows {
            text += &line(row.iter().map(|v| format!("{v:e}")).collect());
        }
        let table = Table::parse("t", &text).unwrap();
        prop_assert_eq!(table.names(), &names[..]);
        prop_assert_eq!(table.n_rows(), rows.len());
        for (i, row) in rows.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                prop_assert_eq!(table.columns()[j][i].to_bits(), value.to_bits());
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in "[xy1-3,;\t \r\n\"#.e+\u{feff}é-]{0,60}") {
        match Table::parse("t", &text) {
            Ok(table) => {
                prop_assert!(table.n_rows() > 0);
                prop_assert!(table.columns().iter().all(|c| c.len() == table.n_rows() && c.iter().all(|v| v.is_finite())));
            }
            Err(Error::Data { line, .. }) => prop_assert!(line >= 1 && line <= text.lines().count() + 1, "line {} of {:?}", line, text),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
