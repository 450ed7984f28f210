//! Bundle adjustment: cameras and points in space from where the points were seen.
//!
//! A camera has nine numbers: a rotation `ω` (angle times axis), a translation `t`, a focal length `f`, two coefficients of
//! radial distortion `k₁, k₂`. It looks along its negative third axis:
//!
//! ```text
//! P = R(ω) X + t      p = −(P₁, P₂)/P₃      pixel = f (1 + k₁ ‖p‖² + k₂ ‖p‖⁴) p
//! ```
//!
//! A residual block is the pixel predicted less the pixel seen; the variables are the cameras, then the points.

use crate::dataset::bal::{Bal, Observation};
use crate::error::{Error, Result};
use crate::problem::{AutoResidualElement, DualNum, DualResidualElement, ResidualElements};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The reprojection errors, `k` being the observation; the variables are nine of a camera and three of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Reprojection(pub Vec<[f64; 2]>);

impl DualResidualElement<12, 2> for Reprojection {
    #[inline(always)]
    fn eval<D: DualNum<f64> + Copy>(&self, k: usize, x: &[D; 12]) -> [D; 2] {
        let seen = self.0[k];
        let pixel = project(x);
        [pixel[0] - seen[0], pixel[1] - seen[1]]
    }
}

/// Where a camera (nine numbers) sees a point (three).
#[inline(always)]
pub fn project<D: DualNum<f64> + Copy>(x: &[D; 12]) -> [D; 2] {
    let [w0, w1, w2, t0, t1, t2, f, k1, k2, ..] = *x;
    let p = rotate([w0, w1, w2], [x[9], x[10], x[11]]);
    let depth = -(p[2] + t2).recip();
    let (u, v) = ((p[0] + t0) * depth, (p[1] + t1) * depth);
    let s = u * u + v * v;
    let scale = f * (s * (k1 + s * k2) + 1.0);
    [scale * u, scale * v]
}

/// Rodrigues' formula; near the identity its first order, whose derivatives there are exact.
#[inline(always)]
fn rotate<D: DualNum<f64> + Copy>(w: [D; 3], x: [D; 3]) -> [D; 3] {
    let cross = |a: [D; 3]| [a[1] * x[2] - a[2] * x[1], a[2] * x[0] - a[0] * x[2], a[0] * x[1] - a[1] * x[0]];
    let square = w[0] * w[0] + w[1] * w[1] + w[2] * w[2];
    if square.re() <= f64::EPSILON * f64::EPSILON {
        let c = cross(w);
        return [x[0] + c[0], x[1] + c[1], x[2] + c[2]];
    }
    let angle = square.sqrt();
    let (sin, cos) = angle.sin_cos();
    let inverse = angle.recip();
    let axis = w.map(|w| w * inverse);
    let c = cross(axis);
    let along = (axis[0] * x[0] + axis[1] * x[1] + axis[2] * x[2]) * (-cos + 1.0);
    std::array::from_fn(|i| x[i] * cos + c[i] * sin + axis[i] * along)
}

/// The problem of some data.
///
/// # Errors
/// [`Error::Dimension`] if an observation names a camera or point that is not there.
pub fn problem(data: &Bal) -> Result<ResidualElements> {
    let (cameras, points) = (data.cameras.len(), data.points.len());
    let inside = |o: &&Observation| o.camera >= cameras || o.point >= points;
    if let Some(o) = data.observations.iter().find(inside) {
        let (expected, found) = if o.camera >= cameras { (cameras, o.camera) } else { (points, o.point) };
        return Err(Error::Dimension { what: "camera or point of an observation", expected, found });
    }
    let pixels = data.observations.iter().map(|o| o.pixel).collect();
    let variables =
        |o: &Observation| std::array::from_fn(|i| if i < 9 { 9 * o.camera + i } else { 9 * cameras + 3 * o.point + i - 9 });
    let tuples: Vec<[usize; 12]> = data.observations.iter().map(variables).collect();
    ResidualElements::builder(9 * cameras + 3 * points).group(AutoResidualElement(Reprojection(pixels)), tuples).build()
}

