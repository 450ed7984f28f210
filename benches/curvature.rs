//! Cost of curvature products of networks, in gradients: `cargo bench --all-features --bench curvature [small|large] [threads]`.
//!
//! Batch 1000, tanh, f64, squared error. The gradient starts from nothing (forward, backward and weight sweeps); products,
//! factors and diagonals have the forward and backward passes at the point. What a call holds at its peak is printed in units
//! of the network's activations, inputs and outputs included. Checkpoints are measured on a gradient and a Hessian product from
//! nothing, with the memory that the pass keeps and what is held at the peak.

use curvkit::curvature::{EmpiricalFisher, Fisher, GaussNewton, Kfac, MonteCarloFisher, OuterProducts};
use curvkit::loss::SquaredError;
use curvkit::model::{Activation, Batch, Checkpoints, Initialization, Model, Network};
use curvkit::problem::Supervised;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// The system's allocator with a count of the bytes in use and of their peak.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(IN_USE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(IN_USE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that a call holds at its peak beyond what was in use before.
fn peak_bytes(f: impl FnOnce()) -> usize {
    let before = IN_USE.load(Relaxed);
    PEAK.store(before, Relaxed);
    f();
    PEAK.load(Relaxed) - before
}

/// Least time of a call in milliseconds.
fn time(mut f: impl FnMut()) -> f64 {
    f();
    let start = Instant::now();
    f();
    let once = start.elapsed().as_secs_f64();
    let n = ((1.0 / once) as usize).clamp(5, 200);
    let again = (0..n).map(|_| {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    });
    1e3 * again.fold(f64::INFINITY, f64::min)
}

/// Multiply-adds of one forward sweep, times two.
fn flops(dims: &[usize], n: usize) -> f64 {
    dims.windows(2).map(|w| 2.0 * (w[0] * w[1] * n) as f64).sum()
}

/// GFLOP/s of the machine's matrix product.
fn peak() -> f64 {
    let n = 1000;
    let (a, b) = (Mat::from_fn(n, n, |i, j| (i + j) as f64), Mat::from_fn(n, n, |i, j| (i * j % 7) as f64));
    let mut c = Mat::zeros(n, n);
    let par = if rayon::current_num_threads() == 1 { Par::Seq } else { Par::rayon(0) };
    let ms = time(|| matmul(c.as_mut(), Accum::Replace, a.as_ref(), b.as_ref(), 1.0, par));
    2.0 * (n as f64).powi(3) / ms / 1e6
}

fn normal(dim: usize, n: usize, seed: u64) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Batch::new(dim, (0..dim * n).map(|_| random.sample(StandardNormal)).collect()).expect("batch")
}

/// Time and memory of a gradient and of a Hessian product from nothing, by what passes keep.
fn checkpoints(net: &Network, theta: &[f64], inputs: &Batch, activations: f64) {
    let (inputs, theta) = (Arc::new(inputs.clone()), Arc::<[f64]>::from(theta));
    let mut out = vec![0.0; theta.len()];
    let mut all = [f64::NAN; 2];
    let rules = [Checkpoints::All, Checkpoints::Every(2), Checkpoints::Every(3), Checkpoints::Every(4), Checkpoints::None];
    for rule in rules {
        let net = net.clone().checkpoints(rule).expect("checkpoints");
        let before = IN_USE.load(Relaxed);
        let pass = net.forward(&theta, &inputs).expect("pass");
        let kept = (IN_USE.load(Relaxed) - before) as f64 / activations;
        drop(pass);
        print!("  {:24} keeps {kept:.2} activations", format!("checkpoints {rule:?}"));
        let works: [(&str, &dyn Fn(&mut [f64])); 2] = [
            ("gradient", &|out| {
                let pass = net.forward(&theta, &inputs).expect("pass");
                let back = pass.clone().backward(pass.outputs()).expect("backward pass");
                back.gradient(out).expect("gradient");
            }),
            ("Hessian product", &|out| {
                let pass = net.forward(&theta, &inputs).expect("pass");
                let back = pass.clone().backward(pass.outputs()).expect("backward pass");
                let mut turn = |change: &[f64], out: &mut [f64]| {
                    out.copy_from_slice(change);
                    Ok(())
                };
                back.second_product(&theta, &mut turn, out).expect("product");
            }),
        ];
        for ((what, work), all) in works.into_iter().zip(&mut all) {
            let ms = time(|| work(&mut out));
            if rule == Checkpoints::All {
                *all = ms;
            }
            let held = peak_bytes(|| work(&mut out)) as f64 / activations;
            print!("; {what} {ms:.1} ms = {:.2} of all, holds {held:.2}", ms / *all);
        }
        println!();
    }
}

