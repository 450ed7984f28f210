//! The 35 problems of Moré, Garbow & Hillstrom, *Testing unconstrained optimization software*, ACM TOMS 7(1), 1981.
//!
//! All are `f(x) = Σ rᵢ(x)²` with the published residuals, starts and minima; numbers in titles are those of the paper.

mod equations;
mod extended;
mod four_variables;
mod linear;
mod more_variables;
mod three_variables;
mod two_variables;

use super::Entry;

/// The family's table.
pub const TABLE: &[Entry] = &[
    Entry { family: "rosenbrock", instances: &[("rosenbrock", 2)], build: two_variables::rosenbrock },
    Entry { family: "freudenstein_roth", instances: &[("freudenstein_roth", 2)], build: two_variables::freudenstein_roth },
    Entry { family: "powell_badly_scaled", instances: &[("powell_badly_scaled", 2)], build: two_variables::powell_badly_scaled },
    Entry { family: "brown_badly_scaled", instances: &[("brown_badly_scaled", 2)], build: two_variables::brown_badly_scaled },
    Entry { family: "beale", instances: &[("beale", 2)], build: two_variables::beale },
    Entry { family: "jennrich_sampson", instances: &[("jennrich_sampson", 2)], build: two_variables::jennrich_sampson },
    Entry { family: "helical_valley", instances: &[("helical_valley", 3)], build: three_variables::helical_valley },
    Entry { family: "bard", instances: &[("bard", 3)], build: three_variables::bard },
    Entry { family: "gaussian", instances: &[("gaussian", 3)], build: three_variables::gaussian },
    Entry { family: "meyer", instances: &[("meyer", 3)], build: three_variables::meyer },
    Entry { family: "gulf", instances: &[("gulf", 3)], build: three_variables::gulf },
    Entry { family: "box3d", instances: &[("box3d", 3)], build: three_variables::box3d },
    Entry { family: "powell_singular", instances: &[("powell_singular", 4)], build: four_variables::powell_singular },
    Entry { family: "wood", instances: &[("wood", 4)], build: four_variables::wood },
    Entry { family: "kowalik_osborne", instances: &[("kowalik_osborne", 4)], build: four_variables::kowalik_osborne },
    Entry { family: "brown_dennis", instances: &[("brown_dennis", 4)], build: four_variables::brown_dennis },
    Entry { family: "osborne1", instances: &[("osborne1", 5)], build: more_variables::osborne1 },
    Entry { family: "biggs_exp6", instances: &[("biggs_exp6", 6)], build: more_variables::biggs_exp6 },
    Entry { family: "osborne2", instances: &[("osborne2", 11)], build: more_variables::osborne2 },
    Entry { family: "watson", instances: &[("watson6", 6), ("watson9", 9)], build: more_variables::watson },
    Entry { family: "ext_rosenbrock", instances: &[("ext_rosenbrock_100", 100)], build: extended::ext_rosenbrock },
    Entry { family: "ext_powell", instances: &[("ext_powell_100", 100)], build: extended::ext_powell },
    Entry { family: "penalty1", instances: &[("penalty1_10", 10)], build: extended::penalty1 },
    Entry { family: "penalty2", instances: &[("penalty2_10", 10)], build: extended::penalty2 },
    Entry { family: "vardim", instances: &[("vardim_10", 10)], build: extended::vardim },
    Entry { family: "trigonometric", instances: &[("trigonometric_10", 10)], build: equations::trigonometric },
    Entry { family: "brown_almost_linear", instances: &[("brown_almost_linear_10", 10)], build: equations::brown_almost_linear },
    Entry { family: "disc_boundary", instances: &[("disc_boundary_10", 10)], build: equations::disc_boundary },
    Entry { family: "disc_integral", instances: &[("disc_integral_10", 10)], build: equations::disc_integral },
    Entry {
        family: "broyden_tridiag",
        instances: &[("broyden_tridiag_10", 10), ("broyden_tridiag_1000", 1000)],
        build: equations::broyden_tridiag,
    },
    Entry { family: "broyden_band", instances: &[("broyden_band_10", 10)], build: equations::broyden_band },
    Entry { family: "linear_full_rank", instances: &[("linear_full_rank_10", 10)], build: linear::linear_full_rank },
    Entry { family: "linear_rank1", instances: &[("linear_rank1_10", 10)], build: linear::linear_rank1 },
    Entry { family: "linear_rank1_zero", instances: &[("linear_rank1_zero_10", 10)], build: linear::linear_rank1_zero },
    Entry { family: "chebyquad", instances: &[("chebyquad_8", 8)], build: linear::chebyquad },
];
