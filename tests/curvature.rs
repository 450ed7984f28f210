//! Curvature matrices of models against reference matrices computed from the definitions by automatic differentiation
//! (tests/fixtures/curvature), every entry, and against dense references by dual numbers on random models.

#[path = "common/fixtures.rs"]
mod fixtures;

use approx::assert_relative_eq;
use curvkit::curvature::{Blocks, Dense, Diagonal, EmpiricalFisher, Explicit, Fisher, GaussNewton, MonteCarloFisher};
use curvkit::curvature::{Ekfac, Kfac, OuterProducts, OutputFactor, Sharing, TridiagonalKfac};
use curvkit::linalg::SymmetricOperator;
use curvkit::linalg::factor::SymmetricEigen;
use curvkit::linalg::operator::Kronecker;
use curvkit::linalg::vector::norm;
use curvkit::loss::{SoftmaxCrossEntropy, SquaredError};
use curvkit::model::{Activation, Batch, Convolution, Initialization, Model, Network};
use curvkit::problem::{HessianProduct, Supervised};
use fixtures::{Fixture, fixtures};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The matrix of a product, column by column.
fn columns(n: usize, mut product: impl FnMut(&[f64], &mut [f64])) -> Vec<f64> {
    let mut matrix = vec![0.0; n * n];
    let mut unit = vec![0.0; n];
    for j in 0..n {
        unit[j] = 1.0;
        product(&unit, &mut matrix[j * n..(j + 1) * n]);
        unit[j] = 0.0;
    }
    matrix
}

fn dense(operator: &dyn SymmetricOperator) -> Vec<f64> {
    columns(operator.dim(), |v, out| operator.apply(v, out).expect("product"))
}

/// Greatest difference relative to the largest entry.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

fn assert_close(what: &str, name: &str, found: &[f64], expected: &[f64]) {
    let e = difference(found, expected);
    println!("{name:24} {what:18} {e:.1e}");
    assert!(e <= 1e-12, "{name}: {what} differs by {e:e}");
}

fn products(source: &dyn OuterProducts, problem: &Supervised, theta: &[f64]) -> Vec<f64> {
    dense(&*source.products(problem.evaluate(theta).expect("evaluation")).expect("products"))
}

#[test]
fn values_and_gradients_of_models_equal_the_reference() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let at = problem.evaluate(&theta).expect("evaluation");
        assert_close("outputs", &name, at.forward().outputs(), &reference.vector("outputs"));
        assert_close("loss", &name, &[at.cost()], &[reference.number("loss_value")]);
        let mut gradient = vec![0.0; theta.len()];
        at.gradient(&mut gradient).expect("gradient");
        assert_close("gradient", &name, &gradient, &reference.vector("gradient"));
        let mut samples = vec![0.0; theta.len() * at.n()];
        let backward = at.backward().expect("backward pass");
        for (i, g) in samples.chunks_exact_mut(theta.len()).enumerate() {
            backward.sample_gradient(i, g).expect("sample gradient");
        }
        assert_close("sample gradients", &name, &samples, &reference.vector("sample_gradients"));
    }
}

#[test]
fn products_of_every_curvature_equal_the_reference() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let hessian = columns(theta.len(), |v, out| problem.hessian_product(&theta, v, out).expect("product"));
        assert_close("Hessian", &name, &hessian, &reference.vector("hessian"));
        assert_close("GGN", &name, &products(&GaussNewton, &problem, &theta), &reference.vector("ggn"));
        let empirical = products(&EmpiricalFisher, &problem, &theta);
        assert_close("empirical Fisher", &name, &empirical, &reference.vector("empirical_fisher"));
        let fisher = if reference.has("fisher") { "fisher" } else { "ggn" };
        assert_close("Fisher", &name, &products(&Fisher, &problem, &theta), &reference.vector(fisher));
    }
}

#[test]
fn residual_part_is_the_hessian_less_the_gauss_newton_matrix() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let at = problem.evaluate(&theta).expect("evaluation");
        let part = columns(theta.len(), |v, out| at.residual_product(v, out).expect("product"));
        let n = theta.len();
        let (hessian, ggn) = (reference.vector("hessian"), reference.vector("ggn"));
        let regularizer = |k: usize| if k.is_multiple_of(n + 1) { at.l2() } else { 0.0 };
        let expected: Vec<f64> = (0..n * n).map(|k| hessian[k] - ggn[k] - regularizer(k)).collect();
        let largest = hessian.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let worst = part.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest;
        assert!(worst <= 1e-12, "{name}: {worst:e}");
    }
}

