//! Models and losses against a separate transcription over dual numbers: outputs, Jacobian products, exact Hessians, and the
//! Gauss–Newton and Fisher matrices of every activation and loss, with skips, dropout, strides and padding; bad input.

use argmin::core::{CostFunction, Gradient, Hessian};
use curvkit::Error;
use curvkit::curvature::{Dense, Explicit, Fisher, GaussNewton, OuterProducts};
use curvkit::linalg::vector::dot;
use curvkit::loss::{
    BinaryCrossEntropy, EntryLoss, Gamma, Huber, Loss, MulticlassHinge, Poisson, SoftmaxCrossEntropy, SquaredError,
};
use curvkit::model::{Activation, Batch, Convolution, Initialization, Model, Network};
use curvkit::problem::Supervised;
use curvkit::problem::{AutoDiff, AutoResiduals, DualFunction, DualNum, DualResiduals, HessianProduct, Reduction, Residuals};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::sync::Arc;

/// A layer of the transcription.
#[derive(Clone, Copy)]
enum Layer {
    Dense(usize, Activation),
    /// Dense, then the result of an earlier layer is added.
    Skip(usize, Activation, usize),
    Convolution(Convolution, Activation),
}

/// Images are channels × height × width; vectors have one channel of height 1.
#[derive(Clone)]
struct Transcription {
    shape: (usize, usize, usize),
    layers: Vec<Layer>,
    inputs: Vec<Vec<f64>>,
    targets: Vec<Vec<f64>>,
    loss: &'static str,
    n_params: usize,
}

fn phi<D: DualNum<f64> + Copy>(activation: Activation, z: D) -> D {
    match activation {
        Activation::Identity => z,
        Activation::Tanh => z.tanh(),
        Activation::Sigmoid => ((-z).exp() + 1.0).recip(),
        Activation::Relu => {
            if z.re() > 0.0 {
                z
            } else {
                z * 0.0
            }
        }
        Activation::Softplus => (z.exp() + 1.0).ln(),
        Activation::Silu => z * ((-z).exp() + 1.0).recip(),
        Activation::Gelu => {
            // Φ(z) = ½ + z/√(2π) Σ (−z²/2)ᵏ / (k! (2k + 1)).
            let (mut term, mut sum) = (D::from(1.0), D::from(0.0));
            for k in 0..60 {
                sum += term * (1.0 / (2 * k + 1) as f64);
                term = term * z * z * (-0.5 / (k + 1) as f64);
            }
            z * (z * sum * (1.0 / (2.0 * std::f64::consts::PI).sqrt()) + 0.5)
        }
    }
}

impl Transcription {
    fn outputs<D: DualNum<f64> + Copy>(&self, theta: &[D], input: &[f64]) -> Vec<D> {
        let mut at = 0;
        let mut shape = self.shape;
        let mut a: Vec<D> = input.iter().map(|v| D::from(*v)).collect();
        let mut results = vec![a.clone()];
        for layer in &self.layers {
            let weight = |i: usize, j: usize, rows: usize| theta[at + j * rows + i];
            let next = match *layer {
                Layer::Dense(rows, activation) | Layer::Skip(rows, activation, _) => {
                    let columns = a.len();
                    let row = |i: usize| (0..columns).fold(weight(i, columns, rows), |s, j| s + weight(i, j, rows) * a[j]);
                    let mut z: Vec<D> = (0..rows).map(row).map(|z| phi(activation, z)).collect();
                    if let Layer::Skip(_, _, from) = *layer {
                        z.iter_mut().zip(&results[from]).for_each(|(z, r): (&mut D, &D)| *z += *r);
                    }
                    at += rows * (columns + 1);
                    shape = (1, 1, rows);
                    z
                }
                Layer::Convolution(c, activation) => {
                    let (channels, height, width) = shape;
                    let (kh, kw) = c.kernel;
                    let (down, across) =
                        ((height + 2 * c.padding.0 - kh) / c.stride.0 + 1, (width + 2 * c.padding.1 - kw) / c.stride.1 + 1);
                    let columns = channels * kh * kw;
                    let mut z = Vec::new();
                    for (ch, i, j) in (0..c.channels).flat_map(|ch| (0..down * across).map(move |s| (ch, s / across, s % across)))
                    {
                        let mut sum = weight(ch, columns, c.channels);
                        for k in 0..columns {
                            let (from, di, dj) = (k / (kh * kw), k / kw % kh, k % kw);
                            let (y, x) = (i * c.stride.0 + di, j * c.stride.1 + dj);
                            if y >= c.padding.0 && y < height + c.padding.0 && x >= c.padding.1 && x < width + c.padding.1 {
                                let place = (from * height + y - c.padding.0) * width + x - c.padding.1;
                                sum += weight(ch, k, c.channels) * a[place];
                            }
                        }
                        z.push(phi(activation, sum));
                    }
                    at += c.channels * (columns + 1);
                    shape = (c.channels, down, across);
                    z
                }
            };
            a = next;
            results.push(a.clone());
        }
        a
    }

