use super::*;
use crate::dataset::{Array, Records};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A hash of the bits of values (FNV-1a over their little-endian bytes).
fn hash(values: &[f64]) -> u64 {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn dense(samples: &Samples) -> &Batch {
    let Features::Dense(batch) = samples.features() else { panic!("sparse features") };
    batch
}

fn column(samples: &Samples, j: usize) -> Vec<f64> {
    dense(samples).values().iter().skip(j).step_by(samples.dim()).copied().collect()
}

#[test]
fn embedded_sets_are_those_of_scikit_learn_bit_for_bit() {
    // Name, n, d, hashes of the arrays of scikit-learn 1.9.1, some sums of columns (math.fsum) and of the target.
    let cases: [(&str, usize, usize, u64, u64, &[(usize, f64)], f64); 5] = [
        ("digits", 1797, 64, 0x2321_087e_78cb_cf52, 0x4e47_0c0a_1997_7129, &[(0, 0.0), (3, 21269.0), (63, 655.0)], 8070.0),
        (
            "breast_cancer",
            569,
            30,
            0x13ed_1223_0548_2eaa,
            0x6a29_dce8_cf52_7bb8,
            &[(0, 8038.429), (2, 52330.38), (29, 47.76517)],
            357.0,
        ),
        ("wine", 178, 13, 0x7589_80da_74f8_83a9, 0x7e84_28ef_de34_d4f8, &[(0, 2314.11), (12, 132947.0)], 167.0),
        ("iris", 150, 4, 0x8749_e5d6_4e26_ed9e, 0x159b_9696_2a0f_bfc5, &[(0, 876.5), (1, 458.6), (3, 179.9)], 150.0),
        ("diabetes", 442, 10, 0xa756_30fd_36c3_7926, 0xe3a1_179d_9ee0_b349, &[(0, 21445.0), (3, 41833.98)], 67243.0),
    ];
    assert!(cases.iter().map(|case| case.0).eq(EMBEDDED.iter().map(|set| set.0)));
    for (name, n, d, features, target, sums, total) in cases {
        let samples = Samples::embedded(name).unwrap();
        assert_eq!((samples.n(), samples.dim()), (n, d), "{name}");
        assert_eq!(hash(dense(&samples).values()), features, "{name}");
        assert_eq!(hash(&samples.target().to_values()), target, "{name}");
        for (j, sum) in sums {
            let found: f64 = column(&samples, *j).iter().sum();
            assert!((found - sum).abs() <= 1e-13 * sum, "{name} {j}: {found}");
        }
        assert_eq!(samples.target().to_values().iter().sum::<f64>(), total, "{name}");
    }
    let sizes = |name: &str| {
        let Target::Classes { labels, names } = Samples::embedded(name).unwrap().target.clone() else { panic!("{name}") };
        (0..names.len()).map(|c| labels.iter().filter(|label| **label == c).count()).collect::<Vec<_>>()
    };
    assert_eq!(sizes("digits"), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert_eq!(sizes("wine"), [59, 71, 48]);
    let cancer = Samples::embedded("breast_cancer").unwrap();
    assert_eq!(
        (cancer.target().classes(), cancer.feature_name(29)),
        (&["malignant", "benign"].map(String::from)[..], "worst fractal dimension".into())
    );
    let unknown = Samples::embedded("digit").unwrap_err();
    assert_eq!(unknown.to_string(), "unknown data set `digit`; did you mean `digits`?");
}

#[test]
fn standardised_wine_and_diabetes_are_those_of_scikit_learn() {
    let wine = Samples::embedded("wine").unwrap();
    let scaling = Scaling::standard(wine.features()).unwrap();
    let close = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} {b}");
    // StandardScaler: mean_, scale_, one transformed row.
    for (j, mean, deviation) in [
        (0, 13.000617977528083, 0.809542914528517),
        (1, 2.336348314606741, 1.1140036269797895),
        (2, 2.3665168539325854, 0.2735722944264325),
    ] {
        close(scaling.shift[j], mean);
        close(1.0 / scaling.scale[j], deviation);
    }
    let row = [
        1.3086174969351785,
        -0.16727801426639524,
        0.8900139050187723,
        -0.5690231904445763,
        1.492625173802133,
        0.4885310849747506,
        0.4826372608450825,
        -0.41782893239778696,
        -0.5972835113531701,
        -0.003499440128624266,
        0.44992405009274494,
        1.3676890092884186,
        1.745442486627077,
    ];
    let scaled = scaling.apply(&wine).unwrap();
    dense(&scaled).sample(7).iter().zip(row).for_each(|(a, b)| assert!((a - b).abs() <= 1e-12 * b.abs().max(0.1), "{a} {b}"));
    for j in 0..13 {
        let (column, n) = (column(&scaled, j), 178.0);
        assert!((column.iter().sum::<f64>() / n).abs() < 1e-14, "{j}");
        close(column.iter().map(|v| v * v).sum::<f64>() / n, 1.0);
    }
    // load_diabetes(): standardised, divided by the root of n.
    let diabetes = Samples::embedded("diabetes").unwrap();
    let diabetes = Scaling::standard(diabetes.features()).unwrap().apply(&diabetes).unwrap();
    for (i, row) in [
        (0, [0.038075906433423026, 0.05068011873981862, 0.061696206518683294, 0.0218723855140367, -0.04422349842444599]),
        (441, [-0.045472477940023646, -0.044641636506989144, -0.07303030271641665, -0.08141314376144114, 0.08374011738825825]),
    ] {
        dense(&diabetes).sample(i).iter().zip(row).for_each(|(a, b)| close(a / 442f64.sqrt(), b));
    }
}

fn made(values: Vec<f64>, d: usize) -> Samples {
    let n = values.len() / d;
    let target = Target::Values((0..n).map(|i| i as f64).collect());
    Samples::new("made", Features::Dense(Batch::new(d, values).unwrap()), Vec::new(), target).unwrap()
}

#[test]
fn constant_columns_become_zero_everywhere_and_are_reported() {
    let train = made(vec![0.1, 1.0, 0.1, 3.0, 0.1, 5.0], 2);
    let other = made(vec![7.0, 3.0], 2);
    for (scaling, expected) in
        [(Scaling::standard(train.features()).unwrap(), 0.0), (Scaling::min_max(train.features()).unwrap(), 0.5)]
    {
        assert_eq!(scaling.constant, [0]);
        assert_eq!(dense(&scaling.apply(&other).unwrap()).values(), [0.0, expected]);
        assert_eq!(column(&scaling.apply(&train).unwrap(), 0), [0.0; 3]);
    }
    let single = Scaling::standard(other.features()).unwrap();
    assert_eq!((single.constant.len(), dense(&single.apply(&other).unwrap()).values()), (2, &[0.0; 2][..]));
    assert!(matches!(Scaling::standard(made(vec![1e300, -1e300], 1).features()), Err(Error::NonFinite { index: Some(0), .. })));
    assert!(matches!(single.apply(&made(vec![1.0], 1)), Err(Error::Dimension { .. })));
}

#[test]
fn sparse_features_are_scaled_without_filling_them() {
    let samples = Libsvm::default().parse("s", "1 1:4 3:1\n2 3:-2\n3 2:0\n").unwrap();
    for refused in [Scaling::standard(samples.features()), Scaling::min_max(samples.features())] {
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
    }
    let scaling = Scaling::max_abs(samples.features()).unwrap();
    let batch = samples.features().to_batch().unwrap();
    assert_eq!(Scaling::max_abs(&Features::Dense(batch)).unwrap(), scaling);
    assert_eq!(scaling.constant, [1]);
    let scaled = scaling.apply(&samples).unwrap();
    assert!(matches!(scaled.features(), Features::Sparse(rows) if rows.nnz() == 4));
    assert_eq!(scaled.features().to_batch().unwrap().values(), [1.0, 0.0, 0.5, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0]);
    let shifted = Scaling { shift: vec![1.0; 3], ..scaling };
    assert!(matches!(shifted.apply(&samples), Err(Error::Unsupported { .. })));
}

#[test]
fn parts_hold_every_sample_once_with_every_class_in_proportion() {
    let digits = Samples::embedded("digits").unwrap();
    let split = Split { validation: 0.15, test: 0.2, seed: 7, ..Split::default() };
    let parts = digits.split(&split).unwrap();
    let (validation, test) = (parts.validation.clone().unwrap(), parts.test.clone().unwrap());
    assert_eq!((parts.train.n(), validation.n(), test.n()), (1797 - 270 - 359, 270, 359));
    let rows = |samples: &Samples| dense(samples).values().chunks(64).map(hash).collect::<Vec<_>>();
    let mut all = [rows(&parts.train), rows(&validation), rows(&test)].concat();
    let mut expected = rows(&digits);
    assert_ne!(all, expected);
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected);
    let count = |samples: &Samples, class: f64| samples.target().to_values().iter().filter(|v| **v == class).count() as f64;
    for class in 0..10 {
        let total = count(&digits, class as f64);
        assert!((count(&test, class as f64) - total * 359.0 / 1797.0).abs() < 1.0, "{class}");
        assert!((count(&validation, class as f64) - total * 270.0 / 1797.0).abs() < 2.0, "{class}");
    }
    assert_eq!(digits.split(&split).unwrap(), parts);
    assert_ne!(digits.split(&Split { seed: 8, ..split.clone() }).unwrap().train, parts.train);
    assert_ne!(digits.split(&Split { stratified: false, ..split }).unwrap().train, parts.train);
}

