//! Numbers and models that no scale brings out of range.

/// `m 2ᵉ`: a double without bounds on its exponent, so that a judge of steps at every scale cannot overflow itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wide(pub f64, pub i32);

impl Wide {
    pub fn new(x: f64) -> Self {
        Wide(x, 0).normal()
    }
    pub fn normal(self) -> Self {
        if self.0 == 0.0 {
            return Wide(0.0, 0);
        }
        // Subnormal numbers first, whose logarithm is right but whose power of two is out of range.
        let Wide(m, e) = if self.0.abs() < 1e-300 { Wide(self.0 * 2f64.powi(200), self.1 - 200) } else { self };
        let shift = m.abs().log2().floor() as i32;
        Wide(m * 2f64.powi(-(shift / 2)) * 2f64.powi(shift / 2 - shift), e + shift)
    }
    pub fn times(self, other: Self) -> Self {
        Wide(self.0 * other.0, self.1 + other.1).normal()
    }
    pub fn over(self, other: Self) -> Self {
        Wide(self.0 / other.0, self.1 - other.1).normal()
    }
    pub fn plus(self, other: Self) -> Self {
        let (a, b) = if self.0 == 0.0 || (other.0 != 0.0 && other.1 > self.1) { (other, self) } else { (self, other) };
        if b.0 == 0.0 || a.1 - b.1 > 200 { a } else { Wide(a.0 + b.0 * 2f64.powi(b.1 - a.1), a.1).normal() }
    }
    pub fn minus(self, other: Self) -> Self {
        self.plus(Wide(-other.0, other.1))
    }
    pub fn root(self) -> Self {
        let odd = self.1.rem_euclid(2);
        Wide((self.0 * f64::from(1 + odd)).sqrt(), (self.1 - odd) / 2).normal()
    }
    pub fn half(self) -> Self {
        Wide(self.0, self.1 - 1)
    }
    pub fn at_most(self, other: Self) -> bool {
        self.minus(other).0 <= 0.0
    }
    pub fn dot(x: &[Wide], y: &[Wide]) -> Self {
        x.iter().zip(y).fold(Wide(0.0, 0), |s, (a, b)| s.plus(a.times(*b)))
    }
    pub fn all(x: &[f64]) -> Vec<Self> {
        x.iter().map(|x| Wide::new(*x)).collect()
    }
    /// As a double, the largest one beyond the range.
    pub fn value(self) -> f64 {
        let e = self.1.clamp(-2000, 2000);
        (self.0 * 2f64.powi(e / 2) * 2f64.powi(e - e / 2)).clamp(-f64::MAX, f64::MAX)
    }
}

/// The model `gᵀp + ½ pᵀBp` in wide numbers.
pub struct WideModel {
    pub b: Vec<Wide>,
    pub g: Vec<Wide>,
}

impl WideModel {
    pub fn new(b: &[f64], g: &[f64]) -> Self {
        Self { b: Wide::all(b), g: Wide::all(g) }
    }
    pub fn form(&self, p: &[Wide]) -> Wide {
        let n = p.len();
        let product: Vec<Wide> = (0..n).map(|i| Wide::dot(&self.b[i * n..(i + 1) * n], p)).collect();
        Wide::dot(&product, p)
    }
    /// What rounding of the entries of `B` makes of `pᵀBp`.
    pub fn rounding(&self, p: &[Wide]) -> Wide {
        Wide::dot(&self.b, &self.b).root().times(Wide::dot(p, p)).times(Wide::new(4e-15))
    }
    pub fn decrease(&self, p: &[Wide]) -> Wide {
        Wide(0.0, 0).minus(Wide::dot(&self.g, p)).minus(self.form(p).half())
    }
    /// The largest decrease along `−g` within `radius`.
    pub fn cauchy(&self, radius: Option<Wide>) -> Wide {
        let (gg, curvature) = (Wide::dot(&self.g, &self.g), self.form(&self.g));
        let free = (curvature.0 > 0.0).then(|| gg.over(curvature));
        let held = radius.map(|radius| radius.over(gg.root()));
        let t = match (free, held) {
            (Some(a), Some(b)) => {
                if a.at_most(b) {
                    a
                } else {
                    b
                }
            }
            (a, b) => a.or(b).unwrap(),
        };
        t.times(gg).minus(t.times(t).times(curvature).half())
    }
}
