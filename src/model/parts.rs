//! A network at one point in parts of the samples, each of which goes through all layers on its own.
//!
//! Where layers are small, threads that share one product after the other wait longer for each other than they compute; a
//! part of the samples is worth a thread's waking, and what it leaves behind stays in the thread's own cache. The parts depend
//! on the network and the number of samples alone, and sums run over them in order, so results do not depend on the threads.

use super::network::{Architecture, Stage};
use super::pass::Pass;
use super::second_order::Halfway;
use super::signals::Signals;
use super::{Backward, Batch, Forward, Layer, Turn};
use crate::error::{Error, Result};
use crate::linalg::buffer::Buffer;
use crate::linalg::matrix::{for_blocks, view};
use crate::linalg::parallel::map;
use crate::linalg::vector::axpy;
use faer::MatRef;
use std::sync::{Arc, OnceLock};

/// Multiplications in a sweep over a part, at least.
const WORK: usize = 1 << 20;
/// Samples in a part, at least: below, the copies of weights that products make count.
const SAMPLES: usize = 256;
/// Parts, at most: each of them has a gradient of its own.
const PARTS: usize = 16;
/// Weights of a layer, at most: with more, a product is worth sharing and its copy of them is not worth repeating.
const WEIGHTS: usize = 1 << 16;

/// Samples in each part but the last; all of them if they should stay together.
fn samples_of_a_part(net: &Architecture, n: usize) -> usize {
    let weights = |stage: &Stage| stage.outputs * stage.inputs;
    if net.stages.iter().any(|stage| weights(stage) > WEIGHTS) {
        return n;
    }
    let work: usize = net.stages.iter().map(|stage| weights(stage) * stage.positions).sum();
    let many = n / SAMPLES.max(WORK / work.max(1));
    // A power of two, which any usual number of threads divides.
    let parts = many.checked_ilog2().map_or(1, |log| 1 << log).min(PARTS);
    n.div_ceil(parts)
}

/// The pass of a network over all samples of a batch.
pub(super) fn forward(net: &Arc<Architecture>, theta: &Arc<[f64]>, inputs: &Arc<Batch>) -> Arc<dyn Forward> {
    let n = inputs.n();
    let each = samples_of_a_part(net, n);
    let pass = |first: usize| Pass::new(net.clone(), theta.clone(), inputs.clone(), first..n.min(first + each));
    if each == n {
        return Arc::new(pass(0));
    }
    let width = net.shape().len();
    let mut outputs = Buffer::new(width * n);
    let parts = map(outputs.chunks_mut(width * each).enumerate().collect(), |(k, outputs)| {
        let pass = pass(k * each);
        outputs.copy_from_slice(pass.outputs());
        Arc::new(pass)
    });
    Arc::new(Parts { n, each, outputs, parts })
}

/// `out ← Σ` over parts, in order, or `out ← out + Σ` if that is what `write` does: the first one is given `out`, the others
/// zeros of their own.
fn sum<T: Send>(
    parts: impl Iterator<Item = T>,
    out: &mut [f64],
    write: impl Fn(T, &mut [f64]) -> Result<()> + Sync,
) -> Result<()> {
    let len = out.len();
    let mut first = Some(&mut *out);
    let parts = parts.map(|part| (part, first.take())).collect();
    let others = map(parts, |(part, out)| match out {
        Some(out) => write(part, out).map(|()| Buffer::default()),
        None => {
            let mut own = Buffer::zeros(len);
            write(part, &mut own).map(|()| own)
        }
    });
    let others = others.into_iter().collect::<Result<Vec<_>>>()?;
    for_blocks(1, out, |at, block| {
        others[1..].iter().for_each(|other| axpy(1.0, &other[at..at + block.len()], block));
    });
    Ok(())
}

/// Passes over one part of the samples after the other.
struct Parts {
    n: usize,
    /// Samples in each part but the last.
    each: usize,
    outputs: Buffer,
    parts: Vec<Arc<Pass>>,
}

impl Parts {
    /// Values of a part.
    fn share(&self) -> usize {
        self.outputs.len() / self.n * self.each
    }

    /// Parts with their output adjoints.
    fn with<'a>(&'a self, u: &'a [f64]) -> Result<impl Iterator<Item = (&'a Arc<Pass>, &'a [f64])>> {
        Error::check_len("output adjoints", self.outputs.len(), u.len())?;
        Ok(self.parts.iter().zip(u.chunks(self.share())))
    }

    fn signals(&self, u: &[f64], of_part: impl Fn(Arc<Pass>, &[f64]) -> Signals + Sync) -> Result<Arc<dyn Backward>> {
        let parts = map(self.with(u)?.collect(), |(pass, u)| of_part(pass.clone(), u));
        Ok(Arc::new(SignalParts { n: self.n, each: self.each, share: self.share(), parts, layers: OnceLock::new() }))
    }
}

