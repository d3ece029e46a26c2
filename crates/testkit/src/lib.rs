//! Development only: golden runner, harnesses, fakes.

mod mistakes;
pub mod suites;

pub use mistakes::mistakes;
pub use suites::{accepting, program, repository, skip, skip_optional};
