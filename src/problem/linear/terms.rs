//! A linear model term by term: what stochastic methods ask for.

use super::{Data, LinearSum, hessian};
use crate::error::{Error, Result};
use crate::linalg::Vector;
use crate::linalg::vector::{axpy, dot, scale};
use crate::model::Block;
use crate::problem::finite_sum::{FiniteSum, LinearTerms, PartialHessian};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

impl<P: Vector> LinearSum<P> {
    fn check_rows(&self, rows: &[usize]) -> Result<()> {
        Error::check_option(!rows.is_empty(), "rows", "at least one", 0)?;
        let n = self.data.n();
        match rows.iter().find(|i| **i >= n) {
            None => Ok(()),
            Some(i) => Error::check_option(false, "row", "below the number of samples", i),
        }
    }

    fn is_all(&self, rows: &[usize]) -> bool {
        rows.len() == self.data.n() && rows.iter().copied().eq(0..rows.len())
    }

    fn check_term_call(&self, x: &[f64], rows: &[usize], out: &[f64]) -> Result<()> {
        self.data.check(x)?;
        Error::check_len("gradient", x.len(), out.len())?;
        self.check_rows(rows)
    }
}

impl Data {
    /// Adds `½ λ ‖W‖²` times `factor` to value and gradient.
    fn add_regulariser(&self, factor: f64, x: &[f64], gradient: &mut [f64]) -> f64 {
        let weights = self.map.n_weights();
        axpy(factor * self.l2, &x[..weights], &mut gradient[..weights]);
        0.5 * factor * self.l2 * dot(&x[..weights], &x[..weights])
    }

    /// `slopes ← ωᵢ ∇ℓᵢ` at `x`; the value `ωᵢ ℓᵢ`.
    fn term(&self, x: &[f64], i: usize, slopes: &mut [f64]) -> f64 {
        self.map.predict(self.features.row(i), x, slopes);
        let (y, weight) = (self.response[i], self.weight(i));
        let value = weight * self.loss.value(y, slopes);
        self.loss.slope(y, slopes);
        scale(weight, slopes);
        value
    }
}

impl<P: Vector> FiniteSum for LinearSum<P> {
    fn n_terms(&self) -> usize {
        self.data.n()
    }

    fn partial(&self, x: &[f64], rows: &[usize], gradient: &mut [f64]) -> Result<f64> {
        self.check_term_call(x, rows, gradient)?;
        let data = &*self.data;
        if self.is_all(rows) {
            let pass = self.pass(x)?;
            gradient.copy_from_slice(&pass.gradient);
            return Ok(pass.cost);
        }
        let mut slopes = vec![0.0; data.map.outputs];
        gradient.fill(0.0);
        let mut value = 0.0;
        for i in rows {
            value += data.term(x, *i, &mut slopes);
            data.map.add(data.features.row(*i), &slopes, gradient);
        }
        let mean = 1.0 / rows.len() as f64;
        scale(mean, gradient);
        Ok(mean * value + data.add_regulariser(1.0, x, gradient))
    }

    fn partial_cost(&self, x: &[f64], rows: &[usize]) -> Result<f64> {
        self.check_term_call(x, rows, x)?;
        let data = &*self.data;
        let mut outputs = vec![0.0; data.map.outputs];
        let mut value = 0.0;
        for i in rows {
            data.map.predict(data.features.row(*i), x, &mut outputs);
            value += data.weight(*i) * data.loss.value(data.response[*i], &outputs);
        }
        let weights = data.map.n_weights();
        Ok(value / rows.len() as f64 + 0.5 * data.l2 * dot(&x[..weights], &x[..weights]))
    }