    fn sample_loss<D: DualNum<f64> + Copy>(&self, z: &[D], y: &[f64]) -> D {
        let entries = |e: &dyn Fn(D, f64) -> D| z.iter().zip(y).fold(D::from(0.0), |s, (z, y)| s + e(*z, *y));
        match self.loss {
            "squared" => entries(&|z, y| (z - y) * (z - y) * 0.5),
            "binary" => entries(&|z, y| (z.exp() + 1.0).ln() - z * y),
            "poisson" => entries(&|z, y| z.exp() - z * y),
            "gamma" => entries(&|z, y| (z + (-z).exp() * y) * 2.5),
            "huber" => entries(&|z, y| {
                let r = z - y;
                if r.re().abs() <= 0.7 { r * r * 0.5 } else { (if r.re() > 0.0 { r } else { -r }) * 0.7 - 0.245 }
            }),
            "softmax" => z.iter().fold(D::from(0.0), |s, z| s + z.exp()).ln() - z[y[0] as usize],
            other => panic!("loss {other}"),
        }
    }

    /// `Λ` of a sample, or its expectation over the model's labels, entry by entry.
    fn middle(&self, z: &[f64], y: &[f64], expected: bool) -> Vec<Vec<f64>> {
        let c = z.len();
        let diagonal = |f: &dyn Fn(f64, f64) -> f64| -> Vec<Vec<f64>> {
            (0..c).map(|i| (0..c).map(|j| if i == j { f(z[i], y[i.min(y.len() - 1)]) } else { 0.0 }).collect()).collect()
        };
        match self.loss {
            "squared" => diagonal(&|_, _| 1.0),
            "binary" => diagonal(&|z, _| (-z).exp() / (1.0 + (-z).exp()).powi(2)),
            "poisson" => diagonal(&|z, _| z.exp()),
            "gamma" => diagonal(&|z, y| if expected { 2.5 } else { 2.5 * y * (-z).exp() }),
            "huber" => diagonal(&|z, y| f64::from((z - y).abs() <= 0.7)),
            "softmax" => {
                let sum: f64 = z.iter().map(|z| z.exp()).sum();
                let p: Vec<f64> = z.iter().map(|z| z.exp() / sum).collect();
                (0..c).map(|i| (0..c).map(|j| f64::from(i == j) * p[i] - p[i] * p[j]).collect()).collect()
            }
            other => panic!("loss {other}"),
        }
    }