#[test]
fn monte_carlo_fisher_is_the_fisher_matrix_within_its_error() {
    for Fixture { name, problem, theta, .. } in fixtures() {
        let exact = products(&Fisher, &problem, &theta);
        let samples = 20_000;
        let drawn = products(&MonteCarloFisher { samples, seed: 3 }, &problem, &theta);
        let norm = |m: &[f64]| m.iter().map(|v| v * v).sum::<f64>().sqrt();
        let apart: Vec<f64> = drawn.iter().zip(&exact).map(|(a, b)| a - b).collect();
        let error = norm(&apart) / norm(&exact);
        println!("{name:24} Monte-Carlo Fisher {error:.1e}");
        // Each draw is one of n independent ones with a relative deviation of order 1 to 3.
        assert!(error < 4.0 / (samples as f64).sqrt(), "{name}: {error:e}");
        assert!(error > 0.0);
    }
}

/// The entries of an explicit matrix, after holding its closed forms against them.
fn entries(curvature: &dyn Explicit, problem: &Supervised, theta: &[f64]) -> Vec<f64> {
    let at = problem.evaluate(theta).expect("evaluation");
    let matrix = curvature.matrix(&at).expect("matrix");
    let n = matrix.dim();
    let mut entries = vec![0.0; n * n];
    matrix.write_entries(&mut entries).expect("entries");
    let by_products = dense(&*matrix);
    assert!(difference(&by_products, &entries) < 1e-13, "products and entries differ");
    let mut diagonal = vec![0.0; n];
    matrix.write_diagonal(&mut diagonal).expect("diagonal");
    let of_entries: Vec<f64> = entries.iter().step_by(n + 1).copied().collect();
    assert!(difference(&diagonal, &of_entries) < 1e-13);
    assert_relative_eq!(matrix.trace(), of_entries.iter().sum::<f64>(), max_relative = 1e-13);
    assert_relative_eq!(matrix.frobenius_norm(), norm(&entries), max_relative = 1e-13);
    entries
}

/// The blocks of a matrix that belong to the layers, everything else zero.
fn layer_blocks(problem: &Supervised, matrix: &[f64]) -> Vec<f64> {
    let layout = problem.model().layout();
    let n = problem.model().n_params();
    let inside = |i: usize, j: usize| layout.iter().any(|b| b.range().contains(&i) && b.range().contains(&j));
    (0..n * n).map(|k| if inside(k % n, k / n) { matrix[k] } else { 0.0 }).collect()
}

#[test]
fn entries_diagonals_and_blocks_equal_the_reference() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let n = theta.len();
        for (key, forms) in [
            ("ggn", [&Dense(GaussNewton) as &dyn Explicit, &Blocks(GaussNewton), &Diagonal(GaussNewton)]),
            ("fisher", [&Dense(Fisher), &Blocks(Fisher), &Diagonal(Fisher)]),
            ("empirical_fisher", [&Dense(EmpiricalFisher), &Blocks(EmpiricalFisher), &Diagonal(EmpiricalFisher)]),
        ] {
            if !reference.has(key) {
                continue;
            }
            let exact = reference.vector(key);
            let diagonal: Vec<f64> = (0..n * n).map(|k| if k % n == k / n { exact[k] } else { 0.0 }).collect();
            assert_close(&format!("{key} dense"), &name, &entries(forms[0], &problem, &theta), &exact);
            let blocks = layer_blocks(&problem, &exact);
            assert_close(&format!("{key} blocks"), &name, &entries(forms[1], &problem, &theta), &blocks);
            assert_close(&format!("{key} diagonal"), &name, &entries(forms[2], &problem, &theta), &diagonal);
        }
    }
}

#[test]
fn kronecker_factors_equal_the_reference() {
    for Fixture { name, problem, theta, reference } in fixtures() {
        let at = problem.evaluate(&theta).expect("evaluation");
        let factors = |kfac: Vec<Kronecker>| -> Vec<(Vec<f64>, Vec<f64>)> {
            kfac.iter().map(|k| (k.a().to_vec(), k.g().to_vec())).collect()
        };
        if reference.has("kfac_A_expand") {
            for (sharing, a, g) in
                [(Sharing::Expand, "kfac_A_expand", "kfac_G_expand"), (Sharing::Reduce, "kfac_A_reduce", "kfac_G_reduce")]
            {
                let found = factors(Kfac { source: GaussNewton, sharing, ..Default::default() }.factors(&at).expect("factors"));
                assert_close(a, &name, &found[0].0, &reference.vector(a));
                assert_close(g, &name, &found[0].1, &reference.vector(g));
            }
            continue;
        }
        let exact = factors(Kfac { source: GaussNewton, ..Default::default() }.factors(&at).expect("factors"));
        let empirical = factors(Kfac { source: EmpiricalFisher, ..Default::default() }.factors(&at).expect("factors"));
        for (l, a) in reference.layers("kfac_A").iter().enumerate() {
            assert_close("K-FAC A", &name, &exact[l].0, a);
            assert_close("K-FAC G", &name, &exact[l].1, &reference.layers("kfac_G")[l]);
            assert_close("K-FAC G empirical", &name, &empirical[l].1, &reference.layers("kfac_G_empirical")[l]);
        }
    }
}