impl Forward for Parts {
    fn outputs(&self) -> &[f64] {
        &self.outputs
    }

    fn jacobian_product(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("Jacobian product", self.outputs.len(), out.len())?;
        let parts = self.parts.iter().zip(out.chunks_mut(self.share())).collect();
        map(parts, |(part, out)| part.jacobian_product(v, out)).into_iter().collect()
    }

    fn transposed_product(&self, u: &[f64], out: &mut [f64]) -> Result<()> {
        sum(self.with(u)?, out, |(part, u), out| part.transposed_product(u, out))
    }

    fn backward(self: Arc<Self>, u: &[f64]) -> Result<Arc<dyn Backward>> {
        self.signals(u, Signals::new)
    }

    fn backward_once(self: Arc<Self>, u: Vec<f64>) -> Result<Arc<dyn Backward>> {
        self.signals(&u, |pass, u| Signals::once(pass, u.to_vec()))
    }
}

/// Signals of one part of the samples after the other.
struct SignalParts {
    n: usize,
    /// Samples in each part but the last.
    each: usize,
    /// Outputs in each part but the last.
    share: usize,
    parts: Vec<Signals>,
    /// Inputs and signals of layers over all samples, once something asked for them.
    layers: OnceLock<Vec<Whole>>,
}

/// A layer over all samples.
struct Whole {
    inputs: (usize, Vec<f64>),
    signals: (usize, Vec<f64>),
    positions: usize,
}

impl Whole {
    fn as_layer(&self) -> Layer<'_> {
        let [inputs, signals] = [&self.inputs, &self.signals].map(|(rows, values)| view(values, *rows));
        Layer { inputs, signals, positions: self.positions }
    }
}

/// Rows and values of matrices beside each other.
fn joined<'a>(matrices: impl Iterator<Item = MatRef<'a, f64>>) -> (usize, Vec<f64>) {
    let (mut rows, mut values) = (0, Vec::new());
    for matrix in matrices {
        rows = matrix.nrows();
        matrix.col_iter().for_each(|column| values.extend(column.iter()));
    }
    (rows, values)
}

impl Backward for SignalParts {
    fn gradient(&self, out: &mut [f64]) -> Result<()> {
        sum(self.parts.iter(), out, |part, out| part.gradient(out))
    }

    fn slopes(&self, v: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("slopes", self.n, out.len())?;
        let parts = self.parts.iter().zip(out.chunks_mut(self.each)).collect();
        map(parts, |(part, out)| part.slopes(v, out)).into_iter().collect()
    }

    fn weighted_gradient(&self, weights: &[f64], out: &mut [f64]) -> Result<()> {
        Error::check_len("weights", self.n, weights.len())?;
        let parts = self.parts.iter().zip(weights.chunks(self.each));
        sum(parts, out, |(part, weights), out| part.weighted_gradient(weights, out))
    }

    fn sample_gradient(&self, i: usize, out: &mut [f64]) -> Result<()> {
        Error::check_option(i < self.n, "sample", "one of the batch", i)?;
        self.parts[i / self.each].sample_gradient(i % self.each, out)
    }

    fn add_squares(&self, out: &mut [f64]) -> Result<()> {
        sum(self.parts.iter(), out, |part, out| part.add_squares(out))
    }

    fn second_product(&self, v: &[f64], turn: &mut Turn<'_>, out: &mut [f64]) -> Result<()> {
        self.parts[0].check_product(v, out)?;
        let halfway = map(self.parts.iter().collect(), |part| Halfway::new(part, v));
        let mut change = Buffer::new(halfway.iter().map(|half| half.output().len()).sum());
        change.chunks_mut(self.share).zip(&halfway).for_each(|(change, half)| change.copy_from_slice(half.output()));
        let mut adjoint = Buffer::zeros(change.len());
        turn(&change, &mut adjoint)?;
        sum(halfway.into_iter().zip(adjoint.chunks(self.share)), out, |(half, adjoint), out| {
            half.finish(adjoint.into(), out);
            Ok(())
        })
    }

