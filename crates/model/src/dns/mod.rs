//! What the DNS room and the DNS providers talk in: record sets, snapshots of zones, and change sets.
//!
//! ```text
//!  Snapshot (observed) + WantedRecords --core::dns::plan--> ChangeSet --provider--> one GroupResult a group
//! ```

mod change;
mod name;
mod record;
#[cfg(test)]
mod tests;

pub use change::{Change, ChangeSet, Content, Group, GroupResult, Precondition};
pub use name::{InvalidName, in_zone, labels, normal_name, text_of, zone_for};
pub use record::{RecordSet, RecordType, Snapshot};