#[test]
fn small_and_impossible_splits_are_defined() {
    let one = made(vec![1.0], 1);
    let parts = one.split(&Split::default()).unwrap();
    assert_eq!((parts.train, parts.validation, parts.test), (one.clone(), None, None));
    let refused = one.split(&Split { test: 0.1, ..Split::default() }).unwrap_err();
    assert_eq!(refused.to_string(), "option `samples` must be enough for one in every part, found 1");
    let three = made(vec![1.0, 2.0, 3.0], 1);
    let parts = three.split(&Split { test: 0.01, validation: 0.01, ..Split::default() }).unwrap();
    assert_eq!((parts.train.n(), parts.validation.unwrap().n(), parts.test.unwrap().n()), (1, 1, 1));
    for split in [
        Split { test: -0.1, ..Split::default() },
        Split { test: 0.5, validation: 0.5, ..Split::default() },
        Split { validation: f64::NAN, ..Split::default() },
    ] {
        assert!(matches!(three.split(&split), Err(Error::Config { .. })), "{split:?}");
    }
}

#[test]
fn sparse_samples_are_selected_and_filled() {
    let samples = Libsvm::default().parse("s", "1 1:4 3:1\n2 3:-2\n3\n").unwrap();
    let some = samples.select(&[2, 0, 0]).unwrap();
    assert_eq!(some.target(), &Target::Values(vec![3.0, 1.0, 1.0]));
    assert_eq!(some.features().to_batch().unwrap().values(), [0.0, 0.0, 0.0, 4.0, 0.0, 1.0, 4.0, 0.0, 1.0]);
    assert!(samples.select(&[3]).is_err() && samples.select(&[]).is_err());
    let wide = Libsvm { n_features: Some(1 << 30), ..Libsvm::default() }.parse("s", "1\n2 3:1\n").unwrap();
    assert!(matches!(wide.features().to_batch(), Err(Error::Config { .. })));
}

