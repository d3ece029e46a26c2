//! Development only: golden runner, harnesses, fakes.

mod bind;
mod mistakes;
mod pebble;
mod site;
pub mod suites;

pub use bind::{Bind, BindZone};
pub use mistakes::mistakes;
pub use pebble::{Pebble, PebbleOptions};
pub use site::{Answer, Pages, Site};
pub use suites::{accepting, program, repository, skip, skip_optional};
