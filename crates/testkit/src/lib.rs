//! Development only: golden runner, harnesses, fakes.

pub mod suites;

pub use suites::{accepting, program, repository, skip, skip_optional};
