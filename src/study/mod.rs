//! Runs, traces, profiles and reports.
