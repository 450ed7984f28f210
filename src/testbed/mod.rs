//! Test problems with their starts, minima and condition numbers.
