//! The decisions: pure functions over rows. No I/O, no clock; the manifest proves it.
//!
//! ```text
//!  facts -> policy -> certificates -> gateway -> dns -> status -> conditions
//! ```
//!
//! [`world`] lists every table and the rooms in order. Rooms never call each other: they read each other's rows.

pub mod capability;
pub mod certificates;
pub mod conditions;
pub mod dns;
pub mod door;
pub mod gateway;
pub mod gitops;
pub mod infrastructure;
pub mod lease;
pub mod policy;
pub mod secrets;
pub mod simulate;
pub mod status;
#[cfg(test)]
mod tests;
pub mod world;

pub use world::{Cx, World, engine, problem};
