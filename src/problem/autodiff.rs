//! Exact derivatives of a function generic over dual numbers ([`AutoDiff`]).
//!
//! Forward mode with vectors of fixed length, so that an arithmetic operation allocates nothing. With `c` the cost of one
//! evaluation of `f`: a gradient is `⌈n/8⌉` sweeps over dual numbers with eight tangents, a Hessian–vector product as many
//! over hyper-dual numbers with eight tangents crossed with the direction, a Hessian `b(b+1)/2` sweeps over 4 × 4
//! hyper-dual blocks, `b = ⌈n/4⌉`. For many variables and few in each term, [`Elements`](super::Elements) costs `O(n)`.
//!
//! # Reference
//! Fike and Alonso (2011), *The development of hyper-dual numbers for exact second-derivative calculations*.

use super::{Function, HessianMatrix, HessianProduct};
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::operator::DenseMatrix;
use argmin::core::{CostFunction, Error as ArgminError, Gradient, Hessian};
use nalgebra::{Const, DMatrix, SMatrix, SVector, U1};
use num_dual::{Derivative, DualSVec64, HyperDualSVec64};
use std::marker::PhantomData;

pub use num_dual::DualNum;

/// A scalar function written once for real and dual numbers. (A closure cannot be generic, hence a trait.)
///
/// Comparisons see the real part. Where `f` has no derivative (`|x|` at 0, `√x` at 0) the result follows num-dual's
/// rules and may be NaN. The operator `%` is not defined for dual numbers and panics inside num-dual.
pub trait DualFunction {
    /// `n`, the number of variables.
    fn dim(&self) -> usize;
    /// `f(x)`; `x` has [`dim`](Self::dim) entries.
    fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D;
}

/// A [`DualFunction`] as a problem with exact gradient, dense Hessian and Hessian–vector product, over points of type `P`.
///
/// # Example
/// ```
/// use argmin::core::Gradient;
/// use curvkit::problem::{AutoDiff, DualFunction, DualNum};
///
/// struct Bowl;
/// impl DualFunction for Bowl {
///     fn dim(&self) -> usize { 2 }
///     fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D { x[0].sin() * x[1] + x[1] * x[1] }
/// }
/// let g = AutoDiff::new(Bowl).gradient(&vec![0.0, 3.0])?;
/// assert_eq!(g, [3.0, 6.0]);
/// # Ok::<(), argmin::core::Error>(())
/// ```
pub struct AutoDiff<F, P = Vec<f64>> {
    function: F,
    point: PhantomData<fn() -> P>,
}

impl<F: Clone, P> Clone for AutoDiff<F, P> {
    fn clone(&self) -> Self {
        AutoDiff { function: self.function.clone(), point: PhantomData }
    }
}

impl<F: DualFunction> AutoDiff<F> {
    /// Over points `Vec<f64>`; see [`over`](Self::over) for others.
    pub fn new(function: F) -> Self {
        AutoDiff { function, point: PhantomData }
    }

    /// The same problem over another container, for example `nalgebra::DVector<f64>`.
    pub fn over<P: Vector>(self) -> AutoDiff<F, P> {
        AutoDiff { function: self.function, point: PhantomData }
    }
}

impl<F: DualFunction, P> AutoDiff<F, P> {
    /// The wrapped function.
    pub fn function(&self) -> &F {
        &self.function
    }

    fn check(&self, x: &[f64]) -> Result<()> {
        Error::check_len("point", self.function.dim(), x.len())
    }

    fn product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x)?;
        Error::check_len("direction", x.len(), v.len())?;
        Error::check_len("product", x.len(), out.len())?;
        write_product(&self.function, x, v, out);
        Ok(())
    }
}