#[test]
fn eigenvalue_corrected_blocks_equal_the_reference() {
    for Fixture { name, problem, theta, reference } in fixtures().into_iter().filter(|f| f.reference.has("ekfac_blocks")) {
        let at = problem.evaluate(&theta).expect("evaluation");
        let found = entries(&Ekfac { source: GaussNewton, ..Default::default() }, &problem, &theta);
        let n = theta.len();
        let (mut worst, mut largest) = (0.0f64, 0.0f64);
        for (block, expected) in at.layout().iter().zip(reference.layers("ekfac_blocks")) {
            let size = block.range().len();
            for (k, e) in expected.iter().enumerate() {
                let (i, j) = (block.offset + k % size, block.offset + k / size);
                worst = worst.max((found[j * n + i] - e).abs());
                largest = largest.max(e.abs());
            }
        }
        println!("{name:24} EKFAC {:.1e}", worst / largest);
        assert!(worst <= 1e-12 * largest, "{name}: {worst:e}");
    }
}

#[test]
fn eigenvalue_correction_keeps_the_trace_and_lowers_the_frobenius_error() {
    for Fixture { name, problem, theta, .. } in fixtures() {
        let exact = entries(&Blocks(GaussNewton), &problem, &theta);
        for sharing in [Sharing::Expand, Sharing::Reduce] {
            let kfac = entries(&Kfac { source: GaussNewton, sharing, ..Default::default() }, &problem, &theta);
            let ekfac = entries(&Ekfac { source: GaussNewton, sharing }, &problem, &theta);
            let trace = |m: &[f64]| m.iter().step_by(theta.len() + 1).sum::<f64>();
            assert_relative_eq!(trace(&ekfac), trace(&exact), max_relative = 1e-12);
            let error = |m: &[f64]| norm(&m.iter().zip(&exact).map(|(a, b)| a - b).collect::<Vec<f64>>());
            println!("{name:24} {sharing:?}: K-FAC {:.3e}, EKFAC {:.3e}", error(&kfac), error(&ekfac));
            assert!(error(&ekfac) <= error(&kfac) * (1.0 + 1e-12) + 1e-14);
        }
    }
}

/// A batch of standard normal numbers.
fn normal(dim: usize, n: usize, seed: u64) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Batch::new(dim, (0..dim * n).map(|_| random.sample(StandardNormal)).collect()).expect("batch")
}

#[test]
fn kfac_is_exact_for_one_sample() {
    for (k, activation) in [Activation::Tanh, Activation::Sigmoid, Activation::Relu, Activation::Gelu].into_iter().enumerate() {
        let net = Network::perceptron(&[5, 4, 4, 3], activation).expect("network");
        let theta = net.initialize(Initialization::Glorot, k as u64).expect("parameters");
        let label = Batch::new(1, vec![2.0]).expect("label");
        let problem = Supervised::new(net, SoftmaxCrossEntropy, normal(5, 1, 9), label).expect("problem");
        for (kfac, blocks) in [
            (entries(&Kfac::<GaussNewton>::default(), &problem, &theta), entries(&Blocks(GaussNewton), &problem, &theta)),
            (entries(&Kfac::<EmpiricalFisher>::default(), &problem, &theta), entries(&Blocks(EmpiricalFisher), &problem, &theta)),
        ] {
            assert!(difference(&kfac, &blocks) <= 1e-12, "{activation:?}");
        }
    }
}

#[test]
fn kfac_is_exact_for_deep_linear_networks_with_squared_error() {
    let net = Network::perceptron(&[4, 3, 3, 2], Activation::Identity).expect("network");
    let theta = net.initialize(Initialization::Orthogonal, 1).expect("parameters");
    let problem = Supervised::new(net, SquaredError, normal(4, 6, 2), normal(2, 6, 3)).expect("problem");
    let kfac = entries(&Kfac::<GaussNewton>::default(), &problem, &theta);
    assert!(difference(&kfac, &entries(&Blocks(GaussNewton), &problem, &theta)) <= 1e-12);
    let empirical = entries(&Kfac::<EmpiricalFisher>::default(), &problem, &theta);
    assert!(
        difference(&empirical, &entries(&Blocks(EmpiricalFisher), &problem, &theta)) > 1e-3,
        "the empirical one is not exact"
    );
}

