//! Networks whose passes keep all, some or no layers' results: the same bits from every product.

use curvkit::Error;
use curvkit::curvature::{Dense, Ekfac, Explicit, GaussNewton, Kfac};
use curvkit::loss::SquaredError;
use curvkit::model::{Activation, Batch, Checkpoints, Convolution, Initialization, Model, Network};
use curvkit::problem::{HessianProduct, Supervised};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::sync::Arc;

const N: usize = 5;

fn normal(len: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..len).map(|_| random.sample(StandardNormal)).collect()
}

/// Layers with everything: skips across ranges and from the inputs, dropout, activations that keep their argument, patches.
fn networks() -> Vec<Network> {
    let dense = |net: Network, n, activation| net.dense(n, activation).expect("layer");
    let net = Network::vector(4).expect("inputs");
    let net = dense(net, 4, Activation::Tanh).skip(0).expect("skip");
    let net = dense(net, 4, Activation::Gelu).dropout(0.3).expect("dropout");
    let net = dense(net, 6, Activation::Silu);
    let net = dense(net, 4, Activation::Sigmoid).skip(1).expect("skip");
    let net = dense(net, 4, Activation::Softplus).skip(4).and_then(|net| net.dropout(0.2)).expect("skip");
    let first = dense(dense(net, 3, Activation::Relu), 2, Activation::Identity).seed(7);
    let convolution = Convolution { padding: (0, 1), ..Convolution::line(3, 3) };
    let net = Network::image(2, 1, 6).and_then(|net| net.convolution(convolution, Activation::Tanh)).expect("network");
    let net = net.convolution(convolution, Activation::Gelu).and_then(|net| net.skip(1)).expect("network");
    let net = net.convolution(Convolution::line(2, 2), Activation::Sigmoid).expect("network");
    vec![first, dense(dense(net, 4, Activation::Tanh), 2, Activation::Identity)]
}

/// All that a pass and a problem say, one vector after the other.
fn everything(net: &Network) -> Vec<(&'static str, Vec<f64>)> {
    let theta = net.initialize(Initialization::Glorot, 3).expect("parameters");
    let inputs = Arc::new(Batch::new(net.n_inputs(), normal(net.n_inputs() * N, 1)).expect("inputs"));
    let (p, c) = (theta.len(), net.n_outputs() * N);
    let (u, v, weights) = (normal(c, 2), normal(p, 3), normal(N, 4));
    let pass = net.forward(&theta.as_slice().into(), &inputs).expect("pass");
    let vector = |len: usize, fill: &mut dyn FnMut(&mut [f64]) -> Result<(), Error>| {
        let mut out = vec![0.0; len];
        fill(&mut out).expect("product");
        out
    };
    let mut all = vec![
        ("outputs", pass.outputs().to_vec()),
        ("Jv", vector(c, &mut |out| pass.jacobian_product(&v, out))),
        ("Jᵀu", vector(p, &mut |out| pass.transposed_product(&u, out))),
    ];
    let back = pass.backward(&u).expect("backward pass");
    let mut turn = |change: &[f64], out: &mut [f64]| {
        out.iter_mut().zip(change).for_each(|(o, c)| *o = 1.5 * c);
        Ok(())
    };
    all.push(("gradient", vector(p, &mut |out| back.gradient(out))));
    all.push(("slopes", vector(N, &mut |out| back.slopes(&v, out))));
    all.push(("weighted gradient", vector(p, &mut |out| back.weighted_gradient(&weights, out))));
    all.push(("squares", vector(p, &mut |out| back.add_squares(out))));
    all.push(("second product", vector(p, &mut |out| back.second_product(&v, &mut turn, out))));
    all.push(("sample gradient", vector(p, &mut |out| back.sample_gradient(N - 1, out))));
    for layer in back.layers() {
        all.push(("layer inputs", layer.inputs.col_iter().flat_map(|c| c.iter().copied().collect::<Vec<f64>>()).collect()));
        all.push(("layer signals", layer.signals.col_iter().flat_map(|c| c.iter().copied().collect::<Vec<f64>>()).collect()));
    }
    let inputs = Batch::clone(&inputs);
    let targets = Batch::new(net.n_outputs(), normal(c, 5)).expect("targets");
    let problem = Supervised::new(net.clone(), SquaredError, inputs, targets).expect("problem");
    all.push(("Hessian product", vector(p, &mut |out| problem.hessian_product(&theta, &v, out))));
    let at = problem.evaluate(&theta).expect("evaluation");
    let forms: [(&str, &dyn Explicit); 3] =
        [("dense", &Dense(GaussNewton)), ("K-FAC", &Kfac::<GaussNewton>::default()), ("EKFAC", &Ekfac::<GaussNewton>::default())];
    for (name, form) in forms {
        let matrix = form.matrix(&at).expect("matrix");
        all.push((name, vector(p, &mut |out| matrix.apply(&v, out))));
    }
    all
}

#[test]
fn checkpoints_do_not_change_a_bit() {
    for net in networks() {
        let expected = everything(&net);
        let rules =
            [Checkpoints::Every(1), Checkpoints::Every(2), Checkpoints::Every(3), Checkpoints::Every(100), Checkpoints::None];
        for rule in rules {
            let found = everything(&net.clone().checkpoints(rule).expect("rule"));
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "{rule:?}: {}", found.0);
            }
        }
    }
}

#[test]
fn checkpoints_every_zeroth_layer_are_refused() {
    let net = Network::perceptron(&[2, 3, 1], Activation::Tanh).expect("network");
    assert!(matches!(net.checkpoints(Checkpoints::Every(0)), Err(Error::Config { .. })));
}