    /// `(1/n) Σ JᵀMJ` by the dual-number Jacobian of all outputs.
    fn sandwich(&self, theta: &[f64], expected: bool) -> Vec<f64> {
        let (p, n) = (self.n_params, self.inputs.len());
        let outputs = AutoResiduals(Outputs(self.clone()));
        let m = outputs.m();
        let c = m / n;
        let mut jacobian = vec![0.0; m * p];
        outputs.jacobian(theta, &mut jacobian).expect("Jacobian");
        let mut matrix = vec![0.0; p * p];
        for i in 0..n {
            let z = self.outputs(theta, &self.inputs[i]);
            let middle = self.middle(&z, &self.targets[i], expected);
            for (a, b) in (0..c).flat_map(|a| (0..c).map(move |b| (a, b))) {
                for k in 0..p {
                    for l in 0..p {
                        matrix[k * p + l] += jacobian[k * m + i * c + a] * middle[a][b] * jacobian[l * m + i * c + b] / n as f64;
                    }
                }
            }
        }
        matrix
    }
}

impl DualFunction for Transcription {
    fn dim(&self) -> usize {
        self.n_params
    }
    fn eval<D: DualNum<f64> + Copy>(&self, theta: &[D]) -> D {
        let samples = self.inputs.iter().zip(&self.targets);
        let sum = samples.fold(D::from(0.0), |s, (x, y)| s + self.sample_loss(&self.outputs(theta, x), y));
        sum * (1.0 / self.inputs.len() as f64)
    }
}

/// All outputs of all samples.
struct Outputs(Transcription);

impl DualResiduals for Outputs {
    fn n(&self) -> usize {
        self.0.n_params
    }
    fn m(&self) -> usize {
        let zeros = vec![0.0; self.0.n_params];
        self.0.outputs(&zeros, &self.0.inputs[0]).len() * self.0.inputs.len()
    }
    fn visit<D: DualNum<f64> + Copy>(&self, theta: &[D], each: &mut impl FnMut(D)) {
        self.0.inputs.iter().for_each(|x| self.0.outputs(theta, x).into_iter().for_each(&mut *each));
    }
}

fn build(shape: (usize, usize, usize), layers: &[Layer]) -> Network {
    let start = if shape.0 == 1 && shape.1 == 1 { Network::vector(shape.2) } else { Network::image(shape.0, shape.1, shape.2) };
    layers.iter().fold(start.expect("inputs"), |net, layer| {
        let net = match *layer {
            Layer::Dense(n, activation) => net.dense(n, activation),
            Layer::Skip(n, activation, from) => net.dense(n, activation).and_then(|net| net.skip(from)),
            Layer::Convolution(c, activation) => net.convolution(c, activation),
        };
        net.expect("layer")
    })
}

fn with_loss(name: &str, net: Network, x: Batch, y: Batch) -> Supervised {
    let problem = match name {
        "squared" => Supervised::new(net, SquaredError, x, y),
        "binary" => Supervised::new(net, BinaryCrossEntropy, x, y),
        "poisson" => Supervised::new(net, Poisson, x, y),
        "gamma" => Supervised::new(net, Gamma::new(2.5).expect("shape"), x, y),
        "huber" => Supervised::new(net, Huber::new(0.7).expect("delta"), x, y),
        _ => Supervised::new(net, SoftmaxCrossEntropy, x, y),
    };
    problem.expect("problem")
}

/// A random problem and its transcription.
fn case(shape: (usize, usize, usize), layers: &[Layer], loss: &'static str, seed: u64) -> (Supervised, Transcription, Vec<f64>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let net = build(shape, layers);
    let n = 5;
    let mut theta = net.initialize(Initialization::Glorot, seed).expect("parameters");
    theta.iter_mut().for_each(|t| *t += 0.1 * random.sample::<f64, _>(StandardNormal));
    let mut draw = |k: usize, f: &mut dyn FnMut(f64) -> f64| -> Vec<Vec<f64>> {
        (0..n).map(|_| (0..k).map(|_| f(random.sample(StandardNormal))).collect()).collect()
    };
    let c = net.n_outputs();
    let inputs = draw(shape.0 * shape.1 * shape.2, &mut |v| v);
    let targets = match loss {
        "softmax" => draw(1, &mut |v| (v.abs() * 10.0).floor() % c as f64),
        "binary" => draw(c, &mut |v| f64::from(v > 0.0)),
        "poisson" => draw(c, &mut |v| (v.abs() * 3.0).floor()),
        "gamma" => draw(c, &mut |v| v.abs() + 0.1),
        _ => draw(c, &mut |v| v),
    };
    let batch = |rows: &[Vec<f64>]| Batch::new(rows[0].len(), rows.concat()).expect("batch");
    let problem = with_loss(loss, net.clone(), batch(&inputs), batch(&targets));
    let n_params = net.n_params();
    (problem, Transcription { shape, layers: layers.to_vec(), inputs, targets, loss, n_params }, theta)
}

