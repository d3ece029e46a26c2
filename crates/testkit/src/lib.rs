//! Development only: golden runner, harnesses, fakes.

mod mistakes;
mod site;
pub mod suites;

pub use mistakes::mistakes;
pub use site::{Answer, Pages, Site};
pub use suites::{accepting, program, repository, skip, skip_optional};