    fn weighted_partial(&self, x: &[f64], rows: &[usize], weights: &[f64], gradient: &mut [f64]) -> Result<f64> {
        self.check_term_call(x, rows, gradient)?;
        Error::check_len("weights of terms", rows.len(), weights.len())?;
        let data = &*self.data;
        let mut slopes = vec![0.0; data.map.outputs];
        gradient.fill(0.0);
        let mut value = 0.0;
        for (i, weight) in rows.iter().zip(weights) {
            value += weight * data.term(x, *i, &mut slopes);
            scale(*weight, &mut slopes);
            data.map.add(data.features.row(*i), &slopes, gradient);
        }
        Ok(value + data.add_regulariser(weights.iter().sum(), x, gradient))
    }

    fn partial_product(&self, x: &[f64], rows: &[usize], v: &[f64], out: &mut [f64]) -> Result<()> {
        self.check_term_call(x, rows, out)?;
        Error::check_len("direction", x.len(), v.len())?;
        let data = &*self.data;
        let k = data.map.outputs;
        let (mut slopes, mut bends, mut turned) = (vec![0.0; k], vec![0.0; k], vec![0.0; k]);
        out.fill(0.0);
        for &i in rows {
            let row = data.features.row(i);
            data.second(x, i, &mut slopes, &mut bends);
            data.map.predict(row, v, &mut turned);
            data.turn(i..i + 1, &bends, &mut turned);
            data.map.add(row, &turned, out);
        }
        scale(1.0 / rows.len() as f64, out);
        data.add_regulariser(1.0, v, out);
        Ok(())
    }

    fn sampled_partial(&self, x: &[f64], rows: &[usize], seed: u64, out: &mut [f64]) -> Result<()> {
        self.check_term_call(x, rows, out)?;
        let data = &*self.data;
        let (mut slopes, mut random) = (vec![0.0; data.map.outputs], ChaCha8Rng::seed_from_u64(seed));
        out.fill(0.0);
        for &i in rows {
            data.map.predict(data.features.row(i), x, &mut slopes);
            data.loss.drawn_slope(&mut random, &mut slopes)?;
            // A weight multiplies the curvature, which is the square of a slope.
            scale(data.weight(i).sqrt(), &mut slopes);
            data.map.add(data.features.row(i), &slopes, out);
        }
        scale(1.0 / rows.len() as f64, out);
        Ok(())
    }

    fn lipschitz(&self, i: usize) -> Option<f64> {
        let data = &*self.data;
        let bound = data.loss.curvature_bound()?;
        let square = data.features.squared_norm(i) + f64::from(u8::from(data.map.intercept));
        Some(data.weight(i) * bound * square + data.l2)
    }

    fn layout(&self) -> &[Block] {
        &self.data.layout
    }

    fn linear_terms(&self) -> Option<&dyn LinearTerms> {
        Some(&*self.data)
    }
}

impl Data {
    /// Slopes and `ωᵢ ℓᵢ''` (of a softmax the probabilities) of one sample.
    fn second(&self, x: &[f64], i: usize, slopes: &mut [f64], bends: &mut [f64]) {
        self.map.predict(self.features.row(i), x, slopes);
        let weight = self.weights.as_ref().map(|w| &w[i..i + 1]);
        self.loss.evaluate(&self.response[i..i + 1], weight, slopes, bends);
    }
}

impl<P: Vector> PartialHessian for LinearSum<P> {
    fn partial_hessian(&self, x: &[f64], rows: &[usize], out: &mut [f64]) -> Result<()> {
        self.data.check(x)?;
        self.check_rows(rows)?;
        Error::check_len("Hessian", x.len() * x.len(), out.len())?;
        let data = &*self.data;
        if self.is_all(rows) {
            out.fill(0.0);
            hessian::write(data, 0..data.n(), &self.pass(x)?.curvature, out);
            hessian::finish(data, data.n(), out);
            return Ok(());
        }
        let k = data.map.outputs;
        let mut slopes = vec![0.0; k];
        let mut bends = vec![0.0; k * rows.len()];
        rows.iter().zip(bends.chunks_exact_mut(k)).for_each(|(i, bends)| data.second(x, *i, &mut slopes, bends));
        out.fill(0.0);
        hessian::write(data, rows.iter().copied(), &bends, out);
        hessian::finish(data, rows.len(), out);
        Ok(())
    }
}