fn apart(found: &[f64], expected: &[f64]) -> f64 {
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / largest
}

fn columns(n: usize, mut product: impl FnMut(&[f64], &mut [f64])) -> Vec<f64> {
    let mut matrix = vec![0.0; n * n];
    for (j, column) in matrix.chunks_exact_mut(n).enumerate() {
        let unit: Vec<f64> = (0..n).map(|i| f64::from(i == j)).collect();
        product(&unit, column);
    }
    matrix
}

fn hold(what: &str, (problem, reference, theta): &(Supervised, Transcription, Vec<f64>)) {
    let exact = AutoDiff::new(reference.clone());
    let n = theta.len();
    let cost: f64 = exact.cost(theta).expect("cost");
    assert!((problem.cost(theta).expect("cost") - cost).abs() <= 1e-13 * cost.abs().max(1.0), "{what}: cost");
    let gradient: Vec<f64> = exact.gradient(theta).expect("gradient");
    let e = apart(&problem.gradient(theta).expect("gradient"), &gradient);
    assert!(e <= 1e-12, "{what}: gradient {e:e}");
    let hessian = exact.hessian(theta).expect("Hessian");
    let found = columns(n, |v, out| problem.hessian_product(theta, v, out).expect("product"));
    let h = apart(&found, hessian.as_slice());
    assert!(h <= 1e-12, "{what}: Hessian {h:e}");
    let at = problem.evaluate(theta).expect("evaluation");
    let mut worst = h;
    let sources: &[(&dyn OuterProducts, &dyn Explicit, bool)] = if reference.loss == "huber" {
        &[(&GaussNewton, &Dense(GaussNewton), false)]
    } else {
        &[(&GaussNewton, &Dense(GaussNewton), false), (&Fisher, &Dense(Fisher), true)]
    };
    for (source, form, expected) in sources {
        let reference = reference.sandwich(theta, *expected);
        let products = source.products(at.clone()).expect("products");
        let by_products = columns(n, |v, out| products.apply(v, out).expect("product"));
        let mut entries = vec![0.0; n * n];
        form.matrix(&at).expect("matrix").write_entries(&mut entries).expect("entries");
        for matrix in [by_products, entries] {
            let e = apart(&matrix, &reference);
            assert!(e <= 1e-12, "{what}: expected {expected}: {e:e}");
            worst = worst.max(e);
        }
    }
    println!("{what:40} {worst:.1e}");
}

#[test]
fn every_activation_and_loss_agrees_with_dual_numbers() {
    let activations = [
        Activation::Identity,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Relu,
        Activation::Softplus,
        Activation::Gelu,
        Activation::Silu,
    ];
    for (k, activation) in activations.into_iter().enumerate() {
        for (l, loss) in ["squared", "softmax", "binary", "poisson", "gamma", "huber"].into_iter().enumerate() {
            let layers = [Layer::Dense(4, activation), Layer::Dense(3, activation), Layer::Dense(2, Activation::Identity)];
            hold(&format!("{activation:?}, {loss}"), &case((1, 1, 3), &layers, loss, (10 * k + l) as u64));
        }
    }
}

