//! DNS: which records a zone should hold, whose they are, and what to do about the difference.
//!
//! ```text
//!  annotations + targets -> WantedRecord --merge--+
//!                                                 +--plan--> Plan (Create | Update | Delete | Leave { because }) -> ChangeSet
//!  Snapshot (record sets + registry TXT) ---------+
//! ```
//!
//! Invariants: a set is changed or removed only if its registry TXT names our owner; a set and its TXT change in one
//! indivisible group with preconditions; nothing is planned on an incomplete snapshot; a plan that was applied is
//! followed by an empty plan.

pub mod annotations;
pub mod merge;
pub mod plan;
pub mod problems;
pub mod registry;
pub mod targets;

mod action;
mod observed;
mod row;
mod settings;
#[cfg(test)]
mod tests;

pub use action::{Action, Because, Finding, Plan, Verb};
pub use annotations::{Annotations, HostnameSource};
pub use merge::{WantedRecord, merge};
pub use plan::plan;
pub use problems::DnsProblem;
pub use registry::{Ownership, Registry};
pub use settings::{Policy, Settings};
