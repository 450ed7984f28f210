use super::*;
use crate::Error;
use crate::dataset::bytes::unpacked;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A file with extents and items.
fn file(kind: u8, extents: &[u32], items: &[u8]) -> Vec<u8> {
    let sizes = extents.iter().flat_map(|extent| extent.to_be_bytes());
    [0, 0, kind, extents.len() as u8].into_iter().chain(sizes).chain(items.iter().copied()).collect()
}

/// `gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]), mtime=0)` of Python.
const PACKED: [u8; 31] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x60, 0xe0, 0x60, 0x64, 0x60, 0x60, 0x60, 0x66, 0xe7, 0xe0,
    0x04, 0x00, 0xad, 0x98, 0x0a, 0xba, 0x0b, 0x00, 0x00, 0x00,
];

#[test]
fn every_type_is_read_with_the_last_index_fastest() {
    let cases = [
        (8, vec![0, 128, 255], vec![0.0, 128.0, 255.0]),
        (9, vec![0, 128, 255], vec![0.0, -128.0, -1.0]),
        (11, [1i16, -2, 300].iter().flat_map(|v| v.to_be_bytes()).collect(), vec![1.0, -2.0, 300.0]),
        (12, [1i32, -2, 70000].iter().flat_map(|v| v.to_be_bytes()).collect(), vec![1.0, -2.0, 70000.0]),
        (13, [0.5f32, -2.0, 1e10].iter().flat_map(|v| v.to_be_bytes()).collect(), vec![0.5, -2.0, 1e10]),
        (14, [0.1f64, -2.0, 1e300].iter().flat_map(|v| v.to_be_bytes()).collect(), vec![0.1, -2.0, 1e300]),
    ];
    for (kind, items, values) in cases {
        let array = parse("a", &file(kind, &[1, 3], &items)).unwrap();
        assert_eq!(array, Array { shape: vec![1, 3], values }, "type {kind}");
    }
}

#[test]
fn packed_files_are_unpacked() {
    let path = std::env::temp_dir().join(format!("curvkit-idx-{}.gz", std::process::id()));
    std::fs::write(&path, PACKED).unwrap();
    let array = read(&path);
    std::fs::write(&path, &PACKED[..25]).unwrap();
    let cut = read(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(array.unwrap().values, [7.0, 8.0, 9.0]);
    assert!(matches!(cut, Err(Error::Bytes { offset: 11, expected, .. }) if &*expected == "gzip data"));
    assert!(matches!(read(&path), Err(Error::Io { .. })));
}

#[test]
fn every_kind_of_offence_is_named_with_its_offset() {
    let cases = [
        (vec![0, 0, 8], 0, "an IDX magic number, found 3 of 4 bytes"),
        (file(10, &[1], &[0]), 0, "found 00 00 0a 01"),
        (vec![1, 0, 8, 1, 0, 0, 0, 1, 0], 0, "found 01 00 08 01"),
        (file(8, &[], &[0]), 3, "at least one axis, found 0"),
        (vec![0, 0, 8, 2, 0, 0, 0, 1, 0], 8, "the extent of axis 1, found 1 of 4 bytes"),
        (file(8, &[2, 0], &[]), 12, "items, found none for the shape [2, 0]"),
        (file(8, &[2, 2], &[1, 2, 3]), 12, "the items of the shape, found 3 of 4 bytes"),
        (file(8, &[2], &[1, 2, 3]), 10, "end of file, found 1 more bytes"),
        (file(14, &[u32::MAX, u32::MAX], &[]), 12, "found an end"),
        (file(13, &[2], &[0, 0, 0, 0, 0x7f, 0x80, 0, 0]), 12, "a finite number, found `inf`"),
    ];
    for (bytes, offset, piece) in cases {
        let error = parse("a", &bytes).unwrap_err();
        let message = error.to_string();
        let Error::Bytes { file, offset: found, .. } = error else { panic!("{message}") };
        assert_eq!((&*file, found), ("a", offset), "{message}");
        assert!(message.contains(piece), "{message}");
    }
}

#[test]
fn mutated_bytes_are_read_or_refused_but_never_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let base = file(11, &[2, 3], &[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6]);
    let mut n_read = 0;
    for round in 0..200_000 {
        let bytes = if round % 4 == 0 {
            match unpacked("m", crate::dataset::mutate(&PACKED, &mut random)) {
                Ok(bytes) => bytes,
                Err(Error::Bytes { .. }) => continue,
                Err(other) => panic!("{other}"),
            }
        } else {
            crate::dataset::mutate(&base, &mut random)
        };
        match parse("m", &bytes) {
            Ok(array) => {
                n_read += 1;
                assert_eq!(array.values.len(), array.n() * array.dim());
            }
            Err(Error::Bytes { offset, .. }) => assert!(offset <= bytes.len()),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(n_read > 10_000, "{n_read}");
}
