//! Running averages of curvatures: the closed form of the decayed mean, exact at the first batch, the plain curvature without
//! memory, renewals of the inverse, and the same bits after serialisation.

use curvkit::Error;
use curvkit::counts::Counts;
use curvkit::curvature::{Averaged, Averaging, Blocks, Curvature, Dense, Diagonal, Ekfac, EmpiricalFisher, Fisher, GaussNewton};
use curvkit::curvature::{
    HutchinsonDiagonal, Kfac, KroneckerDamping, MonteCarloFisher, Running, Sharing, Subsampled, TridiagonalKfac,
};
use curvkit::linalg::operator::{Kronecker, KroneckerDiagonal, write_dense};
use curvkit::linalg::{Operator, SymmetricOperator};
use curvkit::loss::SoftmaxCrossEntropy;
use curvkit::model::{Activation, Batch, Initialization, Network};
use curvkit::problem::{At, Supervised};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const L2: f64 = 0.1;

fn normal(dim: usize, n: usize, seed: u64) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Batch::new(dim, (0..dim * n).map(|_| random.sample(StandardNormal)).collect()).expect("batch")
}

fn problem() -> (Supervised, Vec<f64>) {
    let network = Network::perceptron(&[3, 4, 3], Activation::Tanh).expect("network");
    let theta = network.initialize(Initialization::Glorot, 5).expect("parameters");
    let labels = Batch::new(1, (0..24).map(|i| (i * i % 3) as f64).collect()).expect("labels");
    let problem = Supervised::new(network, SoftmaxCrossEntropy, normal(3, 24, 1), labels).and_then(|p| p.l2(L2));
    (problem.expect("problem"), theta)
}

/// The rows of the `k`-th batch.
fn rows(k: usize) -> Vec<usize> {
    (0..8).map(|i| (7 * k + 5 * i + i * i) % 24).collect()
}