impl LinearTerms for Data {
    fn n_outputs(&self) -> usize {
        self.map.outputs
    }

    fn outputs(&self, x: &[f64], i: usize, outputs: &mut [f64]) {
        self.map.predict(self.features.row(i), x, outputs);
    }

    fn value(&self, i: usize, outputs: &[f64]) -> f64 {
        self.weight(i) * self.loss.value(self.response[i], outputs)
    }

    fn slopes(&self, i: usize, outputs: &mut [f64]) {
        self.loss.slope(self.response[i], outputs);
        if let Some(weights) = &self.weights {
            scale(weights[i], outputs);
        }
    }

    fn add_adjoint(&self, i: usize, slopes: &[f64], gradient: &mut [f64]) {
        self.map.add(self.features.row(i), slopes, gradient);
    }

    fn add_shared(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        self.add_regulariser(1.0, x, gradient)
    }

    fn shared_curvature(&self) -> f64 {
        self.l2
    }

    fn squared_norm(&self, i: usize) -> f64 {
        self.features.squared_norm(i) + f64::from(u8::from(self.map.intercept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Features, LinearLoss, LinearOptions};

    #[test]
    fn gradients_with_drawn_targets_have_the_fisher_matrix_as_their_second_moment() {
        let x: Vec<f64> = (0..12).map(|i| (1.7 * f64::from(i)).sin()).collect();
        let weights = Some(vec![1.0, 0.5, 2.0, 1.0, 0.0, 3.0]);
        for (loss, y) in [
            (LinearLoss::Logistic, [0.0, 1.0, 1.0, 0.0, 1.0, 0.0]),
            (LinearLoss::Softmax { classes: 3 }, [0.0, 1.0, 2.0, 2.0, 1.0, 0.0]),
            (LinearLoss::Squared, [0.3, -1.0, 0.2, 0.0, 2.0, 1.0]),
            (LinearLoss::Poisson, [0.0, 3.0, 1.0, 0.0, 2.0, 1.0]),
        ] {
            let features = Features::dense(2, x.clone()).expect("features");
            let options = LinearOptions { weights: weights.clone(), ..LinearOptions::default() };
            let sum = LinearSum::new(loss, features, y.to_vec(), &options).expect("problem");
            let (p, rows) = (sum.n_params(), [0, 1, 2, 3, 4, 5]);
            let theta: Vec<f64> = (0..p).map(|j| 0.4 * (j as f64).cos()).collect();
            let (mut g, draws) = (vec![0.0; p], 40_000);
            let (mut mean, mut square) = (vec![0.0; p * p], vec![0.0; p * p]);
            for seed in 0..draws {
                sum.sampled_partial(&theta, &rows, seed, &mut g).expect("gradient");
                for (k, (m, s)) in mean.iter_mut().zip(&mut square).enumerate() {
                    let v = 6.0 * g[k / p] * g[k % p];
                    *m += v / draws as f64;
                    *s += v * v / draws as f64;
                }
            }
            // The links are canonical: the Fisher matrix is the Hessian.
            let mut fisher = vec![0.0; p * p];
            sum.partial_hessian(&theta, &rows, &mut fisher).expect("Hessian");
            for ((m, s), exact) in mean.iter().zip(&square).zip(&fisher) {
                let error = ((s - m * m).max(0.0) / draws as f64).sqrt();
                assert!((m - exact).abs() <= 5.0 * error + 1e-14, "{loss:?}: {m} {exact} ± {error}");
            }
        }
        let hinge = LinearSum::new(
            LinearLoss::SquaredHinge,
            Features::dense(2, x).expect("features"),
            vec![0.0, 1.0, 1.0, 0.0, 1.0, 0.0],
            &LinearOptions::default(),
        );
        let refused = hinge.expect("problem").sampled_partial(&[0.0; 3], &[0], 0, &mut [0.0; 3]);
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
    }
}