/// Calls `work` with `n` numbers `lift(i)`: on the stack if they fit into `N`, else in one allocation.
pub(super) fn with_lifted<D: DualNum<f64> + Copy, R, const N: usize>(
    n: usize,
    work: impl FnOnce(&mut [D]) -> R,
    lift: impl Fn(usize) -> D,
) -> R {
    if n <= N {
        let mut numbers: [D; N] = std::array::from_fn(|i| if i < n { lift(i) } else { D::from(0.0) });
        work(&mut numbers[..n])
    } else {
        work(&mut (0..n).map(lift).collect::<Vec<D>>())
    }
}

pub(super) fn unit<const N: usize>(k: usize) -> SVector<f64, N> {
    SVector::from_fn(|i, _| f64::from(i == k))
}

pub(super) fn unit_row<const N: usize>(k: usize) -> SMatrix<f64, 1, N> {
    SMatrix::from_fn(|_, j| f64::from(j == k))
}

/// `out ← ∇f(x)` in chunks of `N` tangents.
fn gradient_chunked<F: DualFunction, const N: usize>(f: &F, x: &[f64], out: &mut [f64]) {
    let n = x.len();
    let sweep = |numbers: &mut [DualSVec64<N>]| {
        for (c, chunk) in out.chunks_mut(N).enumerate() {
            let first = c * N;
            for k in 0..chunk.len() {
                numbers[first + k].eps = Derivative::some(unit(k));
            }
            let tangents = f.eval(numbers).eps.unwrap_generic(Const::<N>, U1);
            chunk.iter_mut().zip(tangents.iter()).for_each(|(o, t)| *o = *t);
            for number in &mut numbers[first..first + chunk.len()] {
                number.eps = Derivative::none();
            }
        }
    };
    with_lifted::<_, _, N>(n, sweep, |i| DualSVec64::<N>::from_re(x[i]));
}

/// Writes `∇²f(x)`, column-major, in blocks of `N × N` crossed tangents.
fn hessian_chunked<F: DualFunction, const N: usize>(f: &F, x: &[f64], out: &mut [f64]) {
    let n = x.len();
    let sweep = |numbers: &mut [HyperDualSVec64<N, N>]| {
        for rows in (0..n).step_by(N) {
            let n_rows = N.min(n - rows);
            for k in 0..n_rows {
                numbers[rows + k].eps1 = Derivative::some(unit(k));
            }
            for columns in (rows..n).step_by(N) {
                let n_columns = N.min(n - columns);
                for k in 0..n_columns {
                    numbers[columns + k].eps2 = Derivative::some(unit_row(k));
                }
                let block = f.eval(numbers).eps1eps2.unwrap_generic(Const::<N>, Const::<N>);
                for j in 0..n_columns {
                    numbers[columns + j].eps2 = Derivative::none();
                    // On a diagonal block only one triangle is read, so that the result is symmetric to the last bit.
                    let end = if columns == rows { j + 1 } else { n_rows };
                    for i in 0..end {
                        let (r, c) = (rows + i, columns + j);
                        out[c * n + r] = block[(i, j)];
                        out[r * n + c] = block[(i, j)];
                    }
                }
            }
            for number in &mut numbers[rows..rows + n_rows] {
                number.eps1 = Derivative::none();
            }
        }
    };
    with_lifted::<_, _, N>(n, sweep, |i| HyperDualSVec64::<N, N>::from_re(x[i]));
}

/// `out ← ∇²f(x) v` in chunks of `N` tangents crossed with the direction `v`.
fn product_chunked<F: DualFunction, const N: usize>(f: &F, x: &[f64], v: &[f64], out: &mut [f64]) {
    let n = x.len();
    let sweep = |numbers: &mut [HyperDualSVec64<N, 1>]| {
        for (c, chunk) in out.chunks_mut(N).enumerate() {
            let first = c * N;
            for k in 0..chunk.len() {
                numbers[first + k].eps1 = Derivative::some(unit(k));
            }
            let cross = f.eval(numbers).eps1eps2.unwrap_generic(Const::<N>, U1);
            chunk.iter_mut().zip(cross.iter()).for_each(|(o, t)| *o = *t);
            for number in &mut numbers[first..first + chunk.len()] {
                number.eps1 = Derivative::none();
            }
        }
    };
    with_lifted::<_, _, N>(n, sweep, |i| {
        let direction = if v[i] == 0.0 { Derivative::none() } else { Derivative::some(SMatrix::from_element(v[i])) };
        HyperDualSVec64::<N, 1>::new(x[i], Derivative::none(), direction, Derivative::none())
    });
}