#[test]
fn libsvm_indices_begin_at_zero_or_one_and_come_in_any_order() {
    let text = "# head\n+1 2:0.5 1:-1e-3\r\n\n  -2.5   3:7 # tail 9:9\n0\n";
    let samples = Libsvm::default().parse("s", text).unwrap();
    let expected = [-1e-3, 0.5, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0];
    assert_eq!(samples.features().to_batch().unwrap().values(), expected);
    assert_eq!(samples.target(), &Target::Values(vec![1.0, -2.5, 0.0]));
    assert_eq!(samples.target().clone().into_classes().classes(), ["-2.5", "0", "1"]);
    let zero = Libsvm::default().parse("s", "1 0:5 2:6\n").unwrap();
    assert_eq!(zero.features().to_batch().unwrap().values(), [5.0, 0.0, 6.0]);
    let said = Libsvm { zero_based: Some(true), n_features: Some(4) }.parse("s", "1 1:5\n").unwrap();
    assert_eq!(said.features().to_batch().unwrap().values(), [0.0, 5.0, 0.0, 0.0]);
}

#[test]
fn every_kind_of_offence_in_libsvm_files_is_named_with_its_place() {
    let one = Libsvm { zero_based: Some(false), n_features: Some(3) };
    let cases = [
        (Libsvm::default(), "", 1, None, "samples, found end of file"),
        (Libsvm::default(), "# only\n", 2, None, "samples, found end of file"),
        (Libsvm::default(), "1\n2\n", 3, None, "a feature, found only targets"),
        (Libsvm::default(), "1 1:1\nx 1:1\n", 2, Some("1"), "a number, found `x`"),
        (Libsvm::default(), "1,2 1:1\n", 1, Some("1"), "one target, found `1,2`"),
        (Libsvm::default(), "1:1 2:1\n", 1, Some("1"), "a target, found `1:1`"),
        (Libsvm::default(), "nan 2:1\n", 1, Some("1"), "a finite number, found `nan`"),
        (Libsvm::default(), "1 2:1 3\n", 1, Some("3"), "<index>:<value>, found `3`"),
        (Libsvm::default(), "1 qid:3 1:1\n", 1, Some("2"), "not grouped by queries"),
        (Libsvm::default(), "1 -2:1\n", 1, Some("2"), "a whole number as index, found `-2`"),
        (Libsvm::default(), "1 2:\n", 1, Some("2"), "a number, found ``"),
        (Libsvm::default(), "1 2:1e999\n", 1, Some("2"), "a finite number"),
        (Libsvm::default(), "1 2147483648:1\n", 1, Some("2"), "an index below 2147483648"),
        (Libsvm::default(), "1 2:1\n1 5:1 3:1 5:2\n", 2, None, "every index once, found 5 twice"),
        (one, "1 2:1\n1 1:2 0:1\n", 2, Some("3"), "an index of at least 1, found 0"),
        (one, "1 2:1\n1 1:2 4:1\n", 2, Some("3"), "an index of at most 3, found 4"),
    ];
    for (options, text, line, column, piece) in cases {
        let error = options.parse("s", text).unwrap_err();
        let message = error.to_string();
        let Error::Data { file, line: l, column: c, .. } = error else { panic!("{message}") };
        assert_eq!((&*file, l, c.as_deref()), ("s", line, column), "{message}");
        assert!(message.contains(piece), "{message}");
    }
}