/// The cameras and points of some data as one vector of variables.
pub fn variables(data: &Bal) -> Vec<f64> {
    data.cameras.as_flattened().iter().chain(data.points.as_flattened()).copied().collect()
}

/// A scene made by chance: cameras around a cloud of points, each point seen by some of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Number of cameras, at least 2.
    pub cameras: usize,
    /// Number of points.
    pub points: usize,
    /// Number of observations: at least two and at most all cameras a point.
    pub observations: usize,
    /// Standard deviation of the errors of a pixel.
    pub noise: f64,
    /// Standard deviation of the start's errors: of rotations, of positions; a hundred times as much of focal lengths.
    pub perturbation: f64,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Scene {
    /// Six cameras, forty points, 160 observations without noise, start off by 0.02, seed 1.
    fn default() -> Self {
        Self { cameras: 6, points: 40, observations: 160, noise: 0.0, perturbation: 0.02, seed: 1 }
    }
}

impl Scene {
    /// The data with their perturbed start, and the true variables.
    ///
    /// # Errors
    /// [`Error::Config`] if the numbers do not fit together.
    pub fn generate(&self) -> Result<(Bal, Vec<f64>)> {
        let Self { cameras, points, observations, noise, perturbation, seed } = *self;
        Error::check_option(cameras >= 2, "cameras", "at least 2", cameras)?;
        let fits = (2 * points..=cameras * points).contains(&observations);
        Error::check_option(fits, "observations", "between two and all cameras a point", observations)?;
        let good = |v: f64| v >= 0.0 && v.is_finite();
        Error::check_option(good(noise) && good(perturbation), "noise", "finite and not negative", noise)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut data = Bal {
            cameras: (0..cameras).map(|_| camera(&mut rng)).collect(),
            points: (0..points).map(|_| std::array::from_fn(|_| rng.random_range(-1.0..1.0))).collect(),
            observations: Vec::with_capacity(observations),
        };
        for (point, count) in seen(&mut rng, cameras, points, observations).into_iter().enumerate() {
            for camera in rand::seq::index::sample(&mut rng, cameras, count) {
                let (c, x) = (&data.cameras[camera], &data.points[point]);
                let pixel = project(&std::array::from_fn(|i| if i < 9 { c[i] } else { x[i - 9] }));
                data.observations.push(Observation { camera, point, pixel: pixel.map(|p| p + noise * normal(&mut rng)) });
            }
        }
        let truth = variables(&data);
        for camera in &mut data.cameras {
            camera[..6].iter_mut().for_each(|v| *v += perturbation * normal(&mut rng));
            camera[6] += 100.0 * perturbation * normal(&mut rng);
        }
        data.points.as_flattened_mut().iter_mut().for_each(|v| *v += perturbation * normal(&mut rng));
        Ok((data, truth))
    }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// A camera about five units from the origin that looks there.
fn camera(rng: &mut ChaCha8Rng) -> [f64; 9] {
    let mut within = |bound: f64| rng.random_range(-bound..bound);
    let rotation = [within(0.7), within(0.7), within(0.7)];
    let translation = [within(0.3), within(0.3), within(0.5) - 5.0];
    let [w, t] = [rotation, translation];
    [w[0], w[1], w[2], t[0], t[1], t[2], 600.0 + within(100.0), within(0.05), within(0.01)]
}

/// By how many cameras each point is seen: two, and more at random.
fn seen(rng: &mut ChaCha8Rng, cameras: usize, points: usize, observations: usize) -> Vec<usize> {
    let mut seen = vec![2; points];
    let mut left = observations - 2 * points;
    while left > 0 {
        let point = rng.random_range(0..points);
        if seen[point] < cameras {
            seen[point] += 1;
            left -= 1;
        }
    }
    seen
}