#[test]
fn skips_and_convolutions_agree_with_dual_numbers() {
    for activation in [Activation::Tanh, Activation::Silu] {
        let layers = [
            Layer::Dense(4, activation),
            Layer::Skip(4, activation, 1),
            Layer::Skip(4, activation, 1),
            Layer::Dense(2, Activation::Identity),
        ];
        hold("two skips from one layer", &case((1, 1, 4), &layers, "softmax", 3));
        let layers = [Layer::Skip(3, activation, 0), Layer::Dense(2, Activation::Identity)];
        hold("a skip from the input", &case((1, 1, 3), &layers, "squared", 4));
        let padded = Convolution { channels: 2, kernel: (3, 2), stride: (2, 1), padding: (1, 1) };
        let layers = [Layer::Convolution(padded, activation), Layer::Dense(3, Activation::Identity)];
        hold("stride and padding", &case((2, 4, 3), &layers, "softmax", 5));
        let layers = [
            Layer::Convolution(Convolution::square(2, 2, 2), activation),
            Layer::Convolution(Convolution::square(3, 2, 2), activation),
            Layer::Dense(2, Activation::Identity),
        ];
        hold("two convolutions", &case((1, 4, 4), &layers, "binary", 6));
    }
}

#[test]
fn dropout_masks_are_fixed_and_their_products_symmetric() {
    let net = Network::vector(4).and_then(|n| n.dense(6, Activation::Gelu)).and_then(|n| n.dropout(0.5)).expect("layer");
    let net = net.dense(5, Activation::Tanh).and_then(|n| n.dropout(0.3)).and_then(|n| n.dense(2, Activation::Identity));
    let net = net.expect("network").seed(8);
    let theta = net.initialize(Initialization::He, 1).expect("parameters");
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut normal = |k: usize| -> Vec<f64> { (0..k).map(|_| random.sample(StandardNormal)).collect() };
    let (x, y) = (Batch::new(4, normal(28)).expect("batch"), Batch::new(2, normal(14)).expect("batch"));
    let problem = Supervised::new(net.clone(), SquaredError, x.clone(), y.clone()).expect("problem");
    let n = theta.len();
    let product = |v: &[f64]| {
        let mut out = vec![0.0; n];
        problem.hessian_product(&theta, v, &mut out).expect("product");
        out
    };
    let (u, v) = (normal(n), normal(n));
    let (a, b) = (dot(&u, &product(&v)), dot(&v, &product(&u)));
    assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0), "{a} {b}");
    // The gradient's directional derivative by central differences, on the same masks.
    let gradient = |t: f64| problem.gradient(&theta.iter().zip(&v).map(|(x, v)| x + t * v).collect::<Vec<f64>>());
    let (plus, minus) = (gradient(1e-5).expect("gradient"), gradient(-1e-5).expect("gradient"));
    let difference: Vec<f64> = plus.iter().zip(&minus).map(|(p, m)| (p - m) / 2e-5).collect();
    assert!(apart(&product(&v), &difference) < 1e-7);
    let cost =
        |net: Network| Supervised::new(net, SquaredError, x.clone(), y.clone()).expect("problem").cost(&theta).expect("cost");
    assert_eq!(cost(net.clone()), cost(net.clone()));
    assert_ne!(cost(net.clone()), cost(net.clone().seed(9)));
    assert_ne!(cost(net.clone()), cost(net.without_dropout()));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let net = Network::perceptron(&[40, 60, 50, 30], Activation::Tanh).expect("network");
    let theta = net.initialize(Initialization::Glorot, 1).expect("parameters");
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut normal = |k: usize| -> Vec<f64> { (0..k).map(|_| random.sample(StandardNormal)).collect() };
    let (x, y, v) = (normal(40 * 2000), normal(30 * 2000), normal(theta.len()));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        pool.install(|| {
            let (x, y) = (Batch::new(40, x.clone()).expect("batch"), Batch::new(30, y.clone()).expect("batch"));
            let problem = Supervised::new(net.clone(), SquaredError, x, y).expect("problem");
            let mut out = vec![0.0; theta.len()];
            problem.hessian_product(&theta, &v, &mut out).expect("product");
            (problem.cost(&theta).expect("cost"), problem.gradient(&theta).expect("gradient"), out)
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn extreme_logits_give_finite_values_with_all_their_digits() {
    let at = |loss: &dyn Loss, z: f64, y: f64| {
        let net = Network::vector(1).and_then(|n| n.dense(2, Activation::Identity)).expect("network");
        assert_eq!(net.n_outputs(), 2);
        let targets = Batch::new(1, vec![y]).expect("targets");
        let outputs = [z, -z];
        let outcome = curvkit::loss::Outcome { outputs: &outputs, n_outputs: 2, targets: &targets };
        let mut g = [0.0; 2];
        loss.gradient(&outcome, &mut g);
        (loss.value(&outcome), g)
    };
    for z in [40.0f64, 300.0, 800.0, 1e6] {
        let (value, g) = at(&SoftmaxCrossEntropy, z, 0.0);
        let tail = (-2.0 * z).exp();
        assert!(
            (value - tail).abs() <= 1e-15 && (g[0] + tail).abs() <= 1e-15 * tail.max(f64::MIN_POSITIVE),
            "{z}: {value} {g:?}"
        );
        let (value, g) = at(&SoftmaxCrossEntropy, z, 1.0);
        assert!((value - 2.0 * z).abs() <= 1e-12 * z && (g[0] - 1.0).abs() < 1e-15 && g[1] == -g[0]);
        let b = BinaryCrossEntropy;
        assert_eq!(EntryLoss::value(&b, z, 1.0), (-z).exp().ln_1p());
        assert_eq!(EntryLoss::value(&b, -z, 1.0), z + (-z).exp().ln_1p());
        assert!((b.slope(z, 1.0) + (-z).exp() / (1.0 + (-z).exp())).abs() <= 1e-300);
        assert!(b.curvature(z, 0.0) >= 0.0 && b.curvature(z, 0.0) <= (-z).exp());
    }
}

#[test]
fn bad_input_is_named() {
    let net = || Network::perceptron(&[3, 4, 2], Activation::Tanh).expect("network");
    let batch = |dim: usize, n: usize| Batch::new(dim, vec![0.5; dim * n]).expect("batch");
    let text = |e: Option<Error>| e.expect("an error").to_string();
    let new = |x: Batch, y: Batch| text(Supervised::new(net(), SoftmaxCrossEntropy, x, y).err());
    assert_eq!(new(batch(4, 2), batch(1, 2)), "values per input sample: expected length 3, found 4");
    assert_eq!(new(batch(3, 2), batch(1, 3)), "targets: expected length 2, found 3");
    let labels = |y: Vec<f64>| new(batch(3, 2), Batch::new(1, y).expect("labels"));
    let class = "must be a class label below the number of outputs";
    assert_eq!(labels(vec![0.0, 2.0]), format!("target of sample 1 {class}, found 2"));
    assert_eq!(labels(vec![-1.0, 1.0]), format!("target of sample 0 {class}, found -1"));
    assert_eq!(labels(vec![0.0, 0.5]), format!("target of sample 1 {class}, found 0.5"));
    let probabilities = new(batch(3, 1), Batch::new(2, vec![0.5, 0.6]).expect("probabilities"));
    assert_eq!(probabilities, "target of sample 0 must be probabilities that sum to one, found 1.1");
    assert_eq!(text(Batch::new(3, vec![]).err()), "option `samples in a batch` must be positive, found 0");
    assert_eq!(text(Batch::new(3, vec![1.0; 4]).err()), "batch: expected length 6, found 4");
    assert_eq!(text(Batch::new(2, vec![1.0, f64::NAN]).err()), "batch is not finite (entry 1)");
    assert_eq!(text(Batch::new(0, vec![1.0]).err()), "option `values per sample` must be positive, found 0");
    let refused = |loss: &dyn Loss, y: f64| text(loss.check(&Batch::new(1, vec![y]).expect("target"), 1).err());
    assert_eq!(refused(&Poisson, -1.0), "target of sample 0 must be at least 0, found -1");
    assert_eq!(refused(&Gamma::default(), 0.0), "target of sample 0 must be positive, found 0");
    assert_eq!(refused(&BinaryCrossEntropy, 1.5), "target of sample 0 must be between 0 and 1, found 1.5");
    assert!(MulticlassHinge.check(&batch(1, 1), 1).is_err());

    let problem = Supervised::new(net(), MulticlassHinge, batch(3, 2), Batch::new(1, vec![0.0, 1.0]).expect("labels"));
    let problem = problem.expect("problem");
    let at = problem.evaluate(&vec![0.1; net().n_params()]).expect("evaluation");
    let needs = "a Fisher matrix needs a loss that is a negative log-likelihood";
    assert_eq!(text(Fisher.products(at.clone()).err()), needs);
    assert_eq!(text(Dense(Fisher).matrix(&at).err()), needs);
    assert_eq!(text(problem.evaluate(&[0.0; 3]).err()), "parameters: expected length 26, found 3");
    let mut short = vec![0.0; 3];
    let v = vec![0.0; 26];
    assert!(at.forward().jacobian_product(&v, &mut short).is_err());
    assert!(at.forward().jacobian_product(&short.clone(), &mut [0.0; 4]).is_err());
    assert!(at.forward().transposed_product(&short.clone(), &mut v.clone()).is_err());
    assert!(at.backward().expect("pass").sample_gradient(2, &mut v.clone()).is_err());
    assert!(Network::vector(0).is_err() && Network::image(1, 0, 3).is_err());
    assert!(Network::perceptron(&[3], Activation::Tanh).is_err());
    assert!(net().dense(0, Activation::Tanh).is_err() && net().skip(2).is_err() && net().skip(0).is_err());
    assert!(net().convolution(Convolution::line(2, 3), Activation::Tanh).is_err());
    let image = || Network::image(1, 1, 4).expect("image");
    assert!(image().convolution(Convolution::line(2, 5), Activation::Tanh).is_err());
    let still = Convolution { stride: (1, 0), ..Convolution::line(2, 3) };
    assert!(image().convolution(still, Activation::Tanh).is_err());
    assert!(net().dropout(1.0).is_err() && image().dropout(0.5).is_err());
    assert!(image().forward(&[].into(), &Arc::new(batch(4, 1))).is_err());
}

#[test]
fn multiclass_hinge_is_piecewise_linear() {
    let targets = Batch::new(1, vec![0.0, 1.0, 2.0]).expect("labels");
    let outputs = [2.0, 0.5, 0.0, 1.0, 0.5, 0.2, 0.0, 0.0, 5.0];
    let outcome = curvkit::loss::Outcome { outputs: &outputs, n_outputs: 3, targets: &targets };
    assert_eq!(MulticlassHinge.value(&outcome), 1.5);
    let mut g = [9.0; 9];
    MulticlassHinge.gradient(&outcome, &mut g);
    assert_eq!(g, [0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_sum_is_n_times_a_mean_and_the_regularizer_is_apart() {
    let (problem, _, theta) = case((1, 1, 3), &[Layer::Dense(2, Activation::Identity)], "softmax", 1);
    let mean: f64 = problem.cost(&theta).expect("cost");
    let problem = problem.reduction(Reduction::Sum).l2(0.5).expect("l2");
    let expected = 5.0 * mean + 0.25 * dot(&theta, &theta);
    assert!((problem.cost(&theta).expect("cost") - expected).abs() < 1e-13);
    assert!(problem.l2(-1.0).is_err());
}
