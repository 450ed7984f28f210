use super::*;
use crate::Error;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A file as `numpy.save` writes it: header padded to 118 bytes, items from hexadecimal digits.
fn file(header: &str, items: &str) -> Vec<u8> {
    let items = (0..items.len() / 2).map(|k| u8::from_str_radix(&items[2 * k..2 * k + 2], 16).unwrap());
    let mut bytes = b"\x93NUMPY\x01\x00v\x00".to_vec();
    bytes.extend(format!("{header:117}\n").bytes().chain(items));
    bytes
}

fn plain(descr: &str, fortran: &str, shape: &str, items: &str) -> Vec<u8> {
    file(&format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"), items)
}

#[test]
fn arrays_that_numpy_saved_are_read_in_every_type_and_order() {
    // Type, order, shape, the bytes that numpy 2.4.6 wrote after the header, values.
    let counting: Vec<f64> = (0..6).map(f64::from).collect();
    let cases = [
        (
            "<f8",
            "False",
            "(2, 3)",
            "0000000000000000000000000000e03f000000000000f03f000000000000f83f00000000000000400000000000000440",
            vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5],
        ),
        ("<f4", "True", "(2, 3)", "00000000000040400000803f00008040000000400000a040", counting.clone()),
        (">i2", "False", "(2, 3)", "fffdfffeffff000000010002", vec![-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]),
        ("|u1", "False", "(2, 3)", "000102030405", counting),
        ("|b1", "False", "(2, 3)", "000000010101", vec![0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
        ("<f8", "False", "()", "0000000000000440", vec![2.5]),
        ("<i8", "True", "(1,)", "feffffffffffffff", vec![-2.0]),
        (">u4", "False", "(1, 1)", "ffffffff", vec![4294967295.0]),
    ];
    for (descr, fortran, shape, items, values) in cases {
        let array = parse("a.npy", &plain(descr, fortran, shape, items)).unwrap();
        assert_eq!(array.values, values, "{descr}");
        assert_eq!(array.n() * array.dim(), values.len(), "{descr}");
    }
}

#[test]
fn three_axes_with_the_first_running_fastest_are_put_in_order() {
    // numpy.asfortranarray(numpy.arange(24).reshape(2, 3, 4)), as bytes.
    let stored = [0, 12, 4, 16, 8, 20, 1, 13, 5, 17, 9, 21, 2, 14, 6, 18, 10, 22, 3, 15, 7, 19, 11, 23];
    let items: String = stored.iter().map(|v| format!("{v:02x}")).collect();
    let array = parse("a.npy", &plain("|i1", "True", "(2, 3, 4)", &items)).unwrap();
    assert_eq!((array.n(), array.dim()), (2, 12));
    assert_eq!(array.values, (0..24).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn versions_2_and_3_have_a_longer_length() {
    for version in [2, 3] {
        let mut bytes = plain("|u1", "False", "(3,)", "010203");
        bytes.splice(6..10, [version, 0, 118, 0, 0, 0]);
        assert_eq!(parse("a.npy", &bytes).unwrap().values, [1.0, 2.0, 3.0]);
    }
}

#[test]
fn every_kind_of_offence_is_named_with_its_offset() {
    let mut version = plain("|u1", "False", "(1,)", "01");
    version[6] = 4;
    let mut length = plain("|u1", "False", "(1,)", "01");
    length[9] = 1;
    let structured = "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }";
    let cases = [
        (b"\x93NUM".to_vec(), 0, "a version, found 4 of 8 bytes"),
        (b"\x93NUMPX\x01\x00v\x00".to_vec(), 0, "the magic string"),
        (version, 6, "version 1.0, 2.0 or 3.0, found 4.0"),
        (length, 10, "the header, found 119 of 374 bytes"),
        (file(structured, "00"), 20, "a plain type, found a structured one"),
        (plain("<c8", "False", "(1,)", "00"), 20, "a type b1, i1…i8, u1…u8, f4 or f8, found `<c8`"),
        (plain("|O", "False", "(1,)", "00"), 20, "a type"),
        (plain("<f2", "False", "(1,)", "0000"), 20, "a type"),
        (plain("|f8", "False", "(1,)", "00"), 20, "a byte order"),
        (plain("|u1", "Falsch", "(1,)", "00"), 44, "True or False, found `Falsch"),
        (plain("|u1", "False", "(-1,)", "00"), 61, "an extent, found `-1,)"),
        (plain("|u1", "False", "3", "00"), 60, "`(`, found `3"),
        (plain("|u1", "False", "(1 2)", "00"), 63, "`)`, found `2)"),
        (plain("|u1", "False", "(99999999999999999999,)", "00"), 61, "an extent"),
        (plain("<f8", "False", "(4294967296, 4294967296)", "00"), 128, "found an end"),
        (plain("|u1", "False", "(2, 0)", "00"), 128, "items, found none"),
        (plain("|u1", "True", "(2, 2)", "000000"), 128, "the items of the shape, found 3 of 4 bytes"),
        (plain("|u1", "False", "(2,)", "000000"), 130, "end of file, found 1 more bytes"),
        (plain("|b1", "False", "(2,)", "0102"), 129, "a truth value, 0 or 1, found `2`"),
        (plain("<f4", "False", "(2,)", "000000000000c07f"), 132, "a finite number, found `NaN`"),
        (plain("<i8", "False", "(1,)", "0100000000002000"), 128, "a double holds, found `9007199254740993`"),
        (file("{'descr': '<f8', 'fortran_order': False}", "00"), 50, "one of them missing"),
        (file("{'descr': '<f8', 'descr': '<f8'}", "00"), 27, "once, found `descr`"),
        (file("{'descr': '<f8', 'shape': (1,), 'fortran_order': True} x", "00"), 65, "the end of the header, found `x"),
        (file("{descr: '<f8'}", "00"), 11, "a key of the header in quotes"),
    ];
    for (bytes, offset, piece) in cases {
        let error = parse("a.npy", &bytes).unwrap_err();
        let message = error.to_string();
        let Error::Bytes { file, offset: found, .. } = error else { panic!("{message}") };
        assert_eq!((&*file, found), ("a.npy", offset), "{message}");
        assert!(message.contains(piece), "{message}");
    }
    assert!(matches!(read("/no/such/file"), Err(Error::Io { .. })));
}

#[test]
fn mutated_bytes_are_read_or_refused_but_never_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let base = plain("<f4", "True", "(2, 3)", "00000000000040400000803f00008040000000400000a040");
    let mut n_read = 0;
    for _ in 0..300_000 {
        let bytes = crate::dataset::mutate(&base, &mut random);
        match parse("m", &bytes) {
            Ok(array) => {
                n_read += 1;
                assert_eq!(array.values.len(), array.n() * array.dim());
                assert!(array.values.iter().all(|v| v.is_finite()));
            }
            Err(Error::Bytes { offset, .. }) => assert!(offset <= bytes.len()),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(n_read > 10_000, "{n_read}");
}