/// What `see` says of the operator on the `k`-th batch.
fn at<C: Curvature<Supervised>, T>(
    curvature: &mut C,
    (problem, x): &(Supervised, Vec<f64>),
    k: usize,
    see: impl FnOnce(Operator<'_>) -> T,
) -> T {
    let (counts, rows) = (Counts::default(), rows(k));
    see(curvature.at(At { problem, x, rows: Some(&rows), counts: &counts }).expect("curvature"))
}

fn entries(operator: &dyn SymmetricOperator) -> Vec<f64> {
    let mut entries = vec![0.0; operator.dim() * operator.dim()];
    write_dense(operator, &mut entries).expect("entries");
    entries
}

/// The matrix and its inverse at a damping.
fn both(operator: Operator<'_>, damping: f64) -> (Vec<f64>, Option<Vec<f64>>) {
    let inverse = operator.inverse(damping).map(|inverse| entries(&*inverse.expect("inverse")));
    (entries(&*operator), inverse)
}

fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

/// `Σ_k β^{t−k} s_k / Σ_k β^{t−k}`.
fn decayed(decay: f64, parts: &[Vec<f64>]) -> Vec<f64> {
    let weight = |k: usize| decay.powi((parts.len() - 1 - k) as i32);
    let total: f64 = (0..parts.len()).map(weight).sum();
    let mean = |i: usize| (0..parts.len()).map(|k| weight(k) * parts[k][i]).sum::<f64>() / total;
    (0..parts[0].len()).map(mean).collect()
}

#[test]
fn averages_are_the_decayed_means_of_what_the_matrices_are_made_from() {
    let here = problem();
    fn check<C: Averaged + Clone>(here: &(Supervised, Vec<f64>), curvature: C)
    where
        Running<C>: Curvature<Supervised>,
    {
        let mut running = Running::new(curvature.clone(), Averaging { decay: 0.7, ..Default::default() });
        let mut seen: Vec<Vec<f64>> = Vec::new();
        for k in 0..5 {
            at(&mut running, here, k, |_| ());
            let batch = here.0.evaluate_rows(&here.1, Some(&rows(k))).expect("evaluation");
            seen.push(curvature.statistics(&batch).expect("statistics").concat());
            assert!(difference(&running.means().concat(), &decayed(0.7, &seen)) <= 1e-14);
        }
    }
    check(&here, Dense(GaussNewton));
    check(&here, Diagonal(EmpiricalFisher));
    check(&here, Blocks(Fisher));
    check(&here, Kfac::<GaussNewton>::default());
    check(&here, TridiagonalKfac::<GaussNewton>::default());
    // The statistics of a dense matrix are its entries, those of K-FAC its factors.
    let batch = here.0.evaluate_rows(&here.1, Some(&rows(0))).expect("evaluation");
    let kfac = Kfac::<GaussNewton>::default();
    let factors = kfac.factors(&batch).expect("factors");
    let expected: Vec<Vec<f64>> = factors.iter().flat_map(|k| [k.a().to_vec(), k.g().to_vec()]).collect();
    assert_eq!(kfac.statistics(&batch).expect("statistics"), expected);
}

#[test]
fn matrices_and_inverses_of_averages_are_those_of_the_means() {
    let here = problem();
    let n = here.1.len();
    let mut seen = Vec::new();
    let mut running = Running::new(Dense(GaussNewton), Averaging { decay: 0.7, ..Default::default() });
    for k in 0..4 {
        seen.push(at(&mut Dense(GaussNewton), &here, k, |operator| entries(&*operator)));
        let (matrix, inverse) = at(&mut running, &here, k, |operator| both(operator, 0.5));
        assert!(difference(&matrix, &decayed(0.7, &seen)) <= 1e-14);
        let inverse = inverse.expect("inverse");
        for (j, column) in inverse.chunks(n).enumerate() {
            let product = |i: usize| (0..n).map(|l| matrix[l * n + i] * column[l]).sum::<f64>() + 0.5 * column[i];
            assert!((0..n).all(|i| (product(i) - f64::from(i == j)).abs() <= 1e-12));
        }
    }
    // The blocks A ⊗ G of averaged factors, and λI.
    let mut running = Running::new(Kfac::<GaussNewton>::default(), Averaging { decay: 0.7, ..Default::default() });
    let matrix = (0..3).map(|k| at(&mut running, &here, k, |operator| entries(&*operator))).last().expect("matrix");
    let (means, layout) = (running.means(), here.0.layout());
    for (block, factors) in layout.iter().zip(means.chunks(2)) {
        for (i, j) in block.range().flat_map(|i| block.range().map(move |j| (i, j))) {
            let (i0, j0, p, q) = (i - block.offset, j - block.offset, block.columns, block.rows);
            let kronecker = factors[0][j0 / q * p + i0 / q] * factors[1][j0 % q * q + i0 % q];
            assert!((matrix[j * n + i] - kronecker - if i == j { L2 } else { 0.0 }).abs() <= 1e-14);
        }
    }
}

/// Calls the macro `check` with every curvature that has a running average.
macro_rules! every_form {
    ($check:ident) => {
        $check!(Dense(GaussNewton));
        $check!(Dense(MonteCarloFisher { samples: 2, seed: 3 }));
        $check!(Diagonal(Fisher));
        $check!(Blocks(EmpiricalFisher));
        $check!(Kfac::<GaussNewton>::default());
        $check!(Kfac::<MonteCarloFisher> { damping: KroneckerDamping::Factored, ..Default::default() });
        $check!(Ekfac::<GaussNewton>::default());
        $check!(Ekfac::<MonteCarloFisher> { sharing: Sharing::Reduce, ..Default::default() });
        $check!(TridiagonalKfac::<GaussNewton>::default());
    };
}

#[test]
fn first_batch_is_the_plain_curvature_bit_for_bit() {
    let here = problem();
    macro_rules! check {
        ($curvature:expr) => {
            let (matrix, inverse) = at(&mut $curvature, &here, 0, |operator| both(operator, 0.3));
            let found = at(&mut Running::new($curvature, Averaging::default()), &here, 0, |operator| both(operator, 0.3));
            assert_eq!(found.0, matrix, "{}", stringify!($curvature));
            if let Some(inverse) = inverse {
                // Where the regulariser is an entry, it is added before the damping.
                assert!(difference(&found.1.expect("inverse"), &inverse) <= 1e-13, "{}", stringify!($curvature));
            }
        };
    }
    every_form!(check);
}

#[test]
fn averages_without_memory_are_the_plain_curvature_bit_for_bit() {
    let here = problem();
    macro_rules! check {
        ($curvature:expr) => {
            let mut running = Running::new($curvature, Averaging { decay: 0.0, ..Default::default() });
            for k in 0..4 {
                // The plain one with the labels that are drawn next.
                let mut plain = running.curvature;
                let (matrix, _) = at(&mut plain, &here, k, |operator| both(operator, 0.3));
                assert_eq!(at(&mut running, &here, k, |operator| entries(&*operator)), matrix, "{} {k}", stringify!($curvature));
            }
        };
    }
    every_form!(check);
    // New labels every time.
    let mut running = Running::new(Dense(MonteCarloFisher::default()), Averaging { decay: 0.0, ..Default::default() });
    let first = at(&mut running, &here, 0, |operator| entries(&*operator));
    assert_ne!(first, at(&mut running, &here, 0, |operator| entries(&*operator)));
}

#[test]
fn inverses_are_renewed_at_their_period_and_for_every_damping() {
    let here = problem();
    let mut running = Running::new(Kfac::<GaussNewton>::default(), Averaging { renew_every: 5, ..Default::default() });
    let seen: Vec<_> = (0..7).map(|k| at(&mut running, &here, k, |operator| both(operator, 0.3))).collect();
    let inverse = |k: usize| seen[k].1.as_ref().expect("inverse");
    // At the first three calls, then at the sixth.
    for (k, same) in [(1, false), (2, false), (3, true), (4, true), (5, false), (6, true)] {
        assert_eq!(inverse(k) == inverse(k - 1), same, "{k}");
        assert_ne!(seen[k].0, seen[k - 1].0, "products are of the newest average");
    }
    let n = here.1.len();
    // Another damping of the same old matrix, then the first one again.
    let other = at(&mut running, &here, 7, |operator| both(operator, 2.0).1);
    let other = other.expect("inverse");
    for (j, column) in other.chunks(n).enumerate() {
        let product = |i: usize| (0..n).map(|l| seen[5].0[l * n + i] * column[l]).sum::<f64>() + 2.0 * column[i];
        assert!((0..n).all(|i| (product(i) - f64::from(i == j)).abs() <= 1e-12));
    }
    assert_eq!(at(&mut running, &here, 8, |operator| both(operator, 0.3)).1.as_ref(), Some(inverse(5)));
}

#[test]
fn batches_between_updates_leave_the_average() {
    let here = problem();
    let mut running = Running::new(Diagonal(GaussNewton), Averaging { update_every: 3, ..Default::default() });
    let means: Vec<_> = (0..7)
        .map(|k| {
            at(&mut running, &here, k, |_| ());
            running.means()
        })
        .collect();
    assert!((1..7).all(|k| (means[k] == means[k - 1]) == (k % 3 != 0)));
}

/// `Q diag(Qᵀ B Q) Qᵀ` of a block.
fn projected(block: &[f64], basis: &curvkit::linalg::operator::KroneckerBasis) -> Vec<f64> {
    let (p, q) = (basis.inputs.dim(), basis.outputs.dim());
    let n = p * q;
    let vector = |k: usize| -> Vec<f64> {
        let (a, g) = (&basis.inputs.vectors()[k / q * p..][..p], &basis.outputs.vectors()[k % q * q..][..q]);
        a.iter().flat_map(|a| g.iter().map(move |g| a * g)).collect()
    };
    let mut out = vec![0.0; n * n];
    for k in 0..n {
        let v = vector(k);
        let value: f64 = (0..n * n).map(|e| v[e % n] * block[e] * v[e / n]).sum();
        out.iter_mut().enumerate().for_each(|(e, o)| *o += value * v[e % n] * v[e / n]);
    }
    out
}

#[test]
fn corrected_eigenvalues_are_averaged_in_the_basis_of_the_last_renewal() {
    let here = problem();
    let (n, beta) = (here.1.len(), 0.7);
    let block_of = |matrix: &[f64], l: usize| -> Vec<f64> {
        let range = here.0.layout()[l].range();
        let entry = |i: usize, j: usize| matrix[j * n + i] - if i == j { L2 } else { 0.0 };
        range.clone().flat_map(|j| range.clone().map(move |i| (i, j))).map(|(i, j)| entry(i, j)).collect()
    };
    let mut running =
        Running::new(Ekfac::<GaussNewton>::default(), Averaging { decay: beta, renew_every: 100, ..Default::default() });
    let mut matrices = Vec::new();
    let mut bases = Vec::new();
    for k in 0..5 {
        matrices.push(at(&mut running, &here, k, |operator| entries(&*operator)));
        if k < 3 {
            let basis = |(block, pair): (&curvkit::model::Block, &[Vec<f64>])| {
                let factors = Kronecker::new(block.columns, pair[0].clone(), block.rows, pair[1].clone()).expect("factors");
                factors.basis().expect("basis").clone()
            };
            bases = here.0.layout().iter().zip(running.means().chunks(2)).map(basis).collect();
        }
        let exact = at(&mut Blocks(GaussNewton), &here, k, |operator| entries(&*operator));
        for (l, basis) in bases.iter().enumerate() {
            let new = projected(&block_of(&exact, l), basis);
            let expected = if k == 0 {
                new
            } else {
                let (before, weight) = (block_of(&matrices[k - 1], l), |k: usize| (1.0 - beta.powi(k as i32 + 1)) / (1.0 - beta));
                let old = projected(&before, basis);
                old.iter().zip(&new).map(|(o, n)| (beta * weight(k - 1) * o + n) / weight(k)).collect()
            };
            let e = difference(&block_of(&matrices[k], l), &expected);
            assert!(e <= 1e-12, "{k} {l} {e:e}");
        }
    }
}

#[test]
fn turned_eigenvalues_are_the_diagonal_in_the_other_basis() {
    let kronecker = |seed: u64| {
        let gram = |n: usize, seed: u64| {
            let x = normal(n, n + 2, seed);
            let entry = |k: usize| (0..n + 2).map(|i| x.sample(i)[k % n] * x.sample(i)[k / n]).sum::<f64>();
            (0..n * n).map(entry).collect::<Vec<f64>>()
        };
        Kronecker::new(3, gram(3, seed), 2, gram(2, seed + 1)).expect("factors").basis().expect("basis").clone()
    };
    let (old, new) = (kronecker(1), kronecker(5));
    let values: Vec<f64> = (1..=6).map(f64::from).collect();
    let matrix = entries(&KroneckerDiagonal::new(old.clone(), values.clone()).expect("matrix"));
    let turned = KroneckerDiagonal::new(new.clone(), old.turned_to(&new, &values).expect("turned")).expect("matrix");
    assert!(difference(&entries(&turned), &projected(&matrix, &new)) <= 1e-13);
    assert!(matches!(old.turned_to(&new, &values[1..]), Err(Error::Dimension { .. })));
}

#[test]
fn averages_of_diagonal_estimates_are_decayed_means_with_moduli_at_the_end() {
    let here = problem();
    let mut plain = HutchinsonDiagonal::new(2, 9);
    plain.absolute = false;
    let mut running = Running::new(HutchinsonDiagonal::new(2, 9), Averaging { decay: 0.7, ..Default::default() });
    let mut seen = Vec::new();
    let mut diagonal = Vec::new();
    let of = |operator: Operator<'_>| -> Vec<f64> { entries(&*operator).into_iter().step_by(here.1.len() + 1).collect() };
    for k in 0..4 {
        seen.push(at(&mut plain, &here, k, of));
        diagonal = at(&mut running, &here, k, of);
    }
    let expected: Vec<f64> = decayed(0.7, &seen).iter().map(|d| d.abs()).collect();
    assert!(difference(&diagonal, &expected) <= 1e-14);
    assert!(decayed(0.7, &seen).iter().any(|d| *d < 0.0));
}

#[test]
fn bad_batches_and_options_are_refused_and_leave_the_average() {
    let (problem, theta) = problem();
    let counts = Counts::default();
    let mut running = Running::new(Kfac::<GaussNewton>::default(), Averaging::default());
    let at = |x| At { problem: &problem, x, rows: None, counts: &counts };
    running.at(at(&theta)).expect("curvature");
    let before = running.clone();
    let nan = vec![f64::NAN; theta.len()];
    assert!(matches!(running.at(at(&nan)).err(), Some(Error::NonFinite { .. })));
    assert_eq!(running.means(), before.means());
    assert_eq!(running, before);
    for bad in [
        Averaging { decay: 1.0, ..Default::default() },
        Averaging { decay: f64::NAN, ..Default::default() },
        Averaging { update_every: 0, ..Default::default() },
        Averaging { renew_every: 0, ..Default::default() },
    ] {
        assert!(matches!(bad.validate(), Err(Error::Config { .. })));
        let mut running = Running::new(Kfac::<GaussNewton>::default(), bad);
        assert!(matches!(running.at(at(&theta)).err(), Some(Error::Config { .. })));
    }
}

#[test]
fn averages_precondition_by_their_inverse() {
    let (problem, x) = problem();
    let (counts, rows) = (Counts::default(), rows(0));
    let at = At { problem: &problem, x: &x, rows: Some(&rows), counts: &counts };
    let mut update = x.clone();
    let mut running = Running::new(Kfac::<GaussNewton>::default(), Averaging::default());
    assert_eq!(running.precondition(at, 0.3, &mut update).expect("update"), 0);
    let mut expected = vec![0.0; x.len()];
    let mut plain = Kfac::<GaussNewton>::default();
    let operator = plain.at(at).expect("curvature");
    operator.inverse(0.3).expect("closed form").and_then(|inverse| inverse.apply(&x, &mut expected)).expect("product");
    assert_eq!(update, expected);
}

#[cfg(feature = "serde")]
#[test]
fn serialised_averages_go_on_bit_for_bit() {
    let here = problem();
    macro_rules! check {
        ($curvature:expr) => {
            let mut running = Running::new($curvature, Averaging { decay: 0.7, renew_every: 4, update_every: 2 });
            for k in 0..9 {
                let saved = serde_json::to_value(&running).expect("serialised");
                let mut restored = running.clone();
                restored.clone_from(&serde_json::from_value(saved).expect("restored"));
                let found = at(&mut restored, &here, k, |operator| both(operator, 0.3));
                assert_eq!(found, at(&mut running, &here, k, |operator| both(operator, 0.3)), "{} {k}", stringify!($curvature));
            }
        };
    }
    every_form!(check);
}