#[test]
fn reduced_kfac_is_exact_for_linear_layers_summed_over_positions() {
    // Convolutions of width 1 are dense layers at six shared positions; the last layer sums over them.
    let net = Network::image(3, 1, 6).expect("image");
    let net = net.convolution(Convolution::line(2, 1), Activation::Identity).expect("convolution");
    let net = net.dense(2, Activation::Identity).expect("dense");
    let mut theta = net.initialize(Initialization::Glorot, 4).expect("parameters");
    let layout = net.layout();
    // Channel after channel: every position of a channel gets the same weight.
    let dense = &layout[1];
    for output in 0..2 {
        for channel in 0..2 {
            let weight = theta[dense.offset + channel * 6 * 2 + output];
            (0..6).for_each(|s| theta[dense.offset + (channel * 6 + s) * 2 + output] = weight);
        }
    }
    let problem = Supervised::new(net, SquaredError, normal(18, 5, 2), normal(2, 5, 3)).expect("problem");
    let block = |matrix: &[f64]| -> Vec<f64> {
        let (n, size) = (theta.len(), layout[0].range().len());
        (0..size * size).map(|k| matrix[k / size * n + k % size]).collect()
    };
    let exact = block(&entries(&Blocks(GaussNewton), &problem, &theta));
    let reduced = block(&entries(&Kfac { sharing: Sharing::Reduce, ..Kfac::<GaussNewton>::default() }, &problem, &theta));
    let expanded = block(&entries(&Kfac::<GaussNewton>::default(), &problem, &theta));
    assert!(difference(&reduced, &exact) <= 1e-12);
    assert!(difference(&expanded, &exact) > 0.1, "expanding underestimates here");
}

#[test]
fn damped_solves_and_log_determinants_of_every_form_hold_over_sixteen_decades() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut worst = (0.0f64, String::new());
    for Fixture { name, problem, theta, .. } in fixtures() {
        let forms: [(&str, &dyn Explicit); 8] = [
            ("dense", &Dense(GaussNewton)),
            ("diagonal", &Diagonal(GaussNewton)),
            ("blocks", &Blocks(GaussNewton)),
            ("dense empirical", &Dense(EmpiricalFisher)),
            ("K-FAC", &Kfac::<GaussNewton> { ..Default::default() }),
            ("K-FAC reduce", &Kfac::<GaussNewton> { sharing: Sharing::Reduce, ..Default::default() }),
            ("K-FAC inputs", &Kfac::<GaussNewton> { outputs: OutputFactor::Identity, ..Default::default() }),
            ("EKFAC", &Ekfac::<GaussNewton> { ..Default::default() }),
        ];
        let at = problem.evaluate(&theta).expect("evaluation");
        for (form, curvature) in forms {
            let matrix = curvature.matrix(&at).expect("matrix");
            let n = matrix.dim();
            let mut eigen = SymmetricEigen::default();
            eigen.factor(n, &dense(&*matrix)).expect("eigenvalues");
            let largest = eigen.values()[n - 1];
            // A right-hand side in the range of the matrix has a solution of moderate size. Another one has a solution of size
            // ‖b‖/λ in the null space, and rounding that solution alone leaves a residual of ε ‖B‖ ‖b‖ / λ.
            let y: Vec<f64> = (0..n).map(|_| random.sample(StandardNormal)).collect();
            let mut inside = vec![0.0; n];
            matrix.apply(&y, &mut inside).expect("product");
            for decade in -8..=8 {
                let damping = largest * 10f64.powi(decade);
                let inverse = matrix.damped_inverse(damping).expect("inverse");
                let solve = |b: &[f64]| {
                    let (mut x, mut r) = (vec![0.0; n], vec![0.0; n]);
                    inverse.apply(b, &mut x).expect("solve");
                    matrix.apply(&x, &mut r).expect("product");
                    (0..n).for_each(|i| r[i] += damping * x[i] - b[i]);
                    (norm(&r), norm(&x))
                };
                let residual = solve(&inside).0 / norm(&inside);
                if residual > worst.0 {
                    worst = (residual, format!("{name}, {form}, 1e{decade}"));
                }
                let (r, x) = solve(&y);
                let size = (largest + damping) * x + norm(&y);
                assert!(r <= 1e-14 * size, "{name} {form} {decade}: backward error {:e}", r / size);
                let expected: f64 = eigen.values().iter().map(|v| (v.max(0.0) + damping).ln()).sum();
                let found = matrix.log_determinant(damping).expect("log-determinant");
                assert!((found - expected).abs() <= 1e-6 * n as f64, "{name} {form} {decade}: {found} {expected}");
            }
        }
    }
    println!("worst residual of a damped solve {:.1e} ({})", worst.0, worst.1);
    assert!(worst.0 <= 1e-10, "{worst:?}");
}

