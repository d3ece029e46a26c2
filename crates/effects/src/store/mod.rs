//! Stores of objects.
//!
//! ```text
//!  driver --Write--> store --Written, watch--> driver
//! ```
//!
//! [`contract`] says what every store does, and [`suite`] proves it for one. [`local`] is the store of `portolan up`:
//! embedded, on disk, read from memory. Above the contract nothing differs between one machine and a cluster.

mod cache;
pub mod contract;
pub mod event;
pub mod local;
#[cfg(any(test, feature = "contract"))]
pub mod suite;
mod view;
mod write;

pub use cache::Cache;
pub use contract::{Capabilities, Noted, ObjectStore, StoreError, TooOld, Watch};
pub use event::{Event, EventKind, Recorded};
pub use local::{Events, Fill, Following, History, Store, takes_over};
pub use view::{Sight, View};
pub use write::{Precondition, Write, Written};

use portolan_model::{Name, Object};

/// An object as stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object as everybody sees it, with its stamp. Its JSON is the one that was applied, shared.
    pub object: Object,
    /// Who applied it.
    pub manager: Name,
    /// Whether it is kept in memory only.
    pub volatile: bool,
    /// How much of it was seen, and whether it still is.
    pub sight: Sight,
    /// What its owner applied, and the fields that somebody else wrote over it.
    filled: Option<Box<(Object, Fill)>>,
}

impl Stored {
    /// An object as a store of another place has it, with its stamp.
    pub const fn found(object: Object, manager: Name, sight: Sight) -> Self {
        Self { object, manager, volatile: false, sight, filled: None }
    }

    /// Whether somebody else's fields lie over it.
    pub fn is_filled(&self) -> bool {
        self.filled.is_some()
    }

    /// The object as its owner applied it.
    pub fn base(&self) -> &Object {
        self.filled.as_ref().map_or(&self.object, |filled| &filled.0)
    }
}
