//! Typed tables, two rule shapes, recorded reads. Knows no domain.
//!
//! ```text
//!  put / remove facts -> step(now) -> rules in one fixed order -> net changes per table, next due instant, work
//! ```
//!
//! Invariants, held by the property test: any series of steps equals a rebuild from the same facts (held rows left
//! out); the work of a step depends on what changed and who read it, not on the size of the tables; nothing is read
//! that is not recorded; rules never see time except through [`Cx::due`].

mod context;
mod engine;
mod readers;
mod row;
mod rule;
mod table;
#[cfg(test)]
mod tests;
mod world;

pub use context::Cx;
pub use engine::{Declaring, Engine, Reason, Step};
pub use row::{Index, Key, Row};
pub use rule::RowSet;
pub use table::{AnyTable, Change, ReadKind, Table};
pub use world::{Has, Indexed, Tables};

/// Milliseconds since the Unix epoch. The engine only compares instants.
pub type Instant = i64;