fn write_gradient<F: DualFunction>(f: &F, x: &[f64], out: &mut [f64]) {
    match x.len() {
        0..=2 => gradient_chunked::<F, 2>(f, x, out),
        3..=4 => gradient_chunked::<F, 4>(f, x, out),
        _ => gradient_chunked::<F, 8>(f, x, out),
    }
}

pub(super) fn write_hessian<F: DualFunction>(f: &F, x: &[f64], out: &mut [f64]) {
    match x.len() {
        0..=2 => hessian_chunked::<F, 2>(f, x, out),
        _ => hessian_chunked::<F, 4>(f, x, out),
    }
}

fn write_product<F: DualFunction>(f: &F, x: &[f64], v: &[f64], out: &mut [f64]) {
    match x.len() {
        0..=2 => product_chunked::<F, 2>(f, x, v, out),
        3..=4 => product_chunked::<F, 4>(f, x, v, out),
        _ => product_chunked::<F, 8>(f, x, v, out),
    }
}

impl<F: DualFunction, P: Vector> CostFunction for AutoDiff<F, P> {
    type Param = P;
    type Output = f64;
    fn cost(&self, x: &P) -> std::result::Result<f64, ArgminError> {
        self.check(x.as_slice())?;
        Ok(self.function.eval(x.as_slice()))
    }
}

impl<F: DualFunction, P: Vector> Gradient for AutoDiff<F, P> {
    type Param = P;
    type Gradient = P;
    fn gradient(&self, x: &P) -> std::result::Result<P, ArgminError> {
        self.check(x.as_slice())?;
        let mut g = x.clone();
        write_gradient(&self.function, x.as_slice(), g.as_mut_slice());
        Ok(g)
    }
}

impl<F: DualFunction, P: Vector> Hessian for AutoDiff<F, P> {
    type Param = P;
    type Hessian = DMatrix<f64>;
    fn hessian(&self, x: &P) -> std::result::Result<DMatrix<f64>, ArgminError> {
        self.check(x.as_slice())?;
        let n = x.as_slice().len();
        let mut h = DMatrix::zeros(n, n);
        write_hessian(&self.function, x.as_slice(), h.as_mut_slice());
        Ok(h)
    }
}

impl<F: DualFunction, P: Vector> HessianProduct for AutoDiff<F, P> {
    fn hessian_product(&self, x: &P, v: &[f64], out: &mut [f64]) -> Result<()> {
        self.product(x.as_slice(), v, out)
    }
}