fn study(name: &str, dims: &[usize]) {
    let n = 1000;
    let net = Network::perceptron(dims, Activation::Tanh).expect("network");
    let theta = net.initialize(Initialization::Glorot, 1).expect("parameters");
    let (inputs, targets) = (normal(dims[0], n, 2), normal(dims[dims.len() - 1], n, 3));
    let problem = Supervised::new(net.clone(), SquaredError, inputs.clone(), targets.clone()).expect("problem");
    let v: Vec<f64> = theta.iter().map(|t| 1.0 - t).collect();
    let at = problem.evaluate(&theta).expect("evaluation");
    at.backward().expect("backward pass");
    let products = |source: &dyn OuterProducts| source.products(at.clone()).expect("products");
    let (ggn, fisher) = (products(&GaussNewton), products(&Fisher));
    let (sampled, empirical) = (products(&MonteCarloFisher::default()), products(&EmpiricalFisher));
    let moved = std::cell::RefCell::new(theta.clone());
    let moving = Supervised::new(net.clone(), SquaredError, inputs.clone(), targets).expect("problem");
    let works: [(&str, f64, &dyn Fn(&mut [f64])); 8] = [
        ("gradient", 1.0, &|out| {
            moved.borrow_mut()[0] += 1e-9;
            moving.evaluate(&moved.borrow()).and_then(|at| at.gradient(out)).expect("gradient");
        }),
        ("Hessian product", 2.1, &|out| at.hessian_product(&v, out).expect("product")),
        ("GGN product", 1.4, &|out| ggn.apply(&v, out).expect("product")),
        ("Fisher product", 1.4, &|out| fisher.apply(&v, out).expect("product")),
        ("Monte-Carlo Fisher", 0.8, &|out| sampled.apply(&v, out).expect("product")),
        ("empirical Fisher", 0.8, &|out| empirical.apply(&v, out).expect("product")),
        ("K-FAC factors, sampled", 0.8, &|_| {
            Kfac::<MonteCarloFisher>::default().factors(&at).expect("factors");
        }),
        ("K-FAC factors, empirical", 0.8, &|_| {
            Kfac::<EmpiricalFisher>::default().factors(&at).expect("factors");
        }),
    ];
    let mut out = vec![0.0; theta.len()];
    let holds = works.map(|(_, _, work)| peak_bytes(|| work(&mut out)) as f64);
    // One after the other in every round, so that what else the machine does disturbs all alike.
    let (start, mut least, mut rounds) = (Instant::now(), [f64::INFINITY; 8], 0);
    while rounds < 5 || (rounds < 200 && start.elapsed().as_secs() < 8) {
        for ((_, _, work), least) in works.iter().zip(&mut least) {
            let start = Instant::now();
            work(&mut out);
            *least = least.min(1e3 * start.elapsed().as_secs_f64());
        }
        rounds += 1;
    }
    let (rate, peak) = (3.0 * flops(dims, n) / least[0] / 1e6, peak());
    println!("{name}, {} parameters, {} threads, {rounds} rounds", theta.len(), rayon::current_num_threads());
    println!("  gradient {:.2} ms, {rate:.0} GFLOP/s of {peak:.0} ({:.0} %)", least[0], 100.0 * rate / peak);
    let activations = (8 * n * dims.iter().sum::<usize>()) as f64;
    for (((what, bound, _), ms), bytes) in works.iter().zip(least).zip(holds).skip(1) {
        let (ratio, bytes) = (ms / least[0], bytes / activations);
        println!("  {what:24} {ms:8.2} ms = {ratio:.2} gradients (aim {bound}), holds {bytes:.2} activations");
    }
    checkpoints(&net, &theta, &inputs, activations);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let wants = |name: &str| !arguments.iter().any(|a| a == "small" || a == "large") || arguments.iter().any(|a| a == name);
    let threads = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(1);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("one thread pool");
    if wants("small") {
        study("64-128-64-32-64-128-64", &[64, 128, 64, 32, 64, 128, 64]);
    }
    if wants("large") {
        study("784-1000-500-250-30-250-500-1000-784", &[784, 1000, 500, 250, 30, 250, 500, 1000, 784]);
    }
}
