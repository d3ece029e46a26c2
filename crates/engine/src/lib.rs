//! Typed tables, two rule shapes, recorded reads. Knows no domain, no clock, no I/O.
//!
//! ```text
//!  facts by source -> step(now) -> rules in one fixed order -> net changes per table, next due instant, work
//! ```
//!
//! # Invariants (held by the property test)
//!
//! - Any series of steps equals a rebuild from the same facts at the same instant, conflicts included. Rows of a rule
//!   that panicked are *held* ([`Changes::held`]) and are the one exception.
//! - The work of a step depends on what changed and on who read it, never on the size of the tables.
//! - A rule reads through [`Cx`] only and every read is recorded, absent keys and empty buckets included; a read that
//!   nobody makes any more leaves nothing behind.
//! - Every derived row has one owner, the run that put it out. Two owners of one key are a conflict: the first by rule
//!   order, then by input key, is shown; all are reported in [`Changes::conflicts`].
//! - What a source yields is replaced as a whole, so nothing of what it yielded before is left, whatever key it had.
//!   Two sources that yield one key are a conflict like any other: the first in order is shown until it goes.
//! - Facts and derived rows never share a table; a rule reads only tables whose last writer stands before it.
//! - `now` never goes back, and rules see it only as [`Cx::due`].
//! - Mistakes of the rules (undeclared reads and writes) come back as [`Changes::errors`]. They never travel as panics,
//!   since panics of rules are caught.
//!
//! A panic in a rule prints through the process's panic hook; a program that runs the engine calls [`quiet_rules`] at
//! its start, or a bug that hits 50,000 rows prints 50,000 backtraces. The engine needs `panic = "unwind"`.

mod bucket;
mod changes;
mod claims;
mod context;
mod core;
mod declare;
mod engine;
mod fault;
mod index;
mod key_map;
mod machine;
mod nodes;
mod panics;
mod reasons;
mod row;
mod rule;
mod slab;
mod slot;
mod source;
mod step;
mod table;
#[cfg(test)]
mod tests;
mod told;
mod world;

pub use changes::{Change, Changes, Claimant, Conflict, Held};
pub use context::Cx;
pub use core::ReadKind;
pub use declare::{Access, Declaring, ReadSet, Readable, WriteSet};
pub use engine::{Engine, Stats};
pub use panics::quiet_rules;
pub use reasons::{ReadNote, Reason};
pub use row::{Index, Key, Row};
pub use source::Rows;
pub use table::Table;
pub use world::{Has, Indexed, Tables};

/// Milliseconds since the Unix epoch. The engine only compares instants.
pub type Instant = i64;