impl<F: DualFunction + Send + Sync, P> Function for AutoDiff<F, P> {
    fn dim(&self) -> usize {
        self.function.dim()
    }
    fn cost(&self, x: &[f64]) -> Result<f64> {
        self.check(x)?;
        Ok(self.function.eval(x))
    }
    fn gradient(&self, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.check(x)?;
        Error::check_len("gradient", x.len(), out.len())?;
        write_gradient(&self.function, x, out);
        Ok(())
    }
    fn hessian(&self, x: &[f64]) -> Result<HessianMatrix> {
        self.check(x)?;
        let n = x.len();
        let mut entries = vec![0.0; n * n];
        write_hessian(&self.function, x, &mut entries);
        Ok(HessianMatrix::Dense(DenseMatrix::new(n, entries)?))
    }
    fn hessian_product(&self, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.product(x, v, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Σ 100 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)² + sin(x₀ xₙ₋₁)`.
    struct Chain(usize);
    impl DualFunction for Chain {
        fn dim(&self) -> usize {
            self.0
        }
        fn eval<D: DualNum<f64> + Copy>(&self, x: &[D]) -> D {
            let mut sum = (x[0] * x[self.0 - 1]).sin();
            for w in x.windows(2) {
                sum += (w[1] - w[0] * w[0]).powi(2) * 100.0 + (w[0] - 1.0).powi(2);
            }
            sum
        }
    }

    fn by_hand(x: &[f64]) -> (Vec<f64>, DMatrix<f64>) {
        let n = x.len();
        let (mut g, mut h) = (vec![0.0; n], DMatrix::zeros(n, n));
        for i in 0..n - 1 {
            let r = x[i + 1] - x[i] * x[i];
            g[i] += -400.0 * x[i] * r + 2.0 * (x[i] - 1.0);
            g[i + 1] += 200.0 * r;
            h[(i, i)] += -400.0 * r + 800.0 * x[i] * x[i] + 2.0;
            h[(i + 1, i + 1)] += 200.0;
            h[(i, i + 1)] += -400.0 * x[i];
            h[(i + 1, i)] += -400.0 * x[i];
        }
        let (a, b) = (x[0], x[n - 1]);
        let (s, c) = (a * b).sin_cos();
        g[0] += b * c;
        g[n - 1] += a * c;
        h[(0, 0)] -= b * b * s;
        h[(n - 1, n - 1)] -= a * a * s;
        h[(0, n - 1)] += c - a * b * s;
        h[(n - 1, 0)] += c - a * b * s;
        (g, h)
    }

    #[test]
    fn derivatives_at_every_chunk_remainder_equal_those_by_hand() {
        for n in 2..=19 {
            let x: Vec<f64> = (0..n).map(|i| 0.3 + (i as f64 * 0.7).sin()).collect();
            let v: Vec<f64> = (0..n).map(|i| if i % 3 == 1 { 0.0 } else { (i as f64).cos() }).collect();
            let problem = AutoDiff::new(Chain(n));
            let (g, h) = by_hand(&x);
            let hv = &h * nalgebra::DVector::from_vec(v.clone());
            let mut product = vec![0.0; n];
            HessianProduct::hessian_product(&problem, &x, &v, &mut product).unwrap();
            let scale = h.amax();
            for i in 0..n {
                assert!((Gradient::gradient(&problem, &x).unwrap()[i] - g[i]).abs() <= 1e-13 * scale);
                assert!((product[i] - hv[i]).abs() <= 1e-13 * scale);
            }
            let hessian = Hessian::hessian(&problem, &x).unwrap();
            assert!((&hessian - &h).amax() <= 1e-13 * scale);
            assert_eq!(hessian, hessian.transpose());
        }
    }

    #[test]
    fn point_of_wrong_length_is_an_error() {
        let problem = AutoDiff::new(Chain(3));
        let found = CostFunction::cost(&problem, &vec![1.0]).unwrap_err().downcast::<Error>().unwrap();
        assert!(matches!(found, Error::Dimension { expected: 3, found: 1, .. }));
        let mut out = [0.0; 3];
        assert!(Function::hessian_product(&problem, &[1.0; 3], &[1.0; 2], &mut out).is_err());
    }

    #[test]
    fn nalgebra_points_and_the_erased_function_agree_with_vec() {
        let x = vec![0.5, -0.2, 1.3];
        let over = AutoDiff::new(Chain(3)).over::<nalgebra::DVector<f64>>();
        let problem = AutoDiff::new(Chain(3));
        let g = Gradient::gradient(&over, &nalgebra::DVector::from_vec(x.clone())).unwrap();
        assert_eq!(g.as_slice(), Gradient::gradient(&problem, &x).unwrap());
        let HessianMatrix::Dense(h) = Function::hessian(&problem, &x).unwrap() else { panic!("dense expected") };
        assert_eq!(h.entries(), Hessian::hessian(&problem, &x).unwrap().as_slice());
    }
}
