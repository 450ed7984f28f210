//! A constant size: every finite step is taken.

use super::{Globalization, Start, Trial, Verdict};
use crate::error::{Error, Result};
use crate::second_order::Region;

/// Takes every finite step of the same size; stops at a non-finite one. Over a [`Line`](crate::second_order::Line) with
/// size 1 this is the pure Newton method, without any global convergence.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Fixed {
    /// The size of every step. Default 1.
    pub size: f64,
}

impl Default for Fixed {
    fn default() -> Self {
        Self { size: 1.0 }
    }
}

impl Fixed {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`] naming the option.
    pub fn validate(&self) -> Result<()> {
        Error::check_option(self.size.is_finite() && self.size > 0.0, "size", "positive and finite", self.size)
    }
}

impl<R: Region> Globalization<R> for Fixed {
    fn first_size(&mut self, _: &Start) -> f64 {
        self.size
    }

    fn judge(&mut self, trial: &Trial) -> Verdict {
        if trial.is_finite() { Verdict::Accept { size: trial.size, next: self.size } } else { Verdict::give_up(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{START, ball};
    use super::*;
    use crate::second_order::{Ball, Line};

    #[test]
    fn fixed_accepts_an_increase_and_stops_at_a_non_finite_trial() {
        let mut fixed = Fixed { size: 0.25 };
        assert_eq!(Globalization::<Line>::first_size(&mut fixed, &START), 0.25);
        assert_eq!(
            Globalization::<Ball>::judge(&mut fixed, &ball(0.25, 0.25, 1.0, -5.0)),
            Verdict::Accept { size: 0.25, next: 0.25 }
        );
        assert!(matches!(Globalization::<Ball>::judge(&mut fixed, &ball(0.25, 0.25, 1.0, f64::NEG_INFINITY)), Verdict::Stop(_)));
    }

    #[test]
    fn fixed_with_a_size_out_of_range_is_refused() {
        for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Fixed { size }.validate().is_err());
        }
        assert!(Fixed::default().validate().is_ok());
    }
}
