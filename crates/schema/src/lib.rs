//! The API server's door: what happens to an object between reading and storing it, without I/O.
//!
//! Definitions come from pinned modules (`scripts/setup schemas`) and are packed into the program; a repository's own
//! CustomResourceDefinitions win. [`admit`] drops unknown fields, fills in defaults and says in the API server's words
//! why an object is refused.

pub mod cause;
pub mod cel;
mod core_kinds;
pub mod defaults;
pub mod formats;
pub mod lists;
pub mod metadata;
pub mod names;
pub mod path;
pub mod prune;
pub mod schema;
pub mod typed;
pub mod validate;

mod admit;
mod definitions;
mod near;
mod pattern;
mod read;

pub use admit::{Admitted, Decoded, admit, decode, judges_updates, update};
pub use cause::{Cause, CauseKind};
pub use definitions::{Brought, Definition, Definitions, Lookup};
pub use prune::Unknown;
#[cfg(test)]
mod tests;