    fn layers(&self) -> Vec<Layer<'_>> {
        let join = || {
            let parts: Vec<Vec<Layer<'_>>> = self.parts.iter().map(|part| part.layers()).collect();
            let layer = |(l, layer): (usize, &Layer<'_>)| Whole {
                inputs: joined(parts.iter().map(|layers| layers[l].inputs)),
                signals: joined(parts.iter().map(|layers| layers[l].signals)),
                positions: layer.positions,
            };
            parts[0].iter().enumerate().map(layer).collect()
        };
        self.layers.get_or_init(join).iter().map(Whole::as_layer).collect()
    }

    fn parts(&self) -> Vec<&dyn Backward> {
        self.parts.iter().map(|part| part as &dyn Backward).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curvature::{
        Averaged, Ekfac, EmpiricalFisher, Explicit, Fisher, GaussNewton, Kfac, MonteCarloFisher, OutputFactor, Sharing,
        TridiagonalKfac,
    };
    use crate::loss::SoftmaxCrossEntropy;
    use crate::model::{Activation, Block, Checkpoints, Convolution, Initialization, Model, Network};
    use crate::problem::Supervised;

    /// A network whose samples stay together.
    struct Whole(Network);

    impl Model for Whole {
        fn n_params(&self) -> usize {
            self.0.n_params()
        }
        fn n_inputs(&self) -> usize {
            self.0.n_inputs()
        }
        fn n_outputs(&self) -> usize {
            self.0.n_outputs()
        }
        fn layout(&self) -> Vec<Block> {
            self.0.layout()
        }
        fn forward(&self, theta: &Arc<[f64]>, inputs: &Arc<Batch>) -> Result<Arc<dyn Forward>> {
            Ok(Arc::new(Pass::new(self.0.architecture.clone(), theta.clone(), inputs.clone(), 0..inputs.n())))
        }
    }

    fn values(len: usize, by: usize) -> Vec<f64> {
        (0..len).map(|i| (i * by % 1009) as f64 / 504.5 - 1.0).collect()
    }

    fn dense() -> Result<Network> {
        let net = Network::vector(30)?.dense(40, Activation::Gelu)?.dropout(0.3)?.dense(40, Activation::Tanh)?.skip(1)?;
        Ok(net.dense(50, Activation::Sigmoid)?.dense(20, Activation::Identity)?.seed(3))
    }

    fn convolutional() -> Result<Network> {
        let net = Network::image(1, 8, 8)?.convolution(Convolution::square(6, 3, 3), Activation::Softplus)?.dropout(0.1)?;
        net.convolution(Convolution::square(4, 3, 3), Activation::Tanh)?.dense(10, Activation::Identity)
    }

    fn agree(what: &str, found: &[f64], expected: &[f64]) {
        let largest = expected.iter().fold(0.0f64, |m, e| m.max(e.abs()));
        let apart = found.iter().zip(expected).fold(0.0f64, |m, (f, e)| m.max((f - e).abs()));
        assert!(found.len() == expected.len() && apart <= 1e-12 * largest, "{what}: {apart:e} of {largest:e}");
    }

    #[test]
    fn small_networks_and_many_samples_are_split_evenly_and_others_stay_together() -> Result<()> {
        let parts = |dims: &[usize], n: usize| -> Result<usize> {
            Ok(n.div_ceil(samples_of_a_part(&Network::perceptron(dims, Activation::Tanh)?.architecture, n)))
        };
        for (n, expected) in [(1, 1), (511, 1), (512, 2), (1000, 2), (1024, 4), (60_000, 16)] {
            assert_eq!(parts(&[64, 128, 64], n)?, expected, "{n}");
        }
        assert_eq!([parts(&[2, 3, 1], 1000)?, parts(&[2, 3, 1], 1_000_000)?], [1, 8]);
        assert_eq!(parts(&[784, 1000, 10], 60_000)?, 1);
        Ok(())
    }

    #[test]
    fn parts_give_what_all_samples_together_give() -> Result<()> {
        let n = 1111;
        for (net, rule) in [dense()?, convolutional()?]
            .into_iter()
            .flat_map(|net| [Checkpoints::All, Checkpoints::Every(2), Checkpoints::None].map(|rule| (net.clone(), rule)))
        {
            let net = net.checkpoints(rule)?;
            let (p, c) = (net.n_params(), net.n_outputs());
            let theta: Arc<[f64]> = net.initialize(Initialization::Glorot, 1)?.into();
            let inputs = Arc::new(Batch::new(net.n_inputs(), values(n * net.n_inputs(), 577))?);
            let (v, u, w) = (values(p, 331), values(n * c, 719), values(n, 97));
            let both = [net.forward(&theta, &inputs)?, Whole(net).forward(&theta, &inputs)?];
            assert_eq!(both[0].outputs(), both[1].outputs());
            let compare = |what: &str, len: usize, write: &dyn Fn(&Arc<dyn Forward>, &mut [f64]) -> Result<()>| -> Result<()> {
                let [mut found, mut expected] = [vec![0.5; len], vec![0.5; len]];
                write(&both[0], &mut found)?;
                write(&both[1], &mut expected)?;
                agree(&format!("{what} {rule:?}"), &found, &expected);
                assert!(write(&both[0], &mut vec![0.0; len + 1]).is_err(), "{what}");
                Ok(())
            };
            compare("J v", n * c, &|pass, out| pass.jacobian_product(&v, out))?;
            compare("J'u", p, &|pass, out| pass.transposed_product(&u, out))?;
            for once in [false, true] {
                let back = |pass: &Arc<dyn Forward>| {
                    if once { pass.clone().backward_once(u.clone()) } else { pass.clone().backward(&u) }
                };
                assert!(back(&both[0])?.parts().len() == 4 && back(&both[1])?.parts().is_empty());
                compare("gradient", p, &|pass, out| back(pass)?.gradient(out))?;
                compare("slopes", n, &|pass, out| back(pass)?.slopes(&v, out))?;
                compare("weighted", p, &|pass, out| back(pass)?.weighted_gradient(&w, out))?;
                for i in [277, n - 1] {
                    compare("one", p, &|pass, out| back(pass)?.sample_gradient(i, out))?;
                }
                compare("squares", p, &|pass, out| back(pass)?.add_squares(out))?;
                let mut turn = |change: &[f64], out: &mut [f64]| {
                    out.iter_mut().zip(change).for_each(|(o, c)| *o += 0.3 * c);
                    Ok(())
                };
                let mut products = [vec![0.0; p], vec![0.0; p]];
                for (pass, out) in both.iter().zip(&mut products) {
                    back(pass)?.second_product(&v, &mut turn, out)?;
                }
                agree("second product", &products[0], &products[1]);
                let whole = back(&both[1])?;
                let expected = whole.layers();
                for _ in 0..2 {
                    let split = back(&both[0])?;
                    for (found, expected) in split.layers().iter().zip(&expected) {
                        assert_eq!(found.positions, expected.positions);
                        assert!(found.inputs == expected.inputs && found.signals == expected.signals);
                    }
                    assert_eq!(split.layers().len(), expected.len());
                }
                assert!(back(&both[0])?.sample_gradient(n, &mut vec![0.0; p]).is_err());
                assert!(back(&both[0])?.second_product(&v[1..], &mut turn, &mut vec![0.0; p]).is_err());
            }
            assert!(
                both[0].clone().backward(&u[1..]).is_err() && both[0].transposed_product(&u[1..], &mut vec![0.0; p]).is_err()
            );
        }
        Ok(())
    }

    #[test]
    fn factors_of_parts_are_those_of_all_samples() -> Result<()> {
        let n = 1024;
        for net in [dense()?, convolutional()?] {
            let theta = net.initialize(Initialization::Glorot, 1)?;
            let inputs = Batch::new(net.n_inputs(), values(n * net.n_inputs(), 577))?;
            let labels = Batch::new(1, (0..n).map(|i| (i * 7 % net.n_outputs()) as f64).collect())?;
            let split = Supervised::new(net.clone(), SoftmaxCrossEntropy, inputs.clone(), labels.clone())?.evaluate(&theta)?;
            let whole = Supervised::new(Whole(net.clone()), SoftmaxCrossEntropy, inputs, labels)?.evaluate(&theta)?;
            assert_eq!(split.backward()?.parts().len(), 4);
            let v = values(theta.len(), 331);
            let kfac = Kfac { source: EmpiricalFisher, sharing: Sharing::Reduce, ..Kfac::default() };
            let inputs_only = Kfac { source: Fisher, outputs: OutputFactor::Identity, ..Kfac::default() };
            let (exact, sampled) = (Kfac::<GaussNewton>::default(), Ekfac::<MonteCarloFisher>::default());
            let forms: [(&str, &dyn Explicit); 4] =
                [("reduce", &kfac), ("inputs", &inputs_only), ("type-2", &exact), ("corrected", &sampled)];
            for (what, form) in forms {
                let product = |at| {
                    let mut out = vec![0.0; v.len()];
                    form.matrix(at)?.apply(&v, &mut out)?;
                    Ok::<_, Error>(out)
                };
                agree(what, &product(&split)?, &product(&whole)?);
            }
            let tridiagonal = TridiagonalKfac::<MonteCarloFisher>::default();
            if net.layout().len() == 4 {
                for (found, expected) in tridiagonal.statistics(&split)?.iter().zip(&tridiagonal.statistics(&whole)?) {
                    agree("tridiagonal", found, expected);
                }
            } else {
                assert!(tridiagonal.factors(&split).is_err());
            }
        }
        Ok(())
    }
}
