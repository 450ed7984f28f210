//! Extreme eigenpairs as Lanczos gives them, and condition numbers.

/// An approximate eigenvalue with the radius of an interval around it that holds an eigenvalue.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ritz {
    /// `θ`.
    pub value: f64,
    /// `‖Bv − θv‖`, computed from the products and not below rounding: some eigenvalue lies within it of `θ`. For a pencil
    /// the norm is that of `P⁻¹`.
    pub error: f64,
    /// `v` of unit length, for a pencil `vᵀPv = 1`; empty if vectors were not asked for.
    pub vector: Vec<f64>,
}

/// Eigenvalues at the ends of the spectrum.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Extremes {
    /// The lowest ones, ascending; each is at least the eigenvalue of its rank.
    pub lowest: Vec<Ritz>,
    /// The highest ones, descending; each is at most the eigenvalue of its rank.
    pub highest: Vec<Ritz>,
    /// Products made.
    pub products: u64,
    /// True if every error met the tolerance.
    pub converged: bool,
}

/// Ratio of the largest to the smallest eigenvalue of a positive definite matrix or pencil.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ConditionNumber {
    /// The ratio of the extreme Ritz values, up to rounding a lower bound of the condition number.
    pub value: f64,
    /// The ratio with the errors added to its disadvantage; infinite if the smallest eigenvalue cannot be told from zero.
    pub at_most: f64,
}

impl Extremes {
    /// The condition number; `None` if an end is missing or the smallest Ritz value is not positive.
    pub fn condition_number(&self) -> Option<ConditionNumber> {
        let (low, high) = (self.lowest.first()?, self.highest.first()?);
        let smallest = low.value - low.error;
        let at_most = if smallest > 0.0 { (high.value + high.error) / smallest } else { f64::INFINITY };
        (low.value > 0.0).then(|| ConditionNumber { value: high.value / low.value, at_most })
    }
}