#[test]
fn tables_become_samples_with_numbers_or_classes() {
    let records = Records::parse("t", "a,kind,b\n1,9,2\n3,10,4\n5,9,6\n").unwrap();
    let read = |target, kind| Samples::from_records(&records, target, kind).unwrap();
    let last = read(None, TargetKind::Infer);
    assert_eq!((last.feature_name(1), last.target()), ("kind".into(), &Target::Values(vec![2.0, 4.0, 6.0])));
    let kind = read(Some("kind"), TargetKind::Classes);
    assert_eq!(dense(&kind).values(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(kind.target(), &Target::Classes { labels: vec![0, 1, 0], names: vec!["9".into(), "10".into()] });
    let text = Records::parse("t", "a,kind\n1,9\n3,x\n5,10\n").unwrap();
    let text = Samples::from_records(&text, None, TargetKind::Infer).unwrap();
    assert_eq!(text.target(), &Target::Classes { labels: vec![1, 2, 0], names: ["10", "9", "x"].map(String::from).to_vec() });

    let cases = [
        ("a,b\n1,2\n", Some("c"), TargetKind::Infer, 1, "c", "a column of this name"),
        ("a\n1\n", None, TargetKind::Infer, 1, "a", "a column of features beside the target"),
        ("a,b\n1,2\nNA,3\n", None, TargetKind::Infer, 3, "a", "a number, found a missing value: `NA`"),
        ("a,b\nx,2\n", None, TargetKind::Infer, 2, "a", "a number, found `x`"),
        ("a,b\n1,\n", None, TargetKind::Infer, 2, "b", "a class, found a missing value: ``"),
        ("a,b\n1,?\n", None, TargetKind::Values, 2, "b", "a number, found a missing value: `?`"),
        ("a,b\n1,low\n", None, TargetKind::Values, 2, "b", "a number, found `low`"),
        ("a,b\n1,inf\n", None, TargetKind::Infer, 2, "b", "a finite number, found `inf`"),
    ];
    for (text, target, kind, line, column, piece) in cases {
        let error = Samples::from_records(&Records::parse("t", text).unwrap(), target, kind).unwrap_err();
        let message = error.to_string();
        let Error::Data { line: l, column: c, .. } = error else { panic!("{message}") };
        assert_eq!((l, c.as_deref()), (line, Some(column)), "{message}");
        assert!(message.contains(piece), "{message}");
    }
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let features = || Features::Dense(Batch::new(1, vec![1.0, 2.0]).unwrap());
    let values = |n: usize| Target::Values(vec![0.0; n]);
    let classes = Target::Classes { labels: vec![0, 1], names: vec!["only".into()] };
    assert!(matches!(Samples::new("s", features(), Vec::new(), values(3)), Err(Error::Dimension { .. })));
    assert!(matches!(Samples::new("s", features(), vec!["a".into(), "b".into()], values(2)), Err(Error::Dimension { .. })));
    assert!(matches!(Samples::new("s", features(), Vec::new(), classes), Err(Error::Config { .. })));
    let nan = Target::Values(vec![0.0, f64::NAN]);
    assert!(matches!(Samples::new("s", features(), Vec::new(), nan), Err(Error::NonFinite { .. })));
    let columns = CsMat::new_csc((2, 1), vec![0, 1], vec![0], vec![1.0]);
    assert!(matches!(Samples::new("s", Features::Sparse(columns), Vec::new(), values(2)), Err(Error::Config { .. })));
    let array = |shape: &[usize]| Array { shape: shape.to_vec(), values: vec![1.0; shape.iter().product()] };
    assert!(matches!(Samples::from_arrays("s", array(&[2, 3]), array(&[3])), Err(Error::Dimension { .. })));
    assert!(matches!(Samples::from_arrays("s", array(&[2, 3]), array(&[2, 2])), Err(Error::Dimension { .. })));
    assert_eq!(Samples::from_arrays("s", array(&[2, 3, 2]), array(&[2, 1])).unwrap().dim(), 6);
}

#[test]
fn mutated_tables_and_libsvm_files_are_read_or_refused_but_never_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let libsvm = b"# c\n+1 1:0.5 3:-1e2\n-1 2:7 # x\n2 1:1 2:2\n";
    let table = b"a,b,\"c d\"\n1,2.5,low\n-3e1,4,high\n# c\n5,6,low\n";
    let mut read = [0, 0];
    for _ in 0..300_000 {
        let text = String::from_utf8_lossy(&crate::dataset::mutate(libsvm, &mut random)).into_owned();
        match Libsvm::default().parse("m", &text) {
            Ok(samples) => {
                read[0] += 1;
                assert!(samples.n() == samples.target().n() && samples.dim() > 0);
            }
            Err(Error::Data { line, .. }) => assert!(line >= 1 && line <= text.lines().count() + 1, "{text:?}"),
            Err(other) => panic!("{other}: {text:?}"),
        }
    }
    for _ in 0..200_000 {
        let text = String::from_utf8_lossy(&crate::dataset::mutate(table, &mut random)).into_owned();
        let kind = [TargetKind::Infer, TargetKind::Values, TargetKind::Classes][random.random_range(0..3)];
        match Records::parse("m", &text).and_then(|records| Samples::from_records(&records, None, kind)) {
            Ok(samples) => {
                read[1] += 1;
                assert!(samples.n() == samples.target().n() && samples.dim() > 0);
            }
            Err(Error::Data { line, .. }) => assert!(line >= 1 && line <= text.lines().count() + 1, "{text:?}"),
            Err(other) => panic!("{other}: {text:?}"),
        }
    }
    assert!(read.iter().all(|n| *n > 10_000), "{read:?}");
}