#[test]
fn tridiagonal_kfac_agrees_with_the_kronecker_blocks_and_has_a_block_tridiagonal_inverse() {
    let net = Network::perceptron(&[3, 4, 3, 2], Activation::Tanh).expect("network");
    let theta = net.initialize(Initialization::Glorot, 4).expect("parameters");
    let layout = net.layout();
    let problem = Supervised::new(net, SquaredError, normal(3, 60, 2), normal(2, 60, 3)).expect("problem");
    let at = problem.evaluate(&theta).expect("evaluation");
    let n = theta.len();
    let matrix = TridiagonalKfac::<GaussNewton>::default().factors(&at).and_then(|f| f.damped(0.0)).expect("matrix");
    let whole = dense(&matrix);
    let inverse = columns(n, |v, out| matrix.apply_inverse(v, out).expect("product"));
    // One is the inverse of the other.
    let identity = columns(n, |v, out| {
        let mut w = vec![0.0; n];
        matrix.apply(v, &mut w).and_then(|()| matrix.apply_inverse(&w, out)).expect("product");
    });
    let unit: Vec<f64> = (0..n * n).map(|k| f64::from(k.is_multiple_of(n + 1))).collect();
    assert!(difference(&identity, &unit) < 1e-9, "{:e}", difference(&identity, &unit));
    // The Kronecker products of neighbouring layers, from the definition: A and G as sums over samples and root columns.
    let (mut inputs, mut signals): (Vec<Vec<Vec<f64>>>, Vec<Vec<Vec<f64>>>) = (Vec::new(), Vec::new());
    GaussNewton
        .each(&at, &mut |pass| {
            for (l, layer) in pass.layers().iter().enumerate() {
                if inputs.len() == l {
                    inputs.push(layer.inputs.col_iter().map(|c| c.iter().copied().chain([1.0]).collect()).collect());
                    signals.push(Vec::new());
                }
                signals[l].extend(layer.signals.col_iter().map(|c| c.iter().copied().collect::<Vec<f64>>()));
            }
            Ok(())
        })
        .expect("passes");
    let mean = |x: &[Vec<f64>], y: &[Vec<f64>], i: usize, j: usize| x.iter().zip(y).map(|(x, y)| x[i] * y[j]).sum::<f64>() / 60.0;
    let largest = whole.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let scale = inverse.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let (mut beside, mut far) = (0.0f64, 0.0f64);
    for (l, a) in layout.iter().enumerate() {
        for (m, b) in layout.iter().enumerate() {
            for (i, j) in a.range().flat_map(|i| b.range().map(move |j| (i, j))) {
                if l.abs_diff(m) > 1 {
                    far = far.max(inverse[j * n + i].abs() / scale);
                    continue;
                }
                let (i0, j0) = (i - a.offset, j - b.offset);
                let expected = mean(&inputs[l], &inputs[m], i0 / a.rows, j0 / b.rows)
                    * mean(&signals[l], &signals[m], i0 % a.rows, j0 % b.rows);
                beside = beside.max((whole[j * n + i] - expected).abs() / largest);
            }
        }
    }
    println!("difference from the Kronecker blocks {beside:.1e}; inverse outside the three diagonals {far:.1e}");
    assert!(beside <= 1e-12 && far <= 1e-12);
    // A positive definite matrix: no negative curvature anywhere.
    let mut eigen = SymmetricEigen::default();
    eigen.factor(n, &whole).expect("eigenvalues");
    assert!(eigen.values()[0] > 0.0);
    // Damped solves of the factored kind invert the matrix of the damped factors.
    let damped = TridiagonalKfac::<GaussNewton>::default().factors(&at).and_then(|f| f.damped(1e-2)).expect("matrix");
    let (mut x, mut r) = (vec![0.0; n], vec![0.0; n]);
    damped.apply_inverse(&theta, &mut x).and_then(|()| damped.apply(&x, &mut r)).expect("solve");
    assert!(difference(&r, &theta) <= 1e-10);
}
